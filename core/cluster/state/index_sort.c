/* index_sort.c: see index_sort.h. */
#include "cluster/state/index_sort.h"
#include "base/str.h"
#include "mapping/synthetic.h"
#include <string.h>

/* --- settings --- */

static int parse_order(qd_str text, bool *descending, qd_err *err)
{
    *descending = qd_str_ieq(text, QD_STR("desc"));
    if (*descending || qd_str_ieq(text, QD_STR("asc"))) return 0;
    return qd_err_set(err, QD_E_ARG, "Illegal sort order:%.*s", QD_STR_ARG(text));
}

static int parse_mode(qd_str text, bool *greatest, qd_err *err)
{
    static const char *const others[] = {"sum", "avg", "median"};
    *greatest = qd_str_ieq(text, QD_STR("max"));
    if (*greatest || qd_str_ieq(text, QD_STR("min"))) return 0;
    for (size_t i = 0; i < QD_COUNT_OF(others); i++)
        if (qd_str_ieq(text, qd_str_c(others[i])))
            return qd_err_set(err, QD_E_ARG,
                              "Illegal index sort mode:[%s], must be one of [MAX, MIN]", others[i]);
    return qd_err_set(err, QD_E_ARG, "Illegal sort mode: %.*s", QD_STR_ARG(text));
}

static int parse_missing(qd_str text, bool *first, qd_err *err)
{
    *first = qd_str_is(text, "_first");
    if (*first || qd_str_is(text, "_last")) return 0;
    return qd_err_set(err, QD_E_ARG, "Illegal missing value:[%.*s], must be one of [_last, _first]",
                      QD_STR_ARG(text));
}

static void add_list(qd_buf *b, const qd_str *items, uint32_t n)
{
    qd_buf_str(b, QD_STR("["));
    for (uint32_t i = 0; i < n; i++) {
        if (i) qd_buf_str(b, QD_STR(", "));
        qd_buf_str(b, items[i]);
    }
    qd_buf_str(b, QD_STR("]"));
}

static int mismatch(const char *what, const qd_str *fields, uint32_t n, const qd_str *items,
                    uint32_t m, qd_err *err)
{
    qd_buf b;
    qd_buf_init(&b, NULL, 1u << 20);
    qd_buf_str(&b, QD_STR("index.sort.field:"));
    add_list(&b, fields, n);
    qd_buf_str(&b, QD_STR(" index.sort."));
    qd_buf_str(&b, qd_str_c(what));
    qd_buf_str(&b, QD_STR(":"));
    add_list(&b, items, m);
    qd_buf_str(&b, QD_STR(", size mismatch"));
    qd_str text = qd_buf_view(&b);
    int rc = qd_err_set(err, QD_E_ARG, "%.*s", QD_STR_ARG(text));
    qd_buf_fini(&b);
    return rc;
}

static uint32_t by_mode(const qd_values *v, qd_merge_sort *out)
{
    uint32_t n = 0;
    if (qd_index_mode_of(v) != QD_MODE_LOGSDB) return 0;
    if (qd_values_bool(v, QD_IX_LOGSDB_SORT_ON_HOST))
        out[n++] = (qd_merge_sort){.field = QD_STR("host.name")};
    out[n++] = (qd_merge_sort){.field = QD_STR("@timestamp"), .descending = true, .greatest = true};
    return n;
}

int qd_index_sort(const qd_values *v, qd_merge_sort out[QD_MERGE_SORT_MAX], uint32_t *n,
                  qd_err *err)
{
    uint32_t nfields, norder, nmode, nmissing;
    const qd_str *fields = qd_values_list(v, QD_IX_SORT_FIELD, &nfields);
    const qd_str *order = qd_values_list(v, QD_IX_SORT_ORDER, &norder);
    const qd_str *mode = qd_values_list(v, QD_IX_SORT_MODE, &nmode);
    const qd_str *missing = qd_values_list(v, QD_IX_SORT_MISSING, &nmissing);
    int rc = 0;
    *n = 0;
    if (nfields > QD_MERGE_SORT_MAX)
        return qd_err_set(err, QD_E_ARG, "index.sort.field has [%u] fields; it has at most [%u]",
                          nfields, QD_MERGE_SORT_MAX);
    if (norder && norder != nfields) return mismatch("order", fields, nfields, order, norder, err);
    if (nmode && nmode != nfields) return mismatch("mode", fields, nfields, mode, nmode, err);
    if (nmissing && nmissing != nfields)
        return mismatch("missing", fields, nfields, missing, nmissing, err);
    for (uint32_t i = 0; i < nfields && !rc; i++) {
        qd_merge_sort *k = &out[i];
        *k = (qd_merge_sort){.field = fields[i]};
        if (norder) rc = parse_order(order[i], &k->descending, err);
        k->greatest = k->descending;
        if (!rc && nmode) rc = parse_mode(mode[i], &k->greatest, err);
        if (!rc && nmissing) rc = parse_missing(missing[i], &k->missing_first, err);
    }
    if (!rc) *n = nfields ? nfields : by_mode(v, out);
    return rc;
}

