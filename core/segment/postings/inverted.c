/* inverted.c: see the header; docs/format.md has the bytes. */
#include "segment/postings/inverted_int.h"

#define BUF_MAX ((size_t)1 << 40)
#define STEP_BYTES (256u << 10)

int qdi_inverted_init(qdi_inverted *x, qd_file_writer *file, qd_store *s, qd_str name,
                      uint32_t docs, bool sparse_bitmaps, qd_account *account, qd_err *err)
{
    memset(x, 0, sizeof *x);
    x->file = file;
    x->account = account;
    x->docs = docs;
    x->sparse_bitmaps = sparse_bitmaps;
    qd_buf_init(&x->term_index, account, BUF_MAX);
    qd_buf_init(&x->head, account, BUF_MAX);
    qd_arena_init(&x->names, account, 0);
    qdi_dict_init(&x->dict, &x->terms, &x->term_index, account);
    qdi_spool *spools[] = {&x->positions, &x->offsets, &x->terms, &x->norms};
    for (unsigned i = 0; i < QD_COUNT_OF(spools); i++) {
        int rc = qdi_spool_init(spools[i], s, name, i + 1, account, err);
        if (rc) return rc;
    }
    return 0;
}

int qdi_inverted_field(qdi_inverted *x, const qd_field_info *info, const uint8_t *norms,
                       qdi_field_terms *out, qd_err *err)
{
    *out = (qdi_field_terms){0};
    x->field = out;
    x->options = info->index;
    qdi_dict_field(&x->dict, info->index);
    if (norms) {
        out->has_norms = true;
        out->norms_at = qdi_spool_at(&x->norms);
        int rc = qdi_spool_add(&x->norms, norms, x->docs, err);
        if (rc) return rc;
    }
    return qdi_impacts_field(&x->impacts, norms, x->docs, x->account, err);
}

void qdi_inverted_term(qdi_inverted *x, uint32_t df_most)
{
    x->df = 0;
    x->df_most = df_most;
    x->ttf = 0;
    x->last = QD_NO_DOC;
    x->classes = df_most >= QD_IMPACT_MIN_DF;
    x->ranges = qdi_term_frequent(df_most, x->docs, 32);
    x->bitmap = qdi_term_frequent(df_most, x->docs, x->sparse_bitmaps ? 16 : 7);
    x->block_last.n = x->pos_before.n = 0;
    qdi_packed_reset(&x->post);
    qdi_packed_reset(&x->pos);
    qdi_packed_reset(&x->offs);
    if (x->classes) qdi_impacts_term(&x->impacts);
    if (x->bitmap && x->bits) memset(x->bits, 0, (x->docs + 511) / 512 * 64);
}

/* Packs the pending postings. The block's first position is known: all before it are counted. */
static int postings_block(qdi_inverted *x, qd_err *err)
{
    uint32_t n = x->post.n;
    uint64_t sum = qdi_sum(x->block_freqs, n);
    if (x->ttf + sum > UINT32_MAX)
        return qd_err_set(err, QD_E_LIMIT, "a term occurs more than 4,294,967,295 times");
    if (qd_vec_push(&x->pos_before, x->account, (uint32_t)x->ttf) ||
        qd_vec_push(&x->block_last, x->account, x->block_docs[n - 1]))
        return qd_err_nomem(err, "heads of postings");
    x->ttf += sum;
    if (x->classes) qdi_impacts_block(&x->impacts, x->block_docs, x->block_freqs, n);
    if (x->ranges) qdi_impacts_ranges(&x->impacts, x->block_docs, x->block_freqs, n);
    if (x->bitmap) {
        if (!x->bits) x->bits = qd_calloc(x->account, (x->docs + 511) / 512 * 64);
        if (!x->bits) return qd_err_nomem(err, "bitmap of a term");
        for (uint32_t i = 0; i < n; i++)
            x->bits[x->block_docs[i] >> 6] |= 1ull << (x->block_docs[i] & 63);
    }
    qdi_deltas(x->block_docs, n, x->last, x->post.pending[0]);
    qdi_minus_one(x->block_freqs, n, x->post.pending[1]);
    x->last = x->block_docs[n - 1];
    if (qdi_packed_block(&x->post, true, x->account)) return qd_err_nomem(err, "postings");
    return 0;
}

