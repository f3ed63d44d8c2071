/* explain.c: what all deciders say of a copy, node by node, and what follows. See explain.h. */
#include "cluster/allocation/explain.h"
#include "cluster/allocation/decide_int.h"
#include "config/value.h"
#include <stdlib.h>

typedef struct explaining {
    alloc_work w;
    uint32_t g;
    bool with_yes;
    qd_alloc_explanation *out;
} explaining;

typedef enum question { ALLOCATE, REMAIN, REBALANCE } question;

/* Asks all deciders one question; *words gets those worth showing. */
static qd_alloc_verdict ask_all(explaining *x, question what, uint32_t node, bool with_yes,
                                const qd_alloc_word **words, uint32_t *n)
{
    qd_alloc_word *list = qd_arena_alloc(x->w.arena, (qdi_alloc_ndeciders + 1) * sizeof *list);
    qd_alloc_verdict worst = QD_ALLOC_YES;
    *n = 0;
    *words = list;
    if (!list) {
        x->w.failed = QD_E_NOMEM;
        return QD_ALLOC_NO;
    }
    for (uint32_t i = 0; i < qdi_alloc_ndeciders; i++) {
        const alloc_decider *d = &qdi_alloc_deciders[i];
        qd_str text = {NULL, 0};
        alloc_ask a = {&x->w, &x->w.now, x->g, node, &text};
        qd_alloc_verdict (*fn)(const alloc_ask *) = what == ALLOCATE ? d->allocate
                                                    : what == REMAIN ? d->remain
                                                                     : d->rebalance;
        if (!fn) continue;
        qd_alloc_verdict v = fn(&a);
        if (v < worst) worst = v;
        if (v != QD_ALLOC_YES || with_yes) list[(*n)++] = (qd_alloc_word){d->name, v, text};
    }
    return worst;
}

static double key_of(const explaining *x, uint32_t node)
{
    const qd_alloc_shard *s = alloc_shard_of(&x->w, x->g);
    return alloc_key(&x->w, &x->w.now, node, (double)s->size,
                     x->w.view->indices[s->index].write_load) +
           x->w.b * qdi_alloc_count(&x->w.now, s->index, node);
}

static uint32_t rank_of(const explaining *x, uint32_t node)
{
    uint32_t rank = 1;
    double key = key_of(x, node);
    for (uint32_t n = 0; n < x->w.view->nnodes; n++)
        rank += x->w.data[n] && n != node && key_of(x, n) < key;
    return rank;
}

static void node_store(const explaining *x, qd_alloc_node_word *out)
{
    const qd_alloc_shard *s = alloc_shard_of(&x->w, x->g);
    for (uint32_t i = 0; i < s->nholders; i++) {
        if (s->holders[i].node != out->node) continue;
        out->in_sync |= s->holders[i].in_sync;
        out->stale |= !s->holders[i].in_sync;
        out->allocation_id = s->holders[i].allocation_id;
    }
}

/* Best first: yes, throttled, worse balance, no; within that by rank. */
static int word_cmp(const void *pa, const void *pb)
{
    const qd_alloc_node_word *a = pa, *b = pb;
    int va = (int)a->verdict * 2 - a->worse, vb = (int)b->verdict * 2 - b->worse;
    if (va != vb) return vb - va;
    if (a->rank != b->rank) return a->rank < b->rank ? -1 : 1;
    return a->node < b->node ? -1 : a->node > b->node;
}

/* An in-sync copy on a node that deciders refuse is allocated there rather than nowhere. */
static void force(explaining *x, qd_alloc_node_word *o)
{
    qd_alloc_verdict v = qdi_alloc_forced(&x->w, x->g, o->node);
    if (v == QD_ALLOC_NO) return;
    qd_alloc_word *list = qd_arena_alloc(x->w.arena, (o->nwords + 1) * sizeof *list);
    if (!list) {
        x->w.failed = QD_E_NOMEM;
        return;
    }
    memcpy(list, o->words, o->nwords * sizeof *list);
    list[o->nwords++] = (qd_alloc_word){
        "force_allocation", QD_ALLOC_YES,
        QD_STR("the node has an in-sync copy of this primary, which is allocated there although "
               "the deciders above refuse the node, if no other node has one that they allow")};
    o->words = list;
    o->verdict = v;
}

