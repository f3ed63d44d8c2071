/*
 * message.h: messages of consensus as bytes. Pure. Format: docs/coordination-raft.md.
 *
 * Around the core's message stands what concerns the nodes' folders and not the protocol: the
 * group (cluster and recoveries), the sender's life (how often its folder was opened) with its
 * nonce and that of an earlier life which the receiver knows, the last index durable on it, and the
 * receiver's life as the sender knows it.
 */
#ifndef COORDINATION_RAFT_MESSAGE_H
#define COORDINATION_RAFT_MESSAGE_H

#include "core.h"

enum {
    CR_MESSAGE_BYTES_MAX = (4 << 20) + 65536, /* of one, encoded */
    CR_MESSAGE_ENTRY_MAX = (1 << 20) + 4096,  /* of an entry in it */
    CR_MESSAGE_ENTRIES_MAX = 65536,
    CR_NOTHING = 10 /* type: no message of the core's; only lives */
};

typedef struct cr_envelope {
    uint64_t group;
    uint64_t life, nonce, durable;  /* the sender's */
    uint64_t proof_life, proof;     /* nonce of an earlier life; proof 0: not known any more */
    uint64_t your_life, your_nonce; /* the receiver's; life 0: not known, CR_LIFE_BURNT: not let in
                                       any more */
} cr_envelope;

/* Appends a message. */
void cr_message_write(const cr_message *m, const cr_envelope *e, cr_bytes *out);
/* Reads one; what it points to is new. QD_E_CORRUPT: malformed; nothing is left. QD_E_ABI: of
 * another version. */
int32_t cr_message_read(const cr_heap *h, const uint8_t *p, size_t n, cr_message *m,
                        cr_envelope *e);
/* The group of a cluster after so many recoveries. */
uint64_t cr_group_of(const uint8_t cluster[16], uint64_t recoveries);

#endif
