/*
 * wire.c: what goes between the parts of a search, encoded. Nothing read is trusted: numbers
 * have bounds, arrays no more elements than the bytes there are could hold.
 */
#include "aggs/reduce/wire.h"
#include "action/search/wire_int.h"
#include "base/str.h"
#include <math.h>

#define NAME_BYTES 1024u
#define TEXT_BYTES ((size_t)256 << 20)
#define PARAMS_MAX 1000u
#define HITS_MAX ((size_t)1 << 30)

enum {
    PART_QUERY_ONLY = 1,
    PART_MIN_SCORE = 2,
    PART_ALONE = 4,
    PART_SCROLL = 8,
    PART_CONTEXT = 16,
    PART_OPENS_PIT = 32,
    PART_ASKS_KNN = 64, /* the next two only where a field has vectors */
    PART_NEAREST = 128
};
#define PICK_SCORES 0x10000u /* scores follow; only of lists that are combined */
enum {
    RESULT_LOWER_BOUND = 1,
    RESULT_TIMED_OUT = 2,
    RESULT_TERMINATED = 4,
    RESULT_AGGS = 8,
    RESULT_SUGGEST = 16
};

/* --- a part --- */

static void write_lookups(const search_lookup *l, qd_writer *w)
{
    uint32_t n = 0;
    for (const search_lookup *x = l; x; x = x->next) n++;
    qd_write_array(w, n);
    for (; l; l = l->next) {
        qd_write_str(w, l->of.index);
        qd_write_str(w, l->of.id);
        qd_write_bool(w, l->of.routing.p != NULL);
        qd_write_str(w, l->of.routing);
        qd_write_str(w, l->of.path);
        qd_write_array(w, l->n);
        for (uint32_t i = 0; i < l->n; i++) {
            qd_write_str(w, l->values[i].text);
            qd_write_bool(w, l->values[i].quoted);
        }
    }
}

static void write_stats(const search_part *p, qd_writer *w)
{
    qd_write_array(w, p->nstats);
    for (uint32_t i = 0; i < p->nstats; i++) {
        qd_write_str(w, p->stats[i].field);
        qd_write_str(w, p->stats[i].term);
        qd_write_zigzag(w, p->stats[i].stats.doc_freq);
        qd_write_zigzag(w, p->stats[i].stats.total_term_freq);
        qd_write_zigzag(w, p->stats[i].stats.doc_count);
        qd_write_zigzag(w, p->stats[i].stats.sum_total_term_freq);
    }
}

static void write_nearest(const search_part *p, qd_writer *w)
{
    qd_write_varint(w, p->nnearest);
    for (uint32_t i = 0; i < p->nshards; i++) {
        const uint32_t *n = p->shards[i].nearest;
        qd_write_bool(w, n != NULL);
        for (uint32_t k = 0; n && k < p->nnearest; k++) qd_write_varint(w, n[k]);
    }
}

void qdi_part_write(const search_part *p, qd_writer *w)
{
    qd_write_u8(w, (uint8_t)((p->query_only ? PART_QUERY_ONLY : 0) |
                             (p->has_min_score ? PART_MIN_SCORE : 0) | (p->alone ? PART_ALONE : 0) |
                             (p->scroll ? PART_SCROLL : 0) | (p->context ? PART_CONTEXT : 0) |
                             (p->opens_pit ? PART_OPENS_PIT : 0) |
                             (p->asks_knn ? PART_ASKS_KNN : 0) | (p->nnearest ? PART_NEAREST : 0)));
    qd_write_str(w, p->body);
    qd_write_array(w, p->nparams);
    for (uint32_t i = 0; i < p->nparams; i++) {
        qd_write_str(w, p->params[i].key);
        qd_write_str(w, p->params[i].value);
    }
    qd_write_varint(w, p->revision);
    qd_write_zigzag(w, p->now_ms);
    qd_write_varint(w, (uint64_t)p->from);
    qd_write_varint(w, (uint64_t)p->size);
    qd_write_varint(w, (uint64_t)p->timeout_ms);
    qd_write_varint(w, (uint64_t)p->terminate_after);
    qd_write_varint(w, (uint64_t)p->at_once);
    qd_write_varint(w, (uint64_t)p->keep_ms);
    qd_write_varint(w, p->total);
    if (p->has_min_score) qd_write_float(w, p->min_score);
    if (p->context) {
        qd_write_raw(w, p->context, SEARCH_CONTEXT_ID);
        qd_write_varint(w, (uint64_t)p->pit_keep_ms);
    }
    qd_write_array(w, p->nindices);
    for (uint32_t i = 0; i < p->nindices; i++) {
        qd_write_str(w, p->indices[i].uuid);
        qd_write_str(w, p->indices[i].name);
        qd_write_str(w, p->indices[i].filter);
    }
    qd_write_array(w, p->nshards);
    for (uint32_t i = 0; i < p->nshards; i++) {
        qd_write_varint(w, p->shards[i].index);
        qd_write_varint(w, p->shards[i].number);
        qd_write_varint(w, p->shards[i].place);
    }
    write_lookups(p->lookups, w);
    write_stats(p, w);
    if (p->nnearest) write_nearest(p, w);
}

