/* page.c: a page as bytes; see page.h. */
#include "page_int.h"
#include <stdlib.h>

static void put_number(cr_bytes *b, uint64_t v)
{
    for (; v > 127; v >>= 7) cr_put8(b, (uint8_t)(v | 128));
    cr_put8(b, (uint8_t)v);
}

static void row_write(cr_bytes *b, const ck_row *r, const ck_hash *h)
{
    const cr_item *i = r->item;
    qd_str stored = cr_item_stored(i);
    cr_put8(b, (uint8_t)i->kind);
    cr_put8(b, h ? CK_FORM_BLOB : CK_FORM_INLINE);
    put_number(b, i->key_len);
    cr_put(b, i->bytes, i->key_len);
    put_number(b, i->create_revision);
    put_number(b, i->mod_revision);
    put_number(b, i->version);
    put_number(b, i->session);
    put_number(b, cr_item_room(i));
    put_number(b, stored.n);
    if (h)
        cr_put(b, h->b, sizeof h->b);
    else
        cr_put(b, stored.p, stored.n);
}

static int by_hash(const void *a, const void *b)
{
    return memcmp(((const ck_value *)a)->hash.b, ((const ck_value *)b)->hash.b, 32);
}

/* Each hash once. */
static void values_once(ck_encoded *e)
{
    size_t n = 0;
    if (e->nvalues) qsort(e->values, e->nvalues, sizeof *e->values, by_hash);
    for (size_t i = 0; i < e->nvalues; i++) {
        if (n && ck_hash_same(&e->values[n - 1].hash, &e->values[i].hash))
            cr_item_drop(e->values[i].item);
        else
            e->values[n++] = e->values[i];
    }
    e->nvalues = n;
}

void ck_page_encode(const ck_frozen *f, uint32_t page, ck_encoded *out)
{
    const ck_rows *v = f->at[page];
    *out = (ck_encoded){.page = page, .bytes = {.heap = f->heap}};
    if (!v || v->n == 0) return;
    cr_put32(&out->bytes, CK_PAGE_MAGIC);
    cr_put32(&out->bytes, CK_PAGE_VERSION);
    cr_put32(&out->bytes, page);
    cr_put32(&out->bytes, (uint32_t)v->n);
    out->values = cr_must(f->heap, v->n * sizeof *out->values);
    for (size_t i = 0; i < v->n; i++) {
        const cr_item *item = v->at[i]->item;
        if (ck_is_inline(CK_PAGE_VERSION, item->stored_len, cr_item_room(item))) {
            row_write(&out->bytes, v->at[i], NULL);
            continue;
        }
        ck_hash h = ck_row_hash(v->at[i]);
        row_write(&out->bytes, v->at[i], &h);
        out->values[out->nvalues++] = (ck_value){h, cr_item_ref(v->at[i]->item)};
    }
    values_once(out);
    out->hash = ck_hash_of(out->bytes.p, out->bytes.n);
}

void ck_encoded_free(ck_encoded *e)
{
    const cr_heap *heap = e->bytes.heap;
    if (!heap) return;
    for (size_t i = 0; i < e->nvalues; i++) cr_item_drop(e->values[i].item);
    cr_free(heap, e->values);
    cr_bytes_free(&e->bytes);
    *e = (ck_encoded){0};
}
