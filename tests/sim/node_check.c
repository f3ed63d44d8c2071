/*
 * node_check.c: what must hold. Histories of a document are linearizable in the order of its
 * numbers: what an operation saw is there, and none that began after another's end saw less. At the
 * end all copies are the same, hold what was acknowledged, and nothing twice.
 */
#include "base/str.h"
#include "node_int.h"
#include <stdarg.h>

/* --- green ------------------------------------------------------------------------------------ */

static const char *missing(world *w, const char *fmt, ...) QD_PRINTF(2, 3);
static const char *missing(world *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(w->not_green, sizeof w->not_green, fmt, ap);
    va_end(ap);
    return w->not_green;
}

static proc *holder(world *w, qd_str node)
{
    for (int i = 0; i < NODES; i++)
        if (proc_serves(w->m[i].now) && qd_str_is(node, w->m[i].now->id)) return w->m[i].now;
    return NULL;
}

/* The copies of a shard: node, state. */
static const char *copies_of(const qd_shard_meta *r, char *out, size_t n)
{
    static const char *const states[] = {"unassigned", "initializing", "started", "relocating"};
    size_t at = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < r->ncopies && at < n; i++) {
        const qd_copy *c = &r->copies[i];
        at += (size_t)snprintf(out + at, n - at, "%s%.*s %s", i ? ", " : "", QD_STR_ARG(c->node),
                               states[c->state]);
    }
    return out;
}

static const char *shard_missing(world *w, const qd_state *s, const qd_index_meta *m, uint32_t i)
{
    const qd_shard_meta *r = qd_state_shard(s, m, i);
    if (!r) return missing(w, "shard %u has no record", i);
    if (r->nin_sync != r->ncopies) {
        char copies[160];
        return missing(w, "shard %u: %u copies, %u of them in sync: %s; term %llu", i, r->ncopies,
                       r->nin_sync, copies_of(r, copies, sizeof copies),
                       (unsigned long long)r->primary_term);
    }
    for (uint32_t k = 0; k < r->ncopies; k++) {
        const qd_copy *c = &r->copies[k];
        if (c->state != QD_SHARD_STARTED) {
            return missing(w, "shard %u: copy %u is in state %d, it failed %u times: %.*s", i, k,
                           (int)c->state, c->failures, QD_STR_ARG(c->failure));
        }
        if (!holder(w, c->node)) return missing(w, "shard %u: its node is not there", i);
    }
    return NULL;
}

const char *not_green(world *w)
{
    const char *what = NULL;
    uint32_t nodes = 0;
    for (int i = 0; i < MACHINES; i++) {
        const machine *m = &w->m[i];
        nodes += m->exists;
        if (m->exists && !(m->data ? proc_serves(m->now) : proc_takes_part(m->now)))
            return missing(w, "%s is not there", node_name(i));
    }
    qd_state *s = state_now(w);
    if (!s) return "no control node";
    const qd_index_meta *m = qd_state_index(s, QD_STR(INDEX));
    if (!m) what = "the index is not there";
    if (s->nnodes != nodes) what = missing(w, "the cluster has %u nodes", s->nnodes);
    for (uint32_t i = 0; m && i < m->shards && !what; i++) what = shard_missing(w, s, m, i);
    qd_state_unref(s);
    return what;
}

/* --- histories -------------------------------------------------------------------------------- */

static bool writes(const hop *h)
{
    return h->kind <= O_DELETE && h->state == S_OK && h->seq >= 0;
}

/* An operation that knows a number: it wrote it, or saw it. */
static bool sees(const hop *h)
{
    bool read = h->kind == O_GET && h->state == S_OK && h->found;
    bool refused = h->kind <= O_DELETE && h->state == S_CONFLICT && h->seq >= 0;
    return (read || refused) && h->seq >= 0;
}

/* May a delete of the document have happened above a number, before a time? */
static bool deleted_above(const world *w, int doc, int64_t seq, uint64_t end)
{
    for (uint32_t k = 1; k <= w->nops; k++) {
        const hop *x = &w->op[k];
        if (x->kind != O_DELETE || x->doc != doc || x->begin > end) continue;
        if ((x->state == S_OK && x->seq > seq) || x->state == S_UNKNOWN || x->state == S_OPEN)
            return true;
        if (x->state == S_OK && x->seq < 0) return true;
    }
    return false;
}

