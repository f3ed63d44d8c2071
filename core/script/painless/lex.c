/*
 * lex.c: a source becomes tokens. Whether "/" divides or begins a regex follows from the token
 * before it, as does whether "?." is one operator ("a ?.5 : 1" is a condition).
 */
#include "analysis/regex/regex.h"
#include "base/vec.h"
#include "script/painless/ast_int.h"
#include <ctype.h>

static const struct {
    const char *text;
    uint8_t n, op;
} ops[] = {
#define QDI_OP(id, text) {text, sizeof text - 1, O_##id},
#include "script/painless/ops.def"
};

typedef struct lexer {
    qdp_parser *p;
    const char *begin, *at, *end;
    QD_VEC(qdp_token) out;
    bool line;
} lexer;

static int fail(lexer *x, const char *at, const char *what)
{
    x->p->failed_at = (uint32_t)(at - x->begin);
    size_t n = (size_t)(x->end - at) < 24 ? (size_t)(x->end - at) : 24;
    return qd_err_set(x->p->err, QD_E_ARG, "unexpected character [%.*s].%s", (int)n, at, what);
}

/* White space and comments. */
static int skip(lexer *x)
{
    while (x->at < x->end) {
        if (isspace((unsigned char)*x->at)) {
            if (*x->at++ == '\n') x->line = true;
        } else if (*x->at == '/' && x->at + 1 < x->end && x->at[1] == '/') {
            while (x->at < x->end && *x->at != '\n') x->at++;
        } else if (*x->at == '/' && x->at + 1 < x->end && x->at[1] == '*') {
            const char *from = x->at;
            x->at += 2;
            while (x->at + 1 < x->end && !(x->at[0] == '*' && x->at[1] == '/')) x->at++;
            if (x->at + 1 >= x->end) return fail(x, from, " The comment does not end.");
            x->at += 2;
        } else
            break;
    }
    return 0;
}

static int push(lexer *x, qdp_token t, const char *from)
{
    t.pos = (uint32_t)(from - x->begin);
    t.end = (uint32_t)(x->at - x->begin);
    t.line = x->line;
    x->line = false;
    return qd_vec_push(&x->out, x->p->a->account, t) ? qd_err_nomem(x->p->err, "a script") : 0;
}

static int lex_string(lexer *x)
{
    const char *from = x->at;
    char quote = *x->at++;
    char *out = qd_arena_bytes(x->p->a, (size_t)(x->end - from) + 1);
    size_t n = 0;
    if (!out) return qd_err_nomem(x->p->err, "a script");
    while (x->at < x->end && *x->at != quote) {
        if (*x->at == '\\') {
            if (++x->at >= x->end) break;
            char c = *x->at;
            if (c != '\\' && c != quote && c != 'n' && c != 't' && c != 'r' && c != 'b' && c != 'f')
                return fail(x, from,
                            " The only valid escape sequences in strings starting with "
                            "[\"] are [\\\\], [\\\"] and those of control characters.");
            out[n++] = c == 'n'   ? '\n'
                       : c == 't' ? '\t'
                       : c == 'r' ? '\r'
                       : c == 'b' ? '\b'
                       : c == 'f' ? '\f'
                                  : c;
            x->at++;
        } else
            out[n++] = *x->at++;
    }
    if (x->at >= x->end) return fail(x, from, "");
    x->at++;
    out[n] = 0;
    return push(x, (qdp_token){.tok = T_STRING, .text = {out, n}}, from);
}

static int lex_regex(lexer *x)
{
    const char *from = x->at++;
    bool escaped = false, set = false;
    while (x->at < x->end && *x->at != '\n' && (escaped || set || *x->at != '/')) {
        if (escaped)
            escaped = false;
        else if (*x->at == '\\')
            escaped = true;
        else if (*x->at == '[')
            set = true;
        else if (*x->at == ']')
            set = false;
        x->at++;
    }
    if (x->at >= x->end || *x->at != '/') return fail(x, from, "");
    qd_str text = {from + 1, (size_t)(x->at++ - from - 1)};
    char *out = qd_arena_bytes(x->p->a, text.n + 1);
    size_t n = 0;
    if (!out) return qd_err_nomem(x->p->err, "a script");
    for (size_t i = 0; i < text.n; i++) /* an escaped delimiter stands for itself */
        if (text.p[i] != '\\' || i + 1 >= text.n || text.p[i + 1] != '/') out[n++] = text.p[i];
    uint8_t flags = 0;
    for (; x->at < x->end && isalpha((unsigned char)*x->at); x->at++) {
        static const char letters[] = "imsuxlU";
        static const uint8_t bits[] = {QD_RE_CASE,         QD_RE_MULTILINE, QD_RE_DOTALL,
                                       QD_RE_UNICODE_CASE, QD_RE_COMMENTS,  QD_RE_LITERAL,
                                       QD_RE_UNICODE_CLASS};
        const char *l = strchr(letters, *x->at);
        if (!l) return fail(x, x->at, " It is no flag of a regex.");
        flags |= bits[l - letters];
    }
    return push(x, (qdp_token){.tok = T_REGEX, .flags = flags, .text = {out, n}}, from);
}

