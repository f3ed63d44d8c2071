/*
 * answer.c: the items of a bulk's answer, kept until its end, since "errors" stands before
 * them. They are rendered at once and compressed; what is compressed goes to a log of the tier when
 * it gets long (20 bytes an item, mostly ids that were made), so that a request of any length needs
 * some megabytes. One owner at a time.
 */
#include "action/documents/documents_int.h"
#include "base/log.h"
#include <stdio.h>
#define ZSTD_STATIC_LINKING_ONLY /* contexts in memory of ours */
#include <zstd.h>
#include <zstd_errors.h>

#define RENDERED_MAX ((size_t)64 << 20)
#define RENDERED_PACK 65536u
#define PACK_ROOM 65536u
#define SPILL_BYTES ((size_t)2 << 20)
#define READ_BYTES 65536u
#define WINDOW_LOG 17 /* items repeat themselves at once: a larger window takes memory only */

struct doc_answer {
    qd_actions *a;
    qd_buf items; /* rendered, not yet packed */
    ZSTD_CCtx *zc;
    qd_buf packed; /* behind what the log has */
    qd_store_log *log;
    char name[64];
    uint64_t spilled;
    bool no_spill; /* the tier could not take it: memory holds the rest */
    /* reading */
    ZSTD_DCtx *zd;
    ZSTD_inBuffer in;
    uint64_t at; /* of the log */
    char read[READ_BYTES], out[READ_BYTES];
};

static void *zstd_alloc(void *account, size_t n)
{
    return qd_alloc(account, n);
}

static void zstd_free(void *account, void *p)
{
    (void)account;
    qd_free(p);
}

static ZSTD_customMem zstd_mem(qd_account *account)
{
    return (ZSTD_customMem){zstd_alloc, zstd_free, account};
}

static int zstd_failed(size_t code, qd_err *err)
{
    return ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation
               ? qd_err_nomem(err, "answer of the bulk request")
               : qd_err_set(err, QD_E_INTERNAL, "zstd: %s", ZSTD_getErrorName(code));
}

/* What zstd allocates at the first bytes it allocates here, before anything is written: later the
 * operations would be carried out and their answer would be an error. */
static int allocate_early(doc_answer *x, qd_err *err)
{
    ZSTD_inBuffer in = {"", 0, 0};
    ZSTD_outBuffer out = {x->out, sizeof x->out, 0};
    (void)ZSTD_CCtx_setParameter(x->zc, ZSTD_c_compressionLevel, 1);
    (void)ZSTD_CCtx_setParameter(x->zc, ZSTD_c_windowLog, WINDOW_LOG);
    size_t rc = ZSTD_compressStream2(x->zc, &out, &in, ZSTD_e_continue);
    if (ZSTD_isError(rc)) return zstd_failed(rc, err);
    return qd_buf_str(&x->packed, (qd_str){x->out, out.pos})
               ? qd_err_nomem(err, "answer of the bulk request")
               : 0;
}

int qdi_answer_open(qd_actions *a, doc_answer **out, qd_err *err)
{
    doc_answer *x = qd_calloc(a->account, sizeof *x);
    if (!x) return qd_err_nomem(err, "answer of the bulk request");
    x->a = a;
    qd_buf_init(&x->items, a->account, RENDERED_MAX);
    qd_buf_init(&x->packed, a->account, (size_t)1 << 31);
    x->zc = ZSTD_createCCtx_advanced(zstd_mem(a->account));
    int rc = x->zc ? allocate_early(x, err) : qd_err_nomem(err, "answer of the bulk request");
    if (rc)
        qdi_answer_close(x);
    else
        *out = x;
    return rc;
}

void qdi_answer_close(doc_answer *x)
{
    if (!x) return;
    if (x->log) {
        qd_err ignored;
        qd_err_init(&ignored);
        qd_store_log_close(x->log);
        int rc = qd_store_delete(x->a->store, qd_str_c(x->name), &ignored);
        (void)rc; /* the next start removes it */
        qd_err_fini(&ignored);
    }
    qd_buf_fini(&x->items);
    qd_buf_fini(&x->packed);
    ZSTD_freeCCtx(x->zc);
    ZSTD_freeDCtx(x->zd);
    qd_free(x);
}

qd_buf *qdi_answer_items(doc_answer *x)
{
    return &x->items;
}

