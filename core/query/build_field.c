/*
 * build_field.c: what a field of each type makes of a term, a range, a pattern and of exists, and
 * how names and patterns of names become fields.
 *
 * Values of strings are normalized here; values of the other types are encoded by the mapping.
 * What needs postings wants `index`; numbers, dates and booleans also search their column.
 */
#include "base/utf8.h"
#include "query/build_int.h"
#include <math.h>

qdi_field qdi_field_find(qdi_builder *b, qd_str name)
{
    static const struct {
        const char *name;
        qdi_field_class cls;
    } meta[] = {{"_id", QDI_F_ID},           {"_index", QDI_F_INDEX},
                {"_routing", QDI_F_ROUTING}, {"_field_names", QDI_F_FIELD_NAMES},
                {"_source", QDI_F_META},     {"_version", QDI_F_META},
                {"_seq_no", QDI_F_SEQ_NO},   {"_ignored", QDI_F_IGNORED},
                {"_tier", QDI_F_META}};
    qdi_field f = {.name = name};
    if (qd_mapping_find(b->c->mapping, name, b->arena, &f.f, NULL)) f.f = NULL; /* no memory */
    if (f.f) {
        f.cls = QDI_F_MAPPED;
        f.name = f.f->name;
        return f;
    }
    for (size_t i = 0; i < QD_COUNT_OF(meta); i++) {
        if (!qd_str_is(name, meta[i].name)) continue;
        f.cls = meta[i].cls;
        f.name = qd_str_c(meta[i].name);
    }
    return f;
}

const char *qdi_query_field_type(const qdi_field *f)
{
    return f->f ? qd_field_type_name(f->f) : f->name.p;
}

bool qdi_field_is_string(const qdi_field *f)
{
    return f->cls == QDI_F_ROUTING || f->cls == QDI_F_IGNORED ||
           (f->f && !f->f->blob &&
            (f->f->value_class == QD_VALUE_TEXT || f->f->value_class == QD_VALUE_TERM));
}

/* --- names to fields -------------------------------------------------------------------------- */

static int add_one(qdi_builder *b, qdi_fields *to, qdi_field f, float boost, qd_str suffix,
                   qd_err *err)
{
    if (suffix.n) {
        qd_str longer =
            qd_arena_printf(b->arena, "%.*s%.*s", QD_STR_ARG(f.name), QD_STR_ARG(suffix));
        if (!longer.p) return qd_err_nomem(err, "query");
        qdi_field other = qdi_field_find(b, longer);
        if (other.cls != QDI_F_NONE) f = other;
    }
    for (size_t i = 0; i < to->v.n; i++) {
        const qdi_field *had = &to->v.at[i].field;
        if (!qd_str_eq(had->name, f.name)) continue;
        if (f.f && had->f && !qd_str_eq(had->f->slice, f.f->slice)) continue;
        to->v.at[i].boost *= boost;
        return 0;
    }
    qdi_weighted w = {f, boost};
    return qd_vec_push(&to->v, b->arena->account, w) ? qd_err_nomem(err, "query") : 0;
}

typedef struct expansion {
    qdi_builder *b;
    qdi_fields *to;
    float boost;
    qd_str suffix;
    qd_err *err;
} expansion;

static int add_matching(void *arg, const qd_field *f)
{
    expansion *x = arg;
    qdi_field found = {.cls = QDI_F_MAPPED, .name = f->name, .f = f};
    if (!f->indexed && !f->runtime) return 0;
    return add_one(x->b, x->to, found, x->boost, x->suffix, x->err);
}

int qdi_fields_add(qdi_builder *b, qdi_fields *to, qd_str pattern, float boost, qd_str suffix,
                   qd_err *err)
{
    if (qd_str_find(pattern, '*') >= 0) {
        expansion x = {b, to, boost, suffix, err};
        return qd_mapping_match(b->c->mapping, pattern, add_matching, &x);
    }
    qdi_field f = qdi_field_find(b, pattern);
    return f.cls == QDI_F_NONE ? 0 : add_one(b, to, f, boost, suffix, err);
}

