/*
 * merge_terms.c: terms of all sources in order, their postings one source after the other. A heap
 * holds the sources by their present term; a block of 128 is decoded, renumbered and given to the
 * same writer that a flush uses. Documents in another order than the sources': merge_permuted.c.
 */
#include "segment/merge/merge_int.h"

/* --- heap ------------------------------------------------------------------------------------- */

static void sift_down(qdi_merge *m, uint32_t i)
{
    qdi_source *x = m->heap[i];
    for (uint32_t child; (child = 2 * i + 1) < m->nheap; i = child) {
        if (child + 1 < m->nheap && qdi_source_less(m->heap[child + 1], m->heap[child])) child++;
        if (!qdi_source_less(m->heap[child], x)) break;
        m->heap[i] = m->heap[child];
    }
    m->heap[i] = x;
}

int qdi_merge_terms_next(qdi_merge *m)
{
    int rc = qdi_source_next(m->heap[0], m->err);
    if (rc < 0) return rc;
    if (rc == 0) m->heap[0] = m->heap[--m->nheap];
    if (m->nheap) sift_down(m, 0);
    return 0;
}

int qdi_merge_terms_begin(qdi_merge *m, uint32_t field)
{
    m->nheap = 0;
    for (uint32_t i = 0; i < m->n; i++) {
        uint32_t number = m->parts[i].fields[field];
        qdi_source *s = &m->sources[i];
        if (number != QDI_FIELD_NONE && !s->segment->fields[number].index) number = QDI_FIELD_NONE;
        qdi_source_field(s, number);
        if (number == QDI_FIELD_NONE) continue;
        int more = qdi_source_next(s, m->err);
        if (more < 0) return more;
        if (more) m->heap[m->nheap++] = s;
    }
    for (uint32_t i = m->nheap / 2; i-- > 0;) sift_down(m, i);
    return 0;
}

/* --- postings --------------------------------------------------------------------------------- */

int qdi_merge_postings(qdi_merge *m, const uint32_t *docs, const uint32_t *freqs, uint32_t n)
{
    if (m->seen)
        for (uint32_t i = 0; i < n; i++) m->seen[docs[i] >> 6] |= 1ull << (docs[i] & 63);
    return qdi_inverted_postings(&m->inverted, docs,
                                 m->inverted.options >= QD_INDEX_FREQS ? freqs : NULL, n, m->err);
}

/* Positions and offsets as they stand: nothing of the source is left out. */
static int all_positions(qdi_merge *m, qd_postings *p)
{
    uint32_t a[QD_BLOCK], b[QD_BLOCK];
    int rc = 0;
    if (m->inverted.options < QD_INDEX_POSITIONS) return 0;
    for (uint32_t k = 0; rc == 0 && k < p->npos_blk && !p->damaged; k++) {
        uint32_t n = qdi_postings_deltas(p, k, a);
        rc = qdi_inverted_positions(&m->inverted, a, n, m->err);
        if (rc || m->inverted.options < QD_INDEX_OFFSETS) continue;
        n = qdi_postings_offset_deltas(p, k, a, b);
        rc = qdi_inverted_offsets(&m->inverted, a, b, n, m->err);
    }
    return rc;
}

/* A walk over a term's positions and offsets that leaves some documents out. */
typedef struct some {
    uint32_t values[3][QD_BLOCK]; /* positions, starts, lengths of a block */
    uint32_t kept[3][QD_BLOCK];
    uint32_t n, at, nkept, next;
} some;

static int give_kept(qdi_merge *m, some *w)
{
    uint32_t n = w->nkept;
    w->nkept = 0;
    int rc = qdi_inverted_positions(&m->inverted, w->kept[0], n, m->err);
    if (rc == 0 && m->inverted.options >= QD_INDEX_OFFSETS)
        rc = qdi_inverted_offsets(&m->inverted, w->kept[1], w->kept[2], n, m->err);
    return rc;
}

/* Passes the next `freq` positions, keeping them or not. */
static int some_positions(qdi_merge *m, qd_postings *p, some *w, uint32_t freq, bool keep)
{
    bool offsets = m->inverted.options >= QD_INDEX_OFFSETS;
    for (; freq; freq--, w->at++) {
        if (w->at == w->n) {
            w->at = 0;
            w->n = w->next < p->npos_blk ? qdi_postings_deltas(p, w->next, w->values[0]) : 0;
            if (w->n && offsets)
                w->n = qdi_postings_offset_deltas(p, w->next, w->values[1], w->values[2]);
            w->next++;
            if (w->n == 0) {
                p->damaged = true;
                return 0;
            }
        }
        if (!keep) continue;
        for (unsigned k = 0; k < (offsets ? 3u : 1u); k++)
            w->kept[k][w->nkept] = w->values[k][w->at];
        if (++w->nkept == QD_BLOCK) {
            int rc = give_kept(m, w);
            if (rc) return rc;
        }
    }
    return 0;
}

