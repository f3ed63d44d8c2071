/*
 * source.c: values of the present batch, decoded by blocks and shared by all aggregations that look
 * at a field. A dense column with one value a document is handed through without a copy.
 */
#include "aggs/aggs_int.h"
#include "search/fielddata.h"
#include "segment/segment.h"

#define DENSE 24u /* one document in so many: decoding whole blocks is cheaper */

int qdi_aggs_source_get(qd_aggs_shard *s, const qdi_bound *b, bool want_dict, qdi_source **out,
                        qd_err *err)
{
    for (size_t i = 0; i < s->sources.n; i++) {
        qdi_source *o = s->sources.at[i];
        if (o->field != b->field || o->script != b->script || o->kind != b->values ||
            o->has_missing != b->has_missing)
            continue;
        if (o->has_missing &&
            (o->missing != b->missing || !qd_str_eq(o->missing_bytes, b->missing_bytes)))
            continue;
        o->want_dict |= want_dict;
        *out = o;
        return 0;
    }
    qdi_source *o = qd_arena_calloc(&s->arena, sizeof *o);
    if (!o || qd_vec_push(&s->sources, s->account, o))
        return qdi_aggs_no_memory(s->account, sizeof *o, "aggregations", err);
    o->field = b->field;
    o->kind = b->values;
    o->has_missing = b->has_missing;
    o->missing = b->missing;
    o->missing_bytes = b->missing_bytes;
    o->ids = b->ids;
    o->converted = b->converted;
    o->want_dict = want_dict;
    *out = o;
    return b->script ? qdi_aggs_script_open(s, o, b, err) : 0;
}

int qdi_aggs_source_plan(qd_aggs_shard *s, qdi_source *src, const qd_leaf *leaf, qd_reads *reads,
                         qd_err *err)
{
    src->column = NULL;
    src->reader = NULL;
    src->dict = NULL;
    src->batch = 0;
    src->ordinals = 0;
    src->missing_ord = 0;
    if (src->script) return qdi_aggs_script_plan(s, src, leaf, err);
    const qd_columns *set = qd_segment_columns(leaf->segment);
    if (!src->field || !set) return 0;
    uint32_t f = qd_segment_field_find(leaf->segment, src->field->name);
    const qd_column *c = f == QD_FIELD_NONE ? NULL : qd_columns_get(set, f);
    int rc =
        src->field->fielddata ? qd_leaf_fielddata(leaf, src->field, &s->leaf_arena, &c, err) : 0;
    if (rc || !c) return rc;
    const qd_column_stats *st = qd_column_stats_get(c);
    if (src->ids) {
        if (st->type != QD_COLUMN_BYTES) return 0;
    } else if ((st->type == QD_COLUMN_ORDINAL) != (src->kind == QDI_ORD) || st->values == 0) {
        return 0;
    }
    src->column = c;
    src->stats = st;
    src->ordinals = src->missing_ord = src->ids               ? leaf->docs
                                       : src->kind == QDI_ORD ? st->ordinals
                                                              : 0;
    rc = qd_column_plan(c, 0, leaf->docs, reads, &s->leaf_arena, &src->reader, err);
    src->lo = 0;
    src->hi = src->ordinals;
    if (rc == 0 && !src->ids && src->kind == QDI_ORD &&
        (src->want_dict || src->has_missing || src->field->slice.n))
        rc = qd_dict_plan_all(c, reads, &s->leaf_arena, &src->dict, err);
    return rc;
}

int qdi_aggs_source_bytes(qdi_source *src, uint32_t ord, qd_str *out, qd_err *err)
{
    bool found;
    *out = src->missing_bytes;
    if (src->script) {
        if (ord < src->strings.n) *out = src->strings.at[ord];
        return 0;
    }
    if (ord >= src->ordinals) return 0;
    int rc = src->ids ? qd_column_bytes(src->reader, ord, out, &found, err)
                      : qd_dict_at(src->dict, ord, out, err);
    if (!rc && src->field->slice.n) *out = qd_str_sub(*out, src->field->slice.n, out->n);
    return rc;
}

