/* api.c: PUT, GET and DELETE of _enrich/policy, and _enrich/_stats. */
#include "action/api/admin_int.h"
#include "action/enrich/enrich_int.h"
#include "base/features.h"
#include <string.h>

#define POLICY_MAX ((size_t)1 << 20) /* bytes of one, as a value of the store */

qd_enrich *qdi_enrich_of(qd_actions *a)
{
    return qdi_pipelines_settings(a)->lookup_arg;
}

int qd_enrich_open(qd_actions *a, qd_err *err)
{
    qd_enrich *e = qd_calloc(NULL, sizeof *e);
    if (!e) return qd_err_nomem(err, "enrich policies");
    e->a = a;
    qd_mutex_init(&e->lock);
    int rc = qdi_enrich_cache_open(a, &e->cache, err);
    if (rc) {
        qd_free(e);
        return rc;
    }
    qdi_pipelines_lookup_set(a, qdi_enrich_has, qdi_enrich_lookup, e);
    return 0;
}

void qd_enrich_close(qd_actions *a)
{
    qd_enrich *e = a->pipelines ? qdi_enrich_of(a) : NULL;
    if (!e) return;
    qdi_pipelines_lookup_set(a, NULL, NULL, NULL);
    qdi_enrich_cache_close(e->cache);
    qd_mutex_fini(&e->lock);
    qd_free(e);
}

/* --- policies --------------------------------------------------------------------------------- */

static int check_level(qd_request *q, qd_err *err)
{
    qd_state *s = qd_cluster_state(q->a->cluster);
    uint32_t level = s->features;
    qd_state_unref(s);
    if (level >= QD_FEATURES_SEARCH_0_3) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "enrich policies need level %u of the cluster's formats; they are of level "
                      "%u: POST _cluster/upgrade/finalize when all nodes run this version",
                      QD_FEATURES_SEARCH_0_3, level);
}

/* Indices are called after it. */
static int check_name(qd_str name, qd_err *err)
{
    const char *why = NULL;
    if (name.n > 200) why = "must have at most 200 bytes";
    if (name.n && strchr("_-+.", name.p[0])) why = "must not start with '_', '-', '+' or '.'";
    for (size_t i = 0; i < name.n && !why; i++) {
        char c = name.p[i];
        if ((unsigned char)c <= ' ' || strchr("\\/*?\"<>|,#:", c))
            why = "must not contain the following characters ['\\','/','*','?','\"','<','>','|',"
                  "' ',',','#',':']";
        else if (c >= 'A' && c <= 'Z')
            why = "must be lowercase";
    }
    if (!why) return 0;
    return qd_err_set(err, QD_E_ARG, "Invalid policy name [%.*s], %s", QD_STR_ARG(name), why);
}

static qd_str key_of(qd_arena *a, qd_str name)
{
    return qd_arena_printf(a, ENRICH_KEY "%.*s", QD_STR_ARG(name));
}