/* All data nodes but the copy's own. */
static int ask_nodes(explaining *x)
{
    alloc_work *w = &x->w;
    uint32_t own = w->now.node[x->g], n = 0;
    bool bound = own == QD_ALLOC_NONE && w->primary[x->g] && !alloc_shard_of(w, x->g)->fresh;
    qd_alloc_node_word *list = qd_arena_calloc(w->arena, (w->ndata + 1) * sizeof *list);
    if (!list) return QD_E_NOMEM;
    for (uint32_t node = 0; node < w->view->nnodes; node++) {
        if (!w->data[node] || node == own) continue;
        qd_alloc_node_word *o = &list[n++];
        o->node = node;
        o->rank = rank_of(x, node);
        node_store(x, o);
        o->verdict = ask_all(x, ALLOCATE, node, x->with_yes, &o->words, &o->nwords);
        if (bound && !o->in_sync) { /* the deciders are not even asked */
            o->verdict = QD_ALLOC_NO;
            o->nwords = 0;
        } else if (bound && o->verdict == QD_ALLOC_NO) {
            force(x, o);
        }
        if (own != QD_ALLOC_NONE && o->verdict == QD_ALLOC_YES) {
            double gap, gain = qdi_alloc_gain(w, &w->now, x->g, node, &gap);
            o->worse = gap <= w->threshold || gain < ALLOC_GAIN_MIN;
        }
    }
    if (n) qsort(list, n, sizeof *list, word_cmp);
    x->out->nodes = list;
    x->out->nnodes = n;
    return w->failed;
}

static qd_alloc_verdict best_verdict(const explaining *x)
{
    return x->out->nnodes ? x->out->nodes[0].verdict : QD_ALLOC_NO;
}

static qd_str say(explaining *x, const char *text)
{
    return qd_arena_str(x->w.arena, qd_str_c(text));
}

#define LOOK_AT_NODES                                                                              \
    " Choose a node to which you expect this shard to be allocated, find this node in the "        \
    "node-by-node explanation, and address the reasons which prevent Quidditch from allocating "   \
    "this shard there."

static void explain_delayed(explaining *x)
{
    char wait[32];
    bool other = best_verdict(x) == QD_ALLOC_YES;
    x->out->can_allocate = "allocation_delayed";
    x->out->status = QD_ALLOC_STATUS_DELAYED;
    qd_time_text(x->out->remaining_ms * 1000000, wait);
    x->out->allocate_text = qd_arena_printf(
        x->w.arena,
        "The node containing this shard copy recently left the cluster. Quidditch is waiting for "
        "it to return. If the node does not return within [%s] then Quidditch will %s",
        wait,
        other ? "allocate this shard to another node. Please wait."
              : "attempt to allocate this shard to another node, but it cannot be allocated to any "
                "other node currently in the cluster. If you expect this shard to be allocated to "
                "another node, find this node in the node-by-node explanation and address the "
                "reasons which prevent Quidditch from allocating this shard there.");
}

static void explain_bound(explaining *x, bool any)
{
    const qd_alloc_shard *s = alloc_shard_of(&x->w, x->g);
    if (any) {
        x->out->can_allocate = "no";
        x->out->status = QD_ALLOC_STATUS_NO;
        x->out->allocate_text =
            say(x, "Quidditch isn't allowed to allocate this shard to any of the nodes in the "
                   "cluster that hold an in-sync copy of its data." LOOK_AT_NODES);
        return;
    }
    bool stale = false;
    for (uint32_t i = 0; i < s->nholders; i++)
        stale |= s->holders[i].node != QD_ALLOC_NONE && x->w.data[s->holders[i].node];
    x->out->can_allocate = "no_valid_shard_copy";
    x->out->status = QD_ALLOC_STATUS_NO_VALID_COPY;
    x->out->allocate_text =
        say(x, stale ? "Quidditch can't allocate this shard because all the copies of its data in "
                       "the cluster are stale or corrupt. Quidditch will allocate this shard when "
                       "a node containing a good copy of its data joins the cluster. If no such "
                       "node is available, restore this index from a recent snapshot."
                     : "Quidditch can't allocate this shard because there are no copies of its "
                       "data in the cluster. Quidditch will allocate this shard when a node "
                       "holding a good copy of its data joins the cluster. If no such node is "
                       "available, restore this index from a recent snapshot.");
}

