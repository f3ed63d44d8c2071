/* keep_t.c: values that outlive the runs which made them: what is shared, cycles, and what cannot
 * be kept. */
#include "script/object.h"
#include "script/script.h"
#include "unit/unit.h"

static qd_sv list_of(qd_arena *a, const qd_sv *v, uint32_t n)
{
    qd_sv l;
    assert_int_equal(qd_sv_list_make(a, n, &l), 0);
    for (uint32_t i = 0; i < n; i++) assert_int_equal(qd_sv_list_add(a, l.list, v[i]), 0);
    return l;
}

static void shared(void **state)
{
    qd_arena from, to;
    qd_err err;
    (void)state;
    qd_err_init(&err);
    qd_arena_init(&from, NULL, 0);
    qd_arena_init(&to, NULL, 0);
    qd_sv text, map, v[2];
    assert_int_equal(qd_sv_str_copy(&from, QD_STR("short"), &text), 0);
    qd_sv inner = list_of(&from, &text, 1);
    assert_int_equal(qd_sv_map_make(&from, &map), 0);
    assert_int_equal(qd_sv_map_put(&from, map.map, QD_STR("a"), inner), 0);
    assert_int_equal(qd_sv_map_put(&from, map.map, QD_STR("me"), map), 0);
    assert_int_equal(qd_sv_map_put(&from, map.map, QD_STR("gone"), text), 0);
    qd_sv gone = qd_sv_str(QD_STR("gone"));
    assert_true(qd_sv_map_remove(map.map, &gone));
    v[0] = map;
    v[1] = inner; /* another root holds it as well */
    assert_int_equal(qd_sv_keep(&to, v, 2, &err), 0);
    memset((void *)(uintptr_t)text.p, '?', 5);
    qd_arena_fini(&from);
    const qd_sv *a = qd_sv_map_get(v[0].map, QD_STR("a")),
                *me = qd_sv_map_get(v[0].map, QD_STR("me"));
    assert_int_equal(v[0].map->live, 2);
    assert_non_null(a);
    assert_ptr_equal(a->list, v[1].list);
    assert_ptr_equal(me->map, v[0].map);
    assert_true(qd_sv_is(&v[1].list->v[0], "short"));
    qd_arena_fini(&to);
}

/* 2^60 values, if each were copied. */
static void doubled(void **state)
{
    qd_arena from, to;
    qd_err err;
    (void)state;
    qd_err_init(&err);
    qd_arena_init(&from, NULL, 0);
    qd_arena_init(&to, NULL, 1 << 20);
    qd_sv v = qd_sv_int(7);
    for (int i = 0; i < 60; i++) v = list_of(&from, (const qd_sv[]){v, v}, 2);
    assert_int_equal(qd_sv_keep(&to, &v, 1, &err), 0);
    qd_arena_fini(&from);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(v.list->n, 2);
        assert_true(v.list->v[0].i == v.list->v[1].i);
        v = v.list->v[1];
    }
    assert_int_equal(v.i, 7);
    qd_arena_fini(&to);
}

static void refused(void **state)
{
    qd_arena from, to;
    qd_err err;
    (void)state;
    qd_err_init(&err);
    qd_arena_init(&from, NULL, 0);
    qd_arena_init(&to, NULL, 1 << 16);
    qd_sv v = {.tag = QD_SV_VALUES};
    v = list_of(&from, &v, 1);
    assert_int_equal(qd_sv_keep(&to, &v, 1, &err), QD_E_ARG);
    assert_non_null(strstr(qd_err_reason(&err), "cannot be kept"));
    qd_err_fini(&err);
    v = qd_sv_null();
    for (int i = 0; i < QD_SV_DEPTH + 2; i++) v = list_of(&from, &v, 1);
    assert_int_equal(qd_sv_keep(&to, &v, 1, &err), QD_E_ARG);
    assert_string_equal(qd_err_reason(&err), "the value nests too deep");
    qd_err_fini(&err);
    qd_sv text;
    char *long_ = qd_arena_alloc(&from, 1 << 17);
    memset(long_, 'x', 1 << 17);
    text = qd_sv_str((qd_str){long_, 1 << 17});
    assert_int_equal(qd_sv_keep(&to, &text, 1, &err), QD_E_NOMEM);
    qd_arena_fini(&from);
    qd_arena_fini(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared),
        cmocka_unit_test(doubled),
        cmocka_unit_test(refused),
    };
    return unit_run(tests);
}
