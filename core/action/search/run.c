/*
 * run.c: a search begins and ends: indices resolved and bound, shards taken. fan.c
 * runs the shards, merge.c makes one result of theirs.
 */
#include "action/api/admin_int.h"
#include "action/search/part_int.h"
#include "action/suggest/suggest_int.h"
#include "base/hash.h"
#include "base/str.h"
#include <math.h>
#include <stdlib.h>

#define SHARD_ARENA_MAX ((size_t)1 << 31)
#define ANALYSIS_MAX ((size_t)64 << 20)
#define STATE_WAIT_MS 5000 /* for an index that a search names and this node has yet to hear of */

/* --- binding --- */

/* Limits that the index sets to a request. */
int qdi_search_check_window(const search_run *x, const search_index *ix, qd_err *err)
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
    uint32_t columns = r->show.ndocvalues - (r->collapse && r->collapse->added);
    if (columns > fields) {
        return qd_err_set(err, QD_E_ARG,
                          "Trying to retrieve too many docvalue_fields. Must be less than or equal "
                          "to: [%lld] but was [%u]. This limit can be set by changing the "
                          "[index.max_docvalue_fields_search] index level setting.",
                          (long long)fields, columns);
    }
    int64_t scripts = qd_values_i64(ix->meta->values, QD_IX_MAX_SCRIPT_FIELDS);
    if (r->show.nscripts > scripts) {
        return qd_err_set(err, QD_E_ARG,
                          "Trying to retrieve too many script_fields. Must be less than or equal "
                          "to: [%lld] but was [%u]. This limit can be set by changing the "
                          "[index.max_script_fields] index level setting.",
                          (long long)scripts, r->show.nscripts);
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
        .host = x->a->plugins,
        .limits = limits,
        .index = ix->meta->name,
        .index_uuid = qd_str_c(ix->meta->uuid),
        .now_ms = x->now_ms,
        .size = x->r->size > 0 ? (uint32_t)x->r->size : 0,
        .default_fields = fields,
        .ndefault_fields = n,
        .lenient = qd_values_bool(v, QD_IX_QUERY_STRING_LENIENT),
        .matches = qd_pattern_matches,
    };
    return qdi_search_mapping(x, ix, &ix->context.mapping, err);
}

