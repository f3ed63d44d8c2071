/*
 * members.h: who belongs to the store, and in which role. Immutable once made, counted; one thread.
 * Pure.
 *
 * Encoding: u32 version 1, u32 n, each: u64 id, u8 role, text name, text address; sorted by id.
 */
#ifndef COORDINATION_COMMON_MEMBERS_H
#define COORDINATION_COMMON_MEMBERS_H

#include "bytes.h"
#include <quidditch/coordination.h>

enum { CR_MEMBERS_MAX = 64, CR_MEMBER_NAME_MAX = 256, CR_MEMBER_ADDRESS_MAX = 272 };

typedef struct cr_member {
    uint64_t id;
    uint32_t role;        /* QD_COORD_VOTER, QD_COORD_STANDBY, QD_COORD_SPARE */
    qd_str name, address; /* borrow; of the list's memory */
} cr_member;
typedef struct cr_members {
    const cr_heap *heap;
    uint32_t refs, n, voters;
    cr_member at[]; /* by id; texts behind */
} cr_members;

/* A list; members in any order. NULL: too many, an id twice or 0, a role or text out of bounds. */
cr_members *cr_members_make(const cr_heap *h, const cr_member *m, uint32_t n);
/* One reference more, one less. NULL is fine. */
cr_members *cr_members_ref(cr_members *m);
void cr_members_drop(cr_members *m);
/* Reads an encoded one; NULL when malformed. Appends one. */
cr_members *cr_members_read(const cr_heap *h, const uint8_t *p, size_t n);
void cr_members_write(const cr_members *m, cr_bytes *out);
/* A member; NULL: none. */
const cr_member *cr_members_find(const cr_members *m, uint64_t id);
/* 1 when it votes. */
int cr_members_votes(const cr_members *m, uint64_t id);
/* The list after adding m, giving it another role or address, or removing it. NULL and *rc:
 * QD_E_NOTFOUND, QD_E_EXISTS (nothing changes), QD_E_ARG (a voter at once; the last voter removed;
 * limits). New members are no voters: they catch up first. */
cr_members *cr_members_changed(const cr_members *list, const cr_member *m, int remove, int32_t *rc);

#endif
