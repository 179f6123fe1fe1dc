package bus

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Window is how many deliveries are taken from the log before the oldest of them
// is done: it bounds memory, and what is repeated after a crash. No more are ever
// handled at once.
const Window = 1024

// ErrLeft is what Handle of a Stage returns for a delivery that it leaves undone
// because the context of Run has ended: the stage stops as it is told to, and begins
// with that delivery when it runs again.
var ErrLeft = errors.New("left undone: the stage ends")

// tracker knows, for one partition, up to where everything is done.
type tracker struct {
	mu    sync.Mutex
	next  int64  // all before it is done
	last  string // the id of the delivery before next
	seen  int64  // the offset after the newest one added
	queue []tracked
	base  int // number of entries popped from queue so far
}

type tracked struct {
	d    Delivery
	done bool
}

// add notes that d is in work; deliveries come with growing offsets. It returns
// the handle for finish.
func (t *tracker) add(d Delivery) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = d.Offset + 1
	t.queue = append(t.queue, tracked{d: d})
	return t.base + len(t.queue) - 1
}

// finish notes that the delivery is done. moved is the newest one up to which
// all are done, if that changed.
func (t *tracker) finish(handle int) (moved *Delivery) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue[handle-t.base].done = true
	for len(t.queue) > 0 && t.queue[0].done {
		d := t.queue[0].d
		moved = &d
		t.next, t.last = d.Offset+1, d.ID()
		t.queue[0] = tracked{}
		t.queue = t.queue[1:]
		t.base++
	}
	return moved
}

// state returns what is done.
func (t *tracker) state() partitionProgress {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := partitionProgress{Next: t.next, Last: t.last}
	for _, q := range t.queue {
		if q.done {
			at.Done = append(at.Done, q.d.Offset)
		}
	}
	return at
}

// item is a delivery on its way through a worker.
type item struct {
	key     string // items with one key are handled in order
	topic   string
	d       Delivery
	tracker *tracker
	handle  int
	out     []Record
}

// DefaultDrain is how long work in progress may go on after its stage or
// subscription was told to stop. It leaves two of the ten seconds that the program
// takes to stop to the log.
const DefaultDrain = 8 * time.Second

// flow takes items from readers, handles them in parallel, those with one key in
// order, and finishes them in batches on one goroutine.
type flow struct {
	drain time.Duration // 0 means DefaultDrain
	// handle does the work of an item. It fails only when the flow must stop.
	handle func(context.Context, *item) error
	// finish makes durable what the items of a batch did.
	finish func(context.Context, []*item) error
	// tick, when set, is called about once a second between batches.
	tick func(context.Context) error

	done  chan *item
	slots chan struct{} // a token per item in work or waiting for its key
	runs  chan struct{} // a token per item being handled

	mu   sync.Mutex
	keys map[string][]*item // waiting behind the one being handled
	wg   sync.WaitGroup

	working context.Context
	fail    func(error)
}

// run works until ctx ends or something fails, and returns why. What is being
// handled when ctx ends is still finished, if that takes no longer than drain.
func (f *flow) run(ctx context.Context, parallel int, readers ...func(context.Context) error) error {
	f.done = make(chan *item, Window)
	f.slots = make(chan struct{}, Window)
	f.runs = make(chan struct{}, max(1, parallel))
	f.keys = map[string][]*item{}
	drain := f.drain
	if drain <= 0 {
		drain = DefaultDrain
	}
	reading, stop := context.WithCancelCause(ctx)
	working, abort := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abort(nil)
	f.working = working
	f.fail = func(err error) { stop(err); abort(err) }

	var rs sync.WaitGroup
	for _, read := range readers {
		rs.Go(func() { stop(read(reading)) })
	}
	quiet := make(chan struct{})
	go func() {
		defer close(quiet)
		<-reading.Done()
		t := time.AfterFunc(drain, func() { abort(context.Cause(reading)) })
		defer t.Stop()
		rs.Wait()
		f.wg.Wait()
	}()
	if err := f.collect(quiet); err != nil {
		f.fail(err)
	}
	<-quiet
	return context.Cause(reading)
}

// collect finishes what was handled until nothing more comes.
func (f *flow) collect(quiet <-chan struct{}) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var batch []*item
	for {
		batch = batch[:0]
		select {
		case it := <-f.done:
			batch = append(batch, it)
		case <-quiet:
			select {
			case it := <-f.done:
				batch = append(batch, it)
			default:
				return nil
			}
		case <-ticker.C:
			if f.tick != nil {
				if err := f.tick(f.working); err != nil {
					return err
				}
			}
			continue
		}
	more:
		for len(batch) < Window/2 {
			select {
			case it := <-f.done:
				batch = append(batch, it)
			default:
				break more
			}
		}
		if err := f.finish(f.working, batch); err != nil {
			return err
		}
		for range batch {
			<-f.slots
		}
	}
}

// submit hands an item over; it blocks while the window is full.
func (f *flow) submit(ctx context.Context, it *item) error {
	select {
	case f.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	key := it.key
	f.mu.Lock()
	defer f.mu.Unlock()
	if waiting, busy := f.keys[key]; busy {
		f.keys[key] = append(waiting, it)
		return nil
	}
	f.keys[key] = nil
	f.wg.Go(func() { f.work(ctx, key, it) })
	return nil
}

func (f *flow) work(reading context.Context, key string, it *item) {
	for it != nil {
		select {
		case f.runs <- struct{}{}:
		case <-reading.Done():
			return
		}
		if reading.Err() != nil { // nothing new is begun once the flow ends
			<-f.runs
			return
		}
		err := f.handle(f.working, it)
		<-f.runs
		if errors.Is(err, ErrLeft) && reading.Err() != nil {
			return
		}
		if err != nil {
			f.fail(err)
			return
		}
		f.done <- it // never blocks: there are as many places as slots
		f.mu.Lock()
		if waiting := f.keys[key]; len(waiting) > 0 {
			it, f.keys[key] = waiting[0], waiting[1:]
		} else {
			delete(f.keys, key)
			it = nil
		}
		f.mu.Unlock()
	}
}
