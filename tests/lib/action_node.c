/* action_node.c: see action_node.h. */
#include "lib/action_node.h"
#include "base/log.h"
#include "lib/action_parts.h"
#include "lib/coord_memory.h"
#include "plugin/op.h"
#include "rest/rest_int.h"
#include "runtime/sync.h"
#include "json/tree.h"
#include <stdio.h>
#include <stdlib.h>

#define STORE_NAME "action_node"
#define BUFFER_BYTES (64 << 20)

struct action_node {
    qd_actions a;
    qd_account account;
    qd_pools pools;
    store_crash *disk;
    coord_memory *coord;
    qd_coord_store *coord_store;
    const char *settings;
    void (*_Atomic on_state)(void *arg);
    void *on_state_arg;
    qd_mutex following;
    bool closed; /* the state is followed no more */
    /* the last call */
    int status;
    uint32_t format;
    qd_buf answer, text;
    qd_arena arena;
    qd_json_node *json;
};

/* What main's listener does: shards and settings follow the state. */
static void follow(void *arg, const qd_state *old, const qd_state *now)
{
    action_node *n = arg;
    qd_mutex_lock(&n->following);
    if (!n->closed) qd_shards_apply(n->a.shards, old, now);
    qd_mutex_unlock(&n->following);
    void (*fn)(void *) = atomic_exchange(&n->on_state, NULL);
    if (fn) fn(n->on_state_arg);
    qd_action_settings_follow(n->a.config, n->a.plugins, old, now);
}

static void open_cluster(action_node *n)
{
    qd_err err;
    qd_err_init(&err);
    qd_coord_config cc = {.struct_size = sizeof cc,
                          .flags = QD_COORD_OPEN_BOOTSTRAP,
                          .cluster = qd_config_text(n->a.config, QD_SET_CLUSTER_NAME),
                          .node_id = n->a.node_id,
                          .node_name = n->a.node_name,
                          .path = QD_STR(STORE_NAME)};
    action_must(qd_coord_open(n->a.env, coord_memory_vtable(), NULL, &cc, &n->coord_store, &err),
                &err, "coordination");
    qd_shards_config sc = {.env = n->a.env,
                           .store = n->a.store,
                           .pools = &n->pools,
                           .account = &n->account,
                           .buffer_bytes = BUFFER_BYTES,
                           .slots = 2};
    action_must(qd_shards_open(&sc, &n->a.shards, &err), &err, "shards");
    qd_pair attributes[QD_NODE_ATTRIBUTES_MAX];
    uint32_t nattributes = qd_node_attributes(qd_config_settings(n->a.config), attributes);
    qd_cluster_config k = {.env = n->a.env,
                           .store = n->coord_store,
                           .name = qd_config_text(n->a.config, QD_SET_CLUSTER_NAME),
                           .self = {.id = n->a.node_id,
                                    .name = n->a.node_name,
                                    .host = n->a.node_host,
                                    .transport_address = QD_STR("127.0.0.1:9300"),
                                    .http_address = QD_STR("127.0.0.1:9200"),
                                    .roles = QD_STR("dim"),
                                    .attributes = attributes,
                                    .nattributes = nattributes,
                                    .version = QD_STR(QD_VERSION)},
                           .data = true,
                           .control = true,
                           .session_ttl_ms = 30000,
                           .timeout_ms = 30000,
                           .listener = follow,
                           .listener_arg = n};
    action_must(qd_cluster_open(&k, &n->a.cluster, &err), &err, "cluster");
    qd_shards_cluster(n->a.shards, n->a.cluster);
}

static void start(action_node *n)
{
    n->closed = false;
    n->a = action_parts_of("nodeidnodeidnodeid0001", "node-1", &n->account, &n->pools);
    n->pools = (qd_pools){0};
    action_parts_open(&n->a, &n->pools, n->disk, 2, n->settings);
    open_cluster(n);
    action_parts_ready(&n->a);
}

