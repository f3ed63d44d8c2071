/* parse.c: functions and statements. */
#include "script/painless/ast_int.h"
#include <stdarg.h>
#include <stdio.h>

static qdi_node *parse_statement(qdi_parser *p);

qdi_node *qdi_parse_fail(qdi_parser *p, const char *fmt, ...)
{
    if (p->err && p->err->code) return NULL;
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    p->failed_at = qdi_now(p)->pos;
    qd_err_set(p->err, QD_E_ARG, "%s", text);
    return NULL;
}

qdi_node *qdi_parse_unexpected(qdi_parser *p)
{
    const qdi_token *t = qdi_now(p);
    if (p->err && p->err->code) return NULL;
    if (t->tok == T_EOF) return qdi_parse_fail(p, "unexpected end of script.");
    qd_str text = qd_str_sub(p->source, t->pos, t->end - t->pos);
    return qdi_parse_fail(p, "invalid sequence of tokens near ['%.*s'].",
                          (int)(text.n < 80 ? text.n : 80), text.p);
}

qdi_node *qdi_node_make(qdi_parser *p, qdi_kind kind, uint32_t pos)
{
    qdi_node *n = qd_arena_calloc(p->a, sizeof *n);
    if (!n) {
        qd_err_nomem(p->err, "a script");
        return NULL;
    }
    n->kind = (uint8_t)kind;
    n->pos = pos;
    return n;
}

bool qdi_word(const qdi_parser *p, uint32_t at, const char *word)
{
    return p->t[at].tok == T_ID && qd_str_is(p->t[at].text, word);
}

