/* nodes_may_stop.c: GET|POST|DELETE /_nodes/{id}/_may_stop: advice, a permit, its end. */
#include "action/admin_int.h"
#include "base/str.h"
#include "cluster/permits.h"

#define RESTART_MS (10ll * 60 * 1000)
#define REMOVE_MS (24ll * 3600 * 1000)

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

static int parse(const qd_request *q, asking *x, qd_err *err)
{
    qd_str reason = qd_param(q, "reason");
    *x = (asking){.remove = qd_str_is(reason, "remove")};
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
        rc = qd_permit_check(s, open, n, x->id, remove, x->awareness, x->nawareness, q->arena,
                             &advice, err);
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
    int rc = parse(q, &x, err);
    if (rc) return rc;
    qd_state *s = qd_cluster_state(q->a->cluster);
    rc = answer(q, s, &x, r, err);
    qd_state_unref(s);
    return rc;
}

int qdi_api_nodes_take_permit(qd_request *q, qd_response *r, qd_err *err)
{
    asking x;
    int64_t ms;
    qd_state *s = NULL;
    qd_str holder = qd_param(q, "holder");
    int rc = parse(q, &x, err);
    if (!rc) rc = qd_param_ms(q, "expires_after", x.remove ? REMOVE_MS : RESTART_MS, &ms, err);
    if (!rc && (ms < 1000 || ms > QD_PERMIT_MS_MAX)) {
        rc = qd_err_set(err, QD_E_ARG, "[expires_after] must be between [1s] and [7d]");
    }
    if (rc) return rc;
    qd_permit p = {.node = x.id,
                   .holder = holder.n ? holder : QD_STR("api"),
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
    if (!parse(q, &x, NULL)) id = x.id;
    int rc = qd_cluster_permit_release(q->a->cluster, id, NULL, err);
    if (rc) return rc;
    qd_json_object(&r->w);
    qd_json_field_bool(&r->w, "acknowledged", qdi_all_applied(q));
    qd_json_object_end(&r->w);
    return 0;
}
