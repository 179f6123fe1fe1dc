package trs

import (
	"bytes"
	"compress/gzip"
	"container/list"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

// Pages keeps what was rendered beyond the end of the process. It may forget and
// fail at any time: what is not there is rendered again.
type Pages interface {
	// Page returns what was kept under key, or nil.
	Page(ctx context.Context, key string) ([]byte, error)
	KeepPage(ctx context.Context, key string, page []byte) error
}

// pagesInMemory is how many bytes of rendered pages are kept in memory: the inline
// segments and what clients read now.
const pagesInMemory = 32 << 20

// rendered is a page in its wire form.
type rendered struct {
	next  string // the next page of a base
	zip   []byte
	plain []byte
}

func (r *rendered) size() int64 { return int64(len(r.next) + len(r.zip) + len(r.plain) + 256) }

// zipped returns the page as Pages keep it.
func (r *rendered) zipped() []byte {
	b := binary.AppendUvarint(nil, uint64(len(r.next)))
	return append(append(b, r.next...), r.zip...)
}

func unzipped(page []byte) (*rendered, error) {
	n, at := binary.Uvarint(page)
	if at <= 0 || n > uint64(len(page)-at) {
		return nil, errors.New("a damaged page")
	}
	r := &rendered{next: string(page[at : at+int(n)]), zip: page[at+int(n):]}
	z, err := gzip.NewReader(bytes.NewReader(r.zip))
	if err != nil {
		return nil, err
	}
	r.plain, err = io.ReadAll(z)
	return r, err
}

// shelf holds rendered pages: the ones used last in memory, all that are immutable
// in Pages. Each is rendered once, however many ask for it at the same time.
type shelf struct {
	disk Pages

	mu    sync.Mutex
	size  int64
	order list.List // of *shelved, the one used last in front
	pages map[string]*list.Element
	work  map[string]*making
}

type shelved struct {
	key string
	*rendered
}

type making struct {
	done chan struct{}
	page *rendered
	err  error
}

// get returns the page in memory, or nil.
func (s *shelf) get(key string) *rendered {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.pages[key]
	if e == nil {
		return nil
	}
	s.order.MoveToFront(e)
	return e.Value.(*shelved).rendered //nolint:forcetypeassert // nothing else is in the list
}

func (s *shelf) put(key string, page *rendered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pages == nil {
		s.pages = map[string]*list.Element{}
	}
	if s.pages[key] != nil {
		return
	}
	s.pages[key] = s.order.PushFront(&shelved{key, page})
	s.size += page.size()
	for s.size > pagesInMemory && s.order.Len() > 1 {
		old := s.order.Remove(s.order.Back()).(*shelved) //nolint:forcetypeassert // as above
		delete(s.pages, old.key)
		s.size -= old.size()
	}
}

// page returns a page, rendered by render where it is not there. keep says that it
// is immutable, and worth keeping on the disk.
func (s *shelf) page(ctx context.Context, key string, keep bool, render func() (*rendered, error)) (*rendered, error) {
	if p := s.get(key); p != nil {
		return p, nil
	}
	s.mu.Lock()
	if m := s.work[key]; m != nil {
		s.mu.Unlock()
		select {
		case <-m.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if m.err != nil && ctx.Err() == nil {
			return render() // it may have been the other client's end
		}
		return m.page, m.err
	}
	m := &making{done: make(chan struct{})}
	if s.work == nil {
		s.work = map[string]*making{}
	}
	s.work[key] = m
	s.mu.Unlock()
	m.page, m.err = s.make(ctx, key, keep && s.disk != nil, render)
	if m.err == nil {
		s.put(key, m.page)
	}
	s.mu.Lock()
	delete(s.work, key)
	s.mu.Unlock()
	close(m.done)
	return m.page, m.err
}

func (s *shelf) make(ctx context.Context, key string, keep bool, render func() (*rendered, error)) (*rendered, error) {
	if keep {
		if b, err := s.disk.Page(ctx, key); err == nil && b != nil {
			if p, err := unzipped(b); err == nil {
				return p, nil
			}
		}
	}
	p, err := render()
	if err != nil {
		return nil, err
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(p.plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	p.zip = z.Bytes()
	if keep {
		// Without it the page is rendered again one day.
		_ = s.disk.KeepPage(ctx, key, p.zipped())
	}
	return p, nil
}
