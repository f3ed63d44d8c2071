/* indices_api.c: how far indices are in their policies: explain, move, retry, remove. */
#include "action/api/admin_int.h"
#include "action/indices/indices_int.h"
#include "action/lifecycle/lifecycle_int.h"
#include "base/str.h"
#include "config/value.h"
#include <stdio.h>
#include <string.h>

#define INDICES_WANTED (QD_EXPAND_OPEN | QD_EXPAND_CLOSED | QD_ALLOW_NO_INDICES)

/* The records of those of the indices that have a policy; each index without one has uuid NULL. */
static int records_of(qd_request *q, const qd_resolved *found, lc_record **out, qd_err *err)
{
    uint32_t n = 0;
    lc_record *all = qd_arena_calloc(q->arena, (found->n + 1) * sizeof *all);
    lc_record *some = qd_arena_calloc(q->arena, (found->n + 1) * sizeof *some);
    if (!all || !some) return qd_err_nomem(err, "lifecycle policies");
    for (uint32_t i = 0; i < found->n; i++)
        if (qdi_lc_policy_of(found->at[i]).n) some[n++].uuid = found->at[i]->uuid;
    int rc = qdi_lc_records_get(q->a, q->arena, some, n, err);
    n = 0;
    for (uint32_t i = 0; i < found->n; i++)
        if (qdi_lc_policy_of(found->at[i]).n) all[i] = some[n++];
    *out = all;
    return rc;
}

/* --- explain --- */

static void write_ms(const qd_request *q, const char *key, int64_t ms, qd_json_writer *w)
{
    char time[48], name[64];
    snprintf(name, sizeof name, "%s_millis", key);
    if (q->human) qd_json_field_c(w, key, qdi_time_text(ms, time));
    qd_json_field_int(w, name, ms);
}

static void write_execution(const lc_policy *p, const lc_record *r, qd_json_writer *w)
{
    const qd_json_node *phase = qdi_lc_phase_node(p, r->phase);
    qd_json_key_c(w, "phase_execution");
    qd_json_object(w);
    qd_json_field_str(w, "policy", p->name);
    if (phase) {
        qd_json_key_c(w, "phase_definition");
        qd_json_raw_value(w, phase->raw);
    }
    qd_json_field_int(w, "version", p->version);
    qd_json_field_int(w, "modified_date_in_millis", p->modified_ms);
    qd_json_object_end(w);
}

static void write_managed(qd_request *q, const qd_state *s, const qd_index_meta *m,
                          const lc_record *r, qd_json_writer *w)
{
    char text[32];
    lc_policy p;
    qd_err why;
    int64_t now = qd_env_wall_ms(q->a->env);
    qd_err_init(&why);
    int rc = qdi_lc_policy_get(s, q->arena, qdi_lc_policy_of(m), &p, &why);
    qd_json_field_str(w, "policy", qdi_lc_policy_of(m));
    write_ms(q, "index_creation_date", m->created_ms, w);
    qd_json_field_c(w, "time_since_index_creation",
                    qd_time_text((now - m->created_ms) * 1000000, text));
    write_ms(q, "lifecycle_date", qdi_lc_date(m), w);
    qd_json_field_c(w, "age", qd_time_text((now - qdi_lc_date(m)) * 1000000, text));
    qd_json_field_c(w, "phase", qdi_lc_phases[r->phase]);
    if (r->phase_ms) write_ms(q, "phase_time", r->phase_ms, w);
    qd_json_field_c(w, "action", r->action);
    if (r->action_ms) write_ms(q, "action_time", r->action_ms, w);
    qd_json_field_c(w, "step", r->step);
    if (r->step_ms) write_ms(q, "step_time", r->step_ms, w);
    if (r->failed[0]) qd_json_field_c(w, "failed_step", r->failed);
    if (rc) {
        qd_json_key_c(w, "step_info");
        qd_json_object(w);
        qd_json_field_c(w, "reason", "policy does not exist");
        qd_json_object_end(w);
    } else if (r->info.n) {
        qd_json_key_c(w, "step_info");
        qd_json_raw_value(w, r->info);
    }
    if (!rc && r->phase != LC_NEW) write_execution(&p, r, w);
    qd_err_fini(&why);
}

