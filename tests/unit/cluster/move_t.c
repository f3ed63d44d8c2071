/*
 * move_t.c: a cluster of two nodes whose state moves from one store to another and back, while
 * indices are created: no change is refused, no node is missed, and a master is elected there.
 */
#include "base/str.h"
#include "cluster/authority/driver.h"
#include "cluster/authority/stores.h"
#include "cluster/cluster.h"
#include "lib/coord_memory.h"
#include "runtime/sync.h"
#include "unit/unit.h"

#define PATIENCE_MS 120000

typedef struct node {
    qd_coord_store *s[2];
    qd_stores *stores;
    qd_cluster *cluster;
    qd_driver *driver;
} node;

static _Atomic bool nobody_leads; /* as after the end of the one that did */

/* Is it elected, as its own state says? */
static bool leads(void *arg)
{
    node *n = arg;
    qd_state *s = qd_cluster_state(n->cluster);
    bool mine = qd_str_eq(s->master, qd_cluster_self(n->cluster)->id);
    qd_state_unref(s);
    return mine && !nobody_leads;
}

static const char *const names[] = {"first", "second"};
static coord_memory *m[2];

/* What a node opens before it joins a cluster. */
static void stores_open(node *n)
{
    *n = (node){0};
    for (int i = 0; i < 2; i++) {
        qd_coord_config c = {.struct_size = sizeof c, .path = qd_str_c(names[i])};
        assert_int_equal(
            qd_coord_open(qd_env_system(), coord_memory_vtable(), NULL, &c, &n->s[i], NULL), 0);
    }
    qd_stores_config f = {
        .env = qd_env_system(), .store = {n->s[0], n->s[1]}, .name = {names[0], names[1]}};
    assert_int_equal(qd_stores_open(&f, &n->stores, NULL), 0);
    qd_driver_config d = {.env = qd_env_system(),
                          .store = {n->s[0], n->s[1]},
                          .name = {names[0], names[1]},
                          .front = qd_stores_front(n->stores),
                          .leads = leads,
                          .arg = n,
                          .take_ms = 50};
    assert_int_equal(qd_driver_open(&d, &n->driver, NULL), 0);
}

static void node_open(node *n, const char *id)
{
    qd_err err;
    qd_err_init(&err);
    stores_open(n);
    qd_cluster_config k = {
        .env = qd_env_system(),
        .store = qd_stores_front(n->stores),
        .name = QD_STR("test"),
        .self = {.id = qd_str_c(id),
                 .name = qd_str_c(id),
                 .host = QD_STR("h"),
                 .transport_address = QD_STR("t"),
                 .http_address = QD_STR("a"),
                 .roles = QD_STR("dm"),
                 .version = QD_STR("1")},
        .data = true,
        .control = true,
        .session_ttl_ms = 30000,
        .timeout_ms = PATIENCE_MS,
    };
    if (qd_cluster_open(&k, &n->cluster, &err)) fail_msg("%s", qd_err_reason(&err));
    qd_driver_joined(n->driver);
}

static void node_close(node *n)
{
    qd_driver_close(n->driver);
    qd_cluster_close(n->cluster);
    qd_stores_close(n->stores);
    for (int i = 0; i < 2; i++) qd_coord_close(n->s[i]);
}

typedef struct maker {
    node *n;
    qd_thread *thread;
    const char *prefix;
    _Atomic bool stop;
    _Atomic uint32_t made;
    char wrong[300];
} maker;

static void make_indices(void *arg)
{
    maker *k = arg;
    while (!atomic_load(&k->stop) && !k->wrong[0]) {
        char name[32];
        qd_settings *s;
        qd_err err;
        qd_err_init(&err);
        snprintf(name, sizeof name, "%s-%u", k->prefix, atomic_load(&k->made));
        assert_int_equal(qd_settings_new(NULL, &s, NULL), 0);
        assert_int_equal(qd_settings_seal(s, NULL), 0);
        int rc = qd_cluster_create_index(k->n->cluster, qd_str_c(name), s, QD_STR(""), NULL, 0,
                                         NULL, &err);
        if (rc) snprintf(k->wrong, sizeof k->wrong, "%s: %s", name, qd_err_reason(&err));
        if (!rc) atomic_fetch_add(&k->made, 1);
        qd_err_fini(&err);
        qd_settings_unref(s);
    }
}

