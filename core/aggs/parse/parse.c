/*
 * parse.c: the tree of aggregations: names, types, nesting, paths. Nesting is bounded by
 * QD_AGGS_DEPTH_MAX, so that every later walk may recurse.
 */
#include "aggs/parse/parse_int.h"
#include "config/known.h"
#include <stdarg.h>
#include <stdio.h>

/* Line and column of a node in the body. */
static void place(const qdi_parse *p, const qd_json_node *n, int64_t *line, int64_t *col)
{
    qd_str body = p->how->body;
    *line = *col = 1;
    if (!n || !n->raw.p || n->raw.p < body.p || n->raw.p > body.p + body.n) return;
    const char *begin = body.p;
    for (const char *c = body.p; c < n->raw.p; c++)
        if (*c == '\n') {
            ++*line;
            begin = c + 1;
        }
    *col = n->raw.p - begin + 1;
}

int qdi_aggs_parse_error(qdi_parse *p, const qd_json_node *n, const char *fmt, ...)
{
    char text[512];
    int64_t line, col;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    int rc = qd_err_set(p->err, QD_E_PARSE, "%s", text);
    place(p, n, &line, &col);
    qd_err_detail_i64(p->err, "line", line);
    qd_err_detail_i64(p->err, "col", col);
    return rc;
}

int qdi_aggs_xcontent_error(qdi_parse *p, const qd_json_node *n, const char *fmt, ...)
{
    char text[512];
    int64_t line, col;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    place(p, n, &line, &col);
    return qd_err_set(p->err, QD_E_XCONTENT, "[%lld:%lld] %s", (long long)line, (long long)col,
                      text);
}

void qdi_aggs_near_add(qdi_near *n, qd_str given, qd_str name)
{
    size_t most = given.n > name.n ? given.n : name.n;
    double score = most ? 1 - (double)qd_str_distance(given, name) / (double)most : 0;
    if (score <= 0.5) return;
    uint32_t at = n->n < QD_COUNT_OF(n->at) ? n->n++ : QD_COUNT_OF(n->at) - 1;
    while (at > 0 && (n->score[at - 1] < score ||
                      (n->score[at - 1] == score && qd_str_cmp(n->at[at - 1], name) > 0))) {
        n->score[at] = n->score[at - 1];
        n->at[at] = n->at[at - 1];
        at--;
    }
    n->score[at] = score;
    n->at[at] = name;
}

const char *qdi_aggs_near_text(const qdi_near *n, char out[256])
{
    out[0] = 0;
    if (n->n == 0) return out;
    size_t k = (size_t)snprintf(out, 256, n->n == 1 ? " did you mean [" : " did you mean any of [");
    for (uint32_t i = 0; i < n->n && k < 200; i++)
        k += (size_t)snprintf(out + k, 256 - k, "%s%.*s", i ? ", " : "", QD_STR_ARG(n->at[i]));
    snprintf(out + k, 256 - k, "]?");
    return out;
}

int qdi_aggs_execution_error(const qd_aggs *tree, qd_err *err, const char *fmt, ...)
{
    char text[640];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    int rc = qd_err_set(err, QD_E_ARG, "%s", text);
    qd_err_type(err, "aggregation_execution_exception", tree->flavour == QD_AGGS_ES8 ? 400 : 500);
    return rc;
}

static int type_find(qdi_parse *p, const qd_json_node *n, const qd_agg_type **out)
{
    qdi_near near = {.n = 0};
    int64_t line, col;
    if ((*out = qdi_aggs_type_find(n->key))) return 0;
    int found = qdi_aggs_plugin_type(p->how->reading, n->key, p->arena, out, p->err);
    if (found) return found < 0 ? found : 0;
    for (uint32_t i = 0; qdi_aggs_type_at(i); i++)
        qdi_aggs_near_add(&near, n->key, qd_str_c(qdi_aggs_type_at(i)->name));
    place(p, n, &line, &col);
    qd_err_set(p->err, QD_E_ARG, "[%lld:%lld] unknown field [%.*s]", (long long)line,
               (long long)col, QD_STR_ARG(n->key));
    qd_err_type(p->err, "named_object_not_found_exception", 400);
    char text[256];
    int rc = qd_known_name(QD_KNOWN_AGGREGATION, n->key)
                 ? qd_err_wrap(p->err, QD_E_PARSE, QD_KNOWN_REFUSED, QD_STR_ARG(n->key))
                 : qd_err_wrap(p->err, QD_E_PARSE, "Unknown aggregation type [%.*s]%s",
                               QD_STR_ARG(n->key), qdi_aggs_near_text(&near, text));
    qd_err_detail_i64(p->err, "line", line);
    qd_err_detail_i64(p->err, "col", col);
    return rc;
}

