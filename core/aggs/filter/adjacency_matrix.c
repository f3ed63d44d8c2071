/*
 * adjacency_matrix.c: adjacency_matrix: a bucket for each of several named queries, and one for
 * each two of them that documents have in common; none without documents. The key of a bucket is
 * the number of its first filter times the number of filters, plus that of its second, which of a
 * filter alone is the same.
 */
#include "aggs/filter/filters_int.h"
#include "aggs/reduce/reduce_int.h"
#include "query/dsl.h"

typedef struct matrix {
    qdi_filters filters;
    qd_str separator;
    bool only_pairs;
} matrix;

/* --- parse ------------------------------------------------------------------------------------ */

static int matrix_filters(qdi_parse *p, qdi_agg *a)
{
    const qd_query_limits *l = p->how->reading->limits;
    uint32_t most = l ? l->max_clauses : QD_QUERY_LIMITS_DEFAULT.max_clauses;
    const qd_json_node *m = qd_json_get(a->json, "filters");
    if (m && m->type == QD_JSON_T_ARRAY)
        return qdi_aggs_setter_arg(p, a, m,
                                   "[filters] doesn't support arrays. Use a single object with "
                                   "multiple fields.");
    if (m && m->type != QD_JSON_T_OBJECT) return qdi_aggs_wrong_type(p, a->type->name, m);
    if (!m || m->n == 0)
        return qd_err_set(p->err, QD_E_STATE, "[%.*s] is missing : filters parameter",
                          QD_STR_ARG(a->name));
    if (m->n > most)
        return qd_err_set(p->err, QD_E_ARG,
                          "Number of filters is too large, must be less than or equal to: [%u] but "
                          "was [%u].This limit can be set by changing the "
                          "[indices.query.bool.max_clause_count] setting.",
                          most, m->n);
    return qdi_aggs_filters_read_all(p, a, m);
}

static int matrix_parse(qdi_parse *p, qdi_agg *a)
{
    matrix *t = a->params;
    const qd_json_node *s = qd_json_get(a->json, "separator");
    if (s && s->type != QD_JSON_T_STRING) return qdi_aggs_wrong_type(p, a->type->name, s);
    t->separator = s ? s->text : QD_STR("&");
    int rc = qdi_aggs_get_bool(p, a, "show_only_intersecting", &t->only_pairs);
    return rc ? rc : matrix_filters(p, a);
}

static uint32_t matrix_buckets(const qdi_agg *a)
{
    uint32_t n = qdi_filters_of(a)->n; /* at most QD_AGGS_FILTERS_MAX */
    return n * (n + 1) / 2;
}

/* --- collecting ------------------------------------------------------------------------------- */

/* The buckets of a document that k filters have. */
static int matrix_pairs(qdi_aggr *a, const uint32_t *hits, uint32_t k, uint32_t at, uint32_t owner,
                        qd_err *err)
{
    const matrix *t = a->def->params;
    uint32_t bucket;
    int rc = 0;
    for (uint32_t i = 0; i < k; i++)
        for (uint32_t j = i + t->only_pairs; j < k; j++) {
            int64_t key = (int64_t)hits[i] * t->filters.n + hits[j];
            rc = qdi_aggs_bucket(a, owner, key, &bucket, err);
            if (rc == 0) rc = qdi_emit(a, at, bucket, err);
            if (rc) return rc;
        }
    return 0;
}

static int matrix_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                          qd_err *err)
{
    const qdi_filters_run *t = a->state;
    const qdi_batch *b = &a->shard->batch;
    uint32_t hits[QD_AGGS_FILTERS_MAX], nfilters = qdi_filters_of(a->def)->n, tests = 0;
    int rc;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = idx ? idx[i] : i, d = b->leaf->base + b->docs[at], k = 0;
        for (uint32_t f = 0; f < nfilters; f++)
            if (qdi_filters_match(t, f, d)) hits[k++] = f;
        rc = matrix_pairs(a, hits, k, at, owner ? owner[i] : 0, err);
        if (rc) return rc;
        /* all of them would be in the answer */
        if (QD_UNLIKELY(a->single && qdi_aggs_too_many(a, a->buckets.n)))
            return qdi_aggs_too_many_error(a, err);
        tests += nfilters + k * (k + 1) / 2;
        if (QD_LIKELY(tests < QDI_FILTERS_POLL)) continue;
        tests = 0;
        if ((rc = qd_task_poll(a->shard->o.task))) return rc;
    }
    return qdi_aggs_emit_flush(a, err);
}

