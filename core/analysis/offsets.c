/*
 * offsets.c: from bytes of the tokenized text to UTF-16 units of the value.
 *
 * Byte offsets become units by a table of one entry for 64 bytes and two population counts, so that
 * they need not ascend (n-grams do not). Then the corrections of the char filters, last one first.
 */
#include "analysis/block_int.h"
#include "analysis/offsets_int.h"
#include "base/utf8.h"

static int index_units(qd_analysis *s)
{
    size_t blocks = s->nsrc / 64 + 1;
    if (blocks > s->units_cap) {
        qd_unit_block *u = qd_realloc(&s->account, s->units, blocks * sizeof *u);
        if (!u) return QD_E_NOMEM;
        s->units = u;
        s->units_cap = blocks;
    }
    uint32_t units = 0;
    for (size_t i = 0; i < blocks; i++) {
        char tail[64];
        const char *p = s->src + i * 64;
        size_t n = s->nsrc - i * 64;
        if (n < 64) {
            memset(tail, 0, sizeof tail);
            if (n) memcpy(tail, p, n);
            p = tail;
        }
        qd_blk b = qd_blk_load(p);
        qd_unit_block *u = &s->units[i];
        u->follow = qd_blk_in(b, 0x80, 0xBF);
        u->four = qd_blk_in(b, 0xF0, 0xFF);
        u->before = units;
        units += 64 - (uint32_t)__builtin_popcountll(u->follow) +
                 (uint32_t)__builtin_popcountll(u->four);
    }
    return 0;
}

QD_INLINE uint32_t unit_at(const qd_analysis *s, uint32_t byte)
{
    const qd_unit_block *u = &s->units[byte / 64];
    uint64_t below = (1ull << byte % 64) - 1;
    return u->before + byte % 64 - (uint32_t)__builtin_popcountll(u->follow & below) +
           (uint32_t)__builtin_popcountll(u->four & below);
}

/* Lucene's BaseCharFilter.correct: the last entry at or before the offset counts. */
static uint32_t correct(const qd_filtered *f, uint32_t at)
{
    size_t lo = 0, hi = f->fix.n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (f->fix.at[mid].at <= at)
            lo = mid + 1;
        else
            hi = mid;
    }
    int64_t in = lo ? (int64_t)at + f->fix.at[lo - 1].diff : at;
    return in > 0 ? (uint32_t)in : 0;
}

static bool ascii(const char *p, size_t n)
{
    uint64_t any = 0, w;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&w, p + i, 8);
        any |= w;
    }
    for (; i < n; i++) any |= (uint64_t)(unsigned char)p[i] << 56;
    return !(any & 0x8080808080808080ull);
}

/* A char filter that puts text in can make Lucene's arithmetic lead before its place or out of the
 * value (there an exception); here such offsets end at the nearest sound one. */
static void within_value(qd_analysis *s)
{
    qd_tokens *t = &s->b->t;
    uint32_t end = (uint32_t)qd_utf8_utf16(s->value);
    for (size_t i = 0; i < t->n; i++) {
        qd_span *o = &t->offset[i];
        if (o->from > end) o->from = end;
        if (o->to > end) o->to = end;
        if (o->to < o->from) o->to = o->from;
    }
    if (t->end_offset > end) t->end_offset = end;
}

void qd_offsets_correct(qd_analysis *s)
{
    qd_tokens *t = &s->b->t;
    s->offsets_done = true;
    for (size_t f = s->nfiltered; f-- > 0;) {
        const qd_filtered *by = &s->filtered[f];
        if (!by->fix.n) continue;
        for (size_t i = 0; i < t->n; i++) {
            t->offset[i].from = correct(by, t->offset[i].from);
            t->offset[i].to = correct(by, t->offset[i].to);
        }
        t->end_offset = correct(by, t->end_offset);
    }
    if (s->nfiltered) within_value(s);
}

int qd_offsets_finish(qd_analysis *s)
{
    qd_tokens *t = &s->b->t;
    if (s->offsets_done) return 0;
    bool plain = ascii(s->src, s->nsrc);
    t->end_offset = (uint32_t)s->nsrc;
    if (!plain) {
        int rc = index_units(s);
        if (rc) return rc;
        for (size_t i = 0; i < t->n; i++) {
            t->offset[i].from = unit_at(s, t->offset[i].from);
            t->offset[i].to = unit_at(s, t->offset[i].to);
        }
        t->end_offset = unit_at(s, t->end_offset);
    }
    qd_offsets_correct(s);
    return 0;
}
