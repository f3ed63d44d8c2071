/*
 * translog.c: appending with group commit, generations, reading back. See translog.h.
 *
 * Two buffers: callers encode into `pending`; one of them, the writer, swaps it with `inflight`,
 * writes and syncs it without the lock, appends the mark, and wakes the others. Offsets are known
 * at add time because the next buffer's base already counts the mark that will be written.
 *
 * Lock order: t->lock, then nothing. files_lock guards the list of open generations against trim
 * while a reader reads.
 */
#include "base/bits.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/pair.h"
#include "engine/translog_int.h"
#include <check/invariant.h>
#include <stdio.h>
#include <string.h>

#define LOG TRANSLOG_LOG
#define PENDING_WRITE ((size_t)1 << 20) /* an unsynced log writes out at this size */
#define PENDING_MAX ((size_t)16 << 20)  /* callers wait at this size */
#define BUFFER_MAX ((size_t)1 << 32)
#define BUFFER_KEEP ((size_t)8 << 20)

static translog_file *current(qd_translog *t)
{
    return t->files.at[t->files.n - 1];
}

/* Of a log in use. Under the lock. */
static void holds(qd_translog *t)
{
    qd_assert(t->files.n > 0); /* the current one never goes */
    qd_assert(t->files.at[0]->number + t->files.n - 1 == current(t)->number); /* none is missing */
    /* of one that was found the marks say what is sure */
    qd_assert(t->unbegun || (t->sure <= t->synced && t->synced <= t->pending_base));
    qd_assert(t->checkpoint_written <= atomic_load(&t->checkpoint)); /* no mark runs ahead */
    qd_assert(atomic_load(&t->checkpoint_durable) <= t->checkpoint_written);
}

translog_file *qdi_translog_file_make(qd_translog *t, const translog_head *head, qd_store_log *log)
{
    char name[TRANSLOG_NAME_MAX];
    qd_str file = qdi_translog_name(qd_str_c(t->folder), head->generation, name, sizeof name);
    translog_file *f = qd_calloc(t->account, sizeof *f + file.n + 1);
    if (!f) return NULL;
    atomic_store(&f->refs, 1);
    f->number = head->generation;
    f->log = log;
    f->min_seq_no = f->max_seq_no = -1;
    f->head = *head;
    memcpy(f->name, file.p, file.n);
    return f;
}

void qdi_translog_file_unref(translog_file *f)
{
    uint32_t refs = atomic_fetch_sub(&f->refs, 1);
    qd_assert(refs > 0);
    if (refs != 1) return;
    qd_store_log_close(f->log);
    qd_free(f);
}

int qdi_translog_make(qd_env *env, qd_store *s, qd_str folder, const qd_translog_identity *who,
                      qd_account *account, qd_translog **out, qd_err *err)
{
    if (!(qd_store_caps(s) & QD_STORE_APPEND)) {
        return qd_err_set(err, QD_E_UNSUPPORTED,
                          "the storage tier of [%.*s] has no append-only logs and cannot hold a "
                          "translog",
                          QD_STR_ARG(folder));
    }
    qd_translog *t = qd_calloc(account, sizeof *t);
    if (!t) return qd_err_nomem(err, "translog");
    t->folder = qd_memdup(account, folder.p, folder.n);
    if (!t->folder) {
        qd_free(t);
        return qd_err_nomem(err, "translog");
    }
    t->env = env;
    t->store = s;
    t->who = *who;
    t->account = account;
    t->checkpoint_written = -1;
    t->pending_min = t->unsynced_min = INT64_MAX;
    atomic_store(&t->checkpoint, -1);
    atomic_store(&t->checkpoint_durable, -1);
    qd_mutex_init(&t->lock);
    qd_cond_init(&t->wake);
    qd_rwlock_init(&t->files_lock);
    qd_buf_init(&t->buf[0], account, BUFFER_MAX);
    qd_buf_init(&t->buf[1], account, BUFFER_MAX);
    qd_err_init(&t->failure);
    *out = t;
    return 0;
}

