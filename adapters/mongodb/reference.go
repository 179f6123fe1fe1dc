package mongodb

import (
	"bytes"
	"fmt"
	"slices"
)

// A useKey names a document of a referenced collection by its key.
type useKey struct {
	collection int
	key        string
}

// references holds the kept fields of every document of the referenced
// collections, and who looked for which.
type references struct {
	list []Reference
	docs []refDocs
	// users are the copies whose mapping looked for a document, also for one that
	// is not there.
	users map[useKey]map[*held]struct{}
	// changed is set for collections that the cache has in an older state.
	changed []bool
}

type refDocs struct {
	byID  map[string]Doc // _id -> kept fields and _id
	byKey map[string]string
}

func newReferences(list []Reference) *references {
	r := &references{list: list, users: map[useKey]map[*held]struct{}{}, changed: make([]bool, len(list))}
	for range list {
		r.docs = append(r.docs, refDocs{byID: map[string]Doc{}, byKey: map[string]string{}})
	}
	return r
}

func (r *references) keep(i int, d Doc) Doc {
	return d.Pick(append([]string{"_id", r.list[i].Key}, r.list[i].Fields...)...)
}

func idKey(id Value) string { return string(append([]byte{id.Type}, id.Data...)) }

// set stores a document's newest state; nil removes it. It returns the keys that
// now lead to something else.
func (r *references) set(i int, id Value, d Doc) []useKey {
	docs := r.docs[i]
	ik := idKey(id)
	old := docs.byID[ik]
	if d != nil {
		d = r.keep(i, d)
	}
	if bytes.Equal(old, d) {
		return nil
	}
	r.changed[i] = true
	var keys []useKey
	if old != nil {
		key := old.field(r.list[i].Key).Text()
		if docs.byKey[key] == ik {
			delete(docs.byKey, key)
		}
		delete(docs.byID, ik)
		keys = append(keys, useKey{i, key})
	}
	if d != nil {
		key := d.field(r.list[i].Key).Text()
		docs.byID[ik], docs.byKey[key] = d, ik
		if len(keys) == 0 || keys[0].key != key {
			keys = append(keys, useKey{i, key})
		}
	}
	return keys
}

// update applies a delta to a document; ok is false when it has to be read.
func (r *references) update(i int, id Value, delta *Delta) (keys []useKey, ok bool) {
	old := r.docs[i].byID[idKey(id)]
	if old == nil || delta.isZero() {
		return nil, false
	}
	// A path into a field that is not kept changes nothing here, and a path into
	// one that is finds it whole.
	d, err := delta.only(append([]string{r.list[i].Key}, r.list[i].Fields...)).Apply(old)
	if err != nil {
		return nil, false
	}
	return r.set(i, id, d), true
}

// user looks things up for the mapping of one copy and notes what it looked for.
type user struct {
	*references
	uses []useKey
}

func (u *user) Find(collection, key string) (Doc, bool) {
	for i := range u.list {
		if u.list[i].Name != collection {
			continue
		}
		u.uses = append(u.uses, useKey{i, key})
		d, ok := u.docs[i].byID[u.docs[i].byKey[key]]
		return d, ok
	}
	return nil, false
}

// note replaces what h uses.
func (r *references) note(h *held, uses []useKey) {
	if slices.Equal(h.uses, uses) {
		return
	}
	for _, k := range h.uses {
		delete(r.users[k], h)
	}
	h.uses = uses
	for _, k := range uses {
		if r.users[k] == nil {
			r.users[k] = map[*held]struct{}{}
		}
		r.users[k][h] = struct{}{}
	}
}

func refKey(i int) string { return fmt.Sprintf("r%d", i) }

// encode returns all kept documents of a collection, one after the other.
func (r *references) encode(i int) []byte {
	b := []byte{heldVersion}
	for _, d := range r.docs[i].byID {
		b = append(b, d...)
	}
	return b
}

func (r *references) decode(i int, b []byte) error {
	if len(b) == 0 || b[0] != heldVersion {
		return errStored
	}
	for b = b[1:]; len(b) > 0; {
		size := sizeOf(TypeDocument, b)
		if size < 5 {
			return errStored
		}
		d := Doc(b[:size]).Clone()
		r.set(i, d.field("_id"), d)
		b = b[size:]
	}
	r.changed[i] = false
	return nil
}
