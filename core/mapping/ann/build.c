/*
 * build.c: makes codes and the graph of a segment.
 *
 * Floats are linked by codes of 7 bits, whatever codes the field keeps: they take a quarter of the
 * rows' memory, and a graph of them is as good. Lists have room for half as many neighbours again
 * as are kept, so that they are cut once for many that are added.
 */
#include "base/bits.h"
#include "base/err.h"
#include "mapping/ann/pool_int.h"
#include <math.h>
#include <stdlib.h>

#define POLL_ROWS 16u
#define NONE UINT32_MAX

/* What is known of a row for linking; numbers or the row follow. */
typedef struct point {
    float scale, own; /* of a code of 7 bits; of rows of bytes and bits: length, unused */
    float raised;     /* coordinate that makes all vectors equally long (dot products) */
    int32_t sum;
} point;

struct qd_graph_build {
    qd_graph_head h;
    uint32_t dims, element, n, seen; /* seen: rows of this pass so far */
    qd_account *account;
    const qd_vec_kern *kern;
    bool linked;  /* a graph is wanted */
    uint64_t row; /* bytes */
    double *sums;
    float *centre, *scratch, longest;
    qd_coding near, kept; /* by which rows are linked; that stay */
    char *points;         /* n of stride */
    uint64_t stride;
    char *codes; /* of the kept coding where it is not near */
    /* --- linking --- */
    uint32_t m, room0, room;    /* neighbours; numbers of a list of level 0, of a higher one */
    uint32_t *lists;            /* room0 a row: count, rows */
    uint32_t *upper, *upper_at; /* lists of higher levels, and where a row's begin; or NONE */
    uint8_t *level;             /* of each row */
    uint32_t *epoch, now;       /* visited when epoch[row] == now */
    pool pool;
    qd_near *sorted;
    uint32_t *ids;
    int32_t *whole;
    float *nears;
    int8_t *q; /* the row that others are measured from, zeros behind */
    point of;  /* the same row */
};

/* --- places ----------------------------------------------------------------------------------- */

static uint64_t aligned(uint64_t n)
{
    return (n + 63) / 64 * 64;
}

void qd_graph_places(const qd_graph_head *h, uint32_t dims, uint32_t rows, uint64_t rows_end,
                     qd_graph_place *p)
{
    uint64_t at = rows_end;
    *p = (qd_graph_place){0};
    if (h->coded) {
        p->centre = at = aligned(at);
        p->codes = at = aligned(at + (uint64_t)dims * sizeof(float));
        at += rows * qd_coding_stride(h->bits, dims);
    }
    if (h->levels) {
        p->lists = at = aligned(at);
        at += (uint64_t)rows * (2ul * h->m + 1) * sizeof(uint32_t);
    }
    for (uint32_t l = 1; l < h->levels; l++) {
        p->level[l] = at = aligned(at);
        at += (uint64_t)h->in_level[l - 1] * (h->m + 3ul) * sizeof(uint32_t);
    }
    p->end = at;
}

bool qd_graph_sound(const qd_graph_head *h, uint32_t element, uint32_t rows)
{
    bool bits = h->bits == 0 || h->bits == 1 || h->bits == 4 || h->bits == 7;
    if (!bits || (h->bits && element != QD_ELEMENT_FLOAT)) return false;
    if (h->flat > 1 || h->coded > 1 || (h->coded && !h->bits) || h->levels > QD_GRAPH_LEVELS_MAX)
        return false;
    if (h->m < 2 || h->m > QD_GRAPH_M_MAX || h->ef < 1 || h->ef > QD_GRAPH_EF_MAX) return false;
    if (!(h->confidence >= 0 && h->confidence <= 1) || h->space > QD_SPACE_HAMMING) return false;
    if (h->levels && (!rows || rows >= POOL_DONE)) return false;
    uint32_t above = rows;
    for (uint32_t l = 1; l < QD_GRAPH_LEVELS_MAX; l++) {
        uint32_t n = h->in_level[l - 1];
        if (l < h->levels ? !n || n > above : n != 0) return false;
        if (n) above = n;
    }
    return h->entry < (h->levels ? above : 1);
}

/* --- codes ------------------------------------------------------------------------------------ */

static int no_memory(qd_err *err)
{
    return qd_err_nomem(err, "graph of vectors");
}

static bool floats(const qd_graph_build *b)
{
    return b->element == QD_ELEMENT_FLOAT;
}

