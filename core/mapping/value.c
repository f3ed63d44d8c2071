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
                    .shown = name,
                    .leaf = name,
                    .doc_values = true,
                    .text_column = t->column_key != NULL,
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

bool qd_field_collapses(const qd_field *f)
{
    return f->type->collapses && !f->slice.n;
}

double qd_field_f64(const qd_field *f, int64_t column)
{
    return f->type->f64 ? f->type->f64(f, column) : 0;
}

int64_t qd_field_from_f64(const qd_field *f, double v)
{
    return f->type->from_f64 ? f->type->from_f64(f, v) : 0;
}

bool qd_field_whole(const qd_field *f, qd_str text, int64_t *out)
{
    uint64_t v;
    if (f->number != QD_NUMBER_UNSIGNED) return qd_str_i64(text, out);
    if (!qd_str_u64(text, &v)) return false;
    *out = qd_u64_encode(v);
    return true;
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
    if (f->dates && f->nanos)
        return qd_date_print_nanos(format ? format : f->format, column, zone, out);
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

static qd_str column_bytes(size_t (*make)(qd_str text, char *out), qd_str term, qd_arena *arena)
{
    char *out = qd_arena_bytes(arena, QD_COLUMN_KEY_ROOM(term.n));
    return out ? (qd_str){out, make(term, out)} : (qd_str){NULL, 0};
}

qd_str qd_field_column_bytes(const qd_field *f, qd_str term, qd_arena *arena)
{
    return f->type->column_bytes ? column_bytes(f->type->column_bytes, term, arena) : term;
}

qd_str qd_field_column_key(const qd_field *f, qd_str term, qd_arena *arena)
{
    return f->type->column_key ? column_bytes(f->type->column_key, term, arena) : term;
}

void qd_field_write_bytes(const qd_field *f, qd_str bytes, qd_json_writer *w)
{
    char text[46];
    if (f->type->write_bytes) {
        f->type->write_bytes(f, bytes, w);
        return;
    }
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

int qdi_no_range(const qd_field *f, const qd_query_value *lo, bool lo_in, const qd_query_value *hi,
                 bool hi_in, const qd_value_ctx *ctx, qd_point out[2], qd_err *err)
{
    (void)lo;
    (void)lo_in;
    (void)hi;
    (void)hi_in;
    (void)ctx;
    (void)out;
    return qd_err_set(err, QD_E_ARG, "Field [%.*s] of type [%s] does not support range queries",
                      QD_STR_ARG(f->name), f->type->name);
}