int qdi_inverted_postings(qdi_inverted *x, const uint32_t *docs, const uint32_t *freqs, uint32_t n,
                          qd_err *err)
{
    x->df += n;
    qd_dassert(x->df <= x->df_most);
    while (n) {
        uint32_t k = QD_BLOCK - x->post.n;
        if (k == 0) {
            int rc = postings_block(x, err);
            if (rc) return rc;
            continue;
        }
        if (k > n) k = n;
        memcpy(x->block_docs + x->post.n, docs, k * sizeof *docs);
        if (freqs)
            memcpy(x->block_freqs + x->post.n, freqs, k * sizeof *freqs), freqs += k;
        else
            for (uint32_t i = 0; i < k; i++) x->block_freqs[x->post.n + i] = 1;
        x->post.n += k;
        docs += k;
        n -= k;
    }
    return 0;
}

/* Appends values to a packed stream (or two). A full block waits until one more value comes, so
 * that terms of one block take the short form. */
static int packed_add(qdi_inverted *x, qdi_packed *k, const uint32_t *v0, const uint32_t *v1,
                      uint32_t n, qd_err *err)
{
    while (n) {
        uint32_t room = QD_BLOCK - k->n;
        if (room == 0) {
            if (qdi_packed_block(k, v1 != NULL, x->account)) return qd_err_nomem(err, "positions");
            continue;
        }
        if (room > n) room = n;
        memcpy(k->pending[0] + k->n, v0, room * sizeof *v0);
        v0 += room;
        if (v1) memcpy(k->pending[1] + k->n, v1, room * sizeof *v1), v1 += room;
        k->n += room;
        n -= room;
    }
    return 0;
}

int qdi_inverted_positions(qdi_inverted *x, const uint32_t *deltas, uint32_t n, qd_err *err)
{
    return packed_add(x, &x->pos, deltas, NULL, n, err);
}

int qdi_inverted_offsets(qdi_inverted *x, const uint32_t *starts, const uint32_t *lengths,
                         uint32_t n, qd_err *err)
{
    return packed_add(x, &x->offs, starts, lengths, n, err);
}

static int file_write(qdi_inverted *x, const void *p, size_t n, qd_err *err)
{
    if (n == 0) return 0;
    if (!x->begun) {
        int rc = qd_file_section_begin(x->file, QDI_SEC_POSTINGS, false, err);
        if (rc) return rc;
        x->begun = true;
    }
    x->stepped += n;
    return qd_file_write(x->file, p, n, err);
}

static uint64_t file_at(const qdi_inverted *x)
{
    return x->begun ? qd_file_section_at(x->file) : 0;
}

static const uint8_t zeros[64];

/* One block: widths, then both streams. */
static int small_postings(qdi_inverted *x, qd_term *t, qd_err *err)
{
    uint8_t head[2] = {x->post.bits0.at[0], x->post.bits1.at[0]};
    t->postings = file_at(x);
    t->postings_len = sizeof head + x->post.len;
    int rc = file_write(x, head, sizeof head, err);
    return rc ? rc : file_write(x, x->post.data, x->post.len, err);
}

static void add_zeros(qd_buf *b, size_t to_multiple)
{
    while (b->n % to_multiple && qd_buf_status(b) == 0) qd_buf_char(b, 0);
}

static void add_bitmap(qdi_inverted *x, qd_buf *h)
{
    uint32_t words = (x->docs + 511) / 512 * 8, rank = 0;
    for (uint32_t i = 0; i <= x->docs >> QD_RANK_LOG; i++) {
        qd_buf_add(h, &rank, 4);
        for (uint32_t w = i * 8; w < i * 8 + 8 && w < words; w++)
            rank += (uint32_t)__builtin_popcountll(x->bits[w]);
    }
    add_zeros(h, 8);
    qd_buf_add(h, x->bits, (size_t)words * 8);
}

