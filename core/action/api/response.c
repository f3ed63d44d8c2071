/* response.c: answers and errors in Elasticsearch's shape. See action.h. */
#include "action/action_int.h"
#include "base/str.h"
#include <string.h>

void qd_response_init(qd_response *r, qd_buf *out, bool pretty)
{
    *r = (qd_response){.status = 200, .format = QD_FORMAT_JSON, .out = out};
    qd_json_writer_init(&r->w, out, pretty);
}

/* type, reason, details, caused_by: the members of one error. */
static void members(qd_json_writer *w, const qd_err *e, uint32_t depth)
{
    qd_json_field_c(w, "type", qd_err_es_type(e));
    qd_json_field_c(w, "reason", qd_err_reason(e));
    for (uint32_t i = 0; i < e->ndetails; i++) {
        const qd_err_detail *d = &e->details[i];
        if (strcmp(d->key, QD_ERR_ROOT_CAUSE) == 0) continue;
        qd_json_key_c(w, d->key);
        if (d->raw) {
            qd_json_raw_value(w, qd_str_c(d->value));
        } else {
            qd_json_c(w, d->value);
        }
    }
    if (e->cause && depth < 16) {
        qd_json_key_c(w, "caused_by");
        qd_json_object(w);
        members(w, e->cause, depth + 1);
        qd_json_object_end(w);
    }
}

void qd_error_write(qd_json_writer *w, const qd_err *err)
{
    qd_json_object(w);
    members(w, err, 0);
    qd_json_object_end(w);
}

/* Is it one of Elasticsearch's own exceptions? Those of Java's library and of the parser's are not.
 */
static bool own(int code)
{
    switch (code) {
    case QD_E_PARSE:
    case QD_E_ES_PARSE:
    case QD_E_MAPPER_PARSING:
    case QD_E_STRICT_MAPPING:
    case QD_E_DOC_PARSING:
    case QD_E_QUERY_SHARD:
        return true;
    default:
        return false;
    }
}

/* Elasticsearch's root cause: the innermost of its own exceptions; what a declared parser wraps
 * (x_content_parse_exception "failed to parse field") counts, not the wrapping. */
const qd_err *qdi_error_root(const qd_err *e)
{
    while (e->cause && (own(e->code) || e->code == QD_E_XCONTENT)) {
        int code = e->cause->code;
        if (!own(code) && !(e->code == QD_E_XCONTENT && code == QD_E_XCONTENT)) break;
        e = e->cause;
    }
    return e;
}

void qd_error_write_root(qd_json_writer *w, const qd_err *err)
{
    const qd_err *root = qdi_error_root(err);
    qd_json_object(w);
    qd_json_key_c(w, QD_ERR_ROOT_CAUSE);
    for (uint32_t i = 0; i < err->ndetails; i++) { /* errors of many shards bring their own */
        if (strcmp(err->details[i].key, QD_ERR_ROOT_CAUSE) != 0) continue;
        qd_json_raw_value(w, qd_str_c(err->details[i].value));
        members(w, err, 0);
        qd_json_object_end(w);
        return;
    }
    qd_json_array(w);
    qd_json_object(w);
    qd_json_field_c(w, "type", qd_err_es_type(root));
    qd_json_field_c(w, "reason", qd_err_reason(root));
    for (uint32_t i = 0; i < root->ndetails; i++) {
        qd_json_key_c(w, root->details[i].key);
        if (root->details[i].raw) {
            qd_json_raw_value(w, qd_str_c(root->details[i].value));
        } else {
            qd_json_c(w, root->details[i].value);
        }
    }
    qd_json_object_end(w);
    qd_json_array_end(w);
    members(w, err, 0);
    qd_json_object_end(w);
}

void qd_response_error(qd_response *r, const qd_err *err, bool error_trace)
{
    bool pretty = r->w.pretty;
    qd_buf_reset(r->out);
    qd_json_writer_init(&r->w, r->out, pretty);
    r->status = qd_err_status(err);
    r->format = QD_FORMAT_JSON;
    r->is_error = true;
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "error");
    qd_error_write_root(&r->w, err);
    if (error_trace && err->file) {
        qd_json_key_c(&r->w, "stack_trace");
        qd_json_printf(&r->w, "%s:%d", err->file, err->line);
    }
    qd_json_field_int(&r->w, "status", r->status);
    qd_json_object_end(&r->w);
}

void qd_response_acknowledged(qd_response *r)
{
    qd_json_object(&r->w);
    qd_json_field_bool(&r->w, "acknowledged", true);
    qd_json_object_end(&r->w);
}

const char *qd_status_name(int status)
{
    static const struct {
        int status;
        const char *name;
    } names[] = {
        {400, "BAD_REQUEST"},
        {403, "FORBIDDEN"},
        {404, "NOT_FOUND"},
        {405, "METHOD_NOT_ALLOWED"},
        {406, "NOT_ACCEPTABLE"},
        {409, "CONFLICT"},
        {410, "GONE"},
        {413, "REQUEST_ENTITY_TOO_LARGE"},
        {429, "TOO_MANY_REQUESTS"},
        {501, "NOT_IMPLEMENTED"},
        {503, "SERVICE_UNAVAILABLE"},
        {504, "GATEWAY_TIMEOUT"},
        {507, "INSUFFICIENT_STORAGE"},
    };
    for (size_t i = 0; i < QD_COUNT_OF(names); i++) {
        if (names[i].status == status) return names[i].name;
    }
    return "INTERNAL_SERVER_ERROR";
}

void qd_shards_write(qd_json_writer *w, uint32_t total, uint32_t successful, uint32_t failed)
{
    qd_json_key_c(w, "_shards");
    qd_json_object(w);
    qd_json_field_int(w, "total", total);
    qd_json_field_int(w, "successful", successful);
    qd_json_field_int(w, "failed", failed);
    qd_json_object_end(w);
}
