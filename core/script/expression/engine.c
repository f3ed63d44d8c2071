/*
 * engine.c: expressions as a language of core/script. A missing value is 0, a boolean 1 or 0, a
 * date its milliseconds.
 */
#include "script/expression/engine.h"
#include "base/geo.h"
#include "script/batch_int.h"
#include "script/expression/formula_int.h"
#include "script/object.h"
#include <math.h>

static void formula_free(void *compiled)
{
    qdx_formula *f = compiled;
    qd_vec_fini(&f->ops);
    qd_vec_fini(&f->vars);
    qd_vec_fini(&f->fields);
    qd_arena_fini(&f->arena);
    qd_free(f);
}

/* The error of a source in Elasticsearch's shape, around what err has. */
static int script_error(qd_err *err, const char *what, qd_str source, uint32_t at)
{
    qd_buf line, stack;
    qd_json_writer w;
    if (!err) return QD_E_ARG;
    qd_str shown = qd_str_sub(source, 0, 200);
    qd_buf_init(&line, NULL, 1u << 20);
    qd_buf_init(&stack, NULL, 1u << 20);
    qd_json_writer_init(&w, &stack, false);
    qd_json_array(&w);
    qd_json_str(&w, shown);
    for (uint32_t i = 0; i < at && i < shown.n; i++) (void)qd_buf_char(&line, ' ');
    (void)qd_buf_c(&line, "^---- HERE");
    qd_json_str(&w, qd_buf_view(&line));
    qd_json_array_end(&w);
    (void)qd_err_wrap(err, QD_E_ARG, "%s", what);
    qd_err_type(err, "script_exception", 400);
    qd_err_detail_raw(err, "script_stack", qd_buf_view(&stack));
    qd_err_detail_str(err, "script", source);
    qd_err_detail_str(err, "lang", QD_STR("expression"));
    qd_buf_fini(&line);
    qd_buf_fini(&stack);
    return QD_E_ARG;
}

static int compile(qd_str source, qd_script_context context, uint8_t variant, qd_account *account,
                   void **out, size_t *bytes, qd_err *err)
{
    uint32_t at = 0;
    (void)variant;
    qdx_formula *f = qd_calloc(account, sizeof *f);
    if (!f) return qd_err_nomem(err, "a script");
    qd_arena_init(&f->arena, account, 8u << 20);
    f->context = context;
    f->source = qd_arena_str(&f->arena, source);
    int rc = f->source.p || !source.n ? qdx_parse(f, &at, err) : qd_err_nomem(err, "a script");
    if (rc) {
        if (rc == QD_E_ARG) rc = script_error(err, "compile error", f->source, at);
        formula_free(f);
        return rc;
    }
    *bytes = f->arena.total + sizeof *f + f->ops.cap * sizeof(qdx_op) +
             f->vars.cap * sizeof(qdx_var) + f->fields.cap * sizeof(qd_str);
    *out = f;
    return 0;
}

/* --- values ----------------------------------------------------------------------------------- */

static bool numeric(const qd_sv *v, double *out)
{
    switch (v->tag) {
    case QD_SV_BOOL:
    case QD_SV_BYTE:
    case QD_SV_SHORT:
    case QD_SV_INT:
    case QD_SV_LONG:
        *out = (double)v->i;
        return true;
    case QD_SV_FLOAT:
    case QD_SV_DOUBLE:
        *out = v->f;
        return true;
    case QD_SV_DATE:
        *out = (double)((const qd_sv_time *)v->object)->ms;
        return true;
    default:
        return false;
    }
}

static int wrong(const qdx_var *v, const char *fmt, qd_err *err)
{
    (void)qd_err_set(err, QD_E_ARG, fmt, QD_STR_ARG(v->name));
    qd_err_type(err, "parse_exception", 0);
    return QD_E_ARG;
}

static int number_at(const qd_script_values *v, uint32_t i, double *out)
{
    return numeric(&v->v[i], out) ? 0 : QD_E_ARG;
}

