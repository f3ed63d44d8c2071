/*
 * function_score.c: a query whose scores functions change. Functions of fields (factors, decays)
 * become scripts (function_score_source.c), so that one way of running them is enough.
 */
#include "query/types/function_score_int.h"

typedef struct function_score_query {
    qd_query base;
    const qd_query *query;
    qdi_function *functions;
    uint32_t n, room;
    bool single, has_min; /* single: given without a list */
    qd_score_mode score_mode;
    qd_boost_mode boost_mode;
    float max_boost, min_score;
} function_score_query;

/* Room for one more. */
static qdi_function *add(qdi_reading *rd, function_score_query *s, qd_err *err)
{
    if (s->n == s->room) {
        uint32_t room = s->room ? 2 * s->room : 4;
        qdi_function *more = qd_arena_calloc(rd->arena, room * sizeof *more);
        if (!more || room > 1024) {
            if (more)
                (void)qd_err_set(err, QD_E_ARG, "[function_score] has too many functions");
            else
                (void)qd_err_nomem(err, "query");
            return NULL;
        }
        if (s->n) memcpy(more, s->functions, s->n * sizeof *more);
        s->functions = more;
        s->room = room;
    }
    s->functions[s->n] = (qdi_function){.kind = QDI_FUNCTION_WEIGHT, .weight = 1};
    return &s->functions[s->n++];
}

static int read_tree(qdi_reading *rd, qd_json_reader *r, const qd_json_node **out, qd_err *err)
{
    qd_str raw;
    qd_json_node *n;
    if (qd_json_raw(r, &raw)) return qd_json_fail(r, err);
    qd_str text = qd_arena_str(rd->arena, raw);
    if (!text.p) return qd_err_nomem(err, "query");
    int rc = qd_json_parse(rd->arena, text, 0, &n, err);
    *out = n;
    return rc;
}

static int read_script(qdi_reading *rd, qd_json_reader *r, qdi_function *f, qd_err *err)
{
    int ev, rc = 0;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY && !rc) {
        bool script = qd_str_is(r->text, "script");
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (!script)
            return qd_json_err_at(r, err, QD_E_PARSE, "script_score query does not support it");
        rc = qd_script_given_read(rd->how, r, &f->given, err);
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    if (f->given.source.p) return 0;
    return qd_json_err_at(r, err, QD_E_PARSE, "script_score requires 'script' field");
}

/* A member that is a function: 1 when it is none. */
static int read_function(qdi_reading *rd, qd_json_reader *r, qd_str key, qdi_function *f,
                         qd_err *err)
{
    static const char *const names[] = {
        "script_score", "field_value_factor", "random_score", "gauss", "exp", "linear"};
    uint32_t k = 0;
    while (k < QD_COUNT_OF(names) && !qd_str_is(key, names[k])) k++;
    if (k == QD_COUNT_OF(names) || r->event != QD_JSON_OBJECT) return 1;
    if (f->kind != QDI_FUNCTION_WEIGHT)
        return qd_json_err_at(r, err, QD_E_PARSE,
                              "failed to parse function_score functions. already found a function "
                              "and now encountering [%.*s].",
                              QD_STR_ARG(key));
    f->kind = (qdi_function_kind)(QDI_FUNCTION_SCRIPT + k);
    return k == 0 ? read_script(rd, r, f, err) : read_tree(rd, r, &f->body, err);
}

static int read_listed(qdi_reading *rd, qd_json_reader *r, qdi_function *f, qd_err *err)
{
    int ev, rc;
    bool weight = false;
    if (r->event != QD_JSON_OBJECT)
        return qd_json_err_at(r, err, QD_E_PARSE,
                              "failed to parse query. malformed query, expected a [START_OBJECT] "
                              "while parsing functions but got a [%s]",
                              qd_json_event_name(r->event));
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (qd_str_is(key, "weight")) {
            weight = true;
            rc = qdi_read_float(r, &f->weight, err);
        } else if (qd_str_is(key, "filter") && ev == QD_JSON_OBJECT) {
            rc = qdi_read_inner(rd, r, &f->filter, err);
        } else {
            rc = read_function(rd, r, key, f, err);
        }
        if (rc == 1)
            rc = qd_json_err_at(r, err, QD_E_PARSE,
                                "failed to parse function_score query. field [%.*s] is not "
                                "supported",
                                QD_STR_ARG(key));
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    if (weight || f->kind != QDI_FUNCTION_WEIGHT) return 0;
    return qd_json_err_at(r, err, QD_E_PARSE,
                          "failed to parse function_score query. an entry in functions list is "
                          "missing a function.");
}

static int read_list(qdi_reading *rd, qd_json_reader *r, function_score_query *s, qd_err *err)
{
    int ev;
    while ((ev = qdi_query_next(r, err)) > 0 && ev != QD_JSON_ARRAY_END) {
        qdi_function *f = add(rd, s, err);
        int rc = f ? read_listed(rd, r, f, err) : QD_E_ARG;
        if (rc) return rc;
    }
    return ev < 0 ? ev : 0;
}

