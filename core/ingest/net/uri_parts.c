/* uri_parts.c: the processor uri_parts: a URI as its parts. */
#include "ingest/percent.h"

typedef struct parts {
    qdi_path field, target;
    bool keep, remove, ignore_missing;
} parts;

static int make(qdi_build *b, void *config, qd_err *err)
{
    parts *c = config;
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_path(b, "target_field", QD_STR("url"), &c->target, err);
    if (!rc) rc = qdi_arg_bool(b, "remove_if_successful", false, &c->remove, err);
    if (!rc) rc = qdi_arg_bool(b, "keep_original", true, &c->keep, err);
    return rc ? rc : qdi_arg_bool(b, "ignore_missing", false, &c->ignore_missing, err);
}

typedef struct uri {
    qd_str scheme, user_info, host, port, path, query, fragment;
} uri;

/* The part before a character, which is cut off with it; false: it is not there. */
static bool before(qd_str *rest, char c, qd_str *out)
{
    ptrdiff_t at = qd_str_find(*rest, c);
    if (at < 0) return false;
    *out = qd_str_sub(*rest, 0, (size_t)at);
    *rest = qd_str_sub(*rest, (size_t)at + 1, rest->n);
    return true;
}

static bool digits(qd_str s)
{
    for (size_t k = 0; k < s.n; k++) {
        if (s.p[k] < '0' || s.p[k] > '9') return false;
    }
    return true;
}

/* user:password@host:port */
static bool authority(qd_str s, uri *u)
{
    ptrdiff_t at = -1;
    for (size_t k = 0; k < s.n; k++) {
        if (s.p[k] == '@') at = (ptrdiff_t)k;
    }
    if (at >= 0) {
        u->user_info = qd_str_sub(s, 0, (size_t)at);
        s = qd_str_sub(s, (size_t)at + 1, s.n);
    }
    ptrdiff_t close = s.n && s.p[0] == '[' ? qd_str_find(s, ']') : -1;
    size_t from = close > 0 ? (size_t)close + 1 : 0;
    ptrdiff_t colon = qd_str_find(qd_str_sub(s, from, s.n), ':');
    u->host = colon < 0 ? s : qd_str_sub(s, 0, from + (size_t)colon);
    if (colon >= 0) u->port = qd_str_sub(s, from + (size_t)colon + 1, s.n);
    return digits(u->port) && u->port.n < 7;
}

static bool parse(qd_str text, uri *u)
{
    qd_str rest = text, head;
    *u = (uri){0};
    for (size_t k = 0; k < text.n; k++) {
        if ((unsigned char)text.p[k] <= ' ' || text.p[k] == '<' || text.p[k] == '>' ||
            text.p[k] == '"')
            return false;
    }
    ptrdiff_t hash = qd_str_find(rest, '#');
    if (hash >= 0) {
        u->fragment = qd_str_sub(rest, (size_t)hash + 1, rest.n);
        if (!u->fragment.p) u->fragment = QD_STR("");
        rest.n = (size_t)hash;
    }
    qd_str path = rest;
    if (before(&path, '?', &head)) {
        u->query = path;
        rest = head;
    }
    ptrdiff_t colon = qd_str_find(rest, ':'), slash = qd_str_find(rest, '/');
    if (colon > 0 && (slash < 0 || colon < slash)) {
        u->scheme = qd_str_sub(rest, 0, (size_t)colon);
        rest = qd_str_sub(rest, (size_t)colon + 1, rest.n);
    }
    if (qd_str_starts(rest, QD_STR("//"))) {
        rest = qd_str_sub(rest, 2, rest.n);
        ptrdiff_t end = qd_str_find(rest, '/');
        qd_str host = end < 0 ? rest : qd_str_sub(rest, 0, (size_t)end);
        rest = end < 0 ? QD_STR("") : qd_str_sub(rest, (size_t)end, rest.n);
        if (!authority(host, u)) return false;
    }
    u->path = rest;
    return true;
}

static bool put(qd_ingest_run *r, qd_iv *map, const char *key, qd_str s)
{
    qd_iv *at = s.p ? qd_iv_put(&r->arena, map, qd_str_c(key)) : NULL;
    if (at) *at = QD_IV_STRING(s);
    return at || !s.p;
}

/* What stands behind the last dot of the last part. */
static qd_str extension(qd_str path)
{
    for (size_t k = path.n; k > 0 && path.p[k - 1] != '/'; k--) {
        if (path.p[k - 1] == '.')
            return k < path.n ? qd_str_sub(path, k, path.n) : (qd_str){NULL, 0};
    }
    return (qd_str){NULL, 0};
}

static bool put_user(qd_ingest_run *r, qd_iv *out, qd_str info)
{
    qd_str name = info, password = {NULL, 0};
    if (!info.p) return true;
    ptrdiff_t colon = qd_str_find(info, ':');
    if (colon >= 0) {
        name = qd_str_sub(info, 0, (size_t)colon);
        password = qd_str_sub(info, (size_t)colon + 1, info.n);
    }
    return put(r, out, "user_info", info) && put(r, out, "username", name) &&
           put(r, out, "password", password);
}

static bool decoded(qd_ingest_run *r, qd_str *s, qd_err *err)
{
    bool bad;
    qd_str out = *s;
    if (!s->n || qd_str_find(*s, '%') < 0) return true;
    if (qdi_percent_decode(r, *s, false, &out, &bad, err)) return false;
    if (!bad) *s = out;
    return true;
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const parts *c = config;
    qd_str text;
    bool missing;
    uri u;
    qd_iv out = {.kind = QD_IV_MAP};
    int rc = qdi_path_text(r, &c->field, c->ignore_missing, &text, &missing, err);
    if (rc || missing) return rc;
    if (!parse(text, &u))
        return qd_err_set(err, QD_E_ARG, "unable to parse URI [%.*s]", QD_STR_ARG(text));
    qd_str ext = extension(u.path);
    if (!decoded(r, &u.path, err) || !decoded(r, &u.query, err) || !decoded(r, &u.fragment, err))
        return QD_E_NOMEM;
    bool ok = put(r, &out, "domain", u.host) && put(r, &out, "fragment", u.fragment) &&
              put(r, &out, "original", c->keep ? text : (qd_str){NULL, 0}) &&
              put(r, &out, "path", u.path.p ? u.path : QD_STR("")) &&
              put(r, &out, "extension", ext);
    int64_t port;
    if (ok && u.port.n && qd_str_i64(u.port, &port)) {
        qd_iv *at = qd_iv_put(&r->arena, &out, QD_STR("port"));
        ok = at != NULL;
        if (at) *at = QD_IV_INTEGER(port);
    }
    ok = ok && put(r, &out, "query", u.query) && put(r, &out, "scheme", u.scheme) &&
         put_user(r, &out, u.user_info);
    if (!ok) return qdi_run_nomem(err);
    bool same = qd_str_eq(c->field.full, c->target.full);
    if (c->remove && !same && (rc = qdi_path_remove(r, &c->field, err))) return rc;
    return qdi_path_set(r, &c->target, out, err);
}

const qdi_processor_type qdi_processor_uri_parts = {"uri_parts", sizeof(parts), .make = make,
                                                    .run = run};
