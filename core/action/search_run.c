/*
 * search_run.c: a search over many shards: indices resolved and bound, shards fanned out over the
 * search pool, their results merged.
 */
#include "action/admin_int.h"
#include "action/search_int.h"
#include "base/str.h"
#include "base/utf8.h"
#include "runtime/fiber.h"
#include "runtime/sync.h"
#include <math.h>
#include <stdlib.h>

#define SHARD_ARENA_MAX ((size_t)1 << 31)
#define HELPERS_MAX 15u
#define ANALYSIS_MAX ((size_t)64 << 20)

/* --- fan ---
 *
 * The caller and up to HELPERS_MAX workers take the next index until none is left. A helper that
 * comes late (its pool was busy) finds nothing and leaves, so the caller waits only for what has
 * been taken: no search waits for a queue. On a fiber (the tier waits) helpers are fibers too, so
 * that all shards can be waited for at once, however few threads there are.
 */
typedef struct fan fan;
typedef struct fan_helper {
    qd_work work; /* first */
    fan *f;
} fan_helper;

struct fan {
    _Atomic uint32_t next, refs;
    uint32_t n;
    void (*fn)(void *arg, uint32_t i);
    void *arg;
    qd_pool *fibers; /* pool of the helpers' fibers; NULL: they run on their worker's stack */
    qd_task *task;   /* that the caller waits for */
    qd_latch all;
    fan_helper helpers[HELPERS_MAX];
};

static void fan_unref(fan *f)
{
    if (atomic_fetch_sub(&f->refs, 1) == 1) qd_free(f);
}

static void fan_work(fan *f)
{
    for (;;) {
        uint32_t i = atomic_fetch_add(&f->next, 1);
        if (i >= f->n) return;
        f->fn(f->arg, i);
        qd_latch_done(&f->all, 0);
    }
}

static void fan_help_here(void *arg)
{
    fan *f = arg;
    qd_fiber_task_set(f->task);
    fan_work(f);
    fan_unref(f);
}

static void fan_help(qd_work *w)
{
    fan *f = ((fan_helper *)(void *)w)->f;
    if (f->fibers) {
        qd_fiber_run(f->fibers, fan_help_here, f);
    } else {
        fan_help_here(f);
    }
}

static uint32_t fan_helpers(qd_pool *pool, uint32_t n)
{
    qd_pool_stats stats;
    uint32_t helpers = n - 1 < HELPERS_MAX ? n - 1 : HELPERS_MAX;
    if (qd_fiber_here()) return helpers;
    qd_pool_stats_get(pool, &stats);
    return helpers > stats.threads_max - 1 ? stats.threads_max - 1 : helpers;
}

void qdi_search_fan(qd_actions *a, uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg)
{
    qd_pool *pool = qd_pools_find(a->pools, QD_STR("search"));
    fan *f = n > 1 && pool ? qd_calloc(a->account, sizeof *f) : NULL;
    if (!f) {
        for (uint32_t i = 0; i < n; i++) fn(arg, i);
        return;
    }
    atomic_store(&f->refs, 1);
    f->n = n;
    f->fn = fn;
    f->arg = arg;
    f->fibers = qd_fiber_here() ? pool : NULL;
    f->task = qd_fiber_task();
    qd_latch_init(&f->all, n);
    for (uint32_t i = fan_helpers(pool, n); i > 0; i--) {
        fan_helper *h = &f->helpers[i - 1];
        *h = (fan_helper){{.run = fan_help}, f};
        atomic_fetch_add(&f->refs, 1);
        if (qd_pool_submit(pool, &h->work, NULL)) {
            fan_unref(f);
            break; /* busy: this thread does it alone */
        }
    }
    fan_work(f);
    (void)qd_latch_wait(&f->all);
    fan_unref(f);
}

/* --- binding --- */

