/* rpc.c: opening and closing: loops, listeners, what a node says of itself, counters. */
#include "rpc/rpc_int.h"
#include "runtime/resolve.h"
#include <stdio.h>
#include <zstd.h>

#define SECOND_NS 1000000000ull
#define MB ((uint64_t)1 << 20)
#define LOOPS_MAX 8u
#define ANSWERS_NS (20 * SECOND_NS) /* for handlers to answer what a close has cancelled */

/* --- opening --- */

static uint64_t or_default(uint64_t v, uint64_t d)
{
    return v ? v : d;
}

static void defaults(qd_rpc_config *c)
{
    static const uint64_t queues[QD_RPC_CLASSES] = {16 * MB, 64 * MB, 64 * MB};
    c->connect_timeout_ns = or_default(c->connect_timeout_ns, 30 * SECOND_NS);
    c->ping_ns = or_default(c->ping_ns, SECOND_NS);
    c->redial_min_ns = or_default(c->redial_min_ns, SECOND_NS / 10);
    c->redial_max_ns = or_default(c->redial_max_ns, 5 * SECOND_NS);
    c->message_max = or_default(c->message_max, 256 * MB);
    c->compress_min = or_default(c->compress_min, 16384);
    for (uint32_t i = 0; i < QD_RPC_CLASSES; i++)
        c->queue_max[i] = or_default(c->queue_max[i], queues[i]);
    if (!c->version_max || c->version_max > QD_RPC_NEWEST) c->version_max = QD_RPC_NEWEST;
    if (!c->nloops) c->nloops = 1;
    if (c->nloops > LOOPS_MAX) c->nloops = LOOPS_MAX;
}

static void text(char *out, size_t size, qd_str s)
{
    snprintf(out, size, "%.*s", QD_STR_ARG(s));
}

static int self_make(qd_rpc *rpc, qd_err *err)
{
    uint8_t id[16];
    const qd_rpc_config *c = &rpc->c;
    qd_rpc_node n = {.roles = c->roles, .version = c->version_max, .self = true};
    qd_env_random(c->env, id, sizeof id);
    for (int i = 0; i < 16; i++) snprintf(n.ephemeral + 2 * i, 3, "%02x", id[i]);
    text(n.id, sizeof n.id, c->node_id);
    text(n.name, sizeof n.name, c->node_name);
    text(n.product, sizeof n.product, c->product);
    text(n.cluster_uuid, sizeof n.cluster_uuid, c->cluster_uuid);
    text(rpc->cluster_uuid, sizeof rpc->cluster_uuid, c->cluster_uuid);
    text(rpc->cluster_name, sizeof rpc->cluster_name, c->cluster_name);
    text(rpc->rest, sizeof rpc->rest, c->rest_address);
    if (!n.id[0] || !n.name[0] || !rpc->cluster_name[0])
        return qd_err_set(err, QD_E_ARG, "a transport needs node id, node name and cluster name");
    rpc->self = qdi_who_make(rpc, &n);
    return rpc->self ? 0 : qd_err_nomem(err, "transport");
}

static void on_tick(qd_timer *t)
{
    rpc_loop *l = t->user;
    qdi_peers_tick(l);
    qdi_blocks_tick(l->rpc, qd_env_mono_ns(l->rpc->c.env));
}

static int loop_make(qd_rpc *rpc, uint32_t i, qd_err *err)
{
    rpc_loop *l = &rpc->loops[i];
    char name[32];
    snprintf(name, sizeof name, "transport-%u", i);
    l->rpc = rpc;
    qd_mutex_init(&l->lock);
    qd_map_init(&l->peers, &rpc->control);
    qd_prng_init(&l->prng, qd_env_random_u64(rpc->c.env));
    int rc = qd_loop_open(rpc->c.env, name, &l->loop, err);
    if (rc) return rc;
    rpc->nloops++;
    qd_timer_init(&l->tick, l->loop, on_tick, l);
    qd_loop_on_turn(l->loop, qdi_conn_flush_dirty, l);
    return qd_loop_start(l->loop, err);
}

/* --- work on a loop, waited for --- */

typedef struct command {
    qd_post post; /* first */
    rpc_loop *l;
    const qd_rpc_listen *at;
    uint16_t port;
    bool shared;
    int rc;
    qd_err *err;
    qd_latch latch;
} command;

