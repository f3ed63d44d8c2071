/*
 * file_fuzz.c: any bytes as a stored file and as a published object, mapped and copied. What opens
 * must be readable without a fault, and verify; nothing else may happen than QD_E_CORRUPT or a
 * version's refusal.
 *
 * Checksums would keep the fuzzer out of everything behind them: a first byte with bit 0 set makes
 * header, table and tail right again before they are read.
 */
#include "base/arena.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "lib/store_crash.h"
#include "store/frame_int.h"
#include "store/reads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const qd_file_format format = {{"load", 4}, 1, 1};

/* Puts right checksums where they belong, so that wrong content is met and not only wrong sums. */
static void mend(uint8_t *p, size_t n)
{
    if (n < FRAME_HEADER + FRAME_TAIL) return;
    uint8_t *tail = p + n - FRAME_TAIL;
    uint64_t sums = qd_get_u64le(tail + 24), table = qd_get_u64le(tail + 8);
    uint64_t pages = qd_get_u32le(tail + 36), sections = qd_get_u32le(tail + 32);
    qd_put_u64le(tail, n);
    if (sums <= n && pages * 8 <= n - sums) qd_put_u64le(tail + 64, qd_xxh3(p + sums, pages * 8));
    if (table <= n && sections * FRAME_ENTRY <= n - table) {
        qd_put_u64le(tail + 72, qd_xxh3(p + table, sections * FRAME_ENTRY));
    }
    qd_put_u64le(tail + 80, qd_xxh3(tail, 80));
    qd_put_u64le(p + 56, qd_xxh3(p, 56));
}

static void put(store_crash *d, const uint8_t *p, size_t n)
{
    const qd_storage_vtable *vt = store_crash_vtable(d);
    qd_storage *t = store_crash_handle(d);
    qd_storage_put *w;
    bool ok = vt->put_begin(t, QD_STR("f"), n, &w, NULL) == 0 &&
              vt->put_write(w, p, n, NULL) == 0 && vt->put_commit(w, 0, NULL, NULL) == 0 &&
              vt->close(t, NULL) == 0;
    qd_assert(ok);
}

static uint64_t walk(qd_file *f, uint32_t id)
{
    qd_section_cursor c;
    uint64_t sum = 0;
    if (qd_section_cursor_open(&c, f, id, 0, NULL, NULL)) return 0;
    while (c.at < c.end && qd_section_cursor_need(&c, 4096, NULL) == 0) {
        sum += qd_xxh3(c.p, c.have);
        qd_section_cursor_skip(&c, c.have);
    }
    qd_section_cursor_close(&c);
    return sum;
}

static void read_all(qd_store *s)
{
    qd_file *f;
    int rc = qd_file_open(s, QD_STR("f"), &format, NULL, &f, NULL);
    if (rc) {
        qd_assert(rc == QD_E_CORRUPT || rc == QD_E_FORMAT_NEW || rc == QD_E_FORMAT_OLD);
        return;
    }
    qd_arena arena;
    qd_arena_init(&arena, NULL, 0);
    qd_reads *r = qd_reads_make(&arena, NULL);
    uint32_t id, slot, n = 0;
    uint64_t off, bytes, sum = 0;
    bool resident;
    for (uint32_t i = 0; i < 16 && qd_file_section_at_index(f, i, &id, &off, &bytes, &resident);
         i++) {
        rc = qd_reads_add(r, f, id, bytes / 2, bytes - bytes / 2 + QD_FILE_SLACK, &slot, NULL);
        qd_assert(rc == 0 && slot == n);
        n++;
        sum += walk(f, id);
    }
    if (qd_reads_fetch(r, NULL) == 0) {
        for (uint32_t i = 0; i < n; i++) sum += qd_xxh3(qd_reads_at(r, i), qd_reads_len(r, i));
    }
    rc = qd_file_verify(f, NULL);
    qd_assert(rc == 0 || rc == QD_E_CORRUPT);
    static volatile uint64_t sink;
    sink = sum;
    (void)sink;
    qd_arena_fini(&arena);
    qd_file_unref(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool quiet;
    if (!quiet) qd_log_level_set("store", QD_LOG_OFF);
    quiet = true;
    if (size < 1) return 0;
    uint8_t *p = qd_alloc(NULL, size);
    qd_assert(p != NULL);
    memcpy(p, data + 1, size - 1);
    if (data[0] & 1) mend(p, size - 1);
    for (int copies = 0; copies < 2; copies++) {
        store_crash *d = store_crash_make(&(store_crash_options){.copies = copies});
        qd_store *s;
        put(d, p, size - 1);
        int rc = store_crash_open(d, &s, NULL);
        qd_assert(rc == 0);
        read_all(s);
        char *text;
        size_t n;
        rc = qd_store_fetch(s, QD_STR("f"), QD_STR("point"), 1, NULL, &text, &n, NULL, NULL);
        if (rc == 0) qd_free(text);
        qd_store_close(s);
        store_crash_free(d);
    }
    qd_free(p);
    return 0;
}
