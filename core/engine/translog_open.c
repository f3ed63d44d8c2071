/*
 * translog_open.c: finding the generations of a log and what is good of them. See translog.h.
 *
 * First all headers are read: they say where the log of another history begins that a recovery left
 * unfinished. Then every byte from the first generation to be replayed is checked; the numbers of
 * an older one stand in the header of the one behind it.
 */
#include "base/log.h"
#include "base/str.h"
#include "engine/mutants.h"
#include "engine/translog_int.h"
#include <stdio.h>
#include <string.h>

typedef struct listing {
    QD_VEC(uint64_t) numbers; /* ascending */
    size_t prefix;
    qd_account *account;
} listing;

static int collect(void *arg, qd_str name, uint64_t bytes)
{
    listing *l = arg;
    uint64_t number;
    (void)bytes;
    if (!qd_str_u64(qd_str_sub(name, l->prefix, name.n), &number)) return 0;
    if (qd_vec_reserve(&l->numbers, l->account, 1)) return QD_E_NOMEM;
    size_t i = l->numbers.n++;
    for (; i > 0 && l->numbers.at[i - 1] > number; i--) l->numbers.at[i] = l->numbers.at[i - 1];
    l->numbers.at[i] = number;
    return 0;
}

static int remove_file(qd_translog *t, uint64_t number, qd_err *err)
{
    char name[TRANSLOG_NAME_MAX];
    return qd_store_delete(t->store,
                           qdi_translog_name(qd_str_c(t->folder), number, name, sizeof name), err);
}

/* Reads a header; *good is false where it is damaged, and nothing is said about it yet. */
static int peek(qd_translog *t, uint64_t number, translog_head *head, bool *good, qd_err *err)
{
    char name[TRANSLOG_NAME_MAX];
    uint8_t bytes[TRANSLOG_HEADER];
    qd_store_log *log;
    size_t got = 0;
    qd_str file = qdi_translog_name(qd_str_c(t->folder), number, name, sizeof name);
    int rc = qd_store_log_open(t->store, file, false, &log, err);
    if (rc) return rc;
    rc = qd_store_log_read(log, 0, bytes, sizeof bytes, &got, err);
    qd_store_log_close(log);
    *good = !rc && got == sizeof bytes &&
            !qdi_translog_header_check(bytes, t->who.uuid, number, name, head, NULL);
    return rc;
}

/* Removes generations at the end that another history began, newest first. */
static int drop_foreign(qd_translog *t, listing *l, qd_err *err)
{
    for (size_t n = l->numbers.n; n > 1; n--) {
        translog_head head, before;
        bool good, good_before;
        uint64_t number = l->numbers.at[n - 1];
        int rc = peek(t, number, &head, &good, err);
        /* one without a whole header may stand behind them: it was never used */
        if (!rc && !good) rc = peek(t, l->numbers.at[n - 2], &before, &good_before, err);
        if (rc) return rc;
        bool foreign = good && memcmp(head.history, t->who.history, 16) != 0;
        bool behind = !good && n == l->numbers.n && good_before &&
                      memcmp(before.history, t->who.history, 16) != 0;
        if (!foreign && !behind) return 0;
        qd_log_warn(TRANSLOG_LOG,
                    "[%s/translog-%llu] belongs to a recovery that did not end: removed", t->folder,
                    (unsigned long long)number);
        if ((rc = remove_file(t, number, err))) return rc;
        l->numbers.n = n - 1;
    }
    return 0;
}

static int count(void *arg, const qd_translog_op *op, const qd_translog_location *at, qd_err *err)
{
    translog_file *f = arg;
    int64_t seq_no = (int64_t)op->seq_no;
    (void)at;
    (void)err;
    qd_assert(op->seq_no < (uint64_t)QD_SEQ_NO_LIMIT); /* whoever reads a record looks */
    f->operations++;
    if (f->min_seq_no < 0 || seq_no < f->min_seq_no) f->min_seq_no = seq_no;
    if (seq_no > f->max_seq_no) f->max_seq_no = seq_no;
    return 0;
}

