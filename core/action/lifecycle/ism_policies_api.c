/* ism_policies_api.c: _plugins/_ism/policies: policies as documents of the state. See ism_int.h. */
#include "action/api/admin_int.h"
#include "action/indices/indices_int.h"
#include "action/lifecycle/ism_int.h"
#include "base/str.h"
#include "cluster/documents.h"
#include <string.h>

#define SHOWN 20 /* policies of an answer unless size says otherwise */

static int check_id(qd_str id, qd_err *err)
{
    const char *why = !id.n            ? "it is empty"
                      : id.n > 255     ? "it is longer than 255 bytes"
                      : id.p[0] == '_' ? "it must not start with '_'"
                      : qd_str_find(id, ',') >= 0 || qd_str_find(id, ' ') >= 0
                          ? "it must not contain ',' or ' '"
                          : NULL;
    if (!why) return 0;
    return qd_err_set(err, QD_E_ARG, "invalid policy id [%.*s]: %s", QD_STR_ARG(id), why);
}

static bool is_allowed(const qd_request *q, qd_str action)
{
    uint32_t n;
    const qd_str *list = qd_values_list(qd_config_values(q->a->config), QD_SET_ISM_ALLOW, &n);
    for (uint32_t i = 0; i < n; i++)
        if (qd_str_eq(list[i], action)) return true;
    return false;
}

static int check_allowed(const qd_request *q, const qd_json_node *policy, qd_err *err)
{
    const qd_json_node *states = qd_json_get(policy, "states");
    qd_str bad = {NULL, 0};
    for (const qd_json_node *n = states->first; n; n = n->next) {
        for (const qd_json_node *x = qd_json_get(n, "actions")->first; x; x = x->next) {
            for (const qd_json_node *m = x->first; m; m = m->next) {
                if (!qdi_ism_action(m->key) || is_allowed(q, m->key)) continue;
                bad = qd_arena_printf(q->arena, "%.*s%s%.*s", QD_STR_ARG(bad), bad.n ? ", " : "",
                                      QD_STR_ARG(m->key));
            }
        }
    }
    if (!bad.n) return 0;
    int rc =
        qd_err_set(err, QD_E_SECURITY,
                   "You have actions that are not allowed in your policy [%.*s]", QD_STR_ARG(bad));
    qd_err_type(err, "status_exception", 403);
    return rc;
}

/* --- put --- */

static int conflict(const qd_request *q, const ism_policy *was, bool had, int64_t seq_no,
                    int64_t term, qd_err *err)
{
    qd_str id = qd_param(q, "policy_id");
    if (seq_no < 0 || term < 0) {
        return qd_err_set(err, QD_E_VERSION_CONFLICT,
                          "[%.*s]: version conflict, document already exists (current version "
                          "[%lld])",
                          QD_STR_ARG(id), (long long)was->version);
    }
    if (!had) {
        return qd_err_set(err, QD_E_VERSION_CONFLICT,
                          "[%.*s]: version conflict, required seqNo [%lld], primary term [%lld]. "
                          "but no document was found",
                          QD_STR_ARG(id), (long long)seq_no, (long long)term);
    }
    return qd_err_set(err, QD_E_VERSION_CONFLICT,
                      "[%.*s]: version conflict, required seqNo [%lld], primary term [%lld]. "
                      "current document has seqNo [%lld] and primary term [1]",
                      QD_STR_ARG(id), (long long)seq_no, (long long)term, (long long)was->seq_no);
}

static void write_put(const ism_policy *p, qd_response *r)
{
    qd_json_object(&r->w);
    qd_json_field_str(&r->w, "_id", p->id);
    qd_json_field_int(&r->w, "_version", p->version);
    qd_json_field_int(&r->w, "_primary_term", 1);
    qd_json_field_int(&r->w, "_seq_no", p->seq_no);
    qd_json_key_c(&r->w, "policy");
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "policy");
    qd_json_raw_value(&r->w, p->at->raw);
    qd_json_object_end(&r->w);
    qd_json_object_end(&r->w);
    r->status = p->version == 1 ? 201 : 200;
}

