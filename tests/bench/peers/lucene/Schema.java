import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

import org.apache.lucene.document.Document;
import org.apache.lucene.document.DoublePoint;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.LongPoint;
import org.apache.lucene.document.StringField;
import org.apache.lucene.document.TextField;
import org.apache.lucene.util.BytesRef;
import org.apache.lucene.util.NumericUtils;

/**
 * A mapping of Elasticsearch's as Lucene fields, each in the form that serves search best: numbers as
 * points and as single doc values (with a skip index where Lucene has one), keywords as terms and as
 * sorted doc values.
 */
final class Schema {
    enum Kind { TEXT, KEYWORD, LONG, DOUBLE }
    final Map<String, Kind> fields = new LinkedHashMap<>();
    final Set<String> pairs = new HashSet<>(); // text fields with index_phrases

    static Schema read(String path) throws Exception {
        Schema s = new Schema();
        Map<String, Object> m = Json.map(Json.parse(new String(Files.readAllBytes(Paths.get(path)), "UTF-8")));
        for (Map.Entry<String, Object> e : Json.map(m.get("properties")).entrySet()) {
            String type = (String) Json.map(e.getValue()).get("type");
            Kind k;
            switch (type) {
                case "text": k = Kind.TEXT; break;
                case "keyword": k = Kind.KEYWORD; break;
                case "date": case "long": case "integer": k = Kind.LONG; break;
                case "double": k = Kind.DOUBLE; break;
                default: throw new IllegalArgumentException("type " + type + " of " + e.getKey());
            }
            s.fields.put(e.getKey(), k);
            if (Boolean.TRUE.equals(Json.map(e.getValue()).get("index_phrases"))) s.pairs.add(e.getKey());
        }
        return s;
    }

    Kind kind(String field) {
        Kind k = fields.get(field);
        if (k == null) throw new IllegalArgumentException("no field " + field);
        return k;
    }

    /** Adds the fields of a row. */
    void add(Document d, Map<String, Object> row) {
        for (Map.Entry<String, Kind> e : fields.entrySet()) {
            String f = e.getKey();
            Object v = row.get(f);
            if (v == null) continue;
            switch (e.getValue()) {
                case TEXT:
                    d.add(new TextField(f, v.toString(), Field.Store.NO));
                    if (pairs.contains(f)) d.add(new TextField(f + Pairs.SUFFIX, v.toString(), Field.Store.NO));
                    break;
                case KEYWORD: {
                    BytesRef b = new BytesRef(v.toString());
                    d.add(new StringField(f, b, Field.Store.NO));
                    d.add(Compat.sorted(f, b));
                    break;
                }
                case LONG: {
                    long n = ((Number) v).longValue();
                    d.add(new LongPoint(f, n));
                    d.add(Compat.numeric(f, n));
                    break;
                }
                default: {
                    double n = ((Number) v).doubleValue();
                    d.add(new DoublePoint(f, n));
                    d.add(Compat.numeric(f, NumericUtils.doubleToSortableLong(n)));
                }
            }
        }
    }
}
