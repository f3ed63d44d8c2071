/* lib_object.c: what all values have, numbers and their boxes, Objects, exceptions. */
#include "script/painless/lib_int.h"
#include "json/number.h"
#include <math.h>

int qdp_arg_int(qdp_vm *vm, const qd_sv *v, int64_t *out)
{
    if (!qdp_number(v) && v->tag != QD_SV_CHAR) {
        if (v->tag == QD_SV_NULL) return qdp_throw(vm, QDI_T_NULL_POINTER, "an argument is null");
        return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [int].", qdp_class(v));
    }
    *out = qdp_to_i64(v);
    return 0;
}

int qdp_arg_f64(qdp_vm *vm, const qd_sv *v, double *out)
{
    if (!qdp_number(v) && v->tag != QD_SV_CHAR) {
        if (v->tag == QD_SV_NULL) return qdp_throw(vm, QDI_T_NULL_POINTER, "an argument is null");
        return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [double].", qdp_class(v));
    }
    *out = qdp_f64(v);
    return 0;
}

int qdp_arg_str(qdp_vm *vm, const qd_sv *v, qd_str *out)
{
    qd_sv t;
    if (v->tag == QD_SV_BUILDER || v->tag == QD_SV_CHAR) {
        if (qdp_text(vm, v, &t)) return -1;
        *out = qd_sv_text(&t);
        return 0;
    }
    if (v->tag != QD_SV_STRING) {
        if (v->tag == QD_SV_NULL) return qdp_throw(vm, QDI_T_NULL_POINTER, "an argument is null");
        return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [java.lang.String].",
                         qdp_class(v));
    }
    *out = qd_sv_text(v);
    return 0;
}

QDI_FN(to_string)
{
    (void)n;
    return qdp_text(vm, &a[0], out);
}

QDI_FN(equals)
{
    (void)n;
    *out = qd_sv_bool(qd_sv_equal_in(&a[0], &a[1], &vm->steps));
    return qdp_steps(vm, 0);
}

QDI_FN(hash_code)
{
    QDI_UNUSED;
    uint32_t h = 0;
    if (a[0].tag == QD_SV_STRING)
        for (uint32_t i = 0; i < a[0].n; i++) h = h * 31 + (unsigned char)a[0].p[i];
    else if (a[0].tag <= QD_SV_INT)
        h = (uint32_t)a[0].i;
    else
        h = (uint32_t)qd_sv_hash(&a[0]);
    *out = qd_sv_int((int32_t)h);
    return 0;
}

QDI_FN(compare_to)
{
    (void)n;
    int c;
    if (qdp_compare(vm, &a[0], &a[1], &c)) return -1;
    *out = qd_sv_int(c);
    return 0;
}

#define VALUE(name, type)                                                                          \
    QDI_FN(name)                                                                                   \
    {                                                                                              \
        (void)n;                                                                                   \
        return qdp_cast(vm, &a[0], type, true, out);                                               \
    }
VALUE(int_value, QDI_T_INT)
VALUE(long_value, QDI_T_LONG)
VALUE(double_value, QDI_T_DOUBLE)
VALUE(float_value, QDI_T_FLOAT)
VALUE(short_value, QDI_T_SHORT)
VALUE(byte_value, QDI_T_BYTE)

QDI_FN(same)
{
    QDI_UNUSED;
    *out = a[0];
    return 0;
}

