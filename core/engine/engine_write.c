/*
 * engine_write.c: one operation from look-up to buffer.
 *
 * Order on a slot: fields of the document into the buffer (no lock but the slot's), then under the
 * id's stripe: current version, conflict check, reservations, sequence number, translog, commit in
 * the buffer, version map. Everything that can fail for want of memory is reserved before the
 * number is taken; what fails after it leaves a no-op in its place.
 */
#include "base/log.h"
#include "base/str.h"
#include "engine/engine_int.h"
#include <string.h>

#define SCRATCH_MAX ((size_t)64 << 20)

/* What is known of the id before the operation. */
typedef struct engine_current {
    bool exists, known; /* known: version is meaningful (a tombstone has one) */
    uint64_t version, primary_term;
    int64_t seq_no;
    bool in_unit; /* a live document stands in (unit, doc) */
    uint64_t unit;
    uint32_t doc;
} engine_current;

static int check_id(const qd_engine_op *op, qd_err *err)
{
    if (op->id.n == 0) return qd_err_set(err, QD_E_ARG, "if _id is specified it must not be empty");
    if (op->id.n > QD_TRANSLOG_ID_MAX) {
        return qd_err_set(err, QD_E_ARG,
                          "id is too long, must be no longer than %u bytes but was: %zu",
                          QD_TRANSLOG_ID_MAX, op->id.n);
    }
    return 0;
}

/* Any free slot, from hint on; waits for hint's when all are busy. */
static engine_slot *slot_take(qd_engine *e, uint32_t hint)
{
    for (uint32_t i = 0; i < e->nslots; i++) {
        engine_slot *s = &e->slots[(hint + i) % e->nslots];
        if (qd_mutex_trylock(&s->lock)) return s;
    }
    engine_slot *s = &e->slots[hint % e->nslots];
    qd_mutex_lock(&s->lock);
    return s;
}

static bool slot_full(qd_engine *e, const engine_slot *s)
{
    uint64_t most = atomic_load_explicit(&e->slot_bytes, memory_order_relaxed);
    return qd_buffer_bytes(s->buffer->b) >= most;
}

/* The engine's own fields, once for each buffer. */
static int slot_fields(engine_slot *s, qd_err *err)
{
    engine_buffer *b = s->buffer;
    if (s->fields_unit == b->unit) return 0;
    const struct {
        const char *name;
        uint32_t *field;
        uint8_t index, column, point;
    } own[] = {
        {"_id", &s->id_field, QD_INDEX_NONE, QD_COLUMN_BYTES, QD_POINT_NONE},
        {"_seq_no", &s->seq_field, QD_INDEX_NONE, QD_COLUMN_I64, QD_POINT_I64},
        {"_primary_term", &s->term_field, QD_INDEX_NONE, QD_COLUMN_I64, QD_POINT_NONE},
        {"_version", &s->version_field, QD_INDEX_NONE, QD_COLUMN_I64, QD_POINT_NONE},
        {"_routing", &s->routing_field, QD_INDEX_DOCS, QD_COLUMN_BYTES, QD_POINT_NONE},
    };
    for (size_t i = 0; i < QD_COUNT_OF(own); i++) {
        qd_field_info info = {.name = qd_str_c(own[i].name),
                              .index = own[i].index,
                              .column = own[i].column,
                              .point = own[i].point};
        int rc = qd_buffer_field(b->b, &info, own[i].field, err);
        if (rc) return rc;
    }
    s->fields_unit = b->unit;
    return 0;
}

