/* indices.c: _cat/indices, _cat/aliases. */
#include "action/api/cat_table.h"
#include "action/indices/copy_stats.h"
#include "base/str.h"

#define CAT_INDICES_OPTIONS                                                                        \
    (QD_EXPAND_OPEN | QD_EXPAND_CLOSED | QD_ALLOW_NO_INDICES | QD_IGNORE_UNAVAILABLE)

void qdi_cat_stat(cat_table *t, const qdi_stats *s, size_t i)
{
    switch (qdi_stat_columns[i].kind) {
    case 'B':
        qdi_cat_bytes(t, s->v[i]);
        break;
    case 'T':
        qdi_cat_ns(t, s->v[i]);
        break;
    default:
        qdi_cat_int(t, s->v[i]);
    }
}

void qdi_cat_stat_columns(cat_table *t, bool pairs)
{
    for (size_t i = 0; i < QDI_STAT_COLUMNS; i++) {
        const qdi_stat_column *c = &qdi_stat_columns[i];
        qdi_cat_column(t, c->column, c->aliases, CAT_RIGHT | CAT_OFF | (pairs ? CAT_PRI : 0),
                       c->meaning);
        if (!pairs) continue;
        qd_str name = qd_arena_printf(t->q->arena, "pri.%s", c->column);
        if (!name.p) t->failed = QD_E_NOMEM;
        qdi_cat_column(t, name.p ? name.p : "", NULL, CAT_RIGHT | CAT_OFF, c->meaning);
    }
}

static void columns(cat_table *t, const qdi_identity *id)
{
    static const cat_column list[] = {
        {"health", "h", "current health status", 0},
        {"status", "s", "open/close status", 0},
        {"index", "i,idx", "index name", 0},
        {"uuid", "id,uuid", "index uuid", 0},
        {"pri", "p,shards.primary,shardsPrimary", "number of primary shards", CAT_RIGHT},
        {"rep", "r,shards.replica,shardsReplica", "number of replica shards", CAT_RIGHT},
        {"docs.count", "dc,docsCount", "available docs", CAT_RIGHT},
        {"docs.deleted", "dd,docsDeleted", "deleted docs", CAT_RIGHT},
        {"creation.date", "cd", "index creation date (millisecond value)", CAT_OFF},
        {"creation.date.string", "cds", "index creation date (as string)", CAT_OFF},
        {"store.size", "ss,storeSize", "store size of primaries & replicas", CAT_RIGHT | CAT_PRI},
        {"pri.store.size", NULL, "store size of primaries", CAT_RIGHT},
    };
    qdi_cat_columns(t, list, QD_COUNT_OF(list));
    if (id->product == QDI_ES8 || id->product == QDI_ES9) {
        qdi_cat_column(t, "dataset.size", NULL, CAT_RIGHT, "total size of dataset");
    }
    qdi_cat_stat_columns(t, true);
    qdi_cat_column(t, "search.throttled", "sth", CAT_OFF,
                   "indicates if the index is search throttled");
}

static void row(cat_table *t, const qdi_identity *id, const qd_state *s, const copy_stats_list *f,
                const qd_index_meta *m)
{
    char date[48];
    qdi_stats pri, all;
    uint32_t open;
    qdi_copy_stats_sum(f, s, m, &pri, &all, &open);
    bool known = open > 0 && !m->closed;
    qdi_cat_c(t, qd_health_name(qd_index_health(s, m)));
    qdi_cat_c(t, m->closed ? "close" : "open");
    qdi_cat_str(t, m->name);
    qdi_cat_c(t, m->uuid);
    qdi_cat_int(t, m->shards);
    qdi_cat_int(t, m->replicas);
    known ? qdi_cat_int(t, pri.v[QDI_DOCS]) : qdi_cat_null(t);
    known ? qdi_cat_int(t, pri.v[QDI_DOCS_DELETED]) : qdi_cat_null(t);
    qdi_cat_int(t, m->created_ms);
    qdi_cat_c(t, qdi_time_text(m->created_ms, date));
    int sizes = id->product == QDI_ES8 || id->product == QDI_ES9 ? 3 : 2;
    for (int i = 0; i < sizes; i++) {
        known ? qdi_cat_bytes(t, (i ? &pri : &all)->v[QDI_STORE]) : qdi_cat_null(t);
    }
    for (size_t i = 0; i < QDI_STAT_COLUMNS; i++) {
        for (int k = 0; k < 2; k++) {
            known ? qdi_cat_stat(t, k ? &pri : &all, i) : qdi_cat_null(t);
        }
    }
    qdi_cat_c(t, "false");
}

