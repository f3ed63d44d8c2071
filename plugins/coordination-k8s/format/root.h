/*
 * root.h: the root object of a cluster's state in the Kubernetes API. A state change is committed
 * by one PUT of it, with uid and resourceVersion.
 *
 * The log: entries 1 .. index. `tail` holds those behind `checkpoint`; the state as of entry
 * `checkpoint` is in the pages (page.h) whose hashes stand here. ids are of the last CK_IDS
 * entries, so that a writer who does not know what became of its PUT can see it.
 *
 * Every writer keeps the order: recoveries, writes, epoch, revision, shown, leader.term, index and
 * checkpoint never fall from one root to the next. A new one is made as a clone of the one before
 * with changes. ck_root_follows relies on that.
 *
 * Pure, as blob.h says. A root belongs to one thread at a time; entries are shared by counting.
 */
#ifndef COORDINATION_K8S_FORMAT_ROOT_H
#define COORDINATION_K8S_FORMAT_ROOT_H

#include "blob.h"

enum {
    CK_PAGES = 96,
    CK_IDS = 256,
    CK_TAIL_ENTRIES = 256,       /* in the tail at most: all of them have their ids in the root */
    CK_TAIL_MAX = 24 << 10,      /* text of the tail from which a checkpoint is wanted */
    CK_ROOT_MAX = 48 << 10,      /* text of the spec */
    CK_INLINE_MAX = 4 << 10,     /* bytes of a packed entry that stands in the tail itself */
    CK_INLINE_BYTES = 256 << 10, /* of such an entry, unpacked */
    CK_EXTRA_MAX = 8 << 10,      /* text of fields that are not known */
    CK_ENTRY_BYTES = 4 << 20,    /* of an entry, unpacked */
    CK_TEXT = 256,               /* name, address: room with 0 */
    CK_SPEAKERS = 5              /* control nodes that talk to the API at a time */
};

/* A control node that talks to the API; others are told by these. */
typedef struct ck_speaker {
    uint64_t id; /* not 0 */
    char name[CK_TEXT], address[CK_TEXT];
} ck_speaker;

/* An entry of the log, immutable, counted. One that is not small stands in a blob (CK_BLOB_ENTRY)
 * of its bytes; then the tail has hash and length alone. */
typedef struct ck_entry {
    const cr_heap *heap;
    _Atomic uint32_t refs;
    uint64_t index, term;
    uint64_t id; /* random, not 0: of the proposal, the same over retries */
    size_t n;
    const uint8_t *bytes; /* NULL: it stands in a blob and was not fetched yet */
    int large;            /* it stands in a blob */
    ck_hash hash;         /* of its bytes, when large */
    int packed;           /* text is of packed bytes */
    size_t text_len;
    const char *text; /* base64, as in the tail; NULL when large; 0 behind it */
} ck_entry;
/* An entry with one reference; bytes (1 .. CK_ENTRY_BYTES) are copied, packed when that helps.
 * [any] */
ck_entry *ck_entry_make(const cr_heap *heap, uint64_t index, uint64_t term, uint64_t id,
                        const uint8_t *p, size_t n);
/* The same at another place of the log, for one who lost a compare-and-set. [any] */
ck_entry *ck_entry_moved(const ck_entry *e, uint64_t index, uint64_t term);
/* The same with the bytes of its blob. QD_E_CORRUPT: they are not this entry's. [any] */
int32_t ck_entry_loaded(const ck_entry *e, const uint8_t *p, size_t n, ck_entry **out, char *why);
/* One reference more; returns it. NULL is fine. [any] */
ck_entry *ck_entry_ref(ck_entry *e);
/* One less. NULL is fine. [any] */
void ck_entry_drop(ck_entry *e);

