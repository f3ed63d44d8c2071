/*
 * span.c: queries over places: span_term, span_near, span_or, span_not, span_first,
 * span_containing, span_within, span_multi, field_masking_span, and span_gap within span_near.
 */
#include "query/types/prox_int.h"
#include <stdio.h>

typedef struct span_query {
    qd_query base;
    const qd_query *const *clauses;
    uint32_t n;
    const qd_query *one, *two; /* match, query, include, big; exclude, little */
    qd_str masked;
    int32_t slop, pre, post, dist, end, width;
    bool unordered, has_pre, has_post, has_dist, has_end;
} span_query;
#define SPAN(q) ((span_query *)(q))

static const span_query *span_of(const qd_query *q)
{
    return (const span_query *)q;
}

/* --- reading ---------------------------------------------------------------------------------- */

typedef enum part_kind {
    PART_CLAUSES,
    PART_ONE,
    PART_TWO,
    PART_INT,
    PART_ORDER,
    PART_TEXT
} part_kind;

typedef struct part {
    const char *name;
    part_kind kind;
    size_t at, has; /* of INT; has 0: whether it is there is of no interest */
} part;

static int not_span(qd_json_reader *r, const qd_query *q, const char *name, qd_err *err)
{
    bool multi = q->type == &qdi_query_span_multi;
    return qd_json_err_at(r, err, QD_E_PARSE,
                          multi ? "[%s] [%s] must be of type multi term query"
                                : "%s [%s] must be of type span query",
                          q->type->name, name);
}

static bool is_multi(const qd_query *q)
{
    return q->type == &qdi_query_prefix || q->type == &qdi_query_wildcard ||
           q->type == &qdi_query_regexp || q->type == &qdi_query_fuzzy ||
           q->type == &qdi_query_range;
}

/* A query within, which has to be one of spans and may not have a boost. */
static int check_inner(qd_json_reader *r, const qd_query *q, const char *name,
                       const qd_query *inner, qd_err *err)
{
    if (q->type == &qdi_query_span_multi) return is_multi(inner) ? 0 : not_span(r, q, name, err);
    if (!inner->type->spans) return not_span(r, q, name, err);
    if (inner->boost == 1) return 0;
    char boost[32];
    bool whole = inner->boost == (float)(int64_t)inner->boost && inner->boost < 1e7f;
    snprintf(boost, sizeof boost, whole ? "%.1f" : "%.7g", (double)inner->boost);
    return qd_json_err_at(r, err, QD_E_PARSE,
                          "%s [%s] as a nested span clause can't have non-default boost value [%s]",
                          q->type->name, name, boost);
}

static int read_clauses(qdi_reading *rd, qd_json_reader *r, qd_query *q, const char *name,
                        qd_err *err)
{
    QD_VEC(const qd_query *) got = {0};
    int rc = 0, ev;
    while (!rc) {
        const qd_query *inner;
        ev = qdi_query_next(r, err);
        if (ev < 0) rc = ev;
        if (ev < 0 || ev == QD_JSON_ARRAY_END) break;
        rc = qdi_read_inner(rd, r, &inner, err);
        if (!rc) rc = check_inner(r, q, name, inner, err);
        if (!rc && qd_vec_push(&got, rd->arena->account, inner)) rc = qd_err_nomem(err, "query");
    }
    const qd_query **at = qd_arena_alloc(rd->arena, (got.n + 1) * sizeof *at);
    if (!rc && !at) rc = qd_err_nomem(err, "query");
    if (!rc && got.n) memcpy(at, got.at, got.n * sizeof *at);
    if (!rc) {
        SPAN(q)->clauses = at;
        SPAN(q)->n = (uint32_t)got.n;
    }
    qd_vec_fini(&got);
    return rc;
}

