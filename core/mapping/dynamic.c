/*
 * dynamic.c: what a field becomes that the mapping does not have: dynamic templates, detection of
 * dates and numbers in strings, and the usual types.
 */
#include "mapping/mapping_int.h"
#include <unicode/uregex.h>

#define NAMES_MAX 16

/* --- templates ----------------------------------------------------------------------------------
 */

static int read_names(const qd_json_node *n, qd_str *out, uint32_t *count, qd_err *err)
{
    bool list = n->type == QD_JSON_T_ARRAY;
    for (const qd_json_node *c = list ? n->first : n; c; c = list ? c->next : NULL) {
        if (*count == NAMES_MAX || !qd_json_text(c).p) {
            return qd_err_set(err, QD_E_MAPPER_PARSING,
                              "[%.*s] must be a list of at most %d strings", QD_STR_ARG(n->key),
                              NAMES_MAX);
        }
        out[(*count)++] = qd_json_text(c);
    }
    return 0;
}

static int known_type(qd_str type, qd_err *err)
{
    static const char *const types[] = {"object",  "string", "long",   "double",
                                        "boolean", "date",   "binary", "*"};
    for (size_t i = 0; i < QD_COUNT_OF(types); i++) {
        if (qd_str_is(type, types[i])) return 0;
    }
    return qd_err_set(err, QD_E_ARG,
                      "No field type matched on [%.*s], possible values are [object, string, long, "
                      "double, boolean, "
                      "date, binary]",
                      QD_STR_ARG(type));
}

static int template_param(const qd_json_node *c, template_def *t, qd_err *err)
{
    if (qd_str_is(c->key, "match")) return read_names(c, t->match, &t->nmatch, err);
    if (qd_str_is(c->key, "unmatch")) return read_names(c, t->unmatch, &t->nunmatch, err);
    if (qd_str_is(c->key, "path_match")) return read_names(c, t->path_match, &t->npath_match, err);
    if (qd_str_is(c->key, "path_unmatch"))
        return read_names(c, t->path_unmatch, &t->npath_unmatch, err);
    if (qd_str_is(c->key, "match_mapping_type")) {
        int rc = read_names(c, t->match_mapping_type, &t->ntypes, err);
        for (uint32_t i = 0; rc == 0 && i < t->ntypes; i++) {
            rc = known_type(t->match_mapping_type[i], err);
            t->any_type |= qd_str_is(t->match_mapping_type[i], "*");
        }
        return rc;
    }
    if (qd_str_is(c->key, "match_pattern")) {
        qd_str v = qd_json_text(c);
        t->regex = qd_str_is(v, "regex");
        if (t->regex || qd_str_is(v, "simple")) return 0;
        return qd_err_set(err, QD_E_ARG, "No matching pattern matched on [%.*s]", QD_STR_ARG(v));
    }
    if (qd_str_is(c->key, "mapping") || qd_str_is(c->key, "runtime")) {
        if (c->type != QD_JSON_T_OBJECT)
            return qd_err_set(err, QD_E_MAPPER_PARSING, "[%.*s] must be an object",
                              QD_STR_ARG(c->key));
        if (t->mapping)
            return qd_err_set(err, QD_E_MAPPER_PARSING,
                              "mapping and runtime cannot be both specified in the same dynamic "
                              "template [%.*s]",
                              QD_STR_ARG(t->name));
        t->mapping = c;
        t->runtime = qd_str_is(c->key, "runtime");
        return 0;
    }
    return qd_err_set(err, QD_E_ARG, "Illegal dynamic template parameter: [%.*s]",
                      QD_STR_ARG(c->key));
}

/* Whole match by ICU; *good says whether the pattern can be compiled. */
static bool regex_matches(qd_str pattern, qd_str text, bool *good)
{
    UErrorCode st = U_ZERO_ERROR;
    UParseError where;
    char copy[512];
    *good = false;
    if (pattern.n >= sizeof copy) return false;
    memcpy(copy, pattern.p, pattern.n);
    copy[pattern.n] = 0;
    UText pt = UTEXT_INITIALIZER, tt = UTEXT_INITIALIZER;
    utext_openUTF8(&pt, copy, (int64_t)pattern.n, &st);
    URegularExpression *re = uregex_openUText(&pt, 0, &where, &st);
    bool match = false;
    if (U_SUCCESS(st)) {
        *good = true;
        uregex_setTimeLimit(re, 1000, &st);
        utext_openUTF8(&tt, text.p, (int64_t)text.n, &st);
        uregex_setUText(re, &tt, &st);
        match = uregex_matches(re, 0, &st) && U_SUCCESS(st);
    }
    uregex_close(re);
    utext_close(&pt);
    utext_close(&tt);
    return match;
}

