/* ism_policy.c: what a policy of index state management says. See ism_int.h. */
#include "action/api/admin_int.h"
#include "action/lifecycle/ism_int.h"
#include "base/str.h"
#include "config/value.h"

#define STATES_MAX 1000u

qd_str qdi_ism_text(const qd_json_node *n, const char *key)
{
    const qd_json_node *m = n ? qd_json_get(n, key) : NULL;
    return m && m->type != QD_JSON_T_NULL ? qd_json_text(m) : (qd_str){NULL, 0};
}

int64_t qdi_ism_number(const qd_json_node *n, const char *key, int64_t otherwise)
{
    int64_t v;
    return qd_str_i64(qdi_ism_text(n, key), &v) ? v : otherwise;
}

bool qdi_ism_truth(const qd_json_node *n, const char *key)
{
    bool v = false;
    const qd_json_node *m = n ? qd_json_get(n, key) : NULL;
    return m && !qd_json_truth(m, &v) && v;
}

int qdi_ism_level(const qd_state *s, qd_err *err)
{
    if (s->features >= QD_FEATURES_SEARCH_0_3) return 0;
    return qd_err_set(
        err, QD_E_ARG,
        "policies of index state management need level %u of the cluster's formats; "
        "they are of level %u: POST _cluster/upgrade/finalize when all nodes run this "
        "version",
        QD_FEATURES_SEARCH_0_3, s->features);
}

int qdi_ism_policy_get(const qd_state *s, qd_arena *a, qd_str id, ism_policy *out, qd_err *err)
{
    qd_json_node *root;
    qd_str key = qd_arena_printf(a, ISM_KEY "%.*s", QD_STR_ARG(id));
    const qd_state_document_record *d = key.p ? qd_state_document(s, key) : NULL;
    *out = (ism_policy){.id = id};
    if (!d) return QD_E_NOTFOUND;
    qd_str text = qd_arena_str(a, d->value);
    int rc = text.p ? qd_json_parse(a, text, 0, &root, err) : qd_err_nomem(err, "policy");
    if (rc) return rc;
    out->seq_no = (int64_t)d->mod_revision;
    out->version = qdi_ism_number(root, "version", 1);
    out->at = qd_json_get(root, "policy");
    return out->at ? 0
                   : qd_err_set(err, QD_E_CORRUPT, "policy [%.*s] says nothing", QD_STR_ARG(id));
}

const qd_json_node *qdi_ism_state(const qd_json_node *policy, qd_str name)
{
    const qd_json_node *states = policy ? qd_json_get(policy, "states") : NULL;
    for (const qd_json_node *n = states ? states->first : NULL; n; n = n->next)
        if (qd_str_eq(qdi_ism_text(n, "name"), name)) return n;
    return NULL;
}

/* --- checking and writing --- */

static int not_of_type(const qd_json_node *n, const char *type, qd_err *err)
{
    return qd_err_set(err, QD_E_PARSE,
                      "Failed to parse object: expecting token of type [%s] but "
                      "found [%s]",
                      type, qd_json_type_token(n->type));
}

static int write_retry(const qd_json_node *n, qd_json_writer *w, qd_err *err)
{
    static const char *const kinds[] = {"exponential", "constant", "linear"};
    int64_t count = 3, ns;
    qd_str backoff = QD_STR("exponential"), delay = QD_STR("1m");
    bool known = false;
    if (n && n->type != QD_JSON_T_OBJECT) return not_of_type(n, "START_OBJECT", err);
    for (const qd_json_node *m = n ? n->first : NULL; m; m = m->next) {
        if (qd_str_is(m->key, "count")) {
            if (!qd_str_i64(qd_json_text(m), &count) || count < 0 || count > INT32_MAX)
                return qd_err_set(err, QD_E_ARG,
                                  "Count for ActionRetry must be a non-negative "
                                  "number");
        } else if (qd_str_is(m->key, "backoff")) {
            backoff = qd_json_text(m);
        } else if (qd_str_is(m->key, "delay")) {
            delay = qd_json_text(m);
        } else {
            return qdi_ism_unknown(m, "ActionRetry", err);
        }
    }
    for (size_t i = 0; i < QD_COUNT_OF(kinds); i++)
        known |= qd_str_ieq(backoff, qd_str_c(kinds[i]));
    if (!known)
        return qd_err_set(err, QD_E_ARG, "No enum constant ActionRetry.Backoff.%.*s",
                          QD_STR_ARG(backoff));
    int rc = qd_value_time(delay, "delay", &ns, err);
    if (rc) return rc;
    qd_json_key_c(w, "retry");
    qd_json_object(w);
    qd_json_field_int(w, "count", count);
    for (size_t i = 0; i < QD_COUNT_OF(kinds); i++)
        if (qd_str_ieq(backoff, qd_str_c(kinds[i]))) qd_json_field_c(w, "backoff", kinds[i]);
    qd_json_field_str(w, "delay", delay);
    if (!rc) qd_json_object_end(w);
    return 0;
}

