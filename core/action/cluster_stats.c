/* cluster_stats.c: GET /_cluster/stats: sums over indices and nodes. */
#include "action/figures.h"
#include "action/nodes_int.h"
#include "base/str.h"
#include "runtime/cpu.h"
#include "runtime/proc.h"
#include <stdio.h>
#include <string.h>

static void open_part(qd_json_writer *w, const char *name)
{
    qd_json_key_c(w, name);
    qd_json_object(w);
}

static void min_max_avg(qd_json_writer *w, const char *name, double least, double most, double avg)
{
    open_part(w, name);
    qd_json_field_double(w, "min", least);
    qd_json_field_double(w, "max", most);
    qd_json_field_double(w, "avg", avg);
    qd_json_object_end(w);
}

/* Shards, and how they spread over indices. */
static void write_shards(const qd_state *s, qd_json_writer *w)
{
    uint32_t total = 0, primaries = 0, least = UINT32_MAX, most = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        qdi_health h;
        qdi_health_of_index(s, s->indices[i], &h);
        total += h.active;
        primaries += h.active_primaries;
        if (h.active < least) least = h.active;
        if (h.active > most) most = h.active;
    }
    open_part(w, "shards");
    if (total) {
        qd_json_field_int(w, "total", total);
        qd_json_field_int(w, "primaries", primaries);
        qd_json_field_double(w, "replication", (double)(total - primaries) / primaries);
        open_part(w, "index");
        double avg = (double)total / s->n;
        min_max_avg(w, "shards", least, most, avg);
        min_max_avg(w, "primaries", least, most, avg);
        min_max_avg(w, "replication", 0, 0, 0);
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
    qd_json_object_end(w);
}

static void write_analysis(qd_json_writer *w)
{
    static const char *const lists[] = {
        "char_filter_types",     "tokenizer_types",     "filter_types",     "analyzer_types",
        "built_in_char_filters", "built_in_tokenizers", "built_in_filters", "built_in_analyzers"};
    open_part(w, "analysis");
    for (size_t i = 0; i < QD_COUNT_OF(lists); i++) {
        qd_json_key_c(w, lists[i]);
        qd_json_array(w);
        qd_json_array_end(w);
    }
    qd_json_object_end(w);
}

static void write_indices(qd_request *q, const qdi_identity *id, const qd_state *s,
                          const figures *f, qd_json_writer *w)
{
    qdi_stats sum;
    qdi_figures_node(f, QD_STR(""), &sum);
    open_part(w, "indices");
    qd_json_field_int(w, "count", s->n);
    write_shards(s, w);
    qdi_sections_write(q, id, &sum,
                       QDI_SEC_DOCS | QDI_SEC_STORE | QDI_SEC_FIELDDATA | QDI_SEC_QUERY_CACHE |
                           QDI_SEC_COMPLETION | QDI_SEC_SEGMENTS,
                       w);
    write_mappings(q, s, w);
    write_analysis(w);
    qd_json_object_end(w);
}

/* --- nodes --- */

static void write_node_counts(const qdi_identity *id, const qd_state *s, qd_json_writer *w)
{
    static const struct {
        const char *role;
        char letter;
    } roles[] = {{"data", 'd'},
                 {"ingest", 'i'},
                 {"master", 'm'},
                 {"remote_cluster_client", 'r'},
                 {"cluster_manager", 'm'}};
    uint32_t none = 0;
    open_part(w, "count");
    qd_json_field_int(w, "total", s->nnodes);
    for (uint32_t k = 0; k < s->nnodes; k++) {
        none += qd_str_find(s->nodes[k].roles, 'd') < 0 &&
                qd_str_find(s->nodes[k].roles, 'i') < 0 && qd_str_find(s->nodes[k].roles, 'm') < 0;
    }
    qd_json_field_int(w, "coordinating_only", none);
    for (size_t i = 0; i < QD_COUNT_OF(roles) - !id->opensearch; i++) {
        uint32_t n = 0;
        for (uint32_t k = 0; k < s->nnodes; k++) {
            n += qd_str_find(s->nodes[k].roles, roles[i].letter) >= 0;
        }
        qd_json_field_int(w, roles[i].role, n);
    }
    qd_json_object_end(w);
}

static void one_count(qd_json_writer *w, const char *list, const char *key, const char *value)
{
    qd_json_key_c(w, list);
    qd_json_array(w);
    qd_json_object(w);
    qd_json_field_c(w, key, value);
    qd_json_field_int(w, "count", 1);
    qd_json_object_end(w);
    qd_json_array_end(w);
}

