/*
 * file_open.c: opening, sharing and closing immutable files. See file.h.
 *
 * On a tier that can map, the whole object is mapped and everything below is pointer arithmetic.
 * Elsewhere one request brings the header and a guess at the tail; a second one only if the
 * resident sections begin before the guess.
 */
#include "base/str.h"
#include "store/sigbus_int.h"
#include "store/store_int.h"
#include <inttypes.h>

#define GUESS_LOCAL (64u << 10)
#define GUESS_REMOTE (1u << 20)

uint32_t qdi_file_find(const qd_file *f, uint32_t id)
{
    if (QD_LIKELY(id < FILE_BY_ID)) return (uint32_t)f->by_id[id] - 1; /* 0 becomes UINT32_MAX */
    for (uint32_t i = 0; i < f->nsections; i++) {
        if (f->sections[i].at.id == id) return i;
    }
    return UINT32_MAX;
}

static void close_view(qd_file *f)
{
    qd_file_unref(f->whole);
    qd_free(f->sections);
    f->magic = 0;
    qd_free(f);
}

static void close_file(qd_file *f)
{
    if (f->whole != f) {
        close_view(f);
        return;
    }
    if (f->map && f->sigbus_slot != UINT32_MAX) qdi_sigbus_remove(f->sigbus_slot);
    if (f->object) f->store->vt.object_close(f->object);
    for (uint32_t i = 0; f->sections && i < f->nsections; i++) qd_free(f->sections[i].resident);
    qd_free(f->sections);
    qd_free(f->sums_own);
    qd_free((void *)f->seen);
    if (f->name && f->store) qdi_store_closed(f->store, &f->handle);
    if (!f->store) qd_free((void *)(uintptr_t)f->map);
    qd_free(f->name);
    f->magic = 0;
    qd_free(f);
}

qd_file *qd_file_ref(qd_file *f)
{
    QD_CHECK(f, STORE_FILE_MAGIC);
    uint32_t before = atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    qd_assert(before > 0);
    return f;
}

void qd_file_unref(qd_file *f)
{
    if (!f) return;
    QD_CHECK(f, STORE_FILE_MAGIC);
    uint32_t before = atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel);
    qd_assert(before > 0);
    if (before == 1) close_file(f);
}

/* The end of a file in memory: bytes [from, length) stand at p; own when p is ours to free. */
typedef struct tail_view {
    const uint8_t *p;
    uint8_t *own;
    uint64_t from;
} tail_view;

static int read_tail(qd_file *f, uint8_t head[FRAME_HEADER], tail_view *v, qd_err *err)
{
    if (f->map) {
        memcpy(head, f->map, FRAME_HEADER);
        *v = (tail_view){.p = f->map, .from = 0};
        return 0;
    }
    uint64_t guess = f->store->caps & QD_STORE_REMOTE ? GUESS_REMOTE : GUESS_LOCAL;
    if (guess > f->bytes) guess = f->bytes;
    v->own = qd_alloc(f->account, (size_t)guess);
    if (!v->own) return qdi_no_memory(f->account, guess, "end of file", err);
    v->p = v->own;
    v->from = f->bytes - guess;
    qd_storage_range r[2] = {{0, FRAME_HEADER, head}, {v->from, guess, v->own}};
    int rc = qdi_object_read(f->store, f->object, r, 2, QD_STORAGE_READ_URGENT, err);
    return qdi_tier_error(err, rc, "reading", qd_file_name(f));
}

/* Makes v reach back to `from`. */
static int widen_tail(qd_file *f, tail_view *v, uint64_t from, qd_err *err)
{
    if (v->from <= from) return 0;
    qd_assert(v->own && v->from <= f->bytes); /* a mapped one reaches back to 0 */
    size_t more = (size_t)(v->from - from), have = (size_t)(f->bytes - v->from);
    uint8_t *p = qd_alloc(f->account, more + have);
    if (!p) return qdi_no_memory(f->account, more + have, "end of file", err);
    memcpy(p + more, v->own, have);
    qd_free(v->own);
    v->own = p;
    v->p = p;
    v->from = from;
    qd_storage_range r = {from, more, p};
    int rc = qdi_object_read(f->store, f->object, &r, 1, QD_STORAGE_READ_URGENT, err);
    return qdi_tier_error(err, rc, "reading", qd_file_name(f));
}

