/* params.c: parameters of processors, with Elasticsearch's reasons where they are wrong. */
#include "ingest/ingest_int.h"
#include <stdarg.h>
#include <stdio.h>

void qdi_arg_details(const qdi_build *b, const char *property, qd_err *err)
{
    if (!err) return;
    if (b->type) qd_err_detail_str(err, "processor_type", qd_str_c(b->type));
    if (b->tag.n) qd_err_detail_str(err, "processor_tag", b->tag);
    if (property) qd_err_detail_str(err, "property_name", qd_str_c(property));
}

int qdi_arg_fail(const qdi_build *b, const char *property, qd_err *err, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    int rc = property ? qd_err_set(err, QD_E_ES_PARSE, "[%s] %s", property, text)
                      : qd_err_set(err, QD_E_ES_PARSE, "%s", text);
    qdi_arg_details(b, property, err);
    return rc;
}

int qdi_arg_wrap(const qdi_build *b, const char *property, qd_err *err)
{
    char text[1024];
    int code = err ? err->code : QD_E_ES_PARSE;
    if (code == QD_E_NOMEM || code == QD_E_BREAKER || !err) return code;
    snprintf(text, sizeof text, "%s", qd_err_reason(err));
    qd_err_fini(err);
    return qdi_arg_fail(b, property, err, "%s", text);
}

const char *qdi_node_class(const qd_json_node *n)
{
    int64_t i;
    switch (n->type) {
    case QD_JSON_T_BOOL:
        return "java.lang.Boolean";
    case QD_JSON_T_STRING:
        return "java.lang.String";
    case QD_JSON_T_ARRAY:
        return "java.util.ArrayList";
    case QD_JSON_T_OBJECT:
        return "java.util.HashMap";
    case QD_JSON_T_NULL:
        return "null";
    default:
        if (!n->integer) return "java.lang.Double";
        if (!qd_str_i64(n->text, &i)) return "java.math.BigInteger";
        return i >= INT32_MIN && i <= INT32_MAX ? "java.lang.Integer" : "java.lang.Long";
    }
}

bool qdi_arg_common(qd_str key)
{
    static const char *const names[] = {"tag", "description", "if", "ignore_failure", "on_failure"};
    for (size_t i = 0; i < QD_COUNT_OF(names); i++)
        if (qd_str_is(key, names[i])) return true;
    return false;
}

const qd_json_node *qdi_arg(qdi_build *b, const char *key)
{
    uint32_t k = 0;
    for (const qd_json_node *n = b->config->first; n; n = n->next, k++) {
        if (!qd_str_is(n->key, key)) continue;
        if (k < QDI_PARAMS_MAX) b->used |= UINT64_C(1) << k;
        return n->type == QD_JSON_T_NULL ? NULL : n;
    }
    return NULL;
}

static int missing(const qdi_build *b, const char *key, qd_err *err)
{
    return qdi_arg_fail(b, key, err, "required property is missing");
}

static int not_a(const qdi_build *b, const char *key, const char *what, const qd_json_node *n,
                 qd_err *err)
{
    return qdi_arg_fail(b, key, err, "property isn't a %s, but of type [%s]", what,
                        qdi_node_class(n));
}

static bool kept(const qdi_build *b, qd_str s, qd_str *out)
{
    *out = s.n ? qd_arena_str(b->a, s) : QD_STR("");
    return out->p != NULL;
}

int qdi_arg_str_opt(qdi_build *b, const char *key, qd_str *out, qd_err *err)
{
    const qd_json_node *n = qdi_arg(b, key);
    *out = (qd_str){NULL, 0};
    if (!n) return 0;
    if (n->type != QD_JSON_T_STRING) return not_a(b, key, "string", n, err);
    return kept(b, qd_json_text(n), out) ? 0 : qd_err_nomem(err, "processor");
}

int qdi_arg_str(qdi_build *b, const char *key, const char *standard, qd_str *out, qd_err *err)
{
    int rc = qdi_arg_str_opt(b, key, out, err);
    if (rc || out->p) return rc;
    if (!standard) return missing(b, key, err);
    *out = qd_str_c(standard);
    return 0;
}

int qdi_arg_bool(qdi_build *b, const char *key, bool standard, bool *out, qd_err *err)
{
    const qd_json_node *n = qdi_arg(b, key);
    *out = standard;
    if (!n) return 0;
    if (n->type != QD_JSON_T_BOOL) return not_a(b, key, "boolean", n, err);
    *out = n->truth;
    return 0;
}

