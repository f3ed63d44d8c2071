/*
 * read_value.c: scalars of the query DSL as Elasticsearch's XContentParser reads them, and the
 * errors its parsers make of them.
 */
#include "query/query_int.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

int qdi_query_next(qd_json_reader *r, qd_err *err)
{
    qd_json_event ev = qd_json_next(r);
    if (ev > 0) return (int)ev;
    if (ev == QD_JSON_ERROR) return qd_json_fail(r, err);
    return qd_json_err_at(r, err, QD_E_PARSE, "unexpected end of the query");
}

int qdi_keep(qdi_reading *rd, qd_str text, qd_str *out, qd_err *err)
{
    *out = qd_arena_str(rd->arena, text);
    return out->p || !text.n ? 0 : qd_err_nomem(err, "reading a query");
}

int qdi_xcontent_err(qd_json_reader *r, qd_err *err, const char *fmt, ...)
{
    char text[512];
    uint32_t line, column;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    qd_json_position(r, r->token, &line, &column);
    return qd_err_set(err, QD_E_XCONTENT, "[%u:%u] %s", line, column, text);
}

int qdi_field_failed(qd_json_reader *r, qd_err *err, const char *query, qd_str field)
{
    uint32_t line, column;
    qd_json_position(r, r->token, &line, &column);
    return qd_err_wrap(err, QD_E_XCONTENT, "[%u:%u] [%s] failed to parse field [%.*s]", line,
                       column, query, QD_STR_ARG(field));
}

/* A number as Java's Number.toString shows it: integers as written, others as a double. */
static int number_text(qdi_reading *rd, qd_json_reader *r, qd_str *out, qd_err *err)
{
    char text[QD_F64_TEXT_MAX];
    double v;
    if (r->integer) return qdi_keep(rd, r->text, out, err);
    if (qd_json_f64(r, &v) || !isfinite(v)) return qdi_keep(rd, r->text, out, err);
    size_t n = qd_f64_print(text, v);
    return qdi_keep(rd, (qd_str){text, n}, out, err);
}

static int no_text(qd_json_reader *r, qd_err *err)
{
    uint32_t line, column;
    qd_json_position(r, r->token, &line, &column);
    return qd_err_set(err, QD_E_ARG, "Expected text at %u:%u but found %s", line, column,
                      qd_json_event_name(r->event));
}

int qdi_read_text(qdi_reading *rd, qd_json_reader *r, qd_str *out, qd_err *err)
{
    switch (r->event) {
    case QD_JSON_STRING:
    case QD_JSON_NUMBER:
        return qdi_keep(rd, r->text, out, err);
    case QD_JSON_TRUE:
        *out = QD_STR("true");
        return 0;
    case QD_JSON_FALSE:
        *out = QD_STR("false");
        return 0;
    default:
        return no_text(r, err);
    }
}

int qdi_read_value(qdi_reading *rd, qd_json_reader *r, qd_query_value *out, bool *has, qd_err *err)
{
    *has = r->event != QD_JSON_NULL;
    out->quoted = r->event == QD_JSON_STRING;
    if (r->event == QD_JSON_NULL) return 0;
    if (r->event == QD_JSON_NUMBER) return number_text(rd, r, &out->text, err);
    return qdi_read_text(rd, r, &out->text, err);
}

/* Jackson's name of a token, in its texts. */
static const char *jackson_name(const qd_json_reader *r)
{
    switch (r->event) {
    case QD_JSON_NUMBER:
        return r->integer ? "VALUE_NUMBER_INT" : "VALUE_NUMBER_FLOAT";
    case QD_JSON_TRUE:
        return "VALUE_TRUE";
    case QD_JSON_FALSE:
        return "VALUE_FALSE";
    default:
        return qd_json_event_name(r->event);
    }
}

