/* apply.c: one operation from its index name to the engine's result. See documents_int.h. */
#include "action/api/counters.h"
#include "action/documents/documents_int.h"
#include "action/transport/ask_int.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/replica.h"
#include <stdio.h>
#include <string.h>

#define GATE_MS 60000
#define ENTER_MS 2000
#define NEWER_MS 100
#define CHANGE_WAIT_MS 30000
#define ENCODED_MAX ((size_t)160 << 20)

const char *qdi_doc_op_name(doc_op op)
{
    static const char *const names[] = {"index", "create", "update", "delete"};
    return names[op];
}

void qdi_item_init(doc_item *i)
{
    memset(i, 0, sizeof *i);
    i->version = -1;
    i->if_seq_no = QD_SEQ_NO_UNASSIGNED;
}

void qdi_item_fini(doc_item *i)
{
    if (i->err) qd_err_fini(i->err);
    i->err = NULL;
}

void qdi_item_fail(doc_item *i, qd_arena *arena, qd_err *err)
{
    i->rc = err->code ? err->code : QD_E_INTERNAL;
    i->status = qd_err_status(err);
    qd_err *kept = i->err ? i->err : qd_arena_alloc(arena, sizeof *kept);
    if (i->err)
        qd_err_fini(kept); /* of an attempt before */
    else if (kept)
        qd_err_init(kept);
    i->err = kept;
    if (kept) {
        qd_err_move(kept, err);
    } else {
        qd_err_fini(err);
    }
}

qd_str qdi_doc_new_id(qd_actions *a, qd_arena *arena)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t r[15];
    char id[20];
    qd_env_random(a->env, r, sizeof r);
    for (int i = 0; i < 5; i++) { /* three bytes to four characters */
        uint32_t v = (uint32_t)r[3 * i] << 16 | (uint32_t)r[3 * i + 1] << 8 | r[3 * i + 2];
        for (int k = 0; k < 4; k++) id[4 * i + k] = digits[v >> (18 - 6 * k) & 63];
    }
    /* the first must not look like an option or a reserved name */
    if (id[0] == '-' || id[0] == '_') id[0] = 'x';
    return qd_arena_str(arena, (qd_str){id, sizeof id});
}

void qdi_batch_begin(doc_batch *b, qd_actions *a, qd_arena *arena, qd_task *task,
                     int64_t timeout_ms)
{
    *b = (doc_batch){.a = a,
                     .arena = arena,
                     .task = task,
                     .timeout_ms = timeout_ms,
                     .active = QDI_ACTIVE_DEFAULT};
    b->state = qd_cluster_state(a->cluster);
    b->hint = (uint32_t)qd_env_random_u64(a->env);
}

void qdi_batch_end(doc_batch *b)
{
    for (size_t i = 0; i < b->touched.n; i++) {
        doc_touched *t = &b->touched.at[i];
        if (t->permit.group) {
            qd_replication_leave(&t->permit);
        } else {
            qd_shard_leave(t->shard);
        }
        qd_buf_fini(&t->encoded);
        qd_shard_unref(t->shard);
        qd_index_meta_unref(t->meta);
        qd_err_fini(&t->err);
    }
    qd_vec_fini(&b->touched);
    qd_state_unref(b->state);
    /* a search that comes after the write finds its index and knows its fields, whoever is asked */
    if (b->changed && qd_cluster_wait_all(b->a->cluster, b->changed, CHANGE_WAIT_MS)) {
        qd_log_info("action", "a node has not applied a new index or mapping in %d s",
                    CHANGE_WAIT_MS / 1000);
    }
}

static void newer_state(doc_batch *b)
{
    qd_state_unref(b->state);
    b->state = qd_cluster_state(b->a->cluster);
}

void qdi_batch_changed(doc_batch *b, qd_state *now)
{
    if (now) b->changed = now->revision;
    qd_state_unref(now);
    newer_state(b);
}

/* --- entering --- */

