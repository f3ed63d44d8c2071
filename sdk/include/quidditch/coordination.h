/*
 * coordination.h: the coordination kind, version 1.0: a small, strongly consistent store of keys
 * with versioned opaque values, shared by the nodes of a cluster.
 *
 * Model. The store has one history: a sequence of committed changes, numbered by `revision`, which
 * grows by one with each committed transaction that changes something and never falls, also not
 * over a move to another store. A key has: create_revision, mod_revision, version (1 at creation,
 * +1 with each put; 0 = absent). Keys are 1 to key_max bytes and sort by bytes; values 0 to
 * value_max (info). Keys that begin with "_election/" or "_members/" are the plugin's to write,
 * anybody's to read and watch: "_members/excluded/<name>" is there while that member shall not
 * vote.
 *
 * Epoch and authority: of two stores at most one is in charge. `epoch` counts hand-overs; only a
 * store in state ACTIVE takes transactions, sessions and elections, every other answers
 * QD_E_FENCED.
 *
 * Asynchrony: every request embeds a qd_op and is submitted by a slot that never blocks [any]; it
 * ends through the loop service's complete. The request, and all it points to, is kept until
 * op.done. Results inside a request are valid when done gets 0. err may be NULL.
 *
 * Outcomes of changes. 0: committed and durable. A code other than the next two: certainly not
 * committed. QD_E_UNKNOWN_OUTCOME, QD_E_TIMEOUT: may be committed now or later; retry with the same
 * request id: the store remembers ids of the last info.id_window transactions and answers a
 * repeated one with its first result, without doing it again. Also: NOT_LEADER or NO_COORDINATION
 * (no majority or no connection: try again), CONFLICT, COMPACTED, SESSION_EXPIRED, FENCED, LIMIT,
 * ARG, CANCELLED, CLOSED.
 *
 * Callbacks other than op.done (watch, export) run on a thread of the plugin's, one at a time for
 * one watch or export; they must not block nor call the plugin; what they show is borrowed.
 *
 * Ends. From close on every submit is refused with CLOSED; when its done runs the handle is gone,
 * and nothing may be called with it. Results are given back before that. A watch is closed by
 * watch_close alone, before or after its store. Every slot but open may be called from several
 * threads at once.
 *
 * Growth within major 1. A host is never older than the plugin's header. Requests (they begin with
 * a qd_op) and structs with struct_size grow at their end: what a plugin's header does not have it
 * neither reads nor writes. Elements of arrays (kv, event, compare, change, member, pair) never
 * grow; their `reserved` members are 0 until a minor gives them a name. What changes the meaning of
 * a request has a flag of the vtable, and the host asks for it only where that is set. Actions,
 * types and flags that a plugin does not know it refuses with ARG or UNSUPPORTED; it never ignores
 * them.
 */
#ifndef QUIDDITCH_COORDINATION_H
#define QUIDDITCH_COORDINATION_H

#include <quidditch/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qd_coord qd_coord;               /* an open store; defined by the plugin */
typedef struct qd_coord_watch qd_coord_watch;   /* a running watch; defined by the plugin */
typedef struct qd_coord_result qd_coord_result; /* memory of an answer; defined by the plugin */

/* qd_vtable.flags */
enum {
    QD_COORD_LINEARIZABLE =
        1,                 /* range without STALE is linearizable: every implementation so far */
    QD_COORD_EXTERNAL = 2, /* the store is not run by this process */
    QD_COORD_DYNAMIC_MEMBERS = 4, /* member_change */
    QD_COORD_AUTHORITY = 8        /* authority, export_at, import */
};

