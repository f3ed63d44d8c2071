/*
 * build.c: a field's terms in order, with the documents of each, turned into a column: the
 * dictionary is written as the terms come, their documents are kept and sorted by counting.
 */
#include "segment/columns/column_writer_int.h"
#include "segment/fielddata/fielddata_int.h"
#include "segment/postings.h"
#include "segment/segment_int.h"

#define AT_ONCE 64u /* terms whose documents are read together */

typedef struct build {
    qd_segment *s;
    uint32_t field;
    uint32_t least, most; /* documents of a term that is kept */
    qd_account *account;
    qd_file_writer *w;
    qdi_strings_writer strings;
    uint64_t dict_bytes;
    uint32_t nterms;
    uint32_t *term_docs; /* documents of all terms, one after the other */
    uint64_t n, room;    /* how many; how many more there may be */
    QD_VEC(uint32_t) df; /* of each term */
    uint32_t *starts;    /* by document: values before it, in ords */
    uint32_t *ords;
    uint32_t pending;
    qd_term terms[AT_ONCE];
    qd_postings postings[AT_ONCE];
    qd_reads *reads;
} build;

static void bounds(build *b, const qd_fielddata_filter *f)
{
    uint32_t docs = b->s->stats[b->field].docs;
    b->least = 0;
    b->most = UINT32_MAX;
    if ((int64_t)docs < f->min_docs) return;
    double min = f->min > 1 ? f->min : f->min * docs, max = f->max > 1 ? f->max : f->max * docs;
    b->least = min >= UINT32_MAX ? UINT32_MAX : (uint32_t)min;
    if (f->max > 0 && max < UINT32_MAX) b->most = (uint32_t)max;
}

static int take_docs(build *b, qd_postings *p, qd_err *err)
{
    uint32_t docs[192], left = p->df;
    for (uint32_t i = 0; i < p->nblk; i++) {
        uint32_t n = qd_postings_docs(p, i, docs);
        if (n > left) n = left;
        memcpy(b->term_docs + b->n, docs, n * sizeof *docs);
        b->n += n;
        left -= n;
    }
    int rc = qd_postings_status(p, err);
    if (rc || !left) return rc;
    return qdi_corrupt(b->s, QDI_SEC_POSTINGS, p->term.postings, "documents of a term", err);
}

/* The documents of the terms gathered. */
static int flush(build *b, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < b->pending && !rc; i++)
        rc = qd_postings_plan(b->s, &b->terms[i], QD_INDEX_DOCS, b->reads, &b->postings[i], err);
    if (!rc) rc = qd_reads_fetch(b->reads, err);
    for (uint32_t i = 0; i < b->pending && !rc; i++) {
        rc = qd_postings_open(&b->postings[i], b->reads, err);
        if (!rc) rc = take_docs(b, &b->postings[i], err);
    }
    if (!rc) rc = qd_reads_check(b->reads, err);
    qd_reads_release(b->reads);
    b->pending = 0;
    return rc;
}

static int take_term(build *b, qd_str text, const qd_term *t, qd_err *err)
{
    if (t->df < b->least || t->df > b->most) return 0;
    if (b->room < t->df)
        return qdi_corrupt(b->s, QDI_SEC_META, 0, "more postings than META says", err);
    int rc = qdi_strings_add(&b->strings, text, err);
    if (!rc && qd_vec_push(&b->df, b->account, t->df)) rc = qd_err_nomem(err, "fielddata");
    if (rc) return rc;
    b->nterms++;
    b->room -= t->df;
    b->terms[b->pending++] = *t;
    return b->pending == AT_ONCE ? flush(b, err) : 0;
}

static int take_terms(build *b, qd_arena *arena, qd_err *err)
{
    qd_term_iter *it;
    qd_term t;
    qd_str text;
    qd_term_range all = {0};
    int rc = qd_term_iter_open(b->s, b->field, &all, arena, &it, err), more = 1;
    while (!rc && (more = qd_term_iter_step(it, &text, &t, err)) == 1)
        rc = take_term(b, text, &t, err);
    if (!rc && more < 0) rc = more;
    return rc ? rc : flush(b, err);
}

/* Ordinals by document, ascending in each because terms come in order. */
static int turn(build *b, qd_err *err)
{
    uint32_t docs = b->s->docs, at = 0;
    b->starts = qd_calloc(b->account, ((size_t)docs + 2) * sizeof *b->starts);
    b->ords = qd_alloc(b->account, (b->n + 1) * sizeof *b->ords);
    if (!b->starts || !b->ords) return qd_err_nomem(err, "fielddata");
    for (uint64_t i = 0; i < b->n; i++) {
        if (b->term_docs[i] >= docs)
            return qdi_corrupt(b->s, QDI_SEC_POSTINGS, 0, "documents of a term", err);
        b->starts[b->term_docs[i] + 2]++;
    }
    for (uint32_t d = 0; d < docs; d++) b->starts[d + 2] += b->starts[d + 1];
    uint64_t k = 0;
    for (uint32_t t = 0; t < b->nterms; t++)
        for (uint32_t i = 0; i < b->df.at[t]; i++) {
            at = b->starts[b->term_docs[k++] + 1]++;
            b->ords[at] = t;
        }
    return 0;
}

