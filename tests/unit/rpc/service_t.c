/* service_t.c: the SDK's service "peers": two instances of one plugin talk over the nodes'
 * transport. */
#include "rpc/peers_service.h"
#include "unit/lib/rpc_world.h"
#include "unit/unit.h"
#include <quidditch/plugin.h>

static world w;

typedef struct instance {
    qd_plugin_host *host;
    qd_self *self;
    const qd_svc_peers *peers;
    qd_peers *channel;
    qd_mutex lock;
    uint32_t messages, events, last_event;
    char from[64], text[64], met[64];
} instance;
static instance at[2];
static instance *starting;

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    (void)err;
    starting->self = self;
    starting->peers = host->service(self, QD_SERVICE_PEERS, 1);
    return starting->peers ? 0 : QD_E_INTERNAL;
}

static const qd_plugin part = {QD_PLUGIN_HEAD(0), .name = "coordination-part", .version = "1",
                               .init = init};

static void on_message(void *arg, const qd_peer *from, qd_str bytes)
{
    instance *i = arg;
    qd_mutex_lock(&i->lock);
    i->messages++;
    snprintf(i->from, sizeof i->from, "%.*s", QD_STR_ARG(from->node_name));
    snprintf(i->text, sizeof i->text, "%.*s", QD_STR_ARG(bytes));
    qd_mutex_unlock(&i->lock);
}

static void on_change(void *arg, qd_str address, uint32_t event, const qd_peer *peer, qd_str reason)
{
    instance *i = arg;
    (void)address, (void)reason;
    qd_mutex_lock(&i->lock);
    i->events++;
    i->last_event = event;
    if (peer) snprintf(i->met, sizeof i->met, "%.*s", QD_STR_ARG(peer->node_id));
    qd_mutex_unlock(&i->lock);
}

static bool has_message(void *arg)
{
    instance *i = arg;
    qd_mutex_lock(&i->lock);
    bool is = i->messages > 0;
    qd_mutex_unlock(&i->lock);
    return is;
}
static uint32_t wanted;
static bool has_event(void *arg)
{
    instance *i = arg;
    qd_mutex_lock(&i->lock);
    bool is = i->last_event == wanted;
    qd_mutex_unlock(&i->lock);
    return is;
}

static void a_plugin_talks_to_its_like(void **state)
{
    world_open(&w, (uint64_t)(uintptr_t)*state);
    memset(at, 0, sizeof at);
    qd_peers_events events = {
        .struct_size = sizeof events, .message = on_message, .changed = on_change};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(world_node_open(&w, i, NULL, NULL), 0);
        qd_plugin_host_config c = {.env = w.nodes[i].env};
        assert_int_equal(qd_plugin_host_open(&c, &at[i].host, NULL), 0);
        qd_mutex_init(&at[i].lock);
        qd_plugin_host_service(at[i].host, QD_SERVICE_PEERS, qd_rpc_peers_service());
        starting = &at[i];
        assert_int_equal(qd_plugin_builtin(at[i].host, &part, NULL), 0);
        events.arg = &at[i];
        /* before there is a transport */
        assert_int_equal(
            at[i].peers->open(at[i].self, QD_STR("raft"), &events, &at[i].channel, NULL),
            QD_E_UNSUPPORTED);
        qd_rpc_peers_bind(at[i].host, w.nodes[i].rpc);
        assert_true(qd_str_is(at[i].peers->address(at[i].self), w.nodes[i].address));
        assert_int_equal(
            at[i].peers->open(at[i].self, QD_STR("raft"), &events, &at[i].channel, NULL), 0);
    }
    qd_str to = qd_str_c(w.nodes[1].address);
    assert_int_equal(at[0].peers->watch(at[0].channel, to, NULL), 0);
    assert_int_equal(at[0].peers->watch(at[0].channel, to, NULL), 0);
    wanted = QD_PEER_UP;
    assert_true(world_until(&w, has_event, &at[0]));
    assert_int_equal(at[0].events, 1);
    assert_string_equal(at[0].met, "id-1");
    qd_iovec pieces[2] = {{"append ", 7}, {"entries", 7}};
    assert_int_equal(at[0].peers->send(at[0].channel, to, pieces, 2), 0);
    assert_true(world_until(&w, has_message, &at[1]));
    assert_string_equal(at[1].text, "append entries");
    assert_string_equal(at[1].from, "n0");
    at[1].peers->close(at[1].channel);
    qd_plugin_host_close(at[1].host);
    world_node_close(&w, 1);
    wanted = QD_PEER_GONE;
    assert_true(world_until(&w, has_event, &at[0]));
    at[0].peers->unwatch(at[0].channel, to);
    at[0].peers->close(at[0].channel);
    qd_plugin_host_close(at[0].host);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"a_plugin_talks_to_its_like over sockets", a_plugin_talks_to_its_like, NULL, NULL, NULL},
        {"a_plugin_talks_to_its_like in simulation", a_plugin_talks_to_its_like, NULL, NULL,
         (void *)5},
    };
    return unit_run(tests);
}