/* Does the field keep the codes by which rows are linked? */
static bool same_codes(const qd_graph_build *b)
{
    return b->h.bits == 7;
}

static int make_codes(qd_graph_build *b)
{
    bool points = b->linked || (b->h.coded && same_codes(b));
    const qd_coding coding = {.dims = b->dims, .space = (qd_vector_space)b->h.space};
    b->centre = qd_calloc(b->account, (b->dims + 1ul) * sizeof *b->centre);
    b->sums = qd_calloc(b->account, (b->dims + 1ul) * sizeof *b->sums);
    b->scratch = qd_alloc(b->account, (b->dims + 1ul) * 2 * sizeof *b->scratch);
    if (!b->centre || !b->sums || !b->scratch) return QD_E_NOMEM;
    b->near = b->kept = coding;
    b->near.centre = b->kept.centre = b->centre;
    b->near.bits = 7;
    b->kept.bits = b->h.bits;
    b->kept.confidence = b->h.confidence;
    if (same_codes(b)) b->near.confidence = b->h.confidence;
    b->stride = sizeof(point) +
                (floats(b) ? qd_coding_stride(7, b->dims) - QD_CODE_HEAD : (b->row + 7) / 8 * 8);
    if (points) {
        b->points = qd_alloc(b->account, b->n * b->stride + 1);
        if (!b->points) return QD_E_NOMEM;
    }
    if (!b->h.coded || same_codes(b)) return 0;
    b->codes = qd_alloc(b->account, b->n * qd_coding_stride(b->h.bits, b->dims) + 1);
    return b->codes ? 0 : QD_E_NOMEM;
}

/* Bytes that linking holds, about. */
static uint64_t bytes_for(const qd_graph_build *b)
{
    uint64_t lists = (3ul * b->h.m + 2 + 3) * sizeof(uint32_t);
    uint64_t codes = b->h.coded ? qd_coding_stride(b->h.bits, b->dims) : 0;
    return b->n * (sizeof(point) + (floats(b) ? b->dims : b->row) + 8 + lists + codes);
}

/* A graph takes no more than half of what the node may have. */
static int check_memory(const qd_graph_build *b, qd_err *err)
{
    int64_t limit = atomic_load(&qd_account_root.limit);
    uint64_t want = b->linked ? bytes_for(b) : 0;
    if (limit <= 0 || want <= (uint64_t)limit / 2) return 0;
    return qd_err_set(err, QD_E_NOMEM,
                      "a graph of %u vectors needs %llu bytes, more than half of the node's memory "
                      "limit [%lld]",
                      b->n, (unsigned long long)want, (long long)limit);
}

int qd_graph_build_make(const qd_graph_head *h, uint32_t dims, uint32_t element, uint32_t rows,
                        qd_account *account, qd_graph_build **out, qd_err *err)
{
    qd_graph_build *b = qd_calloc(account, sizeof *b);
    if (!b) return no_memory(err);
    b->h = *h;
    b->h.coded = h->bits && rows && (h->flat || rows >= QD_GRAPH_CODES_MIN || rows >= h->threshold);
    b->h.levels = b->h.entry = 0;
    memset(b->h.in_level, 0, sizeof b->h.in_level);
    b->linked = !h->flat && rows && rows < POOL_DONE && h->threshold != QD_GRAPH_NEVER &&
                rows >= h->threshold;
    b->dims = dims;
    b->element = element;
    b->row = qd_vectors_row(element, dims);
    b->n = rows;
    b->m = h->m;
    b->account = account;
    b->kern = qd_vec_get();
    int rc = check_memory(b, err);
    if (!rc && qd_graph_build_wants(b) && make_codes(b)) rc = no_memory(err);
    if (rc)
        qd_graph_build_free(b);
    else
        *out = b;
    return rc;
}

bool qd_graph_build_wants(const qd_graph_build *b)
{
    return b->linked || b->h.coded;
}

static float length_at(const char *lengths, uint32_t i)
{
    float v = 0;
    if (lengths) memcpy(&v, lengths + i * sizeof v, sizeof v);
    return v;
}

