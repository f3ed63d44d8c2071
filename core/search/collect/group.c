/* group.c: the groups that a sorter keeps; see group_int.h. */
#include "base/arena.h"
#include "base/str.h"
#include "search/collect/group_int.h"
#include "segment/columns.h"
#include "segment/segment.h"

#define NO_VALUE INT64_MIN /* of a document without one; a number may be that, too */

struct qdi_groups {
    qd_sort_key key;
    qd_arena *arena;
    qdi_group *all; /* n of at most k */
    uint32_t n, mask;
    qdi_group **slot; /* mask + 1 chains */
    uint64_t seed;
    int64_t *v;    /* of a batch */
    bool gathered; /* v holds those of the present batch */
    /* of the present segment; NULL: no value in it */
    const qd_column *column;
    qd_column_reader *reader;
    qd_dict_reader *dict;
};

int qdi_groups_make(const qd_sort_key *key, uint32_t k, uint64_t seed, qd_arena *arena,
                    qdi_groups **out, qd_err *err)
{
    if (key->kind != QD_SORT_I64 && key->kind != QD_SORT_ORD)
        return qd_err_set(err, QD_E_ARG, "hits are grouped by a column");
    qdi_groups *g = qd_arena_calloc(arena, sizeof *g);
    if (!g) return qd_err_nomem(err, "collapse");
    g->key = *key;
    g->seed = seed;
    g->arena = arena;
    g->mask = 15;
    while (g->mask < k) g->mask = 2 * g->mask + 1;
    g->all = qd_arena_calloc(arena, ((size_t)k + 1) * sizeof *g->all);
    g->slot = qd_arena_calloc(arena, ((size_t)g->mask + 1) * sizeof(qdi_group *));
    g->v = qd_arena_alloc(arena, QD_COLLECT_BATCH * sizeof *g->v);
    if (!g->all || !g->slot || !g->v) return qd_err_nomem(err, "collapse");
    *out = g;
    return 0;
}

/* The mixing steps at the end of MurmurHash3 (Appleby): all bits count, as doubles differ in their
 * upper ones alone. */
static qdi_group **slot_of(const qdi_groups *g, int64_t v)
{
    uint64_t h = (uint64_t)v ^ g->seed;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
    return &g->slot[(h ^ h >> 33) & g->mask];
}

static void link_group(qdi_groups *g, qdi_group *x)
{
    qdi_group **slot = slot_of(g, x->v);
    x->next = *slot;
    *slot = x;
}

static void unlink_group(qdi_groups *g, const qdi_group *x)
{
    qdi_group **p = slot_of(g, x->v);
    while (*p != x) p = &(*p)->next;
    *p = x->next;
}

/* --- a segment begins and ends --- */

int qdi_groups_plan(qdi_groups *g, const qd_leaf *leaf, qd_reads *reads, qd_arena *leaf_arena,
                    qd_err *err)
{
    g->column = NULL;
    g->reader = NULL;
    g->dict = NULL;
    uint32_t f = qd_segment_field_find(leaf->segment, g->key.field);
    const qd_columns *set = qd_segment_columns(leaf->segment);
    const qd_column *col = f == QD_FIELD_NONE || !set ? NULL : qd_columns_get(set, f);
    uint8_t want = g->key.kind == QD_SORT_ORD ? QD_COLUMN_ORDINAL : QD_COLUMN_I64;
    if (!col || qd_column_stats_get(col)->type != want || !qd_column_stats_get(col)->docs) return 0;
    g->column = col;
    int rc = qd_column_plan(col, 0, leaf->docs, reads, leaf_arena, &g->reader, err);
    if (!rc && want == QD_COLUMN_ORDINAL)
        rc = qd_dict_plan_all(col, reads, leaf_arena, &g->dict, err);
    return rc;
}

int qdi_groups_begin(qdi_groups *g, qd_err *err)
{
    int rc = 0;
    g->gathered = false;
    if (g->key.kind != QD_SORT_ORD) return 0;
    for (uint32_t i = 0; i <= g->mask; i++) g->slot[i] = NULL;
    for (uint32_t i = 0; i < g->n && !rc; i++) {
        qdi_group *x = &g->all[i];
        uint32_t ord = 0;
        bool found = false;
        if (!x->missing && g->dict) rc = qd_dict_find(g->dict, x->bytes, &ord, &found, err);
        x->v = x->missing ? NO_VALUE : 2 * (int64_t)ord + found;
        link_group(g, x);
    }
    return rc;
}

