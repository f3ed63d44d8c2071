/* fields.c: see fields.h. */
#include "fields.h"
#include <stdio.h>
#include <zstd.h>

#define PACK_LEVEL 3

int32_t ck_wrong(char *why, int32_t rc, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, CK_WHY, format, args);
    va_end(args);
    return rc;
}

/* --- reading --- */

#define WRONG(f, name, ...) ((f)->rc = ck_wrong_field(f, name, __VA_ARGS__))

static __attribute__((format(printf, 3, 4))) int32_t ck_wrong_field(ck_fields *f, const char *name,
                                                                    const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return ck_wrong(f->why, QD_E_CORRUPT, "%s.%s %s", f->path, name, text);
}

static const json_t *field(ck_fields *f, const char *name, int optional)
{
    if (f->rc) return NULL;
    const json_t *v = json_object_get(f->object, name);
    if (json_is_null(v)) v = NULL;
    if (!v && !optional) WRONG(f, name, "is missing");
    return v;
}

const json_t *ck_field_object(ck_fields *f, const char *name)
{
    const json_t *v = field(f, name, 0);
    if (!v) return NULL;
    if (json_is_object(v)) return v;
    WRONG(f, name, "is not an object");
    return NULL;
}

qd_str ck_field_text(ck_fields *f, const char *name, size_t max, int optional)
{
    const json_t *v = field(f, name, optional);
    qd_str s = {"", 0};
    if (!v) return s;
    if (!json_is_string(v)) {
        WRONG(f, name, "is not a text");
        return s;
    }
    qd_str text = {json_string_value(v), json_string_length(v)};
    if (text.n > max)
        WRONG(f, name, "has %zu bytes, more than %zu", text.n, max);
    else if (text.n && memchr(text.p, 0, text.n))
        WRONG(f, name, "has a zero byte in it");
    else
        s = text;
    return s;
}

void ck_field_copy(ck_fields *f, const char *name, char *out, size_t room, int optional)
{
    qd_str s = ck_field_text(f, name, room - 1, optional);
    memcpy(out, s.p, s.n);
    out[s.n] = 0;
}

uint32_t ck_field_small(ck_fields *f, const char *name, uint32_t max, int64_t absent)
{
    const json_t *v = field(f, name, absent >= 0);
    if (!v) return absent >= 0 ? (uint32_t)absent : 0;
    json_int_t n = json_integer_value(v);
    if (json_is_integer(v) && n >= 0 && n <= (json_int_t)max) return (uint32_t)n;
    WRONG(f, name, "is not a number from 0 to %u", max);
    return 0;
}

uint64_t ck_field_number(ck_fields *f, const char *name)
{
    qd_str s = ck_field_text(f, name, 20, 0);
    uint64_t v = 0;
    int good = s.n && (s.n == 1 || s.p[0] != '0');
    for (size_t i = 0; i < s.n && good; i++) {
        uint64_t digit = (uint64_t)(uint8_t)s.p[i] - '0';
        good = digit <= 9 && v <= (UINT64_MAX - digit) / 10;
        v = v * 10 + digit;
    }
    if (good) return v;
    if (!f->rc) WRONG(f, name, "is not a number as text");
    return 0;
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void ck_field_hex(ck_fields *f, const char *name, uint8_t *out, size_t n)
{
    qd_str s = ck_field_text(f, name, 2 * n, 0);
    if (f->rc) return;
    int good = s.n == 2 * n;
    for (size_t i = 0; i < n && good; i++) {
        int high = nibble(s.p[2 * i]), low = nibble(s.p[2 * i + 1]);
        good = high >= 0 && low >= 0;
        out[i] = (uint8_t)(high * 16 + low);
    }
    if (!good) WRONG(f, name, "is not %zu hexadecimal digits", 2 * n);
}

void ck_field_bytes(ck_fields *f, const char *name, size_t max, cr_bytes *out)
{
    qd_str s = ck_field_text(f, name, ck_base64_length(max), 0);
    if (f->rc) return;
    size_t before = out->n;
    if (ck_base64_read(s, out)) {
        WRONG(f, name, "is not base64");
    } else if (out->n - before > max) {
        out->n = before;
        WRONG(f, name, "holds more than %zu bytes", max);
    }
}

uint32_t ck_field_format(ck_fields *f)
{
    uint32_t format = ck_field_small(f, "format", INT32_MAX, -1);
    uint32_t minor = ck_field_small(f, "minor", INT32_MAX, 0);
    if (f->rc || format == CK_FORMAT) return minor;
    if (format > CK_FORMAT)
        f->rc = ck_wrong(f->why, QD_E_FORMAT_NEW,
                         "%s.format is %u, this version of the program reads up to %d: it was "
                         "written by a newer one",
                         f->path, format, CK_FORMAT);
    else
        WRONG(f, "format", "is %u, there never was one", format);
    return minor;
}

/* --- writing --- */

int ck_set(json_t *object, const char *name, json_t *value)
{
    return value && json_object_set_new_nocheck(object, name, value) == 0;
}

int ck_set_text(json_t *object, const char *name, qd_str s)
{
    return ck_set(object, name, json_stringn(s.p, s.n));
}

int ck_set_number(json_t *object, const char *name, uint64_t v)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    return ck_set_text(object, name, (qd_str){text, (size_t)n});
}

