/*
 * date_format.c: compiling date formats: the table of named ones and java.time's pattern letters.
 *
 * Named formats stand as patterns of their strict form; the form without "strict_" accepts fewer
 * digits. Internal letters of the table: F, a fraction of 1 to 9 digits (printed with at least 3),
 * and P, an offset with colon or Z.
 */
#include "mapping/date_format_int.h"
#include <stdatomic.h>

#define OPS_MAX 128
#define ALTERNATIVES_MAX 64
#define NESTING_MAX 16

static const struct named {
    const char *name, *pattern;
} named[] = {
#define TIME "HH:mm:ss"
#define BASIC_TIME "HHmmss"
    {"basic_date", "uuuuMMdd"},
    {"basic_date_time", "uuuuMMdd'T'" BASIC_TIME ".FZ"},
    {"basic_date_time_no_millis", "uuuuMMdd'T'" BASIC_TIME "Z"},
    {"basic_ordinal_date", "uuuuDDD"},
    {"basic_ordinal_date_time", "uuuuDDD'T'" BASIC_TIME ".FZ"},
    {"basic_ordinal_date_time_no_millis", "uuuuDDD'T'" BASIC_TIME "Z"},
    {"basic_time", BASIC_TIME ".FZ"},
    {"basic_time_no_millis", BASIC_TIME "Z"},
    {"basic_t_time", "'T'" BASIC_TIME ".FZ"},
    {"basic_t_time_no_millis", "'T'" BASIC_TIME "Z"},
    {"basic_week_date", "xxxx'W'wwe"},
    {"basic_week_date_time", "xxxx'W'wwe'T'" BASIC_TIME ".FZ"},
    {"basic_week_date_time_no_millis", "xxxx'W'wwe'T'" BASIC_TIME "Z"},
    {"date", "uuuu-MM-dd"},
    {"date_hour", "uuuu-MM-dd'T'HH"},
    {"date_hour_minute", "uuuu-MM-dd'T'HH:mm"},
    {"date_hour_minute_second", "uuuu-MM-dd'T'" TIME},
    {"date_hour_minute_second_fraction", "uuuu-MM-dd'T'" TIME ".F"},
    {"date_hour_minute_second_millis", "uuuu-MM-dd'T'" TIME ".F"},
    {"date_time", "uuuu-MM-dd'T'" TIME "[.F]P"},
    {"date_time_no_millis", "uuuu-MM-dd'T'" TIME "P"},
    {"hour", "HH"},
    {"hour_minute", "HH:mm"},
    {"hour_minute_second", TIME},
    {"hour_minute_second_fraction", TIME ".F"},
    {"hour_minute_second_millis", TIME ".F"},
    {"ordinal_date", "uuuu-DDD"},
    {"ordinal_date_time", "uuuu-DDD'T'" TIME ".FP"},
    {"ordinal_date_time_no_millis", "uuuu-DDD'T'" TIME "P"},
    {"time", TIME ".FP"},
    {"time_no_millis", TIME "P"},
    {"t_time", "'T'" TIME ".FP"},
    {"t_time_no_millis", "'T'" TIME "P"},
    {"week_date", "xxxx-'W'ww-e"},
    {"week_date_time", "xxxx-'W'ww-e'T'" TIME ".FP"},
    {"week_date_time_no_millis", "xxxx-'W'ww-e'T'" TIME "P"},
    {"weekyear", "xxxx"},
    {"weekyear_week", "xxxx-'W'ww"},
    {"weekyear_week_day", "xxxx-'W'ww-e"},
    {"year", "uuuu"},
    {"year_month", "uuuu-MM"},
    {"year_month_day", "uuuu-MM-dd"},
#undef TIME
#undef BASIC_TIME
};

typedef struct compiler {
    date_op ops[OPS_MAX];
    uint32_t n;
    uint16_t open[NESTING_MAX];
    uint32_t depth;
    bool internal, lenient;
} compiler;

static bool numeric(uint8_t code)
{
    switch (code) {
    case DATE_LITERAL:
    case DATE_OPEN:
    case DATE_CLOSE:
    case DATE_MONTH_SHORT:
    case DATE_MONTH_LONG:
    case DATE_WEEKDAY_SHORT:
    case DATE_WEEKDAY_LONG:
    case DATE_AM_PM:
    case DATE_OFFSET:
    case DATE_ZONE_ID:
        return false;
    default:
        return true;
    }
}

