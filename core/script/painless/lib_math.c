/* lib_math.c: Math, the functions of moving_fn and those of scores. */
#include "mapping/date_math.h"
#include "mapping/geo_read.h"
#include "script/painless/lib_int.h"
#include "json/number.h"
#include <math.h>

#define F1(name, expr)                                                                             \
    QDI_FN(name)                                                                                   \
    {                                                                                              \
        double x;                                                                                  \
        (void)n;                                                                                   \
        if (qdp_arg_f64(vm, &a[0], &x)) return -1;                                                 \
        *out = qd_sv_double(expr);                                                                 \
        return 0;                                                                                  \
    }
#define F2(name, expr)                                                                             \
    QDI_FN(name)                                                                                   \
    {                                                                                              \
        double x, y;                                                                               \
        (void)n;                                                                                   \
        if (qdp_arg_f64(vm, &a[0], &x) || qdp_arg_f64(vm, &a[1], &y)) return -1;                   \
        *out = qd_sv_double(expr);                                                                 \
        return 0;                                                                                  \
    }
F1(f_log, log(x))
F1(f_log10, log10(x))
F1(f_log1p, log1p(x))
F1(f_exp, exp(x))
F1(f_expm1, expm1(x))
F1(f_sqrt, sqrt(x))
F1(f_cbrt, cbrt(x))
F1(f_sin, sin(x))
F1(f_cos, cos(x))
F1(f_tan, tan(x))
F1(f_asin, asin(x))
F1(f_acos, acos(x))
F1(f_atan, atan(x))
F1(f_sinh, sinh(x))
F1(f_cosh, cosh(x))
F1(f_tanh, tanh(x))
F1(f_ceil, ceil(x))
F1(f_floor, floor(x))
F1(f_rint, nearbyint(x))
F1(f_signum, x > 0 ? 1.0 : x < 0 ? -1.0 : x)
F1(f_radians, x / 180.0 * 3.141592653589793)
F1(f_degrees, x * 180.0 / 3.141592653589793)
F2(f_pow, pow(x, y))
F2(f_atan2, atan2(x, y))
F2(f_hypot, hypot(x, y))
F2(f_saturation, x / (y + x))

QDI_FN(f_round)
{
    (void)n;
    double x;
    if (qdp_arg_f64(vm, &a[0], &x)) return -1;
    qd_sv v = qd_sv_double(floor(x + 0.5));
    if (x == 0.49999999999999994) v.f = 0;
    *out = qd_sv_long(qdp_to_i64(&v));
    return 0;
}

QDI_FN(f_abs)
{
    (void)n;
    qd_sv zero = qd_sv_int(0);
    double x;
    if (qdp_arg_f64(vm, &a[0], &x)) return -1;
    if (a[0].tag >= QD_SV_FLOAT) {
        *out = a[0];
        out->f = fabs(a[0].f);
        return 0;
    }
    return a[0].i < 0 ? qdp_arith(vm, C_SUB, &zero, &a[0], out)
                      : qdp_arith(vm, C_ADD, &zero, &a[0], out);
}

static int extreme(qdp_vm *vm, qd_sv *a, bool max, qd_sv *out)
{
    double x, y;
    qd_sv zero = qd_sv_int(0), left, right;
    if (qdp_arg_f64(vm, &a[0], &x) || qdp_arg_f64(vm, &a[1], &y)) return -1;
    bool first = isnan(x) || (!isnan(y) && (max ? x >= y : x <= y));
    if (a[0].tag < QD_SV_FLOAT && a[1].tag < QD_SV_FLOAT)
        first = max ? a[0].i >= a[1].i : a[0].i <= a[1].i;
    left = first ? a[0] : a[1];
    right = first ? a[1] : a[0];
    /* in the class in which both meet */
    if (qdp_arith(vm, C_ADD, &left, &zero, &left) || qdp_arith(vm, C_MUL, &right, &zero, &right))
        return -1;
    if (left.tag >= QD_SV_FLOAT && right.tag <= left.tag) {
        *out = left;
        return 0;
    }
    if (right.tag >= QD_SV_FLOAT)
        return qdp_cast(vm, &left, right.tag == QD_SV_FLOAT ? QDI_T_FLOAT : QDI_T_DOUBLE, true,
                        out);
    return qdp_arith(vm, C_ADD, &left, &right, out);
}
QDI_FN(f_max)
{
    (void)n;
    return extreme(vm, a, true, out);
}
QDI_FN(f_min)
{
    (void)n;
    return extreme(vm, a, false, out);
}

