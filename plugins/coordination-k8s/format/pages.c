/* pages.c: the rows of now, by page; see page.h. */
#include "page_int.h"

enum { KEY_PAGES = CK_PAGE_ANSWERS - CK_PAGE_KEYS, OTHER_PAGES = CK_PAGES - CK_PAGE_OTHERS };
enum { ANSWERS_A_PAGE = 256, ANSWER_PAGES = CK_PAGE_OTHERS - CK_PAGE_ANSWERS };

uint32_t ck_page_of(uint32_t kind, qd_str key)
{
    uint64_t h = cr_sum64(key.p, key.n, kind);
    if (kind == CR_ROW_KEY) return CK_PAGE_KEYS + (uint32_t)(h % KEY_PAGES);
    if (kind != CR_ROW_ANSWER) return CK_PAGE_OTHERS + (uint32_t)(h % OTHER_PAGES);
    uint64_t slot = 0; /* the key is its slot's number, the high byte first */
    for (size_t i = 0; i < key.n; i++) slot = slot << 8 | (uint8_t)key.p[i];
    return CK_PAGE_ANSWERS + (uint32_t)(slot / ANSWERS_A_PAGE % ANSWER_PAGES);
}

/* --- rows --- */

static ck_row *row_make(const cr_heap *heap, cr_item *item)
{
    ck_row *r = cr_must(heap, sizeof *r);
    *r = (ck_row){.heap = heap, .refs = 1, .item = cr_item_ref(item)};
    return r;
}

static ck_row *row_ref(ck_row *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

static void row_drop(ck_row *r)
{
    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1) return;
    cr_item_drop(r->item);
    cr_free(r->heap, r);
}

/* Whoever comes first keeps it for the others. */
ck_hash ck_row_hash(ck_row *r)
{
    if (atomic_load_explicit(&r->hashed, memory_order_acquire) == 2) return r->hash;
    qd_str stored = cr_item_stored(r->item);
    ck_hash h = ck_hash_of(stored.p, stored.n);
    uint32_t no = 0;
    if (atomic_compare_exchange_strong(&r->hashed, &no, 1)) {
        r->hash = h;
        atomic_store_explicit(&r->hashed, 2, memory_order_release);
    }
    return h;
}

static int same_item(const cr_item *a, const cr_item *b)
{
    return a == b || (a->kind == b->kind && a->create_revision == b->create_revision &&
                      a->mod_revision == b->mod_revision && a->version == b->version &&
                      a->session == b->session && a->value_len == b->value_len &&
                      cr_compare(cr_item_key(a), cr_item_key(b)) == 0 &&
                      cr_compare(cr_item_stored(a), cr_item_stored(b)) == 0);
}

/* --- a page's rows --- */

static ck_rows *rows_make(const cr_heap *heap, size_t cap)
{
    ck_rows *v = cr_must(heap, sizeof *v + cap * sizeof(ck_row *));
    *v = (ck_rows){.heap = heap, .refs = 1, .cap = cap};
    return v;
}

static void rows_drop(ck_rows *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < v->n; i++) row_drop(v->at[i]);
    cr_free(v->heap, v);
}

