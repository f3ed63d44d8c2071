/*
 * file_page.c: page checksums of open files. A page is verified when the process first touches it;
 * a bit in an atomic array remembers. Two threads may verify one page at once, which costs time but
 * no correctness.
 */
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "store/store_int.h"
#include <inttypes.h>

static bool bit_get(const qd_file *f, uint64_t page)
{
    uint64_t word = atomic_load_explicit(&f->seen[page >> 6], memory_order_relaxed);
    return word >> (page & 63) & 1;
}

bool qdi_file_pages_seen(const qd_file *f, const frame_section *s, uint64_t first, uint64_t last)
{
    qd_assert(s->page + last < f->npages);
    for (uint64_t i = s->page + first; i <= s->page + last; i++) {
        if (!bit_get(f, i)) return false;
    }
    return true;
}

bool qdi_file_damage(qd_file *f)
{
    if (atomic_exchange(&f->whole->damaged, 1)) return false;
    if (f->store) atomic_fetch_add(&f->store->damaged, 1);
    return true;
}

uint64_t qd_store_damaged(const qd_store *s)
{
    return atomic_load_explicit(&s->damaged, memory_order_relaxed);
}

static int page_is_bad(qd_file *f, const frame_section *s, uint64_t page, qd_err *err)
{
    uint64_t offset = page << FRAME_PAGE_SHIFT;
    bool first = qdi_file_damage(f);
    int rc = qdi_damage_section(err, qd_file_name(f), s->id, offset, s->offset + offset,
                                "wrong page checksum");
    if (first) {
        qd_log_error("store", "file %s is damaged: section %" PRIu32 ", page at %" PRIu64, f->name,
                     s->id, s->offset + offset);
    }
    return rc;
}

int qdi_file_pages_check(qd_file *f, const frame_section *s, uint64_t first, uint64_t last,
                         const uint8_t *p, bool again, qd_err *err)
{
    qd_assert(last < frame_pages(s->bytes) && s->page + last < f->npages);
    for (uint64_t i = first; i <= last; i++, p += QD_FILE_PAGE) {
        uint64_t page = s->page + i;
        if (!again && bit_get(f, page)) continue;
        uint64_t want = qd_get_u64le(f->sums + page * 8);
        if (QD_UNLIKELY(qd_xxh3(p, frame_page_bytes(s->bytes, i)) != want)) {
            return page_is_bad(f, s, i, err);
        }
        atomic_fetch_or_explicit(&f->seen[page >> 6], 1ull << (page & 63), memory_order_relaxed);
    }
    return 0;
}

/* Reads pages from the tier, not from a mapping: by its flags the medium itself is looked at. */
static int verify_window(qd_file *f, const frame_section *s, uint64_t first, uint64_t last,
                         uint8_t *window, uint32_t flags, qd_err *err)
{
    uint64_t off = first << FRAME_PAGE_SHIFT;
    uint64_t end = (last << FRAME_PAGE_SHIFT) + frame_page_bytes(s->bytes, last);
    qd_storage_range r = {s->offset + off, end - off, window};
    int rc = qdi_object_read(f->store, f->object, &r, 1, flags, err);
    if (rc < 0) return qdi_tier_error(err, rc, "reading", qd_file_name(f));
    return qdi_file_pages_check(f, s, first, last, window, true, err);
}

/* Header, checksums, table and tail again. */
static int verify_frame(qd_file *f, uint8_t *window, uint32_t flags, qd_err *err)
{
    qd_str name = qd_file_name(f);
    uint64_t n = f->bytes - f->tail.checksums;
    uint8_t *p = n <= STORE_WINDOW ? window : qd_alloc(f->account, (size_t)n);
    frame_section *all = qd_alloc(f->account, (f->nsections + 1) * sizeof *all);
    int rc = p && all ? 0 : qdi_no_memory(f->account, n, "footer", err);
    uint8_t head[FRAME_HEADER];
    qd_storage_range r[2] = {{0, FRAME_HEADER, head}, {f->tail.checksums, n, p}};
    if (!rc) {
        rc = qdi_object_read(f->store, f->object, r, 2, flags, err);
        rc = qdi_tier_error(err, rc, "reading", name);
    }
    frame_header h;
    frame_tail t;
    if (!rc) rc = qdi_frame_header_get(head, FRAME_FILE_MAGIC, &h, name, err);
    if (!rc) rc = qdi_frame_tail_get(p + n - FRAME_TAIL, f->bytes, &t, name, err);
    if (!rc && memcmp(&t, &f->tail, sizeof t) != 0) {
        rc = qdi_damage(err, name, "footer", f->bytes - FRAME_TAIL, "changed while open");
    }
    if (!rc) rc = qdi_frame_table_get(p + (t.table - t.checksums), p, &t, all, name, err);
    if (rc == QD_E_CORRUPT) (void)qdi_file_damage(f);
    if (p != window) qd_free(p);
    qd_free(all);
    return rc;
}

/* What the medium holds is right; what a cache holds of the pages is looked at when they are used
 * the next time. */
static void forget_seen(qd_file *f, const frame_section *s, uint64_t first, uint64_t last)
{
    for (uint64_t i = s->page + first; f->map && i <= s->page + last; i++) {
        atomic_fetch_and_explicit(&f->seen[i >> 6], ~(1ull << (i & 63)), memory_order_relaxed);
    }
}

