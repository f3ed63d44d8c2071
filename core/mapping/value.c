/* value.c: values of requests and answers, by the row of the field's type. */
#include "mapping/type_int.h"

void qd_field_bare(qd_field *f, qd_str type, qd_str name)
{
    const struct qd_field_type *t = qdi_field_type(type);
    qd_assert(t);
    *f = (qd_field){.type = t,
                    .value_class = t->value_class,
                    .number = t->number,
                    .dates = t->dates,
                    .name = name,
                    .leaf = name,
                    .doc_values = true,
                    .format = qd_date_format_default()};
}

bool qd_field_type_known(qd_str type)
{
    return qdi_field_type(type) != NULL;
}

const char *qd_field_type_name(const qd_field *f)
{
    return f->type->name;
}

const char *qd_field_family(const qd_field *f)
{
    return f->type->family ? f->type->family : f->type->name;
}

bool qd_field_is_numeric(const qd_field *f)
{
    return f->type->numeric;
}

double qd_field_f64(const qd_field *f, int64_t column)
{
    return f->type->f64 ? f->type->f64(f, column) : 0;
}

int64_t qd_field_from_f64(const qd_field *f, double v)
{
    return f->type->from_f64 ? f->type->from_f64(f, v) : 0;
}

int qd_field_term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                  qd_err *err)
{
    return f->type->term(f, v, ctx, out, err);
}

int qd_field_range(const qd_field *f, const qd_query_value *lo, bool lo_inclusive,
                   const qd_query_value *hi, bool hi_inclusive, const qd_value_ctx *ctx,
                   qd_point out[2], qd_err *err)
{
    return f->type->range(f, lo, lo_inclusive, hi, hi_inclusive, ctx, out, err);
}

void qd_field_write(const qd_field *f, int64_t column, const qd_date_format *format,
                    const qd_zone *zone, qd_json_writer *w)
{
    if (f->type->write)
        f->type->write(f, column, format, zone, w);
    else
        qd_json_int(w, column);
}

int qd_field_show_object(const qd_field *f, const struct qd_json_node *n,
                         const qd_date_format *format, qd_json_writer *w)
{
    return f->type->show ? f->type->show(f, n, format, w) : 1;
}

size_t qd_field_text(const qd_field *f, int64_t column, const qd_date_format *format,
                     const qd_zone *zone, char out[128])
{
    if (f->dates) return qd_date_print(format ? format : f->format, column, zone, out);
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, 127);
    qd_json_writer_init(&w, &b, false);
    qd_field_write(f, column, format, zone, &w);
    size_t n = b.n;
    if (n) memcpy(out, b.p, n);
    out[n] = 0;
    qd_buf_fini(&b);
    return n;
}

int qd_field_shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out)
{
    *out = (qd_point){0};
    return f->type->shown(f, v, ctx, out) != 0;
}

void qd_field_write_bytes(const qd_field *f, qd_str bytes, qd_json_writer *w)
{
    char text[46];
    if (f->value_class == QD_VALUE_IP && bytes.n == 16)
        bytes = (qd_str){text, qd_ip_print(text, (const uint8_t *)bytes.p)};
    qd_json_str(w, bytes);
}

void qd_field_write_shown(const qd_field *f, const qd_point *v, const qd_date_format *format,
                          qd_json_writer *w)
{
    if (f->value_class == QD_VALUE_OPAQUE && !v->i64)
        qd_json_raw_value(w, v->bytes); /* a number, true or false as the source has it */
    else if (f->value_class == QD_VALUE_TEXT || f->value_class == QD_VALUE_TERM ||
             f->value_class == QD_VALUE_OPAQUE || f->value_class == QD_VALUE_RANGE)
        qd_json_str(w, v->bytes);
    else if (f->value_class == QD_VALUE_IP)
        qd_field_write_bytes(f, (qd_str){(const char *)v->ip, 16}, w);
    else
        qd_field_write(f, v->i64, format, NULL, w);
}
