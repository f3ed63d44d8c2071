/* work.c: the working state of a round: copies, worlds, counts. See allocation_int.h. */
#include "cluster/allocation/allocation_int.h"
#include <stdarg.h>
#include <stdio.h>

static uint32_t count_slot(const alloc_world *o, uint64_t key)
{
    uint64_t h = key * 0x9e3779b97f4a7c15ull;
    uint32_t i = (uint32_t)(h >> 32) & o->mask;
    while (o->counts[i] && o->counts[i] >> 16 != key) i = (i + 1) & o->mask;
    return i;
}

static uint64_t count_key(uint32_t index, uint32_t node)
{
    return ((uint64_t)index + 1) << 24 | node;
}

uint32_t qdi_alloc_count(const alloc_world *o, uint32_t index, uint32_t node)
{
    return o->counts[count_slot(o, count_key(index, node))] & 0xffff;
}

/* Entries whose count falls to 0 stay; once the table is three quarters full it is made anew
 * without them: it has room for every copy, so it need not grow. */
static void count_add(alloc_world *o, uint32_t index, uint32_t node, int d)
{
    uint64_t key = count_key(index, node);
    uint32_t i = count_slot(o, key);
    if (o->counts[i]) {
        o->counts[i] += (uint64_t)(int64_t)d;
        return;
    }
    if (++o->used > o->mask / 4 * 3) {
        alloc_count *old = o->counts;
        uint32_t room = o->mask + 1;
        o->counts = o->spare;
        o->spare = old;
        memset(o->counts, 0, room * sizeof *o->counts);
        o->used = 1;
        for (uint32_t k = 0; k < room; k++)
            if (old[k] & 0xffff) {
                o->counts[count_slot(o, old[k] >> 16)] = old[k];
                o->used++;
            }
        i = count_slot(o, key);
    }
    o->counts[i] = key << 16 | (uint64_t)d;
}

static void world_add(alloc_work *w, alloc_world *o, uint32_t g, uint32_t node, int d)
{
    const qd_alloc_shard *s = alloc_shard_of(w, g);
    o->shards[node] += d;
    o->bytes[node] += (double)s->size * d;
    o->load[node] += w->view->indices[s->index].write_load * d;
    count_add(o, s->index, node, d);
    if (o == &w->plan) qdi_alloc_weight_touch(w, node);
}

void qdi_alloc_put(alloc_work *w, alloc_world *o, uint32_t g, uint32_t node)
{
    qd_assert(o->node[g] == QD_ALLOC_NONE);
    o->node[g] = node;
    bool back = o == &w->plan && w->now.node[g] == node; /* it never left */
    *(back ? &o->leaving[node] : &o->arriving[node]) +=
        (back ? -1 : 1) * alloc_shard_of(w, g)->size;
    world_add(w, o, g, node, 1);
}

void qdi_alloc_take(alloc_work *w, alloc_world *o, uint32_t g)
{
    uint32_t node = o->node[g];
    if (node == QD_ALLOC_NONE) return;
    o->node[g] = QD_ALLOC_NONE;
    bool never = o == &w->plan && w->now.node[g] != node; /* it was only planned to be there */
    *(never ? &o->arriving[node] : &o->leaving[node]) +=
        (never ? -1 : 1) * alloc_shard_of(w, g)->size;
    world_add(w, o, g, node, -1);
}

uint32_t qdi_alloc_primary(const alloc_work *w, uint32_t s)
{
    for (uint32_t g = w->first[s]; g < w->first[s + 1]; g++)
        if (w->primary[g] && w->state[g] != ALLOC_TARGET && w->state[g] != ALLOC_GONE) return g;
    return QD_ALLOC_NONE;
}

bool qdi_alloc_primary_active(const alloc_work *w, uint32_t s)
{
    uint32_t g = qdi_alloc_primary(w, s);
    return g != QD_ALLOC_NONE &&
           (w->state[g] == QD_ALLOC_STARTED || w->state[g] == QD_ALLOC_RELOCATING);
}

/* --- making it ---------------------------------------------------------------------------------*/

