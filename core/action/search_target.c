/*
 * search_target.c: the coordinating part of a search: nodes are asked for shards, this one by a
 * call, others over the transport (search_remote.c); what fails is asked for at another copy.
 */
#include "action/search_part_int.h"
#include "base/str.h"

int qdi_target_add(search_run *x, qd_str node, uint32_t shards, search_target **out, qd_err *err)
{
    search_target *t = qd_arena_calloc(x->arena, sizeof *t);
    if (t) t->shards = qd_arena_alloc(x->arena, (shards + 1ul) * sizeof(search_shard *));
    if (!t || !t->shards) return qd_err_nomem(err, "nodes of a search");
    t->node = node;
    t->local = qd_str_eq(node, x->a->node_id);
    search_target **end = &x->targets; /* in the order in which they were asked */
    while (*end) end = &(*end)->next;
    *end = t;
    *out = t;
    return 0;
}

/* --- results --- */

static void fail_shard(search_shard *s, int rc, const qd_err *err)
{
    qd_err_fini(&s->err);
    qd_err_copy(&s->err, err);
    s->rc = rc;
}

/* A failure of the whole target is one of each of its shards. */
static void fail_target(search_target *t, int rc, const qd_err *err)
{
    for (uint32_t i = 0; i < t->n; i++) fail_shard(t->shards[i], rc, err);
}

/* Takes over what a context of this node found. Hits are copied: merging may change their values.
 */
static int take_result(search_shard *to, search_shard *from, uint32_t nkeys)
{
    qd_err_fini(&to->err);
    qd_err_copy(&to->err, &from->err);
    to->rc = from->rc;
    to->total = from->total;
    to->total_lower_bound = from->total_lower_bound;
    to->timed_out = from->timed_out;
    to->terminated_early = from->terminated_early;
    to->max_score = from->max_score;
    to->aggs = from->aggs;
    from->aggs = NULL;
    to->hits = qd_arena_alloc(&to->arena, (from->nhits + 1ul) * sizeof *to->hits);
    if (!to->hits) return QD_E_NOMEM;
    to->nhits = from->nhits;
    for (uint32_t i = 0; i < from->nhits; i++) {
        to->hits[i] = from->hits[i];
        if (!nkeys || !from->hits[i].values) continue;
        qd_sort_value *v = qd_arena_alloc(&to->arena, nkeys * sizeof *v);
        if (!v) return QD_E_NOMEM;
        memcpy(v, from->hits[i].values, nkeys * sizeof *v);
        to->hits[i].values = v;
    }
    return 0;
}

static void take_results(search_target *t, search_context *c)
{
    t->here = c;
    memcpy(t->context, c->id, sizeof t->context);
    t->kept = c->listed;
    for (uint32_t i = 0; i < t->n; i++) {
        search_shard *s = t->shards[i];
        s->target = t;
        if (!take_result(s, &c->x.shards[i], s->index->sort.n)) continue;
        qd_err_fini(&s->err);
        s->rc = qd_err_nomem(&s->err, "hits");
    }
}

/* --- the query phase --- */

static void query_here(search_run *x, search_target *t)
{
    search_part p;
    search_context *c;
    qd_err err;
    qd_err_init(&err);
    int rc = qdi_part_make(x, t->shards, t->n, &p, &err);
    if (!rc) rc = qdi_node_query(x->a, &p, x->task, &c, &err);
    if (!rc && x->scroll && (rc = qdi_context_add(c, &err))) qdi_node_done(c, false);
    if (rc) {
        fail_target(t, rc, &err);
    } else {
        take_results(t, c);
    }
    qd_err_fini(&err);
}

typedef struct own_shards {
    search_run *x;
    search_shard **at;
} own_shards;

static void run_own(void *arg, uint32_t i)
{
    own_shards *o = arg;
    qdi_search_shard_run(o->x, o->at[i]);
}

static void run_any(void *arg, uint32_t i)
{
    search_run *x = arg;
    qdi_search_shard_run(x, &x->shards[i]);
}

/* The node that a shard is asked for at; empty: this run searches it itself. */
static qd_str node_of(const search_run *x, const search_shard *s)
{
    if (s->copies) return s->copies->nodes[s->copies->at];
    return x->scroll ? x->a->node_id : (qd_str){"", 0};
}

static int put_in_target(search_run *x, search_target **last, search_shard *s, qd_str node,
                         qd_err *err)
{
    search_target *t = last ? *last : x->targets;
    while (t && !qd_str_eq(t->node, node)) t = t->next;
    int rc = t ? 0 : qdi_target_add(x, node, x->nshards, &t, err);
    if (rc) return rc;
    t->shards[t->n++] = s;
    return 0;
}

