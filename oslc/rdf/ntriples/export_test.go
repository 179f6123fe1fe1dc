package ntriples

// SetStep lets a test have a window of a few bytes.
func (d *Decoder) SetStep(n int) { d.w.Step = n }
