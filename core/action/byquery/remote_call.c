/* remote_call.c: requests to the other cluster, and what their failures are called. */
#include "action/byquery/remote_int.h"
#include "base/base64.h"
#include <string.h>

#define TRIES 10 /* of a request that the other side rejects */
#define FIRST_PAUSE_NS UINT64_C(500000000)
#define TOLD_MAX 4096u /* bytes of a foreign error's text */

/* --- trust --- */

/* A file of the settings, relative ones below path.conf; NULL: no memory. */
static const char *path_of(bq_job *job, qd_str name)
{
    qd_str folder = qd_config_text(job->a->config, QD_SET_PATH_CONF);
    if (name.p[0] == '/' || !folder.n) return qd_arena_str(&job->arena, name).p;
    return qd_arena_printf(&job->arena, "%.*s/%.*s", QD_STR_ARG(folder), QD_STR_ARG(name)).p;
}

static int file_of(bq_job *job, qd_set id, const char **out, qd_err *err)
{
    qd_str name = qd_config_text(job->a->config, id);
    if (!name.n) return 0;
    *out = path_of(job, name);
    return *out ? 0 : qd_err_nomem(err, "a job");
}

static int authorities_of(bq_job *job, qd_http_tls *t, qd_err *err)
{
    uint32_t n;
    const qd_str *list =
        qd_values_list(qd_config_values(job->a->config), QD_SET_REINDEX_SSL_CA, &n);
    const char **at = qd_arena_alloc(&job->arena, (n + 1ul) * sizeof *at);
    if (!at) return qd_err_nomem(err, "a job");
    for (uint32_t i = 0; i < n; i++) {
        if (!list[i].n) continue;
        if (!(at[t->nauthorities++] = path_of(job, list[i]))) return qd_err_nomem(err, "a job");
    }
    t->authorities = at;
    return 0;
}