/* Aliases that carry filters: a document must pass any of them. */
static int bind_filter(search_run *x, search_index *ix, qd_err *err)
{
    qd_json_node *list;
    if (!ix->filter.n) return 0;
    int rc = qd_json_parse(x->arena, ix->filter, 0, &list, err);
    if (rc) return rc;
    const qd_node **nodes = qd_arena_alloc(x->arena, (list->n + 1) * sizeof(const qd_node *));
    ix->filters = qd_arena_alloc(x->arena, sizeof(const qd_node *));
    if (!nodes || !ix->filters) return qd_err_nomem(err, "filters of aliases");
    uint32_t n = 0;
    for (const qd_json_node *q = list->first; q; q = q->next) {
        qd_query_built built;
        if ((rc = qd_query_parse_node(&ix->context, q, ix->filter, &built, err))) return rc;
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
        uint32_t b = qd_java_hash(q.name) & (size - 1), at = n, same = 0;
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

static int bind(search_run *x, search_index *ix, qd_err *err)
{
    const search_request *r = x->r;
    const qd_query *q = r->query ? r->query : qd_query_match_all();
    qd_query_built post;
    int rc = context_of(x, ix, err);
    ix->boost = boost_of(r, x->state, ix);
    if (!rc) rc = qdi_search_check_window(x, ix, err);
    if (!rc && r->suggest && !x->part) rc = qdi_suggest_allowed(x->state->features, err);
    if (!rc && r->collapse) rc = qdi_collapse_bind(x, ix, err);
    if (!rc) rc = qdi_hits_check(&r->show, ix, err);
    if (!rc) rc = qd_query_build(&ix->context, q, &ix->query, err);
    if (!rc) rc = bind_filter(x, ix, err);
    if (!rc) rc = qdi_search_knn_bind(x, ix, err);
    if (!rc && r->post_filter) {
        rc = qd_query_build(&ix->context, r->post_filter, &post, err);
        ix->post = rc ? NULL : post.root;
    }
    if (!rc) rc = order_names(x, ix, r->post_filter ? &post : NULL, err);
    if (!rc) rc = qdi_inner_bind(x, ix, r->post_filter ? &post : NULL, err);
    if (!rc) {
        rc = qdi_search_sort_bind(&r->sort, &ix->context, x->arena, &ix->sort, err);
    }
    if (!rc && r->after) {
        ix->after = qd_arena_calloc(x->arena, QD_SORT_KEYS_MAX * sizeof *ix->after);
        if (!ix->after) return qd_err_nomem(err, "search_after");
        rc = qdi_search_after_bind(r->after, &ix->sort, x->arena, x->now_ms, ix->after, err);
    }
    if (!rc && r->collapse) rc = qdi_collapse_check(x, ix, err);
    if (!rc && r->retriever) rc = qdi_rank_level(x, "retriever", err);
    if (!rc && r->nrescores)
        rc = qdi_rescore_bind(x, ix, r->rescores, r->nrescores, &ix->rescores, err);
    if (!rc && r->rank) rc = qdi_rank_bind(x, ix, err);
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
            .task = x->task,
            .hits_window = qd_values_i64(ix->meta->values, QD_IX_MAX_INNER_RESULT_WINDOW),
            .id_values = qd_config_bool(x->a->config, QD_SET_ID_FIELD_DATA) || old,
        };
        rc = qd_aggs_bind(r->aggs, &how, &ix->aggs, err);
    }
    ix->uncacheable = !rc && (ix->query.uncacheable || (r->post_filter && post.uncacheable) ||
                              (ix->aggs && qd_aggs_bound_uncacheable(ix->aggs)));
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

static void init_shard(search_run *x, search_shard *s, search_index *ix, uint32_t number)
{
    s->run = x;
    s->index = ix;
    s->number = number;
    qd_arena_init(&s->arena, x->a->account, SHARD_ARENA_MAX);
    qd_err_init(&s->err);
}

static int take_shards(search_run *x, qd_str routing, qd_err *err)
{
    uint32_t room = 0;
    int rc = 0;
    for (uint32_t i = 0; i < x->nindices; i++) room += x->indices[i].meta->shards;
    x->shards = qd_arena_calloc(x->arena, (room ? room : 1ul) * sizeof *x->shards);
    if (!x->shards) return qd_err_nomem(err, "shards of a search");
    for (uint32_t i = 0; i < x->nindices; i++) {
        search_index *ix = &x->indices[i];
        for (uint32_t k = 0; k < ix->meta->shards; k++) {
            if (routed(ix, k, routing) && qdi_copies_shard_wanted(x, k))
                init_shard(x, &x->shards[x->nshards++], ix, k);
        }
    }
    qsort(x->shards, x->nshards, sizeof *x->shards, by_number);
    for (uint32_t i = 0; i < x->nshards; i++) x->shards[i].place = i;
    for (uint32_t i = 0; i < x->nshards && !rc; i++) {
        rc = qdi_copies_choose(x, &x->shards[i], err);
    }
    return rc;
}

static int check_blocks(const qd_index_meta *m, qd_err *err)
{
    if (!qd_values_bool(m->values, QD_IX_BLOCK_READ)) return 0;
    return qd_err_set(err, QD_E_CLUSTER_BLOCK,
                      "index [%.*s] blocked by: [FORBIDDEN/7/index read (api)];",
                      QD_STR_ARG(m->name));
}

static int open_run(search_run *x, uint32_t indices, qd_err *err)
{
    x->analysis = qd_analysis_make(x->a->account, ANALYSIS_MAX);
    x->indices = qd_arena_calloc(x->arena, (indices ? indices : 1ul) * sizeof *x->indices);
    return x->analysis && x->indices ? 0 : qd_err_nomem(err, "search");
}

static void init_run(search_run *x, search_request *r, qd_task *task)
{
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
}

/* The indices of indices_boost have to be there, by the rules for those that are searched. */
static int check_boosts(search_run *x, const search_request *r, uint32_t options, qd_err *err)
{
    qd_resolved found;
    int rc = 0;
    for (uint32_t i = 0; i < r->nboosts && !rc; i++)
        rc = qd_state_resolve(x->state, r->boosts[i].index, options, x->arena, &found, err);
    return rc;
}

int qdi_search_begin(search_run *x, search_request *r, qd_task *task, qd_str expression,
                     uint32_t options, qd_str routing, qd_err *err)
{
    qd_resolved found;
    init_run(x, r, task);
    x->expression = expression;
    x->options = options;
    x->routing = routing;
    int rc = qd_state_resolve(x->state, expression, options, x->arena, &found, err);
    if (!rc) rc = check_boosts(x, r, options, err);
    if (!rc) rc = open_run(x, found.n, err);
    for (uint32_t i = 0; i < found.n && !rc; i++) {
        search_index *ix = &x->indices[x->nindices++];
        ix->meta = found.at[i];
        qd_err_init(&ix->err);
        rc = check_blocks(ix->meta, err);
        if (rc) break;
        ix->rc = qd_state_alias_filter(x->state, expression, ix->meta, x->arena, &ix->filter,
                                       &ix->routing, &ix->err);
        if (!ix->rc) ix->rc = bind(x, ix, &ix->err);
    }
    return rc ? rc : take_shards(x, routing, err);
}

/* --- a point in time --- */

static int pit_indices(search_run *x, const search_id *id, qd_err *err)
{
    for (uint32_t i = 0; i < id->nindices; i++) {
        const search_part_index *p = &id->indices[i];
        const qd_index_meta *m = qd_state_index(x->state, p->name);
        if (!m || !qd_str_is(p->uuid, m->uuid)) {
            int rc =
                qd_err_set(err, QD_E_INDEX_NOT_FOUND, "no such index [%.*s]", QD_STR_ARG(p->name));
            qd_err_detail_str(err, "index", p->name);
            return rc;
        }
        search_index *ix = &x->indices[x->nindices++];
        ix->meta = m;
        ix->filter = p->filter;
        qd_err_init(&ix->err);
        int rc = check_blocks(m, err);
        if (rc) return rc;
        ix->rc = bind(x, ix, &ix->err);
    }
    return 0;
}

/* This node's shards use the searchers of the context right away. */
static void own_searchers(search_run *x, const search_id_node *n)
{
    search_context *pit;
    qd_err err;
    qd_err_init(&err);
    int rc = qdi_context_take(x->a, n->context, 0, x->task, &pit, &err);
    for (uint32_t i = 0; i < x->nshards; i++) {
        search_shard *s = &x->shards[i];
        if (!s->copies || !qd_str_eq(s->copies->nodes[0], x->a->node_id)) continue;
        for (uint32_t k = 0; k < (rc ? 0 : pit->x.nshards) && !s->searcher; k++) {
            const search_shard *o = &pit->x.shards[k];
            bool same = o->number == s->number && o->searcher && o->index->meta &&
                        strcmp(o->index->meta->uuid, s->index->meta->uuid) == 0;
            if (same) s->searcher = qd_searcher_ref(o->searcher);
            if (same) s->shard = qd_shard_ref(o->shard);
        }
        if (s->searcher) continue;
        s->skipped = true;
        s->rc = qd_err_set(&s->err, QD_E_SEARCH_CONTEXT_MISSING,
                           "No search context found for shard [%u] of [%.*s]", s->number,
                           QD_STR_ARG(s->index->meta->name));
    }
    if (!rc) qdi_context_keep(pit, x->r->pit_keep_ms);
    if (!rc) qdi_context_give_back(pit, false);
    qd_err_fini(&err);
}

static int pit_shards(search_run *x, const search_id *id, qd_err *err)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < id->nnodes; i++) n += id->nodes[i].nshards;
    x->shards = qd_arena_calloc(x->arena, (n + 1ul) * sizeof *x->shards);
    search_copies *c = qd_arena_calloc(x->arena, (id->nnodes + 1ul) * sizeof *c);
    if (!x->shards || !c) return qd_err_nomem(err, "point in time");
    for (uint32_t i = 0; i < id->nnodes; i++) {
        c[i] = (search_copies){&id->nodes[i].node, 1, 0};
        for (uint32_t k = 0; k < id->nodes[i].nshards; k++) {
            const search_part_shard *of = &id->nodes[i].shards[k];
            search_index *ix = &x->indices[of->index];
            if (of->number >= ix->meta->shards) return qd_err_set(err, QD_E_ARG, "invalid id");
            init_shard(x, &x->shards[x->nshards], ix, of->number);
            x->shards[x->nshards++].copies = &c[i];
        }
    }
    qsort(x->shards, x->nshards, sizeof *x->shards, by_number);
    for (uint32_t i = 0; i < x->nshards; i++) x->shards[i].place = i;
    for (uint32_t i = 0; i < id->nnodes; i++) {
        if (qd_str_eq(id->nodes[i].node, x->a->node_id)) own_searchers(x, &id->nodes[i]);
    }
    return 0;
}