static int write_action(const qd_json_node *n, qd_json_writer *w, bool *deletes, qd_err *err)
{
    int64_t ns;
    const qd_json_node *what = NULL, *retry = NULL, *timeout = NULL;
    if (n->type != QD_JSON_T_OBJECT) return not_of_type(n, "START_OBJECT", err);
    for (const qd_json_node *m = n->first; m; m = m->next) {
        if (qd_str_is(m->key, "retry"))
            retry = m;
        else if (qd_str_is(m->key, "timeout"))
            timeout = m;
        else if (what)
            return qd_err_set(err, QD_E_ARG, "an action is one of [%.*s] and [%.*s], not both",
                              QD_STR_ARG(what->key), QD_STR_ARG(m->key));
        else
            what = m;
    }
    if (!what) return qd_err_set(err, QD_E_ARG, "Action config is null");
    int rc = timeout ? qd_value_time(qd_json_text(timeout), "timeout", &ns, err) : 0;
    if (rc) return rc;
    *deletes = qd_str_is(what->key, "delete");
    qd_json_object(w);
    if (timeout) qd_json_field_str(w, "timeout", qd_json_text(timeout));
    rc = write_retry(retry, w, err);
    if (rc) return rc;
    qd_json_key(w, what->key);
    rc = qdi_ism_options_write(what, w, err);
    if (!rc) qd_json_object_end(w);
    return rc;
}

static int write_cron(const qd_json_node *n, qd_json_writer *w, qd_err *err)
{
    int64_t at;
    qd_arena a;
    const qd_json_node *c = qd_json_get(n, "cron");
    qd_str expression = qdi_ism_text(c, "expression"), zone = qdi_ism_text(c, "timezone");
    if (!c || n->n != 1 || !expression.n || !zone.n || c->n != 2) {
        return qd_err_set(err, QD_E_ARG,
                          "a condition [cron] is {\"cron\": {\"expression\": …, "
                          "\"timezone\": …}}");
    }
    qd_arena_init(&a, NULL, ISM_BODY_MAX);
    int rc = qdi_ism_cron_next(&a, expression, zone, 0, &at, err);
    qd_arena_fini(&a);
    qd_json_key_c(w, "cron");
    qd_json_raw_value(w, n->raw);
    return rc;
}

static int write_condition(const qd_json_node *n, qd_json_writer *w, qd_err *err)
{
    int64_t v;
    int rc;
    if (qd_str_is(n->key, "cron")) return write_cron(n, w, err);
    if (qd_str_is(n->key, "min_index_age") || qd_str_is(n->key, "min_rollover_age")) {
        rc = qd_value_time(qd_json_text(n), n->key.n == 13 ? "min_index_age" : "min_rollover_age",
                           &v, err);
    } else if (qd_str_is(n->key, "min_doc_count")) {
        rc = qd_str_i64(qd_json_text(n), &v) && v > 0
                 ? 0
                 : qd_err_set(err, QD_E_ARG,
                              "Transition doc count condition must be greater than "
                              "0");
    } else if (qd_str_is(n->key, "min_size")) {
        rc = qd_value_bytes(qd_json_text(n), "min_size", &v, err);
        if (!rc && v <= 0)
            rc = qd_err_set(err, QD_E_ARG, "Transition size condition must be greater than 0");
    } else {
        return qdi_ism_unknown(n, "Conditions", err);
    }
    qd_json_key(w, n->key);
    qd_json_raw_value(w, n->raw);
    return rc;
}

