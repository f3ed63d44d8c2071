/*
 * cluster_t.c: the plugin coordination-k8s over a model of an API server: one control node and
 * three, in one process: the SDK's kit, changes of leader, an API server that is cut off.
 */
#include "base/str.h"
#include "plugin/conform.h"
#include "rig_api.h"
#include "unit/lib/coord_rig.h"
#include "unit/unit.h"
#include <stdatomic.h>

#define B QD_COORD_OPEN_BOOTSTRAP

/* n control nodes that run, and room for one more. */
static rig *nodes(int n)
{
    rig_api_make(7);
    rig *r = rig_make(n + 1);
    for (int i = 0; i < n; i++) assert_int_equal(rig_start(r, i, RIG_PEERS, 0, B), 0);
    assert_true(rig_settled(r));
    return r;
}

static void end(rig *r)
{
    rig_free(r);
    rig_api_free();
}

static int other(int i, int k)
{
    return (i + 1 + k) % 3;
}

/* --- the kit of the SDK --- */

static void kit_line(void *arg, const char *text)
{
    qd_buf_printf(arg, "%s\n", text);
}

static void conforms(int n, bool through_leader)
{
    rig *r = nodes(n);
    int leader = rig_leader_of_all(r);
    qd_buf out;
    qd_conform_run run;
    qd_buf_init(&out, NULL, 1 << 20);
    qd_conform_begin(&run, qd_env_system(), NULL, QD_STR("/nowhere"), NULL, 0, kit_line, &out);
    qd_conform_kind(&run, QD_KIND_COORDINATION, "control nodes",
                    rig_conform_vtable(r, through_leader ? leader : other(leader, 0)));
    uint32_t failures = qd_conform_end(&run);
    if (failures || getenv("RIG_LOG")) print_message("%s", out.p);
    assert_int_equal(failures, 0);
    qd_buf_fini(&out);
    end(r);
}

static void one_conforms(void **state)
{
    (void)state;
    conforms(1, true);
}

static void three_conform_through_the_leader(void **state)
{
    (void)state;
    conforms(3, true);
}

static void three_conform_through_a_follower(void **state)
{
    (void)state;
    conforms(3, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_conforms),
        cmocka_unit_test(three_conform_through_the_leader),
        cmocka_unit_test(three_conform_through_a_follower),
    };
    return unit_run(tests);
}
