/* term.c: words near each word of a text. */
#include "action/suggest/suggest_int.h"

static int entry(const qdi_suggestion *s, const qdi_suggest_shard *x, qd_str word, uint32_t from,
                 uint32_t to, qd_json_writer *w, qd_err *err)
{
    qd_spell_word *near;
    uint32_t n;
    int rc = qd_spell_suggest(x->searcher, s->field, word, &s->spell, s->shard_size, x->arena,
                              x->task, &near, &n, err);
    if (rc) return rc;
    qd_json_object(w);
    qd_json_field_str(w, "text", word);
    qd_json_field_int(w, "offset", from);
    qd_json_field_int(w, "length", to - from);
    qd_json_key_c(w, "options");
    qd_json_array(w);
    for (uint32_t i = 0; i < n; i++) {
        qd_json_object(w);
        qd_json_field_str(w, "text", near[i].text);
        qd_json_key_c(w, "score");
        qd_json_float(w, near[i].score);
        qd_json_field_int(w, "freq", (int64_t)near[i].freq);
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
    qd_json_object_end(w);
    return 0;
}

int qdi_suggest_term(const qdi_suggestion *s, const qdi_suggest_shard *x, qd_json_writer *w,
                     qd_err *err)
{
    const qd_tokens *t;
    const qd_analyzer *a = qdi_suggest_analyzer(x, s->analyzer, s->field, err);
    if (!a) return QD_E_ARG;
    int rc = qd_analyzer_run(a, x->analysis, s->text, QD_ANALYZE_OFFSETS, &t, err);
    for (size_t i = 0; !rc && i < t->n; i++)
        rc = entry(s, x, qd_tokens_term(t, i), t->offset[i].from, t->offset[i].to, w, err);
    return rc;
}
