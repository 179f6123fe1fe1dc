package oslcbus

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

// An asker puts requests that people and programs ask for on the log, where
// executors find them beside those of rules.
type asker struct {
	e        *Engine
	instance string // names this replica, also after a restart

	mu     sync.Mutex
	pub    bus.Publisher
	recent []string // URIs of requests that the views may not have yet, oldest first

	stopping chan struct{} // closed when nobody is to wait any more
	once     sync.Once
}

// instanceFile keeps the name of a replica in its data folder: replicas publish
// under names of their own, or they would fence one another.
const instanceFile = "instance"

func newAsker(e *Engine) (*asker, error) {
	path := filepath.Join(e.cfg.Data, instanceFile)
	b, err := os.ReadFile(path)
	name := strings.TrimSpace(string(b))
	if errors.Is(err, os.ErrNotExist) || err == nil && name == "" {
		name = strings.ToLower(rand.Text()[:12])
		if err = os.MkdirAll(e.cfg.Data, 0o700); err == nil {
			err = os.WriteFile(path, []byte(name+"\n"), 0o600)
		}
	}
	if err != nil {
		return nil, oslc.E("oslcbus.instance", err, oslc.Unavailable)
	}
	return &asker{e: e, instance: name, stopping: make(chan struct{})}, nil
}

// NewRequest implements server.Asker.
func (a *asker) NewRequest(user, key string) (id, uri string) {
	if key == "" {
		id = oslc.NewID("asked", a.instance, rand.Text())
	} else {
		id = oslc.NewID("asked by", user, key)
	}
	return id, oslc.ResourceURI(a.e.cfg.BaseURL, automation.BusProvider, "requests", id)
}

// Ask implements server.Asker.
func (a *asker) Ask(ctx context.Context, r oslc.Request, wait time.Duration) (oslc.Result, bool, error) {
	const op = "oslcbus.ask"
	known, err := a.known(ctx, r.URI)
	if err == nil && !known {
		if err = a.publish(ctx, r); err == nil {
			err = a.folded(ctx, func(ctx context.Context) (bool, error) { return a.known(ctx, r.URI) })
		}
	}
	if err != nil {
		return oslc.Result{}, false, oslc.E(op, err)
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	uri := oslc.ResourceURI(a.e.cfg.BaseURL, automation.BusProvider, "results", r.ID)
	for {
		wake := a.e.status.folded()
		res, err := a.e.views.Resource(ctx, uri)
		if err == nil {
			out, err := oslc.ParseResult(res.Graph, uri)
			return out, true, oslc.E(op, err)
		}
		if !errors.Is(err, oslc.NotFound) {
			return oslc.Result{}, false, oslc.E(op, err)
		}
		select {
		case <-wake:
		case <-timeout.C:
			return oslc.Result{}, false, nil
		case <-a.stopping:
			return oslc.Result{}, false, nil
		case <-ctx.Done():
			return oslc.Result{}, false, ctx.Err()
		}
	}
}

// known reports whether a request is recorded, as far as the views have come.
func (a *asker) known(ctx context.Context, uri string) (bool, error) {
	_, err := a.e.views.Resource(ctx, uri)
	if errors.Is(err, oslc.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// publish makes a request durable. One that is on the log already, because an
// attempt before was heard after all, is not written again.
func (a *asker) publish(ctx context.Context, r oslc.Request) error {
	self := a.e.self()
	rec, err := a.e.record(&oslc.Event{
		ID: oslc.NewID("event", "request", r.ID), Change: oslc.Creation, Subject: r.URI,
		Listener: self.uri + "#" + "asked", Time: r.Created, Resource: r.Graph(), Trace: r.Trace,
	})
	if err != nil {
		return err
	}
	inOrder(&rec, &r)
	began := a.e.tracer.now()
	err = a.append(ctx, rec, func(ctx context.Context) (bool, error) { return a.known(ctx, r.URI) })
	if err == nil {
		a.e.tracer.asked(ctx, began, &r)
	}
	return err
}

// append makes a record durable, unless it is on the log: it is one of the recent ones
// of this process, or done says so.
func (a *asker) append(ctx context.Context, rec bus.Record, done func(context.Context) (bool, error)) error {
	// It goes on when the client gives up: nobody would know otherwise.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishWithin)
	defer cancel()
	a.mu.Lock()
	defer a.mu.Unlock()
	self := a.e.self()
	if a.pub == nil {
		var err error
		if a.pub, err = a.e.log.Own(ctx, "asked."+a.instance, self.topic.Topic); err != nil {
			a.pub = nil
			return err
		}
		if err := a.e.caughtUp(ctx, self); err != nil {
			return errors.Join(err, a.drop())
		}
	}
	// Under the lock: two clients with one key write once.
	if slices.Contains(a.recent, rec.ID()) {
		return nil
	}
	if known, err := done(ctx); known || err != nil {
		return err
	}
	if err := a.pub.Append(ctx, rec); err != nil {
		return errors.Join(err, a.drop())
	}
	if a.recent = append(a.recent, rec.ID()); len(a.recent) > recentRequests {
		a.recent = slices.Delete(a.recent, 0, 1)
	}
	return nil
}

// recentRequests is how many requests the views may be behind.
const recentRequests = 1024

// folded waits until the views have what was put on the log, so that its address leads
// somewhere when the client is told it.
func (a *asker) folded(ctx context.Context, there func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, publishWithin)
	defer cancel()
	for {
		wake := a.e.status.folded()
		known, err := there(ctx)
		if ctx.Err() != nil {
			return nil // it is on the log, which is what was asked for
		}
		if known || err != nil {
			return err
		}
		select {
		case <-wake:
		case <-a.stopping:
			return nil
		case <-ctx.Done():
		}
	}
}

// publishWithin bounds how long the log may take for a request.
const publishWithin = 15 * time.Second

// drop gives the publisher up; the next request owns its source anew.
func (a *asker) drop() error {
	pub := a.pub
	a.pub = nil
	return pub.Close()
}

// stop lets nobody wait for a result any more: who executes it stops too.
func (a *asker) stop() { a.once.Do(func() { close(a.stopping) }) }

// close ends the publisher.
func (a *asker) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pub == nil {
		return nil
	}
	return a.drop()
}
