package xmltok_test

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/xmltok"
	"pgregory.net/rapid"
)

// Names that are spelled alike are told apart by the declarations around them, however
// many others there are: encoding/xml, which keeps none, finds the same.
func TestNamesAreThoseOfTheirScope(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.Custom(func(t *rapid.T) string {
			local := fmt.Sprintf("%s%d", rapid.SampledFrom([]string{"a", "b", "é", "title"}).Draw(t, "stem"), rapid.IntRange(0, 300).Draw(t, "n"))
			return rapid.SampledFrom([]string{"", "p:", "q:"}).Draw(t, "prefix") + local
		})
		var b strings.Builder
		var write func(depth int)
		write = func(depth int) {
			n := name.Draw(t, "element")
			b.WriteString("<" + n)
			for i, p := range []string{"", ":p", ":q"} {
				if depth == 0 || rapid.IntRange(0, 5).Draw(t, "declared") == 0 {
					fmt.Fprintf(&b, ` xmlns%s="urn:%d:%d"`, p, i, rapid.IntRange(0, 2).Draw(t, "namespace"))
				}
			}
			if rapid.Bool().Draw(t, "attribute") {
				fmt.Fprintf(&b, ` %s="x"`, name.Draw(t, "name"))
			}
			b.WriteString(">")
			for range rapid.IntRange(0, max(0, 4-depth)).Draw(t, "children") {
				write(depth + 1)
			}
			b.WriteString("</" + n + ">")
		}
		write(0)

		var got, want []string
		x := xmltok.New("test", b.String(), rdf.Limits{}.WithDefaults(100))
		for k := xmltok.Start; k != xmltok.EOF; {
			var err error
			if k, err = x.Next(); err != nil {
				t.Fatalf("%v in %s", err, b.String())
			}
			if k == xmltok.Start {
				got = append(got, x.Elem.NS+" "+x.Elem.Local)
				for _, a := range x.Elem.Attrs {
					got = append(got, "@"+a.NS+" "+a.Local)
				}
			}
		}
		d := xml.NewDecoder(strings.NewReader(b.String()))
		for {
			token, err := d.Token()
			if err != nil {
				break
			}
			if e, ok := token.(xml.StartElement); ok {
				want = append(want, e.Name.Space+" "+e.Name.Local)
				for _, a := range e.Attr {
					if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
						want = append(want, "@"+a.Name.Space+" "+a.Name.Local)
					}
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s\n got %v\nwant %v", b.String(), got, want)
		}
	})
}
