/*
 * members_t.c: who belongs to the store: forming by names, joining, wiped masters, odd numbers of
 * voters, exclusions, recovery by force, and what is said when the configuration is wrong.
 */
#include "plugin/op.h"
#include "unit/lib/coord_rig.h"
#include "unit/unit.h"
#include <stdatomic.h>

#define B QD_COORD_OPEN_BOOTSTRAP

static rig *form(int n, int first, int how)
{
    rig *r = rig_make(n);
    for (int i = 0; i < first; i++) assert_int_equal(rig_start(r, i, how, first, B), 0);
    assert_true(rig_settled(r));
    return r;
}

static bool logged_soon(rig *r, int i, const char *text)
{
    for (int64_t end = rig_now_ms() + RIG_WAIT; rig_now_ms() < end; rig_pause(20))
        if (rig_logged(r, i, text)) return true;
    return false;
}

/* Three masters whose store holds a value. */
static rig *form_with(const char *value)
{
    rig *r = form(3, 3, RIG_PEERS);
    assert_int_equal(rig_put(r, 0, "k", value, strlen(value), 0, RIG_WAIT, NULL), 0);
    return r;
}

static void names_and_seed_hosts_form(void **state)
{
    (void)state;
    rig *r = form(3, 3, RIG_NAMES);
    int voters, standbys;
    assert_true(rig_members(r, 2, &voters, &standbys));
    assert_int_equal(voters, 3);
    rig_free(r);
}

static void nobody_forms_before_all_are_there(void **state)
{
    (void)state;
    rig *r = rig_make(3);
    char value[8];
    assert_int_equal(rig_start(r, 0, RIG_NAMES, 3, B), 0);
    assert_int_equal(rig_start(r, 1, RIG_NAMES, 3, B), 0);
    assert_int_equal(rig_get(r, 0, "k", value, sizeof value, NULL, 0, 60000), QD_E_NO_COORDINATION);
    assert_true(logged_soon(r, 0, "discovery: waiting for [m3]"));
    assert_int_equal(rig_start(r, 2, RIG_NAMES, 3, B), 0);
    assert_true(rig_settled(r));
    rig_free(r);
}

static void voters_are_odd(void **state)
{
    (void)state;
    rig *r = form(6, 1, RIG_PEERS);
    const char *const seeds[] = {"m1:1", "m2:1", NULL};
    static const int voters[] = {1, 1, 3, 3, 5, 5}, standbys[] = {0, 1, 0, 1, 0, 1};
    for (int i = 0; i < 6; i++) {
        if (i) assert_int_equal(rig_start_with(r, i, NULL, NULL, NULL, NULL, seeds, 0), 0);
        assert_true(rig_wait_members(r, 0, voters[i], standbys[i]));
        assert_int_equal(rig_put(r, i, "k", "v", 1, 0, RIG_WAIT, NULL), 0);
    }
    rig_free(r);
}

static void a_wiped_master_comes_back(void **state)
{
    (void)state;
    rig *r = form_with("v");
    char value[8];
    int voters, standbys;
    rig_kill(r, 1);
    rig_wipe(r, 1);
    assert_int_equal(rig_start(r, 1, RIG_PEERS, 3, B), 0);
    assert_true(logged_soon(r, -1, "master [m2] came back empty"));
    assert_true(rig_settled(r));
    assert_true(rig_wait_members(r, 1, 3, 0));
    assert_int_equal(rig_get(r, 1, "k", value, sizeof value, NULL, QD_COORD_STALE, RIG_WAIT), 0);
    assert_true(rig_members(r, 1, &voters, &standbys));
    assert_int_equal(voters, 3);
    /* its vote is a real one */
    rig_kill(r, 2);
    assert_int_equal(rig_put(r, 1, "k", "w", 1, 0, RIG_WAIT, NULL), 0);
    rig_free(r);
}

