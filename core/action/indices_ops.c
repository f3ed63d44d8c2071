/* indices_ops.c: refresh, flush, force merge of all copies, wherever they are. */
#include "action/indices_int.h"
#include "action/scatter.h"
#include "action/served_int.h"
#include "base/str.h"
#include "replication/replication.h"
#include <string.h>

#define OPS_OPTIONS (QD_EXPAND_OPEN | QD_ALLOW_NO_INDICES | QD_FORBID_CLOSED)
#define GATE_MS 60000
#define TARGETS_MAX 1000000u

/* What is done to shards; travels between nodes. */
typedef struct shard_op {
    uint32_t action;
    bool force, only_deletes, flush;
    uint32_t max_segments;
} shard_op;

/* A shard that an operation is for. */
typedef struct shard_target {
    char uuid[QD_UUID_TEXT];
    uint32_t number;
} shard_target;

typedef struct operation {
    shard_op op;
    shard_target *at;
    uint32_t n;
} operation;

/* --- on one shard --- */

static int apply(const shard_op *o, qd_engine *e, qd_task *task, qd_err *err)
{
    if (o->action == QD_ACTION_SHARDS_REFRESH) return qd_engine_refresh(e, err);
    if (o->action == QD_ACTION_SHARDS_FLUSH) return qd_engine_flush(e, o->force, err);
    int rc = qd_engine_force_merge(e, o->max_segments, o->only_deletes, task, err);
    return rc || !o->flush ? rc : qd_engine_flush(e, true, err);
}

/* On all copies, by the primary; a replica has nothing to do for it. */
static int refresh(qd_actions *a, const shard_target *t, qd_err *err)
{
    qd_write_target to = {.uuid = t->uuid, .shard = t->number};
    int rc = qd_replication_refresh(a->replication, &to, QD_SEQ_NO_NONE, false, NULL, NULL, err);
    if (rc != QD_E_NOT_PRIMARY) return rc;
    if (err) qd_err_fini(err);
    return 0;
}

/* Does it to those of the targets that are here; pick: which (NULL: all n). */
static void apply_here(qd_actions *a, const operation *x, const uint32_t *pick, uint32_t n,
                       qd_task *task, shard_counts *out)
{
    for (uint32_t k = 0; k < n && !qd_task_poll(task); k++) {
        const shard_target *t = &x->at[pick ? pick[k] : k];
        qd_err why;
        qd_engine *e;
        qd_shard *s = qd_shards_get(a->shards, t->uuid, t->number);
        if (!s) continue;
        qd_err_init(&why);
        bool all = a->replication && x->op.action == QD_ACTION_SHARDS_REFRESH;
        int rc = all ? refresh(a, t, &why) : qd_shard_enter(s, GATE_MS, &e, &why);
        if (!rc && !all) {
            rc = apply(&x->op, e, task, &why);
            qd_shard_leave(s);
        }
        out->successful += rc == 0;
        out->failed += rc != 0;
        qd_err_fini(&why);
        qd_shard_unref(s);
    }
}

/* --- on all nodes --- */

static void encode(void *arg, const scatter_part *p, qd_writer *w)
{
    const operation *x = arg;
    qd_write_bool(w, x->op.force);
    qd_write_bool(w, x->op.only_deletes);
    qd_write_bool(w, x->op.flush);
    qd_write_varint(w, x->op.max_segments);
    qd_write_array(w, p->n);
    for (uint32_t k = 0; k < p->n; k++) {
        const shard_target *t = &x->at[p->pick[k]];
        qd_write_c(w, t->uuid);
        qd_write_varint(w, t->number);
    }
}

static int decode(qd_str body, uint16_t version, qd_arena *arena, operation *x, qd_err *err)
{
    qd_body_reader r;
    qd_body_reader_init(&r, body, "operation on shards", version);
    x->op.force = qd_read_bool(&r, "force");
    x->op.only_deletes = qd_read_bool(&r, "only_expunge_deletes");
    x->op.flush = qd_read_bool(&r, "flush");
    x->op.max_segments = (uint32_t)qd_read_varint_max(&r, "max_num_segments", UINT32_MAX);
    x->n = (uint32_t)qd_read_array(&r, "shards", TARGETS_MAX, 2);
    x->at = qd_arena_calloc(arena, (x->n + 1) * sizeof *x->at);
    if (!x->at) return qd_err_nomem(err, "operation on shards");
    for (uint32_t k = 0; k < x->n; k++) {
        qd_read_text(&r, "uuid of an index", x->at[k].uuid, sizeof x->at[k].uuid);
        x->at[k].number = (uint32_t)qd_read_varint_max(&r, "shard", UINT32_MAX);
    }
    return qd_body_reader_check(&r, err);
}

static void take_counts(const scatter_part *p, shard_counts *out)
{
    qd_body_reader r;
    qd_body_reader_init(&r, p->answer, "counts of shards", p->version);
    uint64_t good = p->err.code ? 0 : qd_read_varint_max(&r, "successful", p->n);
    uint64_t bad = p->err.code ? p->n : qd_read_varint_max(&r, "failed", p->n);
    out->successful += (uint32_t)good;
    out->failed += (uint32_t)(qd_body_reader_bad(&r) ? p->n - good : bad);
}

