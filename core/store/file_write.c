/*
 * file_write.c: writing an immutable file as one stream. See file.h.
 *
 * Bytes gather in one buffer. Whole pages are checksummed in place, where they are still in the
 * CPU's cache, and handed to the tier in large pieces that end at a page of the section; what is
 * left of an unfinished page moves to the front.
 */
#include "base/hash.h"
#include "base/str.h"
#include "base/vec.h"
#include "store/store_int.h"

#define BUFFER (256u << 10)
_Static_assert(BUFFER >= 4 * QD_FILE_PAGE, "room for whole pages");

struct qd_file_writer {
    uint32_t magic;
    int failed; /* first error; its text went to the caller that met it */
    qd_store *store;
    store_handle handle;
    qd_account *account;
    char *name;
    size_t name_len;
    qd_storage_put *put;
    uint8_t *buf;
    size_t n;    /* bytes in buf */
    size_t page; /* where the present page begins in buf */
    uint64_t at; /* file offset of buf's end */
    bool in_section;
    uint32_t from; /* added to ids */
    uint64_t section_bytes;
    uint8_t id[16];
    qd_storage_sum sum; /* of what the tier has been given */
    bool in_memory;     /* then image takes what else the tier would */
    qd_buf image;
    QD_VEC(frame_section) sections;
    QD_VEC(uint64_t) sums;
};

static qd_str writer_name(const qd_file_writer *w)
{
    return (qd_str){w->name, w->name_len};
}

static int fail(qd_file_writer *w, int rc)
{
    if (!w->failed) w->failed = rc;
    return rc;
}

static void writer_free(qd_file_writer *w)
{
    if (w->name && w->store) qdi_store_closed(w->store, &w->handle);
    w->magic = 0;
    qd_buf_fini(&w->image);
    qd_vec_fini(&w->sections);
    qd_vec_fini(&w->sums);
    qd_free(w->buf);
    qd_free(w->name);
    qd_free(w);
}

/* Hands the first n bytes of the buffer to the tier and moves the rest to the front. */
static int hand_over(qd_file_writer *w, size_t n, qd_err *err)
{
    if (n == 0) return 0;
    qd_assert(n <= w->n && w->n <= BUFFER);
    int rc = 0;
    if (!w->in_memory)
        rc = qdi_put_write(w->store, w->put, w->buf, n, &w->sum, err);
    else if (qd_buf_add(&w->image, w->buf, n))
        return fail(w, qdi_no_memory(w->account, n, "file in memory", err));
    if (rc < 0) return fail(w, qdi_tier_error(err, rc, "writing", writer_name(w)));
    memmove(w->buf, w->buf + n, w->n - n);
    w->n -= n;
    w->page = w->page >= n ? w->page - n : 0;
    return 0;
}

static int end_page(qd_file_writer *w, qd_err *err)
{
    qd_assert(w->in_section && w->n > w->page && w->n - w->page <= QD_FILE_PAGE);
    uint64_t sum = qd_xxh3(w->buf + w->page, w->n - w->page);
    if (qd_vec_push(&w->sums, w->account, sum)) return fail(w, qd_err_nomem(err, "checksums"));
    w->page = w->n;
    return 0;
}

/* Appends bytes to the file; inside a section they are checksummed. p NULL: zeros. */
static int append(qd_file_writer *w, const uint8_t *p, size_t n, qd_err *err)
{
    while (n > 0) {
        size_t room = BUFFER - w->n;
        if (w->in_section && room > QD_FILE_PAGE - (w->n - w->page)) {
            room = QD_FILE_PAGE - (w->n - w->page);
        }
        size_t k = n < room ? n : room;
        if (p) memcpy(w->buf + w->n, p, k);
        if (!p) memset(w->buf + w->n, 0, k);
        w->n += k;
        w->at += k;
        n -= k;
        if (p) p += k;
        int rc = 0;
        if (w->in_section && w->n - w->page == QD_FILE_PAGE) rc = end_page(w, err);
        if (!rc && w->n == BUFFER) rc = hand_over(w, w->in_section ? w->page : w->n, err);
        if (rc) return rc;
    }
    return 0;
}

