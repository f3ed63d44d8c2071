/*
 * Parts: chains of the languages and of single parts for Oracle, by reflection, since packages differ between Lucene 8 and 9.
 * A class that this Lucene does not have: ClassNotFoundException, and the chain is left out.
 */
import java.lang.reflect.Constructor;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Pattern;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.CharArraySet;
import org.apache.lucene.analysis.LowerCaseFilter;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.Tokenizer;

final class Parts {
    static final Map<String, String> STEMMERS = new HashMap<>(), NORMALIZERS = new HashMap<>();
    static {
        for (String s : ("arabic ar.Arabic,bengali bn.Bengali,brazilian br.Brazilian,bulgarian bg.Bulgarian,czech cz.Czech,galician gl.Galician,"
            + "greek el.Greek,hindi hi.Hindi,indonesian id.Indonesian,latvian lv.Latvian,light_finnish fi.FinnishLight,light_french fr.FrenchLight,"
            + "light_german de.GermanLight,light_hungarian hu.HungarianLight,light_italian it.ItalianLight,light_norwegian no.NorwegianLight,"
            + "light_portuguese pt.PortugueseLight,light_russian ru.RussianLight,light_spanish es.SpanishLight,light_swedish sv.SwedishLight,"
            + "minimal_french fr.FrenchMinimal,minimal_galician gl.GalicianMinimal,minimal_german de.GermanMinimal,minimal_norwegian no.NorwegianMinimal,"
            + "minimal_portuguese pt.PortugueseMinimal,persian fa.Persian,portuguese_rslp pt.Portuguese,sorani ckb.Sorani,"
            + "spanish_plural es.SpanishPlural").split(",")) STEMMERS.put(s.split(" ")[0], s.split(" ")[1] + "StemFilter");
        for (String s : ("arabic ar.Arabic,bengali bn.Bengali,german de.German,hindi hi.Hindi,indic in.Indic,persian fa.Persian,"
            + "scandinavian miscellaneous.Scandinavian,serbian sr.Serbian,sorani ckb.Sorani").split(","))
            NORMALIZERS.put(s.split(" ")[0] + "_normalization", s.split(" ")[1] + "NormalizationFilter");
        NORMALIZERS.put("scandinavian_folding", "miscellaneous.ScandinavianFoldingFilter");
        NORMALIZERS.put("decimal_digit", "core.DecimalDigitFilter");
        NORMALIZERS.put("cjk_width", "cjk.CJKWidthFilter");
        NORMALIZERS.put("apostrophe", "tr.ApostropheFilter");
    }

    static Class<?> named(String name) throws ClassNotFoundException {
        ClassNotFoundException none = null;
        for (String n : name.split("\\|"))
            try { return Class.forName("org.apache.lucene.analysis." + n); }
            catch (ClassNotFoundException e) { none = e; }
        throw none;
    }

    /* An object of the first of the classes (parted by |) that there is, by the first constructor that takes the arguments. */
    static Object make(String name, Object... args) throws Exception {
        Class<?> c = named(name);
        for (Constructor<?> k : c.getConstructors()) {
            if (k.getParameterCount() != args.length) continue;
            try { return k.newInstance(args); }
            catch (IllegalArgumentException e) { continue; }
        }
        throw new IllegalStateException("no constructor of " + name + " takes " + Arrays.toString(args));
    }

    static TokenStream f(String name, Object... args) throws Exception { return (TokenStream) make(name, args); }
    static CharArraySet set(String... words) { return new CharArraySet(Arrays.asList(words), false); }

    interface Filters { TokenStream over(TokenStream t) throws Exception; }
    interface Source { Tokenizer make() throws Exception; }

    static Analyzer chain(Source source, Filters filters) throws Exception {
        source.make();
        Filters all = filters;
        all.over(source.make());
        return new Analyzer() {
            @Override protected TokenStreamComponents createComponents(String field) {
                try { Tokenizer t = source.make(); return new TokenStreamComponents(t, all.over(t)); }
                catch (Exception e) { throw new RuntimeException(e); }
            }
        };
    }