static void explain_unassigned(explaining *x)
{
    alloc_work *w = &x->w;
    qd_alloc_explanation *o = x->out;
    const qd_alloc_shard *s = alloc_shard_of(w, x->g);
    qd_alloc_verdict v = best_verdict(x);
    int64_t until;
    if (w->primary[x->g] && !s->fresh) {
        bool any;
        uint32_t h = qdi_alloc_holder(w, x->g, &v, &any);
        if (h == QD_ALLOC_NONE) {
            explain_bound(x, any);
            return;
        }
    }
    if (qdi_alloc_delayed(w, x->g, &until)) {
        o->delay_ms = w->view->indices[s->index].delay_ms;
        o->remaining_ms = until - w->view->now_ms;
        explain_delayed(x);
    } else if (v == QD_ALLOC_YES) {
        o->can_allocate = "yes";
        o->allocate_text = say(x, "Quidditch can allocate the shard.");
    } else if (v == QD_ALLOC_THROTTLE) {
        o->can_allocate = "throttled";
        o->status = QD_ALLOC_STATUS_THROTTLED;
        o->allocate_text =
            say(x, "Quidditch is currently busy with other activities. It expects to be able to "
                   "allocate this shard when those activities finish. Please wait.");
    } else {
        o->can_allocate = "no";
        o->status = qdi_alloc_primary_active(w, w->shard_of[x->g]) || w->primary[x->g]
                        ? QD_ALLOC_STATUS_NO
                        : QD_ALLOC_STATUS_NO_ATTEMPT;
        o->allocate_text = say(x, "Quidditch isn't allowed to allocate this shard to any of the "
                                  "nodes in the cluster." LOOK_AT_NODES);
    }
}

static void explain_move(explaining *x)
{
    qd_alloc_explanation *o = x->out;
    switch (best_verdict(x)) {
    case QD_ALLOC_YES:
        o->can_move = "yes";
        o->move_text = say(x, "This shard may not remain on its current node. Quidditch will move "
                              "it to another node.");
        break;
    case QD_ALLOC_THROTTLE:
        o->can_move = "throttled";
        o->move_text = say(x, "This shard may not remain on its current node. Quidditch is "
                              "currently busy with other activities and will move this shard to "
                              "another node when those activities finish. Please wait.");
        break;
    case QD_ALLOC_NO:
        o->can_move = "no";
        o->move_text = say(x, "This shard may not remain on its current node, but Quidditch isn't "
                              "allowed to move it to another node." LOOK_AT_NODES);
    }
}

static void explain_rebalance(explaining *x)
{
    qd_alloc_explanation *o = x->out;
    bool better = false, throttled = false, allowed = false;
    for (uint32_t i = 0; i < o->nnodes; i++) {
        better |= o->nodes[i].verdict == QD_ALLOC_YES && !o->nodes[i].worse;
        throttled |= o->nodes[i].verdict == QD_ALLOC_THROTTLE;
        allowed |= o->nodes[i].verdict != QD_ALLOC_NO;
    }
    o->can_rebalance = "no";
    if (better && o->can_rebalance_cluster == QD_ALLOC_YES) {
        o->can_rebalance = "yes";
        o->rebalance_text = say(x, "Quidditch can rebalance this shard to another node.");
    } else if (better && o->can_rebalance_cluster == QD_ALLOC_THROTTLE) {
        o->can_rebalance = "throttled";
        o->rebalance_text =
            say(x, "Quidditch is currently busy with other activities. It will rebalance this "
                   "shard when those activities finish. Please wait.");
    } else if (better) {
        o->rebalance_text =
            say(x, "Quidditch is allowed to allocate this shard on another node, and there is at "
                   "least one node to which it could move this shard that would improve the "
                   "overall cluster balance, but it isn't allowed to rebalance this shard there. "
                   "Check the cluster-wide rebalancing decisions and address any reasons "
                   "preventing Quidditch from rebalancing shards within the cluster.");
    } else if (throttled && o->can_rebalance_cluster == QD_ALLOC_YES) {
        o->can_rebalance = "throttled";
        o->rebalance_text =
            say(x, "Quidditch is attempting to rebalance this shard to another node, but the nodes "
                   "involved are currently busy with other activities. The shard will be "
                   "rebalanced when those activities finish. Please wait.");
    } else if (allowed) {
        o->rebalance_text =
            say(x, "This shard is in a well-balanced location and satisfies all allocation rules "
                   "so it will remain on this node. Quidditch cannot rebalance this shard to "
                   "another node since there is no node to which allocation is permitted which "
                   "would improve the cluster balance. If you expect this shard to be rebalanced "
                   "to another node, find this node in the node-by-node explanation and address "
                   "the reasons which prevent Quidditch from rebalancing this shard there.");
    } else {
        o->rebalance_text =
            say(x, "Quidditch is not allowed to allocate or rebalance this shard to another node. "
                   "If you expect this shard to be rebalanced to another node, find this node in "
                   "the node-by-node explanation and address the reasons which prevent Quidditch "
                   "from rebalancing this shard there.");
    }
}

