package trs_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// edit returns a Feed.Edit for documents of a kind.
func edit(kind string, change func(g *rdf.Graph, uri string) *rdf.Graph) func(string, string, *rdf.Graph) *rdf.Graph {
	return func(k, uri string, g *rdf.Graph) *rdf.Graph {
		if k != kind && kind != "" {
			return g
		}
		return change(g, uri)
	}
}

// each rewrites every triple of a graph, and drops those without a subject.
func each(change func(t rdf.Triple) rdf.Triple) func(*rdf.Graph, string) *rdf.Graph {
	return func(g *rdf.Graph, _ string) *rdf.Graph {
		out := rdf.NewGraph()
		for t := range g.All() {
			if t = change(t); !t.S.IsZero() {
				out.AddTriple(t)
			}
		}
		return out
	}
}

func without(p string) func(*rdf.Graph, string) *rdf.Graph {
	return func(g *rdf.Graph, _ string) *rdf.Graph {
		return g.Without(func(t rdf.Triple) bool { return t.P.Value == p })
	}
}

// once answers the nth request for a path with a status, and lets the others be.
func nth(path string, n, status int, header ...string) func(w http.ResponseWriter, r *http.Request) bool {
	var mu sync.Mutex
	count := 0
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, path) {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if count++; count != n {
			return false
		}
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		return true
	}
}

const oldTRS = "http://jazz.net/ns/trs#"

// old writes a document in the dialect before TRS 2.0.
func old(kind string, g *rdf.Graph) *rdf.Graph {
	rename := func(s string) string {
		if name, ok := strings.CutPrefix(s, vocab.TRS); ok {
			return oldTRS + name
		}
		return s
	}
	out, lists := rdf.NewGraph(), map[rdf.Term][]rdf.Term{}
	for t := range g.All() {
		switch t.P.Value {
		case vocab.TRSChange:
			lists[t.S] = append(lists[t.S], t.O)
			continue
		case vocab.LDPMember, vocab.LDPHasMemberRelation, vocab.LDPMembershipResource:
			continue
		}
		t.P.Value = rename(t.P.Value)
		if t.P.Value == rdf.Type {
			t.O.Value = rename(t.O.Value)
		}
		out.AddTriple(t)
	}
	for log, events := range lists {
		at, p := log, oldTRS+"changes"
		for i, e := range events {
			next := rdf.NewBlank(fmt.Sprintf("%s%d", kind, i))
			out.Add(at, p, next)
			out.Add(next, rdf.First, e)
			at, p = next, rdf.Rest
		}
		out.Add(at, p, rdf.NewIRI(rdf.Nil))
	}
	return out
}
