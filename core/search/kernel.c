/* kernel.c: which kernel serves a shape. */
#include "search/kernel_int.h"

int qdi_kernel_top(qdi_run *r, qd_topk *q, qd_strategy strategy, const char **name, qd_err *err)
{
    (void)r;
    (void)q;
    (void)strategy;
    (void)name;
    (void)err;
    return 0;
}

int qdi_kernel_count(qdi_run *r, uint64_t limit, uint64_t *n, qd_err *err)
{
    (void)limit;
    (void)err;
    if (r->root->kind == QDI_L_ALL) {
        *n = r->leaf->live_docs;
        return 1;
    }
    if (r->root->kind == QDI_L_TERM && !r->live) {
        *n = r->root->u.cur->p->df;
        return 1;
    }
    return 0;
}