int qdi_fields_check(qdi_builder *b, const qdi_fields *to, qd_err *err)
{
    if (to->v.n <= b->limits.max_clauses) return 0;
    return qd_err_set(err, QD_E_ARG, "field expansion matches too many fields, limit: %u, got: %zu",
                      b->limits.max_clauses, to->v.n);
}

/* --- values ----------------------------------------------------------------------------------- */

int qdi_runtime_allowed(const qdi_builder *b, const qdi_field *f, qd_err *err)
{
    if (!f->f || !f->f->runtime || b->limits.allow_expensive) return 0;
    int rc = qd_err_set(err, QD_E_ARG,
                        "queries cannot be executed against runtime fields while "
                        "[search.allow_expensive_queries] is set to [false].");
    qd_err_type(err, "exception", 0);
    return rc;
}

static int need_index_or_column(const qdi_field *f, qd_err *err)
{
    if (f->f->indexed || f->f->doc_values) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "Cannot search on field [%.*s] since it is not indexed nor has doc values.",
                      QD_STR_ARG(f->name));
}

static int need_index(const qdi_field *f, qd_err *err)
{
    if (!f->f || f->f->indexed) return 0;
    if (f->f->value_class == QD_VALUE_TERM) return need_index_or_column(f, err);
    return qd_err_set(err, QD_E_ARG, "Cannot search on field [%.*s] since it is not indexed.",
                      QD_STR_ARG(f->name));
}

int qdi_field_keyed(qdi_builder *b, const qdi_field *f, qd_str text, qd_str *out, qd_err *err)
{
    qd_str key = f->f->slice;
    char *p = qd_arena_bytes(b->arena, key.n + text.n + 1);
    if (!p) return qd_err_nomem(err, "query");
    memcpy(p, key.p, key.n);
    if (text.n) memcpy(p + key.n, text.p, text.n);
    *out = (qd_str){p, key.n + text.n};
    return 0;
}

/* A term of a string field as it is indexed. */
static int indexed_term(qdi_builder *b, const qdi_field *f, qd_str text, qd_str *out, qd_err *err)
{
    qd_point p = {.bytes = text};
    qd_value_ctx ctx = {.now_ms = b->c->now_ms, .scratch = b->c->analysis};
    qd_query_value v = {text, true};
    int rc = f->f && f->f->value_class == QD_VALUE_TERM ? qd_field_term(f->f, v, &ctx, &p, err) : 0;
    if (rc || !f->f || !f->f->slice.n) return rc ? rc : qdi_query_copy(b, p.bytes, out, err);
    return qdi_field_keyed(b, f, p.bytes, out, err);
}

static int range_i64(qdi_builder *b, qd_str name, int64_t lo, int64_t hi, const qd_node **out,
                     qd_err *err)
{
    qd_node *n = qdi_query_node(b, QD_NATIVE_RANGE, err);
    if (!n) return QD_E_NOMEM;
    n->u.range.field = name;
    n->u.range.kind = QD_RANGE_I64;
    n->u.range.lo = lo;
    n->u.range.hi = hi;
    n->u.range.has_from = n->u.range.has_to = true;
    n->u.range.from_inclusive = n->u.range.to_inclusive = true;
    *out = n;
    return 0;
}

static int range_ip(qdi_builder *b, qd_str name, const uint8_t lo[16], const uint8_t hi[16],
                    const qd_node **out, qd_err *err)
{
    qd_node *n = qdi_query_node(b, QD_NATIVE_RANGE, err);
    if (!n) return QD_E_NOMEM;
    n->u.range.field = name;
    n->u.range.kind = QD_RANGE_B16;
    memcpy(n->u.range.lo16, lo, 16);
    memcpy(n->u.range.hi16, hi, 16);
    n->u.range.has_from = n->u.range.has_to = true;
    n->u.range.from_inclusive = n->u.range.to_inclusive = true;
    *out = n;
    return 0;
}

