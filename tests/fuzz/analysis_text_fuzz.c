/*
 * analysis_text_fuzz.c: any text through the standard tokenizer: the automaton, the block kernel
 * and its AVX2 build give the same tokens, offsets ascend and lie in the text.
 */
#include "analysis/analysis.h"
#include "base/utf8.h"
#include "runtime/cpu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const qd_tokens *a, const qd_tokens *b)
{
    qd_assert(a->n == b->n && a->end_offset == b->end_offset);
    for (size_t i = 0; i < a->n; i++) {
        qd_assert(qd_str_eq(qd_tokens_term(a, i), qd_tokens_term(b, i)));
        qd_assert(a->offset[i].from == b->offset[i].from && a->offset[i].to == b->offset[i].to);
        qd_assert(i == 0 || a->offset[i].from >= a->offset[i - 1].to);
        qd_assert(a->offset[i].to > a->offset[i].from && a->offset[i].to <= a->end_offset);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static qd_analysis *s[2];
    const qd_tokens *t[2];
    qd_str text = {(const char *)data, size};
    if (!qd_utf8_valid(text, NULL)) return 0;
    for (int i = 0; i < 2; i++)
        if (!s[i]) s[i] = qd_analysis_make(NULL, 0);
    qd_assert(s[0] && s[1]);
    const qd_analyzer *a = qd_analyzers_get(NULL, QD_STR("standard"));
    uint32_t types = QD_ANALYZE_OFFSETS | QD_ANALYZE_TYPES;
    qd_assert(qd_analyzer_run(a, s[0], text, types, &t[0], NULL) == 0);
    for (qd_cpu level = QD_CPU_V2; level <= QD_CPU_V3; level++) {
        qd_cpu before = qd_cpu_level_set(level);
        qd_assert(qd_analyzer_run(a, s[1], text, QD_ANALYZE_OFFSETS, &t[1], NULL) == 0);
        qd_cpu_level_set(before);
        same(t[0], t[1]);
    }
    return 0;
}
