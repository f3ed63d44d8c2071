/*
 * fetch.c: files of a publication come to a copy in pieces: some are on their way while others are
 * written, across the border of two files too. A file that has come is verified and synced by a
 * thread of its own while the next ones come. See repl_int.h.
 */
#include "replication/repl_int.h"
#include <stdio.h>

#define FREE_BYTES ((uint64_t)8 << 20)
#define EARLY_SYNC_BYTES ((uint64_t)4 << 20) /* smaller ones are synced together at the end */
#define PIECES_MAX 64u
#define SETTING_NS UINT64_C(100000000) /* so soon a changed limit is seen */

/* A piece of a file on its way. Its source may be a primary that does not answer any more, and this
 * copy is to take its place: waiting for it ends when the install is to end. */
typedef struct file_piece {
    qd_rpc_call call; /* first */
    repl_shard *g;
    uint32_t k; /* its file's place in the list */
    uint64_t at, begun_ns;
    bool done; /* under the lock of g, as all below */
    uint64_t done_ns;
    int rc;
} file_piece;

/* Files to be ended: whole, verified, synced. */
typedef struct file_ends {
    qd_mutex lock; /* of all below */
    qd_cond changed;
    uint32_t *queue, n, taken; /* places in the list */
    bool *bad;                 /* by place: to be fetched again */
    bool over, drop;           /* drop: what waits is not ended any more */
    int rc;                    /* the first failure that is none of a file's bytes */
    qd_err err, bad_err;
    qd_thread *thread; /* NULL: who fetches does it */
} file_ends;

/* The pieces are a ring, the oldest at first. */
typedef struct file_fetch {
    repl_shard *g;
    qd_install *i;
    const qd_publication *p;
    const char *from, *source_aid;
    qd_recovery_progress *progress;
    const uint32_t *files;
    uint32_t nfiles;
    uint32_t k;     /* the file that the next piece is of */
    uint64_t next;  /* where it begins */
    uint64_t ended; /* when the newest one came: the way was not idle before */
    uint32_t room, first, n;
    file_piece *piece;
    file_ends ends;
} file_fetch;

static void file_at(const file_fetch *x, uint32_t k, qd_publication_file *f)
{
    qd_assert(k < x->nfiles);
    qd_publication_file_at(x->p, x->files[k], f);
}

/* --- the end of a file ------------------------------------------------------------------------ */

static void file_end(file_fetch *x, uint32_t k)
{
    file_ends *e = &x->ends;
    repl_shard *g = x->g;
    qd_publication_file f;
    qd_err err;
    qd_err_init(&err);
    file_at(x, k, &f);
    int rc = qd_install_file_finish(x->i, x->files[k], &err);
    if (!rc && f.bytes >= EARLY_SYNC_BYTES && e->thread) {
        rc = qd_install_file_sync(x->i, x->files[k], &err);
        if (rc == QD_E_CORRUPT) rc = QD_E_IO; /* nothing that fetching it again would mend */
    }
    qd_mutex_lock(&e->lock);
    if (rc == QD_E_CORRUPT) {
        e->bad[k] = true;
        if (!e->bad_err.code) qd_err_move(&e->bad_err, &err);
    } else if (rc && !e->rc) {
        e->rc = rc;
        qd_err_move(&e->err, &err);
    }
    qd_mutex_unlock(&e->lock);
    qd_err_fini(&err);
    if (rc) return;
    qd_mutex_lock(&g->lock);
    if (x->progress) x->progress->files_recovered++;
    qd_mutex_unlock(&g->lock);
}

static void ends_run(void *arg)
{
    file_fetch *x = arg;
    file_ends *e = &x->ends;
    qd_mutex_lock(&e->lock);
    for (;;) {
        while (e->taken == e->n && !e->over) qd_cond_wait(&e->changed, &e->lock);
        if (e->taken == e->n || e->drop || e->rc) break;
        qd_assert(e->taken < e->n && e->n <= x->nfiles);
        uint32_t k = e->queue[e->taken++];
        qd_mutex_unlock(&e->lock);
        file_end(x, k);
        qd_mutex_lock(&e->lock);
    }
    qd_mutex_unlock(&e->lock);
}

static int ends_begin(file_fetch *x, uint64_t bytes, qd_err *err)
{
    file_ends *e = &x->ends;
    e->queue = qd_calloc(&x->g->r->account, x->nfiles * sizeof *e->queue);
    e->bad = qd_calloc(&x->g->r->account, x->nfiles * sizeof *e->bad);
    if (!e->queue || !e->bad) return qd_err_nomem(err, "files of a publication");
    /* what a refresh waits for is small: no thread for it. Without one things go on as well. */
    if (bytes > FREE_BYTES &&
        qd_thread_start(x->g->r->env, "recovery-end", ends_run, x, &e->thread, NULL)) {
        e->thread = NULL;
    }
    return 0;
}