void qdi_translog_destroy(qd_translog *t)
{
    qd_assert(!t->writing && !t->rolling); /* who does comes back to the log */
    for (size_t i = 0; i < t->files.n; i++) qdi_translog_file_unref(t->files.at[i]);
    qd_vec_fini(&t->files);
    qd_buf_fini(&t->buf[0]);
    qd_buf_fini(&t->buf[1]);
    qd_err_fini(&t->failure);
    qd_rwlock_fini(&t->files_lock);
    qd_cond_fini(&t->wake);
    qd_mutex_fini(&t->lock);
    qd_free(t->folder);
    qd_free(t);
}

/* Makes the file of a generation with a durable header. */
static int file_create(qd_translog *t, const translog_head *head, qd_store_log **out, qd_err *err)
{
    char name[TRANSLOG_NAME_MAX];
    uint8_t bytes[TRANSLOG_HEADER];
    uint64_t offset;
    qd_store_log *log = NULL;
    qd_str file = qdi_translog_name(qd_str_c(t->folder), head->generation, name, sizeof name);
    int rc = qd_store_log_open(t->store, file, true, &log, err);
    if (rc) return rc;
    qdi_translog_header(bytes, head);
    qd_iovec v = {bytes, sizeof bytes};
    rc = qd_store_log_append(log, &v, 1, &offset, err);
    qd_assert(rc || offset == 0); /* records are counted from behind it */
    if (!rc) rc = qd_store_log_sync(log, err);
    if (rc) {
        qd_store_log_close(log);
        return rc;
    }
    *out = log;
    return 0;
}

/* Removes what a failed file_create left. Where that fails the log is closed: recovery would take
 * the file as proof that the generation before is sealed. */
static void file_undo(qd_translog *t, uint64_t number)
{
    char name[TRANSLOG_NAME_MAX];
    qd_err e;
    qd_err_init(&e);
    int rc = qd_store_delete(t->store,
                             qdi_translog_name(qd_str_c(t->folder), number, name, sizeof name), &e);
    if (rc) {
        qd_mutex_lock(&t->lock);
        if (!t->failure.code) qd_err_move(&t->failure, &e);
        qd_mutex_unlock(&t->lock);
    }
    qd_err_fini(&e);
}

static translog_head head_of(qd_translog *t, const qd_translog_turn *turn, uint64_t number)
{
    translog_head h = {
        .generation = number,
        .primary_term = turn->primary_term,
        .checkpoint = atomic_load(&t->checkpoint),
        .trim_above = turn->trim_above,
        .trim_below_term = turn->trim_below_term,
        .before_min = -1,
        .before_max = -1,
    };
    memcpy(h.uuid, t->who.uuid, 16);
    memcpy(h.history, turn->history ? turn->history : t->who.history, 16);
    if (memcmp(h.history, t->who.history, 16) != 0) h.checkpoint = -1;
    if (t->files.n) {
        const translog_file *before = current(t);
        h.before_operations = before->operations;
        h.before_min = before->min_seq_no;
        h.before_max = before->max_seq_no;
        h.before_durable = before->durable;
    }
    return h;
}

/* A generation begins that makes all records before it void: those files hold no number that a
 * lease would keep or a cursor would look for. Under the lock. */
static void forget_before(qd_translog *t)
{
    for (size_t i = 0; i + 1 < t->files.n; i++)
        t->files.at[i]->min_seq_no = t->files.at[i]->max_seq_no = -1;
    qd_assert(current(t)->max_seq_no < 0); /* nothing was added to the new one yet */
}

/* Appends an opened, empty generation to the list and aims the buffers at it. Under the lock. */
static int enter(qd_translog *t, const translog_head *head, qd_store_log *log)
{
    qd_invariant(head->primary_term >= t->who.primary_term);
    qd_assert(!t->files.n || head->generation == current(t)->number + 1); /* readers want all */
    qd_assert(t->pending_min == INT64_MAX && t->unsynced_min == INT64_MAX);
    qd_assert(!t->writing && t->buf[t->pending].n == 0); /* a sealed generation takes no more */
    translog_file *f = qdi_translog_file_make(t, head, log);
    if (!f) return QD_E_NOMEM;
    qd_rwlock_write(&t->files_lock);
    int rc = qd_vec_push(&t->files, t->account, f);
    qd_rwlock_unlock(&t->files_lock);
    if (rc) {
        qd_free(f);
        return rc;
    }
    if (memcmp(t->who.history, head->history, 16) != 0) atomic_store(&t->checkpoint, -1);
    memcpy(t->who.history, head->history, 16);
    if (head->trim_above < 0 && head->trim_below_term == TRANSLOG_ALL_TERMS) forget_before(t);
    t->who.primary_term = head->primary_term;
    t->pending_base = t->synced = t->sure = TRANSLOG_HEADER;
    t->unbegun = false;
    t->checkpoint_written = head->checkpoint;
    atomic_store(&t->checkpoint_durable, head->checkpoint);
    holds(t);
    return 0;
}

