/*
 * blob.h: immutable objects of the Kubernetes API that hold bytes and are named by their SHA-256:
 * pages of the state, values, large entries. And what all formats here share: hashes, base64,
 * names of objects.
 *
 * Bytes longer than CK_SLICE are cut into slices of that length, each an object of its own, packed
 * by itself: the same bytes make the same slices whatever packed them, so that two writers of one
 * blob never mix. Slice 0 has the blob's name and says how many there are; slice i > 0 has "-i"
 * behind it.
 *
 * Pure: no I/O, no clock, no thread, no random number. Memory of ours comes by cr_must, JSON's by
 * jansson: where a function returns JSON, NULL means that there was no memory. Functions that read
 * write a sentence of CK_WHY bytes into `why` when they fail: what is wrong with which field.
 */
#ifndef COORDINATION_K8S_FORMAT_BLOB_H
#define COORDINATION_K8S_FORMAT_BLOB_H

#include "bytes.h"
#include <jansson.h>

#define CK_API_VERSION "quidditch.io/v1"
#define CK_KIND "QuidditchState"
/* Labels of every object: the cluster's object name; CK_PART_ROOT or what a blob is of. */
#define CK_LABEL_CLUSTER "quidditch.io/cluster"
#define CK_LABEL_PART "quidditch.io/part"
#define CK_FINALIZER "quidditch.io/data" /* what kubectl deletes stays until we take this off */
#define CK_PART_ROOT "root"

enum {
    CK_FORMAT = 1, /* a higher one is refused */
    CK_MINOR = 1,  /* a higher one is read; its fields are kept */
    CK_WHY = 512,
    CK_LABEL = 64,           /* room for a name that is a DNS label: 63 bytes and 0 */
    CK_NAME = 254,           /* room for any name of an object */
    CK_PART_MAX = 512 << 10, /* text of one object */
    CK_SLICE = 376 << 10,    /* bytes in one object: fit in CK_PART_MAX however badly they pack */
    CK_BLOB_MAX = 64 << 20,  /* bytes of one blob */
    CK_SLICES_MAX = (CK_BLOB_MAX + CK_SLICE - 1) / CK_SLICE
};

/* What a blob is of; the letter stands in its name. */
enum { CK_BLOB_PAGE = 'p', CK_BLOB_VALUE = 'v', CK_BLOB_ENTRY = 'e' };

/* SHA-256. */
typedef struct ck_hash {
    uint8_t b[32];
} ck_hash;
/* Of bytes. [any] */
ck_hash ck_hash_of(const void *p, size_t n);
/* 1 when equal. */
static inline int ck_hash_same(const ck_hash *a, const ck_hash *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}
/* 1 when it is all zeros: of nothing. */
int ck_hash_none(const ck_hash *h);
/* 64 hex digits and 0. */
void ck_hash_text(const ck_hash *h, char out[65]);
/* 0, or QD_E_CORRUPT when it is not 64 small hex digits. */
int32_t ck_hash_read(qd_str text, ck_hash *out);

/* --- base64 (RFC 4648, padded) --- */

static inline size_t ck_base64_length(size_t n)
{
    return (n + 2) / 3 * 4;
}
/* Writes ck_base64_length(n) bytes, no 0 behind them. [any] */
void ck_base64_write(const uint8_t *p, size_t n, char *out);
/* Appends what a text says. Strict: the right length, the alphabet, '=' only at the end, no bits
 * left over. QD_E_CORRUPT: nothing is appended. [any] */
int32_t ck_base64_read(qd_str text, cr_bytes *out);

/* --- names --- */

/* 1 when a text is a DNS label: 1 to 63 of a-z 0-9 '-', not '-' at the ends. */
int ck_is_label(qd_str s);
/* The object name of something in a cluster: its own name when that is a DNS label, else what is
 * left of it as one, '-', and 10 hex digits of a hash of cluster and name. The root object of a
 * cluster and the prefix of its blobs: ck_object_name(cluster, cluster). At most 63 bytes. [any] */
void ck_object_name(qd_str cluster, qd_str name, char out[CK_LABEL]);
/* The name of a blob's slice. root: the root's name. [any] */
void ck_blob_name(const char *root, int kind, const ck_hash *h, uint32_t slice, char out[CK_NAME]);
/* What a name says: kind, the first 20 bytes of the hash (the rest zeros), the slice. QD_E_ARG: it
 * is no blob's of this root. [any] */
int32_t ck_name_read(const char *root, qd_str name, int *kind, ck_hash *h, uint32_t *slice);

/* --- blobs --- */

/* Where a cluster's objects are; borrow. */
typedef struct ck_site {
    const char *space;    /* namespace */
    const char *root;     /* name of the root object */
    qd_str cluster;       /* cluster.name */
    uint8_t store_id[16]; /* tells people whose it was; not compared */
} ck_site;

/* Objects that n bytes need, at least 1. */
static inline uint32_t ck_blob_slices(size_t n)
{
    return n ? (uint32_t)((n + CK_SLICE - 1) / CK_SLICE) : 1;
}
/* The object of one slice of bytes (all of them are given; at most CK_BLOB_MAX) whose hash is h.
 * make; NULL: no memory. [any] */
json_t *ck_blob_write(const cr_heap *heap, const ck_site *site, int kind, const ck_hash *h,
                      const uint8_t *p, size_t n, uint32_t slice);

/* One slice as read. */
typedef struct ck_slice {
    int kind;
    ck_hash hash; /* of the blob */
    uint32_t slice, slices;
    uint64_t length; /* of the blob */
    uint8_t store_id[16];
    char uid[64], version[64]; /* of the object; "" when it has none */
    cr_bytes bytes;            /* of the slice; free: cr_bytes_free */
} ck_slice;
/* Reads an object that a writer, or anybody, put there; heap is of out->bytes. Bounds and lengths
 * are checked, the hash is not, as it is the whole blob's. QD_E_CORRUPT, QD_E_FORMAT_NEW; nothing
 * is left. [any] */
int32_t ck_slice_read(const cr_heap *heap, const json_t *object, ck_slice *out, char *why);
/* 1 when an object that is there already under the name of a slice to be written holds the same
 * bytes. p, n: of the whole blob. [any] */
int ck_slice_same(const cr_heap *heap, const json_t *object, int kind, const ck_hash *h,
                  const uint8_t *p, size_t n, uint32_t slice, char *why);

/* A blob being read, slice by slice, in any order. */
typedef struct ck_join {
    const cr_heap *heap;
    int kind;
    ck_hash hash;
    uint32_t slices; /* 0: none came yet */
    uint32_t got;
    uint64_t length;
    uint8_t came[CK_SLICES_MAX];
    cr_bytes at[CK_SLICES_MAX];
} ck_join;
/* Of a blob with this hash. make; free: ck_join_free. */
ck_join *ck_join_make(const cr_heap *heap, int kind, const ck_hash *h);
/* Takes an object that was fetched for it; one that came already is left alone. QD_E_CORRUPT,
 * QD_E_FORMAT_NEW: it is another one's, or damaged; what came before stays. */
int32_t ck_join_add(ck_join *j, const json_t *object, char *why);
/* 1 when the slice came. */
int ck_join_has(const ck_join *j, uint32_t slice);
/* The bytes, once all slices came: moved into out (free: cr_bytes_free). QD_E_STATE: some are
 * missing. QD_E_CORRUPT: they do not have this hash. */
int32_t ck_join_take(ck_join *j, cr_bytes *out, char *why);
/* NULL is fine. */
void ck_join_free(ck_join *j);

#endif
