/* custom_column.c: columns as operators that iterate see them. */
#include "mapping/field.h"
#include "search/leaf/custom_int.h"
#include <stdlib.h>

typedef struct qdi_custom custom;

/* Who asks a field for what it cannot have is told so, in place of finding nothing: words, or
 * numbers. *f NULL: nobody knows the mapping. The caller has entered. */
static int check_field(const custom *c, qd_str field, bool words, const qd_field **f, qd_err *err)
{
    const qd_operator_scope *s = c->from->scope;
    *f = s ? qd_operator_field(s, field) : NULL;
    if (!s) return 0;
    if (!*f)
        return qd_err_set(err, QD_E_ARG, "operator [%s]: field [%.*s] is not in the mapping",
                          s->name, QD_STR_ARG(field));
    qd_value_class class = (*f)->value_class;
    if (words ? class == QD_VALUE_TERM || class == QD_VALUE_IP
              : class == QD_VALUE_I64 || class == QD_VALUE_BOOL)
        return 0;
    return qd_err_set(err, QD_E_ARG, "operator [%s]: field [%.*s] is of type [%s]; only %s for it",
                      s->name, QD_STR_ARG(field), qd_field_type_name(*f),
                      words ? "keyword and ip fields have strings"
                            : "numeric, date and boolean fields have values");
}

/* A column of this segment, of the kind that the types have; NULL: no document has a value. */
static const qd_column *column_of(const custom *c, qd_str field, uint8_t kind)
{
    const qd_segment *s = c->run->leaf->segment;
    uint32_t f = qd_segment_field_find(s, field);
    const qd_columns *set = qd_segment_columns(s);
    const qd_column *col = f == QD_FIELD_NONE || !set ? NULL : qd_columns_get(set, f);
    return col && qd_column_stats_get(col)->type == kind ? col : NULL;
}

/* What one call reads; ended by reading_end. */
typedef struct reading {
    custom *c;
    qd_reads *reads;
    qd_column_reader *rd;
    qd_dict_reader *dict;
} reading;

static int reading_begin(reading *x, custom *c, qd_err *err)
{
    *x = (reading){.c = c};
    x->reads = qd_reads_make(&c->columns, c->run->plan->account);
    return x->reads ? 0 : qd_err_nomem(err, "column values");
}

static void reading_end(reading *x)
{
    qd_arena_reset(&x->c->columns); /* gives the reads back */
}

static int reading_docs(reading *x, const qd_column *col, const uint32_t *docs, uint32_t n,
                        qd_err *err)
{
    int rc = qd_column_plan_docs(col, docs, n, x->reads, &x->c->columns, &x->rd, err);
    return rc ? rc : qd_reads_fetch(x->reads, err);
}

static int reading_dict(reading *x, const qd_column *col, const uint32_t *ords, uint32_t n,
                        qd_err *err)
{
    int rc = ords ? qd_dict_plan_ords(col, ords, n, x->reads, &x->c->columns, &x->dict, err)
                  : qd_dict_plan_all(col, x->reads, &x->c->columns, &x->dict, err);
    return rc ? rc : qd_reads_fetch(x->reads, err);
}

/* A value as the SDK has it: floats as the bits of a double. */
static int64_t value_of(const qd_field *f, int64_t v)
{
    bool is_double = f && f->number == QD_NUMBER_DOUBLE;
    if (!is_double && !(f && f->number == QD_NUMBER_FLOAT)) return v;
    double d = is_double ? qd_sortable_to_f64(v) : qd_sortable_to_f32(v);
    memcpy(&v, &d, 8);
    return v;
}

static bool in_segment(const custom *c, const uint32_t *docs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (docs[i] >= c->run->ndocs || (i && docs[i] <= docs[i - 1])) return false;
    return true;
}