/* All values of a field as one; they are in order. */
static int fold(const qdx_var *x, const qd_script_values *v, double *out, qd_err *err)
{
    double one = 0, sum = 0;
    for (uint32_t i = 0; i < v->n; i++) {
        if (number_at(v, i, &one))
            return wrong(x, "Field [%.*s] must be numeric, date, or geopoint", err);
        sum += one;
        if (i == 0) *out = one;
        if (x->ask == ASK_MAX) *out = i && *out > one ? *out : one;
    }
    if (x->ask == ASK_SUM || x->ask == ASK_AVG) *out = x->ask == ASK_SUM ? sum : sum / v->n;
    if (x->ask != ASK_MEDIAN || v->n < 2) return 0;
    (void)number_at(v, v->n / 2, out);
    if (v->n % 2 == 0) {
        (void)number_at(v, v->n / 2 - 1, &one);
        *out = (*out + one) / 2;
    }
    return 0;
}

static int field_value(const qd_script_exec *x, const qdx_var *v, double *out, qd_err *err)
{
    qd_script_values values;
    const qd_script_host *h = &x->host;
    int rc = h->values ? h->values(h->self, v->field, v->name, &values, err) : QD_E_ARG;
    if (rc == QD_E_NOMEM) return rc;
    if (rc) {
        bool missing = !h->values || (h->has && !h->has(h->self, v->name));
        if (err) qd_err_fini(err);
        return wrong(v,
                     missing ? "Field [%.*s] does not exist in mappings"
                             : "Field [%.*s] must be numeric, date, or geopoint",
                     err);
    }
    *out = 0;
    if (values.vector) return wrong(v, "Field [%.*s] must be numeric, date, or geopoint", err);
    if (v->ask == ASK_EMPTY || v->ask == ASK_LENGTH) {
        *out = v->ask == ASK_EMPTY ? values.n == 0 : values.n;
        return 0;
    }
    if (!values.n) return 0;
    const qd_sv *first = values.v;
    if (v->ask == ASK_LAT || v->ask == ASK_LON) {
        if (first->tag != QD_SV_GEO) return wrong(v, "Field [%.*s] must be a geopoint", err);
        const qd_geo *p = first->object;
        *out = v->ask == ASK_LAT ? p->lat : p->lon;
        return 0;
    }
    if (v->ask != ASK_DATE) return fold(v, &values, out, err);
    if (first->tag != QD_SV_DATE) return wrong(v, "Field [%.*s] must be a date", err);
    *out = qdx_date_part(v->unit, ((const qd_sv_time *)first->object)->ms);
    return 0;
}

static int param_value(const qd_sv *params, const qdx_var *v, double *out, qd_err *err)
{
    const qd_sv *p = params->tag == QD_SV_MAP ? qd_sv_map_get(params->map, v->name) : NULL;
    if (!p) return wrong(v, "Unknown variable [%.*s]", err);
    return numeric(p, out) ? 0 : wrong(v, "Parameter [%.*s] must be a numeric type", err);
}

static int value_of(const qd_script_exec *x, const qdx_var *v, double *out, qd_err *err)
{
    switch (v->kind) {
    case V_SCORE:
        return numeric(&x->vars[QD_SCRIPT_V_SCORE], out) ? 0 : wrong(v, "no [%.*s] here", err);
    case V_VALUE:
        return numeric(&x->vars[QD_SCRIPT_V_VALUE], out)
                   ? 0
                   : wrong(v, "Expected [%.*s] to be a number", err);
    case V_PARAM:
        return param_value(&x->vars[QD_SCRIPT_V_PARAMS], v, out, err);
    default:
        return field_value(x, v, out, err);
    }
}

/* --- operations ------------------------------------------------------------------------------- */

static int64_t whole(double v)
{
    if (v != v) return 0;
    if (v >= 9223372036854775808.0) return INT64_MAX;
    return v <= -9223372036854775808.0 ? INT64_MIN : (int64_t)v;
}

