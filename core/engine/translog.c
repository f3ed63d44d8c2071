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
#include "engine/translog.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "engine/translog_int.h"
#include "runtime/sync.h"
#include <stdio.h>
#include <string.h>

#define LOG "translog"
#define PENDING_WRITE ((size_t)1 << 20) /* an unsynced log writes out at this size */
#define PENDING_MAX ((size_t)16 << 20)  /* callers wait at this size */
#define BUFFER_MAX ((size_t)1 << 32)
#define BUFFER_KEEP ((size_t)8 << 20)
#define NAME_MAX_BYTES 512

typedef struct generation {
    uint64_t number;
    qd_store_log *log;
    uint64_t bytes, operations; /* final once it is no longer the current one */
} generation;

struct qd_translog {
    qd_env *env;
    qd_store *store;
    char *folder;
    uint8_t uuid[16];
    uint64_t primary_term;
    qd_account *account;

    qd_mutex lock;
    qd_cond wake;
    qd_buf buf[2];
    int pending;            /* index of the buffer that callers fill */
    uint64_t pending_base;  /* file offset of its first byte */
    uint64_t inflight_base; /* of the other one, while writing */
    bool writing, rolling;
    uint64_t synced; /* of the current generation: every record that ends at or below is durable */
    qd_err failure;
    uint64_t operations, syncs, writes;
    uint64_t committed_generation;

    qd_rwlock files_lock;
    QD_VEC(generation) files; /* ascending; the last one is current */
};

static generation *current(qd_translog *t)
{
    return &t->files.at[t->files.n - 1];
}

static int make(qd_env *env, qd_store *s, qd_str folder, const uint8_t uuid[16],
                uint64_t primary_term, qd_account *account, qd_translog **out, qd_err *err)
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
    memcpy(t->uuid, uuid, 16);
    t->primary_term = primary_term;
    t->account = account;
    qd_mutex_init(&t->lock);
    qd_cond_init(&t->wake);
    qd_rwlock_init(&t->files_lock);
    qd_buf_init(&t->buf[0], account, BUFFER_MAX);
    qd_buf_init(&t->buf[1], account, BUFFER_MAX);
    qd_err_init(&t->failure);
    *out = t;
    return 0;
}

