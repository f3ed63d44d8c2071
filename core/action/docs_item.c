/* docs_item.c: an operation's parameters, validation and rendering. See docs_int.h. */
#include "action/docs_int.h"
#include "base/str.h"
#include <stdio.h>

#define ID_MAX 512 /* bytes */

typedef enum identity { ID_ES7, ID_ES8, ID_ES9, ID_OS2, ID_OS3, ID_ES7102 } identity;

bool qdi_has_types(qd_actions *a)
{
    int64_t id = qd_config_i64(a->config, QD_SET_COMPAT_IDENTITY);
    return id == ID_ES7 || id == ID_ES7102;
}

void qdi_type_write(qd_actions *a, qd_json_writer *w)
{
    if (qdi_has_types(a)) qd_json_field_c(w, "_type", "_doc");
}

int qdi_refresh_param(const qd_request *q, doc_refresh *out, qd_err *err)
{
    qd_str v = qd_param(q, "refresh");
    *out = DOC_REFRESH_NO;
    if (!qd_param_has(q, "refresh") || qd_str_is(v, "false")) return 0;
    if (v.n == 0 || qd_str_is(v, "true")) {
        *out = DOC_REFRESH_NOW;
    } else if (qd_str_is(v, "wait_for")) {
        *out = DOC_REFRESH_WAIT;
    } else {
        return qd_err_set(err, QD_E_ARG, "Unknown value for refresh: [%.*s].", QD_STR_ARG(v));
    }
    return 0;
}

static int version_type(qd_str v, qd_version_type *out, qd_err *err)
{
    if (!v.n || qd_str_is(v, "internal")) {
        *out = QD_VERSION_INTERNAL;
    } else if (qd_str_is(v, "external") || qd_str_is(v, "external_gt")) {
        *out = QD_VERSION_EXTERNAL;
    } else if (qd_str_is(v, "external_gte")) {
        *out = QD_VERSION_EXTERNAL_GTE;
    } else {
        return qd_err_set(err, QD_E_ARG, "No version type match [%.*s]", QD_STR_ARG(v));
    }
    return 0;
}

int qdi_version_type(qd_str v, qd_version_type *out, qd_err *err)
{
    return version_type(v, out, err);
}

static int op_type(const qd_request *q, doc_item *i, qd_err *err)
{
    qd_str v = qd_param(q, "op_type");
    if (!v.p || i->op != DOC_INDEX) return 0;
    if (qd_str_is(v, "create")) {
        i->op = DOC_CREATE;
    } else if (!qd_str_is(v, "index")) {
        return qd_err_set(err, QD_E_ARG, "opType must be 'create' or 'index', found: [%.*s]",
                          QD_STR_ARG(v));
    }
    return 0;
}

int qdi_item_params(const qd_request *q, doc_item *i, qd_err *err)
{
    int64_t seq, term;
    i->index = qd_param(q, "index");
    i->id = qd_param(q, "id");
    i->routing = qd_param(q, "routing");
    i->pipeline = qd_param(q, "pipeline");
    i->source = q->body;
    i->has_version = qd_param_has(q, "version");
    int rc = qd_param_i64(q, "version", -1, &i->version, err);
    if (!rc) rc = version_type(qd_param(q, "version_type"), &i->version_type, err);
    if (!rc) rc = qd_param_i64(q, "if_seq_no", QD_SEQ_NO_UNASSIGNED, &seq, err);
    if (!rc) rc = qd_param_i64(q, "if_primary_term", 0, &term, err);
    if (!rc) rc = qd_param_bool(q, "require_alias", false, &i->require_alias, err);
    if (!rc) rc = qd_param_i64(q, "retry_on_conflict", 0, &i->retry_on_conflict, err);
    if (!rc) rc = op_type(q, i, err);
    if (rc) return rc;
    if (qd_param_has(q, "if_seq_no") && seq < 0) {
        return qd_err_set(err, QD_E_ARG, "sequence numbers must be non negative. got [%lld].",
                          (long long)seq);
    }
    if (qd_param_has(q, "if_primary_term") && term < 0) {
        return qd_err_set(err, QD_E_ARG, "primary term must be non negative. got [%lld]",
                          (long long)term);
    }
    i->if_seq_no = seq;
    i->if_primary_term = term;
    return 0;
}

