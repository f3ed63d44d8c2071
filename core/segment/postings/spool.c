/* spool.c: see spool_int.h. */
#include "segment/postings/spool_int.h"
#include <stdio.h>

#define COPY_BYTES (256u << 10)

size_t qdi_spool_memory = 2u << 20;

int qdi_spool_init(qdi_spool *s, qd_store *store, qd_str name, unsigned n, qd_account *account,
                   qd_err *err)
{
    *s = (qdi_spool){.store = store, .account = account};
    qd_buf_init(&s->buf, account, (size_t)1 << 40);
    s->can_spill = (qd_store_caps(store) & QD_STORE_APPEND) != 0;
    size_t bytes = name.n + 16;
    s->name = qd_alloc(account, bytes);
    if (!s->name) return qd_err_nomem(err, "name of a spool");
    snprintf(s->name, bytes, "%.*s.spill-%u", QD_STR_ARG(name), n);
    return 0;
}

/* One of the same name can only be left over from a write that was cut off: it goes. */
static int open_log(qdi_spool *s, qd_err *err)
{
    qd_err first;
    qd_err_init(&first);
    int rc = qd_store_log_open(s->store, qd_str_c(s->name), true, &s->log, &first);
    if (rc == QD_E_EXISTS) {
        rc = qd_store_delete(s->store, qd_str_c(s->name), err);
        if (rc == 0) rc = qd_store_log_open(s->store, qd_str_c(s->name), true, &s->log, err);
    } else if (rc && err) {
        qd_err_move(err, &first);
    }
    qd_err_fini(&first);
    return rc;
}

static int spill(qdi_spool *s, qd_err *err)
{
    int rc = 0;
    if (!s->log) rc = open_log(s, err);
    if (rc) return rc;
    qd_iovec v = {s->buf.p, s->buf.n};
    uint64_t at;
    rc = qd_store_log_append(s->log, &v, 1, &at, err);
    if (rc) return rc;
    s->spilled += s->buf.n;
    qd_buf_reset(&s->buf);
    return 0;
}

int qdi_spool_add(qdi_spool *s, const void *p, size_t n, qd_err *err)
{
    if (qd_buf_add(&s->buf, p, n)) return qd_err_nomem(err, "spool of a segment's section");
    if (QD_LIKELY(s->buf.n < qdi_spool_memory) || !s->can_spill) return 0;
    return spill(s, err);
}

/* Of what is in the log. */
static int read_log(qdi_spool *s, uint64_t at, void *p, size_t n, qd_err *err)
{
    size_t got = 0;
    int rc = qd_store_log_read(s->log, at, p, n, &got, err);
    if (rc == 0 && got != n)
        rc = qd_err_set(err, QD_E_IO, "%s ends at byte %llu, %llu were written", s->name,
                        (unsigned long long)(at + got), (unsigned long long)s->spilled);
    return rc;
}

int qdi_spool_read(qdi_spool *s, uint64_t at, void *p, size_t n, qd_err *err)
{
    qd_assert(at + n <= qdi_spool_at(s));
    size_t logged = at >= s->spilled ? 0 : s->spilled - at < n ? (size_t)(s->spilled - at) : n;
    int rc = logged ? read_log(s, at, p, logged, err) : 0;
    if (rc == 0 && logged < n)
        memcpy((char *)p + logged, s->buf.p + (at + logged - s->spilled), n - logged);
    return rc;
}

static int copy_log(qdi_spool *s, qd_file_writer *w, qd_err *err)
{
    char *piece = qd_alloc(s->account, COPY_BYTES);
    if (!piece) return qd_err_nomem(err, "copy of a spool");
    int rc = 0;
    for (uint64_t at = 0; rc == 0 && at < s->spilled;) {
        uint64_t left = s->spilled - at;
        size_t n = left < COPY_BYTES ? (size_t)left : COPY_BYTES;
        rc = read_log(s, at, piece, n, err);
        if (rc == 0) rc = qd_file_write(w, piece, n, err);
        at += n;
    }
    qd_free(piece);
    return rc;
}

int qdi_spool_section(qdi_spool *s, qd_file_writer *w, uint32_t id, qd_err *err)
{
    if (qdi_spool_at(s) == 0) return 0;
    int rc = qd_file_section_begin(w, id, false, err);
    if (rc == 0 && s->log) rc = copy_log(s, w, err);
    if (rc == 0) rc = qd_file_write(w, s->buf.p, s->buf.n, err);
    if (rc == 0) rc = qd_file_section_end(w, NULL, err);
    return rc;
}

void qdi_spool_fini(qdi_spool *s)
{
    if (s->log) {
        qd_err ignored;
        qd_err_init(&ignored);
        qd_store_log_close(s->log);
        int rc = qd_store_delete(s->store, qd_str_c(s->name), &ignored);
        (void)rc;
        qd_err_fini(&ignored);
    }
    qd_buf_fini(&s->buf);
    qd_free(s->name);
    *s = (qdi_spool){0};
}