typedef struct ck_root {
    const cr_heap *heap;
    /* of the object; texts are opaque, "": not created yet */
    char uid[64], version[64];
    char cluster[CK_TEXT]; /* as read; written is what the site says */
    int deleting;          /* read only: somebody asked for its deletion */
    json_t *meta;          /* labels, annotations, finalizers, ownerReferences as read; NULL: none.
                              Written back, with our labels. Immutable: replace it, never change it */
    uint32_t minor;        /* of the format, as read; at least CK_MINOR when written */
    uint8_t store_id[16], history_id[16]; /* zeros: not formed */
    uint64_t recoveries;
    uint64_t writes; /* of this object so far: each one changes it, and shows which came later */
    /* as of entry `shown` */
    uint32_t state; /* QD_COORD_EMPTY ... */
    uint64_t epoch, revision, shown;
    struct {
        uint64_t id; /* 0: nobody leads */
        uint64_t term;
        char name[CK_TEXT], address[CK_TEXT];
    } leader;
    ck_speaker speakers[CK_SPEAKERS]; /* the leader among them */
    uint32_t nspeakers;               /* 0: not told, all talk to the API */
    uint64_t index;                   /* of the last entry; 0: none */
    uint64_t checkpoint;              /* pages hold the state as of it */
    ck_entry **tail;                  /* entries checkpoint + 1 .. index, a reference each */
    uint32_t ntail, tail_cap;
    uint64_t ids[CK_IDS];    /* of entry i at i % CK_IDS; 0: there is none */
    ck_hash pages[CK_PAGES]; /* zeros: an empty page */
    json_t *claim; /* which store is to form the cluster: an object; NULL: none. Immutable */
    json_t *extra; /* fields of a newer minor version, kept: an object; NULL. Immutable */
} ck_root;

/* An empty root: no store, nobody leads. [any] */
ck_root *ck_root_make(const cr_heap *heap);
/* The same again: entries and JSON are shared. [any] */
ck_root *ck_root_clone(const ck_root *r);
/* NULL is fine. [any] */
void ck_root_free(ck_root *r);

/* Reads an object of kind QuidditchState with everything in it. QD_E_CORRUPT; QD_E_FORMAT_NEW; *out
 * is untouched then. Entries in blobs come without their bytes. [any] */
int32_t ck_root_read(const cr_heap *heap, const json_t *object, ck_root **out, char *why);
/* The same, by one who has the root before (or NULL): entries that both have are shared, with the
 * bytes of those in blobs; what is new alone is unpacked. */
int32_t ck_root_read_after(const cr_heap *heap, const json_t *object, const ck_root *before,
                           ck_root **out, char *why);
/* All texts are UTF-8. The whole object for POST or PUT: with uid and resourceVersion when the root
 * has them, labels, what meta holds, spec. make; NULL: no memory. [any] */
json_t *ck_root_object(const ck_root *r, const ck_site *site);
/* The spec alone. make; NULL: no memory. [any] */
json_t *ck_root_write(const ck_root *r, const ck_site *site);
/* Bytes that the spec has as text; never too few. [any] */
size_t ck_root_size(const ck_root *r, const ck_site *site);

/* 1 when this entry fits behind the last one: CK_ROOT_MAX, CK_TAIL_ENTRIES. [any] */
int ck_root_room(const ck_root *r, const ck_site *site, const ck_entry *e);
/* Appends an entry: e->index is index + 1. Takes its reference. */
void ck_root_push(ck_root *r, ck_entry *e);
/* The entry at a place in the tail, NULL: it is not in the tail. Borrow. */
ck_entry *ck_root_entry(const ck_root *r, uint64_t index);
/* Puts an entry with its bytes (ck_entry_loaded) in place of the one of the same index; takes the
 * reference. */
void ck_root_entry_set(ck_root *r, ck_entry *e);
/* 1: entry `index` has this id. 0: it is another's, or not there yet. -1: too long ago to tell. */
int ck_root_has(const ck_root *r, uint64_t index, uint64_t id);
/* The index of the entry with this id among those whose ids are here; 0: none. */
uint64_t ck_root_find(const ck_root *r, uint64_t id);
/* 1 when the tail is so long that a checkpoint is wanted. */
int ck_root_full(const ck_root *r);
/* The state as of an index (checkpoint .. index) is in these pages now; entries up to there go from
 * the tail. */
void ck_root_checkpoint(ck_root *r, uint64_t index, const ck_hash pages[CK_PAGES]);

/* 1 when this control node is one that talks to the API. */
int ck_root_speaks(const ck_root *r, uint64_t id);
/* It is one from now on; when there are enough, in place of `instead`, or of the last one. */
void ck_root_speaker_add(ck_root *r, uint64_t id, const char *name, const char *address,
                         uint64_t instead);
/* It is none. */
void ck_root_speaker_drop(ck_root *r, uint64_t id);

/* How a root that came stands to the one that is known. */
enum {
    CK_SAME,   /* the same version */
    CK_NEXT,   /* a later one of the same history */
    CK_STALE,  /* an earlier one. From a watch or a cache: drop it. From a read of the quorum: the
                  server's store was restored from a backup */
    CK_FOREIGN /* not of this history: stop following */
};
/* Compares uid, store, history, recoveries, epoch, revision, term, index, checkpoint and the ids
 * that both have. why gets a sentence with STALE and FOREIGN. [any] */
int ck_root_follows(const ck_root *known, const ck_root *came, char *why);

#endif
