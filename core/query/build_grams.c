/*
 * build_grams.c: terms, patterns and ranges over fields whose values stand in a column beside their
 * 3-grams (mapping/grams.h). What every match must contain becomes a few grams that narrow; a CHECK
 * of the values confirms what they leave.
 */
#include "base/utf8.h"
#include "mapping/grams.h"
#include "query/build_int.h"

#define GRAMS_MAX 10u /* clauses that narrow one query */

/* Clauses being gathered, and the text that a match must contain so far. */
typedef struct narrowing {
    qdi_builder *b;
    const qd_field *grams;
    qdi_clauses clauses;
    int occur;
    uint32_t n; /* clauses */
    char *run;
    size_t used;
    qd_err *err;
} narrowing;

static int begin(narrowing *w, qdi_builder *b, const qd_field *grams, size_t room, qd_err *err)
{
    *w = (narrowing){.b = b, .grams = grams, .occur = QD_OCCUR_FILTER, .err = err};
    w->run = qd_arena_bytes(b->arena, room + 2 * QD_GRAM_PAD + 1);
    return w->run ? 0 : qd_err_nomem(err, "query");
}

static void put(narrowing *w, qd_str text)
{
    qd_grams_fold(text, w->run + w->used);
    w->used += text.n;
}

static void put_pad(narrowing *w)
{
    memset(w->run + w->used, 0, QD_GRAM_PAD);
    w->used += QD_GRAM_PAD;
}

static int add_node(narrowing *w, const qd_node *n)
{
    w->n++;
    return qdi_clause_add(w->b, &w->clauses, w->occur, n, w->err);
}

static int add_gram(narrowing *w, qd_str gram)
{
    qd_str term;
    if (w->n >= GRAMS_MAX && w->occur == QD_OCCUR_FILTER) return 0;
    int rc = qdi_query_copy(w->b, gram, &term, w->err);
    if (rc) return rc;
    qd_node *n = qd_node_term_make(w->b->arena, w->grams->name, term);
    return n ? add_node(w, n) : qd_err_nomem(w->err, "query");
}

/* Two characters begin a gram: a value that contains them has one that begins so. */
static int add_short(narrowing *w, qd_str text)
{
    if (w->n >= GRAMS_MAX || qd_utf8_points(text) < QD_GRAM_POINTS - 1) return 0;
    qd_node *n = qdi_query_node(w->b, QD_NATIVE_PATTERN, w->err);
    if (!n) return QD_E_NOMEM;
    n->u.pattern.field = w->grams->name;
    n->u.pattern.kind = QD_PATTERN_PREFIX;
    int rc = qdi_query_copy(w->b, text, &n->u.pattern.text, w->err);
    return rc ? rc : add_node(w, n);
}

static bool pads_alone(qd_str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i]) return false;
    return true;
}

/* The run of text at hand is complete: grams side by side, and the last one. */
static int flush(narrowing *w)
{
    qd_str text = {w->run, w->used}, gram, last = {NULL, 0};
    size_t at = 0, skip = 0;
    int rc = 0;
    w->used = 0;
    if (pads_alone(text)) return 0;
    while (!rc && (gram = qd_grams_next(text, &at)).p) {
        last = gram;
        if (skip++ % QD_GRAM_POINTS) continue;
        rc = add_gram(w, gram);
    }
    if (!last.p) return add_short(w, text);
    return !rc && skip % QD_GRAM_POINTS != 1 ? add_gram(w, last) : rc;
}

/* The bytes of the code point at i. */
static qd_str point_at(qd_str text, size_t i)
{
    size_t n = 1;
    while (i + n < text.n && ((uint8_t)text.p[i + n] & 0xc0) == 0x80) n++;
    return qd_str_sub(text, i, n);
}

/* What stands between the wildcards. */
static int of_wildcard(narrowing *w, qd_str text)
{
    int rc = 0;
    put_pad(w);
    for (size_t i = 0; i < text.n && !rc; i++) {
        char c = text.p[i];
        if (c == '*' || c == '?') {
            rc = flush(w);
            continue;
        }
        if (c == '\\' && i + 1 < text.n) i++;
        put(w, qd_str_sub(text, i, 1));
    }
    put_pad(w);
    return rc ? rc : flush(w);
}

/* --- regular expressions: the letters that stand outside of all operators ----------------------
 */

