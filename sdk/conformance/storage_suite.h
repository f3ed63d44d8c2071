/* storage_suite.h: shared by the files of the storage suite. */
#ifndef QD_CONFORMANCE_STORAGE_SUITE_H
#define QD_CONFORMANCE_STORAGE_SUITE_H

#include "suite.h"

typedef struct suite {
    qd_conform *c;
    const qd_storage_vtable *vt;  /* makes second tries: storage_patient.c */
    const qd_storage_vtable *raw; /* the tier's own */
    qd_storage *st;
    qd_storage_call call; /* no deadline, nobody cancels; the suite's error */
} suite;

/* Opens the tier over the suite's folder. */
int storage_suite_open(suite *s);
/* Writes an object of n bytes of the seed's pattern in odd pieces. */
int storage_suite_put(suite *s, const char *name, uint64_t seed, size_t n);
/* Is it there, with these bytes? */
int storage_suite_holds(suite *s, const char *name, uint64_t seed, size_t n);
/* Opens an object and finds out its length, whichever way the tier tells it. */
int32_t storage_suite_object(suite *s, qd_str name, qd_storage_object **out, uint64_t *len,
                             const qd_storage_call *call);
/* Reads the last n bytes. */
int32_t storage_suite_suffix(suite *s, qd_storage_object *o, void *dst, size_t n, uint64_t *len);
int32_t storage_suite_remove(suite *s, qd_str name, const qd_storage_call *call);

/* storage_patient.c: a copy of vt that calls again after REJECTED and TIMEOUT. */
const qd_storage_vtable *storage_suite_patient(qd_storage_vtable *patient, qd_conform *c,
                                               const qd_storage_vtable *vt);

/* Conditional publishes so far of which nobody knows whether they were overwritten or never came.
 */
uint32_t storage_suite_conflicts(void);

/* storage_calls.c */
void storage_suite_sums(suite *s);
void storage_suite_suffixes(suite *s);
void storage_suite_known_lengths(suite *s);
void storage_suite_conditions(suite *s);
void storage_suite_races(suite *s);
void storage_suite_copies(suite *s);
void storage_suite_deadlines(suite *s);
void storage_suite_cancelled(suite *s);

/* storage_names.c */
void storage_suite_lists(suite *s);
void storage_suite_cursors(suite *s);
void storage_suite_folders(suite *s);
void storage_suite_remove_many(suite *s);

/* storage_log.c */
void storage_suite_log_appends(suite *s);
void storage_suite_log_modes(suite *s);
void storage_suite_log_truncates(suite *s);
void storage_suite_log_syncs(suite *s);
void storage_suite_log_reopens(suite *s);

#endif