/* Limits that the index sets to a request. */
static int check_window(const search_run *x, const search_index *ix, qd_err *err)
{
    const search_request *r = x->r;
    int64_t most = qd_values_i64(ix->meta->values, QD_IX_MAX_RESULT_WINDOW);
    int64_t slices = qd_values_i64(ix->meta->values, QD_IX_MAX_SLICES);
    int64_t fields = qd_values_i64(ix->meta->values, QD_IX_MAX_DOCVALUE_FIELDS);
    if (x->scroll && r->size > most) {
        return qd_err_set(err, QD_E_ARG,
                          "Batch size is too large, size must be less than or equal to: [%lld] but "
                          "was [%lld]. Scroll batch sizes cost as much memory as result windows so "
                          "they are controlled by the [index.max_result_window] index level "
                          "setting.",
                          (long long)most, (long long)r->size);
    }
    if (!x->scroll && r->from + r->size > most) {
        return qd_err_set(err, QD_E_ARG,
                          "Result window is too large, from + size must be less than or equal to: "
                          "[%lld] but was [%lld]. See the scroll api for a more efficient way to "
                          "request large data sets. This limit can be set by changing the "
                          "[index.max_result_window] index level setting.",
                          (long long)most, (long long)(r->from + r->size));
    }
    if (r->show.ndocvalues > fields) {
        return qd_err_set(err, QD_E_ARG,
                          "Trying to retrieve too many docvalue_fields. Must be less than or equal "
                          "to: [%lld] but was [%u]. This limit can be set by changing the "
                          "[index.max_docvalue_fields_search] index level setting.",
                          (long long)fields, r->show.ndocvalues);
    }
    if (r->has_slice && r->slice_max > slices) {
        return qd_err_set(err, QD_E_ARG,
                          "The number of slices [%lld] is too large. It must be less than [%lld]. "
                          "This limit can be set by changing the [index.max_slices_per_scroll] "
                          "index level setting.",
                          (long long)r->slice_max, (long long)slices);
    }
    if (r->show.nfields && !qd_mapping_source_enabled(ix->meta->mapping)) {
        return qd_err_set(err, QD_E_ARG,
                          "Unable to retrieve the requested [fields] since _source is disabled in "
                          "the mappings for index [%.*s]",
                          QD_STR_ARG(ix->meta->name));
    }
    return 0;
}

static int context_of(search_run *x, search_index *ix, qd_err *err)
{
    const qd_values *v = ix->meta->values;
    uint32_t n;
    qd_query_limits *limits = qd_arena_alloc(x->arena, sizeof *limits);
    if (!limits) return qd_err_nomem(err, "search");
    *limits = x->r->limits;
    limits->max_terms = (uint32_t)qd_values_i64(v, QD_IX_MAX_TERMS);
    limits->max_regex_length = (uint32_t)qd_values_i64(v, QD_IX_MAX_REGEX);
    const qd_str *fields = qd_values_list(v, QD_IX_DEFAULT_FIELD, &n);
    ix->context = (qd_query_context){
        .arena = x->arena,
        .analysis = x->analysis,
        .mapping = ix->meta->mapping,
        .host = x->a->plugins,
        .limits = limits,
        .index = ix->meta->name,
        .index_uuid = qd_str_c(ix->meta->uuid),
        .now_ms = x->now_ms,
        .default_fields = fields,
        .ndefault_fields = n,
        .lenient = qd_values_bool(v, QD_IX_QUERY_STRING_LENIENT),
    };
    return 0;
}

/* Aliases that carry filters: a document must pass any of them. */
static int bind_aliases(search_run *x, search_index *ix, qd_str expression, qd_err *err)
{
    qd_str filter;
    qd_json_node *list;
    int rc =
        qd_state_alias_filter(x->state, expression, ix->meta, x->arena, &filter, &ix->routing, err);
    if (rc || !filter.n) return rc;
    if ((rc = qd_json_parse(x->arena, filter, 0, &list, err))) return rc;
    const qd_node **nodes = qd_arena_alloc(x->arena, (list->n + 1) * sizeof(const qd_node *));
    ix->filters = qd_arena_alloc(x->arena, sizeof(const qd_node *));
    if (!nodes || !ix->filters) return qd_err_nomem(err, "filters of aliases");
    uint32_t n = 0;
    for (const qd_json_node *q = list->first; q; q = q->next) {
        qd_query_built built;
        if ((rc = qd_query_parse_node(&ix->context, q, filter, &built, err))) return rc;
        nodes[n++] = built.root;
    }
    ix->filters[0] = n == 1 ? nodes[0] : qd_node_any_of(x->arena, nodes, n);
    ix->nfilters = 1;
    return ix->filters[0] ? 0 : qd_err_nomem(err, "filters of aliases");
}

