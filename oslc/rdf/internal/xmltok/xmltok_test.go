package xmltok_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/xmltok"
)

func TestIsCanonical(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"":                                true,
		"plain text":                      true,
		"a &amp; b":                       true,
		"a & b":                           false,
		"<b>x</b>":                        true,
		"<b>x":                            false,
		"x</b>":                           false,
		"<b/>":                            false, // canonical is <b></b>
		"<b></b><c></c> and text":         true,
		`<b a="1" c="2"></b>`:             true,
		`<b c="2" a="1"></b>`:             false,
		`<b a='1'></b>`:                   false,
		`<p:b></p:b>`:                     false, // does not stand alone
		`<p:b xmlns:p="http://p/"></p:b>`: true,
		`<p:b xmlns:p="http://p/" xmlns:q="http://q/"></p:b>`: false, // q is not used
		`<b xmlns="http://x/"><c></c></b>`:                    true,
		`<b xmlns="http://x/"><c xmlns=""></c></b>`:           true,
		`<b xmlns="http://x/"><c xmlns="http://x/"></c></b>`:  false,
		`<!--x--><?y z?>`:       true,
		`<?xml version="1.0"?>`: false,
		"<![CDATA[x]]>":         false,
		"a\rb":                  false,
		"a&#xD;b":               true,
		"&nbsp;":                false,
		"]]>":                   false,
		"<!DOCTYPE x>":          false,
	} {
		if got := xmltok.IsCanonical(s); got != want {
			t.Errorf("IsCanonical(%q) = %v", s, got)
		}
	}
}

func TestNamespaceScopes(t *testing.T) {
	t.Parallel()
	// Many bindings, some of them shadowed, so that the index is in use.
	var b strings.Builder
	b.WriteString("<r")
	for i := range 100 {
		fmt.Fprintf(&b, ` xmlns:n%d="http://outer/%d"`, i, i)
	}
	b.WriteString(`><n5:a xmlns:n5="http://inner/5" xmlns:m="http://m/" n6:x="1"><m:b/></n5:a><n5:c/></r>`)
	x := xmltok.New("test", b.String(), rdf.Limits{}.WithDefaults(100))
	var names []string
	for {
		k, err := x.Next()
		if err != nil {
			t.Fatal(err)
		}
		if k == xmltok.EOF {
			break
		}
		if k == xmltok.Start {
			names = append(names, x.Elem.NS+x.Elem.Local)
			for _, a := range x.Elem.Attrs {
				names = append(names, "@"+a.NS+a.Local)
			}
		}
	}
	const want = "r http://inner/5a @http://outer/6x http://m/b http://outer/5c"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	x = xmltok.New("test", strings.Replace(b.String(), "<n5:c/>", "<m:c/>", 1), rdf.Limits{}.WithDefaults(100))
	for {
		k, err := x.Next()
		if err != nil {
			break
		}
		if k == xmltok.EOF {
			t.Fatal("a prefix outlives its element")
		}
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{
		"", "x", "<", "<a", "<a>", "<a></b>", "<a/><b/>", "</a>", "<a b/>", "<a b=c/>", `<a b="1"c="2"/>`, `<a b="1" b="2"/>`,
		`<a xmlns:x="http://x/" xmlns:y="http://x/" x:b="1" y:b="2"/>`, `<a b="<"/>`, "<a>]]></a>", "<a>&x;</a>", "<a>&</a>",
		"<a>&#0;</a>", "<a>&#xD800;</a>", "<a>&#x110000;</a>", "<a>&#99999999999999999999;</a>", "<a><!-- -- --></a>",
		"<a><![CDATA[x</a>", "<a><?x</a>", "<a><? x?></a>", " <?xml version='1.0'?><a/>", "<!DOCTYPE a", "<!DOCTYPE a [", "<!DOCTYPE a><!DOCTYPE a><a/>",
		"<a><!DOCTYPE a></a>", "<a:b/>", "<a:/>", "<:a/>", "<1/>", `<a xmlns:xmlns="http://x/"/>`, `<a xmlns:x=""/>`,
		`<a xmlns:xml="http://x/"/>`, `<a xmlns="http://www.w3.org/2000/xmlns/"/>`, `<a xmlns:x="http://x/" xmlns:x="http://y/"/>`, "<a>\uFFFE</a>",
	} {
		x := xmltok.New("test", doc, rdf.Limits{}.WithDefaults(100))
		for i := 0; ; i++ {
			k, err := x.Next()
			if err != nil {
				break
			}
			if k == xmltok.EOF || i > 100 {
				t.Errorf("%q was read", doc)
				break
			}
		}
	}
}
