package bench

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

const (
	queryOwners = 1000
	queryWords  = 2000 // of which each text has some, the first ones more often
	queryStart  = 1_700_000_000
)

// queryResources is how many resources queries are asked of.
func queryResources() int {
	if n, err := strconv.Atoi(os.Getenv("OSLCBUS_BENCH_RESOURCES")); err == nil {
		return n
	}
	return 20_000
}

func queryWord(i int) string { return fmt.Sprintf("word%d", i) }

func queryText(r *rand.Rand, words int) string {
	out := make([]string, words)
	for i := range out {
		// The more often the smaller the number, as in what people write.
		out[i] = queryWord(int(float64(queryWords) * r.Float64() * r.Float64() * r.Float64()))
	}
	return strings.Join(out, " ")
}

// queryResource is one of the resources that are asked for, the same every time.
func queryResource(i int) *rdf.Graph {
	r := rand.New(rand.NewPCG(1, uint64(i)))
	g := rdf.NewGraph()
	g.Node(queryURI(i)).A(vocab.CMChangeRequest).
		String(vocab.DCTermsIdentifier, strconv.Itoa(i)).
		String(vocab.DCTermsTitle, queryText(r, 5)).
		String(vocab.DCTermsDescription, queryText(r, 20)).
		String(vocab.CMStatus, fmt.Sprint("status ", r.IntN(10))).
		Bool(vocab.CMClosed, r.IntN(2) == 0).
		Int(vocab.BusSequence, int64(r.IntN(5))).
		Link(vocab.DCTermsCreator, queryOwner(r.IntN(queryOwners))).
		Time(vocab.DCTermsModified, time.Unix(queryStart+int64(r.IntN(50_000_000)), 0))
	return g
}

func queryURI(i int) string {
	return fmt.Sprintf("http://bus.example/services/st2/changeRequests/%024x", i)
}

func queryOwner(i int) string { return fmt.Sprintf("http://bus.example/people/%d", i) }

// queries are what is asked, each time with other values.
var queries = []struct {
	name string
	ask  func(r *rand.Rand) url.Values
}{
	{"two conditions, few fulfil them", func(r *rand.Rand) url.Values {
		return url.Values{query.ParamWhere: {fmt.Sprintf(`dcterms:creator=<%s> and oslc_cm:closed=%t`, queryOwner(r.IntN(queryOwners)), r.IntN(2) == 0)}}
	}},
	{"two conditions, few fulfil them, 20 a page", func(r *rand.Rand) url.Values {
		return url.Values{
			query.ParamWhere:    {fmt.Sprintf(`dcterms:creator=<%s> and oslc_cm:closed=%t`, queryOwner(r.IntN(queryOwners)), r.IntN(2) == 0)},
			query.ParamPageSize: {"20"},
		}
	}},
	{"two conditions, many fulfil them", func(r *rand.Rand) url.Values {
		return url.Values{query.ParamWhere: {fmt.Sprintf(`oslc_cm:status="status %d" and oslcbus:sequence>=%d`, r.IntN(10), r.IntN(5))}}
	}},
	{"two conditions, one of them a time", func(r *rand.Rand) url.Values {
		from := time.Unix(queryStart+int64(r.IntN(50_000_000)), 0)
		return url.Values{query.ParamWhere: {fmt.Sprintf(`dcterms:modified>"%s"^^xsd:dateTime and oslc_cm:status="status %d"`, from.UTC().Format(time.RFC3339), r.IntN(10))}}
	}},
	{"ordered page", func(r *rand.Rand) url.Values {
		return url.Values{query.ParamOrderBy: {"-dcterms:modified"}, query.ParamWhere: {fmt.Sprintf(`oslc_cm:status="status %d"`, r.IntN(10))}}
	}},
	{"ordered page of all", func(r *rand.Rand) url.Values {
		return url.Values{query.ParamOrderBy: {[]string{"+dcterms:title", "-dcterms:modified", "+dcterms:identifier"}[r.IntN(3)]}}
	}},
	{"full text, a rare word", func(r *rand.Rand) url.Values {
		return url.Values{query.ParamSearch: {`"` + queryWord(queryWords*4/5+r.IntN(queryWords/5)) + `"`}}
	}},
	{"full text, any word", func(r *rand.Rand) url.Values {
		return url.Values{query.ParamSearch: {`"` + queryText(r, 1) + `"`}}
	}},
	{"full text, two words and a condition", func(r *rand.Rand) url.Values {
		return url.Values{
			query.ParamSearch: {`"` + queryText(r, 1) + `","` + queryText(r, 1) + `"`},
			query.ParamWhere:  {fmt.Sprintf(`oslc_cm:closed=%t`, r.IntN(2) == 0)},
		}
	}},
}

