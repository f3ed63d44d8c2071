/* buffer.c: fields, documents, budget of an indexing slot. See segment/buffer.h. */
#include "segment/buffer/buffer_int.h"
#include "segment/segment.h"
#include <stdlib.h>

int qd_buffer_create(qd_account *account, qd_buffer **out, qd_err *err)
{
    qd_buffer *b = qd_calloc(account, sizeof *b);
    if (!b) return qd_err_nomem(err, "indexing buffer");
    b->magic = QDI_BUFFER_MAGIC;
    b->account = account;
    b->pool.account = account;
    b->id_field = QD_FIELD_NONE;
    b->id_doc = UINT32_MAX;
    qd_map_init(&b->by_name, account);
    *out = b;
    return 0;
}

static void field_fini(qd_buffer *b, qdi_buffer_field *f)
{
    qdi_term_table_fini(&f->table);
    qdi_stream_fini(&f->stream, &b->pool);
    qdi_stream_fini(&f->starts, &b->pool);
    qdi_stream_fini(&f->ends, &b->pool);
    qd_vec_fini(&f->docs);
    qd_vec_fini(&f->words);
    qd_vec_fini(&f->norms);
    qd_vec_fini(&f->gaps);
    qdi_column_buffer_free(f->column);
    qdi_points_buffer_free(f->points);
    qdi_index_part_end(&f->part);
    qd_free(f);
}

void qd_buffer_destroy(qd_buffer *b)
{
    if (!b) return;
    QD_CHECK(b, QDI_BUFFER_MAGIC);
    for (size_t i = 0; i < b->fields.n; i++) field_fini(b, b->fields.at[i]);
    qd_vec_fini(&b->fields);
    qd_vec_fini(&b->touched);
    qdi_buffer_nested_free(b);
    qd_map_fini(&b->by_name);
    qdi_chunk_pool_fini(&b->pool);
    qdi_stored_buffer_free(b->stored);
    qd_free(b->space);
    b->magic = 0;
    qd_free(b);
}

static bool same_info(const qd_field_info *a, const qd_field_info *b)
{
    return a->index == b->index && a->norms == b->norms && a->column == b->column &&
           a->point == b->point;
}

/* The buffers of the other parts. */
static int make_parts(qd_buffer *b, qdi_buffer_field *f, qd_err *err)
{
    int rc = 0;
    if (f->info.column) rc = qdi_column_buffer_make(f->info.column, b->account, &f->column, err);
    if (rc == 0 && f->info.point)
        rc = qdi_points_buffer_make(f->info.point, b->account, &f->points, err);
    f->column_ids = f->info.column == QD_COLUMN_ORDINAL && f->info.index != QD_INDEX_NONE;
    return rc;
}

static int add_field(qd_buffer *b, const qd_field_info *info, uint32_t *number, qd_err *err)
{
    if (b->fields.n >= QD_SEGMENT_FIELDS_MAX)
        return qd_err_set(err, QD_E_LIMIT, "a segment has at most %u fields",
                          QD_SEGMENT_FIELDS_MAX);
    qdi_buffer_field *f = qd_calloc(b->account, sizeof *f);
    if (!f) return qd_err_nomem(err, "field of the indexing buffer");
    f->info = *info;
    int rc = make_parts(b, f, err);
    if (rc == 0 && qd_vec_reserve(&b->fields, b->account, 1))
        rc = qd_err_nomem(err, "field of the indexing buffer");
    /* the map's value is the number + 1: it must not be NULL */
    if (rc == 0 && qd_map_put(&b->by_name, info->name, (void *)(uintptr_t)(b->fields.n + 1), NULL))
        rc = qd_err_nomem(err, "field of the indexing buffer");
    if (rc) {
        field_fini(b, f);
        return rc;
    }
    f->info.name = b->by_name.entries[b->by_name.used - 1].key;
    *number = (uint32_t)b->fields.n;
    b->fields.at[b->fields.n++] = f;
    return 0;
}