int qdi_targets_query(search_run *x, qd_err *err)
{
    own_shards own = {x, NULL};
    uint32_t n = 0;
    bool asks = false;
    for (uint32_t i = 0; i < x->nshards && !asks; i++) asks = node_of(x, &x->shards[i]).n > 0;
    if (!asks) { /* the common case on one node */
        qdi_search_fan(x->a, x->nshards, run_any, x);
        return 0;
    }
    own.at = qd_arena_alloc(x->arena, (x->nshards + 1ul) * sizeof(search_shard *));
    if (!own.at) return qd_err_nomem(err, "shards of a search");
    for (uint32_t i = 0; i < x->nshards; i++) {
        search_shard *s = &x->shards[i];
        qd_str node = node_of(x, s);
        if (s->index->rc || s->skipped || !node.n) {
            own.at[n++] = s;
            continue;
        }
        int rc = put_in_target(x, NULL, s, node, err);
        if (rc) return rc;
    }
    qdi_search_fan(x->a, n, run_own, &own);
    for (search_target *t = x->targets; t; t = t->next) query_here(x, t);
    return 0;
}

int qdi_search_query_phase(search_run *x, qd_err *err)
{
    int rc = x->r->dfs && !x->stats && x->nshards > 1 ? qdi_search_dfs(x, err) : 0;
    if (!rc) rc = qdi_targets_query(x, err);
    return rc ? rc : qdi_search_merge(x, err);
}

/* --- the next page of a scroll --- */

int qdi_shape_of(const search_context *c, qd_arena *arena, search_shape *out, qd_err *err)
{
    const search_request *r = &c->r;
    *out = (search_shape){
        .size = r->size,
        .batched_reduce_size = r->batched_reduce_size,
        .terminate_after = r->terminate_after,
        .total = r->total,
        .total_zero = r->total_zero,
        .aggs = r->aggs != NULL,
        .nindices = c->x.nindices,
        .shards = c->part.shards,
        .nshards = c->part.nshards,
    };
    out->indices = qd_arena_calloc(arena, (c->x.nindices + 1ul) * sizeof *out->indices);
    if (!out->indices) return qd_err_nomem(err, "scroll");
    for (uint32_t i = 0; i < c->x.nindices; i++) {
        out->indices[i].uuid = c->part.indices[i].uuid;
        out->indices[i].name = c->part.indices[i].name;
        out->indices[i].keys = c->x.indices[i].sort;
    }
    return 0;
}

/* The index of x with this uuid, made of what a node tells of it. */
static search_index *index_of(search_run *x, const search_shape_index *of)
{
    for (uint32_t i = 0; i < x->nindices; i++) {
        if (qd_str_is(of->uuid, x->indices[i].meta->uuid)) return &x->indices[i];
    }
    const qd_index_meta *m = qd_state_index(x->state, of->name);
    if (!m || !qd_str_is(of->uuid, m->uuid)) return NULL;
    search_index *ix = &x->indices[x->nindices++];
    ix->meta = m;
    ix->sort = of->keys;
    qd_err_init(&ix->err);
    return ix;
}

static int no_index(search_shard *s, qd_str name)
{
    return s->rc =
               qd_err_set(&s->err, QD_E_INDEX_NOT_FOUND, "no such index [%.*s]", QD_STR_ARG(name));
}

/* The request behind all pages, as far as merging and writing need it. */
static int take_shape(search_run *x, const search_shape *shape, qd_err *err)
{
    search_request *r = x->r;
    if (r->sort.at) return 0;
    r->size = shape->size;
    r->batched_reduce_size = shape->batched_reduce_size;
    r->terminate_after = shape->terminate_after;
    r->total = shape->total;
    r->total_zero = shape->total_zero;
    x->had_aggs = shape->aggs;
    r->sort.n = shape->nindices ? shape->indices[0].keys.n : 0;
    r->sort.at = qd_arena_calloc(x->arena, (r->sort.n + 1ul) * sizeof *r->sort.at);
    if (!r->sort.at) return qd_err_nomem(err, "scroll");
    for (uint32_t i = 0; i < r->sort.n; i++) {
        r->sort.at[i].field = shape->indices[0].keys.keys[i].field;
    }
    return 0;
}

static int take_indices(search_run *x, search_target *t, const search_shape *shape, qd_err *err)
{
    int rc = take_shape(x, shape, err);
    search_index *more =
        rc ? NULL : qd_arena_calloc(x->arena, (x->nindices + shape->nindices + 1ul) * sizeof *more);
    if (!more) return rc ? rc : qd_err_nomem(err, "scroll");
    if (x->nindices) memcpy(more, x->indices, x->nindices * sizeof *more);
    /* shards of targets before point into the old array */
    for (uint32_t i = 0; i < x->nshards; i++) {
        search_shard *s = &x->shards[i];
        if (s->index) s->index = more + (s->index - x->indices);
    }
    x->indices = more;
    for (uint32_t i = 0; i < t->n && i < shape->nshards; i++) {
        const search_part_shard *of = &shape->shards[i];
        search_shard *s = t->shards[i];
        const search_shape_index *ix = &shape->indices[of->index];
        s->index = index_of(x, ix);
        s->number = of->number;
        s->place = of->place;
        if (!s->index) (void)no_index(s, ix->name);
    }
    return 0;
}

