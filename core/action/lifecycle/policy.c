/* policy.c: what a lifecycle policy says. See lifecycle_int.h. */
#include "action/lifecycle/lifecycle_int.h"
#include "base/str.h"
#include "config/value.h"

const char *const qdi_lc_phases[LC_PHASES] = {"new", "hot", "warm", "cold", "delete"};

/* The order of the actions of a phase. */
static const char *const order[LC_PHASES][8] = {
    [LC_HOT] = {"set_priority", "unfollow", "rollover", "readonly", "shrink", "forcemerge", NULL},
    [LC_WARM] = {"set_priority", "unfollow", "readonly", "allocate", "migrate", "shrink",
                 "forcemerge", NULL},
    [LC_COLD] = {"set_priority", "unfollow", "readonly", "allocate", "migrate", NULL},
    [LC_DELETE] = {"delete", NULL},
};

lc_phase qdi_lc_phase_of(qd_str name)
{
    lc_phase p = LC_NEW;
    while (p < LC_PHASES && !qd_str_is(name, qdi_lc_phases[p])) p++;
    return p;
}

static int64_t number(const qd_json_node *root, const char *key)
{
    int64_t v = 0;
    const qd_json_node *n = qd_json_get(root, key);
    return n && qd_str_i64(qd_json_text(n), &v) ? v : 0;
}

int qdi_lc_policy_get(const qd_state *s, qd_arena *a, qd_str name, lc_policy *out, qd_err *err)
{
    qd_json_node *root;
    qd_str key = qd_arena_printf(a, LC_POLICY_KEY "%.*s", QD_STR_ARG(name));
    const qd_state_document_record *d = qd_state_document(s, key);
    *out = (lc_policy){.name = name};
    if (!d) {
        int rc =
            qd_err_set(err, QD_E_NOTFOUND, "Lifecycle policy not found: %.*s", QD_STR_ARG(name));
        qd_err_type(err, "resource_not_found_exception", 404);
        return rc;
    }
    qd_str copy = qd_arena_str(a, d->value);
    int rc = copy.p ? qd_json_parse(a, copy, 0, &root, err) : qd_err_nomem(err, "policy");
    if (rc) return rc;
    out->version = number(root, "version");
    out->modified_ms = number(root, "modified_ms");
    out->policy = qd_json_get(root, "policy");
    return out->policy
               ? 0
               : qd_err_set(err, QD_E_CORRUPT, "policy [%.*s] says nothing", QD_STR_ARG(name));
}

const qd_json_node *qdi_lc_phase_node(const lc_policy *p, lc_phase phase)
{
    const qd_json_node *phases = qd_json_get(p->policy, "phases");
    return phases ? qd_json_get(phases, qdi_lc_phases[phase]) : NULL;
}

static int min_age(const qd_json_node *phase, int64_t *out, qd_err *err)
{
    int64_t ns = 0;
    const qd_json_node *n = qd_json_get(phase, "min_age");
    *out = 0;
    int rc = n ? qd_value_time(qd_json_text(n), "min_age", &ns, err) : 0;
    if (!rc) *out = ns / 1000000;
    return rc;
}

int64_t qdi_lc_min_age(const qd_json_node *phase)
{
    int64_t ms;
    return min_age(phase, &ms, NULL) ? INT64_MAX : ms;
}

qd_str qdi_lc_next_action(const qd_json_node *phase, lc_phase which, qd_str after)
{
    const qd_json_node *actions = qd_json_get(phase, "actions");
    bool behind = !after.n;
    for (const char *const *name = order[which]; actions && *name; name++) {
        if (behind && qd_json_get(actions, *name)) return qd_str_c(*name);
        behind |= qd_str_is(after, *name);
    }
    return (qd_str){NULL, 0};
}

bool qdi_lc_is_running(const qd_state *s)
{
    const qd_state_document_record *d = qd_state_document(s, QD_STR(LC_MODE_KEY));
    return !d || qd_str_find(d->value, 'S') < 0; /* {"mode":"STOPPED"} */
}

static int check_action(const qd_json_node *n, lc_phase phase, qd_err *err)
{
    const lc_action *a = qdi_lc_action(n->key);
    if (!a) {
        return qd_err_set(err, QD_E_ARG,
                          "action [%.*s] in phase [%s] is not supported by this version",
                          QD_STR_ARG(n->key), qdi_lc_phases[phase]);
    }
    if (!(a->phases & 1u << phase)) {
        return qd_err_set(
            err, QD_E_ARG,
            "invalid action [%.*s] defined in phase [%s]: it is not one of this phase",
            QD_STR_ARG(n->key), qdi_lc_phases[phase]);
    }
    if (n->type != QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_ARG, "action [%.*s] must be an object", QD_STR_ARG(n->key));
    }
    return a->check(n, err);
}

static int check_phase(const qd_json_node *n, qd_err *err)
{
    lc_phase phase = qdi_lc_phase_of(n->key);
    int64_t age;
    int rc = 0;
    if (phase == LC_NEW || phase == LC_PHASES) {
        return qd_err_set(err, QD_E_ARG, "phase [%.*s] is not supported by this version",
                          QD_STR_ARG(n->key));
    }
    if (n->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_ARG, "phase [%s] must be an object", qdi_lc_phases[phase]);
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "min_age")) {
            rc = min_age(n, &age, err);
        } else if (qd_str_is(m->key, "actions") && m->type == QD_JSON_T_OBJECT) {
            for (const qd_json_node *x = m->first; x && !rc; x = x->next)
                rc = check_action(x, phase, err);
        } else {
            rc = qd_err_set(err, QD_E_XCONTENT, "[%s] unknown field [%.*s]", qdi_lc_phases[phase],
                            QD_STR_ARG(m->key));
        }
    }
    return rc;
}

/* What an index that is still written to may not have done to it. */
static int check_hot(const qd_json_node *phases, qd_err *err)
{
    const qd_json_node *hot = qd_json_get(phases, "hot");
    const qd_json_node *actions = hot ? qd_json_get(hot, "actions") : NULL;
    if (!actions || qd_json_get(actions, "rollover")) return 0;
    static const char *const need[] = {"readonly", "shrink", "forcemerge"};
    for (size_t i = 0; i < QD_COUNT_OF(need); i++) {
        if (!qd_json_get(actions, need[i])) continue;
        return qd_err_set(err, QD_E_ARG,
                          "the [%s] action(s) may not be used in the [hot] phase without an "
                          "accompanying [rollover] action",
                          need[i]);
    }
    return 0;
}

int qdi_lc_policy_check(const qd_json_node *policy, qd_err *err)
{
    const qd_json_node *phases = NULL;
    int rc = 0;
    if (policy->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_XCONTENT, "[policy] must be an object");
    for (const qd_json_node *m = policy->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "phases") && m->type == QD_JSON_T_OBJECT)
            phases = m;
        else if (!qd_str_is(m->key, "_meta"))
            rc =
                qd_err_set(err, QD_E_XCONTENT, "[policy] unknown field [%.*s]", QD_STR_ARG(m->key));
    }
    if (!rc && !phases) rc = qd_err_set(err, QD_E_ARG, "[policy] [phases] is required");
    for (const qd_json_node *n = rc ? NULL : phases->first; n && !rc; n = n->next)
        rc = check_phase(n, err);
    return rc ? rc : check_hot(phases, err);
}