static int some_documents(qdi_merge *m, qdi_source *s)
{
    qd_postings *p = &s->view;
    uint32_t docs[QD_BLOCK + 64], freqs[QD_BLOCK];
    bool positions = m->inverted.options >= QD_INDEX_POSITIONS;
    some w;
    w.n = w.at = w.nkept = w.next = 0;
    int rc = 0;
    for (uint32_t b = 0; rc == 0 && b < p->nblk && !p->damaged; b++) {
        uint32_t n = qd_postings_docs(p, b, docs), k = 0;
        if (qd_postings_freqs(p, b, freqs) != n) break;
        for (uint32_t i = 0; rc == 0 && i < n; i++) {
            uint32_t doc = s->map[docs[i]], freq = freqs[i];
            bool keep = doc != QDI_DOC_GONE;
            docs[k] = doc;
            freqs[k] = freq;
            k += keep;
            if (positions) rc = some_positions(m, p, &w, freq, keep);
        }
        if (rc == 0) rc = qdi_merge_postings(m, docs, freqs, k);
    }
    if (rc == 0 && w.nkept) rc = give_kept(m, &w);
    return rc;
}

static int all_documents(qdi_merge *m, qdi_source *s)
{
    qd_postings *p = &s->view;
    uint32_t docs[QD_BLOCK + 64], freqs[QD_BLOCK];
    uint64_t words = 0;
    int rc = 0;
    for (uint32_t b = 0; rc == 0 && b < p->nblk && !p->damaged; b++) {
        uint32_t n = qd_postings_docs(p, b, docs);
        if (qd_postings_freqs(p, b, freqs) != n) break;
        for (uint32_t i = 0; i < n; i++) docs[i] += s->base;
        words += qdi_sum(freqs, n);
        rc = qdi_merge_postings(m, docs, freqs, n);
    }
    if (m->inverted.options >= QD_INDEX_POSITIONS && words != p->ttf) p->damaged = true;
    return rc || p->damaged ? rc : all_positions(m, p);
}

/* The postings of one source's present term. */
static int copy_term(qdi_merge *m, qdi_source *s)
{
    const qd_term *t = &s->term;
    uint8_t options = m->inverted.options;
    if (t->df == 1 && t->ttf == 1 && options < QD_INDEX_OFFSETS) { /* most terms: all is here */
        uint32_t doc = qdi_renumber(s, t->doc), one = 1;
        if (doc == QDI_DOC_GONE) return 0;
        int rc = qdi_merge_postings(m, &doc, &one, 1);
        if (rc == 0 && options >= QD_INDEX_POSITIONS)
            rc = qdi_inverted_positions(&m->inverted, &t->position, 1, m->err);
        return rc;
    }
    int rc = qdi_source_postings(s, options, m->err);
    if (rc == 0) rc = s->map ? some_documents(m, s) : all_documents(m, s);
    return rc ? rc : qd_postings_status(&s->view, m->err);
}

/* --- fields ----------------------------------------------------------------------------------- */

/* One term: all sources that have it, in order. */
static int merge_term(qdi_merge *m, qd_buf *text, qdi_source **same)
{
    uint64_t most = 0;
    uint32_t n = 0;
    qd_buf_reset(text);
    if (qd_buf_str(text, qd_buf_view(&m->heap[0]->text)))
        return qd_err_nomem(m->err, "term of a merge");
    /* the bound only decides what is gathered; what is written follows from the true count */
    for (uint32_t i = 0; i < m->nheap; i++)
        if (m->heap[i]->head == m->heap[0]->head && qdi_source_same(m->heap[i], m->heap[0])) {
            most += m->heap[i]->term.df;
            same[n++] = m->heap[i];
        }
    qdi_inverted_term(&m->inverted, most < m->docs ? (uint32_t)most : m->docs);
    bool permuted = m->permuted && most > 1; /* one document is in order */
    int rc = permuted ? qdi_merge_permuted(m, same, n, most) : 0;
    while (rc == 0) { /* as the heap gives them: ascending documents */
        if (!permuted) rc = copy_term(m, m->heap[0]);
        if (rc == 0) rc = qdi_merge_terms_next(m);
        if (!m->nheap || !qd_str_eq(qd_buf_view(&m->heap[0]->text), qd_buf_view(text))) break;
    }
    return rc ? rc : qdi_inverted_term_end(&m->inverted, qd_buf_view(text), m->err);
}

