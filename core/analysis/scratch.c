/*
 * scratch.c: the arrays a chain works in. They only grow, and only when a value needs more than any
 * before it; between values nothing is freed. Every block carries padding so that kernels may write
 * 64 entries (tokens) or read 64 bytes (text) past the end.
 */
#include "analysis/analysis_int.h"
#include "analysis/filter/stem_int.h"
#include "base/str.h"

static const uint8_t col_size[QD_COLS] = {8, 8, 4, 4, 1, 1};

static void **column(qd_tokens *t, int col)
{
    switch (col) {
    case QD_COL_TERM:
        return (void **)&t->term;
    case QD_COL_OFFSET:
        return (void **)&t->offset;
    case QD_COL_INC:
        return (void **)&t->inc;
    case QD_COL_LENGTH:
        return (void **)&t->length;
    case QD_COL_TYPE:
        return (void **)&t->type;
    default:
        return (void **)&t->keyword;
    }
}

static bool has_column(const qd_tokens *t, int col)
{
    return col == QD_COL_TERM || (t->has >> (col - 1) & 1);
}

/* At least doubled, so that appending costs a constant a token. */
static int grow(qd_analysis *s, void **p, size_t *cap, size_t n, size_t size, size_t pad)
{
    size_t want = *cap * 2 > n ? *cap * 2 : n;
    if (want < 256) want = 256;
    void *q = qd_realloc(&s->account, *p, (want + pad) * size);
    if (!q && want > n) q = qd_realloc(&s->account, *p, ((want = n) + pad) * size);
    if (!q) return QD_E_NOMEM;
    *p = q;
    *cap = want;
    return 0;
}

static int column_reserve(qd_analysis *s, qd_batch *b, int col, size_t n)
{
    if (n <= b->cap[col]) return 0;
    return grow(s, column(&b->t, col), &b->cap[col], n, col_size[col], QD_TERM_PAD);
}

int qd_batch_reserve(qd_analysis *s, qd_batch *b, size_t n)
{
    if (column_reserve(s, b, QD_COL_TERM, n)) return QD_E_NOMEM;
    /* who appends asks for the room of this one: none that is there may be shorter */
    n = b->cap[QD_COL_TERM];
    for (int col = QD_COL_TERM + 1; col < QD_COLS; col++)
        if (has_column(&b->t, col) && column_reserve(s, b, col, n)) return QD_E_NOMEM;
    return 0;
}

int qd_batch_need(qd_analysis *s, qd_batch *b, uint32_t bit)
{
    qd_tokens *t = &b->t;
    if (t->has & bit) return 0;
    int col = __builtin_ctz(bit) + 1;
    if (column_reserve(s, b, col, b->cap[QD_COL_TERM] ? b->cap[QD_COL_TERM] : 1)) return QD_E_NOMEM;
    t->has |= bit;
    switch (bit) {
    case QD_TOKENS_OFFSETS:
        memcpy(t->offset, t->term, t->n * sizeof *t->term);
        break;
    case QD_TOKENS_INC:
        for (size_t i = 0; i < t->n; i++) t->inc[i] = 1;
        break;
    case QD_TOKENS_LENGTH:
        for (size_t i = 0; i < t->n; i++) t->length[i] = 1;
        break;
    case QD_TOKENS_TYPE:
        memset(t->type, t->common_type, t->n);
        break;
    default:
        memset(t->keyword, 0, t->n);
        break;
    }
    return 0;
}

int qd_batch_like(qd_analysis *s, qd_batch *b, const qd_batch *like, size_t n)
{
    b->t.n = 0;
    b->t.has = like->t.has;
    b->t.common_type = like->t.common_type;
    b->t.end_inc = like->t.end_inc;
    b->t.end_offset = like->t.end_offset;
    b->t.flat = like->t.flat;
    return qd_batch_reserve(s, b, n);
}

void qd_batch_copy(qd_batch *to, size_t j, const qd_batch *from, size_t i)
{
    to->t.term[j] = from->t.term[i];
    uint32_t has = to->t.has;
    if (has & QD_TOKENS_OFFSETS) to->t.offset[j] = from->t.offset[i];
    if (has & QD_TOKENS_INC) to->t.inc[j] = from->t.inc[i];
    if (has & QD_TOKENS_LENGTH) to->t.length[j] = from->t.length[i];
    if (has & QD_TOKENS_TYPE) to->t.type[j] = from->t.type[i];
    if (has & QD_TOKENS_KEYWORD) to->t.keyword[j] = from->t.keyword[i];
}

void qd_analysis_swap(qd_analysis *s)
{
    qd_batch *b = s->b;
    s->b = s->spare;
    s->spare = b;
}

int qd_text_reserve(qd_analysis *s, size_t n)
{
    if (s->ntext + n <= s->text_cap) return 0;
    if (s->ntext + n > UINT32_MAX) return QD_E_LIMIT;
    return grow(s, (void **)&s->text, &s->text_cap, s->ntext + n, 1, QD_TEXT_PAD);
}

