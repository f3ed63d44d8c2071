/*
 * ingest_node.c: pipelines on another node, for a node without the role ingest. Documents travel
 * there and come back changed; nothing else happens there, so that another node may be asked when
 * one does not answer.
 */
#include "action/documents/ingest_int.h"
#include "action/documents/wire.h"
#include "action/ingest/pipelines.h"
#include "action/transport/ask_int.h"
#include "action/transport/served_int.h"

#define TEXT_MAX ((size_t)1 << 31)
#define BODY_MAX ((size_t)256 << 20)

enum { OUT_CHANGED, OUT_DROPPED, OUT_FAILED };
enum { BIT_ID = 1, BIT_ROUTING = 2, BIT_VERSION = 4, BIT_UPDATE = 8, BIT_PIPELINE = 16 };

/* What of an operation a pipeline sees and may change. */
static void write_doc(qd_writer *w, const doc_item *i, qd_str source, bool pipeline)
{
    qd_write_u8(w,
                (uint8_t)((i->id.p ? BIT_ID : 0) | (i->routing.p ? BIT_ROUTING : 0) |
                          (i->has_version ? BIT_VERSION : 0) |
                          (i->op == DOC_UPDATE ? BIT_UPDATE : 0) | (pipeline ? BIT_PIPELINE : 0)));
    qd_write_str(w, i->index);
    qd_write_str(w, i->id);
    qd_write_str(w, i->routing);
    qd_write_u8(w, (uint8_t)i->version_type);
    qd_write_zigzag(w, i->version);
    qd_write_zigzag(w, i->if_seq_no);
    qd_write_zigzag(w, i->if_primary_term);
    qd_write_str(w, source);
}

static uint8_t read_doc(qd_body_reader *r, doc_item *i)
{
    qdi_item_init(i);
    uint8_t bits = qd_read_u8(r, "bits of a document");
    i->op = bits & BIT_UPDATE ? DOC_UPDATE : DOC_INDEX;
    i->index = qd_read_str(r, "index", TEXT_MAX);
    i->id = qd_read_str(r, "id", TEXT_MAX);
    i->routing = qd_read_str(r, "routing", TEXT_MAX);
    if (!(bits & BIT_ID)) i->id = (qd_str){NULL, 0};
    if (!(bits & BIT_ROUTING)) i->routing = (qd_str){NULL, 0};
    i->has_version = bits & BIT_VERSION;
    uint8_t type = qd_read_u8(r, "version type");
    if (type > QD_VERSION_EXTERNAL_GTE) qd_body_reader_fail(r, "version type", "is not known");
    i->version_type = (qd_version_type)type;
    i->version = qd_read_zigzag(r, "version");
    i->if_seq_no = qd_read_zigzag(r, "if_seq_no");
    i->if_primary_term = qd_read_zigzag(r, "if_primary_term");
    i->source = qd_read_str(r, "source", TEXT_MAX);
    return bits;
}

/* --- asking --- */

static void encode(qd_writer *w, const doc_item *items, const doc_ingest *work, size_t n)
{
    qd_write_array(w, n);
    for (size_t k = 0; k < n; k++) {
        write_doc(w, &items[work[k].item], work[k].source, work[k].pipeline.p != NULL);
        qd_write_str(w, work[k].pipeline);
        qd_write_str(w, work[k].final);
    }
}

static qd_str kept(qd_body_reader *r, qd_arena *arena, qd_str s)
{
    if (!s.p) return s;
    qd_str out = qd_arena_str(arena, s);
    if (!out.p && s.n) qd_body_reader_nomem(r, "text");
    return out.p ? out : QD_STR("");
}

static int take_changed(qd_body_reader *r, doc_item *i, const doc_ingest *w, qd_arena *arena,
                        qd_err *err)
{
    doc_item now;
    (void)read_doc(r, &now);
    qd_ingest_doc d = {.index = kept(r, arena, now.index),
                       .id = kept(r, arena, now.id),
                       .routing = kept(r, arena, now.routing),
                       .source = kept(r, arena, now.source),
                       .has_version = now.has_version,
                       .version = now.version,
                       .has_seq_no = now.if_seq_no != QD_SEQ_NO_UNASSIGNED,
                       .if_seq_no = now.if_seq_no,
                       .if_primary_term = now.if_primary_term};
    if (now.version_type == QD_VERSION_EXTERNAL) d.version_type = QD_STR("external");
    if (now.version_type == QD_VERSION_EXTERNAL_GTE) d.version_type = QD_STR("external_gte");
    return qd_body_reader_bad(r) ? 0 : qdi_ingest_take(i, w, &d, arena, err);
}

static int take_answer(qd_str body, uint16_t version, doc_item *items, const doc_ingest *work,
                       size_t n, qd_arena *arena, qd_err *err)
{
    qd_body_reader r;
    int rc = 0;
    qd_body_reader_init(&r, body, "documents of a pipeline", version);
    if (qd_read_array(&r, "documents", n, 1) != n)
        qd_body_reader_fail(&r, "documents", "are others");
    for (size_t k = 0; k < n && !rc && !qd_body_reader_bad(&r); k++) {
        doc_item *i = &items[work[k].item];
        uint8_t what = qd_read_u8(&r, "outcome");
        if (what == OUT_DROPPED) {
            qdi_ingest_drop(i);
        } else if (what == OUT_CHANGED) {
            rc = take_changed(&r, i, &work[k], arena, err);
        } else {
            qd_err why;
            qd_err_init(&why);
            qd_read_err(&r, &why);
            i->concrete = i->index;
            if (!qd_body_reader_bad(&r)) qdi_item_fail(i, arena, &why);
            qd_err_fini(&why);
        }
    }
    return rc ? rc : qd_body_reader_check(&r, err);
}