static void wait_made(maker *k, uint32_t more)
{
    uint32_t from = atomic_load(&k->made);
    while (atomic_load(&k->made) < from + more && !k->wrong[0])
        qd_env_sleep_ns(qd_env_system(), 1000000);
    if (k->wrong[0]) fail_msg("%s", k->wrong);
}

/* Asks this node for it, and waits until the migration is done as that one tells. */
static void migrate(node *n, const char *to)
{
    qd_handover_status s = {0};
    qd_handover *h = qd_driver_handover(n->driver);
    assert_int_equal(qd_handover_start(h, qd_str_c(to), NULL), 0);
    while (s.step != QD_HANDOVER_DONE) {
        int rc = qd_driver_status(n->driver, &s, NULL);
        if (rc) s.step = QD_HANDOVER_NONE; /* while nobody is in charge */
        qd_env_sleep_ns(qd_env_system(), 1000000);
    }
    assert_string_equal(s.to, to);
    while (qd_handover_finish(h, NULL)) qd_env_sleep_ns(qd_env_system(), 1000000);
}

/* Until a master is elected in the store in charge. */
static void wait_master(node *n, uint64_t epoch)
{
    qd_coord_token token = {0};
    uint64_t session;
    while (qd_coord_leader(qd_stores_front(n->stores), QD_STR("allocator"), PATIENCE_MS, &session,
                           &token, NULL) ||
           token.epoch < epoch)
        qd_env_sleep_ns(qd_env_system(), 1000000);
}

static void a_cluster_moves(uint32_t nodes)
{
    node n[2];
    maker k[2] = {{.prefix = "a"}, {.prefix = "b"}};
    for (int i = 0; i < 2; i++) m[i] = coord_memory_make(qd_env_system(), names[i]);
    coord_memory_empty(m[1]);
    node_open(&n[0], "node-a");
    if (nodes > 1) node_open(&n[1], "node-b");
    for (uint32_t i = 0; i < nodes; i++) {
        k[i].n = &n[i];
        assert_int_equal(
            qd_thread_start(qd_env_system(), "maker", make_indices, &k[i], &k[i].thread, NULL), 0);
    }
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < nodes; i++) wait_made(&k[i], 3);
        migrate(&n[nodes - 1], names[round == 0]);
        for (uint32_t i = 0; i < nodes; i++) wait_made(&k[i], 3);
        wait_master(&n[0], 2 + (uint64_t)round);
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < nodes; i++) {
        atomic_store(&k[i].stop, true);
        qd_thread_join(qd_env_system(), k[i].thread);
        if (k[i].wrong[0]) fail_msg("%s", k[i].wrong);
        sum += atomic_load(&k[i].made);
    }
    qd_state *last = qd_cluster_state(n[nodes - 1].cluster);
    assert_int_equal(qd_cluster_wait(n[0].cluster, last->revision, PATIENCE_MS, NULL), 0);
    qd_state *s = qd_cluster_state(n[0].cluster);
    assert_int_equal(s->n, sum);
    assert_int_equal(s->nnodes, nodes);
    qd_state_unref(s);
    qd_state_unref(last);
    for (uint32_t i = 0; i < nodes; i++) node_close(&n[i]);
    for (int i = 0; i < 2; i++) coord_memory_free(m[i]);
}

static void two_nodes_move(void **state)
{
    (void)state;
    a_cluster_moves(2);
}

