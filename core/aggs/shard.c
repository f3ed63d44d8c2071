/*
 * shard.c: the collector of one shard: makes the aggregators, hands batches to them, builds the
 * partial result.
 */
#include "aggs/type.h"
#include "query/node.h"
#include "search/plan/plan.h"
#include <math.h>

int qdi_aggr_make(qd_aggs_shard *s, const qdi_agg *def, bool single, qdi_aggr **out, qd_err *err)
{
    qdi_aggr *a = qd_arena_calloc(&s->arena, sizeof *a);
    if (!a || qd_vec_push(&s->all, s->account, a))
        return qdi_aggs_no_memory(s->account, sizeof *a, "aggregations", err);
    a->ops = def->type->pick ? def->type->pick(def) : def->type->ops;
    a->def = def;
    a->bound = &s->bound->at[def->id];
    a->shard = s;
    a->single = single;
    a->buckets.account = s->account;
    bool below = single && def->type->flags & QDI_SINGLE;
    if (def->nplain) {
        a->subs = qd_arena_calloc(&s->arena, def->nplain * sizeof *a->subs);
        a->eidx = qd_arena_alloc(&s->arena, QDI_EMIT * sizeof *a->eidx);
        a->ebucket = qd_arena_alloc(&s->arena, QDI_EMIT * sizeof *a->ebucket);
        if (!a->subs || !a->eidx || !a->ebucket)
            return qdi_aggs_no_memory(s->account, QDI_EMIT * 8, "aggregations", err);
    }
    int rc = 0;
    if (def->type->flags & QDI_VALUES && a->bound->field)
        rc = qdi_aggs_source_get(s, a->bound, false, &a->src, err);
    if (rc == 0 && a->ops->open) rc = a->ops->open(a, err);
    for (uint32_t i = 0; rc == 0 && i < def->nplain; i++) {
        rc = qdi_aggr_make(a->below ? a->below : s, def->subs[i], below, &a->subs[i], err);
        if (rc == 0) a->nsubs++;
    }
    if (rc == 0) *out = a;
    return rc;
}

int qdi_aggs_grow_to(qdi_aggr *a, uint32_t n, qd_err *err)
{
    if (n <= a->owners) return 0;
    uint64_t want = a->owners + a->owners / 2;
    if (want < n) want = n;
    if (want > UINT32_MAX / 2) want = n;
    int rc = a->ops->grow ? a->ops->grow(a, (uint32_t)want, err) : 0;
    if (rc == 0) a->owners = (uint32_t)want;
    return rc;
}

int qdi_aggs_emit_flush(qdi_aggr *a, qd_err *err)
{
    int rc = 0;
    uint32_t n = a->en;
    a->en = 0;
    if (!n) return 0;
    for (uint32_t i = 0; rc == 0 && i < a->nsubs; i++) {
        rc = qdi_aggs_grow_to(a->subs[i], a->buckets.n, err);
        if (rc == 0) rc = a->subs[i]->ops->collect(a->subs[i], a->eidx, a->ebucket, n, err);
    }
    /* without a text: the plan makes of a passed deadline a partial answer */
    if (rc == 0 && qd_task_stopped(a->shard->o.task)) rc = qd_task_poll(a->shard->o.task);
    return rc;
}

int qdi_aggs_slots_begin(qdi_aggr *a, uint32_t n, qd_err *err)
{
    int rc = n <= QDI_SLOTS_MAX;
    for (uint32_t i = 0; i < a->nsubs; i++) rc &= a->subs[i]->ops->slots != NULL;
    for (uint32_t i = 0; rc > 0 && i < a->nsubs; i++)
        rc = a->subs[i]->ops->slots(a->subs[i], n, err);
    return rc;
}

int qdi_aggs_slots_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *slot, uint32_t n,
                           qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < a->nsubs; i++)
        rc = a->subs[i]->ops->collect_slots(a->subs[i], idx, slot, n, err);
    if (rc == 0 && qd_task_stopped(a->shard->o.task)) rc = qd_task_poll(a->shard->o.task);
    return rc;
}

int qdi_aggs_slot_take(qdi_aggr *a, uint32_t slot, uint32_t docs, uint32_t bucket, qd_err *err)
{
    a->buckets.docs[bucket] += docs;
    for (uint32_t i = 0; i < a->nsubs; i++) {
        int rc = qdi_aggs_grow_to(a->subs[i], a->buckets.n, err);
        if (rc) return rc;
        a->subs[i]->ops->take_slot(a->subs[i], slot, docs, bucket);
    }
    return 0;
}