/* What was the value of the operation that has this number? -1: nobody knows */
static void check_value(world *w, uint32_t op, const hop *h)
{
    if (h->val < 0) return;
    if (h->val == 0 || h->val > w->nops) {
        fail(w, "operation %u saw the value %lld, which nobody wrote", op, (long long)h->val);
        return;
    }
    const hop *x = &w->op[h->val];
    if (x->kind > O_UPDATE || x->doc != h->doc || x->begin > h->end) {
        fail(w, "operation %u saw the value %lld, which was not written there by then", op,
             (long long)h->val);
    } else if (x->state == S_CONFLICT) {
        fail(w, "operation %u saw the value %lld, whose write was refused by a conflict", op,
             (long long)h->val);
    } else if (x->state == S_OK && x->seq != h->seq) {
        fail(w, "operation %u saw the value %lld at %lld, it was acknowledged at %lld", op,
             (long long)h->val, (long long)h->seq, (long long)x->seq);
    }
}

/* Have two operations one number because that of the lower term was lost? */
static bool replaced(const world *w, const hop *a, const hop *b)
{
    const hop *lost = a->term < b->term ? a : b;
    bool terms = a->term >= 0 && b->term >= 0;
    if (terms && a->term == b->term) return false;
    return async_may_be_lost(w, lost, UINT64_MAX) ||
           (!terms && async_may_be_lost(w, lost == a ? b : a, UINT64_MAX));
}

static void check_order(world *w, uint32_t op)
{
    const hop *h = &w->op[op];
    bool wrote = writes(h), saw = sees(h), none = h->kind == O_GET && h->state == S_OK && !h->found;
    if (!wrote && !saw && !none) return;
    if (saw) check_value(w, op, h);
    for (uint32_t k = 1; k <= w->nops && !w->failed; k++) {
        const hop *x = &w->op[k];
        if (k == op || x->doc != h->doc || (!writes(x) && !sees(x))) continue;
        if (wrote && writes(x) && x->seq == h->seq && !replaced(w, x, h)) {
            fail(w, "writes %u and %u were both acknowledged at %lld", k, op, (long long)h->seq);
        }
        bool less = none || (wrote ? h->seq <= x->seq : h->seq < x->seq);
        if (x->end >= h->begin || !less || async_may_be_lost(w, x, h->end)) continue;
        if (none) {
            if (!(x->kind == O_DELETE && writes(x)) && !deleted_above(w, h->doc, x->seq, h->end)) {
                fail(w, "get %u found nothing, operation %u had ended at %lld", op, k,
                     (long long)x->seq);
            }
        } else {
            fail(w, "%s %u of [%s] %s %lld after operation %u had ended at %lld",
                 wrote ? "write" : "get", op, doc_id(h->doc), wrote ? "took" : "saw",
                 (long long)h->seq, k, (long long)x->seq);
        }
    }
}

/* Versions of a document rise, as long as it is not deleted. */
static void check_version(world *w, uint32_t op)
{
    const hop *h = &w->op[op];
    bool wrote = writes(h) && h->kind != O_DELETE, saw = h->kind == O_GET && sees(h);
    if ((!wrote && !saw) || h->kind == O_AUTO || h->version < 1) return;
    for (uint32_t k = 1; k <= w->nops && !w->failed; k++) {
        const hop *x = &w->op[k];
        bool before = writes(x) ? x->kind != O_DELETE : x->kind == O_GET && sees(x);
        if (k == op || x->kind == O_AUTO || x->doc != h->doc || !before || x->end >= h->begin ||
            x->version < 1)
            continue;
        bool rises = wrote ? h->version > x->version : h->version >= x->version;
        bool same = h->version == x->version && h->seq != x->seq;
        if ((!rises || same) && !deleted_above(w, h->doc, x->seq, h->end) &&
            !async_may_be_lost(w, x, h->end)) {
            fail(
                w,
                "%s %u of [%s] has version %lld at %lld, operation %u had had version %lld at %lld",
                wrote ? "write" : "get", op, doc_id(h->doc), (long long)h->version,
                (long long)h->seq, k, (long long)x->version, (long long)x->seq);
        }
    }
}

/* A number of a shard names one operation for ever: everybody saw the same one there. */
typedef struct number {
    int64_t term, val;
    uint32_t op;
    uint8_t doc;
} number;
#define NUMBERS 8192

