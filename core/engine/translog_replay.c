/*
 * translog_replay.c: reading one generation at recovery.
 *
 * Records are walked in windows. The first bad byte at X ends the good part: if a valid mark behind
 * X names a durable end beyond X, or the generation is sealed, X had been durable and is
 * corruption; otherwise nothing at or behind X was acknowledged and it is a torn tail.
 */
#include "base/bits.h"
#include "base/str.h"
#include "engine/translog_int.h"
#include <string.h>

#define WINDOW (1u << 20)

typedef struct replay {
    qd_store_log *log;
    const char *file; /* for messages */
    uint64_t generation, file_end;
    uint8_t *buf;
    size_t cap, have; /* bytes of the window */
    uint64_t base;    /* file offset of buf[0] */
    int64_t checkpoint;
    uint64_t durable, records, first_mark; /* as in translog_found */
    qd_account *account;
} replay;

/* Makes [at, at + n) readable; *p its first byte, *got < n only at the file's end. */
static int need(replay *r, uint64_t at, size_t n, const uint8_t **p, size_t *got, qd_err *err)
{
    if (at >= r->base && at + n <= r->base + r->have) {
        *p = r->buf + (at - r->base);
        *got = n;
        return 0;
    }
    uint64_t left = at < r->file_end ? r->file_end - at : 0; /* often a header and no more */
    size_t want = left < WINDOW ? (size_t)left : WINDOW;
    if (want < n) want = n;
    if (want > r->cap) {
        uint8_t *bigger = qd_alloc(r->account, want);
        if (!bigger) return qd_err_nomem(err, "translog replay window");
        qd_free(r->buf);
        r->buf = bigger;
        r->cap = want;
    }
    r->base = at;
    r->have = 0;
    while (r->have < n) {
        size_t more = 0;
        int rc =
            qd_store_log_read(r->log, at + r->have, r->buf + r->have, want - r->have, &more, err);
        if (rc) return rc;
        if (more == 0) break;
        r->have += more;
    }
    qd_assert(r->have <= want && want <= r->cap);
    *p = r->buf;
    *got = r->have < n ? r->have : n;
    return 0;
}

/* Looks behind a bad record for a mark that proves `bad` to have been durable. */
static int proven_durable(replay *r, uint64_t bad, bool *proven, qd_err *err)
{
    *proven = false;
    for (uint64_t at = bad + 8; at + MARK_BYTES <= r->file_end; at += 8) {
        const uint8_t *p;
        size_t got;
        uint64_t durable;
        int64_t checkpoint;
        int rc = need(r, at, MARK_BYTES, &p, &got, err);
        if (rc) return rc;
        if (qdi_mark_decode(p, got, r->generation, &durable, &checkpoint) && durable > bad) {
            *proven = true;
            return 0;
        }
    }
    return 0;
}

/* Its checksum says that it was written so, and no writer does. */
static int out_of_range(const replay *r, uint64_t at, const char *what, int64_t n, qd_err *err)
{
    return qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                      "translog [%s] at offset %llu: %s [%lld] is out of range", r->file,
                      (unsigned long long)at, what, (long long)n);
}

static int walk(replay *r, uint64_t *at, translog_each each, void *arg, qd_err *err)
{
    while (*at < r->file_end) {
        const uint8_t *p;
        size_t got;
        uint64_t durable;
        int64_t checkpoint;
        int rc = need(r, *at, 16, &p, &got, err);
        if (rc) return rc;
        size_t claimed = got == 16 ? qdi_record_claimed(p) : 0;
        if (!claimed || claimed > r->file_end - *at) return 0;
        if ((rc = need(r, *at, claimed, &p, &got, err))) return rc;
        if (got < claimed) return 0;
        if (claimed == MARK_BYTES) {
            if (!qdi_mark_decode(p, got, r->generation, &durable, &checkpoint)) return 0;
            if (!qd_seq_no_sound(checkpoint))
                return out_of_range(r, *at, "global checkpoint", checkpoint, err);
            if (checkpoint > r->checkpoint) r->checkpoint = checkpoint;
            if (durable > r->durable) r->durable = durable;
            if (!r->first_mark) r->first_mark = *at;
        } else {
            qd_translog_op op;
            if (!qdi_record_decode(p, got, r->generation, &op)) return 0;
            if (op.seq_no >= (uint64_t)QD_SEQ_NO_LIMIT)
                return out_of_range(r, *at, "sequence number", (int64_t)op.seq_no, err);
            qd_translog_location loc = {r->generation, *at, (uint32_t)claimed};
            if (each && (rc = each(arg, &op, &loc, err))) return rc;
            r->records = *at + claimed;
        }
        *at += claimed;
        qd_assert(*at <= r->file_end);
    }
    return 0;
}

