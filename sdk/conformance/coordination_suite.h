/* coordination_suite.h: shared by coordination.c and coordination_watch.c. */
#ifndef QD_CONFORMANCE_COORDINATION_SUITE_H
#define QD_CONFORMANCE_COORDINATION_SUITE_H

#include "suite.h"
#include <pthread.h>

typedef struct suite {
    qd_conform *c;
    const qd_coord_vtable *vt;
    qd_coord *co;
    uint64_t ids; /* request ids handed out */
} suite;

/* A new request id. */
void coord_suite_id(suite *s, uint8_t id[16]);
/* Submits a transaction and waits; the code. */
int32_t coord_suite_txn(suite *s, qd_coord_txn *t);
/* Puts one key; *revision may be NULL. */
int32_t coord_suite_put(suite *s, const char *key, qd_str value, uint64_t session,
                        uint64_t *revision);
/* Reads one key into *kv, its value into buf; QD_E_NOTFOUND when absent. */
int32_t coord_suite_get(suite *s, const char *key, qd_coord_kv *kv, char *buf, size_t cap);
/* Opens the store and waits until it takes requests. */
int32_t coord_suite_open(suite *s);
/* Closes it and waits. */
void coord_suite_close(suite *s);
/* 10 ms, for conditions that nothing announces. */
void coord_suite_pause(void);

/* coordination_watch.c */
/* A watch from there ends with this code. */
void coord_suite_watch_ends(suite *s, uint64_t from, int32_t rc);
void coord_suite_watch_order(suite *s);
void coord_suite_watch_past(suite *s);
void coord_suite_watch_compacted(suite *s);
void coord_suite_watch_close(suite *s);
void coord_suite_session_close(suite *s);
void coord_suite_session_expiry(suite *s);
void coord_suite_session_keep(suite *s);
void coord_suite_election(suite *s);
void coord_suite_election_cancel(suite *s);
void coord_suite_election_session(suite *s);
/* coordination_mirror.c */
void coord_suite_mirror(suite *s);

#endif
