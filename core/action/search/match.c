/*
 * match.c: shards where nothing can match are told by the bounds of their columns and points
 * before any of them is searched (Elasticsearch's can_match), on this node and on others. At least
 * one shard is always searched: it tells what empty results look like.
 */
#include "action/search/wire_int.h"
#include "base/str.h"
#include "rpc/rpc.h"
#include "search/plan/bounds.h"

#define SHARDS_STANDARD 128 /* more are looked at first, unless the search is by a field */

/* Are all values of the first sort key at or before those of search_after, so that no hit of the
 * shard is shown? Only when totals do not count. */
static bool behind_after(const search_run *x, const search_shard *s)
{
    const search_keys *k = &s->index->sort;
    int64_t min, max;
    bool all;
    if (!s->index->after || x->r->total || x->r->aggs || !k->n) return false;
    const qd_sort_key *key = &k->keys[0];
    const qd_sort_value *after = &s->index->after[0];
    bool column = key->kind == QD_SORT_I64 && !after->missing && k->bound[0].field;
    if (!column || key->mode > QD_SORT_MAX) return false;
    if (!qd_searcher_bounds(s->searcher, key->field, &min, &max, &all) || !all) return false;
    return key->descending ? min > after->i64 : max < after->i64;
}

/* Nothing is known of shards that cannot be opened: they fail when they are searched. */
static bool may_match(search_run *x, search_shard *s)
{
    qd_err err;
    qd_err_init(&err);
    bool may = s->index->rc || qdi_search_shard_open(s, &err);
    qd_err_fini(&err);
    if (may || qd_searcher_owner(s->searcher)) return true; /* scripts say what matches */
    for (uint32_t i = 0; i < s->index->nfilters; i++) {
        if (!qd_searcher_may_match(s->searcher, s->index->filters[i])) return false;
    }
    if (!qd_searcher_may_match(s->searcher, s->index->query.root)) return false;
    return !behind_after(x, s);
}

static void match_one(void *arg, uint32_t i)
{
    search_run *x = arg;
    x->shards[i].skipped = !may_match(x, &x->shards[i]);
}

/* Is it worth the question? As Elasticsearch decides. */
static bool is_wanted(const search_run *x)
{
    const search_request *r = x->r;
    bool by_field = r->sort.n && !qd_str_is(r->sort.at[0].field, "_score") &&
                    !qd_str_is(r->sort.at[0].field, "_doc");
    int64_t most = r->pre_filter ? r->pre_filter : by_field ? 1 : SHARDS_STANDARD;
    bool narrows = r->query || (r->after && !r->total);
    if (x->nshards <= most || !narrows || r->dfs || x->scroll || r->suggest) return false;
    return !r->aggs || !qd_aggs_visits_all(r->aggs);
}

/* --- other nodes --- */

/* A node that does not answer has its shards searched, elsewhere if that is possible. */
static void take(search_run *x, search_target *t, qd_asks *q)
{
    qd_str bytes;
    uint16_t version;
    qd_body_reader r;
    int rc = qdi_answer(q, t->question, &bytes, &version, NULL);
    if (rc == QD_E_TIMEOUT || rc == QD_E_CLOSED) qdi_target_silent(x, t);
    if (rc) return;
    qd_body_reader_init(&r, bytes, "shards that can match", version);
    if (qd_read_array(&r, "shards", SEARCH_PART_SHARDS_MAX, 1) != t->n) return;
    for (uint32_t i = 0; i < t->n; i++) {
        bool may = qd_read_bool(&r, "may_match");
        if (!qd_body_reader_bad(&r)) t->shards[i]->skipped = !may;
    }
}

static int ask_others(search_run *x, search_target *first, uint32_t n, qd_err *err)
{
    qd_asks *q;
    int rc = qdi_search_ask(x, n, &q, err);
    if (rc) return rc;
    for (search_target *t = first; t && !rc; t = t->next) {
        rc = qdi_ask_part(x, t, QD_ACTION_SEARCH_CAN_MATCH, q, err);
    }
    qdi_asks_wait(q);
    for (search_target *t = first; t && !rc; t = t->next) take(x, t, q);
    qdi_asks_end(q);
    return rc;
}

void qdi_part_match(search_run *x, qd_writer *w)
{
    qdi_search_fan(x->a, x->nshards, match_one, x);
    qd_write_array(w, x->nshards);
    for (uint32_t i = 0; i < x->nshards; i++) qd_write_bool(w, !x->shards[i].skipped);
}

int qdi_search_can_match(search_run *x, qd_err *err)
{
    search_target *first = NULL;
    uint32_t n = 0;
    int rc = qdi_targets_of_others(x, &first, &n, err);
    if (!rc && n) rc = ask_others(x, first, n, err);
    for (uint32_t i = 0; i < x->nshards && !rc; i++) {
        search_shard *s = &x->shards[i];
        if (s->shard && !s->skipped) s->skipped = !may_match(x, s);
    }
    return rc;
}

int qdi_search_prefilter(search_run *x, qd_err *err)
{
    uint32_t left = 0, kept = 0;
    if (!is_wanted(x)) return 0;
    int rc = qdi_search_can_match(x, err);
    for (uint32_t i = 0; i < x->nshards && !rc; i++) {
        search_shard *s = &x->shards[i];
        left += !s->skipped;
        if (x->shards[kept].rc && !s->rc) kept = i;
    }
    if (!rc && !left && x->nshards) x->shards[kept].skipped = x->shards[kept].rc != 0;
    return rc;
}