static bool name_good(qd_str s)
{
    if (s.n == 0) return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '[' || s.p[i] == ']' || s.p[i] == '>') return false;
    return true;
}

static int parse_level(qdi_parse *p, const qd_json_node *json, qdi_agg *parent, uint32_t depth,
                       qdi_agg ***out, uint32_t *n, uint32_t *nplain);

/* The body of a type, as its row says. */
static int parse_body(qdi_parse *p, qdi_agg *a)
{
    const qd_agg_type *t = a->type;
    bool old = t->members_old && p->tree->flavour != QD_AGGS_ES8;
    const char *members = old ? t->members_old : t->members;
    int rc = members ? qdi_aggs_members(p, t->name, a->json, members) : 0;
    if (rc) return rc;
    if (t->params_size) a->params = qd_arena_calloc(p->arena, t->params_size);
    if (t->params_size && !a->params) return qd_err_nomem(p->err, "aggregations");
    return t->parse(p, a);
}

/* The members of one aggregation's object. */
static int parse_one(qdi_parse *p, const qd_json_node *json, qdi_agg *a)
{
    const qd_json_node *body = NULL, *subs = NULL;
    if (json->type != QD_JSON_T_OBJECT)
        return qdi_aggs_parse_error(
            p, json,
            "Aggregation definition for [%.*s starts with a [%s], expected a [START_OBJECT].",
            QD_STR_ARG(json->key), qd_json_type_token(json->type));
    for (const qd_json_node *m = json->first; m; m = m->next) {
        bool nested = qd_str_is(m->key, "aggs") || qd_str_is(m->key, "aggregations");
        if (m->type != QD_JSON_T_OBJECT)
            return qdi_aggs_parse_error(
                p, m, "Expected [START_OBJECT] under [%.*s], but got a [%s] in [%.*s]",
                QD_STR_ARG(m->key), qd_json_type_token(m->type), QD_STR_ARG(json->key));
        if (qd_str_is(m->key, "meta")) {
            a->meta = m->raw;
        } else if (nested) {
            if (subs)
                return qdi_aggs_parse_error(p, m,
                                            "Found two sub aggregation definitions under [%.*s]",
                                            QD_STR_ARG(json->key));
            subs = m;
        } else {
            if (body)
                return qdi_aggs_parse_error(
                    p, m, "Found two aggregation type definitions in [%.*s]: [%.*s] and [%.*s]",
                    QD_STR_ARG(json->key), QD_STR_ARG(body->key), QD_STR_ARG(m->key));
            int rc = type_find(p, m, &a->type);
            if (rc) return rc;
            body = m;
        }
    }
    if (!body)
        return qdi_aggs_parse_error(p, json, "Missing definition for aggregation [%.*s]",
                                    QD_STR_ARG(json->key));
    a->json = body;
    int rc = parse_body(p, a);
    if (rc || !subs) return rc;
    if (a->type->flags & (QDI_METRIC | QDI_PIPELINE) && subs->first) {
        rc = qd_err_set(p->err, QD_E_ARG,
                        "Aggregator [%.*s] of type [%s] cannot accept sub-aggregations",
                        QD_STR_ARG(a->name), a->type->name);
        qd_err_type(p->err, "aggregation_initialization_exception", 500);
        return rc;
    }
    return parse_level(p, subs, a, a->depth + 1, &a->subs, &a->nsubs, &a->nplain);
}