static int keep(qd_translog *t, translog_file *f, qd_err *err)
{
    if (f->head.primary_term > t->who.primary_term) t->who.primary_term = f->head.primary_term;
    if (memcmp(f->head.history, t->who.history, 16) == 0 &&
        f->head.checkpoint > t->checkpoint_written) {
        t->checkpoint_written = f->head.checkpoint;
    }
    t->operations += f->operations;
    return qd_vec_push(&t->files, t->account, f) ? qd_err_nomem(err, "translog generation") : 0;
}

/* A generation of which every byte is checked: all are durable before `durable` (see
 * qdi_translog_read_all). Of the newest one a torn tail is cut, a file without a whole header
 * removed. named: the commit point names it or a later one. */
static int open_checked(qd_translog *t, uint64_t number, uint64_t durable, bool named, qd_err *err)
{
    qd_store_log *log;
    char name[TRANSLOG_NAME_MAX];
    translog_found found;
    translog_head head = {.generation = number};
    qd_str file = qdi_translog_name(qd_str_c(t->folder), number, name, sizeof name);
    int rc = qd_store_log_open(t->store, file, false, &log, err);
    if (rc) return rc;
    translog_file *f = qdi_translog_file_make(t, &head, log);
    if (!f) {
        qd_store_log_close(log);
        return qd_err_nomem(err, "translog generation");
    }
    uint64_t whole = qd_store_log_end(log);
    rc = qdi_translog_read_all(log, name, number, durable, t->who.uuid, t->account, count, f,
                               &found, err);
    if (!rc && !durable && found.end < whole) {
        qd_log_warn(TRANSLOG_LOG,
                    "[%s] torn tail: %llu bytes at offset %llu were never acknowledged, cut", name,
                    (unsigned long long)(whole - found.end), (unsigned long long)found.end);
        rc = found.end ? qd_store_log_truncate(log, found.end, err) : 0;
    }
    if (!rc && found.end == 0) {
        qdi_translog_file_unref(f);
        return qd_store_delete(t->store, file, err);
    }
    /* A kill may have left the header in memory alone. Who begins the next generation says that
     * this one is on the disk; a commit point said so already. */
    if (!rc && !durable && !found.durable && !named) rc = qd_store_log_sync(log, err);
    f->bytes = found.end;
    f->head = found.head;
    if (durable != TRANSLOG_SEALED) {
        f->durable = found.durable > durable ? found.durable : durable;
        if (f->durable < TRANSLOG_HEADER) f->durable = TRANSLOG_HEADER;
        f->records = found.records;
        f->marked = found.durable > 0;
    }
    if (!rc) rc = keep(t, f, err);
    if (rc) qdi_translog_file_unref(f);
    if (!rc && found.checkpoint > t->checkpoint_written &&
        memcmp(found.head.history, t->who.history, 16) == 0) {
        t->checkpoint_written = found.checkpoint;
    }
    return rc;
}

/* A generation that is only kept: `next` is the header of the one behind it. */
static int open_kept(qd_translog *t, uint64_t number, uint64_t next, qd_err *err)
{
    qd_store_log *log;
    char name[TRANSLOG_NAME_MAX];
    translog_head head, behind;
    bool good = false, good_behind = false;
    qd_str file = qdi_translog_name(qd_str_c(t->folder), number, name, sizeof name);
    int rc = peek(t, number, &head, &good, err);
    if (!rc) rc = peek(t, next, &behind, &good_behind, err);
    if (rc) return rc;
    if (!good || !good_behind) {
        return qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                          "translog [%s/translog-%llu] at offset 0: header does not match its "
                          "checksum",
                          t->folder, (unsigned long long)(good ? next : number));
    }
    if ((rc = qd_store_log_open(t->store, file, false, &log, err))) return rc;
    translog_file *f = qdi_translog_file_make(t, &head, log);
    if (!f) {
        qd_store_log_close(log);
        return qd_err_nomem(err, "translog generation");
    }
    f->bytes = behind.before_durable ? behind.before_durable : qd_store_log_end(log);
    f->operations = behind.before_operations;
    f->min_seq_no = behind.before_min;
    f->max_seq_no = behind.before_max;
    if ((rc = keep(t, f, err))) qdi_translog_file_unref(f);
    return rc;
}

