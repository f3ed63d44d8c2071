/* action_cluster.c: see action_cluster.h. */
#include "lib/action_cluster.h"
#include "action/ingest/pipelines.h"
#include "base/log.h"
#include "lib/action_parts.h"
#include "lib/coord_memory.h"
#include "net/wire_tcp.h"
#include "replication/replication.h"
#include "rest/rest_int.h"
#include "runtime/fiber.h"
#include <stdio.h>
#include <stdlib.h>

#define NODES_MAX 8u
#define BUFFER_BYTES (64 << 20)
#define WAIT_MS 120000

typedef struct member {
    action_cluster *c;
    qd_actions a;
    qd_account account;
    qd_pools pools;
    store_crash *disk;
    qd_coord_store *coord;
    qd_wire *wire;
    char id[32], name[16];
    qd_mutex lock; /* of following the state */
    qd_cond hears;
    bool closed, deaf;
    qd_node_meta self;
    qd_replication *_Atomic replication;
    bool open;
    qd_rpc_request *unanswered[64]; /* of a silent node */
    uint32_t nunanswered;
} member;

struct action_cluster {
    char store[32];
    coord_memory *coord;
    const char *settings;
    member at[NODES_MAX];
    uint32_t n;
    qd_buf answer;
    const store_crash_options *disk;
};

static void open_rpc(member *n)
{
    qd_err err;
    qd_err_init(&err);
    qd_wire_tcp_config w = {.env = n->a.env, .resolver = qd_pools_get(&n->pools, "generic")};
    action_must(qd_wire_tcp_open(&w, &n->wire, &err), &err, "wire");
    qd_rpc_listen listen = {.host = "127.0.0.1", .setting = "transport.port"};
    qd_rpc_config c = {.env = n->a.env,
                       .wire = n->wire,
                       .pools = &n->pools,
                       .account = &n->account,
                       .cluster_name = qd_config_text(n->a.config, QD_SET_CLUSTER_NAME),
                       .node_id = n->a.node_id,
                       .node_name = n->a.node_name,
                       .product = QD_STR(QD_VERSION),
                       .roles = QD_RPC_ROLE_MASTER | QD_RPC_ROLE_DATA,
                       .publish_host = QD_STR("127.0.0.1"),
                       .listen = &listen,
                       .nlisten = 1};
    action_must(qd_rpc_open(&c, &n->a.rpc, &err), &err, "transport");
}

static void follow(void *arg, const qd_state *old, const qd_state *now)
{
    member *n = arg;
    qd_mutex_lock(&n->lock);
    while (n->deaf) qd_cond_wait(&n->hears, &n->lock);
    if (!n->closed) { /* others go on while one is closed */
        qd_replication *r = atomic_load(&n->replication);
        qd_shards_apply(n->a.shards, old, now);
        if (r) qd_replication_apply(r, old, now);
        qd_action_settings_follow(n->a.config, n->a.plugins, old, now);
    }
    qd_mutex_unlock(&n->lock);
}

static void open_cluster(member *n)
{
    qd_err err;
    qd_err_init(&err);
    qd_coord_config cc = {.struct_size = sizeof cc,
                          .flags = QD_COORD_OPEN_BOOTSTRAP,
                          .cluster = qd_config_text(n->a.config, QD_SET_CLUSTER_NAME),
                          .node_id = n->a.node_id,
                          .node_name = n->a.node_name,
                          .path = qd_str_c(n->c->store)};
    action_must(qd_coord_open(n->a.env, coord_memory_vtable(), NULL, &cc, &n->coord, &err), &err,
                "coordination");
    qd_shards_config sc = {.env = n->a.env,
                           .store = n->a.store,
                           .pools = &n->pools,
                           .account = &n->account,
                           .buffer_bytes = BUFFER_BYTES,
                           .slots = 1};
    action_must(qd_shards_open(&sc, &n->a.shards, &err), &err, "shards");
    qd_shards_look_back(n->a.shards);
    n->self = (qd_node_meta){.id = n->a.node_id,
                             .name = n->a.node_name,
                             .host = n->a.node_host,
                             .transport_address = qd_rpc_address(n->a.rpc),
                             .http_address = QD_STR("127.0.0.1:9200"),
                             .roles = QD_STR("dim"),
                             .version = QD_STR(QD_VERSION)};
    qd_cluster_config k = {.env = n->a.env,
                           .store = n->coord,
                           .name = qd_config_text(n->a.config, QD_SET_CLUSTER_NAME),
                           .self = n->self,
                           .data = true,
                           .control = true,
                           .config = n->a.config,
                           .rpc = n->a.rpc,
                           .session_ttl_ms = 30000,
                           .timeout_ms = 30000,
                           .listener = follow,
                           .listener_arg = n};
    action_must(qd_cluster_open(&k, &n->a.cluster, &err), &err, "cluster");
    qd_replication_config rc = {.env = n->a.env,
                                .rpc = n->a.rpc,
                                .shards = n->a.shards,
                                .cluster = n->a.cluster,
                                .store = n->a.store,
                                .pools = &n->pools,
                                .account = &n->account,
                                .config = n->a.config};
    action_must(qd_replication_open(&rc, &n->a.replication, &err), &err, "replication");
    atomic_store(&n->replication, n->a.replication);
    qd_shards_cluster(n->a.shards, n->a.cluster);
    qd_replication_begin(n->a.replication);
}

