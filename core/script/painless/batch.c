/*
 * batch.c: an expression of Painless as a program over columns: numbers of columns, of params and
 * of the source, _score, arithmetic and functions of Math. Types follow Painless's rules: doc
 * values are long or double, so that long operations stay whole.
 */
#include "script/batch_int.h"
#include "script/painless/vm_int.h"
#include <math.h>

typedef struct builder {
    struct qd_script_batch *b;
    const qdp_program *p;
    const uint8_t *kinds;
    const qd_sv *params;
    uint32_t top;
    uint32_t depth;
} builder;

/* A value in a register; whole: its numbers are long, and not int (narrow). */
typedef struct value {
    uint16_t reg;
    uint8_t type; /* QD_SV_LONG, QD_SV_INT, QD_SV_DOUBLE; NULL: it does not go this way */
} value;
#define NO ((value){0, QD_SV_NULL})

static qdi_batch_op *add(builder *x, int op, uint32_t a, uint32_t b, uint32_t c)
{
    if (x->b->n == QDI_BATCH_OPS || a >= QDI_BATCH_REGS) return NULL;
    qdi_batch_op *o = &x->b->ops[x->b->n++];
    *o = (qdi_batch_op){.op = (uint16_t)op, .a = (uint16_t)a, .b = (uint16_t)b, .c = (uint16_t)c};
    if (a >= x->b->nregs) x->b->nregs = a + 1;
    return o;
}

static value constant(builder *x, const qd_sv *v)
{
    bool real = v->tag == QD_SV_DOUBLE;
    if (!real && v->tag != QD_SV_INT && v->tag != QD_SV_LONG) return NO;
    qdi_batch_op *o = add(x, real ? QDI_BATCH_CONST_F : QDI_BATCH_CONST_L, x->top, 0, 0);
    if (!o) return NO;
    if (real)
        o->f = v->f;
    else
        o->i = v->i;
    return (value){(uint16_t)x->top++, v->tag};
}

static value column(builder *x, const qdp_node *doc)
{
    if (doc->kind != N_INDEX || doc->a->kind != N_NAME || !qd_str_is(doc->a->text, "doc") ||
        doc->b->kind != N_CONST || doc->b->value.tag != QD_SV_STRING)
        return NO;
    for (size_t i = 0; i < x->p->fields.n; i++) {
        if (!qd_str_eq(x->p->fields.at[i], qd_sv_text(&doc->b->value))) continue;
        if (!x->kinds[i] || !add(x, QDI_BATCH_COLUMN, x->top, (uint32_t)i, 0)) return NO;
        bool whole = x->kinds[i] == QD_SCRIPT_KIND_LONG;
        return (value){(uint16_t)x->top++, whole ? QD_SV_LONG : QD_SV_DOUBLE};
    }
    return NO;
}

static value to_double(builder *x, value v)
{
    if (v.type == QD_SV_NULL || v.type == QD_SV_DOUBLE) return v;
    if (!add(x, QDI_BATCH_TO_F, v.reg, v.reg, 0)) return NO;
    return (value){v.reg, QD_SV_DOUBLE};
}

static value build(builder *x, const qdp_node *n);

static value binary(builder *x, const qdp_node *n)
{
    static const uint8_t ops[][3] = {{O_ADD, QDI_BATCH_ADD, QDI_BATCH_ADD_L},
                                     {O_SUB, QDI_BATCH_SUB, QDI_BATCH_SUB_L},
                                     {O_MUL, QDI_BATCH_MUL, QDI_BATCH_MUL_L},
                                     {O_DIV, QDI_BATCH_DIV, QDI_BATCH_DIV_L},
                                     {O_REM, QDI_BATCH_REM, QDI_BATCH_REM_L}};
    value a = build(x, n->a), b = a.type ? build(x, n->b) : NO;
    if (!a.type || !b.type) return NO;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (ops[i][0] != n->op) continue;
        bool real = a.type == QD_SV_DOUBLE || b.type == QD_SV_DOUBLE;
        /* int wraps at 32 bits: the interpreter knows how */
        if (a.type == QD_SV_INT && b.type == QD_SV_INT) return NO;
        if (real) {
            a = to_double(x, a);
            b = to_double(x, b);
        }
        if (!a.type || !b.type || !add(x, ops[i][real ? 1 : 2], a.reg, a.reg, b.reg)) return NO;
        x->top = a.reg + 1u;
        return (value){a.reg, real ? QD_SV_DOUBLE : QD_SV_LONG};
    }
    return NO;
}

static double saturation(double v, double k)
{
    return v / (k + v);
}

