/*
 * sort.c: the order of a merge's documents by columns (index.sort.*): each key of a document
 * becomes one number of which the least comes first; ordinals of the sources get common numbers.
 * The places are sorted by natural runs: sources that are sorted already cost one pass a doubling.
 */
#include "segment/merge/merge_int.h"
#include "segment/segment.h"
#include <string.h>

#define CHUNK QD_COLUMN_BLOCK
#define STRETCH (16u * CHUNK) /* documents that are fetched at once */

typedef struct sorting {
    qdi_merge *m;
    const qd_merge_sort *keys;
    uint32_t nkeys;
    uint64_t *ranks;         /* by place, nkeys each */
    uint32_t *order, *spare; /* places in order; room for merging */
    uint32_t **common;       /* of a key of ordinals, by source: common numbers of its ordinals */
} sorting;

static uint64_t missing_rank(const qd_merge_sort *k)
{
    return k->missing_first ? 0 : UINT64_MAX;
}

/* A value that is there. Missing ones share the end with the last of all values. */
static uint64_t rank_of(const qd_merge_sort *k, int64_t v)
{
    uint64_t u = (uint64_t)v ^ 1ull << 63;
    return k->descending ? ~u : u;
}

static const qd_column *column_of(const qdi_source *s, const qd_merge_sort *k)
{
    uint32_t f = qd_segment_field_find(s->segment, k->field);
    return f == QD_FIELD_NONE ? NULL : qd_columns_get(s->segment->columns, f);
}

/* --- ordinals ------------------------------------------------------------------------------- */

/* One source's dictionary at its present entry; text NULL: behind its end. */
typedef struct dict_at {
    qd_dict_reader *rd;
    uint32_t source, at, n;
    qd_str text;
} dict_at;

static int dict_next(dict_at *d, qd_err *err)
{
    d->text = (qd_str){NULL, 0};
    return d->at < d->n ? qd_dict_at(d->rd, d->at, &d->text, err) : 0;
}

static int open_dicts(sorting *x, const qd_merge_sort *k, qd_arena *arena, qd_reads *r, dict_at *d,
                      uint32_t *n)
{
    qdi_merge *m = x->m;
    int rc = 0;
    *n = 0;
    for (uint32_t i = 0; i < m->n && rc == 0; i++) {
        const qd_column *c = column_of(&m->sources[i], k);
        x->common[i] = NULL;
        if (!c || qd_column_stats_get(c)->type != QD_COLUMN_ORDINAL) continue;
        dict_at *e = &d[(*n)++];
        *e = (dict_at){.source = i, .n = qd_column_stats_get(c)->ordinals};
        x->common[i] = qd_alloc(m->account, ((size_t)e->n + 1) * sizeof **x->common);
        if (!x->common[i]) return qd_err_nomem(m->err, "order of documents");
        rc = qd_dict_plan_all(c, r, arena, &e->rd, m->err);
    }
    return rc ? rc : qd_reads_fetch(r, m->err);
}

/* All dictionaries side by side: equal texts get one number. */
static int number_texts(sorting *x, dict_at *d, uint32_t n)
{
    qdi_merge *m = x->m;
    int rc = 0;
    for (uint32_t i = 0; i < n && rc == 0; i++) rc = dict_next(&d[i], m->err);
    for (uint32_t number = 0; rc == 0; number++) {
        const dict_at *least = NULL;
        for (uint32_t i = 0; i < n; i++)
            if (d[i].at < d[i].n && (!least || qd_str_cmp(d[i].text, least->text) < 0))
                least = &d[i];
        if (!least) break;
        /* the least one moves last: its text is what the others are compared with */
        uint32_t last = (uint32_t)(least - d);
        for (uint32_t i = 0; i < n && rc == 0; i++) {
            if (i == last || d[i].at == d[i].n || !qd_str_eq(d[i].text, d[last].text)) continue;
            x->common[d[i].source][d[i].at++] = number;
            rc = dict_next(&d[i], m->err);
        }
        if (rc) break;
        x->common[d[last].source][d[last].at++] = number;
        rc = dict_next(&d[last], m->err);
        if (rc == 0 && number % CHUNK == 0 && m->options->step)
            rc = m->options->step(m->options->arg, m->written, m->err);
    }
    return rc;
}