/* Documents that are no ascending ones of the segment are not read. */
static int check_docs(const custom *c, const uint32_t *docs, uint32_t n, qd_err *err)
{
    if (in_segment(c, docs, n)) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "operator [%s] asks for documents that are not ascending ones of the segment",
                      c->from->scope ? c->from->scope->name : "");
}

static int first_values(custom *c, qd_str field, const uint32_t *docs, uint32_t n, int64_t *out,
                        uint8_t *has, qd_err *err)
{
    const qd_field *f;
    reading x;
    memset(has, 0, n);
    int rc = check_field(c, field, false, &f, err);
    const qd_column *col = rc ? NULL : column_of(c, field, QD_COLUMN_I64);
    if (!rc) rc = check_docs(c, docs, n, err);
    if (rc || !col || !n) return rc;
    rc = reading_begin(&x, c, err);
    if (!rc) rc = reading_docs(&x, col, docs, n, err);
    for (uint32_t i = 0; i < n && !rc; i++) {
        const int64_t *v;
        uint32_t m;
        rc = qd_column_values(x.rd, docs[i], &v, &m, err);
        if (rc || !m) continue;
        has[i] = 1;
        out[i] = value_of(f, v[0]);
    }
    reading_end(&x);
    return rc;
}

static int32_t view_i64(const qd_segment_view *v, qd_str field, const uint32_t *docs, uint32_t n,
                        int64_t *out, uint8_t *has, qd_err *err)
{
    qdi_custom_iter *it = v->host;
    if (!qd_guest_enter()) return qdi_custom_gone(err);
    int32_t rc = first_values(it->host, field, docs, n, out, has, err);
    qd_guest_leave();
    return rc;
}

/* --- lists ------------------------------------------------------------------------------------ */

/* Room of a list, and how far it has come. */
typedef struct list {
    const uint32_t *docs;
    uint32_t n, cap;
    uint32_t *first, *done;
} list;

static int no_room(const custom *c, uint32_t doc, uint32_t have, uint32_t cap, qd_err *err)
{
    return qd_err_set(err, QD_E_LIMIT,
                      "operator [%s]: document %u has %u values, and there is room for %u",
                      c->from->scope ? c->from->scope->name : "", doc, have, cap);
}

/* Empty lists for the documents from number i on. */
static void list_rest(const list *l, uint32_t i)
{
    for (; i < l->n; i++) l->first[i + 1] = l->first[i];
    *l->done = l->n;
}

/* Values or ordinals of documents into one of the two. */
static int list_values(custom *c, const qd_column *col, const list *l, const qd_field *f,
                       int64_t *out, uint32_t *ords, qd_err *err)
{
    reading x;
    l->first[0] = 0;
    if (!col || !l->n) {
        list_rest(l, 0);
        return 0;
    }
    int rc = reading_begin(&x, c, err);
    if (!rc) rc = reading_docs(&x, col, l->docs, l->n, err);
    uint32_t i = 0, at = 0;
    for (; i < l->n && !rc; i++) {
        const int64_t *v;
        uint32_t m;
        rc = qd_column_values(x.rd, l->docs[i], &v, &m, err);
        if (!rc && m > l->cap - at) {
            if (!i) rc = no_room(c, l->docs[i], m, l->cap, err);
            break;
        }
        for (uint32_t k = 0; k < m && !rc; k++, at++) {
            if (ords)
                ords[at] = (uint32_t)v[k];
            else
                out[at] = value_of(f, v[k]);
        }
        l->first[i + 1] = at;
    }
    *l->done = i;
    reading_end(&x);
    return rc;
}

static int32_t view_i64_all(const qd_segment_view *v, qd_str field, const uint32_t *docs,
                            uint32_t n, uint32_t cap, uint32_t *first, int64_t *out, uint32_t *done,
                            qd_err *err)
{
    qdi_custom_iter *it = v->host;
    list l = {docs, n, cap, first, done};
    const qd_field *f;
    *done = 0;
    if (!qd_guest_enter()) return qdi_custom_gone(err);
    custom *c = it->host;
    int rc = check_field(c, field, false, &f, err);
    if (!rc) rc = check_docs(c, docs, n, err);
    if (!rc) rc = list_values(c, column_of(c, field, QD_COLUMN_I64), &l, f, out, NULL, err);
    qd_guest_leave();
    return rc;
}

