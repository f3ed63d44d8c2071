/*
 * live.c: live documents in memory and on disk.
 *
 * Object: section BITS (the bitmap's words), resident section META: segment id (16 bytes),
 * generation (u64), documents (u32), live documents (u32).
 */
#include "segment/live.h"
#include "base/bits.h"
#include "base/str.h"
#include "segment/format_int.h"
#include "store/reads.h"
#include <stdatomic.h>
#include <stdio.h>

#define MAGIC 0x51446c76u
#define META_BYTES 32u

struct qd_live {
    uint32_t magic;
    _Atomic uint32_t refs;
    uint32_t docs, live;
    uint64_t bits[];
};

static uint32_t words_of(uint32_t docs)
{
    return docs / 64 + (docs % 64 != 0);
}

static qd_live *allocate(uint32_t docs, qd_account *account)
{
    qd_live *l = qd_calloc(account, sizeof *l + (size_t)words_of(docs) * 8);
    if (!l) return NULL;
    l->magic = MAGIC;
    atomic_init(&l->refs, 1);
    l->docs = docs;
    return l;
}

int qd_live_make(uint32_t docs, qd_account *account, qd_live **out, qd_err *err)
{
    qd_live *l = allocate(docs, account);
    if (!l) return qd_err_nomem(err, "live documents");
    memset(l->bits, 0xff, (size_t)words_of(docs) * 8);
    if (docs % 64) l->bits[docs / 64] = ((uint64_t)1 << (docs % 64)) - 1;
    l->live = docs;
    *out = l;
    return 0;
}

int qd_live_clone(const qd_live *from, qd_account *account, qd_live **out, qd_err *err)
{
    QD_CHECK(from, MAGIC);
    qd_live *l = allocate(from->docs, account);
    if (!l) return qd_err_nomem(err, "live documents");
    memcpy(l->bits, from->bits, (size_t)words_of(from->docs) * 8);
    l->live = from->live;
    *out = l;
    return 0;
}

