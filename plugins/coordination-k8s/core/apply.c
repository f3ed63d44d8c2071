/* apply.c: what is committed goes to the state: the tail, or a checkpoint's pages. */
#include "core_int.h"
#include <stdio.h>

static ck_flight *flight_of(const ck_core *c, uint64_t index)
{
    for (ck_flight *f = c->first; f; f = f->next)
        if (f->state == CK_THERE && f->index == index) return f;
    return NULL;
}

static int apply_one(ck_core *c, uint64_t index, const uint8_t *p, size_t n)
{
    int32_t rc = c->config.apply(c->config.arg, index, p, n);
    if (rc) {
        char why[CK_WHY];
        snprintf(why, sizeof why, "entry %llu of the log cannot be applied (%d)",
                 (unsigned long long)index, (int)rc);
        ck_fail(c, why);
        return 0;
    }
    c->applied = index;
    c->again = c->news = 1;
    return 1;
}

/* Something was missing: the root is read before anything else is. */
static int waits_for_root(const ck_core *c)
{
    return c->missing && (c->want_get || c->get);
}

/* The root may have come before the answer to its write, with the name alone of a large entry:
 * others may ask for the bytes. */
static void keep_bytes(ck_core *c, const ck_flight *f)
{
    const ck_entry *e = ck_root_entry(c->root, f->index);
    if (e && !e->bytes && e->id == f->entry->id)
        ck_root_entry_set(c->root, ck_entry_moved(f->entry, e->index, e->term));
}

/* The next entry; 0: it is not there yet. */
static int next_entry(ck_core *c)
{
    uint64_t index = c->applied + 1;
    ck_flight *f = flight_of(c, index);
    if (f) {
        if (!apply_one(c, index, f->entry->bytes, f->entry->n)) return 0;
        keep_bytes(c, f);
        ck_flight_end(c, f, 0);
        return 1;
    }
    ck_entry *e = ck_root_entry(c->root, index);
    if (!e) {
        ck_fail(c, "the root object lacks an entry of its tail");
        return 0;
    }
    if (e->bytes) return apply_one(c, index, e->bytes, e->n);
    if (waits_for_root(c)) return 0;
    ck_blob b = {CK_BLOB_ENTRY, e->hash, 0};
    if (!ck_fetching(c, index)) ck_fetch_begin(c, &b, index);
    return 0;
}

/* Those that a checkpoint passed: what they came to is not known here. */
static void passed(ck_core *c)
{
    for (ck_flight *f = c->first, *next; f; f = next) {
        next = f->next;
        if (f->state == CK_THERE && f->index <= c->applied)
            ck_flight_end(c, f, QD_E_UNKNOWN_OUTCOME);
    }
}

static void load_ended(ck_core *c, int32_t rc, const char *why)
{
    int state = c->loading;
    c->loading = c->reaching = 0;
    c->again = c->news = 1;
    ck_fetch_drop_load(c);
    int32_t end = c->config.load_end(c->config.arg, rc);
    if (!state) {
        ck_collect_reached(c, rc ? rc : end);
        return;
    }
    if (rc == 0 && end == 0) {
        c->applied = c->load_checkpoint;
        c->counts.restores++;
        c->missing = 0;
        passed(c);
    } else if (rc != QD_E_NOTFOUND)
        ck_fail(c, why ? why : "the pages of the cluster's state cannot be taken");
}

static void load_state(ck_core *c)
{
    if (c->reaching) load_ended(c, QD_E_CANCELLED, NULL);
    c->load_checkpoint = c->root->checkpoint;
    c->load_heard = c->now;
    c->loading = 1;
    c->again = 1;
    int32_t rc = c->config.load_begin(c->config.arg, CK_LOAD_STATE, c->root);
    if (rc) {
        c->loading = 0;
        ck_fail(c, "the pages of the cluster's state cannot be loaded");
    }
}

void ck_apply_turn(ck_core *c)
{
    if (!c->root || c->failed || c->loading) return;
    if (QD_MUTANT(k8s, RESTORE_SKIPPED) && c->applied < c->root->checkpoint)
        c->applied = c->root->checkpoint;
    /* a leader's own are at hand though a checkpoint passed them */
    while (!c->failed && c->applied < c->root->index) {
        if (c->applied < c->root->checkpoint && !flight_of(c, c->applied + 1)) {
            if (waits_for_root(c)) return;
            load_state(c);
            return;
        }
        if (!next_entry(c)) return;
    }
    if (c->failed || c->told || !c->term || c->applied < c->root->index) return;
    c->told = 1;
    c->news = 1;
    c->config.lead(c->config.arg, c->term);
}

/* Nothing comes any more of what is loaded, and a newer root is known: who has the pages of that
 * one need not have those of the one before. */
static int overtaken(ck_core *c)
{
    return c->loading && c->root->checkpoint > c->load_checkpoint &&
           ck_due(c, c->load_heard + CK_STUCK_NS);
}

void ck_load_turn(ck_core *c)
{
    if (c->failed || (!c->loading && !c->reaching)) return;
    if (overtaken(c)) {
        ck_fetch_drop_load(c);
        load_state(c);
        if (c->failed) return;
    }
    ck_blob want[CK_GETS_AT_ONCE];
    while (c->nfetches < CK_GETS_AT_ONCE) {
        uint32_t n = c->config.load_want(c->config.arg, want, CK_GETS_AT_ONCE - c->nfetches);
        for (uint32_t i = 0; i < n; i++) ck_fetch_begin(c, &want[i], 0);
        if (n == 0) break;
    }
    if (c->nfetches == 0) load_ended(c, 0, NULL);
}

/* Whoever meets a missing object reads the root again: it may name others by now. If that does not
 * help, whatever else is written meanwhile, objects are lost. */
static void blob_missing(ck_core *c, const char *what)
{
    if (++c->missing > CK_MISSING_MAX) {
        ck_fail(c, what);
        return;
    }
    c->want_get = 1;
    c->get_at = c->now + (c->missing > 1 ? CK_S / 4 : 0);
}

void ck_blob_came(ck_core *c, ck_fetch *f, int32_t rc, const uint8_t *p, size_t n, const char *why)
{
    char text[CK_WHY], hex[65];
    ck_hash_text(&f->blob.hash, hex);
    if (rc == QD_E_NOTFOUND) {
        snprintf(text, sizeof text, "the object of %s, which the root names, is missing", hex);
        int load = f->index == 0;
        int state = c->loading;
        if (load) load_ended(c, QD_E_NOTFOUND, NULL);
        if (!load || state) blob_missing(c, text);
        return;
    }
    if (f->index) {
        ck_entry *e = c->root ? ck_root_entry(c->root, f->index) : NULL, *whole;
        if (!e || e->bytes || !ck_hash_same(&e->hash, &f->blob.hash)) return;
        if (rc == 0) rc = ck_entry_loaded(e, p, n, &whole, text);
        if (rc) {
            ck_fail(c, why ? why : text);
            return;
        }
        ck_root_entry_set(c->root, whole);
        c->missing = 0;
        c->again = 1;
        return;
    }
    if (rc == 0) rc = c->config.load_blob(c->config.arg, f->blob.kind, &f->blob.hash, p, n);
    if (rc) load_ended(c, rc, why);
    c->again = 1;
}
