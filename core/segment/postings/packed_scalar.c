/* packed_scalar.c: streams of packed blocks under construction. See packed_int.h. */
#include "segment/postings/packed_int.h"

void qdi_packed_reset(qdi_packed *k)
{
    k->n = 0;
    k->len = 0;
    k->off.n = k->bits0.n = k->bits1.n = 0;
}

static unsigned width(const uint32_t *v, uint32_t n)
{
    uint32_t all = 0;
    for (uint32_t i = 0; i < n; i++) all |= v[i];
    return qd_codec_width(all);
}

int qdi_packed_block(qdi_packed *k, bool two, qd_account *account)
{
    uint32_t n = k->n;
    qd_dassert(n > 0);
    if (k->cap - k->len < 1024) {
        size_t cap = k->cap + k->cap / 2 + 4096;
        uint8_t *p = qd_realloc(account, k->data, cap);
        if (!p) return QD_E_NOMEM;
        k->data = p;
        k->cap = cap;
    }
    unsigned b0 = width(k->pending[0], n), b1 = two ? width(k->pending[1], n) : 0;
    if (qd_vec_push(&k->off, account, (uint32_t)(k->len / 16)) ||
        qd_vec_push(&k->bits0, account, (uint8_t)b0) ||
        (two && qd_vec_push(&k->bits1, account, (uint8_t)b1)))
        return QD_E_NOMEM;
    k->len += qd_codec_pack(k->pending[0], n, b0, k->data + k->len);
    if (two) k->len += qd_codec_pack(k->pending[1], n, b1, k->data + k->len);
    k->n = 0;
    return 0;
}

void qdi_packed_drop_first(qdi_packed *k, uint64_t values)
{
    size_t to = 0;
    for (size_t b = 0; b < k->off.n; b++) {
        uint32_t n =
            values - b * QD_BLOCK < QD_BLOCK ? (uint32_t)(values - b * QD_BLOCK) : QD_BLOCK;
        size_t from = (size_t)k->off.at[b] * 16 + qd_codec_bytes(n, k->bits0.at[b]);
        size_t bytes = qd_codec_bytes(n, k->bits1.at[b]);
        memmove(k->data + to, k->data + from, bytes);
        k->off.at[b] = (uint32_t)(to / 16);
        k->bits0.at[b] = QD_DOC_BITS_BITMAP;
        to += bytes;
    }
    k->len = to;
}

void qdi_packed_fini(qdi_packed *k)
{
    qd_free(k->data);
    qd_vec_fini(&k->off);
    qd_vec_fini(&k->bits0);
    qd_vec_fini(&k->bits1);
    *k = (qdi_packed){.n = 0};
}

void qdi_deltas(const uint32_t *docs, uint32_t n, uint32_t base, uint32_t *out)
{
    if (n == 0) return;
    out[0] = docs[0] - base - 1;
    for (uint32_t i = 1; i < n; i++) out[i] = docs[i] - docs[i - 1] - 1;
}

void qdi_minus_one(const uint32_t *in, uint32_t n, uint32_t *out)
{
    for (uint32_t i = 0; i < n; i++) out[i] = in[i] - 1;
}

uint64_t qdi_sum(const uint32_t *in, uint32_t n)
{
    uint64_t s = 0;
    for (uint32_t i = 0; i < n; i++) s += in[i];
    return s;
}
