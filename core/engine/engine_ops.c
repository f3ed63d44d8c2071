/*
 * engine_ops.c: operations to and from other copies: encoded, received, read from the log in their
 * order. See replica.h.
 */
#include "base/log.h"
#include "base/str.h"
#include "engine/engine_int.h"
#include <string.h>

#define AHEAD_MAX                                                                                  \
    ((int64_t)1 << 26) /* numbers above the checkpoint that a replica keeps track of */
#define RECENT_MIN 1024u

/* --- encoded operations ----------------------------------------------------------------------- */

int qd_op_encode(const qd_translog_op *op, qd_buf *out, qd_err *err)
{
    size_t n = qdi_record_bytes(op);
    char *p = qd_buf_reserve(out, n);
    if (!p) return qd_err_nomem(err, "encoded operation");
    qdi_record_encode(op, 0, (uint8_t *)p);
    out->n += n;
    return 0;
}

int qd_op_next(qd_str *in, qd_translog_op *op, qd_str *raw, qd_err *err)
{
    size_t n = qdi_record_decode((const uint8_t *)in->p, in->n, 0, op);
    if (n == 0) {
        return qd_err_set(err, QD_E_CORRUPT,
                          "encoded operation: not a valid record, %zu bytes before the end", in->n);
    }
    if (op->seq_no >= (uint64_t)QD_SEQ_NO_LIMIT) {
        return qd_err_set(err, QD_E_CORRUPT,
                          "encoded operation: sequence number [%llu] is out of range",
                          (unsigned long long)op->seq_no);
    }
    if (op->id.n > QD_TRANSLOG_ID_MAX) {
        return qd_err_set(err, QD_E_CORRUPT, "encoded operation: an id of %zu bytes", op->id.n);
    }
    qd_assert(n <= in->n && n % 8 == 0);
    if (raw) *raw = (qd_str){in->p, n};
    *in = qd_str_sub(*in, n, in->n);
    return 0;
}

/* --- what was received ------------------------------------------------------------------------ */

void qdi_engine_recent_clear(qd_engine *e)
{
    qd_free(e->recent);
    e->recent = NULL;
    e->recent_size = 0;
}

static int recent_grow(qd_engine *e)
{
    uint64_t size = e->recent_size ? e->recent_size * 2 : RECENT_MIN;
    int64_t global = atomic_load(&e->global);
    engine_recent *fresh = qd_alloc(e->account, size * sizeof *fresh);
    if (!fresh) return QD_E_NOMEM;
    qd_assert((size & (size - 1)) == 0); /* a place is found by a mask */
    for (uint64_t i = 0; i < size; i++) fresh[i].seq_no = -1;
    for (uint64_t i = 0; i < e->recent_size; i++) {
        const engine_recent *r = &e->recent[i];
        if (r->seq_no <= global) continue;
        engine_recent *to = &fresh[(uint64_t)r->seq_no & (size - 1)];
        qd_assert(to->seq_no < 0); /* apart in the smaller table, apart in this one */
        *to = *r;
    }
    qd_free(e->recent);
    e->recent = fresh;
    e->recent_size = size;
    return 0;
}

/* The place of a number, free for it or holding it; what lies at or below the global checkpoint
 * gives way. NULL when out of memory. */
static engine_recent *recent_at(qd_engine *e, int64_t seq_no)
{
    for (;;) {
        if (e->recent_size) {
            engine_recent *r = &e->recent[(uint64_t)seq_no & (e->recent_size - 1)];
            if (r->seq_no == seq_no || r->seq_no <= atomic_load(&e->global)) return r;
        }
        if (e->recent_size > (uint64_t)AHEAD_MAX || recent_grow(e)) return NULL;
    }
}

/* What a batch reads of the log that is there: in the order of the numbers, as they come. */
typedef struct held {
    qd_translog_cursor *cursor;
    int64_t seq_no; /* of the record read last; -1: none */
    uint64_t term;
    bool more;
} held;

/* The primary term of the record of a number at or below the global checkpoint; where the log does
 * not go back so far, that of the commit point. */
