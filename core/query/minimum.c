/*
 * minimum.c: minimum_should_match: "3", "-2", "75%", "-25%", and conditions "2<75% 9<-3" of which
 * the last whose bound is below the number of clauses counts. Numbers are Java's ints.
 */
#include "base/str.h"
#include "query/dsl.h"

static int read_int(qd_str s, int64_t *out, qd_err *err)
{
    if (s.n && qd_i64_parse(s, out) == 0 && *out >= INT32_MIN && *out <= INT32_MAX) return 0;
    return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"", QD_STR_ARG(s));
}

static int simple(qd_str s, int64_t optional, int64_t *out, qd_err *err)
{
    int64_t v;
    s = qd_str_trim(s);
    if (qd_str_find(s, '%') >= 0) {
        int rc = read_int(qd_str_sub(s, 0, s.n - 1), &v, err);
        if (rc) return rc;
        float calc = (float)(int32_t)(uint32_t)(optional * v) * (1 / 100.0f);
        *out = calc < 0 ? optional + (int64_t)calc : (int64_t)calc;
    } else {
        int rc = read_int(s, &v, err);
        if (rc) return rc;
        *out = v < 0 ? optional + v : v;
    }
    if (*out < 0) *out = 0;
    return 0;
}

/* The next part between spaces; spaces around `<` belong to the part. */
static qd_str next_part(qd_str *rest)
{
    size_t i = 0;
    qd_str s = qd_str_trim(*rest);
    for (; i < s.n; i++) {
        if (s.p[i] != ' ' && s.p[i] != '\t') continue;
        size_t k = i;
        while (k < s.n && (s.p[k] == ' ' || s.p[k] == '\t')) k++;
        if (k < s.n && s.p[k] == '<') {
            i = k;
            continue;
        }
        if (i && s.p[i - 1] == '<') {
            i = k - 1;
            continue;
        }
        break;
    }
    *rest = qd_str_sub(s, i, s.n);
    return qd_str_sub(s, 0, i);
}

/* "2<": Java's split leaves one part, and Elasticsearch looks for the second. */
static int no_right_side(qd_err *err)
{
    int rc = qd_err_set(err, QD_E_ARG, "Index 1 out of bounds for length 1");
    qd_err_type(err, "array_index_out_of_bounds_exception", 0);
    return rc;
}

int qd_minimum_should_match(qd_str spec, uint32_t optional, uint32_t *out, qd_err *err)
{
    int64_t result = optional;
    int rc = 0;
    spec = qd_str_trim(spec);
    if (qd_str_find(spec, '<') < 0) {
        rc = simple(spec, optional, &result, err);
    } else {
        for (qd_str rest = spec; rest.n && !rc;) {
            qd_str part = next_part(&rest);
            int64_t bound;
            ptrdiff_t at = qd_str_find(part, '<');
            if (part.n == 0) break;
            qd_str left = at < 0 ? part : qd_str_trim(qd_str_sub(part, 0, (size_t)at));
            rc = read_int(left, &bound, err);
            if (rc || (int64_t)optional <= bound) break;
            qd_str right = at < 0 ? (qd_str){"", 0} : qd_str_sub(part, (size_t)at + 1, part.n);
            rc = right.n ? simple(right, optional, &result, err) : no_right_side(err);
        }
    }
    if (!rc) *out = (uint32_t)result;
    return rc;
}
