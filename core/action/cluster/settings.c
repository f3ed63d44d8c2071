/* settings.c: _cluster/settings: what is set, what applies, changes while running. */
#include "action/api/admin_int.h"
#include "action/indices/templates_int.h"
#include "base/log.h"
#include "base/str.h"
#include "json/tree.h"

#define LOG "settings"

static bool set_and_not_null(void *arg, qd_str key)
{
    const qd_setting_value *v = qd_settings_get(arg, key);
    return v && v->kind != QD_SETTING_NULL;
}

static void write_set(qd_json_writer *w, const char *key, qd_settings *s, bool flat)
{
    qd_json_key_c(w, key);
    if (s) {
        qd_settings_write(s, w, flat, set_and_not_null, s);
    } else {
        qd_json_object(w);
        qd_json_object_end(w);
    }
}

/* --- reading --- */

typedef struct showing {
    const qd_state *state;
    const qd_plugin_host *plugins;
} showing;

static bool shown_as_default(void *arg, qd_str key)
{
    const showing *s = arg;
    const qd_setting_def *def = qd_schema_find(&qd_schema_node, key, NULL);
    if (def && (def->flags & QD_SF_SECRET)) return false;
    if (qd_plugin_setting_secret(s->plugins, key)) return false;
    return !(s->state->persistent && qd_settings_get(s->state->persistent, key)) &&
           !(s->state->transient && qd_settings_get(s->state->transient, key));
}

/* Every setting of this node that the cluster's do not set: its own, and the defaults. */
static int write_defaults(const qd_actions *a, const qd_state *state, bool flat, qd_json_writer *w,
                          qd_err *err)
{
    qd_settings *all = NULL;
    showing s = {state, a->plugins};
    int rc = qd_settings_new(NULL, &all, err);
    for (uint32_t i = 0; i < qd_schema_node.n && !rc; i++) {
        const qd_setting_def *d = &qd_schema_node.defs[i];
        if (!d->value || d->type == QD_ST_GROUP || (d->flags & QD_SF_PRIVATE)) continue;
        rc = qd_settings_put(all, qd_str_c(d->key), qd_str_c(d->value), err);
    }
    if (!rc) rc = qd_settings_merge(all, qd_config_settings(a->config), err);
    if (!rc && a->plugins) rc = qd_plugin_settings_defaults(a->plugins, all, err);
    if (!rc) rc = qd_settings_put(all, QD_STR("client.type"), QD_STR("node"), err);
    if (!rc) rc = qd_settings_seal(all, err);
    if (!rc) {
        qd_json_key_c(w, "defaults");
        qd_settings_write(all, w, flat, shown_as_default, &s);
    }
    qd_settings_unref(all);
    return rc;
}

int qdi_api_cluster_get_settings(qd_request *q, qd_response *r, qd_err *err)
{
    bool flat, defaults;
    int rc = qd_param_bool(q, "flat_settings", false, &flat, err);
    if (!rc) rc = qd_param_bool(q, "include_defaults", false, &defaults, err);
    if (rc) return rc;
    qd_state *s = qd_cluster_state(q->a->cluster);
    qd_json_object(&r->w);
    write_set(&r->w, "persistent", s->persistent, flat);
    write_set(&r->w, "transient", s->transient, flat);
    if (defaults) rc = write_defaults(q->a, s, flat, &r->w, err);
    if (!rc) qd_json_object_end(&r->w);
    qd_state_unref(s);
    return rc;
}

/* --- changing --- */

/* The settings of a member of the body, sealed. */
static int settings_of(const qd_json_node *n, qd_settings **out, qd_err *err)
{
    int rc = qd_settings_new(NULL, out, err);
    if (!rc) {
        qd_json_reader r = QD_JSON_READER(NULL);
        qd_json_reader_init(&r, n->raw, QD_JSON_REQUEST, 0);
        int ev = qd_json_next(&r);
        rc = ev < 0                 ? qd_json_fail(&r, err)
             : ev == QD_JSON_OBJECT ? qd_settings_put_json(*out, &r, (qd_str){NULL, 0}, err)
                                    : qd_err_set(err, QD_E_ES_PARSE, "key [%.*s] must be an object",
                                                 QD_STR_ARG(n->key));
        qd_json_reader_fini(&r);
    }
    return rc ? rc : qd_settings_seal(*out, err);
}

/* Whatever is stored can be taken away, by another version stored or not. */
static bool is_stored(const qd_state *state, qd_str key)
{
    return (state->persistent && qd_settings_get(state->persistent, key)) ||
           (state->transient && qd_settings_get(state->transient, key));
}

/* Keys "a.b.*" with null reset a whole group; they are no settings themselves. */
static int without_patterns(const qd_actions *a, const qd_settings *s, qd_settings **out,
                            qd_err *err)
{
    qd_state *state = qd_cluster_state(a->cluster);
    int rc = qd_settings_new(NULL, out, err);
    for (size_t i = 0; i < qd_settings_count(s) && !rc; i++) {
        const qd_setting_value *v = qd_settings_at(s, i);
        bool gone = v->kind == QD_SETTING_NULL &&
                    (qd_str_ends(v->key, QD_STR("*")) ||
                     qd_str_starts(v->key, QD_STR("archived.")) || is_stored(state, v->key));
        if (!gone) rc = qd_settings_put_value(*out, v->key, v, err);
    }
    qd_state_unref(state);
    return rc ? rc : qd_settings_seal(*out, err);
}

