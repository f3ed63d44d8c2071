/*
 * kcore_int.h: what the files of the simulation share.
 *
 *   kcore_world.c    events, clients, faults
 *   kcore_node.c     a node: a core and a small state with pages
 *   kcore_store.c    the server's objects
 *   kcore_check.c    what must hold
 *   kcore_explore.c  all orders of a few steps
 */
#ifndef QD_TESTS_KCORE_INT_H
#define QD_TESTS_KCORE_INT_H

#include "kcore_sim.h"
#include <core/core_int.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES = 3, KEYS = 24, PAGES_USED = 8, OLD = 24, OBJECTS = 4096, OPS = 8192, CHAIN = 8192 };
enum { META_PAGE = 95, VALUE_INLINE = 64, PAGE_OF_LIST = 40 };

/* One entry: a key gets a value, and padding makes it long. */
typedef struct record {
    uint64_t op; /* 0: one that others equal */
    uint32_t key, length, seed, padding;
} record;
/* A key's value as in a page. */
typedef struct row {
    uint32_t key, length, seed, there;
    uint64_t op;
    ck_hash value; /* zeros: it is short */
} row;
typedef struct state {
    uint64_t index, chain;
    row rows[KEYS];
} state;

typedef struct content {
    struct content *next;
    ck_hash hash;
    int kind;
    size_t n;
    uint8_t p[];
} content;

typedef struct object {
    ck_blob blob;
    int there;
    uint64_t uid, version;
    int64_t written;
} object;

enum { OP_OPEN, OP_YES, OP_NEVER, OP_UNKNOWN };
typedef struct op {
    uint64_t sum, index; /* index: where it was told to be, or where the chain has it */
    int state, unique, node;
    uint64_t life;
} op;
typedef struct place {
    uint64_t id, sum;
} place;

typedef struct sim sim;

typedef struct request {
    uint32_t type;
    int node, refs;
    uint64_t life, sent;
    ck_ask *ask; /* valid while the node lives this life */
    ck_root *root;
    ck_blob blob;
    char uid[64], version[64], next_page[64];
    ck_lease lease;
    /* the answer */
    uint32_t outcome;
    int32_t rc;
    ck_root *answer_root;
    json_t *object;
    ck_lease answer_lease;
    ck_listed listed[PAGE_OF_LIST];
    uint32_t nlisted;
    int64_t date;
    int answered, landed;
    int fetch, by_peer; /* fetch: an object that is read to be applied; by_peer: who gave it */
} request;

typedef struct node {
    sim *s;
    int number;
    ck_core *core; /* NULL: down */
    uint64_t id, life, paused, turn_at;
    double rate;
    uint64_t offset;
    state now, kept;
    /* loading */
    uint32_t load_what;
    state loading;
    ck_blob want[256];
    uint32_t nwant;
    ck_hash reach[KEYS * 2];
    uint32_t nreach;
    ck_checkpoint *lent;
    uint64_t resign_at;
    int failed;
} node;

enum { EV_ARRIVE, EV_ANSWER, EV_ROOT, EV_LEASE, EV_GONE, EV_START };
typedef struct event {
    uint64_t at, order, life, id;
    int type, node;
    request *r;
    ck_root *root;
    ck_lease lease;
} event;

struct sim {
    uint64_t seed, random, now, order, trace, ids;
    int verbose, healing;
    kcore_report *report;
    node nodes[NODES];
    event *events;
    uint32_t nevents, cap;
    /* the server */
    ck_root *root, *old[OLD];
    uint32_t nold;
    uint64_t version, uids;
    ck_lease lease, old_lease;
    object objects[OBJECTS];
    uint32_t nobjects;
    int64_t date;
    content *library[256];
    /* what must hold */
    place chain[CHAIN];
    op ops[OPS];
    uint32_t nops;
    uint64_t read_from[1024];
    uint32_t nreads;
    /* how bad it is */
    uint32_t lost, late, refused, slow, old_watch, kill, pause, watchless;
    uint64_t last_gone[NODES];
};

/* --- kcore_world.c --- */
uint64_t dice(sim *s, uint64_t below);
static inline int chance(sim *s, uint32_t of1000)
{
    return of1000 && dice(s, 1000) < of1000;
}
void say(sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void trace(sim *s, uint64_t a, uint64_t b);
void request_drop(request *r);
request *request_of(sim *s, node *n, ck_ask *a);
/* Gives an ask its end. */
void request_answer(sim *s, request *r);
const cr_heap *sim_heap(void);
extern const ck_site sim_site;

/* --- kcore_node.c --- */
void node_start(sim *s, node *n, int keeps);
void node_kill(sim *s, node *n);
uint64_t node_time(const sim *s, const node *n);
/* A client's entry; 0: the node does not lead. */
int node_propose(sim *s, node *n);
/* Of given bytes: for the exploration. */
int node_propose_this(sim *s, node *n, const record *r);
void node_read(sim *s, node *n);
/* The answer to CK_FREEZE. */
ck_checkpoint *node_freeze(sim *s, node *n, const ck_root *root);
/* Rows of a page, by its hash; their number. */
uint32_t page_rows(sim *s, const ck_hash *h, row *out);

/* --- kcore_store.c --- */
void store_take(sim *s, request *r);
void store_free(sim *s);
content *library_add(sim *s, int kind, const uint8_t *p, size_t n);
content *library_find(sim *s, int kind, const ck_hash *h);
/* A root as a reader gets it: large entries without their bytes. */
ck_root *root_read(const ck_root *r);
/* The state of a server as one number. */
uint64_t store_digest(const sim *s);

/* --- kcore_check.c --- */
void violation(sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_root(sim *s, const ck_root *before, const ck_root *after);
void check_objects(sim *s, const char *what);
void check_applied(sim *s, node *n, uint64_t index, const uint8_t *p, size_t size);
void check_done(sim *s, node *n, op *o, uint64_t index, int32_t rc);
void check_sure(sim *s);

#endif