static int held_term(qd_engine *e, held *h, int64_t seq_no, uint64_t *term, qd_err *err)
{
    *term = atomic_load(&e->committed_term);
    if (e->recent_size) {
        const engine_recent *r = &e->recent[(uint64_t)seq_no & (e->recent_size - 1)];
        if (r->seq_no == seq_no) {
            *term = r->term;
            return 0;
        }
    }
    int rc = 0;
    if (seq_no < atomic_load(&e->complete_from)) return 0; /* older records may be void */
    if (!h->cursor || h->seq_no > seq_no) {
        qd_translog_cursor_close(h->cursor);
        *h = (held){.seq_no = -1, .more = true};
        rc = qd_translog_cursor_open(e->translog, seq_no, atomic_load(&e->global), &h->cursor, err);
    }
    while (!rc && h->more && h->seq_no < seq_no) {
        qd_translog_op op;
        rc = qd_translog_cursor_next(h->cursor, &h->more, &op, NULL, NULL, err);
        if (!rc && h->more) {
            h->seq_no = (int64_t)op.seq_no;
            h->term = op.primary_term;
        }
    }
    if (!rc && h->seq_no == seq_no) *term = h->term;
    return rc;
}

/* An operation at or below the global checkpoint is here and stays. One of a later term has its
 * number from a primary that had lost what is here, though it was acknowledged. */
static int skip(qd_engine *e, held *h, const qd_translog_op *op, qd_err *err)
{
    uint64_t term;
    /* what was acknowledged without a sync may be lost, and proves nothing */
    bool async = atomic_load(&e->durability) == QD_DURABILITY_ASYNC;
    if (op->primary_term <= 1 || async || QD_MUTANT(engine, SKIP_ANY_TERM)) return 0;
    int rc = held_term(e, h, (int64_t)op->seq_no, &term, err);
    if (rc || op->primary_term <= term) return rc;
    qd_err two;
    qd_err_init(&two);
    (void)qd_err_set(&two, QD_E_CORRUPT,
                     "%s operation [%lld] of term [%llu] came, and the one of term [%llu] that is "
                     "here is at or below the global checkpoint [%lld]: acknowledged operations "
                     "were lost by the primary",
                     e->name, (long long)op->seq_no, (unsigned long long)op->primary_term,
                     (unsigned long long)term, (long long)atomic_load(&e->global));
    atomic_store(&e->contradicted, true);
    rc = qdi_engine_fail(e, &two);
    if (err) qd_err_copy(err, &two);
    qd_err_fini(&two);
    return rc;
}

bool qd_engine_contradicted(qd_engine *e)
{
    return atomic_load(&e->contradicted);
}

/* One operation, which is passed over when it is here. Under the replica's lock. */
static int receive(qd_engine *e, held *h, const qd_translog_op *op, qd_str raw, qd_err *err)
{
    int64_t seq_no = (int64_t)op->seq_no, done;
    qd_translog_location at;
    uint64_t sum = qdi_record_sum(raw.p); /* of generation 0 for all: names the operation */
    if (seq_no <= atomic_load(&e->global)) {
        qd_pair("copy.skips", qd_seq_no_has(&e->seq_no, seq_no));
        return skip(e, h, op, err);
    }
    qd_seq_no_get(&e->seq_no, NULL, &done, NULL);
    if (seq_no - done > AHEAD_MAX) {
        return qd_err_set(err, QD_E_LIMIT,
                          "%s operation [%lld] is too far above the local checkpoint [%lld]",
                          e->name, (long long)seq_no, (long long)done);
    }
    engine_recent *r = recent_at(e, seq_no);
    if (!r) return qd_err_nomem(err, "operations above the checkpoint");
    if (qd_seq_no_has(&e->seq_no, seq_no)) {
        if (r->seq_no != seq_no || r->sum == sum || QD_MUTANT(engine, REPLAY_ANY_BYTES)) return 0;
        qd_err two;
        qd_err_init(&two);
        (void)qd_err_set(&two, QD_E_CORRUPT,
                         "%s two different operations came as sequence number [%lld], term [%llu]",
                         e->name, (long long)seq_no, (unsigned long long)op->primary_term);
        int rc = qdi_engine_fail(e, &two);
        if (err) qd_err_copy(err, &two);
        qd_err_fini(&two);
        return rc;
    }
    qd_invariant(op->primary_term <= atomic_load(&e->primary_term));
    qd_assert(seq_no > done); /* what is below the local checkpoint is here */
    int rc = qd_seq_no_advance(&e->seq_no, seq_no, err);
    if (!rc) rc = qd_translog_add(e->translog, op, &at, err);
    if (rc) return rc;
    qd_invariant(r->seq_no == seq_no || r->seq_no <= atomic_load(&e->global));
    *r = (engine_recent){seq_no, op->primary_term, sum};
    qd_seq_no_processed(&e->seq_no, seq_no);
    return 0;
}

