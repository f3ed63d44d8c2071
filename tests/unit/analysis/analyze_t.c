/* analyze_t.c: what users of analyzers notice: tokens, offsets, settings and their errors. */
#include "analysis/analysis_int.h"
#include "unit/unit.h"

#define MAX 64
typedef struct conf {
    qd_str values[MAX];
    qd_analysis_setting set[MAX];
    size_t n, nvalues;
} conf;

/* key, then values; a list when it ends with NULL after more than one, or begins with "[" */
static void put(conf *c, const char *key, ...)
{
    va_list ap;
    qd_analysis_setting *s = &c->set[c->n++];
    *s = (qd_analysis_setting){.key = qd_str_c(key), .values = c->values + c->nvalues};
    va_start(ap, key);
    for (const char *v; (v = va_arg(ap, const char *));) {
        c->values[c->nvalues++] = qd_str_c(v);
        s->nvalues++;
    }
    va_end(ap);
    s->list = s->nvalues > 1;
}

/* Tokens as "term[from,to)+inc" parted by blanks, "~len" behind one that spans more positions. */
static const char *tokens_of(const qd_analyzer *a, const char *text)
{
    static char line[8192];
    qd_analysis *s = qd_analysis_make(NULL, 0);
    const qd_tokens *t;
    size_t n = 0;
    assert_non_null(s);
    assert_int_equal(qd_analyzer_run(a, s, qd_str_c(text), QD_ANALYZE_OFFSETS, &t, NULL), 0);
    line[0] = 0;
    for (size_t i = 0; i < t->n; i++) {
        qd_str w = qd_tokens_term(t, i);
        n += (size_t)snprintf(line + n, sizeof line - n, "%s%.*s[%u,%u)", i ? " " : "",
                              QD_STR_ARG(w), t->offset[i].from, t->offset[i].to);
        if (qd_tokens_inc(t, i) != 1)
            n += (size_t)snprintf(line + n, sizeof line - n, "+%u", qd_tokens_inc(t, i));
        if (qd_tokens_length(t, i) != 1)
            n += (size_t)snprintf(line + n, sizeof line - n, "~%u", qd_tokens_length(t, i));
    }
    if (t->end_inc) snprintf(line + n, sizeof line - n, " end+%u", t->end_inc);
    qd_analysis_free(s);
    return line;
}

static void check(conf *c, const char *name, const char *text, const char *want)
{
    qd_analyzers *as;
    qd_err err;
    qd_err_init(&err);
    if (qd_analyzers_make(c->set, c->n, NULL, &as, &err)) fail_msg("%s", qd_err_reason(&err));
    const qd_analyzer *a = qd_analyzers_get(as, qd_str_c(name));
    assert_non_null(a);
    assert_string_equal(tokens_of(a, text), want);
    qd_analyzers_unref(as);
    qd_err_fini(&err);
}

static void refused(conf *c, const char *reason)
{
    qd_analyzers *as;
    qd_err err;
    qd_err_init(&err);
    assert_int_not_equal(qd_analyzers_make(c->set, c->n, NULL, &as, &err), 0);
    assert_string_equal(qd_err_reason(&err), reason);
    qd_err_fini(&err);
}

static void standard_breaks_words_as_lucene(void **state)
{
    (void)state;
    conf c = {.n = 0};
    check(&c, "standard", "The 2 QUICK Brown-Foxes jumped over the lazy dog's bone.",
          "the[0,3) 2[4,5) quick[6,11) brown[12,17) foxes[18,23) jumped[24,30) over[31,35) "
          "the[36,39) "
          "lazy[40,44) dog's[45,50) bone[51,55)");
    check(&c, "standard", "a:b foo@bar.org 1,000.5 x_y U.S.A. can't",
          "a:b[0,3) foo[4,7) bar.org[8,15) 1,000.5[16,23) x_y[24,27) u.s.a[28,33) can't[35,40)");
    check(&c, "standard", "\xE4\xB8\xAD\xE5\x9B\xBD \xF0\x9F\x98\x80 \xC3\x84rger",
          "\xE4\xB8\xAD[0,1) \xE5\x9B\xBD[1,2) \xF0\x9F\x98\x80[3,5) \xC3\xA4rger[6,11)");
    check(&c, "default", "", "");
}

