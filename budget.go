package oslcbus

import (
	"fmt"
	"time"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

// A budget is what may be spent on one request: a number of attempts, a time for
// each, and a time for all of them.
type budget struct {
	limits   *Connection
	retry    bus.Retry
	attempts int
	until    time.Time // when the time for all attempts is over; zero before the first
}

// attempt begins an attempt and returns how long it may take.
func (b *budget) attempt() time.Duration {
	if b.attempts++; b.attempts == 1 {
		b.until = time.Now().Add(b.limits.Retry.Within)
	}
	return min(b.limits.Retry.Timeout, time.Until(b.until))
}

// pause gives back time that passed while the connection was paused.
func (b *budget) pause(d time.Duration) {
	if b.attempts > 0 {
		b.until = b.until.Add(d)
	}
}

// next returns how long to wait after an attempt that failed with err, or the error
// that ends the request.
func (b *budget) next(err error) (pause time.Duration, ended error) {
	if !oslc.KindOf(err).Retryable() || b.attempts >= b.retry.Attempts {
		return 0, err
	}
	pause = b.retry.Pause(b.attempts, err)
	if time.Until(b.until) < pause {
		return 0, fmt.Errorf("given up: all attempts together may take %v: %w", b.limits.Retry.Within, err)
	}
	return pause, nil
}