/* Puts the document into the buffer, open: commit or abort follows. */
static int fill_document(qd_engine *e, engine_slot *s, const qd_engine_op *op, uint32_t *doc,
                         qd_err *err)
{
    qd_buffer *b = s->buffer->b;
    int rc = slot_fields(s, err);
    if (!rc) rc = qd_buffer_doc_begin(b, doc, err);
    if (rc) return rc;
    rc = qd_buffer_id(b, op->id, err);
    if (!rc) rc = qd_buffer_column_bytes(b, s->id_field, op->id, err);
    if (!rc && op->routing.n) {
        rc = qd_buffer_term(b, s->routing_field, op->routing, err);
        if (!rc) rc = qd_buffer_column_bytes(b, s->routing_field, op->routing, err);
    }
    if (!rc)
        rc = e->write_doc(e->write_doc_arg, (uint32_t)(s - e->slots), s->buffer->unit, b, op, err);
    if (rc) qd_buffer_doc_abort(b);
    return rc;
}

/* The id's current state: version map first, then the reader (in this order: see version_map.h). */
static int current_of(qd_engine *e, uint32_t stripe, qd_str id, engine_current *out, qd_err *err)
{
    qd_version_value v;
    *out = (engine_current){.seq_no = QD_SEQ_NO_NONE};
    if (qd_version_map_get(e->versions, stripe, id, &v)) {
        *out = (engine_current){
            .exists = !v.deleted,
            .known = true,
            .version = v.version,
            .primary_term = v.primary_term,
            .seq_no = (int64_t)v.seq_no,
            .in_unit = !v.deleted,
            .unit = v.buffer,
            .doc = v.doc,
        };
        return 0;
    }
    qd_arena scratch;
    engine_hit hit;
    qd_arena_init(&scratch, e->account, SCRATCH_MAX);
    qd_reader *r = qd_engine_reader(e);
    int rc = qdi_engine_lookup(e, r, id, false, &scratch, &hit, err);
    qd_reader_unref(r);
    qd_arena_fini(&scratch);
    if (rc || !hit.found) return rc;
    *out = (engine_current){
        .exists = true,
        .known = true,
        .version = hit.version,
        .primary_term = hit.primary_term,
        .seq_no = (int64_t)hit.seq_no,
        .in_unit = true,
        .unit = hit.unit,
        .doc = hit.doc,
    };
    return 0;
}

#define ID_ARG(op) (int)(op)->id.n, (op)->id.p

/* Elasticsearch's rules and texts of optimistic concurrency; *version gets the new version. */
static int check_conflict(const qd_engine_op *op, const engine_current *c, uint64_t *version,
                          qd_err *err)
{
    if (op->if_seq_no != QD_SEQ_NO_UNASSIGNED) {
        if (!c->exists) {
            return qd_err_set(err, QD_E_VERSION_CONFLICT,
                              "[%.*s]: version conflict, required seqNo [%lld], primary term "
                              "[%llu]. but no document was found",
                              ID_ARG(op), (long long)op->if_seq_no,
                              (unsigned long long)op->if_primary_term);
        }
        if (c->seq_no != op->if_seq_no || c->primary_term != op->if_primary_term) {
            return qd_err_set(err, QD_E_VERSION_CONFLICT,
                              "[%.*s]: version conflict, required seqNo [%lld], primary term "
                              "[%llu]. current document has seqNo [%lld] and primary term [%llu]",
                              ID_ARG(op), (long long)op->if_seq_no,
                              (unsigned long long)op->if_primary_term, (long long)c->seq_no,
                              (unsigned long long)c->primary_term);
        }
    }
    if (op->create && c->exists) {
        return qd_err_set(err, QD_E_VERSION_CONFLICT,
                          "[%.*s]: version conflict, document already exists (current version "
                          "[%llu])",
                          ID_ARG(op), (unsigned long long)c->version);
    }
    if (op->version_type == QD_VERSION_INTERNAL) {
        *version = c->known ? c->version + 1 : 1;
        return 0;
    }
    uint64_t given = (uint64_t)op->version;
    bool gte = op->version_type == QD_VERSION_EXTERNAL_GTE;
    if (c->known && (gte ? c->version > given : c->version >= given)) {
        return qd_err_set(err, QD_E_VERSION_CONFLICT,
                          "[%.*s]: version conflict, current version [%llu] is higher %s the "
                          "one provided [%llu]",
                          ID_ARG(op), (unsigned long long)c->version, gte ? "than" : "or equal to",
                          (unsigned long long)given);
    }
    *version = given;
    return 0;
}

