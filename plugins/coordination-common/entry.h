/*
 * entry.h: what stands in the log: entries, each a batch of commands.
 *
 *   entry    magic "QDE1", u32 version, u32 bytes in all, u32 commands, u64 proposal, u64 XXH3 of
 * all that follows and of the 24 bytes before it; commands; zeros up to a multiple of 8. Version 2:
 * in place of the commands u32 bytes of them, u32 bytes packed, zstd of them command  u8 type, u32
 * bytes, payload
 *
 * A command larger than CR_ENTRY_MAX goes in parts, PART commands of an entry each, named by the
 * XXH3-128 of the whole, and then WHOLE, which puts them together and runs them. Pure.
 */
#ifndef COORDINATION_COMMON_ENTRY_H
#define COORDINATION_COMMON_ENTRY_H

#include "bytes.h"
#include <quidditch/coordination.h>

enum {
    CR_ENTRY_MAGIC = 0x31454451, /* "QDE1" */
    CR_ENTRY_VERSION = 1,
    CR_ENTRY_PACKED = 2,
    CR_ENTRY_PACK_MIN = 2048, /* bytes of commands that are packed */
    CR_ENTRY_HEAD = 32,
    CR_ENTRY_MAX = 1 << 20, /* bytes of an entry */
    CR_ENTRY_COMMANDS = 256,
    CR_PART_BYTES = CR_ENTRY_MAX - 256
};

/* Numbers are part of the format. */
enum {
    CR_FORM = 1,     /* store id, epoch: of a new store */
    CR_LEAD = 2,     /* first of a leader: parts of the one before are void */
    CR_TXN = 3,      /* as qd_coord_txn */
    CR_OPEN = 4,     /* request id, ttl */
    CR_KEEP = 5,     /* session: is it alive at this point of the history? */
    CR_CLOSE = 6,    /* session; also at expiry */
    CR_ELECT = 7,    /* owner, number, session, name, value */
    CR_WITHDRAW = 8, /* owner, number, name */
    CR_RESIGN = 9,   /* session, token, name */
    CR_AUTHORITY = 10,
    CR_IMPORT = 11,
    CR_PART = 12,   /* sum, index, bytes */
    CR_WHOLE = 13,  /* sum, parts */
    CR_FROM = 14,   /* owner, number, type, payload: a request of a member's; owner and number
                       name it, so that a repeated one does nothing more */
    CR_RECOVER = 15 /* recoveries, history id: the members were forced */
};

/* An entry being written. */
typedef struct cr_writer {
    cr_bytes bytes;
    uint32_t commands;
    size_t command; /* where the one being written begins */
} cr_writer;

/* Begins an entry. */
void cr_writer_begin(cr_writer *w, const cr_heap *h);
/* Begins a command; its payload follows by cr_put on w->bytes. */
void cr_command_begin(cr_writer *w, uint8_t type);
/* Ends it; its bytes, head included. */
size_t cr_command_end(cr_writer *w);
/* Takes the last command out again: its type and payload, to be freed by cr_bytes_free. */
cr_bytes cr_command_take(cr_writer *w);
/* Ends the entry: header, padding. The bytes stay the writer's. */
void cr_writer_end(cr_writer *w, uint64_t proposal);

/* Commands with more than numbers in them. */
void cr_write_txn(cr_writer *w, const qd_coord_txn *t);
void cr_write_import(cr_writer *w, const qd_coord_import *t);

/* Checks an entry's frame; commands are left in r, those of a packed one in room (empty, with its
 * heap), to be freed by the caller also on an error. QD_E_CORRUPT. */
int32_t cr_entry_read(const uint8_t *p, size_t n, cr_bytes *room, cr_reader *r, uint32_t *commands,
                      uint64_t *proposal);
/* 1 when a payload is what the machine takes for a command of this type, one of CR_TXN to
 * CR_IMPORT: for what another member sent. */
int cr_command_sound(uint8_t type, cr_reader *payload);
/* The next command of an entry. */
uint8_t cr_command_read(cr_reader *r, cr_reader *payload);

#endif
