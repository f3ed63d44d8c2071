/*
 * dfs.c: search_type=dfs_query_then_fetch: statistics of the query's terms, summed over all
 * shards before any of them scores.
 */
#include "action/search/wire_int.h"
#include "base/map.h"
#include "base/str.h"
#include "rpc/rpc.h"

/* Key of a term of a field: "field\0term". */
static qd_str key_of(qd_buf *b, qd_str field, qd_str term)
{
    qd_buf_reset(b);
    (void)qd_buf_str(b, field);
    (void)qd_buf_char(b, '\0');
    (void)qd_buf_str(b, term);
    return qd_buf_view(b);
}

typedef struct summing {
    search_run *x;
    qd_map *map;
    qd_buf key;
} summing;

static int add(void *arg, qd_str field, qd_str term, const qd_node_stats *s)
{
    summing *m = arg;
    qd_str key = key_of(&m->key, field, term);
    if (qd_buf_status(&m->key)) return QD_E_NOMEM;
    qd_node_stats *sum = qd_map_get(m->map, key);
    if (!sum) {
        sum = qd_arena_calloc(m->x->r->arena, sizeof *sum);
        if (!sum || qd_map_put(m->map, key, sum, NULL)) return QD_E_NOMEM;
    }
    sum->doc_freq += s->doc_freq;
    sum->total_term_freq += s->total_term_freq;
    sum->doc_count += s->doc_count;
    sum->sum_total_term_freq += s->sum_total_term_freq;
    return 0;
}

static const qd_node_stats *find(void *arg, qd_str field, qd_str term)
{
    const qd_map *map = arg;
    qd_buf key;
    qd_buf_init(&key, NULL, 131072);
    qd_str k = key_of(&key, field, term);
    const qd_node_stats *s = qd_buf_status(&key) ? NULL : qd_map_get(map, k);
    qd_buf_fini(&key);
    return s;
}

static void drop_map(void *arg)
{
    qd_map_fini(arg);
}

static qd_map *make_map(search_run *x, qd_err *err)
{
    qd_map *map = qd_arena_calloc(x->r->arena, sizeof *map);
    qd_node_global_stats *stats = qd_arena_calloc(x->r->arena, sizeof *stats);
    if (map && stats) qd_map_init(map, x->a->account);
    if (!map || !stats || qd_arena_on_reset(x->r->arena, drop_map, map)) {
        (void)qd_err_nomem(err, "statistics of terms");
        return NULL;
    }
    *stats = (qd_node_global_stats){find, map};
    x->stats = stats;
    return map;
}

/* Adds what the shards of this run know. A shard that fails says so in the query phase. */
static int add_shards(search_run *x, summing *m, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < x->nshards && !rc; i++) {
        qd_plan *p;
        qd_err why;
        search_shard *s = &x->shards[i];
        if (s->copies && !s->shard) continue; /* another node's */
        qd_err_init(&why);
        if (!qdi_search_shard_plan(x, s, &p, &why)) {
            rc = qd_plan_terms(p, add, m, err);
            for (uint32_t k = 0; k < x->r->nrescores && !rc; k++)
                if (!qdi_rescore_plan(x, s, s->index->rescores[k], &p, &why))
                    rc = qd_plan_terms(p, add, m, err);
            if (rc == QD_E_NOMEM) rc = qd_err_nomem(err, "statistics of terms");
        }
        qd_err_fini(&why);
    }
    return rc;
}

static int add_all(summing *m, const search_stat *at, uint32_t n, qd_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        if (add(m, at[i].field, at[i].term, &at[i].stats)) {
            return qd_err_nomem(err, "statistics of terms");
        }
    }
    return 0;
}

/* What stands in the map, as a list. */
static int list(const search_run *x, const qd_map *map, search_stat **out, uint32_t *n, qd_err *err)
{
    search_stat *at = qd_arena_alloc(x->r->arena, (map->n + 1) * sizeof *at);
    size_t pos = 0;
    if (!at) return qd_err_nomem(err, "statistics of terms");
    *n = 0;
    for (const qd_map_entry *e; (e = qd_map_next(map, &pos));) {
        size_t field = strlen(e->key.p); /* "field\0term" */
        at[(*n)++] =
            (search_stat){qd_str_sub(e->key, 0, field), qd_str_sub(e->key, field + 1, e->key.n),
                          *(const qd_node_stats *)e->value};
    }
    *out = at;
    return 0;
}

/* --- other nodes --- */

static int add_answer(qd_asks *q, search_target *t, summing *m, qd_err *err)
{
    qd_str bytes;
    uint16_t version;
    qd_body_reader r;
    search_stat *at;
    uint32_t n;
    int rc = qdi_answer(q, t->question, &bytes, &version, NULL);
    if (rc == QD_E_TIMEOUT || rc == QD_E_CLOSED) qdi_target_silent(m->x, t);
    if (rc) return 0; /* the query phase tells why */
    qd_body_reader_init(&r, bytes, "statistics of terms", version);
    qdi_stats_read(&r, m->x->r->arena, &at, &n);
    return qd_body_reader_bad(&r) ? 0 : add_all(m, at, n, err);
}

static int add_others(search_run *x, summing *m, qd_err *err)
{
    search_target *first = NULL;
    qd_asks *q = NULL;
    uint32_t n = 0;
    int rc = qdi_targets_of_others(x, &first, &n, err);
    if (!rc && n) rc = qdi_search_ask(x, n, &q, err);
    if (rc || !n) return rc;
    for (search_target *t = first; t && !rc; t = t->next) {
        rc = qdi_ask_part(x, t, QD_ACTION_SEARCH_DFS, q, err);
    }
    qdi_asks_wait(q);
    for (search_target *t = first; t && !rc; t = t->next) rc = add_answer(q, t, m, err);
    qdi_asks_end(q);
    return rc;
}

/* --- the phase --- */

int qdi_search_dfs(search_run *x, qd_err *err)
{
    summing m = {.x = x, .map = make_map(x, err)};
    const qd_node_global_stats *sums = x->stats;
    if (!m.map) return QD_E_NOMEM;
    x->stats = NULL; /* the shards' own until all are known */
    qd_buf_init(&m.key, x->a->account, 131072);
    int rc = add_shards(x, &m, err);
    if (!rc) rc = add_others(x, &m, err);
    if (!rc) rc = list(x, m.map, &x->dfs, &x->ndfs, err);
    qd_buf_fini(&m.key);
    if (!rc) x->stats = sums;
    return rc;
}

int qdi_part_dfs(search_run *x, search_stat **out, uint32_t *n, qd_err *err)
{
    summing m = {.x = x, .map = make_map(x, err)};
    if (!m.map) return QD_E_NOMEM;
    x->stats = NULL;
    qd_buf_init(&m.key, x->a->account, 131072);
    int rc = add_shards(x, &m, err);
    if (!rc) rc = list(x, m.map, out, n, err);
    qd_buf_fini(&m.key);
    return rc;
}

int qdi_part_stats(search_run *x, const search_part *p, qd_err *err)
{
    if (!p->nstats) return 0;
    summing m = {.x = x, .map = make_map(x, err)};
    if (!m.map) return QD_E_NOMEM;
    qd_buf_init(&m.key, x->a->account, 131072);
    int rc = add_all(&m, p->stats, p->nstats, err);
    qd_buf_fini(&m.key);
    return rc;
}
