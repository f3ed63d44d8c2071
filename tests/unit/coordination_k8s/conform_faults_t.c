/*
 * conform_faults_t.c: the kit of the SDK over three control nodes and a model of an API server,
 * under schedules of faults (unit/lib/coord_trouble.h): what a fault means to them. SEEDS, SEED,
 * SECONDS_EACH.
 */
#include "rig_api.h"
#include "unit/lib/coord_trouble.h"
#include "unit/unit.h"

#define B QD_COORD_OPEN_BOOTSTRAP

static kube_model *the_model;

static void slow(rig *r, bool on)
{
    rig_noise(r, on ? 20 : 0, on ? 60000 : 0);
    rig_api_slow(on ? 20000000 : 0, on ? 120000000 : 0);
}

static void gone(rig *r, int kit, bool on)
{
    (void)r, (void)kit;
    if (on) kube_model_restart(the_model, 800000000);
}

/* Every other request of the API is done and its answer lost, in one way or another; and what the
 * leader says to the kit's node. */
static void answers_lost(rig *r, int kit, int leader, bool on)
{
    static const kube_model_fault_kind kinds[] = {KUBE_FAULT_LOST_DONE, KUBE_FAULT_504_DONE,
                                                  KUBE_FAULT_500_DONE, KUBE_FAULT_TORN};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        kube_model_odds(the_model, NULL, kinds[i], on ? 8 : 0);
    if (leader >= 0 && leader != kit) rig_cut(r, leader, kit, on);
}

/* The API server waits for the disk of its store. */
static void disk(rig *r, int leader, bool on)
{
    (void)r, (void)leader;
    rig_api_slow(on ? 300000000 : 0, on ? 700000000 : 0);
}

static void history(rig *r, int kit, bool on)
{
    (void)r, (void)kit;
    static const kube_model_fault_kind kinds[] = {KUBE_FAULT_WATCH_GONE, KUBE_FAULT_WATCH_TORN,
                                                  KUBE_FAULT_WATCH_REFUSED};
    if (on) kube_model_compact(the_model);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        kube_model_odds(the_model, NULL, kinds[i], on ? 4 : 0);
    if (on) kube_model_restart(the_model, 10000000); /* so that watches begin anew */
}

static void cut(rig *r, int i, bool on)
{
    (void)r;
    rig_api_cut(i, on);
}

static const trouble_store kubernetes = {.name = "three control nodes",
                                         .first = 0,
                                         .slow = slow,
                                         .gone = gone,
                                         .answers_lost = answers_lost,
                                         .disk = disk,
                                         .history = history,
                                         .cut = cut};

static uint32_t failures(uint64_t seed, int seconds)
{
    static const qd_pair quick[] = {{QD_STR("k8s.lease_duration"), QD_STR("3s")},
                                    {QD_STR("k8s.renew_interval"), QD_STR("1s")},
                                    {QD_STR("k8s.retry_interval"), QD_STR("200ms")}};
    rig_options(quick, 3);
    the_model = rig_api_make(seed);
    rig *r = rig_make(4); /* the fourth one is another store */
    for (int i = 0; i < 3; i++) assert_int_equal(rig_start(r, i, RIG_PEERS, 0, B), 0);
    assert_true(rig_settled(r));
    uint32_t n = trouble_conforms(r, &kubernetes, (int)(seed % 3), seed, seconds);
    rig_free(r);
    rig_api_free();
    rig_options(NULL, 0);
    return n;
}

static void control_nodes_conform_under_faults(void **state)
{
    (void)state;
    trouble_seeds(1, failures);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(control_nodes_conform_under_faults)};
    return unit_run(tests);
}
