/* convert.c: the processor convert: values of another type. */
#include "ingest/ingest_int.h"
#include "mapping/field.h"

typedef enum to {
    TO_INTEGER,
    TO_LONG,
    TO_FLOAT,
    TO_DOUBLE,
    TO_BOOLEAN,
    TO_IP,
    TO_STRING,
    TO_AUTO
} to;
static const char *const names[] = {"integer", "long", "float",  "double",
                                    "boolean", "ip",   "string", "auto"};

typedef struct conversion {
    qdi_path field, target;
    bool ignore_missing;
    to type;
} conversion;

static int make(qdi_build *b, void *config, qd_err *err)
{
    conversion *c = config;
    qd_str type;
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_str(b, "type", NULL, &type, err);
    if (!rc) rc = qdi_arg_path(b, "target_field", c->field.full, &c->target, err);
    if (!rc) rc = qdi_arg_bool(b, "ignore_missing", false, &c->ignore_missing, err);
    if (rc) return rc;
    for (c->type = TO_INTEGER; c->type <= TO_AUTO; c->type++) {
        if (qd_str_ieq(type, qd_str_c(names[c->type]))) return 0;
    }
    return qdi_arg_fail(b, "type", err, "type [%.*s] not supported, cannot convert field.",
                        QD_STR_ARG(type));
}

static int unable(qd_str text, to type, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "unable to convert [%.*s] to %s", QD_STR_ARG(text),
                      names[type]);
}

/* As Java's decode reads where a sign and 0x stand before: digits of base 16. */
static bool hexadecimal(qd_str s, int64_t *out)
{
    bool minus = s.n && s.p[0] == '-';
    uint64_t v = 0;
    if (minus) s = qd_str_sub(s, 1, s.n);
    if (s.n < 3 || s.n > 18 || s.p[0] != '0' || (s.p[1] != 'x' && s.p[1] != 'X')) return false;
    for (size_t k = 2; k < s.n; k++) {
        char c = s.p[k];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return false;
        v = v << 4 | (uint64_t)digit;
    }
    if (v > INT64_MAX) return false;
    *out = minus ? -(int64_t)v : (int64_t)v;
    return true;
}

static int to_integer(qd_str text, to type, qd_iv *out, qd_err *err)
{
    int64_t v;
    if (!hexadecimal(text, &v) && qd_i64_parse(text, &v)) return unable(text, type, err);
    if (type == TO_INTEGER && (v > INT32_MAX || v < INT32_MIN)) return unable(text, type, err);
    *out = QD_IV_INTEGER(v);
    return 0;
}

static int to_float(qd_ingest_run *r, qd_str text, to type, qd_iv *out, qd_err *err)
{
    char room[QD_F64_TEXT_MAX];
    double d;
    float f;
    size_t n;
    if (type == TO_FLOAT ? qd_f32_parse_java(text, &f) : qd_f64_parse_java(text, &d))
        return unable(text, type, err);
    n = type == TO_FLOAT ? qd_f32_print(room, f) : qd_f64_print(room, d);
    qd_str s = qd_arena_str(&r->arena, (qd_str){room, n});
    if (!s.p) return qdi_run_nomem(err);
    *out = (qd_iv){.kind = type == TO_FLOAT ? QD_IV_FLOAT : QD_IV_DOUBLE, .s = s};
    /* JSON has no such numbers */
    if (s.p[n - 1] == 'y' || s.p[n - 1] == 'N') out->kind = QD_IV_STR;
    return 0;
}

static int one(qd_ingest_run *r, to type, const qd_iv *v, qd_iv *out, qd_err *err);

/* The first type that takes the text. */
static int automatic(qd_ingest_run *r, const qd_iv *v, qd_iv *out, qd_err *err)
{
    static const to tried[] = {TO_BOOLEAN, TO_INTEGER, TO_LONG, TO_FLOAT, TO_DOUBLE};
    (void)err;
    *out = *v;
    if (v->kind != QD_IV_STR) return 0;
    for (size_t k = 0; k < QD_COUNT_OF(tried); k++) {
        if (!one(r, tried[k], v, out, NULL)) return 0;
    }
    *out = *v;
    return 0;
}

static int one(qd_ingest_run *r, to type, const qd_iv *v, qd_iv *out, qd_err *err)
{
    uint8_t ip[16];
    if (type == TO_AUTO) return automatic(r, v, out, err);
    qd_str text = qd_iv_text(&r->arena, v);
    if (!text.p) return qdi_run_nomem(err);
    switch (type) {
    case TO_INTEGER:
    case TO_LONG:
        return to_integer(text, type, out, err);
    case TO_FLOAT:
    case TO_DOUBLE:
        return to_float(r, text, type, out, err);
    case TO_BOOLEAN:
        *out = QD_IV_TRUTH(qd_str_ieq(text, QD_STR("true")));
        if (out->truth || qd_str_ieq(text, QD_STR("false"))) return 0;
        return qd_err_set(err, QD_E_ARG, "[%.*s] is not a boolean value, cannot convert to boolean",
                          QD_STR_ARG(text));
    case TO_IP:
        *out = QD_IV_STRING(text);
        if (qd_ip_parse(text, ip)) return 0;
        return qd_err_set(err, QD_E_ARG, "'%.*s' is not an IP string literal.", QD_STR_ARG(text));
    default:
        *out = QD_IV_STRING(text);
        return 0;
    }
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const conversion *c = config;
    qd_iv *v = qdi_path_look(r, &c->field), out = {.kind = QD_IV_LIST};
    int rc = 0;
    if (c->ignore_missing && (!v || v->kind == QD_IV_NULL)) return 0;
    if (!v && (rc = qdi_path_get(r, &c->field, &v, err))) return rc;
    if (v->kind == QD_IV_NULL)
        return qd_err_set(err, QD_E_ARG, "Field [%.*s] is null, cannot be converted to type [%s]",
                          QD_STR_ARG(c->field.full), names[c->type]);
    if (v->kind != QD_IV_LIST) {
        rc = one(r, c->type, v, &out, err);
    } else {
        for (uint32_t k = 0; k < v->n && !rc; k++) {
            qd_iv *at = qd_iv_push(&r->arena, &out);
            rc = at ? one(r, c->type, &v->items[k], at, err) : qdi_run_nomem(err);
        }
    }
    return rc ? rc : qdi_path_set(r, &c->target, out, err);
}

const qdi_processor_type qdi_processor_convert = {"convert", sizeof(conversion), .make = make,
                                                  .run = run};
