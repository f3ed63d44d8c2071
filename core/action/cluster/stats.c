/* stats.c: GET /_cluster/stats: sums over indices and nodes. */
#include "action/cluster/stats_analysis.h"
#include "action/indices/copy_stats.h"
#include "action/nodes/nodes_int.h"
#include "base/str.h"
#include <string.h>

static void open_part(qd_json_writer *w, const char *name)
{
    qd_json_key_c(w, name);
    qd_json_object(w);
}

typedef struct spread {
    double least, most, sum;
    uint32_t n;
} spread;

static void spread_add(spread *x, double v)
{
    if (!x->n || v < x->least) x->least = v;
    if (!x->n || v > x->most) x->most = v;
    x->sum += v;
    x->n++;
}

static void write_spread(qd_json_writer *w, const char *name, bool counts, const spread *x)
{
    open_part(w, name);
    if (counts) {
        qd_json_field_int(w, "min", (int64_t)x->least);
        qd_json_field_int(w, "max", (int64_t)x->most);
    } else {
        qd_json_field_double(w, "min", x->least);
        qd_json_field_double(w, "max", x->most);
    }
    qd_json_field_double(w, "avg", x->n ? x->sum / x->n : 0);
    qd_json_object_end(w);
}

static double replication(uint32_t total, uint32_t primaries)
{
    return primaries ? (double)(total - primaries) / primaries : 0;
}

