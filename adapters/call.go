package adapters

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Sleep waits; it returns ctx's error when that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// MaxRetryAfter bounds how long a server can make the bus wait. The longest quotas of
// tools are reset each hour.
const MaxRetryAfter = 24 * time.Hour

// RetryAfter reads the header field Retry-After, in seconds or as a date. It is at most
// MaxRetryAfter, and 0 where there is none.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if s, err := strconv.ParseUint(v, 10, 32); err == nil {
		return min(time.Duration(s)*time.Second, MaxRetryAfter)
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(0, t.Sub(now)), MaxRetryAfter)
	}
	return 0
}
