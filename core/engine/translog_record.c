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
    qd_assert(op->id.n <= UINT16_MAX && op->routing.n <= UINT16_MAX && length <= UINT32_MAX);
    qd_assert(op->type >= QD_TRANSLOG_INDEX && op->type <= QD_TRANSLOG_NOOP); /* as when read */
    memset(p, 0, RECORD_HEAD);
    qd_put_u64le(p + 16, op->seq_no);
    qd_put_u64le(p + 24, op->primary_term);
    qd_put_u64le(p + 32, op->version);
    qd_put_u64le(p + 40, (uint64_t)op->auto_id_ms);
    qd_put_u32le(p + 48, (uint32_t)op->source.n);
    qd_put_u16le(p + 52, (uint16_t)op->id.n);
    qd_put_u16le(p + 54, (uint16_t)op->routing.n);
    p[56] = (uint8_t)op->type;
    qd_put_u32le(p + 60, op->mapping);
    uint8_t *at = p + RECORD_HEAD;
    if (op->id.n) memcpy(at, op->id.p, op->id.n);
    at += op->id.n;
    if (op->routing.n) memcpy(at, op->routing.p, op->routing.n);
    at += op->routing.n;
    if (op->source.n) memcpy(at, op->source.p, op->source.n);
    memset(p + length, 0, ((length + 7) & ~(size_t)7) - length);
    seal(p, RECORD_MAGIC, length, generation);
}

void qdi_record_reseal(uint8_t *p, uint64_t generation)
{
    seal(p, RECORD_MAGIC, qd_get_u32le(p + 4), generation);
}

void qdi_mark_encode(uint64_t durable_end, int64_t checkpoint, uint64_t generation, uint8_t *p)
{
    qd_put_u64le(p + 16, durable_end);
    qd_put_u64le(p + 24, (uint64_t)checkpoint);
    seal(p, MARK_MAGIC, MARK_BYTES, generation);
}

size_t qdi_record_claimed(const uint8_t *p)
{
    uint32_t magic = qd_get_u32le(p), length = qd_get_u32le(p + 4);
    if (magic == MARK_MAGIC) return length == MARK_BYTES ? MARK_BYTES : 0;
    if (magic != RECORD_MAGIC || length < RECORD_HEAD) return 0;
    return ((size_t)length + 7) & ~(size_t)7;
}

uint64_t qdi_record_sum(const char *p)
{
    return qd_get_u64le((const uint8_t *)p + 8);
}

size_t qdi_record_view(const uint8_t *p, qd_translog_op *op)
{
    size_t source = qd_get_u32le(p + 48), id = qd_get_u16le(p + 52), routing = qd_get_u16le(p + 54);
    const char *at = (const char *)p + RECORD_HEAD;
    *op = (qd_translog_op){
        .type = (qd_translog_op_type)p[56],
        .seq_no = qd_get_u64le(p + 16),
        .primary_term = qd_get_u64le(p + 24),
        .version = qd_get_u64le(p + 32),
        .auto_id_ms = (int64_t)qd_get_u64le(p + 40),
        .mapping = qd_get_u32le(p + 60),
        .id = {at, id},
        .routing = {at + id, routing},
        .source = {at + id + routing, source},
    };
    return (RECORD_HEAD + id + routing + source + 7) & ~(size_t)7;
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
    (void)qdi_record_view(p, op);
    return padded;
}

bool qdi_mark_decode(const uint8_t *p, size_t n, uint64_t generation, uint64_t *durable_end,
                     int64_t *checkpoint)
{
    if (n < MARK_BYTES || qd_get_u32le(p) != MARK_MAGIC || qd_get_u32le(p + 4) != MARK_BYTES ||
        qd_get_u64le(p + 8) != qd_xxh3_seed(p + 16, MARK_BYTES - 16, generation)) {
        return false;
    }
    *durable_end = qd_get_u64le(p + 16);
    *checkpoint = (int64_t)qd_get_u64le(p + 24);
    return true;
}

#define HEADER_SUM (TRANSLOG_HEADER - 8)