static void one_wiped_while_another_is_down(void **state)
{
    (void)state;
    rig *r = form_with("v");
    char value[8];
    rig_kill(r, 1);
    rig_kill(r, 2);
    rig_wipe(r, 2);
    assert_int_equal(rig_start(r, 2, RIG_PEERS, 3, B), 0);
    assert_true(logged_soon(r, 2, "has no leader, so it can let nobody in"));
    assert_int_not_equal(rig_put(r, 0, "k", "w", 1, 0, 2000, NULL), 0);
    assert_int_equal(rig_start(r, 1, RIG_PEERS, 3, B), 0); /* the old two are a majority */
    assert_true(rig_settled(r));
    assert_true(logged_soon(r, -1, "master [m3] came back empty"));
    assert_true(rig_wait_members(r, 0, 3, 0));
    assert_int_equal(rig_get(r, 2, "k", value, sizeof value, NULL, 0, RIG_WAIT), 0);
    rig_free(r);
}

static void two_wiped_wait_for_an_operator(void **state)
{
    (void)state;
    rig *r = form(3, 3, RIG_PEERS);
    char value[8];
    uint64_t revision;
    assert_int_equal(rig_put(r, 0, "k", "v", 1, 0, RIG_WAIT, &revision), 0);
    assert_int_equal(rig_get(r, 0, "k", value, sizeof value, NULL, 0, RIG_WAIT), 0);
    for (int i = 0; i < 3; i++) rig_kill(r, i);
    rig_wipe(r, 1);
    rig_wipe(r, 2);
    for (int i = 0; i < 3; i++) assert_int_equal(rig_start(r, i, RIG_PEERS, 3, B), 0);
    assert_int_equal(rig_get(r, 1, "k", value, sizeof value, NULL, 0, 60000), QD_E_NO_COORDINATION);
    assert_true(logged_soon(r, 1, "qd master recover --unsafe"));
    assert_true(logged_soon(r, 0, "qd master recover --unsafe"));
    /* the operator's order: the store goes on, fenced from what was */
    rig_stop(r, 0);
    assert_int_equal(rig_start(r, 0, RIG_PEERS, 3, B | QD_COORD_OPEN_RECOVER), 0);
    int32_t rc;
    int64_t end = rig_now_ms() + RIG_WAIT;
    while ((rc = rig_get(r, 0, "k", value, sizeof value, NULL, 0, 3000)) != 0 && rig_now_ms() < end)
        rig_pause(10);
    assert_int_equal(rc, 0);
    assert_string_equal(value, "v");
    qd_coord_identity id = {.struct_size = sizeof id};
    rig_vtable(r)->identity(rig_store(r, 0), &id);
    assert_int_equal(id.epoch, 2);
    assert_int_not_equal(memcmp(id.history, id.store_id, 16), 0);
    assert_true(id.revision >= revision);
    /* the others come in again by themselves */
    assert_true(rig_wait_members(r, 0, 3, 0));
    assert_true(rig_settled(r));
    assert_int_equal(rig_get(r, 2, "k", value, sizeof value, NULL, 0, RIG_WAIT), 0);
    rig_free(r);
}

static void who_was_left_behind_is_refused(void **state)
{
    (void)state;
    rig *r = form_with("v");
    char value[8];
    for (int i = 0; i < 3; i++) rig_kill(r, i);
    assert_int_equal(rig_start(r, 0, RIG_PEERS, 3, B | QD_COORD_OPEN_RECOVER), 0);
    assert_true(rig_settled(r));
    assert_int_equal(rig_start(r, 1, RIG_PEERS, 3, B), 0);
    assert_int_equal(rig_start(r, 2, RIG_PEERS, 3, B), 0);
    assert_true(logged_soon(r, 1, "recovered by force without this node"));
    assert_int_not_equal(rig_put(r, 1, "k", "old", 3, 0, 60000, NULL), 0);
    assert_int_equal(rig_get(r, 0, "k", value, sizeof value, NULL, 0, RIG_WAIT), 0);
    assert_string_equal(value, "v");
    rig_free(r);
}

