/* intervals.c: rules about where words stand to one another in a field. */
#include "query/types/intervals_int.h"

typedef struct intervals_query {
    qd_query base;
    const qdi_rule *rule;
} intervals_query;
#define INTERVALS(q) ((intervals_query *)(q))

#define RULES_DEPTH_MAX 24u

/* --- reading ---------------------------------------------------------------------------------- */

static const char *const rule_names[] = {"match",    "any_of", "all_of", "prefix",
                                         "wildcard", "regexp", "fuzzy",  "range"};
static const struct {
    const char *name;
    qd_prox_kind kind;
} relations[] = {
    {"containing", QD_PROX_HOLDS},
    {"contained_by", QD_PROX_INSIDE},
    {"overlapping", QD_PROX_OVERLAPS},
    {"before", QD_PROX_BEFORE},
    {"after", QD_PROX_AFTER},
    {"not_containing", QD_PROX_NOT_HOLDS},
    {"not_contained_by", QD_PROX_NOT_INSIDE},
    {"not_overlapping", QD_PROX_NOT_OVERLAPS},
};

#define BIT(rule) (1u << QDI_RULE_##rule)
#define WORDS (BIT(MATCH) | BIT(PREFIX) | BIT(WILDCARD) | BIT(REGEXP) | BIT(FUZZY) | BIT(RANGE))
#define GROUPS (BIT(ANY_OF) | BIT(ALL_OF))

typedef enum member_kind {
    MEMBER_TEXT,
    MEMBER_INT,
    MEMBER_BOOL,
    MEMBER_ORDERED,
    MEMBER_MODE,
    MEMBER_RULES,
    MEMBER_FILTER,
    MEMBER_FUZZINESS,
    MEMBER_FLAGS,
    MEMBER_BOUND,
} member_kind;

typedef struct member {
    const char *name;
    uint32_t of; /* rules that have it */
    member_kind kind;
    size_t at;
} member;
#define AT(m) offsetof(qdi_rule, m)

static const member members[] = {
    {"query", BIT(MATCH), MEMBER_TEXT, AT(text)},
    {"prefix", BIT(PREFIX), MEMBER_TEXT, AT(text)},
    {"pattern", BIT(WILDCARD) | BIT(REGEXP), MEMBER_TEXT, AT(text)},
    {"term", BIT(FUZZY), MEMBER_TEXT, AT(text)},
    {"max_gaps", BIT(MATCH) | BIT(ALL_OF), MEMBER_INT, AT(max_gaps)},
    {"ordered", BIT(MATCH) | BIT(ALL_OF), MEMBER_ORDERED, 0},
    {"mode", BIT(MATCH) | BIT(ALL_OF), MEMBER_MODE, 0},
    {"intervals", GROUPS, MEMBER_RULES, 0},
    {"filter", BIT(MATCH) | GROUPS, MEMBER_FILTER, 0},
    {"analyzer", WORDS & ~BIT(REGEXP), MEMBER_TEXT, AT(analyzer)},
    {"use_field", WORDS, MEMBER_TEXT, AT(use_field)},
    {"prefix_length", BIT(FUZZY), MEMBER_INT, AT(pattern.prefix_length)},
    {"transpositions", BIT(FUZZY), MEMBER_BOOL, AT(pattern.transpositions)},
    {"fuzziness", BIT(FUZZY), MEMBER_FUZZINESS, 0},
    {"flags", BIT(REGEXP), MEMBER_FLAGS, AT(pattern.regexp_flags)},
    {"case_insensitive", BIT(REGEXP), MEMBER_BOOL, AT(pattern.case_insensitive)},
    {"max_expansions", BIT(WILDCARD) | BIT(REGEXP), MEMBER_INT, AT(pattern.max_expansions)},
    {"gte", BIT(RANGE), MEMBER_BOUND, 0},
    {"gt", BIT(RANGE), MEMBER_BOUND, 1},
    {"lte", BIT(RANGE), MEMBER_BOUND, 2},
    {"lt", BIT(RANGE), MEMBER_BOUND, 3},
};

