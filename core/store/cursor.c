/*
 * cursor.c: a verified walk over one section in windows, for merges, copies and tools. See reads.h.
 *
 * Windows begin at a page of the section, so that each is verified in place. On a mapped tier the
 * window is the mapping itself and only the verification moves on.
 */
#include "store/reads.h"
#include "store/store_int.h"

#define STEP (8u * QD_FILE_PAGE) /* mapped: verified ahead at a time */

int qd_section_cursor_open(qd_section_cursor *c, qd_file *f, uint32_t section, uint64_t off,
                           qd_account *account, qd_err *err)
{
    QD_CHECK(f, STORE_FILE_MAGIC);
    uint32_t i = qdi_file_find(f, section);
    if (i == UINT32_MAX) return qd_file_corrupt(f, section, off, err, "section is missing");
    uint64_t bytes = f->sections[i].at.bytes;
    if (off > bytes) return qd_file_corrupt(f, section, off, err, "offset behind the section");
    *c = (qd_section_cursor){
        .file = qd_file_ref(f), .section = section, .at = off, .end = bytes, .account = account};
    return 0;
}

static int need_mapped(qd_section_cursor *c, const frame_section *s, size_t n, qd_err *err)
{
    qd_file *f = c->file;
    uint64_t first = c->at >> FRAME_PAGE_SHIFT;
    uint64_t upto = c->at + (n > STEP ? n : STEP);
    if (upto > c->end) upto = c->end;
    uint64_t last = (upto - 1) >> FRAME_PAGE_SHIFT;
    const uint8_t *base = f->map + s->offset;
    int rc =
        qdi_file_pages_check(f, s, first, last, base + (first << FRAME_PAGE_SHIFT), false, err);
    if (!rc && atomic_load_explicit(&f->whole->faulted, memory_order_relaxed)) {
        rc = qdi_damage(err, qd_file_name(f), "mapping", 0, "the device could not deliver a page");
    }
    if (rc) return rc;
    c->p = base + c->at;
    c->have = (size_t)(upto - c->at);
    qd_assert(c->at + c->have <= c->end);
    return 0;
}

static int need_window(qd_section_cursor *c, const frame_section *s, qd_err *err)
{
    qd_file *f = c->file;
    if (!c->window) {
        c->window = qd_alloc_aligned(c->account, 4096, STORE_WINDOW + QD_FILE_PAGE + QD_FILE_SLACK);
        if (!c->window) return qdi_no_memory(c->account, STORE_WINDOW, "window", err);
    }
    uint64_t first = c->at >> FRAME_PAGE_SHIFT, pages = frame_pages(s->bytes);
    uint64_t last =
        first + STORE_WINDOW / QD_FILE_PAGE; /* one more than a window: n at any place */
    if (last >= pages) last = pages - 1;
    uint64_t off = first << FRAME_PAGE_SHIFT;
    uint64_t n = (last << FRAME_PAGE_SHIFT) + frame_page_bytes(s->bytes, last) - off;
    qd_storage_range r = {s->offset + off, n, c->window};
    int rc = qdi_object_read(f->store, f->object, &r, 1, QD_STORAGE_READ_SEQUENTIAL, err);
    if (rc < 0) return qdi_tier_error(err, rc, "reading", qd_file_name(f));
    rc = qdi_file_pages_check(f, s, first, last, c->window, true, err);
    if (rc) return rc;
    uint64_t upto = off + n < c->end ? off + n : c->end;
    memset((uint8_t *)c->window + n, 0, QD_FILE_SLACK);
    c->p = (const uint8_t *)c->window + (c->at - off);
    c->have = (size_t)(upto - c->at);
    qd_assert(off <= c->at && c->at + c->have <= c->end);
    return 0;
}

int qd_section_cursor_need(qd_section_cursor *c, size_t n, qd_err *err)
{
    qd_assert(n <= STORE_WINDOW);
    if (QD_LIKELY(n <= c->have)) return 0;
    if (c->at == c->end) {
        c->have = 0;
        return 0;
    }
    qd_assert(c->have <= c->end - c->at);
    if (c->have == c->end - c->at) return 0; /* all that there is */
    qd_file *f = c->file;
    const frame_section *s = &f->sections[qdi_file_find(f, c->section)].at;
    return f->map ? need_mapped(c, s, n, err) : need_window(c, s, err);
}

void qd_section_cursor_skip(qd_section_cursor *c, size_t n)
{
    qd_assert(n <= c->have);
    c->p += n;
    c->at += n;
    c->have -= n;
}

void qd_section_cursor_close(qd_section_cursor *c)
{
    qd_free(c->window);
    qd_file_unref(c->file);
    *c = (qd_section_cursor){0};
}
