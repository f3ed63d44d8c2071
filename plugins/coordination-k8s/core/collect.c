/* collect.c: objects that nothing names any more. By the leader alone, a page of the list at a
 * time: the page, then the root (read after it, from no cache, and it says that this node leads),
 * what its pages reach, then deletes with uid and version. An object that somebody uses again after
 * the list was touched or created again, so that its version is another one. */
#include "core_int.h"

static int same20(const ck_hash *a, const ck_hash *b)
{
    return memcmp(a->b, b->b, 20) == 0;
}

/* 1 when a root, or what is being written, names an object. */
static int named(const ck_core *c, const ck_listed *l)
{
    const ck_hash *h = &l->blob.hash;
    if (l->blob.kind == CK_BLOB_PAGE)
        for (uint32_t i = 0; i < CK_PAGES; i++)
            if (same20(&c->root->pages[i], h)) return 1;
    if (l->blob.kind == CK_BLOB_ENTRY)
        for (uint32_t i = 0; i < c->root->ntail; i++)
            if (c->root->tail[i]->large && same20(&c->root->tail[i]->hash, h)) return 1;
    if (QD_MUTANT(k8s, COLLECT_ONGOING)) return 0;
    for (const ck_flight *f = c->first; f; f = f->next)
        if (f->entry->large && l->blob.kind == CK_BLOB_ENTRY && same20(&f->entry->hash, h))
            return 1;
    for (uint32_t i = 0; c->checkpoint && i < c->checkpoint->nblobs; i++)
        if (c->checkpoint->blobs[i].kind == l->blob.kind &&
            same20(&c->checkpoint->blobs[i].hash, h))
            return 1;
    return 0;
}

static int is_garbage(ck_core *c, const ck_listed *l)
{
    if (l->written > c->gc.date - CK_OLD_S || named(c, l)) return 0;
    if (l->blob.kind != CK_BLOB_VALUE) return 1;
    /* what is reached is known of the pages that were read: newer ones may name a value that was
     * written before the list, by a checkpoint that was under way then */
    if (c->root->checkpoint != c->gc.checkpoint) return 0;
    return c->config.reaches(c->config.arg, &l->blob.hash) == 0;
}

static void later(ck_core *c, uint64_t ns)
{
    c->gc.state = CK_GC_IDLE;
    c->gc.due = c->now + ns;
    c->gc.n = c->gc.at = 0;
    cr_free(c->heap, c->gc.next);
    c->gc.next = NULL;
    c->again = 1;
}

void ck_collect_stop(ck_core *c)
{
    later(c, CK_COLLECT_NS);
    c->gc.ask = NULL;
}

static void list(ck_core *c)
{
    c->gc.state = CK_GC_LIST;
    c->gc.term = c->term;
    ck_ask *a = ck_ask_new(c, CK_BLOB_LIST);
    size_t n = c->gc.next ? strlen(c->gc.next) : 0;
    a->next_page = (qd_str){c->gc.next, n}; /* the ask's now */
    c->gc.next = NULL;
    c->gc.ask = a;
}

static void page_ended(ck_core *c)
{
    if (c->gc.next)
        list(c);
    else
        later(c, CK_COLLECT_NS);
}

static void delete_some(ck_core *c)
{
    while (c->gc.out < CK_DELETES_AT_ONCE && c->gc.at < c->gc.n) {
        const ck_listed *l = &c->gc.listed[c->gc.at++];
        if (!is_garbage(c, l)) continue;
        ck_ask *a = ck_ask_new(c, CK_BLOB_DELETE);
        a->blob = l->blob;
        memcpy(a->uid, l->uid, sizeof l->uid);
        if (!QD_MUTANT(k8s, COLLECT_NO_VERSION)) memcpy(a->version, l->version, sizeof l->version);
        c->gc.out++;
    }
    if (c->gc.at == c->gc.n && c->gc.out == 0) page_ended(c);
}

void ck_collect_turn(ck_core *c)
{
    if (c->failed || !ck_leads(c) || c->resigning) return;
    if (c->gc.due == 0) c->gc.due = c->now + CK_COLLECT_NS;
    if (c->gc.state == CK_GC_IDLE && !c->gc.out && ck_due(c, c->gc.due)) list(c);
    if (c->gc.state == CK_GC_DELETE) delete_some(c);
}

static void listed(ck_core *c, const ck_answer *a)
{
    if (a->outcome != CK_OK) {
        later(c, 30 * CK_S);
        return;
    }
    c->gc.listed = cr_must_grow(c->heap, c->gc.listed, (a->nlisted + 1) * sizeof *c->gc.listed);
    c->gc.n = c->gc.at = 0;
    c->gc.date = a->date;
    for (uint32_t i = 0; i < a->nlisted; i++)
        if (a->listed[i].written <= a->date - CK_OLD_S) c->gc.listed[c->gc.n++] = a->listed[i];
    if (a->next_page.n) {
        c->gc.next = cr_must(c->heap, a->next_page.n + 1);
        memcpy(c->gc.next, a->next_page.p, a->next_page.n);
        c->gc.next[a->next_page.n] = 0;
    }
    c->gc.number = c->number;
    c->gc.state = CK_GC_ROOT;
    c->again = 1;
    if (c->gc.n == 0)
        page_ended(c);
    else if (QD_MUTANT(k8s, COLLECT_OLD_ROOT))
        ck_collect_root(c, c->number + 1);
}

void ck_collect_answered(ck_core *c, ck_ask *ask, const ck_answer *a)
{
    if (ask->type == CK_BLOB_LIST) {
        if (c->gc.ask != ask) return;
        c->gc.ask = NULL;
        listed(c, a);
        return;
    }
    c->gc.out--;
    c->counts.collected += a->outcome == CK_OK;
    c->again = 1;
}

void ck_collect_root(ck_core *c, uint64_t number)
{
    if (c->gc.state != CK_GC_ROOT || number <= c->gc.number || c->loading || c->reaching) return;
    if (!ck_leads(c) || c->gc.term != c->term) {
        ck_collect_stop(c);
        return;
    }
    int values = 0;
    for (uint32_t i = 0; i < c->gc.n; i++) values |= c->gc.listed[i].blob.kind == CK_BLOB_VALUE;
    c->again = 1;
    c->gc.state = values ? CK_GC_REACH : CK_GC_DELETE;
    c->gc.checkpoint = c->root->checkpoint;
    if (!values) return;
    c->reaching = 1;
    if (c->config.load_begin(c->config.arg, CK_LOAD_REACH, c->root)) {
        c->reaching = 0;
        ck_collect_stop(c);
    }
}

void ck_collect_reached(ck_core *c, int32_t rc)
{
    if (c->gc.state != CK_GC_REACH) return;
    c->gc.state = CK_GC_DELETE;
    if (rc) later(c, 30 * CK_S);
}