/* Who this node is and where the store lives; borrow. */
typedef struct qd_coord_config {
    uint32_t struct_size, flags; /* QD_COORD_OPEN_* */
    qd_str cluster;              /* cluster.name */
    qd_str node_id;              /* stable over restarts */
    qd_str node_name;
    qd_str path;            /* folder of the plugin's own, there already, mode 0700; empty: none */
    qd_str bind;            /* host:port to listen on for peers; empty: no peers */
    qd_str publish;         /* host:port told to peers */
    const qd_str *peers;    /* host:port or name@host:port of all first members, this node too */
    const qd_pair *options; /* coordination.* not known to the host */
    uint32_t npeers, noptions;
    /* Where other masters may be found, host:port; and the names of the first members, if they are
     * known by name and not in `peers`. A folder that holds no store yet: forms one alone when all
     * three lists are empty; forms one together with all that `peers` or `first` name, once all of
     * them answer and none belongs to a store; else asks to join the store that one of them
     * belongs to, for as long as it takes. */
    const qd_str *seeds, *first;
    uint32_t nseeds, nfirst;
} qd_coord_config;
enum {
    QD_COORD_OPEN_BOOTSTRAP = 1, /* may form a new store if none is there */
    QD_COORD_OPEN_OBSERVER = 2,  /* reserved: nobody asks for it */
    /* Forces the store of this folder, whose other voters are lost for good, to go on with this
     * node alone, under a higher epoch and a new history id: changes that only others had are lost,
     * and members that were left behind are refused until they are wiped. Only by an operator's
     * order. QD_E_NOTFOUND: there is no store. */
    QD_COORD_OPEN_RECOVER = 4
};

/* Limits; fixed while open. */
typedef struct qd_coord_info {
    uint32_t struct_size, key_max;
    uint64_t value_max, txn_bytes_max; /* one value; all keys and values of one transaction */
    uint32_t txn_ops_max, id_window;
    int64_t session_ttl_min_ns, session_ttl_max_ns;
    uint64_t history_min; /* revisions a watch may lag behind at least, while the process lives */
} qd_coord_info;

enum {
    QD_COORD_EMPTY,  /* never formed or not yet known */
    QD_COORD_ACTIVE, /* in charge */
    QD_COORD_SEALED, /* takes no change; hand-over under way */
    QD_COORD_MIRROR, /* follows another store */
    QD_COORD_VOID,   /* was to take over, never did */
    QD_COORD_RETIRED /* handed over */
};
/* Fencing token, compared as (epoch, term). Every term is handed out once. */
typedef struct qd_coord_token {
    uint64_t epoch, term; /* term 0: none */
} qd_coord_token;
/* What the plugin knows at this moment, without asking anybody. */
typedef struct qd_coord_identity {
    uint32_t struct_size, state; /* QD_COORD_EMPTY ... */
    uint8_t store_id[16];        /* random, made when the store was formed; zeros: not formed */
    uint64_t epoch;
    uint64_t revision;   /* applied here */
    uint64_t compacted;  /* no watch from at or below it */
    uint32_t role;       /* of this node: QD_COORD_VOTER ... */
    uint32_t connected;  /* 1: a leader of the store is known and answers */
    uint8_t history[16]; /* store_id until the first recovery, another random one after each */
    /* 1: what this process holds of the store is at its end, its disk failed: every request is
     * refused, and only a new start goes on, from what is verifiably there. */
    uint32_t failed;
    uint32_t reserved;
} qd_coord_identity;

typedef struct qd_coord_kv {
    qd_str key;
    const uint8_t *value; /* NULL with KEYS_ONLY */
    uint64_t value_len;   /* told with KEYS_ONLY too */
    uint64_t create_revision, mod_revision, version;
    uint64_t session; /* 0: of none */
    uint64_t reserved;
} qd_coord_kv;

enum {
    QD_COORD_STALE = 1, /* from this node's applied state, not older than min_revision */
    QD_COORD_KEYS_ONLY = 2,
    QD_COORD_PREFIX = 4 /* all keys that begin with `key`; `end` is ignored */
};
/* Read of [key, end); end empty without PREFIX: the one key. All of one answer is of one revision.
 */
