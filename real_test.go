package oslcbus_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/oslcbus/oslcbus/adapters/mongodb/mongotest"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

// realRig is a rig whose StackStorm is a database on a real MongoDB and whose log
// is on a real Apache Kafka.
type realRig struct {
	*rig
	db     *mongotest.Client
	broker *testkit.KafkaBroker
	topic  string
	n      int
}

const rules = "rule_d_b"

func newRealRig(t *testing.T, broker *testkit.KafkaBroker, extra string) *realRig {
	t.Helper()
	mongo := testkit.Mongo(t)
	r := &realRig{rig: newRig(t, ""), broker: broker, topic: broker.Name + "st2_event"}
	r.db = mongotest.Connect(t, mongo.URI, mongo.Database)
	r.yaml = fmt.Sprintf(`
kafka: {brokers: [%q], prefix: %q, session_timeout: 6s %s}
requests: {topic: %q}
connections:
  st2: {type: stackstorm, topic: %q, mongodb: {uri: %q, database: %q}}
  jira: {type: jira, url: %q, user: %q, token: %q, settle: 50ms, retry: {attempts: 4, min: 5ms, max: 50ms}}
`, broker.Addr, broker.Name, extra, broker.Name+"bus_event", r.topic, mongo.URI, mongo.Database, r.jiraURL, sandbox.User, sandbox.Token) + ruleTicket
	return r
}

// insert adds a rule to the database as StackStorm does.
func (r *realRig) insert(name string) (id, uri string) {
	r.t.Helper()
	r.n++
	id = fmt.Sprintf("%024x", 0x6b0179000000+r.n)
	doc := fmt.Sprintf(`{"_id": {"$oid": %q}, "name": %q, "pack": "demo", "ref": "demo.%s", "uid": "rule:demo:%s", "enabled": true,
		"description": "A rule", "trigger": "core.st2.generic.notifytrigger", "type": {"ref": "standard", "parameters": {}},
		"action": {"ref": "core.local", "parameters": {"cmd": "echo", "password": "not-a-real-secret"}}}`, id, name, name, name)
	if err := r.db.Insert(r.t.Context(), rules, doc); err != nil {
		r.t.Fatal(err)
	}
	return id, oslc.ResourceURI(r.url, "st2", "changeRequests", id)
}

func (r *realRig) set(id, fields string) {
	r.t.Helper()
	if err := r.db.Update(r.t.Context(), rules, byID(id), `{"$set": `+fields+`}`); err != nil {
		r.t.Fatal(err)
	}
}

func byID(id string) string { return fmt.Sprintf(`{"_id": {"$oid": %q}}`, id) }

// messages reads a topic from its start as any Kafka client would, without what
// drivers write for themselves.
func (r *realRig) messages(topic string, want int) []kafkago.Message {
	r.t.Helper()
	rd := kafkago.NewReader(kafkago.ReaderConfig{Brokers: []string{r.broker.Addr}, Topic: topic, MinBytes: 1, MaxBytes: 10 << 20, MaxWait: 100 * time.Millisecond})
	defer rd.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), 60*time.Second)
	defer cancel()
	var out []kafkago.Message
	for len(out) < want {
		m, err := rd.ReadMessage(ctx)
		if err != nil {
			r.t.Fatalf("after %d of %d messages of %s: %v", len(out), want, topic, err)
		}
		if strings.HasPrefix(header(m, "ce_type"), "net.open-services.") {
			out = append(out, m)
		}
	}
	return out
}