bool qdi_reserved(qd_str word)
{
    static const char *const words[] = {"if",       "else",  "while",      "do",   "for",   "in",
                                        "continue", "break", "return",     "new",  "try",   "catch",
                                        "throw",    "this",  "instanceof", "true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (qd_str_is(word, words[i])) return true;
    return false;
}

/* A type at *at, with its dots and brackets: moves *at behind it; -1 when there is none. */
int qdi_parse_type(qdi_parser *p, uint32_t *at)
{
    uint32_t i = *at, best_at = 0;
    int best = -1;
    if (p->t[i].tok != T_ID) return -1;
    qd_str name = p->t[i].text;
    for (;;) {
        int type = qdi_type_find(name);
        if (type >= 0) {
            best = type;
            best_at = i + 1;
        }
        if (p->t[i + 1].op != O_DOT || p->t[i + 2].tok != T_ID) break;
        i += 2;
        name.n = (size_t)(p->t[i].text.p + p->t[i].text.n - name.p);
        if (name.n > 100) break;
    }
    if (best < 0) return -1;
    i = best_at;
    for (int dims = 0; dims < 4 && p->t[i].op == O_LBRACK && p->t[i + 1].op == O_RBRACK; dims++) {
        i += 2;
        best += QDI_T_ARRAY;
    }
    *at = i;
    return best;
}

/* Does "type name" begin here? */
static bool decl_at(qdi_parser *p, int *type, uint32_t *behind)
{
    *behind = p->at;
    *type = qdi_parse_type(p, behind);
    return *type >= 0 && p->t[*behind].tok == T_ID && !qdi_reserved(p->t[*behind].text);
}

static qdi_node *parse_decl(qdi_parser *p, int type, uint32_t behind)
{
    qdi_node *first = NULL, **link = &first;
    p->at = behind;
    for (;;) {
        qdi_node *n = qdi_node_make(p, N_DECL, qdi_now(p)->pos);
        if (!n) return NULL;
        if (qdi_now(p)->tok != T_ID) return qdi_parse_unexpected(p);
        n->text = qdi_now(p)->text;
        n->type = (int16_t)type;
        p->at++;
        if (qdi_take(p, O_SET)) {
            n->a = qdi_parse_expr(p);
            if (!n->a) return NULL;
        }
        *link = n;
        link = &n->args;
        if (!qdi_take(p, O_COMMA)) return first;
    }
}

/* The end of a statement: ";", or what closes the block, or the end. */
static bool end(qdi_parser *p)
{
    if (qdi_take(p, O_SEMI) || qdi_at(p, O_RBRACE) || qdi_now(p)->tok == T_EOF) return true;
    qdi_parse_unexpected(p);
    return false;
}

qdi_node *qdi_parse_block(qdi_parser *p)
{
    qdi_node *n = qdi_node_make(p, N_BLOCK, qdi_now(p)->pos);
    if (!n) return NULL;
    if (!qdi_take(p, O_LBRACE)) {
        n->args = parse_statement(p);
        return n->args ? n : NULL;
    }
    qdi_node **link = &n->args;
    while (!qdi_take(p, O_RBRACE)) {
        if (qdi_take(p, O_SEMI)) continue;
        qdi_node *s = parse_statement(p);
        if (!s) return NULL;
        *link = s;
        link = &s->next;
    }
    return n;
}

static qdi_node *parse_condition(qdi_parser *p)
{
    if (!qdi_take(p, O_LPAREN)) return qdi_parse_unexpected(p);
    qdi_node *n = qdi_parse_expr(p);
    if (n && !qdi_take(p, O_RPAREN)) return qdi_parse_unexpected(p);
    return n;
}

static qdi_node *parse_each(qdi_parser *p, qdi_node *n, int type, qd_str name)
{
    n->kind = N_EACH;
    n->type = (int16_t)type;
    n->text = name;
    n->a = qdi_parse_expr(p);
    if (!n->a) return NULL;
    if (!qdi_take(p, O_RPAREN)) return qdi_parse_unexpected(p);
    n->b = qdi_parse_block(p);
    return n->b ? n : NULL;
}

static qdi_node *parse_for(qdi_parser *p, qdi_node *n)
{
    int type;
    uint32_t behind;
    if (!qdi_take(p, O_LPAREN)) return qdi_parse_unexpected(p);
    if (decl_at(p, &type, &behind) && p->t[behind + 1].op == O_COLON) {
        qd_str name = p->t[behind].text;
        p->at = behind + 2;
        return parse_each(p, n, type, name);
    }
    if (qdi_now(p)->tok == T_ID && qdi_word(p, p->at + 1, "in")) {
        qd_str name = qdi_now(p)->text;
        p->at += 2;
        return parse_each(p, n, QDI_T_DEF, name);
    }
    if (!qdi_at(p, O_SEMI)) {
        n->a = decl_at(p, &type, &behind) ? parse_decl(p, type, behind) : qdi_parse_expr(p);
        if (!n->a) return NULL;
    }
    if (!qdi_take(p, O_SEMI)) return qdi_parse_unexpected(p);
    if (!qdi_at(p, O_SEMI) && !(n->b = qdi_parse_expr(p))) return NULL;
    if (!qdi_take(p, O_SEMI)) return qdi_parse_unexpected(p);
    if (!qdi_at(p, O_RPAREN) && !(n->c = qdi_parse_expr(p))) return NULL;
    if (!qdi_take(p, O_RPAREN)) return qdi_parse_unexpected(p);
    if (qdi_take(p, O_SEMI)) return n;
    n->d = qdi_parse_block(p);
    return n->d ? n : NULL;
}

static qdi_node *parse_try(qdi_parser *p, qdi_node *n)
{
    qdi_node **link = &n->args;
    n->a = qdi_parse_block(p);
    if (!n->a) return NULL;
    while (qdi_word(p, p->at, "catch")) {
        qdi_node *c = qdi_node_make(p, N_CATCH, qdi_now(p)->pos);
        p->at++;
        if (!c) return NULL;
        int type;
        uint32_t behind;
        if (!qdi_take(p, O_LPAREN) || !decl_at(p, &type, &behind)) return qdi_parse_unexpected(p);
        c->type = (int16_t)type;
        c->text = p->t[behind].text;
        p->at = behind + 1;
        if (!qdi_take(p, O_RPAREN)) return qdi_parse_unexpected(p);
        c->a = qdi_parse_block(p);
        if (!c->a) return NULL;
        *link = c;
        link = &c->next;
    }
    return n->args ? n : qdi_parse_unexpected(p);
}

static qdi_node *parse_if(qdi_parser *p, qdi_node *n)
{
    n->a = parse_condition(p);
    if (!n->a || !(n->b = qdi_parse_block(p))) return NULL;
    if (!qdi_word(p, p->at, "else")) return n;
    p->at++;
    n->c = qdi_parse_block(p);
    return n->c ? n : NULL;
}

static qdi_node *parse_while(qdi_parser *p, qdi_node *n)
{
    n->a = parse_condition(p);
    if (!n->a || qdi_take(p, O_SEMI)) return n->a ? n : NULL;
    n->b = qdi_parse_block(p);
    return n->b ? n : NULL;
}

static qdi_node *parse_do(qdi_parser *p, qdi_node *n)
{
    n->b = qdi_parse_block(p);
    if (!n->b) return NULL;
    if (!qdi_word(p, p->at, "while")) return qdi_parse_unexpected(p);
    p->at++;
    n->a = parse_condition(p);
    return n->a && end(p) ? n : NULL;
}

static qdi_node *parse_return(qdi_parser *p, qdi_node *n)
{
    if (!qdi_at(p, O_SEMI) && !qdi_at(p, O_RBRACE) && qdi_now(p)->tok != T_EOF &&
        !(n->a = qdi_parse_expr(p)))
        return NULL;
    return end(p) ? n : NULL;
}

static qdi_node *parse_throw(qdi_parser *p, qdi_node *n)
{
    n->a = qdi_parse_expr(p);
    return n->a && end(p) ? n : NULL;
}

static qdi_node *parse_jump(qdi_parser *p, qdi_node *n)
{
    return end(p) ? n : NULL;
}

static const struct {
    const char *word;
    qdi_kind kind;
    qdi_node *(*parse)(qdi_parser *p, qdi_node *n);
} statements[] = {{"if", N_IF, parse_if},
                  {"while", N_WHILE, parse_while},
                  {"do", N_DO, parse_do},
                  {"for", N_FOR, parse_for},
                  {"return", N_RETURN, parse_return},
                  {"break", N_BREAK, parse_jump},
                  {"continue", N_CONTINUE, parse_jump},
                  {"try", N_TRY, parse_try},
                  {"throw", N_THROW, parse_throw}};

static qdi_node *parse_one(qdi_parser *p)
{
    uint32_t pos = qdi_now(p)->pos, behind;
    int type;
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!qdi_word(p, p->at, statements[i].word)) continue;
        qdi_node *n = qdi_node_make(p, statements[i].kind, pos);
        p->at++;
        return n ? statements[i].parse(p, n) : NULL;
    }
    if (qdi_at(p, O_LBRACE)) return qdi_parse_block(p);
    qdi_node *n;
    if (decl_at(p, &type, &behind))
        n = parse_decl(p, type, behind);
    else {
        n = qdi_node_make(p, N_EXPR, pos);
        if (!n || !(n->a = qdi_parse_expr(p))) return NULL;
    }
    return n && end(p) ? n : NULL;
}