int qdi_search_begin_pit(search_run *x, search_request *r, qd_task *task, search_id *id,
                         qd_err *err)
{
    init_run(x, r, task);
    x->pit = id;
    int rc = open_run(x, id->nindices, err);
    if (!rc) rc = pit_indices(x, id, err);
    return rc ? rc : pit_shards(x, id, err);
}

/* --- a node's part --- */

static bool knows_all(void *arg, const qd_state *s)
{
    const search_part *p = arg;
    for (uint32_t i = 0; i < p->nindices; i++) {
        const qd_index_meta *m = qd_state_index(s, p->indices[i].name);
        if (!m || !qd_str_is(p->indices[i].uuid, m->uuid)) return false;
    }
    return true;
}

/* The state: not one that has yet to hear of an index which the coordinating part knows. */
static void follow_state(search_run *x, const search_part *p)
{
    if (x->state->revision >= p->revision || knows_all((void *)(uintptr_t)p, x->state)) return;
    (void)!qd_cluster_wait(x->a->cluster, p->revision, STATE_WAIT_MS, NULL);
    qd_state_unref(x->state);
    x->state = qd_cluster_state(x->a->cluster);
}

static int bind_part(search_run *x, const search_part_index *p, search_index *ix)
{
    const qd_index_meta *m = qd_state_index(x->state, p->name);
    qd_err_init(&ix->err);
    if (!m || !qd_str_is(p->uuid, m->uuid)) {
        ix->rc = qd_err_set(&ix->err, QD_E_NO_SHARD,
                            "index [%.*s] of uuid [%.*s] is not known to this node",
                            QD_STR_ARG(p->name), QD_STR_ARG(p->uuid));
        return ix->rc;
    }
    ix->meta = m;
    ix->filter = p->filter;
    return bind(x, ix, &ix->err);
}