/* The document: {"version":…,"policy":…}. */
static int write_document(qd_request *q, const qd_json_node *policy, int64_t version, qd_buf *b,
                          qd_err *err)
{
    qd_json_writer w;
    qd_json_writer_init(&w, b, false);
    qd_json_object(&w);
    qd_json_field_int(&w, "version", version);
    qd_json_key_c(&w, "policy");
    int rc =
        qdi_ism_policy_write(policy, qd_param(q, "policy_id"), qd_env_wall_ms(q->a->env), &w, err);
    if (rc) return rc;
    qd_json_object_end(&w);
    if (!qd_buf_status(b)) return 0;
    return qd_err_set(err, QD_E_ARG, "the policy is longer than %zu bytes", ISM_BODY_MAX);
}

static int put(qd_request *q, qd_response *r, const qd_state *s, const qd_json_node *policy,
               qd_err *err)
{
    int64_t seq_no = -1, term = -1;
    ism_policy was, now;
    qd_buf b;
    qd_json_node *made;
    qd_state *after = NULL;
    qd_str id = qd_param(q, "policy_id");
    int rc = qd_param_long(q, "if_seq_no", -1, &seq_no, err);
    if (!rc) rc = qd_param_long(q, "if_primary_term", -1, &term, err);
    if (rc) return rc;
    bool had = !qdi_ism_policy_get(s, q->arena, id, &was, NULL);
    bool asked = seq_no >= 0 && term >= 0;
    qd_buf_init(&b, q->a->account, ISM_BODY_MAX);
    rc = write_document(q, policy, had ? was.version + 1 : 1, &b, err);
    if (!rc) rc = qd_json_parse(q->arena, qd_arena_str(q->arena, qd_buf_view(&b)), 0, &made, err);
    if (!rc) rc = check_allowed(q, qd_json_get(made, "policy"), err);
    if (!rc) rc = qdi_ism_templates_check(s, q->arena, id, qd_json_get(made, "policy"), err);
    if (!rc && (asked ? !had || was.seq_no != seq_no || term != 1 : had))
        rc = conflict(q, &was, had, seq_no, term, err);
    if (!rc)
        rc = qd_cluster_put_document_if(
            q->a->cluster, qd_arena_printf(q->arena, ISM_KEY "%.*s", QD_STR_ARG(id)),
            qd_buf_view(&b), had ? (uint64_t)was.seq_no : 0, &after, err);
    if (!rc) rc = qdi_ism_policy_get(after, q->arena, id, &now, err);
    if (!rc) write_put(&now, r);
    qd_state_unref(after);
    qd_buf_fini(&b);
    return rc;
}

int qdi_api_ism_put_policy(qd_request *q, qd_response *r, qd_err *err)
{
    qd_json_node *root;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = check_id(qd_param(q, "policy_id"), err);
    if (!rc) rc = qdi_ism_level(s, err);
    if (!rc) rc = qdi_cluster_block_check(q->a, QDI_BLOCK_METADATA_WRITE, err);
    if (!rc) rc = qdi_body_map(q, &root, err);
    const qd_json_node *policy = rc ? NULL : qd_json_get(root, "policy");
    if (!rc && (!policy || root->n != 1))
        rc = qd_err_set(err, QD_E_PARSE, "a body is {\"policy\": …}");
    if (!rc) rc = put(q, r, s, policy, err);
    qd_state_unref(s);
    if (!rc) (void)qdi_all_applied(q);
    return rc;
}

/* --- get --- */

static int not_found(qd_str id, qd_err *err)
{
    int rc = qd_err_set(err, QD_E_NOTFOUND, "Policy %.*s is not found", QD_STR_ARG(id));
    qd_err_type(err, "status_exception", 404);
    return rc;
}

int qdi_api_ism_get_policy(qd_request *q, qd_response *r, qd_err *err)
{
    ism_policy p;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qdi_ism_policy_get(s, q->arena, qd_param(q, "policy_id"), &p, err);
    qd_state_unref(s);
    if (rc == QD_E_NOTFOUND) {
        rc = qd_err_set(err, QD_E_NOTFOUND, "Policy not found");
        qd_err_type(err, "status_exception", 404);
    }
    if (rc) return rc;
    qd_json_object(&r->w);
    qd_json_field_str(&r->w, "_id", p.id);
    qd_json_field_int(&r->w, "_version", p.version);
    qd_json_field_int(&r->w, "_seq_no", p.seq_no);
    qd_json_field_int(&r->w, "_primary_term", 1);
    qd_json_key_c(&r->w, "policy");
    qd_json_raw_value(&r->w, p.at->raw);
    qd_json_object_end(&r->w);
    return 0;
}

