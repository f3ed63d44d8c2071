/*
 * merge_in_int.h: what a merge gives to the parts: the inputs with their document and field maps.
 */
#ifndef QD_SEGMENT_MERGE_IN_INT_H
#define QD_SEGMENT_MERGE_IN_INT_H

#include "base/mem.h"
#include "segment/columns.h"
#include "segment/ids.h"
#include "segment/points.h"
#include "segment/schema.h"
#include "segment/stored.h"
#include "store/store.h"

#define QDI_DOC_GONE UINT32_MAX   /* in a document map: deleted */
#define QDI_FIELD_NONE UINT32_MAX /* in a field map: the input has no such field */

typedef struct qdi_merge_part {
    const qd_columns *columns; /* parts of one input; NULL when it has none */
    const qd_points_set *points;
    const qd_stored *stored;
    const qd_ids *ids;
    uint32_t docs;       /* documents of the input, deleted ones included */
    uint32_t live;       /* documents that stay */
    uint32_t base;       /* new number of its first document that stays */
    const uint32_t *map; /* old -> new number (ascending unless permuted) or QDI_DOC_GONE; NULL:
                            base + old */
    const uint32_t
        *fields; /* field of the merged schema -> field of the input, or QDI_FIELD_NONE */
} qdi_merge_part;

typedef struct qdi_merge_in {
    const qdi_merge_part *parts; /* in document order: one's documents follow the one's before */
    uint32_t n;
    bool permuted;               /* they do not: every part has a map, in any order */
    const qd_field_info *fields; /* merged schema */
    uint32_t nfields;
    uint32_t docs;     /* of the merged segment */
    uint8_t codec;     /* qd_stored_codec of the merged segment */
    uint32_t id_field; /* number of `_id` in the merged schema, or QDI_FIELD_NONE */
    qd_account *account;
    int (*poll)(void *arg); /* called between blocks; a result other than 0 ends the merge; NULL */
    void *poll_arg;
    qd_store *store; /* of the merged segment, and its name: for what has to wait on the disk */
    qd_str name;
} qdi_merge_in;

/* Documents whose values are put into order in memory at one time, when they are permuted: 1 Mi.
 * Tests lower it. */
extern uint32_t qdi_permute_window;

/* The same for a segment of so many documents: a part is walked at most some sixteen times. */
static inline uint32_t qdi_merge_window(uint32_t docs)
{
    return docs / 16 > qdi_permute_window ? docs / 16 : qdi_permute_window;
}

/* Bytes of values of one window: 64 MiB. Tests lower it. */
extern size_t qdi_permute_bytes;

/* Of more a window takes half the documents, but not fewer than this: a part is walked at most some
 * 64 times. */
static inline uint32_t qdi_merge_window_least(uint32_t docs)
{
    return docs / 64 + 1;
}

/* New number of a document of an input, or QDI_DOC_GONE. */
static inline uint32_t qdi_merge_doc(const qdi_merge_part *p, uint32_t doc)
{
    return p->map ? p->map[doc] : p->base + doc;
}
/* The merge's poll, 0 without one. */
static inline int qdi_merge_poll(const qdi_merge_in *in)
{
    return in->poll ? in->poll(in->poll_arg) : 0;
}

#endif
