/*
 * runtime.c: runtime fields in a search: those of the mapping and of the request bound as one
 * mapping, the searchers that have them, and what of hits comes out of their columns.
 */
#include "search/runtime/runtime.h"
#include "action/search/search_int.h"
#include "base/features.h"

static void drop_mapping(void *arg)
{
    qd_mapping_unref(arg);
}

/* An older node would refuse the body. */
static int check_level(const search_run *x, qd_err *err)
{
    if (x->part || x->state->features >= QD_FEATURES_SEARCH_0_3) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "[runtime_mappings] needs level %u of the cluster's formats; they are of "
                      "level %u: POST _cluster/upgrade/finalize when all nodes run this version",
                      QD_FEATURES_SEARCH_0_3, x->state->features);
}

int qdi_search_mapping(const search_run *x, const search_index *ix, const qd_mapping **out,
                       qd_err *err)
{
    qd_mapping *m;
    *out = ix->meta->mapping;
    if (!x->r->runtime || !x->r->runtime->n) return 0;
    int rc = check_level(x, err);
    if (!rc) rc = qd_mapping_with_runtime(ix->meta->mapping, x->r->runtime, &m, err);
    if (rc) return rc;
    if (qd_arena_on_reset(x->arena, drop_mapping, m)) {
        qd_mapping_unref(m);
        return qd_err_nomem(err, "runtime_mappings");
    }
    *out = m;
    return 0;
}

bool qdi_search_has_runtime(const search_index *ix)
{
    const qd_runtime_field *const *all;
    return !ix->rc && ix->context.mapping && qd_mapping_runtime(ix->context.mapping, &all) > 0;
}

int qdi_search_runtime_open(search_shard *s, qd_err *err)
{
    qd_searcher *over;
    if (!qdi_search_has_runtime(s->index) || s->run->opens_pit || qd_searcher_owner(s->searcher))
        return 0;
    int rc = qd_runtime_searcher(s->searcher, s->index->context.mapping, s->run->now_ms,
                                 s->run->a->account, &over, err);
    if (rc) return rc;
    qd_searcher_unref(s->searcher);
    s->searcher = over;
    return 0;
}

static void drop_searcher(void *arg)
{
    qd_searcher_unref(arg);
}

int qdi_hits_narrow(search_hits *h, const uint32_t *docs, qd_err *err)
{
    qd_searcher *some;
    if (h->level || !qd_searcher_owner(h->searcher)) return 0;
    int rc = qd_runtime_narrow(h->searcher, docs, h->n, &some, err);
    if (rc) return rc;
    if (qd_arena_on_reset(h->arena, drop_searcher, some)) {
        qd_searcher_unref(some);
        return qd_err_nomem(err, "hits");
    }
    h->searcher = some;
    return 0;
}
