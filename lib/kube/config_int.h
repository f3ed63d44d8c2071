/* config_int.h: documents and values of configuration files; private to lib/kube. */
#ifndef KUBE_CONFIG_INT_H
#define KUBE_CONFIG_INT_H

#include "config.h"
#include <jansson.h>

/* A kubeconfig as JSON: from JSON, or from YAML, whose scalars become texts (plain true, false and
 * null become themselves). make: json_decref. NULL: err says line and column. */
json_t *kube_document(const char *text, size_t n, const char *path, kube_error *err);

/* Decodes base64 (white space is passed over). make: kube_free; NUL behind it. QD_E_PARSE. */
int32_t kube_base64(const kube_env *env, const char *text, char **out, size_t *n);
/* Whether a text may stand in an HTTP header and on one line: printable ASCII. */
int32_t kube_printable(const char *text);
/* A token as read from a file: white space around it goes. 0, QD_E_PARSE (empty, not printable). */
int32_t kube_token_trim(char *token);
/* What is wrong with a server's address; NULL: nothing. A '/' at its end is taken away. */
const char *kube_server_check(char *server);
/* Overwrites and frees a secret. */
void kube_secret_free(const kube_env *env, char *secret);

/* Sets out->ns to a copy if it may be a namespace. where is the file and field. */
int32_t kube_config_namespace(const kube_env *env, kube_config *out, const char *name,
                              const char *where, kube_error *err);
/* What is wrong with a file, by the code of kube_sources.read: "does not exist". */
const char *kube_config_why(int32_t rc);
/* A file that a field names; the error says both. make: kube_secret_free. */
int32_t kube_config_read(const kube_env *env, const kube_sources *from, const char *path,
                         const char *field, size_t max, char **out, kube_error *err);

#endif
