/*
 * read_plugin.c: what the host reads of a plugin's query: boost and _name, which every query has,
 * and the queries within it; and what the operator's context offers.
 *
 * parse only tells where a query within stands. The host reads it when parse has returned, so that
 * no call of a plugin runs within another.
 */
#include "query/build_int.h"
#include "query/read_int.h"
#include "query/scope.h"

/* --- boost and _name -------------------------------------------------------------------------- */

/* Blanks in place of a member; line ends stay, so that lines and columns do. */
static void blank(char *from, const char *to)
{
    for (; from < to; from++)
        if (*from != '\n' && *from != '\r') *from = ' ';
}

/* The members of the object that r stands before, in text. */
static int read_members(qdi_reading *rd, qd_json_reader *r, char *text, qd_query *q, qd_err *err)
{
    char *mine = NULL, *kept_end = NULL; /* a member of the host's that comma may follow; the last
                                            of the plugin's */
    int ev = qdi_query_next(r, err);
    while (ev >= 0 && (ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        char *key = text + (r->token - r->begin);
        if (mine) blank(mine, key); /* with the comma behind it */
        mine = NULL;
        int rc = 0;
        if (qd_str_is(r->text, "boost") || qd_str_is(r->text, "_name")) {
            qd_str name = qd_str_is(r->text, "boost") ? QD_STR("boost") : QD_STR("_name");
            if ((ev = qdi_query_next(r, err)) < 0) return ev;
            rc = qdi_read_standard(rd, r, name, q, err);
            mine = key;
        } else {
            rc = qd_json_skip(r);
            if (rc) return qd_json_fail(r, err);
            kept_end = text + qd_json_used(r);
        }
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    if (mine) blank(kept_end ? kept_end : mine, text + (r->token - r->begin));
    return qdi_check_boost(q->boost, err);
}

int qdi_read_plugin_members(qdi_reading *rd, qdi_plugin_query *q, qd_str json, uint32_t line,
                            uint32_t column, qd_err *err)
{
    qd_json_reader r = QD_JSON_READER(rd->arena->account);
    char *text = qd_arena_bytes(rd->arena, json.n + 1);
    if (!text) return qd_err_nomem(err, "reading a query");
    memcpy(text, json.p, json.n);
    text[json.n] = 0;
    q->json = (qd_str){text, json.n};
    qd_json_reader_init(&r, json, QD_JSON_REQUEST | QD_JSON_ONE_VALUE, 0);
    qd_json_reader_at(&r, line, column);
    int rc = read_members(rd, &r, text, &q->base, err);
    qd_json_reader_fini(&r);
    return rc;
}

/* --- queries within --------------------------------------------------------------------------- */

static int read_one(qdi_reading *rd, const struct qd_subquery *x, const qd_query **out, qd_err *err)
{
    qd_json_reader r = QD_JSON_READER(rd->arena->account);
    qd_json_reader_init(&r, x->json, QD_JSON_REQUEST | QD_JSON_ONE_VALUE, 0);
    qd_json_reader_at(&r, x->line, x->column);
    int rc = qdi_read_inner(rd, &r, out, err);
    qd_json_reader_fini(&r);
    return rc;
}

int qdi_read_subqueries(qdi_reading *rd, qdi_plugin_query *q, const qd_operator_scope *s,
                        qd_err *err)
{
    if (!s->nsubs) return 0;
    qd_str *texts = qd_arena_calloc(rd->arena, s->nsubs * sizeof *texts);
    q->subs = qd_arena_calloc(rd->arena, s->nsubs * sizeof *q->subs);
    if (!q->subs || !texts) return qd_err_nomem(err, "reading a query");
    q->sub_json = texts;
    q->nsubs = s->nsubs;
    int rc = 0;
    for (const struct qd_subquery *x = s->first_sub; x && !rc; x = x->next) {
        rc = qdi_keep(rd, x->json, &texts[x->number], err);
        if (!rc) rc = read_one(rd, x, &q->subs[x->number], err);
    }
    return rc;
}

static qd_operator_scope *scope_of(const qd_query_ctx *ctx)
{
    return (qd_operator_scope *)(uintptr_t)ctx;
}

/* Works on the scope and the call's own reader alone, which nobody takes away. */
static int32_t subquery(const qd_query_ctx *ctx, qd_json_in *in, const qd_subquery **out,
                        qd_err *err)
{
    qd_operator_scope *s = scope_of(ctx);
    qd_json_reader *r = (qd_json_reader *)(void *)in;
    if (s->nsubs == QD_SUBQUERIES_MAX)
        return qd_err_set(err, QD_E_LIMIT, "operator [%s] has more than %u queries within it",
                          s->name, QD_SUBQUERIES_MAX);
    struct qd_subquery *x = qd_arena_calloc(&s->arena, sizeof *x);
    if (!x) return qd_err_nomem(err, "a query within a query");
    int ev = qdi_query_next(r, err);
    if (ev < 0) return ev;
    if (ev != QD_JSON_OBJECT) return qdi_not_an_object(r, err);
    qd_json_position(r, r->token, &x->line, &x->column);
    if (qd_json_raw(r, &x->json)) return qd_json_fail(r, err);
    x->json = qd_arena_str(&s->arena, x->json);
    if (!x->json.p) return qd_err_nomem(err, "a query within a query");
    x->number = s->nsubs++;
    if (s->last_sub)
        s->last_sub->next = x;
    else
        s->first_sub = x;
    s->last_sub = x;
    *out = x;
    return 0;
}

/* --- words ------------------------------------------------------------------------------------ */

static int tokens_of(qd_operator_scope *s, qd_str field, qd_str text, const qd_query_token **out,
                     uint32_t *n, qd_err *err)
{
    qdi_builder *b = s->builder;
    qdi_field f = qdi_field_find(b, field);
    qdi_token *t;
    bool at_end;
    if (f.cls == QDI_F_NONE) return 0;
    int rc = qdi_analyze(b, qdi_search_analyzer(b, &f, false), text, &t, n, &at_end, err);
    if (rc) return rc;
    if (*n > QD_QUERY_TOKENS_MAX)
        return qd_err_set(err, QD_E_LIMIT, "the text for field [%.*s] has more than %d words",
                          QD_STR_ARG(field), QD_QUERY_TOKENS_MAX);
    qd_query_token *copy = qd_arena_calloc(&s->arena, (*n + 1) * sizeof *copy);
    if (!copy) return qd_err_nomem(err, "words of a query");
    uint32_t position = 0;
    for (uint32_t i = 0; i < *n; i++) {
        position += t[i].inc;
        copy[i] = (qd_query_token){qd_arena_str(&s->arena, t[i].term), position ? position - 1 : 0,
                                   t[i].length};
        if (!copy[i].term.p) return qd_err_nomem(err, "words of a query");
    }
    *out = copy;
    return 0;
}

static int32_t analyze(const qd_query_ctx *ctx, qd_str field, qd_str text,
                       const qd_query_token **out, uint32_t *n, qd_err *err)
{
    qd_operator_scope *s = scope_of(ctx);
    *out = NULL;
    *n = 0;
    if (!s->builder)
        return qd_err_set(err, QD_E_STATE, "parse knows no mapping: rewrite may analyze a text");
    if (!qd_guest_enter()) return qd_err_set(err, QD_E_CANCELLED, "the search has ended");
    int32_t rc = tokens_of(s, field, text, out, n, err);
    qd_guest_leave();
    return rc;
}

void qdi_scope_functions(qd_operator_scope *s)
{
    s->sdk.subquery = subquery;
    s->sdk.analyze = analyze;
}
