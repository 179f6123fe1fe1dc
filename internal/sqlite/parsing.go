package sqlite

import (
	"bytes"
	"errors"
	"sync"

	"github.com/oslcbus/oslcbus/oslc/query"
)

// parsing reads the graphs of members beside the goroutine that adds them, so that they
// are read while the database looks for the next ones.
type parsing struct {
	views   *Views
	n       int // members added
	batches []*parsedBatch
	started int // of the batches
	done    sync.WaitGroup
}

// parsedAtOnce is how many graphs one goroutine reads. A page that has no more begins
// none.
const parsedAtOnce = 16

// buffers are for the text of batches.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

type parsedBatch struct {
	members []query.Member
	at      []int         // on the page
	text    *bytes.Buffer // from buffers
	ends    []int         // of the graphs in text
	err     error
}

// add adds the member that comes at a place of the page, with its graph as it is stored,
// which it copies.
func (p *parsing) add(at int, m query.Member, graph []byte) {
	if p.n%parsedAtOnce == 0 {
		p.start()
		p.batches = append(p.batches, &parsedBatch{
			members: make([]query.Member, 0, parsedAtOnce),
			text:    buffers.Get().(*bytes.Buffer),
		})
	}
	b := p.batches[len(p.batches)-1]
	b.members, b.at = append(b.members, m), append(b.at, at)
	b.text.Write(graph)
	b.ends = append(b.ends, b.text.Len())
	p.n++
}

// start begins to read the batches that are full.
func (p *parsing) start() {
	for ; p.started < len(p.batches); p.started++ {
		b := p.batches[p.started]
		p.done.Go(func() { b.parse(p.views) })
	}
}

func (b *parsedBatch) parse(v *Views) {
	text, begin := b.text.Bytes(), 0
	for i, end := range b.ends {
		g, err := v.parse(text[begin:end])
		b.members[i].Graph, b.err = g, errors.Join(b.err, err)
		begin = end
	}
	b.text.Reset()
	buffers.Put(b.text)
	b.text = nil
}

// end returns the members in their places.
func (p *parsing) end() ([]query.Member, error) {
	if p.started < len(p.batches) {
		p.batches[p.started].parse(p.views)
	}
	p.done.Wait()
	members := make([]query.Member, p.n)
	for _, b := range p.batches {
		if b.err != nil {
			return nil, b.err
		}
		for i, at := range b.at {
			members[at] = b.members[i]
		}
	}
	return members, nil
}
