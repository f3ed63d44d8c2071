/*
 * Oracle: tokens as Lucene finds them. Reads records parted by NUL bytes from stdin and writes, for each, a line a
 * token: term, start, end, position increment, position length, type, parted by tabs; then a line "=" with the end
 * offset and the increment behind the last token.
 *
 *   java -cp … Oracle CHAIN < records > tokens
 *   java -cp … Oracle FOLDER CHAIN CHAIN… < records     one file a chain
 *
 * CHAIN is one of the names in chains.txt, which gives the same chain as settings of Quidditch; here it is built
 * from Lucene's classes as Elasticsearch's factories build it.
 */
import java.io.BufferedOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.CharArraySet;
import org.apache.lucene.analysis.LowerCaseFilter;
import org.apache.lucene.analysis.StopFilter;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.core.*;
import org.apache.lucene.analysis.en.EnglishAnalyzer;
import org.apache.lucene.analysis.en.EnglishPossessiveFilter;
import org.apache.lucene.analysis.en.PorterStemFilter;
import org.apache.lucene.analysis.miscellaneous.*;
import org.apache.lucene.analysis.ngram.*;
import org.apache.lucene.analysis.pattern.PatternTokenizer;
import org.apache.lucene.analysis.reverse.ReverseStringFilter;
import org.apache.lucene.analysis.shingle.ShingleFilter;
import org.apache.lucene.analysis.snowball.SnowballFilter;
import org.apache.lucene.analysis.standard.StandardAnalyzer;
import org.apache.lucene.analysis.standard.StandardTokenizer;
import org.apache.lucene.analysis.synonym.SolrSynonymParser;
import org.apache.lucene.analysis.synonym.SynonymGraphFilter;
import org.apache.lucene.analysis.tokenattributes.*;

public final class Oracle {
    static final org.apache.lucene.util.AttributeFactory FACTORY = TokenStream.DEFAULT_TOKEN_ATTRIBUTE_FACTORY;

    interface Chain { TokenStream make(Tokenizer t) throws Exception; }

    static Analyzer chars(java.util.function.Function<java.io.Reader, java.io.Reader> filter) {
        return new Analyzer() {
            @Override protected TokenStreamComponents createComponents(String field) { return new TokenStreamComponents(standard(255)); }
            @Override protected java.io.Reader initReader(String field, java.io.Reader r) { return filter.apply(r); }
        };
    }

    static java.io.Reader mapping(java.io.Reader r, String... rules) {
        org.apache.lucene.analysis.charfilter.NormalizeCharMap.Builder b = new org.apache.lucene.analysis.charfilter.NormalizeCharMap.Builder();
        for (int i = 0; i < rules.length; i += 2) b.add(rules[i], rules[i + 1]);
        return new org.apache.lucene.analysis.charfilter.MappingCharFilter(b.build(), r);
    }

    static java.io.Reader replace(java.io.Reader r, String pattern, String to) {
        return new org.apache.lucene.analysis.pattern.PatternReplaceCharFilter(java.util.regex.Pattern.compile(pattern), to, r);
    }

    static Analyzer of(java.util.function.Supplier<Tokenizer> tokenizer, Chain filters) {
        return new Analyzer() {
            @Override protected TokenStreamComponents createComponents(String field) {
                Tokenizer t = tokenizer.get();
                try { return new TokenStreamComponents(t, filters.make(t)); }
                catch (Exception e) { throw new RuntimeException(e); }
            }
        };
    }

    static Tokenizer standard(int max) {
        StandardTokenizer t = new StandardTokenizer();
        t.setMaxTokenLength(max);
        return t;
    }

    static final String[][] PATTERNS = {
        {","},
        {"\\s+"},
        {"[^\\p{L}\\d]+"},
        {"([a-z]+)(\\d*)", "2"},
        {"\\p{Lu}?\\p{Ll}+", "0"},
        {"(foo|o+|[a-f&&[^bc]]+?)x?", "1"},
        {"(?i)[A-Z]{2,4}", "0"},
        {"\\b\\w{3}\\b", "0"},
        {"^|\\.|$"},
        {"'(.*?)'", "1"},
        {"[\\s,;.]|--"},
        {"(?:a|ab)(?:c|bcd)?", "0"},
        {"(?m)^(\\S+)", "1"},
        {"\\Q.*\\E|[\\]\\-^]+"},
        {""},
        {"(a*)*b?", "0"},
        {"((a|b)+c|d)+", "1"},
        {"x{2,3}?|y{0}z", "0"},
        {"[^\\W_]+|\\p{Punct}{2}", "0"},
        {"(?<year>\\d{2,4})-(\\d\\d?)", "1"},
        {"(?s)t.h|\\Ao|e\\z", "0"},
        {"\\x41|\\u0062|[\\x{1F600}-\\x{1F64F}]", "0"},
    };

