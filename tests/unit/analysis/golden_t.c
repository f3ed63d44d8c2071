/*
 * golden_t.c: every built-in analyzer and a chain around every part give the tokens, offsets,
 * positions and types that Lucene 8 gave (golden_data.h), with each kernel. To see what differs,
 * run tests/peers/lucene-analysis/compare.t.
 */
#include "base/utf8.h"
#include "runtime/cpu.h"
#include "unit/lib/analysis_dump.h"
#include "unit/unit.h"

#include "golden_data.h"

#define FNV_START 0xcbf29ce484222325u
static uint64_t fnv(uint64_t h, qd_str s)
{
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
    if (fnv(FNV_START, qd_buf_view(&typed)) != g->digests[i])
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

/* The analyzer of a golden chain's words. */
static const qd_analyzer *chain_of(const char *line, qd_analyzers **as)
{
    static char copy[2048];
    char *words[32], *save = copy;
    int n = 0;
    qd_err err;
    qd_err_init(&err);
    snprintf(copy, sizeof copy, "%s", line);
    for (char *w = strsep(&save, " "); w && n < 32; w = strsep(&save, " ")) words[n++] = w;
    const qd_analyzer *a = analysis_dump_chain(words + 1, n - 1, as, &err);
    if (!a) fail_msg("%s: %s", line, qd_err_reason(&err));
    qd_err_fini(&err);
    return a;
}

static void tokens_are_lucenes(void **state)
{
    (void)state;
    qd_analysis *s = qd_analysis_make(NULL, 0);
    for (size_t c = 0; c < QD_COUNT_OF(golden_chains); c++) {
        qd_analyzers *as = NULL;
        const qd_analyzer *a = chain_of(golden_chains[c].words, &as);
        for (size_t i = 0; i < QD_COUNT_OF(golden_texts); i++)
            check_text(a, s, &golden_chains[c], i);
        qd_analyzers_unref(as);
    }
    qd_analysis_free(s);
}

/* 4,096 code points (planes 4 to 13 are empty, 15 and 16 private) from `from` on, each alone and
 * between two letters. */
static void points(uint32_t from, qd_buf *out)
{
    char u[4];
    qd_buf_reset(out);
    for (uint32_t c = from; c < from + 4096; c++) {
        if (c >= 0x110000 || (c >= 0xD800 && c < 0xE000)) continue;
        size_t n = qd_utf8_put(u, c);
        qd_buf_add(out, u, n);
        qd_buf_c(out, " a");
        qd_buf_add(out, u, n);
        qd_buf_c(out, "a ");
    }
}

static void all_code_points_are_lucenes(void **state)
{
    (void)state;
    qd_buf text, lines;
    qd_analysis *s = qd_analysis_make(NULL, 0);
    qd_buf_init(&text, NULL, 1 << 20);
    qd_buf_init(&lines, NULL, 1 << 24);
    for (size_t c = 0; c < QD_COUNT_OF(golden_points); c++) {
        qd_analyzers *as = NULL;
        const qd_analyzer *a = chain_of(golden_points[c].words, &as);
        uint64_t h = FNV_START;
        for (uint32_t from = 1; from < 0xF0000; from = from == 0x3F001 ? 0xE0001 : from + 4096) {
            const qd_tokens *t;
            points(from, &text);
            assert_int_equal(qd_analyzer_run(a, s, qd_buf_view(&text),
                                             QD_ANALYZE_OFFSETS | QD_ANALYZE_TYPES, &t, NULL),
                             0);
            qd_buf_reset(&lines);
            analysis_dump_tokens(t, true, &lines);
            h = fnv(h, qd_buf_view(&lines));
        }
        if (h != golden_points[c].digest)
            fail_msg("%s: some code point differs", golden_points[c].words);
        qd_analyzers_unref(as);
    }
    qd_buf_fini(&text);
    qd_buf_fini(&lines);
    qd_analysis_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_lucenes),
        cmocka_unit_test(all_code_points_are_lucenes),
    };
    return unit_run(tests);
}
