/*
 * consensus_raft.c: the engine: libraft 0.15 with one voter. What is done about its traps:
 *
 * - entries are padded by the caller, checked here, proposed one at a time (n = 1)
 * - auto-recovery is off: a damaged log refuses to open instead of losing its end
 * - apply never returns anything but 0, and a failing state stops the engine
 * - a failed append is the end: the outcome of everything under way is unknown, nothing is proposed
 *   any more, the log is read again at the next start. libraft never hears of it: it would go on
 *   with freed memory
 * - no port is opened: the transport has no peers
 * - a version 3 state machine needs io.version 2, which raft_uv_init does not set
 * - term and vote have no checksum, and damage in an open segment is to it the log's end: a witness
 * of ours is asked before libraft reads, and written ahead of it (witness.h)
 *
 * More than one voter is refused until the engine's guard against commits of old terms is there
 * (DESIGN of members): cr_consensus_sole says whether the shortcut for reads holds.
 */
#include "consensus.h"
#include "witness.h"
#include <errno.h>
#include <raft.h>
#include <raft/uv.h>

#define ADDRESS "0"

typedef struct transport {
    struct raft_uv_transport raft;
    uv_timer_t handle; /* never started; its close makes raft's asynchronous */
    raft_uv_transport_close_cb closed;
} transport;

struct cr_consensus {
    cr_consensus_config config;
    struct raft_io io;
    struct raft_fsm fsm;
    struct raft raft;
    transport transport;
    uv_prepare_t watcher; /* looks for changes of leadership once a turn */
    uint64_t term;        /* that we lead, as last told; 0: none */
    int failed;
    void *snapshot;
    uint32_t threshold; /* entries between snapshots, as configured */
    int soon, closing;
    struct request *requests; /* under way */
    cr_witness witness;
    int (*append)(struct raft_io *io, struct raft_io_append *req, const struct raft_entry *entries,
                  unsigned n, raft_io_append_cb cb);
    int (*set_term)(struct raft_io *io, raft_term term);
    int (*set_vote)(struct raft_io *io, raft_id id);
    int (*snapshot_put)(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *req,
                        const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb);
    void (*io_close)(struct raft_io *io, raft_io_close_cb cb);
    raft_io_close_cb io_closed; /* libraft's; NULL: it was called */
    uv_timer_t linger;
    void (*closed)(void *arg);
    void *closed_arg;
};

typedef struct request {
    struct raft_apply raft; /* first */
    cr_proposal *proposal;  /* NULL: has ended already */
    cr_consensus *owner;
    struct request *next, *previous;
} request;

/* A snapshot of libraft's on its way to the disk. */
typedef struct put {
    struct raft_io_snapshot_put raft; /* first */
    struct raft_io_snapshot_put *theirs;
    raft_io_snapshot_put_cb done;
    cr_consensus *owner;
    uint64_t index;
} put;

/* An append of libraft's on its way through us. */
typedef struct append {
    struct raft_io_append raft; /* first */
    struct raft_io_append *theirs;
    raft_io_append_cb done;
    cr_consensus *owner;
    uint64_t last; /* index of its last entry */
} append;

void *cr_consensus_alloc(size_t n)
{
    return raft_malloc(n);
}

void cr_consensus_free(void *p)
{
    raft_free(p);
}

/* --- transport: nobody to talk to --- */

static int transport_init(struct raft_uv_transport *t, raft_id id, const char *address)
{
    (void)t;
    (void)id;
    (void)address;
    return 0;
}

static int transport_listen(struct raft_uv_transport *t, raft_uv_accept_cb cb)
{
    (void)t;
    (void)cb;
    return 0;
}

static int transport_connect(struct raft_uv_transport *t, struct raft_uv_connect *req, raft_id id,
                             const char *address, raft_uv_connect_cb cb)
{
    (void)t;
    (void)req;
    (void)id;
    (void)address;
    (void)cb;
    return RAFT_NOCONNECTION;
}