static void stop_words_leave_holes(void **state)
{
    (void)state;
    conf c = {.n = 0};
    put(&c, "analysis.analyzer.std.type", "standard", NULL);
    put(&c, "analysis.analyzer.std.stopwords", "_english_", NULL);
    check(&c, "std", "The quick and the dead is", "quick[4,9)+2 dead[18,22)+3 end+1");
    check(&c, "stop", "The 2 QUICK foxes", "quick[6,11)+2 foxes[12,17)");
}

static void long_tokens_are_cut(void **state)
{
    (void)state;
    conf c = {.n = 0};
    put(&c, "analysis.analyzer.x.type", "standard", NULL);
    put(&c, "analysis.analyzer.x.max_token_length", "5", NULL);
    check(&c, "x", "jumped over", "jumpe[0,5) d[5,6) over[7,11)");
    char text[600], want[700];
    memset(text, 'a', sizeof text);
    text[599] = 0;
    snprintf(want, sizeof want, "%.255s[0,255) %.255s[255,510) %.89s[510,599)", text, text, text);
    check(&c, "standard", text, want);
}

static void unknown_parts_are_named(void **state)
{
    (void)state;
    conf c = {.n = 0};
    put(&c, "analysis.analyzer.x.tokenizer", "nope", NULL);
    refused(&c, "Custom Analyzer [x] failed to find tokenizer under name [nope]");
    c = (conf){.n = 0};
    put(&c, "analysis.analyzer.x.tokenizer", "standard", NULL);
    put(&c, "analysis.analyzer.x.filter", "lowercase", "nope", NULL);
    refused(&c, "Custom Analyzer [x] failed to find filter under name [nope]");
    c = (conf){.n = 0};
    put(&c, "analysis.tokenizer.t.type", "nope", NULL);
    refused(&c, "Unknown tokenizer type [nope] for [t]");
    c = (conf){.n = 0};
    put(&c, "analysis.analyzer.x.type", "nope", NULL);
    refused(&c, "Unknown analyzer type [nope] for [x]");
    c = (conf){.n = 0};
    put(&c, "analysis.analyzer.x.filter", "lowercase", NULL);
    refused(&c, "analyzer [x] must specify either an analyzer type, or a tokenizer");
    c = (conf){.n = 0};
    put(&c, "analysis.normalizer.n.filter", "stop", NULL);
    refused(&c, "Custom normalizer [n] may not use filter [stop]");
}

static void normalizers_keep_one_term(void **state)
{
    (void)state;
    conf c = {.n = 0};
    qd_analyzers *as;
    qd_str out;
    put(&c, "analysis.normalizer.n.type", "custom", NULL);
    put(&c, "analysis.normalizer.n.filter", "lowercase", "asciifolding", NULL);
    assert_int_equal(qd_analyzers_make(c.set, c.n, NULL, &as, NULL), 0);
    qd_analysis *s = qd_analysis_make(NULL, 0);
    const qd_analyzer *a = qd_analyzers_normalizer(as, QD_STR("n"));
    assert_int_equal(
        qd_analyzer_normalize(a, s, QD_STR("\xC3\x89t\xC3\xA9 \xC3\x80 Paris"), &out, NULL), 0);
    assert_true(qd_str_is(out, "ete a paris"));
    qd_analysis_free(s);
    qd_analyzers_unref(as);
}

