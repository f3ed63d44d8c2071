/* index_rules.c: see index_rules.h. */
#include "cluster/index_rules.h"
#include "base/str.h"
#include "cluster/allocation/allocation.h"
#include <stdio.h>

int qd_index_active_parse(qd_str text, int64_t *out, qd_err *err)
{
    if (qd_str_is(text, "all")) {
        *out = QD_ACTIVE_SHARDS_ALL;
        return 0;
    }
    if (!qd_str_i64(text, out)) {
        (void)qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"", QD_STR_ARG(text));
        return qd_err_wrap(err, QD_E_ARG, "cannot parse ActiveShardCount[%.*s]", QD_STR_ARG(text));
    }
    return *out < 0 ? qd_err_set(err, QD_E_ARG, "shard count cannot be a negative value") : 0;
}

static int not_expand(qd_str text, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG,
                      "failed to parse [index.auto_expand_replicas] from value: [%.*s], it is two "
                      "numbers, or a number and all, such as 0-1 and 0-all, or false",
                      QD_STR_ARG(text));
}

int qd_index_auto_expand_parse(qd_str text, qd_auto_expand *out, qd_err *err)
{
    uint64_t min, max = UINT32_MAX;
    *out = (qd_auto_expand){0};
    if (!text.n || qd_str_is(text, "false")) return 0;
    ptrdiff_t dash = qd_str_find(text, '-');
    if (dash < 0) return not_expand(text, err);
    qd_str low = qd_str_sub(text, 0, (size_t)dash);
    qd_str high = qd_str_sub(text, (size_t)dash + 1, text.n);
    if (!qd_str_u64(low, &min) || min > INT32_MAX) return not_expand(text, err);
    if (!qd_str_is(high, "all") && (!qd_str_u64(high, &max) || max > INT32_MAX))
        return not_expand(text, err);
    if (min > max) {
        return qd_err_set(err, QD_E_ARG,
                          "[index.auto_expand_replicas] minReplicas must be =< maxReplicas but "
                          "wasn't %llu > %llu",
                          (unsigned long long)min, (unsigned long long)max);
    }
    *out = (qd_auto_expand){true, (uint32_t)min, (uint32_t)max};
    return 0;
}

int qd_index_rules_check(const qd_values *v, uint32_t replicas, qd_err *err)
{
    int64_t active = 1;
    qd_auto_expand expand;
    qd_str text = qd_values_text(v, QD_IX_WAIT_FOR_ACTIVE);
    int rc = qd_index_active_parse(text, &active, err);
    if (!rc) {
        rc =
            qd_index_auto_expand_parse(qd_values_text(v, QD_IX_AUTO_EXPAND_REPLICAS), &expand, err);
    }
    if (rc || expand.on || active <= (int64_t)replicas + 1) return rc;
    return qd_err_set(err, QD_E_ARG,
                      "invalid index.write.wait_for_active_shards[%.*s]: cannot be greater than "
                      "number of shard copies [%llu]",
                      QD_STR_ARG(text), (unsigned long long)replicas + 1);
}

uint32_t qd_auto_expand_replicas(const qd_auto_expand *x, uint32_t nodes)
{
    uint32_t wanted = nodes ? nodes - 1 : 0;
    return wanted < x->min ? x->min : wanted > x->max ? x->max : wanted;
}

int qd_index_expand(const qd_state *s, qd_settings *in, qd_settings **out, qd_err *err)
{
    char text[16];
    qd_auto_expand x = {0};
    uint32_t nodes = 0;
    const qd_setting_value *v = qd_settings_get(in, QD_STR("index.auto_expand_replicas"));
    const qd_setting_value *was = qd_settings_get(in, QD_STR("index.number_of_replicas"));
    int rc = v && v->kind == QD_SETTING_TEXT ? qd_index_auto_expand_parse(v->text, &x, err) : 0;
    for (uint32_t i = 0; i < s->nnodes; i++) nodes += qd_node_is_data(&s->nodes[i]);
    *out = rc ? NULL : qd_settings_ref(in);
    if (rc || !x.on || !nodes) return rc;
    int n = snprintf(text, sizeof text, "%u", qd_auto_expand_replicas(&x, nodes));
    if (was && was->kind == QD_SETTING_TEXT && qd_str_is(was->text, text)) return 0;
    qd_settings *now = NULL;
    rc = qd_settings_new(NULL, &now, err);
    if (!rc) rc = qd_settings_merge(now, in, err);
    if (!rc) {
        rc = qd_settings_put(now, QD_STR("index.number_of_replicas"), (qd_str){text, (size_t)n},
                             err);
    }
    if (!rc) rc = qd_settings_seal(now, err);
    qd_settings_unref(in);
    *out = rc ? NULL : now;
    if (rc) qd_settings_unref(now);
    return rc;
}

/* --- shards of the cluster ------------------------------------------------------------------- */

int qd_cluster_shards_check(const qd_state *s, const qd_values *values, uint64_t more, qd_err *err)
{
    uint64_t open = s->open_copies, nodes = 0;
    for (uint32_t i = 0; i < s->nnodes; i++) nodes += qd_node_is_data(&s->nodes[i]);
    uint64_t most = nodes * (uint64_t)qd_values_i64(values, QD_SET_MAX_SHARDS_PER_NODE);
    if (!nodes || open + more <= most) return 0; /* without data nodes nothing is known */
    int rc =
        qd_err_set(err, QD_E_VALIDATION,
                   "Validation Failed: 1: this action would add [%llu] shards, but this "
                   "cluster currently has [%llu]/[%llu] maximum normal shards open "
                   "(cluster.max_shards_per_node);",
                   (unsigned long long)more, (unsigned long long)open, (unsigned long long)most);
    qd_err_type(err, "validation_exception", 400);
    return rc;
}
