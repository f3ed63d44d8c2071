/* admin.c: create, delete, exist, open, close. */
#include "action/api/admin_int.h"
#include "action/api/date_name.h"
#include "action/api/lookup_int.h"
#include "action/indices/indices_int.h"
#include "action/indices/templates_int.h"
#include "base/str.h"
#include "query/dsl.h"
#include <string.h>

#define EXPRESSION_OF_DELETE                                                                       \
    (QD_EXPAND_OPEN | QD_EXPAND_CLOSED | QD_ALLOW_NO_INDICES | QD_FORBID_ALIASES | QD_NO_ALIASES)

int qdi_admin_timeout(const qd_request *q, int64_t *out, qd_err *err)
{
    int64_t master;
    int rc = qd_param_ms(q, "master_timeout", ADMIN_TIMEOUT_MS, &master, err);
    if (!rc) rc = qd_param_ms(q, "cluster_manager_timeout", master, &master, err);
    return rc ? rc : qd_param_ms(q, "timeout", ADMIN_TIMEOUT_MS, out, err);
}

int qdi_body_map(qd_request *q, qd_json_node **out, qd_err *err)
{
    int rc = qd_json_parse(q->arena, q->body, 0, out, err);
    if (!rc || rc == QD_E_NOMEM || rc == QD_E_BREAKER) return rc; /* no fault of the body's */
    return qd_err_wrap(err, QD_E_ES_PARSE, "Failed to parse content to map");
}

int qdi_settings_of(const qd_json_node *n, qd_settings **out, qd_err *err)
{
    qd_settings *raw = NULL;
    int rc = qd_settings_new(NULL, &raw, err);
    if (!rc && n) {
        qd_json_reader r = QD_JSON_READER(NULL);
        qd_json_reader_init(&r, n->raw, QD_JSON_REQUEST, 0);
        int ev = qd_json_next(&r);
        rc = ev < 0 ? qd_json_fail(&r, err)
             : ev == QD_JSON_OBJECT
                 ? qd_settings_put_json(raw, &r, (qd_str){NULL, 0}, err)
                 : qd_err_set(err, QD_E_ES_PARSE, "key [settings] must be an object");
        qd_json_reader_fini(&r);
    }
    if (!rc) rc = qd_settings_seal(raw, err);
    if (!rc) rc = qd_settings_prefixed(raw, QD_STR("index."), out, err);
    qd_settings_unref(raw);
    return rc;
}

qd_str qdi_mapping_of(const qd_request *q, const qd_json_node *n)
{
    bool typed = false;
    qd_str v = qd_param(q, "include_type_name");
    if (!n || n->type != QD_JSON_T_OBJECT) return n ? n->raw : (qd_str){NULL, 0};
    typed = qd_param_has(q, "include_type_name") && !qd_str_is(v, "false");
    return typed && n->n == 1 && n->first->type == QD_JSON_T_OBJECT ? n->first->raw : n->raw;
}

bool qdi_mapping_typed(const qd_request *q, const qd_json_node *n)
{
    bool asked = qd_param_has(q, "include_type_name") &&
                 !qd_str_is(qd_param(q, "include_type_name"), "false");
    return !asked && n && n->type == QD_JSON_T_OBJECT && n->n == 1 &&
           qd_str_is(n->first->key, "_doc");
}

static qd_str text_or_raw(const qd_json_node *n)
{
    return n ? qd_json_text(n) : (qd_str){NULL, 0};
}

int qdi_alias_check(qd_request *q, const qd_alias *a, qd_err *err)
{
    if (qd_str_find(a->index_routing, ',') >= 0) {
        return qd_err_set(err, QD_E_ARG,
                          "alias [%.*s] has several index routing values associated with it",
                          QD_STR_ARG(a->name));
    }
    if (!a->filter.n) return 0;
    const qd_query *query;
    qd_query_reading how = {
        .arena = q->arena, .host = q->a->plugins, .lookup = qdi_docs_lookup, .lookup_arg = q->a};
    if (!qd_query_read_text(&how, a->filter, &query, err)) return 0;
    return qd_err_wrap(err, QD_E_ARG, "failed to parse filter for alias [%.*s]",
                       QD_STR_ARG(a->name));
}

