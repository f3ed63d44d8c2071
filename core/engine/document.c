/* document.c: the receiving side of the mapping's sink. See document.h. */
#include "engine/document.h"
#include "analysis/pairs.h"
#include "base/str.h"
#include "base/vec.h"
#include "mapping/doc_stored.h"
#include <string.h>

#define ANALYSIS_MAX ((size_t)1 << 30)
#define STORED_MAX ((1u << 20) - 64) /* of a value of a column */

/* Words of a field, or pairs of its words, in the segment being filled. */
typedef struct word_stream {
    uint32_t number; /* of the field in the buffer */
    uint32_t hole;   /* positions left empty at the end of the value before */
} word_stream;

/* Where a field stands in the segment being filled and in the document being read. */
typedef struct document_field {
    uint64_t unit;      /* life of the buffer for which numbers hold; 0: unknown */
    const qd_buffer *b; /* and which: the unit's or one of its nested documents */
    uint64_t doc;       /* document that the rest belongs to */
    word_stream words, pairs;
    uint32_t offset; /* UTF-16 units of the values before */
    bool text_seen;
} document_field;

/* One of the engine's own fields, as document_field. */
typedef struct own_field {
    uint64_t unit;
    const qd_buffer *b;
    uint32_t number;
} own_field;

struct qd_document_writer {
    qd_account *account;
    qd_doc_parser *parser;
    qd_analysis *analysis;
    qd_doc_sink sink;
    qd_mapping *mapping; /* whose field numbers `fields` is by; a reference */
    uint64_t unit, doc;
    qd_buffer *b; /* of the document being written, which may be a nested one */
    QD_VEC(qd_buffer *) above;
    QD_VEC(document_field) fields; /* by the mapping's field number */
    own_field names, ignored, stored_field;
    qd_buf stored; /* values of stored fields that are not in _source: an object */
    qd_json_writer stored_json;
    QD_VEC(uint32_t) off, start, end; /* arrays of one batch */
    QD_VEC(uint16_t) len;
    qd_word_pairs pairs; /* of one value, and their bytes */
    QD_VEC(char) pair_text;
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
        out->index =
            qd_field_has_terms(f) ? (uint8_t)(QD_INDEX_DOCS + f->index_options) : QD_INDEX_NONE;
        out->norms = f->indexed && f->norms;
        out->column = f->doc_values ? QD_COLUMN_ORDINAL : QD_COLUMN_NONE;
        break;
    case QD_VALUE_I64:
    case QD_VALUE_GEO:
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
    case QD_VALUE_RANGE:
        out->column = f->doc_values ? QD_COLUMN_ORDINAL : QD_COLUMN_NONE;
        break;
    case QD_VALUE_OPAQUE:
        break;
    }
}

