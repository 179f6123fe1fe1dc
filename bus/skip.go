package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/oslcbus/oslcbus/oslc"
)

// A Skip moves the place of a Stage without reading what it leaves behind: for a
// stage that has nothing to do with it.
type Skip struct {
	publisher Publisher
	done      progress
}

// Skip owns the source of the stage, which must not run meanwhile.
func (s *Stage) Skip(ctx context.Context) (*Skip, error) {
	const op = "bus.skip"
	p, err := s.Log.Own(ctx, s.Name, s.Outputs...)
	if err != nil {
		return nil, oslc.E(op, err)
	}
	k := &Skip{publisher: p, done: progress{}}
	if c := p.Cursor(); c != nil {
		if err := json.Unmarshal(c, &k.done); err != nil {
			err = oslc.E(op, fmt.Errorf("the cursor of %q is damaged: %w", s.Name, err), oslc.Internal)
			return nil, errors.Join(err, p.Close())
		}
	}
	return k, nil
}

// To makes the stage go on at the offsets of each topic's partitions. It fails with
// kind Conflict when another replica has the stage now.
func (k *Skip) To(ctx context.Context, ends map[string][]int64) error {
	moved := false
	for topic, at := range ends {
		was := k.done[topic]
		now := make([]partitionProgress, len(at))
		for i, next := range at {
			if i < len(was) && was[i].Next == next && len(was[i].Done) == 0 {
				now[i] = was[i] // with the record by which the topic is known
				continue
			}
			now[i], moved = partitionProgress{Next: next}, true
		}
		k.done[topic] = now
	}
	if !moved {
		return nil
	}
	b, err := json.Marshal(k.done)
	if err != nil {
		return oslc.E("bus.skip", err, oslc.Internal)
	}
	return oslc.E("bus.skip", k.publisher.Append(ctx, Record{Cursor: b}))
}

// Close gives the source up.
func (k *Skip) Close() error { return k.publisher.Close() }