/* The place of a row, or where it belongs. */
static size_t place(const ck_rows *v, uint32_t kind, qd_str key, int *there)
{
    size_t lo = 0, hi = v ? v->n : 0;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const cr_item *i = v->at[mid]->item;
        if (ck_row_compare(i->kind, cr_item_key(i), kind, key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    const cr_item *i = v && lo < v->n ? v->at[lo]->item : NULL;
    *there = i && ck_row_compare(i->kind, cr_item_key(i), kind, key) == 0;
    return lo;
}

ck_row *ck_rows_find(const ck_rows *v, uint32_t kind, qd_str key)
{
    int there;
    size_t at = place(v, kind, key, &there);
    return there ? v->at[at] : NULL;
}

/* The page's rows for changing, with room for one more: its own, not a freeze's. */
static ck_rows *rows_own(ck_pages *p, uint32_t page)
{
    ck_rows *v = p->at[page];
    int shared = v && atomic_load_explicit(&v->refs, memory_order_acquire) > 1;
    if (v && !shared && v->n < v->cap) return v;
    size_t n = v ? v->n : 0;
    ck_rows *own = rows_make(p->heap, n < 8 ? 16 : n + n / 2);
    for (size_t i = 0; i < n; i++) own->at[i] = row_ref(v->at[i]);
    own->n = n;
    rows_drop(v);
    p->at[page] = own;
    return own;
}

/* --- as they were --- */

static size_t was_bytes(const ck_was *w)
{
    const cr_item *i = w->row ? w->row->item : w->key;
    return sizeof *w + i->key_len + (w->row ? i->stored_len : 0);
}

void ck_pages_forget(ck_pages *p, uint64_t since)
{
    size_t k = p->was.first, end = k + p->was.n;
    if (since > p->was.since) p->was.since = since;
    for (; k < end && p->was.at[k].index <= p->was.since; k++) {
        p->was.bytes -= was_bytes(&p->was.at[k]);
        if (p->was.at[k].row) row_drop(p->was.at[k].row);
        cr_item_drop(p->was.at[k].key);
    }
    p->was.first = k < end ? k : 0;
    p->was.n = end - k;
}

/* A row before entry `index` changes it; row NULL: it is not there, item has its key. */
static void remember(ck_pages *p, uint32_t page, uint64_t index, ck_row *row, cr_item *item)
{
    ck_was w = {.index = index, .page = page};
    if (row)
        w.row = row_ref(row);
    else
        w.key = cr_item_ref(item);
    if (p->was.first && p->was.first + p->was.n == p->was.cap) {
        memmove(p->was.at, p->was.at + p->was.first, p->was.n * sizeof w);
        p->was.first = 0;
    }
    if (p->was.n == p->was.cap) {
        p->was.cap = p->was.cap ? p->was.cap * 2 : 64;
        p->was.at = cr_must_grow(p->heap, p->was.at, p->was.cap * sizeof w);
    }
    p->was.at[p->was.first + p->was.n++] = w;
    p->was.bytes += was_bytes(&w);
    if (p->was.bytes > CK_WAS_MAX) ck_pages_forget(p, index);
}

/* Puts a row (its reference is taken) where there is one of its key, or room for it; NULL: takes
 * the one of that key away. */
static void set(ck_rows *v, size_t at, int there, ck_row *row)
{
    if (there) row_drop(v->at[at]);
    if (there && !row)
        memmove(v->at + at, v->at + at + 1, (--v->n - at) * sizeof(ck_row *));
    else if (!there && row)
        memmove(v->at + at + 1, v->at + at, (v->n++ - at) * sizeof(ck_row *));
    if (row) v->at[at] = row;
}

/* One changed row, by entry `index`; 0: what it was need not be remembered. 1 when it changed the
 * page. */
static int change(ck_pages *p, uint32_t page, uint64_t index, cr_item *item)
{
    int there;
    size_t at = place(p->at[page], item->kind, cr_item_key(item), &there);
    if (!there && item->version == 0) return 0;
    if (there && same_item(p->at[page]->at[at]->item, item)) return 0;
    ck_rows *v = rows_own(p, page);
    if (index) remember(p, page, index, there ? v->at[at] : NULL, item);
    set(v, at, there, item->version ? row_make(p->heap, item) : NULL);
    return 1;
}

static void empty(ck_pages *p, uint32_t page)
{
    rows_drop(p->at[page]);
    p->at[page] = NULL;
}

/* --- pages --- */

ck_pages *ck_pages_make(const cr_heap *heap)
{
    ck_pages *p = cr_must(heap, sizeof *p);
    memset(p, 0, sizeof *p);
    p->heap = heap;
    return p;
}

void ck_pages_free(ck_pages *p)
{
    if (!p) return;
    ck_pages_forget(p, UINT64_MAX);
    cr_free(p->heap, p->was.at);
    for (uint32_t i = 0; i < CK_PAGES; i++) rows_drop(p->at[i]);
    cr_free(p->heap, p);
}

void ck_pages_push(ck_pages *p, uint64_t index, const cr_items *rows, int replaced)
{
    for (uint32_t i = 0; i < CK_PAGES && replaced; i++) {
        if (ck_pages_count(p, i)) p->changed[i] = index;
        empty(p, i);
    }
    if (replaced) ck_pages_forget(p, index);
    for (size_t i = 0; i < rows->n; i++) {
        uint32_t page = ck_page_of(rows->at[i]->kind, cr_item_key(rows->at[i]));
        if (change(p, page, replaced ? 0 : index, rows->at[i])) p->changed[page] = index;
    }
}

void ck_pages_set(ck_pages *p, uint32_t page, uint64_t index, const cr_items *rows)
{
    ck_pages_forget(p, index);
    empty(p, page);
    for (size_t i = 0; i < rows->n; i++) (void)change(p, page, 0, rows->at[i]);
    p->changed[page] = index;
}

uint64_t ck_pages_changed(const ck_pages *p, uint32_t page)
{
    return p->changed[page];
}

size_t ck_pages_count(const ck_pages *p, uint32_t page)
{
    return p->at[page] ? p->at[page]->n : 0;
}

void ck_pages_rows(const ck_pages *p, uint32_t page, cr_items *out)
{
    const ck_rows *v = p->at[page];
    for (size_t i = 0; v && i < v->n; i++) cr_items_push(p->heap, out, cr_item_ref(v->at[i]->item));
}

/* --- freezes --- */

ck_frozen *ck_pages_freeze(const ck_pages *p, uint64_t since)
{
    ck_frozen *f = cr_must(p->heap, sizeof *f);
    memset(f, 0, sizeof *f);
    f->heap = p->heap;
    for (uint32_t i = 0; i < CK_PAGES; i++) {
        if (p->changed[i] <= since) continue;
        f->taken[i] = 1;
        f->at[i] = p->at[i];
        if (p->at[i]) atomic_fetch_add_explicit(&p->at[i]->refs, 1, memory_order_relaxed);
    }
    return f;
}

/* What the page's rows were at an entry, the newest change taken back first. */
static ck_rows *rows_at(const ck_pages *p, uint32_t page, uint64_t index)
{
    const ck_rows *now = p->at[page];
    const ck_was *w = p->was.n ? p->was.at + p->was.first : NULL;
    size_t n = now ? now->n : 0, more = 0, k = p->was.n;
    for (size_t i = k; i > 0 && w[i - 1].index > index; i--) more += w[i - 1].page == page;
    ck_rows *v = rows_make(p->heap, n + more);
    for (size_t i = 0; i < n; i++) v->at[i] = row_ref(now->at[i]);
    v->n = n;
    for (; more && w[k - 1].index > index; k--) {
        const ck_was *one = &w[k - 1];
        const cr_item *i = one->row ? one->row->item : one->key;
        int there;
        if (one->page != page) continue;
        size_t at = place(v, i->kind, cr_item_key(i), &there);
        if (one->row || there) set(v, at, there, one->row ? row_ref(one->row) : NULL);
        more--;
    }
    return v;
}

ck_frozen *ck_pages_at(const ck_pages *p, uint32_t page, uint64_t index)
{
    if (index < p->was.since) return NULL;
    ck_frozen *f = cr_must(p->heap, sizeof *f);
    memset(f, 0, sizeof *f);
    f->heap = p->heap;
    f->taken[page] = 1;
    f->at[page] = rows_at(p, page, index);
    return f;
}

const cr_item *ck_frozen_value(const ck_frozen *f, uint32_t page, const ck_hash *part, ck_hash *h)
{
    const ck_rows *v = f->at[page];
    for (size_t i = 0; v && i < v->n; i++) {
        const cr_item *item = v->at[i]->item;
        if (ck_is_inline(CK_PAGE_VERSION, item->stored_len, cr_item_room(item))) continue;
        *h = ck_row_hash(v->at[i]);
        if (memcmp(h->b, part->b, 20) == 0) return item;
    }
    return NULL;
}

uint32_t ck_frozen_next(const ck_frozen *f, uint32_t from)
{
    while (from < CK_PAGES && !f->taken[from]) from++;
    return from;
}

void ck_frozen_free(ck_frozen *f)
{
    if (!f) return;
    for (uint32_t i = 0; i < CK_PAGES; i++) rows_drop(f->at[i]);
    cr_free(f->heap, f);
}