int qdi_alias_of(const qd_json_node *n, qd_str name, qd_alias *out, qd_err *err)
{
    *out = (qd_alias){.name = name, .is_write_index = -1};
    if (!n) return 0;
    if (n->type != QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_ES_PARSE, "alias [%.*s] must be an object", QD_STR_ARG(name));
    }
    for (const qd_json_node *m = n->first; m; m = m->next) {
        bool flag = m->type == QD_JSON_T_BOOL;
        if (qd_str_is(m->key, "filter") && m->type == QD_JSON_T_OBJECT) {
            out->filter = m->raw;
        } else if (qd_str_is(m->key, "routing")) {
            out->index_routing = out->search_routing = text_or_raw(m);
        } else if (qd_str_is(m->key, "index_routing") || qd_str_is(m->key, "indexRouting")) {
            out->index_routing = text_or_raw(m);
        } else if (qd_str_is(m->key, "search_routing") || qd_str_is(m->key, "searchRouting")) {
            out->search_routing = text_or_raw(m);
        } else if (qd_str_is(m->key, "is_write_index") && flag) {
            out->is_write_index = m->truth;
        } else if (qd_str_is(m->key, "is_hidden") && flag) {
            out->is_hidden = m->truth;
        } else {
            return qd_err_set(err, QD_E_ES_PARSE, "Unknown field [%.*s] in alias [%.*s]",
                              QD_STR_ARG(m->key), QD_STR_ARG(name));
        }
    }
    return 0;
}

int qdi_aliases_of(const qd_json_node *n, qd_arena *arena, qd_alias **out, uint32_t *nout,
                   qd_err *err)
{
    *out = NULL;
    *nout = 0;
    if (!n) return 0;
    if (n->type != QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_ES_PARSE, "key [aliases] must be an object");
    }
    *out = qd_arena_alloc(arena, (n->n + 1) * sizeof **out);
    if (!*out) return qd_err_nomem(err, "aliases");
    for (const qd_json_node *m = n->first; m; m = m->next) {
        int rc = qdi_alias_of(m, m->key, &(*out)[(*nout)++], err);
        if (rc) return rc;
    }
    return 0;
}

/* --- waiting --- */

bool qdi_all_applied(const qd_request *q)
{
    int64_t timeout;
    if (qd_param_ms(q, "timeout", ADMIN_TIMEOUT_MS, &timeout, NULL)) timeout = ADMIN_TIMEOUT_MS;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_cluster_wait_all(q->a->cluster, s->revision, timeout);
    qd_state_unref(s);
    return !rc;
}

void qdi_answer_acknowledged(const qd_request *q, qd_response *r)
{
    qd_json_object(&r->w);
    qd_json_field_bool(&r->w, "acknowledged", qdi_all_applied(q));
    qd_json_object_end(&r->w);
}

/* --- create --- */

int qdi_creation_of(qd_request *q, const qd_json_node *s, const qd_json_node *m,
                    const qd_json_node *al, qd_index_creation *out, qd_err *err)
{
    qd_alias *aliases = NULL;
    if (qdi_mapping_typed(q, m)) {
        return qd_err_set(err, QD_E_ARG, "The mapping definition cannot be nested under a type");
    }
    out->mapping = qdi_mapping_of(q, m);
    int rc = qdi_aliases_of(al, q->arena, &aliases, &out->naliases, err);
    for (uint32_t i = 0; !rc && i < out->naliases; i++) rc = qdi_alias_check(q, &aliases[i], err);
    out->aliases = aliases;
    if (!rc) rc = qdi_settings_of(s, &out->settings, err);
    if (!rc) rc = qd_schema_check(&qd_schema_index, out->settings, false, err);
    if (!rc) qdi_warn_settings(q, &qd_schema_index, out->settings);
    return rc;
}

