/* ops.c: operators, casts and comparisons of values of any class, by Java's rules. */
#include "script/painless/vm_int.h"
#include <math.h>

static double f64(const qd_sv *v)
{
    return qdp_f64(v);
}

int64_t qdp_to_i64(const qd_sv *v)
{
    if (v->tag < QD_SV_FLOAT) return v->i;
    if (isnan(v->f)) return 0;
    if (v->f >= 9223372036854775807.0) return INT64_MAX;
    if (v->f <= -9223372036854775808.0) return INT64_MIN;
    return (int64_t)v->f;
}

static int32_t to_i32(const qd_sv *v)
{
    if (v->tag < QD_SV_FLOAT) return (int32_t)v->i;
    int64_t i = qdp_to_i64(v);
    return i > INT32_MAX ? INT32_MAX : i < INT32_MIN ? INT32_MIN : (int32_t)i;
}

/* The class in which two numbers meet: 0 when one is none. */
static int meet(const qd_sv *a, const qd_sv *b)
{
    if (a->tag < QD_SV_BYTE || a->tag > QD_SV_DOUBLE || b->tag < QD_SV_BYTE ||
        b->tag > QD_SV_DOUBLE)
        return 0;
    int t = a->tag > b->tag ? a->tag : b->tag;
    return t < QD_SV_INT ? QD_SV_INT : t;
}

static int real(int op, double a, double b, double *out)
{
    switch (op) {
    case C_ADD:
        *out = a + b;
        return 0;
    case C_SUB:
        *out = a - b;
        return 0;
    case C_MUL:
        *out = a * b;
        return 0;
    case C_DIV:
        *out = a / b;
        return 0;
    case C_REM:
        *out = fmod(a, b);
        return 0;
    default:
        return -1;
    }
}

/* Whole numbers in 64 bits; the caller cuts to 32. */
static int whole(qdp_vm *vm, int op, int64_t a, int64_t b, bool narrow, int64_t *out)
{
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    unsigned shift = (unsigned)b & (narrow ? 31 : 63);
    switch (op) {
    case C_ADD:
        *out = (int64_t)(x + y);
        break;
    case C_SUB:
        *out = (int64_t)(x - y);
        break;
    case C_MUL:
        *out = (int64_t)(x * y);
        break;
    case C_DIV:
    case C_REM:
        if (b == 0) return qdp_throw(vm, QDI_T_ARITHMETIC, "/ by zero");
        if (b == -1)
            *out = op == C_DIV ? (int64_t)(0 - x) : 0;
        else
            *out = op == C_DIV ? a / b : a % b;
        break;
    case C_BITAND:
        *out = a & b;
        break;
    case C_XOR:
        *out = a ^ b;
        break;
    case C_BITOR:
        *out = a | b;
        break;
    case C_SHL:
        *out = (int64_t)(x << shift);
        break;
    case C_SHR:
        *out = a >> shift;
        break;
    default:
        *out = narrow ? (int64_t)((uint32_t)a >> shift) : (int64_t)(x >> shift);
    }
    return 0;
}

static const char *const op_texts[] = {
    [C_ADD] = "+",    [C_SUB] = "-", [C_MUL] = "*",   [C_DIV] = "/",  [C_REM] = "%",
    [C_BITAND] = "&", [C_XOR] = "^", [C_BITOR] = "|", [C_SHL] = "<<", [C_SHR] = ">>",
    [C_USHR] = ">>>", [C_LT] = "<",  [C_LE] = "<=",   [C_GT] = ">",   [C_GE] = ">="};

static int refuse(qdp_vm *vm, int op, const qd_sv *a, const qd_sv *b)
{
    if (a->tag == QD_SV_NULL || b->tag == QD_SV_NULL)
        return qdp_throw(vm, QDI_T_NULL_POINTER, "Cannot apply [%s] operation to null",
                         op_texts[op]);
    return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot apply [%s] operation to types [%s] and [%s].",
                     op_texts[op], qdp_class(a), qdp_class(b));
}

static int order(int op, int cmp, bool unordered, qd_sv *out)
{
    bool v = op == C_LT ? cmp < 0 : op == C_LE ? cmp <= 0 : op == C_GT ? cmp > 0 : cmp >= 0;
    *out = qd_sv_bool(v && !unordered);
    return 0;
}

