/*
 * small_terms.c: documents of many small terms as a bitmap, without a view of each. See postings.h.
 *
 * Neighbours in the dictionary are neighbours in the postings: a run of them is one read.
 */
#include "segment/postings.h"
#include "segment/segment_int.h"

#define GAP_MAX 4096u               /* bytes between two terms of a run, of larger terms */
#define RUN_MAX ((uint64_t)1 << 18) /* bytes of a run */
#define LEN_MAX UINT16_MAX          /* longer than any small term is */

bool qd_small_terms_add(qd_small_terms *x, const qd_term *t)
{
    qd_dassert(t->df > 1 && t->df <= QD_BLOCK);
    if (x->n == QD_SMALL_TERMS) return false;
    uint16_t len = t->postings_len < LEN_MAX ? (uint16_t)t->postings_len : LEN_MAX;
    qd_small_run *run = x->nruns ? &x->run[x->nruns - 1] : NULL;
    if (!run || t->postings < run->to || t->postings - run->to > GAP_MAX ||
        t->postings - run->from > RUN_MAX) {
        if (x->nruns == QD_SMALL_RUNS) return false;
        run = &x->run[x->nruns++];
        run->from = t->postings;
    }
    run->to = t->postings + len;
    run->end = x->n + 1;
    x->term[x->n++] = (qd_small_term){
        .at = (uint32_t)(t->postings - run->from), .len = len, .df = (uint16_t)t->df};
    return true;
}

/* Sets the bits of one term's documents, unless they all lie behind; false: damaged. */
static inline bool set_bits(const qd_codec *codec, const qd_small_term *t, const uint8_t *b,
                            uint32_t ndocs, uint32_t below, uint64_t *bits)
{
    uint32_t docs[QD_BLOCK + 64], n = t->df;
    if (t->len < 2 || !qd_codec_width_ok(b[0]) || !qd_codec_width_ok(b[1]) ||
        t->len != 2 + qd_codec_bytes(n, b[0]) + qd_codec_bytes(n, b[1]))
        return false;
    if (qd_codec_one(b + 2, b[0], 0) >= below) return true;
    codec->docs_n(b + 2, b[0], QD_NO_DOC, n, docs);
    if (docs[n - 1] >= ndocs) return false;
    if (QD_UNLIKELY(qd_codec_docs_wrap(b[0])))
        for (uint32_t i = 1; i < n; i++)
            if (docs[i] <= docs[i - 1]) return false;
    for (uint32_t i = 0; i < n; i++) bits[docs[i] >> 6] |= 1ull << (docs[i] & 63);
    return true;
}

int qd_small_terms_flush(qd_small_terms *x, qd_segment *s, qd_reads *r, uint32_t below,
                         uint64_t *bits, qd_err *err)
{
    const qd_codec *codec = qd_codec_get();
    int rc = 0;
    for (uint32_t i = 0; i < x->nruns && rc == 0; i++)
        rc = qd_reads_add(r, s->file, QDI_SEC_POSTINGS, x->run[i].from,
                          x->run[i].to - x->run[i].from + QD_CODEC_SLACK, &x->run[i].slot, err);
    if (rc == 0 && x->n) rc = qd_reads_fetch(r, err);
    for (uint32_t i = 0, t = 0; i < x->nruns && rc == 0; i++) {
        const uint8_t *b = qd_reads_at(r, x->run[i].slot);
        for (; t < x->run[i].end && rc == 0; t++)
            if (!set_bits(codec, &x->term[t], b + x->term[t].at, s->docs, below, bits))
                rc = qdi_corrupt(s, QDI_SEC_POSTINGS, x->run[i].from + x->term[t].at,
                                 "postings of a term", err);
    }
    x->n = x->nruns = 0;
    qd_reads_release(r);
    return rc;
}