/* A run of count equal letters; false when it has no meaning here. */
static bool letter_op(const compiler *c, char letter, unsigned count, date_op *op)
{
    uint8_t n = (uint8_t)count;
    *op = (date_op){.min = n, .max = n, .pad = n};
    if (count == 1) op->max = 19;
    switch (letter) {
    case 'u':
    case 'y':
        op->code = count == 2 ? DATE_YEAR2 : DATE_YEAR;
        if (count != 2) op->max = 19;
        return count <= 19;
    case 'Y':
    case 'x':
        if (letter == 'x' && !c->internal) {
            *op = (date_op){.code = DATE_OFFSET, .letter = letter, .min = n};
            return count <= 5;
        }
        op->code = DATE_WEEK_YEAR;
        op->max = 19;
        return count <= 19;
    case 'M':
    case 'L':
        op->code = count <= 2 ? DATE_MONTH : count == 3 ? DATE_MONTH_SHORT : DATE_MONTH_LONG;
        return count <= 4;
    case 'd':
        op->code = DATE_DAY;
        return count <= 2;
    case 'D':
        op->code = DATE_DAY_OF_YEAR;
        return count <= 3;
    case 'Q':
    case 'q':
        op->code = DATE_QUARTER;
        return count <= 2;
    case 'w':
        op->code = DATE_WEEK;
        return count <= 2;
    case 'e':
    case 'c':
    case 'E':
        if (letter != 'E' && count <= 2) {
            op->code = DATE_WEEKDAY;
            op->max = op->min = op->pad = 1;
        } else {
            op->code = count == 4 ? DATE_WEEKDAY_LONG : DATE_WEEKDAY_SHORT;
        }
        return count <= 4;
    case 'a':
        op->code = DATE_AM_PM;
        return count == 1;
    case 'H':
        op->code = DATE_HOUR;
        return count <= 2;
    case 'k':
        op->code = DATE_HOUR_1_24;
        return count <= 2;
    case 'h':
        op->code = DATE_HOUR_1_12;
        return count <= 2;
    case 'K':
        op->code = DATE_HOUR_0_11;
        return count <= 2;
    case 'm':
        op->code = DATE_MINUTE;
        return count <= 2;
    case 's':
        op->code = DATE_SECOND;
        return count <= 2;
    case 'S':
        op->code = DATE_FRACTION;
        op->max = n;
        return count <= 9;
    case 'n':
        op->code = DATE_FRACTION;
        op->min = 1;
        op->max = 9;
        return count <= 9;
    case 'A':
        op->code = DATE_MILLI_OF_DAY;
        op->max = 19;
        return count <= 19;
    case 'F':
        op->code = DATE_FRACTION;
        op->min = 1;
        op->max = 9;
        return c->internal;
    case 'P':
        *op = (date_op){.code = DATE_OFFSET, .letter = 'X', .min = 3};
        return c->internal;
    case 'X':
    case 'Z':
        *op = (date_op){.code = DATE_OFFSET, .letter = letter, .min = n};
        return count <= 5;
    case 'O':
    case 'V':
    case 'z':
        *op = (date_op){.code = DATE_ZONE_ID, .letter = letter, .min = n};
        return count <= 4;
    default:
        return false;
    }
}

static int invalid(qd_err *err, qd_str pattern, const char *why)
{
    return qd_err_set(err, QD_E_ARG, "Invalid format: [%.*s]: %s", QD_STR_ARG(pattern), why);
}

static int add_op(compiler *c, date_op op, qd_str pattern, qd_err *err)
{
    if (c->n == OPS_MAX) return invalid(err, pattern, "Pattern is too long");
    c->ops[c->n++] = op;
    return 0;
}

static int bracket(compiler *c, char which, qd_str pattern, qd_err *err)
{
    if (which == '[') {
        if (c->depth == NESTING_MAX) return invalid(err, pattern, "Pattern is nested too deeply");
        c->open[c->depth++] = (uint16_t)c->n;
        return add_op(c, (date_op){.code = DATE_OPEN}, pattern, err);
    }
    if (c->depth == 0)
        return invalid(err, pattern, "Pattern invalid as it contains ] without previous [");
    c->ops[c->open[--c->depth]].skip = (uint16_t)(c->n + 1);
    return add_op(c, (date_op){.code = DATE_CLOSE}, pattern, err);
}