int qdi_read_bool(qd_json_reader *r, bool *out, qd_err *err)
{
    if (r->event == QD_JSON_TRUE || r->event == QD_JSON_FALSE) {
        *out = r->event == QD_JSON_TRUE;
        return 0;
    }
    if (r->event != QD_JSON_STRING)
        return qdi_xcontent_err(r, err, "Current token (%s) not of boolean type", jackson_name(r));
    *out = qd_str_is(r->text, "true");
    if (*out || qd_str_is(r->text, "false")) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                      QD_STR_ARG(r->text));
}

static int not_a_number(qd_json_reader *r, qd_err *err)
{
    if (r->event != QD_JSON_STRING)
        return qdi_xcontent_err(
            r, err, "Current token (%s) not numeric, can not use numeric value accessors",
            jackson_name(r));
    return qd_err_set(err, QD_E_NUMBER_FORMAT,
                      r->text.n ? "For input string: \"%.*s\"" : "empty String",
                      QD_STR_ARG(r->text));
}

int qdi_read_float(qd_json_reader *r, float *out, qd_err *err)
{
    int rc = QD_E_ARG;
    if (r->event == QD_JSON_STRING || r->event == QD_JSON_NUMBER)
        rc = qd_f32_parse_java(r->text, out);
    return rc ? not_a_number(r, err) : 0;
}

int qdi_read_int(qd_json_reader *r, int32_t *out, qd_err *err)
{
    int64_t v = 0;
    double d;
    if (r->event != QD_JSON_STRING && r->event != QD_JSON_NUMBER) return not_a_number(r, err);
    int rc = qd_i64_parse_decimal(r->text, &v, NULL);
    if (rc == QD_E_ARG) {
        if (qd_f64_parse_java(r->text, &d)) return not_a_number(r, err);
        rc = d >= -2147483648.0 && d <= 2147483647.0 ? 0 : QD_E_LIMIT;
        if (!rc) v = (int64_t)d;
    }
    if (rc || v < INT32_MIN || v > INT32_MAX) {
        if (r->event == QD_JSON_STRING)
            return qd_err_set(err, QD_E_ARG, "Value [%.*s] is out of range for an integer",
                              QD_STR_ARG(r->text));
        return qdi_xcontent_err(r, err, "Numeric value (%.*s) out of range of int (%d - %d)",
                                QD_STR_ARG(r->text), INT32_MIN, INT32_MAX);
    }
    *out = (int32_t)v;
    return 0;
}

/* "AUTO:low,high" behind the colon. */
static int auto_bounds(qd_str text, qd_str bounds, qdi_fuzziness *out, qd_err *err)
{
    qd_str rest = bounds, low = qd_str_split(&rest, ',');
    int64_t lo, hi;
    if (!rest.p || qd_str_find(rest, ',') >= 0)
        return qd_err_set(err, QD_E_ES_PARSE, "failed to find low and high distance values");
    bool bad = qd_i64_parse(low, &lo) || lo < INT32_MIN || lo > INT32_MAX;
    if (bad || qd_i64_parse(rest, &hi) || hi < INT32_MIN || hi > INT32_MAX) {
        (void)qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                         QD_STR_ARG(bad ? low : rest));
        return qd_err_wrap(err, QD_E_ES_PARSE, "failed to parse [%.*s] as a \"auto:int,int\"",
                           QD_STR_ARG(text));
    }
    if (lo < 0 || hi < 0 || lo > hi)
        return qd_err_set(err, QD_E_ARG,
                          "fuzziness wrongly configured, must be: lowDistance > 0, highDistance > "
                          "0 and lowDistance <= highDistance ");
    out->low = (int32_t)lo;
    out->high = (int32_t)hi;
    return 0;
}

