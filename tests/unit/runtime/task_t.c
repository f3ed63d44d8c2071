/* task_t.c: tasks are listed in order, cancelled with their children, and end at their deadline. */
#include "base/str.h"
#include "runtime/task.h"
#include "unit/unit.h"

static void collect(void *arg, const qd_task *t)
{
    uint64_t *last = arg;
    assert_true(t->id > *last);
    *last = t->id;
}

static void tasks_are_listed_by_id(void **state)
{
    (void)state;
    qd_tasks *tasks;
    assert_int_equal(qd_tasks_open(qd_env_system(), &tasks, NULL), 0);
    static qd_task t[100];
    for (int i = 0; i < 100; i++) qd_task_begin(tasks, &t[i], "test", QD_STR("x"), true);
    for (int i = 0; i < 100; i += 3) qd_task_end(&t[i]);
    uint64_t last = 0;
    qd_tasks_each(tasks, collect, &last);
    assert_int_equal(last, 99);
    assert_int_equal(qd_tasks_count(tasks), 66);
    for (int i = 0; i < 100; i++) {
        if (i % 3) qd_task_end(&t[i]);
    }
    qd_tasks_close(tasks);
}

static void called(qd_task *t)
{
    ++*(int *)t->user;
}

static void cancel_reaches_children_and_tells_why(void **state)
{
    (void)state;
    qd_tasks *tasks;
    assert_int_equal(qd_tasks_open(qd_env_system(), &tasks, NULL), 0);
    qd_task parent, child, late, other;
    int calls = 0;
    qd_task_begin(tasks, &parent, "p", QD_STR(""), true);
    qd_task_begin(tasks, &child, "c", QD_STR(""), true);
    child.on_cancel = called;
    child.user = &calls;
    qd_task_parent_set(&child, &parent);
    qd_task_begin(tasks, &other, "o", QD_STR(""), false);
    assert_false(qd_task_stopped(&child));
    assert_int_equal(qd_tasks_cancel_id(tasks, parent.id, "by user request", NULL), 0);
    assert_true(qd_task_stopped(&parent));
    assert_true(qd_task_stopped(&child));
    assert_int_equal(calls, 1);
    qd_task_begin(tasks, &late, "l", QD_STR(""), true);
    qd_task_parent_set(&late, &parent);
    assert_true(qd_task_stopped(&late));
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(qd_task_check(&child, &err), QD_E_CANCELLED);
    assert_string_equal(qd_err_reason(&err), "task cancelled [by user request]");
    qd_err_fini(&err);
    assert_int_equal(qd_tasks_cancel_id(tasks, other.id, "x", NULL), QD_E_ARG);
    assert_int_equal(qd_tasks_cancel_id(tasks, 12345, "x", NULL), QD_E_NOTFOUND);
    qd_task_end(&parent);
    qd_task_end(&child);
    qd_task_end(&late);
    qd_task_end(&other);
    qd_tasks_close(tasks);
}

static void a_passed_deadline_stops_the_task(void **state)
{
    (void)state;
    qd_tasks *tasks;
    assert_int_equal(qd_tasks_open(qd_env_system(), &tasks, NULL), 0);
    qd_task t;
    qd_task_begin(tasks, &t, "t", QD_STR(""), true);
    qd_task_deadline_in(&t, 3600u * 1000000000ull);
    assert_int_equal(qd_task_poll(&t), 0);
    qd_task_deadline_in(&t, 1);
    assert_int_equal(qd_task_poll(&t), QD_E_TIMEOUT);
    assert_true(qd_task_stopped(&t));
    assert_int_equal(qd_task_poll(NULL), 0);
    qd_task_end(&t);
    qd_tasks_close(tasks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_are_listed_by_id),
        cmocka_unit_test(cancel_reaches_children_and_tells_why),
        cmocka_unit_test(a_passed_deadline_stops_the_task),
    };
    return unit_run(tests);
}