int qd_text_add(qd_analysis *s, const char *p, size_t n, qd_span *out)
{
    int rc = qd_text_reserve(s, n);
    if (rc) return rc;
    if (n) memcpy(s->text + s->ntext, p, n);
    *out = (qd_span){(uint32_t)s->ntext, (uint32_t)(s->ntext + n)};
    s->ntext += n;
    return 0;
}

int qd_work_reserve(qd_analysis *s, size_t n)
{
    return n <= s->work_cap ? 0 : grow(s, &s->work, &s->work_cap, n, 1, QD_TEXT_PAD);
}

int qd_text_from_source(qd_analysis *s)
{
    s->ntext = 0;
    int rc = qd_text_reserve(s, s->nsrc);
    if (rc) return rc;
    if (s->nsrc) memcpy(s->text, s->src, s->nsrc);
    s->ntext = s->nsrc;
    return 0;
}

int qd_filtered_begin(qd_analysis *s, qd_filtered **out)
{
    if (s->nfiltered == QD_CHAR_FILTERS_MAX) return QD_E_LIMIT;
    qd_filtered *f = &s->filtered[s->nfiltered];
    f->n = 0;
    f->fix.n = 0;
    if (!f->text && grow(s, (void **)&f->text, &f->cap, 256, 1, QD_TEXT_PAD)) return QD_E_NOMEM;
    *out = f;
    return 0;
}

int qd_filtered_add(qd_analysis *s, qd_filtered *f, const char *p, size_t n)
{
    if (f->n + n > QD_VALUE_MAX) return QD_E_LIMIT;
    if (f->n + n > f->cap && grow(s, (void **)&f->text, &f->cap, f->n + n, 1, QD_TEXT_PAD))
        return QD_E_NOMEM;
    if (n) memcpy(f->text + f->n, p, n);
    f->n += n;
    return 0;
}

void qd_filtered_end(qd_analysis *s, qd_filtered *f)
{
    s->nfiltered++;
    s->src = f->text;
    s->nsrc = f->n;
}

int qd_text_unshare(qd_analysis *s)
{
    if (!s->shared) return 0;
    s->shared = false;
    qd_tokens *t = &s->b->t;
    size_t total = 0;
    for (size_t i = 0; i < t->n; i++) total += t->term[i].to - t->term[i].from;
    int rc = qd_text_reserve(s, total);
    if (rc) return rc;
    for (size_t i = 0; i < t->n; i++) {
        uint32_t n = t->term[i].to - t->term[i].from;
        memcpy(s->text + s->ntext, s->text + t->term[i].from, n);
        t->term[i] = (qd_span){(uint32_t)s->ntext, (uint32_t)(s->ntext + n)};
        s->ntext += n;
    }
    return 0;
}

int qd_tokenized(qd_analysis *s, uint32_t type)
{
    qd_tokens *t = &s->b->t;
    if (!(t->has & QD_TOKENS_TYPE)) t->common_type = (uint8_t)type;
    return s->want & QD_ANALYZE_OFFSETS ? qd_batch_need(s, s->b, QD_TOKENS_OFFSETS) : 0;
}

qd_analysis *qd_analysis_make(qd_account *account, size_t max)
{
    qd_analysis *s = qd_calloc(account, sizeof *s);
    if (!s) return NULL;
    s->magic = QD_ANALYSIS_MAGIC;
    qd_account_init(&s->account, "analysis", account ? account : &qd_account_general,
                    max ? (int64_t)max : (int64_t)1 << 30);
    s->max = max ? max : (size_t)1 << 30;
    s->b = &s->batch[0];
    s->spare = &s->batch[1];
    return s;
}

static void free_block(void **p, size_t *cap)
{
    qd_free(*p);
    *p = NULL;
    *cap = 0;
}

void qd_analysis_shrink(qd_analysis *s)
{
    for (int i = 0; i < 2; i++) {
        for (int col = 0; col < QD_COLS; col++)
            free_block(column(&s->batch[i].t, col), &s->batch[i].cap[col]);
        s->batch[i].t.n = 0;
    }
    for (size_t i = 0; i < QD_CHAR_FILTERS_MAX; i++) {
        free_block((void **)&s->filtered[i].text, &s->filtered[i].cap);
        qd_vec_fini(&s->filtered[i].fix);
    }
    free_block((void **)&s->text, &s->text_cap);
    free_block((void **)&s->units, &s->units_cap);
    free_block(&s->work, &s->work_cap);
}

void qd_analysis_free(qd_analysis *s)
{
    if (!s) return;
    QD_CHECK(s, QD_ANALYSIS_MAGIC);
    qd_analysis_shrink(s);
    qd_stemmers_free(s->stemmers);
    s->magic = 0;
    qd_free(s);
}

int qd_analysis_warm(qd_analysis *s, size_t value_bytes)
{
    QD_CHECK(s, QD_ANALYSIS_MAGIC);
    if (value_bytes > QD_VALUE_MAX) return QD_E_NOMEM;
    s->ntext = 0;
    if (qd_text_reserve(s, value_bytes) || qd_batch_reserve(s, s->b, value_bytes / 4))
        return QD_E_NOMEM;
    memset(s->text, 0, s->text_cap);
    memset(s->b->t.term, 0, s->b->cap[QD_COL_TERM] * sizeof(qd_span));
    return 0;
}
