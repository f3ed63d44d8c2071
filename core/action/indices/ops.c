/* ops.c: refresh, flush, force merge of all copies, wherever they are. */
#include "action/api/admin_int.h"
#include "action/indices/indices_int.h"
#include "action/transport/scatter.h"
#include "action/transport/served_int.h"
#include "base/str.h"
#include "replication/replication.h"
#include <string.h>

#define OPS_OPTIONS (QD_EXPAND_OPEN | QD_ALLOW_NO_INDICES | QD_FORBID_CLOSED)
#define GATE_MS 60000
#define TARGETS_MAX 1000000u
#define FAILURES_MAX 100u /* told each by itself */
#define NEWER_MS 250
#define MOVED_NS UINT64_C(10000000000) /* for a refresh to find the primary where it is by now */

/* What is done to shards; travels between nodes. */
typedef struct shard_op {
    uint32_t action;
    bool force, only_deletes, flush;
    bool primary_only; /* replicas get a primary's segments anyway */
    uint32_t max_segments;
} shard_op;

/* A copy that an operation is for; of a refresh the primary, which does it for all of its copies.
 */
typedef struct shard_target {
    char uuid[QD_UUID_TEXT];
    uint32_t number;
    /* not on other nodes: */
    qd_str index;
    const qd_node_meta *node;
    uint32_t copies; /* that it is done for */
} shard_target;

/* What came of it. */
typedef enum outcome {
    DONE,
    GONE, /* the copy is not there any more */
    FAILED
} outcome;
typedef struct result {
    outcome outcome;
    uint32_t failed; /* copies, of those it was done for */
    qd_err err;
} result;

typedef struct operation {
    shard_op op;
    shard_target *at;
    uint32_t n;
    /* of whoever asks: */
    shard_counts *counts;
    qd_arena *arena;
    uint32_t *todo, *again, ntodo, nagain; /* again: of refreshes, where the primary is by now */
    bool last;                             /* there is no time for more */
} operation;

/* --- on one shard --- */

static int apply(const shard_op *o, qd_engine *e, qd_task *task, qd_err *err)
{
    if (o->action == QD_ACTION_SHARDS_REFRESH) return qd_engine_refresh(e, err);
    if (o->action == QD_ACTION_SHARDS_FLUSH) return qd_engine_flush(e, o->force, err);
    int rc = qd_engine_force_merge(e, o->max_segments, o->only_deletes, task, err);
    return rc || !o->flush ? rc : qd_engine_flush(e, true, err);
}

/* On all copies, by the primary. */
static int refresh(qd_actions *a, const shard_target *t, result *out)
{
    qd_write_target to = {.uuid = t->uuid, .shard = t->number};
    qd_write_counts counts;
    int rc = qd_replication_refresh(a->replication, &to, QD_SEQ_NO_NONE, false, NULL, &counts,
                                    &out->err);
    if (rc) {
        out->failed = UINT32_MAX;
    } else if (counts.failed) {
        out->failed = counts.failed;
        rc = qd_err_set(&out->err, QD_E_UNAVAILABLE_SHARDS,
                        "[%u] copies did not show it in time and are failed", counts.failed);
    }
    return rc;
}

static bool by_primary(const qd_actions *a, const shard_op *o)
{
    return a->replication && o->action == QD_ACTION_SHARDS_REFRESH;
}

