/* sort.c: sort keys under a mapping, values of search_after, sort values of hits. */
#include "action/search/search_int.h"
#include "base/str.h"
#include "cluster/state/index_sort.h"
#include <math.h>

int qdi_search_no_values(const qd_field *f, qd_str name, qd_str index, qd_err *err)
{
    if (f->phrases_apart)
        return qd_err_set(err, QD_E_ARG, "%s fields do not support sorting and aggregations",
                          qd_field_type_name(f));
    if (f->value_class == QD_VALUE_TEXT) {
        return qd_err_set(
            err, QD_E_ARG,
            "Fielddata is disabled on [%.*s] in [%.*s]. Text fields are not optimised for "
            "operations that require per-document field data like aggregations and sorting, so "
            "these operations are disabled by default. Please use a keyword field instead. "
            "Alternatively, set fielddata=true on [%.*s] in order to load field data by "
            "uninverting the inverted index. Note that this can use significant memory.",
            QD_STR_ARG(name), QD_STR_ARG(index), QD_STR_ARG(name));
    }
    return qd_err_set(
        err, QD_E_ARG,
        "Can't load fielddata on [%.*s] because fielddata is unsupported on fields of "
        "type [%s]. Use doc values instead.",
        QD_STR_ARG(name), qd_field_type_name(f));
}

/* --- binding --- */

typedef struct binder {
    const qd_mapping *m;
    qd_str index, uuid;
    qd_arena *arena;
    int64_t now_ms;
} binder;

static search_value_kind kind_of(const qd_field *f)
{
    static const search_value_kind numbers[] = {[QD_NUMBER_INTEGER] = SEARCH_VALUE_I64,
                                                [QD_NUMBER_FLOAT] = SEARCH_VALUE_F32,
                                                [QD_NUMBER_DOUBLE] = SEARCH_VALUE_F64,
                                                [QD_NUMBER_SCALED] = SEARCH_VALUE_F64,
                                                [QD_NUMBER_UNSIGNED] = SEARCH_VALUE_U64};
    if (f->value_class == QD_VALUE_TERM || f->value_class == QD_VALUE_TEXT)
        return SEARCH_VALUE_TERM;
    return f->value_class == QD_VALUE_IP ? SEARCH_VALUE_IP : numbers[f->number];
}

static int value_of(const binder *b, const search_sort_bound *s, qd_str text, bool quoted,
                    qd_sort_value *out, qd_err *err)
{
    const qd_field *f = s->field;
    qd_value_ctx ctx = {.now_ms = b->now_ms, .format = s->format};
    qd_query_value v = {text, quoted};
    qd_point p = {0};
    if (s->kind == SEARCH_VALUE_TERM) {
        out->bytes = f ? qd_field_column_bytes(f, text, b->arena) : text;
        return out->bytes.p ? 0 : qd_err_nomem(err, "sort");
    }
    if (s->kind == SEARCH_VALUE_IP) {
        uint8_t *ip = qd_arena_alloc(b->arena, 16);
        if (!ip) return qd_err_nomem(err, "sort");
        if (!qd_ip_parse(text, ip)) {
            return qd_err_set(err, QD_E_ARG, "'%.*s' is not an IP string literal.",
                              QD_STR_ARG(text));
        }
        out->bytes = (qd_str){(const char *)ip, 16};
        return 0;
    }
    if (s->kind == SEARCH_VALUE_U64) {
        uint64_t u;
        bool exact;
        int rc = qd_u64_parse_decimal(text, &u, &exact);
        out->i64 = qd_u64_encode(u);
        return rc ? qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                               QD_STR_ARG(text))
                  : 0;
    }
    if (!f || s->kind != SEARCH_VALUE_I64 || !f->dates) {
        double d;
        if (s->kind == SEARCH_VALUE_I64 && !qd_str_is(text, "true") && !qd_str_is(text, "false")) {
            bool exact;
            return qd_i64_parse_decimal(text, &out->i64, &exact)
                       ? qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                                    QD_STR_ARG(text))
                       : 0;
        }
        if (s->kind == SEARCH_VALUE_I64) {
            out->i64 = qd_str_is(text, "true");
            return 0;
        }
        if (qd_f64_parse_java(text, &d)) {
            return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                              QD_STR_ARG(text));
        }
        out->i64 = f && f->number == QD_NUMBER_SCALED ? qd_field_from_f64(f, d)
                   : s->kind == SEARCH_VALUE_F64      ? qd_f64_encode(d)
                                                      : qd_f32_encode((float)d);
        return 0;
    }
    /* dates: a number is milliseconds, text is read by the format */
    if (!quoted && qd_str_i64(text, &out->i64)) return 0;
    int rc = qd_field_term(f, v, &ctx, &p, err);
    out->i64 = p.i64;
    return rc < 0 ? rc : 0;
}

