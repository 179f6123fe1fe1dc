import java.net.URI;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import javax.ws.rs.core.Response;
import javax.xml.namespace.QName;
import org.eclipse.lyo.client.OSLCConstants;
import org.eclipse.lyo.client.OslcClient;
import org.eclipse.lyo.client.RootServicesHelper;
import org.eclipse.lyo.client.query.OslcQuery;
import org.eclipse.lyo.client.query.OslcQueryParameters;
import org.eclipse.lyo.client.query.OslcQueryResult;
import org.eclipse.lyo.oslc4j.core.annotation.OslcName;
import org.eclipse.lyo.oslc4j.core.annotation.OslcNamespace;
import org.eclipse.lyo.oslc4j.core.annotation.OslcPropertyDefinition;
import org.eclipse.lyo.oslc4j.core.annotation.OslcResourceShape;
import org.eclipse.lyo.oslc4j.core.model.AbstractResource;

/** Drives a server with the OSLC client of Eclipse Lyo, and prints what it sees. */
public class Lyo {
	static final String ST2 = "https://oslcbus.github.io/ns/st2#";
	static final String CR = OSLCConstants.OSLC_CM_V2 + "ChangeRequest";

	@OslcNamespace("http://open-services.net/ns/cm#")
	@OslcName("ChangeRequest")
	@OslcResourceShape(title = "Change request", describes = CR)
	public static class ChangeRequest extends AbstractResource {
		private String title;

		@OslcPropertyDefinition("http://purl.org/dc/terms/title")
		public String getTitle() {
			return title;
		}

		public void setTitle(String title) {
			this.title = title;
		}
	}

	static void say(String what, Object value) {
		System.out.println(what + "=" + value);
	}

	/** Counts the members on all pages, each once. */
	static void count(String what, OslcQuery query) {
		Set<String> members = new HashSet<>();
		int pages = 0, titles = 0;
		OslcQueryResult result = query.submit();
		while (true) {
			pages++;
			Collections.addAll(members, result.getMembersUrls());
			for (ChangeRequest r : result.getMembers(ChangeRequest.class)) {
				titles += r.getTitle() == null ? 0 : 1;
			}
			if (!result.hasNext()) {
				break;
			}
			result = result.next();
		}
		say(what, members.size() + " on " + pages + " with " + titles);
	}

	public static void main(String[] args) throws Exception {
		String base = args[0], title = args[1];
		OslcClient client = new OslcClient("2.0");
		String catalog = new RootServicesHelper(base, OSLCConstants.OSLC_CM_V2, client).getCatalogUrl();
		say("catalog", catalog);
		String provider = client.lookupServiceProviderUrl(catalog, title);
		say("provider", provider);
		String queryBase = client.lookupQueryCapability(provider, OSLCConstants.OSLC_CM_V2, CR);
		say("queryBase", queryBase);
		String factory = client.lookupCreationFactory(provider, OSLCConstants.OSLC_CM_V2, CR);
		say("factory", factory);

		count("all", new OslcQuery(client, queryBase));
		count("pages", new OslcQuery(client, queryBase, 20));
		OslcQueryParameters some = new OslcQueryParameters();
		some.setWhere("st2:ruleStatus=false and dcterms:title!=\"rule 000\"");
		some.setSelect("dcterms:title");
		some.setOrderBy("-dcterms:title");
		count("some", new OslcQuery(client, queryBase, 7, some));
		OslcQueryParameters search = new OslcQueryParameters();
		search.setSearchTerms("\"rule 123\"");
		count("search", new OslcQuery(client, queryBase, 7, search));
		OslcQueryParameters declared = new OslcQueryParameters();
		declared.setPrefix("x=<" + ST2 + ">");
		declared.setWhere("x:ruleRef=\"demo.rule 042\"");
		count("prefix", new OslcQuery(client, queryBase, 20, declared));

		ChangeRequest made = new ChangeRequest();
		made.addType(URI.create(CR));
		made.setTitle("made <by> Lyo & co");
		Map<QName, Object> more = new HashMap<>();
		more.put(new QName(ST2, "triggerType"), "core.st2.webhook");
		more.put(new QName(ST2, "triggerParameters"), "{\"url\": \"lyo\"}");
		more.put(new QName(ST2, "actionRef"), "core.local");
		more.put(new QName(ST2, "actionParameters"), "{\"cmd\": \"echo\"}");
		more.put(new QName(ST2, "rulePack"), "demo");
		made.setExtendedProperties(more);
		Response created = client.createResource(factory, made, OSLCConstants.CT_RDF);
		say("created", created.getStatus());
		String uri = created.getHeaderString("Location");
		created.close();
		Response raw = client.getResource(uri, OSLCConstants.CT_RDF);
		String etag = raw.getHeaderString("ETag");
		raw.close();
		ChangeRequest read = client.getResource(uri, ChangeRequest.class);
		say("read", read.getTitle());
		read.getExtendedProperties().put(new QName("http://purl.org/dc/terms/", "description"), "changed by Lyo");
		for (String tag : new String[] {etag, etag}) { // the second time it is stale
			Response updated = client.updateResource(uri, read, OSLCConstants.CT_RDF, OSLCConstants.CT_RDF, tag);
			say("updated", updated.getStatus());
			if (updated.getStatus() == 400) {
				System.err.println(updated.readEntity(String.class));
			}
			updated.close();
		}
		Map<String, String> compact = new HashMap<>();
		compact.put("Accept", "application/x-oslc-compact+xml");
		compact.put("OSLC-Core-Version", "2.0");
		Response small = client.getResource(uri, compact);
		say("compact", small.getStatus() + " " + small.getMediaType());
		small.close();
		Response deleted = client.deleteResource(uri);
		say("deleted", deleted.getStatus());
		deleted.close();
		say("gone", client.getResource(uri, ChangeRequest.class));
		System.exit(0); // its connections have threads of their own
	}
}
