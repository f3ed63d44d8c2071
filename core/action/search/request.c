/* request.c: the body of a search, read as Elasticsearch's SearchSourceBuilder reads it. */
#include "action/api/admin_int.h"
#include "action/script/script_int.h"
#include "action/search/part_int.h"
#include "action/suggest/suggest_int.h"
#include "base/str.h"
#include "config/value.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define INT_TEXT "Numeric value (%.*s) out of range of int (-2147483648 - 2147483647)"

void qdi_search_request_init(search_request *r, qd_request *q, qd_arena *arena)
{
    *r = (search_request){
        .q = q,
        .params = q->params,
        .nparams = q->nparams,
        .arena = arena,
        .size = SEARCH_SIZE_STANDARD,
        .total = SEARCH_TOTAL_STANDARD,
        .allow_partial = qd_config_bool(q->a->config, QD_SET_SEARCH_ALLOW_PARTIAL),
        .batched_reduce_size = 512,
        .preference = qd_param(q, "preference"),
        .show = {.source = {.want = true}},
    };
    r->limits = QD_QUERY_LIMITS_DEFAULT;
    int64_t clauses = qd_config_i64(q->a->config, QD_SET_MAX_CLAUSES);
    r->limits.max_clauses = clauses < UINT32_MAX ? (uint32_t)clauses : UINT32_MAX;
    r->limits.max_nested_depth = (uint32_t)qd_config_i64(q->a->config, QD_SET_MAX_NESTED_DEPTH);
    r->limits.allow_leading_wildcard = qd_config_bool(q->a->config, QD_SET_QUERY_STRING_LEADING);
    r->limits.analyze_wildcard = qd_config_bool(q->a->config, QD_SET_QUERY_STRING_WILDCARD);
    r->limits.allow_expensive = qd_config_bool(q->a->config, QD_SET_SEARCH_EXPENSIVE);
    int64_t ms = qd_config_ms(q->a->config, QD_SET_SEARCH_DEFAULT_TIMEOUT);
    if (ms > 0) r->timeout_ms = ms;
}

static bool keep_text(qd_arena *a, qd_str *s)
{
    if (!s->n) return true;
    *s = qd_arena_str(a, *s);
    return s->p != NULL;
}

/* What a terms query looks up is looked up once for the whole search: a node's part is told. */
static int look_up(void *arg, const qd_query_lookup *l, qd_arena *arena, const qd_query_value **out,
                   uint32_t *n, qd_err *err)
{
    search_request *r = arg;
    search_lookup *x = r->lookups;
    while (x && !(qd_str_eq(x->of.index, l->index) && qd_str_eq(x->of.id, l->id) &&
                  qd_str_eq(x->of.routing, l->routing) && qd_str_eq(x->of.path, l->path))) {
        x = x->next;
    }
    if (!x && !r->given_lookups && r->q->brief) { /* another document may have to be waited for */
        r->too_long = true;
        return qd_err_set(err, QD_E_STATE, "terms look-up in a brief search");
    }
    if (!x && !r->given_lookups) {
        qd_query_lookup of = *l;
        if (!of.index.n) of.index = qd_param(r->q, "index");
        int rc = qdi_docs_lookup(r->q->a, &of, arena, out, n, err);
        if (rc == QD_E_INDEX_NOT_FOUND && !l->path.n) { /* what is to be liked may be gone */
            if (err) qd_err_fini(err);
            if (err) qd_err_init(err);
            *out = NULL;
            *n = 0;
            rc = 0;
        }
        x = rc ? NULL : qd_arena_calloc(r->arena, sizeof *x);
        if (!x) return rc ? rc : qd_err_nomem(err, "terms look-up");
        *x = (search_lookup){.next = r->lookups, .of = *l, .values = *out, .n = *n};
        if (!keep_text(r->arena, &x->of.index) || !keep_text(r->arena, &x->of.id) ||
            !keep_text(r->arena, &x->of.routing) || !keep_text(r->arena, &x->of.path)) {
            return qd_err_nomem(err, "terms look-up");
        }
        r->lookups = x;
        return 0;
    }
    *out = x ? x->values : NULL;
    *n = x ? x->n : 0;
    return 0;
}