/* Behind the class, group or quantifier that begins at i; text.n when it does not end. */
static size_t behind_closing(qd_str text, size_t i, char open, char close)
{
    uint32_t depth = 0;
    for (; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\\')
            i++;
        else if (c == open)
            depth++;
        else if (c == close && --depth == 0)
            return i + 1;
        else if (c == '[' && open == '(')
            i = behind_closing(text, i, '[', ']') - 1; /* classes hold no groups */
    }
    return text.n;
}

static size_t behind_quantifiers(qd_str text, size_t i, bool *optional)
{
    for (;; *optional = true) {
        if (i < text.n && text.p[i] == '+') {
            i++;
            while (i < text.n && text.p[i] == '+') i++;
            if (i >= text.n || !strchr("?*{", text.p[i])) return i;
        }
        if (i >= text.n || !text.p[i] || !strchr("?*{", text.p[i])) return i;
        i = text.p[i] == '{' ? behind_closing(text, i, '{', '}') : i + 1;
    }
}

/* Operators that this reading does not know: nothing narrows. */
static bool beyond(qd_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\\')
            i++;
        else if (!text.p[i] || strchr("|&~<>@#\"^$", text.p[i]))
            return true;
    }
    return false;
}

/* A class of one letter in both cases is that letter. */
static bool both_cases(qd_str class, qd_str *letter)
{
    if (class.n != 4 || (class.p[1] | 32) != (class.p[2] | 32)) return false;
    char c = (char)(class.p[1] | 32);
    *letter = qd_str_sub(class, 1, 1);
    return c >= 'a' && c <= 'z';
}

/* The part of a regular expression at i: *letter (p NULL: none that is known); returns its end. */
static size_t part_at(qd_str text, size_t i, qd_str *letter)
{
    size_t end;
    *letter = (qd_str){NULL, 0};
    switch (text.p[i]) {
    case '.':
    case ')':
    case ']':
    case '}':
    case '*':
    case '+':
    case '?':
    case '{':
        return i + 1;
    case '(':
        return behind_closing(text, i, '(', ')');
    case '[':
        end = behind_closing(text, i, '[', ']');
        (void)both_cases(qd_str_sub(text, i, end - i), letter);
        return end;
    case '\\':
        if (i + 1 >= text.n) return i + 1;
        *letter = point_at(text, i + 1);
        if (letter->n == 1 && strchr("dDsSwW", letter->p[0])) *letter = (qd_str){NULL, 0};
        return i + 1 + (letter->p ? letter->n : 1);
    default:
        *letter = point_at(text, i);
        return i + letter->n;
    }
}

static int of_regexp(narrowing *w, qd_str text)
{
    int rc = 0;
    if (beyond(text)) return 0;
    put_pad(w);
    for (size_t i = 0; i < text.n && !rc;) {
        qd_str letter;
        bool optional = false;
        size_t end = part_at(text, i, &letter), next = behind_quantifiers(text, end, &optional);
        if (letter.p && !optional) put(w, letter);
        if (!letter.p || next != end) rc = flush(w);
        i = next;
    }
    put_pad(w);
    return rc ? rc : flush(w);
}

/* --- fuzzy ------------------------------------------------------------------------------------ */

/* An edit spoils the grams that hold the place: at most four, where two letters swap. */
static int of_fuzzy(narrowing *w, qd_str text, uint32_t edits, uint32_t prefix,
                    const qd_node **some)
{
    narrowing all;
    size_t at = 0;
    uint32_t least = 4 * edits;
    int rc = 0;
    put_pad(w);
    put(w, qd_str_sub(text, 0, qd_utf8_offset(text, prefix)));
    rc = flush(w);
    if (!rc) rc = begin(&all, w->b, w->grams, text.n, w->err);
    if (rc) return rc;
    all.occur = QD_OCCUR_SHOULD;
    put_pad(&all);
    put(&all, text);
    put_pad(&all);
    qd_str padded = {all.run, all.used}, gram, seen[64];
    while (!rc && all.n < QD_COUNT_OF(seen) && (gram = qd_grams_next(padded, &at)).p) {
        uint32_t i = 0;
        while (i < all.n && !qd_str_eq(seen[i], gram)) i++;
        if (i < all.n) continue;
        seen[all.n] = gram;
        rc = add_gram(&all, gram);
    }
    uint32_t n = all.n;
    if (rc || n <= least) {
        qdi_clauses_fini(&all.clauses);
        return rc;
    }
    w->b->uncounted += n;
    rc = qdi_clauses_bool(w->b, &all.clauses, QD_STR("1"), some, w->err);
    if (!rc) ((qd_node *)(uintptr_t)*some)->u.boolean.min_should = n - least;
    return rc ? rc : add_node(w, *some);
}

