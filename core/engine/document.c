/* document.c: the receiving side of the mapping's sink. See document.h. */
#include "engine/document.h"
#include "base/str.h"
#include "base/vec.h"
#include <string.h>

#define ANALYSIS_MAX ((size_t)1 << 30)

/* Where a field stands in the segment being filled and in the document being read. */
typedef struct document_field {
    uint64_t unit; /* life of the buffer for which number holds; 0: unknown */
    uint32_t number;
    uint64_t doc;    /* document that the two below belong to */
    uint32_t hole;   /* positions left empty at the end of the value before */
    uint32_t offset; /* UTF-16 units of the values before */
    bool text_seen;
} document_field;

struct qd_document_writer {
    qd_account *account;
    qd_doc_parser *parser;
    qd_analysis *analysis;
    qd_doc_sink sink;
    qd_mapping *mapping; /* whose field numbers `fields` is by; a reference */
    uint64_t unit, doc;
    qd_buffer *b;
    QD_VEC(document_field) fields; /* by the mapping's field number */
    uint64_t names_unit, ignored_unit;
    uint32_t names, ignored;
    QD_VEC(uint32_t) off, start, end; /* arrays of one batch */
    QD_VEC(uint16_t) len;
};

void qd_document_field_info(const qd_field *f, qd_field_info *out)
{
    *out = (qd_field_info){.name = f->name};
    switch (f->value_class) {
    case QD_VALUE_TEXT:
        out->index = f->indexed ? (uint8_t)(QD_INDEX_DOCS + f->index_options) : QD_INDEX_NONE;
        out->norms = f->indexed && f->norms;
        break;
    case QD_VALUE_TERM:
        out->index = f->indexed ? (uint8_t)(QD_INDEX_DOCS + f->index_options) : QD_INDEX_NONE;
        out->norms = f->indexed && f->norms;
        out->column = f->doc_values ? QD_COLUMN_ORDINAL : QD_COLUMN_NONE;
        break;
    case QD_VALUE_I64:
        out->point = f->indexed ? QD_POINT_I64 : QD_POINT_NONE;
        out->column = f->doc_values ? QD_COLUMN_I64 : QD_COLUMN_NONE;
        break;
    case QD_VALUE_BOOL:
        out->index = f->indexed ? QD_INDEX_DOCS : QD_INDEX_NONE;
        out->column = f->doc_values ? QD_COLUMN_I64 : QD_COLUMN_NONE;
        break;
    case QD_VALUE_IP:
        out->point = f->indexed ? QD_POINT_B16 : QD_POINT_NONE;
        out->column = f->doc_values ? QD_COLUMN_ORDINAL : QD_COLUMN_NONE;
        break;
    }
}

/* The field's number in the buffer and its place in the document. */
static int enter(qd_document_writer *w, const qd_field *f, document_field **out, qd_err *err)
{
    while (f->id >= w->fields.n) {
        if (qd_vec_push(&w->fields, w->account, ((document_field){0}))) {
            return qd_err_nomem(err, "fields of a document");
        }
    }
    document_field *d = &w->fields.at[f->id];
    if (d->unit != w->unit) {
        qd_field_info info;
        qd_document_field_info(f, &info);
        int rc = qd_buffer_field(w->b, &info, &d->number, err);
        if (rc) return rc;
        d->unit = w->unit;
    }
    if (d->doc != w->doc) {
        d->doc = w->doc;
        d->hole = d->offset = 0;
        d->text_seen = false;
    }
    *out = d;
    return 0;
}

/* --- text ------------------------------------------------------------------------------------ */

static int batch_arrays(qd_document_writer *w, const qd_tokens *t, uint32_t shift,
                        qd_term_batch *batch, qd_err *err)
{
    w->off.n = w->start.n = w->end.n = w->len.n = 0;
    if (qd_vec_reserve(&w->off, w->account, t->n) || qd_vec_reserve(&w->len, w->account, t->n) ||
        qd_vec_reserve(&w->start, w->account, t->n) || qd_vec_reserve(&w->end, w->account, t->n)) {
        return qd_err_nomem(err, "words of a document");
    }
    for (size_t i = 0; i < t->n; i++) {
        w->off.at[i] = t->term[i].from;
        w->len.at[i] = (uint16_t)(t->term[i].to - t->term[i].from);
    }
    bool offsets = t->has & QD_TOKENS_OFFSETS;
    for (size_t i = 0; offsets && i < t->n; i++) {
        w->start.at[i] = t->offset[i].from + shift;
        w->end.at[i] = t->offset[i].to + shift;
    }
    *batch = (qd_term_batch){
        .text = t->text,
        .off = w->off.at,
        .len = w->len.at,
        .pos_inc = t->has & QD_TOKENS_INC ? t->inc : NULL,
        .start = offsets ? w->start.at : NULL,
        .end = offsets ? w->end.at : NULL,
        .n = (uint32_t)t->n,
    };
    return 0;
}