/* A script that the request names by its id. */
static int stored_script(void *arg, qd_str id, qd_arena *arena, qd_str *lang, qd_str *source,
                         qd_err *err)
{
    const search_request *r = arg;
    qd_state *s = qd_cluster_state(r->q->a->cluster);
    qd_script_ref ref;
    int rc = qdi_script_stored(s, id, arena, &ref, err);
    qd_state_unref(s);
    if (rc) return rc;
    *lang = ref.lang;
    *source = ref.source;
    return 0;
}

qd_query_reading qdi_search_reading(search_request *r)
{
    return (qd_query_reading){.arena = r->arena,
                              .host = r->q->a->plugins,
                              .limits = &r->limits,
                              .origin = r->body.p,
                              .lookup = look_up,
                              .lookup_arg = r,
                              .stored = stored_script,
                              .must_not_wait = r->q->brief ? &r->too_long : NULL};
}

/* Line and column of a place in the body, counted from 1. */
static void position(qd_str body, const char *at, int64_t *line, int64_t *column)
{
    *line = *column = 1;
    if (at < body.p || at > body.p + body.n) return;
    for (const char *p = body.p; p < at; p++) {
        ++*column;
        if (*p == '\n') {
            ++*line;
            *column = 1;
        }
    }
}

int qdi_search_err_at(const search_request *r, const char *at, qd_err *err, int code,
                      const char *fmt, ...)
{
    char text[1024];
    int64_t line, column;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    position(r->body, at, &line, &column);
    int rc = code == QD_E_XCONTENT
                 ? qd_err_set(err, code, "[%lld:%lld] %s", (long long)line, (long long)column, text)
                 : qd_err_set(err, code, "%s", text);
    if (code == QD_E_PARSE) {
        qd_err_detail_i64(err, "line", line);
        qd_err_detail_i64(err, "col", column);
    }
    return rc;
}

/* --- scalars --- */

/* The tree of the value under way; the reader ends behind it. */
static int value(search_request *r, qd_json_reader *j, qd_json_node **out, qd_err *err)
{
    qd_str raw;
    if (qd_json_raw(j, &raw)) return qd_json_fail(j, err);
    return qd_json_parse(r->arena, raw, 0, out, err);
}

static int int_value(qd_json_reader *j, const char *key, int64_t *out, qd_err *err)
{
    bool exact;
    if (j->event != QD_JSON_NUMBER && j->event != QD_JSON_STRING) {
        return qd_json_err_at(j, err, QD_E_PARSE, "Unknown key for a %s in [%s].",
                              qd_json_event_name(j->event), key);
    }
    int rc = qd_i64_parse_decimal(j->text, out, &exact);
    if (rc == QD_E_ARG) {
        return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                          QD_STR_ARG(j->text));
    }
    if (rc || *out > INT32_MAX || *out < INT32_MIN) {
        rc = qd_err_set(err, QD_E_ARG, INT_TEXT, QD_STR_ARG(j->text));
        qd_err_type(err, "input_coercion_exception", 400);
        return rc;
    }
    return 0; /* a fraction is cut off, as Jackson's intValue does */
}

