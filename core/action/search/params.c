/* params.c: query parameters of a search, and what Elasticsearch validates of the whole. */
#include "action/search/search_int.h"
#include "base/str.h"
#include <stdio.h>

bool qdi_search_param_query_write(const qd_request *q, qd_json_writer *w)
{
    static const char *const copied[][2] = {{"df", "default_field"},
                                            {"analyzer", "analyzer"},
                                            {"default_operator", "default_operator"},
                                            {"lenient", "lenient"},
                                            {"analyze_wildcard", "analyze_wildcard"}};
    if (!qd_param_has(q, "q")) return false;
    qd_json_object(w);
    qd_json_key_c(w, "query_string");
    qd_json_object(w);
    qd_json_field_str(w, "query", qd_param(q, "q"));
    for (size_t i = 0; i < QD_COUNT_OF(copied); i++) {
        if (qd_param_has(q, copied[i][0])) {
            qd_json_field_str(w, copied[i][1], qd_param(q, copied[i][0]));
        }
    }
    qd_json_object_end(w);
    qd_json_object_end(w);
    return true;
}

int qdi_search_param_query(search_request *r, qd_err *err)
{
    qd_query_reading how = qdi_search_reading(r);
    qd_json_writer w;
    qd_buf b;
    qd_buf_init(&b, r->arena->account, 1 << 20);
    qd_json_writer_init(&w, &b, false);
    if (!qdi_search_param_query_write(r->q, &w)) return 0;
    how.origin = NULL;
    int rc = qd_buf_status(&b) ? qd_err_nomem(err, "query") : 0;
    if (!rc) rc = qd_query_read_text(&how, qd_buf_view(&b), &r->query, err);
    qd_buf_fini(&b);
    return rc;
}

static int int_param(const qd_request *q, const char *key, int64_t *out, bool *given, qd_err *err)
{
    int64_t v;
    if (!qd_param_has(q, key)) return 0;
    int rc = qd_param_i64(q, key, 0, &v, err);
    if (!rc && (v > INT32_MAX || v < INT32_MIN)) {
        rc = qd_err_set(err, QD_E_ARG, "Failed to parse int parameter [%s] with value [%.*s]", key,
                        QD_STR_ARG(qd_param(q, key)));
    }
    if (rc) return rc;
    *out = v;
    if (given) *given = true;
    return 0;
}

static int not_negative(const char *key, int64_t v, qd_err *err)
{
    return v >= 0 ? 0
                  : qd_err_set(err, QD_E_ARG, "[%s] parameter cannot be negative, found [%lld]",
                               key, (long long)v);
}

static int total_param(search_request *r, qd_err *err)
{
    qd_str v = qd_param(r->q, "track_total_hits");
    int64_t n;
    if (!qd_param_has(r->q, "track_total_hits")) return 0;
    r->total_given = true;
    if (v.n == 0 || qd_str_is(v, "true")) {
        r->total = QD_TOTAL_EXACT;
    } else if (qd_str_is(v, "false")) {
        r->total = 0;
    } else if (!qd_str_i64(v, &n) || n > INT32_MAX || n < INT32_MIN) {
        (void)qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"", QD_STR_ARG(v));
        return qd_err_wrap(err, QD_E_ARG,
                           "Failed to parse int parameter [track_total_hits] with value [%.*s]",
                           QD_STR_ARG(v));
    } else if (n < -1) {
        return qd_err_set(err, QD_E_ARG,
                          "[track_total_hits] parameter must be positive or equals to -1, got %lld",
                          (long long)n);
    } else {
        r->total = n < 0 ? 0 : (uint64_t)n;
        r->total_zero = n == 0;
    }
    return 0;
}