static void run_on(rpc_loop *l, command *cmd, void (*fn)(qd_post *post))
{
    cmd->l = l;
    cmd->post.fn = fn;
    qd_latch_init(&cmd->latch, 1);
    qd_loop_post(l->loop, &cmd->post);
    (void)qd_latch_wait(&cmd->latch);
}

static void listen_here(qd_post *post)
{
    command *cmd = (command *)(void *)post;
    rpc_loop *l = cmd->l;
    qd_wire_listener **to = &l->listeners[l->nlisteners];
    cmd->rc = qd_wire_listen(l->rpc->c.wire, l->loop, cmd->at->host, cmd->port, cmd->shared,
                             qdi_conn_accept, l, to, cmd->err);
    if (!cmd->rc) {
        cmd->port = qd_wire_port(l->rpc->c.wire, *to);
        l->nlisteners++;
        if (!qd_timer_running(&l->tick))
            cmd->rc = qd_timer_start(&l->tick, 10 * SECOND_NS, 10 * SECOND_NS);
    }
    qd_latch_done(&cmd->latch, 0);
}

/* One address on all loops; *port: the one that was free. */
static int listen_on(qd_rpc *rpc, const qd_rpc_listen *at, uint16_t port, uint16_t *out,
                     qd_err *err)
{
    command cmd = {.at = at, .port = port, .shared = rpc->nloops > 1, .err = err};
    for (uint32_t i = 0; i < rpc->nloops; i++) {
        run_on(&rpc->loops[i], &cmd, listen_here);
        if (cmd.rc) return cmd.rc;
    }
    *out = cmd.port;
    return 0;
}

