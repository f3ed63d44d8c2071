/* window_range.c: a range of numbers in a window, by the block of its column that the window is. */
#include "search/leaf/range_int.h"

_Static_assert(QDI_WINDOW == QD_COLUMN_BLOCK, "a window is a block of a column");

static bool outside(const struct qdi_range *g, const qd_column_block_info *b)
{
    return !b->docs || b->min > g->hi || b->max < g->lo;
}

uint32_t qdi_range_next(const qdi_run *r, const struct qdi_range *g, uint32_t from)
{
    while (from < r->ndocs) {
        qd_column_block_info b;
        qd_column_block_at(g->column, from, &b);
        if (!outside(g, &b)) return from;
        from = b.to;
    }
    return QD_NO_DOC;
}

/* Candidates one by one. */
static int look_up(struct qdi_range *g, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                   qd_err *err)
{
    uint32_t docs[QDI_RANGE_LOOKUPS_MAX], n = 0;
    int64_t v[QDI_RANGE_LOOKUPS_MAX];
    for (uint32_t i = 0; i < w->words; i++)
        for (uint64_t x = cand[i]; x; x &= x - 1)
            docs[n++] = w->from + i * 64 + (uint32_t)__builtin_ctzll(x);
    int rc = qd_column_gather(g->reader, docs, n, QD_COLUMN_PICK_MIN, g->absent, v, err);
    if (rc) return rc;
    memset(out, 0, w->words * sizeof *out);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = docs[i] - w->from;
        out[at >> 6] |= (uint64_t)(v[i] >= g->lo && v[i] <= g->hi) << (at & 63);
    }
    return 0;
}

int qdi_fill_range(struct qdi_range *g, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                   qd_err *err)
{
    qd_column_block_info b;
    qd_column_block_at(g->column, w->from, &b);
    if (outside(g, &b)) {
        memset(out, 0, w->words * sizeof *out);
        return 0;
    }
    if (b.docs == b.to - b.from && b.min >= g->lo && b.max <= g->hi) {
        memcpy(out, cand, w->words * sizeof *out);
        return 0;
    }
    if (g->lookups && qdi_popcount(cand, w->words) <= QDI_RANGE_LOOKUPS_MAX)
        return look_up(g, w, cand, out, err);
    uint64_t bits[QDI_WINDOW_WORDS] = {0};
    int rc = qd_column_match_at(g->reader, w->from, w->to, g->lo, g->hi, bits, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < w->words; i++) out[i] = cand[i] & bits[i];
    return 0;
}
