/* parts.c: parts of a search's body that top_hits has as well: sort, _source, fields. */
#include "action/search/search_int.h"
#include "base/str.h"
#include <stdio.h>

/* --- lists --- */

static int string_list(qd_arena *a, const qd_json_node *n, qd_str **out, uint32_t *count,
                       qd_err *err)
{
    uint32_t room = n->type == QD_JSON_T_ARRAY ? n->n : 1;
    *count = 0;
    *out = qd_arena_alloc(a, (room + 1) * sizeof **out);
    if (!*out) return qd_err_nomem(err, "list of fields");
    if (n->type != QD_JSON_T_ARRAY) {
        (*out)[(*count)++] = qd_json_text(n);
        return 0;
    }
    for (const qd_json_node *x = n->first; x; x = x->next) {
        if (x->type != QD_JSON_T_STRING) {
            return qd_err_set(err, QD_E_ES_PARSE, "expected a list of strings but found [%.*s]",
                              QD_STR_ARG(x->raw));
        }
        (*out)[(*count)++] = x->text;
    }
    return 0;
}

int qdi_search_source_parse(qd_arena *a, const qd_json_node *n, doc_source *out, qd_err *err)
{
    qd_str *in = NULL, *ex = NULL;
    uint32_t nin = 0, nex = 0;
    int rc = 0;
    *out = (doc_source){.want = true};
    if (n->type == QD_JSON_T_BOOL) {
        out->want = n->truth;
        return 0;
    }
    if (n->type == QD_JSON_T_OBJECT) {
        for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
            if (qd_str_is(m->key, "includes") || qd_str_is(m->key, "include")) {
                rc = string_list(a, m, &in, &nin, err);
            } else if (qd_str_is(m->key, "excludes") || qd_str_is(m->key, "exclude")) {
                rc = string_list(a, m, &ex, &nex, err);
            } else if (qd_str_is(m->key, "exclude_vectors") && m->type == QD_JSON_T_BOOL) {
                out->no_vectors = m->truth;
            } else {
                rc = qd_err_set(err, QD_E_PARSE, "Unknown key for a %s in [%.*s].",
                                qd_json_type_token(m->type), QD_STR_ARG(m->key));
            }
        }
    } else if (n->type == QD_JSON_T_STRING || n->type == QD_JSON_T_ARRAY) {
        rc = string_list(a, n, &in, &nin, err);
    } else {
        rc = qd_err_set(err, QD_E_PARSE,
                        "Expected one of [VALUE_BOOLEAN, START_OBJECT, VALUE_STRING, START_ARRAY] "
                        "but found [%s]",
                        n->type == QD_JSON_T_NUMBER ? "VALUE_NUMBER" : "VALUE_NULL");
    }
    if (rc || (!nin && !nex)) return rc;
    return qd_json_filter_make(a, in, nin, ex, nex, QD_JSON_FILTER_SOURCE, &out->filter, err);
}

int qdi_search_stored_parse(qd_arena *a, const qd_json_node *n, search_show *out, qd_err *err)
{
    int rc = string_list(a, n, &out->stored_fields, &out->nstored, err);
    out->stored = true;
    for (uint32_t i = 0; i < out->nstored && !rc; i++) {
        if (!qd_str_is(out->stored_fields[i], "_none_")) continue;
        out->none = true;
        if (out->nstored > 1) {
            rc = qd_err_set(err, QD_E_ARG, "cannot combine _none_ with other fields");
        }
    }
    return rc;
}

static int field_of(const qd_json_node *n, const char *what, search_field *out, qd_err *err)
{
    *out = (search_field){0};
    if (n->type == QD_JSON_T_STRING) {
        out->field = n->text;
        return 0;
    }
    if (n->type != QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_PARSE, "Expected [START_OBJECT] in [%s] but found [%.*s]", what,
                          QD_STR_ARG(n->raw));
    }
    for (const qd_json_node *m = n->first; m; m = m->next) {
        if (qd_str_is(m->key, "field")) {
            out->field = qd_json_text(m);
        } else if (qd_str_is(m->key, "format")) {
            out->format = qd_json_text(m);
        } else if (qd_str_is(m->key, "include_unmapped")) {
            if (qd_json_truth(m, &out->unmapped)) {
                return qd_err_set(err, QD_E_ARG, "[include_unmapped] must be a boolean");
            }
        } else {
            return qd_err_set(err, QD_E_XCONTENT, "[field_and_format] unknown field [%.*s]",
                              QD_STR_ARG(m->key));
        }
    }
    return out->field.n ? 0
                        : qd_err_set(err, QD_E_ARG, "Required [field] is missing in [%s]", what);
}