int qd_buffer_field(qd_buffer *b, const qd_field_info *info, uint32_t *field, qd_err *err)
{
    QD_CHECK(b, QDI_BUFFER_MAGIC);
    uintptr_t known = (uintptr_t)qd_map_get(&b->by_name, info->name);
    if (!known) return add_field(b, info, field, err);
    qdi_buffer_field *f = b->fields.at[known - 1];
    if (!same_info(&f->info, info)) {
        if (f->wrote || f->touched)
            return qd_err_set(err, QD_E_ARG, "field [%.*s] is already indexed in another way",
                              QD_STR_ARG(info->name));
        qdi_column_buffer_free(f->column);
        qdi_points_buffer_free(f->points);
        f->column = NULL;
        f->points = NULL;
        qd_str name = f->info.name;
        f->info = *info;
        f->info.name = name;
        int rc = make_parts(b, f, err);
        if (rc) {
            f->info.column = f->column ? f->info.column : QD_COLUMN_NONE;
            f->info.point = QD_POINT_NONE;
            return rc;
        }
    }
    *field = (uint32_t)known - 1;
    return 0;
}

int qd_buffer_doc_begin(qd_buffer *b, uint32_t *doc, qd_err *err)
{
    QD_CHECK(b, QDI_BUFFER_MAGIC);
    qd_assert(!b->in_doc);
    if (b->docs >= QD_DOCS_MAX)
        return qd_err_set(err, QD_E_LIMIT, "a segment has at most %u documents", QD_DOCS_MAX);
    b->in_doc = true;
    b->source = (qd_str){NULL, 0};
    b->touched.n = 0;
    if (doc) *doc = b->docs;
    return 0;
}

int qdi_buffer_touch(qd_buffer *b, uint32_t field, qdi_buffer_field **out, qd_err *err)
{
    qd_assert(b->in_doc && field < b->fields.n);
    qdi_buffer_field *f = b->fields.at[field];
    *out = f;
    if (QD_LIKELY(f->touched)) return 0;
    qd_account *a = b->account;
    /* room for what the commit adds, so that it cannot fail there */
    if (qd_vec_push(&b->touched, a, field) || qd_vec_reserve(&f->docs, a, 1) ||
        qd_vec_reserve(&f->words, a, 1) || qd_vec_reserve(&f->norms, a, 1)) {
        if (b->touched.n && b->touched.at[b->touched.n - 1] == field) b->touched.n--;
        return qd_err_nomem(err, "indexing buffer");
    }
    f->touched = true;
    f->mark = f->stream.n;
    f->gaps_mark = f->gaps.n;
    f->length = 0;
    f->position = UINT32_MAX;
    f->gap = 0;
    f->start = 0;
    f->last_id = QDI_NO_TERM;
    return 0;
}

