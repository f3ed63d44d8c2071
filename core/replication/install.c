/*
 * install.c: a publication comes to a copy: the files that it lacks are fetched in pieces, some of
 * which are on their way while others are written, and are shown together. See repl_int.h.
 */
#include "replication/repl_int.h"
#include <stdio.h>

#define FILE_MS 60000u
#define FREE_BYTES ((uint64_t)8 << 20)
#define PIECES_MAX 64u

/* A piece of a file on its way. Its source may be a primary that does not answer any more, and this
 * copy is to take its place: waiting for it ends when the install is to end. */
typedef struct file_piece {
    qd_rpc_call call; /* first */
    repl_shard *g;
    uint64_t at, begun_ns;
    bool done; /* under the lock of g, as all below */
    uint64_t done_ns;
    int rc;
} file_piece;

/* A file being fetched: a ring of pieces, the oldest at first. */
typedef struct file_fetch {
    repl_shard *g;
    const qd_publication *p;
    const char *from, *source_aid;
    uint32_t file;
    uint64_t next;  /* where the next piece begins */
    uint64_t ended; /* when the newest one came: the way was not idle before */
    uint32_t room, first, n;
    file_piece *piece;
} file_fetch;

static void piece_done(qd_rpc_call *call, int rc)
{
    file_piece *c = (file_piece *)(void *)call;
    repl_shard *g = c->g;
    qd_mutex_lock(&g->lock);
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
    file_piece *c = &x->piece[(x->first + x->n) % x->room];
    repl_request q = {.shard = g->number,
                      .part = x->file,
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
    *c = (file_piece){.g = g, .at = x->next, .begun_ns = qd_env_mono_ns(g->r->env)};
    qd_err_init(&c->call.err);
    int rc = qd_writer_end(&w, "request between copies", err);
    if (!rc) {
        c->call.to = qd_str_c(x->from);
        c->call.action = QD_ACTION_RECOVERY_FILE;
        c->call.class = QD_RPC_BULK;
        c->call.timeout_ms = FILE_MS;
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

/* Writes the oldest piece; *at: what is written by now. */
static int piece_write(file_fetch *x, qd_install *i, const qd_publication_file *f, uint64_t *at,
                       qd_recovery_progress *progress, qd_err *err)
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
    uint64_t begun = qd_env_mono_ns(g->r->env);
    rc = qd_install_file_append(i, x->file, a.tail.p, a.tail.n, err);
    if (rc) return rc;
    *at = c->at + a.tail.n;
    repl_rate_observe(g->r, QD_RATE_WRITE, a.tail.n, begun, qd_env_mono_ns(g->r->env));
    /* what a refresh waits for is small, and is not held up */
    uint64_t waited = progress || f->bytes > FREE_BYTES ? repl_rate_wait(g->r, a.tail.n) : 0;
    qd_mutex_lock(&g->lock);
    if (progress) {
        progress->bytes_recovered += a.tail.n;
        progress->throttle_ns += waited;
    }
    bool closed = ends(g);
    qd_mutex_unlock(&g->lock);
    return closed ? qd_err_set(err, QD_E_CLOSED, "%s is being closed", g->name) : 0;
}

static uint32_t pieces_room(const qd_replication *r, uint64_t bytes)
{
    int64_t most = r->config ? qd_config_i64(r->config, QD_SET_RECOVERY_FILE_CHUNKS) : 2;
    uint64_t all = bytes / REPL_CHUNK_BYTES + 1;
    if (most < 1) most = 1;
    if (most > (int64_t)PIECES_MAX) most = PIECES_MAX;
    return all < (uint64_t)most ? (uint32_t)all : (uint32_t)most;
}

static int fetch_file(repl_shard *g, qd_install *i, const qd_publication *p, uint32_t file,
                      const char *from, const char *source_aid, qd_recovery_progress *progress,
                      qd_err *err)
{
    qd_publication_file f;
    qd_publication_file_at(p, file, &f);
    file_fetch x = {.g = g,
                    .p = p,
                    .from = from,
                    .source_aid = source_aid,
                    .file = file,
                    .room = pieces_room(g->r, f.bytes)};
    x.piece = qd_calloc(&g->r->account, x.room * sizeof *x.piece);
    if (!x.piece) return qd_err_nomem(err, "pieces of a file");
    int rc = qd_install_file_begin(i, file, err);
    for (uint64_t at = 0; at < f.bytes && !rc;) {
        while (!rc && x.n < x.room && x.next < f.bytes) rc = piece_start(&x, err);
        if (!rc) rc = piece_wait(&x, err);
        if (!rc) rc = piece_write(&x, i, &f, &at, progress, err);
        if (rc) break;
        piece_end(&x);
        if (at < x.next && (x.n ? at != x.piece[x.first].at : at < f.bytes)) { /* it was short */
            pieces_end(&x);
            x.next = at;
        }
    }
    pieces_end(&x);
    qd_free(x.piece);
    return rc ? rc : qd_install_file_finish(i, file, err);
}

static int fetch_missing(repl_shard *g, qd_install *i, const qd_publication *p, const char *from,
                         const char *source_aid, qd_recovery_progress *progress, qd_err *err)
{
    const uint32_t *files;
    uint32_t n = qd_install_missing(i, &files), all = qd_publication_files(p);
    uint64_t bytes = 0, missing = 0;
    qd_publication_file f;
    for (uint32_t k = 0; k < all; k++) {
        qd_publication_file_at(p, k, &f);
        bytes += f.bytes;
    }
    for (uint32_t k = 0; k < n; k++) {
        qd_publication_file_at(p, files[k], &f);
        missing += f.bytes;
    }
    qd_mutex_lock(&g->lock);
    if (progress) {
        progress->files_total = all;
        progress->files_reused = all - n;
        progress->bytes_total = bytes;
        progress->bytes_reused = bytes - missing;
    }
    qd_mutex_unlock(&g->lock);
    int rc = 0;
    for (uint32_t k = 0; k < n && !rc; k++) {
        rc = fetch_file(g, i, p, files[k], from, source_aid, progress, err);
        if (rc == QD_E_CORRUPT) { /* once more: the bytes may have been bad on the way */
            if (err) qd_err_fini(err);
            rc = fetch_file(g, i, p, files[k], from, source_aid, progress, err);
        }
        qd_mutex_lock(&g->lock);
        if (progress && !rc) progress->files_recovered++;
        qd_mutex_unlock(&g->lock);
    }
    return rc;
}

static int install_now(repl_shard *g, qd_engine *e, const qd_publication *p, const char *from,
                       const char *source_aid, qd_recovery_progress *progress, qd_err *err)
{
    uint64_t term, generation;
    int64_t max;
    qd_install *i = NULL;
    qd_engine_published(e, &term, &generation, &max);
    if (!repl_copy_publication(p->primary_term, p->generation, p->max_seq_no, term, generation,
                               max)) {
        return max >= p->max_seq_no ? 0
                                    : qd_err_set(err, QD_E_STATE, "a newer publication is shown");
    }
    int rc = qd_install_begin(e, p, &i, err);
    if (rc == QD_E_EXISTS) {
        if (err) qd_err_fini(err);
        return 0;
    }
    if (rc) return rc;
    rc = fetch_missing(g, i, p, from, source_aid, progress, err);
    if (rc) {
        qd_install_abort(i);
        return rc;
    }
    return qd_install_commit(i, err);
}

int repl_install(repl_shard *g, qd_engine *e, const qd_publication *p, const char *from,
                 const char *source_aid, qd_recovery_progress *progress, qd_err *err)
{
    qd_mutex_lock(&g->lock);
    while (g->installing && g->engine) (void)qd_waitq_wait(&g->changed, 0);
    bool open = g->engine && !g->install_ends;
    if (open) g->installing = true;
    qd_mutex_unlock(&g->lock);
    if (!open) return qd_err_set(err, QD_E_CLOSED, "%s is being closed", g->name);
    int rc = install_now(g, e, p, from, source_aid, progress, err);
    qd_mutex_lock(&g->lock);
    g->installing = false;
    qd_waitq_wake(&g->changed);
    qd_mutex_unlock(&g->lock);
    return rc;
}

void repl_install_end(repl_shard *g)
{
    qd_mutex_lock(&g->lock);
    g->install_ends++;
    qd_waitq_wake(&g->changed);
    while (g->installing && g->engine) (void)qd_waitq_wait(&g->changed, 0);
    g->install_ends--;
    qd_mutex_unlock(&g->lock);
}