int qdp_arith(qdp_vm *vm, int op, const qd_sv *a, const qd_sv *b, qd_sv *out)
{
    int t = meet(a, b);
    bool compare = op >= C_LT && op <= C_GE;
    if (!t && op == C_ADD && (a->tag == QD_SV_STRING || b->tag == QD_SV_STRING)) {
        qd_sv x, y;
        if (qdp_text(vm, a, &x) || qdp_text(vm, b, &y)) return -1;
        qd_str s = qd_arena_printf(&vm->x->arena, "%.*s%.*s", (int)x.n, x.p, (int)y.n, y.p);
        if (!s.p) return qdp_nomem(vm);
        *out = qd_sv_str(s);
        return 0;
    }
    if (a->tag == QD_SV_BOOL && b->tag == QD_SV_BOOL && op >= C_BITAND && op <= C_BITOR) {
        *out = qd_sv_bool(op == C_BITAND ? a->i & b->i : op == C_XOR ? a->i ^ b->i : a->i | b->i);
        return 0;
    }
    if (!t) return refuse(vm, op, a, b);
    bool shift = op == C_SHL || op == C_SHR || op == C_USHR;
    if (shift) t = a->tag < QD_SV_INT ? QD_SV_INT : a->tag;
    if (compare) {
        if (t < QD_SV_FLOAT) return order(op, a->i < b->i ? -1 : a->i > b->i, false, out);
        double x = f64(a), y = f64(b);
        return order(op, x < y ? -1 : x > y, isnan(x) || isnan(y), out);
    }
    if (t >= QD_SV_FLOAT) {
        double v = 0;
        if (real(op, f64(a), f64(b), &v)) return refuse(vm, op, a, b);
        *out = (qd_sv){.tag = (uint8_t)t, .f = t == QD_SV_FLOAT ? (float)v : v};
        return 0;
    }
    int64_t v = 0;
    if (whole(vm, op, a->i, shift ? qdp_to_i64(b) : b->i, t == QD_SV_INT, &v)) return -1;
    *out = t == QD_SV_INT ? qd_sv_int((int32_t)(uint32_t)v) : qd_sv_long(v);
    return 0;
}

int qdp_unary(qdp_vm *vm, int op, const qd_sv *a, qd_sv *out)
{
    if (!qdp_number(a) || (op == C_BITNOT && a->tag >= QD_SV_FLOAT)) {
        if (a->tag == QD_SV_NULL)
            return qdp_throw(vm, QDI_T_NULL_POINTER, "Cannot apply an operation to null");
        return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot apply [%s] operation to type [%s].",
                         op == C_NEG    ? "-"
                         : op == C_PLUS ? "+"
                                        : "~",
                         qdp_class(a));
    }
    qd_sv v = *a;
    if (v.tag < QD_SV_INT) v.tag = QD_SV_INT;
    if (v.tag >= QD_SV_FLOAT)
        v.f = op == C_NEG ? -v.f : v.f;
    else {
        uint64_t x = (uint64_t)v.i;
        x = op == C_NEG ? 0 - x : op == C_BITNOT ? ~x : x;
        v.i = v.tag == QD_SV_INT ? (int32_t)(uint32_t)x : (int64_t)x;
    }
    *out = v;
    return 0;
}

bool qdp_equal(qdp_vm *vm, const qd_sv *a, const qd_sv *b)
{
    int t = meet(a, b);
    if (!t) return qd_sv_equal_in(a, b, &vm->steps);
    if (t >= QD_SV_FLOAT) return f64(a) == f64(b);
    return a->i == b->i;
}

