/*
 * read_option.c: options of queries by tables: a row names the option, what its value may be, and
 * the member of the parsed query that it sets.
 */
#include "query/query_int.h"

const qdi_option *qdi_option_find(const qdi_option *rows, size_t n, qd_str name)
{
    for (size_t i = 0; i < n; i++)
        if (qd_str_is(name, rows[i].name)) return &rows[i];
    return NULL;
}

static int read_operator(qd_json_reader *r, qd_str text, bool *out, qd_err *err)
{
    (void)r;
    *out = qd_str_ieq(text, QD_STR("and"));
    if (*out || qd_str_ieq(text, QD_STR("or"))) return 0;
    char upper[64];
    size_t n = text.n < sizeof upper ? text.n : sizeof upper;
    for (size_t i = 0; i < n; i++)
        upper[i] = (char)(text.p[i] >= 'a' && text.p[i] <= 'z' ? text.p[i] - 32 : text.p[i]);
    return qd_err_set(err, QD_E_ARG, "No enum constant org.elasticsearch.index.query.Operator.%.*s",
                      (int)n, upper);
}

static int read_zero_terms(qd_json_reader *r, qd_str text, qdi_zero_terms *out, qd_err *err)
{
    *out = QDI_ZERO_NONE;
    if (qd_str_ieq(text, QD_STR("none"))) return 0;
    *out = QDI_ZERO_ALL;
    if (qd_str_ieq(text, QD_STR("all"))) return 0;
    return qd_json_err_at(r, err, QD_E_PARSE, "Unsupported zero_terms_query value [%.*s]",
                          QD_STR_ARG(text));
}

static int read_multi_type(qd_str text, qdi_multi_type *out, qd_err *err)
{
    static const char *const names[] = {"best_fields", "most_fields",   "cross_fields",
                                        "phrase",      "phrase_prefix", "bool_prefix"};
    for (size_t i = 0; i < QD_COUNT_OF(names); i++) {
        if (!qd_str_is(text, names[i])) continue;
        *out = (qdi_multi_type)i;
        return 0;
    }
    if (qd_str_is(text, "boolean")) {
        *out = QDI_BEST_FIELDS;
        return 0;
    }
    return qd_err_set(err, QD_E_ES_PARSE,
                      "failed to parse [multi_match] query type [%.*s]. unknown type.",
                      QD_STR_ARG(text));
}

/* "ALL|PREFIX": names of simple_query_string's operators. */
static int read_flags(qd_json_reader *r, qd_str text, int32_t *out, qd_err *err)
{
    static const struct {
        const char *name;
        int32_t value;
    } rows[] = {{"ALL", -1},    {"NONE", 0},         {"AND", 1},     {"NOT", 2},
                {"OR", 4},      {"PREFIX", 8},       {"PHRASE", 16}, {"PRECEDENCE", 32},
                {"ESCAPE", 64}, {"WHITESPACE", 128}, {"FUZZY", 256}, {"NEAR", 512},
                {"SLOP", 512}};
    if (r->event == QD_JSON_NUMBER) {
        int rc = qdi_read_int(r, out, err);
        if (!rc && *out < 0) *out = -1;
        return rc;
    }
    qd_str rest = text;
    *out = 0;
    while (rest.p) {
        qd_str name = qd_str_split(&rest, '|');
        size_t i = 0;
        if (name.n == 0) continue;
        while (i < QD_COUNT_OF(rows) && !qd_str_ieq(name, qd_str_c(rows[i].name))) i++;
        if (i == QD_COUNT_OF(rows))
            return qd_err_set(err, QD_E_ARG, "Unknown simple_query_string flag [%.*s]",
                              QD_STR_ARG(name));
        if (rows[i].value <= 0) {
            *out = rows[i].value;
            return 0;
        }
        *out |= rows[i].value;
    }
    if (text.n == 0) *out = -1;
    return 0;
}

/* "INTERSECTION|EMPTY": Lucene's RegExp flags by name. */
static int read_regexp_flags(qd_str text, uint32_t *out, qd_err *err)
{
    static const struct {
        const char *name;
        uint32_t value;
    } rows[] = {{"INTERSECTION", 1}, {"COMPLEMENT", 2}, {"EMPTY", 4}, {"ANYSTRING", 8},
                {"INTERVAL", 32},    {"NONE", 0},       {"ALL", 0xff}};
    qd_str rest = text;
    *out = text.n ? 0 : 0xff;
    while (text.n && rest.p) {
        qd_str name = qd_str_split(&rest, '|');
        size_t i = 0;
        while (i < QD_COUNT_OF(rows) && !qd_str_ieq(name, qd_str_c(rows[i].name))) i++;
        if (i == QD_COUNT_OF(rows))
            return qd_err_set(err, QD_E_ARG, "Unknown regexp flag [%.*s]", QD_STR_ARG(name));
        *out |= rows[i].value;
        if (rows[i].value == 0xff) return 0;
    }
    return 0;
}