    static Tokenizer pattern(String p, int group) { return new PatternTokenizer(java.util.regex.Pattern.compile(p), group); }

    static final String RULES = "fast, quick, speedy\nwi fi, wifi, wireless network\nfile system => fs\n"
        + "debian, gnu linux => debian gnu linux, distro\nlibrary, lib\nthe same thing => identical\nthe same => equal, such as\n"
        + "a b c, x\nsystem tool\\, kit => kit\na => a a\n";

    static TokenStream synonyms(TokenStream t, boolean expand, boolean graph) throws Exception {
        SolrSynonymParser p = new SolrSynonymParser(true, expand, of(() -> standard(255), x -> new LowerCaseFilter(x)));
        p.parse(new java.io.StringReader(RULES));
        TokenStream low = new LowerCaseFilter(t);
        return graph ? new SynonymGraphFilter(low, p.build(), false) : new org.apache.lucene.analysis.synonym.SynonymFilter(low, p.build(), false);
    }

    static Analyzer chain(String name) throws Exception {
        CharArraySet english = EnglishAnalyzer.ENGLISH_STOP_WORDS_SET;
        switch (name) {
        case "standard_types": return of(() -> standard(255), t -> t);
        case "standard": return new StandardAnalyzer();
        case "standard_stop": return new StandardAnalyzer(english);
        case "standard_max5": return of(() -> standard(5), t -> new LowerCaseFilter(t));
        case "standard_max200": return of(() -> standard(200), t -> new LowerCaseFilter(t));
        case "whitespace": return new WhitespaceAnalyzer();
        case "keyword": return new KeywordAnalyzer();
        case "simple": return new SimpleAnalyzer();
        case "stop": return new StopAnalyzer(english);
        case "english": return new EnglishAnalyzer();
        case "upper": return of(WhitespaceTokenizer::new, t -> new UpperCaseFilter(t));
        case "folding": return of(() -> standard(255), t -> new ASCIIFoldingFilter(new LowerCaseFilter(t)));
        case "folding_both": return of(WhitespaceTokenizer::new, t -> new ASCIIFoldingFilter(t, true));
        case "ngram": return of(() -> new NGramTokenizer(1, 2), t -> t);
        case "ngram_3_5": return of(() -> new NGramTokenizer(3, 5), t -> new LowerCaseFilter(t));
        case "ngram_letters": return of(() -> new NGramTokenizer(2, 3) {
            @Override protected boolean isTokenChar(int c) { return Character.isLetter(c) || Character.isDigit(c); } }, t -> t);
        case "edge_ngram": return of(() -> new EdgeNGramTokenizer(1, 2), t -> t);
        case "edge_letters": return of(() -> new EdgeNGramTokenizer(2, 10) {
            @Override protected boolean isTokenChar(int c) { return Character.isLetter(c) || Character.isWhitespace(c) || c == '-'; } }, t -> t);
        case "f_ngram": return of(() -> standard(255), t -> new NGramTokenFilter(new StopFilter(t, english), 2, 3, false));
        case "f_ngram_keep": return of(WhitespaceTokenizer::new, t -> new NGramTokenFilter(t, 3, 4, true));
        case "f_edge": return of(() -> standard(255), t -> new EdgeNGramTokenFilter(new LowerCaseFilter(t), 2, 5, false));
        case "f_edge_keep": return of(() -> standard(255), t -> new EdgeNGramTokenFilter(new StopFilter(t, english), 3, 4, true));
        case "f_edge_back": return of(() -> standard(255), t -> new ReverseStringFilter(new EdgeNGramTokenFilter(new ReverseStringFilter(t), 2, 4, false)));
        case "ngram_fold": return of(() -> new NGramTokenizer(2, 3), t -> new ASCIIFoldingFilter(new LowerCaseFilter(t)));
        case "small": return of(() -> standard(255), t -> new LengthFilter(new TrimFilter(new ReverseStringFilter(t)), 2, 8));
        case "truncate": return of(WhitespaceTokenizer::new, t -> new LimitTokenCountFilter(new TruncateTokenFilter(t, 4), 5));
        case "repeat": return of(() -> standard(255), t -> new RemoveDuplicatesTokenFilter(new PorterStemFilter(new KeywordRepeatFilter(new LowerCaseFilter(t)))));
        case "synonym_graph": return of(() -> standard(255), t -> synonyms(t, true, true));
        case "synonym_graph_collapse": return of(() -> standard(255), t -> synonyms(t, false, true));
        case "synonym_graph_stop": return of(() -> standard(255), t -> new StopFilter(synonyms(new StopFilter(t, new CharArraySet(Arrays.asList("of", "and"), true)), true, true), english));
        case "synonym": return of(() -> standard(255), t -> synonyms(t, true, false));
        case "armenian": return new org.apache.lucene.analysis.hy.ArmenianAnalyzer();
        case "basque": return new org.apache.lucene.analysis.eu.BasqueAnalyzer();
        case "norwegian": return new org.apache.lucene.analysis.no.NorwegianAnalyzer();
        case "romanian": return new org.apache.lucene.analysis.ro.RomanianAnalyzer();
        case "russian": return new org.apache.lucene.analysis.ru.RussianAnalyzer();
        case "swedish": return new org.apache.lucene.analysis.sv.SwedishAnalyzer();
        case "pattern": return of(() -> pattern("\\W+", -1), t -> new LowerCaseFilter(t));
        case "mapping": return chars(r -> mapping(r, "the", "", "a", "alpha beta", "e", "\u00e9", "tool", "t", "th", "z", "\u00e9", "ee", "\ud83d\ude00", " smile "));
        case "mapping_twice": return chars(r -> replace(mapping(r, "o", "00", "library", "lib"), "0+", "o"));
        case "replace": return chars(r -> replace(r, "([aeiou])([a-z])?", "$2\\$$1"));
        case "f_replace": return of(() -> standard(255), t -> new org.apache.lucene.analysis.pattern.PatternReplaceFilter(t, java.util.regex.Pattern.compile("([aeiou]+)(x)?"), "<$1>", true));
        case "html_strip": return chars(r -> new org.apache.lucene.analysis.charfilter.HTMLStripCharFilter(r));
        case "english_x": return new EnglishAnalyzer(english, new CharArraySet(Arrays.asList("running", "packages"), false));
        case "stem_min": return of(() -> standard(255), t -> new org.apache.lucene.analysis.en.EnglishMinimalStemFilter(new LowerCaseFilter(t)));
        case "porter_ws": return of(WhitespaceTokenizer::new, t -> new PorterStemFilter(t));
        default:
            if (name.startsWith("re")) {
                String[] p = PATTERNS[Integer.parseInt(name.substring(2))];
                return of(() -> pattern(p[0], p.length > 1 ? Integer.parseInt(p[1]) : -1), t -> t);
            }
            if (name.startsWith("snowball_")) return of(() -> standard(255), t -> new SnowballFilter(new LowerCaseFilter(t), name.substring(9)));
            return Parts.chainOf(name);
        }
    }