#define NOOP_REASON_MAX 512u

/* Fills the place of an operation that failed after it had taken its number. An error: that has no
 * record, and the engine has failed. */
static int fill_with_noop(qd_engine *e, int64_t seq_no, const qd_err *why, qd_buf *encoded)
{
    qd_translog_location at;
    qd_err failure;
    qd_err_init(&failure);
    qd_translog_op op = {
        .type = QD_TRANSLOG_NOOP,
        .seq_no = (uint64_t)seq_no,
        .primary_term = atomic_load(&e->primary_term),
        .auto_id_ms = -1,
        .source = qd_str_c(qd_err_reason(why)),
    };
    if (op.source.n > NOOP_REASON_MAX) op.source.n = NOOP_REASON_MAX;
    if (encoded && qd_op_encode(&op, encoded, &failure)) { /* room for it was reserved */
        (void)qdi_engine_fail(e, &failure);
    }
    int rc = qd_translog_add(e->translog, &op, &at, &failure);
    if (rc) {
        (void)qd_err_wrap(&failure, QD_E_SHARD_FAILED,
                          "%s no-op for sequence number %lld could not be logged", e->name,
                          (long long)seq_no);
        (void)qdi_engine_fail(e, &failure);
    }
    atomic_fetch_add(&e->stats.noop_total, 1);
    qd_err_fini(&failure);
    return rc;
}

/* Logs the operation and commits it to buffer and map; its number is taken. */
static int log_and_commit(qd_engine *e, engine_slot *s, uint32_t stripe, const qd_engine_op *op,
                          uint32_t doc, const engine_current *c, qd_engine_result *r, qd_err *err)
{
    engine_buffer *b = s->buffer;
    int rc = 0;
    if (!op->delete) {
        int64_t seq = r->seq_no, term = (int64_t)r->primary_term, version = (int64_t)r->version;
        rc = qd_buffer_column_i64(b->b, s->seq_field, &seq, 1, err);
        if (!rc) rc = qd_buffer_points_i64(b->b, s->seq_field, &seq, 1, err);
        if (!rc) rc = qd_buffer_column_i64(b->b, s->term_field, &term, 1, err);
        if (!rc) rc = qd_buffer_column_i64(b->b, s->version_field, &version, 1, err);
    }
    qd_translog_op record = {
        .type = op->delete ? QD_TRANSLOG_DELETE : QD_TRANSLOG_INDEX,
        .seq_no = (uint64_t)r->seq_no,
        .primary_term = r->primary_term,
        .version = r->version,
        .auto_id_ms = op->auto_id_ms,
        .mapping = op->mapping,
        .id = op->id,
        .routing = op->routing,
        .source = op->delete ? (qd_str){NULL, 0} : op->source,
    };
    if (!op->delete &&!rc) rc = qd_buffer_doc_commit(b->b, err);
    if (rc) {
        if (!op->delete) qd_buffer_doc_abort(b->b);
        return rc;
    }
    qd_assert(op->delete || doc + 1 == qd_buffer_docs(b->b)); /* the map names this one */
    if ((rc = qd_translog_add(e->translog, &record, &r->at, err))) {
        /* not logged: never to be seen */
        qd_assert(op->delete || b->deletes.n < b->deletes.cap);
        if (!op->delete) b->deletes.at[b->deletes.n++] = (engine_delete){b->unit, doc};
        return rc;
    }
    qd_version_value v = {
        .version = r->version,
        .seq_no = (uint64_t)r->seq_no,
        .primary_term = r->primary_term,
        .at = r->at,
        .buffer = b->unit,
        .doc = doc,
        .deleted = op->delete,
        .deleted_ms = op->delete ? (int64_t)(qd_env_mono_ns(e->env) / 1000000) : 0,
    };
    qd_version_map_put(e->versions, stripe, op->id, &v);
    if (op->encoded) {
        rc = qd_op_encode(&record, op->encoded, err);
        qd_assert(rc == 0); /* reserved before the number was taken */
    }
    qd_invariant(!c->known || c->seq_no < r->seq_no); /* a later operation has a higher number */
    qd_assert(b->deletes.n < b->deletes.cap);
    if (c->in_unit) b->deletes.at[b->deletes.n++] = (engine_delete){c->unit, c->doc};
    if (b->min_seq_no < 0 || r->seq_no < b->min_seq_no) b->min_seq_no = r->seq_no;
    if (r->seq_no > b->max_seq_no) b->max_seq_no = r->seq_no;
    qd_assert(b->min_seq_no <= r->seq_no && r->seq_no <= b->max_seq_no);
    return 0;
}

