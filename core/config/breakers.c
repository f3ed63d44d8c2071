/*
 * breakers.c: the floor below indices.breaker.total.limit. With less no request is served any more,
 * not even the one that would raise the limit again.
 */
#include "config/breakers_int.h"
#include "config/schema_int.h"
#include "config/value.h"
#include <stdio.h>

#define FLOOR_BYTES (64ll << 20)

/* A node that plans with little has a floor of its own. */
static int64_t floor_of(int64_t memory)
{
    return memory / 2 < FLOOR_BYTES ? memory / 2 : FLOOR_BYTES;
}

bool qdi_breaker_raise(qd_str key, qd_str text, int64_t memory, char out[32])
{
    const qd_setting_def *d = &qd_schema_node.defs[QD_SET_BREAKER_TOTAL];
    qdi_parsed p = {0};
    if (!qd_str_eq(key, qd_str_c(d->key))) return false;
    if (qdi_value_parse(d, key, text, memory, &p, NULL) || p.i >= floor_of(memory)) return false;
    snprintf(out, 32, "%lldb", (long long)floor_of(memory));
    return true;
}

int qdi_breaker_check(const qd_values *v, qd_err *err)
{
    const char *key = qd_schema_node.defs[QD_SET_BREAKER_TOTAL].key;
    char least[32];
    int64_t floor = floor_of(qd_values_memory(v));
    if (qd_values_i64(v, QD_SET_BREAKER_TOTAL) >= floor) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "failed to parse value [%.*s] for setting [%s], must be >= [%s]: with less "
                      "this node serves no request",
                      QD_STR_ARG(qd_values_text(v, QD_SET_BREAKER_TOTAL)), key,
                      qd_bytes_exact(floor, least));
}
