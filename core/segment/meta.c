/* meta.c: the META section, written and read. docs/format.md has the bytes. */
#include "base/bits.h"
#include "segment/segment_int.h"

static void put(qd_buf *b, uint64_t v)
{
    uint8_t bytes[10];
    qd_buf_add(b, bytes, (size_t)(qd_put_varint(bytes, v) - bytes));
}
static void put_str(qd_buf *b, qd_str s)
{
    put(b, s.n);
    qd_buf_str(b, s);
}

static void put_terms(qd_buf *out, const qdi_field_terms *t)
{
    put(out, t->terms);
    put(out, t->docs);
    put(out, t->sum_df);
    put(out, t->sum_ttf);
    put(out, t->terms_at);
    put(out, t->terms_len);
    put(out, t->index_at);
    put(out, t->index_len);
    put_str(out, t->min);
    put_str(out, t->max);
    put(out, t->has_norms);
    if (t->has_norms) put(out, t->norms_at);
}

void qdi_meta_write(qd_buf *out, uint32_t docs, const qd_segment_attrs *attrs,
                    const qd_field_info *fields, const qdi_field_terms *terms, uint32_t nfields)
{
    put_str(out, qd_str_c(QD_VERSION));
    put(out, docs);
    put(out, qd_zigzag(attrs->min_seq_no));
    put(out, qd_zigzag(attrs->max_seq_no));
    put(out, attrs->stored_codec);
    put(out, attrs->sparse_bitmaps);
    put_str(out, attrs->user);
    put(out, nfields);
    for (uint32_t i = 0; i < nfields; i++) {
        const qd_field_info *f = &fields[i];
        put_str(out, f->name);
        qd_buf_char(out, (char)f->index);
        qd_buf_char(out, (char)f->norms);
        qd_buf_char(out, (char)f->column);
        qd_buf_char(out, (char)f->point);
        if (f->index) put_terms(out, &terms[i]);
    }
}

void qdi_residents_init(qdi_residents *r, qd_account *account)
{
    qd_buf *all[] = {&r->terms, &r->columns, &r->points, &r->stored,
                     &r->parts, &r->nested,  &r->meta};
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) qd_buf_init(all[i], account, (size_t)1 << 40);
}

int qdi_residents_write(qdi_residents *r, qd_file_writer *w, qd_err *err)
{
    const struct {
        uint32_t id;
        qd_buf *bytes;
    } all[] = {{QDI_SEC_TERM_INDEX, &r->terms},   {QDI_SEC_COLUMN_INDEX, &r->columns},
               {QDI_SEC_POINT_INDEX, &r->points}, {QDI_SEC_STORED_INDEX, &r->stored},
               {QDI_SEC_PART_INDEX, &r->parts},   {QDI_SEC_NESTED, &r->nested},
               {QDI_SEC_META, &r->meta}};
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) {
        if (qd_buf_status(all[i].bytes)) return qd_err_nomem(err, "resident section of a segment");
        if (all[i].bytes->n == 0) continue;
        int rc = qd_file_section_begin(w, all[i].id, true, err);
        if (rc == 0) rc = qd_file_write(w, all[i].bytes->p, all[i].bytes->n, err);
        if (rc == 0) rc = qd_file_section_end(w, NULL, err);
        if (rc) return rc;
    }
    return 0;
}

void qdi_residents_fini(qdi_residents *r)
{
    qd_buf *all[] = {&r->terms, &r->columns, &r->points, &r->stored,
                     &r->parts, &r->nested,  &r->meta};
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) qd_buf_fini(all[i]);
}

typedef struct in {
    qd_segment *s;
    const uint8_t *begin, *p, *end;
    qd_err *err;
    int rc; /* the first failure; every get gives 0 from then on */
} in;

static void bad(in *r, const char *what)
{
    if (r->rc == 0)
        r->rc = qdi_corrupt(r->s, QDI_SEC_META, (uint64_t)(r->p - r->begin), what, r->err);
}
/* A number of at most max. */
static uint64_t get(in *r, uint64_t max, const char *what)
{
    uint64_t v = 0;
    if (r->rc) return 0;
    const uint8_t *p = qd_get_varint(r->p, r->end, &v);
    if (!p || v > max) {
        bad(r, what);
        return 0;
    }
    r->p = p;
    return v;
}
static qd_str get_str(in *r, size_t max, const char *what)
{
    uint64_t n = get(r, max, what);
    if (r->rc == 0 && n > (size_t)(r->end - r->p)) bad(r, what);
    if (r->rc) return (qd_str){"", 0};
    qd_str s = qd_arena_str(&r->s->arena, (qd_str){(const char *)r->p, n});
    if (!s.p && n) r->rc = qd_err_nomem(r->err, "META of a segment");
    r->p += n;
    return s.p ? s : (qd_str){"", 0};
}
static uint8_t get_byte(in *r, uint8_t max, const char *what)
{
    if (r->rc == 0 && (r->p == r->end || *r->p > max)) bad(r, what);
    return r->rc ? 0 : *r->p++;
}

