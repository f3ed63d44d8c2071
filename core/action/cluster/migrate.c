/*
 * migrate.c: _cluster/coordination/_migrate: moving the cluster's state from one store to
 * the other. A control node that has both stores open answers, any other node asks one; how it goes
 * on is the elected master's (cluster/authority/driver.h), which tells how far it is.
 */
#include "action/api/admin_int.h"
#include "action/api/forward_int.h"
#include "base/str.h"
#include "cluster/authority/driver.h"
#include "json/tree.h"
#include <stdio.h>

#define BODY_DEPTH 4
#define STATUS_MS 2000 /* the node that drives is asked for so long how far it is */
#define ASK_MS 6000    /* all that may know are */
#define ADMIN_TIMEOUT_MS 30000

/* Has the node run the request, for timeout_ms at most. Its answer goes to at; an error of the way
 * there is told by that. */
static int ask_node(qd_request *q, const qd_state *s, qd_str node, uint32_t timeout_ms,
                    qdi_forwarded *at, qd_err *err)
{
    *at = (qdi_forwarded){.node = node, .timeout_ms = timeout_ms};
    return qdi_forward(q, s, at, 1, err);
}

/* Which control nodes have these stores (QD_NODE_STORES_BOTH: they move the state,
 * QD_NODE_STORES_FOLLOWS: they follow), who drives at first; not this one, it stops or starts. */
static uint32_t those_with(uint8_t stores, const qd_request *q, const qd_state *s,
                           const qd_node_meta **out)
{
    qd_str driver = qd_driver_of(s);
    uint32_t n = 0;
    for (uint32_t i = 0; i < 2 * s->nnodes; i++) {
        const qd_node_meta *x = &s->nodes[i % s->nnodes];
        bool first = i < s->nnodes;
        if (x->stores == stores && qd_str_eq(x->id, driver) == first &&
            !qd_str_eq(x->id, q->a->node_id))
            out[n++] = x;
    }
    return n;
}

/* Asks one node after the other of those that have both stores until one answers: each for its
 * share of what is left of timeout_ms. */
static int ask_each(qd_request *q, const qd_state *s, bool followers, int64_t timeout_ms,
                    qd_response *r, qd_err *err)
{
    const qd_node_meta **at = qd_arena_alloc(q->arena, (s->nnodes + 1ul) * sizeof(void *));
    if (!at) return qd_err_nomem(err, "nodes to ask");
    uint32_t n = those_with(QD_NODE_STORES_BOTH, q, s, at);
    if (n == 0 && followers) n = those_with(QD_NODE_STORES_FOLLOWS, q, s, at);
    uint64_t until = qd_env_mono_ns(q->a->env) + (uint64_t)timeout_ms * 1000000u;
    qd_err why;
    int rc = 0;
    qd_err_init(&why);
    for (uint32_t i = 0; i < n; i++) {
        qdi_forwarded f;
        uint64_t now = qd_env_mono_ns(q->a->env), left = until > now ? (until - now) / 1000000u : 0;
        qd_err_fini(&why);
        rc = ask_node(q, s, at[i]->id, (uint32_t)(left / (n - i)) + 1, &f, &why);
        if (rc) {
            qd_err_move(err, &why);
            return rc;
        }
        rc = qdi_forward_answer(&f, r, &why);
        if (!rc) return 0;
    }
    if (!n)
        rc = qd_err_set(err, QD_E_STATE,
                        "no node has both stores of the cluster's state open: start the control "
                        "nodes with access to both (docs/migration.md)");
    else
        rc = qd_err_set(err, QD_E_PROCESS_CLUSTER_EVENT_TIMEOUT,
                        "none of the %u control nodes that have both stores of the cluster's state "
                        "answered, the last of them [%.*s]: %s. What was asked may still be done, "
                        "and may be asked again",
                        n, QD_STR_ARG(at[n - 1]->name), qd_err_reason(&why));
    qd_err_fini(&why);
    return rc;
}

/* The same for who has one store, or none. A node that is asked asks nobody. followers: where
 * nobody moves the state any more, one that follows will do. */
static int ask_others(qd_request *q, bool followers, int64_t timeout_ms, qd_response *r,
                      qd_err *err)
{
    if (q->forwarded)
        return qd_err_set(err, QD_E_STATE,
                          "this node does not have both stores of the cluster's "
                          "state open: it starts, or stops");
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = ask_each(q, s, followers, timeout_ms, r, err);
    qd_state_unref(s);
    return rc;
}

/* A wish of the operator's, by a node that has one store or none. */
static int wish_elsewhere(qd_request *q, bool followers, qd_response *r, qd_err *err)
{
    int64_t ms;
    int rc = qd_param_ms(q, qd_param_has(q, "timeout") ? "timeout" : "master_timeout",
                         ADMIN_TIMEOUT_MS, &ms, err);
    if (rc) return rc;
    return ask_others(q, followers,
                      ms <= 0          ? ADMIN_TIMEOUT_MS
                      : ms > INT32_MAX ? INT32_MAX
                                       : ms,
                      r, err);
}

static void field_number(qd_json_writer *w, const char *key, uint64_t v)
{
    qd_json_key_c(w, key);
    qd_json_uint(w, v);
}