static int matrix_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    qdi_buckets *b = &a->buckets;
    if (qdi_aggs_buckets_group(b))
        return qdi_aggs_no_memory(a->shard->account, b->n * 4ul, "adjacency_matrix", err);
    uint32_t from = owner < b->groups ? b->group[owner] : 0;
    uint32_t to = owner < b->groups ? b->group[owner + 1] : 0;
    out->b = qd_arena_calloc(&a->shard->partial->arena, (to - from + 1ul) * sizeof *out->b);
    if (!out->b)
        return qdi_aggs_no_memory(a->shard->account, (to - from) * sizeof *out->b,
                                  "adjacency_matrix", err);
    for (uint32_t i = from; i < to; i++) {
        uint32_t bucket = b->list[i];
        qdi_bucket_out *o = &out->b[out->n];
        *o = (qdi_bucket_out){.key = b->key[bucket], .docs = b->docs[bucket]};
        int rc = qdi_aggs_build_subs(a, bucket, &o->subs, err);
        if (rc) return rc;
        out->n++;
    }
    return 0;
}

static const qdi_ops ops = {
    .open = qdi_aggs_filters_open, .collect = matrix_collect, .build = matrix_build};

/* --- results ---------------------------------------------------------------------------------- */

static void matrix_receive(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena)
{
    int64_t n = qdi_filters_of(o->def)->n;
    (void)tree;
    (void)arena;
    if (qd_body_reader_bad(r)) return;
    bool pairs = o->kind == QDI_NO_VALUES;
    for (uint32_t i = 0; i < o->n; i++) {
        int64_t key = o->b[i].key;
        pairs &= key >= 0 && key < n * n && key / n <= key % n;
    }
    if (!pairs) qd_body_reader_fail(r, "bucket.key", "is no pair of filters");
}

/* Keys of the answer, by which it is ordered. */
static int matrix_names(qdi_reduce *r, qdi_out *out, qd_err *err)
{
    const matrix *t = out->def->params;
    for (uint32_t i = 0; i < out->n; i++) {
        qd_str first = t->filters.keys[out->b[i].key / t->filters.n];
        qd_str second = t->filters.keys[out->b[i].key % t->filters.n], s = t->separator;
        out->b[i].bytes = first;
        if (out->b[i].key / t->filters.n == out->b[i].key % t->filters.n) continue;
        size_t n = first.n + s.n + second.n;
        char *p = qd_arena_bytes(r->arena, n + 1);
        if (!p) return qdi_aggs_reduce_no_memory(r, n, err);
        memcpy(p, first.p, first.n);
        memcpy(p + first.n, s.p, s.n);
        memcpy(p + first.n + s.n, second.p, second.n);
        out->b[i].bytes = (qd_str){p, n};
    }
    return 0;
}

static int by_name(const void *arg, const void *a, const void *b)
{
    (void)arg;
    return qd_str_cmp(((const qdi_bucket_out *)a)->bytes, ((const qdi_bucket_out *)b)->bytes);
}

static int matrix_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    qdi_part *p;
    uint32_t n;
    int rc = qdi_aggs_gather(r, in, k, false, NULL, out, &p, &n, err);
    if (rc) return rc;
    out->b = qd_arena_calloc(r->arena, (n + 1ul) * sizeof *out->b);
    if (!out->b) rc = qdi_aggs_reduce_no_memory(r, n * sizeof *out->b, err);
    for (uint32_t i = 0, j; rc == 0 && i < n; i = j) {
        j = qdi_aggs_run_end(out, NULL, p, i, n);
        qdi_bucket_out *o = &out->b[out->n++];
        rc = qdi_aggs_merge_bucket(r, out->def, p + i, j - i, o, err);
        if (rc == 0) rc = qdi_aggs_merge_subs(r, out->def, p + i, j - i, &o->subs, err);
    }
    qd_free(p);
    if (rc || !r->final) return rc;
    rc = matrix_names(r, out, err);
    if (rc) return rc;
    return qdi_aggs_sort(r->arena->account, out->b, out->n, sizeof *out->b, by_name, NULL)
               ? qdi_aggs_reduce_no_memory(r, out->n * sizeof *out->b, err)
               : 0;
}

static qd_str matrix_key_text(const qdi_out *o, uint32_t i, char out[128])
{
    (void)out;
    return o->b[i].bytes;
}

static void matrix_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    qdi_aggs_buckets_open(false, w);
    for (uint32_t i = 0; i < o->n; i++) {
        qd_json_object(w);
        qd_json_field_str(w, "key", o->b[i].bytes);
        qdi_aggs_bucket_end(o, &o->b[i], false, typed, w);
    }
    qdi_aggs_buckets_close(false, w);
}

const qd_agg_type qdi_aggs_adjacency_matrix = {
    .name = "adjacency_matrix",
    .key = "adjacency_matrix",
    .flags = QDI_MULTI,
    .params_size = sizeof(matrix),
    .bound_size = sizeof(qdi_filters_bound),
    .members = "filters,separator",
    .members_old = "filters,separator,show_only_intersecting",
    .parse = matrix_parse,
    .bind = qdi_aggs_filters_bind,
    .factory = "AdjacencyMatrixAggregatorFactory",
    .ops = &ops,
    .buckets = matrix_buckets,
    .reduce = matrix_reduce,
    .receive = matrix_receive,
    .write = matrix_write,
    .key_text = matrix_key_text,
};
