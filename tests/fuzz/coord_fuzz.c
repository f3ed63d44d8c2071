/*
 * coord_fuzz.c: coordination-raft's log entries and snapshots of any bytes. The first byte chooses;
 * sums and lengths are put right, so that what lies behind them is reached. A machine that took the
 * bytes must write a snapshot that it can read.
 */
#include "heap.h"
#include <coordination-common/entry.h>
#include <coordination-common/machine.h>
#include <coordination-common/snapshot.h>
#include <stdlib.h>

static const cr_heap heap = {&mem, NULL};

static int32_t take(void *arg, cr_item *row)
{
    return cr_machine_load(arg, row);
}

/* Reads back what a machine is written as. */
static void round_trip(const cr_machine *m)
{
    cr_items rows = {0};
    cr_pieces p;
    cr_bytes all = {.heap = &heap};
    uint64_t index;
    cr_machine_rows(m, &rows);
    if (cr_snapshot_write(&rows, 1, &heap, &p)) __builtin_trap();
    for (uint32_t i = 0; i < p.n; i++) cr_put(&all, p.at[i].p, p.at[i].n);
    cr_pieces_free(&heap, &p);
    cr_machine *again = cr_machine_make(&heap, 100, 1 << 20);
    if (cr_snapshot_read(&heap, all.p, all.n, &index, take, again) || cr_machine_loaded(again) ||
        again->revision != m->revision || again->keys.n != m->keys.n)
        __builtin_trap();
    cr_machine_free(again);
    cr_bytes_free(&all);
    cr_items_free(&heap, &rows);
}

/* Entries, each u16 length and commands. */
static void entries(const uint8_t *p, size_t n, uint64_t epoch)
{
    cr_machine *m = cr_machine_make(&heap, 16, 1 << 16);
    cr_writer w;
    int whole = 1;
    cr_writer_begin(&w, &heap);
    cr_command_begin(&w, CR_FORM);
    cr_put(&w.bytes, "0123456789abcdef", 16);
    cr_put64(&w.bytes, epoch);
    cr_command_end(&w);
    cr_writer_end(&w, 1);
    (void)cr_machine_apply(m, w.bytes.p, w.bytes.n);
    cr_bytes_free(&w.bytes);
    while (n >= 4 && whole) {
        size_t len = p[0] | (size_t)p[1] << 8;
        if (len > n - 4) len = n - 4;
        cr_writer_begin(&w, &heap);
        cr_put(&w.bytes, p + 4, len);
        w.commands = p[2];
        cr_writer_end(&w, p[3]);
        whole = cr_machine_apply(m, w.bytes.p, w.bytes.n) == 0;
        cr_bytes_free(&w.bytes);
        p += 4 + len;
        n -= 4 + len;
    }
    if (whole && m->revision < UINT64_MAX / 2) round_trip(m);
    cr_machine_free(m);
}

/* One piece of a snapshot with its frame put right. */
static void snapshot(const uint8_t *p, size_t n)
{
    uint64_t index;
    cr_bytes b = {.heap = &heap};
    if (n > CR_PIECE_BYTES) return;
    cr_put32(&b, 0x31534451);
    cr_put32(&b, (uint32_t)n);
    cr_put64(&b, cr_sum64(p, n, 0));
    cr_put(&b, p, n);
    while (b.n % 8) cr_put8(&b, 0);
    cr_machine *m = cr_machine_make(&heap, 16, 1 << 16);
    if (cr_snapshot_read(&heap, b.p, b.n, &index, take, m) == 0) (void)cr_machine_loaded(m);
    cr_machine_free(m);
    cr_bytes_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n == 0) return 0;
    if (p[0] & 1)
        snapshot(p + 1, n - 1);
    else
        entries(p + 1, n - 1, p[0] & 2 ? 0 : 1); /* 0: a store that may become a mirror */
    return 0;
}
