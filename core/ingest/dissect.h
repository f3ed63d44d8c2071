/*
 * dissect.h: patterns like "%{a} - %{b}", by which a text is cut at its delimiters, without regular
 * expressions: %{name}, %{} and %{?name} are skipped, %{+name} and %{+name/2} are joined, %{*k} and
 * %{&k} are a key and its value, "->" behind a name lets the delimiter repeat.
 */
#ifndef QD_INGEST_DISSECT_H
#define QD_INGEST_DISSECT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

typedef struct qd_dissect qd_dissect;
typedef struct qd_dissect_pair {
    qd_str key, value;
} qd_dissect_pair;

/* Compiles a pattern, which is kept. QD_E_ARG of the type pattern_parse. */
QD_MUST_CHECK
int qd_dissect_make(qd_arena *a, qd_str pattern, qd_str append, qd_dissect **out, qd_err *err);
/* Cuts a text: the pairs, in the arena. QD_E_ARG of the type find_match. */
QD_MUST_CHECK
int qd_dissect_text(const qd_dissect *d, qd_arena *a, qd_str text, qd_dissect_pair **out,
                    uint32_t *n, qd_err *err);

#endif
