/*
 * stored_check.c: every block is decompressed, every document found.
 */
#include "segment/stored/stored_read_int.h"

static int count(void *arg, uint32_t doc, qd_str bytes)
{
    (void)doc;
    (void)bytes;
    ++*(uint64_t *)arg;
    return 0;
}

int qdi_stored_check(const qd_stored *s, qd_check *c, qd_err *err)
{
    qd_stored_scratch scratch = {.account = c->account};
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < s->head.blocks; i++) {
        qdi_stored_block b;
        qdi_stored_block_at(s, i, &b);
        rc = qd_stored_scan(s, b.first, b.first + b.docs, &scratch, count, &c->documents, err);
        rc = qd_check_error(c, "STORED", rc, err);
    }
    qd_stored_scratch_fini(&scratch);
    return rc;
}