int qdi_aggs_bucket_find(qdi_aggr *a, uint32_t owner, int64_t key, uint32_t *recent, uint32_t *out,
                         qd_err *err)
{
    if (qdi_aggs_buckets_put(&a->buckets, owner, key, out) == 0) {
        *recent = *out + 1;
        return 0;
    }
    return qdi_aggs_no_memory(a->shard->account, a->buckets.cap * 64ul, "aggregation buckets", err);
}

int qdi_aggs_too_many_error(const qdi_aggr *a, qd_err *err)
{
    int64_t most = a->shard->bound->tree->max_buckets;
    int rc = qd_err_set(err, QD_E_TOO_MANY_BUCKETS,
                        "Trying to create too many buckets. Must be less than or equal to: [%lld] "
                        "but this number of buckets was exceeded. This limit can be set by "
                        "changing the [search.max_buckets] cluster level setting.",
                        (long long)most);
    qd_err_detail_i64(err, "max_buckets", most);
    return rc;
}

/* --- the collector ---------------------------------------------------------------------------- */

static qd_aggs_shard *shard_of(qd_collector *c, bool *global)
{
    *global = c->flags & 1u << 31;
    return *global ? QD_CONTAINER_OF(c, qd_aggs_shard, global)
                   : QD_CONTAINER_OF(c, qd_aggs_shard, c);
}

static int collector_plan(qd_collector *c, const qd_leaf *leaf, qd_reads *reads, qd_err *err)
{
    bool global;
    qd_aggs_shard *s = shard_of(c, &global);
    qd_arena_reset(&s->leaf_arena);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->sources.n; i++)
        rc = qdi_aggs_source_plan(s, s->sources.at[i], leaf, reads, err);
    return rc || s->levels.n == 0 ? rc : qdi_aggs_levels_plan(s, leaf, reads, err);
}

/* Does a stand below a global aggregation? */
static bool is_global(const qdi_aggr *a)
{
    const qdi_agg *d = a->def;
    while (d->parent) d = d->parent;
    return d->type->flags & QDI_ALL_DOCS;
}

static int leaf_begin(qd_aggs_shard *s, const qd_leaf *leaf, bool global, qd_err *err)
{
    s->batch.leaf = leaf;
    s->batch.n = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->sources.n; i++)
        rc = qdi_aggs_source_begin(s->sources.at[i], err);
    for (size_t i = 0; rc == 0 && i < s->all.n; i++)
        if (s->all.at[i]->ops->leaf && is_global(s->all.at[i]) == global)
            rc = s->all.at[i]->ops->leaf(s->all.at[i], err);
    return rc;
}

static int collector_begin(qd_collector *c, const qd_leaf *leaf, qd_reads *reads, qd_err *err)
{
    bool global;
    qd_aggs_shard *s = shard_of(c, &global);
    int rc = leaf_begin(s, leaf, global, err);
    if (rc == 0 && s->levels.n) rc = qdi_aggs_levels_begin(s, reads, err);
    for (size_t i = 0; rc == 0 && i < s->levels.n; i++)
        if (s->levels.at[i]->leaf)
            rc = leaf_begin(s->levels.at[i], s->levels.at[i]->leaf, global, err);
    return rc;
}

static int collector_collect(qd_collector *c, const qd_hits *h, qd_err *err)
{
    bool global;
    qd_aggs_shard *s = shard_of(c, &global);
    s->batch.leaf = h->leaf;
    s->batch.docs = h->docs;
    s->batch.scores = h->scores;
    s->batch.n = h->n;
    if (h->docs) {
        s->batch.first = h->docs[0];
        s->batch.last = h->docs[h->n - 1];
    } else {
        uint32_t lo = 0, hi = h->words - 1;
        while (!h->bits[lo]) lo++;
        while (!h->bits[hi]) hi--;
        s->batch.first = h->from + lo * 64 + (uint32_t)__builtin_ctzll(h->bits[lo]);
        s->batch.last = h->from + hi * 64 + 63 - (uint32_t)__builtin_clzll(h->bits[hi]);
    }
    s->batch.contiguous = s->batch.last - s->batch.first == h->n - 1;
    s->batch.number++;
    s->batch.bits = h->bits;
    s->batch.from = h->from;
    s->batch.words = h->words;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < s->nroots; i++) {
        qdi_aggr *a = s->roots[i];
        if (is_global(a) != global) continue;
        rc = qdi_aggs_grow_to(a, 1, err);
        if (rc == 0) rc = a->ops->collect(a, NULL, NULL, h->n, err);
    }
    return rc;
}