static void synonyms_of_several_words_make_a_graph(void **state)
{
    (void)state;
    conf c = {.n = 0};
    put(&c, "analysis.filter.s.type", "synonym_graph", NULL);
    put(&c, "analysis.filter.s.synonyms", "ny, new york", "tv => television set", NULL);
    put(&c, "analysis.analyzer.x.tokenizer", "standard", NULL);
    put(&c, "analysis.analyzer.x.filter", "lowercase", "s", NULL);
    check(&c, "x", "A NY hotel", "a[0,1) new[2,4) ny[2,4)+0~2 york[2,4) hotel[5,10)");
    check(&c, "x", "new york tv", "ny[0,8)~2 new[0,3)+0 york[4,8) television[9,11) set[9,11)");
}

static void rules_that_vanish_are_refused_unless_lenient(void **state)
{
    (void)state;
    conf c = {.n = 0};
    put(&c, "analysis.filter.s.type", "synonym_graph", NULL);
    put(&c, "analysis.filter.s.synonyms", "quick, fast", "the, a", NULL);
    put(&c, "analysis.analyzer.x.tokenizer", "standard", NULL);
    put(&c, "analysis.analyzer.x.filter", "stop", "s", NULL);
    refused(&c, "failed to build synonyms");
    put(&c, "analysis.filter.s.lenient", "true", NULL);
    check(&c, "x", "quick", "fast[0,5) quick[0,5)+0");
}

static void limits_of_ngrams_are_the_indexs(void **state)
{
    (void)state;
    conf c = {.n = 0};
    put(&c, "analysis.tokenizer.t.type", "ngram", NULL);
    put(&c, "analysis.tokenizer.t.min_gram", "2", NULL);
    put(&c, "analysis.tokenizer.t.max_gram", "4", NULL);
    put(&c, "analysis.analyzer.x.tokenizer", "t", NULL);
    refused(&c, "The difference between max_gram and min_gram in NGram Tokenizer must be less than "
                "or equal "
                "to: [1] but was [2]. This limit can be set by changing the [index.max_ngram_diff] "
                "index level "
                "setting.");
    put(&c, "index.max_ngram_diff", "2", NULL);
    check(&c, "x", "abc", "ab[0,2) abc[0,3) bc[1,3)");
}

/* A column that grows to the limit only must not be taken for as long as the others. */
static void columns_of_tokens_end_where_memory_does(void **state)
{
    (void)state;
    static char text[2 * 400 + 1], phrase[8 * 200];
    size_t n = 0;
    conf c = {.n = 0};
    for (size_t i = 0; i < sizeof text - 1; i++) text[i] = i % 2 ? ' ' : 'a';
    n = (size_t)snprintf(phrase, sizeof phrase, "a =>");
    for (int i = 0; i < 150; i++) n += (size_t)snprintf(phrase + n, sizeof phrase - n, " w%d", i);
    put(&c, "analysis.filter.s.type", "synonym_graph", NULL);
    put(&c, "analysis.filter.s.synonyms", phrase, NULL);
    put(&c, "analysis.filter.f.type", "synonym", NULL);
    put(&c, "analysis.filter.f.synonyms", phrase, NULL);
    put(&c, "analysis.filter.g.type", "edge_ngram", NULL);
    put(&c, "analysis.filter.g.max_gram", "400", NULL);
    put(&c, "analysis.analyzer.graph.tokenizer", "standard", NULL);
    put(&c, "analysis.analyzer.graph.filter", "s", NULL);
    put(&c, "analysis.analyzer.flat.tokenizer", "standard", NULL);
    put(&c, "analysis.analyzer.flat.filter", "f", NULL);
    put(&c, "analysis.analyzer.grams.tokenizer", "keyword", NULL);
    put(&c, "analysis.analyzer.grams.filter", "g", "g", NULL);
    qd_analyzers *as;
    assert_int_equal(qd_analyzers_make(c.set, c.n, NULL, &as, NULL), 0);
    static const char *const names[] = {"graph", "flat", "grams"};
    size_t refusals = 0, runs = 0;
    for (size_t a = 0; a < QD_COUNT_OF(names); a++) {
        for (size_t max = 64 << 10; max < (4u << 20); max += max / 50, runs++) {
            qd_analysis *s = qd_analysis_make(NULL, max);
            const qd_tokens *t;
            if (!s) continue;
            int rc = qd_analyzer_run(qd_analyzers_get(as, qd_str_c(names[a])), s, qd_str_c(text),
                                     QD_ANALYZE_OFFSETS | QD_ANALYZE_TYPES, &t, NULL);
            refusals += rc != 0;
            const qd_batch *both[] = {s->b, s->spare};
            for (size_t k = 0; k < QD_COUNT_OF(both); k++) {
                for (int col = 0; col < QD_COLS; col++) {
                    bool has = col == QD_COL_TERM || (both[k]->t.has >> (col - 1) & 1);
                    if (has) assert_true(both[k]->t.n <= both[k]->cap[col]);
                }
            }
            qd_analysis_free(s);
        }
    }
    assert_true(refusals > 0 && refusals < runs);
    qd_analyzers_unref(as);
}

