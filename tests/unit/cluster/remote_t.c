/*
 * remote_t.c: nodes without a store of their own, over sockets: two control nodes serve a store in
 * memory, two data nodes use it from afar. What one changes all see; a control node that ends costs
 * no event; a wrong list says so.
 */
#include "base/str.h"
#include "cluster/copies.h"
#include "cluster/remote/remote.h"
#include "lib/coord_memory.h"
#include "runtime/sync.h"
#include "unit/lib/rpc_world.h"
#include "unit/unit.h"

#define MASTERS 2
#define NODES 4

typedef struct node {
    qd_loop *loop;
    qd_coord_store *store;
    qd_remote_server *server;
    qd_cluster *cluster;
    qd_remote_config remote;
    bool control;
} node;

static world w;
static node nodes[NODES];
static coord_memory *memory;

/* Node 3 applies nothing while this is shut. */
static struct gate {
    qd_mutex lock;
    qd_cond opened;
    bool shut;
} gate;

static void at_gate(void *arg, const qd_state *old, const qd_state *now)
{
    (void)old;
    (void)now;
    if (arg != &nodes[3]) return;
    qd_mutex_lock(&gate.lock);
    while (gate.shut) qd_cond_wait(&gate.opened, &gate.lock);
    qd_mutex_unlock(&gate.lock);
}

static void gate_set(bool shut)
{
    qd_mutex_lock(&gate.lock);
    gate.shut = shut;
    qd_cond_broadcast(&gate.opened);
    qd_mutex_unlock(&gate.lock);
}

static void open_cluster(unsigned i)
{
    node *n = &nodes[i];
    qd_err err;
    char id[16], name[16];
    snprintf(id, sizeof id, "id-%u", i);
    snprintf(name, sizeof name, "n%u", i);
    qd_err_init(&err);
    qd_cluster_config k = {
        .env = qd_env_system(),
        .store = n->store,
        .name = QD_STR("test"),
        .self = {.id = qd_str_c(id),
                 .name = qd_str_c(name),
                 .host = QD_STR("127.0.0.1"),
                 .transport_address = qd_str_c(w.nodes[i].address),
                 .http_address = QD_STR("127.0.0.1:9200"),
                 .roles = n->control ? QD_STR("m") : QD_STR("d"),
                 .version = QD_STR("1.0.0"),
                 .ephemeral = qd_str_c(qd_rpc_self(w.nodes[i].rpc)->ephemeral)},
        .data = !n->control,
        .control = n->control,
        .rpc = w.nodes[i].rpc,
        .session_ttl_ms = 3000,
        .timeout_ms = 120000,
        .listener = at_gate,
        .listener_arg = n,
    };
    if (qd_cluster_open(&k, &n->cluster, &err)) fail_msg("%s", qd_err_reason(&err));
}

static void open_node(unsigned i)
{
    node *n = &nodes[i];
    qd_err err;
    qd_err_init(&err);
    *n = (node){.control = i < MASTERS};
    assert_int_equal(world_node_open(&w, i, NULL, NULL), 0);
    assert_int_equal(qd_loop_open(qd_env_system(), "test", &n->loop, &err), 0);
    assert_int_equal(qd_loop_start(n->loop, &err), 0);
    if (n->control) {
        qd_coord_config c = {.struct_size = sizeof c, .path = QD_STR("remote")};
        assert_int_equal(
            qd_coord_open(qd_env_system(), coord_memory_vtable(), NULL, &c, &n->store, &err), 0);
        if (qd_remote_server_open(w.nodes[i].rpc, n->store, n->loop, &w.nodes[i].pools, &n->server,
                                  &err)) {
            fail_msg("%s", qd_err_reason(&err));
        }
        return;
    }
    qd_str masters[] = {qd_str_c(w.nodes[0].address), qd_str_c(w.nodes[1].address)};
    n->remote = (qd_remote_config){.env = qd_env_system(),
                                   .rpc = w.nodes[i].rpc,
                                   .loop = n->loop,
                                   .pools = &w.nodes[i].pools,
                                   .masters = masters,
                                   .nmasters = 2};
    if (qd_remote_open(&n->remote, &n->store, &err)) fail_msg("%s", qd_err_reason(&err));
}

static void close_node(unsigned i)
{
    node *n = &nodes[i];
    if (!n->loop) return;
    qd_cluster_close(n->cluster);
    qd_remote_server_close(n->server);
    qd_coord_close(n->store);
    world_node_close(&w, i);
    qd_loop_close(n->loop);
    *n = (node){0};
}

