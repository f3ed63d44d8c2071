/* ism_options.c: options of the actions of index state management. See ism_int.h. */
#include "action/lifecycle/ism_int.h"
#include "base/str.h"
#include "config/value.h"

int qdi_ism_unknown(const qd_json_node *n, const char *what, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "Invalid field: [%.*s] found in %s.", QD_STR_ARG(n->key),
                      what);
}

static void copy(qd_json_writer *w, const qd_json_node *n)
{
    qd_json_key(w, n->key);
    qd_json_raw_value(w, n->raw);
}

/* A whole number of at least `least`. */
static int whole(const qd_json_node *n, int64_t least, const char *why, qd_json_writer *w,
                 qd_err *err)
{
    int64_t v;
    if (!qd_str_i64(qd_json_text(n), &v) || v > INT32_MAX) {
        return qd_err_set(err, QD_E_ARG, "[%.*s] must be a whole number, not [%.*s]",
                          QD_STR_ARG(n->key), QD_STR_ARG(n->raw));
    }
    if (v < least) return qd_err_set(err, QD_E_ARG, "%s", why);
    qd_json_key(w, n->key);
    qd_json_int(w, v);
    return 0;
}

static int truth(const qd_json_node *n, qd_json_writer *w, qd_err *err)
{
    bool v;
    if (qd_json_truth(n, &v)) {
        return qd_err_set(err, QD_E_ARG,
                          "Failed to parse value [%.*s] as only [true] or [false] "
                          "are allowed.",
                          QD_STR_ARG(n->raw));
    }
    qd_json_key(w, n->key);
    qd_json_bool(w, v);
    return 0;
}

/* The one number that an action must have. */
static int one_number(const qd_json_node *o, const char *what, const char *key, int64_t least,
                      const char *why, qd_json_writer *w, qd_err *err)
{
    const qd_json_node *n = qd_json_get(o, key);
    for (const qd_json_node *m = o->first; m; m = m->next)
        if (m != n) return qdi_ism_unknown(m, what, err);
    if (!n) return qd_err_set(err, QD_E_ARG, "%s %s is null", what, key);
    return whole(n, least, why, w, err);
}

static int rollover(const qd_json_node *o, qd_json_writer *w, qd_err *err)
{
    int64_t v;
    int rc = 0;
    bool copies = false;
    for (const qd_json_node *m = o->first; m && !rc; m = m->next) {
        bool age = qd_str_is(m->key, "min_index_age");
        if (qd_str_is(m->key, "min_doc_count")) {
            rc = whole(m, 1, "RolloverAction minDocs value must be greater than 0", w, err);
        } else if (qd_str_is(m->key, "copy_alias")) {
            copies = true;
            rc = truth(m, w, err);
        } else if (age || qd_str_is(m->key, "min_size") ||
                   qd_str_is(m->key, "min_primary_shard_size")) {
            rc = age ? qd_value_time(qd_json_text(m), "min_index_age", &v, err)
                     : qd_value_bytes(qd_json_text(m), "min_size", &v, err);
            if (!rc && v <= 0 && !age)
                rc = qd_err_set(err, QD_E_ARG, "RolloverAction %s value must be greater than 0",
                                qd_str_is(m->key, "min_size") ? "minSize" : "minPrimaryShardSize");
            if (!rc) copy(w, m);
        } else {
            rc = qdi_ism_unknown(m, "RolloverAction", err);
        }
    }
    if (!copies) qd_json_field_bool(w, "copy_alias", false);
    return rc;
}

static int merge(const qd_json_node *o, qd_json_writer *w, qd_err *err)
{
    return one_number(o, "ForceMergeActionConfig", "max_num_segments", 1,
                      "Force merge {max_num_segments} must be greater than 0", w, err);
}

static int replicas(const qd_json_node *o, qd_json_writer *w, qd_err *err)
{
    return one_number(o, "ReplicaCountActionConfig", "number_of_replicas", 0,
                      "ReplicaCountActionConfig number_of_replicas value must be a non-negative "
                      "number",
                      w, err);
}

static int priority(const qd_json_node *o, qd_json_writer *w, qd_err *err)
{
    return one_number(
        o, "IndexPriorityActionConfig", "priority", 0,
        "IndexPriorityActionConfig index_priority value must be a non-negative number", w, err);
}

static int none(const qd_json_node *o, qd_json_writer *w, qd_err *err)
{
    (void)w;
    return o->first ? qdi_ism_unknown(o->first, "an action without options", err) : 0;
}

static int allocation(const qd_json_node *o, qd_json_writer *w, qd_err *err)
{
    int rc = 0;
    bool any = false, waits = false;
    for (const qd_json_node *m = o->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "wait_for")) {
            waits = true;
            rc = truth(m, w, err);
        } else if ((qd_str_is(m->key, "require") || qd_str_is(m->key, "include") ||
                    qd_str_is(m->key, "exclude")) &&
                   m->type == QD_JSON_T_OBJECT) {
            for (const qd_json_node *v = m->first; v && !rc; v = v->next) {
                any = true;
                if (v->type != QD_JSON_T_STRING)
                    rc = qd_err_set(err, QD_E_ARG, "[%.*s] of an allocation must be a string",
                                    QD_STR_ARG(v->key));
            }
            if (!rc) copy(w, m);
        } else {
            rc = qdi_ism_unknown(m, "AllocationAction", err);
        }
    }
    if (!rc && !any)
        rc = qd_err_set(err, QD_E_ARG, "At least one allocation parameter need to be specified.");
    if (!waits) qd_json_field_bool(w, "wait_for", false);
    return rc;
}

