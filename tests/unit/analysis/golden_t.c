/*
 * golden_t.c: every built-in analyzer and a chain around every part give the tokens, offsets,
 * positions and types that Lucene 8 gave (golden_data.h), with each kernel. To see what differs,
 * run tests/peers/lucene-analysis/compare.t.
 */
#include "runtime/cpu.h"
#include "unit/lib/analysis_dump.h"
#include "unit/unit.h"

#include "golden_data.h"

static uint64_t fnv(qd_str s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.n; i++) h = (h ^ (unsigned char)s.p[i]) * 1099511628211u;
    return h;
}

/* Tokens without their types. */
static void untyped(qd_str lines, qd_buf *out)
{
    while (lines.n) {
        qd_str line = qd_str_split(&lines, '\n');
        size_t n = line.n, tabs = 0;
        for (size_t i = 0; i < line.n; i++) tabs += line.p[i] == '\t';
        while (tabs > 2 && line.p[--n] != '\t') continue;
        qd_buf_add(out, line.p, n);
        qd_buf_char(out, '\n');
    }
}

static void check_text(const qd_analyzer *a, qd_analysis *s, const struct golden_chain *g, size_t i)
{
    const qd_tokens *t;
    qd_buf typed, want, plain;
    qd_buf_init(&typed, NULL, 1 << 24);
    qd_buf_init(&want, NULL, 1 << 24);
    qd_buf_init(&plain, NULL, 1 << 24);
    qd_str text = qd_str_c(golden_texts[i]);
    uint32_t all = QD_ANALYZE_OFFSETS | QD_ANALYZE_TYPES;
    assert_int_equal(qd_analyzer_run(a, s, text, all, &t, NULL), 0);
    analysis_dump_tokens(t, true, &typed);
    if (fnv(qd_buf_view(&typed)) != g->digests[i])
        fail_msg("%s: text %zu: not Lucene's tokens:\n%s", g->words, i, typed.p);
    untyped(qd_buf_view(&typed), &want);
    for (qd_cpu level = QD_CPU_V2; level <= QD_CPU_V3; level++) {
        qd_cpu before = qd_cpu_level_set(level);
        assert_int_equal(qd_analyzer_run(a, s, text, QD_ANALYZE_OFFSETS, &t, NULL), 0);
        qd_buf_reset(&plain);
        analysis_dump_tokens(t, false, &plain);
        qd_cpu_level_set(before);
        if (!qd_str_eq(qd_buf_view(&plain), qd_buf_view(&want)))
            fail_msg("%s: text %zu: kernel %s differs:\n%s", g->words, i, qd_cpu_name(level),
                     plain.p);
    }
    qd_buf_fini(&typed);
    qd_buf_fini(&want);
    qd_buf_fini(&plain);
}

static void tokens_are_lucenes(void **state)
{
    (void)state;
    qd_analysis *s = qd_analysis_make(NULL, 0);
    for (size_t c = 0; c < QD_COUNT_OF(golden_chains); c++) {
        const struct golden_chain *g = &golden_chains[c];
        char copy[2048], *words[32], *save = copy;
        int n = 0;
        qd_analyzers *as = NULL;
        qd_err err;
        qd_err_init(&err);
        snprintf(copy, sizeof copy, "%s", g->words);
        for (char *w = strsep(&save, " "); w && n < 32; w = strsep(&save, " ")) words[n++] = w;
        const qd_analyzer *a = analysis_dump_chain(words + 1, n - 1, &as, &err);
        if (!a) fail_msg("%s: %s", g->words, qd_err_reason(&err));
        for (size_t i = 0; i < QD_COUNT_OF(golden_texts); i++) check_text(a, s, g, i);
        qd_analyzers_unref(as);
        qd_err_fini(&err);
    }
    qd_analysis_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tokens_are_lucenes)};
    return unit_run(tests);
}