static int begin(void **state)
{
    (void)state;
    qd_mutex_init(&gate.lock);
    qd_cond_init(&gate.opened);
    memory = coord_memory_make(qd_env_system(), "remote");
    world_open(&w, 0);
    for (unsigned i = 0; i < NODES; i++) open_node(i);
    for (unsigned i = 0; i < NODES; i++) open_cluster(i);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    for (unsigned i = NODES; i-- > 0;) close_node(i);
    world_close(&w);
    coord_memory_free(memory);
    qd_cond_fini(&gate.opened);
    qd_mutex_fini(&gate.lock);
    return 0;
}

static qd_settings *settings(const char *key, const char *value)
{
    qd_settings *s;
    assert_int_equal(qd_settings_new(NULL, &s, NULL), 0);
    assert_int_equal(qd_settings_put(s, qd_str_c(key), qd_str_c(value), NULL), 0);
    assert_int_equal(qd_settings_seal(s, NULL), 0);
    return s;
}

static bool sees_all_nodes(void *arg, const qd_state *s)
{
    return s->nnodes == *(uint32_t *)arg;
}

static bool has_index(void *arg, const qd_state *s)
{
    (void)arg;
    return s->n != 0;
}

static bool has_replica(void *arg, const qd_state *s)
{
    (void)arg;
    return s->n && s->shards[0][0].ncopies == 2 &&
           s->shards[0][0].copies[1].state == QD_SHARD_INITIALIZING;
}

static bool is_green(void *arg, const qd_state *s)
{
    (void)arg;
    return s->n && qd_index_health(s, s->indices[0]) == QD_HEALTH_GREEN;
}

static unsigned node_of(qd_str id)
{
    return (unsigned)(id.p[3] - '0');
}

/* Plays the two copies of the first index: both on other nodes, both started. */
static void start_copies(void)
{
    qd_err err;
    qd_err_init(&err);
    for (unsigned i = MASTERS; i < NODES; i++) {
        assert_int_equal(qd_cluster_wait_for(nodes[i].cluster, has_index, NULL, 120000), 0);
    }
    qd_state *s = qd_cluster_state(nodes[2].cluster);
    const qd_shard_meta *m = &s->shards[0][0];
    qd_copy_ref first = {s->indices[0]->uuid, 0, m->primary};
    unsigned p = node_of(m->copies[0].node);
    assert_true(p >= MASTERS);
    if (qd_cluster_copy_started(nodes[p].cluster, &first, NULL, &err)) {
        fail_msg("%s", qd_err_reason(&err));
    }
    assert_int_equal(qd_cluster_wait_for(nodes[p].cluster, has_replica, NULL, 120000), 0);
    qd_state *now = qd_cluster_state(nodes[p].cluster);
    m = &now->shards[0][0];
    unsigned r = node_of(m->copies[1].node);
    assert_true(r >= MASTERS && r != p);
    qd_copy_ref second = {now->indices[0]->uuid, 0, m->copies[1].allocation_id};
    qd_primary_ref primary = {now->indices[0]->uuid, 0, m->primary, m->primary_term};
    /* not before the primary admits it */
    assert_int_equal(qd_cluster_wait_for(nodes[r].cluster, has_replica, NULL, 120000), 0);
    assert_int_equal(qd_cluster_copy_started(nodes[r].cluster, &second, NULL, &err), QD_E_CONFLICT);
    qd_err_fini(&err);
    if (qd_cluster_primary_admit(nodes[p].cluster, &primary, second.allocation_id, NULL, &err) ||
        qd_cluster_copy_started(nodes[r].cluster, &second, NULL, &err)) {
        fail_msg("%s", qd_err_reason(&err));
    }
    /* a primary of another term is none */
    primary.term++;
    assert_int_equal(qd_cluster_primary_fail(nodes[p].cluster, &primary, &second.allocation_id, 1,
                                             QD_STR("x"), NULL, &err),
                     QD_E_NOT_PRIMARY);
    qd_err_fini(&err);
    qd_state_unref(now);
    qd_state_unref(s);
    for (unsigned i = 0; i < NODES; i++) {
        assert_int_equal(qd_cluster_wait_for(nodes[i].cluster, is_green, NULL, 120000), 0);
    }
}

static void create(unsigned i, const char *name)
{
    qd_err err;
    qd_err_init(&err);
    qd_settings *s = settings("index.number_of_replicas", "1");
    if (qd_cluster_create_index(nodes[i].cluster, qd_str_c(name), s, QD_STR(""), NULL, 0, NULL,
                                &err)) {
        fail_msg("%s", qd_err_reason(&err));
    }
    qd_settings_unref(s);
}

static void data_nodes_join_and_hold_copies(void **state)
{
    (void)state;
    uint32_t four = 4;
    for (unsigned i = 0; i < NODES; i++) {
        assert_int_equal(qd_cluster_wait_for(nodes[i].cluster, sees_all_nodes, &four, 120000), 0);
    }
    create(3, "books");
    start_copies();
}