static int bool_value(qd_json_reader *j, const char *key, bool *out, qd_err *err)
{
    bool text = j->event == QD_JSON_STRING;
    if (j->event == QD_JSON_TRUE || (text && qd_str_is(j->text, "true"))) {
        *out = true;
    } else if (j->event == QD_JSON_FALSE || (text && qd_str_is(j->text, "false"))) {
        *out = false;
    } else if (text) {
        return qd_err_set(err, QD_E_ARG,
                          "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                          QD_STR_ARG(j->text));
    } else {
        return qd_json_err_at(j, err, QD_E_PARSE, "Unknown key for a %s in [%s].",
                              qd_json_event_name(j->event), key);
    }
    return 0;
}

static int total_value(search_request *r, qd_json_reader *j, qd_err *err)
{
    int64_t n;
    bool b;
    r->total_given = true;
    bool number =
        j->event == QD_JSON_NUMBER ||
        (j->event == QD_JSON_STRING && !qd_str_is(j->text, "true") && !qd_str_is(j->text, "false"));
    if (!number) {
        int rc = bool_value(j, "track_total_hits", &b, err);
        if (!rc) r->total = b ? QD_TOTAL_EXACT : 0;
        return rc;
    }
    int rc = int_value(j, "track_total_hits", &n, err);
    if (rc) return rc;
    if (n < -1) {
        return qd_err_set(err, QD_E_ARG,
                          "[track_total_hits] parameter must be positive or equals to -1, got %lld",
                          (long long)n);
    }
    r->total = n < 0 ? 0 : (uint64_t)n;
    r->total_zero = n == 0;
    return 0;
}

static int time_value(qd_json_reader *j, const char *key, int64_t *out, qd_err *err)
{
    int64_t ns;
    int rc = qd_value_time(j->text, key, &ns, err);
    if (!rc) *out = ns < 0 ? 0 : (ns + 999999) / 1000000;
    return rc;
}

static int negative(const char *key, int64_t v, qd_err *err)
{
    return v >= 0 ? 0
                  : qd_err_set(err, QD_E_ARG, "[%s] parameter cannot be negative, found [%lld]",
                               key, (long long)v);
}

/* A scalar: 1 when key is none of those. */
static int scalar(search_request *r, qd_json_reader *j, qd_str key, qd_err *err)
{
    double d;
    int rc;
    if (qd_str_is(key, "from")) {
        rc = int_value(j, "from", &r->from, err);
        return rc ? rc : negative("from", r->from, err);
    }
    if (qd_str_is(key, "size")) {
        rc = int_value(j, "size", &r->size, err);
        r->size_given = true;
        return rc ? rc : negative("size", r->size, err);
    }
    if (qd_str_is(key, "timeout")) return time_value(j, "timeout", &r->timeout_ms, err);
    if (qd_str_is(key, "terminate_after")) {
        rc = int_value(j, "terminate_after", &r->terminate_after, err);
        return !rc && r->terminate_after < 0
                   ? qd_err_set(err, QD_E_ARG, "terminateAfter must be > 0")
                   : rc;
    }
    if (qd_str_is(key, "min_score")) {
        if (qd_f64_parse(j->text, &d)) {
            return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                              QD_STR_ARG(j->text));
        }
        r->has_min_score = true;
        r->min_score = (float)d;
        return 0;
    }
    if (qd_str_is(key, "track_total_hits")) return total_value(r, j, err);
    if (qd_str_is(key, "version")) return bool_value(j, "version", &r->show.version, err);
    if (qd_str_is(key, "seq_no_primary_term")) {
        return bool_value(j, "seq_no_primary_term", &r->show.seq_no, err);
    }
    if (qd_str_is(key, "explain")) return bool_value(j, "explain", &r->show.explain, err);
    if (qd_str_is(key, "track_scores")) return bool_value(j, "track_scores", &r->track_scores, err);
    if (qd_str_is(key, "include_named_queries_score")) {
        return bool_value(j, "include_named_queries_score", &r->show.named_scores, err);
    }
    if (qd_str_is(key, "profile")) return bool_value(j, "profile", &r->profile, err);
    return 1;
}

/* --- parts --- */

static int aggs_value(search_request *r, qd_json_reader *j, qd_err *err)
{
    qd_json_node *n;
    qd_query_reading reading = qdi_search_reading(r);
    int rc = value(r, j, &n, err);
    qdi_identity id;
    int64_t most = qd_config_i64(r->q->a->config, QD_SET_SEARCH_MAX_BUCKETS);
    qdi_identity_get(r->q->a, &id);
    qd_aggs_reading how = {
        .flavour = id.product == QDI_ES8 || id.product == QDI_ES9 ? QD_AGGS_ES8
                   : id.product == QDI_OS3                        ? QD_AGGS_OS3
                                                                  : QD_AGGS_OLD,
        .arena = r->arena,
        .reading = &reading,
        .body = r->body,
        .max_buckets = most == QD_AGGS_BUCKETS_MAX && id.opensearch ? most - 1 : most,
    };
    if (!rc) rc = qd_aggs_parse(&how, n, &r->aggs, err);
    if (!rc && qd_aggs_empty(r->aggs)) r->aggs = NULL;
    return rc;
}