static int common_ordinals(sorting *x, const qd_merge_sort *k)
{
    qd_arena arena;
    qdi_merge *m = x->m;
    uint32_t n = 0;
    qd_arena_init(&arena, m->account, 0);
    qd_reads *r = qd_reads_make(&arena, m->account);
    dict_at *d = qd_arena_alloc(&arena, (m->n + 1) * sizeof *d);
    int rc =
        r && d ? open_dicts(x, k, &arena, r, d, &n) : qd_err_nomem(m->err, "order of documents");
    if (rc == 0) rc = number_texts(x, d, n);
    if (r) qd_reads_release(r);
    qd_arena_fini(&arena);
    return rc;
}

static void common_free(sorting *x)
{
    for (uint32_t i = 0; i < x->m->n; i++) {
        qd_free(x->common[i]);
        x->common[i] = NULL;
    }
}

/* --- ranks ---------------------------------------------------------------------------------- */

/* Ranks of the documents docs[0..n) of a source, which stay. */
static int rank_some(sorting *x, uint32_t q, uint32_t source, qd_column_reader *rd,
                     const uint32_t *docs, uint32_t n)
{
    const qd_merge_sort *k = &x->keys[q];
    const qdi_source *s = &x->m->sources[source];
    const uint32_t *common = x->common[source];
    int64_t low[CHUNK], high[CHUNK]; /* they differ where there is no value */
    qd_column_pick pick = k->greatest ? QD_COLUMN_PICK_MAX : QD_COLUMN_PICK_MIN;
    int rc = qd_column_gather(rd, docs, n, pick, INT64_MIN, low, x->m->err);
    if (rc == 0) rc = qd_column_gather(rd, docs, n, pick, INT64_MAX, high, x->m->err);
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        bool none = low[i] != high[i];
        int64_t v = none || !common ? low[i] : (int64_t)common[low[i]];
        x->ranks[(size_t)qdi_renumber(s, docs[i]) * x->nkeys + q] =
            none ? missing_rank(k) : rank_of(k, v);
    }
    return rc;
}

static int rank_stretch(sorting *x, uint32_t q, uint32_t source, const qd_column *c, uint32_t from,
                        uint32_t to)
{
    qd_arena arena;
    qdi_merge *m = x->m;
    const qdi_source *s = &m->sources[source];
    uint32_t docs[CHUNK], n = 0;
    qd_column_reader *rd = NULL;
    qd_arena_init(&arena, m->account, 0);
    qd_reads *r = qd_reads_make(&arena, m->account);
    int rc = r ? qd_column_plan(c, from, to, r, &arena, &rd, m->err)
               : qd_err_nomem(m->err, "order of documents");
    if (rc == 0) rc = qd_reads_fetch(r, m->err);
    for (uint32_t d = from; d < to && rc == 0; d++) {
        if (qdi_renumber(s, d) != QDI_DOC_GONE) docs[n++] = d;
        if (n == 0 || (n < CHUNK && d + 1 < to)) continue;
        rc = rank_some(x, q, source, rd, docs, n);
        n = 0;
    }
    if (r) qd_reads_release(r);
    qd_arena_fini(&arena);
    if (rc == 0 && m->options->step) rc = m->options->step(m->options->arg, m->written, m->err);
    return rc;
}

static int rank_key(sorting *x, uint32_t q)
{
    qdi_merge *m = x->m;
    const qd_merge_sort *k = &x->keys[q];
    int rc = common_ordinals(x, k);
    for (uint32_t i = 0; i < m->n && rc == 0; i++) {
        const qdi_source *s = &m->sources[i];
        const qd_column *c = column_of(s, k);
        uint32_t docs = s->segment->docs;
        if (c && qd_column_stats_get(c)->type == QD_COLUMN_BYTES) c = NULL;
        for (uint32_t d = 0; !c && d < docs; d++) {
            uint32_t place = qdi_renumber(s, d);
            if (place != QDI_DOC_GONE) x->ranks[(size_t)place * x->nkeys + q] = missing_rank(k);
        }
        for (uint32_t d = 0; c && d < docs && rc == 0; d += STRETCH)
            rc = rank_stretch(x, q, i, c, d, docs - d < STRETCH ? docs : d + STRETCH);
    }
    common_free(x);
    return rc;
}