int qdi_translog_begin(qd_translog *t, const qd_translog_turn *turn, uint64_t number, qd_err *err)
{
    translog_head head = head_of(t, turn, number);
    qd_store_log *log = NULL;
    qd_mutex_unlock(&t->lock);
    int rc = file_create(t, &head, &log, err);
    if (rc) file_undo(t, number);
    qd_mutex_lock(&t->lock);
    if (rc) return rc;
    if (enter(t, &head, log)) {
        qd_store_log_close(log);
        rc = qd_err_nomem(err, "translog generation");
        /* the file is there: what would go on in the old one could not be told from corruption */
        if (!t->failure.code) qd_err_set(&t->failure, rc, "out of memory: translog generation");
    }
    return rc;
}

void qdi_translog_begin_later(qd_translog *t)
{
    t->pending_base = t->synced = current(t)->bytes;
    t->sure = current(t)->durable ? current(t)->durable : t->synced;
    t->unbegun = true;
    atomic_store(&t->checkpoint, t->checkpoint_written);
    atomic_store(&t->checkpoint_durable, t->checkpoint_written);
}

/* Begins the generation that was put off, for the first bytes to be added. Under the lock, which is
 * given up meanwhile, with nobody rolling. */
static int begin_now(qd_translog *t, qd_err *err)
{
    qd_translog_turn same = {.primary_term = t->who.primary_term};
    qd_assert(t->unbegun && !t->rolling); /* one at a time */
    t->rolling = true;
    int rc = qdi_translog_begin(t, &same, current(t)->number + 1, err);
    qd_assert(rc || !t->unbegun);
    t->rolling = false;
    qd_cond_broadcast(&t->wake);
    return rc;
}

int qd_translog_create(qd_env *env, qd_store *s, qd_str folder, const qd_translog_identity *who,
                       qd_account *account, qd_translog **out, qd_err *err)
{
    qd_translog *t;
    qd_translog_turn turn = {.primary_term = who->primary_term};
    int rc = qdi_translog_make(env, s, folder, who, account, &t, err);
    if (rc) return rc;
    qd_mutex_lock(&t->lock);
    rc = qdi_translog_begin(t, &turn, 1, err);
    qd_mutex_unlock(&t->lock);
    if (rc) {
        qdi_translog_destroy(t);
        return rc;
    }
    t->committed_generation = 1;
    *out = t;
    return 0;
}

uint64_t qd_translog_term(qd_translog *t)
{
    qd_mutex_lock(&t->lock);
    uint64_t term = t->who.primary_term;
    qd_mutex_unlock(&t->lock);
    return term;
}

static int failed(qd_translog *t, qd_err *err)
{
    if (!t->failure.code) return 0;
    if (err && !err->code) qd_err_copy(err, &t->failure);
    return t->failure.code;
}

int qdi_translog_ready(qd_translog *t, qd_err *err)
{
    int rc = 0;
    if (QD_LIKELY(!atomic_load_explicit(&t->unbegun, memory_order_relaxed))) return 0;
    qd_mutex_lock(&t->lock);
    while (t->unbegun && !rc && !(rc = failed(t, err))) {
        if (t->rolling) {
            qd_cond_wait(&t->wake, &t->lock);
        } else {
            rc = begin_now(t, err);
        }
    }
    qd_mutex_unlock(&t->lock);
    return rc;
}

/* --- adding and group commit ----------------------------------------------------------------- */

static bool dirty(const qd_translog *t)
{
    return t->writing || t->buf[t->pending].n > 0 || t->pending_base > t->synced;
}

void qd_translog_tell(qd_translog *t, qd_seq_no *numbers)
{
    qd_mutex_lock(&t->lock);
    t->numbers = numbers;
    qd_mutex_unlock(&t->lock);
}