static int write_transition(const qd_json_node *n, const qd_json_node *policy, qd_str state,
                            qd_json_writer *w, qd_err *err)
{
    const qd_json_node *name = NULL, *conditions = NULL;
    if (n->type != QD_JSON_T_OBJECT) return not_of_type(n, "START_OBJECT", err);
    for (const qd_json_node *m = n->first; m; m = m->next) {
        if (qd_str_is(m->key, "state_name"))
            name = m;
        else if (qd_str_is(m->key, "conditions"))
            conditions = m;
        else
            return qdi_ism_unknown(m, "Transition", err);
    }
    if (!name) return qd_err_set(err, QD_E_ARG, "Transition state name is null");
    if (!qdi_ism_state(policy, qd_json_text(name))) {
        return qd_err_set(err, QD_E_ARG,
                          "Policy contains a transition in state=%.*s pointing to a "
                          "nonexistent state=%.*s",
                          QD_STR_ARG(state), QD_STR_ARG(qd_json_text(name)));
    }
    if (conditions && conditions->type != QD_JSON_T_OBJECT)
        return not_of_type(conditions, "START_OBJECT", err);
    if (conditions && conditions->n != 1)
        return qd_err_set(err, QD_E_ARG, "Cannot provide more than one Transition condition");
    qd_json_object(w);
    qd_json_field_str(w, "state_name", qd_json_text(name));
    int rc = 0;
    if (conditions) {
        qd_json_key_c(w, "conditions");
        qd_json_object(w);
        rc = write_condition(conditions->first, w, err);
        if (!rc) qd_json_object_end(w);
    }
    if (!rc) qd_json_object_end(w);
    return rc;
}

static int write_state(const qd_json_node *n, const qd_json_node *policy, qd_json_writer *w,
                       qd_err *err)
{
    const qd_json_node *actions = NULL, *transitions = NULL;
    qd_str name = qdi_ism_text(n, "name");
    bool deletes = false;
    int rc = 0;
    if (n->type != QD_JSON_T_OBJECT) return not_of_type(n, "START_OBJECT", err);
    for (const qd_json_node *m = n->first; m; m = m->next) {
        if (qd_str_is(m->key, "actions"))
            actions = m;
        else if (qd_str_is(m->key, "transitions"))
            transitions = m;
        else if (!qd_str_is(m->key, "name"))
            return qdi_ism_unknown(m, "State", err);
    }
    if (!name.p) return qd_err_set(err, QD_E_ARG, "State name is null");
    if (!qd_str_trim(name).n) return qd_err_set(err, QD_E_ARG, "State must contain a valid name");
    if (actions && actions->type != QD_JSON_T_ARRAY)
        return not_of_type(actions, "START_ARRAY", err);
    if (transitions && transitions->type != QD_JSON_T_ARRAY)
        return not_of_type(transitions, "START_ARRAY", err);
    qd_json_object(w);
    qd_json_field_str(w, "name", name);
    qd_json_key_c(w, "actions");
    qd_json_array(w);
    for (const qd_json_node *m = actions ? actions->first : NULL; m && !rc; m = m->next) {
        if (deletes)
            rc = qd_err_set(err, QD_E_ARG,
                            "State=%.*s must not contain an action after a delete "
                            "action",
                            QD_STR_ARG(name));
        else
            rc = write_action(m, w, &deletes, err);
    }
    if (rc) return rc;
    qd_json_array_end(w);
    if (deletes && transitions && transitions->n)
        return qd_err_set(err, QD_E_ARG,
                          "State=%.*s cannot contain transitions if using delete "
                          "action",
                          QD_STR_ARG(name));
    qd_json_key_c(w, "transitions");
    qd_json_array(w);
    for (const qd_json_node *m = transitions ? transitions->first : NULL; m && !rc; m = m->next)
        rc = write_transition(m, policy, name, w, err);
    if (!rc) qd_json_array_end(w);
    if (!rc) qd_json_object_end(w);
    return rc;
}

static int write_template(const qd_json_node *n, int64_t now_ms, qd_json_writer *w, qd_err *err)
{
    const qd_json_node *patterns = NULL;
    int64_t priority = 0;
    if (n->type != QD_JSON_T_OBJECT) return not_of_type(n, "START_OBJECT", err);
    for (const qd_json_node *m = n->first; m; m = m->next) {
        if (qd_str_is(m->key, "index_patterns"))
            patterns = m;
        else if (qd_str_is(m->key, "priority"))
            priority = m->type == QD_JSON_T_NULL ? 0 : qdi_ism_number(n, "priority", -1);
        else if (!qd_str_is(m->key, "last_updated_time"))
            return qdi_ism_unknown(m, "ISMTemplate", err);
    }
    if (priority < 0) return qd_err_set(err, QD_E_ARG, "Requires priority to be >= 0");
    if (!patterns || patterns->type != QD_JSON_T_ARRAY || !patterns->n)
        return qd_err_set(err, QD_E_ARG, "Requires at least one index pattern");
    for (const qd_json_node *m = patterns->first; m; m = m->next) {
        qd_str p = qd_json_text(m);
        if (!p.n || p.p[0] == '_' || qd_str_find(p, ',') >= 0 || qd_str_find(p, ' ') >= 0 ||
            qd_str_find(p, '#') >= 0 || qd_str_find(p, ':') >= 0)
            return qd_err_set(err, QD_E_ARG,
                              "Validation Failed: 1: index_pattern [%.*s] is no "
                              "pattern of an index;",
                              QD_STR_ARG(p));
    }
    qd_json_object(w);
    qd_json_key_c(w, "index_patterns");
    qd_json_raw_value(w, patterns->raw);
    qd_json_field_int(w, "priority", priority);
    qd_json_field_int(w, "last_updated_time", now_ms);
    qd_json_object_end(w);
    return 0;
}