static int boosts_value(search_request *r, qd_json_reader *j, qd_err *err)
{
    qd_json_node *n;
    int rc = value(r, j, &n, err);
    if (rc) return rc;
    uint32_t room = n->n + 1;
    r->boosts = qd_arena_alloc(r->arena, room * sizeof *r->boosts);
    if (!r->boosts) return qd_err_nomem(err, "indices_boost");
    for (const qd_json_node *x = n->first; x; x = x->next) {
        const qd_json_node *m = n->type == QD_JSON_T_OBJECT ? x : x->first;
        float boost;
        if (!m || m->type != QD_JSON_T_NUMBER || qd_f32_parse_java(m->text, &boost)) {
            return qdi_search_err_at(r, x->raw.p, err, QD_E_PARSE,
                                     "Expected [VALUE_NUMBER] in [indices_boost] but found [%.*s]",
                                     QD_STR_ARG(x->raw));
        }
        if (!qd_boost_valid(boost)) {
            return qdi_search_err_at(r, m->raw.p, err, QD_E_ARG,
                                     "[indices_boost] boost must be a positive float, got [%.*s]",
                                     QD_STR_ARG(m->text));
        }
        r->boosts[r->nboosts++] = (search_boost){m->key, boost};
    }
    return 0;
}

static int slice_value(search_request *r, qd_json_reader *j, qd_err *err)
{
    qd_json_node *n;
    int rc = value(r, j, &n, err);
    r->slice_id = -1;
    for (const qd_json_node *m = rc ? NULL : n->first; m && !rc; m = m->next) {
        int64_t *to = qd_str_is(m->key, "id")    ? &r->slice_id
                      : qd_str_is(m->key, "max") ? &r->slice_max
                                                 : NULL;
        if (qd_str_is(m->key, "field")) {
            r->slice_field = m->text;
        } else if (!to) {
            rc = qdi_search_err_at(r, m->raw.p, err, QD_E_XCONTENT, "[slice] unknown field [%.*s]",
                                   QD_STR_ARG(m->key));
        } else if (!qd_str_i64(qd_json_text(m), to)) {
            rc = qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                            QD_STR_ARG(m->text));
        }
    }
    if (rc) return rc;
    r->has_slice = true;
    if (r->slice_id < 0) {
        return qd_err_set(err, QD_E_ARG, "id must be greater than or equal to 0");
    }
    if (r->slice_max <= 1) return qd_err_set(err, QD_E_ARG, "max must be greater than 1");
    if (r->slice_id >= r->slice_max) {
        return qd_err_set(err, QD_E_ARG, "max must be greater than id");
    }
    return 0;
}

