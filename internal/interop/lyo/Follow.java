import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.jena.rdf.model.Model;
import org.apache.jena.vocabulary.DCTerms;
import org.eclipse.lyo.client.OslcClient;
import org.eclipse.lyo.core.trs.Deletion;
import org.eclipse.lyo.trs.client.handlers.ConcurrentTrsProviderHandler;
import org.eclipse.lyo.trs.client.handlers.IProviderEventHandler;
import org.eclipse.lyo.trs.client.handlers.IProviderHandler;
import org.eclipse.lyo.trs.client.handlers.TrsProviderHandler;
import org.eclipse.lyo.trs.client.model.BaseMember;
import org.eclipse.lyo.trs.client.model.ChangeEventMessageTR;
import org.eclipse.lyo.trs.client.util.TrackedResourceClient;

/**
 * Follows a tracked resource set with both handlers of the TRS client of Eclipse Lyo. Each line of
 * the input has one of them update once ("sequential" or "concurrent"), or begins it anew ("new
 * sequential"); the answer is a line with how often it had to begin anew and what it has.
 */
public class Follow {
	/** What a consumer keeps of a set: the members, and of each its title where it was told. */
	static class Replica implements IProviderEventHandler {
		final Map<String, String> members = new ConcurrentHashMap<>();
		final AtomicInteger rebases = new AtomicInteger();

		static String title(Model m, URI uri) {
			if (m == null) {
				return "?";
			}
			org.apache.jena.rdf.model.Statement s = m.getResource(uri.toString()).getProperty(DCTerms.title);
			return s == null ? "?" : s.getString();
		}

		@Override
		public void finishCycle() {}

		@Override
		public void rebase() {
			rebases.incrementAndGet();
			members.clear();
		}

		@Override
		public void handleBaseMember(BaseMember m) {
			members.put(m.getUri().toString(), title(m.getModel(), m.getUri()));
		}

		@Override
		public void handleChangeEvent(ChangeEventMessageTR e) {
			URI uri = e.getChangeEvent().getChanged();
			if (e.getChangeEvent() instanceof Deletion) {
				members.remove(uri.toString());
			} else {
				members.put(uri.toString(), title(e.getTrackedResourceModel(), uri));
			}
		}
	}

	public static void main(String[] args) throws Exception {
		URI set = URI.create(args[0]);
		Map<String, IProviderHandler> handlers = new TreeMap<>();
		Map<String, Replica> replicas = new TreeMap<>();
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		for (String line; (line = in.readLine()) != null; ) {
			String name = line.replace("new ", "");
			if (!line.equals(name) || !handlers.containsKey(name)) {
				Replica replica = new Replica();
				TrackedResourceClient client = new TrackedResourceClient(new OslcClient());
				replicas.put(name, replica);
				handlers.put(name, name.equals("sequential")
						? new TrsProviderHandler(set, client, replica)
						: new ConcurrentTrsProviderHandler(set, client, replica));
			}
			handlers.get(name).update();
			Replica replica = replicas.get(name);
			List<String> out = new ArrayList<>();
			for (Map.Entry<String, String> m : new TreeMap<>(replica.members).entrySet()) {
				out.add(m.getKey() + "=" + m.getValue().replace(' ', '_'));
			}
			System.out.println(replica.rebases + " " + String.join(" ", out));
			System.out.flush();
		}
		System.exit(0); // its connections have threads of their own
	}
}