static int term_set(qdi_builder *b, qd_str field, const qd_str *terms, uint32_t nterms,
                    const qd_node **out, qd_err *err)
{
    qd_node *n = qdi_query_node(b, QD_NATIVE_TERM_SET, err);
    if (!n) return QD_E_NOMEM;
    n->u.term_set.field = field;
    n->u.term_set.terms = terms;
    n->u.term_set.n = nterms;
    *out = n;
    return 0;
}

static int one_term(qdi_builder *b, qd_str field, qd_str term, const qd_node **out, qd_err *err)
{
    qd_str *at = qd_arena_alloc(b->arena, sizeof *at);
    if (!at) return qd_err_nomem(err, "query");
    *at = term;
    return term_set(b, field, at, 1, out, err);
}

/* A term whose score counts: a copy of term's text is taken. */
static int scored_term(qdi_builder *b, qd_str field, qd_str text, const qd_node **out, qd_err *err)
{
    qd_str term;
    int rc = qdi_query_copy(b, text, &term, err);
    if (rc) return rc;
    *out = qd_node_term_make(b->arena, field, term);
    return *out ? 0 : qd_err_nomem(err, "query");
}

static int ids(qdi_builder *b, const qd_query_value *v, uint32_t n, const qd_node **out,
               qd_err *err)
{
    qd_node *node = qdi_query_node(b, QD_NATIVE_IDS, err);
    qd_str *at = qd_arena_alloc(b->arena, (n + 1) * sizeof *at);
    if (!node || !at) return qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < n; i++) {
        int rc = qdi_query_copy(b, v[i].text, &at[i], err);
        if (rc) return rc;
    }
    node->u.ids.ids = at;
    node->u.ids.n = n;
    *out = node;
    return 0;
}

static int all_or_none(qdi_builder *b, bool all, const qd_node **out, qd_err *err)
{
    *out = qdi_query_node(b, all ? QD_NATIVE_MATCH_ALL : QD_NATIVE_MATCH_NONE, err);
    return *out ? 0 : QD_E_NOMEM;
}

/* Is the index's name what a query on _index asks for? */
static bool index_matches(qdi_builder *b, qd_str pattern, bool case_insensitive)
{
    if (case_insensitive && qd_str_ieq(pattern, b->c->index)) return true;
    return qd_json_simple_match(pattern, b->c->index);
}

/* A term as a wildcard pattern that means just it. */
static int escaped(qdi_builder *b, qd_str text, qd_str *out, qd_err *err)
{
    char *p = qd_arena_bytes(b->arena, 2 * text.n + 1);
    size_t n = 0;
    if (!p) return qd_err_nomem(err, "query");
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '*' || text.p[i] == '?' || text.p[i] == '\\') p[n++] = '\\';
        p[n++] = text.p[i];
    }
    *out = (qd_str){p, n};
    return 0;
}

static int string_term(qdi_builder *b, const qdi_field *f, qd_str text, bool case_insensitive,
                       const qd_node **out, qd_err *err)
{
    qd_str term;
    int rc = need_index(f, err);
    if (!rc) rc = indexed_term(b, f, text, &term, err);
    if (rc) return rc;
    if (!case_insensitive && f->f && f->f->grams) return qdi_grams_term(b, f, term, out, err);
    /* its column, or all alike: without scores */
    if (!case_insensitive && f->f && (!f->f->indexed || f->f->phrases_apart))
        return one_term(b, f->name, term, out, err);
    if (!case_insensitive) {
        *out = qd_node_term_make(b->arena, f->name, term);
        return *out ? 0 : qd_err_nomem(err, "query");
    }
    qd_node *n = qdi_query_node(b, QD_NATIVE_PATTERN, err);
    if (!n) return QD_E_NOMEM;
    n->u.pattern.field = f->name;
    n->u.pattern.kind = QD_PATTERN_WILDCARD;
    n->u.pattern.case_insensitive = true;
    *out = n;
    rc = escaped(b, term, &n->u.pattern.text, err);
    return rc || !f->f || !f->f->grams ? rc : qdi_grams_pattern(b, f, &n->u.pattern, out, err);
}

