/* ism_explain.c: _plugins/_ism/explain: how far indices are. See ism_int.h. */
#include "action/api/admin_int.h"
#include "action/indices/indices_int.h"
#include "action/lifecycle/ism_int.h"
#include "base/str.h"

#define INDICES_WANTED (QD_EXPAND_OPEN | QD_EXPAND_CLOSED | QD_ALLOW_NO_INDICES)
#define SHOWN 20

typedef struct explaining {
    bool policy, validate, all;
    int64_t size, from;
    bool down;
    qd_str wanted; /* queryString */
    const qd_json_node *filter;
} explaining;

static int read_filter(qd_request *q, explaining *x, qd_err *err)
{
    static const char *const known[] = {"policy_id", "state", "action_type", "failed"};
    qd_json_node *body = NULL;
    int rc = q->body.n ? qdi_body_map(q, &body, err) : 0;
    if (rc || !body) return rc;
    x->filter = qd_json_get(body, "filter");
    if (body->n > (x->filter ? 1u : 0u) || (x->filter && x->filter->type != QD_JSON_T_OBJECT))
        return qd_err_set(err, QD_E_ARG, "a body is {\"filter\": {…}}");
    for (const qd_json_node *m = x->filter ? x->filter->first : NULL; m; m = m->next) {
        bool fine = false;
        for (size_t i = 0; i < QD_COUNT_OF(known); i++) fine |= qd_str_is(m->key, known[i]);
        if (!fine) return qdi_ism_unknown(m, "ExplainFilter", err);
    }
    return 0;
}

static int read_request(qd_request *q, explaining *x, qd_err *err)
{
    qd_str order = qd_param(q, "sortOrder"), field = qd_param(q, "sortField"),
           type = qd_param(q, "type");
    *x = (explaining){.all = !qd_param(q, "index").n, .wanted = qd_param(q, "queryString")};
    int rc = qd_param_bool(q, "show_policy", false, &x->policy, err);
    if (!rc) rc = qd_param_bool(q, "validate_action", false, &x->validate, err);
    if (!rc) rc = qd_param_i64(q, "size", SHOWN, &x->size, err);
    if (!rc) rc = qd_param_i64(q, "from", 0, &x->from, err);
    if (!rc && (x->size < 0 || x->from < 0))
        rc = qd_err_set(err, QD_E_ARG, "[size] and [from] must not be negative");
    x->down = qd_str_is(order, "desc");
    if (!rc && order.n && !x->down && !qd_str_is(order, "asc"))
        rc = qd_err_set(err, QD_E_ARG, "No enum constant SortOrder.%.*s", QD_STR_ARG(order));
    if (!rc && field.n && !qd_str_is(field, "managed_index.index"))
        rc = qd_err_set(err, QD_E_ARG,
                        "[sortField] is [managed_index.index]; [%.*s] is not "
                        "supported by this version",
                        QD_STR_ARG(field));
    if (!rc && type.n && !qd_str_is(type, "_default"))
        rc = qd_err_set(err, QD_E_ARG, "Index type %.*s is not supported", QD_STR_ARG(type));
    return rc ? rc : read_filter(q, x, err);
}

static bool passes(const explaining *x, const qd_index_meta *m, const ism_record *r)
{
    bool failed;
    const qd_json_node *f = x->filter, *n;
    if (!f) return true;
    if ((n = qd_json_get(f, "policy_id")) && !qd_str_eq(qd_json_text(n), qdi_ism_policy_of(m)))
        return false;
    if ((n = qd_json_get(f, "state")) && !qd_str_eq(qd_json_text(n), r->state)) return false;
    if ((n = qd_json_get(f, "action_type")) && !qd_str_eq(qd_json_text(n), r->action)) return false;
    n = qd_json_get(f, "failed");
    return !n || qd_json_truth(n, &failed) || failed == qdi_ism_failed(r);
}

static void write_progress(const ism_record *r, qd_json_writer *w)
{
    qd_json_key_c(w, "state");
    qd_json_object(w);
    qd_json_field_str(w, "name", r->state);
    qd_json_field_int(w, "start_time", r->state_ms);
    qd_json_object_end(w);
    if (!r->action.n) return;
    qd_json_key_c(w, "action");
    qd_json_object(w);
    qd_json_field_str(w, "name", r->action);
    qd_json_field_int(w, "start_time", r->action_ms);
    qd_json_field_int(w, "index", r->action_index);
    qd_json_field_bool(w, "failed", r->action_failed);
    qd_json_field_int(w, "consumed_retries", r->retries);
    qd_json_field_int(w, "last_retry_time", r->last_retry_ms);
    qd_json_object_end(w);
    if (!r->step.n) return;
    qd_json_key_c(w, "step");
    qd_json_object(w);
    qd_json_field_str(w, "name", r->step);
    qd_json_field_int(w, "start_time", r->step_ms);
    qd_json_field_str(w, "step_status", r->step_status);
    qd_json_object_end(w);
}