int qdi_bq_remote_tls(bq_job *job, qd_err *err)
{
    static const char *const versions[] = {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"};
    qd_http_tls *t = &job->spec.remote->tls;
    uint32_t n;
    const qd_str *list =
        qd_values_list(qd_config_values(job->a->config), QD_SET_REINDEX_SSL_PROTOCOLS, &n);
    qd_str mode = qd_config_text(job->a->config, QD_SET_REINDEX_SSL_VERIFY);
    t->verify_peer = !qd_str_is(mode, "none");
    t->verify_host = qd_str_is(mode, "full");
    for (size_t v = QD_COUNT_OF(versions); v-- > 0;)
        for (uint32_t i = 0; i < n; i++)
            if (qd_str_is(list[i], versions[v])) t->version_min = 0x0301 + (long)v;
    int rc = file_of(job, QD_SET_REINDEX_SSL_CERT, &t->cert, err);
    if (!rc) rc = file_of(job, QD_SET_REINDEX_SSL_KEY, &t->key, err);
    return rc ? rc : authorities_of(job, t, err);
}

/* --- texts of others --- */

static qd_str replace(qd_str text, qd_str secret, qd_arena *arena)
{
    qd_buf b;
    ptrdiff_t at;
    if (secret.n < 3 || qd_str_find_str(text, secret) < 0) return text;
    qd_buf_init(&b, NULL, text.n * 2 + 16);
    while ((at = qd_str_find_str(text, secret)) >= 0) {
        (void)qd_buf_str(&b, qd_str_sub(text, 0, (size_t)at));
        (void)qd_buf_c(&b, "<<>>");
        text = qd_str_sub(text, (size_t)at + secret.n, text.n);
    }
    (void)qd_buf_str(&b, text);
    qd_str clean = qd_arena_str(arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    return clean.p ? clean : QD_STR("<<>>");
}

qd_str qdi_bq_remote_clean(bq_job *job, qd_str text, qd_arena *arena)
{
    const bq_remote *r = job->spec.remote;
    if (r->password) text = replace(text, qd_str_c(r->password), arena);
    if (r->username && r->password) { /* as the header has them */
        qd_str pair = qd_arena_printf(arena, "%s:%s", r->username, r->password);
        char *code = qd_arena_bytes(arena, qd_base64_size(pair.n) + 1);
        if (!pair.p || !code) return QD_STR("<<>>");
        size_t n = qd_base64_encode(code, (const uint8_t *)pair.p, pair.n);
        text = replace(text, (qd_str){code, n}, arena);
    }
    for (uint32_t i = 0; i < r->nheaders; i++) {
        const char *value = strchr(r->headers[i], ':');
        if (value) text = replace(text, qd_str_c(value + 2), arena);
    }
    return text;
}

/* --- failures --- */

/* No answer came. */
static int no_answer(bq_job *job, const qd_http_call *x, qd_err *err)
{
    static const struct {
        const char *type, *what;
    } kinds[] = {[QD_HTTP_NO_HOST] = {"unknown_host_exception", "has no address"},
                 [QD_HTTP_NO_CONNECT] = {"connect_exception", "cannot be connected to"},
                 [QD_HTTP_TLS] = {"s_s_l_handshake_exception", "was not reached by TLS"},
                 [QD_HTTP_SILENT] = {"socket_timeout_exception", "did not answer in time"},
                 [QD_HTTP_BROKEN] = {"i_o_exception", "broke the connection off"}};
    const bq_remote *r = job->spec.remote;
    if (x->outcome == QD_HTTP_CANCELLED) {
        int rc = qd_task_check(job->task, err);
        return rc ? rc : qd_err_set(err, QD_E_CANCELLED, "the request was given up");
    }
    if (x->outcome == QD_HTTP_TOO_LARGE)
        return qd_err_set(err, QD_E_ARG,
                          "Remote responded with a chunk that was too large. Use a smaller batch "
                          "size.");
    if (x->outcome == QD_HTTP_NO_MEMORY) return qd_err_nomem(err, "the answer of a remote cluster");
    int rc = qd_err_set(err, QD_E_IO, "[%s:%d] %s: %s", r->host, r->port, kinds[x->outcome].what,
                        x->why);
    qd_err_type(err, kinds[x->outcome].type, 500);
    return rc;
}

/* An answer with an error: its status stays, its text becomes the reason. */
static int refused(bq_job *job, const qd_http_call *x, qd_err *err)
{
    bq_remote *r = job->spec.remote;
    qd_arena arena;
    qd_arena_init(&arena, job->a->account, 0);
    qd_str body = qd_str_trim(qd_buf_view(x->answer));
    qd_str text = qdi_bq_remote_clean(job, body, &arena);
    if (text.n > TOLD_MAX) text = qd_str_sub(text, 0, TOLD_MAX);
    (void)qd_err_set(err, QD_E_IO, "method [%s], host [%s://%s:%d], status line [HTTP/1.1 %d]",
                     x->method, r->scheme, r->host, r->port, x->status);
    qd_err_type(err, "response_exception", 500);
    int code = x->status == 429   ? QD_E_REJECTED
               : x->status == 404 ? QD_E_NOTFOUND
               : x->status >= 500 ? QD_E_INTERNAL
                                  : QD_E_ARG;
    int rc = text.n ? qd_err_wrap(err, code, "body=%.*s", QD_STR_ARG(text))
                    : qd_err_wrap(err, code, "No error body.");
    /* a redirect is not followed, and is no status that a client of ours should see */
    qd_err_type(err, "status_exception", x->status >= 400 && x->status < 600 ? x->status : 500);
    qd_arena_fini(&arena);
    return rc;
}

static int not_ours(qd_err *err, const char *what)
{
    int rc =
        qd_err_set(err, QD_E_INTERNAL, "%s, remote is likely not an Elasticsearch instance", what);
    qd_err_type(err, "exception", 500);
    return rc;
}

static int read_answer(bq_job *job, const qd_http_call *x, const qd_json_node **out, qd_err *err)
{
    bq_remote *r = job->spec.remote;
    qd_json_node *root = NULL;
    qd_err why;
    qd_str type = qd_str_c(x->content_type);
    if (x->outcome != QD_HTTP_ANSWERED) return no_answer(job, x, err);
    if (x->status < 200 || x->status > 299) return refused(job, x, err);
    if (!qd_str_starts(type, QD_STR("application/")) || !strstr(x->content_type, "json"))
        return not_ours(err, "Response didn't include supported Content-Type");
    qd_err_init(&why);
    int rc = qd_json_parse(&r->page, qd_buf_view(x->answer), 0, &root, &why);
    if (rc == QD_E_NOMEM || rc == QD_E_BREAKER)
        qd_err_move(err, &why);
    else if (rc || root->type != QD_JSON_T_OBJECT)
        rc = not_ours(err, "Error parsing the response");
    qd_err_fini(&why);
    *out = root;
    return rc;
}

/* --- requests --- */

static bool gives_up(void *arg)
{
    bq_job *job = arg;
    return job->stopped || atomic_load(&job->leaves) || qd_task_poll(job->task);
}

/* The scroll's end: soon, also when the job was ended, and once. */
static bool gives_back(const char *method)
{
    return strcmp(method, "DELETE") == 0;
}

static int send(bq_job *job, const char *method, const char *url, qd_str body,
                const qd_json_node **out, qd_err *err)
{
    bq_remote *r = job->spec.remote;
    bool last = gives_back(method);
    r->headers[r->nheaders] = "Content-Type: application/json";
    r->headers[r->nheaders + 1] = "Accept: application/json";
    qd_http_call x = {.method = method,
                      .url = url,
                      .headers = r->headers,
                      .nheaders = r->nheaders + 2,
                      .username = r->username,
                      .password = r->password,
                      .body = body,
                      .connect_ns = (uint64_t)r->connect_ns,
                      .idle_ns = (uint64_t)r->socket_ns,
                      .tls = &r->tls,
                      .answer = &r->text};
    if (last) x.connect_ns = x.idle_ns = UINT64_C(2000000000);
    qd_arena_reset(&r->page);
    qd_buf_reset(&r->text);
    int rc = qd_http_client_run(job->a->by_query->http, &x, last ? NULL : gives_up, job, err);
    return rc ? rc : read_answer(job, &x, out, err);
}

int qdi_bq_remote_call(bq_slice *s, const char *method, qd_str target, qd_str body,
                       const qd_json_node **out, qd_err *err)
{
    bq_job *job = s->job;
    const bq_remote *r = job->spec.remote;
    uint64_t pause = FIRST_PAUSE_NS;
    qd_arena arena;
    qd_arena_init(&arena, job->a->account, 0);
    qd_str url = qd_arena_printf(&arena, "%s://%s:%d%s%.*s", r->scheme, r->host, r->port, r->prefix,
                                 QD_STR_ARG(target));
    int rc = url.p ? 0 : qd_err_nomem(err, "a request");
    for (int i = 0; !rc; i++, pause *= 2) {
        rc = send(job, method, url.p, body, out, err);
        if (rc != QD_E_REJECTED || i == TRIES || gives_up(job) || gives_back(method)) break;
        if (err) qd_err_fini(err);
        rc = 0;
        qd_mutex_lock(&job->lock);
        s->status.search_retries++;
        uint64_t until = qd_env_mono_ns(job->a->env) + pause;
        if (!job->stopped) (void)qd_waitq_wait_task(&job->changed, until);
        qd_mutex_unlock(&job->lock);
    }
    qd_arena_fini(&arena);
    return rc;
}
