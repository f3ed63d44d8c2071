/*
 * state.c: the state as pages (page.h): made for a checkpoint, loaded from one. Of each page it is
 * kept what the newest root whose checkpoint is applied here says of it, so that only pages that
 * differ are loaded; and which values the pages of the last checkpoints need, so that only new ones
 * are written.
 */
#include "k8s.h"
#include <stdlib.h>

/* What is known of a page. */
typedef struct known {
    ck_hash hash;   /* of it in a checkpoint */
    uint64_t index; /* the same here as long as it did not change behind this entry; 0: not known */
    ck_hash of;     /* the page whose values `values` are */
    int reached;    /* they are known */
    ck_hash *values; /* sorted */
    size_t nvalues, cap;
} known;

/* A value that pages which are being loaded need. */
typedef struct need {
    ck_hash hash;
    uint8_t pages[(CK_PAGES + 7) / 8];
} need;

typedef struct load {
    uint32_t what;
    uint64_t index;
    ck_hash hashes[CK_PAGES];
    uint8_t wanted[CK_PAGES], asked[CK_PAGES], there[CK_PAGES];
    ck_decoded decoded[CK_PAGES];
    ck_decoded former[CK_PAGES]; /* of the load that this one is in place of: pages that differ */
    need *needs;                 /* a table by hash: cap a power of two */
    size_t nneeds, cap, asked_needs;
    ck_hash *order; /* of the needs as they came */
    size_t order_cap;
} load;

struct ck_state {
    cr_consensus *c;
    const cr_heap *heap;
    known pages[CK_PAGES];
    uint64_t seen; /* checkpoint of the root looked at last */
    load *load;
    ck_hash *reach; /* sorted: what the last CK_LOAD_REACH came to */
    size_t nreach;
};

/* A checkpoint that was given out. */
typedef struct made {
    ck_checkpoint p;
    ck_encoded at[CK_PAGES];
    uint32_t n;
    ck_content *blobs;
} made;

static int by_hash(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(ck_hash));
}

ck_state *ck_state_make(cr_consensus *c)
{
    ck_state *s = cr_must(c->heap, sizeof *s);
    memset(s, 0, sizeof *s);
    s->c = c;
    s->heap = c->heap;
    return s;
}

static void load_free(ck_state *s, load *l)
{
    if (!l) return;
    for (uint32_t i = 0; i < CK_PAGES; i++) {
        if (l->there[i] && l->what == CK_LOAD_STATE) ck_decoded_free(&l->decoded[i]);
        ck_decoded_free(&l->former[i]);
    }
    cr_free(s->heap, l->needs);
    cr_free(s->heap, l->order);
    cr_free(s->heap, l);
}

void ck_state_free(ck_state *s)
{
    if (!s) return;
    load_free(s, s->load);
    for (uint32_t i = 0; i < CK_PAGES; i++) cr_free(s->heap, s->pages[i].values);
    cr_free(s->heap, s->reach);
    cr_free(s->heap, s);
}

static ck_pages *rows_of(ck_state *s)
{
    return s->c->store->home.pages;
}

static int unchanged(ck_state *s, uint32_t page)
{
    return s->pages[page].index && ck_pages_changed(rows_of(s), page) <= s->pages[page].index;
}

void ck_state_seen(ck_state *s, const ck_root *r)
{
    if (r->checkpoint == 0 || r->checkpoint == s->seen || s->c->store->applied < r->checkpoint)
        return;
    s->seen = r->checkpoint;
    for (uint32_t i = 0; i < CK_PAGES; i++) {
        if (ck_pages_changed(rows_of(s), i) > r->checkpoint) continue;
        s->pages[i].hash = r->pages[i];
        s->pages[i].index = r->checkpoint;
    }
    ck_pages_forget(rows_of(s), r->checkpoint); /* others may ask for its pages */
}

/* --- values --- */

static void value_add(void *arg, const ck_hash *h)
{
    known *k = ((void **)arg)[0];
    const ck_state *s = ((void **)arg)[1];
    if (k->nvalues == k->cap) {
        k->cap = k->cap ? k->cap * 2 : 64;
        k->values = cr_must_grow(s->heap, k->values, k->cap * sizeof *k->values);
    }
    k->values[k->nvalues++] = *h;
}