QDI_FN(f_floor_div)
{
    (void)n;
    int64_t x, y;
    if (qdp_arg_int(vm, &a[0], &x) || qdp_arg_int(vm, &a[1], &y)) return -1;
    if (y == 0) return qdp_throw(vm, QDI_T_ARITHMETIC, "/ by zero");
    int64_t q = y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
    if (y != -1 && x % y != 0 && (x < 0) != (y < 0)) q--;
    *out = a[0].tag == QD_SV_LONG || a[1].tag == QD_SV_LONG ? qd_sv_long(q) : qd_sv_int((int32_t)q);
    return 0;
}
QDI_FN(f_floor_mod)
{
    (void)n;
    int64_t x, y;
    if (qdp_arg_int(vm, &a[0], &x) || qdp_arg_int(vm, &a[1], &y)) return -1;
    if (y == 0) return qdp_throw(vm, QDI_T_ARITHMETIC, "/ by zero");
    int64_t r = y == -1 ? 0 : x % y;
    if (r && (r < 0) != (y < 0)) r += y;
    *out = a[0].tag == QD_SV_LONG || a[1].tag == QD_SV_LONG ? qd_sv_long(r) : qd_sv_int((int32_t)r);
    return 0;
}

/* Math.random, from a generator of the run: not for secrets. */
QDI_FN(f_random)
{
    QDI_UNUSED;
    uint64_t *s = vm->random, t = s[0];
    const uint64_t u = s[1];
    s[0] = u;
    t ^= t << 23;
    s[1] = t ^ u ^ (t >> 18) ^ (u >> 5);
    *out = qd_sv_double((double)((s[1] + u) >> 11) * 0x1.0p-53);
    return 0;
}

#define MD QDI_T_MATH, QDI_T_DOUBLE, 0
const qdp_method qdp_lib_math[] = {
    {"log", 1, MD, f_log},
    {"log10", 1, MD, f_log10},
    {"log1p", 1, MD, f_log1p},
    {"exp", 1, MD, f_exp},
    {"expm1", 1, MD, f_expm1},
    {"sqrt", 1, MD, f_sqrt},
    {"cbrt", 1, MD, f_cbrt},
    {"sin", 1, MD, f_sin},
    {"cos", 1, MD, f_cos},
    {"tan", 1, MD, f_tan},
    {"asin", 1, MD, f_asin},
    {"acos", 1, MD, f_acos},
    {"atan", 1, MD, f_atan},
    {"sinh", 1, MD, f_sinh},
    {"cosh", 1, MD, f_cosh},
    {"tanh", 1, MD, f_tanh},
    {"ceil", 1, MD, f_ceil},
    {"floor", 1, MD, f_floor},
    {"rint", 1, MD, f_rint},
    {"signum", 1, MD, f_signum},
    {"toRadians", 1, MD, f_radians},
    {"toDegrees", 1, MD, f_degrees},
    {"pow", 2, MD, f_pow},
    {"atan2", 2, MD, f_atan2},
    {"hypot", 2, MD, f_hypot},
    {"random", 0, MD, f_random},
    {"round", 1, QDI_T_MATH, QDI_T_LONG, 0, f_round},
    {"abs", 1, QDI_T_MATH, QDI_T_DEF, 0, f_abs},
    {"max", 2, QDI_T_MATH, QDI_T_DEF, 0, f_max},
    {"min", 2, QDI_T_MATH, QDI_T_DEF, 0, f_min},
    {"floorDiv", 2, QDI_T_MATH, QDI_T_DEF, 0, f_floor_div},
    {"floorMod", 2, QDI_T_MATH, QDI_T_DEF, 0, f_floor_mod},
    {0},
};

QDI_FN(sigmoid)
{
    double v, k, e;
    (void)n;
    if (qdp_arg_f64(vm, &a[0], &v) || qdp_arg_f64(vm, &a[1], &k) || qdp_arg_f64(vm, &a[2], &e))
        return -1;
    *out = qd_sv_double(pow(v, e) / (pow(k, e) + pow(v, e)));
    return 0;
}