void qdi_translog_header(uint8_t p[TRANSLOG_HEADER], const translog_head *h)
{
    memset(p, 0, TRANSLOG_HEADER);
    memcpy(p, TRANSLOG_MAGIC, 8);
    qd_put_u32le(p + 8, TRANSLOG_VERSION);
    qd_put_u32le(p + 12, TRANSLOG_HEADER);
    memcpy(p + 16, h->uuid, 16);
    memcpy(p + 32, h->history, 16);
    qd_put_u64le(p + 48, h->generation);
    qd_put_u64le(p + 56, h->primary_term);
    qd_put_u64le(p + 64, (uint64_t)h->checkpoint);
    qd_put_u64le(p + 72, (uint64_t)h->trim_above);
    qd_put_u64le(p + 80, h->trim_below_term);
    qd_put_u64le(p + 88, h->before_operations);
    qd_put_u64le(p + 96, (uint64_t)h->before_min);
    qd_put_u64le(p + 104, (uint64_t)h->before_max);
    qd_put_u64le(p + 112, h->before_durable);
    qd_put_u64le(p + HEADER_SUM, qd_xxh3(p, HEADER_SUM));
}

int qdi_translog_header_check(const uint8_t p[TRANSLOG_HEADER], const uint8_t uuid[16],
                              uint64_t generation, const char *file, translog_head *out,
                              qd_err *err)
{
    uint32_t version = qd_get_u32le(p + 8);
    if (memcmp(p, TRANSLOG_MAGIC, 8) == 0 && version < TRANSLOG_VERSION && version > 0 &&
        qd_get_u64le(p + 56) == qd_xxh3(p, 56)) { /* the layout of version 1, never released */
        return qd_err_set(err, QD_E_FORMAT_OLD,
                          "translog [%s] has format version %u, oldest readable is %u", file,
                          version, TRANSLOG_VERSION);
    }
    if (memcmp(p, TRANSLOG_MAGIC, 8) != 0 ||
        qd_get_u64le(p + HEADER_SUM) != qd_xxh3(p, HEADER_SUM)) {
        return qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                          "translog [%s] at offset 0: header does not match its checksum", file);
    }
    if (version > TRANSLOG_VERSION) {
        return qd_err_set(err, QD_E_FORMAT_NEW,
                          "translog [%s] has format version %u, newest known is %u", file, version,
                          TRANSLOG_VERSION);
    }
    if (memcmp(p + 16, uuid, 16) != 0) {
        return qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                          "translog [%s] at offset 16: belongs to another history", file);
    }
    if (qd_get_u64le(p + 48) != generation) {
        return qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                          "translog [%s] at offset 48: generation %llu found, %llu expected", file,
                          (unsigned long long)qd_get_u64le(p + 48), (unsigned long long)generation);
    }
    *out = (translog_head){
        .generation = generation,
        .primary_term = qd_get_u64le(p + 56),
        .checkpoint = (int64_t)qd_get_u64le(p + 64),
        .trim_above = (int64_t)qd_get_u64le(p + 72),
        .trim_below_term = qd_get_u64le(p + 80),
        .before_operations = qd_get_u64le(p + 88),
        .before_min = (int64_t)qd_get_u64le(p + 96),
        .before_max = (int64_t)qd_get_u64le(p + 104),
        .before_durable = qd_get_u64le(p + 112),
    };
    memcpy(out->uuid, p + 16, 16);
    memcpy(out->history, p + 32, 16);
    bool sound = qd_seq_no_sound(out->checkpoint) && qd_seq_no_sound(out->trim_above) &&
                 qd_seq_no_sound(out->before_min) && qd_seq_no_sound(out->before_max) &&
                 out->before_min <= out->before_max;
    if (sound) return 0;
    return qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                      "translog [%s] at offset 64: a sequence number in its header is out of range",
                      file);
}

qd_str qdi_translog_name(qd_str folder, uint64_t generation, char *buf, size_t n)
{
    int len =
        snprintf(buf, n, "%.*s/translog-%llu", QD_STR_ARG(folder), (unsigned long long)generation);
    qd_assert(len > 0 && (size_t)len < n);
    return (qd_str){buf, (size_t)len};
}