/* A part that is read as a tree; 1 when key is none of those. */
static int tree_part(search_request *r, qd_json_reader *j, qd_str key, qd_err *err)
{
    static const char *const keys[] = {"sort",         "_source",       "fields",
                                       "highlight",    "stored_fields", "docvalue_fields",
                                       "search_after", "script_fields"};
    uint32_t k = 0;
    qd_json_node *n;
    search_show *s = &r->show;
    while (k < QD_COUNT_OF(keys) && !qd_str_is(key, keys[k])) k++;
    if (k == QD_COUNT_OF(keys)) return 1;
    int rc = value(r, j, &n, err);
    if (rc) return rc;
    if (n->type == QD_JSON_T_NULL && k != 3) {
        return qdi_search_err_at(r, n->raw.p, err, QD_E_PARSE,
                                 "Unknown key for a VALUE_NULL in [%s].", keys[k]);
    }
    switch (k) {
    case 0:
        return qdi_search_sort_parse(r, n, &r->sort, err);
    case 1:
        s->source_given = true;
        return qdi_search_source_parse(r->arena, n, &s->source, err);
    case 2:
        return qdi_search_fields_parse(r->arena, n, "fields", &s->fields, &s->nfields, err);
    case 3:
        return qdi_search_highlight_parse(r, n, &r->show, err);
    case 4:
        return qdi_search_stored_parse(r->arena, n, s, err);
    case 5:
        return qdi_search_fields_parse(r->arena, n, "docvalue_fields", &s->docvalues,
                                       &s->ndocvalues, err);
    case 7:
        return qdi_search_script_fields_parse(r, n, s, err);
    default:
        if (n->type != QD_JSON_T_ARRAY) {
            return qdi_search_err_at(r, n->raw.p, err, QD_E_PARSE,
                                     "Expected [START_ARRAY] in [search_after] but found [%.*s]",
                                     QD_STR_ARG(n->raw));
        }
        if (!n->n) {
            return qd_err_set(err, QD_E_ARG, "Values must contains at least one value.");
        }
        r->after = n;
        return 0;
    }
}

/* Features that are not there; empty ones ask for nothing. */
static int refused(qd_json_reader *j, qd_str key, qd_err *err)
{
    static const char *const features[] = {"ext", "derived"};
    for (size_t i = 0; i < QD_COUNT_OF(features); i++) {
        if (qd_str_is(key, features[i])) {
            qd_str raw = {NULL, 0};
            bool object = j->event == QD_JSON_OBJECT, array = j->event == QD_JSON_ARRAY;
            if ((object || array) && qd_json_raw(j, &raw)) return qd_json_fail(j, err);
            if (raw.n && !qd_str_trim(qd_str_sub(raw, 1, raw.n - 2)).n) return 0;
            return qd_err_set(err, QD_E_UNSUPPORTED, "[%s] is not supported in a search",
                              features[i]);
        }
    }
    return 1;
}

/* What combines or moves lists of hits; 1 when key is none of those. */
static int ranking(search_request *r, qd_json_reader *j, qd_str key, qd_err *err)
{
    bool object = j->event == QD_JSON_OBJECT, array = j->event == QD_JSON_ARRAY;
    bool retriever = object && qd_str_is(key, "retriever"), rank = object && qd_str_is(key, "rank"),
         rescore = (object || array) && qd_str_is(key, "rescore");
    qd_json_node *n;
    if (qd_str_is(key, "search_pipeline")) { /* the node that was asked has seen to it */
        qd_str raw;
        return object && qd_json_raw(j, &raw) ? qd_json_fail(j, err) : 0;
    }
    if (!retriever && !rank && !rescore) return 1;
    int rc = value(r, j, &n, err);
    if (rc || (rescore && !n->n)) return rc; /* an empty one asks for nothing */
    if (rescore) return qdi_rank_rescores(r->arena, n, &r->rescore_given, err);
    *(retriever ? &r->retriever : &r->ranked) = n;
    return 0;
}

/* The query of a body that speaks of hybrid queries. */
static int maybe_hybrid(search_request *r, qd_json_reader *j, qd_err *err)
{
    qd_json_node *n;
    int rc = value(r, j, &n, err);
    if (rc) return rc;
    const qd_json_node *m = n->first;
    bool hybrid = m && !m->next && qd_str_is(m->key, "hybrid") && m->type == QD_JSON_T_OBJECT;
    r->hybrid = hybrid ? m : NULL;
    if (hybrid) return 0;
    rc = qdi_search_query_text(r, n->raw, &r->query, err);
    bool within = rc && err && strstr(qd_err_reason(err), "[hybrid]");
    for (const qd_err *e = err; rc && e && !within; e = e->cause)
        within = strstr(qd_err_reason(e), "[hybrid]");
    if (!within) return rc;
    qd_err_fini(err);
    qd_err_init(err);
    return qd_err_set(err, QD_E_ARG,
                      "hybrid query must be a top level query and cannot be wrapped into other "
                      "queries");
}