/* Nothing waits for a sync: what was processed is durable, also what was not yet when the last sync
 * began. Under the lock. */
static void tell_clean(qd_translog *t)
{
    if (dirty(t)) return;
    qd_assert(t->pending_min == INT64_MAX && t->unsynced_min == INT64_MAX);
    if (t->numbers) qd_seq_no_all_persisted(t->numbers);
}

void qd_translog_numbers(qd_translog *t, int64_t *max, int64_t *processed, int64_t *persisted,
                         int64_t *durable)
{
    qd_mutex_lock(&t->lock);
    int64_t covered, least = t->unsynced_min < t->pending_min ? t->unsynced_min : t->pending_min;
    qd_seq_no_get_all(t->numbers, max, processed, persisted, &covered);
    *durable = least > *processed ? *processed : least - 1;
    if (*durable < covered) *durable = covered;
    qd_assert(*persisted <= *processed && *processed <= *max);
    qd_assert(*durable <= *processed);
    qd_pair("log.persisted", *persisted <= *durable); /* other nodes act on it */
    qd_mutex_unlock(&t->lock);
}

bool qd_translog_reached(qd_translog *t, const qd_translog_location *at)
{
    qd_mutex_lock(&t->lock);
    bool yes = at->generation != current(t)->number || at->offset + at->bytes <= t->synced;
    qd_assert(at->generation <= current(t)->number); /* a later one cannot be told durable */
    qd_mutex_unlock(&t->lock);
    return yes;
}

typedef enum write_mode {
    WRITE_ONLY,
    WRITE_SYNC, /* durable, and a mark behind it that says so */
    WRITE_SEAL, /* durable to the last byte: the generation's end, proven by the next one's file */
} write_mode;

/*
 * Writes out the pending buffer. Called with the lock held and nobody writing; returns with the
 * lock held. Offsets behind the swap already count the mark, so a failure to append it closes the
 * log like any other.
 */
static int write_out(qd_translog *t, write_mode mode)
{
    translog_file *g = current(t);
    qd_buf *b = &t->buf[t->pending];
    qd_err e;
    qd_assert(!t->writing);              /* one writer at a time */
    qd_assert(!t->failure.code);         /* a failed write is not tried again */
    qd_assert(!t->unbegun || b->n == 0); /* what was found takes no more */
    qd_assert(t->pending_base % 8 == 0); /* marks are looked for at such places */
    qd_assert(t->pending_base >= t->synced && t->synced >= t->sure);
    qd_err_init(&e);
    uint64_t offset = 0, end = t->pending_base + b->n;
    bool mark = mode == WRITE_SYNC && (b->n > 0 || t->pending_base > t->synced);
    bool sync = mark || mode == WRITE_SEAL;
    qd_store_log *log = g->log;
    uint64_t number = g->number;
    int64_t checkpoint = atomic_load(&t->checkpoint), written = t->checkpoint_written;
    /* A number is processed behind its record's add: records of all that are by now stand in this
     * buffer or before it. Taken later it would name what the sync below does not cover. */
    qd_seq_no_mark covered = {0};
    if (t->numbers) covered = qd_seq_no_mark_get(t->numbers);
    if (t->pending_min < t->unsynced_min) t->unsynced_min = t->pending_min;
    t->pending_min = INT64_MAX;
    t->writing = true;
    t->inflight_base = t->pending_base;
    t->pending ^= 1;
    t->pending_base = end + (mark ? MARK_BYTES : 0);
    qd_mutex_unlock(&t->lock);

    qd_iovec v = {b->p, b->n};
    int rc = b->n ? qd_store_log_append(log, &v, 1, &offset, &e) : 0;
    qd_assert(rc || !b->n || offset + b->n == end); /* where its records were told to be */
    if (!rc && sync) rc = qd_store_log_sync(log, &e);
    bool durable = !rc && sync;
    if (durable && mark) {
        uint8_t m[MARK_BYTES];
        qdi_mark_encode(end, checkpoint, number, m);
        rc = qd_store_log_append(log, &(qd_iovec){m, sizeof m}, 1, &offset, &e);
        qd_assert(rc || offset == end); /* it names what stands before it */
    }
    if (b->cap > BUFFER_KEEP) qd_buf_fini(b);

    qd_mutex_lock(&t->lock);
    qd_buf_reset(b);
    qd_assert(t->writing && current(t) == g); /* no generation begins under a write */
    t->writing = false;
    t->writes++;
    if (durable) {
        qd_assert(end >= t->sure);
        qd_invariant(checkpoint >= written); /* what marks say of the checkpoint never falls */
        t->synced = end + (mark ? MARK_BYTES : 0);
        qd_assert(t->synced == t->pending_base); /* what was added meanwhile stands behind it */
        qd_assert(atomic_load(&t->checkpoint_durable) <= written);
        t->sure = end;
        t->syncs++;
        t->unsynced_min = INT64_MAX;
        if (t->numbers) qd_seq_no_persisted(t->numbers, &covered);
        tell_clean(t);
        atomic_store(&t->checkpoint_durable, written);
        if (!rc && mark) t->checkpoint_written = checkpoint;
        holds(t);
    }
    if (rc && !t->failure.code) {
        qd_log_error(LOG, "[%s/translog-%llu] closed: %s", t->folder, (unsigned long long)number,
                     qd_err_reason(&e));
        qd_err_move(&t->failure, &e);
    }
    qd_err_fini(&e);
    qd_cond_broadcast(&t->wake);
    return rc;
}