/* Room for an array whose length has been bounded by the message. */
static void *room(qd_body_reader *r, size_t n, size_t size, qd_arena *arena)
{
    void *p = qd_body_reader_bad(r) ? NULL : qd_arena_calloc(arena, (n + 1) * size);
    if (!p) qd_body_reader_nomem(r, "array");
    return p;
}

static void read_lookups(qd_body_reader *r, qd_arena *arena, search_part *p)
{
    size_t n = qd_read_array(r, "lookups", PARAMS_MAX, 6);
    search_lookup *l = room(r, n, sizeof *l, arena);
    for (size_t i = 0; i < n && !qd_body_reader_bad(r); i++) {
        l[i].of.index = qd_read_str(r, "lookup.index", NAME_BYTES);
        l[i].of.id = qd_read_str(r, "lookup.id", NAME_BYTES);
        bool routed = qd_read_bool(r, "lookup.routed");
        l[i].of.routing = qd_read_str(r, "lookup.routing", TEXT_BYTES);
        if (!routed) l[i].of.routing = (qd_str){NULL, 0};
        l[i].of.path = qd_read_str(r, "lookup.path", TEXT_BYTES);
        l[i].n = (uint32_t)qd_read_array(r, "lookup.values", HITS_MAX, 2);
        qd_query_value *v = room(r, l[i].n, sizeof *v, arena);
        for (uint32_t k = 0; k < l[i].n && !qd_body_reader_bad(r); k++) {
            v[k].text = qd_read_str(r, "lookup.value", TEXT_BYTES);
            v[k].quoted = qd_read_bool(r, "lookup.quoted");
        }
        l[i].values = v;
        l[i].next = i + 1 < n ? &l[i + 1] : NULL;
    }
    p->lookups = n ? l : NULL;
}

void qdi_stats_read(qd_body_reader *r, qd_arena *arena, search_stat **out, uint32_t *nout)
{
    size_t n = qd_read_array(r, "stats", HITS_MAX, 6);
    search_stat *s = room(r, n, sizeof *s, arena);
    for (size_t i = 0; i < n && !qd_body_reader_bad(r); i++) {
        s[i].field = qd_read_str(r, "stats.field", TEXT_BYTES);
        s[i].term = qd_read_str(r, "stats.term", TEXT_BYTES);
        s[i].stats.doc_freq = qd_read_zigzag(r, "stats.doc_freq");
        s[i].stats.total_term_freq = qd_read_zigzag(r, "stats.total_term_freq");
        s[i].stats.doc_count = qd_read_zigzag(r, "stats.doc_count");
        s[i].stats.sum_total_term_freq = qd_read_zigzag(r, "stats.sum_total_term_freq");
    }
    *out = s;
    *nout = qd_body_reader_bad(r) ? 0 : (uint32_t)n;
}

static void read_params(qd_body_reader *r, qd_arena *arena, search_part *p)
{
    p->nparams = (uint32_t)qd_read_array(r, "params", PARAMS_MAX, 2);
    qd_pair *params = room(r, p->nparams, sizeof *params, arena);
    for (uint32_t i = 0; i < p->nparams && !qd_body_reader_bad(r); i++) {
        params[i].key = qd_read_str(r, "param.name", TEXT_BYTES);
        params[i].value = qd_read_str(r, "param.value", TEXT_BYTES);
    }
    p->params = params;
}

