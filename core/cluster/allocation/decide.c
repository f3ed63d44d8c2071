/*
 * decide.c: asks the deciders. While searching, what an index's filters and tiers allow is one bit
 * (signatures), so the deciders marked static are not asked again.
 */
#include "cluster/allocation/decide_int.h"
#include <stdarg.h>
#include <stdio.h>

const alloc_decider qdi_alloc_deciders[] = {
#define DECIDER(name, allocate, remain, rebalance, flags)                                          \
    {name, allocate, remain, rebalance, flags},
#include "cluster/allocation/deciders.def"
#undef DECIDER
};
const uint32_t qdi_alloc_ndeciders = sizeof qdi_alloc_deciders / sizeof *qdi_alloc_deciders;

qd_alloc_verdict qdi_alloc_say(const alloc_ask *a, qd_alloc_verdict verdict, const char *fmt, ...)
{
    if (!a->why) return verdict;
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n >= (int)sizeof text) n = (int)sizeof text - 1;
    *a->why = qd_arena_str(a->w->arena, (qd_str){text, n > 0 ? (size_t)n : 0});
    if (n > 0 && !a->why->p) a->w->failed = QD_E_NOMEM;
    return verdict;
}

static bool fits_node(const alloc_work *w, uint32_t g, uint32_t node)
{
    return alloc_sig_has(&w->sigs.at[w->sig_of[alloc_shard_of(w, g)->index]], node);
}

qd_alloc_verdict qdi_alloc_allowed(alloc_work *w, const alloc_world *o, uint32_t g, uint32_t node)
{
    if (!fits_node(w, g, node)) return QD_ALLOC_NO;
    alloc_ask a = {w, o, g, node, NULL};
    qd_alloc_verdict worst = QD_ALLOC_YES;
    for (uint32_t i = 0; i < qdi_alloc_ndeciders; i++) {
        const alloc_decider *d = &qdi_alloc_deciders[i];
        if (!d->allocate) continue;
        if (d->allocate == qdi_alloc_tier) continue;
        if ((d->flags & ALLOC_NOW_ONLY) && o != &w->now) continue;
        /* the filter decider still knows of first allocations of shrunken indices */
        if ((d->flags & ALLOC_STATIC) && !alloc_index_of(w, g)->ninitial) continue;
        qd_alloc_verdict v = d->allocate(&a);
        if (v < worst) worst = v;
        if (worst == QD_ALLOC_NO) break;
    }
    return worst;
}

qd_alloc_verdict qdi_alloc_forced(alloc_work *w, uint32_t g, uint32_t node)
{
    if (!w->data[node]) return QD_ALLOC_NO;
    alloc_ask a = {w, &w->now, g, node, NULL};
    qd_alloc_verdict worst = QD_ALLOC_YES;
    for (uint32_t i = 0; i < qdi_alloc_ndeciders; i++) {
        const alloc_decider *d = &qdi_alloc_deciders[i];
        if (!d->allocate || !(d->flags & (ALLOC_BINDING | ALLOC_NOW_ONLY))) continue;
        /* a node on its way out is better than no primary */
        if (d->allocate == qdi_alloc_shutdown) continue;
        qd_alloc_verdict v = d->allocate(&a);
        if (v < worst) worst = v;
    }
    return worst;
}

qd_alloc_verdict qdi_alloc_remains(alloc_work *w, const alloc_world *o, uint32_t g, uint32_t node)
{
    if (!fits_node(w, g, node)) return QD_ALLOC_NO;
    alloc_ask a = {w, o, g, node, NULL};
    for (uint32_t i = 0; i < qdi_alloc_ndeciders; i++) {
        const alloc_decider *d = &qdi_alloc_deciders[i];
        if (d->remain && !(d->flags & ALLOC_STATIC) && d->remain(&a) == QD_ALLOC_NO)
            return QD_ALLOC_NO;
    }
    return QD_ALLOC_YES;
}

qd_alloc_verdict qdi_alloc_rebalances(alloc_work *w, uint32_t g)
{
    alloc_ask a = {w, &w->now, g, w->now.node[g], NULL};
    qd_alloc_verdict worst = QD_ALLOC_YES;
    for (uint32_t i = 0; i < qdi_alloc_ndeciders && worst != QD_ALLOC_NO; i++) {
        const alloc_decider *d = &qdi_alloc_deciders[i];
        qd_alloc_verdict v = d->rebalance ? d->rebalance(&a) : QD_ALLOC_YES;
        if (v < worst) worst = v;
    }
    return worst;
}

const char *qdi_alloc_refusal(alloc_work *w, uint32_t g, uint32_t node, qd_str *why)
{
    alloc_ask a = {w, &w->now, g, node, why};
    for (uint32_t i = 0; i < qdi_alloc_ndeciders; i++) {
        const alloc_decider *d = &qdi_alloc_deciders[i];
        if (d->remain && d->remain(&a) == QD_ALLOC_NO) return d->name;
    }
    *why = QD_STR("the node may not hold it");
    return "none";
}