static int expected(qd_json_reader *r, const char *what, qd_err *err)
{
    return qd_json_err_at(r, err, QD_E_PARSE, "Expected [%s] but got [%s]", what,
                          qd_json_event_name(r->event));
}

/* {"rule": {...}}, on whose start the reader stands. */
static int read_wrapped(qdi_reading *rd, qd_json_reader *r, uint32_t depth, const qdi_rule **out,
                        qd_err *err)
{
    qd_str name;
    if (r->event != QD_JSON_OBJECT) return expected(r, "START_OBJECT", err);
    int ev = qdi_query_next(r, err);
    if (ev < 0) return ev;
    if (ev != QD_JSON_KEY) return expected(r, "FIELD_NAME", err);
    int rc = qdi_keep(rd, r->text, &name, err);
    if (rc) return rc;
    ev = qdi_query_next(r, err);
    if (ev < 0) return ev;
    rc = qdi_rule_read(rd, r, name, depth, out, err);
    if (rc) return rc;
    ev = qdi_query_next(r, err);
    if (ev < 0) return ev;
    return ev == QD_JSON_OBJECT_END ? 0 : expected(r, "END_OBJECT", err);
}

static int read_rules(qdi_reading *rd, qd_json_reader *r, qdi_rule *to, uint32_t depth, qd_err *err)
{
    QD_VEC(const qdi_rule *) got = {0};
    int rc = 0, ev;
    if (r->event != QD_JSON_ARRAY) return expected(r, "START_ARRAY", err);
    while (!rc) {
        const qdi_rule *one;
        ev = qdi_query_next(r, err);
        if (ev < 0) rc = ev;
        if (ev < 0 || ev == QD_JSON_ARRAY_END) break;
        rc = read_wrapped(rd, r, depth + 1, &one, err);
        if (!rc && qd_vec_push(&got, rd->arena->account, one)) rc = qd_err_nomem(err, "query");
    }
    const qdi_rule **at = qd_arena_alloc(rd->arena, (got.n + 1) * sizeof *at);
    if (!rc && !at) rc = qd_err_nomem(err, "query");
    if (!rc) {
        if (got.n) memcpy(at, got.at, got.n * sizeof *at);
        to->rules = at;
        to->n = (uint32_t)got.n;
        to->has_rules = true;
    }
    qd_vec_fini(&got);
    return rc;
}

static int read_filter(qdi_reading *rd, qd_json_reader *r, qdi_rule *to, uint32_t depth,
                       qd_err *err)
{
    size_t i = 0;
    if (r->event != QD_JSON_OBJECT) return expected(r, "START_OBJECT", err);
    int ev = qdi_query_next(r, err);
    if (ev < 0) return ev;
    if (ev != QD_JSON_KEY) return expected(r, "FIELD_NAME", err);
    while (i < QD_COUNT_OF(relations) && !qd_str_is(r->text, relations[i].name)) i++;
    if (qd_str_is(r->text, "script"))
        return qd_err_set(err, QD_E_ARG,
                          "[script] filters of [intervals] are not supported by this version");
    if (i == QD_COUNT_OF(relations))
        return qd_err_set(err, QD_E_ARG, "Unknown filter type [%.*s]", QD_STR_ARG(r->text));
    to->relation = relations[i].kind;
    ev = qdi_query_next(r, err);
    if (ev < 0) return ev;
    int rc = read_wrapped(rd, r, depth + 1, &to->filter, err);
    if (rc) return rc;
    ev = qdi_query_next(r, err);
    if (ev < 0) return ev;
    return ev == QD_JSON_OBJECT_END ? 0 : expected(r, "END_OBJECT", err);
}

static int read_mode(qdi_reading *rd, qd_json_reader *r, qdi_rule *to, qd_err *err)
{
    static const char *const modes[] = {"unordered", "ordered", "unordered_no_overlap"};
    qd_str text;
    int rc = qdi_read_text(rd, r, &text, err);
    if (rc) return rc;
    for (size_t i = 0; i < QD_COUNT_OF(modes); i++) {
        if (!qd_str_ieq(text, qd_str_c(modes[i]))) continue;
        to->mode = (qdi_rule_mode)i;
        return 0;
    }
    return qd_err_set(err, QD_E_ARG, "No mode found for [%.*s]", QD_STR_ARG(text));
}