/* All bytes of a file have come. */
static int ends_add(file_fetch *x, uint32_t k, qd_err *err)
{
    file_ends *e = &x->ends;
    if (!e->thread) file_end(x, k);
    qd_mutex_lock(&e->lock);
    if (e->thread) {
        qd_assert(e->n < x->nfiles && !e->over); /* each file ends once */
        e->queue[e->n++] = k;
        qd_cond_signal(&e->changed);
    }
    int rc = e->rc;
    if (rc && err) qd_err_copy(err, &e->err);
    qd_mutex_unlock(&e->lock);
    return rc;
}

/* Waits for those that were added; drop: for the one under way. */
static int ends_wait(file_fetch *x, bool drop, qd_err *err)
{
    file_ends *e = &x->ends;
    qd_mutex_lock(&e->lock);
    e->over = true;
    e->drop = drop;
    qd_cond_signal(&e->changed);
    qd_mutex_unlock(&e->lock);
    if (e->thread) qd_thread_join(x->g->r->env, e->thread);
    e->thread = NULL;
    qd_assert(drop || e->rc || e->taken == e->n); /* none is left that was not looked at */
    if (e->rc && err && !err->code) qd_err_copy(err, &e->err);
    return e->rc;
}

/* --- pieces ----------------------------------------------------------------------------------- */

static void piece_done(qd_rpc_call *call, int rc)
{
    file_piece *c = (file_piece *)(void *)call;
    repl_shard *g = c->g;
    qd_mutex_lock(&g->lock);
    qd_assert(!c->done);
    c->rc = rc;
    c->done_ns = qd_env_mono_ns(g->r->env);
    c->done = true;
    qd_waitq_wake(&g->changed);
    qd_mutex_unlock(&g->lock);
}

/* Asks for the next piece. */
static int piece_start(file_fetch *x, qd_err *err)
{
    repl_shard *g = x->g;
    qd_assert(x->n < x->room); /* or it would be the oldest one's place */
    file_piece *c = &x->piece[(x->first + x->n) % x->room];
    repl_request q = {.shard = g->number,
                      .part = x->files[x->k],
                      .first = (int64_t)x->next,
                      .max = (int64_t)REPL_CHUNK_BYTES,
                      .open_term = x->p->primary_term,
                      .open_generation = x->p->generation};
    qd_writer w;
    memcpy(q.uuid, g->uuid, sizeof q.uuid);
    snprintf(q.aid, sizeof q.aid, "%s", x->source_aid);
    memcpy(q.by, g->aid, sizeof q.by);
    qd_writer_init(&w, NULL, 4096, QD_RPC_OLDEST);
    repl_request_write(&w, &q);
    *c = (file_piece){.g = g, .k = x->k, .at = x->next, .begun_ns = qd_env_mono_ns(g->r->env)};
    qd_err_init(&c->call.err);
    int rc = qd_writer_end(&w, "request between copies", err);
    if (!rc) {
        c->call.to = qd_str_c(x->from);
        c->call.action = QD_ACTION_RECOVERY_FILE;
        c->call.class = QD_RPC_BULK;
        c->call.timeout_ms = repl_step_ms(g->r);
        c->call.body = qd_writer_view(&w);
        c->call.version = QD_RPC_OLDEST;
        c->call.done = piece_done;
        rc = qd_rpc_call_start(g->r->rpc, &c->call, err);
    }
    qd_writer_fini(&w);
    if (rc) return rc;
    x->next += REPL_CHUNK_BYTES;
    x->n++;
    return 0;
}

/* As many as may be on their way. */
static int pieces_start(file_fetch *x, qd_err *err)
{
    qd_publication_file f;
    int rc = 0;
    while (!rc && x->n < x->room && x->k < x->nfiles) {
        file_at(x, x->k, &f);
        if (x->next < f.bytes) {
            rc = piece_start(x, err);
        } else {
            x->k++;
            x->next = 0;
        }
    }
    return rc;
}

static bool ends(const repl_shard *g)
{
    return g->install_ends || !g->engine || g->r->closing;
}

