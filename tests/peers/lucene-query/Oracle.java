import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.List;

import org.apache.lucene.analysis.CharArraySet;
import org.apache.lucene.analysis.standard.StandardAnalyzer;
import org.apache.lucene.index.Term;
import org.apache.lucene.queryparser.classic.ParseException;
import org.apache.lucene.queryparser.classic.QueryParser;
import org.apache.lucene.search.*;

/**
 * Oracle FILE > trees: Lucene's classic parser over the lines of FILE, with what Elasticsearch changes
 * of it: leading wildcards, "*" as exists, fuzziness AUTO, whole-number edits, a query of exclusions
 * alone over all documents. A line each: the tree (clauses by kind, as Quidditch describes it), or
 * "error" and the first line of the message.
 */
public final class Oracle extends QueryParser {
    static final float AUTO = 9;

    Oracle() {
        super("body", new StandardAnalyzer(CharArraySet.EMPTY_SET));
        setAllowLeadingWildcard(true);
        setFuzzyMinSim(AUTO);
    }
    /** A query by its text alone. */
    static final class Text extends Query {
        final String text;
        Text(String t) { text = t; }
        @Override public String toString(String field) { return text; }
        @Override public boolean equals(Object o) { return o instanceof Text && ((Text) o).text.equals(text); }
        @Override public int hashCode() { return text.hashCode(); }
    }
    static final Query NONE = new Text("MatchNoDocsQuery(\"\")");
    static boolean unknown(String field) { return !field.equals("body"); }

    @Override protected Query getFieldQuery(String field, String t, boolean quoted) throws ParseException {
        if (unknown(field)) return NONE;
        if (!quoted && t.length() > 1 && (t.charAt(0) == '>' || t.charAt(0) == '<')) {
            boolean lower = t.charAt(0) == '>', same = t.length() > 2 && t.charAt(1) == '=';
            String v = t.substring(same ? 2 : 1);
            return getRangeQuery(field, lower ? v : null, lower ? null : v, !lower || same, lower || same);
        }
        return super.getFieldQuery(field, t, quoted);
    }
    @Override protected Query getFieldQuery(String field, String t, int slop) throws ParseException {
        return unknown(field) ? NONE : super.getFieldQuery(field, t, slop);
    }
    @Override protected Query getRangeQuery(String field, String a, String b, boolean ia, boolean ib) throws ParseException {
        if (unknown(field)) return NONE;
        if (a == null && b == null) return new Text("FieldExistsQuery [field=" + field + "]");
        return super.getRangeQuery(field, a, b, ia, ib);
    }
    @Override protected Query getPrefixQuery(String field, String t) throws ParseException {
        return unknown(field) ? NONE : super.getPrefixQuery(field, t);
    }
    @Override protected Query getRegexpQuery(String field, String t) throws ParseException {
        return unknown(field) ? NONE : super.getRegexpQuery(field, t);
    }
    @Override protected Query getWildcardQuery(String field, String t) throws ParseException {
        if (t.equals("*") && field.equals("*")) return new MatchAllDocsQuery();
        if (unknown(field)) return NONE;
        return t.equals("*") ? new Text("FieldExistsQuery [field=" + field + "]") : super.getWildcardQuery(field, t);
    }
    @Override protected Query getFuzzyQuery(String field, String t, float similarity) {
        if (unknown(field)) return NONE;
        String w = getAnalyzer().normalize(field, t).utf8ToString();
        int n = w.codePointCount(0, w.length());
        int edits = similarity == AUTO ? n < 3 ? 0 : n < 6 ? 1 : 2 : (int) similarity;
        return new FuzzyQuery(new Term(field, w), Math.min(edits, 2), getFuzzyPrefixLength());
    }
    @Override protected Query getBooleanQuery(List<BooleanClause> clauses) throws ParseException {
        Query q = super.getBooleanQuery(clauses);
        return q == null ? null : top(q);
    }

    static void tree(StringBuilder b, Query q, boolean inside) {
        if (q instanceof BoostQuery) {
            float boost = 1;
            for (; q instanceof BoostQuery; q = ((BoostQuery) q).getQuery()) boost *= ((BoostQuery) q).getBoost();
            if (q == NONE) boost = 1;
            tree(b, q, inside || boost != 1);
            if (boost != 1) b.append('^').append(boost);
        } else if (q instanceof BooleanQuery) {
            if (inside) b.append('(');
            String sep = "";
            for (BooleanClause.Occur o : new BooleanClause.Occur[] {BooleanClause.Occur.MUST, BooleanClause.Occur.SHOULD,
                BooleanClause.Occur.FILTER, BooleanClause.Occur.MUST_NOT})
                for (BooleanClause c : (BooleanQuery) q)
                    if (c.getOccur() == o) {
                        b.append(sep).append(o);
                        tree(b, c.getQuery(), true);
                        sep = " ";
                    }
            if (inside) b.append(')');
        } else if (q instanceof FuzzyQuery) {
            FuzzyQuery f = (FuzzyQuery) q;
            b.append("body:").append(f.getTerm().text());
            if (f.getMaxEdits() > 0) b.append('~').append(f.getMaxEdits());
        } else b.append(q.toString());
    }
    static Query top(Query q) { // only exclusions: of everything
        if (!(q instanceof BooleanQuery) || ((BooleanQuery) q).clauses().isEmpty()) return q;
        BooleanQuery.Builder b = new BooleanQuery.Builder();
        for (BooleanClause c : (BooleanQuery) q) {
            if (!c.isProhibited()) return q;
            b.add(c);
        }
        return b.add(new MatchAllDocsQuery(), BooleanClause.Occur.FILTER).build();
    }

    public static void main(String[] a) throws Exception {
        PrintWriter o = new PrintWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8));
        for (String l : Files.readAllLines(Paths.get(a[0]), StandardCharsets.UTF_8)) {
            String text;
            try {
                Query q = l.trim().isEmpty() ? NONE : new Oracle().parse(l);
                StringBuilder b = new StringBuilder();
                boolean none = q instanceof BooleanQuery && ((BooleanQuery) q).clauses().isEmpty();
                if (none) b.append("MatchNoDocsQuery(\"\")");
                else tree(b, q, false);
                text = b.toString();
            } catch (ParseException | IllegalArgumentException e) {
                text = "error " + String.valueOf(e.getMessage()).split("\nWas expecting")[0];
            }
            o.println(text.replace("\n", "\\n").replace("\r", "\\r"));
        }
        o.close();
    }
}