static int fields_params(search_request *r, qd_err *err)
{
    const qd_request *q = r->q;
    search_show *s = &r->show;
    qd_str *list;
    if (qd_param_has(q, "stored_fields")) {
        s->nstored = qdi_list_split(r->arena, qd_param(q, "stored_fields"), &s->stored_fields);
        s->stored = true;
        for (uint32_t i = 0; i < s->nstored; i++) {
            if (qd_str_is(s->stored_fields[i], "_none_")) s->none = true;
        }
        if (s->none && s->nstored > 1)
            return qd_err_set(err, QD_E_ARG, "cannot combine _none_ with other fields");
    }
    uint32_t n = qdi_list_split(r->arena, qd_param(q, "docvalue_fields"), &list);
    if (n) {
        s->docvalues = qd_arena_calloc(r->arena, n * sizeof *s->docvalues);
        if (!s->docvalues) return qd_err_nomem(err, "docvalue_fields");
        for (uint32_t i = 0; i < n; i++) s->docvalues[i].field = list[i];
        s->ndocvalues = n;
    }
    if (qd_param_has(q, "_source") || qd_param_has(q, "_source_includes") ||
        qd_param_has(q, "_source_excludes") || qd_param_has(q, "_source_include") ||
        qd_param_has(q, "_source_exclude")) {
        bool no_vectors = s->source.no_vectors;
        s->source_given = true;
        int rc = qdi_source_param(q, &s->source, err);
        if (rc) return rc;
        s->source.no_vectors = no_vectors;
    }
    return qd_param_bool(q, "_source_exclude_vectors", s->source.no_vectors, &s->source.no_vectors,
                         err);
}

static int bools(search_request *r, qd_err *err)
{
    const qd_request *q = r->q;
    search_show *s = &r->show;
    int rc = qd_param_bool(q, "track_scores", r->track_scores, &r->track_scores, err);
    if (!rc) rc = qd_param_bool(q, "version", s->version, &s->version, err);
    if (!rc) rc = qd_param_bool(q, "seq_no_primary_term", s->seq_no, &s->seq_no, err);
    if (!rc) rc = qd_param_bool(q, "explain", s->explain, &s->explain, err);
    if (!rc) {
        rc =
            qd_param_bool(q, "include_named_queries_score", s->named_scores, &s->named_scores, err);
    }
    if (!rc) {
        rc = qd_param_bool(q, "rest_total_hits_as_int", r->total_as_int, &r->total_as_int, err);
    }
    if (!rc) rc = qd_param_bool(q, "typed_keys", r->typed_keys, &r->typed_keys, err);
    if (!rc) {
        rc = qd_param_bool(q, "allow_partial_search_results", r->allow_partial, &r->allow_partial,
                           err);
    }
    bool checked_only;
    if (!rc) rc = qd_param_bool(q, "request_cache", false, &checked_only, err);
    if (!rc) rc = qd_param_bool(q, "ccs_minimize_roundtrips", true, &checked_only, err);
    return rc;
}

int qdi_search_type(qd_str v, bool *dfs, qd_err *err)
{
    *dfs = qd_str_is(v, "dfs_query_then_fetch");
    if (!v.n || qd_str_is(v, "query_then_fetch") || qd_str_is(v, "dfs_query_then_fetch")) return 0;
    return qd_err_set(err, QD_E_ARG, "No search type for [%.*s]", QD_STR_ARG(v));
}

static int numbers(search_request *r, qd_err *err)
{
    const qd_request *q = r->q;
    bool filters = false;
    int rc = int_param(q, "from", &r->from, NULL, err);
    if (!rc && !r->sampled) rc = int_param(q, "size", &r->size, &r->size_given, err);
    if (!rc) rc = not_negative("from", r->from, err);
    if (!rc) rc = not_negative("size", r->size, err);
    if (!rc) rc = int_param(q, "terminate_after", &r->terminate_after, NULL, err);
    if (!rc && r->terminate_after < 0) {
        rc = qd_err_set(err, QD_E_ARG, "terminateAfter must be > 0");
    }
    if (!rc) rc = int_param(q, "batched_reduce_size", &r->batched_reduce_size, NULL, err);
    if (!rc && r->batched_reduce_size < 2) {
        rc = qd_err_set(err, QD_E_ARG, "batchedReduceSize must be >= 2");
    }
    bool limited = false;
    if (!rc) rc = int_param(q, "max_concurrent_shard_requests", &r->at_once, &limited, err);
    if (!rc && limited && r->at_once < 1) {
        rc = qd_err_set(err, QD_E_ARG, "maxConcurrentShardRequests must be >= 1");
    }
    if (!rc) rc = int_param(q, "pre_filter_shard_size", &r->pre_filter, &filters, err);
    if (!rc && filters && r->pre_filter < 1)
        rc = qd_err_set(err, QD_E_ARG, "preFilterShardSize must be >= 1");
    if (!rc) rc = qd_param_ms(q, "timeout", r->timeout_ms, &r->timeout_ms, err);
    if (r->timeout_ms < 0) r->timeout_ms = 0;
    if (!rc && qd_param_has(q, "scroll")) {
        rc = qd_param_ms(q, "scroll", 0, &r->scroll_ms, err);
        if (!rc && r->scroll_ms <= 0) {
            r->scroll_ms = qd_config_ms(q->a->config, QD_SET_SEARCH_DEFAULT_KEEP_ALIVE);
        }
    }
    return rc;
}

