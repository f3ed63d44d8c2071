/* grok.c: see grok.h. */
#include "ingest/grok.h"
#include "base/vec.h"
#include "ingest/patterns/patterns.h"
#include <stdio.h>

#define NESTING_MAX 64u
#define EXPANDED_MAX ((size_t)200 << 10)

static const qdi_grok_group *const groups[] = {
    &qdi_grok_basic, &qdi_grok_web,    &qdi_grok_system, &qdi_grok_database, &qdi_grok_firewall,
    &qdi_grok_cisco, &qdi_grok_nagios, &qdi_grok_bacula, &qdi_grok_mail,     &qdi_grok_network,
};

typedef struct capture {
    qd_str name;
    qd_grok_type type;
    uint32_t group;
} capture;
struct qd_grok {
    qdi_regex *regex;
    capture *captures;
    uint32_t ncaptures;
    uint32_t *marks; /* groups that tell which pattern has matched */
    uint32_t nmarks;
};

/* --- our patterns --- */

static const char *renamed(const qdi_grok_group *g, qd_str field)
{
    for (uint32_t k = 0; k < g->nfields; k++) {
        if (qd_str_is(field, g->fields[k].legacy)) return g->fields[k].ecs;
    }
    return NULL;
}

/* Is it a name of a pattern or field? */
static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* %{NAME:field:type} taken apart; false: it is text like any other. */
static bool reference(qd_str inner, qd_str *name, qd_str *field, qd_str *type)
{
    ptrdiff_t colon = qd_str_find(inner, ':');
    *name = colon < 0 ? inner : qd_str_sub(inner, 0, (size_t)colon);
    *field = *type = (qd_str){NULL, 0};
    for (size_t k = 0; k < name->n; k++) {
        if (!is_word(name->p[k])) return false;
    }
    if (colon < 0) return name->n != 0;
    *field = qd_str_sub(inner, (size_t)colon + 1, inner.n);
    colon = qd_str_find(*field, ':');
    if (colon >= 0) {
        *type = qd_str_sub(*field, (size_t)colon + 1, inner.n);
        field->n = (size_t)colon;
    }
    return name->n && field->n;
}

/* The text of a pattern with the names that its fields have in the set. */
static void put_text(const qdi_grok_group *g, const char *text, bool ecs, qd_buf *b)
{
    qd_str rest = qd_str_c(text), name, field, type;
    while (ecs && rest.n) {
        ptrdiff_t at = qd_str_find_str(rest, QD_STR("%{"));
        ptrdiff_t end = at < 0 ? -1 : qd_str_find(qd_str_sub(rest, (size_t)at, rest.n), '}');
        if (end < 0) break;
        qd_str inner = qd_str_sub(rest, (size_t)at + 2, (size_t)end - 2);
        (void)qd_buf_add(b, rest.p, (size_t)at);
        const char *other = reference(inner, &name, &field, &type) ? renamed(g, field) : NULL;
        if (other)
            (void)qd_buf_printf(b, "%%{%.*s:%s}", QD_STR_ARG(name), other);
        else
            (void)qd_buf_printf(b, "%%{%.*s}", QD_STR_ARG(inner));
        rest = qd_str_sub(rest, (size_t)(at + end) + 1, rest.n);
    }
    (void)qd_buf_str(b, rest);
}

bool qd_grok_pattern(uint32_t k, bool ecs, const char **name, qd_buf *b)
{
    for (uint32_t g = 0; g < QD_COUNT_OF(groups); g++) {
        if (k >= groups[g]->npatterns) {
            k -= groups[g]->npatterns;
            continue;
        }
        *name = groups[g]->patterns[k].name;
        put_text(groups[g], groups[g]->patterns[k].text, ecs, b);
        return true;
    }
    return false;
}

bool qd_grok_lookup(qd_str name, bool ecs, qd_buf *b)
{
    for (uint32_t g = 0; g < QD_COUNT_OF(groups); g++) {
        for (uint32_t k = 0; k < groups[g]->npatterns; k++) {
            if (!qd_str_is(name, groups[g]->patterns[k].name)) continue;
            put_text(groups[g], groups[g]->patterns[k].text, ecs, b);
            return true;
        }
    }
    return false;
}

/* --- expanding --- */

typedef struct expanding {
    qd_arena *a;
    const qd_grok_spec *spec;
    qd_buf out;
    QD_VEC(capture) captures;
    qd_str open[NESTING_MAX]; /* names that are being expanded */
    uint32_t depth;
    qd_err *err;
} expanding;

static int expand(expanding *x, qd_str text);