static void values_begin(known *k, const ck_hash *of)
{
    k->nvalues = 0;
    k->of = *of;
    k->reached = 1;
}

static void values_end(known *k)
{
    if (k->nvalues) qsort(k->values, k->nvalues, sizeof *k->values, by_hash);
}

static int reaches(const known *k, const ck_hash *root_page, const ck_hash *h)
{
    return k->reached && k->nvalues && ck_hash_same(&k->of, root_page) &&
           bsearch(h, k->values, k->nvalues, sizeof *k->values, by_hash) != NULL;
}

/* --- making a checkpoint --- */

static void add_blob(ck_state *s, made *m, size_t *cap, ck_content content)
{
    if (m->p.nblobs == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        m->blobs = cr_must_grow(s->heap, m->blobs, *cap * sizeof *m->blobs);
    }
    m->blobs[m->p.nblobs++] = content;
}

ck_checkpoint *ck_state_freeze(ck_state *s, const ck_ask *a)
{
    made *m = cr_must(s->heap, sizeof *m);
    size_t cap = 0;
    memset(m, 0, sizeof *m);
    ck_frozen *f = ck_pages_freeze(rows_of(s), a->root->checkpoint);
    m->p.index = s->c->store->applied;
    memcpy(m->p.pages, a->root->pages, sizeof m->p.pages);
    for (uint32_t i = 0; (i = ck_frozen_next(f, i)) < CK_PAGES; i++) {
        ck_encoded *e = &m->at[m->n++];
        ck_page_encode(f, i, e);
        const ck_hash *before = &a->root->pages[i];
        m->p.pages[i] = e->hash;
        if (ck_hash_same(&e->hash, before)) continue;
        if (!ck_hash_none(&e->hash))
            add_blob(s, m, &cap, (ck_content){CK_BLOB_PAGE, e->hash, e->bytes.p, e->bytes.n});
        for (size_t k = 0; k < e->nvalues; k++) {
            qd_str v = cr_item_stored(e->values[k].item);
            if (!reaches(&s->pages[i], before, &e->values[k].hash))
                add_blob(s, m, &cap,
                         (ck_content){CK_BLOB_VALUE, e->values[k].hash, (const uint8_t *)v.p, v.n});
        }
    }
    ck_frozen_free(f);
    m->p.blobs = m->blobs;
    return &m->p;
}

void ck_state_thaw(void *arg, ck_checkpoint *p, int committed)
{
    ck_state *s = ((cr_consensus *)arg)->state;
    made *m = (made *)p;
    for (uint32_t i = 0; i < m->n; i++) {
        ck_encoded *e = &m->at[i];
        known *k = &s->pages[e->page];
        if (committed) {
            values_begin(k, &e->hash);
            for (size_t v = 0; v < e->nvalues; v++) value_add((void *[]){k, s}, &e->values[v].hash);
            values_end(k);
        }
        ck_encoded_free(e);
    }
    if (committed)
        for (uint32_t i = 0; i < CK_PAGES; i++) {
            if (ck_pages_changed(rows_of(s), i) > p->index) continue;
            s->pages[i].hash = p->pages[i];
            s->pages[i].index = p->index;
        }
    cr_free(s->heap, m->blobs);
    cr_free(s->heap, m);
}

/* --- loading --- */

static need *need_at(load *l, const ck_hash *h)
{
    size_t i = cr_load64(h->b) & (l->cap - 1);
    static const ck_hash none;
    while (!ck_hash_same(&l->needs[i].hash, &none) && !ck_hash_same(&l->needs[i].hash, h))
        i = (i + 1) & (l->cap - 1);
    return &l->needs[i];
}

static void need_add(ck_state *s, uint32_t page, const ck_hash *h)
{
    load *l = s->load;
    if (2 * (l->nneeds + 1) > l->cap) {
        need *old = l->needs;
        size_t n = l->cap;
        l->cap = n ? n * 2 : 256;
        l->needs = cr_must(s->heap, l->cap * sizeof *l->needs);
        memset(l->needs, 0, l->cap * sizeof *l->needs);
        for (size_t i = 0; i < n; i++)
            if (!ck_hash_none(&old[i].hash)) *need_at(l, &old[i].hash) = old[i];
        cr_free(s->heap, old);
    }
    need *n = need_at(l, h);
    n->pages[page / 8] |= (uint8_t)(1u << page % 8);
    if (ck_hash_same(&n->hash, h)) return;
    n->hash = *h;
    if (l->nneeds == l->order_cap) {
        l->order_cap = l->order_cap ? l->order_cap * 2 : 256;
        l->order = cr_must_grow(s->heap, l->order, l->order_cap * sizeof *l->order);
    }
    l->order[l->nneeds++] = *h;
}