/* Are all bytes good, and no term above the sender's? Nothing is taken of a bad batch. */
static int check_batch(qd_engine *e, uint64_t sender_term, qd_str ops, uint32_t *n, qd_err *err)
{
    qd_translog_op op;
    *n = 0;
    while (ops.n) {
        int rc = qd_op_next(&ops, &op, NULL, err);
        if (rc) return rc;
        if (op.primary_term > sender_term) {
            return qd_err_set(err, QD_E_CORRUPT,
                              "%s operation [%llu] of term [%llu] from a primary of term [%llu]",
                              e->name, (unsigned long long)op.seq_no,
                              (unsigned long long)op.primary_term, (unsigned long long)sender_term);
        }
        ++*n;
    }
    return 0;
}

int qdi_engine_check_sender(qd_engine *e, uint64_t sender_term, qd_err *err)
{
    uint64_t term = atomic_load(&e->primary_term);
    if (sender_term < term && !QD_MUTANT(engine, NO_TERM_CHECK)) {
        return qd_err_set(err, QD_E_TERM_OLD,
                          "%s operation primary term [%llu] is too old (current [%llu])", e->name,
                          (unsigned long long)sender_term, (unsigned long long)term);
    }
    if (sender_term > term) {
        return qd_err_set(err, QD_E_STATE,
                          "%s primary term [%llu] was not adopted yet: it is [%llu]", e->name,
                          (unsigned long long)sender_term, (unsigned long long)term);
    }
    if (atomic_load(&e->mode) != QD_ENGINE_REPLICA) {
        return qd_err_set(err, QD_E_STATE, "%s is a primary and takes no operations of another one",
                          e->name);
    }
    return qdi_engine_alive(e, err);
}

int qd_engine_replicate(qd_engine *e, uint64_t sender_term, qd_str ops, uint32_t *n,
                        qd_translog_location *at, qd_err *err)
{
    QD_CHECK(e, ENGINE_MAGIC);
    uint32_t count;
    int rc = check_batch(e, sender_term, ops, &count, err);
    if (!rc && e->disk_full && atomic_load_explicit(e->disk_full, memory_order_relaxed)) {
        rc = qd_err_set(err, QD_E_NOSPACE, "%s the disk is full", e->name);
    }
    if (rc) return rc;
    held h = {.seq_no = -1};
    qd_mutex_lock(&e->replica_lock);
    rc = qdi_engine_check_sender(e, sender_term, err);
    while (!rc && ops.n) {
        qd_translog_op op;
        size_t bytes = qdi_record_view((const uint8_t *)ops.p, &op); /* checked above */
        qd_assert(bytes <= ops.n);
        rc = receive(e, &h, &op, ops, err);
        ops = qd_str_sub(ops, bytes, ops.n);
    }
    *at = qd_translog_end(e->translog);
    qd_translog_cursor_close(h.cursor);
    qd_mutex_unlock(&e->replica_lock);
    if (rc && qd_translog_failure(e->translog, NULL)) {
        qd_err failure;
        qd_err_init(&failure);
        (void)qd_translog_failure(e->translog, &failure);
        (void)qdi_engine_fail(e, &failure);
        qd_err_fini(&failure);
    }
    if (QD_MUTANT(engine, APPEND_UNSYNCED)) {
        qd_seq_no_all_persisted(&e->seq_no);
    }
    if (!rc && n) *n = count;
    return rc;
}

/* --- operations for others -------------------------------------------------------------------- */

struct qd_engine_ops {
    qd_engine *e;
    qd_translog_cursor *cursor;
    int64_t next, to;
};

static int gone(qd_engine *e, int64_t from, qd_err *err)
{
    int64_t first = atomic_load(&e->complete_from);
    if (from >= first) return 0;
    return qd_err_set(err, QD_E_OPS_GONE,
                      "%s operations from [%lld] on are asked for, those below "
                      "[%lld] are not retained",
                      e->name, (long long)from, (long long)first);
}

/* A cursor that stands at `from`: one that somebody left there, or a new one. */
static int cursor_take(qd_engine *e, int64_t from, qd_translog_cursor **out, qd_err *err)
{
    *out = NULL;
    qd_mutex_lock(&e->cursors_lock);
    for (size_t i = 0; i < ENGINE_CURSORS && !*out; i++) {
        struct engine_cursor *x = &e->cursors[i];
        if (!x->c || x->next != from) continue;
        *out = x->c;
        x->c = NULL;
    }
    qd_mutex_unlock(&e->cursors_lock);
    return *out ? 0 : qd_translog_cursor_open(e->translog, from, INT64_MAX, out, err);
}