static void number_seen(world *w, number *of, int64_t seq, number n)
{
    if (seq < 0 || seq >= NUMBERS || w->failed) return;
    number *x = &of[seq];
    if (!x->op) {
        *x = n;
        return;
    }
    bool terms = x->term < 0 || n.term < 0 || x->term == n.term;
    bool values = x->val < 0 || n.val < 0 || x->val == n.val;
    if (x->doc != n.doc || !terms || !values) {
        hop a = {.doc = x->doc, .seq = seq, .term = x->term}, b = a;
        a.begin = w->op[x->op].begin, a.end = w->op[x->op].end;
        b.doc = n.doc, b.term = n.term, b.begin = w->op[n.op].begin, b.end = w->op[n.op].end;
        if (replaced(w, &a, &b)) {
            if (n.term > x->term) *x = n;
            return;
        }
        fail(w,
             "operations %u and %u saw two operations at %lld: [%s] term %lld value %lld, [%s] "
             "term %lld value %lld",
             x->op, n.op, (long long)seq, doc_id(x->doc), (long long)x->term, (long long)x->val,
             doc_id(n.doc), (long long)n.term, (long long)n.val);
    }
    if (x->term < 0) x->term = n.term;
    if (x->val < 0) x->val = n.val;
}

static void check_numbers(world *w)
{
    static number all[2][NUMBERS];
    memset(all, 0, sizeof all);
    for (uint32_t k = 1; k <= w->nops; k++) {
        const hop *h = &w->op[k];
        if (h->kind == O_AUTO || (!writes(h) && !sees(h))) continue;
        bool wrote = writes(h);
        int64_t val = !wrote ? h->val : h->kind == O_DELETE ? 0 : (int64_t)k;
        number_seen(w, all[w->shard_of[h->doc]], h->seq, (number){h->term, val, k, h->doc});
    }
    for (uint32_t i = 0; i < w->nshown; i++) {
        const shown *s = &w->shown[i];
        number_seen(w, all[w->shard_of[s->doc]], s->seq, (number){-1, s->val, s->op, s->doc});
    }
}

/* A compare-and-set follows what it was made on. */
static void check_cas(world *w, uint32_t op)
{
    const hop *h = &w->op[op];
    if (h->kind != O_CAS || !writes(h)) return;
    for (uint32_t k = 1; k <= w->nops; k++) {
        const hop *x = &w->op[k];
        if (k == op || x->doc != h->doc || !writes(x)) continue;
        if (x->seq > h->pred && x->seq < h->seq && !async_may_be_lost(w, x, UINT64_MAX) &&
            !async_may_be_lost(w, h, UINT64_MAX)) {
            fail(w, "compare-and-set %u at %lld was made on %lld, write %u is at %lld", op,
                 (long long)h->seq, (long long)h->pred, k, (long long)x->seq);
        }
    }
}

/* One whose outcome its client does not know, and that was seen. */
static void check_cas_seen(world *w, uint32_t op)
{
    const hop *h = &w->op[op];
    if (!sees(h) || h->val <= 0 || h->val > w->nops) return;
    const hop *cas = &w->op[h->val];
    if (cas->kind != O_CAS || cas->state == S_OK || cas->state == S_CONFLICT) return;
    if (w->async) return; /* a crash gives numbers anew */
    for (uint32_t k = 1; k <= w->nops && !w->failed; k++) {
        const hop *x = &w->op[k];
        if (!writes(x) || x->kind == O_AUTO || x->doc != h->doc) continue;
        if (x->seq > cas->pred && x->seq < h->seq) {
            fail(w,
                 "%u saw compare-and-set %lld at %lld, which was made on %lld, write %u is at %lld",
                 op, (long long)h->val, (long long)h->seq, (long long)cas->pred, k,
                 (long long)x->seq);
        }
    }
}

/* What was gone does not come back, with durability: request: a number that a get found nothing
 * after is seen no more. */