static const char *join(char out[QD_RPC_ADDRESS_MAX], const char *host, uint16_t port)
{
    snprintf(out, QD_RPC_ADDRESS_MAX, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
    return out;
}

static int listen_all(qd_rpc *rpc, qd_err *err)
{
    const qd_rpc_config *c = &rpc->c;
    for (uint32_t i = 0; i < c->nlisten; i++) {
        const qd_rpc_listen *at = &c->listen[i];
        uint32_t first = at->follow ? rpc->ports[0] : at->port, port = first;
        uint32_t last = !at->follow && at->port_last > first ? at->port_last : first;
        const char *setting = at->setting ? at->setting : "transport.port";
        int rc = QD_E_EXISTS;
        qd_err why;
        qd_err_init(&why);
        for (; rc == QD_E_EXISTS && port <= last; port++) {
            qd_err_fini(&why);
            rc = listen_on(rpc, at, (uint16_t)port, &rpc->ports[i], &why);
        }
        if (rc) {
            if (at->optional) {
                qd_log_warn(RPC_LOG, "goes on without listening on [%s:%u]: %s (%s)", at->host,
                            first, qd_err_reason(&why), setting);
                qd_err_fini(&why);
                continue;
            }
            if (last > first)
                qd_err_set(err, QD_E_IO, "cannot listen on [%s], no port of %u-%u: %s (%s)",
                           at->host, first, last, qd_err_reason(&why), setting);
            else
                qd_err_set(err, QD_E_IO, "cannot listen on [%s:%u]: %s (%s%s)", at->host, first,
                           qd_err_reason(&why), setting,
                           rc == QD_E_EXISTS ? "; is another node running here?" : "");
            qd_err_fini(&why);
            return QD_E_IO;
        }
        qd_err_fini(&why);
        join(rpc->own[rpc->nown++], at->host, rpc->ports[i]);
    }
    return 0;
}

/* What is published, where nothing is set: the first address that is not loopback. */
static void publish(qd_rpc *rpc)
{
    const qd_rpc_config *c = &rpc->c;
    char host[QD_RPC_ADDRESS_MAX];
    qd_addr a;
    uint32_t best = 0;
    for (uint32_t i = c->nlisten; i-- > 0;) {
        bool ip = qd_addr_parse(qd_str_c(c->listen[i].host), 0, &a);
        if (ip && !qd_addr_is_loopback(&a) && !qd_addr_is_any(&a)) best = i;
    }
    if (c->publish_host.n)
        text(host, sizeof host, c->publish_host);
    else
        snprintf(host, sizeof host, "%s", c->nlisten ? c->listen[best].host : "127.0.0.1");
    join(rpc->address, host, c->publish_port ? c->publish_port : rpc->ports[best]);
    memcpy(rpc->self->node.address, rpc->address, sizeof rpc->address);
}

int qd_rpc_open(const qd_rpc_config *config, qd_rpc **out, qd_err *err)
{
    if (config->nlisten > QD_RPC_LISTEN_MAX)
        return qd_err_set(err, QD_E_ARG, "%u addresses to listen on, more than %d", config->nlisten,
                          QD_RPC_LISTEN_MAX);
    qd_rpc *rpc = qd_calloc(config->account, sizeof *rpc);
    if (!rpc) return qd_err_nomem(err, "transport");
    rpc->magic = QD_RPC_MAGIC;
    rpc->c = *config;
    defaults(&rpc->c);
    qd_mutex_init(&rpc->lock);
    qd_mutex_init(&rpc->blocks.lock);
    qd_cond_init(&rpc->idle);
    qd_account_init(&rpc->control, "transport", NULL, 0);
    qd_account_init(&rpc->data, "transport requests", config->account, 0);
    rpc->data.asked = true;
    qd_map_init(&rpc->nodes, &rpc->control);
    int rc = self_make(rpc, err);
    if (!rc && !(rpc->loops = qd_calloc(&rpc->control, rpc->c.nloops * sizeof *rpc->loops)))
        rc = qd_err_nomem(err, "transport");
    for (uint32_t i = 0; !rc && i < rpc->c.nloops; i++) rc = loop_make(rpc, i, err);
    if (!rc) rc = listen_all(rpc, err);
    if (!rc) publish(rpc);
    if (!rc) atomic_store(&rpc->ready, true); /* a handshake tells the address: not before */
    rpc->c.listen = NULL;
    if (rc) {
        qd_rpc_close(rpc);
        return rc;
    }
    *out = rpc;
    return 0;
}

/* --- closing --- */

static void listener_gone(void *arg)
{
    rpc_loop *l = arg;
    l->nlisteners--;
    if (l->closed && !l->nconns && !l->nlisteners) {
        qd_latch *latch = l->closed;
        l->closed = NULL;
        qd_latch_done(latch, 0);
    }
}

static void close_here(qd_post *post)
{
    command *cmd = (command *)(void *)post;
    rpc_loop *l = cmd->l;
    l->closing = true;
    qd_timer_stop(&l->tick);
    for (uint32_t i = 0; i < l->nlisteners; i++)
        qd_wire_unlisten(l->rpc->c.wire, l->listeners[i], listener_gone, l);
    qdi_peers_close(l);
    qdi_requests_local_end(l);
    for (rpc_conn *c = l->conns, *next; c; c = next) {
        next = c->next;
        qdi_conn_end(c, false, "the node is closing");
    }
    if (!l->nconns && !l->nlisteners)
        qd_latch_done(&cmd->latch, 0);
    else
        l->closed = &cmd->latch;
}

static void handlers_free(qd_rpc *rpc)
{
    for (id_node *n; (n = qdi_ids_pop(&rpc->handlers));)
        qd_free(QD_CONTAINER_OF(n, rpc_handler, node));
    for (id_node *n; (n = qdi_ids_pop(&rpc->channels));) {
        rpc_channel *ch = QD_CONTAINER_OF(n, rpc_channel, node);
        qd_rwlock_fini(&ch->lock);
        qd_free(ch);
    }
    qdi_ids_fini(&rpc->handlers);
    qdi_ids_fini(&rpc->channels);
}

/* Waits until nothing is under way. False: requests were not answered in time, and nothing but them
 * is left: they were cancelled, their handlers have returned, so nobody may be there to answer. */
static bool all_ended(qd_rpc *rpc)
{
    uint64_t until = qd_env_mono_ns(rpc->c.env) + ANSWERS_NS;
    char what[512] = "";
    int n = 0;
    qd_mutex_lock(&rpc->lock);
    while (rpc->busy) {
        if (qd_cond_wait_until(&rpc->idle, &rpc->lock, until) == 0) continue;
        if (rpc->busy && rpc->busy == rpc->nopen) break;
        until = qd_env_mono_ns(rpc->c.env) + ANSWERS_NS;
    }
    bool ended = rpc->busy == 0;
    for (const qd_rpc_request *r = rpc->open; r && n < 400; r = r->open_next)
        n += snprintf(what + n, sizeof what - (size_t)n, "%s[%.60s]", n ? ", " : "",
                      qd_rpc_action_name(r->action));
    qd_mutex_unlock(&rpc->lock);
    if (!ended)
        qd_log_error(RPC_LOG,
                     "closed with requests that were never answered, a fault of the program's: %s",
                     what);
    return ended;
}

void qd_rpc_close(qd_rpc *rpc)
{
    if (!rpc) return;
    QD_CHECK(rpc, QD_RPC_MAGIC);
    atomic_store(&rpc->closing, true);
    for (uint32_t i = 0; i < rpc->nloops; i++) {
        command cmd = {0};
        run_on(&rpc->loops[i], &cmd, close_here);
    }
    if (!all_ended(rpc)) return;
    for (uint32_t i = 0; i < rpc->nloops; i++) qd_loop_close(rpc->loops[i].loop);
    for (uint32_t i = 0; i < rpc->nloops; i++) {
        qdi_peers_free(&rpc->loops[i]);
        qdi_ids_fini(&rpc->loops[i].locals);
        qd_mutex_fini(&rpc->loops[i].lock);
    }
    qd_free(rpc->loops);
    handlers_free(rpc);
    qd_map_fini(&rpc->nodes);
    qdi_who_unref(rpc->self);
    for (uint32_t i = 0; i < ZSTD_IDLE; i++) {
        ZSTD_freeCCtx(rpc->zstd_c[i]);
        ZSTD_freeDCtx(rpc->zstd_d[i]);
    }
    qdi_blocks_end(rpc);
    qd_mutex_fini(&rpc->blocks.lock);
    qd_cond_fini(&rpc->idle);
    qd_mutex_fini(&rpc->lock);
    rpc->magic = 0;
    qd_free(rpc);
}

/* --- this node --- */

const qd_rpc_node *qd_rpc_self(const qd_rpc *rpc)
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
    return &rpc->self->node;
}

