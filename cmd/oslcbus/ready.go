package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
)

// readyPause is between two questions.
const readyPause = 100 * time.Millisecond

// ready waits until a bus works, for scripts that have started one and for health
// checks where there is no other program.
func ready(ctx context.Context, p *program, args []string) error {
	f := flags(p, "ready")
	within := f.Duration("within", 5*time.Second, "how long to wait until it does")
	if err := parse(f, args, "URL"); err != nil {
		return err
	}
	u, err := url.Parse(f.Arg(0))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return oslc.Errorf("ready", oslc.Invalid, "%q is no address such as %s", f.Arg(0), defaultURL)
	}
	if u.Path == "" {
		u.Path = "/readyz"
	}
	asking, cancel := context.WithTimeout(ctx, *within)
	defer cancel()
	var last error
	for {
		again, err := askReady(asking, u.String())
		if err == nil {
			fmt.Fprintln(p.out, "ready")
			return nil
		}
		if last == nil || asking.Err() == nil {
			last = err // not that the time was over: the reason before says more
		}
		if !again {
			return last
		}
		select {
		case <-asking.Done():
			return last
		case <-time.After(readyPause):
		}
	}
}

// askReady asks once, and says whether another answer may come.
func askReady(ctx context.Context, address string) (again bool, err error) {
	const op = "ready"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false, oslc.E(op, err, oslc.Invalid)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return true, oslc.E(op, err, oslc.Unavailable)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return false, nil
	}
	again = resp.StatusCode >= http.StatusInternalServerError
	said := fmt.Sprint(address, " answers ", resp.Status)
	var told struct {
		Checks []struct {
			Name, Reason string
			Ready        bool
		}
	}
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&told) == nil {
		var parts []string
		for _, c := range told.Checks {
			if !c.Ready {
				parts = append(parts, c.Name+": "+c.Reason)
			}
		}
		if len(parts) > 0 {
			said += ": " + strings.Join(parts, "; ")
		}
	}
	return again, oslc.Errorf(op, oslc.Unavailable, "%s", said)
}
