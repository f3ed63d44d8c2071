import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

import org.apache.lucene.analysis.core.WhitespaceAnalyzer;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.LongPoint;
import org.apache.lucene.document.StoredField;
import org.apache.lucene.document.StringField;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.NoMergePolicy;
import org.apache.lucene.index.Term;
import org.apache.lucene.queries.intervals.*;
import org.apache.lucene.search.*;
import org.apache.lucene.search.similarities.*;
import org.apache.lucene.search.spans.*;
import org.apache.lucene.store.ByteBuffersDirectory;
import org.apache.lucene.util.BytesRef;

/**
 * Oracle DIR SEGMENT DELETE > results: indexes DIR/docs, a segment each SEGMENT documents, deletes every
 * DELETE-th (0: none), runs DIR/queries; a line "hits id:score ..." for each, 20 hits.
 */
public final class Oracle {
    static String s;
    static int p;

    static String next() {
        while (p < s.length() && s.charAt(p) == ' ') p++;
        if (p == s.length()) return null;
        char c = s.charAt(p);
        if (c == '(' || c == ')') { p++; return String.valueOf(c); }
        int e = p;
        while (e < s.length() && s.charAt(e) != ' ' && s.charAt(e) != ')') e++;
        String t = s.substring(p, e);
        p = e;
        return t;
    }
    static boolean more() {
        while (p < s.length() && s.charAt(p) == ' ') p++;
        return s.charAt(p) != ')';
    }
    static Term body(String w) { return new Term("body", w); }

