/* part.c: what nodes are asked, made from a search and copied. */
#include "action/search/part_int.h"

/* The indices that some shards are of; their numbers in the part by their place in x. */
static int part_indices(const search_run *x, search_shard *const *shards, uint32_t n,
                        search_part *out, qd_err *err)
{
    uint32_t *number = qd_arena_alloc(x->arena, (x->nindices + 1) * sizeof *number);
    out->indices = qd_arena_calloc(x->arena, (x->nindices + 1) * sizeof *out->indices);
    out->shards = qd_arena_calloc(x->arena, (n + 1ul) * sizeof *out->shards);
    if (!number || !out->indices || !out->shards) return qd_err_nomem(err, "search");
    for (uint32_t i = 0; i < x->nindices; i++) number[i] = UINT32_MAX;
    for (uint32_t i = 0; i < n; i++) {
        const search_shard *s = shards[i];
        uint32_t at = (uint32_t)(s->index - x->indices);
        if (number[at] == UINT32_MAX) {
            number[at] = out->nindices;
            out->indices[out->nindices++] = (search_part_index){
                qd_str_c(s->index->meta->uuid), s->index->meta->name, s->index->filter};
        }
        out->shards[i] = (search_part_shard){number[at], s->number, s->place, s->nearest};
        if (s->nearest) out->nnearest = x->r->nknn;
    }
    out->nshards = n;
    return 0;
}

/* The context of the node that a shard of a point in time is asked for at. */
static const uint8_t *pit_context(const search_id *id, const search_shard *s)
{
    for (uint32_t i = 0; i < id->nnodes && s->copies; i++) {
        if (qd_str_eq(id->nodes[i].node, s->copies->nodes[s->copies->at])) {
            return id->nodes[i].context;
        }
    }
    return NULL;
}

int qdi_part_make(search_run *x, search_shard *const *shards, uint32_t n, search_part *out,
                  qd_err *err)
{
    const search_request *r = x->r;
    *out = (search_part){
        .query_only = r->query_only,
        .body = r->body,
        .params = r->params,
        .nparams = r->nparams,
        .revision = x->state->revision,
        .now_ms = x->now_ms,
        .from = r->from,
        .size = r->size,
        .timeout_ms = qdi_search_left_ms(x),
        .terminate_after = r->terminate_after,
        .at_once = r->at_once,
        .total = r->total,
        .has_min_score = r->has_min_score,
        .min_score = r->min_score,
        .alone = n == x->nshards && !x->scroll && !x->opens_pit && !r->rank,
        .keep_ms = r->scroll_ms ? r->scroll_ms
                                : qd_config_ms(x->a->config, QD_SET_SEARCH_DEFAULT_KEEP_ALIVE),
        .scroll = x->scroll,
        .lookups = r->lookups,
        .stats = x->dfs,
        .nstats = x->ndfs,
        .opens_pit = x->opens_pit,
        .pit_keep_ms = r->pit_keep_ms,
        .asks_knn = x->asks_knn,
    };
    if (x->opens_pit) out->keep_ms = r->pit_keep_ms;
    if (x->pit && n) out->context = pit_context(x->pit, shards[0]);
    return part_indices(x, shards, n, out, err);
}

/* --- copying --- */

static bool copy_str(qd_arena *a, qd_str *s)
{
    if (!s->p) return true;
    *s = qd_arena_str(a, *s);
    return s->p != NULL;
}

static void *copy_array(qd_arena *a, const void *from, size_t n, size_t size)
{
    void *to = qd_arena_alloc(a, (n + 1) * size);
    if (to && n) memcpy(to, from, n * size);
    return to;
}

static bool copy_lookup(qd_arena *a, search_lookup *l)
{
    qd_query_value *values = copy_array(a, l->values, l->n, sizeof *values);
    bool good = values && copy_str(a, &l->of.index) && copy_str(a, &l->of.id) &&
                copy_str(a, &l->of.routing) && copy_str(a, &l->of.path);
    for (uint32_t i = 0; i < l->n && good; i++) good = copy_str(a, &values[i].text);
    l->values = values;
    return good;
}

static bool copy_lookups(qd_arena *a, search_part *out)
{
    search_lookup **to = &out->lookups;
    for (const search_lookup *l = out->lookups; l; l = l->next) {
        search_lookup *c = copy_array(a, l, 1, sizeof *c);
        if (!c || !copy_lookup(a, c)) return false;
        *to = c;
        to = &c->next;
    }
    *to = NULL;
    return true;
}

static bool copy_stats(qd_arena *a, search_part *out)
{
    search_stat *s = copy_array(a, out->stats, out->nstats, sizeof *s);
    bool good = s != NULL;
    for (uint32_t i = 0; i < out->nstats && good; i++) {
        good = copy_str(a, &s[i].field) && copy_str(a, &s[i].term);
    }
    out->stats = s;
    return good;
}

int qdi_part_copy(const search_part *p, qd_arena *arena, search_part *out, qd_err *err)
{
    *out = *p;
    qd_pair *params = copy_array(arena, p->params, p->nparams, sizeof *params);
    out->indices = copy_array(arena, p->indices, p->nindices, sizeof *p->indices);
    out->shards = copy_array(arena, p->shards, p->nshards, sizeof *p->shards);
    bool good = params && out->indices && out->shards && copy_str(arena, &out->body);
    for (uint32_t i = 0; i < p->nparams && good; i++) {
        good = copy_str(arena, &params[i].key) && copy_str(arena, &params[i].value);
    }
    for (uint32_t i = 0; i < p->nindices && good; i++) {
        search_part_index *x = &out->indices[i];
        good =
            copy_str(arena, &x->uuid) && copy_str(arena, &x->name) && copy_str(arena, &x->filter);
    }
    for (uint32_t i = 0; i < p->nshards && good; i++) {
        search_part_shard *s = &out->shards[i];
        if (!s->nearest) continue;
        s->nearest = copy_array(arena, s->nearest, p->nnearest, sizeof *s->nearest);
        good = s->nearest != NULL;
    }
    out->params = params;
    if (good && p->context) {
        uint8_t *id = copy_array(arena, p->context, SEARCH_CONTEXT_ID, 1);
        out->context = id;
        good = id != NULL;
    }
    good = good && copy_lookups(arena, out) && copy_stats(arena, out);
    return good ? 0 : qd_err_nomem(err, "search");
}