    static Analyzer standard(Filters filters) throws Exception { return chain(() -> Oracle.standard(255), filters); }
    static Analyzer blanks(Filters filters) throws Exception { return chain(() -> new org.apache.lucene.analysis.core.WhitespaceTokenizer(), filters); }

    static final String[] PACKAGES = "arabic ar,armenian hy,basque eu,bengali bn,brazilian br,bulgarian bg,catalan ca,cjk cjk,czech cz,danish da,dutch nl,finnish fi,galician gl,german de,greek el,hindi hi,hungarian hu,indonesian id,irish ga,italian it,latvian lv,lithuanian lt,norwegian no,persian fa,portuguese pt,romanian ro,russian ru,serbian sr,sorani ckb,spanish es,swedish sv,thai th,turkish tr,french fr".split(",");

    /* An analyzer of a language; x_: with its own stop words and words that the stemmer leaves alone. */
    static Analyzer language(String name, boolean own) throws Exception {
        for (String p : PACKAGES) {
            if (!p.startsWith(name + " ")) continue;
            String c = p.split(" ")[1] + "." + (name.equals("cjk") ? "CJK" : Character.toUpperCase(name.charAt(0)) + name.substring(1)) + "Analyzer";
            return own ? (Analyzer) make(c, set(), set("packages", "running")) : (Analyzer) make(c);
        }
        throw new IllegalArgumentException("unknown language " + name);
    }