/* Room for the operation, or the no-op in its place, in what is sent to other copies. */
static int reserve_encoded(const qd_engine_op *op, qd_err *err)
{
    size_t n = QD_TRANSLOG_OVERHEAD + NOOP_REASON_MAX + op->id.n + op->routing.n;
    if (!op->encoded || qd_buf_reserve(op->encoded, n + (op->delete ? 0 : op->source.n))) return 0;
    return qd_err_nomem(err, "operation for other copies");
}

/* From the look-up on, under the id's stripe; the document stands open in the buffer. */
static int under_stripe(qd_engine *e, engine_slot *s, const qd_engine_op *op, uint32_t doc,
                        qd_engine_result *r, qd_err *err)
{
    engine_current c = {.seq_no = QD_SEQ_NO_NONE};
    uint32_t stripe = qd_version_map_lock(e->versions, op->id);
    /* a fresh id cannot exist: no look-up */
    int rc = op->auto_id_ms >= 0 ? 0 : current_of(e, stripe, op->id, &c, err);
    if (!rc && (rc = check_conflict(op, &c, &r->version, err))) r->revealed_seq_no = c.seq_no;
    if (!rc) rc = reserve_encoded(op, err);
    if (!rc) rc = qd_version_map_reserve(e->versions, stripe, op->id, err);
    if (!rc && qd_vec_reserve(&s->buffer->deletes, e->account, 2)) {
        rc = qd_err_nomem(err, "list of replaced documents");
    }
    if (!rc) rc = qd_seq_no_assign(&e->seq_no, &r->seq_no, err);
    if (rc) {
        if (!op->delete) qd_buffer_doc_abort(s->buffer->b);
    } else {
        r->primary_term = atomic_load_explicit(&e->primary_term, memory_order_relaxed);
        r->created = !op->delete &&!c.exists;
        r->found = c.exists;
        rc = log_and_commit(e, s, stripe, op, doc, &c, r, err);
        int lacking = 0;
        if (rc) {
            qd_err none;
            qd_err_init(&none);
            lacking = fill_with_noop(e, r->seq_no, err ? err : &none, op->encoded);
        }
        if (!lacking) qd_seq_no_processed(&e->seq_no, r->seq_no);
    }
    qd_version_map_unlock(e->versions, stripe);
    return rc;
}

static int apply_on_slot(qd_engine *e, engine_slot *s, const qd_engine_op *op, qd_engine_result *r,
                         qd_err *err)
{
    uint32_t doc = 0;
    if (atomic_load_explicit(&e->mode, memory_order_relaxed) != QD_ENGINE_PRIMARY) {
        return qd_err_set(err, QD_E_NOT_PRIMARY, "%s is not the primary (any longer)", e->name);
    }
    int rc = qd_version_map_prepare(e->versions, err);
    if (!rc) rc = op->delete ? slot_fields(s, err) : fill_document(e, s, op, &doc, err);
    return rc ? rc : under_stripe(e, s, op, doc, r, err);
}

