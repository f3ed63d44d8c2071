/* state_t.c: a state shares with those before it what has not changed, and keeps none of them. */
#include "cluster/state/state.h"
#include "unit/unit.h"
#include <stdio.h>

static const char *const keys[] = {"settings/transient", "template/a", "graveyard/b",
                                   "disk/node-a"};

typedef struct changing {
    qd_map kv;
    qd_state_kv at[QD_COUNT_OF(keys)];
    char text[QD_COUNT_OF(keys)][64];
    uint64_t revision;
    qd_state *now;
} changing;

/* The next state: one key has changed. */
static void change(changing *c)
{
    qd_state *next;
    qd_state_changes changes;
    size_t i = c->revision++ % QD_COUNT_OF(keys);
    int n = snprintf(c->text[i], sizeof c->text[i], "{\"logger.x\":\"%s\"}",
                     c->revision & 8 ? "info" : "warn");
    c->at[i] = (qd_state_kv){.value = {c->text[i], (size_t)n}, .mod_revision = c->revision};
    assert_int_equal(qd_map_put(&c->kv, qd_str_c(keys[i]), &c->at[i], NULL), 0);
    qd_state_changes_init(&changes);
    qd_state_changes_add(&changes, qd_str_c(keys[i]));
    assert_int_equal(qd_state_build(&c->kv, c->revision, c->now, &changes, NULL, &next, NULL), 0);
    qd_state_changes_fini(&changes);
    qd_state_unref(c->now);
    c->now = next;
}

static void states_that_nobody_has_are_gone(void **state)
{
    (void)state;
    changing c = {0};
    qd_map_init(&c.kv, NULL);
    for (int i = 0; i < 64; i++) change(&c);
    int64_t used = qd_account_used(&qd_account_general);
    for (int i = 0; i < 6400; i++) change(&c);
    assert_in_range(qd_account_used(&qd_account_general), used - 4096, used + 4096);

    qd_state *held = c.now; /* one that somebody has stays as it was */
    (void)qd_state_ref(held);
    uint64_t revision = held->revision, buried = qd_state_buried(held, QD_STR("b"));
    for (int i = 0; i < 64; i++) change(&c);
    assert_int_equal(held->revision, revision);
    assert_int_equal(qd_state_buried(held, QD_STR("b")), buried);
    assert_int_equal(qd_state_document(held, QD_STR("template/a"))->mod_revision, revision - 2);
    qd_state_unref(held);
    qd_state_unref(c.now);
    qd_map_fini(&c.kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_that_nobody_has_are_gone),
    };
    return unit_run(tests);
}