/* One attempt to enter the shard here. */
static int enter_once(doc_batch *b, const qd_index_meta *m, uint32_t number, int64_t wait_ms,
                      doc_touched *t, qd_err *err)
{
    int rc;
    t->shard = qd_shards_get(b->a->shards, m->uuid, number);
    if (!t->shard) {
        return qd_err_set(err, QD_E_UNAVAILABLE_SHARDS,
                          "[%.*s][%u] primary shard is not active Timeout: [%llds]",
                          QD_STR_ARG(m->name), number, (long long)b->timeout_ms / 1000);
    }
    if (b->a->replication) {
        qd_write_target to = {.uuid = m->uuid, .shard = number};
        rc = qd_replication_enter(b->a->replication, &to, 0, wait_ms, &t->permit, err);
        t->engine = t->permit.engine;
    } else {
        rc = qd_shard_enter(t->shard, wait_ms, &t->engine, err);
    }
    if (rc) qd_shard_unref(t->shard);
    return rc;
}

static bool is_newer(void *arg, const qd_state *s)
{
    return s && s->revision > *(const uint64_t *)arg;
}

/* Enters it, and on a node by itself waits while its primary comes to be, as after the creation of
 * an index. Where others may have the primary by now, whoever routes waits, not this worker. */
static int enter(doc_batch *b, const qd_index_meta *m, uint32_t number, doc_touched *t, qd_err *err)
{
    int64_t wait = b->timeout_ms < GATE_MS ? b->timeout_ms : GATE_MS;
    bool many = qdi_many_nodes(b->a);
    if (many && wait > ENTER_MS) wait = ENTER_MS;
    uint64_t until = qd_env_mono_ns(b->a->env) + (uint64_t)wait * 1000000u;
    for (;;) {
        qd_state *s = qd_cluster_state(b->a->cluster);
        uint64_t seen = s->revision, now = qd_env_mono_ns(b->a->env);
        bool there = qd_state_index_uuid(s, qd_str_c(m->uuid)) != NULL;
        qd_state_unref(s);
        int64_t left = now < until ? (int64_t)((until - now) / 1000000u) : 0;
        int rc = enter_once(b, m, number, left, t, err);
        bool comes = rc == QD_E_UNAVAILABLE_SHARDS || rc == QD_E_NOT_PRIMARY;
        if (!comes || many || !there || !left || qd_task_poll(b->task)) return rc;
        if (err) qd_err_fini(err);
        (void)qd_cluster_wait_for(b->a->cluster, is_newer, &seen,
                                  left < NEWER_MS ? left : NEWER_MS);
    }
}

/* The batch's entry for the shard, entered. */
static int touch(doc_batch *b, const qd_index_meta *m, uint32_t number, uint32_t *out, qd_err *err)
{
    for (size_t i = 0; i < b->touched.n; i++) {
        const doc_touched *t = &b->touched.at[i];
        if (qd_shard_number(t->shard) == number && strcmp(t->meta->uuid, m->uuid) == 0) {
            *out = (uint32_t)i;
            return 0;
        }
    }
    doc_touched t = {.max_seq_no = -1};
    if (qd_vec_reserve(&b->touched, b->a->account, 1)) return qd_err_nomem(err, "bulk request");
    int rc = qdi_active_enough(b->state, m, number, b->active, b->timeout_ms, err);
    if (!rc) rc = enter(b, m, number, &t, err);
    if (rc) return rc;
    qd_buf_init(&t.encoded,
                b->a->replication ? qd_replication_account(b->a->replication) : b->a->account,
                ENCODED_MAX);
    t.min = INT64_MAX;
    t.max = -1;
    t.slow_ns = qdi_slow_index_ns(m->values);
    t.meta = qd_index_meta_ref(m);
    qd_err_init(&t.err);
    *out = (uint32_t)b->touched.n;
    b->touched.at[b->touched.n++] = t;
    return 0;
}

/* --- copies on other nodes --- */

