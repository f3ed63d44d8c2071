/*
 * kubeconfig.c: kubeconfig files: see kube_config_files.
 *
 * Several files count as one whose lists are joined: of entries of one name, and of
 * current-context, the first is taken. An entry remembers its file, as paths in it are relative to
 * that.
 */
#include "config_int.h"
#include <stdio.h>
#include <string.h>

enum { FILES_MAX = 32, WHERE_MAX = 400 };

typedef struct file {
    char *path;
    json_t *root;
} file;

typedef struct reading {
    const kube_env *env;
    const kube_sources *from;
    kube_error *err;
    kube_config *out;
    file files[FILES_MAX];
    uint32_t n;
} reading;

/* An entry of a list: what it holds, where it stands. */
typedef struct entry {
    const file *file;
    json_t *body;
    const char *list, *name;
} entry;

static int32_t no_memory(reading *r)
{
    return kube_fail(r->err, QD_E_NOMEM, "kubeconfig: no memory");
}

/* "path: users[name].field" */
static const char *where(const entry *e, const char *field, char out[WHERE_MAX])
{
    (void)snprintf(out, WHERE_MAX, "%.200s: %s[%.80s].%s", e->file->path, e->list, e->name, field);
    return out;
}

static int32_t wrong(reading *r, const entry *e, const char *field, const char *what)
{
    char at[WHERE_MAX];
    return kube_fail(r->err, QD_E_CONFIG, "%s: %s", where(e, field, at), what);
}

/* A field's text: NULL when it is not there, null or empty. */
static int32_t text_of(reading *r, const entry *e, const char *field, const char **out)
{
    json_t *v = json_object_get(e->body, field);
    *out = NULL;
    if (!v || json_is_null(v)) return 0;
    if (!json_is_string(v)) return wrong(r, e, field, "a text is expected");
    if (json_string_length(v)) *out = json_string_value(v);
    return 0;
}

static int32_t flag_of(reading *r, const entry *e, const char *field, int32_t *out)
{
    json_t *v = json_object_get(e->body, field);
    *out = 0;
    if (!v || json_is_null(v)) return 0;
    if (!json_is_boolean(v)) return wrong(r, e, field, "true or false is expected");
    *out = json_is_true(v);
    return 0;
}

/* --- files --- */

static int32_t load_one(reading *r, const char *path, size_t len)
{
    file *f = &r->files[r->n];
    char *text = NULL;
    size_t n;
    if (r->n == FILES_MAX)
        return kube_fail(r->err, QD_E_CONFIG, "kubeconfig: more than %d files", FILES_MAX);
    if (!(f->path = kube_copy(r->env, path, len))) return no_memory(r);
    int32_t rc = r->from->read(r->from->arg, r->env, f->path, KUBE_CONFIG_FILE_MAX, &text, &n);
    if (rc == QD_E_NOTFOUND) {
        kube_free(r->env, f->path);
        f->path = NULL;
        return 0;
    }
    r->n++;
    if (rc)
        return kube_fail(r->err, rc, "%s: the file %s", f->path,
                         rc == QD_E_TOO_LARGE ? "is larger than 4 MiB" : kube_config_why(rc));
    f->root = kube_document(text, n, f->path, r->err);
    explicit_bzero(text, n);
    kube_free(r->env, text);
    return f->root ? 0 : QD_E_CONFIG;
}

static int32_t load(reading *r, const char *paths)
{
    for (const char *p = paths; *p;) {
        size_t n = strcspn(p, ":");
        if (n) {
            int32_t rc = load_one(r, p, n);
            if (rc) return rc;
        }
        p += n + (p[n] == ':');
    }
    if (r->n) return 0;
    if (!paths[strspn(paths, ":")])
        return kube_fail(r->err, QD_E_NOTFOUND, "%.400s: no file is named", paths);
    return kube_fail(r->err, QD_E_NOTFOUND,
                     strchr(paths, ':') ? "%.400s: none of these files exists"
                                        : "%.400s: there is no such file",
                     paths);
}

static void unload(reading *r)
{
    for (uint32_t i = 0; i < r->n; i++) {
        kube_free(r->env, r->files[i].path);
        json_decref(r->files[i].root);
    }
}

/* --- entries --- */

