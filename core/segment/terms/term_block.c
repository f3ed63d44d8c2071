/* term_block.c: see term_block_int.h. Nothing read here is trusted: lengths are checked against the
 * block. */
#include "base/bits.h"
#include "segment/postings/inverted_int.h"
#include "segment/terms/term_block_int.h"

void qdi_block_place(const qdi_field_terms *t, const uint8_t *index, uint64_t i, uint64_t *at,
                     uint64_t *len)
{
    uint64_t n = qdi_term_blocks(t->terms);
    const uint8_t *p = index + t->index_at + 4 * n + 5 * i;
    uint64_t from = qd_get_u32le(p) | (uint64_t)p[4] << 32, to = t->terms_len;
    if (i + 1 < n) to = qd_get_u32le(p + 5) | (uint64_t)p[9] << 32;
    *at = t->terms_at + from;
    *len = to - from;
}

qd_str qdi_block_separator(const qdi_field_terms *t, const uint8_t *index, uint64_t i)
{
    uint64_t n = qdi_term_blocks(t->terms);
    const uint8_t *ends = index + t->index_at;
    uint32_t from = i ? qd_get_u32le(ends + 4 * (i - 1)) : 0, to = qd_get_u32le(ends + 4 * i);
    return (qd_str){(const char *)ends + 9 * n + from, to - from};
}

/* The last block of [lo, hi) whose separator is <= text, where lo counts as one. */
static uint64_t find_between(const qdi_field_terms *t, const uint8_t *index, uint64_t lo,
                             uint64_t hi, qd_str text)
{
    while (hi - lo > 1) {
        uint64_t mid = lo + (hi - lo) / 2;
        if (qd_str_cmp(qdi_block_separator(t, index, mid), text) <= 0)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

uint64_t qdi_block_find_from(const qdi_field_terms *t, const uint8_t *index, uint64_t lo,
                             qd_str text)
{
    uint64_t n = qdi_term_blocks(t->terms), step = 1, hi = lo + 1;
    while (hi < n && qd_str_cmp(qdi_block_separator(t, index, hi), text) <= 0) {
        lo = hi;
        hi += step *= 2;
    }
    return find_between(t, index, lo, hi < n ? hi : n, text);
}

uint64_t qdi_block_find(const qdi_field_terms *t, const uint8_t *index, qd_str text)
{
    return find_between(t, index, 0, qdi_term_blocks(t->terms), text);
}

static int bad(const qdi_block *b, const uint8_t *where, const char *what, qd_err *err)
{
    return qdi_corrupt(b->segment, QDI_SEC_TERMS, b->at + (uint64_t)(where - b->begin), what, err);
}

int qdi_block_open(qdi_block *b, const qd_segment *s, uint32_t field, uint64_t at, const uint8_t *p,
                   uint64_t n, qd_err *err)
{
    *b = (qdi_block){.segment = s,
                     .field = field,
                     .docs = s->docs,
                     .options = s->fields[field].index,
                     .begin = p,
                     .at = at,
                     .end = p + n};
    uint64_t text = 0;
    p = qd_get_varint(p, b->end, &b->postings);
    if (p && b->options >= QD_INDEX_POSITIONS) p = qd_get_varint(p, b->end, &b->positions);
    if (p && b->options >= QD_INDEX_OFFSETS) p = qd_get_varint(p, b->end, &b->offsets);
    if (p) p = qd_get_varint(p, b->end, &text);
    if (!p || text > (uint64_t)(b->end - p)) return bad(b, b->begin, "head of a block", err);
    b->text = p;
    b->text_end = b->stats = p + text;
    return 0;
}

/* A varint that is one or two bytes in nearly all cases. */
static inline const uint8_t *get(const uint8_t *p, const uint8_t *end, uint64_t *out)
{
    if (QD_LIKELY(p < end && *p < 0x80)) {
        *out = *p;
        return p + 1;
    }
    if (QD_LIKELY(end - p >= 2 && p[1] < 0x80)) {
        *out = (p[0] & 0x7fu) | (uint64_t)p[1] << 7;
        return p + 2;
    }
    return qd_get_varint(p, end, out);
}

int qdi_block_text(qdi_block *b, uint32_t *shared, qd_str *rest, qd_err *err)
{
    uint64_t same = 0, n = 0;
    const uint8_t *p = get(b->text, b->text_end, &same);
    if (p) p = get(p, b->text_end, &n);
    if (!p || n > (uint64_t)(b->text_end - p) || same > QD_TERM_BYTES_MAX ||
        same + n > QD_TERM_BYTES_MAX)
        return bad(b, b->text, "text of a term", err);
    *shared = (uint32_t)same;
    *rest = (qd_str){(const char *)p, n};
    b->text = p + n;
    return 0;
}

int qdi_block_stats(qdi_block *b, qd_term *out, qd_err *err)
{
    uint64_t df = 0, more = 0, v = 0, w = 0;
    const uint8_t *from = b->stats, *p = get(from, b->end, &df);
    if (p && b->options >= QD_INDEX_FREQS) p = get(p, b->end, &more);
    if (p) p = get(p, b->end, &v);
    if (!p || df == 0 || df > b->docs || more > UINT32_MAX)
        return bad(b, from, "term's counts", err);
    *out = (qd_term){.field = b->field, .df = (uint32_t)df, .ttf = df + more};
    if (df == 1) {
        if (v >= b->docs) return bad(b, from, "document of a term", err);
        out->doc = (uint32_t)v;
        out->postings = b->postings;
    } else {
        out->postings = qdi_align(b->postings, df);
        out->postings_len = v;
        if (v > UINT64_MAX / 4) return bad(b, from, "length of postings", err);
        b->postings = out->postings + v;
    }
    if (b->options >= QD_INDEX_POSITIONS) {
        p = get(p, b->end, &v);
        if (!p || v > UINT64_MAX / 4) return bad(b, from, "length of positions", err);
        if (out->ttf == 1) {
            if (v > UINT32_MAX) return bad(b, from, "position of a term", err);
            out->position = (uint32_t)v;
            out->positions = b->positions;
        } else {
            out->positions = qdi_align(b->positions, out->ttf);
            out->positions_len = v;
            b->positions = out->positions + v;
        }
    }
    if (b->options >= QD_INDEX_OFFSETS) {
        p = get(p, b->end, &w);
        if (!p || w > UINT64_MAX / 4) return bad(b, from, "length of offsets", err);
        out->offsets = qdi_align(b->offsets, out->ttf);
        out->offsets_len = w;
        b->offsets = out->offsets + w;
    }
    b->stats = p;
    return 0;
}