static void destroy(qd_translog *t)
{
    for (size_t i = 0; i < t->files.n; i++) qd_store_log_close(t->files.at[i].log);
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
static int generation_create(qd_translog *t, uint64_t number, qd_store_log **out, qd_err *err)
{
    char name[NAME_MAX_BYTES];
    uint8_t head[TRANSLOG_HEADER];
    uint64_t offset;
    qd_store_log *log = NULL;
    int rc = qd_store_log_open(t->store,
                               qdi_translog_name(qd_str_c(t->folder), number, name, sizeof name),
                               true, &log, err);
    if (rc) return rc;
    qdi_translog_header(head, t->uuid, number, t->primary_term);
    qd_iovec v = {head, sizeof head};
    rc = qd_store_log_append(log, &v, 1, &offset, err);
    if (!rc) rc = qd_store_log_sync(log, err);
    if (rc) {
        qd_store_log_close(log);
        return rc;
    }
    *out = log;
    return 0;
}

/* Removes what a failed generation_create left. Where that fails the log is closed: recovery would
 * take the file as proof that the generation before is sealed. Under the lock. */
static void generation_undo(qd_translog *t, uint64_t number)
{
    char name[NAME_MAX_BYTES];
    qd_err e;
    qd_err_init(&e);
    if (qd_store_delete(t->store, qdi_translog_name(qd_str_c(t->folder), number, name, sizeof name),
                        &e) &&
        !t->failure.code) {
        qd_err_move(&t->failure, &e);
    }
    qd_err_fini(&e);
}

/* Appends an opened, empty generation to the list and aims the buffers at it. Under the lock. */
static int generation_enter(qd_translog *t, uint64_t number, qd_store_log *log)
{
    qd_rwlock_write(&t->files_lock);
    int rc = qd_vec_push(&t->files, t->account, ((generation){.number = number, .log = log}));
    qd_rwlock_unlock(&t->files_lock);
    if (rc) return rc;
    t->pending_base = t->synced = TRANSLOG_HEADER;
    return 0;
}

int qd_translog_create(qd_env *env, qd_store *s, qd_str folder, const uint8_t uuid[16],
                       uint64_t primary_term, qd_account *account, qd_translog **out, qd_err *err)
{
    qd_translog *t;
    qd_store_log *log;
    int rc = make(env, s, folder, uuid, primary_term, account, &t, err);
    if (rc) return rc;
    if ((rc = generation_create(t, 1, &log, err))) {
        destroy(t);
        return rc;
    }
    if ((rc = generation_enter(t, 1, log))) {
        qd_store_log_close(log);
        destroy(t);
        return qd_err_nomem(err, "translog generation");
    }
    t->committed_generation = 1;
    *out = t;
    return 0;
}

/* --- opening ------------------------------------------------------------------------------ */

typedef struct found {
    uint64_t *numbers;
    size_t n, cap;
    qd_str prefix;
    qd_account *account;
} found;

static int collect(void *arg, qd_str name, uint64_t bytes)
{
    found *f = arg;
    uint64_t number;
    (void)bytes;
    if (!qd_str_u64(qd_str_sub(name, f->prefix.n, name.n), &number)) return 0;
    if (f->n == f->cap &&
        qd_vec_grow((void **)&f->numbers, &f->cap, f->n, 1, sizeof *f->numbers, f->account)) {
        return QD_E_NOMEM;
    }
    size_t i = f->n++;
    for (; i > 0 && f->numbers[i - 1] > number; i--) f->numbers[i] = f->numbers[i - 1];
    f->numbers[i] = number;
    return 0;
}

typedef struct replay_count {
    int (*each)(void *, const qd_translog_op *, const qd_translog_location *, qd_err *);
    void *arg;
    uint64_t operations;
} replay_count;

static int count_each(void *arg, const qd_translog_op *op, const qd_translog_location *at,
                      qd_err *err)
{
    replay_count *c = arg;
    c->operations++;
    return c->each ? c->each(c->arg, op, at, err) : 0;
}

/* Replays one generation; a torn tail is cut, a file without a whole header removed. */
static int generation_replay(qd_translog *t, uint64_t number, bool sealed, replay_count *count,
                             qd_err *err)
{
    char name[NAME_MAX_BYTES];
    qd_str file = qdi_translog_name(qd_str_c(t->folder), number, name, sizeof name);
    qd_store_log *log;
    uint64_t end = 0;
    int rc = qd_store_log_open(t->store, file, false, &log, err);
    if (rc) return rc;
    uint64_t before = count->operations, whole = qd_store_log_end(log);
    rc = qdi_translog_replay(log, name, number, sealed, t->uuid, t->account, count_each, count,
                             &end, err);
    if (!rc && end < whole) {
        qd_log_warn(LOG, "[%s] torn tail: %llu bytes at offset %llu were never acknowledged, cut",
                    name, (unsigned long long)(whole - end), (unsigned long long)end);
        rc = end ? qd_store_log_truncate(log, end, err) : 0;
    } else if (!rc && !sealed) {
        /* after a kill these bytes may be in the page cache only, and from now on they count */
        rc = qd_store_log_sync(log, err);
    }
    if (!rc && end == 0) {
        qd_store_log_close(log);
        return qd_store_delete(t->store, file, err);
    }
    generation g = {number, log, end, count->operations - before};
    if (!rc && qd_vec_push(&t->files, t->account, g)) rc = qd_err_nomem(err, "translog generation");
    if (rc) qd_store_log_close(log);
    return rc;
}

static int open_generations(qd_translog *t, found *f, uint64_t min_generation, replay_count *count,
                            qd_err *err)
{
    char name[NAME_MAX_BYTES];
    uint64_t expected = min_generation;
    for (size_t i = 0; i < f->n; i++) {
        uint64_t number = f->numbers[i];
        int rc;
        if (number < min_generation) {
            rc = qd_store_delete(
                t->store, qdi_translog_name(qd_str_c(t->folder), number, name, sizeof name), err);
            if (rc) return rc;
            continue;
        }
        if (number != expected++) {
            return qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                              "translog of [%s]: generation %llu is missing", t->folder,
                              (unsigned long long)(expected - 1));
        }
        if ((rc = generation_replay(t, number, i + 1 < f->n, count, err))) return rc;
    }
    if (expected == min_generation) {
        return qd_err_set(
            err, QD_E_TRANSLOG_CORRUPT,
            "translog of [%s]: generation %llu, named by the commit point, is missing", t->folder,
            (unsigned long long)min_generation);
    }
    return 0;
}