static int definition(expanding *x, qd_str name, qd_str *out)
{
    qd_buf b;
    for (uint32_t k = 0; k < x->spec->ndefinitions; k++) {
        if (!qd_str_eq(x->spec->names[k], name)) continue;
        *out = x->spec->definitions[k];
        return 0;
    }
    qd_buf_init(&b, x->a->account, EXPANDED_MAX);
    bool found = qd_grok_lookup(name, x->spec->ecs, &b);
    int rc = 0;
    if (!found)
        rc = qd_err_set(x->err, QD_E_ARG,
                        "Unable to find pattern [%.*s] in Grok's pattern dictionary",
                        QD_STR_ARG(name));
    else
        *out = qd_arena_str(x->a, qd_buf_view(&b));
    if (found && (qd_buf_status(&b) || !out->p)) rc = qd_err_nomem(x->err, "grok pattern");
    qd_buf_fini(&b);
    return rc;
}

static int circular(const expanding *x, qd_str name)
{
    for (uint32_t k = 0; k < x->depth; k++) {
        if (!qd_str_eq(x->open[k], name)) continue;
        return qd_err_set(x->err, QD_E_ARG,
                          "circular reference in pattern [%.*s] back to pattern [%.*s]",
                          QD_STR_ARG(x->open[x->depth - 1]), QD_STR_ARG(name));
    }
    if (x->depth == NESTING_MAX)
        return qd_err_set(x->err, QD_E_ARG, "grok patterns may stand within one another [%u] deep",
                          NESTING_MAX);
    return 0;
}

static int type_of(const expanding *x, qd_str type, qd_grok_type *out)
{
    static const char *const names[] = {"string", "int", "long", "float", "double", "boolean"};
    *out = QD_GROK_TEXT;
    if (!type.n) return 0;
    for (uint32_t k = 0; k < QD_COUNT_OF(names); k++) {
        if (!qd_str_is(type, names[k])) continue;
        *out = (qd_grok_type)k;
        return 0;
    }
    return qd_err_set(x->err, QD_E_ARG, "[%.*s] is no type of a grok capture", QD_STR_ARG(type));
}

/* Opens a group that is captured. */
static int open_capture(expanding *x, qd_str name, qd_str type)
{
    capture c = {.name = qd_arena_str(x->a, name)};
    int rc = type_of(x, type, &c.type);
    if (rc) return rc;
    (void)qd_buf_printf(&x->out, "(?<g%zu>", x->captures.n);
    if (!c.name.p || qd_vec_push(&x->captures, x->a->account, c))
        return qd_err_nomem(x->err, "grok pattern");
    return 0;
}

static int expand_reference(expanding *x, qd_str name, qd_str field, qd_str type)
{
    qd_str text;
    int rc = circular(x, name);
    if (!rc) rc = definition(x, name, &text);
    if (rc) return rc;
    if (field.n)
        rc = open_capture(x, field, type);
    else
        (void)qd_buf_c(&x->out, "(?:");
    if (rc) return rc;
    x->open[x->depth++] = name;
    rc = expand(x, text);
    x->depth--;
    (void)qd_buf_char(&x->out, ')');
    return rc;
}

/* "(?<name>" of the caller's: its number, or the whole of what it is not. */
static int named_group(expanding *x, qd_str text, size_t *at)
{
    qd_str rest = qd_str_sub(text, *at + 3, text.n);
    ptrdiff_t end = qd_str_find(rest, '>');
    bool look = rest.n && (rest.p[0] == '=' || rest.p[0] == '!');
    if (look || end <= 0) {
        (void)qd_buf_add(&x->out, text.p + *at, 3);
        *at += 3;
        return 0;
    }
    *at += 3 + (size_t)end + 1;
    return open_capture(x, qd_str_sub(rest, 0, (size_t)end), (qd_str){NULL, 0});
}

static int expand(expanding *x, qd_str text)
{
    size_t at = 0;
    int rc = 0;
    while (at < text.n && !rc) {
        qd_str rest = qd_str_sub(text, at, text.n), name, field, type;
        if (qd_str_starts(rest, QD_STR("%{"))) {
            ptrdiff_t end = qd_str_find(rest, '}');
            if (end > 0 && reference(qd_str_sub(rest, 2, (size_t)end - 2), &name, &field, &type)) {
                rc = expand_reference(x, name, field, type);
                at += (size_t)end + 1;
                continue;
            }
        }
        if (qd_str_starts(rest, QD_STR("(?<"))) {
            rc = named_group(x, text, &at);
            continue;
        }
        size_t n = text.p[at] == '\\' && rest.n > 1 ? 2 : 1;
        (void)qd_buf_add(&x->out, rest.p, n);
        at += n;
    }
    if (!rc && qd_buf_status(&x->out) == QD_E_LIMIT)
        return qd_err_set(x->err, QD_E_ARG, "the grok pattern has more than [%zu] bytes in full",
                          EXPANDED_MAX);
    return rc || !qd_buf_status(&x->out) ? rc : qd_err_nomem(x->err, "grok pattern");
}

