package jsontree_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/jsontree"
)

// FuzzDecode compares with encoding/json, which takes the same documents but for
// keys that stand twice, and reads the same from them.
func FuzzDecode(f *testing.F) {
	for _, doc := range []string{
		`{"a":[1,-0,2.5e-3,1E+5,true,false,null,"x\"\\\/\b\f\n\r\té€😀"],"b":{"c":[],"d":{}}}`, `"\ud83d\ude00\ud83dx\ude00\uD83D\uD83D\uDE00"`,
		" \t\r\n[ 1 , 2 ] ", "01", "1.", ".5", "-", "+1", "1e", "[1,]", `{"a":1,}`, `{"a" 1}`, `{a:1}`, `"\x"`, `"\u12"`, "\"\x01\"", `"`, "", "tru", "nulll", "[", "{", `{"a":1,"a":2}`, "\ufeff1", "\"\xff\"", "1 2",
		`{"0":0,"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0,"10":0,"11":0,"12":0,"13":0,"14":0,"15":0,"16":0,"17":0,"16":1}`,
	} {
		f.Add([]byte(doc))
	}
	lim := rdf.Limits{}.WithDefaults(rdf.DefaultMaxDepth)
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := jsontree.Decode("jsonld", data, lim)
		plain := bytes.TrimPrefix(data, []byte("\ufeff"))
		if err != nil {
			e, ok := errors.AsType[*rdf.SyntaxError](err)
			if !ok || e.Line == 0 {
				t.Fatalf("%v has no place", err)
			}
			if json.Valid(plain) && e.Kind == rdf.FaultSyntax && !strings.Contains(e.Msg, "twice") {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		d := json.NewDecoder(bytes.NewReader(plain))
		d.UseNumber()
		var want any
		if !json.Valid(plain) || d.Decode(&want) != nil {
			t.Fatalf("%q was read as %v", data, got)
		}
		if !reflect.DeepEqual(tree(got), want) {
			t.Fatalf("%q is %v, want %v", data, tree(got), want)
		}
	})
}

// tree is v as encoding/json has it.
func tree(v jsontree.Value) any {
	switch v := v.(type) {
	case []jsontree.Value:
		out := make([]any, len(v))
		for i := range v {
			out[i] = tree(v[i])
		}
		return out
	case *jsontree.Object:
		out := map[string]any{}
		for _, m := range v.Members {
			out[m.Key] = tree(m.Value)
		}
		return out
	}
	return v
}
