/* remote_parse.c: source.remote of a reindex, and whether this node may read from it. */
#include "action/api/admin_int.h"
#include "action/byquery/remote_int.h"
#include "config/value.h"
#include <stdio.h>
#include <string.h>

#define TIMEOUT_NS INT64_C(30000000000)
#define HOST_MAX 4096u

static int no_memory(qd_err *err)
{
    return qd_err_nomem(err, "a job");
}

/* A text member as a C text; a NUL or a line's end in it could change the request. */
static int text_of(bq_job *job, const qd_json_node *m, const char **out, qd_err *err)
{
    if (m->type != QD_JSON_T_STRING) /* the value may be a secret */
        return qd_err_set(err, QD_E_ARG, "Expected [%.*s] to be a string", QD_STR_ARG(m->key));
    for (size_t i = 0; i < m->text.n; i++)
        if ((unsigned char)m->text.p[i] < ' ')
            return qd_err_set(err, QD_E_ARG, "[%.*s] holds a control character",
                              QD_STR_ARG(m->key));
    *out = qd_arena_str(&job->arena, m->text).p;
    return *out ? 0 : no_memory(err);
}

static int time_of(const qd_json_node *m, const char *name, int64_t *out, qd_err *err)
{
    qd_err why;
    qd_str text = qd_json_text(m);
    if (m->type == QD_JSON_T_NULL) return 0;
    qd_err_init(&why);
    int rc = qd_value_time(text, name, out, &why);
    if (rc) {
        qd_str reason = qd_str_c(qd_err_reason(&why));
        if (qd_str_starts(reason, QD_STR("failed to parse ["))) /* the number before the unit */
            (void)qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                             QD_STR_ARG(text));
        rc = qd_err_wrap(err, QD_E_ARG, "%.*s", QD_STR_ARG(reason));
    }
    qd_err_fini(&why);
    if (!rc && *out < 0) *out = 0; /* -1: no bound */
    return rc;
}

/* A name as RFC 9110 has them: else a header could be two. */
static bool is_token(qd_str name)
{
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] <= ' ' || (unsigned char)name.p[i] >= 127 ||
            strchr("(),/:;<=>?@[\\]{}\"", name.p[i]))
            return false;
    return name.n > 0;
}

static int headers_of(bq_job *job, const qd_json_node *list, qd_err *err)
{
    bq_remote *r = job->spec.remote;
    if (list->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_ARG, "Expected [headers] to be a map of strings");
    if (list->n > BQ_REMOTE_HEADERS_MAX)
        return qd_err_set(err, QD_E_ARG, "[headers] has [%u] headers, at most [%u] are allowed",
                          list->n, BQ_REMOTE_HEADERS_MAX);
    for (const qd_json_node *m = list->first; m; m = m->next) {
        const char *value;
        if (!is_token(m->key))
            return qd_err_set(err, QD_E_ARG, "[headers] has the name [%.*s], which is none",
                              QD_STR_ARG(m->key));
        if (qd_str_ieq(m->key, QD_STR("host")) || qd_str_ieq(m->key, QD_STR("content-length")) ||
            qd_str_ieq(m->key, QD_STR("transfer-encoding")) ||
            qd_str_ieq(m->key, QD_STR("content-type")) || qd_str_ieq(m->key, QD_STR("accept")))
            return qd_err_set(err, QD_E_ARG, "the header [%.*s] cannot be given in [headers]",
                              QD_STR_ARG(m->key));
        int rc = text_of(job, m, &value, err);
        if (rc) return rc;
        /* curl takes "Name;" for a header without a value */
        qd_str line = qd_arena_printf(&job->arena, value[0] ? "%.*s: %s" : "%.*s;%s",
                                      QD_STR_ARG(m->key), value);
        if (!line.p) return no_memory(err);
        r->headers[r->nheaders++] = line.p;
    }
    return 0;
}

static int wrong_host(qd_str text, qd_err *err)
{
    ptrdiff_t at = qd_str_find(text, '@'); /* what is before it may be a password */
    if (at >= 0)
        return qd_err_set(err, QD_E_ARG,
                          "[host] must be of the form [scheme]://[host]:[port](/[pathPrefix])? but "
                          "was [<<>>%.*s]: a user goes into [username] and [password]",
                          QD_STR_ARG(qd_str_sub(text, (size_t)at, text.n)));
    return qd_err_set(err, QD_E_ARG,
                      "[host] must be of the form [scheme]://[host]:[port](/[pathPrefix])? but was "
                      "[%.*s]",
                      QD_STR_ARG(text));
}

