/*
 * translog_cursor.c: the history that a log holds, in the order of the numbers. See translog.h.
 *
 * Numbers are taken in windows, so that memory stays bounded however long the log is. For each
 * window the generations that may hold some of it are read, newest first; the first record of a
 * number wins. Its bytes are then fetched by its place, which for a log written in order is a
 * forward reading.
 */
#include "base/log.h"
#include "base/str.h"
#include "engine/mutants.h"
#include "engine/translog_int.h"
#include <string.h>

#define WINDOW ((int64_t)1 << 18) /* numbers */
#define VIEWS 4u
#define VIEW_BYTES (256u << 10)
#define VIEW_ALIGN (64u << 10)

typedef struct place {
    uint64_t offset, term;
    uint32_t bytes; /* 0: nothing here */
    uint32_t file;
} place;

typedef struct view {
    uint8_t *p;
    size_t have, cap;
    uint64_t base, used;
    uint32_t file;
} view;

struct qd_translog_cursor {
    qd_account *account;
    int64_t at, to;    /* next number; last one */
    int64_t base, end; /* of the present window */
    place *places;     /* end - base + 1 of them */
    uint32_t scanning; /* file being read */
    uint64_t clock;
    view views[VIEWS];
    uint32_t n;
    struct held {
        translog_file *f;
        uint64_t end;
        int64_t min, max;
    } file[];
};

/* Makes all that was added readable from the files; the end of the current one. Under the lock. */
static int settle(qd_translog *t, qd_err *err)
{
    int rc;
    while (!(rc = t->failure.code) && (t->writing || t->rolling || t->buf[t->pending].n > 0)) {
        if (t->writing || t->rolling) {
            qd_cond_wait(&t->wake, &t->lock);
        } else {
            qd_mutex_unlock(&t->lock);
            rc = qdi_translog_write_pending(t, err);
            qd_mutex_lock(&t->lock);
            if (rc) return rc;
        }
    }
    if (rc && err) qd_err_copy(err, &t->failure);
    return rc;
}

int qd_translog_cursor_open(qd_translog *t, int64_t from, int64_t to, qd_translog_cursor **out,
                            qd_err *err)
{
    qd_mutex_lock(&t->lock);
    int rc = settle(t, err);
    uint32_t n = (uint32_t)t->files.n;
    qd_translog_cursor *c = rc ? NULL : qd_calloc(t->account, sizeof *c + n * sizeof c->file[0]);
    int64_t highest = -1;
    for (uint32_t i = 0; c && i < n; i++) {
        translog_file *f = t->files.at[i];
        bool last = i + 1 == n;
        uint32_t refs = atomic_fetch_add(&f->refs, 1);
        qd_assert(refs > 0); /* the log's own */
        c->file[i].f = f;
        c->file[i].end = last ? t->pending_base : f->bytes;
        c->file[i].min = f->min_seq_no;
        c->file[i].max = f->max_seq_no;
        if (f->max_seq_no > highest) highest = f->max_seq_no;
    }
    qd_mutex_unlock(&t->lock);
    if (rc) return rc;
    if (!c) return qd_err_nomem(err, "cursor of a translog");
    c->account = t->account;
    c->n = n;
    c->at = c->base = from < 0 ? 0 : from;
    c->end = c->at - 1;
    c->to = to < highest ? to : highest;
    *out = c;
    return 0;
}

void qd_translog_cursor_close(qd_translog_cursor *c)
{
    if (!c) return;
    for (uint32_t i = 0; i < c->n; i++) qdi_translog_file_unref(c->file[i].f);
    for (uint32_t i = 0; i < VIEWS; i++) qd_free(c->views[i].p);
    qd_free(c->places);
    qd_free(c);
}

/* The bytes of a record, from a view of its file. */
static int fetch(qd_translog_cursor *c, uint32_t file, uint64_t offset, uint32_t bytes,
                 const uint8_t **out, qd_err *err)
{
    view *v = &c->views[0];
    for (uint32_t i = 0; i < VIEWS; i++) {
        view *x = &c->views[i];
        if (x->have && x->file == file && offset >= x->base &&
            offset + bytes <= x->base + x->have) {
            x->used = ++c->clock;
            *out = x->p + (offset - x->base);
            return 0;
        }
        if (x->used < v->used) v = x;
    }
    qd_assert(offset + bytes <= c->file[file].end); /* it was found before that */
    uint64_t base = offset & ~(uint64_t)(VIEW_ALIGN - 1);
    size_t want = (size_t)(offset - base) + bytes;
    if (want < VIEW_BYTES) want = VIEW_BYTES;
    if (base + want > c->file[file].end) want = (size_t)(c->file[file].end - base);
    v->have = 0;
    if (want > v->cap) {
        uint8_t *p = qd_alloc(c->account, want);
        if (!p) return qd_err_nomem(err, "view of a translog");
        qd_free(v->p);
        v->p = p;
        v->cap = want;
    }
    size_t have = 0;
    while (have < want) {
        size_t got = 0;
        int rc = qd_store_log_read(c->file[file].f->log, base + have, v->p + have, want - have,
                                   &got, err);
        if (rc) return rc;
        if (got == 0) break;
        have += got;
    }
    if (base + have < offset + bytes) {
        return qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                          "translog [%s] at offset %llu: ends inside a record",
                          c->file[file].f->name, (unsigned long long)offset);
    }
    v->have = have;
    v->base = base;
    v->file = file;
    v->used = ++c->clock;
    *out = v->p + (offset - base);
    return 0;
}

/* Did a later generation say that this record is void? */
static bool discarded(const qd_translog_cursor *c, uint32_t file, const qd_translog_op *op)
{
    for (uint32_t i = file + 1; i < c->n; i++) {
        const translog_head *h = &c->file[i].f->head;
        if (op->primary_term < h->trim_below_term && (int64_t)op->seq_no > h->trim_above) {
            return true;
        }
    }
    return false;
}