static int check_copy(const qd_alloc_view *v, uint32_t s, uint32_t i, qd_err *err)
{
    const qd_alloc_shard *sh = &v->shards[s];
    const qd_alloc_copy *c = &sh->copies[i];
    bool assigned = c->state != QD_ALLOC_UNASSIGNED;
    if (assigned != (c->node != QD_ALLOC_NONE) || (assigned && c->node >= v->nnodes))
        return qd_err_set(err, QD_E_ARG, "copy %u of shard %u of the view names node %u", i, s,
                          c->node);
    if (c->partner != QD_ALLOC_NONE &&
        (c->partner >= sh->ncopies || c->partner == i || sh->copies[c->partner].partner != i))
        return qd_err_set(err, QD_E_ARG, "copy %u of shard %u of the view has partner %u", i, s,
                          c->partner);
    if (c->state == QD_ALLOC_RELOCATING &&
        (c->partner == QD_ALLOC_NONE || sh->copies[c->partner].state != QD_ALLOC_INITIALIZING))
        return qd_err_set(err, QD_E_ARG, "copy %u of shard %u of the view moves nowhere", i, s);
    return 0;
}

static int check_view(const qd_alloc_view *v, qd_err *err)
{
    uint32_t at = 0;
    if (v->nnodes > ALLOC_NODES_MAX || v->nindices > ALLOC_INDICES_MAX)
        return qd_err_set(err, QD_E_ARG, "the view has %u nodes and %u indices", v->nnodes,
                          v->nindices);
    for (uint32_t i = 0; i < v->nindices; i++) {
        const qd_alloc_index *x = &v->indices[i];
        if (x->nshards > ALLOC_INDEX_SHARDS_MAX)
            return qd_err_set(err, QD_E_ARG, "index [%.*s] of the view has %u shards",
                              QD_STR_ARG(x->name), x->nshards);
        if (x->first != at || x->nshards > v->nshards - at)
            return qd_err_set(err, QD_E_ARG, "index [%.*s] of the view has shards %u to %u",
                              QD_STR_ARG(x->name), x->first, x->first + x->nshards);
        at += x->nshards;
    }
    if (at != v->nshards)
        return qd_err_set(err, QD_E_ARG, "%u shards of the view belong to no index",
                          v->nshards - at);
    for (uint32_t s = 0; s < v->nshards; s++) {
        const qd_alloc_shard *sh = &v->shards[s];
        if (sh->index >= v->nindices || s < v->indices[sh->index].first ||
            s - v->indices[sh->index].first >= v->indices[sh->index].nshards ||
            sh->ncopies > QD_ALLOC_COPIES_MAX)
            return qd_err_set(err, QD_E_ARG, "shard %u of the view names index %u, has %u copies",
                              s, sh->index, sh->ncopies);
        for (uint32_t i = 0; i < sh->ncopies; i++) {
            int rc = check_copy(v, s, i, err);
            if (rc) return rc;
        }
        for (uint32_t i = 0; i < sh->nholders; i++)
            if (sh->holders[i].node != QD_ALLOC_NONE && sh->holders[i].node >= v->nnodes)
                return qd_err_set(err, QD_E_ARG, "holder %u of shard %u of the view names node %u",
                                  i, s, sh->holders[i].node);
    }
    return 0;
}

static int world_make(alloc_work *w, alloc_world *o, uint32_t room)
{
    size_t n = w->ncopies + 1, m = w->view->nnodes + 1;
    o->node = qd_arena_alloc(w->arena, n * sizeof *o->node);
    o->from = qd_arena_alloc(w->arena, n * sizeof *o->from);
    o->shards = qd_arena_calloc(w->arena, m * sizeof *o->shards);
    o->bytes = qd_arena_calloc(w->arena, m * sizeof *o->bytes);
    o->load = qd_arena_calloc(w->arena, m * sizeof *o->load);
    o->arriving = qd_arena_calloc(w->arena, m * sizeof *o->arriving);
    o->leaving = qd_arena_calloc(w->arena, m * sizeof *o->leaving);
    o->in = qd_arena_calloc(w->arena, m * sizeof *o->in);
    o->out = qd_arena_calloc(w->arena, m * sizeof *o->out);
    o->initial = qd_arena_calloc(w->arena, m * sizeof *o->initial);
    o->counts = qd_arena_calloc(w->arena, room * sizeof *o->counts);
    o->spare = qd_arena_alloc(w->arena, room * sizeof *o->spare);
    o->mask = room - 1;
    if (!o->node || !o->from || !o->shards || !o->bytes || !o->load || !o->arriving ||
        !o->leaving || !o->in || !o->out || !o->initial || !o->counts || !o->spare)
        return QD_E_NOMEM;
    memset(o->node, 0xff, n * sizeof *o->node);
    memset(o->from, 0xff, n * sizeof *o->from);
    return 0;
}

