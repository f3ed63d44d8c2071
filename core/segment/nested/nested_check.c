/* nested_check.c: the counts of nested documents, one by one. */
#include "segment/nested/nested_int.h"

static void check_counts(const qd_children *k, const qd_nested *n, qd_check *c)
{
    uint64_t at = 0;
    for (uint32_t d = 0; d < k->parents; d++) {
        if (d % QDI_CHILDREN_BLOCK == 0 && qd_children_first(k, d) != at)
            qd_check_found(c, "CHILDREN", 0, "[%.*s]: the counts before document %u say %llu",
                           QD_STR_ARG(n->path), d, (unsigned long long)at);
        at += qdi_children_count(k, d);
    }
    if (at != k->children)
        qd_check_found(c, "CHILDREN", 0, "[%.*s]: the counts say %llu documents, there are %u",
                       QD_STR_ARG(n->path), (unsigned long long)at, k->children);
}

int qdi_children_check(const qd_segment *above, const qd_nested *n, qd_check *c, qd_err *err)
{
    qd_arena arena;
    qd_children k;
    uint32_t slot = 0;
    qd_arena_init(&arena, c->account, 0);
    qd_reads *r = qd_reads_make(&arena, c->account);
    int rc = r ? qd_children_plan(above, n, r, &slot, err)
               : qd_err_nomem(err, "check of nested documents");
    if (rc == 0) rc = qd_reads_fetch(r, err);
    if (rc == 0) rc = qd_children_open(&k, above, n, r, slot, err);
    if (rc == 0) check_counts(&k, n, c);
    if (r) qd_reads_release(r);
    qd_arena_fini(&arena);
    return rc;
}