static int write_values(build *b, qd_buf *index, qd_err *err)
{
    qdi_column_writer x;
    int64_t *values = NULL;
    uint32_t room = 0;
    int rc = qdi_column_writer_init(&x, b->s->docs, b->account, err);
    if (!rc && qd_buf_add(index, "\0\0\0", 4)) rc = qd_err_nomem(err, "fielddata");
    if (!rc) qdi_column_writer_begin(&x, b->w, 0, QD_COLUMN_ORDINAL);
    for (uint32_t d = 0; d < b->s->docs && !rc; d++) {
        uint32_t from = b->starts[d], n = b->starts[d + 1] - from;
        if (!n) continue;
        if (n > room) {
            room = n < 64 ? 64 : 2 * n;
            int64_t *more = qd_realloc(b->account, values, room * sizeof *values);
            if (!more) rc = qd_err_nomem(err, "fielddata");
            if (more) values = more;
        }
        for (uint32_t i = 0; i < n && !rc; i++) values[i] = b->ords[from + i];
        if (!rc) rc = qdi_column_writer_add(&x, d, values, n, err);
    }
    if (!rc) rc = qdi_column_writer_end(&x, &b->strings, b->dict_bytes, index, err);
    if (!rc) qd_put_u32le(index->p, x.head.docs > 0);
    qdi_column_writer_fini(&x);
    qd_free(values);
    return rc;
}

static int write_all(build *b, qd_arena *arena, qd_buf *index, qd_err *err)
{
    int rc = qd_file_section_begin(b->w, QDI_SEC_COLUMN_DICT, false, err);
    if (!rc) rc = take_terms(b, arena, err);
    if (!rc) rc = qdi_strings_end(&b->strings, &b->dict_bytes, err);
    if (!rc) rc = qd_file_section_end(b->w, NULL, err);
    if (!rc) rc = turn(b, err);
    if (!rc) rc = qd_file_section_begin(b->w, QDI_SEC_COLUMNS, false, err);
    if (!rc) rc = write_values(b, index, err);
    if (!rc) rc = qd_file_section_end(b->w, NULL, err);
    if (!rc) rc = qd_file_section_begin(b->w, QDI_SEC_COLUMN_INDEX, true, err);
    if (!rc) rc = qd_file_write(b->w, index->p, index->n, err);
    return rc ? rc : qd_file_section_end(b->w, NULL, err);
}

int qdi_fielddata_build(qd_segment *s, uint32_t field, const qd_fielddata_filter *filter,
                        qd_account *account, qd_file **file, qd_err *err)
{
    qd_arena arena;
    qd_buf index;
    qd_file_format format = QDI_SEGMENT_FORMAT;
    uint64_t postings = s->stats[field].sum_df;
    if (postings > UINT32_MAX)
        return qd_err_set(err, QD_E_LIMIT, "fielddata of [%.*s]: more than %u values in a segment",
                          QD_STR_ARG(s->fields[field].name), UINT32_MAX);
    qd_arena_init(&arena, account, 0);
    qd_buf_init(&index, account, (size_t)1 << 32);
    build *b = qd_calloc(account, sizeof *b);
    int rc = b ? 0 : qd_err_nomem(err, "fielddata");
    if (!rc) {
        *b = (build){.s = s, .field = field, .account = account, .room = postings};
        bounds(b, filter);
        b->term_docs = qd_alloc(account, (postings + 1) * sizeof *b->term_docs);
        b->reads = qd_reads_make(&arena, account);
        if (!b->term_docs || !b->reads) rc = qd_err_nomem(err, "fielddata");
    }
    if (!rc) rc = qd_file_create_in_memory("fielddata", &format, account, &b->w, err);
    if (!rc) {
        qdi_strings_begin(&b->strings, b->w, account);
        rc = write_all(b, &arena, &index, err);
        qdi_strings_fini(&b->strings);
        if (rc)
            qd_file_abort(b->w);
        else
            rc = qd_file_commit_in_memory(b->w, file, err);
    }
    if (b) {
        qd_free(b->term_docs);
        qd_free(b->starts);
        qd_free(b->ords);
        qd_vec_fini(&b->df);
    }
    qd_free(b);
    qd_arena_fini(&arena);
    qd_buf_fini(&index);
    return rc;
}