static int parse_level(qdi_parse *p, const qd_json_node *json, qdi_agg *parent, uint32_t depth,
                       qdi_agg ***out, uint32_t *n, uint32_t *nplain)
{
    if (json->type != QD_JSON_T_OBJECT)
        return qdi_aggs_parse_error(p, json, "Expected [START_OBJECT] but got [%s]",
                                    qd_json_type_token(json->type));
    if (depth > QD_AGGS_DEPTH_MAX)
        return qdi_aggs_parse_error(p, json, "Aggregations are nested deeper than [%u] levels",
                                    QD_AGGS_DEPTH_MAX);
    qdi_agg **at = qd_arena_calloc(p->arena, (json->n + 1) * sizeof *at);
    if (!at) return qd_err_nomem(p->err, "aggregations");
    uint32_t count = 0;
    for (const qd_json_node *m = json->first; m; m = m->next, count++) {
        if (!name_good(m->key))
            return qdi_aggs_parse_error(
                p, m,
                "Invalid aggregation name [%.*s]. Aggregation names can contain "
                "any character except '[', ']', and '>'",
                QD_STR_ARG(m->key));
        if (p->tree->n >= QD_AGGS_COUNT_MAX)
            return qdi_aggs_parse_error(p, m, "A request holds at most [%u] aggregations",
                                        QD_AGGS_COUNT_MAX);
        qdi_agg *a = at[count] = qd_arena_calloc(p->arena, sizeof *a);
        if (!a) return qd_err_nomem(p->err, "aggregations");
        a->name = qd_arena_str(p->arena, m->key);
        a->id = p->tree->n++;
        a->parent = parent;
        a->depth = depth;
        int rc = parse_one(p, m, a);
        if (rc) return rc;
    }
    /* pipelines behind the others, both in the order given */
    qdi_agg **sorted = qd_arena_calloc(p->arena, (json->n + 1) * sizeof *at);
    if (!sorted) return qd_err_nomem(p->err, "aggregations");
    uint32_t k = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!(at[i]->type->flags & QDI_PIPELINE)) sorted[k++] = at[i];
    *nplain = k;
    for (uint32_t i = 0; i < count; i++)
        if (at[i]->type->flags & QDI_PIPELINE) sorted[k++] = at[i];
    *out = sorted;
    *n = count;
    return 0;
}

/* --- paths ------------------------------------------------------------------------------------ */

static uint32_t named(qdi_agg *const *subs, uint32_t n, qd_str name)
{
    uint32_t i = 0;
    while (i < n && !qd_str_eq(subs[i]->name, name)) i++;
    return i;
}

/* "name[member]", "name['member']" or "name.member": a dot within brackets is the member's own. */
static void split_member(qd_str part, qd_str *name, qd_str *member)
{
    ptrdiff_t at = -1;
    bool brackets = part.n && part.p[part.n - 1] == ']';
    for (size_t k = 0; k < part.n; k++)
        if (part.p[k] == (brackets ? '[' : '.')) at = (ptrdiff_t)k;
    if (at <= 0) return;
    *name = qd_str_sub(part, 0, (size_t)at);
    *member = qd_str_sub(part, (size_t)at + 1, part.n - (size_t)at - 1 - brackets);
    if (member->n >= 2 && member->p[0] == '\'') *member = (qd_str){member->p + 1, member->n - 2};
}

int qdi_aggs_invalid(qdi_parse *p, const char *fmt, ...)
{
    char text[640];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return qd_err_set(p->err, QD_E_VALIDATION, "Validation Failed: 1: %s;", text);
}

static int no_aggregation(qdi_parse *p, bool order, bool first, qd_str text, qd_str part)
{
    if (order)
        return qdi_aggs_execution_error(
            p->tree, p->err,
            "Invalid aggregation order path [%.*s]. The provided aggregation [%.*s] either "
            "does not exist, or is a pipeline aggregation and cannot be used to sort the "
            "buckets.",
            QD_STR_ARG(text), QD_STR_ARG(part));
    if (first) return qdi_aggs_invalid(p, "No aggregation found for path [%.*s]", QD_STR_ARG(text));
    return qdi_aggs_invalid(p, "No aggregation [%.*s] found for path [%.*s]", QD_STR_ARG(part),
                            QD_STR_ARG(text));
}

