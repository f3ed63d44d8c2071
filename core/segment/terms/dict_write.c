/*
 * dict_write.c: see the header. A block: varints (where postings, positions, offsets of its
 * terms begin; bytes of text), then the texts (shared, suffix length, suffix), then the statistics.
 * Looking a term up scans the texts alone; data of terms follow one another, so lengths give the
 * places.
 */
#include "base/bits.h"
#include "segment/terms/dict_write_int.h"

#define BUF_MAX ((size_t)1 << 40)

void qdi_dict_init(qdi_dict_writer *d, qdi_spool *spool, qd_buf *index, qd_account *account)
{
    *d = (qdi_dict_writer){.spool = spool, .index = index, .account = account};
    qd_buf *all[] = {&d->text, &d->stats, &d->last, &d->first, &d->separators, &d->block};
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) qd_buf_init(all[i], account, BUF_MAX);
}

void qdi_dict_field(qdi_dict_writer *d, uint8_t options)
{
    d->options = options;
    d->field_at = qdi_spool_at(d->spool);
    d->terms = 0;
    d->in_block = 0;
    d->separator_end.n = d->block_at.n = 0;
    qd_buf *all[] = {&d->text, &d->stats, &d->last, &d->first, &d->separators, &d->block};
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) qd_buf_reset(all[i]);
}

static int flush_block(qdi_dict_writer *d, qd_err *err)
{
    if (d->in_block == 0) return 0;
    uint8_t head[40], *p = head;
    p = qd_put_varint(p, d->postings);
    if (d->options >= QD_INDEX_POSITIONS) p = qd_put_varint(p, d->positions);
    if (d->options >= QD_INDEX_OFFSETS) p = qd_put_varint(p, d->offsets);
    p = qd_put_varint(p, d->text.n);
    int rc = qdi_spool_add(d->spool, head, (size_t)(p - head), err);
    if (rc == 0) rc = qdi_spool_add(d->spool, d->text.p, d->text.n, err);
    if (rc == 0) rc = qdi_spool_add(d->spool, d->stats.p, d->stats.n, err);
    qd_buf_reset(&d->text);
    qd_buf_reset(&d->stats);
    d->in_block = 0;
    return rc;
}

static size_t shared_prefix(qd_str a, qd_str b)
{
    size_t n = a.n < b.n ? a.n : b.n, i = 0;
    while (i < n && a.p[i] == b.p[i]) i++;
    return i;
}

/* Begins a block: its separator is the shortest string above the last term and not above text. */
static int begin_block(qdi_dict_writer *d, qd_str text, size_t shared, const qd_term *t,
                       qd_err *err)
{
    size_t n = d->terms == 0 ? 0 : shared + 1;
    qd_dassert(n <= text.n);
    qd_buf_add(&d->separators, text.p, n);
    if (qd_vec_push(&d->separator_end, d->account, (uint32_t)d->separators.n) ||
        qd_vec_push(&d->block_at, d->account, qdi_spool_at(d->spool) - d->field_at) ||
        qd_buf_status(&d->separators))
        return qd_err_nomem(err, "term index");
    d->postings = t->postings;
    d->positions = t->positions;
    d->offsets = t->offsets;
    return 0;
}

int qdi_dict_term(qdi_dict_writer *d, qd_str text, const qd_term *t, qd_err *err)
{
    qd_str last = qd_buf_view(&d->last);
    size_t shared = shared_prefix(last, text), shared_now = shared;
    /* A merge reads its terms from disk: out of order they are damage, not a defect of ours. */
    if (d->terms > 0 && !(shared < text.n &&
                          (shared == last.n || (uint8_t)last.p[shared] < (uint8_t)text.p[shared])))
        return qd_err_set(err, QD_E_CORRUPT, "terms out of order: [%.*s] behind [%.*s]",
                          QD_STR_ARG(qd_str_sub(text, 0, 64)), QD_STR_ARG(qd_str_sub(last, 0, 64)));
    int rc = d->in_block == QD_TERMS_PER_BLOCK ? flush_block(d, err) : 0;
    if (rc) return rc;
    if (d->in_block == 0) {
        rc = begin_block(d, text, shared, t, err);
        if (rc) return rc;
        shared = 0;
    }
    uint8_t *p = (uint8_t *)qd_buf_reserve(&d->text, 20 + text.n), *at = p;
    if (!p) return qd_err_nomem(err, "block of terms");
    p = qd_put_varint(p, shared);
    p = qd_put_varint(p, text.n - shared);
    memcpy(p, text.p + shared, text.n - shared);
    d->text.n += (size_t)(p - at) + text.n - shared;

    p = at = (uint8_t *)qd_buf_reserve(&d->stats, 60);
    if (!p) return qd_err_nomem(err, "block of terms");
    p = qd_put_varint(p, t->df);
    if (d->options >= QD_INDEX_FREQS) p = qd_put_varint(p, t->ttf - t->df);
    p = qd_put_varint(p, t->df == 1 ? t->doc : t->postings_len);
    if (d->options >= QD_INDEX_POSITIONS)
        p = qd_put_varint(p, t->ttf == 1 ? t->position : t->positions_len);
    if (d->options >= QD_INDEX_OFFSETS) p = qd_put_varint(p, t->offsets_len);
    d->stats.n += (size_t)(p - at);

    /* the shared bytes are there already */
    qd_str rest = qd_str_sub(text, shared_now, text.n);
    d->last.n = shared_now;
    qd_buf_str(&d->last, rest);
    if (d->terms == 0) qd_buf_str(&d->first, text);
    if (qd_buf_status(&d->last) || qd_buf_status(&d->first)) return qd_err_nomem(err, "last term");
    d->in_block++;
    d->terms++;
    return 0;
}

/* The field's index: ends of separators (u32 each), places of blocks (5 bytes each), separators. */
int qdi_dict_field_end(qdi_dict_writer *d, qdi_field_terms *out, qd_err *err)
{
    int rc = flush_block(d, err);
    if (rc) return rc;
    qd_buf *x = d->index;
    while (x->n % 4 && qd_buf_status(x) == 0) qd_buf_char(x, 0);
    out->terms = d->terms;
    out->terms_at = d->field_at;
    out->terms_len = qdi_spool_at(d->spool) - d->field_at;
    out->index_at = x->n;
    for (size_t i = 0; i < d->separator_end.n; i++) qd_buf_add(x, &d->separator_end.at[i], 4);
    for (size_t i = 0; i < d->block_at.n; i++) qd_buf_add(x, &d->block_at.at[i], 5);
    qd_buf_str(x, qd_buf_view(&d->separators));
    out->index_len = x->n - out->index_at;
    out->min = qd_buf_view(&d->first);
    out->max = qd_buf_view(&d->last);
    if (d->separators.n > UINT32_MAX)
        return qd_err_set(err, QD_E_LIMIT, "the term index of one field exceeds 4 GiB");
    return qd_buf_status(x) ? qd_err_nomem(err, "term index") : 0;
}

void qdi_dict_fini(qdi_dict_writer *d)
{
    qd_buf *all[] = {&d->text, &d->stats, &d->last, &d->first, &d->separators, &d->block};
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) qd_buf_fini(all[i]);
    qd_vec_fini(&d->separator_end);
    qd_vec_fini(&d->block_at);
}
