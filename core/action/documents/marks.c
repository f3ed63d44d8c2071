/*
 * marks.c: the shards that a request has written to, refreshed once at its end, and what
 * becomes of a refresh that fails. See documents_int.h.
 */
#include "action/documents/documents_int.h"
#include "base/log.h"
#include <string.h>

#define GATE_MS 60000

static doc_mark *mark_of(doc_marks *m, const char *uuid, uint32_t shard)
{
    for (size_t i = 0; i < m->at.n; i++) {
        if (m->at.at[i].shard == shard && strcmp(m->at.at[i].uuid, uuid) == 0) return &m->at.at[i];
    }
    return NULL;
}

/* What was written is durable and acknowledged: a refresh that fails comes again by itself. */
static void refresh_now(qd_engine *e)
{
    qd_err err;
    qd_err_init(&err);
    if (qd_engine_refresh(e, &err)) qd_log_warn("action", "refresh: %s", qd_err_reason(&err));
    qd_err_fini(&err);
}

void qdi_mark_add(doc_marks *m, qd_actions *a, const char *uuid, uint32_t shard, int64_t max_seq_no)
{
    doc_mark *old = mark_of(m, uuid, shard);
    if (old) {
        if (max_seq_no > old->max_seq_no) old->max_seq_no = max_seq_no;
        return;
    }
    doc_mark x = {.shard = shard, .max_seq_no = max_seq_no};
    memcpy(x.uuid, uuid, sizeof x.uuid);
    if (qd_vec_push(&m->at, a->account, x))
        qd_log_warn("action", "no memory to remember a refresh");
}

void qdi_batch_mark(doc_batch *b, doc_marks *m, doc_item *items, size_t n)
{
    if (m->refresh == DOC_REFRESH_NO) return;
    for (size_t k = 0; k < b->touched.n; k++) {
        doc_touched *t = &b->touched.at[k];
        if (!t->any || t->rc) continue;
        if (qd_vec_reserve(&m->at, b->a->account, 1)) {
            refresh_now(t->engine);
            continue;
        }
        qdi_mark_add(m, b->a, t->meta->uuid, qd_shard_number(t->shard), t->max_seq_no);
    }
    for (size_t i = 0; i < n; i++) {
        if (!items[i].rc && (items[i].touched_shard || qdi_item_noop(&items[i]))) {
            items[i].forced_refresh = m->refresh == DOC_REFRESH_NOW;
        }
    }
}

static void waited(qd_refresh_wait *w, int rc)
{
    qd_latch_done(w->user, rc);
}

static void refresh_one(doc_mark *x, doc_refresh refresh, qd_engine *e)
{
    if (refresh == DOC_REFRESH_NOW) {
        refresh_now(e);
        return;
    }
    qd_latch l;
    qd_refresh_wait w = {.seq_no = x->max_seq_no, .done = waited, .user = &l};
    qd_latch_init(&l, 1);
    int rc = qd_engine_refresh_wait(e, &w, &x->forced, NULL);
    if (rc) qd_latch_done(&l, rc);
    (void)qd_latch_wait(&l);
}

void qdi_marks_refresh_here(doc_marks *m, qd_actions *a)
{
    for (size_t i = 0; i < m->at.n; i++) {
        doc_mark *x = &m->at.at[i];
        qd_engine *e;
        if (a->replication) {
            qd_err err;
            qd_write_target to = {.uuid = x->uuid, .shard = x->shard};
            qd_err_init(&err);
            if (qd_replication_refresh(a->replication, &to, x->max_seq_no,
                                       m->refresh == DOC_REFRESH_WAIT, &x->forced, NULL, &err)) {
                qd_log_warn("action", "refresh: %s", qd_err_reason(&err));
                qdi_mark_failed(x, a->node_id, &err);
            }
            qd_err_fini(&err);
            continue;
        }
        qd_shard *s = qd_shards_get(a->shards, x->uuid, x->shard);
        if (s && qd_shard_enter(s, GATE_MS, &e, NULL) == 0) {
            refresh_one(x, m->refresh, e);
            qd_shard_leave(s);
        }
        if (s) qd_shard_unref(s);
    }
}

void qdi_mark_failed(doc_mark *m, qd_str node, const qd_err *err)
{
    size_t n = node.n < sizeof m->node - 1 ? node.n : sizeof m->node - 1;
    memcpy(m->node, node.p, n);
    m->node[n] = 0;
    qd_err_copy(&m->err, err);
}

void qdi_marks_tell(const doc_marks *m, doc_item *items, size_t n)
{
    for (size_t k = 0; k < m->at.n; k++) {
        const doc_mark *x = &m->at.at[k];
        for (size_t i = 0; i < n && x->err.code; i++) {
            bool its = items[i].shard == x->shard && strcmp(items[i].index_uuid, x->uuid) == 0;
            if (its && !items[i].rc && items[i].touched_shard) items[i].unrefreshed = x;
        }
    }
}

void qdi_marks_fini(doc_marks *m)
{
    for (size_t i = 0; i < m->at.n; i++) qd_err_fini(&m->at.at[i].err);
    qd_vec_fini(&m->at);
}