/* --- queries ---------------------------------------------------------------------------------- */

/* The clauses and the test as one clause that scores its boost. */
static int confirmed(narrowing *w, const qdi_field *f, const qd_node_pattern *pattern,
                     const qd_node_range *terms, const qd_node **out)
{
    const qd_node *all = NULL;
    qd_node *check = qdi_query_node(w->b, QD_NATIVE_CHECK, w->err);
    qd_node *constant = qdi_query_node(w->b, QD_NATIVE_CONSTANT, w->err);
    int rc = check && constant ? 0 : QD_E_NOMEM;
    if (!rc) {
        check->u.check.field = f->name;
        check->u.check.pattern = pattern;
        check->u.check.terms = terms;
        w->b->uncounted += w->n;
        rc = qdi_clause_add(w->b, &w->clauses, QD_OCCUR_FILTER, check, w->err);
    }
    if (rc) {
        qdi_clauses_fini(&w->clauses);
        return rc;
    }
    rc = qdi_clauses_bool(w->b, &w->clauses, (qd_str){NULL, 0}, &all, w->err);
    if (rc) return rc;
    constant->u.child = all;
    *out = constant;
    return 0;
}

int qdi_grams_range(qdi_builder *b, const qdi_field *f, const qd_node_range *range,
                    const qd_node **out, qd_err *err)
{
    narrowing w;
    size_t same = 0;
    qd_str lo = range->from, hi = range->to;
    if (range->has_from && range->has_to)
        while (same < lo.n && same < hi.n && lo.p[same] == hi.p[same]) same++;
    bool equal = same && same == lo.n && same == hi.n;
    while (same && same < lo.n && ((uint8_t)lo.p[same] & 0xc0) == 0x80) same--;
    while (same && same < hi.n && ((uint8_t)hi.p[same] & 0xc0) == 0x80) same--;
    int rc = begin(&w, b, f->f->grams, same, err);
    if (rc) return rc;
    put_pad(&w);
    put(&w, qd_str_sub(lo, 0, same));
    if (equal) put_pad(&w);
    rc = flush(&w);
    if (!rc) return confirmed(&w, f, NULL, range, out);
    qdi_clauses_fini(&w.clauses);
    return rc;
}

int qdi_grams_term(qdi_builder *b, const qdi_field *f, qd_str text, const qd_node **out,
                   qd_err *err)
{
    qd_node_range *r = qd_arena_calloc(b->arena, sizeof *r);
    if (!r) return qd_err_nomem(err, "query");
    r->kind = QD_RANGE_TERM;
    r->has_from = r->has_to = r->from_inclusive = r->to_inclusive = true;
    int rc = qdi_query_copy(b, text, &r->from, err);
    r->to = r->from;
    return rc ? rc : qdi_grams_range(b, f, r, out, err);
}

int qdi_grams_pattern(qdi_builder *b, const qdi_field *f, const qd_node_pattern *p,
                      const qd_node **out, qd_err *err)
{
    narrowing w;
    const qd_node *some = NULL;
    bool every = (p->kind == QD_PATTERN_WILDCARD && qd_str_is(p->text, "*")) ||
                 (p->kind == QD_PATTERN_REGEXP && qd_str_is(p->text, ".*"));
    if (every) return qdi_field_exists(b, f->name, out, err);
    if (p->kind == QD_PATTERN_REGEXP && !p->text.n) return qdi_query_none(b, out, err);
    int rc = begin(&w, b, f->f->grams, p->text.n, err);
    if (rc) return rc;
    switch (p->kind) {
    case QD_PATTERN_PREFIX:
        put_pad(&w);
        put(&w, p->text);
        rc = flush(&w);
        break;
    case QD_PATTERN_WILDCARD:
        rc = of_wildcard(&w, p->text);
        break;
    case QD_PATTERN_REGEXP:
        rc = of_regexp(&w, p->text);
        break;
    case QD_PATTERN_FUZZY:
        rc = of_fuzzy(&w, p->text, p->max_edits, p->prefix_length, &some);
        break;
    }
    if (!rc) return confirmed(&w, f, p, NULL, out);
    qdi_clauses_fini(&w.clauses);
    return rc;
}