/* A full disk refuses the write here, before it has a number. */
static int log_ready(qd_engine *e, qd_err *err)
{
    qd_err failure;
    qd_err_init(&failure);
    int rc = qdi_translog_ready(e->translog, &failure);
    if (rc && qd_translog_failure(e->translog, NULL)) rc = qdi_engine_fail(e, &failure);
    if (rc && err && !err->code) qd_err_copy(err, &failure);
    qd_err_fini(&failure);
    return rc;
}

/* A conflict shows what is there: nothing that a power loss could take back. */
static int reveal(qd_engine *e, const qd_engine_result *r, qd_err *err)
{
    int64_t durable;
    qd_err failure;
    if (r->revealed_seq_no < 0) return QD_E_VERSION_CONFLICT;
    qd_seq_no_get(&e->seq_no, NULL, NULL, &durable);
    if (r->revealed_seq_no <= durable) return QD_E_VERSION_CONFLICT;
    qd_translog_location end = qd_translog_end(e->translog);
    qd_err_init(&failure);
    int rc = qd_engine_sync(e, &end, &failure);
    if (rc && err) {
        qd_err_fini(err);
        qd_err_copy(err, &failure);
    }
    qd_err_fini(&failure);
    return rc ? rc : QD_E_VERSION_CONFLICT;
}

int qd_engine_apply(qd_engine *e, uint32_t slot_hint, const qd_engine_op *op, qd_engine_result *r,
                    qd_err *err)
{
    QD_CHECK(e, ENGINE_MAGIC);
    uint64_t start = qd_env_mono_ns(e->env);
    *r = (qd_engine_result){.seq_no = QD_SEQ_NO_UNASSIGNED, .revealed_seq_no = QD_SEQ_NO_NONE};
    int rc = check_id(op, err);
    if (!rc) rc = qdi_engine_alive(e, err);
    if (!rc && e->disk_full && atomic_load_explicit(e->disk_full, memory_order_relaxed)) {
        rc = qd_err_set(err, QD_E_NOSPACE,
                        "%s the disk is full: what is left of it is kept for what was accepted",
                        e->name);
    }
    if (!rc) rc = log_ready(e, err);
    if (rc) return rc;
    engine_slot *s = slot_take(e, slot_hint);
    rc = apply_on_slot(e, s, op, r, err);
    bool full = rc == QD_E_BREAKER || slot_full(e, s);
    bool empty = qd_buffer_docs(s->buffer->b) == 0;
    qd_mutex_unlock(&s->lock);
    if (full && !empty) {
        qd_err refresh;
        qd_err_init(&refresh);
        int cleared = qd_engine_refresh_start(e, NULL, &refresh);
        if (!cleared && rc == QD_E_BREAKER && r->seq_no < 0) { /* now there is room: once more */
            if (err) qd_err_fini(err);
            s = slot_take(e, slot_hint);
            rc = apply_on_slot(e, s, op, r, err);
            qd_mutex_unlock(&s->lock);
        } else if (cleared) {
            qd_log_warn(ENGINE_LOG, "%s refresh of a full buffer failed: %s", e->name,
                        qd_err_reason(&refresh));
        }
        qd_err_fini(&refresh);
    }
    if (rc == QD_E_VERSION_CONFLICT && !QD_MUTANT(engine, CONFLICT_UNSYNCED))
        rc = reveal(e, r, err);
    qd_assert(rc || (r->seq_no >= 0 && r->at.bytes > 0)); /* numbered, and in the log */
    uint64_t took = r->took_ns = qd_env_mono_ns(e->env) - start;
    /* rc > 0: the document comes again when the mapping knows its fields */
    if (!rc) atomic_fetch_add(op->delete ? &e->stats.delete_total : &e->stats.index_total, 1);
    atomic_fetch_add(op->delete ? &e->stats.delete_ns : &e->stats.index_ns, took);
    if (rc < 0 && !op->delete) atomic_fetch_add(&e->stats.index_failed, 1);
    return rc;
}

