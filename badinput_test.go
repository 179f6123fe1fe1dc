package oslcbus_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/adapters/all"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestX3_NoReplicaSet: a MongoDB that is no replica set has no change streams.
// The bus stays up and says what to do.
func TestX3_NoReplicaSet(t *testing.T) {
	t.Parallel()
	mongo := testkit.MongoStandalone(t)
	r := newRig(t, fmt.Sprintf("connections: {st2: {type: stackstorm, mongodb: {uri: %q}}}", mongo.URI))
	r.launch()
	r.eventually("the reason", func() bool {
		resp, body := r.get("/readyz")
		return resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(body, "replica set")
	})
	if resp, _ := r.get("/healthz"); resp.StatusCode != http.StatusOK {
		t.Errorf("healthz: %s", resp.Status)
	}
	r.halt()
}

// TestE2_IllegalTopic: the error names the line and the key.
func TestE2_IllegalTopic(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"of a connection":    "title: t\nconnections:\n  st2:\n    type: stackstorm\n    topic: two words\n    mongodb: {uri: 'mongodb://127.0.0.1/'}\n",
		"of the bus":         "title: t\nlisten: 127.0.0.1:8080\n\nrequests:\n  topic: a/b\n",
		"too long":           "title: t\n\n\nrequests:\n  topic: " + strings.Repeat("a", 241) + "\n",
		"one that is taken":  "connections:\n  st2:\n    type: stackstorm\n    mongodb: {uri: 'mongodb://127.0.0.1/'}\n    topic: bus_event\n",
		"the parent's name":  "title: t\n\n\nrequests:\n  topic: ..\n",
		"not ASCII":          "title: t\n\n\nrequests:\n  topic: ereignisse-für-alle\n",
		"a prefix of groups": "title: t\n\nkafka:\n  brokers: ['127.0.0.1:9092']\n  prefix: a b\n",
	} {
		cfg, err := oslcbus.ParseConfig("bus.yml", []byte(text), oslcbus.ConfigOptions{})
		if err == nil {
			_, err = oslcbus.New(cfg, oslcbus.Options{Adapters: all.Adapters()})
		}
		ce, ok := errors.AsType[*oslcbus.ConfigError](err)
		switch {
		case !ok || !errors.Is(err, oslc.Invalid):
			t.Errorf("%s: got %v, want a ConfigError of kind invalid", name, err)
		case name == "a prefix of groups":
			if ce.Line != 5 || ce.Key != "kafka.prefix" {
				t.Errorf("%s: %v", name, err)
			}
		case ce.Line != 5 || !strings.HasSuffix(ce.Key, "topic") || !strings.HasPrefix(err.Error(), "bus.yml:5: "):
			t.Errorf("%s: %v, want line 5", name, err)
		}
	}
}

// TestE3_UnknownContentType: a CloudEvent whose body is in no RDF syntax is set
// aside with the reason, and what follows is handled.
func TestE3_UnknownContentType(t *testing.T) {
	t.Parallel()
	r := newRealRig(t, testkit.Kafka(t), "")
	r.start()
	transport := &kafkago.Transport{}
	defer transport.CloseIdleConnections()
	w := &kafkago.Writer{Addr: kafkago.TCP(r.broker.Addr), Topic: r.topic, BatchTimeout: time.Millisecond, Transport: transport}
	defer w.Close()
	const body = "<event>no RDF</event>"
	if err := w.WriteMessages(t.Context(), kafkago.Message{Key: []byte("k"), Value: []byte(body), Headers: []kafkago.Header{
		{Key: "ce_specversion", Value: []byte("1.0")},
		{Key: "ce_id", Value: []byte("x")},
		{Key: "ce_source", Value: []byte("urn:x")},
		{Key: "ce_type", Value: []byte("net.open-services.trs.Creation")},
		{Key: "content-type", Value: []byte("text/csv")},
	}}); err != nil {
		t.Fatal(err)
	}
	id, uri := r.insert("r")
	r.set(id, `{"enabled": false}`)
	r.eventually("the ticket", func() bool { return len(r.jira.Issues()) == 1 })
	r.eventually("the events", func() bool { return len(r.seenOf(uri)) == 2 })
	dead := r.messages(r.topic+".dlq", 1)[0]
	if string(dead.Value) != body || !strings.Contains(header(dead, "oslcbus_reason"), `"text/csv"`) || header(dead, "ce_id") != "x" {
		t.Errorf("the dead letter is %q for the reason %q", dead.Value, header(dead, "oslcbus_reason"))
	}
	letters := r.letters()
	if len(letters) != 1 || letters[0].Event != "x" || letters[0].Topic != r.topic {
		t.Fatalf("/dlq has %+v", letters)
	}
	if resp, body := r.send(http.MethodPost, "/dlq/"+letters[0].ID+"/retry", ""); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "text/csv") {
		t.Errorf("retry of what is no event: %s: %s", resp.Status, body)
	}
	if resp, body := r.send(http.MethodDelete, "/dlq/"+letters[0].ID, ""); resp.StatusCode != http.StatusNoContent {
		t.Errorf("drop: %s: %s", resp.Status, body)
	}
	if got := r.letters(); len(got) != 0 {
		t.Errorf("letters are left: %+v", got)
	}
	r.checkSet(1, 2)
}