typedef struct qd_coord_range {
    qd_op op;
    qd_err *err;
    qd_str key, end;
    uint32_t flags, limit; /* limit 0: none */
    uint64_t min_revision; /* STALE: waits until applied */
    /* result: */
    const qd_coord_kv *kvs; /* sorted; valid until result_free(result) */
    qd_coord_result *result;
    uint64_t revision;   /* of the store when read */
    uint32_t nkvs, more; /* more: 1 when limit cut it */
    void *plugin[4];
} qd_coord_range;

enum {
    QD_COORD_CMP_VERSION = 1, /* number = version (0: the key is absent) */
    QD_COORD_CMP_MOD = 2,     /* number = mod_revision */
    QD_COORD_CMP_EXISTS = 3,  /* number 1: there, 0: not there */
    QD_COORD_CMP_HASH = 4     /* hash = SHA-256 of the value; an absent key never equals */
};
typedef struct qd_coord_compare {
    qd_str key;
    uint32_t type, reserved;
    uint64_t number;
    uint8_t hash[32];
} qd_coord_compare;
enum {
    QD_COORD_PUT = 1,
    QD_COORD_DELETE = 2,       /* of an absent key: nothing happens */
    QD_COORD_DELETE_PREFIX = 3 /* all keys that begin with `key` */
};
typedef struct qd_coord_change {
    uint32_t type, reserved;
    qd_str key, value;
    uint64_t session; /* PUT: the key goes away with it; 0: stays */
} qd_coord_change;
/* All compares hold at the moment of commit: all changes happen in order under one revision, a key
 * at most once. Else nothing happens: QD_E_CONFLICT, `failed` = index of the first that did not. */
typedef struct qd_coord_txn {
    qd_op op;
    qd_err *err;
    uint8_t id[16];       /* request id, random; kept for retries */
    qd_coord_token token; /* term != 0: FENCED unless it is still the token of `election` */
    qd_str election;
    const qd_coord_compare *compares;
    const qd_coord_change *changes;
    uint32_t ncompares, nchanges; /* nchanges 0: a linearizable check */
    /* result: */
    uint64_t revision; /* of the change; of the store on CONFLICT or without change */
    uint32_t failed, reserved;
    void *plugin[4];
} qd_coord_txn;

typedef struct qd_coord_event {
    uint32_t type, reserved; /* QD_COORD_PUT or QD_COORD_DELETE */
    qd_coord_kv kv;          /* of a deletion: key, mod_revision = of the deletion, version 0 */
} qd_coord_event;
/* Every change of keys in [key, end) or under the prefix with mod_revision >= from, in order, each
 * once. from 0: what comes from now on. */
typedef struct qd_coord_watch_config {
    uint32_t struct_size, flags; /* QD_COORD_PREFIX */
    qd_str key, end;             /* borrow */
    uint64_t from;
    /* A batch: all events of whole revisions up to `revision` (n 0: a progress mark). rc other than
     * 0 is the last call: COMPACTED (changes from `from` on are gone: read again, watch from
     * there), FENCED (another store took over), CLOSED. */
    void (*events)(void *arg, const qd_coord_event *events, uint32_t n, uint64_t revision,
                   int32_t rc);
    void *arg;
} qd_coord_watch_config;

enum { QD_COORD_SESSION_OPEN = 1, QD_COORD_SESSION_KEEP = 2, QD_COORD_SESSION_CLOSE = 3 };
/* Sessions: OPEN makes one; KEEP renews it for its ttl; CLOSE ends it. At its end, by CLOSE or when
 * ttl has passed without KEEP (never earlier; by the store's clock, after a change of leader anew),
 * its keys are deleted under one revision and its elections are lost. */
typedef struct qd_coord_session {
    qd_op op;
    qd_err *err;
    uint32_t action, reserved;
    uint64_t session; /* in: KEEP, CLOSE; out: OPEN. Never 0, never used again */
    int64_t ttl_ns;   /* in: OPEN; out: as granted */
    uint8_t id[16];   /* request id of OPEN */
    void *plugin[4];
} qd_coord_session;