/*
 * A header is durable before the first record is written. So a bad one in the newest file with
 * nothing valid behind it is a creation that the power loss cut short (*at becomes 0: the file may
 * go); anything else is corruption.
 */
static int check_header(replay *r, const uint8_t *p, size_t got, const char *file, bool sealed,
                        const uint8_t uuid[16], uint64_t *at, translog_head *head, qd_err *err)
{
    qd_err bad;
    qd_err_init(&bad);
    int rc = got < TRANSLOG_HEADER
                 ? qd_err_set(&bad, QD_E_TRANSLOG_CORRUPT,
                              "translog [%s] at offset %zu: header is cut off", file, got)
                 : qdi_translog_header_check(p, uuid, r->generation, file, head, &bad);
    if (rc == QD_E_TRANSLOG_CORRUPT && !sealed) {
        bool used = false;
        qd_translog_op op;
        const uint8_t *first;
        int io = proven_durable(r, 0, &used, err);
        if (!io && !used) io = need(r, TRANSLOG_HEADER, RECORD_HEAD, &first, &got, err);
        if (!io && !used && got >= 16 && qdi_record_claimed(first)) {
            size_t claimed = qdi_record_claimed(first);
            if (claimed <= r->file_end - TRANSLOG_HEADER) {
                io = need(r, TRANSLOG_HEADER, claimed, &first, &got, err);
                used = !io && qdi_record_decode(first, got, r->generation, &op) > 0;
            }
        }
        if (io || !used) {
            qd_err_fini(&bad);
            *at = 0;
            return io;
        }
    }
    if (rc && err) qd_err_copy(err, &bad);
    qd_err_fini(&bad);
    return rc;
}

int qdi_translog_read_all(qd_store_log *log, const char *file, uint64_t generation,
                          uint64_t durable, const uint8_t uuid[16], qd_account *account,
                          translog_each each, void *arg, translog_found *found, qd_err *err)
{
    replay r = {
        .log = log, .file = file, .generation = generation, .checkpoint = -1, .account = account};
    r.file_end = qd_store_log_end(log);
    const uint8_t *p;
    size_t got;
    uint64_t at = TRANSLOG_HEADER;
    *found = (translog_found){.checkpoint = -1};
    int rc = need(&r, 0, TRANSLOG_HEADER, &p, &got, err);
    if (rc) goto out;
    if ((rc = check_header(&r, p, got, file, durable > 0, uuid, &at, &found->head, err)) ||
        at == 0) {
        goto out;
    }
    if ((rc = walk(&r, &at, each, arg, err))) goto out;
    qd_assert(r.records <= at && at <= r.file_end);
    if (at < r.file_end) {
        bool damage = at < durable;
        if (!damage && (rc = proven_durable(&r, at, &damage, err))) goto out;
        if (damage) {
            rc = qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                            "translog [%s] at offset %llu: record does not match its checksum, "
                            "though it had been made durable",
                            file, (unsigned long long)at);
        }
    }
out:
    qd_free(r.buf);
    if (!rc) found->end = at;
    found->checkpoint = r.checkpoint;
    found->durable = r.durable;
    found->records = r.records;
    found->first_mark = r.first_mark;
    return rc;
}

int qdi_translog_read_known(qd_store_log *log, const char *file, uint64_t generation, uint64_t from,
                            uint64_t end, qd_account *account, translog_each each, void *arg,
                            qd_err *err)
{
    replay r = {
        .log = log, .file = file, .generation = generation, .file_end = end, .account = account};
    uint64_t at = from;
    int rc = walk(&r, &at, each, arg, err);
    if (!rc && at < end) {
        rc = qd_err_set(err, QD_E_TRANSLOG_CORRUPT,
                        "translog [%s] at offset %llu: record does not match its checksum", file,
                        (unsigned long long)at);
    }
    qd_free(r.buf);
    return rc;
}
