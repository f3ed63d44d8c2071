/* copy.c: files between tiers. See copy.h. */
#include "store/copy.h"
#include "base/hash.h"
#include "base/str.h"
#include "store/store_int.h"
#include <inttypes.h>

/* What was written just now, or is searched, need not be read from the medium again. */
#define CACHED (QD_STORAGE_READ_SEQUENTIAL | QD_STORAGE_READ_CACHED)

struct qd_file_receiver {
    uint32_t magic;
    qd_store *store;
    store_handle handle;
    qd_account *account;
    qd_storage_put *put;
    qd_storage_sum sum;
    uint64_t bytes, at;
    int failed;
    char name[STORE_NAME_MAX + 1];
};

uint64_t qd_file_hash(const qd_file *f)
{
    struct {
        uint8_t tail[FRAME_TAIL];
        uint8_t version[8];
    } all;
    qdi_frame_tail_put(all.tail, &f->tail);
    qd_put_u64le(all.version, f->version);
    return qd_xxh3(&all, sizeof all);
}

int qd_file_bytes_at(qd_file *f, uint64_t offset, void *buf, size_t n, size_t *got, qd_err *err)
{
    QD_CHECK(f, STORE_FILE_MAGIC);
    *got = 0;
    if (offset >= f->bytes || n == 0) return 0;
    if (n > f->bytes - offset) n = (size_t)(f->bytes - offset);
    qd_storage_range r = {offset, n, buf};
    int rc = qdi_object_read(f->store, f->object, &r, 1, CACHED, err);
    if (rc < 0) return qdi_tier_error(err, rc, "reading", qd_file_name(f));
    *got = n;
    return 0;
}

int qd_file_receive_begin(qd_store *s, qd_str name, uint64_t bytes, qd_account *account,
                          qd_file_receiver **out, qd_err *err)
{
    QD_CHECK(s, STORE_MAGIC);
    int rc = qdi_name_check(name, false, err);
    if (rc) return rc;
    qd_file_receiver *r = qd_calloc(account, sizeof *r);
    if (!r) return qdi_no_memory(account, sizeof *r, "file to receive", err);
    memcpy(r->name, name.p, name.n);
    r->magic = STORE_WRITER_MAGIC;
    r->store = s;
    r->account = account;
    r->bytes = bytes;
    rc = qdi_put_begin(s, name, bytes, &r->put, err);
    if (rc < 0) {
        rc = qdi_tier_error(err, rc, "receiving", name);
        qd_free(r);
        return rc;
    }
    qdi_store_opened(s, &r->handle, "file that is received", r->name);
    *out = r;
    return 0;
}

int qd_file_receive_append(qd_file_receiver *r, const void *p, size_t n, qd_err *err)
{
    QD_CHECK(r, STORE_WRITER_MAGIC);
    if (r->failed) return qd_err_set(err, r->failed, "file %s: receiving it has failed", r->name);
    if (n > r->bytes - r->at) {
        r->failed = QD_E_CORRUPT;
        return qd_err_set(err, QD_E_CORRUPT,
                          "file %s: more bytes came than the %" PRIu64 " announced", r->name,
                          r->bytes);
    }
    if (n == 0) return 0;
    int rc = qdi_put_write(r->store, r->put, p, n, &r->sum, err);
    if (rc < 0) return r->failed = qdi_tier_error(err, rc, "receiving", qd_str_c(r->name));
    r->at += n;
    qd_assert(r->at <= r->bytes && r->sum.len == r->at);
    return 0;
}

static void receiver_free(qd_file_receiver *r)
{
    qdi_store_closed(r->store, &r->handle);
    r->magic = 0;
    qd_free(r);
}

void qd_file_receive_abort(qd_file_receiver *r)
{
    if (!r) return;
    QD_CHECK(r, STORE_WRITER_MAGIC);
    r->store->vt.put_abort(r->put);
    receiver_free(r);
}

static int matches(qd_store *s, qd_str name, uint64_t bytes, uint64_t hash, uint32_t flags,
                   qd_account *account, qd_err *err)
{
    qd_file *f;
    int rc = qd_file_open(s, name, NULL, account, &f, err);
    if (rc) return rc;
    if (qd_file_bytes(f) != bytes || qd_file_hash(f) != hash) {
        rc = qdi_damage(err, name, "footer", qd_file_bytes(f),
                        "not the file that was asked for: length or hash differ");
    }
    if (!rc) rc = qdi_file_verify(f, flags, err);
    qd_file_unref(f);
    return rc;
}

int qd_file_matches(qd_store *s, qd_str name, uint64_t bytes, uint64_t hash, qd_account *account,
                    qd_err *err)
{
    return matches(s, name, bytes, hash, QD_STORAGE_READ_SEQUENTIAL, account, err);
}

int qd_file_receive_finish(qd_file_receiver *r, uint64_t hash, qd_err *err)
{
    QD_CHECK(r, STORE_WRITER_MAGIC);
    qd_store *s = r->store;
    qd_str name = qd_str_c(r->name);
    int rc = r->failed;
    if (rc) (void)qd_err_set(err, rc, "file %s: receiving it has failed", r->name);
    if (!rc && r->at != r->bytes) {
        rc = qdi_damage(err, name, "content", r->at, "fewer bytes came than announced");
    }
    if (rc) {
        qd_file_receive_abort(r);
        return rc;
    }
    qd_assert(r->sum.len == r->bytes);
    rc = qdi_put_commit(s, r->put, false, &r->sum, err);
    rc = qdi_tier_error(err, rc, "receiving", name);
    if (!rc) {
        rc = matches(s, name, r->bytes, hash, CACHED, r->account, err);
        if (rc) { /* it has no name anywhere but here: what cannot be removed is a stray */
            int gone = qd_store_delete(s, name, NULL);
            (void)gone;
        }
    }
    receiver_free(r);
    return rc;
}
