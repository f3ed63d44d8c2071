/* postings_blocks.c: blocks and single values of a term, checked as they are used. See postings.h.
 */
#include "segment/postings.h"
#include "segment/postings/postings_int.h"

static bool damaged(qd_postings *p)
{
    p->damaged = true;
    return false;
}

bool qd_postings_block(qd_postings *p, uint32_t b, qd_block *out)
{
    qd_dassert(b < p->nblk);
    unsigned db = p->doc_bits[b], fb = p->freq_bits[b];
    uint32_t n = b + 1 < p->nblk ? QD_BLOCK : p->df - b * QD_BLOCK;
    bool in_bitmap = db == QD_DOC_BITS_BITMAP;
    if (in_bitmap ? !p->bits : !qd_codec_width_ok(db)) return damaged(p);
    if (!qd_codec_width_ok(fb)) return damaged(p);
    uint64_t at = (uint64_t)p->off[b] * 16, docs = in_bitmap ? 0 : qd_codec_bytes(n, db);
    if (at + docs + qd_codec_bytes(n, fb) > p->data_len) return damaged(p);
    uint32_t base = b ? p->last[b - 1] : QD_NO_DOC, last = p->last[b];
    if (last >= p->ndocs || (b && base >= last)) return damaged(p);
    *out = (qd_block){.docs = in_bitmap ? NULL : p->data + at,
                      .freqs = p->data + at + docs,
                      .base = base,
                      .n = n,
                      .doc_bits = db,
                      .freq_bits = fb};
    return true;
}

/* Documents that could wrap inside a block are looked at one by one; others are right if the last
 * is.
 */
static bool ascending(const qd_block *k, const uint32_t *docs, uint32_t last)
{
    if (docs[k->n - 1] != last) return false;
    if (QD_LIKELY(!qd_codec_docs_wrap(k->doc_bits))) return true;
    bool good = k->base == QD_NO_DOC || docs[0] > k->base;
    for (uint32_t i = 1; i < k->n; i++) good &= docs[i] > docs[i - 1];
    return good;
}

uint32_t qd_postings_docs(qd_postings *p, uint32_t b, uint32_t *out)
{
    qd_block k;
    if (!qd_postings_block(p, b, &k)) return 0;
    if (!k.docs) {
        uint32_t got = p->codec->bits(p->bits, k.base + 1, p->ndocs, k.n, out);
        if (got != k.n || out[got - 1] != p->last[b]) return damaged(p);
    } else {
        if (QD_LIKELY(k.n == QD_BLOCK))
            p->codec->docs(k.docs, k.doc_bits, k.base, out);
        else
            p->codec->docs_n(k.docs, k.doc_bits, k.base, k.n, out);
        if (!ascending(&k, out, p->last[b])) return damaged(p);
    }
    for (uint32_t i = k.n; i < QD_BLOCK; i++) out[i] = QD_NO_DOC;
    return k.n;
}

uint32_t qd_postings_freqs(qd_postings *p, uint32_t b, uint32_t *out)
{
    qd_block k;
    if (!qd_postings_block(p, b, &k)) return 0;
    if (QD_LIKELY(k.n == QD_BLOCK))
        p->codec->vals(k.freqs, k.freq_bits, 1, out);
    else
        p->codec->vals_n(k.freqs, k.freq_bits, 1, k.n, out);
    if (QD_UNLIKELY(k.freq_bits == 32)) /* 2^32 would be 0 */
        for (uint32_t i = 0; i < k.n; i++) out[i] += out[i] == 0;
    return k.n;
}

uint32_t qd_postings_freq(qd_postings *p, uint32_t j)
{
    qd_dassert(j < p->df);
    uint32_t b = j / QD_BLOCK, n = b + 1 < p->nblk ? QD_BLOCK : p->df - b * QD_BLOCK;
    unsigned db = p->doc_bits[b], fb = p->freq_bits[b];
    uint64_t at = (uint64_t)p->off[b] * 16;
    if (db != QD_DOC_BITS_BITMAP) at += qd_codec_bytes(n, db & 63);
    if (QD_UNLIKELY(fb > 32 || at + qd_codec_bytes(n, fb) > p->data_len)) {
        p->damaged = true;
        return 1;
    }
    uint32_t f = qd_codec_one(p->data + at, fb, j % QD_BLOCK) + 1;
    return f + (f == 0);
}

uint32_t qd_postings_seek(const qd_postings *p, uint32_t from, uint32_t doc)
{
    uint32_t lo = from, step = 1, n = p->nblk;
    while (lo < n && p->last[lo] < doc) {
        from = lo + 1;
        lo += step;
        step *= 2;
    }
    uint32_t hi = lo < n ? lo : n; /* the answer lies in [from, hi] */
    while (from < hi) {
        uint32_t mid = from + (hi - from) / 2;
        if (p->last[mid] < doc)
            from = mid + 1;
        else
            hi = mid;
    }
    return from;
}

