/*
 * rpc_world.h: for tests of the transport: some nodes over one of both wires: sockets on loopback,
 * or the simulated network.
 */
#ifndef QD_TESTS_UNIT_RPC_WORLD_H
#define QD_TESTS_UNIT_RPC_WORLD_H

#include "net/wire_tcp.h"
#include "rpc/rpc.h"
#include "rpc/sim_wire.h"

#define WORLD_NODES 6

typedef struct world_node {
    qd_env *env;
    qd_wire *wire;
    qd_pools pools;
    qd_rpc *rpc;
    char address[QD_RPC_ADDRESS_MAX];
} world_node;

typedef struct world {
    bool sim;
    qd_sim *s;
    qd_sim_net *net;
    world_node nodes[WORLD_NODES];
} world;

/* Opens it; seed 0: over sockets. */
void world_open(world *w, uint64_t seed);
/* Opens node i: "n<i>", id "id-<i>", cluster "test", port 9300 of host "n<i>" or a free one; change
 * (may be NULL) alters the configuration before. Returns the code of qd_rpc_open. */
int world_node_open(world *w, unsigned i, void (*change)(qd_rpc_config *c, void *arg), void *arg);
/* The same with TLS; sockets only. */
int world_node_open_tls(world *w, unsigned i, const qd_wire_tls *tls,
                        void (*change)(qd_rpc_config *c, void *arg), void *arg, qd_err *err);
/* Closes node i. */
void world_node_close(world *w, unsigned i);
/* Closes all. */
void world_close(world *w);
/* Waits until done(arg), at most 120 s (simulated: 20 s); is it so? */
bool world_until(world *w, bool (*done)(void *arg), void *arg);
/* Lets time go by. */
void world_pass(world *w, uint64_t ns);

#endif