static int by_term(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Words of a document since the mark, each counted once: with no frequencies kept that is its
 * length, as in Lucene. Must not fail: without memory for sorting every word is looked for. */
static uint32_t distinct_words(qd_buffer *b, const qdi_buffer_field *f, uint32_t words)
{
    uint32_t *ids = qdi_buffer_space(b, (size_t)words * sizeof *ids), n = 0, distinct = 0;
    qdi_stream_cursor c;
    qdi_stream_seek(&c, &f->stream, f->mark);
    for (; n < words; n++) {
        if (c.have == 0) qdi_stream_turn(&c);
        uint32_t id = *c.p++;
        c.have--;
        if (ids) {
            ids[n] = id;
            continue;
        }
        qdi_stream_cursor again;
        uint32_t k = 0;
        qdi_stream_seek(&again, &f->stream, f->mark);
        for (; k < n; k++) {
            if (again.have == 0) qdi_stream_turn(&again);
            again.have--;
            if (*again.p++ == id) break;
        }
        distinct += k == n;
    }
    if (!ids) return distinct;
    qsort(ids, n, sizeof *ids, by_term);
    for (uint32_t i = 0; i < n; i++) distinct += !i || ids[i] != ids[i - 1];
    return distinct;
}

int qd_buffer_doc_commit(qd_buffer *b, qd_err *err)
{
    QD_CHECK(b, QDI_BUFFER_MAGIC);
    qd_assert(b->in_doc);
    if (b->source.p) {
        int rc = qdi_stored_buffer_add(b->stored, b->docs, b->source, err);
        if (rc) return rc;
    }
    for (size_t i = 0; i < b->touched.n; i++) {
        qdi_buffer_field *f = b->fields.at[b->touched.at[i]];
        f->touched = false;
        if (!f->wrote) f->first = b->docs;
        f->wrote = true;
        uint32_t words = (uint32_t)(f->stream.n - f->mark);
        if (words == 0) continue;
        f->docs.at[f->docs.n++] = b->docs;
        f->words.at[f->words.n++] = words;
        if (f->info.index == QD_INDEX_DOCS && f->info.norms && words > 1)
            f->length = distinct_words(b, f, words);
        f->norms.at[f->norms.n++] = qd_norm_of(f->length);
        if (f->position > f->max_position) f->max_position = f->position;
        b->words += words;
    }
    if (QD_UNLIKELY(b->nested.n)) qdi_buffer_nested_commit(b);
    b->docs++;
    b->in_doc = false;
    return 0;
}

void qdi_buffer_forget_words(qd_buffer *b, qdi_buffer_field *f)
{
    qdi_stream_cursor c;
    qdi_stream_seek(&c, &f->stream, f->mark);
    for (uint64_t left = f->stream.n - f->mark; left;) {
        if (c.have == 0) qdi_stream_turn(&c);
        uint32_t n = left < c.have ? (uint32_t)left : c.have;
        for (uint32_t i = 0; i < n; i++) f->table.count[c.p[i]]--;
        c.have -= n;
        c.p += n;
        left -= n;
    }
    qdi_stream_cut(&f->stream, &b->pool, f->mark);
    if (f->starts.n > f->mark) qdi_stream_cut(&f->starts, &b->pool, f->mark);
    if (f->ends.n > f->mark) qdi_stream_cut(&f->ends, &b->pool, f->mark);
    f->gaps.n = f->gaps_mark;
}

void qd_buffer_doc_abort(qd_buffer *b)
{
    QD_CHECK(b, QDI_BUFFER_MAGIC);
    qd_assert(b->in_doc);
    for (size_t i = 0; i < b->touched.n; i++) {
        qdi_buffer_field *f = b->fields.at[b->touched.at[i]];
        qdi_buffer_forget_words(b, f);
        if (f->column) qdi_column_buffer_rollback(f->column, b->docs);
        if (f->points) qdi_points_buffer_rollback(f->points, b->docs);
        if (f->part.buffer) f->part.type.vt->cut(f->part.buffer, b->docs);
        f->touched = false;
    }
    if (b->stored) qdi_stored_buffer_rollback(b->stored, b->docs);
    qdi_buffer_nested_abort(b);
    b->id_doc = UINT32_MAX;
    b->in_doc = false;
}

int qd_buffer_source(qd_buffer *b, qd_str source, qd_err *err)
{
    qd_assert(b->in_doc);
    if (b->stored_codec == QD_STORED_NONE) return 0;
    if (!b->stored) {
        int rc = qdi_stored_buffer_make(b->stored_codec, b->account, &b->stored, err);
        if (rc) return rc;
    }
    b->source = source.p ? source : QD_STR("");
    return 0;
}

int qd_buffer_id(qd_buffer *b, qd_str id, qd_err *err)
{
    if (b->id_field == QD_FIELD_NONE) {
        qd_field_info info = {.name = QD_STR("_id"), .column = QD_COLUMN_BYTES};
        int rc = qd_buffer_field(b, &info, &b->id_field, err);
        if (rc) return rc;
    }
    int rc = qd_buffer_column_bytes(b, b->id_field, id, err);
    if (rc) return rc;
    b->has_ids = true;
    b->id_doc = b->docs;
    return 0;
}

void qd_buffer_stored_codec(qd_buffer *b, uint8_t codec)
{
    QD_CHECK(b, QDI_BUFFER_MAGIC);
    qd_assert(b->docs == 0 && !b->in_doc && codec <= QD_STORED_NONE);
    if (codec == b->stored_codec) return;
    qdi_stored_buffer_free(b->stored);
    b->stored = NULL;
    b->stored_codec = b->next_codec = codec;
}

int qd_buffer_column_i64(qd_buffer *b, uint32_t field, const int64_t *v, uint32_t n, qd_err *err)
{
    qdi_buffer_field *f;
    int rc = qdi_buffer_touch(b, field, &f, err);
    if (rc) return rc;
    qd_assert(f->info.column == QD_COLUMN_I64);
    return qdi_column_buffer_i64(f->column, b->docs, v, n, err);
}

int qd_buffer_column_bytes(qd_buffer *b, uint32_t field, qd_str v, qd_err *err)
{
    qdi_buffer_field *f;
    int rc = qdi_buffer_touch(b, field, &f, err);
    if (rc) return rc;
    qd_assert(f->info.column == QD_COLUMN_ORDINAL || f->info.column == QD_COLUMN_BYTES);
    if (v.n > QD_TERM_BYTES_MAX && f->info.column == QD_COLUMN_ORDINAL)
        return qd_err_set(err, QD_E_ARG, "DocValuesField \"%.*s\" is too large, must be <= %u",
                          QD_STR_ARG(f->info.name), QD_TERM_BYTES_MAX);
    if (field == b->id_field && b->has_ids && b->id_doc == b->docs) return 0; /* qd_buffer_id's */
    if (!f->column_ids) return qdi_column_buffer_str(f->column, b->docs, v, err);
    /* usually the word was indexed just before */
    uint32_t id = f->last_id;
    if (id == QDI_NO_TERM || !qd_str_eq(qdi_term_table_at(&f->table, id), v)) {
        rc = qdi_term_table_add(&f->table, b->account, v, &id);
        if (rc) return qd_err_set(err, rc, "out of memory: words of the indexing buffer");
    }
    return qdi_column_buffer_ids(f->column, b->docs, &id, 1, err);
}

int qd_buffer_points_i64(qd_buffer *b, uint32_t field, const int64_t *v, uint32_t n, qd_err *err)
{
    qdi_buffer_field *f;
    int rc = qdi_buffer_touch(b, field, &f, err);
    qd_assert(rc || f->info.point == QD_POINT_I64);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        qd_point_value p = {.i = v[i]};
        rc = qdi_points_buffer_add(f->points, b->docs, &p, 1, err);
    }
    return rc;
}

