/* analyze_t.c: what users of analyzers notice: tokens, offsets, settings and their errors. */
#include "analysis/analysis.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(standard_breaks_words_as_lucene),
        cmocka_unit_test(stop_words_leave_holes),
        cmocka_unit_test(long_tokens_are_cut),
        cmocka_unit_test(unknown_parts_are_named),
        cmocka_unit_test(normalizers_keep_one_term),
    };
    return unit_run(tests);
}
