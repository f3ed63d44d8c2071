/* ism_indices_api.c: _plugins/_ism/add, remove, change_policy, retry. See ism_int.h. */
#include "action/api/admin_int.h"
#include "action/indices/indices_int.h"
#include "action/lifecycle/ism_int.h"
#include "base/str.h"

#define INDICES_WANTED (QD_EXPAND_OPEN | QD_EXPAND_CLOSED)
#define POLICY_SETTING "index.plugins.index_state_management.policy_id"
#define AUTO_SETTING "index.plugins.index_state_management.auto_manage"

/* What a request does to indices, and what it could not. */
typedef struct updating {
    qd_request *q;
    qd_state *state;
    qd_resolved found;
    ism_record *at; /* of those found */
    uint32_t updated, failed;
    qd_buf failures;
    qd_json_writer w;
} updating;

static void refuse(updating *u, const qd_index_meta *m, const char *why)
{
    if (!u->failed++) qd_json_array(&u->w);
    qd_json_object(&u->w);
    qd_json_field_str(&u->w, "index_name", m->name);
    qd_json_field_c(&u->w, "index_uuid", m->uuid);
    qd_json_field_c(&u->w, "reason", why);
    qd_json_object_end(&u->w);
}

static int open_updating(updating *u, qd_request *q, qd_err *err)
{
    qd_str type = qd_param(q, "type");
    *u = (updating){.q = q, .state = qd_cluster_state(q->a->cluster)};
    qd_buf_init(&u->failures, q->a->account, ISM_BODY_MAX);
    qd_json_writer_init(&u->w, &u->failures, false);
    if (!qd_param(q, "index").n) return qd_err_set(err, QD_E_ARG, "Missing indices");
    if (type.n && !qd_str_is(type, "_default"))
        return qd_err_set(err, QD_E_ARG, "Index type %.*s is not supported", QD_STR_ARG(type));
    int rc = qdi_ism_level(u->state, err);
    if (!rc) rc = qdi_cluster_block_check(q->a, QDI_BLOCK_METADATA_WRITE, err);
    if (!rc)
        rc = qd_param_indices(q, u->state, INDICES_WANTED | QD_ALLOW_NO_INDICES, &u->found, err);
    if (!rc) {
        u->at = qd_arena_calloc(q->arena, (u->found.n + 1) * sizeof *u->at);
        if (!u->at) return qd_err_nomem(err, "policies");
        for (uint32_t i = 0; i < u->found.n; i++) u->at[i].uuid = u->found.at[i]->uuid;
        rc = qdi_ism_records_get(q->a, q->arena, u->at, u->found.n, err);
    }
    return rc;
}

static int close_updating(updating *u, qd_response *r, int rc)
{
    if (!rc) {
        (void)qdi_all_applied(u->q);
        qd_json_object(&r->w);
        qd_json_field_int(&r->w, "updated_indices", u->updated);
        qd_json_field_bool(&r->w, "failures", u->failed > 0);
        qd_json_key_c(&r->w, "failed_indices");
        if (u->failed) {
            qd_json_array_end(&u->w);
            qd_json_raw_value(&r->w, qd_buf_view(&u->failures));
        } else {
            qd_json_array(&r->w);
            qd_json_array_end(&r->w);
        }
        qd_json_object_end(&r->w);
    }
    qd_buf_fini(&u->failures);
    qd_state_unref(u->state);
    return rc;
}

/* The policy that a body names. */
static int find_policy(const updating *u, const qd_json_node *body, ism_policy *p, qd_err *err)
{
    qd_str id = qdi_ism_text(body, "policy_id");
    if (!id.n) return qd_err_set(err, QD_E_ARG, "Missing policy ID");
    int rc = qdi_ism_policy_get(u->state, u->q->arena, id, p, err);
    if (rc != QD_E_NOTFOUND) return rc;
    rc = qd_err_set(err, QD_E_NOTFOUND, "Could not find policy=%.*s", QD_STR_ARG(id));
    qd_err_type(err, "status_exception", 404);
    return rc;
}

static int read_body(qd_request *q, const char *const *known, size_t n, qd_json_node **out,
                     qd_err *err)
{
    int rc = qdi_body_map(q, out, err);
    for (const qd_json_node *m = rc ? NULL : (*out)->first; m && !rc; m = m->next) {
        bool fine = false;
        for (size_t i = 0; i < n; i++) fine |= qd_str_is(m->key, known[i]);
        if (!fine) rc = qdi_ism_unknown(m, "the request", err);
    }
    return rc;
}

int qdi_api_ism_add_policy(qd_request *q, qd_response *r, qd_err *err)
{
    static const char *const known[] = {"policy_id"};
    updating u;
    qd_json_node *body;
    ism_policy p;
    int rc = open_updating(&u, q, err);
    if (!rc) rc = read_body(q, known, 1, &body, err);
    if (!rc) rc = find_policy(&u, body, &p, err);
    for (uint32_t i = 0; !rc && i < u.found.n; i++) {
        const qd_index_meta *m = u.found.at[i];
        if (m->closed) {
            refuse(&u, m, "This index is closed");
        } else if (qd_str_is(m->name, LC_INDEX)) {
            refuse(&u, m,
                   "This index is part of the management of indices and cannot have a policy");
        } else if (qdi_ism_policy_of(m).n) {
            refuse(&u, m,
                   "This index already has a policy, use the update policy API to update "
                   "index policies");
        } else {
            rc = qdi_ism_set(q->a, m->uuid, POLICY_SETTING, p.id, err);
            u.updated += !rc;
        }
    }
    return close_updating(&u, r, rc);
}