/* What the header of the generation behind one tells of it. A bad header is told when that is read;
 * the newest one's may be a creation that was cut short, which proves nothing. */
static int durable_of(qd_translog *t, uint64_t next, bool newest, uint64_t *durable, qd_err *err)
{
    translog_head behind;
    bool good = false;
    int rc = peek(t, next, &behind, &good, err);
    *durable = !good && newest                 ? 0
               : good && behind.before_durable ? behind.before_durable
                                               : TRANSLOG_SEALED;
    return rc;
}

static int open_all(qd_translog *t, const listing *l, uint64_t first, uint64_t replay, qd_err *err)
{
    uint64_t expected = first;
    for (size_t i = 0; i < l->numbers.n; i++) {
        uint64_t number = l->numbers.at[i];
        int rc = 0;
        if (number < first) {
            if ((rc = remove_file(t, number, err))) return rc;
            continue;
        }
        if (number != expected++) break;
        bool last = i + 1 == l->numbers.n;
        uint64_t durable = 0;
        if (!last) {
            rc = durable_of(t, l->numbers.at[i + 1], i + 2 == l->numbers.n, &durable, err);
        }
        if (!rc) {
            rc = number < replay && !last ? open_kept(t, number, l->numbers.at[i + 1], err)
                                          : open_checked(t, number, durable, number <= replay, err);
        }
        if (rc) return rc;
    }
    size_t n = l->numbers.n;
    if (n > 0 && l->numbers.at[n - 1] >= expected) {
        return qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                          "translog of [%s]: generation %llu is missing", t->folder,
                          (unsigned long long)(expected - 1));
    }
    if (expected <= replay) {
        return qd_err_set(
            err, QD_E_TRANSLOG_CORRUPT,
            "translog of [%s]: generation %llu, named by the commit point, is missing", t->folder,
            (unsigned long long)expected);
    }
    return 0;
}

/* --- what is not surely on the disk ---------------------------------------------------------- */

/*
 * A sync that failed is told once; then the system calls the pages clean, shows them to whoever
 * reads, and syncs nothing of them. So of what stands behind the last mark nobody knows whether the
 * disk has it, and no sync finds out (Rebello et al., "Can Applications Recover from fsync
 * Failures?", USENIX ATC 2020). Its records are written once more, into a generation of their own,
 * whose header says up to where the one before is surely there.
 */

static int once_more(void *arg, const qd_translog_op *op, const qd_translog_location *at,
                     qd_err *err)
{
    qd_translog_location now;
    (void)at;
    return qd_translog_add(arg, op, &now, err);
}

/* Where that begins: a generation without a mark is a copying that did not end. */
static size_t unsure_from(const qd_translog *t)
{
    size_t i = t->files.n - 1;
    while (i > 0 && t->files.at[i]->head.before_durable && !t->files.at[i]->marked) i--;
    return i;
}

/* What must not be done instead. */
static int sync_again(qd_translog *t, size_t from, qd_err *err)
{
    int rc = 0;
    for (size_t i = from; i < t->files.n && !rc; i++) {
        rc = qd_store_log_sync(t->files.at[i]->log, err);
        if (!rc) t->files.at[i]->durable = t->files.at[i]->bytes;
    }
    return rc;
}

/* A copying that failed, as for want of room, is tried again by the next opening: what it began
 * holds nothing else, and must not take the room of what others need. */
static void drop_copies(qd_translog *t, size_t n)
{
    if (t->files.n == n) return;
    qd_assert(t->files.n == n + 1);
    translog_file *f = t->files.at[--t->files.n];
    uint64_t number = f->number;
    qdi_translog_file_unref(f);
    int rc = remove_file(t, number, NULL);
    (void)rc; /* what stays is known by its missing mark */
}

