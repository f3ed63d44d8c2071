/*
 * stored_writer.c: blocks of documents, compressed as they close.
 *
 * A block is closed by the document after the one that filled it, so the last document added can
 * always be taken back.
 */
#include "base/hash.h"
#include "segment/stored/stored_writer_int.h"
#include <zdict.h>
#include <zstd_errors.h>

#define LEVEL_DEFAULT 1
#define LEVEL_BEST 5                  /* 9 takes three times as long for 2 % */
#define TRAIN_AT ((size_t)1 << 20)    /* bytes of documents to wait for */
#define TRAIN_LEAST ((size_t)1 << 18) /* with less no dictionary pays */
#define TRAIN_SAMPLE 16384u           /* bytes taken of a long document */

bool qdi_stored_sums = true;

static void *zstd_alloc(void *account, size_t n)
{
    return qd_alloc(account, n);
}

static void zstd_free(void *account, void *p)
{
    (void)account;
    qd_free(p);
}

ZSTD_customMem qdi_zstd_mem(qd_account *account)
{
    return (ZSTD_customMem){zstd_alloc, zstd_free, account};
}

int qdi_stored_writer_init(qdi_stored_writer *x, qd_stored_codec codec, qd_file_writer *file,
                           qd_account *account, qd_err *err)
{
    memset(x, 0, sizeof *x);
    x->codec = codec;
    x->account = account;
    x->file = file;
    x->context = ZSTD_createCCtx_advanced(qdi_zstd_mem(account));
    return x->context ? 0 : qd_err_nomem(err, "compressor of stored documents");
}

void qdi_stored_writer_reset(qdi_stored_writer *x)
{
    for (size_t i = 0; i < x->waiting.n; i++) qd_free(x->waiting.at[i].raw);
    for (uint32_t i = 0; i < x->ndicts; i++) qd_free(x->dicts[i].p);
    ZSTD_freeCDict(x->dict);
    x->dict = NULL;
    x->dict_number = x->ndicts = 0;
    x->trained = false;
    x->lens.n = x->text.n = x->waiting.n = x->entries.n = 0;
    x->first = x->next = 0;
    x->waiting_bytes = 0;
    x->written = 0;
}

void qdi_stored_writer_fini(qdi_stored_writer *x)
{
    qdi_stored_writer_reset(x);
    ZSTD_freeCCtx(x->context);
    x->context = NULL;
    for (size_t i = 0; i < x->pages.n; i++) qd_free(x->pages.at[i]);
    qd_vec_fini(&x->pages);
    qd_vec_fini(&x->lens);
    qd_vec_fini(&x->text);
    qd_vec_fini(&x->waiting);
    qd_vec_fini(&x->entries);
    qd_free(x->room);
    x->room = NULL;
    x->room_cap = 0;
}

int qdi_stored_writer_put(qdi_stored_writer *x, const void *p, size_t n, qd_err *err)
{
    if (x->file) {
        x->written += n;
        return qd_file_write(x->file, p, n, err);
    }
    const char *from = p;
    while (n > 0) {
        size_t page = x->written / QDI_STORED_PAGE, at = x->written % QDI_STORED_PAGE;
        size_t k = QDI_STORED_PAGE - at < n ? QDI_STORED_PAGE - at : n;
        if (page == x->pages.n) {
            char *fresh = qd_alloc(x->account, QDI_STORED_PAGE);
            if (!fresh || qd_vec_push(&x->pages, x->account, fresh)) {
                qd_free(fresh);
                return qd_err_nomem(err, "stored documents");
            }
        }
        memcpy(x->pages.at[page] + at, from, k);
        x->written += k;
        from += k;
        n -= k;
    }
    return 0;
}

/* Compresses one raw block and puts it out. On failure nothing is recorded. */
static int emit(qdi_stored_writer *x, const uint8_t *raw, size_t bytes, uint32_t first, qd_err *err)
{
    size_t bound = ZSTD_compressBound(bytes) + QDI_STORED_SUM;
    if (qd_vec_reserve(&x->entries, x->account, 1)) return qd_err_nomem(err, "stored documents");
    if (bound > x->room_cap) {
        uint8_t *room = qd_alloc(x->account, bound);
        if (!room) return qd_err_nomem(err, "stored documents");
        qd_free(x->room);
        x->room = room;
        x->room_cap = bound;
    }
    int level = x->codec == QD_STORED_BEST ? LEVEL_BEST : LEVEL_DEFAULT;
    size_t n = x->dict
                   ? ZSTD_compress_usingCDict(x->context, x->room, x->room_cap, raw, bytes, x->dict)
                   : ZSTD_compressCCtx(x->context, x->room, x->room_cap, raw, bytes, level);
    if (ZSTD_isError(n))
        return ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation
                   ? qd_err_nomem(err, "compressor of stored documents")
                   : qd_err_set(err, QD_E_INTERNAL, "compressing stored documents: %s",
                                ZSTD_getErrorName(n));
    if (qdi_stored_sums) {
        qdi_stored_sum_put(x->room + n, qd_xxh3(x->room, n));
        n += QDI_STORED_SUM;
    }
    uint64_t before = x->written;
    qdi_stored_entry e = {before | (uint64_t)(x->dict ? x->dict_number : 0) << 56, first,
                          (uint32_t)bytes};
    int rc = qdi_stored_writer_put(x, x->room, n, err);
    if (rc) {
        x->written = before;
        return rc;
    }
    x->entries.at[x->entries.n++] = e;
    return 0;
}