// makeAnew deletes a topic and makes one of the same name.
func (r *realRig) makeAnew(topic string) {
	r.t.Helper()
	transport := &kafkago.Transport{}
	defer transport.CloseIdleConnections()
	c := &kafkago.Client{Addr: kafkago.TCP(r.broker.Addr), Transport: transport}
	if res, err := c.DeleteTopics(r.t.Context(), &kafkago.DeleteTopicsRequest{Topics: []string{topic}}); err != nil || res.Errors[topic] != nil {
		r.t.Fatal(err, res)
	}
	r.eventually("the new topic", func() bool {
		res, err := c.CreateTopics(r.t.Context(), &kafkago.CreateTopicsRequest{
			Topics: []kafkago.TopicConfig{{Topic: topic, NumPartitions: 1, ReplicationFactor: 1}},
		})
		if err != nil {
			r.t.Fatal(err)
		}
		err = res.Errors[topic]
		return err == nil || errors.Is(err, kafkago.TopicAlreadyExists) // the bus was faster
	})
}

// eventsOf returns the events that a topic has now.
func (r *realRig) eventsOf(topic string) []kafkago.Message {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	conn, err := kafkago.DialLeader(ctx, "tcp", r.broker.Addr, topic, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	first, last, err := conn.ReadOffsets()
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := conn.Seek(first, kafkago.SeekAbsolute); err != nil {
		r.t.Fatal(err)
	}
	var out []kafkago.Message
	for at := first; at < last; {
		m, err := conn.ReadMessage(1 << 20)
		if err != nil {
			r.t.Fatal(err)
		}
		at = m.Offset + 1
		if strings.HasPrefix(header(m, "ce_type"), "net.open-services.") {
			out = append(out, m)
		}
	}
	return out
}

// TestTopicMadeAnew: a topic that was deleted and made anew is another log. The
// bus says so and does not go on until the operator moves its views away; then
// everything is there again.
func TestTopicMadeAnew(t *testing.T) {
	t.Parallel()
	for name, whileRunning := range map[string]bool{"while the bus runs": true, "while it is stopped": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRealRig(t, testkit.Kafka(t), "")
			r.start()
			a, uriA := r.insert("a")
			b, uriB := r.insert("b")
			r.set(a, `{"enabled": false}`)
			r.eventually("the ticket", func() bool { return len(r.jira.Issues()) == 1 })
			r.eventually("the events", func() bool { return len(r.seenOf("")) == 3 })
			// Rules may know before the views do, and until these do the source writes.
			toldBy := func(component string) {
				t.Helper()
				r.eventually("the reason of "+component, func() bool {
					resp, body := r.get("/readyz")
					_, rest, _ := strings.Cut(body, `"`+component+`"`)
					reason, _, _ := strings.Cut(rest, "}")
					return resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(reason, "made anew")
				})
			}
			if whileRunning {
				r.makeAnew(r.topic)
				toldBy("views st2")
				r.set(b, `{"description": "while running"}`)
				toldBy("source st2")
				r.halt()
			} else {
				r.halt()
				r.makeAnew(r.topic)
			}
			r.launch()
			toldBy("views st2")
			r.set(b, `{"description": "after the restart"}`)
			toldBy("source st2")
			r.halt()
			for _, m := range r.eventsOf(r.topic) {
				e := parseEvent(t, m)
				t.Errorf("the new topic got a %s of %s", e.Change, e.Subject)
			}
			if n := len(r.seenOf("")); n != 3 {
				t.Errorf("%d events were folded, want the 3 of before", n)
			}

			r.dir = t.TempDir() // the operator moves the data away
			r.start()
			r.eventually("both rules", func() bool { return len(r.seenOf("")) >= 5 })
			for uri, want := range map[string]string{uriA: "A rule", uriB: "after the restart"} {
				e := r.seenOf(uri)
				last := e[len(e)-1]
				if last.Change != oslc.Creation || last.Resource.Value(rdf.NewIRI(uri), vocab.DCTermsDescription) != want {
					t.Errorf("%s came back as a %s", uri, last.Change)
				}
			}
			r.checkSet(2, 2)
			// Rules go on with what happens from now on.
			r.set(b, `{"enabled": false}`)
			r.eventually("the second ticket", func() bool { return len(r.jira.Issues()) > 1 })
			var tickets []string
			for _, is := range r.jira.Issues() {
				tickets = append(tickets, is.Summary())
			}
			if got := strings.Join(tickets, ", "); got != "Rule demo.a was disabled, Rule demo.b was disabled" {
				t.Errorf("the tickets are %s", got)
			}
		})
	}
}

