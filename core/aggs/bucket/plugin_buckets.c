/*
 * plugin_buckets.c: the row of buckets of plugins. Orders, sizes, merging and the answer are those
 * of terms; with the buckets travels the version of the plugin that made their keys.
 */
#include "aggs/bucket/plugin_buckets.h"
#include "aggs/bind/bind_int.h"
#include "aggs/bucket/terms_int.h"
#include "aggs/reduce/reduce_int.h"

static uint32_t *version_of(const qdi_out *o)
{
    return &qdi_plugin_buckets_of(o)->version;
}

void qdi_plugin_keys_mark(qdi_out *o)
{
    *version_of(o) = qdi_plugin_row_of(o->def)->vt->result_version;
}

qdi_values qdi_plugin_keys_kind(const qdi_agg *a, qdi_values values)
{
    switch (qdi_plugin_row_of(a)->vt->key_type) {
    case QD_AGGREGATION_I64:
        return QDI_I64;
    case QD_AGGREGATION_F64:
        return QDI_F64;
    case QD_AGGREGATION_TEXT:
        return QDI_ORD;
    default:
        return values;
    }
}

static int buckets_parse(qdi_parse *p, qdi_agg *a)
{
    qdi_terms_sizes sizes;
    int rc = qdi_plugin_parse(p, a);
    if (!rc) rc = qdi_terms_read_sizes(p, a, &sizes);
    return rc ? rc : qdi_terms_set_sizes(p, a, &sizes, 1);
}

/* Keys that are no values of the field are not written in its format. */
static int buckets_bind(qdi_binder *x, qdi_bound *b)
{
    uint32_t type = qdi_plugin_row_of(b->def)->vt->key_type;
    if (type) b->fmt = (qdi_format){.kind = QDI_FMT_RAW};
    if ((type == QD_AGGREGATION_I64 || type == QD_AGGREGATION_F64) && b->def->format.p)
        b->fmt = (qdi_format){.kind = QDI_FMT_DECIMAL, .pattern = b->def->format};
    return qdi_plugin_bind(x, b);
}

static int buckets_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < k; i++)
        if (in[i]->n) rc = qdi_plugin_check_version(out->def, *version_of(in[i]), err);
    qdi_plugin_keys_mark(out);
    if (rc == 0) rc = qdi_terms_reduce(r, in, k, out, err);
    return rc || !r->final ? rc : qdi_plugin_members_wait(r, out, err);
}

static void buckets_send(const qdi_out *o, qd_writer *w)
{
    qd_write_varint(w, *version_of(o));
}

static void buckets_receive(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena)
{
    (void)tree, (void)arena;
    *version_of(o) = (uint32_t)qd_read_varint_max(r, "aggregation.version", UINT32_MAX);
}

static void buckets_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    char text[128];
    bool keyed = o->def->keyed;
    qd_json_field_int(w, "doc_count_error_upper_bound", o->error);
    qd_json_key_c(w, "sum_other_doc_count");
    qd_json_uint(w, o->other);
    qdi_aggs_buckets_open(keyed, w);
    for (uint32_t i = 0; i < o->n; i++) {
        if (keyed) qd_json_key(w, qdi_aggs_bucket_key_text(o, i, text));
        qd_json_object(w);
        qdi_aggs_write_key(o, i, false, w);
        qdi_plugin_members_write(o, i, w);
        qdi_aggs_bucket_end(o, &o->b[i], false, typed, w);
    }
    qdi_aggs_buckets_close(keyed, w);
}

const qd_agg_type qdi_aggs_plugin_buckets = {
    .flags = QDI_MULTI | QDI_VALUES | QDI_STRING_KEYS,
    .params_size = sizeof(qdi_terms),
    .value_size = sizeof(qdi_plugin_buckets),
    .parse = buckets_parse,
    .resolve = qdi_plugin_members_resolve,
    .bind = buckets_bind,
    .ops = &qdi_aggs_plugin_buckets_ops,
    .reduce = buckets_reduce,
    .send = buckets_send,
    .receive = buckets_receive,
    .write = buckets_write,
};
