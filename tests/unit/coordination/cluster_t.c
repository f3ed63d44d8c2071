/*
 * cluster_t.c: several masters in one process over a network in memory: forming, forwarding,
 * changes of leader, watches, sessions, elections.
 */
#include "unit/lib/coord_rig.h"
#include "unit/unit.h"

#define B QD_COORD_OPEN_BOOTSTRAP

static rig *three(void)
{
    rig *r = rig_make(3);
    for (int i = 0; i < 3; i++) assert_int_equal(rig_start(r, i, RIG_PEERS, 3, B), 0);
    assert_true(rig_settled(r));
    return r;
}

static void three_form_and_replicate(void **state)
{
    (void)state;
    rig *r = three();
    char key[16], value[32];
    uint64_t mod;
    for (int i = 0; i < 3; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(rig_put(r, i, key, "value", 5, 0, 10000, NULL), 0);
        for (int k = 0; k < 3; k++) { /* linearizable everywhere, at once */
            assert_int_equal(rig_get(r, k, key, value, sizeof value, &mod, 0, 10000), 0);
            assert_string_equal(value, "value");
        }
    }
    int voters, standbys, leader = rig_leader(r, 0);
    assert_true(rig_members(r, 1, &voters, &standbys));
    assert_int_equal(voters, 3);
    assert_int_equal(standbys, 0);
    assert_true(leader >= 0);
    assert_int_equal(rig_leader(r, 1), leader);
    assert_int_equal(rig_leader(r, 2), leader);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_form_and_replicate),
    };
    return unit_run(tests);
}