static int write_templates(const qd_json_node *n, int64_t now_ms, qd_json_writer *w, qd_err *err)
{
    int rc = 0;
    if (!n || n->type == QD_JSON_T_NULL) return 0;
    if (n->type != QD_JSON_T_ARRAY && n->type != QD_JSON_T_OBJECT)
        return not_of_type(n, "START_ARRAY", err);
    qd_json_key_c(w, "ism_template");
    qd_json_array(w);
    if (n->type == QD_JSON_T_OBJECT) rc = write_template(n, now_ms, w, err);
    for (const qd_json_node *m = n->type == QD_JSON_T_ARRAY ? n->first : NULL; m && !rc;
         m = m->next)
        rc = write_template(m, now_ms, w, err);
    if (!rc) qd_json_array_end(w);
    return rc;
}

static int check_states(const qd_json_node *policy, const qd_json_node *states, qd_err *err)
{
    if (!states || states->type != QD_JSON_T_ARRAY || !states->n)
        return qd_err_set(err, QD_E_ARG, "Policy must contain at least one State");
    if (states->n > STATES_MAX)
        return qd_err_set(err, QD_E_ARG, "a policy has at most %u states, not %u", STATES_MAX,
                          states->n);
    for (const qd_json_node *n = states->first; n; n = n->next)
        if (qdi_ism_state(policy, qdi_ism_text(n, "name")) != n)
            return qd_err_set(err, QD_E_ARG, "Policy cannot have duplicate state names");
    if (qdi_ism_state(policy, qdi_ism_text(policy, "default_state"))) return 0;
    return qd_err_set(err, QD_E_ARG, "Policy must have a valid default state");
}

int qdi_ism_policy_write(const qd_json_node *policy, qd_str id, int64_t now_ms, qd_json_writer *w,
                         qd_err *err)
{
    static const char *const known[] = {"policy_id",      "description",        "last_updated_time",
                                        "schema_version", "default_state",      "states",
                                        "ism_template",   "error_notification", "user"};
    if (policy->type != QD_JSON_T_OBJECT) return not_of_type(policy, "START_OBJECT", err);
    for (const qd_json_node *m = policy->first; m; m = m->next) {
        size_t k = 0;
        while (k < QD_COUNT_OF(known) && !qd_str_is(m->key, known[k])) k++;
        if (k == QD_COUNT_OF(known)) return qdi_ism_unknown(m, "Policy", err);
        if (k >= 7 && m->type != QD_JSON_T_NULL)
            return qd_err_set(err, QD_E_ARG, "[%s] of a policy is not supported by this version",
                              known[k]);
    }
    const qd_json_node *states = qd_json_get(policy, "states");
    if (!qdi_ism_text(policy, "description").p)
        return qd_err_set(err, QD_E_ARG, "description is null");
    if (!qdi_ism_text(policy, "default_state").p)
        return qd_err_set(err, QD_E_ARG, "default_state is null");
    int rc = check_states(policy, states, err);
    if (rc) return rc;
    qd_json_object(w);
    qd_json_field_str(w, "policy_id", id);
    qd_json_field_str(w, "description", qdi_ism_text(policy, "description"));
    qd_json_field_int(w, "last_updated_time", now_ms);
    qd_json_field_int(w, "schema_version", ISM_SCHEMA_VERSION);
    qd_json_key_c(w, "error_notification");
    qd_json_null(w);
    qd_json_field_str(w, "default_state", qdi_ism_text(policy, "default_state"));
    qd_json_key_c(w, "states");
    qd_json_array(w);
    for (const qd_json_node *n = states->first; n && !rc; n = n->next)
        rc = write_state(n, policy, w, err);
    if (!rc) qd_json_array_end(w);
    if (!rc) rc = write_templates(qd_json_get(policy, "ism_template"), now_ms, w, err);
    if (!rc) qd_json_object_end(w);
    return rc;
}