/* Settings of plugins are the plugins' to judge. */
static int check_plugins(const qd_actions *a, const qd_settings *s, const char *what, qd_err *err)
{
    size_t n, first = qd_settings_group(s, QD_STR("plugin."), &n);
    int rc = 0;
    for (size_t i = first; i < first + n && !rc && a->plugins; i++) {
        const qd_setting_value *v = qd_settings_at(s, i);
        if (v->kind != QD_SETTING_NULL) rc = qd_plugin_setting_check(a->plugins, v, what, err);
    }
    return rc;
}

static int check(const qd_actions *a, const qd_settings *s, const char *what, qd_err *err)
{
    qd_settings *named = NULL;
    int rc = without_patterns(a, s, &named, err);
    if (!rc) rc = qd_schema_check_dynamic(&qd_schema_node, named, what, err);
    if (!rc) rc = qd_schema_check(&qd_schema_node, named, false, err);
    if (!rc) rc = qd_index_defaults_check(named, err);
    if (!rc) rc = check_plugins(a, named, what, err);
    qd_settings_unref(named);
    return rc;
}

static int parse(qd_request *q, qd_settings **persistent, qd_settings **transient, qd_err *err)
{
    qd_json_node *root;
    int rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    for (const qd_json_node *n = rc ? NULL : root->first; n && !rc; n = n->next) {
        bool lasting = qd_str_is(n->key, "persistent");
        if (!lasting && !qd_str_is(n->key, "transient")) {
            rc = qd_err_set(err, QD_E_XCONTENT,
                            "[cluster_update_settings_request] unknown field [%.*s]",
                            QD_STR_ARG(n->key));
            break;
        }
        qd_settings **to = lasting ? persistent : transient;
        rc = settings_of(n, to, err);
        if (!rc) rc = check(q->a, *to, lasting ? "persistent" : "transient", err);
        if (!rc) qdi_warn_settings(q, &qd_schema_node, *to);
    }
    size_t n = (*persistent ? qd_settings_count(*persistent) : 0) +
               (*transient ? qd_settings_count(*transient) : 0);
    if (!rc && !n) {
        rc = qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: no settings to update;");
    }
    return rc;
}

/* Settings that only make sense together: the node's as they would be after the update. */
static int check_together(const qd_actions *a, const qd_settings *persistent,
                          const qd_settings *transient, qd_err *err)
{
    qd_settings *all = NULL;
    int rc = qd_settings_new(NULL, &all, err);
    if (!rc) rc = qd_settings_merge(all, qd_values_settings(qd_config_values(a->config)), err);
    if (!rc && persistent) rc = qd_settings_update(all, persistent, err);
    if (!rc && transient) rc = qd_settings_update(all, transient, err);
    if (!rc) rc = qd_settings_seal(all, err);
    if (!rc) rc = qd_config_try(a->config, all, err);
    qd_settings_unref(all);
    return rc;
}

int qdi_api_cluster_put_settings(qd_request *q, qd_response *r, qd_err *err)
{
    qd_settings *persistent = NULL, *transient = NULL;
    bool flat;
    int rc = qd_param_bool(q, "flat_settings", false, &flat, err);
    if (!rc) rc = parse(q, &persistent, &transient, err);
    if (!rc) rc = check_together(q->a, persistent, transient, err);
    if (!rc) rc = qd_cluster_update_settings(q->a->cluster, persistent, transient, NULL, err);
    if (!rc) {
        qd_json_object(&r->w);
        qd_json_field_bool(&r->w, "acknowledged", qdi_all_applied(q));
        write_set(&r->w, "persistent", persistent, flat);
        write_set(&r->w, "transient", transient, flat);
        qd_json_object_end(&r->w);
    }
    qd_settings_unref(persistent);
    qd_settings_unref(transient);
    return rc;
}

/* --- following --- */

/* By its name, so that one knows what to set anew. */
static void not_used(void *arg, qd_str key, qd_str value, const char *why)
{
    (void)arg;
    const qd_setting_def *d = qd_schema_find(&qd_schema_node, key, NULL);
    if (d && (d->flags & QD_SF_SECRET)) value = QD_STR("***");
    qd_log_warn(LOG,
                "[%.*s] of _cluster/settings is not applied to this node as it stands, [%.*s]: %s",
                QD_STR_ARG(key), QD_STR_ARG(value), why);
}

void qd_action_settings_follow(qd_config *config, qd_plugin_host *plugins, const qd_state *old,
                               const qd_state *now)
{
    qd_err err;
    bool same = old && old->persistent_revision == now->persistent_revision &&
                old->transient_revision == now->transient_revision;
    bool none = !old && !now->persistent_revision && !now->transient_revision;
    if (same || none) return;
    qd_err_init(&err);
    if (qd_config_cluster(config, now->persistent, now->transient, not_used, NULL, &err)) {
        qd_log_warn(LOG, "the cluster's settings were not applied to this node: %s",
                    qd_err_reason(&err));
    }
    qd_err_fini(&err);
    if (plugins) qd_plugin_settings_apply(plugins, now->persistent, now->transient);
}
