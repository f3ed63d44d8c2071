/*
 * units_int.h: filters that rewrite one term at a time as UTF-16 units, the form in which stemmers
 * and normalizations of Lucene's languages are defined; and tables of endings, which most light
 * stemmers are made of.
 */
#ifndef QD_ANALYSIS_UNITS_INT_H
#define QD_ANALYSIS_UNITS_INT_H

#include "analysis/analysis_int.h"
#include <uchar.h>

/* Rewrites b[0 .. n), n > 0; the room is 2 * n + QD_UNITS_ROOM. Returns the new length. */
typedef int qd_units_fn(char16_t *b, int n);
enum { QD_UNITS_ROOM = 16 };

/* One named rewriting. */
typedef struct qd_units_type {
    const char *name;
    qd_units_fn *fn;
} qd_units_type;

/* A filter that runs fn over each term; stems: keywords are left alone, else it normalizes. */
QD_MUST_CHECK
int qd_units_make(const qd_part_conf *c, qd_units_fn *fn, bool stems, qd_part **out, qd_err *err);
/* The stemmer of that name, or NULL. */
qd_units_fn *qd_light_stemmer(qd_str name);

/* What a rule does besides its change. */
enum { QD_RULE_ON, QD_RULE_STOP };

/* An ending: of a term of more than `over` units that ends with one of `ends` (parted by blanks; ?
 * is any one unit, @ one of aeiouy, # none of them, = the same as the one before), `cut` units go
 * and `put` is appended (? in it: the unit that ? met). The first rule of a step that fits is
 * taken, then the next step follows. A row without `ends` parts steps; one whose `over` is 255,
 * too, is the last. */
typedef struct qd_rule {
    uint8_t over, cut;
    const char16_t *ends, *put;
    uint8_t then; /* QD_RULE_ */
} qd_rule;
#define QD_STEP                                                                                    \
    {                                                                                              \
        0, 0, NULL, NULL, 0                                                                        \
    }
#define QD_RULES_END                                                                               \
    {                                                                                              \
        255, 0, NULL, NULL, 0                                                                      \
    }

/* Runs the steps over b; returns the new length. */
int qd_rules_run(const qd_rule *r, char16_t *b, int n);
/* Does b end with s? */
bool qd_units_end(const char16_t *b, int n, const char16_t *s);
/* Does b end with one of the words of list, parted by blanks? */
bool qd_units_end_any(const char16_t *b, int n, const char16_t *list);
/* Is b one of the words of list, parted by blanks? */
bool qd_units_in(const char16_t *b, int n, const char16_t *list);
/* Is c one of the units of set? */
bool qd_unit_of(char16_t c, const char16_t *set);
/* Maps each unit by pairs "from to from to …". */
void qd_units_map(char16_t *b, int n, const char16_t *pairs);
/* Takes count units out at `at`; returns the new length. */
int qd_units_cut(char16_t *b, int n, int at, int count);
/* Makes a gap of one unit at `at`; returns the new length. */
int qd_units_gap(char16_t *b, int n, int at);

#endif