static bool is_name(qd_str host)
{
    bool six = qd_str_starts(host, QD_STR("[")) && qd_str_ends(host, QD_STR("]"));
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !strchr(six ? "[]:.%" : ".-_", c)) return false;
    }
    return host.n > 0;
}

static bool is_path(qd_str path)
{
    for (size_t i = 0; i < path.n; i++)
        if ((unsigned char)path.p[i] <= ' ' || (unsigned char)path.p[i] >= 127 ||
            strchr("?#\"<>\\^`{|}", path.p[i]))
            return false;
    return true;
}

/* scheme://host:port/prefix. What could be read in two ways (a user's name in it) is refused. */
static int host_of(bq_job *job, const qd_json_node *m, qd_err *err)
{
    bq_remote *r = job->spec.remote;
    qd_str text = qd_json_text(m), rest = text, path = {NULL, 0};
    int64_t port;
    bool tls = qd_str_starts(text, QD_STR("https://"));
    if (m->type != QD_JSON_T_STRING || text.n > HOST_MAX ||
        (!tls && !qd_str_starts(text, QD_STR("http://"))))
        return wrong_host(text.n > HOST_MAX ? qd_str_sub(text, 0, HOST_MAX) : text, err);
    rest = qd_str_sub(text, tls ? 8 : 7, text.n);
    ptrdiff_t slash = qd_str_find(rest, '/');
    if (slash >= 0) {
        path = qd_str_sub(rest, (size_t)slash, rest.n);
        rest = qd_str_sub(rest, 0, (size_t)slash);
    }
    size_t colon = rest.n;
    while (colon && rest.p[colon - 1] != ':') colon--;
    qd_str host = qd_str_sub(rest, 0, colon ? colon - 1 : 0);
    if (!colon || !qd_str_i64(qd_str_sub(rest, colon, rest.n), &port) || port < 0 || port > 65535 ||
        !is_name(host) || !is_path(path))
        return wrong_host(text, err);
    while (path.n && path.p[path.n - 1] == '/') path.n--;
    r->scheme = tls ? "https" : "http";
    r->port = (int)port;
    r->host = qd_arena_str(&job->arena, host).p;
    r->prefix = path.n ? qd_arena_str(&job->arena, path).p : "";
    return r->host && r->prefix ? 0 : no_memory(err);
}

static int unsupported(bq_job *job, const qd_json_node *remote, qd_err *err)
{
    static const char *const known[] = {"host",    "username",       "password",
                                        "headers", "socket_timeout", "connect_timeout"};
    qd_buf b;
    qd_buf_init(&b, job->a->account, 4096);
    for (const qd_json_node *m = remote->first; m; m = m->next) {
        bool is = false;
        for (size_t i = 0; i < QD_COUNT_OF(known); i++) is |= qd_str_is(m->key, known[i]);
        if (is) continue;
        if (b.n) (void)qd_buf_char(&b, ',');
        (void)qd_buf_str(&b, m->key);
    }
    int rc = b.n ? qd_err_set(err, QD_E_ARG, "Unsupported fields in [remote]: [%.*s]", (int)b.n,
                              qd_buf_view(&b).p)
                 : 0;
    qd_buf_fini(&b);
    return rc;
}

int qdi_bq_remote_parse(bq_job *job, const qd_json_node *remote, qd_err *err)
{
    if (remote->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_ARG, "[source.remote] must be an object");
    const qd_json_node *host = qd_json_get(remote, "host"), *m;
    bq_remote *r = qd_arena_calloc(&job->arena, sizeof *r);
    if (!r) return no_memory(err);
    job->spec.remote = r;
    r->socket_ns = r->connect_ns = TIMEOUT_NS;
    int rc = 0;
    if ((m = qd_json_get(remote, "username")) != NULL) rc = text_of(job, m, &r->username, err);
    if (!rc && (m = qd_json_get(remote, "password")) != NULL)
        rc = text_of(job, m, &r->password, err);
    if (!rc && !host)
        rc = qd_err_set(err, QD_E_ARG, "[host] must be specified to reindex from a remote cluster");
    if (!rc) rc = host_of(job, host, err);
    if (!rc && (m = qd_json_get(remote, "headers")) != NULL) rc = headers_of(job, m, err);
    if (!rc && (m = qd_json_get(remote, "socket_timeout")) != NULL)
        rc = time_of(m, "socket_timeout", &r->socket_ns, err);
    if (!rc && (m = qd_json_get(remote, "connect_timeout")) != NULL)
        rc = time_of(m, "connect_timeout", &r->connect_ns, err);
    return rc ? rc : unsupported(job, remote, err);
}

