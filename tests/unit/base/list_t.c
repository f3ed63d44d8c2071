/* list_t.c: intrusive lists against an array of what is in them. */
#include "base/list.h"
#include "unit/unit.h"
#include <stdbool.h>

#define N 7u

typedef struct item {
    struct item *prev, *next;
} item;

/* The list is this array, first to last, both ways. */
static void is(const item *first, item *const *want, uint32_t n)
{
    const item *at = first, *before = NULL;
    for (uint32_t i = 0; i < n; i++) {
        assert_ptr_equal(at, want[i]);
        assert_ptr_equal(at->prev, before);
        before = at;
        at = at->next;
    }
    assert_null(at);
}

/* Every order of taking elements out, and in again. */
static void as_an_array(void **state)
{
    (void)state;
    item all[N], *first = NULL, *want[N];
    uint32_t n = 0, turn = 1;
    memset(all, 0xff, sizeof all); /* what is pushed need not be clean */
    bool in[N] = {false};
    for (uint32_t round = 0; round < 20000; round++) {
        turn = turn * 1664525u + 1013904223u;
        uint32_t i = (turn >> 16) % N, at = 0;
        if (!in[i]) {
            QD_LIST_PUSH(first, &all[i]);
            memmove(want + 1, want, n++ * sizeof *want);
            want[0] = &all[i];
        } else {
            QD_LIST_REMOVE(first, &all[i]);
            assert_true(!all[i].prev && !all[i].next);
            while (want[at] != &all[i]) at++;
            memmove(want + at, want + at + 1, (--n - at) * sizeof *want);
        }
        in[i] = !in[i];
        is(first, want, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_an_array)};
    return unit_run(tests);
}
