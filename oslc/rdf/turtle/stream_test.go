package turtle_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/turtle"
)

func ExampleDecoder() {
	const doc = `@prefix ex: <http://ex.org/> . ex:a ex:knows ex:b, ex:c . ex:b ex:age 7 .`
	d := turtle.NewDecoder(strings.NewReader(doc), "", rdf.Limits{})
	for {
		t, err := d.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(t.S.Value, t.O.Value)
	}
	// Output:
	// http://ex.org/a http://ex.org/b
	// http://ex.org/a http://ex.org/c
	// http://ex.org/b 7
}

func ExampleEncoder() {
	var out bytes.Buffer
	e := turtle.NewEncoder(&out, nil)
	a := rdf.NewIRI("http://ex.org/a")
	for _, t := range []rdf.Triple{
		{S: a, P: rdf.NewIRI(rdf.Type), O: rdf.NewIRI("http://xmlns.com/foaf/0.1/Person")},
		{S: a, P: rdf.NewIRI("http://xmlns.com/foaf/0.1/name"), O: rdf.String("Ann")},
	} {
		if err := e.Encode(t); err != nil {
			fmt.Println(err)
		}
	}
	if err := e.Close(); err != nil {
		fmt.Println(err)
	}
	_, body, _ := strings.Cut(out.String(), "\n\n") // the prefixes
	fmt.Print(body)
	// Output:
	// <http://ex.org/a> a foaf:Person ;
	//     foaf:name "Ann" .
}

const base = "http://base.example/doc"

// read reads a document with a Decoder whose window is step bytes.
func read(r io.Reader, step int) (*rdf.Graph, error) {
	d := turtle.NewDecoder(r, base, rdf.Limits{MaxBytes: 1 << 20})
	d.SetStep(step)
	g := rdf.NewGraph()
	for {
		t, err := d.Next()
		if errors.Is(err, io.EOF) {
			return g, nil
		}
		if err != nil {
			return nil, err
		}
		g.AddTriple(t)
	}
}

// documents are those of the W3C, right and wrong, and of OSLC projects.
func documents(tb testing.TB) map[string][]byte {
	tb.Helper()
	out := map[string][]byte{}
	for _, pattern := range []string{
		testkit.Shared(tb, "testdata", "rdf-tests", "rdf-turtle") + "/*.ttl",
		testkit.Shared(tb, "testdata", "oslc", "turtle") + "/*.ttl",
	} {
		files, _ := filepath.Glob(pattern)
		if len(files) < 40 {
			tb.Fatalf("%s: %d documents", pattern, len(files))
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				tb.Fatal(err)
			}
			out[filepath.Base(file)] = data
		}
	}
	return out
}

// However little of a document a Decoder sees at once, it reads what Parse reads
// and finds the same faults in the same places.
func TestDecoderReadsWhatParseReads(t *testing.T) {
	t.Parallel()
	for name, data := range documents(t) {
		for _, step := range []int{1, 7, 64, 1 << 20} {
			if step < 64 && len(data) > 4096 {
				continue // each byte more is looked at from the start of the statement
			}
			sameAsParse(t, fmt.Sprintf("%s by %d", name, step), data, step)
		}
	}
}

func sameAsParse(tb testing.TB, name string, data []byte, step int) {
	tb.Helper()
	want, wrong := turtle.Parse(data, base, rdf.Limits{MaxBytes: 1 << 20})
	got, err := read(iotest.OneByteReader(bytes.NewReader(data)), step)
	if wrong != nil || err != nil {
		if fmt.Sprint(err) != fmt.Sprint(wrong) {
			tb.Errorf("%s: the error is %v, want %v\n%q", name, err, wrong, data)
		}
		return
	}
	x, err1 := canon.NQuadsWithin(got, 2000)
	y, err2 := canon.NQuadsWithin(want, 2000)
	if err1 == nil && err2 == nil && string(x) != string(y) {
		tb.Errorf("%s: another graph\n%q\ngot\n%s\nwant\n%s", name, data, x, y)
	}
}