static int missing_of(const binder *b, const search_sort_field *s, search_sort_bound *bound,
                      qd_sort_key *k, qd_err *err)
{
    if (!s->missing) return 0;
    qd_str v = qd_json_text(s->missing);
    if (qd_str_is(v, "_last")) return 0;
    if (qd_str_is(v, "_first")) {
        k->missing = QD_SORT_MISSING_FIRST;
        return 0;
    }
    k->missing = QD_SORT_MISSING_VALUE;
    k->missing_value = (qd_sort_value){.kind = (uint8_t)k->kind};
    return value_of(b, bound, v, s->missing->type == QD_JSON_T_STRING, &k->missing_value, err);
}

/* Fields that no mapping knows: the engine's, or unmapped ones with a type to stand in. */
static int bind_unmapped(const binder *b, const search_sort_field *s, search_sort_bound *bound,
                         qd_sort_key *k, qd_err *err)
{
    if (qd_str_is(s->field, "_seq_no") || qd_str_is(s->field, "_version")) {
        k->kind = QD_SORT_I64;
        bound->kind = SEARCH_VALUE_I64;
        return 0;
    }
    if (qd_str_is(s->field, "_ignored")) {
        k->kind = QD_SORT_ORD;
        bound->kind = SEARCH_VALUE_TERM;
        return 0;
    }
    if (qd_str_is(s->field, "_id")) {
        return qd_err_set(
            err, QD_E_ARG,
            "Fielddata access on the _id field is disallowed, you can re-enable it by "
            "updating the dynamic cluster setting: indices.id_field_data.enabled");
    }
    if (qd_str_is(s->field, "_index")) { /* the same for all: a column that nobody has */
        k->kind = QD_SORT_ORD;
        k->missing = QD_SORT_MISSING_VALUE;
        k->missing_value = (qd_sort_value){.kind = QD_SORT_ORD, .bytes = b->index};
        bound->kind = SEARCH_VALUE_TERM;
        return 0;
    }
    if (!s->unmapped_type.n) {
        int rc =
            qd_err_set(err, QD_E_QUERY_SHARD, "No mapping found for [%.*s] in order to sort on",
                       QD_STR_ARG(s->field));
        qd_err_detail_str(err, "index_uuid", b->uuid);
        qd_err_detail_str(err, "index", b->index);
        return rc;
    }
    if (!qd_field_type_known(s->unmapped_type)) {
        return qd_err_set(err, QD_E_ARG, "No mapper found for type [%.*s]",
                          QD_STR_ARG(s->unmapped_type));
    }
    qd_field stands_in;
    qd_field_bare(&stands_in, s->unmapped_type, s->field);
    if (stands_in.value_class == QD_VALUE_TEXT)
        return qdi_search_no_values(&stands_in, s->field, b->index, err);
    bound->kind = kind_of(&stands_in);
    bool ordinal = bound->kind == SEARCH_VALUE_TERM || bound->kind == SEARCH_VALUE_IP;
    k->kind = ordinal ? QD_SORT_ORD : QD_SORT_I64;
    return 0;
}

static int format_of(const binder *b, const search_sort_field *s, search_sort_bound *bound,
                     qd_err *err)
{
    qd_date_format *f;
    if (!s->format.n || !bound->field || !bound->field->dates) return 0;
    int rc = qd_date_format_make(b->arena, s->format, &f, err);
    if (!rc) bound->format = f;
    return rc;
}

