/*
 * store_int.h: what the files of this module share: the opened tier, the opened file, and the few
 * functions that call the storage vtable for more than one of them.
 */
#ifndef QD_STORE_STORE_INT_H
#define QD_STORE_STORE_INT_H

#include "base/hash.h"
#include "runtime/env.h"
#include "runtime/sync.h"
#include "store/frame_int.h"
#include "store/store.h"
#include <quidditch/storage.h>

#define STORE_MAGIC 0x53544f52u /* ROTS */
#define STORE_LOG_MAGIC 0x53544f4cu
#define STORE_FILE_MAGIC 0x53544f46u
#define STORE_WRITER_MAGIC 0x53544f57u
#define STORE_READS_MAGIC 0x53544f44u

#define STORE_NAME_MAX 255u
#define STORE_WINDOW (1u << 20) /* bytes of one sequential read */

/* What is open of a tier: part of each file, writer and log. */
typedef struct store_handle {
    struct store_handle *prev, *next;
    const char *kind, *name; /* for the message about one that was never closed */
} store_handle;

struct qd_store {
    uint32_t magic, caps;
    qd_storage_vtable vt; /* zeroed behind what the plugin's own has */
    qd_storage *tier;
    qd_storage_info info;
    qd_env *env;   /* its clock */
    qd_mutex lock; /* the list */
    store_handle *open;
    _Atomic uint64_t damaged; /* open files that were found to be */
    _Atomic uint64_t retries; /* calls made once more: throttled, or without an answer */
};

/* A section of an open file. */
typedef struct file_section {
    frame_section at;
    uint8_t *resident; /* own copy (+ slack) on tiers that cannot map, else NULL */
} file_section;

#define FILE_BY_ID 64u /* sections with ids below are found without a search */

struct qd_file {
    uint32_t magic;
    _Atomic uint32_t refs;
    qd_store *store; /* NULL: in memory alone; map is its own */
    store_handle handle;
    qd_account *account;
    char *name;
    qd_storage_object *object;
    const uint8_t *map; /* NULL: the tier cannot map */
    uint64_t bytes;
    uint32_t version, nsections, npages;
    uint32_t sigbus_slot;
    qd_file *whole;           /* what this is a view of, with a reference; itself when it is none */
    _Atomic uint32_t damaged; /* a checksum or a decoder said so */
    _Atomic uint32_t faulted; /* SIGBUS replaced a page of the map by zeros */
    uint8_t id[16];
    file_section *sections;
    uint8_t *sums_own;      /* copy of the checksums where not mapped */
    const uint8_t *sums;    /* npages little-endian words */
    _Atomic uint64_t *seen; /* a bit a page: verified since the file was opened */
    frame_tail tail;
    uint16_t by_id[FILE_BY_ID]; /* index + 1 */
};

/* What may be done again after TIMEOUT, and whether the request's end stops it. */
typedef enum store_try_kind {
    TRY_READ,  /* yes; the task of the calling fiber stops it */
    TRY_WRITE, /* yes; nothing stops it */
    TRY_ONCE   /* no: after REJECTED only */
} store_try_kind;

/* A call of the vtable with its second tries:
 *     qdi_try_begin(&t, s, TRY_WRITE, err);
 *     do rc = s->vt.publish(..., &t.call);
 *     while (qdi_try_again(&t, rc)); */
typedef struct store_try {
    qd_storage_call call;
    qd_store *store;
    store_try_kind kind;
    bool clean, unsure; /* err was empty; a try ended without an answer */
    uint64_t until_ns, pause_ns;
} store_try;
/* Readies a call; err is kept and borrowed by it. [any] */
void qdi_try_begin(store_try *t, qd_store *s, store_try_kind kind, qd_err *err);
/* Is the call to be made once more? Waits before it says so, and empties err. [worker] */
bool qdi_try_again(store_try *t, int32_t rc);
/* These return what the vtable does. [worker] */
int qdi_put_begin(qd_store *s, qd_str name, uint64_t size, qd_storage_put **out, qd_err *err);
/* *sum goes on over what was written. */
int qdi_put_write(qd_store *s, qd_storage_put *put, const void *p, size_t n, qd_storage_sum *sum,
                  qd_err *err);
/* Ends the put. sync false: lazily, where the tier can. */
int qdi_put_commit(qd_store *s, qd_storage_put *put, bool sync, const qd_storage_sum *sum,
                   qd_err *err);
/* Opens an object and finds out its length. */
int qdi_object_open(qd_store *s, qd_str name, qd_storage_object **out, uint64_t *len, qd_err *err);

/* Checks a name; what is for the message. QD_E_ARG. */
QD_MUST_CHECK
int qdi_name_check(qd_str name, bool may_be_empty, qd_err *err);
/* Something of the tier is open from now on; both strings live as long as it is. [any] */
void qdi_store_opened(qd_store *s, store_handle *h, const char *kind, const char *name);
/* It is closed. [any] */
void qdi_store_closed(qd_store *s, store_handle *h);
/* QD_STORE_* of the flags of a storage vtable. */
uint32_t qdi_store_caps(uint64_t flags);
/* Puts what the vtable call returned into shape: a negative code always has a text. */
int qdi_tier_error(qd_err *err, int32_t rc, const char *what, qd_str name);
/* What goes along with a read, which makes its own second tries. [any] */
qd_storage_call qdi_read_call(const qd_store *s, qd_err *err);
/* Reads ranges of an object and waits. flags: QD_STORAGE_READ_*. [worker] */
QD_MUST_CHECK
int qdi_object_read(qd_store *s, qd_storage_object *o, const qd_storage_range *ranges, uint32_t n,
                    uint32_t flags, qd_err *err);
/* NOMEM or BREAKER, whichever kept qd_alloc(account, bytes) from succeeding. */
int qdi_no_memory(qd_account *account, uint64_t bytes, const char *what, qd_err *err);

/* Opens a file whose bytes are in memory and become its own, also when it fails. */
QD_MUST_CHECK
int qdi_file_take(uint8_t *image, uint64_t bytes, qd_str name, qd_account *account, qd_file **out,
                  qd_err *err);
/* Notes that the file is damaged; true: it was not known before. [any] */
bool qdi_file_damage(qd_file *f);
/* Index of a section, or UINT32_MAX. */
uint32_t qdi_file_find(const qd_file *f, uint32_t id);
/* Are pages first..last of a section verified? */
bool qdi_file_pages_seen(const qd_file *f, const frame_section *s, uint64_t first, uint64_t last);
/* qd_file_verify with QD_STORAGE_READ_* of the caller's choice. */
QD_MUST_CHECK
int qdi_file_verify(qd_file *f, uint32_t flags, qd_err *err);
/* Verifies pages first..last of a section, whose bytes stand at p; with again also those seen. */
QD_MUST_CHECK
int qdi_file_pages_check(qd_file *f, const frame_section *s, uint64_t first, uint64_t last,
                         const uint8_t *p, bool again, qd_err *err);

#endif
