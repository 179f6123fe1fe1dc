package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

// sparql are those of queries that have a counterpart without a text index, with the
// same draws. The page is all properties of 100 resources, as ours is; what has no
// order there may come in any.
var sparql = []struct {
	name string
	ask  func(r *rand.Rand) string
}{
	{"two conditions, few fulfil them", func(r *rand.Rand) string {
		return fmt.Sprintf(`?s dcterms:creator <%s> ; oslc_cm:closed %t } LIMIT 100`, queryOwner(r.IntN(queryOwners)), r.IntN(2) == 0)
	}},
	{"two conditions, many fulfil them", func(r *rand.Rand) string {
		return fmt.Sprintf(`?s oslc_cm:status "status %d" ; bus:sequence ?n FILTER (?n >= %d) } LIMIT 100`, r.IntN(10), r.IntN(5))
	}},
	{"two conditions, one of them a time", func(r *rand.Rand) string {
		from := time.Unix(queryStart+int64(r.IntN(50_000_000)), 0)
		return fmt.Sprintf(`?s oslc_cm:status "status %d" ; dcterms:modified ?m FILTER (?m > "%s"^^xsd:dateTime) } LIMIT 100`,
			r.IntN(10), from.UTC().Format(time.RFC3339))
	}},
	{"ordered page", func(r *rand.Rand) string {
		return fmt.Sprintf(`?s oslc_cm:status "status %d" ; dcterms:modified ?m } ORDER BY DESC(?m) LIMIT 100`, r.IntN(10))
	}},
}

const sparqlPrefixes = `PREFIX dcterms: <http://purl.org/dc/terms/> PREFIX oslc_cm: <http://open-services.net/ns/cm#> ` +
	`PREFIX bus: <https://oslcbus.github.io/ns#> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> `

// BenchmarkQueryTDB2 asks Apache Jena TDB2 what BenchmarkQuery asks, as SPARQL over
// the same triples, in a process of its own that measures itself. It takes a while to
// load them and is run when OSLCBUS_BENCH_TDB2 is set.
func BenchmarkQueryTDB2(b *testing.B) {
	lib := filepath.Join(testkit.Root(b), ".parts", "lyo", "lib")
	java, err := exec.LookPath("java")
	if _, missing := os.Stat(lib); err != nil || missing != nil || os.Getenv("OSLCBUS_BENCH_TDB2") == "" {
		b.Skip("set OSLCBUS_BENCH_TDB2, and run `make parts`, to ask Jena TDB2 the same")
	}
	n := queryResources()
	dir := os.Getenv("OSLCBUS_BENCH_DATA")
	if dir == "" {
		dir = b.TempDir()
	}
	triples := filepath.Join(dir, fmt.Sprintf("query-%d.nt", n))
	if _, err := os.Stat(triples); err != nil {
		writeTriples(b, triples, n)
	}
	var questions bytes.Buffer
	for _, c := range sparql {
		r := rand.New(rand.NewPCG(2, 3))
		for range 400 {
			fmt.Fprintf(&questions, "%s\t%sSELECT ?s ?p ?o { { SELECT ?s { %s } ?s ?p ?o }\n", c.name, sparqlPrefixes, c.ask(r))
		}
	}
	cmd := exec.CommandContext(b.Context(), java, "-cp", filepath.Join(lib, "*"), filepath.Join("jena", "Ask.java"),
		filepath.Join(dir, fmt.Sprintf("tdb2-%d", n)), triples)
	cmd.Stdin = &questions
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		b.Fatal(err, errs.String())
	}
	for line := range strings.Lines(string(out)) {
		parts := strings.Split(strings.TrimSpace(line), "\t")
		if len(parts) != 3 {
			b.Fatalf("got %q", line)
		}
		b.Run(parts[0], func(b *testing.B) {
			for i, unit := range []string{"p50-ms", "p99-ms"} {
				v, err := strconv.ParseFloat(parts[i+1], 64)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(v, unit)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func writeTriples(b *testing.B, path string, n int) {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var room []byte
	for i := range n {
		if room, err = format.Append(room[:0], queryResource(i), format.NTriples); err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(room); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}
