/*
 * copies_world.h: what copies_model.h plays with: three copies on disks that lose power, what is
 * true, and writing.
 */
#ifndef QD_TESTS_COPIES_WORLD_H
#define QD_TESTS_COPIES_WORLD_H

#include "base/hash.h"
#include "engine/mutants.h"
#include "engine/replica.h"
#include "unit/engine/engine_model.h"
#include <limits.h>
#include <stdarg.h>

enum { COPIES = 3, C_IDS = 12, SEQ_MAX = 4096, TERM_MAX = 64, FLIGHT_MAX = 48 };

typedef struct truth {
    uint64_t sum; /* of the record; 0: nothing known */
    int id, value;
    bool del, noop, content; /* content: id, value, del are known */
} truth;

typedef struct copy {
    int n;
    store_crash *disk;
    qd_store *s;
    qd_engine *e; /* NULL: down */
    bool in_sync, tracked;
    uint64_t term;  /* it answered with */
    int64_t lease;  /* recovery under way: from here on; -1: none */
    int64_t global; /* of this life */
} copy;

typedef struct flying {
    int64_t seq;
    uint64_t term;
    qd_buf bytes;
    uint8_t got, durable; /* bits of copies */
} flying;

typedef struct world {
    qd_prng r;
    uint64_t seed, term;
    copy c[COPIES];
    int primary; /* -1: none */
    bool active; /* resync confirmed */
    int stale;   /* an old primary that does not know yet; -1: none */
    uint64_t stale_term;
    flying flight[FLIGHT_MAX];
    int nflight;
    truth truth[SEQ_MAX];
    uint64_t named[SEQ_MAX][TERM_MAX]; /* sum of the operation of this number and term */
    int64_t trim_above[TERM_MAX];      /* confirmed in that term; -2: not */
    int64_t acked[C_IDS];              /* number of the newest acknowledged operation */
    int64_t last_delete[C_IDS];        /* highest number of any deletion ever sent */
    qd_publication *held;
    int held_by;
    bool armed, bad;
    char why[400];
    struct {
        uint32_t acks, promotions, rollbacks, crashes, installs, by_ops, by_files, trims, stales,
            flips, waited;
    } did;
} world;

static inline void bad(world *w, const char *fmt, ...)
{
    va_list ap;
    if (w->bad) return;
    w->bad = true;
    va_start(ap, fmt);
    vsnprintf(w->why, sizeof w->why, fmt, ap);
    va_end(ap);
}

static inline bool chance(world *w, uint32_t percent)
{
    return qd_prng_below(&w->r, 100) < percent;
}

/* --- truth ------------------------------------------------------------------------------------ */

static inline uint64_t sum_of(qd_str raw, const qd_translog_op *op)
{
    uint64_t s = qd_xxh3(raw.p + 16, 64 - 16 + op->id.n + op->routing.n + op->source.n);
    return s ? s : 1;
}

/* (number, term) names one operation for ever. */
static inline void named(world *w, uint64_t seq, uint64_t term, uint64_t sum)
{
    if (seq >= SEQ_MAX || term >= TERM_MAX) return;
    if (w->named[seq][term] && w->named[seq][term] != sum) {
        bad(w, "operation %llu of term %llu is two", (unsigned long long)seq,
            (unsigned long long)term);
    }
    w->named[seq][term] = sum;
}

static inline truth parse(const qd_translog_op *op, uint64_t sum)
{
    truth t = {.sum = sum, .content = true, .noop = op->type == QD_TRANSLOG_NOOP};
    t.del = op->type == QD_TRANSLOG_DELETE;
    t.id = op->id.n > 2 ? atoi(op->id.p + 2) : -1;
    t.value = op->type == QD_TRANSLOG_INDEX ? atoi(op->source.p + 9) : 0;
    return t;
}