/* Terms of one line stand for each other: pairs, each once however often a rule says it. */
static void many_synonyms_end(void **state)
{
    (void)state;
    static char line[16 * 1100];
    conf c = {.n = 0};
    for (int terms = 100; terms <= 1100; terms += 1000) {
        size_t n = 0;
        for (int i = 0; i < terms; i++)
            n += (size_t)snprintf(line + n, sizeof line - n, "%sw%d", i ? ", " : "", i);
        c = (conf){.n = 0};
        put(&c, "analysis.filter.s.type", "synonym_graph", NULL);
        put(&c, "analysis.filter.s.synonyms", line, line, "w7, w8", NULL);
        put(&c, "analysis.analyzer.x.tokenizer", "standard", NULL);
        put(&c, "analysis.analyzer.x.filter", "s", NULL);
        if (terms > 1000) break;
        qd_analyzers *as;
        const qd_tokens *t;
        qd_analysis *s = qd_analysis_make(NULL, 0);
        assert_int_equal(qd_analyzers_make(c.set, c.n, NULL, &as, NULL), 0);
        const qd_analyzer *x = qd_analyzers_get(as, QD_STR("x"));
        assert_int_equal(qd_analyzer_run(x, s, QD_STR("w7"), 0, &t, NULL), 0);
        assert_int_equal(t->n, terms);
        qd_analysis_free(s);
        qd_analyzers_unref(as);
    }
    qd_analyzers *as;
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(qd_analyzers_make(c.set, c.n, NULL, &as, &err), QD_E_ARG);
    assert_non_null(strstr(qd_err_reason(&err), "failed to build synonyms"));
    qd_err_fini(&err);
}

static void bad_patterns_say_where(void **state)
{
    (void)state;
    conf c = {.n = 0};
    put(&c, "analysis.tokenizer.t.type", "pattern", NULL);
    put(&c, "analysis.tokenizer.t.pattern", "a(b", NULL);
    refused(&c, "Unclosed group near index 3\na(b");
    c = (conf){.n = 0};
    put(&c, "analysis.tokenizer.t.type", "pattern", NULL);
    put(&c, "analysis.tokenizer.t.pattern", "a(?=b)", NULL);
    refused(&c, "Look-ahead and look-behind are not supported near index 4\na(?=b)");
}

/* Ten thousand starts that each read to the end would be too slow: the search gives up. */
static void endless_patterns_give_up(void **state)
{
    (void)state;
    conf c = {.n = 0};
    qd_analyzers *as;
    const qd_tokens *t;
    put(&c, "analysis.tokenizer.t.type", "pattern", NULL);
    put(&c, "analysis.tokenizer.t.pattern", "a(.*b|c.*d|.*e|[^f]*f)|a", NULL);
    put(&c, "analysis.analyzer.x.tokenizer", "t", NULL);
    assert_int_equal(qd_analyzers_make(c.set, c.n, NULL, &as, NULL), 0);
    size_t n = 20000;
    char *text = malloc(n);
    memset(text, 'a', n);
    qd_analysis *s = qd_analysis_make(NULL, 0);
    assert_int_equal(
        qd_analyzer_run(qd_analyzers_get(as, QD_STR("x")), s, (qd_str){text, n}, 0, &t, NULL),
        QD_E_ARG);
    free(text);
    qd_analysis_free(s);
    qd_analyzers_unref(as);
}

