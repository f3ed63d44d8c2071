/*
 * config.h: where the API server is and who we are: from inside a pod, or from kubeconfig files.
 *
 * Refused with a sentence that names file and field: what this client does not do (exec and
 * auth-provider plugins, basic authentication, proxies, impersonation), and everything malformed.
 */
#ifndef KUBE_CONFIG_H
#define KUBE_CONFIG_H

#include "kube.h"

/* The machine's side of it, so that tests can stand in. */
typedef struct kube_sources {
    void *arg;
    /* A variable of the environment; NULL: not set. borrow. */
    const char *(*variable)(void *arg, const char *name);
    /* A whole file of at most max bytes, NUL behind it. make: kube_free. 0, or QD_E_NOTFOUND,
     * QD_E_PERMISSION, QD_E_TOO_LARGE, QD_E_STATE (a folder), QD_E_IO, QD_E_NOMEM. */
    int32_t (*read)(void *arg, const kube_env *env, const char *path, size_t max, char **out,
                    size_t *n);
} kube_sources;
/* The real environment and files. */
extern const kube_sources kube_sources_system;

enum { KUBE_CONFIG_FILE_MAX = 4 << 20, KUBE_SECRET_MAX = 1 << 20 };

/* All texts are owned, NULL: not given. */
typedef struct kube_config {
    char *server;          /* https://host:port, perhaps with a path, without a '/' at its end */
    char *ca_pem;          /* NULL: the system's authorities */
    char *tls_server_name; /* name to verify in place of the host's */
    char *cert_pem, *key_pem;
    /* The files that these came from, NULL: from none. Re-read: they rotate. */
    char *ca_file, *cert_file, *key_file;
    char *token;
    char *token_file; /* re-read: it rotates. Wins over token */
    char *ns;         /* namespace; never NULL, "default" when nothing names one */
    char *source;     /* for people: "service account", or file and context */
    int32_t insecure; /* certificates are not verified */
    /* Of kubeconfig files: their paths, and the context that was taken; NULL: from a pod. Re-read:
     * whoever renews credentials may write them into the file itself. */
    char *files, *context;
} kube_config;

/* Whether this process runs in a pod with a service account: KUBERNETES_SERVICE_HOST and the token
 * file. */
int32_t kube_config_in_pod(const kube_env *env, const kube_sources *from);
/* From the service account. QD_E_NOTFOUND: not in a pod. */
int32_t kube_config_pod(const kube_env *env, const kube_sources *from, kube_config *out,
                        kube_error *err);
/*
 * From kubeconfig files, paths separated by ':' (as KUBECONFIG; files that are not there are passed
 * over unless none is; of what several define the first wins); context NULL: current-context.
 */
int32_t kube_config_files(const kube_env *env, const kube_sources *from, const char *paths,
                          const char *context, kube_config *out, kube_error *err);
/* KUBECONFIG if it is set; else, with home, ~/.kube/config; else QD_E_NOTFOUND. */
int32_t kube_config_default(const kube_env *env, const kube_sources *from, int32_t home,
                            const char *context, kube_config *out, kube_error *err);
/* Frees its texts, secrets overwritten. */
void kube_config_clear(const kube_env *env, kube_config *c);

#endif
