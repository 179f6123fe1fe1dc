package adaptertest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
)

func TestInbox(t *testing.T) {
	t.Parallel()
	InboxSuite(t, InboxConfig{New: func(context.Context) (adapters.Inbox, error) { return &Inbox{}, nil }})
}

// A faultyInbox has one fault, which the suite must find.
type faultyInbox struct {
	Inbox
	fault string
	names int
}

func (b *faultyInbox) Put(ctx context.Context, batch ...adapters.Delivery) error {
	switch b.fault {
	case "forgets headers":
		batch = slices.Clone(batch)
		for i := range batch {
			batch[i].Header = map[string]string{"x-number": batch[i].Header["x-number"]}
		}
	case "knows no repeat":
		batch = slices.Clone(batch)
		for i := range batch {
			batch[i].ID = ""
		}
	case "takes one":
		batch = batch[:min(1, len(batch))]
	}
	return b.Inbox.Put(ctx, batch...)
}

func (b *faultyInbox) Read(ctx context.Context, after adapters.Cursor, deliver func([]adapters.Delivery) error) error {
	if b.fault == "begins anew" || b.fault == "takes any place" && len(after) < 3 {
		after = nil
	}
	err := b.Inbox.Read(ctx, after, func(batch []adapters.Delivery) error {
		batch = slices.Clone(batch)
		switch {
		case b.fault == "never says that it is read" && len(batch) == 0:
			return nil
		case b.fault == "turns batches around":
			slices.Reverse(batch)
		case b.fault == "calls them otherwise each time":
			for i := range batch {
				b.names++
				batch[i].ID = fmt.Sprint(b.names)
			}
		}
		return deliver(batch)
	})
	if b.fault == "dresses errors up" {
		return fmt.Errorf("inbox: %w", err)
	}
	return err
}

func TestInboxSuite_findsFaults(t *testing.T) {
	t.Parallel()
	for fault, check := range map[string]string{
		"forgets headers":                "GivesWhatItGot",
		"takes one":                      "GivesWhatItGot",
		"begins anew":                    "ResumesAtEveryPlace",
		"never says that it is read":     "TellsWhenItIsRead",
		"knows no repeat":                "RepeatsComeOnce",
		"calls them otherwise each time": "NamesTheNameless",
		"turns batches around":           "KeepsOrderOfAtOnce",
		"takes any place":                "BadPlaceIsGone",
		"dresses errors up":              "DeliverErrorStops",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cfg := InboxConfig{Reopen: func(_ context.Context, b adapters.Inbox) (adapters.Inbox, error) { return b, nil }}
			cfg.New = func(context.Context) (adapters.Inbox, error) { return &faultyInbox{fault: fault}, nil }
			i := slices.IndexFunc(inboxChecks, func(c inboxCheck) bool { return c.name == check })
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			b, err := cfg.New(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := inboxChecks[i].run(ctx, cfg, b); err == nil {
				t.Errorf("%s does not find it", check)
			}
		})
	}
}