/* The place of text in the dictionary, behind the beginning of the slice; end: behind all of it. */
static int find_in_slice(qdi_source *src, qd_account *account, qd_str text, bool end, uint32_t *ord,
                         bool *found, qd_err *err)
{
    qd_buf b;
    qd_str slice = src->field->slice;
    qd_buf_init(&b, account, 1 << 20);
    (void)qd_buf_str(&b, slice);
    (void)qd_buf_str(&b, text);
    int rc = qd_buf_status(&b) ? qd_err_nomem(err, "aggregations") : 0;
    if (!rc && end) b.p[slice.n - 1]++; /* it ends in NUL */
    if (!rc) rc = qd_dict_find(src->dict, qd_buf_view(&b), ord, found, err);
    qd_buf_fini(&b);
    return rc;
}

int qdi_aggs_source_begin(qdi_source *src, qd_err *err)
{
    bool found;
    uint32_t ord;
    int rc = 0;
    if (src->dict && src->field->slice.n) {
        qd_str none = {"", 0};
        rc = find_in_slice(src, NULL, none, false, &src->lo, &found, err);
        if (!rc) rc = find_in_slice(src, NULL, none, true, &src->hi, &found, err);
    }
    if (rc || !src->dict || !src->has_missing) return rc;
    rc = src->field->slice.n
             ? find_in_slice(src, NULL, src->missing_bytes, false, &ord, &found, err)
             : qd_dict_find(src->dict, src->missing_bytes, &ord, &found, err);
    if (rc == 0) src->missing_ord = found ? ord : src->ordinals;
    return rc;
}

/* --- loading ---------------------------------------------------------------------------------- */

int qdi_aggs_source_reserve(qd_aggs_shard *s, qdi_source *src, size_t n, qd_err *err)
{
    if (n <= src->cap) return 0;
    size_t cap = src->cap ? src->cap : QD_COLUMN_BATCH;
    while (cap < n) cap *= 2;
    void *d = qd_realloc(s->account, src->dbuf, cap * 4);
    if (d) src->dbuf = d;
    void *v = NULL;
    if (d && src->kind == QDI_ORD) {
        v = qd_realloc(s->account, src->obuf, cap * 4);
        if (v) src->obuf = v;
    } else if (d) {
        v = qd_realloc(s->account, src->vbuf, cap * 8);
        if (v) src->vbuf = v;
    }
    if (!v) return qdi_aggs_no_memory(s->account, cap * 8, "values of aggregations", err);
    src->cap = cap;
    return 0;
}

/* Appends a decoder's batch to the buffers. */
static int append(qd_aggs_shard *s, qdi_source *src, const qd_column_batch *b, uint32_t n,
                  qd_err *err)
{
    int rc = qdi_aggs_source_reserve(s, src, (size_t)n + b->n, err);
    if (rc) return rc;
    if (src->kind == QDI_ORD)
        memcpy(src->obuf + n, b->ords, b->n * 4ul);
    else
        memcpy(src->vbuf + n, b->values, b->n * 8ul);
    if (b->docs)
        memcpy(src->dbuf + n, b->docs, b->n * 4ul);
    else
        for (uint32_t i = 0; i < b->n; i++) src->dbuf[n + i] = b->first + i;
    return 0;
}

static bool at_end(const qd_column_cursor *c)
{
    return c->docs ? c->at >= c->n : c->doc >= c->to;
}

/* Starts a walk over the batch: as a range, as bits where it is dense (blocks are decoded whole and
 * thinned out), else document by document. */
static int start(qd_aggs_shard *s, const qdi_source *src, qd_column_cursor *c, qd_err *err)
{
    const qdi_batch *t = &s->batch;
    uint32_t from = t->first, to = t->last + 1;
    if (t->contiguous) {
        qd_column_over_range(c, from, to);
        return 0;
    }
    if ((to - from) / DENSE > t->n) {
        int rc = qdi_aggs_batch_docs(s, err);
        if (rc) return rc;
        qd_column_over_docs(c, t->docs, t->n);
        return 0;
    }
    int rc = qdi_aggs_grow(s->account, &s->bits, &s->cap_bits, (t->leaf->docs >> 6) + 2,
                           sizeof *s->bits, err);
    if (rc) return rc;
    if (s->bits_batch != t->number) {
        for (uint32_t w = s->bits_from; w < s->bits_to; w++) s->bits[w] = 0;
        if (t->bits) {
            s->bits_from = t->from >> 6;
            s->bits_to = s->bits_from + t->words;
            memcpy(s->bits + s->bits_from, t->bits, t->words * sizeof *s->bits);
        } else {
            for (uint32_t i = 0; i < t->n; i++)
                s->bits[t->docs[i] >> 6] |= (uint64_t)1 << (t->docs[i] & 63);
            s->bits_from = from >> 6;
            s->bits_to = (to >> 6) + 1;
        }
        s->bits_batch = t->number;
    }
    qd_column_over_bits(c, s->bits, from, to);
    c->values_only = src->stats->dense && !src->stats->multi; /* value i is document i's */
    return 0;
}

