/*
 * points_doors.h: a field's points through every door that readers have, for tests of damage and
 * the fuzzer: whatever the bytes are, documents lie inside the segment, lists ascend, counts keep
 * to their estimates; with a model the answers are told apart from wrong ones.
 */
#ifndef QD_TESTS_UNIT_POINTS_DOORS_H
#define QD_TESTS_UNIT_POINTS_DOORS_H

#include "segment/points/points_int.h"

typedef struct doors_point {
    qd_point_value v;
    uint32_t doc;
} doors_point;

typedef struct doors_model {
    uint8_t type;
    uint32_t docs, n; /* documents of the segment; points, at least one */
    doors_point *at;  /* by value, then document: doors_sort */
} doors_model;

/* Puts the model's points in order. */
void doors_sort(doors_model *m);
/* Writes object `name` with the model's points as field 5. Aborts where that fails. */
void doors_write(const doors_model *m, qd_store *s, const char *name, qd_account *account);
/* Estimates, counts, bitmaps, lists, slices and values of some ranges; *same: all were the
 * model's. 0 or the first error. */
int doors_read(const qd_points *p, const doors_model *m, uint64_t seed, bool *same,
               qd_account *account, qd_err *err);
/* Merges the set with itself into object `to`, which must be readable then. 0 or an error. */
int doors_merge(const qd_points_set *set, const doors_model *m, qd_store *s, const char *to,
                qd_account *account, qd_err *err);

#endif