static void open_node(action_cluster *c, uint32_t i)
{
    qd_err err;
    qd_err_init(&err);
    member *n = &c->at[i];
    store_crash *disk = n->disk;
    *n = (member){.c = c, .disk = disk, .open = true};
    snprintf(n->id, sizeof n->id, "nodeidnodeidnodeid%04u", i);
    snprintf(n->name, sizeof n->name, "node-%u", i);
    qd_account_init(&n->account, "action_cluster", NULL, 0);
    qd_mutex_init(&n->lock);
    qd_cond_init(&n->hears);
    if (!n->disk) n->disk = store_crash_make(c->disk);
    n->a = action_parts_of(n->id, n->name, &n->account, &n->pools);
    action_parts_open(&n->a, &n->pools, n->disk, 2, c->settings);
    open_rpc(n);
    open_cluster(n);
    action_must(qd_scrolls_open(&n->a, &err), &err, "scrolls");
    action_must(qd_pipelines_open(&n->a, &err), &err, "pipelines");
    action_must(qd_action_serve(&n->a, &err), &err, "searches of other nodes");
    action_parts_ready(&n->a);
}

static bool knows_nodes(void *arg, const qd_state *s)
{
    return s->nnodes == *(const uint32_t *)arg;
}

action_cluster *action_cluster_open(uint32_t nodes, const char *settings)
{
    return action_cluster_open_on(nodes, settings, NULL);
}

action_cluster *action_cluster_open_on(uint32_t nodes, const char *settings,
                                       const store_crash_options *disk)
{
    static _Atomic uint32_t number;
    action_cluster *c = qd_calloc(NULL, sizeof *c);
    qd_assert(c && nodes <= NODES_MAX);
    if (!getenv("QD_TEST_LOG")) qd_log_level_set(NULL, QD_LOG_OFF);
    c->settings = settings ? settings : "";
    snprintf(c->store, sizeof c->store, "action_cluster%u", atomic_fetch_add(&number, 1));
    c->coord = coord_memory_make(qd_env_system(), c->store);
    qd_buf_init(&c->answer, NULL, (size_t)1 << 30);
    c->n = nodes;
    c->disk = disk;
    for (uint32_t i = 0; i < nodes; i++) open_node(c, i);
    for (uint32_t i = 0; i < nodes; i++) { /* all know all: shards are spread over them */
        qd_assert(!qd_cluster_wait_for(c->at[i].a.cluster, knows_nodes, &c->n, WAIT_MS));
    }
    return c;
}

static void on_cut(void *arg, qd_rpc_request *request)
{
    qd_err err;
    (void)arg;
    qd_err_init(&err);
    (void)qd_err_set(&err, QD_E_CLOSED, "the connection has ended");
    qd_rpc_fail(request, &err);
    qd_err_fini(&err);
}

static void fail_unanswered(member *n)
{
    qd_mutex_lock(&n->lock);
    while (n->nunanswered) on_cut(n, n->unanswered[--n->nunanswered]);
    qd_mutex_unlock(&n->lock);
}

static void close_node(member *n)
{
    fail_unanswered(n);
    if (n->a.rpc) qd_action_unserve(&n->a);
    qd_pipelines_close(&n->a);
    qd_scrolls_close(&n->a);
    qd_mutex_lock(&n->lock);
    n->closed = true;
    qd_mutex_unlock(&n->lock);
    qd_replication_stop(n->a.replication);
    qd_shards_close(n->a.shards);
    qd_cluster_close(n->a.cluster);
    qd_replication_close(n->a.replication);
    qd_coord_close(n->coord);
    qd_rpc_close(n->a.rpc);
    qd_wire_tcp_close(n->wire);
    action_parts_close(&n->a, &n->pools);
    qd_assert(qd_account_used(&n->account) == 0);
    qd_cond_fini(&n->hears);
    qd_mutex_fini(&n->lock);
    n->open = false;
}

void action_cluster_leave(action_cluster *c, uint32_t i)
{
    close_node(&c->at[i]);
}

void action_cluster_back(action_cluster *c, uint32_t i)
{
    qd_assert(!c->at[i].open);
    open_node(c, i);
}

