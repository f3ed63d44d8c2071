/*
 * record.h: what the recorder writes and powerloss reads: one record for each change of files below
 * the recorded folder, in the order in which the changes were done.
 *
 * A sync has two records: it makes durable what was recorded before its begin, and counts from its
 * end. Numbers (seq) grow by one a record and stand, as one u64, in the shared counter file, where
 * a test reads them when it gets an acknowledgement.
 */
#ifndef QD_TESTS_RECORD_H
#define QD_TESTS_RECORD_H

#include <stdint.h>

#define RECORD_MAGIC 0x43524451u

enum {
    RECORD_ROOT = 1,   /* ino of the folder itself; first record of each process */
    RECORD_FILE,       /* made: ino, a parent, text name */
    RECORD_DIR,        /* the same of a folder */
    RECORD_LINK,       /* the same of a second name */
    RECORD_UNLINK,     /* a parent, text name */
    RECORD_RENAME,     /* a old parent, b new parent, text old name, more new name */
    RECORD_WRITE,      /* ino, a offset, b 1: synchronous, text bytes */
    RECORD_TRUNCATE,   /* ino, a size */
    RECORD_SYNC_BEGIN, /* ino; 0: all */
    RECORD_SYNC_END,   /* ino, a seq of the begin */
    RECORD_WRITE_DONE, /* a seq of an asynchronous write that was synchronous, and has ended;
                        * b 1: it failed, nothing was written */
    RECORD_UNSEEN,     /* something that the recorder cannot follow; text what */
};

typedef struct record {
    uint32_t magic, kind;
    uint64_t seq, ino, a, b;
    uint32_t text, more; /* bytes behind the record */
} record;

#endif