typedef struct path_walk {
    qdi_agg *const *subs; /* of the level that is reached */
    uint32_t n;
    bool order;
    qd_str text;
} path_walk;

static int path_down(qdi_parse *p, path_walk *w, uint32_t i, qdi_path *out)
{
    if (out->n == QD_COUNT_OF(out->at))
        return qd_err_set(p->err, QD_E_ARG, "path [%.*s] is too long", QD_STR_ARG(w->text));
    const qdi_agg *a = w->subs[i];
    out->at[out->n++] = (uint16_t)i;
    w->n = a->nsubs;
    w->subs = a->subs;
    return 0;
}

static int path_step(qdi_parse *p, path_walk *w, qd_str part, bool last, qdi_path *out)
{
    qd_str name = part, member = {NULL, 0};
    uint32_t i = named(w->subs, w->n, part);
    if (i == w->n) { /* names may hold dots themselves: the whole goes first */
        split_member(part, &name, &member);
        i = named(w->subs, w->n, name);
    }
    if (i == w->n) return no_aggregation(p, w->order, out->n == 0, w->text, w->order ? part : name);
    int rc = path_down(p, w, i, out);
    if (rc || w->order || !member.n) {
        out->member = member;
        return rc;
    }
    if (!last)
        return qd_err_set(p->err, QD_E_ARG,
                          "buckets_path [%.*s] names one bucket [%.*s] of [%.*s], which is not "
                          "supported by this version",
                          QD_STR_ARG(w->text), QD_STR_ARG(member), QD_STR_ARG(name));
    i = named(w->subs, w->n, member); /* of a pipeline "a.b" is "a>b" where b stands below a */
    if (i < w->n) return path_down(p, w, i, out);
    out->count = qd_str_is(member, "_count");
    if (!out->count) out->member = member;
    return 0;
}

int qdi_aggs_path_parse(qdi_parse *p, qdi_agg *const *subs, uint32_t n, bool order, qd_str text,
                        qdi_path *out)
{
    memset(out, 0, sizeof *out);
    path_walk w = {subs, n, order, text};
    int rc = 0;
    for (qd_str rest = text; rc == 0 && rest.p;) {
        qd_str part = qd_str_split(&rest, '>');
        if (!order && qd_str_is(part, "_count")) {
            out->count = true;
            return 0;
        }
        rc = path_step(p, &w, part, !rest.p, out);
    }
    return rc;
}

/* May buckets be ordered by what a path leads to (d, with the member named)? */
static int check_order(qdi_parse *p, const qdi_order *o, const qdi_agg *d)
{
    qd_str m = o->path.member, t = o->text;
    uint32_t flags = d->type->flags;
    if (flags & (QDI_MULTI | QDI_NO_ORDER))
        return qdi_aggs_execution_error(
            p->tree, p->err,
            "Invalid aggregation order path [%.*s]. Buckets can only be sorted on a "
            "sub-aggregator path that is built out of zero or more single-bucket aggregations "
            "within the path and a final single-bucket or a metrics aggregation at the path end.",
            QD_STR_ARG(t));
    if (flags & QDI_SINGLE) {
        if (m.n == 0 || qd_str_is(m, "doc_count")) return 0;
        return qdi_aggs_execution_error(
            p->tree, p->err,
            "Invalid aggregation order path [%.*s]. Ordering on a single-bucket aggregation can "
            "only be done on its doc_count. Either drop the key (a la \"%.*s\") or change it to "
            "\"doc_count\" (a la \"%.*s.doc_count\") or \"key\".",
            QD_STR_ARG(t), QD_STR_ARG(d->name), QD_STR_ARG(d->name));
    }
    if (!d->type->has_member) {
        if (m.n == 0 || qd_str_is(m, "value")) return 0;
        return qdi_aggs_execution_error(
            p->tree, p->err,
            "Invalid aggregation order path [%.*s]. Ordering on a single-value metrics "
            "aggregation can only be done on its value. Either drop the key (a la \"%.*s\") or "
            "change it to \"value\" (a la \"%.*s.value\")",
            QD_STR_ARG(t), QD_STR_ARG(d->name), QD_STR_ARG(d->name));
    }
    if (m.n == 0)
        return qdi_aggs_execution_error(
            p->tree, p->err,
            "Invalid aggregation order path [%.*s]. When ordering on a multi-value metrics "
            "aggregation a metric name must be specified.",
            QD_STR_ARG(t));
    if (d->type->has_member(d, m)) return 0;
    return qdi_aggs_execution_error(p->tree, p->err,
                                    "Invalid aggregation order path [%.*s]. Unknown metric name "
                                    "[%.*s] on multi-value metrics aggregation [%.*s]",
                                    QD_STR_ARG(t), QD_STR_ARG(m), QD_STR_ARG(d->name));
}

