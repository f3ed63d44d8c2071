/*
 * schema_int.h: one parsed value, between schema.c and values.c.
 */
#ifndef QD_CONFIG_SCHEMA_INT_H
#define QD_CONFIG_SCHEMA_INT_H

#include "config/schema.h"

typedef struct qdi_parsed {
    int64_t i;
    double f; /* FLOAT; SPACE: the ratio used, -1 when i holds bytes; MEMORY: the percentage */
    qd_str text;
    const qd_str *items;
    uint32_t n;
    bool set;
} qdi_parsed;

/* Parses one text (of a LIST one item) by its definition; fills i and f. */
int qdi_value_parse(const qd_setting_def *d, qd_str key, qd_str text, int64_t memory,
                    qdi_parsed *out, qd_err *err);

#endif
