/* translog_record.c: bytes of headers, records and marks. See translog_int.h. */
#include "base/bits.h"
#include "base/hash.h"
#include "base/str.h"
#include "engine/translog_int.h"
#include <stdio.h>
#include <string.h>

static void seal(uint8_t *p, uint32_t magic, size_t length, uint64_t generation)
{
    qd_put_u32le(p, magic);
    qd_put_u32le(p + 4, (uint32_t)length);
    qd_put_u64le(p + 8, qd_xxh3_seed(p + 16, length - 16, generation));
}

void qdi_record_encode(const qd_translog_op *op, uint64_t generation, uint8_t *p)
{
    size_t length = RECORD_HEAD + op->id.n + op->routing.n + op->source.n;
    memset(p, 0, RECORD_HEAD);
    qd_put_u64le(p + 16, op->seq_no);
    qd_put_u64le(p + 24, op->primary_term);
    qd_put_u64le(p + 32, op->version);
    qd_put_u64le(p + 40, (uint64_t)op->auto_id_ms);
    qd_put_u32le(p + 48, (uint32_t)op->source.n);
    qd_put_u16le(p + 52, (uint16_t)op->id.n);
    qd_put_u16le(p + 54, (uint16_t)op->routing.n);
    p[56] = (uint8_t)op->type;
    uint8_t *at = p + RECORD_HEAD;
    if (op->id.n) memcpy(at, op->id.p, op->id.n);
    at += op->id.n;
    if (op->routing.n) memcpy(at, op->routing.p, op->routing.n);
    at += op->routing.n;
    if (op->source.n) memcpy(at, op->source.p, op->source.n);
    memset(p + length, 0, ((length + 7) & ~(size_t)7) - length);
    seal(p, RECORD_MAGIC, length, generation);
}

void qdi_mark_encode(uint64_t durable_end, uint64_t generation, uint8_t *p)
{
    memset(p, 0, MARK_BYTES);
    qd_put_u64le(p + 16, durable_end);
    seal(p, MARK_MAGIC, MARK_BYTES, generation);
}

size_t qdi_record_claimed(const uint8_t *p)
{
    uint32_t magic = qd_get_u32le(p), length = qd_get_u32le(p + 4);
    if (magic == MARK_MAGIC) return length == MARK_BYTES ? MARK_BYTES : 0;
    if (magic != RECORD_MAGIC || length < RECORD_HEAD) return 0;
    return ((size_t)length + 7) & ~(size_t)7;
}

size_t qdi_record_decode(const uint8_t *p, size_t n, uint64_t generation, qd_translog_op *op)
{
    if (n < RECORD_HEAD || qd_get_u32le(p) != RECORD_MAGIC) return 0;
    size_t padded = qdi_record_claimed(p), length = qd_get_u32le(p + 4);
    if (!padded || padded > n) return 0;
    for (size_t i = length; i < padded; i++) { /* outside of the checksum, so checked here */
        if (p[i] != 0) return 0;
    }
    if (qd_get_u64le(p + 8) != qd_xxh3_seed(p + 16, length - 16, generation)) return 0;
    size_t source = qd_get_u32le(p + 48), id = qd_get_u16le(p + 52), routing = qd_get_u16le(p + 54);
    if (RECORD_HEAD + id + routing + source != length) return 0;
    if (p[56] < QD_TRANSLOG_INDEX || p[56] > QD_TRANSLOG_NOOP) return 0;
    const char *at = (const char *)p + RECORD_HEAD;
    *op = (qd_translog_op){
        .type = (qd_translog_op_type)p[56],
        .seq_no = qd_get_u64le(p + 16),
        .primary_term = qd_get_u64le(p + 24),
        .version = qd_get_u64le(p + 32),
        .auto_id_ms = (int64_t)qd_get_u64le(p + 40),
        .id = {at, id},
        .routing = {at + id, routing},
        .source = {at + id + routing, source},
    };
    return padded;
}

bool qdi_mark_decode(const uint8_t *p, size_t n, uint64_t generation, uint64_t *durable_end)
{
    if (n < MARK_BYTES || qd_get_u32le(p) != MARK_MAGIC || qd_get_u32le(p + 4) != MARK_BYTES ||
        qd_get_u64le(p + 8) != qd_xxh3_seed(p + 16, MARK_BYTES - 16, generation)) {
        return false;
    }
    *durable_end = qd_get_u64le(p + 16);
    return true;
}

void qdi_translog_header(uint8_t p[TRANSLOG_HEADER], const uint8_t uuid[16], uint64_t generation,
                         uint64_t primary_term)
{
    memset(p, 0, TRANSLOG_HEADER);
    memcpy(p, TRANSLOG_MAGIC, 8);
    qd_put_u32le(p + 8, TRANSLOG_VERSION);
    qd_put_u32le(p + 12, TRANSLOG_HEADER);
    memcpy(p + 16, uuid, 16);
    qd_put_u64le(p + 32, generation);
    qd_put_u64le(p + 40, primary_term);
    qd_put_u64le(p + 56, qd_xxh3(p, 56));
}

int qdi_translog_header_check(const uint8_t p[TRANSLOG_HEADER], const uint8_t uuid[16],
                              uint64_t generation, const char *file, uint64_t *primary_term,
                              qd_err *err)
{
    if (memcmp(p, TRANSLOG_MAGIC, 8) != 0 || qd_get_u64le(p + 56) != qd_xxh3(p, 56)) {
        return qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                          "translog [%s] at offset 0: header does not match its checksum", file);
    }
    if (qd_get_u32le(p + 8) > TRANSLOG_VERSION) {
        return qd_err_set(err, QD_E_FORMAT_NEW,
                          "translog [%s] has format version %u, newest known is %u", file,
                          qd_get_u32le(p + 8), TRANSLOG_VERSION);
    }
    if (memcmp(p + 16, uuid, 16) != 0) {
        return qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                          "translog [%s] at offset 16: belongs to another history", file);
    }
    if (qd_get_u64le(p + 32) != generation) {
        return qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                          "translog [%s] at offset 32: generation %llu found, %llu expected", file,
                          (unsigned long long)qd_get_u64le(p + 32), (unsigned long long)generation);
    }
    *primary_term = qd_get_u64le(p + 40);
    return 0;
}

qd_str qdi_translog_name(qd_str folder, uint64_t generation, char *buf, size_t n)
{
    int len =
        snprintf(buf, n, "%.*s/translog-%llu", QD_STR_ARG(folder), (unsigned long long)generation);
    qd_assert(len > 0 && (size_t)len < n);
    return (qd_str){buf, (size_t)len};
}