static int take_sections(qd_file *f, const tail_view *v, qd_err *err)
{
    const frame_tail *t = &f->tail;
    qd_assert(v->from <= t->checksums && t->checksums <= t->table); /* widen_tail */
    const uint8_t *sums = v->p + (t->checksums - v->from);
    size_t nwords = ((size_t)t->pages + 63) / 64 + 1;
    frame_section *all = qd_alloc(f->account, ((size_t)t->sections + 1) * sizeof *all);
    f->sections = qd_calloc(f->account, ((size_t)t->sections + 1) * sizeof *f->sections);
    f->seen = qd_calloc(f->account, nwords * 8);
    if (!f->map) f->sums_own = qd_alloc(f->account, (size_t)t->pages * 8 + 1);
    bool fits = all && f->sections && f->seen && (f->map || f->sums_own);
    int rc = fits ? 0 : qdi_no_memory(f->account, (uint64_t)t->pages * 8, "open file", err);
    if (!rc) {
        const uint8_t *table = v->p + (t->table - v->from);
        rc = qdi_frame_table_get(table, sums, t, all, qd_file_name(f), err);
    }
    if (!rc) {
        for (uint32_t i = 0; i < t->sections; i++) {
            f->sections[i].at = all[i];
            if (all[i].id < FILE_BY_ID) f->by_id[all[i].id] = (uint16_t)(i + 1);
        }
        qd_assert(t->sections <= QD_FILE_SECTIONS_MAX); /* by_id holds 16 bits */
        f->nsections = t->sections;
        f->npages = t->pages;
        if (f->sums_own) memcpy(f->sums_own, sums, (size_t)t->pages * 8);
        f->sums = f->sums_own ? f->sums_own : sums;
    }
    qd_free(all);
    return rc;
}

/* Verifies resident sections and, where the file is not mapped, keeps exactly-sized copies. */
static int take_residents(qd_file *f, const tail_view *v, qd_err *err)
{
    for (uint32_t i = 0; i < f->nsections; i++) {
        const frame_section *s = &f->sections[i].at;
        if (!(s->flags & FRAME_RESIDENT)) continue;
        qd_assert(s->offset >= v->from && s->offset + frame_padded(s->bytes) <= f->bytes);
        const uint8_t *p = v->p + (s->offset - v->from);
        int rc = qdi_file_pages_check(f, s, 0, frame_pages(s->bytes) - 1, p, false, err);
        if (rc) return rc;
        if (f->map) continue;
        uint64_t n = s->bytes + QD_FILE_SLACK;
        uint8_t *copy = qd_alloc(f->account, (size_t)n);
        if (!copy) return qdi_no_memory(f->account, n, "resident section", err);
        memcpy(copy, p, (size_t)n);
        f->sections[i].resident = copy;
    }
    return 0;
}

static int open_object(qd_file *f, qd_str name, qd_err *err)
{
    qd_store *s = f->store;
    int rc = qdi_object_open(s, name, &f->object, &f->bytes, err);
    if (rc < 0) return qdi_tier_error(err, rc, "opening", name);
    if (f->bytes < FRAME_HEADER + FRAME_TAIL) {
        return qdi_damage(err, name, "footer", f->bytes, "file is cut");
    }
    if (!(s->caps & QD_STORE_MMAP)) return 0;
    const uint8_t *map = NULL;
    store_try t;
    qdi_try_begin(&t, s, TRY_READ, err);
    do rc = s->vt.object_map(f->object, f->bytes, &map, &t.call);
    while (qdi_try_again(&t, rc));
    if (rc < 0) return qdi_tier_error(err, rc, "mapping", name);
    rc = qdi_sigbus_add(map, (size_t)f->bytes, &f->faulted, &f->sigbus_slot, err);
    if (!rc) f->map = map;
    return rc;
}

static int load(qd_file *f, qd_str name, const qd_file_format *format, qd_err *err)
{
    uint8_t head[FRAME_HEADER];
    frame_header h;
    tail_view v = {0};
    int rc = f->store ? open_object(f, name, err) : 0;
    if (!rc) rc = read_tail(f, head, &v, err);
    if (!rc) rc = qdi_frame_header_get(head, FRAME_FILE_MAGIC, &h, name, err);
    if (!rc && format) { /* without one any format will do */
        rc = qdi_frame_format_check(&h, format->name, format->version_min, format->version, name,
                                    err);
    }
    if (!rc) {
        rc = qdi_frame_tail_get(v.p + (f->bytes - FRAME_TAIL - v.from), f->bytes, &f->tail, name,
                                err);
    }
    if (!rc && (memcmp(h.id, f->tail.id, 16) != 0 || qd_get_u64le(head + 48) != 0)) {
        rc = qdi_damage(err, name, "footer", f->bytes - FRAME_TAIL, "header and footer disagree");
    }
    if (!rc) rc = widen_tail(f, &v, f->tail.resident, err);
    if (!rc) rc = take_sections(f, &v, err);
    if (!rc) rc = take_residents(f, &v, err);
    if (!rc && atomic_load(&f->faulted)) {
        rc = qdi_damage(err, name, "mapping", 0, "the device could not deliver a page");
    }
    qd_free(v.own);
    if (rc) return rc;
    f->version = h.version;
    memcpy(f->id, h.id, 16);
    return 0;
}

