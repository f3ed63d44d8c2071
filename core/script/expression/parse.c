/*
 * parse.c: the grammar of Lucene's expressions: a formula with C's operators and their order.
 * Recursion is bounded by QDX_DEPTH.
 */
#include "script/expression/formula_int.h"
#include <math.h>

typedef struct parser {
    qdx_formula *f;
    qd_str s;
    uint32_t at, top, depth;
    qd_err *err;
} parser;

static int formula(parser *p);

static int fail(parser *p, uint32_t at, const char *fmt, qd_str text)
{
    p->at = at;
    if (p->err && !p->err->code) {
        (void)qd_err_set(p->err, QD_E_ARG, fmt, QD_STR_ARG(text));
        qd_err_type(p->err, "parse_exception", 0);
    }
    return QD_E_ARG;
}

static void spaces(parser *p)
{
    while (p->at < p->s.n && strchr(" \t\r\n", p->s.p[p->at]) && p->s.p[p->at]) p->at++;
}

static bool starts(const parser *p, const char *text)
{
    return qd_str_starts(qd_str_sub(p->s, p->at, p->s.n), qd_str_c(text));
}

static bool take(parser *p, const char *text)
{
    spaces(p);
    if (!starts(p, text)) return false;
    p->at += (uint32_t)strlen(text);
    return true;
}

static int unexpected(parser *p)
{
    spaces(p);
    if (p->at >= p->s.n)
        return fail(p, p->at, "Invalid expression: unexpected end of expression%.*s",
                    (qd_str){"", 0});
    return fail(p, p->at, "Invalid expression: unexpected character '%.*s'",
                qd_str_sub(p->s, p->at, 1));
}

/* Writes register a; the stack ends behind it. */
static int add(parser *p, qdx_op o)
{
    if (o.a >= QDX_REGS) return fail(p, p->at, "the expression is too deep%.*s", (qd_str){"", 0});
    if (qd_vec_push(&p->f->ops, p->f->arena.account, o)) return qd_err_nomem(p->err, "a script");
    p->top = o.a + 1u;
    if (p->top > p->f->nregs) p->f->nregs = p->top;
    return 0;
}

/* --- names ------------------------------------------------------------------------------------ */

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
}

static qd_str name(parser *p)
{
    uint32_t from = p->at;
    while (p->at < p->s.n && (letter(p->s.p[p->at]) ||
                              (p->at > from && p->s.p[p->at] >= '0' && p->s.p[p->at] <= '9')))
        p->at++;
    return qd_str_sub(p->s, from, p->at - from);
}

static int var(parser *p, qdx_var v)
{
    size_t i = 0;
    for (; i < p->f->vars.n; i++)
        if (qd_str_eq(p->f->vars.at[i].text, v.text)) break;
    if (i == p->f->vars.n && qd_vec_push(&p->f->vars, p->f->arena.account, v))
        return qd_err_nomem(p->err, "a script");
    if (i > 10000)
        return fail(p, p->at, "the expression has too many variables%.*s", (qd_str){"", 0});
    return add(p, (qdx_op){.op = X_VAR, .a = (uint16_t)p->top, .b = (uint16_t)i});
}

/* 'name' or "name", in brackets. */
static int field_name(parser *p, qd_str *out)
{
    spaces(p);
    char quote = p->at < p->s.n ? p->s.p[p->at] : 0;
    if (quote != '\'' && quote != '"') return unexpected(p);
    uint32_t from = ++p->at;
    while (p->at < p->s.n && p->s.p[p->at] != quote) p->at++;
    if (p->at >= p->s.n) return unexpected(p);
    *out = qd_str_sub(p->s, from, p->at++ - from);
    return take(p, "]") ? 0 : unexpected(p);
}

