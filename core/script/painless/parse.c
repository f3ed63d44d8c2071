/* parse.c: functions and statements. */
#include "script/painless/ast_int.h"
#include <stdarg.h>
#include <stdio.h>

static qdp_node *parse_statement(qdp_parser *p);

qdp_node *qdp_parse_fail(qdp_parser *p, const char *fmt, ...)
{
    if (p->err && p->err->code) return NULL;
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    p->failed_at = qdp_now(p)->pos;
    qd_err_set(p->err, QD_E_ARG, "%s", text);
    return NULL;
}

qdp_node *qdp_parse_unexpected(qdp_parser *p)
{
    const qdp_token *t = qdp_now(p);
    if (p->err && p->err->code) return NULL;
    if (t->tok == T_EOF) return qdp_parse_fail(p, "unexpected end of script.");
    qd_str text = qd_str_sub(p->source, t->pos, t->end - t->pos);
    return qdp_parse_fail(p, "invalid sequence of tokens near ['%.*s'].",
                          (int)(text.n < 80 ? text.n : 80), text.p);
}

qdp_node *qdp_node_make(qdp_parser *p, qdp_kind kind, uint32_t pos)
{
    qdp_node *n = qd_arena_calloc(p->a, sizeof *n);
    if (!n) {
        qd_err_nomem(p->err, "a script");
        return NULL;
    }
    n->kind = (uint8_t)kind;
    n->pos = pos;
    return n;
}

bool qdp_word(const qdp_parser *p, uint32_t at, const char *word)
{
    return p->t[at].tok == T_ID && qd_str_is(p->t[at].text, word);
}

