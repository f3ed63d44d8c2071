/*
 * brief.c: which searches run on the thread that asks, the loop of its connection.
 *
 * A search of a small index takes some tens of microseconds, less than waking a worker and being
 * woken by it. What may run so has a bound by construction: one index of one shard that is here,
 * was searched a moment ago and has few documents and bytes (so it is in memory), a tree of plain
 * nodes over not more than BRIEF_COST pairs of leaf and document, few hits whose sources are not
 * large when decompressed, nothing that reads other documents or compiles automata. The cheap half
 * is asked before the body is read (qdi_brief_search), the rest when everything is bound and
 * nothing has run (qdi_search_is_brief).
 */
#include "action/search/search_int.h"
#include "base/str.h"
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

static bool plain(const qd_node *n, uint32_t *leaves);

static bool all_plain(const qd_node *const *list, uint32_t n, uint32_t *leaves)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!plain(list[i], leaves)) return false;
    }
    return true;
}

/* Has the tree only nodes whose work is a pass over postings or a column? Counts them. The depth is
 * bounded by what reading a query allows. */
static bool plain(const qd_node *n, uint32_t *leaves)
{
    const qd_node_bool *b = &n->u.boolean;
    switch (n->kind) {
    case QD_NATIVE_MATCH_NONE:
    case QD_NATIVE_MATCH_ALL:
    case QD_NATIVE_TERM:
    case QD_NATIVE_RANGE:
    case QD_NATIVE_EXISTS:
        ++*leaves;
        return true;
    case QD_NATIVE_SYNONYM:
        *leaves += n->u.synonym.n;
        return true;
    case QD_NATIVE_PHRASE:
        *leaves += 4 * n->u.phrase.n; /* positions too */
        for (uint32_t i = 0; i < n->u.phrase.n; i++) {
            if (n->u.phrase.terms[i].prefix) return false;
        }
        return n->u.phrase.slop == 0;
    case QD_NATIVE_TERM_SET:
        *leaves += n->u.term_set.n;
        return true;
    case QD_NATIVE_IDS:
        *leaves += n->u.ids.n;
        return true;
    case QD_NATIVE_BOOL:
        return all_plain(b->must, b->nmust, leaves) && all_plain(b->should, b->nshould, leaves) &&
               all_plain(b->filter, b->nfilter, leaves) &&
               all_plain(b->must_not, b->nmust_not, leaves);
    case QD_NATIVE_DIS_MAX:
        return all_plain(n->u.dis_max.children, n->u.dis_max.n, leaves);
    case QD_NATIVE_CONSTANT:
    case QD_NATIVE_BOOST:
        return plain(n->u.child, leaves);
    default:
        return false;
    }
}

bool qdi_search_is_brief(search_run *x)
{
    const search_request *r = x->r;
    uint32_t leaves = r->sort.n;
    if (r->aggs || r->show.highlight || r->show.explain || r->profile || r->pit.n || r->scroll_ms ||
        r->has_slice || r->lookups || r->from + r->size > BRIEF_HITS) {
        return false;
    }
    if (x->nindices != 1 || x->nshards > 1 || x->indices[0].rc) return false;
    const search_index *ix = &x->indices[0];
    if (!plain(ix->query.root, &leaves) || (ix->post && !plain(ix->post, &leaves)) ||
        !all_plain(ix->filters, ix->nfilters, &leaves)) {
        return false;
    }
    if (!x->nshards) return true;
    search_shard *s = &x->shards[0];
    if (!s->shard) s->shard = qd_shards_get(x->a->shards, ix->meta->uuid, s->number);
    if (s->shard && !s->searcher) s->searcher = qd_shard_searcher_now(s->shard);
    return s->searcher && small(s->searcher) &&
           (uint64_t)leaves * qd_searcher_docs(s->searcher) <= BRIEF_COST &&
           sources(s->searcher, (uint64_t)r->size) <= BRIEF_SOURCES;
}