coord_memory *action_cluster_store(action_cluster *c)
{
    return c->coord;
}

qd_coord_store *action_cluster_coord(action_cluster *c, uint32_t node)
{
    return c->at[node].coord;
}

void action_cluster_close(action_cluster *c)
{
    if (!c) return;
    for (uint32_t i = c->n; i-- > 0;) {
        if (c->at[i].open) close_node(&c->at[i]);
        store_crash_free(c->at[i].disk);
    }
    coord_memory_free(c->coord);
    qd_buf_fini(&c->answer);
    qd_free(c);
}

static const uint32_t requests[] = {QD_ACTION_SEARCH_QUERY, QD_ACTION_SEARCH_NEXT,
                                    QD_ACTION_SEARCH_FETCH, QD_ACTION_SEARCH_CAN_MATCH,
                                    QD_ACTION_SEARCH_DFS,   QD_ACTION_DOCS_WRITE};

static void handle_by(member *n, qd_rpc_handler fn)
{
    qd_err err;
    qd_err_init(&err);
    for (size_t k = 0; k < QD_COUNT_OF(requests); k++) {
        qd_rpc_unhandle(n->a.rpc, requests[k]);
        action_must(qd_rpc_handle(n->a.rpc, requests[k], NULL, 0, fn, n, &err), &err, "cut");
    }
}

void action_cluster_cut(action_cluster *c, uint32_t i)
{
    handle_by(&c->at[i], on_cut);
}

static void on_silent(void *arg, qd_rpc_request *request)
{
    member *n = arg;
    qd_mutex_lock(&n->lock);
    qd_assert(n->nunanswered < QD_COUNT_OF(n->unanswered));
    n->unanswered[n->nunanswered++] = request;
    qd_mutex_unlock(&n->lock);
}

void action_cluster_silence(action_cluster *c, uint32_t i)
{
    handle_by(&c->at[i], on_silent);
}

void action_cluster_deaf(action_cluster *c, uint32_t i, bool on)
{
    member *n = &c->at[i];
    qd_mutex_lock(&n->lock);
    n->deaf = on;
    qd_cond_broadcast(&n->hears);
    qd_mutex_unlock(&n->lock);
}

uint32_t action_cluster_unanswered(action_cluster *c, uint32_t i)
{
    member *n = &c->at[i];
    qd_mutex_lock(&n->lock);
    uint32_t asked = n->nunanswered;
    qd_mutex_unlock(&n->lock);
    return asked;
}

/* --- calls --- */

static int call(member *n, const char *method, const char *path, const char *body, qd_buf *answer)
{
    rest_match m;
    qd_err err;
    qd_arena arena;
    qd_response r;
    qd_str target = qd_str_c(path), where = qd_str_split(&target, '?');
    qd_http_request head = {.method = qd_str_c(method), .path = where, .query = target};
    qd_err_init(&err);
    qd_arena_init(&arena, &n->account, 0);
    qd_buf_reset(answer);
    int rc = qdi_route(NULL, false, &head, &arena, &m, &err);
    qd_assert(!rc && m.api && m.api->run);
    qd_request q = {.a = &n->a,
                    .api = m.api,
                    .params = m.params,
                    .nparams = m.nparams,
                    .body = qd_str_c(body ? body : ""),
                    .body_format = QD_FORMAT_JSON,
                    .arena = &arena};
    q.pretty = qd_param_has(&q, "pretty");
    qd_response_init(&r, answer, q.pretty);
    qd_task_begin(n->a.tasks, &q.task, m.api->name, qd_param(&q, "index"), true);
    rc = qd_params_check(&q, where, &err);
    if (rc) {
        qd_response_error(&r, &err, false);
    } else {
        qd_fiber_task_set(&q.task);
        qd_action_run(&q, &r);
        qd_fiber_task_set(NULL);
    }
    qd_task_end(&q.task);
    qd_arena_fini(&arena);
    qd_err_fini(&err);
    (void)qd_buf_status(answer);
    return r.status;
}

int action_cluster_call(action_cluster *c, uint32_t i, const char *method, const char *path,
                        const char *body)
{
    return call(&c->at[i], method, path, body, &c->answer);
}

int action_cluster_call_to(action_cluster *c, uint32_t i, const char *method, const char *path,
                           const char *body, qd_buf *answer)
{
    return call(&c->at[i], method, path, body, answer);
}

struct action_errand {
    qd_work work; /* first */
    member *n;
    const char *method, *path, *body;
    qd_buf answer;
    int status;
    qd_latch done;
};

static void run_errand(void *arg)
{
    action_errand *e = arg;
    e->status = call(e->n, e->method, e->path, e->body, &e->answer);
    qd_latch_done(&e->done, 0);
}