static void read_targets(qd_body_reader *r, qd_arena *arena, search_part *p)
{
    p->nindices = (uint32_t)qd_read_array(r, "indices", SEARCH_PART_SHARDS_MAX, 3);
    p->indices = room(r, p->nindices, sizeof *p->indices, arena);
    for (uint32_t i = 0; i < p->nindices && !qd_body_reader_bad(r); i++) {
        p->indices[i].uuid = qd_read_str(r, "index.uuid", QD_UUID_TEXT);
        p->indices[i].name = qd_read_str(r, "index.name", NAME_BYTES);
        p->indices[i].filter = qd_read_str(r, "index.filter", TEXT_BYTES);
    }
    p->nshards = (uint32_t)qd_read_array(r, "shards", SEARCH_PART_SHARDS_MAX, 3);
    p->shards = room(r, p->nshards, sizeof *p->shards, arena);
    for (uint32_t i = 0; i < p->nshards && !qd_body_reader_bad(r); i++) {
        search_part_shard *s = &p->shards[i];
        s->index = (uint32_t)qd_read_varint_max(r, "shard.index", UINT32_MAX);
        s->number = (uint32_t)qd_read_varint_max(r, "shard.number", UINT32_MAX);
        s->place = (uint32_t)qd_read_varint_max(r, "shard.place", UINT32_MAX);
        if (s->index >= p->nindices) qd_body_reader_fail(r, "shard.index", "names no index");
    }
}

static void read_nearest(qd_body_reader *r, qd_arena *arena, search_part *p)
{
    p->nnearest = (uint32_t)qd_read_varint_max(r, "knn", SEARCH_KNN_MAX);
    for (uint32_t i = 0; i < p->nshards && !qd_body_reader_bad(r); i++) {
        if (!qd_read_bool(r, "shard.nearest")) continue;
        uint32_t *n = room(r, p->nnearest, sizeof *n, arena);
        for (uint32_t k = 0; k < p->nnearest && !qd_body_reader_bad(r); k++)
            n[k] = (uint32_t)qd_read_varint_max(r, "shard.nearest", UINT32_MAX);
        p->shards[i].nearest = n;
    }
}

void qdi_part_read(qd_body_reader *r, qd_arena *arena, search_part *p)
{
    *p = (search_part){0};
    uint8_t flags = qd_read_u8(r, "flags");
    p->query_only = flags & PART_QUERY_ONLY;
    p->has_min_score = flags & PART_MIN_SCORE;
    p->alone = flags & PART_ALONE;
    p->scroll = flags & PART_SCROLL;
    p->opens_pit = flags & PART_OPENS_PIT;
    p->body = qd_read_str(r, "body", TEXT_BYTES);
    read_params(r, arena, p);
    p->revision = qd_read_varint(r, "revision");
    p->now_ms = qd_read_zigzag(r, "now");
    p->from = (int64_t)qd_read_varint_max(r, "from", INT32_MAX);
    p->size = (int64_t)qd_read_varint_max(r, "size", INT32_MAX);
    p->timeout_ms = (int64_t)qd_read_varint_max(r, "timeout", INT64_MAX / 1000000);
    p->terminate_after = (int64_t)qd_read_varint_max(r, "terminate_after", INT64_MAX);
    p->at_once = (int64_t)qd_read_varint_max(r, "max_concurrent_shard_requests", INT64_MAX);
    p->keep_ms = (int64_t)qd_read_varint_max(r, "keep_alive", INT64_MAX / 1000000);
    p->total = qd_read_varint(r, "track_total_hits");
    if (p->has_min_score) p->min_score = qd_read_float(r, "min_score");
    if (flags & PART_CONTEXT) {
        p->context = (const uint8_t *)qd_read_raw(r, "context", SEARCH_CONTEXT_ID).p;
        p->pit_keep_ms = (int64_t)qd_read_varint_max(r, "pit.keep_alive", INT64_MAX / 1000000);
    }
    read_targets(r, arena, p);
    read_lookups(r, arena, p);
    qdi_stats_read(r, arena, &p->stats, &p->nstats);
    p->asks_knn = flags & PART_ASKS_KNN;
    if (flags & PART_NEAREST) read_nearest(r, arena, p);
}

/* --- scores of nearest vectors --- */

void qdi_nearest_write(const search_run *x, qd_writer *w)
{
    for (uint32_t i = 0; i < x->nshards; i++) {
        const search_shard *s = &x->shards[i];
        qd_write_bool(w, s->scores != NULL);
        if (!s->scores) continue;
        qd_write_array(w, s->index->nknn);
        for (uint32_t k = 0; k < s->index->nknn; k++) {
            qd_write_array(w, s->scores[k].n);
            for (uint32_t j = 0; j < s->scores[k].n; j++) qd_write_float(w, s->scores[k].at[j]);
        }
    }
}

