/* parse_expr.c: expressions, by precedence. */
#include "base/utf8.h"
#include "script/painless/ast_int.h"
#include "json/number.h"

static qdp_node *parse_unary(qdp_parser *p);
static qdp_node *parse_ternary(qdp_parser *p);

static qdp_node *text_node(qdp_parser *p, qdp_kind kind, const qdp_token *t)
{
    qdp_node *n = qdp_node_make(p, kind, t->pos);
    if (n) n->text = t->text;
    return n;
}

/* Expressions up to the closing token, comma between; behind the opening one. */
static bool parse_list(qdp_parser *p, qdp_op end, qdp_node **first, uint32_t *count)
{
    qdp_node **link = first;
    *count = 0;
    if (qdp_take(p, end)) return true;
    for (;;) {
        qdp_node *e = qdp_parse_expr(p);
        if (!e) return false;
        *link = e;
        link = &e->next;
        ++*count;
        if (qdp_take(p, end)) return true;
        if (!qdp_take(p, O_COMMA)) return qdp_parse_unexpected(p) != NULL;
    }
}

static qdp_node *parse_map(qdp_parser *p, qdp_node *n)
{
    qdp_node **link = &n->args;
    n->kind = N_MAP;
    if (qdp_take(p, O_COLON)) return qdp_take(p, O_RBRACK) ? n : qdp_parse_unexpected(p);
    for (;;) {
        for (int i = 0; i < 2; i++) {
            qdp_node *e = qdp_parse_expr(p);
            if (!e) return NULL;
            *link = e;
            link = &e->next;
            n->nargs++;
            if (i == 0 && !qdp_take(p, O_COLON)) return qdp_parse_unexpected(p);
        }
        if (qdp_take(p, O_RBRACK)) return n;
        if (!qdp_take(p, O_COMMA)) return qdp_parse_unexpected(p);
    }
}

/* [a, b], [:], [k: v] */
static qdp_node *parse_bracket(qdp_parser *p)
{
    qdp_node *n = qdp_node_make(p, N_LIST, qdp_now(p)->pos);
    p->at++;
    if (!n) return NULL;
    if (qdp_at(p, O_COLON)) return parse_map(p, n);
    if (qdp_take(p, O_RBRACK)) return n;
    uint32_t at = p->at;
    qdp_node *e = qdp_parse_expr(p);
    if (!e) return NULL;
    if (qdp_at(p, O_COLON)) {
        p->at = at;
        return parse_map(p, n);
    }
    n->args = e;
    n->nargs = 1;
    if (qdp_take(p, O_RBRACK)) return n;
    if (!qdp_take(p, O_COMMA)) return qdp_parse_unexpected(p);
    uint32_t more;
    if (!parse_list(p, O_RBRACK, &e->next, &more)) return NULL;
    n->nargs += more;
    return n;
}

/* A whole number: 12, 0x1F, 017. */
static bool digits(qd_str s, bool hex, uint64_t *out)
{
    unsigned radix = hex ? 16 : s.n > 1 && s.p[0] == '0' ? 8 : 10;
    for (size_t i = hex ? 2 : 0; i < s.n; i++) {
        int c = s.p[i] | 32;
        unsigned d = c >= 'a' ? (unsigned)c - 'a' + 10 : (unsigned)(s.p[i] - '0');
        if (d >= radix || *out > (UINT64_MAX - d) / radix) return false;
        *out = *out * radix + d;
    }
    return true;
}