static void cursor_leave(qd_engine *e, qd_translog_cursor *c, int64_t next)
{
    qd_mutex_lock(&e->cursors_lock);
    struct engine_cursor *oldest = &e->cursors[0];
    for (size_t i = 0; i < ENGINE_CURSORS && oldest->c; i++) {
        struct engine_cursor *x = &e->cursors[i];
        if (!x->c || x->used < oldest->used) oldest = x;
    }
    qd_translog_cursor *gone_cursor = oldest->c;
    *oldest = (struct engine_cursor){c, next, ++e->cursors_clock};
    qd_mutex_unlock(&e->cursors_lock);
    qd_translog_cursor_close(gone_cursor);
}

void qdi_engine_cursors_clear(qd_engine *e)
{
    for (size_t i = 0; i < ENGINE_CURSORS; i++) {
        qd_mutex_lock(&e->cursors_lock);
        qd_translog_cursor *c = e->cursors[i].c;
        e->cursors[i].c = NULL;
        qd_mutex_unlock(&e->cursors_lock);
        qd_translog_cursor_close(c);
    }
}

int qd_engine_ops_open(qd_engine *e, int64_t from, int64_t to, qd_engine_ops **out, qd_err *err)
{
    QD_CHECK(e, ENGINE_MAGIC);
    int64_t done;
    if (from < 0) from = 0;
    int rc = qdi_engine_alive(e, err);
    if (!rc) rc = gone(e, from, err);
    if (rc) return rc;
    qd_engine_ops *o = qd_calloc(e->account, sizeof *o);
    if (!o) return qd_err_nomem(err, "cursor of operations");
    qd_seq_no_get(&e->seq_no, NULL, &done, NULL);
    o->e = e;
    o->next = from;
    o->to = to < done ? to : done;
    if (o->next <= o->to) rc = cursor_take(e, from, &o->cursor, err);
    /* what it holds now stays; what went before that is known by now */
    if (!rc) rc = gone(e, from, err);
    if (rc) {
        qd_engine_ops_close(o);
        return rc;
    }
    *out = o;
    return 0;
}

/* The next operation; a cursor that is older than it ends before, or has a gap there, and is
 * replaced once. */
static int next_op(qd_engine_ops *o, qd_translog_op *op, qd_str *raw, qd_err *err)
{
    bool more = false;
    int rc = qd_translog_cursor_next(o->cursor, &more, op, raw, NULL, err);
    if (!rc && (!more || (int64_t)op->seq_no != o->next)) {
        qd_translog_cursor_close(o->cursor);
        o->cursor = NULL;
        rc = qd_translog_cursor_open(o->e->translog, o->next, INT64_MAX, &o->cursor, err);
        if (!rc) rc = qd_translog_cursor_next(o->cursor, &more, op, raw, NULL, err);
    }
    if (!rc && (!more || (int64_t)op->seq_no != o->next)) {
        rc = qd_err_set(err, QD_E_TRANSLOG_CORRUPT, "%s operation [%lld] is not in the translog",
                        o->e->name, (long long)o->next);
    }
    return rc;
}

int qd_engine_ops_next(qd_engine_ops *o, size_t max_bytes, qd_buf *out, uint32_t *n, int64_t *last,
                       qd_err *err)
{
    size_t begin = out->n;
    *n = 0;
    while (o->next <= o->to && (out->n - begin <= max_bytes || *n == 0)) {
        qd_translog_op op;
        qd_str raw;
        int rc = next_op(o, &op, &raw, err);
        if (rc) {
            qd_translog_cursor_close(o->cursor); /* where it stands is not known */
            o->cursor = NULL;
            o->to = o->next - 1;
            return rc;
        }
        char *p = qd_buf_reserve(out, raw.n);
        if (!p) {
            qd_translog_cursor_close(o->cursor);
            o->cursor = NULL;
            o->to = o->next - 1;
            return qd_err_nomem(err, "encoded operation");
        }
        memcpy(p, raw.p, raw.n);
        qdi_record_reseal((uint8_t *)p, 0);
        out->n += raw.n;
        if (last) *last = o->next;
        o->next++;
        ++*n;
    }
    return 0;
}

void qd_engine_ops_close(qd_engine_ops *o)
{
    if (!o) return;
    if (o->cursor && !qdi_engine_alive(o->e, NULL)) {
        cursor_leave(o->e, o->cursor, o->next);
    } else {
        qd_translog_cursor_close(o->cursor);
    }
    qd_free(o);
}

int64_t qd_engine_ops_from(qd_engine *e)
{
    return atomic_load(&e->complete_from);
}