int qdi_api_enrich_put_policy(qd_request *q, qd_response *r, qd_err *err)
{
    enrich_policy p;
    qd_json_writer w;
    qd_buf b;
    qd_str name = qd_param(q, "name");
    int rc = check_level(q, err);
    if (!rc) rc = check_name(name, err);
    if (!rc) rc = qdi_enrich_policy_parse(name, q->body, q->arena, &p, err);
    if (rc) return rc;
    qd_buf_init(&b, q->a->account, POLICY_MAX);
    qd_json_writer_init(&w, &b, false);
    qdi_enrich_policy_write(&p, false, &w);
    rc = qd_buf_status(&b);
    if (rc == QD_E_LIMIT)
        rc = qd_err_set(err, QD_E_ARG, "policy [%.*s] is larger than [%zu] bytes", QD_STR_ARG(name),
                        POLICY_MAX);
    else if (rc)
        rc = qd_err_nomem(err, "an enrich policy");
    if (!rc)
        rc = qd_cluster_put_document(q->a->cluster, key_of(q->arena, name), qd_buf_view(&b), true,
                                     NULL, err);
    if (rc == QD_E_EXISTS && err) {
        qd_err_fini(err);
        rc = qd_err_set(err, QD_E_EXISTS, "policy [%.*s] already exists", QD_STR_ARG(name));
    }
    qd_buf_fini(&b);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

int qdi_api_enrich_get_policy(qd_request *q, qd_response *r, qd_err *err)
{
    qd_str names = qd_param(q, "name"), name;
    int rc = 0;
    qd_state *s = qd_cluster_state(q->a->cluster);
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "policies");
    qd_json_array(&r->w);
    for (uint32_t k = 0; k < s->ndocuments && !rc; k++) {
        enrich_policy p;
        if (!qdi_enrich_policy_is(s->documents[k].key, &name) || !qdi_listed(names, name)) continue;
        rc = qdi_enrich_policy_get(s, name, q->arena, &p, err);
        if (rc) break;
        qd_json_object(&r->w);
        qd_json_key_c(&r->w, "config");
        qdi_enrich_policy_write(&p, true, &r->w);
        qd_json_object_end(&r->w);
    }
    qd_json_array_end(&r->w);
    qd_json_object_end(&r->w);
    qd_state_unref(s);
    return rc;
}

/* Is there a processor of the policy in a pipeline, wherever it stands? */
static bool names_policy(const qd_json_node *n, qd_str policy)
{
    const qd_json_node *e = n->type == QD_JSON_T_OBJECT ? qd_json_get(n, "enrich") : NULL;
    const qd_json_node *name = e ? qd_json_get(e, "policy_name") : NULL;
    if (name && qd_str_eq(qd_json_text(name), policy)) return true;
    for (const qd_json_node *k = n->first; k; k = k->next)
        if (k->n && names_policy(k, policy)) return true;
    return false;
}

static int check_unused(qd_request *q, const qd_state *s, qd_str policy, qd_err *err)
{
    qd_buf b;
    qd_str id;
    int rc = 0;
    qd_buf_init(&b, q->a->account, 4096);
    for (uint32_t k = 0; k < s->ndocuments && !rc; k++) {
        qd_json_node *root;
        if (!qdi_pipeline_is(s->documents[k].key, &id)) continue;
        if (qd_str_find_str(s->documents[k].value, QD_STR("enrich")) < 0) continue;
        rc = qd_json_parse(q->arena, s->documents[k].value, 0, &root, err);
        if (!rc && names_policy(root, policy))
            (void)qd_buf_printf(&b, "%s%.*s", b.n ? ", " : "", QD_STR_ARG(id));
    }
    if (!rc && b.n) {
        rc = qd_err_set(err, QD_E_ARG,
                        "Could not delete policy [%.*s] because a pipeline is referencing it "
                        "[%.*s]",
                        QD_STR_ARG(policy), (int)b.n, qd_buf_view(&b).p);
        qd_err_type(err, "status_exception", 409);
    }
    qd_buf_fini(&b);
    return rc;
}

int qdi_api_enrich_delete_policy(qd_request *q, qd_response *r, qd_err *err)
{
    enrich_running running;
    qd_enrich *e = qdi_enrich_of(q->a);
    qd_str name = qd_param(q, "name"), key = key_of(q->arena, name);
    if (!key.p) return qd_err_nomem(err, "an enrich policy");
    int rc = qdi_enrich_enter(e, &running, name, err);
    if (rc) return rc;
    running.phase = NULL; /* no execution: only keeps one from beginning */
    qd_state *s = qd_cluster_state(q->a->cluster);
    if (!qd_state_document(s, key))
        rc = qd_err_set(err, QD_E_NOTFOUND, "policy [%.*s] not found", QD_STR_ARG(name));
    if (!rc) rc = check_unused(q, s, name, err);
    qd_state_unref(s);
    if (!rc) rc = qd_cluster_put_document(q->a->cluster, key, (qd_str){NULL, 0}, false, NULL, err);
    if (!rc) qdi_enrich_drop_indices(q->a, name, (qd_str){NULL, 0}, INT64_MAX);
    qdi_enrich_leave(e, &running);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}
