/*
 * automaton.h: deterministic automata over the bytes of UTF-8 terms: prefix, wildcard, regexp (all
 * of Lucene's syntax), Levenshtein.
 *
 * Built whole and minimised at construction, within a budget of states, so that a pattern that
 * explodes is refused before it is run; immutable afterwards and shared [any]. State 0 is dead.
 * `?`, `.`, classes and edits count code points. Syntax: Lucene's RegExp (org.apache.lucene.util.
 * automaton); case folding is ASCII's, as Elasticsearch's.
 */
#ifndef QD_SEGMENT_AUTOMATON_H
#define QD_SEGMENT_AUTOMATON_H

#include "base/err.h"
#include "base/mem.h"
#include <quidditch/types.h>

#define QD_AUTOMATON_STATES_DEFAULT 10000u
#define QD_AUTOMATON_DEAD 0u

typedef struct qd_automaton {
    uint32_t magic;
    uint32_t states;       /* number, the dead one included */
    uint32_t start;        /* QD_AUTOMATON_DEAD: matches nothing */
    uint32_t classes;      /* byte classes: columns of next */
    uint8_t class_of[256]; /* byte -> class */
    uint8_t first_of[256]; /* class -> its least byte; classes are runs of bytes */
    uint32_t *next;        /* states * classes */
    uint8_t *flags;        /* QD_AUTOMATON_ bits of each state */
    qd_str prefix;         /* bytes that every match begins with; owned, may be empty */
    bool finite;           /* matches finitely many terms */
    uint32_t longest;      /* longest match in bytes when finite */
} qd_automaton;

enum {
    QD_AUTOMATON_ACCEPT = 1u << 0, /* what was read so far matches */
    QD_AUTOMATON_ALL = 1u << 1     /* and so does everything it begins: no more steps needed */
};

/* Lucene's RegExp syntax flags. */
enum {
    QD_REGEXP_INTERSECTION = 1u << 0,
    QD_REGEXP_COMPLEMENT = 1u << 1,
    QD_REGEXP_EMPTY = 1u << 2,
    QD_REGEXP_ANYSTRING = 1u << 3,
    QD_REGEXP_INTERVAL = 1u << 5,
    QD_REGEXP_ALL = 0xff,
    QD_REGEXP_NONE = 0
};

/* The state after byte b. [any] */
static inline uint32_t qd_automaton_step(const qd_automaton *a, uint32_t state, uint8_t b)
{
    return a->next[(size_t)state * a->classes + a->class_of[b]];
}
/* Does the state accept? [any] */
static inline bool qd_automaton_accepts(const qd_automaton *a, uint32_t state)
{
    return (a->flags[state] & QD_AUTOMATON_ACCEPT) != 0;
}
/* Does the whole of s match? [any] */
bool qd_automaton_match(const qd_automaton *a, qd_str s);
/* The least byte >= b that leaves state for a live one; -1 when there is none. For seeking. [any]
 */
int qd_automaton_next_byte(const qd_automaton *a, uint32_t state, unsigned b);

/* Terms that begin with prefix. [worker] QD_E_NOMEM, QD_E_TOO_COMPLEX. */
QD_MUST_CHECK
int qd_automaton_prefix(qd_str prefix, bool case_insensitive, qd_account *account,
                        qd_automaton **out, qd_err *err);
/* Exactly this term (useful with case_insensitive). [worker] */
QD_MUST_CHECK
int qd_automaton_term(qd_str term, bool case_insensitive, qd_account *account, qd_automaton **out,
                      qd_err *err);
/* `*` any string, `?` any code point, `\` takes the next one as it is. states_max 0: the default.
 * [worker] QD_E_TOO_COMPLEX. */
QD_MUST_CHECK
int qd_automaton_wildcard(qd_str pattern, bool case_insensitive, uint32_t states_max,
                          qd_account *account, qd_automaton **out, qd_err *err);
/* Lucene's regular expressions; flags are QD_REGEXP_. [worker] QD_E_ARG with Lucene's message for
 * bad syntax, QD_E_TOO_COMPLEX ("Determinizing ... would require more than N effort."). */
QD_MUST_CHECK
int qd_automaton_regexp(qd_str pattern, uint32_t flags, bool case_insensitive, uint32_t states_max,
                        qd_account *account, qd_automaton **out, qd_err *err);
/* Terms within `edits` (0 to 2) insertions, deletions, substitutions (and swaps of neighbours, when
 * transpositions) of term, whose first prefix_length code points are equal. [worker] QD_E_ARG. */
QD_MUST_CHECK
int qd_automaton_fuzzy(qd_str term, uint32_t edits, uint32_t prefix_length, bool transpositions,
                       qd_account *account, qd_automaton **out, qd_err *err);
/* Frees; NULL is fine. [any] */
void qd_automaton_free(qd_automaton *a);

/* Edit distance in code points (swaps of neighbours count one when transpositions), for the boost
 * of fuzzy matches; max + 1 when it is greater than max (at most 2). [any] */
uint32_t qd_edit_distance(qd_str a, qd_str b, bool transpositions, uint32_t max);

#endif
