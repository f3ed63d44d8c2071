/* indices_ops.c: refresh, flush, force merge. */
#include "action/indices_int.h"
#include "base/str.h"

#define OPS_OPTIONS (QD_EXPAND_OPEN | QD_ALLOW_NO_INDICES | QD_FORBID_CLOSED)
#define GATE_MS 60000

int qdi_each_shard(qd_request *q, const qd_resolved *r,
                   int (*fn)(void *arg, qd_shard *s, qd_engine *e, qd_err *err), void *arg,
                   shard_counts *out, qd_err *err)
{
    *out = (shard_counts){0};
    for (uint32_t i = 0; i < r->n; i++) {
        const qd_index_meta *m = r->at[i];
        for (uint32_t k = 0; k < m->shards; k++) {
            qd_err why;
            qd_engine *e;
            qd_shard *s = qd_shards_get(q->a->shards, m->uuid, k);
            out->total += m->replicas + 1;
            if (!s) continue;
            qd_err_init(&why);
            int rc = qd_shard_enter(s, GATE_MS, &e, &why);
            if (!rc) {
                rc = fn(arg, s, e, &why);
                qd_shard_leave(s);
            }
            out->successful += rc == 0;
            out->failed += rc != 0;
            qd_err_fini(&why);
            qd_shard_unref(s);
            if ((rc = qd_task_check(&q->task, err))) return rc;
        }
    }
    return 0;
}

static int each(qd_request *q, qd_response *r,
                int (*fn)(void *arg, qd_shard *s, qd_engine *e, qd_err *err), void *arg,
                qd_err *err)
{
    qd_resolved found;
    shard_counts n;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_param_indices(q, s, OPS_OPTIONS, &found, err);
    if (!rc) rc = qdi_each_shard(q, &found, fn, arg, &n, err);
    qd_state_unref(s);
    if (rc) return rc;
    qd_json_object(&r->w);
    qd_shards_write(&r->w, n.total, n.successful, n.failed);
    qd_json_object_end(&r->w);
    return 0;
}

static int refresh(void *arg, qd_shard *s, qd_engine *e, qd_err *err)
{
    (void)arg;
    (void)s;
    return qd_engine_refresh(e, err);
}

int qdi_api_indices_refresh(qd_request *q, qd_response *r, qd_err *err)
{
    return each(q, r, refresh, NULL, err);
}

static int flush(void *arg, qd_shard *s, qd_engine *e, qd_err *err)
{
    (void)s;
    return qd_engine_flush(e, *(bool *)arg, err);
}

int qdi_api_indices_flush(qd_request *q, qd_response *r, qd_err *err)
{
    bool force, wait;
    int rc = qd_param_bool(q, "force", false, &force, err);
    if (!rc) rc = qd_param_bool(q, "wait_if_ongoing", true, &wait, err);
    if (!rc && force && !wait) {
        rc = qd_err_set(err, QD_E_VALIDATION,
                        "Validation Failed: 1: wait_if_ongoing must be true for a force flush;");
    }
    return rc ? rc : each(q, r, flush, &force, err);
}

typedef struct merge_args {
    qd_request *q;
    uint32_t max_segments;
    bool only_deletes, flush;
} merge_args;

static int force_merge(void *arg, qd_shard *s, qd_engine *e, qd_err *err)
{
    merge_args *a = arg;
    (void)s;
    int rc = qd_engine_force_merge(e, a->max_segments, a->only_deletes, &a->q->task, err);
    return rc || !a->flush ? rc : qd_engine_flush(e, true, err);
}

int qdi_api_indices_forcemerge(qd_request *q, qd_response *r, qd_err *err)
{
    merge_args a = {.q = q};
    int64_t segments;
    int rc = qd_param_i64(q, "max_num_segments", -1, &segments, err);
    if (!rc) rc = qd_param_bool(q, "only_expunge_deletes", false, &a.only_deletes, err);
    if (!rc) rc = qd_param_bool(q, "flush", true, &a.flush, err);
    if (!rc && segments != -1 && a.only_deletes) {
        rc = qd_err_set(err, QD_E_VALIDATION,
                        "Validation Failed: 1: cannot set only_expunge_deletes and "
                        "max_num_segments at the same time, those two parameters are mutually "
                        "exclusive;");
    }
    if (rc) return rc;
    a.max_segments = segments > 0 ? (uint32_t)segments : 1;
    return each(q, r, force_merge, &a, err);
}