/* Everything in front of the packed blocks. */
static int large_head(qdi_inverted *x, qd_err *err)
{
    uint32_t nblk = (uint32_t)x->block_last.n, nranges = (x->docs + 127) / 128;
    size_t range_bytes = x->ranges ? (nranges + 63) / 64 * 64 : 0;
    qdi_impact_table table = {0};
    uint8_t *range_cls = NULL;
    int rc = 0;
    x->cls.n = 0;
    if (x->classes) {
        if (qd_vec_reserve(&x->cls, x->account, nblk + range_bytes))
            return qd_err_nomem(err, "impact classes");
        if (x->ranges) range_cls = memset(x->cls.at + nblk, 0, range_bytes);
        rc = qdi_impacts_table(&x->impacts, x->cls.at, range_cls, &table, err);
        if (rc) return rc;
    }
    bool drop = x->bitmap && qdi_term_frequent(x->df, x->docs, 7);
    if (drop) qdi_packed_drop_first(&x->post, x->df);
    qd_buf *h = &x->head;
    qd_buf_reset(h);
    uint8_t fixed[QDI_TERM_HEADER] = {0};
    fixed[0] = (uint8_t)((x->classes ? QDI_TERM_CLASSES : 0) | (x->ranges ? QDI_TERM_RANGES : 0) |
                         (x->bitmap ? QDI_TERM_BITMAP : 0) | (drop ? QDI_TERM_DOCS_IN_BITMAP : 0));
    fixed[1] = (uint8_t)table.nlevels;
    qd_put_u16le(fixed + 2, (uint16_t)table.npairs);
    qd_put_u64le(fixed + 8, x->post.len);
    qd_buf_add(h, fixed, sizeof fixed);
    qd_buf_add(h, x->block_last.at, (size_t)nblk * 4);
    qd_buf_add(h, x->post.off.at, (size_t)nblk * 4);
    if (x->bitmap) add_bitmap(x, h);
    qd_buf_add(h, x->post.bits0.at, nblk);
    qd_buf_add(h, x->post.bits1.at, nblk);
    if (x->classes) {
        qd_buf_add(h, x->cls.at, nblk);
        qd_buf_add(h, range_cls, range_bytes);
        qd_buf_add(h, table.level_cls, table.nlevels);
        qd_buf_add(h, table.level_pairs, table.nlevels);
        add_zeros(h, 2);
        qd_buf_add(h, table.pair_freq, (size_t)table.npairs * 2);
        qd_buf_add(h, table.pair_norm, table.npairs);
    }
    return qd_buf_status(h) ? qd_err_nomem(err, "head of a term") : 0;
}

static int large_postings(qdi_inverted *x, qd_term *t, qd_err *err)
{
    x->classes = x->df >= QD_IMPACT_MIN_DF;
    x->ranges = qdi_term_frequent(x->df, x->docs, 32);
    x->bitmap = qdi_term_frequent(x->df, x->docs, x->sparse_bitmaps ? 16 : 7);
    int rc = large_head(x, err);
    if (rc) return rc;
    uint64_t at = file_at(x), aligned = qdi_align(at, x->df);
    rc = file_write(x, zeros, (size_t)(aligned - at), err);
    t->postings = aligned;
    t->postings_len = x->head.n + x->post.len;
    if (rc == 0) rc = file_write(x, x->head.p, x->head.n, err);
    if (rc == 0) rc = file_write(x, x->post.data, x->post.len, err);
    return rc;
}

/* Writes a packed stream of `count` values to a spool: in one block widths and bytes, else aligned
 * heads, extra (u32s) and bytes. */
static int spool_packed(qdi_inverted *x, qdi_spool *s, qdi_packed *k, bool two, uint64_t count,
                        const uint32_t *extra, size_t nextra, uint64_t *place, uint64_t *len,
                        qd_err *err)
{
    if (k->n && qdi_packed_block(k, two, x->account)) return qd_err_nomem(err, "positions");
    uint64_t at = qdi_spool_at(s);
    *place = qdi_align(at, count);
    size_t n = k->off.n;
    int rc = qdi_spool_add(s, zeros, (size_t)(*place - at), err);
    if (rc == 0 && count > QD_BLOCK) {
        rc = qdi_spool_add(s, k->off.at, n * 4, err);
        if (rc == 0) rc = qdi_spool_add(s, extra, nextra * 4, err);
    }
    if (rc == 0) rc = qdi_spool_add(s, k->bits0.at, n, err);
    if (rc == 0 && two) rc = qdi_spool_add(s, k->bits1.at, n, err);
    if (rc == 0) rc = qdi_spool_add(s, k->data, k->len, err);
    *len = qdi_spool_at(s) - *place;
    return rc;
}

