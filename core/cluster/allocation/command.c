/* command.c: see command.h. */
#include "cluster/allocation/command.h"
#include "cluster/allocation/decide_int.h"

static const struct {
    const char *name, *decider;
} orders[] = {
    {"move", "move_allocation_command"},
    {"cancel", "cancel_allocation_command"},
    {"allocate_replica", "allocate_replica_allocation_command"},
    {"allocate_stale_primary", "allocate_stale_primary_allocation_command"},
    {"allocate_empty_primary", "allocate_empty_primary_allocation_command"},
};

typedef struct commanding {
    alloc_work w;
    const qd_alloc_command *c;
    uint32_t shard, node, to;
    bool explain;
    qd_alloc_command_word *word; /* NULL: not wanted */
    qd_err *err;
} commanding;

/* A refusal: with explain the sentence of a decider named after the command. */
static int refuse(commanding *x, qd_str text)
{
    if (!text.p) return qd_err_nomem(x->err, "reroute");
    if (!x->explain || !x->word) return qd_err_set(x->err, QD_E_ARG, "%.*s", QD_STR_ARG(text));
    qd_alloc_word *one = qd_arena_alloc(x->w.arena, sizeof *one);
    if (!one) return qd_err_nomem(x->err, "reroute");
    *one = (qd_alloc_word){orders[x->c->order].decider, QD_ALLOC_NO, text};
    x->word->words = one;
    x->word->nwords = 1;
    return 1;
}

#define REFUSE(...) return refuse(x, qd_arena_printf(x->w.arena, __VA_ARGS__))

/* Asks all deciders whether g may go to node; remembers their words. A throttling one is overruled:
 * who commands knows. */
