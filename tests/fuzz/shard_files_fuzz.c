/*
 * shard_files_fuzz.c: the small files of a shard, damaged under right checksums. The first byte
 * chooses: a commit point of the rest's text, which is written and read again where it is read at
 * all; or the live documents of a segment (u16 how many, u8 number of changes, then for each u8
 * section, u16 place, u8 mask; the rest are bytes of deletions), which are read as written, and
 * damaged as an error or as a bitmap that is whole.
 */
#include "base/bits.h"
#include "engine/commit.h"
#include "lib/store_crash.h"
#include "lib/store_tamper.h"
#include "segment/format_int.h"
#include "segment/live.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t segment[16] = {7}, id[16] = {1};
#define MUST(call)                                                                                 \
    do {                                                                                           \
        int rc_ = (call);                                                                          \
        qd_assert(rc_ == 0);                                                                       \
    } while (0)

/* --- commit points -----------------------------------------------------------------------------
 */

static void commit_point(qd_store *s, qd_str text)
{
    qd_arena arena;
    qd_commit c, again;
    qd_err err;
    qd_err_init(&err);
    qd_arena_init(&arena, NULL, 0);
    MUST(qd_store_publish(s, QD_STR("shard/commit"), QD_STR("commit"), QD_COMMIT_VERSION, text,
                          NULL));
    if (qd_commit_read(s, QD_STR("shard"), &arena, &c, &err) == 0) {
        MUST(qd_commit_write(s, QD_STR("shard"), &c, NULL));
        MUST(qd_commit_read(s, QD_STR("shard"), &arena, &again, NULL));
        qd_assert(again.n == c.n && again.leases_n == c.leases_n);
        qd_assert(again.generation == c.generation && again.max_seq_no == c.max_seq_no);
        qd_assert(again.translog_first <= again.translog_generation);
        for (uint32_t i = 0; i < c.n; i++) {
            qd_assert(memcmp(&again.segments[i], &c.segments[i], sizeof c.segments[i]) == 0);
            qd_assert(c.segments[i].live <= c.segments[i].docs);
        }
    } else {
        qd_assert(qd_err_reason(&err)[0]);
    }
    qd_err_fini(&err);
    qd_arena_fini(&arena);
}

/* --- live documents ----------------------------------------------------------------------------
 */

/* Copies generation 1 as generation 2, one byte changed for each change. */
static void damage(qd_store *s, const uint8_t *p, uint32_t n)
{
    qd_file *f;
    char from[QD_LIVE_NAME_BYTES], to[QD_LIVE_NAME_BYTES];
    store_change changes[16] = {{QDI_LIVE_SEC_META, 16, 3}}; /* of generation 2 */
    MUST(qd_file_open(s, qd_live_name(segment, 1, from), &QDI_LIVE_FORMAT, NULL, &f, NULL));
    for (uint32_t k = 0; k < n; k++, p += 4)
        changes[k + 1] =
            (store_change){store_tamper_section(f, p[0] % 2), qd_get_u16le(p + 1), p[3]};
    store_tamper(s, f, qd_live_name(segment, 2, to), &QDI_LIVE_FORMAT, changes, n + 1, NULL);
    qd_file_unref(f);
}

/* Is what it says of itself true? */
static void is_whole(const qd_live *l, uint32_t docs)
{
    uint32_t live = 0;
    for (uint32_t d = 0; d < docs; d++) live += qd_live_has(l, d);
    qd_assert(qd_live_docs(l) == docs && qd_live_count(l) == live);
    qd_assert(docs % 64 == 0 || !(qd_live_bits(l)[docs / 64] >> (docs % 64)));
}

static void live_documents(qd_store *s, const uint8_t *p, size_t n)
{
    if (n < 3) return;
    uint32_t docs = 1u + qd_get_u16le(p), changes = p[2] % 16;
    const uint8_t *change = p + 3, *bits = change + 4 * changes, *end = p + n;
    qd_live *l, *same, *other;
    if (bits > end) return;
    MUST(qd_live_make(docs, NULL, &l, NULL));
    for (uint32_t d = 0; d < docs && bits + d / 8 < end; d++)
        if (bits[d / 8] >> (d & 7) & 1) qd_assert(qd_live_delete(l, d));
    MUST(qd_live_write(l, s, QD_STR(""), segment, 1, id, false, NULL, NULL));
    MUST(qd_live_open(s, QD_STR(""), segment, 1, docs, NULL, &same, NULL));
    is_whole(same, docs);
    for (uint32_t d = 0; d < docs; d++) qd_assert(qd_live_has(l, d) == qd_live_has(same, d));
    damage(s, change, changes);
    qd_err err;
    qd_err_init(&err);
    int rc = qd_live_open(s, QD_STR(""), segment, 2, docs, NULL, &other, &err);
    qd_assert(rc == 0 || (rc == QD_E_CORRUPT && changes && qd_err_reason(&err)[0]));
    if (rc == 0) is_whole(other, docs);
    if (rc == 0) qd_live_unref(other);
    qd_err_fini(&err);
    qd_live_unref(same);
    qd_live_unref(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qd_store *s;
    if (!size) return 0;
    store_crash *disk = store_crash_make(&(store_crash_options){.copies = data[0] & 2});
    MUST(store_crash_open(disk, &s, NULL));
    if (data[0] & 1)
        commit_point(s, (qd_str){(const char *)data + 1, size - 1});
    else
        live_documents(s, data + 1, size - 1);
    qd_store_close(s);
    store_crash_free(disk);
    return 0;
}
