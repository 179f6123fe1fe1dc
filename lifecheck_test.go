package oslcbus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

// check lets everything come to rest and compares it with the model.
func (l *life) check() {
	l.tool.mu.Lock()
	l.tool.open = true
	l.tool.mu.Unlock()
	l.tool.release()
	results := map[int]oslc.Result{}
	r := l.replicas[0]
	l.eventually("every request to end", func() bool {
		l.tool.release()
		for n, uri := range l.uris {
			if _, ok := results[n]; ok {
				continue
			}
			at := strings.Replace(uri, "/requests/", "/results/", 1)
			res, err := r.engine.views.Resource(l.tb.Context(), at)
			if err != nil {
				return false
			}
			if results[n], err = oslc.ParseResult(res.Graph, at); err != nil {
				l.Fatal(err)
			}
		}
		return true
	})
	// Wishes that came too late are answered after that.
	for n, uri := range l.uris {
		want := results[n].State
		l.eventually(fmt.Sprintf("request %d to show %s", n, want), func() bool {
			res, err := r.engine.views.Resource(l.tb.Context(), uri)
			if err != nil {
				l.Fatal(err)
			}
			req, err := oslc.ParseRequest(res.Graph, uri)
			return err == nil && req.State == want
		})
	}
	l.tool.mu.Lock()
	defer l.tool.mu.Unlock()
	for n := range l.uris {
		res, effects := results[n], 0
		for _, e := range l.tool.effects {
			if e == n {
				effects++
			}
		}
		switch {
		case effects > 1:
			l.Fatalf("request %d has had %d effects", n, effects)
		case res.State == oslc.Canceled && !l.wished[n]:
			l.Fatalf("request %d was canceled, which nobody wanted", n)
		case res.State != oslc.Canceled && l.told[n]:
			l.Fatalf("request %d is %s, and somebody was told that it is canceled", n, res.Verdict)
		case res.State != oslc.Canceled && res.Verdict != l.wanted[n]:
			l.Fatalf("request %d is %s (%s), want %s", n, res.Verdict, res.Message, l.wanted[n])
		case res.Verdict == oslc.Passed && effects != 1:
			l.Fatalf("request %d passed without an effect", n)
		case res.Verdict == oslc.Failed && effects != 0:
			l.Fatalf("request %d failed and has an effect", n)
		}
		if calls, told := l.tool.gone[n]; told && l.tool.calls[n] != calls {
			l.Fatalf("the tool was called for request %d after it was canceled", n)
		}
	}
	l.order(r)
	l.once(r)
}

// order compares the order of effects with that of the requests on the log.
func (l *life) order(r *replica) {
	place := map[int]int64{}
	for offset, ev := range l.records(r) {
		for n, uri := range l.uris {
			if ev.Change == oslc.Creation && ev.Subject == uri {
				place[n] = int64(offset)
			}
		}
	}
	last := map[string]int{}
	for _, n := range l.tool.effects {
		target := l.targets[n]
		if _, known := place[n]; !known || target == "" {
			continue // asked for, and never answered
		}
		if before, ok := last[target]; ok && place[before] > place[n] {
			l.Fatalf("on %s the effect of %d came before that of %d", target, before, n)
		}
		last[target] = n
	}
}

// once looks for records that are on the log twice, and for ends of requests that have
// one.
func (l *life) once(r *replica) {
	ids, ends := map[string]bool{}, map[string]int{}
	for _, ev := range l.records(r) {
		if ids[ev.ID] {
			l.Fatalf("event %s about %s is on the log twice", ev.ID, ev.Subject)
		}
		ids[ev.ID] = true
		if strings.Contains(ev.Subject, "/results/") {
			ends[ev.Subject]++
		}
	}
	for uri, n := range ends {
		if n != 1 {
			l.Fatalf("<%s> was made %d times", uri, n)
		}
	}
}

// records are the events on the bus's own topic.
func (l *life) records(r *replica) []*oslc.Event {
	ctx := l.tb.Context()
	topic := r.engine.self().topic.Topic
	end, err := r.log.End(ctx, topic)
	if err != nil {
		l.tb.Fatal(err)
	}
	rd, err := r.log.Open(ctx, topic, bus.From{})
	if err != nil {
		l.tb.Fatal(err)
	}
	defer rd.Close()
	var out []*oslc.Event
	for at := int64(0); at < end[0]; {
		quiet, cancel := context.WithTimeout(ctx, time.Second)
		d, err := rd.Next(quiet)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			break // the rest are the driver's own
		}
		if err != nil {
			l.tb.Fatal(err)
		}
		at = d.Offset + 1
		if bus.IsMarker(d.Message) {
			continue
		}
		ev, err := r.engine.decode(d.Message)
		if err != nil {
			l.tb.Fatal(err)
		}
		out = append(out, ev)
	}
	return out
}