int qdi_api_ism_remove_policy(qd_request *q, qd_response *r, qd_err *err)
{
    updating u;
    int rc = open_updating(&u, q, err);
    for (uint32_t i = 0; !rc && i < u.found.n; i++) {
        const qd_index_meta *m = u.found.at[i];
        if (m->closed) {
            refuse(&u, m, "This index is closed");
            continue;
        }
        if (!qdi_ism_policy_of(m).n) {
            refuse(&u, m, "This index does not have a policy to remove");
            continue;
        }
        /* first that no template gives it another one */
        rc = qdi_ism_set(q->a, m->uuid, AUTO_SETTING, QD_STR("false"), err);
        if (!rc) rc = qdi_ism_set(q->a, m->uuid, POLICY_SETTING, (qd_str){NULL, 0}, err);
        if (!rc) qdi_ism_record_delete(q->a, q->arena, m->uuid);
        u.updated += !rc;
    }
    return close_updating(&u, r, rc);
}

/* Is the index in one of the states that the request is about? */
static bool is_included(const qd_json_node *include, const ism_record *r)
{
    if (!include || !include->n) return true;
    for (const qd_json_node *n = include->first; n; n = n->next)
        if (qd_str_eq(qdi_ism_text(n, "state"), r->state)) return true;
    return false;
}

static int change_one(updating *u, uint32_t i, const ism_policy *p, const qd_json_node *body,
                      qd_err *err)
{
    qd_err why;
    const qd_index_meta *m = u->found.at[i];
    ism_record *r = &u->at[i];
    if (!qdi_ism_policy_of(m).n) {
        refuse(u, m, "This index is not being managed");
        return 0;
    }
    if (r->seq_no < 0) { /* nothing has begun */
        int rc = qdi_ism_set(u->q->a, m->uuid, POLICY_SETTING, p->id, err);
        u->updated += !rc;
        return rc;
    }
    if (r->transition_to.n) {
        refuse(u, m, "Cannot change policy while transitioning to new state");
        return 0;
    }
    if (!is_included(qd_json_get(body, "include"), r)) return 0;
    qd_err_init(&why);
    r->change = body->raw;
    int rc = qdi_ism_record_put(u->q->a, u->q->arena, r, m, &why);
    if (rc)
        refuse(u, m, qd_err_reason(&why));
    else
        u->updated++;
    qd_err_fini(&why);
    return 0;
}

int qdi_api_ism_change_policy(qd_request *q, qd_response *r, qd_err *err)
{
    static const char *const known[] = {"policy_id", "state", "include"};
    updating u;
    qd_json_node *body;
    ism_policy p;
    int rc = open_updating(&u, q, err);
    if (!rc) rc = read_body(q, known, QD_COUNT_OF(known), &body, err);
    if (!rc) rc = find_policy(&u, body, &p, err);
    const qd_json_node *include = rc ? NULL : qd_json_get(body, "include");
    if (include && include->type != QD_JSON_T_ARRAY)
        rc = qd_err_set(err, QD_E_ARG, "[include] must be an array of {\"state\": …}");
    qd_str state = rc ? (qd_str){NULL, 0} : qdi_ism_text(body, "state");
    if (!rc && state.n && !qdi_ism_state(p.at, state)) {
        rc = qd_err_set(err, QD_E_ARG, "policy [%.*s] has no state [%.*s]", QD_STR_ARG(p.id),
                        QD_STR_ARG(state));
    }
    for (uint32_t i = 0; !rc && i < u.found.n; i++) rc = change_one(&u, i, &p, body, err);
    return close_updating(&u, r, rc);
}

static void retry_one(updating *u, uint32_t i, qd_str state)
{
    qd_err why;
    const qd_index_meta *m = u->found.at[i];
    ism_record *r = &u->at[i];
    if (!qdi_ism_policy_of(m).n) {
        refuse(u, m, "This index is not being managed.");
        return;
    }
    if (r->seq_no < 0) {
        refuse(u, m, "This index has no metadata information");
        return;
    }
    if (!qdi_ism_failed(r)) {
        refuse(u, m, "This index is not in failed state.");
        return;
    }
    r->action_failed = r->policy_failed = false;
    r->retries = r->last_retry_ms = 0;
    r->action_ms = qd_env_wall_ms(u->q->a->env);
    r->step = r->step_status = (qd_str){NULL, 0};
    if (state.n) r->transition_to = state;
    r->info = QD_STR("{\"message\":\"Pending retry of failed managed index\"}");
    qd_err_init(&why);
    if (qdi_ism_record_put(u->q->a, u->q->arena, r, m, &why))
        refuse(u, m, qd_err_reason(&why));
    else
        u->updated++;
    qd_err_fini(&why);
}

int qdi_api_ism_retry_index(qd_request *q, qd_response *r, qd_err *err)
{
    static const char *const known[] = {"state"};
    updating u;
    qd_json_node *body = NULL;
    int rc = open_updating(&u, q, err);
    if (!rc && q->body.n) rc = read_body(q, known, 1, &body, err);
    qd_str state = body ? qdi_ism_text(body, "state") : (qd_str){NULL, 0};
    for (uint32_t i = 0; !rc && i < u.found.n; i++) retry_one(&u, i, state);
    return close_updating(&u, r, rc);
}
