/*
 * copies_fuzz.c: any bytes as what another copy of a shard sends: encoded operations, or a
 * publication. What is taken is whole and in range; encoded again it is the same. The first byte's
 * bit 0 says which of the two, bit 1 makes the sums right before they are read.
 */
#include "base/bits.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/commit.h"
#include "engine/translog_int.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void operations(uint8_t *p, size_t n, bool mend)
{
    for (size_t at = 0; mend && at + RECORD_HEAD <= n;) {
        size_t claimed = qdi_record_claimed(p + at);
        if (!claimed || claimed > n - at || qd_get_u32le(p + at) != RECORD_MAGIC) break;
        qdi_record_reseal(p + at, 0);
        at += claimed;
    }
    qd_str in = {(const char *)p, n}, raw;
    qd_translog_op op;
    qd_buf out;
    qd_buf_init(&out, NULL, 1 << 20);
    while (in.n && qd_op_next(&in, &op, &raw, NULL) == 0) {
        qd_assert(op.id.n <= QD_TRANSLOG_ID_MAX && (int64_t)op.seq_no >= 0 && raw.n >= RECORD_HEAD);
        qd_buf_reset(&out);
        int rc = qd_op_encode(&op, &out, NULL);
        qd_assert(rc == 0 && out.n == raw.n);
        qd_translog_op again;
        qd_str back = qd_buf_view(&out);
        rc = qd_op_next(&back, &again, NULL, NULL);
        qd_assert(rc == 0 && again.seq_no == op.seq_no && qd_str_eq(again.source, op.source));
    }
    qd_buf_fini(&out);
}

static void publication(uint8_t *p, size_t n, bool mend)
{
    qd_publication *a;
    qd_publication_file f;
    qd_buf out;
    if (mend && n >= 8) qd_put_u64le(p + n - 8, qd_xxh3(p, n - 8));
    if (qd_publication_decode((qd_str){(const char *)p, n}, NULL, &a, NULL)) return;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < qd_publication_files(a); i++) {
        qd_publication_file_at(a, i, &f);
        bytes += f.bytes + strlen(f.name);
    }
    qd_assert(a->n <= QD_COMMIT_SEGMENTS_MAX && (a->n == 0 || bytes > 0));
    qd_buf_init(&out, NULL, 1 << 24);
    int rc = qd_publication_encode(a, &out, NULL);
    qd_assert(rc == 0 && out.n == n);
    qd_publication_unref(a);
    qd_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 1 << 16) return 0;
    qd_log_level_set(NULL, QD_LOG_OFF);
    uint8_t *p = (uint8_t *)qd_memdup(NULL, (const char *)data + 1, size - 1);
    if (data[0] & 1) {
        publication(p, size - 1, data[0] & 2);
    } else {
        operations(p, size - 1, data[0] & 2);
    }
    qd_free(p);
    return 0;
}
