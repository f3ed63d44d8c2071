/*
 * column_walk.c: sequential reading, some sixteen blocks a fetch.
 */
#include "segment/columns/column_walk_int.h"

#define HEADS 16u

int qdi_column_walk_open(qdi_column_walk *w, const qd_column *c, qd_account *account, qd_err *err)
{
    memset(w, 0, sizeof *w);
    w->c = c;
    w->account = account;
    qd_arena_init(&w->arena, account, 0);
    return c->stats.type == QD_COLUMN_BYTES ? qdi_strings_walk_open(&w->strings, c, account, err)
                                            : 0;
}

void qdi_column_walk_close(qdi_column_walk *w)
{
    if (w->strings.c) qdi_strings_walk_close(&w->strings);
    qd_arena_fini(&w->arena);
    qd_vec_fini(&w->values);
}

/* Fetches the next heads. */
static int refill(qdi_column_walk *w, qd_err *err)
{
    uint32_t n = w->c->blocks - w->head < HEADS ? w->c->blocks - w->head : HEADS;
    qd_arena_reset(&w->arena);
    w->reads = qd_reads_make(&w->arena, w->account);
    if (!w->reads) return qd_err_nomem(err, "walk over a column");
    int rc = qdi_column_plan_heads(w->c, w->head, n, w->reads, &w->arena, &w->rd, err);
    if (rc == 0) rc = qd_reads_fetch(w->reads, err);
    w->heads_end = w->head + n;
    return rc;
}

static int next_block(qdi_column_walk *w, qd_err *err)
{
    int rc = w->head == w->heads_end ? refill(w, err) : 0;
    if (rc == 0) rc = qdi_column_load(w->rd, w->head, err);
    if (rc) return rc;
    const qdi_block *b = &w->rd->block;
    w->head++;
    w->at = 0;
    w->ndocs = b->h.docs;
    qdi_block_docs(b, 0, b->h.docs, w->docs);
    if (w->c->stats.type == QD_COLUMN_BYTES) return 0;
    if (b->h.starts) return qdi_block_load_starts(w->rd, err);
    if (qd_vec_reserve(&w->values, w->account, QD_COLUMN_BLOCK))
        return qd_err_nomem(err, "walk over a column");
    return qdi_block_values(w->rd, 0, b->h.values, w->values.at, err);
}

int qdi_column_walk_next(qdi_column_walk *w, uint32_t *doc, const int64_t **values, uint32_t *n,
                         bool *end, qd_err *err)
{
    *end = w->at == w->ndocs && w->head == w->c->blocks;
    if (*end) return 0;
    if (w->at == w->ndocs) {
        int rc = next_block(w, err);
        if (rc) return rc;
    }
    uint32_t i = w->at++;
    *doc = w->docs[i];
    *n = 1;
    *values = NULL;
    if (w->c->stats.type == QD_COLUMN_BYTES) return 0;
    if (!w->rd->block.h.starts) {
        *values = w->values.at + i;
        return 0;
    }
    uint32_t from = w->rd->starts[i];
    *n = w->rd->starts[i + 1] - from;
    if (qd_vec_reserve(&w->values, w->account, *n)) return qd_err_nomem(err, "walk over a column");
    *values = w->values.at;
    return qdi_block_values(w->rd, from, *n, w->values.at, err);
}

int qdi_column_walk_string(qdi_column_walk *w, uint32_t *doc, qd_str *s, bool *end, qd_err *err)
{
    const int64_t *values;
    uint32_t n;
    bool none = false;
    int rc = qdi_column_walk_next(w, doc, &values, &n, end, err);
    if (rc || *end) return rc;
    rc = qdi_strings_walk_next(&w->strings, s, &none, err);
    qd_assert(rc || !none); /* as many strings as documents: checked at open */
    return rc;
}
