/* script_fields.c: "script_fields" of a search: what a script makes of each hit that is shown. */
#include "action/search/search_int.h"
#include "base/str.h"
#include "search/script_doc.h"

#define SOURCE "_source" /* what scripts may name as params._source */

static int read_one(search_request *r, const qd_json_node *n, search_script_field *out, qd_err *err)
{
    const qd_json_node *script = NULL;
    qd_query_reading how = qdi_search_reading(r);
    int rc = 0;
    out->name = n->key;
    if (n->type != QD_JSON_T_OBJECT)
        return qdi_search_err_at(r, n->raw.p, err, QD_E_PARSE,
                                 "Expected [START_OBJECT] in [%.*s] but found [%s]",
                                 QD_STR_ARG(n->key), qd_json_type_token(n->type));
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "script"))
            script = m;
        else if (qd_str_is(m->key, "ignore_failure"))
            rc = qd_json_truth(m, &out->ignore_failure);
        else
            rc = qdi_search_err_at(r, m->raw.p, err, QD_E_PARSE, "Unknown key for a %s in [%.*s].",
                                   qd_json_type_token(m->type), QD_STR_ARG(m->key));
        if (rc && err && !err->code)
            rc = qd_err_set(err, QD_E_ARG, "[ignore_failure] must be true or false");
    }
    if (rc) return rc;
    if (!script)
        return qdi_search_err_at(r, n->raw.p, err, QD_E_PARSE, "[script_fields] needs a [script]");
    rc = qd_script_given_of(&how, script, &out->given, err);
    if (!rc) out->reads_source = qd_str_find_str(out->given.source, QD_STR(SOURCE)) >= 0;
    return rc;
}

int qdi_search_script_fields_parse(search_request *r, const qd_json_node *n, search_show *out,
                                   qd_err *err)
{
    int rc = 0;
    if (n->type != QD_JSON_T_OBJECT)
        return qdi_search_err_at(r, n->raw.p, err, QD_E_PARSE,
                                 "Unknown key for a %s in [script_fields].",
                                 qd_json_type_token(n->type));
    if (n->n > 4096) return qd_err_set(err, QD_E_ARG, "too many [script_fields]");
    out->scripts = qd_arena_calloc(r->arena, (n->n + 1) * sizeof *out->scripts);
    if (!out->scripts) return qd_err_nomem(err, "script_fields");
    for (const qd_json_node *m = n->first; m && !rc; m = m->next)
        rc = read_one(r, m, &out->scripts[out->nscripts++], err);
    return rc;
}

bool qdi_script_fields_read_source(const search_show *s)
{
    for (uint32_t i = 0; i < s->nscripts; i++)
        if (s->scripts[i].reads_source) return true;
    return false;
}

/* The run of script k on the segment of a document. */
static int run_of(search_hits *h, uint32_t k, const qd_leaf *leaf, qd_script_doc **out, qd_err *err)
{
    uint32_t leaves = qd_searcher_leaves(h->searcher);
    qd_query_context c = h->index->context;
    c.arena = h->arena;
    if (!h->script_binds) {
        h->script_binds = qd_arena_calloc(h->arena, h->show->nscripts * sizeof(void *));
        h->script_docs =
            qd_arena_calloc(h->arena, (size_t)h->show->nscripts * leaves * sizeof(void *));
        if (!h->script_binds || !h->script_docs) return qd_err_nomem(err, "script_fields");
    }
    int rc = 0;
    if (!h->script_binds[k])
        rc = qd_script_bind_make(&c, &h->show->scripts[k].given, QD_SCRIPT_FIELD,
                                 &h->script_binds[k], err);
    qd_script_doc **at = &h->script_docs[(size_t)k * leaves + leaf->index];
    if (!rc && !*at)
        rc = qd_script_doc_open(h->script_binds[k], leaf->segment, h->arena, h->arena->account, at,
                                err);
    *out = *at;
    return rc;
}

static int write_value(const qd_sv *v, qd_json_writer *w, qd_err *err)
{
    bool many = v->tag == QD_SV_LIST || v->tag == QD_SV_SET || v->tag == QD_SV_ARRAY;
    if (many) return qd_sv_write(v, w, err);
    qd_json_array(w);
    int rc = qd_sv_write(v, w, err);
    if (!rc) qd_json_array_end(w);
    return rc;
}

int qdi_script_field_write(search_hits *h, uint32_t i, uint32_t k, qd_json_writer *w, qd_err *err)
{
    const search_script_field *f = &h->show->scripts[k];
    const qd_leaf *leaf = qd_searcher_leaf_of(h->searcher, h->hits[i].doc);
    qd_script_doc *d = NULL;
    qd_sv v;
    int rc = run_of(h, k, leaf, &d, err);
    if (!rc && f->reads_source) rc = qd_script_doc_source(d, h->got[i].source, err);
    if (!rc) rc = qd_script_doc_run(d, h->hits[i].doc - leaf->base, 0, &v, err);
    if (rc && f->ignore_failure && rc == QD_E_ARG) {
        if (err) qd_err_fini(err);
        v = qd_sv_null();
        rc = 0;
    }
    if (rc) return rc;
    /* apart first: what cannot be written leaves nothing behind */
    qd_buf b;
    qd_json_writer own;
    qd_buf_init(&b, h->arena->account, 64u << 20);
    qd_json_writer_init(&own, &b, false);
    rc = write_value(&v, &own, err);
    if (!rc && qd_buf_status(&b)) rc = qd_err_nomem(err, "script_fields");
    if (!rc) {
        qd_json_key(w, f->name);
        qd_json_raw_value(w, qd_buf_view(&b));
    }
    qd_buf_fini(&b);
    return rc;
}