/* The oldest piece has come, or failed. */
static int piece_wait(file_fetch *x, qd_err *err)
{
    repl_shard *g = x->g;
    file_piece *c = &x->piece[x->first];
    bool cancelled = false;
    qd_mutex_lock(&g->lock);
    while (!c->done) {
        if (ends(g) && !cancelled) {
            cancelled = true;
            qd_rpc_call_cancel(g->r->rpc, &c->call); /* under the lock it has not ended */
        } else {
            (void)qd_waitq_wait(&g->changed, 0);
        }
    }
    int rc = c->rc;
    qd_mutex_unlock(&g->lock);
    if (rc) qd_err_move(err, &c->call.err);
    return rc;
}

static void piece_end(file_fetch *x)
{
    qd_assert(x->n > 0 && x->piece[x->first].done);
    qd_rpc_call_fini(&x->piece[x->first].call);
    x->first = (x->first + 1) % x->room;
    x->n--;
}

/* Those that are on their way are of no use. */
static void pieces_end(file_fetch *x)
{
    for (uint32_t i = 0; i < x->n; i++) {
        file_piece *c = &x->piece[(x->first + i) % x->room];
        qd_mutex_lock(&x->g->lock);
        if (!c->done) qd_rpc_call_cancel(x->g->r->rpc, &c->call);
        qd_mutex_unlock(&x->g->lock);
    }
    while (x->n) {
        qd_err none;
        qd_err_init(&none);
        (void)piece_wait(x, &none);
        qd_err_fini(&none);
        piece_end(x);
    }
}

/* Goes on at byte `at` of file k. */
static void pieces_again(file_fetch *x, uint32_t k, uint64_t at)
{
    pieces_end(x);
    x->k = k;
    x->next = at;
}

static int piece_append(file_fetch *x, const file_piece *c, qd_str bytes, qd_err *err)
{
    repl_shard *g = x->g;
    uint64_t begun = qd_env_mono_ns(g->r->env);
    int rc = c->at ? 0 : qd_install_file_begin(x->i, x->files[c->k], err);
    if (!rc) rc = qd_install_file_append(x->i, x->files[c->k], bytes.p, bytes.n, err);
    if (!rc) repl_rate_observe(g->r, QD_RATE_WRITE, bytes.n, begun, qd_env_mono_ns(g->r->env));
    return rc;
}

/* Holds a recovery up that would be too fast, as the setting is at each moment; returns how long.
 */
static uint64_t slow_down(repl_shard *g, uint64_t n)
{
    qd_env *env = g->r->env;
    uint64_t begun = qd_env_mono_ns(env), left, now = begun;
    double asked = repl_rate_ask(g->r, n);
    qd_mutex_lock(&g->lock);
    while (!ends(g) && (left = repl_rate_left(g->r, asked)) > 0) {
        (void)qd_waitq_wait(&g->changed, now + (left < SETTING_NS ? left : SETTING_NS));
        now = qd_env_mono_ns(env);
    }
    qd_mutex_unlock(&g->lock);
    return now - begun;
}

/* Writes the oldest piece; *n: how many bytes it had. */
static int piece_write(file_fetch *x, const qd_publication_file *f, uint64_t *n, qd_err *err)
{
    repl_shard *g = x->g;
    file_piece *c = &x->piece[x->first];
    repl_reply a;
    int rc = repl_reply_read(c->call.answer, c->call.answer_version, &a, err);
    if (!rc && a.verdict != REPL_OK) rc = qd_err_set(err, QD_E_CLOSED, "%s", a.why);
    if (!rc && !a.tail.n) rc = qd_err_set(err, QD_E_EOF, "file [%s] ends early", f->name);
    if (rc) return rc;
    uint64_t busy = c->begun_ns > x->ended ? c->begun_ns : x->ended;
    if (c->done_ns > busy) {
        repl_rate_observe(g->r, QD_RATE_NET, a.tail.n, busy, c->done_ns);
        x->ended = c->done_ns;
    }
    rc = piece_append(x, c, a.tail, err);
    if (rc) return rc;
    *n = a.tail.n;
    /* what a refresh waits for is small, and is not held up */
    uint64_t waited = x->progress || f->bytes > FREE_BYTES ? slow_down(g, a.tail.n) : 0;
    qd_mutex_lock(&g->lock);
    if (x->progress) {
        x->progress->bytes_recovered += a.tail.n;
        x->progress->throttle_ns += waited;
        atomic_fetch_add(&g->r->throttle_ns, waited);
    }
    bool closed = ends(g);
    qd_mutex_unlock(&g->lock);
    return closed ? qd_err_set(err, QD_E_CLOSED, "%s is being closed", g->name) : 0;
}