/* Runs analyzer x over a text: refused as too much, in so many bytes. */
static void too_much(conf *c, const char *text, size_t n, const char *part)
{
    qd_analyzers *as;
    qd_account account;
    const qd_tokens *t;
    qd_err err;
    char want[64];
    qd_err_init(&err);
    if (qd_analyzers_make(c->set, c->n, NULL, &as, &err)) fail_msg("%s", qd_err_reason(&err));
    const qd_analyzer *x = qd_analyzers_get(as, QD_STR("x"));
    qd_account_init(&account, "test", NULL, 0);
    qd_analysis *s = qd_analysis_make(&account, 0);
    int64_t most = (int64_t)(QD_ANALYSIS_ROOM + n * QD_ANALYSIS_PER_BYTE + 65536);
    for (int i = 0; i < 3; i++) { /* each time: what one took is given back */
        assert_int_equal(qd_analyzer_run(x, s, (qd_str){text, n}, QD_ANALYZE_OFFSETS, &t, &err),
                         QD_E_ARG);
        snprintf(want, sizeof want, "[%s] makes too much of a text of [%zu] bytes", part, n);
        assert_ptr_equal(strstr(qd_err_reason(&err), want), qd_err_reason(&err));
        assert_true(account.peak <= most);
        assert_true(qd_account_used(&account) < 1 << 20);
        qd_err_fini(&err);
    }
    /* the next value is analyzed */
    assert_int_equal(qd_analyzer_run(x, s, QD_STR("-"), QD_ANALYZE_OFFSETS, &t, &err), 0);
    qd_analysis_free(s);
    qd_analyzers_unref(as);
}

static void what_grows_too_much_is_refused(void **state)
{
    (void)state;
    char a100[101], a1000[1010], text[8192];
    memset(a100, 'a', 100), a100[100] = 0;
    snprintf(a1000, sizeof a1000, "a => ");
    memset(a1000 + 5, 'a', 1000), a1000[1005] = 0;
    memset(text, 'b', sizeof text);
    conf c = {.n = 0};
    put(&c, "analysis.filter.p.type", "pattern_replace", NULL);
    put(&c, "analysis.filter.p.pattern", "a", NULL);
    put(&c, "analysis.filter.p.replacement", a100, NULL);
    put(&c, "analysis.analyzer.x.tokenizer", "keyword", NULL);
    put(&c, "analysis.analyzer.x.filter", "p", "p", "p", "p", "p", "p", NULL);
    too_much(&c, "a", 1, "p");
    c = (conf){.n = 0};
    put(&c, "analysis.char_filter.m.type", "mapping", NULL);
    put(&c, "analysis.char_filter.m.mappings", a1000, NULL);
    put(&c, "analysis.analyzer.x.tokenizer", "keyword", NULL);
    put(&c, "analysis.analyzer.x.char_filter", "m", "m", "m", "m", NULL);
    too_much(&c, "a", 1, "m");
    c = (conf){.n = 0};
    put(&c, "max_ngram_diff", "499", NULL);
    put(&c, "analysis.tokenizer.n.type", "ngram", NULL);
    put(&c, "analysis.tokenizer.n.min_gram", "1", NULL);
    put(&c, "analysis.tokenizer.n.max_gram", "500", NULL);
    put(&c, "analysis.analyzer.x.tokenizer", "n", NULL);
    put(&c, "analysis.analyzer.x.filter", "lowercase", NULL);
    too_much(&c, text, sizeof text, "n");
    c = (conf){.n = 0};
    put(&c, "analysis.char_filter.r.type", "pattern_replace", NULL);
    put(&c, "analysis.char_filter.r.pattern", "a", NULL);
    put(&c, "analysis.char_filter.r.replacement", "aaaaaaaaaaaaaaaaaaaa", NULL);
    put(&c, "analysis.analyzer.x.tokenizer", "standard", NULL);
    put(&c, "analysis.analyzer.x.char_filter", "r", "r", "r", "r", "r", "r", "r", "r", NULL);
    too_much(&c, "a", 1, "r");
}