int qdi_search_fields_parse(qd_arena *a, const qd_json_node *n, const char *what,
                            search_field **out, uint32_t *nout, qd_err *err)
{
    uint32_t room = n->type == QD_JSON_T_ARRAY ? n->n : 1;
    int rc = 0;
    *nout = 0;
    *out = qd_arena_alloc(a, (room + 1) * sizeof **out);
    if (!*out) return qd_err_nomem(err, "list of fields");
    if (n->type != QD_JSON_T_ARRAY) {
        return qd_err_set(err, QD_E_PARSE, "Unknown key for a %s in [%s].",
                          n->type == QD_JSON_T_OBJECT ? "START_OBJECT" : "VALUE_STRING", what);
    }
    for (const qd_json_node *x = n->first; x && !rc; x = x->next) {
        rc = field_of(x, what, &(*out)[*nout], err);
        ++*nout;
    }
    return rc;
}

/* --- sort --- */

int qdi_sort_order_parse(qd_str v, bool *descending, qd_err *err)
{
    if (qd_str_ieq(v, QD_STR("asc"))) {
        *descending = false;
    } else if (qd_str_ieq(v, QD_STR("desc"))) {
        *descending = true;
    } else {
        char text[64];
        qd_str upper = {text, v.n < sizeof text ? v.n : sizeof text};
        for (size_t i = 0; i < upper.n; i++) {
            char c = v.p[i];
            text[i] = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
        }
        return qd_err_set(err, QD_E_ARG,
                          "No enum constant "
                          "org.elasticsearch.search.sort.SortOrder.%.*s",
                          QD_STR_ARG(upper));
    }
    return 0;
}

/* Where the key of a member stands: in the body, unless it was written with escapes. */
static const char *key_at(const search_request *r, const qd_json_node *m)
{
    bool inside = m->key.p > r->body.p && m->key.p < r->body.p + r->body.n;
    return inside ? m->key.p - 1 : m->raw.p;
}

/* The frame of Elasticsearch's declared parser around what a value is refused for. */
static int field_failed(search_request *r, const qd_json_node *m, int rc, qd_err *err)
{
    if (!rc || rc == QD_E_NOMEM || !err) return rc;
    qd_err cause;
    qd_err_init(&cause);
    qd_err_move(&cause, err);
    rc = qdi_search_err_at(r, m->raw.p, err, QD_E_XCONTENT,
                           "[field_sort] failed to parse field [%.*s]", QD_STR_ARG(m->key));
    char why[512];
    snprintf(why, sizeof why, "%s", qd_err_reason(err));
    qd_err_fini(err);
    qd_err_move(err, &cause);
    return qd_err_wrap(err, QD_E_XCONTENT, "%s", why);
}

int qdi_sort_mode_parse(qd_str v, qd_sort_mode *out, qd_err *err)
{
    static const char *const names[] = {"min", "max", "sum", "avg", "median"};
    for (size_t i = 0; i < QD_COUNT_OF(names); i++) {
        if (!qd_str_ieq(v, qd_str_c(names[i]))) continue;
        *out = (qd_sort_mode)i;
        return 0;
    }
    return qd_err_set(err, QD_E_ARG, "Unknown SortMode [%.*s]", QD_STR_ARG(v));
}

static int sort_option(search_request *r, const qd_json_node *m, search_sort_field *f, qd_err *err)
{
    qd_str v = qd_json_text(m);
    bool text = m->type == QD_JSON_T_STRING;
    bool option = qd_str_is(m->key, "order") || qd_str_is(m->key, "mode") ||
                  qd_str_is(m->key, "numeric_type") || qd_str_is(m->key, "unmapped_type") ||
                  qd_str_is(m->key, "format");
    if (option && !text && !qd_str_is(f->field, "_score"))
        return qdi_search_err_at(r, m->raw.p, err, QD_E_XCONTENT,
                                 "[field_sort] %.*s doesn't support values of type: %s",
                                 QD_STR_ARG(m->key), qd_json_type_token(m->type));
    if (qd_str_is(m->key, "order"))
        return field_failed(r, m, qdi_sort_order_parse(v, &f->descending, err), err);
    if (qd_str_is(f->field, "_score")) {
        return qdi_search_err_at(r, key_at(r, m), err, QD_E_XCONTENT,
                                 "[_score] unknown field [%.*s]", QD_STR_ARG(m->key));
    }
    if (qd_str_is(m->key, "mode")) {
        f->has_mode = true;
        return field_failed(r, m, qdi_sort_mode_parse(v, &f->mode, err), err);
    }
    if (qd_str_is(m->key, "missing")) {
        f->missing = m->type == QD_JSON_T_NULL ? NULL : m;
    } else if (qd_str_is(m->key, "unmapped_type")) {
        f->unmapped_type = v;
    } else if (qd_str_is(m->key, "numeric_type")) {
        f->numeric_type = v;
        if (!qd_str_is(v, "long") && !qd_str_is(v, "double") && !qd_str_is(v, "date") &&
            !qd_str_is(v, "date_nanos")) {
            return field_failed(
                r, m,
                qd_err_set(err, QD_E_ARG,
                           "invalid value for [numeric_type], must be [long, double, date, "
                           "date_nanos], got %.*s",
                           QD_STR_ARG(v)),
                err);
        }
    } else if (qd_str_is(m->key, "format")) {
        f->format = v;
    } else if (qd_str_is(m->key, "nested")) {
        return qdi_sort_nested_parse(r, m, &f->nested, err);
    } else if (qdi_sort_nested_old(r, m->key)) {
        return qdi_sort_nested_old_parse(r, m, &f->nested_old, err);
    } else {
        return qdi_search_err_at(r, key_at(r, m), err, QD_E_XCONTENT,
                                 "[field_sort] unknown field [%.*s]", QD_STR_ARG(m->key));
    }
    return 0;
}