int qdi_translog_write_pending(qd_translog *t, qd_err *err)
{
    qd_mutex_lock(&t->lock);
    int rc = failed(t, err);
    if (!rc && !t->writing && !t->rolling && t->buf[t->pending].n > 0) {
        (void)write_out(t, WRITE_ONLY);
        rc = failed(t, err);
    }
    qd_mutex_unlock(&t->lock);
    return rc;
}

int qd_translog_add(qd_translog *t, const qd_translog_op *op, qd_translog_location *at, qd_err *err)
{
    if (op->id.n > QD_TRANSLOG_ID_MAX || op->routing.n > QD_TRANSLOG_ROUTING_MAX ||
        op->source.n > QD_TRANSLOG_SOURCE_MAX) {
        return qd_err_set(err, QD_E_LIMIT,
                          "operation on [%.*s] is too large for the translog: id %zu, routing %zu, "
                          "source %zu bytes",
                          op->id.n > 64 ? 64 : (int)op->id.n, op->id.p, op->id.n, op->routing.n,
                          op->source.n);
    }
    size_t n = qdi_record_bytes(op);
    int rc;
    qd_mutex_lock(&t->lock);
    while (!(rc = failed(t, err)) &&
           (t->rolling || t->unbegun || t->buf[t->pending].n >= PENDING_MAX)) {
        if (t->writing || t->rolling) {
            qd_cond_wait(&t->wake, &t->lock);
        } else if (t->unbegun) {
            if ((rc = begin_now(t, err))) break;
        } else {
            (void)write_out(t, WRITE_ONLY);
        }
    }
    if (!rc) {
        qd_buf *b = &t->buf[t->pending];
        char *p = qd_buf_reserve(b, n);
        if (p) {
            translog_file *g = current(t);
            qdi_record_encode(op, g->number, (uint8_t *)p);
            *at = (qd_translog_location){g->number, t->pending_base + b->n, (uint32_t)n};
            b->n += n;
            int64_t seq_no = (int64_t)op->seq_no;
            qd_assert(seq_no >= 0); /* recovery takes no other */
            if (g->min_seq_no < 0 || seq_no < g->min_seq_no) g->min_seq_no = seq_no;
            if (seq_no > g->max_seq_no) g->max_seq_no = seq_no;
            if (seq_no < t->pending_min) t->pending_min = seq_no;
            g->operations++;
            t->operations++;
            if (b->n >= PENDING_WRITE && !t->writing) rc = write_out(t, WRITE_ONLY);
        } else {
            rc = qd_err_nomem(err, "translog buffer");
            b->failed = 0; /* nothing was added: later, smaller ones may fit */
        }
    }
    if (rc) (void)failed(t, err);
    qd_mutex_unlock(&t->lock);
    return rc;
}