func header(m kafkago.Message, name string) string {
	for _, h := range m.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// TestMainJob is the sentence the project exists for: a change in MongoDB becomes
// an OSLC Event on Kafka, a Jira ticket, and an entry of a tracked resource set.
func TestMainJob(t *testing.T) {
	t.Parallel()
	r := newRealRig(t, testkit.Kafka(t), "")
	r.start()
	id, uri := r.insert("r")                                          // C1
	r.set(id, `{"description": "Another"}`)                           // C2
	r.set(id, `{"enabled": false}`)                                   // C4
	r.set(id, `{"description": "Another"}`)                           // C8: no change
	if err := r.db.Delete(t.Context(), rules, byID(id)); err != nil { // C3
		t.Fatal(err)
	}
	messages := r.messages(r.topic, 4)
	want := []string{"Creation", "Modification", "Modification", "Deletion"}
	ids := map[string]bool{}
	for i, m := range messages {
		if got := header(m, "ce_type"); got != "net.open-services.trs."+want[i] {
			t.Errorf("message %d is a %s, want %s", i, got, want[i])
		}
		// E2: the key is the URI of the resource. E5: ids tell events apart.
		if string(m.Key) != uri || ids[header(m, "ce_id")] {
			t.Errorf("message %d has key %q and id %q", i, m.Key, header(m, "ce_id"))
		}
		ids[header(m, "ce_id")] = true
		e := parseEvent(t, m)
		if ref := e.Resource.Value(rdf.NewIRI(uri), vocab.St2RuleRef); ref != "demo.r" {
			t.Errorf("message %d says ref %q", i, ref)
		}
		if strings.Contains(string(m.Value), "not-a-real-secret") {
			t.Errorf("message %d shows a secret", i)
		}
	}
	if e := parseEvent(t, messages[2]); len(e.Types) != 1 || e.Types[0] != vocab.St2RuleDisabled {
		t.Errorf("the disabling is of the types %v", e.Types)
	}
	r.eventually("the ticket", func() bool { return len(r.jira.Issues()) == 1 })
	r.eventually("the set", func() bool { return len(r.seenOf(uri)) == 4 })
	r.checkSet(0, 4)
}

// checkSet walks the set and compares what it has with what is expected.
func (r *realRig) checkSet(members, changes int) *trstest.Seen {
	r.t.Helper()
	walk := trstest.NewWalker(testkit.HTTP, r.url+"/trs/st2").Walk(r.t)
	if len(walk.Members) != members || len(walk.Changes) != changes {
		r.t.Errorf("the set has %d members and %d changes, want %d and %d", len(walk.Members), len(walk.Changes), members, changes)
	}
	return walk
}

// parseEvent reads a message with nothing but its headers and body (row E1).
func parseEvent(t testing.TB, m kafkago.Message) *oslc.Event {
	t.Helper()
	f, ok := format.ByMediaType(header(m, "content-type"))
	if !ok {
		t.Fatalf("content-type %q", header(m, "content-type"))
	}
	g, err := format.Parse(m.Value, f, "", rdf.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := oslc.ParseEvent(g)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestViewsAreFolds: a replica that lost its disk reaches the same state from
// Kafka alone: the same URIs, orders, ETags and bytes.
func TestViewsAreFolds(t *testing.T) {
	t.Parallel()
	r := newRealRig(t, testkit.Kafka(t), "")
	r.start()
	var last string
	for i := range 20 {
		id, uri := r.insert(fmt.Sprint("r", i))
		last = uri
		if i%2 == 0 {
			r.set(id, `{"enabled": false}`)
		}
	}
	r.eventually("the events", func() bool { return len(r.seenOf("")) == 30 })
	r.eventually("the tickets", func() bool { return len(r.jira.Issues()) == 10 })
	before := r.checkSet(20, 30)
	tag, _ := r.get(last, "Accept", "text/turtle")
	r.halt()
	r.dir = t.TempDir()
	r.start()
	r.eventually("the rebuilt views", func() bool { resp, _ := r.get(last); return resp.StatusCode == http.StatusOK })
	after := r.checkSet(20, 30)
	if fmt.Sprint(before.Changes) != fmt.Sprint(after.Changes) || fmt.Sprint(before.Immutable) != fmt.Sprint(after.Immutable) {
		t.Error("the rebuilt set is another one")
	}
	if again, _ := r.get(last, "Accept", "text/turtle"); again.Header.Get("ETag") != tag.Header.Get("ETag") {
		t.Errorf("ETag was %q and is %q", tag.Header.Get("ETag"), again.Header.Get("ETag"))
	}
	if n := len(r.jira.Issues()); n != 10 {
		t.Errorf("%d tickets, want the 10 of before", n)
	}
	// And nothing was published again.
	id, _ := r.insert("after")
	if m := r.messages(r.topic, 31); !strings.Contains(header(m[30], "ce_subject"), id) {
		t.Error("the topic has other events than before")
	}
}

// TestE2_Order: 100 changes of one rule are read back in order from a topic with
// six partitions.
func TestE2_Order(t *testing.T) {
	t.Parallel()
	r := newRealRig(t, testkit.Kafka(t), ", partitions: 6")
	r.start()
	id, uri := r.insert("r")
	for i := range 99 {
		r.set(id, fmt.Sprintf(`{"description": "%03d"}`, i))
	}
	r.eventually("the events", func() bool { return len(r.seenOf(uri)) == 100 })
	for i, e := range r.seenOf(uri)[1:] {
		if got := e.Resource.Value(rdf.NewIRI(uri), vocab.DCTermsDescription); got != fmt.Sprintf("%03d", i) {
			t.Fatalf("event %d says %q", i+1, got)
		}
	}
	sets := 0
	for i := range 6 {
		if n := len(trstest.NewWalker(testkit.HTTP, fmt.Sprintf("%s/trs/st2.%d", r.url, i)).Walk(t).Changes); n > 0 {
			sets++
			if n != 100 {
				t.Errorf("set %d has %d changes", i, n)
			}
		}
	}
	if sets != 1 {
		t.Errorf("the changes of one rule are in %d sets", sets)
	}
}

// TestE4_Outage stops Kafka during ten changes: the process stays up and says so,
// and afterwards the ten events are there, in order.
func TestE4_Outage(t *testing.T) {
	t.Parallel()
	r := newRealRig(t, testkit.KafkaOwn(t), "")
	r.start()
	id, uri := r.insert("r")
	r.eventually("the first event", func() bool { return len(r.seenOf(uri)) == 1 })
	r.broker.Kill(t)
	for i := range 10 {
		r.set(id, fmt.Sprintf(`{"description": "%d"}`, i))
	}
	r.eventually("the outage to be told", func() bool {
		resp, body := r.get("/readyz")
		return resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(body, `"log"`)
	})
	if resp, _ := r.get("/healthz"); resp.StatusCode != http.StatusOK {
		t.Errorf("healthz: %s", resp.Status)
	}
	r.broker.Restart(t)
	r.eventually("the ten events", func() bool { return len(r.seenOf(uri)) >= 11 })
	for i, e := range r.seenOf(uri)[1:] {
		if got := e.Resource.Value(rdf.NewIRI(uri), vocab.DCTermsDescription); got != fmt.Sprint(i) {
			t.Errorf("event %d says %q", i+1, got)
		}
	}
	r.checkSet(1, 11)
}

// TestForeignRecord: a record that is no event is set aside with its reason, and
// what follows is handled.
func TestForeignRecord(t *testing.T) {
	t.Parallel()
	r := newRealRig(t, testkit.Kafka(t), "")
	r.start()
	transport := &kafkago.Transport{}
	defer transport.CloseIdleConnections()
	w := &kafkago.Writer{Addr: kafkago.TCP(r.broker.Addr), Topic: r.topic, BatchTimeout: time.Millisecond, Transport: transport}
	defer w.Close()
	if err := w.WriteMessages(t.Context(), kafkago.Message{Key: []byte("k"), Value: []byte("\xff no RDF")}); err != nil {
		t.Fatal(err)
	}
	id, uri := r.insert("r")
	r.set(id, `{"enabled": false}`)
	r.eventually("the ticket", func() bool { return len(r.jira.Issues()) == 1 })
	r.eventually("the events", func() bool { return len(r.seenOf(uri)) == 2 })
	rd := kafkago.NewReader(kafkago.ReaderConfig{Brokers: []string{r.broker.Addr}, Topic: r.topic + ".dlq", MinBytes: 1, MaxBytes: 1 << 20, MaxWait: 100 * time.Millisecond})
	defer rd.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		m, err := rd.ReadMessage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(header(m, "ce_type"), "oslcbus.") {
			continue
		}
		if string(m.Value) != "\xff no RDF" || !strings.Contains(header(m, "oslcbus_reason"), "ce_specversion") {
			t.Errorf("the dead letter is %q for the reason %q", m.Value, header(m, "oslcbus_reason"))
		}
		break
	}
	r.checkSet(1, 2)
}
