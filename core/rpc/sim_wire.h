/*
 * sim_wire.h: the wire of simulations: a network of named hosts inside runtime's simulated world,
 * with latency and faults, decided by the world's seed alone.
 *
 * Connections behave as TCP does: in order, whole, or broken; a cut direction delays what was sent
 * until it is healed or the connection given up, a dial into a cut is not answered. What posts may
 * suffer where connections come and go (lost, doubled, in another order) is made on purpose. The
 * functions are the driver's and those of tests; everything runs on the one thread of the
 * simulation.
 */
#ifndef QD_RPC_SIM_WIRE_H
#define QD_RPC_SIM_WIRE_H

#include "net/wire.h"
#include "runtime/sim_env.h"

typedef struct qd_sim_net qd_sim_net;

/* Chances are in parts of a million. */
typedef struct qd_sim_net_faults {
    uint64_t latency_min_ns, latency_max_ns; /* of each piece, one way; 50 us to 1 ms */
    uint32_t slow_ppm;                       /* a piece takes slow_ns longer */
    uint64_t slow_ns;
    uint32_t break_ppm;   /* a write breaks its connection, and what was under way is lost */
    uint32_t double_ppm;  /* a post of one frame comes twice */
    uint32_t reorder_ppm; /* a post of one frame comes after the next one */
} qd_sim_net_faults;

/* Opens an empty network. 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qd_sim_net_open(qd_sim *sim, qd_sim_net **out, qd_err *err);
/* Frees it, when all links and listeners are closed. NULL is fine. */
void qd_sim_net_close(qd_sim_net *net);
/* The wire of a host (the same for the same name): it listens on "name:port" whatever numeric
 * address it is told, and dials "name:port". Lives as long as the network. NULL without memory. */
qd_wire *qd_sim_net_wire(qd_sim_net *net, const char *name);
/* Changes the faults from now on. */
void qd_sim_net_faults_set(qd_sim_net *net, const qd_sim_net_faults *faults);
/* Cuts (or heals) one direction: nothing from a host reaches another; NULL: any host. */
void qd_sim_net_cut(qd_sim_net *net, const char *from, const char *to, bool cut);
/* Heals all. */
void qd_sim_net_heal(qd_sim_net *net);
/* Resets all connections between two hosts; NULL: any host. */
void qd_sim_net_break(qd_sim_net *net, const char *a, const char *b);
/*
 * The process of a host ends: its connections are reset for the others (those that reach it), its
 * listeners refuse. What it still sends goes nowhere; its own side learns of closed links, so that
 * its objects can be closed in order. Until qd_sim_net_revive it can neither dial nor be dialed.
 */
void qd_sim_net_kill(qd_sim_net *net, const char *name);
/* The host may listen and dial again. */
void qd_sim_net_revive(qd_sim_net *net, const char *name);

#endif
