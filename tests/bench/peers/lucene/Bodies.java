import java.util.List;
import java.util.Map;

import org.apache.lucene.document.DoublePoint;
import org.apache.lucene.document.LongPoint;
import org.apache.lucene.document.NumericDocValuesField;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.FuzzyQuery;
import org.apache.lucene.search.IndexOrDocValuesQuery;
import org.apache.lucene.search.MatchAllDocsQuery;
import org.apache.lucene.search.PhraseQuery;
import org.apache.lucene.search.PrefixQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.Sort;
import org.apache.lucene.search.SortField;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.search.WildcardQuery;
import org.apache.lucene.util.NumericUtils;

/** Search bodies of gen_bodies.pl as Lucene queries, sorts and aggregations. Words are looked up as they stand. */
final class Bodies {
    final Query query;
    final Sort sort;        // null: by score
    final Aggregation agg;  // null: none

    Bodies(String body, Schema schema) {
        Map<String, Object> m = Json.map(Json.parse(body));
        query = m.containsKey("query") ? query(Json.map(m.get("query")), schema) : new MatchAllDocsQuery();
        sort = m.containsKey("sort") ? sort(Json.list(m.get("sort")), schema) : null;
        agg = m.containsKey("aggs") ? Aggregation.of(Json.map(m.get("aggs")), schema) : null;
    }

    private static Map.Entry<String, Object> only(Object o) { return Json.map(o).entrySet().iterator().next(); }

    private static Query query(Map<String, Object> q, Schema schema) {
        Map.Entry<String, Object> e = only(q);
        String name = e.getKey();
        if (name.equals("match_all")) return new MatchAllDocsQuery();
        if (name.equals("bool")) return bool(Json.map(e.getValue()), schema);
        Map.Entry<String, Object> f = only(e.getValue());
        String field = f.getKey();
        Map<String, Object> o = f.getValue() instanceof Map ? Json.map(f.getValue()) : null;
        switch (name) {
            case "match": return new TermQuery(new Term(field, (String) f.getValue()));
            case "term": return term(field, f.getValue(), schema);
            case "prefix": return new PrefixQuery(new Term(field, (String) o.get("value")));
            case "wildcard": return new WildcardQuery(new Term(field, (String) o.get("value")));
            case "fuzzy": return new FuzzyQuery(new Term(field, (String) o.get("value")), Integer.parseInt((String) o.get("fuzziness")));
            case "match_phrase": {
                String[] words = ((String) (o == null ? f.getValue() : o.get("query"))).split(" ");
                int slop = o == null || o.get("slop") == null ? 0 : ((Long) o.get("slop")).intValue();
                return slop == 0 && schema.pairs.contains(field) ? Pairs.phrase(field, words) : new PhraseQuery(slop, field, words);
            }
            case "range": return range(field, o, schema);
            default: throw new IllegalArgumentException("query " + name);
        }
    }

    private static Query term(String field, Object v, Schema schema) {
        if (schema.kind(field) == Schema.Kind.LONG) return LongPoint.newExactQuery(field, ((Number) v).longValue());
        return new TermQuery(new Term(field, (String) v));
    }

    private static Query bool(Map<String, Object> b, Schema schema) {
        BooleanQuery.Builder q = new BooleanQuery.Builder();
        for (Map.Entry<String, Object> e : b.entrySet()) {
            BooleanClause.Occur occur;
            switch (e.getKey()) {
                case "must": occur = BooleanClause.Occur.MUST; break;
                case "filter": occur = BooleanClause.Occur.FILTER; break;
                case "should": occur = BooleanClause.Occur.SHOULD; break;
                default: throw new IllegalArgumentException("bool " + e.getKey());
            }
            for (Object c : Json.list(e.getValue())) q.add(query(Json.map(c), schema), occur);
        }
        return q.build();
    }

    private static Query range(String field, Map<String, Object> o, Schema schema) {
        Object gte = o.get("gte"), lt = o.get("lt");
        if (schema.kind(field) == Schema.Kind.DOUBLE) {
            double from = gte == null ? Double.NEGATIVE_INFINITY : ((Number) gte).doubleValue();
            double to = lt == null ? Double.POSITIVE_INFINITY : DoublePoint.nextDown(((Number) lt).doubleValue());
            return new IndexOrDocValuesQuery(DoublePoint.newRangeQuery(field, from, to),
                NumericDocValuesField.newSlowRangeQuery(field, NumericUtils.doubleToSortableLong(from), NumericUtils.doubleToSortableLong(to)));
        }
        long from = gte == null ? Long.MIN_VALUE : ((Number) gte).longValue();
        long to = lt == null ? Long.MAX_VALUE : ((Number) lt).longValue() - 1;
        return new IndexOrDocValuesQuery(LongPoint.newRangeQuery(field, from, to), NumericDocValuesField.newSlowRangeQuery(field, from, to));
    }

    private static Sort sort(List<Object> l, Schema schema) {
        Map.Entry<String, Object> e = only(l.get(0));
        boolean reverse = Json.map(e.getValue()).get("order").equals("desc");
        SortField.Type type = schema.kind(e.getKey()) == Schema.Kind.DOUBLE ? SortField.Type.DOUBLE : SortField.Type.LONG;
        return new Sort(Compat.byPoints(new SortField(e.getKey(), type, reverse)));
    }
}