/* A date term is the range of all instants it stands for. */
static int date_term(qdi_builder *b, const qdi_field *f, qd_query_value v, const qd_node **out,
                     qd_err *err)
{
    qd_point p[2];
    qd_value_ctx ctx = {.now_ms = b->c->now_ms, .scratch = b->c->analysis};
    b->uncacheable |= qd_date_math_uses_now(v.text);
    int rc = qd_field_range(f->f, &v, true, &v, true, &ctx, p, err);
    if (rc < 0) return rc;
    return rc ? qdi_query_none(b, out, err) : range_i64(b, f->name, p[0].i64, p[1].i64, out, err);
}

static int ip_term(qdi_builder *b, const qdi_field *f, qd_query_value v, const qd_node **out,
                   qd_err *err)
{
    qd_point p;
    uint8_t lo[16], hi[16];
    if (qd_str_find(v.text, '/') >= 0) {
        int rc = qd_ip_cidr(v.text, lo, hi, err);
        return rc ? rc : range_ip(b, f->name, lo, hi, out, err);
    }
    qd_value_ctx ctx = {.now_ms = b->c->now_ms};
    int rc = qd_field_term(f->f, v, &ctx, &p, err);
    return rc ? rc : range_ip(b, f->name, p.ip, p.ip, out, err);
}

static int mapped_term(qdi_builder *b, const qdi_field *f, qd_query_value v, const qd_node **out,
                       qd_err *err)
{
    qd_point p;
    qd_value_ctx ctx = {.now_ms = b->c->now_ms, .scratch = b->c->analysis};
    if (f->f->blob) return qdi_shard_err(b, err, "Binary fields do not support searching");
    if (f->f->value_class == QD_VALUE_RANGE) {
        qdi_range at = {v, v, true, true, true, true, {NULL, 0}, {NULL, 0}, {NULL, 0}};
        b->uncacheable |= f->f->dates && qd_date_math_uses_now(v.text);
        return qdi_interval_range(b, f, &at, &ctx, out, err);
    }
    bool geo = f->f->value_class == QD_VALUE_GEO; /* which refuses */
    int rc = geo ? 0 : need_index_or_column(f, err);
    if (rc) return rc;
    if (f->f->dates) return date_term(b, f, v, out, err);
    if (f->f->value_class == QD_VALUE_IP) return ip_term(b, f, v, out, err);
    rc = qd_field_term(f->f, v, &ctx, &p, err);
    if (rc < 0) return rc;
    if (rc) return qdi_query_none(b, out, err);
    if (f->f->value_class == QD_VALUE_BOOL && f->f->indexed)
        return scored_term(b, f->name, p.bytes, out, err);
    return range_i64(b, f->name, p.i64, p.i64, out, err);
}

/* A number for _seq_no, as Elasticsearch's SeqNoFieldMapper reads it. */
static int seq_no_of(qd_query_value v, int64_t *out, qd_err *err)
{
    double d;
    if (qd_i64_parse(v.text, out) == 0) return 0;
    if (v.quoted || qd_f64_parse_java(v.text, &d))
        return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                          QD_STR_ARG(v.text));
    if (d != floor(d))
        return qd_err_set(err, QD_E_ARG, "Value [%.*s] has a decimal part", QD_STR_ARG(v.text));
    if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0))
        return qd_err_set(err, QD_E_ARG, "Value [%.*s] is out of range for a long",
                          QD_STR_ARG(v.text));
    *out = (int64_t)d;
    return 0;
}