int qdi_fuzziness_parse(qd_str text, qdi_fuzziness *out, qd_err *err)
{
    *out = (qdi_fuzziness){.given = true, .low = 3, .high = 6};
    if (text.n == 0) return qd_err_set(err, QD_E_ARG, "fuzziness cannot be null or empty.");
    out->automatic = text.n >= 4 && qd_str_ieq(qd_str_sub(text, 0, 4), QD_STR("auto")) &&
                     (text.n == 4 || text.p[4] == ':');
    if (out->automatic && text.n == 4) return 0;
    if (out->automatic) return auto_bounds(text, qd_str_sub(text, 5, text.n), out, err);
    if (qd_f32_parse_java(text, &out->edits) || isnan(out->edits)) {
        (void)qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"", QD_STR_ARG(text));
        return qd_err_wrap(err, QD_E_ARG, "fuzziness cannot be [%.*s].", QD_STR_ARG(text));
    }
    if (out->edits > 0 && fmodf(out->edits, 1) > 0) {
        char shown[QD_F64_TEXT_MAX];
        qd_f32_print(shown, out->edits);
        return qd_err_set(err, QD_E_ARG, "fuzziness needs to be one of 0.0, 1.0 or 2.0 but was %s",
                          shown);
    }
    if (out->edits <= -1 || out->edits > 2)
        return qd_err_set(err, QD_E_ARG, "Valid edit distances are [0, 1, 2] but was [%.0f]",
                          (double)out->edits);
    out->edits = truncf(out->edits);
    if (out->edits < 0) out->edits = 0;
    return 0;
}

int qdi_check_boost(float boost, qd_err *err)
{
    char text[QD_F64_TEXT_MAX];
    if (qd_boost_valid(boost)) return 0;
    if (!(boost < 0))
        return qd_err_set(err, QD_E_ARG, "boost must be a positive float, got %s",
                          isnan(boost) ? "NaN" : "Infinity");
    qd_f32_print(text, boost);
    return qd_err_set(err, QD_E_ARG,
                      "negative [boost] are not allowed in [%s], use a value between 0 and 1 to "
                      "deboost",
                      text);
}

int qdi_field_boost_parse(qdi_reading *rd, qd_str text, qdi_field_boost *out, qd_err *err)
{
    ptrdiff_t at = qd_str_find(text, '^');
    out->boost = 1;
    if (at >= 0) {
        qd_str boost = qd_str_sub(text, (size_t)at + 1, text.n);
        if (qd_f32_parse_java(boost, &out->boost))
            return qd_err_set(err, QD_E_NUMBER_FORMAT,
                              boost.n ? "For input string: \"%.*s\"" : "empty String",
                              QD_STR_ARG(boost));
        int rc = qdi_check_boost(out->boost, err);
        if (rc) return rc;
        text.n = (size_t)at;
    }
    return qdi_keep(rd, text, &out->field, err);
}

typedef struct near_name {
    float score;
    qd_str name;
} near_name;

void qdi_suggest(qd_str name, const qd_str *candidates, size_t ncandidates, char *out, size_t n)
{
    near_name near[8];
    size_t k = 0;
    out[0] = 0;
    for (size_t i = 0; i < ncandidates; i++) {
        size_t longer = name.n > candidates[i].n ? name.n : candidates[i].n;
        if (longer == 0 || longer > 64) continue;
        near_name c = {1.0f - (float)qd_str_distance(name, candidates[i]) / (float)longer,
                       candidates[i]};
        if (c.score <= 0.5f) continue;
        size_t at = k;
        while (at && (near[at - 1].score < c.score ||
                      (near[at - 1].score == c.score && qd_str_cmp(near[at - 1].name, c.name) > 0)))
            at--;
        if (at == QD_COUNT_OF(near)) continue;
        if (k < QD_COUNT_OF(near)) k++;
        memmove(near + at + 1, near + at, (k - at - 1) * sizeof *near);
        near[at] = c;
    }
    if (k == 0) return;
    int len = snprintf(out, n, k == 1 ? " did you mean [" : " did you mean any of [");
    for (size_t i = 0; i < k && (size_t)len < n; i++)
        len +=
            snprintf(out + len, n - (size_t)len, "%s%.*s", i ? ", " : "", QD_STR_ARG(near[i].name));
    if ((size_t)len < n) snprintf(out + len, n - (size_t)len, "]?");
}