static bool promoted(void *arg, const qd_state *s)
{
    const qd_copy *was = arg;
    return s->n && qd_shard_meta_is_started(&s->shards[0][0]) &&
           !qd_str_eq(s->shards[0][0].primary, was->allocation_id);
}

static void a_lost_primary_is_replaced(void **state)
{
    (void)state;
    create(2, "books");
    start_copies();
    qd_state *s = qd_cluster_state(nodes[0].cluster);
    const qd_copy *was = &s->shards[0][0].copies[0];
    uint64_t term = s->shards[0][0].primary_term;
    close_node(node_of(was->node));
    assert_int_equal(
        qd_cluster_wait_for(nodes[0].cluster, promoted, (void *)(uintptr_t)was, 120000), 0);
    qd_state *now = qd_cluster_state(nodes[0].cluster);
    assert_int_equal(now->shards[0][0].primary_term, term + 1);
    /* until the new primary has it removed */
    assert_non_null(qd_shard_meta_in_sync(&now->shards[0][0], was->allocation_id));
    assert_int_equal(qd_index_health(now, now->indices[0]), QD_HEALTH_YELLOW);
    qd_state_unref(now);
    qd_state_unref(s);
}

static bool the_other_leads(void *arg, const qd_state *s)
{
    (void)arg;
    return s->n == 20 && s->nnodes == 3 && qd_str_is(s->master, "id-1");
}

static void a_master_that_ends_costs_nothing(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "a%d", i);
        create(2, name);
    }
    close_node(0);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "b%d", i);
        create(2 + (unsigned)i % 2, name);
    }
    for (unsigned i = 1; i < NODES; i++) {
        assert_int_equal(qd_cluster_wait_for(nodes[i].cluster, the_other_leads, NULL, 120000), 0);
    }
}

/* --- a master that says nothing any more, over connections that stand --- */

static struct {
    qd_mutex lock;
    qd_cond changed;
    bool holds, ends;
} standstill;

/* On the loop of its transport. */
static void hold_still(void *arg, qd_rpc_request *request)
{
    (void)arg;
    qd_mutex_lock(&standstill.lock);
    standstill.holds = true;
    qd_cond_broadcast(&standstill.changed);
    while (!standstill.ends) qd_cond_wait(&standstill.changed, &standstill.lock);
    standstill.holds = false;
    qd_cond_broadcast(&standstill.changed);
    qd_mutex_unlock(&standstill.lock);
    qd_rpc_reply(request, (qd_str){NULL, 0}, (qd_str){NULL, 0});
}

static void still_over(qd_rpc_call *call, int rc)
{
    (void)rc;
    qd_latch_done(call->user, 0);
}

/* Another node allocates; the silent one is a node still. */
static bool allocates_there(void *arg, const qd_state *s)
{
    (void)arg;
    return qd_str_is(s->master, "id-1") && s->nnodes == NODES;
}

static void a_silent_master_is_left(void **state)
{
    (void)state;
    uint32_t four = 4;
    qd_latch over;
    qd_str silent = qd_str_c(w.nodes[0].address);
    for (unsigned i = 0; i < NODES; i++) {
        assert_int_equal(qd_cluster_wait_for(nodes[i].cluster, sees_all_nodes, &four, 60000), 0);
    }
    qd_mutex_init(&standstill.lock);
    qd_cond_init(&standstill.changed);
    standstill.holds = standstill.ends = false;
    qd_latch_init(&over, 1);
    assert_int_equal(
        qd_rpc_handle(w.nodes[0].rpc, QD_ACTION_COPY_SYNC, NULL, 0, hold_still, NULL, NULL), 0);
    qd_rpc_call call = {.to = silent,
                        .action = QD_ACTION_COPY_SYNC,
                        .class = QD_RPC_DATA,
                        .version = QD_RPC_OLDEST,
                        .done = still_over,
                        .user = &over};
    qd_err_init(&call.err);
    assert_int_equal(qd_rpc_call_start(w.nodes[1].rpc, &call, &call.err), 0);
    qd_mutex_lock(&standstill.lock);
    while (!standstill.holds) qd_cond_wait(&standstill.changed, &standstill.lock);
    qd_mutex_unlock(&standstill.lock);
    create(1, "quiet");
    bool seen = true, connected = true;
    for (unsigned i = MASTERS; i < NODES; i++) {
        seen &= !qd_cluster_wait_for(nodes[i].cluster, has_index, NULL, 60000);
        /* before anybody has given the connection up */
        connected &= qd_rpc_peer_up(w.nodes[i].rpc, silent, NULL);
    }
    bool replaced = !qd_cluster_wait_for(nodes[1].cluster, allocates_there, NULL, 60000);
    qd_mutex_lock(&standstill.lock);
    standstill.ends = true;
    qd_cond_broadcast(&standstill.changed);
    qd_mutex_unlock(&standstill.lock);
    (void)qd_latch_wait(&over);
    qd_rpc_call_fini(&call);
    qd_rpc_unhandle(w.nodes[0].rpc, QD_ACTION_COPY_SYNC);
    assert_true(seen);
    assert_true(connected);
    assert_true(replaced);
    qd_cond_fini(&standstill.changed);
    qd_mutex_fini(&standstill.lock);
}