/* decayNumeric*(origin, scale, offset, decay, value) */
static int decay(qdp_vm *vm, qd_sv *a, char kind, qd_sv *out)
{
    double v[5];
    for (int i = 0; i < 5; i++)
        if (qdp_arg_f64(vm, &a[i], &v[i])) return -1;
    double d = fmax(0, fabs(v[4] - v[0]) - v[2]), r;
    if (kind == 'g')
        r = exp(-0.5 * d * d / (-0.5 * v[1] * v[1] / log(v[3])));
    else if (kind == 'e')
        r = exp(log(v[3]) / v[1] * d);
    else {
        double s = v[1] / (1.0 - v[3]);
        r = fmax(0, (s - d) / s);
    }
    *out = qd_sv_double(r);
    return 0;
}
QDI_FN(decay_gauss)
{
    (void)n;
    return decay(vm, a, 'g', out);
}
QDI_FN(decay_exp)
{
    (void)n;
    return decay(vm, a, 'e', out);
}
QDI_FN(decay_linear)
{
    (void)n;
    return decay(vm, a, 'l', out);
}

/* "10d" in milliseconds. */
static int span(qdp_vm *vm, const qd_sv *v, double *out)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 36e5}, {"d", 864e5}};
    qd_str s;
    if (qdp_arg_str(vm, v, &s)) return -1;
    if (qd_str_is(s, "0")) {
        *out = 0;
        return 0;
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        qd_str unit = qd_str_c(units[i].unit);
        if (!qd_str_ends(s, unit) || qd_f64_parse_java(qd_str_sub(s, 0, s.n - unit.n), out))
            continue;
        *out *= units[i].ms;
        return 0;
    }
    return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "failed to parse [%.*s] as a time value",
                     (int)(s.n < 100 ? s.n : 100), s.p);
}

/* decayDate*(origin, scale, offset, decay, value): texts, and a date of doc values. */
static int decay_date(qdp_vm *vm, const qd_sv *a, char kind, qd_sv *out)
{
    qd_str origin;
    int64_t ms = 0;
    double scale = 0, offset = 0;
    if (a[4].tag != QD_SV_DATE)
        return qdp_throw(vm, a[4].tag ? QDI_T_CLASS_CAST : QDI_T_NULL_POINTER,
                         "Cannot cast from [%s] to [java.time.ZonedDateTime].", qdp_class(&a[4]));
    if (qdp_arg_str(vm, &a[0], &origin) || span(vm, &a[1], &scale) || span(vm, &a[2], &offset))
        return -1;
    if (qd_date_math(qd_date_format_default(), origin, vm->x->now_ms, false, NULL, &ms, NULL))
        return qdp_throw(vm, QDI_T_DATE_PARSE, "failed to parse date [%.*s]",
                         (int)(origin.n < 100 ? origin.n : 100), origin.p);
    qd_sv plain[5] = {qd_sv_double((double)ms), qd_sv_double(scale), qd_sv_double(offset), a[3],
                      qd_sv_double((double)((const qd_sv_time *)a[4].object)->ms)};
    return decay(vm, plain, kind, out);
}
QDI_FN(date_gauss)
{
    (void)n;
    return decay_date(vm, a, 'g', out);
}
QDI_FN(date_exp)
{
    (void)n;
    return decay_date(vm, a, 'e', out);
}
QDI_FN(date_linear)
{
    (void)n;
    return decay_date(vm, a, 'l', out);
}

/* decayGeo*(origin, scale, offset, decay, value): texts, and a point of doc values. */
static int decay_geo(qdp_vm *vm, const qd_sv *a, char kind, qd_sv *out)
{
    qd_str origin, scale, offset;
    qd_geo from;
    double far[2];
    qd_err why;
    if (a[4].tag != QD_SV_GEO)
        return qdp_throw(vm, a[4].tag ? QDI_T_CLASS_CAST : QDI_T_NULL_POINTER,
                         "Cannot cast from [%s] to [org.elasticsearch.common.geo.GeoPoint].",
                         qdp_class(&a[4]));
    if (qdp_arg_str(vm, &a[0], &origin) || qdp_arg_str(vm, &a[1], &scale) ||
        qdp_arg_str(vm, &a[2], &offset))
        return -1;
    qd_err_init(&why);
    int rc = qd_geo_read_text(origin, &(qd_geo_reading){0}, &from, &why);
    if (!rc) rc = qd_geo_distance(scale, 1, &far[0], &why);
    if (!rc) rc = qd_geo_distance(offset, 1, &far[1], &why);
    if (rc) rc = qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "%s", qd_err_reason(&why));
    qd_err_fini(&why);
    if (rc) return -1;
    qd_sv plain[5] = {qd_sv_double(0), qd_sv_double(far[0]), qd_sv_double(far[1]), a[3],
                      qd_sv_double(qd_geo_arc(from, *(const qd_geo *)a[4].object))};
    return decay(vm, plain, kind, out);
}
QDI_FN(geo_gauss)
{
    (void)n;
    return decay_geo(vm, a, 'g', out);
}
QDI_FN(geo_exp)
{
    (void)n;
    return decay_geo(vm, a, 'e', out);
}
QDI_FN(geo_linear)
{
    (void)n;
    return decay_geo(vm, a, 'l', out);
}