static int parse_create(qd_request *q, qd_settings **settings, qd_str *mapping, qd_alias **aliases,
                        uint32_t *naliases, qd_err *err)
{
    qd_json_node *root = NULL;
    const qd_json_node *s = NULL, *m = NULL, *al = NULL;
    int rc = q->body.n ? qdi_body_map(q, &root, err) : 0;
    if (rc) return rc;
    if (root && root->type != QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_ES_PARSE, "request body must be an object");
    }
    for (const qd_json_node *n = root ? root->first : NULL; n; n = n->next) {
        if (qd_str_is(n->key, "settings")) {
            s = n;
        } else if (qd_str_is(n->key, "mappings")) {
            m = n;
        } else if (qd_str_is(n->key, "aliases")) {
            al = n;
        } else {
            return qd_err_set(err, QD_E_ES_PARSE, "unknown key [%.*s] for create index",
                              QD_STR_ARG(n->key));
        }
    }
    qd_index_creation parts = {0};
    rc = qdi_creation_of(q, s, m, al, &parts, err);
    *settings = parts.settings;
    *mapping = parts.mapping;
    *aliases = (qd_alias *)(uintptr_t)parts.aliases;
    *naliases = parts.naliases;
    return rc;
}

int qdi_name_given(qd_settings **settings, qd_str name, qd_err *err)
{
    qd_settings *now = NULL;
    int rc = qd_settings_new(NULL, &now, err);
    if (!rc) rc = qd_settings_merge(now, *settings, err);
    if (!rc) rc = qd_settings_put(now, QD_STR("index.provided_name"), name, err);
    if (!rc) rc = qd_settings_seal(now, err);
    if (rc) {
        qd_settings_unref(now);
        return rc;
    }
    qd_settings_unref(*settings);
    *settings = now;
    return 0;
}

/* More active copies than the index is to have will never be. */
int qdi_enough_copies(const qd_settings *s, int64_t asked, qd_err *err)
{
    const qd_setting_value *v = qd_settings_get(s, QD_STR("index.number_of_replicas"));
    int64_t replicas = 1;
    if (v && !qd_str_i64(v->text, &replicas)) replicas = 1;
    if (asked <= replicas + 1) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "invalid wait_for_active_shards[%lld]: cannot be greater than number of "
                      "shard copies [%lld]",
                      (long long)asked, (long long)replicas + 1);
}

/* Names of data streams are no names of indices. */
static int check_no_stream(const qd_request *q, qd_str name, qd_err *err)
{
    const qd_json_node *t;
    qd_str template_name = {NULL, 0};
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qdi_template_best(s, q->arena, name, &template_name, &t, err);
    if (!rc && t && qd_json_get(t, "data_stream") && !qd_state_index(s, name)) {
        rc = qd_err_set(err, QD_E_ARG,
                        "cannot create index with name [%.*s], because it matches with template "
                        "[%.*s] that creates data streams only, use create data stream api instead",
                        QD_STR_ARG(name), QD_STR_ARG(template_name));
    }
    qd_state_unref(s);
    return rc;
}

int qdi_api_indices_create(qd_request *q, qd_response *r, qd_err *err)
{
    qd_settings *settings = NULL;
    qd_alias *aliases;
    uint32_t naliases;
    qd_str mapping, given = qd_param(q, "index"), name = given;
    qd_state *now = NULL;
    int64_t timeout, active;
    int rc = qdi_admin_timeout(q, &timeout, err);
    if (!rc) rc = qdi_active_param(q, &active, err);
    if (!rc) rc = qdi_cluster_block_check(q->a, QDI_BLOCK_METADATA_WRITE, err);
    if (!rc) rc = qdi_date_name(q->arena, given, qd_env_wall_ms(q->a->env), &name, err);
    if (!rc) rc = parse_create(q, &settings, &mapping, &aliases, &naliases, err);
    if (!rc) rc = check_no_stream(q, name, err);
    if (!rc) {
        rc = qdi_templates_apply(q->a, q->arena, name, &settings, &mapping, &aliases, &naliases,
                                 err);
    }
    if (!rc && qdi_is_date_name(given)) rc = qdi_name_given(&settings, given, err);
    if (!rc) rc = qdi_enough_copies(settings, active, err);
    if (!rc) {
        rc = qd_cluster_create_index(q->a->cluster, name, settings, mapping, aliases, naliases,
                                     &now, err);
    }
    qd_settings_unref(settings);
    if (rc) return rc;
    const qd_index_meta *m = qd_state_index(now, name);
    bool started = m && qdi_wait_active(q->a, m->uuid, QDI_ALL_SHARDS, active, timeout);
    qd_json_object(&r->w);
    qd_json_field_bool(&r->w, "acknowledged", qdi_all_applied(q));
    qd_json_field_bool(&r->w, "shards_acknowledged", started);
    qd_json_field_str(&r->w, "index", name);
    qd_json_object_end(&r->w);
    qd_state_unref(now);
    return 0;
}