static uint64_t revision_of(unsigned i)
{
    qd_state *s = qd_cluster_state(nodes[i].cluster);
    uint64_t revision = s->revision;
    qd_state_unref(s);
    return revision;
}

static void all_know_what_one_has_changed(void **state)
{
    (void)state;
    uint32_t four = 4;
    for (unsigned i = 0; i < NODES; i++) {
        assert_int_equal(qd_cluster_wait_for(nodes[i].cluster, sees_all_nodes, &four, 60000), 0);
    }
    create(2, "seen");
    uint64_t revision = revision_of(2);
    assert_int_equal(qd_cluster_wait_all(nodes[2].cluster, revision, 60000), 0);
    for (unsigned i = 0; i < NODES; i++) assert_true(revision_of(i) >= revision);
    /* a node that lives and lags is waited for, as long as there is time */
    gate_set(true);
    create(2, "late");
    revision = revision_of(2);
    assert_int_equal(qd_cluster_wait_all(nodes[2].cluster, revision, 300), QD_E_TIMEOUT);
    assert_int_equal(qd_cluster_wait_all(nodes[2].cluster, revision, 0), QD_E_TIMEOUT);
    assert_true(revision_of(3) < revision);
    gate_set(false);
    assert_int_equal(qd_cluster_wait_all(nodes[2].cluster, revision, 60000), 0);
    assert_true(revision_of(3) >= revision);
    /* one that has gone is not */
    close_node(3);
    create(2, "alone");
    assert_int_equal(qd_cluster_wait_all(nodes[2].cluster, revision_of(2), 60000), 0);
    assert_int_equal(qd_cluster_stale_ms(nodes[2].cluster), 0);
}

static void a_compacted_watch_begins_again(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "c%02d", i);
        create(3, name);
        if (i % 5 == 0) coord_memory_compact(memory);
    }
    qd_state *s = qd_cluster_state(nodes[3].cluster);
    assert_int_equal(qd_cluster_wait(nodes[2].cluster, s->revision, 120000, NULL), 0);
    qd_state_unref(s);
    s = qd_cluster_state(nodes[2].cluster);
    assert_int_equal(s->n, 20);
    qd_state_unref(s);
}

static void nobody_answers(void **state)
{
    (void)state;
    qd_coord_store *store;
    qd_coord_list list;
    qd_arena a;
    qd_err err;
    qd_str nobody[] = {QD_STR("127.0.0.1:1")};
    qd_remote_config c = nodes[2].remote;
    c.masters = nobody;
    c.nmasters = 1;
    qd_err_init(&err);
    qd_arena_init(&a, NULL, 0);
    assert_int_equal(qd_remote_open(&c, &store, &err), 0);
    int rc = qd_coord_read(store, QD_STR("cluster/uuid"), false, 300, &a, &list, &err);
    assert_true(rc == QD_E_NO_COORDINATION || rc == QD_E_TIMEOUT);
    assert_non_null(strstr(qd_err_reason(&err), "127.0.0.1:1"));
    qd_err_fini(&err);
    qd_coord_close(store);
    c.nmasters = 0;
    assert_int_equal(qd_remote_open(&c, &store, &err), QD_E_ARG);
    assert_non_null(strstr(qd_err_reason(&err), "coordination"));
    qd_err_fini(&err);
    qd_arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(data_nodes_join_and_hold_copies, begin, finish),
        cmocka_unit_test_setup_teardown(a_lost_primary_is_replaced, begin, finish),
        cmocka_unit_test_setup_teardown(a_master_that_ends_costs_nothing, begin, finish),
        cmocka_unit_test_setup_teardown(a_silent_master_is_left, begin, finish),
        cmocka_unit_test_setup_teardown(all_know_what_one_has_changed, begin, finish),
        cmocka_unit_test_setup_teardown(a_compacted_watch_begins_again, begin, finish),
        cmocka_unit_test_setup_teardown(nobody_answers, begin, finish),
    };
    return unit_run(tests);
}
