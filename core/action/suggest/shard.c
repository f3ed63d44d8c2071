/* shard.c: suggestions of one shard. */
#include "action/suggest/suggest_int.h"

#define JSON_MAX ((size_t)64 << 20)

const qd_analyzer *qdi_suggest_analyzer(const qdi_suggest_shard *x, qd_str name, qd_str field,
                                        qd_err *err)
{
    const qd_analyzers *all = qd_mapping_analyzers(x->mapping);
    const qd_field *f = qd_mapping_field(x->mapping, field);
    if (!f) {
        (void)qd_err_set(err, QD_E_ARG, "no mapping found for field [%.*s]", QD_STR_ARG(field));
        return NULL;
    }
    if (!name.p && f->search_analyzer) return f->search_analyzer;
    if (!name.p) name = QD_STR("keyword");
    const qd_analyzer *a = qd_analyzers_get(all, name);
    if (!a) (void)qd_err_set(err, QD_E_ARG, "analyzer [%.*s] doesn't exists", QD_STR_ARG(name));
    return a;
}

int qdi_suggest_run(const qdi_suggest *s, const qdi_suggest_shard *x, qd_str *out, qd_err *err)
{
    qd_buf b;
    qd_json_writer w;
    int rc = 0;
    qd_buf_init(&b, x->arena->account, JSON_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    for (uint32_t i = 0; i < s->n && !rc; i++) {
        qd_json_key(&w, s->at[i].name);
        qd_json_array(&w);
        rc = s->at[i].kind == QDI_SUGGEST_TERM ? qdi_suggest_term(&s->at[i], x, &w, err)
                                               : qdi_suggest_phrase(&s->at[i], x, &w, err);
        qd_json_array_end(&w);
    }
    qd_json_object_end(&w);
    if (!rc && qd_buf_status(&b)) rc = qd_err_nomem(err, "suggestions");
    if (!rc) *out = qd_arena_str(x->arena, qd_buf_view(&b));
    if (!rc && !out->p) rc = qd_err_nomem(err, "suggestions");
    qd_buf_fini(&b);
    return rc;
}
