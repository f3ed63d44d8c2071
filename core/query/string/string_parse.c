/*
 * string_parse.c: the grammar of Lucene's classic query syntax, as a recursive descent over
 * string_lex.c with three tokens of look-ahead.
 *
 *   query   := (words | clause) ((words | [AND|OR] clause))*
 *   words   := TERM TERM+            plain words in a row are analyzed as one text
 *   clause  := [+ - NOT] [field :] (term | '(' query ')' [^boost])
 *
 * Recursion is bounded by NESTING_MAX parentheses; clauses by the limit of clauses.
 */
#include "base/utf8.h"
#include "query/string/string_int.h"
#include "query/string/string_lex_int.h"
#include "json/number.h"

#define NESTING_MAX 200u

typedef enum modifier { MOD_NONE, MOD_REQUIRED, MOD_NOT } modifier;
typedef enum conjunction { CONJ_NONE, CONJ_AND, CONJ_OR } conjunction;

typedef struct clause {
    int occur;
    const qd_node *node;
} clause;
typedef QD_VEC(clause) clause_list;

typedef struct parser {
    qdi_string *s;
    qdi_lexer lexer;
    qdi_lex_token ahead[4];
    uint32_t nahead;
    uint32_t nesting;
} parser;

static int parse_query(parser *p, qd_str field, const qd_node **out, qd_err *err);

/* The i-th token ahead, from 0. */
static int peek(parser *p, uint32_t i, qdi_lex_token *out, qd_err *err)
{
    while (p->nahead <= i) {
        int rc = qdi_lex_next(&p->lexer, &p->ahead[p->nahead], err);
        if (rc) return rc;
        p->nahead++;
    }
    *out = p->ahead[i];
    return 0;
}

static void drop(parser *p)
{
    for (uint32_t i = 1; i < p->nahead; i++) p->ahead[i - 1] = p->ahead[i];
    p->nahead--;
}

static int unexpected(const parser *p, const qdi_lex_token *t, qd_err *err)
{
    static const char *const names[] = {
        "<EOF>",        "<AND>",      "<OR>",         "<NOT>",  "\"+\"",
        "\"-\"",        "<BAREOPER>", "\"(\"",        "\")\"",  "\":\"",
        "\"*\"",        "\"^\"",      "<QUOTED>",     "<TERM>", "<FUZZY_SLOP>",
        "<PREFIXTERM>", "<WILDTERM>", "<REGEXPTERM>", "\"[\"",  "\"{\"",
        "<NUMBER>",     "\"TO\"",     "\"]\"",        "\"}\"",  "<RANGE_QUOTED>",
        "<RANGE_GOOP>"};
    qd_str before = {p->lexer.text.p, (size_t)(t->image.p - p->lexer.text.p)};
    size_t column = qd_utf8_utf16(before);
    if (t->kind == QDI_T_EOF)
        return qd_err_set(err, QD_E_QUERY_SYNTAX, "Encountered \"<EOF>\" at line 1, column %zu.",
                          column);
    char image[256];
    qdi_lex_shown(t->image, image);
    return qd_err_set(err, QD_E_QUERY_SYNTAX, "Encountered \" %s \"%s \"\" at line 1, column %zu.",
                      names[t->kind], image, column);
}

/* --- text --------------------------------------------------------------------------------------
 */

/* The four hexadecimal digits at `at`: 0; 1: the text ends before; else where another byte stands.
 */
static size_t hex4(qd_str s, size_t at, uint32_t *out)
{
    *out = 0;
    for (size_t i = at; i < at + 4; i++) {
        if (i >= s.n) return 1;
        char c = s.p[i];
        uint32_t d = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                            : 16;
        if (d == 16) return i;
        *out = *out << 4 | d;
    }
    return 0;
}