void qdi_alloc_plan_start(alloc_work *w)
{
    alloc_world *p = &w->plan, *o = &w->now;
    size_t n = w->ncopies, m = w->view->nnodes;
    memcpy(p->node, o->node, n * sizeof *p->node);
    memcpy(p->from, o->from, n * sizeof *p->from);
    memcpy(p->shards, o->shards, m * sizeof *p->shards);
    memcpy(p->bytes, o->bytes, m * sizeof *p->bytes);
    memcpy(p->load, o->load, m * sizeof *p->load);
    memcpy(p->arriving, o->arriving, m * sizeof *p->arriving);
    memcpy(p->leaving, o->leaving, m * sizeof *p->leaving);
    memcpy(p->counts, o->counts, ((size_t)o->mask + 1) * sizeof *p->counts);
    p->used = o->used;
}

bool qdi_alloc_holds_data(const qd_alloc_node *n)
{
    for (size_t i = 0; i < n->roles.n; i++)
        if (memchr("dhwcsf", n->roles.p[i], 6)) return true;
    return false;
}

static int nodes_make(alloc_work *w)
{
    const qd_alloc_view *v = w->view;
    size_t m = v->nnodes + 1;
    w->data = qd_arena_calloc(w->arena, m);
    w->low = qd_arena_alloc(w->arena, m * sizeof *w->low);
    w->high = qd_arena_alloc(w->arena, m * sizeof *w->high);
    w->flood = qd_arena_alloc(w->arena, m * sizeof *w->flood);
    if (!w->data || !w->low || !w->high || !w->flood) return QD_E_NOMEM;
    for (uint32_t n = 0; n < v->nnodes; n++) {
        const qd_alloc_node *x = &v->nodes[n];
        w->data[n] = x->up && qdi_alloc_holds_data(x);
        w->ndata += w->data[n];
        w->shutting += x->up && x->leave != QD_ALLOC_STAYS;
        bool known = v->settings.disk_enabled && x->disk_total > 0;
        w->low[n] = known ? qd_alloc_watermark_free(&v->settings.low, x->disk_total) : -1;
        w->high[n] = known ? qd_alloc_watermark_free(&v->settings.high, x->disk_total) : -1;
        w->flood[n] = known ? qd_alloc_watermark_free(&v->settings.flood, x->disk_total) : -1;
    }
    return 0;
}

/* Puts the assigned copies into the world as it is. */
static void copies_enter(alloc_work *w)
{
    alloc_world *o = &w->now;
    for (uint32_t s = 0; s < w->view->nshards; s++) {
        const qd_alloc_shard *sh = &w->view->shards[s];
        for (uint32_t i = 0; i < sh->ncopies; i++) {
            const qd_alloc_copy *c = &sh->copies[i];
            uint32_t g = w->first[s] + i;
            bool target = c->state == QD_ALLOC_INITIALIZING && c->partner != QD_ALLOC_NONE;
            w->shard_of[g] = s;
            w->state[g] = target ? ALLOC_TARGET : (uint8_t)c->state;
            w->primary[g] = c->primary;
        }
        for (uint32_t i = 0; i < sh->ncopies; i++) {
            const qd_alloc_copy *c = &sh->copies[i];
            uint32_t g = w->first[s] + i;
            if (c->node == QD_ALLOC_NONE || w->state[g] == ALLOC_TARGET) continue;
            uint32_t to = c->state == QD_ALLOC_RELOCATING ? sh->copies[c->partner].node : c->node;
            qdi_alloc_put(w, o, g, to);
            if (c->state == QD_ALLOC_STARTED) o->arriving[to] -= sh->size; /* is there already */
            if (c->state == QD_ALLOC_RELOCATING) {
                o->from[g] = c->node;
                o->leaving[c->node] += sh->size;
            }
        }
    }
}