/* The ?health filter: -1 none. */
static int health_param(const qd_request *q, int *out, qd_err *err)
{
    qd_str v = qd_param(q, "health");
    *out = -1;
    if (!v.n) return 0;
    for (int i = QD_HEALTH_GREEN; i <= QD_HEALTH_RED; i++) {
        if (qd_str_ieq(v, qd_str_c(qd_health_name((qd_health)i)))) *out = i;
    }
    return *out >= 0
               ? 0
               : qd_err_set(err, QD_E_ARG, "unknown cluster health status [%.*s]", QD_STR_ARG(v));
}

int qdi_api_cat_indices(qd_request *q, qd_response *r, qd_err *err)
{
    cat_table t;
    qdi_identity id;
    qd_resolved found;
    copy_stats_list f;
    int health;
    qdi_identity_get(q->a, &id);
    qdi_cat_init(&t, q);
    columns(&t, &id);
    if (qdi_cat_help(&t, r)) return 0;
    qd_state *s = qd_cluster_state(q->a->cluster);
    qd_str names = qd_param(q, "index");
    bool named = names.n && qd_str_find(names, '*') < 0;
    uint32_t options = CAT_INDICES_OPTIONS & ~(named ? (uint32_t)QD_IGNORE_UNAVAILABLE : 0);
    int rc = health_param(q, &health, err);
    if (!rc) rc = qd_param_indices(q, s, options, &found, err);
    if (!rc) rc = qdi_copy_stats_collect(q, s, &found, 0, &f, err);
    for (uint32_t i = 0; !rc && i < found.n; i++) {
        if (health >= 0 && (int)qd_index_health(s, found.at[i]) != health) continue;
        row(&t, &id, s, &f, found.at[i]);
    }
    qd_state_unref(s);
    if (rc) {
        qdi_cat_fini(&t);
        return rc;
    }
    return qdi_cat_end(&t, r, err);
}

/* --- aliases --- */

static void alias_row(cat_table *t, const qd_index_meta *m, const qd_alias *a)
{
    qdi_cat_str(t, a->name);
    qdi_cat_str(t, m->name);
    qdi_cat_c(t, a->filter.n ? "*" : "-");
    qdi_cat_str(t, a->index_routing.n ? a->index_routing : QD_STR("-"));
    qdi_cat_str(t, a->search_routing.n ? a->search_routing : QD_STR("-"));
    qdi_cat_c(t, a->is_write_index < 0 ? "-" : a->is_write_index ? "true" : "false");
}

int qdi_api_cat_aliases(qd_request *q, qd_response *r, qd_err *err)
{
    cat_table t;
    static const cat_column list[] = {
        {"alias", "a", "alias name", 0},
        {"index", "i,idx", "index alias points to", 0},
        {"filter", "f,fi", "filter", 0},
        {"routing.index", "ri,routingIndex", "index routing", 0},
        {"routing.search", "rs,routingSearch", "search routing", 0},
        {"is_write_index", "w,isWriteIndex", "write index", 0},
    };
    uint32_t options = QD_INDICES_ALL | QD_EXPAND_HIDDEN;
    if (qdi_cat_begin(&t, q, list, QD_COUNT_OF(list), r)) return 0;
    qd_str expand = qd_param(q, "expand_wildcards");
    int rc = expand.n ? qd_state_expand_parse(expand, &options, err) : 0;
    if (rc) {
        qdi_cat_fini(&t);
        return rc;
    }
    qd_state *s = qd_cluster_state(q->a->cluster);
    for (uint32_t i = 0; i < s->n; i++) {
        const qd_index_meta *m = s->indices[i];
        bool hidden = qd_values_bool(m->values, QD_IX_HIDDEN);
        for (uint32_t k = 0; k < m->naliases; k++) {
            const qd_alias *a = &m->aliases[k];
            if ((hidden || a->is_hidden) && !(options & QD_EXPAND_HIDDEN)) continue;
            if (qdi_listed(qd_param(q, "name"), a->name)) alias_row(&t, m, a);
        }
    }
    qd_state_unref(s);
    return qdi_cat_end(&t, r, err);
}
