/*
 * core.h: the protocol of a log that lives in one object, the root: who leads, commits, reads,
 * what others apply, checkpoints, collection. A pure step function: no I/O, no clock, no thread,
 * no random number but those of its own seed. What happens goes in by the functions below; what is
 * to be done comes out as asks, each of them one request to the API; what it comes to as callbacks.
 *
 * Rules that the shell keeps:
 * - after each call that puts something in, ck_core_turn with the time, then asks are taken until
 *   there are none. Callbacks run inside turn, answer and the functions named "seen"; they may call
 *   propose, read, sure, resign, look, gone and stamp_soon.
 * - each ask ends by ck_core_answer, once, in any order; "unknown" whenever it cannot be sure.
 * - what is read of the root is a complete object as the server gave it; GET_ROOT is not answered
 *   from any cache.
 *
 * Rules that the core keeps (tests/sim/kcore_check.c checks them):
 * - a commit is one PUT of the root with uid and resourceVersion; it is told after its 200, or when
 *   a later root shows the entry's id at its index
 * - an entry is told NOT_LEADER only when a root shows that it cannot come any more: another id at
 *   its index, or another resourceVersion than that of its PUT without it. Never from a read of the
 *   same resourceVersion: then the same group is put again until a write wins
 * - no root names an object that was not created, or touched, after the root before was written
 * - leadership goes by evidence in the root alone; the Lease says when to try
 * - ck_core_sure of two leaders never overlaps, unless one of them was told dead and was not
 *
 * How `sure` is counted. A write of the lease counts from its sending for four fifths of its
 * duration (clocks may differ by a quarter), when it was
 * answered before the one that counted before it ran out; else only when a write of the root that
 * was sent after that answer succeeded. A candidate reads root, then lease, and writes the root as
 * it read it: so its write fails if the leader's write of the root came between; and if not, its
 * read of the lease shows the leader's.
 *
 * Memory by cr_must. Times are nanoseconds of a monotonic clock of this node that goes on while it
 * is suspended.
 */
#ifndef COORDINATION_K8S_CORE_H
#define COORDINATION_K8S_CORE_H

#include "format/root.h"

typedef struct ck_core ck_core;

/* --- what is to be done --- */
enum {
    CK_GET_ROOT = 1, /* never from a cache. Answer: OK and root, MISSING, FAILED */
    CK_CREATE_ROOT,  /* root. OK, EXISTS, REFUSED, UNKNOWN */
    CK_PUT_ROOT,     /* root, at its uid and version. OK (version: the new one), CONFLICT, MISSING,
                        REFUSED, UNKNOWN */
    CK_BLOB_CREATE,  /* blob, bytes. OK, EXISTS, REFUSED, UNKNOWN */
    CK_BLOB_TOUCH,   /* blob, bytes, uid, version: writes it again, with an annotation that makes it
                        another version. OK, CONFLICT, MISSING, REFUSED, UNKNOWN */
    CK_BLOB_GET,     /* blob; never from a cache. OK (object), MISSING, FAILED */
    CK_BLOB_LIST,    /* next_page: where the page before ended, empty: from the start; 500 at a
                        time, metadata alone. OK (listed, date, next_page), FAILED; also when
                        next_page is too old: it begins anew later */
    CK_BLOB_DELETE,  /* blob, uid, version. OK, CONFLICT, MISSING, REFUSED, UNKNOWN */
    CK_LEASE_GET,    /* never from a cache. OK and lease, MISSING, FAILED */
    CK_LEASE_CREATE, /* lease. OK (lease), EXISTS, REFUSED, UNKNOWN */
    CK_LEASE_PUT,    /* lease, at its version. OK (lease), CONFLICT, MISSING, REFUSED, UNKNOWN */
    CK_FREEZE /* no request: the state as it is when the ask is taken (index: what is applied)
                 as pages and the blobs that `root`'s pages do not reach; may go to a thread.
                 Answer: OK and checkpoint, FAILED */
};
enum {
    CK_OK,
    CK_CONFLICT, /* 409 of a PUT or DELETE: uid or version is another one. Not written */
    CK_EXISTS,   /* 409 of a create */
    CK_MISSING,  /* 404 */
    CK_REFUSED,  /* certainly not, and trying again does not help now: 400, 401, 403, 413, 422;
                    rc says what proposals are told */
    CK_UNKNOWN,  /* time-out, connection lost, 429 and 5xx after sending: perhaps, perhaps later */
    CK_FAILED    /* of what only reads: nothing was learned */
};

