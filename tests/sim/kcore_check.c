/* kcore_check.c: what must hold. */
#include "kcore_int.h"

void violation(sim *s, const char *format, ...)
{
    if (s->report->violation[0]) return;
    va_list args;
    va_start(args, format);
    vsnprintf(s->report->violation, sizeof s->report->violation, format, args);
    va_end(args);
    s->report->at_ns = s->now;
    say(s, "VIOLATION %s", s->report->violation);
}

static op *op_by(sim *s, uint64_t sum)
{
    for (uint32_t i = 0; i < s->nops; i++)
        if (s->ops[i].unique && s->ops[i].sum == sum) return &s->ops[i];
    return NULL;
}

/* A new entry of the chain: the only one at its place, of nobody who was told that it never is. */
static void place_add(sim *s, const ck_root *r, uint64_t index)
{
    const ck_entry *e = ck_root_entry(r, index);
    if (!e || index >= CHAIN) {
        violation(s, "entry %llu is committed but not in the tail", (unsigned long long)index);
        return;
    }
    uint64_t sum = 0;
    memcpy(&sum, e->hash.b, 8);
    if (!e->large) sum = cr_sum64(e->bytes, e->n, 0);
    if (e->large) {
        content *c = library_find(s, CK_BLOB_ENTRY, &e->hash);
        if (c) sum = cr_sum64(c->p, c->n, 0);
    }
    s->chain[index] = (place){e->id, sum};
    op *o = op_by(s, sum);
    if (!o) return;
    if (o->state == OP_NEVER)
        violation(s, "an entry that was told to be never is entry %llu", (unsigned long long)index);
    if (o->index) violation(s, "an entry is in the log twice: %llu", (unsigned long long)index);
    o->index = index;
}

void check_root(sim *s, const ck_root *before, const ck_root *after)
{
    uint64_t from = before ? before->index : 0;
    if (before && (after->index < before->index || after->leader.term < before->leader.term ||
                   after->checkpoint < before->checkpoint || after->epoch < before->epoch))
        violation(s, "the root goes back: index %llu after %llu, term %llu after %llu",
                  (unsigned long long)after->index, (unsigned long long)before->index,
                  (unsigned long long)after->leader.term, (unsigned long long)before->leader.term);
    if (before && after->writes <= before->writes)
        violation(s, "a write of the root changes nothing");
    for (uint64_t i = after->index; i > 0 && i + CK_IDS > after->index && i <= from; i--)
        if (after->ids[i % CK_IDS] != s->chain[i].id)
            violation(s, "entry %llu became another one", (unsigned long long)i);
    for (uint64_t i = from + 1; i <= after->index; i++) place_add(s, after, i);
    check_objects(s, "after a write of the root");
}

static int there(sim *s, int kind, const ck_hash *h)
{
    content *c = library_find(s, kind, h);
    uint32_t slices = c ? ck_blob_slices(c->n) : 1, found = 0;
    for (uint32_t i = 0; i < s->nobjects; i++) {
        const object *o = &s->objects[i];
        found += o->there && o->blob.kind == kind && ck_hash_same(&o->blob.hash, h);
    }
    return c && found == slices;
}

void check_objects(sim *s, const char *what)
{
    const ck_root *r = s->root;
    row rows[KEYS];
    if (!r) return;
    for (uint32_t i = 0; i < r->ntail; i++)
        if (r->tail[i]->large && !there(s, CK_BLOB_ENTRY, &r->tail[i]->hash))
            violation(s, "the object of entry %llu is missing, %s",
                      (unsigned long long)r->tail[i]->index, what);
    for (uint32_t i = 0; i < CK_PAGES; i++) {
        if (ck_hash_none(&r->pages[i])) continue;
        if (!there(s, CK_BLOB_PAGE, &r->pages[i])) violation(s, "page %u is missing, %s", i, what);
        uint32_t n = i < PAGES_USED ? page_rows(s, &r->pages[i], rows) : 0;
        for (uint32_t k = 0; k < n; k++)
            if (!ck_hash_none(&rows[k].value) && !there(s, CK_BLOB_VALUE, &rows[k].value))
                violation(s, "a value of page %u is missing, %s", i, what);
    }
}

void check_applied(sim *s, node *n, uint64_t index, const uint8_t *p, size_t size)
{
    if (index != n->now.index + 1)
        violation(s, "node %d applies entry %llu after %llu", n->number, (unsigned long long)index,
                  (unsigned long long)n->now.index);
    if (!s->root || index > s->root->index || s->chain[index].sum != cr_sum64(p, size, 0))
        violation(s, "node %d applies as entry %llu what is not committed there", n->number,
                  (unsigned long long)index);
}

void check_done(sim *s, node *n, op *o, uint64_t index, int32_t rc)
{
    say(s, "node %d: entry of %u at %llu: %d", n->number, (unsigned)(o - s->ops),
        (unsigned long long)index, (int)rc);
    if (o->state != OP_OPEN) violation(s, "a proposal ends twice");
    if (rc == 0) {
        s->report->acknowledged++;
        o->state = OP_YES;
        if (!s->root || index > s->root->index || s->chain[index].sum != o->sum)
            violation(s, "an entry is told committed at %llu and is not",
                      (unsigned long long)index);
        if (n->now.index != index)
            violation(s, "entry %llu is told committed, applied is %llu", (unsigned long long)index,
                      (unsigned long long)n->now.index);
    } else if (rc == QD_E_UNKNOWN_OUTCOME) {
        s->report->unknown++;
        o->state = OP_UNKNOWN;
    } else {
        s->report->never += rc == QD_E_NOT_LEADER;
        s->report->refused_entries += rc != QD_E_NOT_LEADER;
        o->state = OP_NEVER;
        if (o->unique && o->index)
            violation(s, "entry %llu is told to be never", (unsigned long long)o->index);
    }
    trace(s, o->state, index);
}

void check_sure(sim *s)
{
    for (int i = 0; i < NODES; i++) {
        node *n = &s->nodes[i];
        if (!n->core || n->paused > s->now || !ck_core_sure(n->core, node_time(s, n))) continue;
        s->report->sure = 1;
        if (s->root->leader.id != n->id)
            violation(s, "node %d is sure that it leads, another one does since term %llu", i,
                      (unsigned long long)s->root->leader.term);
    }
}