/* The first entry of that name in any file; member is what it holds ("cluster" of "clusters"). */
static int32_t find(reading *r, const char *list, const char *member, const char *name, entry *out)
{
    for (uint32_t i = 0; i < r->n; i++) {
        json_t *all = json_object_get(r->files[i].root, list);
        if (all && !json_is_null(all) && !json_is_array(all))
            return kube_fail(r->err, QD_E_CONFIG, "%s: %s: a list is expected", r->files[i].path,
                             list);
        for (size_t k = 0; k < json_array_size(all); k++) {
            json_t *one = json_array_get(all, k);
            const char *its = json_string_value(json_object_get(one, "name"));
            if (!its || strcmp(its, name) != 0) continue;
            *out = (entry){&r->files[i], json_object_get(one, member), list, its};
            if (json_is_object(out->body)) return 0;
            return wrong(r, out, member, "an object is expected");
        }
    }
    return kube_fail(r->err, QD_E_CONFIG, "%s: %s: there is none named \"%.80s\"", r->files[0].path,
                     list, name);
}

static int32_t current_context(reading *r, const char **out)
{
    for (uint32_t i = 0; i < r->n; i++) {
        json_t *v = json_object_get(r->files[i].root, "current-context");
        if (!v || json_is_null(v)) continue;
        if (!json_is_string(v))
            return kube_fail(r->err, QD_E_CONFIG, "%s: current-context: a text is expected",
                             r->files[i].path);
        if (!json_string_length(v)) continue;
        *out = json_string_value(v);
        return 0;
    }
    return kube_fail(r->err, QD_E_CONFIG, "%s: current-context is not set", r->files[0].path);
}

/* A path of an entry: relative to the entry's file. */
static int32_t resolve(reading *r, const entry *e, const char *path, char **out)
{
    const char *slash = strrchr(e->file->path, '/');
    size_t folder = slash && path[0] != '/' ? (size_t)(slash - e->file->path) + 1 : 0;
    size_t n = strlen(path);
    if (!(*out = kube_alloc(r->env, folder + n + 1))) return no_memory(r);
    if (folder) memcpy(*out, e->file->path, folder);
    memcpy(*out + folder, path, n + 1);
    return 0;
}

/* PEM from "<field>-data" (base64) or from the file that "<field>" names; the first wins. */
static int32_t pem(reading *r, const entry *e, const char *field, const char *holds, char **out,
                   char **file_of)
{
    const char *data, *path;
    char with[64], at[WHERE_MAX];
    size_t n;
    (void)snprintf(with, sizeof with, "%s-data", field);
    int32_t rc = text_of(r, e, with, &data);
    if (rc == 0) rc = text_of(r, e, field, &path);
    if (rc || (!data && !path)) return rc;
    if (data) {
        rc = kube_base64(r->env, data, out, &n);
        if (rc == QD_E_NOMEM) return no_memory(r);
        if (rc) return wrong(r, e, with, "this is no base64");
        if (strlen(*out) != n) return wrong(r, e, with, "there is a NUL in it");
        if (!strstr(*out, holds)) return wrong(r, e, with, "this is no PEM of the right kind");
        return 0;
    }
    if ((rc = resolve(r, e, path, file_of))) return rc;
    rc = kube_config_read(r->env, r->from, *file_of, where(e, field, at), KUBE_SECRET_MAX, out,
                          r->err);
    if (rc) return rc;
    return strstr(*out, holds) ? 0 : wrong(r, e, field, "the file is no PEM of the right kind");
}

static int32_t cluster(reading *r, const char *name)
{
    entry e;
    const char *server, *proxy, *tls_name;
    int32_t rc = find(r, "clusters", "cluster", name, &e);
    if (rc == 0) rc = text_of(r, &e, "server", &server);
    if (rc == 0) rc = text_of(r, &e, "proxy-url", &proxy);
    if (rc == 0) rc = text_of(r, &e, "tls-server-name", &tls_name);
    if (rc == 0) rc = flag_of(r, &e, "insecure-skip-tls-verify", &r->out->insecure);
    if (rc) return rc;
    if (!server) return wrong(r, &e, "server", "it is not set");
    if (proxy) return wrong(r, &e, "proxy-url", "proxies are not supported");
    if (!(r->out->server = kube_copy(r->env, server, strlen(server)))) return no_memory(r);
    const char *what = kube_server_check(r->out->server);
    if (what) return wrong(r, &e, "server", what);
    if (tls_name) {
        if (!kube_printable(tls_name) || strpbrk(tls_name, ":/[]?#@"))
            return wrong(r, &e, "tls-server-name", "this is no name of a host");
        r->out->tls_server_name = kube_copy(r->env, tls_name, strlen(tls_name));
        if (!r->out->tls_server_name) return no_memory(r);
    }
    rc = pem(r, &e, "certificate-authority", "-----BEGIN CERTIFICATE-----", &r->out->ca_pem,
             &r->out->ca_file);
    if (rc) return rc;
    if (r->out->insecure && r->out->ca_pem)
        return wrong(r, &e, "insecure-skip-tls-verify",
                     "it is set together with certificate-authority: one of them has to go");
    return 0;
}