static int ask(qd_actions *a, qd_state *s, qd_task *task, int64_t timeout_ms, qd_str node,
               doc_item *items, const doc_ingest *work, size_t n, qd_arena *arena, qd_err *err)
{
    qd_asks *asks;
    qd_writer w;
    qd_str body;
    uint16_t version;
    uint32_t ms = timeout_ms > 0 && timeout_ms < UINT32_MAX ? (uint32_t)timeout_ms : 0;
    int rc = qdi_asks_begin(a, s, task, 1, ms, &asks, err);
    if (rc) return rc;
    qd_writer_init(&w, a->account, BODY_MAX, qdi_ask_version(a, s, node));
    encode(&w, items, work, n);
    uint32_t question = qdi_ask(asks, node, QD_ACTION_DOCS_INGEST, &w);
    qdi_asks_wait(asks);
    rc = qdi_answer(asks, question, &body, &version, err);
    if (!rc) rc = take_answer(body, version, items, work, n, arena, err);
    qdi_asks_end(asks);
    return rc;
}

int qdi_ingest_there(qd_actions *a, qd_state *s, qd_task *task, int64_t timeout_ms, doc_item *items,
                     const doc_ingest *work, size_t n, qd_arena *arena, qd_err *err)
{
    uint32_t first = s->nnodes ? (uint32_t)(qd_env_random_u64(a->env) % s->nnodes) : 0, asked = 0;
    int rc = QD_E_STATE;
    for (uint32_t k = 0; k < s->nnodes; k++) {
        const qd_node_meta *node = &s->nodes[(first + k) % s->nnodes];
        if (qd_str_find(node->roles, 'i') < 0 || qd_str_eq(node->id, a->node_id)) continue;
        if (asked++) qd_err_fini(err);
        rc = ask(a, s, task, timeout_ms, node->id, items, work, n, arena, err);
        if (rc != QD_E_CLOSED && rc != QD_E_TIMEOUT && rc != QD_E_REJECTED) return rc;
    }
    if (asked) return rc;
    rc = qd_err_set(err, QD_E_STATE,
                    "There are no ingest nodes in this cluster, unable to forward request to an "
                    "ingest node.");
    qd_err_type(err, "illegal_state_exception", 500);
    return rc;
}

/* --- answering --- */

static void write_outcome(qd_writer *w, const doc_item *i)
{
    qd_err none;
    if (i->rc) {
        qd_write_u8(w, OUT_FAILED);
        qd_err_init(&none);
        if (!i->err) (void)qd_err_set(&none, i->rc, "out of memory: details of the failure");
        qd_write_err(w, i->err ? i->err : &none);
        qd_err_fini(&none);
    } else if (i->dropped) {
        qd_write_u8(w, OUT_DROPPED);
    } else {
        qd_write_u8(w, OUT_CHANGED);
        write_doc(w, i, i->source, false);
    }
}

static int answer(qdi_served *s)
{
    uint32_t n = (uint32_t)qd_read_array(&s->in, "documents", QDI_WIRE_ITEMS_MAX, 10);
    doc_item *items = qd_arena_alloc(&s->arena, (n + 1ul) * sizeof *items);
    doc_ingest *work = qd_arena_calloc(&s->arena, (n + 1ul) * sizeof *work);
    if (!items || !work) return qd_err_nomem(&s->err, "documents of a pipeline");
    for (uint32_t k = 0; k < n; k++) {
        uint8_t bits = read_doc(&s->in, &items[k]);
        items[k].op = DOC_INDEX; /* of an update only the document came */
        work[k].item = k;
        work[k].pipeline = qd_read_str(&s->in, "pipeline", TEXT_MAX);
        work[k].final = qd_read_str(&s->in, "final pipeline", TEXT_MAX);
        work[k].source = items[k].source;
        if (!(bits & BIT_PIPELINE)) work[k].pipeline = (qd_str){NULL, 0};
    }
    int rc = qd_body_reader_check(&s->in, &s->err);
    if (rc) return rc;
    rc = qdi_ingest_here(s->a, &s->task, items, work, n, &s->arena, &s->err);
    if (rc) return rc;
    qd_write_array(&s->out, n);
    for (uint32_t k = 0; k < n; k++) {
        write_outcome(&s->out, &items[k]);
        qdi_item_fini(&items[k]);
    }
    return 0;
}

void qdi_docs_ingest_handle(void *arg, qd_rpc_request *request)
{
    qdi_served s;
    qdi_served_begin(&s, arg, request, QD_ACTION_DOCS_INGEST, "documents of a pipeline", BODY_MAX);
    int rc = s.a->pipelines ? answer(&s) : qd_err_set(&s.err, QD_E_STATE, "no pipelines run here");
    qdi_served_end(&s, rc, "documents of a pipeline");
}
