package adapters

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
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

// KindOfStatus classifies an HTTP status that is no success, where a tool's own
// documents say nothing else.
func KindOfStatus(status int) oslc.Kind {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return oslc.Denied
	case http.StatusNotFound, http.StatusGone:
		return oslc.NotFound
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return oslc.Unsupported
	case http.StatusConflict, http.StatusPreconditionFailed:
		return oslc.Conflict
	case http.StatusTooManyRequests:
		return oslc.Limited
	case http.StatusRequestTimeout, http.StatusTooEarly:
		return oslc.Unavailable
	}
	switch status / 100 {
	case 3:
		return oslc.Denied // an API does not redirect; a login page does
	case 5:
		return oslc.Unavailable
	}
	return oslc.Invalid
}
