/*
 * inverted_check.c: the deep check of terms, postings, positions, offsets and norms. Everything is
 * read once, in order; each structure is held against the others and against META.
 */
#include "segment/check.h"
#include "segment/merge/source_int.h"
#include "segment/postings/inverted_int.h"

typedef struct checker {
    qd_check *c;
    qd_segment *segment;
    qd_err *err;
    qdi_source source;
    const uint8_t *norms;     /* of the field, or NULL */
    uint64_t *seen;           /* documents with a term of the field */
    uint16_t (*allowed)[256]; /* greatest frequency that a class's frontier covers, by norm */
    const qd_field_info *info;
} checker;

#define NAME(x) QD_STR_ARG((x)->info->name)

static void found(checker *x, const char *section, uint64_t at, const char *what)
{
    qd_str text = qd_buf_view(&x->source.text);
    qd_check_found(x->c, section, at, "field [%.*s], term [%.*s]: %s", NAME(x),
                   (int)(text.n < 64 ? text.n : 64), text.p, what);
}

/* What each class covers: pairs rise in both members, so the last pair with a norm not above n has
 * the greatest frequency for n. */
static void read_frontiers(checker *x, const qd_postings *p)
{
    memset(x->allowed, 0, sizeof(uint16_t[QD_IMPACT_CLASSES][256]));
    for (uint32_t l = 0, at = 0; l < p->nlevels; l++) {
        uint32_t n = p->level_pairs[l] ? p->level_pairs[l] : 256, cls = p->level_cls[l];
        if (cls == 0 || cls >= QD_IMPACT_CLASSES || (l && cls <= p->level_cls[l - 1])) {
            found(x, "POSTINGS", p->term.postings, "impact classes out of order");
            return;
        }
        for (uint32_t i = at; i < at + n; i++) {
            if (i > at &&
                (p->pair_freq[i] <= p->pair_freq[i - 1] || p->pair_norm[i] <= p->pair_norm[i - 1]))
                found(x, "POSTINGS", p->term.postings, "frontier out of order");
            for (uint32_t norm = p->pair_norm[i]; norm < 256; norm++)
                x->allowed[cls][norm] = p->pair_freq[i];
        }
        at += n;
    }
}

static bool covered(const checker *x, uint8_t cls, uint32_t freq, uint8_t norm)
{
    if (cls == 0 || cls >= QD_IMPACT_CLASSES) return false;
    uint32_t most = x->allowed[cls][norm];
    return freq <= most || most == QD_FREQ_SATURATED;
}

static void check_bounds(checker *x, const qd_postings *p, uint32_t b, uint32_t doc, uint32_t freq)
{
    uint8_t norm = x->norms ? x->norms[doc] : 1;
    if (p->cls && !covered(x, p->cls[b], freq, norm))
        found(x, "POSTINGS", p->term.postings, "a posting above the bound of its block");
    if (p->range_cls && !covered(x, p->range_cls[doc >> QD_RANGE_LOG], freq, norm))
        found(x, "POSTINGS", p->term.postings, "a posting above the bound of its range");
}

/* Does the bitmap hold exactly df documents, and do ranks count them? Single documents are looked
 * up by check_block. */
static void check_bitmap(checker *x, const qd_postings *p)
{
    uint32_t rank = 0, words = (p->ndocs + 511) / 512 * 8;
    for (uint32_t w = 0; w < words; w++) {
        if (w % 8 == 0 && p->ranks[w / 8] != rank)
            found(x, "POSTINGS", p->term.postings, "a rank that does not count its bitmap");
        rank += (uint32_t)__builtin_popcountll(p->bits[w]);
    }
    if (rank != p->df) found(x, "POSTINGS", p->term.postings, "a bitmap of other documents");
}

static uint64_t check_block(checker *x, qd_postings *p, uint32_t b)
{
    uint32_t docs[QD_BLOCK + 64], freqs[QD_BLOCK];
    uint32_t n = qd_postings_docs(p, b, docs);
    if (qd_postings_freqs(p, b, freqs) != n) return 0;
    for (uint32_t i = 0; i < n; i++) {
        x->seen[docs[i] >> 6] |= 1ull << (docs[i] & 63);
        check_bounds(x, p, b, docs[i], freqs[i]);
        if (p->bits && !qd_postings_test(p, docs[i]))
            found(x, "POSTINGS", p->term.postings, "a document that is not in the bitmap");
        if (x->norms && x->norms[docs[i]] == 0)
            found(x, "NORMS", docs[i], "a document with a term and no norm");
    }
    return qdi_sum(freqs, n);
}

static void check_positions(checker *x, qd_postings *p)
{
    uint32_t a[QD_BLOCK], b[QD_BLOCK];
    for (uint32_t k = 0; p->pos_data && k < p->npos_blk && !p->damaged; k++)
        x->c->positions += qdi_postings_deltas(p, k, a);
    for (uint32_t k = 0; p->offs_data && k < (p->ttf + QD_BLOCK - 1) / QD_BLOCK && !p->damaged; k++)
        if (qdi_postings_offset_deltas(p, k, a, b) == 0) break;
    for (uint32_t k = 0; p->pos_before && k < p->nblk && !p->damaged; k++)
        (void)qd_postings_position_first(p, k * QD_BLOCK, NULL);
}

