/*
 * translog_fuzz.c: any bytes as a generation of the translog. Replay ends well or says that it is
 * damaged; what it cuts off as a torn tail changes nothing of what it found before.
 *
 * The first byte's bit 0 makes the sums right before they are read, bit 1 says that a later
 * generation exists.
 */
#include "base/bits.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/translog_int.h"
#include "lib/store_crash.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GENERATION 1
static const uint8_t uuid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static void mend(uint8_t *p, size_t n)
{
    if (n < TRANSLOG_HEADER) return;
    memcpy(p, TRANSLOG_MAGIC, 8);
    memcpy(p + 16, uuid, 16);
    qd_put_u32le(p + 8, TRANSLOG_VERSION);
    qd_put_u64le(p + 48, GENERATION);
    qd_put_u64le(p + TRANSLOG_HEADER - 8, qd_xxh3(p, TRANSLOG_HEADER - 8));
    for (size_t at = TRANSLOG_HEADER; at + MARK_BYTES <= n;) {
        size_t claimed = qdi_record_claimed(p + at);
        if (!claimed || claimed > n - at) return;
        size_t length = qd_get_u32le(p + at + 4);
        qd_put_u64le(p + at + 8, qd_xxh3_seed(p + at + 16, length - 16, GENERATION));
        at += claimed;
    }
}

typedef struct sum {
    uint64_t hash, n;
} sum;

static int see(void *arg, const qd_translog_op *op, const qd_translog_location *at, qd_err *err)
{
    sum *s = arg;
    (void)err;
    qd_assert(op->id.n <= 65535 && at->generation == GENERATION && at->offset % 8 == 0);
    s->hash = s->hash * 31 + op->seq_no + qd_xxh3(op->id.p, op->id.n) +
              qd_xxh3(op->source.p, op->source.n) + qd_xxh3(op->routing.p, op->routing.n);
    s->n++;
    return 0;
}

static int replay(qd_store *s, bool sealed, sum *out, uint64_t *end)
{
    qd_store_log *log;
    qd_err err;
    qd_err_init(&err);
    *out = (sum){0};
    int rc = qd_store_log_open(s, QD_STR("t"), false, &log, &err);
    qd_assert(rc == 0);
    translog_found found;
    rc = qdi_translog_read_all(log, "t", GENERATION, sealed ? TRANSLOG_SEALED : 0, uuid, NULL, see,
                               out, &found, &err);
    *end = found.end;
    qd_assert(rc == 0 || rc == QD_E_TRANSLOG_CORRUPT || rc == QD_E_FORMAT_NEW ||
              rc == QD_E_FORMAT_OLD);
    if (rc) qd_assert(strstr(qd_err_reason(&err), "[t]"));
    if (!rc) {
        qd_assert(*end <= qd_store_log_end(log));
        int cut = qd_store_log_truncate(log, *end, &err);
        qd_assert(cut == 0);
    }
    qd_store_log_close(log);
    qd_err_fini(&err);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qd_store *s;
    qd_store_log *log;
    sum first, again;
    uint64_t offset, end = 0;
    if (size < 2 || size > 1 << 16) return 0;
    qd_log_level_set(NULL, QD_LOG_OFF);
    uint8_t flags = data[0];
    size_t n = size - 1;
    uint8_t *p = (uint8_t *)qd_memdup(NULL, (const char *)data + 1, n);
    if (flags & 1) mend(p, n);
    store_crash *d = store_crash_make(NULL);
    int rc = store_crash_open(d, &s, NULL);
    qd_assert(rc == 0);
    rc = qd_store_log_open(s, QD_STR("t"), true, &log, NULL);
    qd_assert(rc == 0);
    rc = qd_store_log_append(log, &(qd_iovec){p, n}, 1, &offset, NULL);
    qd_assert(rc == 0);
    qd_store_log_close(log);
    if (!replay(s, flags & 2, &first, &end) && end >= TRANSLOG_HEADER) {
        rc = replay(s, flags & 2, &again, &end);
        qd_assert(rc == 0 && again.hash == first.hash && again.n == first.n);
    }
    qd_store_close(s);
    store_crash_free(d);
    qd_free(p);
    return 0;
}