/* The new source in the answer of an update that asked for it. */
static void write_got(const doc_item *i, qd_json_writer *w)
{
    doc_source s = {.want = true, .filter = (qd_json_filter *)(uintptr_t)i->source_filter};
    qd_json_key_c(w, "get");
    qd_json_object(w);
    qd_json_field_int(w, "_seq_no", i->done.seq_no);
    qd_json_field_int(w, "_primary_term", (int64_t)i->done.primary_term);
    qd_json_field_bool(w, "found", true);
    qd_json_key_c(w, "_source");
    if (qdi_source_write(&s, i->got_source, w, NULL)) qd_json_null(w);
    qd_json_object_end(w);
}

static int invalid(qd_err *err, const char *text)
{
    return qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: %s;", text);
}

int qdi_item_validate(const doc_item *i, qd_err *err)
{
    bool cas = i->if_seq_no != QD_SEQ_NO_UNASSIGNED,
         external = i->version_type != QD_VERSION_INTERNAL;
    if (i->index.n == 0) return invalid(err, "index is missing");
    if ((i->op == DOC_UPDATE || i->op == DOC_DELETE) && i->id.n == 0) {
        return invalid(err, "id is missing");
    }
    if (i->id.n > ID_MAX) {
        return qd_err_set(err, QD_E_VALIDATION,
                          "Validation Failed: 1: id [%.*s] is too long, must be no longer than %d "
                          "bytes but was: %zu;",
                          QD_STR_ARG(i->id), ID_MAX, i->id.n);
    }
    if (cas && i->if_primary_term == 0) {
        return invalid(err, "ifSeqNo is set, but primary term is [0]");
    }
    if (!cas && i->if_primary_term != 0) {
        char text[120];
        snprintf(text, sizeof text, "ifSeqNo is unassigned, but primary term is [%lld]",
                 (long long)i->if_primary_term);
        return invalid(err, text);
    }
    if (cas && external) {
        return invalid(err, "compare and write operations can not use versioning");
    }
    if (i->op == DOC_CREATE && external) {
        return invalid(err,
                       "create operations only support internal versioning. use index instead");
    }
    if (i->op == DOC_CREATE && i->has_version) {
        return invalid(err, "create operations do not support versioning. use index instead");
    }
    if (i->op == DOC_CREATE && cas) {
        return invalid(err, "create operations do not support compare and set. use index instead");
    }
    if (external && i->op == DOC_UPDATE) {
        return invalid(err,
                       "internal versioning can not be used for optimistic concurrency control."
                       " Please use `if_seq_no` and `if_primary_term` instead");
    }
    if (i->has_version && !external) {
        return invalid(err,
                       "internal versioning can not be used for optimistic concurrency control."
                       " Please use `if_seq_no` and `if_primary_term` instead");
    }
    if (external && (!i->has_version || i->version < 0)) {
        char text[120];
        snprintf(text, sizeof text, "illegal version value [%lld] for version type [%s]",
                 (long long)(i->has_version ? i->version : -3),
                 i->version_type == QD_VERSION_EXTERNAL ? "EXTERNAL" : "EXTERNAL_GTE");
        return invalid(err, text);
    }
    if (external && i->id.n == 0) {
        return invalid(err, "an id must be provided if version type or value are set");
    }
    return 0;
}

void qdi_item_write(const doc_item *i, qd_actions *a, bool bulk, qd_json_writer *w)
{
    if (i->rc) {
        qd_json_field_str(w, "_index", i->concrete);
        qdi_type_write(a, w);
        qd_json_key_c(w, "_id");
        if (i->id.n) {
            qd_json_str(w, i->id);
        } else {
            qd_json_null(w);
        }
        qd_json_field_int(w, "status", i->status);
        qd_json_key_c(w, "error");
        qd_error_write(w, &i->err);
        return;
    }
    qd_json_field_str(w, "_index", i->concrete);
    qdi_type_write(a, w);
    qd_json_field_str(w, "_id", i->id);
    qd_json_field_int(w, "_version", (int64_t)i->done.version);
    qd_json_field_c(w, "result", i->result);
    if (i->forced_refresh) qd_json_field_bool(w, "forced_refresh", true);
    bool noop = i->result[0] == 'n' && i->result[2] == 'o';
    qd_shards_write(w, noop ? 0 : i->copies, noop ? 0 : 1, 0);
    qd_json_field_int(w, "_seq_no", i->done.seq_no);
    qd_json_field_int(w, "_primary_term", (int64_t)i->done.primary_term);
    if (i->want_source && i->op == DOC_UPDATE && i->got_source.p) write_got(i, w);
    if (bulk) qd_json_field_int(w, "status", i->status);
}
