/*
 * print.h: the tables of settings for people.
 */
#ifndef QD_CONFIG_PRINT_H
#define QD_CONFIG_PRINT_H

#include "config/schema.h"

/* conf/quidditch.yml: every node setting with default, unit and meaning, commented out. */
int qd_schema_print_yaml(const qd_schema *schema, qd_buf *out);
/* docs/settings.md: node and index settings as tables. */
int qd_schema_print_markdown(qd_buf *out);
/* `qd config list`: key, type, default, dynamic or static, meaning; filter (may be empty) keeps
 * keys that contain it. width is that of the terminal. */
int qd_schema_print_list(const qd_schema *schema, qd_str filter, unsigned width, qd_buf *out);

#endif
