/*
 * stored_context.c: decompressors at rest, shared by all shards.
 *
 * Making one costs more than a small block's decompression: two cpuid instructions, which leave the
 * virtual machine, and 160 KiB that may have to be mapped. So a fetch takes one of those at rest
 * and gives it back. Exchanges alone, no lock: a slot is empty or holds one that nobody else has.
 */
#include "segment/stored/stored_read_int.h"

#define IDLE 8u /* those of more readers at one time are freed */

static _Atomic(ZSTD_DCtx *) idle[IDLE];

ZSTD_DCtx *qdi_stored_context_take(void)
{
    for (uint32_t i = 0; i < IDLE; i++) {
        if (!atomic_load_explicit(&idle[i], memory_order_relaxed)) continue;
        ZSTD_DCtx *x = atomic_exchange(&idle[i], NULL);
        if (x) return x;
    }
    return ZSTD_createDCtx_advanced(qdi_zstd_mem(NULL)); /* outlives shards and their accounts */
}

void qdi_stored_context_give(ZSTD_DCtx *x)
{
    if (!x) return;
    for (uint32_t i = 0; i < IDLE; i++) {
        ZSTD_DCtx *none = NULL;
        if (atomic_load_explicit(&idle[i], memory_order_relaxed)) continue;
        if (atomic_compare_exchange_strong(&idle[i], &none, x)) return;
    }
    ZSTD_freeDCtx(x);
}