/* The Lease as seen. */
typedef struct ck_lease {
    char uid[64], version[64]; /* "": there is none */
    uint64_t holder;           /* id; 0: given up */
    uint64_t term;             /* of the holder (leaseTransitions) */
    uint64_t duration_ns;      /* as its holder counts; 0: not told */
} ck_lease;

/* One object of a blob (blob.h): a slice of it. */
typedef struct ck_blob {
    int kind; /* CK_BLOB_... */
    ck_hash hash;
    uint32_t slice;
} ck_blob;

/* One object of a list: as its name says (of the hash the first 20 bytes). */
typedef struct ck_listed {
    ck_blob blob;
    char uid[64], version[64];
    int64_t written; /* created or touched, the later one; seconds of the server's clock */
} ck_listed;

/* Bytes that are a blob. */
typedef struct ck_content {
    int kind;
    ck_hash hash;
    const uint8_t *bytes;
    size_t n;
} ck_content;

/* The state as pages, as of an entry: the shell's, until `thaw`. */
typedef struct ck_checkpoint {
    uint64_t index;
    ck_hash pages[CK_PAGES]; /* those that did not change are the root's */
    const ck_content *blobs; /* pages and values that the root's pages do not reach */
    uint32_t nblobs;
} ck_checkpoint;

/* An ask: valid until it is answered; the shell's to read. */
typedef struct ck_ask {
    struct ck_ask *next; /* the shell's, while it is out */
    uint32_t type;
    uint64_t number, sent; /* sent: when it was given out */
    ck_root *root;         /* CREATE_ROOT, PUT_ROOT, FREEZE */
    ck_blob blob;
    const uint8_t *bytes; /* BLOB_CREATE, BLOB_TOUCH: of the whole blob, as for ck_blob_write */
    size_t nbytes;
    char uid[64], version[64]; /* BLOB_TOUCH, BLOB_DELETE */
    qd_str next_page;          /* BLOB_LIST */
    ck_lease lease;
    uint64_t index; /* FREEZE */
    void *own;      /* the core's */
} ck_ask;

typedef struct ck_answer {
    uint32_t outcome;
    int32_t rc;                /* REFUSED: a code below 0 */
    const char *why;           /* REFUSED: what the server said; may be NULL */
    uint64_t retry_ns;         /* 429: not before, from now; 0: as the core likes */
    ck_root *root;             /* GET_ROOT; the core takes it over */
    int older;                 /* GET_ROOT, FAILED: it is older than what this node acted on */
    const char *uid, *version; /* CREATE_ROOT, PUT_ROOT */
    const json_t *object;      /* BLOB_GET */
    int by_peer;               /* of that: another node gave it. What is wrong with it proves no
                                  damage: it is asked for again */
    const ck_lease *lease;     /* LEASE_GET, LEASE_CREATE, LEASE_PUT */
    const ck_listed *listed;   /* BLOB_LIST */
    uint32_t nlisted;
    int64_t date;              /* BLOB_LIST: the server's, seconds */
    qd_str next_page;          /* BLOB_LIST; empty: it was the last one */
    ck_checkpoint *checkpoint; /* FREEZE; lent until thaw */
} ck_answer;

/* What objects are loaded for. */
enum {
    CK_LOAD_STATE, /* the state becomes that of a root's checkpoint */
    CK_LOAD_REACH  /* which values a root's pages reach: pages whose contents are not known */
};

enum { CK_FORM_NO, CK_FORM_ACTIVE, CK_FORM_EMPTY };