void qdi_nearest_read(qd_body_reader *r, qd_arena *arena, search_shard *const *shards, uint32_t n)
{
    for (uint32_t i = 0; i < n && !qd_body_reader_bad(r); i++) {
        if (!qd_read_bool(r, "told")) continue;
        size_t sections = qd_read_array(r, "knn", SEARCH_KNN_MAX, 1);
        search_scores *all = room(r, sections, sizeof *all, arena);
        for (size_t k = 0; k < sections && !qd_body_reader_bad(r); k++) {
            all[k].n = (uint32_t)qd_read_array(r, "knn.scores", HITS_MAX, 4);
            all[k].at = room(r, all[k].n, sizeof *all[k].at, arena);
            for (uint32_t j = 0; j < all[k].n && !qd_body_reader_bad(r); j++) {
                all[k].at[j] = qd_read_float(r, "knn.score");
                if (!(all[k].at[j] >= 0)) qd_body_reader_fail(r, "knn.score", "is no score");
            }
        }
        bool whole = !qd_body_reader_bad(r) && sections && sections == shards[i]->index->nknn;
        if (whole) shards[i]->scores = all;
    }
}

void qdi_stats_write(const search_stat *s, uint32_t n, qd_writer *w)
{
    write_stats(&(search_part){.stats = (search_stat *)(uintptr_t)s, .nstats = n}, w);
}

/* --- lists of a plan --- */

static void write_lists(const search_shard *s, qd_writer *w)
{
    const search_request *r = s->run->r;
    uint32_t extra = qdi_rank_extra(r), leaves = s->lists ? r->rank->nleaves : 0;
    qd_write_array(w, leaves);
    for (uint32_t l = 0; l < leaves; l++) {
        const search_keys *k = &s->index->leaves[l].sort;
        qd_write_array(w, s->lists[l].n);
        for (uint32_t i = s->lists[l].from; i < s->lists[l].from + s->lists[l].n; i++) {
            const search_hit *h = &s->hits[i];
            qd_write_varint(w, h->doc);
            qd_write_float(w, h->score);
            if (k->n) qd_sort_values_write(h->values, k->n, w);
            if (r->leaves[l]->collapse) qd_sort_values_write(h->group, 1, w);
            for (uint32_t e = 0; e < extra; e++) qd_write_float(w, s->extra[(size_t)i * extra + e]);
        }
    }
}

static void read_list_hit(qd_body_reader *r, search_shard *s, uint32_t leaf, search_hit *h)
{
    const search_index *ix = &s->index->leaves[leaf];
    h->doc = (uint32_t)qd_read_varint_max(r, "hit.doc", UINT32_MAX);
    h->score = qd_read_float(r, "hit.score");
    if (ix->sort.n) h->values = qd_sort_values_read(r, ix->sort.n, &s->arena);
    for (uint32_t v = 0; v < ix->sort.n && h->values; v++)
        if (h->values[v].kind != ix->sort.keys[v].kind)
            qd_body_reader_fail(r, "hit.sort", "is of another kind than its key");
    if (!s->run->r->leaves[leaf]->collapse || qd_body_reader_bad(r)) return;
    h->group = qd_sort_values_read(r, 1, &s->arena);
    if (h->group && h->group->kind != ix->group.kind)
        qd_body_reader_fail(r, "hit.group", "is of another kind than its field");
}

/* The lists come one by one, so that room for all their hits is made as they come. */
static void read_lists(qd_body_reader *r, search_shard *s)
{
    const search_request *q = s->run->r;
    uint32_t extra = qdi_rank_extra(q), n = 0, cap = 0;
    uint32_t leaves = (uint32_t)qd_read_array(r, "lists", RANK_LEAVES_MAX, 1);
    if (!leaves) return; /* it ended by its time */
    if (leaves != q->rank->nleaves) qd_body_reader_fail(r, "lists", "are not those asked for");
    s->lists = room(r, leaves, sizeof *s->lists, &s->arena);
    for (uint32_t l = 0; l < leaves && !qd_body_reader_bad(r); l++) {
        uint32_t more = (uint32_t)qd_read_array(r, "list", HITS_MAX, 5 + 4 * (size_t)extra);
        s->lists[l] = (search_span){n, more};
        if (n + more > cap) {
            uint32_t grown = 2 * (n + more);
            search_hit *hits = room(r, grown, sizeof *hits, &s->arena);
            float *at = room(r, (size_t)grown * extra, sizeof *at, &s->arena);
            if (!hits || !at) return;
            if (n) memcpy(hits, s->hits, n * sizeof *hits);
            if (n && extra) memcpy(at, s->extra, (size_t)n * extra * sizeof *at);
            s->hits = hits;
            s->extra = at;
            cap = grown;
        }
        for (uint32_t i = 0; i < more && !qd_body_reader_bad(r); i++, n++) {
            read_list_hit(r, s, l, &s->hits[n]);
            for (uint32_t e = 0; e < extra; e++)
                s->extra[(size_t)n * extra + e] = qd_read_float(r, "hit.extra");
        }
    }
    s->nhits = qd_body_reader_bad(r) ? 0 : n;
    s->json = NULL; /* they are fetched later */
}