static int lex_number(lexer *x)
{
    const char *from = x->at;
    bool real = false;
    if (*x->at == '0' && x->at + 1 < x->end && (x->at[1] | 32) == 'x') {
        for (x->at += 2; x->at < x->end && isxdigit((unsigned char)*x->at);) x->at++;
        if (x->at < x->end && (*x->at | 32) == 'l') x->at++;
    } else {
        while (x->at < x->end && isdigit((unsigned char)*x->at)) x->at++;
        /* "list.0.value": a number behind a dot is an index */
        bool index = x->out.n && x->out.at[x->out.n - 1].op == O_DOT;
        if (!index && x->at + 1 < x->end && *x->at == '.' && isdigit((unsigned char)x->at[1])) {
            real = true;
            for (x->at++; x->at < x->end && isdigit((unsigned char)*x->at);) x->at++;
        }
        if (x->at < x->end && (*x->at | 32) == 'e') {
            const char *e = x->at + 1;
            if (e < x->end && (*e == '+' || *e == '-')) e++;
            if (e < x->end && isdigit((unsigned char)*e)) {
                real = true;
                for (x->at = e; x->at < x->end && isdigit((unsigned char)*x->at);) x->at++;
            }
        }
        if (x->at < x->end && strchr("fFdD", *x->at)) {
            real = true;
            x->at++;
        } else if (!real && x->at < x->end && (*x->at | 32) == 'l')
            x->at++;
    }
    qd_str text = {from, (size_t)(x->at - from)};
    return push(x, (qdp_token){.tok = real ? T_FLOAT : T_INT, .text = text}, from);
}

/* May a regex begin here: does the last token end no operand? */
static bool operand_next(const lexer *x)
{
    if (!x->out.n) return true;
    const qdp_token *t = &x->out.at[x->out.n - 1];
    if (t->tok == T_ID) return qd_str_is(t->text, "return") || qd_str_is(t->text, "in");
    return t->tok == T_OP && t->op != O_RPAREN && t->op != O_RBRACK && t->op != O_RBRACE &&
           t->op != O_INC && t->op != O_DEC;
}

static int lex_op(lexer *x)
{
    const char *from = x->at;
    size_t left = (size_t)(x->end - x->at);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (ops[i].n > left || memcmp(x->at, ops[i].text, ops[i].n) != 0) continue;
        if (ops[i].op == O_NULLDOT && left > 2 && isdigit((unsigned char)x->at[2])) continue;
        x->at += ops[i].n;
        return push(x, (qdp_token){.tok = T_OP, .op = ops[i].op, .text = {from, ops[i].n}}, from);
    }
    return fail(x, from, "");
}

static int lex_one(lexer *x)
{
    unsigned char c = (unsigned char)*x->at;
    const char *from = x->at;
    if (isalpha(c) || c == '_' || c == '$') {
        while (x->at < x->end && (isalnum((unsigned char)*x->at) || *x->at == '_' || *x->at == '$'))
            x->at++;
        return push(x, (qdp_token){.tok = T_ID, .text = {from, (size_t)(x->at - from)}}, from);
    }
    bool index = x->out.n && x->out.at[x->out.n - 1].op == O_DOT;
    if (isdigit(c) || (c == '.' && !index && x->at + 1 < x->end && operand_next(x) &&
                       isdigit((unsigned char)x->at[1])))
        return lex_number(x);
    if (c == '"' || c == '\'') return lex_string(x);
    if (c == '/' && operand_next(x)) return lex_regex(x);
    return lex_op(x);
}

int qdp_lex(qdp_parser *p)
{
    lexer x = {.p = p, .begin = p->source.p, .at = p->source.p, .end = p->source.p + p->source.n};
    int rc = 0;
    for (;;) {
        rc = skip(&x);
        if (rc || x.at >= x.end) break;
        rc = lex_one(&x);
        if (rc) break;
    }
    if (rc == 0) rc = push(&x, (qdp_token){.tok = T_EOF, .text = QD_STR("<EOF>")}, x.at);
    if (rc == 0) {
        p->t = qd_arena_alloc(p->a, x.out.n * sizeof *p->t);
        if (p->t)
            memcpy(p->t, x.out.at, x.out.n * sizeof *p->t);
        else
            rc = qd_err_nomem(p->err, "a script");
        p->n = (uint32_t)x.out.n;
    }
    qd_vec_fini(&x.out);
    return rc;
}