static int suggest_value(search_request *r, qd_json_reader *j, qd_err *err)
{
    qd_json_node *n;
    int rc = value(r, j, &n, err);
    if (!rc && !n->n) return 0; /* asks for nothing */
    r->suggest = rc ? NULL : qd_arena_calloc(r->arena, sizeof *r->suggest);
    if (!r->suggest) return rc ? rc : qd_err_nomem(err, "suggestions");
    return qdi_suggest_parse(n, r->arena, r->suggest, err);
}

/* A search for suggestions alone has no hits. */
static int suggest_alone(search_request *r, qd_err *err)
{
    qd_query_reading how = qdi_search_reading(r);
    bool ranked = r->retriever || r->ranked || r->hybrid;
    if (!r->suggest || r->query || r->aggs || r->nknn || ranked) return 0;
    return qd_query_read_text(&how, QD_STR("{\"match_none\":{}}"), &r->query, err);
}

/* The value of key; the reader stands on its first event. */
static int member(search_request *r, qd_json_reader *j, qd_str key, qd_err *err)
{
    qd_query_reading how = qdi_search_reading(r);
    bool object = j->event == QD_JSON_OBJECT, array = j->event == QD_JSON_ARRAY;
    if (qd_str_is(key, "query") && object)
        return r->speaks_hybrid ? maybe_hybrid(r, j, err) : qd_query_read(&how, j, &r->query, err);
    if (qd_str_is(key, "post_filter") && object) {
        return qd_query_read(&how, j, &r->post_filter, err);
    }
    if (object && (qd_str_is(key, "aggs") || qd_str_is(key, "aggregations"))) {
        return aggs_value(r, j, err);
    }
    int rc = !object && !array ? scalar(r, j, key, err) : 1;
    if (rc == 1) rc = tree_part(r, j, key, err);
    if (rc == 1 && object && qd_str_is(key, "slice")) rc = slice_value(r, j, err);
    if (rc == 1 && object && (qd_str_is(key, "pit") || qd_str_is(key, "point_in_time"))) {
        qd_json_node *n;
        rc = value(r, j, &n, err);
        if (!rc) rc = qdi_search_pit_parse(r, n, err);
    }
    if (rc == 1 && object && qd_str_is(key, "runtime_mappings")) {
        qd_json_node *n;
        rc = value(r, j, &n, err);
        if (!rc) r->runtime = n;
    }
    if (rc == 1 && object && qd_str_is(key, "suggest")) rc = suggest_value(r, j, err);
    if (rc == 1 && object && qd_str_is(key, "collapse")) {
        qd_json_node *n;
        rc = value(r, j, &n, err);
        if (!rc) rc = qdi_collapse_parse(r, n, err);
    }
    if (rc == 1 && (object || array) && qd_str_is(key, "indices_boost")) {
        rc = boosts_value(r, j, err);
    }
    if (rc == 1 && (object || array) && qd_str_is(key, "knn")) {
        rc = qdi_search_knn_parse(r, j, err);
    }
    if (rc == 1 && array && qd_str_is(key, "stats")) {
        qd_str raw;
        rc = qd_json_raw(j, &raw) ? qd_json_fail(j, err) : 0;
    }
    if (rc == 1) rc = ranking(r, j, key, err);
    if (rc == 1) rc = refused(j, key, err);
    return rc != 1 ? rc
                   : qd_json_err_at(j, err, QD_E_PARSE, "Unknown key for a %s in [%.*s].",
                                    qd_json_event_name(j->event), QD_STR_ARG(key));
}