const qdp_method qdp_lib_score[] = {
    {"decayGeoGauss", 5, 0, QDI_T_DOUBLE, 0, geo_gauss},
    {"decayGeoExp", 5, 0, QDI_T_DOUBLE, 0, geo_exp},
    {"decayGeoLinear", 5, 0, QDI_T_DOUBLE, 0, geo_linear},
    {"decayDateGauss", 5, 0, QDI_T_DOUBLE, 0, date_gauss},
    {"decayDateExp", 5, 0, QDI_T_DOUBLE, 0, date_exp},
    {"decayDateLinear", 5, 0, QDI_T_DOUBLE, 0, date_linear},
    {"saturation", 2, 0, QDI_T_DOUBLE, 0, f_saturation},
    {"sigmoid", 3, 0, QDI_T_DOUBLE, 0, sigmoid},
    {"decayNumericGauss", 5, 0, QDI_T_DOUBLE, 0, decay_gauss},
    {"decayNumericExp", 5, 0, QDI_T_DOUBLE, 0, decay_exp},
    {"decayNumericLinear", 5, 0, QDI_T_DOUBLE, 0, decay_linear},
    {0},
};

/* The values of a window that are numbers, as doubles. */
static int window(qdp_vm *vm, const qd_sv *of, double **out, uint32_t *count)
{
    const qd_sv *v = NULL;
    uint32_t n = 0;
    if (qdp_items(vm, of, &v, &n)) return -1;
    double *to = qd_arena_alloc(&vm->x->arena, n * sizeof *to + 1);
    if (!to) return qdp_nomem(vm);
    *count = 0;
    for (uint32_t i = 0; i < n; i++) {
        double x = 0;
        if (v[i].tag == QD_SV_NULL) continue;
        if (qdp_arg_f64(vm, &v[i], &x)) return -1;
        if (!isnan(x)) to[(*count)++] = x;
    }
    *out = to;
    return 0;
}

static double total(const double *v, uint32_t n)
{
    double s = 0;
    for (uint32_t i = 0; i < n; i++) s += v[i];
    return s;
}

static double move_avg(const double *v, uint32_t n)
{
    return n ? total(v, n) / n : (double)NAN;
}

static double move_max(const double *v, uint32_t n)
{
    double r = n ? v[0] : (double)NAN;
    for (uint32_t i = 1; i < n; i++) r = fmax(r, v[i]);
    return r;
}

static double move_min(const double *v, uint32_t n)
{
    double r = n ? v[0] : (double)NAN;
    for (uint32_t i = 1; i < n; i++) r = fmin(r, v[i]);
    return r;
}

static double move_linear(const double *v, uint32_t n)
{
    double s = 0, w = 0;
    for (uint32_t i = 0; i < n; i++) {
        s += v[i] * (i + 1);
        w += i + 1;
    }
    return n ? s / w : (double)NAN;
}

static int moving(qdp_vm *vm, const qd_sv *a, double (*fn)(const double *, uint32_t), qd_sv *out)
{
    double *v;
    uint32_t k;
    if (window(vm, &a[0], &v, &k)) return -1;
    *out = qd_sv_double(fn(v, k));
    return 0;
}
#define MOVING(name, fn)                                                                           \
    QDI_FN(name)                                                                                   \
    {                                                                                              \
        (void)n;                                                                                   \
        return moving(vm, a, fn, out);                                                             \
    }
MOVING(moving_sum, total)
MOVING(moving_avg, move_avg)
MOVING(moving_max, move_max)
MOVING(moving_min, move_min)
MOVING(moving_linear, move_linear)

QDI_FN(moving_stddev)
{
    double *v, avg = 0, s = 0;
    uint32_t k;
    (void)n;
    if (window(vm, &a[0], &v, &k) || qdp_arg_f64(vm, &a[1], &avg)) return -1;
    for (uint32_t i = 0; i < k; i++) s += (v[i] - avg) * (v[i] - avg);
    *out = qd_sv_double(k ? sqrt(s / k) : (double)NAN);
    return 0;
}