static int member_of(parser *p, qd_str field, uint32_t from, qdx_var *v)
{
    static const struct {
        const char *name;
        qdx_ask ask;
    } members[] = {{"value", ASK_VALUE},
                   {"empty", ASK_EMPTY},
                   {"length", ASK_LENGTH},
                   {"lat", ASK_LAT},
                   {"lon", ASK_LON}},
      methods[] = {{"min", ASK_MIN},       {"max", ASK_MAX},       {"sum", ASK_SUM},
                   {"avg", ASK_AVG},       {"median", ASK_MEDIAN}, {"getValue", ASK_VALUE},
                   {"isEmpty", ASK_EMPTY}, {"getLat", ASK_LAT},    {"getLon", ASK_LON},
                   {"size", ASK_LENGTH},   {"count", ASK_LENGTH}};
    qd_str n = name(p);
    bool method = take(p, "(");
    if (method && !take(p, ")")) return unexpected(p);
    if (!method && qd_str_is(n, "date")) {
        if (!take(p, ".")) return unexpected(p);
        n = name(p);
    }
    int unit = qdx_date_unit(n, method);
    if (unit >= 0) {
        v->ask = ASK_DATE;
        v->unit = (uint8_t)unit;
        return 0;
    }
    for (size_t i = 0; i < (method ? QD_COUNT_OF(methods) : QD_COUNT_OF(members)); i++) {
        if (!qd_str_is(n, method ? methods[i].name : members[i].name)) continue;
        v->ask = method ? methods[i].ask : members[i].ask;
        return 0;
    }
    p->at = from;
    if (p->err && !p->err->code) {
        (void)qd_err_set(p->err, QD_E_ARG,
                         method ? "Member method [%.*s] does not exist for numeric field [%.*s]."
                                : "Member variable [%.*s] does not exist for numeric field [%.*s].",
                         QD_STR_ARG(n), QD_STR_ARG(field));
        qd_err_type(p->err, "illegal_argument_exception", 0);
    }
    return QD_E_ARG;
}

static int doc(parser *p, uint32_t from)
{
    qdx_var v = {.kind = V_FIELD};
    qd_str field;
    if (!take(p, "["))
        return fail(p, from,
                    "Variable 'doc' must be used with a specific field like: doc['myfield']%.*s",
                    (qd_str){"", 0});
    int rc = field_name(p, &field);
    if (!rc && take(p, ".")) rc = member_of(p, field, from, &v);
    if (rc) return rc;
    size_t i = 0;
    while (i < p->f->fields.n && !qd_str_eq(p->f->fields.at[i], field)) i++;
    if (i == p->f->fields.n && qd_vec_push(&p->f->fields, p->f->arena.account, field))
        return qd_err_nomem(p->err, "a script");
    v.field = (uint16_t)i;
    v.name = field;
    v.text = qd_str_sub(p->s, from, p->at - from);
    return i < 1000 ? var(p, v) : fail(p, from, "the expression names too many fields%.*s", field);
}

/* --- functions -------------------------------------------------------------------------------- */

static double log_n(double base, double x)
{
    return log(x) / log(base);
}

static double greater(double a, double b)
{
    return a != a || b != b ? NAN : fmax(a, b);
}

static double less(double a, double b)
{
    return a != a || b != b ? NAN : fmin(a, b);
}

static const struct {
    const char *name;
    double (*fn1)(double);
    double (*fn2)(double, double);
} functions[] = {
    {"abs", fabs, NULL},    {"acos", acos, NULL}, {"acosh", acosh, NULL}, {"asin", asin, NULL},
    {"asinh", asinh, NULL}, {"atan", atan, NULL}, {"atan2", NULL, atan2}, {"atanh", atanh, NULL},
    {"ceil", ceil, NULL},   {"cos", cos, NULL},   {"cosh", cosh, NULL},   {"exp", exp, NULL},
    {"floor", floor, NULL}, {"ln", log, NULL},    {"log10", log10, NULL}, {"logn", NULL, log_n},
    {"max", NULL, greater}, {"min", NULL, less},  {"pow", NULL, pow},     {"sin", sin, NULL},
    {"sinh", sinh, NULL},   {"sqrt", sqrt, NULL}, {"tan", tan, NULL},     {"tanh", tanh, NULL}};