static int resolve_orders(qdi_parse *p, qdi_agg *a)
{
    for (uint32_t i = 0; i < a->norder; i++) {
        qdi_order *o = &a->order[i];
        if (o->by != QDI_BY_METRIC) continue;
        int rc = qdi_aggs_path_parse(p, a->subs, a->nplain, true, o->text, &o->path);
        if (rc) return rc;
        qdi_agg *const *level = a->subs;
        const qdi_agg *d = NULL;
        for (uint32_t k = 0; k < o->path.n; k++) {
            d = level[o->path.at[k]];
            level = d->subs;
            if (k + 1 < o->path.n && !(d->type->flags & QDI_SINGLE))
                return qdi_aggs_execution_error(
                    p->tree, p->err,
                    "Invalid aggregation order path [%.*s]. Buckets can only be sorted on a "
                    "sub-aggregator path that is built out of zero or more single-bucket "
                    "aggregations within the path and a final single-bucket or a metrics "
                    "aggregation at the path end. [%.*s] is not single-bucket.",
                    QD_STR_ARG(o->text), QD_STR_ARG(d->name));
        }
        rc = d ? check_order(p, o, d) : 0;
        if (rc) return rc;
    }
    return 0;
}

static int resolve(qdi_parse *p, qdi_agg *const *level, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        qdi_agg *a = level[i];
        int rc = resolve_orders(p, a);
        if (rc == 0 && a->type->resolve) rc = a->type->resolve(p, a, level, n);
        if (rc == 0) rc = resolve(p, a->subs, a->nsubs);
        if (rc) return rc;
    }
    return 0;
}

int qd_aggs_parse(const qd_aggs_reading *how, const qd_json_node *json, qd_aggs **out, qd_err *err)
{
    qd_err scratch;
    qd_err_init(&scratch);
    qdi_parse p = {.how = how, .arena = how->arena, .err = err ? err : &scratch};
    qd_aggs *t = p.tree = qd_arena_calloc(how->arena, sizeof *t);
    int rc = t ? 0 : qd_err_nomem(p.err, "aggregations");
    if (t) {
        t->arena = how->arena;
        t->max_buckets = how->max_buckets ? how->max_buckets : QD_AGGS_BUCKETS_MAX;
        t->flavour = how->flavour;
        rc = parse_level(&p, json, NULL, 1, &t->roots, &t->nroots, &t->nplain);
        if (rc == 0) rc = resolve(&p, t->roots, t->nroots);
        for (uint32_t i = 0; rc == 0 && i < t->nroots; i++)
            t->global |= (t->roots[i]->type->flags & QDI_ALL_DOCS) != 0;
    }
    if (rc == 0) *out = t;
    qd_err_fini(&scratch);
    return rc;
}

bool qd_aggs_empty(const qd_aggs *a)
{
    return a->nroots == 0;
}

bool qd_aggs_needs_scores(const qd_aggs *a)
{
    return a->scores;
}

bool qd_aggs_visits_all(const qd_aggs *a)
{
    for (uint32_t i = 0; i < a->nplain; i++)
        if (a->roots[i]->visits_all) return true;
    return a->global;
}

bool qd_aggs_has_global(const qd_aggs *a)
{
    return a->global;
}
