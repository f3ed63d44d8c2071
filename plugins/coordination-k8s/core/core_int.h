/*
 * core_int.h: what the files of the core share.
 *
 *   core.c        life, asks, turns, what it knows
 *   seen.c        roots that come: which are taken, what they decide
 *   lead.c        a leader's entries: proposals, groups, writes of the root
 *   elect.c       the lease, taking over, giving up, `sure`
 *   apply.c       what is committed goes to the state: the tail, or a checkpoint's pages
 *   fetch.c       objects being read
 *   upload.c      objects being written
 *   checkpoint.c  pages of the state
 *   collect.c     objects that nothing names any more
 *   reads.c       linearizable reads, and the reading of the root
 */
#ifndef COORDINATION_K8S_CORE_INT_H
#define COORDINATION_K8S_CORE_INT_H

#include "core.h"
#include "mutants.h"
#include <quidditch/coordination.h>
#include <stdio.h>
#include <string.h>

#define CK_MS 1000000ull
#define CK_S 1000000000ull

enum {
    CK_GROUP_MAX = 128,   /* entries of one PUT: fewer than the ids in a root */
    CK_TOKENS = 600,      /* root writes at once */
    CK_GETS_AT_ONCE = 16, /* objects being read */
    CK_PUTS_AT_ONCE = 8,  /* objects being written */
    CK_DELETES_AT_ONCE = 4,
    CK_MISSING_MAX = 5 /* how often an object that the newest root names may be missing */
};
#define CK_TOKEN_NS (100 * CK_MS) /* one more root write */
/* Of the lease, where nothing else is configured: candidates wait for so long; a leader renews so
 * often; so long after a failure. */
#define CK_LEASE_NS (15 * CK_S)
#define CK_RENEW_NS (10 * CK_S)
#define CK_RETRY_NS (2 * CK_S) /* of other requests, too */
#define CK_LEASE_MAX_NS (3600 * CK_S)
#define CK_SPREAD_NS (300 * CK_MS) /* candidates wait longer by a random part of this */
#define CK_LOOK_NS (60 * CK_S)     /* the root is read when nothing was heard for so long */
#define CK_TELL_NS (10 * CK_S)     /* proposals and reads are not left without an answer */
#define CK_STUCK_NS (3 * CK_S)     /* nothing of a load came for so long */
#define CK_COLLECT_NS (600 * CK_S)
#define CK_OLD_S 1800 /* seconds: younger objects are not collected */

/* An entry on its way. */
enum { CK_QUEUED, CK_SENT, CK_THERE };
typedef struct ck_flight {
    struct ck_flight *next;
    void *proposal;  /* NULL: its end was told */
    ck_entry *entry; /* without its place */
    uint32_t state;  /* THERE: in the root, to be applied */
    uint64_t index;  /* SENT, THERE */
    uint64_t until;  /* its end is told then at the latest; 0: from the next turn on */
    uint32_t left;   /* objects to be written before it may be sent */
    int32_t refused; /* why it never will be, if it is not there */
} ck_flight;

/* An object being written. */
enum { CK_UP_CREATE, CK_UP_READ, CK_UP_TOUCH };
typedef struct ck_upload {
    struct ck_upload *next;
    ck_content of;
    uint32_t slice, step;
    ck_entry *entry;   /* what holds the bytes; NULL: the checkpoint does */
    ck_flight *flight; /* NULL: the checkpoint's, or nobody waits for it any more */
    int dead;          /* nobody waits for it any more */
    char uid[64], version[64];
    ck_ask *ask;
    uint64_t floor;    /* version of the root when it was sent */
    uint64_t at, wait; /* not before; how long it waited the last time */
} ck_upload;

/* A blob being read. */
typedef struct ck_fetch {
    struct ck_fetch *next;
    ck_blob blob;
    uint64_t index; /* of the entry that it is for; 0: for a load */
    ck_join *join;
    uint32_t out, asked; /* slices that are out; asked for so far */
    int dead, by_peer;   /* by_peer: some of it came from another node */
    uint64_t at, wait;
} ck_fetch;

typedef struct ck_wait {
    void *wait;
    uint64_t after, until; /* served by an ask with a higher number */
    uint64_t index;        /* once served */
    int served;
} ck_wait;