/* Somebody was told of it: it stays so. */
static inline void settled(world *w, int64_t seq, const truth *t, const char *who)
{
    truth *was = &w->truth[seq];
    if (seq >= SEQ_MAX) return;
    if (was->sum && t->sum && was->sum != t->sum) {
        bad(w, "%s: operation %lld is not the one that was settled", who, (long long)seq);
    }
    if (was->content && t->content && !t->noop && !was->noop &&
        (was->id != t->id || was->del != t->del || was->value != t->value)) {
        bad(w, "%s: operation %lld on id%d is not what was settled, on id%d", who, (long long)seq,
            t->id, was->id);
    }
    if (was->content && t->content && was->noop != t->noop) {
        bad(w, "%s: operation %lld became a no-op or none", who, (long long)seq);
    }
    uint64_t sum = t->sum ? t->sum : was->sum;
    *was = *t;
    was->sum = sum;
}

/* What searches see on a copy has happened. */
static inline void check_shown(world *w, copy *c)
{
    qd_engine_checkpoints at;
    qd_engine_checkpoints_get(c->e, &at);
    if (at.shown > at.global) {
        bad(w, "copy %d shows up to %lld, its checkpoint is %lld", c->n, (long long)at.shown,
            (long long)at.global);
    }
    for (int id = 0; id < C_IDS && !w->bad; id++) {
        qd_engine_doc doc;
        int value;
        if (store_crash_is_off(c->disk)) return;
        if (!get(c->e, id, false, &doc, &value)) continue;
        if (doc.seq_no > at.shown) bad(w, "copy %d shows a document above its number", c->n);
        truth t = {.id = id, .value = value, .content = true};
        if (doc.seq_no >= 0 && doc.seq_no < SEQ_MAX) settled(w, doc.seq_no, &t, "search");
    }
}

/* --- a copy ----------------------------------------------------------------------------------- */

static inline qd_engine_config copy_config(copy *c, uint64_t term)
{
    qd_engine_config k = config(c->s);
    k.slots = 1;
    k.mode = QD_ENGINE_REPLICA;
    k.replicated = true;
    k.primary_term = term;
    return k;
}

static inline void close_copy(world *w, copy *c)
{
    if (w->held && w->held_by == c->n) {
        qd_publication_unref(w->held);
        w->held = NULL;
    }
    if (c->e) qd_engine_close(c->e, false);
    if (c->s) qd_store_close(c->s);
    c->e = NULL;
    c->s = NULL;
}

static inline int in_sync_up(world *w)
{
    int n = 0;
    for (int i = 0; i < COPIES; i++) n += w->c[i].in_sync && w->c[i].e;
    return n;
}

/* The power of a copy fails. The leader takes it out of the in-sync set if another one is left. */
static inline void crash(world *w, copy *c)
{
    w->did.crashes++;
    close_copy(w, c);
    if (chance(w, 80)) {
        store_crash_crash(c->disk, w->seed * 31 + w->did.crashes);
    } else {
        store_crash_kill(c->disk);
    }
    c->tracked = false;
    c->lease = -1;
    if (w->stale == c->n) w->stale = -1;
    if (w->primary == c->n) {
        w->primary = -1;
        w->active = false;
    } else if (w->primary >= 0 && c->in_sync) {
        c->in_sync = false;
    }
    for (int i = 0; i < w->nflight; i++) {
        w->flight[i].got &= (uint8_t) ~(1u << c->n);
        w->flight[i].durable &= (uint8_t) ~(1u << c->n);
    }
}

/* A call on c returned rc: false when its disk is off (it crashes) or the result is a defect. */
static inline bool fine(world *w, copy *c, int rc, qd_err *err, const char *what)
{
    if (rc == 0) return true;
    if (!c->e || !store_crash_is_off(c->disk))
        bad(w, "%s on copy %d: %s", what, c->n, qd_err_reason(err));
    qd_err_fini(err);
    if (c->e) crash(w, c);
    return false;
}

static inline bool start(world *w, copy *c)
{
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(store_crash_open(c->disk, &c->s, &err), 0);
    qd_engine_config k = copy_config(c, 1);
    int rc = qd_engine_open(&k, &c->e, &err);
    if (rc) {
        c->e = NULL;
        bad(w, "opening copy %d: %s", c->n, qd_err_reason(&err));
        qd_err_fini(&err);
        return false;
    }
    if (qd_engine_primary_term(c->e) < c->term) {
        bad(w, "copy %d forgot term %llu", c->n, (unsigned long long)c->term);
    }
    qd_engine_checkpoints at;
    qd_engine_checkpoints_get(c->e, &at);
    c->global = at.global;
    check_shown(w, c);
    return true;
}

