/*
 * wire_int.h: what copies of a shard say to each other. One request for all actions: which fields
 * mean something says the action. Behind it stand operations, a publication or bytes of a file, as
 * they are.
 */
#ifndef QD_REPLICATION_WIRE_INT_H
#define QD_REPLICATION_WIRE_INT_H

#include "cluster/state/state.h"
#include "replication/primary_int.h"
#include "rpc/codec.h"
#include <string.h>

#define REPL_TAIL_MAX ((size_t)160 << 20) /* operations of one request */

enum {                    /* flags */
       REPL_LEASE = 1,    /* a read lease is asked for */
       REPL_RELEASE = 2,  /* leases are given back */
       REPL_LAST = 4,     /* the last part */
       REPL_BY_OPS = 8,   /* operations suffice */
       REPL_MORE = 16,    /* there are more */
       REPL_IN_SYNC = 32, /* the copy is in sync */
       REPL_READ = 64,    /* reads wait: nothing has to be made durable for them */
};

typedef struct repl_request {
    char uuid[QD_UUID_TEXT];
    uint32_t shard;
    char aid[REPL_AID], by[REPL_AID]; /* the copy that is asked, the one that asks */
    uint64_t term;                    /* of the sender */
    uint32_t flags;
    int64_t global;                      /* checkpoint known to the sender */
    uint64_t sent_ns;                    /* the sender's clock: names a lease */
    uint64_t peer;                       /* number of the target with its source */
    uint64_t number;                     /* attempt of a resync; publication: generation; hello:
                                            end of the log plus one, 0: it does not say */
    uint32_t part;                       /* of a resync; number of a file */
    int64_t first, max;                  /* operations; first: also a file's offset */
    int64_t persisted;                   /* the asking copy's */
    uint64_t open_term, open_generation; /* publication that the asking copy shows */
    uint8_t history[16];
    qd_str tail;
} repl_request;

typedef struct repl_reply {
    repl_verdict verdict;
    uint64_t term;
    uint32_t flags;
    int64_t persisted, max, global;
    uint64_t peer;
    uint8_t history[16];
    char why[160];
    qd_str tail;
} repl_reply;

/* Appends the head of a request (without tail). */
void repl_request_write(qd_writer *w, const repl_request *q);
/* Reads it; the tail stays in bytes. QD_E_CORRUPT. */
QD_MUST_CHECK
int repl_request_read(qd_str bytes, uint16_t version, repl_request *q, qd_err *err);
/* The same of replies. */
void repl_reply_write(qd_writer *w, const repl_reply *a);
QD_MUST_CHECK
int repl_reply_read(qd_str bytes, uint16_t version, repl_reply *a, qd_err *err);

#endif