int qd_translog_open(qd_env *env, qd_store *s, qd_str folder, const uint8_t uuid[16],
                     uint64_t primary_term, uint64_t min_generation, qd_account *account,
                     int (*each)(void *arg, const qd_translog_op *op,
                                 const qd_translog_location *at, qd_err *err),
                     void *arg, qd_translog **out, qd_err *err)
{
    qd_translog *t;
    int rc = make(env, s, folder, uuid, primary_term, account, &t, err);
    if (rc) return rc;
    char prefix[NAME_MAX_BYTES];
    int len = snprintf(prefix, sizeof prefix, "%s/translog-", t->folder);
    found f = {.prefix = {prefix, (size_t)len}, .account = account};
    replay_count count = {each, arg, 0};
    rc = qd_store_list(s, f.prefix, collect, &f, err);
    if (!rc) rc = open_generations(t, &f, min_generation, &count, err);
    uint64_t next = t->files.n ? current(t)->number + 1 : min_generation;
    qd_free(f.numbers);
    qd_store_log *log;
    if (!rc && !(rc = generation_create(t, next, &log, err)) &&
        (rc = generation_enter(t, next, log))) {
        qd_store_log_close(log);
        (void)qd_err_nomem(err, "translog generation");
    }
    if (rc) {
        destroy(t);
        return rc;
    }
    t->operations = count.operations;
    t->committed_generation = min_generation;
    *out = t;
    return 0;
}

/* --- adding and group commit ----------------------------------------------------------------- */