uint64_t qd_postings_position_first(qd_postings *p, uint32_t j, uint32_t *freq)
{
    uint32_t b = j / QD_BLOCK, i = j % QD_BLOCK, ends[QD_BLOCK];
    uint32_t before = p->pos_before ? p->pos_before[b] : 0;
    qd_block k;
    if (freq) *freq = 1;
    if (!qd_postings_block(p, b, &k)) return 0;
    p->codec->docs_n(k.freqs, k.freq_bits, before, i + 1, ends);
    uint32_t first = i ? ends[i - 1] : before;
    if (QD_UNLIKELY(first >= p->ttf || ends[i] <= first || ends[i] > p->ttf)) {
        p->damaged = true;
        return 0;
    }
    if (freq) *freq = ends[i] - first;
    return first;
}

/* A packed stream of positions or offsets. */
typedef struct stream {
    const uint8_t *data;
    uint64_t len;
    const uint32_t *off;
    const uint8_t *skip_bits; /* width of a stream in front, or NULL */
    const uint8_t *bits;
} stream;

/* Values first .. first + n (inside the term), at most one block at a time. */
static bool values(qd_postings *p, const stream *s, uint64_t first, uint32_t n, uint32_t *out)
{
    if (n > p->ttf || first > p->ttf - n) return damaged(p);
    while (n) {
        uint32_t b = (uint32_t)(first / QD_BLOCK), i = (uint32_t)(first % QD_BLOCK);
        uint64_t rest = p->ttf - (uint64_t)b * QD_BLOCK, at = (uint64_t)s->off[b] * 16;
        uint32_t here = rest < QD_BLOCK ? (uint32_t)rest : QD_BLOCK,
                 m = here - i < n ? here - i : n;
        unsigned w = s->bits[b];
        if (s->skip_bits) at += qd_codec_bytes(here, s->skip_bits[b] & 63);
        if (!qd_codec_width_ok(w) || at + qd_codec_bytes(here, w) > s->len) return damaged(p);
        if (m <= 8) {
            for (uint32_t k = 0; k < m; k++) out[k] = qd_codec_one(s->data + at, w, i + k);
        } else {
            uint32_t all[QD_BLOCK];
            p->codec->vals_n(s->data + at, w, 0, i + m, all);
            memcpy(out, all + i, m * sizeof *out);
        }
        out += m;
        first += m;
        n -= m;
    }
    return true;
}

static void sum_up(uint32_t *v, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) v[i] += v[i - 1];
}

uint32_t qd_postings_positions(qd_postings *p, uint64_t first, uint32_t n, uint32_t *out)
{
    stream s = {p->pos_data, p->pos_data_len, p->pos_off, NULL, p->pos_bits};
    if (!p->pos_data || !values(p, &s, first, n, out)) return 0;
    sum_up(out, n);
    return n;
}

uint32_t qd_postings_offsets(qd_postings *p, uint64_t first, uint32_t n, uint32_t *start,
                             uint32_t *end)
{
    stream s = {p->offs_data, p->offs_data_len, p->offs_off, NULL, p->start_bits};
    stream l = {p->offs_data, p->offs_data_len, p->offs_off, p->start_bits, p->length_bits};
    if (!p->offs_data || !values(p, &s, first, n, start) || !values(p, &l, first, n, end)) return 0;
    sum_up(start, n);
    for (uint32_t i = 0; i < n; i++) end[i] += start[i];
    return n;
}

uint32_t qdi_postings_deltas(qd_postings *p, uint32_t b, uint32_t *out)
{
    stream s = {p->pos_data, p->pos_data_len, p->pos_off, NULL, p->pos_bits};
    uint64_t first = (uint64_t)b * QD_BLOCK, rest = p->ttf - first;
    uint32_t n = rest < QD_BLOCK ? (uint32_t)rest : QD_BLOCK;
    return values(p, &s, first, n, out) ? n : 0;
}

uint32_t qdi_postings_offset_deltas(qd_postings *p, uint32_t b, uint32_t *starts, uint32_t *lengths)
{
    stream s = {p->offs_data, p->offs_data_len, p->offs_off, NULL, p->start_bits};
    stream l = {p->offs_data, p->offs_data_len, p->offs_off, p->start_bits, p->length_bits};
    uint64_t first = (uint64_t)b * QD_BLOCK, rest = p->ttf - first;
    uint32_t n = rest < QD_BLOCK ? (uint32_t)rest : QD_BLOCK;
    return values(p, &s, first, n, starts) && values(p, &l, first, n, lengths) ? n : 0;
}
