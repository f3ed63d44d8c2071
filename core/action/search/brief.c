/*
 * brief.c: which searches run on the thread that asks, the loop of its connection.
 *
 * A search of a small index takes some tens of microseconds, less than waking a worker and being
 * woken by it. What may run so has a bound by construction: one index of one shard that is here,
 * was searched a moment ago and has few documents and bytes (so it is in memory), a tree of plain
 * nodes over not more than BRIEF_COST pairs of leaf and document, few hits whose sources are not
 * large when decompressed, nothing that reads other documents, compiles automata or calls a
 * plugin for what it shows. The cheap half
 * is asked before the body is read (qdi_brief_search), the rest when everything is bound and
 * nothing has run (qdi_search_is_brief).
 */
#include "action/search/search_int.h"
#include "base/str.h"
#include "search/tree.h"
#include "segment/segment.h"

#define BRIEF_DOCS 20000u /* of the index, deleted ones included */
#define BRIEF_BYTES ((uint64_t)8 << 20)
#define BRIEF_LEAVES 32u   /* segments */
#define BRIEF_COST 100000u /* leaves of the tree x documents: some hundred microseconds */
#define BRIEF_HITS 100     /* from + size */
#define BRIEF_SOURCES ((uint64_t)1 << 20) /* decompressed for the hits, by whole blocks */

static bool small(const qd_searcher *s)
{
    uint64_t bytes = 0;
    uint32_t n = qd_searcher_leaves(s);
    if (n > BRIEF_LEAVES || qd_searcher_docs(s) > BRIEF_DOCS) return false;
    for (uint32_t i = 0; i < n; i++) bytes += qd_segment_bytes(qd_searcher_leaf(s, i)->segment);
    return bytes <= BRIEF_BYTES;
}

/* Bytes that the sources of so many hits are at most, with what stands in their blocks. */
static uint64_t sources(const qd_searcher *s, uint64_t hits)
{
    uint64_t all = 0, block = 0;
    for (uint32_t i = 0; i < qd_searcher_leaves(s); i++) {
        const qd_stored *x = qd_segment_stored(qd_searcher_leaf(s, i)->segment);
        if (!x) continue;
        const qd_stored_stats *n = qd_stored_stats_get(x);
        all += n->raw_bytes;
        if (n->block_max > block) block = n->block_max;
    }
    return hits * block < all ? hits * block : all;
}

bool qdi_brief_search(qd_request *q)
{
    qd_str name = qd_param(q, "index");
    if (!name.n || qd_param_has(q, "scroll") || qd_param_has(q, "q")) return false;
    qd_state *state = qd_cluster_state(q->a->cluster);
    const qd_index_meta *m = qd_state_index(state, name); /* a plain name, no list or pattern */
    qd_shard *shard = m && m->shards == 1 ? qd_shards_get(q->a->shards, m->uuid, 0) : NULL;
    qd_searcher *s = shard ? qd_shard_searcher_now(shard) : NULL;
    bool brief = s && small(s);
    qd_searcher_unref(s);
    qd_shard_unref(shard);
    qd_state_unref(state);
    return brief;
}

bool qdi_search_is_brief(search_run *x)
{
    const search_request *r = x->r;
    uint32_t leaves = r->sort.n + (r->collapse != NULL);
    if ((r->collapse && r->collapse->ninner) || r->aggs || r->suggest || r->show.highlight ||
        r->show.nscripts || r->show.explain || r->profile || r->pit.n || r->scroll_ms ||
        r->has_slice || r->lookups || r->rank || r->nrescores || r->pipeline ||
        r->from + r->size > BRIEF_HITS) {
        return false;
    }
    if (x->nindices != 1 || x->nshards > 1 || x->indices[0].rc) return false;
    const search_index *ix = &x->indices[0];
    if (qdi_search_has_runtime(ix) || qdi_hits_call_plugins(&r->show, ix->context.mapping))
        return false;
    for (uint32_t i = 0; i < ix->sort.n; i++)
        if (ix->sort.keys[i].fielddata || ix->sort.keys[i].script) return false;
    if (!qd_node_cost(ix->query.root, &leaves) || (ix->post && !qd_node_cost(ix->post, &leaves)))
        return false;
    for (uint32_t i = 0; i < ix->nfilters; i++)
        if (!qd_node_cost(ix->filters[i], &leaves)) return false;
    if (!x->nshards) return true;
    search_shard *s = &x->shards[0];
    if (!s->shard) s->shard = qd_shards_get(x->a->shards, ix->meta->uuid, s->number);
    if (s->shard && !s->searcher) s->searcher = qd_shard_searcher_now(s->shard);
    return s->searcher && small(s->searcher) &&
           (uint64_t)leaves * qd_searcher_docs(s->searcher) <= BRIEF_COST &&
           sources(s->searcher, (uint64_t)r->size) <= BRIEF_SOURCES;
}
