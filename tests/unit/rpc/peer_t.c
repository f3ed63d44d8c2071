/* peer_t.c: posts, who is there and who is refused, over sockets and the simulated network. */
#include "unit/lib/rpc_world.h"
#include "unit/unit.h"

#define MS 1000000ull

static world w;

static int start(void **state)
{
    world_open(&w, (uint64_t)(uintptr_t)*state);
    return 0;
}

static int two(void **state)
{
    world_open(&w, (uint64_t)(uintptr_t)*state);
    assert_int_equal(world_node_open(&w, 0, NULL, NULL), 0);
    assert_int_equal(world_node_open(&w, 1, NULL, NULL), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}

/* --- what a watch was told --- */

typedef struct seen {
    qd_mutex lock;
    uint32_t n;
    qd_rpc_event events[256];
    char name[256], reason[256];
    bool self;
} seen;

static seen s0, s1 = {.lock = QD_MUTEX_INIT};

static void on_event(void *arg, qd_str address, qd_rpc_event event, const qd_rpc_node *node,
                     qd_str reason)
{
    seen *s = arg;
    (void)address;
    qd_mutex_lock(&s->lock);
    if (s->n < 256) s->events[s->n++] = event;
    if (node) snprintf(s->name, sizeof s->name, "%s", node->name);
    if (node) s->self = node->self;
    snprintf(s->reason, sizeof s->reason, "%.*s", QD_STR_ARG(reason));
    qd_mutex_unlock(&s->lock);
}

/* A text of what was told last, copied. */
static const char *copy(const char *text)
{
    static char out[256];
    qd_mutex_lock(&s0.lock);
    snprintf(out, sizeof out, "%s", text);
    qd_mutex_unlock(&s0.lock);
    return out;
}

static uint32_t told(void)
{
    qd_mutex_lock(&s0.lock);
    uint32_t n = s0.n;
    qd_mutex_unlock(&s0.lock);
    return n;
}

static void forget(void)
{
    memset(&s0, 0, sizeof s0);
    qd_mutex_init(&s0.lock);
}

static bool was_told(void *arg)
{
    qd_mutex_lock(&s0.lock);
    bool is = s0.n && s0.events[s0.n - 1] == (qd_rpc_event)(uintptr_t)arg;
    qd_mutex_unlock(&s0.lock);
    return is;
}

#define UNTIL(event) assert_true(world_until(&w, was_told, (void *)(uintptr_t)(event)))

/* --- posts --- */

static struct {
    qd_mutex lock;
    uint32_t n;
    size_t bytes, last;
    char from[QD_RPC_ADDRESS_MAX];
    bool ordered;
} box = {.lock = QD_MUTEX_INIT};

static void on_post(void *arg, const qd_rpc_node *from, qd_str bytes)
{
    (void)arg;
    qd_mutex_lock(&box.lock);
    uint32_t number = 0;
    if (bytes.n >= 4) memcpy(&number, bytes.p, 4);
    box.ordered &= number == box.n;
    box.n++;
    box.bytes += bytes.n;
    snprintf(box.from, sizeof box.from, "%s", from->address);
    qd_mutex_unlock(&box.lock);
}

static bool got_posts(void *arg)
{
    qd_mutex_lock(&box.lock);
    bool is = box.n >= (uint32_t)(uintptr_t)arg;
    qd_mutex_unlock(&box.lock);
    return is;
}

static void posts_arrive_in_order(void **state)
{
    (void)state;
    static uint8_t big[300000];
    box.n = 0, box.bytes = 0, box.ordered = true;
    assert_int_equal(qd_rpc_on_post(w.nodes[1].rpc, QD_STR("raft"), on_post, NULL, NULL), 0);
    assert_int_equal(qd_rpc_on_post(w.nodes[1].rpc, QD_STR("raft"), on_post, NULL, NULL),
                     QD_E_EXISTS);
    /* the first ones wait for the dial */
    for (uint32_t i = 0; i < 300; i++) {
        qd_iovec pieces[2] = {{&i, 4}, {big, i % 10 == 9 ? sizeof big : i % 7}};
        int rc;
        while ((rc = qd_rpc_post(w.nodes[0].rpc, qd_str_c(w.nodes[1].address), QD_STR("raft"),
                                 pieces, 2)) == QD_E_REJECTED)
            world_pass(&w, MS);
        assert_int_equal(rc, 0);
    }
    assert_true(world_until(&w, got_posts, (void *)300));
    assert_true(box.ordered);
    assert_string_equal(box.from, w.nodes[0].address);
    /* to itself */
    assert_int_equal(qd_rpc_on_post(w.nodes[0].rpc, QD_STR("raft"), on_post, NULL, NULL), 0);
    qd_iovec one = {"12345", 5};
    assert_int_equal(
        qd_rpc_post(w.nodes[0].rpc, qd_str_c(w.nodes[0].address), QD_STR("raft"), &one, 1), 0);
    assert_true(world_until(&w, got_posts, (void *)301));
    /* limits */
    one.len = QD_RPC_POST_MAX + 1;
    assert_int_equal(
        qd_rpc_post(w.nodes[0].rpc, qd_str_c(w.nodes[0].address), QD_STR("raft"), &one, 1),
        QD_E_TOO_LARGE);
    one.len = 1;
    assert_int_equal(qd_rpc_post(w.nodes[0].rpc, QD_STR("x"), QD_STR("raft"), &one, 1), QD_E_ARG);
    assert_int_equal(qd_rpc_on_post(w.nodes[1].rpc, QD_STR("raft"), NULL, NULL, NULL), 0);
}

/* --- coming and going --- */

static void a_peer_comes_and_goes(void **state)
{
    (void)state;
    qd_rpc_watch *watch;
    qd_rpc_node node;
    char address[QD_RPC_ADDRESS_MAX];
    forget();
    qd_str to = qd_str_c(strcpy(address, w.nodes[1].address));
    assert_false(qd_rpc_peer_up(w.nodes[0].rpc, to, &node));
    assert_int_equal(qd_rpc_version_to(w.nodes[0].rpc, to), QD_RPC_OLDEST);
    assert_int_equal(qd_rpc_peer_watch(w.nodes[0].rpc, to, on_event, &s0, &watch, NULL), 0);
    UNTIL(QD_RPC_UP);
    assert_string_equal(copy(s0.name), "n1");
    assert_true(qd_rpc_peer_up(w.nodes[0].rpc, to, &node));
    assert_string_equal(node.id, "id-1");
    assert_int_equal(node.roles, QD_RPC_ROLE_DATA);
    assert_int_equal(qd_rpc_version_to(w.nodes[0].rpc, to), QD_RPC_NEWEST);
    world_node_close(&w, 1);
    UNTIL(QD_RPC_GONE);
    assert_false(qd_rpc_peer_up(w.nodes[0].rpc, to, &node));
    qd_iovec one = {"x", 1};
    assert_int_equal(qd_rpc_post(w.nodes[0].rpc, to, QD_STR("raft"), &one, 1), QD_E_CLOSED);
    qd_rpc_unwatch(w.nodes[0].rpc, watch);
    world_pass(&w, 20 * MS);
    assert_true(told() == 2);
}

static void it_is_the_node_itself(void **state)
{
    (void)state;
    qd_rpc_watch *watch;
    char other[QD_RPC_ADDRESS_MAX];
    forget();
    /* under another name than the published one */
    snprintf(other, sizeof other, "localhost:%u", qd_rpc_port(w.nodes[0].rpc, 0));
    qd_str to = qd_str_c(w.sim ? w.nodes[0].address : other);
    assert_int_equal(qd_rpc_peer_watch(w.nodes[0].rpc, to, on_event, &s0, &watch, NULL), 0);
    UNTIL(QD_RPC_UP);
    assert_true(s0.self);
    box.n = 0;
    assert_int_equal(qd_rpc_on_post(w.nodes[0].rpc, QD_STR("raft"), on_post, NULL, NULL), 0);
    qd_iovec one = {"x", 1};
    assert_int_equal(qd_rpc_post(w.nodes[0].rpc, to, QD_STR("raft"), &one, 1), 0);
    assert_true(world_until(&w, got_posts, (void *)1));
    qd_rpc_unwatch(w.nodes[0].rpc, watch);
}

/* --- refusals --- */

static void other_cluster(qd_rpc_config *c, void *arg)
{
    (void)arg;
    c->cluster_name = QD_STR("prod");
}
static void other_uuid(qd_rpc_config *c, void *arg)
{
    c->cluster_uuid = qd_str_c(arg);
}
static void same_name(qd_rpc_config *c, void *arg)
{
    c->node_name = qd_str_c(arg);
}
static void same_id(qd_rpc_config *c, void *arg)
{
    c->node_id = qd_str_c(arg);
}
static void older(qd_rpc_config *c, void *arg)
{
    (void)arg;
    c->version_max = QD_RPC_1_0;
}

static qd_rpc_watch *watch_of(unsigned from, unsigned to)
{
    qd_rpc_watch *watch;
    forget();
    assert_int_equal(qd_rpc_peer_watch(w.nodes[from].rpc, qd_str_c(w.nodes[to].address), on_event,
                                       &s0, &watch, NULL),
                     0);
    return watch;
}

static void refusals_say_why(void **state)
{
    (void)state;
    qd_rpc_stats st;
    assert_int_equal(world_node_open(&w, 0, NULL, NULL), 0);
    assert_int_equal(world_node_open(&w, 1, other_cluster, NULL), 0);
    qd_rpc_watch *a = watch_of(0, 1);
    UNTIL(QD_RPC_REFUSED);
    assert_string_equal(copy(s0.reason),
                        "it refuses this node: it belongs to the cluster [prod], this node to "
                        "[test]; check cluster.name");
    qd_rpc_unwatch(w.nodes[0].rpc, a);
    qd_rpc_stats_get(w.nodes[1].rpc, &st);
    assert_true(st.refused_in >= 1);
    /* a call says it too */
    qd_rpc_call call = {
        .to = qd_str_c(w.nodes[1].address), .action = QD_ACTION_ECHO, .timeout_ms = 120000};
    qd_err err;
    qd_err_init(&err);
    world_pass(&w, 2000 * MS);
    int rc = qd_rpc_call_wait(w.nodes[0].rpc, &call, &err);
    assert_true(rc == QD_E_SECURITY || rc == QD_E_CLOSED);
    assert_non_null(strstr(qd_err_reason(&err), "it belongs to the cluster [prod]"));
    qd_err_fini(&err);
    qd_rpc_call_fini(&call);
    /* the own name */
    assert_int_equal(world_node_open(&w, 2, same_name, "n0"), 0);
    qd_rpc_watch *b = watch_of(2, 0);
    UNTIL(QD_RPC_REFUSED);
    assert_non_null(
        strstr(copy(s0.reason), "it has the name [n0] itself; give each node its own node.name"));
    qd_rpc_unwatch(w.nodes[2].rpc, b);
    /* the own id */
    assert_int_equal(world_node_open(&w, 3, same_id, "id-0"), 0);
    qd_rpc_watch *c = watch_of(3, 0);
    UNTIL(QD_RPC_REFUSED);
    assert_non_null(strstr(copy(s0.reason), "was the data folder copied?"));
    qd_rpc_unwatch(w.nodes[3].rpc, c);
}

static void a_second_of_a_name_is_refused(void **state)
{
    (void)state;
    assert_int_equal(world_node_open(&w, 2, same_name, "n1"), 0);
    qd_rpc_watch *a = watch_of(1, 0);
    UNTIL(QD_RPC_UP);
    qd_rpc_watch *b = watch_of(2, 0);
    UNTIL(QD_RPC_REFUSED);
    assert_non_null(strstr(copy(s0.reason), "another node with the name [n1] is connected"));
    /* when the first has gone the second is taken */
    qd_rpc_unwatch(w.nodes[1].rpc, a);
    world_node_close(&w, 1);
    UNTIL(QD_RPC_UP);
    qd_rpc_unwatch(w.nodes[2].rpc, b);
}

static void two_clusters_of_one_name(void **state)
{
    (void)state;
    assert_int_equal(world_node_open(&w, 0, other_uuid, "uuid-a"), 0);
    assert_int_equal(world_node_open(&w, 1, other_uuid, "uuid-b"), 0);
    assert_int_equal(world_node_open(&w, 2, NULL, NULL),
                     0); /* knows none yet: it may join either */
    qd_rpc_watch *a = watch_of(0, 1);
    UNTIL(QD_RPC_REFUSED);
    assert_non_null(strstr(copy(s0.reason), "two clusters have the name [test]"));
    qd_rpc_unwatch(w.nodes[0].rpc, a);
    a = watch_of(0, 2);
    UNTIL(QD_RPC_UP);
    qd_rpc_cluster_uuid_set(w.nodes[2].rpc, QD_STR("uuid-a"));
    world_pass(&w, 100 * MS);
    assert_true(was_told((void *)QD_RPC_UP));
    qd_rpc_cluster_uuid_set(w.nodes[2].rpc, QD_STR("uuid-b"));
    UNTIL(QD_RPC_REFUSED);
    qd_rpc_unwatch(w.nodes[0].rpc, a);
}

static void reply(void *arg, qd_rpc_request *r)
{
    char text[128];
    uint64_t task;
    qd_str parent = qd_rpc_request_parent(r, &task);
    (void)arg;
    snprintf(text, sizeof text, "%x %.*s %llu", qd_rpc_request_version(r), QD_STR_ARG(parent),
             (unsigned long long)task);
    qd_rpc_reply(r, qd_str_c(text), (qd_str){NULL, 0});
}

static void neighbouring_versions_talk(void **state)
{
    (void)state;
    assert_int_equal(world_node_open(&w, 0, NULL, NULL), 0);
    assert_int_equal(world_node_open(&w, 1, older, NULL), 0);
    assert_int_equal(world_node_open(&w, 2, NULL, NULL), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(qd_rpc_handle(w.nodes[i].rpc, QD_ACTION_ECHO, NULL, 0, reply, NULL, NULL),
                         0);
    static const struct {
        unsigned from, to;
        const char *want;
    } pairs[] = {{0, 1, "100  0"}, {1, 0, "100  0"}, {0, 2, "102 id-9 77"}};
    for (unsigned i = 0; i < 3; i++) {
        qd_rpc_watch *a = watch_of(pairs[i].from, pairs[i].to);
        UNTIL(QD_RPC_UP);
        qd_rpc *rpc = w.nodes[pairs[i].from].rpc;
        qd_str to = qd_str_c(w.nodes[pairs[i].to].address);
        qd_rpc_call call = {.to = to,
                            .action = QD_ACTION_ECHO,
                            .timeout_ms = 120000,
                            .version = qd_rpc_version_to(rpc, to),
                            .parent_node = "id-9",
                            .parent_task = 77};
        assert_int_equal(qd_rpc_call_wait(rpc, &call, NULL), 0);
        assert_true(qd_str_is(call.answer, pairs[i].want));
        qd_rpc_call_fini(&call);
        qd_rpc_unwatch(rpc, a);
    }
}

static int asked(unsigned from, unsigned to, uint32_t action)
{
    qd_rpc_call call = {
        .to = qd_str_c(w.nodes[to].address), .action = action, .timeout_ms = 120000};
    int rc = qd_rpc_call_wait(w.nodes[from].rpc, &call, NULL);
    qd_rpc_call_fini(&call);
    return rc;
}

static void who_names_no_cluster_may_join_only(void **state)
{
    (void)state;
    static const uint32_t joining[] = {QD_ACTION_ECHO, QD_ACTION_COORD_RANGE,
                                       QD_ACTION_COORD_MEMBERS};
    static const uint32_t others[] = {101, 102, 103, 105, 200, 300, 308, 400, 401, 500, 620, 622};
    assert_int_equal(world_node_open(&w, 0, other_uuid, "uuid-a"), 0);
    assert_int_equal(world_node_open(&w, 1, NULL, NULL), 0);
    assert_int_equal(world_node_open(&w, 2, older, NULL), 0);
    assert_int_equal(world_node_open(&w, 3, NULL, NULL), 0);
    for (unsigned to = 0; to < 4; to += 3) {
        for (size_t i = 0; i < QD_COUNT_OF(joining); i++)
            assert_int_equal(qd_rpc_handle(w.nodes[to].rpc, joining[i], NULL, 0, reply, NULL, NULL),
                             0);
        for (size_t i = 0; i < QD_COUNT_OF(others); i++)
            assert_int_equal(qd_rpc_handle(w.nodes[to].rpc, others[i], NULL, 0, reply, NULL, NULL),
                             0);
    }
    for (size_t i = 0; i < QD_COUNT_OF(joining); i++) assert_int_equal(asked(1, 0, joining[i]), 0);
    for (size_t i = 0; i < QD_COUNT_OF(others); i++) {
        assert_int_equal(asked(1, 0, others[i]), QD_E_SECURITY);
        /* of an older build: its record comes before the uuid does; where no cluster is: all */
        if (others[i] != 200) /* which that one does not know */
            assert_int_equal(asked(2, 0, others[i]), others[i] < 200 ? 0 : QD_E_SECURITY);
        assert_int_equal(asked(1, 3, others[i]), 0);
    }
    /* it is told on the connections that are there */
    qd_rpc_cluster_uuid_set(w.nodes[1].rpc, QD_STR("uuid-a"));
    for (size_t i = 0; i < QD_COUNT_OF(others); i++) assert_int_equal(asked(1, 0, others[i]), 0);
    /* a cluster that has formed asks for its name from then on */
    qd_rpc_cluster_uuid_set(w.nodes[3].rpc, QD_STR("uuid-a"));
    assert_int_equal(asked(2, 3, 300), QD_E_SECURITY);
}

/* --- faults, in simulation --- */

static void silence_is_noticed(void **state)
{
    (void)state;
    qd_rpc_watch *a = watch_of(0, 1);
    UNTIL(QD_RPC_UP);
    uint64_t before = qd_sim_now_ns(w.s);
    qd_sim_net_cut(w.net, "n1", "n0", true); /* one way */
    UNTIL(QD_RPC_LOST);
    uint64_t took = qd_sim_now_ns(w.s) - before;
    assert_true(took >= 500 * MS && took <= 800 * MS); /* three pings of 200 ms */
    qd_str to = qd_str_c(w.nodes[1].address);
    assert_false(qd_rpc_peer_unreached(w.nodes[0].rpc, to)); /* for two seconds it may be back */
    world_pass(&w, 2000 * MS);
    assert_true(qd_rpc_peer_unreached(w.nodes[0].rpc, to));
    qd_sim_net_heal(w.net);
    UNTIL(QD_RPC_UP);
    assert_false(qd_rpc_peer_unreached(w.nodes[0].rpc, to));
    assert_int_equal(told(), 3);
    /* killed: gone at once */
    before = qd_sim_now_ns(w.s);
    qd_sim_net_kill(w.net, "n1");
    UNTIL(QD_RPC_GONE);
    assert_true(qd_sim_now_ns(w.s) - before < 10 * MS);
    world_node_close(&w, 1);
    qd_sim_net_revive(w.net, "n1");
    assert_int_equal(world_node_open(&w, 1, NULL, NULL), 0);
    UNTIL(QD_RPC_UP);
    qd_rpc_unwatch(w.nodes[0].rpc, a);
}

/* One that nobody watches, and that only documents went to. */
static void a_node_that_is_not_reached(void **state)
{
    (void)state;
    qd_rpc *rpc = w.nodes[0].rpc;
    qd_str to = qd_str_c(w.nodes[1].address);
    qd_rpc_call c = {.to = to, .action = QD_ACTION_ECHO, .class = QD_RPC_DATA, .timeout_ms = 20000};
    assert_int_equal(qd_rpc_call_wait(rpc, &c, NULL), QD_E_UNSUPPORTED); /* it has answered */
    qd_rpc_call_fini(&c);
    world_pass(&w, 10000 * MS);
    assert_false(qd_rpc_peer_unreached(rpc, to));
    qd_sim_net_cut(w.net, "n0", "n1", true);
    qd_sim_net_cut(w.net, "n1", "n0", true);
    world_pass(&w, 3000 * MS);
    assert_true(qd_rpc_peer_unreached(rpc, to));
    c.timeout_ms = 10000;
    assert_true(qd_rpc_call_wait(rpc, &c, NULL) != 0);
    assert_false(c.sent);
    qd_rpc_call_fini(&c);
    assert_true(qd_rpc_peer_unreached(rpc, to));
    qd_sim_net_heal(w.net);
    int rc = 0;
    for (int i = 0; i < 10 && rc != QD_E_UNSUPPORTED; i++) { /* it was dialed in vain just now */
        rc = qd_rpc_call_wait(rpc, &c, NULL);
        qd_rpc_call_fini(&c);
        world_pass(&w, 1000 * MS);
    }
    assert_int_equal(rc, QD_E_UNSUPPORTED);
    assert_false(qd_rpc_peer_unreached(rpc, to));
    assert_false(qd_rpc_peer_unreached(rpc, QD_STR("n5:9300"))); /* never asked for */
}

static _Atomic int ended; /* the code of a call, 1: none yet */

static void on_ended(qd_rpc_call *call, int rc)
{
    (void)call;
    atomic_store(&ended, rc);
}

static bool has_ended(void *arg)
{
    (void)arg;
    return atomic_load(&ended) != 1;
}

/* A dial to a node that is silent takes seconds; when the cluster knows that it has gone, no call
 * waits for that. */
static void who_has_left_is_waited_for_no_more(void **state)
{
    (void)state;
    qd_rpc *rpc = w.nodes[0].rpc;
    qd_str to = qd_str_c(w.nodes[1].address);
    qd_rpc_watch *a = watch_of(0, 1);
    UNTIL(QD_RPC_UP);
    qd_sim_net_cut(w.net, "n0", "n1", true);
    qd_sim_net_cut(w.net, "n1", "n0", true);
    UNTIL(QD_RPC_LOST);
    world_pass(&w, 1000 * MS);
    qd_rpc_call c = {.to = to,
                     .action = QD_ACTION_ECHO,
                     .class = QD_RPC_DATA,
                     .done = on_ended,
                     .timeout_ms = 60000};
    atomic_store(&ended, 1);
    assert_int_equal(qd_rpc_call_start(rpc, &c, NULL), 0);
    world_pass(&w, 500 * MS);
    assert_false(has_ended(NULL));
    uint64_t before = qd_sim_now_ns(w.s);
    qd_rpc_peer_left(rpc, to);
    assert_true(world_until(&w, has_ended, NULL));
    assert_int_equal(ended, QD_E_CLOSED);
    assert_false(c.sent);
    qd_rpc_call_fini(&c);
    atomic_store(&ended, 1); /* nor by who has not heard of it */
    assert_int_equal(qd_rpc_call_start(rpc, &c, NULL), 0);
    assert_true(world_until(&w, has_ended, NULL));
    assert_int_equal(ended, QD_E_CLOSED);
    qd_rpc_call_fini(&c);
    assert_true(qd_sim_now_ns(w.s) - before < 10 * MS);
    qd_sim_net_heal(w.net); /* the watch goes on */
    UNTIL(QD_RPC_UP);
    qd_rpc_peer_left(rpc, to); /* what is open is let be */
    c.timeout_ms = 0;
    int rc = qd_rpc_call_wait(rpc, &c, NULL);
    assert_int_equal(rc, QD_E_UNSUPPORTED);
    qd_rpc_call_fini(&c);
    qd_rpc_unwatch(rpc, a);
}

static void a_node_that_comes_back_is_met_at_once(void **state)
{
    (void)state;
    qd_rpc_watch *a = watch_of(0, 1), *b;
    UNTIL(QD_RPC_UP);
    qd_sim_net_kill(w.net, "n1");
    UNTIL(QD_RPC_GONE);
    world_node_close(&w, 1);
    qd_sim_net_revive(w.net, "n1");
    world_pass(&w, 30000 * MS); /* the back-off has grown to 5 s */
    assert_int_equal(world_node_open(&w, 1, NULL, NULL), 0);
    uint64_t before = qd_sim_now_ns(w.s);
    assert_int_equal(
        qd_rpc_peer_watch(w.nodes[1].rpc, qd_str_c(w.nodes[0].address), on_event, &s1, &b, NULL),
        0);
    UNTIL(QD_RPC_UP);
    assert_true(qd_sim_now_ns(w.s) - before < 50 * MS); /* it dialed, so it is dialed */
    qd_rpc_unwatch(w.nodes[1].rpc, b);
    qd_rpc_unwatch(w.nodes[0].rpc, a);
}

static void a_broken_connection_alone_is_no_event(void **state)
{
    (void)state;
    qd_rpc_watch *a = watch_of(0, 1);
    UNTIL(QD_RPC_UP);
    for (int i = 0; i < 5; i++) {
        qd_sim_net_break(w.net, "n0", "n1");
        world_pass(&w, 100 * MS);
    }
    assert_int_equal(told(), 1);
    assert_true(qd_rpc_peer_up(w.nodes[0].rpc, qd_str_c(w.nodes[1].address), NULL));
    qd_rpc_unwatch(w.nodes[0].rpc, a);
}

static uint64_t run_of_faults(uint64_t seed)
{
    world_open(&w, seed);
    for (unsigned i = 0; i < 4; i++) assert_int_equal(world_node_open(&w, i, NULL, NULL), 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(
            qd_rpc_handle(w.nodes[i].rpc, QD_ACTION_ECHO, "generic", 0, reply, NULL, NULL), 0);
        assert_int_equal(qd_rpc_on_post(w.nodes[i].rpc, QD_STR("raft"), on_post, NULL, NULL), 0);
    }
    qd_sim_net_faults f = {.latency_min_ns = 10000,
                           .latency_max_ns = 5 * MS,
                           .slow_ppm = 20000,
                           .slow_ns = 300 * MS,
                           .break_ppm = 20000,
                           .double_ppm = 50000,
                           .reorder_ppm = 50000};
    qd_sim_net_faults_set(w.net, &f);
    qd_rpc_watch *watches[12];
    forget();
    unsigned nw = 0;
    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < 4; k++)
            if (i != k)
                assert_int_equal(qd_rpc_peer_watch(w.nodes[i].rpc, qd_str_c(w.nodes[k].address),
                                                   on_event, &s0, &watches[nw++], NULL),
                                 0);
    static qd_rpc_call calls[200];
    memset(calls, 0, sizeof calls);
    uint32_t ok = 0, bad = 0;
    for (unsigned i = 0; i < 200; i++) {
        unsigned from = (unsigned)qd_prng_below(qd_sim_prng(w.s), 4),
                 to = (unsigned)qd_prng_below(qd_sim_prng(w.s), 4);
        if (i % 40 == 20) qd_sim_net_cut(w.net, "n1", i % 80 == 20 ? "n2" : NULL, true);
        if (i % 40 == 30) qd_sim_net_heal(w.net);
        qd_iovec one = {"x", 1};
        (void)qd_rpc_post(w.nodes[from].rpc, qd_str_c(w.nodes[to].address), QD_STR("raft"), &one,
                          1);
        calls[i] = (qd_rpc_call){.to = qd_str_c(w.nodes[to].address),
                                 .action = QD_ACTION_ECHO,
                                 .class = QD_RPC_DATA,
                                 .timeout_ms = 500};
        int rc = qd_rpc_call_wait(w.nodes[from].rpc, &calls[i], NULL);
        ok += rc == 0;
        bad += rc != 0;
        qd_rpc_call_fini(&calls[i]);
    }
    assert_true(ok > 50 && bad > 0);
    qd_sim_net_heal(w.net);
    f = (qd_sim_net_faults){.latency_min_ns = 10000, .latency_max_ns = 1 * MS};
    qd_sim_net_faults_set(w.net, &f);
    world_pass(&w, 15000 * MS);
    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < 4; k++)
            if (i != k)
                assert_true(qd_rpc_peer_up(w.nodes[i].rpc, qd_str_c(w.nodes[k].address), NULL));
    for (unsigned i = 0; i < nw; i++) qd_rpc_unwatch(w.nodes[i / 3].rpc, watches[i]);
    uint64_t digest = qd_sim_digest(w.s);
    world_close(&w);
    return digest;
}

static void seeds_repeat(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++)
        assert_true(run_of_faults(seed) == run_of_faults(seed));
}

#define BOTH(f, setup)                                                                             \
    {#f " over sockets", f, setup, end, NULL},                                                     \
    {                                                                                              \
#f " in simulation", f, setup, end, (void *)23                                             \
    }
#define SIM(f, setup)                                                                              \
    {                                                                                              \
#f, f, setup, end, (void *)29                                                              \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(posts_arrive_in_order, two),
        BOTH(a_peer_comes_and_goes, two),
        BOTH(it_is_the_node_itself, two),
        BOTH(refusals_say_why, start),
        BOTH(a_second_of_a_name_is_refused, two),
        BOTH(two_clusters_of_one_name, start),
        BOTH(neighbouring_versions_talk, start),
        BOTH(who_names_no_cluster_may_join_only, start),
        SIM(silence_is_noticed, two),
        SIM(a_node_that_is_not_reached, two),
        SIM(who_has_left_is_waited_for_no_more, two),
        SIM(a_node_that_comes_back_is_met_at_once, two),
        SIM(a_broken_connection_alone_is_no_event, two),
        cmocka_unit_test(seeds_repeat),
    };
    return unit_run(tests);
}