/* Recoveries under way, and how far the cluster is from all copies being active. */
static void traffic_count(alloc_work *w)
{
    for (uint32_t g = 0; g < w->ncopies; g++) {
        uint32_t node = w->now.node[g], s = w->shard_of[g];
        bool moves = w->state[g] == QD_ALLOC_RELOCATING;
        w->unassigned += w->state[g] == QD_ALLOC_UNASSIGNED;
        w->unassigned_primaries += w->state[g] == QD_ALLOC_UNASSIGNED && w->primary[g];
        w->initializing += w->state[g] == QD_ALLOC_INITIALIZING;
        w->inactive_primaries += w->primary[g] && (w->state[g] == QD_ALLOC_UNASSIGNED ||
                                                   w->state[g] == QD_ALLOC_INITIALIZING);
        w->relocating += moves;
        if (w->state[g] != QD_ALLOC_INITIALIZING && !moves) continue;
        if (w->primary[g] && !moves) {
            w->now.initial[node]++;
            continue;
        }
        w->now.in[node]++;
        uint32_t p = qdi_alloc_primary(w, s);
        uint32_t source = p == QD_ALLOC_NONE                ? QD_ALLOC_NONE
                          : w->now.from[p] != QD_ALLOC_NONE ? w->now.from[p]
                                                            : w->now.node[p];
        if (source != QD_ALLOC_NONE) w->now.out[source]++;
    }
}

int qdi_alloc_work_init(alloc_work *w, const qd_alloc_view *view, qd_arena *arena, qd_err *err)
{
    *w = (alloc_work){.view = view, .arena = arena};
    int rc = check_view(view, err);
    if (rc) return rc;
    w->first = qd_arena_alloc(arena, ((size_t)view->nshards + 1) * sizeof *w->first);
    if (!w->first) return qd_err_nomem(err, "allocating shards");
    for (uint32_t s = 0; s < view->nshards; s++) {
        w->first[s] = w->ncopies;
        w->ncopies += view->shards[s].ncopies;
    }
    w->first[view->nshards] = w->ncopies;
    size_t n = (size_t)w->ncopies + 1;
    w->shard_of = qd_arena_alloc(arena, n * sizeof *w->shard_of);
    w->state = qd_arena_calloc(arena, n);
    w->primary = qd_arena_calloc(arena, n);
    w->status = qd_arena_calloc(arena, n);
    w->mended = qd_arena_calloc(arena, (size_t)view->nshards + 1);
    uint32_t room = 64;
    while (room < w->ncopies * 2ull && room < 1u << 30) room *= 2;
    if (!w->shard_of || !w->state || !w->primary || !w->status || !w->mended || nodes_make(w) ||
        world_make(w, &w->now, room) || world_make(w, &w->plan, room))
        return qd_err_nomem(err, "allocating shards");
    for (uint32_t i = 0; view->held && i < view->nnodes; i++) {
        w->now.shards[i] = (int32_t)view->held[i].shards;
        w->now.bytes[i] = (double)view->held[i].bytes;
        w->now.load[i] = view->held[i].load;
    }
    copies_enter(w);
    rc = qdi_alloc_awareness_make(w, err);
    return rc ? rc : qdi_alloc_sigs_make(w, err);
}

void qdi_alloc_work_fini(alloc_work *w)
{
    qd_vec_fini(&w->sigs);
    qd_vec_fini(&w->out);
}

void qdi_alloc_traffic(alloc_work *w)
{
    w->unassigned = w->unassigned_primaries = w->initializing = w->relocating = 0;
    w->inactive_primaries = 0;
    size_t m = w->view->nnodes;
    memset(w->now.in, 0, m * sizeof *w->now.in);
    memset(w->now.out, 0, m * sizeof *w->now.out);
    memset(w->now.initial, 0, m * sizeof *w->now.initial);
    traffic_count(w);
}

qd_alloc_decision *qdi_alloc_decide(alloc_work *w, qd_alloc_action action, uint32_t g,
                                    uint32_t node, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n >= (int)sizeof text) n = (int)sizeof text - 1;
    uint32_t s = g == QD_ALLOC_NONE ? QD_ALLOC_NONE : w->shard_of[g];
    qd_alloc_decision d = {
        .action = action,
        .index = s == QD_ALLOC_NONE ? QD_ALLOC_NONE : w->view->shards[s].index,
        .shard = s,
        .copy = s == QD_ALLOC_NONE ? QD_ALLOC_NONE : g - w->first[s],
        .node = node,
        .holder = QD_ALLOC_NONE,
        .reason = qd_arena_str(w->arena, (qd_str){text, (size_t)n}),
    };
    static _Thread_local qd_alloc_decision lost;
    if (!d.reason.p || qd_vec_push(&w->out, w->arena->account, d)) {
        w->failed = QD_E_NOMEM;
        return &lost;
    }
    return &w->out.at[w->out.n - 1];
}