static bool permits(commanding *x, uint32_t g, uint32_t node, qd_str *reasons)
{
    qd_alloc_word *list = qd_arena_alloc(x->w.arena, (qdi_alloc_ndeciders + 1) * sizeof *list);
    uint32_t n = 0;
    bool yes = true;
    qd_buf b;
    if (!list) {
        x->w.failed = QD_E_NOMEM;
        return false;
    }
    qd_buf_init(&b, x->w.arena->account, 65536);
    for (uint32_t i = 0; i < qdi_alloc_ndeciders; i++) {
        const alloc_decider *d = &qdi_alloc_deciders[i];
        if (!d->allocate) continue;
        qd_str text = {NULL, 0};
        alloc_ask a = {&x->w, &x->w.now, g, node, &text};
        qd_alloc_verdict v = d->allocate(&a);
        yes &= v != QD_ALLOC_NO;
        list[n++] = (qd_alloc_word){d->name, v, text};
        qd_buf_printf(&b, "[%s(%.*s)]",
                      v == QD_ALLOC_NO         ? "NO"
                      : v == QD_ALLOC_THROTTLE ? "THROTTLE"
                                               : "YES",
                      QD_STR_ARG(text));
    }
    *reasons = qd_arena_str(x->w.arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    if (x->word) {
        x->word->words = list;
        x->word->nwords = n;
    }
    return yes;
}

static void say_done(commanding *x, qd_str text)
{
    qd_alloc_word *one = qd_arena_alloc(x->w.arena, sizeof *one);
    if (!one || !x->word) return;
    *one = (qd_alloc_word){orders[x->c->order].decider, QD_ALLOC_YES, text};
    x->word->words = one;
    x->word->nwords = 1;
}

static qd_str node_text(const commanding *x, uint32_t node)
{
    const qd_alloc_node *n = &x->w.view->nodes[node];
    return qd_arena_printf(x->w.arena, "{%.*s}{%.*s}{%.*s}", QD_STR_ARG(n->name), QD_STR_ARG(n->id),
                           QD_STR_ARG(n->transport_address));
}

static int find_node(commanding *x, qd_str name, uint32_t *out)
{
    const qd_alloc_view *v = x->w.view;
    for (uint32_t n = 0; n < v->nnodes; n++)
        if (v->nodes[n].up &&
            (qd_str_eq(v->nodes[n].id, name) || qd_str_eq(v->nodes[n].name, name))) {
            *out = n;
            return 0;
        }
    return qd_err_set(x->err, QD_E_ARG, "failed to resolve [%.*s], no matching nodes",
                      QD_STR_ARG(name));
}

static int find_shard(commanding *x)
{
    const qd_alloc_view *v = x->w.view;
    for (uint32_t i = 0; i < v->nindices; i++) {
        const qd_alloc_index *y = &v->indices[i];
        if (!qd_str_eq(y->name, x->c->index)) continue;
        if (x->c->shard >= y->nshards && x->explain &&
            (x->c->order == QD_ALLOC_MOVE || x->c->order == QD_ALLOC_CANCEL_SHARD)) {
            x->shard = QD_ALLOC_NONE; /* it is on no node, which is explained */
            return 0;
        }
        if (x->c->shard >= y->nshards)
            return qd_err_set(x->err, QD_E_NOTFOUND, "no such shard: [%.*s][%u]",
                              QD_STR_ARG(x->c->index), x->c->shard);
        x->shard = y->first + x->c->shard;
        return 0;
    }
    return qd_err_set(x->err, QD_E_INDEX_NOT_FOUND, "no such index [%.*s]",
                      QD_STR_ARG(x->c->index));
}

/* The copy on a node (a relocation is on both of its nodes); NONE. */
static uint32_t copy_on(const commanding *x, uint32_t node)
{
    const alloc_work *w = &x->w;
    if (x->shard == QD_ALLOC_NONE) return QD_ALLOC_NONE;
    for (uint32_t g = w->first[x->shard]; g < w->first[x->shard + 1]; g++)
        if (w->now.node[g] == node || w->now.from[g] == node) return g;
    return QD_ALLOC_NONE;
}

static int command_move(commanding *x)
{
    alloc_work *w = &x->w;
    qd_str index = x->c->index, from = node_text(x, x->node), to = node_text(x, x->to), why;
    uint32_t g = copy_on(x, x->node);
    if (g == QD_ALLOC_NONE)
        REFUSE("[move_allocation] can't move [%.*s][%u], failed to find it on node %.*s",
               QD_STR_ARG(index), x->c->shard, QD_STR_ARG(from));
    if (w->state[g] != QD_ALLOC_STARTED)
        REFUSE("[move_allocation] can't move [%.*s][%u], shard is not started (state = %s]",
               QD_STR_ARG(index), x->c->shard,
               w->state[g] == QD_ALLOC_RELOCATING ? "RELOCATING" : "INITIALIZING");
    if (!permits(x, g, x->to, &why))
        return x->explain && x->word
                   ? 1
                   : qd_err_set(x->err, QD_E_ARG,
                                "[move_allocation] can't move [%.*s][%u], from %.*s, to %.*s, "
                                "since its not allowed, reason: %.*s",
                                QD_STR_ARG(index), x->c->shard, QD_STR_ARG(from), QD_STR_ARG(to),
                                QD_STR_ARG(why));
    qdi_alloc_relocate(w, g, x->to, "moves by command", QD_STR("reroute"));
    return 0;
}

/* What is left of a copy after its cancellation is unassigned and looked after by the next round.
 */
static int command_cancel(commanding *x)
{
    alloc_work *w = &x->w;
    qd_str index = x->c->index, node = node_text(x, x->node);
    uint32_t g = copy_on(x, x->node);
    if (g == QD_ALLOC_NONE)
        REFUSE("[cancel_allocation] can't cancel [%.*s][%u], failed to find it on node %.*s",
               QD_STR_ARG(index), x->c->shard, QD_STR_ARG(node));
    bool target = w->state[g] == QD_ALLOC_RELOCATING && w->now.node[g] == x->node;
    bool active = w->state[g] == QD_ALLOC_STARTED || w->state[g] == QD_ALLOC_RELOCATING;
    if (w->primary[g] && !target && (!x->c->sure || !active))
        REFUSE("[cancel_allocation] can't cancel [%.*s][%u] on node %.*s, shard is primary and %s",
               QD_STR_ARG(index), x->c->shard, QD_STR_ARG(node),
               active ? "started" : "initializing its state");
    w->mended[x->shard] = true;
    qd_alloc_decision *d =
        qdi_alloc_decide(w, target ? QD_ALLOC_CANCEL : QD_ALLOC_REMOVE, g, x->node,
                         "cancelled by command on %.*s", QD_STR_ARG(node));
    d->why = QD_ALLOC_WHY_REROUTE_CANCELLED;
    uint32_t from = w->now.from[g];
    qdi_alloc_take(w, &w->now, g);
    w->now.from[g] = QD_ALLOC_NONE;
    if (target) {
        qdi_alloc_put(w, &w->now, g, from);
        w->state[g] = QD_ALLOC_STARTED;
    } else {
        w->state[g] = QD_ALLOC_UNASSIGNED;
    }
    say_done(x, qd_arena_printf(w->arena, "shard [%.*s][%u] on node %.*s can be cancelled",
                                QD_STR_ARG(index), x->c->shard, QD_STR_ARG(node)));
    return 0;
}

static int command_replica(commanding *x)
{
    alloc_work *w = &x->w;
    qd_str index = x->c->index, why;
    uint32_t g = w->first[x->shard], p = qdi_alloc_primary(w, x->shard);
    if (p == QD_ALLOC_NONE || w->state[p] == QD_ALLOC_UNASSIGNED)
        REFUSE("[allocate_replica] trying to allocate a replica shard [%.*s][%u], while "
               "corresponding primary shard is still unassigned",
               QD_STR_ARG(index), x->c->shard);
    while (g < w->first[x->shard + 1] && (w->primary[g] || w->state[g] != QD_ALLOC_UNASSIGNED)) g++;
    if (g == w->first[x->shard + 1])
        REFUSE("[allocate_replica] all copies of [%.*s][%u] are already assigned. Use the move "
               "allocation command instead",
               QD_STR_ARG(index), x->c->shard);
    if (!permits(x, g, x->node, &why)) {
        qd_str node = node_text(x, x->node);
        return x->explain && x->word
                   ? 1
                   : qd_err_set(x->err, QD_E_ARG,
                                "[allocate_replica] allocation of [%.*s][%u] on node %.*s is not "
                                "allowed, reason: %.*s",
                                QD_STR_ARG(index), x->c->shard, QD_STR_ARG(node), QD_STR_ARG(why));
    }
    qd_alloc_decision *d =
        qdi_alloc_decide(w, QD_ALLOC_ASSIGN_REPLICA, g, x->node, "allocated by command");
    d->source = QD_ALLOC_FROM_PEER;
    qdi_alloc_put(w, &w->now, g, x->node);
    w->state[g] = QD_ALLOC_INITIALIZING;
    w->now.in[x->node]++;
    return 0;
}

static int command_primary(commanding *x)
{
    alloc_work *w = &x->w;
    qd_str index = x->c->index;
    const char *name = orders[x->c->order].name;
    const qd_alloc_shard *s = &w->view->shards[x->shard];
    bool stale = x->c->order == QD_ALLOC_STALE_PRIMARY;
    uint32_t g = qdi_alloc_primary(w, x->shard), holder = QD_ALLOC_NONE;
    if (g == QD_ALLOC_NONE || w->state[g] != QD_ALLOC_UNASSIGNED)
        REFUSE("[%s] primary [%.*s][%u] is already assigned", name, QD_STR_ARG(index), x->c->shard);
    if (stale && s->fresh)
        REFUSE("[%s] trying to allocate an existing primary shard [%.*s][%u], while no such shard "
               "has ever been active",
               name, QD_STR_ARG(index), x->c->shard);
    if (!x->c->sure && !(s->fresh && !stale))
        REFUSE("[%s] allocating an %s primary for [%.*s][%u] can result in data loss. Please "
               "confirm by setting the accept_data_loss parameter to true",
               name, stale ? "existing" : "empty", QD_STR_ARG(index), x->c->shard);
    if (!w->data[x->node])
        REFUSE("[%s] node [%.*s] holds no data", name, QD_STR_ARG(w->view->nodes[x->node].name));
    alloc_ask tier = {w, &w->now, g, x->node, NULL};
    if (qdi_alloc_storage_tier(&tier) == QD_ALLOC_NO)
        REFUSE("[%s] node [%.*s] has no storage tier [%.*s], on which the index lies", name,
               QD_STR_ARG(w->view->nodes[x->node].name),
               QD_STR_ARG(alloc_index_of(w, g)->storage_tier));
    for (uint32_t i = 0; i < s->nholders; i++)
        if (s->holders[i].node == x->node) holder = i;
    bool in_sync = stale && holder != QD_ALLOC_NONE && s->holders[holder].in_sync;
    qd_alloc_decision *d = qdi_alloc_decide(w, QD_ALLOC_ASSIGN_PRIMARY, g, x->node, "%s by command",
                                            stale ? "stale copy" : "empty shard");
    d->source = in_sync    ? QD_ALLOC_FROM_DISK
                : stale    ? QD_ALLOC_FROM_STALE
                : s->fresh ? QD_ALLOC_FROM_NOTHING
                           : QD_ALLOC_FROM_EMPTY;
    d->holder = stale ? holder : QD_ALLOC_NONE;
    qdi_alloc_put(w, &w->now, g, x->node);
    w->state[g] = QD_ALLOC_INITIALIZING;
    w->now.initial[x->node]++;
    say_done(x, qd_arena_printf(w->arena, "[%s] of [%.*s][%u] is carried out", name,
                                QD_STR_ARG(index), x->c->shard));
    return 0;
}

static int run(commanding *x)
{
    int rc = find_shard(x);
    if (!rc) rc = find_node(x, x->c->node, &x->node);
    if (!rc && x->c->order == QD_ALLOC_MOVE) rc = find_node(x, x->c->to, &x->to);
    if (rc) return rc;
    switch (x->c->order) {
    case QD_ALLOC_MOVE:
        return command_move(x);
    case QD_ALLOC_CANCEL_SHARD:
        return command_cancel(x);
    case QD_ALLOC_REPLICA:
        return command_replica(x);
    case QD_ALLOC_STALE_PRIMARY:
    case QD_ALLOC_EMPTY_PRIMARY:
        return command_primary(x);
    }
    return 0;
}

/* Every shard with failures is told to count anew. */
static void retry_all(alloc_work *w)
{
    for (uint32_t s = 0; s < w->view->nshards; s++)
        for (uint32_t g = w->first[s]; g < w->first[s + 1]; g++)
            if (w->state[g] == QD_ALLOC_UNASSIGNED && alloc_copy_of(w, g)->info.failures) {
                qdi_alloc_decide(w, QD_ALLOC_RESET, g, QD_ALLOC_NONE,
                                 "failed attempts are forgotten by command");
                break;
            }
}

int qd_allocation_commands(const qd_alloc_view *view, const qd_alloc_command *commands, uint32_t n,
                           bool retry, bool explain, qd_arena *arena, qd_alloc_result *out,
                           qd_alloc_command_word *words, qd_err *err)
{
    commanding x = {.explain = explain, .err = err};
    *out = (qd_alloc_result){.again_ms = QD_ALLOC_NEVER};
    int rc = qdi_alloc_work_init(&x.w, view, arena, err);
    x.w.result = out;
    x.w.commanded = true;
    x.w.retried = retry;
    if (!rc) {
        qdi_alloc_traffic(&x.w);
        if (retry) retry_all(&x.w);
    }
    for (uint32_t i = 0; i < n && !rc; i++) {
        x.c = &commands[i];
        x.word = words ? &words[i] : NULL;
        if (x.word) *x.word = (qd_alloc_command_word){NULL, 0};
        rc = run(&x);
        if (rc == 1) rc = 0; /* refused and explained */
    }
    if (!rc && x.w.failed) rc = qd_err_nomem(err, "reroute");
    if (!rc) {
        qd_alloc_decision *d = qd_arena_alloc(arena, (x.w.out.n + 1) * sizeof *d);
        if (!d) rc = qd_err_nomem(err, "reroute");
        if (d && x.w.out.n) memcpy(d, x.w.out.at, x.w.out.n * sizeof *d);
        out->decisions = d;
        out->n = (uint32_t)x.w.out.n;
    }
    qdi_alloc_work_fini(&x.w);
    return rc;
}