/* The write of the root that is under way. */
enum { CK_W_NONE, CK_W_CREATE, CK_W_COMMIT, CK_W_SETTLE, CK_W_TAKE, CK_W_GIVE_UP };
enum { CK_W_READY, CK_W_OUT, CK_W_LOOK };
typedef struct ck_write {
    uint32_t kind, state;
    ck_root *next;
    ck_ask *ask;
    uint64_t first;    /* number of the first ask */
    uint64_t at, wait; /* READY: not before */
    int doubt;         /* one that was sent may land still */
    int checkpoint;    /* it has the checkpoint's pages */
} ck_write;

enum { CK_CP_NONE, CK_CP_FREEZE, CK_CP_UPLOAD, CK_CP_READY, CK_CP_END };
enum { CK_GC_IDLE, CK_GC_LIST, CK_GC_ROOT, CK_GC_REACH, CK_GC_DELETE };

struct ck_core {
    ck_core_config config;
    const cr_heap *heap;
    char name[CK_TEXT], address[CK_TEXT];
    uint64_t random, now, wake;
    int again, failed, in_turn;
    uint64_t number; /* of asks given out */
    ck_ask *ready_first, *ready_last, *out;
    ck_core_counts counts;

    ck_root *root;
    ck_root *before;            /* the last one with the entries that the checkpoint has taken in */
    uint64_t from, before_from; /* writes of the first roots known with their checkpoints */
    uint64_t seq;               /* roots taken */
    uint64_t heard;             /* when something was heard of the root */
    uint64_t applied, epoch;
    int missing; /* objects that were, one after another, each after another look at the root */
    int news;    /* the view changed */

    /* leading */
    uint64_t term; /* of which this node was made leader by the root; 0: it is not */
    int told;      /* lead was */
    ck_flight *first, *last;
    uint32_t nflights, narrow; /* narrow: so many go alone */
    ck_write w;
    uint64_t hold; /* no write of the root before */
    uint64_t tokens_at;
    double tokens;
    int stamp;

    /* the root being read */
    ck_ask *get;
    int want_get;
    int older; /* what was read last is older than what this node acted on */
    uint64_t get_seq, get_at, get_wait;
    ck_wait *waits;
    uint32_t nwaits, waits_cap;

    /* the lease, and who leads */
    ck_lease lease;
    ck_ask *lease_ask;
    int lease_known, lease_dirty; /* dirty: to be read again */
    uint64_t lease_at, lease_sent, lease_wait;
    uint64_t changed; /* when lease or root last changed */
    uint64_t spread;
    uint64_t gone[8]; /* processes that are certainly gone */
    uint32_t ngone;
    uint64_t look_seq; /* the root when the lease was read before taking over */
    int looked;        /* the lease was read: take over */
    uint64_t sure, pending, pending_number; /* pending: until when, once the root is written */
    uint64_t gave;                          /* the last term of this node's */
    int resigning, released;
    uint32_t release_tries;

    /* loading */
    int loading, reaching;                /* CK_LOAD_STATE, CK_LOAD_REACH under way */
    uint64_t load_checkpoint, load_heard; /* heard: when something of it came */
    ck_fetch *fetches;
    uint32_t nfetches;

    ck_upload *uploads;
    uint32_t nuploads_out;

    uint32_t cp;
    ck_checkpoint *checkpoint;
    ck_ask *cp_ask;
    uint64_t cp_at;
    uint64_t cp_checkpoint; /* the root's when it was frozen */
    uint32_t cp_left;
    char refused[400];         /* what the server said of the last object that it did not take */
    int cp_committed, no_room; /* no_room: the next entry does not fit into the root */

    struct {
        uint32_t state, n, at, out;
        ck_listed *listed;
        int64_t date;
        char *next;
        uint64_t due, term, number;
        uint64_t checkpoint; /* of the root whose pages tell what is reached */
        ck_ask *ask;
    } gc;
};

/* --- core.c --- */
/* A new ask, last in the queue of those to be given out. */
ck_ask *ck_ask_new(ck_core *c, uint32_t type);
void ck_fail(ck_core *c, const char *why);
/* What is written to an older state, put in place of the newest, proves nothing: the lease neither.
 */
void ck_older(ck_core *c);
void ck_warn(ck_core *c, const char *text);
uint64_t ck_random(ck_core *c, uint64_t below);
/* 1 when the time has come; else a turn is wanted then. */
int ck_due(ck_core *c, uint64_t at);
/* The next wait after one, with jitter. */
uint64_t ck_back_off(ck_core *c, uint64_t *wait, uint64_t first, uint64_t most);

