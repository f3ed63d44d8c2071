/* fetch.c: objects being read. */
#include "core_int.h"

void ck_fetch_begin(ck_core *c, const ck_blob *b, uint64_t index)
{
    ck_fetch *f = cr_must(c->heap, sizeof *f);
    memset(f, 0, sizeof *f);
    f->blob = *b;
    f->index = index;
    f->join = ck_join_make(c->heap, b->kind, &b->hash);
    f->next = c->fetches;
    c->fetches = f;
    c->nfetches += index == 0;
    c->again = 1;
}

int ck_fetching(const ck_core *c, uint64_t index)
{
    for (const ck_fetch *f = c->fetches; f; f = f->next)
        if (f->index == index && !f->dead) return 1;
    return 0;
}

void ck_fetch_free(ck_core *c, ck_fetch *f)
{
    ck_join_free(f->join);
    cr_free(c->heap, f);
}

/* Nothing is wanted of it any more; its memory goes once no ask is out. */
static void end(ck_core *c, ck_fetch *f)
{
    if (f->dead) return;
    f->dead = 1;
    c->nfetches -= f->index == 0;
    c->again = 1;
}

void ck_fetch_drop_load(ck_core *c)
{
    for (ck_fetch *f = c->fetches; f; f = f->next)
        if (f->index == 0) end(c, f);
}

/* Slices of one that may be asked for: the first says how many there are. */
static void ask_more(ck_core *c, ck_fetch *f)
{
    uint32_t upto = f->join->slices ? f->join->slices : 1;
    if (!ck_due(c, f->at)) return;
    for (uint32_t i = 0; i < upto && f->out < CK_GETS_AT_ONCE; i++) {
        if (ck_join_has(f->join, i) || i < f->asked) continue;
        ck_ask *a = ck_ask_new(c, CK_BLOB_GET);
        a->blob = f->blob;
        a->blob.slice = i;
        a->own = f;
        f->out++;
        f->asked = i + 1;
    }
    if (f->out == 0 && f->asked) { /* one of them failed: from the start, without those that came */
        f->asked = 0;
        c->again = 1;
    }
}

/* The entry that it is for is applied, or in no tail any more. */
static int needless(const ck_core *c, const ck_fetch *f)
{
    return f->index && (f->index <= c->applied || !c->root || !ck_root_entry(c->root, f->index));
}

void ck_fetch_turn(ck_core *c)
{
    for (ck_fetch **p = &c->fetches; *p;) {
        ck_fetch *f = *p;
        if (needless(c, f)) end(c, f);
        if (f->dead && f->out == 0) {
            *p = f->next;
            ck_fetch_free(c, f);
            continue;
        }
        if (!f->dead && !c->failed) ask_more(c, f);
        p = &f->next;
    }
}

/* What another node gave is not what was asked for: all of it is asked for anew, as a wrong slice
 * shows only when all are there. */
static void anew(ck_core *c, ck_fetch *f, const char *why)
{
    char text[CK_WHY + 100];
    snprintf(text, sizeof text, "what a control node gave of the cluster's state is not taken: %s",
             why);
    ck_warn(c, text);
    ck_join_free(f->join);
    f->join = ck_join_make(c->heap, f->blob.kind, &f->blob.hash);
    f->asked = 0;
    f->by_peer = 0;
    f->at = ck_back_off(c, &f->wait, 50 * CK_MS, CK_RETRY_NS);
    c->again = 1;
}

static void whole(ck_core *c, ck_fetch *f)
{
    char why[CK_WHY];
    cr_bytes b = {.heap = c->heap};
    if (f->join->slices == 0) return;
    for (uint32_t i = 0; i < f->join->slices; i++)
        if (!ck_join_has(f->join, i)) return;
    int32_t rc = ck_join_take(f->join, &b, why);
    if (rc && f->by_peer && !QD_MUTANT(k8s, PEER_DAMAGE)) {
        anew(c, f, why);
        return;
    }
    end(c, f);
    ck_blob_came(c, f, rc, b.p, b.n, rc ? why : NULL);
    cr_bytes_free(&b);
}

void ck_fetch_answered(ck_core *c, ck_ask *ask, const ck_answer *a)
{
    ck_fetch *f = ask->own;
    char why[CK_WHY];
    f->out--;
    if (f->dead) return;
    if (a->outcome == CK_MISSING) {
        end(c, f);
        ck_blob_came(c, f, QD_E_NOTFOUND, NULL, 0, NULL);
        return;
    }
    if (a->outcome != CK_OK) {
        f->at = ck_back_off(c, &f->wait, 50 * CK_MS, CK_RETRY_NS);
        if (f->at < c->now + a->retry_ns) f->at = c->now + a->retry_ns;
        return;
    }
    int32_t rc = ck_join_add(f->join, a->object, why);
    f->by_peer |= a->by_peer;
    if (f->index == 0) c->load_heard = c->now;
    if (rc && f->by_peer) {
        anew(c, f, why);
        return;
    }
    if (rc) {
        end(c, f);
        ck_blob_came(c, f, rc, NULL, 0, why);
        return;
    }
    whole(c, f);
}
