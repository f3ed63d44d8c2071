/* entry.c: entries of the log as they stand in the root's tail; see root.h. */
#include "fields.h"
#include "root_int.h"
#include <stdio.h>

static const size_t text_at = sizeof(ck_entry);

/* Room for an entry with so many bytes of text and of itself behind it. */
static ck_entry *room(const cr_heap *heap, size_t text, size_t n)
{
    ck_entry *e = cr_must(heap, text_at + text + 1 + n);
    *e = (ck_entry){.heap = heap, .refs = 1, .n = n, .text_len = text};
    return e;
}

static char *text_of(ck_entry *e)
{
    char *text = (char *)e + text_at;
    text[e->text_len] = 0;
    e->text = text;
    return text;
}

static void bytes_set(ck_entry *e, const uint8_t *p)
{
    uint8_t *bytes = (uint8_t *)e + text_at + e->text_len + 1;
    memcpy(bytes, p, e->n);
    e->bytes = bytes;
}

ck_entry *ck_entry_make(const cr_heap *heap, uint64_t index, uint64_t term, uint64_t id,
                        const uint8_t *p, size_t n)
{
    cr_bytes packed = {.heap = heap};
    int helps = ck_pack(p, n, &packed) && packed.n < n;
    const uint8_t *stored = helps ? packed.p : p;
    size_t length = helps ? packed.n : n;
    int large = length > CK_INLINE_MAX || n > CK_INLINE_BYTES;
    ck_entry *e = room(heap, large ? 0 : ck_base64_length(length), n);
    e->index = index;
    e->term = term;
    e->id = id;
    e->large = large;
    e->packed = helps && !large;
    if (large)
        e->hash = ck_hash_of(p, n);
    else
        ck_base64_write(stored, length, text_of(e));
    bytes_set(e, p);
    cr_bytes_free(&packed);
    return e;
}

/* The same with other bytes, or with its own if it has them. */
static ck_entry *copy(const ck_entry *e, const uint8_t *bytes)
{
    ck_entry *c = room(e->heap, e->text_len, e->n);
    c->index = e->index;
    c->term = e->term;
    c->id = e->id;
    c->large = e->large;
    c->packed = e->packed;
    c->hash = e->hash;
    if (e->text) memcpy(text_of(c), e->text, e->text_len);
    if (bytes) bytes_set(c, bytes);
    return c;
}

ck_entry *ck_entry_moved(const ck_entry *e, uint64_t index, uint64_t term)
{
    ck_entry *c = copy(e, e->bytes);
    c->index = index;
    c->term = term;
    return c;
}

int32_t ck_entry_loaded(const ck_entry *e, const uint8_t *p, size_t n, ck_entry **out, char *why)
{
    ck_hash h = ck_hash_of(p, n);
    if (!e->large || n != e->n || !ck_hash_same(&h, &e->hash))
        return ck_wrong(why, QD_E_CORRUPT,
                        "the %zu bytes of entry %llu are not those that the root names", n,
                        (unsigned long long)e->index);
    *out = copy(e, p);
    return 0;
}