QDI_FN(moving_ewma)
{
    double *v, alpha = 0;
    uint32_t k;
    (void)n;
    if (window(vm, &a[0], &v, &k) || qdp_arg_f64(vm, &a[1], &alpha)) return -1;
    double r = k ? v[0] : (double)NAN;
    for (uint32_t i = 1; i < k; i++) r = v[i] * alpha + r * (1 - alpha);
    *out = qd_sv_double(r);
    return 0;
}

QDI_FN(moving_holt)
{
    double *v, alpha = 0, beta = 0, s = 0, b = 0;
    uint32_t k;
    (void)n;
    if (window(vm, &a[0], &v, &k) || qdp_arg_f64(vm, &a[1], &alpha) ||
        qdp_arg_f64(vm, &a[2], &beta))
        return -1;
    for (uint32_t i = 0; i < k; i++) {
        double last = s;
        s = i ? alpha * v[i] + (1 - alpha) * (s + b) : v[0];
        b = i == 0 ? 0 : i == 1 ? v[1] - v[0] : beta * (s - last) + (1 - beta) * b;
    }
    *out = qd_sv_double(k ? s : (double)NAN);
    return 0;
}

/* Level, trend and seasonal factors of Holt and Winters (Winters 1960), begun from the means of the
 * first two seasons; s holds a factor for each value. */
static double holt_winters(const double *v, double *s, uint32_t n, const double *factor,
                           uint32_t period, bool times)
{
    double level = 0, trend = 0, pad = times ? 1e-10 : 0;
    for (uint32_t i = 0; i < period; i++) {
        level += (v[i] + pad) / period;
        trend += (v[i + period] - v[i]) / period / period;
    }
    for (uint32_t i = 0; i < period; i++) s[i] = level == 0 ? 0 : (v[i] + pad) / level;
    double last_trend = 0; /* as Elasticsearch has it at the first step */
    for (uint32_t i = period; i < n; i++) {
        double x = v[i] + pad, before = s[i - period], last = level;
        double bare = times ? x / before : x - before;
        level = factor[0] * bare + (1 - factor[0]) * (last + last_trend);
        trend = factor[1] * (level - last) + (1 - factor[1]) * last_trend;
        double own = times ? x / (last + last_trend) : x - (last - last_trend);
        s[i] = factor[2] * own + (1 - factor[2]) * before;
        last_trend = trend;
    }
    return times ? (level + trend) * s[n - period] : level + trend + s[n - period];
}

QDI_FN(moving_holt_winters)
{
    double *v, factor[3] = {0};
    int64_t period;
    uint32_t k;
    (void)n;
    if (window(vm, &a[0], &v, &k) || qdp_arg_f64(vm, &a[1], &factor[0]) ||
        qdp_arg_f64(vm, &a[2], &factor[1]) || qdp_arg_f64(vm, &a[3], &factor[2]) ||
        qdp_arg_int(vm, &a[4], &period))
        return -1;
    *out = qd_sv_double((double)NAN);
    if (!k) return 0;
    if (period < 1 || period > k || 2 * period > k)
        return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT,
                         "Holt-Winters aggregation requires at least (2 * period == 2 * %lld == "
                         "%lld) data-points to function.  Only [%u] were provided.",
                         (long long)period, (long long)(2 * (period & 0xffffffff)), k);
    double *seasonal = qd_arena_alloc(&vm->x->arena, k * sizeof *seasonal);
    if (!seasonal) return qdp_nomem(vm);
    *out = qd_sv_double(holt_winters(v, seasonal, k, factor, (uint32_t)period, a[5].i != 0));
    return 0;
}

#define MV QDI_T_MOVING, QDI_T_DOUBLE, 0
const qdp_method qdp_lib_moving[] = {
    {"sum", 1, MV, moving_sum},
    {"unweightedAvg", 1, MV, moving_avg},
    {"max", 1, MV, moving_max},
    {"min", 1, MV, moving_min},
    {"stdDev", 2, MV, moving_stddev},
    {"linearWeightedAvg", 1, MV, moving_linear},
    {"ewma", 2, MV, moving_ewma},
    {"holt", 3, MV, moving_holt},
    {"holtWinters", 6, MV, moving_holt_winters},
    {0},
};