    static Analyzer chainOf(String name) throws Exception {
        if (name.startsWith("lang_")) return language(name.substring(5), false);
        if (name.startsWith("own_")) return language(name.substring(4), true);
        if (name.startsWith("stem_")) {
            String s = name.substring(5);
            if (s.endsWith("nynorsk")) return standard(t -> f(STEMMERS.get(s.replace("nynorsk", "norwegian")), new LowerCaseFilter(t), 2));
            if (s.equals("greek")) return standard(t -> f("el.GreekStemFilter", f("el.GreekLowerCaseFilter", t)));
            return standard(t -> f(STEMMERS.get(s), new LowerCaseFilter(t)));
        }
        if (name.startsWith("part_")) return standard(t -> f(NORMALIZERS.get(name.substring(5)), t));
        switch (name) {
        case "lower_greek": return blanks(t -> f("el.GreekLowerCaseFilter", t));
        case "lower_irish": return blanks(t -> f("ga.IrishLowerCaseFilter", t));
        case "elision": return standard(t -> f("util.ElisionFilter", t, new CharArraySet(Arrays.asList("l", "m", "t", "qu", "n", "s", "j", "d", "c", "jusqu", "quoiqu", "lorsqu", "puisqu"), true)));
        case "elision_own": return blanks(t -> f("util.ElisionFilter", t, set("a", "bc", "x")));
        case "cjk_bigram": return standard(t -> f("cjk.CJKBigramFilter", t));
        case "cjk_bigram_both": return standard(t -> f("cjk.CJKBigramFilter", t, 1 | 8, true));
        case "fingerprint": return standard(t -> f("miscellaneous.FingerprintFilter", f("miscellaneous.ASCIIFoldingFilter", new LowerCaseFilter(t)), 255, ' '));
        case "fingerprint_short": return blanks(t -> f("miscellaneous.FingerprintFilter", t, 30, '-'));
        case "path": return chain(() -> path("path.PathHierarchyTokenizer", '/', '/', 0), t -> t);
        case "path_skip": return chain(() -> path("path.PathHierarchyTokenizer", '-', '/', 2), t -> t);
        case "path_reverse": return chain(() -> path("path.ReversePathHierarchyTokenizer", '.', '#', 0), t -> t);
        case "path_reverse_skip": return chain(() -> path("path.ReversePathHierarchyTokenizer", 'a', 'a', 1), t -> t);
        case "classic": return chain(() -> (Tokenizer) make("standard.ClassicTokenizer|classic.ClassicTokenizer"), t -> f("standard.ClassicFilter|classic.ClassicFilter", t));
        case "classic_5": return chain(() -> { Tokenizer t = (Tokenizer) make("standard.ClassicTokenizer|classic.ClassicTokenizer"); t.getClass().getMethod("setMaxTokenLength", int.class).invoke(t, 5); return t; }, t -> t);
        case "char_group": return chain(() -> new org.apache.lucene.analysis.util.CharTokenizer() {
            @Override protected boolean isTokenChar(int c) { return !(Character.isWhitespace(c) || Character.isDigit(c) || c == '-' || c == 'e'); } }, t -> t);
        case "char_group_marks": return chain(() -> new org.apache.lucene.analysis.util.CharTokenizer(Oracle.FACTORY, 7) {
            @Override protected boolean isTokenChar(int c) { int g = Character.getType(c); return !(g >= 20 && g <= 24 || g == 29 || g == 30 || g == 25 || g == 26 || g == 28 || c == '\n'); } }, t -> t);
        case "shingle": return standard(t -> f("shingle.ShingleFilter", t, 2, 2));
        case "shingle_stop": return standard(t -> shingle(stop(t), 2, 4, true, false, "-", "*"));
        case "shingle_only": return standard(t -> shingle(stop(t), 3, 3, false, true, " ", "_"));
        case "shingle_pairs": return standard(t -> shingle(stop(t), 2, 3, false, false, "+", "__"));
        case "common_grams": return standard(t -> f("commongrams.CommonGramsFilter", new LowerCaseFilter(t), set("the", "a", "of", "and", "e")));
        case "common_grams_query": return standard(t -> f("commongrams.CommonGramsQueryFilter", f("commongrams.CommonGramsFilter", new LowerCaseFilter(t), set("the", "a", "of", "and", "e"))));
        case "wdg": return blanks(t -> f("miscellaneous.WordDelimiterGraphFilter", t, true, org.apache.lucene.analysis.miscellaneous.WordDelimiterIterator.DEFAULT_WORD_DELIM_TABLE, 1 | 2 | 64 | 128 | 256, null));
        case "wdg_all": return blanks(t -> f("miscellaneous.WordDelimiterGraphFilter", t, true, org.apache.lucene.analysis.miscellaneous.WordDelimiterIterator.DEFAULT_WORD_DELIM_TABLE, 1 | 2 | 4 | 8 | 16 | 32 | 64 | 128 | 256, set("the", "x-y")));
        case "wdg_join": return blanks(t -> f("miscellaneous.WordDelimiterGraphFilter", t, false, org.apache.lucene.analysis.miscellaneous.WordDelimiterIterator.DEFAULT_WORD_DELIM_TABLE, 4 | 16, null));
        case "wdg_words": return standard(t -> f("miscellaneous.WordDelimiterGraphFilter", stop(t), true, org.apache.lucene.analysis.miscellaneous.WordDelimiterIterator.DEFAULT_WORD_DELIM_TABLE, 1 | 4 | 8 | 64, null));
        case "wd": return blanks(t -> f("miscellaneous.WordDelimiterFilter", t, 1 | 2 | 64 | 128 | 256, null));
        case "wd_all": return blanks(t -> f("miscellaneous.WordDelimiterFilter", t, 1 | 2 | 4 | 8 | 16 | 32 | 64 | 128 | 256, set("the", "x-y")));
        case "wd_join": return blanks(t -> f("miscellaneous.WordDelimiterFilter", t, 4 | 16, null));
        case "wd_numbers": return standard(t -> f("miscellaneous.WordDelimiterFilter", stop(t), 2 | 4 | 8 | 64 | 128, null));
        default: throw new IllegalArgumentException("unknown chain " + name);
        }
    }

    static TokenStream stop(TokenStream t) { return new org.apache.lucene.analysis.StopFilter(t, org.apache.lucene.analysis.en.EnglishAnalyzer.ENGLISH_STOP_WORDS_SET); }

    static Tokenizer path(String c, char delimiter, char replacement, int skip) throws Exception { return (Tokenizer) make(c, delimiter, replacement, skip); }

    static TokenStream shingle(TokenStream t, int min, int max, boolean unigrams, boolean ifNone, String separator, String filler) {
        org.apache.lucene.analysis.shingle.ShingleFilter s = new org.apache.lucene.analysis.shingle.ShingleFilter(t, min, max);
        s.setOutputUnigrams(unigrams);
        s.setOutputUnigramsIfNoShingles(ifNone);
        s.setTokenSeparator(separator);
        s.setFillerToken(filler);
        return s;
    }
}
