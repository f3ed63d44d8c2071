/* unzip.c: gzip, also several members in one file, as `cat a.gz b.gz` makes. See unzip.h. */
#include "main/qd/unzip.h"
#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/file.h"
#include <zlib.h>

#define PACKED_BYTES ((size_t)256 << 10)
#define GZIP_ONLY (15 + 16) /* the largest window, and no other form than gzip's */

struct qd_unzip {
    qd_file_in *in;
    const char *path;
    z_stream z;
    bool packed, member; /* member: one is not read to its end */
    size_t n, at;        /* of buf: bytes read from the file, and given or unpacked */
    size_t looked;       /* bytes that qd_unzip_open read, until they are counted */
    uint8_t buf[PACKED_BYTES];
};

static int64_t fill(qd_unzip *z, uint64_t *taken, qd_err *err)
{
    int64_t got = qd_file_in_read(z->in, z->buf, sizeof z->buf, err);
    z->at = 0;
    z->n = got > 0 ? (size_t)got : 0;
    if (taken) *taken += z->n;
    return got;
}

/* Pipes give what they have: the first bytes may come one by one. */
static int64_t fill_first(qd_unzip *z, qd_err *err)
{
    while (z->n < 6) {
        int64_t got = qd_file_in_read(z->in, z->buf + z->n, sizeof z->buf - z->n, err);
        if (got <= 0) return got;
        z->n += (size_t)got;
    }
    return 0;
}

static int look(qd_unzip *z, qd_err *err)
{
    static const struct {
        const char *magic, *name, *program;
    } others[] = {{"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"},
                  {"\xfd"
                   "7zXZ",
                   "xz", "xz -dc"},
                  {"BZh", "bzip2", "bzip2 -dc"},
                  {"PK\x03\x04", "zip", "unzip -p"}};
    int64_t rc = fill_first(z, err);
    if (rc < 0) return (int)rc;
    qd_str head = {(const char *)z->buf, z->n};
    for (size_t i = 0; i < QD_COUNT_OF(others); i++) {
        if (qd_str_starts(head, qd_str_c(others[i].magic)))
            return qd_err_set(err, QD_E_ARG, "%s is compressed by %s, only gzip is read: %s %s | …",
                              z->path, others[i].name, others[i].program, z->path);
    }
    z->looked = z->n;
    z->packed = qd_str_starts(head, QD_STR("\x1f\x8b"));
    if (z->packed && inflateInit2(&z->z, GZIP_ONLY) != Z_OK) {
        z->packed = false;
        return qd_err_nomem(err, "unpacking");
    }
    return 0;
}

int qd_unzip_open(const char *path, qd_unzip **out, qd_err *err)
{
    qd_unzip *z = qd_calloc(NULL, sizeof *z);
    if (!z) return qd_err_nomem(err, "read buffer");
    z->path = path;
    int rc = qd_file_in_open(path, &z->in, err);
    if (!rc) rc = look(z, err);
    if (rc) {
        qd_unzip_close(z);
        return rc;
    }
    *out = z;
    return 0;
}

static int damaged(const qd_unzip *z, const char *why, qd_err *err)
{
    return qd_err_set(err, QD_E_IO, "%s: the gzip data are %s", z->path, why);
}

static int64_t unpack(qd_unzip *z, void *p, size_t n, uint64_t *taken, qd_err *err)
{
    z->z.next_out = p;
    z->z.avail_out = (uInt)n;
    while (z->z.avail_out == n) {
        if (z->at == z->n) {
            int64_t got = fill(z, taken, err);
            if (got < 0) return got;
            if (got == 0) return z->member ? damaged(z, "cut off", err) : 0;
        }
        if (!z->member && inflateReset(&z->z) != Z_OK) return damaged(z, "damaged", err);
        z->member = true;
        z->z.next_in = z->buf + z->at;
        z->z.avail_in = (uInt)(z->n - z->at);
        int rc = inflate(&z->z, Z_NO_FLUSH);
        z->at = z->n - z->z.avail_in;
        if (rc == Z_STREAM_END)
            z->member = false;
        else if (rc != Z_OK && rc != Z_BUF_ERROR)
            return damaged(z, "damaged", err);
    }
    return (int64_t)(n - z->z.avail_out);
}

int64_t qd_unzip_read(qd_unzip *z, void *p, size_t n, uint64_t *taken, qd_err *err)
{
    if (n > UINT32_MAX) n = UINT32_MAX;
    if (taken) *taken += z->looked;
    z->looked = 0;
    if (z->packed) return unpack(z, p, n, taken, err);
    if (z->at == z->n) {
        int64_t got = fill(z, taken, err);
        if (got <= 0) return got;
    }
    size_t k = z->n - z->at < n ? z->n - z->at : n;
    memcpy(p, z->buf + z->at, k);
    z->at += k;
    return (int64_t)k;
}

void qd_unzip_close(qd_unzip *z)
{
    if (!z) return;
    if (z->packed) inflateEnd(&z->z);
    qd_file_in_close(z->in);
    qd_free(z);
}
