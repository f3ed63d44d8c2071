/* doc_stored.c: see doc_stored.h. */
#include "mapping/doc_stored.h"
#include "base/str.h"

bool qd_stored_shown(const qd_field *f)
{
    return f->value_class != QD_VALUE_RANGE && f->value_class != QD_VALUE_OPAQUE &&
           !qd_field_shows_source(f) && !f->constant;
}

static bool is_string(const qd_field *f)
{
    return f->value_class == QD_VALUE_TEXT || f->value_class == QD_VALUE_IP || f->dates;
}

void qd_stored_write(const qd_field *f, const qd_str *v, uint32_t n, qd_json_writer *w)
{
    if (!qd_stored_shown(f)) return;
    qd_json_key(w, f->name);
    qd_json_array(w);
    for (uint32_t i = 0; i < n; i++) {
        if (f->value_class == QD_VALUE_TERM)
            qd_field_write_bytes(f, v[i], w);
        else if (is_string(f))
            qd_json_str(w, v[i]);
        else
            qd_json_raw_value(w, v[i]);
    }
    qd_json_array_end(w);
}

static int on_stored(void *arg, const qd_field *f, const qd_str *v, uint32_t n, qd_err *err)
{
    (void)err;
    qd_stored_write(f, v, n, arg);
    return 0;
}

int qd_stored_of_source(const qd_mapping *m, qd_str source, qd_account *account, qd_buf *out,
                        qd_err *err)
{
    qd_json_writer w;
    qd_err why;
    qd_err_init(&why);
    qd_doc_input in = {.source = source, .has_routing = true};
    qd_doc_result result = {0};
    qd_doc_parser *p = qd_doc_parser_make(account);
    if (!p) return qd_err_nomem(err, "stored fields");
    qd_json_writer_init(&w, out, false);
    qd_json_object(&w);
    qd_doc_sink sink = {.arg = &w, .stored = on_stored};
    int rc = qd_doc_parse(p, m, &in, &sink, &result, &why);
    qd_json_object_end(&w);
    qd_mapping_unref(result.merged);
    qd_doc_parser_free(p);
    bool memory = rc == QD_E_NOMEM || rc == QD_E_BREAKER || qd_buf_status(out);
    qd_err_fini(&why);
    return memory ? qd_err_nomem(err, "stored fields") : 0;
}