static int leaf_end(qd_aggs_shard *s, bool global, qd_err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->all.n; i++)
        if (s->all.at[i]->ops->leaf_end && is_global(s->all.at[i]) == global)
            rc = s->all.at[i]->ops->leaf_end(s->all.at[i], err);
    return rc;
}

static int collector_end(qd_collector *c, const qd_leaf *leaf, qd_err *err)
{
    bool global;
    qd_aggs_shard *s = shard_of(c, &global);
    int rc = leaf_end(s, global, err);
    (void)leaf;
    for (size_t i = 0; rc == 0 && i < s->levels.n; i++)
        if (s->levels.at[i]->leaf) rc = leaf_end(s->levels.at[i], global, err);
    return rc;
}

static const qd_collector_vt collector_vt = {.plan = collector_plan,
                                             .begin = collector_begin,
                                             .collect = collector_collect,
                                             .end = collector_end};

int qdi_aggs_batch_docs(qd_aggs_shard *s, qd_err *err)
{
    qdi_batch *b = &s->batch;
    uint32_t n = 0;
    if (b->docs) return 0;
    if (!s->docs) s->docs = qd_arena_alloc(&s->arena, QD_COLLECT_BATCH * sizeof *s->docs);
    if (!s->docs) return qdi_aggs_no_memory(s->account, QD_COLLECT_BATCH * 4, "aggregations", err);
    for (uint32_t w = 0; w < b->words; w++)
        for (uint64_t x = b->bits[w]; x && n < b->n; x &= x - 1)
            s->docs[n++] = b->from + w * 64 + (uint32_t)__builtin_ctzll(x);
    b->docs = s->docs;
    return 0;
}

/* Can a usually do without a list of documents? Metrics, and what counts or folds by a table, look
 * at values; where they cannot, the list is made. */
static bool bits_enough(const qdi_aggr *a)
{
    if (a->ops->reads == QDI_READS_DOCS) return false;
    for (uint32_t i = 0; i < a->nsubs; i++)
        if (a->subs[i]->ops->reads != QDI_READS_VALUES || !bits_enough(a->subs[i])) return false;
    return a->src && !a->src->has_missing && !a->src->ids && !a->src->script;
}

/* A shard without aggregators. */
static qd_aggs_shard *empty_shard(const qd_aggs_bound *b, const qd_aggs_shard_options *o)
{
    qd_aggs_shard *s = qd_calloc(o->account, sizeof *s);
    if (!s) return NULL;
    s->c = (qd_collector){.vt = &collector_vt};
    s->global = (qd_collector){.vt = &collector_vt, .flags = 1u << 31};
    s->bound = b;
    s->whole = s;
    s->o = *o;
    s->account = o->account;
    qd_arena_init(&s->arena, o->account, 0);
    qd_arena_init(&s->leaf_arena, o->account, 0);
    return s;
}

int qdi_aggs_later_make(qd_aggs_shard *s, qd_aggs_shard **out, qd_err *err)
{
    *out = empty_shard(s->bound, &s->whole->o);
    if (*out && !qd_vec_push(&s->later, s->account, *out)) return 0;
    qd_aggs_shard_free(*out);
    *out = NULL;
    return qdi_aggs_no_memory(s->account, sizeof *s, "aggregations", err);
}

qd_collector *qdi_aggs_collector_of(qd_aggs_shard *s, const qdi_aggr *a)
{
    return is_global(a) ? &s->global : &s->c;
}

int qd_aggs_shard_make(const qd_aggs_bound *b, const qd_aggs_shard_options *o, qd_aggs_shard **out,
                       qd_err *err)
{
    qd_aggs_shard *s = empty_shard(b, o);
    if (!s) return qdi_aggs_no_memory(o->account, sizeof *s, "aggregations", err);
    if (b->tree->scores || b->scores) s->c.flags = QD_COLLECT_SCORES;
    int rc = 0;
    s->roots = qd_arena_calloc(&s->arena, (b->tree->nplain + 1) * sizeof *s->roots);
    if (!s->roots) rc = qdi_aggs_no_memory(o->account, 64, "aggregations", err);
    for (uint32_t i = 0; rc == 0 && i < b->tree->nplain; i++) {
        rc = qdi_aggr_make(s, b->tree->roots[i], true, &s->roots[i], err);
        if (rc == 0) s->nroots++;
    }
    bool bits = rc == 0 && !b->tree->scores && !b->scores;
    for (uint32_t i = 0; i < s->nroots; i++) bits &= bits_enough(s->roots[i]);
    if (bits) s->c.flags |= QD_COLLECT_BITS;
    if (rc == 0)
        *out = s;
    else
        qd_aggs_shard_free(s);
    return rc;
}

