/*
 * significant_collect.c: terms of the documents of each owner, as terms collects them, and then how
 * many documents of the background have them: one walk over the field's column for all owners.
 * Deleted documents count in the background until they are merged away, as in Elasticsearch.
 */
#include "aggs/significant/significant_int.h"
#include "mapping/field.h"
#include "runtime/task.h"
#include "search/ordinals.h"
#include "store/reads.h"

#define NONE UINT32_MAX

typedef struct extra {
    uint64_t *docs; /* by owner */
    uint32_t cap;
    qdi_buckets background; /* by the keys of all buckets */
    uint64_t background_docs;
} extra;

static extra *extra_of(qdi_aggr *a)
{
    return *qdi_terms_extra(a);
}

static int no_memory(qdi_aggr *a, size_t bytes, qd_err *err)
{
    return qdi_aggs_no_memory(a->shard->account, bytes, "significant_terms", err);
}

static int open_all(qdi_aggr *a, qd_err *err)
{
    extra *e = qd_arena_calloc(&a->shard->arena, sizeof *e);
    int rc = qdi_aggs_terms_ops.open(a, err);
    if (!e && !rc) rc = no_memory(a, sizeof *e, err);
    if (!a->state) return rc;
    if (e) e->background.account = a->shard->account;
    *qdi_terms_extra(a) = e;
    return rc;
}

static int grow(qdi_aggr *a, uint32_t n, qd_err *err)
{
    extra *e = extra_of(a);
    return qdi_aggs_grow(a->shard->account, &e->docs, &e->cap, n, sizeof *e->docs, err);
}

static int collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n, qd_err *err)
{
    extra *e = extra_of(a);
    if (!owner) e->docs[0] += n;
    for (uint32_t i = 0; owner && i < n; i++) e->docs[owner[i]]++;
    return qdi_aggs_terms_ops.collect(a, idx, owner, n, err);
}

/* --- background ------------------------------------------------------------------------------- */

/* Buckets of the background by the ordinals of the leaf. */
static int map_ordinals(qdi_aggr *a, uint32_t leaf, uint32_t **out, qd_err *err)
{
    uint32_t n = a->src->ordinals, *map = qd_alloc(a->shard->account, (n + 1ul) * sizeof *map);
    int rc = map ? 0 : no_memory(a, n * sizeof *map, err);
    *out = map;
    for (uint32_t i = 0; i < n && !rc; i++) {
        bool has;
        int64_t key;
        map[i] = NONE;
        rc = qdi_terms_key_of(a, leaf, i, &has, &key, err);
        if (!rc && has && !qdi_aggs_buckets_find(&extra_of(a)->background, 0, key, &map[i]))
            map[i] = NONE;
    }
    return rc;
}

static int count_column(qdi_aggr *a, const qd_leaf *leaf, const uint32_t *map, const uint64_t *bits,
                        qd_err *err)
{
    qd_column_cursor c;
    qd_column_batch b;
    qdi_buckets *bg = &extra_of(a)->background;
    uint32_t last_doc = NONE;
    int64_t last = 0;
    int rc;
    qd_column_over_range(&c, 0, leaf->docs);
    while ((rc = qd_column_next(a->src->reader, &c, &b, err)) == 1) {
        for (uint32_t i = 0; i < b.n; i++) {
            uint32_t doc = b.docs ? b.docs[i] : b.first + i, at = leaf->base + doc, bucket;
            int64_t v = map ? b.ords[i] : b.values[i];
            bool again = doc == last_doc && v == last;
            last_doc = doc;
            last = v;
            if (again || (bits && !(bits[at / 64] >> (at & 63) & 1))) continue;
            bucket = map ? map[v] : NONE;
            if (!map && !qdi_aggs_buckets_find(bg, 0, v, &bucket)) continue;
            if (bucket != NONE) bg->docs[bucket]++;
        }
        if (qd_task_stopped(a->shard->o.task) && qd_task_poll(a->shard->o.task)) return 0;
    }
    return rc;
}

