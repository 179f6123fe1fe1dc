package kafka

import "time"

// SetPatience makes requests be repeated, and topics be given up, sooner. It must
// be called before the log is used.
func (l *Log) SetPatience(attempt, missing time.Duration) { l.attempt, l.missing = attempt, missing }
