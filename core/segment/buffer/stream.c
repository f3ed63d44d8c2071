/* stream.c: see stream_int.h. */
#include "segment/buffer/stream_int.h"
#include <string.h>

void qdi_chunk_pool_fini(qdi_chunk_pool *p)
{
    for (unsigned c = 0; c < QDI_CHUNK_CLASSES; c++) {
        for (size_t i = 0; i < p->spare[c].n; i++) qd_free(p->spare[c].at[i]);
        qd_vec_fini(&p->spare[c]);
    }
}

static unsigned class_of(size_t chunk)
{
    return chunk < QDI_CHUNK_CLASSES - 1 ? (unsigned)chunk : QDI_CHUNK_CLASSES - 1;
}

int qdi_stream_more(qdi_stream *s, qdi_chunk_pool *p)
{
    if (s->room) return 0;
    unsigned c = class_of(s->chunks.n);
    if (qd_vec_reserve(&s->chunks, p->account, 1)) return QD_E_NOMEM;
    uint32_t *chunk = p->spare[c].n ? p->spare[c].at[--p->spare[c].n]
                                    : qd_alloc(p->account, (size_t)(256u << c) * sizeof *chunk);
    if (!chunk) return QD_E_NOMEM;
    s->chunks.at[s->chunks.n++] = chunk;
    s->at = chunk;
    s->room = 256u << c;
    return 0;
}

int qdi_stream_add(qdi_stream *s, qdi_chunk_pool *p, const uint32_t *v, uint32_t n)
{
    while (n) {
        int rc = qdi_stream_more(s, p);
        if (rc) return rc;
        uint32_t k = n < s->room ? n : s->room;
        memcpy(s->at, v, k * sizeof *v);
        s->at += k;
        s->room -= k;
        s->n += k;
        v += k;
        n -= k;
    }
    return 0;
}

static void give_back(qdi_stream *s, qdi_chunk_pool *p)
{
    size_t last = s->chunks.n - 1;
    unsigned c = class_of(last);
    uint32_t *chunk = s->chunks.at[last];
    s->chunks.n = last;
    if (qd_vec_push(&p->spare[c], p->account, chunk)) qd_free(chunk);
}

void qdi_stream_cut(qdi_stream *s, qdi_chunk_pool *p, uint64_t n)
{
    qd_dassert(n <= s->n);
    uint64_t held = s->n + s->room; /* elements of all chunks */
    while (s->chunks.n && held - qdi_stream_chunk(s->chunks.n - 1) >= n) {
        held -= qdi_stream_chunk(s->chunks.n - 1);
        give_back(s, p);
    }
    s->n = n;
    s->room = (uint32_t)(held - n);
    size_t k = s->chunks.n;
    s->at = k ? s->chunks.at[k - 1] + (qdi_stream_chunk(k - 1) - s->room) : NULL;
}

void qdi_stream_fini(qdi_stream *s, qdi_chunk_pool *p)
{
    while (s->chunks.n) give_back(s, p);
    qd_vec_fini(&s->chunks);
    *s = (qdi_stream){.n = 0};
}

void qdi_stream_seek(qdi_stream_cursor *c, const qdi_stream *s, uint64_t n)
{
    *c = (qdi_stream_cursor){.s = s};
    if (s->chunks.n == 0) return;
    while (c->chunk + 1 < s->chunks.n && n >= qdi_stream_chunk(c->chunk))
        n -= qdi_stream_chunk(c->chunk++);
    c->p = s->chunks.at[c->chunk] + n;
    c->have = qdi_stream_chunk(c->chunk) - (uint32_t)n;
}