typedef struct stages {
    char text[512];
    size_t n;
} stages;

static int stage(void *arg, qd_stage_kind kind, qd_str name, const qd_tokens *tokens, qd_str text)
{
    stages *s = arg;
    s->n += (size_t)snprintf(s->text + s->n, sizeof s->text - s->n, "%d:%.*s", (int)kind,
                             QD_STR_ARG(name));
    if (!tokens)
        s->n += (size_t)snprintf(s->text + s->n, sizeof s->text - s->n, "=%.*s", QD_STR_ARG(text));
    for (size_t i = 0; tokens && i < tokens->n; i++)
        s->n += (size_t)snprintf(s->text + s->n, sizeof s->text - s->n, ",%.*s",
                                 QD_STR_ARG(qd_tokens_term(tokens, i)));
    s->n += (size_t)snprintf(s->text + s->n, sizeof s->text - s->n, ";");
    return 0;
}

static void each_stage_is_shown(void **state)
{
    (void)state;
    qd_analysis_part strip = {.name = QD_STR("html_strip")},
                     tokenizer = {.name = QD_STR("whitespace")};
    const qd_str type = QD_STR("stop"), word = QD_STR("b");
    const qd_analysis_setting anonymous[] = {{QD_STR("type"), &type, 1, false},
                                             {QD_STR("stopwords"), &word, 1, true}};
    qd_analysis_part filters[] = {{.name = QD_STR("lowercase")},
                                  {.definition = anonymous, .ndefinition = 2}};
    qd_analyzer *a;
    stages got = {.n = 0};
    assert_int_equal(qd_analyzers_chain(NULL, NULL, &tokenizer, filters, 2, &strip, 1, &a, NULL),
                     0);
    qd_analysis *s = qd_analysis_make(NULL, 0);
    assert_int_equal(qd_analyzer_explain(a, s, QD_STR("<i>A</i> B"), stage, &got, NULL), 0);
    assert_string_equal(got.text,
                        "0:html_strip=A B;1:whitespace,A,B;2:lowercase,a,b;2:__anonymous__stop,a;");
    qd_analyzer_unref(a);
    got.n = 0;
    assert_int_equal(qd_analyzer_explain(qd_analyzers_get(NULL, QD_STR("stop")), s,
                                         QD_STR("The Fox"), stage, &got, NULL),
                     0);
    assert_string_equal(got.text, "3:stop,fox;");
    qd_analysis_part nope = {.name = QD_STR("nope")};
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(qd_analyzers_chain(NULL, NULL, &tokenizer, &nope, 1, NULL, 0, &a, &err),
                     QD_E_ARG);
    assert_string_equal(qd_err_reason(&err), "failed to find global filter under [nope]");
    qd_err_fini(&err);
    qd_analysis_free(s);
}