int qdi_stored_writer_dict(qdi_stored_writer *x, const uint8_t *p, uint32_t n, uint32_t *number,
                           qd_err *err)
{
    for (uint32_t i = 0; i < x->ndicts; i++) {
        if (x->dicts[i].n != n || memcmp(x->dicts[i].p, p, n) != 0) continue;
        *number = i + 1;
        return 0;
    }
    *number = 0;
    if (x->ndicts == QDI_STORED_DICTS_MAX) return 0;
    uint8_t *copy = (uint8_t *)qd_memdup(x->account, p, n);
    if (!copy) return qd_err_nomem(err, "dictionary of stored documents");
    x->dicts[x->ndicts++] = (qdi_stored_dict_bytes){copy, n};
    *number = x->ndicts;
    return 0;
}

/* Trains on the documents that wait. A dictionary is a gain, never a need: when zstd cannot make
 * one, the blocks go without. */
static int train(qdi_stored_writer *x, qd_err *err)
{
    QD_VEC(size_t) sizes = {0};
    qd_buf samples;
    qd_buf_init(&samples, x->account, 4 * TRAIN_AT);
    uint8_t *dict = qd_alloc(x->account, QDI_STORED_DICT_BYTES);
    int rc = dict ? 0 : qd_err_nomem(err, "dictionary of stored documents");
    for (size_t i = 0; rc == 0 && i < x->waiting.n && samples.n < 2 * TRAIN_AT; i++) {
        const qdi_stored_waiting *w = &x->waiting.at[i];
        const uint8_t *p = w->raw, *text = w->raw + w->lengths;
        for (uint32_t d = 0; rc == 0 && d < w->docs; d++) {
            uint64_t len = 0;
            p = qd_get_varint(p, w->raw + w->lengths, &len);
            qd_assert(p);
            size_t take = len < TRAIN_SAMPLE ? len : TRAIN_SAMPLE;
            if (take && (qd_buf_add(&samples, text, take) || qd_vec_push(&sizes, x->account, take)))
                rc = qd_err_nomem(err, "training of a dictionary");
            text += len;
        }
    }
    if (rc == 0 && sizes.n >= 16 && samples.n >= TRAIN_LEAST) {
        size_t n = ZDICT_trainFromBuffer(dict, QDI_STORED_DICT_BYTES, samples.p, sizes.at,
                                         (unsigned)sizes.n);
        if (!ZDICT_isError(n))
            rc = qdi_stored_writer_dict(x, dict, (uint32_t)n, &x->dict_number, err);
        if (rc == 0 && x->dict_number) {
            const qdi_stored_dict_bytes *d = &x->dicts[x->dict_number - 1];
            x->dict = ZSTD_createCDict_advanced(
                d->p, d->n, ZSTD_dlm_byCopy, ZSTD_dct_fullDict,
                ZSTD_getCParams(LEVEL_BEST, qdi_stored_block_bytes(QD_STORED_BEST), d->n),
                qdi_zstd_mem(x->account));
            if (!x->dict) rc = qd_err_nomem(err, "dictionary of stored documents");
        }
    }
    qd_free(dict);
    qd_buf_fini(&samples);
    qd_vec_fini(&sizes);
    if (rc == 0) x->trained = true;
    return rc;
}

/* Trains if that is still to be done, then compresses what waits, in order. */
static int drain(qdi_stored_writer *x, qd_err *err)
{
    int rc = x->trained ? 0 : train(x, err);
    size_t done = 0;
    for (; rc == 0 && done < x->waiting.n; done++) {
        qdi_stored_waiting *w = &x->waiting.at[done];
        rc = emit(x, w->raw, w->bytes, w->first, err);
        if (rc) break;
        x->waiting_bytes -= w->bytes;
        qd_free(w->raw);
    }
    memmove(x->waiting.at, x->waiting.at + done, (x->waiting.n - done) * sizeof *x->waiting.at);
    x->waiting.n -= done;
    return rc;
}