int qd_translog_sync(qd_translog *t, const qd_translog_location *at, qd_err *err)
{
    int rc = 0;
    qd_mutex_lock(&t->lock);
    qd_assert(at->generation < current(t)->number ||
              at->offset + at->bytes <= t->pending_base + t->buf[t->pending].n);
    /* an older generation was synced as a whole before the next one began */
    while (at->generation == current(t)->number && at->offset + at->bytes > t->synced &&
           !(rc = failed(t, err))) {
        if (t->writing) {
            qd_cond_wait(&t->wake, &t->lock);
        } else {
            (void)write_out(t, WRITE_SYNC);
        }
    }
    if (!rc) tell_clean(t);
    qd_mutex_unlock(&t->lock);
    return rc;
}

/* Waits until nobody writes, then syncs all. Under the lock. */
static int sync_all_locked(qd_translog *t, qd_err *err)
{
    while (t->writing) qd_cond_wait(&t->wake, &t->lock);
    int rc = failed(t, err);
    if (!rc && dirty(t) && write_out(t, WRITE_SYNC)) rc = failed(t, err);
    return rc;
}

int qd_translog_sync_all(qd_translog *t, qd_err *err)
{
    qd_mutex_lock(&t->lock);
    uint64_t number = current(t)->number, end = t->pending_base + t->buf[t->pending].n;
    qd_mutex_unlock(&t->lock);
    qd_translog_location at = {number, end, 0};
    return qd_translog_sync(t, &at, err);
}

bool qd_translog_synced(qd_translog *t)
{
    qd_mutex_lock(&t->lock);
    bool yes = !dirty(t);
    qd_mutex_unlock(&t->lock);
    return yes;
}

qd_translog_location qd_translog_end(qd_translog *t)
{
    qd_mutex_lock(&t->lock);
    qd_translog_location at = {current(t)->number, t->pending_base + t->buf[t->pending].n, 0};
    qd_mutex_unlock(&t->lock);
    return at;
}

void qd_translog_checkpoint_set(qd_translog *t, int64_t checkpoint)
{
    int64_t was = atomic_load(&t->checkpoint);
    while (checkpoint > was && !atomic_compare_exchange_weak(&t->checkpoint, &was, checkpoint)) {}
}

int64_t qd_translog_checkpoint(qd_translog *t)
{
    return atomic_load(&t->checkpoint_durable);
}

int qd_translog_checkpoint_sync(qd_translog *t, qd_err *err)
{
    qd_mutex_lock(&t->lock);
    int64_t wanted = atomic_load(&t->checkpoint);
    int rc = 0;
    while (atomic_load(&t->checkpoint_durable) < wanted && !(rc = failed(t, err))) {
        if (t->writing || t->rolling) {
            qd_cond_wait(&t->wake, &t->lock);
            /* another history began meanwhile: its checkpoint counts */
            if (atomic_load(&t->checkpoint) < wanted) wanted = atomic_load(&t->checkpoint);
            continue;
        }
        if (t->unbegun) {
            if ((rc = begin_now(t, err))) break;
            continue;
        }
        qd_buf *b = &t->buf[t->pending];
        if (t->checkpoint_written < wanted || b->n == 0) { /* a mark in front of the sync */
            char *p = qd_buf_reserve(b, MARK_BYTES);
            if (!p) {
                b->failed = 0;
                rc = qd_err_nomem(err, "translog buffer");
                break;
            }
            qd_assert(t->sure <= t->pending_base + b->n);
            /* without the mark that was appended behind the last sync */
            qdi_mark_encode(t->sure, wanted, current(t)->number, (uint8_t *)p);
            b->n += MARK_BYTES;
            t->checkpoint_written = wanted;
        }
        (void)write_out(t, WRITE_SYNC);
    }
    qd_mutex_unlock(&t->lock);
    return rc;
}

/* Seals the current generation and makes the next; callers of add wait meanwhile. The next file
 * must not exist before the last byte of this one is durable: recovery concludes from it. */
static int roll_over(qd_translog *t, const qd_translog_turn *turn, uint64_t *next, qd_err *err)
{
    while (t->writing) qd_cond_wait(&t->wake, &t->lock);
    int rc = failed(t, err);
    if (!rc && write_out(t, WRITE_SEAL)) rc = failed(t, err);
    *next = current(t)->number + 1;
    if (rc) return rc;
    qd_assert(t->synced == t->pending_base); /* sealed to its last byte */
    current(t)->bytes = t->pending_base;
    qd_translog_turn same = {.primary_term = t->who.primary_term};
    return qdi_translog_begin(t, turn ? turn : &same, *next, err);
}