enum { QD_COORD_ELECT = 1, QD_COORD_RESIGN = 2, QD_COORD_LEADER = 3 };
/* Elections: any number, by name. ELECT ends with 0 when this candidate has won, which may take for
 * ever: cancel it. Its key "_election/<name>" then holds `value` and is attached to `session`, so
 * that a watch tells everybody who leads; losing it (RESIGN, end of the session) deletes the key,
 * and the next candidate in order of arrival wins with a higher term. LEADER reads the present one
 * (linearizable; NOTFOUND: none). */
typedef struct qd_coord_election {
    qd_op op;
    qd_err *err;
    uint32_t action, reserved;
    qd_str name, value;      /* in; LEADER: value out, valid until result_free(result) */
    uint64_t session;        /* in: ELECT, RESIGN; out: LEADER */
    qd_coord_token token;    /* in: RESIGN; out: ELECT, LEADER */
    qd_coord_result *result; /* LEADER only */
    void *plugin[4];
} qd_coord_election;

enum { QD_COORD_VOTER = 1, QD_COORD_STANDBY = 2, QD_COORD_SPARE = 3, QD_COORD_CLIENT = 4 };
typedef struct qd_coord_member {
    qd_str id, name, address;
    uint32_t role;          /* QD_COORD_VOTER ... */
    uint32_t leader, alive; /* 1 or 0; alive as seen by the leader, else by this node */
    uint32_t excluded;      /* 1: is not made a voter */
    uint64_t reserved[2];
} qd_coord_member;
enum {
    QD_COORD_MEMBERS_LIST = 1,
    QD_COORD_MEMBERS_ADD = 2,
    QD_COORD_MEMBERS_ROLE = 3,
    QD_COORD_MEMBERS_REMOVE = 4,
    QD_COORD_MEMBERS_EXCLUDE = 5,
    QD_COORD_MEMBERS_INCLUDE = 6,
    QD_COORD_MEMBERS_WANTED = 7
};
/* LIST: all members. The store itself keeps the number of voters odd, up to 5, and lets who joins
 * vote when that helps; ADD, ROLE and REMOVE (member by id, else by name) are single steps that it
 * may undo, but for a REMOVE of one who is dead. EXCLUDE (by name, also of one not there yet)
 * lasts: that member loses its vote, ends with 0 when it has, and leadership before it; INCLUDE
 * takes it back, with an empty name for all. WANTED: as LIST, but of names alone: the members that
 * the platform which runs the one of this name wants to have of its kind now (a StatefulSet's
 * number of replicas); NOTFOUND: it runs none such, SECURITY: it does not tell. ARG, UNSUPPORTED:
 * the store knows no platform. Changes are serialised; QD_E_TIMEOUT: it could not be
 * done in time, and may be done later. */
typedef struct qd_coord_members {
    qd_op op;
    qd_err *err;
    uint32_t action, nmembers;      /* nmembers: result of LIST, WANTED */
    qd_coord_member change;         /* in: of ADD, ROLE, REMOVE, WANTED */
    const qd_coord_member *members; /* result of LIST, WANTED, valid until result_free(result) */
    qd_coord_result *result;
    void *plugin[4];
} qd_coord_members;