static void write_record(const qd_index_meta *m, const ism_record *r, qd_json_writer *w)
{
    qd_json_field_str(w, "index", m->name);
    qd_json_field_c(w, "index_uuid", m->uuid);
    qd_json_field_str(w, "policy_id", r->policy_id.n ? r->policy_id : qdi_ism_policy_of(m));
    if (r->seq_no < 0) return;
    if (r->policy_seq_no >= 0) {
        qd_json_field_int(w, "policy_seq_no", r->policy_seq_no);
        qd_json_field_int(w, "policy_primary_term", 1);
    }
    qd_json_field_int(w, "index_creation_date", m->created_ms);
    if (r->completed) {
        qd_json_field_bool(w, "policy_completed", true);
        return;
    }
    if (r->transition_to.n)
        qd_json_field_str(w, "transition_to", r->transition_to);
    else if (r->state.n)
        write_progress(r, w);
    qd_json_key_c(w, "retry_info");
    qd_json_object(w);
    qd_json_field_bool(w, "failed", r->policy_failed);
    qd_json_field_int(w, "consumed_retries", 0);
    qd_json_object_end(w);
    if (r->info.n) {
        qd_json_key_c(w, "info");
        qd_json_raw_value(w, r->info);
    }
}

/* Could the action be carried out as the index is? */
static void write_validation(const qd_state *s, const qd_index_meta *m, const ism_record *r,
                             qd_json_writer *w)
{
    qd_err why;
    qd_str target;
    int rc = 0;
    qd_err_init(&why);
    if (qd_str_is(r->action, "rollover")) rc = qdi_ism_rollover_target(s, m, &target, &why);
    const qd_alias_group *g = qd_state_stream_of(s, m);
    if (qd_str_is(r->action, "delete") && g && g->write_index == m)
        rc = qd_err_set(&why, QD_E_ARG, "Index is the write index of data stream [%.*s]",
                        QD_STR_ARG(g->name));
    qd_json_key_c(w, "validate");
    qd_json_object(w);
    if (rc)
        qd_json_field_c(w, "validation_message", qd_err_reason(&why));
    else
        qd_json_field_c(w, "validation_message", "Validation passed for action");
    qd_json_field_c(w, "validation_status", rc ? "failed" : "passed");
    qd_json_object_end(w);
    qd_err_fini(&why);
}

static void write_one(const explaining *x, const qd_state *s, const qd_index_meta *m,
                      const ism_record *r, qd_json_writer *w)
{
    static const char *const keys[] = {"index.plugins.index_state_management.policy_id",
                                       "index.opendistro.index_state_management.policy_id"};
    qd_str id = qdi_ism_policy_of(m);
    qd_json_key(w, m->name);
    qd_json_object(w);
    for (size_t i = 0; i < QD_COUNT_OF(keys); i++) {
        qd_json_key_c(w, keys[i]);
        if (id.n)
            qd_json_str(w, id);
        else
            qd_json_null(w);
    }
    if (id.n) {
        write_record(m, r, w);
        qd_json_field_bool(w, "enabled", !r->completed && !qdi_ism_failed(r));
        if (x->policy && r->policy) {
            qd_json_key_c(w, "policy");
            qd_json_raw_value(w, r->policy->raw);
        }
        if (x->validate) write_validation(s, m, r, w);
    } else {
        qd_json_key_c(w, "enabled");
        qd_json_null(w);
    }
    qd_json_object_end(w);
}

static int write_all(qd_request *q, const explaining *x, const qd_state *s,
                     const qd_resolved *found, qd_json_writer *w, qd_err *err)
{
    int64_t total = 0, shown = 0;
    ism_record *at = qd_arena_calloc(q->arena, (found->n + 1) * sizeof *at);
    if (!at) return qd_err_nomem(err, "explain");
    for (uint32_t i = 0; i < found->n; i++) at[i].uuid = found->at[i]->uuid;
    int rc = qdi_ism_records_get(q->a, q->arena, at, found->n, err);
    if (rc) return rc;
    qd_json_object(w);
    for (uint32_t k = 0; k < found->n; k++) {
        uint32_t i = x->down ? found->n - 1 - k : k;
        const qd_index_meta *m = found->at[i];
        bool managed = qdi_ism_policy_of(m).n > 0;
        if ((x->all || x->filter) && !managed) continue;
        if (!passes(x, m, &at[i]) || !qdi_listed(x->wanted, m->name)) continue;
        total += managed;
        if (x->all && (total <= x->from || shown >= x->size)) continue;
        shown++;
        write_one(x, s, m, &at[i], w);
    }
    qd_json_field_int(w, "total_managed_indices", total);
    qd_json_object_end(w);
    return 0;
}

int qdi_api_ism_explain_policy(qd_request *q, qd_response *r, qd_err *err)
{
    explaining x;
    qd_resolved found;
    int rc = read_request(q, &x, err);
    if (rc) return rc;
    qd_state *s = qd_cluster_state(q->a->cluster);
    rc = x.all
             ? qd_state_resolve(s, QD_STR("*"), INDICES_WANTED, q->arena, &found, err)
             : qd_param_indices(q, s, INDICES_WANTED & ~(uint32_t)QD_ALLOW_NO_INDICES, &found, err);
    if (!rc) rc = write_all(q, &x, s, &found, &r->w, err);
    qd_state_unref(s);
    return rc;
}