static int check_term(checker *x)
{
    qdi_source *s = &x->source;
    int rc = qdi_source_postings(s, x->info->index, x->err);
    if (rc) return qd_check_error(x->c, "POSTINGS", rc, x->err);
    qd_postings *p = &s->view;
    uint64_t sum = 0;
    if (p->cls) read_frontiers(x, p);
    if (p->bits) check_bitmap(x, p);
    for (uint32_t b = 0; b < p->nblk && !p->damaged; b++) {
        if (p->pos_before && p->pos_before[b] != sum)
            found(x, "POSITIONS", p->term.positions, "positions before a block do not count up");
        sum += check_block(x, p, b);
    }
    if (!p->damaged && sum != p->ttf)
        found(x, "POSTINGS", p->term.postings, "frequencies do not sum up to the term's");
    check_positions(x, p);
    x->c->terms++;
    x->c->postings += p->df;
    rc = qd_postings_status(p, x->err);
    return rc ? qd_check_error(x->c, "POSTINGS", rc, x->err) : 0;
}

/* Terms in order, each in the block its separator says, look-ups included. */
static int check_terms(checker *x, const qdi_field_terms *t)
{
    qdi_source *s = &x->source;
    qd_buf last;
    qd_buf_init(&last, x->c->account, QD_TERM_BYTES_MAX + 16);
    uint64_t terms = 0, df = 0, ttf = 0;
    int rc;
    while ((rc = qdi_source_next(s, x->err)) > 0) {
        qd_str text = qd_buf_view(&s->text);
        if (terms && qd_str_cmp(qd_buf_view(&last), text) >= 0)
            found(x, "TERMS", s->block.at, "terms out of order");
        if (terms == 0 && !qd_str_eq(text, t->min)) found(x, "META", 0, "not the least term");
        if (qdi_block_find(t, x->segment->term_index, text) != s->next_block - 1)
            found(x, "TERM_INDEX", t->index_at, "a term that the index does not lead to");
        terms++;
        df += s->term.df;
        ttf += s->term.ttf;
        qd_buf_reset(&last);
        if (qd_buf_str(&last, text))
            rc = qd_err_nomem(x->err, "check of terms");
        else
            rc = check_term(x);
        if (rc) break;
    }
    if (rc == 0 && terms && !qd_str_eq(qd_buf_view(&last), t->max))
        found(x, "META", 0, "not the greatest term");
    if (rc == 0 && (terms != t->terms || df != t->sum_df || ttf != t->sum_ttf))
        qd_check_found(x->c, "META", 0, "field [%.*s]: counts of terms, postings or words differ",
                       NAME(x));
    qd_buf_fini(&last);
    return rc < 0 && rc != QD_E_NOMEM ? qd_check_error(x->c, "TERMS", rc, x->err) : rc;
}

static int read_norms(checker *x, uint32_t field, qd_reads *r)
{
    uint32_t slot;
    bool present;
    x->norms = NULL;
    int rc = qd_segment_norms_plan(x->segment, field, r, &slot, &present, x->err);
    if (rc == 0 && present) rc = qd_reads_fetch(r, x->err);
    if (rc == 0 && present) x->norms = qd_reads_at(r, slot);
    return rc ? qd_check_error(x->c, "NORMS", rc, x->err) : 0;
}

static int check_field(checker *x, uint32_t field, qd_reads *r)
{
    const qdi_field_terms *t = &x->segment->terms[field];
    uint32_t docs = x->segment->docs, words = (docs + 63) / 64, n = 0;
    x->info = &x->segment->fields[field];
    int rc = read_norms(x, field, r);
    if (rc) return rc;
    memset(x->seen, 0, (size_t)words * 8);
    qdi_source_field(&x->source, field);
    rc = check_terms(x, t);
    if (rc) return rc;
    for (uint32_t w = 0; w < words; w++) n += (uint32_t)__builtin_popcountll(x->seen[w]);
    if (n != t->docs)
        qd_check_found(x->c, "META", 0, "field [%.*s]: %u documents have terms, META says %u",
                       NAME(x), n, t->docs);
    for (uint32_t d = 0; x->norms && d < docs; d++)
        if (x->norms[d] && !(x->seen[d >> 6] >> (d & 63) & 1))
            qd_check_found(x->c, "NORMS", t->norms_at + d,
                           "field [%.*s]: a norm of document %u, which has no term", NAME(x), d);
    return 0;
}

int qdi_inverted_check(qd_segment *s, qd_check *c, qd_err *err)
{
    checker x = {.c = c, .segment = s, .err = err};
    qd_arena arena;
    qd_arena_init(&arena, c->account, 0);
    qd_reads *r = qd_reads_make(&arena, c->account);
    x.seen = qd_arena_alloc(&arena, ((size_t)s->docs + 64) / 64 * 8);
    x.allowed = qd_arena_alloc(&arena, sizeof(uint16_t[QD_IMPACT_CLASSES][256]));
    int rc = qdi_source_open(&x.source, s, c->account, err);
    if (!r || !x.seen || !x.allowed) rc = qd_err_nomem(err, "check of a segment");
    for (uint32_t i = 0; rc == 0 && i < s->nfields; i++) {
        if (!s->fields[i].index) continue;
        rc = check_field(&x, i, r);
        qd_reads_release(r);
    }
    qdi_source_close(&x.source);
    qd_arena_fini(&arena);
    return rc;
}
