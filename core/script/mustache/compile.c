/* compile.c: the text of a template into its tags, with mustache.java's reasons. */
#include "script/mustache/program_int.h"
#include <stdarg.h>
#include <stdio.h>

#define NAME_PARTS_MAX 100u

/* A section whose end is awaited. */
typedef struct open {
    uint32_t node, body; /* body: its first node */
    qd_str word;         /* what its end has to say */
} open;

typedef struct parser {
    qd_arena *a;
    qd_str text, left, right; /* the marks of tags */
    size_t at;
    qd_mustache *m;
    uint32_t depth;
    open open[QD_MUSTACHE_DEPTH];
    qd_err *err;
} parser;

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static int nomem(parser *p)
{
    return qd_err_nomem(p->err, "template");
}

static unsigned line_at(const parser *p, size_t at)
{
    unsigned line = 1;
    for (size_t k = 0; k < at; k++) line += p->text.p[k] == '\n';
    return line;
}

/* QD_E_ARG: what is wrong, and where, as mustache.java tells it. */
static int wrong(parser *p, size_t at, const char *fmt, ...) QD_PRINTF(3, 4);
static int wrong(parser *p, size_t at, const char *fmt, ...)
{
    char what[512];
    unsigned line = line_at(p, at);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    int rc = qd_err_set(p->err, QD_E_ARG, "%s in query-template:%u @[query-template:%u]", what,
                        line, line);
    qd_err_type(p->err, "mustache_exception", 400);
    return rc;
}

/* For messages: a word, cut. */
#define SHOWN(s) (int)((s).n < 150 ? (s).n : 150), ((s).p ? (s).p : "")

static qdi_mustache_node *add(parser *p, qdi_mustache_tag tag)
{
    qd_mustache *m = p->m;
    if (m->n == m->cap) {
        uint32_t cap = m->cap ? m->cap * 2 : 2;
        qdi_mustache_node *now = qd_arena_alloc(p->a, cap * sizeof *now);
        if (!now) return NULL;
        if (m->n) memcpy(now, m->at, m->n * sizeof *now);
        m->at = now;
        m->cap = cap;
    }
    m->at[m->n] = (qdi_mustache_node){.tag = tag, .end = m->n + 1};
    return &m->at[m->n++];
}

static int add_text(parser *p, size_t from, size_t to)
{
    if (from >= to) return 0;
    qdi_mustache_node *n = add(p, QDI_MUSTACHE_TEXT);
    if (!n) return nomem(p);
    n->text = qd_str_sub(p->text, from, to - from);
    return 0;
}

/* Takes a dotted name apart; "." alone has no parts. */
static int set_name(parser *p, qdi_mustache_node *n, qd_str name, size_t at)
{
    uint32_t parts = 1;
    if (!name.n) return wrong(p, at, "Empty mustache");
    if (qd_str_is(name, ".")) return 0;
    for (size_t k = 0; k < name.n; k++) parts += name.p[k] == '.';
    if (parts > NAME_PARTS_MAX)
        return wrong(p, at, "Name [%.*s] with more than %u parts", SHOWN(name), NAME_PARTS_MAX);
    n->name = qd_arena_alloc(p->a, parts * sizeof *n->name);
    if (!n->name) return nomem(p);
    for (qd_str rest = name; rest.p;) n->name[n->nname++] = qd_str_split(&rest, '.');
    return 0;
}

static int add_value(parser *p, qdi_mustache_tag tag, qd_str name, size_t at)
{
    qdi_mustache_node *n = add(p, tag);
    return n ? set_name(p, n, qd_str_trim(name), at) : nomem(p);
}

/* --- sections --- */

/* "join delimiter='x'": the text between the quotes. */
static bool join_between(qd_str word, qd_str *between)
{
    qd_str head = QD_STR("join delimiter='");
    *between = QD_STR(",");
    if (qd_str_ieq(word, QD_STR("join"))) return true;
    if (!qd_str_starts(word, head) || word.n <= head.n || word.p[word.n - 1] != '\'') return false;
    *between = qd_str_sub(word, head.n, word.n - head.n - 1);
    return true;
}