static int read_part(qdi_reading *rd, qd_json_reader *r, const part *p, qd_str key, qd_query *q,
                     qd_err *err)
{
    qd_json_event ev = r->event;
    span_query *s = SPAN(q);
    if (p && p->kind == PART_CLAUSES && ev == QD_JSON_ARRAY)
        return read_clauses(rd, r, q, p->name, err);
    if (p && (p->kind == PART_ONE || p->kind == PART_TWO) && ev == QD_JSON_OBJECT) {
        const qd_query **to = p->kind == PART_ONE ? &s->one : &s->two;
        int rc = qdi_read_inner(rd, r, to, err);
        return rc ? rc : check_inner(r, q, p->name, *to, err);
    }
    if (!qdi_is_value(ev)) return qdi_unsupported(r, q, key, err);
    if (p && p->kind == PART_INT) {
        if (p->has) *(bool *)(void *)((char *)q + p->has) = true;
        return qdi_read_int(r, (int32_t *)(void *)((char *)q + p->at), err);
    }
    if (p && p->kind == PART_TEXT) return qdi_read_text(rd, r, &s->masked, err);
    if (p && p->kind == PART_ORDER) {
        bool in_order;
        int rc = qdi_read_bool(r, &in_order, err);
        s->unordered = !in_order;
        return rc;
    }
    int rc = p ? 1 : qdi_read_standard(rd, r, key, q, err);
    return rc == 1 ? qdi_unsupported(r, q, key, err) : rc;
}

static int read_parts(qdi_reading *rd, qd_json_reader *r, const part *parts, size_t n, qd_query *q,
                      qd_err *err)
{
    int ev, rc;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        const part *p = NULL;
        qd_str key;
        for (size_t i = 0; i < n && !p; i++)
            if (qd_str_is(r->text, parts[i].name)) p = &parts[i];
        rc = qdi_keep(rd, r->text, &key, err);
        if (rc) return rc;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        rc = read_part(rd, r, p, key, q, err);
        if (rc) return rc;
    }
    return ev < 0 ? ev : 0;
}

#define READ_PARTS(parts) read_parts(rd, r, parts, QD_COUNT_OF(parts), q, err)
#define NUMBER(name, member)                                                                       \
    {                                                                                              \
        name, PART_INT, offsetof(span_query, member), 0                                            \
    }
