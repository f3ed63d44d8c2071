/*
 * kube_format_fuzz.c: coordination-k8s's objects of any bytes. The first byte chooses: a root or a
 * slice of a blob as JSON, a page's bytes, base64. What is taken must be written so that it is read
 * back as the same; what is refused has a sentence.
 */
#include "heap.h"
#include <coordination-k8s/format/page_int.h>
#include <stdlib.h>

static const cr_heap heap = {&mem, NULL};
static char why[CK_WHY];

static void must(int holds)
{
    if (!holds) __builtin_trap();
}

static void try_root(const json_t *o)
{
    ck_root *r, *again;
    if (ck_root_read(&heap, o, &r, why)) {
        must(why[0] != 0);
        return;
    }
    const ck_site site = {"default", "fuzz", {r->cluster, strlen(r->cluster)}, {0}};
    json_t *spec = ck_root_write(r, &site), *whole = ck_root_object(r, &site);
    must(spec && whole);
    must(json_dumpb(spec, NULL, 0, JSON_COMPACT) <= ck_root_size(r, &site));
    must(ck_root_read(&heap, whole, &again, why) == 0);
    json_t *twice = ck_root_write(again, &site);
    must(json_equal(spec, twice));
    (void)ck_root_follows(r, again, why);
    for (uint32_t i = 0; i < r->ntail; i++)
        must(ck_root_has(r, r->tail[i]->index, r->tail[i]->id) == 1);
    ck_root_free(r);
    ck_root_free(again);
    json_decref(spec);
    json_decref(whole);
    json_decref(twice);
}

static void try_slice(const json_t *o)
{
    ck_slice s;
    if (ck_slice_read(&heap, o, &s, why)) {
        must(why[0] != 0);
        return;
    }
    ck_join *j = ck_join_make(&heap, s.kind, &s.hash);
    must(ck_join_add(j, o, why) == 0);
    cr_bytes all;
    if (ck_join_take(j, &all, why) == 0) cr_bytes_free(&all);
    ck_join_free(j);
    cr_bytes_free(&s.bytes);
}

static void try_json(const uint8_t *p, size_t n, int root)
{
    json_t *o = json_loadb((const char *)p, n, 0, NULL);
    if (o && root) try_root(o);
    if (o && !root) try_slice(o);
    json_decref(o);
}

/* A page that was read and has all its values is written as it was, one of an earlier version as
 * one of this. */
static void try_page(const uint8_t *p, size_t n)
{
    ck_decoded d;
    cr_items rows = {0};
    ck_encoded e;
    uint32_t page = n >= 12 ? p[8] : 0;
    if (ck_page_decode(&heap, page, p, n, &d, why)) {
        must(why[0] != 0);
        return;
    }
    if (ck_decoded_rows(&d, &rows) == 0) {
        ck_pages *all = ck_pages_make(&heap);
        ck_pages_set(all, page, 1, &rows);
        ck_frozen *f = ck_pages_freeze(all, 0);
        ck_page_encode(f, page, &e);
        if (p[4] == CK_PAGE_VERSION) must(e.bytes.n == n && memcmp(e.bytes.p, p, n) == 0);
        ck_encoded_free(&e);
        ck_frozen_free(f);
        ck_pages_free(all);
    }
    cr_items_free(&heap, &rows);
    ck_decoded_free(&d);
}

static void try_base64(const uint8_t *p, size_t n)
{
    cr_bytes b = {.heap = &heap};
    if (ck_base64_read((qd_str){(const char *)p, n}, &b) == 0) {
        must(ck_base64_length(b.n) == n);
        char *text = malloc(n + 1);
        ck_base64_write(b.p, b.n, text);
        must(memcmp(text, p, n) == 0); /* one text for each bytes */
        free(text);
    }
    cr_bytes_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n == 0) return 0;
    why[0] = 0;
    if (p[0] % 4 == 0) try_json(p + 1, n - 1, 1);
    if (p[0] % 4 == 1) try_json(p + 1, n - 1, 0);
    if (p[0] % 4 == 2) try_page(p + 1, n - 1);
    if (p[0] % 4 == 3) try_base64(p + 1, n - 1);
    return 0;
}
