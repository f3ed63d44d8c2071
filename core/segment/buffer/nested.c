/*
 * nested.c: nested documents of an indexing buffer: a buffer of its own for each path. They are
 * committed one by one while the document above is open; its abort takes them back.
 */
#include "segment/buffer/buffer_int.h"

static qdi_nested_buffer *find(const qd_buffer *b, qd_str path)
{
    for (size_t i = 0; i < b->nested.n; i++)
        if (qd_str_eq(b->nested.at[i]->path, path)) return b->nested.at[i];
    return NULL;
}

static void nested_free(qdi_nested_buffer *x)
{
    qd_buffer_destroy(x->b);
    qd_vec_fini(&x->counts);
    qd_free((char *)x->path.p);
    qd_free(x);
}

static qdi_nested_buffer *add(qd_buffer *b, qd_str path, qd_err *err)
{
    qdi_nested_buffer *x = qd_calloc(b->account, sizeof *x);
    if (x) x->path = (qd_str){qd_memdup(b->account, path.p, path.n), path.n};
    int rc = x && x->path.p ? qd_buffer_create(b->account, &x->b, err) : QD_E_NOMEM;
    if (rc || qd_vec_push(&b->nested, b->account, x)) {
        if (x) nested_free(x);
        (void)qd_err_nomem(err, "nested documents of the indexing buffer");
        return NULL;
    }
    return x;
}

int qd_buffer_nested(qd_buffer *b, qd_str path, qd_buffer **out, qd_err *err)
{
    QD_CHECK(b, QDI_BUFFER_MAGIC);
    qd_assert(b->in_doc && path.n);
    qdi_nested_buffer *x = find(b, path);
    if (!x) x = add(b, path, err);
    if (!x) return QD_E_NOMEM;
    /* room for what the commit adds, so that it cannot fail there */
    if (qd_vec_reserve(&x->counts, b->account, 1))
        return qd_err_nomem(err, "nested documents of the indexing buffer");
    *out = x->b;
    return 0;
}

void qdi_buffer_nested_commit(qd_buffer *b)
{
    for (size_t i = 0; i < b->nested.n; i++) {
        qdi_nested_buffer *x = b->nested.at[i];
        if (x->b->docs == x->mark) continue;
        qd_assert(x->b->docs > x->mark && !x->b->in_doc);
        x->counts.at[x->counts.n++] = (qdi_nested_count){b->docs, x->b->docs - x->mark};
        x->mark = x->b->docs;
    }
}

/* Takes the words of a field's documents from doc on out of the counts. */
static void cut_words(qd_buffer *b, qdi_buffer_field *f, uint32_t doc)
{
    uint64_t words = 0;
    while (f->docs.n && f->docs.at[f->docs.n - 1] >= doc) {
        words += f->words.at[f->docs.n - 1];
        f->docs.n = f->words.n = f->norms.n = f->docs.n - 1;
    }
    b->words -= words;
    f->mark = f->stream.n - words;
    f->gaps_mark = f->gaps.n;
    while (f->gaps_mark && f->gaps.at[f->gaps_mark - 1].word >= f->mark) f->gaps_mark--;
    qdi_buffer_forget_words(b, f);
}

void qdi_buffer_cut(qd_buffer *b, uint32_t docs)
{
    if (b->in_doc) qd_buffer_doc_abort(b);
    if (b->docs == docs) return;
    qd_assert(docs < b->docs);
    for (size_t i = 0; i < b->fields.n; i++) {
        qdi_buffer_field *f = b->fields.at[i];
        if (!f->wrote) continue;
        cut_words(b, f, docs);
        if (f->column) qdi_column_buffer_rollback(f->column, docs);
        if (f->points) qdi_points_buffer_rollback(f->points, docs);
        if (f->part.buffer) f->part.type.vt->cut(f->part.buffer, docs);
        if (f->first >= docs) f->wrote = false;
    }
    b->docs = docs;
    for (size_t i = 0; i < b->nested.n; i++) {
        qdi_nested_buffer *x = b->nested.at[i];
        while (x->counts.n && x->counts.at[x->counts.n - 1].doc >= docs)
            x->mark -= x->counts.at[--x->counts.n].n;
        qdi_buffer_cut(x->b, x->mark);
    }
}

void qdi_buffer_nested_abort(qd_buffer *b)
{
    for (size_t i = 0; i < b->nested.n; i++)
        qdi_buffer_cut(b->nested.at[i]->b, b->nested.at[i]->mark);
}

uint64_t qdi_buffer_nested_bytes(const qd_buffer *b)
{
    uint64_t n = 0;
    for (size_t i = 0; i < b->nested.n; i++)
        n += qd_buffer_bytes(b->nested.at[i]->b) + b->nested.at[i]->counts.n * 8 + b->docs;
    return n;
}

uint64_t qd_buffer_nested_docs(const qd_buffer *b)
{
    uint64_t n = 0;
    for (size_t i = 0; i < b->nested.n; i++)
        n += b->nested.at[i]->b->docs + qd_buffer_nested_docs(b->nested.at[i]->b);
    return n;
}

void qdi_buffer_nested_reset(qd_buffer *b)
{
    for (size_t i = 0; i < b->nested.n; i++) {
        qd_buffer_reset(b->nested.at[i]->b);
        b->nested.at[i]->counts.n = 0;
        b->nested.at[i]->mark = 0;
    }
}

void qdi_buffer_nested_free(qd_buffer *b)
{
    for (size_t i = 0; i < b->nested.n; i++) nested_free(b->nested.at[i]);
    qd_vec_fini(&b->nested);
}
