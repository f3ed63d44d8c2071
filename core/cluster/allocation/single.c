/* single.c: deciders of a few lines: retries, closed indices, the primary first, versions, nodes
 * that leave. */
#include "cluster/allocation/decide_int.h"

qd_alloc_verdict qdi_alloc_retry(const alloc_ask *a)
{
    const qd_alloc_unassigned *u = &alloc_copy_of(a->w, a->g)->info;
    uint32_t most = alloc_index_of(a->w, a->g)->max_retries;
    uint32_t failures = a->w->retried ? 0 : u->failures;
    if (!failures) return qdi_alloc_say(a, QD_ALLOC_YES, "shard has no previous failures");
    if (failures < most)
        return qdi_alloc_say(a, QD_ALLOC_YES,
                             "shard has failed allocating [%u] times but [%u] retries are allowed",
                             failures, most);
    return qdi_alloc_say(
        a, QD_ALLOC_NO,
        "shard has exceeded the maximum number of retries [%u] on failed allocation attempts - "
        "manually call [POST /_cluster/reroute?retry_failed] to retry, "
        "[unassigned_info[[reason=%s], failed_attempts[%u], details[%.*s]]]",
        most, qd_alloc_why_name(u->why), failures, (int)(u->details.n < 300 ? u->details.n : 300),
        u->details.p ? u->details.p : "");
}

/* No engine of a closed index fills copies or is filled; its primary can be where its files are. */
qd_alloc_verdict qdi_alloc_open(const alloc_ask *a)
{
    if (!alloc_index_of(a->w, a->g)->closed)
        return qdi_alloc_say(a, QD_ALLOC_YES, "the index is open");
    if (a->w->primary[a->g] && a->o->node[a->g] == QD_ALLOC_NONE)
        return qdi_alloc_say(a, QD_ALLOC_YES, "the primary of a closed index stays with its files");
    return qdi_alloc_say(a, QD_ALLOC_NO,
                         "the index is closed: its copies are neither filled nor moved until it is "
                         "opened; open or delete it to empty the node");
}

qd_alloc_verdict qdi_alloc_after_primary(const alloc_ask *a)
{
    if (a->w->primary[a->g])
        return qdi_alloc_say(a, QD_ALLOC_YES, "shard is primary and can be allocated");
    if (!qdi_alloc_primary_active(a->w, a->w->shard_of[a->g]) && a->o == &a->w->now)
        return qdi_alloc_say(a, QD_ALLOC_NO, "primary shard for this replica is not yet active");
    return qdi_alloc_say(a, QD_ALLOC_YES, "primary shard for this replica is already active");
}

qd_alloc_verdict qdi_alloc_version(const alloc_ask *a)
{
    const alloc_work *w = a->w;
    bool primary = w->primary[a->g];
    uint32_t p = qdi_alloc_primary(w, w->shard_of[a->g]);
    uint32_t source = p == QD_ALLOC_NONE ? QD_ALLOC_NONE : a->o->node[p];
    if (p != QD_ALLOC_NONE && a->o->from[p] != QD_ALLOC_NONE) source = a->o->from[p];
    if (source == QD_ALLOC_NONE)
        return qdi_alloc_say(a, QD_ALLOC_YES,
                             "the primary shard is new or already existed on the node");
    const qd_alloc_node *to = &w->view->nodes[a->node], *of = &w->view->nodes[source];
    bool older = to->version_number < of->version_number && to->version_number;
    if (primary)
        return qdi_alloc_say(
            a, older ? QD_ALLOC_NO : QD_ALLOC_YES,
            older ? "cannot relocate primary shard from a node with version [%.*s] to a node with "
                    "older version [%.*s]"
                  : "can relocate primary shard from a node with version [%.*s] to a node with "
                    "equal-or-newer version [%.*s]",
            QD_STR_ARG(of->version), QD_STR_ARG(to->version));
    return qdi_alloc_say(
        a, older ? QD_ALLOC_NO : QD_ALLOC_YES,
        older ? "cannot allocate replica shard to a node with version [%.*s] since this is older "
                "than the primary version [%.*s]"
              : "can allocate replica shard to a node with version [%.*s] since this is "
                "equal-or-newer than the primary version [%.*s]",
        QD_STR_ARG(to->version), QD_STR_ARG(of->version));
}

static bool stays_here(const alloc_ask *a)
{
    if (a->o->node[a->g] == a->node) return true;
    const qd_alloc_shard *s = alloc_shard_of(a->w, a->g);
    for (uint32_t i = 0; i < s->nholders; i++)
        if (s->holders[i].node == a->node) return true;
    return false;
}

qd_alloc_verdict qdi_alloc_shutdown(const alloc_ask *a)
{
    const qd_alloc_node *n = &a->w->view->nodes[a->node];
    if (!a->w->shutting) return qdi_alloc_say(a, QD_ALLOC_YES, "no nodes are shutting down");
    switch (n->leave) {
    case QD_ALLOC_STAYS:
        break;
    case QD_ALLOC_REMOVED:
        return qdi_alloc_say(a, QD_ALLOC_NO,
                             "node [%.*s] is preparing to be removed from the cluster",
                             QD_STR_ARG(n->id));
    case QD_ALLOC_RESTARTS:
        if (stays_here(a))
            return qdi_alloc_say(a, QD_ALLOC_YES,
                                 "node [%.*s] is preparing to restart, but will remain in the "
                                 "cluster",
                                 QD_STR_ARG(n->id));
        return qdi_alloc_say(a, QD_ALLOC_NO,
                             "node [%.*s] is preparing to restart and takes no other shards "
                             "until it is back",
                             QD_STR_ARG(n->id));
    }
    return qdi_alloc_say(a, QD_ALLOC_YES, "this node is not currently shutting down");
}
