/*
 * sort.c: the best k by columns: a heap of the kept hits, the worst on top.
 *
 * Each key of a hit is one integer in the order of its key. Ordinals o of the present segment are
 * 2 o + 1; a value from elsewhere (an earlier segment, search_after, missing) that the segment's
 * dictionary has takes its ordinal's number, any other the even number of its gap. Values of one
 * gap are told apart by their bytes. When a segment begins, the kept hits are converted, which
 * keeps their order; when it ends, the kept ones of it get their bytes.
 *
 * With groups the heap holds the best hit of each group that is kept. Nothing that ends a search
 * early loses a group by that: all of it (thresholds of scores, orders of points, bounds of blocks)
 * leaves out documents that stand behind the worst of k kept hits. Such a document neither leads
 * one of the best k groups, as k others have better hits, nor replaces the hit of its own group, if
 * that is kept. Kept hits only get better, so what was left out once stays out; a group that has
 * lost its place comes back with a better hit, or not at all.
 */
#include "base/arena.h"
#include "base/str.h"
#include "engine/reader.h"
#include "runtime/task.h"
#include "search/collect/group_int.h"
#include "search/collect/sort_nested_int.h"
#include "search/collect/topk.h"
#include "search/fielddata.h"
#include "search/script_doc.h"
#include "segment/columns.h"
#include "segment/points.h"
#include "segment/segment.h"
#include <math.h>
#include <stdlib.h>

#define ORD_MISSING (-1)
#define TICK 16u /* runs of a script between two looks at the task */

typedef struct entry {
    int64_t first; /* the first key, the less the better */
    uint32_t doc;  /* global */
    float score;
    uint32_t leaf; /* its segment */
    int64_t *v;    /* by key */
    qd_str *bytes; /* by key: ORD values from elsewhere than the present segment */
    qdi_group *group;
} entry;

typedef struct key {
    qd_sort_key k;
    int64_t missing; /* what stands for no value, in the present segment */
    int64_t after;   /* search_after, likewise */
    qd_str after_bytes;
    /* of the present segment; NULL: no value in it */
    const qd_column *column;
    qd_column_reader *reader;
    qd_dict_reader *dict;
    uint32_t lo, hi; /* ordinals of the slice */
    int64_t *v;      /* of a batch */
    double *far;     /* k.geo: distances of a document, for the middle one */
    size_t nfar;
    struct qdi_sort_below *below; /* k.nested: the nested documents of the present segment */
    qd_script_doc *script;        /* k.script, on the present segment */
    qd_str *texts;                /* of a batch, what a script gave; NULL: no texts of a script */
    qd_arena text_arena;
} key;

struct qd_sorter {
    qd_collector c;
    qd_arena *arena;
    qd_arena leaf_arena;
    key *keys;
    uint32_t nkeys, k, n;
    entry *heap;
    const qd_sort_value *after;
    uint64_t total, limit;
    bool scores, more;  /* more: hits were left out of the count */
    bool counted;       /* the present segment's hits are in total already */
    bool by_index;      /* the keys are those of index.sort, ... */
    bool in_order;      /* ... and the present segment's documents come in their order */
    uint64_t *places;   /* of a batch's first keys, for the best k of it; NULL: not needed yet */
    double *numbers;    /* of a batch, what a script gave; NULL: no numbers of a script */
    qdi_groups *groups; /* NULL: each hit stands for itself */
    struct qd_task *task;
    size_t kept; /* bytes of texts of scripts */
};

/* --- order -------------------------------------------------------------------------------------
 */