/* Kilometers between two points in degrees, by the sine of half the angle. */
static double haversin(const double *at)
{
    const double radian = 0.017453292519943295;
    double lat1 = at[0] * radian, lat2 = at[2] * radian;
    double a = sin((at[2] - at[0]) * radian / 2), b = sin((at[3] - at[1]) * radian / 2);
    double h = a * a + cos(lat1) * cos(lat2) * b * b;
    return 2 * 6371.0087714 * asin(fmin(1, sqrt(h)));
}

static double bits(uint32_t op, int64_t a, int64_t b)
{
    uint64_t u = (uint64_t)a;
    switch (op) {
    case X_BITAND:
        return (double)(a & b);
    case X_BITOR:
        return (double)(a | b);
    case X_XOR:
        return (double)(a ^ b);
    case X_SHL:
        return (double)(int64_t)(u << (b & 63));
    case X_SHR:
        return (double)(a >> (b & 63));
    default:
        return (double)(int64_t)(u >> (b & 63));
    }
}

static double compared(uint32_t op, double a, double b)
{
    switch (op) {
    case X_LT:
        return a < b;
    case X_LE:
        return a <= b;
    case X_GT:
        return a > b;
    case X_GE:
        return a >= b;
    case X_EQ:
        return a == b;
    case X_NE:
        return a != b;
    case X_AND:
        return a != 0 && b != 0;
    default:
        return a != 0 || b != 0;
    }
}

static double operate(const qdx_op *o, const double *r)
{
    double a = r[o->a], b = r[o->b];
    switch (o->op) {
    case X_ADD:
        return a + b;
    case X_SUB:
        return a - b;
    case X_MUL:
        return a * b;
    case X_DIV:
        return a / b;
    case X_REM:
        return fmod(a, b);
    case X_NEG:
        return -a;
    case X_NOT:
        return a == 0;
    case X_BITNOT:
        return (double)~whole(a);
    case X_SELECT:
        return a != 0 ? b : r[o->c];
    case X_CALL1:
        return o->fn1(a);
    case X_CALL2:
        return o->fn2(a, b);
    case X_HAVERSIN:
        return haversin(&r[o->a]);
    default:
        return o->op >= X_LT ? compared(o->op, a, b) : bits(o->op, whole(a), whole(b));
    }
}

static int run(const void *compiled, qd_script_exec *x, qd_sv *out, qd_err *err)
{
    const qdx_formula *f = compiled;
    double r[QDX_REGS + 4];
    int rc = 0;
    for (size_t i = 0; i < f->ops.n && !rc; i++) {
        const qdx_op *o = &f->ops.at[i];
        if (o->op == X_CONST)
            r[o->a] = o->f;
        else if (o->op == X_VAR)
            rc = value_of(x, &f->vars.at[o->b], &r[o->a], err);
        else
            r[o->a] = operate(o, r);
    }
    if (rc == QD_E_ARG) return script_error(err, "link error", f->source, 0);
    if (rc) return rc;
    uint8_t want = qd_script_context_get(f->context)->result;
    *out = want == QD_SV_BOOL ? qd_sv_bool(r[0] != 0) : qd_sv_double(r[0]);
    return 0;
}

static void close_run(qd_script_exec *x)
{
    (void)x;
}

static uint32_t fields(const void *compiled, const qd_str **names)
{
    const qdx_formula *f = compiled;
    *names = f->fields.at;
    return (uint32_t)f->fields.n;
}

static bool uses(const void *compiled, qd_script_var v)
{
    const qdx_formula *f = compiled;
    for (size_t i = 0; i < f->vars.n; i++) {
        if (v == QD_SCRIPT_V_SCORE && f->vars.at[i].kind == V_SCORE) return true;
        if (v == QD_SCRIPT_V_VALUE && f->vars.at[i].kind == V_VALUE) return true;
        if (v == QD_SCRIPT_V_PARAMS && f->vars.at[i].kind == V_PARAM) return true;
        if (v == QD_SCRIPT_V_DOC && f->vars.at[i].kind == V_FIELD) return true;
    }
    return false;
}