    static Query parse() {
        next();                                     // "("
        String k = regexpNext();
        Query q;
        switch (k) {
        case "term": { String f = next(); q = new TermQuery(new Term(f, next())); break; }
        case "all": q = new MatchAllDocsQuery(); break;
        case "phrase": q = phrase(); break;
        case "prefix": q = new PrefixQuery(body(next())); break;
        case "wild": q = new WildcardQuery(body(next())); break;
        case "regexp": q = new RegexpQuery(body(rest())); break;
        case "fuzzy": {
            String w = next();
            int e = Integer.parseInt(next()), pre = Integer.parseInt(next());
            q = new FuzzyQuery(body(w), e, pre, 50, next().equals("1"));
            break;
        }
        case "range": { long lo = Long.parseLong(next()); q = LongPoint.newRangeQuery("num", lo, Long.parseLong(next())); break; }
        case "terms": {
            List<BytesRef> t = new ArrayList<>();
            while (more()) t.add(new BytesRef(next()));
            q = new TermInSetQuery("tag", t);
            break;
        }
        case "syn": {
            SynonymQuery.Builder b = new SynonymQuery.Builder("body");
            while (more()) b.addTerm(body(next()));
            q = b.build();
            break;
        }
        case "sp": q = spans(next()); break;
        case "iv": q = new IntervalQuery("body", intervals(next())); break;
        case "const": q = new ConstantScoreQuery(parse()); break;
        case "boost": { float f = Float.parseFloat(next()); q = new BoostQuery(parse(), f); break; }
        case "dis": {
            float tie = Float.parseFloat(next());
            List<Query> l = new ArrayList<>();
            while (more()) l.add(parse());
            q = new DisjunctionMaxQuery(l, tie);
            break;
        }
        case "bool": {
            BooleanQuery.Builder b = new BooleanQuery.Builder();
            b.setMinimumNumberShouldMatch(Integer.parseInt(next()));
            while (more()) {
                next();
                String o = next();
                BooleanClause.Occur occur = o.equals("must") ? BooleanClause.Occur.MUST : o.equals("should") ? BooleanClause.Occur.SHOULD
                    : o.equals("filter") ? BooleanClause.Occur.FILTER : BooleanClause.Occur.MUST_NOT;
                b.add(parse(), occur);
                next();
            }
            q = b.build();
            break;
        }
        default: throw new IllegalArgumentException(k + " in " + s);
        }
        if (!k.equals("regexp")) next();            // ")"
        return q;
    }
    static SpanQuery spans(String t) {
        if (!t.equals("(")) return new SpanTermQuery(body(t));
        String k = next();
        SpanQuery q;
        switch (k) {
        case "snear":
        case "suno": {
            SpanNearQuery.Builder b = new SpanNearQuery.Builder("body", k.equals("snear")).setSlop(Integer.parseInt(next()));
            while (more()) {
                String e = next();
                int at = p;
                if (e.equals("(") && next().equals("sgap")) {
                    b.addGap(Integer.parseInt(next()));
                    next();
                } else {
                    p = at;
                    b.addClause(spans(e));
                }
            }
            q = b.build();
            break;
        }
        case "sor": {
            List<SpanQuery> l = new ArrayList<>();
            while (more()) l.add(spans(next()));
            q = new SpanOrQuery(l.toArray(new SpanQuery[0]));
            break;
        }
        case "snot": {
            int pre = Integer.parseInt(next()), post = Integer.parseInt(next());
            SpanQuery of = spans(next());
            q = new SpanNotQuery(of, spans(next()), pre, post);
            break;
        }
        case "sfirst": { int end = Integer.parseInt(next()); q = new SpanFirstQuery(spans(next()), end); break; }
        case "scon": { SpanQuery big = spans(next()); q = new SpanContainingQuery(big, spans(next())); break; }
        case "swi": { SpanQuery big = spans(next()); q = new SpanWithinQuery(big, spans(next())); break; }
        case "smul": q = new SpanMultiTermQueryWrapper<>(new PrefixQuery(body(next()))); break;
        default: throw new IllegalArgumentException(k + " in " + s);
        }
        next();
        return q;
    }
    static IntervalsSource combine(List<IntervalsSource> l, int gaps, String mode) {
        IntervalsSource[] a = l.toArray(new IntervalsSource[0]);
        if (gaps == 0 && mode.equals("iord")) return Intervals.phrase(a);
        IntervalsSource q = a[0];
        if (mode.equals("iord")) q = Intervals.ordered(a);
        else if (mode.equals("iuno")) q = Intervals.unordered(a);
        else for (int i = 1; i < a.length; i++) q = Intervals.unorderedNoOverlaps(q, a[i]);
        return gaps == -1 ? q : Intervals.maxgaps(gaps, q);
    }
    static IntervalsSource intervals(String t) {
        if (!t.equals("(")) return Intervals.term(t);
        String k = next();
        IntervalsSource q;
        switch (k) {
        case "iord":
        case "iuno":
        case "inol": {
            int gaps = Integer.parseInt(next());
            List<IntervalsSource> l = new ArrayList<>();
            while (more()) l.add(intervals(next()));
            q = combine(l, gaps, k);
            break;
        }
        case "ior": {
            List<IntervalsSource> l = new ArrayList<>();
            while (more()) l.add(intervals(next()));
            q = Intervals.or(l.toArray(new IntervalsSource[0]));
            break;
        }
        case "ipre": q = Intervals.prefix(new BytesRef(next())); break;
        case "iext": { int n = Integer.parseInt(next()); q = Intervals.extend(intervals(next()), n, 0); break; }
        case "ifil": {
            String f = next();
            IntervalsSource a = intervals(next()), b = intervals(next());
            switch (f) {
            case "containing": q = Intervals.containing(a, b); break;
            case "contained_by": q = Intervals.containedBy(a, b); break;
            case "overlapping": q = Intervals.overlapping(a, b); break;
            case "before": q = Intervals.before(a, b); break;
            case "after": q = Intervals.after(a, b); break;
            case "not_containing": q = Intervals.notContaining(a, b); break;
            case "not_contained_by": q = Intervals.notContainedBy(a, b); break;
            default: q = Intervals.nonOverlapping(a, b);
            }
            break;
        }
        default: throw new IllegalArgumentException(k + " in " + s);
        }
        next();
        return q;
    }
    static String regexpNext() { return next(); }
    /** A regexp may hold parentheses: up to the one that closes its own. */
    static String rest() {
        while (s.charAt(p) == ' ') p++;
        int depth = 1, e = p;
        for (; ; e++) {
            if (s.charAt(e) == '(') depth++;
            if (s.charAt(e) == ')' && --depth == 0) break;
        }
        String t = s.substring(p, e);
        p = e + 1;
        return t;
    }
    static Query phrase() {
        int slop = Integer.parseInt(next());
        List<Term[]> terms = new ArrayList<>();
        List<Integer> pos = new ArrayList<>();
        boolean multi = false;
        while (more()) {
            String t = next();
            int at = t.lastIndexOf('@');
            String[] w = t.substring(0, at).split("\\|");
            if (w.length == 2 && w[0].equals(w[1])) w = new String[] {w[0]};
            Term[] x = new Term[w.length];
            for (int i = 0; i < w.length; i++) x[i] = body(w[i]);
            multi |= w.length > 1;
            terms.add(x);
            pos.add(Integer.parseInt(t.substring(at + 1)));
        }
        if (multi) {
            MultiPhraseQuery.Builder b = new MultiPhraseQuery.Builder().setSlop(slop);
            for (int i = 0; i < terms.size(); i++) b.add(terms.get(i), pos.get(i));
            return b.build();
        }
        PhraseQuery.Builder b = new PhraseQuery.Builder().setSlop(slop);
        for (int i = 0; i < terms.size(); i++) b.add(terms.get(i)[0], pos.get(i));
        return b.build();
    }

