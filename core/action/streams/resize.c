/*
 * resize.c: _shrink, _split, _clone: an index with the documents of another one, which takes no
 * writes, and another number of shards. The shards find their files by themselves where the
 * source's are (shard/resize.c).
 */
#include "action/api/admin_int.h"
#include "action/indices/copy_stats.h"
#include "action/indices/indices_int.h"
#include "action/streams/streams_int.h"
#include "base/str.h"
#include "config/value.h"
#include <stdio.h>
#include <string.h>

#define TASK_MS 3600000 /* as OpenSearch has it */

typedef enum resize_kind { RESIZE_SHRINK, RESIZE_SPLIT, RESIZE_CLONE } resize_kind;

typedef struct resize {
    qd_request *q;
    resize_kind kind;
    const qd_state *state;
    const qd_index_meta *from;
    const qd_json_node *settings, *aliases;
    int64_t max_shard_bytes; /* 0: not given */
    uint32_t shards, routing_shards;
    qd_index_creation made; /* with a reference to settings */
} resize;

/* --- the request --- */

static int read_body(resize *x, qd_err *err)
{
    qd_json_node *root = NULL;
    int rc = x->q->body.n ? qdi_body_map(x->q, &root, err) : 0;
    if (!rc && root && root->type != QD_JSON_T_OBJECT)
        rc = qd_err_set(err, QD_E_ES_PARSE, "request body must be an object");
    for (const qd_json_node *n = root && !rc ? root->first : NULL; n && !rc; n = n->next) {
        if (qd_str_is(n->key, "settings"))
            x->settings = n;
        else if (qd_str_is(n->key, "aliases"))
            x->aliases = n;
        else if (qd_str_is(n->key, "max_primary_shard_size") && x->kind == RESIZE_SHRINK)
            rc =
                qd_value_bytes(qd_json_text(n), "max_primary_shard_size", &x->max_shard_bytes, err);
        else
            rc = qd_err_set(err, QD_E_XCONTENT, "[resize_request] unknown field [%.*s]",
                            QD_STR_ARG(n->key));
    }
    return rc;
}

static int find_source(resize *x, qd_err *err)
{
    qd_resolved found;
    qd_request *q = x->q;
    int rc = qd_state_resolve(x->state, qd_param(q, "index"), QD_ONE_NAME | QD_EXPAND_OPEN,
                              q->arena, &found, err);
    if (rc) return rc;
    if (found.n != 1) {
        return qd_err_set(err, QD_E_ARG,
                          "unable to resize [%.*s], which means [%u] indices and must be one",
                          QD_STR_ARG(qd_param(q, "index")), found.n);
    }
    x->from = found.at[0];
    const qd_alias_group *g = qd_state_stream_of(x->state, x->from);
    if (!g || g->write_index != x->from) return 0;
    return qd_err_set(err, QD_E_ARG, "cannot resize the write index [%.*s] for data stream [%.*s]",
                      QD_STR_ARG(x->from->name), QD_STR_ARG(g->name));
}

/* --- the number of shards --- */

/* The fewest shards by which none is larger than asked. */
static int shards_by_size(resize *x, qd_err *err)
{
    copy_stats_list f;
    qdi_stats primaries, all;
    uint32_t open;
    const qd_index_meta *one[] = {x->from};
    qd_resolved only = {one, 1};
    int rc = qdi_copy_stats_collect(x->q, x->state, &only, 0, &f, err);
    if (rc) return rc;
    qdi_copy_stats_sum(&f, x->state, x->from, &primaries, &all, &open);
    int64_t least = (primaries.v[QDI_STORE] + x->max_shard_bytes - 1) / x->max_shard_bytes;
    for (x->shards = 1; x->shards < x->from->shards; x->shards++)
        if (x->from->shards % x->shards == 0 && x->shards >= least) break;
    return 0;
}

