/* page_read.c: pages read, with the values that they name; see page.h. */
#include "fields.h"
#include "page_int.h"

/* kind, form, a key of one byte with its length, six numbers */
enum { ROW_MIN = 10 };

/* A row as it stands there; borrows. */
typedef struct row_text {
    uint32_t kind, form;
    qd_str key;
    uint64_t create_revision, mod_revision, version, session, unpacked, stored;
    const uint8_t *value; /* the value as stored, or its hash */
} row_text;

static uint64_t get_number(cr_reader *r)
{
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t b = cr_get8(r);
        v |= (uint64_t)(b & 127) << shift;
        if (b & 128) continue;
        if ((b == 0 && shift) || (shift == 63 && b > 1)) r->bad = 1; /* not as few as will do */
        return v;
    }
    r->bad = 1;
    return 0;
}

static void row_read(cr_reader *r, uint32_t version, row_text *out)
{
    *out = (row_text){.kind = cr_get8(r)};
    out->form = cr_get8(r);
    uint64_t n = get_number(r);
    if (n == 0 || n > CK_KEY_MAX) r->bad = 1;
    const uint8_t *key = cr_get(r, (size_t)n);
    out->key = key ? (qd_str){(const char *)key, (size_t)n} : (qd_str){"", 0};
    out->create_revision = get_number(r);
    out->mod_revision = get_number(r);
    out->version = get_number(r);
    out->session = get_number(r);
    out->unpacked = get_number(r);
    out->stored = get_number(r);
    int here = ck_is_inline(version, out->stored, out->unpacked);
    if (out->kind < CR_ROW_META || out->kind > CR_ROW_PART || out->version == 0 ||
        out->form != (here ? CK_FORM_INLINE : CK_FORM_BLOB) || out->stored > CR_ITEM_VALUE_MAX ||
        out->unpacked > CR_ITEM_VALUE_MAX)
        r->bad = 1;
    out->value = cr_get(r, out->form == CK_FORM_BLOB ? 32 : (size_t)out->stored);
}

/* A page's bytes, row by row. take: 0, or a code that ends it, with its sentence. */
typedef int32_t take_row(void *arg, const row_text *row, char *why);

/* Checks the head. */
static int32_t head_read(cr_reader *r, uint32_t *version, uint32_t *page, uint32_t *rows, char *why)
{
    uint32_t magic = cr_get32(r);
    *version = cr_get32(r);
    *page = cr_get32(r);
    *rows = cr_get32(r);
    if (r->bad || magic != CK_PAGE_MAGIC)
        return ck_wrong(why, QD_E_CORRUPT, "the bytes do not begin as a page");
    if (*version > CK_PAGE_VERSION)
        return ck_wrong(why, QD_E_FORMAT_NEW,
                        "the page has version %u, this version of the program reads up to %d: it "
                        "was written by a newer one",
                        *version, CK_PAGE_VERSION);
    if (*version == 0 || *page >= CK_PAGES || *rows == 0 || *rows > r->n / ROW_MIN)
        return ck_wrong(why, QD_E_CORRUPT, "version %u, page %u or rows %u cannot be", *version,
                        *page, *rows);
    return 0;
}

static int32_t page_walk(const uint8_t *p, size_t n, uint32_t *page, take_row *take, void *arg,
                         char *why)
{
    cr_reader r = {.p = p, .n = n};
    row_text before = {0}, row;
    uint32_t version, rows;
    int32_t rc = head_read(&r, &version, page, &rows, why);
    for (uint32_t i = 0; i < rows && rc == 0; i++) {
        row_read(&r, version, &row);
        if (r.bad)
            rc = ck_wrong(why, QD_E_CORRUPT, "row %u of page %u is malformed", i, *page);
        else if (i && ck_row_compare(before.kind, before.key, row.kind, row.key) >= 0)
            rc = ck_wrong(why, QD_E_CORRUPT, "row %u of page %u is not in order", i, *page);
        else if (ck_page_of(row.kind, row.key) != *page)
            rc = ck_wrong(why, QD_E_CORRUPT, "row %u of page %u belongs to page %u", i, *page,
                          ck_page_of(row.kind, row.key));
        else
            rc = take(arg, &row, why);
        before = row;
    }
    if (rc == 0 && r.n)
        rc = ck_wrong(why, QD_E_CORRUPT, "%zu bytes are left behind the rows of page %u", r.n,
                      *page);
    return rc;
}

/* --- decoding --- */

/* The item of a row, from its value as stored; NULL: it does not unpack. */
static cr_item *item_of(const cr_heap *h, const cr_item *numbers, qd_str stored, uint64_t unpacked)
{
    cr_item *i = cr_item_from(h, numbers->kind, cr_item_key(numbers), stored, unpacked);
    if (!i) return NULL;
    i->create_revision = numbers->create_revision;
    i->mod_revision = numbers->mod_revision;
    i->version = numbers->version;
    i->session = numbers->session;
    return i;
}

typedef struct decoding {
    ck_decoded *out;
    size_t cap;
} decoding;