static void on_fiber(qd_work *work)
{
    action_errand *e = (action_errand *)(void *)work;
    qd_fiber_run(qd_pools_get(&e->n->pools, "search"), run_errand, e);
}

action_errand *action_cluster_start(action_cluster *c, uint32_t i, const char *method,
                                    const char *path, const char *body)
{
    action_errand *e = calloc(1, sizeof *e);
    qd_assert(e);
    *e = (action_errand){
        .work = {.run = on_fiber}, .n = &c->at[i], .method = method, .path = path, .body = body};
    qd_buf_init(&e->answer, NULL, (size_t)1 << 30);
    qd_latch_init(&e->done, 1);
    qd_assert(!qd_pool_submit(qd_pools_get(&e->n->pools, "search"), &e->work, NULL));
    return e;
}

int action_cluster_wait(action_cluster *c, action_errand *e)
{
    (void)qd_latch_wait(&e->done);
    int status = e->status;
    qd_buf_fini(&c->answer);
    c->answer = e->answer;
    free(e);
    return status;
}

const char *action_cluster_body(const action_cluster *c)
{
    return c->answer.p ? c->answer.p : "";
}

/* --- indices and documents --- */

static bool all_started(void *arg, const qd_state *s)
{
    const qd_index_meta *m = qd_state_index(s, qd_str_c(arg));
    const qd_shard_meta *shards = m ? qd_state_shards(s, m) : NULL;
    for (uint32_t i = 0; shards && i < m->shards; i++) {
        if (!qd_shard_meta_is_started(&shards[i])) return false;
    }
    return shards != NULL;
}

void action_cluster_index(action_cluster *c, const char *name, const char *body)
{
    char path[128];
    snprintf(path, sizeof path, "/%s", name);
    int status = action_cluster_call(c, 0, "PUT", path, body);
    if (status != 200) fprintf(stderr, "# %s\n", action_cluster_body(c));
    qd_assert(status == 200);
    for (uint32_t i = 0; i < c->n; i++) {
        qd_assert(!qd_cluster_wait_for(c->at[i].a.cluster, all_started, (void *)(uintptr_t)name,
                                       WAIT_MS));
    }
}

/* The node that has the shard of a document. */
static uint32_t holder(action_cluster *c, const char *index, const char *id)
{
    uint32_t at = UINT32_MAX;
    qd_state *s = qd_cluster_state(c->at[0].a.cluster);
    const qd_index_meta *m = qd_state_index(s, qd_str_c(index));
    qd_assert(m);
    uint32_t shard = qd_index_meta_route(m, qd_str_c(id), (qd_str){NULL, 0});
    const qd_copy *p = qd_shard_meta_primary(&qd_state_shards(s, m)[shard]);
    for (uint32_t i = 0; i < c->n; i++) {
        if (p && qd_str_is(p->node, c->at[i].id)) at = i;
    }
    qd_state_unref(s);
    qd_assert(at != UINT32_MAX);
    return at;
}

void action_cluster_put(action_cluster *c, const char *index, const char *id, const char *body)
{
    char path[256];
    snprintf(path, sizeof path, "/%s/_doc/%s", index, id);
    int status = action_cluster_call(c, holder(c, index, id), "PUT", path, body);
    if (status > 201) fprintf(stderr, "# %s\n", action_cluster_body(c));
    qd_assert(status == 200 || status == 201);
}

void action_cluster_delete(action_cluster *c, const char *index, const char *id)
{
    char path[256];
    snprintf(path, sizeof path, "/%s/_doc/%s", index, id);
    int status = action_cluster_call(c, holder(c, index, id), "DELETE", path, NULL);
    qd_assert(status == 200);
}

void action_cluster_refresh(action_cluster *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        int status = action_cluster_call(c, i, "POST", "/_refresh", NULL);
        qd_assert(status == 200);
    }
}

store_crash *action_cluster_disk(action_cluster *c, uint32_t node)
{
    return c->at[node].disk;
}

qd_actions *action_cluster_actions(action_cluster *c, uint32_t node)
{
    return &c->at[node].a;
}

uint32_t action_cluster_shards(action_cluster *c, uint32_t i, const char *index)
{
    uint32_t n = 0;
    qd_state *s = qd_cluster_state(c->at[0].a.cluster);
    const qd_index_meta *m = qd_state_index(s, qd_str_c(index));
    const qd_shard_meta *shards = m ? qd_state_shards(s, m) : NULL;
    for (uint32_t k = 0; shards && k < m->shards; k++) {
        const qd_copy *p = qd_shard_meta_primary(&shards[k]);
        n += p && qd_str_is(p->node, c->at[i].id);
    }
    qd_state_unref(s);
    return n;
}
