package ntriples_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/ntriples"
)

func ExampleDecoder() {
	const doc = `<http://ex.org/a> <http://ex.org/p> "x" .
<http://ex.org/a> <http://ex.org/p> _:y .
`
	d := ntriples.NewDecoder(strings.NewReader(doc), rdf.Limits{})
	e := ntriples.NewEncoder(os.Stdout)
	for {
		t, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = e.Encode(t)
		}
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := e.Flush(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// <http://ex.org/a> <http://ex.org/p> "x" .
	// <http://ex.org/a> <http://ex.org/p> _:y .
}

func sameAsParse(tb testing.TB, name string, data []byte, step int) {
	tb.Helper()
	want, wrong := ntriples.Parse(data, rdf.Limits{MaxBytes: 1 << 20})
	d := ntriples.NewDecoder(iotest.OneByteReader(bytes.NewReader(data)), rdf.Limits{MaxBytes: 1 << 20})
	d.SetStep(step)
	var out bytes.Buffer
	e := ntriples.NewEncoder(&out)
	got := rdf.NewGraph()
	var err error
	for err == nil {
		var t rdf.Triple
		if t, err = d.Next(); err == nil {
			got.AddTriple(t)
			if err := e.Encode(t); err != nil {
				tb.Errorf("%s: %v", name, err)
			}
		}
	}
	if again := func() error { _, err := d.Next(); return err }(); again != err { //nolint:errorlint // it is the same error
		tb.Errorf("%s: %v and then %v", name, err, again)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if wrong != nil || err != nil {
		if fmt.Sprint(err) != fmt.Sprint(wrong) {
			tb.Errorf("%s: the error is %v, want %v\n%q", name, err, wrong, data)
		}
		return
	}
	if err := e.Flush(); err != nil {
		tb.Fatal(err)
	}
	written, err := ntriples.Parse(out.Bytes(), rdf.Limits{})
	if err != nil {
		tb.Fatalf("%s: %v\n%s", name, err, out.Bytes())
	}
	for _, g := range [2]*rdf.Graph{got, written} {
		if same, err := canon.Isomorphic(g, want); err == nil && !same {
			tb.Errorf("%s: another graph\n%q", name, data)
		}
	}
}

// However little of a document a Decoder sees at once, it reads what Parse reads
// and finds the same faults in the same places.
func TestDecoderReadsWhatParseReads(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob(filepath.Join(testkit.Shared(t, "testdata", "rdf-tests", "rdf-n-triples"), "*.nt"))
	if len(files) < 70 {
		t.Errorf("%d documents", len(files))
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []int{1, 3, 10, 1000} {
			sameAsParse(t, filepath.Base(file), data, step)
		}
	}
	for _, doc := range []string{
		"", "#", "# a\n#b", "\ufeff#", "<http://a> <http://b> _:x.", "<http://a> <http://b> _:x. # é", "<http://a> <http://b> _:x.y .\n \t#c\r\n_:b0<http://b>_:b1.",
		"<http://a> <http://b> \"x\"@en-GB.", "<http://a> <http://b> \"x\"@en .  .", "\n\n<http://a> <http://b> <c> .", "\xff", "<http://a> <http://b> \"\xe2\x82", "<http://a> <http://b> \"x",
		"<http://a> <http://b> _:x..", "<http://a> <http://b> \"\\u00e9\"^^<http://c> .\n<http://a>",
	} {
		for step := 1; step < 50; step++ {
			sameAsParse(t, "own", []byte(doc), step)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte("<http://a> <http://b> _:x.y .\n# c\r\n_:b0<http://b>\"é\"@en.\n"), 5)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		if len(data) <= 4096 {
			sameAsParse(t, "fuzz", data, 1+step&0xff)
		}
	})
}

func TestEncoderTellsOfABrokenLine(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	r.Close()
	e := ntriples.NewEncoder(w)
	tr := rdf.Triple{S: rdf.NewIRI("http://a"), P: rdf.NewIRI("http://b"), O: rdf.String(strings.Repeat("x", 1<<17))}
	if err := e.Encode(tr); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the first error is %v", err)
	}
	if err := e.Flush(); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the second error is %v", err)
	}
}

// A triple that cannot be written is left out, and the others are not touched.
func TestEncoderLeavesOutWhatItCannotWrite(t *testing.T) {
	t.Parallel()
	a, b := rdf.NewIRI("http://a"), rdf.NewIRI("http://b")
	var out bytes.Buffer
	e := ntriples.NewEncoder(&out)
	for _, tr := range []rdf.Triple{
		{S: a, P: b, O: rdf.String("1")},
		{S: rdf.NewIRI("a b"), P: b, O: a},
		{S: a, P: b, O: rdf.String("2")},
		{S: rdf.InLanguage("x", "-"), P: b, O: a},
		{S: b, P: b},
		{S: b, P: b, O: a},
		{P: b, O: a},
		{S: rdf.InLanguage("xyz", "-"), P: b, O: a},
		{S: b, P: b, O: b},
		{S: a, P: b, O: b},
	} {
		if err := e.Encode(tr); err != nil && !errors.As(err, new(*rdf.WriteError)) {
			t.Fatal(err)
		}
	}
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	const want = "<http://a> <http://b> \"1\" .\n<http://a> <http://b> \"2\" .\n<http://b> <http://b> <http://a> .\n<http://b> <http://b> <http://b> .\n<http://a> <http://b> <http://b> .\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