/* --- sorting -------------------------------------------------------------------------------- */

static int compare(const sorting *x, uint32_t a, uint32_t b)
{
    const uint64_t *u = x->ranks + (size_t)a * x->nkeys, *v = x->ranks + (size_t)b * x->nkeys;
    for (uint32_t q = 0; q < x->nkeys; q++)
        if (u[q] != v[q]) return u[q] < v[q] ? -1 : 1;
    return 0;
}

/* The end of the run that begins at `from`; one that falls strictly is turned round. */
static uint32_t run_end(sorting *x, uint32_t from)
{
    uint32_t n = x->m->docs, at = from + 1;
    if (at >= n) return n;
    if (compare(x, x->order[from], x->order[at]) <= 0) {
        while (at < n && compare(x, x->order[at - 1], x->order[at]) <= 0) at++;
        return at;
    }
    while (at < n && compare(x, x->order[at - 1], x->order[at]) > 0) at++;
    for (uint32_t a = from, z = at - 1; a < z; a++, z--) {
        uint32_t swap = x->order[a];
        x->order[a] = x->order[z];
        x->order[z] = swap;
    }
    return at;
}

/* Merges the neighbours [a, b) and [b, c) of from into to; equal ones keep their order. */
static void merge_runs(const sorting *x, const uint32_t *from, uint32_t *to, uint32_t a, uint32_t b,
                       uint32_t c)
{
    uint32_t i = a, k = b, at = a;
    while (i < b && k < c) to[at++] = compare(x, from[i], from[k]) <= 0 ? from[i++] : from[k++];
    while (i < b) to[at++] = from[i++];
    while (k < c) to[at++] = from[k++];
}

/* Sorts x->order by rounds over runs whose ends stand in ends. */
static int sort_places(sorting *x, uint32_t *ends)
{
    qdi_merge *m = x->m;
    uint32_t runs = 0;
    int rc = 0;
    for (uint32_t at = 0; at < m->docs;) ends[runs++] = at = run_end(x, at);
    while (runs > 1 && rc == 0) {
        uint32_t from = 0, kept = 0;
        for (uint32_t i = 0; i < runs; i += 2) {
            uint32_t middle = ends[i], to = i + 1 < runs ? ends[i + 1] : middle;
            merge_runs(x, x->order, x->spare, from, middle, to);
            ends[kept++] = from = to;
        }
        uint32_t *swap = x->order;
        x->order = x->spare;
        x->spare = swap;
        runs = kept;
        if (m->options->step) rc = m->options->step(m->options->arg, m->written, m->err);
    }
    return rc;
}

int qdi_merge_sort(qdi_merge *m, uint32_t *numbers)
{
    sorting x = {.m = m, .keys = m->options->sort, .nkeys = m->options->nsort};
    size_t docs = m->docs;
    x.ranks = qd_alloc(m->account, (docs * x.nkeys + 1) * sizeof *x.ranks);
    x.order = qd_alloc(m->account, (docs + 1) * sizeof *x.order);
    x.spare = qd_alloc(m->account, (docs + 1) * sizeof *x.spare);
    x.common = qd_calloc(m->account, (m->n + 1) * sizeof *x.common);
    int rc =
        x.ranks && x.order && x.spare && x.common ? 0 : qd_err_nomem(m->err, "order of documents");
    for (uint32_t q = 0; q < x.nkeys && rc == 0; q++) rc = rank_key(&x, q);
    for (uint32_t d = 0; d < m->docs && rc == 0; d++) x.order[d] = d;
    if (rc == 0) rc = sort_places(&x, numbers); /* which is room for the ends of runs until then */
    for (uint32_t i = 0; i < m->docs && rc == 0; i++) numbers[x.order[i]] = i;
    qd_free(x.ranks);
    qd_free(x.order);
    qd_free(x.spare);
    qd_free(x.common);
    return rc;
}
