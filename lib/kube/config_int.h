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

#endif
