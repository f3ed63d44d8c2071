/* gate_t.c: users of a shard's gate keep who wants to be alone out, and the other way round; a
 * fiber waits inside and goes on wherever. */
#include "runtime/fiber.h"
#include "runtime/pool.h"
#include "shard/gate_int.h"
#include "unit/unit.h"

#define ROUNDS 3000u
#define WORKERS 4u

static qdi_gate gate;
static _Atomic uint32_t inside, alone;
static qd_latch over;

static void use(qd_work *w)
{
    (void)w;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        qdi_gate_enter(&gate);
        atomic_fetch_add(&inside, 1);
        qdi_gate_enter(&gate); /* once more, whoever waits */
        assert_int_equal(atomic_load(&alone), 0);
        qdi_gate_leave(&gate);
        atomic_fetch_sub(&inside, 1);
        qdi_gate_leave(&gate);
    }
    qd_latch_done(&over, 0);
}

static void replace(qd_work *w)
{
    (void)w;
    for (uint32_t i = 0; i < ROUNDS / 10; i++) {
        qdi_gate_close(&gate);
        assert_int_equal(atomic_fetch_add(&alone, 1), 0);
        assert_int_equal(atomic_load(&inside), 0);
        atomic_fetch_sub(&alone, 1);
        qdi_gate_open(&gate);
    }
    qd_latch_done(&over, 0);
}

static qd_pool *pool_of(uint32_t threads)
{
    qd_pool *p;
    assert_int_equal(qd_pool_open(qd_env_system(), "gate", threads, 100, &p, NULL), 0);
    return p;
}

static void many_or_one(void **state)
{
    (void)state;
    qd_work work[2 * WORKERS];
    qd_pool *p = pool_of(2 * WORKERS);
    qdi_gate_init(&gate);
    qd_latch_init(&over, 2 * WORKERS);
    for (uint32_t i = 0; i < 2 * WORKERS; i++) {
        work[i] = (qd_work){.run = i < WORKERS ? use : replace};
        assert_int_equal(qd_pool_submit(p, &work[i], NULL), 0);
    }
    assert_int_equal(qd_latch_wait(&over), 0);
    qd_pool_close(p);
    qdi_gate_fini(&gate);
}

/* --- fibers --- */

typedef struct guest {
    qd_work work; /* first */
    qd_pool *pool;
    qd_latch answer;
} guest;

static void wait_inside(void *arg)
{
    guest *x = arg;
    qdi_gate_enter(&gate);
    (void)qd_latch_wait(&x->answer);
    qdi_gate_leave(&gate);
    qd_latch_done(&over, 0);
}

static void run_guest(qd_work *w)
{
    guest *x = (guest *)(void *)w;
    qd_fiber_run(x->pool, wait_inside, x);
}

static void answer_all(qd_work *w)
{
    guest *all = ((guest *)(void *)w) - 3;
    for (int i = 0; i < 3; i++) qd_latch_done(&all[i].answer, 0);
    qd_latch_done(&over, 0);
}

/* One worker: those inside leave it to who answers them. */
static void a_fiber_leaves_its_worker(void **state)
{
    (void)state;
    guest x[4];
    qd_pool *p = pool_of(1);
    qdi_gate_init(&gate);
    qd_latch_init(&over, 4);
    for (int i = 0; i < 4; i++) {
        x[i] = (guest){.work = {.run = i < 3 ? run_guest : answer_all}, .pool = p};
        if (i < 3) qd_latch_init(&x[i].answer, 1);
        assert_int_equal(qd_pool_submit(p, &x[i].work, NULL), 0);
    }
    assert_int_equal(qd_latch_wait(&over), 0);
    qd_pool_close(p);
    qdi_gate_close(&gate);
    qdi_gate_open(&gate);
    qdi_gate_fini(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_or_one),
        cmocka_unit_test(a_fiber_leaves_its_worker),
    };
    return unit_run(tests);
}
