package mongodb_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/internal/testkit"
)

func TestDelta_Apply(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before, set, unset, truncated, parts, want string // want "" stands for an error
	}{
		"a field":              {before: `{"a":1,"b":2}`, set: `{"a":3}`, want: `{"a":3,"b":2}`},
		"a new field":          {before: `{"a":1}`, set: `{"z":{"y":1}}`, want: `{"a":1,"z":{"y":1}}`},
		"another type":         {before: `{"a":1}`, set: `{"a":"x"}`, want: `{"a":"x"}`},
		"removed":              {before: `{"a":1,"b":2,"c":3}`, unset: `["a","c"]`, want: `{"b":2}`},
		"removed, not there":   {before: `{"a":1}`, unset: `["b"]`, want: `{"a":1}`},
		"dotted":               {before: `{"a":{"b":1,"c":2}}`, set: `{"a.b":5}`, want: `{"a":{"b":5,"c":2}}`},
		"dotted, new":          {before: `{"a":{"b":1}}`, set: `{"a.c":5}`, want: `{"a":{"b":1,"c":5}}`},
		"dotted, removed":      {before: `{"a":{"b":1,"c":2}}`, unset: `["a.b"]`, want: `{"a":{"c":2}}`},
		"item":                 {before: `{"a":[1,2,3]}`, set: `{"a.1":9}`, want: `{"a":[1,9,3]}`},
		"item behind the end":  {before: `{"a":[1]}`, set: `{"a.3":9}`, want: `{"a":[1,null,null,9]}`},
		"field of an item":     {before: `{"a":[{"b":1},{"b":2}]}`, set: `{"a.1.b":9}`, want: `{"a":[{"b":1},{"b":9}]}`},
		"number as a name":     {before: `{"a":{"0":1}}`, set: `{"a.0":9}`, want: `{"a":{"0":9}}`},
		"truncated":            {before: `{"a":[1,2,3],"b":1}`, truncated: `[{"field":"a","newSize":1}]`, want: `{"a":[1],"b":1}`},
		"truncated and longer": {before: `{"a":[1,2,3]}`, truncated: `[{"field":"a","newSize":1}]`, set: `{"a.1":7}`, want: `{"a":[1,7]}`},
		"truncated, inside":    {before: `{"a":{"b":[1,2]}}`, truncated: `[{"field":"a.b","newSize":0}]`, want: `{"a":{"b":[]}}`},
		"all at once": {
			before: `{"a":1,"b":{"c":1,"d":[1,2]},"e":1}`, set: `{"b.c":2,"f":1}`, unset: `["e"]`,
			truncated: `[{"field":"b.d","newSize":1}]`, want: `{"a":1,"b":{"c":2,"d":[1]},"f":1}`,
		},
		"dot in a name":              {before: `{"a.b":1,"a":{"b":1}}`, set: `{"a.b":2}`},
		"dot in a name, nothing":     {before: `{"c":1}`, set: `{"a.b":2}`},
		"dot in a name, told":        {before: `{"a.b":1,"a":{"b":1}}`, set: `{"a.b":2}`, parts: `{"a.b":["a.b"]}`, want: `{"a.b":2,"a":{"b":1}}`},
		"dot in a name, new, told":   {before: `{"c":1}`, set: `{"a.b":2}`, parts: `{"a.b":["a.b"]}`, want: `{"c":1,"a.b":2}`},
		"dots in both, told":         {before: `{"a.b":{"c.d":1}}`, set: `{"a.b.c.d":2}`, parts: `{"a.b.c.d":["a.b","c.d"]}`, want: `{"a.b":{"c.d":2}}`},
		"index, told":                {before: `{"a":[1,2]}`, set: `{"a.1":5}`, parts: `{"a.1":["a",1]}`, want: `{"a":[1,5]}`},
		"path through a scalar":      {before: `{"a":1}`, set: `{"a.b":2}`},
		"truncated, and no array":    {before: `{"a":1}`, truncated: `[{"field":"a","newSize":0}]`},
		"huge index":                 {before: `{"a":[]}`, set: `{"a.999999999":1}`},
		"a name in an array":         {before: `{"a":[1]}`, set: `{"a.x":1}`},
		"removed from an array":      {before: `{"a":[1,2]}`, unset: `["a.0"]`},
		"nothing":                    {before: `{"a":1}`, want: `{"a":1}`},
		"a name with a dot is there": {before: `{"x.y":1,"a":{"b":1}}`, set: `{"a.b":2}`, want: `{"x.y":1,"a":{"b":2}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := func(s string) mongodb.Doc {
				if s == "" {
					return nil
				}
				return doc(t, `{"v":%s}`, s).Lookup("v").Doc()
			}
			d := mongodb.Delta{Set: object(test.set), Unset: object(test.unset), Truncated: object(test.truncated), Parts: object(test.parts)}
			got, err := d.Apply(doc(t, "%s", test.before))
			if test.want == "" {
				if err == nil {
					t.Fatalf("got %s, want an error", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(doc(t, "%s", test.want), got); diff != "" {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// values draws documents with everything that makes paths difficult.
func values(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kinds := 5
		if depth > 0 {
			kinds = 7
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return rapid.Int32Range(0, 3).Draw(t, "int")
		case 1:
			return rapid.SampledFrom([]string{"", "x", "a.b", "longer than the others"}).Draw(t, "string")
		case 2:
			return rapid.Bool().Draw(t, "bool")
		case 3:
			return nil
		case 4:
			return 1.5
		case 5:
			var a bson.A
			for range rapid.IntRange(0, 4).Draw(t, "items") {
				a = append(a, values(depth-1).Draw(t, "item"))
			}
			return a
		default:
			return fields(depth-1).Draw(t, "document")
		}
	})
}

func fields(depth int) *rapid.Generator[bson.D] {
	return rapid.Custom(func(t *rapid.T) bson.D {
		d := bson.D{}
		for _, name := range []string{"a", "b", "0", "1", "a.b", "c"} {
			if rapid.IntRange(0, 2).Draw(t, "has "+name) > 0 {
				d = append(d, bson.E{Key: name, Value: values(depth).Draw(t, name)})
			}
		}
		return d
	})
}

// What a real server reports of a change, applied to our copy, gives what the
// server has, or is refused.
func TestDelta_appliesWhatServersReport(t *testing.T) {
	t.Parallel()
	db := realDatabase(t, testkit.Mongo(t))
	const name = "docs"
	if err := db.CreateCollection(t.Context(), name, options.CreateCollection().SetChangeStreamPreAndPostImages(bson.D{{Key: "enabled", Value: true}})); err != nil {
		t.Fatal(err)
	}
	stream, err := db.Watch(t.Context(), mongo.Pipeline{{{Key: "$match", Value: bson.D{{Key: "ns.coll", Value: name}}}}}, options.ChangeStream().
		SetFullDocument(options.Required).SetFullDocumentBeforeChange(options.WhenAvailable).SetShowExpandedEvents(true))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close(t.Context()) }()
	n, refused, deltas := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		id := fmt.Sprint(n)
		before := append(bson.D{{Key: "_id", Value: id}}, fields(3).Draw(rt, "before")...)
		after := append(bson.D{{Key: "_id", Value: id}}, fields(3).Draw(rt, "after")...)
		if rapid.Bool().Draw(rt, "little changes") {
			// Two unrelated documents are mostly reported as a replacement.
			after = append(bson.D{}, before...)
			for range rapid.IntRange(1, 2).Draw(rt, "changes") {
				if len(after) > 1 {
					i := rapid.IntRange(1, len(after)-1).Draw(rt, "which")
					after[i].Value = vary(rt, after[i].Value, 3)
				}
			}
		}
		if _, err := db.Collection(name).InsertOne(t.Context(), before); err != nil {
			rt.Fatal(err)
		}
		// An update by pipeline is reported as the difference that it makes.
		if _, err := db.Collection(name).UpdateOne(t.Context(), bson.D{{Key: "_id", Value: id}},
			mongo.Pipeline{{{Key: "$replaceWith", Value: bson.D{{Key: "$literal", Value: after}}}}}); err != nil {
			rt.Fatal(err)
		}
		if _, err := db.Collection(name).DeleteOne(t.Context(), bson.D{{Key: "_id", Value: id}}); err != nil {
			rt.Fatal(err)
		}
		for {
			if !stream.Next(t.Context()) {
				rt.Fatal(stream.Err())
			}
			event := mongodb.Doc(stream.Current)
			if event.Str("operationType") == mongodb.OpDelete {
				return
			}
			u := event.Lookup("updateDescription")
			if u.IsZero() {
				continue
			}
			deltas++
			d := mongodb.Delta{
				Set: u.Doc().Lookup("updatedFields").Doc(), Unset: u.Doc().Lookup("removedFields").Doc(),
				Truncated: u.Doc().Lookup("truncatedArrays").Doc(), Parts: u.Doc().Lookup("disambiguatedPaths").Doc(),
			}
			got, err := d.Apply(event.Lookup("fullDocumentBeforeChange").Doc())
			if err != nil {
				refused++
				continue
			}
			// The order of fields is not reported, and means nothing.
			want := event.Lookup("fullDocument").Doc()
			if diff := cmp.Diff(want.String(), got.String()); diff != "" {
				rt.Fatalf("after %s (-want +got):\n%s", event, diff)
			}
		}
	})
	t.Logf("%d updates, of which %d were refused as ambiguous", deltas, refused)
	if deltas == 0 || refused > deltas/2 {
		t.Errorf("%d of %d updates were refused", refused, deltas)
	}
}

// vary changes something inside v.
func vary(t *rapid.T, v any, depth int) any {
	switch v := v.(type) {
	case bson.D:
		if len(v) > 0 && depth > 0 {
			out := append(bson.D{}, v...)
			i := rapid.IntRange(0, len(out)-1).Draw(t, "field")
			if rapid.IntRange(0, 3).Draw(t, "drop") == 0 {
				return append(out[:i], out[i+1:]...)
			}
			out[i].Value = vary(t, out[i].Value, depth-1)
			return out
		}
	case bson.A:
		if len(v) > 0 && depth > 0 {
			out := append(bson.A{}, v...)
			switch rapid.IntRange(0, 2).Draw(t, "array") {
			case 0:
				return out[:rapid.IntRange(0, len(out)-1).Draw(t, "cut")]
			case 1:
				return append(out, values(1).Draw(t, "more"))
			}
			i := rapid.IntRange(0, len(out)-1).Draw(t, "item")
			out[i] = vary(t, out[i], depth-1)
			return out
		}
	}
	return values(1).Draw(t, "new")
}