static int ordinals_of(custom *c, qd_str field, const list *l, uint32_t *out, qd_err *err)
{
    const qd_field *f;
    int rc = check_field(c, field, true, &f, err);
    if (!rc) rc = check_docs(c, l->docs, l->n, err);
    return rc ? rc : list_values(c, column_of(c, field, QD_COLUMN_ORDINAL), l, f, NULL, out, err);
}

static int32_t view_ordinals(const qd_segment_view *v, qd_str field, const uint32_t *docs,
                             uint32_t n, uint32_t cap, uint32_t *first, uint32_t *out,
                             uint32_t *done, qd_err *err)
{
    qdi_custom_iter *it = v->host;
    list l = {docs, n, cap, first, done};
    *done = 0;
    if (!qd_guest_enter()) return qdi_custom_gone(err);
    int32_t rc = ordinals_of(it->host, field, &l, out, err);
    qd_guest_leave();
    return rc;
}

/* --- dictionaries ----------------------------------------------------------------------------- */

static int dictionary(custom *c, qd_str field, const qd_column **col, uint32_t *n, qd_err *err)
{
    const qd_field *f;
    int rc = check_field(c, field, true, &f, err);
    *col = rc ? NULL : column_of(c, field, QD_COLUMN_ORDINAL);
    *n = *col ? qd_column_stats_get(*col)->ordinals : 0;
    return rc;
}

static int32_t view_ordinal_count(const qd_segment_view *v, qd_str field, uint32_t *out,
                                  qd_err *err)
{
    qdi_custom_iter *it = v->host;
    const qd_column *col;
    *out = 0;
    if (!qd_guest_enter()) return qdi_custom_gone(err);
    int32_t rc = dictionary(it->host, field, &col, out, err);
    qd_guest_leave();
    return rc;
}

static int find_string(custom *c, qd_str field, qd_str key, uint32_t *out, bool *found, qd_err *err)
{
    const qd_column *col;
    reading x;
    uint32_t n;
    int rc = dictionary(c, field, &col, &n, err);
    if (rc || !n) return rc;
    rc = reading_begin(&x, c, err);
    if (!rc) rc = reading_dict(&x, col, NULL, 0, err);
    if (!rc) rc = qd_dict_find(x.dict, key, out, found, err);
    reading_end(&x);
    return rc;
}

static int32_t view_ordinal_find(const qd_segment_view *v, qd_str field, qd_str key, uint32_t *out,
                                 int32_t *found, qd_err *err)
{
    qdi_custom_iter *it = v->host;
    bool equal = false;
    *out = 0;
    if (!qd_guest_enter()) return qdi_custom_gone(err);
    int32_t rc = find_string(it->host, field, key, out, &equal, err);
    qd_guest_leave();
    *found = equal;
    return rc;
}

/* Strings of ascending ordinals, equal ones may repeat, into the iterator's arena. */
static int strings_of(qdi_custom_iter *it, const qd_column *col, const uint32_t *ords, uint32_t n,
                      qd_str *out, qd_err *err)
{
    reading x;
    int rc = reading_begin(&x, it->host, err);
    if (!rc) rc = reading_dict(&x, col, ords, n, err);
    for (uint32_t i = 0; i < n && !rc; i++) {
        qd_str s;
        rc = qd_dict_at(x.dict, ords[i], &s, err);
        if (rc) break;
        out[i] = qd_arena_str(&it->arena, s);
        if (!out[i].p) rc = qd_err_nomem(err, "strings of a column");
    }
    reading_end(&x);
    return rc;
}

