/*
 * write.c: results as Elasticsearch writes them: the tree, and the members that types share.
 */
#include "aggs/reduce/reduce_int.h"
#include <math.h>
#include <stdio.h>

void qdi_aggs_write_value(qd_json_writer *w, const qdi_format *f, const char *key,
                          const char *text_key, double v, bool has)
{
    qd_json_key_c(w, key);
    if (!has || !isfinite(v)) {
        qd_json_null(w);
        return;
    }
    qd_json_double(w, v);
    if (f->kind == QDI_FMT_RAW || f->kind == QDI_FMT_IP || f->kind == QDI_FMT_TEXT_COLUMN) return;
    char text[128];
    size_t n = qdi_aggs_format_f64(f, v, text);
    qd_json_field_str(w, text_key, (qd_str){text, n});
}

void qdi_aggs_write_text(const qdi_format *f, const char *key, double v, qd_json_writer *w)
{
    char text[128];
    qd_json_key_c(w, key);
    if (f->kind == QDI_FMT_BOOL) {
        qd_json_bool(w, v != 0);
        return;
    }
    size_t n = qdi_aggs_format_f64(f, v, text);
    qd_json_str(w, (qd_str){text, n});
}

/* Keys that are numbers with a fraction. */
static bool real_key(const qdi_out *o)
{
    return o->def->type->key_real || o->kind == QDI_F64;
}

static double key_f64(const qdi_out *o, int64_t key)
{
    if (o->def->type->key_real) return o->def->type->key_real(o->def, key);
    return o->kind == QDI_F64 ? qd_sortable_to_f64(key) : (double)key;
}

qd_str qdi_aggs_bucket_key_text(const qdi_out *o, uint32_t i, char out[128])
{
    const qdi_bucket_out *b = &o->b[i];
    const qdi_format *f = qdi_aggs_format_of(o);
    size_t n;
    if (o->def->type->key_text) return o->def->type->key_text(o, i, out);
    if (o->kind == QDI_ORD) {
        if (f->kind == QDI_FMT_TEXT_COLUMN) return qd_field_column_term(o->bound->field, b->bytes);
        if (f->kind != QDI_FMT_IP || b->bytes.n != 16) return b->bytes;
        n = qd_ip_print(out, (const uint8_t *)b->bytes.p);
    } else if (real_key(o)) {
        n = qdi_aggs_format_f64(f, key_f64(o, b->key), out);
    } else {
        n = qdi_aggs_format_i64(f, b->key, out);
    }
    return (qd_str){out, n};
}

void qdi_aggs_write_key(const qdi_out *o, uint32_t i, bool text_first, qd_json_writer *w)
{
    char text[128];
    const qdi_bucket_out *b = &o->b[i];
    const qdi_format *f = qdi_aggs_format_of(o);
    qd_str s = qdi_aggs_bucket_key_text(o, i, text);
    bool as_string = f->kind != QDI_FMT_RAW && f->kind != QDI_FMT_IP && o->kind != QDI_ORD &&
                     (f->kind != QDI_FMT_U64 || f->pattern.p);
    if (as_string && text_first) qd_json_field_str(w, "key_as_string", s);
    qd_json_key_c(w, "key");
    if (o->kind == QDI_ORD)
        qd_json_str(w, s);
    else if (real_key(o))
        qd_json_double(w, key_f64(o, b->key));
    else if (f->kind == QDI_FMT_U64)
        qd_json_uint(w, qd_u64_decode(b->key));
    else
        qd_json_int(w, b->key);
    if (as_string && !text_first) qd_json_field_str(w, "key_as_string", s);
}

void qdi_aggs_bucket_end(const qdi_out *o, const qdi_bucket_out *b, bool with_error, bool typed,
                         qd_json_writer *w)
{
    qd_json_key_c(w, "doc_count");
    qd_json_uint(w, b->docs);
    if (with_error) qd_json_field_int(w, "doc_count_error_upper_bound", b->error);
    if (b->subs) qdi_aggs_write_subs(b->subs, o->def->nsubs, typed, w);
    qd_json_object_end(w);
}

void qdi_aggs_buckets_open(bool keyed, qd_json_writer *w)
{
    qd_json_key_c(w, "buckets");
    if (keyed)
        qd_json_object(w);
    else
        qd_json_array(w);
}

void qdi_aggs_buckets_close(bool keyed, qd_json_writer *w)
{
    if (keyed)
        qd_json_object_end(w);
    else
        qd_json_array_end(w);
}

void qdi_aggs_write_single(const qdi_out *o, bool typed, qd_json_writer *w)
{
    (void)typed;
    double v = qdi_aggs_out_value(o, (qd_str){NULL, 0});
    qdi_aggs_write_value(w, qdi_aggs_format_of(o), "value", "value_as_string", v, true);
}

void qdi_aggs_write_subs(qdi_out *const *subs, uint32_t n, bool typed, qd_json_writer *w)
{
    for (uint32_t i = 0; i < n; i++) {
        const qdi_out *o = subs[i];
        if (!o || o->def->type->flags & QDI_SILENT) continue;
        if (typed) {
            char prefix[64];
            int k =
                snprintf(prefix, sizeof prefix, "%s#",
                         o->def->type->typed_key ? o->def->type->typed_key(o) : o->def->type->key);
            char name[512];
            qd_str s = o->def->name;
            if (s.n > sizeof name - 64) s.n = sizeof name - 64;
            memcpy(name, prefix, (size_t)k);
            memcpy(name + k, s.p, s.n);
            qd_json_key(w, (qd_str){name, (size_t)k + s.n});
        } else {
            qd_json_key(w, o->def->name);
        }
        qd_json_object(w);
        if (o->def->meta.p) {
            qd_json_key_c(w, "meta");
            qd_json_raw_value(w, o->def->meta);
        }
        o->def->type->write(o, typed, w);
        qd_json_object_end(w);
    }
}

void qd_aggs_write(const qd_aggs_result *r, bool typed_keys, qd_json_writer *w)
{
    qd_json_object(w);
    qdi_aggs_write_subs(r->at, r->tree->nroots, typed_keys, w);
    qd_json_object_end(w);
}
