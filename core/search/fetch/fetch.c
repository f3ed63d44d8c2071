/* fetch.c: documents that were found, segment by segment. See fetch.h. */
#include "search/fetch/fetch.h"
#include "base/str.h"
#include "engine/doc_sources.h"
#include "engine/document.h"
#include "search/fielddata.h"
#include "segment/segment.h"
#include <stdlib.h>

#define SOURCES_AT_ONCE 128u /* stored blocks pinned at one time */

/* A wanted document: its place in the caller's arrays. */
typedef struct want {
    uint32_t doc; /* global */
    uint32_t at;
} want;

/* Readers of one segment. */
typedef struct leaf_fetch {
    const qd_fetch_options *o;
    const qd_leaf *leaf;
    qd_arena *keep; /* of the results */
    qd_arena *scratch;
    qd_reads *reads;
    const want *wants; /* of this segment, ascending */
    uint32_t *docs;    /* the same, local */
    uint32_t n;
    qd_fetched *out;
} leaf_fetch;

static int by_doc(const void *a, const void *b)
{
    const want *x = a, *y = b;
    return x->doc < y->doc ? -1 : x->doc > y->doc;
}

static const qd_column *column_of(const leaf_fetch *f, qd_str name)
{
    uint32_t field = qd_segment_field_find(f->leaf->segment, name);
    const qd_columns *set = qd_segment_columns(f->leaf->segment);
    return field == QD_FIELD_NONE || !set ? NULL : qd_columns_get(set, field);
}

/* Plans a column for all wanted documents; *out NULL where the segment lacks it. */
static int plan(leaf_fetch *f, qd_str name, qd_column_reader **out, qd_err *err)
{
    const qd_column *c = column_of(f, name);
    *out = NULL;
    return c ? qd_column_plan_docs(c, f->docs, f->n, f->reads, f->scratch, out, err) : 0;
}

static int keep_str(leaf_fetch *f, qd_str s, qd_str *out, qd_err *err)
{
    *out = qd_arena_str(f->keep, s);
    if (!out->p) {
        if (s.n) return qd_err_nomem(err, "documents found");
        *out = (qd_str){"", 0};
    }
    return 0;
}

static int read_number(qd_column_reader *rd, uint32_t doc, int64_t *out, qd_err *err)
{
    const int64_t *v;
    uint32_t n = 0;
    int rc = rd ? qd_column_values(rd, doc, &v, &n, err) : 0;
    if (!rc && n) *out = v[0];
    return rc;
}

static int read_bytes(leaf_fetch *f, qd_column_reader *rd, uint32_t doc, qd_str *out, qd_err *err)
{
    qd_str text;
    bool found = false;
    int rc = rd ? qd_column_bytes(rd, doc, &text, &found, err) : 0;
    return rc || !found ? rc : keep_str(f, text, out, err);
}

/* A document's id. A client may write by it what it finds here: so it is not believed alone. */
static int read_id(leaf_fetch *f, qd_column_reader *rd, uint32_t doc, qd_str *out, qd_err *err)
{
    const qd_ids *ids = qd_segment_ids(f->leaf->segment);
    int rc = read_bytes(f, rd, doc, out, err);
    return rc || !ids || !out->n ? rc : qd_ids_confirm(ids, *out, doc, f->reads, err);
}

/* The engine's own columns. */
static int fetch_own(leaf_fetch *f, qd_err *err)
{
    qd_column_reader *id = NULL, *routing = NULL, *version = NULL, *seq_no = NULL, *term = NULL;
    int rc = f->o->id ? plan(f, QD_STR(QD_FIELD_NAME_ID), &id, err) : 0;
    if (!rc && f->o->routing) rc = plan(f, QD_STR(QD_FIELD_NAME_ROUTING), &routing, err);
    if (!rc && f->o->version) rc = plan(f, QD_STR(QD_FIELD_NAME_VERSION), &version, err);
    if (!rc && f->o->seq_no) rc = plan(f, QD_STR(QD_FIELD_NAME_SEQ_NO), &seq_no, err);
    if (!rc && f->o->seq_no) rc = plan(f, QD_STR(QD_FIELD_NAME_PRIMARY_TERM), &term, err);
    if (!rc) rc = qd_reads_fetch(f->reads, err);
    for (uint32_t i = 0; i < f->n && !rc; i++) {
        qd_fetched *x = &f->out[f->wants[i].at];
        uint32_t doc = f->docs[i];
        rc = read_id(f, id, doc, &x->id, err);
        if (!rc) rc = read_bytes(f, routing, doc, &x->routing, err);
        if (!rc) rc = read_number(version, doc, &x->version, err);
        if (!rc) rc = read_number(seq_no, doc, &x->seq_no, err);
        if (!rc) rc = read_number(term, doc, &x->primary_term, err);
    }
    if (!rc) rc = qd_reads_check(f->reads, err);
    qd_reads_release(f->reads);
    return rc;
}