static int failed(qd_translog *t, qd_err *err)
{
    if (!t->failure.code) return 0;
    if (err && !err->code) qd_err_copy(err, &t->failure);
    return t->failure.code;
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
    generation *g = current(t);
    qd_buf *b = &t->buf[t->pending];
    qd_err e;
    qd_err_init(&e);
    uint64_t offset = 0, end = t->pending_base + b->n;
    bool mark = mode == WRITE_SYNC && (b->n > 0 || t->pending_base > t->synced);
    bool sync = mark || mode == WRITE_SEAL;
    qd_store_log *log = g->log;
    uint64_t number = g->number;
    t->writing = true;
    t->inflight_base = t->pending_base;
    t->pending ^= 1;
    t->pending_base = end + (mark ? MARK_BYTES : 0);
    qd_mutex_unlock(&t->lock);

    qd_iovec v = {b->p, b->n};
    int rc = b->n ? qd_store_log_append(log, &v, 1, &offset, &e) : 0;
    if (!rc && sync) rc = qd_store_log_sync(log, &e);
    bool durable = !rc && sync;
    if (durable && mark) {
        uint8_t m[MARK_BYTES];
        qdi_mark_encode(end, number, m);
        rc = qd_store_log_append(log, &(qd_iovec){m, sizeof m}, 1, &offset, &e);
    }
    if (b->cap > BUFFER_KEEP) qd_buf_fini(b);

    qd_mutex_lock(&t->lock);
    qd_buf_reset(b);
    t->writing = false;
    t->writes++;
    if (durable) {
        t->synced = end + (mark ? MARK_BYTES : 0);
        t->syncs++;
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
    while (!(rc = failed(t, err)) && (t->rolling || t->buf[t->pending].n >= PENDING_MAX)) {
        if (t->writing || t->rolling) {
            qd_cond_wait(&t->wake, &t->lock);
        } else {
            (void)write_out(t, WRITE_ONLY);
        }
    }
    if (!rc) {
        qd_buf *b = &t->buf[t->pending];
        char *p = qd_buf_reserve(b, n);
        if (p) {
            generation *g = current(t);
            qdi_record_encode(op, g->number, (uint8_t *)p);
            *at = (qd_translog_location){g->number, t->pending_base + b->n, (uint32_t)n};
            b->n += n;
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
    /* an older generation was synced as a whole before the next one began */
    while (at->generation == current(t)->number && at->offset + at->bytes > t->synced &&
           !(rc = failed(t, err))) {
        if (t->writing) {
            qd_cond_wait(&t->wake, &t->lock);
        } else {
            (void)write_out(t, WRITE_SYNC);
        }
    }
    qd_mutex_unlock(&t->lock);
    return rc;
}

static bool dirty(const qd_translog *t)
{
    return t->writing || t->buf[t->pending].n > 0 || t->pending_base > t->synced;
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

/* Seals the current generation and makes the next; callers of add wait meanwhile. The next file
 * must not exist before the last byte of this one is durable: recovery concludes from it. */
static int roll_over(qd_translog *t, uint64_t *next, qd_err *err)
{
    qd_store_log *log = NULL;
    while (t->writing) qd_cond_wait(&t->wake, &t->lock);
    int rc = failed(t, err);
    if (!rc && write_out(t, WRITE_SEAL)) rc = failed(t, err);
    *next = current(t)->number + 1;
    if (rc) return rc;
    qd_mutex_unlock(&t->lock);
    rc = generation_create(t, *next, &log, err);
    qd_mutex_lock(&t->lock);
    if (rc) {
        generation_undo(t, *next);
        return rc;
    }
    current(t)->bytes = t->pending_base;
    if (generation_enter(t, *next, log)) {
        qd_store_log_close(log);
        rc = qd_err_nomem(err, "translog generation");
        /* the file is there: what would go on in the old one could not be told from corruption */
        if (!t->failure.code) qd_err_set(&t->failure, rc, "out of memory: translog generation");
    }
    return rc;
}

int qd_translog_roll(qd_translog *t, uint64_t *generation_out, qd_err *err)
{
    uint64_t next = 0;
    qd_mutex_lock(&t->lock);
    while (t->rolling) qd_cond_wait(&t->wake, &t->lock);
    int rc = sync_all_locked(t, err); /* most bytes are durable before anybody has to wait */
    while (t->rolling) qd_cond_wait(&t->wake, &t->lock);
    if (!rc) {
        t->rolling = true;
        rc = roll_over(t, &next, err);
        t->rolling = false;
        qd_cond_broadcast(&t->wake);
    }
    qd_mutex_unlock(&t->lock);
    if (!rc && generation_out) *generation_out = next;
    return rc;
}

/* Takes the oldest generation below min out of the list; false when there is none. */
static bool take_oldest(qd_translog *t, uint64_t min_generation, generation *out)
{
    qd_mutex_lock(&t->lock);
    qd_rwlock_write(&t->files_lock);
    bool some = t->files.n > 1 && t->files.at[0].number < min_generation;
    if (some) {
        *out = t->files.at[0];
        memmove(t->files.at, t->files.at + 1, --t->files.n * sizeof *out);
        t->operations -= out->operations;
    }
    qd_rwlock_unlock(&t->files_lock);
    if (min_generation > t->committed_generation) t->committed_generation = min_generation;
    qd_mutex_unlock(&t->lock);
    return some;
}

int qd_translog_trim(qd_translog *t, uint64_t min_generation, qd_err *err)
{
    char name[NAME_MAX_BYTES];
    generation g;
    int rc = 0;
    while (!rc && take_oldest(t, min_generation, &g)) {
        qd_store_log_close(g.log);
        rc = qd_store_delete(
            t->store, qdi_translog_name(qd_str_c(t->folder), g.number, name, sizeof name), err);
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
        if (t->files.at[i].number == at->generation) {
            rc = qd_store_log_read(t->files.at[i].log, at->offset, out, at->bytes, &got, err);
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

/* --- figures, end ---------------------------------------------------------------------------- */

void qd_translog_stats_get(qd_translog *t, qd_translog_stats *out)
{
    memset(out, 0, sizeof *out);
    qd_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->files.n; i++) {
        const generation *g = &t->files.at[i];
        bool last = i + 1 == t->files.n;
        uint64_t bytes = last ? t->pending_base + t->buf[t->pending].n : g->bytes;
        out->bytes += bytes;
        out->operations += g->operations;
        if (g->number >= t->committed_generation) {
            out->uncommitted_bytes += bytes;
            out->uncommitted_operations += g->operations;
        }
    }
    out->syncs = t->syncs;
    out->writes = t->writes;
    out->generation = current(t)->number;
    out->min_generation = t->files.at[0].number;
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
    destroy(t);
    return rc;
}
