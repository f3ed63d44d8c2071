/*
 * allocator_expand.c: index.auto_expand_replicas: as data nodes come and go, and filters change,
 * the number of replicas follows those that may hold the index.
 */
#include "base/log.h"
#include "base/str.h"
#include "cluster/allocation/allocator_int.h"
#include "cluster/index_rules.h"

/* A value of an older record that cannot be read counts as false. */
static bool expands(const qd_index_meta *m, qd_auto_expand *x)
{
    qd_err unread;
    qd_str text = qd_values_text(m->values, QD_IX_AUTO_EXPAND_REPLICAS);
    if (!text.n || qd_str_is(text, "false")) return false;
    qd_err_init(&unread);
    bool on = qd_index_auto_expand_parse(text, x, &unread) == 0 && x->on;
    qd_err_fini(&unread);
    return on;
}

int qdi_allocator_expand(qd_allocator *a, const qd_state *s, const qd_alloc_view *view, uint32_t *n,
                         qd_err *err)
{
    int rc = 0;
    *n = 0;
    for (uint32_t i = 0; i < s->n && !rc; i++) {
        const qd_index_meta *m = s->indices[i];
        qd_auto_expand x;
        uint32_t nodes;
        if (!expands(m, &x) || !(nodes = qd_alloc_nodes_for(view, i))) continue;
        uint32_t wanted = qd_auto_expand_replicas(&x, nodes);
        if (wanted == m->replicas) continue;
        rc = qdi_cluster_replicas(a->c, qd_str_c(m->uuid), wanted, err);
        if (rc == QD_E_INDEX_NOT_FOUND || rc == QD_E_VALIDATION || rc == QD_E_ARG) {
            /* deleted meanwhile, or more shards than the cluster may have: others go on */
            qd_log_warn(CLUSTER_LOG, "[%.*s] does not get %u replicas: %s", QD_STR_ARG(m->name),
                        wanted, qd_err_reason(err));
            qd_err_fini(err);
            qd_err_init(err);
            rc = 0;
            continue;
        }
        if (rc) break;
        ++*n;
        qd_log_info(CLUSTER_LOG, "[%.*s] has %u replicas for %u data nodes that may hold it",
                    QD_STR_ARG(m->name), wanted, nodes);
    }
    return rc;
}
