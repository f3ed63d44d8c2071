/* pmap_t.c: persistent maps against plain ones: copies keep what they had, differences are exact.
 */
#include "base/map.h"
#include "base/pmap.h"
#include "base/str.h"
#include "unit/unit.h"
#include <stdio.h>
#include <stdlib.h>

#define KEYS 600u
#define COPIES 40u

static int living;

static void *make(uint32_t x)
{
    uint32_t *v = malloc(sizeof *v);
    *v = x;
    living++;
    return v;
}

static void drop(void *value)
{
    living--;
    free(value);
}

static qd_str key(uint32_t i, char buf[32])
{
    int n = snprintf(buf, 32, "key-%u", i);
    return (qd_str){buf, (size_t)n};
}

static uint32_t random_of(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

typedef struct model {
    qd_pmap map;
    uint32_t at[KEYS]; /* 0: absent */
} model;

static void same(const model *m)
{
    size_t n = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        char buf[32];
        const uint32_t *v = qd_pmap_get(&m->map, key(i, buf));
        assert_int_equal(v ? *v : 0, m->at[i]);
        n += v != NULL;
    }
    assert_int_equal(m->map.n, n);
}

typedef struct met {
    const model *a, *b;
    uint32_t n;
} met;

static int on_difference(void *arg, const qd_pmap_entry *was, const qd_pmap_entry *is)
{
    met *x = arg;
    uint32_t i = (uint32_t)strtoul((was ? was : is)->key + 4, NULL, 10);
    assert_int_equal(was ? *(uint32_t *)was->value : 0, x->a->at[i]);
    assert_int_equal(is ? *(uint32_t *)is->value : 0, x->b->at[i]);
    x->n++;
    return 0;
}

static void differ(const model *a, const model *b)
{
    met x = {a, b, 0};
    uint32_t n = 0;
    assert_int_equal(qd_pmap_diff(&a->map, &b->map, on_difference, &x), 0);
    for (uint32_t i = 0; i < KEYS; i++) n += a->at[i] != b->at[i];
    assert_int_equal(x.n, n);
}

static int count(void *arg, const qd_pmap_entry *e)
{
    (void)e;
    return ++*(uint32_t *)arg == 7 ? 7 : 0;
}

static void copies_keep_what_they_had(void **state)
{
    (void)state;
    static model at[COPIES];
    uint64_t seed = 1;
    uint32_t value = 0, n = 0;
    qd_pmap_init(&at[0].map, drop);
    for (uint32_t c = 0; c < COPIES; c++) {
        model *m = &at[c];
        if (c) {
            *m = at[c - 1];
            qd_pmap_copy(&m->map, &at[c - 1].map);
        }
        uint32_t changes = c % 7 == 6 ? KEYS * 2 : random_of(&seed) % 40;
        for (uint32_t k = 0; k < changes; k++) {
            char buf[32];
            uint32_t i = random_of(&seed) % KEYS;
            bool put = random_of(&seed) % 100 < (c < COPIES / 2 ? 70u : 20u);
            if (put) {
                assert_int_equal(qd_pmap_put(&m->map, key(i, buf), make(++value)), 0);
            } else {
                assert_int_equal(qd_pmap_del(&m->map, key(i, buf)), 0);
            }
            m->at[i] = put ? value : 0;
        }
    }
    for (uint32_t c = 0; c < COPIES; c++) same(&at[c]);
    for (uint32_t c = 0; c < COPIES; c++) differ(&at[c], &at[random_of(&seed) % COPIES]);
    differ(&at[0], &at[COPIES - 1]);
    assert_int_equal(qd_pmap_each(&at[8].map, count, &n), 7);
    for (uint32_t c = 0; c < COPIES; c++) qd_pmap_fini(&at[(c * 7) % COPIES].map);
    assert_int_equal(living, 0);
}

static void a_refused_change_changes_nothing(void **state)
{
    (void)state;
    static model m, before;
    char buf[32];
    qd_pmap_init(&m.map, drop);
    for (uint32_t i = 0; i < KEYS; i += 2) {
        m.at[i] = i + 1;
        assert_int_equal(qd_pmap_put(&m.map, key(i, buf), make(i + 1)), 0);
    }
    before = m;
    qd_pmap_copy(&before.map, &m.map);
    for (uint32_t i = 0; i < KEYS; i++) {
        for (uint64_t nth = 1;; nth++) {
            void *v = i % 3 ? make(1000 + i) : NULL;
            (void)qd_mem_fail_at(nth, true);
            int rc = v ? qd_pmap_put(&m.map, key(i, buf), v) : qd_pmap_del(&m.map, key(i, buf));
            (void)qd_mem_fail_at(0, false);
            if (!rc) break;
            if (v) drop(v);
            if (nth == 1 && i % 50 == 0) same(&m);
        }
        m.at[i] = i % 3 ? 1000 + i : 0;
    }
    same(&m);
    same(&before);
    differ(&before, &m);
    qd_pmap_fini(&m.map);
    same(&before);
    qd_pmap_fini(&before.map);
    assert_int_equal(living, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_keep_what_they_had),
        cmocka_unit_test(a_refused_change_changes_nothing),
    };
    return unit_run(tests);
}