int qdi_stored_writer_close_block(qdi_stored_writer *x, qd_err *err)
{
    if (x->lens.n == 0) return 0;
    size_t most = x->lens.n * 5 + x->text.n;
    uint8_t *raw = qd_alloc(x->account, most), *p = raw;
    if (!raw || qd_vec_reserve(&x->waiting, x->account, 1)) {
        qd_free(raw);
        return qd_err_nomem(err, "stored documents");
    }
    for (size_t i = 0; i < x->lens.n; i++) p = qd_put_varint(p, x->lens.at[i]);
    uint32_t lengths = (uint32_t)(p - raw);
    if (x->text.n) memcpy(p, x->text.at, x->text.n);
    uint32_t bytes = lengths + (uint32_t)x->text.n;
    int rc = 0;
    bool wait = x->codec == QD_STORED_BEST && !x->trained;
    if (wait) {
        x->waiting.at[x->waiting.n++] =
            (qdi_stored_waiting){raw, bytes, x->first, (uint32_t)x->lens.n, lengths};
        x->waiting_bytes += bytes;
    } else {
        rc = emit(x, raw, bytes, x->first, err);
        qd_free(raw);
        if (rc) return rc;
    }
    x->first += (uint32_t)x->lens.n;
    x->lens.n = x->text.n = 0;
    return wait && x->waiting_bytes >= TRAIN_AT ? drain(x, err) : 0;
}

int qdi_stored_writer_add(qdi_stored_writer *x, uint32_t doc, qd_str source, qd_err *err)
{
    qd_assert(doc >= x->next);
    if (source.n > QDI_STORED_DOC_MAX)
        return qd_err_set(err, QD_E_TOO_LARGE, "a document of %zu bytes, at most %u can be stored",
                          source.n, QDI_STORED_DOC_MAX);
    for (;;) {
        bool full = x->text.n >= qdi_stored_block_bytes(x->codec) ||
                    x->lens.n >= QDI_STORED_BLOCK_DOCS || x->text.n + source.n > QDI_STORED_DOC_MAX;
        int rc = full ? qdi_stored_writer_close_block(x, err) : 0;
        if (rc) return rc;
        if (qd_vec_reserve(&x->lens, x->account, 1)) return qd_err_nomem(err, "stored documents");
        if (x->next == doc) break;
        x->lens.at[x->lens.n++] = 0;
        x->next++;
    }
    if (qd_vec_reserve(&x->text, x->account, source.n + 1))
        return qd_err_nomem(err, "stored documents");
    if (source.n) memcpy(x->text.at + x->text.n, source.p, source.n);
    x->text.n += source.n;
    x->lens.at[x->lens.n++] = (uint32_t)source.n;
    x->next = doc + 1;
    return 0;
}

int qdi_stored_writer_copy(qdi_stored_writer *x, uint32_t docs, uint32_t raw, uint32_t dict,
                           qd_err *err)
{
    qd_assert(x->lens.n == 0 && x->waiting.n == 0);
    qdi_stored_entry e = {x->written | (uint64_t)dict << 56, x->next, raw};
    if (qd_vec_push(&x->entries, x->account, e)) return qd_err_nomem(err, "stored documents");
    x->next += docs;
    x->first = x->next;
    return 0;
}

int qdi_stored_writer_skip_to(qdi_stored_writer *x, uint32_t doc, qd_err *err)
{
    qd_assert(doc >= x->next);
    while (x->next < doc) {
        int rc = x->lens.n >= QDI_STORED_BLOCK_DOCS ? qdi_stored_writer_close_block(x, err) : 0;
        if (rc) return rc;
        if (qd_vec_push(&x->lens, x->account, 0)) return qd_err_nomem(err, "stored documents");
        x->next++;
    }
    return 0;
}

int qdi_stored_writer_end(qdi_stored_writer *x, uint32_t docs, qd_err *err)
{
    int rc = qdi_stored_writer_skip_to(x, docs, err);
    if (rc == 0) rc = qdi_stored_writer_close_block(x, err);
    if (rc == 0 && x->waiting.n) rc = drain(x, err);
    return rc;
}

int qdi_stored_writer_index(const qdi_stored_writer *x, uint32_t docs, qd_buf *resident,
                            qd_err *err)
{
    qdi_stored_head h = {docs, (uint32_t)x->entries.n, x->ndicts, (uint32_t)x->codec, 0};
    for (size_t i = 0; i < x->entries.n; i++) h.raw_bytes += x->entries.at[i].raw;
    uint8_t end[8];
    qd_put_u64le(end, x->written);
    int rc = qd_buf_add(resident, &h, sizeof h);
    for (uint32_t i = 0; rc == 0 && i < x->ndicts; i++) {
        uint8_t n[4];
        qd_put_u32le(n, x->dicts[i].n);
        rc = qd_buf_add(resident, n, 4);
    }
    if (rc == 0) rc = qd_buf_add(resident, x->entries.at, x->entries.n * sizeof *x->entries.at);
    if (rc == 0) rc = qd_buf_add(resident, end, 8);
    for (uint32_t i = 0; rc == 0 && i < x->ndicts; i++)
        rc = qd_buf_add(resident, x->dicts[i].p, x->dicts[i].n);
    return rc ? qd_err_nomem(err, "index of stored documents") : 0;
}
