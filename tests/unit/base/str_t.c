/* str_t.c: what users of views, buffers, maps and arenas notice. */
#include "base/arena.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/str.h"
#include "unit/unit.h"

static void buffer_keeps_its_maximum(void **state)
{
    (void)state;
    qd_buf b;
    qd_buf_init(&b, NULL, 10);
    assert_int_equal(qd_buf_c(&b, "0123456789"), 0);
    assert_int_equal(qd_buf_char(&b, 'x'), QD_E_LIMIT);
    assert_int_equal(qd_buf_status(&b), QD_E_LIMIT);
    assert_string_equal(b.p, "0123456789");
    qd_buf_fini(&b);
}

static void map_iterates_in_insertion_order(void **state)
{
    (void)state;
    qd_map m;
    qd_map_init(&m, NULL);
    char key[16];
    for (int i = 0; i < 1000; i++) {
        int n = snprintf(key, sizeof key, "key%d", i);
        assert_int_equal(qd_map_put(&m, (qd_str){key, (size_t)n}, (void *)(intptr_t)(i + 1), NULL),
                         0);
    }
    for (int i = 0; i < 1000; i += 2) {
        int n = snprintf(key, sizeof key, "key%d", i);
        assert_int_equal((intptr_t)qd_map_del(&m, (qd_str){key, (size_t)n}), i + 1);
    }
    size_t pos = 0;
    const qd_map_entry *e;
    for (int i = 1; (e = qd_map_next(&m, &pos)); i += 2)
        assert_int_equal((intptr_t)e->value, i + 1);
    assert_int_equal(m.n, 500);
    qd_map_fini(&m);
}

static void accounts_refuse_over_their_limit(void **state)
{
    (void)state;
    qd_account a;
    qd_account_init(&a, "test", NULL, 1000);
    void *p = qd_alloc(&a, 600);
    assert_non_null(p);
    assert_null(qd_alloc(&a, 600));
    assert_int_equal(a.trips, 1);
    p = qd_realloc(&a, p, 900);
    assert_int_equal(qd_account_used(&a), 900);
    qd_free(p);
    assert_int_equal(qd_account_used(&a), 0);
}

static void arena_returns_to_its_mark(void **state)
{
    (void)state;
    qd_arena a;
    qd_arena_init(&a, NULL, 0);
    assert_non_null(qd_arena_alloc(&a, 100));
    qd_arena_mark m = qd_arena_mark_get(&a);
    void *p = qd_arena_alloc(&a, 50);
    assert_non_null(qd_arena_alloc(&a, 100000));
    qd_arena_mark_release(&a, m);
    assert_ptr_equal(qd_arena_alloc(&a, 50), p);
    qd_arena_fini(&a);
}

/* Values of Elasticsearch's own Murmur3HashFunction tests (hash of the UTF-16LE bytes). */
static void routing_hash_is_elasticsearchs(void **state)
{
    (void)state;
    assert_int_equal((uint32_t)qd_routing_hash(QD_STR("hell")), 0x5a0cb7c3u);
    assert_int_equal((uint32_t)qd_routing_hash(QD_STR("hello")), 0xd7c31989u);
    assert_int_equal((uint32_t)qd_routing_hash(QD_STR("hello w")), 0x22ab2984u);
    assert_int_equal((uint32_t)qd_routing_hash(QD_STR("hello wo")), 0xdf0ca123u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_keeps_its_maximum),
        cmocka_unit_test(map_iterates_in_insertion_order),
        cmocka_unit_test(accounts_refuse_over_their_limit),
        cmocka_unit_test(arena_returns_to_its_mark),
        cmocka_unit_test(routing_hash_is_elasticsearchs),
    };
    return unit_run(tests);
}
