/*
 * coord_message_fuzz.c: messages of coordination-raft's consensus of any bytes, with their checksum
 * put right so that what lies behind it is reached. What was read is written again and equals.
 */
#include "heap.h"
#include <coordination-raft/consensus/message.h>
#include <stdlib.h>

static const cr_heap heap = {&mem, NULL};

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    cr_message m;
    cr_envelope e;
    cr_bytes b = {.heap = &heap}, again = {.heap = &heap};
    if (cr_message_read(&heap, p, n, &m, &e) == 0) cr_message_clear(&heap, &m);
    cr_put(&b, p, n);
    cr_put64(&b, cr_sum64(p ? p : (const uint8_t *)"", n, 0x31524451));
    if (cr_message_read(&heap, b.p, b.n, &m, &e) == 0) {
        /* members are sorted when they are read, and the spare words are zero when written */
        cr_message twice;
        cr_envelope other;
        cr_message_write(&m, &e, &again);
        if (cr_message_read(&heap, again.p, again.n, &twice, &other) || twice.term != m.term ||
            twice.nentries != m.nentries || twice.nbytes != m.nbytes || other.life != e.life)
            __builtin_trap();
        for (uint32_t i = 0; i < m.nentries; i++)
            if (m.entries[i]->n != twice.entries[i]->n ||
                m.entries[i]->term != twice.entries[i]->term)
                __builtin_trap();
        cr_message_clear(&heap, &twice);
        cr_message_clear(&heap, &m);
    }
    cr_bytes_free(&b);
    cr_bytes_free(&again);
    return 0;
}