static int roll(qd_translog *t, const qd_translog_turn *turn, uint64_t *generation, qd_err *err)
{
    uint64_t next = 0;
    qd_mutex_lock(&t->lock);
    while (t->rolling) qd_cond_wait(&t->wake, &t->lock);
    int rc = sync_all_locked(t, err); /* most bytes are durable before anybody has to wait */
    while (t->rolling) qd_cond_wait(&t->wake, &t->lock);
    if (!rc) {
        t->rolling = true;
        rc = roll_over(t, turn, &next, err);
        t->rolling = false;
        qd_cond_broadcast(&t->wake);
    }
    qd_mutex_unlock(&t->lock);
    if (!rc && generation) *generation = next;
    return rc;
}

int qd_translog_roll(qd_translog *t, uint64_t *generation, qd_err *err)
{
    return roll(t, NULL, generation, err);
}

int qd_translog_turn_over(qd_translog *t, const qd_translog_turn *turn, uint64_t *generation,
                          qd_err *err)
{
    return roll(t, turn, generation, err);
}

bool qd_translog_above(qd_translog *t, int64_t seq_no, uint64_t below_term)
{
    bool some = false;
    qd_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->files.n; i++) {
        const translog_file *f = t->files.at[i];
        some |= f->max_seq_no > seq_no && f->head.primary_term < below_term;
    }
    qd_mutex_unlock(&t->lock);
    return some;
}

uint64_t qd_translog_generation_above(qd_translog *t, int64_t seq_no)
{
    qd_mutex_lock(&t->lock);
    size_t i = 0;
    while (i + 1 < t->files.n && t->files.at[i]->max_seq_no <= seq_no) i++;
    uint64_t number = t->files.at[i]->number;
    qd_mutex_unlock(&t->lock);
    return number;
}

/* How many of the oldest may go. Under the lock. */
static size_t trimmable(qd_translog *t, uint64_t generation, int64_t retain_seq_no)
{
    size_t i = 0;
    while (i + 1 < t->files.n && t->files.at[i]->number < generation &&
           t->files.at[i]->max_seq_no < retain_seq_no) {
        i++;
    }
    return i;
}

uint64_t qd_translog_trim_plan(qd_translog *t, uint64_t generation, int64_t retain_seq_no,
                               int64_t *highest)
{
    qd_mutex_lock(&t->lock);
    size_t n = trimmable(t, generation, retain_seq_no);
    qd_assert(n < t->files.n);
    uint64_t number = t->files.at[n]->number;
    *highest = -1;
    for (size_t i = 0; i < n; i++) {
        if (t->files.at[i]->max_seq_no > *highest) *highest = t->files.at[i]->max_seq_no;
    }
    qd_assert(n == 0 || *highest < retain_seq_no);
    qd_mutex_unlock(&t->lock);
    return number;
}

/* Takes the oldest generation out of the list; NULL when none may go. */
static translog_file *take_oldest(qd_translog *t, uint64_t generation, int64_t retain_seq_no)
{
    translog_file *f = NULL;
    qd_mutex_lock(&t->lock);
    qd_rwlock_write(&t->files_lock);
    if (trimmable(t, generation, retain_seq_no) > 0) {
        f = t->files.at[0];
        qd_assert(t->files.n > 1 && f->number < generation && f->max_seq_no < retain_seq_no);
        qd_assert(t->operations >= f->operations);
        memmove(t->files.at, t->files.at + 1, --t->files.n * sizeof(translog_file *));
        t->operations -= f->operations;
        holds(t);
    }
    qd_rwlock_unlock(&t->files_lock);
    if (generation > t->committed_generation) t->committed_generation = generation;
    qd_mutex_unlock(&t->lock);
    return f;
}

int qd_translog_trim(qd_translog *t, uint64_t generation, int64_t retain_seq_no, qd_err *err)
{
    translog_file *f;
    int rc = 0;
    while (!rc && (f = take_oldest(t, generation, retain_seq_no))) {
        rc = qd_store_delete(t->store, qd_str_c(f->name), err);
        qdi_translog_file_unref(f);
    }
    return rc;
}