int qdi_template_read(qd_arena *a, const qd_json_node *n, template_def *out, qd_err *err)
{
    (void)a;
    out->name = n->key;
    if (n->type != QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_MAPPER_PARSING, "dynamic template [%.*s] must be an object",
                          QD_STR_ARG(n->key));
    }
    for (const qd_json_node *c = n->first; c; c = c->next) {
        int rc = template_param(c, out, err);
        if (rc) return rc;
    }
    if (!out->mapping) {
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "template [%.*s] must have either mapping or runtime set",
                          QD_STR_ARG(n->key));
    }
    if (!out->nmatch && !out->npath_match && !out->ntypes && !out->nunmatch &&
        !out->npath_unmatch) {
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "template must have match, path_match or match_mapping_type set [%.*s]",
                          QD_STR_ARG(n->key));
    }
    for (uint32_t i = 0; out->regex && i < out->nmatch; i++) {
        bool good;
        (void)regex_matches(out->match[i], QD_STR(""), &good);
        if (!good) {
            return qd_err_set(
                err, QD_E_ARG,
                "Pattern [%.*s] of type [regex] is invalid. Cannot create dynamic template [%.*s].",
                QD_STR_ARG(out->match[i]), QD_STR_ARG(n->key));
        }
    }
    out->any_type |= out->ntypes == 0;
    return 0;
}

static bool any_matches(const template_def *t, const qd_str *list, uint32_t n, qd_str s)
{
    for (uint32_t i = 0; i < n; i++) {
        bool good;
        if (t->regex ? regex_matches(list[i], s, &good) : qd_json_simple_match(list[i], s))
            return true;
    }
    return false;
}

static bool template_fits(const template_def *t, qd_str path, qd_str name, const char *kind)
{
    if (t->npath_match && !any_matches(t, t->path_match, t->npath_match, path)) return false;
    if (t->nmatch && !any_matches(t, t->match, t->nmatch, name)) return false;
    if (any_matches(t, t->path_unmatch, t->npath_unmatch, path)) return false;
    if (any_matches(t, t->unmatch, t->nunmatch, name)) return false;
    if (t->any_type) return true;
    for (uint32_t i = 0; i < t->ntypes; i++) {
        if (qd_str_is(t->match_mapping_type[i], kind)) return true;
    }
    return false;
}

static const char *usual_type(const char *kind)
{
    if (strcmp(kind, "string") == 0) return "text";
    if (strcmp(kind, "double") == 0) return "float";
    return kind;
}

/* s with {name} and {dynamic_type} (and its old form {dynamicType}) filled in. */
static void fill_in(qd_buf *b, qd_str s, qd_str name, const char *type)
{
    while (s.n) {
        qd_str put = {NULL, 0};
        size_t skip = 1;
        if (qd_str_starts(s, QD_STR("{name}"))) {
            put = name;
            skip = 6;
        } else if (qd_str_starts(s, QD_STR("{dynamic_type}"))) {
            put = qd_str_c(type);
            skip = 14;
        } else if (qd_str_starts(s, QD_STR("{dynamicType}"))) {
            put = qd_str_c(type);
            skip = 13;
        }
        if (put.p)
            (void)qd_buf_str(b, put);
        else
            (void)qd_buf_char(b, *s.p);
        s = qd_str_sub(s, skip, s.n);
    }
}

