/* What settings of an index must be to each other and to the cluster. */
#include "cluster/index_rules.h"
#include "unit/unit.h"

static int expand(const char *text, uint32_t *min, uint32_t *max)
{
    qd_auto_expand x;
    int rc = qd_index_auto_expand_parse(qd_str_c(text), &x, NULL);
    *min = x.min;
    *max = x.max;
    return rc ? rc : x.on;
}

static void replicas_follow_nodes(void **state)
{
    (void)state;
    uint32_t min, max;
    assert_int_equal(expand("false", &min, &max), 0);
    assert_int_equal(expand("", &min, &max), 0);
    assert_int_equal(expand("0-all", &min, &max), 1);
    assert_int_equal(min, 0);
    assert_int_equal(max, UINT32_MAX);
    assert_int_equal(expand("1-5", &min, &max), 1);
    assert_int_equal(max, 5);
    static const char *const bad[] = {"0",  "a-b",  "3-1",           "-",
                                      "0-", "-1-2", "0-99999999999", "true"};
    for (size_t i = 0; i < QD_COUNT_OF(bad); i++)
        assert_int_equal(expand(bad[i], &min, &max), QD_E_ARG);
    qd_auto_expand x = {true, 1, 3};
    static const uint32_t wanted[] = {1, 1, 1, 2, 3, 3, 3};
    for (uint32_t n = 0; n < QD_COUNT_OF(wanted); n++)
        assert_int_equal(qd_auto_expand_replicas(&x, n), wanted[n]);
}

static void writes_wait_for_copies_that_can_be(void **state)
{
    (void)state;
    int64_t n;
    assert_int_equal(qd_index_active_parse(QD_STR("all"), &n, NULL), 0);
    assert_int_equal(n, QD_ACTIVE_SHARDS_ALL);
    assert_int_equal(qd_index_active_parse(QD_STR("2"), &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(qd_index_active_parse(QD_STR("-2"), &n, NULL), QD_E_ARG);
    assert_int_equal(qd_index_active_parse(QD_STR("two"), &n, NULL), QD_E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicas_follow_nodes),
        cmocka_unit_test(writes_wait_for_copies_that_can_be),
    };
    return unit_run(tests);
}