static void stop(action_node *n)
{
    qd_mutex_lock(&n->following);
    n->closed = true; /* a shard that fails just now changes the state */
    qd_mutex_unlock(&n->following);
    qd_shards_close(n->a.shards);
    qd_cluster_close(n->a.cluster);
    qd_coord_close(n->coord_store);
    action_parts_close(&n->a, &n->pools);
}

action_node *action_node_open(const char *settings)
{
    return action_node_open_on(settings, NULL);
}

action_node *action_node_open_on(const char *settings, const store_crash_options *disk)
{
    action_node *n = qd_calloc(NULL, sizeof *n);
    qd_assert(n);
    n->settings = settings ? settings : "";
    qd_log_level_set(NULL, QD_LOG_OFF);
    qd_account_init(&n->account, "action_node", NULL, 0);
    qd_buf_init(&n->answer, NULL, (size_t)1 << 30);
    qd_buf_init(&n->text, NULL, (size_t)1 << 30);
    qd_arena_init(&n->arena, NULL, 0);
    qd_mutex_init(&n->following);
    n->disk = store_crash_make(disk);
    n->coord = coord_memory_make(qd_env_system(), STORE_NAME);
    start(n);
    return n;
}

void action_node_close(action_node *n)
{
    if (!n) return;
    stop(n);
    qd_assert(qd_account_used(&n->account) == 0);
    qd_mutex_fini(&n->following);
    coord_memory_free(n->coord);
    store_crash_free(n->disk);
    qd_buf_fini(&n->answer);
    qd_buf_fini(&n->text);
    qd_arena_fini(&n->arena);
    qd_free(n);
}

void action_node_restart(action_node *n, bool crash, uint64_t seed)
{
    if (crash) store_crash_power_off(n->disk);
    stop(n);
    if (crash) {
        store_crash_crash(n->disk, seed);
    } else {
        store_crash_kill(n->disk);
    }
    start(n);
}

/* --- calls --- */

struct action_ticket {
    qd_action_call call; /* first */
    action_node *n;
    qd_arena arena; /* of the parameters */
    qd_buf answer;
    int status;
    uint32_t format;
    bool submitted, done;
    qd_mutex lock;
    qd_cond wake;
};

static int32_t on_answer(qd_action_call *call, int32_t status, uint32_t format,
                         const qd_slice *piece)
{
    action_ticket *x = (action_ticket *)(void *)call;
    x->status = status;
    x->format = format;
    return qd_buf_add(&x->answer, piece->data, piece->len);
}

static void on_done(qd_op *op, int32_t rc)
{
    action_ticket *x = op->user;
    (void)rc;
    qd_mutex_lock(&x->lock);
    x->done = true;
    qd_cond_signal(&x->wake);
    qd_mutex_unlock(&x->lock);
}

static void answer_error(action_ticket *x, const qd_err *err)
{
    qd_response r;
    qd_response_init(&r, &x->answer, false);
    qd_response_error(&r, err, false);
    x->status = r.status;
    x->format = QD_FORMAT_JSON;
}

static const qd_svc_action *service(void)
{
    return (const qd_svc_action *)(const void *)qd_action_service();
}

static void submit(action_ticket *x, const rest_match *m, const char *body, uint32_t accept)
{
    qd_err err;
    qd_err_init(&err);
    x->call = (qd_action_call){
        .action = qd_str_c(m->api->name),
        .params = m->params,
        .nparams = m->nparams,
        .format = m->api->flags & QD_API_NDJSON ? QD_FORMAT_NDJSON : QD_FORMAT_JSON,
        .body = {(const uint8_t *)body, body ? strlen(body) : 0, NULL, NULL},
        .accept = accept,
        .origin = {.remote = QD_STR("127.0.0.1:1")},
        .answer = on_answer,
    };
    qd_op_anywhere(&x->call.op, on_done, x);
    x->submitted = true;
    if (qd_actions_submit(&x->n->a, &x->call, &err)) {
        answer_error(x, &err);
        x->submitted = false;
    }
    qd_err_fini(&err);
}