static int with_missing(qd_aggs_shard *s, qdi_source *src, qd_err *err);

/* Drops the values outside of the field's slice. */
static int keep_slice(qd_aggs_shard *s, qdi_source *src, qd_err *err)
{
    const uint32_t *o = src->o, *docs = src->docs;
    bool own_o = o == src->obuf, own_docs = docs == src->dbuf;
    uint32_t k = 0, n = src->n;
    int rc = qdi_aggs_source_reserve(s, src, n, err);
    if (rc) return rc;
    if (own_o) o = src->obuf;
    if (own_docs) docs = src->dbuf;
    if (!docs) { /* values only: one of each document of the batch, or a run of documents */
        rc = qdi_aggs_batch_docs(s, err);
        if (rc) return rc;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (o[i] < src->lo || o[i] >= src->hi) continue;
        src->dbuf[k] = docs ? docs[i] : src->one ? s->batch.docs[i] : src->first + i;
        src->obuf[k++] = o[i];
    }
    src->n = k;
    src->o = src->obuf;
    src->docs = src->dbuf;
    src->one = false;
    return 0;
}

int qdi_aggs_source_load(qd_aggs_shard *s, qdi_source *src, qd_err *err)
{
    const qdi_batch *t = &s->batch;
    if (src->batch == t->number) return 0;
    src->n = 0;
    src->v = NULL;
    src->o = NULL;
    src->docs = NULL;
    src->one = src->has_start = src->has_f64 = false;
    if (src->script) {
        int rc = qdi_aggs_script_load(s, src, err);
        if (rc) return rc;
    } else if (src->ids && src->reader) {
        int rc = qdi_aggs_batch_docs(s, err);
        if (rc) return rc;
        src->n = t->n;
        src->o = src->docs = t->docs;
        src->one = true;
    } else if (src->reader) {
        qd_column_cursor c;
        qd_column_batch b;
        int rc = start(s, src, &c, err);
        if (rc) return rc;
        rc = qd_column_next(src->reader, &c, &b, err);
        if (rc < 0) return rc;
        if (rc == 1 && at_end(&c)) {
            src->n = b.n;
            src->v = b.values;
            src->o = b.ords;
            src->docs = b.docs;
            src->first = b.first;
            src->one = b.n == t->n && !src->stats->multi;
        } else {
            uint32_t n = 0;
            while (rc == 1) {
                rc = append(s, src, &b, n, err);
                if (rc) return rc;
                n += b.n;
                rc = qd_column_next(src->reader, &c, &b, err);
            }
            if (rc < 0) return rc;
            src->n = n;
            src->v = src->kind == QDI_ORD ? NULL : src->vbuf;
            src->o = src->kind == QDI_ORD ? src->obuf : NULL;
            src->docs = src->dbuf;
            src->one = n == t->n && !src->stats->multi;
        }
    }
    if (src->field && src->field->slice.n && src->n) {
        int rc = keep_slice(s, src, err);
        if (rc) return rc;
    }
    src->batch = t->number;
    if (src->converted && src->n) {
        bool own = src->docs && src->docs == src->dbuf, held = src->v == src->vbuf;
        int rc = qdi_aggs_source_reserve(s, src, src->n, err);
        if (rc) return rc;
        if (own) src->docs = src->dbuf;
        if (held) src->v = src->vbuf;
        for (uint32_t i = 0; i < src->n; i++)
            src->vbuf[i] = src->kind == QDI_I64
                               ? qd_nanos_to_ms(src->v[i])
                               : qd_sortable_f64(qd_field_f64(src->converted, src->v[i]));
        src->v = src->vbuf;
    }
    if (src->has_missing && !src->one) return with_missing(s, src, err);
    return 0;
}

