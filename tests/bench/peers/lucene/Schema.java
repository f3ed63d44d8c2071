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
        s.collect(Json.map(Json.parse(new String(Files.readAllBytes(Paths.get(path)), "UTF-8"))), "");
        return s;
    }

    private void collect(Map<String, Object> m, String prefix) {
        for (Map.Entry<String, Object> e : Json.map(m.get("properties")).entrySet()) {
            Map<String, Object> f = Json.map(e.getValue());
            if (f.containsKey("properties")) collect(f, prefix + e.getKey() + ".");
            else fields.put(prefix + e.getKey(), kindOf((String) f.get("type")));
            if (Boolean.TRUE.equals(f.get("index_phrases"))) pairs.add(prefix + e.getKey());
        }
    }

    private static Kind kindOf(String type) {
        switch (type) {
            case "text": return Kind.TEXT;
            case "keyword": return Kind.KEYWORD;
            case "date": case "long": case "integer": return Kind.LONG;
            case "double": return Kind.DOUBLE;
            default: throw new IllegalArgumentException("type " + type);
        }
    }

    Kind kind(String field) {
        Kind k = fields.get(field);
        if (k == null) throw new IllegalArgumentException("no field " + field);
        return k;
    }

    /** Adds the fields of a row: members of objects by their path, each value of a list. */
    void add(Document d, Map<String, Object> row) { add(d, row, ""); }

    private void add(Document d, Map<String, Object> row, String prefix) {
        for (Map.Entry<String, Object> e : row.entrySet()) {
            String f = prefix.isEmpty() ? e.getKey() : prefix + e.getKey();
            Object v = e.getValue();
            if (v instanceof Map) { add(d, Json.map(v), f + "."); continue; }
            Kind k = fields.get(f);
            if (k == null || v == null) continue;
            if (v instanceof java.util.List) for (Object x : Json.list(v)) add(d, f, k, x);
            else add(d, f, k, v);
        }
    }

    private void add(Document d, String f, Kind k, Object v) {
        switch (k) {
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