static int call(parser *p, qd_str n, uint32_t from)
{
    uint32_t first = p->top, nargs = 0;
    while (!take(p, ")")) {
        if (nargs && !take(p, ",")) return unexpected(p);
        int rc = formula(p);
        if (rc) return rc;
        nargs++;
    }
    qdx_op o = {.a = (uint16_t)first, .b = (uint16_t)(first + 1)};
    for (size_t i = 0; i < QD_COUNT_OF(functions); i++) {
        if (!qd_str_is(n, functions[i].name)) continue;
        if (nargs != (functions[i].fn2 ? 2u : 1u))
            return fail(p, from, "Invalid expression: wrong number of arguments of function [%.*s]",
                        n);
        o.op = functions[i].fn2 ? X_CALL2 : X_CALL1;
        if (!functions[i].fn2) o.b = o.a;
        if (functions[i].fn2)
            o.fn2 = functions[i].fn2;
        else
            o.fn1 = functions[i].fn1;
        return add(p, o);
    }
    if (!qd_str_is(n, "haversin") || nargs != 4)
        return fail(p, from, "Invalid expression: Unrecognized function call (%.*s).", n);
    o.op = X_HAVERSIN;
    return add(p, o);
}

/* --- formulas --------------------------------------------------------------------------------- */

static int number(parser *p)
{
    uint32_t from = p->at;
    double v = 0;
    if (p->s.p[from] == '0' && from + 1 < p->s.n && (p->s.p[from + 1] | 32) == 'x') {
        for (p->at += 2; p->at < p->s.n; p->at++) {
            char c = p->s.p[p->at];
            int digit = c >= '0' && c <= '9'                   ? c - '0'
                        : ((c | 32) >= 'a' && (c | 32) <= 'f') ? (c | 32) - 'a' + 10
                                                               : -1;
            if (digit < 0) break;
            v = v * 16 + digit;
        }
        if (p->at == from + 2) return unexpected(p);
        return add(p, (qdx_op){.op = X_CONST, .a = (uint16_t)p->top, .f = v});
    }
    bool octal = p->s.p[from] == '0';
    while (p->at < p->s.n && p->s.p[p->at] >= '0' && p->s.p[p->at] <= '9') {
        octal &= p->s.p[p->at] < '8';
        v = v * 8 + (p->s.p[p->at++] - '0');
    }
    octal &= p->at > from + 1 &&
             !(p->at < p->s.n && (p->s.p[p->at] == '.' || (p->s.p[p->at] | 32) == 'e'));
    if (!octal) {
        if (p->at < p->s.n && p->s.p[p->at] == '.')
            for (p->at++; p->at < p->s.n && p->s.p[p->at] >= '0' && p->s.p[p->at] <= '9';) p->at++;
        if (p->at < p->s.n && (p->s.p[p->at] | 32) == 'e') {
            p->at++;
            if (p->at < p->s.n && (p->s.p[p->at] == '-' || p->s.p[p->at] == '+')) p->at++;
            while (p->at < p->s.n && p->s.p[p->at] >= '0' && p->s.p[p->at] <= '9') p->at++;
        }
        qd_str text = qd_str_sub(p->s, from, p->at - from);
        if (qd_f64_parse_java(text, &v))
            return fail(p, from, "Invalid expression: bad number [%.*s]", text);
    }
    return add(p, (qdx_op){.op = X_CONST, .a = (uint16_t)p->top, .f = v});
}

static int primary(parser *p)
{
    spaces(p);
    if (p->at >= p->s.n) return unexpected(p);
    uint32_t from = p->at;
    char c = p->s.p[p->at];
    if (take(p, "(")) {
        int rc = formula(p);
        return rc ? rc : take(p, ")") ? 0 : unexpected(p);
    }
    if ((c >= '0' && c <= '9') || c == '.') return number(p);
    if (!letter(c)) return unexpected(p);
    qd_str n = name(p);
    if (take(p, "(")) return call(p, n, from);
    if (qd_str_is(n, "doc")) return doc(p, from);
    qdx_var v = {.kind = V_PARAM, .name = n, .text = n};
    uint32_t vars = qd_script_context_get(p->f->context)->vars;
    if (qd_str_is(n, "_score") && vars & QD_SCRIPT_BIT(SCORE)) v.kind = V_SCORE;
    if (qd_str_is(n, "_value") && vars & QD_SCRIPT_BIT(VALUE)) v.kind = V_VALUE;
    return var(p, v);
}

