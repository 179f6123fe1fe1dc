import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.util.ArrayDeque;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.jena.rdf.model.Model;
import org.apache.jena.rdf.model.ModelFactory;
import org.apache.jena.rdf.model.Property;
import org.apache.jena.rdf.model.RDFNode;
import org.apache.jena.rdf.model.Resource;
import org.apache.jena.rdf.model.ResourceFactory;

/** Reads a server with Apache Jena alone, in every syntax, and prints what it sees. */
public class Read {
	static final String OSLC = "http://open-services.net/ns/core#";

	static Model get(String uri, String type, String lang) throws Exception {
		HttpURLConnection c = (HttpURLConnection) URI.create(uri).toURL().openConnection();
		c.setRequestProperty("Accept", type);
		try (InputStream in = c.getInputStream()) {
			if (!type.equals(c.getContentType())) {
				throw new Exception(uri + " is " + c.getContentType());
			}
			Model m = ModelFactory.createDefaultModel();
			m.read(in, uri, lang);
			return m;
		}
	}

	static Property p(String uri) {
		return ResourceFactory.createProperty(uri);
	}

	public static void main(String[] args) throws Exception {
		Map<String, String> syntaxes = new LinkedHashMap<>();
		syntaxes.put("text/turtle", "TTL");
		syntaxes.put("application/ld+json", "JSON-LD");
		syntaxes.put("application/n-triples", "N-TRIPLES");
		int documents = 0, members = 0;
		ArrayDeque<String> next = new ArrayDeque<>();
		next.add(args[0] + "/.well-known/oslc/sp-catalog");
		next.add(args[0] + "/rootservices");
		while (!next.isEmpty()) {
			String uri = next.remove();
			Model m = get(uri, "application/rdf+xml", "RDF/XML");
			documents++;
			for (Map.Entry<String, String> s : syntaxes.entrySet()) {
				if (!m.isIsomorphicWith(get(uri, s.getKey(), s.getValue()))) {
					throw new Exception(uri + " says something else as " + s.getKey());
				}
			}
			for (RDFNode n : m.listObjectsOfProperty(p(OSLC + "serviceProvider")).toList()) {
				if (documents == 1) {
					next.add(n.asResource().getURI());
				}
			}
			for (RDFNode n : m.listObjectsOfProperty(p(OSLC + "queryBase")).toList()) {
				if (n.asResource().getURI().endsWith("/changeRequests")) {
					next.add(n.asResource().getURI() + "?oslc.pageSize=100");
				}
			}
			for (Resource info : m.listResourcesWithProperty(p("http://www.w3.org/1999/02/22-rdf-syntax-ns#type"),
					ResourceFactory.createResource(OSLC + "ResponseInfo")).toList()) {
				for (RDFNode n : m.listObjectsOfProperty(info, p(OSLC + "nextPage")).toList()) {
					next.add(n.asResource().getURI());
				}
			}
			members += m.listObjectsOfProperty(p("http://www.w3.org/2000/01/rdf-schema#member")).toList().size();
		}
		System.out.println("documents=" + documents);
		System.out.println("members=" + members);
	}
}