qd_collector *qd_aggs_shard_collector(qd_aggs_shard *s)
{
    return &s->c;
}

void qd_aggs_shard_free(qd_aggs_shard *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->later.n; i++) qd_aggs_shard_free(s->later.at[i]);
    qd_vec_fini(&s->later);
    qdi_aggs_levels_free(s);
    for (size_t i = 0; i < s->all.n; i++) {
        if (s->all.at[i]->ops->close) s->all.at[i]->ops->close(s->all.at[i]);
        qdi_aggs_buckets_fini(&s->all.at[i]->buckets);
    }
    for (size_t i = 0; i < s->sources.n; i++) qdi_aggs_source_close(s->sources.at[i]);
    qd_vec_fini(&s->all);
    qd_vec_fini(&s->sources);
    qd_free(s->bits);
    qd_arena_fini(&s->leaf_arena);
    qd_arena_fini(&s->arena);
    qd_free(s);
}

/* --- plans of our own ------------------------------------------------------------------------- */

int qdi_aggs_plan(qd_aggs_shard *s, const qd_node *node, qd_arena *arena, qd_plan **out,
                  qd_err *err)
{
    qd_plan_options o = {
        .task = s->o.task, .budget = s->o.budget, .no_scores = true, .account = s->account};
    return qd_plan_make(s->o.searcher, node, &o, arena, out, err);
}

int qd_aggs_shard_run_global(qd_aggs_shard *s, qd_err *err)
{
    qd_arena arena;
    qd_plan *plan;
    qd_collect_result result;
    qd_arena_reset(&s->leaf_arena);
    qd_arena_init(&arena, s->account, 0);
    qd_node *all = qd_node_make(&arena, QD_NATIVE_MATCH_ALL);
    int rc = all ? 0 : qdi_aggs_no_memory(s->account, sizeof *all, "aggregations", err);
    if (rc == 0) rc = qdi_aggs_plan(s, all, &arena, &plan, err);
    if (rc == 0) rc = qd_plan_collect(plan, NULL, &s->global, &result, err);
    qd_arena_fini(&arena);
    return rc;
}

typedef struct bitmap {
    qd_collector c;
    uint64_t *bits;
} bitmap;

static int bitmap_collect(qd_collector *c, const qd_hits *h, qd_err *err)
{
    bitmap *b = QD_CONTAINER_OF(c, bitmap, c);
    (void)err;
    for (uint32_t i = 0; i < h->n; i++) {
        uint32_t d = h->leaf->base + h->docs[i];
        b->bits[d / 64] |= (uint64_t)1 << (d & 63);
    }
    return 0;
}

int qdi_aggs_filter_bits(qd_aggs_shard *s, const qd_node *node, uint64_t **bits, qd_err *err)
{
    static const qd_collector_vt vt = {.collect = bitmap_collect};
    size_t words = qd_searcher_docs(s->o.searcher) / 64 + 1;
    bitmap b = {.c = {.vt = &vt}};
    qd_arena arena;
    qd_plan *plan;
    qd_collect_result result;
    qd_arena_init(&arena, s->account, 0);
    int rc = qdi_aggs_plan(s, node, &arena, &plan, err);
    if (rc == 0 && !qd_plan_is_everything(plan)) {
        b.bits = qd_arena_calloc(&s->arena, words * 8);
        rc = b.bits ? qd_plan_collect(plan, NULL, &b.c, &result, err)
                    : qdi_aggs_no_memory(s->account, words * 8, "filter of an aggregation", err);
    }
    *bits = b.bits;
    qd_arena_fini(&arena);
    return rc;
}

/* --- results ---------------------------------------------------------------------------------- */

int qdi_aggs_build(qdi_aggr *a, uint32_t owner, qdi_out **out, qd_err *err)
{
    qdi_out *o = *out = qdi_aggs_out_make(&a->shard->partial->arena, a->def);
    if (!o) return qdi_aggs_no_memory(a->shard->account, sizeof *o, "results of aggregations", err);
    o->bound = a->bound->field || !a->def->field.p ? a->bound : NULL;
    o->kind = (uint8_t)a->bound->values;
    int rc = qdi_aggs_grow_to(a, owner + 1, err);
    return rc ? rc : a->ops->build(a, owner, o, err);
}

