/*
 * crud.c: PUT, GET and DELETE of _ingest/pipeline, and the grok patterns.
 *
 * A pipeline is a document of the cluster state under pipeline/<id>, checked whole before it is
 * stored, behind the level of formats that knows it.
 */
#include "action/api/admin_int.h"
#include "action/ingest/pipelines.h"
#include "base/features.h"
#include "base/str.h"

static qd_str key_of(qd_arena *a, qd_str id)
{
    return qd_arena_printf(a, QDI_PIPELINE_KEY "%.*s", QD_STR_ARG(id));
}

static int check_level(qd_request *q, qd_err *err)
{
    qd_state *s = qd_cluster_state(q->a->cluster);
    uint32_t level = s->features;
    qd_state_unref(s);
    if (level >= QD_FEATURES_TYPES_0_2) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "ingest pipelines need level %u of the cluster's formats; they are of level "
                      "%u: POST _cluster/upgrade/finalize when all nodes run this version",
                      QD_FEATURES_TYPES_0_2, level);
}

static int check_id(qd_str id, qd_err *err)
{
    if (id.n > 400)
        return qd_err_set(err, QD_E_ARG, "the id of a pipeline may have at most 400 bytes");
    for (size_t k = 0; k < id.n; k++) {
        if ((unsigned char)id.p[k] < ' ' || id.p[k] == '*' || id.p[k] == ',')
            return qd_err_set(err, QD_E_ARG,
                              "the id of a pipeline may hold no [*], no [,] and no control "
                              "characters: [%.*s]",
                              QD_STR_ARG(id));
    }
    return 0;
}

/* if_version: the version that the pipeline must have by now. */
static int check_version(qd_request *q, qd_str id, qd_err *err)
{
    int64_t wanted, is = 0;
    qd_json_node *root = NULL;
    if (!qd_param_has(q, "if_version")) return 0;
    int rc = qd_param_i64(q, "if_version", 0, &wanted, err);
    if (rc) return rc;
    qd_state *s = qd_cluster_state(q->a->cluster);
    const qd_state_document_record *d = qd_state_document(s, key_of(q->arena, id));
    if (!d) {
        rc = qd_err_set(err, QD_E_ARG,
                        "version conflict, required version [%lld] for pipeline [%.*s] but no "
                        "pipeline was found",
                        (long long)wanted, QD_STR_ARG(id));
    } else if (!(rc = qd_json_parse(q->arena, d->value, 0, &root, err))) {
        const qd_json_node *v = qd_json_get(root, "version");
        if (!v || !qd_str_i64(qd_json_text(v), &is) || is != wanted)
            rc = qd_err_set(err, QD_E_ARG,
                            "version conflict, required version [%lld] for pipeline [%.*s] but "
                            "current version is [%.*s]",
                            (long long)wanted, QD_STR_ARG(id),
                            QD_STR_ARG(v ? qd_json_text(v) : QD_STR("null")));
    }
    qd_state_unref(s);
    return rc;
}

/* The body as it is stored: without comments and white space. */
static int stored_form(qd_request *q, qd_str id, qd_buf *b, qd_err *err)
{
    qd_json_node *root;
    qd_json_writer w;
    qd_iv v;
    qd_ingest_pipeline *p = NULL;
    int rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    if (!rc) rc = qd_iv_of_node(q->arena, root, &v, err);
    if (rc) return rc;
    qd_json_writer_init(&w, b, false);
    qd_iv_write(&v, &w);
    rc = qd_buf_status(b);
    if (rc == QD_E_LIMIT)
        return qd_err_set(err, QD_E_ARG, "pipeline [%.*s] is larger than [%zu] bytes",
                          QD_STR_ARG(id), QDI_PIPELINE_MAX);
    if (rc) return qd_err_nomem(err, "pipeline");
    rc = qd_ingest_compile(qdi_pipelines_settings(q->a), id, qd_buf_view(b), &p, err);
    qd_ingest_unref(p);
    return rc;
}

int qdi_api_ingest_put_pipeline(qd_request *q, qd_response *r, qd_err *err)
{
    qd_buf b;
    qd_str id = qd_param(q, "id");
    int rc = check_level(q, err);
    if (!rc) rc = check_id(id, err);
    if (!rc) rc = check_version(q, id, err);
    if (rc) return rc;
    qd_buf_init(&b, q->a->account, QDI_PIPELINE_MAX);
    rc = stored_form(q, id, &b, err);
    if (!rc)
        rc = qd_cluster_put_document(q->a->cluster, key_of(q->arena, id), qd_buf_view(&b), false,
                                     NULL, err);
    qd_buf_fini(&b);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

int qdi_api_ingest_get_pipeline(qd_request *q, qd_response *r, qd_err *err)
{
    qd_str ids = qd_param(q, "id"), id;
    uint32_t found = 0;
    qd_state *s = qd_cluster_state(q->a->cluster);
    (void)err;
    qd_json_object(&r->w);
    for (uint32_t k = 0; k < s->ndocuments; k++) {
        const qd_state_document_record *d = &s->documents[k];
        if (!qdi_pipeline_is(d->key, &id) || !qdi_listed(ids, id)) continue;
        qd_json_key(&r->w, id);
        qd_json_raw_value(&r->w, d->value);
        found++;
    }
    qd_json_object_end(&r->w);
    qd_state_unref(s);
    if (!found) r->status = 404;
    return 0;
}

/* Elasticsearch 8 keeps those that indices name. */
static int check_unused(qd_request *q, const qd_state *s, qd_str id, qd_err *err)
{
    qdi_identity who;
    qdi_identity_get(q->a, &who);
    if (who.product != QDI_ES8 && who.product != QDI_ES9) return 0;
    for (uint32_t k = 0; k < s->n; k++) {
        const qd_index_meta *m = s->indices[k];
        bool standard = qd_str_eq(qd_values_text(m->values, QD_IX_DEFAULT_PIPELINE), id),
             final = qd_str_eq(qd_values_text(m->values, QD_IX_FINAL_PIPELINE), id);
        if (standard || final)
            return qd_err_set(err, QD_E_ARG,
                              "pipeline [%.*s] cannot be deleted because it is the %s pipeline for "
                              "1 index(es) including [%.*s]",
                              QD_STR_ARG(id), standard ? "default" : "final", QD_STR_ARG(m->name));
    }
    return 0;
}

int qdi_api_ingest_delete_pipeline(qd_request *q, qd_response *r, qd_err *err)
{
    qd_str ids = qd_param(q, "id"), id;
    uint32_t found = 0;
    int rc = 0;
    qd_state *s = qd_cluster_state(q->a->cluster);
    for (uint32_t k = 0; k < s->ndocuments && !rc; k++) {
        qd_str key = s->documents[k].key;
        if (!qdi_pipeline_is(key, &id) || !qd_pattern_match(ids, id)) continue;
        found++;
        rc = check_unused(q, s, id, err);
        if (!rc)
            rc = qd_cluster_put_document(q->a->cluster, key, (qd_str){NULL, 0}, false, NULL, err);
    }
    qd_state_unref(s);
    if (!rc && !found && !qd_str_is(ids, "*")) {
        rc = qd_err_set(err, QD_E_NOTFOUND, "pipeline [%.*s] is missing", QD_STR_ARG(ids));
        qd_err_type(err, "resource_not_found_exception", 404);
    }
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}
