/*
 * coord_rig.h: several nodes with coordination-raft in one process: the plugin itself, with a host
 * of its own for each, and a service "peers" in memory whose links can be cut, lose and delay.
 */
#ifndef QD_TESTS_COORD_RIG_H
#define QD_TESTS_COORD_RIG_H

#include <quidditch/conformance.h>
#include <stdbool.h>

enum { RIG_NODES = 8 };
typedef struct rig rig;

/* A network of n nodes named m1, m2, ..., at addresses m1:1, ...; none is started. */
rig *rig_make(int n);
/* Stops what runs, removes folders. */
void rig_free(rig *r);

/* How nodes find each other: all of RAFT_PEERS style (the default), by names and seed hosts, or by
 * seed hosts alone; `first` is how many are first members. */
enum { RIG_PEERS, RIG_NAMES, RIG_SEEDS };
/* Starts node i (0 to n - 1). 0 or the code of open. */
int32_t rig_start(rig *r, int i, int how, int first, uint32_t flags);
/* The same with lists as given (NULL ends them) and a name and a cluster's name of its own. */
int32_t rig_start_with(rig *r, int i, const char *name, const char *cluster,
                       const char *const *peers, const char *const *names, const char *const *seeds,
                       uint32_t flags);
/* Options more (at most 3, kept by the caller) for all that are started from now on. */
void rig_options(const qd_pair *options, uint32_t n);
/* A qd_svc_action for all that are started from now on; NULL: none. */
void rig_actions(const void *service);
/* Stops it cleanly. */
void rig_stop(rig *r, int i);
/* Cuts it off, then ends it: nobody hears a word of it. */
void rig_kill(rig *r, int i);
/* All others hear that the process of node i has ended. */
void rig_tell_gone(rig *r, int i);
/* Where it is. */
const char *rig_folder(const rig *r, int i);
/* Empties its folder; it must not run. */
void rig_wipe(rig *r, int i);
/* A copy of its folder's present content is put back by rig_restore; it must not run. */
void rig_copy(rig *r, int i);
void rig_restore(rig *r, int i);

/* Cuts the link from a to b (one way), or mends it. */
void rig_cut(rig *r, int a, int b, bool cut);
/* Cuts or mends node i from and to all others. */
void rig_isolate(rig *r, int i, bool cut);
/* So much time passes everywhere while the machine of node i is suspended: its monotonic clock
 * stands still. Cut it off first. */
void rig_suspend(rig *r, int i, int ms);
/* The same in the midst of what it does: right before it looks at that clock so many times. */
void rig_suspend_at_look(rig *r, int i, int ms, int looks);
/* Node i stands still, as a process that was stopped, and goes on: its threads wait where they look
 * at the clock. */
void rig_freeze(rig *r, int i, bool on);
/* Every link loses one message of `lose` (0: none) and delays each by up to delay_us. */
void rig_noise(rig *r, uint32_t lose, uint32_t delay_us);

qd_coord *rig_store(rig *r, int i);
const qd_coord_vtable *rig_vtable(rig *r);
/* 1 when a log line of node i (-1: of any) has this text in it. */
bool rig_logged(rig *r, int i, const char *text);

/* Waits until all running nodes know a leader and answer; false: not within 120 s. */
bool rig_settled(rig *r);
/* The node that leads as all that run see it; waits until they agree. */
int rig_leader_of_all(rig *r);
/* The node that leads, as node `by` sees it; -1: none. */
int rig_leader(rig *r, int by);
/* Members as node `by` is told: how many vote, stand by; false: no answer. */
bool rig_members(rig *r, int by, int *voters, int *standbys);
/* Waits for such numbers. */
bool rig_wait_members(rig *r, int by, int voters, int standbys);

/* One request each, waited for at most timeout_ms, then cancelled; the code. With RIG_WAIT it is
 * asked again, within that time, while it is refused for want of a leader. */
enum { RIG_WAIT = 120000 };
int32_t rig_put(rig *r, int i, const char *key, const void *value, size_t n, uint64_t session,
                int timeout_ms, uint64_t *revision);
/* Several changes in one. */
int32_t rig_txn(rig *r, int i, const qd_coord_change *changes, uint32_t n, int timeout_ms);
/* Put if the key's mod_revision is `mod`, with a request id of the caller's. */
int32_t rig_cas(rig *r, int i, const char *key, const char *value, uint64_t mod,
                const uint8_t id[16], int timeout_ms, uint64_t *revision);
/* value: cap bytes, NUL-terminated; NOTFOUND. flags: QD_COORD_STALE. */
int32_t rig_get(rig *r, int i, const char *key, char *value, size_t cap, uint64_t *mod,
                uint32_t flags, int timeout_ms);
int32_t rig_session(rig *r, int i, uint32_t action, uint64_t *session, int ttl_ms, int timeout_ms);
int32_t rig_member(rig *r, int i, uint32_t action, const char *name, int timeout_ms);
/* Waits for an election in the background. */
typedef struct rig_candidate rig_candidate;
rig_candidate *rig_elect(rig *r, int i, const char *name, const char *value, uint64_t session);
/* 1 when it is over: *rc, *token. Frees it then. */
bool rig_elected(rig_candidate *c, int timeout_ms, int32_t *rc, qd_coord_token *token);
void rig_elect_cancel(rig_candidate *c);
int32_t rig_resign(rig *r, int i, const char *name, uint64_t session, qd_coord_token token);

/* A vtable for the conformance kit: open is node i's, started and stopped with it; without
 * QD_COORD_OPEN_BOOTSTRAP a store that the last node, which does not run yet, has for itself. */
const qd_coord_vtable *rig_conform_vtable(rig *r, int i);

/* Bytes that all nodes hold. */
int64_t rig_memory(void);
int64_t rig_now_ms(void);
void rig_pause(int ms);

#endif