/* --- results --- */

static void write_result(const search_shard *s, bool aggs, qd_writer *w)
{
    const search_keys *k = s->index->meta ? &s->index->sort : NULL;
    qd_write_bool(w, s->rc == 0);
    if (s->rc) {
        qd_write_err(w, &s->err);
        return;
    }
    qd_write_u8(w, (uint8_t)((s->total_lower_bound ? RESULT_LOWER_BOUND : 0) |
                             (s->timed_out ? RESULT_TIMED_OUT : 0) |
                             (s->terminated_early ? RESULT_TERMINATED : 0) |
                             (aggs && s->aggs ? RESULT_AGGS : 0) |
                             (aggs && s->suggest.n ? RESULT_SUGGEST : 0)));
    qd_write_varint(w, s->total);
    qd_write_float(w, s->max_score);
    qd_write_varint(w, s->stale_ms > 0 ? (uint64_t)s->stale_ms : 0);
    qd_write_array(w, k ? k->n : 0);
    for (uint32_t i = 0; k && i < k->n; i++) qd_write_u8(w, (uint8_t)k->bound[i].kind);
    bool ranked = s->run->r->rank != NULL;
    uint32_t hits = ranked ? 0 : s->nhits;
    qd_write_array(w, hits);
    for (uint32_t i = 0; i < hits; i++) {
        qd_write_float(w, s->hits[i].score);
        if (k && k->n) qd_sort_values_write(s->hits[i].values, k->n, w);
        if (s->run->r->collapse) qd_sort_values_write(s->hits[i].group, 1, w);
        qd_write_str(w, s->json ? s->json[i] : (qd_str){NULL, 0});
    }
    if (ranked) write_lists(s, w);
    if (aggs && s->suggest.n) qd_write_str(w, s->suggest);
    if (aggs && s->aggs) qd_aggs_partial_write(s->aggs, w);
}

void qdi_results_write(const search_context *c, const search_load *load, qd_writer *w)
{
    qd_write_varint(w, load->service_ns);
    qd_write_varint(w, load->queue);
    qd_write_bool(w, c->listed);
    if (c->listed) qd_write_raw(w, c->id, SEARCH_CONTEXT_ID);
    qd_write_array(w, c->x.nshards);
    for (uint32_t i = 0; i < c->x.nshards; i++) write_result(&c->x.shards[i], true, w);
}

/* The sort keys as the other node saw them have to be those of this one: it merges by them. */
static void read_kinds(qd_body_reader *r, search_shard *s)
{
    const search_keys *k = &s->index->sort;
    size_t n = qd_read_array(r, "sort", QD_SORT_KEYS_MAX, 1);
    bool same = n == k->n;
    for (size_t i = 0; i < n; i++) {
        uint8_t kind = qd_read_u8(r, "sort.type");
        same = same && kind == (uint8_t)k->bound[i].kind;
    }
    if (qd_body_reader_bad(r) || same) return;
    s->rc = qd_err_set(&s->err, QD_E_STATE,
                       "a sort field of [%.*s] has another type on the node that holds the shard",
                       QD_STR_ARG(s->index->meta->name));
}

