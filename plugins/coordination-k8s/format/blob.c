/* blob.c: see blob.h. */
#include "blob.h"
#include "fields.h"
#include <openssl/sha.h>
#include <stdio.h>

_Static_assert((CK_SLICE + (CK_SLICE >> 8) + 2) / 3 * 4 <= CK_PART_MAX,
               "a slice that does not pack fits into one object");

enum { NAME_DIGITS = 40, SLUG_DIGITS = 10, LABEL_MAX = CK_LABEL - 1 };

/* --- hashes --- */

ck_hash ck_hash_of(const void *p, size_t n)
{
    ck_hash h;
    SHA256(p, n, h.b);
    return h;
}

int ck_hash_none(const ck_hash *h)
{
    static const ck_hash none;
    return ck_hash_same(h, &none);
}

void ck_hash_text(const ck_hash *h, char out[65])
{
    for (int i = 0; i < 32; i++) {
        out[2 * i] = "0123456789abcdef"[h->b[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[h->b[i] & 15];
    }
    out[64] = 0;
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int32_t digits_read(qd_str text, uint8_t *out)
{
    for (size_t i = 0; i + 1 < text.n; i += 2) {
        int high = nibble(text.p[i]), low = nibble(text.p[i + 1]);
        if (high < 0 || low < 0) return QD_E_CORRUPT;
        out[i / 2] = (uint8_t)(high * 16 + low);
    }
    return 0;
}

int32_t ck_hash_read(qd_str text, ck_hash *out)
{
    ck_hash h;
    if (text.n != 64 || digits_read(text, h.b)) return QD_E_CORRUPT;
    *out = h;
    return 0;
}

/* --- base64 --- */

static const char alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void ck_base64_write(const uint8_t *p, size_t n, char *out)
{
    for (; n >= 3; n -= 3, p += 3, out += 4) {
        uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        out[0] = alphabet[v >> 18];
        out[1] = alphabet[v >> 12 & 63];
        out[2] = alphabet[v >> 6 & 63];
        out[3] = alphabet[v & 63];
    }
    if (n == 0) return;
    uint32_t v = (uint32_t)p[0] << 16 | (n == 2 ? (uint32_t)p[1] << 8 : 0);
    out[0] = alphabet[v >> 18];
    out[1] = alphabet[v >> 12 & 63];
    out[2] = n == 2 ? alphabet[v >> 6 & 63] : '=';
    out[3] = '=';
}

/* Six bits; 64 and more: no letter of the alphabet. */
static uint32_t sextet(char c)
{
    if (c >= 'A' && c <= 'Z') return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z') return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9') return (uint32_t)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

/* The last four letters, with padding or without; returns how many bytes, 0: malformed. */
static size_t last_read(const char *p, uint8_t out[3])
{
    size_t pad = p[3] != '=' ? 0 : p[2] != '=' ? 1 : 2;
    uint32_t a = sextet(p[0]), b = sextet(p[1]), c = pad < 2 ? sextet(p[2]) : 0;
    uint32_t d = pad < 1 ? sextet(p[3]) : 0, v = a << 18 | b << 12 | c << 6 | d;
    if ((a | b | c | d) > 63) return 0;
    if (v & (pad == 2 ? 0xffffu : pad == 1 ? 0xffu : 0)) return 0; /* another text of these bytes */
    out[0] = (uint8_t)(v >> 16);
    out[1] = (uint8_t)(v >> 8);
    out[2] = (uint8_t)v;
    return 3 - pad;
}

int32_t ck_base64_read(qd_str text, cr_bytes *out)
{
    if (text.n % 4) return QD_E_CORRUPT;
    if (text.n == 0) return 0;
    size_t before = out->n, last = text.n - 4;
    uint8_t *to = ck_grow(out, text.n / 4 * 3), tail[3];
    uint32_t wrong = 0;
    for (size_t i = 0; i < last; i += 4, to += 3) {
        uint32_t a = sextet(text.p[i]), b = sextet(text.p[i + 1]), c = sextet(text.p[i + 2]),
                 d = sextet(text.p[i + 3]), v = a << 18 | b << 12 | c << 6 | d;
        wrong |= a | b | c | d;
        to[0] = (uint8_t)(v >> 16);
        to[1] = (uint8_t)(v >> 8);
        to[2] = (uint8_t)v;
    }
    size_t n = last_read(text.p + last, tail);
    out->n = before;
    if (wrong > 63 || n == 0) return QD_E_CORRUPT;
    memcpy(to, tail, n);
    out->n += last / 4 * 3 + n;
    return 0;
}

/* --- names --- */

static int is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

int ck_is_label(qd_str s)
{
    if (s.n == 0 || s.n > LABEL_MAX || !is_plain(s.p[0]) || !is_plain(s.p[s.n - 1])) return 0;
    for (size_t i = 0; i < s.n; i++)
        if (!is_plain(s.p[i]) && s.p[i] != '-') return 0;
    return 1;
}

/* What is left of a name: other bytes become one '-'; not at the ends. */
static size_t slug(qd_str name, char *out, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < name.n && n < room; i++) {
        char c = name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] - 'A' + 'a') : name.p[i];
        if (is_plain(c))
            out[n++] = c;
        else if (n && out[n - 1] != '-')
            out[n++] = '-';
    }
    while (n && out[n - 1] == '-') n--;
    return n;
}

