/* storage_suite.h: shared by storage.c and storage_log.c. */
#ifndef QD_CONFORMANCE_STORAGE_SUITE_H
#define QD_CONFORMANCE_STORAGE_SUITE_H

#include "suite.h"

typedef struct suite {
    qd_conform *c;
    const qd_storage_vtable *vt;
    qd_storage *st;
} suite;

/* Opens the tier over the suite's folder. */
int storage_suite_open(suite *s);
/* Writes an object of n bytes of the seed's pattern in odd pieces. */
int storage_suite_put(suite *s, const char *name, uint64_t seed, size_t n);
/* Is it there, with these bytes? */
int storage_suite_holds(suite *s, const char *name, uint64_t seed, size_t n);

/* storage_log.c */
void storage_suite_log_appends(suite *s);
void storage_suite_log_modes(suite *s);
void storage_suite_log_truncates(suite *s);
void storage_suite_log_syncs(suite *s);
void storage_suite_log_reopens(suite *s);

#endif
