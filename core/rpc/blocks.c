/*
 * blocks.c: memory of messages of a piece of a file. The C library gives back what is so large with
 * every message, and the system zeroes it anew page by page: half of what sending a file costs. So
 * blocks of one size are kept while files are on their way, and go when some seconds pass
 * without.
 */
#include "rpc/rpc_int.h"

static char *take_kept(qd_rpc *rpc)
{
    qd_mutex_lock(&rpc->blocks.lock);
    char *p = rpc->blocks.n ? rpc->blocks.kept[--rpc->blocks.n] : NULL;
    if (rpc->blocks.n < rpc->blocks.least) rpc->blocks.least = rpc->blocks.n;
    qd_mutex_unlock(&rpc->blocks.lock);
    return p;
}

char *qdi_block_kept(qd_rpc *rpc, uint32_t class)
{
    return class == QD_RPC_BULK ? take_kept(rpc) : NULL;
}

char *qdi_bytes_alloc(qd_rpc *rpc, uint32_t class, size_t n)
{
    qd_account *a = qdi_account(rpc, class);
    bool block = class == QD_RPC_BULK && n <= BLOCK_BYTES && n > BLOCK_BYTES / 2;
    char *p = block ? take_kept(rpc) : NULL;
    if (!p) p = qd_alloc(a, block ? BLOCK_BYTES : n);
    if (p || a == &rpc->control) return p;
    for (char *kept; (kept = take_kept(rpc));) qd_free(kept); /* they may be what is lacking */
    return qd_alloc(a, n);
}

void qdi_bytes_free(qd_rpc *rpc, char *p)
{
    if (p && qd_alloc_size(p) == BLOCK_BYTES && !atomic_load(&rpc->closing)) {
        qd_mutex_lock(&rpc->blocks.lock);
        if (rpc->blocks.n < BLOCKS_KEPT) {
            rpc->blocks.kept[rpc->blocks.n++] = p;
            p = NULL;
        }
        qd_mutex_unlock(&rpc->blocks.lock);
    }
    qd_free(p);
}

void qdi_blocks_tick(qd_rpc *rpc, uint64_t now_ns)
{
    char *idle[BLOCKS_KEPT];
    uint32_t n = 0;
    qd_mutex_lock(&rpc->blocks.lock);
    bool due = now_ns - rpc->blocks.looked_ns >= BLOCKS_IDLE_NS;
    /* those below the lowest level were not needed since the last time */
    while (due && n < rpc->blocks.least) idle[n++] = rpc->blocks.kept[--rpc->blocks.n];
    if (due) {
        rpc->blocks.least = rpc->blocks.n;
        rpc->blocks.looked_ns = now_ns;
    }
    qd_mutex_unlock(&rpc->blocks.lock);
    for (uint32_t i = 0; i < n; i++) qd_free(idle[i]);
}

void qdi_blocks_end(qd_rpc *rpc)
{
    for (char *kept; (kept = take_kept(rpc));) qd_free(kept);
}