void qd_graph_build_mean(qd_graph_build *b, const char *rows, const char *lengths, uint32_t n)
{
    bool cosine = b->h.space == QD_SPACE_COSINE;
    b->seen += n;
    for (uint32_t i = 0; i < n; i++) {
        float length = length_at(lengths, i);
        double by = cosine && length > 0 ? 1 / (double)length : 1;
        if (length > b->longest) b->longest = length;
        for (uint32_t d = 0; d < b->dims && floats(b); d++) {
            float v;
            memcpy(&v, rows + i * b->row + d * sizeof v, sizeof v);
            b->sums[d] += by * (double)v;
        }
    }
    if (b->seen < b->n) return;
    b->seen = 0;
    for (uint32_t d = 0; d < b->dims && floats(b); d++) {
        float mean = (float)(b->sums[d] / b->n);
        b->centre[d] = isfinite(mean) ? mean : 0;
    }
}

static point *point_at(const qd_graph_build *b, uint32_t row)
{
    return (point *)(void *)(b->points + row * b->stride);
}

/* How far from the longest: all are equally long with this as one more coordinate. */
static float raised(const qd_graph_build *b, float length)
{
    double most = (double)b->longest, own = (double)length;
    double square = most * most - own * own;
    bool dot = b->h.space == QD_SPACE_MAX_DOT || b->h.space == QD_SPACE_DOT;
    return dot && square > 0 ? (float)sqrt(square) : 0;
}

static void encode_point(qd_graph_build *b, const char *row, float length, uint32_t to)
{
    point *p = point_at(b, to);
    if (!floats(b)) {
        *p = (point){.scale = length, .raised = raised(b, length)};
        memset(p + 1, 0, (size_t)b->stride - sizeof *p);
        memcpy(p + 1, row, (size_t)b->row);
        return;
    }
    /* the record's head is where scale and own are to be, but 8 bytes further */
    char *record = (char *)(p + 1) - QD_CODE_HEAD;
    qd_coding_encode(&b->near, (const float *)(const void *)row, length, b->scratch, record);
    float head[2];
    memcpy(head, record, sizeof head);
    *p = (point){.scale = head[0], .own = head[1], .raised = raised(b, length)};
    const uint8_t *numbers = (const uint8_t *)(p + 1);
    for (uint32_t i = 0; i < b->dims; i++) p->sum += numbers[i];
}

void qd_graph_build_encode(qd_graph_build *b, const char *rows, const char *lengths, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++, b->seen++) {
        const char *row = rows + i * b->row;
        float length = length_at(lengths, i);
        if (b->points) encode_point(b, row, length, b->seen);
        if (b->codes)
            qd_coding_encode(&b->kept, (const float *)(const void *)row, length, b->scratch,
                             b->codes + b->seen * qd_coding_stride(b->h.bits, b->dims));
    }
}

/* --- similarities of rows --------------------------------------------------------------------- */

static void measure_from(qd_graph_build *b, uint32_t row)
{
    const point *p = point_at(b, row);
    b->of = *p;
    memcpy(b->q, p + 1, floats(b) ? b->dims : (size_t)b->row);
}

static void near_floats(const qd_graph_build *b, const uint32_t *ids, uint32_t n, float *out)
{
    const float twice = b->h.space == QD_SPACE_L2 ? 2 : 1;
    b->kern->dot_u7(b->q, b->points + sizeof(point), (size_t)b->stride, ids, n, b->dims, b->whole);
    for (uint32_t i = 0; i < n; i++) {
        const point *p = point_at(b, ids[i]);
        int64_t whole =
            4ll * b->whole[i] - 254ll * ((int64_t)b->of.sum + p->sum) + 16129ll * (int64_t)b->dims;
        out[i] = b->of.own + p->own + twice * b->of.scale * p->scale * (float)whole +
                 b->of.raised * p->raised;
    }
}

static void near_rows(const qd_graph_build *b, const uint32_t *ids, uint32_t n, float *out)
{
    const char *rows = b->points + sizeof(point);
    size_t stride = (size_t)b->stride;
    bool l2 = b->h.space == QD_SPACE_L2;
    if (b->element == QD_ELEMENT_BIT) {
        b->kern->hamming((const uint8_t *)b->q, rows, stride, ids, n, (uint32_t)b->row, b->whole);
        for (uint32_t i = 0; i < n; i++) out[i] = -(float)b->whole[i];
        return;
    }
    (l2 ? b->kern->l2_i8 : b->kern->dot_i8)(b->q, rows, stride, ids, n, b->dims, b->whole);
    for (uint32_t i = 0; i < n; i++) {
        const point *p = point_at(b, ids[i]);
        float v = (float)b->whole[i];
        out[i] = l2                              ? -v
                 : b->h.space == QD_SPACE_COSINE ? v / (b->of.scale * p->scale)
                                                 : v + b->of.raised * p->raised;
        if (isnan(out[i])) out[i] = 0;
    }
}