int qdi_arg_int(qdi_build *b, const char *key, int64_t standard, int64_t *out, qd_err *err)
{
    const qd_json_node *n = qdi_arg(b, key);
    *out = standard;
    if (!n) return 0;
    qd_str text = qd_json_text(n);
    if (!text.p || !qd_str_i64(text, out) || *out > INT32_MAX || *out < INT32_MIN)
        return qdi_arg_fail(b, key, err, "property cannot be converted to an int [%.*s]",
                            QD_STR_ARG(text.p ? text : n->raw));
    return 0;
}

int qdi_arg_strs(qdi_build *b, const char *key, bool required, bool single, qd_str **out,
                 uint32_t *n, qd_err *err)
{
    const qd_json_node *node = qdi_arg(b, key);
    *n = 0;
    *out = NULL;
    if (!node) return required ? missing(b, key, err) : 0;
    bool list = node->type == QD_JSON_T_ARRAY;
    if (!list && !(single && node->type == QD_JSON_T_STRING))
        return not_a(b, key, "list", node, err);
    *out = qd_arena_alloc(b->a, (list ? node->n : 1) * sizeof **out + 1);
    if (!*out) return qd_err_nomem(err, "processor");
    for (const qd_json_node *c = list ? node->first : node; c; c = list ? c->next : NULL) {
        qd_str text = qd_json_text(c);
        if (!text.p) return not_a(b, key, "list of strings", c, err);
        if (!kept(b, text, &(*out)[(*n)++])) return qd_err_nomem(err, "processor");
    }
    return 0;
}

int qdi_arg_path(qdi_build *b, const char *key, qd_str standard, qdi_path *out, qd_err *err)
{
    qd_str text;
    int rc = qdi_arg_str(b, key, standard.p ? "" : NULL, &text, err);
    if (rc) return rc;
    if (!text.n && standard.p) text = standard;
    rc = qdi_path_make(b->a, text, out, err);
    return rc ? qdi_arg_wrap(b, key, err) : 0;
}

int qdi_tpath_make(qdi_build *b, const char *key, qd_str text, qdi_tpath *out, qd_err *err)
{
    qd_str fixed;
    *out = (qdi_tpath){.constant = false};
    int rc = qd_mustache_compile(b->a, text, QD_MUSTACHE_JSON, &out->text, err);
    if (!rc && qd_mustache_constant(out->text, &fixed)) {
        out->constant = true;
        rc = qdi_path_make(b->a, fixed, &out->fixed, err);
    }
    return rc ? qdi_arg_wrap(b, key, err) : 0;
}

int qdi_arg_tpath(qdi_build *b, const char *key, qd_str standard, qdi_tpath *out, qd_err *err)
{
    qd_str text;
    int rc = qdi_arg_str(b, key, standard.p ? "" : NULL, &text, err);
    if (rc) return rc;
    return qdi_tpath_make(b, key, !text.n && standard.p ? standard : text, out, err);
}

int qdi_arg_template(qdi_build *b, const char *key, qd_mustache **out, qd_err *err)
{
    qd_str text;
    int rc = qdi_arg_str(b, key, NULL, &text, err);
    if (rc) return rc;
    rc = qd_mustache_compile(b->a, text, QD_MUSTACHE_JSON, out, err);
    return rc ? qdi_arg_wrap(b, key, err) : 0;
}

int qdi_arg_value(qdi_build *b, const char *key, qd_mustache_escape escape, qdi_source **out,
                  qd_err *err)
{
    const qd_json_node *n = qdi_arg(b, key);
    if (!n) return missing(b, key, err);
    int rc = qdi_source_make(b->a, n, escape, out, err);
    return rc ? qdi_arg_wrap(b, key, err) : 0;
}

int qdi_arg_media_type(qdi_build *b, qd_mustache_escape *out, qd_err *err)
{
    qd_str media;
    int rc = qdi_arg_str(b, "media_type", "application/json", &media, err);
    if (rc) return rc;
    if (!qd_mustache_media(media, out))
        return qdi_arg_fail(b, "media_type", err,
                            "property does not contain a supported media type [%.*s]",
                            QD_STR_ARG(media));
    return 0;
}

int qdi_args_end(const qdi_build *b, qd_err *err)
{
    char names[512];
    size_t at = 0;
    uint32_t k = 0;
    names[0] = 0;
    for (const qd_json_node *n = b->config->first; n; n = n->next, k++) {
        if (k < QDI_PARAMS_MAX && (b->used >> k & 1)) continue;
        int more =
            snprintf(names + at, sizeof names - at, "%s%.*s", at ? ", " : "", QD_STR_ARG(n->key));
        at += more > 0 ? (size_t)more : 0;
        if (at >= sizeof names) at = sizeof names - 1;
    }
    if (!at) return 0;
    return qdi_arg_fail(b, NULL, err,
                        "processor [%s] doesn't support one or more provided configuration "
                        "parameters [%s]",
                        b->type, names);
}
