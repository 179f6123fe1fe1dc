package mongodb_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/adapters/mongodb/mongotest"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestFieldMapping(t *testing.T) {
	t.Parallel()
	m, err := mongodb.NewMapping(mongodb.CollectionConfig{
		Name: "things", Types: []string{"oslc_cm:ChangeRequest", "https://example.org/ns#Thing"}, Title: "title", Description: "s",
		Properties: []mongodb.PropertyConfig{
			{Path: "s", Predicate: "https://example.org/ns#s"},
			{Path: "i", Predicate: "https://example.org/ns#i"},
			{Path: "l", Predicate: "https://example.org/ns#l"},
			{Path: "d", Predicate: "https://example.org/ns#d"},
			{Path: "dec", Predicate: "https://example.org/ns#dec"},
			{Path: "b", Predicate: "https://example.org/ns#b"},
			{Path: "t", Predicate: "https://example.org/ns#t"},
			{Path: "doc", Predicate: "https://example.org/ns#doc"},
			{Path: "doc.a.2", Predicate: "https://example.org/ns#item"},
			{Path: "list", Predicate: "dcterms:subject"},
			{Path: "id", Predicate: "https://example.org/ns#id"},
			{Path: "nul", Predicate: "https://example.org/ns#nul"},
			{Path: "link", Predicate: "dcterms:references", Datatype: "iri"},
			{Path: "when", Predicate: "https://example.org/ns#when", Datatype: "xsd:dateTime"},
			{Path: "flag", Predicate: "https://example.org/ns#flag", Datatype: "xsd:boolean"},
			{Path: "count", Predicate: "https://example.org/ns#count", Datatype: "xsd:integer"},
			{Path: "size", Predicate: "https://example.org/ns#size", Datatype: "xsd:decimal"},
			{Path: "ratio", Predicate: "https://example.org/ns#ratio", Datatype: "xsd:double"},
			{Path: "lang", Predicate: "https://example.org/ns#lang", Datatype: "https://example.org/ns#code"},
		},
	}, "app", adapters.Options{Name: "app", BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	mongotest.Golden(t, "testdata", m, base+"/services/app/things/x", *update)
}

func TestBuild(t *testing.T) {
	t.Parallel()
	good := mongodb.CollectionConfig{Name: "c", Types: []string{"oslc_cm:ChangeRequest"}, Title: "t"}
	with := func(change func(*mongodb.CollectionConfig)) mongodb.Config {
		c := good
		change(&c)
		return mongodb.Config{
			Connection:  mongodb.Connection{URI: "mongodb://127.0.0.1/", Database: "d"},
			Collections: []mongodb.CollectionConfig{c},
		}
	}
	build := func(cfg mongodb.Config) (adapters.Adapter, error) {
		return mongodb.Build(func(v any) error { *v.(*mongodb.Config) = cfg; return nil }, adapters.Options{Name: "app", BaseURL: base})
	}
	ad, err := build(with(func(*mongodb.CollectionConfig) {}))
	if err != nil {
		t.Fatal(err)
	}
	if s := ad.Provider.Services; ad.Source == nil || len(s) != 1 || s[0].Domain != vocab.CM || s[0].Collections[0].Kind != "c" {
		t.Errorf("built %+v", ad.Provider)
	}
	file := filepath.Join(t.TempDir(), "uri")
	if err := os.WriteFile(file, []byte("mongodb://127.0.0.1/\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fromFile := with(func(*mongodb.CollectionConfig) {})
	fromFile.URI, fromFile.URIFile = "", file
	if _, err := build(fromFile); err != nil {
		t.Errorf("an address in a file: %v", err)
	}
	for want, change := range map[string]func(*mongodb.CollectionConfig){
		`collection "c": there is no mapping`: func(c *mongodb.CollectionConfig) { c.Types, c.Title = nil, "" },
		`collection "": name is missing`:      func(c *mongodb.CollectionConfig) { c.Name = "" },
		`"nowhere" is neither an IRI`:         func(c *mongodb.CollectionConfig) { c.Types = []string{"nowhere"} },
		`predicate of "p"`:                    func(c *mongodb.CollectionConfig) { c.Properties = []mongodb.PropertyConfig{{Path: "p"}} },
		`a property has no path`: func(c *mongodb.CollectionConfig) {
			c.Properties = []mongodb.PropertyConfig{{Predicate: "dcterms:subject"}}
		},
		`is set by the bus`: func(c *mongodb.CollectionConfig) {
			c.Properties = []mongodb.PropertyConfig{{Path: "p", Predicate: "dcterms:modified"}}
		},
		`datatype of "p"`: func(c *mongodb.CollectionConfig) {
			c.Properties = []mongodb.PropertyConfig{{Path: "p", Predicate: "dcterms:subject", Datatype: "no"}}
		},
		`kind "a/b" does not fit into a URI`: func(c *mongodb.CollectionConfig) { c.Kind = "a/b" },
	} {
		_, err := build(with(change))
		if !errors.Is(err, oslc.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	none := with(func(*mongodb.CollectionConfig) {})
	none.Collections = nil
	if _, err := build(none); !errors.Is(err, oslc.Invalid) {
		t.Errorf("no collections: %v", err)
	}
	noDatabase := with(func(*mongodb.CollectionConfig) {})
	noDatabase.Database = ""
	if _, err := build(noDatabase); err == nil || !strings.Contains(err.Error(), "database is missing") {
		t.Errorf("no database: %v", err)
	}
}
