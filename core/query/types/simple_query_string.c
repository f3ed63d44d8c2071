/*
 * simple_query_string.c: simple_query_string, whose syntax knows no errors: what is out of place
 * is taken as text or left out.
 *
 * The text is read once, left to right, by Lucene's SimpleQueryParser rules. Which parenthesis
 * closes which is found in one pass before, so that a text of nothing but parentheses is not read
 * again for each. Operators of alternating kind nest the tree, parentheses too: both are bounded by
 * NESTING_MAX.
 */
#include "query/read_int.h"
#include "query/string/string_int.h"

#define NESTING_MAX 48u

enum {
    FLAG_AND = 1,
    FLAG_NOT = 2,
    FLAG_OR = 4,
    FLAG_PREFIX = 8,
    FLAG_PHRASE = 16,
    FLAG_PRECEDENCE = 32,
    FLAG_ESCAPE = 64,
    FLAG_WHITESPACE = 128,
    FLAG_FUZZY = 256,
    FLAG_NEAR = 512
};

typedef struct simple {
    qdi_string s;
    qd_str text;
    int32_t flags;
    uint32_t *closing; /* of each byte: place of the parenthesis that closes it, or UINT32_MAX */
    char *piece;       /* room for a token */
} simple;

/* One level of parentheses. */
typedef struct state {
    size_t at, end;
    uint32_t nots, depth;    /* depth: of the tree under top */
    int operation, previous; /* 0, QD_OCCUR_MUST or QD_OCCUR_SHOULD */
    qdi_clauses clauses;     /* of top, when it is a bool made here */
    const qd_node *top;      /* when it is not */
} state;

