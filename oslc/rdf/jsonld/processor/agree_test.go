package processor_test

import (
	"encoding/json"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld/processor"
	"pgregory.net/rapid"
)

// What the reader in package jsonld reads is the same graph to the processor.
func TestReadersAgree(t *testing.T) {
	t.Parallel()
	read := 0
	rapid.Check(t, func(t *rapid.T) {
		doc := node(t, 3)
		doc["@context"] = context(t)
		var top any = doc
		if rapid.Bool().Draw(t, "graph") {
			top = map[string]any{"@context": doc["@context"], "@graph": []any{without(doc), node(t, 1)}}
		}
		data, err := json.Marshal(top)
		if err != nil {
			t.Fatal(err)
		}
		got, err := jsonld.Parse(data, "http://base/doc", rdf.Limits{})
		if err != nil {
			return
		}
		want, err := processor.Parse(data, "http://base/doc", rdf.Limits{})
		if err != nil {
			t.Fatalf("%s: the processor refuses it: %v", data, err)
		}
		if same, err := canon.Isomorphic(got, want); err == nil && !same {
			x, _ := canon.NQuads(got)
			y, _ := canon.NQuads(want)
			t.Fatalf("%s\nthe reader says\n%s\nthe processor says\n%s", data, x, y)
		}
		read++
	})
	if read < 30 {
		t.Errorf("only %d documents were read", read)
	}
}

func without(doc map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range doc {
		if k != "@context" {
			out[k] = v
		}
	}
	return out
}

func context(t *rapid.T) map[string]any {
	all := map[string]any{
		"e": "http://e.example/", "n": "http://n.example/x#", "term": "http://t.example/term",
		"@vocab": "http://v.example/", "@language": "de", "@base": "http://b.example/x/y",
	}
	out := map[string]any{}
	for _, k := range []string{"e", "n", "term", "@vocab", "@language", "@base"} {
		if rapid.Bool().Draw(t, "has "+k) {
			out[k] = all[k]
		}
	}
	return out
}

func node(t *rapid.T, depth int) map[string]any {
	out := map[string]any{}
	if rapid.Bool().Draw(t, "named") {
		out["@id"] = rapid.SampledFrom([]string{"http://a.example/1", "e:1", "_:x", "_:y", "rel", "../up", "#frag", "n:z"}).Draw(t, "id")
	}
	if rapid.Bool().Draw(t, "typed") {
		out["@type"] = rapid.SampledFrom([]any{"e:T", "http://a.example/U", []any{"n:V", "W"}, "_:t"}).Draw(t, "type")
	}
	for range rapid.IntRange(0, 3).Draw(t, "members") {
		key := rapid.SampledFrom([]string{"e:p", "n:q", "term", "plain", "http://a.example/p", "_:p"}).Draw(t, "key")
		out[key] = value(t, depth)
	}
	return out
}

func value(t *rapid.T, depth int) any {
	kinds := 7
	if depth > 0 {
		kinds = 11
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return "text"
	case 1:
		return rapid.SampledFrom([]any{5, -3, 2.5, 1e21, 0.1, 123456, 1e3}).Draw(t, "number")
	case 2:
		return true
	case 3:
		return nil
	case 4:
		return map[string]any{"@value": "x", "@language": "en"}
	case 5:
		return map[string]any{"@value": rapid.SampledFrom([]any{"x", 5, 2.5, false}).Draw(t, "v"), "@type": rapid.SampledFrom([]string{
			"e:dt", "http://a.example/dt", rdf.XSDDouble, rdf.XSDInteger,
		}).Draw(t, "datatype")}
	case 6:
		return map[string]any{"@id": rapid.SampledFrom([]string{"http://a.example/2", "e:2", "_:x", "rel"}).Draw(t, "link")}
	case 7:
		return node(t, depth-1)
	case 8:
		return []any{value(t, depth-1), value(t, depth-1)}
	case 9:
		return map[string]any{"@list": []any{value(t, depth-1), value(t, depth-1)}}
	}
	return map[string]any{"@set": []any{value(t, depth-1)}}
}