/* What this client does not do, and says. */
static int32_t refuse(reading *r, const entry *e)
{
    static const struct {
        const char *field, *why;
    } all[] = {
        {"exec",
         "plugins that fetch credentials are not run: give a token, a tokenFile or a client "
         "certificate"},
        {"auth-provider",
         "providers of credentials are not supported: give a token, a tokenFile or "
         "a client certificate"},
        {"username", "Kubernetes no longer knows basic authentication"},
        {"password", "Kubernetes no longer knows basic authentication"},
        {"as", "impersonation is not supported"},
        {"as-uid", "impersonation is not supported"},
        {"as-groups", "impersonation is not supported"},
        {"as-user-extra", "impersonation is not supported"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        json_t *v = json_object_get(e->body, all[i].field);
        if (v && !json_is_null(v)) return wrong(r, e, all[i].field, all[i].why);
    }
    return 0;
}

static int32_t user(reading *r, const char *name)
{
    entry e;
    const char *token, *path;
    int32_t rc = find(r, "users", "user", name, &e);
    if (rc == 0) rc = refuse(r, &e);
    if (rc == 0) rc = text_of(r, &e, "token", &token);
    if (rc == 0) rc = text_of(r, &e, "tokenFile", &path);
    if (rc == 0)
        rc = pem(r, &e, "client-certificate", "-----BEGIN CERTIFICATE-----", &r->out->cert_pem,
                 &r->out->cert_file);
    if (rc == 0)
        rc = pem(r, &e, "client-key", "PRIVATE KEY-----", &r->out->key_pem, &r->out->key_file);
    if (rc) return rc;
    if (!r->out->cert_pem != !r->out->key_pem)
        return wrong(r, &e, r->out->cert_pem ? "client-key" : "client-certificate",
                     "a client certificate and its key come together");
    if (path) return resolve(r, &e, path, &r->out->token_file);
    if (!token) return 0;
    if (!(r->out->token = kube_copy(r->env, token, strlen(token)))) return no_memory(r);
    if (kube_token_trim(r->out->token)) return wrong(r, &e, "token", "this is no token");
    return 0;
}

/* A token in the clear only leaves for this very machine. */
static int32_t check_clear(reading *r)
{
    const char *server = r->out->server;
    if (strncmp(server, "http://", 7) != 0 || (!r->out->token && !r->out->token_file)) return 0;
    const char *host = server + 7;
    size_t n = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
    if ((n == 9 && memcmp(host, "127.0.0.1", 9) == 0) ||
        (n == 5 && memcmp(host, "[::1]", 5) == 0) || (n == 9 && memcmp(host, "localhost", 9) == 0))
        return 0;
    return kube_fail(r->err, QD_E_CONFIG,
                     "%s: the server %.200s is reached without TLS: a token is not sent there",
                     r->files[0].path, server);
}

static int32_t source(reading *r, const entry *e, const char *paths)
{
    char text[WHERE_MAX];
    (void)snprintf(text, sizeof text, "%.250s, context %.100s", e->file->path, e->name);
    r->out->source = kube_copy(r->env, text, strlen(text));
    r->out->files = kube_copy(r->env, paths, strlen(paths));
    r->out->context = kube_copy(r->env, e->name, strlen(e->name));
    return r->out->source && r->out->files && r->out->context ? 0 : no_memory(r);
}

static int32_t context(reading *r, const char *name, const char *paths)
{
    entry e;
    const char *its_cluster, *its_user, *ns;
    char at[WHERE_MAX];
    int32_t rc = name ? 0 : current_context(r, &name);
    if (rc == 0) rc = find(r, "contexts", "context", name, &e);
    if (rc == 0) rc = text_of(r, &e, "cluster", &its_cluster);
    if (rc == 0) rc = text_of(r, &e, "user", &its_user);
    if (rc == 0) rc = text_of(r, &e, "namespace", &ns);
    if (rc) return rc;
    if (!its_cluster) return wrong(r, &e, "cluster", "it is not set");
    rc = kube_config_namespace(r->env, r->out, ns ? ns : "default", where(&e, "namespace", at),
                               r->err);
    if (rc == 0) rc = cluster(r, its_cluster);
    if (rc == 0 && its_user) rc = user(r, its_user);
    if (rc == 0) rc = check_clear(r);
    if (rc == 0) rc = source(r, &e, paths);
    return rc;
}

int32_t kube_config_files(const kube_env *env, const kube_sources *from, const char *paths,
                          const char *name, kube_config *out, kube_error *err)
{
    kube_config config = {0};
    reading r = {.env = env, .from = from, .err = err, .out = &config};
    int32_t rc = load(&r, paths);
    if (rc == 0) rc = context(&r, name, paths);
    unload(&r);
    if (rc)
        kube_config_clear(env, &config);
    else
        *out = config;
    return rc;
}