static void write_os(const qd_request *q, const qdi_machine *m, qd_json_writer *w)
{
    qd_machine_os os;
    int64_t processors = qd_config_i64(q->a->config, QD_SET_NODE_PROCESSORS);
    qd_machine_os_get(&os);
    open_part(w, "os");
    qd_json_field_int(w, "available_processors", qd_cpu_count());
    qd_json_field_int(w, "allocated_processors", processors ? processors : qd_cpu_count());
    one_count(w, "names", "name", os.name);
    one_count(w, "pretty_names", "pretty_name", os.pretty);
    one_count(w, "architectures", "arch", os.arch);
    qdi_machine_write_memory(q, m, w);
    qd_json_object_end(w);
}

static void write_process(const qdi_machine *m, qd_json_writer *w)
{
    open_part(w, "process");
    open_part(w, "cpu");
    qd_json_field_int(w, "percent", m->cpu_percent < 0 ? 0 : m->cpu_percent);
    qd_json_object_end(w);
    open_part(w, "open_file_descriptors");
    qd_json_field_int(w, "min", (int64_t)m->files);
    qd_json_field_int(w, "max", (int64_t)m->files);
    qd_json_field_int(w, "avg", (int64_t)m->files);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static void write_jvm(const qd_request *q, const qdi_machine *m, qd_json_writer *w)
{
    open_part(w, "jvm");
    qdi_write_ms(w, q->human, "max_uptime", "max_uptime_in_millis", m->uptime_ns);
    qd_json_key_c(w, "versions");
    qd_json_array(w);
    qd_json_array_end(w);
    open_part(w, "mem");
    qdi_write_bytes(w, q->human, "heap_used", "heap_used_in_bytes", m->used);
    qdi_write_bytes(w, q->human, "heap_max", "heap_max_in_bytes", m->node_memory);
    qd_json_object_end(w);
    qd_json_field_int(w, "threads", 0);
    qd_json_object_end(w);
}

static void write_nodes(const qd_request *q, const qdi_identity *id, const qd_state *s,
                        const qdi_machine *m, qd_json_writer *w)
{
    open_part(w, "nodes");
    write_node_counts(id, s, w);
    qd_json_key_c(w, "versions");
    qd_json_array(w);
    qd_json_str(w, id->number);
    qd_json_array_end(w);
    write_os(q, m, w);
    write_process(m, w);
    write_jvm(q, m, w);
    open_part(w, "fs");
    qdi_write_bytes(w, q->human, "total", "total_in_bytes", (int64_t)m->disk_total);
    qdi_write_bytes(w, q->human, "free", "free_in_bytes", (int64_t)m->disk_available);
    qdi_write_bytes(w, q->human, "available", "available_in_bytes", (int64_t)m->disk_available);
    qd_json_object_end(w);
    qd_json_key_c(w, "plugins");
    qd_json_array(w);
    qdi_plugins_write(q->a, id, false, w);
    qd_json_array_end(w);
    open_part(w, "network_types");
    static const char *const types[] = {"transport_types", "http_types"};
    for (size_t i = 0; i < 2; i++) {
        open_part(w, types[i]);
        qd_json_field_int(w, "quidditch", s->nnodes);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
    open_part(w, "discovery_types");
    qd_json_field_int(w, "raft", s->nnodes);
    qd_json_object_end(w);
    qd_json_key_c(w, "packaging_types");
    qd_json_array(w);
    qd_json_object(w);
    if (!id->opensearch) qd_json_field_c(w, "flavor", "default");
    qd_json_field_c(w, "type", "tar");
    qd_json_field_int(w, "count", s->nnodes);
    qd_json_object_end(w);
    qd_json_array_end(w);
    open_part(w, "ingest");
    qd_json_field_int(w, "number_of_pipelines", 0);
    open_part(w, "processor_stats");
    qd_json_object_end(w);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

int qdi_api_cluster_stats(qd_request *q, qd_response *r, qd_err *err)
{
    qdi_identity id;
    qdi_machine m;
    qdi_health h;
    qd_resolved all;
    figures f;
    qdi_identity_get(q->a, &id);
    qdi_machine_get(q->a, &m);
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_state_resolve(s, (qd_str){NULL, 0}, QD_INDICES_ALL | QD_EXPAND_HIDDEN, q->arena,
                              &all, err);
    if (!rc) rc = qdi_figures_collect(q, s, NULL, 0, &f, err);
    if (!rc) {
        qdi_health_of(s, &all, &h);
        qd_json_object(&r->w);
        qdi_nodes_header(&r->w, s->nnodes, f.nodes_failed);
        qd_json_field_str(&r->w, "cluster_name", qd_cluster_name(q->a->cluster));
        qd_json_field_c(&r->w, "cluster_uuid", s->uuid);
        qd_json_field_int(&r->w, "timestamp", qd_env_wall_ms(q->a->env));
        qd_json_field_c(&r->w, "status", qd_health_name(h.status));
        write_indices(q, &id, s, &f, &r->w);
        write_nodes(q, &id, s, &m, &r->w);
        qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    return rc;
}
