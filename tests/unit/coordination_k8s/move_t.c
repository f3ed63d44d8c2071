/*
 * move_t.c: the state moves from a store in memory to Kubernetes and back while the API server
 * answers writes with 429 and Retry-After, one at each step: that costs the time it asks for, and
 * nothing else.
 */
#include "base/str.h"
#include "cluster/authority/handover.h"
#include "lib/coord_memory.h"
#include "rig_api.h"
#include "unit/lib/coord_rig.h"
#include "unit/unit.h"

#define ASKED_MS 1000 /* as Retry-After, which counts seconds */
#define LIMIT_MS 120000

static kube_model *model;
static rig *r;
static coord_memory *memory;
static qd_coord_store *s[2];
static qd_handover *h;
static uint32_t busy; /* answers of 429 so far */

static qd_coord_identity identity(int i)
{
    qd_coord_identity id;
    qd_coord_identity_get(s[i], &id);
    return id;
}

static void make(void)
{
    qd_coord_config k = {.struct_size = sizeof k, .path = QD_STR("masters")};
    model = rig_api_make(11);
    r = rig_make(1);
    memory = coord_memory_make(qd_env_system(), "masters");
    assert_int_equal(qd_coord_open(qd_env_system(), coord_memory_vtable(), NULL, &k, &s[0], NULL),
                     0);
    assert_int_equal(
        qd_coord_open(qd_env_system(), rig_conform_vtable(r, 0), NULL, &k, &s[1], NULL), 0);
    for (int64_t end = rig_now_ms() + LIMIT_MS; !identity(1).connected; rig_pause(5))
        assert_true(rig_now_ms() < end);
    qd_handover_config c = {
        .env = qd_env_system(), .store = {s[0], s[1]}, .name = {"master", "k8s-native"}};
    assert_int_equal(qd_handover_open(&c, &h, NULL), 0);
}

static void end(void)
{
    qd_handover_close(h);
    for (int i = 0; i < 2; i++) qd_coord_close(s[i]);
    coord_memory_free(memory);
    rig_free(r);
    rig_api_free();
}

static int put(int i, const char *key, const char *value)
{
    qd_coord_change c = {QD_COORD_PUT, 0, qd_str_c(key), qd_str_c(value), 0};
    return qd_coord_commit(s[i], NULL, 0, &c, 1, LIMIT_MS, NULL, NULL, NULL);
}

static void holds(int i, const char *key, const char *value)
{
    qd_arena a;
    qd_coord_list list;
    qd_arena_init(&a, NULL, 0);
    assert_int_equal(qd_coord_read(s[i], qd_str_c(key), false, LIMIT_MS, &a, &list, NULL), 0);
    assert_int_equal(list.n, 1);
    assert_true(qd_str_is((qd_str){(const char *)list.at[0].value, list.at[0].value_len}, value));
    qd_arena_fini(&a);
}

/* The next write of the state there is told to come back later. */
static void be_busy(void)
{
    kube_model_fault f = {.kind = KUBE_FAULT_429,
                          .verb = "update",
                          .plural = "quidditchstates",
                          .delay_ns = ASKED_MS * UINT64_C(1000000)};
    kube_model_fault_add(model, &f);
    busy++;
}

/* Moves it, with an answer of 429 whenever one of the stores has come to another state. */
static void move(int from, const char *to)
{
    qd_handover_status now = {0};
    uint64_t again, epoch = identity(!from).epoch;
    uint32_t seen[2] = {UINT32_MAX, UINT32_MAX};
    int64_t began = rig_now_ms();
    busy = 0;
    assert_int_equal(qd_handover_start(h, qd_str_c(to), NULL), 0);
    while (now.step != QD_HANDOVER_DONE || identity(from).state != QD_COORD_RETIRED) {
        assert_true(rig_now_ms() < began + LIMIT_MS);
        uint32_t states[2] = {identity(0).state, identity(1).state};
        if (memcmp(states, seen, sizeof seen) != 0 && !kube_model_faults_left(model)) {
            memcpy(seen, states, sizeof seen);
            be_busy();
        }
        qd_err err;
        qd_err_init(&err);
        if (qd_handover_turn(h, &again, &err)) fail_msg("%s", qd_err_reason(&err));
        qd_err_fini(&err);
        qd_handover_status_get(h, &now);
        assert_int_equal(now.differences, 0);
        if (again && again < UINT64_MAX) qd_handover_wait(h, again);
    }
    uint32_t done = busy - kube_model_faults_left(model);
    kube_model_calm(model);
    print_message("%u answers of 429, %d ms\n", done, (int)(rig_now_ms() - began));
    assert_in_range(done, 3, 10);
    assert_true(rig_now_ms() - began >= (int64_t)done * ASKED_MS); /* it was heard */
    assert_int_equal(identity(!from).state, QD_COORD_ACTIVE);
    uint64_t above = identity(from).epoch > epoch ? identity(from).epoch : epoch;
    assert_int_equal(identity(!from).epoch, above + 1); /* one copy, never begun anew */
    assert_int_equal(qd_handover_finish(h, NULL), 0);
}

static void a_busy_server_only_slows_it(void **state)
{
    (void)state;
    make();
    assert_int_equal(put(0, "cluster/uuid", "u1"), 0);
    assert_int_equal(put(0, "there", "before"), 0);
    move(0, "k8s-native");
    holds(1, "there", "before");
    assert_int_equal(put(1, "there", "between"), 0);
    move(1, "master");
    holds(0, "there", "between");
    holds(0, "cluster/uuid", "u1");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_busy_server_only_slows_it)};
    return unit_run(tests);
}
