/*
 * number.h: text to numbers and back, exact in both directions, without locale.
 *
 * Reading: nearest double or float, ties to even, for any number of digits (Eisel and Lemire's
 * algorithm, "Number parsing at a gigabyte per second", 2021, with an exact division of big
 * integers where it cannot decide). Writing: the shortest decimal that reads back as the same value
 * (Giulietti's Schubfach, 2020), laid out as Java's Double.toString and Float.toString do since
 * version 19: 1.0, 1.0E10, 1.2E-5. All functions are pure [any].
 */
#ifndef QD_JSON_NUMBER_H
#define QD_JSON_NUMBER_H

#include "base/assert.h"
#include <quidditch/types.h>

#define QD_F64_TEXT_MAX 26 /* bytes of the longest double, -1.2345678901234567E-308 and NUL */
#define QD_I64_TEXT_MAX 21 /* bytes of the longest 64-bit integer and NUL */

/*
 * Whole s as a decimal number, JSON's grammar: 0, QD_E_ARG when it is not one, QD_E_LIMIT when it
 * overflows (out is then infinite with its sign). Underflow gives zero with its sign.
 */
QD_MUST_CHECK
int qd_f64_parse(qd_str s, double *out);
/* The same, rounded once to float. */
QD_MUST_CHECK
int qd_f32_parse(qd_str s, float *out);
/*
 * As Java's Double.parseDouble reads: also "+1", ".5", "1.", "NaN", "Infinity", a trailing d or f
 * and white space around. Overflow is infinite without an error. 0 or QD_E_ARG.
 */
QD_MUST_CHECK
int qd_f64_parse_java(qd_str s, double *out);
/* The same for Float.parseFloat. */
QD_MUST_CHECK
int qd_f32_parse_java(qd_str s, float *out);
/* Whole s as [+-]digits: 0, QD_E_ARG when it is not that, QD_E_LIMIT out of range. */
QD_MUST_CHECK
int qd_i64_parse(qd_str s, int64_t *out);
/* Whole s as [+]digits, the same way. */
QD_MUST_CHECK
int qd_u64_parse(qd_str s, uint64_t *out);
/*
 * A decimal number with fraction and exponent cut towards zero to an integer ("12.9e1" is 129):
 * 0; QD_E_ARG when it is no number; QD_E_LIMIT out of range. *exact (may be NULL) tells whether
 * nothing was cut off.
 */
QD_MUST_CHECK
int qd_i64_parse_decimal(qd_str s, int64_t *out, bool *exact);
/* The same for unsigned numbers; -0.5 is 0, -1 out of range. */
QD_MUST_CHECK
int qd_u64_parse_decimal(qd_str s, uint64_t *out, bool *exact);

/* Writes v as Double.toString does ("NaN", "Infinity" too) with a NUL; returns the length. */
size_t qd_f64_print(char out[QD_F64_TEXT_MAX], double v);
/* Writes v as Float.toString does. */
size_t qd_f32_print(char out[QD_F64_TEXT_MAX], float v);
/* Writes v in decimal with a NUL; returns the length. */
size_t qd_i64_print(char out[QD_I64_TEXT_MAX], int64_t v);
/* The same, unsigned. */
size_t qd_u64_print(char out[QD_I64_TEXT_MAX], uint64_t v);

#endif