/* Reads an object and gives its members to fn, the reader on the first event of each value. */
static int each_member(search_request *r, qd_str body,
                       int (*fn)(search_request *r, qd_json_reader *j, qd_str key, qd_err *err),
                       qd_err *err)
{
    qd_json_reader j = QD_JSON_READER(r->arena->account);
    int rc = 0;
    r->body = body;
    qd_json_reader_init(&j, body, QD_JSON_REQUEST, 0);
    qd_json_event ev = qd_json_next(&j);
    if (ev == QD_JSON_ERROR) {
        rc = qd_json_fail(&j, err);
    } else if (ev != QD_JSON_OBJECT) {
        rc = qd_json_err_at(&j, err, QD_E_PARSE, "Expected [START_OBJECT] but found [%s]",
                            qd_json_event_name(ev));
    }
    while (!rc && (ev = qd_json_next(&j)) == QD_JSON_KEY) {
        qd_str key = qd_arena_str(r->arena, j.text);
        if (j.text.n && !key.p) {
            rc = qd_err_nomem(err, "search");
            break;
        }
        ev = qd_json_next(&j);
        rc = ev == QD_JSON_ERROR ? qd_json_fail(&j, err) : fn(r, &j, key, err);
    }
    if (!rc && ev == QD_JSON_ERROR) rc = qd_json_fail(&j, err);
    if (!rc && qd_json_next(&j) != QD_JSON_EOF) rc = qd_json_fail(&j, err);
    qd_json_reader_fini(&j);
    return rc;
}

int qdi_search_query_text(search_request *r, qd_str json, const qd_query **out, qd_err *err)
{
    qd_query_reading how = qdi_search_reading(r);
    if (json.p < r->body.p || json.p >= r->body.p + r->body.n) how.origin = NULL;
    return qd_query_read_text(&how, json, out, err);
}

/* Parameters as other nodes are told: without a size that the pipeline has changed. */
static int drop_size(search_request *r, qd_err *err)
{
    qd_pair *all = qd_arena_alloc(r->arena, (r->nparams + 1ul) * sizeof *all);
    uint32_t n = 0;
    if (!all) return qd_err_nomem(err, "parameters of a search");
    for (uint32_t i = 0; i < r->nparams; i++)
        if (!qd_str_is(r->params[i].key, "size")) all[n++] = r->params[i];
    r->params = all;
    r->nparams = n;
    r->sampled = true;
    return 0;
}

static int take_pipeline(search_request *r, qd_str *body, qd_err *err)
{
    search_pipeline *p;
    int64_t size;
    int rc = qdi_search_pipeline_find(r->q, r->arena, r->expression, r->options, *body, &p, err);
    if (rc || !p) return rc;
    r->pipeline = p;
    rc = qdi_search_pipeline_request(p, r->q, r->arena, *body, body, &size, err);
    return rc || size < 0 ? rc : drop_size(r, err);
}

int qdi_search_body(search_request *r, qd_str body, qd_err *err)
{
    int rc = r->coordinates ? take_pipeline(r, &body, err) : 0;
    if (rc) return rc;
    r->speaks_hybrid = qd_str_find_str(body, QD_STR("\"hybrid\"")) >= 0;
    if (qd_str_trim(body).n) rc = each_member(r, body, member, err);
    return rc ? rc : suggest_alone(r, err);
}

static int only_query(search_request *r, qd_json_reader *j, qd_str key, qd_err *err)
{
    qd_query_reading how = qdi_search_reading(r);
    if (qd_str_is(key, "query") && j->event == QD_JSON_OBJECT) {
        return qd_query_read(&how, j, &r->query, err);
    }
    return qd_json_err_at(j, err, QD_E_PARSE, "request does not support [%.*s]", QD_STR_ARG(key));
}

static int query_and_limits(search_request *r, qd_json_reader *j, qd_str key, qd_err *err)
{
    if (qd_str_is(key, "query") || qd_str_is(key, "slice") || qd_str_is(key, "sort")) {
        return member(r, j, key, err);
    }
    if (qd_str_is(key, "size") || qd_str_is(key, "max_docs")) {
        r->size_given = true;
        return int_value(j, "max_docs", &r->size, err);
    }
    if (qd_str_is(key, "conflicts") && j->event == QD_JSON_STRING) {
        r->proceed = qd_str_is(j->text, "proceed");
        return 0;
    }
    return only_query(r, j, key, err);
}

int qdi_search_query_body(search_request *r, qd_str body, bool limits, qd_err *err)
{
    r->query_only = true;
    if (!qd_str_trim(body).n) return 0;
    return each_member(r, body, limits ? query_and_limits : only_query, err);
}