/* A word of a preference, with or without a list behind a colon. */
static int preference_word(qd_str v, qd_str whole, bool shards_before, qd_err *err)
{
    static const char *const alone[] = {"_local", "_only_local"};
    static const char *const lists[] = {"_shards", "_prefer_nodes", "_only_nodes"};
    ptrdiff_t colon = qd_str_find(v, ':');
    qd_str name = colon < 0 ? v : qd_str_sub(v, 0, (size_t)colon);
    qd_str list = colon < 0 ? QD_STR("") : qd_str_sub(v, (size_t)colon + 1, v.n);
    if (!v.n || v.p[0] != '_') return 0;
    for (size_t i = 0; i < QD_COUNT_OF(alone); i++) {
        if (colon < 0 && qd_str_is(name, alone[i])) return 0;
    }
    for (size_t i = shards_before ? 1 : 0; i < QD_COUNT_OF(lists); i++) {
        if (!qd_str_is(name, lists[i])) continue;
        if (list.n) return 0;
        return qd_err_set(err, QD_E_ARG, "Preference [%.*s] names nothing: [%s:] takes a list",
                          QD_STR_ARG(whole), lists[i]);
    }
    return qd_err_set(err, QD_E_ARG, "no Preference for [%.*s]", QD_STR_ARG(v));
}

int qdi_search_preference(const search_request *r, qd_err *err)
{
    qd_str v = r->preference, one;
    int64_t n;
    if (!qd_str_starts(v, QD_STR("_shards:"))) return preference_word(v, v, false, err);
    ptrdiff_t bar = qd_str_find(v, '|');
    qd_str list = bar < 0 ? v : qd_str_sub(v, 0, (size_t)bar);
    for (list = qd_str_sub(list, sizeof "_shards:" - 1, list.n); list.p;) {
        one = qd_str_trim(qd_str_split(&list, ','));
        if (!qd_str_i64(one, &n) || n < 0) {
            return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                              QD_STR_ARG(one));
        }
    }
    if (bar < 0) return 0;
    return preference_word(qd_str_sub(v, (size_t)bar + 1, v.n), v, true, err);
}

/* Hits of a point in time that are equal under a sort are told apart by shard and document, so that
 * no page misses one; not where search_after has no value for that. */
static void break_ties(search_request *r)
{
    search_sort *s = &r->sort;
    uint32_t n = s->n;
    if (!r->pit.n || !s->at || r->collapse) return; /* search_after takes the group's field alone */
    if (!n && qd_str_is(s->at[0].field, "_score")) n = 1; /* the standard order, asked for */
    if (!n || n >= QD_SORT_KEYS_MAX || qd_str_is(s->at[n - 1].field, "_shard_doc")) return;
    if (r->after && r->after->n != n + 1) return;
    s->at[n] = (search_sort_field){.field = QD_STR("_shard_doc")}; /* there is room for one more */
    s->n = n + 1;
}

int qdi_search_params(search_request *r, qd_err *err)
{
    int rc = numbers(r, err);
    if (!rc) rc = qdi_search_preference(r, err);
    if (!rc) rc = total_param(r, err);
    if (!rc) rc = bools(r, err);
    if (!rc) rc = qdi_search_type(qd_param(r->q, "search_type"), &r->dfs, err);
    if (!rc) rc = fields_params(r, err);
    if (!rc && qd_param(r->q, "sort").n) {
        rc = qdi_search_sort_param(r, qd_param(r->q, "sort"), err);
    }
    if (!rc) rc = qdi_search_param_query(r, err);
    if (!rc) rc = qdi_rank_finish(r, err);
    if (!rc && r->total_as_int && !r->total_given) r->total = QD_TOTAL_EXACT;
    if (!rc) break_ties(r);
    return rc ? rc : qdi_collapse_show(r, err);
}