static int unary(parser *p)
{
    static const struct {
        const char *text;
        qdx_opcode op;
    } signs[] = {{"-", X_NEG}, {"!", X_NOT}, {"~", X_BITNOT}, {"+", X_CONST}};
    if (++p->depth > QDX_DEPTH)
        return fail(p, p->at, "the expression is too deep%.*s", (qd_str){"", 0});
    int rc = 1;
    for (size_t i = 0; i < QD_COUNT_OF(signs) && rc == 1; i++) {
        if (!take(p, signs[i].text)) continue;
        rc = unary(p);
        if (!rc && signs[i].op != X_CONST)
            rc = add(p, (qdx_op){.op = (uint16_t)signs[i].op, .a = (uint16_t)(p->top - 1)});
    }
    if (rc == 1) rc = primary(p);
    p->depth--;
    return rc;
}

/* Operators from the loosest level to the tightest; longer ones before those that begin them. */
static const struct {
    uint8_t level;
    const char *text, *not ; /* not where this follows */
    qdx_opcode op;
} operators[] = {
    {0, "||", "", X_OR},     {1, "&&", "", X_AND},  {2, "|", "|", X_BITOR}, {3, "^", "", X_XOR},
    {4, "&", "&", X_BITAND}, {5, "==", "", X_EQ},   {5, "!=", "", X_NE},    {6, "<=", "", X_LE},
    {6, ">=", "", X_GE},     {6, "<", "<", X_LT},   {6, ">", ">", X_GT},    {7, "<<", "", X_SHL},
    {7, ">>>", "", X_USHR},  {7, ">>", ">", X_SHR}, {8, "+", "", X_ADD},    {8, "-", "", X_SUB},
    {9, "*", "", X_MUL},     {9, "/", "", X_DIV},   {9, "%", "", X_REM}};
#define LEVELS 10u

static int binary(parser *p, uint32_t level)
{
    if (level == LEVELS) return unary(p);
    uint32_t a = p->top;
    int rc = binary(p, level + 1);
    for (bool more = true; !rc && more;) {
        more = false;
        spaces(p);
        for (size_t i = 0; i < QD_COUNT_OF(operators) && !more; i++) {
            size_t n = strlen(operators[i].text);
            if (operators[i].level != level || !starts(p, operators[i].text)) continue;
            char next = p->at + n < p->s.n ? p->s.p[p->at + n] : 0;
            if (*operators[i].not &&next == *operators[i].not ) continue;
            p->at += (uint32_t)n;
            more = true;
            rc = binary(p, level + 1);
            if (!rc)
                rc = add(p, (qdx_op){.op = (uint16_t)operators[i].op,
                                     .a = (uint16_t)a,
                                     .b = (uint16_t)(a + 1)});
        }
    }
    return rc;
}

static int formula(parser *p)
{
    if (++p->depth > QDX_DEPTH)
        return fail(p, p->at, "the expression is too deep%.*s", (qd_str){"", 0});
    uint32_t a = p->top;
    int rc = binary(p, 0);
    if (!rc && take(p, "?")) {
        rc = formula(p);
        if (!rc && !take(p, ":")) rc = unexpected(p);
        if (!rc) rc = formula(p);
        if (!rc)
            rc = add(p, (qdx_op){.op = X_SELECT,
                                 .a = (uint16_t)a,
                                 .b = (uint16_t)(a + 1),
                                 .c = (uint16_t)(a + 2)});
    }
    p->depth--;
    return rc;
}

int qdx_parse(qdx_formula *f, uint32_t *at, qd_err *err)
{
    parser p = {.f = f, .s = f->source, .err = err};
    int rc = formula(&p);
    spaces(&p);
    if (!rc && p.at < p.s.n) rc = unexpected(&p);
    *at = p.at;
    return rc;
}
