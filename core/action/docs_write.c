/* docs_write.c: index, create, delete, update of one document. */
#include "action/docs_int.h"
#include "base/str.h"

#define TIMEOUT_MS 60000

/* The new source in the answer of an update that asked for it. */
static int write_got(const qd_request *q, const doc_item *i, qd_json_writer *w, qd_err *err)
{
    doc_source s;
    int rc = qdi_source_param(q, &s, err);
    bool asked = qd_param_has(q, "_source") || qd_param_has(q, "_source_includes") ||
                 qd_param_has(q, "_source_excludes");
    if (rc || !asked || !s.want || i->op != DOC_UPDATE || !i->got_source.p) return rc;
    qd_json_key_c(w, "get");
    qd_json_object(w);
    qd_json_field_int(w, "_seq_no", i->done.seq_no);
    qd_json_field_int(w, "_primary_term", (int64_t)i->done.primary_term);
    qd_json_field_bool(w, "found", true);
    qd_json_key_c(w, "_source");
    rc = qdi_source_write(&s, i->got_source, w, err);
    qd_json_object_end(w);
    return rc;
}

static int write_one(qd_request *q, qd_response *r, doc_op op, qd_err *err)
{
    doc_batch b;
    doc_item i;
    doc_refresh refresh;
    int64_t timeout;
    qdi_item_init(&i);
    i.op = op;
    int rc = qd_param_ms(q, "timeout", TIMEOUT_MS, &timeout, err);
    if (!rc) rc = qdi_refresh_param(q, &refresh, err);
    if (!rc) rc = qdi_item_params(q, &i, err);
    if (rc) {
        qdi_item_fini(&i);
        return rc;
    }
    qdi_batch_begin(&b, q->a, q->arena, &q->task, timeout);
    qdi_batch_apply(&b, &i);
    qdi_batch_sync(&b, &i, 1);
    qdi_batch_refresh(&b, refresh, &i, 1);
    qdi_batch_end(&b);
    if (i.rc) {
        rc = i.rc;
        qd_err_copy(err, &i.err);
    } else {
        r->status = i.status;
        qd_json_object(&r->w);
        qdi_item_write(&i, q->a, false, &r->w);
        rc = write_got(q, &i, &r->w, err);
        qd_json_object_end(&r->w);
    }
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