static int open_log(doc_answer *x)
{
    uint8_t id[16];
    qd_env_random(x->a->env, id, sizeof id);
    int n = snprintf(x->name, sizeof x->name, "%s/", QDI_ANSWERS_FOLDER);
    for (size_t i = 0; i < sizeof id; i++) {
        n += snprintf(x->name + n, sizeof x->name - (size_t)n, "%02x", id[i]);
    }
    return qd_store_log_open(x->a->store, qd_str_c(x->name), true, &x->log, NULL);
}

/* What is packed moves to the tier. A tier that cannot take it is no reason to fail: memory, within
 * its limit, does as well. */
static void spill(doc_answer *x)
{
    qd_iovec v = {x->packed.p, x->packed.n};
    uint64_t at;
    if (x->no_spill || !x->a->store) return;
    if (!(qd_store_caps(x->a->store) & QD_STORE_APPEND) || (!x->log && open_log(x)) ||
        qd_store_log_append(x->log, &v, 1, &at, NULL)) {
        x->no_spill = true;
        return;
    }
    x->spilled += x->packed.n;
    qd_buf_reset(&x->packed);
}

static int pack(doc_answer *x, bool end, qd_err *err)
{
    ZSTD_inBuffer in = {x->items.p ? x->items.p : "", x->items.n, 0};
    for (;;) {
        char *at = qd_buf_reserve(&x->packed, PACK_ROOM);
        if (!at) return qd_err_nomem(err, "answer of the bulk request");
        ZSTD_outBuffer out = {at, PACK_ROOM, 0};
        size_t left = ZSTD_compressStream2(x->zc, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
        x->packed.n += out.pos;
        if (ZSTD_isError(left)) return zstd_failed(left, err);
        if (in.pos == in.size && (!end || left == 0)) break;
    }
    qd_buf_reset(&x->items);
    if (x->packed.n >= SPILL_BYTES) spill(x);
    return 0;
}

int qdi_answer_pack(doc_answer *x, qd_err *err)
{
    if (qd_buf_status(&x->items)) return qd_err_nomem(err, "answer of the bulk request");
    return x->items.n > RENDERED_PACK ? pack(x, false, err) : 0;
}

int qdi_answer_end(doc_answer *x, qd_err *err)
{
    int rc = qd_buf_status(&x->items) ? qd_err_nomem(err, "answer of the bulk request")
                                      : pack(x, true, err);
    if (rc) return rc;
    ZSTD_freeCCtx(x->zc);
    x->zc = NULL;
    qd_buf_fini(&x->items);
    x->zd = ZSTD_createDCtx_advanced(zstd_mem(x->a->account));
    return x->zd ? 0 : qd_err_nomem(err, "answer of the bulk request");
}

/* More packed bytes to in: of the log, then of memory. */
static int refill(doc_answer *x, qd_err *err)
{
    if (x->at < x->spilled) {
        uint64_t left = x->spilled - x->at;
        size_t want = left < READ_BYTES ? (size_t)left : READ_BYTES, got = 0;
        int rc = qd_store_log_read(x->log, x->at, x->read, want, &got, err);
        if (!rc && got != want) rc = qd_err_set(err, QD_E_IO, "%s is cut short", x->name);
        if (rc) return rc;
        x->at += got;
        x->in = (ZSTD_inBuffer){x->read, got, 0};
    } else if (x->in.src != x->packed.p) {
        x->in = (ZSTD_inBuffer){x->packed.p, x->packed.n, 0};
    }
    return 0;
}

int qdi_answer_next(doc_answer *x, qd_str *piece, qd_err *err)
{
    ZSTD_outBuffer out = {x->out, sizeof x->out, 0};
    while (out.pos == 0) {
        if (x->in.pos == x->in.size) {
            int rc = refill(x, err);
            if (rc) return rc;
            if (x->in.pos == x->in.size) break; /* all of it has been read */
        }
        size_t left = ZSTD_decompressStream(x->zd, &out, &x->in);
        if (ZSTD_isError(left)) return zstd_failed(left, err);
    }
    *piece = (qd_str){x->out, out.pos};
    return 0;
}

void qd_action_tidy(qd_store *s)
{
    qd_err err;
    qd_err_init(&err);
    if (qd_store_delete_all(s, QD_STR(QDI_ANSWERS_FOLDER), &err)) {
        qd_log_warn("action", "answers left by a crash: %s", qd_err_reason(&err));
    }
    qd_err_fini(&err);
}