static void read_hits(qd_body_reader *r, search_shard *s)
{
    const search_keys *k = &s->index->sort;
    s->nhits = (uint32_t)qd_read_array(r, "hits", HITS_MAX, 5);
    s->hits = room(r, s->nhits, sizeof *s->hits, &s->arena);
    s->json = room(r, s->nhits, sizeof *s->json, &s->arena);
    for (uint32_t i = 0; i < s->nhits && !qd_body_reader_bad(r); i++) {
        search_hit *h = &s->hits[i];
        h->doc = i;
        h->score = qd_read_float(r, "hit.score");
        if (k->n) h->values = qd_sort_values_read(r, k->n, &s->arena);
        for (uint32_t v = 0; v < k->n && h->values; v++) {
            if (h->values[v].kind != k->keys[v].kind) {
                qd_body_reader_fail(r, "hit.sort", "is of another kind than its key");
            }
        }
        if (s->run->r->collapse && !qd_body_reader_bad(r)) {
            h->group = qd_sort_values_read(r, 1, &s->arena);
            if (h->group && h->group->kind != s->index->group.kind)
                qd_body_reader_fail(r, "hit.group", "is of another kind than its field");
        }
        qd_str json = qd_read_str(r, "hit.json", TEXT_BYTES);
        if (!json.n) continue;
        s->json[i] = qd_arena_str(&s->arena, json);
        if (!s->json[i].p) qd_body_reader_nomem(r, "hit.json");
    }
    if (qd_body_reader_bad(r)) s->nhits = 0;
}

static int read_result(qd_body_reader *r, search_shard *s, qd_err *err)
{
    if (!qd_read_bool(r, "ok")) {
        qd_err_fini(&s->err);
        qd_read_err(r, &s->err);
        s->rc = s->err.code;
        return qd_body_reader_check(r, err);
    }
    uint8_t flags = qd_read_u8(r, "result.flags");
    if (flags > (s->run->r->suggest ? 31 : 15))
        qd_body_reader_fail(r, "result.flags", "has unknown bits");
    s->total_lower_bound = flags & RESULT_LOWER_BOUND;
    s->timed_out = flags & RESULT_TIMED_OUT;
    s->terminated_early = flags & RESULT_TERMINATED;
    s->total = qd_read_varint_max(r, "total", INT64_MAX);
    s->max_score = qd_read_float(r, "max_score");
    s->stale_ms = (int64_t)qd_read_varint_max(r, "stale", INT64_MAX);
    read_kinds(r, s);
    if (s->rc) { /* what follows cannot be told apart */
        qd_err_copy(err, &s->err);
        return s->rc;
    }
    read_hits(r, s);
    if (s->run->r->rank && !qd_body_reader_bad(r)) read_lists(r, s);
    if (flags & RESULT_SUGGEST) {
        qd_str json = qd_read_str(r, "suggest", TEXT_BYTES);
        s->suggest = json.n ? qd_arena_str(&s->arena, json) : (qd_str){NULL, 0};
        if (json.n && !s->suggest.p) qd_body_reader_nomem(r, "suggest");
    }
    if (!(flags & RESULT_AGGS) || qd_body_reader_bad(r)) return qd_body_reader_check(r, err);
    if (!s->index->aggs) {
        qd_body_reader_fail(r, "aggregations", "were not asked for");
        return qd_body_reader_check(r, err);
    }
    return qd_aggs_partial_read(r, s->index->aggs, s->run->a->account, &s->aggs, err);
}

int qdi_results_read(qd_body_reader *r, search_target *t, search_load *load, qd_err *err)
{
    load->service_ns = qd_read_varint(r, "service");
    load->queue = qd_read_varint(r, "queue");
    t->kept = qd_read_bool(r, "kept");
    if (t->kept) {
        qd_str id = qd_read_raw(r, "context", SEARCH_CONTEXT_ID);
        if (id.n) memcpy(t->context, id.p, SEARCH_CONTEXT_ID);
    }
    size_t n = qd_read_array(r, "shards", SEARCH_PART_SHARDS_MAX, 2);
    if (n != t->n) qd_body_reader_fail(r, "shards", "are not those asked for");
    int rc = qd_body_reader_check(r, err);
    for (uint32_t i = 0; i < t->n && !rc; i++) rc = read_result(r, t->shards[i], err);
    return rc ? rc : qd_body_reader_check(r, err);
}

/* --- the next page of a scroll --- */

static void write_keys(const search_keys *k, qd_writer *w)
{
    qd_write_array(w, k->n);
    for (uint32_t i = 0; i < k->n; i++) {
        qd_write_u8(w, (uint8_t)k->bound[i].kind);
        qd_write_u8(w, (uint8_t)k->keys[i].kind);
        qd_write_bool(w, k->keys[i].descending);
        qd_write_str(w, k->keys[i].field);
        qd_write_u8(w, (uint8_t)k->keys[i].missing);
        if (k->keys[i].missing == QD_SORT_MISSING_VALUE) {
            qd_sort_values_write(&k->keys[i].missing_value, 1, w);
        }
    }
}