int qd_file_create(qd_store *s, qd_str name, const qd_file_format *format, const uint8_t id[16],
                   qd_account *account, qd_file_writer **out, qd_err *err)
{
    QD_CHECK(s, STORE_MAGIC);
    qd_assert(format->name.n > 0 && format->name.n <= 16);
    int rc = qdi_name_check(name, false, err);
    if (rc) return rc;
    qd_file_writer *w = qd_calloc(account, sizeof *w);
    if (!w) return qdi_no_memory(account, sizeof *w, "file writer", err);
    w->magic = STORE_WRITER_MAGIC;
    w->store = s;
    w->account = account;
    memcpy(w->id, id, 16);
    w->name = qd_memdup(account, name.p, name.n);
    if (w->name) qdi_store_opened(s, &w->handle, "file that is written", w->name);
    w->name_len = name.n;
    w->buf = qd_alloc_aligned(account, 4096, BUFFER);
    rc = w->name && w->buf ? 0 : qdi_no_memory(account, BUFFER, "file buffer", err);
    if (!rc) {
        rc = qdi_put_begin(s, name, 0, &w->put, err);
        rc = qdi_tier_error(err, rc, "creating", name);
    }
    if (rc) {
        writer_free(w);
        return rc;
    }
    qdi_frame_header_put(w->buf, format, id);
    w->n = w->at = FRAME_HEADER;
    *out = w;
    return 0;
}

int qd_file_create_in_memory(const char *name, const qd_file_format *format, qd_account *account,
                             qd_file_writer **out, qd_err *err)
{
    static const uint8_t id[16];
    qd_file_writer *w = qd_calloc(account, sizeof *w);
    if (!w) return qdi_no_memory(account, sizeof *w, "file writer", err);
    w->magic = STORE_WRITER_MAGIC;
    w->account = account;
    w->in_memory = true;
    qd_buf_init(&w->image, account, SIZE_MAX / 2);
    w->name_len = strlen(name);
    w->name = qd_memdup(account, name, w->name_len);
    w->buf = qd_alloc_aligned(account, 4096, BUFFER);
    if (!w->name || !w->buf) {
        writer_free(w);
        return qdi_no_memory(account, BUFFER, "file buffer", err);
    }
    qdi_frame_header_put(w->buf, format, id);
    w->n = w->at = FRAME_HEADER;
    *out = w;
    return 0;
}

static int is_failed(const qd_file_writer *w, qd_err *err)
{
    QD_CHECK(w, STORE_WRITER_MAGIC);
    if (QD_LIKELY(!w->failed)) return 0;
    return qd_err_set(err, w->failed, "writing %.*s: an earlier write failed",
                      QD_STR_ARG(writer_name(w)));
}

void qd_file_sections_from(qd_file_writer *w, uint32_t from)
{
    QD_CHECK(w, STORE_WRITER_MAGIC);
    qd_assert(!w->in_section);
    w->from = from;
}

int qd_file_section_begin(qd_file_writer *w, uint32_t id, bool resident, qd_err *err)
{
    int rc = is_failed(w, err);
    if (rc) return rc;
    qd_assert(!w->in_section && w->at % FRAME_ALIGN == 0);
    id += w->from;
    for (size_t i = 0; i < w->sections.n; i++) qd_assert(w->sections.at[i].id != id);
    if (w->sections.n > 0 && !resident) {
        qd_assert(!(w->sections.at[w->sections.n - 1].flags & FRAME_RESIDENT));
    }
    if (w->sections.n == QD_FILE_SECTIONS_MAX) {
        return fail(w, qd_err_set(err, QD_E_LIMIT, "file %.*s has too many sections",
                                  QD_STR_ARG(writer_name(w))));
    }
    frame_section s = {.id = id,
                       .flags = resident ? FRAME_RESIDENT : 0,
                       .offset = w->at,
                       .page = (uint32_t)w->sums.n};
    if (qd_vec_push(&w->sections, w->account, s)) return fail(w, qd_err_nomem(err, "sections"));
    w->in_section = true;
    w->section_bytes = 0;
    w->page = w->n;
    return 0;
}

int qd_file_write(qd_file_writer *w, const void *p, size_t n, qd_err *err)
{
    int rc = is_failed(w, err);
    if (rc) return rc;
    qd_assert(w->in_section);
    rc = append(w, p, n, err);
    if (!rc) w->section_bytes += n;
    return rc;
}

uint64_t qd_file_section_at(const qd_file_writer *w)
{
    return w->section_bytes;
}