static int write_again(qd_translog *t, qd_err *err)
{
    size_t n = t->files.n, from = unsure_from(t);
    bool some = false;
    for (size_t i = from; i < n; i++) some |= t->files.at[i]->records > t->files.at[i]->durable;
    if (QD_MUTANT(engine, SECOND_SYNC_BELIEVED)) return sync_again(t, from, err);
    /* of those before, what is unsure stands in a later one: it is never read again */
    for (size_t i = 0; i < from; i++) {
        uint64_t sure = t->files.at[i + 1]->head.before_durable;
        if (sure) t->files.at[i]->bytes = sure;
    }
    if (!some) return 0;
    qd_translog_turn same = {.primary_term = t->who.primary_term};
    atomic_store(&t->checkpoint, t->checkpoint_written);
    qd_mutex_lock(&t->lock);
    int rc = qdi_translog_begin(t, &same, t->files.at[n - 1]->number + 1, err);
    qd_mutex_unlock(&t->lock);
    for (size_t i = from; i < n && !rc; i++) {
        translog_file *f = t->files.at[i];
        if (f->records <= f->durable) continue;
        qd_assert(f->records <= f->bytes); /* read whole once */
        qd_log_info(TRANSLOG_LOG,
                    "[%s] %llu bytes behind the last mark, at offset %llu, are written once more",
                    f->name, (unsigned long long)(f->records - f->durable),
                    (unsigned long long)f->durable);
        rc = qdi_translog_read_known(f->log, f->name, f->number, f->durable, f->records, t->account,
                                     once_more, t, err);
    }
    if (!rc) rc = qd_translog_sync_all(t, err);
    qd_assert(rc || t->files.n == n + 1); /* one generation holds them all */
    if (rc) drop_copies(t, n);
    for (size_t i = from; i < n && !rc; i++) t->files.at[i]->bytes = t->files.at[i]->durable;
    return rc;
}

/* What is found takes no more records. The generation for new ones is made when there is one: a
 * shard that nobody writes to is opened without a write, and has no generation more each time. */
static int go_on(qd_translog *t, uint64_t replay, qd_err *err)
{
    const translog_file *last = t->files.n ? t->files.at[t->files.n - 1] : NULL;
    if (last && memcmp(last->head.history, t->who.history, 16) == 0) {
        size_t n = t->files.n;
        int rc = write_again(t, err);
        if (!rc && t->files.n == n) qdi_translog_begin_later(t);
        return rc;
    }
    qd_translog_turn turn = {.primary_term = t->who.primary_term};
    atomic_store(&t->checkpoint, t->checkpoint_written);
    qd_mutex_lock(&t->lock);
    int rc = qdi_translog_begin(t, &turn, last ? last->number + 1 : replay, err);
    qd_mutex_unlock(&t->lock);
    return rc;
}

int qd_translog_open(qd_env *env, qd_store *s, qd_str folder, const qd_translog_identity *who,
                     uint64_t first, uint64_t replay, qd_account *account, qd_translog **out,
                     qd_err *err)
{
    qd_translog *t;
    char prefix[TRANSLOG_NAME_MAX];
    int rc = qdi_translog_make(env, s, folder, who, account, &t, err);
    if (rc) return rc;
    int len = snprintf(prefix, sizeof prefix, "%s/translog-", t->folder);
    listing l = {.prefix = (size_t)len, .account = account};
    rc = qd_store_list(s, (qd_str){prefix, (size_t)len}, collect, &l, err);
    if (!rc) rc = drop_foreign(t, &l, err);
    if (!rc) rc = open_all(t, &l, first, replay, err);
    qd_vec_fini(&l.numbers);
    if (!rc) rc = go_on(t, replay, err);
    if (rc) {
        qdi_translog_destroy(t);
        return rc;
    }
    qd_assert(t->files.n > 0); /* new records have a generation, now or later */
    t->committed_generation = replay;
    *out = t;
    return 0;
}