static int seq_no_range(qdi_builder *b, const qdi_field *f, const qdi_range *g, const qd_node **out,
                        qd_err *err)
{
    int64_t lo = INT64_MIN, hi = INT64_MAX;
    int rc = g->has_from ? seq_no_of(g->from, &lo, err) : 0;
    if (!rc && g->has_to) rc = seq_no_of(g->to, &hi, err);
    if (rc) return rc;
    bool none = (g->has_from && !g->include_from && lo == INT64_MAX) ||
                (g->has_to && !g->include_to && hi == INT64_MIN);
    if (none) return qdi_query_none(b, out, err);
    lo += g->has_from && !g->include_from;
    hi -= g->has_to && !g->include_to;
    return lo > hi ? qdi_query_none(b, out, err) : range_i64(b, f->name, lo, hi, out, err);
}

int qdi_field_term(qdi_builder *b, const qdi_field *f, qd_query_value v, bool case_insensitive,
                   const qd_node **out, qd_err *err)
{
    qd_str term;
    int64_t number;
    int rc = qdi_runtime_allowed(b, f, err);
    if (rc) return rc;
    switch (f->cls) {
    case QDI_F_NONE:
        return qdi_query_none(b, out, err);
    case QDI_F_ID:
        return ids(b, &v, 1, out, err);
    case QDI_F_INDEX:
        return all_or_none(b, index_matches(b, v.text, case_insensitive), out, err);
    case QDI_F_ROUTING:
    case QDI_F_IGNORED:
        if (case_insensitive) break;
        return scored_term(b, f->name, v.text, out, err);
    case QDI_F_FIELD_NAMES:
        rc = qdi_query_copy(b, v.text, &term, err);
        return rc ? rc : one_term(b, f->name, term, out, err);
    case QDI_F_SEQ_NO:
        rc = seq_no_of(v, &number, err);
        return rc ? rc : range_i64(b, f->name, number, number, out, err);
    case QDI_F_META:
        return qdi_shard_err(b, err, "The %.*s field is not searchable", QD_STR_ARG(f->name));
    default:
        break;
    }
    if (f->f && f->f->constant) return qdi_constant_term(b, f, v.text, case_insensitive, out, err);
    if (qdi_field_is_string(f)) return string_term(b, f, v.text, case_insensitive, out, err);
    if (case_insensitive)
        return qdi_shard_err(b, err,
                             "[%.*s] field which is of type [%s], does not support case "
                             "insensitive term queries",
                             QD_STR_ARG(f->name), qdi_query_field_type(f));
    return mapped_term(b, f, v, out, err);
}

/* --- terms ------------------------------------------------------------------------------------ */

static int string_terms(qdi_builder *b, const qdi_field *f, const qd_query_value *v, uint32_t n,
                        const qd_node **out, qd_err *err)
{
    qd_str *at = qd_arena_alloc(b->arena, (n + 1) * sizeof *at);
    if (!at) return qd_err_nomem(err, "query");
    int rc = need_index(f, err);
    for (uint32_t i = 0; i < n && !rc; i++) rc = indexed_term(b, f, v[i].text, &at[i], err);
    return rc ? rc : term_set(b, f->name, at, n, out, err);
}

/* A disjunction of the values, each a node of its own; as one clause of score boost. */
static int value_terms(qdi_builder *b, const qdi_field *f, const qd_query_value *v, uint32_t n,
                       const qd_node **out, qd_err *err)
{
    const qd_node **should;
    qd_node *all = qd_node_bool_make(b->arena, 0, n, 0, 0, NULL, &should, NULL, NULL);
    qd_node *constant = qdi_query_node(b, QD_NATIVE_CONSTANT, err);
    if (!all || !constant) return qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < n; i++) {
        int rc = qdi_field_term(b, f, v[i], false, &should[i], err);
        if (rc) return rc;
    }
    all->u.boolean.min_should = 1;
    constant->u.child = all;
    b->uncounted += n - 1;
    *out = constant;
    return 0;
}