static int order(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

/* Sign of a against b in the order of the keys, documents last. */
static int compare(const qd_sorter *s, const int64_t *av, const qd_str *ab, uint32_t adoc,
                   const entry *b)
{
    for (uint32_t i = 0; i < s->nkeys; i++) {
        int x = order(av[i], b->v[i]);
        if (x == 0 && s->keys[i].k.kind == QD_SORT_ORD && !(av[i] & 1) && ab && ab[i].p &&
            b->bytes[i].p)
            x = qd_str_cmp(ab[i], b->bytes[i]);
        if (x) return s->keys[i].k.descending ? -x : x;
    }
    return order(adoc, b->doc);
}

/* Sign of two first keys in their order. */
static int first_order(const qd_sorter *s, int64_t a, int64_t b)
{
    return s->keys[0].k.descending ? order(b, a) : order(a, b);
}

/* A first key so that the less is the better. */
static int64_t place(const qd_sorter *s, int64_t v)
{
    return s->keys[0].k.descending ? ~v : v;
}

static bool is_worse(const qd_sorter *s, const entry *a, const entry *b)
{
    if (a->first != b->first) return a->first > b->first;
    return compare(s, a->v, a->bytes, a->doc, b) > 0;
}

static void put(qd_sorter *s, uint32_t i, const entry *e)
{
    s->heap[i] = *e;
    if (e->group) e->group->at = i;
}

/* Puts e, which is to stand at i or below. */
static void sift_down(qd_sorter *s, uint32_t i, entry e)
{
    for (uint32_t child = 2 * i + 1; child < s->n; child = 2 * i + 1) {
        if (child + 1 < s->n && is_worse(s, &s->heap[child + 1], &s->heap[child])) child++;
        if (!is_worse(s, &s->heap[child], &e)) break;
        put(s, i, &s->heap[child]);
        i = child;
    }
    put(s, i, &e);
}

/* The same at i or above. */
static void sift_up(qd_sorter *s, uint32_t i, entry e)
{
    for (; i && is_worse(s, &e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        put(s, i, &s->heap[(i - 1) / 2]);
    put(s, i, &e);
}

/* --- a segment begins and ends
 * --------------------------------------------------------------------- */

static bool missing_goes_high(const qd_sort_key *k)
{
    return (k->missing == QD_SORT_MISSING_LAST) != k->descending;
}

/* The place of bytes in the dictionary, behind the slice's beginning where there is one. */
static int find_bytes(qd_sorter *s, const key *k, qd_str bytes, uint32_t *ord, bool *found,
                      qd_err *err)
{
    qd_str slice = k->k.slice;
    if (!slice.n) return qd_dict_find(k->dict, bytes, ord, found, err);
    char *p = qd_arena_bytes(&s->leaf_arena, slice.n + bytes.n + 1);
    if (!p) return qd_err_nomem(err, "sort");
    memcpy(p, slice.p, slice.n);
    if (bytes.n) memcpy(p + slice.n, bytes.p, bytes.n);
    return qd_dict_find(k->dict, (qd_str){p, slice.n + bytes.n}, ord, found, err);
}

/* The ordinals that begin with the slice: its last byte is NUL, the next text ends in 1. */
static int slice_begin(qd_sorter *s, key *k, qd_err *err)
{
    bool found;
    qd_str slice = k->k.slice;
    k->lo = k->hi = 0;
    if (!slice.n || !k->dict) return 0;
    int rc = qd_dict_find(k->dict, slice, &k->lo, &found, err);
    char *p = qd_arena_bytes(&s->leaf_arena, slice.n);
    if (rc || !p) return rc ? rc : qd_err_nomem(err, "sort");
    memcpy(p, slice.p, slice.n);
    p[slice.n - 1]++;
    return qd_dict_find(k->dict, (qd_str){p, slice.n}, &k->hi, &found, err);
}

/* The least or greatest ordinal of each document within the slice. */
static int gather_slice(key *k, const qd_hits *h, qd_err *err)
{
    for (uint32_t i = 0; i < h->n; i++) {
        const int64_t *v;
        uint32_t n;
        int rc = qd_column_values(k->reader, h->docs[i], &v, &n, err);
        if (rc) return rc;
        k->v[i] = ORD_MISSING;
        for (uint32_t q = 0; q < n; q++) {
            if (v[q] < k->lo || v[q] >= k->hi) continue;
            if (k->v[i] == ORD_MISSING || k->k.mode == QD_SORT_MAX) k->v[i] = v[q];
        }
    }
    return 0;
}

/* Bytes from elsewhere in the numbers of the present dictionary. */
static int place_bytes(qd_sorter *s, key *k, qd_str bytes, int64_t *out, qd_err *err)
{
    uint32_t ord = 0;
    bool found = false;
    int rc = k->dict ? find_bytes(s, k, bytes, &ord, &found, err) : 0;
    *out = 2 * (int64_t)ord + (found ? 1 : 0);
    return rc;
}

static int key_begin(qd_sorter *s, uint32_t i, qd_err *err)
{
    key *k = &s->keys[i];
    k->missing = missing_goes_high(&k->k) ? INT64_MAX : INT64_MIN;
    int rc = slice_begin(s, k, err);
    if (rc) return rc;
    if (k->k.missing == QD_SORT_MISSING_VALUE) {
        if (k->k.kind == QD_SORT_ORD)
            rc = place_bytes(s, k, k->k.missing_value.bytes, &k->missing, err);
        else
            k->missing = k->k.missing_value.i64;
    }
    if (rc || !s->after) return rc;
    const qd_sort_value *a = &s->after[i];
    k->after_bytes = (qd_str){0};
    if (k->k.kind == QD_SORT_SCORE) {
        k->after = qd_sortable_f32(a->score);
    } else if (a->missing) {
        k->after = k->missing;
    } else if (k->k.kind == QD_SORT_ORD) {
        k->after_bytes = a->bytes;
        rc = place_bytes(s, k, a->bytes, &k->after, err);
    } else {
        k->after = a->i64;
    }
    return rc;
}

static int sorter_plan(qd_collector *c, const qd_leaf *leaf, qd_reads *reads, qd_err *err)
{
    qd_sorter *s = (qd_sorter *)c;
    qd_arena_reset(&s->leaf_arena);
    int rc = 0;
    for (uint32_t i = 0; i < s->nkeys && !rc; i++) {
        key *k = &s->keys[i];
        k->column = NULL;
        k->reader = NULL;
        k->dict = NULL;
        const qd_leaf *at = leaf;
        if (k->k.script) {
            rc = qd_script_doc_open(k->k.script, leaf->segment, &s->leaf_arena, s->arena->account,
                                    &k->script, err);
            continue;
        }
        if (k->k.nested)
            at = qdi_sort_below_plan(k->k.nested, leaf, reads, &s->leaf_arena, &k->below, &rc, err);
        if (rc || !at) continue;
        if (k->k.kind != QD_SORT_I64 && k->k.kind != QD_SORT_ORD) continue;
        uint32_t f = qd_segment_field_find(at->segment, k->k.field);
        const qd_columns *set = qd_segment_columns(at->segment);
        const qd_column *col = f == QD_FIELD_NONE || !set ? NULL : qd_columns_get(set, f);
        uint8_t want = k->k.kind == QD_SORT_ORD ? QD_COLUMN_ORDINAL : QD_COLUMN_I64;
        if (k->k.fielddata) {
            rc = qd_leaf_fielddata(leaf, k->k.fielddata, &s->leaf_arena, &col, err);
            if (rc) return rc;
        }
        if (!col || qd_column_stats_get(col)->type != want || !qd_column_stats_get(col)->docs)
            continue;
        k->column = col;
        rc = qd_column_plan(col, 0, at->docs, reads, &s->leaf_arena, &k->reader, err);
        if (!rc && want == QD_COLUMN_ORDINAL)
            rc = qd_dict_plan_all(col, reads, &s->leaf_arena, &k->dict, err);
    }
    if (!rc && s->groups) rc = qdi_groups_plan(s->groups, leaf, reads, &s->leaf_arena, err);
    return rc;
}

static int sorter_begin(qd_collector *c, const qd_leaf *leaf, qd_reads *reads, qd_err *err)
{
    qd_sorter *s = (qd_sorter *)c;
    int rc = 0;
    s->counted = false;
    s->in_order = s->by_index && qd_reader_sorted(leaf->segment);
    for (uint32_t i = 0; i < s->nkeys && !rc; i++) {
        if (s->keys[i].reader && s->keys[i].k.nested)
            rc = qdi_sort_below_open(s->keys[i].below, reads, err);
        if (!rc) rc = key_begin(s, i, err);
        if (s->keys[i].k.kind != QD_SORT_ORD) continue; /* no dictionary: all in its one gap */
        for (uint32_t e = 0; e < s->n && !rc; e++) /* missing ones keep their ends of the order */
            if (s->heap[e].bytes[i].p) {
                rc = place_bytes(s, &s->keys[i], s->heap[e].bytes[i], &s->heap[e].v[i], err);
                if (i == 0) s->heap[e].first = place(s, s->heap[e].v[0]);
            }
    }
    return !rc && s->groups ? qdi_groups_begin(s->groups, err) : rc;
}

static int sorter_end(qd_collector *c, const qd_leaf *leaf, qd_err *err)
{
    qd_sorter *s = (qd_sorter *)c;
    for (uint32_t i = 0; i < s->nkeys; i++) {
        key *k = &s->keys[i];
        if (!k->dict) continue;
        for (uint32_t e = 0; e < s->n; e++) {
            entry *x = &s->heap[e];
            if (x->leaf != leaf->index || x->bytes[i].p || !(x->v[i] & 1) || x->v[i] == INT64_MAX)
                continue;
            qd_str bytes;
            int rc = qd_dict_at(k->dict, (uint32_t)(x->v[i] >> 1), &bytes, err);
            if (rc) return rc;
            x->bytes[i] = qd_arena_str(s->arena, qd_str_sub(bytes, k->k.slice.n, bytes.n));
            if (!x->bytes[i].p) x->bytes[i] = (qd_str){"", 0};
        }
    }
    return s->groups ? qdi_groups_end(s->groups, err) : 0;
}

/* --- keys of a batch
 * --------------------------------------------------------------------------------- */

/* Java's Math.round, for averages and medians of integers. */
static int64_t round_java(double d)
{
    return (int64_t)floor(d + 0.5);
}

/* Unsigned numbers: a sum beyond the range is the greatest of them. */
static int64_t combine_unsigned(const qd_sort_key *k, const int64_t *v, uint32_t n)
{
    const uint64_t top = (uint64_t)1 << 63;
    unsigned __int128 sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += (uint64_t)v[i] ^ top;
    if (k->mode == QD_SORT_AVG) sum = (sum + n / 2) / n;
    if (k->mode == QD_SORT_MEDIAN) {
        sum = (uint64_t)v[n / 2] ^ top;
        if (n % 2 == 0) sum = (sum + ((uint64_t)v[n / 2 - 1] ^ top) + 1) / 2;
    }
    return (int64_t)((sum > UINT64_MAX ? UINT64_MAX : (uint64_t)sum) ^ top);
}

/* One number of a document's several ones. */
static int64_t combine(const qd_sort_key *k, const int64_t *v, uint32_t n)
{
    if (k->mode == QD_SORT_MIN) return v[0];
    if (k->mode == QD_SORT_MAX) return v[n - 1];
    if (k->number == QD_SORT_UNSIGNED) return combine_unsigned(k, v, n);
    if (k->number == QD_SORT_INTEGER) {
        int64_t sum = 0;
        for (uint32_t i = 0; i < n; i++) sum = (int64_t)((uint64_t)sum + (uint64_t)v[i]);
        if (k->mode == QD_SORT_SUM) return sum;
        if (k->mode == QD_SORT_AVG) return n > 1 ? round_java((double)sum / n) : sum;
        return n % 2 ? v[n / 2] : round_java(((double)v[n / 2 - 1] + (double)v[n / 2]) / 2);
    }
    double d[2] = {0, 0}, sum = 0, out;
    for (uint32_t i = 0; i < n; i++) {
        double x =
            k->number == QD_SORT_DOUBLE ? qd_sortable_to_f64(v[i]) : qd_sortable_to_f32(v[i]);
        sum += x;
        if (i == (n - 1) / 2) d[0] = x;
        if (i == n / 2) d[1] = x;
    }
    out = k->mode == QD_SORT_SUM ? sum : k->mode == QD_SORT_AVG ? sum / n : (d[0] + d[1]) / 2;
    return k->number == QD_SORT_DOUBLE ? qd_sortable_f64(out) : qd_sortable_f32((float)out);
}

static double real_of(const qd_sort_key *k, int64_t v)
{
    if (k->number == QD_SORT_DOUBLE) return qd_sortable_to_f64(v);
    if (k->number == QD_SORT_FLOAT) return qd_sortable_to_f32(v);
    return k->scale > 0 ? (double)v / k->scale : (double)v;
}

/* As Java casts a double to a long. */
static int64_t long_of(double d)
{
    if (isnan(d)) return 0;
    return d >= 0x1p63 ? INT64_MAX : d < -0x1p63 ? INT64_MIN : (int64_t)d;
}

/* Documents without a value come as INT64_MIN, which no double is. */
static int gather_cast(key *k, const qd_hits *h, qd_err *err)
{
    qd_column_pick pick = k->k.mode == QD_SORT_MAX ? QD_COLUMN_PICK_MAX : QD_COLUMN_PICK_MIN;
    int rc = qd_column_gather(k->reader, h->docs, h->n, pick, INT64_MIN, k->v, err);
    for (uint32_t i = 0; rc == 0 && i < h->n; i++) {
        double real = real_of(&k->k, k->v[i]);
        k->v[i] = k->v[i] == INT64_MIN           ? k->missing
                  : k->k.cast == QD_SORT_TO_LONG ? long_of(real)
                                                 : qd_sortable_f64(real);
    }
    return rc;
}

static int by_distance(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The middle one of k->far. */
static double middle(key *k, size_t n)
{
    qsort(k->far, n, sizeof *k->far, by_distance);
    return n % 2 ? k->far[n / 2] : (k->far[n / 2 - 1] + k->far[n / 2]) / 2;
}

/* One distance of a document's points, n of them. */
static int distance(qd_sorter *s, key *k, const int64_t *v, uint32_t n, int64_t *out, qd_err *err)
{
    const qd_sort_geo *g = k->k.geo;
    size_t all = (size_t)n * g->n, at = 0;
    double least = HUGE_VAL, most = 0, sum = 0;
    bool median = k->k.mode == QD_SORT_MEDIAN;
    if (median && all > k->nfar) {
        k->far = qd_arena_alloc(s->arena, 2 * all * sizeof *k->far);
        k->nfar = k->far ? 2 * all : 0;
        if (!k->far) return qd_err_nomem(err, "sort");
    }
    for (uint32_t i = 0; i < n; i++) {
        qd_geo p = qd_geo_decode(v[i]);
        for (uint32_t q = 0; q < g->n; q++) {
            double d = g->plane ? qd_geo_plane(g->from[q], p) : qd_geo_arc(g->from[q], p);
            d /= g->unit;
            least = fmin(least, d);
            most = fmax(most, d);
            sum += d;
            if (median) k->far[at++] = d;
        }
    }
    *out = qd_sortable_f64(k->k.mode == QD_SORT_MIN   ? least
                           : k->k.mode == QD_SORT_MAX ? most
                           : median                   ? middle(k, all)
                                                      : sum / (double)all);
    return 0;
}

static int gather_distances(qd_sorter *s, key *k, const qd_hits *h, qd_err *err)
{
    for (uint32_t i = 0; i < h->n; i++) {
        const int64_t *v;
        uint32_t n;
        int rc = k->k.nested ? qdi_sort_below_values(k->below, k->reader, h->docs[i], &v, &n, err)
                             : qd_column_values(k->reader, h->docs[i], &v, &n, err);
        k->v[i] = k->missing;
        if (!rc && n) rc = distance(s, k, v, n, &k->v[i], err);
        if (rc) return rc;
    }
    return 0;
}

/* All values of a document's nested ones together. */
static int gather_nested(key *k, const qd_hits *h, qd_err *err)
{
    for (uint32_t i = 0; i < h->n; i++) {
        const int64_t *v;
        uint32_t n;
        int rc = qdi_sort_below_values(k->below, k->reader, h->docs[i], &v, &n, err);
        if (rc) return rc;
        if (!n)
            k->v[i] = k->missing;
        else if (k->k.kind == QD_SORT_ORD)
            k->v[i] = 2 * (k->k.mode == QD_SORT_MAX ? v[n - 1] : v[0]) + 1;
        else
            k->v[i] = combine(&k->k, v, n);
    }
    return 0;
}

/* NaN is the greatest number, whatever its sign. */
static int gather_script_numbers(qd_sorter *s, key *k, const qd_hits *h, qd_err *err)
{
    int rc = qd_script_doc_numbers(k->script, h->docs, h->n, h->scores, s->task, s->numbers, err);
    for (uint32_t i = 0; i < h->n && !rc; i++)
        k->v[i] = qd_sortable_f64(isnan(s->numbers[i]) ? (double)NAN : s->numbers[i]);
    return rc;
}

static int texts_too_large(qd_err *err)
{
    return qd_err_set(err, QD_E_BREAKER,
                      "[request] Data too large: the texts of a sort by [_script] take more than "
                      "[%u] bytes of a shard",
                      QD_SCRIPT_MEMORY);
}

/* All in the one gap of a dictionary that is not there, told apart by their bytes. */
static int gather_script_texts(qd_sorter *s, key *k, const qd_hits *h, qd_err *err)
{
    int rc = 0;
    qd_arena_reset(&k->text_arena);
    for (uint32_t i = 0; i < h->n && !rc; i++) {
        qd_sv v;
        rc = i % TICK ? 0 : qd_task_poll(s->task);
        if (!rc)
            rc = qd_script_doc_run(k->script, h->docs[i], h->scores ? (double)h->scores[i] : 0, &v,
                                   err);
        if (!rc && v.tag != QD_SV_STRING)
            rc = qd_err_set(err, QD_E_ARG,
                            "the script of a sort of type [string] gave null for a document");
        if (rc) return rc;
        k->v[i] = 0;
        k->texts[i] = qd_arena_str(&k->text_arena, qd_sv_text(&v));
        if (!k->texts[i].p) rc = texts_too_large(err);
    }
    return rc;
}

static int gather_key(qd_sorter *s, key *k, const qd_hits *h, qd_err *err)
{
    if (k->k.script)
        return k->texts ? gather_script_texts(s, k, h, err) : gather_script_numbers(s, k, h, err);
    for (uint32_t i = 0; i < h->n && k->k.kind == QD_SORT_SCORE; i++)
        k->v[i] = qd_sortable_f32(h->scores[i]);
    for (uint32_t i = 0; i < h->n && k->k.kind == QD_SORT_DOC; i++)
        k->v[i] = (int64_t)h->leaf->base + h->docs[i];
    if (k->k.kind == QD_SORT_SCORE || k->k.kind == QD_SORT_DOC) return 0;
    if (!k->reader) {
        for (uint32_t i = 0; i < h->n; i++) k->v[i] = k->missing;
        return 0;
    }
    int rc = 0;
    if (k->k.geo) return gather_distances(s, k, h, err);
    if (k->k.nested) return gather_nested(k, h, err);
    if (k->k.kind == QD_SORT_ORD) {
        rc = k->k.slice.n ? gather_slice(k, h, err)
                          : qd_column_gather(k->reader, h->docs, h->n,
                                             k->k.mode == QD_SORT_MAX ? QD_COLUMN_PICK_MAX
                                                                      : QD_COLUMN_PICK_MIN,
                                             ORD_MISSING, k->v, err);
        for (uint32_t i = 0; i < h->n; i++)
            k->v[i] = k->v[i] == ORD_MISSING ? k->missing : 2 * k->v[i] + 1;
        return rc;
    }
    if (k->k.cast) return gather_cast(k, h, err);
    if (k->k.mode <= QD_SORT_MAX)
        return qd_column_gather(k->reader, h->docs, h->n,
                                k->k.mode == QD_SORT_MAX ? QD_COLUMN_PICK_MAX : QD_COLUMN_PICK_MIN,
                                k->missing, k->v, err);
    for (uint32_t i = 0; i < h->n && !rc; i++) {
        const int64_t *v;
        uint32_t n;
        rc = qd_column_values(k->reader, h->docs[i], &v, &n, err);
        if (!rc) k->v[i] = n ? combine(&k->k, v, n) : k->missing;
    }
    return rc;
}

/* The bytes of place i of the batch that no dictionary has; p NULL: there are none. */
static qd_str outside(const key *k, uint32_t i)
{
    if (k->texts) return k->texts[i];
    bool missing = k->k.kind == QD_SORT_ORD && k->k.missing == QD_SORT_MISSING_VALUE &&
                   k->v[i] == k->missing && !(k->v[i] & 1);
    return missing ? k->k.missing_value.bytes : (qd_str){0};
}

/* Is place i of the batch behind search_after? */
static bool is_after(const qd_sorter *s, uint32_t i)
{
    for (uint32_t q = 0; q < s->nkeys; q++) {
        const key *k = &s->keys[q];
        int x = order(k->v[i], k->after);
        if (x == 0 && k->after_bytes.p) { /* one gap of the dictionary, or the same */
            qd_str bytes = outside(k, i);
            if (bytes.p) x = qd_str_cmp(bytes, k->after_bytes);
        }
        if (x) return k->k.descending ? x < 0 : x > 0;
    }
    return false;
}

/* Where in the heap place i of a batch goes: where its group is, else where the worst is, or to the
 * end while there is room. *better false: its group has a better hit already. */
static int entry_for(qd_sorter *s, const qd_hits *h, uint32_t i, const int64_t *v,
                     const qd_str *bytes, uint32_t doc, uint32_t *at, bool *better, qd_err *err)
{
    bool full = s->n == s->k;
    qdi_group *group = NULL;
    *at = full ? 0 : s->n;
    *better = true;
    if (!s->groups) return 0;
    int rc = qdi_groups_find(s->groups, h, i, &group, err);
    if (rc) return rc;
    if (group) {
        *at = group->at;
        *better = compare(s, v, bytes, doc, &s->heap[*at]) < 0;
        return 0;
    }
    rc = qdi_groups_add(s->groups, h, i, full ? s->heap[0].group : NULL, &group, err);
    s->heap[*at].group = group;
    return rc;
}

/* A script's text, for a kept hit: in the room of the text before if that is large enough. */
static int keep_text(qd_sorter *s, qd_str text, qd_str before, qd_str *out, qd_err *err)
{
    uint32_t room = 0;
    char *p = (char *)(uintptr_t)before.p;
    if (p) memcpy(&room, p - sizeof room, sizeof room);
    if (!p || room < text.n) {
        for (room = 32; room < text.n; room *= 2)
            ;
        s->kept += sizeof room + room;
        if (s->kept > QD_SCRIPT_MEMORY) return texts_too_large(err);
        p = qd_arena_bytes(s->arena, sizeof room + room);
        if (!p) return qd_err_nomem(err, "sort");
        memcpy(p, &room, sizeof room);
        p += sizeof room;
    }
    if (text.n) memcpy(p, text.p, text.n);
    *out = (qd_str){p, text.n};
    return 0;
}

static int keep(qd_sorter *s, const qd_hits *h, uint32_t i, qd_err *err)
{
    int64_t v[QD_SORT_KEYS_MAX];
    qd_str bytes[QD_SORT_KEYS_MAX];
    uint32_t doc = h->leaf->base + h->docs[i], at;
    bool better;
    for (uint32_t q = 0; q < s->nkeys; q++) {
        const key *k = &s->keys[q];
        v[q] = k->v[i];
        bytes[q] = outside(k, i);
    }
    if (s->n == s->k && compare(s, v, bytes, doc, &s->heap[0]) >= 0) return 0;
    int rc = entry_for(s, h, i, v, bytes, doc, &at, &better, err);
    if (rc || !better) return rc;
    entry e = s->heap[at]; /* its room, if it has any */
    if (!e.v) {
        e.v = qd_arena_alloc(s->arena, s->nkeys * sizeof *e.v);
        e.bytes = qd_arena_calloc(s->arena, s->nkeys * sizeof *e.bytes);
        if (!e.v || !e.bytes) return qd_err_nomem(err, "sort");
    }
    for (uint32_t q = 0; q < s->nkeys; q++) {
        e.v[q] = v[q];
        if (!s->keys[q].texts)
            e.bytes[q] = bytes[q];
        else if ((rc = keep_text(s, bytes[q], e.bytes[q], &e.bytes[q], err)))
            return rc;
    }
    e.first = place(s, v[0]);
    e.doc = doc;
    e.leaf = h->leaf->index;
    e.score = h->scores ? h->scores[i] : 0;
    if (at < s->n)
        sift_down(s, at, e);
    else
        sift_up(s, s->n++, e);
    return 0;
}

#define CUT_MIN 32u /* below, the heap itself is as fast */

/* Of a batch of many more than k, where fewer are kept as yet, what does not stand behind this
 * place is enough: its k best, and what equals the worst of them by the first key. */
static int cut_batch(qd_sorter *s, uint32_t n, int64_t *cut, qd_err *err)
{
    *cut = INT64_MAX;
    if (s->n == s->k || s->k < CUT_MIN || n / 2 < s->k || s->after || s->groups) return 0;
    if (!s->places) s->places = qd_arena_alloc(s->arena, QD_COLLECT_BATCH * sizeof *s->places);
    if (!s->places) return qd_err_nomem(err, "sort");
    const int64_t *v = s->keys[0].v;
    /* as keys of which the greatest are best */
    for (uint32_t i = 0; i < n; i++) s->places[i] = (uint64_t)INT64_MAX - (uint64_t)place(s, v[i]);
    qd_topk_select(s->places, n, s->k);
    *cut = (int64_t)((uint64_t)INT64_MAX - s->places[s->k - 1]);
    return 0;
}

static bool sorter_settled(const qd_collector *c)
{
    const qd_sorter *s = (const qd_sorter *)c;
    return s->counted || s->limit == 0 || (s->limit != UINT64_MAX && s->total > s->limit);
}

/* Does the last hit of a batch stand behind all that is kept? */
static bool is_behind(const qd_sorter *s, const qd_hits *h)
{
    int64_t v[QD_SORT_KEYS_MAX];
    qd_str bytes[QD_SORT_KEYS_MAX];
    const uint32_t i = h->n - 1;
    if (s->n < s->k) return false;
    for (uint32_t q = 0; q < s->nkeys; q++) {
        v[q] = s->keys[q].v[i];
        bytes[q] = outside(&s->keys[q], i);
    }
    return compare(s, v, bytes, h->leaf->base + h->docs[i], &s->heap[0]) >= 0;
}

static int sorter_collect(qd_collector *c, const qd_hits *h, qd_err *err)
{
    qd_sorter *s = (qd_sorter *)c;
    if (!s->counted) s->total += h->n;
    if (s->k == 0) return s->limit != UINT64_MAX && s->total > s->limit ? QD_COLLECT_ALL_DONE : 0;
    if (s->groups) qdi_groups_batch(s->groups);
    for (uint32_t q = 0; q < s->nkeys; q++) {
        int rc = gather_key(s, &s->keys[q], h, err);
        if (rc) return rc;
    }
    const key *first = &s->keys[0];
    const int64_t *v = first->v, flip = place(s, 0); /* place(v) = v ^ flip */
    int64_t cut;
    int rc = cut_batch(s, h->n, &cut, err);
    if (s->n == s->k) cut = s->heap[0].first;
    /* From the better end: rising keys would all be kept for a while. */
    const bool back = first_order(s, v[h->n - 1], v[0]) < 0;
    uint32_t i = back ? h->n - 1 : 0, step = back ? UINT32_MAX : 1;
    for (uint32_t left = h->n; left && !rc; left--, i += step) {
        if ((v[i] ^ flip) > cut) continue; /* most fall here */
        if (s->after && !is_after(s, i)) continue;
        rc = keep(s, h, i, err);
        if (s->n == s->k && s->heap[0].first < cut) cut = s->heap[0].first;
    }
    if (rc) return rc;
    /* In document order nothing better can come. */
    if (first->k.kind == QD_SORT_DOC && !first->k.descending && s->n == s->k &&
        s->limit != UINT64_MAX && s->total > s->limit)
        return QD_COLLECT_ALL_DONE;
    return s->in_order && sorter_settled(c) && is_behind(s, h) ? QD_COLLECT_LEAF_DONE : 0;
}

/* --- what it can do without
 * ------------------------------------------------------------------------ */

/* Do equal first keys go by document? */
static bool ties_by_doc(const qd_sorter *s)
{
    for (uint32_t i = 1; i < s->nkeys; i++)
        if (s->keys[i].k.kind != QD_SORT_DOC || s->keys[i].k.descending) return false;
    return true;
}

/* Is the first key one of the document's values? */
static bool key_is_value(const qd_sorter *s)
{
    const qd_sort_key *k = &s->keys[0].k;
    return k->kind == QD_SORT_I64 && k->mode <= QD_SORT_MAX && !k->cast && !k->geo && !k->nested &&
           !k->script;
}

static void sorter_counted(qd_collector *c, uint64_t n)
{
    qd_sorter *s = (qd_sorter *)c;
    s->total += n;
    s->counted = true;
}

static bool sorter_wanted(const qd_collector *c, int64_t value, bool later)
{
    const qd_sorter *s = (const qd_sorter *)c;
    if (s->n < s->k) return true;
    if (s->k == 0) return false;
    int x = first_order(s, value, s->heap[0].v[0]);
    return x < 0 || (x == 0 && !(later && ties_by_doc(s)));
}

static bool sorter_wanted_absent(const qd_collector *c)
{
    const qd_sorter *s = (const qd_sorter *)c;
    const key *k = &s->keys[0];
    return !(k->column && qd_column_stats_get(k->column)->dense) &&
           sorter_wanted(c, k->missing, false);
}

static bool sorter_wanted_window(const qd_collector *c, uint32_t from, uint32_t to, bool later)
{
    const qd_sorter *s = (const qd_sorter *)c;
    const key *k = &s->keys[0];
    if (!key_is_value(s)) return true;
    int64_t best = k->missing, worst = k->missing;
    qd_column_block_info b = {0};
    if (k->column) qd_column_block_at(k->column, from, &b);
    if (b.docs) {
        int64_t first = k->k.descending ? b.max : b.min, last = k->k.descending ? b.min : b.max;
        bool all = b.docs == to - from;
        best = all || first_order(s, first, best) < 0 ? first : best;
        worst = all || first_order(s, last, worst) > 0 ? last : worst;
    }
    if (s->after && first_order(s, worst, k->after) < 0) return false;
    return sorter_wanted(c, best, later);
}

static bool sorter_better_last(const qd_collector *c, uint32_t first, uint32_t last)
{
    const qd_sorter *s = (const qd_sorter *)c;
    const key *k = &s->keys[0];
    qd_column_block_info a = {0}, z = {0};
    if (s->in_order || !key_is_value(s) || !k->column) return false;
    qd_column_block_at(k->column, first, &a);
    qd_column_block_at(k->column, last, &z);
    if (!a.docs || !z.docs) return z.docs > 0;
    return first_order(s, k->k.descending ? z.max : z.min, k->k.descending ? a.max : a.min) < 0;
}

static int sorter_narrow(qd_collector *c, uint32_t from, uint32_t to, uint64_t *bits, qd_err *err)
{
    const qd_sorter *s = (const qd_sorter *)c;
    const key *k = &s->keys[0];
    if (s->n < s->k || s->k == 0 || !key_is_value(s) || !k->reader || sorter_wanted_absent(c))
        return 0;
    uint64_t good[QD_COLUMN_BLOCK / 64] = {0};
    int64_t worst = s->heap[0].v[0], lo = k->k.descending ? worst : INT64_MIN,
            hi = k->k.descending ? INT64_MAX : worst;
    int rc = qd_column_match_at(k->reader, from, to, lo, hi, good, err);
    for (uint32_t i = 0; i < (to - from + 63) / 64; i++) bits[i] &= good[i];
    return rc;
}

static bool sorter_order(qd_collector *c, const qd_leaf *leaf, qd_collect_order *out)
{
    const qd_sorter *s = (const qd_sorter *)c;
    const key *k = &s->keys[0];
    if (s->in_order || !key_is_value(s) || !k->column || s->k == 0) return false;
    const qd_points_set *set = qd_segment_points(leaf->segment);
    uint32_t f = qd_segment_field_find(leaf->segment, k->k.field);
    const qd_points *p = set ? qd_points_get(set, f) : NULL;
    const qd_column_stats *st = qd_column_stats_get(k->column);
    if (!p || qd_points_stats_get(p)->type != QD_POINT_I64 ||
        qd_points_stats_get(p)->docs != st->docs)
        return false;
    if (!st->dense && k->missing != (k->k.descending ? INT64_MIN : INT64_MAX)) return false;
    *out =
        (qd_collect_order){.points = p,
                           .descending = k->k.descending,
                           .natural = !st->multi || k->k.descending == (k->k.mode == QD_SORT_MAX),
                           .has_start = s->after != NULL,
                           .start = s->after ? k->after : 0,
                           .k = s->k};
    return true;
}

static const qd_collect_order_vt sorter_order_vt = {
    .get = sorter_order,
    .settled = sorter_settled,
    .counted = sorter_counted,
    .wanted = sorter_wanted,
    .wanted_absent = sorter_wanted_absent,
    .wanted_window = sorter_wanted_window,
    .better_last = sorter_better_last,
    .narrow = sorter_narrow,
};

/* The score of the worst hit kept: what has less cannot be kept, once the total is settled. What
 * equals it may be, by the next key. */
static float sorter_threshold(qd_collector *c)
{
    const qd_sorter *s = (const qd_sorter *)c;
    const key *k = &s->keys[0];
    bool by_score = k->k.kind == QD_SORT_SCORE && k->k.descending;
    if (!by_score || s->n < s->k || s->k == 0 || !sorter_settled(c)) return 0;
    return qd_sortable_to_f32(s->heap[0].v[0]);
}

static const qd_collector_vt sorter_vt = {
    .plan = sorter_plan,
    .begin = sorter_begin,
    .collect = sorter_collect,
    .end = sorter_end,
    .threshold = sorter_threshold,
    .order = &sorter_order_vt,
};

/* --- outside
 * ------------------------------------------------------------------------------------------ */

static void sorter_fini(void *arg)
{
    qd_sorter *s = arg;
    qd_arena_fini(&s->leaf_arena);
    for (uint32_t i = 0; i < s->nkeys; i++)
        if (s->keys[i].texts) qd_arena_fini(&s->keys[i].text_arena);
}

bool qd_sort_key_scores(const qd_sort_key *k)
{
    return k->kind == QD_SORT_SCORE ||
           (k->script && qd_script_uses(k->script->script, QD_SCRIPT_V_SCORE));
}

/* Room for what a script gives of a batch. */
static int make_script(qd_sorter *s, key *k, qd_err *err)
{
    if (k->k.kind == QD_SORT_I64) {
        if (!s->numbers) s->numbers = qd_arena_alloc(s->arena, QD_COLLECT_BATCH * sizeof(double));
        return s->numbers ? 0 : qd_err_nomem(err, "sort");
    }
    k->texts = qd_arena_alloc(s->arena, QD_COLLECT_BATCH * sizeof *k->texts);
    if (!k->texts) return qd_err_nomem(err, "sort");
    qd_arena_init(&k->text_arena, s->arena->account, QD_SCRIPT_MEMORY);
    return 0;
}

int qd_sorter_make(const qd_sort_options *o, qd_arena *arena, qd_sorter **out, qd_err *err)
{
    if (o->nkeys < 1 || o->nkeys > QD_SORT_KEYS_MAX)
        return qd_err_set(err, QD_E_ARG, "a sort has 1 to %u keys", QD_SORT_KEYS_MAX);
    qd_sorter *s = qd_arena_calloc(arena, sizeof *s);
    if (!s) return qd_err_nomem(err, "sort");
    s->arena = arena;
    qd_arena_init(&s->leaf_arena, arena->account, 0);
    if (qd_arena_on_reset(arena, sorter_fini, s)) return qd_err_nomem(err, "sort");
    s->k = o->k;
    s->limit = o->total;
    s->after = o->after;
    s->keys = qd_arena_calloc(arena, o->nkeys * sizeof *s->keys);
    s->heap = qd_arena_calloc(arena, ((size_t)o->k + 1) * sizeof *s->heap);
    if (!s->keys || !s->heap) return qd_err_nomem(err, "sort");
    s->nkeys = o->nkeys;
    s->task = o->task;
    s->scores = o->scores;
    s->by_index = o->by_index && !o->group;
    for (uint32_t i = 0; i < o->nkeys; i++) {
        s->keys[i].k = o->keys[i];
        s->scores |= qd_sort_key_scores(&o->keys[i]);
        s->keys[i].v = qd_arena_alloc(arena, QD_COLLECT_BATCH * sizeof(int64_t));
        if (!s->keys[i].v) return qd_err_nomem(err, "sort");
        int rc = o->keys[i].script ? make_script(s, &s->keys[i], err) : 0;
        if (rc) return rc;
    }
    if (o->after) {
        qd_sort_value *copy = qd_arena_alloc(arena, o->nkeys * sizeof *copy);
        if (!copy) return qd_err_nomem(err, "sort");
        memcpy(copy, o->after, o->nkeys * sizeof *copy);
        s->after = copy;
    }
    if (o->group) {
        int rc = qdi_groups_make(o->group, o->k, o->seed, arena, &s->groups, err);
        if (rc) return rc;
    }
    s->c = (qd_collector){.vt = &sorter_vt, .flags = s->scores ? QD_COLLECT_SCORES : 0};
    *out = s;
    return 0;
}

qd_collector *qd_sorter_collector(qd_sorter *s)
{
    return &s->c;
}

/* A key of a kept hit as people see it. */
static qd_sort_value value_of(const key *k, const entry *e, uint32_t i)
{
    qd_sort_value v = {.kind = (uint8_t)k->k.kind};
    bool high = missing_goes_high(&k->k);
    switch (k->k.kind) {
    case QD_SORT_SCORE:
        v.score = qd_sortable_to_f32(e->v[i]);
        break;
    case QD_SORT_DOC:
        v.i64 = e->v[i];
        break;
    case QD_SORT_I64:
        v.i64 = e->v[i];
        v.missing =
            k->k.missing != QD_SORT_MISSING_VALUE && e->v[i] == (high ? INT64_MAX : INT64_MIN);
        break;
    case QD_SORT_ORD:
        v.bytes = e->bytes[i];
        v.missing = e->bytes[i].p == NULL;
        break;
    }
    return v;
}

int qd_sorter_finish(qd_sorter *s, qd_sort_hit **hits, uint32_t *n, uint64_t *total,
                     bool *lower_bound, qd_err *err)
{
    uint32_t all = s->n;
    qd_sort_hit *out = qd_arena_calloc(s->arena, ((size_t)all + 1) * sizeof *out);
    if (!out) return qd_err_nomem(err, "sort");
    while (s->n) { /* the worst first, from the end; all bytes are known, numbers are of the last
                      leaf */
        entry e = s->heap[0];
        s->n--;
        sift_down(s, 0, s->heap[s->n]);
        qd_sort_hit *h = &out[s->n];
        h->doc = e.doc;
        h->score = e.score;
        if (s->groups) h->group = qdi_groups_value(s->groups, e.group);
        h->values = qd_arena_alloc(s->arena, s->nkeys * sizeof *h->values);
        if (!h->values) return qd_err_nomem(err, "sort");
        for (uint32_t i = 0; i < s->nkeys; i++) h->values[i] = value_of(&s->keys[i], &e, i);
    }
    *hits = out;
    *n = all;
    *total = s->total;
    *lower_bound = s->limit != UINT64_MAX && s->total > s->limit;
    if (*lower_bound) *total = s->limit;
    return 0;
}

/* What stands for a value between shards: missing ones at their end of the order. */
static int compare_values(const qd_sort_key *k, const qd_sort_value *a, const qd_sort_value *b)
{
    if (k->kind == QD_SORT_SCORE) return a->score < b->score ? -1 : a->score > b->score;
    if (k->kind == QD_SORT_ORD) {
        if (a->missing || b->missing) {
            int x = a->missing == b->missing ? 0 : a->missing ? 1 : -1;
            return missing_goes_high(k) ? x : -x;
        }
        return qd_str_cmp(a->bytes, b->bytes);
    }
    return order(a->i64, b->i64);
}

int qd_sort_compare(const qd_sort_key *keys, uint32_t nkeys, const qd_sort_value *a,
                    const qd_sort_value *b)
{
    for (uint32_t i = 0; i < nkeys; i++) {
        int x = compare_values(&keys[i], &a[i], &b[i]);
        if (x) return keys[i].descending ? -x : x;
    }
    return 0;
}
