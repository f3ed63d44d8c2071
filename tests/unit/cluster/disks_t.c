/*
 * disks_t.c: a node looks after its disks: one that does not answer costs it its place until it
 * does; one that is full or answers with errors does not.
 */
#include "cluster/cluster.h"
#include "lib/coord_memory.h"
#include "runtime/sync.h"
#include "unit/unit.h"

#define PATIENCE_MS 60000

/* The second of two disks; the first one is sound. */
static struct {
    qd_mutex lock;
    qd_cond changed;
    bool held;
    int rc;
    unsigned probes[2];
} disk;

static int probe(void *arg, uint32_t which, qd_err *err)
{
    (void)arg;
    qd_mutex_lock(&disk.lock);
    while (which == 1 && disk.held) qd_cond_wait(&disk.changed, &disk.lock);
    disk.probes[which]++;
    int rc = which == 1 ? disk.rc : 0;
    qd_cond_broadcast(&disk.changed);
    qd_mutex_unlock(&disk.lock);
    return rc ? qd_err_set(err, rc, "the disk says so") : 0;
}

static const char *name(void *arg, uint32_t which)
{
    (void)arg;
    return which ? "/second" : "/first";
}

static void disk_is(bool held, int rc)
{
    qd_mutex_lock(&disk.lock);
    disk.held = held;
    disk.rc = rc;
    qd_cond_broadcast(&disk.changed);
    qd_mutex_unlock(&disk.lock);
}

/* Waits until the disks were looked after three times more. */
static void looked_after(void)
{
    qd_mutex_lock(&disk.lock);
    unsigned to = disk.probes[1] + 3;
    int rc = 0;
    uint64_t until = qd_env_mono_ns(qd_env_system()) + PATIENCE_MS * UINT64_C(1000000);
    while (!rc && (disk.probes[0] < to || disk.probes[1] < to)) {
        rc = qd_cond_wait_until(&disk.changed, &disk.lock, until);
    }
    qd_mutex_unlock(&disk.lock);
    assert_int_equal(rc, 0);
}

static qd_config *config_of(const char *const *flags, size_t n)
{
    qd_config *c;
    assert_int_equal(qd_config_open((int64_t)1 << 30, &c, NULL), 0);
    for (size_t i = 0; i < n; i++) assert_int_equal(qd_config_flag(c, qd_str_c(flags[i]), NULL), 0);
    assert_int_equal(qd_config_ready(c, NULL), 0);
    return c;
}

static qd_coord_store *store_open(const char *id)
{
    qd_coord_store *out;
    qd_coord_config c = {.struct_size = sizeof c,
                         .cluster = QD_STR("test"),
                         .node_id = qd_str_c(id),
                         .path = QD_STR("disks")};
    assert_int_equal(qd_coord_open(qd_env_system(), coord_memory_vtable(), NULL, &c, &out, NULL),
                     0);
    return out;
}

static qd_cluster *cluster_open(qd_coord_store *store, const char *id, const qd_config *config,
                                uint32_t disks)
{
    qd_cluster *out;
    qd_cluster_config k = {.env = qd_env_system(),
                           .store = store,
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
                           .config = config,
                           .disks = {disks, probe, name, NULL},
                           .session_ttl_ms = 1000,
                           .timeout_ms = PATIENCE_MS};
    assert_int_equal(qd_cluster_open(&k, &out, NULL), 0);
    return out;
}

static bool two_nodes(void *arg, const qd_state *s)
{
    (void)arg;
    return s->nnodes == 2;
}
static bool one_node(void *arg, const qd_state *s)
{
    (void)arg;
    return s->nnodes == 1;
}

static void a_disk_that_does_not_answer_costs_the_place(void **state)
{
    static const char *const flags[] = {"monitor.fs.health.refresh_interval=1s",
                                        "monitor.fs.health.healthy_timeout_threshold=1s"};
    (void)state;
    coord_memory *m = coord_memory_make(qd_env_system(), "disks");
    qd_config *config = config_of(flags, 2);
    qd_coord_store *sa = store_open("node-a"), *sb = store_open("node-b");
    qd_cluster *a = cluster_open(sa, "node-a", config, 2), *b = cluster_open(sb, "node-b", NULL, 0);
    assert_int_equal(qd_cluster_wait_for(b, two_nodes, NULL, PATIENCE_MS), 0);
    looked_after();
    disk_is(true, 0);
    assert_int_equal(qd_cluster_wait_for(b, one_node, NULL, PATIENCE_MS), 0);
    qd_state *s = qd_cluster_state(b);
    assert_true(qd_str_is(s->nodes[0].id, "node-b"));
    qd_state_unref(s);
    disk_is(false, 0);
    assert_int_equal(qd_cluster_wait_for(b, two_nodes, NULL, PATIENCE_MS), 0);
    qd_cluster_close(a);
    qd_cluster_close(b);
    qd_coord_close(sa);
    qd_coord_close(sb);
    qd_config_close(config);
    coord_memory_free(m);
}

static void errors_of_a_disk_cost_no_place(void **state)
{
    static const char *const flags[] = {"monitor.fs.health.refresh_interval=1s",
                                        "monitor.fs.health.healthy_timeout_threshold=1s"};
    static const int errors[] = {QD_E_NOSPACE, QD_E_IO};
    (void)state;
    coord_memory *m = coord_memory_make(qd_env_system(), "disks");
    qd_config *config = config_of(flags, 2);
    qd_coord_store *sa = store_open("node-a");
    qd_cluster *a = cluster_open(sa, "node-a", config, 2);
    qd_state *before = qd_cluster_state(a);
    for (size_t i = 0; i < QD_COUNT_OF(errors); i++) {
        disk_is(false, errors[i]);
        looked_after();
        qd_state *s = qd_cluster_state(a);
        assert_int_equal(s->nnodes, 1);
        assert_int_equal(s->revision, before->revision);
        qd_state_unref(s);
    }
    disk_is(false, 0);
    qd_state_unref(before);
    qd_cluster_close(a);
    qd_coord_close(sa);
    qd_config_close(config);
    coord_memory_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_that_does_not_answer_costs_the_place),
        cmocka_unit_test(errors_of_a_disk_cost_no_place),
    };
    qd_mutex_init(&disk.lock);
    qd_cond_init(&disk.changed);
    return unit_run(tests);
}
