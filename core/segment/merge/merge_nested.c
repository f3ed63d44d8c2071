/*
 * merge_nested.c: tables of nested documents. Where a document goes its nested ones go, in their
 * order: their maps follow from those of the documents above and from the counts.
 */
#include "base/bits.h"
#include "segment/merge/merge_int.h"

bool qdi_merge_any_nested(const qdi_merge *m)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (m->segments[i]->nnested) return true;
    return false;
}

/* One path: what its sources are, and how many documents each document above has in the result. */
typedef struct table {
    qdi_merge *above, m;
    qd_str path;
    uint32_t *of;          /* number of each source among those above */
    qd_children *children; /* of each source */
    qd_reads *reads;
    uint32_t
        *counts; /* by document above, of the result; then the number of the first one of each */
} table;

static const qd_str *least_path(const qdi_merge *m, const uint32_t *at)
{
    const qd_str *least = NULL;
    for (uint32_t i = 0; i < m->n; i++) {
        const qd_segment *s = m->segments[i];
        if (at[i] == s->nnested) continue;
        const qd_str *path = &s->nested[at[i]].path;
        if (!least || qd_str_cmp(*path, *least) < 0) least = path;
    }
    return least;
}

/* Opens the sources that have the path. */
static int open_sources(table *t, uint32_t *at)
{
    qdi_merge *m = &t->m;
    uint32_t *slots = qd_arena_calloc(&m->arena, t->above->n * sizeof *slots);
    t->of = qd_arena_calloc(&m->arena, t->above->n * sizeof *t->of);
    t->children = qd_arena_calloc(&m->arena, t->above->n * sizeof *t->children);
    t->reads = qd_reads_make(&m->arena, m->account);
    if (!slots || !t->of || !t->children || !t->reads)
        return qd_err_nomem(m->err, "merge of nested documents");
    m->n = t->above->n;
    int rc = qdi_merge_make(m);
    m->n = 0;
    for (uint32_t i = 0; rc == 0 && i < t->above->n; i++) {
        qd_segment *s = t->above->segments[i];
        if (at[i] == s->nnested || !qd_str_eq(s->nested[at[i]].path, t->path)) continue;
        const qd_nested *n = &s->nested[at[i]++];
        rc = qdi_source_open(&m->sources[m->n], n->segment, m->account, m->err);
        t->of[m->n] = i;
        m->segments[m->n++] = n->segment;
        if (rc == 0) rc = qd_children_plan(s, n, t->reads, &slots[m->n - 1], m->err);
    }
    if (rc == 0) rc = qd_reads_fetch(t->reads, m->err);
    for (uint32_t k = 0; rc == 0 && k < m->n; k++) {
        const qd_segment *s = t->above->segments[t->of[k]];
        rc = qd_children_open(&t->children[k], s, qd_segment_nested(s, t->path), t->reads, slots[k],
                              m->err);
    }
    return rc;
}

/* Calls each for the documents above of source k, by their nested ones. */
#define COUNTS 256u
static void each_count(const table *t, uint32_t k,
                       void (*each)(const table *t, uint32_t k, uint32_t doc, uint32_t from,
                                    uint32_t to))
{
    const qd_children *c = &t->children[k];
    uint32_t firsts[COUNTS + 1];
    for (uint32_t d = 0; d < c->parents; d += COUNTS) {
        uint32_t n = c->parents - d < COUNTS ? c->parents - d : COUNTS;
        qd_children_firsts(c, d, n, firsts);
        for (uint32_t i = 0; i < n; i++)
            if (firsts[i + 1] > firsts[i]) each(t, k, d + i, firsts[i], firsts[i + 1]);
    }
}

static void count_kept(const table *t, uint32_t k, uint32_t doc, uint32_t from, uint32_t to)
{
    uint32_t new = qdi_renumber(&t->above->sources[t->of[k]], doc);
    if (new != QDI_DOC_GONE) t->counts[new] = to - from;
}

static void map_nested(const table *t, uint32_t k, uint32_t doc, uint32_t from, uint32_t to)
{
    uint32_t new = qdi_renumber(&t->above->sources[t->of[k]], doc), *map = t->m.maps[k];
    for (uint32_t c = from; c < to; c++)
        map[c] = new == QDI_DOC_GONE ? QDI_DOC_GONE : t->counts[new] + (c - from);
}

