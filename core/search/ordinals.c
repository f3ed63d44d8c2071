/*
 * ordinals.c: the dictionaries of all segments merged, at the second use by a searcher.
 *
 * A searcher keeps a list of the fields that were asked for; entries are never taken away, so
 * readers take no lock. An entry goes from asked once to being made to ready (or given up); who
 * moves it to being made makes it.
 */
#include "search/ordinals.h"
#include "base/str.h"
#include "runtime/task.h"
#include "search/searcher_int.h"
#include "segment/columns.h"
#include "segment/segment.h"
#include "store/reads.h"
#include <stdatomic.h>

#define CHECK_EVERY 4096u /* strings between two looks at the task */

enum { ASKED, MAKING, READY, GIVEN_UP };

typedef struct qdi_ordinals_entry {
    struct qdi_ordinals_entry *next;
    _Atomic int state;
    qd_ordinals at;
    void *memory; /* of the arrays */
    size_t n;
    char field[];
} entry;

#define FIELDS_MAX 256u /* of a searcher, whose ordinals are asked for */

/* One segment's dictionary while it is merged. */
typedef struct cursor {
    qd_dict_reader *rd;
    qd_str at;
    uint32_t leaf, ord, n;
} cursor;

void qdi_ordinals_free(struct qdi_ordinals_entry *e)
{
    for (entry *next; e; e = next) {
        next = e->next;
        qd_free(e->memory);
        qd_free(e);
    }
}

bool qdi_ordinals_any(const struct qdi_ordinals_entry *e)
{
    while (e && atomic_load_explicit(&e->state, memory_order_acquire) != READY) e = e->next;
    return e != NULL;
}

void qd_ordinals_each(const qd_searcher *s, void (*fn)(void *arg, qd_str field, int64_t bytes),
                      void *arg)
{
    qd_account *unused;
    for (const entry *e = qdi_searcher_ordinals(s, &unused); e; e = e->next)
        if (atomic_load_explicit(&e->state, memory_order_acquire) == READY)
            fn(arg, (qd_str){e->field, e->n}, (int64_t)qd_alloc_size(e->memory));
}

static const qd_column *column_of(const qd_leaf *l, qd_str field)
{
    const qd_columns *set = qd_segment_columns(l->segment);
    uint32_t f = set ? qd_segment_field_find(l->segment, field) : QD_FIELD_NONE;
    return f == QD_FIELD_NONE ? NULL : qd_columns_get(set, f);
}

/* Entries of all dictionaries; 0: not for merging. */
static uint64_t entries(const qd_searcher *s, qd_str field)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < qd_searcher_leaves(s); i++) {
        const qd_column *c = column_of(qd_searcher_leaf(s, i), field);
        if (!c) continue;
        if (qd_column_stats_get(c)->type != QD_COLUMN_ORDINAL) return 0;
        all += qd_column_stats_get(c)->ordinals;
    }
    return all <= QD_ORDINALS_MAX ? all : 0;
}

/* --- merging ---------------------------------------------------------------------------------- */

static bool before(const cursor *a, const cursor *b)
{
    int c = qd_str_cmp(a->at, b->at);
    return c < 0 || (c == 0 && a->leaf < b->leaf);
}

static void sift(cursor *heap, uint32_t at, uint32_t n)
{
    for (;;) {
        uint32_t c = 2 * at + 1;
        if (c >= n) return;
        if (c + 1 < n && before(&heap[c + 1], &heap[c])) c++;
        if (!before(&heap[c], &heap[at])) return;
        cursor x = heap[c];
        heap[c] = heap[at];
        heap[at] = x;
        at = c;
    }
}

/* Numbers all strings of the n cursors, each of which stands on its first one. */
static int merge(cursor *heap, uint32_t n, uint32_t **of, uint32_t *leaf, uint32_t *ord,
                 qd_task *task, qd_account *account, uint32_t *count, qd_err *err)
{
    qd_buf last;
    int rc = 0;
    uint32_t k = 0, done = 0;
    qd_buf_init(&last, account, 1u << 20);
    for (uint32_t i = n / 2; i-- > 0;) sift(heap, i, n);
    while (n && rc == 0) {
        cursor *c = &heap[0];
        if (done++ % CHECK_EVERY == 0 && (rc = qd_task_check(task, err))) break;
        if (!k || !qd_str_eq(qd_buf_view(&last), c->at)) {
            qd_buf_reset(&last);
            if (qd_buf_add(&last, c->at.p, c->at.n)) rc = qd_err_nomem(err, "ordinals of a shard");
            leaf[k] = c->leaf;
            ord[k++] = c->ord;
        }
        of[c->leaf][c->ord] = k - 1;
        if (++c->ord < c->n) {
            if (!rc) rc = qd_dict_at(c->rd, c->ord, &c->at, err);
        } else {
            heap[0] = heap[--n];
        }
        sift(heap, 0, n);
    }
    qd_buf_fini(&last);
    *count = k;
    return rc;
}

