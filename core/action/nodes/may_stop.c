/* may_stop.c: GET|POST|DELETE /_nodes/{id}/_may_stop: advice, a permit, its end. */
#include "action/api/admin_int.h"
#include "base/str.h"
#include "cluster/permits.h"
#include "config/value.h"
#include "json/tree.h"

#define RESTART_MS (10ll * 60 * 1000)
#define REMOVE_MS (24ll * 3600 * 1000)
#define ADVICE_MS 5000 /* for the masters to answer; without them there is advice, too */

typedef struct asking {
    qd_str id; /* of the node */
    bool remove;
    const qd_str *awareness;
    uint32_t nawareness;
} asking;

static const qd_node_meta *node_of(const qd_request *q, const qd_state *s)
{
    qd_str name = qd_param(q, "node_id");
    if (qd_str_is(name, "_local")) name = qd_cluster_self(q->a->cluster)->id;
    if (qd_str_is(name, "_master")) name = s->master;
    const qd_node_meta *n = qd_state_node(s, name);
    for (uint32_t i = 0; i < s->nnodes && !n; i++) {
        if (qd_str_eq(s->nodes[i].name, name)) n = &s->nodes[i];
    }
    return n;
}

static int parse(qd_request *q, qd_str reason, asking *x, qd_err *err)
{
    int rc = qd_param_ms(q, "timeout", q->task.change_ms, &q->task.change_ms, err);
    *x = (asking){.remove = qd_str_is(reason, "remove")};
    if (rc) return rc;
    if (q->task.change_ms < 0) q->task.change_ms = 0;
    if (reason.n && !x->remove && !qd_str_is(reason, "restart")) {
        return qd_err_set(err, QD_E_ARG, "[reason] must be [restart] or [remove], not [%.*s]",
                          QD_STR_ARG(reason));
    }
    x->awareness =
        qd_values_list(qd_config_values(q->a->config), QD_SET_ALLOC_AWARENESS, &x->nawareness);
    qd_state *s = qd_cluster_state(q->a->cluster);
    const qd_node_meta *n = node_of(q, s);
    if (n) x->id = qd_arena_str(q->arena, n->id);
    qd_state_unref(s);
    if (n) return x->id.p ? 0 : qd_err_nomem(err, "node");
    qd_str name = qd_param(q, "node_id");
    return qd_err_set(err, QD_E_NOTFOUND, "no node [%.*s] in the cluster", QD_STR_ARG(name));
}

static void write_permit(const qd_permit *p, int64_t now, qd_json_writer *w)
{
    char text[48];
    qd_json_key_c(w, "permit");
    qd_json_object(w);
    qd_json_field_str(w, "holder", p->holder);
    qd_json_field_c(w, "reason", p->remove ? "remove" : "restart");
    qd_json_field_c(w, "granted", qdi_time_text(p->granted_ms, text));
    qd_json_field_int(w, "granted_in_millis", p->granted_ms);
    qd_json_field_c(w, "expires", qdi_time_text(p->expires_ms, text));
    qd_json_field_int(w, "expires_in_millis", p->expires_ms);
    qd_json_field_int(w, "remaining_in_millis", p->expires_ms > now ? p->expires_ms - now : 0);
    qd_json_object_end(w);
}

/* Own permit aside, what stands against stopping the node; and the permit it has. */
static int answer(qd_request *q, const qd_state *s, const asking *x, qd_response *r, qd_err *err)
{
    int64_t now = qd_env_wall_ms(q->a->env);
    const qd_permit *open;
    uint32_t n;
    qd_permit_advice advice;
    int rc = qd_permits_read(s, now, q->arena, &open, &n, err);
    const qd_permit *own = rc ? NULL : qd_permit_of(open, n, x->id);
    bool remove = x->remove || (own && own->remove);
    if (!rc) {
        rc = qd_permit_check(s, open, n, x->id, remove, qd_permit_voters(q->a->cluster, s, x->id),
                             x->awareness, x->nawareness, q->arena, &advice, err);
    }
    if (rc) return rc;
    qd_json_writer *w = &r->w;
    const qd_node_meta *node = qd_state_node(s, x->id);
    qd_json_object(w);
    qd_json_field_bool(w, "may_stop", !advice.breaks && !advice.holds);
    qd_json_field_str(w, "node_id", node->id);
    qd_json_field_str(w, "node_name", node->name);
    qd_json_field_c(w, "reason", remove ? "remove" : "restart");
    qd_json_key_c(w, "explanations");
    qd_json_array(w);
    for (uint32_t i = 0; i < advice.n; i++) qd_json_str(w, advice.reasons[i]);
    qd_json_array_end(w);
    if (own) write_permit(own, now, w);
    qd_json_object_end(w);
    return 0;
}