static void get_terms(in *r, const qd_field_info *f, qdi_field_terms *t)
{
    qd_segment *s = r->s;
    uint64_t terms_bytes = 0, norms_bytes = 0;
    if (!qd_file_section(s->file, QDI_SEC_TERMS, &terms_bytes)) terms_bytes = 0;
    if (!qd_file_section(s->file, QDI_SEC_NORMS, &norms_bytes)) norms_bytes = 0;
    t->terms = get(r, (uint64_t)1 << 40, "number of terms");
    t->docs = (uint32_t)get(r, s->docs, "documents of a field");
    t->sum_df = get(r, UINT64_MAX, "postings of a field");
    t->sum_ttf = get(r, UINT64_MAX, "words of a field");
    t->terms_at = get(r, terms_bytes, "place of terms");
    t->terms_len = get(r, terms_bytes - t->terms_at, "length of terms");
    t->index_at = get(r, s->term_index_len, "place of the term index");
    t->index_len = get(r, s->term_index_len - t->index_at, "length of the term index");
    t->min = get_str(r, QD_TERM_BYTES_MAX, "least term");
    t->max = get_str(r, QD_TERM_BYTES_MAX, "greatest term");
    t->has_norms = get(r, 1, "norms of a field");
    if (t->has_norms) {
        t->norms_at = get(r, norms_bytes, "place of norms");
        if (norms_bytes - t->norms_at < s->docs) bad(r, "place of norms");
    }
    if (t->has_norms != (f->norms != 0)) bad(r, "norms of a field");
    if (t->terms > t->sum_df || t->sum_df > t->sum_ttf) bad(r, "counts of a field");
}

/* The resident index is used without further checks by every look-up: so all of it is looked at. */
static void check_index(in *r, const qdi_field_terms *t)
{
    if (r->rc) return;
    const uint8_t *x = r->s->term_index + t->index_at;
    uint64_t n = qdi_term_blocks(t->terms), end = 0, at = 0;
    if (t->index_len < n * 9 || t->index_len - n * 9 > UINT32_MAX || (n == 0 && t->terms_len)) {
        bad(r, "length of the term index");
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t e = qd_get_u32le(x + 4 * i);
        const uint8_t *q = x + 4 * n + 5 * i;
        uint64_t a = qd_get_u32le(q) | (uint64_t)q[4] << 32;
        if (e < end || e - end > QD_TERM_BYTES_MAX || a >= t->terms_len || (i ? a <= at : a != 0)) {
            bad(r, "entry of the term index");
            return;
        }
        end = e;
        at = a;
    }
    if (end != t->index_len - n * 9) bad(r, "separators of the term index");
}

static void get_fields(in *r)
{
    qd_segment *s = r->s;
    for (uint32_t i = 0; i < s->nfields && r->rc == 0; i++) {
        qd_field_info *f = &s->fields[i];
        f->name = get_str(r, 65535, "name of a field");
        f->index = get_byte(r, QD_INDEX_OFFSETS, "index options");
        f->norms = get_byte(r, 1, "norms of a field");
        f->column = get_byte(r, QD_COLUMN_BYTES, "type of a column");
        f->point = get_byte(r, QD_POINT_B16, "type of points");
        if (i && r->rc == 0 && qd_str_cmp(s->fields[i - 1].name, f->name) >= 0)
            bad(r, "order of fields");
        if (!f->index) continue;
        qdi_field_terms *t = &s->terms[i];
        get_terms(r, f, t);
        check_index(r, t);
        s->stats[i] = (qd_index_stats){t->terms, t->sum_df, t->sum_ttf, t->docs, t->min, t->max};
    }
}

int qdi_meta_read(qd_segment *s, const uint8_t *p, uint64_t n, qd_err *err)
{
    in r = {.s = s, .begin = p, .p = p, .end = p + n, .err = err};
    s->writer = get_str(&r, 255, "version of the writer");
    s->docs = (uint32_t)get(&r, QD_DOCS_MAX, "number of documents");
    s->attrs.min_seq_no = qd_unzigzag(get(&r, UINT64_MAX, "sequence number"));
    s->attrs.max_seq_no = qd_unzigzag(get(&r, UINT64_MAX, "sequence number"));
    s->attrs.stored_codec = (uint8_t)get(&r, QD_STORED_NONE, "codec of stored documents");
    s->attrs.sparse_bitmaps = get(&r, 1, "flags");
    s->attrs.user = get_str(&r, QD_SEGMENT_USER_MAX, "attributes");
    s->nfields = (uint32_t)get(&r, QD_SEGMENT_FIELDS_MAX, "number of fields");
    if (r.rc) return r.rc;
    if (s->nfields > n) return qdi_corrupt(s, QDI_SEC_META, 0, "number of fields", err);
    s->fields = qd_arena_calloc(&s->arena, (s->nfields + 1) * sizeof *s->fields);
    s->terms = qd_arena_calloc(&s->arena, (s->nfields + 1) * sizeof *s->terms);
    s->stats = qd_arena_calloc(&s->arena, (s->nfields + 1) * sizeof *s->stats);
    if (!s->fields || !s->terms || !s->stats) return qd_err_nomem(err, "fields of a segment");
    get_fields(&r);
    if (r.rc == 0 && r.p != r.end) bad(&r, "bytes behind the fields");
    return r.rc;
}