static void transport_closed(uv_handle_t *h)
{
    transport *t = h->data;
    if (t->closed) t->closed(&t->raft);
}

static void transport_close(struct raft_uv_transport *raft, raft_uv_transport_close_cb cb)
{
    transport *t = raft->impl;
    t->closed = cb;
    uv_close((uv_handle_t *)&t->handle, transport_closed);
}

/* --- state machine --- */

static void fail(cr_consensus *c, const char *why)
{
    if (c->failed) return;
    c->failed = 1;
    c->term = 0;
    c->config.failed(c->config.arg, why);
    for (struct request *r = c->requests, *next; r;
         r = next) { /* libraft ends them when it is closed */
        next = r->next;
        cr_proposal *p = r->proposal;
        r->proposal = NULL;
        if (p) p->done(p, QD_E_UNKNOWN_OUTCOME);
    }
}

static void on_appended(struct raft_io_append *raft, int status)
{
    append *a = (append *)raft;
    cr_consensus *c = a->owner;
    if (status == 0) cr_witness_durable(&c->witness, a->last);
    if (status == 0 || c->closing) {
        a->done(a->theirs, status);
    } else {
        char why[400];
        snprintf(why, sizeof why, "writing the log failed: %.80s (%.250s)", raft_strerror(status),
                 c->io.errmsg);
        fail(c, why);
    }
    cr_free(c->config.heap, a);
}

static int io_append(struct raft_io *io, struct raft_io_append *req,
                     const struct raft_entry *entries, unsigned n, raft_io_append_cb cb)
{
    cr_consensus *c = (cr_consensus *)((char *)io - offsetof(cr_consensus, io));
    append *a = cr_alloc(c->config.heap, sizeof *a);
    if (!a) return RAFT_NOMEM;
    memset(a, 0, sizeof *a);
    a->theirs = req;
    a->done = cb;
    a->owner = c;
    a->last = raft_last_index(&c->raft);
    int rc = c->append(io, &a->raft, entries, n, on_appended);
    if (rc) cr_free(c->config.heap, a);
    return rc;
}

static void on_put(struct raft_io_snapshot_put *raft, int status)
{
    put *p = (put *)raft;
    const cr_heap *heap = p->owner->config.heap;
    if (status == 0) cr_witness_snapshot(&p->owner->witness, p->index);
    p->done(p->theirs, status);
    cr_free(heap, p);
}

static int io_snapshot_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *req,
                           const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    cr_consensus *c = (cr_consensus *)((char *)io - offsetof(cr_consensus, io));
    put *p = cr_alloc(c->config.heap, sizeof *p);
    if (!p) return RAFT_NOMEM;
    memset(p, 0, sizeof *p);
    p->theirs = req;
    p->done = cb;
    p->owner = c;
    p->index = snapshot->index;
    int rc = c->snapshot_put(io, trailing, &p->raft, snapshot, on_put);
    if (rc) cr_free(c->config.heap, p);
    return rc;
}

static int io_set_term(struct raft_io *io, raft_term term)
{
    cr_consensus *c = (cr_consensus *)((char *)io - offsetof(cr_consensus, io));
    return cr_witness_ahead(&c->witness, term, 0) ? RAFT_IOERR : c->set_term(io, term);
}

static int io_set_vote(struct raft_io *io, raft_id id)
{
    cr_consensus *c = (cr_consensus *)((char *)io - offsetof(cr_consensus, io));
    if (cr_witness_ahead(&c->witness, c->raft.current_term, id)) return RAFT_IOERR;
    return c->set_vote(io, id);
}

static int fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    cr_consensus *c = fsm->data;
    *result = NULL;
    if (!c->failed && c->config.apply(c->config.arg, c->raft.last_applied + 1, buf->base, buf->len))
        fail(c, "an entry of the log is damaged");
    if (c->soon) {
        c->soon = 0;
        raft_set_snapshot_threshold(&c->raft, 1);
    }
    return 0;
}