#define HAS(name, member)                                                                          \
    {                                                                                              \
        name, PART_INT, offsetof(span_query, member), offsetof(span_query, has_##member)           \
    }

static int read_near(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const part parts[] = {
        {"clauses", PART_CLAUSES, 0, 0}, NUMBER("slop", slop), {"in_order", PART_ORDER, 0, 0}};
    int rc = READ_PARTS(parts);
    if (rc || SPAN(q)->n) return rc;
    return qd_json_err_at(r, err, QD_E_PARSE, "span_near must include [clauses]");
}

static int read_or(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const part parts[] = {{"clauses", PART_CLAUSES, 0, 0}};
    int rc = READ_PARTS(parts);
    if (rc || SPAN(q)->n) return rc;
    return qd_json_err_at(r, err, QD_E_PARSE, "span_or must include [clauses]");
}

static int need(qd_json_reader *r, const qd_query *q, bool there, const char *name,
                const char *what, qd_err *err)
{
    if (there) return 0;
    return qd_json_err_at(r, err, QD_E_PARSE, "%s must have [%s] %s", q->type->name, name, what);
}

static int read_not(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const part parts[] = {{"include", PART_ONE, 0, 0},
                                 {"exclude", PART_TWO, 0, 0},
                                 HAS("dist", dist),
                                 HAS("pre", pre),
                                 HAS("post", post)};
    span_query *s = SPAN(q);
    int rc = READ_PARTS(parts);
    if (!rc) rc = need(r, q, s->one, "include", "span query clause", err);
    if (!rc) rc = need(r, q, s->two, "exclude", "span query clause", err);
    if (!rc && s->has_dist && (s->has_pre || s->has_post))
        return qd_json_err_at(r, err, QD_E_PARSE,
                              "span_not can either use [dist] or [pre] & [post] (or none)");
    if (s->has_dist) s->pre = s->post = s->dist;
    if (s->pre < 0) s->pre = 0;
    if (s->post < 0) s->post = 0;
    return rc;
}

static int read_first(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const part parts[] = {{"match", PART_ONE, 0, 0}, HAS("end", end)};
    int rc = READ_PARTS(parts);
    if (!rc) rc = need(r, q, SPAN(q)->one, "match", "span query clause", err);
    if (!rc) rc = need(r, q, SPAN(q)->has_end, "end", "set for it", err);
    if (!rc && SPAN(q)->end < 0)
        return qd_err_set(err, QD_E_ARG, "parameter [end] needs to be positive.");
    return rc;
}

/* big and little, of span_containing and span_within. */
static int read_two(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const part parts[] = {{"big", PART_ONE, 0, 0}, {"little", PART_TWO, 0, 0}};
    int rc = READ_PARTS(parts);
    if (rc) return rc;
    if (!SPAN(q)->one) return qd_err_set(err, QD_E_ARG, "inner clause [big] cannot be null.");
    if (!SPAN(q)->two) return qd_err_set(err, QD_E_ARG, "inner clause [little] cannot be null.");
    return 0;
}

static int read_multi(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const part parts[] = {{"match", PART_ONE, 0, 0}};
    int rc = READ_PARTS(parts);
    if (rc || SPAN(q)->one) return rc;
    return qd_json_err_at(r, err, QD_E_PARSE,
                          "[span_multi] must have [match] multi term query clause");
}

static int read_masking(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const part parts[] = {{"query", PART_ONE, 0, 0}, {"field", PART_TEXT, 0, 0}};
    int rc = READ_PARTS(parts);
    if (!rc) rc = need(r, q, SPAN(q)->one, "query", "span query clause", err);
    if (!rc) rc = need(r, q, SPAN(q)->masked.p, "field", "set for it", err);
    return rc;
}

static int read_term(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_option rows[] = {
        {"value", QDI_OPT_VALUE, 0}, {"term", QDI_OPT_VALUE, 0}, QDI_STANDARD};
    static const qdi_field_form form = {rows, QD_COUNT_OF(rows), .plain = true};
    int rc = qdi_read_field_query(rd, r, &form, q, err);
    return rc ? rc : qdi_need_field_value(q, "value", err);
}

static int read_gap(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    int ev, rc;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key;
        rc = qdi_keep(rd, r->text, &key, err);
        if (rc) return rc;
        if (q->field.p) return qdi_several_fields(r, q, key, err);
        q->field = key;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (!qdi_is_value(ev)) return qdi_unsupported(r, q, key, err);
        rc = qdi_read_int(r, &SPAN(q)->width, err);
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    if (!q->field.n) return qd_err_set(err, QD_E_ARG, "[span_gap] field name is null or empty");
    if (SPAN(q)->width < 0 || SPAN(q)->width > 1 << 20)
        return qd_err_set(err, QD_E_ARG, "[span_gap] has a width from 0 to 1048576, but was [%d]",
                          SPAN(q)->width);
    return 0;
}

/* --- building --------------------------------------------------------------------------------- */

static int inner(qdi_builder *b, const qd_query *q, const qd_prox **out, qd_err *err)
{
    int rc = q->type->spans(b, q, out, err);
    if (rc || !q->name.p) return rc;
    const qd_node *n; /* a node of its own tells whether it matched; it is not the tree's */
    rc = qdi_prox_node(b, *out, false, &n, err);
    qd_str name;
    if (!rc) rc = qdi_query_copy(b, q->name, &name, err);
    if (rc || b->nested.n) return rc;
    ((qd_node *)(uintptr_t)n)->name = name;
    return qd_vec_push(&b->named, b->arena->account, ((qd_query_named){name, n}))
               ? qd_err_nomem(err, "query")
               : 0;
}

static int same_field(const qd_prox *a, const qd_prox *b, const char *why, qd_err *err)
{
    if (qd_str_eq(a->field, b->field)) return 0;
    return qd_err_set(err, QD_E_ARG, "%s", why);
}

static int list(qdi_builder *b, const qd_query *q, qd_prox_kind kind, const qd_prox **out,
                qd_err *err)
{
    const span_query *s = span_of(q);
    const qd_prox **sub;
    if (s->n == 1 && s->clauses[0]->type != &qdi_query_span_gap)
        return inner(b, s->clauses[0], out, err);
    qd_prox *x = qdi_prox_make(b, kind, (qd_str){0}, s->n, &sub, err);
    if (!x) return QD_E_NOMEM;
    for (uint32_t i = 0; i < s->n; i++) {
        bool gap = s->clauses[i]->type == &qdi_query_span_gap;
        int rc = inner(b, s->clauses[i], &sub[i], err);
        if (!rc && gap && kind != QD_PROX_NEAR)
            return qd_err_set(err, QD_E_ARG, "Gaps can only be added to ordered near queries");
        if (!rc && i)
            rc = same_field(sub[0], sub[i],
                            gap ? "[span_near] clauses must have same field"
                                : "Clauses must have same field.",
                            err);
        if (rc) return rc;
    }
    x->field = sub[0]->field;
    x->a = s->slop;
    *out = x;
    return 0;
}

static int spans_near(qdi_builder *b, const qd_query *q, const qd_prox **out, qd_err *err)
{
    return list(b, q, span_of(q)->unordered ? QD_PROX_ANY_ORDER : QD_PROX_NEAR, out, err);
}

static int spans_or(qdi_builder *b, const qd_query *q, const qd_prox **out, qd_err *err)
{
    return list(b, q, QD_PROX_OR, out, err);
}

/* Of one or two queries within. */
static int pair(qdi_builder *b, const qd_query *q, qd_prox_kind kind, const char *why,
                const qd_prox **out, qd_err *err)
{
    const span_query *s = span_of(q);
    const qd_prox **sub;
    qd_prox *x = qdi_prox_make(b, kind, (qd_str){0}, s->two ? 2 : 1, &sub, err);
    if (!x) return QD_E_NOMEM;
    int rc = inner(b, s->one, &sub[0], err);
    if (!rc && s->two) rc = inner(b, s->two, &sub[1], err);
    if (!rc && s->two) rc = same_field(sub[0], sub[1], why, err);
    if (rc) return rc;
    x->field = sub[0]->field;
    x->a = kind == QD_PROX_FIRST ? s->end : s->pre;
    x->b = s->post;
    *out = x;
    return 0;
}

static int spans_not(qdi_builder *b, const qd_query *q, const qd_prox **out, qd_err *err)
{
    return pair(b, q, QD_PROX_NOT, "Clauses must have same field.", out, err);
}

static int spans_first(qdi_builder *b, const qd_query *q, const qd_prox **out, qd_err *err)
{
    return pair(b, q, QD_PROX_FIRST, "", out, err);
}

static int spans_containing(qdi_builder *b, const qd_query *q, const qd_prox **out, qd_err *err)
{
    return pair(b, q, QD_PROX_CONTAINING, "big and little not same field", out, err);
}

static int spans_within(qdi_builder *b, const qd_query *q, const qd_prox **out, qd_err *err)
{
    return pair(b, q, QD_PROX_WITHIN, "big and little not same field", out, err);
}

static int spans_masking(qdi_builder *b, const qd_query *q, const qd_prox **out, qd_err *err)
{
    const qd_prox *of;
    int rc = inner(b, span_of(q)->one, &of, err);
    if (rc) return rc;
    qd_prox *x = qd_arena_alloc(b->arena, sizeof *x);
    if (!x) return qd_err_nomem(err, "query");
    *x = *of;
    *out = x;
    qdi_field f = qdi_field_find(b, span_of(q)->masked);
    if (f.cls != QDI_F_NONE) {
        x->field = f.name;
        return 0;
    }
    return qdi_query_copy(b, span_of(q)->masked, &x->field, err);
}

static int spans_term(qdi_builder *b, const qd_query *q, const qd_prox **out, qd_err *err)
{
    qdi_field f = qdi_field_find(b, q->field);
    const qd_node *n;
    qd_str field = f.name;
    int rc = f.cls == QDI_F_NONE ? qdi_query_none(b, &n, err)
                                 : qdi_field_term(b, &f, q->value, false, &n, err);
    if (!rc && f.cls == QDI_F_NONE) rc = qdi_query_copy(b, q->field, &field, err);
    return rc ? rc : qdi_prox_of(b, n, field, "span_term", out, err);
}

static int spans_multi(qdi_builder *b, const qd_query *q, const qd_prox **out, qd_err *err)
{
    const qd_query *m = span_of(q)->one;
    qdi_field f = qdi_field_find(b, m->field);
    const qd_node *n;
    qd_str field = f.name;
    int rc = m->type->build(b, m, &n, err);
    if (!rc && f.cls == QDI_F_NONE) rc = qdi_query_copy(b, m->field, &field, err);
    if (!rc && !qd_node_is_none(n) && !qdi_field_is_string(&f))
        return qd_err_set(err, QD_E_ARG, "unsupported inner query generated by [%s]",
                          m->type->name);
    return rc ? rc : qdi_prox_of(b, n, field, "span_multi", out, err);
}

static int spans_gap(qdi_builder *b, const qd_query *q, const qd_prox **out, qd_err *err)
{
    qdi_field f = qdi_field_find(b, q->field);
    qd_prox *x = qdi_prox_make(b, QD_PROX_GAP, f.name, 0, NULL, err);
    if (!x) return QD_E_NOMEM;
    x->a = span_of(q)->width;
    *out = x;
    return f.cls == QDI_F_NONE ? qdi_query_copy(b, q->field, &x->field, err) : 0;
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const qd_prox *x;
    int rc = q->type->spans(b, q, &x, err);
    return rc ? rc : qdi_prox_node(b, x, false, out, err);
}

static int build_gap(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    (void)b, (void)q, (void)out;
    return qd_err_set(err, QD_E_ARG, "[span_gap] stands in the clauses of [span_near] only");
}

const qd_query_type qdi_query_span_term = {.name = "span_term",
                                           .size = sizeof(span_query),
                                           .read = read_term,
                                           .build = build,
                                           .spans = spans_term};
const qd_query_type qdi_query_span_near = {.name = "span_near",
                                           .size = sizeof(span_query),
                                           .read = read_near,
                                           .build = build,
                                           .spans = spans_near};
const qd_query_type qdi_query_span_or = {.name = "span_or",
                                         .size = sizeof(span_query),
                                         .read = read_or,
                                         .build = build,
                                         .spans = spans_or};
const qd_query_type qdi_query_span_not = {.name = "span_not",
                                          .size = sizeof(span_query),
                                          .read = read_not,
                                          .build = build,
                                          .spans = spans_not};
const qd_query_type qdi_query_span_first = {.name = "span_first",
                                            .size = sizeof(span_query),
                                            .read = read_first,
                                            .build = build,
                                            .spans = spans_first};
const qd_query_type qdi_query_span_containing = {.name = "span_containing",
                                                 .size = sizeof(span_query),
                                                 .read = read_two,
                                                 .build = build,
                                                 .spans = spans_containing};
const qd_query_type qdi_query_span_within = {.name = "span_within",
                                             .size = sizeof(span_query),
                                             .read = read_two,
                                             .build = build,
                                             .spans = spans_within};
const qd_query_type qdi_query_span_multi = {.name = "span_multi",
                                            .size = sizeof(span_query),
                                            .read = read_multi,
                                            .build = build,
                                            .spans = spans_multi};
const qd_query_type qdi_query_field_masking_span = {.name = "field_masking_span",
                                                    .size = sizeof(span_query),
                                                    .read = read_masking,
                                                    .build = build,
                                                    .spans = spans_masking};
const qd_query_type qdi_query_span_field_masking = {.name = "span_field_masking",
                                                    .size = sizeof(span_query),
                                                    .read = read_masking,
                                                    .build = build,
                                                    .spans = spans_masking};
const qd_query_type qdi_query_span_gap = {.name = "span_gap",
                                          .size = sizeof(span_query),
                                          .read = read_gap,
                                          .build = build_gap,
                                          .spans = spans_gap};