static qdi_node *parse_statement(qdi_parser *p)
{
    if (++p->depth > QDI_DEPTH) return qdi_parse_fail(p, "the script nests too deep");
    qdi_node *n = parse_one(p);
    p->depth--;
    return n;
}

/* type name(type a, …) {…} */
static qdi_node *parse_function(qdi_parser *p, int type, uint32_t behind)
{
    qdi_node *n = qdi_node_make(p, N_FUNCTION, qdi_now(p)->pos);
    if (!n) return NULL;
    n->type = (int16_t)type;
    n->text = p->t[behind].text;
    p->at = behind + 2;
    qdi_node **link = &n->args;
    while (!qdi_take(p, O_RPAREN)) {
        int t;
        if (!decl_at(p, &t, &behind)) return qdi_parse_unexpected(p);
        qdi_node *a = qdi_node_make(p, N_PARAM, qdi_now(p)->pos);
        if (!a) return NULL;
        a->type = (int16_t)t;
        a->text = p->t[behind].text;
        p->at = behind + 1;
        *link = a;
        link = &a->next;
        n->nargs++;
        if (!qdi_take(p, O_COMMA) && !qdi_at(p, O_RPAREN)) return qdi_parse_unexpected(p);
    }
    if (!qdi_at(p, O_LBRACE)) return qdi_parse_unexpected(p);
    n->b = qdi_parse_block(p);
    return n->b ? n : NULL;
}

qdi_node *qdi_parse(qdi_parser *p)
{
    qdi_node *root = qdi_node_make(p, N_BLOCK, 0);
    if (!root) return NULL;
    qdi_node **link = &root->args;
    bool functions = true;
    while (qdi_now(p)->tok != T_EOF) {
        int type;
        uint32_t behind;
        if (qdi_take(p, O_SEMI)) continue;
        qdi_node *n;
        if (functions && decl_at(p, &type, &behind) && p->t[behind + 1].op == O_LPAREN)
            n = parse_function(p, type, behind);
        else {
            functions = false;
            n = parse_statement(p);
        }
        if (!n) return NULL;
        *link = n;
        link = &n->next;
    }
    return root;
}