bool qdp_reserved(qd_str word)
{
    static const char *const words[] = {"if",       "else",  "while",      "do",   "for",   "in",
                                        "continue", "break", "return",     "new",  "try",   "catch",
                                        "throw",    "this",  "instanceof", "true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (qd_str_is(word, words[i])) return true;
    return false;
}

/* A type at *at, with its dots and brackets: moves *at behind it; -1 when there is none. */
int qdp_parse_type(qdp_parser *p, uint32_t *at)
{
    uint32_t i = *at, best_at = 0;
    int best = -1;
    if (p->t[i].tok != T_ID) return -1;
    qd_str name = p->t[i].text;
    for (;;) {
        int type = qdp_type_find(name);
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
static bool decl_at(qdp_parser *p, int *type, uint32_t *behind)
{
    *behind = p->at;
    *type = qdp_parse_type(p, behind);
    return *type >= 0 && p->t[*behind].tok == T_ID && !qdp_reserved(p->t[*behind].text);
}

static qdp_node *parse_decl(qdp_parser *p, int type, uint32_t behind)
{
    qdp_node *first = NULL, **link = &first;
    p->at = behind;
    for (;;) {
        qdp_node *n = qdp_node_make(p, N_DECL, qdp_now(p)->pos);
        if (!n) return NULL;
        if (qdp_now(p)->tok != T_ID) return qdp_parse_unexpected(p);
        n->text = qdp_now(p)->text;
        n->type = (int16_t)type;
        p->at++;
        if (qdp_take(p, O_SET)) {
            n->a = qdp_parse_expr(p);
            if (!n->a) return NULL;
        }
        *link = n;
        link = &n->args;
        if (!qdp_take(p, O_COMMA)) return first;
    }
}

/* The end of a statement: ";", or what closes the block, or the end. */
static bool end(qdp_parser *p)
{
    if (qdp_take(p, O_SEMI) || qdp_at(p, O_RBRACE) || qdp_now(p)->tok == T_EOF) return true;
    qdp_parse_unexpected(p);
    return false;
}

qdp_node *qdp_parse_block(qdp_parser *p)
{
    qdp_node *n = qdp_node_make(p, N_BLOCK, qdp_now(p)->pos);
    if (!n) return NULL;
    if (!qdp_take(p, O_LBRACE)) {
        n->args = parse_statement(p);
        return n->args ? n : NULL;
    }
    qdp_node **link = &n->args;
    while (!qdp_take(p, O_RBRACE)) {
        if (qdp_take(p, O_SEMI)) continue;
        qdp_node *s = parse_statement(p);
        if (!s) return NULL;
        *link = s;
        link = &s->next;
    }
    return n;
}

static qdp_node *parse_condition(qdp_parser *p)
{
    if (!qdp_take(p, O_LPAREN)) return qdp_parse_unexpected(p);
    qdp_node *n = qdp_parse_expr(p);
    if (n && !qdp_take(p, O_RPAREN)) return qdp_parse_unexpected(p);
    return n;
}

static qdp_node *parse_each(qdp_parser *p, qdp_node *n, int type, qd_str name)
{
    n->kind = N_EACH;
    n->type = (int16_t)type;
    n->text = name;
    n->a = qdp_parse_expr(p);
    if (!n->a) return NULL;
    if (!qdp_take(p, O_RPAREN)) return qdp_parse_unexpected(p);
    n->b = qdp_parse_block(p);
    return n->b ? n : NULL;
}

static qdp_node *parse_for(qdp_parser *p, qdp_node *n)
{
    int type;
    uint32_t behind;
    if (!qdp_take(p, O_LPAREN)) return qdp_parse_unexpected(p);
    if (decl_at(p, &type, &behind) && p->t[behind + 1].op == O_COLON) {
        qd_str name = p->t[behind].text;
        p->at = behind + 2;
        return parse_each(p, n, type, name);
    }
    if (qdp_now(p)->tok == T_ID && qdp_word(p, p->at + 1, "in")) {
        qd_str name = qdp_now(p)->text;
        p->at += 2;
        return parse_each(p, n, QDI_T_DEF, name);
    }
    if (!qdp_at(p, O_SEMI)) {
        n->a = decl_at(p, &type, &behind) ? parse_decl(p, type, behind) : qdp_parse_expr(p);
        if (!n->a) return NULL;
    }
    if (!qdp_take(p, O_SEMI)) return qdp_parse_unexpected(p);
    if (!qdp_at(p, O_SEMI) && !(n->b = qdp_parse_expr(p))) return NULL;
    if (!qdp_take(p, O_SEMI)) return qdp_parse_unexpected(p);
    if (!qdp_at(p, O_RPAREN) && !(n->c = qdp_parse_expr(p))) return NULL;
    if (!qdp_take(p, O_RPAREN)) return qdp_parse_unexpected(p);
    if (qdp_take(p, O_SEMI)) return n;
    n->d = qdp_parse_block(p);
    return n->d ? n : NULL;
}

static qdp_node *parse_try(qdp_parser *p, qdp_node *n)
{
    qdp_node **link = &n->args;
    n->a = qdp_parse_block(p);
    if (!n->a) return NULL;
    while (qdp_word(p, p->at, "catch")) {
        qdp_node *c = qdp_node_make(p, N_CATCH, qdp_now(p)->pos);
        p->at++;
        if (!c) return NULL;
        int type;
        uint32_t behind;
        if (!qdp_take(p, O_LPAREN) || !decl_at(p, &type, &behind)) return qdp_parse_unexpected(p);
        c->type = (int16_t)type;
        c->text = p->t[behind].text;
        p->at = behind + 1;
        if (!qdp_take(p, O_RPAREN)) return qdp_parse_unexpected(p);
        c->a = qdp_parse_block(p);
        if (!c->a) return NULL;
        *link = c;
        link = &c->next;
    }
    return n->args ? n : qdp_parse_unexpected(p);
}

static qdp_node *parse_if(qdp_parser *p, qdp_node *n)
{
    n->a = parse_condition(p);
    if (!n->a || !(n->b = qdp_parse_block(p))) return NULL;
    if (!qdp_word(p, p->at, "else")) return n;
    p->at++;
    n->c = qdp_parse_block(p);
    return n->c ? n : NULL;
}

static qdp_node *parse_while(qdp_parser *p, qdp_node *n)
{
    n->a = parse_condition(p);
    if (!n->a || qdp_take(p, O_SEMI)) return n->a ? n : NULL;
    n->b = qdp_parse_block(p);
    return n->b ? n : NULL;
}

static qdp_node *parse_do(qdp_parser *p, qdp_node *n)
{
    n->b = qdp_parse_block(p);
    if (!n->b) return NULL;
    if (!qdp_word(p, p->at, "while")) return qdp_parse_unexpected(p);
    p->at++;
    n->a = parse_condition(p);
    return n->a && end(p) ? n : NULL;
}

static qdp_node *parse_return(qdp_parser *p, qdp_node *n)
{
    if (!qdp_at(p, O_SEMI) && !qdp_at(p, O_RBRACE) && qdp_now(p)->tok != T_EOF &&
        !(n->a = qdp_parse_expr(p)))
        return NULL;
    return end(p) ? n : NULL;
}

static qdp_node *parse_throw(qdp_parser *p, qdp_node *n)
{
    n->a = qdp_parse_expr(p);
    return n->a && end(p) ? n : NULL;
}

static qdp_node *parse_jump(qdp_parser *p, qdp_node *n)
{
    return end(p) ? n : NULL;
}

static const struct {
    const char *word;
    qdp_kind kind;
    qdp_node *(*parse)(qdp_parser *p, qdp_node *n);
} statements[] = {{"if", N_IF, parse_if},
                  {"while", N_WHILE, parse_while},
                  {"do", N_DO, parse_do},
                  {"for", N_FOR, parse_for},
                  {"return", N_RETURN, parse_return},
                  {"break", N_BREAK, parse_jump},
                  {"continue", N_CONTINUE, parse_jump},
                  {"try", N_TRY, parse_try},
                  {"throw", N_THROW, parse_throw}};

static qdp_node *parse_one(qdp_parser *p)
{
    uint32_t pos = qdp_now(p)->pos, behind;
    int type;
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!qdp_word(p, p->at, statements[i].word)) continue;
        qdp_node *n = qdp_node_make(p, statements[i].kind, pos);
        p->at++;
        return n ? statements[i].parse(p, n) : NULL;
    }
    if (qdp_at(p, O_LBRACE)) return qdp_parse_block(p);
    qdp_node *n;
    if (decl_at(p, &type, &behind))
        n = parse_decl(p, type, behind);
    else {
        n = qdp_node_make(p, N_EXPR, pos);
        if (!n || !(n->a = qdp_parse_expr(p))) return NULL;
    }
    return n && end(p) ? n : NULL;
}

static qdp_node *parse_statement(qdp_parser *p)
{
    if (++p->depth > QDI_DEPTH) return qdp_parse_fail(p, "the script nests too deep");
    qdp_node *n = parse_one(p);
    p->depth--;
    return n;
}

/* type name(type a, …) {…} */
static qdp_node *parse_function(qdp_parser *p, int type, uint32_t behind)
{
    qdp_node *n = qdp_node_make(p, N_FUNCTION, qdp_now(p)->pos);
    if (!n) return NULL;
    n->type = (int16_t)type;
    n->text = p->t[behind].text;
    p->at = behind + 2;
    qdp_node **link = &n->args;
    while (!qdp_take(p, O_RPAREN)) {
        int t;
        if (!decl_at(p, &t, &behind)) return qdp_parse_unexpected(p);
        qdp_node *a = qdp_node_make(p, N_PARAM, qdp_now(p)->pos);
        if (!a) return NULL;
        a->type = (int16_t)t;
        a->text = p->t[behind].text;
        p->at = behind + 1;
        *link = a;
        link = &a->next;
        n->nargs++;
        if (!qdp_take(p, O_COMMA) && !qdp_at(p, O_RPAREN)) return qdp_parse_unexpected(p);
    }
    if (!qdp_at(p, O_LBRACE)) return qdp_parse_unexpected(p);
    n->b = qdp_parse_block(p);
    return n->b ? n : NULL;
}

qdp_node *qdp_parse(qdp_parser *p)
{
    qdp_node *root = qdp_node_make(p, N_BLOCK, 0);
    if (!root) return NULL;
    qdp_node **link = &root->args;
    bool functions = true;
    while (qdp_now(p)->tok != T_EOF) {
        int type;
        uint32_t behind;
        if (qdp_take(p, O_SEMI)) continue;
        qdp_node *n;
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