typedef struct ck_core_config {
    const cr_heap *heap;
    uint64_t id; /* of this process: random, never used again, not by its next start either */
    qd_str name, address;
    uint64_t seed;
    uint32_t form;        /* what is done when there is no root: CK_FORM_... */
    const ck_root *first; /* form: what the root is made from: ids, state, epoch, claim; the core
                             adds the leader. Borrow */
    const ck_site *site;  /* borrow, as long as the core lives */
    uint8_t store[16];    /* the only store that is followed; zeros: the one that is found */
    uint64_t epoch;       /* a root of a lower one is refused */
    uint64_t applied;     /* the state holds all up to here already */
    int candidate;        /* may lead */
    /* of the lease; 0: 15 s, 10 s, 2 s */
    uint64_t lease_ns, renew_ns, retry_ns;
    void *arg;
    /* A committed entry; each once and in order. A code other than 0 stops the core. */
    int32_t (*apply)(void *arg, uint64_t index, const uint8_t *entry, size_t n);
    /* Leader of a new term, all that was committed before is applied; or no more (term 0). */
    void (*lead)(void *arg, uint64_t term);
    /* Something that the view shows changed. */
    void (*changed)(void *arg);
    /* The end of a proposal. 0: applied just now at index. QD_E_NOT_LEADER: certainly never,
     * another leads or may. QD_E_UNKNOWN_OUTCOME. Another one: the API refused it, certainly never.
     */
    void (*done)(void *arg, void *proposal, uint64_t index, int32_t rc);
    /* The end of a read. 0: what is applied holds all that was committed when it began.
     * QD_E_NO_COORDINATION: the core stopped. */
    void (*read_done)(void *arg, void *wait, int32_t rc);
    void (*warn)(void *arg, const char *text);
    /* There is no root, and none is to be made. NULL: it is waited for. */
    void (*no_root)(void *arg);
    /* The core cannot go on: nothing is applied or asked any more. */
    void (*failed)(void *arg, const char *why);
    /* Fills what is the machine's in a root about to be written (epoch, authority, history id), by
     * what is applied. NULL: it stays. */
    void (*stamp)(void *arg, ck_root *next);
    /* Loading, one at a time: begin, also in place of the one under way (what came of that and is
     * wanted still need not come again); want gives blobs (slice 0) that are needed and were not
     * given out yet (0: none more until another came); each comes by load_blob, its hash verified;
     * load_end when all were given and nothing more is wanted: the state is that of r->checkpoint
     * now (rc 0), or it is given up (rc < 0: the state stays). Codes below 0: what came is damaged.
     */
    int32_t (*load_begin)(void *arg, uint32_t what, const ck_root *r);
    uint32_t (*load_want)(void *arg, ck_blob *out, uint32_t max);
    int32_t (*load_blob)(void *arg, int kind, const ck_hash *h, const uint8_t *p, size_t n);
    int32_t (*load_end)(void *arg, int32_t rc);
    /* 1 when a value is reached by the pages of the last CK_LOAD_REACH; compares 20 bytes. */
    int (*reaches)(void *arg, const ck_hash *h);
    /* A checkpoint is not needed any more; committed: the root has its pages now. */
    void (*thaw)(void *arg, ck_checkpoint *p, int committed);
} ck_core_config;

/* A core that knows nothing yet; its first turn asks for the root. Texts are copied. */
ck_core *ck_core_make(const ck_core_config *config);
/* Frees it; proposals and reads do not end any more, asks that are out are forgotten (and freed).
 */
void ck_core_free(ck_core *c);

/* --- what happens --- */
/* Does what is due. */
void ck_core_turn(ck_core *c, uint64_t now);
/* When a turn is wanted at the latest; UINT64_MAX: not before something happens. */
uint64_t ck_core_deadline(const ck_core *c);
/* The next thing to do, NULL: nothing. It stays the core's, until answered. */
ck_ask *ck_core_ask(ck_core *c, uint64_t now);
/* The end of an ask. Its texts, bytes and lists are borrowed, root is taken over, the checkpoint
 * lent until thaw. */
