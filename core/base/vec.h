/*
 * vec.h: growing arrays of values. QD_VEC(T) declares a struct {T *at; size_t n, cap;}; start with
 * {0}. The memory belongs to the account given at the first push; free with qd_vec_fini.
 */
#ifndef QD_BASE_VEC_H
#define QD_BASE_VEC_H

#include "base/mem.h"
#include <quidditch/types.h>

#define QD_VEC(T)                                                                                  \
    struct {                                                                                       \
        T *at;                                                                                     \
        size_t n, cap;                                                                             \
    }

/* Makes room for more elements of size bytes; 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qd_vec_grow(void **at, size_t *cap, size_t n, size_t more, size_t size, qd_account *account);

/* Room for k more elements: 0 or QD_E_NOMEM. */
#define qd_vec_reserve(v, account, k)                                                              \
    ((v)->n + (k) <= (v)->cap                                                                      \
         ? 0                                                                                       \
         : qd_vec_grow((void **)&(v)->at, &(v)->cap, (v)->n, (k), sizeof *(v)->at, (account)))
/* Appends a value: 0 or QD_E_NOMEM. */
#define qd_vec_push(v, account, value)                                                             \
    (qd_vec_reserve((v), (account), 1) ? QD_E_NOMEM : ((v)->at[(v)->n++] = (value), 0))
/* Frees the array. */
#define qd_vec_fini(v) (qd_free((v)->at), (v)->at = NULL, (v)->n = (v)->cap = 0)

#endif