static void near(const qd_graph_build *b, const uint32_t *ids, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        const char *p = (const char *)point_at(b, ids[i]);
        for (uint64_t k = 0; k < b->stride && k < 256; k += 64) __builtin_prefetch(p + k);
    }
    (floats(b) ? near_floats : near_rows)(b, ids, n, out);
}

/* --- lists ------------------------------------------------------------------------------------ */

static uint32_t *list_of(const qd_graph_build *b, uint32_t row, uint32_t level)
{
    if (!level) return b->lists + (uint64_t)row * b->room0;
    return b->upper + b->upper_at[row] + (uint64_t)(level - 1) * b->room;
}

static uint32_t kept_of(const qd_graph_build *b, uint32_t level)
{
    return level ? b->m : 2 * b->m;
}

/* The rows of the pool or a list, nearest first, of which those stay that are nearer to the row
 * measured from than to any that stayed (the heuristic of Malkov and Yashunin). Of rows equal to it
 * at most half of `most` stay: the others need a way out. */
static uint32_t choose(qd_graph_build *b, const qd_near *sorted, uint32_t n, uint32_t most,
                       float self, uint32_t *out)
{
    uint32_t k = 0, equal = 0;
    for (uint32_t i = 0; i < n && k < most; i++) {
        uint32_t row = sorted[i].row & ~POOL_DONE;
        bool good = true;
        if (sorted[i].near >= self && 2 * ++equal > most) continue;
        if (k) {
            measure_from(b, row);
            near(b, out, k, b->nears);
        }
        for (uint32_t j = 0; j < k && good; j++) good = !(b->nears[j] > sorted[i].near);
        if (good) out[k++] = row;
    }
    return k;
}

static int nearest_first(const void *a, const void *b)
{
    const qd_near *x = a, *y = b;
    if (x->near != y->near) return x->near > y->near ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static void cut_list(qd_graph_build *b, uint32_t row, uint32_t level)
{
    uint32_t *list = list_of(b, row, level), n = list[0];
    float self;
    measure_from(b, row);
    near(b, &row, 1, &self);
    near(b, list + 1, n, b->nears);
    for (uint32_t i = 0; i < n; i++) b->sorted[i] = (qd_near){b->nears[i], list[1 + i]};
    qsort(b->sorted, n, sizeof *b->sorted, nearest_first);
    list[0] = choose(b, b->sorted, n, kept_of(b, level), self, b->ids);
    memcpy(list + 1, b->ids, list[0] * sizeof *list);
}

static void add_link(qd_graph_build *b, uint32_t from, uint32_t to, uint32_t level)
{
    uint32_t *list = list_of(b, from, level), room = level ? b->room : b->room0;
    list[++list[0]] = to;
    if (list[0] + 1 == room) cut_list(b, from, level);
}

/* --- inserting -------------------------------------------------------------------------------- */

static void visit(qd_graph_build *b, const uint32_t *rows, uint32_t n)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (b->epoch[rows[i]] == b->now) continue;
        b->epoch[rows[i]] = b->now;
        b->ids[k++] = rows[i];
    }
    near(b, b->ids, k, b->nears);
    for (uint32_t i = 0; i < k; i++) pool_push(&b->pool, b->nears[i], b->ids[i]);
}

/* The ef nearest of a level to the row measured from, into the pool; from what is in the pool. */
static void search_level(qd_graph_build *b, uint32_t level, uint32_t ef)
{
    uint32_t row, n = b->pool.n < ef ? b->pool.n : ef;
    b->now++;
    b->pool.n = b->pool.next = 0;
    b->pool.cap = ef;
    for (uint32_t i = 0; i < n; i++) { /* in place: none moves up */
        qd_near x = b->pool.at[i];
        x.row &= ~POOL_DONE;
        b->epoch[x.row] = b->now;
        b->pool.at[b->pool.n++] = x;
    }
    while (pool_take(&b->pool, &row)) {
        const uint32_t *list = list_of(b, row, level);
        visit(b, list + 1, list[0]);
    }
}

