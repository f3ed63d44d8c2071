/*
 * mutants.h: rules of what stands around a core that the simulation of a whole cluster breaks one
 * at a time (check/mutant.h).
 */
#ifndef COORDINATION_COMMON_MUTANTS_H
#define COORDINATION_COMMON_MUTANTS_H

#include <check/mutant.h>

#define COORD_MUTANTS(X, S)                                                                        \
    X(S, SESSION_NO_GRACE, "a new leader goes on with deadlines of before")                        \
    X(S, SESSION_NEVER, "no session expires")                                                      \
    X(S, ROUND_NOT_ASKED, "a leader confirms reads and renewals by itself")                        \
    X(S, READ_LOCAL, "a follower answers reads by what it has")                                    \
    X(S, RENEWAL_APPLIED, "renewals count when the leader's disk has what came before")            \
    X(S, WATCH_GAP, "a watch begins behind what was forgotten, and does not say so")               \
    X(S, SURE_BY_CLOCK, "a leader's own clock is enough for renewals")

QD_MUTANTS(coord, COORD_MUTANTS);

#endif