static void read_keys(qd_body_reader *r, qd_arena *arena, search_keys *k)
{
    k->n = (uint32_t)qd_read_array(r, "keys", QD_SORT_KEYS_MAX, 5);
    for (uint32_t i = 0; i < k->n && !qd_body_reader_bad(r); i++) {
        uint8_t bound = qd_read_u8(r, "key.type"), kind = qd_read_u8(r, "key.kind");
        if (bound > SEARCH_VALUE_U64) qd_body_reader_fail(r, "key.type", "is no known type");
        if (kind > QD_SORT_ORD) qd_body_reader_fail(r, "key.kind", "is no known kind");
        k->bound[i] = (search_sort_bound){.kind = (search_value_kind)bound};
        k->keys[i] = (qd_sort_key){.kind = (qd_sort_kind)kind};
        k->keys[i].descending = qd_read_bool(r, "key.descending");
        k->keys[i].field = qd_read_str_copy(r, "key.field", TEXT_BYTES, arena);
        uint8_t missing = qd_read_u8(r, "key.missing");
        if (missing > QD_SORT_MISSING_VALUE) {
            qd_body_reader_fail(r, "key.missing", "is no known place");
        }
        k->keys[i].missing = (qd_sort_missing)missing;
        if (missing != QD_SORT_MISSING_VALUE || qd_body_reader_bad(r)) continue;
        const qd_sort_value *v = qd_sort_values_read(r, 1, arena);
        if (v) k->keys[i].missing_value = *v;
    }
}

void qdi_shape_write(const search_shape *s, qd_writer *w)
{
    qd_write_varint(w, (uint64_t)s->size);
    qd_write_varint(w, (uint64_t)s->batched_reduce_size);
    qd_write_varint(w, (uint64_t)s->terminate_after);
    qd_write_varint(w, s->total);
    qd_write_bool(w, s->total_zero);
    qd_write_bool(w, s->aggs);
    qd_write_array(w, s->nindices);
    for (uint32_t i = 0; i < s->nindices; i++) {
        qd_write_str(w, s->indices[i].uuid);
        qd_write_str(w, s->indices[i].name);
        write_keys(&s->indices[i].keys, w);
    }
    qd_write_array(w, s->nshards);
    for (uint32_t i = 0; i < s->nshards; i++) {
        qd_write_varint(w, s->shards[i].index);
        qd_write_varint(w, s->shards[i].number);
        qd_write_varint(w, s->shards[i].place);
    }
}

void qdi_shape_read(qd_body_reader *r, qd_arena *arena, search_shape *s)
{
    *s = (search_shape){0};
    s->size = (int64_t)qd_read_varint_max(r, "size", INT32_MAX);
    s->batched_reduce_size = (int64_t)qd_read_varint_max(r, "batched_reduce_size", INT32_MAX);
    s->terminate_after = (int64_t)qd_read_varint_max(r, "terminate_after", INT64_MAX);
    s->total = qd_read_varint(r, "track_total_hits");
    s->total_zero = qd_read_bool(r, "total_zero");
    s->aggs = qd_read_bool(r, "aggs");
    s->nindices = (uint32_t)qd_read_array(r, "indices", SEARCH_PART_SHARDS_MAX, 3);
    s->indices = room(r, s->nindices, sizeof *s->indices, arena);
    for (uint32_t i = 0; i < s->nindices && !qd_body_reader_bad(r); i++) {
        s->indices[i].uuid = qd_read_str_copy(r, "index.uuid", QD_UUID_TEXT, arena);
        s->indices[i].name = qd_read_str_copy(r, "index.name", NAME_BYTES, arena);
        read_keys(r, arena, &s->indices[i].keys);
        if (s->indices[i].keys.n != s->indices[0].keys.n) {
            qd_body_reader_fail(r, "keys", "are not as many as of other indices");
        }
    }
    s->nshards = (uint32_t)qd_read_array(r, "shards", SEARCH_PART_SHARDS_MAX, 3);
    search_part_shard *at = room(r, s->nshards, sizeof *at, arena);
    for (uint32_t i = 0; i < s->nshards && !qd_body_reader_bad(r); i++) {
        at[i].index = (uint32_t)qd_read_varint_max(r, "shard.index", UINT32_MAX);
        at[i].number = (uint32_t)qd_read_varint_max(r, "shard.number", UINT32_MAX);
        at[i].place = (uint32_t)qd_read_varint_max(r, "shard.place", UINT32_MAX);
        if (at[i].index >= s->nindices) qd_body_reader_fail(r, "shard.index", "names no index");
    }
    s->shards = at;
}