/* Counts become first numbers; *total their sum. */
static int sum_counts(table *t)
{
    uint64_t at = 0;
    for (uint32_t d = 0; d < t->above->docs; d++) {
        uint32_t n = t->counts[d];
        t->counts[d] = (uint32_t)at;
        at += n;
        if (at > QD_DOCS_MAX)
            return qd_err_set(t->m.err, QD_E_LIMIT,
                              "merging would exceed %u nested documents of [%.*s]", QD_DOCS_MAX,
                              QD_STR_ARG(t->path));
    }
    t->counts[t->above->docs] = (uint32_t)at;
    t->m.docs = (uint32_t)at;
    return 0;
}

static int number_source(table *t, uint32_t k)
{
    qdi_merge *m = &t->m;
    qdi_source *s = &m->sources[k];
    const qdi_merge_part *above = &t->above->parts[t->of[k]];
    uint32_t docs = s->segment->docs;
    s->number = k;
    if (above->map) {
        m->maps[k] = qd_alloc(m->account, ((size_t)docs + 1) * sizeof **m->maps);
        if (!m->maps[k]) return qd_err_nomem(m->err, "map of nested documents");
        for (uint32_t c = 0; c < docs; c++) m->maps[k][c] = QDI_DOC_GONE;
        each_count(t, k, map_nested);
    }
    uint32_t live = docs;
    for (uint32_t c = 0; m->maps[k] && c < docs; c++) live -= m->maps[k][c] == QDI_DOC_GONE;
    m->deletions |= live < docs;
    /* unless permuted the documents above are [base, base + live) of the result */
    s->base = t->counts[above->base < t->above->docs ? above->base : t->above->docs];
    s->map = m->maps[k];
    m->parts[k] = (qdi_merge_part){.columns = s->segment->columns,
                                   .points = s->segment->points,
                                   .stored = s->segment->stored,
                                   .ids = s->segment->ids,
                                   .docs = docs,
                                   .live = live,
                                   .base = s->base,
                                   .map = m->maps[k]};
    return 0;
}

/* Back from first numbers to counts, for the section. */
static int write_counts(table *t)
{
    for (uint32_t d = 0; d < t->above->docs; d++) t->counts[d] = t->counts[d + 1] - t->counts[d];
    return qdi_children_write(t->counts, t->above->docs, t->m.file, t->m.account, t->m.err);
}

static int write_table(table *t, const qd_segment_attrs *attrs, qdi_residents *r)
{
    const qd_segment_attrs own = {
        .min_seq_no = -1, .max_seq_no = -1, .sparse_bitmaps = attrs->sparse_bitmaps};
    qdi_nested_table *x;
    int rc = qdi_merge_schema(&t->m);
    if (rc == 0) rc = qdi_nested_begin(t->m.tables, t->m.file, &x, t->m.err);
    if (rc) return rc;
    qdi_nested_record(&r->nested, t->path, x->number);
    rc = qdi_merge_data(&t->m, &own, &x->residents);
    if (rc == 0) rc = write_counts(t);
    return rc ? rc : qdi_merge_nested(&t->m, attrs, &x->residents);
}

static int merge_table(table *t, uint32_t *at, const qd_segment_attrs *attrs, qdi_residents *r)
{
    int rc = open_sources(t, at);
    if (rc) return rc;
    t->counts = qd_calloc(t->m.account, ((size_t)t->above->docs + 2) * sizeof *t->counts);
    if (!t->counts) return qd_err_nomem(t->m.err, "merge of nested documents");
    for (uint32_t k = 0; k < t->m.n; k++) each_count(t, k, count_kept);
    rc = sum_counts(t);
    if (rc || t->m.docs == 0) return rc;
    for (uint32_t k = 0; rc == 0 && k < t->m.n; k++) rc = number_source(t, k);
    return rc ? rc : write_table(t, attrs, r);
}

int qdi_merge_nested(qdi_merge *m, const qd_segment_attrs *attrs, qdi_residents *r)
{
    if (!qdi_merge_any_nested(m)) return 0;
    uint32_t *at = qd_arena_calloc(&m->arena, m->n * sizeof *at);
    if (!at) return qd_err_nomem(m->err, "merge of nested documents");
    int rc = 0;
    for (const qd_str *path; rc == 0 && (path = least_path(m, at));) {
        table t = {.above = m, .path = *path};
        t.m = (qdi_merge){.options = m->options,
                          .account = m->account,
                          .err = m->err,
                          .store = m->store,
                          .name = m->name,
                          .file = m->file,
                          .whole = m->whole,
                          .tables = m->tables,
                          .permuted = m->permuted};
        qd_arena_init(&t.m.arena, m->account, 0);
        rc = merge_table(&t, at, attrs, r);
        if (t.reads) qd_reads_release(t.reads);
        qd_free(t.counts);
        qdi_merge_finish(&t.m);
    }
    return rc;
}
