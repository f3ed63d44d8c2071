/*
 * work.c: what walks over dictionaries cost. A pattern that begins with a wildcard looks at every
 * term, and a query may have thousands of patterns: without a bound, one request of 200 KB keeps a
 * thread busy for a quarter of a minute. What some walks over everything cost is always
 * allowed, so that a few patterns are never refused, however many terms there are.
 */
#include "search/plan/plan_int.h"

#define WALKS_FREE 8u

/* One walk over each dictionary that the searcher has, and one term for 64 postings; of a field
 * that has only a column, what leaf_column.c charges. */
static uint64_t one_walk(qd_searcher *s)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < qd_searcher_leaves(s); i++) {
        qd_segment *seg = qd_searcher_leaf(s, i)->segment;
        const qd_columns *cs = qd_segment_columns(seg);
        for (uint32_t f = 0; f < qd_segment_fields(seg); f++) {
            const qd_column *c = cs ? qd_columns_get(cs, f) : NULL;
            sum += qd_terms_walk_cost(seg, f) + qd_segment_index_stats(seg, f)->sum_df / 64;
            if (c && qd_segment_field(seg, f)->index == QD_INDEX_NONE)
                sum += qd_column_stats_get(c)->ordinals + qd_segment_docs(seg) / 64;
        }
    }
    return sum;
}

int qdi_plan_spend(qd_plan *p, qd_str field, uint64_t n, qd_err *err)
{
    qd_term_budget *b = p->o.budget;
    if (!b) return 0;
    b->spent += n;
    if (QD_LIKELY(b->spent <= b->limit)) return 0;
    if (!b->walks) b->walks = WALKS_FREE * one_walk(p->searcher) + 1;
    if (b->spent - b->limit < b->walks) return 0;
    return qd_err_set(
        err, QD_E_ARG,
        "The patterns of this search on field [%.*s] must look at more than [%llu] terms of a "
        "shard, beyond %u walks over all of them. Use fewer patterns, or patterns with a longer "
        "beginning. This limit can be set by changing the [search.max_pattern_terms] cluster level "
        "setting.",
        QD_STR_ARG(field), (unsigned long long)b->limit, WALKS_FREE);
}

static int pay(qd_term_payer *payer, uint64_t cost, qd_err *err)
{
    qdi_walk *w = QD_CONTAINER_OF(payer, qdi_walk, payer);
    int rc = qdi_plan_spend(w->plan, w->field, cost, err);
    return rc ? rc : qd_task_poll(w->plan->o.task);
}

int qdi_walk_open(qdi_walk *w, qd_plan *p, const qd_leaf *leaf, uint32_t field,
                  const qd_term_range *range, qd_arena *arena, qd_err *err)
{
    w->payer.pay = pay;
    w->plan = p;
    w->field = qd_segment_field(leaf->segment, field)->name;
    int rc = qd_term_iter_open(leaf->segment, field, range, arena, &w->it, err);
    if (!rc) qd_term_iter_paid_by(w->it, &w->payer);
    return rc;
}
