/*
 * page.h: the state's rows, cut into CK_PAGES pages by kind and key, and a page as bytes.
 *
 *   page   magic "QDP1", u32 version, u32 number of the page, u32 rows; then the rows, sorted by
 *          kind and key, each kind and key once
 *   row    u8 kind, u8 form, number bytes of the key, key, numbers create_revision, mod_revision,
 *          version, session, number bytes of the value when it is packed (else 0), number bytes of
 *          the value as stored; form 0: the value as stored; form 1: SHA-256 of it, it stands in a
 *          blob (CK_BLOB_VALUE). Version 1 has form 1 from 257 bytes on; it is read, not written
 *   number 7 bits a byte, low ones first, the high bit: more follow; as few bytes as will do
 *
 * A page's hash is of these bytes; blob.h packs them. An empty page has no bytes and no hash.
 *
 * Pages remember with which entry they last changed, so that each node, leader or not, knows what
 * differs from the last checkpoint; and what rows were before, so that each node has the pages of
 * that checkpoint, for others that do not reach the API.
 *
 * Pure, as blob.h says. ck_pages belongs to one thread at a time; a freeze may be encoded on
 * another one, while the pages change.
 */
#ifndef COORDINATION_K8S_FORMAT_PAGE_H
#define COORDINATION_K8S_FORMAT_PAGE_H

#include "root.h"

enum {
    CK_PAGE_KEYS = 0,             /* 64 pages of keys, by hash */
    CK_PAGE_ANSWERS = 64,         /* 16 of answers, by slot */
    CK_PAGE_OTHERS = 80,          /* 16 of everything else, by hash */
    CK_VALUE_INLINE = 1024,       /* bytes of a value as stored that stands in the page, */
    CK_VALUE_UNPACKED = 64 << 10, /* and when it is packed at most so many unpacked */
    CK_KEY_MAX = 1024,
    CK_WAS_MAX = 32 << 20 /* bytes of rows as they were that pages remember */
};

/* Where a row belongs. [any] */
uint32_t ck_page_of(uint32_t kind, qd_str key);

typedef struct ck_pages ck_pages;   /* the rows of now */
typedef struct ck_frozen ck_frozen; /* some pages as they were */

/* No rows. make; free: ck_pages_free. */
ck_pages *ck_pages_make(const cr_heap *heap);
/* NULL is fine. */
void ck_pages_free(ck_pages *p);
/* Rows that entry `index` changed, in order (version 0: gone); replaced: all others are gone
 * before. Takes references of its own. Rows that equal what is there change nothing. */
void ck_pages_push(ck_pages *p, uint64_t index, const cr_items *rows, int replaced);
/* Makes a page what was read of it, as of an index. Takes references of its own. */
void ck_pages_set(ck_pages *p, uint32_t page, uint64_t index, const cr_items *rows);
/* The entry that changed a page last; 0: none. */
uint64_t ck_pages_changed(const ck_pages *p, uint32_t page);
/* Rows in a page. */
size_t ck_pages_count(const ck_pages *p, uint32_t page);
/* Appends the rows of a page, sorted, each with a reference. */
void ck_pages_rows(const ck_pages *p, uint32_t page, cr_items *out);

/* What entries up to `since` changed need not be remembered any more: the pages can be shown as
 * they were at each entry from there on. Rows that were replaced are kept for that, CK_WAS_MAX
 * bytes of them; what is more is forgotten, and nothing is shown of before. */
void ck_pages_forget(ck_pages *p, uint64_t since);
/* One page as it was at an entry; costs as many references as it has rows. make: ck_frozen_free;
 * NULL: that is forgotten. */
ck_frozen *ck_pages_at(const ck_pages *p, uint32_t page, uint64_t index);

/* Takes hold of all pages that changed behind entry `since`, as they are now; costs no more than
 * there are pages. make; free: ck_frozen_free. */
ck_frozen *ck_pages_freeze(const ck_pages *p, uint64_t since);
/* The next page of it from `from` on; CK_PAGES: none. */
uint32_t ck_frozen_next(const ck_frozen *f, uint32_t from);
/* A row's item whose value stands in a blob, by the first 20 bytes of that value's hash, which is
 * written to *h whole. Borrow; NULL: the page has none. */
const cr_item *ck_frozen_value(const ck_frozen *f, uint32_t page, const ck_hash *part, ck_hash *h);
/* NULL is fine. [any] */
void ck_frozen_free(ck_frozen *f);

/* A value that a page needs beside it. */
typedef struct ck_value {
    ck_hash hash;
    cr_item *item; /* cr_item_stored is the blob's bytes; a reference */
} ck_value;
/* A page encoded. */
typedef struct ck_encoded {
    uint32_t page;
    ck_hash hash;     /* zeros: the page is empty, there is nothing to write */
    cr_bytes bytes;   /* of the blob (CK_BLOB_PAGE) */
    ck_value *values; /* of the blobs (CK_BLOB_VALUE); each hash once */
    size_t nvalues;
} ck_encoded;
/* Encodes a page of a freeze; make: ck_encoded_free. [any] */
void ck_page_encode(const ck_frozen *f, uint32_t page, ck_encoded *out);
void ck_encoded_free(ck_encoded *e);

/* A row as read: with its item, or with what is known until its value comes. */
typedef struct ck_row_read {
    cr_item *item; /* NULL: the value is in a blob */
    ck_hash hash;  /* of that */
    uint32_t kind;
    cr_item *head;             /* key and numbers, value empty; NULL when item is there */
    uint64_t unpacked, stored; /* lengths; unpacked 0: the value is not packed */
} ck_row_read;
/* A page being read. */
typedef struct ck_decoded {
    const cr_heap *heap;
    uint32_t page;
    ck_row_read *rows;
    size_t nrows;
    size_t missing; /* rows without their item */
} ck_decoded;
/* Reads a page's bytes; the hash was verified by who joined them. QD_E_CORRUPT, QD_E_FORMAT_NEW:
 * nothing is left. make: ck_decoded_free. [any] */
int32_t ck_page_decode(const cr_heap *heap, uint32_t page, const uint8_t *p, size_t n,
                       ck_decoded *out, char *why);
/* Fills in what rows of now hold already. */
void ck_decoded_borrow(ck_decoded *d, const ck_pages *now);
/* Fills in values that another reading of this page has got already. */
void ck_decoded_share(ck_decoded *d, const ck_decoded *from);
/* The next hash to fetch; *at: begin with 0. NULL: no more. A hash comes as often as rows need it
 * and were not filled in yet. */
const ck_hash *ck_decoded_next(const ck_decoded *d, size_t *at);
/* Fills in a value, verified by who joined it, in all rows that need it. QD_E_CORRUPT: it does not
 * fit its row. */
int32_t ck_decoded_value(ck_decoded *d, const ck_hash *h, const uint8_t *p, size_t n, char *why);
/* Appends all rows, each with a reference. QD_E_STATE: values are missing. */
int32_t ck_decoded_rows(const ck_decoded *d, cr_items *out);
/* Hashes of all values in blobs, of a page's bytes: for the collector. Calls take for each. Codes
 * as ck_page_decode. [any] */
int32_t ck_page_values(const uint8_t *p, size_t n, void (*take)(void *arg, const ck_hash *h),
                       void *arg, char *why);
void ck_decoded_free(ck_decoded *d);

#endif