/* A unicode escape at s[*i] (behind "\u"); a pair of surrogates is one code point. */
static int unicode_escape(qd_str s, size_t *i, char *out, size_t *n, qd_err *err)
{
    uint32_t unit, low;
    size_t bad = hex4(s, *i, &unit);
    if (bad == 1) return qd_err_set(err, QD_E_QUERY_SYNTAX, "Truncated unicode escape sequence.");
    if (bad) {
        uint32_t cp;
        size_t k = qd_utf8_next(s.p + bad, s.p + s.n, &cp);
        return qd_err_set(err, QD_E_QUERY_SYNTAX,
                          "Non-hex character in Unicode escape sequence: %.*s", (int)k, s.p + bad);
    }
    *i += 4;
    if (unit >= 0xd800 && unit < 0xdc00 && *i + 6 <= s.n && s.p[*i] == '\\' && s.p[*i + 1] == 'u' &&
        hex4(s, *i + 2, &low) == 0 && low >= 0xdc00 && low < 0xe000) {
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        *i += 6;
    }
    if (unit >= 0xd800 && unit < 0xe000) unit = 0xfffd; /* half of a pair */
    *n += qd_utf8_put(out + *n, unit);
    return 0;
}

static int unescape(parser *p, qd_str s, qd_str *out, qd_err *err)
{
    *out = s;
    if (qd_str_find(s, '\\') < 0) return 0;
    char *to = qd_arena_bytes(p->s->b->arena, s.n + 4);
    size_t n = 0;
    if (!to) return qd_err_nomem(err, "query");
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] != '\\') {
            to[n++] = s.p[i++];
            continue;
        }
        if (++i >= s.n)
            return qd_err_set(err, QD_E_QUERY_SYNTAX, "Term can not end with escape character.");
        if (s.p[i] != 'u') {
            to[n++] = s.p[i++];
            continue;
        }
        i++;
        int rc = unicode_escape(s, &i, to, &n, err);
        if (rc) return rc;
    }
    *out = (qd_str){to, n};
    return 0;
}

/* --- clauses -----------------------------------------------------------------------------------
 */

static int push(parser *p, clause_list *list, int occur, const qd_node *node, qd_err *err)
{
    qdi_builder *b = p->s->b;
    if (list->n >= b->limits.max_clauses)
        return qd_err_set(err, QD_E_TOO_MANY_CLAUSES, "maxClauseCount is set to %u",
                          b->limits.max_clauses);
    return qd_vec_push(list, b->arena->account, ((clause){occur, node}))
               ? qd_err_nomem(err, "query")
               : 0;
}

/* Operators bind to both sides: AND makes the clause before it required, OR (where AND is the
 * default) optional. */
static int add_clause(parser *p, clause_list *list, conjunction conj, modifier mod,
                      const qd_node *node, qd_err *err)
{
    clause *before = list->n ? &list->at[list->n - 1] : NULL;
    bool and_default = p->s->and_operator;
    if (before && before->occur != QD_OCCUR_MUST_NOT) {
        if (conj == CONJ_AND) before->occur = QD_OCCUR_MUST;
        if (conj == CONJ_OR && and_default) before->occur = QD_OCCUR_SHOULD;
    }
    if (!node) return 0;
    bool required = and_default ? conj != CONJ_OR : mod == MOD_REQUIRED || conj == CONJ_AND;
    return push(p, list,
                mod == MOD_NOT ? QD_OCCUR_MUST_NOT
                : required     ? QD_OCCUR_MUST
                               : QD_OCCUR_SHOULD,
                node, err);
}

/* Words in a row: the clauses of their bool become clauses of the query. */
static int add_words(parser *p, clause_list *list, const qd_node *node, qd_err *err)
{
    int occur = p->s->and_operator ? QD_OCCUR_MUST : QD_OCCUR_SHOULD, rc = 0;
    if (!node) return 0;
    const qd_node_bool *w = qd_node_clauses(node);
    if (!w || node->boost != 1) return push(p, list, occur, node, err);
    for (uint32_t i = 0; i < w->nmust && !rc; i++) rc = push(p, list, occur, w->must[i], err);
    for (uint32_t i = 0; i < w->nshould && !rc; i++) rc = push(p, list, occur, w->should[i], err);
    return rc;
}

static int make_bool(parser *p, clause_list *list, const qd_node **out, qd_err *err)
{
    qdi_clauses c = {0};
    int rc = 0;
    for (size_t i = 0; i < list->n && !rc; i++)
        rc = qdi_clause_add(p->s->b, &c, list->at[i].occur, list->at[i].node, err);
    if (rc) {
        qd_vec_fini(&c.must);
        qd_vec_fini(&c.should);
        qd_vec_fini(&c.must_not);
        return rc;
    }
    rc = qdi_clauses_bool(p->s->b, &c, (qd_str){NULL, 0}, out, err);
    return rc || !*out ? rc : qdi_fix_negative(p->s->b, *out, out, err);
}