static qdp_node *parse_number(qdp_parser *p)
{
    const qdp_token *t = qdp_now(p);
    qdp_node *n = qdp_node_make(p, N_CONST, t->pos);
    if (!n) return NULL;
    p->at++;
    char last = (char)(t->text.p[t->text.n - 1] | 32);
    bool hex = t->text.n > 2 && (t->text.p[1] | 32) == 'x';
    if (t->tok == T_FLOAT || (!hex && (last == 'f' || last == 'd'))) {
        float f;
        if (last == 'f') {
            if (qd_f32_parse_java(t->text, &f))
                return qdp_parse_fail(p, "Invalid float constant [%.*s].", QD_STR_ARG(t->text));
            n->value = (qd_sv){.tag = QD_SV_FLOAT, .f = f};
            n->type = QDI_T_FLOAT;
        } else {
            if (qd_f64_parse_java(t->text, &n->value.f))
                return qdp_parse_fail(p, "Invalid double constant [%.*s].", QD_STR_ARG(t->text));
            n->value.tag = QD_SV_DOUBLE;
            n->type = QDI_T_DOUBLE;
        }
        return n;
    }
    bool big = last == 'l';
    qd_str text = qd_str_sub(t->text, 0, t->text.n - big);
    uint64_t v = 0;
    bool ok = digits(text, hex, &v);
    /* the smallest value stands behind a minus sign */
    bool minus = p->at >= 2 && p->t[p->at - 2].op == O_SUB;
    uint64_t top =
        hex ? (big ? ~0ull : 0xFFFFFFFFull) : (big ? INT64_MAX : INT32_MAX) + (uint64_t)minus;
    if (!ok || v > top)
        return qdp_parse_fail(
            p, "Invalid %s constant [%.*s].%s", big ? "long" : "int", QD_STR_ARG(text),
            big ? ""
                : " If you want a long constant then change it to the same with the suffix L.");
    n->value = big ? qd_sv_long((int64_t)v) : qd_sv_int((int32_t)(uint32_t)v);
    n->type = big ? QDI_T_LONG : QDI_T_INT;
    return n;
}

static qdp_node *parse_new(qdp_parser *p)
{
    qdp_node *n = qdp_node_make(p, N_NEW, qdp_now(p)->pos);
    p->at++;
    if (!n) return NULL;
    uint32_t at = p->at;
    qd_str name = p->t[at].text;
    if (p->t[at].tok != T_ID) return qdp_parse_unexpected(p);
    while (p->t[at + 1].op == O_DOT && p->t[at + 2].tok == T_ID) {
        at += 2;
        name.n = (size_t)(p->t[at].text.p + p->t[at].text.n - name.p);
    }
    int type = qdp_type_find(name);
    if (type < 0) return qdp_parse_fail(p, "cannot resolve type [%.*s]", QD_STR_ARG(name));
    n->type = (int16_t)type;
    p->at = at + 1;
    if (qdp_take(p, O_LPAREN)) return parse_list(p, O_RPAREN, &n->args, &n->nargs) ? n : NULL;
    if (!qdp_at(p, O_LBRACK)) return qdp_parse_unexpected(p);
    n->kind = N_ARRAY;
    int dims = 0;
    qdp_node **link = &n->args;
    while (qdp_take(p, O_LBRACK)) {
        if (++dims > 4) return qdp_parse_unexpected(p);
        if (qdp_take(p, O_RBRACK)) continue;
        if (n->nargs + 1 != (uint32_t)dims) return qdp_parse_unexpected(p);
        qdp_node *e = qdp_parse_expr(p);
        if (!e) return NULL;
        if (!qdp_take(p, O_RBRACK)) return qdp_parse_unexpected(p);
        *link = e;
        link = &e->next;
        n->nargs++;
    }
    n->type = (int16_t)(n->type + dims * QDI_T_ARRAY);
    if (n->nargs) return n;
    if (!qdp_take(p, O_LBRACE)) return qdp_parse_unexpected(p);
    n->flags |= QDI_INIT;
    return parse_list(p, O_RBRACE, &n->args, &n->nargs) ? n : NULL;
}

/* Does a lambda begin here: "x ->", "(…) ->"? */
static bool lambda_at(const qdp_parser *p)
{
    uint32_t at = p->at;
    if (p->t[at].tok == T_ID) return p->t[at + 1].op == O_ARROW;
    if (p->t[at].op != O_LPAREN) return false;
    for (at++; p->t[at].tok == T_ID || p->t[at].op == O_COMMA || p->t[at].op == O_LBRACK ||
               p->t[at].op == O_RBRACK || p->t[at].op == O_DOT;)
        at++;
    return p->t[at].op == O_RPAREN && p->t[at + 1].op == O_ARROW;
}

static qdp_node *parse_param(qdp_parser *p)
{
    qdp_node *n = qdp_node_make(p, N_PARAM, qdp_now(p)->pos);
    if (!n) return NULL;
    n->type = QDI_T_DEF;
    if (p->t[p->at + 1].tok == T_ID || p->t[p->at + 1].op == O_LBRACK ||
        p->t[p->at + 1].op == O_DOT) {
        uint32_t at = p->at;
        int type = qdp_parse_type(p, &at);
        if (type < 0)
            return qdp_parse_fail(p, "cannot resolve type [%.*s]", QD_STR_ARG(qdp_now(p)->text));
        n->type = (int16_t)type;
        p->at = at;
    }
    if (qdp_now(p)->tok != T_ID) return qdp_parse_unexpected(p);
    n->text = qdp_now(p)->text;
    p->at++;
    return n;
}

