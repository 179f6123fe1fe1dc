"""Drives a server with rdflib and the standard library, and prints what it sees."""

import sys
import urllib.error
import urllib.parse
import urllib.request

from rdflib import RDF, Graph, Literal, Namespace, URIRef
from rdflib.compare import isomorphic

OSLC = Namespace("http://open-services.net/ns/core#")
DCTERMS = Namespace("http://purl.org/dc/terms/")
RDFS = Namespace("http://www.w3.org/2000/01/rdf-schema#")
CM = Namespace("http://open-services.net/ns/cm#")
ST2 = Namespace("https://oslcbus.github.io/ns/st2#")
SYNTAXES = {"application/rdf+xml": "xml", "text/turtle": "turtle", "application/ld+json": "json-ld"}


def send(method, uri, graph=None, accept="application/rdf+xml", **headers):
    """Returns status, headers and graph."""
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    headers.update({"Accept": accept, "OSLC-Core-Version": "3.0"})
    data = None
    if graph is not None:
        data = graph.serialize(format="xml", encoding="utf-8")
        headers["Content-Type"] = "application/rdf+xml"
    request = urllib.request.Request(uri, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            status, got, body = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as e:
        status, got, body = e.code, e.headers, e.read()
    g = Graph()
    if body:
        g.parse(body, format=SYNTAXES[got["Content-Type"]], publicID=uri)
    return status, got, g


def read(uri):
    """Returns the graph of a document, the same in every syntax."""
    graphs = [send("GET", uri, accept=syntax)[2] for syntax in SYNTAXES]
    for other in graphs[1:]:
        assert isomorphic(graphs[0], other), uri
    return graphs[0]


def members(query_base, **parameters):
    """Returns the members of all pages."""
    names = {"oslc." + k: v for k, v in parameters.items()}
    uri, found = query_base + "?" + urllib.parse.urlencode(names), []
    while uri:
        g = read(uri)
        found += g.objects(URIRef(query_base), RDFS.member)
        info = g.value(predicate=RDF.type, object=OSLC.ResponseInfo, any=False)
        uri = g.value(info, OSLC.nextPage)
        uri = str(uri) if uri else None
    return found


def main(base, title):
    root = read(base + "/rootservices")
    catalog = root.value(predicate=URIRef("http://open-services.net/xmlns/cm/1.0/cmServiceProviders"), subject=None)
    catalog = next(root.objects(None, URIRef("http://open-services.net/xmlns/cm/1.0/cmServiceProviders")))
    provider = next(s for s, t in read(str(catalog)).subject_objects(DCTERMS.title) if str(t) == title)
    services = read(str(provider))
    capability = next(
        c for s in services.subjects(OSLC.domain, URIRef(str(CM))) for c in services.objects(s, OSLC.queryCapability))
    query_base = str(services.value(capability, OSLC.queryBase))
    factory = next(
        str(services.value(c, OSLC.creation))
        for s in services.subjects(OSLC.domain, URIRef(str(CM))) for c in services.objects(s, OSLC.creationFactory))
    print("queryBase=" + query_base)
    print("all=%d" % len(members(query_base)))
    print("pages=%d" % len(set(members(query_base, pageSize="40"))))
    print("some=%d" % len(members(query_base, where='st2:ruleStatus=false and dcterms:title!="rule 000"', pageSize="7")))
    print("search=%d" % len(members(query_base, searchTerms='"rule 123"')))

    g = Graph()
    new = URIRef(factory + "#new")
    for p, o in ((RDF.type, CM.ChangeRequest), (DCTERMS.title, Literal("made by rdflib")), (ST2.triggerType, Literal("core.st2.webhook")),
                 (ST2.triggerParameters, Literal('{"url": "rdflib"}')), (ST2.actionRef, Literal("core.local")),
                 (ST2.actionParameters, Literal('{"cmd": "echo"}')), (ST2.rulePack, Literal("demo"))):
        g.add((URIRef(""), p, o))
    status, headers, made = send("POST", factory, g)
    print("created=%d" % status)
    uri = headers["Location"]
    status, headers, now = send("GET", uri)
    print("read=%s" % now.value(URIRef(uri), DCTERMS.title))
    now.set((URIRef(uri), DCTERMS.description, Literal("changed by rdflib")))
    print("blind=%d" % send("PUT", uri, now)[0])
    print("updated=%d" % send("PUT", uri, now, If_Match=headers["ETag"])[0])
    print("stale=%d" % send("PUT", uri, now, If_Match=headers["ETag"])[0])
    print("deleted=%d" % send("DELETE", uri)[0])
    print("gone=%d" % send("GET", uri)[0])


main(*sys.argv[1:])