/* The one that drove is gone when it has sealed the old store: another node goes on. */
static void whoever_sees_a_seal_goes_on(void **state)
{
    (void)state;
    node n;
    for (int i = 0; i < 2; i++) m[i] = coord_memory_make(qd_env_system(), names[i]);
    coord_memory_empty(m[1]);
    node_open(&n, "node-a");
    nobody_leads = true;
    qd_coord_authority seal = {.action = QD_COORD_SEAL, .epoch = 1};
    assert_int_equal(qd_coord_authority_step(n.s[0], &seal, PATIENCE_MS, NULL), 0);
    /* there was no plan: it is in charge again, under a higher epoch */
    qd_coord_identity id = {0};
    while (id.state != QD_COORD_ACTIVE) {
        qd_env_sleep_ns(qd_env_system(), 1000000);
        qd_coord_identity_get(n.s[0], &id);
    }
    assert_true(id.epoch > 1);
    nobody_leads = false;
    node_close(&n);
    for (int i = 0; i < 2; i++) coord_memory_free(m[i]);
}

static void await(qd_coord_store *store, uint32_t wanted)
{
    qd_coord_identity id = {0};
    while (qd_coord_identity_get(store, &id), id.state != wanted)
        qd_env_sleep_ns(qd_env_system(), 1000000);
}

/* All nodes end between the seal of the old store and the decision for the new one: whoever starts
 * again finds no store in charge, so joins nothing, and sees the migration through. */
static void a_start_behind_a_seal_goes_on(void **state)
{
    (void)state;
    node n;
    qd_coord_identity id;
    qd_coord_list list;
    qd_arena a;
    for (int i = 0; i < 2; i++) m[i] = coord_memory_make(qd_env_system(), names[i]);
    coord_memory_empty(m[1]);
    node_open(&n, "node-a");
    nobody_leads = true; /* the steps up to the seal are this test's */
    while (qd_driver_drives(n.driver)) qd_env_sleep_ns(qd_env_system(), 1000000);
    qd_coord_authority begin = {.action = QD_COORD_BEGIN_MIRROR, .epoch = 0, .new_epoch = 2};
    assert_int_equal(qd_coord_authority_step(n.s[1], &begin, PATIENCE_MS, NULL), 0);
    qd_coord_change plan = {.type = QD_COORD_PUT,
                            .key = QD_STR(QD_HANDOVER_PLAN),
                            .value = QD_STR("{\"to\":\"second\",\"abort\":false,\"epoch\":2}")};
    assert_int_equal(qd_coord_commit(n.s[0], NULL, 0, &plan, 1, PATIENCE_MS, NULL, NULL, NULL), 0);
    qd_driver_close(n.driver); /* nobody is left to drive */
    n.driver = NULL;
    qd_coord_authority seal = {.action = QD_COORD_SEAL, .epoch = 1};
    assert_int_equal(qd_coord_authority_step(n.s[0], &seal, PATIENCE_MS, NULL), 0);
    node_close(&n);
    stores_open(&n);
    await(n.s[1], QD_COORD_ACTIVE);
    qd_coord_identity_get(n.s[1], &id);
    assert_int_equal(id.epoch, 2);
    /* and the front says so: the node joins */
    qd_arena_init(&a, NULL, 1 << 20);
    while (qd_stores_current(n.stores) != 1) qd_env_sleep_ns(qd_env_system(), 1000000);
    assert_int_equal(qd_coord_read(qd_stores_front(n.stores), QD_STR("cluster/uuid"), false,
                                   PATIENCE_MS, &a, &list, NULL),
                     0);
    assert_int_equal(list.n, 1);
    qd_arena_fini(&a);
    nobody_leads = false;
    node_close(&n);
    for (int i = 0; i < 2; i++) coord_memory_free(m[i]);
}

static void one_node_moves(void **state)
{
    (void)state;
    a_cluster_moves(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_nodes_move),
        cmocka_unit_test(one_node_moves),
        cmocka_unit_test(whoever_sees_a_seal_goes_on),
        cmocka_unit_test(a_start_behind_a_seal_goes_on),
    };
    return unit_run(tests);
}