static int check_shrink(const resize *x, qd_err *err)
{
    uint32_t had = x->from->shards, has = x->shards;
    if (had < has) {
        return qd_err_set(err, QD_E_ARG,
                          "the number of target shards [%u] must be less that the number of source "
                          "shards [%u]",
                          has, had);
    }
    if (had % has == 0) return 0;
    return qd_err_set(err, QD_E_ARG, "the number of source shards [%u] must be a multiple of [%u]",
                      had, has);
}

/* One shard has no routing yet: it can be split into any number. */
static int check_split(resize *x, int64_t routing, qd_err *err)
{
    uint32_t had = x->from->shards, has = x->shards;
    if (had > has) {
        return qd_err_set(err, QD_E_ARG,
                          "the number of source shards [%u] must be less that the number of target "
                          "shards [%u]",
                          had, has);
    }
    if (has % had != 0) {
        return qd_err_set(err, QD_E_ARG,
                          "the number of source shards [%u] must be a factor of [%u]", had, has);
    }
    bool own = qd_values_is_set(x->from->values, QD_IX_NUMBER_OF_ROUTING_SHARDS);
    if (had == 1 && !own)
        x->routing_shards = routing ? (uint32_t)routing : qd_routing_shards_default(has);
    if (x->routing_shards % has == 0) return 0;
    int rc = qd_err_set(err, QD_E_STATE,
                        "the number of routing shards [%u] must be a multiple of the target shards "
                        "[%u]",
                        x->routing_shards, has);
    qd_err_type(err, "illegal_state_exception", 500);
    return rc;
}

static int number_of(const qd_settings *s, const char *key, int64_t *out, qd_err *err)
{
    const qd_setting_value *v = qd_settings_get(s, qd_str_c(key));
    *out = 0;
    if (!v || v->kind != QD_SETTING_TEXT) return 0;
    if (qd_str_i64(v->text, out) && *out > 0 && *out <= INT32_MAX) return 0;
    return qd_err_set(err, QD_E_ARG, "Failed to parse value [%.*s] for setting [%s]",
                      QD_STR_ARG(v->text), key);
}

static int count_shards(resize *x, const qd_settings *asked, qd_err *err)
{
    int64_t shards, routing;
    int rc = number_of(asked, "index.number_of_shards", &shards, err);
    if (!rc) rc = number_of(asked, "index.number_of_routing_shards", &routing, err);
    if (rc) return rc;
    x->routing_shards = x->from->routing_shards;
    if (routing && (x->kind != RESIZE_SPLIT || x->from->shards != 1)) {
        return qd_err_set(err, QD_E_ARG, "cannot provide index.number_of_routing_shards on resize");
    }
    if (shards && x->max_shard_bytes) {
        return qd_err_set(err, QD_E_ARG,
                          "Cannot set both index.number_of_shards and max_primary_shard_size for "
                          "the target index");
    }
    if (!shards && x->kind == RESIZE_SPLIT)
        return qd_err_set(err, QD_E_ARG, "index.number_of_shards is required for split operations");
    x->shards = shards ? (uint32_t)shards : x->kind == RESIZE_CLONE ? x->from->shards : 1;
    if (x->max_shard_bytes > 0) rc = shards_by_size(x, err);
    if (rc) return rc;
    if (x->kind == RESIZE_SHRINK) return check_shrink(x, err);
    if (x->kind == RESIZE_SPLIT) return check_split(x, routing, err);
    if (x->shards == x->from->shards) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "the number of target shards [%u] must be equal to the number of source "
                      "shards [%u]",
                      x->shards, x->from->shards);
}

/* --- settings of the target --- */

static bool is_copied(qd_str key)
{
    static const char *const not [] = {"index.number_of_shards", "index.number_of_routing_shards",
                                       "index.provided_name", "index.creation_date", "index.uuid"};
    for (size_t i = 0; i < QD_COUNT_OF(not ); i++)
        if (qd_str_is(key, not [i])) return false;
    return !qd_str_starts(key, QD_STR("index.resize.")) &&
           !qd_str_starts(key, QD_STR("index.version."));
}

