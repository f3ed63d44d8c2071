/*
 * held.c: objects of the state that this node has in memory, as the API has them: entries of the
 * roots that it knows, and pages and values of the newest root's checkpoint. Anybody may compute
 * them: they are their hash.
 */
#include "k8s.h"

#define KEEP_NS 10000000000ll

/* A page that takes several objects, as bytes: its other slices are asked for next. */
struct ck_held {
    ck_encoded page;
    int64_t until_ns;
};

void ck_held_free(cr_consensus *c)
{
    if (!c->held) return;
    ck_encoded_free(&c->held->page);
    cr_free(c->heap, c->held);
    c->held = NULL;
}

void ck_held_turn(cr_consensus *c)
{
    if (c->held && ck_now(c) >= c->held->until_ns) ck_held_free(c);
}

/* Names have the first 20 bytes alone. */
static int is(const ck_hash *h, const ck_blob *b)
{
    return memcmp(h->b, b->hash.b, 20) == 0;
}

static json_t *slice_of(const cr_consensus *c, const ck_blob *b, const ck_hash *h, const uint8_t *p,
                        size_t n)
{
    if (b->slice >= ck_blob_slices(n)) return NULL;
    return ck_blob_write(c->heap, &c->store->home.site, b->kind, h, p, n, b->slice);
}

static json_t *entry_of(const cr_consensus *c, const ck_root *r, const ck_blob *b)
{
    for (uint32_t i = 0; r && i < r->ntail; i++) {
        const ck_entry *e = r->tail[i];
        if (e->large && e->bytes && is(&e->hash, b))
            return slice_of(c, b, &e->hash, e->bytes, e->n);
    }
    return NULL;
}

/* The page as its bytes are in the root's checkpoint. */
static json_t *page_of(cr_consensus *c, const ck_root *r, uint32_t page, const ck_blob *b)
{
    json_t *object = NULL;
    ck_encoded e;
    ck_frozen *f = ck_pages_at(c->store->home.pages, page, r->checkpoint);
    if (!f) return NULL;
    ck_page_encode(f, page, &e);
    ck_frozen_free(f);
    if (is(&e.hash, b)) object = slice_of(c, b, &e.hash, e.bytes.p, e.bytes.n);
    if (!object || ck_blob_slices(e.bytes.n) == 1) {
        ck_encoded_free(&e);
        return object;
    }
    ck_held_free(c);
    c->held = cr_must(c->heap, sizeof *c->held);
    *c->held = (struct ck_held){.page = e, .until_ns = ck_now(c) + KEEP_NS};
    return object;
}

static json_t *value_of(const cr_consensus *c, const ck_root *r, uint32_t page, const ck_blob *b)
{
    ck_hash h;
    json_t *object = NULL;
    ck_frozen *f = page < CK_PAGES ? ck_pages_at(c->store->home.pages, page, r->checkpoint) : NULL;
    const cr_item *i = f ? ck_frozen_value(f, page, &b->hash, &h) : NULL;
    if (i) {
        qd_str v = cr_item_stored(i);
        object = slice_of(c, b, &h, (const uint8_t *)v.p, v.n);
    }
    ck_frozen_free(f);
    return object;
}

json_t *ck_held_object(cr_consensus *c, const ck_blob *b, uint32_t page)
{
    ck_core_view v;
    ck_core_look(c->core, &v);
    if (!v.root) return NULL;
    if (b->kind == CK_BLOB_ENTRY) {
        json_t *object = entry_of(c, v.root, b);
        return object ? object : entry_of(c, v.before, b);
    }
    if (v.applied < v.root->checkpoint) return NULL; /* it has none of them itself */
    if (b->kind == CK_BLOB_VALUE) return value_of(c, v.root, page, b);
    if (c->held && is(&c->held->page.hash, b))
        return slice_of(c, b, &c->held->page.hash, c->held->page.bytes.p, c->held->page.bytes.n);
    for (uint32_t i = 0; i < CK_PAGES; i++)
        if (is(&v.root->pages[i], b)) return page_of(c, v.root, i, b);
    return NULL;
}