/* Shards, and how they spread over indices. */
static void write_shards(const qd_state *s, qd_json_writer *w)
{
    uint32_t total = 0, primaries = 0;
    spread all = {0}, first = {0}, copies = {0};
    for (uint32_t i = 0; i < s->n; i++) {
        qdi_health h;
        qdi_health_of_index(s, s->indices[i], &h);
        total += h.active;
        primaries += h.active_primaries;
        if (!h.active) continue;
        spread_add(&all, h.active);
        spread_add(&first, h.active_primaries);
        spread_add(&copies, replication(h.active, h.active_primaries));
    }
    open_part(w, "shards");
    if (total) {
        qd_json_field_int(w, "total", total);
        qd_json_field_int(w, "primaries", primaries);
        qd_json_field_double(w, "replication", replication(total, primaries));
        open_part(w, "index");
        write_spread(w, "shards", true, &all);
        write_spread(w, "primaries", true, &first);
        write_spread(w, "replication", false, &copies);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
}

typedef struct type_counts {
    qd_json_writer *w;
    const char *name[64];
    uint32_t count[64], indices[64], last[64], n, index;
} type_counts;

static int count_field(void *arg, const qd_field *f)
{
    type_counts *t = arg;
    const char *name = qd_field_type_name(f);
    uint32_t i = 0;
    if (f->implied) return 0;
    while (i < t->n && strcmp(t->name[i], name) != 0) i++;
    if (i == QD_COUNT_OF(t->name)) return 0;
    if (i == t->n) {
        t->name[t->n++] = name;
        t->last[i] = UINT32_MAX;
    }
    t->count[i]++;
    if (t->last[i] != t->index) t->indices[i]++;
    t->last[i] = t->index;
    return 0;
}

static void write_mappings(const qd_request *q, const qd_state *s, qd_json_writer *w)
{
    type_counts *t = qd_arena_calloc(q->arena, sizeof *t);
    qdi_identity id;
    qdi_identity_get(q->a, &id);
    bool newer = id.product == QDI_ES8 || id.product == QDI_ES9;
    open_part(w, "mappings");
    qd_json_key_c(w, "field_types");
    qd_json_array(w);
    for (uint32_t i = 0; t && i < s->n; i++) {
        t->index = i;
        int rc = qd_mapping_match(s->indices[i]->mapping, QD_STR("*"), count_field, t);
        (void)rc; /* count_field never stops it */
    }
    for (uint32_t i = 0; t && i < t->n; i++) {
        qd_json_object(w);
        qd_json_field_c(w, "name", t->name[i]);
        qd_json_field_int(w, "count", t->count[i]);
        qd_json_field_int(w, "index_count", t->indices[i]);
        qd_json_field_int(w, "script_count", 0);
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
    if (newer) {
        qd_json_key_c(w, "runtime_field_types"); /* there are none */
        qd_json_array(w);
        qd_json_array_end(w);
        open_part(w, "source_modes");
        if (s->n) qd_json_field_int(w, "stored", s->n);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
}

/* Nothing counts these, and elasticsearch-java reads no answer that lacks them. */
static void write_uncounted(qd_json_writer *w)
{
    static const char *const vectors[] = {"dense_vector", "sparse_vector"};
    static const char *const kinds[] = {"queries", "rescorers", "sections", "retrievers"};
    for (size_t i = 0; i < QD_COUNT_OF(vectors); i++) {
        open_part(w, vectors[i]);
        qd_json_field_int(w, "value_count", 0);
        qd_json_object_end(w);
    }
    open_part(w, "search");
    qd_json_field_int(w, "total", 0);
    for (size_t i = 0; i < QD_COUNT_OF(kinds); i++) {
        open_part(w, kinds[i]);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
}

/* There are no snapshots, and searches of other clusters are not counted. */
static void write_elsewhere(qd_json_writer *w)
{
    static const char *const now[] = {"snapshots", "shard_snapshots", "snapshot_deletions",
                                      "concurrent_operations", "cleanups"};
    static const char *const numbers[] = {"total", "success", "skipped"};
    static const char *const parts[] = {
        "took",     "took_mrt_true", "took_mrt_false", "failure_reasons",
        "features", "clients",       "clusters"};
    open_part(w, "snapshots");
    open_part(w, "current_counts");
    for (size_t i = 0; i < QD_COUNT_OF(now); i++) qd_json_field_int(w, now[i], 0);
    qd_json_object_end(w);
    open_part(w, "repositories");
    qd_json_object_end(w);
    qd_json_object_end(w);
    open_part(w, "repositories");
    qd_json_object_end(w);
    open_part(w, "ccs");
    open_part(w, "_search");
    for (size_t i = 0; i < QD_COUNT_OF(numbers); i++) qd_json_field_int(w, numbers[i], 0);
    qd_json_field_int(w, "remotes_per_search_max", 0);
    qd_json_field_double(w, "remotes_per_search_avg", 0);
    for (size_t i = 0; i < QD_COUNT_OF(parts); i++) {
        open_part(w, parts[i]);
        if (i < 3) {
            qd_json_field_int(w, "max", 0);
            qd_json_field_int(w, "avg", 0);
            qd_json_field_int(w, "p90", 0);
        }
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static void write_indices(qd_request *q, const qdi_identity *id, const qd_state *s,
                          const copy_stats_list *f, qd_json_writer *w)
{
    qdi_stats sum, docs = {0};
    bool newer = id->product == QDI_ES8 || id->product == QDI_ES9;
    qdi_copy_stats_node(f, QD_STR(""), &sum);
    for (uint32_t i = 0; i < s->n; i++) {
        qdi_stats primaries, all;
        uint32_t open;
        qdi_copy_stats_sum(f, s, s->indices[i], &primaries, &all, &open);
        qdi_stats_add(&docs, &primaries);
    }
    open_part(w, "indices");
    qd_json_field_int(w, "count", s->n);
    write_shards(s, w);
    /* a document counts once, the rest is what its copies take */
    qdi_sections_write(q, id, &docs, QDI_SEC_DOCS, w);
    qdi_sections_write(q, id, &sum,
                       QDI_SEC_STORE | QDI_SEC_FIELDDATA | QDI_SEC_QUERY_CACHE |
                           QDI_SEC_COMPLETION | QDI_SEC_SEGMENTS,
                       w);
    write_mappings(q, s, w);
    qdi_stats_analysis_write(q, s, w);
    if (newer) write_uncounted(w);
    qd_json_object_end(w);
}

int qdi_api_cluster_stats(qd_request *q, qd_response *r, qd_err *err)
{
    qdi_identity id;
    node_counts counts;
    qdi_node_sums *nodes = NULL;
    qdi_health h;
    qd_resolved all;
    copy_stats_list f;
    qdi_identity_get(q->a, &id);
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_state_resolve(s, (qd_str){NULL, 0}, QD_INDICES_ALL | QD_EXPAND_HIDDEN, q->arena,
                              &all, err);
    if (!rc) rc = qdi_copy_stats_collect(q, s, NULL, 0, &f, err);
    if (!rc) rc = qdi_node_sums_get(q, s, qd_param(q, "node_id"), &counts, &nodes, err);
    if (!rc) {
        qdi_health_of(s, &all, &h);
        qd_json_object(&r->w);
        /* the same nodes were asked for their shards, unless some were named */
        bool both = counts.total == s->nnodes && f.nodes_failed > counts.failed;
        qdi_nodes_header(&r->w, counts.total, both ? f.nodes_failed : counts.failed);
        qd_json_field_str(&r->w, "cluster_name", qd_cluster_name(q->a->cluster));
        qd_json_field_c(&r->w, "cluster_uuid", s->uuid);
        qd_json_field_int(&r->w, "timestamp", qd_env_wall_ms(q->a->env));
        qd_json_field_c(&r->w, "status", qd_health_name(h.status));
        write_indices(q, &id, s, &f, &r->w);
        qdi_node_sums_write(q, &id, s, nodes, &r->w);
        if (id.product == QDI_ES8 || id.product == QDI_ES9) write_elsewhere(&r->w);
        qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    return rc;
}
