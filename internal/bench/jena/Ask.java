import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.jena.query.Dataset;
import org.apache.jena.query.QueryExecution;
import org.apache.jena.query.QueryExecutionFactory;
import org.apache.jena.query.ReadWrite;
import org.apache.jena.query.ResultSet;
import org.apache.jena.riot.Lang;
import org.apache.jena.riot.RDFDataMgr;
import org.apache.jena.tdb2.TDB2Factory;

/**
 * Asks Apache Jena TDB2 SPARQL queries, one a line after its name and a tab, over the
 * triples of an N-Triples file, and prints how long they took.
 */
public class Ask {
	public static void main(String[] args) throws Exception {
		boolean there = Files.exists(Path.of(args[0], "Data-0001"));
		Dataset data = TDB2Factory.connectDataset(args[0]);
		if (!there) {
			data.begin(ReadWrite.WRITE);
			try (FileInputStream in = new FileInputStream(args[1])) {
				RDFDataMgr.read(data.getDefaultModel(), in, Lang.NTRIPLES);
			}
			data.commit();
			data.end();
		}
		Map<String, List<Double>> took = new LinkedHashMap<>();
		long rows = 0;
		try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
			for (String line; (line = in.readLine()) != null;) {
				String[] parts = line.split("\t", 2);
				long begun = System.nanoTime();
				data.begin(ReadWrite.READ);
				try (QueryExecution q = QueryExecutionFactory.create(parts[1], data)) {
					for (ResultSet r = q.execSelect(); r.hasNext(); rows++) {
						r.next();
					}
				}
				data.end();
				took.computeIfAbsent(parts[0], k -> new ArrayList<>()).add((System.nanoTime() - begun) / 1e6);
			}
		}
		for (Map.Entry<String, List<Double>> e : took.entrySet()) {
			List<Double> d = e.getValue().subList(e.getValue().size() / 4, e.getValue().size()); // the first ones warm up
			Collections.sort(d);
			System.out.printf("%s\t%f\t%f%n", e.getKey(), d.get(d.size() / 2), d.get((int) (d.size() * 0.99)));
		}
		System.exit(0);
	}
}