/* Every copy that serves is a target; total counts those that do not as well. */
static int targets(qd_request *q, const qd_state *s, const qd_resolved *found, operation *x,
                   scatter *nodes, shard_counts *out, qd_err *err)
{
    uint32_t room = 0;
    for (uint32_t i = 0; i < found->n; i++)
        room += found->at[i]->shards * (found->at[i]->replicas + 2);
    x->at = qd_arena_calloc(q->arena, (room + 1) * sizeof *x->at);
    if (!x->at) return qd_err_nomem(err, "operation on shards");
    qdi_scatter_init(nodes, q->a, &q->task, q->arena, room);
    int rc = 0;
    for (uint32_t i = 0; i < found->n && !rc; i++) {
        const qd_index_meta *m = found->at[i];
        out->total += m->shards * (m->replicas + 1);
        for (uint32_t k = 0; k < m->shards && !rc; k++) {
            const qd_shard_meta *r = qd_state_shard(s, m, k);
            for (uint32_t c = 0; r && c < r->ncopies && x->n < room && !rc; c++) {
                const qd_node_meta *node =
                    qd_copy_is_active(&r->copies[c]) ? qd_state_node(s, r->copies[c].node) : NULL;
                if (!node) continue;
                memcpy(x->at[x->n].uuid, m->uuid, sizeof x->at[x->n].uuid);
                x->at[x->n].number = k;
                rc = qdi_scatter_add(nodes, node, x->n++, err);
            }
        }
    }
    return rc;
}

void qdi_answer_shards(qd_response *r, const shard_counts *n)
{
    qd_json_object(&r->w);
    qd_shards_write(&r->w, n->total, n->successful, n->failed);
    qd_json_object_end(&r->w);
}

static int each(qd_request *q, qd_response *r, const shard_op *op, qd_err *err)
{
    qd_resolved found;
    shard_counts n = {0};
    operation x = {.op = *op};
    scatter nodes;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_param_indices(q, s, OPS_OPTIONS, &found, err);
    if (!rc) rc = targets(q, s, &found, &x, &nodes, &n, err);
    if (!rc) {
        qdi_scatter_send(&nodes, op->action, UINT32_MAX, encode, &x);
        const scatter_part *here = qdi_scatter_here(&nodes);
        if (here) apply_here(q->a, &x, here->pick, here->n, &q->task, &n);
        qdi_scatter_wait(&nodes);
        for (const scatter_part *p = nodes.parts; p; p = p->next) {
            if (p->node.n) take_counts(p, &n);
        }
        qdi_scatter_fini(&nodes);
        rc = qd_task_check(&q->task, err);
    }
    qd_state_unref(s);
    if (!rc) qdi_answer_shards(r, &n);
    return rc;
}

static void handle(qd_actions *a, qd_rpc_request *request, uint32_t action)
{
    qdi_served s;
    operation x = {.op.action = action};
    shard_counts n = {0};
    qdi_served_begin(&s, a, request, action, "operation on shards", 64);
    int rc = decode(s.body, s.version, &s.arena, &x, &s.err);
    if (!rc) {
        apply_here(a, &x, NULL, x.n, &s.task, &n);
        qd_write_varint(&s.out, n.successful);
        qd_write_varint(&s.out, n.failed);
        rc = qd_task_check(&s.task, &s.err);
    }
    qdi_served_end(&s, rc, "counts of shards");
}

void qdi_shards_refresh_handle(void *arg, qd_rpc_request *request)
{
    handle(arg, request, QD_ACTION_SHARDS_REFRESH);
}

void qdi_shards_flush_handle(void *arg, qd_rpc_request *request)
{
    handle(arg, request, QD_ACTION_SHARDS_FLUSH);
}

void qdi_shards_force_merge_handle(void *arg, qd_rpc_request *request)
{
    handle(arg, request, QD_ACTION_SHARDS_FORCE_MERGE);
}

/* --- the requests --- */

int qdi_api_indices_refresh(qd_request *q, qd_response *r, qd_err *err)
{
    return each(q, r, &(shard_op){.action = QD_ACTION_SHARDS_REFRESH}, err);
}

int qdi_api_indices_flush(qd_request *q, qd_response *r, qd_err *err)
{
    shard_op op = {.action = QD_ACTION_SHARDS_FLUSH};
    bool wait;
    int rc = qd_param_bool(q, "force", false, &op.force, err);
    if (!rc) rc = qd_param_bool(q, "wait_if_ongoing", true, &wait, err);
    if (!rc && op.force && !wait) {
        rc = qd_err_set(err, QD_E_VALIDATION,
                        "Validation Failed: 1: wait_if_ongoing must be true for a force flush;");
    }
    return rc ? rc : each(q, r, &op, err);
}

int qdi_api_indices_forcemerge(qd_request *q, qd_response *r, qd_err *err)
{
    shard_op a = {.action = QD_ACTION_SHARDS_FORCE_MERGE};
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
    return each(q, r, &a, err);
}