int qdi_fix_negative(qdi_builder *b, const qd_node *n, const qd_node **out, qd_err *err)
{
    const qd_node **filter;
    *out = n;
    const qd_node_bool *s = qd_node_clauses(n);
    if (!s || !s->nmust_not || s->nmust + s->nshould + s->nfilter) return 0;
    qd_node *all = qdi_query_node(b, QD_NATIVE_MATCH_ALL, err);
    qd_node *x = qdi_query_node(b, QD_NATIVE_BOOL, err);
    filter = qd_arena_alloc(b->arena, sizeof *filter);
    if (!all || !x || !filter) return qd_err_nomem(err, "query");
    *x = *n;
    filter[0] = all;
    x->u.boolean.filter = filter;
    x->u.boolean.nfilter = 1;
    *out = x;
    return 0;
}

/* --- terms -------------------------------------------------------------------------------------
 */

/* "^2.5" when it follows. */
static int read_boost(parser *p, float *boost, qd_err *err)
{
    qdi_lex_token t;
    int rc = peek(p, 0, &t, err);
    if (rc || t.kind != QDI_T_CARAT) return rc;
    drop(p);
    rc = peek(p, 0, &t, err);
    if (rc) return rc;
    if (t.kind != QDI_T_NUMBER) return unexpected(p, &t, err);
    drop(p);
    return qd_f32_parse_java(t.image, boost) ? unexpected(p, &t, err)
                                             : qdi_check_boost(*boost, err);
}

/* "~" and "^" behind a term, each once, in any order. */
static int read_suffixes(parser *p, qd_str *slop, float *boost, qd_err *err)
{
    for (bool boosted = false;;) {
        qdi_lex_token t;
        int rc = peek(p, 0, &t, err);
        if (rc) return rc;
        if (t.kind == QDI_T_FUZZY_SLOP && !slop->p) {
            *slop = t.image;
            drop(p);
        } else if (t.kind == QDI_T_CARAT && !boosted) {
            boosted = true;
            rc = read_boost(p, boost, err);
            if (rc) return rc;
        } else {
            return 0;
        }
    }
}

static int bare_term(parser *p, qd_str field, const qdi_lex_token *t, const qd_node **out,
                     float *boost, qd_err *err)
{
    qdi_string *s = p->s;
    qd_str slop = {NULL, 0}, text;
    qd_str image = t->kind == QDI_T_BAREOPER ? qd_str_sub(t->image, 0, 1) : t->image;
    int rc = read_suffixes(p, &slop, boost, err);
    if (!rc) rc = unescape(p, image, &text, err); /* whatever it is: as Lucene refuses it */
    if (rc) return rc;
    switch (t->kind) {
    case QDI_T_STAR:
    case QDI_T_WILDTERM:
        return qdi_string_wildcard(s, field, image, out, err);
    case QDI_T_PREFIXTERM:
        rc = unescape(p, qd_str_sub(image, 0, image.n - 1), &text, err);
        return rc ? rc : qdi_string_prefix(s, field, text, out, err);
    case QDI_T_REGEXPTERM:
        return qdi_string_regexp(s, field, qd_str_sub(image, 1, image.n - 2), out, err);
    default:
        if (slop.p) return qdi_string_fuzzy(s, field, text, qd_str_sub(slop, 1, slop.n), out, err);
        return qdi_string_words(s, field, text, out, err);
    }
}

static int quoted_term(parser *p, qd_str field, const qdi_lex_token *t, const qd_node **out,
                       float *boost, qd_err *err)
{
    qd_str slop = {NULL, 0}, text;
    double n;
    uint32_t use = p->s->m.slop;
    int rc = read_suffixes(p, &slop, boost, err);
    if (!rc) rc = unescape(p, qd_str_sub(t->image, 1, t->image.n - 2), &text, err);
    if (rc) return rc;
    if (slop.n > 1 && qd_f64_parse_java(qd_str_sub(slop, 1, slop.n), &n) == 0 && n >= 0)
        use = n > 1000000 ? 1000000 : (uint32_t)n;
    return qdi_string_phrase(p->s, field, text, use, out, err);
}

/* One end of a range, as it stands: whether it can be read is asked when all of the clause is
 * there, as Lucene does. */
