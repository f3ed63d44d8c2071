/*
 * nfa_int.h: nondeterministic automata over UTF-8 bytes, from which every kind is built, and their
 * determinisation.
 *
 * Thompson fragments: one start, one end. States and edges of a fragment are contiguous in their
 * arrays while it is the newest, so a repeat is a copy of ranges and a complement may throw its
 * operand away. Errors stick in rc: builders go on (within the limit) and look at the end.
 */
#ifndef QD_SEGMENT_NFA_INT_H
#define QD_SEGMENT_NFA_INT_H

#include "automaton/automaton.h"
#include "base/utf8.h"
#include "base/vec.h"

#define QDI_NFA_EDGES_MAX 400000u
#define QDI_CODE_POINT_MAX 0x10ffffu

typedef struct qdi_nfa_edge {
    uint32_t to;
    uint32_t next; /* edge + 1 of the same state; 0: none */
    uint8_t lo, hi;
    bool epsilon;
} qdi_nfa_edge;

typedef struct qdi_nfa {
    qd_account *account;
    QD_VEC(uint32_t) first; /* by state: its newest edge + 1 */
    QD_VEC(qdi_nfa_edge) edges;
    int rc; /* 0, QD_E_NOMEM, QD_E_TOO_COMPLEX */
} qdi_nfa;

typedef struct qdi_fragment {
    uint32_t start, end;
    uint32_t state0, edge0; /* its first state and edge */
} qdi_fragment;

/* A range of code points. */
typedef struct qdi_points_range {
    uint32_t lo, hi;
} qdi_points_range;

/* Frees. */
void qdi_nfa_fini(qdi_nfa *n);
/* A new state. */
uint32_t qdi_nfa_state(qdi_nfa *n);
/* Edges of a state. */
void qdi_nfa_epsilon(qdi_nfa *n, uint32_t from, uint32_t to);
void qdi_nfa_bytes(qdi_nfa *n, uint32_t from, uint32_t to, uint8_t lo, uint8_t hi);
/* Edges over all code points of [lo, hi], surrogates left out. */
void qdi_nfa_range(qdi_nfa *n, uint32_t from, uint32_t to, uint32_t lo, uint32_t hi);
/* Edges over any code point; seven states between. */
void qdi_nfa_any(qdi_nfa *n, uint32_t from, uint32_t to);
/* Edges over one code point and, folded, its other ASCII case. */
void qdi_nfa_char(qdi_nfa *n, uint32_t from, uint32_t to, uint32_t cp, bool fold);

/* Opens a fragment with a fresh start; its end is set by the builder. */
qdi_fragment qdi_fragment_begin(qdi_nfa *n);
/* The empty string. */
qdi_fragment qdi_fragment_empty(qdi_nfa *n);
/* Nothing at all. */
qdi_fragment qdi_fragment_none(qdi_nfa *n);
/* Any string. */
qdi_fragment qdi_fragment_any_string(qdi_nfa *n);
/* a then b; b is the newest. */
qdi_fragment qdi_fragment_concat(qdi_nfa *n, qdi_fragment a, qdi_fragment b);
/* a or b; b is the newest. */
qdi_fragment qdi_fragment_union(qdi_nfa *n, qdi_fragment a, qdi_fragment b);
/* min to max times (max UINT32_MAX: no bound); a is the newest. */
qdi_fragment qdi_fragment_repeat(qdi_nfa *n, qdi_fragment a, uint32_t min, uint32_t max);

/* A deterministic automaton while it is worked on: state 0 is dead, 1 the start. */
typedef struct qdi_dfa {
    uint32_t states, classes;
    uint8_t class_of[256];
    uint32_t *next;  /* states * classes */
    uint8_t *accept; /* by state */
} qdi_dfa;
/* Frees. */
void qdi_dfa_fini(qdi_dfa *d);
/* Determinises the fragment. QD_E_TOO_COMPLEX over states_max (each state_max states may grow
 * eightfold, as a code point takes up to four bytes) or when the sets grow too large in all. */
QD_MUST_CHECK
int qdi_determinize(const qdi_nfa *n, qdi_fragment f, uint32_t states_max, qd_account *account,
                    qdi_dfa *out, qd_err *err);
/* Replaces the newest fragment by the strings of code points that it does not match. */
QD_MUST_CHECK
int qdi_fragment_complement(qdi_nfa *n, qdi_fragment *f, uint32_t states_max, qd_err *err);
/* Replaces the two newest fragments, a before b, by what both match. */
QD_MUST_CHECK
int qdi_fragment_intersect(qdi_nfa *n, qdi_fragment *a, qdi_fragment b, uint32_t states_max,
                           qd_err *err);
/* Determinises f, drops states that lead nowhere, makes the public automaton. */
QD_MUST_CHECK
int qdi_automaton_finish(qdi_nfa *n, qdi_fragment f, uint32_t states_max, qd_automaton **out,
                         qd_err *err);

/* An automaton of dead states without edges, to be filled in; on an error *out is freed by the
 * caller. */
QD_MUST_CHECK
int qdi_automaton_begin(uint32_t states, uint32_t classes, const uint8_t *class_of,
                        qd_account *account, qd_automaton **out);
/* Finds the bytes that every match begins with. */
QD_MUST_CHECK
int qdi_automaton_find_prefix(qd_automaton *a, qd_account *account);

/* levenshtein.c: fuzzy automata of short ASCII terms, straight away. prefix <= term.n. */
#define QDI_LEVENSHTEIN_MAX 60u
bool qdi_levenshtein_fits(qd_str term, uint32_t edits);
QD_MUST_CHECK
int qdi_levenshtein(qd_str term, uint32_t edits, uint32_t prefix, bool swaps, qd_account *account,
                    qd_automaton **out, qd_err *err);

/* Parses Lucene's syntax into one fragment. */
QD_MUST_CHECK
int qdi_regexp_parse(qdi_nfa *n, qd_str pattern, uint32_t flags, bool fold, uint32_t states_max,
                     qdi_fragment *out, qd_err *err);

#endif