static int ordinal_strings(qdi_custom_iter *it, qd_str field, const uint32_t *ords, uint32_t n,
                           qd_str *out, qd_err *err)
{
    const qd_column *col;
    uint32_t all;
    int rc = dictionary(it->host, field, &col, &all, err);
    for (uint32_t i = 0; i < n && !rc; i++)
        if (ords[i] >= all || (i && ords[i] <= ords[i - 1]))
            rc = qd_err_set(err, QD_E_ARG,
                            "operator [%s] asks field [%.*s] for ordinals that are not ascending "
                            "ones below %u",
                            it->scope ? it->scope->name : "", QD_STR_ARG(field), all);
    return rc || !n ? rc : strings_of(it, col, ords, n, out, err);
}

static int32_t view_ordinal_strings(const qd_segment_view *v, qd_str field, const uint32_t *ords,
                                    uint32_t n, qd_str *out, qd_err *err)
{
    qdi_custom_iter *it = v->host;
    if (!qd_guest_enter()) return qdi_custom_gone(err);
    int32_t rc = ordinal_strings(it, field, ords, n, out, err);
    qd_guest_leave();
    return rc;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The strings of a list of ordinals, each read once. */
static int list_strings(qdi_custom_iter *it, const qd_column *col, const uint32_t *ords, uint32_t n,
                        qd_str *out, qd_err *err)
{
    uint32_t *sorted = qd_alloc(it->arena.account, (n + 1) * sizeof *sorted);
    qd_str *texts = qd_alloc(it->arena.account, (n + 1) * sizeof *texts);
    uint32_t m = 0;
    int rc = sorted && texts ? 0 : qd_err_nomem(err, "strings of a column");
    if (!rc) {
        memcpy(sorted, ords, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, by_number);
        for (uint32_t i = 0; i < n; i++)
            if (!m || sorted[m - 1] != sorted[i]) sorted[m++] = sorted[i];
        rc = strings_of(it, col, sorted, m, texts, err);
    }
    for (uint32_t i = 0; i < n && !rc; i++) {
        const uint32_t *at = bsearch(&ords[i], sorted, m, sizeof *sorted, by_number);
        out[i] = texts[at - sorted];
    }
    qd_free(sorted);
    qd_free(texts);
    return rc;
}

static int doc_strings(qdi_custom_iter *it, qd_str field, const list *l, qd_str *out, qd_err *err)
{
    const qd_column *col = NULL;
    uint32_t all, *ords = qd_alloc(it->arena.account, ((size_t)l->cap + 1) * sizeof *ords);
    int rc = ords ? dictionary(it->host, field, &col, &all, err)
                  : qd_err_nomem(err, "strings of a column");
    if (!rc) rc = ordinals_of(it->host, field, l, ords, err);
    uint32_t n = rc ? 0 : l->first[*l->done];
    if (!rc && n) rc = list_strings(it, col, ords, n, out, err);
    qd_free(ords);
    return rc;
}

static int32_t view_strings(const qd_segment_view *v, qd_str field, const uint32_t *docs,
                            uint32_t n, uint32_t cap, uint32_t *first, qd_str *out, uint32_t *done,
                            qd_err *err)
{
    qdi_custom_iter *it = v->host;
    list l = {docs, n, cap, first, done};
    *done = 0;
    if (!qd_guest_enter()) return qdi_custom_gone(err);
    int32_t rc = doc_strings(it, field, &l, out, err);
    qd_guest_leave();
    return rc;
}

void qdi_custom_view_columns(qd_segment_view *v)
{
    v->i64 = view_i64;
    v->i64_all = view_i64_all;
    v->ordinals = view_ordinals;
    v->ordinal_count = view_ordinal_count;
    v->ordinal_find = view_ordinal_find;
    v->ordinal_strings = view_ordinal_strings;
    v->strings = view_strings;
}