static int range_end(parser *p, qdi_lex_token *out, qd_err *err)
{
    int rc = peek(p, 0, out, err);
    if (rc) return rc;
    if (out->kind != QDI_T_RANGE_GOOP && out->kind != QDI_T_RANGE_QUOTED &&
        out->kind != QDI_T_RANGE_TO)
        return unexpected(p, out, err);
    drop(p);
    return 0;
}

/* Its text; open ends have p NULL. */
static int range_text(parser *p, const qdi_lex_token *t, qd_str *out, qd_err *err)
{
    bool quoted = t->kind == QDI_T_RANGE_QUOTED;
    if (!quoted && qd_str_is(t->image, "*")) {
        *out = (qd_str){NULL, 0};
        return 0;
    }
    return unescape(p, quoted ? qd_str_sub(t->image, 1, t->image.n - 2) : t->image, out, err);
}

static int range_term(parser *p, qd_str field, bool from_in, const qd_node **out, float *boost,
                      qd_err *err)
{
    qdi_lex_token t, ends[2];
    qd_str from, to;
    int rc = range_end(p, &ends[0], err);
    if (!rc) rc = peek(p, 0, &t, err);
    if (rc) return rc;
    if (t.kind != QDI_T_RANGE_TO) return unexpected(p, &t, err);
    drop(p);
    rc = range_end(p, &ends[1], err);
    if (!rc) rc = peek(p, 0, &t, err);
    if (rc) return rc;
    if (t.kind != QDI_T_RANGEIN_END && t.kind != QDI_T_RANGEEX_END) return unexpected(p, &t, err);
    drop(p);
    rc = read_boost(p, boost, err);
    if (!rc) rc = range_text(p, &ends[0], &from, err);
    if (!rc) rc = range_text(p, &ends[1], &to, err);
    if (rc) return rc;
    return qdi_string_range(p->s, field, from, to, from_in, t.kind == QDI_T_RANGEIN_END, out, err);
}

static int group(parser *p, qd_str field, const qd_node **out, float *boost, qd_err *err)
{
    qdi_lex_token t;
    if (++p->nesting > NESTING_MAX)
        return qd_err_set(err, QD_E_LIMIT, "more than %u parentheses within each other",
                          NESTING_MAX);
    int rc = parse_query(p, field, out, err);
    p->nesting--;
    if (!rc) rc = peek(p, 0, &t, err);
    if (rc) return rc;
    if (t.kind != QDI_T_RPAREN) return unexpected(p, &t, err);
    drop(p);
    return read_boost(p, boost, err);
}

/* [field :] and what follows it. */
static int parse_clause(parser *p, qd_str field, const qd_node **out, qd_err *err)
{
    qdi_lex_token t, colon;
    float boost = 1;
    int rc = peek(p, 0, &t, err);
    if (rc) return rc;
    if (t.kind == QDI_T_TERM || t.kind == QDI_T_STAR) {
        rc = peek(p, 1, &colon, err);
        if (rc) return rc;
        if (colon.kind == QDI_T_COLON) {
            rc = unescape(p, t.image, &field, err);
            drop(p);
            drop(p);
            if (!rc) rc = peek(p, 0, &t, err);
            if (rc) return rc;
        }
    }
    *out = NULL;
    switch (t.kind) {
    case QDI_T_LPAREN:
        drop(p);
        rc = group(p, field, out, &boost, err);
        break;
    case QDI_T_QUOTED:
        drop(p);
        rc = quoted_term(p, field, &t, out, &boost, err);
        break;
    case QDI_T_RANGEIN_START:
    case QDI_T_RANGEEX_START:
        drop(p);
        rc = range_term(p, field, t.kind == QDI_T_RANGEIN_START, out, &boost, err);
        break;
    case QDI_T_TERM:
    case QDI_T_STAR:
    case QDI_T_PREFIXTERM:
    case QDI_T_WILDTERM:
    case QDI_T_REGEXPTERM:
    case QDI_T_BAREOPER:
        drop(p);
        rc = bare_term(p, field, &t, out, &boost, err);
        break;
    default:
        return unexpected(p, &t, err);
    }
    return rc || !*out ? rc : qdi_boosted(p->s->b, *out, boost, out, err);
}

/* May a word be joined to those before it, with this token behind it? */
static bool joins(const qdi_lex_token *behind)
{
    return behind->kind != QDI_T_COLON && behind->kind != QDI_T_STAR &&
           behind->kind != QDI_T_FUZZY_SLOP && behind->kind != QDI_T_CARAT &&
           behind->kind != QDI_T_AND && behind->kind != QDI_T_OR;
}