/* --- seen.c --- */
enum { CK_BY_GET, CK_BY_WATCH, CK_BY_WRITE };
/* A root came; takes it over. seq: c->seq when it was asked for (BY_GET). */
void ck_see(ck_core *c, ck_root *r, int how, uint64_t seq);

/* --- lead.c --- */
void ck_lead_turn(ck_core *c);
/* The flights, now that there is another root. */
void ck_settle(ck_core *c);
/* Ends a flight's proposal, and forgets it. */
void ck_flight_end(ck_core *c, ck_flight *f, int32_t rc);
/* Those that the root has not end so; queued ones too. */
void ck_flights_drop(ck_core *c, int32_t rc);
void ck_put_answered(ck_core *c, ck_ask *ask, const ck_answer *a);
/* Begins a write of the root; takes next. */
void ck_write_begin(ck_core *c, uint32_t kind, ck_root *next);
/* The write is decided: nothing of it is left, but an ask that may be out. */
void ck_write_end(ck_core *c);
/* Leading, and all applied that was committed before. */
static inline int ck_leads(const ck_core *c)
{
    return c->term != 0 && c->told;
}

/* --- elect.c --- */
void ck_elect_turn(ck_core *c);
void ck_lease_answered(ck_core *c, ck_ask *ask, const ck_answer *a);
/* The root says who leads. */
void ck_elect_root(ck_core *c);
/* A write of the root succeeded, whose first ask had this number. */
void ck_sure_written(ck_core *c, uint64_t first);

/* --- apply.c --- */
void ck_apply_turn(ck_core *c);
/* A blob came whole (rc 0), or not: QD_E_NOTFOUND, or it is damaged. */
void ck_blob_came(ck_core *c, ck_fetch *f, int32_t rc, const uint8_t *p, size_t n, const char *why);
void ck_load_turn(ck_core *c);

/* --- fetch.c --- */
void ck_fetch_begin(ck_core *c, const ck_blob *b, uint64_t index);
void ck_fetch_turn(ck_core *c);
void ck_fetch_answered(ck_core *c, ck_ask *ask, const ck_answer *a);
/* 1 when one for this entry is under way. */
int ck_fetching(const ck_core *c, uint64_t index);
/* Those of a load are not wanted any more. */
void ck_fetch_drop_load(ck_core *c);
void ck_fetch_free(ck_core *c, ck_fetch *f);

/* --- upload.c --- */
/* Begins to write all objects of a blob; their number. entry: what holds the bytes, or NULL. */
uint32_t ck_upload_begin(ck_core *c, const ck_content *of, ck_entry *entry, ck_flight *f);
void ck_upload_turn(ck_core *c);
void ck_upload_answered(ck_core *c, ck_ask *ask, const ck_answer *a);
/* Nobody waits for those of a flight, or of the checkpoint (NULL), any more. */
void ck_upload_drop(ck_core *c, const ck_flight *f);
/* 1 when objects of the checkpoint are out still. */
int ck_uploading_checkpoint(const ck_core *c);
void ck_upload_free(ck_core *c, ck_upload *u);

/* --- checkpoint.c --- */
void ck_checkpoint_turn(ck_core *c);
void ck_freeze_answered(ck_core *c, ck_ask *ask, const ck_answer *a);
/* An object of it is written, or refused. */
void ck_checkpoint_uploaded(ck_core *c, int32_t rc);
/* It is in the root (committed), or given up. */
void ck_checkpoint_end(ck_core *c, int committed);

/* --- collect.c --- */
void ck_collect_turn(ck_core *c);
void ck_collect_answered(ck_core *c, ck_ask *ask, const ck_answer *a);
/* A root was read that was asked for after number. */
void ck_collect_root(ck_core *c, uint64_t number);
/* The pages' values are known (rc 0). */
void ck_collect_reached(ck_core *c, int32_t rc);
void ck_collect_stop(ck_core *c);

/* --- reads.c --- */
void ck_get_turn(ck_core *c);
void ck_get_answered(ck_core *c, ck_ask *ask, const ck_answer *a);
/* An ask with this number showed the root as it was, index its last entry. */
void ck_reads_serve(ck_core *c, uint64_t number, uint64_t index);
void ck_reads_turn(ck_core *c);
void ck_reads_end(ck_core *c, int32_t rc);

#endif