static int put_number(qd_settings *s, const char *key, uint32_t v, qd_err *err)
{
    char text[16];
    snprintf(text, sizeof text, "%u", v);
    return qd_settings_put(s, qd_str_c(key), qd_str_c(text), err);
}

/* The files of the source are of its mode, in the order of its sort. */
static int check_fixed(const qd_settings *asked, qd_err *err)
{
    static const char *const fixed[] = {"index.mode", "index.mapping.source.mode",
                                        "index.mapping.synthetic_source_keep"};
    for (size_t i = 0; i < qd_settings_count(asked); i++) {
        qd_str key = qd_settings_at(asked, i)->key;
        if (qd_str_starts(key, QD_STR("index.sort.")) ||
            qd_str_starts(key, QD_STR("index.logsdb.")))
            return qd_err_set(err, QD_E_ARG, "can't override index sort when resizing an index");
        for (size_t k = 0; k < QD_COUNT_OF(fixed); k++)
            if (qd_str_is(key, fixed[k]))
                return qd_err_set(err, QD_E_ARG, "can't override [%s] when resizing an index",
                                  fixed[k]);
    }
    return 0;
}

/* Those of the source, what the request says above them, and what the shards are made of. */
static int settings_of(const resize *x, const qd_settings *asked, qd_settings **out, qd_err *err)
{
    int rc = check_fixed(asked, err);
    if (!rc) rc = qd_settings_new(NULL, out, err);
    for (size_t i = 0; !rc && i < qd_settings_count(x->from->settings); i++) {
        const qd_setting_value *v = qd_settings_at(x->from->settings, i);
        if (is_copied(v->key)) rc = qd_settings_put_value(*out, v->key, v, err);
    }
    if (!rc) rc = qd_settings_update(*out, asked, err);
    if (!rc) rc = put_number(*out, "index.number_of_shards", x->shards, err);
    if (!rc) rc = put_number(*out, "index.number_of_routing_shards", x->routing_shards, err);
    if (!rc)
        rc =
            qd_settings_put(*out, QD_STR("index.resize.source.uuid"), qd_str_c(x->from->uuid), err);
    if (!rc) rc = qd_settings_put(*out, QD_STR("index.resize.source.name"), x->from->name, err);
    return rc ? rc : qd_settings_seal(*out, err);
}

static bool is_true(const qd_settings *s, const char *key)
{
    const qd_setting_value *v = qd_settings_get(s, qd_str_c(key));
    return v && v->kind == QD_SETTING_TEXT && qd_str_is(v->text, "true");
}

/* OpenSearch refuses a target whose metadata would be blocked. */
static int check_blocks(const resize *x, const qd_settings *asked, const qd_settings *all,
                        qd_err *err)
{
    static const char *const keys[] = {"index.blocks.read_only", "index.blocks.metadata"};
    static const char why[] = "this will disable metadata writes and cause the shards to be "
                              "unassigned";
    qd_str target = qd_param(x->q, "target");
    qdi_identity id;
    qdi_identity_get(x->q->a, &id);
    for (size_t i = 0; id.opensearch && i < QD_COUNT_OF(keys); i++) {
        if (is_true(asked, keys[i])) {
            return qd_err_set(err, QD_E_VALIDATION,
                              "Validation Failed: 1: target index [%.*s] will be blocked by "
                              "[%s=true], %s;",
                              QD_STR_ARG(target), keys[i], why);
        }
        if (!is_true(all, keys[i])) continue;
        return qd_err_set(err, QD_E_ARG,
                          "target index [%.*s] will be blocked by [%s=true] which is copied from "
                          "the source index [%.*s], %s",
                          QD_STR_ARG(target), keys[i], QD_STR_ARG(x->from->name), why);
    }
    return 0;
}