/* A list's parameters; other orders than that of ids are refused. */
static int read_page(const qd_request *q, int64_t *size, int64_t *from, bool *down, qd_err *err)
{
    qd_str order = qd_param(q, "sortOrder"), field = qd_param(q, "sortField");
    int rc = qd_param_i64(q, "size", SHOWN, size, err);
    if (!rc) rc = qd_param_i64(q, "from", 0, from, err);
    if (rc) return rc;
    *down = qd_str_is(order, "desc");
    if (order.n && !*down && !qd_str_is(order, "asc"))
        return qd_err_set(err, QD_E_ARG, "No enum constant SortOrder.%.*s", QD_STR_ARG(order));
    if (field.n && !qd_str_is(field, "policy.policy_id.keyword") &&
        !qd_str_is(field, "policy.policy_id"))
        return qd_err_set(err, QD_E_ARG,
                          "[sortField] is [policy.policy_id.keyword]; [%.*s] is not "
                          "supported by this version",
                          QD_STR_ARG(field));
    if (*size >= 0 && *from >= 0) return 0;
    return qd_err_set(err, QD_E_ARG, "[size] and [from] must not be negative");
}

int qdi_api_ism_get_policies(qd_request *q, qd_response *r, qd_err *err)
{
    int64_t size, from, total = 0, shown = 0;
    bool down;
    qd_str wanted = qd_param(q, "queryString");
    int rc = read_page(q, &size, &from, &down, err);
    if (rc) return rc;
    qd_state *s = qd_cluster_state(q->a->cluster);
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "policies");
    qd_json_array(&r->w);
    for (uint32_t k = 0; k < s->ndocuments && !rc;
         k++) { /* documents stand in order of their keys */
        ism_policy p;
        qd_str key = s->documents[down ? s->ndocuments - 1 - k : k].key;
        qd_str id = qd_str_sub(key, sizeof ISM_KEY - 1, key.n);
        if (!qd_str_starts(key, QD_STR(ISM_KEY)) || !qdi_listed(wanted, id)) continue;
        if (total++ < from || shown >= size) continue;
        shown++;
        if ((rc = qdi_ism_policy_get(s, q->arena, id, &p, err))) break;
        qd_json_object(&r->w);
        qd_json_field_str(&r->w, "_id", id);
        qd_json_field_int(&r->w, "_seq_no", p.seq_no);
        qd_json_field_int(&r->w, "_primary_term", 1);
        qd_json_key_c(&r->w, "policy");
        qd_json_raw_value(&r->w, p.at->raw);
        qd_json_object_end(&r->w);
    }
    qd_json_array_end(&r->w);
    qd_json_field_int(&r->w, "total_policies", total);
    qd_json_object_end(&r->w);
    qd_state_unref(s);
    return rc;
}

int qdi_api_ism_delete_policy(qd_request *q, qd_response *r, qd_err *err)
{
    ism_policy p;
    qd_str id = qd_param(q, "policy_id");
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qdi_cluster_block_check(q->a, QDI_BLOCK_METADATA_WRITE, err);
    if (!rc) rc = qdi_ism_policy_get(s, q->arena, id, &p, err);
    qd_state_unref(s);
    if (rc == QD_E_NOTFOUND) return not_found(id, err);
    if (!rc)
        rc = qd_cluster_put_document_if(q->a->cluster,
                                        qd_arena_printf(q->arena, ISM_KEY "%.*s", QD_STR_ARG(id)),
                                        (qd_str){NULL, 0}, (uint64_t)p.seq_no, NULL, err);
    if (rc) return rc;
    (void)qdi_all_applied(q);
    qd_json_object(&r->w);
    qd_json_field_c(&r->w, "_index", ".opendistro-ism-config");
    qd_json_field_str(&r->w, "_id", id);
    qd_json_field_int(&r->w, "_version", p.version + 1);
    qd_json_field_c(&r->w, "result", "deleted");
    qd_json_field_bool(&r->w, "forced_refresh", true);
    qd_shards_write(&r->w, 1, 1, 0);
    qd_json_field_int(&r->w, "_seq_no", p.seq_no);
    qd_json_field_int(&r->w, "_primary_term", 1);
    qd_json_object_end(&r->w);
    return 0;
}
