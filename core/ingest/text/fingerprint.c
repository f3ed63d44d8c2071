/* fingerprint.c: the processor fingerprint: a hash of the values of fields. */
#include "base/base64.h"
#include "ingest/ingest_int.h"
#include <openssl/evp.h>
#include <stdlib.h>

typedef struct printing {
    qdi_path *fields, target;
    uint32_t n;
    qd_str salt;
    const char *method; /* OpenSSL's name; NULL: murmur */
    bool ignore_missing;
} printing;

static int by_name(const void *a, const void *b)
{
    const qdi_path *x = a, *y = b;
    return qd_str_cmp(x->full, y->full);
}

static int make(qdi_build *b, void *config, qd_err *err)
{
    static const char *const names[][2] = {{"MD5", "MD5"},
                                           {"SHA-1", "SHA1"},
                                           {"SHA-256", "SHA256"},
                                           {"SHA-512", "SHA512"},
                                           {"MurmurHash3", NULL}};
    printing *c = config;
    qd_str *fields, method;
    int rc = qdi_arg_strs(b, "fields", true, false, &fields, &c->n, err);
    if (!rc) rc = qdi_arg_path(b, "target_field", QD_STR("fingerprint"), &c->target, err);
    if (!rc) rc = qdi_arg_str(b, "salt", "", &c->salt, err);
    if (!rc) rc = qdi_arg_str(b, "method", "SHA-1", &method, err);
    if (!rc) rc = qdi_arg_bool(b, "ignore_missing", false, &c->ignore_missing, err);
    if (rc) return rc;
    if (!c->n) return qdi_arg_fail(b, "fields", err, "must specify at least one field");
    c->fields = qd_arena_alloc(b->a, c->n * sizeof *c->fields);
    if (!c->fields) return qd_err_nomem(err, "processor");
    for (uint32_t k = 0; k < c->n && !rc; k++)
        rc = qdi_path_make(b->a, fields[k], &c->fields[k], err);
    if (rc) return qdi_arg_wrap(b, "fields", err);
    qsort(c->fields, c->n, sizeof *c->fields, by_name);
    for (size_t k = 0; k < QD_COUNT_OF(names); k++) {
        if (!qd_str_is(method, names[k][0])) continue;
        c->method = names[k][1];
        return 0;
    }
    return qdi_arg_fail(b, "method", err,
                        "[%.*s] must be one of the supported hash methods [MD5,SHA-1,SHA-256,"
                        "SHA-512,MurmurHash3]",
                        QD_STR_ARG(method));
}

static void put_number(qd_buf *b, uint64_t v, uint32_t bytes)
{
    for (uint32_t k = bytes; k > 0; k--) (void)qd_buf_char(b, (char)(v >> (8 * (k - 1))));
}

static int key_order(const void *a, const void *b)
{
    const qd_iv_member *x = *(const qd_iv_member *const *)a, *y = *(const qd_iv_member *const *)b;
    return qd_str_cmp(x->key, y->key);
}

static bool feed(qd_ingest_run *r, const qd_iv *v, uint32_t depth);

/* Members in the order of their names. */
static bool feed_map(qd_ingest_run *r, const qd_iv *map, uint32_t depth)
{
    const qd_iv_member **sorted = qd_arena_alloc(&r->arena, map->n * sizeof *sorted + 1);
    if (!sorted) return false;
    for (uint32_t k = 0; k < map->n; k++) sorted[k] = &map->members[k];
    if (map->n > 1) qsort(sorted, map->n, sizeof *sorted, key_order);
    for (uint32_t k = 0; k < map->n; k++) {
        qd_iv key = QD_IV_STRING(sorted[k]->key);
        if (!feed(r, &key, depth) || !feed(r, &sorted[k]->value, depth)) return false;
    }
    return true;
}