/* numeric_type: what the values are cast to, where they are not that already. */
static int cast_of(const binder *b, const search_sort_field *s, search_sort_bound *bound,
                   qd_sort_key *k, qd_err *err)
{
    const qd_field *f = bound->field;
    bool integer = f->number == QD_NUMBER_INTEGER, to_double = qd_str_is(s->numeric_type, "double");
    if (k->kind == QD_SORT_ORD) {
        int rc = qd_err_set(err, QD_E_QUERY_SHARD,
                            "[numeric_type] option cannot be set on a non-numeric field, got %s",
                            qd_field_type_name(f));
        qd_err_detail_str(err, "index_uuid", b->uuid);
        qd_err_detail_str(err, "index", b->index);
        return rc;
    }
    bool nanos = qd_str_is(s->numeric_type, "date_nanos");
    if (nanos || f->number == QD_NUMBER_UNSIGNED)
        return qd_err_set(err, QD_E_ARG,
                          "[numeric_type] [%.*s] is not supported on field [%.*s] of type [%s]",
                          QD_STR_ARG(s->numeric_type), QD_STR_ARG(s->field), qd_field_type_name(f));
    if (to_double ? f->number == QD_NUMBER_DOUBLE : integer) return 0;
    if (k->mode > QD_SORT_MAX)
        return qd_err_set(err, QD_E_ARG,
                          "[numeric_type] [%.*s] with [mode] sum, avg or median is not supported "
                          "on field [%.*s] of type [%s]",
                          QD_STR_ARG(s->numeric_type), QD_STR_ARG(s->field), qd_field_type_name(f));
    k->cast = to_double ? QD_SORT_TO_DOUBLE : QD_SORT_TO_LONG;
    if (f->number == QD_NUMBER_SCALED) k->scale = f->scaling_factor;
    bound->kind = to_double ? SEARCH_VALUE_F64 : SEARCH_VALUE_I64;
    bound->field = NULL; /* what is shown is a number of its own */
    return 0;
}

static int bind_field(const binder *b, const search_sort_field *s, search_sort_bound *bound,
                      qd_sort_key *k, qd_err *err)
{
    int rc;
    const qd_field *f;
    rc = qd_mapping_find(b->m, s->field, b->arena, &f, err);
    if (rc) return rc;
    k->field = s->field;
    k->mode = s->has_mode ? s->mode : s->descending ? QD_SORT_MAX : QD_SORT_MIN;
    if (!f) {
        rc = bind_unmapped(b, s, bound, k, err);
    } else {
        if (!qd_field_has_values(f)) return qdi_search_no_values(f, s->field, b->index, err);
        if (f->blob || f->value_class == QD_VALUE_RANGE)
            return qd_err_set(err, QD_E_ARG, "can't sort on binary field");
        if (f->value_class == QD_VALUE_GEO)
            return qd_err_set(err, QD_E_ARG,
                              "can't sort on geo_point field without using specific sorting "
                              "feature, like geo_distance");
        bound->field = f;
        bound->kind = kind_of(f);
        k->field = f->name;
        k->slice = f->slice;
        k->fielddata = f->fielddata ? f : NULL;
        k->kind = bound->kind == SEARCH_VALUE_TERM || bound->kind == SEARCH_VALUE_IP ? QD_SORT_ORD
                                                                                     : QD_SORT_I64;
        k->number = f->number == QD_NUMBER_DOUBLE     ? QD_SORT_DOUBLE
                    : bound->kind == SEARCH_VALUE_F32 ? QD_SORT_FLOAT
                    : bound->kind == SEARCH_VALUE_U64 ? QD_SORT_UNSIGNED
                                                      : QD_SORT_INTEGER;
        rc = format_of(b, s, bound, err);
    }
    if (!rc && k->kind == QD_SORT_ORD && k->mode > QD_SORT_MAX) {
        rc = qd_err_set(err, QD_E_QUERY_SHARD,
                        "we only support AVG, MEDIAN and SUM on number based fields");
        qd_err_detail_str(err, "index_uuid", b->uuid);
        qd_err_detail_str(err, "index", b->index);
    }
    bool coarser = s->numeric_type.n && !qd_str_is(s->numeric_type, "date_nanos");
    if (!rc && f && f->nanos && coarser)
        rc = qd_err_set(err, QD_E_ARG,
                        "[numeric_type] [%.*s] is not supported on field [%.*s] of type [%s]",
                        QD_STR_ARG(s->numeric_type), QD_STR_ARG(s->field), qd_field_type_name(f));
    else if (!rc && s->numeric_type.n && f && !f->nanos)
        rc = cast_of(b, s, bound, k, err);
    if (!rc && f && f->fixed.p) { /* the same for all: a column that nobody has */
        k->missing = QD_SORT_MISSING_VALUE;
        k->missing_value = (qd_sort_value){.kind = QD_SORT_ORD, .bytes = f->fixed};
        return 0;
    }
    if (rc || qd_str_is(s->field, "_index")) return rc;
    return missing_of(b, s, bound, k, err);
}

