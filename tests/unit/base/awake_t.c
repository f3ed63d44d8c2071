/* awake_t.c: things that are awake are looked at each time, each of the others in its turn. */
#include "base/awake.h"
#include "base/str.h"
#include "unit/unit.h"
#include <stdio.h>
#include <string.h>

#define THINGS 37u

typedef struct thing {
    uint32_t refs, seen;
    qd_awake awake;
    char key[16];
} thing;

static void ref(void *x)
{
    ((thing *)x)->refs++;
}

static void unref(void *x)
{
    ((thing *)x)->refs--;
}

static void gather(qd_awake_set *s, const qd_map *all, size_t calls)
{
    qd_awake_list list = {0};
    qd_awake_gather(s, all, calls, &list);
    for (size_t i = 0; i < list.n; i++) {
        ((thing *)list.at[i])->seen++;
        unref(list.at[i]);
    }
    qd_vec_fini(&list);
}

static void each_has_its_turn(void **state)
{
    (void)state;
    static thing all[THINGS];
    qd_awake_set s = {.offset = offsetof(thing, awake), .ref = ref, .unref = unref};
    qd_map map;
    qd_map_init(&map, NULL);
    for (uint32_t i = 0; i < THINGS; i++) {
        snprintf(all[i].key, sizeof all[i].key, "%u", i);
        all[i].refs = 1;
        assert_int_equal(qd_map_put(&map, qd_str_c(all[i].key), &all[i], NULL), 0);
        if (i % 5 == 0) qd_awake_wake(&s, &all[i]);
    }
    qd_awake_wake(&s, &all[0]); /* it is awake already */
    assert_int_equal(s.at.n, 8);
    for (int i = 0; i < 10; i++) gather(&s, &map, 10);
    for (uint32_t i = 0; i < THINGS; i++) {
        assert_true(i % 5 ? all[i].seen >= 1 && all[i].seen <= 2 : all[i].seen == 10);
        assert_int_equal(all[i].refs, i % 5 ? 1 : 2);
        all[i].seen = 0;
    }
    /* the last one takes the place of one that falls asleep */
    qd_awake_sleep(&s, &all[5]);
    qd_awake_sleep(&s, &all[5]);
    qd_awake_sleep(&s, &all[35]);
    assert_false(atomic_load(&all[5].awake.is));
    assert_int_equal(s.at.n, 6);
    gather(&s, &map, 0);
    for (uint32_t i = 0; i < THINGS; i++) assert_int_equal(all[i].seen, 1);
    qd_awake_fini(&s);
    for (uint32_t i = 0; i < THINGS; i++) assert_int_equal(all[i].refs, 1);
    qd_map_fini(&map);
}

static void no_memory_delays(void **state)
{
    (void)state;
    static thing x = {.refs = 1};
    qd_awake_set s = {.offset = offsetof(thing, awake), .ref = ref, .unref = unref};
    qd_map map;
    qd_map_init(&map, NULL);
    assert_int_equal(qd_map_put(&map, QD_STR("x"), &x, NULL), 0);
    qd_mem_fail_at(1, false);
    qd_awake_wake(&s, &x);
    qd_mem_fail_at(0, false);
    assert_false(atomic_load(&x.awake.is));
    assert_int_equal(x.refs, 1);
    gather(&s, &map, 100); /* the sweep finds it */
    assert_int_equal(x.seen, 1);
    qd_awake_fini(&s);
    qd_map_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_its_turn),
        cmocka_unit_test(no_memory_delays),
    };
    return unit_run(tests);
}