static void next_here(search_run *x, search_target *t, int64_t keep_ms)
{
    search_context *c;
    search_shape shape;
    qd_err err;
    qd_err_init(&err);
    int rc = qdi_node_next(x->a, t->context, keep_ms, x->task, &c, &err);
    if (!rc && c->part.nshards != t->n) {
        qdi_node_done(c, true);
        rc = qd_err_set(&err, QD_E_ARG, "Cannot parse scroll id");
    }
    if (!rc) {
        t->here = c;
        rc = qdi_shape_of(c, x->arena, &shape, &err);
        if (!rc) rc = take_indices(x, t, &shape, &err);
    }
    for (uint32_t i = 0; i < t->n; i++) {
        search_shard *s = t->shards[i];
        s->target = t;
        if (rc) {
            fail_shard(s, rc, &err);
        } else if (!s->rc && take_result(s, &c->x.shards[i], s->index->sort.n)) {
            s->rc = qd_err_nomem(&s->err, "hits");
        }
    }
    qd_err_fini(&err);
}

int qdi_targets_next(search_run *x, int64_t keep_ms, qd_err *err)
{
    (void)err;
    for (search_target *t = x->targets; t; t = t->next) next_here(x, t, keep_ms);
    return 0;
}

/* --- the fetch phase --- */

/* What one target is to fetch. */
typedef struct pick_list {
    search_picks *picks; /* one for each of its shards that shows a hit not yet there */
    search_shard **shards;
    uint32_t n;
} pick_list;

static bool wanted(const search_ref *ref)
{
    const search_shard *s = ref->shard;
    return s->target && !s->rc && !(s->json && s->json[ref->at].p);
}

/* The picks of all shards of target t; count[i]: hits that shard i of x is to fetch. */
static int list_picks(search_run *x, const search_target *t, uint32_t *count, pick_list *l,
                      qd_err *err)
{
    uint32_t *pick_of = qd_arena_alloc(x->arena, (x->nshards + 1ul) * sizeof *pick_of);
    l->picks = qd_arena_calloc(x->arena, (t->n + 1ul) * sizeof *l->picks);
    l->shards = qd_arena_calloc(x->arena, (t->n + 1ul) * sizeof(search_shard *));
    if (!pick_of || !l->picks || !l->shards) return qd_err_nomem(err, "hits");
    for (uint32_t i = 0; i < t->n; i++) {
        search_shard *s = t->shards[i];
        uint32_t at = (uint32_t)(s - x->shards);
        if (s->target != t || !count[at]) continue;
        uint32_t *hits = qd_arena_alloc(x->arena, count[at] * sizeof *hits);
        if (!s->json) s->json = qd_arena_calloc(&s->arena, (s->nhits + 1ul) * sizeof *s->json);
        if (!hits || !s->json) return qd_err_nomem(err, "hits");
        pick_of[at] = l->n;
        l->shards[l->n] = s;
        l->picks[l->n++] = (search_picks){.shard = i, .at = hits, .doubles = x->doubles};
    }
    for (uint32_t i = 0; i < x->nrefs; i++) {
        const search_ref *ref = &x->refs[i];
        if (!wanted(ref) || ref->shard->target != t) continue;
        search_picks *p = &l->picks[pick_of[ref->shard - x->shards]];
        ((uint32_t *)(uintptr_t)p->at)[p->n++] = ref->at;
    }
    return 0;
}

static void take_picks(pick_list *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        search_picks *p = &l->picks[i];
        search_shard *s = l->shards[i];
        if (p->rc) fail_shard(s, p->rc, &p->err);
        for (uint32_t k = 0; k < p->n && !p->rc; k++) s->json[p->at[k]] = p->json[k];
        qd_err_fini(&p->err);
    }
}

int qdi_targets_fetch(search_run *x, qd_err *err)
{
    uint32_t *count =
        x->targets ? qd_arena_calloc(x->arena, (x->nshards + 1ul) * sizeof *count) : NULL;
    int rc = 0;
    if (!x->targets) return 0;
    if (!count) return qd_err_nomem(err, "hits");
    for (uint32_t i = 0; i < x->nrefs; i++) {
        count[x->refs[i].shard - x->shards] += wanted(&x->refs[i]);
    }
    for (search_target *t = x->targets; t && !rc; t = t->next) {
        pick_list l = {0};
        rc = list_picks(x, t, count, &l, err);
        if (rc || !l.n) continue;
        for (uint32_t i = 0; i < l.n; i++) qd_err_init(&l.picks[i].err);
        qdi_node_fetch(t->here, l.picks, l.n, x->arena, x->task);
        take_picks(&l);
    }
    return rc;
}

void qdi_targets_end(search_run *x, bool keep)
{
    for (search_target *t = x->targets; t; t = t->next) {
        if (t->here) qdi_node_done(t->here, keep);
        t->here = NULL;
    }
}