/* Lucene refuses a term that does not fit; so do we, naming the field and the term's beginning. */
static int check_terms(const qd_field *f, const qd_tokens *t, qd_err *err)
{
    for (size_t i = 0; i < t->n; i++) {
        uint32_t bytes = t->term[i].to - t->term[i].from;
        if (QD_LIKELY(bytes <= QD_TERM_BYTES_MAX)) continue;
        return qd_err_set(err, QD_E_ARG,
                          "Document contains at least one immense term in field=\"%.*s\" (whose "
                          "UTF8 encoding is longer than the max length %u), all of which were "
                          "skipped. Please correct the analyzer to not produce such terms. The "
                          "prefix of the first immense term is: '%.30s...'",
                          QD_STR_ARG(f->name), QD_TERM_BYTES_MAX, t->text + t->term[i].from);
    }
    return 0;
}

static int add_text(qd_document_writer *w, const qd_field *f, document_field *d, qd_str value,
                    qd_err *err)
{
    const qd_tokens *t;
    qd_term_batch batch;
    bool offsets = f->index_options == QD_INDEX_OPT_OFFSETS;
    int rc = qd_analyzer_run(f->index_analyzer, w->analysis, value,
                             offsets ? QD_ANALYZE_OFFSETS : 0, &t, err);
    if (!rc) rc = check_terms(f, t, err);
    if (!rc) rc = batch_arrays(w, t, d->offset, &batch, err);
    if (rc) return rc;
    batch.first_position_gap = d->text_seen ? f->position_increment_gap + d->hole : 0;
    /* values without words leave their gap to the next one */
    if (t->n == 0) {
        d->hole = batch.first_position_gap + t->end_inc;
    } else {
        if ((rc = qd_buffer_terms(w->b, d->number, &batch, err))) return rc;
        d->hole = t->end_inc;
    }
    d->text_seen = true;
    d->offset += t->end_offset + 1;
    return 0;
}

static int on_text(void *arg, const qd_field *f, const qd_str *v, uint32_t n, qd_err *err)
{
    qd_document_writer *w = arg;
    document_field *d;
    int rc = enter(w, f, &d, err);
    for (uint32_t i = 0; i < n && !rc; i++) rc = add_text(w, f, d, v[i], err);
    return rc;
}

/* --- other values ---------------------------------------------------------------------------- */

static int on_terms(void *arg, const qd_field *f, const qd_str *v, uint32_t n, qd_err *err)
{
    qd_document_writer *w = arg;
    document_field *d;
    int rc = enter(w, f, &d, err);
    for (uint32_t i = 0; i < n && !rc; i++) {
        if (f->indexed) rc = qd_buffer_term(w->b, d->number, v[i], err);
        if (!rc && f->doc_values) rc = qd_buffer_column_bytes(w->b, d->number, v[i], err);
    }
    return rc;
}

static int on_i64(void *arg, const qd_field *f, const int64_t *v, uint32_t n, qd_err *err)
{
    qd_document_writer *w = arg;
    document_field *d;
    int rc = enter(w, f, &d, err);
    if (!rc && f->doc_values) rc = qd_buffer_column_i64(w->b, d->number, v, n, err);
    if (!rc && f->indexed && f->value_class == QD_VALUE_BOOL) {
        for (uint32_t i = 0; i < n && !rc; i++) {
            rc = qd_buffer_term(w->b, d->number, v[i] ? QD_STR("T") : QD_STR("F"), err);
        }
    } else if (!rc && f->indexed) {
        rc = qd_buffer_points_i64(w->b, d->number, v, n, err);
    }
    return rc;
}