int qdi_aggs_source_index(qd_aggs_shard *s, qdi_source *src, qd_err *err)
{
    int rc = qdi_aggs_source_load(s, src, err);
    if (rc || src->one || src->has_start) return rc;
    rc = qdi_aggs_batch_docs(s, err);
    if (rc) return rc;
    const qdi_batch *t = &s->batch;
    if (!src->start) {
        src->start = qd_alloc(s->account, (QD_COLLECT_BATCH + 1) * sizeof *src->start);
        if (!src->start)
            return qdi_aggs_no_memory(s->account, QD_COLLECT_BATCH * 4, "values of aggregations",
                                      err);
    }
    uint32_t k = 0, n = src->n;
    if (!src->docs) { /* a run of documents, each with one value */
        for (uint32_t i = 0; i < t->n; i++) {
            src->start[i] = k;
            if (k < n && t->docs[i] == src->first + k) k++;
        }
    } else {
        for (uint32_t i = 0; i < t->n; i++) {
            src->start[i] = k;
            while (k < n && src->docs[k] == t->docs[i]) k++;
        }
    }
    src->start[t->n] = k;
    src->has_start = true;
    return 0;
}

/* Puts the missing value in for documents without one. */
static int with_missing(qd_aggs_shard *s, qdi_source *src, qd_err *err)
{
    int rc = qdi_aggs_source_index(s, src, err);
    if (rc) return rc;
    const qdi_batch *t = &s->batch;
    uint32_t holes = 0, at = 0;
    for (uint32_t i = 0; i < t->n; i++) holes += src->start[i] == src->start[i + 1];
    if (!holes) return 0;
    size_t need = (size_t)src->n + holes;
    if (need > src->cap2) {
        bool ord = src->kind == QDI_ORD;
        void *p = ord ? qd_realloc(s->account, src->obuf2, need * 4)
                      : qd_realloc(s->account, src->vbuf2, need * 8);
        if (!p) return qdi_aggs_no_memory(s->account, need * 8, "values of aggregations", err);
        if (ord)
            src->obuf2 = p;
        else
            src->vbuf2 = p;
        src->cap2 = need;
    }
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t from = src->start[i], to = src->start[i + 1];
        src->start[i] = at;
        if (from == to) {
            if (src->kind == QDI_ORD)
                src->obuf2[at++] = src->missing_ord;
            else
                src->vbuf2[at++] = src->missing;
        }
        for (uint32_t k = from; k < to; k++) {
            if (src->kind == QDI_ORD)
                src->obuf2[at++] = src->o[k];
            else
                src->vbuf2[at++] = src->v[k];
        }
    }
    src->start[t->n] = src->n = at;
    src->v = src->kind == QDI_ORD ? NULL : src->vbuf2;
    src->o = src->kind == QDI_ORD ? src->obuf2 : NULL;
    src->docs = NULL;
    src->one = at == t->n;
    return 0;
}

int qdi_aggs_source_f64(qd_aggs_shard *s, qdi_source *src, qd_err *err)
{
    int rc = qdi_aggs_source_load(s, src, err);
    if (rc || src->has_f64) return rc;
    uint32_t n = src->n;
    if (n > src->cap_f64) {
        size_t cap = n < QD_COLUMN_BATCH ? QD_COLUMN_BATCH : n;
        double *p = qd_realloc(s->account, src->f64, cap * sizeof *p);
        if (!p) return qdi_aggs_no_memory(s->account, cap * 8, "values of aggregations", err);
        src->f64 = p;
        src->cap_f64 = cap;
    }
    src->has_f64 = true;
    if (src->kind == QDI_I64 && (!src->field || src->field->number != QD_NUMBER_UNSIGNED))
        for (uint32_t i = 0; i < n; i++) src->f64[i] = (double)src->v[i];
    else if (src->field && src->field->number == QD_NUMBER_DOUBLE)
        qd_sortable_to_f64_n(src->v, src->f64, n);
    else
        for (uint32_t i = 0; i < n; i++) src->f64[i] = qd_field_f64(src->field, src->v[i]);
    return 0;
}

void qdi_aggs_source_close(qdi_source *src)
{
    qd_free(src->vbuf);
    qd_free(src->vbuf2);
    qd_free(src->obuf);
    qd_free(src->obuf2);
    qd_free(src->dbuf);
    qd_free(src->start);
    qd_free(src->f64);
    if (src->script) qdi_aggs_strings_fini(&src->strings);
}