void ck_core_answer(ck_core *c, ck_ask *ask, const ck_answer *answer, uint64_t now);
/* Proposes an entry (copied): done follows. Many may be under way; they keep their order.
 * QD_E_NOT_LEADER, QD_E_NO_COORDINATION (the core failed): done will not run. */
int32_t ck_core_propose(ck_core *c, void *proposal, const uint8_t *entry, size_t n);
/* When an entry proposed now would be sent at the earliest: 0: at once; UINT64_MAX: behind a write
 * that is under way. Who can lets it grow until then. */
uint64_t ck_core_crowded(const ck_core *c, uint64_t now);
/* A linearizable read, on any node: read_done follows. QD_E_NO_COORDINATION. */
int32_t ck_core_read(ck_core *c, void *wait);
/* 1 while this node leads and certainly no other does: until when it may answer by itself. Not
 * after somebody was told dead by mistake. */
int ck_core_sure(const ck_core *c, uint64_t now);
/* The root as a watch, or a peer, gave it; may be old. Takes it over. */
void ck_core_root_seen(ck_core *c, ck_root *r, uint64_t now);
/* A watch says that the root was deleted, or was lost for a while: it is read. */
void ck_core_root_look(ck_core *c);
/* The lease as a watch gave it; may be old. */
void ck_core_lease_seen(ck_core *c, const ck_lease *l, uint64_t now);
/* A process is certainly gone: when it leads, it is followed at once. */
void ck_core_gone(ck_core *c, uint64_t id, uint64_t now);
/* Whether it may try to lead from now on; a write that is under way is brought to its end. */
void ck_core_candidate(ck_core *c, int may);
/* A write of the root soon, without an entry if there is none: stamp has something new. */
void ck_core_stamp_soon(ck_core *c);
/* A graceful stop: proposals that were not sent end (NOT_LEADER), what is under way is waited for,
 * then leadership and lease are given up; resigned tells. It never leads again. */
void ck_core_resign(ck_core *c);
/* 1 when nothing of a resigning is left to be done. */
int ck_core_resigned(const ck_core *c);

/* --- what it knows --- */
enum { CK_STARTING, CK_FOLLOWS, CK_TAKES_OVER, CK_LEADS, CK_STOPPED };
typedef struct ck_core_view {
    uint32_t role;
    uint64_t term, leader; /* leader: id, 0 unknown or none */
    qd_str leader_name, leader_address;
    uint64_t applied, committed; /* indices; committed: as far as known */
    uint64_t checkpoint, epoch;
    uint32_t queued, in_doubt; /* proposals that wait; that were sent and are not settled */
    int loading, collecting, checkpointing;
    int older; /* the API has an older state than this node acted on: nobody leads */
    /* the newest one, the last one that had the entries before its checkpoint; NULL: none yet.
     * Borrow until the next call */
    const ck_root *root, *before;
    uint64_t before_from; /* writes of the first root that was known with that one's checkpoint */
} ck_core_view;
void ck_core_look(const ck_core *c, ck_core_view *out);

/* Tells how often what happened. */
#define CK_CORE_COUNTS(X)                                                                          \
    X(gets)                                                                                        \
    X(puts)                                                                                        \
    X(conflicts)                                                                                   \
    X(unknowns)                                                                                    \
    X(refused)                                                                                     \
    X(committed)                                                                                   \
    X(restores)                                                                                    \
    X(checkpoints)                                                                                 \
    X(touched)                                                                                     \
    X(recreated)                                                                                   \
    X(collected)                                                                                   \
    X(takeovers)                                                                                   \
    X(step_downs)                                                                                  \
    X(stale)
typedef struct ck_core_counts {
#define X(name) uint64_t name;
    CK_CORE_COUNTS(X)
#undef X
} ck_core_counts;
const ck_core_counts *ck_core_counted(const ck_core *c);

#endif