int qdp_compare(qdp_vm *vm, const qd_sv *a, const qd_sv *b, int *out)
{
    if (meet(a, b)) {
        if (a->tag < QD_SV_FLOAT && b->tag < QD_SV_FLOAT)
            *out = a->i < b->i ? -1 : a->i > b->i;
        else {
            double x = f64(a), y = f64(b);
            *out = x < y ? -1 : x > y ? 1 : isnan(x) ? !isnan(y) : isnan(y) ? -1 : 0;
        }
        return 0;
    }
    if (a->tag == QD_SV_NULL || b->tag == QD_SV_NULL)
        return qdp_throw(vm, QDI_T_NULL_POINTER, "cannot compare null");
    if (a->tag == b->tag && a->tag == QD_SV_STRING) {
        *out = qd_str_cmp(qd_sv_text(a), qd_sv_text(b));
        return 0;
    }
    if (a->tag == b->tag &&
        (a->tag == QD_SV_DATE || a->tag == QD_SV_INSTANT || a->tag == QD_SV_DURATION)) {
        const qd_sv_time *x = a->object, *y = b->object;
        *out = x->ms < y->ms ? -1 : x->ms > y->ms ? 1 : x->rest < y->rest ? -1 : x->rest > y->rest;
        return 0;
    }
    if (a->tag == b->tag && (a->tag == QD_SV_BOOL || a->tag == QD_SV_CHAR || a->tag == QD_SV_UNIT ||
                             a->tag == QD_SV_WEEKDAY)) {
        *out = a->i < b->i ? -1 : a->i > b->i;
        return 0;
    }
    return qdp_throw(vm, QDI_T_CLASS_CAST, "class %s cannot be cast to class %s", qdp_class(a),
                     qdp_class(b));
}

bool qdp_instance(const qd_sv *v, int type)
{
    if (v->tag == QD_SV_NULL) return false;
    if (type == QDI_T_DEF || type == QDI_T_OBJECT) return true;
    if (v->tag == QD_SV_EXCEPTION && qdp_type_tags(type) == 1ull << QD_SV_EXCEPTION)
        return qdp_exception_is(((const qdp_exception *)v->object)->type, type);
    return qdp_type_tags(type) & 1ull << v->tag;
}

static int cast_fail(qdp_vm *vm, const qd_sv *v, int type)
{
    if (v->tag == QD_SV_NULL)
        return qdp_throw(vm, QDI_T_NULL_POINTER, "Cannot cast null to a primitive type [%s].",
                         qdp_type_name(type));
    return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [%s].", qdp_class(v),
                     qdp_type_full(type));
}

static int cast_number(qdp_vm *vm, const qd_sv *v, int type, bool explicit_, qd_sv *out)
{
    uint8_t to = qdp_type_tag(type), from = v->tag;
    if (from == QD_SV_STRING && to == QD_SV_CHAR) {
        if (v->n != 1 || (unsigned char)*v->p > 127)
            return qdp_throw(
                vm, QDI_T_CLASS_CAST,
                "cannot cast [java.lang.String] with length not equal to one to [char]");
        *out = (qd_sv){.tag = QD_SV_CHAR, .i = *v->p};
        return 0;
    }
    if (from == QD_SV_BIG && explicit_) return cast_fail(vm, v, type);
    if (from < QD_SV_BYTE || from > QD_SV_DOUBLE || to == QD_SV_BOOL) return cast_fail(vm, v, type);
    bool widens = from == QD_SV_CHAR ? to >= QD_SV_INT : to > from && to != QD_SV_CHAR;
    if (!explicit_ && !widens && from != to)
        return qdp_throw(vm, QDI_T_CLASS_CAST, "cannot implicitly cast def [%s] to %s",
                         qdp_class(v), qdp_type_name(qdp_type_unboxed(type)));
    qd_sv r = {.tag = to};
    switch (to) {
    case QD_SV_BYTE:
        r.i = (int8_t)to_i32(v);
        break;
    case QD_SV_SHORT:
        r.i = (int16_t)to_i32(v);
        break;
    case QD_SV_CHAR:
        r.i = (uint16_t)to_i32(v);
        break;
    case QD_SV_INT:
        r.i = to_i32(v);
        break;
    case QD_SV_LONG:
        r.i = qdp_to_i64(v);
        break;
    case QD_SV_FLOAT:
        r.f = (float)f64(v);
        break;
    default:
        r.f = f64(v);
    }
    *out = r;
    return 0;
}

int qdp_cast(qdp_vm *vm, const qd_sv *v, int type, bool explicit_, qd_sv *out)
{
    int un = qdp_type_unboxed(type);
    if (v->tag == QD_SV_NULL && !qdp_type_primitive(type)) {
        *out = *v;
        return 0;
    }
    if (qdp_type_primitive(un)) {
        if (qdp_type_tag(un) == v->tag) {
            *out = *v;
            return 0;
        }
        return cast_number(vm, v, type, explicit_ || qdp_type_primitive(type) == false, out);
    }
    if (type == QDI_T_STRING && v->tag == QD_SV_CHAR) return qdp_text(vm, v, out);
    if (!qdp_instance(v, type)) return cast_fail(vm, v, type);
    *out = *v;
    return 0;
}