static int on_ip(void *arg, const qd_field *f, const uint8_t (*v)[16], uint32_t n, qd_err *err)
{
    qd_document_writer *w = arg;
    document_field *d;
    int rc = enter(w, f, &d, err);
    for (uint32_t i = 0; i < n && !rc; i++) {
        if (f->indexed) rc = qd_buffer_point_b16(w->b, d->number, v[i], err);
        if (!rc && f->doc_values) {
            rc = qd_buffer_column_bytes(w->b, d->number, (qd_str){(const char *)v[i], 16}, err);
        }
    }
    return rc;
}

/* A term of one of the engine's own DOCS fields, with a column or without. */
static int own_term(qd_document_writer *w, const char *name, int column, uint64_t *unit,
                    uint32_t *number, qd_str term, qd_err *err)
{
    if (*unit != w->unit) {
        qd_field_info info = {
            .name = qd_str_c(name), .index = QD_INDEX_DOCS, .column = (uint8_t)column};
        int rc = qd_buffer_field(w->b, &info, number, err);
        if (rc) return rc;
        *unit = w->unit;
    }
    int rc = qd_buffer_term(w->b, *number, term, err);
    if (!rc && column != QD_COLUMN_NONE) rc = qd_buffer_column_bytes(w->b, *number, term, err);
    return rc;
}

static int on_field_name(void *arg, const qd_field *f, qd_err *err)
{
    qd_document_writer *w = arg;
    return own_term(w, QD_FIELD_NAME_FIELD_NAMES, QD_COLUMN_NONE, &w->names_unit, &w->names,
                    f->name, err);
}

static int on_ignored(void *arg, const qd_field *f, qd_err *err)
{
    qd_document_writer *w = arg;
    return own_term(w, QD_FIELD_NAME_IGNORED, QD_COLUMN_ORDINAL, &w->ignored_unit, &w->ignored,
                    f->name, err);
}

/* Stored fields are answered from _source: nothing is kept beside it. */
static int on_stored(void *arg, const qd_field *f, const qd_str *v, uint32_t n, qd_err *err)
{
    (void)arg;
    (void)f;
    (void)v;
    (void)n;
    (void)err;
    return 0;
}

/* --- documents ---------------------------------------------------------------------------------
 */

qd_document_writer *qd_document_writer_make(qd_account *account)
{
    qd_document_writer *w = qd_calloc(account, sizeof *w);
    if (!w) return NULL;
    w->account = account;
    w->parser = qd_doc_parser_make(account);
    w->analysis = qd_analysis_make(account, ANALYSIS_MAX);
    w->sink = (qd_doc_sink){
        .arg = w,
        .text = on_text,
        .terms = on_terms,
        .i64 = on_i64,
        .ip = on_ip,
        .field_name = on_field_name,
        .ignored = on_ignored,
        .stored = on_stored,
    };
    if (!w->parser || !w->analysis) {
        qd_document_writer_free(w);
        return NULL;
    }
    return w;
}

void qd_document_writer_free(qd_document_writer *w)
{
    if (!w) return;
    qd_doc_parser_free(w->parser);
    qd_mapping_unref(w->mapping);
    qd_analysis_free(w->analysis);
    qd_vec_fini(&w->fields);
    qd_vec_fini(&w->off);
    qd_vec_fini(&w->start);
    qd_vec_fini(&w->end);
    qd_vec_fini(&w->len);
    qd_free(w);
}

int qd_document_write(qd_document_writer *w, const qd_mapping *m, uint64_t unit, qd_buffer *b,
                      const qd_engine_op *op, qd_doc_result *result, qd_err *err)
{
    qd_doc_input in = {.source = op->source, .id = op->id, .has_routing = op->routing.n > 0};
    qd_str kept = {NULL, 0};
    if (w->mapping != m) { /* numbers of fields may differ between mappings */
        qd_mapping_unref(w->mapping);
        w->mapping = qd_mapping_ref(m);
        w->fields.n = 0;
    }
    w->unit = unit;
    w->doc++;
    w->b = b;
    int rc = qd_doc_parse(w->parser, m, &in, &w->sink, result, err);
    if (rc) return rc;
    if (result->merged) return 1;
    if (!qd_mapping_source_enabled(m)) return 0;
    rc = qd_doc_source(w->parser, m, op->source, &kept, err);
    return rc ? rc : qd_buffer_source(b, kept, err);
}