/* A folder put back from a backup has forgotten what it promised: it is not let in. */
static void an_old_copy_is_refused(void **state)
{
    (void)state;
    rig *r = form_with("a");
    char value[8];
    rig_stop(r, 2);
    rig_copy(r, 2);
    assert_int_equal(rig_start(r, 2, RIG_PEERS, 3, B), 0);
    assert_true(rig_settled(r));
    assert_int_equal(rig_put(r, 2, "k", "b", 1, 0, RIG_WAIT, NULL), 0);
    rig_kill(r, 2);
    rig_restore(r, 2);
    assert_int_equal(rig_start(r, 2, RIG_PEERS, 3, B), 0);
    assert_true(logged_soon(r, 2, "this folder is an old copy"));
    assert_int_not_equal(rig_get(r, 2, "k", value, sizeof value, NULL, 0, 3000), 0);
    assert_int_equal(rig_get(r, 0, "k", value, sizeof value, NULL, 0, RIG_WAIT), 0);
    assert_string_equal(value, "b");
    rig_stop(r, 2);
    rig_wipe(r, 2); /* what the message says */
    assert_int_equal(rig_start(r, 2, RIG_PEERS, 3, B), 0);
    assert_true(rig_wait_members(r, 0, 3, 0));
    assert_true(rig_settled(r));
    assert_int_equal(rig_get(r, 2, "k", value, sizeof value, NULL, 0, RIG_WAIT), 0);
    assert_string_equal(value, "b");
    rig_free(r);
}

static void the_excluded_do_not_vote(void **state)
{
    (void)state;
    rig *r = form(4, 3, RIG_PEERS);
    const char *const seeds[] = {"m1:1", "m2:1", "m3:1", NULL};
    assert_int_equal(rig_start_with(r, 3, NULL, NULL, NULL, NULL, seeds, 0), 0);
    assert_true(rig_wait_members(r, 0, 3, 1));
    int leader = rig_leader(r, 0);
    char name[8];
    snprintf(name, sizeof name, "m%d", leader + 1);
    assert_int_equal(rig_member(r, 3, QD_COORD_MEMBERS_EXCLUDE, name, RIG_WAIT), 0);
    assert_true(rig_settled(r));
    assert_int_not_equal(rig_leader(r, 3), leader);
    assert_true(rig_wait_members(r, 3, 3, 1));
    rig_stop(r, leader); /* nobody misses it */
    assert_int_equal(rig_put(r, 3, "k", "v", 1, 0, RIG_WAIT, NULL), 0);
    assert_int_equal(rig_start(r, leader, RIG_PEERS, 3, B), 0);
    assert_int_equal(rig_member(r, 3, QD_COORD_MEMBERS_INCLUDE, "", RIG_WAIT), 0);
    assert_true(rig_settled(r));
    rig_free(r);
}

static void a_removed_master_is_gone(void **state)
{
    (void)state;
    rig *r = form(3, 3, RIG_PEERS);
    int leader = rig_leader(r, 0), gone = (leader + 1) % 3;
    char name[8];
    snprintf(name, sizeof name, "m%d", gone + 1);
    rig_kill(r, gone);
    assert_int_equal(rig_member(r, leader, QD_COORD_MEMBERS_REMOVE, name, RIG_WAIT), 0);
    assert_int_equal(rig_member(r, leader, QD_COORD_MEMBERS_REMOVE, "nobody", RIG_WAIT),
                     QD_E_NOTFOUND);
    int voters, standbys;
    assert_true(rig_members(r, leader, &voters, &standbys));
    assert_true(voters <= 2);
    assert_int_equal(rig_put(r, leader, "k", "v", 1, 0, RIG_WAIT, NULL), 0);
    rig_free(r);
}

static void one_name_for_two(void **state)
{
    (void)state;
    rig *r = form(4, 3, RIG_PEERS);
    const char *const seeds[] = {"m1:1", "m2:1", "m3:1", NULL};
    assert_int_equal(rig_start_with(r, 3, "m2", NULL, NULL, NULL, seeds, 0), 0);
    assert_true(logged_soon(r, 3, "a master named [m2] lives at m2:1"));
    rig_free(r);
}

