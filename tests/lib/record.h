/*
 * record.h: what the recorder writes and powerloss reads: one record for each change of files below
 * the recorded folder, in the order in which the changes were done.
 *
 * A sync has two records: it makes durable what was recorded before its begin, and counts from its
 * end. One that failed has another second record: what was recorded of the file before its begin
 * stays in the page cache, counts as clean, and no later sync brings it to the disk. Numbers (seq)
 * grow by one a record and stand, as one u64, in the shared counter file, where a test reads them
 * when it gets an acknowledgement.
 */
#ifndef QD_TESTS_RECORD_H
#define QD_TESTS_RECORD_H

#include <stdint.h>

#define RECORD_MAGIC 0x43524451u

enum {
    RECORD_ROOT = 1,    /* ino of the folder itself; first record of each process */
    RECORD_FILE,        /* made: ino, a parent, text name */
    RECORD_DIR,         /* the same of a folder */
    RECORD_LINK,        /* the same of a second name */
    RECORD_UNLINK,      /* a parent, text name */
    RECORD_RENAME,      /* a old parent, b new parent, text old name, more new name */
    RECORD_WRITE,       /* ino, a offset, b 1: synchronous, text bytes */
    RECORD_TRUNCATE,    /* ino, a size */
    RECORD_SYNC_BEGIN,  /* ino; 0: all */
    RECORD_SYNC_END,    /* ino, a seq of the begin */
    RECORD_WRITE_DONE,  /* a seq of an asynchronous write that was synchronous, and has ended;
                         * b 1: it failed, nothing was written */
    RECORD_UNSEEN,      /* something that the recorder cannot follow; text what */
    RECORD_SYNC_FAILED, /* ino, a seq of the begin, text path */
};

/* Which syncs fail: the file of QD_RECORD_FAIL, mapped; the same bytes as in PowerLoss.pm. */
struct record_fail {
    _Atomic int32_t left;    /* syncs that still fail; 0: none */
    _Atomic int32_t pass;    /* of those that are meant, so many succeed before */
    _Atomic uint64_t failed; /* so far */
    char under[256];         /* files whose path holds this text */
};

typedef struct record {
    uint32_t magic, kind;
    uint64_t seq, ino, a, b;
    uint32_t text, more; /* bytes behind the record */
} record;

#endif