int qdi_merge_norms(qdi_merge *m, const qdi_source *s, uint32_t field, qd_reads *r, bool *present,
                    const uint8_t **norms)
{
    uint32_t slot = 0;
    *present = false;
    int rc = qd_segment_norms_plan(s->segment, field, r, &slot, present, m->err);
    if (rc == 0 && *present) rc = qd_reads_fetch(r, m->err);
    if (rc == 0 && *present) *norms = qd_reads_at(r, slot);
    return rc;
}

static int source_norms(qdi_merge *m, const qdi_source *s, uint32_t field)
{
    qd_arena arena;
    qd_arena_init(&arena, m->account, 0);
    qd_reads *r = qd_reads_make(&arena, m->account);
    bool present = false;
    const uint8_t *p = NULL;
    int rc = r ? qdi_merge_norms(m, s, field, r, &present, &p)
               : qd_err_nomem(m->err, "norms of a merge");
    for (uint32_t d = 0, docs = s->segment->docs; rc == 0 && present && d < docs; d++) {
        uint32_t to = qdi_renumber(s, d);
        if (to != QDI_DOC_GONE) m->norms[to] = p[d];
    }
    qd_arena_fini(&arena);
    return rc;
}

/* Documents with a term: known from norms, from the sources if they are merged whole, else counted.
 */
static uint32_t field_docs(const qdi_merge *m, uint32_t field, bool norms)
{
    uint64_t n = 0;
    if (norms) {
        for (uint32_t d = 0; d < m->docs; d++) n += m->norms[d] != 0;
    } else if (m->seen) {
        for (uint32_t w = 0; w < (m->docs + 63) / 64; w++)
            n += (uint64_t)__builtin_popcountll(m->seen[w]);
    } else {
        for (uint32_t i = 0; i < m->n; i++)
            if (m->parts[i].fields[field] != QDI_FIELD_NONE)
                n += m->sources[i].segment->terms[m->parts[i].fields[field]].docs;
    }
    return n < m->docs ? (uint32_t)n : m->docs;
}

static int begin_field(qdi_merge *m, uint32_t field)
{
    const qd_field_info *info = &m->fields[field];
    int rc = qdi_merge_terms_begin(m, field);
    if (info->norms) memset(m->norms, 0, m->docs);
    for (uint32_t i = 0; rc == 0 && info->norms && i < m->n; i++)
        if (m->sources[i].field) rc = source_norms(m, &m->sources[i], m->sources[i].field_number);
    return rc ? rc
              : qdi_inverted_field(&m->inverted, info, info->norms ? m->norms : NULL,
                                   &m->terms[field], m->err);
}

static int merge_field(qdi_merge *m, uint32_t field, qd_buf *text, qdi_source **same)
{
    bool norms = m->fields[field].norms != 0;
    size_t seen_bytes = ((size_t)m->docs + 63) / 64 * 8;
    if (m->deletions && !norms) {
        m->seen = qd_calloc(m->account, seen_bytes);
        if (!m->seen) return qd_err_nomem(m->err, "documents of a field");
    }
    int rc = begin_field(m, field);
    while (rc == 0 && m->nheap) rc = merge_term(m, text, same);
    if (rc == 0) rc = qdi_inverted_field_end(&m->inverted, field_docs(m, field, norms), m->err);
    qd_free(m->seen);
    m->seen = NULL;
    return rc;
}

int qdi_merge_inverted(qdi_merge *m)
{
    qd_buf text;
    qd_buf_init(&text, m->account, QD_TERM_BYTES_MAX + 16);
    m->norms = qd_alloc(m->account, m->docs);
    qdi_source **same = qd_arena_alloc(&m->arena, m->n * sizeof *same);
    int rc = m->norms && same ? 0 : qd_err_nomem(m->err, "merge of segments");
    for (uint32_t i = 0; rc == 0 && i < m->nfields; i++)
        if (m->fields[i].index) rc = merge_field(m, i, &text, same);
    if (rc == 0) rc = qdi_inverted_finish(&m->inverted, m->err);
    qd_buf_fini(&text);
    return rc;
}