static int fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n)
{
    cr_consensus *c = fsm->data;
    *bufs = NULL;
    *n = 0;
    raft_set_snapshot_threshold(&c->raft, c->threshold);
    if (c->snapshot || c->failed) return RAFT_BUSY;
    c->snapshot = c->config.snapshot_begin(c->config.arg, c->raft.last_applied);
    return c->snapshot ? 0 : RAFT_BUSY;
}

static int fsm_snapshot_async(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n)
{
    cr_consensus *c = fsm->data;
    cr_pieces pieces = {0};
    if (c->config.snapshot_write(c->snapshot, &pieces)) return RAFT_NOMEM;
    struct raft_buffer *b = raft_malloc(pieces.n * sizeof *b);
    for (uint32_t i = 0; i < pieces.n; i++) {
        if (b)
            b[i] = (struct raft_buffer){pieces.at[i].p, pieces.at[i].n};
        else
            raft_free(pieces.at[i].p);
    }
    raft_free(pieces.at);
    *bufs = b;
    *n = b ? pieces.n : 0;
    return b ? 0 : RAFT_NOMEM;
}

static int fsm_snapshot_finalize(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n)
{
    cr_consensus *c = fsm->data;
    for (unsigned i = 0; *bufs && i < *n; i++) raft_free((*bufs)[i].base);
    raft_free(*bufs);
    *bufs = NULL;
    *n = 0;
    if (c->snapshot) c->config.snapshot_end(c->snapshot);
    c->snapshot = NULL;
    return 0;
}

static int fsm_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    cr_consensus *c = fsm->data;
    int32_t rc = c->config.restore(c->config.arg, buf->base, buf->len);
    if (rc) return RAFT_CORRUPT;
    raft_free(buf->base);
    return 0;
}

/*
 * libraft's disk tells its end twice when writes were under way on the thread pool, the second time
 * out of memory that the first one freed. So it is heard once, and a little later.
 */
static void on_lingered(uv_handle_t *h)
{
    cr_consensus *c = h->data;
    raft_io_close_cb closed = c->io_closed;
    c->io_closed = NULL;
    closed(&c->io);
}

static void on_linger(uv_timer_t *t)
{
    uv_close((uv_handle_t *)t, on_lingered);
}

static void on_io_closed(struct raft_io *io)
{
    cr_consensus *c = (cr_consensus *)((char *)io - offsetof(cr_consensus, io));
    if (!uv_is_closing((uv_handle_t *)&c->linger)) uv_timer_start(&c->linger, on_linger, 5, 0);
}

static void io_close(struct raft_io *io, raft_io_close_cb cb)
{
    cr_consensus *c = (cr_consensus *)((char *)io - offsetof(cr_consensus, io));
    c->io_closed = cb;
    c->io_close(io, on_io_closed);
}

/* --- life --- */

static int32_t code_of(int rc)
{
    switch (rc) {
    case RAFT_NOMEM:
        return QD_E_NOMEM;
    case RAFT_NOTLEADER:
    case RAFT_LEADERSHIPLOST:
        return QD_E_NOT_LEADER;
    case RAFT_CORRUPT:
    case RAFT_MALFORMED:
        return QD_E_CORRUPT;
    case RAFT_NOSPACE:
        return QD_E_NOSPACE;
    default:
        return QD_E_IO;
    }
}

static void on_turn(uv_prepare_t *p)
{
    cr_consensus *c = p->data;
    uint64_t term = 0;
    if (!c->failed && raft_state(&c->raft) == RAFT_LEADER) term = c->raft.current_term;
    if (term == c->term) return;
    c->term = term;
    c->config.lead(c->config.arg, term);
}

/* Closing: the watcher, raft, then what raft leaves. */
static void raft_is_closed(struct raft *r)
{
    cr_consensus *c = r->data;
    void (*done)(void *arg) = c->closed;
    void *arg = c->closed_arg;
    raft_uv_close(&c->io);
    cr_witness_close(&c->witness);
    if (c->snapshot) c->config.snapshot_end(c->snapshot);
    cr_free(c->config.heap, c);
    done(arg);
}