/* --- reading back ------------------------------------------------------------------------------
 */

/* Copies the record from memory if it stands there. Under the lock. */
static bool from_memory(qd_translog *t, const qd_translog_location *at, char *out)
{
    if (at->generation != current(t)->number) return false;
    const qd_buf *p = &t->buf[t->pending], *f = &t->buf[t->pending ^ 1];
    if (at->offset >= t->pending_base && at->offset + at->bytes <= t->pending_base + p->n) {
        memcpy(out, p->p + (at->offset - t->pending_base), at->bytes);
        return true;
    }
    if (t->writing && f->p && at->offset >= t->inflight_base &&
        at->offset + at->bytes <= t->inflight_base + f->n) {
        memcpy(out, f->p + (at->offset - t->inflight_base), at->bytes);
        return true;
    }
    return false;
}

static int from_file(qd_translog *t, const qd_translog_location *at, char *out, qd_err *err)
{
    int rc = QD_E_NOTFOUND;
    size_t got = 0;
    qd_rwlock_read(&t->files_lock);
    for (size_t i = 0; i < t->files.n; i++) {
        if (t->files.at[i]->number == at->generation) {
            rc = qd_store_log_read(t->files.at[i]->log, at->offset, out, at->bytes, &got, err);
        }
    }
    qd_rwlock_unlock(&t->files_lock);
    if (rc == QD_E_NOTFOUND) {
        return qd_err_set(err, rc, "translog of [%s]: generation %llu has been trimmed", t->folder,
                          (unsigned long long)at->generation);
    }
    if (!rc && got < at->bytes) {
        rc = qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                        "translog [%s/translog-%llu] at offset %llu: ends inside a record",
                        t->folder, (unsigned long long)at->generation,
                        (unsigned long long)at->offset);
    }
    return rc;
}

int qd_translog_read(qd_translog *t, const qd_translog_location *at, qd_arena *arena,
                     qd_translog_op *op, qd_err *err)
{
    char *p = qd_arena_alloc(arena, at->bytes);
    if (!p) return qd_err_nomem(err, "translog record");
    qd_mutex_lock(&t->lock);
    bool done = from_memory(t, at, p);
    qd_mutex_unlock(&t->lock);
    if (!done) {
        int rc = from_file(t, at, p, err);
        if (rc) return rc;
    }
    if (!qdi_record_decode((const uint8_t *)p, at->bytes, at->generation, op)) {
        return qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                          "translog [%s/translog-%llu] at offset %llu: record does not match its "
                          "checksum",
                          t->folder, (unsigned long long)at->generation,
                          (unsigned long long)at->offset);
    }
    return 0;
}

/* --- statistics, end ----------------------------------------------------------------------------
 */

void qd_translog_stats_get(qd_translog *t, qd_translog_stats *out)
{
    memset(out, 0, sizeof *out);
    qd_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->files.n; i++) {
        const translog_file *g = t->files.at[i];
        bool last = i + 1 == t->files.n;
        uint64_t bytes = last ? t->pending_base + t->buf[t->pending].n : g->bytes;
        out->bytes += bytes;
        if (last) out->current_bytes = bytes;
        out->operations += g->operations;
        if (g->number >= t->committed_generation) {
            out->uncommitted_bytes += bytes;
            out->uncommitted_operations += g->operations;
        }
    }
    qd_assert(out->operations == t->operations);
    out->syncs = t->syncs;
    out->writes = t->writes;
    out->generation = current(t)->number;
    out->min_generation = t->files.at[0]->number;
    qd_mutex_unlock(&t->lock);
}

int qd_translog_failure(qd_translog *t, qd_err *err)
{
    qd_mutex_lock(&t->lock);
    int rc = failed(t, err);
    qd_mutex_unlock(&t->lock);
    return rc;
}

int qd_translog_close(qd_translog *t, bool sync, qd_err *err)
{
    if (!t) return 0;
    int rc = 0;
    if (sync) {
        qd_mutex_lock(&t->lock);
        rc = sync_all_locked(t, err);
        qd_mutex_unlock(&t->lock);
    }
    qdi_translog_destroy(t);
    return rc;
}