static int begin_section(parser *p, qd_str word, bool inverted, size_t at)
{
    qd_str between;
    qdi_mustache_tag tag = inverted                             ? QDI_MUSTACHE_INVERTED
                           : qd_str_ieq(word, QD_STR("toJson")) ? QDI_MUSTACHE_TO_JSON
                           : qd_str_ieq(word, QD_STR("url"))    ? QDI_MUSTACHE_URL
                           : join_between(word, &between)       ? QDI_MUSTACHE_JOIN
                                                                : QDI_MUSTACHE_SECTION;
    if (p->depth == QD_MUSTACHE_DEPTH)
        return wrong(p, at, "Sections nested deeper than %u levels", QD_MUSTACHE_DEPTH);
    qdi_mustache_node *n = add(p, tag);
    if (!n) return nomem(p);
    if (tag == QDI_MUSTACHE_JOIN) n->between = between;
    p->open[p->depth++] = (open){p->m->n - 1, p->m->n, word};
    return tag == QDI_MUSTACHE_SECTION || inverted ? set_name(p, n, word, at) : 0;
}

/* The body of toJson and join is the name of what they work on. */
static int function_body(parser *p, const open *o, size_t at)
{
    qdi_mustache_node *f = &p->m->at[o->node];
    bool json = f->tag == QDI_MUSTACHE_TO_JSON;
    if (p->m->n != o->body + 1 || p->m->at[o->body].tag != QDI_MUSTACHE_TEXT ||
        !qd_str_trim(p->m->at[o->body].text).n)
        return wrong(p, at, "Mustache function [%s] must contain one and only one identifier",
                     json ? "toJson" : "join");
    f->text = p->m->at[o->body].text;
    p->m->n = o->body;
    return set_name(p, f, qd_str_trim(f->text), at);
}

static int end_section(parser *p, qd_str word, size_t at)
{
    const open *o = p->depth ? &p->open[--p->depth] : NULL;
    if (!o || !qd_str_eq(o->word, word)) {
        qd_str begun = o ? o->word : QD_STR("null");
        return wrong(p, at, "Mismatched start/end tags: %.*s != %.*s", SHOWN(begun), SHOWN(word));
    }
    const qdi_mustache_node *n = &p->m->at[o->node];
    int rc =
        n->tag == QDI_MUSTACHE_TO_JSON || n->tag == QDI_MUSTACHE_JOIN ? function_body(p, o, at) : 0;
    p->m->at[o->node].end = p->m->n;
    return rc;
}

/* --- tags --- */

/* {{=<% %>=}}: each mark has one or two bytes. */
static int change_marks(parser *p, qd_str inner, size_t at)
{
    qd_str s = qd_str_trim(inner);
    size_t gap = 0;
    while (gap < s.n && !blank(s.p[gap]) && s.p[gap] != '\n') gap++;
    qd_str left = qd_str_sub(s, 0, gap), right = qd_str_trim(qd_str_sub(s, gap, s.n));
    bool fine = left.n >= 1 && left.n <= 2 && right.n >= 1 && right.n <= 2;
    for (size_t k = 0; k < right.n; k++) fine &= !blank(right.p[k]) && right.p[k] != '\n';
    if (!fine || qd_str_find(left, '=') >= 0 || qd_str_find(right, '=') >= 0)
        return wrong(p, at, "Invalid delimiter string");
    p->left = left;
    p->right = right;
    return 0;
}

/* The tag that begins at `from` (behind its mark, inner reaches up to the other one); *behind is
 * where the text goes on. */
static int tag(parser *p, size_t from, qd_str inner, size_t *behind)
{
    char c = inner.n ? inner.p[0] : 0;
    qd_str word = qd_str_trim(qd_str_sub(inner, 1, inner.n));
    switch (c) {
    case 0:
        return wrong(p, from, "Empty mustache");
    case '!':
        return 0;
    case '#':
    case '^':
        if (!word.n) return wrong(p, from, "Empty mustache");
        return begin_section(p, word, c == '^', from);
    case '/':
        return end_section(p, word, from);
    case '&':
        return add_value(p, QDI_MUSTACHE_RAW, word, from);
    case '{':
        if (!qd_str_is(p->right, "}}")) {
            if (!word.n || word.p[word.n - 1] != '}')
                return wrong(p, from, "Improperly closed variable");
            word.n--;
        } else {
            if (*behind == p->text.n || p->text.p[*behind] != '}')
                return wrong(p, from, "Improperly closed variable");
            ++*behind;
        }
        return add_value(p, QDI_MUSTACHE_RAW, word, from);
    case '>':
        return wrong(p, from, "Partials are not supported: template [%.*s]", SHOWN(word));
    case '<':
    case '$':
        return wrong(p, from, "Inheritance is not supported: block [%.*s]", SHOWN(word));
    case '%':
        return wrong(p, from, "Pragmas are not supported: [%.*s]", SHOWN(word));
    case '=':
        if (inner.n < 2 || inner.p[inner.n - 1] != '=')
            return wrong(p, from, "Invalid delimiter string");
        return change_marks(p, qd_str_sub(inner, 1, inner.n - 2), from);
    default:
        return add_value(p, QDI_MUSTACHE_VALUE, inner, from);
    }
}