static void insert(qd_graph_build *b, uint32_t row, uint32_t *entry)
{
    uint32_t top = b->level[*entry], chosen[QD_GRAPH_M_MAX];
    float self;
    measure_from(b, row);
    near(b, &row, 1, &self);
    b->pool.n = b->pool.next = 0;
    b->pool.cap = 1;
    b->now++;
    visit(b, entry, 1);
    for (uint32_t l = top; l > b->level[row]; l--) search_level(b, l, 1);
    for (uint32_t l = b->level[row] < top ? b->level[row] : top;; l--) {
        measure_from(b, row);
        search_level(b, l, b->h.ef);
        uint32_t n = choose(b, b->pool.at, b->pool.n, b->m, self, chosen),
                 *list = list_of(b, row, l);
        list[0] = n;
        memcpy(list + 1, chosen, n * sizeof *list);
        for (uint32_t i = 0; i < n; i++) add_link(b, chosen[i], row, l);
        if (!l) break;
    }
    if (b->level[row] > top) *entry = row;
}

/* Levels fall by a factor of m: -ln(u) / ln(m) of a number that belongs to the row. */
static uint32_t level_of(uint32_t row, uint32_t m)
{
    uint64_t x = (row + 1ull) * 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    double u = ((double)((x ^ (x >> 31)) >> 11) + 1) / 9007199254740993.0;
    double level = -log(u) / log(m);
    return level < QD_GRAPH_LEVELS_MAX - 1 ? (uint32_t)level : QD_GRAPH_LEVELS_MAX - 1;
}

static int make_lists(qd_graph_build *b)
{
    uint64_t upper = 0;
    uint32_t most = 2 * b->m + b->m + 2;
    b->room0 = most;
    b->room = b->m + b->m / 2 + 2;
    b->level = qd_alloc(b->account, b->n);
    b->upper_at = qd_alloc(b->account, b->n * sizeof *b->upper_at);
    if (!b->level || !b->upper_at) return QD_E_NOMEM;
    for (uint32_t i = 0; i < b->n; i++) {
        b->level[i] = (uint8_t)level_of(i, b->m);
        b->upper_at[i] = b->level[i] ? (uint32_t)upper : NONE;
        upper += (uint64_t)b->level[i] * b->room;
    }
    if (upper >= NONE) return QD_E_NOMEM;
    uint32_t pool_max = b->h.ef > most ? b->h.ef : most;
    b->lists = qd_calloc(b->account, (uint64_t)b->n * b->room0 * sizeof *b->lists);
    b->upper = qd_calloc(b->account, (upper + 1) * sizeof *b->upper);
    b->epoch = qd_calloc(b->account, b->n * sizeof *b->epoch);
    b->pool.at = qd_alloc(b->account, (pool_max + 1ul) * sizeof *b->pool.at);
    b->sorted = qd_alloc(b->account, most * sizeof *b->sorted);
    b->ids = qd_alloc(b->account, most * sizeof *b->ids);
    b->nears = qd_alloc(b->account, most * sizeof *b->nears);
    b->whole = qd_alloc(b->account, most * sizeof *b->whole);
    b->q = qd_calloc(b->account, b->row + 2 * QD_VEC_LANES);
    return b->lists && b->upper && b->epoch && b->pool.at && b->sorted && b->ids && b->nears &&
                   b->whole && b->q
               ? 0
               : QD_E_NOMEM;
}

/* Lists as long as they are kept, and what the head says of levels. */
static void settle(qd_graph_build *b, uint32_t entry)
{
    uint32_t top = b->level[entry], place = 0;
    for (uint32_t i = 0; i < b->n; i++)
        for (uint32_t l = 0; l <= b->level[i]; l++) {
            if (list_of(b, i, l)[0] > kept_of(b, l)) cut_list(b, i, l);
            if (l) b->h.in_level[l - 1]++;
            if (l == top && i < entry) place++;
        }
    b->h.levels = top + 1;
    b->h.entry = place;
}