/* --- columns asked for --- */

static int keep_numbers(leaf_fetch *f, qd_column_reader *rd, uint32_t column, qd_err *err)
{
    for (uint32_t i = 0; i < f->n; i++) {
        qd_fetch_values *v = &f->out[f->wants[i].at].columns[column];
        const int64_t *from;
        int rc = qd_column_values(rd, f->docs[i], &from, &v->n, err);
        if (rc) return rc;
        if (!v->n) continue;
        int64_t *to = qd_arena_alloc(f->keep, v->n * sizeof *to);
        if (!to) return qd_err_nomem(err, "values of documents found");
        memcpy(to, from, v->n * sizeof *to);
        v->i64 = to;
    }
    return 0;
}

/* Ordinals first, then the dictionary once for all of them. */
static int keep_strings(leaf_fetch *f, const qd_column *c, qd_column_reader *rd, uint32_t column,
                        qd_err *err)
{
    qd_dict_reader *dict;
    int rc = keep_numbers(f, rd, column, err);
    if (!rc) rc = qd_dict_plan_all(c, f->reads, f->scratch, &dict, err);
    if (!rc) rc = qd_reads_fetch(f->reads, err);
    for (uint32_t i = 0; i < f->n && !rc; i++) {
        qd_fetch_values *v = &f->out[f->wants[i].at].columns[column];
        qd_str *to = v->n ? qd_arena_alloc(f->keep, v->n * sizeof *to) : NULL;
        if (v->n && !to) return qd_err_nomem(err, "values of documents found");
        for (uint32_t k = 0; k < v->n && !rc; k++) {
            qd_str text;
            rc = qd_dict_at(dict, (uint32_t)v->i64[k], &text, err);
            if (!rc) rc = keep_str(f, text, &to[k], err);
        }
        v->bytes = to;
        v->i64 = NULL;
    }
    return rc;
}

static int keep_byte_strings(leaf_fetch *f, qd_column_reader *rd, uint32_t column, qd_err *err)
{
    for (uint32_t i = 0; i < f->n; i++) {
        qd_fetch_values *v = &f->out[f->wants[i].at].columns[column];
        qd_str *to = qd_arena_calloc(f->keep, sizeof *to);
        if (!to) return qd_err_nomem(err, "values of documents found");
        int rc = read_bytes(f, rd, f->docs[i], to, err);
        if (rc) return rc;
        v->n = to->p != NULL;
        v->bytes = to;
    }
    return 0;
}

static int fetch_column(leaf_fetch *f, uint32_t column, qd_err *err)
{
    const qd_column *c = column_of(f, f->o->columns[column]);
    const qd_field *text = f->o->fielddata ? f->o->fielddata[column] : NULL;
    qd_column_reader *rd;
    int rc = text ? qd_leaf_fielddata(f->leaf, text, f->scratch, &c, err) : 0;
    if (rc || !c) return rc;
    rc = qd_column_plan_docs(c, f->docs, f->n, f->reads, f->scratch, &rd, err);
    if (!rc) rc = qd_reads_fetch(f->reads, err);
    uint8_t type = qd_column_stats_get(c)->type;
    if (!rc && type == QD_COLUMN_I64) rc = keep_numbers(f, rd, column, err);
    if (!rc && type == QD_COLUMN_ORDINAL) rc = keep_strings(f, c, rd, column, err);
    if (!rc && type == QD_COLUMN_BYTES) rc = keep_byte_strings(f, rd, column, err);
    if (!rc) rc = qd_reads_check(f->reads, err);
    qd_reads_release(f->reads);
    return rc;
}

/* --- sources --- */

