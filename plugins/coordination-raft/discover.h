/*
 * discover.h: what a master that belongs to no store does: looks at who answers, and forms a store
 * with the first members, joins one, or waits and says for whom. Pure: what was heard comes in,
 * what to do comes out.
 *
 * Forming. All first members must answer and be pristine. The one with the smallest name decides:
 * it makes the list of their ids and asks each to promise to form with nobody else; when all have,
 * it forms, and the others, seeing that, too. A promise is void once the one who asked for it
 * is somebody else (its process ended before it formed). So there are never two stores of the same
 * masters, and no store of which half is gone already. An id that was lost with its process before
 * forming is a dead member of three: the master joins under its new one, and the old one goes.
 */
#ifndef COORDINATION_RAFT_DISCOVER_H
#define COORDINATION_RAFT_DISCOVER_H

#include "wire.h"

enum { CR_FOUND_MAX = 64 };
#define CR_FOUND_NS 3000000000ll /* what was not heard for this long is not there */

/* A first member, by name or by address. */
typedef struct cr_first {
    char name[CR_WIRE_NAME_MAX + 1];       /* empty: known by address only */
    char address[CR_WIRE_ADDRESS_MAX + 1]; /* empty: known by name only */
    uint64_t incarnation;                  /* who answers there; 0: nobody yet */
} cr_first;

/* Somebody who answered. */
typedef struct cr_found {
    int64_t heard_ns;
    uint64_t id, incarnation, recoveries, epoch, leader;
    uint8_t store_id[16], promised[16];
    int pristine, leads, lists; /* lists: it names other first members than this node */
    int me;                     /* this node's id is among its members */
    uint32_t members;
    char name[CR_WIRE_NAME_MAX + 1], address[CR_WIRE_ADDRESS_MAX + 1];
    char leader_address[CR_WIRE_ADDRESS_MAX + 1];
} cr_found;

typedef struct cr_search {
    /* this node */
    uint64_t id, incarnation;
    char name[CR_WIRE_NAME_MAX + 1], address[CR_WIRE_ADDRESS_MAX + 1];
    /* from the config */
    uint32_t nfirst, nseeds;
    cr_first first[CR_WIRE_MEMBERS_MAX];
    char seeds[CR_WIRE_MEMBERS_MAX][CR_WIRE_ADDRESS_MAX + 1];
    int answered[CR_WIRE_MEMBERS_MAX]; /* of each seed */
    int64_t began_ns;                  /* when it was asked first; 0: not yet */
    /* what was heard */
    uint32_t nfound;
    cr_found found[CR_FOUND_MAX];
    /* the promise */
    uint8_t promised[16];
    uint64_t promised_to; /* id */
    char promised_name[CR_WIRE_NAME_MAX + 1];
} cr_search;

enum {
    CR_GO_WAIT,
    CR_GO_PROPOSE,  /* ask for promises: forming, store_id */
    CR_GO_FORM,     /* form now: forming, store_id */
    CR_GO_PROMISED, /* the store promised to is there: form with the same list */
    CR_GO_RESUME,   /* a store there counts this node among its members: go on as one */
    CR_GO_JOIN      /* ask `who` to be let in */
};
typedef struct cr_decision {
    uint32_t type;
    uint8_t store_id[16];
    uint64_t recoveries;
    cr_forming forming; /* texts of the search's */
    const cr_found *who;
    int trouble; /* why tells of something that waiting does not mend */
    char why[1024];
} cr_decision;

/* Takes what a master said of itself. asked: the address at which it was asked, when it is the
 * answer to that. */
void cr_search_take(cr_search *s, const cr_envelope *e, const cr_info *i, qd_str asked,
                    int64_t now_ns);
/* Somebody asks for a promise: 1 when it is given, or was. */
int cr_search_promise(cr_search *s, const cr_envelope *e, const cr_forming *f);
/* What to do now. */
void cr_search_decide(cr_search *s, int64_t now_ns, cr_decision *out);
/* The store's id that these members make. */
void cr_forming_id(const cr_forming *f, uint8_t out[16]);

#endif
