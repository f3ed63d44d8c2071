/* guest_t.c: calls that do not return are left, with all that they work with. */
#include "plugin/guest.h"
#include "plugin/host_int.h"
#include "runtime/sync.h"
#include "unit/unit.h"
#include <stdio.h>

#define LIMIT_NS UINT64_C(50000000)

/* A call that returns when it is let go, and then asks whether its caller is still there. */
typedef struct held_call {
    qd_guest_call call; /* first */
    qd_latch *go;       /* NULL: it returns at once */
    qd_latch *gone;     /* told when it has ended */
    _Atomic int *may;   /* what qd_guest_enter said: 1, 2: no */
    int32_t rc;
} held_call;

static int32_t held_run(qd_guest_call *call)
{
    held_call *h = (held_call *)(void *)call;
    if (h->go) (void)qd_latch_wait(h->go);
    bool may = qd_guest_enter();
    if (may) qd_guest_leave();
    if (h->may) atomic_store(h->may, may ? 1 : 2);
    return h->rc;
}

static void held_left(qd_guest_call *call)
{
    held_call *h = (held_call *)(void *)call;
    qd_latch *gone = h->gone;
    qd_free(h);
    qd_latch_done(gone, 0);
}

static held_call *held_make(qd_latch *go, qd_latch *gone)
{
    held_call *h = qd_calloc(NULL, sizeof *h);
    h->call.run = held_run;
    h->call.left = held_left;
    h->call.kind = "operator";
    h->call.what = "next_block";
    h->call.placed = "index";
    snprintf(h->call.name, sizeof h->call.name, "op");
    h->go = go;
    h->gone = gone;
    return h;
}

static qd_guests *guests_open(void)
{
    qd_guests *all;
    assert_int_equal(qdi_guests_open(qd_env_system(), LIMIT_NS, &all), 0);
    return all;
}

static void a_call_returns(void **state)
{
    (void)state;
    qd_guests *all = guests_open();
    _Atomic int may = 0;
    held_call *h = held_make(NULL, NULL);
    h->may = &may;
    h->rc = 7;
    for (int i = 0; i < 1000; i++) {
        bool ran;
        assert_int_equal(qd_guest_run(all, &h->call, NULL, &ran, NULL), 0);
        assert_true(ran);
        assert_int_equal(h->call.rc, 7);
    }
    assert_int_equal(may, 1);
    qd_free(h);
    assert_true(qdi_guests_close(all));
}

static void one_that_does_not_is_left(void **state)
{
    (void)state;
    qd_guests *all = guests_open();
    qd_latch go, gone;
    _Atomic int may = 0;
    uint32_t left, stuck;
    bool ran;
    qd_err err;
    qd_err_init(&err);
    qd_latch_init(&go, 1);
    qd_latch_init(&gone, 1);
    held_call *h = held_make(&go, &gone);
    h->may = &may;
    assert_int_equal(qd_guest_run(all, &h->call, NULL, &ran, &err), QD_E_PLUGIN);
    assert_true(ran);
    assert_string_equal(qd_err_reason(&err),
                        "operator [op] of plugin [] has not returned from next_block for 50 ms "
                        "(plugins.call_timeout); it is not waited for any longer");
    qd_guests_count(all, NULL, &left, &stuck);
    assert_int_equal(left, 1);
    assert_int_equal(stuck, 1);
    qd_latch_done(&go, 0);
    (void)qd_latch_wait(&gone); /* it ends what it works with */
    assert_int_equal(may, 2);   /* its caller has gone */
    qd_err_fini(&err);
    assert_true(qdi_guests_close(all));
}

static void the_end_of_the_task_ends_the_wait(void **state)
{
    (void)state;
    qd_guests *all = guests_open();
    qd_tasks *tasks;
    qd_task task = {0};
    qd_latch go, gone;
    qd_err err;
    bool ran;
    assert_int_equal(qd_tasks_open(qd_env_system(), &tasks, NULL), 0);
    qd_task_begin(tasks, &task, "test", QD_STR(""), true);
    qd_err_init(&err);
    assert_true(qd_task_cancel(&task, "by the test"));
    qd_latch_init(&go, 1);
    qd_latch_init(&gone, 1);
    held_call *h = held_make(&go, &gone);
    assert_int_equal(qd_guest_run(all, &h->call, &task, &ran, &err), QD_E_CANCELLED);
    assert_true(ran);
    qd_latch_done(&go, 0);
    (void)qd_latch_wait(&gone);
    qd_err_fini(&err);
    qd_task_end(&task);
    qd_tasks_close(tasks);
    assert_true(qdi_guests_close(all));
}

static void too_many_are_refused(void **state)
{
    (void)state;
    qd_guests *all = guests_open();
    qd_latch go[QD_GUESTS_STUCK_MAX], gone[QD_GUESTS_STUCK_MAX];
    qd_err err;
    bool ran;
    qd_err_init(&err);
    for (uint32_t i = 0; i < QD_GUESTS_STUCK_MAX; i++) {
        qd_latch_init(&go[i], 1);
        qd_latch_init(&gone[i], 1);
        held_call *h = held_make(&go[i], &gone[i]);
        assert_int_equal(qd_guest_run(all, &h->call, NULL, &ran, NULL), QD_E_PLUGIN);
    }
    held_call *h = held_make(NULL, NULL);
    assert_int_equal(qd_guest_run(all, &h->call, NULL, &ran, &err), QD_E_REJECTED);
    assert_false(ran);
    h->call.ends = true; /* what was taken can be given back */
    assert_int_equal(qd_guest_run(all, &h->call, NULL, &ran, NULL), 0);
    h->call.ends = false;
    for (uint32_t i = 0; i < QD_GUESTS_STUCK_MAX; i++) {
        qd_latch_done(&go[i], 0);
        (void)qd_latch_wait(&gone[i]);
    }
    uint32_t left = 1, stuck;
    while (left) qd_guests_count(all, NULL, &left, &stuck);
    assert_int_equal(qd_guest_run(all, &h->call, NULL, &ran, NULL), 0);
    qd_free(h);
    qd_err_fini(&err);
    assert_true(qdi_guests_close(all));
}

static void the_end_waits_for_none(void **state)
{
    (void)state;
    qd_guests *all = guests_open();
    static qd_latch go, gone; /* as the call: the process ends with them */
    bool ran;
    qd_latch_init(&go, 1);
    qd_latch_init(&gone, 1);
    held_call *h = held_make(&go, &gone);
    assert_int_equal(qd_guest_run(all, &h->call, NULL, &ran, NULL), QD_E_PLUGIN);
    assert_false(qdi_guests_close(all));
    qd_latch_done(&go, 0);
    (void)qd_latch_wait(&gone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_returns),
        cmocka_unit_test(one_that_does_not_is_left),
        cmocka_unit_test(the_end_of_the_task_ends_the_wait),
        cmocka_unit_test(too_many_are_refused),
        cmocka_unit_test(the_end_waits_for_none),
    };
    return unit_run(tests);
}