/* --- delete --- */

int qdi_check_uuid(const qd_request *q, const qd_resolved *found, qd_err *err)
{
    qd_str wanted = qd_param(q, "if_uuid");
    if (!wanted.n || (found->n == 1 && qd_str_is(wanted, found->at[0]->uuid))) return 0;
    return qd_err_set(err, QD_E_VERSION_CONFLICT,
                      "[%.*s] is not the index with if_uuid [%.*s]: it has uuid [%s]",
                      QD_STR_ARG(qd_param(q, "index")), QD_STR_ARG(wanted),
                      found->n == 1 ? found->at[0]->uuid : "_na_");
}

int qdi_check_named(const qd_request *q, qd_str names, qd_err *err)
{
    qd_str rest = names;
    bool named = rest.n > 0;
    if (!qd_config_bool(q->a->config, QD_SET_ACTION_DESTRUCTIVE) || qd_str_is(rest, "*,-*"))
        return 0;
    while (named && rest.p) {
        qd_str part = qd_str_split(&rest, ',');
        named = !qd_str_is(part, "_all") && qd_str_find(part, '*') < 0;
    }
    return named ? 0
                 : qd_err_set(err, QD_E_ARG, "Wildcard expressions or all indices are not allowed");
}

static int check_named(const qd_request *q, qd_err *err)
{
    return qdi_check_named(q, qd_param(q, "index"), err);
}

