/* object.c: small published objects: 64 bytes of header, content, nothing else. See store.h. */
#include "base/hash.h"
#include "base/str.h"
#include "store/store_int.h"
#include <inttypes.h>

#define OBJECT_MAX (16u << 20)

int qd_store_publish(qd_store *s, qd_str name, qd_str format, uint32_t version, qd_str content,
                     qd_err *err)
{
    QD_CHECK(s, STORE_MAGIC);
    int rc = qdi_name_check(name, false, err);
    if (rc) return rc;
    if (content.n > OBJECT_MAX || content.n + FRAME_HEADER > s->info.publish_max) {
        return qd_err_set(err, QD_E_LIMIT, "object %.*s: %zu bytes are too many to publish at once",
                          QD_STR_ARG(name), content.n);
    }
    uint8_t *p = qd_alloc(NULL, FRAME_HEADER + content.n);
    if (!p) return qd_err_nomem(err, "object to publish");
    qdi_frame_object_put(p, format, version, content);
    if (content.n) memcpy(p + FRAME_HEADER, content.p, content.n);
    store_try t;
    qdi_try_begin(&t, s, TRY_WRITE, err);
    do rc = s->vt.publish(s->tier, name, p, FRAME_HEADER + content.n, NULL, &t.call);
    while (qdi_try_again(&t, rc));
    qd_free(p);
    return qdi_tier_error(err, rc, "publishing", name);
}

static int check_object(const uint8_t *p, size_t n, qd_str name, qd_str format,
                        uint32_t version_max, frame_header *h, qd_err *err)
{
    if (n < FRAME_HEADER) return qdi_damage(err, name, "header", n, "file is cut");
    int rc = qdi_frame_header_get(p, FRAME_OBJECT_MAGIC, h, name, err);
    if (!rc) rc = qdi_frame_format_check(h, format, 0, version_max, name, err);
    if (rc) return rc;
    if (qd_get_u64le(p + 48) != 0) return qdi_damage(err, name, "header", 48, "reserved not zero");
    if (h->content != n - FRAME_HEADER) {
        return qdi_damage(err, name, "content", n, "length differs from the header's");
    }
    if (h->sum != qd_xxh3(p + FRAME_HEADER, n - FRAME_HEADER)) {
        return qdi_damage(err, name, "content", FRAME_HEADER, "wrong checksum");
    }
    return 0;
}

int qd_store_fetch(qd_store *s, qd_str name, qd_str format, uint32_t version_max,
                   qd_account *account, char **out, size_t *n, uint32_t *version, qd_err *err)
{
    QD_CHECK(s, STORE_MAGIC);
    qd_storage_stat st;
    int rc = qdi_name_check(name, false, err);
    if (rc) return rc;
    store_try t;
    qdi_try_begin(&t, s, TRY_READ, err);
    do rc = s->vt.stat(s->tier, name, &st, &t.call);
    while (qdi_try_again(&t, rc));
    if (rc < 0) return qdi_tier_error(err, rc, "reading", name);
    if (st.size > OBJECT_MAX + FRAME_HEADER) {
        return qdi_damage(err, name, "content", st.size, "longer than a published object can be");
    }
    size_t len = 0;
    uint8_t *p = qd_alloc(account, (size_t)st.size + 1);
    if (!p) return qdi_no_memory(account, st.size + 1, "published object", err);
    qdi_try_begin(&t, s, TRY_READ, err);
    do rc = s->vt.get(s->tier, name, p, (size_t)st.size, &len, NULL, &t.call);
    while (qdi_try_again(&t, rc));
    rc = qdi_tier_error(err, rc, "reading", name);
    frame_header h;
    if (!rc) rc = check_object(p, len, name, format, version_max, &h, err);
    if (rc) {
        qd_free(p);
        return rc;
    }
    memmove(p, p + FRAME_HEADER, len - FRAME_HEADER);
    p[len - FRAME_HEADER] = 0;
    *out = (char *)p;
    *n = len - FRAME_HEADER;
    if (version) *version = h.version;
    return 0;
}
