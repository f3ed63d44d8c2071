/* item.c: an operation's parameters, validation and rendering. See documents_int.h. */
#include "action/api/date_name.h"
#include "action/api/words.h"
#include "action/documents/documents_int.h"
#include "base/str.h"
#include <string.h>

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

const char *qdi_version_type_name(qd_version_type t)
{
    return t == QD_VERSION_INTERNAL   ? "INTERNAL"
           : t == QD_VERSION_EXTERNAL ? "EXTERNAL"
                                      : "EXTERNAL_GTE";
}

int qdi_version_type(qd_str v, qd_version_type *out, qd_err *err)
{
    return version_type(v, out, err);
}

static int op_type(const qd_request *q, doc_item *i, qd_err *err)
{
    qd_str v = qd_param(q, "op_type");
    if (i->op != DOC_INDEX) return 0;
    if (!v.p) { /* a document without an id is new */
        if (i->id.n == 0) i->op = DOC_CREATE;
        return 0;
    }
    if (qd_str_ieq(v, QD_STR("create"))) {
        i->op = DOC_CREATE;
    } else if (!qd_str_ieq(v, QD_STR("index"))) {
        return qd_err_set(err, QD_E_ARG, "opType must be 'create' or 'index', found: [%.*s]",
                          QD_STR_ARG(v));
    }
    return 0;
}

int qdi_item_params(const qd_request *q, doc_item *i, qd_err *err)
{
    int64_t seq, term;
    i->index = qd_param(q, "index");
    i->given = qd_param(q, QDI_INDEX_GIVEN);
    i->id = qd_param(q, "id");
    i->routing = qd_param(q, "routing");
    i->pipeline = qd_param(q, "pipeline");
    i->source = q->body;
    i->has_version = qd_param_has(q, "version");
    int rc = qd_param_long(q, "version", QD_VERSION_ANY, &i->version, err);
    i->has_version &= i->version != QD_VERSION_ANY;
    if (!rc) rc = version_type(qd_param(q, "version_type"), &i->version_type, err);
    if (!rc) rc = qd_param_long(q, "if_seq_no", QD_SEQ_NO_UNASSIGNED, &seq, err);
    if (!rc) rc = qd_param_long(q, "if_primary_term", 0, &term, err);
    if (!rc) rc = qd_param_bool(q, "require_alias", false, &i->require_alias, err);
    if (!rc) rc = qd_param_bool(q, "require_data_stream", false, &i->require_stream, err);
    if (!rc) rc = qd_param_i64(q, "retry_on_conflict", 0, &i->retry_on_conflict, err);
    if (!rc) rc = op_type(q, i, err);
    if (rc) return rc;
    if (i->op == DOC_CREATE && i->version == QD_VERSION_DELETED) i->has_version = false;
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

bool qdi_item_noop(const doc_item *i)
{
    return i->result && strcmp(i->result, "noop") == 0;
}

void qdi_item_error_write(const doc_item *i, qd_json_writer *w)
{
    qd_err none;
    qd_err_init(&none);
    if (!i->err) (void)qd_err_set(&none, i->rc, "out of memory: details of the failure");
    qd_error_write(w, i->err ? i->err : &none);
    qd_err_fini(&none);
}

/* The copies that have it; one that has, and could not show it, has failed too. */
static void write_shards(const doc_item *i, bool counts, qd_json_writer *w)
{
    const doc_mark *not = i->unrefreshed;
    if (!not || !counts) {
        qd_shards_write(w, counts ? i->copies : 0, counts ? i->copies_good : 0,
                        counts ? i->copies_failed : 0);
        return;
    }
    qd_json_key_c(w, "_shards");
    qd_json_object(w);
    qd_json_field_int(w, "total", i->copies);
    qd_json_field_int(w, "successful", i->copies_good);
    qd_json_field_int(w, "failed", i->copies_failed + 1);
    qd_json_key_c(w, "failures");
    qd_json_array(w);
    qd_json_object(w);
    qd_json_field_str(w, "_index", i->concrete);
    qd_json_field_int(w, "_shard", i->shard);
    qd_json_field_c(w, "_node", not ->node);
    qd_json_key_c(w, "reason");
    qd_error_write(w, &not ->err);
    qd_json_field_c(w, "status", qd_status_name(qd_err_status(&not ->err)));
    qd_json_field_bool(w, "primary", true);
    qd_json_object_end(w);
    qd_json_array_end(w);
    qd_json_object_end(w);
}

/* What a pipeline dropped: nothing was looked at, so nothing is known of a document. */
static void write_dropped(const doc_item *i, bool bulk, qd_json_writer *w)
{
    qd_json_field_str(w, "_id", i->id.n ? i->id : QD_STR("auto-generated"));
    qd_json_field_int(w, "_version", i->has_version ? i->version : QD_VERSION_ANY);
    qd_json_field_c(w, "result", i->result);
    qd_shards_write(w, 0, 0, 0);
    if (bulk) qd_json_field_int(w, "status", i->status);
}

void qdi_item_write(const doc_item *i, qd_actions *a, bool bulk, qd_json_writer *w)
{
    if (i->rc) {
        qd_json_field_str(w, "_index", i->concrete);
        qdi_type_write(a, w);
        qd_json_key_c(w, "_id");
        if (i->id.n || i->empty_id) {
            qd_json_str(w, i->id.p ? i->id : QD_STR(""));
        } else {
            qd_json_null(w);
        }
        qd_json_field_int(w, "status", i->status);
        qd_json_key_c(w, "error");
        qdi_words_error(a, QDI_WORDS_DOCUMENT, i->err);
        qdi_item_error_write(i, w);
        return;
    }
    qd_json_field_str(w, "_index", i->concrete);
    qdi_type_write(a, w);
    if (i->dropped) {
        write_dropped(i, bulk, w);
        return;
    }
    qd_json_field_str(w, "_id", i->id);
    qd_json_field_int(w, "_version", (int64_t)i->done.version);
    qd_json_field_c(w, "result", i->result);
    bool noop = qdi_item_noop(i);
    if (i->forced_refresh && (bulk || !noop)) qd_json_field_bool(w, "forced_refresh", true);
    /* in a bulk request the shard counts for all of its items */
    bool counts = bulk || !noop;
    write_shards(i, counts, w);
    qd_json_field_int(w, "_seq_no", i->done.seq_no);
    qd_json_field_int(w, "_primary_term", (int64_t)i->done.primary_term);
    if (i->want_source && i->op == DOC_UPDATE && i->got_source.p) write_got(i, w);
    if (bulk) qd_json_field_int(w, "status", i->status);
}