int qd_graph_build_link(qd_graph_build *b, int (*stop)(void *arg), void *arg, qd_err *err)
{
    uint32_t entry = 0;
    if (!b->linked) return 0;
    if (make_lists(b)) return no_memory(err);
    for (uint32_t i = 1; i < b->n; i++) {
        int rc = i % POLL_ROWS == 0 ? stop(arg) : 0;
        if (rc) return rc;
        insert(b, i, &entry);
    }
    settle(b, entry);
    return 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

const qd_graph_head *qd_graph_build_head(const qd_graph_build *b)
{
    return &b->h;
}

typedef struct output {
    const qd_part_sink *sink;
    uint64_t at;
} output;

static int put(output *o, const void *p, size_t n, qd_err *err)
{
    o->at += n;
    return o->sink->write(o->sink, p, n, err);
}

static int fill_to(output *o, uint64_t to, qd_err *err)
{
    static const char zeros[64];
    return to > o->at ? put(o, zeros, (size_t)(to - o->at), err) : 0;
}

static int write_codes(const qd_graph_build *b, const qd_graph_place *p, output *o, qd_err *err)
{
    uint64_t stride = qd_coding_stride(b->h.bits, b->dims);
    int rc = fill_to(o, p->centre, err);
    if (!rc) rc = put(o, b->centre, b->dims * sizeof *b->centre, err);
    if (!rc) rc = fill_to(o, p->codes, err);
    if (b->codes) return rc ? rc : put(o, b->codes, (size_t)(b->n * stride), err);
    for (uint32_t i = 0; i < b->n && !rc; i++) {
        const point *x = point_at(b, i);
        float head[2] = {x->scale, x->own};
        rc = put(o, head, sizeof head, err);
        if (!rc) rc = put(o, x + 1, (size_t)(stride - QD_CODE_HEAD), err);
    }
    return rc;
}

static int write_lists(const qd_graph_build *b, const qd_graph_place *p, output *o, qd_err *err)
{
    uint32_t list[2 * QD_GRAPH_M_MAX + 1];
    int rc = fill_to(o, p->lists, err);
    for (uint32_t i = 0; i < b->n && !rc; i++) {
        const uint32_t *from = list_of(b, i, 0);
        memset(list, 0, sizeof list);
        memcpy(list, from, (from[0] + 1ul) * sizeof *list);
        rc = put(o, list, (2ul * b->m + 1) * sizeof *list, err);
    }
    return rc;
}

/* places: of the rows in this level, and in the one below. */
static int write_level(const qd_graph_build *b, uint32_t level, const uint32_t *here,
                       const uint32_t *below, output *o, qd_err *err)
{
    uint32_t record[QD_GRAPH_M_MAX + 3];
    int rc = 0;
    for (uint32_t i = 0; i < b->n && !rc; i++) {
        if (b->level[i] < level) continue;
        const uint32_t *from = list_of(b, i, level);
        memset(record, 0, sizeof record);
        record[0] = i;
        record[1] = level == 1 ? i : below[i];
        record[2] = from[0];
        for (uint32_t k = 0; k < from[0]; k++) record[3 + k] = here[from[1 + k]];
        rc = put(o, record, (b->m + 3ul) * sizeof *record, err);
    }
    return rc;
}

static int write_levels(const qd_graph_build *b, const qd_graph_place *p, output *o, qd_err *err)
{
    uint32_t *places = qd_alloc(b->account, (uint64_t)b->n * 2 * sizeof *places), *below, *here;
    int rc = places ? 0 : no_memory(err);
    for (uint32_t l = 1; l < b->h.levels && !rc; l++) {
        uint32_t n = 0;
        here = places + (uint64_t)b->n * (l & 1);
        below = places + (uint64_t)b->n * !(l & 1);
        for (uint32_t i = 0; i < b->n; i++)
            if (b->level[i] >= l) here[i] = n++;
        rc = fill_to(o, p->level[l], err);
        if (!rc) rc = write_level(b, l, here, below, o, err);
    }
    qd_free(places);
    return rc;
}

int qd_graph_build_write(const qd_graph_build *b, uint64_t rows_end, const qd_part_sink *sink,
                         qd_err *err)
{
    qd_graph_place p;
    output o = {sink, rows_end};
    qd_graph_places(&b->h, b->dims, b->n, rows_end, &p);
    int rc = b->h.coded ? write_codes(b, &p, &o, err) : 0;
    if (!rc && b->h.levels) rc = write_lists(b, &p, &o, err);
    if (!rc && b->h.levels > 1) rc = write_levels(b, &p, &o, err);
    qd_assert(rc || o.at == p.end);
    return rc;
}

void qd_graph_build_free(qd_graph_build *b)
{
    if (!b) return;
    void *const all[] = {b->sums,  b->centre,   b->scratch, b->points,  b->codes,  b->lists,
                         b->upper, b->upper_at, b->level,   b->epoch,   b->sorted, b->ids,
                         b->whole, b->nears,    b->q,       b->pool.at, b};
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) qd_free(all[i]);
}