static void check_gone(world *w, uint32_t op)
{
    static bool before[NUMBERS];
    const hop *h = &w->op[op];
    if (h->kind != O_GET || h->state != S_OK || h->found) return;
    if (w->async) return; /* a crash gives numbers anew, and takes deletions back */
    memset(before, 0, sizeof before);
    for (uint32_t k = 1; k <= w->nops; k++) {
        const hop *x = &w->op[k];
        bool there = (writes(x) && x->kind != O_DELETE && x->kind != O_AUTO) || sees(x);
        if (there && x->doc == h->doc && x->end < h->begin && x->seq < NUMBERS)
            before[x->seq] = true;
    }
    for (uint32_t k = 1; k <= w->nops && !w->failed; k++) {
        const hop *x = &w->op[k];
        if (x->doc != h->doc || !sees(x) || x->begin <= h->end || x->seq >= NUMBERS) continue;
        if (before[x->seq]) {
            fail(w, "get %u of [%s] found nothing, operation %u sees it again at %lld", op,
                 doc_id(h->doc), k, (long long)x->seq);
        }
    }
}

/* --- searches --------------------------------------------------------------------------------- */

static void check_shown(world *w, const shown *s, const int64_t *last)
{
    hop h = {.doc = s->doc, .seq = s->seq, .term = -1, .val = s->val};
    h.begin = w->op[s->op].begin;
    h.end = w->op[s->op].end;
    check_value(w, s->op, &h);
    if (!w->failed && s->seq > last[s->doc] && !async_may_be_lost(w, &h, UINT64_MAX)) {
        fail(w, "search %u showed [%s] at %lld, the last operation on it is at %lld", s->op,
             doc_id(s->doc), (long long)s->seq, (long long)last[s->doc]);
    }
}

/* After an answered refresh everybody shows what was acknowledged before it. */
static void check_refreshed(world *w, uint32_t op)
{
    const hop *h = &w->op[op];
    uint64_t refreshed = 0;
    if (h->kind != O_SEARCH || h->state != S_OK || !h->calm) return;
    for (uint32_t k = 1; k <= w->nops; k++) {
        const hop *x = &w->op[k];
        if (x->kind == O_REFRESH && x->state == S_OK && x->end < h->begin && x->begin > refreshed)
            refreshed = x->begin;
    }
    for (uint32_t k = 1; k <= w->nops && !w->failed; k++) {
        const hop *x = &w->op[k];
        if (!writes(x) || x->kind == O_AUTO || x->kind == O_DELETE || x->end >= refreshed) continue;
        int64_t seq = -1;
        for (uint32_t i = 0; i < w->nshown; i++)
            if (w->shown[i].op == op && w->shown[i].doc == x->doc) seq = w->shown[i].seq;
        bool old = seq < 0 ? !deleted_above(w, x->doc, x->seq, h->end) : seq < x->seq;
        if (old && !async_may_be_lost(w, x, h->end)) {
            fail(w, "search %u shows [%s] at %lld, write %u at %lld was there before a refresh", op,
                 doc_id(x->doc), (long long)seq, k, (long long)x->seq);
        }
    }
}

/* --- copies ----------------------------------------------------------------------------------- */

typedef struct held {
    bool found;
    int64_t seq, term, version, val;
} held;

/* What a copy says of a document. */
static bool held_get(world *w, proc *p, const char *uuid, uint32_t shard, qd_str id, held *out)
{
    qd_err err;
    qd_arena arena;
    qd_engine *e;
    qd_engine_doc d;
    qd_shard *s = qd_shards_get(p->a.shards, uuid, shard);
    if (!s) return false;
    qd_err_init(&err);
    qd_arena_init(&arena, NULL, 0);
    int rc = qd_shard_enter(s, 5000, &e, &err);
    if (!rc) {
        rc = qd_engine_get(e, id, false, true, &arena, &d, &err);
        if (!rc) {
            char text[200];
            snprintf(text, sizeof text, "%.*s", QD_STR_ARG(d.source));
            *out =
                (held){d.found, d.found ? d.seq_no : -1, d.found ? (int64_t)d.primary_term : -1,
                       d.found ? (int64_t)d.version : -1, d.found ? number_of(text, "v", -1) : -1};
        }
        qd_shard_leave(s);
    }
    if (rc) fail(w, "the copy on %s does not answer: %s", p->name, qd_err_reason(&err));
    qd_shard_unref(s);
    qd_arena_fini(&arena);
    qd_err_fini(&err);
    return !rc;
}

static bool same(const held *a, const held *b)
{
    return a->found == b->found && a->seq == b->seq && a->term == b->term &&
           a->version == b->version && a->val == b->val;
}