int qdi_search_sort_bind(const search_sort *s, const qd_query_context *q, qd_arena *arena,
                         search_keys *out, qd_err *err)
{
    binder b = {q->mapping, q->index, q->index_uuid, arena, q->now_ms};
    int rc = 0;
    out->n = 0;
    out->scores = false;
    for (uint32_t i = 0; i < s->n && !rc; i++) {
        const search_sort_field *f = &s->at[i];
        search_sort_bound *bound = &out->bound[i];
        qd_sort_key *k = &out->keys[i];
        *bound = (search_sort_bound){0};
        *k = (qd_sort_key){.descending = f->descending};
        if (f->geo) {
            rc = qdi_sort_geo_bind(f, q, arena, bound, k, err);
        } else if (qd_str_is(f->field, "_score")) {
            k->kind = QD_SORT_SCORE;
            bound->kind = SEARCH_VALUE_SCORE;
            out->scores = true;
        } else if (f->script) {
            rc = qdi_sort_script_bind(f->script, q, arena, bound, k, err);
        } else if (qd_str_is(f->field, "_doc") || qd_str_is(f->field, "_shard_doc")) {
            k->kind = QD_SORT_DOC;
            bound->kind = SEARCH_VALUE_DOC;
            bound->shard_doc = qd_str_is(f->field, "_shard_doc");
        } else {
            rc = bind_field(&b, f, bound, k, err);
        }
        if (!rc && f->nested) rc = qdi_sort_nested_bind(f->nested, q, arena, &bound->nested, err);
        if (!rc && f->nested && (k->cast || k->slice.n))
            rc = qd_err_set(err, QD_E_UNSUPPORTED,
                            "[nested] is not supported in a sort with [numeric_type] or by a key "
                            "of a flattened field");
        out->n++;
    }
    return rc;
}

bool qdi_search_sort_by_index(const search_keys *k, const qd_values *v)
{
    qd_merge_sort own[QD_MERGE_SORT_MAX];
    uint32_t n, i = 0;
    if (!k->n || qd_index_sort(v, own, &n, NULL)) return false;
    for (; i < k->n && i < n && k->keys[i].kind != QD_SORT_DOC; i++) {
        const qd_sort_key *x = &k->keys[i];
        bool column = (x->kind == QD_SORT_I64 || x->kind == QD_SORT_ORD) && !x->fielddata &&
                      !x->slice.n && !x->cast && !x->geo && !x->nested && !x->script &&
                      !k->bound[i].nested;
        qd_sort_missing missing =
            own[i].missing_first ? QD_SORT_MISSING_FIRST : QD_SORT_MISSING_LAST;
        if (!column || !qd_str_eq(x->field, own[i].field) || x->descending != own[i].descending ||
            x->mode != (own[i].greatest ? QD_SORT_MAX : QD_SORT_MIN) || x->missing != missing)
            return false;
    }
    if (!i) return false;
    if (i < k->n && (k->keys[i].kind != QD_SORT_DOC || k->keys[i].descending)) return false;
    return i + 1 >= k->n;
}

/* --- search_after --- */

static bool missing_goes_high(const qd_sort_key *k)
{
    return (k->missing == QD_SORT_MISSING_LAST) != k->descending;
}

/* A date in the format of its key. The least one stands for a missing value; no nanoseconds lie
 * before 1970. */
static qd_str date_text(const search_sort_bound *b, int64_t v, char out[128])
{
    if (b->field->nanos && v == INT64_MIN) v = 0;
    return (qd_str){out, qd_field_text(b->field, v, b->format, NULL, out)};
}

static int after_value(const binder *b, const qd_json_node *n, const qd_sort_key *k,
                       const search_sort_bound *bound, qd_sort_value *out, qd_err *err)
{
    qd_str text = qd_json_text(n);
    char said[128];
    double d;
    *out = (qd_sort_value){.kind = (uint8_t)k->kind};
    if (n->type == QD_JSON_T_NULL) {
        out->missing = true;
        out->i64 = missing_goes_high(k) ? INT64_MAX : INT64_MIN;
        return 0;
    }
    if (n->type == QD_JSON_T_ARRAY || n->type == QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_PARSE,
                          "Expected [VALUE_STRING] or [VALUE_NUMBER] or [VALUE_BOOLEAN] or "
                          "[VALUE_NULL] but found [%s] inside search_after.",
                          n->type == QD_JSON_T_ARRAY ? "START_ARRAY" : "START_OBJECT");
    }
    if (k->kind == QD_SORT_SCORE) {
        if (qd_f64_parse_java(text, &d)) goto bad;
        out->score = (float)d;
        return 0;
    }
    if (k->kind == QD_SORT_DOC) {
        if (!qd_str_i64(text, &out->i64)) goto bad;
        return 0;
    }
    int64_t extreme = missing_goes_high(k) ? INT64_MAX : INT64_MIN;
    if (k->missing != QD_SORT_MISSING_VALUE && bound->format &&
        qd_str_eq(text, date_text(bound, extreme, said))) {
        out->missing = true;
        out->i64 = extreme;
        return 0;
    }
    qd_err why;
    qd_err_init(&why);
    int rc = value_of(b, bound, text, n->type == QD_JSON_T_STRING, out, &why);
    qd_err_fini(&why);
    if (rc) goto bad;
    /* what stands for a missing value came from an answer and goes back as that */
    if (k->kind == QD_SORT_I64) {
        bool is = bound->kind == SEARCH_VALUE_I64 || bound->kind == SEARCH_VALUE_U64
                      ? out->i64 == extreme
                      : qd_f64_parse_java(text, &d) == 0 && isinf(d) && (d > 0) == (extreme > 0);
        out->missing = k->missing != QD_SORT_MISSING_VALUE && is;
        if (out->missing) out->i64 = extreme;
    }
    return 0;
