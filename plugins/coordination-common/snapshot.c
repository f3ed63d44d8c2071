/* snapshot.c: see snapshot.h. */
#include "snapshot.h"

enum { MAGIC = 0x31534451, HEADER = 20 };

typedef struct writer {
    const cr_heap *heap;
    cr_pieces *out;
    size_t at;    /* in the payload of the last piece */
    size_t total; /* payload yet to come */
    uint32_t cap;
    int failed;
} writer;

/* The sum of a full piece; zeros behind it. */
static void piece_end(writer *w)
{
    cr_piece *p = &w->out->at[w->out->n - 1];
    cr_store32(p->p, MAGIC);
    cr_store32(p->p + 4, (uint32_t)w->at);
    cr_store64(p->p + 8, cr_sum64(p->p + CR_PIECE_HEAD, w->at, w->out->n - 1));
    memset(p->p + CR_PIECE_HEAD + w->at, 0, p->n - CR_PIECE_HEAD - w->at);
}

static void piece_begin(writer *w)
{
    if (w->out->n == w->cap) { /* cannot be: the number was counted */
        w->failed = 1;
        return;
    }
    size_t n = w->total < CR_PIECE_BYTES ? w->total : CR_PIECE_BYTES;
    size_t bytes = (CR_PIECE_HEAD + n + 7) & ~(size_t)7;
    cr_piece *p = &w->out->at[w->out->n];
    p->p = cr_alloc(w->heap, bytes);
    p->n = bytes;
    if (!p->p) {
        w->failed = 1;
        return;
    }
    w->out->n++;
    w->at = 0;
}

static void write_bytes(writer *w, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    while (n && !w->failed) {
        if (w->out->n == 0 || w->at == CR_PIECE_BYTES) {
            if (w->out->n) piece_end(w);
            piece_begin(w);
            continue;
        }
        size_t part = CR_PIECE_BYTES - w->at < n ? CR_PIECE_BYTES - w->at : n;
        memcpy(w->out->at[w->out->n - 1].p + CR_PIECE_HEAD + w->at, p, part);
        w->at += part;
        w->total -= part;
        p += part;
        n -= part;
    }
}

static void write_record(writer *w, const cr_item *i)
{
    uint8_t head[9 + CR_ITEM_HEAD];
    head[0] = (uint8_t)i->kind;
    cr_store32(head + 1, (uint32_t)i->key_len);
    write_bytes(w, head, 5);
    write_bytes(w, i->bytes, i->key_len);
    cr_store32(head, (uint32_t)(CR_ITEM_HEAD + i->stored_len));
    cr_item_head(i, head + 4);
    write_bytes(w, head, 4 + CR_ITEM_HEAD);
    write_bytes(w, i->bytes + i->key_len, i->stored_len);
}

int32_t cr_snapshot_write(const cr_items *rows, uint64_t index, const cr_heap *h, cr_pieces *out)
{
    uint8_t header[HEADER];
    writer w = {.heap = h, .out = out, .total = HEADER};
    for (size_t i = 0; i < rows->n; i++)
        w.total += 9 + CR_ITEM_HEAD + rows->at[i]->key_len + rows->at[i]->stored_len;
    w.cap = (uint32_t)(w.total / CR_PIECE_BYTES + 1);
    *out = (cr_pieces){.at = cr_alloc(h, w.cap * sizeof *out->at)};
    if (!out->at) return QD_E_NOMEM;
    cr_store32(header, CR_SNAPSHOT_VERSION);
    cr_store64(header + 4, index);
    cr_store64(header + 12, rows->n);
    write_bytes(&w, header, HEADER);
    for (size_t i = 0; i < rows->n; i++) write_record(&w, rows->at[i]);
    if (!w.failed) {
        piece_end(&w);
        return 0;
    }
    cr_pieces_free(h, out);
    return QD_E_NOMEM;
}

void cr_pieces_free(const cr_heap *h, cr_pieces *p)
{
    for (uint32_t i = 0; i < p->n; i++) cr_free(h, p->at[i].p);
    cr_free(h, p->at);
    *p = (cr_pieces){0};
}

/* --- reading --- */

/* The payload of the piece at *p; NULL when it is damaged. */
static const uint8_t *piece_read(const uint8_t *p, size_t left, uint32_t number, size_t *payload,
                                 size_t *whole)
{
    if (left < CR_PIECE_HEAD || cr_load32(p) != MAGIC) return NULL;
    size_t n = cr_load32(p + 4), bytes = (CR_PIECE_HEAD + n + 7) & ~(size_t)7;
    if (n > CR_PIECE_BYTES || bytes > left ||
        cr_load64(p + 8) != cr_sum64(p + CR_PIECE_HEAD, n, number))
        return NULL;
    *payload = n;
    *whole = bytes;
    return p + CR_PIECE_HEAD;
}

int32_t cr_snapshot_index(const uint8_t *p, size_t n, uint64_t *index)
{
    size_t payload, whole;
    const uint8_t *first = piece_read(p, n, 0, &payload, &whole);
    if (!first || payload < HEADER || cr_load32(first) != CR_SNAPSHOT_VERSION) return QD_E_CORRUPT;
    *index = cr_load64(first + 4);
    return 0;
}

int32_t cr_snapshot_read(const cr_heap *h, const uint8_t *p, size_t n, uint64_t *index,
                         int32_t (*take)(void *arg, cr_item *row), void *arg)
{
    int32_t rc = cr_snapshot_index(p, n, index);
    if (rc) return rc;
    cr_bytes all = {.heap = h};
    for (uint32_t number = 0; n && rc == 0; number++) {
        size_t payload, whole;
        const uint8_t *piece = piece_read(p, n, number, &payload, &whole);
        if (!piece) {
            rc = QD_E_CORRUPT;
            break;
        }
        cr_put(&all, piece, payload);
        p += whole;
        n -= whole;
    }
    cr_reader r = {.p = all.p, .n = all.n};
    (void)cr_get(&r, 12);
    uint64_t records = cr_get64(&r);
    for (uint64_t i = 0; i < records && rc == 0; i++) {
        uint8_t kind = cr_get8(&r);
        qd_str key = cr_get_str(&r), stored = cr_get_str(&r);
        cr_item *item = r.bad ? NULL : cr_item_read(h, kind, key, stored);
        rc = item ? take(arg, item) : QD_E_CORRUPT;
    }
    if (rc == 0 && r.n) rc = QD_E_CORRUPT;
    cr_bytes_free(&all);
    return rc;
}