int qdi_field_terms(qdi_builder *b, const qdi_field *f, const qd_query_value *v, uint32_t n,
                    const qd_node **out, qd_err *err)
{
    int denied = qdi_runtime_allowed(b, f, err);
    if (denied) return denied;
    if (f->cls == QDI_F_ID) return ids(b, v, n, out, err);
    if (f->cls == QDI_F_INDEX) {
        bool yes = false;
        for (uint32_t i = 0; i < n && !yes; i++) yes = index_matches(b, v[i].text, false);
        return all_or_none(b, yes, out, err);
    }
    if (f->f && f->f->constant) return qdi_constant_terms(b, f, v, n, out, err);
    bool grams = f->f && f->f->grams;
    if (!grams && (qdi_field_is_string(f) || f->cls == QDI_F_FIELD_NAMES))
        return string_terms(b, f, v, n, out, err);
    bool boolean =
        f->cls == QDI_F_MAPPED && f->f->value_class == QD_VALUE_BOOL; /* never scored here */
    if ((n == 1 && !boolean) || f->cls != QDI_F_MAPPED)
        return qdi_field_term(b, f, v[0], false, out, err);
    return value_terms(b, f, v, n, out, err);
}

/* --- range ------------------------------------------------------------------------------------ */

/* A bound of a column whose entries are a key and the text: all entries of a key are above the key,
 * and below the key with a byte that no text has. */
static int keyed_bound(qdi_builder *b, const qd_field *f, qd_str text, bool behind, qd_str *out,
                       qd_err *err)
{
    qd_str key = qd_field_column_key(f, text, b->arena);
    char *at = key.p ? qd_arena_bytes(b->arena, key.n + 1) : NULL;
    if (!at) return qd_err_nomem(err, "query");
    memcpy(at, key.p, key.n);
    at[key.n] = (char)0xFF;
    *out = (qd_str){at, key.n + behind};
    return 0;
}

static int keyed_range(qdi_builder *b, const qd_field *f, const qdi_range *g, qd_node_range *to,
                       qd_err *err)
{
    int rc = 0;
    to->by_column = true;
    if (g->has_from) rc = qdi_query_copy(b, g->from.text, &to->from_text, err);
    if (!rc && g->has_to) rc = qdi_query_copy(b, g->to.text, &to->to_text, err);
    if (!rc && g->has_from) rc = keyed_bound(b, f, g->from.text, !g->include_from, &to->from, err);
    if (!rc && g->has_to) rc = keyed_bound(b, f, g->to.text, g->include_to, &to->to, err);
    return rc;
}

static int string_range(qdi_builder *b, const qdi_field *f, const qdi_range *g, const qd_node **out,
                        qd_err *err)
{
    int rc = need_index(f, err);
    if (rc) return rc;
    if (f->f && f->f->slice.n && (!g->has_from || !g->has_to))
        return qd_err_set(err, QD_E_ARG,
                          "[range] queries on keyed [%s] fields must include both an upper and a "
                          "lower bound.",
                          qdi_query_field_type(f));
    if (!b->limits.allow_expensive) {
        rc = qd_err_set(err, QD_E_ARG,
                        "[range] queries on [text] or [keyword] fields cannot be executed when "
                        "'search.allow_expensive_queries' is set to false.");
        qd_err_type(err, "exception", 0);
        return rc;
    }
    qd_node *n = qdi_query_node(b, QD_NATIVE_RANGE, err);
    if (!n) return QD_E_NOMEM;
    n->u.range.field = f->name;
    n->u.range.kind = QD_RANGE_TERM;
    n->u.range.has_from = g->has_from;
    n->u.range.has_to = g->has_to;
    n->u.range.from_inclusive = g->include_from;
    n->u.range.to_inclusive = g->include_to;
    *out = n;
    if (f->f && f->f->text_column) return keyed_range(b, f->f, g, &n->u.range, err);
    if (g->has_from) rc = indexed_term(b, f, g->from.text, &n->u.range.from, err);
    if (!rc && g->has_to) rc = indexed_term(b, f, g->to.text, &n->u.range.to, err);
    *out = n;
    return rc || !f->f || !f->f->grams ? rc : qdi_grams_range(b, f, &n->u.range, out, err);
}