static int read_bound(qdi_reading *rd, qd_json_reader *r, size_t which, qdi_range *g, qd_err *err)
{
    bool from = which < 2, closed = which % 2 == 0;
    int rc = qdi_read_value(rd, r, from ? &g->from : &g->to, from ? &g->has_from : &g->has_to, err);
    *(from ? &g->include_from : &g->include_to) = closed;
    return rc;
}

static int read_member(qdi_reading *rd, qd_json_reader *r, const member *m, qdi_rule *to,
                       uint32_t depth, qd_err *err)
{
    void *at = (char *)to + m->at;
    bool yes;
    int rc;
    qdi_option o = {m->name, QDI_OPT_REGEXP_FLAGS, m->at};
    switch (m->kind) {
    case MEMBER_TEXT:
        return qdi_read_text(rd, r, at, err);
    case MEMBER_INT:
        return qdi_read_int(r, at, err);
    case MEMBER_BOOL:
        return qdi_read_bool(r, at, err);
    case MEMBER_ORDERED:
        rc = qdi_read_bool(r, &yes, err);
        to->mode = !rc && yes ? QDI_MODE_ORDERED : QDI_MODE_UNORDERED;
        return rc;
    case MEMBER_MODE:
        return read_mode(rd, r, to, err);
    case MEMBER_RULES:
        return read_rules(rd, r, to, depth, err);
    case MEMBER_FILTER:
        return read_filter(rd, r, to, depth, err);
    case MEMBER_FLAGS:
        return qdi_option_read(rd, r, &o, (qd_query *)(void *)to, err);
    case MEMBER_BOUND:
        return read_bound(rd, r, m->at, &to->range, err);
    default: {
        qd_str text;
        rc = qdi_read_text(rd, r, &text, err);
        return rc ? rc : qdi_fuzziness_parse(text, &to->pattern.fuzziness, err);
    }
    }
}

static int check_rule(qd_json_reader *r, const qdi_rule *x, qd_err *err)
{
    static const char *const needed[] = {"query",   "intervals", "intervals", "prefix",
                                         "pattern", "pattern",   "term",      ""};
    bool group = (1u << x->kind & GROUPS) != 0;
    if (x->kind == QDI_RULE_RANGE) {
        if (x->range.has_from && x->range.has_to) return 0;
        return qdi_xcontent_err(r, err,
                                "Either [gte] or [gt], one of them must be provided, and "
                                "either [lte] or [lt], one of them must be provided");
    }
    if (group ? x->has_rules : x->text.p != NULL) {
        if (x->pattern.max_expansions < 0 || x->pattern.max_expansions > 1024)
            return qd_err_set(err, QD_E_ARG,
                              "max expansions [%d] cannot be less than 0 or greater "
                              "than 1024",
                              x->pattern.max_expansions);
        if (x->pattern.prefix_length >= 0) return 0;
        return qd_err_set(err, QD_E_ARG, "prefixLength cannot be less than 0");
    }
    return qd_err_set(err, QD_E_ARG, "Required [%s]", needed[x->kind]);
}