/* Reads the dictionaries and merges them into arrays for `all` entries. */
static int fill(const qd_searcher *s, entry *e, uint64_t all, qd_task *task, qd_arena *arena,
                qd_account *account, qd_err *err)
{
    uint32_t leaves = qd_searcher_leaves(s), n = 0;
    size_t table = (size_t)leaves * sizeof(uint32_t *);
    qd_reads *reads = qd_reads_make(arena, account);
    cursor *heap = qd_arena_calloc(arena, leaves * sizeof *heap);
    char *memory = qd_alloc(account, table + all * 3 * sizeof(uint32_t));
    int rc = reads && heap && memory ? 0 : qd_err_nomem(err, "ordinals of a shard");
    uint32_t **of = (uint32_t **)(void *)memory, *next = (uint32_t *)(void *)(memory + table);
    for (uint32_t i = 0; rc == 0 && i < leaves; i++) {
        const qd_column *c = column_of(qd_searcher_leaf(s, i), (qd_str){e->field, e->n});
        of[i] = NULL;
        if (!c || !qd_column_stats_get(c)->ordinals) continue;
        heap[n].leaf = i;
        heap[n].n = qd_column_stats_get(c)->ordinals;
        of[i] = next;
        next += heap[n].n;
        rc = qd_dict_plan_all(c, reads, arena, &heap[n++].rd, err);
    }
    if (rc == 0) rc = qd_reads_fetch(reads, err);
    for (uint32_t i = 0; rc == 0 && i < n; i++) rc = qd_dict_at(heap[i].rd, 0, &heap[i].at, err);
    if (rc == 0) rc = merge(heap, n, of, next, next + all, task, account, &e->at.n, err);
    if (rc == 0) rc = qd_reads_check(reads, err);
    if (reads) qd_reads_release(reads);
    if (rc) {
        qd_free(memory);
        return rc;
    }
    e->memory = memory;
    e->at.of = (const uint32_t *const *)of;
    e->at.leaf = next;
    e->at.ord = next + all;
    return 0;
}

bool qd_ordinals_memory_short(int64_t more)
{
    int64_t limit = atomic_load_explicit(&qd_account_root.limit, memory_order_relaxed);
    return limit > 0 && qd_account_used(&qd_account_root) + more > limit - limit / 10;
}

/* What is short for this, memory or a search's time, is no error of the search: no text of it is
 * left, and none tries again. After other errors, a cancelled search, the next one may. */
static int make(const qd_searcher *s, entry *e, qd_task *task, qd_account *account, qd_err *err)
{
    qd_arena arena;
    qd_err why;
    qd_err_init(&why);
    uint64_t all = entries(s, (qd_str){e->field, e->n});
    qd_arena_init(&arena, account, 0);
    bool room = all && !qd_ordinals_memory_short((int64_t)(all * 3 * sizeof(uint32_t)));
    int rc = room ? fill(s, e, all, task, &arena, account, &why) : QD_E_NOMEM;
    qd_arena_fini(&arena);
    bool never = rc == QD_E_NOMEM || rc == QD_E_BREAKER || rc == QD_E_TIMEOUT;
    atomic_store_explicit(&e->state, never ? GIVEN_UP : rc ? ASKED : READY, memory_order_release);
    if (rc && !never && err && !err->code) qd_err_move(err, &why);
    qd_err_fini(&why);
    return never ? 0 : rc;
}

/* --- asking ----------------------------------------------------------------------------------- */

static entry *find(entry *from, qd_str field)
{
    for (; from; from = from->next)
        if (qd_str_eq((qd_str){from->field, from->n}, field)) return from;
    return NULL;
}

static uint32_t fields(const entry *first)
{
    uint32_t n = 0;
    for (; first; first = first->next) n++;
    return n;
}

/* Notes that a field was asked for, unless another search has just done so; no memory, no note. */
static void note(qd_searcher *s, qd_account *account, qd_str field)
{
    entry *e = qd_calloc(account, sizeof *e + field.n);
    if (!e) return;
    memcpy(e->field, field.p, field.n);
    e->n = field.n;
    do {
        e->next = qdi_searcher_ordinals(s, &account);
        if (find(e->next, field) || fields(e->next) >= FIELDS_MAX) {
            qd_free(e);
            return;
        }
    } while (!qdi_searcher_ordinals_put(s, e->next, e));
}

int qd_searcher_ordinals(qd_searcher *s, qd_str field, qd_task *task, const qd_ordinals **out,
                         qd_err *err)
{
    qd_account *account;
    *out = NULL;
    if (qd_searcher_leaves(s) < 2) return 0;
    entry *e = find(qdi_searcher_ordinals(s, &account), field);
    if (!e) {
        note(s, account, field);
        return 0;
    }
    int state = ASKED, rc = 0;
    if (atomic_compare_exchange_strong(&e->state, &state, MAKING)) {
        rc = make(s, e, task, account, err);
        state = atomic_load_explicit(&e->state, memory_order_acquire);
    }
    if (state == READY) *out = &e->at;
    return rc;
}

int qd_ordinals_strings(const qd_searcher *s, qd_str field, const qd_ordinals *o,
                        const uint32_t *numbers, uint32_t n, qd_arena *arena, qd_account *account,
                        qd_str *out, qd_err *err)
{
    qd_arena own;
    qd_arena_init(&own, account, 0);
    qd_reads *reads = qd_reads_make(&own, account);
    qd_dict_reader **rd = qd_arena_calloc(&own, (n + 1ul) * sizeof *rd);
    int rc = reads && rd ? 0 : qd_err_nomem(err, "strings of ordinals");
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        uint32_t ord = o->ord[numbers[i]];
        const qd_column *c = column_of(qd_searcher_leaf(s, o->leaf[numbers[i]]), field);
        rc = qd_dict_plan_ords(c, &ord, 1, reads, &own, &rd[i], err);
    }
    if (rc == 0 && n) rc = qd_reads_fetch(reads, err);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        qd_str v;
        rc = qd_dict_at(rd[i], o->ord[numbers[i]], &v, err);
        if (rc) break;
        out[i] = qd_arena_str(arena, v);
        if (!out[i].p) rc = qd_err_nomem(err, "strings of ordinals");
    }
    if (rc == 0 && n) rc = qd_reads_check(reads, err);
    if (reads) qd_reads_release(reads);
    qd_arena_fini(&own);
    return rc;
}