static int32_t take_decoded(void *arg, const row_text *row, char *why)
{
    decoding *d = arg;
    ck_decoded *out = d->out;
    cr_item *head = cr_item_make(out->heap, row->kind, row->key, QD_STR(""));
    head->create_revision = row->create_revision;
    head->mod_revision = row->mod_revision;
    head->version = row->version;
    head->session = row->session;
    ck_row_read r = {.kind = row->kind, .unpacked = row->unpacked, .stored = row->stored};
    if (row->form == CK_FORM_BLOB) {
        memcpy(r.hash.b, row->value, 32);
        r.head = head;
        out->missing++;
    } else {
        r.item = item_of(out->heap, head, (qd_str){(const char *)row->value, (size_t)row->stored},
                         row->unpacked);
        cr_item_drop(head);
        if (!r.item)
            return ck_wrong(why, QD_E_CORRUPT, "the value of row %zu of page %u does not unpack",
                            out->nrows, out->page);
    }
    if (out->nrows == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 64;
        out->rows = cr_must_grow(out->heap, out->rows, d->cap * sizeof *out->rows);
    }
    out->rows[out->nrows++] = r;
    return 0;
}

int32_t ck_page_decode(const cr_heap *heap, uint32_t page, const uint8_t *p, size_t n,
                       ck_decoded *out, char *why)
{
    ck_decoded d = {.heap = heap, .page = page};
    decoding step = {.out = &d};
    uint32_t says;
    int32_t rc = page_walk(p, n, &says, take_decoded, &step, why);
    if (rc == 0 && says != page)
        rc = ck_wrong(why, QD_E_CORRUPT, "the bytes are of page %u, not of page %u", says, page);
    if (rc == 0)
        *out = d;
    else
        ck_decoded_free(&d);
    return rc;
}

void ck_decoded_free(ck_decoded *d)
{
    if (!d->heap) return;
    for (size_t i = 0; i < d->nrows; i++) {
        cr_item_drop(d->rows[i].item);
        cr_item_drop(d->rows[i].head);
    }
    cr_free(d->heap, d->rows);
    *d = (ck_decoded){0};
}

/* A row's value came. */
static int row_fill(ck_decoded *d, ck_row_read *r, qd_str stored)
{
    r->item = stored.n == r->stored ? item_of(d->heap, r->head, stored, r->unpacked) : NULL;
    if (!r->item) return 0;
    cr_item_drop(r->head);
    r->head = NULL;
    d->missing--;
    return 1;
}

void ck_decoded_borrow(ck_decoded *d, const ck_pages *now)
{
    for (size_t i = 0; i < d->nrows && d->missing; i++) {
        ck_row_read *r = &d->rows[i];
        if (r->item) continue;
        ck_row *row = ck_rows_find(now->at[d->page], r->kind, cr_item_key(r->head));
        if (!row || row->item->stored_len != r->stored || cr_item_room(row->item) != r->unpacked)
            continue;
        ck_hash h = ck_row_hash(row);
        if (ck_hash_same(&h, &r->hash)) (void)row_fill(d, r, cr_item_stored(row->item));
    }
}

void ck_decoded_share(ck_decoded *d, const ck_decoded *from)
{
    size_t k = 0;
    for (size_t i = 0; i < d->nrows && d->missing; i++) {
        ck_row_read *r = &d->rows[i];
        if (r->item) continue;
        qd_str key = cr_item_key(r->head);
        for (; k < from->nrows; k++) { /* both are in order */
            const ck_row_read *o = &from->rows[k];
            const cr_item *has = o->item ? o->item : o->head;
            if (ck_row_compare(o->kind, cr_item_key(has), r->kind, key) >= 0) break;
        }
        const ck_row_read *o = k < from->nrows ? &from->rows[k] : NULL;
        if (!o || !o->item || o->kind != r->kind || cr_compare(cr_item_key(o->item), key)) continue;
        if (o->unpacked == r->unpacked && ck_hash_same(&o->hash, &r->hash))
            (void)row_fill(d, r, cr_item_stored(o->item));
    }
}

const ck_hash *ck_decoded_next(const ck_decoded *d, size_t *at)
{
    while (*at < d->nrows) {
        const ck_row_read *r = &d->rows[(*at)++];
        if (!r->item) return &r->hash;
    }
    return NULL;
}

int32_t ck_decoded_value(ck_decoded *d, const ck_hash *h, const uint8_t *p, size_t n, char *why)
{
    for (size_t i = 0; i < d->nrows; i++) {
        ck_row_read *r = &d->rows[i];
        if (r->item || !ck_hash_same(&r->hash, h)) continue;
        if (!row_fill(d, r, (qd_str){(const char *)p, n}))
            return ck_wrong(
                why, QD_E_CORRUPT,
                "the value of %zu bytes is not the %llu (unpacked %llu) that row %zu of "
                "page %u names",
                n, (unsigned long long)r->stored, (unsigned long long)r->unpacked, i, d->page);
    }
    return 0;
}

int32_t ck_decoded_rows(const ck_decoded *d, cr_items *out)
{
    if (d->missing) return QD_E_STATE;
    for (size_t i = 0; i < d->nrows; i++) cr_items_push(d->heap, out, cr_item_ref(d->rows[i].item));
    return 0;
}

/* --- for the collector --- */

typedef struct named {
    void (*take)(void *arg, const ck_hash *h);
    void *arg;
} named;

static int32_t take_named(void *arg, const row_text *row, char *why)
{
    named *n = arg;
    ck_hash h;
    (void)why;
    if (row->form != CK_FORM_BLOB) return 0;
    memcpy(h.b, row->value, 32);
    n->take(n->arg, &h);
    return 0;
}

int32_t ck_page_values(const uint8_t *p, size_t n, void (*take)(void *arg, const ck_hash *h),
                       void *arg, char *why)
{
    named each = {take, arg};
    uint32_t page;
    return page_walk(p, n, &page, take_named, &each, why);
}