qd_live *qd_live_ref(qd_live *l)
{
    if (!l) return NULL;
    QD_CHECK(l, MAGIC);
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void qd_live_unref(qd_live *l)
{
    if (!l) return;
    QD_CHECK(l, MAGIC);
    if (atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1) return;
    l->magic = 0;
    qd_free(l);
}

bool qd_live_delete(qd_live *l, uint32_t doc)
{
    QD_CHECK(l, MAGIC);
    qd_assert(doc < l->docs && atomic_load_explicit(&l->refs, memory_order_relaxed) == 1);
    uint64_t bit = (uint64_t)1 << (doc & 63);
    if (!(l->bits[doc / 64] & bit)) return false;
    l->bits[doc / 64] &= ~bit;
    l->live--;
    return true;
}

bool qd_live_has(const qd_live *l, uint32_t doc)
{
    return !l || ((l->bits[doc / 64] >> (doc & 63)) & 1);
}

const uint64_t *qd_live_bits(const qd_live *l)
{
    return l->bits;
}

uint32_t qd_live_docs(const qd_live *l)
{
    return l->docs;
}

uint32_t qd_live_count(const qd_live *l)
{
    return l->live;
}

qd_str qd_live_name(const uint8_t segment[16], uint64_t generation, char *buf)
{
    int n = snprintf(buf, QD_LIVE_NAME_BYTES, "live-");
    for (uint32_t i = 0; i < 16; i++)
        n += snprintf(buf + n, QD_LIVE_NAME_BYTES - (size_t)n, "%02x", segment[i]);
    n += snprintf(buf + n, QD_LIVE_NAME_BYTES - (size_t)n, "-%016llx",
                  (unsigned long long)generation);
    return (qd_str){buf, (size_t)n};
}

/* Value of a lower-case hexadecimal digit, -1 for others. */
static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool qd_live_name_parse(qd_str name, uint8_t *segment, uint64_t *generation)
{
    uint8_t id[16];
    uint64_t g = 0;
    if (name.n != 54 || !qd_str_starts(name, QD_STR("live-")) || name.p[37] != '-') return false;
    for (uint32_t i = 0; i < 16; i++) {
        int hi = digit(name.p[5 + 2 * i]), lo = digit(name.p[6 + 2 * i]);
        if (hi < 0 || lo < 0) return false;
        id[i] = (uint8_t)(hi * 16 + lo);
    }
    for (uint32_t i = 38; i < 54; i++) {
        int d = digit(name.p[i]);
        if (d < 0) return false;
        g = g << 4 | (uint64_t)d;
    }
    if (segment) memcpy(segment, id, 16);
    if (generation) *generation = g;
    return true;
}

/* prefix + name of a generation; buf has room for 256 bytes (a longer name is refused below). */
static int full_name(qd_str prefix, const uint8_t segment[16], uint64_t generation, char *buf,
                     qd_str *out, qd_err *err)
{
    char name[QD_LIVE_NAME_BYTES];
    qd_str n = qd_live_name(segment, generation, name);
    if (prefix.n + n.n >= 256) return qd_err_set(err, QD_E_ARG, "the prefix of a name is too long");
    if (prefix.n) memcpy(buf, prefix.p, prefix.n);
    memcpy(buf + prefix.n, n.p, n.n);
    *out = (qd_str){buf, prefix.n + n.n};
    return 0;
}

int qd_live_write(const qd_live *l, qd_store *s, qd_str prefix, const uint8_t segment[16],
                  uint64_t generation, const uint8_t id[16], bool sync, uint64_t *bytes,
                  qd_err *err)
{
    char buf[256];
    uint8_t meta[META_BYTES];
    qd_str name;
    qd_file_writer *w;
    QD_CHECK(l, MAGIC);
    int rc = full_name(prefix, segment, generation, buf, &name, err);
    if (rc == 0) rc = qd_file_create(s, name, &QDI_LIVE_FORMAT, id, NULL, &w, err);
    if (rc) return rc;
    memcpy(meta, segment, 16);
    qd_put_u64le(meta + 16, generation);
    qd_put_u32le(meta + 24, l->docs);
    qd_put_u32le(meta + 28, l->live);
    rc = qd_file_section_begin(w, QDI_LIVE_SEC_BITS, false, err);
    if (rc == 0) rc = qd_file_write(w, l->bits, (size_t)words_of(l->docs) * 8, err);
    if (rc == 0) rc = qd_file_section_end(w, NULL, err);
    if (rc == 0) rc = qd_file_section_begin(w, QDI_LIVE_SEC_META, true, err);
    if (rc == 0) rc = qd_file_write(w, meta, sizeof meta, err);
    if (rc == 0) rc = qd_file_section_end(w, NULL, err);
    if (rc) {
        qd_file_abort(w);
        return rc;
    }
    return qd_file_commit(w, sync, bytes, err);
}

/* Reads the bitmap of an open object into l and counts. */
static int read_bits(qd_file *f, qd_live *l, uint32_t live, qd_account *account, qd_err *err)
{
    qd_section_cursor c;
    uint64_t bytes = (uint64_t)words_of(l->docs) * 8, have = 0;
    if (!qd_file_section(f, QDI_LIVE_SEC_BITS, &have) || have != bytes)
        return qd_file_corrupt(f, QDI_LIVE_SEC_BITS, 0, err, "length of the bitmap");
    int rc = qd_section_cursor_open(&c, f, QDI_LIVE_SEC_BITS, 0, account, err);
    if (rc) return rc;
    for (uint64_t at = 0; rc == 0 && at < bytes;) {
        rc = qd_section_cursor_need(&c, bytes - at < 32768 ? (size_t)(bytes - at) : 32768, err);
        if (rc) break;
        size_t n = c.have < bytes - at ? c.have : (size_t)(bytes - at);
        memcpy((uint8_t *)l->bits + at, c.p, n);
        qd_section_cursor_skip(&c, n);
        at += n;
    }
    qd_section_cursor_close(&c);
    if (rc) return rc;
    for (uint32_t i = 0; i < words_of(l->docs); i++)
        l->live += (uint32_t)__builtin_popcountll(l->bits[i]);
    if (l->docs % 64 && l->bits[l->docs / 64] >> (l->docs % 64))
        return qd_file_corrupt(f, QDI_LIVE_SEC_BITS, bytes - 8, err, "bits behind the documents");
    if (l->live != live)
        return qd_file_corrupt(f, QDI_LIVE_SEC_META, 28, err, "number of live documents");
    return 0;
}

int qd_live_open(qd_store *s, qd_str prefix, const uint8_t segment[16], uint64_t generation,
                 uint32_t docs, qd_account *account, qd_live **out, qd_err *err)
{
    char buf[256];
    qd_str name;
    qd_file *f;
    uint64_t bytes = 0;
    int rc = full_name(prefix, segment, generation, buf, &name, err);
    if (rc == 0) rc = qd_file_open(s, name, &QDI_LIVE_FORMAT, account, &f, err);
    if (rc) return rc;
    const uint8_t *meta = qd_file_resident(f, QDI_LIVE_SEC_META, &bytes);
    qd_live *l = NULL;
    if (!meta || bytes != META_BYTES)
        rc = qd_file_corrupt(f, QDI_LIVE_SEC_META, 0, err, "length of META");
    else if (memcmp(meta, segment, 16) != 0 || qd_get_u64le(meta + 16) != generation)
        rc = qd_file_corrupt(f, QDI_LIVE_SEC_META, 0, err, "of another segment or generation");
    else if (qd_get_u32le(meta + 24) != docs)
        rc = qd_file_corrupt(f, QDI_LIVE_SEC_META, 24, err, "number of documents");
    if (rc == 0 && !(l = allocate(docs, account))) rc = qd_err_nomem(err, "live documents");
    if (rc == 0) rc = read_bits(f, l, qd_get_u32le(meta + 28), account, err);
    qd_file_unref(f);
    if (rc) {
        qd_live_unref(l);
        return rc;
    }
    *out = l;
    return 0;
}
