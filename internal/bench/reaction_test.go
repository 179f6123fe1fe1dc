package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/adapters/stackstorm"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
)

const (
	reactionRate  = 500 // commits a second, each of which asks for one action
	reactionRules = 1000
	reactionCount = 2500
)

// BenchmarkReaction measures the time from right before a commit in the tool to
// the call of an executor, while 500 commits a second come in. Every commit leads
// to one request.
func BenchmarkReaction(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		st2, err := sandbox.NewStackStorm("")
		if err != nil {
			b.Fatal(err)
		}
		srv := httptest.NewServer(http.HandlerFunc(st2.ServeHTTP))
		defer srv.Close()
		ids := make([]string, reactionRules)
		for i := range ids {
			r, err := st2.Create(fmt.Sprint("rule_", i), "A rule")
			if err != nil {
				b.Fatal(err)
			}
			ids[i] = r
		}
		react(b, "", ids, func(opts adapters.Options) (adapters.Adapter, error) {
			return sandbox.Adapter(st2, srv.URL, opts)
		}, func(_ context.Context, id string, on bool) error { return st2.SetEnabled(id, on) })
	})
	b.Run("kafka+mongodb", func(b *testing.B) {
		set, broker := testkit.Mongo(b), testkit.Kafka(b)
		client, err := mongo.Connect(options.Client().ApplyURI(set.URI))
		if err != nil {
			b.Fatal(err)
		}
		rules := client.Database(set.Database).Collection("rule_d_b")
		defer func() {
			ctx := context.WithoutCancel(b.Context())
			_ = rules.Database().Drop(ctx)
			_ = client.Disconnect(ctx)
		}()
		ids := make([]string, reactionRules)
		docs := make([]any, reactionRules)
		for i := range ids {
			d := rule(i)
			ids[i], docs[i] = d[0].Value.(bson.ObjectID).Hex(), d
		}
		if _, err := rules.InsertMany(b.Context(), docs); err != nil {
			b.Fatal(err)
		}
		text := fmt.Sprintf("kafka: {brokers: [%q], prefix: %q}\nrequests: {topic: %q}\n", broker.Addr, broker.Name, broker.Name+"_bus")
		react(b, text, ids, func(opts adapters.Options) (adapters.Adapter, error) {
			return stackstorm.Build(func(v any) error {
				cfg := v.(*stackstorm.Config)
				cfg.MongoDB.URI, cfg.MongoDB.Database = adapters.Secret(set.URI), set.Database
				return nil
			}, opts)
		}, func(ctx context.Context, id string, on bool) error {
			oid, err := bson.ObjectIDFromHex(id)
			if err != nil {
				return err
			}
			_, err = rules.UpdateOne(ctx, bson.D{{Key: "_id", Value: oid}}, bson.D{{Key: "$set", Value: bson.D{{Key: "enabled", Value: on}}}})
			return err
		})
	})
}

// react runs a bus on a tool that has the rules, and measures b.N times.
func react(b *testing.B, text string, ids []string, tool func(adapters.Options) (adapters.Adapter, error),
	commit func(ctx context.Context, id string, on bool) error,
) {
	b.Helper()
	calls := &called{at: map[string][]time.Time{}}
	registry := adapters.Registry{
		"st2": func(decode func(any) error, opts adapters.Options) (adapters.Adapter, error) {
			if err := decode(&struct{}{}); err != nil {
				return adapters.Adapter{}, err
			}
			return tool(opts)
		},
		"sink": func(decode func(any) error, _ adapters.Options) (adapters.Adapter, error) {
			return adapters.Adapter{
				Executor: calls,
				Actions:  []oslc.Action{{Name: "note", IRI: "http://bus.example/ns#Note", Title: "Note"}},
			}, decode(&struct{}{})
		},
	}
	var mu sync.Mutex
	created := 0
	ready := make(chan struct{})
	topic := fmt.Sprintf("react%d", time.Now().UnixNano())
	stop := startBus(b, text+fmt.Sprintf(`
connections:
  st2: {type: st2, topic: %q}
  sink: {type: sink}
rules:
  - name: note
    on: {provider: st2, events: ["st2:RuleEnabled", "st2:RuleDisabled"]}
    do: {tool: sink, action: note}
`, topic), registry, func(provider string, e *oslc.Event) {
		mu.Lock()
		defer mu.Unlock()
		if provider == "st2" && e.Change == oslc.Creation {
			if created++; created == len(ids) {
				close(ready)
			}
		}
	})
	defer stop()
	wait(b, ready, "the rules to be known")
	var took []time.Duration
	on := false
	calls.measure(b, ids, &on, commit) // a broker that was just started is slow for some seconds
	for range b.N {
		took = append(took, calls.measure(b, ids, &on, commit)...)
	}
	b.ReportMetric(quantile(took, 0.5), "p50-ms")
	b.ReportMetric(quantile(took, 0.99), "p99-ms")
	b.ReportMetric(0, "ns/op")
}

// called is an Executor that notes when it was called, by the id that ends the
// target's URI.
type called struct {
	mu   sync.Mutex
	at   map[string][]time.Time
	n    int
	want int
	all  chan struct{}
}

func (c *called) Execute(_ context.Context, r oslc.Request) (oslc.Result, error) {
	at := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	id := r.Target[len(r.Target)-24:]
	c.at[id] = append(c.at[id], at)
	if c.n++; c.n == c.want {
		close(c.all)
	}
	return oslc.Result{}, nil
}

// measure commits reactionCount changes at reactionRate and returns how long after
// each its call came. on is what the next round of commits sets.
func (c *called) measure(b *testing.B, ids []string, on *bool, commit func(ctx context.Context, id string, on bool) error) []time.Duration {
	b.Helper()
	c.mu.Lock()
	c.at, c.n, c.want, c.all = map[string][]time.Time{}, 0, reactionCount, make(chan struct{})
	c.mu.Unlock()
	begun := map[string][]time.Time{}
	tick := time.NewTicker(time.Second / reactionRate)
	defer tick.Stop()
	for i := range reactionCount {
		id := ids[i%len(ids)]
		begun[id] = append(begun[id], time.Now())
		if err := commit(b.Context(), id, *on); err != nil {
			b.Fatal(err)
		}
		if (i+1)%len(ids) == 0 || i == reactionCount-1 {
			*on = !*on
		}
		<-tick.C
	}
	wait(b, c.all, "the calls")
	// What is left of a round begins the next one with the other value.
	if rest := reactionCount % len(ids); rest > 0 {
		c.mu.Lock()
		c.want, c.all = c.n+len(ids)-rest, make(chan struct{})
		c.mu.Unlock()
		defer func() { wait(b, c.all, "the calls of the rest") }()
		for _, id := range ids[rest:] {
			if err := commit(b.Context(), id, !*on); err != nil {
				b.Fatal(err)
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []time.Duration
	for id, at := range begun {
		for i, t := range at {
			out = append(out, c.at[id][i].Sub(t))
		}
	}
	return out
}