static action_ticket *begin(action_node *n, const char *method, const char *path, const char *body,
                            uint32_t accept)
{
    rest_match m;
    qd_err err;
    qd_str target = qd_str_c(path), where = qd_str_split(&target, '?');
    qd_http_request r = {.method = qd_str_c(method), .path = where, .query = target};
    action_ticket *x = calloc(1, sizeof *x); /* no part of what a test lets fail */
    qd_assert(x);
    x->n = n;
    qd_err_init(&err);
    qd_arena_init(&x->arena, NULL, 0);
    qd_buf_init(&x->answer, NULL, (size_t)1 << 30);
    qd_mutex_init(&x->lock);
    qd_cond_init(&x->wake);
    int rc = qdi_route(NULL, false, &r, &x->arena, &m, &err);
    if (!rc && m.api) {
        qd_request probe = {.api = m.api, .params = m.params, .nparams = m.nparams};
        rc = qd_params_check(&probe, where, &err);
    }
    if (rc) {
        answer_error(x, &err);
    } else if (!m.api) {
        x->status = m.allowed[0] ? 405 : 400;
    } else {
        submit(x, &m, body, accept);
    }
    qd_err_fini(&err);
    return x;
}

action_ticket *action_start(action_node *n, const char *method, const char *path, const char *body)
{
    return begin(n, method, path, body, QD_FORMAT_NONE);
}

void action_leave(action_ticket *t)
{
    if (t->submitted) service()->cancel(&t->call);
}

int action_wait(action_node *n, action_ticket *x)
{
    if (x->submitted) {
        qd_mutex_lock(&x->lock);
        while (!x->done) qd_cond_wait(&x->wake, &x->lock);
        qd_mutex_unlock(&x->lock);
    }
    qd_arena_reset(&n->arena);
    n->json = NULL;
    qd_buf_fini(&n->answer);
    n->answer = x->answer;
    n->status = x->status;
    n->format = x->format;
    qd_cond_fini(&x->wake);
    qd_mutex_fini(&x->lock);
    qd_arena_fini(&x->arena);
    free(x);
    return n->status;
}

int action_call_accept(action_node *n, const char *method, const char *path, const char *body,
                       uint32_t accept)
{
    return action_wait(n, begin(n, method, path, body, accept));
}

int action_call(action_node *n, const char *method, const char *path, const char *body)
{
    return action_call_accept(n, method, path, body, QD_FORMAT_NONE);
}

const char *action_body(const action_node *n)
{
    return n->answer.p ? n->answer.p : "";
}

uint32_t action_format(const action_node *n)
{
    return n->format;
}

/* The next part of a path, "\." meaning a dot of the key. */
static const char *part_of(const char *path, qd_buf *part)
{
    qd_buf_reset(part);
    for (; *path && *path != '.'; path++) {
        if (path[0] == '\\' && path[1]) path++;
        (void)qd_buf_char(part, *path);
    }
    return *path ? path + 1 : NULL;
}

const char *action_at(action_node *n, const char *path)
{
    if (!n->json && qd_json_parse(&n->arena, qd_buf_view(&n->answer), 0, &n->json, NULL)) {
        return NULL;
    }
    const qd_json_node *at = n->json;
    qd_buf part;
    qd_buf_init(&part, NULL, 4096);
    while (path && at) {
        uint64_t i;
        path = part_of(path, &part);
        if (at->type == QD_JSON_T_OBJECT) {
            at = qd_json_get_str(at, qd_buf_view(&part));
        } else if (at->type == QD_JSON_T_ARRAY && qd_str_u64(qd_buf_view(&part), &i)) {
            for (at = at->first; at && i; i--) at = at->next;
        } else {
            at = NULL;
        }
    }
    qd_buf_fini(&part);
    if (!at) return NULL;
    qd_str text = qd_json_text(at);
    if (!text.p) text = at->raw;
    return qd_arena_str(&n->arena, text).p;
}

void action_node_on_state(action_node *n, void (*fn)(void *arg), void *arg)
{
    n->on_state_arg = arg;
    atomic_store(&n->on_state, fn);
}

store_crash *action_node_disk(action_node *n)
{
    return n->disk;
}

qd_actions *action_node_actions(action_node *n)
{
    return &n->a;
}