/* What a segment keeps of a field's pairs of words: nothing reads offsets of them. */
static void pairs_info(const qd_field *f, qd_field_info *out)
{
    *out = (qd_field_info){.name = f->pairs, .index = QD_INDEX_POSITIONS, .norms = f->norms};
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
    if (d->unit != w->unit || d->b != w->b) {
        qd_field_info info;
        qd_document_field_info(f, &info);
        int rc = qd_buffer_field(w->b, &info, &d->words.number, err);
        if (rc) return rc;
        if (f->pairs.n) {
            pairs_info(f, &info);
            if ((rc = qd_buffer_field(w->b, &info, &d->pairs.number, err))) return rc;
        }
        if (f->part && (rc = qd_buffer_field_part(w->b, d->words.number, f->part, f->conf, err)))
            return rc;
        d->unit = w->unit;
        d->b = w->b;
    }
    if (d->doc != w->doc) {
        d->doc = w->doc;
        d->words.hole = d->pairs.hole = d->offset = 0;
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
static int immense(qd_str field, const char *term, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG,
                      "Document contains at least one immense term in field=\"%.*s\" (whose "
                      "UTF8 encoding is longer than the max length %u), all of which were "
                      "skipped. Please correct the analyzer to not produce such terms. The "
                      "prefix of the first immense term is: '%.30s...'",
                      QD_STR_ARG(field), QD_TERM_BYTES_MAX, term);
}

static int check_terms(const qd_field *f, const qd_tokens *t, qd_err *err)
{
    for (size_t i = 0; i < t->n; i++) {
        uint32_t bytes = t->term[i].to - t->term[i].from;
        if (QD_UNLIKELY(bytes > QD_TERM_BYTES_MAX))
            return immense(f->name, t->text + t->term[i].from, err);
    }
    return 0;
}

/* Hands a value's words to the buffer; holes are those behind its last word. */
static int add_words(qd_document_writer *w, word_stream *to, qd_term_batch *batch, uint32_t gap,
                     uint32_t holes, qd_err *err)
{
    batch->first_position_gap = gap + to->hole;
    /* values without words leave their gap to the next one */
    to->hole = batch->n ? holes : batch->first_position_gap + holes;
    return batch->n ? qd_buffer_terms(w->b, to->number, batch, err) : 0;
}

/* The bytes of all pairs, each behind the one before, and slack. */
static int write_pairs(qd_document_writer *w, const qd_field *f, const qd_tokens *t, qd_err *err)
{
    const qd_word_pairs *p = &w->pairs;
    size_t bytes = QD_TERM_SLACK + 1, used = 0;
    for (size_t i = 0; i < p->v.n; i++) {
        const qd_word_pair *x = &p->v.at[i];
        bytes += qd_tokens_term(t, x->first).n + 2;
        if (x->second != QD_PAIR_HOLE) bytes += qd_tokens_term(t, x->second).n;
    }
    if (bytes > UINT32_MAX) return qd_err_set(err, QD_E_LIMIT, "too many pairs of words");
    w->pair_text.n = w->off.n = w->start.n = w->len.n = 0;
    if (qd_vec_reserve(&w->pair_text, w->account, bytes) ||
        qd_vec_reserve(&w->off, w->account, p->v.n) ||
        qd_vec_reserve(&w->len, w->account, p->v.n) ||
        qd_vec_reserve(&w->start, w->account, p->v.n))
        return qd_err_nomem(err, "pairs of words");
    for (size_t i = 0; i < p->v.n; i++) {
        const qd_word_pair *x = &p->v.at[i];
        qd_str a = qd_tokens_term(t, x->first), b = QD_STR(QD_PAIR_FILLER);
        if (x->second != QD_PAIR_HOLE) b = qd_tokens_term(t, x->second);
        char *at = w->pair_text.at + used;
        if (a.n + 1 + b.n > QD_TERM_BYTES_MAX) return immense(f->pairs, a.p, err);
        if (a.n) memcpy(at, a.p, a.n);
        at[a.n] = QD_PAIR_SEPARATOR;
        if (b.n) memcpy(at + a.n + 1, b.p, b.n);
        w->off.at[i] = (uint32_t)used;
        w->len.at[i] = (uint16_t)(a.n + 1 + b.n);
        w->start.at[i] = x->inc; /* borrowed for increments: pairs have no offsets */
        used += a.n + 1 + b.n;
    }
    qd_assert(used + QD_TERM_SLACK <= bytes && w->pair_text.cap >= bytes);
    memset(w->pair_text.at + used, 0, QD_TERM_SLACK);
    return 0;
}

/* The pairs of a value's words, into the field's hidden twin. */
static int add_pairs(qd_document_writer *w, const qd_field *f, document_field *d,
                     const qd_tokens *t, uint32_t gap, qd_err *err)
{
    int rc =
        qd_word_pairs_make(&w->pairs, w->account, t->has & QD_TOKENS_INC ? t->inc : NULL,
                           t->has & QD_TOKENS_LENGTH ? t->length : NULL, t->n, t->end_inc, err);
    if (!rc) rc = write_pairs(w, f, t, err);
    if (rc) return rc;
    qd_term_batch batch = {.text = w->pair_text.at,
                           .off = w->off.at,
                           .len = w->len.at,
                           .pos_inc = w->start.at,
                           .n = (uint32_t)w->pairs.v.n};
    return add_words(w, &d->pairs, &batch, gap, w->pairs.end_inc, err);
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
    batch.overlaps = f->similarity && f->similarity->overlaps;
    uint32_t gap = d->text_seen ? f->position_increment_gap : 0;
    rc = add_words(w, &d->words, &batch, gap, t->end_inc, err);
    if (!rc && f->pairs.n) rc = add_pairs(w, f, d, t, gap, err);
    if (rc) return rc;
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
    bool terms = qd_field_has_terms(f);
    int rc = enter(w, f, &d, err);
    for (uint32_t i = 0; i < n && !rc; i++) {
        if (terms) rc = qd_buffer_term(w->b, d->words.number, qd_field_column_term(f, v[i]), err);
        if (!rc && f->doc_values) rc = qd_buffer_column_bytes(w->b, d->words.number, v[i], err);
    }
    return rc;
}

static int on_i64(void *arg, const qd_field *f, const int64_t *v, uint32_t n, qd_err *err)
{
    qd_document_writer *w = arg;
    document_field *d;
    int rc = enter(w, f, &d, err);
    if (!rc && f->doc_values) rc = qd_buffer_column_i64(w->b, d->words.number, v, n, err);
    if (!rc && f->indexed && f->value_class == QD_VALUE_BOOL) {
        for (uint32_t i = 0; i < n && !rc; i++) {
            rc = qd_buffer_term(w->b, d->words.number, v[i] ? QD_STR("T") : QD_STR("F"), err);
        }
    } else if (!rc && f->indexed) {
        rc = qd_buffer_points_i64(w->b, d->words.number, v, n, err);
    }
    return rc;
}

static int on_ip(void *arg, const qd_field *f, const uint8_t (*v)[16], uint32_t n, qd_err *err)
{
    qd_document_writer *w = arg;
    document_field *d;
    int rc = enter(w, f, &d, err);
    for (uint32_t i = 0; i < n && !rc; i++) {
        if (f->indexed) rc = qd_buffer_point_b16(w->b, d->words.number, v[i], err);
        if (!rc && f->doc_values) {
            rc = qd_buffer_column_bytes(w->b, d->words.number, (qd_str){(const char *)v[i], 16},
                                        err);
        }
    }
    return rc;
}

static int on_part(void *arg, const qd_field *f, qd_str v, qd_err *err)
{
    qd_document_writer *w = arg;
    document_field *d;
    int rc = enter(w, f, &d, err);
    return rc ? rc : qd_buffer_part(w->b, d->words.number, v, err);
}

/* A term of one of the engine's own DOCS fields, with a column or without. */
static int own_term(qd_document_writer *w, const char *name, int column, own_field *f, qd_str term,
                    qd_err *err)
{
    if (f->unit != w->unit || f->b != w->b) {
        qd_field_info info = {
            .name = qd_str_c(name), .index = QD_INDEX_DOCS, .column = (uint8_t)column};
        int rc = qd_buffer_field(w->b, &info, &f->number, err);
        if (rc) return rc;
        f->unit = w->unit;
        f->b = w->b;
    }
    int rc = qd_buffer_term(w->b, f->number, term, err);
    if (!rc && column != QD_COLUMN_NONE) rc = qd_buffer_column_bytes(w->b, f->number, term, err);
    return rc;
}

static int on_field_name(void *arg, const qd_field *f, qd_err *err)
{
    qd_document_writer *w = arg;
    return own_term(w, QD_FIELD_NAME_FIELD_NAMES, QD_COLUMN_NONE, &w->names, f->name, err);
}

static int on_ignored(void *arg, const qd_field *f, qd_err *err)
{
    qd_document_writer *w = arg;
    return own_term(w, QD_FIELD_NAME_IGNORED, QD_COLUMN_ORDINAL, &w->ignored, f->name, err);
}

/* Stored fields are answered from _source; what that lacks is kept beside it. */
static int on_stored(void *arg, const qd_field *f, const qd_str *v, uint32_t n, qd_err *err)
{
    qd_document_writer *w = arg;
    (void)err;
    /* nested documents have no stored fields that could be asked for */
    if (w->above.n == 0 && qd_mapping_stores_apart(w->mapping))
        qd_stored_write(f, v, n, &w->stored_json);
    return 0;
}

static int keep_stored(qd_document_writer *w, qd_err *err)
{
    qd_json_object_end(&w->stored_json);
    if (qd_buf_status(&w->stored)) return qd_err_nomem(err, "stored fields of a document");
    if (w->stored.n <= 2) return 0; /* {} */
    if (w->stored.n > STORED_MAX)
        return qd_err_set(err, QD_E_ARG,
                          "the values of stored fields that _source does not keep take %zu bytes; "
                          "they may take %u",
                          w->stored.n, STORED_MAX);
    if (w->stored_field.unit != w->unit) {
        qd_field_info info = {.name = QD_STR(QD_FIELD_NAME_STORED), .column = QD_COLUMN_BYTES};
        int rc = qd_buffer_field(w->b, &info, &w->stored_field.number, err);
        if (rc) return rc;
        w->stored_field.unit = w->unit;
    }
    return qd_buffer_column_bytes(w->b, w->stored_field.number, qd_buf_view(&w->stored), err);
}

/* --- nested documents ------------------------------------------------------------------------ */

/* Fields of a document come before those nested in it: none is met again after its end. */
static int on_nested_begin(void *arg, qd_str path, qd_err *err)
{
    qd_document_writer *w = arg;
    qd_buffer *b;
    int rc = qd_buffer_nested(w->b, path, &b, err);
    if (!rc && qd_vec_push(&w->above, w->account, w->b)) rc = qd_err_nomem(err, "nested documents");
    if (rc) return rc;
    w->b = b;
    w->doc++;
    return qd_buffer_doc_begin(b, NULL, err);
}

static int on_nested_end(void *arg, qd_err *err)
{
    qd_document_writer *w = arg;
    int rc = qd_buffer_doc_commit(w->b, err);
    w->b = w->above.at[--w->above.n];
    return rc;
}

/* --- documents ---------------------------------------------------------------------------------
 */

qd_document_writer *qd_document_writer_make(qd_account *account)
{
    qd_document_writer *w = qd_calloc(account, sizeof *w);
    if (!w) return NULL;
    w->account = account;
    qd_buf_init(&w->stored, account, (size_t)1 << 30);
    w->parser = qd_doc_parser_make(account);
    w->analysis = qd_analysis_make(account, ANALYSIS_MAX);
    w->sink = (qd_doc_sink){
        .arg = w,
        .text = on_text,
        .terms = on_terms,
        .i64 = on_i64,
        .ip = on_ip,
        .part = on_part,
        .field_name = on_field_name,
        .ignored = on_ignored,
        .stored = on_stored,
        .nested_begin = on_nested_begin,
        .nested_end = on_nested_end,
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
    qd_vec_fini(&w->above);
    qd_vec_fini(&w->off);
    qd_vec_fini(&w->start);
    qd_vec_fini(&w->end);
    qd_vec_fini(&w->len);
    qd_vec_fini(&w->pairs.v);
    qd_vec_fini(&w->pair_text);
    qd_buf_fini(&w->stored);
    qd_free(w);
}

int qd_document_write(qd_document_writer *w, const qd_mapping *m, uint64_t unit, qd_buffer *b,
                      const qd_engine_op *op, qd_doc_result *result, qd_err *err)
{
    qd_doc_input in = {
        .source = op->source, .id = op->id, .has_routing = op->routing.n > 0, .is_new = op->is_new};
    qd_str kept = {NULL, 0};
    if (w->mapping != m) { /* numbers of fields may differ between mappings */
        qd_mapping_unref(w->mapping);
        w->mapping = qd_mapping_ref(m);
        w->fields.n = 0;
    }
    w->unit = unit;
    w->doc++;
    w->b = b;
    w->above.n = 0;
    bool apart = qd_mapping_stores_apart(m);
    if (apart) {
        qd_buf_reset(&w->stored);
        qd_json_writer_init(&w->stored_json, &w->stored, false);
        qd_json_object(&w->stored_json);
    }
    int rc = qd_doc_parse(w->parser, m, &in, &w->sink, result, err);
    if (rc) return rc;
    if (result->merged) return 1;
    w->b = b;
    if (apart && (rc = keep_stored(w, err))) return rc;
    if (!qd_mapping_source_enabled(m)) return 0;
    rc = qd_doc_source(w->parser, m, op->source, &kept, err);
    return rc ? rc : qd_buffer_source(b, kept, err);
}
