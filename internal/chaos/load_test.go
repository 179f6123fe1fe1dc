package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/oslcbus/oslcbus/adapters/mongodb/mongotest"
)

// load changes rules in MongoDB and remembers what every change left behind.
type load struct {
	db *mongotest.Client

	mu      sync.Mutex
	history map[string][]state // rule id -> what each change left, in order
	alive   []string
	changes int
	tickets int // changes that disable a rule
}

// state is what a change left of a rule. Its number is in the description, so that
// no two states are alike.
type state struct {
	kind    string // of the TRS class
	number  int
	enabled bool
}

const collection = "rule_d_b"

// run makes changes until ctx ends.
func (l *load) run(ctx context.Context, t testing.TB, r *rand.Rand) {
	for n := 1; ctx.Err() == nil; n++ {
		if err := l.change(context.WithoutCancel(ctx), r, n); err != nil {
			t.Error(err)
			return
		}
		// A pause now and then, so that kills meet a quiet bus as well.
		if r.IntN(20) == 0 {
			select {
			case <-ctx.Done():
			case <-after(r.IntN(150)):
			}
		}
	}
}

func (l *load) change(ctx context.Context, r *rand.Rand, n int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	what := r.IntN(10)
	if len(l.alive) < 3 || what == 0 && len(l.alive) < 40 {
		id := fmt.Sprintf("%024x", 0x6b0179000000+len(l.history)+1)
		name := fmt.Sprintf("rule%d", len(l.history)+1)
		doc := fmt.Sprintf(`{"_id": {"$oid": %q}, "name": %q, "pack": "demo", "ref": "demo.%s", "uid": "rule:demo:%s", "enabled": true,
			"description": "%d", "trigger": "core.st2.generic.notifytrigger", "type": {"ref": "standard", "parameters": {}},
			"action": {"ref": "core.local", "parameters": {}}}`, id, name, name, name, n)
		if err := l.db.Insert(ctx, collection, doc); err != nil {
			return err
		}
		l.alive = append(l.alive, id)
		l.note(id, state{"Creation", n, true})
		return nil
	}
	i := r.IntN(len(l.alive))
	id := l.alive[i]
	filter := fmt.Sprintf(`{"_id": {"$oid": %q}}`, id)
	if what == 1 && len(l.alive) > 10 {
		if err := l.db.Delete(ctx, collection, filter); err != nil {
			return err
		}
		l.alive = append(l.alive[:i], l.alive[i+1:]...)
		last := l.history[id][len(l.history[id])-1]
		l.note(id, state{"Deletion", last.number, last.enabled})
		return nil
	}
	enabled := r.IntN(4) > 0
	if err := l.db.Update(ctx, collection, filter, fmt.Sprintf(`{"$set": {"description": "%d", "enabled": %t}}`, n, enabled)); err != nil {
		return err
	}
	l.note(id, state{"Modification", n, enabled})
	return nil
}

func (l *load) note(id string, s state) {
	if h := l.history[id]; s.kind == "Modification" && !s.enabled && h[len(h)-1].enabled {
		l.tickets++
	}
	l.history[id] = append(l.history[id], s)
	l.changes++
}

func (l *load) totals() (changes, tickets int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changes, l.tickets
}