static float boost_of(const search_request *r, const qd_state *s, const search_index *ix)
{
    for (uint32_t i = 0; i < r->nboosts; i++) {
        qd_str name = r->boosts[i].index;
        if (qd_pattern_match(name, ix->meta->name) || qd_index_meta_alias(ix->meta, name)) {
            (void)s;
            return r->boosts[i].boost;
        }
    }
    return 1;
}

/* Java's String.hashCode, spread as HashMap does. */
static uint32_t java_hash(qd_str s)
{
    uint32_t h = 0, cp;
    const char *p = s.p, *end = s.p + s.n;
    while (p < end) {
        p += qd_utf8_next(p, end, &cp);
        if (cp > 0xffff) {
            h = h * 31 + (0xd800 + ((cp - 0x10000) >> 10));
            cp = 0xdc00 + ((cp - 0x10000) & 0x3ff);
        }
        h = h * 31 + cp;
    }
    return h ^ h >> 16;
}

/* The named queries of query and post filter, in the order in which Elasticsearch shows them: that
 * of a HashMap. */
static int order_names(search_run *x, search_index *ix, const qd_query_built *post, qd_err *err)
{
    uint32_t n = 0, size = 16, most = ix->query.nnamed + (post ? post->nnamed : 0);
    if (!most) return 0;
    qd_query_named *all = qd_arena_alloc(x->arena, most * sizeof *all);
    uint32_t *bucket = qd_arena_alloc(x->arena, most * sizeof *bucket);
    if (!all || !bucket) return qd_err_nomem(err, "named queries");
    while (most > size / 4 * 3) size *= 2;
    for (uint32_t i = 0; i < most; i++) {
        bool second = i >= ix->query.nnamed;
        qd_query_named q = second ? post->named[i - ix->query.nnamed] : ix->query.named[i];
        uint32_t b = java_hash(q.name) & (size - 1), at = n, same = 0;
        while (same < n && !qd_str_eq(all[same].name, q.name)) same++;
        if (same < n) {
            all[same] = q;
            continue;
        }
        for (; at && bucket[at - 1] > b; at--) {
            bucket[at] = bucket[at - 1];
            all[at] = all[at - 1];
        }
        bucket[at] = b;
        all[at] = q;
        n++;
    }
    ix->query.named = all;
    ix->query.nnamed = n;
    return 0;
}

static int bind(search_run *x, search_index *ix, qd_str expression, qd_err *err)
{
    const search_request *r = x->r;
    const qd_query *q = r->query ? r->query : qd_query_match_all();
    qd_query_built post;
    int rc = context_of(x, ix, err);
    ix->boost = boost_of(r, x->state, ix);
    if (!rc) rc = check_window(x, ix, err);
    if (!rc) rc = qdi_hits_check(&r->show, ix->meta, err);
    if (!rc) rc = qd_query_build(&ix->context, q, &ix->query, err);
    if (!rc) rc = bind_aliases(x, ix, expression, err);
    if (!rc && r->post_filter) {
        rc = qd_query_build(&ix->context, r->post_filter, &post, err);
        ix->post = rc ? NULL : post.root;
    }
    if (!rc) rc = order_names(x, ix, r->post_filter ? &post : NULL, err);
    if (!rc) {
        rc = qdi_search_sort_bind(&r->sort, ix->meta->mapping, ix->meta->name,
                                  qd_str_c(ix->meta->uuid), x->arena, x->now_ms, &ix->sort, err);
    }
    if (!rc && r->after) {
        ix->after = qd_arena_calloc(x->arena, QD_SORT_KEYS_MAX * sizeof *ix->after);
        if (!ix->after) return qd_err_nomem(err, "search_after");
        rc = qdi_search_after_bind(r->after, &ix->sort, x->arena, x->now_ms, ix->after, err);
    }
    if (!rc && r->aggs) {
        qd_aggs_host host = qdi_search_aggs_host(x);
        qd_aggs_host *kept = qd_arena_alloc(x->arena, sizeof *kept);
        if (!kept) return qd_err_nomem(err, "aggregations");
        *kept = host;
        qdi_identity id;
        qdi_identity_get(x->a, &id);
        bool old = id.product != QDI_ES8 && id.product != QDI_ES9; /* allowed there by default */
        qd_aggs_binding how = {
            .query = &ix->context,
            .host = kept,
            .hits_window = qd_values_i64(ix->meta->values, QD_IX_MAX_INNER_RESULT_WINDOW),
            .id_values = qd_config_bool(x->a->config, QD_SET_ID_FIELD_DATA) || old,
        };
        rc = qd_aggs_bind(r->aggs, &how, &ix->aggs, err);
    }
    return rc;
}