static bool on(const simple *x, int32_t flag)
{
    return (x->flags & flag) != 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool token_ends(const simple *x, char c)
{
    return (c == '"' && on(x, FLAG_PHRASE)) || (c == '|' && on(x, FLAG_OR)) ||
           (c == '+' && on(x, FLAG_AND)) || ((c == '(' || c == ')') && on(x, FLAG_PRECEDENCE)) ||
           (is_space(c) && on(x, FLAG_WHITESPACE));
}

/* --- the tree ------------------------------------------------------------------------------ */

static int negated(simple *x, const qd_node *n, const qd_node **out, qd_err *err)
{
    qdi_clauses c = {0};
    qd_node *all = qdi_query_node(x->s.b, QD_NATIVE_MATCH_ALL, err);
    if (!all) return QD_E_NOMEM;
    int rc = qdi_clause_add(x->s.b, &c, QD_OCCUR_MUST_NOT, n, err);
    if (!rc) rc = qdi_clause_add(x->s.b, &c, QD_OCCUR_SHOULD, all, err);
    if (!rc) return qdi_clauses_bool(x->s.b, &c, (qd_str){NULL, 0}, out, err);
    qd_vec_fini(&c.must_not);
    qd_vec_fini(&c.should);
    return rc;
}

/* What stands so far as one node. */
static int top_of(simple *x, state *st, const qd_node **out, qd_err *err)
{
    *out = st->top;
    if (st->clauses.must.n + st->clauses.should.n == 0) return 0;
    return qdi_clauses_bool(x->s.b, &st->clauses, (qd_str){NULL, 0}, out, err);
}

/* Puts a piece into the tree: a change of operator makes what stands one clause of a new bool. */
static int add_branch(simple *x, state *st, const qd_node *branch, uint32_t depth, qd_err *err)
{
    const qd_node *before;
    int rc = 0;
    if (!branch) {
        st->operation = 0;
        return 0;
    }
    if (st->nots % 2) rc = negated(x, branch, &branch, err);
    if (rc) return rc;
    if (depth > st->depth) st->depth = depth;
    if (!st->top && !st->previous) {
        st->top = branch;
        st->operation = 0;
        return 0;
    }
    if (!st->operation) st->operation = x->s.and_operator ? QD_OCCUR_MUST : QD_OCCUR_SHOULD;
    if (st->previous != st->operation) {
        rc = top_of(x, st, &before, err);
        if (!rc && ++st->depth > NESTING_MAX)
            rc = qd_err_set(err, QD_E_LIMIT,
                            "Query contains too many nested clauses; maxClauseCount is set to %u",
                            x->s.b->limits.max_clauses);
        st->clauses = (qdi_clauses){0};
        if (!rc) rc = qdi_clause_add(x->s.b, &st->clauses, st->operation, before, err);
        st->top = NULL;
    }
    if (!rc) rc = qdi_clause_add(x->s.b, &st->clauses, st->operation, branch, err);
    st->previous = st->operation;
    st->operation = 0;
    return rc;
}

/* --- pieces -------------------------------------------------------------------------------- */

static int each_field(simple *x, qd_str text, int edits, const qd_node **out, qd_err *err)
{
    qdi_clauses c = {0};
    const qdi_text *o = qdi_text_of(x->s.q);
    int rc = 0;
    for (size_t i = 0; i < x->s.fields.v.n && !rc; i++) {
        const qdi_weighted *w = &x->s.fields.v.at[i];
        const qd_node *n = NULL;
        qd_err step;
        qd_str word = text;
        qd_err_init(&step);
        if (edits) {
            qdi_pattern p = {.kind = QD_PATTERN_FUZZY,
                             .transpositions = o->transpositions,
                             .fuzziness = {.given = true, .edits = (float)edits},
                             .prefix_length = o->prefix_length,
                             .max_expansions = o->max_expansions};
            const qd_analyzer *a = x->s.m.analyzer;
            if (!a && qdi_field_is_text(&w->field)) a = w->field.f->search_analyzer;
            if (a) rc = qd_analyzer_normalize(a, x->s.b->c->analysis, text, &word, &step);
            if (!rc) rc = qdi_query_copy(x->s.b, word, &word, &step);
            if (!rc) rc = qdi_field_pattern(x->s.b, &w->field, &p, word, false, &n, &step);
        } else {
            rc = qdi_string_prefix_of(&x->s, &w->field, text, &n, &step);
        }
        rc = qdi_forgive(x->s.b, x->s.m.lenient, rc, &step, &n, err);
        if (!rc && n) rc = qdi_boosted(x->s.b, n, w->boost, &n, err);
        if (!rc && n) rc = qdi_clause_add(x->s.b, &c, QD_OCCUR_SHOULD, n, err);
    }
    if (!rc) return qdi_clauses_dis_max(x->s.b, &c, 1, out, err);
    qd_vec_fini(&c.should);
    return rc;
}

static int words(simple *x, qd_str text, bool phrase, uint32_t slop, const qd_node **out,
                 qd_err *err)
{
    static const float tie_most = 1, tie_phrase = 0;
    qdi_matcher m = x->s.m;
    qdi_fields quoted = {0};
    const qdi_fields *fields = &x->s.fields;
    qd_str suffix = qdi_text_of(x->s.q)->quote_field_suffix;
    int rc = 0;
    m.slop = slop;
    m.zero_terms = QDI_ZERO_NULL;
    for (size_t i = 0; phrase && suffix.n && i < x->s.fields.v.n && !rc; i++) {
        rc = qdi_fields_add(x->s.b, &quoted, x->s.fields.v.at[i].field.name,
                            x->s.fields.v.at[i].boost, suffix, err);
        fields = &quoted;
    }
    if (!rc)
        rc = qdi_multi_match(&m, phrase ? QDI_PHRASE : QDI_MOST_FIELDS,
                             phrase ? &tie_phrase : &tie_most, fields, (qd_query_value){text, true},
                             (qd_str){NULL, 0}, out, err);
    qd_vec_fini(&quoted.v);
    return rc;
}

/* The number behind "~" at the present place; 0 for what is none, 2 when nothing follows. */
static uint32_t edits_behind(simple *x, state *st)
{
    size_t from = st->at + 1, to = from;
    uint64_t n;
    while (to < st->end && !token_ends(x, x->text.p[to])) to++;
    st->at = to;
    if (to == from) return 2;
    if (!qd_str_u64(qd_str_sub(x->text, from, to - from), &n)) return 0;
    return n > 1000000 ? 1000000 : (uint32_t)n;
}

static int consume_phrase(simple *x, state *st, qd_err *err)
{
    const qd_node *n = NULL;
    size_t from = ++st->at, i = from, k = 0;
    bool escaped = false;
    for (; i < st->end; i++) {
        if (!escaped && x->text.p[i] == '\\' && on(x, FLAG_ESCAPE)) {
            escaped = true;
            continue;
        }
        if (!escaped && x->text.p[i] == '"') break;
        escaped = false;
        x->piece[k++] = x->text.p[i];
    }
    if (i == st->end) return 0; /* never closed: the quote says nothing */
    st->at = i + 1;
    if (i == from) {
        st->operation = 0;
        return 0;
    }
    qd_str text;
    uint32_t slop = 0;
    if (st->at + 1 < st->end && x->text.p[st->at] == '~' && on(x, FLAG_NEAR))
        slop = edits_behind(x, st);
    else if (st->at < st->end && x->text.p[st->at] == '~' && on(x, FLAG_NEAR))
        st->at++;
    int rc = qdi_query_copy(x->s.b, (qd_str){x->piece, k}, &text, err);
    if (!rc) rc = words(x, text, true, slop, &n, err);
    return rc ? rc : add_branch(x, st, n, 1, err);
}

static int consume_token(simple *x, state *st, qd_err *err)
{
    size_t k = 0;
    bool escaped = false, prefix = false, fuzzy = false;
    const qd_node *n = NULL;
    qd_str text;
    for (; st->at < st->end; st->at++) {
        char c = x->text.p[st->at];
        if (!escaped) {
            if (c == '\\' && on(x, FLAG_ESCAPE)) {
                escaped = true;
                prefix = false;
                continue;
            }
            if (token_ends(x, c)) break;
            if (k && c == '~' && on(x, FLAG_FUZZY)) {
                fuzzy = true;
                break;
            }
            prefix = k && c == '*' && on(x, FLAG_PREFIX);
        }
        escaped = false;
        x->piece[k++] = c;
    }
    if (k == 0) return 0;
    int rc = qdi_query_copy(x->s.b, (qd_str){x->piece, prefix && !fuzzy ? k - 1 : k}, &text, err);
    if (rc) return rc;
    uint32_t edits = fuzzy ? edits_behind(x, st) : 0;
    if (fuzzy && edits)
        rc = each_field(x, text, edits > 2 ? 2 : (int)edits, &n, err);
    else if (!fuzzy && prefix)
        rc = each_field(x, text, 0, &n, err);
    else
        rc = words(x, text, false, 0, &n, err);
    return rc ? rc : add_branch(x, st, n, 1, err);
}

/* --- the text ------------------------------------------------------------------------------ */

static int parse_level(simple *x, size_t from, size_t to, uint32_t nesting, const qd_node **out,
                       uint32_t *depth, qd_err *err);

static int consume_group(simple *x, state *st, uint32_t nesting, qd_err *err)
{
    const qd_node *n = NULL;
    uint32_t depth = 0;
    size_t from = st->at + 1, to = x->closing[st->at];
    if (to == UINT32_MAX || to >= st->end) { /* never closed */
        st->at = from;
        return 0;
    }
    st->at = to + 1;
    if (to == from) {
        st->operation = 0;
        return 0;
    }
    int rc = parse_level(x, from, to, nesting + 1, &n, &depth, err);
    return rc ? rc : add_branch(x, st, n, depth + 1, err);
}

static int step(simple *x, state *st, uint32_t nesting, qd_err *err)
{
    char c = x->text.p[st->at];
    if (c == '(' && on(x, FLAG_PRECEDENCE)) return consume_group(x, st, nesting, err);
    if (c == '"' && on(x, FLAG_PHRASE)) return consume_phrase(x, st, err);
    if ((c == '+' && on(x, FLAG_AND)) || (c == '|' && on(x, FLAG_OR))) {
        if (!st->operation && (st->top || st->previous))
            st->operation = c == '+' ? QD_OCCUR_MUST : QD_OCCUR_SHOULD;
        st->at++;
        return 0;
    }
    if ((c == ')' && on(x, FLAG_PRECEDENCE)) || (is_space(c) && on(x, FLAG_WHITESPACE))) {
        st->at++;
        return 0;
    }
    return consume_token(x, st, err);
}

static int parse_level(simple *x, size_t from, size_t to, uint32_t nesting, const qd_node **out,
                       uint32_t *depth, qd_err *err)
{
    state st = {.at = from, .end = to};
    int rc = 0;
    if (nesting > NESTING_MAX)
        return qd_err_set(err, QD_E_LIMIT,
                          "Query contains too many nested clauses; maxClauseCount is set to %u",
                          x->s.b->limits.max_clauses);
    while (st.at < st.end && !rc) {
        if (x->text.p[st.at] == '-' && on(x, FLAG_NOT)) {
            st.nots++;
            st.at++;
            continue;
        }
        rc = step(x, &st, nesting, err);
        st.nots = 0;
    }
    *out = NULL;
    *depth = st.depth;
    if (!rc) return top_of(x, &st, out, err);
    qd_vec_fini(&st.clauses.must);
    qd_vec_fini(&st.clauses.should);
    return rc;
}

/* Which parenthesis closes which. */
static int match_parentheses(simple *x, qd_err *err)
{
    size_t n = x->text.n, depth = 0;
    if (n >= UINT32_MAX / 2) return qd_err_set(err, QD_E_ARG, "the query text is too long");
    x->closing = qd_arena_alloc(x->s.b->arena, (n + 1) * sizeof *x->closing);
    uint32_t *open = qd_arena_alloc(x->s.b->arena, (n + 1) * sizeof *open);
    x->piece = qd_arena_bytes(x->s.b->arena, n + 1);
    if (!x->closing || !open || !x->piece) return qd_err_nomem(err, "query");
    for (size_t i = 0; i < n; i++) {
        x->closing[i] = UINT32_MAX;
        if (x->text.p[i] == '\\' && on(x, FLAG_ESCAPE)) {
            if (i + 1 < n) x->closing[++i] = UINT32_MAX;
        } else if (x->text.p[i] == '(') {
            open[depth++] = (uint32_t)i;
        } else if (x->text.p[i] == ')' && depth) {
            x->closing[open[--depth]] = (uint32_t)i;
        }
    }
    return 0;
}

static int run(simple *x, const qd_node **out, qd_err *err)
{
    const qdi_text *t = qdi_text_of(x->s.q);
    bool all;
    uint32_t depth;
    int rc = qdi_fields_of(x->s.b, x->s.q, &x->s.fields, &all, err);
    if (rc) return rc;
    x->s.m.lenient = t->lenient ? t->lenient == QDI_YES : all;
    if (qd_str_is(qd_str_trim(x->text), "*")) {
        *out = qdi_query_node(x->s.b, QD_NATIVE_MATCH_ALL, err);
        return *out ? 0 : QD_E_NOMEM;
    }
    rc = match_parentheses(x, err);
    if (!rc) rc = parse_level(x, 0, x->text.n, 0, out, &depth, err);
    if (rc || !*out) return rc;
    return qdi_apply_minimum(x->s.b, *out, t->minimum_should_match, out, err);
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    simple x = {.s = {.b = b, .q = q, .and_operator = qdi_text_of(q)->and_operator},
                .text = q->value.text,
                .flags = qdi_text_of(q)->flags};
    *out = NULL;
    int rc = qdi_matcher_of(b, q, &x.s.m, err);
    if (rc) return rc;
    x.s.analyze_wildcard = qdi_text_of(q)->analyze_wildcard == QDI_YES;
    x.s.m.fuzziness = (qdi_fuzziness){0};
    rc = run(&x, out, err);
    qd_vec_fini(&x.s.fields.v);
    return rc;
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_option rows[] = {
        QDI_STRING_OPTIONS,
        {"flags", QDI_OPT_FLAGS, QDI_TEXT_AT(flags)},
    };
    static const qdi_flat_form form = {.unknown = "unsupported field"};
    qdi_text_init(q, QDI_MATCH_BOOLEAN);
    int rc = qdi_read_flat(rd, r, rows, QD_COUNT_OF(rows), &form, q, err);
    if (rc) return rc;
    if (!q->has_value)
        return qd_json_err_at(r, err, QD_E_PARSE, "[simple_query_string] query text missing");
    return 0;
}

const qd_query_type qdi_query_simple_query_string = {
    .name = "simple_query_string", .size = sizeof(qdi_text_query), .read = read, .build = build};