/* A time as TimeValue.toString shows it: in its greatest unit. */
static const char *short_time(int64_t ms, char out[32])
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t i = 0;
    while (i + 1 < QD_COUNT_OF(units) && ms < units[i].ms) i++;
    int64_t tenth = ms % units[i].ms * 10 / units[i].ms;
    snprintf(out, 32, tenth ? "%lld.%lld%s" : "%lld%.0lld%s", (long long)(ms / units[i].ms),
             (long long)tenth, units[i].unit);
    return out;
}

int qdi_scroll_keep_check(const qd_actions *a, int64_t ms, qd_str shown, qd_err *err)
{
    char text[32];
    int64_t most = qd_config_ms(a->config, QD_SET_SEARCH_MAX_KEEP_ALIVE);
    if (ms <= most) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "Keep alive for request (%.*s) is too large. It must be less than "
                      "(%s). This limit can be set by changing the [search.max_keep_alive] "
                      "cluster level setting.",
                      QD_STR_ARG(shown), short_time(most, text));
}

static int scroll_rules(const search_request *r, qd_err *err)
{
    const char *why = r->nrescores ? "using [rescore] is not allowed in a scroll context"
                      : r->total_given && r->total != QD_TOTAL_EXACT
                          ? "disabling [track_total_hits] is not allowed in a scroll context"
                      : r->from > 0      ? "using [from] is not allowed in a scroll context"
                      : r->size == 0     ? "[size] cannot be [0] in a scroll context"
                      : r->after != NULL ? "[search_after] cannot be used in a scroll context"
                      : qd_str_is(qd_param(r->q, "request_cache"), "true")
                          ? "[request_cache] cannot be used in a scroll context"
                          : NULL;
    if (why) return qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: %s;", why);
    return qdi_scroll_keep_check(r->q->a, r->scroll_ms, qd_param(r->q, "scroll"), err);
}

int qdi_search_validate(const search_request *r, qd_err *err)
{
    if (r->total_as_int && r->total != QD_TOTAL_EXACT && r->total != 0) {
        return qd_err_set(err, QD_E_ARG,
                          "[rest_total_hits_as_int] cannot be used if the tracking of total hits "
                          "is not accurate, got %llu",
                          (unsigned long long)r->total);
    }
    if (r->show.none && r->show.source_given && r->show.source.want) {
        return qd_err_set(
            err, QD_E_VALIDATION,
            "Validation Failed: 1: [stored_fields] cannot be disabled if [_source] is "
            "requested;");
    }
    if (r->has_slice && !r->scroll_ms && !r->pit.n) {
        return qd_err_set(err, QD_E_VALIDATION,
                          "Validation Failed: 1: [slice] can only be used with [scroll] or "
                          "[point-in-time] requests;");
    }
    if (r->after && r->from > 0) {
        return qd_err_set(err, QD_E_VALIDATION,
                          "Validation Failed: 1: `from` parameter must be set to 0 when "
                          "`search_after` is used.;");
    }
    for (uint32_t i = 0; i < r->sort.n && !r->pit.n; i++) {
        if (!qd_str_is(r->sort.at[i].field, "_shard_doc")) continue;
        return qd_err_set(err, QD_E_VALIDATION,
                          "Validation Failed: 1: [_shard_doc] sort field cannot be used without "
                          "[point in time];");
    }
    if (r->pipeline && r->pipeline->nresponse && r->scroll_ms)
        return qd_err_set(err, QD_E_UNSUPPORTED,
                          "a search pipeline with [response_processors] is not supported in a "
                          "scroll by this version");
    if (r->rank) {
        int rc = qdi_rank_validate(r->rank, r->size, r->scroll_ms > 0, err);
        if (rc) return rc;
    }
    if (r->pit.n) return qdi_search_pit_check(r, err);
    return r->scroll_ms ? scroll_rules(r, err) : 0;
}
