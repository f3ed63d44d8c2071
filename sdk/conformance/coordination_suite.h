/* coordination_suite.h: shared by coordination*.c. */
#ifndef QD_CONFORMANCE_COORDINATION_SUITE_H
#define QD_CONFORMANCE_COORDINATION_SUITE_H

#include "suite.h"
#include <pthread.h>

typedef struct suite {
    qd_conform *c;
    const qd_coord_vtable *vt;
    qd_coord *co;
    qd_err *err;  /* for requests; NULL in a copy that other threads use */
    uint64_t ids; /* request ids handed out by one thread */
} suite;

/* A new request id. */
void coord_suite_id(suite *s, uint8_t id[16]);

/* coordination_again.c: each asks until the answer is certain, for two minutes, and returns the
 * code. */
int32_t coord_suite_txn(suite *s, qd_coord_txn *t);
int32_t coord_suite_range(suite *s, qd_coord_range *r);
int32_t coord_suite_members(suite *s, qd_coord_members *m);
int32_t coord_suite_authority(suite *s, qd_coord_authority *a);
int32_t coord_suite_import(suite *s, qd_coord_import *x);
int32_t coord_suite_session(suite *s, uint32_t action, uint64_t *id, int64_t ttl_ns);
int32_t coord_suite_resign(suite *s, const char *name, uint64_t id, qd_coord_token token);
/* Who leads: QD_COORD_LEADER; e->result is the caller's when it is 0. */
int32_t coord_suite_leader(suite *s, qd_coord_election *e, const char *name);
/* A candidate that is ready to be submitted; texts are kept by the caller. */
void coord_suite_stand(suite *s, qd_coord_election *e, const char *name, uint64_t id,
                       const char *value);
/* Waits until a candidate that was submitted with rc has won; *id becomes another session when what
 * came of it was not known. */
int32_t coord_suite_win(suite *s, qd_coord_election *e, uint64_t *id, int32_t rc);
/* One request to a session, asked once. */
int32_t coord_suite_once(suite *s, uint32_t action, uint64_t id);
/* Waits for a request; one that takes longer is cancelled. The code; QD_E_STATE: it does not end.
 */
int32_t coord_suite_end(suite *s, qd_op *op, int64_t patience);
/* Codes after which a request is asked again: it was refused without being done, or may have been
 * done. */
int coord_suite_passing(int32_t rc);
/* A ttl with which a session outlives a test. */
int64_t coord_suite_long(suite *s);
int64_t coord_suite_now(void);

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
/* coordination_crowd.c */
void coord_suite_crowd(suite *s);

#endif