/* --- fetching --- */

void qdi_picks_write(const search_picks *p, uint32_t n, qd_writer *w)
{
    qd_write_array(w, n);
    for (uint32_t i = 0; i < n; i++) {
        qd_write_varint(w, p[i].shard);
        qd_write_varint(w, p[i].doubles | (p[i].scores ? PICK_SCORES : 0));
        qd_write_array(w, p[i].n);
        for (uint32_t k = 0; k < p[i].n; k++) qd_write_varint(w, p[i].at[k]);
        for (uint32_t k = 0; k < p[i].n && p[i].scores; k++) qd_write_float(w, p[i].scores[k]);
    }
}

void qdi_picks_read(qd_body_reader *r, qd_arena *arena, search_picks **out, uint32_t *nout)
{
    uint32_t n = (uint32_t)qd_read_array(r, "picks", SEARCH_PART_SHARDS_MAX, 3);
    search_picks *p = room(r, n, sizeof *p, arena);
    for (uint32_t i = 0; i < n && !qd_body_reader_bad(r); i++) {
        p[i].shard = (uint32_t)qd_read_varint_max(r, "pick.shard", UINT32_MAX);
        if (i && p[i].shard <= p[i - 1].shard)
            qd_body_reader_fail(r, "pick.shard", "is out of order");
        p[i].doubles = (uint32_t)qd_read_varint_max(r, "pick.doubles", PICK_SCORES | UINT16_MAX);
        bool scored = p[i].doubles & PICK_SCORES;
        p[i].doubles &= UINT16_MAX;
        p[i].n = (uint32_t)qd_read_array(r, "pick.hits", HITS_MAX, 1);
        if (!p[i].n) qd_body_reader_fail(r, "pick.hits", "is empty");
        uint32_t *at = room(r, p[i].n, sizeof *at, arena);
        for (uint32_t k = 0; k < p[i].n && !qd_body_reader_bad(r); k++) {
            at[k] = (uint32_t)qd_read_varint_max(r, "pick.hit", UINT32_MAX);
        }
        p[i].at = at;
        float *scores = scored ? room(r, p[i].n, sizeof *scores, arena) : NULL;
        for (uint32_t k = 0; k < p[i].n && scores && !qd_body_reader_bad(r); k++)
            scores[k] = qd_read_float(r, "pick.score");
        p[i].scores = scores;
        qd_err_init(&p[i].err);
    }
    *out = p;
    *nout = qd_body_reader_bad(r) ? 0 : n;
}

void qdi_picked_write(const search_picks *p, uint32_t n, qd_writer *w)
{
    qd_write_array(w, n);
    for (uint32_t i = 0; i < n; i++) {
        qd_write_bool(w, p[i].rc == 0);
        if (p[i].rc) {
            qd_write_err(w, &p[i].err);
            continue;
        }
        qd_write_array(w, p[i].n);
        for (uint32_t k = 0; k < p[i].n; k++) qd_write_str(w, p[i].json[k]);
    }
}

void qdi_picked_read(qd_body_reader *r, qd_arena *arena, search_picks *p, uint32_t n)
{
    if (qd_read_array(r, "picks", SEARCH_PART_SHARDS_MAX, 2) != n) {
        qd_body_reader_fail(r, "picks", "are not those asked for");
    }
    for (uint32_t i = 0; i < n && !qd_body_reader_bad(r); i++) {
        if (!qd_read_bool(r, "ok")) {
            qd_read_err(r, &p[i].err);
            p[i].rc = p[i].err.code;
            continue;
        }
        if (qd_read_array(r, "hits", HITS_MAX, 1) != p[i].n) {
            qd_body_reader_fail(r, "hits", "are not those asked for");
        }
        p[i].json = room(r, p[i].n, sizeof *p[i].json, arena);
        for (uint32_t k = 0; k < p[i].n && !qd_body_reader_bad(r); k++) {
            p[i].json[k] = qd_read_str_copy(r, "hit.json", TEXT_BYTES, arena);
            if (!p[i].json[k].n) qd_body_reader_fail(r, "hit.json", "is empty");
        }
    }
}