    static String escape(CharTermAttribute t) {
        String s = t.toString();
        return s.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r");
    }

    static void run(String name, byte[] all, java.io.OutputStream to) throws Exception {
        Analyzer a = chain(name);
        PrintStream out = new PrintStream(new BufferedOutputStream(to, 1 << 20), false, "UTF-8");
        StringBuilder line = new StringBuilder();
        for (int i = 0, from = 0; i <= all.length; i++) {
            if (i < all.length && all[i] != 0) continue;
            if (i == all.length && from == i) break;
            String text = new String(all, from, i - from, StandardCharsets.UTF_8);
            from = i + 1;
            try (TokenStream s = a.tokenStream("f", text)) {
                CharTermAttribute term = s.addAttribute(CharTermAttribute.class);
                OffsetAttribute off = s.addAttribute(OffsetAttribute.class);
                PositionIncrementAttribute inc = s.addAttribute(PositionIncrementAttribute.class);
                PositionLengthAttribute len = s.addAttribute(PositionLengthAttribute.class);
                TypeAttribute type = s.addAttribute(TypeAttribute.class);
                s.reset();
                while (s.incrementToken()) {
                    line.setLength(0);
                    line.append(escape(term)).append('\t').append(off.startOffset()).append('\t').append(off.endOffset()).append('\t')
                        .append(inc.getPositionIncrement()).append('\t').append(len.getPositionLength()).append('\t').append(type.type()).append('\n');
                    out.print(line);
                }
                s.end();
                out.print("=\t" + off.endOffset() + "\t" + inc.getPositionIncrement() + "\n");
            }
        }
        out.flush();
    }

    public static void main(String[] args) throws Exception {
        byte[] all = System.in.readAllBytes();
        if (args.length == 1) {
            run(args[0], all, new java.io.FileOutputStream(java.io.FileDescriptor.out));
            return;
        }
        for (int i = 1; i < args.length && !args[i].equals("-"); i++) {
            java.io.File file = new java.io.File(args[0] + "/" + args[i]);
            try (java.io.FileOutputStream to = new java.io.FileOutputStream(file)) { run(args[i], all, to); }
            catch (ClassNotFoundException e) { file.delete(); /* this Lucene does not have it */ }
        }
    }
}