static int count_leaf(qdi_aggr *a, const qd_leaf *leaf, const uint64_t *bits, qd_err *err)
{
    qd_aggs_shard *s = a->shard;
    uint32_t *map = NULL;
    qd_arena_reset(&s->leaf_arena);
    qd_reads *reads = qd_reads_make(&s->leaf_arena, s->account);
    if (!reads) return no_memory(a, 64, err);
    int rc = qdi_aggs_source_plan(s, a->src, leaf, reads, err);
    if (!rc && a->src->column) {
        rc = qd_reads_fetch(reads, err);
        if (!rc) rc = qdi_aggs_source_begin(a->src, err);
        if (!rc && a->bound->values == QDI_ORD) rc = map_ordinals(a, leaf->index, &map, err);
        if (!rc) rc = count_column(a, leaf, map, bits, err);
        if (!rc) rc = qd_reads_check(reads, err);
    }
    qd_free(map);
    qd_reads_release(reads);
    return rc;
}

static uint64_t docs_of(const qd_searcher *s, const uint64_t *bits)
{
    uint64_t n = 0;
    for (uint32_t i = 0; !bits && i < qd_searcher_leaves(s); i++) n += qd_searcher_leaf(s, i)->docs;
    size_t words = bits ? qd_searcher_docs(s) / 64 + 1 : 0;
    for (size_t i = 0; i < words; i++) n += (uint64_t)__builtin_popcountll(bits[i]);
    return n;
}

static int finish(qdi_aggr *a, qd_err *err)
{
    extra *e = extra_of(a);
    uint64_t *bits = NULL;
    uint32_t unused;
    const qd_searcher *s = a->shard->o.searcher;
    const qdi_significant_bound *bound = a->bound->state;
    int rc = qdi_aggs_terms_ops.finish(a, err);
    if (!rc && bound->background)
        rc = qdi_aggs_filter_bits(a->shard, bound->background, &bits, err);
    if (rc) return rc;
    e->background_docs = docs_of(s, bits);
    if (!a->src) return 0;
    for (uint32_t i = 0; i < a->buckets.n; i++)
        if (qdi_aggs_buckets_put(&e->background, 0, a->buckets.key[i], &unused))
            return no_memory(a, 64, err);
    for (uint32_t i = 0; a->buckets.n && !rc && i < qd_searcher_leaves(s); i++)
        rc = count_leaf(a, qd_searcher_leaf(s, i), bits, err);
    return rc;
}

/* --- results of the shard --------------------------------------------------------------------- */

typedef struct candidate {
    uint32_t bucket;
    int64_t key;
    uint64_t docs, background;
    double score;
} candidate;

static int by_score(const void *arg, const void *x, const void *y)
{
    const candidate *a = x, *b = y;
    (void)arg;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return a->key < b->key ? -1 : a->key > b->key;
}

static int candidates_of(qdi_aggr *a, uint32_t owner, candidate **out, uint32_t *n, qd_err *err)
{
    extra *e = extra_of(a);
    qdi_buckets *b = &a->buckets;
    if (qdi_aggs_buckets_group(b)) return no_memory(a, 64, err);
    uint32_t from = owner < b->groups ? b->group[owner] : 0;
    uint32_t to = owner < b->groups ? b->group[owner + 1] : 0;
    candidate *c = *out = qd_alloc(a->shard->account, (to - from + 1ul) * sizeof *c);
    if (!c) return no_memory(a, (to - from) * sizeof *c, err);
    for (uint32_t i = from; i < to; i++) {
        uint32_t at = b->list[i], of;
        if ((int64_t)b->docs[at] < qdi_terms_of(a->def)->shard_min_doc_count) continue;
        candidate *x = &c[(*n)++];
        *x = (candidate){.bucket = at, .key = b->key[at], .docs = b->docs[at]};
        if (qdi_aggs_buckets_find(&e->background, 0, x->key, &of))
            x->background = e->background.docs[of];
        x->score = qdi_significant_score(a->def, x->docs, e->docs[owner], x->background,
                                         e->background_docs);
    }
    return qdi_aggs_sort(a->shard->account, c, *n, sizeof *c, by_score, NULL)
               ? no_memory(a, *n * sizeof *c, err)
               : 0;
}