int qd_file_open(qd_store *s, qd_str name, const qd_file_format *format, qd_account *account,
                 qd_file **out, qd_err *err)
{
    QD_CHECK(s, STORE_MAGIC);
    int rc = qdi_name_check(name, false, err);
    if (rc) return rc;
    qd_file *f = qd_calloc(account, sizeof *f);
    if (!f) return qdi_no_memory(account, sizeof *f, "open file", err);
    f->magic = STORE_FILE_MAGIC;
    f->store = s;
    f->account = account;
    f->sigbus_slot = UINT32_MAX;
    f->whole = f;
    atomic_store(&f->refs, 1);
    f->name = qd_memdup(account, name.p, name.n);
    if (f->name) qdi_store_opened(s, &f->handle, "file", f->name);
    rc = f->name ? 0 : qdi_no_memory(account, name.n, "open file", err);
    if (!rc) rc = load(f, name, format, err);
    if (rc) {
        close_file(f);
        return rc;
    }
    *out = f;
    return 0;
}

/* Pages, their checksums and what was seen of them are the whole file's. */
int qd_file_view(qd_file *f, uint32_t from, qd_file **out, qd_err *err)
{
    QD_CHECK(f, STORE_FILE_MAGIC);
    qd_file *whole = f->whole;
    uint32_t n = 0;
    for (uint32_t i = 0; i < whole->nsections; i++)
        n += whole->sections[i].at.id - from < QD_FILE_VIEW_IDS;
    qd_file *v = qd_calloc(f->account, sizeof *v);
    if (v) v->sections = qd_calloc(f->account, ((size_t)n + 1) * sizeof *v->sections);
    if (!v || !v->sections) {
        int rc =
            qdi_no_memory(f->account, ((uint64_t)n + 1) * sizeof *v->sections, "open file", err);
        qd_free(v);
        return rc;
    }
    v->magic = STORE_FILE_MAGIC;
    v->store = whole->store;
    v->account = f->account;
    v->name = whole->name;
    v->object = whole->object;
    v->map = whole->map;
    v->bytes = whole->bytes;
    v->version = whole->version;
    v->npages = whole->npages;
    v->sums = whole->sums;
    v->seen = whole->seen;
    v->whole = qd_file_ref(whole);
    memcpy(v->id, whole->id, 16);
    atomic_store(&v->refs, 1);
    for (uint32_t i = 0; i < whole->nsections; i++) {
        uint32_t id = whole->sections[i].at.id - from;
        if (id >= QD_FILE_VIEW_IDS) continue;
        v->sections[v->nsections] = whole->sections[i];
        v->sections[v->nsections++].at.id = id;
        if (id < FILE_BY_ID) v->by_id[id] = (uint16_t)v->nsections;
    }
    *out = v;
    return 0;
}

int qdi_file_take(uint8_t *image, uint64_t bytes, qd_str name, qd_account *account, qd_file **out,
                  qd_err *err)
{
    qd_file *f = qd_calloc(account, sizeof *f);
    if (!f) {
        qd_free(image);
        return qdi_no_memory(account, sizeof *f, "open file", err);
    }
    f->magic = STORE_FILE_MAGIC;
    f->account = account;
    f->sigbus_slot = UINT32_MAX;
    f->map = image;
    f->whole = f;
    f->bytes = bytes;
    atomic_store(&f->refs, 1);
    f->name = qd_memdup(account, name.p, name.n);
    int rc = f->name ? load(f, name, NULL, err) : qdi_no_memory(account, name.n, "open file", err);
    if (rc) {
        close_file(f);
        return rc;
    }
    *out = f;
    return 0;
}

int qd_file_probe(qd_store *s, qd_str name, qd_err *err)
{
    qd_file *f;
    int rc = qd_file_open(s, name, NULL, NULL, &f, err);
    if (!rc) qd_file_unref(f);
    return rc;
}

qd_str qd_file_name(const qd_file *f)
{
    return qd_str_c(f->name);
}
const uint8_t *qd_file_id(const qd_file *f)
{
    return f->id;
}
uint32_t qd_file_version(const qd_file *f)
{
    return f->version;
}
uint64_t qd_file_bytes(const qd_file *f)
{
    return f->bytes;
}

bool qd_file_section(const qd_file *f, uint32_t id, uint64_t *bytes)
{
    uint32_t i = qdi_file_find(f, id);
    if (i == UINT32_MAX) return false;
    *bytes = f->sections[i].at.bytes;
    return true;
}

bool qd_file_mapped(const qd_file *f)
{
    return f->map != NULL;
}

const uint8_t *qd_file_resident(const qd_file *f, uint32_t id, uint64_t *bytes)
{
    uint32_t i = qdi_file_find(f, id);
    if (i == UINT32_MAX || !(f->sections[i].at.flags & FRAME_RESIDENT)) return NULL;
    *bytes = f->sections[i].at.bytes;
    return f->map ? f->map + f->sections[i].at.offset : f->sections[i].resident;
}

bool qd_file_section_at_index(const qd_file *f, uint32_t index, uint32_t *id, uint64_t *offset,
                              uint64_t *bytes, bool *resident)
{
    if (index >= f->nsections) return false;
    const frame_section *s = &f->sections[index].at;
    *id = s->id;
    *offset = s->offset;
    *bytes = s->bytes;
    *resident = s->flags & FRAME_RESIDENT;
    return true;
}
