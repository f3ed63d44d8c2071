/*
 * op.c: words of qd_op.host: [0] where to complete (a loop, or `anywhere`; NULL: not pending),
 * [1..3] the post that carries the end to the loop, its user word the result code.
 */
#include "plugin/op.h"
#include <stddef.h>

static char anywhere; /* its address is the mark */

_Static_assert(sizeof(qd_post) <= sizeof(void *) * 3, "a post must fit into the op's host words");
_Static_assert(_Alignof(qd_post) <= _Alignof(void *), "and be aligned there");

static qd_post *op_post(qd_op *op)
{
    return (qd_post *)(void *)&op->host[1];
}

static void prepare(qd_op *op, void *where, void (*done)(qd_op *op, int32_t rc), void *user)
{
    op->host[0] = where;
    op->host[1] = op->host[2] = op->host[3] = NULL;
    op->done = done;
    op->user = user;
}

void qd_op_on_loop(qd_op *op, qd_loop *loop, void (*done)(qd_op *op, int32_t rc), void *user)
{
    qd_assert(loop != NULL && done != NULL);
    prepare(op, loop, done, user);
}

void qd_op_anywhere(qd_op *op, void (*done)(qd_op *op, int32_t rc), void *user)
{
    qd_assert(done != NULL);
    prepare(op, &anywhere, done, user);
}

static void run_done(qd_post *post)
{
    qd_op *op = QD_CONTAINER_OF(post, qd_op, host[1]);
    op->done(op, (int32_t)(intptr_t)post->user);
}

void qd_op_complete(qd_op *op, int32_t rc)
{
    void *where = op->host[0];
    qd_assert(where != NULL); /* not prepared, or completed twice */
    op->host[0] = NULL;
    if (where == &anywhere) {
        op->done(op, rc);
        return;
    }
    qd_post *post = op_post(op);
    post->fn = run_done;
    post->user = (void *)(intptr_t)rc;
    qd_loop_post(where, post);
}
