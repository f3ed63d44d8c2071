/* reader_t.c: snapshots of a shard and their lock-free publication: engine/reader.h. */
#include "engine/reader.h"
#include "runtime/env.h"
#include "unit/unit.h"

enum { TAKERS = 3, PUBLICATIONS = 2000 };

static qd_reader *made(uint64_t version, qd_account *account)
{
    qd_reader *r = qd_reader_make(NULL, 0, version, (int64_t)version, account);
    assert_non_null(r);
    return r;
}

/* Between its two steps a publisher has not counted the marks yet that takers give back meanwhile:
 * were the place's own share smaller, the last of them would free what the publisher still holds.
 */
static void a_place_counts_more_than_all_marks(void **state)
{
    (void)state;
    qd_reader_slot slot = {0};
    qd_reader_slot_publish(&slot, made(1, NULL));
    qd_reader *r = qd_reader_slot_take(&slot);
    assert_true(atomic_load(&r->refs) > UINT16_MAX);
    qd_reader_slot_publish(&slot, NULL);
    assert_int_equal(atomic_load(&r->refs), 1);
    qd_reader_unref(r);
}

typedef struct taker {
    qd_reader_slot *slot;
    _Atomic bool *stop;
    uint64_t newest, wrong;
} taker;

static void take(void *arg)
{
    taker *t = arg;
    while (!atomic_load(t->stop)) {
        qd_reader *r = qd_reader_slot_take(t->slot);
        if (!r) continue;
        t->wrong += r->version < t->newest || r->max_seq_no != (int64_t)r->version;
        t->newest = r->version;
        qd_reader_unref(r);
    }
}

static void takers_see_each_publication_whole(void **state)
{
    (void)state;
    qd_env *env = qd_env_system();
    qd_account account;
    qd_reader_slot slot = {0};
    _Atomic bool stop = false;
    taker t[TAKERS];
    qd_thread *thread[TAKERS];
    qd_account_init(&account, "readers", NULL, 0);
    for (int i = 0; i < TAKERS; i++) {
        t[i] = (taker){.slot = &slot, .stop = &stop};
        assert_int_equal(qd_thread_start(env, "taker", take, &t[i], &thread[i], NULL), 0);
    }
    for (uint64_t v = 1; v <= PUBLICATIONS; v++) qd_reader_slot_publish(&slot, made(v, &account));
    qd_reader_slot_publish(&slot, NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < TAKERS; i++) qd_thread_join(env, thread[i]);
    for (int i = 0; i < TAKERS; i++) assert_int_equal(t[i].wrong, 0);
    assert_int_equal(qd_account_used(&account), 0); /* each was freed, once */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_counts_more_than_all_marks),
        cmocka_unit_test(takers_see_each_publication_whole),
    };
    return unit_run(tests);
}
