/* postings_open.c: the view of one term's postings. See postings.h; docs/format.md has the bytes.
 */
#include "segment/postings.h"
#include "segment/postings/inverted_int.h"
#include "segment/postings/postings_int.h"
#include "segment/segment_int.h"

enum { SLOT_POSTINGS, SLOT_POSITIONS, SLOT_OFFSETS };
#define NO_SLOT UINT32_MAX
#define INLINE_POSITION 80u /* where an inline position stands in inline_data */

int qd_postings_plan(qd_segment *s, const qd_term *t, qd_index_options want, qd_reads *r,
                     qd_postings *p, qd_err *err)
{
    qd_assert(t->field < s->nfields && t->df > 0);
    uint8_t options = s->fields[t->field].index;
    p->segment = s;
    p->term = *t;
    p->want = want < options ? want : options;
    p->slots[0] = p->slots[1] = p->slots[2] = NO_SLOT;
    int rc = 0;
    if (t->postings_len)
        rc = qd_reads_add(r, s->file, QDI_SEC_POSTINGS, t->postings,
                          t->postings_len + QD_CODEC_SLACK, &p->slots[SLOT_POSTINGS], err);
    if (rc == 0 && p->want >= QD_INDEX_POSITIONS && t->positions_len)
        rc = qd_reads_add(r, s->file, QDI_SEC_POSITIONS, t->positions,
                          t->positions_len + QD_CODEC_SLACK, &p->slots[SLOT_POSITIONS], err);
    if (rc == 0 && p->want >= QD_INDEX_OFFSETS && t->offsets_len)
        rc = qd_reads_add(r, s->file, QDI_SEC_OFFSETS, t->offsets, t->offsets_len + QD_CODEC_SLACK,
                          &p->slots[SLOT_OFFSETS], err);
    return rc;
}

static int corrupt(const qd_postings *p, uint32_t section, uint64_t at, const char *what,
                   qd_err *err)
{
    return qdi_corrupt(p->segment, section, at, what, err);
}

static void one_block(qd_postings *p, uint32_t last, uint8_t doc_bits, uint8_t freq_bits)
{
    p->one_u32[0] = last;
    p->one_u32[1] = 0;
    p->one_u8[0] = doc_bits;
    p->one_u8[1] = freq_bits;
    p->last = &p->one_u32[0];
    p->off = &p->one_u32[1];
    p->doc_bits = &p->one_u8[0];
    p->freq_bits = &p->one_u8[1];
}

/* A term of one document stands in the dictionary; here it becomes a block of one. */
static int open_inline(qd_postings *p, qd_err *err)
{
    const qd_term *t = &p->term;
    if (t->ttf > UINT32_MAX || t->doc >= p->ndocs)
        return corrupt(p, QDI_SEC_TERMS, 0, "inline term", err);
    memset(p->inline_data, 0, sizeof p->inline_data);
    qd_put_u32le(p->inline_data, t->doc);
    qd_put_u32le(p->inline_data + 4, (uint32_t)(t->ttf - 1));
    p->data = p->inline_data;
    p->data_len = 8;
    one_block(p, t->doc, 32, 32);
    return 0;
}

static int open_small(qd_postings *p, const uint8_t *b, uint64_t n, qd_err *err)
{
    uint64_t at = p->term.postings;
    if (n < 2 || !qd_codec_width_ok(b[0]) || !qd_codec_width_ok(b[1]) ||
        n != 2 + qd_codec_bytes(p->df, b[0]) + qd_codec_bytes(p->df, b[1]))
        return corrupt(p, QDI_SEC_POSTINGS, at, "widths of postings", err);
    p->data = b + 2;
    p->data_len = n - 2;
    uint32_t docs[QD_BLOCK];
    p->codec->docs_n(p->data, b[0], QD_NO_DOC, p->df, docs);
    bool good = docs[p->df - 1] < p->ndocs;
    if (QD_UNLIKELY(qd_codec_docs_wrap(b[0])))
        for (uint32_t i = 1; i < p->df; i++) good &= docs[i] > docs[i - 1];
    if (!good) return corrupt(p, QDI_SEC_POSTINGS, at, "documents of a term", err);
    one_block(p, docs[p->df - 1], b[0], b[1]);
    return 0;
}

/* Takes n bytes off the head, NULL when there are not so many. */
static const uint8_t *take(const uint8_t **at, uint64_t *left, uint64_t n)
{
    if (n > *left) return NULL;
    const uint8_t *p = *at;
    *at += n;
    *left -= n;
    return p;
}

