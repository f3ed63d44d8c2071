/*
 * translog_int.h: record format of the translog, shared by the writer, the recovery and the fuzzer.
 *
 * File header (128 bytes), record and mark: docs/format.md, "Translog". Records of one file are
 * sealed with its generation as seed; between nodes they travel sealed for generation 0.
 */
#ifndef QD_ENGINE_TRANSLOG_INT_H
#define QD_ENGINE_TRANSLOG_INT_H

#include "base/str.h"
#include "base/vec.h"
#include "engine/translog.h"
#include "runtime/sync.h"
#include <stdatomic.h>

#define TRANSLOG_MAGIC "QDTRLOG1"
#define TRANSLOG_VERSION 2u
#define TRANSLOG_HEADER 128u
#define TRANSLOG_NAME_MAX 512u
#define TRANSLOG_LOG "translog"
#define RECORD_MAGIC 0x52745144u /* "DQtR" */
#define MARK_MAGIC 0x4d745144u   /* "DQtM" */
#define RECORD_HEAD 64u
#define MARK_BYTES 32u

/* Removes what is not needed; where that fails it stays as garbage, cleared by the next opening. */
static inline void qdi_store_forget(qd_store *s, qd_str name)
{
    int rc = qd_store_delete(s, name, NULL);
    (void)rc;
}
/* Bytes a record of op takes, padding included. */
static inline size_t qdi_record_bytes(const qd_translog_op *op)
{
    return (RECORD_HEAD + op->id.n + op->routing.n + op->source.n + 7) & ~(size_t)7;
}
/* Writes the record at p (room for qdi_record_bytes). */
void qdi_record_encode(const qd_translog_op *op, uint64_t generation, uint8_t *p);
/* Seals a whole record (its bytes from 16 on) for another generation. */
void qdi_record_reseal(uint8_t *p, uint64_t generation);
/* Writes a mark (MARK_BYTES) naming the durable end and the global checkpoint. */
void qdi_mark_encode(uint64_t durable_end, int64_t checkpoint, uint64_t generation, uint8_t *p);
/* Checks the record at p, n readable bytes: its padded length, or 0 when it is not whole and
 * valid. op's strings point into p. */
size_t qdi_record_decode(const uint8_t *p, size_t n, uint64_t generation, qd_translog_op *op);
/* The same of a record that was checked before: only takes it apart. */
size_t qdi_record_view(const uint8_t *p, qd_translog_op *op);
/* Its checksum, seeded by its generation. */
uint64_t qdi_record_sum(const char *p);
/* Checks a mark: true, its durable end and the checkpoint. */
bool qdi_mark_decode(const uint8_t *p, size_t n, uint64_t generation, uint64_t *durable_end,
                     int64_t *checkpoint);
/* Length that the record head at p claims (padded), 0 when it cannot be one. n >= 16. */
size_t qdi_record_claimed(const uint8_t *p);
/* What a file's header says. */
typedef struct translog_head {
    uint8_t uuid[16], history[16];
    uint64_t generation, primary_term;
    int64_t checkpoint; /* global, known when it was begun */
    int64_t trim_above; /* records before with a higher number and a lower term are void */
    uint64_t trim_below_term;
    /* of the generation before: operations, their lowest and highest number (-1: none) */
    uint64_t before_operations;
    int64_t before_min, before_max;
    /* of the generation before, when this process had found it: the end of what is surely durable.
     * What is behind it is read as far as it is good. 0: all of it is durable */
    uint64_t before_durable;
} translog_head;
/* Writes a file header. */
void qdi_translog_header(uint8_t p[TRANSLOG_HEADER], const translog_head *h);
/* Checks a file header of a log `uuid`; QD_E_TRANSLOG_CORRUPT naming file and place. */
int qdi_translog_header_check(const uint8_t p[TRANSLOG_HEADER], const uint8_t uuid[16],
                              uint64_t generation, const char *file, translog_head *out,
                              qd_err *err);
/* "<folder>/translog-<generation>" into buf. */
qd_str qdi_translog_name(qd_str folder, uint64_t generation, char *buf, size_t n);

typedef int (*translog_each)(void *arg, const qd_translog_op *op, const qd_translog_location *at,
                             qd_err *err);