ck_entry *ck_entry_ref(ck_entry *e)
{
    if (e) atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

void ck_entry_drop(ck_entry *e)
{
    if (e && atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1) cr_free(e->heap, e);
}

/* --- in the tail --- */

json_t *ck_entry_write(const ck_entry *e)
{
    json_t *o = json_object();
    int good = ck_set_number(o, "term", e->term);
    if (e->large)
        good = good && ck_set_hex(o, "sha256", e->hash.b, 32) && ck_set_number(o, "length", e->n);
    else
        good = good &&
               ck_set(o, e->packed ? "zstd" : "data", json_stringn_nocheck(e->text, e->text_len));
    if (good) return o;
    json_decref(o);
    return NULL;
}

/* {"term":"20 digits","length":"20 digits","sha256":"64 digits"}, or with a text; a comma. */
size_t ck_entry_size(const ck_entry *e)
{
    return e->large ? 40 + 40 + 80 : 40 + 16 + e->text_len;
}

/* One of which the root has hash and length alone. */
static ck_entry *large_read(const cr_heap *heap, ck_fields *f)
{
    ck_hash h;
    ck_field_hex(f, "sha256", h.b, 32);
    uint64_t n = ck_field_number(f, "length");
    if (f->rc == 0 && (n == 0 || n > CK_ENTRY_BYTES))
        f->rc = ck_wrong(f->why, QD_E_CORRUPT, "%s.length is %llu, not 1 to %d", f->path,
                         (unsigned long long)n, CK_ENTRY_BYTES);
    if (f->rc) return NULL;
    ck_entry *e = room(heap, 0, 0);
    e->n = (size_t)n;
    e->large = 1;
    e->hash = h;
    return e;
}

/* The bytes of a text that is packed, or is not. */
static int32_t small_bytes(ck_fields *f, int packed, cr_bytes *out)
{
    cr_bytes stored = {.heap = out->heap};
    ck_field_bytes(f, packed ? "zstd" : "data", CK_INLINE_MAX, &stored);
    uint64_t n = packed && f->rc == 0 ? ck_unpacked(stored.p, stored.n) : stored.n;
    if (f->rc == 0 && (n == 0 || n > CK_INLINE_BYTES ||
                       (packed && ck_unpack(stored.p, stored.n, (size_t)n, out))))
        f->rc = ck_wrong(f->why, QD_E_CORRUPT, "%s.%s", f->path,
                         packed ? "zstd is not one zstd frame, or too long" : "data is empty");
    if (f->rc == 0 && !packed) cr_put(out, stored.p, stored.n);
    cr_bytes_free(&stored);
    return f->rc;
}

static ck_entry *small_read(const cr_heap *heap, ck_fields *f)
{
    int packed = json_object_get(f->object, "zstd") != NULL;
    cr_bytes bytes = {.heap = heap};
    ck_entry *e = NULL;
    if (small_bytes(f, packed, &bytes) == 0) {
        qd_str text = ck_field_text(f, packed ? "zstd" : "data", SIZE_MAX, 0);
        e = room(heap, text.n, bytes.n);
        e->packed = packed;
        memcpy(text_of(e), text.p, text.n);
        bytes_set(e, bytes.p);
    }
    cr_bytes_free(&bytes);
    return e;
}

/* 1 when this is what was read from the same text before. */
static int is_small(const ck_entry *e, const json_t *o)
{
    const json_t *text = json_object_get(o, e->packed ? "zstd" : "data");
    return e->text && json_is_string(text) && !json_object_get(o, "sha256") &&
           !json_object_get(o, e->packed ? "data" : "zstd") &&
           json_string_length(text) == e->text_len &&
           memcmp(json_string_value(text), e->text, e->text_len) == 0;
}

static ck_entry *read_after(const cr_heap *heap, ck_fields *f, ck_entry *before)
{
    if (!json_object_get(f->object, "sha256"))
        return before && is_small(before, f->object) ? ck_entry_ref(before) : small_read(heap, f);
    ck_entry *e = large_read(heap, f);
    if (!e || !before || !before->bytes || !before->large || before->n != e->n ||
        !ck_hash_same(&before->hash, &e->hash))
        return e;
    ck_entry_drop(e);
    return ck_entry_ref(before);
}

int32_t ck_entry_read(const cr_heap *heap, const json_t *o, uint64_t index, uint64_t id,
                      ck_entry *before, ck_entry **out, char *why)
{
    char path[48];
    snprintf(path, sizeof path, "spec.tail (entry %llu)", (unsigned long long)index);
    ck_fields f = {o, path, why, 0};
    if (!json_is_object(o)) return ck_wrong(why, QD_E_CORRUPT, "%s is not an object", path);
    uint64_t term = ck_field_number(&f, "term");
    if (before && (before->index != index || before->id != id || before->term != term))
        before = NULL;
    ck_entry *e = f.rc ? NULL : read_after(heap, &f, before);
    if (!e) return f.rc;
    *out = e;
    if (e == before) return 0; /* shared: nobody changes it any more */
    e->index = index;
    e->term = term;
    e->id = id;
    return 0;
}