void ck_object_name(qd_str cluster, qd_str name, char out[CK_LABEL])
{
    if (ck_is_label(name)) {
        memcpy(out, name.p, name.n);
        out[name.n] = 0;
        return;
    }
    /* the hash of two hashes: no cluster and name can be written as another pair of them */
    ck_hash both[2] = {ck_hash_of(cluster.p, cluster.n), ck_hash_of(name.p, name.n)};
    ck_hash h = ck_hash_of(both, sizeof both);
    char digits[65];
    ck_hash_text(&h, digits);
    size_t n = slug(name, out, LABEL_MAX - SLUG_DIGITS - 1);
    if (n) out[n++] = '-';
    memcpy(out + n, digits, SLUG_DIGITS);
    out[n + SLUG_DIGITS] = 0;
}

void ck_blob_name(const char *root, int kind, const ck_hash *h, uint32_t slice, char out[CK_NAME])
{
    char digits[65];
    ck_hash_text(h, digits);
    if (slice == 0)
        snprintf(out, CK_NAME, "%.63s-%c-%.40s", root, kind, digits);
    else
        snprintf(out, CK_NAME, "%.63s-%c-%.40s-%u", root, kind, digits, slice);
}

int32_t ck_name_read(const char *root, qd_str name, int *kind, ck_hash *h, uint32_t *slice)
{
    size_t n = strlen(root), head = n + 3;
    char again[CK_NAME];
    ck_hash hash = {{0}};
    uint32_t number = 0;
    if (name.n < head + NAME_DIGITS || name.n >= CK_NAME || n >= CK_LABEL) return QD_E_ARG;
    char k = name.p[n + 1];
    if (k != CK_BLOB_PAGE && k != CK_BLOB_VALUE && k != CK_BLOB_ENTRY) return QD_E_ARG;
    if (digits_read((qd_str){name.p + head, NAME_DIGITS}, hash.b)) return QD_E_ARG;
    for (size_t i = head + NAME_DIGITS + 1; i < name.n && number < CK_SLICES_MAX; i++)
        number = number * 10 + (uint32_t)(uint8_t)(name.p[i] - '0') % 10;
    if (number >= CK_SLICES_MAX) return QD_E_ARG;
    ck_blob_name(root, k, &hash, number, again); /* one name for each blob: it must be this one */
    if (cr_compare((qd_str){again, strlen(again)}, name)) return QD_E_ARG;
    *kind = k;
    *h = hash;
    *slice = number;
    return 0;
}

