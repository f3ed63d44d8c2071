/*
 * print.h: tables for people: docs/rest.md and `qd api`, docs/features.md and `qd features`.
 */
#ifndef QD_ACTION_PRINT_H
#define QD_ACTION_PRINT_H

#include "base/str.h"

/* docs/rest.md: every API with methods, paths, parameters. QD_E_NOMEM. */
int qd_apis_print_markdown(qd_buf *out);
/* `qd api`: name, methods and paths, meaning; filter (may be empty) keeps those whose name or path
 * contains it. */
int qd_apis_print_list(qd_str filter, qd_buf *out);

/* docs/features.md: what works of Elasticsearch and OpenSearch. QD_E_NOMEM. */
int qd_features_print_markdown(qd_buf *out);
/* `qd features`: one line a name; filter (may be empty) keeps those that contain it. */
int qd_features_print_list(qd_str filter, qd_buf *out);

#endif