int qd_engine_sync_all(qd_engine *e, qd_err *err)
{
    qd_err failure;
    qd_err_init(&failure);
    int rc = qd_translog_sync_all(e->translog, &failure);
    if (rc) rc = qdi_engine_fail(e, &failure);
    if (rc && err) qd_err_copy(err, &failure);
    qd_err_fini(&failure);
    return rc;
}

int qd_engine_sync(qd_engine *e, const qd_translog_location *at, qd_err *err)
{
    if (atomic_load(&e->durability) == QD_DURABILITY_ASYNC) return 0;
    qd_err failure;
    qd_err_init(&failure);
    int rc = qd_translog_sync(e->translog, at, &failure);
    if (!rc && QD_MUTANT(engine, PERSISTED_FROM_PROCESSED)) qd_seq_no_all_persisted(&e->seq_no);
    if (rc) rc = qdi_engine_fail(e, &failure);
    if (rc && err) qd_err_copy(err, &failure);
    qd_err_fini(&failure);
    return rc;
}

bool qd_engine_reached(qd_engine *e, const qd_translog_location *at)
{
    return atomic_load(&e->durability) == QD_DURABILITY_ASYNC ||
           qd_translog_reached(e->translog, at);
}

/* --- replay --------------------------------------------------------------------------------------
 */

/* One record again: the number and version it had; older than what is there: only counted. */
static int replay_document(qd_engine *e, engine_slot *s, const qd_translog_op *op,
                           const qd_translog_location *at, qd_err *err)
{
    bool delete = op->type == QD_TRANSLOG_DELETE;
    qd_engine_op as_op = {
        .delete = delete,
        .id = op->id,
        .routing = op->routing,
        .source = op->source,
        .if_seq_no = QD_SEQ_NO_UNASSIGNED,
        .auto_id_ms = -1,
        .mapping = op->mapping,
    };
    engine_current c;
    uint32_t doc = 0;
    int rc = qd_version_map_prepare(e->versions, err);
    if (rc) return rc;
    uint32_t stripe = qd_version_map_lock(e->versions, op->id);
    rc = current_of(e, stripe, op->id, &c, err);
    if (rc || (c.known && c.seq_no >= (int64_t)op->seq_no)) goto out;
    if ((rc = delete ? slot_fields(s, err) : fill_document(e, s, &as_op, &doc, err))) goto out;
    engine_buffer *b = s->buffer;
    if (!delete) {
        int64_t seq = (int64_t)op->seq_no, term = (int64_t)op->primary_term;
        int64_t version = (int64_t)op->version;
        rc = qd_buffer_column_i64(b->b, s->seq_field, &seq, 1, err);
        if (!rc) rc = qd_buffer_points_i64(b->b, s->seq_field, &seq, 1, err);
        if (!rc) rc = qd_buffer_column_i64(b->b, s->term_field, &term, 1, err);
        if (!rc) rc = qd_buffer_column_i64(b->b, s->version_field, &version, 1, err);
    }
    if (!rc) rc = qd_version_map_reserve(e->versions, stripe, op->id, err);
    if (!rc && qd_vec_reserve(&b->deletes, e->account, 1)) {
        rc = qd_err_nomem(err, "list of replaced documents");
    }
    if (!rc && !delete) rc = qd_buffer_doc_commit(b->b, err);
    if (rc) {
        if (!delete) qd_buffer_doc_abort(b->b);
        goto out;
    }
    qd_assert(b->deletes.n < b->deletes.cap && (delete || doc + 1 == qd_buffer_docs(b->b)));
    if (c.in_unit) b->deletes.at[b->deletes.n++] = (engine_delete){c.unit, c.doc};
    if (b->min_seq_no < 0 || (int64_t)op->seq_no < b->min_seq_no) {
        b->min_seq_no = (int64_t)op->seq_no;
    }
    if ((int64_t)op->seq_no > b->max_seq_no) b->max_seq_no = (int64_t)op->seq_no;
    qd_assert(b->min_seq_no <= b->max_seq_no);
    qd_version_value v = {
        .version = op->version,
        .seq_no = op->seq_no,
        .primary_term = op->primary_term,
        .at = *at,
        .buffer = b->unit,
        .doc = doc,
        .deleted = delete,
        .deleted_ms = delete ? (int64_t)(qd_env_mono_ns(e->env) / 1000000) : 0,
    };
    qd_version_map_put(e->versions, stripe, op->id, &v);
out:
    qd_version_map_unlock(e->versions, stripe);
    return rc;
}