/* Does it to a target that is here. */
static void apply_one(qd_actions *a, const operation *x, const shard_target *t, qd_task *task,
                      result *out)
{
    qd_engine *e;
    qd_shard *s = qd_shards_get(a->shards, t->uuid, t->number);
    qd_err_init(&out->err);
    *out = (result){.outcome = GONE, .err = out->err};
    if (!s) return;
    bool all = by_primary(a, &x->op);
    int rc = all ? refresh(a, t, out) : qd_shard_enter(s, GATE_MS, &e, &out->err);
    if (!rc && !all) {
        rc = apply(&x->op, e, task, &out->err);
        qd_shard_leave(s);
    }
    if (rc && !all) out->failed = 1;
    out->outcome = !rc ? DONE : rc == QD_E_NOT_PRIMARY ? GONE : FAILED;
    qd_shard_unref(s);
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

/* Counts what came of a target. */
static void take(operation *x, uint32_t k, const result *r)
{
    const shard_target *t = &x->at[k];
    uint32_t failed = r->failed < t->copies ? r->failed : t->copies;
    bool closed = r->outcome == FAILED && r->err.code == QD_E_CLOSED;
    if (x->again && !x->last && (r->outcome == GONE || closed)) x->again[x->nagain++] = k;
    if (r->outcome == GONE || (x->again && !x->last && closed)) return;
    if (r->outcome == FAILED) {
        x->counts->failed += failed;
        qdi_shard_counts_fail(x->counts, x->arena, t->index, t->number, t->node->id, &r->err);
    }
    x->counts->successful += t->copies - (r->outcome == FAILED ? failed : 0);
}

static void write_result(qd_writer *w, const result *r)
{
    qd_write_u8(w, (uint8_t)r->outcome);
    if (r->outcome != FAILED) return;
    qd_write_varint(w, r->failed);
    qd_write_err(w, &r->err);
}

static void read_result(qd_body_reader *in, result *out)
{
    uint8_t is = qd_read_u8(in, "outcome");
    if (is > FAILED) qd_body_reader_fail(in, "outcome", "is not known");
    out->outcome = (outcome)is;
    if (out->outcome != FAILED) return;
    out->failed = (uint32_t)qd_read_varint_max(in, "failed", UINT32_MAX);
    qd_read_err(in, &out->err);
}

/* A node of protocol 1.0 tells counts alone. */
static void take_counts(operation *x, const scatter_part *p, qd_body_reader *in)
{
    uint64_t good = qd_read_varint_max(in, "successful", p->n);
    uint64_t bad = qd_read_varint_max(in, "failed", p->n);
    for (uint32_t k = 0; k < p->n; k++) {
        result r = {.outcome = k < good ? DONE : k < good + bad ? FAILED : GONE, .failed = 1};
        qd_err_init(&r.err);
        if (r.outcome == FAILED)
            (void)qd_err_set(&r.err, QD_E_INTERNAL, "[%llu] shards of the node failed",
                             (unsigned long long)bad);
        take(x, p->pick[k], &r);
        qd_err_fini(&r.err);
    }
}

static void take_answer(operation *x, const scatter_part *p)
{
    qd_body_reader in;
    qd_body_reader_init(&in, p->answer, "results of shards", p->version);
    if (!p->err.code && p->version < QD_RPC_1_1) {
        take_counts(x, p, &in);
        return;
    }
    for (uint32_t k = 0; k < p->n; k++) {
        result r = {.outcome = FAILED, .failed = UINT32_MAX};
        qd_err_init(&r.err);
        if (p->err.code) {
            qd_err_copy(&r.err, &p->err);
        } else {
            read_result(&in, &r);
            if (qd_body_reader_check(&in, &r.err)) r.outcome = FAILED;
        }
        take(x, p->pick[k], &r);
        qd_err_fini(&r.err);
    }
}

static void add_target(operation *x, const qd_state *s, const qd_index_meta *m, uint32_t number,
                       const qd_copy *c, uint32_t copies)
{
    const qd_node_meta *node = qd_copy_is_active(c) ? qd_state_node(s, c->node) : NULL;
    if (!node && !(x->again && qd_copy_is_active(c))) return;
    shard_target *t = &x->at[x->n];
    *t = (shard_target){.number = number, .index = m->name, .node = node, .copies = copies};
    memcpy(t->uuid, m->uuid, sizeof t->uuid);
    if (node)
        x->todo[x->ntodo++] = x->n++;
    else /* a primary whose node has left: the next state tells who follows it */
        x->again[x->nagain++] = x->n++;
}

static uint32_t active_of(const qd_shard_meta *r)
{
    uint32_t n = 0;
    for (uint32_t c = 0; c < r->ncopies; c++) n += qd_copy_is_active(&r->copies[c]);
    return n;
}

/* --- the answer --- */

void qdi_shard_counts_fail(shard_counts *n, qd_arena *arena, qd_str index, uint32_t number,
                           qd_str node, const qd_err *err)
{
    if (n->nfailures == FAILURES_MAX) return;
    shard_failure *f = qd_arena_calloc(arena, sizeof *f);
    if (!f) return;
    f->index = qd_arena_str(arena, index);
    f->node = qd_arena_str(arena, node);
    f->number = number;
    qd_err_init(&f->err);
    qd_err_copy(&f->err, err);
    f->next = n->failures;
    n->failures = f;
    n->nfailures++;
}

void qdi_shard_counts_fini(shard_counts *n)
{
    for (shard_failure *f = n->failures; f; f = f->next) qd_err_fini(&f->err);
    n->failures = NULL;
}

void qdi_answer_shards(qd_response *r, const shard_counts *n)
{
    qd_json_writer *w = &r->w;
    qd_json_object(w);
    qd_json_key_c(w, "_shards");
    qd_json_object(w);
    qd_json_field_int(w, "total", n->total);
    qd_json_field_int(w, "successful", n->successful);
    qd_json_field_int(w, "failed", n->failed);
    if (n->failures) {
        qd_json_key_c(w, "failures");
        qd_json_array(w);
    }
    for (const shard_failure *f = n->failures; f; f = f->next) {
        qd_json_object(w);
        qd_json_field_int(w, "shard", f->number);
        qd_json_field_str(w, "index", f->index);
        qd_json_field_str(w, "node", f->node);
        qd_json_field_c(w, "status", qd_status_name(qd_err_status(&f->err)));
        qd_json_key_c(w, "reason");
        qd_error_write(w, &f->err);
        qd_json_object_end(w);
    }
    if (n->failures) qd_json_array_end(w);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

/* --- targets and rounds --- */

/* Every copy that serves is a target, or its primary for all of them; total counts those that do
 * not as well. */
static int targets(qd_request *q, const qd_state *s, const qd_resolved *found, operation *x,
                   qd_err *err)
{
    uint32_t room = 0;
    bool primaries = by_primary(q->a, &x->op);
    for (uint32_t i = 0; i < found->n; i++) {
        room += found->at[i]->shards * (found->at[i]->replicas + 2);
        x->counts->total +=
            found->at[i]->shards * (x->op.primary_only ? 1 : found->at[i]->replicas + 1);
    }
    x->at = qd_arena_calloc(q->arena, (room + 1) * sizeof *x->at);
    x->todo = qd_arena_alloc(q->arena, (room + 1) * sizeof *x->todo);
    if (primaries) x->again = qd_arena_alloc(q->arena, (room + 1) * sizeof *x->again);
    if (!x->at || !x->todo || (primaries && !x->again)) {
        return qd_err_nomem(err, "operation on shards");
    }
    for (uint32_t i = 0; i < found->n; i++) {
        const qd_index_meta *m = found->at[i];
        for (uint32_t k = 0; k < m->shards; k++) {
            const qd_shard_meta *r = qd_state_shard(s, m, k);
            const qd_copy *primary = r && primaries ? qd_shard_meta_primary(r) : NULL;
            if (primary) add_target(x, s, m, k, primary, active_of(r));
            uint32_t ncopies = r && x->op.primary_only && r->ncopies ? 1 : r ? r->ncopies : 0;
            for (uint32_t c = 0; !primaries && c < ncopies && x->n < room; c++)
                add_target(x, s, m, k, &r->copies[c], 1);
        }
    }
    return 0;
}

/* Does it once to what is to be done. */
static int run_round(qd_request *q, operation *x, qd_err *err)
{
    int rc = 0;
    scatter nodes;
    qdi_scatter_init(&nodes, q->a, &q->task, q->arena, x->ntodo);
    for (uint32_t i = 0; i < x->ntodo && !rc; i++)
        rc = qdi_scatter_add(&nodes, x->at[x->todo[i]].node, x->todo[i], err);
    if (!rc) qdi_scatter_send(&nodes, x->op.action, UINT32_MAX, encode, x);
    const scatter_part *here = rc ? NULL : qdi_scatter_here(&nodes);
    for (uint32_t i = 0; here && i < here->n && !qd_task_poll(&q->task); i++) {
        result r;
        apply_one(q->a, x, &x->at[here->pick[i]], &q->task, &r);
        take(x, here->pick[i], &r);
        qd_err_fini(&r.err);
    }
    qdi_scatter_wait(&nodes);
    for (const scatter_part *p = nodes.parts; p && !rc; p = p->next) {
        if (p->node.n) take_answer(x, p);
    }
    qdi_scatter_fini(&nodes);
    return rc ? rc : qd_task_check(&q->task, err);
}

static bool is_newer(void *arg, const qd_state *s)
{
    return s && s->revision > *(const uint64_t *)arg;
}

/* Waits for a newer state and looks there who is primary of what is to be done again. */
static void place_again(qd_request *q, operation *x, qd_state **s)
{
    uint64_t seen = (*s)->revision;
    (void)qd_cluster_wait_for(q->a->cluster, is_newer, &seen, NEWER_MS);
    qd_state *now = qd_cluster_state(q->a->cluster);
    uint32_t left = 0;
    x->ntodo = 0;
    for (uint32_t i = 0; i < x->nagain; i++) {
        shard_target *t = &x->at[x->again[i]];
        const qd_index_meta *m = qd_state_index_uuid(now, qd_str_c(t->uuid));
        const qd_shard_meta *r = m ? qd_state_shard(now, m, t->number) : NULL;
        const qd_copy *c = r ? qd_shard_meta_primary(r) : NULL;
        bool active = c && qd_copy_is_active(c);
        t->node = active ? qd_state_node(now, c->node) : NULL;
        if (active && !t->node) x->again[left++] = x->again[i];
        if (!t->node) continue;
        t->index = m->name;
        t->copies = active_of(r);
        x->todo[x->ntodo++] = x->again[i];
    }
    x->nagain = left;
    qd_state_unref(*s);
    *s = now;
}

/* As Elasticsearch: a refresh that nobody has done is an error. */
static void status_of(const operation *x, qd_response *r)
{
    if (!x->again || x->counts->successful) return;
    for (const shard_failure *f = x->counts->failures; f; f = f->next) {
        if (qd_err_status(&f->err) >= 500) r->status = qd_err_status(&f->err);
    }
}

static int each(qd_request *q, qd_response *r, const shard_op *op, qd_err *err)
{
    qd_resolved found;
    shard_counts n = {0};
    operation x = {.op = *op, .counts = &n, .arena = q->arena};
    uint64_t until = qd_env_mono_ns(q->a->env) + MOVED_NS;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_param_indices(q, s, OPS_OPTIONS, &found, err);
    if (!rc) rc = targets(q, s, &found, &x, err);
    while (!rc && !x.last && (x.ntodo || x.nagain)) {
        x.last = qd_env_mono_ns(q->a->env) >= until;
        rc = x.ntodo ? run_round(q, &x, err) : qd_task_check(&q->task, err);
        x.ntodo = 0;
        if (!rc && !x.last && x.nagain) place_again(q, &x, &s);
    }
    qd_state_unref(s);
    if (!rc) status_of(&x, r);
    if (!rc) qdi_answer_shards(r, &n);
    qdi_shard_counts_fini(&n);
    return rc;
}

/* --- what a node does for another --- */

static void handle(qd_actions *a, qd_rpc_request *request, uint32_t action)
{
    qdi_served s;
    operation x = {.op.action = action};
    uint32_t good = 0, bad = 0;
    qdi_served_begin(&s, a, request, action, "operation on shards", QDI_SCATTER_BODY_MAX);
    int rc = decode(s.body, s.version, &s.arena, &x, &s.err);
    for (uint32_t k = 0; !rc && k < x.n && !(rc = qd_task_check(&s.task, &s.err)); k++) {
        result r;
        apply_one(a, &x, &x.at[k], &s.task, &r);
        good += r.outcome == DONE;
        bad += r.outcome == FAILED;
        if (s.version >= QD_RPC_1_1) write_result(&s.out, &r);
        qd_err_fini(&r.err);
    }
    if (s.version < QD_RPC_1_1) {
        qd_write_varint(&s.out, good);
        qd_write_varint(&s.out, bad);
    }
    if (!rc) rc = qd_task_check(&s.task, &s.err);
    qdi_served_end(&s, rc, "results of shards");
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

static int read_merge(const qd_request *q, shard_op *a, qd_err *err)
{
    int64_t segments;
    qdi_identity id;
    qdi_identity_get(q->a, &id);
    int rc = qd_param_i64(q, "max_num_segments", -1, &segments, err);
    if (!rc) rc = qd_param_bool(q, "only_expunge_deletes", false, &a->only_deletes, err);
    if (!rc) rc = qd_param_bool(q, "flush", true, &a->flush, err);
    if (!rc && qd_param_has(q, "primary_only") && !id.opensearch)
        rc = qd_err_set(err, QD_E_ARG,
                        "request [%.*s] contains unrecognized parameter: [primary_only]",
                        QD_STR_ARG(q->path));
    if (!rc) rc = qd_param_bool(q, "primary_only", false, &a->primary_only, err);
    if (!rc && segments != -1 && a->only_deletes && !id.opensearch) {
        rc = qd_err_set(err, QD_E_VALIDATION,
                        "Validation Failed: 1: cannot set only_expunge_deletes and "
                        "max_num_segments at the same time, those two parameters are mutually "
                        "exclusive;");
    }
    if (!rc) a->max_segments = segments > 0 ? (uint32_t)segments : 1;
    return rc;
}

int qdi_forcemerge_check(qd_request *q, qd_err *err)
{
    shard_op a;
    return read_merge(q, &a, err);
}

int qdi_forcemerge(qd_request *q, qd_response *r, qd_err *err)
{
    shard_op a = {.action = QD_ACTION_SHARDS_FORCE_MERGE};
    int rc = read_merge(q, &a, err);
    return rc ? rc : each(q, r, &a, err);
}
