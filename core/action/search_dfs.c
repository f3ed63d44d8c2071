/*
 * search_dfs.c: search_type=dfs_query_then_fetch: statistics of the query's terms, summed over all
 * shards before any of them scores.
 */
#include "action/search_part_int.h"
#include "base/map.h"
#include "base/str.h"

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

int qdi_search_dfs(search_run *x, qd_err *err)
{
    summing m = {.x = x, .map = make_map(x, err)};
    const qd_node_global_stats *sums = x->stats;
    if (!m.map) return QD_E_NOMEM;
    x->stats = NULL; /* the shards' own until all are known */
    qd_buf_init(&m.key, x->a->account, 131072);
    int rc = 0;
    for (uint32_t i = 0; i < x->nshards && !rc; i++) {
        qd_plan *p;
        qd_err why; /* a shard that fails says so in the query phase */
        qd_err_init(&why);
        if (!qdi_search_shard_plan(x, &x->shards[i], &p, &why)) {
            rc = qd_plan_terms(p, add, &m, err);
            if (rc == QD_E_NOMEM) rc = qd_err_nomem(err, "statistics of terms");
        }
        qd_err_fini(&why);
    }
    qd_buf_fini(&m.key);
    if (!rc) x->stats = sums;
    return rc;
}

int qdi_part_stats(search_run *x, const search_part *p, qd_err *err)
{
    int rc = 0;
    if (!p->nstats) return 0;
    summing m = {.x = x, .map = make_map(x, err)};
    if (!m.map) return QD_E_NOMEM;
    qd_buf_init(&m.key, x->a->account, 131072);
    for (uint32_t i = 0; i < p->nstats && !rc; i++) {
        rc = add(&m, p->stats[i].field, p->stats[i].term, &p->stats[i].stats);
    }
    qd_buf_fini(&m.key);
    return rc ? qd_err_nomem(err, "statistics of terms") : 0;
}