static int read_fields(qdi_reading *rd, qd_json_reader *r, qdi_text *t, qd_err *err)
{
    QD_VEC(qdi_field_boost) list = {0};
    bool array = r->event == QD_JSON_ARRAY;
    int rc = 0;
    while (rc == 0) {
        qd_str text;
        qdi_field_boost f;
        if (array) rc = qdi_query_next(r, err);
        if (rc < 0 || (array && rc == QD_JSON_ARRAY_END)) break;
        rc = qdi_read_text(rd, r, &text, err);
        if (!rc) rc = qdi_field_boost_parse(rd, text, &f, err);
        size_t i = 0;
        while (!rc && i < list.n && !qd_str_eq(list.at[i].field, f.field)) i++;
        if (!rc && i < list.n)
            list.at[i] = f;
        else if (!rc && qd_vec_push(&list, rd->arena->account, f))
            rc = qd_err_nomem(err, "reading a query");
        if (!array) break;
    }
    if (rc >= 0) {
        qdi_field_boost *at = qd_arena_alloc(rd->arena, (list.n + 1) * sizeof *at);
        rc = at ? 0 : qd_err_nomem(err, "reading a query");
        if (at && list.n) memcpy(at, list.at, list.n * sizeof *at);
        t->fields = at;
        t->nfields = (uint32_t)list.n;
        t->has_fields = true;
    }
    qd_vec_fini(&list);
    return rc;
}

/* gt, gte, lt, lte, from, to. */
static int read_bound(qdi_reading *rd, qd_json_reader *r, qdi_option_kind kind, qdi_range *g,
                      qd_err *err)
{
    bool from = kind == QDI_OPT_FROM || kind == QDI_OPT_FROM_OPEN || kind == QDI_OPT_FROM_PLAIN;
    if (kind == QDI_OPT_FROM || kind == QDI_OPT_FROM_OPEN) g->include_from = kind == QDI_OPT_FROM;
    if (kind == QDI_OPT_TO || kind == QDI_OPT_TO_OPEN) g->include_to = kind == QDI_OPT_TO;
    return from ? qdi_read_value(rd, r, &g->from, &g->has_from, err)
                : qdi_read_value(rd, r, &g->to, &g->has_to, err);
}

static int read_named(qdi_reading *rd, qd_json_reader *r, const qdi_option *o, void *to,
                      qd_err *err)
{
    qd_str text;
    int rc = qdi_read_text(rd, r, &text, err);
    if (rc) return rc;
    switch (o->kind) {
    case QDI_OPT_FUZZINESS:
        return qdi_fuzziness_parse(text, to, err);
    case QDI_OPT_OPERATOR:
        return read_operator(r, text, to, err);
    case QDI_OPT_ZERO_TERMS:
        return read_zero_terms(r, text, to, err);
    case QDI_OPT_MULTI_TYPE:
        return read_multi_type(text, to, err);
    case QDI_OPT_FLAGS:
        return read_flags(r, text, to, err);
    default:
        return read_regexp_flags(text, to, err);
    }
}

int qdi_option_read(qdi_reading *rd, qd_json_reader *r, const qdi_option *o, qd_query *q,
                    qd_err *err)
{
    void *to = (char *)q + o->offset;
    bool truth = false;
    int32_t number;
    int rc;
    switch (o->kind) {
    case QDI_OPT_TEXT_OR_NULL:
        if (r->event == QD_JSON_NULL) {
            *(qd_str *)to = (qd_str){NULL, 0};
            return 0;
        }
        return qdi_read_text(rd, r, to, err);
    case QDI_OPT_TEXT:
        return qdi_read_text(rd, r, to, err);
    case QDI_OPT_BOOL:
        return qdi_read_bool(r, to, err);
    case QDI_OPT_TRI:
        rc = qdi_read_bool(r, &truth, err);
        *(uint8_t *)to = truth ? QDI_YES : QDI_NO;
        return rc;
    case QDI_OPT_INT:
        return qdi_read_int(r, to, err);
    case QDI_OPT_TIE:
        ((qdi_text *)to)->has_tie_breaker = true;
        return qdi_read_float(r, &((qdi_text *)to)->tie_breaker, err);
    case QDI_OPT_FLOAT:
        return qdi_read_float(r, to, err);
    case QDI_OPT_VALUE:
        return qdi_read_value(rd, r, &q->value, &q->has_value, err);
    case QDI_OPT_FIELDS:
        return read_fields(rd, r, to, err);
    case QDI_OPT_REGEXP_VALUE:
        rc = qdi_read_int(r, &number, err);
        if (!rc) *(uint32_t *)to = number < 0 ? 0xffff : (uint32_t)number;
        return rc;
    case QDI_OPT_FROM:
    case QDI_OPT_FROM_OPEN:
    case QDI_OPT_TO:
    case QDI_OPT_TO_OPEN:
    case QDI_OPT_FROM_PLAIN:
    case QDI_OPT_TO_PLAIN:
        return read_bound(rd, r, o->kind, to, err);
    default:
        return read_named(rd, r, o, to, err);
    }
}
