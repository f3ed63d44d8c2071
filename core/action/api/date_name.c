/*
 * date_name.c: names with date math. Between < and > stand text, and times in braces: a date
 * expression, and behind it in braces of its own the format and, after a |, the time zone.
 */
#include "action/api/date_name.h"
#include "mapping/date_math.h"
#include <string.h>

#define NAME_MAX_BYTES 4096u
#define LIST_MAX_BYTES ((size_t)1 << 24)

/* Of what stands between < and >, as Elasticsearch shows it. */
static int bad(qd_str name, const char *why, qd_err *err)
{
    qd_str in = qd_str_sub(name, 1, name.n - 2);
    return qd_err_set(err, QD_E_ES_PARSE, "invalid dynamic name expression [%.*s]. %s",
                      QD_STR_ARG(in), why);
}

/* at: in the name, < included. */
static int bad_at(qd_str name, const char *where, size_t at, const char *more, qd_err *err)
{
    qd_str in = qd_str_sub(name, 1, name.n - 2);
    return qd_err_set(err, QD_E_ES_PARSE,
                      "invalid dynamic name expression [%.*s]. invalid character %sat position "
                      "[%zu]%s",
                      QD_STR_ARG(in), where, at, more);
}

/* The time in braces: "now/d", "now-1M{yyyy.MM}", "now{yyyy|+01:00}". */
static int one_time(qd_arena *a, qd_str name, qd_str text, int64_t now_ms, qd_buf *b, qd_err *err)
{
    char out[128];
    int64_t ms;
    qd_str math = text, pattern = QD_STR("uuuu.MM.dd");
    qd_date_format *format;
    qd_zone *zone = NULL;
    ptrdiff_t open = qd_str_find(text, '{');
    int rc = 0;
    if (open >= 0) {
        if (text.p[text.n - 1] != '}')
            return bad(name, "missing closing `}` for date math format", err);
        math = qd_str_sub(text, 0, (size_t)open);
        pattern = qd_str_sub(text, (size_t)open + 1, text.n - (size_t)open - 2);
        ptrdiff_t bar = qd_str_find(pattern, '|');
        if (!pattern.n) return bad(name, "missing date format", err);
        if (bar >= 0) {
            rc = qd_zone_make(a, qd_str_sub(pattern, (size_t)bar + 1, pattern.n), &zone, err);
            pattern = qd_str_sub(pattern, 0, (size_t)bar);
        }
    }
    if (!rc) rc = qd_date_format_make(a, pattern, &format, err);
    if (!rc) rc = qd_date_math(qd_date_format_default(), math, now_ms, false, zone, &ms, err);
    if (rc) return rc;
    size_t n = qd_date_print(format, ms, zone, out);
    (void)qd_buf_str(b, (qd_str){out, n});
    return 0;
}

static int expand(qd_arena *a, qd_str name, int64_t now_ms, qd_buf *b, qd_err *err)
{
    qd_str in = qd_str_sub(name, 1, name.n - 2);
    size_t begin = 0, depth = 0;
    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i];
        if (c == '\\' && i + 1 < in.n && !depth) {
            (void)qd_buf_char(b, in.p[++i]);
        } else if (c == '{') {
            if (!depth++) begin = i + 1;
        } else if (c == '}' && !depth) {
            return bad_at(name, "", i + 1,
                          ". `{` and `}` are reserved characters and should be escaped when used "
                          "as part of the index name using `\\` (e.g. `\\{text\\}`)",
                          err);
        } else if (c == '}') {
            if (--depth) continue;
            qd_str text = qd_str_sub(in, begin, i - begin);
            if (!text.n) return bad(name, "missing date format", err);
            int rc = one_time(a, name, text, now_ms, b, err);
            if (rc) return rc;
        } else if (!depth) {
            (void)qd_buf_char(b, c);
        }
        if (depth > 2) return bad_at(name, "in placeholder ", i + 1, "", err);
    }
    if (depth) return bad(name, "date math placeholder is open ended", err);
    return b->n ? 0 : bad(name, "nothing captured", err);
}

int qdi_date_name(qd_arena *a, qd_str name, int64_t now_ms, qd_str *out, qd_err *err)
{
    qd_buf b;
    *out = name;
    if (!qdi_is_date_name(name)) return 0;
    qd_buf_init(&b, NULL, NAME_MAX_BYTES);
    int rc = expand(a, name, now_ms, &b, err);
    if (!rc && qd_buf_status(&b)) rc = bad(name, "the name is too long", err);
    if (!rc) {
        *out = qd_arena_str(a, qd_buf_view(&b));
        if (!out->p) rc = qd_err_nomem(err, "name of an index");
    }
    qd_buf_fini(&b);
    return rc;
}

static int one_of_list(qd_arena *a, qd_str name, int64_t now_ms, qd_buf *b, qd_err *err)
{
    if (qd_str_starts(name, QD_STR("-<"))) {
        (void)qd_buf_char(b, '-');
        name = qd_str_sub(name, 1, name.n);
    }
    int rc = qdi_date_name(a, name, now_ms, &name, err);
    if (!rc) (void)qd_buf_str(b, name);
    return rc;
}

int qdi_date_names(qd_arena *a, qd_str names, int64_t now_ms, qd_str *out, qd_err *err)
{
    qd_buf b;
    int rc = 0;
    *out = names;
    if (!names.n || !memchr(names.p, '<', names.n)) return 0;
    qd_buf_init(&b, a->account, LIST_MAX_BYTES);
    for (qd_str rest = names; rest.p && !rc;) {
        qd_str name = qd_str_split(&rest, ',');
        if (b.n) (void)qd_buf_char(&b, ',');
        rc = one_of_list(a, name, now_ms, &b, err);
    }
    if (!rc) {
        *out = qd_arena_str(a, qd_buf_view(&b));
        if (qd_buf_status(&b) || !out->p) rc = qd_err_nomem(err, "names of indices");
    }
    qd_buf_fini(&b);
    return rc;
}
