package oslcbus

import "time"

// PushWithin sets how long a client of /events may take for what it is sent.
func PushWithin(e *Engine, d time.Duration) { e.push.within = d }
