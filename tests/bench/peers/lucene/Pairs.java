import java.io.IOException;

import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.AnalyzerWrapper;
import org.apache.lucene.analysis.TokenFilter;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.PhraseQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.TermQuery;

/**
 * index_phrases: words two by two in a field beside the text, as Elasticsearch's FixedShingleFilter(2)
 * makes them of text without holes or stacked words, without the states that one captures.
 */
final class Pairs extends TokenFilter {
    static final String SUFFIX = "._index_phrase";
    private final CharTermAttribute term = addAttribute(CharTermAttribute.class);
    private char[] last = new char[64];
    private int n;
    private boolean any;

    private Pairs(TokenStream in) { super(in); }

    private void keep() {
        n = term.length();
        if (n > last.length) last = new char[2 * n];
        System.arraycopy(term.buffer(), 0, last, 0, n);
    }

    @Override public boolean incrementToken() throws IOException {
        if (!any) {
            if (!input.incrementToken()) return false;
            any = true;
            keep();
        }
        if (!input.incrementToken()) return false;
        int m = term.length(), before = n;
        char[] b = term.resizeBuffer(before + 1 + m);
        System.arraycopy(b, 0, b, before + 1, m);
        System.arraycopy(last, 0, b, 0, before);
        b[before] = ' ';
        term.setLength(before + 1 + m);
        n = m;
        if (n > last.length) last = new char[2 * n];
        System.arraycopy(b, before + 1, last, 0, m);
        return true;
    }

    @Override public void reset() throws IOException { super.reset(); any = false; }

    /** An analyzer that pairs the words of fields named so. */
    static Analyzer analyzer(Analyzer words) {
        return new AnalyzerWrapper(Analyzer.PER_FIELD_REUSE_STRATEGY) {
            @Override protected Analyzer getWrappedAnalyzer(String field) { return words; }
            @Override protected TokenStreamComponents wrapComponents(String field, TokenStreamComponents c) {
                return field.endsWith(SUFFIX) ? new TokenStreamComponents(c.getSource(), new Pairs(c.getTokenStream())) : c;
            }
        };
    }

    /** The exact phrase of these words over the field's pairs. */
    static Query phrase(String field, String[] words) {
        if (words.length == 1) return new TermQuery(new Term(field, words[0]));
        PhraseQuery.Builder b = new PhraseQuery.Builder();
        for (int i = 0; i + 1 < words.length; i++) b.add(new Term(field + SUFFIX, words[i] + " " + words[i + 1]));
        return b.build();
    }
}