enum {
    QD_COORD_SEAL = 1,   /* ACTIVE -> SEALED; revision out: the last change */
    QD_COORD_UNSEAL = 2, /* SEALED -> ACTIVE under new_epoch */
    /* EMPTY, VOID, RETIRED, MIRROR -> MIRROR under new_epoch, all keys deleted */
    QD_COORD_BEGIN_MIRROR = 3,
    /* MIRROR -> ACTIVE, at revision + 1, only if revision is as given; history up to there is gone,
     * sessions that have keys live on */
    QD_COORD_ACTIVATE = 4,
    QD_COORD_MAKE_VOID = 5, /* MIRROR -> VOID */
    QD_COORD_RETIRE = 6     /* SEALED -> RETIRED */
};
/* A step of a hand-over: one compare-and-set on (epoch, state). QD_E_CONFLICT: it was otherwise. */
typedef struct qd_coord_authority {
    qd_op op;
    qd_err *err;
    uint32_t action, reserved;
    uint64_t epoch, new_epoch; /* epoch: expected. Epochs never fall and are never used again */
    uint64_t revision;         /* in: ACTIVATE; out: of the store */
    uint8_t id[16];
    void *plugin[4];
} qd_coord_authority;
/* All keys as of `revision` (0: now, linearizable), sorted, in batches; COMPACTED when it is gone.
 * batch returns 0 or a code that ends the export. */
typedef struct qd_coord_export {
    qd_op op;
    qd_err *err;
    uint64_t revision; /* out too */
    int32_t (*batch)(void *arg, const qd_coord_kv *kvs, uint32_t n);
    void *arg;
    uint8_t hash[32]; /* out: see docs/plugins.md, the same over every implementation */
    void *plugin[4];
} qd_coord_export;
/* Into a MIRROR of `epoch`: events of whole revisions, (the mirror's revision, revision], with all
 * numbers taken over; a revision not above the mirror's is done already: 0. */
typedef struct qd_coord_import {
    qd_op op;
    qd_err *err;
    uint64_t epoch, revision;
    const qd_coord_event *events;
    uint32_t nevents, reserved;
    void *plugin[4];
} qd_coord_import;

/* Slots that take a request return 0 (op.done will run) or a negative code (it will not). */
typedef struct qd_coord_vtable {
    qd_vtable head;
    /* Starts it; returns before a leader is known. [worker] */
    int32_t (*open)(qd_self *, const qd_coord_config *, qd_coord **out, qd_err *);
    /* Ends everything: pending requests complete with CLOSED, watches get their last call, then
     * done(arg) once, from any thread; the handle is gone by then. [any] */
    void (*close)(qd_coord *, void (*done)(void *arg), void *arg);
    void (*info)(qd_coord *, qd_coord_info *out);         /* caller sets struct_size. [any] */
    void (*identity)(qd_coord *, qd_coord_identity *out); /* caller sets struct_size. [any] */
    int32_t (*range)(qd_coord *, qd_coord_range *);
    int32_t (*txn)(qd_coord *, qd_coord_txn *);
    int32_t (*session)(qd_coord *, qd_coord_session *);
    int32_t (*election)(qd_coord *, qd_coord_election *);
    int32_t (*members)(qd_coord *, qd_coord_members *);
    /* Frees what a result points to. NULL is fine. [any] */
    void (*result_free)(qd_coord *, qd_coord_result *);
    /* Starts a watch; events may run before it returns. [any] */
    int32_t (*watch)(qd_coord *, const qd_coord_watch_config *, qd_coord_watch **out, qd_err *);
    /* Ends it, also after its last call: done(arg) once, after which events never runs. Not from
     * inside events. [any] */
    void (*watch_close)(qd_coord_watch *, void (*done)(void *arg), void *arg);
    /* Asks for an early end of a pending request (its op): done still follows, with CANCELLED or,
     * for changes already under way, UNKNOWN_OUTCOME or the real result. For one that has ended
     * nothing happens. [any] */
    void (*cancel)(qd_coord *, qd_op *);
    /* Forgets history at or below revision (watches from there get COMPACTED). [any] */
    int32_t (*compact)(qd_coord *, uint64_t revision);
    /* AUTHORITY */
    int32_t (*authority)(qd_coord *, qd_coord_authority *);
    int32_t (*export_at)(qd_coord *, qd_coord_export *);
    int32_t (*import)(qd_coord *, qd_coord_import *);
} qd_coord_vtable;

#ifdef __cplusplus
}
#endif
#endif
