/*
 * policy.h: which member should vote: one step at a time, towards an odd number of voters, at most
 * five, of masters that are there. Pure: facts in, one step out; the leader takes it.
 */
#ifndef COORDINATION_RAFT_POLICY_H
#define COORDINATION_RAFT_POLICY_H

#include "bytes.h"
#include <quidditch/coordination.h>

enum { CR_VOTERS_MAX = 5 };

/* What the leader knows of a member. */
typedef struct cr_fact {
    uint64_t id;
    uint32_t role;     /* QD_COORD_VOTER ... */
    uint64_t heard_ms; /* ago; of the leader 0 */
    int caught_up, excluded;
} cr_fact;

typedef struct cr_policy {
    uint64_t alive_ms;   /* heard within this: it lives */
    uint64_t replace_ms; /* a voter silent for this long gives its vote to a stand-by */
    uint64_t even_ms;    /* two voters, and nobody to be the third, for this long: one */
} cr_policy;

enum { CR_STEP_NONE, CR_STEP_ROLE, CR_STEP_HAND_OVER };
typedef struct cr_step {
    uint32_t type;
    uint64_t id;
    uint32_t role;
} cr_step;

/* The next step. self: the leader; even_since_ms: for how long the number of voters is even. */
cr_step cr_policy_step(const cr_policy *p, const cr_fact *facts, uint32_t n, uint64_t self,
                       uint64_t even_since_ms);

#endif
