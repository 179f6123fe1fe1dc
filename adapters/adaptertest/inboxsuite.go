package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
)

// An InboxConfig is an inbox under test.
type InboxConfig struct {
	// New returns an inbox that holds nothing.
	New func(ctx context.Context) (adapters.Inbox, error)
	// Reopen returns an inbox with what another one was given, as a program that starts
	// again would have it; nil leaves that out.
	Reopen func(ctx context.Context, b adapters.Inbox) (adapters.Inbox, error)
	// Within bounds how long one check may take; 0 means 30 s.
	Within time.Duration
}

// InboxSuite checks that an inbox keeps the contract of adapters.Inbox.
func InboxSuite(t *testing.T, cfg InboxConfig) {
	t.Helper()
	if cfg.Within == 0 {
		cfg.Within = 30 * time.Second
	}
	if cfg.Reopen == nil {
		cfg.Reopen = func(_ context.Context, b adapters.Inbox) (adapters.Inbox, error) { return b, nil }
	}
	for _, c := range inboxChecks {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), cfg.Within)
			defer cancel()
			b, err := cfg.New(ctx)
			if err == nil {
				err = c.run(ctx, cfg, b)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

type inboxCheck struct {
	name string
	run  func(context.Context, InboxConfig, adapters.Inbox) error
}

var inboxChecks = []inboxCheck{
	{"GivesWhatItGot", checkInboxContent},
	{"ResumesAtEveryPlace", checkInboxResume},
	{"TellsWhenItIsRead", checkInboxCaught},
	{"GoesOnLive", checkInboxLive},
	{"RepeatsComeOnce", checkInboxRepeats},
	{"NamesTheNameless", checkInboxNames},
	{"KeepsOrderOfAtOnce", checkInboxAtOnce},
	{"BadPlaceIsGone", checkInboxBadPlace},
	{"AnotherInboxIsGone", checkInboxAnew},
	{"DeliverErrorStops", checkInboxError},
	{"StopsWithContext", checkInboxStops},
}

// read reads an inbox from a place until it has been read, and until it gave so many.
func read(ctx context.Context, b adapters.Inbox, after adapters.Cursor, want int) ([]adapters.Delivery, error) {
	enough := errors.New("enough")
	var out []adapters.Delivery
	caught := false
	err := b.Read(ctx, after, func(batch []adapters.Delivery) error {
		caught = caught || len(batch) == 0
		out = append(out, batch...)
		if caught && len(out) >= want {
			return enough
		}
		return nil
	})
	if err != enough { //nolint:errorlint // the contract is the very error
		return nil, fmt.Errorf("read %d of %d, read to the end: %v; Read returned %w, want deliver's error as it came", len(out), want, caught, err)
	}
	return out, nil
}

func delivery(n int) adapters.Delivery {
	return adapters.Delivery{
		ID: fmt.Sprint("d", n), Header: map[string]string{"x-number": fmt.Sprint(n), "x-text": "née: \"<&>\""}, Body: fmt.Appendf(nil, `{"n": %d}`, n),
	}
}

func put(ctx context.Context, b adapters.Inbox, ns ...int) error {
	for _, n := range ns {
		if err := b.Put(ctx, delivery(n)); err != nil {
			return err
		}
	}
	return nil
}

// numbers are what deliveries hold.
func numbers(all []adapters.Delivery) string {
	out := make([]string, len(all))
	for i, d := range all {
		out[i] = d.Header["x-number"]
	}
	return strings.Join(out, " ")
}

func wantNumbers(all []adapters.Delivery, want string) error {
	if got := numbers(all); got != want {
		return fmt.Errorf("it gave %q, want %q", got, want)
	}
	return nil
}

func checkInboxContent(ctx context.Context, cfg InboxConfig, b adapters.Inbox) error {
	before := time.Now().Add(-time.Second)
	if err := b.Put(ctx, delivery(1), delivery(2)); err != nil {
		return err
	}
	b, err := cfg.Reopen(ctx, b)
	if err != nil {
		return err
	}
	all, err := read(ctx, b, nil, 2)
	if err != nil {
		return err
	}
	if err := wantNumbers(all, "1 2"); err != nil {
		return err
	}
	for i, d := range all {
		want := delivery(i + 1)
		if string(d.Body) != string(want.Body) || d.Header["x-text"] != want.Header["x-text"] || len(d.Header) != len(want.Header) {
			return fmt.Errorf("delivery %d came back as %q with %q", i+1, d.Body, d.Header)
		}
		if d.ID == "" || d.At == nil || d.Time.Before(before) || d.Time.After(time.Now().Add(time.Second)) {
			return fmt.Errorf("delivery %d has the name %q, the place %q and the time %v", i+1, d.ID, d.At, d.Time)
		}
	}
	return nil
}

func checkInboxResume(ctx context.Context, cfg InboxConfig, b adapters.Inbox) error {
	if err := put(ctx, b, 1, 2, 3, 4, 5); err != nil {
		return err
	}
	all, err := read(ctx, b, nil, 5)
	if err != nil {
		return err
	}
	for i := range all {
		if b, err = cfg.Reopen(ctx, b); err != nil {
			return err
		}
		rest, err := read(ctx, b, all[i].At, len(all)-i-1)
		if err != nil {
			return fmt.Errorf("after %d: %w", i+1, err)
		}
		if err := wantNumbers(rest, numbers(all[i+1:])); err != nil {
			return fmt.Errorf("after %d: %w", i+1, err)
		}
	}
	return nil
}

func checkInboxCaught(ctx context.Context, _ InboxConfig, b adapters.Inbox) error {
	if _, err := read(ctx, b, nil, 0); err != nil {
		return fmt.Errorf("an empty one: %w", err)
	}
	if err := put(ctx, b, 1, 2); err != nil {
		return err
	}
	stop := errors.New("stop")
	n := 0
	err := b.Read(ctx, nil, func(batch []adapters.Delivery) error {
		if len(batch) == 0 {
			return stop
		}
		n += len(batch)
		return nil
	})
	if err != stop || n != 2 { //nolint:errorlint // the contract is the very error
		return fmt.Errorf("it was read to the end after %d of 2, with %w", n, err)
	}
	return nil
}

func checkInboxLive(ctx context.Context, _ InboxConfig, b adapters.Inbox) error {
	caught, ended := make(chan struct{}), make(chan error, 1)
	var all []adapters.Delivery
	stop := errors.New("stop")
	go func() {
		ended <- b.Read(ctx, nil, func(batch []adapters.Delivery) error {
			if len(batch) == 0 {
				close(caught)
			}
			if all = append(all, batch...); len(all) >= 3 {
				return stop
			}
			return nil
		})
	}()
	select {
	case <-caught:
	case err := <-ended:
		return fmt.Errorf("Read returned %w", err)
	}
	if err := put(ctx, b, 1, 2, 3); err != nil {
		return err
	}
	if err := <-ended; err != stop { //nolint:errorlint // the contract is the very error
		return fmt.Errorf("Read returned %w", err)
	}
	return wantNumbers(all, "1 2 3")
}

func checkInboxRepeats(ctx context.Context, cfg InboxConfig, b adapters.Inbox) error {
	if err := put(ctx, b, 1, 2, 1, 3); err != nil {
		return err
	}
	if err := b.Put(ctx, delivery(2), delivery(4), delivery(4)); err != nil {
		return err
	}
	all, err := read(ctx, b, nil, 4)
	if err != nil {
		return err
	}
	if err := wantNumbers(all, "1 2 3 4"); err != nil {
		return err
	}
	// One that comes again after a restart is known by what came before the place.
	if b, err = cfg.Reopen(ctx, b); err != nil {
		return err
	}
	if err := put(ctx, b, 1, 3, 5); err != nil {
		return err
	}
	rest, err := read(ctx, b, all[3].At, 1)
	if err != nil {
		return err
	}
	if err := wantNumbers(rest, "5"); err != nil {
		return err
	}
	// And has the same name whenever it is read.
	again, err := read(ctx, b, nil, 5)
	if err == nil && (again[0].ID != all[0].ID || again[3].ID != all[3].ID) {
		err = errors.New("a delivery is called otherwise when it is read again")
	}
	return err
}

func checkInboxNames(ctx context.Context, _ InboxConfig, b adapters.Inbox) error {
	nameless := delivery(1)
	nameless.ID = ""
	if err := b.Put(ctx, nameless, nameless, nameless); err != nil {
		return err
	}
	all, err := read(ctx, b, nil, 3)
	if err != nil {
		return err
	}
	again, err := read(ctx, b, nil, 3)
	if err != nil {
		return err
	}
	var ids []string
	for i, d := range all {
		if d.ID == "" || slices.Contains(ids, d.ID) || again[i].ID != d.ID {
			return fmt.Errorf("delivery %d is called %q, then %q", i, d.ID, again[i].ID)
		}
		ids = append(ids, d.ID)
	}
	return nil
}

// checkInboxAtOnce puts from several goroutines: each keeps its own order.
func checkInboxAtOnce(ctx context.Context, _ InboxConfig, b adapters.Inbox) error {
	const callers, each = 4, 8
	ended := make(chan error, callers)
	for c := range callers {
		go func() {
			for n := range each {
				if err := put(ctx, b, c*each+n); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
	}
	for range callers {
		if err := <-ended; err != nil {
			return err
		}
	}
	all, err := read(ctx, b, nil, callers*each)
	if err != nil {
		return err
	}
	last := map[int]int{}
	for _, d := range all {
		n := 0
		if _, err := fmt.Sscan(d.Header["x-number"], &n); err != nil {
			return err
		}
		if before, ok := last[n/each]; ok && n <= before {
			return fmt.Errorf("%d came after %d", n, before)
		}
		last[n/each] = n
	}
	if len(all) != callers*each {
		return fmt.Errorf("it gave %d, want %d", len(all), callers*each)
	}
	return nil
}

func checkInboxBadPlace(ctx context.Context, _ InboxConfig, b adapters.Inbox) error {
	if err := put(ctx, b, 1); err != nil {
		return err
	}
	for _, bad := range []string{"no such place", "", "\x00\xff"} {
		err := b.Read(ctx, adapters.Cursor(bad), func([]adapters.Delivery) error { return errors.New("it was read") })
		if !errors.Is(err, oslc.Gone) {
			return fmt.Errorf("the place %q gives %w, want kind gone", bad, err)
		}
	}
	return nil
}

// checkInboxAnew goes on in another inbox, as after a topic was made anew.
func checkInboxAnew(ctx context.Context, cfg InboxConfig, b adapters.Inbox) error {
	if err := put(ctx, b, 1, 2, 3); err != nil {
		return err
	}
	all, err := read(ctx, b, nil, 3)
	if err != nil {
		return err
	}
	for _, others := range [][]int{nil, {11}, {11, 12, 13}, {11, 12, 13, 14, 15}} {
		other, err := cfg.New(ctx)
		if err != nil {
			return err
		}
		if err := put(ctx, other, others...); err != nil {
			return err
		}
		err = other.Read(ctx, all[2].At, func(batch []adapters.Delivery) error { return fmt.Errorf("it gave %q", numbers(batch)) })
		if !errors.Is(err, oslc.Gone) {
			return fmt.Errorf("with %d others: %w, want kind gone", len(others), err)
		}
	}
	return nil
}

func checkInboxError(ctx context.Context, _ InboxConfig, b adapters.Inbox) error {
	if err := put(ctx, b, 1, 2); err != nil {
		return err
	}
	boom, calls := errors.New("boom"), 0
	err := b.Read(ctx, nil, func([]adapters.Delivery) error { calls++; return boom })
	if err != boom || calls != 1 { //nolint:errorlint // the contract is the very error
		return fmt.Errorf("Read returned %w after %d calls, want deliver's error as it came after one", err, calls)
	}
	return nil
}

func checkInboxStops(ctx context.Context, _ InboxConfig, b adapters.Inbox) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := b.Read(ctx, nil, func(batch []adapters.Delivery) error {
		if len(batch) == 0 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		return fmt.Errorf("Read returned %w after its context's end", err)
	}
	return nil
}