/* --- slices --- */

static const char *part_of(int kind)
{
    return kind == CK_BLOB_PAGE ? "page" : kind == CK_BLOB_VALUE ? "value" : "entry";
}

static size_t slice_length(uint64_t length, uint32_t slice)
{
    uint64_t from = (uint64_t)slice * CK_SLICE, left = length > from ? length - from : 0;
    return left < CK_SLICE ? (size_t)left : CK_SLICE;
}

json_t *ck_blob_write(const cr_heap *heap, const ck_site *site, int kind, const ck_hash *h,
                      const uint8_t *p, size_t n, uint32_t slice)
{
    char name[CK_NAME];
    cr_bytes packed = {.heap = heap};
    ck_blob_name(site->root, kind, h, slice, name);
    json_t *spec = json_object();
    int good = ck_pack(p + (size_t)slice * CK_SLICE, slice_length(n, slice), &packed) &&
               ck_set(spec, "format", json_integer(CK_FORMAT)) &&
               ck_set_text(spec, "cluster", site->cluster) &&
               ck_set_hex(spec, "storeId", site->store_id, 16) &&
               ck_set(spec, "part", json_string(part_of(kind))) &&
               ck_set_hex(spec, "sha256", h->b, 32) && ck_set_number(spec, "length", n) &&
               ck_set(spec, "slice", json_integer(slice)) &&
               ck_set(spec, "slices", json_integer(ck_blob_slices(n))) &&
               ck_set_bytes(spec, "data", heap, packed.p, packed.n);
    cr_bytes_free(&packed);
    if (good) return ck_object(site, name, part_of(kind), NULL, spec);
    json_decref(spec);
    return NULL;
}

static void kind_read(ck_fields *f, int *kind)
{
    qd_str s = ck_field_text(f, "part", 16, 0);
    for (const char *k = "pve"; *k; k++) {
        const char *part = part_of(*k);
        if (cr_compare(s, (qd_str){part, strlen(part)}) == 0) *kind = *k;
    }
    if (f->rc == 0 && *kind == 0)
        f->rc = ck_wrong(f->why, QD_E_CORRUPT, "spec.part is %.*s, not page, value or entry",
                         (int)s.n, s.p);
}

static int32_t data_read(ck_fields *f, ck_slice *out)
{
    cr_bytes packed = {.heap = out->bytes.heap};
    ck_field_bytes(f, "data", CK_PART_MAX / 4 * 3, &packed);
    size_t want = slice_length(out->length, out->slice);
    if (f->rc == 0 && ck_unpack(packed.p, packed.n, want, &out->bytes))
        f->rc =
            ck_wrong(f->why, QD_E_CORRUPT, "spec.data is not one zstd frame of %zu bytes", want);
    cr_bytes_free(&packed);
    return f->rc;
}

int32_t ck_slice_read(const cr_heap *heap, const json_t *object, ck_slice *out, char *why)
{
    ck_fields f = {.path = "spec", .why = why};
    ck_slice s = {.bytes = {.heap = heap}};
    f.object = ck_object_spec(object, why, &f.rc);
    if (f.rc == 0) f.rc = ck_object_version(object, s.uid, s.version, why);
    (void)ck_field_format(&f);
    ck_field_hex(&f, "storeId", s.store_id, 16);
    kind_read(&f, &s.kind);
    ck_field_hex(&f, "sha256", s.hash.b, 32);
    s.length = ck_field_number(&f, "length");
    s.slice = ck_field_small(&f, "slice", CK_SLICES_MAX - 1, -1);
    s.slices = ck_field_small(&f, "slices", CK_SLICES_MAX, -1);
    if (f.rc == 0 && s.length > CK_BLOB_MAX)
        f.rc = ck_wrong(why, QD_E_CORRUPT, "spec.length is %llu, more than %d",
                        (unsigned long long)s.length, CK_BLOB_MAX);
    if (f.rc == 0 && (s.slices != ck_blob_slices((size_t)s.length) || s.slice >= s.slices))
        f.rc = ck_wrong(why, QD_E_CORRUPT,
                        "spec.slice %u of spec.slices %u does not go with spec.length %llu",
                        s.slice, s.slices, (unsigned long long)s.length);
    if (f.rc == 0) f.rc = data_read(&f, &s);
    if (f.rc == 0)
        *out = s;
    else
        cr_bytes_free(&s.bytes);
    return f.rc;
}