/* 'text', '' a quote; *at stands on the opening quote and moves behind the closing one. */
static int quoted(qd_arena *a, compiler *c, qd_str s, size_t *at, qd_err *err)
{
    char *text = qd_arena_bytes(a, s.n + 1);
    size_t n = 0, i = *at + 1;
    if (!text) return qd_err_nomem(err, "date format");
    for (;; i++) {
        if (i >= s.n) return invalid(err, s, "Pattern ends with an incomplete string literal");
        if (s.p[i] == '\'') {
            if (i + 1 >= s.n || s.p[i + 1] != '\'') break;
            i++;
        }
        text[n++] = s.p[i];
    }
    if (i == *at + 1) text[n++] = '\'';
    *at = i + 1;
    return add_op(c, (date_op){.code = DATE_LITERAL, .text = {text, n}}, s, err);
}

/* Variable-width numbers leave their neighbours' digits alone; lenient ones may be short. */
static void finish_widths(compiler *c)
{
    for (uint32_t i = c->n; i-- > 0;) {
        date_op *op = &c->ops[i], *next = i + 1 < c->n ? &c->ops[i + 1] : NULL;
        if (!numeric(op->code)) continue;
        bool joined = next && numeric(next->code);
        if (joined && next->min == next->max) op->reserve = (uint8_t)(next->reserve + next->min);
        bool behind = i > 0 && numeric(c->ops[i - 1].code);
        if (c->lenient && !joined && !behind && op->code != DATE_FRACTION) op->min = 1;
    }
}

static int compile_pattern(qd_arena *a, qd_str s, qd_str whole, compiler *c, qd_err *err)
{
    for (size_t i = 0; i < s.n;) {
        char ch = s.p[i];
        int rc;
        if (ch == '\'') {
            rc = quoted(a, c, s, &i, err);
        } else if (ch == '[' || ch == ']') {
            rc = bracket(c, ch, whole, err);
            i++;
        } else if ((unsigned)((ch | 32) - 'a') < 26) {
            size_t from = i;
            date_op op;
            while (i < s.n && s.p[i] == ch) i++;
            if (!letter_op(c, ch, (unsigned)(i - from), &op)) {
                return qd_err_set(err, QD_E_ARG,
                                  "Invalid format: [%.*s]: Unknown pattern letter: %c",
                                  QD_STR_ARG(whole), ch);
            }
            rc = add_op(c, op, whole, err);
        } else if (ch == '{' || ch == '}' || ch == '#') {
            return qd_err_set(err, QD_E_ARG,
                              "Invalid format: [%.*s]: Pattern includes reserved character: '%c'",
                              QD_STR_ARG(whole), ch);
        } else {
            rc = add_op(c, (date_op){.code = DATE_LITERAL, .text = {s.p + i, 1}}, whole, err);
            i++;
        }
        if (rc) return rc;
    }
    while (c->depth) { /* java.time closes what is left open */
        int rc = bracket(c, ']', whole, err);
        if (rc) return rc;
    }
    finish_widths(c);
    return 0;
}

static int compile_one(qd_arena *a, qd_str s, qd_str whole, date_alternative *out, qd_err *err)
{
    static const struct {
        const char *name;
        date_kind kind;
    } special[] = {{"strict_date_optional_time", DATE_ISO},
                   {"strict_date_optional_time_nanos", DATE_ISO_NANOS},
                   {"iso8601", DATE_ISO},
                   {"date_optional_time", DATE_ISO_LENIENT},
                   {"epoch_millis", DATE_EPOCH_MILLIS},
                   {"epoch_second", DATE_EPOCH_SECOND}};
    *out = (date_alternative){.kind = DATE_PATTERN};
    for (size_t i = 0; i < QD_COUNT_OF(special); i++) {
        if (!qd_str_is(s, special[i].name)) continue;
        out->kind = special[i].kind;
        return 0;
    }
    compiler compiling = {0}, *c = &compiling; /* the arena, of a mapping, gets what is used */
    qd_str pattern = s, plain = s;
    bool strict = qd_str_starts(s, QD_STR("strict_"));
    if (strict) plain = qd_str_sub(s, 7, s.n);
    for (size_t i = 0; i < QD_COUNT_OF(named); i++) {
        if (!qd_str_is(plain, named[i].name)) continue;
        pattern = qd_str_c(named[i].pattern);
        c->internal = true;
        c->lenient = !strict && !qd_str_starts(plain, QD_STR("basic_"));
    }
    pattern = qd_arena_str(a, pattern);
    if (!pattern.p) return qd_err_nomem(err, "date format");
    int rc = compile_pattern(a, pattern, whole, c, err);
    if (rc) return rc;
    date_op *ops = qd_arena_alloc(a, (c->n ? c->n : 1) * sizeof *ops);
    if (!ops) return qd_err_nomem(err, "date format");
    memcpy(ops, c->ops, c->n * sizeof *ops);
    out->ops = ops;
    out->nops = c->n;
    return 0;
}