bad:
    return qd_err_set(err, QD_E_ARG, "Failed to parse search_after value for field [%.*s].",
                      QD_STR_ARG(k->kind == QD_SORT_SCORE ? QD_STR("<score>")
                                 : k->kind == QD_SORT_DOC ? QD_STR("<doc>")
                                                          : k->field));
}

int qdi_search_after_bind(const qd_json_node *after, const search_keys *k, qd_arena *arena,
                          int64_t now_ms, qd_sort_value *out, qd_err *err)
{
    binder b = {.arena = arena, .now_ms = now_ms};
    uint32_t i = 0;
    int rc = 0;
    if (!k->n) return qd_err_set(err, QD_E_ARG, "Sort must contain at least one field.");
    if (after->n != k->n) {
        return qd_err_set(err, QD_E_ARG, "search_after has %u value(s) but sort has %u.", after->n,
                          k->n);
    }
    for (const qd_json_node *n = after->first; n && !rc; n = n->next, i++) {
        rc = after_value(&b, n, &k->keys[i], &k->bound[i], &out[i], err);
    }
    return rc;
}

/* --- values of hits --- */

static void write_number(const search_sort_bound *b, const qd_sort_value *v, qd_json_writer *w)
{
    char text[128];
    if (b->kind == SEARCH_VALUE_U64) {
        qd_json_uint(w, qd_u64_decode(v->i64));
    } else if (v->missing && b->kind != SEARCH_VALUE_I64) {
        qd_json_c(w, v->i64 > 0 ? "Infinity" : "-Infinity");
    } else if (b->kind == SEARCH_VALUE_F64 && b->field && b->field->number == QD_NUMBER_SCALED) {
        qd_json_double(w, qd_field_f64(b->field, v->i64));
    } else if (b->kind == SEARCH_VALUE_F64) {
        qd_json_double(w, qd_f64_decode(v->i64));
    } else if (b->kind == SEARCH_VALUE_F32) {
        qd_json_float(w, qd_f32_decode(v->i64));
    } else if (b->format) { /* a missing one, too: as a number it has too many digits for JavaScript
                             */
        qd_json_str(w, date_text(b, v->i64, text));
    } else {
        qd_json_int(w, v->i64);
    }
}

void qdi_search_value_write(const search_sort_bound *b, const qd_sort_value *v, qd_json_writer *w)
{
    char ip[46];
    switch (b->kind) {
    case SEARCH_VALUE_SCORE:
        qd_json_float(w, v->score);
        break;
    case SEARCH_VALUE_TERM:
        if (v->missing) {
            qd_json_null(w);
        } else {
            qd_json_str(w, b->field ? qd_field_column_term(b->field, v->bytes) : v->bytes);
        }
        break;
    case SEARCH_VALUE_IP:
        if (v->missing || v->bytes.n != 16) {
            qd_json_null(w);
        } else {
            size_t n = qd_ip_print(ip, (const uint8_t *)v->bytes.p);
            qd_json_str(w, (qd_str){ip, n});
        }
        break;
    default:
        write_number(b, v, w);
    }
}

void qdi_search_sort_write(const search_keys *k, const qd_sort_value *v, qd_json_writer *w)
{
    qd_json_key_c(w, "sort");
    qd_json_array(w);
    for (uint32_t i = 0; i < k->n; i++) qdi_search_value_write(&k->bound[i], &v[i], w);
    qd_json_array_end(w);
}