/* The oldest piece, from its coming to its place. */
static int piece_take(file_fetch *x, qd_err *err)
{
    qd_publication_file f;
    uint32_t k = x->piece[x->first].k;
    uint64_t at = x->piece[x->first].at, n = 0;
    file_at(x, k, &f);
    qd_assert(at < f.bytes); /* pieces_start asks for no more */
    uint64_t wanted = f.bytes - at < REPL_CHUNK_BYTES ? f.bytes - at : REPL_CHUNK_BYTES;
    int rc = piece_wait(x, err);
    if (!rc) rc = piece_write(x, &f, &n, err);
    if (rc == QD_E_CORRUPT) { /* bytes that may have been bad on the way: the whole file again */
        qd_mutex_lock(&x->ends.lock);
        x->ends.bad[k] = true;
        if (!x->ends.bad_err.code) qd_err_move(&x->ends.bad_err, err);
        qd_mutex_unlock(&x->ends.lock);
        qd_err_fini(err);
        pieces_again(x, k + 1, 0);
        return 0;
    }
    if (rc) return rc;
    piece_end(x);
    if (n != wanted) pieces_again(x, k, at + n);
    return at + n == f.bytes ? ends_add(x, k, err) : 0;
}

/* --- all of them ------------------------------------------------------------------------------ */

static uint32_t pieces_room(const qd_replication *r, uint64_t bytes)
{
    int64_t most = r->config ? qd_config_i64(r->config, QD_SET_RECOVERY_FILE_CHUNKS) : 2;
    uint64_t all = bytes / REPL_CHUNK_BYTES + 1;
    if (most < 1) most = 1;
    if (most > (int64_t)PIECES_MAX) most = PIECES_MAX;
    return all < (uint64_t)most ? (uint32_t)all : (uint32_t)most;
}

/* Fetches each of x->files; those that were bad are left in `again`. */
static int fetch_pass(file_fetch *x, uint32_t *again, uint32_t *nagain, qd_err *err)
{
    file_ends *e = &x->ends;
    qd_publication_file f;
    uint64_t bytes = 0;
    for (uint32_t k = 0; k < x->nfiles; k++) {
        file_at(x, k, &f);
        bytes += f.bytes;
    }
    qd_mutex_init(&e->lock);
    qd_cond_init(&e->changed);
    qd_err_init(&e->err);
    qd_err_init(&e->bad_err);
    x->room = pieces_room(x->g->r, bytes);
    x->piece = qd_calloc(&x->g->r->account, x->room * sizeof *x->piece);
    int rc = x->piece ? ends_begin(x, bytes, err) : qd_err_nomem(err, "pieces of files");
    if (!rc) rc = pieces_start(x, err);
    while (!rc && x->n) {
        rc = piece_take(x, err);
        if (!rc) rc = pieces_start(x, err);
    }
    pieces_end(x);
    int failed = ends_wait(x, rc != 0, err);
    if (!rc) rc = failed;
    for (uint32_t k = 0; k < x->nfiles && !rc; k++) {
        qd_assert(*nagain <= k);
        if (e->bad[k]) again[(*nagain)++] = x->files[k];
    }
    if (!rc && *nagain && err) qd_err_move(err, &e->bad_err);
    qd_err_fini(&e->err);
    qd_err_fini(&e->bad_err);
    qd_cond_fini(&e->changed);
    qd_mutex_fini(&e->lock);
    qd_free(e->queue);
    qd_free(e->bad);
    qd_free(x->piece);
    return rc;
}

int repl_fetch(repl_shard *g, qd_install *i, const qd_publication *p, const char *from,
               const char *source_aid, qd_recovery_progress *progress, qd_err *err)
{
    const uint32_t *files;
    uint32_t n = qd_install_missing(i, &files), nagain = 0, left = 0;
    if (!n) return 0;
    uint32_t *again = qd_calloc(&g->r->account, 2 * n * sizeof *again);
    if (!again) return qd_err_nomem(err, "files of a publication");
    file_fetch x = {.g = g,
                    .i = i,
                    .p = p,
                    .from = from,
                    .source_aid = source_aid,
                    .progress = progress,
                    .files = files,
                    .nfiles = n};
    file_fetch second = x;
    int rc = fetch_pass(&x, again, &nagain, err);
    if (!rc && nagain) {
        if (err) qd_err_fini(err);
        second.files = again;
        second.nfiles = nagain;
        rc = fetch_pass(&second, again + n, &left, err);
        if (!rc && left) rc = QD_E_CORRUPT;
    }
    qd_free(again);
    return rc;
}
