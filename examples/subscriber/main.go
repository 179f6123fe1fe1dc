// Command subscriber prints what happened to the rules of StackStorm, one line for
// each event of a topic: the kind of the change, the rule's title, and whether it
// is enabled. It knows Apache Kafka, CloudEvents and RDF and calls nobody back:
// everything is in the event's graph.
//
//	go run ./examples/subscriber -brokers localhost:9092 -topic st2_event -group mine
//
// Each group gets each event. One that is started again goes on where it stopped.
// subscriber.py does the same in Python.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

func main() {
	brokers := flag.String("brokers", "localhost:9092", "comma-separated `host:port` of brokers")
	topic := flag.String("topic", "st2_event", "`name` of the topic")
	group := flag.String("group", "subscriber-go", "`name` of the subscriber")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := subscribe(ctx, strings.Split(*brokers, ","), *topic, *group)
	stop()
	if !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "subscriber:", err)
		os.Exit(1)
	}
}

func subscribe(ctx context.Context, brokers []string, topic, group string) error {
	events, err := kafka.New(kafka.Config{Brokers: brokers}, kafka.Options{})
	if err != nil {
		return err
	}
	defer events.Close()
	subscription := bus.Subscription{Log: events, Topic: topic, Group: group, Handle: show}
	return subscription.Run(ctx)
}

// show prints one event. Returning an error would have it tried again, and set
// aside in the topic's dead letters after the last attempt.
func show(_ context.Context, e *oslc.Event) error {
	rule := rdf.NewIRI(e.Subject)
	_, err := fmt.Printf("%s\t%s\t%s\n", e.Change,
		e.Resource.Value(rule, vocab.DCTermsTitle), e.Resource.Value(rule, vocab.St2RuleStatus))
	return err
}