/* All copies say the same of a document; *out: what. */
static void check_copies(world *w, const qd_state *s, const char *id, held *out)
{
    const qd_index_meta *m = qd_state_index(s, QD_STR(INDEX));
    uint32_t shard = qd_index_meta_route(m, qd_str_c(id), (qd_str){NULL, 0});
    const qd_shard_meta *r = qd_state_shard(s, m, shard);
    bool first = true;
    proc *of = NULL;
    for (uint32_t k = 0; k < r->ncopies && !w->failed; k++) {
        proc *p = holder(w, r->copies[k].node);
        held h = {0};
        if (!p || !held_get(w, p, m->uuid, shard, qd_str_c(id), &h)) {
            if (!w->failed) fail(w, "a copy has gone");
            return;
        }
        if (first) {
            *out = h;
            of = p;
            first = false;
        } else if (!same(out, &h)) {
            fail(w,
                 "copies of [%s] differ: on %s %lld (term %lld, version %lld, value %lld), on %s "
                 "%lld (%lld, %lld, %lld)",
                 id, of->name, (long long)out->seq, (long long)out->term, (long long)out->version,
                 (long long)out->val, p->name, (long long)h.seq, (long long)h.term,
                 (long long)h.version, (long long)h.val);
        }
    }
}

/* What the history says that the document must be. */
static void check_last(world *w, int doc, const held *h, int64_t *last)
{
    int64_t most = -1;
    uint32_t op = 0;
    for (uint32_t k = 1; k <= w->nops; k++) {
        const hop *x = &w->op[k];
        if (x->doc != doc || x->kind == O_AUTO || !writes(x)) continue;
        bool lost = h->found && (h->seq < x->seq || (h->seq == x->seq && h->term != x->term));
        if (async_may_be_lost(w, x, UINT64_MAX)) {
            w->r->async_lost += lost;
        } else if (x->seq > most) {
            most = x->seq;
            op = k;
        }
    }
    *last = h->found ? h->seq : INT64_MAX;
    if (h->found && h->seq < most) {
        fail(w, "write %u of [%s], acknowledged at %lld, is lost: it is at %lld", op, doc_id(doc),
             (long long)most, (long long)h->seq);
    } else if (!h->found && op && w->op[op].kind != O_DELETE &&
               !deleted_above(w, doc, most, UINT64_MAX)) {
        fail(w, "write %u of [%s], acknowledged at %lld, is lost: nothing is there", op,
             doc_id(doc), (long long)most);
    } else if (h->found && h->seq == most && w->op[op].kind == O_DELETE) {
        fail(w, "delete %u of [%s] at %lld is not there", op, doc_id(doc), (long long)most);
    } else if (h->found) {
        hop x = {.doc = (uint8_t)doc, .seq = h->seq, .val = h->val, .end = UINT64_MAX};
        check_value(w, 0, &x);
    }
}

/* The history is one chain: terms do not fall along its numbers, and what is there has all before
 * it that was acknowledged in its term, or a later one. */
static void check_chain(world *w, const held h[DOCS])
{
    for (int a = 0; a < DOCS; a++) {
        for (int b = 0; b < DOCS && !w->failed; b++) {
            if (!h[a].found || !h[b].found || w->shard_of[a] != w->shard_of[b]) continue;
            if (h[a].seq >= h[b].seq || h[a].term <= h[b].term) continue;
            fail(w, "[%s] is of term %lld at %lld, [%s] of term %lld at %lld", doc_id(a),
                 (long long)h[a].term, (long long)h[a].seq, doc_id(b), (long long)h[b].term,
                 (long long)h[b].seq);
        }
    }
    for (uint32_t k = 1; k <= w->nops && w->async && !w->failed; k++) {
        const hop *x = &w->op[k];
        if (!writes(x) || x->kind == O_AUTO) continue;
        const held *now = &h[x->doc];
        if (!now->found || now->seq > x->seq || (now->seq == x->seq && now->term == x->term))
            continue;
        for (int d = 0; d < DOCS && !w->failed; d++) {
            if (!h[d].found || w->shard_of[d] != w->shard_of[x->doc]) continue;
            if (h[d].seq <= x->seq || h[d].term > x->term) continue;
            fail(w,
                 "write %u of [%s] at %lld, term %lld, is lost, and [%s] at %lld, term %lld, is "
                 "there",
                 k, doc_id(x->doc), (long long)x->seq, (long long)x->term, doc_id(d),
                 (long long)h[d].seq, (long long)h[d].term);
        }
    }
}

