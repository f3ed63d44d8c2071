/*
 * services_json.c: the json service: qd_json_in is a qd_json_reader, qd_json_out a qd_json_writer.
 * A plugin's misuse of the writer is ignored rather than asserted: the text is the plugin's.
 */
#include "plugin/host_int.h"
#include "json/reader.h"
#include "json/writer.h"

static const uint32_t event_types[] = {
    [QD_JSON_EOF] = QD_JEV_END,
    [QD_JSON_OBJECT] = QD_JEV_OBJECT,
    [QD_JSON_OBJECT_END] = QD_JEV_OBJECT_END,
    [QD_JSON_ARRAY] = QD_JEV_ARRAY,
    [QD_JSON_ARRAY_END] = QD_JEV_ARRAY_END,
    [QD_JSON_KEY] = QD_JEV_KEY,
    [QD_JSON_STRING] = QD_JEV_STRING,
    [QD_JSON_NUMBER] = QD_JEV_FLOAT,
    [QD_JSON_TRUE] = QD_JEV_TRUE,
    [QD_JSON_FALSE] = QD_JEV_FALSE,
    [QD_JSON_NULL] = QD_JEV_NULL,
};

static qd_json_reader *reader_of(qd_json_in *in)
{
    return (qd_json_reader *)(void *)in;
}

static int32_t json_next(qd_json_in *in, qd_jev *out, qd_err *err)
{
    qd_json_reader *r = reader_of(in);
    qd_json_event ev = qd_json_next(r);
    if (ev == QD_JSON_ERROR) return qd_json_fail(r, err);
    memset(out, 0, sizeof *out);
    out->type = event_types[ev];
    if (ev == QD_JSON_KEY || ev == QD_JSON_STRING || ev == QD_JSON_NUMBER) out->text = r->text;
    if (ev != QD_JSON_NUMBER) return 0;
    if (qd_json_f64(r, &out->number))
        return qd_json_err_at(r, err, QD_E_PARSE, "number out of range");
    if (qd_json_i64(r, &out->integer) == 0) out->type = QD_JEV_INT;
    return 0;
}

static int32_t json_skip(qd_json_in *in, qd_err *err)
{
    qd_json_reader *r = reader_of(in);
    return qd_json_skip(r) ? qd_json_fail(r, err) : 0;
}

static int32_t json_text(qd_json_in *in, qd_str *raw, qd_err *err)
{
    qd_json_reader *r = reader_of(in);
    return qd_json_raw(r, raw) ? qd_json_fail(r, err) : 0;
}

static int32_t json_error(qd_json_in *in, qd_err *err, int32_t code, qd_str reason)
{
    return qd_json_err_at(reader_of(in), err, code, "%.*s", QD_STR_ARG(reason));
}

static bool in_array(const qd_json_writer *w)
{
    uint32_t level = w->depth - 1;
    return w->depth > 0 && (w->arrays[level / 64] >> (level % 64) & 1);
}

static bool may_put(const qd_json_writer *w, uint32_t type)
{
    bool in_object = w->depth > 0 && !in_array(w);
    switch (type) {
    case QD_JEV_KEY:
        return in_object && !w->after_key;
    case QD_JEV_OBJECT_END:
        return in_object && !w->after_key;
    case QD_JEV_ARRAY_END:
        return in_array(w);
    case QD_JEV_OBJECT:
    case QD_JEV_ARRAY:
        if (w->depth + 1 >= QD_JSON_WRITE_DEPTH_MAX) return false;
        return !in_object || w->after_key;
    default:
        return !in_object || w->after_key;
    }
}

static void json_put(qd_json_out *out, const qd_jev *ev)
{
    qd_json_writer *w = (qd_json_writer *)(void *)out;
    if (!may_put(w, ev->type)) return;
    switch (ev->type) {
    case QD_JEV_OBJECT:
        qd_json_object(w);
        break;
    case QD_JEV_OBJECT_END:
        qd_json_object_end(w);
        break;
    case QD_JEV_ARRAY:
        qd_json_array(w);
        break;
    case QD_JEV_ARRAY_END:
        qd_json_array_end(w);
        break;
    case QD_JEV_KEY:
        qd_json_key(w, ev->text);
        break;
    case QD_JEV_STRING:
        qd_json_str(w, ev->text);
        break;
    case QD_JEV_INT:
        qd_json_int(w, ev->integer);
        break;
    case QD_JEV_FLOAT:
        qd_json_double(w, ev->number);
        break;
    case QD_JEV_TRUE:
        qd_json_bool(w, true);
        break;
    case QD_JEV_FALSE:
        qd_json_bool(w, false);
        break;
    default:
        qd_json_null(w);
        break;
    }
}

static qd_json_in *json_open(qd_self *self, qd_str text, qd_err *err)
{
    qd_json_reader *r = qd_alloc(&self->account, sizeof *r);
    if (!r) {
        (void)qd_err_nomem(err, "a JSON reader");
        return NULL;
    }
    *r = QD_JSON_READER(&self->account);
    qd_json_reader_init(r, text, QD_JSON_REQUEST, 0);
    return (qd_json_in *)(void *)r;
}

static void json_close(qd_json_in *in)
{
    if (!in) return;
    qd_json_reader_fini(reader_of(in));
    qd_free(in);
}

const qd_svc_json qdi_svc_json = {
    {sizeof(qd_svc_json), QD_ABI_MAJOR, QD_ABI_MINOR, 0},
    json_next,
    json_skip,
    json_text,
    json_error,
    json_put,
    json_open,
    json_close,
};