/* On a slot, so that a refresh shows the number only together with the document. */
static int replay_on_slot(qd_engine *e, engine_slot *s, const qd_translog_op *op,
                          const qd_translog_location *at, qd_err *err)
{
    int rc = op->type == QD_TRANSLOG_NOOP ? 0 : replay_document(e, s, op, at, err);
    if (rc) return rc;
    if ((rc = qd_seq_no_advance(&e->seq_no, (int64_t)op->seq_no, err))) return rc;
    qd_seq_no_processed(&e->seq_no, (int64_t)op->seq_no);
    return 0;
}

int qdi_engine_replay(qd_engine *e, const qd_translog_op *op, const qd_translog_location *at,
                      qd_err *err)
{
    engine_slot *s = &e->slots[0];
    qd_mutex_lock(&s->lock);
    int rc = replay_on_slot(e, s, op, at, err);
    bool full = rc == QD_E_BREAKER || slot_full(e, s);
    bool again = rc == QD_E_BREAKER && qd_buffer_docs(s->buffer->b) > 0;
    qd_mutex_unlock(&s->lock);
    if (again && err) qd_err_fini(err);
    if (full && (!rc || again)) rc = qd_engine_refresh_start(e, NULL, err);
    if (!rc && again) {
        qd_mutex_lock(&s->lock);
        rc = replay_on_slot(e, s, op, at, err);
        qd_mutex_unlock(&s->lock);
    }
    if (rc) {
        return qd_err_wrap(err, rc, "%s replay of sequence number %llu failed", e->name,
                           (unsigned long long)op->seq_no);
    }
    return 0;
}

static int replay_each(void *arg, const qd_translog_op *op, const qd_translog_location *at,
                       qd_err *err)
{
    return qdi_engine_replay(arg, op, at, err);
}

/* Numbers that were taken but whose records are not here were never acknowledged: no-ops take their
 * places, or the checkpoint would stay below them for ever. */
static int fill_gaps(qd_engine *e, qd_err *err)
{
    uint64_t filled = 0;
    int rc = 0;
    if (QD_MUTANT(engine, GAPS_OPEN)) return 0;
    for (int64_t n = -1; !rc && (n = qd_seq_no_gap(&e->seq_no, n)) >= 0; filled++) {
        qd_translog_location at;
        uint64_t term = atomic_load(&e->primary_term);
        qd_translog_op op = {
            .type = QD_TRANSLOG_NOOP,
            .seq_no = (uint64_t)n,
            .primary_term = QD_MUTANT(engine, GAPS_OLD_TERM) && term > 1 ? term - 1 : term,
            .auto_id_ms = -1,
            .source = QD_STR("filling gaps"),
        };
        rc = qd_translog_add(e->translog, &op, &at, err);
        if (!rc) qd_seq_no_processed(&e->seq_no, n);
    }
    atomic_fetch_add(&e->stats.noop_total, filled);
    return rc;
}

int qdi_engine_replay_above(qd_engine *e, int64_t seq_no, qd_err *err)
{
    int rc = qd_translog_replay(e->translog, seq_no, replay_each, e, err);
    if (!rc) rc = fill_gaps(e, err);
    return rc ? rc : qd_translog_sync_all(e->translog, err);
}