static int verify_some(qd_file *f, uint64_t *at, uint64_t bytes, uint32_t flags, qd_err *err)
{
    QD_CHECK(f, STORE_FILE_MAGIC);
    qd_assert(f->whole == f); /* a view is verified with its file */
    uint8_t *window = qd_alloc_aligned(f->account, 4096, STORE_WINDOW);
    if (!window) return qdi_no_memory(f->account, STORE_WINDOW, "window to verify", err);
    int rc = 0;
    uint32_t i = 0;
    if (*at == 0) rc = verify_frame(f, window, flags, err);
    if (!rc && *at == 0) *at = FRAME_HEADER;
    while (i < f->nsections &&
           f->sections[i].at.offset + frame_padded(f->sections[i].at.bytes) <= *at) {
        i++;
    }
    while (!rc && bytes > 0 && i < f->nsections) {
        const frame_section *s = &f->sections[i].at;
        uint64_t pages = frame_pages(s->bytes);
        qd_assert(*at >= s->offset); /* the end of the section before is the begin of this one */
        uint64_t first = (*at - s->offset) >> FRAME_PAGE_SHIFT;
        uint64_t last = first + STORE_WINDOW / QD_FILE_PAGE - 1;
        if (last - first > (bytes - 1) / QD_FILE_PAGE) last = first + (bytes - 1) / QD_FILE_PAGE;
        if (last >= pages) last = pages - 1;
        rc = verify_window(f, s, first, last, window, flags, err);
        if (!rc) forget_seen(f, s, first, last);
        uint64_t done = (last - first + 1) * (uint64_t)QD_FILE_PAGE;
        bytes = bytes > done ? bytes - done : 0;
        *at = s->offset + ((last + 1) << FRAME_PAGE_SHIFT);
        if (last + 1 == pages) *at = s->offset + frame_padded(s->bytes), i++;
    }
    if (!rc && i == f->nsections) *at = f->bytes;
    qd_assert(*at <= f->bytes);
    qd_free(window);
    return rc;
}

int qd_file_verify_some(qd_file *f, uint64_t *at, uint64_t bytes, qd_err *err)
{
    return verify_some(f, at, bytes, QD_STORAGE_READ_SEQUENTIAL, err);
}

int qdi_file_verify(qd_file *f, uint32_t flags, qd_err *err)
{
    uint64_t at = 0;
    int rc = 0;
    while (!rc && at < qd_file_bytes(f)) rc = verify_some(f, &at, UINT64_MAX, flags, err);
    return rc;
}

int qd_file_verify(qd_file *f, qd_err *err)
{
    return qdi_file_verify(f, QD_STORAGE_READ_SEQUENTIAL, err);
}

/* Pages of a tier that cannot map are read again, as far as a window reaches at a time. */
static int check_read(qd_file *f, const frame_section *s, uint64_t first, uint64_t last,
                      qd_err *err)
{
    uint64_t most = STORE_WINDOW / QD_FILE_PAGE, n = last - first + 1;
    if (n < most) most = n;
    uint8_t *window = qd_alloc_aligned(f->account, 4096, (size_t)most * QD_FILE_PAGE);
    if (!window) return qdi_no_memory(f->account, most * QD_FILE_PAGE, "pages to verify", err);
    int rc = 0;
    for (uint64_t at = first; !rc && at <= last; at += most) {
        uint64_t end = last - at < most ? last : at + most - 1;
        rc = verify_window(f, s, at, end, window, 0, err);
    }
    qd_free(window);
    return rc;
}

int qd_file_check(qd_file *f, uint32_t section, uint64_t off, uint64_t len, qd_err *err)
{
    QD_CHECK(f, STORE_FILE_MAGIC);
    uint32_t i = qdi_file_find(f, section);
    if (i == UINT32_MAX) return qd_file_corrupt(f, section, off, err, "section is missing");
    const frame_section *s = &f->sections[i].at;
    if (len == 0 || off >= s->bytes) return 0;
    if (len > s->bytes - off) len = s->bytes - off;
    uint64_t first = off >> FRAME_PAGE_SHIFT, last = (off + len - 1) >> FRAME_PAGE_SHIFT;
    if (!f->map) return f->sections[i].resident ? 0 : check_read(f, s, first, last, err);
    const uint8_t *p = f->map + s->offset + (first << FRAME_PAGE_SHIFT);
    return qdi_file_pages_check(f, s, first, last, p, true, err);
}

bool qd_file_damaged(const qd_file *f)
{
    return atomic_load_explicit(&f->whole->damaged, memory_order_relaxed) != 0 ||
           atomic_load_explicit(&f->whole->faulted, memory_order_relaxed) != 0;
}

int qd_file_corrupt(qd_file *f, uint32_t section, uint64_t offset, qd_err *err, const char *what)
{
    QD_CHECK(f, STORE_FILE_MAGIC);
    uint32_t i = qdi_file_find(f, section);
    uint64_t base = i == UINT32_MAX ? 0 : f->sections[i].at.offset;
    (void)qdi_file_damage(f);
    return qdi_damage_section(err, qd_file_name(f), section, offset, base + offset, what);
}