int qdi_api_ilm_explain_lifecycle(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    lc_record *at;
    bool errors, managed;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_param_bool(q, "only_errors", false, &errors, err);
    if (!rc) rc = qd_param_bool(q, "only_managed", false, &managed, err);
    if (!rc) rc = qd_param_indices(q, s, INDICES_WANTED, &found, err);
    if (!rc) rc = records_of(q, &found, &at, err);
    if (!rc) {
        qd_json_object(&r->w);
        qd_json_key_c(&r->w, "indices");
        qd_json_object(&r->w);
        for (uint32_t i = 0; i < found.n; i++) {
            const qd_index_meta *m = found.at[i];
            bool has = at[i].uuid != NULL;
            bool bad = has && strcmp(at[i].step, "ERROR") == 0;
            if ((errors && !bad) || (managed && !has)) continue;
            qd_json_key(&r->w, m->name);
            qd_json_object(&r->w);
            qd_json_field_str(&r->w, "index", m->name);
            qd_json_field_bool(&r->w, "managed", has);
            if (has) write_managed(q, s, m, &at[i], &r->w);
            qd_json_object_end(&r->w);
        }
        qd_json_object_end(&r->w);
        qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    return rc;
}

/* --- move --- */

static qd_str text_of(const qd_json_node *n, const char *key)
{
    const qd_json_node *m = n ? qd_json_get(n, key) : NULL;
    return m ? qd_json_text(m) : (qd_str){NULL, 0};
}

static int check_current(const lc_record *r, const qd_index_meta *m, const qd_json_node *now,
                         qd_err *err)
{
    if (qd_str_is(text_of(now, "phase"), qdi_lc_phases[r->phase]) &&
        qd_str_is(text_of(now, "action"), r->action) && qd_str_is(text_of(now, "name"), r->step))
        return 0;
    return qd_err_set(
        err, QD_E_ARG,
        "index [%.*s] is not on current step [{\"phase\":\"%.*s\",\"action\":\"%.*s\","
        "\"name\":\"%.*s\"}], currently: [{\"phase\":\"%s\",\"action\":\"%s\","
        "\"name\":\"%s\"}]",
        QD_STR_ARG(m->name), QD_STR_ARG(text_of(now, "phase")), QD_STR_ARG(text_of(now, "action")),
        QD_STR_ARG(text_of(now, "name")), qdi_lc_phases[r->phase], r->action, r->step);
}

/* Where the index goes: a phase, with an action or its first one. */
static int move_to(qd_request *q, const lc_policy *p, const qd_json_node *next, lc_record *r,
                   qd_err *err)
{
    int64_t now = qd_env_wall_ms(q->a->env);
    lc_phase phase = qdi_lc_phase_of(text_of(next, "phase"));
    const qd_json_node *node = phase < LC_PHASES ? qdi_lc_phase_node(p, phase) : NULL;
    const qd_json_node *list = node ? qd_json_get(node, "actions") : NULL;
    qd_str action = text_of(next, "action"), step = text_of(next, "name");
    if (!node) {
        return qd_err_set(err, QD_E_ARG, "phase [%.*s] does not exist in policy [%.*s]",
                          QD_STR_ARG(text_of(next, "phase")), QD_STR_ARG(p->name));
    }
    if (qd_str_is(action, "complete")) {
        qdi_lc_record_move(r, phase, action, "complete", now);
        return 0;
    }
    if (!action.n) action = qdi_lc_next_action(node, phase, (qd_str){NULL, 0});
    const lc_action *a = action.n ? qdi_lc_action(action) : NULL;
    if (action.n && (!a || !list || !qd_json_get_str(list, action))) {
        return qd_err_set(err, QD_E_ARG, "action [%.*s] does not exist in phase [%s] of [%.*s]",
                          QD_STR_ARG(action), qdi_lc_phases[phase], QD_STR_ARG(p->name));
    }
    if (step.n && a && !qd_str_is(step, a->first_step)) {
        return qd_err_set(err, QD_E_ARG, "step [%.*s] does not exist: action [%s] begins with [%s]",
                          QD_STR_ARG(step), a->name, a->first_step);
    }
    qdi_lc_record_move(r, phase, a ? action : QD_STR("complete"), a ? a->first_step : "complete",
                       now);
    return 0;
}

static int one_managed(qd_request *q, const qd_state *s, qd_resolved *found, lc_record **at,
                       qd_err *err)
{
    int rc = qd_state_resolve(s, qd_param(q, "index"), QD_ONE_NAME, q->arena, found, err);
    if (!rc && found->n != 1)
        rc = qd_err_set(err, QD_E_ARG, "[%.*s] means [%u] indices and must be one",
                        QD_STR_ARG(qd_param(q, "index")), found->n);
    if (!rc) rc = records_of(q, found, at, err);
    if (rc || (*at)[0].uuid) return rc;
    return qd_err_set(err, QD_E_ARG, "index [%.*s] is not managed by a lifecycle policy",
                      QD_STR_ARG(found->at[0]->name));
}

int qdi_api_ilm_move_to_step(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    lc_record *at;
    lc_policy p;
    qd_json_node *root;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qdi_body_map(q, &root, err);
    const qd_json_node *now = rc ? NULL : qd_json_get(root, "current_step"),
                       *next = rc ? NULL : qd_json_get(root, "next_step");
    if (!rc && (!now || !next || root->n != 2))
        rc = qd_err_set(err, QD_E_ARG, "[current_step] and [next_step] are required");
    if (!rc) rc = one_managed(q, s, &found, &at, err);
    if (!rc) rc = qdi_lc_policy_get(s, q->arena, qdi_lc_policy_of(found.at[0]), &p, err);
    if (!rc) rc = check_current(&at[0], found.at[0], now, err);
    if (!rc) rc = move_to(q, &p, next, &at[0], err);
    if (!rc) rc = qdi_lc_record_put(q->a, q->arena, &at[0], found.at[0], err);
    qd_state_unref(s);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

/* --- retry --- */

int qdi_api_ilm_retry(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    lc_record *at;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_param_indices(q, s, INDICES_WANTED & ~(uint32_t)QD_ALLOW_NO_INDICES, &found, err);
    if (!rc) rc = records_of(q, &found, &at, err);
    for (uint32_t i = 0; i < found.n && !rc; i++) {
        if (at[i].uuid && strcmp(at[i].step, "ERROR") == 0) continue;
        rc = qd_err_set(err, QD_E_ARG,
                        "cannot retry an action for an index [%.*s] that has not "
                        "encountered an error when running a Lifecycle Policy",
                        QD_STR_ARG(found.at[i]->name));
    }
    for (uint32_t i = 0; i < found.n && !rc; i++) {
        char step[LC_NAME_MAX];
        memcpy(step, at[i].failed, sizeof step);
        qdi_lc_record_move(&at[i], at[i].phase, qd_str_c(at[i].action), step,
                           qd_env_wall_ms(q->a->env));
        rc = qdi_lc_record_put(q->a, q->arena, &at[i], found.at[i], err);
    }
    qd_state_unref(s);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

/* --- remove --- */

static int forget(qd_request *q, const qd_index_meta *m, qd_err *err)
{
    qd_settings *update = NULL;
    int rc = qd_settings_new(NULL, &update, err);
    for (size_t i = 0; !rc && i < qd_settings_count(m->settings); i++) {
        qd_str key = qd_settings_at(m->settings, i)->key;
        if (qd_str_starts(key, QD_STR("index.lifecycle.")))
            rc = qd_settings_put_null(update, key, err);
    }
    if (!rc) rc = qd_settings_seal(update, err);
    if (!rc)
        rc = qd_cluster_put_settings(q->a->cluster, qd_str_c(m->uuid), update, false, NULL, err);
    qd_settings_unref(update);
    if (!rc) qdi_lc_record_delete(q->a, q->arena, m->uuid);
    return rc;
}

int qdi_api_ilm_remove_policy(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_param_indices(q, s, INDICES_WANTED & ~(uint32_t)QD_ALLOW_NO_INDICES, &found, err);
    for (uint32_t i = 0; !rc && i < found.n; i++)
        if (qdi_lc_policy_of(found.at[i]).n) rc = forget(q, found.at[i], err);
    qd_state_unref(s);
    if (rc) return rc;
    qd_json_object(&r->w);
    qd_json_field_bool(&r->w, "has_failures", false);
    qd_json_key_c(&r->w, "failed_indexes");
    qd_json_array(&r->w);
    qd_json_array_end(&r->w);
    qd_json_object_end(&r->w);
    return 0;
}
