/*
 * renew_t.c: a primary that may lack operations of other copies gives its history another name
 * (qd_engine_history_renew), and the power goes at each write of that. Whoever was told that it is
 * done finds the new name for ever: under the old one a copy would catch up by numbers that name
 * other operations there. What was acknowledged stays, whichever name it has.
 */
#include "engine/replica.h"
#include "unit/engine/engine_model.h"

#define DOCS 20
#define LATE 30 /* a document that is written under the new name */
#define STEPS_MOST 400u

typedef struct bench {
    store_crash *disk;
    qd_store *s;
    qd_engine *e;
    qd_engine_config c;
} bench;

static void put(bench *b, int id)
{
    qd_engine_result r;
    assert_int_equal(op_put(b->e, id, 100 + id, false, &r, NULL), 0);
    assert_int_equal(qd_engine_sync(b->e, &r.at, NULL), 0);
}

static void setup(bench *b)
{
    *b = (bench){.disk = store_crash_make(NULL)};
    assert_int_equal(store_crash_open(b->disk, &b->s, NULL), 0);
    b->c = config(b->s);
    assert_int_equal(qd_engine_create(&b->c, &b->e, NULL), 0);
    for (int i = 0; i < DOCS; i++) {
        put(b, i);
        if (i == DOCS / 3) assert_int_equal(qd_engine_flush(b->e, true, NULL), 0);
        if (i == DOCS / 2) assert_int_equal(qd_engine_refresh(b->e, NULL), 0);
    }
}

static void next_life(bench *b, uint64_t seed)
{
    qd_err err;
    qd_err_init(&err);
    qd_engine_close(b->e, false);
    qd_store_close(b->s);
    store_crash_crash(b->disk, seed);
    assert_int_equal(store_crash_open(b->disk, &b->s, NULL), 0);
    b->c = config(b->s);
    if (qd_engine_open(&b->c, &b->e, &err))
        fail_msg("cut at %llu: %s", (unsigned long long)seed, qd_err_reason(&err));
}

static void check(bench *b, bool late, uint64_t seed)
{
    qd_engine_doc doc;
    int value;
    for (int i = 0; i < DOCS; i++) {
        if (!get(b->e, i, true, &doc, &value) || value != 100 + i)
            fail_msg("cut at %llu: document %d is lost", (unsigned long long)seed, i);
    }
    if (late && (!get(b->e, LATE, true, &doc, &value) || value != 100 + LATE))
        fail_msg("cut at %llu: what came under the new name is lost", (unsigned long long)seed);
}

static void check_name(bench *b, const uint8_t name[16], uint64_t seed)
{
    uint8_t is[16];
    qd_engine_history(b->e, is);
    if (memcmp(is, name, 16) != 0)
        fail_msg("cut at %llu: the history has another name than was told",
                 (unsigned long long)seed);
}

/* true: the power went within the renewal. */
static bool cut(uint64_t at)
{
    bench b;
    uint8_t before[16], after[16];
    qd_engine_result r;
    setup(&b);
    qd_engine_history(b.e, before);
    store_crash_power_off_at(b.disk, at);
    bool done = qd_engine_history_renew(b.e, NULL) == 0, late = false;
    if (done) {
        qd_engine_history(b.e, after);
        assert_memory_not_equal(before, after, sizeof before);
        late = op_put(b.e, LATE, 100 + LATE, false, &r, NULL) == 0 &&
               qd_engine_sync(b.e, &r.at, NULL) == 0;
    }
    bool within = !done;
    next_life(&b, at);
    if (done) check_name(&b, after, at);
    check(&b, late, at);
    assert_int_equal(qd_engine_history_renew(b.e, NULL), 0);
    qd_engine_history(b.e, after);
    assert_memory_not_equal(before, after, sizeof before);
    put(&b, LATE);
    next_life(&b, ~at);
    check_name(&b, after, at);
    check(&b, true, at);
    qd_engine_close(b.e, false);
    qd_store_close(b.s);
    store_crash_free(b.disk);
    return within;
}

static void a_renewal_loses_power(void **state)
{
    (void)state;
    uint64_t at = 1, behind;
    while (at < STEPS_MOST && cut(at)) at++;
    assert_in_range(at, 5, STEPS_MOST - 1);
    for (behind = at; behind < at + 8; behind++) assert_false(cut(behind));
    print_message("# %llu losses of power within, 8 behind\n", (unsigned long long)at - 1);
}

/* A replica has no say: its history is that of its primary. */
static void a_replica_renews_nothing(void **state)
{
    (void)state;
    bench b = {.disk = store_crash_make(NULL)};
    uint8_t before[16], after[16];
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(store_crash_open(b.disk, &b.s, NULL), 0);
    b.c = config(b.s);
    b.c.mode = QD_ENGINE_REPLICA;
    b.c.replicated = true;
    assert_int_equal(qd_engine_create(&b.c, &b.e, NULL), 0);
    qd_engine_history(b.e, before);
    assert_int_equal(qd_engine_history_renew(b.e, &err), QD_E_NOT_PRIMARY);
    qd_engine_history(b.e, after);
    assert_memory_equal(before, after, sizeof before);
    assert_int_equal(qd_engine_failure(b.e, NULL), 0);
    qd_err_fini(&err);
    qd_engine_close(b.e, false);
    qd_store_close(b.s);
    store_crash_free(b.disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_renewal_loses_power),
        cmocka_unit_test(a_replica_renews_nothing),
    };
    return unit_run(tests);
}