int qdi_search_begin_part(search_run *x, search_request *r, qd_task *task, const search_part *p,
                          qd_err *err)
{
    init_run(x, r, task);
    x->part = true;
    x->now_ms = p->now_ms;
    follow_state(x, p);
    int rc = open_run(x, p->nindices, err);
    if (rc) return rc;
    x->shards = qd_arena_calloc(x->arena, (p->nshards + 1ul) * sizeof *x->shards);
    if (!x->shards) return qd_err_nomem(err, "shards of a search");
    for (uint32_t i = 0; i < p->nindices; i++) {
        search_index *ix = &x->indices[x->nindices++];
        ix->rc = bind_part(x, &p->indices[i], ix);
    }
    for (uint32_t i = 0; i < p->nshards; i++) {
        const search_part_shard *of = &p->shards[i];
        search_shard *s = &x->shards[x->nshards++];
        init_shard(x, s, &x->indices[of->index], of->number);
        s->place = of->place;
        s->nearest = p->nnearest == r->nknn ? of->nearest : NULL;
        if (s->index->meta) {
            s->shard = qd_shards_get(x->a->shards, s->index->meta->uuid, s->number);
        }
    }
    return qdi_part_stats(x, p, err);
}

void qdi_search_end(search_run *x)
{
    if (x->reducer) qd_aggs_reducer_free(x->reducer);
    x->reducer = NULL;
    qdi_targets_end(x, false);
    for (uint32_t i = 0; i < x->nshards; i++) {
        search_shard *s = &x->shards[i];
        if (s->aggs) qd_aggs_partial_free(s->aggs);
        qd_err_fini(&s->err);
        qd_arena_fini(&s->arena); /* plans hold the searcher */
        qd_searcher_unref(s->searcher);
        qd_shard_unref(s->shard);
    }
    for (uint32_t i = 0; i < x->nindices; i++) qd_err_fini(&x->indices[i].err);
    qd_analysis_free(x->analysis);
    qd_state_unref(x->state);
    x->nshards = x->nindices = 0;
    x->state = NULL;
    x->analysis = NULL;
}
