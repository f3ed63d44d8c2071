/*
 * segments.c: segments without the engine. A list in the order of the documents; ten
 * neighbours of one level become one of the next, so that no buffer is too small for any corpus.
 * A segment's name is its place (that of its first document's flush), then a number of its own:
 * names in order are documents in order.
 */
#include "main/bench/segments.h"
#include "base/assert.h"
#include "base/str.h"
#include "runtime/sync.h"
#include "segment/segment.h"
#include <inttypes.h>
#include <stdio.h>

#define SEGMENTS_MAX 1024u /* what one merge takes */
#define AT_ONCE 10u
#define ORDER_MEMORY ((uint64_t)1 << 30)

typedef struct entry {
    uint64_t place, number;
    uint32_t level;
    bool merging;
} entry;

struct qd_bench_segments {
    qd_store *store;
    qd_mutex lock;
    uint64_t numbers;
    entry e[SEGMENTS_MAX];
    uint32_t n;
};

static const qd_segment_attrs attrs = {
    .min_seq_no = -1, .max_seq_no = -1, .stored_codec = QD_STORED_NONE, .sparse_bitmaps = true};

int qd_bench_segments_make(qd_store *s, qd_bench_segments **out, qd_err *err)
{
    qd_bench_segments *l = qd_calloc(NULL, sizeof *l);
    if (!l) return qd_err_nomem(err, "segments");
    l->store = s;
    qd_mutex_init(&l->lock);
    *out = l;
    return 0;
}

void qd_bench_segments_free(qd_bench_segments *l)
{
    if (!l) return;
    qd_mutex_fini(&l->lock);
    qd_free(l);
}

uint32_t qd_bench_segments_count(const qd_bench_segments *l)
{
    return l->n;
}

static void name_of(const entry *e, char name[48], uint8_t id[16])
{
    snprintf(name, 48, "seg-%016" PRIx64 "%016" PRIx64, e->place, e->number);
    for (int i = 0; i < 8; i++) {
        id[i] = (uint8_t)(e->place >> (56 - 8 * i));
        id[8 + i] = (uint8_t)(e->number >> (56 - 8 * i));
    }
}

static int merge(qd_bench_segments *l, const entry *from, uint32_t n, const entry *to,
                 qd_merge_order order, qd_err *err)
{
    qd_merge_source *src = qd_calloc(NULL, n * sizeof *src);
    if (!src) return qd_err_nomem(err, "merge");
    int rc = 0;
    char name[48];
    uint8_t id[16];
    for (uint32_t i = 0; i < n && !rc; i++) {
        name_of(&from[i], name, id);
        rc = qd_segment_open(l->store, qd_str_c(name), NULL, &src[i].segment, err);
    }
    qd_merge_options o = {
        .attrs = attrs, .sync = true, .order = order, .order_memory = ORDER_MEMORY};
    name_of(to, name, id);
    if (!rc) rc = qd_segment_merge(src, n, l->store, qd_str_c(name), id, &o, NULL, NULL, err);
    for (uint32_t i = 0; i < n; i++) qd_segment_unref(src[i].segment);
    qd_free(src);
    for (uint32_t i = 0; i < n && !rc; i++) {
        name_of(&from[i], name, id);
        rc = qd_store_delete(l->store, qd_str_c(name), err);
    }
    return rc;
}

/* The first ten neighbours of one level, marked as merging; under the lock. */
static bool choose(qd_bench_segments *l, entry from[AT_ONCE])
{
    for (uint32_t i = 0, run = 0; i < l->n; i++) {
        bool fits = !l->e[i].merging && (run == 0 || l->e[i].level == l->e[i - 1].level);
        run = fits ? run + 1 : !l->e[i].merging;
        if (run < AT_ONCE) continue;
        entry *first = &l->e[i + 1 - AT_ONCE];
        for (uint32_t k = 0; k < AT_ONCE; k++) first[k].merging = true;
        memcpy(from, first, AT_ONCE * sizeof *from);
        return true;
    }
    return false;
}

/* Puts the merged one where the first of its sources stands; under the lock. One that another
 * thread flushed late may stand between them. */
static void replace(qd_bench_segments *l, const entry *from, uint32_t n, entry to)
{
    uint32_t kept = 0, done = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        bool source = done < n && l->e[i].number == from[done].number;
        if (!source || done == 0) l->e[kept++] = source ? to : l->e[i];
        done += source;
    }
    qd_assert(done == n);
    l->n = kept;
}

static int merge_neighbours(qd_bench_segments *l, qd_err *err)
{
    entry from[AT_ONCE];
    int rc = 0;
    qd_mutex_lock(&l->lock);
    while (!rc && choose(l, from)) {
        entry to = {.place = from[0].place, .number = l->numbers++, .level = from[0].level + 1};
        qd_mutex_unlock(&l->lock);
        rc = merge(l, from, AT_ONCE, &to, QD_MERGE_KEPT, err);
        qd_mutex_lock(&l->lock);
        if (!rc) replace(l, from, AT_ONCE, to);
    }
    qd_mutex_unlock(&l->lock);
    return rc;
}

int qd_bench_segments_flush(qd_bench_segments *l, qd_buffer *b, qd_err *err)
{
    char name[48];
    uint8_t id[16];
    qd_mutex_lock(&l->lock);
    entry e = {.place = l->numbers, .number = l->numbers};
    l->numbers++;
    qd_mutex_unlock(&l->lock);
    name_of(&e, name, id);
    int rc = qd_buffer_flush(b, l->store, qd_str_c(name), id, &attrs, true, NULL, err);
    if (rc) return rc;
    qd_buffer_reset(b);
    qd_mutex_lock(&l->lock);
    if (l->n == SEGMENTS_MAX) {
        rc = qd_err_set(err, QD_E_LIMIT, "over %u segments", SEGMENTS_MAX);
    } else {
        uint32_t at = l->n++; /* another thread's flush may have ended before */
        for (; at && l->e[at - 1].place > e.place; at--) l->e[at] = l->e[at - 1];
        l->e[at] = e;
    }
    qd_mutex_unlock(&l->lock);
    return rc ? rc : merge_neighbours(l, err);
}

int qd_bench_segments_merge_all(qd_bench_segments *l, qd_merge_order order, qd_err *err)
{
    if (l->n < (order == QD_MERGE_KEPT ? 2 : 1)) return 0;
    entry to = {.place = l->e[0].place, .number = l->numbers++};
    int rc = merge(l, l->e, l->n, &to, order, err);
    if (rc) return rc;
    l->e[0] = to;
    l->n = 1;
    return 0;
}