static qdp_node *parse_lambda(qdp_parser *p)
{
    qdp_node *n = qdp_node_make(p, N_LAMBDA, qdp_now(p)->pos);
    if (!n) return NULL;
    qdp_node **link = &n->args;
    bool many = qdp_take(p, O_LPAREN);
    while (!many || !qdp_take(p, O_RPAREN)) {
        qdp_node *a = parse_param(p);
        if (!a) return NULL;
        *link = a;
        link = &a->next;
        n->nargs++;
        if (!many) break;
        if (!qdp_take(p, O_COMMA) && !qdp_at(p, O_RPAREN)) return qdp_parse_unexpected(p);
    }
    n->pos = qdp_now(p)->pos;
    if (!qdp_take(p, O_ARROW)) return qdp_parse_unexpected(p);
    n->b = qdp_at(p, O_LBRACE) ? qdp_parse_block(p) : qdp_parse_expr(p);
    return n->b ? n : NULL;
}

/* A name; a type's name may have dots and brackets. */
static qdp_node *parse_name(qdp_parser *p)
{
    const qdp_token *t = qdp_now(p);
    if (qdp_word(p, p->at, "true") || qdp_word(p, p->at, "false")) {
        qdp_node *n = qdp_node_make(p, N_CONST, t->pos);
        p->at++;
        if (!n) return NULL;
        n->value = qd_sv_bool(qd_str_is(t->text, "true"));
        n->type = QDI_T_BOOLEAN;
        return n;
    }
    if (qdp_word(p, p->at, "null")) {
        qdp_node *n = qdp_node_make(p, N_CONST, t->pos);
        p->at++;
        if (n) n->type = QDI_T_DEF;
        return n;
    }
    if (qdp_word(p, p->at, "new")) return parse_new(p);
    uint32_t at = p->at;
    int type = qdp_parse_type(p, &at);
    if (type >= 0 && (p->t[at].op == O_DOT || p->t[at].op == O_REF)) {
        qdp_node *n = text_node(p, N_TYPE, t);
        if (n) n->type = (int16_t)type;
        p->at = at;
        return n;
    }
    if (p->t[p->at + 1].op == O_LPAREN && !qdp_reserved(t->text)) {
        qdp_node *n = text_node(p, N_CALL, t);
        p->at += 2;
        return n && parse_list(p, O_RPAREN, &n->args, &n->nargs) ? n : NULL;
    }
    if (qdp_reserved(t->text)) {
        if (!qd_str_is(t->text, "this")) return qdp_parse_unexpected(p);
        if (p->t[p->at + 1].op != O_REF) return qdp_parse_unexpected(p);
    }
    qdp_node *n = text_node(p, N_NAME, t);
    p->at++;
    return n;
}

static qdp_node *parse_primary(qdp_parser *p)
{
    const qdp_token *t = qdp_now(p);
    qdp_node *n;
    switch (t->tok) {
    case T_INT:
    case T_FLOAT:
        return parse_number(p);
    case T_STRING:
        n = qdp_node_make(p, N_CONST, t->pos);
        p->at++;
        if (!n) return NULL;
        n->value = qd_sv_str(t->text);
        n->type = QDI_T_STRING;
        return n;
    case T_REGEX:
        n = text_node(p, N_REGEX, t);
        p->at++;
        if (n) n->re = t->flags;
        return n;
    case T_ID:
        return parse_name(p);
    default:
        if (t->op == O_LBRACK) return parse_bracket(p);
        if (t->op != O_LPAREN) return qdp_parse_unexpected(p);
        p->at++;
        n = qdp_parse_expr(p);
        if (!n) return NULL;
        if (!qdp_take(p, O_RPAREN)) return qdp_parse_unexpected(p);
        n->flags |= QDI_PAREN;
        return n;
    }
}