static void a_name_mistyped(void **state)
{
    (void)state;
    rig *r = rig_make(3);
    const char *const names[] = {"m1", "m2", "m03", NULL}, *const seeds[] = {"m1:1", "m2:1", "m3:1",
                                                                             NULL};
    for (int i = 0; i < 3; i++)
        assert_int_equal(rig_start_with(r, i, NULL, NULL, NULL, names, seeds, B), 0);
    assert_true(logged_soon(r, 0, "waiting for [m03]; there is also [m3] at m3:1"));
    rig_free(r);
}

static void two_clusters_of_one_name(void **state)
{
    (void)state;
    rig *r = rig_make(3);
    const char *const one[] = {"m1:1", NULL}, *const two[] = {"m2:1", NULL},
                      *const both[] = {"m1:1", "m2:1", NULL};
    assert_int_equal(rig_start_with(r, 0, NULL, NULL, one, NULL, NULL, B), 0);
    assert_int_equal(rig_start_with(r, 1, NULL, NULL, two, NULL, NULL, B), 0);
    assert_true(rig_settled(r));
    assert_int_equal(rig_start_with(r, 2, NULL, NULL, NULL, NULL, both, 0), 0);
    assert_true(logged_soon(r, 2, "two clusters answer under this name"));
    rig_stop(r, 2);
    assert_int_equal(rig_start_with(r, 2, NULL, "else", NULL, NULL, both, 0), 0);
    assert_true(logged_soon(r, 2, "is of cluster [rig], this node of [else]"));
    rig_free(r);
}

typedef struct step {
    qd_coord_authority a;
    _Atomic int32_t rc; /* 1: not yet */
} step;

static void step_done(qd_op *op, int32_t rc)
{
    atomic_store(&((step *)op->user)->rc, rc);
}

/* A step of authority, asked of node i, again while there is no leader. */
static int32_t authority(rig *r, int i, uint32_t action, uint64_t epoch, uint64_t new_epoch)
{
    step s = {.a = {.action = action, .epoch = epoch, .new_epoch = new_epoch}};
    s.a.id[0] = (uint8_t)action;
    for (;;) {
        atomic_store(&s.rc, 1);
        qd_op_anywhere(&s.a.op, step_done, &s);
        assert_int_equal(rig_vtable(r)->authority(rig_store(r, i), &s.a), 0);
        while (atomic_load(&s.rc) == 1) rig_pause(1);
        int32_t rc = atomic_load(&s.rc);
        if (rc != QD_E_NOT_LEADER && rc != QD_E_NO_COORDINATION && rc != QD_E_UNKNOWN_OUTCOME)
            return rc;
        rig_pause(10);
    }
}

/* Masters that are to take a cluster over form a store that is in charge of nothing. */
static void a_store_to_be_forms_empty(void **state)
{
    (void)state;
    rig *r = rig_make(3);
    for (int i = 0; i < 3; i++) assert_int_equal(rig_start(r, i, RIG_PEERS, 3, 0), 0);
    assert_true(rig_settled(r));
    assert_int_equal(rig_put(r, 1, "k", "v", 1, 0, RIG_WAIT, NULL), QD_E_FENCED);
    assert_int_equal(authority(r, 0, QD_COORD_BEGIN_MIRROR, 0, 2), 0);
    assert_int_equal(authority(r, 1, QD_COORD_ACTIVATE, 2, 0), 0);
    assert_int_equal(rig_put(r, 2, "k", "v", 1, 0, RIG_WAIT, NULL), 0);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_seed_hosts_form),
        cmocka_unit_test(nobody_forms_before_all_are_there),
        cmocka_unit_test(voters_are_odd),
        cmocka_unit_test(a_wiped_master_comes_back),
        cmocka_unit_test(one_wiped_while_another_is_down),
        cmocka_unit_test(two_wiped_wait_for_an_operator),
        cmocka_unit_test(who_was_left_behind_is_refused),
        cmocka_unit_test(an_old_copy_is_refused),
        cmocka_unit_test(the_excluded_do_not_vote),
        cmocka_unit_test(a_removed_master_is_gone),
        cmocka_unit_test(one_name_for_two),
        cmocka_unit_test(a_name_mistyped),
        cmocka_unit_test(two_clusters_of_one_name),
        cmocka_unit_test(a_store_to_be_forms_empty),
    };
    return unit_run(tests);
}
