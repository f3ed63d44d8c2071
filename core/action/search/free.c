/*
 * free.c: ends of contexts: of this node by a call, of others by a question.
 */
#include "action/search/wire_int.h"
#include "rpc/rpc.h"

#define TIMEOUT_MS 10000u

static void write_free(qd_writer *w, const uint8_t *context)
{
    qd_write_bool(w, context != NULL);
    if (context) qd_write_raw(w, context, SEARCH_CONTEXT_ID);
}

void qdi_tell_free(qd_actions *a, const qd_state *s, qd_str node,
                   const uint8_t context[SEARCH_CONTEXT_ID])
{
    qd_writer w;
    qd_writer_init(&w, NULL, 64, qdi_ask_version(a, s, node));
    write_free(&w, context);
    qdi_tell(a, s, node, QD_ACTION_SEARCH_FREE, &w);
}

int qdi_ask_free(search_run *x, search_target *first, const search_context_kind *kind,
                 uint32_t *freed, qd_err *err)
{
    qd_asks *q;
    uint32_t n = 0;
    for (search_target *t = first; t; t = t->next) n += !t->local;
    if (!n) return 0;
    int rc = qdi_asks_begin(x->a, x->state, x->task, n, TIMEOUT_MS, &q, err);
    if (rc) return rc;
    for (search_target *t = first; t; t = t->next) {
        qd_writer w;
        if (t->local) continue;
        qd_writer_init(&w, NULL, 64, qdi_ask_version(x->a, x->state, t->node));
        write_free(&w, kind ? NULL : t->context);
        if (kind) qd_write_u8(&w, (uint8_t)*kind);
        t->question = qdi_ask(q, t->node, QD_ACTION_SEARCH_FREE, &w);
    }
    qdi_asks_wait(q);
    for (search_target *t = first; t; t = t->next) {
        qd_str bytes;
        uint16_t version;
        qd_body_reader r;
        if (t->local || qdi_answer(q, t->question, &bytes, &version, NULL)) continue;
        qd_body_reader_init(&r, bytes, "answer of a node", version);
        *freed += (uint32_t)qd_read_varint_max(&r, "freed", UINT32_MAX);
    }
    qdi_asks_end(q);
    return 0;
}

/* A run of nothing but targets. */
static void begin_bare(qd_request *q, search_run *x, search_request *r)
{
    qdi_search_request_init(r, q, q->arena);
    *x = (search_run){.r = r,
                      .a = q->a,
                      .arena = q->arena,
                      .task = &q->task,
                      .state = qd_cluster_state(q->a->cluster)};
}

int qdi_contexts_free(qd_request *q, const search_id *id, uint32_t *freed, qd_err *err)
{
    search_run x;
    search_request r;
    uint32_t n = 0;
    int rc = 0;
    begin_bare(q, &x, &r);
    for (uint32_t i = 0; i < id->nnodes && !rc; i++) {
        search_target *t;
        rc = qdi_target_add(&x, id->nodes[i].node, 0, &t, err);
        if (!rc) memcpy(t->context, id->nodes[i].context, SEARCH_CONTEXT_ID);
        if (!rc && t->local) n += qdi_context_drop(q->a, t->context, id->kind);
    }
    if (!rc) rc = qdi_ask_free(&x, x.targets, NULL, &n, err);
    *freed += n > 0;
    qdi_search_end(&x);
    return rc;
}

int qdi_contexts_free_all(qd_request *q, search_context_kind kind, uint32_t *freed, qd_err *err)
{
    search_run x;
    search_request r;
    int rc = 0;
    begin_bare(q, &x, &r);
    *freed += qdi_context_drop(q->a, NULL, kind);
    for (uint32_t i = 0; i < x.state->nnodes && !rc && q->a->rpc; i++) {
        search_target *t;
        if (!qd_node_is_data(&x.state->nodes[i])) continue;
        rc = qdi_target_add(&x, x.state->nodes[i].id, 0, &t, err);
    }
    if (!rc) rc = qdi_ask_free(&x, x.targets, &kind, freed, err);
    qdi_search_end(&x);
    return rc;
}
