/* vectors.c: what a field of vectors lets in, of documents and of queries. */
#include "mapping/vectors.h"
#include "json/number.h"
#include <math.h>
#include <stdio.h>

#define SHOWN 5u
#define UNIT_EPS 1e-3

uint32_t qd_vector_dims_max(const qd_vector_field *v)
{
    return v->opensearch ? 16000 : v->element == QD_ELEMENT_BIT ? 32768 : 4096;
}

static const char *element_name(const qd_vector_field *v)
{
    static const char *const names[] = {"float", "byte", "bit"};
    return names[v->element];
}

/* "Preview of invalid vector: [1.0, 2.0, ...]"; whole: as integers. */
static void preview(const float *x, uint32_t n, bool whole, char out[256])
{
    char number[QD_F64_TEXT_MAX];
    int at = snprintf(out, 256, "Preview of invalid vector: [");
    for (uint32_t i = 0; i < n && i < SHOWN; i++) {
        if (whole) {
            snprintf(number, sizeof number, "%d", (int)x[i]);
        } else if (isfinite(x[i])) {
            number[qd_f32_print(number, x[i])] = 0;
        } else {
            snprintf(number, sizeof number, "%sInfinity", x[i] < 0 ? "-" : "");
        }
        at += snprintf(out + at, 256 - (size_t)at, "%s%s", i ? ", " : "", number);
    }
    snprintf(out + at, 256 - (size_t)at, n > SHOWN ? ", ...]" : "]");
}

static int refuse(const float *x, uint32_t n, bool whole, const char *why, qd_err *err)
{
    char shown[256];
    preview(x, n, whole, shown);
    return qd_err_set(err, QD_E_ARG, "%s %s", why, shown);
}

/* The first number that the elements cannot hold. */
static int check_numbers(const qd_vector_field *v, const float *x, uint32_t n, qd_err *err)
{
    char why[256], number[QD_F64_TEXT_MAX];
    bool whole = v->element != QD_ELEMENT_FLOAT;
    for (uint32_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) {
            snprintf(why, sizeof why,
                     "element_type [%s] vectors do not support infinite values but found "
                     "[%sInfinity] at dim [%u];",
                     element_name(v), x[i] < 0 ? "-" : "", i);
        } else if (whole && x[i] != truncf(x[i])) {
            number[qd_f32_print(number, x[i])] = 0;
            snprintf(why, sizeof why,
                     "element_type [%s] vectors only support non-decimal values but found decimal "
                     "value [%s] at dim [%u];",
                     element_name(v), number, i);
        } else if (whole && !(x[i] >= -128 && x[i] <= 127)) {
            snprintf(why, sizeof why,
                     "element_type [%s] vectors only support integers between [-128, 127] but "
                     "found [%.0f] at dim [%u];",
                     element_name(v), (double)x[i], i);
        } else {
            continue;
        }
        return refuse(x, n, false, why, err);
    }
    return 0;
}

static int check_length(const qd_vector_field *v, const float *x, uint32_t n, qd_err *err)
{
    bool unit = v->space == QD_SPACE_DOT && v->element == QD_ELEMENT_FLOAT;
    double sum = 0;
    if (!v->searched || (v->space != QD_SPACE_COSINE && !unit)) return 0; /* nobody compares */
    for (uint32_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    if (unit && !(fabs(sum - 1) < UNIT_EPS))
        return refuse(x, n, false,
                      "The [dot_product] similarity can only be used with unit-length vectors.",
                      err);
    if (unit || (float)sqrt(sum) > 0) return 0;
    if (v->opensearch)
        return qd_err_set(err, QD_E_ARG,
                          "zero vector is not supported when space type is [cosinesimil]");
    return refuse(x, n, v->element != QD_ELEMENT_FLOAT,
                  "The [cosine] similarity does not support vectors with zero magnitude.", err);
}

int qd_vector_row(const qd_vector_field *v, float *x, uint32_t n, qd_err *err)
{
    int rc = check_numbers(v, x, n, err);
    if (!rc) rc = check_length(v, x, n, err);
    if (rc || v->element == QD_ELEMENT_FLOAT) return rc;
    int8_t *bytes = (int8_t *)x; /* behind what is still to be read, never before it */
    for (uint32_t i = 0; i < n; i++) bytes[i] = (int8_t)x[i];
    return 0;
}

static int nibble(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

int qd_vector_hex(qd_str text, float *x, uint32_t room, uint32_t *n, qd_err *err)
{
    if (text.n / 2 > room)
        return qd_err_set(err, QD_E_LIMIT, "a vector has at most %u bytes here", room);
    *n = (uint32_t)(text.n / 2);
    for (uint32_t i = 0; i < *n && text.n % 2 == 0; i++) {
        int high = nibble(text.p[2 * i]), low = nibble(text.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return qd_err_set(err, QD_E_ARG, "string is not valid hexadecimal");
        if (x) x[i] = (float)(int8_t)(high << 4 | low);
    }
    return text.n % 2 ? qd_err_set(err, QD_E_ARG, "string is not valid hexadecimal") : 0;
}