int qdi_rule_read(qdi_reading *rd, qd_json_reader *r, qd_str name, uint32_t depth,
                  const qdi_rule **out, qd_err *err)
{
    size_t kind = 0;
    int ev, rc = 0;
    while (kind < QD_COUNT_OF(rule_names) && !qd_str_is(name, rule_names[kind])) kind++;
    if (kind == QD_COUNT_OF(rule_names))
        return qd_json_err_at(r, err, QD_E_PARSE,
                              "Unknown interval type [%.*s], expecting one of [match, any_of, "
                              "all_of, prefix, wildcard, regexp, range]",
                              QD_STR_ARG(name));
    if (depth > RULES_DEPTH_MAX)
        return qd_err_set(err, QD_E_LIMIT, "rules of [intervals] are nested more than %u deep",
                          RULES_DEPTH_MAX);
    if (r->event != QD_JSON_OBJECT) return expected(r, "START_OBJECT", err);
    qdi_rule *x = qd_arena_calloc(rd->arena, sizeof *x);
    if (!x) return qd_err_nomem(err, "query");
    x->kind = (qdi_rule_kind)kind;
    x->max_gaps = -1;
    x->pattern.transpositions = true;
    x->pattern.regexp_flags = 0xff;
    x->pattern.fuzziness = (qdi_fuzziness){.given = true, .automatic = true, .low = 3, .high = 6};
    *out = x;
    while (!rc && (ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        const member *m = NULL;
        for (size_t i = 0; i < QD_COUNT_OF(members) && !m; i++)
            if ((members[i].of & 1u << kind) && qd_str_is(r->text, members[i].name))
                m = &members[i];
        if (!m)
            return qdi_xcontent_err(r, err, "[%s] unknown field [%.*s]", rule_names[kind],
                                    QD_STR_ARG(r->text));
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        rc = read_member(rd, r, m, x, depth, err);
    }
    if (!rc && ev < 0) rc = ev;
    return rc ? rc : check_rule(r, x, err);
}

static int read_field(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    int ev, rc = 0;
    qd_str rule = {0}, key;
    if (r->event != QD_JSON_OBJECT) return expected(r, "START_OBJECT", err);
    while (!rc && (ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        rc = qdi_keep(rd, r->text, &key, err);
        if (rc) return rc;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        rc = qdi_read_standard(rd, r, key, q, err);
        if (rc != 1) continue;
        if (rule.p)
            return qd_json_err_at(r, err, QD_E_PARSE,
                                  "Only one interval rule can be specified, found [%.*s] and "
                                  "[%.*s]",
                                  QD_STR_ARG(rule), QD_STR_ARG(key));
        rule = key;
        rc = qdi_rule_read(rd, r, key, 1, &INTERVALS(q)->rule, err);
    }
    if (rc || ev < 0) return rc ? rc : ev;
    if (rule.p) return 0;
    return qd_json_err_at(r, err, QD_E_PARSE, "Missing intervals from interval query definition");
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    int ev = qdi_query_next(r, err);
    if (ev < 0) return ev;
    if (ev != QD_JSON_KEY) return expected(r, "FIELD_NAME", err);
    int rc = qdi_keep(rd, r->text, &q->field, err);
    if (rc) return rc;
    ev = qdi_query_next(r, err);
    if (ev < 0) return ev;
    rc = read_field(rd, r, q, err);
    if (rc) return rc;
    ev = qdi_query_next(r, err);
    if (ev < 0) return ev;
    return ev == QD_JSON_OBJECT_END ? 0 : expected(r, "END_OBJECT", err);
}

/* --- building --------------------------------------------------------------------------------- */

static int check_positions(const qdi_field *f, qd_err *err)
{
    if (!qdi_field_is_text(f))
        return qd_err_set(err, QD_E_ARG,
                          "Can only use interval queries on text fields - not on [%.*s] which is "
                          "of type [%s]",
                          QD_STR_ARG(f->name), qdi_query_field_type(f));
    if (f->f->indexed && f->f->index_options >= QD_INDEX_OPT_POSITIONS) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "Cannot create intervals over field [%.*s] with no positions indexed",
                      QD_STR_ARG(f->name));
}

/* The field of a rule about words, with the rule's analyzer in place of its own. */
static int field_of(qdi_builder *b, const qdi_field *f, const qdi_rule *x, qdi_field *out,
                    qd_err *err)
{
    *out = *f;
    if (x->use_field.p) *out = qdi_field_find(b, x->use_field);
    if (out->cls == QDI_F_NONE)
        return qd_err_set(err, QD_E_ARG,
                          "Can only use interval queries on text fields - not on "
                          "[%.*s] which is not mapped",
                          QD_STR_ARG(x->use_field));
    int rc = check_positions(out, err);
    if (rc || !x->analyzer.p) return rc;
    const qd_analyzer *a = qd_analyzers_get(qd_mapping_analyzers(b->c->mapping), x->analyzer);
    if (!a)
        return qd_err_set(err, QD_E_ARG, "[intervals] analyzer [%.*s] not found",
                          QD_STR_ARG(x->analyzer));
    qd_field *copy = qd_arena_alloc(b->arena, sizeof *copy);
    if (!copy) return qd_err_nomem(err, "query");
    *copy = *out->f;
    copy->search_analyzer = a;
    out->f = copy;
    return 0;
}

static int build_pattern(qdi_builder *b, const qdi_field *f, const qdi_rule *x, const qd_prox **out,
                         qd_err *err)
{
    static const qd_pattern_kind kinds[] = {[QDI_RULE_PREFIX] = QD_PATTERN_PREFIX,
                                            [QDI_RULE_WILDCARD] = QD_PATTERN_WILDCARD,
                                            [QDI_RULE_REGEXP] = QD_PATTERN_REGEXP,
                                            [QDI_RULE_FUZZY] = QD_PATTERN_FUZZY};
    qdi_pattern p = x->pattern;
    const qd_node *n;
    int rc;
    if (x->kind == QDI_RULE_RANGE) {
        rc = qdi_field_range(b, f, &x->range, &n, err);
        return rc ? rc : qdi_prox_of(b, n, f->name, "intervals", out, err);
    }
    p.kind = kinds[x->kind];
    p.max_expansions = 50;
    rc = qdi_field_pattern(b, f, &p, x->text, p.kind != QD_PATTERN_REGEXP, &n, err);
    const qd_node_pattern *made = rc ? NULL : qd_node_pattern_of(n);
    if (made) { /* all terms, of which there may be as many as a query may have clauses */
        qd_node *all = qdi_query_node(b, n->kind, err);
        if (!all) return QD_E_NOMEM;
        *all = *n;
        all->u.pattern.rewrite = QD_REWRITE_SCORING;
        n = all;
    }
    if (!rc) rc = qdi_prox_of(b, n, f->name, "intervals", out, err);
    if (!rc) ((qd_prox *)(uintptr_t)*out)->a = x->pattern.max_expansions;
    return rc;
}

static int build_group(qdi_builder *b, const qdi_field *f, const qdi_rule *x, const qd_prox **out,
                       qd_err *err)
{
    const qd_prox **list = qd_arena_alloc(b->arena, ((size_t)x->n + 1) * sizeof *list);
    int rc = list ? 0 : qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < x->n && !rc; i++)
        rc = qdi_rule_build(b, f, x->rules[i], &list[i], err);
    if (rc) return rc;
    if (x->kind == QDI_RULE_ANY_OF) return qdi_intervals_or(b, list, x->n, out, err);
    return qdi_intervals_combine(b, list, x->n, x->max_gaps, x->mode, out, err);
}