int qd_buffer_point_b16(qd_buffer *b, uint32_t field, const uint8_t v[16], qd_err *err)
{
    qdi_buffer_field *f;
    int rc = qdi_buffer_touch(b, field, &f, err);
    if (rc) return rc;
    qd_assert(f->info.point == QD_POINT_B16);
    qd_point_value p;
    memcpy(p.b, v, 16);
    return qdi_points_buffer_add(f->points, b->docs, &p, 1, err);
}

int qd_buffer_field_part(qd_buffer *b, uint32_t field, const qd_part_type *t,
                         const qd_field_conf *conf, qd_err *err)
{
    QD_CHECK(b, QDI_BUFFER_MAGIC);
    qd_assert(field < b->fields.n);
    qdi_buffer_field *f = b->fields.at[field];
    if (!f->part.buffer) return qdi_index_part_begin(&f->part, t, conf, err);
    if (f->part.type.vt == t->vt) return 0;
    return qd_err_set(err, QD_E_ARG, "field [%.*s] is already indexed in another way",
                      QD_STR_ARG(f->info.name));
}

int qd_buffer_part(qd_buffer *b, uint32_t field, qd_str value, qd_err *err)
{
    qdi_buffer_field *f;
    int rc = qdi_buffer_touch(b, field, &f, err);
    if (rc) return rc;
    qd_assert(f->part.buffer);
    return f->part.type.vt->add(f->part.buffer, b->docs, value, err);
}

uint32_t qd_buffer_docs(const qd_buffer *b)
{
    return b->docs;
}

static uint64_t field_bytes(const qdi_buffer_field *f)
{
    uint64_t n = qdi_term_table_bytes(&f->table) + f->gaps.n * sizeof(qdi_gap) + f->docs.n * 9;
    n += (f->stream.n + f->starts.n + f->ends.n) * 4;
    if (f->column) n += qdi_column_buffer_bytes(f->column);
    if (f->points) n += qdi_points_buffer_bytes(f->points);
    if (f->part.buffer) n += f->part.type.vt->bytes(f->part.buffer);
    return n;
}