    static Normalization normalization(String[] p, int at) {
        float c = p.length > at + 1 ? Float.parseFloat(p[at + 1]) : 1;
        switch (p[at]) {
        case "h1": return new NormalizationH1(c);
        case "h2": return new NormalizationH2(c);
        case "h3": return new NormalizationH3(c);
        case "z": return new NormalizationZ(c);
        default: return new Normalization.NoNormalization();
        }
    }
    /** TYPE:PARAMETER:…, as compare.t writes them. */
    static Similarity similarity(String spec) {
        String[] p = spec.split(":");
        switch (p[0]) {
        case "boolean": return new BooleanSimilarity();
        case "DFR":
            return new DFRSimilarity(p[1].equals("g") ? new BasicModelG() : p[1].equals("if") ? new BasicModelIF()
                : p[1].equals("in") ? new BasicModelIn() : new BasicModelIne(), p[2].equals("b") ? new AfterEffectB() : new AfterEffectL(),
                normalization(p, 3));
        case "IB":
            return new IBSimilarity(p[1].equals("ll") ? new DistributionLL() : new DistributionSPL(), p[2].equals("df") ? new LambdaDF()
                : new LambdaTTF(), normalization(p, 3));
        case "DFI":
            return new DFISimilarity(p[1].equals("standardized") ? new IndependenceStandardized() : p[1].equals("saturated")
                ? new IndependenceSaturated() : new IndependenceChiSquared());
        case "LMDirichlet": return new LMDirichletSimilarity(Float.parseFloat(p[1]));
        case "LMJelinekMercer": return new LMJelinekMercerSimilarity(Float.parseFloat(p[1]));
        default: return new BM25Similarity(Float.parseFloat(p[1]), Float.parseFloat(p[2]));
        }
    }

    public static void main(String[] a) throws Exception {
        int segment = Integer.parseInt(a[1]), delete = Integer.parseInt(a[2]);
        Similarity similarity = similarity(a.length > 3 ? a[3] : "BM25:1.2:0.75");
        IndexWriterConfig c = new IndexWriterConfig(new WhitespaceAnalyzer());
        c.setMergePolicy(NoMergePolicy.INSTANCE).setSimilarity(similarity);
        IndexWriter w = new IndexWriter(new ByteBuffersDirectory(), c);
        int n = 0;
        List<String> docs = Files.readAllLines(Paths.get(a[0], "docs"), StandardCharsets.UTF_8);
        for (String l : docs) {
            String[] f = l.split("\t", -1);
            Document d = new Document();
            d.add(new StringField("id", f[0], Field.Store.YES));
            if (!f[1].isEmpty()) d.add(new TextField("body", f[1], Field.Store.NO));
            if (!f[2].isEmpty()) d.add(new StringField("tag", f[2], Field.Store.NO));
            if (!f[3].isEmpty()) d.add(new LongPoint("num", Long.parseLong(f[3])));
            w.addDocument(d);
            if (++n % segment == 0) w.commit();
        }
        w.commit();
        for (int i = 0; delete > 0 && i < n; i += delete) w.deleteDocuments(new Term("id", "d" + i));
        w.commit();
        IndexSearcher s = new IndexSearcher(DirectoryReader.open(w));
        s.setQueryCache(null);
        s.setSimilarity(similarity);
        PrintWriter o = new PrintWriter(new java.io.OutputStreamWriter(System.out, StandardCharsets.UTF_8));
        for (String l : Files.readAllLines(Paths.get(a[0], "queries"), StandardCharsets.UTF_8)) {
            Oracle.s = l;
            p = 0;
            Query q = parse();
            TopScoreDocCollector top = TopScoreDocCollector.create(20, Integer.MAX_VALUE);
            s.search(q, top);
            TopDocs t = top.topDocs();
            o.print(t.totalHits.value);
            for (ScoreDoc d : t.scoreDocs) o.printf(Locale.ROOT, " %s:%.9g", s.doc(d.doc).get("id"), d.score);
            o.println();
        }
        o.close();
    }
}