uint8_t qd_index_source_mode(const qd_values *v)
{
    bool given = qd_values_is_set(v, QD_IX_MAPPING_SOURCE_MODE);
    if (!given && qd_index_mode_of(v) == QD_MODE_LOGSDB) return QD_SOURCE_SYNTHETIC;
    return (uint8_t)qd_values_i64(v, QD_IX_MAPPING_SOURCE_MODE);
}

uint8_t qd_index_source_keep(const qd_values *v)
{
    bool given = qd_values_is_set(v, QD_IX_MAPPING_SYNTHETIC_KEEP);
    if (!given && qd_index_mode_of(v) == QD_MODE_LOGSDB) return QD_SOURCE_KEEP_ARRAYS;
    return (uint8_t)qd_values_i64(v, QD_IX_MAPPING_SYNTHETIC_KEEP);
}

/* --- mapping --- */

int qd_index_sort_field_check(const qd_mapping *m, qd_str name, qd_err *err)
{
    const qd_field *f = qd_mapping_field(m, name);
    if (!f) return qd_err_set(err, QD_E_ARG, "unknown index sort field:[%.*s]", QD_STR_ARG(name));
    if (!qd_str_eq(f->name, name) || !qd_str_eq(f->shown, name))
        return qd_err_set(err, QD_E_ARG, "Cannot use alias [%.*s] as an index sort field",
                          QD_STR_ARG(name));
    if (f->nested.n)
        return qd_err_set(err, QD_E_ARG,
                          "cannot apply index sort to field [%.*s] under nested object [%.*s]",
                          QD_STR_ARG(name), QD_STR_ARG(f->nested));
    bool kind = f->value_class == QD_VALUE_TERM || f->value_class == QD_VALUE_I64 ||
                f->value_class == QD_VALUE_BOOL || f->value_class == QD_VALUE_IP;
    if (kind && !f->doc_values && !f->constant)
        return qd_err_set(err, QD_E_ARG, "docvalues not found for index sort field:[%.*s]",
                          QD_STR_ARG(name));
    const char *type = qd_field_type_name(f); /* Elasticsearch sorts no index by these two */
    bool odd = strcmp(type, "half_float") == 0 || strcmp(type, "scaled_float") == 0;
    bool plain = kind && !f->constant && !f->blob && !f->text_column && !f->keyed && !f->join;
    plain &= !odd;
    if (plain) return 0;
    if (f->value_class == QD_VALUE_TEXT && !f->fielddata)
        return qd_err_set(err, QD_E_ARG, "docvalues not found for index sort field:[%.*s]",
                          QD_STR_ARG(name));
    return qd_err_set(err, QD_E_ARG, "invalid index sort field:[%.*s]", QD_STR_ARG(name));
}

int qd_index_sort_check(const qd_values *v, const qd_mapping *m, qd_err *err)
{
    qd_merge_sort keys[QD_MERGE_SORT_MAX];
    uint32_t n;
    int rc = qd_index_sort(v, keys, &n, err);
    for (uint32_t i = 0; i < n && !rc; i++) rc = qd_index_sort_field_check(m, keys[i].field, err);
    if (rc || !n || qd_values_i64(v, QD_IX_MERGE_REORDER) == 0) return rc;
    return qd_err_set(err, QD_E_ARG, "index.merge.reorder cannot be set beside index.sort.field");
}