static const uint32_t *u32s(const uint8_t *p)
{
    return (const uint32_t *)(const void *)p;
}

/* Arrays that depend on the classes: by block, by range, by level, pairs. */
static bool take_classes(qd_postings *p, const uint8_t **at, uint64_t *left, unsigned flags,
                         const uint8_t *begin)
{
    p->cls = take(at, left, p->nblk);
    if (!p->cls) return false;
    if (flags & QDI_TERM_RANGES) {
        p->range_cls = take(at, left, (p->nranges + 63) / 64 * 64);
        if (!p->range_cls) return false;
    }
    p->level_cls = take(at, left, p->nlevels);
    p->level_pairs = p->level_cls ? take(at, left, p->nlevels) : NULL;
    if (!p->level_pairs || !take(at, left, (uint64_t)(*at - begin) & 1)) return false;
    uint32_t pairs = 0;
    for (uint32_t i = 0; i < p->nlevels; i++) pairs += p->level_pairs[i] ? p->level_pairs[i] : 256;
    if (pairs != p->npairs) return false;
    p->pair_freq = (const uint16_t *)(const void *)take(at, left, (uint64_t)p->npairs * 2);
    p->pair_norm = p->pair_freq ? take(at, left, p->npairs) : NULL;
    return p->pair_norm != NULL;
}

static bool take_bitmap(qd_postings *p, const uint8_t **at, uint64_t *left, const uint8_t *begin)
{
    const uint8_t *ranks = take(at, left, ((uint64_t)(p->ndocs >> QD_RANK_LOG) + 1) * 4);
    if (!ranks || !take(at, left, -(uint64_t)(*at - begin) & 7)) return false;
    const uint8_t *bits = take(at, left, ((uint64_t)p->ndocs + 511) / 512 * 64);
    if (!bits) return false;
    p->ranks = u32s(ranks);
    p->bits = (const uint64_t *)(const void *)bits;
    uint32_t tail = p->ndocs & 63; /* documents in the last word: nothing may stand behind them */
    return tail == 0 || p->bits[p->ndocs >> 6] >> tail == 0;
}

static int open_large(qd_postings *p, const uint8_t *b, uint64_t n, qd_err *err)
{
    const uint8_t *at = b;
    uint64_t left = n;
    const uint8_t *h = take(&at, &left, QDI_TERM_HEADER), *last = NULL, *off = NULL;
    if (!h || ((uintptr_t)b & 7)) goto bad;
    unsigned flags = h[0];
    p->nlevels = h[1];
    p->npairs = qd_get_u16le(h + 2);
    p->data_len = qd_get_u64le(h + 8);
    if (flags > 15 || p->nlevels >= QD_IMPACT_CLASSES || p->data_len > n) goto bad;
    if ((flags & QDI_TERM_DOCS_IN_BITMAP) && !(flags & QDI_TERM_BITMAP)) goto bad;
    if ((flags & QDI_TERM_RANGES) && !(flags & QDI_TERM_CLASSES)) goto bad;
    last = take(&at, &left, (uint64_t)p->nblk * 4);
    off = last ? take(&at, &left, (uint64_t)p->nblk * 4) : NULL;
    if (!off || ((flags & QDI_TERM_BITMAP) && !take_bitmap(p, &at, &left, b))) goto bad;
    p->last = u32s(last);
    p->off = u32s(off);
    p->doc_bits = take(&at, &left, p->nblk);
    p->freq_bits = p->doc_bits ? take(&at, &left, p->nblk) : NULL;
    if (!p->freq_bits) goto bad;
    if ((flags & QDI_TERM_CLASSES) && !take_classes(p, &at, &left, flags, b)) goto bad;
    if (left != p->data_len || p->last[p->nblk - 1] >= p->ndocs) goto bad;
    p->data = at;
    return 0;
bad:
    return corrupt(p, QDI_SEC_POSTINGS, p->term.postings, "head of a term", err);
}

