/*
 * points_fuzz.c: points of any values through every door of readers (estimates, counts, bitmaps,
 * lists, slices), compared with a model; then the same file with bytes changed under right
 * checksums, where answers may be wrong but stay inside the segment.
 *
 * Input: u8 shape (bit 0 type, bit 1 tier that copies, bits 4..7 gaps between documents), u8 number
 * of changes, then for each change u8 section, u16 place, u8 mask; the rest are values: a byte of
 * kind and bytes by kind.
 */
#include "base/bits.h"
#include "lib/store_crash.h"
#include "lib/store_tamper.h"
#include "unit/lib/points_doors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define POINTS_MAX 3000u

/* kind: bits 0..2 bytes of the value, 3 added to the last, 4..6 how often, 7 the same document. */
static void fill(doors_model *m, uint8_t shape, const uint8_t *p, const uint8_t *end)
{
    uint64_t last = 0;
    uint32_t doc = 0;
    while (p < end && m->n < POINTS_MAX) {
        uint8_t kind = *p++;
        uint64_t raw = 0;
        for (uint32_t i = 0; i < (kind & 7u) && p < end; i++) raw = raw << 8 | *p++;
        for (uint32_t t = 0; t < 1u << (kind >> 4 & 7u) && m->n < POINTS_MAX; t++) {
            last = kind & 8 ? last + raw : raw * (t + 1);
            doors_point *x = &m->at[m->n++];
            *x = (doors_point){.doc = doc};
            x->v.i = (int64_t)last;
            if (m->type == QD_POINT_B16) memcpy(x->v.b + 8 - (kind & 3u), &last, sizeof last);
            if (!(kind & 0x80)) doc += 1u + (shape >> 4);
        }
    }
    m->docs = doc + 1;
    doors_sort(m);
}

static void read_file(qd_store *s, const char *name, const doors_model *m, bool damaged,
                      qd_account *account)
{
    qd_file_format format = QDI_SEGMENT_FORMAT;
    qd_file *f;
    qd_points_set *set;
    qd_err err;
    bool same = false;
    qd_err_init(&err);
    int rc = qd_file_open(s, qd_str_c(name), &format, account, &f, &err);
    qd_assert(rc == 0);
    if (qdi_points_open(f, m->docs, account, &set, &err) == 0) {
        const qd_points *p = qd_points_get(set, 5);
        qd_check check = {.account = account, .file = f};
        qd_assert(p || damaged);
        rc = p ? doors_read(p, m, m->n, &same, account, &err) : 0;
        qd_assert(damaged || (rc == 0 && same));
        qd_err_fini(&err);
        rc = doors_merge(set, m, s, "m", account, &err);
        qd_assert(rc == 0 || (damaged && rc == QD_E_CORRUPT));
        qd_err_fini(&err);
        rc = qdi_points_check(set, &check, &err);
        qd_assert(rc == 0 && (damaged || check.findings == 0));
        qdi_points_close(set);
    } else {
        qd_assert(damaged);
    }
    qd_file_unref(f);
    qd_err_fini(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static doors_point at[POINTS_MAX];
    store_change changes[15];
    qd_account account;
    qd_store *s;
    qd_file_format format = QDI_SEGMENT_FORMAT;
    if (size < 3 || size > 8192) return 0;
    uint32_t n = data[1] & 15;
    const uint8_t *p = data + 2;
    if (2 + n * 4 >= size) return 0;
    for (uint32_t i = 0; i < n; i++, p += 4)
        changes[i] = (store_change){p[0] & 1 ? QDI_SEC_POINTS : QDI_SEC_POINT_INDEX,
                                    qd_get_u16le(p + 1), p[3]};
    doors_model m = {.type = data[0] & 1 ? QD_POINT_B16 : QD_POINT_I64, .at = at};
    fill(&m, data[0], p, data + size);
    qd_account_init(&account, "fuzz", NULL, 0);
    store_crash *disk = store_crash_make(&(store_crash_options){.copies = data[0] & 2});
    int rc = store_crash_open(disk, &s, NULL);
    qd_assert(rc == 0);
    doors_write(&m, s, "f", &account);
    read_file(s, "f", &m, false, &account);
    if (n) {
        qd_file *f;
        rc = qd_file_open(s, QD_STR("f"), &format, &account, &f, NULL);
        qd_assert(rc == 0);
        store_tamper(s, f, QD_STR("g"), &format, changes, n, &account);
        qd_file_unref(f);
        read_file(s, "g", &m, true, &account);
    }
    qd_store_close(s);
    store_crash_free(disk);
    qd_assert(qd_account_used(&account) == 0);
    return 0;
}
