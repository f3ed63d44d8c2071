/*
 * prox.h: where words stand in a document: the trees of span queries and of intervals, which a node
 * PROXIMITY (node.h) holds. Both are sequences of places in order; spans end behind their last word
 * and keep what they skip as a width, intervals end on it and are minimal (no one holds another).
 */
#ifndef QD_QUERY_PROX_H
#define QD_QUERY_PROX_H

#include "query/node.h"

typedef enum qd_prox_kind {
    QD_PROX_NONE, /* nowhere */
    QD_PROX_TERM,
    QD_PROX_MULTI, /* any term of a pattern, fuzzy word or range, of which there are at most a (0:
                      any) */
    QD_PROX_OR,    /* spans: all of them; intervals: the minimal ones */
    /* spans */
    QD_PROX_NEAR,       /* in order, at most a positions between them */
    QD_PROX_ANY_ORDER,  /* the same in any order */
    QD_PROX_GAP,        /* a positions of anything, within NEAR */
    QD_PROX_NOT,        /* the first one, without the second from a before to b behind it */
    QD_PROX_FIRST,      /* ends at a or before */
    QD_PROX_CONTAINING, /* the first one, where it holds the second */
    QD_PROX_WITHIN,     /* the second one, where the first holds it */
    /* intervals */
    QD_PROX_PHRASE,    /* one right behind the other */
    QD_PROX_ORDERED,   /* in order, without overlaps */
    QD_PROX_UNORDERED, /* all of them, in any order */
    QD_PROX_REPEAT,    /* so many of it, one behind the other: a */
    QD_PROX_MAX_GAPS,  /* at most a positions between its parts */
    QD_PROX_EXTEND,    /* a positions before and b behind belong to it */
    QD_PROX_HOLDS,     /* the first one, where it holds the second */
    QD_PROX_INSIDE,    /* the first one, where the second holds it */
    QD_PROX_OVERLAPS,  /* the first one, where it meets the second */
    QD_PROX_BEFORE,    /* the first one, where it ends before a second */
    QD_PROX_AFTER,     /* the first one, where it begins behind a second */
    QD_PROX_NOT_HOLDS, /* the opposites; in the order of those above */
    QD_PROX_NOT_INSIDE,
    QD_PROX_NOT_OVERLAPS,
} qd_prox_kind;

/* Nesting of trees; deeper ones are refused (QD_E_LIMIT). */
#define QD_PROX_DEPTH_MAX 48u

typedef struct qd_prox {
    qd_prox_kind kind;
    int32_t a, b;
    qd_str field;         /* whose places these are; spans may be masked as those of another */
    qd_str term;          /* TERM: indexed bytes */
    qd_str of;            /* TERM: the field that has it */
    const qd_node *multi; /* MULTI: a PATTERN, or a RANGE of terms */
    const struct qd_prox *const *sub;
    uint32_t n;
    int32_t extent; /* intervals: words of the shortest one */
    bool apart;     /* OR of intervals: not to be pulled above what holds it */
} qd_prox;

typedef struct qd_node_prox {
    qd_str field; /* whose lengths and statistics score */
    const qd_prox *root;
    bool intervals;
} qd_node_prox;

#endif