int qdi_aggs_build_subs(qdi_aggr *a, uint32_t bucket, qdi_out ***out, qd_err *err)
{
    *out = NULL;
    if (!a->def->nsubs) return 0;
    /* building may take longer than collecting; a passed deadline shows what was collected */
    struct qd_task *task = a->shard->o.task;
    if (qd_task_stopped(task) && qd_task_poll(task) == QD_E_CANCELLED)
        return qd_task_check(task, err);
    qdi_out **subs = qd_arena_calloc(&a->shard->partial->arena, a->def->nsubs * sizeof *subs);
    if (!subs) return qdi_aggs_no_memory(a->shard->account, 64, "results of aggregations", err);
    for (uint32_t i = 0; i < a->nsubs; i++) {
        int rc = qdi_aggs_build(a->subs[i], bucket, &subs[i], err);
        if (rc) return rc;
    }
    *out = subs;
    return 0;
}

int qdi_aggs_build_numbered(qdi_aggr *a, uint32_t owner, uint32_t n, const char *what, qdi_out *out,
                            qd_err *err)
{
    out->b = qd_arena_calloc(&a->shard->partial->arena, (n + 1ul) * sizeof *out->b);
    if (!out->b) return qdi_aggs_no_memory(a->shard->account, n * sizeof *out->b, what, err);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bucket = a->buckets.n;
        out->b[i].key = i;
        if (qdi_aggs_buckets_find(&a->buckets, owner, i, &bucket))
            out->b[i].docs = a->buckets.docs[bucket];
        int rc = qdi_aggs_build_subs(a, bucket, &out->b[i].subs, err);
        if (rc) return rc;
        out->n = i + 1;
    }
    return 0;
}

double qdi_aggr_metric(qdi_aggr *a, uint32_t bucket, const qdi_path *path)
{
    for (uint32_t i = 0; i < path->n; i++) {
        a = a->subs[path->at[i]];
        if (i + 1 < path->n || path->count) {
            uint32_t b;
            if (!(a->def->type->flags & QDI_SINGLE)) return NAN;
            bool found = qdi_aggs_buckets_find(&a->buckets, bucket, 0, &b);
            if (path->count && i + 1 == path->n) return found ? (double)a->buckets.docs[b] : 0;
            bucket = found ? b : UINT32_MAX;
        }
    }
    if (a->def->type->flags & QDI_SINGLE) {
        uint32_t b;
        return qdi_aggs_buckets_find(&a->buckets, bucket, 0, &b) ? (double)a->buckets.docs[b] : 0;
    }
    if (!a->ops->metric || bucket >= a->owners)
        return a->def->type->empty ? a->def->type->empty(path->member) : NAN;
    return a->ops->metric(a, bucket, path->member);
}

int qdi_aggs_finish(qd_aggs_shard *s, qd_err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->all.n; i++)
        if (s->all.at[i]->ops->finish) rc = s->all.at[i]->ops->finish(s->all.at[i], err);
    for (size_t i = 0; rc == 0 && i < s->levels.n; i++) rc = qdi_aggs_finish(s->levels.at[i], err);
    return rc;
}

static void set_partial(qd_aggs_shard *s, qd_aggs_partial *p)
{
    s->partial = p;
    for (size_t i = 0; i < s->levels.n; i++) set_partial(s->levels.at[i], p);
    for (size_t i = 0; i < s->later.n; i++) set_partial(s->later.at[i], p);
}

int qd_aggs_shard_finish(qd_aggs_shard *s, qd_aggs_partial **out, qd_err *err)
{
    qd_aggs_partial *p = qd_calloc(s->account, sizeof *p);
    if (!p) return qdi_aggs_no_memory(s->account, sizeof *p, "results of aggregations", err);
    qd_arena_init(&p->arena, s->account, 0);
    set_partial(s, p);
    p->bound = s->bound;
    p->n = s->bound->tree->nroots;
    p->at = qd_arena_calloc(&p->arena, (p->n + 1) * sizeof *p->at);
    int rc = p->at ? 0 : qdi_aggs_no_memory(s->account, 64, "results of aggregations", err);
    rc = rc ? rc : qdi_aggs_finish(s, err);
    for (uint32_t i = 0; rc == 0 && i < s->nroots; i++)
        rc = qdi_aggs_build(s->roots[i], 0, &p->at[i], err);
    s->partial = NULL;
    if (rc == 0)
        *out = p;
    else
        qd_aggs_partial_free(p);
    return rc;
}

void qd_aggs_partial_free(qd_aggs_partial *p)
{
    if (!p) return;
    qd_arena_fini(&p->arena);
    qd_free(p);
}

size_t qd_aggs_partial_bytes(const qd_aggs_partial *p)
{
    return sizeof *p + p->arena.total;
}