static void template_definition(const template_def *t, qd_str name, const char *kind,
                                const qd_date_format *format, qd_buf *out)
{
    bool string = strcmp(kind, "string") == 0;
    const char *type = !t->runtime ? usual_type(kind) : string ? "keyword" : kind;
    qd_json_reader r = QD_JSON_READER(out->account);
    qd_json_writer w;
    qd_buf text;
    qd_json_event ev;
    qd_buf_init(&text, out->account, 1 << 20);
    qd_json_writer_init(&w, out, false);
    qd_json_reader_init(&r, t->mapping->raw, QD_JSON_COMMENTS, 0);
    bool first = true;
    while ((ev = qd_json_next(&r)) > 0) {
        qd_buf_reset(&text);
        if (ev == QD_JSON_KEY || ev == QD_JSON_STRING) fill_in(&text, r.text, name, type);
        switch (ev) {
        case QD_JSON_OBJECT:
            qd_json_object(&w);
            if (first && !qd_json_get(t->mapping, "type")) {
                qd_json_field_c(&w, "type", strcmp(kind, "object") == 0 ? "object" : type);
            }
            if (first && format && !qd_json_get(t->mapping, "format") &&
                format != qd_date_format_default() &&
                (!qd_json_get(t->mapping, "type") ||
                 qd_str_is(qd_json_text(qd_json_get(t->mapping, "type")), "date"))) {
                qd_json_field_str(&w, "format", qd_date_format_pattern(format));
            }
            first = false;
            break;
        case QD_JSON_OBJECT_END:
            qd_json_object_end(&w);
            break;
        case QD_JSON_ARRAY:
            qd_json_array(&w);
            break;
        case QD_JSON_ARRAY_END:
            qd_json_array_end(&w);
            break;
        case QD_JSON_KEY:
            qd_json_key(&w, qd_buf_view(&text));
            break;
        case QD_JSON_STRING:
            qd_json_str(&w, qd_buf_view(&text));
            break;
        default:
            qd_json_raw_bytes(&w, (qd_str){r.token, (size_t)(r.at - r.token)});
            break;
        }
    }
    qd_json_reader_fini(&r);
    qd_buf_fini(&text);
}

/* --- usual types
 * ------------------------------------------------------------------------------------ */

bool qdi_dynamic_fits(const qd_mapping *m, qd_str path, qd_str name, const char *kind)
{
    for (uint32_t i = 0; i < m->def->ntemplates; i++)
        if (template_fits(&m->def->templates[i], path, name, kind)) return true;
    return false;
}

int qdi_dynamic_definition(const qd_mapping *m, qd_str path, qd_str name, const char *kind,
                           const qd_date_format *format, bool *runtime, qd_buf *out)
{
    bool is_object = strcmp(kind, "object") == 0;
    for (uint32_t i = 0; i < m->def->ntemplates; i++) {
        const template_def *t = &m->def->templates[i];
        if ((t->runtime && is_object) || !template_fits(t, path, name, kind)) continue;
        *runtime = t->runtime;
        template_definition(t, name, kind, format, out);
        return qd_buf_status(out);
    }
    *runtime &= !is_object;
    if (*runtime) {
        qdi_runtime_dynamic(kind, format, out);
        return qd_buf_status(out);
    }
    qd_json_writer w;
    qd_json_writer_init(&w, out, false);
    if (strcmp(kind, "string") == 0) {
        qd_json_raw_bytes(&w, QD_STR("{\"type\":\"text\",\"fields\":{\"keyword\":{\"type\":"
                                     "\"keyword\",\"ignore_above\":256}}}"));
        return qd_buf_status(out);
    }
    qd_json_object(&w);
    qd_json_field_c(&w, "type", usual_type(kind));
    if (format && format != qd_date_format_default()) {
        qd_json_field_str(&w, "format", qd_date_format_pattern(format));
    }
    qd_json_object_end(&w);
    return qd_buf_status(out);
}

const char *qdi_dynamic_string_kind(const qd_mapping *m, qd_str text, const qd_date_format **format)
{
    int64_t i;
    double d;
    *format = NULL;
    bool whole = qd_i64_parse(text, &i) == 0;
    bool number = whole || (text.n < 400 && qd_f64_parse_java(text, &d) == 0);
    if (number) {
        /* a pure number is never a date: formats without separators would take it */
        if (m->def->numeric_detection != TRI_TRUE) return "string";
        return whole ? "long" : "double";
    }
    if (m->def->date_detection == TRI_FALSE) return "string";
    for (uint32_t k = 0; k < m->ndate_formats; k++) {
        int64_t ms;
        if (!qd_date_try(m->date_formats[k], text, NULL, false, &ms)) continue;
        *format = m->date_formats[k];
        return "date";
    }
    return "string";
}