static void watcher_is_closed(uv_handle_t *h)
{
    cr_consensus *c = h->data;
    raft_close(&c->raft, raft_is_closed);
}

void cr_consensus_close(cr_consensus *c, void (*done)(void *arg), void *arg)
{
    c->closed = done;
    c->closed_arg = arg;
    c->closing = 1;
    uv_close((uv_handle_t *)&c->watcher, watcher_is_closed);
}

static void note_closed(void *arg)
{
    *(int *)arg = 1;
}

static void one_less(uv_handle_t *h)
{
    --*(int *)h->data;
}

static int form(cr_consensus *c)
{
    struct raft_configuration conf;
    raft_configuration_init(&conf);
    int rc = raft_configuration_add(&conf, c->config.id, ADDRESS, RAFT_VOTER);
    if (rc == 0) rc = raft_bootstrap(&c->raft, &conf);
    raft_configuration_close(&conf);
    return rc == RAFT_CANTBOOTSTRAP ? 0 : rc;
}

static int start(cr_consensus *c)
{
    const cr_consensus_config *k = &c->config;
    raft_set_election_timeout(&c->raft, k->election_ms);
    raft_set_heartbeat_timeout(&c->raft, k->heartbeat_ms);
    raft_set_snapshot_threshold(&c->raft, k->snapshot_entries);
    raft_set_snapshot_trailing(&c->raft, k->snapshot_entries / 2);
    raft_set_pre_vote(&c->raft, true);
    raft_uv_set_auto_recovery(&c->io, false);
    raft_uv_set_segment_size(&c->io, k->segment_bytes);
    int rc = k->how == CR_OPEN_FORM ? form(c) : 0;
    if (rc == 0 && cr_witness_take(&c->witness))
        rc = RAFT_IOERR; /* before the node file is there */
    return rc ? rc : raft_start(&c->raft);
}

static void transport_prepare(cr_consensus *c)
{
    transport *t = &c->transport;
    t->raft = (struct raft_uv_transport){.impl = t,
                                         .init = transport_init,
                                         .listen = transport_listen,
                                         .connect = transport_connect,
                                         .close = transport_close};
    uv_timer_init(c->config.loop, &t->handle);
    t->handle.data = t;
}

int32_t cr_consensus_open(const cr_consensus_config *config, cr_consensus **out, char *why)
{
    cr_consensus *c = cr_must(config->heap, sizeof *c);
    memset(c, 0, sizeof *c);
    c->config = *config;
    c->threshold = config->snapshot_entries;
    int32_t seen = cr_witness_open(&c->witness, config->heap, config->witness, config->dir,
                                   config->how == CR_OPEN_FORM, config->warn, config->arg, why);
    if (seen) {
        cr_free(config->heap, c);
        return seen;
    }
    transport_prepare(c);
    uv_timer_init(config->loop, &c->linger);
    c->linger.data = c;
    int rc = raft_uv_init(&c->io, config->loop, config->dir, &c->transport.raft);
    int has_io = rc == 0, has_raft = 0;
    if (rc == 0) {
        c->io.version = 2;
        c->append = c->io.append;
        c->io.append = io_append;
        c->snapshot_put = c->io.snapshot_put;
        c->io.snapshot_put = io_snapshot_put;
        c->set_term = c->io.set_term;
        c->io.set_term = io_set_term;
        c->set_vote = c->io.set_vote;
        c->io.set_vote = io_set_vote;
        c->io_close = c->io.close;
        c->io.close = io_close;
        c->fsm = (struct raft_fsm){.version = 3,
                                   .data = c,
                                   .apply = fsm_apply,
                                   .snapshot = fsm_snapshot,
                                   .restore = fsm_restore,
                                   .snapshot_finalize = fsm_snapshot_finalize,
                                   .snapshot_async = fsm_snapshot_async};
        rc = raft_init(&c->raft, &c->io, &c->fsm, config->id, ADDRESS);
        has_raft = rc == 0;
        c->raft.data = c;
    }
    if (rc == 0) rc = start(c);
    uv_prepare_init(config->loop, &c->watcher);
    c->watcher.data = c;
    if (rc == 0) {
        uv_prepare_start(&c->watcher, on_turn);
        *out = c;
        return 0;
    }
    const char *text = has_raft ? raft_errmsg(&c->raft) : c->io.errmsg;
    snprintf(why, CR_WHY, "%.60s: %.180s", raft_strerror(rc), text ? text : "");
    if (rc == RAFT_CORRUPT || rc == RAFT_MALFORMED || rc == RAFT_IOERR)
        cr_damage_place(config->dir, why);
    if (has_raft) {
        int closed = 0;
        cr_consensus_close(c, note_closed, &closed);
        while (!closed) uv_run(config->loop, UV_RUN_ONCE);
        return code_of(rc);
    }
    if (has_io) raft_uv_close(&c->io);
    cr_witness_close(&c->witness);
    int open = 3; /* other handles of the loop stay */
    c->watcher.data = c->transport.handle.data = c->linger.data = &open;
    uv_close((uv_handle_t *)&c->linger, one_less);
    uv_close((uv_handle_t *)&c->watcher, one_less);
    uv_close((uv_handle_t *)&c->transport.handle, one_less);
    while (open) uv_run(config->loop, UV_RUN_ONCE);
    cr_free(config->heap, c);
    return code_of(rc);
}

