/*
 * translog_int.h: record format of the translog, shared by the writer, the recovery and the fuzzer.
 *
 * File header (64 bytes): magic "QDTRLOG1", u32 version, u32 bytes of this header, 16 bytes uuid,
 * u64 generation, u64 primary term, u64 zero, u64 XXH3-64 of the 56 bytes before it.
 *
 * Record, at 8-byte borders: u32 magic, u32 length (without padding), u64 XXH3-64 of the bytes from
 * 16 to length, seeded by the generation; then u64 seq_no, u64 primary term, u64 version,
 * i64 auto_id_ms, u32 source bytes, u16 id bytes, u16 routing bytes, u8 type, 7 zero bytes, id,
 * routing, source, zeros up to the border. A mark is a record of its own magic: u64 durable end.
 */
#ifndef QD_ENGINE_TRANSLOG_INT_H
#define QD_ENGINE_TRANSLOG_INT_H

#include "engine/translog.h"

#define TRANSLOG_MAGIC "QDTRLOG1"
#define TRANSLOG_VERSION 1u
#define TRANSLOG_HEADER 64u
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
/* Writes a mark (MARK_BYTES) naming the durable end. */
void qdi_mark_encode(uint64_t durable_end, uint64_t generation, uint8_t *p);
/* Checks the record at p, n readable bytes: its padded length, or 0 when it is not whole and
 * valid. op's strings point into p. */
size_t qdi_record_decode(const uint8_t *p, size_t n, uint64_t generation, qd_translog_op *op);
/* Checks a mark: true and its durable end. */
bool qdi_mark_decode(const uint8_t *p, size_t n, uint64_t generation, uint64_t *durable_end);
/* Length that the record head at p claims (padded), 0 when it cannot be one. n >= 16. */
size_t qdi_record_claimed(const uint8_t *p);
/* Writes a file header. */
void qdi_translog_header(uint8_t p[TRANSLOG_HEADER], const uint8_t uuid[16], uint64_t generation,
                         uint64_t primary_term);
/* Checks a file header; QD_E_TRANSLOG_CORRUPT naming file and place. */
int qdi_translog_header_check(const uint8_t p[TRANSLOG_HEADER], const uint8_t uuid[16],
                              uint64_t generation, const char *file, uint64_t *primary_term,
                              qd_err *err);
/* "<folder>/translog-<generation>" into buf. */
qd_str qdi_translog_name(qd_str folder, uint64_t generation, char *buf, size_t n);

/*
 * Reads one generation from its header to its end. sealed: a later generation exists, so every byte
 * was durable and any bad one is corruption. *end gets where good records end (the torn tail
 * begins).
 */
int qdi_translog_replay(qd_store_log *log, const char *file, uint64_t generation, bool sealed,
                        const uint8_t uuid[16], qd_account *account,
                        int (*each)(void *arg, const qd_translog_op *op,
                                    const qd_translog_location *at, qd_err *err),
                        void *arg, uint64_t *end, qd_err *err);

#endif