static int parse_whole(qdp_vm *vm, const qd_sv *text, int radix, bool small, qd_sv *out)
{
    qd_str s;
    if (text->tag == QD_SV_NULL)
        return qdp_throw(vm, QDI_T_NUMBER_FORMAT, "Cannot parse null string: null");
    if (qdp_arg_str(vm, text, &s)) return -1;
    bool minus = s.n && s.p[0] == '-',
         ok = s.n > (minus || (s.n && s.p[0] == '+') ? 1u : 0u) && s.n < 66;
    unsigned __int128 v = 0;
    for (size_t i = minus || (s.n && s.p[0] == '+'); ok && i < s.n; i++) {
        int c = s.p[i], d = c >= '0' && c <= '9'                 ? c - '0'
                            : (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10
                                                                 : 99;
        v = v * (unsigned)radix + (unsigned)d;
        ok = d < radix && v <= (small ? 1u << 31 : 1ull << 63);
    }
    if (ok && !minus) ok = v < (small ? 1u << 31 : 1ull << 63);
    if (!ok)
        return qdp_throw(vm, QDI_T_NUMBER_FORMAT, "For input string: \"%.*s\"",
                         (int)(s.n < 120 ? s.n : 120), s.p);
    int64_t r = minus ? (int64_t)(0 - (uint64_t)v) : (int64_t)v;
    *out = small ? qd_sv_int((int32_t)r) : qd_sv_long(r);
    return 0;
}

QDI_FN(parse_int)
{
    int64_t radix = 10;
    if (n > 1 && qdp_arg_int(vm, &a[1], &radix)) return -1;
    if (radix < 2 || radix > 36)
        return qdp_throw(vm, QDI_T_NUMBER_FORMAT, "radix %lld out of range", (long long)radix);
    return parse_whole(vm, &a[0], (int)radix, true, out);
}

QDI_FN(parse_long)
{
    int64_t radix = 10;
    if (n > 1 && qdp_arg_int(vm, &a[1], &radix)) return -1;
    if (radix < 2 || radix > 36)
        return qdp_throw(vm, QDI_T_NUMBER_FORMAT, "radix %lld out of range", (long long)radix);
    return parse_whole(vm, &a[0], (int)radix, false, out);
}

QDI_FN(parse_double)
{
    qd_str s;
    double f = 0;
    (void)n;
    if (qdp_arg_str(vm, &a[0], &s)) return -1;
    if (qd_f64_parse_java(s, &f))
        return qdp_throw(vm, QDI_T_NUMBER_FORMAT, "For input string: \"%.*s\"",
                         (int)(s.n < 120 ? s.n : 120), s.p);
    *out = qd_sv_double(f);
    return 0;
}

QDI_FN(parse_float)
{
    qd_str s;
    float f;
    (void)n;
    if (qdp_arg_str(vm, &a[0], &s)) return -1;
    if (qd_f32_parse_java(s, &f))
        return qdp_throw(vm, QDI_T_NUMBER_FORMAT, "For input string: \"%.*s\"",
                         (int)(s.n < 120 ? s.n : 120), s.p);
    *out = (qd_sv){.tag = QD_SV_FLOAT, .f = f};
    return 0;
}

QDI_FN(parse_boolean)
{
    QDI_UNUSED;
    *out = qd_sv_bool(a[0].tag == QD_SV_STRING && qd_str_ieq(qd_sv_text(&a[0]), QD_STR("true")));
    return 0;
}

#define VALUE_OF(name, parse, type)                                                                \
    QDI_FN(name)                                                                                   \
    {                                                                                              \
        if (a[0].tag == QD_SV_STRING) return parse(vm, a, n, out);                                 \
        return qdp_cast(vm, &a[0], type, true, out);                                               \
    }
VALUE_OF(int_of, parse_int, QDI_T_INT)
VALUE_OF(long_of, parse_long, QDI_T_LONG)
VALUE_OF(double_of, parse_double, QDI_T_DOUBLE)
VALUE_OF(float_of, parse_float, QDI_T_FLOAT)
VALUE_OF(bool_of, parse_boolean, QDI_T_BOOLEAN)

QDI_FN(compare)
{
    (void)n;
    int c;
    if (qdp_compare(vm, &a[0], &a[1], &c)) return -1;
    *out = qd_sv_int(c);
    return 0;
}

static int radix_text(qdp_vm *vm, uint64_t v, unsigned radix, bool minus, qd_sv *out)
{
    char room[72];
    int at = sizeof room;
    do room[--at] = "0123456789abcdefghijklmnopqrstuvwxyz"[v % radix];
    while ((v /= radix));
    if (minus) room[--at] = '-';
    return qdp_string(vm, (qd_str){room + at, sizeof room - (size_t)at}, out);
}

QDI_FN(to_hex)
{
    (void)n;
    int64_t v;
    if (qdp_arg_int(vm, &a[0], &v)) return -1;
    return radix_text(vm, a[0].tag == QD_SV_LONG ? (uint64_t)v : (uint32_t)v, 16, false, out);
}

QDI_FN(to_binary)
{
    (void)n;
    int64_t v;
    if (qdp_arg_int(vm, &a[0], &v)) return -1;
    return radix_text(vm, a[0].tag == QD_SV_LONG ? (uint64_t)v : (uint32_t)v, 2, false, out);
}

QDI_FN(to_radix)
{
    int64_t v, radix = 10;
    if (n < 2) return qdp_text(vm, &a[0], out);
    if (qdp_arg_int(vm, &a[0], &v) || qdp_arg_int(vm, &a[1], &radix)) return -1;
    if (radix < 2 || radix > 36) radix = 10;
    return radix_text(vm, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, (unsigned)radix, v < 0, out);
}

QDI_FN(bit_count)
{
    (void)n;
    int64_t v;
    if (qdp_arg_int(vm, &a[0], &v)) return -1;
    *out = qd_sv_int(__builtin_popcountll(a[0].tag == QD_SV_LONG ? (uint64_t)v : (uint32_t)v));
    return 0;
}

QDI_FN(is_nan)
{
    (void)n;
    double f = 0;
    if (qdp_arg_f64(vm, &a[0], &f)) return -1;
    *out = qd_sv_bool(isnan(f));
    return 0;
}

QDI_FN(is_infinite)
{
    (void)n;
    double f = 0;
    if (qdp_arg_f64(vm, &a[0], &f)) return -1;
    *out = qd_sv_bool(isinf(f));
    return 0;
}

QDI_FN(is_null)
{
    QDI_UNUSED;
    *out = qd_sv_bool(a[0].tag == QD_SV_NULL);
    return 0;
}

QDI_FN(non_null)
{
    QDI_UNUSED;
    *out = qd_sv_bool(a[0].tag != QD_SV_NULL);
    return 0;
}

QDI_FN(require)
{
    qd_str s = {0};
    if (a[0].tag == QD_SV_NULL) {
        if (n > 1 && qdp_arg_str(vm, &a[1], &s)) return -1;
        return qdp_throw(vm, QDI_T_NULL_POINTER, "%.*s", QD_STR_ARG(s));
    }
    *out = a[0];
    return 0;
}

QDI_FN(text_or)
{
    if (n > 1 && a[0].tag == QD_SV_NULL) {
        *out = a[1];
        return 0;
    }
    return qdp_text(vm, &a[0], out);
}

QDI_FN(exception_new)
{
    qdp_exception *e = qd_arena_calloc(&vm->x->arena, sizeof *e);
    if (!e) return qdp_nomem(vm);
    e->type = out->more;
    if (n && a[0].tag == QD_SV_STRING) e->message = qd_sv_text(&a[0]);
    *out = (qd_sv){.tag = QD_SV_EXCEPTION, .object = e};
    return 0;
}

QDI_FN(message)
{
    QDI_UNUSED;
    const qdp_exception *e = a[0].object;
    *out = e->message.p ? qd_sv_str(e->message) : qd_sv_null();
    return 0;
}

static bool letter(int64_t c, bool digit)
{
    return digit ? c >= '0' && c <= '9' : ((c | 32) >= 'a' && (c | 32) <= 'z') || c > 0xBF;
}
QDI_FN(is_digit)
{
    (void)n;
    int64_t c = 0;
    if (qdp_arg_int(vm, &a[0], &c)) return -1;
    *out = qd_sv_bool(letter(c, true));
    return 0;
}
QDI_FN(is_letter)
{
    (void)n;
    int64_t c = 0;
    if (qdp_arg_int(vm, &a[0], &c)) return -1;
    *out = qd_sv_bool(letter(c, false));
    return 0;
}
QDI_FN(is_alnum)
{
    (void)n;
    int64_t c = 0;
    if (qdp_arg_int(vm, &a[0], &c)) return -1;
    *out = qd_sv_bool(letter(c, false) || letter(c, true));
    return 0;
}
QDI_FN(is_white)
{
    (void)n;
    int64_t c = 0;
    if (qdp_arg_int(vm, &a[0], &c)) return -1;
    *out = qd_sv_bool(c == ' ' || (c >= 9 && c <= 13) || (c >= 28 && c <= 31));
    return 0;
}
QDI_FN(is_upper)
{
    (void)n;
    int64_t c = 0;
    if (qdp_arg_int(vm, &a[0], &c)) return -1;
    *out = qd_sv_bool(c >= 'A' && c <= 'Z');
    return 0;
}
QDI_FN(is_lower)
{
    (void)n;
    int64_t c = 0;
    if (qdp_arg_int(vm, &a[0], &c)) return -1;
    *out = qd_sv_bool(c >= 'a' && c <= 'z');
    return 0;
}
QDI_FN(numeric)
{
    (void)n;
    int64_t c = 0;
    if (qdp_arg_int(vm, &a[0], &c)) return -1;
    *out = qd_sv_int(letter(c, true)                      ? (int32_t)c - '0'
                     : (c | 32) >= 'a' && (c | 32) <= 'z' ? (int32_t)(c | 32) - 'a' + 10
                                                          : -1);
    return 0;
}

bool qdp_constant_find(int owner, qd_str name, qd_sv *out, int *type)
{
    const struct {
        int owner;
        const char *name;
        qd_sv v;
        int type;
    } constants[] = {
        {QDI_T_INT, "MAX_VALUE", qd_sv_int(INT32_MAX), QDI_T_INT},
        {QDI_T_INT, "MIN_VALUE", qd_sv_int(INT32_MIN), QDI_T_INT},
        {QDI_T_LONG, "MAX_VALUE", qd_sv_long(INT64_MAX), QDI_T_LONG},
        {QDI_T_LONG, "MIN_VALUE", qd_sv_long(INT64_MIN), QDI_T_LONG},
        {QDI_T_DOUBLE, "MAX_VALUE", qd_sv_double(1.7976931348623157e308), QDI_T_DOUBLE},
        {QDI_T_DOUBLE, "MIN_VALUE", qd_sv_double(4.9e-324), QDI_T_DOUBLE},
        {QDI_T_DOUBLE, "NaN", qd_sv_double((double)NAN), QDI_T_DOUBLE},
        {QDI_T_DOUBLE, "POSITIVE_INFINITY", qd_sv_double((double)INFINITY), QDI_T_DOUBLE},
        {QDI_T_DOUBLE, "NEGATIVE_INFINITY", qd_sv_double((double)-INFINITY), QDI_T_DOUBLE},
        {QDI_T_FLOAT, "MAX_VALUE", {.tag = QD_SV_FLOAT, .f = 3.4028234663852886e38}, QDI_T_FLOAT},
        {QDI_T_FLOAT, "MIN_VALUE", {.tag = QD_SV_FLOAT, .f = 1.401298464324817e-45}, QDI_T_FLOAT},
        {QDI_T_SHORT, "MAX_VALUE", {.tag = QD_SV_SHORT, .i = INT16_MAX}, QDI_T_SHORT},
        {QDI_T_BYTE, "MAX_VALUE", {.tag = QD_SV_BYTE, .i = INT8_MAX}, QDI_T_BYTE},
        {QDI_T_BOOLEAN, "TRUE", qd_sv_bool(true), QDI_T_BOOLEAN},
        {QDI_T_BOOLEAN, "FALSE", qd_sv_bool(false), QDI_T_BOOLEAN},
        {QDI_T_MATH, "PI", qd_sv_double(3.141592653589793), QDI_T_DOUBLE},
        {QDI_T_MATH, "E", qd_sv_double(2.718281828459045), QDI_T_DOUBLE},
        {QDI_T_ZONE_OFFSET, "UTC", {.tag = QD_SV_ZONE}, QDI_T_ZONE_OFFSET}};
    static const char *const units[] = {"NANOS",   "MICROS", "MILLIS",    "SECONDS",
                                        "MINUTES", "HOURS",  "HALF_DAYS", "DAYS",
                                        "WEEKS",   "MONTHS", "YEARS",     NULL};
    int o = owner == QDI_T_STRICT_MATH ? QDI_T_MATH : qdp_type_unboxed(owner);
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (constants[i].owner == o && qd_str_is(name, constants[i].name)) {
            *out = constants[i].v;
            *type = constants[i].type;
            return true;
        }
    const char *const *names = owner == QDI_T_UNIT      ? units
                               : owner == QDI_T_WEEKDAY ? qd_sv_weekdays
                                                        : NULL;
    for (int i = 0; names && names[i]; i++)
        if (qd_str_is(name, names[i])) {
            *out = (qd_sv){.tag = owner == QDI_T_UNIT ? QD_SV_UNIT : QD_SV_WEEKDAY, .i = i};
            *type = owner;
            return true;
        }
    static const char *const formats[] = {"ISO_INSTANT",
                                          "ISO_DATE_TIME",
                                          "ISO_ZONED_DATE_TIME",
                                          "ISO_OFFSET_DATE_TIME",
                                          "ISO_LOCAL_DATE",
                                          "ISO_LOCAL_DATE_TIME",
                                          "ISO_DATE",
                                          NULL};
    for (int i = 0; owner == QDI_T_FORMATTER && formats[i]; i++)
        if (qd_str_is(name, formats[i])) {
            *out = (qd_sv){.tag = QD_SV_FORMAT, .more = i < 4 ? 1 : i == 5 ? 3 : 2};
            *type = owner;
            return true;
        }
    return false;
}

#define NUMBERS                                                                                    \
    (QDI_TAG(BYTE) | QDI_TAG(SHORT) | QDI_TAG(INT) | QDI_TAG(LONG) | QDI_TAG(FLOAT) |              \
     QDI_TAG(DOUBLE))
const qdp_method qdp_lib_object[] = {
    {"toString", 0, 0, QDI_T_STRING, QDI_ANY, to_string},
    {"equals", 1, 0, QDI_T_BOOLEAN, QDI_ANY, equals},
    {"hashCode", 0, 0, QDI_T_INT, QDI_ANY, hash_code},
    {"compareTo", 1, 0, QDI_T_INT,
     NUMBERS | QDI_TAG(STRING) | QDI_TAG(BOOL) | QDI_TAG(CHAR) | QDI_TAG(DATE) | QDI_TAG(INSTANT) |
         QDI_TAG(DURATION),
     compare_to},
    {"intValue", 0, 0, QDI_T_INT, NUMBERS, int_value},
    {"longValue", 0, 0, QDI_T_LONG, NUMBERS, long_value},
    {"doubleValue", 0, 0, QDI_T_DOUBLE, NUMBERS, double_value},
    {"floatValue", 0, 0, QDI_T_FLOAT, NUMBERS, float_value},
    {"shortValue", 0, 0, QDI_T_SHORT, NUMBERS, short_value},
    {"byteValue", 0, 0, QDI_T_BYTE, NUMBERS, byte_value},
    {"booleanValue", 0, 0, QDI_T_BOOLEAN, QDI_TAG(BOOL), same},
    {"charValue", 0, 0, QDI_T_CHAR, QDI_TAG(CHAR), same},
    {"isNaN", 0, 0, QDI_T_BOOLEAN, QDI_TAG(DOUBLE) | QDI_TAG(FLOAT), is_nan},
    {"isInfinite", 0, 0, QDI_T_BOOLEAN, QDI_TAG(DOUBLE) | QDI_TAG(FLOAT), is_infinite},
    {"parseInt", 1, QDI_T_INT, QDI_T_INT, 0, parse_int},
    {"parseInt", 2, QDI_T_INT, QDI_T_INT, 0, parse_int},
    {"parseLong", 1, QDI_T_LONG, QDI_T_LONG, 0, parse_long},
    {"parseLong", 2, QDI_T_LONG, QDI_T_LONG, 0, parse_long},
    {"parseDouble", 1, QDI_T_DOUBLE, QDI_T_DOUBLE, 0, parse_double},
    {"parseFloat", 1, QDI_T_FLOAT, QDI_T_FLOAT, 0, parse_float},
    {"parseBoolean", 1, QDI_T_BOOLEAN, QDI_T_BOOLEAN, 0, parse_boolean},
    {"valueOf", 1, QDI_T_INT, QDI_T_INT, 0, int_of},
    {"valueOf", 1, QDI_T_LONG, QDI_T_LONG, 0, long_of},
    {"valueOf", 1, QDI_T_DOUBLE, QDI_T_DOUBLE, 0, double_of},
    {"valueOf", 1, QDI_T_FLOAT, QDI_T_FLOAT, 0, float_of},
    {"valueOf", 1, QDI_T_BOOLEAN, QDI_T_BOOLEAN, 0, bool_of},
    {"toString", -1, QDI_T_INT, QDI_T_STRING, 0, to_radix},
    {"toString", -1, QDI_T_LONG, QDI_T_STRING, 0, to_radix},
    {"toString", 1, QDI_T_DOUBLE, QDI_T_STRING, 0, to_radix},
    {"toString", 1, QDI_T_BOOLEAN, QDI_T_STRING, 0, to_radix},
    {"toHexString", 1, QDI_T_INT, QDI_T_STRING, 0, to_hex},
    {"toHexString", 1, QDI_T_LONG, QDI_T_STRING, 0, to_hex},
    {"toBinaryString", 1, QDI_T_INT, QDI_T_STRING, 0, to_binary},
    {"toBinaryString", 1, QDI_T_LONG, QDI_T_STRING, 0, to_binary},
    {"bitCount", 1, QDI_T_INT, QDI_T_INT, 0, bit_count},
    {"bitCount", 1, QDI_T_LONG, QDI_T_INT, 0, bit_count},
    {"isNaN", 1, QDI_T_DOUBLE, QDI_T_BOOLEAN, 0, is_nan},
    {"isInfinite", 1, QDI_T_DOUBLE, QDI_T_BOOLEAN, 0, is_infinite},
    {"compare", 2, QDI_T_INT, QDI_T_INT, 0, compare},
    {"compare", 2, QDI_T_LONG, QDI_T_INT, 0, compare},
    {"compare", 2, QDI_T_DOUBLE, QDI_T_INT, 0, compare},
    {"compare", 2, QDI_T_BOOLEAN, QDI_T_INT, 0, compare},
    {"isDigit", 1, QDI_T_CHAR, QDI_T_BOOLEAN, 0, is_digit},
    {"isLetter", 1, QDI_T_CHAR, QDI_T_BOOLEAN, 0, is_letter},
    {"isLetterOrDigit", 1, QDI_T_CHAR, QDI_T_BOOLEAN, 0, is_alnum},
    {"isWhitespace", 1, QDI_T_CHAR, QDI_T_BOOLEAN, 0, is_white},
    {"isUpperCase", 1, QDI_T_CHAR, QDI_T_BOOLEAN, 0, is_upper},
    {"isLowerCase", 1, QDI_T_CHAR, QDI_T_BOOLEAN, 0, is_lower},
    {"getNumericValue", 1, QDI_T_CHAR, QDI_T_INT, 0, numeric},
    {"isNull", 1, QDI_T_OBJECTS, QDI_T_BOOLEAN, 0, is_null},
    {"nonNull", 1, QDI_T_OBJECTS, QDI_T_BOOLEAN, 0, non_null},
    {"equals", 2, QDI_T_OBJECTS, QDI_T_BOOLEAN, 0, equals},
    {"hashCode", 1, QDI_T_OBJECTS, QDI_T_INT, 0, hash_code},
    {"requireNonNull", -1, QDI_T_OBJECTS, QDI_T_DEF, 0, require},
    {"toString", -1, QDI_T_OBJECTS, QDI_T_STRING, 0, text_or},
    {"new", 0, QDI_T_EXCEPTION, QDI_T_EXCEPTION, 0, exception_new},
    {"new", 1, QDI_T_EXCEPTION, QDI_T_EXCEPTION, 0, exception_new},
    {"getMessage", 0, 0, QDI_T_STRING, QDI_TAG(EXCEPTION), message},
    {"getLocalizedMessage", 0, 0, QDI_T_STRING, QDI_TAG(EXCEPTION), message},
    {0},
};