/* Numbers of what was appended for them by an operation that failed: of the no-op in its place. */
static void note_encoded(doc_touched *t, size_t from)
{
    qd_str in = qd_str_sub(qd_buf_view(&t->encoded), from, SIZE_MAX);
    qd_translog_op op;
    while (in.n && qd_op_next(&in, &op, NULL, NULL) == 0) {
        if ((int64_t)op.seq_no < t->min) t->min = (int64_t)op.seq_no;
        if ((int64_t)op.seq_no > t->max) t->max = (int64_t)op.seq_no;
    }
}

static void ship(doc_touched *t)
{
    if (t->permit.group && t->more) {
        qd_replication_ship(&t->permit, &t->encoded, t->min, t->max, &t->last, &t->commit);
    }
}

/* Durable here and on the copies that count; the first failure stays. */
static void commit(doc_touched *t)
{
    qd_err err;
    if (!t->more) return;
    qd_err_init(&err);
    int rc = t->permit.group ? qd_replication_commit(&t->commit, &t->counts, &err)
                             : qd_engine_sync(t->engine, &t->last, &err);
    if (rc && !t->rc) {
        t->rc = rc;
        qd_err_move(&t->err, &err);
    }
    qd_err_fini(&err);
    qd_buf_reset(&t->encoded);
    t->min = INT64_MAX;
    t->max = -1;
    t->more = false;
}

/* Before something that was read is told: nothing but what all copies have, and no other primary.
 * What this batch wrote may be what was read. */
static int confirm(doc_batch *b, doc_touched *t, int64_t seq_no, qd_err *err)
{
    if (!t->permit.group) return 0;
    if (seq_no < 0 || seq_no >= t->min) {
        ship(t);
        commit(t);
    }
    return qd_replication_confirm(&t->permit, seq_no, b->timeout_ms, err);
}

/* --- applying --- */

/* The index with the mapping to parse under: the newest that this batch has seen. */
static const qd_index_meta *index_of(const doc_batch *b, const doc_touched *t)
{
    const qd_index_meta *m = qd_state_index_uuid(b->state, qd_str_c(t->meta->uuid));
    return m ? m : t->meta;
}

/* The mapping of this version refused a document, or the newest one a field that the document was
 * to bring: 0 when the index has a newer one by now, which is to be asked. While another node has
 * heard of what may be a newer one nobody can tell whether the document fits: whoever routes asks
 * again. */
static int refused(doc_batch *b, const doc_touched *t, uint64_t version, int rc, qd_err *err)
{
    if (rc == QD_E_CANCELLED || (rc != QD_E_CONFLICT && qd_code_status(rc) != 400)) return rc;
    newer_state(b);
    if (index_of(b, t)->mapping_version > version) {
        if (err) qd_err_fini(err);
        return 0;
    }
    if (b->state->revision >= b->placed_by) return rc;
    if (err) qd_err_fini(err);
    return qd_err_set(err, QD_E_UNAVAILABLE_SHARDS,
                      "[%.*s][%u] the newest mapping is not known to node [%.*s] yet: its state "
                      "has revision %llu, %llu is there",
                      QD_STR_ARG(t->meta->name), qd_shard_number(t->shard),
                      QD_STR_ARG(b->a->node_name), (unsigned long long)b->state->revision,
                      (unsigned long long)b->placed_by);
}

/* Puts what the mapping of this version lacks; 0: parse again, under what is there now. */
static int put_mapping(doc_batch *b, const doc_touched *t, uint64_t version, qd_str update,
                       qd_err *err)
{
    qd_state *now = NULL;
    int rc = qd_cluster_put_mapping(b->a->cluster, qd_str_c(t->meta->uuid), update, &now, err);
    if (rc) return refused(b, t, version, rc, err);
    qdi_batch_changed(b, now);
    if (index_of(b, t)->mapping_version > version) return 0;
    return qd_err_set(err, QD_E_STATE, "[%.*s] the mapping lacks fields that it was to get",
                      QD_STR_ARG(t->meta->name));
}

