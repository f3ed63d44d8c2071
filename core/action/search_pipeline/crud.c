/* crud.c: PUT, GET and DELETE of _search/pipeline. */
#include "action/api/admin_int.h"
#include "action/search_pipeline/search_pipeline.h"
#include "base/features.h"
#include "base/str.h"

static bool is_pipeline(qd_str key, qd_str *id)
{
    if (!qd_str_starts(key, QD_STR(QDI_SEARCH_PIPELINE_KEY))) return false;
    *id = qd_str_sub(key, sizeof QDI_SEARCH_PIPELINE_KEY - 1, key.n);
    return true;
}

static int check_level(qd_request *q, qd_err *err)
{
    qd_state *s = qd_cluster_state(q->a->cluster);
    uint32_t level = s->features;
    qd_state_unref(s);
    if (level >= QD_FEATURES_SEARCH_0_3) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "search pipelines need level %u of the cluster's formats; they are of level "
                      "%u: POST _cluster/upgrade/finalize when all nodes run this version",
                      QD_FEATURES_SEARCH_0_3, level);
}

static int check_id(qd_str id, qd_err *err)
{
    bool good = id.n <= 400 && !qd_str_is(id, "_none");
    for (size_t k = 0; k < id.n && good; k++)
        good = (unsigned char)id.p[k] >= ' ' && id.p[k] != '*' && id.p[k] != ',';
    if (good) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "the id of a search pipeline has at most 400 bytes, is not [_none] and holds "
                      "no [*], no [,] and no control characters: [%.*s]",
                      QD_STR_ARG(qd_str_sub(id, 0, 400)));
}

int qdi_api_search_pipeline_put(qd_request *q, qd_response *r, qd_err *err)
{
    qd_str id = qd_param(q, "id");
    search_pipeline *p;
    qd_json_node *root;
    qd_json_writer w;
    qd_buf b;
    int rc = check_level(q, err);
    if (!rc) rc = check_id(id, err);
    if (!rc) rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    if (!rc) rc = qdi_search_pipeline_compile(q->arena, id, root, &p, err);
    if (rc) return rc;
    qd_buf_init(&b, q->a->account, QDI_SEARCH_PIPELINE_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_raw_value(&w, root->raw);
    qd_str key = qd_arena_printf(q->arena, QDI_SEARCH_PIPELINE_KEY "%.*s", QD_STR_ARG(id));
    rc = qd_buf_status(&b);
    if (rc == QD_E_LIMIT)
        rc = qd_err_set(err, QD_E_ARG, "search pipeline [%.*s] is larger than [%zu] bytes",
                        QD_STR_ARG(id), QDI_SEARCH_PIPELINE_MAX);
    else if (rc || !key.p)
        rc = qd_err_nomem(err, "search pipeline");
    if (!rc) rc = qd_cluster_put_document(q->a->cluster, key, qd_buf_view(&b), false, NULL, err);
    qd_buf_fini(&b);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

int qdi_api_search_pipeline_get(qd_request *q, qd_response *r, qd_err *err)
{
    qd_str ids = qd_param(q, "id"), id;
    uint32_t found = 0;
    qd_state *s = qd_cluster_state(q->a->cluster);
    (void)err;
    qd_json_object(&r->w);
    for (uint32_t k = 0; k < s->ndocuments; k++) {
        const qd_state_document_record *d = &s->documents[k];
        if (!is_pipeline(d->key, &id) || !qdi_listed(ids, id)) continue;
        qd_json_key(&r->w, id);
        qd_json_raw_value(&r->w, d->value);
        found++;
    }
    qd_json_object_end(&r->w);
    qd_state_unref(s);
    if (!found) r->status = 404;
    return 0;
}

int qdi_api_search_pipeline_delete(qd_request *q, qd_response *r, qd_err *err)
{
    qd_str ids = qd_param(q, "id"), id;
    uint32_t found = 0;
    int rc = 0;
    qd_state *s = qd_cluster_state(q->a->cluster);
    for (uint32_t k = 0; k < s->ndocuments && !rc; k++) {
        qd_str key = s->documents[k].key;
        if (!is_pipeline(key, &id) || !qd_pattern_match(ids, id)) continue;
        found++;
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