/* What a whole reading of one generation finds. */
typedef struct translog_found {
    uint64_t end;     /* of the good records; 0: not even a header, the file may go */
    uint64_t durable; /* where the highest mark says that what is durable ends; 0: there is none */
    uint64_t records; /* end of the last record, 0: there is none */
    uint64_t first_mark; /* its offset; 0: there is none */
    int64_t checkpoint;  /* highest of the marks, -1 */
    translog_head head;
} translog_found;
#define TRANSLOG_SEALED UINT64_MAX
/* Reads one generation from its header to its end. Bytes before `durable` were durable, and any bad
 * one is corruption; TRANSLOG_SEALED: all of them, 0: what its marks tell. */
int qdi_translog_read_all(qd_store_log *log, const char *file, uint64_t generation,
                          uint64_t durable, const uint8_t uuid[16], qd_account *account,
                          translog_each each, void *arg, translog_found *found, qd_err *err);
/* Reads the records between two offsets, which are known to be good: any bad byte is corruption. */
int qdi_translog_read_known(qd_store_log *log, const char *file, uint64_t generation, uint64_t from,
                            uint64_t end, qd_account *account, translog_each each, void *arg,
                            qd_err *err);

/* One generation; its file stays open while the log or a cursor has a reference. */
typedef struct translog_file {
    _Atomic uint32_t refs;
    uint64_t number;
    qd_store_log *log;
    uint64_t bytes; /* final once it is no longer the current one */
    /* of one that was found: the end of what is surely on the disk, by its marks, at least the
     * header. 0: all that this process wrote and synced */
    uint64_t durable;
    uint64_t records; /* of one that was found: the end of the last record, 0: there is none */
    bool marked;      /* of one that was found: it has a mark */
    uint64_t operations;
    int64_t min_seq_no, max_seq_no; /* -1: none */
    translog_head head;
    char name[]; /* for messages */
} translog_file;

struct qd_translog {
    qd_env *env;
    qd_store *store;
    char *folder;
    qd_translog_identity who;
    qd_account *account;

    qd_mutex lock;
    qd_cond wake;
    qd_buf buf[2];
    int pending;            /* index of the buffer that callers fill */
    uint64_t pending_base;  /* file offset of its first byte */
    uint64_t inflight_base; /* of the other one, while writing */
    bool writing, rolling;
    _Atomic bool unbegun; /* nothing was added since it was opened: the last generation is one that
                           * was found, and takes no more */
    qd_seq_no *numbers;   /* whose durable checkpoint this log tells; NULL: of nobody */
    /* the lowest number of the records that are not durable: in the pending buffer, and before it;
     * INT64_MAX: none */
    int64_t pending_min, unsynced_min;
    uint64_t synced; /* of the current generation: every record that ends at or below is durable */
    uint64_t sure;   /* what a sync has covered: without the mark that was appended behind it */
    qd_err failure;
    uint64_t operations, syncs, writes;
    uint64_t committed_generation;
    _Atomic int64_t checkpoint; /* global, known */
    int64_t checkpoint_written; /* in a mark that was written */
    _Atomic int64_t checkpoint_durable;

    qd_rwlock files_lock;
    QD_VEC(translog_file *) files; /* ascending; the last one is current */
};

/* A generation's struct with one reference; log moves in. NULL when out of memory. */
translog_file *qdi_translog_file_make(qd_translog *t, const translog_head *head, qd_store_log *log);
/* One reference less; the last one closes the file. */
void qdi_translog_file_unref(translog_file *f);
/* An unopened log: locks and buffers. */
int qdi_translog_make(qd_env *env, qd_store *s, qd_str folder, const qd_translog_identity *who,
                      qd_account *account, qd_translog **out, qd_err *err);
/* Frees all of it. */
void qdi_translog_destroy(qd_translog *t);
/* Writes what is pending, without a sync; not if somebody writes already. */
int qdi_translog_write_pending(qd_translog *t, qd_err *err);
/* Makes and enters the next generation. Under the lock, or while nobody else has the log. */
int qdi_translog_begin(qd_translog *t, const qd_translog_turn *turn, uint64_t number, qd_err *err);
/* Leaves that to the first bytes that are added: what was found is durable. While nobody else has
 * the log. */
void qdi_translog_begin_later(qd_translog *t);
/* Begins it now, before something is decided that must be logged. Cheap once it was begun. */
QD_MUST_CHECK
int qdi_translog_ready(qd_translog *t, qd_err *err);

#endif
