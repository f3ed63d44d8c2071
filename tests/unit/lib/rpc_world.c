/* rpc_world.c: see rpc_world.h. */
#include "unit/lib/rpc_world.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[WORLD_NODES] = {"n0", "n1", "n2", "n3", "n4", "n5"};

static void must(int rc, const char *what)
{
    if (!rc) return;
    fprintf(stderr, "%s: %s\n", what, qd_code_name(rc));
    abort();
}

void world_open(world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->sim = seed != 0;
    if (!w->sim) return;
    must(qd_sim_open(seed, &w->s, NULL), "simulation");
    must(qd_sim_net_open(w->s, &w->net, NULL), "network");
}

int world_node_open_tls(world *w, unsigned i, const qd_wire_tls *tls,
                        void (*change)(qd_rpc_config *c, void *arg), void *arg, qd_err *err)
{
    world_node *n = &w->nodes[i];
    char id[32];
    if (!n->env) n->env = w->sim ? qd_sim_env(w->s, names[i]) : qd_env_system();
    if (!n->pools.n) {
        must(qd_pools_add(&n->pools, n->env, "generic", 4, 1000, NULL), "pool");
        must(qd_pools_add(&n->pools, n->env, "write", 1, 2, NULL), "pool");
    }
    if (w->sim) {
        n->wire = qd_sim_net_wire(w->net, names[i]);
    } else {
        qd_wire_tcp_config wc = {
            .env = n->env, .resolver = qd_pools_get(&n->pools, "generic"), .tls = tls};
        int rc = qd_wire_tcp_open(&wc, &n->wire, err);
        if (rc) return rc;
    }
    snprintf(id, sizeof id, "id-%u", i);
    qd_rpc_listen listen = {.host = "127.0.0.1", .port = w->sim ? 9300 : 0};
    qd_rpc_config c = {
        .env = n->env,
        .wire = n->wire,
        .pools = &n->pools,
        .cluster_name = QD_STR("test"),
        .node_id = qd_str_c(id),
        .node_name = qd_str_c(names[i]),
        .product = QD_STR("0.1.0"),
        .roles = QD_RPC_ROLE_DATA,
        .publish_host = w->sim ? qd_str_c(names[i]) : QD_STR("127.0.0.1"),
        .rest_address = QD_STR("127.0.0.1:9200"),
        .listen = &listen,
        .nlisten = 1,
        .ping_ns = w->sim ? 200000000 : 2000000000, /* a busy machine is not silence */
    };
    if (change) change(&c, arg);
    int rc = qd_rpc_open(&c, &n->rpc, err);
    if (!rc) snprintf(n->address, sizeof n->address, "%.*s", QD_STR_ARG(qd_rpc_address(n->rpc)));
    return rc;
}

int world_node_open(world *w, unsigned i, void (*change)(qd_rpc_config *c, void *arg), void *arg)
{
    return world_node_open_tls(w, i, NULL, change, arg, NULL);
}

void world_node_close(world *w, unsigned i)
{
    world_node *n = &w->nodes[i];
    qd_rpc_close(n->rpc);
    n->rpc = NULL;
    if (!w->sim) qd_wire_tcp_close(n->wire);
    n->wire = NULL;
    qd_pools_close(&n->pools);
    memset(&n->pools, 0, sizeof n->pools);
}

void world_close(world *w)
{
    for (unsigned i = 0; i < WORLD_NODES; i++) world_node_close(w, i);
    if (!w->sim) return;
    qd_sim_net_close(w->net);
    qd_sim_close(w->s);
}

typedef struct waiting {
    bool (*done)(void *arg);
    void *arg;
} waiting;

static bool more(void *arg)
{
    waiting *x = arg;
    return !x->done(x->arg);
}

bool world_until(world *w, bool (*done)(void *arg), void *arg)
{
    waiting x = {done, arg};
    if (w->sim) {
        (void)qd_sim_run_while(w->s, more, &x, 20000000000ull);
        return done(arg);
    }
    qd_env *env = qd_env_system();
    uint64_t end = qd_env_mono_ns(env) + 120000000000ull;
    while (!done(arg) && qd_env_mono_ns(env) < end) qd_env_sleep_ns(env, 200000);
    return done(arg);
}

void world_pass(world *w, uint64_t ns)
{
    if (w->sim)
        qd_sim_run_until(w->s, qd_sim_now_ns(w->s) + ns);
    else
        qd_env_sleep_ns(qd_env_system(), ns);
}