int ck_slice_same(const cr_heap *heap, const json_t *object, int kind, const ck_hash *h,
                  const uint8_t *p, size_t n, uint32_t slice, char *why)
{
    ck_slice s;
    if (ck_slice_read(heap, object, &s, why)) return 0;
    int same = s.kind == kind && ck_hash_same(&s.hash, h) && s.length == n && s.slice == slice &&
               (s.bytes.n == 0 || memcmp(s.bytes.p, p + (size_t)slice * CK_SLICE, s.bytes.n) == 0);
    cr_bytes_free(&s.bytes);
    if (!same) (void)ck_wrong(why, QD_E_CORRUPT, "it holds other bytes than its name says");
    return same;
}

/* --- joining --- */

ck_join *ck_join_make(const cr_heap *heap, int kind, const ck_hash *h)
{
    ck_join *j = cr_must(heap, sizeof *j);
    memset(j, 0, sizeof *j);
    j->heap = heap;
    j->kind = kind;
    j->hash = *h;
    return j;
}

int32_t ck_join_add(ck_join *j, const json_t *object, char *why)
{
    ck_slice s;
    int32_t rc = ck_slice_read(j->heap, object, &s, why);
    if (rc) return rc;
    if (s.kind != j->kind || !ck_hash_same(&s.hash, &j->hash))
        rc = ck_wrong(why, QD_E_CORRUPT, "spec.sha256 or spec.part is another blob's");
    else if (j->slices && s.length != j->length)
        rc = ck_wrong(why, QD_E_CORRUPT, "spec.length is %llu, but another slice says %llu",
                      (unsigned long long)s.length, (unsigned long long)j->length);
    if (rc || ck_join_has(j, s.slice)) {
        cr_bytes_free(&s.bytes);
        return rc;
    }
    j->slices = s.slices;
    j->length = s.length;
    j->at[s.slice] = s.bytes;
    j->came[s.slice] = 1;
    j->got++;
    return 0;
}

int ck_join_has(const ck_join *j, uint32_t slice)
{
    return slice < CK_SLICES_MAX && j->came[slice];
}

int32_t ck_join_take(ck_join *j, cr_bytes *out, char *why)
{
    if (j->slices == 0 || j->got < j->slices)
        return ck_wrong(why, QD_E_STATE, "%u of %u slices came", j->got, j->slices);
    cr_bytes all = j->at[0];
    j->at[0] = (cr_bytes){.heap = j->heap};
    for (uint32_t i = 1; i < j->slices; i++) {
        cr_put(&all, j->at[i].p, j->at[i].n);
        cr_bytes_free(&j->at[i]);
    }
    memset(j->came, 0, sizeof j->came);
    j->slices = j->got = 0;
    ck_hash h = ck_hash_of(all.p, all.n);
    if (ck_hash_same(&h, &j->hash)) {
        *out = all;
        return 0;
    }
    char is[65], should[65];
    ck_hash_text(&h, is);
    ck_hash_text(&j->hash, should);
    cr_bytes_free(&all);
    return ck_wrong(why, QD_E_CORRUPT, "its bytes have the SHA-256 %s, not %s", is, should);
}

void ck_join_free(ck_join *j)
{
    if (!j) return;
    for (uint32_t i = 0; i < CK_SLICES_MAX; i++)
        if (j->at[i].p) cr_bytes_free(&j->at[i]);
    cr_free(j->heap, j);
}
