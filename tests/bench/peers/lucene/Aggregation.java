import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.lucene.index.DocValues;
import org.apache.lucene.index.IndexReader;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.MultiDocValues;
import org.apache.lucene.index.NumericDocValues;
import org.apache.lucene.index.OrdinalMap;
import org.apache.lucene.index.SortedDocValues;
import org.apache.lucene.util.LongValues;
import org.apache.lucene.util.NumericUtils;

/**
 * terms (keyword or number), date_histogram by a fixed interval, stats, and an avg below: over doc
 * values, a batch of documents at a time. Compat hands on the batches and reads values as its Lucene
 * does it fastest. Ordinals over several segments come from a map that is made once, as Elasticsearch
 * keeps its global ordinals.
 */
abstract class Aggregation {
    static final int BATCH = 1024;
    String field;
    Schema.Kind kind;
    final long[] values = new long[BATCH], below = new long[BATCH];

    static Aggregation of(Map<String, Object> aggs, Schema schema) {
        Map<String, Object> a = Json.map(aggs.values().iterator().next());
        Aggregation g;
        if (a.containsKey("terms")) {
            String f = (String) Json.map(a.get("terms")).get("field");
            g = schema.kind(f) == Schema.Kind.KEYWORD ? new Terms() : new NumberTerms();
            g.field = f;
        } else if (a.containsKey("date_histogram")) {
            Map<String, Object> h = Json.map(a.get("date_histogram"));
            g = new Histogram();
            g.field = (String) h.get("field");
            String i = (String) h.get("fixed_interval");
            long unit = i.endsWith("d") ? 86400000L : i.endsWith("h") ? 3600000L : 60000L;
            ((Histogram) g).interval = Long.parseLong(i.substring(0, i.length() - 1)) * unit;
        } else {
            g = new Stats();
            g.field = (String) Json.map(a.get("stats")).get("field");
        }
        g.kind = schema.kind(g.field);
        if (a.containsKey("aggs")) {
            if (!(g instanceof Terms)) throw new IllegalArgumentException("aggs below");
            Terms t = (Terms) g;
            t.avg = (String) Json.map(Json.map(Json.map(a.get("aggs")).get("b")).get("avg")).get("field");
            t.avgKind = schema.kind(t.avg);
        }
        return g;
    }

    /** Once for a reader, outside the time. */
    void prepare(IndexReader r) throws IOException { }
    abstract void begin();
    abstract void leaf(LeafReaderContext c) throws IOException;
    /** Documents of the leaf, ascending, at most BATCH. */
    abstract void batch(int[] docs, int n) throws IOException;
    abstract void end() throws IOException;
    abstract String json();

    static double number(long v, Schema.Kind k) { return k == Schema.Kind.DOUBLE ? NumericUtils.sortableLongToDouble(v) : v; }
    static String text(double d) { return Double.isInfinite(d) || Double.isNaN(d) ? "null" : Double.toString(d); }

    static final class Terms extends Aggregation {
        String avg;
        Schema.Kind avgKind;
        private OrdinalMap map;
        private int values0;
        private final List<SortedDocValues> of = new ArrayList<>();
        private SortedDocValues dv, all;
        private NumericDocValues number;
        private LongValues global;
        private long[] counts;
        private double[] sums;
        private String json;

        @Override void prepare(IndexReader r) throws IOException {
            for (LeafReaderContext c : r.leaves()) of.add(DocValues.getSorted(c.reader(), field));
            map = of.size() < 2 ? null : OrdinalMap.build(null, of.toArray(new SortedDocValues[0]), 0.25f);
            all = map == null ? null : MultiDocValues.getSortedValues(r, field);
            values0 = map == null ? of.get(0).getValueCount() : (int) map.getValueCount();
        }
        @Override void begin() {
            counts = new long[values0];
            sums = avg == null ? null : new double[values0];
        }
        @Override void leaf(LeafReaderContext c) throws IOException {
            dv = DocValues.getSorted(c.reader(), field);
            number = avg == null ? null : DocValues.getNumeric(c.reader(), avg);
            global = map == null ? null : map.getGlobalOrds(c.ord);
        }
        @Override void batch(int[] docs, int n) throws IOException {
            if (avg != null) Compat.values(number, docs, n, below);
            for (int i = 0; i < n; i++) {
                if (!dv.advanceExact(docs[i])) continue;
                int o = dv.ordValue();
                if (global != null) o = (int) global.get(o);
                counts[o]++;
                if (avg != null) sums[o] += number(below[i], avgKind);
            }
        }
        @Override void end() throws IOException {
            int[] top = new int[10];
            int n = 0;
            for (int o = 0; o < counts.length; o++) {
                if (counts[o] == 0 || n == 10 && counts[top[9]] >= counts[o]) continue;
                int at = n == 10 ? 9 : n++;
                while (at > 0 && counts[top[at - 1]] < counts[o]) { top[at] = top[at - 1]; at--; }
                top[at] = o;
            }
            StringBuilder b = new StringBuilder("{\"a\":{\"buckets\":[");
            SortedDocValues names = all == null ? of.get(0) : all;
            for (int i = 0; i < n; i++) {
                b.append(i == 0 ? "" : ",").append("{\"key\":\"").append(names.lookupOrd(top[i]).utf8ToString())
                    .append("\",\"doc_count\":").append(counts[top[i]]);
                if (avg != null) b.append(",\"b\":{\"value\":").append(text(sums[top[i]] / counts[top[i]])).append('}');
                b.append('}');
            }
            json = b.append("]}}").toString();
        }
        @Override String json() { return json; }
    }