/* Time for one more attempt? *until: 0 before the first. */
static int more_time(const doc_batch *b, const doc_touched *t, uint64_t *until, qd_err *err)
{
    uint64_t now = qd_env_mono_ns(b->a->env);
    if (!*until) *until = now + (uint64_t)b->timeout_ms * 1000000u;
    if (now < *until) return qd_task_check(b->task, err);
    return qd_err_set(err, QD_E_PROCESS_CLUSTER_EVENT_TIMEOUT,
                      "[%.*s] the mapping changed again and again while a document was indexed, "
                      "for %lld ms",
                      QD_STR_ARG(t->meta->name), (long long)b->timeout_ms);
}

/* Index or delete, with as many mapping updates as the document needs. */
static int apply_op(doc_batch *b, doc_touched *t, qd_engine_op *op, qd_engine_result *r,
                    qd_err *err)
{
    for (uint64_t until = 0;;) {
        const qd_index_meta *m = index_of(b, t);
        uint64_t version = m->mapping_version;
        qd_shard_write w = {.mapping = m->mapping, .arena = b->arena};
        size_t before = t->encoded.n;
        op->user = &w;
        op->encoded = t->permit.encode ? &t->encoded : NULL;
        op->mapping = (uint32_t)version;
        int rc = qd_engine_apply(t->engine, b->hint, op, r, err);
        if (!rc && t->encoded.n > before) {
            if (r->seq_no < t->min) t->min = r->seq_no;
            if (r->seq_no > t->max) t->max = r->seq_no;
        } else if (t->encoded.n > before) {
            note_encoded(t, before);
        }
        if (rc == QD_E_VERSION_CONFLICT && t->permit.group) {
            qd_err other;
            qd_err_init(&other);
            int no = confirm(b, t, r->revealed_seq_no, &other);
            if (no) {
                qd_err_move(err, &other);
                rc = no;
            }
            qd_err_fini(&other);
        }
        if (!rc) return 0;
        if (rc == 1 && w.needs_mapping)
            rc = put_mapping(b, t, version, w.update, err);
        else
            rc = refused(b, t, version, rc, err);
        if (!rc) rc = more_time(b, t, &until, err);
        if (rc) return rc;
    }
}

static void set_result(doc_item *i, const qd_engine_result *r, bool delete)
{
    i->done = *r;
    if (delete) {
        i->result = r->found ? "deleted" : "not_found";
        i->status = r->found ? 200 : 404;
    } else {
        i->result = r->created ? "created" : "updated";
        i->status = r->created ? 201 : 200;
    }
}

static qd_engine_op engine_op(const doc_item *i, qd_str routing)
{
    return (qd_engine_op){
        .delete = i->op == DOC_DELETE,
        .create = i->op == DOC_CREATE,
        .is_new = true,
        .id = i->id,
        .routing = routing,
        .source = i->source,
        .version_type = i->version_type,
        .version = i->has_version ? i->version : -1,
        .if_seq_no = i->if_seq_no,
        .if_primary_term = (uint64_t)i->if_primary_term,
        .auto_id_ms = -1,
    };
}

static int missing_document(const doc_item *i, const doc_touched *t, qd_err *err)
{
    int rc = qd_err_set(err, QD_E_DOC_MISSING, "[%.*s]: document missing", QD_STR_ARG(i->id));
    qd_err_detail_str(err, "index_uuid", qd_str_c(t->meta->uuid));
    (void)i;
    return rc;
}

/* The present document must be the one that was asked for, even if nothing changes. */
static int compare(const doc_item *i, const qd_engine_doc *now, qd_err *err)
{
    if (i->if_seq_no == QD_SEQ_NO_UNASSIGNED ||
        (i->if_seq_no == now->seq_no && (uint64_t)i->if_primary_term == now->primary_term)) {
        return 0;
    }
    return qd_err_set(err, QD_E_VERSION_CONFLICT,
                      "[%.*s]: version conflict, required seqNo [%lld], primary term [%lld]. "
                      "current document has seqNo [%lld] and primary term [%llu]",
                      QD_STR_ARG(i->id), (long long)i->if_seq_no, (long long)i->if_primary_term,
                      (long long)now->seq_no, (unsigned long long)now->primary_term);
}