int qdi_bq_remote_check(const bq_job *job, qd_err *err)
{
    const bq_spec *s = &job->spec;
    int64_t keep;
    int rc = qd_value_time(s->scroll, "scroll", &keep, err);
    if (rc) return rc;
    if (keep <= 0)
        return qd_err_set(err, QD_E_VALIDATION,
                          "Validation Failed: 1: [scroll] must be a positive time;");
    if (s->slices != 1)
        return qd_err_set(
            err, QD_E_VALIDATION,
            "Validation Failed: 1: reindex from remote sources doesn't support slices "
            "> 1 but was [%u];",
            s->slices);
    if (s->slice.p)
        return qd_err_set(err, QD_E_VALIDATION,
                          "Validation Failed: 1: reindex from remote sources doesn't support "
                          "[source.slice];");
    return 0;
}

/* --- what is kept --- */

static bool is_secret(qd_str key)
{
    return !qd_str_is(key, "host") && !qd_str_is(key, "socket_timeout") &&
           !qd_str_is(key, "connect_timeout");
}

static void copy_members(const qd_json_node *from, int level, qd_json_writer *w)
{
    static const char *const path[] = {"source", "remote"};
    qd_json_object(w);
    for (const qd_json_node *m = from->first; m; m = m->next) {
        if (level == 2 && is_secret(m->key)) continue;
        qd_json_key(w, m->key);
        if (level < 2 && m->type == QD_JSON_T_OBJECT && qd_str_is(m->key, path[level]))
            copy_members(m, level + 1, w);
        else
            qd_json_raw_value(w, m->raw);
    }
    qd_json_object_end(w);
}

int qdi_bq_remote_redact(bq_job *job, const qd_json_node *root, qd_err *err)
{
    qd_json_writer w;
    qd_buf b;
    qd_buf_init(&b, job->a->account, job->body.n * 2 + 1024);
    qd_json_writer_init(&w, &b, false);
    copy_members(root, 0, &w);
    qd_str text =
        qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(&job->arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    if (!text.p) return no_memory(err);
    job->body = text;
    return 0;
}

/* --- which hosts --- */

/* OpenSearch's list, and without it Elasticsearch's, which OpenSearch takes too. */
static const qd_str *hosts(const qd_actions *a, uint32_t *n)
{
    const qd_values *v = qd_config_values(a->config);
    const qd_str *list = qd_values_list(v, QD_SET_REINDEX_ALLOWLIST, n);
    return *n ? list : qd_values_list(v, QD_SET_REINDEX_WHITELIST, n);
}

int qdi_bq_remote_allowed(const bq_job *job, qd_err *err)
{
    const bq_remote *r = job->spec.remote;
    uint32_t n;
    const qd_str *list = hosts(job->a, &n);
    char name[HOST_MAX + 8];
    qd_str asked = {name, (size_t)snprintf(name, sizeof name, "%s:%d", r->host, r->port)};
    for (uint32_t i = 0; i < n; i++)
        if (qd_pattern_match(list[i], asked)) return 0;
    qdi_identity id;
    qdi_identity_get(job->a, &id);
    bool allow = id.product == QDI_OS3;
    return qd_err_set(err, QD_E_ARG, "[%s] not %slisted in reindex.remote.%slist", name,
                      allow ? "allow" : "white", allow ? "allow" : "white");
}

int qdi_bq_remote_lists_check(const qd_actions *a, qd_err *err)
{
    uint32_t n;
    const qd_str *list = hosts(a, &n);
    for (uint32_t i = 0; i < n; i++) {
        size_t other = 0;
        for (size_t k = 0; k < list[i].n; k++) other += !strchr("*:", list[i].p[k]);
        if (!other)
            return qd_err_set(err, QD_E_CONFIG,
                              "reindex.remote.whitelist and reindex.remote.allowlist must name "
                              "hosts: [%.*s] allows every address, so that a client could make "
                              "this node send requests anywhere",
                              QD_STR_ARG(list[i]));
    }
    return 0;
}