/* Strings of the shard's numbers. */
static int names_of(qdi_aggr *a, const qd_ordinals *shard, const candidate *c, uint32_t n,
                    qd_str **out, qd_err *err)
{
    qd_arena *arena = &a->shard->partial->arena;
    qd_str *names = *out = qd_arena_alloc(arena, (n + 1ul) * sizeof *names);
    uint32_t *numbers = qd_arena_alloc(arena, (n + 1ul) * sizeof *numbers);
    if (!names || !numbers) return no_memory(a, n * sizeof *names, err);
    for (uint32_t i = 0; i < n; i++) numbers[i] = (uint32_t)c[i].key;
    return qd_ordinals_strings(a->shard->o.searcher, a->src->field->name, shard, numbers, n, arena,
                               a->shard->account, names, err);
}

static int bucket_of(qdi_aggr *a, const qdi_terms_found *f, const candidate *c, const qd_str *name,
                     qdi_bucket_out *o, qd_err *err)
{
    *o = (qdi_bucket_out){.key = c->key, .docs = c->docs, .error = (int64_t)c->background};
    if (name) {
        o->bytes = *name;
    } else if (f->strings) {
        o->bytes = qd_arena_str(&a->shard->partial->arena, f->strings->at[c->key]);
        if (!o->bytes.p) return no_memory(a, 64, err);
    } else if (a->bound->values == QDI_F64) {
        o->key = qd_sortable_f64(qd_field_f64(a->bound->field, c->key));
    }
    return qdi_aggs_build_subs(a, c->bucket, &o->subs, err);
}

static int build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    extra *e = extra_of(a);
    candidate *c = NULL;
    uint32_t n = 0, k = qdi_terms_of(a->def)->shard_size;
    qd_str *names = NULL;
    qdi_terms_found f;
    qdi_terms_found_of(a, &f);
    qdi_significant_value_of(out)->docs = owner < e->cap ? e->docs[owner] : 0;
    qdi_significant_value_of(out)->background = e->background_docs;
    int rc = a->src ? candidates_of(a, owner, &c, &n, err) : 0;
    if (n > k) n = k;
    if (!rc && f.shard && n) rc = names_of(a, f.shard, c, n, &names, err);
    out->b = rc ? NULL : qd_arena_calloc(&a->shard->partial->arena, (n + 1ul) * sizeof *out->b);
    if (!rc && !out->b) rc = no_memory(a, n * sizeof *out->b, err);
    for (uint32_t i = 0; !rc && i < n; i++) {
        rc = bucket_of(a, &f, &c[i], names ? &names[i] : NULL, &out->b[i], err);
        out->n = i + 1;
    }
    qd_free(c);
    return rc;
}

static int leaf(qdi_aggr *a, qd_err *err)
{
    return qdi_aggs_terms_ops.leaf(a, err);
}

static int leaf_end(qdi_aggr *a, qd_err *err)
{
    return qdi_aggs_terms_ops.leaf_end(a, err);
}

static void close_all(qdi_aggr *a)
{
    extra *e = a->state ? extra_of(a) : NULL;
    if (e) {
        qdi_aggs_buckets_fini(&e->background);
        qd_free(e->docs);
    }
    qdi_aggs_terms_ops.close(a);
}

const qdi_ops qdi_aggs_significant_ops = {.reads = QDI_READS_TABLE,
                                          .open = open_all,
                                          .grow = grow,
                                          .leaf = leaf,
                                          .collect = collect,
                                          .leaf_end = leaf_end,
                                          .finish = finish,
                                          .build = build,
                                          .close = close_all};