/* get, change, index with compare; again after a conflict as often as asked. */
static int apply_update(doc_batch *b, doc_item *i, doc_touched *t, qd_str routing, qd_err *err)
{
    for (int64_t attempt = 0;; attempt++) {
        qd_engine_doc now;
        qd_engine_op op = engine_op(i, routing);
        doc_change change = DOC_CHANGE_INDEX;
        int rc = qd_engine_get(t->engine, i->id, true, true, b->arena, &now, err);
        if (rc) return rc;
        if (i->if_seq_no != QD_SEQ_NO_UNASSIGNED && !now.found) {
            rc = confirm(b, t, QD_SEQ_NO_NONE, err);
            return rc ? rc : missing_document(i, t, err);
        }
        if (now.found &&
            (!now.source_stored || !qd_mapping_source_enabled(index_of(b, t)->mapping))) {
            rc = qd_err_set(err, QD_E_DOC_MISSING, "[%.*s]: document source missing",
                            QD_STR_ARG(i->id));
            qd_err_type(err, "document_source_missing_exception", 400);
            qd_err_detail_str(err, "index_uuid", qd_str_c(t->meta->uuid));
            return rc;
        }
        rc = qdi_update_source(b, i, &now, &op.source, &change, err);
        bool noop = !rc && change == DOC_CHANGE_NONE;
        bool tells = rc == QD_E_DOC_MISSING || noop || (!rc && compare(i, &now, NULL));
        if (tells) {
            int no = confirm(b, t, now.found ? now.seq_no : QD_SEQ_NO_NONE, NULL);
            if (no) {
                if (err) qd_err_fini(err);
                return qd_err_set(err, no, "[%.*s]: the primary of its shard was replaced",
                                  QD_STR_ARG(i->id));
            }
        }
        if (!rc && (rc = compare(i, &now, err))) return rc;
        op.if_seq_no = i->if_seq_no;
        op.if_primary_term = (uint64_t)i->if_primary_term;
        if (rc == QD_E_DOC_MISSING && err && !err->code) return missing_document(i, t, err);
        if (rc) return rc;
        i->got_source = op.source;
        if (noop) {
            atomic_fetch_add_explicit(&qd_shard_counts_of(t->shard)->noop_updates, 1,
                                      memory_order_relaxed);
            i->result = "noop";
            i->status = 200;
            i->done = (qd_engine_result){
                .seq_no = now.seq_no, .primary_term = now.primary_term, .version = now.version};
            return 0;
        }
        op.create = !now.found;
        op.delete = change == DOC_CHANGE_DELETE;
        if (op.delete) op.source = (qd_str){NULL, 0};
        if (now.found && i->if_seq_no == QD_SEQ_NO_UNASSIGNED) {
            op.if_seq_no = now.seq_no;
            op.if_primary_term = now.primary_term;
        }
        if (now.found && !routing.n) op.routing = now.routing;
        qd_engine_result r;
        rc = apply_op(b, t, &op, &r, err);
        if (rc == QD_E_VERSION_CONFLICT && attempt < i->retry_on_conflict) {
            if (err) qd_err_fini(err);
            continue;
        }
        if (!rc) set_result(i, &r, op.delete);
        return rc;
    }
}