static void need_values(ck_state *s, uint32_t page)
{
    size_t at = 0;
    for (const ck_hash *h; (h = ck_decoded_next(&s->load->decoded[page], &at));)
        need_add(s, page, h);
}

/* Pages of the load before are those of this one, or have values that it needs. */
static void take_over(ck_state *s, load *former)
{
    load *l = s->load;
    for (uint32_t i = 0; i < CK_PAGES; i++) {
        if (!former->there[i] || !l->wanted[i] || l->there[i]) continue;
        former->there[i] = 0;
        if (ck_hash_same(&former->hashes[i], &l->hashes[i])) {
            l->asked[i] = l->there[i] = 1;
            l->decoded[i] = former->decoded[i];
            need_values(s, i);
        } else {
            l->former[i] = former->decoded[i];
        }
    }
}

int32_t ck_state_load_begin(void *arg, uint32_t what, const ck_root *r)
{
    ck_state *s = ((cr_consensus *)arg)->state;
    load *former = s->load;
    load *l = s->load = cr_must(s->heap, sizeof *l);
    memset(l, 0, sizeof *l);
    l->what = what;
    l->index = r->checkpoint;
    memcpy(l->hashes, r->pages, sizeof l->hashes);
    for (uint32_t i = 0; i < CK_PAGES; i++) {
        known *k = &s->pages[i];
        int have = what == CK_LOAD_STATE ? unchanged(s, i) && ck_hash_same(&k->hash, &r->pages[i])
                                         : k->reached && ck_hash_same(&k->of, &r->pages[i]);
        if (have) continue;
        l->wanted[i] = 1;
        if (!ck_hash_none(&r->pages[i])) continue;
        /* an empty page: nothing is to be fetched */
        l->asked[i] = l->there[i] = 1;
        if (what == CK_LOAD_STATE)
            l->decoded[i] = (ck_decoded){.heap = s->heap, .page = i};
        else
            values_begin(k, &r->pages[i]);
    }
    if (former && former->what == CK_LOAD_STATE && what == CK_LOAD_STATE) take_over(s, former);
    load_free(s, former);
    return 0;
}

uint32_t ck_state_load_want(void *arg, ck_blob *out, uint32_t max)
{
    load *l = ((cr_consensus *)arg)->state->load;
    uint32_t n = 0;
    for (uint32_t i = 0; l && i < CK_PAGES && n < max; i++) {
        if (!l->wanted[i] || l->asked[i]) continue;
        l->asked[i] = 1;
        out[n++] = (ck_blob){CK_BLOB_PAGE, l->hashes[i], 0};
    }
    while (l && l->asked_needs < l->nneeds && n < max)
        out[n++] = (ck_blob){CK_BLOB_VALUE, l->order[l->asked_needs++], 0};
    return n;
}

uint32_t ck_state_page_of(const ck_state *s, const ck_blob *b)
{
    load *l = s->load;
    const need *x = l && l->cap && b->kind == CK_BLOB_VALUE ? need_at(l, &b->hash) : NULL;
    for (uint32_t i = 0; x && i < CK_PAGES; i++)
        if (x->pages[i / 8] & 1u << i % 8) return i;
    return CK_PAGES;
}

static int32_t take_page(ck_state *s, uint32_t page, const uint8_t *p, size_t n)
{
    load *l = s->load;
    char why[CK_WHY];
    int32_t rc;
    if (l->there[page]) return 0;
    known *k = &s->pages[page];
    if (l->what == CK_LOAD_REACH) {
        values_begin(k, &l->hashes[page]);
        rc = ck_page_values(p, n, value_add, (void *[]){k, s}, why);
        values_end(k);
        k->reached = rc == 0;
        l->there[page] = rc == 0;
        return rc;
    }
    rc = ck_page_decode(s->heap, page, p, n, &l->decoded[page], why);
    if (rc) return rc;
    l->there[page] = 1;
    ck_decoded_borrow(&l->decoded[page], rows_of(s));
    ck_decoded_share(&l->decoded[page], &l->former[page]);
    need_values(s, page);
    return 0;
}

