/* write.c: index, create, delete, update of one document. */
#include "action/documents/documents_int.h"
#include "action/transport/ask_int.h"
#include "base/str.h"

#define TIMEOUT_MS 60000

/* A body that says nothing must not make an index. */
static int check_update(const qd_request *q, doc_item *i, qd_err *err)
{
    doc_problems p;
    qdi_problems_init(&p, q->a->account);
    int rc = qdi_update_check(i, q->arena, &p, err);
    int bad = qdi_problems_end(&p, rc ? NULL : err);
    return rc ? rc : bad;
}

/* The parameter doc_as_upsert becomes a member of the body, which has the last word. */
static int as_upsert(qd_request *q, doc_item *i, qd_err *err)
{
    bool on;
    qd_json_node *root;
    int rc = qd_param_bool(q, "doc_as_upsert", false, &on, err);
    if (rc || !on || !i->source.n) return rc;
    rc = qd_json_parse(q->arena, i->source, 0, &root, err);
    if (rc || root->type != QD_JSON_T_OBJECT || qd_json_get(root, "doc_as_upsert")) return rc;
    qd_str open = qd_str_sub(root->raw, 0, root->raw.n - 1);
    i->source = qd_arena_printf(q->arena, "%.*s%s\"doc_as_upsert\":true}", QD_STR_ARG(open),
                                root->n ? "," : "");
    return i->source.p ? 0 : qd_err_nomem(err, "update");
}

static int write_somewhere(qd_request *q, doc_item *i, int64_t timeout_ms, int64_t active,
                           doc_marks *marks, doc_run **run, qd_err *err)
{
    doc_request r = {.a = q->a,
                     .task = &q->task,
                     .timeout_ms = timeout_ms,
                     .active = active,
                     .hint = (uint32_t)qd_env_random_u64(q->a->env),
                     .marks = marks};
    return qdi_docs_run(&r, i, 1, i->source.n, q->arena, run, err);
}

static int write_one(qd_request *q, qd_response *r, doc_op op, qd_err *err)
{
    doc_batch b;
    doc_item i;
    doc_marks marks = {0};
    doc_run *run = NULL;
    doc_source want;
    int64_t timeout, active;
    qdi_item_init(&i);
    i.op = op;
    int rc = qd_param_ms(q, "timeout", TIMEOUT_MS, &timeout, err);
    if (!rc) rc = qdi_active_param(q, &active, err);
    if (!rc) rc = qdi_refresh_param(q, &marks.refresh, err);
    if (!rc) rc = qdi_item_params(q, &i, err);
    if (!rc && op == DOC_UPDATE && qdi_source_asked(q)) {
        rc = qdi_source_param(q, &want, err);
        i.want_source = want.want;
        i.source_filter = want.filter;
    }
    if (!rc && op == DOC_UPDATE) rc = as_upsert(q, &i, err);
    if (!rc && op == DOC_UPDATE) rc = check_update(q, &i, err);
    if (rc) {
        qdi_item_fini(&i);
        return rc;
    }
    if (qdi_many_nodes(q->a) || qdi_active_waits(q->a, active)) {
        rc = write_somewhere(q, &i, timeout, active, &marks, &run, err);
    } else {
        bool ran;
        rc = qdi_ingest_items(q->a, &q->task, timeout, &i, 1, q->arena, &ran, err);
        if (!rc && !i.rc && !i.dropped) {
            qdi_batch_begin(&b, q->a, q->arena, &q->task, timeout);
            b.active = active;
            qdi_batch_apply(&b, &i);
            qdi_batch_sync(&b, &i, 1);
            qdi_batch_mark(&b, &marks, &i, 1);
            qdi_batch_end(&b);
        }
    }
    if (!rc) qdi_marks_refresh(&marks, q->a, &q->task);
    if (marks.at.n) i.forced_refresh |= marks.at.at[0].forced;
    qdi_marks_tell(&marks, &i, 1);
    if (rc) {
        qdi_marks_fini(&marks);
        qdi_docs_free(run);
        qdi_item_fini(&i);
        return rc;
    }
    if (i.rc) {
        rc = i.rc;
        if (i.err) {
            qd_err_copy(err, i.err);
        } else {
            rc = qd_err_nomem(err, "the write");
        }
    } else {
        r->status = i.status;
        qd_json_object(&r->w);
        qdi_item_write(&i, q->a, false, &r->w);
        qd_json_object_end(&r->w);
    }
    qdi_marks_fini(&marks);
    qdi_docs_free(run);
    qdi_item_fini(&i);
    return rc;
}

int qdi_api_index(qd_request *q, qd_response *r, qd_err *err)
{
    return write_one(q, r, DOC_INDEX, err);
}

int qdi_api_create(qd_request *q, qd_response *r, qd_err *err)
{
    return write_one(q, r, DOC_CREATE, err);
}

int qdi_api_delete(qd_request *q, qd_response *r, qd_err *err)
{
    return write_one(q, r, DOC_DELETE, err);
}

int qdi_api_update(qd_request *q, qd_response *r, qd_err *err)
{
    return write_one(q, r, DOC_UPDATE, err);
}