static void explain_assigned(explaining *x)
{
    qd_alloc_explanation *o = x->out;
    o->can_remain = ask_all(x, REMAIN, o->node, false, &o->remain, &o->nremain);
    if (o->can_remain == QD_ALLOC_NO) {
        explain_move(x);
        return;
    }
    o->can_rebalance_cluster = ask_all(x, REBALANCE, o->node, false, &o->cluster, &o->ncluster);
    explain_rebalance(x);
}

static int prepare(alloc_work *w, const qd_alloc_view *view, qd_alloc_result *result,
                   qd_arena *arena, qd_err *err)
{
    int rc = qdi_alloc_work_init(w, view, arena, err);
    if (rc) return rc;
    w->result = result;
    qdi_alloc_mend(w);
    qdi_alloc_traffic(w);
    qdi_alloc_plan_start(w);
    return qdi_alloc_weights_make(w, err);
}

static void explain_transit(explaining *x)
{
    const qd_alloc_view *v = x->w.view;
    uint32_t to = x->w.now.node[x->g], from = x->w.now.from[x->g];
    if (x->w.state[x->g] == QD_ALLOC_RELOCATING)
        x->out->text = qd_arena_printf(
            x->w.arena,
            "the shard is in the process of relocating from node [%.*s] to node [%.*s], wait until "
            "relocation has completed",
            QD_STR_ARG(v->nodes[from].name), QD_STR_ARG(v->nodes[to].name));
    else
        x->out->text = qd_arena_printf(x->w.arena,
                                       "the shard is in the process of initializing on node "
                                       "[%.*s], wait until initialization has completed",
                                       QD_STR_ARG(v->nodes[to].name));
}

int qd_allocation_explain(const qd_alloc_view *view, uint32_t shard, uint32_t copy, bool with_yes,
                          qd_arena *arena, qd_alloc_explanation *out, qd_err *err)
{
    explaining x = {.with_yes = with_yes, .out = out};
    qd_alloc_result result = {0};
    *out = (qd_alloc_explanation){
        .shard = shard, .copy = copy, .node = QD_ALLOC_NONE, .delay_ms = -1, .remaining_ms = -1};
    if (shard >= view->nshards || copy >= view->shards[shard].ncopies)
        return qd_err_set(err, QD_E_ARG, "the view has no copy %u of shard %u", copy, shard);
    int rc = prepare(&x.w, view, &result, arena, err);
    if (!rc) {
        x.g = x.w.first[shard] + copy;
        if (x.w.state[x.g] == ALLOC_TARGET)
            x.g = x.w.first[shard] + view->shards[shard].copies[copy].partner;
        out->primary = x.w.primary[x.g];
        out->state = x.w.state[x.g] < ALLOC_TARGET ? (qd_alloc_copy_state)x.w.state[x.g]
                                                   : QD_ALLOC_UNASSIGNED;
        out->node = x.w.now.from[x.g] != QD_ALLOC_NONE ? x.w.now.from[x.g] : x.w.now.node[x.g];
        if (out->node != QD_ALLOC_NONE) out->rank = rank_of(&x, out->node);
        if (out->state == QD_ALLOC_UNASSIGNED || out->state == QD_ALLOC_STARTED) {
            if (ask_nodes(&x))
                rc = qd_err_nomem(err, "explaining an allocation");
            else if (out->state == QD_ALLOC_UNASSIGNED)
                explain_unassigned(&x);
            else
                explain_assigned(&x);
        } else {
            explain_transit(&x);
        }
    }
    if (!rc && x.w.failed) rc = qd_err_nomem(err, "explaining an allocation");
    qdi_alloc_work_fini(&x.w);
    return rc;
}
