"""Prints what happened to the rules of StackStorm, one line for each event of a
topic: the kind of the change, the rule's title, and whether it is enabled.

It knows Apache Kafka, CloudEvents and RDF and calls nobody back: everything is in
the event's graph.

    pip install kafka-python==2.2.15 rdflib==7.1.4
    python subscriber.py --brokers localhost:9092 --topic st2_event --group mine

Each group gets each event. One that is started again goes on where it stopped:
after a crash it may see the last events once more, with the same ce_id.
"""

import argparse
import signal

from kafka import KafkaConsumer
from rdflib import RDF, Graph, Namespace
from rdflib.namespace import DCTERMS

TRS = Namespace("http://open-services.net/ns/core/trs#")
EVENTS = Namespace("http://open-services.net/ns/events#")
ST2 = Namespace("https://oslcbus.github.io/ns/st2#")
SYNTAX = {"application/rdf+xml": "xml", "text/turtle": "turtle", "application/ld+json": "json-ld"}


def show(header, body):
    graph = Graph().parse(data=body, format=SYNTAX[header["content-type"].split(";")[0]])
    event = graph.value(predicate=RDF.type, object=EVENTS.Event, any=False)
    rule = graph.value(event, TRS.changed)
    kind = next(k for k in ("Creation", "Modification", "Deletion") if (event, RDF.type, TRS[k]) in graph)
    title, state = graph.value(rule, DCTERMS.title, default=""), graph.value(rule, ST2.ruleStatus, default="")
    print(kind.lower(), title, state, sep="\t", flush=True)


def main():
    args = argparse.ArgumentParser(description="Prints what happened to rules.")
    args.add_argument("--brokers", default="localhost:9092", help="comma-separated host:port of brokers")
    args.add_argument("--topic", default="st2_event", help="name of the topic")
    args.add_argument("--group", default="subscriber-python", help="name of the subscriber")
    args = args.parse_args()
    # An exception out of a signal handler would leave the client in pieces.
    stopping = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.append(True))
    consumer = KafkaConsumer(args.topic, bootstrap_servers=args.brokers.split(","), group_id=args.group,
                             auto_offset_reset="earliest", enable_auto_commit=False)
    while not stopping:
        batches = consumer.poll(timeout_ms=500)
        for message in (m for batch in batches.values() for m in batch):
            header = {name: value.decode() for name, value in message.headers}
            # What the bus writes for itself is no event.
            if not header.get("ce_type", "").startswith("oslcbus."):
                show(header, message.value)
        if batches:
            consumer.commit()
    consumer.close()


if __name__ == "__main__":
    main()
