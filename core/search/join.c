/* join.c: ids of documents across segments. See join.h. */
#include "search/join.h"
#include "segment/columns.h"
#include "segment/segment.h"

#define TABLE_PAYS 8u /* the table is made once an eighth of its entries were asked for */

void qd_join_ids_init(qd_join_ids *s, qd_account *account)
{
    s->account = account;
    qd_map_init(&s->map, account);
}

void qd_join_ids_fini(qd_join_ids *s)
{
    qd_map_fini(&s->map);
}

/* The column of the field; NULL: no document has an id. */
static const qd_column *column_of(const qd_leaf *leaf, qd_str field)
{
    uint32_t f = qd_segment_field_find(leaf->segment, field);
    const qd_columns *set = qd_segment_columns(leaf->segment);
    const qd_column *c = f == QD_FIELD_NONE || !set ? NULL : qd_columns_get(set, f);
    const qd_column_stats *st = c ? qd_column_stats_get(c) : NULL;
    return st && st->type == QD_COLUMN_ORDINAL && st->values ? c : NULL;
}

int qd_join_leaf_plan(qd_join_leaf *out, const qd_leaf *leaf, qd_str field, qd_reads *reads,
                      qd_arena *arena, qd_err *err)
{
    *out = (qd_join_leaf){.last = QD_JOIN_NONE, .arena = arena};
    const qd_column *c = column_of(leaf, field);
    if (!c) return 0;
    out->ordinals = qd_column_stats_get(c)->ordinals;
    int rc = qd_column_plan(c, 0, leaf->docs, reads, arena, &out->values, err);
    return rc ? rc : qd_dict_plan_all(c, reads, arena, &out->dict, err);
}

static int ordinal(qd_join_leaf *l, uint32_t doc, uint32_t *out, qd_err *err)
{
    const int64_t *v;
    uint32_t n = 0;
    int rc = l->values ? qd_column_values(l->values, doc, &v, &n, err) : 0;
    *out = !rc && n ? (uint32_t)v[0] : QD_JOIN_NONE;
    return rc;
}

int qd_join_leaf_id(qd_join_leaf *l, uint32_t doc, qd_str *out, qd_err *err)
{
    uint32_t ord;
    *out = (qd_str){NULL, 0};
    int rc = ordinal(l, doc, &ord, err);
    return rc || ord == QD_JOIN_NONE ? rc : qd_dict_at(l->dict, ord, out, err);
}

static int find(qd_join_leaf *l, qd_join_ids *s, uint32_t ord, bool add, uint32_t *out, qd_err *err)
{
    qd_str id;
    int rc = qd_dict_at(l->dict, ord, &id, err);
    if (rc) return rc;
    uintptr_t had = (uintptr_t)qd_map_get(&s->map, id);
    *out = had ? (uint32_t)(had - 1) : QD_JOIN_NONE;
    if (had || !add) return 0;
    if (s->map.n >= QD_JOIN_NONE - 1 || qd_map_put(&s->map, id, (void *)(s->map.n + 1), NULL))
        return qd_err_nomem(err, "ids of a join");
    *out = (uint32_t)(s->map.n - 1);
    return 0;
}

int qd_join_leaf_number(qd_join_leaf *l, qd_join_ids *s, uint32_t doc, bool add, uint32_t *out,
                        qd_err *err)
{
    uint32_t ord;
    *out = QD_JOIN_NONE;
    int rc = ordinal(l, doc, &ord, err);
    if (rc || ord == QD_JOIN_NONE) return rc;
    if (ord == l->last) {
        *out = l->last_number;
        return 0;
    }
    if (!l->known && ++l->asked > l->ordinals / TABLE_PAYS) {
        l->known = qd_arena_calloc(l->arena, (l->ordinals + 1ul) * sizeof *l->known);
        if (!l->known) return qd_err_nomem(err, "ids of a join");
    }
    if (l->known && l->known[ord])
        *out = l->known[ord] - 1;
    else
        rc = find(l, s, ord, add, out, err);
    if (rc) return rc;
    /* one that is not there may be added later */
    if (l->known && *out != QD_JOIN_NONE) l->known[ord] = *out + 1;
    l->last = *out == QD_JOIN_NONE ? QD_JOIN_NONE : ord;
    l->last_number = *out;
    return 0;
}

/* The ordinal of one document, whose column alone is read. */
static int one_ordinal(const qd_column *c, uint32_t doc, qd_reads *reads, qd_arena *arena,
                       uint32_t *out, qd_err *err)
{
    qd_join_leaf l = {0};
    int rc = qd_column_plan_docs(c, &doc, 1, reads, arena, &l.values, err);
    if (!rc) rc = qd_reads_fetch(reads, err);
    return rc ? rc : ordinal(&l, doc, out, err);
}

int qd_join_id(const qd_searcher *s, qd_str field, uint32_t doc, qd_arena *arena,
               qd_account *account, qd_str *out, qd_err *err)
{
    const qd_leaf *leaf = qd_searcher_leaf_of(s, doc);
    const qd_column *c = column_of(leaf, field);
    qd_dict_reader *dict;
    uint32_t ord = QD_JOIN_NONE;
    *out = (qd_str){NULL, 0};
    if (!c) return 0;
    qd_reads *reads = qd_reads_make(arena, account);
    if (!reads) return qd_err_nomem(err, "ids of a join");
    int rc = one_ordinal(c, doc - leaf->base, reads, arena, &ord, err);
    if (!rc && ord != QD_JOIN_NONE) {
        rc = qd_dict_plan_ords(c, &ord, 1, reads, arena, &dict, err);
        if (!rc) rc = qd_reads_fetch(reads, err);
        if (!rc) rc = qd_dict_at(dict, ord, out, err);
        if (!rc) *out = qd_arena_str(arena, *out);
        if (!rc && !out->p) rc = qd_err_nomem(err, "ids of a join");
    }
    qd_reads_release(reads);
    return rc;
}