static int range_options(qdi_builder *b, const qdi_field *f, const qdi_range *g, qd_value_ctx *ctx,
                         qd_err *err)
{
    int rc = 0;
    if (g->time_zone.p) {
        qd_zone *zone;
        rc = qd_zone_make(b->arena, g->time_zone, &zone, err);
        ctx->zone = zone;
    }
    if (!rc && g->format.n && f->f->dates) {
        qd_date_format *format;
        rc = qd_date_format_make(b->arena, g->format, &format, err);
        ctx->format = format;
    }
    return rc;
}

int qdi_field_range(qdi_builder *b, const qdi_field *f, const qdi_range *g, const qd_node **out,
                    qd_err *err)
{
    qd_point p[2];
    qd_value_ctx ctx = {.now_ms = b->c->now_ms, .scratch = b->c->analysis};
    int denied = qdi_runtime_allowed(b, f, err);
    if (denied) return denied;
    if (f->cls == QDI_F_NONE) return qdi_query_none(b, out, err);
    if (!g->has_from && !g->has_to) return qdi_field_exists(b, f->name, out, err);
    if (f->f && f->f->constant) return qdi_constant_range(b, f, g, out, err);
    if (qdi_field_is_string(f)) return string_range(b, f, g, out, err);
    if (f->cls == QDI_F_SEQ_NO) return seq_no_range(b, f, g, out, err);
    if (f->cls != QDI_F_MAPPED)
        return qd_err_set(err, QD_E_ARG, "Field [%.*s] of type [%s] does not support range queries",
                          QD_STR_ARG(f->name), qdi_query_field_type(f));
    int rc = f->f->blob || f->f->value_class == QD_VALUE_GEO ? 0 : need_index_or_column(f, err);
    if (!rc) rc = range_options(b, f, g, &ctx, err);
    if (rc) return rc;
    if (f->f->dates)
        b->uncacheable |= (g->has_from && qd_date_math_uses_now(g->from.text)) ||
                          (g->has_to && qd_date_math_uses_now(g->to.text));
    if (f->f->value_class == QD_VALUE_RANGE) return qdi_interval_range(b, f, g, &ctx, out, err);
    rc = qd_field_range(f->f, g->has_from ? &g->from : NULL, g->include_from,
                        g->has_to ? &g->to : NULL, g->include_to, &ctx, p, err);
    if (rc < 0) return rc;
    if (rc) return qdi_query_none(b, out, err);
    if (f->f->value_class == QD_VALUE_IP) return range_ip(b, f->name, p[0].ip, p[1].ip, out, err);
    return range_i64(b, f->name, p[0].i64, p[1].i64, out, err);
}

/* --- exists ----------------------------------------------------------------------------------- */

/* Any term of a key: its slice ends in NUL, the next one in 1. */
static int exists_key(qdi_builder *b, const qd_field *f, const qd_node **out, qd_err *err)
{
    if (!f->indexed && !f->doc_values) return qdi_query_none(b, out, err);
    qd_node *n = qdi_query_node(b, QD_NATIVE_RANGE, err);
    char *end = qd_arena_bytes(b->arena, f->slice.n);
    if (!n || !end) return qd_err_nomem(err, "query");
    memcpy(end, f->slice.p, f->slice.n);
    end[f->slice.n - 1]++;
    n->u.range.field = f->name;
    n->u.range.kind = QD_RANGE_TERM;
    n->u.range.has_from = n->u.range.has_to = n->u.range.from_inclusive = true;
    n->u.range.from = f->slice;
    n->u.range.to = (qd_str){end, f->slice.n};
    *out = n;
    return 0;
}