static int prepare(resize *x, int64_t active, qd_err *err)
{
    qd_str target = qd_param(x->q, "target");
    qd_index_creation asked = {0};
    qd_settings *all = NULL;
    int rc = find_source(x, err);
    if (!rc) rc = qdi_creation_of(x->q, x->settings, NULL, x->aliases, &asked, err);
    if (!rc) rc = count_shards(x, asked.settings, err);
    if (!rc) rc = settings_of(x, asked.settings, &all, err);
    if (!rc) rc = check_blocks(x, asked.settings, all, err);
    if (!rc) rc = qdi_enough_copies(all, active, err);
    qd_settings_unref(asked.settings);
    x->made =
        (qd_index_creation){.name = target,
                            .settings = all,
                            .mapping = rc ? (qd_str){NULL, 0} : qd_mapping_json(x->from->mapping),
                            .aliases = asked.aliases,
                            .naliases = asked.naliases,
                            .resizes = rc ? NULL : x->from->uuid};
    return rc;
}

static resize_kind kind_of(const qd_request *q)
{
    const char *name = q->api->name;
    return strcmp(name, "indices.shrink") == 0  ? RESIZE_SHRINK
           : strcmp(name, "indices.split") == 0 ? RESIZE_SPLIT
                                                : RESIZE_CLONE;
}

/* How long shards of the target are waited for. A resize that nobody waits for has a parameter of
 * its own. */
static int patience(const qd_request *q, int64_t *timeout, qd_err *err)
{
    bool wait;
    int rc = qdi_admin_timeout(q, timeout, err);
    if (!rc) rc = qd_param_bool(q, "wait_for_completion", true, &wait, err);
    if (!rc && !wait) return qd_param_ms(q, "task_execution_timeout", TASK_MS, timeout, err);
    if (rc || !qd_param_has(q, "task_execution_timeout")) return rc;
    return qd_err_set(err, QD_E_ARG,
                      "[task_execution_timeout] has an effect only with "
                      "[wait_for_completion=false]");
}

static int read_request(resize *x, int64_t *timeout, int64_t *active, qd_err *err)
{
    bool copy;
    int rc = patience(x->q, timeout, err);
    if (!rc) rc = qdi_active_param(x->q, active, err);
    if (!rc) rc = qd_param_bool(x->q, "copy_settings", true, &copy, err);
    if (!rc && !copy)
        rc = qd_err_set(err, QD_E_ARG,
                        "parameter [copy_settings] can not be explicitly set to [false]");
    if (!rc) rc = qdi_cluster_block_check(x->q->a, QDI_BLOCK_METADATA_WRITE, err);
    return rc ? rc : read_body(x, err);
}

int qdi_resize_check(qd_request *q, qd_err *err)
{
    resize x = {.q = q, .kind = kind_of(q)};
    int64_t timeout, active;
    return read_request(&x, &timeout, &active, err);
}

int qdi_resize(qd_request *q, qd_response *r, qd_err *err)
{
    resize x = {.q = q, .kind = kind_of(q)};
    int64_t timeout, active;
    qd_state *now = NULL, *s = qd_cluster_state(q->a->cluster);
    x.state = s;
    int rc = read_request(&x, &timeout, &active, err);
    if (!rc) rc = prepare(&x, active, err);
    if (!rc) rc = qd_cluster_create(q->a->cluster, &x.made, &now, err);
    qd_settings_unref(x.made.settings);
    if (!rc) {
        const qd_index_meta *m = qd_state_index(now, x.made.name);
        bool started = m && qdi_wait_active(q->a, m->uuid, QDI_ALL_SHARDS, active, timeout);
        qd_json_object(&r->w);
        qd_json_field_bool(&r->w, "acknowledged", qdi_all_applied(q));
        qd_json_field_bool(&r->w, "shards_acknowledged", started);
        qd_json_field_str(&r->w, "index", x.made.name);
        qd_json_object_end(&r->w);
    }
    qd_state_unref(now);
    qd_state_unref(s);
    return rc;
}