/* --- shards --- */

/* Is shard `number` among those that the routings lead to? */
static bool routed(const search_index *ix, uint32_t number, qd_str asked)
{
    qd_str own = ix->routing;
    if (!asked.n && !own.n) return true;
    for (qd_str rest = asked.n ? asked : own; rest.p;) {
        qd_str one = qd_str_split(&rest, ',');
        bool wanted = !asked.n || !own.n;
        for (qd_str list = own; !wanted && list.p;) {
            wanted = qd_str_eq(qd_str_split(&list, ','), one);
        }
        if (wanted && qd_index_meta_route(ix->meta, QD_STR(""), one) == number) return true;
    }
    return false;
}

static int by_number(const void *a, const void *b)
{
    const search_shard *x = a, *y = b;
    if (x->number != y->number) return x->number < y->number ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int take_shards(search_run *x, qd_str routing, qd_err *err)
{
    uint32_t room = 1;
    for (uint32_t i = 0; i < x->nindices; i++) room += x->indices[i].meta->shards;
    x->shards = qd_arena_calloc(x->arena, room * sizeof *x->shards);
    if (!x->shards) return qd_err_nomem(err, "shards of a search");
    for (uint32_t i = 0; i < x->nindices; i++) {
        search_index *ix = &x->indices[i];
        for (uint32_t k = 0; k < ix->meta->shards; k++) {
            if (!routed(ix, k, routing)) continue;
            search_shard *s = &x->shards[x->nshards++];
            s->run = x;
            s->index = ix;
            s->number = k;
        }
    }
    qsort(x->shards, x->nshards, sizeof *x->shards, by_number);
    for (uint32_t i = 0; i < x->nshards; i++) {
        search_shard *s = &x->shards[i];
        qd_arena_init(&s->arena, x->a->account, SHARD_ARENA_MAX);
        qd_err_init(&s->err);
        s->shard = qd_shards_get(x->a->shards, s->index->meta->uuid, s->number);
    }
    return 0;
}

static int check_blocks(const qd_index_meta *m, qd_err *err)
{
    if (!qd_values_bool(m->values, QD_IX_BLOCK_READ)) return 0;
    return qd_err_set(err, QD_E_CLUSTER_BLOCK,
                      "index [%.*s] blocked by: [FORBIDDEN/7/index read (api)];",
                      QD_STR_ARG(m->name));
}

int qdi_search_begin(search_run *x, search_request *r, qd_task *task, qd_str expression,
                     uint32_t options, qd_str routing, qd_err *err)
{
    qd_resolved found;
    *x = (search_run){
        .r = r,
        .a = r->q->a,
        .arena = r->arena,
        .task = task,
        .state = qd_cluster_state(r->q->a->cluster),
        .now_ms = qd_env_wall_ms(r->q->a->env),
        .start_ns = qd_env_mono_ns(r->q->a->env),
        .max_score = NAN,
        .scroll = r->scroll_ms > 0,
    };
    int rc = qd_state_resolve(x->state, expression, options, x->arena, &found, err);
    if (rc) return rc;
    x->analysis = qd_analysis_make(x->a->account, ANALYSIS_MAX);
    x->indices = qd_arena_calloc(x->arena, (found.n + 1) * sizeof *x->indices);
    if (!x->analysis || !x->indices) return qd_err_nomem(err, "search");
    for (uint32_t i = 0; i < found.n && !rc; i++) {
        search_index *ix = &x->indices[x->nindices++];
        ix->meta = found.at[i];
        qd_err_init(&ix->err);
        rc = check_blocks(ix->meta, err);
        if (!rc) ix->rc = bind(x, ix, expression, &ix->err);
    }
    return rc ? rc : take_shards(x, routing, err);
}

void qdi_search_end(search_run *x)
{
    for (uint32_t i = 0; i < x->nshards; i++) {
        search_shard *s = &x->shards[i];
        if (s->aggs) qd_aggs_partial_free(s->aggs);
        qd_err_fini(&s->err);
        qd_arena_fini(&s->arena); /* plans hold the searcher */
        qd_searcher_unref(s->searcher);
        qd_shard_unref(s->shard);
    }
    for (uint32_t i = 0; i < x->nindices; i++) qd_err_fini(&x->indices[i].err);
    if (x->reducer) qd_aggs_reducer_free(x->reducer);
    qd_analysis_free(x->analysis);
    qd_state_unref(x->state);
    x->nshards = x->nindices = 0;
    x->state = NULL;
    x->analysis = NULL;
    x->reducer = NULL;
}

/* --- merging --- */

static void run_shard(void *arg, uint32_t i)
{
    search_run *x = arg;
    qdi_search_shard_run(x, &x->shards[i]);
}

/* Numbers, words and addresses of different indices have no order between them. */
static int check_kinds(const search_run *x, qd_err *err)
{
    static const char *const names[] = {[SEARCH_VALUE_I64] = "LONG",
                                        [SEARCH_VALUE_F64] = "DOUBLE",
                                        [SEARCH_VALUE_F32] = "FLOAT",
                                        [SEARCH_VALUE_TERM] = "STRING",
                                        [SEARCH_VALUE_IP] = "STRING"};
    for (uint32_t k = 0; k < x->r->sort.n; k++) {
        int first = -1;
        for (uint32_t i = 0; i < x->nshards; i++) {
            if (x->shards[i].rc || !x->shards[i].nhits) continue;
            int kind = (int)x->shards[i].index->sort.bound[k].kind;
            if (first < 0) first = kind;
            bool one = first <= SEARCH_VALUE_F32, two = kind <= SEARCH_VALUE_F32;
            if (one == two && (one || kind == first)) continue;
            return qd_err_set(err, QD_E_ARG,
                              "Can't sort on field [%.*s]; the field has incompatible sort types: "
                              "[%s] and [%s] across shards!",
                              QD_STR_ARG(x->r->sort.at[k].field), names[first], names[kind]);
        }
    }
    return 0;
}

/* Numeric keys that are integers in one index and floating-point in another compare as doubles. */
static void level_keys(search_run *x)
{
    for (uint32_t k = 0; k < x->r->sort.n; k++) {
        bool mixed = false, numeric = true;
        int first = -1;
        for (uint32_t i = 0; i < x->nshards; i++) {
            if (x->shards[i].rc || !x->shards[i].nhits) continue;
            int kind = (int)x->shards[i].index->sort.bound[k].kind;
            if (kind > SEARCH_VALUE_F32) numeric = false;
            if (first < 0) first = kind;
            mixed |= kind != first;
        }
        if (!mixed || !numeric) continue;
        for (uint32_t i = 0; i < x->nshards; i++) {
            search_shard *s = &x->shards[i];
            search_value_kind kind = s->rc ? SEARCH_VALUE_F64 : s->index->sort.bound[k].kind;
            for (uint32_t h = 0; h < s->nhits && kind != SEARCH_VALUE_F64; h++) {
                qd_sort_value *v = &s->hits[h].values[k];
                if (v->missing) continue;
                v->i64 = qd_f64_encode(kind == SEARCH_VALUE_I64 ? (double)v->i64
                                                                : (double)qd_f32_decode(v->i64));
            }
        }
        for (uint32_t i = 0; i < x->nindices; i++) {
            x->indices[i].sort.bound[k] = (search_sort_bound){.kind = SEARCH_VALUE_F64};
        }
    }
}

static int compare_refs(const void *a, const void *b, void *arg)
{
    const search_ref *p = a, *q = b;
    const search_run *x = arg;
    const search_hit *h = &p->shard->hits[p->at], *g = &q->shard->hits[q->at];
    int c = 0;
    if (x->r->sort.n) {
        c = qd_sort_compare(p->shard->index->sort.keys, p->shard->index->sort.n, h->values,
                            g->values);
    } else if (h->score != g->score) {
        c = h->score > g->score ? -1 : 1;
    }
    if (c) return c;
    if (p->shard != q->shard) return p->shard < q->shard ? -1 : 1;
    return p->at < q->at ? -1 : p->at > q->at;
}

static int merge_hits(search_run *x, qd_err *err)
{
    const search_request *r = x->r;
    uint64_t n = 0;
    for (uint32_t i = 0; i < x->nshards; i++) n += x->shards[i].rc ? 0 : x->shards[i].nhits;
    if (n > UINT32_MAX) return qd_err_set(err, QD_E_BREAKER, "[request] too many hits to merge");
    search_ref *all = qd_arena_alloc(x->arena, (n + 1) * sizeof *all);
    if (!all) return qd_err_nomem(err, "merge of hits");
    n = 0;
    for (uint32_t i = 0; i < x->nshards; i++) {
        search_shard *s = &x->shards[i];
        for (uint32_t h = 0; h < s->nhits && !s->rc; h++) all[n++] = (search_ref){s, h};
    }
    if (x->nshards > 1) {
        int rc = check_kinds(x, err);
        if (rc) return rc;
        level_keys(x);
        qsort_r(all, n, sizeof *all, compare_refs, x);
    }
    uint64_t from = (uint64_t)r->from < n ? (uint64_t)r->from : n;
    uint64_t to = from + (uint64_t)r->size < n ? from + (uint64_t)r->size : n;
    x->refs = all + from;
    x->nrefs = (uint32_t)(to - from);
    return 0;
}

static void merge_totals(search_run *x)
{
    for (uint32_t i = 0; i < x->nshards; i++) {
        const search_shard *s = &x->shards[i];
        if (s->rc) continue;
        x->total += s->total;
        x->total_lower_bound |= s->total_lower_bound;
        x->timed_out |= s->timed_out;
        x->terminated_early |= s->terminated_early;
        if (!isnan(s->max_score) && !(x->max_score >= s->max_score)) x->max_score = s->max_score;
    }
    if (x->r->total != QD_TOTAL_EXACT && x->total > x->r->total) {
        x->total = x->r->total;
        x->total_lower_bound = true;
    }
}

static int merge_aggs(search_run *x, qd_err *err)
{
    int rc = 0;
    if (!x->r->aggs || x->later) return 0;
    rc = qd_aggs_reducer_make(x->r->aggs, x->a->account, &x->reducer, err);
    for (uint32_t i = 0; i < x->nshards && !rc; i++) {
        qd_aggs_partial *p = x->shards[i].aggs;
        x->shards[i].aggs = NULL;
        if (p) rc = qd_aggs_reducer_add(x->reducer, p, err);
    }
    return rc ? rc : qd_aggs_reducer_finish(x->reducer, &x->aggs, err);
}

int qdi_search_query_phase(search_run *x, qd_err *err)
{
    int rc = x->r->dfs && !x->stats && x->nshards > 1 ? qdi_search_dfs(x, err) : 0;
    if (rc) return rc;
    qdi_search_fan(x->a, x->nshards, run_shard, x);
    x->failed = 0;
    for (uint32_t i = 0; i < x->nshards; i++) {
        const search_shard *s = &x->shards[i];
        x->failed += s->rc != 0;
        /* cancelled, or out of memory: not a matter of one shard */
        if (s->rc == QD_E_CANCELLED || (s->rc == QD_E_TIMEOUT && !x->r->timeout_ms)) {
            qd_err_copy(err, &s->err);
            return s->rc;
        }
    }
    if (x->failed && (x->failed == x->nshards || !x->r->allow_partial)) {
        return qdi_search_failed(x, err);
    }
    merge_totals(x);
    rc = merge_hits(x, err);
    return rc ? rc : merge_aggs(x, err);
}