/* --- writing ---------------------------------------------------------------------------------- */

static inline void land(world *w, int at)
{
    qd_buf_fini(&w->flight[at].bytes);
    w->flight[at] = w->flight[--w->nflight];
}

static inline void clear_flight(world *w)
{
    while (w->nflight) land(w, 0);
}

/* Told to the client: on every in-sync copy, durably. */
static inline void acknowledge(world *w, flying *f)
{
    qd_translog_op op;
    qd_str in = qd_buf_view(&f->bytes), raw;
    assert_int_equal(qd_op_next(&in, &op, &raw, NULL), 0);
    truth t = parse(&op, sum_of(raw, &op));
    settled(w, f->seq, &t, "acknowledgement");
    if (!t.noop && w->acked[t.id] < f->seq) w->acked[t.id] = f->seq;
    w->did.acks++;
}

static inline uint8_t in_sync_bits(world *w)
{
    uint8_t bits = 0;
    for (int i = 0; i < COPIES; i++) bits |= (uint8_t)(w->c[i].in_sync << i);
    return bits;
}

/* A copy is told the checkpoint, and now and then an older one that was under way for long. */
static inline void know(world *w, copy *c, int64_t global)
{
    qd_engine_checkpoints at;
    qd_engine_global_checkpoint_set(c->e, global);
    if (chance(w, 20)) qd_engine_global_checkpoint_set(c->e, global - 3);
    qd_engine_checkpoints_get(c->e, &at);
    if (at.global < c->global || (c->n == w->primary && at.global < global)) {
        bad(w, "the global checkpoint fell from %lld to %lld", (long long)c->global,
            (long long)at.global);
    }
    c->global = at.global;
}

/* What the copies have by now becomes acknowledgements and a checkpoint. */
static inline void advance(world *w)
{
    if (w->primary < 0 || !w->active || w->bad) return;
    copy *p = &w->c[w->primary];
    qd_engine_checkpoints at;
    int64_t global = INT64_MAX;
    uint8_t bits = in_sync_bits(w);
    for (int i = 0; i < COPIES; i++) {
        if (!w->c[i].in_sync) continue;
        if (!w->c[i].e) return;
        qd_engine_checkpoints_get(w->c[i].e, &at);
        if (at.persisted < global) global = at.persisted;
    }
    for (int i = w->nflight; i-- > 0;) {
        flying *f = &w->flight[i];
        uint8_t wanted = bits;
        for (int k = 0; k < COPIES; k++) wanted |= (uint8_t)(w->c[k].tracked << k);
        if (f->seq <= global || (f->durable & bits) == bits) acknowledge(w, f);
        if ((f->durable & wanted) == wanted) land(w, i);
    }
    know(w, p, global);
    for (int i = 0; i < COPIES; i++) {
        copy *c = &w->c[i];
        if (c == p || !c->e || !(c->in_sync || c->tracked) || !chance(w, 50)) continue;
        know(w, c, global);
        qd_err err;
        qd_err_init(&err);
        if (chance(w, 30)) {
            (void)fine(w, c, qd_engine_global_checkpoint_sync(c->e, &err), &err, "checkpoint");
        }
    }
}

static inline void synced(world *w, copy *c)
{
    for (int i = 0; i < w->nflight; i++) {
        flying *f = &w->flight[i];
        f->durable |= f->got & (uint8_t)(1u << c->n);
    }
}

/* Sends one operation to one copy. */
static inline void deliver(world *w)
{
    if (w->nflight == 0 || w->primary < 0 || !w->active) return;
    flying *f = &w->flight[qd_prng_below(&w->r, (uint64_t)w->nflight)];
    copy *c = &w->c[qd_prng_below(&w->r, COPIES)];
    qd_translog_location at;
    qd_err err;
    qd_err_init(&err);
    if (!c->e) return;
    int rc = 0;
    if (c->n != w->primary) {
        if (!c->in_sync && !c->tracked) return;
        rc = qd_engine_replicate(c->e, w->term, qd_buf_view(&f->bytes), NULL, &at, &err);
        if (!fine(w, c, rc, &err, "replicate")) return;
        f->got |= (uint8_t)(1u << c->n);
        if (chance(w, 60))
            rc = qd_engine_sync(c->e, &at, &err);
        else
            return;
    } else {
        rc = qd_engine_sync_all(c->e, &err);
    }
    if (fine(w, c, rc, &err, "sync")) synced(w, c);
    advance(w);
}