static qdp_node *parse_member(qdp_parser *p, qdp_node *of)
{
    const qdp_token *dot = qdp_now(p), *t = dot + 1;
    bool safe = dot->op == O_NULLDOT;
    if (t->tok != T_ID && t->tok != T_INT) {
        p->at++;
        return qdp_parse_unexpected(p);
    }
    bool call = t->tok == T_ID && t[1].op == O_LPAREN;
    qdp_node *n = text_node(p, call ? N_CALL : N_FIELD, t);
    if (!n) return NULL;
    n->pos = dot->pos;
    n->a = of;
    n->flags = safe ? QDI_NULLSAFE : 0;
    p->at += call ? 3 : 2;
    if (t->tok == T_INT) n->flags |= QDI_INFER;
    return call && !parse_list(p, O_RPAREN, &n->args, &n->nargs) ? NULL : n;
}

static qdp_node *parse_postfix(qdp_parser *p)
{
    qdp_node *n = parse_primary(p);
    uint32_t links = 0;
    while (n) {
        const qdp_token *t = qdp_now(p);
        if (t->tok != T_OP) break;
        if (++links > QDI_DEPTH * 2) return qdp_parse_fail(p, "the expression nests too deep");
        if (t->op == O_DOT || t->op == O_NULLDOT)
            n = parse_member(p, n);
        else if (t->op == O_LBRACK) {
            qdp_node *x = qdp_node_make(p, N_INDEX, t->pos);
            p->at++;
            if (!x) return NULL;
            x->a = n;
            x->b = qdp_parse_expr(p);
            if (!x->b) return NULL;
            if (!qdp_take(p, O_RBRACK)) return qdp_parse_unexpected(p);
            n = x;
        } else if (t->op == O_REF) {
            qdp_node *x = text_node(p, N_REF, t + 1);
            if (t[1].tok != T_ID) return qdp_parse_unexpected(p);
            p->at += 2;
            if (!x) return NULL;
            x->a = n;
            n = x;
        } else if (t->op == O_INC || t->op == O_DEC) {
            qdp_node *x = qdp_node_make(p, N_STEP, t->pos);
            p->at++;
            if (!x) return NULL;
            x->a = n;
            x->op = t->op;
            n = x;
        } else
            break;
    }
    return n;
}

/* "(type) operand": where the type is in brackets and an operand follows. */
static bool cast_at(qdp_parser *p, int *type, uint32_t *behind)
{
    if (!qdp_at(p, O_LPAREN) || p->t[p->at + 1].tok != T_ID) return false;
    uint32_t at = p->at + 1;
    *type = qdp_parse_type(p, &at);
    if (*type <= QDI_T_VOID || p->t[at].op != O_RPAREN) return false;
    const qdp_token *t = &p->t[at + 1];
    *behind = at + 1;
    if (t->tok != T_OP)
        return t->tok != T_EOF && !(t->tok == T_ID && qd_str_is(t->text, "instanceof"));
    if (t->op == O_LPAREN || t->op == O_NOT || t->op == O_BITNOT || t->op == O_LBRACK) return true;
    return qdp_type_primitive(*type) &&
           (t->op == O_ADD || t->op == O_SUB || t->op == O_INC || t->op == O_DEC);
}

static qdp_node *parse_prefix(qdp_parser *p)
{
    const qdp_token *t = qdp_now(p);
    int type;
    uint32_t behind;
    if (t->tok == T_OP && (t->op == O_NOT || t->op == O_BITNOT || t->op == O_SUB ||
                           t->op == O_ADD || t->op == O_INC || t->op == O_DEC)) {
        bool step = t->op == O_INC || t->op == O_DEC;
        qdp_node *n = qdp_node_make(p, step ? N_STEP : N_UNARY, t->pos);
        p->at++;
        if (!n) return NULL;
        n->op = t->op;
        n->flags = step ? QDI_PRE : 0;
        n->a = parse_unary(p);
        return n->a ? n : NULL;
    }
    if (cast_at(p, &type, &behind)) {
        qdp_node *n = qdp_node_make(p, N_CAST, t->pos);
        p->at = behind;
        if (!n) return NULL;
        n->type = (int16_t)type;
        n->a = parse_unary(p);
        return n->a ? n : NULL;
    }
    return parse_postfix(p);
}

static qdp_node *parse_unary(qdp_parser *p)
{
    if (++p->depth > QDI_DEPTH) return qdp_parse_fail(p, "the script nests too deep");
    qdp_node *n = parse_prefix(p);
    p->depth--;
    return n;
}

