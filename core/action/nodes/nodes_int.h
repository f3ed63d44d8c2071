/* nodes_int.h: what _nodes, _nodes/stats and _cluster/stats share. */
#ifndef QD_ACTION_NODES_INT_H
#define QD_ACTION_NODES_INT_H

#include "action/api/node_part.h"
#include "action/indices/stats_int.h"

/* Machine and process at one moment. */
typedef struct qdi_machine {
    uint64_t disk_total, disk_available;
    uint64_t memory_total, memory_available, memory_limit;
    int64_t node_memory; /* what the node plans with */
    int64_t used;        /* bytes of all accounts */
    uint64_t rss, virtual_size, cpu_ns;
    uint64_t files, files_max;
    int cpu_percent; /* -1: unknown */
    bool load_known;
    double load[3];
    uint64_t uptime_ns;
} qdi_machine;
/* Looks at them. [worker] */
void qdi_machine_get(const qd_actions *a, qdi_machine *out);

/* "mem" as _nodes/stats/os has it, as member of the open object. */
void qdi_machine_write_memory(const qd_request *q, const qdi_machine *m, qd_json_writer *w);
/* Plugins as elements of the open array: loaded ones, or the built-in parts. */
void qdi_plugins_write(const qd_actions *a, const qdi_identity *id, bool builtin,
                       qd_json_writer *w);

/* Numbers of nodes for _cluster/stats, added up. */
typedef struct qdi_node_sums qdi_node_sums;
/* Asks the nodes that filter names (none: all); *out lives in the request's arena. QD_E_NOMEM */
QD_MUST_CHECK
int qdi_node_sums_get(qd_request *q, const qd_state *s, qd_str filter, node_counts *counts,
                      qdi_node_sums **out, qd_err *err);
/* "nodes" of _cluster/stats, as member of the open object. */
void qdi_node_sums_write(const qd_request *q, const qdi_identity *id, const qd_state *s,
                         const qdi_node_sums *x, qd_json_writer *w);

#endif
