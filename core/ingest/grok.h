/*
 * grok.h: patterns like "%{IP:client} %{NUMBER:bytes:int}", made of named patterns, as one regular
 * expression with its captures.
 */
#ifndef QD_INGEST_GROK_H
#define QD_INGEST_GROK_H

#include "ingest/regex_int.h"

typedef struct qd_grok qd_grok;
typedef enum qd_grok_type {
    QD_GROK_TEXT,
    QD_GROK_INT,
    QD_GROK_LONG,
    QD_GROK_FLOAT,
    QD_GROK_DOUBLE,
    QD_GROK_BOOLEAN,
} qd_grok_type;
typedef struct qd_grok_spec {
    const qd_str *patterns;
    uint32_t npatterns;
    const qd_str *names, *definitions; /* of the caller's own patterns, which go before ours */
    uint32_t ndefinitions;
    bool ecs;
} qd_grok_spec;

/* Compiles patterns, the first of which that matches counts where several begin at one place. All
 * texts are kept. QD_E_ARG: a name that is unknown, or stands for itself. */
QD_MUST_CHECK
int qd_grok_make(qd_arena *a, const qd_grok_spec *spec, qd_grok **out, qd_err *err);

typedef struct qd_grok_value {
    qd_str name, text;
    qd_grok_type type;
} qd_grok_value;
typedef struct qd_grok_match {
    size_t begin, end; /* of all */
    uint32_t pattern;  /* which one matched */
} qd_grok_match;
/* How many values a match has. */
uint32_t qd_grok_captures(const qd_grok *g);
/* The name of one of them. */
qd_str qd_grok_capture_name(const qd_grok *g, uint32_t k);
/* The first match at or behind a place: 1, 0: none. */
QD_MUST_CHECK
int qd_grok_find(const qd_grok *g, qdi_regex_room *room, qd_str text, size_t from,
                 qd_grok_match *out, qd_err *err);
/* After qd_grok_find, before the next: value number k; false: there are no more. Those that took no
 * part have text.p NULL. */
bool qd_grok_value_at(const qd_grok *g, qdi_regex_room *room, qd_str text, uint32_t k,
                      qd_grok_value *out);

/* One of our patterns, by number; false: there are no more. Its text is that of a set, in b. */
bool qd_grok_pattern(uint32_t k, bool ecs, const char **name, qd_buf *b);
/* The text of a pattern by its name, appended to b; false: there is none. */
bool qd_grok_lookup(qd_str name, bool ecs, qd_buf *b);

#endif
