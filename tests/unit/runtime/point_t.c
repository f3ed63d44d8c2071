/* point_t.c: injection points act where they are built in and cost nothing where they are not. */
#include "runtime/point.h"
#include "unit/unit.h"

static int refuse(void *arg, const char *name)
{
    assert_string_equal(name, "test.place");
    return *(int *)arg;
}

static int step(void)
{
    QD_POINT("test.other");
    return QD_POINT_RC("test.place");
}

static void a_point_acts_by_name(void **state)
{
    (void)state;
    int code = -30;
    assert_int_equal(step(), 0);
#if QD_POINTS_ON
    qd_point_set("test.place", refuse, &code);
    assert_int_equal(step(), -30);
    assert_int_equal(step(), -30);
    assert_int_equal(qd_point_count("test.place"), 2);
    qd_point_set("test.place", NULL, NULL);
    assert_int_equal(step(), 0);
#else
    (void)code;
    (void)refuse;
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_point_acts_by_name),
    };
    return unit_run(tests);
}