func TestDecoderAtTheEdgeOfItsWindow(t *testing.T) {
	t.Parallel()
	const p = "@prefix a: <http://a/> . "
	for _, doc := range []string{
		"", "# only\n", "\ufeff" + p + "a:b a:c 1 .", p + "a:b a:c 1.5e3 .", p + "a:b a:c 1.e3 .", p + "a:b a:c 1 . a:d a:c 1.",
		p + "a:b a:c a:d.e . a:f a:c a:g.", p + "a:b a:c a:d...e .", p + "a:b a:c \"é€😀\"@en-GB . # é\n# last", p + "_:b1 a:c _:x.y, [], _:xb1, [a:c []] .",
		"PREFIX a: <http://a/> BASE <http://b/> <c> a:d true.", p + "a:b a:c \"\"\"a\n.\n\"\"\" .", p + "a:b a:c 'x' ; ; .", p + "a:b a:c 1 ,", p + "a:b a:c \"x", "\xff", p + "a:b a:c \"\xe2\x82",
		strings.Repeat("\n", 50) + p + "\n a:b a:c % .",
	} {
		for step := 1; step < 40; step++ {
			sameAsParse(t, fmt.Sprintf("step %d", step), []byte(doc), step)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	for _, data := range documents(f) {
		if len(data) < 2048 {
			f.Add(data, 5)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		if len(data) > 4096 {
			return
		}
		sameAsParse(t, "fuzz", data, 1+step&0xff)
	})
}

// What an Encoder writes is the graph it was given, whatever comes next to what.
func TestEncoderWritesWhatDecoderReads(t *testing.T) {
	t.Parallel()
	for name, data := range documents(t) {
		want, err := turtle.Parse(data, base, rdf.Limits{})
		if err != nil {
			continue
		}
		var out bytes.Buffer
		e := turtle.NewEncoder(&out, map[string]string{"": "http://empty.example/", "ex": "http://example/", "bad prefix": "http://x/", "oslc": "http://taken/"})
		for _, tr := range want.Triples() {
			if err := e.Encode(tr); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if err := e.Encode(rdf.Triple{S: rdf.NewIRI("a b"), P: rdf.NewIRI(rdf.Type), O: rdf.NewIRI(rdf.Nil)}); !errors.As(err, new(*rdf.WriteError)) {
			t.Errorf("a malformed subject gives %v", err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := turtle.Parse(out.Bytes(), "", rdf.Limits{})
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out.Bytes())
		}
		if same, err := canon.Isomorphic(got, want); err == nil && !same {
			t.Errorf("%s: another graph\n%s", name, out.Bytes())
		}
	}
}

// A document that is longer than the memory it may take.
func TestDecoderTakesBoundedMemory(t *testing.T) {
	const statement = "ex:s%d a ex:Thing ; ex:p \"a value of some length\", [ ex:q %d ], _:x%d .\n"
	r, w := io.Pipe()
	defer r.Close()
	const statements = 300_000
	go func() {
		fmt.Fprint(w, "@prefix ex: <http://ex.org/> .\n")
		for i := range statements {
			if _, err := fmt.Fprintf(w, statement, i, i, i); err != nil {
				return
			}
		}
		w.Close()
	}()
	d := turtle.NewDecoder(r, "", rdf.Limits{})
	e := turtle.NewEncoder(io.Discard, nil)
	n, most := 0, uint64(0)
	for {
		tr, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Encode(tr); err != nil {
			t.Fatal(err)
		}
		if n++; n%200_000 == 0 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	if n != 5*statements {
		t.Errorf("%d triples", n)
	}
	if most > 64<<20 {
		t.Errorf("%d bytes of the heap are in use", most)
	}
}

func TestDecoderRefusesWhatIsTooLong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ doc, want string }{
		"literal":   {`<http://a> <http://b> """` + strings.Repeat("x\n", 1<<20), "string without an end"},
		"statement": {"\n<http://a> <http://b> " + strings.Repeat(`"`+strings.Repeat("x", 100)+`", `, 1<<15), "line 2, column 1: statement too long"},
		"early":     {`<http://a> <http://b> % .` + strings.Repeat(" ", 3<<20), "column 23: expected a term"},
		"comment":   {"#" + strings.Repeat("x", 3<<20), "statement too long"},
	} {
		_, err := read(strings.NewReader(c.doc), 1<<16)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	broken := errors.New("the line broke")
	if _, err := read(io.MultiReader(strings.NewReader("<http://a> "), iotest.ErrReader(broken)), 64); !errors.Is(err, broken) {
		t.Errorf("a reader that fails gives %v", err)
	}
}
