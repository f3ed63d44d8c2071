/* Levels of components. */
#include "base/log.h"
#include "unit/unit.h"
#include <stdio.h>

static bool set(int i, qd_log_level level)
{
    char name[32]; /* it does not outlive the call */
    snprintf(name, sizeof name, "component.%d", i);
    return qd_log_level_set(name, level);
}

static void names_are_not_kept(void **state)
{
    (void)state;
    qd_log_level_set(NULL, QD_LOG_INFO);
    assert_false(qd_log_on("component.7", QD_LOG_DEBUG));
    assert_true(set(7, QD_LOG_DEBUG));
    assert_true(qd_log_on("component.7", QD_LOG_DEBUG));
    assert_false(qd_log_on("component.8", QD_LOG_DEBUG));
    assert_true(set(7, QD_LOG_ERROR));
    assert_false(qd_log_on("component.7", QD_LOG_WARN));
    qd_log_levels_reset();
    assert_true(qd_log_on("component.7", QD_LOG_WARN));
}

/* Those that had levels once take no room. */
static void as_many_as_there_is_room_for(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        int n = 0;
        while (n < 1000 && set(1000 * round + n, QD_LOG_TRACE)) n++;
        assert_int_equal(n, 64);
        assert_true(set(1000 * round, QD_LOG_DEBUG));
        assert_false(qd_log_on("component.0", round ? QD_LOG_DEBUG : QD_LOG_TRACE));
        qd_log_levels_reset();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_not_kept),
        cmocka_unit_test(as_many_as_there_is_room_for),
    };
    return unit_run(tests);
}