typedef struct ending {
    world *w;
    bool done;
} ending;

/* The last refresh, and what an own id became. */
static void ending_run(void *arg)
{
    ending *x = arg;
    world *w = x->w;
    /* a node that stood still may be green by its old session, and join anew when that ends */
    for (int i = 0, rest = 0; i < 200 && rest < 16 && !w->failed; i++) {
        rest = not_green(w) ? 0 : rest + 1;
        qd_env_sleep_ns(w->env, ms(500));
    }
    for (int i = 0; i < 20 && !w->failed; i++) {
        answer a;
        ask(w, (int)rnd(w, NODES), "POST", "/" INDEX "/_refresh", NULL, 60000, &a);
        const char *text = a.body.p ? a.body.p : "";
        int64_t total = number_of(text, "total", 0), good = number_of(text, "successful", -1);
        bool ok = a.status == 200 && total == good && total > 0;
        trace(w, "last refresh: %d %.200s", a.status, text);
        answer_fini(&a);
        if (ok) break;
        qd_env_sleep_ns(w->env, ms(500));
        if (i == 19) fail(w, "the last refresh does not reach every copy: %.200s", text);
    }
    held h[DOCS];
    int64_t last[DOCS];
    qd_state *s = state_now(w);
    if (!s) fail(w, "no control node is there at the end");
    for (int d = 0; d < DOCS && !w->failed; d++) {
        check_copies(w, s, doc_id(d), &h[d]);
        if (!w->failed) check_last(w, d, &h[d], &last[d]);
    }
    if (!w->failed) check_chain(w, h);
    for (uint32_t k = 1; k <= w->nops && !w->failed; k++) {
        const hop *y = &w->op[k];
        held own = {0};
        if (y->kind != O_AUTO || y->state != S_OK) continue;
        check_copies(w, s, y->id, &own);
        if (!own.found && async_may_be_lost(w, y, UINT64_MAX)) {
            w->r->async_lost++;
            continue;
        }
        if (!w->failed && (!own.found || own.val != (int64_t)k || own.seq != y->seq)) {
            fail(w, "creation %u of [%s], acknowledged at %lld, is lost: %s at %lld, value %lld", k,
                 y->id, (long long)y->seq, own.found ? "found" : "nothing", (long long)own.seq,
                 (long long)own.val);
        }
    }
    qd_state_unref(s);
    for (uint32_t i = 0; i < w->nshown && !w->failed; i++) check_shown(w, &w->shown[i], last);
    x->done = true;
    w->clients--;
}

static bool until_done(void *arg)
{
    const ending *x = arg;
    return !x->done && !x->w->failed;
}

static bool until_left(void *arg)
{
    const world *w = arg;
    return w->clients > 0;
}

void check_end(world *w)
{
    ending x = {.w = w};
    qd_state *s = state_now(w);
    const qd_index_meta *m = s ? qd_state_index(s, QD_STR(INDEX)) : NULL;
    for (int d = 0; m && d < DOCS; d++) {
        w->shard_of[d] = (uint8_t)qd_index_meta_route(m, qd_str_c(doc_id(d)), (qd_str){NULL, 0});
    }
    qd_state_unref(s);
    for (uint32_t k = 1; k <= w->nops && !w->failed; k++) {
        check_order(w, k);
        if (!w->failed) check_cas(w, k);
        if (!w->failed) check_cas_seen(w, k);
        if (!w->failed) check_gone(w, k);
        if (!w->failed) check_version(w, k);
        if (!w->failed) check_refreshed(w, k);
    }
    if (!w->failed) check_numbers(w);
    if (!w->failed) upgrade_check(w);
    if (!w->failed) migrate_check(w);
    if (w->failed) return;
    world_join(w);
    world_thread(w, ending_run, &x);
    (void)qd_sim_run_while(w->sim, until_done, &x, ms(200000));
    if (!x.done) fail(w, "the last refresh does not end");
    while (w->clients && qd_sim_run_while(w->sim, until_left, w, ms(60000))) {}
}
