/*
 * store_int.h: what the files of this module share: the opened tier, the opened file, and the few
 * functions that call the storage vtable for more than one of them.
 */
#ifndef QD_STORE_STORE_INT_H
#define QD_STORE_STORE_INT_H

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
    qd_mutex lock; /* the list */
    store_handle *open;
    _Atomic uint64_t damaged; /* open files that were found to be */
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
    qd_store *store;
    store_handle handle;
    qd_account *account;
    char *name;
    qd_storage_object *object;
    const uint8_t *map; /* NULL: the tier cannot map */
    uint64_t bytes;
    uint32_t version, nsections, npages;
    uint32_t sigbus_slot;
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
/* Reads ranges of an object and waits. flags: QD_STORAGE_READ_*. [worker] */
QD_MUST_CHECK
int qdi_object_read(qd_store *s, qd_storage_object *o, const qd_storage_range *ranges, uint32_t n,
                    uint32_t flags, qd_err *err);
/* NOMEM or BREAKER, whichever kept qd_alloc(account, bytes) from succeeding. */
int qdi_no_memory(qd_account *account, uint64_t bytes, const char *what, qd_err *err);

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