/* A value's bytes, each behind a zero. */
static bool feed(qd_ingest_run *r, const qd_iv *v, uint32_t depth)
{
    qd_buf *b = &r->out;
    uint64_t bits = 0;
    double d;
    if (depth > QD_IV_DEPTH_MAX) return false;
    if (v->kind == QD_IV_MAP) return feed_map(r, v, depth + 1);
    for (uint32_t k = 0; v->kind == QD_IV_LIST && k < v->n; k++) {
        if (!feed(r, &v->items[k], depth + 1)) return false;
    }
    if (v->kind == QD_IV_LIST) return true;
    (void)qd_buf_char(b, 0);
    switch ((qd_iv_kind)v->kind) {
    case QD_IV_NULL:
        (void)qd_buf_char(b, 0);
        break;
    case QD_IV_BOOL:
        (void)qd_buf_char(b, v->truth ? 1 : 2);
        break;
    case QD_IV_LONG:
        put_number(b, (uint64_t)v->i, v->i >= INT32_MIN && v->i <= INT32_MAX ? 4 : 8);
        break;
    case QD_IV_FLOAT:
    case QD_IV_DOUBLE:
        (void)qd_iv_number(v, &d);
        memcpy(&bits, &d, sizeof bits);
        put_number(b, bits, 8);
        break;
    default:
        (void)qd_buf_str(b, v->s);
        break;
    }
    return qd_buf_status(b) == 0;
}

/* --- murmur3, 128 bits for 64-bit machines (Appleby's reference) --- */

static uint64_t rotated(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static uint64_t mixed(uint64_t k)
{
    k ^= k >> 33;
    k *= UINT64_C(0xff51afd7ed558ccd);
    k ^= k >> 33;
    k *= UINT64_C(0xc4ceb9fe1a85ec53);
    return k ^ k >> 33;
}

static uint64_t part(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t k = 0; k < n && k < 8; k++) v |= (uint64_t)p[k] << (8 * k);
    return v;
}

static void murmur(const uint8_t *p, size_t n, uint8_t out[16])
{
    const uint64_t c1 = UINT64_C(0x87c37b91114253d5), c2 = UINT64_C(0x4cf5ad432745937f);
    uint64_t h1 = 0, h2 = 0, k1, k2;
    size_t at = 0;
    for (; at + 16 <= n; at += 16) {
        k1 = part(p + at, 8);
        k2 = part(p + at + 8, 8);
        h1 ^= rotated(k1 * c1, 31) * c2;
        h1 = (rotated(h1, 27) + h2) * 5 + 0x52dce729;
        h2 ^= rotated(k2 * c2, 33) * c1;
        h2 = (rotated(h2, 31) + h1) * 5 + 0x38495ab5;
    }
    k1 = part(p + at, n - at);
    k2 = n - at > 8 ? part(p + at + 8, n - at - 8) : 0;
    h2 ^= rotated(k2 * c2, 33) * c1;
    h1 ^= rotated(k1 * c1, 31) * c2;
    h1 ^= n;
    h2 ^= n;
    h1 += h2;
    h2 += h1;
    h1 = mixed(h1);
    h2 = mixed(h2);
    h1 += h2;
    h2 += h1;
    for (int k = 0; k < 8; k++) {
        out[k] = (uint8_t)(h1 >> (8 * (7 - k)));
        out[8 + k] = (uint8_t)(h2 >> (8 * (7 - k)));
    }
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const printing *c = config;
    uint8_t digest[EVP_MAX_MD_SIZE];
    size_t n = 16;
    bool any = false;
    qd_buf_reset(&r->out);
    (void)qd_buf_str(&r->out, c->salt);
    for (uint32_t k = 0; k < c->n; k++) {
        const qd_iv *v = qdi_path_look(r, &c->fields[k]);
        bool missing = !v || v->kind == QD_IV_NULL;
        if (missing && c->ignore_missing) continue;
        if (missing)
            return qd_err_set(err, QD_E_ARG, "missing field [%.*s] when calculating fingerprint",
                              QD_STR_ARG(c->fields[k].full));
        any = true;
        if (!feed(r, v, 0)) return qdi_run_nomem(err);
    }
    if (!any) return 0;
    if (qd_buf_status(&r->out)) return qdi_run_nomem(err);
    if (!c->method)
        murmur((const uint8_t *)r->out.p, r->out.n, digest);
    else if (EVP_Q_digest(NULL, c->method, NULL, r->out.p, r->out.n, digest, &n) != 1)
        return qd_err_set(err, QD_E_ARG, "the hash method is not there");
    char *p = qdi_run_bytes(r, (n + 2) / 3 * 4, err);
    if (!p) return QD_E_NOMEM;
    size_t text = qd_base64_encode(p, digest, n);
    return qdi_path_set(r, &c->target, QD_IV_STRING(((qd_str){p, text})), err);
}

const qdi_processor_type qdi_processor_fingerprint = {"fingerprint", sizeof(printing), .make = make,
                                                      .run = run};
