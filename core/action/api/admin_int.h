/* admin_int.h: what the APIs about the node and the cluster share. */
#ifndef QD_ACTION_ADMIN_INT_H
#define QD_ACTION_ADMIN_INT_H

#include "action/action_int.h"

/* compatibility.identity, in the order of the setting's values. */
typedef enum qdi_product {
    QDI_ES7,
    QDI_ES8,
    QDI_ES9,
    QDI_OS2,
    QDI_OS3,
    QDI_ES7102,
} qdi_product;

/* What clients are told about the product. */
typedef struct qdi_identity {
    qdi_product product;
    bool opensearch;                   /* OpenSearch's layouts: cluster_manager instead of master */
    const char *name;                  /* "es8" */
    qd_str number;                     /* compatibility.version, or the identity's own */
    const char *lucene, *wire, *index; /* versions told at GET / */
    const char *build_date;
    const char *tagline;
    const char *build_hash;
} qdi_identity;

/* The identity that the configuration asks for; texts live as long as the configuration. */
void qdi_identity_get(const qd_actions *a, qdi_identity *out);
/* Does the identity tell unassigned primaries (Elasticsearch since 8.16)? */
static inline bool qdi_identity_unassigned_primaries(const qdi_identity *id)
{
    return id->product == QDI_ES8 || id->product == QDI_ES9;
}

/* Names of a node's roles in order of the alphabet, as elements of the open array. */
void qdi_roles_write(const qdi_identity *id, qd_str letters, qd_json_writer *w);
/* The same as member "roles" of the open object. */
void qdi_roles_member(const qdi_identity *id, qd_str letters, qd_json_writer *w);
/* A node's attributes as member "attributes" of the open object. */
void qdi_attributes_member(const qd_node_meta *n, qd_json_writer *w);
/* A node as member of the open "nodes", by its id. */
void qdi_node_member(const qdi_identity *id, const qd_node_meta *n, qd_json_writer *w);
/* Host part of "host:port". */
qd_str qdi_host_of(qd_str address);
/* Port of "host:port", 0 when there is none. */
int64_t qdi_port_of(qd_str address);
/* Milliseconds since 1970 as "2026-01-31T10:20:30.123Z"; returns out. */
const char *qdi_time_text(int64_t wall_ms, char out[48]);
/* Is `name` in a comma-separated list of names and patterns? An empty list: yes. */
bool qdi_listed(qd_str list, qd_str name);
/* The elected master, the node whose allocator leads; NULL: there is none. */
const qd_node_meta *qdi_master(const qd_state *s);
/* Is it the elected master? */
bool qdi_is_master(const qd_actions *a, qd_str node);
/* Writes "_nodes":{"total":…,"successful":…,"failed":…}. */
void qdi_nodes_header(qd_json_writer *w, uint32_t total, uint32_t failed);
/* Is a node meant by node filters (ids, names, addresses, _local, _master, _all, roles like
 * data:true, attributes like zone:a)? */
bool qdi_node_wanted(const qd_actions *a, qd_str filter, const qd_node_meta *node);
/* "adaptive_selection" of _nodes/stats: a member for each node whose searches this one knows. [any]
 */
void qdi_copies_write(qd_actions *a, qd_json_writer *w);
/* "key": milliseconds, and with human "name": text of the same, as Elasticsearch pairs them. */
void qdi_write_ms(qd_json_writer *w, bool human, const char *name, const char *key, uint64_t ns);
/* "key": bytes, and with human "name": text of the same. */
void qdi_write_bytes(qd_json_writer *w, bool human, const char *name, const char *key,
                     int64_t bytes);

/* An answer of JSON as YAML, appended to out (action/api/yaml.c). 0, QD_E_XCONTENT, the buffer's
 * error.
 */
int qdi_yaml_from_json(qd_str json, qd_buf *out);

/* Counts of shards of one index, or of a cluster. */
typedef struct qdi_health {
    qd_health status;
    uint32_t nodes, data_nodes, full_nodes; /* full: they refuse writes for want of room */
    uint32_t active_primaries, active, relocating, initializing, unassigned, unassigned_primaries;
} qdi_health;
/* Health of one index. */
void qdi_health_of_index(const qd_state *s, const qd_index_meta *m, qdi_health *out);
/* Health over the given indices. */
void qdi_health_of(const qd_state *s, const qd_resolved *r, qdi_health *out);
/* Is a copy not assigned because the index waits for the node that held it? (at wall clock) */
bool qdi_copy_delayed(const qd_state *s, const qd_index_meta *m, const qd_copy *c, int64_t now_ms);
/* Share of active shards in percent: 100 when there is none. */
double qdi_health_percent(const qdi_health *h);

/* Warns of each of these settings (sealed) that has no effect in this version. */
void qdi_warn_settings(qd_request *q, const qd_schema *schema, const qd_settings *s);

#endif
