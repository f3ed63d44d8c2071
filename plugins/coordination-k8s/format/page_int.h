/* page_int.h: rows as pages and freezes share them; of pages.c, page.c and page_read.c. */
#ifndef COORDINATION_K8S_FORMAT_PAGE_INT_H
#define COORDINATION_K8S_FORMAT_PAGE_INT_H

#include "page.h"

enum { CK_PAGE_MAGIC = 0x31504451 /* "QDP1" */, CK_PAGE_VERSION = 2 };
/* Where a row's value is. */
enum { CK_FORM_INLINE = 0, CK_FORM_BLOB = 1 };

/* A row in the pages, immutable but for what it remembers of its hash, counted. */
typedef struct ck_row {
    const cr_heap *heap;
    _Atomic uint32_t refs;
    _Atomic uint32_t hashed; /* 0: no; 1: being written; 2: hash is there */
    ck_hash hash;            /* of the value as stored */
    cr_item *item;
} ck_row;

/* The rows of one page, sorted by kind and key, counted; changed only by who has the one reference.
 */
typedef struct ck_rows {
    const cr_heap *heap;
    _Atomic uint32_t refs;
    size_t n, cap;
    ck_row *at[];
} ck_rows;

/* What a row was before an entry changed it. */
typedef struct ck_was {
    uint64_t index;
    uint32_t page;
    ck_row *row;  /* NULL: it was not there, */
    cr_item *key; /* this is its key */
} ck_was;

struct ck_pages {
    const cr_heap *heap;
    ck_rows *at[CK_PAGES]; /* NULL: no rows */
    uint64_t changed[CK_PAGES];
    struct {
        uint64_t since; /* what entries behind this one changed is here */
        ck_was *at;     /* by index */
        size_t first, n, cap, bytes;
    } was;
};
struct ck_frozen {
    const cr_heap *heap;
    ck_rows *at[CK_PAGES];
    uint8_t taken[CK_PAGES];
};

/* Order of rows. */
static inline int ck_row_compare(uint32_t kind_a, qd_str a, uint32_t kind_b, qd_str b)
{
    return kind_a != kind_b ? (kind_a < kind_b ? -1 : 1) : cr_compare(a, b);
}
/* The hash of a row's value as stored. [any] */
ck_hash ck_row_hash(ck_row *r);
/* Whether a row's value stands in the page, of a page of that version. */
static inline int ck_is_inline(uint32_t version, uint64_t stored, uint64_t unpacked)
{
    return stored <= (version == 1 ? 256 : CK_VALUE_INLINE) && unpacked <= CK_VALUE_UNPACKED;
}
/* The row of a kind and key, NULL: there is none. Borrow. */
ck_row *ck_rows_find(const ck_rows *v, uint32_t kind, qd_str key);

#endif
