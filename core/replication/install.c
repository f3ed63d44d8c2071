/*
 * install.c: a publication comes to a copy: the files that it lacks are fetched (fetch.c) and shown
 * together. See repl_int.h.
 */
#include "replication/repl_int.h"

/* What the recovery tells before it begins. */
static void fetch_begins(repl_shard *g, qd_install *i, const qd_publication *p,
                         qd_recovery_progress *progress)
{
    const uint32_t *files;
    uint32_t n = qd_install_missing(i, &files), all = qd_publication_files(p);
    uint64_t bytes = 0, missing = 0;
    qd_publication_file f;
    qd_assert(n <= all);
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
        /* what came before belongs to publications that this one goes on from */
        progress->files_total = progress->files_recovered + all;
        progress->files_reused = all - n;
        progress->bytes_total = progress->bytes_recovered + bytes;
        progress->bytes_reused = bytes - missing;
    }
    qd_mutex_unlock(&g->lock);
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
    fetch_begins(g, i, p, progress);
    rc = repl_fetch(g, i, p, from, source_aid, progress, err);
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
    qd_assert(g->installing);
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
    qd_assert(g->install_ends > 0);
    g->install_ends--;
    qd_mutex_unlock(&g->lock);
}