int qdi_groups_end(qdi_groups *g, qd_err *err)
{
    for (uint32_t i = 0; g->dict && i < g->n; i++) {
        qdi_group *x = &g->all[i];
        qd_str bytes;
        if (x->missing || x->bytes.p) continue;
        int rc = qd_dict_at(g->dict, (uint32_t)(x->v >> 1), &bytes, err);
        if (rc) return rc;
        x->bytes = bytes.n ? qd_arena_str(g->arena, bytes) : QD_STR("");
        if (!x->bytes.p) return qd_err_nomem(err, "collapse");
    }
    return 0;
}

/* --- documents --- */

void qdi_groups_batch(qdi_groups *g)
{
    g->gathered = false;
}

/* Values of a batch are read once the first of its documents may be kept. */
static int gather(qdi_groups *g, const qd_hits *h, qd_err *err)
{
    g->gathered = true;
    bool ord = g->key.kind == QD_SORT_ORD;
    if (!g->reader) {
        for (uint32_t i = 0; i < h->n; i++) g->v[i] = NO_VALUE;
        return 0;
    }
    int rc = qd_column_gather(g->reader, h->docs, h->n, QD_COLUMN_PICK_MIN, NO_VALUE, g->v, err);
    for (uint32_t i = 0; i < h->n && ord; i++)
        if (g->v[i] != NO_VALUE) g->v[i] = 2 * g->v[i] + 1;
    return rc;
}

/* Of a number that could be the sign of no value, or a column with several values of a document. */
static int look(qdi_groups *g, uint32_t doc, bool *missing, qd_err *err)
{
    const int64_t *v;
    uint32_t n;
    int rc = qd_column_values(g->reader, doc, &v, &n, err);
    if (rc) return rc;
    *missing = n == 0;
    return n < 2 ? 0
                 : qd_err_set(err, QD_E_ARG,
                              "failed to extract doc:%u, the grouping field must be single valued",
                              doc);
}

static int value_of(qdi_groups *g, const qd_hits *h, uint32_t i, bool *missing, qd_err *err)
{
    int rc = g->gathered ? 0 : gather(g, h, err);
    if (rc) return rc;
    *missing = g->v[i] == NO_VALUE;
    bool sure = !*missing || !g->reader || g->key.kind == QD_SORT_ORD;
    if (g->reader && (!sure || qd_column_stats_get(g->column)->multi))
        return look(g, h->docs[i], missing, err);
    return 0;
}

int qdi_groups_find(qdi_groups *g, const qd_hits *h, uint32_t i, qdi_group **out, qd_err *err)
{
    bool missing;
    int rc = value_of(g, h, i, &missing, err);
    if (rc) return rc;
    int64_t v = g->v[i];
    qdi_group *x = *slot_of(g, v);
    /* an odd number is that of one ordinal; an even one, of a gap, is no document's here */
    while (x && (x->v != v || x->missing != missing)) x = x->next;
    *out = x;
    return 0;
}

int qdi_groups_add(qdi_groups *g, const qd_hits *h, uint32_t i, qdi_group *instead, qdi_group **out,
                   qd_err *err)
{
    bool missing;
    int rc = value_of(g, h, i, &missing, err);
    if (rc) return rc;
    if (instead) unlink_group(g, instead);
    qdi_group *x = instead ? instead : &g->all[g->n++];
    *x = (qdi_group){.v = g->v[i], .missing = missing};
    link_group(g, x);
    *out = x;
    return 0;
}

qd_sort_value qdi_groups_value(const qdi_groups *g, const qdi_group *x)
{
    qd_sort_value v = {.kind = (uint8_t)g->key.kind, .missing = x->missing};
    if (g->key.kind == QD_SORT_ORD)
        v.bytes = x->bytes;
    else if (!x->missing)
        v.i64 = x->v;
    return v;
}