static int term_positions(qdi_inverted *x, qd_term *t, qd_err *err)
{
    t->positions = qdi_spool_at(&x->positions);
    t->offsets = qdi_spool_at(&x->offsets);
    int rc = 0;
    if (x->options >= QD_INDEX_POSITIONS) {
        if (t->ttf == 1) {
            t->position = x->pos.pending[0][0];
        } else {
            size_t nblk = x->block_last.n;
            rc = spool_packed(x, &x->positions, &x->pos, false, t->ttf, x->pos_before.at,
                              nblk > 1 ? nblk : 0, &t->positions, &t->positions_len, err);
            x->stepped += t->positions_len;
        }
    }
    if (rc == 0 && x->options >= QD_INDEX_OFFSETS) {
        rc = spool_packed(x, &x->offsets, &x->offs, true, t->ttf, NULL, 0, &t->offsets,
                          &t->offsets_len, err);
        x->stepped += t->offsets_len;
    }
    return rc;
}

int qdi_inverted_term_end(qdi_inverted *x, qd_str text, qd_err *err)
{
    if (x->df == 0) return 0;
    int rc = 0;
    qd_term t = {.df = x->df, .postings = file_at(x)};
    if (x->df == 1) {
        t.doc = x->block_docs[0];
        x->ttf = x->block_freqs[0];
    } else {
        rc = postings_block(x, err);
        if (rc == 0)
            rc = x->df <= QD_BLOCK ? small_postings(x, &t, err) : large_postings(x, &t, err);
    }
    t.ttf = x->ttf;
    if (rc == 0) rc = term_positions(x, &t, err);
    if (rc == 0) rc = qdi_dict_term(&x->dict, text, &t, err);
    x->field->sum_df += t.df;
    x->field->sum_ttf += t.ttf;
    if (rc == 0 && x->step && x->stepped >= STEP_BYTES) {
        rc = x->step(x->step_arg, x->stepped, err);
        x->stepped = 0;
    }
    return rc;
}

int qdi_inverted_field_end(qdi_inverted *x, uint32_t docs, qd_err *err)
{
    x->field->docs = docs;
    int rc = qdi_dict_field_end(&x->dict, x->field, err);
    if (rc) return rc;
    qd_str *ends[] = {&x->field->min, &x->field->max};
    for (unsigned i = 0; i < 2; i++) {
        *ends[i] = qd_arena_str(&x->names, *ends[i]);
        if (!ends[i]->p && x->field->terms) return qd_err_nomem(err, "least and greatest term");
    }
    return 0;
}

int qdi_inverted_finish(qdi_inverted *x, qd_err *err)
{
    int rc = x->begun ? qd_file_section_end(x->file, NULL, err) : 0;
    x->begun = false;
    if (rc == 0) rc = qdi_spool_section(&x->positions, x->file, QDI_SEC_POSITIONS, err);
    if (rc == 0) rc = qdi_spool_section(&x->offsets, x->file, QDI_SEC_OFFSETS, err);
    if (rc == 0) rc = qdi_spool_section(&x->terms, x->file, QDI_SEC_TERMS, err);
    if (rc == 0) rc = qdi_spool_section(&x->norms, x->file, QDI_SEC_NORMS, err);
    return rc;
}

void qdi_inverted_take_index(qdi_inverted *x, qd_buf *to)
{
    qd_buf_fini(to);
    *to = x->term_index;
    qd_buf_init(&x->term_index, x->account, BUF_MAX);
}

void qdi_inverted_fini(qdi_inverted *x)
{
    qdi_spool *spools[] = {&x->positions, &x->offsets, &x->terms, &x->norms};
    for (unsigned i = 0; i < QD_COUNT_OF(spools); i++) qdi_spool_fini(spools[i]);
    qdi_packed *packed[] = {&x->post, &x->pos, &x->offs};
    for (unsigned i = 0; i < QD_COUNT_OF(packed); i++) qdi_packed_fini(packed[i]);
    qdi_dict_fini(&x->dict);
    qdi_impacts_fini(&x->impacts);
    qd_buf_fini(&x->term_index);
    qd_buf_fini(&x->head);
    qd_vec_fini(&x->block_last);
    qd_vec_fini(&x->pos_before);
    qd_vec_fini(&x->cls);
    qd_free(x->bits);
    qd_arena_fini(&x->names);
}
