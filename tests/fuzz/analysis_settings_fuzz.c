/*
 * analysis_settings_fuzz.c: lines "key=value|value" as the settings of an index, behind an empty
 * line a text. Whatever is accepted analyzes the text without harm.
 */
#include "analysis/analysis.h"
#include "base/utf8.h"
#include "base/vec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
    QD_VEC(qd_analysis_setting) set;
    qd_str values[256];
    size_t nvalues;
} input;

static void line_add(input *in, qd_str line)
{
    qd_str key = qd_str_split(&line, '=');
    qd_analysis_setting s = {.key = key, .values = in->values + in->nvalues};
    while (line.p && in->nvalues < QD_COUNT_OF(in->values)) {
        in->values[in->nvalues++] = qd_str_split(&line, '|');
        s.nvalues++;
    }
    s.list = s.nvalues > 1;
    if (s.nvalues) qd_assert(qd_vec_push(&in->set, NULL, s) == 0);
}

/* Offsets lie in the value, terms in the text, increments do not overflow. */
static void check(const qd_tokens *t, uint32_t units)
{
    for (size_t i = 0; i < t->n; i++) {
        qd_assert(t->term[i].from <= t->term[i].to);
        qd_assert(qd_utf8_valid(qd_tokens_term(t, i), NULL));
        qd_assert(t->offset[i].from <= t->offset[i].to && t->offset[i].to <= units);
        qd_assert(qd_tokens_length(t, i) >= 1);
    }
}

static void run(const qd_analyzer *a, qd_str text)
{
    const qd_tokens *t;
    qd_str out;
    qd_analysis *s = qd_analysis_make(NULL, 64 << 20);
    qd_assert(s);
    if (qd_analyzer_run(a, s, text, QD_ANALYZE_OFFSETS | QD_ANALYZE_TYPES, &t, NULL) == 0)
        check(t, (uint32_t)qd_utf8_utf16(text));
    if (qd_analyzer_normalize(a, s, text, &out, NULL) == 0) qd_assert(qd_utf8_valid(out, NULL));
    qd_analysis_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static input in;
    if (size > 4096) return 0;
    qd_str rest = {(const char *)data, size};
    if (!qd_utf8_valid(rest, NULL)) return 0;
    in.nvalues = in.set.n = 0;
    while (rest.p) {
        qd_str line = qd_str_split(&rest, '\n');
        if (!line.n) break;
        line_add(&in, line);
    }
    qd_analyzers *as;
    if (qd_analyzers_make(in.set.at, in.set.n, NULL, &as, NULL)) return 0;
    const qd_analyzer *a = qd_analyzers_get(as, QD_STR("x"));
    qd_str text = rest.p ? rest : QD_STR("The quick-brown fox's 2 tails");
    if (a) run(a, text);
    a = qd_analyzers_normalizer(as, QD_STR("n"));
    if (a) run(a, text);
    qd_analyzers_unref(as);
    return 0;
}
