/* coord_memory_int.h: structs of the coordination kind in memory. See coord_memory.h. */
#ifndef QD_TESTS_COORD_MEMORY_INT_H
#define QD_TESTS_COORD_MEMORY_INT_H

#include "base/arena.h"
#include "base/vec.h"
#include "lib/coord_memory.h"
#include "runtime/sync.h"

#define VALUE_MAX (16u << 20)
#define KEY_MAX 1024u
#define ID_WINDOW 4096u
#define OPS_MAX 10000u

typedef struct key {
    qd_str name;
    qd_coord_kv kv; /* version 0: absent */
} key;

typedef struct session {
    uint64_t id;
    int64_t ttl_ns;
    uint64_t deadline_ns;
    bool open;
} session;

typedef struct election {
    qd_str name, value;
    uint64_t session, term, epoch; /* session 0: nobody; epoch of the term */
    QD_VEC(qd_coord_election *) waiting;
} election;

typedef struct answer {
    uint8_t id[16];
    int32_t rc;
    uint32_t failed;
    uint64_t revision;
} answer;

struct qd_coord_watch {
    qd_coord *handle;
    qd_coord_watch_config config;
    uint64_t next; /* revision not yet told */
    bool ended, busy, closing;
    void (*closed)(void *arg);
    void *closed_arg;
    qd_coord_watch *link;
};

struct qd_coord {
    coord_memory *m;
    uint32_t pending;
};

struct qd_coord_result {
    qd_coord_kv *kvs;
    qd_coord_member member;
};

/* A request that was not answered and has yet to be done. */
typedef struct late {
    bool import;
    qd_coord_authority authority;
    qd_coord_import events;
} late;

struct coord_memory {
    qd_env *env;
    const char *name;
    coord_memory *link;
    qd_mutex lock;
    qd_cond work;
    qd_thread *thread;
    bool stop, off, off_applies;
    char keep[64];    /* "": nothing */
    int32_t keep_rc;  /* of changes that would take it away */
    uint32_t refused; /* so many were */
    qd_arena arena;
    uint64_t revision, compacted, epoch, last_session;
    uint32_t state, handles;
    QD_VEC(key) keys; /* sorted; absent ones stay */
    QD_VEC(qd_coord_event) history;
    QD_VEC(session) sessions;
    QD_VEC(election) elections;
    answer answers[ID_WINDOW];
    uint64_t nanswers;
    qd_coord_watch *watches;
    QD_VEC(late) late;
    QD_VEC(qd_op *) silent;
    coord_memory_fault (*hook)(void *arg, char kind, uint32_t action);
    void *hook_arg;
};

/* A store has memory: where a test lets an allocation fail, it is asked for again. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        int tries = 0;                                                                             \
        while (!(condition)) qd_assert(++tries < 10);                                              \
    } while (0)

/* All but cmi_ask and the slots: under the lock. */
qd_str cmi_keep(coord_memory *m, qd_str s);
key *cmi_find_key(coord_memory *m, qd_str name, bool make);
void cmi_record(coord_memory *m, uint32_t type, const qd_coord_kv *kv);
void cmi_committed(coord_memory *m);
session *cmi_find_session(coord_memory *m, uint64_t id);
/* What was answered to a request of this id; NULL: it is new. */
const answer *cmi_answered(const coord_memory *m, const uint8_t id[16]);
void cmi_answer(coord_memory *m, const uint8_t id[16], int32_t rc, uint32_t failed,
                uint64_t revision);
/* What the test's hook says. */
coord_memory_fault cmi_ask(coord_memory *m, char kind, uint32_t action);

int32_t cmi_authority(qd_coord *c, qd_coord_authority *r);
int32_t cmi_export(qd_coord *c, qd_coord_export *r);
int32_t cmi_import(qd_coord *c, qd_coord_import *r);

#endif
