package mongodb

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// A held is the watcher's copy of a document.
type held struct {
	key string
	uri string
	// doc is the document, nil once it is deleted.
	doc Doc
	// at is the place up to which doc includes every change.
	at Place
	// ahead is set while doc was read at a later moment than the log has, and no
	// event has told of it.
	ahead bool
	// graph is the resource as the newest event showed it, or as doc maps when
	// no event was seen; nil until it is needed. fits is false when doc does not
	// map, so that graph, if any, stands for an earlier state.
	//
	// Between changes it is packed: there are many copies, and the garbage
	// collector would look through all of them each time.
	graph  *rdf.Graph
	packed rdf.Packed
	hidden []Hidden
	fits   bool
	// modified is the time of the newest event.
	modified time.Time
	// uses are the references that the mapping looked for.
	uses []useKey

	version int // counts the changes of this copy
	size    int
	open    bool // is in copies.recent
}

// measure estimates how much memory the copy takes once it rests.
func (h *held) measure() {
	h.size = len(h.doc) + len(h.packed) + 300
	if h.packed == "" {
		h.size += h.graph.Len() * packedTriple
	}
}

// packedTriple is about how many bytes a triple takes in a packed graph.
const packedTriple = 75

// resource returns the graph, or nil. It must not be changed.
func (h *held) resource() *rdf.Graph {
	if h.graph == nil && h.packed != "" {
		h.graph = h.packed.Graph()
	}
	return h.graph
}

// become makes g the graph; nil means none.
func (h *held) become(g *rdf.Graph) { h.graph, h.packed = g, "" }

// rest packs the graph until the next change.
func (h *held) rest() {
	if h.graph != nil && h.packed == "" {
		h.packed = rdf.Pack(h.graph)
	}
	h.graph = nil
}

// copies holds documents: the newest in memory, all of them in the cache, where
// there is one. Without a cache those that do not fit are forgotten, and read from
// the server when they change.
type copies struct {
	cache adapters.Cache
	limit int // bytes in memory, for young and old together

	// A copy that is used goes to young. When young has half of the limit it
	// becomes old, and what was old and not used since is let go.
	young, old map[string]*held
	youngSize  int
	// pinned are those of collections whose mapping has references.
	pinned map[string]*held
	// recent are those that changed last. They do not rest: what has changed often
	// changes again soon.
	recent [1024]*held
	turn   int // place in recent of the one that is next to rest
	// unsaved are those that the cache has in an older state.
	unsaved     map[string]*held
	unsavedSize int
}

func newCopies(cache adapters.Cache, limit int) *copies {
	return &copies{
		cache: cache, limit: limit,
		young: map[string]*held{}, old: map[string]*held{},
		pinned: map[string]*held{}, unsaved: map[string]*held{},
	}
}

// copyKey is the key of a document in the cache: "d", the number of its
// collection, the type of its _id and the _id.
func copyKey(collection int, id Value) string {
	b := make([]byte, 0, 3+len(id.Data))
	b = append(b, 'd', byte(collection), id.Type)
	return string(append(b, id.Data...))
}

func copyID(key string) Value { return Value{Type: key[2], Data: []byte(key[3:])} }

func collectionPrefix(collection int) string { return string([]byte{'d', byte(collection)}) }

// peek returns the copy if it is in memory.
func (c *copies) peek(key string) *held {
	if h := c.pinned[key]; h != nil {
		return h
	}
	if h := c.young[key]; h != nil {
		return h
	}
	if h := c.old[key]; h != nil {
		delete(c.old, key)
		c.toYoung(h)
		return h
	}
	if h := c.unsaved[key]; h != nil {
		c.toYoung(h)
		return h
	}
	return nil
}

// get returns the copy from memory or the cache, or nil.
func (c *copies) get(ctx context.Context, key string) (*held, error) {
	if h := c.peek(key); h != nil || c.cache == nil {
		return h, nil
	}
	value, err := c.cache.Get(ctx, key)
	if err != nil || value == nil {
		return nil, err
	}
	h, err := decodeHeld(key, value)
	if err != nil {
		return nil, err
	}
	c.toYoung(h)
	return h, nil
}

// put takes a copy that changed.
func (c *copies) put(h *held, pin bool) {
	h.version++
	before := h.size
	c.rouse(h)
	h.measure()
	if c.cache != nil {
		if c.unsaved[h.key] == h {
			c.unsavedSize -= before
		}
		c.unsaved[h.key] = h
		c.unsavedSize += h.size
	}
	switch {
	case h.doc == nil && c.cache == nil:
		delete(c.pinned, h.key)
		delete(c.young, h.key)
		delete(c.old, h.key)
	case pin:
		c.pinned[h.key] = h
	case c.young[h.key] == h:
		c.youngSize += h.size - before
	default:
		delete(c.old, h.key)
		c.toYoung(h)
	}
}