static int apply(doc_batch *b, doc_item *i, qd_err *err)
{
    const qd_index_meta *m;
    int rc = qdi_batch_place(b, i, &m, err);
    if (rc) return rc;
    if ((rc = touch(b, m, i->shard, &i->touched, err))) return rc;
    doc_touched *t = &b->touched.at[i->touched]; /* m may go with its state */
    if (i->op == DOC_UPDATE) {
        rc = apply_update(b, i, t, i->routing, err);
    } else {
        qd_engine_op op = engine_op(i, i->routing);
        if (i->auto_id) {
            op.auto_id_ms = qd_env_wall_ms(b->a->env);
            op.create = false;
        }
        qd_engine_result r;
        rc = qdi_version_of_pipeline(b, i, t->engine, &op, err);
        if (!rc) rc = apply_op(b, t, &op, &r, err);
        if (!rc) set_result(i, &r, op.delete);
    }
    if (rc == QD_E_VERSION_CONFLICT || rc == QD_E_DOC_MISSING) {
        char number[12];
        int n = snprintf(number, sizeof number, "%u", i->shard);
        if (rc == QD_E_VERSION_CONFLICT) {
            qd_err_detail_str(err, "index_uuid", qd_str_c(t->meta->uuid));
        }
        qd_err_detail_str(err, "shard", (qd_str){number, (size_t)n});
        qd_err_detail_str(err, "index", t->meta->name);
    }
    if (!rc && qdi_item_noop(i)) {
        t = &b->touched.at[i->touched]; /* a refresh that was asked for is made all the same */
        t->any = true;
        if (i->done.seq_no > t->max_seq_no) t->max_seq_no = i->done.seq_no;
    } else if (!rc) {
        t = &b->touched.at[i->touched];
        t->last = i->done.at;
        t->any = t->more = true;
        if (i->done.seq_no > t->max_seq_no) t->max_seq_no = i->done.seq_no;
        i->touched_shard = true;
        bool slow = i->done.took_ns > (uint64_t)t->slow_ns && i->op != DOC_DELETE;
        if (slow) qdi_slow_index(t->meta, i, i->done.took_ns);
    }
    return rc;
}

uint32_t qdi_batch_group(doc_batch *b, doc_item *i, uint32_t n)
{
    const qd_index_meta *m;
    qd_str routing = i->routing, alias_routing;
    if (qd_state_write_index(b->state, i->index, &m, &alias_routing, NULL)) {
        /* to be made: then its shards are known */
        return (uint32_t)(qd_xxh3(i->index.p, i->index.n) % n);
    }
    if (alias_routing.n) routing = alias_routing;
    /* only where one may be made: what is refused for want of an id has none */
    if (i->id.n == 0 && !i->empty_id && (i->op == DOC_INDEX || i->op == DOC_CREATE) &&
        i->version_type == QD_VERSION_INTERNAL && !i->has_version) {
        i->id = qdi_doc_new_id(b->a, b->arena);
        i->auto_id = i->id.n != 0;
    }
    uint64_t index = qd_xxh3(m->uuid, strlen(m->uuid));
    return (uint32_t)((index + qd_index_meta_route(m, i->id, routing)) % n);
}

void qdi_batch_apply(doc_batch *b, doc_item *i)
{
    qd_err err;
    qd_err_init(&err);
    i->concrete = i->index;
    i->rc = qd_task_check(b->task, &err);
    if (!i->rc) i->rc = apply(b, i, &err);
    if (i->rc) qdi_item_fail(i, b->arena, &err);
}

/* Counts of the node, and updates that changed nothing of each shard. */
static void count(doc_batch *b, const doc_item *items, size_t n)
{
    uint64_t refused = 0, all = 0;
    for (size_t k = 0; k < n; k++) {
        if (items[k].group != b->group) continue;
        all++;
        refused += items[k].rc != 0;
    }
    qd_count_documents(b->a, all - refused, refused);
}

void qdi_batch_sync(doc_batch *b, doc_item *items, size_t n)
{
    for (size_t k = 0; k < b->touched.n; k++) ship(&b->touched.at[k]);
    for (size_t k = 0; k < b->touched.n; k++) commit(&b->touched.at[k]);
    for (size_t k = 0; k < n; k++) {
        doc_item *i = &items[k];
        if (i->group != b->group || i->rc || !i->touched_shard) continue;
        const doc_touched *t = &b->touched.at[i->touched];
        if (t->permit.group) {
            i->copies_good = t->counts.successful;
            i->copies_failed = t->counts.failed;
        }
        if (!t->rc) continue;
        /* applied but not durable: never acknowledged */
        qd_err err;
        qd_err_init(&err);
        qd_err_copy(&err, &t->err);
        qdi_item_fail(i, b->arena, &err);
    }
    count(b, items, n);
}