int qd_file_section_end(qd_file_writer *w, uint64_t *bytes, qd_err *err)
{
    int rc = is_failed(w, err);
    if (rc) return rc;
    qd_assert(w->in_section);
    uint64_t n = w->section_bytes;
    rc = append(w, NULL, (size_t)(frame_padded(n) - n), err);
    if (!rc && w->n > w->page) rc = end_page(w, err);
    if (rc) return rc;
    const frame_section *s = &w->sections.at[w->sections.n - 1];
    qd_assert(w->at == s->offset + frame_padded(n)); /* as a reader will find it */
    qd_assert(w->sums.n == s->page + frame_pages(n));
    w->sections.at[w->sections.n - 1].bytes = n;
    w->in_section = false;
    if (bytes) *bytes = n;
    return 0;
}

/* Checksums, table and tail. */
static int write_footer(qd_file_writer *w, qd_err *err)
{
    qd_assert(!w->in_section && w->at % FRAME_ALIGN == 0);
    frame_tail t = {.checksums = w->at,
                    .sections = (uint32_t)w->sections.n,
                    .pages = (uint32_t)w->sums.n,
                    .resident = w->at};
    if (w->sums.n > UINT32_MAX) {
        return qd_err_set(err, QD_E_LIMIT, "file %.*s is too long", QD_STR_ARG(writer_name(w)));
    }
    for (size_t i = w->sections.n; i > 0; i--) {
        if (w->sections.at[i - 1].flags & FRAME_RESIDENT) t.resident = w->sections.at[i - 1].offset;
    }
    memcpy(t.id, w->id, 16);
    t.checksums_sum = qd_xxh3(w->sums.at, w->sums.n * 8);
    int rc = w->sums.n ? append(w, (const uint8_t *)w->sums.at, w->sums.n * 8, err) : 0;
    if (rc) return rc;
    t.table = w->at;
    size_t n = w->sections.n * FRAME_ENTRY;
    uint8_t *table = qd_alloc(w->account, n + 1);
    if (!table) return qdi_no_memory(w->account, n + 1, "section table", err);
    for (size_t i = 0; i < w->sections.n; i++) {
        qdi_frame_section_put(table + i * FRAME_ENTRY, &w->sections.at[i]);
    }
    t.table_sum = qd_xxh3(table, n);
    rc = append(w, table, n, err);
    qd_free(table);
    if (rc) return rc;
    uint8_t tail[FRAME_TAIL];
    t.length = w->at + FRAME_TAIL;
    qdi_frame_tail_put(tail, &t);
    rc = append(w, tail, sizeof tail, err);
    qd_assert(rc || (w->at == t.length && t.table == t.checksums + w->sums.n * 8));
    return rc ? rc : hand_over(w, w->n, err);
}

int qd_file_commit(qd_file_writer *w, bool sync, uint64_t *bytes, qd_err *err)
{
    int rc = is_failed(w, err);
    qd_assert(!w->in_section || rc);
    if (!rc) rc = write_footer(w, err);
    if (rc) {
        w->store->vt.put_abort(w->put);
        writer_free(w);
        return rc;
    }
    uint64_t n = w->at;
    qd_assert(w->n == 0 && w->sum.len == n); /* the tier has been given all of it */
    rc = qdi_put_commit(w->store, w->put, sync, &w->sum, err);
    rc = qdi_tier_error(err, rc, "committing", writer_name(w));
    writer_free(w);
    if (!rc && bytes) *bytes = n;
    return rc;
}

int qd_file_commit_in_memory(qd_file_writer *w, qd_file **out, qd_err *err)
{
    int rc = is_failed(w, err);
    uint8_t *image = NULL;
    if (!rc) rc = write_footer(w, err);
    if (!rc) {
        qd_assert(w->in_memory && w->image.n == w->at);
        image = qd_alloc_aligned(w->account, 4096, w->image.n);
        if (!image) rc = qdi_no_memory(w->account, w->image.n, "file in memory", err);
    }
    if (!rc) {
        memcpy(image, w->image.p, w->image.n);
        rc = qdi_file_take(image, w->image.n, writer_name(w), w->account, out, err);
    }
    writer_free(w);
    return rc;
}

void qd_file_abort(qd_file_writer *w)
{
    if (!w) return;
    QD_CHECK(w, STORE_WRITER_MAGIC);
    if (!w->in_memory) w->store->vt.put_abort(w->put);
    writer_free(w);
}