// BenchmarkQuery measures a first page of 100 members, if nothing else is said, read from the database and
// parsed. OSLCBUS_BENCH_RESOURCES says of how many resources; OSLCBUS_BENCH_DATA names
// a folder that keeps them for the next run.
func BenchmarkQuery(b *testing.B) {
	v, _ := queryViews(b)
	for _, c := range queries {
		b.Run(c.name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(2, 3))
			var took []time.Duration
			found := 0
			for b.Loop() {
				values := c.ask(r).Encode()
				begun := time.Now()
				q, err := query.Parse(values)
				if err != nil {
					b.Fatal(err)
				}
				page, err := v.Query(b.Context(), "st2", "changeRequests", q)
				if err != nil {
					b.Fatal(values, err)
				}
				took = append(took, time.Since(begun))
				found += len(page.Members)
			}
			b.ReportMetric(quantile(took, 0.5), "p50-ms")
			b.ReportMetric(quantile(took, 0.99), "p99-ms")
			b.ReportMetric(float64(found)/float64(len(took)), "members")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// queryViews returns views that hold what is asked for, all of it indexed, and how much
// that is.
func queryViews(b *testing.B) (*sqlite.Views, int) {
	b.Helper()
	n := queryResources()
	dir := os.Getenv("OSLCBUS_BENCH_DATA")
	if dir == "" {
		dir = b.TempDir()
	}
	begun := time.Now()
	db, err := sqlite.Open(b.Context(), fmt.Sprintf("%s/query-%d.db", dir, n))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	v := db.Views()
	b.Logf("opened in %s", time.Since(begun))
	fillQuery(b, v, n)
	begun = time.Now()
	for stale := int64(1); stale > 0; {
		// A search indexes texts before it is answered.
		if _, err := v.Query(b.Context(), "st2", "changeRequests", &query.Query{Search: []string{"x"}}); err != nil {
			b.Fatal(err)
		}
		if stale, err = v.StaleTexts(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("texts indexed after %s", time.Since(begun))
	return v, n
}

// fillQuery adds the resources that are not there yet.
func fillQuery(b *testing.B, v *sqlite.Views, n int) {
	b.Helper()
	next, _, err := v.Next(b.Context(), benchPlace.Topic)
	if err != nil {
		b.Fatal(err)
	}
	from := 0
	if len(next) > 0 {
		from = int(next[0])
	}
	begun := time.Now()
	for ; from < n; from += foldAtOnce {
		batch := make([]sqlite.Step, min(foldAtOnce, n-from))
		for i := range batch {
			uri := queryURI(from + i)
			batch[i] = sqlite.Step{Offset: int64(from + i), Event: &oslc.Event{
				ID: oslc.NewID("bench", uri), Change: oslc.Creation, Subject: uri,
				Time: time.Unix(queryStart, 0), Resource: queryResource(from + i),
			}}
		}
		if err := v.Apply(b.Context(), benchPlace, batch); err != nil {
			b.Fatal(err)
		}
		if from > 0 && from%200_000 == 0 {
			b.Logf("%d resources after %s", from, time.Since(begun))
		}
	}
}