static int precedence(const qdp_parser *p)
{
    const qdp_token *t = qdp_now(p);
    if (t->tok == T_ID) return qd_str_is(t->text, "instanceof") ? 8 : 0;
    if (t->tok != T_OP) return 0;
    switch (t->op) {
    case O_MUL:
    case O_DIV:
    case O_REM:
        return 12;
    case O_ADD:
    case O_SUB:
        return 11;
    case O_FIND:
    case O_MATCH:
        return 10;
    case O_SHL:
    case O_SHR:
    case O_USHR:
        return 9;
    case O_LT:
    case O_LE:
    case O_GT:
    case O_GE:
        return 8;
    case O_EQ:
    case O_NE:
    case O_REF_EQ:
    case O_REF_NE:
        return 7;
    case O_BITAND:
        return 6;
    case O_XOR:
        return 5;
    case O_BITOR:
        return 4;
    case O_AND:
        return 3;
    case O_OR:
        return 2;
    default:
        return 0;
    }
}

static qdp_node *parse_binary(qdp_parser *p, int least)
{
    qdp_node *left = parse_unary(p);
    uint32_t links = 0;
    while (left) {
        int level = precedence(p);
        if (level < least || level == 0) break;
        if (++links > 4 * QDI_DEPTH) return qdp_parse_fail(p, "the expression is too long");
        const qdp_token *t = qdp_now(p);
        qdp_node *n = qdp_node_make(p,
                                    t->tok == T_ID ? N_INSTANCEOF
                                    : level <= 3   ? N_LOGIC
                                                   : N_BINARY,
                                    t->pos);
        p->at++;
        if (!n) return NULL;
        n->op = t->op;
        n->a = left;
        if (t->tok == T_ID) {
            int type = qdp_parse_type(p, &p->at);
            if (type < 0) return qdp_parse_unexpected(p);
            n->type = (int16_t)type;
        } else {
            n->b = parse_binary(p, level + 1);
            if (!n->b) return NULL;
        }
        left = n;
    }
    return left;
}

static qdp_node *parse_ternary(qdp_parser *p)
{
    qdp_node *n = parse_binary(p, 1);
    if (!n) return NULL;
    const qdp_token *t = qdp_now(p);
    if (qdp_at(p, O_COND)) {
        qdp_node *x = qdp_node_make(p, N_COND, t->pos);
        p->at++;
        if (!x) return NULL;
        x->a = n;
        x->b = qdp_parse_expr(p);
        if (!x->b) return NULL;
        if (!qdp_take(p, O_COLON)) return qdp_parse_unexpected(p);
        x->c = qdp_parse_expr(p);
        return x->c ? x : NULL;
    }
    if (qdp_at(p, O_ELVIS)) {
        qdp_node *x = qdp_node_make(p, N_ELVIS, t->pos);
        p->at++;
        if (!x) return NULL;
        x->a = n;
        x->b = qdp_parse_expr(p);
        return x->b ? x : NULL;
    }
    return n;
}

static qdp_node *parse_assign(qdp_parser *p)
{
    if (lambda_at(p)) return parse_lambda(p);
    qdp_node *n = parse_ternary(p);
    if (!n || qdp_now(p)->tok != T_OP) return n;
    static const uint8_t map[][2] = {
        {O_SET, 0},          {O_ADD_SET, O_ADD}, {O_SUB_SET, O_SUB},    {O_MUL_SET, O_MUL},
        {O_DIV_SET, O_DIV},  {O_REM_SET, O_REM}, {O_AND_SET, O_BITAND}, {O_XOR_SET, O_XOR},
        {O_OR_SET, O_BITOR}, {O_SHL_SET, O_SHL}, {O_SHR_SET, O_SHR},    {O_USHR_SET, O_USHR}};
    for (size_t i = 0; i < sizeof map / sizeof *map; i++) {
        if (!qdp_at(p, map[i][0])) continue;
        qdp_node *x = qdp_node_make(p, N_ASSIGN, qdp_now(p)->pos);
        p->at++;
        if (!x) return NULL;
        x->op = map[i][1];
        x->a = n;
        x->b = qdp_parse_expr(p);
        return x->b ? x : NULL;
    }
    return n;
}

qdp_node *qdp_parse_expr(qdp_parser *p)
{
    if (++p->depth > QDI_DEPTH) return qdp_parse_fail(p, "the script nests too deep");
    qdp_node *n = parse_assign(p);
    p->depth--;
    return n;
}
