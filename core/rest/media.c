/* media.c: Content-Type and Accept, with the vendored types of Elasticsearch's clients. */
#include "rest/rest_int.h"
#include <stdio.h>
#include <string.h>

typedef struct parsed {
    uint32_t format;
    bool vendored;
    int compatible; /* compatible-with; 0: none */
} parsed;

#define TYPE(text) text, sizeof text - 1
static const struct {
    const char *type;
    size_t n;
    uint32_t format;
    bool vendored;
} types[] = {
    {TYPE("application/json"), QD_FORMAT_JSON, false},
    {TYPE("application/x-ndjson"), QD_FORMAT_NDJSON, false},
    {TYPE("application/vnd.elasticsearch+json"), QD_FORMAT_JSON, true},
    {TYPE("application/vnd.elasticsearch+x-ndjson"), QD_FORMAT_NDJSON, true},
    {TYPE("text/plain"), QD_FORMAT_TEXT, false},
    {TYPE("application/yaml"), QD_FORMAT_YAML, false},
    {TYPE("application/*"), QD_FORMAT_JSON, false},
    {TYPE("*/*"), QD_FORMAT_NONE, false},
};

static bool parse(qd_str header, parsed *out)
{
    qd_str rest = header, type = qd_str_trim(qd_str_split(&rest, ';'));
    *out = (parsed){0};
    while (rest.p) {
        qd_str value = qd_str_split(&rest, ';'), key = qd_str_trim(qd_str_split(&value, '='));
        uint64_t n;
        if (qd_str_ieq(key, QD_STR("compatible-with")) && qd_str_u64(qd_str_trim(value), &n)) {
            out->compatible = (int)n;
        }
    }
    for (size_t i = 0; i < QD_COUNT_OF(types); i++) {
        if (type.n != types[i].n) continue;
        if (!qd_str_ieq(type, (qd_str){types[i].type, types[i].n})) continue;
        out->format = types[i].format;
        out->vendored = types[i].vendored;
        return true;
    }
    return false;
}

static int major_of(rest_identity id)
{
    return id == IDENTITY_ES9 ? 9 : id == IDENTITY_ES8 ? 8 : 7;
}

/* The cause names the header, the frame both, as Elasticsearch's clients expect it. */
static int wrong_version(const char *what, const parsed *p, int major, qd_str header, qd_err *err)
{
    qd_err_set(err, QD_E_ARG, "%s version must be either version %d or %d, but found %d. %s=%.*s",
               what, major, major - 1, p->compatible, what, QD_STR_ARG(header));
    qd_err_type(err, "status_exception", 400);
    return qd_err_wrap(err, QD_E_MEDIA_TYPE,
                       "Invalid media-type value on headers [Accept, Content-Type]");
}

/* Elasticsearch answers a content type that it cannot read without an error object. */
static int unsupported(qd_str type, rest_media *out, qd_err *err)
{
    out->plain_error = true;
    if (!type.n) return qd_err_set(err, QD_E_CONTENT_TYPE, "Content-Type header is missing");
    return qd_err_set(err, QD_E_CONTENT_TYPE, "Content-Type header [%.*s] is not supported",
                      QD_STR_ARG(type));
}

/* 7.17 knows the vendored types, 7.10.2 and OpenSearch do not. */
static bool knows_vendored(rest_identity id)
{
    return id == IDENTITY_ES7 || id == IDENTITY_ES8 || id == IDENTITY_ES9;
}

static bool version_fits(const parsed *p, int major)
{
    return !p->compatible || p->compatible == major || p->compatible == major - 1;
}

/* The first of the alternatives of Accept that we can write. */
static bool accept_of(qd_str header, parsed *out)
{
    for (qd_str rest = header; rest.p;) {
        if (parse(qd_str_split(&rest, ','), out)) return true;
    }
    return false;
}

void qdi_media_standard(rest_identity id, rest_media *out)
{
    *out = (rest_media){0};
    out->content_type = id == IDENTITY_ES8 || id == IDENTITY_ES9
                            ? "application/json"
                            : "application/json; charset=UTF-8";
}

/* token "/" token, as RFC 9110 has it: anything else is no media type at all. */
static bool is_media_type(qd_str header)
{
    qd_str type = qd_str_trim(qd_str_split(&header, ';'));
    ptrdiff_t slash = qd_str_find(type, '/');
    return slash > 0 && (size_t)slash + 1 < type.n && qd_str_find(type, ' ') < 0 &&
           qd_str_find(qd_str_sub(type, (size_t)slash + 1, type.n), '/') < 0;
}

static int invalid(const char *what, qd_str header, qd_err *err)
{
    qd_err_set(err, QD_E_ARG, "invalid media-type [%.*s]", QD_STR_ARG(header));
    int rc = qd_err_wrap(err, QD_E_MEDIA_TYPE, "Invalid media-type value on headers [%s]", what);
    qd_err_type(err, NULL, 400);
    return rc;
}

int qdi_media(const qd_frontend *f, const qd_http_exchange *x, bool has_body, rest_media *out,
              qd_err *err)
{
    qd_str type = qd_http_header_get(x, "content-type"), accept = qd_http_header_get(x, "accept");
    parsed body = {0}, wanted = {0};
    int major = major_of(f->identity);
    qdi_media_standard(f->identity, out);
    if (type.n && !is_media_type(type)) return invalid("Content-Type", type, err);
    bool known = type.n && parse(type, &body);
    if (has_body && (!known || body.format == QD_FORMAT_TEXT || body.format == QD_FORMAT_YAML ||
                     body.format == QD_FORMAT_NONE)) {
        return unsupported(type, out, err);
    }
    if (body.vendored && !knows_vendored(f->identity)) return unsupported(type, out, err);
    if (!version_fits(&body, major)) {
        int rc = wrong_version("Content-Type", &body, major, type, err);
        qd_err_type(err, NULL, 400);
        return rc;
    }
    if (accept.n && accept_of(accept, &wanted)) {
        if (!version_fits(&wanted, major)) {
            int rc = wrong_version("Accept", &wanted, major, accept, err);
            qd_err_type(err, NULL, 400);
            return rc;
        }
        if (wanted.vendored && knows_vendored(f->identity)) {
            out->vendored = true;
            snprintf(out->vendored_type, sizeof out->vendored_type,
                     "application/vnd.elasticsearch+json;compatible-with=%d",
                     wanted.compatible ? wanted.compatible : major);
            out->content_type = out->vendored_type;
        }
    }
    out->body = body.format ? body.format : QD_FORMAT_JSON;
    /* Of a list nothing follows for the form of an answer: what an API does by itself goes on. */
    out->accept = qd_str_find(accept, ',') >= 0 ? QD_FORMAT_NONE : wanted.format;
    return 0;
}