static void hex(const uint8_t *p, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = "0123456789abcdef"[p[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
    }
}

int ck_set_hex(json_t *object, const char *name, const uint8_t *p, size_t n)
{
    char text[64];
    if (2 * n > sizeof text) return 0;
    hex(p, n, text);
    return ck_set_text(object, name, (qd_str){text, 2 * n});
}

int ck_set_bytes(json_t *object, const char *name, const cr_heap *heap, const uint8_t *p, size_t n)
{
    size_t length = ck_base64_length(n);
    char *text = cr_must(heap, length);
    ck_base64_write(p, n, text);
    int set = ck_set(object, name, json_stringn_nocheck(text, length));
    cr_free(heap, text);
    return set;
}

/* Labels that others gave it, then ours. */
static json_t *labels_of(const ck_site *site, const char *part, const json_t *kept)
{
    json_t *labels = kept ? json_copy((json_t *)kept) : json_object();
    if (ck_set_text(labels, "app.kubernetes.io/managed-by", QD_STR("quidditch")) &&
        ck_set(labels, CK_LABEL_CLUSTER, json_string(site->root)) &&
        ck_set(labels, CK_LABEL_PART, json_string(part)))
        return labels;
    json_decref(labels);
    return NULL;
}

json_t *ck_object(const ck_site *site, const char *name, const char *part, const json_t *labels,
                  json_t *spec)
{
    json_t *object = json_object(), *meta = json_object();
    int good =
        ck_set_text(object, "apiVersion", QD_STR(CK_API_VERSION)) &&
        ck_set_text(object, "kind", QD_STR(CK_KIND)) && ck_set(meta, "name", json_string(name)) &&
        (!site->space || !site->space[0] || ck_set(meta, "namespace", json_string(site->space))) &&
        ck_set(meta, "labels", labels_of(site, part, labels)) &&
        ck_set(meta, "finalizers", json_pack("[s]", CK_FINALIZER));
    good = ck_set(object, "metadata", meta) && good; /* takes it also when something else failed */
    good = ck_set(object, "spec", spec) && good;
    if (good) return object;
    json_decref(object);
    return NULL;
}

const json_t *ck_object_spec(const json_t *object, char *why, int32_t *rc)
{
    ck_fields f = {object, "the object", why, 0};
    if (!json_is_object(object)) f.rc = ck_wrong(why, QD_E_CORRUPT, "it is not a JSON object");
    qd_str version = ck_field_text(&f, "apiVersion", 256, 0);
    qd_str kind = ck_field_text(&f, "kind", 256, 0);
    if (f.rc == 0 &&
        (cr_compare(kind, QD_STR(CK_KIND)) || cr_compare(version, QD_STR(CK_API_VERSION))))
        f.rc = ck_wrong(why, QD_E_CORRUPT,
                        "it is a %.*s of %.*s, not a " CK_KIND " of " CK_API_VERSION, (int)kind.n,
                        kind.p, (int)version.n, version.p);
    const json_t *spec = ck_field_object(&f, "spec");
    *rc = f.rc;
    return spec;
}

int32_t ck_object_version(const json_t *object, char uid[64], char version[64], char *why)
{
    ck_fields f = {object, "the object", why, 0};
    uid[0] = version[0] = 0;
    if (!json_object_get(object, "metadata")) return 0;
    f.object = ck_field_object(&f, "metadata");
    f.path = "metadata";
    ck_field_copy(&f, "uid", uid, 64, 1);
    ck_field_copy(&f, "resourceVersion", version, 64, 1);
    return f.rc;
}

/* --- packing --- */

uint8_t *ck_grow(cr_bytes *b, size_t n)
{
    if (b->cap - b->n < n) {
        size_t cap = b->cap * 2 > b->n + n ? b->cap * 2 : b->n + n;
        b->p = cr_must_grow(b->heap, b->p, cap);
        b->cap = cap;
    }
    b->n += n;
    return b->p + b->n - n;
}

int ck_pack(const uint8_t *p, size_t n, cr_bytes *out)
{
    size_t room = ZSTD_compressBound(n), before = out->n;
    uint8_t *to = ck_grow(out, room);
    size_t packed = ZSTD_compress(to, room, p, n, PACK_LEVEL);
    out->n = before + (ZSTD_isError(packed) ? 0 : packed);
    return !ZSTD_isError(packed);
}

uint64_t ck_unpacked(const uint8_t *p, size_t n)
{
    unsigned long long length = ZSTD_getFrameContentSize(p, n);
    if (length == ZSTD_CONTENTSIZE_UNKNOWN || length == ZSTD_CONTENTSIZE_ERROR) return UINT64_MAX;
    size_t frame = ZSTD_findFrameCompressedSize(p, n);
    return ZSTD_isError(frame) || frame != n ? UINT64_MAX : length;
}

int32_t ck_unpack(const uint8_t *p, size_t n, size_t want, cr_bytes *out)
{
    if (ck_unpacked(p, n) != want) return QD_E_CORRUPT;
    size_t before = out->n;
    uint8_t *to = ck_grow(out, want);
    size_t got = ZSTD_decompress(to, want, p, n);
    if (!ZSTD_isError(got) && got == want) return 0;
    out->n = before;
    return QD_E_CORRUPT;
}
