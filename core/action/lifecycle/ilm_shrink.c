/* ilm_shrink.c: the action shrink of _ilm. See shrink_int.h. */
#include "action/lifecycle/shrink_int.h"
#include "base/str.h"
#include "config/value.h"

int qdi_lc_check_shrink(const qd_json_node *o, qd_err *err)
{
    int64_t v;
    bool allow;
    const qd_json_node *shards = qd_json_get(o, "number_of_shards"),
                       *size = qd_json_get(o, "max_primary_shard_size"),
                       *writes = qd_json_get(o, "allow_write_after_shrink");
    for (const qd_json_node *m = o->first; m; m = m->next) {
        if (m == shards || m == size || m == writes) continue;
        return qd_err_set(err, QD_E_XCONTENT, "[shrink] unknown field [%.*s]", QD_STR_ARG(m->key));
    }
    if (shards && size) {
        return qd_err_set(err, QD_E_ARG,
                          "Cannot set both [number_of_shards] and [max_primary_shard_size]");
    }
    if (!shards && !size) {
        return qd_err_set(err, QD_E_ARG,
                          "Either [number_of_shards] or [max_primary_shard_size] must be set");
    }
    if (shards && (!qd_str_i64(qd_json_text(shards), &v) || v < 1 || v > INT32_MAX))
        return qd_err_set(err, QD_E_ARG, "[number_of_shards] must be greater than 0");
    int rc = size ? qd_value_bytes(qd_json_text(size), "max_primary_shard_size", &v, err) : 0;
    if (!rc && size && v <= 0)
        rc = qd_err_set(err, QD_E_ARG, "[max_primary_shard_size] must be greater than 0");
    if (!rc && writes && qd_json_truth(writes, &allow)) {
        rc = qd_err_set(err, QD_E_ARG,
                        "Failed to parse value [%.*s] as only [true] or [false] are "
                        "allowed.",
                        QD_STR_ARG(writes->raw));
    }
    return rc;
}

int qdi_lc_run_shrink(lc_run *x, qd_err *err)
{
    int64_t n = 0;
    bool allow = false;
    const qd_json_node *shards = qd_json_get(x->options, "number_of_shards"),
                       *size = qd_json_get(x->options, "max_primary_shard_size"),
                       *writes = qd_json_get(x->options, "allow_write_after_shrink");
    x->outcome = LC_DONE;
    /* what a shrink has made goes on behind it */
    if (x->record && qd_str_is(qd_str_c(x->record->step), "is-shrunk-index")) return 0;
    if (shards) (void)qd_str_i64(qd_json_text(shards), &n);
    if (x->m->shards == 1 || n == x->m->shards) return 0;
    int rc = qdi_lc_action(QD_STR("readonly"))->run(x, err); /* waits for a rollover */
    if (rc || x->outcome == LC_WAITS) return rc;
    if (writes && qd_json_truth(writes, &allow)) allow = false;
    lc_shrink s = {.run = x,
                   .number_of_shards = n,
                   .max_shard_size = size ? qd_json_text(size) : (qd_str){NULL, 0},
                   .name = qdi_lc_shrink_name(x->arena, x->m),
                   .replaces = true,
                   .allow_writes = allow};
    if (!qd_values_bool(x->m->values, QD_IX_BLOCK_WRITE)) {
        x->outcome = LC_WAITS; /* the block is set now: the next look has it in its state */
        x->step = "readonly";
        return 0;
    }
    return s.name.p ? qdi_lc_shrink(&s, err) : qd_err_nomem(err, "shrink");
}