static value call(builder *x, const qdp_node *n)
{
    static const struct {
        const char *name;
        double (*fn1)(double);
        double (*fn2)(double, double);
    } functions[] = {{"log", log, NULL},        {"log10", log10, NULL}, {"log1p", log1p, NULL},
                     {"exp", exp, NULL},        {"expm1", expm1, NULL}, {"sqrt", sqrt, NULL},
                     {"cbrt", cbrt, NULL},      {"sin", sin, NULL},     {"cos", cos, NULL},
                     {"tan", tan, NULL},        {"asin", asin, NULL},   {"acos", acos, NULL},
                     {"atan", atan, NULL},      {"ceil", ceil, NULL},   {"floor", floor, NULL},
                     {"rint", nearbyint, NULL}, {"pow", NULL, pow},     {"atan2", NULL, atan2},
                     {"hypot", NULL, hypot}};
    value a, b = NO;
    bool math = n->a && n->a->kind == N_TYPE && n->a->type == QDI_T_MATH;
    bool own = !n->a && qd_str_is(n->text, "saturation") && n->nargs == 2;
    if ((!math && !own) || !n->args) return NO;
    for (size_t i = 0; math && i < sizeof functions / sizeof *functions; i++) {
        if (!qd_str_is(n->text, functions[i].name)) continue;
        if (n->nargs != (functions[i].fn2 ? 2u : 1u)) return NO;
        a = to_double(x, build(x, n->args));
        if (a.type && functions[i].fn2) b = to_double(x, build(x, n->args->next));
        if (!a.type || (functions[i].fn2 && !b.type)) return NO;
        int op = functions[i].fn2           ? QDI_BATCH_CALL2
                 : functions[i].fn1 == sqrt ? QDI_BATCH_SQRT
                                            : QDI_BATCH_CALL1;
        qdi_batch_op *o = add(x, op, a.reg, a.reg, b.reg);
        if (!o) return NO;
        if (functions[i].fn2)
            o->fn2 = functions[i].fn2;
        else
            o->fn1 = functions[i].fn1;
        x->top = a.reg + 1u;
        return a;
    }
    if (!own) return NO;
    a = to_double(x, build(x, n->args));
    if (a.type) b = to_double(x, build(x, n->args->next));
    qdi_batch_op *o = a.type && b.type ? add(x, QDI_BATCH_CALL2, a.reg, a.reg, b.reg) : NULL;
    if (!o) return NO;
    o->fn2 = saturation;
    x->top = a.reg + 1u;
    return a;
}

static value field(builder *x, const qdp_node *n)
{
    if (n->flags) return NO;
    if (qd_str_is(n->text, "value")) return column(x, n->a);
    if (n->a->kind == N_NAME && qd_str_is(n->a->text, "params") && x->params->tag == QD_SV_MAP) {
        const qd_sv *v = qd_sv_map_get(x->params->map, n->text);
        return v ? constant(x, v) : NO;
    }
    qd_sv v;
    int type;
    if (n->a->kind == N_TYPE && qdp_constant_find(n->a->type, n->text, &v, &type))
        return constant(x, &v);
    return NO;
}

static value build_one(builder *x, const qdp_node *n)
{
    switch (n->kind) {
    case N_CONST:
        return constant(x, &n->value);
    case N_NAME:
        if (!qd_str_is(n->text, "_score") || !add(x, QDI_BATCH_SCORE, x->top, 0, 0)) return NO;
        return (value){(uint16_t)x->top++, QD_SV_DOUBLE};
    case N_FIELD:
        return field(x, n);
    case N_BINARY:
        return binary(x, n);
    case N_CALL:
        return call(x, n);
    case N_UNARY: {
        value v = n->op == O_SUB ? build(x, n->a) : NO;
        if (!v.type || v.type == QD_SV_INT) return NO;
        return add(x, v.type == QD_SV_LONG ? QDI_BATCH_NEG_L : QDI_BATCH_NEG, v.reg, v.reg, 0) ? v
                                                                                               : NO;
    }
    default:
        return NO;
    }
}

static value build(builder *x, const qdp_node *n)
{
    if (++x->depth > QDI_DEPTH) return NO;
    value v = build_one(x, n);
    x->depth--;
    return v;
}

int qdp_batch(const void *compiled, const uint8_t *kinds, const qd_sv *params, qd_arena *arena,
              struct qd_script_batch **out)
{
    const qdp_program *p = compiled;
    *out = NULL;
    if (!p->pure) return 0;
    builder x = {.p = p, .kinds = kinds, .params = params};
    x.b = qd_arena_calloc(arena, sizeof *x.b);
    if (!x.b) return QD_E_NOMEM;
    const qdp_node *n = p->pure;
    uint8_t emits = qd_script_context_get(p->context)->emit;
    if (emits) { /* the one thing that it does: emit(expression) */
        bool call = n->kind == N_CALL && !n->a && qd_str_is(n->text, "emit") && n->nargs == 1;
        if (!call || (emits != QD_SV_DOUBLE && emits != QD_SV_LONG)) return 0;
        n = n->args;
    }
    value v = build(&x, n);
    if (emits == QD_SV_LONG && v.type == QD_SV_DOUBLE) return 0;
    if (emits != QD_SV_LONG) v = to_double(&x, v); /* the bits of a long stay as they are */
    if (!v.type) return 0;
    x.b->result = v.reg;
    *out = x.b;
    return 0;
}