static int open_positions(qd_postings *p, const uint8_t *at, qd_err *err)
{
    const qd_term *t = &p->term;
    p->npos_blk = (uint32_t)((t->ttf + QD_BLOCK - 1) / QD_BLOCK);
    if (t->ttf == 1) {
        qd_put_u32le(p->inline_data + INLINE_POSITION, t->position);
        p->pos_data = p->inline_data + INLINE_POSITION;
        p->pos_data_len = 4;
        p->one_u32[2] = 0;
        p->one_u8[2] = 32;
        p->pos_off = &p->one_u32[2];
        p->pos_bits = &p->one_u8[2];
        return 0;
    }
    uint64_t left = t->positions_len, n = p->npos_blk;
    if (!at || t->ttf > UINT32_MAX) goto bad;
    if (t->ttf > QD_BLOCK) {
        if ((uintptr_t)at & 7) goto bad;
        const uint8_t *off = take(&at, &left, n * 4);
        const uint8_t *before = off && p->nblk > 1 ? take(&at, &left, (uint64_t)p->nblk * 4) : off;
        if (!before) goto bad;
        p->pos_off = u32s(off);
        if (p->nblk > 1) p->pos_before = u32s(before);
    } else {
        p->one_u32[2] = 0;
        p->pos_off = &p->one_u32[2];
    }
    p->pos_bits = take(&at, &left, n);
    if (!p->pos_bits) goto bad;
    p->pos_data = at;
    p->pos_data_len = left;
    return 0;
bad:
    return corrupt(p, QDI_SEC_POSITIONS, t->positions, "head of positions", err);
}

static int open_offsets(qd_postings *p, const uint8_t *at, qd_err *err)
{
    const qd_term *t = &p->term;
    uint64_t left = t->offsets_len, n = (t->ttf + QD_BLOCK - 1) / QD_BLOCK;
    if (!at || t->ttf > UINT32_MAX) goto bad;
    if (t->ttf > QD_BLOCK) {
        const uint8_t *off = (uintptr_t)at & 7 ? NULL : take(&at, &left, n * 4);
        if (!off) goto bad;
        p->offs_off = u32s(off);
    } else {
        p->one_u32[3] = 0;
        p->offs_off = &p->one_u32[3];
    }
    p->start_bits = take(&at, &left, n);
    p->length_bits = p->start_bits ? take(&at, &left, n) : NULL;
    if (!p->length_bits) goto bad;
    p->offs_data = at;
    p->offs_data_len = left;
    return 0;
bad:
    return corrupt(p, QDI_SEC_OFFSETS, t->offsets, "head of offsets", err);
}

int qdi_postings_open_at(qd_postings *p, const uint8_t *const at[3], qd_err *err)
{
    const qd_term *t = &p->term;
    p->df = t->df;
    p->ttf = t->ttf;
    p->nblk = (t->df + QD_BLOCK - 1) / QD_BLOCK;
    p->ndocs = p->segment->docs;
    p->nranges = (p->ndocs + (1u << QD_RANGE_LOG) - 1) >> QD_RANGE_LOG;
    p->damaged = false;
    p->codec = qd_codec_get();
    p->cls = p->range_cls = p->level_cls = p->level_pairs = p->pair_norm = NULL;
    p->pair_freq = NULL;
    p->bits = NULL;
    p->ranks = p->pos_before = p->pos_off = p->offs_off = NULL;
    p->pos_data = p->pos_bits = p->offs_data = p->start_bits = p->length_bits = NULL;
    p->pos_data_len = p->offs_data_len = 0;
    p->nlevels = p->npairs = p->npos_blk = 0;
    int rc;
    if (t->df == 1)
        rc = open_inline(p, err);
    else if (!at[SLOT_POSTINGS])
        rc = corrupt(p, QDI_SEC_TERMS, 0, "length of postings", err);
    else
        rc = t->df <= QD_BLOCK ? open_small(p, at[SLOT_POSTINGS], t->postings_len, err)
                               : open_large(p, at[SLOT_POSTINGS], t->postings_len, err);
    if (rc == 0 && p->want >= QD_INDEX_POSITIONS) rc = open_positions(p, at[SLOT_POSITIONS], err);
    if (rc == 0 && p->want >= QD_INDEX_OFFSETS) rc = open_offsets(p, at[SLOT_OFFSETS], err);
    return rc;
}

int qd_postings_open(qd_postings *p, const qd_reads *r, qd_err *err)
{
    const uint8_t *at[3];
    for (unsigned i = 0; i < 3; i++)
        at[i] = p->slots[i] == NO_SLOT ? NULL : qd_reads_at(r, p->slots[i]);
    return qdi_postings_open_at(p, at, err);
}

int qd_postings_status(const qd_postings *p, qd_err *err)
{
    if (!p->damaged) return 0;
    return corrupt(p, QDI_SEC_POSTINGS, p->term.postings, "block of postings", err);
}
