/* policies_api.c: _ilm/policy, _ilm/start, stop, status: policies as documents of the state. */
#include "action/api/admin_int.h"
#include "action/indices/indices_int.h"
#include "action/indices/templates_int.h"
#include "action/lifecycle/lifecycle_int.h"
#include "base/str.h"
#include <string.h>

#define POLICY_MAX ((size_t)1 << 20) /* a value of the state */

/* --- put --- */

static int check_name(qd_str name, qd_err *err)
{
    const char *why = NULL;
    if (name.n && name.p[0] == '_') why = "must not start with '_'";
    if (qd_str_find(name, ',') >= 0) why = "must not contain ','";
    if (qd_str_find(name, ' ') >= 0) why = "must not contain ' '";
    if (name.n > 255) why = "is longer than 255 bytes";
    if (!why) return 0;
    return qd_err_set(err, QD_E_ARG, "invalid policy name [%.*s]: it %s", QD_STR_ARG(name), why);
}

static int check_level(const qd_state *s, qd_err *err)
{
    if (s->features >= QD_FEATURES_TYPES_0_2) return 0;
    return qd_err_set(
        err, QD_E_ARG,
        "lifecycle policies need level %u of the cluster's formats; they are of level "
        "%u: POST _cluster/upgrade/finalize when all nodes run this version",
        QD_FEATURES_TYPES_0_2, s->features);
}

/* Actions that a node of the former version would leave out without a word. */
static int check_actions(const qd_state *s, const qd_json_node *policy, qd_err *err)
{
    static const char *const later[] = {"shrink", "allocate", "migrate", "unfollow"};
    const qd_json_node *phases = qd_json_get(policy, "phases");
    if (s->features >= QD_FEATURES_SEARCH_0_3) return 0;
    for (const qd_json_node *n = phases->first; n; n = n->next) {
        const qd_json_node *list = qd_json_get(n, "actions");
        for (size_t i = 0; list && i < QD_COUNT_OF(later); i++) {
            if (!qd_json_get(list, later[i])) continue;
            return qd_err_set(err, QD_E_ARG,
                              "action [%s] needs level %u of the cluster's formats; they are of "
                              "level %u: POST _cluster/upgrade/finalize when all nodes run this "
                              "version",
                              later[i], QD_FEATURES_SEARCH_0_3, s->features);
        }
    }
    return 0;
}