/* Sorting takes 4 bytes a word more (8 where a field's documents and positions fill over 32 bits,
 * which only fields of very long documents do) and 8 a term, for one field at a time. */
uint64_t qd_buffer_bytes(const qd_buffer *b)
{
    uint64_t n = b->stored ? qdi_stored_buffer_bytes(b->stored) : 0, most = 0;
    for (size_t i = 0; i < b->fields.n; i++) {
        const qdi_buffer_field *f = b->fields.at[i];
        uint64_t sort = f->stream.n * 4 + (uint64_t)f->table.n * 8;
        n += field_bytes(f);
        if (sort > most) most = sort;
    }
    return n + most + qdi_buffer_nested_bytes(b);
}

void *qdi_buffer_space(qd_buffer *b, size_t n)
{
    if (n <= b->space_cap) return b->space;
    qd_free(b->space);
    b->space_cap = 0;
    size_t cap = n + n / 8;
    b->space = qd_alloc(b->account, cap);
    if (!b->space) {
        cap = n;
        b->space = qd_alloc(b->account, cap);
    }
    if (b->space) b->space_cap = cap;
    return b->space;
}

static void field_reset(qd_buffer *b, qdi_buffer_field *f)
{
    qdi_term_table_reset(&f->table);
    qdi_stream_cut(&f->stream, &b->pool, 0);
    qdi_stream_cut(&f->starts, &b->pool, 0);
    qdi_stream_cut(&f->ends, &b->pool, 0);
    f->docs.n = f->words.n = f->norms.n = f->gaps.n = 0;
    f->max_position = 0;
    if (f->column) qdi_column_buffer_reset(f->column);
    if (f->points) qdi_points_buffer_reset(f->points);
    if (f->part.buffer) f->part.type.vt->cut(f->part.buffer, 0);
    f->wrote = false;
}

/* Fields that were written stay, with their memory, for the next documents are likely to have them;
 * the others go. Their numbers are given anew. */
void qd_buffer_reset(qd_buffer *b)
{
    QD_CHECK(b, QDI_BUFFER_MAGIC);
    if (b->in_doc) qd_buffer_doc_abort(b);
    size_t kept = 0;
    for (size_t i = 0; i < b->fields.n; i++) {
        qdi_buffer_field *f = b->fields.at[i];
        if (!f->wrote) {
            qd_map_del(&b->by_name, f->info.name);
            field_fini(b, f);
            continue;
        }
        field_reset(b, f);
        b->fields.at[kept++] = f;
        int rc = qd_map_put(&b->by_name, f->info.name, (void *)(uintptr_t)kept, NULL);
        qd_assert(rc == 0); /* the key is there: nothing is allocated */
    }
    b->fields.n = kept;
    b->docs = 0;
    b->words = 0;
    qdi_buffer_nested_reset(b);
    b->has_ids = false;
    b->id_field = QD_FIELD_NONE;
    b->id_doc = UINT32_MAX;
    if (b->next_codec != b->stored_codec)
        qd_buffer_stored_codec(b, b->next_codec);
    else if (b->stored)
        qdi_stored_buffer_reset(b->stored);
}

void qd_buffer_trim(qd_buffer *b)
{
    QD_CHECK(b, QDI_BUFFER_MAGIC);
    qd_assert(b->docs == 0 && !b->in_doc);
    for (size_t i = 0; i < b->fields.n; i++) {
        qd_map_del(&b->by_name, b->fields.at[i]->info.name);
        field_fini(b, b->fields.at[i]);
    }
    qd_vec_fini(&b->fields);
    qdi_buffer_nested_free(b);
    qd_map_fini(&b->by_name);
    qdi_chunk_pool_fini(&b->pool);
    qdi_stored_buffer_free(b->stored);
    b->stored = NULL;
    qd_free(b->space);
    b->space = NULL;
    b->space_cap = 0;
}
