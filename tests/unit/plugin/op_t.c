/* op_t.c: an operation ends where its submitter wants it, once. */
#include "plugin/op.h"
#include "runtime/sync.h"
#include "unit/unit.h"

typedef struct request {
    qd_op op;
    qd_latch latch;
    qd_loop *loop;
    bool on_loop;
    int32_t rc;
} request;

static void ended(qd_op *op, int32_t rc)
{
    request *r = op->user;
    r->on_loop = r->loop && qd_loop_here(r->loop);
    r->rc = rc;
    qd_latch_done(&r->latch, 0);
}

static void completes_on_the_loop(void **state)
{
    (void)state;
    request r = {0};
    assert_int_equal(qd_loop_open(qd_env_system(), "test", &r.loop, NULL), 0);
    assert_int_equal(qd_loop_start(r.loop, NULL), 0);
    qd_latch_init(&r.latch, 1);
    qd_op_on_loop(&r.op, r.loop, ended, &r);
    qd_op_complete(&r.op, QD_E_CANCELLED);
    qd_latch_wait(&r.latch);
    assert_true(r.on_loop);
    assert_int_equal(r.rc, QD_E_CANCELLED);
    qd_loop_close(r.loop);
}

static void completes_at_once_elsewhere(void **state)
{
    (void)state;
    request r = {0};
    qd_latch_init(&r.latch, 1);
    qd_op_anywhere(&r.op, ended, &r);
    qd_op_complete(&r.op, 0);
    assert_int_equal(qd_latch_wait(&r.latch), 0);
    assert_int_equal(r.rc, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(completes_on_the_loop),
        cmocka_unit_test(completes_at_once_elsewhere),
    };
    return unit_run(tests);
}