static int alias_one(const qd_json_node *n, qd_err *err)
{
    const qd_json_node *what = n->type == QD_JSON_T_OBJECT && n->n == 1 ? n->first : NULL;
    bool add = what && qd_str_is(what->key, "add");
    if (!what || what->type != QD_JSON_T_OBJECT || (!add && !qd_str_is(what->key, "remove")))
        return qd_err_set(err, QD_E_ARG, "Only ADD and REMOVE actions are allowed.");
    if (qd_json_get(what, "index") || qd_json_get(what, "indices")) {
        return qd_err_set(err, QD_E_ARG,
                          "Alias action can only work on its applied index so don't accept "
                          "index/indices parameter.");
    }
    if (!qd_json_get(what, "alias") && !qd_json_get(what, "aliases"))
        return qd_err_set(err, QD_E_ARG, "One of [alias] or [aliases] is required");
    return 0;
}

static int alias(const qd_json_node *o, qd_json_writer *w, qd_err *err)
{
    int rc = 0;
    const qd_json_node *list = qd_json_get(o, "actions");
    for (const qd_json_node *m = o->first; m; m = m->next)
        if (m != list) return qdi_ism_unknown(m, "AliasAction", err);
    if (!list || list->type != QD_JSON_T_ARRAY || !list->n)
        return qd_err_set(err, QD_E_ARG, "At least one alias action needs to be specified.");
    for (const qd_json_node *n = list->first; n && !rc; n = n->next) rc = alias_one(n, err);
    if (!rc) copy(w, list);
    return rc;
}

static int shrink(const qd_json_node *o, qd_json_writer *w, qd_err *err)
{
    int64_t v;
    uint32_t ways = 0;
    int rc = 0;
    for (const qd_json_node *m = o->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "num_new_shards")) {
            ways++;
            rc = whole(m, 1, "Shrink action numNewShards must be greater than 0.", w, err);
        } else if (qd_str_is(m->key, "max_shard_size")) {
            ways++;
            rc = qd_value_bytes(qd_json_text(m), "max_shard_size", &v, err);
            if (!rc && v <= 0)
                rc =
                    qd_err_set(err, QD_E_ARG, "Shrink action maxShardSize must be greater than 0.");
            if (!rc) copy(w, m);
        } else if (qd_str_is(m->key, "switch_aliases") || qd_str_is(m->key, "force_unsafe")) {
            rc = truth(m, w, err);
        } else if (qd_str_is(m->key, "target_index_name_template") ||
                   qd_str_is(m->key, "aliases") ||
                   qd_str_is(m->key, "percentage_of_source_shards")) {
            rc = qd_err_set(err, QD_E_ARG,
                            "[%.*s] of the action [shrink] is not supported by this "
                            "version",
                            QD_STR_ARG(m->key));
        } else {
            rc = qdi_ism_unknown(m, "ShrinkAction", err);
        }
    }
    if (!rc && ways != 1)
        rc = qd_err_set(err, QD_E_ARG,
                        "Exactly one option specifying the number of shards for the shrunken index "
                        "must be used.");
    return rc;
}

static const struct {
    const char *name;
    int (*write)(const qd_json_node *o, qd_json_writer *w, qd_err *err);
} rows[] = {
    {"rollover", rollover},
    {"force_merge", merge},
    {"read_only", none},
    {"read_write", none},
    {"replica_count", replicas},
    {"index_priority", priority},
    {"close", none},
    {"open", none},
    {"delete", none},
    {"allocation", allocation},
    {"alias", alias},
    {"shrink", shrink},
};

int qdi_ism_options_write(const qd_json_node *action, qd_json_writer *w, qd_err *err)
{
    for (size_t i = 0; i < QD_COUNT_OF(rows); i++) {
        if (!qd_str_is(action->key, rows[i].name)) continue;
        if (action->type != QD_JSON_T_OBJECT)
            return qd_err_set(err, QD_E_ARG, "action [%s] must be an object", rows[i].name);
        qd_json_object(w);
        int rc = rows[i].write(action, w, err);
        if (!rc) qd_json_object_end(w);
        return rc;
    }
    static const char *const refused[] = {
        "notification",     "snapshot", "rollup",      "transform", "convert_index_to_remote",
        "stop_replication", "unfollow", "search_only", "custom"};
    for (size_t i = 0; i < QD_COUNT_OF(refused); i++) {
        if (qd_str_is(action->key, refused[i]))
            return qd_err_set(err, QD_E_ARG, "action [%s] is not supported by this version",
                              refused[i]);
    }
    return qd_err_set(err, QD_E_ARG, "Invalid field: [%.*s] found in Action.",
                      QD_STR_ARG(action->key));
}