static int mode_of(qd_json_reader *r, const char *what, const char *const *names, int *out,
                   qd_err *err)
{
    for (int i = 0; names[i]; i++)
        if (r->event == QD_JSON_STRING && qd_str_ieq(r->text, qd_str_c(names[i]))) {
            *out = i;
            return 0;
        }
    return qd_json_err_at(r, err, QD_E_ARG, "illegal %s [%.*s]", what, QD_STR_ARG(r->text));
}

static int read_member(qdi_reading *rd, qd_json_reader *r, function_score_query *s, qd_str key,
                       qd_err *err)
{
    static const char *const scores[] = {"first", "avg", "max", "sum", "min", "multiply", NULL};
    static const char *const boosts[] = {"multiply", "replace", "sum", "avg", "min", "max", NULL};
    int mode = 0, rc;
    if (qd_str_is(key, "query") && r->event == QD_JSON_OBJECT)
        return qdi_read_inner(rd, r, &s->query, err);
    if (qd_str_is(key, "functions") && r->event == QD_JSON_ARRAY) return read_list(rd, r, s, err);
    if (qd_str_is(key, "score_mode")) {
        rc = mode_of(r, "score_mode", scores, &mode, err);
        s->score_mode = (qd_score_mode)mode;
        return rc;
    }
    if (qd_str_is(key, "boost_mode")) {
        rc = mode_of(r, "boost_mode", boosts, &mode, err);
        s->boost_mode = (qd_boost_mode)mode;
        return rc;
    }
    if (qd_str_is(key, "max_boost")) return qdi_read_float(r, &s->max_boost, err);
    if (qd_str_is(key, "min_score")) {
        s->has_min = true;
        return qdi_read_float(r, &s->min_score, err);
    }
    rc = qdi_is_value(r->event) ? qdi_read_standard(rd, r, key, &s->base, err) : 1;
    if (rc != 1) return rc;
    if (s->n && !s->single)
        return qd_json_err_at(r, err, QD_E_PARSE,
                              "failed to parse [function_score] query. already found [functions] "
                              "array, now encountering [%.*s].",
                              QD_STR_ARG(key));
    qdi_function *f = s->n ? &s->functions[0] : add(rd, s, err);
    if (!f) return QD_E_ARG;
    s->single = true;
    if (qd_str_is(key, "weight")) return qdi_read_float(r, &f->weight, err);
    return read_function(rd, r, key, f, err);
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    function_score_query *s = (function_score_query *)q;
    int ev;
    s->score_mode = QD_SCORE_MULTIPLY;
    s->max_boost = FLT_MAX;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        int rc = ev < 0 ? ev : read_member(rd, r, s, key, err);
        if (rc == 1)
            rc = qd_json_err_at(r, err, QD_E_PARSE,
                                "[function_score] query does not support [%.*s]", QD_STR_ARG(key));
        if (rc) return rc;
    }
    return ev < 0 ? ev : 0;
}

static int build_one(qdi_builder *b, const qdi_function *f, qd_score_function *to, qd_err *err)
{
    int rc = 0;
    to->weight = f->weight;
    if (f->filter) rc = qdi_build(b, f->filter, &to->filter, err);
    if (rc || f->kind == QDI_FUNCTION_WEIGHT) return rc;
    qd_script_given given = f->given;
    if (f->kind == QDI_FUNCTION_RANDOM) return qdi_function_random(b, f, to, err);
    if (f->kind != QDI_FUNCTION_SCRIPT) rc = qdi_function_source(b, f, &given, err);
    if (rc) return rc;
    b->bare_error = true;
    rc = qd_script_bind_make(b->c, &given, QD_SCRIPT_SCORE, &to->bind, err);
    if (!rc) b->bare_error = false;
    return rc;
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const function_score_query *s = (const function_score_query *)q;
    const qd_node *child = qdi_query_node(b, QD_NATIVE_MATCH_ALL, err);
    int rc = child ? 0 : QD_E_NOMEM;
    if (!rc && s->query) rc = qdi_build(b, s->query, &child, err);
    if (rc) return rc;
    qd_node *n = qdi_query_node(b, QD_NATIVE_FUNCTION_SCORE, err);
    qd_node_function_score *f = qd_arena_calloc(b->arena, sizeof *f);
    qd_score_function *list = qd_arena_calloc(b->arena, (s->n + 1) * sizeof *list);
    if (!n || !f || !list) return qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < s->n && !rc; i++) rc = build_one(b, &s->functions[i], &list[i], err);
    *f = (qd_node_function_score){.functions = list,
                                  .n = s->n,
                                  .score_mode = s->score_mode,
                                  .boost_mode = s->boost_mode,
                                  .max_boost = s->max_boost,
                                  .min_score = s->min_score,
                                  .has_min = s->has_min};
    n->u.functions.child = child;
    n->u.functions.of = f;
    b->uncacheable = true;
    *out = n;
    return rc;
}

const qd_query_type qdi_query_function_score = {
    .name = "function_score", .size = sizeof(function_score_query), .read = read, .build = build};