/* A tag without a text of its own that stands alone in its line takes the line with it. *from: the
 * end of the text before it, *to: where the text behind begins. */
static void alone(const parser *p, qd_str inner, size_t *from, size_t *to)
{
    size_t a = *from, b = *to;
    if (!inner.n || !memchr("#^/!=", inner.p[0], 5)) return;
    while (a > 0 && blank(p->text.p[a - 1])) a--;
    while (b < p->text.n && blank(p->text.p[b])) b++;
    bool begins = a == 0 || p->text.p[a - 1] == '\n';
    bool ends = b == p->text.n || p->text.p[b] == '\n';
    if (!begins || !ends || (a == 0 && b == p->text.n)) return;
    *from = a;
    *to = b == p->text.n ? b : b + 1;
}

static int parse(parser *p)
{
    size_t at = 0;
    int rc = 0;
    while (!rc && at < p->text.n) {
        ptrdiff_t hit = qd_str_find_str(qd_str_sub(p->text, at, p->text.n), p->left);
        if (hit < 0) return add_text(p, at, p->text.n);
        size_t begin = at + (size_t)hit, from = begin + p->left.n;
        qd_str rest = qd_str_sub(p->text, from, p->text.n);
        ptrdiff_t end = qd_str_find_str(rest, p->right);
        if (end < 0) return wrong(p, begin, "Improperly closed variable");
        qd_str inner = qd_str_sub(rest, 0, (size_t)end);
        size_t behind = from + (size_t)end + p->right.n, cut = begin, next = behind;
        alone(p, inner, &cut, &next);
        if (cut < at) cut = at; /* the blanks belong to a tag before */
        rc = add_text(p, at, cut);
        if (!rc) rc = tag(p, begin, inner, &behind);
        at = next > behind ? next : behind;
    }
    return rc;
}

int qd_mustache_compile(qd_arena *a, qd_str text, qd_mustache_escape escape, qd_mustache **out,
                        qd_err *err)
{
    qd_mustache *m = *out = qd_arena_calloc(a, sizeof *m);
    if (!m) return qd_err_nomem(err, "template");
    m->escape = escape;
    if (text.n > UINT32_MAX / 2) return qd_err_set(err, QD_E_ARG, "the template is too long");
    parser p = {
        .a = a, .text = text, .left = QD_STR("{{"), .right = QD_STR("}}"), .m = m, .err = err};
    int rc = parse(&p);
    if (!rc && p.depth)
        rc = wrong(&p, text.n, "Failed to close '%.*s' tag", SHOWN(p.open[p.depth - 1].word));
    return rc;
}

bool qd_mustache_constant(const qd_mustache *m, qd_str *out)
{
    if (m->n > 1 || (m->n && m->at[0].tag != QDI_MUSTACHE_TEXT)) return false;
    *out = m->n ? m->at[0].text : QD_STR("");
    return true;
}

bool qd_mustache_media(qd_str type, qd_mustache_escape *out)
{
    static const struct {
        const char *type;
        qd_mustache_escape escape;
    } known[] = {
        {"application/json", QD_MUSTACHE_JSON},
        {"application/json;charset=utf-8", QD_MUSTACHE_JSON},
        {"application/json; charset=UTF-8", QD_MUSTACHE_JSON},
        {"text/plain", QD_MUSTACHE_PLAIN},
        {"application/x-www-form-urlencoded", QD_MUSTACHE_URL},
    };
    for (size_t k = 0; k < QD_COUNT_OF(known); k++) {
        if (!qd_str_ieq(type, qd_str_c(known[k].type))) continue;
        *out = known[k].escape;
        return true;
    }
    return false;
}