int qdi_api_indices_delete(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc =
        qd_param(q, "index").p
            ? 0
            : qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: index / indices is missing;");
    if (!rc) rc = check_named(q, err);
    if (!rc) rc = qd_param_indices(q, s, EXPRESSION_OF_DELETE, &found, err);
    if (!rc) rc = qdi_check_uuid(q, &found, err);
    if (!rc) rc = qdi_blocks_check(q->a, &found, QDI_BLOCK_DELETE, err);
    if (!rc && found.n) {
        rc = qd_cluster_delete_indices(q->a->cluster, found.at, found.n, NULL, err);
    }
    qd_state_unref(s);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

int qdi_api_indices_exists(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    qd_err why;
    qd_state *s = qd_cluster_state(q->a->cluster);
    qd_err_init(&why);
    int rc = qd_param_indices(q, s, QD_EXPAND_OPEN | QD_EXPAND_CLOSED | QD_ALLOW_NO_INDICES, &found,
                              &why);
    r->status = rc == QD_E_INDEX_NOT_FOUND ? 404 : 200; /* a pattern may match nothing */
    if (rc && rc != QD_E_INDEX_NOT_FOUND) {
        qd_err_copy(err, &why);
    } else {
        rc = 0;
    }
    qd_err_fini(&why);
    qd_state_unref(s);
    return rc;
}

/* --- open, close --- */

static int closing_allowed(qd_request *q, qd_err *err)
{
    if (qd_config_bool(q->a->config, QD_SET_CLUSTER_INDICES_CLOSE)) return 0;
    int rc = qd_err_set(err, QD_E_STATE,
                        "closing indices is disabled - set [cluster.indices.close.enable: true] to "
                        "enable it. NOTE: closed indices still consume a significant amount of "
                        "diskspace");
    qd_err_type(err, "illegal_state_exception", 500);
    return rc;
}

/* A data stream could not be written to without them. */
static int check_write_indices(const qd_state *s, const qd_resolved *found, qd_err *err)
{
    for (uint32_t i = 0; i < found->n; i++) {
        const qd_index_meta *m = found->at[i];
        const qd_alias_group *g = qd_state_stream_of(s, m);
        if (!g || g->write_index != m || m->closed) continue;
        return qd_err_set(err, QD_E_ARG,
                          "cannot close the following data stream write indices [%.*s]",
                          QD_STR_ARG(m->name));
    }
    return 0;
}

#define OPEN_TASK_MS 3600000

/* How long shards are waited for. An opening that nobody waits for has a parameter of its own. */
static int open_timeout(const qd_request *q, int64_t *timeout, qd_err *err)
{
    bool wait;
    int rc = qdi_admin_timeout(q, timeout, err);
    if (!rc) rc = qd_param_bool(q, "wait_for_completion", true, &wait, err);
    if (!rc && !wait) return qd_param_ms(q, "task_execution_timeout", OPEN_TASK_MS, timeout, err);
    if (rc || !qd_param_has(q, "task_execution_timeout")) return rc;
    return qd_err_set(err, QD_E_ARG,
                      "[task_execution_timeout] has an effect only with "
                      "[wait_for_completion=false]");
}

static int set_closed(qd_request *q, qd_response *r, bool closed, qd_err *err)
{
    qd_resolved found;
    int64_t timeout, asked;
    bool active = true;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = closed ? qdi_admin_timeout(q, &timeout, err) : open_timeout(q, &timeout, err);
    if (!rc) rc = qdi_active_param(q, &asked, err);
    if (!rc && !qd_param(q, "index").p) {
        rc = qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: index is missing;");
    }
    if (!rc) rc = check_named(q, err);
    if (!rc && closed) rc = closing_allowed(q, err);
    if (!rc) {
        rc = qd_param_indices(q, s, QD_EXPAND_OPEN | QD_EXPAND_CLOSED | QD_ALLOW_NO_INDICES, &found,
                              err);
    }
    if (!rc && closed) rc = check_write_indices(s, &found, err);
    if (!rc) rc = qdi_blocks_check(q->a, &found, QDI_BLOCK_METADATA_WRITE, err);
    if (!rc && closed) active = found.n > 0;
    for (uint32_t i = 0; !rc && i < found.n; i++) {
        rc = qd_cluster_set_closed(q->a->cluster, qd_str_c(found.at[i]->uuid), closed, NULL, err);
    }
    for (uint32_t i = 0; !rc && !closed && i < found.n; i++) {
        active &= qdi_wait_active(q->a, found.at[i]->uuid, QDI_ALL_SHARDS, asked, timeout);
    }
    if (!rc) {
        qd_json_object(&r->w);
        qd_json_field_bool(&r->w, "acknowledged", qdi_all_applied(q));
        qd_json_field_bool(&r->w, "shards_acknowledged", active);
        if (closed) {
            qd_json_key_c(&r->w, "indices");
            qd_json_object(&r->w);
            for (uint32_t i = 0; i < found.n; i++) {
                qd_json_key(&r->w, found.at[i]->name);
                qd_json_object(&r->w);
                qd_json_field_bool(&r->w, "closed", true);
                qd_json_object_end(&r->w);
            }
            qd_json_object_end(&r->w);
        }
        qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    return rc;
}

int qdi_open_check(qd_request *q, qd_err *err)
{
    int64_t timeout, asked;
    int rc = open_timeout(q, &timeout, err);
    if (!rc) rc = qdi_active_param(q, &asked, err);
    if (!rc && !qd_param(q, "index").p)
        rc = qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: index is missing;");
    return rc;
}

int qdi_open(qd_request *q, qd_response *r, qd_err *err)
{
    return set_closed(q, r, false, err);
}

int qdi_api_indices_close(qd_request *q, qd_response *r, qd_err *err)
{
    return set_closed(q, r, true, err);
}