int qd_date_format_make(qd_arena *a, qd_str pattern, qd_date_format **out, qd_err *err)
{
    qd_date_format *f = qd_arena_calloc(a, sizeof *f);
    uint32_t most = 1;
    for (size_t i = 0; i < pattern.n && most < ALTERNATIVES_MAX; i++) most += pattern.p[i] == '|';
    date_alternative *alternatives = qd_arena_calloc(a, most * sizeof *alternatives);
    if (!f || !alternatives) return qd_err_nomem(err, "date format");
    if (pattern.n == 0) return qd_err_set(err, QD_E_ARG, "No date pattern provided");
    f->pattern = qd_arena_str(a, pattern);
    if (!f->pattern.p) return qd_err_nomem(err, "date format");
    for (qd_str rest = f->pattern; rest.p;) {
        ptrdiff_t bar = qd_str_find_str(rest, QD_STR("||"));
        qd_str one = bar < 0 ? rest : qd_str_sub(rest, 0, (size_t)bar);
        rest = bar < 0 ? (qd_str){NULL, 0} : qd_str_sub(rest, (size_t)bar + 2, rest.n);
        if (one.n == 0) {
            return qd_err_set(err, QD_E_ARG,
                              "Cannot have empty element in multi date format pattern: %.*s",
                              QD_STR_ARG(pattern));
        }
        if (one.p[0] == '8' && one.n > 1)
            one = qd_str_sub(one, 1, one.n); /* the old mark of java.time */
        if (f->n == most) return invalid(err, pattern, "too many alternatives");
        int rc = compile_one(a, one, pattern, &alternatives[f->n++], err);
        if (rc) return rc;
    }
    f->alternatives = alternatives;
    *out = f;
    return 0;
}

const qd_date_format *qd_date_format_default(void)
{
    static const date_alternative both[] = {{.kind = DATE_ISO}, {.kind = DATE_EPOCH_MILLIS}};
    static const qd_date_format f = {
        .pattern = {"strict_date_optional_time||epoch_millis", 39}, .alternatives = both, .n = 2};
    return &f;
}

const qd_date_format *qd_date_format_nanos(void)
{
    static const date_alternative both[] = {{.kind = DATE_ISO_NANOS}, {.kind = DATE_EPOCH_MILLIS}};
    static const qd_date_format f = {
        .pattern = {"strict_date_optional_time_nanos||epoch_millis", 45},
        .alternatives = both,
        .n = 2};
    return &f;
}

int qd_date_format_dynamic(const qd_date_format **out, qd_err *err)
{
    static const qd_str pattern = {"yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis", 45};
    static _Atomic(const qd_date_format *) made; /* for good, with its arena */
    *out = atomic_load_explicit(&made, memory_order_acquire);
    if (*out) return 0;
    qd_arena arena;
    qd_date_format *f;
    qd_arena_init(&arena, NULL, 0);
    int rc = qd_date_format_make(&arena, pattern, &f, err);
    const qd_date_format *none = NULL;
    if (!rc && atomic_compare_exchange_strong(&made, &none, f)) {
        *out = f;
        return 0;
    }
    if (!rc) *out = none; /* another thread was first */
    qd_arena_fini(&arena);
    return rc;
}

qd_str qd_date_format_pattern(const qd_date_format *f)
{
    return f->pattern;
}
