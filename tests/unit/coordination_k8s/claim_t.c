/*
 * claim_t.c: the claim of a cluster that could have two stores (docs/coordination.md): nodes of
 * which some ask for masters and some for Kubernetes create the root object at the same time, over
 * a model of an API server that loses, repeats and delays what they send, and some of them die at
 * that. All of them are told the same, and it is what the root says. Most of a run is waiting, so
 * runs are processes, many at a time.
 */
#include "base/assert.h"
#include "rig_api.h"
#include "unit/lib/coord_rig.h"
#include "unit/unit.h"
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define B QD_COORD_OPEN_BOOTSTRAP
#define NODES 3
#define STATES "quidditchstates"

/* Of a run: it ends with a line that says where. */
#define CHECK(x, ...)                                                                              \
    do {                                                                                           \
        if (x) break;                                                                              \
        fprintf(stderr, "# %s:%d: %s: ", __FILE__, __LINE__, #x);                                  \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fputc('\n', stderr);                                                                       \
        _exit(1);                                                                                  \
    } while (0)

typedef struct one {
    int wishes; /* bit i: node i asks for Kubernetes */
    kube_model_fault_kind fault;
    uint32_t times;
} one;

/* Runs all, many at a time. */
static void in_processes(const one *all, int n, void (*run)(const one *x))
{
    enum { AT_ONCE = 32 };
    int failed = 0, status;
    for (int started = 0, ended = 0; ended < n;) {
        if (started < n && started - ended < AT_ONCE) {
            fflush(NULL);
            pid_t pid = fork();
            assert_true(pid >= 0);
            if (pid == 0) {
                run(&all[started]);
                _exit(0);
            }
            started++;
        } else {
            assert_true(wait(&status) > 0);
            ended++;
            failed += !WIFEXITED(status) || WEXITSTATUS(status);
        }
    }
    assert_int_equal(failed, 0);
}

static const qd_pair options[] = {{QD_STR("k8s.claim"), QD_STR("true")},
                                  {QD_STR("k8s.retry_interval"), QD_STR("100ms")}};

static uint32_t wanted(int wishes, int i)
{
    return wishes >> i & 1 ? B : 0;
}

/* What a node is told, as quidditchd asks: after a linearizable read, once its first entry is
 * there. */
static qd_coord_identity told(rig *r, int i)
{
    static const uint8_t nobody[16];
    char value[8];
    qd_coord_identity id = {.struct_size = sizeof id};
    for (int64_t end = rig_now_ms() + RIG_WAIT; rig_now_ms() < end; rig_pause(5)) {
        int32_t rc = rig_get(r, i, "none", value, sizeof value, NULL, 0, 5000);
        rig_vtable(r)->identity(rig_store(r, i), &id);
        if (rc == QD_E_NOTFOUND && memcmp(id.store_id, nobody, 16) != 0) return id;
    }
    CHECK(false, "node %d is told nothing", i);
    return id;
}

/* What the root says that it was created as. */
static bool claimed_for_kubernetes(kube_model *m)
{
    json_t *root = kube_model_get(m, STATES, "default", "rig");
    CHECK(root, "there is no root");
    const json_t *claim = json_object_get(json_object_get(root, "spec"), "claim");
    const char *epoch = json_string_value(json_object_get(claim, "epoch"));
    const char *uuid = json_string_value(json_object_get(claim, "clusterUuid"));
    const char *in_charge = json_string_value(json_object_get(claim, "inCharge"));
    CHECK(epoch && uuid && in_charge, "a field is missing");
    CHECK(strcmp(epoch, "1") == 0 && strlen(uuid) == 22, "%s %s", epoch, uuid);
    bool kubernetes = strcmp(in_charge, "k8s") == 0;
    CHECK(kubernetes || strcmp(in_charge, "raft") == 0, "%s", in_charge);
    json_decref(root);
    return kubernetes;
}

static void agree(rig *r, kube_model *m, const one *x)
{
    const char *what = kube_model_fault_name(x->fault);
    qd_coord_identity first = told(r, 0);
    bool kubernetes = claimed_for_kubernetes(m);
    for (int i = 0; i < NODES; i++) {
        qd_coord_identity id = told(r, i);
        CHECK(memcmp(id.store_id, first.store_id, 16) == 0, "wishes %d, %s, node %d", x->wishes,
              what, i);
        CHECK(id.state == (kubernetes ? QD_COORD_ACTIVE : QD_COORD_EMPTY),
              "wishes %d, %s: claimed for %s, node %d is in state %u", x->wishes, what,
              kubernetes ? "Kubernetes" : "masters", i, id.state);
    }
    CHECK(x->wishes != 0 || !kubernetes, "nobody asked for it");
    CHECK(x->wishes != (1 << NODES) - 1 || kubernetes, "all asked for it");
    int32_t rc = rig_put(r, 1, "k", "v", 1, 0, kubernetes ? RIG_WAIT : 2000, NULL);
    CHECK(rc == (kubernetes ? 0 : QD_E_FENCED), "wishes %d, %s: %d", x->wishes, what, rc);
}

/* --- what becomes of the first creation --- */

/* All start at once; the fault meets the first creation, or that of each of them. */
static void together(const one *x)
{
    kube_model *m = rig_api_make((uint64_t)(x->wishes * 100) + x->fault);
    rig *r = rig_make(NODES);
    kube_model_fault f = {.kind = x->fault,
                          .verb = "create",
                          .plural = STATES,
                          .times = x->times,
                          .delay_ns = 100000000};
    if (x->fault) kube_model_fault_add(m, &f);
    for (int i = 0; i < NODES; i++) {
        int32_t rc = rig_start(r, i, RIG_PEERS, 0, wanted(x->wishes, i));
        CHECK(rc == 0, "%d", rc);
    }
    agree(r, m, x);
    rig_free(r);
    rig_api_free();
}

static void all_obey_whatever_becomes_of_a_creation(void **state)
{
    static const kube_model_fault_kind fates[] = {
        KUBE_FAULT_NONE,     KUBE_FAULT_LOST,       KUBE_FAULT_LOST_DONE, KUBE_FAULT_LATE,
        KUBE_FAULT_429,      KUBE_FAULT_503,        KUBE_FAULT_500_DONE,  KUBE_FAULT_504_LATE,
        KUBE_FAULT_504_DONE, KUBE_FAULT_SLOW_START, KUBE_FAULT_TORN};
    one all[2 * (1 << NODES) * QD_COUNT_OF(fates)];
    int n = 0;
    (void)state;
    for (int wishes = 0; wishes < 1 << NODES; wishes++)
        for (size_t k = 0; k < QD_COUNT_OF(fates); k++)
            for (uint32_t times = 1; times <= (fates[k] ? 3 : 1); times += 2)
                all[n++] = (one){wishes, fates[k], times};
    in_processes(all, n, together);
}

/* --- who has created it dies --- */

/* Node 0 creates the root and is cut off before it can write the first entry; the others find it,
 * with other wishes, and one of them writes that. Node 0 comes back with another wish of its own.
 */
static void dies(const one *x)
{
    kube_model *m = rig_api_make((uint64_t)x->wishes + 77);
    rig *r = rig_make(NODES);
    kube_model_fault f = {.kind = x->fault, .verb = "create", .plural = STATES};
    kube_model_fault_add(m, &f);
    kube_model_fault no_more = {
        .kind = KUBE_FAULT_REFUSED, .verb = "update", .plural = STATES, .times = 1000};
    kube_model_fault_add(m, &no_more);
    CHECK(rig_start(r, 0, RIG_PEERS, 0, wanted(x->wishes, 0)) == 0, "node 0");
    json_t *root = NULL;
    for (int64_t end = rig_now_ms() + RIG_WAIT; !root && rig_now_ms() < end; rig_pause(2))
        root = kube_model_get(m, STATES, "default", "rig");
    CHECK(root, "there is no root");
    json_decref(root);
    rig_api_cut(0, true);
    rig_kill(r, 0);
    kube_model_calm(m);
    for (int i = 1; i < NODES; i++)
        CHECK(rig_start(r, i, RIG_PEERS, 0, wanted(x->wishes, i)) == 0, "node %d", i);
    rig_tell_gone(r, 0);
    qd_coord_identity id = told(r, 1);
    CHECK(id.state == (wanted(x->wishes, 0) ? QD_COORD_ACTIVE : QD_COORD_EMPTY),
          "wishes %d: state %u", x->wishes, id.state);
    rig_api_cut(0, false);
    CHECK(rig_start(r, 0, RIG_PEERS, 0, wanted(~x->wishes, 0)) == 0, "node 0 again");
    one after = {.wishes = x->wishes & 1 ? (1 << NODES) - 1 : 0, .fault = x->fault};
    agree(r, m, &after);
    rig_free(r);
    rig_api_free();
}

static void the_claim_of_who_died_holds(void **state)
{
    one all[2 << NODES];
    (void)state;
    for (int i = 0; i < 2 << NODES; i++)
        all[i] = (one){i >> 1, i & 1 ? KUBE_FAULT_LOST_DONE : KUBE_FAULT_504_DONE, 1};
    in_processes(all, 2 << NODES, dies);
}

/* --- the API server's store is put back to before --- */

static void put_back(const one *x)
{
    char value[8];
    kube_model *m = rig_api_make(5);
    rig *r = rig_make(NODES);
    kube_model_backup *b = kube_model_backup_make(m);
    CHECK(rig_start(r, 0, RIG_PEERS, 0, wanted(x->wishes, 0)) == 0, "node 0");
    told(r, 0);
    rig_stop(r, 0);
    kube_model_restore(m, b, 0);
    kube_model_backup_free(b);
    /* it has seen the claim: whatever it asks from then on, it makes no other one */
    CHECK(rig_start(r, 0, RIG_PEERS, 0, wanted(~x->wishes, 0)) == 0, "node 0 again");
    int32_t rc = rig_get(r, 0, "none", value, sizeof value, NULL, 0, 3000);
    CHECK(rc != QD_E_NOTFOUND && rc != 0, "%d", rc);
    json_t *root = kube_model_get(m, STATES, "default", "rig");
    CHECK(!root, "a root was made in place of the one that was claimed");
    rig_free(r);
    rig_api_free();
}

static void who_has_seen_a_claim_makes_no_other(void **state)
{
    static const one all[] = {{.wishes = 0}, {.wishes = 1}};
    (void)state;
    in_processes(all, 2, put_back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_obey_whatever_becomes_of_a_creation),
        cmocka_unit_test(the_claim_of_who_died_holds),
        cmocka_unit_test(who_has_seen_a_claim_makes_no_other),
    };
    rig_options(options, 2);
    return unit_run(tests);
}