static inline int put(world *w, qd_engine *e, qd_buf *bytes, qd_engine_result *r, qd_err *err)
{
    char name[16], source[64];
    int id = (int)qd_prng_below(&w->r, C_IDS), value = (int)qd_prng_below(&w->r, 1000000);
    bool del = chance(w, 20);
    int n = snprintf(name, sizeof name, "id%d", id),
        m = chance(w, 5) ? snprintf(source, sizeof source, "bad")
                         : snprintf(source, sizeof source, "{\"value\":%d}", value);
    qd_engine_op op = {
        .delete = del,
        .id = {name, (size_t)n},
        .source = {source, (size_t)m},
        .version = -1,
        .if_seq_no = QD_SEQ_NO_UNASSIGNED,
        .auto_id_ms = -1,
        .encoded = bytes,
    };
    int rc = qd_engine_apply(e, 0, &op, r, err);
    if (!rc && del && r->seq_no > w->last_delete[id]) w->last_delete[id] = r->seq_no;
    return rc;
}

/* A primary takes a write; what it ships is what it logged. */
static inline bool apply(world *w, copy *p, qd_buf *bytes, qd_engine_result *r)
{
    qd_err err;
    qd_err_init(&err);
    qd_buf_init(bytes, NULL, 1 << 20);
    int rc = put(w, p->e, bytes, r, &err);
    if (rc == QD_E_DOC_PARSING && r->seq_no < 0) { /* refused before it took a number */
        qd_err_fini(&err);
        qd_buf_fini(bytes);
        return false;
    }
    if (!fine(w, p, rc, &err, "write")) {
        qd_buf_fini(bytes);
        return false;
    }
    qd_translog_op op;
    qd_str in = qd_buf_view(bytes), raw;
    if (qd_op_next(&in, &op, &raw, NULL)) {
        bad(w, "what a primary encodes cannot be read");
    } else {
        named(w, op.seq_no, op.primary_term, sum_of(raw, &op));
    }
    if (w->bad) qd_buf_fini(bytes);
    return !w->bad;
}

static inline void write_one(world *w)
{
    qd_engine_result r;
    if (w->primary < 0 || !w->active || w->nflight == FLIGHT_MAX) return;
    flying *f = &w->flight[w->nflight];
    *f = (flying){.term = w->term};
    copy *p = &w->c[w->primary];
    if (!apply(w, p, &f->bytes, &r)) return;
    f->seq = r.seq_no;
    f->got = (uint8_t)(1u << p->n);
    w->nflight++;
    if (f->seq >= SEQ_MAX - 64) w->active = false; /* enough */
}

/* A primary that was replaced without knowing it writes on: nobody may accept both. */
static inline void stale_write(world *w)
{
    if (w->stale < 0) return;
    copy *p = &w->c[w->stale];
    qd_buf bytes;
    qd_engine_result r;
    qd_translog_location at;
    if (!p->e || qd_engine_mode_get(p->e) != QD_ENGINE_PRIMARY || !apply(w, p, &bytes, &r)) return;
    w->did.stales++;
    copy *c = &w->c[qd_prng_below(&w->r, COPIES)];
    qd_err err;
    qd_err_init(&err);
    if (c != p && c->n != w->primary && c->e) {
        int rc = qd_engine_replicate(c->e, w->stale_term, qd_buf_view(&bytes), NULL, &at, &err);
        if (!rc && c->term > w->stale_term) {
            bad(w, "copy %d took an operation of term %llu, it is in term %llu", c->n,
                (unsigned long long)w->stale_term, (unsigned long long)c->term);
        }
        if (rc != QD_E_TERM_OLD && rc != QD_E_STATE) (void)fine(w, c, rc, &err, "stale write");
    }
    qd_err_fini(&err);
    qd_buf_fini(&bytes);
}

#endif