int32_t ck_state_load_blob(void *arg, int kind, const ck_hash *h, const uint8_t *p, size_t n)
{
    ck_state *s = ((cr_consensus *)arg)->state;
    load *l = s->load;
    char why[CK_WHY];
    if (!l) return QD_E_STATE;
    if (kind == CK_BLOB_PAGE) {
        for (uint32_t i = 0; i < CK_PAGES; i++) {
            if (!l->wanted[i] || !ck_hash_same(&l->hashes[i], h)) continue;
            int32_t rc = take_page(s, i, p, n);
            if (rc) return rc;
        }
        return 0;
    }
    const need *x = l->cap ? need_at(l, h) : NULL;
    if (!x || !ck_hash_same(&x->hash, h)) return 0; /* nobody needs it */
    for (uint32_t i = 0; i < CK_PAGES; i++) {
        if (!(x->pages[i / 8] & 1u << i % 8)) continue;
        int32_t rc = ck_decoded_value(&l->decoded[i], h, p, n, why);
        if (rc) return rc;
    }
    return 0;
}

static int32_t end_state(ck_state *s)
{
    load *l = s->load;
    qd_coord *c = s->c->store;
    cr_items pages[CK_PAGES], all = {0};
    int32_t rc = 0;
    memset(pages, 0, sizeof pages);
    for (uint32_t i = 0; i < CK_PAGES && rc == 0; i++) {
        if (l->wanted[i] && !l->there[i])
            rc = QD_E_CORRUPT;
        else if (l->wanted[i])
            rc = ck_decoded_rows(&l->decoded[i], &pages[i]);
        else
            ck_pages_rows(rows_of(s), i, &pages[i]);
        for (size_t k = 0; k < pages[i].n && rc == 0; k++)
            cr_items_push(s->heap, &all, cr_item_ref(pages[i].at[k]));
    }
    if (rc == 0) rc = ck_record_put(c, c->cluster, c->machine->epoch, l->index);
    if (rc == 0) rc = cr_store_restore(c, &all, l->index);
    for (uint32_t i = 0; i < CK_PAGES; i++) {
        if (rc == 0 && l->wanted[i]) {
            ck_pages_set(rows_of(s), i, l->index, &pages[i]);
            s->pages[i].hash = l->hashes[i];
            s->pages[i].index = l->index;
        }
        cr_items_free(s->heap, &pages[i]);
    }
    cr_items_free(s->heap, &all);
    return rc;
}

static void end_reach(ck_state *s)
{
    load *l = s->load;
    size_t n = 0, at = 0;
    for (uint32_t i = 0; i < CK_PAGES; i++) n += s->pages[i].nvalues;
    cr_free(s->heap, s->reach);
    s->reach = cr_must(s->heap, (n + 1) * sizeof *s->reach);
    for (uint32_t i = 0; i < CK_PAGES; i++) {
        const known *k = &s->pages[i];
        if (!k->reached || !ck_hash_same(&k->of, &l->hashes[i]) || !k->nvalues) continue;
        memcpy(s->reach + at, k->values, k->nvalues * sizeof *k->values);
        at += k->nvalues;
    }
    s->nreach = at;
    if (at) qsort(s->reach, at, sizeof *s->reach, by_hash);
}

int32_t ck_state_load_end(void *arg, int32_t rc)
{
    ck_state *s = ((cr_consensus *)arg)->state;
    if (!s->load) return rc;
    if (rc == 0 && s->load->what == CK_LOAD_STATE) rc = end_state(s);
    if (rc == 0 && s->load->what == CK_LOAD_REACH) end_reach(s);
    load_free(s, s->load);
    s->load = NULL;
    return rc;
}

int ck_state_reaches(void *arg, const ck_hash *h)
{
    const ck_state *s = ((cr_consensus *)arg)->state;
    size_t lo = 0, hi = s->nreach;
    while (lo < hi) { /* names have the first 20 bytes alone */
        size_t mid = (lo + hi) / 2;
        if (memcmp(s->reach[mid].b, h->b, 20) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->nreach && memcmp(s->reach[lo].b, h->b, 20) == 0;
}