int qdi_api_ilm_put_lifecycle(qd_request *q, qd_response *r, qd_err *err)
{
    qd_json_node *root;
    lc_policy was;
    qd_buf b;
    qd_json_writer w;
    qd_str name = qd_param(q, "policy");
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = check_name(name, err);
    if (!rc) rc = check_level(s, err);
    if (!rc) rc = qdi_cluster_block_check(q->a, QDI_BLOCK_METADATA_WRITE, err);
    if (!rc) rc = qdi_body_map(q, &root, err);
    const qd_json_node *policy = rc ? NULL : qd_json_get(root, "policy");
    if (!rc && (!policy || root->n != 1))
        rc = qd_err_set(err, QD_E_XCONTENT, "[put_lifecycle_request] a body is {\"policy\": …}");
    if (!rc) rc = qdi_lc_policy_check(policy, err);
    if (!rc) rc = check_actions(s, policy, err);
    if (!rc) {
        bool had = !qdi_lc_policy_get(s, q->arena, name, &was, NULL);
        qd_buf_init(&b, q->a->account, POLICY_MAX);
        qd_json_writer_init(&w, &b, false);
        qd_json_object(&w);
        qd_json_field_int(&w, "version", had ? was.version + 1 : 1);
        qd_json_field_int(&w, "modified_ms", qd_env_wall_ms(q->a->env));
        qd_json_key_c(&w, "policy");
        qd_json_raw_value(&w, policy->raw);
        qd_json_object_end(&w);
        rc = qd_buf_status(&b)
                 ? qd_err_set(err, QD_E_ARG, "the policy is longer than %zu bytes", POLICY_MAX)
                 : qd_cluster_put_document(
                       q->a->cluster,
                       qd_arena_printf(q->arena, LC_POLICY_KEY "%.*s", QD_STR_ARG(name)),
                       qd_buf_view(&b), false, NULL, err);
        qd_buf_fini(&b);
    }
    qd_state_unref(s);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

/* --- get --- */

static void write_users(qd_request *q, const qd_state *s, qd_str name, qd_json_writer *w)
{
    qd_json_key_c(w, "in_use_by");
    qd_json_object(w);
    qd_json_key_c(w, "indices");
    qd_json_array(w);
    for (uint32_t i = 0; i < s->n; i++)
        if (qd_str_eq(qdi_lc_policy_of(s->indices[i]), name)) qd_json_str(w, s->indices[i]->name);
    qd_json_array_end(w);
    qd_json_key_c(w, "data_streams");
    qd_json_array(w);
    for (uint32_t i = 0; i < s->ndocuments; i++) {
        qd_str key = s->documents[i].key;
        if (!qd_str_starts(key, QD_STR(QD_STREAM_KEY))) continue;
        const qd_alias_group *g =
            qd_state_stream(s, qd_str_sub(key, sizeof QD_STREAM_KEY - 1, key.n));
        if (g && qd_str_eq(qdi_lc_policy_of(g->write_index), name)) qd_json_str(w, g->name);
    }
    qd_json_array_end(w);
    qd_json_key_c(w, "composable_templates");
    qd_json_array(w);
    for (uint32_t i = 0; i < s->ndocuments; i++) {
        qd_json_node *t;
        qd_str template_name;
        qd_settings *settings = NULL;
        if (!qdi_template_is(TEMPLATE_COMPOSABLE, s->documents[i].key, &template_name)) continue;
        if (qdi_template_parse(q->arena, &s->documents[i], &t, NULL)) continue;
        const qd_json_node *own = qd_json_get(t, "template");
        const qd_json_node *set = own ? qd_json_get(own, "settings") : NULL;
        if (!set || qdi_settings_of(set, &settings, NULL)) continue;
        const qd_setting_value *v = qd_settings_get(settings, QD_STR("index.lifecycle.name"));
        if (v && qd_str_eq(v->text, name)) qd_json_str(w, template_name);
        qd_settings_unref(settings);
    }
    qd_json_array_end(w);
    qd_json_object_end(w);
}

/* The name of a policy that a document is; false: it is none. */
static bool policy_of(qd_str key, qd_str *name)
{
    if (!qd_str_starts(key, QD_STR(LC_POLICY_KEY))) return false;
    *name = qd_str_sub(key, sizeof LC_POLICY_KEY - 1, key.n);
    return true;
}

int qdi_api_ilm_get_lifecycle(qd_request *q, qd_response *r, qd_err *err)
{
    char time[48];
    uint32_t found = 0;
    int rc = 0;
    qd_str names = qd_param(q, "policy");
    qd_state *s = qd_cluster_state(q->a->cluster);
    qd_json_object(&r->w);
    for (uint32_t i = 0; i < s->ndocuments && !rc; i++) {
        qd_str name;
        lc_policy p;
        if (!policy_of(s->documents[i].key, &name) || !qdi_listed(names, name)) continue;
        if ((rc = qdi_lc_policy_get(s, q->arena, name, &p, err))) break;
        found++;
        qd_json_key(&r->w, name);
        qd_json_object(&r->w);
        qd_json_field_int(&r->w, "version", p.version);
        qd_json_field_c(&r->w, "modified_date", qdi_time_text(p.modified_ms, time));
        qd_json_key_c(&r->w, "policy");
        qd_json_raw_value(&r->w, p.policy->raw);
        write_users(q, s, name, &r->w);
        qd_json_object_end(&r->w);
    }
    qd_json_object_end(&r->w);
    qd_state_unref(s);
    if (!rc && !found && names.n && qd_str_find(names, '*') < 0) {
        rc = qd_err_set(err, QD_E_NOTFOUND, "Lifecycle policy not found: %.*s", QD_STR_ARG(names));
        qd_err_type(err, "resource_not_found_exception", 404);
    }
    return rc;
}

int qdi_api_ilm_delete_lifecycle(qd_request *q, qd_response *r, qd_err *err)
{
    lc_policy p;
    qd_str name = qd_param(q, "policy"), used = {NULL, 0};
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qdi_lc_policy_get(s, q->arena, name, &p, err);
    for (uint32_t i = 0; i < s->n && !rc; i++) {
        if (!qd_str_eq(qdi_lc_policy_of(s->indices[i]), name)) continue;
        used = qd_arena_printf(q->arena, "%.*s%s%.*s", QD_STR_ARG(used), used.n ? ", " : "",
                               QD_STR_ARG(s->indices[i]->name));
        if (used.n > 4096) break;
    }
    if (!rc && used.n) {
        rc = qd_err_set(err, QD_E_ARG,
                        "Cannot delete policy [%.*s]. It is in use by one or more indices: [%.*s]",
                        QD_STR_ARG(name), QD_STR_ARG(used));
    }
    if (!rc)
        rc = qd_cluster_put_document(
            q->a->cluster, qd_arena_printf(q->arena, LC_POLICY_KEY "%.*s", QD_STR_ARG(name)),
            (qd_str){NULL, 0}, false, NULL, err);
    qd_state_unref(s);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

/* --- running --- */

static int set_mode(qd_request *q, qd_response *r, bool runs, qd_err *err)
{
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = runs == qdi_lc_is_running(s) ? QD_E_EXISTS : check_level(s, err);
    qd_state_unref(s);
    /* running is the state without a word */
    if (!rc)
        rc = qd_cluster_put_document(q->a->cluster, QD_STR(LC_MODE_KEY),
                                     runs ? (qd_str){NULL, 0} : QD_STR("{\"mode\":\"STOPPED\"}"),
                                     false, NULL, err);
    if (rc == QD_E_EXISTS) rc = 0;
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

int qdi_api_ilm_start(qd_request *q, qd_response *r, qd_err *err)
{
    return set_mode(q, r, true, err);
}

int qdi_api_ilm_stop(qd_request *q, qd_response *r, qd_err *err)
{
    return set_mode(q, r, false, err);
}

int qdi_api_ilm_get_status(qd_request *q, qd_response *r, qd_err *err)
{
    (void)err;
    qd_state *s = qd_cluster_state(q->a->cluster);
    qd_json_object(&r->w);
    qd_json_field_c(&r->w, "operation_mode", qdi_lc_is_running(s) ? "RUNNING" : "STOPPED");
    qd_json_object_end(&r->w);
    qd_state_unref(s);
    return 0;
}
