/*
 * coord_trouble.h: schedules of faults, one definition for every back end of the coordination kind,
 * and the SDK's kit run under them: unchanged, over a rig of several nodes, through one of them.
 */
#ifndef QD_TESTS_COORD_TROUBLE_H
#define QD_TESTS_COORD_TROUBLE_H

#include "unit/lib/coord_rig.h"

typedef enum trouble_kind {
    TROUBLE_SLOW,           /* messages and requests take long, some are lost */
    TROUBLE_GONE,           /* the store is killed and comes back: a majority, or the API server */
    TROUBLE_LEADER_KILLED,  /* and started again */
    TROUBLE_LEADER_STOPPED, /* as by SIGSTOP, then it goes on */
    TROUBLE_LEADER_CUT,     /* from everybody */
    TROUBLE_NODE_CUT,       /* the same of the node that the kit asks: its watches fall behind */
    TROUBLE_ANSWERS_LOST,   /* what is asked is done, and the answer does not come */
    TROUBLE_DISK,           /* of the leader, or of the API server, stalls */
    TROUBLE_HISTORY,        /* is forgotten; watches are cut */
    TROUBLES
} trouble_kind;

/* What a back end does for the faults that are not of a node as such. Called by one thread; each
 * with on, some time later with off. leader: -1 when it is not known. */
typedef struct trouble_store {
    const char *name;
    int first; /* of rig_start */
    void (*slow)(rig *r, bool on);
    void (*gone)(rig *r, int kit, bool on);
    void (*answers_lost)(rig *r, int kit, int leader, bool on);
    void (*disk)(rig *r, int leader, bool on);
    void (*history)(rig *r, int kit, bool on);
    void (*cut)(rig *r, int i, bool on); /* what else is cut when a node is */
} trouble_store;

/* Runs the kit through node `kit` of a rig whose nodes 0 to 2 run, while a schedule of this seed
 * goes on: each kind once in an order of the seed, then any. Its test with many clients goes on for
 * `seconds`. Returns the number of failures, having printed the results then. */
uint32_t trouble_conforms(rig *r, const trouble_store *store, int kit, uint64_t seed, int seconds);
/* SEEDS schedules from SEED on (the environment's, else so many from 1 on), SECONDS_EACH: none may
 * fail. */
void trouble_seeds(int seeds, uint32_t (*failures)(uint64_t seed, int seconds));

/* A mutant of the back end (check/mutant.h). */
typedef struct trouble_defect {
    const char *what;
    int mutant;
} trouble_defect;
/* Each defect has to be found by one of SEEDS schedules (the environment's, else 20), told by the
 * kit and not by a crash. choose: a mutant, 0: none. DEFECTS: how many of them, from the first on;
 * else one. */
void trouble_defects(const trouble_defect *defects, size_t n, void (*choose)(int mutant),
                     uint32_t (*failures)(uint64_t seed, int seconds));

#endif