int qdi_api_nodes_may_stop(qd_request *q, qd_response *r, qd_err *err)
{
    asking x;
    q->task.change_ms = ADVICE_MS;
    int rc = parse(q, qd_param(q, "reason"), &x, err);
    if (rc) return rc;
    qd_state *s = qd_cluster_state(q->a->cluster);
    rc = answer(q, s, &x, r, err);
    qd_state_unref(s);
    return rc;
}

/* What may stand in the body as well; a parameter comes first. */
typedef struct wish {
    qd_str holder, reason, expires;
} wish;

static int read_wish(const qd_request *q, wish *out, qd_err *err)
{
    qd_json_node *root = NULL;
    *out = (wish){0};
    int rc = q->body.n ? qd_json_parse(q->arena, q->body, 0, &root, err) : 0;
    if (!rc && root && root->type != QD_JSON_T_OBJECT)
        rc = qd_err_set(err, QD_E_ES_PARSE, "request body must be an object");
    for (const qd_json_node *n = rc || !root ? NULL : root->first; n && !rc; n = n->next) {
        qd_str *to = qd_str_is(n->key, "holder")          ? &out->holder
                     : qd_str_is(n->key, "reason")        ? &out->reason
                     : qd_str_is(n->key, "expires_after") ? &out->expires
                                                          : NULL;
        if (!to) {
            rc = qd_err_set(err, QD_E_XCONTENT,
                            "[_may_stop] unknown field [%.*s]; there are [holder], [reason] and "
                            "[expires_after]",
                            QD_STR_ARG(n->key));
        } else {
            *to = qd_json_text(n);
        }
    }
    if (qd_param_has(q, "holder")) out->holder = qd_param(q, "holder");
    if (qd_param_has(q, "reason")) out->reason = qd_param(q, "reason");
    if (qd_param_has(q, "expires_after")) out->expires = qd_param(q, "expires_after");
    return rc;
}

int qdi_api_nodes_take_permit(qd_request *q, qd_response *r, qd_err *err)
{
    asking x = {0};
    wish y;
    int64_t ns = 0;
    qd_state *s = NULL;
    int rc = read_wish(q, &y, err);
    if (!rc) rc = parse(q, y.reason, &x, err);
    int64_t ms = x.remove ? REMOVE_MS : RESTART_MS;
    if (!rc && y.expires.n) {
        rc = qd_value_time(y.expires, "expires_after", &ns, err);
        ms = ns / 1000000;
    }
    if (!rc && (ms < 1000 || ms > QD_PERMIT_MS_MAX)) {
        rc = qd_err_set(err, QD_E_ARG, "[expires_after] must be between [1s] and [7d]");
    }
    if (rc) return rc;
    qd_permit p = {.node = x.id,
                   .holder = y.holder.n ? y.holder : QD_STR("api"),
                   .remove = x.remove,
                   .expires_ms = qd_env_wall_ms(q->a->env) + ms};
    rc = qd_cluster_permit_take(q->a->cluster, &p, x.awareness, x.nawareness, &s, err);
    if (!rc) rc = answer(q, s, &x, r, err);
    qd_state_unref(s);
    return rc;
}

int qdi_api_nodes_release_permit(qd_request *q, qd_response *r, qd_err *err)
{
    /* the node may be gone for good */
    qd_str id = qd_param(q, "node_id");
    asking x;
    if (!parse(q, QD_STR(""), &x, NULL)) id = x.id;
    int rc = qd_cluster_permit_release(q->a->cluster, id, NULL, err);
    if (rc) return rc;
    qd_json_object(&r->w);
    qd_json_field_bool(&r->w, "acknowledged", qdi_all_applied(q));
    qd_json_object_end(&r->w);
    return 0;
}