/* Is the token at i a word that may be joined? */
static int word_joins(parser *p, uint32_t i, bool *yes, qd_err *err)
{
    qdi_lex_token t, behind;
    int rc = peek(p, i, &t, err);
    *yes = false;
    if (rc || t.kind != QDI_T_TERM) return rc;
    rc = peek(p, i + 1, &behind, err);
    if (!rc) *yes = joins(&behind);
    return rc;
}

/* Plain words in a row as one text; *any false: there are not two of them. */
static int parse_words(parser *p, qd_str field, clause_list *list, bool *any, qd_err *err)
{
    qdi_lex_token first = {0}, next = {0};
    qd_buf text;
    const qd_node *node = NULL;
    qd_str plain;
    bool more = false;
    int rc = peek(p, 0, &first, err);
    *any = false;
    if (rc || first.kind != QDI_T_TERM) return rc;
    rc = word_joins(p, 1, &more, err);
    if (rc || !more) return rc;
    *any = true;
    qd_buf_init(&text, p->s->b->arena->account, p->lexer.text.n + 1);
    drop(p);
    rc = qd_buf_str(&text, first.image);
    while (!rc && more) {
        rc = peek(p, 0, &next, err);
        drop(p);
        if (!rc && (qd_buf_char(&text, ' ') || qd_buf_str(&text, next.image)))
            rc = qd_err_nomem(err, "query");
        if (!rc) rc = word_joins(p, 0, &more, err);
    }
    if (!rc) rc = qdi_query_copy(p->s->b, qd_buf_view(&text), &plain, err);
    qd_buf_fini(&text);
    if (!rc) rc = unescape(p, plain, &plain, err);
    if (!rc) rc = qdi_string_words(p->s, field, plain, &node, err);
    return rc ? rc : add_words(p, list, node, err);
}

/* [AND | OR] [+ - NOT] clause; *end: nothing more of this query. */
static int parse_next(parser *p, qd_str field, clause_list *list, bool *end, const qd_node **only,
                      qd_err *err)
{
    qdi_lex_token t;
    conjunction conj = CONJ_NONE;
    modifier mod = MOD_NONE;
    const qd_node *node;
    bool first = only != NULL;
    int rc = peek(p, 0, &t, err);
    if (rc) return rc;
    *end = !first && (t.kind == QDI_T_EOF || t.kind == QDI_T_RPAREN);
    if (*end) return 0;
    if (!first && (t.kind == QDI_T_AND || t.kind == QDI_T_OR)) {
        conj = t.kind == QDI_T_AND ? CONJ_AND : CONJ_OR;
        drop(p);
        rc = peek(p, 0, &t, err);
        if (rc) return rc;
    }
    if (t.kind == QDI_T_PLUS || t.kind == QDI_T_MINUS || t.kind == QDI_T_NOT) {
        mod = t.kind == QDI_T_PLUS ? MOD_REQUIRED : MOD_NOT;
        drop(p);
    }
    rc = parse_clause(p, field, &node, err);
    if (rc) return rc;
    if (first && mod == MOD_NONE) *only = node;
    return add_clause(p, list, conj, mod, node, err);
}

static int parse_query(parser *p, qd_str field, const qd_node **out, qd_err *err)
{
    clause_list list = {0};
    const qd_node *only = NULL;
    bool end = false, words;
    int rc = parse_words(p, field, &list, &words, err);
    if (!rc && !words) rc = parse_next(p, field, &list, &end, &only, err);
    while (!rc && !end) {
        rc = parse_words(p, field, &list, &words, err);
        if (!rc && !words) rc = parse_next(p, field, &list, &end, NULL, err);
    }
    *out = only;
    if (!rc && !(list.n == 1 && only)) rc = make_bool(p, &list, out, err);
    qd_vec_fini(&list);
    return rc;
}

int qdi_string_parse(qdi_string *s, qd_str text, const qd_node **out, qd_err *err)
{
    parser p = {.s = s, .lexer = {.text = text}};
    qdi_lex_token t;
    int rc = parse_query(&p, (qd_str){NULL, 0}, out, err);
    if (!rc) rc = peek(&p, 0, &t, err);
    if (!rc && t.kind != QDI_T_EOF) rc = unexpected(&p, &t, err);
    return rc;
}