// rouse makes h one of the recent copies, and lets another one rest.
func (c *copies) rouse(h *held) {
	if h.open {
		return
	}
	if last := c.recent[c.turn]; last != nil {
		last.rest()
		last.open = false
	}
	c.recent[c.turn], h.open = h, true
	c.turn = (c.turn + 1) % len(c.recent)
}

func (c *copies) toYoung(h *held) {
	if c.pinned[h.key] != nil {
		return
	}
	if h.size == 0 {
		h.measure()
	}
	c.young[h.key] = h
	c.youngSize += h.size
	if c.youngSize > c.limit/2 {
		c.old, c.young, c.youngSize = c.young, make(map[string]*held), 0
	}
}

// A write is what a save stores of one copy.
type write struct {
	h       *held
	version int
}

// toSave returns what the cache lacks, and what to remember until it has it.
func (c *copies) toSave() (map[string][]byte, []write) {
	writes := make(map[string][]byte, len(c.unsaved)+2)
	saved := make([]write, 0, len(c.unsaved))
	for key, h := range c.unsaved {
		writes[key] = h.encode()
		saved = append(saved, write{h, h.version})
	}
	return writes, saved
}

// saved notes that the cache has these.
func (c *copies) saved(writes []write) {
	for _, w := range writes {
		if c.unsaved[w.h.key] == w.h && w.h.version == w.version {
			delete(c.unsaved, w.h.key)
			c.unsavedSize -= w.h.size
			if w.h.doc == nil {
				delete(c.young, w.h.key)
				delete(c.old, w.h.key)
				delete(c.pinned, w.h.key)
			}
		}
	}
}

// each yields every copy of a collection.
func (c *copies) each(ctx context.Context, collection int, yield func(*held)) error {
	prefix := collectionPrefix(collection)
	seen := map[string]bool{}
	for _, m := range []map[string]*held{c.pinned, c.young, c.old, c.unsaved} {
		for key, h := range m {
			if strings.HasPrefix(key, prefix) && !seen[key] {
				seen[key] = true
				if h.doc != nil {
					yield(h)
				}
			}
		}
	}
	if c.cache == nil {
		return nil
	}
	for e, err := range c.cache.All(ctx) {
		if err != nil {
			return err
		}
		if !strings.HasPrefix(e.Key, prefix) || seen[e.Key] {
			continue
		}
		h, err := decodeHeld(e.Key, e.Value)
		if err != nil {
			return err
		}
		if h.doc != nil {
			yield(h)
		}
	}
	return nil
}

// clear empties memory and cache.
func (c *copies) clear(ctx context.Context) error {
	*c = *newCopies(c.cache, c.limit)
	if c.cache == nil {
		return nil
	}
	const atOnce = 5000
	writes := map[string][]byte{}
	// The note that the cache is valid goes first: what is left after a crash is
	// then not taken for a whole.
	if err := c.cache.Put(ctx, map[string][]byte{metaKey: nil}); err != nil {
		return err
	}
	var keys []string
	for e, err := range c.cache.All(ctx) {
		if err != nil {
			return err
		}
		if e.Key != epochKey {
			keys = append(keys, e.Key)
		}
	}
	for i, key := range keys {
		writes[key] = nil
		if len(writes) == atOnce || i == len(keys)-1 {
			if err := c.cache.Put(ctx, writes); err != nil {
				return err
			}
			clear(writes)
		}
	}
	return nil
}

// metaKey is the entry of the cache that says what the others are: a cursor that
// stands where they stand.
const metaKey = "meta"

// heldVersion begins each stored copy.
const heldVersion = 1

// encode returns what the cache keeps: version, place, time of the newest event,
// document. A deleted document is removed from the cache: nil.
func (h *held) encode() []byte {
	if h.doc == nil {
		return nil
	}
	b := make([]byte, 0, 1+8+8+2+len(h.at.Token)+len(h.doc))
	b = append(b, heldVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(h.at.Time))
	var modified int64
	if !h.modified.IsZero() {
		modified = h.modified.UnixMilli()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(modified))
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.at.Token)))
	b = append(b, h.at.Token...)
	return append(b, h.doc...)
}

var errStored = errors.New("a stored copy cannot be read")

func decodeHeld(key string, b []byte) (*held, error) {
	const head = 1 + 8 + 8 + 2
	if len(key) < 3 || len(b) < head || b[0] != heldVersion {
		return nil, errStored
	}
	h := &held{key: key}
	h.at.Time = ClusterTime(binary.BigEndian.Uint64(b[1:]))
	if ms := int64(binary.BigEndian.Uint64(b[9:])); ms != 0 {
		h.modified = time.UnixMilli(ms).UTC()
	}
	n := int(binary.BigEndian.Uint16(b[17:]))
	if len(b) < head+n+5 {
		return nil, errStored
	}
	h.at.Token = string(b[head : head+n])
	h.doc = Doc(b[head+n:]).Clone()
	if int(binary.LittleEndian.Uint32(h.doc)) != len(h.doc) {
		return nil, errStored
	}
	return h, nil
}