/* Definitions that nothing names must be good, too. */
static int check_definitions(expanding *x)
{
    int rc = 0;
    for (uint32_t k = 0; k < x->spec->ndefinitions && !rc; k++) {
        x->open[0] = x->spec->names[k];
        x->depth = 1;
        rc = expand(x, x->spec->definitions[k]);
        qd_buf_reset(&x->out);
        x->captures.n = 0;
    }
    x->depth = 0;
    return rc;
}

static int number_groups(expanding *x, qd_grok *g)
{
    char name[32];
    g->ncaptures = (uint32_t)x->captures.n;
    g->captures = qd_arena_alloc(x->a, x->captures.n * sizeof *g->captures + 1);
    g->nmarks = x->spec->npatterns > 1 ? x->spec->npatterns : 0;
    g->marks = qd_arena_alloc(x->a, g->nmarks * sizeof *g->marks + 1);
    if (!g->captures || !g->marks) return qd_err_nomem(x->err, "grok pattern");
    for (uint32_t k = 0; k < g->ncaptures; k++) {
        g->captures[k] = x->captures.at[k];
        snprintf(name, sizeof name, "g%u", k);
        g->captures[k].group = qdi_regex_group(g->regex, name);
    }
    for (uint32_t k = 0; k < g->nmarks; k++) {
        snprintf(name, sizeof name, "m%u", k);
        g->marks[k] = qdi_regex_group(g->regex, name);
    }
    return 0;
}

static int make(expanding *x, qd_grok *g)
{
    int rc = check_definitions(x);
    for (uint32_t k = 0; k < x->spec->npatterns && !rc; k++) {
        if (x->spec->npatterns > 1) (void)qd_buf_printf(&x->out, "%s(?:(?<m%u>)", k ? "|" : "", k);
        rc = expand(x, x->spec->patterns[k]);
        if (x->spec->npatterns > 1) (void)qd_buf_char(&x->out, ')');
    }
    if (!rc) rc = qdi_regex_make(x->a, qd_buf_view(&x->out), QDI_REGEX_NAMED, &g->regex, x->err);
    return rc ? rc : number_groups(x, g);
}

int qd_grok_make(qd_arena *a, const qd_grok_spec *spec, qd_grok **out, qd_err *err)
{
    expanding x = {.a = a, .spec = spec, .err = err};
    qd_grok *g = qd_arena_calloc(a, sizeof *g);
    if (!g) return qd_err_nomem(err, "grok pattern");
    qd_buf_init(&x.out, a->account, EXPANDED_MAX);
    int rc = make(&x, g);
    qd_buf_fini(&x.out);
    qd_vec_fini(&x.captures);
    *out = g;
    return rc;
}

/* --- matching --- */

int qd_grok_find(const qd_grok *g, qdi_regex_room *room, qd_str text, size_t from,
                 qd_grok_match *out, qd_err *err)
{
    const size_t *at;
    int found = qdi_regex_find(g->regex, room, text, from, &at, err);
    if (found <= 0) return found;
    *out = (qd_grok_match){.begin = at[0], .end = at[1]};
    for (uint32_t k = 0; k < g->nmarks; k++) {
        if (at[2 * g->marks[k]] != SIZE_MAX) out->pattern = k;
    }
    return 1;
}

uint32_t qd_grok_captures(const qd_grok *g)
{
    return g->ncaptures;
}

qd_str qd_grok_capture_name(const qd_grok *g, uint32_t k)
{
    return g->captures[k].name;
}

bool qd_grok_value_at(const qd_grok *g, qdi_regex_room *room, qd_str text, uint32_t k,
                      qd_grok_value *out)
{
    if (k >= g->ncaptures) return false;
    const capture *c = &g->captures[k];
    const size_t *at = qdi_regex_last(room);
    size_t begin = at[2 * c->group];
    *out = (qd_grok_value){.name = c->name, .type = c->type};
    if (begin != SIZE_MAX) out->text = qd_str_sub(text, begin, at[2 * c->group + 1] - begin);
    return true;
}