/* What is stored of the documents [from, to) becomes their sources. */
static int make_sources(leaf_fetch *f, uint32_t from, uint32_t to, qd_err *err)
{
    qd_str text[SOURCES_AT_ONCE];
    for (uint32_t i = from; i < to; i++) text[i - from] = f->out[f->wants[i].at].source;
    int rc = qd_sources_make(f->o->mapping, f->leaf->segment, f->docs + from, to - from, text,
                             f->keep, f->scratch, err);
    for (uint32_t i = from; i < to; i++) f->out[f->wants[i].at].source = text[i - from];
    return rc;
}

static int fetch_sources(leaf_fetch *f, qd_stored_scratch *scratch, qd_err *err)
{
    uint32_t slots[SOURCES_AT_ONCE];
    const qd_stored *stored = qd_segment_stored(f->leaf->segment);
    int rc = 0;
    for (uint32_t from = 0; stored && from < f->n && !rc; from += SOURCES_AT_ONCE) {
        uint32_t to = f->n - from < SOURCES_AT_ONCE ? f->n : from + SOURCES_AT_ONCE;
        for (uint32_t i = from; i < to && !rc; i++) {
            rc = qd_stored_plan(stored, f->docs[i], f->reads, &slots[i - from], err);
        }
        if (!rc) rc = qd_reads_fetch(f->reads, err);
        for (uint32_t i = from; i < to && !rc; i++) {
            qd_fetched *x = &f->out[f->wants[i].at];
            qd_str text;
            rc = qd_stored_get(stored, f->docs[i], f->reads, slots[i - from], scratch, &text, err);
            x->source_stored = !rc && text.n > 0;
            if (!rc) rc = keep_str(f, text, &x->source, err);
        }
        if (!rc) rc = qd_reads_check(f->reads, err);
        qd_reads_release(f->reads);
        if (!rc && f->o->mapping && qd_mapping_synthetic(f->o->mapping))
            rc = make_sources(f, from, to, err);
    }
    return rc;
}

static int fetch_leaf(leaf_fetch *f, qd_stored_scratch *scratch, qd_err *err)
{
    f->docs = qd_arena_alloc(f->scratch, f->n * sizeof *f->docs);
    f->reads = qd_reads_make(f->scratch, f->scratch->account);
    if (!f->docs || !f->reads) return qd_err_nomem(err, "documents found");
    for (uint32_t i = 0; i < f->n; i++) f->docs[i] = f->wants[i].doc - f->leaf->base;
    int rc = fetch_own(f, err);
    for (uint32_t i = 0; i < f->o->ncolumns && !rc; i++) rc = fetch_column(f, i, err);
    if (!rc && f->o->source) rc = fetch_sources(f, scratch, err);
    return rc;
}

int qd_fetch(qd_searcher *s, const uint32_t *docs, uint32_t n, const qd_fetch_options *o,
             qd_arena *arena, qd_fetched *out, qd_err *err)
{
    qd_stored_scratch stored = {.account = arena->account};
    qd_arena scratch;
    int rc = 0;
    if (!n) return 0;
    qd_arena_init(&scratch, arena->account, 0);
    want *w = qd_arena_alloc(&scratch, n * sizeof *w);
    memset(out, 0, n * sizeof *out);
    for (uint32_t i = 0; i < n && w; i++) {
        w[i] = (want){docs[i], i};
        out[i].columns =
            o->ncolumns ? qd_arena_calloc(arena, o->ncolumns * sizeof *out[i].columns) : NULL;
        if (o->ncolumns && !out[i].columns) w = NULL;
    }
    if (!w) rc = qd_err_nomem(err, "documents found");
    if (!rc) qsort(w, n, sizeof *w, by_doc);
    for (uint32_t from = 0, to; from < n && !rc; from = to) {
        const qd_leaf *leaf = qd_searcher_leaf_of(s, w[from].doc);
        for (to = from + 1; to < n && w[to].doc < leaf->base + leaf->docs;) to++;
        leaf_fetch f = {.o = o,
                        .leaf = leaf,
                        .keep = arena,
                        .scratch = &scratch,
                        .wants = &w[from],
                        .n = to - from,
                        .out = out};
        rc = fetch_leaf(&f, &stored, err);
    }
    qd_stored_scratch_fini(&stored);
    qd_arena_fini(&scratch);
    return rc;
}