qd_str qd_rpc_address(const qd_rpc *rpc)
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
    return qd_str_c(rpc->address);
}

uint16_t qd_rpc_port(const qd_rpc *rpc, uint32_t i)
{
    qd_assert(i < QD_COUNT_OF(rpc->ports));
    return rpc->ports[i];
}

typedef struct told {
    qd_post post; /* first */
    rpc_loop *l;
    char uuid[64];
} told;

static void cluster_here(qd_post *post)
{
    told *t = (told *)(void *)post;
    if (!t->l->closing) qdi_conns_cluster(t->l, t->uuid);
    qd_free(t);
}

void qd_rpc_cluster_uuid_set(qd_rpc *rpc, qd_str uuid)
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
    qd_mutex_lock(&rpc->lock);
    bool same = qd_str_is(uuid, rpc->cluster_uuid);
    text(rpc->cluster_uuid, sizeof rpc->cluster_uuid, uuid);
    qd_mutex_unlock(&rpc->lock);
    if (same || atomic_load(&rpc->closing)) return;
    for (uint32_t i = 0; i < rpc->nloops; i++) {
        told *t = qd_alloc(&rpc->control, sizeof *t);
        if (!t) return; /* the next handshakes tell it */
        t->post = (qd_post){NULL, cluster_here, NULL};
        t->l = &rpc->loops[i];
        text(t->uuid, sizeof t->uuid, uuid);
        qd_loop_post(t->l->loop, &t->post);
    }
}

void qd_rpc_cluster_uuid(qd_rpc *rpc, char out[64])
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
    qd_mutex_lock(&rpc->lock);
    snprintf(out, 64, "%s", rpc->cluster_uuid);
    qd_mutex_unlock(&rpc->lock);
}

void qd_rpc_role_add(qd_rpc *rpc, uint32_t role)
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
    atomic_fetch_or(&rpc->roles_more, role);
}

void qd_rpc_stats_get(qd_rpc *rpc, qd_rpc_stats *out)
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
#define GET(f) .f = atomic_load_explicit(&rpc->stats.f, memory_order_relaxed)
    *out = (qd_rpc_stats){
        GET(opened_in),       GET(opened_out),       GET(open_in),
        GET(open_out),        GET(peers_up),         GET(rx_count),
        GET(rx_bytes),        GET(tx_count),         GET(tx_bytes),
        GET(requests_in),     GET(requests_out),     GET(posts_in),
        GET(posts_out),       GET(posts_dropped),    GET(calls_rejected),
        GET(calls_timed_out), GET(calls_cancelled),  GET(refused_in),
        GET(refused_out),     GET(garbage),          GET(http),
        GET(raw_bytes),       GET(compressed_bytes),
    };
#undef GET
    out->memory = (uint64_t)qd_account_used(&rpc->control) + (uint64_t)qd_account_used(&rpc->data);
}