static int sort_member(search_request *r, const qd_json_node *m, search_sort_field *f, qd_err *err)
{
    int rc = 0;
    *f = (search_sort_field){.field = m->key, .descending = qd_str_is(m->key, "_score")};
    if (qd_str_is(m->key, "_script")) return qdi_sort_script_parse(r, m, f, err);
    if (qd_str_is(m->key, "_geo_distance") || qd_str_is(m->key, "_geoDistance"))
        return qdi_sort_geo_parse(r, m, f, err);
    if (m->type != QD_JSON_T_OBJECT)
        return qdi_sort_order_parse(qd_json_text(m), &f->descending, err);
    for (const qd_json_node *o = m->first; o && !rc; o = o->next) rc = sort_option(r, o, f, err);
    return rc ? rc : qdi_sort_nested_old_take(f, err);
}

static int sort_element(search_request *r, const qd_json_node *n, search_sort *out, qd_err *err)
{
    int rc = 0;
    if (n->type == QD_JSON_T_STRING) {
        out->at[out->n++] =
            (search_sort_field){.field = n->text, .descending = qd_str_is(n->text, "_score")};
        return 0;
    }
    if (n->type != QD_JSON_T_OBJECT) {
        return qdi_search_err_at(r, n->raw.p, err, QD_E_ARG,
                                 "malformed sort format, within the sort array, an object, or an "
                                 "actual string are allowed");
    }
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        rc = sort_member(r, m, &out->at[out->n++], err);
    }
    return rc;
}

/* A sort by descending score alone is the standard order. */
static int drop_plain(search_sort *s, qd_err *err)
{
    if (s->n == 1 && qd_str_is(s->at[0].field, "_score") && s->at[0].descending) s->n = 0;
    return s->n <= QD_SORT_KEYS_MAX
               ? 0
               : qd_err_set(err, QD_E_ARG, "a sort may have at most [%u] keys but has [%u]",
                            QD_SORT_KEYS_MAX, s->n);
}

int qdi_search_sort_parse(search_request *r, const qd_json_node *n, search_sort *out, qd_err *err)
{
    bool array = n->type == QD_JSON_T_ARRAY;
    uint32_t room = 1; /* one more, to break ties */
    int rc = 0;
    for (const qd_json_node *x = array ? n->first : n; x; x = array ? x->next : NULL) {
        room += x->type == QD_JSON_T_OBJECT ? x->n : 1;
    }
    out->n = 0;
    out->at = qd_arena_calloc(r->arena, room * sizeof *out->at);
    if (!out->at) return qd_err_nomem(err, "sort");
    if (!array) {
        rc = sort_element(r, n, out, err);
    } else {
        for (const qd_json_node *x = n->first; x && !rc; x = x->next) {
            rc = sort_element(r, x, out, err);
        }
    }
    return rc ? rc : drop_plain(out, err);
}

int qdi_search_sort_param(search_request *r, qd_str v, qd_err *err)
{
    uint32_t room = 2; /* one more, to break ties */
    for (size_t i = 0; i < v.n; i++) room += v.p[i] == ',';
    search_sort *s = &r->sort;
    s->n = 0;
    s->at = qd_arena_calloc(r->arena, room * sizeof *s->at);
    if (!s->at) return qd_err_nomem(err, "sort");
    for (qd_str rest = v; rest.p;) {
        qd_str one = qd_str_split(&rest, ',');
        size_t colon = one.n;
        while (colon > 0 && one.p[colon - 1] != ':') colon--;
        qd_str field = colon ? qd_str_sub(one, 0, colon - 1) : one;
        qd_str order = colon ? qd_str_sub(one, colon, one.n) : (qd_str){NULL, 0};
        if (!one.n) continue;
        search_sort_field *f = &s->at[s->n++];
        *f = (search_sort_field){.field = field, .descending = qd_str_is(field, "_score")};
        if (colon && !qd_str_is(order, "asc") && !qd_str_is(order, "desc")) {
            s->n--; /* Elasticsearch drops what is neither */
        } else if (colon) {
            f->descending = qd_str_is(order, "desc");
        }
    }
    return drop_plain(s, err);
}