int qdi_rule_build(qdi_builder *b, const qdi_field *f, const qdi_rule *x, const qd_prox **out,
                   qd_err *err)
{
    qdi_field of;
    int rc = 1u << x->kind & GROUPS ? 0 : field_of(b, f, x, &of, err);
    if (rc) return rc;
    if (1u << x->kind & GROUPS)
        rc = build_group(b, f, x, out, err);
    else if (x->kind == QDI_RULE_MATCH)
        rc = qdi_intervals_text(b, of.name, of.f->search_analyzer, x->text, x->max_gaps, x->mode,
                                out, err);
    else
        rc = build_pattern(b, &of, x, out, err);
    if (rc || !x->filter) return rc;
    const qd_prox *by;
    rc = qdi_rule_build(b, f, x->filter, &by, err);
    return rc ? rc : qdi_intervals_filter(b, *out, x->relation, by, out, err);
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const intervals_query *x = (const intervals_query *)q;
    qdi_field f = qdi_field_find(b, q->field);
    const qd_prox *root;
    if (f.cls == QDI_F_NONE) return qdi_query_none(b, out, err);
    int rc = check_positions(&f, err);
    if (!rc) rc = qdi_rule_build(b, &f, x->rule, &root, err);
    if (!rc && !root->field.p) return qdi_query_none(b, out, err);
    return rc ? rc : qdi_prox_node(b, root, true, out, err);
}

const qd_query_type qdi_query_intervals = {
    .name = "intervals", .size = sizeof(intervals_query), .read = read, .build = build};