/* --- proposals --- */

static void request_free(request *r)
{
    cr_consensus *c = r->owner;
    *(r->previous ? &r->previous->next : &c->requests) = r->next;
    if (r->next) r->next->previous = r->previous;
    cr_free(c->config.heap, r);
}

static void on_applied(struct raft_apply *raft, int status, void *result)
{
    request *r = (request *)raft;
    cr_consensus *c = r->owner;
    cr_proposal *p = r->proposal;
    (void)result;
    int lost = c->failed || status != 0;
    request_free(r);
    if (p) p->done(p, lost ? QD_E_UNKNOWN_OUTCOME : 0);
}

int32_t cr_consensus_propose(cr_consensus *c, cr_proposal *p, const uint8_t *entry, size_t n)
{
    if (c->failed) return QD_E_NO_COORDINATION;
    if (n == 0 || n % 8) return QD_E_ARG;
    request *r = cr_alloc(c->config.heap, sizeof *r);
    struct raft_buffer buf = {raft_malloc(n), n};
    if (!r || !buf.base) {
        cr_free(c->config.heap, r);
        raft_free(buf.base);
        return QD_E_NOMEM;
    }
    memcpy(buf.base, entry, n);
    memset(r, 0, sizeof *r);
    r->proposal = p;
    r->owner = c;
    r->next = c->requests;
    if (r->next) r->next->previous = r;
    c->requests = r;
    int rc = raft_apply(&c->raft, &r->raft, &buf, 1, on_applied);
    if (rc == 0) return 0;
    request_free(r);
    raft_free(buf.base);
    return rc == RAFT_NOTLEADER || rc == RAFT_NOMEM ? code_of(rc) : QD_E_NO_COORDINATION;
}

int cr_consensus_sole(const cr_consensus *c)
{
    const struct raft *r = &c->raft;
    unsigned voters = 0;
    if (c->failed || r->state != RAFT_LEADER || r->configuration_uncommitted_index) return 0;
    for (unsigned i = 0; i < r->configuration.n; i++)
        voters += r->configuration.servers[i].role == RAFT_VOTER;
    return voters == 1;
}

uint64_t cr_consensus_durable(const cr_consensus *c)
{
    return c->witness.durable;
}

uint64_t cr_consensus_last(const cr_consensus *c)
{
    return raft_last_index((struct raft *)&c->raft);
}

void cr_consensus_snapshot_soon(cr_consensus *c)
{
    c->soon = 1;
}
