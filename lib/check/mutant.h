/*
 * mutant.h: defects that tests build into the product and choose by name, to prove that they find
 * each. A module lists its mutants in one table, a row each with what is wrong, and asks where the
 * rule stands:
 *
 *     #define LOG_MUTANTS(X, S)                                         \
 *         X(S, NO_SYNC, "a write is acknowledged before its sync")      \
 *         X(S, TORN_TAIL, "a batch is read whatever its checksum says")
 *     QD_MUTANTS(log, LOG_MUTANTS);
 *
 *     if (!QD_MUTANT(log, NO_SYNC)) rc = sync(f);
 *
 * Only builds with -DQD_WITH_MUTANTS have them. Everywhere else QD_MUTANT is the constant 0, so
 * that no branch, no variable and no name of a mutant is left in the product. A test program with
 * mutants writes QD_MUTANTS_DEFINE once for each table that it links, and QD_MUTANTS_PROGRAM once.
 * The numbers of a table are those of its rows, from 1 on; NONE is 0.
 */
#ifndef QD_CHECK_MUTANT_H
#define QD_CHECK_MUTANT_H

#include <stddef.h>

#define QD_MUTANT_NUMBER(set, name) QD_MUTANT_##set##_##name
#define QD_MUTANT_CONSTANT_(set, name, what) QD_MUTANT_##set##_##name,
#define QD_MUTANT_CONSTANTS_(set, LIST)                                                            \
    enum { QD_MUTANT_##set##_NONE, LIST(QD_MUTANT_CONSTANT_, set) QD_MUTANT_##set##_END }

#ifdef QD_WITH_MUTANTS
#include <string.h>

typedef struct qd_mutant {
    const char *name, *what;
} qd_mutant;

/* A table of mutants and those that are chosen. Written by a test before the code under test runs,
 * or while it stands still; read by any thread. */
typedef struct qd_mutant_set {
    const char *name;
    const qd_mutant *rows; /* that of number n is rows[n - 1] */
    int n;
    int chosen; /* 0: none */
    int beside; /* a second one that `chosen` needs to show itself; 0: none */
} qd_mutant_set;

/* Some mutant is chosen: an invariant that does not hold is what a test looks for (invariant.h). */
extern int qd_mutants_armed;
/* The first invariant that broke while a mutant was chosen; NULL: none. Tests set it back. */
extern const char *qd_mutants_broke;

#define QD_MUTANTS(set, LIST)                                                                      \
    QD_MUTANT_CONSTANTS_(set, LIST);                                                               \
    extern qd_mutant_set qd_mutants_##set
#define QD_MUTANT(set, name)                                                                       \
    (qd_mutants_##set.chosen == QD_MUTANT_NUMBER(set, name) ||                                     \
     qd_mutants_##set.beside == QD_MUTANT_NUMBER(set, name))

#define QD_MUTANT_ROW_(set, name, what) {#name, what},
#define QD_MUTANTS_DEFINE(set, LIST)                                                               \
    static const qd_mutant qd_mutant_rows_##set[] = {LIST(QD_MUTANT_ROW_, set)};                   \
    qd_mutant_set qd_mutants_##set = {#set, qd_mutant_rows_##set, QD_MUTANT_##set##_END - 1, 0, 0}
#define QD_MUTANTS_PROGRAM()                                                                       \
    int qd_mutants_armed;                                                                          \
    const char *qd_mutants_broke

/* Chooses a mutant by its number, 0: none, in place of what was chosen in this table. One table at
 * a time has a choice. [the thread of the test] */
static inline void qd_mutant_choose(qd_mutant_set *s, int number)
{
    s->chosen = number;
    s->beside = 0;
    qd_mutants_armed = number != 0;
    qd_mutants_broke = NULL;
}

/* Chooses a second one of the same or another table. [the thread of the test] */
static inline void qd_mutant_choose_beside(qd_mutant_set *s, int number)
{
    s->beside = number;
    qd_mutants_armed |= number != 0;
}

/* The number of a name, 0: the table has none such. */
static inline int qd_mutant_find(const qd_mutant_set *s, const char *name)
{
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->rows[i].name, name) == 0) return i + 1;
    return 0;
}

#else
#define QD_MUTANTS(set, LIST) QD_MUTANT_CONSTANTS_(set, LIST)
#define QD_MUTANT(set, name) (QD_MUTANT_NUMBER(set, name) == QD_MUTANT_NUMBER(set, NONE))
#endif

#endif