/* Two records of one number in one file, or of one number and term: they are one operation. */
static int same_operation(qd_translog_cursor *c, const place *a, uint64_t offset, uint32_t bytes,
                          int64_t seq_no, qd_err *err)
{
    const uint8_t *p;
    uint8_t *copy = qd_alloc(c->account, a->bytes);
    if (!copy) return qd_err_nomem(err, "translog record");
    bool same = a->bytes == bytes;
    int rc = fetch(c, a->file, a->offset, a->bytes, &p, err);
    if (!rc) memcpy(copy, p, a->bytes);
    if (!rc) rc = fetch(c, c->scanning, offset, bytes, &p, err);
    /* behind the checksum, which depends on the generation */
    if (!rc && same) same = memcmp(copy + 16, p + 16, bytes - 16) == 0;
    qd_free(copy);
    if (!rc && !same) {
        rc =
            qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                       "translog [%s] at offset %llu: sequence number %lld names another operation "
                       "in [%s] at offset %llu",
                       c->file[c->scanning].f->name, (unsigned long long)offset, (long long)seq_no,
                       c->file[a->file].f->name, (unsigned long long)a->offset);
    }
    return rc;
}

static int note(void *arg, const qd_translog_op *op, const qd_translog_location *at, qd_err *err)
{
    qd_translog_cursor *c = arg;
    int64_t seq_no = (int64_t)op->seq_no;
    if (seq_no < c->base || seq_no > c->end || discarded(c, c->scanning, op)) return 0;
    place *x = &c->places[seq_no - c->base];
    qd_assert(at->bytes > 0); /* 0 stands for none */
    if (x->bytes) {
        if (x->file != c->scanning && x->term != op->primary_term) return 0;
        if (!QD_MUTANT(engine, REPLAY_ANY_BYTES)) {
            return same_operation(c, x, at->offset, at->bytes, seq_no, err);
        }
        return 0;
    }
    *x = (place){at->offset, op->primary_term, at->bytes, c->scanning};
    return 0;
}

/* The next window: from the lowest number that any generation still has. */
static int load_window(qd_translog_cursor *c, qd_err *err)
{
    int64_t low = INT64_MAX;
    for (uint32_t i = 0; i < c->n; i++) {
        const struct held *h = &c->file[i];
        if (h->max < c->at) continue;
        int64_t first = h->min > c->at ? h->min : c->at;
        if (first < low) low = first;
    }
    if (low > c->to) {
        c->at = c->to + 1;
        return 0;
    }
    int64_t n = c->to - low < WINDOW ? c->to - low + 1 : WINDOW;
    qd_assert(low >= c->at && low > c->end); /* windows follow one another */
    qd_assert(n > 0 && n <= WINDOW);
    qd_free(c->places);
    c->places = qd_calloc(c->account, (size_t)n * sizeof *c->places);
    if (!c->places) return qd_err_nomem(err, "places in a translog");
    c->at = c->base = low;
    c->end = low + n - 1;
    int rc = 0;
    for (uint32_t k = 0; k < c->n && !rc; k++) {
        uint32_t i = QD_MUTANT(engine, REPLAY_OLDEST_FIRST) ? k : c->n - 1 - k;
        const struct held *h = &c->file[i];
        if (h->max < c->base || h->min > c->end) continue;
        c->scanning = i;
        rc = qdi_translog_read_known(h->f->log, h->f->name, h->f->number, TRANSLOG_HEADER, h->end,
                                     c->account, note, c, err);
    }
    return rc;
}

int qd_translog_cursor_next(qd_translog_cursor *c, bool *more, qd_translog_op *op, qd_str *raw,
                            qd_translog_location *at, qd_err *err)
{
    *more = false;
    for (;;) {
        while (c->at <= c->end && !c->places[c->at - c->base].bytes) c->at++;
        if (c->at <= c->end) break;
        if (c->at > c->to) return 0;
        int rc = load_window(c, err);
        if (rc) return rc;
    }
    const place *x = &c->places[c->at - c->base];
    const translog_file *f = c->file[x->file].f;
    const uint8_t *p;
    int rc = fetch(c, x->file, x->offset, x->bytes, &p, err);
    if (rc) return rc;
    if (!qdi_record_decode(p, x->bytes, f->number, op)) {
        return qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                          "translog [%s] at offset %llu: record does not match its checksum",
                          f->name, (unsigned long long)x->offset);
    }
    if (raw) *raw = (qd_str){(const char *)p, x->bytes};
    if (at) *at = (qd_translog_location){f->number, x->offset, x->bytes};
    c->at++;
    *more = true;
    return 0;
}

int qd_translog_replay(qd_translog *t, int64_t above,
                       int (*each)(void *arg, const qd_translog_op *op,
                                   const qd_translog_location *at, qd_err *err),
                       void *arg, qd_err *err)
{
    qd_translog_cursor *c;
    qd_translog_op op;
    qd_translog_location at;
    bool more = true;
    int rc = qd_translog_cursor_open(t, above + 1, INT64_MAX, &c, err);
    if (rc) return rc;
    while (!(rc = qd_translog_cursor_next(c, &more, &op, NULL, &at, err)) && more) {
        if (each && (rc = each(arg, &op, &at, err))) break;
    }
    qd_translog_cursor_close(c);
    return rc;
}

int64_t qd_translog_highest(qd_translog *t)
{
    int64_t highest = -1;
    qd_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->files.n; i++)
        if (t->files.at[i]->max_seq_no > highest) highest = t->files.at[i]->max_seq_no;
    qd_mutex_unlock(&t->lock);
    return highest;
}