static int exists_one(qdi_builder *b, const qd_field *f, const qd_node **out, qd_err *err)
{
    if (f->slice.n) return exists_key(b, f, out, err);
    if (f->exists_by == QD_EXISTS_NEVER) return qdi_query_none(b, out, err);
    if (f->exists_by == QD_EXISTS_ALWAYS) return all_or_none(b, true, out, err);
    if (f->exists_by == QD_EXISTS_FIELD_NAME)
        return one_term(b, QD_STR("_field_names"), f->name, out, err);
    qd_node *n = qdi_query_node(b, QD_NATIVE_EXISTS, err);
    if (!n) return QD_E_NOMEM;
    n->u.exists = f->name;
    *out = n;
    return 0;
}

typedef struct existing {
    qdi_builder *b;
    qdi_clauses clauses;
    qd_err *err;
} existing;

static int add_existing(void *arg, const qd_field *f)
{
    existing *e = arg;
    const qd_node *n;
    int rc = exists_one(e->b, f, &n, e->err);
    return rc ? rc : qdi_clause_add(e->b, &e->clauses, QD_OCCUR_SHOULD, n, e->err);
}

/* Any of the fields that match a pattern, or stand below an object. */
static int exists_any(qdi_builder *b, qd_str pattern, const qd_node **out, qd_err *err)
{
    existing e = {.b = b, .err = err};
    const qd_node *any;
    int rc = qd_mapping_match(b->c->mapping, pattern, add_existing, &e);
    if (rc || e.clauses.should.n <= 1) {
        *out = e.clauses.should.n ? e.clauses.should.at[0] : NULL;
        qd_vec_fini(&e.clauses.should);
        return rc ? rc : *out ? 0 : qdi_query_none(b, out, err);
    }
    b->uncounted += (uint32_t)e.clauses.should.n - 1;
    rc = qdi_clauses_bool(b, &e.clauses, QD_STR("1"), &any, err);
    qd_node *n = rc ? NULL : qdi_query_node(b, QD_NATIVE_CONSTANT, err);
    if (!n) return rc ? rc : QD_E_NOMEM;
    n->u.child = any;
    *out = n;
    return 0;
}

int qdi_field_exists(qdi_builder *b, qd_str name, const qd_node **out, qd_err *err)
{
    qdi_field f = qdi_field_find(b, name);
    qd_node *n;
    if (qd_str_find(name, '*') >= 0) return exists_any(b, name, out, err);
    switch (f.cls) {
    case QDI_F_MAPPED: {
        int rc = qdi_runtime_allowed(b, &f, err);
        return rc ? rc : exists_one(b, f.f, out, err);
    }
    case QDI_F_NONE:
        if (!qd_mapping_is_object(b->c->mapping, name)) return qdi_query_none(b, out, err);
        name = qd_arena_printf(b->arena, "%.*s.*", QD_STR_ARG(name));
        if (!name.p) return qd_err_nomem(err, "query");
        return exists_any(b, name, out, err);
    case QDI_F_META:
        if (qd_str_is(f.name, "_source"))
            return qdi_shard_err(b, err, "The _source field is not searchable");
        return all_or_none(b, true, out, err);
    case QDI_F_ROUTING:
    case QDI_F_IGNORED:
        n = qdi_query_node(b, QD_NATIVE_EXISTS, err);
        if (!n) return QD_E_NOMEM;
        n->u.exists = f.name;
        *out = n;
        return 0;
    case QDI_F_FIELD_NAMES:
    case QDI_F_ID:
    case QDI_F_INDEX:
    default:
        return all_or_none(b, true, out, err);
    }
}