/* Makes a set of everything and analyzes; returns the code of the first that failed. */
static int everything(void)
{
    conf c = {.n = 0};
    put(&c, "analysis.char_filter.m.type", "mapping", NULL);
    put(&c, "analysis.char_filter.m.mappings", "a => bb", "ccc => d", NULL);
    put(&c, "analysis.char_filter.p.type", "pattern_replace", NULL);
    put(&c, "analysis.char_filter.p.pattern", "(x)[yz]+", NULL);
    put(&c, "analysis.char_filter.p.replacement", "$1 ", NULL);
    put(&c, "analysis.tokenizer.t.type", "pattern", NULL);
    put(&c, "analysis.tokenizer.n.type", "ngram", NULL);
    put(&c, "analysis.filter.s.type", "synonym_graph", NULL);
    put(&c, "analysis.filter.s.synonyms", "quick, very fast", NULL);
    put(&c, "analysis.filter.f.type", "asciifolding", NULL);
    put(&c, "analysis.filter.f.preserve_original", "true", NULL);
    put(&c, "analysis.filter.w.type", "stemmer", NULL);
    put(&c, "analysis.filter.w.language", "swedish", NULL);
    put(&c, "analysis.analyzer.x.tokenizer", "t", NULL);
    put(&c, "analysis.analyzer.x.char_filter", "html_strip", "m", "p", NULL);
    put(&c, "analysis.analyzer.x.filter", "lowercase", "stop", "s", "w", "unique", NULL);
    put(&c, "analysis.analyzer.y.tokenizer", "n", NULL);
    put(&c, "analysis.analyzer.y.filter", "f", "edge_ngram", "reverse", NULL);
    put(&c, "analysis.analyzer.z.type", "english", NULL);
    put(&c, "analysis.normalizer.n.filter", "uppercase", "trim", NULL);
    static const char *const names[] = {"x", "y", "z", "standard"};
    qd_analyzers *as = NULL;
    const qd_tokens *t;
    qd_str out;
    qd_err err;
    qd_err_init(&err);
    int rc = qd_analyzers_make(c.set, c.n, NULL, &as, &err);
    qd_analysis *s = qd_analysis_make(NULL, 0);
    if (!rc && !s) rc = QD_E_NOMEM;
    for (size_t i = 0; !rc && i < 4; i++) {
        const qd_analyzer *a = qd_analyzers_get(as, qd_str_c(names[i]));
        rc = a ? qd_analyzer_run(
                     a, s, QD_STR("The <b>quick</b> na\xC3\xAFve caccc xyzz quick \xC4\xB0 dogs'"),
                     QD_ANALYZE_OFFSETS | QD_ANALYZE_TYPES, &t, &err)
               : QD_E_NOMEM;
    }
    if (!rc)
        rc = qd_analyzer_normalize(qd_analyzers_normalizer(as, QD_STR("n")), s, QD_STR(" x "), &out,
                                   &err);
    qd_analysis_free(s);
    qd_analyzers_unref(as);
    qd_err_fini(&err);
    return rc;
}

static void lost_memory_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    (void)qd_analyzers_get(NULL, QD_STR("standard"));
    for (uint64_t n = 1;; n++) {
        int64_t used = qd_account_used(&qd_account_root);
        (void)qd_mem_fail_at(n, false);
        int rc = everything();
        bool failed = qd_mem_fail_at(0, false) >= n;
        if (!failed) break;
        if (rc != 0) assert_int_equal(rc, QD_E_NOMEM);
        assert_int_equal(qd_account_used(&qd_account_root), used);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(standard_breaks_words_as_lucene),
        cmocka_unit_test(stop_words_leave_holes),
        cmocka_unit_test(long_tokens_are_cut),
        cmocka_unit_test(unknown_parts_are_named),
        cmocka_unit_test(normalizers_keep_one_term),
        cmocka_unit_test(synonyms_of_several_words_make_a_graph),
        cmocka_unit_test(rules_that_vanish_are_refused_unless_lenient),
        cmocka_unit_test(limits_of_ngrams_are_the_indexs),
        cmocka_unit_test(many_synonyms_end),
        cmocka_unit_test(columns_of_tokens_end_where_memory_does),
        cmocka_unit_test(bad_patterns_say_where),
        cmocka_unit_test(endless_patterns_give_up),
        cmocka_unit_test(each_stage_is_shown),
        cmocka_unit_test(what_grows_too_much_is_refused),
        cmocka_unit_test(lost_memory_is_an_error_and_leaks_nothing),
    };
    return unit_run(tests);
}