/* --- blocks of documents ---------------------------------------------------------------------- */

static bool batch_var(const qdx_formula *f, const qdx_op *o, const uint8_t *kinds,
                      const qd_sv *params, struct qd_script_batch *b)
{
    const qdx_var *v = &f->vars.at[o->b];
    qdi_batch_op *to = &b->ops[b->n++];
    *to = (qdi_batch_op){.a = o->a, .b = v->field};
    if (v->kind == V_PARAM) {
        to->op = QDI_BATCH_CONST_F;
        return param_value(params, v, &to->f, NULL) == 0;
    }
    to->op = v->kind == V_SCORE ? QDI_BATCH_SCORE : QDI_BATCH_COLUMN;
    if (v->kind == V_SCORE) return true;
    if (v->kind != V_FIELD || v->ask != ASK_VALUE || !kinds[v->field]) return false;
    if (kinds[v->field] != QD_SCRIPT_KIND_LONG) return true;
    if (b->n == QDI_BATCH_OPS) return false;
    b->ops[b->n++] = (qdi_batch_op){.op = QDI_BATCH_TO_F, .a = o->a, .b = o->a};
    return true;
}

static bool batch_op(const qdx_op *o, struct qd_script_batch *b)
{
    static const uint8_t ops[] = {
        [X_ADD] = QDI_BATCH_ADD,     [X_SUB] = QDI_BATCH_SUB,    [X_MUL] = QDI_BATCH_MUL,
        [X_DIV] = QDI_BATCH_DIV,     [X_REM] = QDI_BATCH_REM,    [X_NEG] = QDI_BATCH_NEG,
        [X_CALL1] = QDI_BATCH_CALL1, [X_CALL2] = QDI_BATCH_CALL2};
    if (o->op >= sizeof ops || !ops[o->op]) return false;
    qdi_batch_op *to = &b->ops[b->n++];
    *to = (qdi_batch_op){.op = ops[o->op], .a = o->a, .b = o->a, .c = o->b};
    if (o->op == X_CALL1) to->fn1 = o->fn1;
    if (o->op == X_CALL2) to->fn2 = o->fn2;
    if (o->op == X_CALL1 && o->fn1 == sqrt) to->op = QDI_BATCH_SQRT;
    return true;
}

static int batch(const void *compiled, const uint8_t *kinds, const qd_sv *params, qd_arena *arena,
                 struct qd_script_batch **out)
{
    const qdx_formula *f = compiled;
    *out = NULL;
    if (f->nregs > QDI_BATCH_REGS || f->ops.n > QDI_BATCH_OPS) return 0;
    struct qd_script_batch *b = qd_arena_calloc(arena, sizeof *b);
    if (!b) return QD_E_NOMEM;
    b->nregs = f->nregs;
    for (size_t i = 0; i < f->ops.n; i++) {
        const qdx_op *o = &f->ops.at[i];
        if (b->n == QDI_BATCH_OPS) return 0;
        if (o->op == X_CONST)
            b->ops[b->n++] = (qdi_batch_op){.op = QDI_BATCH_CONST_F, .a = o->a, .f = o->f};
        else if (o->op == X_VAR ? !batch_var(f, o, kinds, params, b) : !batch_op(o, b))
            return 0;
    }
    *out = b;
    return 0;
}

#define IN(c) (1ull << QD_SCRIPT_##c)
const qd_script_lang qd_script_expression = {
    .name = "expression",
    .contexts = IN(AGG_SELECTOR) | IN(AGGS) | IN(BUCKET_AGG) | IN(FIELD) | IN(FILTER) |
                IN(NUMBER_SORT) | IN(SCORE) | IN(TERMS_SET),
    .standard = QD_SCRIPT_CONTEXTS,
    .compile = compile,
    .run = run,
    .close = close_run,
    .free = formula_free,
    .fields = fields,
    .uses = uses,
    .batch = batch};