// TestTopicMadeAnew_whileWriting: a record may get into the new topic before
// anybody knows that it is new. What it says was not the start of everything:
// after the operator's move nothing is missing.
func TestTopicMadeAnew_whileWriting(t *testing.T) {
	t.Parallel()
	r := newRealRig(t, testkit.Kafka(t), "")
	r.start()
	_, uriA := r.insert("a")
	b, uriB := r.insert("b")
	r.eventually("the events", func() bool { return len(r.seenOf("")) == 2 })
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		for i := 0; ; i++ {
			if err := r.db.Update(t.Context(), rules, byID(b), fmt.Sprintf(`{"$set": {"description": "%d"}}`, i)); err != nil {
				t.Error(err)
			}
			select {
			case <-stop:
				done <- i
				return
			default:
			}
		}
	}()
	r.eventually("some events", func() bool { return len(r.seenOf(uriB)) > 20 })
	r.makeAnew(r.topic)
	r.eventually("the source to stop", func() bool {
		_, body := r.get("/readyz")
		_, source, _ := strings.Cut(body, `"source st2"`)
		reason, _, _ := strings.Cut(source, "}")
		return strings.Contains(reason, "made anew")
	})
	close(stop)
	last := fmt.Sprint(<-done)
	r.halt()
	t.Logf("%d events got into the new topic unnoticed", len(r.eventsOf(r.topic)))
	r.dir = t.TempDir()
	r.start()
	for uri, want := range map[string]string{uriA: "A rule", uriB: last} {
		r.eventually(uri, func() bool {
			resp, _ := r.get(uri)
			return resp.StatusCode == http.StatusOK &&
				r.graph(strings.TrimPrefix(uri, r.url)).Value(rdf.NewIRI(uri), vocab.DCTermsDescription) == want
		})
	}
}

// TestRetentionTookAll: after a quiet time longer than the retention nothing is
// left on the topic. That is no new topic: a restart goes on.
func TestRetentionTookAll(t *testing.T) {
	t.Parallel()
	r := newRealRig(t, testkit.Kafka(t), "")
	r.start()
	id, uri := r.insert("r")
	r.set(id, `{"enabled": false}`)
	r.eventually("the ticket", func() bool { return len(r.jira.Issues()) == 1 })
	r.eventually("the events", func() bool { return len(r.seenOf(uri)) == 2 })
	r.halt()
	transport := &kafkago.Transport{}
	defer transport.CloseIdleConnections()
	c := &kafkago.Client{Addr: kafkago.TCP(r.broker.Addr), Transport: transport}
	retention := func(ms string) {
		t.Helper()
		if _, err := c.IncrementalAlterConfigs(t.Context(), &kafkago.IncrementalAlterConfigsRequest{
			Resources: []kafkago.IncrementalAlterConfigsRequestResource{{
				ResourceType: kafkago.ResourceTypeTopic, ResourceName: r.topic,
				Configs: []kafkago.IncrementalAlterConfigsRequestConfig{{Name: "retention.ms", Value: ms, ConfigOperation: kafkago.ConfigOperationSet}},
			}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	retention("1")
	r.eventually("the topic to be empty", func() bool {
		conn, err := kafkago.DialLeader(t.Context(), "tcp", r.broker.Addr, r.topic, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		first, last, err := conn.ReadOffsets()
		return err == nil && first == last
	})
	retention("-1")
	r.start()
	r.set(id, `{"enabled": true}`)
	r.set(id, `{"enabled": false}`)
	r.eventually("the second ticket", func() bool { return len(r.jira.Issues()) == 2 })
	r.eventually("the events", func() bool { return len(r.seenOf(uri)) == 4 })
	r.checkSet(1, 4)
}