static void write_status(qd_json_writer *w, const qd_handover_status *s)
{
    char text[48];
    bool any = s->to[0] != 0;
    qd_json_object(w);
    qd_json_field_c(w, "step", qd_handover_step_name(s->step));
    qd_json_field_bool(w, "under_way", any && s->step != QD_HANDOVER_DONE && !s->kept);
    if (s->kept) qd_json_field_bool(w, "kept", true);
    if (any) {
        qd_json_field_c(w, "from", s->from);
        qd_json_field_c(w, "to", s->to);
        qd_json_key_c(w, "epoch");
        qd_json_object(w);
        field_number(w, "from", s->from_epoch);
        field_number(w, "to", s->to_epoch);
        qd_json_object_end(w);
        field_number(w, "revision", s->revision);
        field_number(w, "copied", s->copied);
        /* once it is done the new store goes on alone: nothing lags */
        bool behind = s->step != QD_HANDOVER_DONE && s->revision > s->copied;
        field_number(w, "lag", behind ? s->revision - s->copied : 0);
        field_number(w, "clean_rounds", s->rounds);
        field_number(w, "differences", s->differences);
        if (s->since_ms) {
            qd_json_field_c(w, "since", qdi_time_text(s->since_ms, text));
            qd_json_field_int(w, "since_in_millis", s->since_ms);
        }
    }
    if (s->error[0]) qd_json_field_c(w, "waits_for", s->error);
    qd_json_object_end(w);
}

/* The answer of the node that drives, if that is another one. false: this node's own view has to
 * do; silent gets the name of who did not answer. */
static bool driver_tells(qd_request *q, qd_response *r, char silent[80])
{
    qd_state *s = qd_cluster_state(q->a->cluster);
    const qd_node_meta *n = qd_state_node(s, qd_driver_of(s));
    qdi_forwarded at;
    bool told = false;
    if (n && !qd_str_eq(n->id, q->a->node_id)) {
        if (!ask_node(q, s, n->id, STATUS_MS, &at, NULL)) {
            told = at.status == 200;
            if (told) (void)qdi_forward_answer(&at, r, NULL);
            if (!at.status) snprintf(silent, 80, "%.*s", QD_STR_ARG(n->name));
            qd_err_fini(&at.err);
        }
    }
    qd_state_unref(s);
    return told;
}

int qdi_api_cluster_migrate_status(qd_request *q, qd_response *r, qd_err *err)
{
    qd_handover_status s;
    char silent[80] = "";
    qd_driver *d = q->a->driver;
    if (!d) return ask_others(q, false, ASK_MS, r, err);
    if (!q->forwarded && !qd_driver_drives(d) && driver_tells(q, r, silent)) return 0;
    int rc = qd_driver_status(d, &s, err);
    if (!rc && silent[0] && s.to[0] && s.step != QD_HANDOVER_DONE)
        snprintf(s.error, sizeof s.error, "the node [%s], which drives it, does not answer",
                 silent);
    if (!rc) write_status(&r->w, &s);
    return rc;
}

/* Where to: of the parameter, else of the body. */
static int target_of(qd_request *q, qd_str *out, qd_err *err)
{
    qd_json_node *root;
    *out = qd_param(q, "to");
    if (!out->n && q->body.n) {
        int rc = qd_json_parse(q->arena, q->body, BODY_DEPTH, &root, err);
        if (rc) return rc;
        const qd_json_node *to = qd_json_get(root, "to");
        if (to && to->type == QD_JSON_T_STRING) *out = to->text;
    }
    return out->n ? 0 : qd_err_set(err, QD_E_ARG, "[to] is missing: where to?");
}

/* A control node with one store could not follow to the other one. */
static int all_have_both(const qd_request *q, qd_err *err)
{
    int rc = 0;
    qd_state *s = qd_cluster_state(q->a->cluster);
    for (uint32_t i = 0; i < s->nnodes && !rc; i++) {
        if (s->nodes[i].stores != QD_NODE_STORES_ONE) continue;
        rc = qd_err_set(err, QD_E_STATE,
                        "the control node [%.*s] has one store open and could not follow: set "
                        "coordination.mode of all control nodes to the mode that is wanted and "
                        "start them anew, one after the other",
                        QD_STR_ARG(s->nodes[i].name));
    }
    qd_state_unref(s);
    return rc;
}

int qdi_api_cluster_migrate_start(qd_request *q, qd_response *r, qd_err *err)
{
    qd_str to;
    int rc = target_of(q, &to, err);
    if (!rc && !q->a->driver) return wish_elsewhere(q, false, r, err);
    if (!rc) rc = all_have_both(q, err);
    if (!rc) rc = qd_driver_start_to(q->a->driver, to, err);
    if (!rc) qd_response_acknowledged(r);
    return rc;
}

int qdi_api_cluster_migrate_abort(qd_request *q, qd_response *r, qd_err *err)
{
    if (!q->a->driver) return wish_elsewhere(q, false, r, err);
    int rc = qd_handover_abort(qd_driver_handover(q->a->driver), err);
    if (!rc) qd_response_acknowledged(r);
    return rc;
}

/* Are all gone that moved the state? */
static bool nobody_moves(const qd_request *q)
{
    bool any = false;
    qd_state *s = qd_cluster_state(q->a->cluster);
    for (uint32_t i = 0; i < s->nnodes; i++) any |= s->nodes[i].stores == QD_NODE_STORES_BOTH;
    qd_state_unref(s);
    return !any;
}

int qdi_api_cluster_migrate_finish(qd_request *q, qd_response *r, qd_err *err)
{
    qd_handover *h = q->a->driver ? qd_driver_handover(q->a->driver) : NULL;
    if (!h && q->a->follows && nobody_moves(q)) h = q->a->follows;
    if (!h) return wish_elsewhere(q, true, r, err);
    int rc = qd_handover_finish(h, err);
    if (!rc) qd_response_acknowledged(r);
    return rc;
}