    static final class NumberTerms extends Aggregation {
        private NumericDocValues dv;
        private long[] keys, counts;
        private boolean[] used;
        private int size;
        private String json;

        @Override void begin() { keys = new long[64]; counts = new long[64]; used = new boolean[64]; size = 0; }
        @Override void leaf(LeafReaderContext c) throws IOException { dv = DocValues.getNumeric(c.reader(), field); }
        private int slot(long v) {
            int m = keys.length - 1, i = (int) ((v * 0x9E3779B97F4A7C15L) >>> 40) & m;
            while (used[i] && keys[i] != v) i = i + 1 & m;
            return i;
        }
        @Override void batch(int[] docs, int n) throws IOException {
            Compat.values(dv, docs, n, values);
            for (int i = 0; i < n; i++) {
                int s = slot(values[i]);
                if (!used[s]) {
                    if (++size * 2 > keys.length) { grow(); s = slot(values[i]); }
                    used[s] = true;
                    keys[s] = values[i];
                }
                counts[s]++;
            }
        }
        private void grow() {
            long[] k = keys, c = counts;
            boolean[] u = used;
            keys = new long[k.length * 2]; counts = new long[k.length * 2]; used = new boolean[k.length * 2];
            for (int i = 0; i < k.length; i++)
                if (u[i]) { int s = slot(k[i]); used[s] = true; keys[s] = k[i]; counts[s] = c[i]; }
        }
        @Override void end() {
            List<Integer> l = new ArrayList<>();
            for (int i = 0; i < keys.length; i++) if (used[i]) l.add(i);
            l.sort((x, y) -> counts[x] != counts[y] ? Long.compare(counts[y], counts[x]) : Long.compare(keys[x], keys[y]));
            StringBuilder b = new StringBuilder("{\"a\":{\"buckets\":[");
            for (int i = 0; i < l.size() && i < 10; i++)
                b.append(i == 0 ? "" : ",").append("{\"key\":").append(keys[l.get(i)]).append(",\"doc_count\":").append(counts[l.get(i)]).append('}');
            json = b.append("]}}").toString();
        }
        @Override String json() { return json; }
    }

    static final class Histogram extends Aggregation {
        long interval;
        private NumericDocValues dv;
        private long first;
        private long[] counts;

        @Override void begin() { counts = null; }
        @Override void leaf(LeafReaderContext c) throws IOException { dv = DocValues.getNumeric(c.reader(), field); }
        @Override void batch(int[] docs, int n) throws IOException {
            Compat.values(dv, docs, n, values);
            for (int i = 0; i < n; i++) {
                long k = Math.floorDiv(values[i], interval);
                if (counts == null) { first = k; counts = new long[256]; }
                if (k < first) { // make room in front
                    int more = (int) (first - k) + counts.length;
                    long[] g = new long[counts.length + more];
                    System.arraycopy(counts, 0, g, more, counts.length);
                    counts = g;
                    first -= more;
                }
                if (k - first >= counts.length) counts = Arrays.copyOf(counts, (int) Math.max(counts.length * 2L, k - first + 1));
                counts[(int) (k - first)]++;
            }
        }
        @Override void end() { }
        @Override String json() {
            StringBuilder b = new StringBuilder("{\"a\":{\"buckets\":[");
            int from = 0, to = counts == null ? 0 : counts.length;
            while (from < to && counts[from] == 0) from++;
            while (to > from && counts[to - 1] == 0) to--;
            for (int i = from; i < to; i++)
                b.append(i == from ? "" : ",").append("{\"key\":").append((first + i) * interval).append(",\"doc_count\":").append(counts[i]).append('}');
            return b.append("]}}").toString();
        }
    }

    static final class Stats extends Aggregation {
        private NumericDocValues dv;
        private long n, min, max;
        private double sum;

        @Override void begin() { n = 0; sum = 0; min = Long.MAX_VALUE; max = Long.MIN_VALUE; }
        @Override void leaf(LeafReaderContext c) throws IOException { dv = DocValues.getNumeric(c.reader(), field); }
        @Override void batch(int[] docs, int count) throws IOException {
            Compat.values(dv, docs, count, values);
            long lo = min, hi = max;
            for (int i = 0; i < count; i++) { lo = Math.min(lo, values[i]); hi = Math.max(hi, values[i]); }
            if (kind == Schema.Kind.DOUBLE) {
                for (int i = 0; i < count; i++) sum += NumericUtils.sortableLongToDouble(values[i]);
            } else {
                long s = 0;
                for (int i = 0; i < count; i++) s += values[i];
                sum += s;
            }
            min = lo;
            max = hi;
            n += count;
        }
        @Override void end() { }
        @Override String json() {
            return n == 0 ? "{\"a\":{\"count\":0}}" : "{\"a\":{\"count\":" + n + ",\"min\":" + text(number(min, kind)) + ",\"max\":" + text(number(max, kind))
                + ",\"avg\":" + text(sum / n) + ",\"sum\":" + text(sum) + "}}";
        }
    }
}
