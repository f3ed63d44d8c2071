/*
 * ism_run.c: carries policies of index state management out, on the thread and the node that does
 * so for _ilm. What is due at an index is done at once, step by step; then its record is written,
 * if it has changed. Whoever is elected next begins the last step again: actions bear that.
 */
#include "action/api/admin_int.h"
#include "action/lifecycle/ism_int.h"
#include "base/log.h"
#include "base/str.h"
#include "config/value.h"
#include "json/writer.h"
#include <stdarg.h>
#include <string.h>

#define STEPS_MAX 64u /* of an index at a time */
#define TRANSITION QD_STR("transition")

typedef struct looking {
    struct qd_lifecycle *l;
    qd_arena *arena;
    ism_record *r;
    int64_t now;
} looking;

int qdi_ism_set(qd_actions *a, const char *uuid, const char *key, qd_str text, qd_err *err)
{
    qd_settings *update = NULL;
    int rc = qd_settings_new(NULL, &update, err);
    if (!rc)
        rc = text.p ? qd_settings_put(update, qd_str_c(key), text, err)
                    : qd_settings_put_null(update, qd_str_c(key), err);
    if (!rc) rc = qd_settings_seal(update, err);
    if (!rc) rc = qd_cluster_put_settings(a->cluster, qd_str_c(uuid), update, false, NULL, err);
    qd_settings_unref(update);
    return rc;
}

/* {"message": …, "cause": …} */
static qd_str info_of(qd_arena *arena, qd_str message, qd_str cause)
{
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, ISM_BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_field_str(&w, "message", message);
    if (cause.n) qd_json_field_str(&w, "cause", cause);
    qd_json_object_end(&w);
    qd_str out = qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    return out;
}

static void tell(looking *k, qd_str message, qd_str cause)
{
    qd_str info = info_of(k->arena, message, cause);
    if (qd_str_eq(info, k->r->info)) return;
    k->r->info = info;
    k->r->changed = true;
}

/* Ends the policy for the index until somebody tries again. */
static void give_up(looking *k, qd_str message)
{
    k->r->policy_failed = true;
    k->r->changed = true;
    tell(k, message, (qd_str){NULL, 0});
}

/* --- states and actions --- */

static void enter_state(looking *k, qd_str name)
{
    ism_record *r = k->r;
    r->state = name;
    r->state_ms = k->now;
    r->transition_to = r->action = r->step = r->properties = (qd_str){NULL, 0};
    r->changed = true;
}

static void start_action(looking *k, qd_str name, int32_t index, qd_str step)
{
    ism_record *r = k->r;
    r->action = name;
    r->action_index = index;
    r->action_ms = r->step_ms = k->now;
    r->step = step;
    r->step_status = QD_STR("starting");
    r->retries = r->last_retry_ms = 0;
    r->action_failed = false;
    r->properties = (qd_str){NULL, 0};
    r->changed = true;
}

/* An entry of the state's "actions" by its place, NULL. */
static const qd_json_node *entry_at(const qd_json_node *state, int32_t index)
{
    const qd_json_node *list = qd_json_get(state, "actions");
    const qd_json_node *n = list ? list->first : NULL;
    while (n && index-- > 0) n = n->next;
    return n;
}

/* The member of an entry that is the action. */
static const qd_json_node *action_of(const qd_json_node *entry)
{
    for (const qd_json_node *m = entry ? entry->first : NULL; m; m = m->next)
        if (qdi_ism_action(m->key)) return m;
    return NULL;
}

static void go_to(looking *k, const qd_json_node *state, int32_t index)
{
    const qd_json_node *what = action_of(entry_at(state, index));
    const ism_action *a = what ? qdi_ism_action(what->key) : NULL;
    if (a)
        start_action(k, what->key, index, qd_str_c(a->first_step));
    else
        start_action(k, TRANSITION, -1, QD_STR("attempt_transition_step"));
}

/* --- taking a policy up --- */

static void take_up(looking *k, const ism_policy *p, qd_str state)
{
    ism_record *r = k->r;
    r->policy_id = p->id;
    r->policy_seq_no = p->seq_no;
    r->policy = p->at;
    r->policy_failed = r->action_failed = r->completed = false;
    r->retries = 0;
    r->change = (qd_str){NULL, 0};
    enter_state(k, state);
}

static bool begin(looking *k, const qd_state *s, qd_str id)
{
    ism_policy p;
    int rc = qdi_ism_policy_get(s, k->arena, id, &p, NULL);
    if (rc) {
        k->r->policy_id = id;
        k->r->state = k->r->transition_to = k->r->action = (qd_str){NULL, 0};
        if (!k->r->policy_failed || k->r->seq_no < 0 || k->r->policy)
            give_up(k, qd_arena_printf(k->arena, "Fail to load policy: %.*s", QD_STR_ARG(id)));
        k->r->policy = NULL;
        return false;
    }
    take_up(k, &p, qdi_ism_text(p.at, "default_state"));
    tell(k, qd_arena_printf(k->arena, "Successfully initialized policy: %.*s", QD_STR_ARG(id)),
         (qd_str){NULL, 0});
    return true;
}

/* Has the state the same actions in both policies? Then it is safe to go over at once. */
static bool same_state(const ism_record *r, const qd_json_node *other)
{
    const qd_json_node *a = qdi_ism_state(r->policy, r->state), *b = qdi_ism_state(other, r->state);
    const qd_json_node *x = a ? qd_json_get(a, "actions") : NULL,
                       *y = b ? qd_json_get(b, "actions") : NULL;
    return x && y && qd_str_eq(x->raw, y->raw);
}

/* Goes over to another policy where one is asked for and the time has come. false: not now. */
static bool change(looking *k, const qd_state *s)
{
    ism_policy p;
    qd_json_node *asked;
    ism_record *r = k->r;
    if (!r->change.n || qd_json_parse(k->arena, r->change, 0, &asked, NULL)) return false;
    qd_str id = qdi_ism_text(asked, "policy_id"), state = qdi_ism_text(asked, "state");
    if (qdi_ism_policy_get(s, k->arena, id, &p, NULL)) {
        r->change = (qd_str){NULL, 0};
        give_up(k, qd_arena_printf(k->arena, "Fail to load policy: %.*s", QD_STR_ARG(id)));
        return false;
    }
    bool stays = !state.n || qd_str_eq(state, r->state);
    bool waits = r->policy && r->action.n && !qd_str_eq(r->action, TRANSITION);
    if (waits && !(stays && same_state(r, p.at))) return false;
    /* the setting first: what the record says is done again, what the setting says is not */
    if (qdi_ism_set(k->l->a, r->uuid, "index.plugins.index_state_management.policy_id", id, NULL))
        return false;
    if (waits || (stays && r->policy && qdi_ism_state(p.at, r->state))) {
        r->policy_id = p.id;
        r->policy_seq_no = p.seq_no;
        r->policy = p.at;
        r->completed = r->policy_failed = false;
        r->change = (qd_str){NULL, 0};
        r->changed = true;
        if (!waits) go_to(k, qdi_ism_state(p.at, r->state), INT32_MAX);
        return true;
    }
    take_up(k, &p, state.n ? state : qdi_ism_text(p.at, "default_state"));
    return true;
}

/* --- one step --- */

static int64_t backoff_ms(const qd_json_node *retry, int64_t retries)
{
    int64_t ns;
    qd_str kind = qdi_ism_text(retry, "backoff");
    if (qd_value_time(qdi_ism_text(retry, "delay"), "delay", &ns, NULL) || ns < 0) return 0;
    int64_t ms = ns / 1000000;
    if (qd_str_is(kind, "constant")) return ms;
    if (qd_str_is(kind, "linear")) return ms * retries;
    return retries > 30 ? INT64_MAX / 2 : ms * (INT64_C(1) << (retries - 1));
}

static bool timed_out(const looking *k, const qd_json_node *entry)
{
    int64_t ns;
    qd_str timeout = qdi_ism_text(entry, "timeout");
    return timeout.n && !qd_value_time(timeout, "timeout", &ns, NULL) && ns >= 0 &&
           k->now - k->r->action_ms > ns / 1000000;
}

static void fail(looking *k, const qd_json_node *entry, const ism_run *run, const qd_err *why)
{
    ism_record *r = k->r;
    const qd_json_node *retry = entry ? qd_json_get(entry, "retry") : NULL;
    qd_str reason = qd_str_c(qd_err_reason(why));
    qd_str message = run->message.n ? run->message : reason;
    if (run->step.n && !qd_str_eq(run->step, r->step)) r->step = run->step;
    r->step_status = QD_STR("failed");
    r->changed = true;
    if (r->retries >= qdi_ism_number(retry, "count", 3)) {
        r->action_failed = true;
    } else {
        r->retries++;
        r->last_retry_ms = k->now;
    }
    tell(k, message,
         qd_str_eq(message, reason) ? (qd_str){NULL, 0} : qd_arena_str(k->arena, reason));
}

static void note_wait(looking *k, const ism_run *run)
{
    ism_record *r = k->r;
    if (!qd_str_eq(r->step, run->step)) {
        r->step = run->step;
        r->step_ms = k->now;
        r->changed = true;
    }
    if (!qd_str_is(r->step_status, "condition_not_met")) {
        r->step_status = QD_STR("condition_not_met");
        r->changed = true;
    }
    if (run->properties.n && !qd_str_eq(r->properties, run->properties)) {
        r->properties = run->properties;
        r->changed = true;
    }
    tell(k, run->message, (qd_str){NULL, 0});
}

/* The state that the index is in, entered if it goes over to one. NULL: the policy has none such.
 */
static const qd_json_node *state_now(looking *k)
{
    ism_record *r = k->r;
    qd_str name = r->transition_to.n ? r->transition_to : r->state;
    const qd_json_node *state = qdi_ism_state(r->policy, name);
    if (!state) {
        give_up(k, qd_arena_printf(k->arena,
                                   "Failed to execute state=%.*s as it is not a state of "
                                   "policy=%.*s",
                                   QD_STR_ARG(name), QD_STR_ARG(r->policy_id)));
    } else if (r->transition_to.n) {
        enter_state(k, name);
    }
    return state;
}

static void done(looking *k, const ism_run *run, const qd_json_node *state)
{
    ism_record *r = k->r;
    if (!qd_str_eq(r->action, TRANSITION)) {
        tell(k, run->message, (qd_str){NULL, 0});
        go_to(k, state, r->action_index + 1);
    } else if (run->completed) {
        r->completed = true;
        r->step_status = QD_STR("completed");
        r->changed = true;
    } else {
        r->transition_to = run->transition_to;
        r->changed = true;
        tell(k, run->message, (qd_str){NULL, 0});
    }
}

/* false: there is nothing more to do now. */
static bool step(looking *k, const qd_state *s, const qd_index_meta *m, lc_outcome *outcome)
{
    qd_err err;
    ism_record *r = k->r;
    if (change(k, s)) return true;
    if (r->completed || qdi_ism_failed(r)) return false;
    const qd_json_node *state = state_now(k);
    if (!state) return false;
    if (!r->action.n) go_to(k, state, 0);
    const qd_json_node *entry = r->action_index >= 0 ? entry_at(state, r->action_index) : NULL;
    const qd_json_node *what = action_of(entry);
    const ism_action *a = what ? qdi_ism_action(what->key) : NULL;
    if (r->action_index >= 0 && !a) {
        go_to(k, state, INT32_MAX);
        return true;
    }
    if (timed_out(k, entry)) {
        r->action_failed = r->changed = true;
        tell(k, QD_STR("Action timed out"), (qd_str){NULL, 0});
        return false;
    }
    if (r->retries > 0 &&
        k->now <
            r->last_retry_ms + backoff_ms(entry ? qd_json_get(entry, "retry") : NULL, r->retries))
        return false;
    ism_run run = {
        .x =
            {.l = k->l, .arena = k->arena, .state = s, .m = m, .options = what, .outcome = LC_DONE},
        .record = r,
        .state = state,
        .step = qd_str_c(a ? a->first_step : "attempt_transition_step")};
    qd_err_init(&err);
    int rc = a ? a->run(&run, &err) : qdi_ism_transition(&run, &err);
    if (rc) fail(k, entry, &run, &err);
    qd_err_fini(&err);
    *outcome = rc ? LC_WAITS : run.x.outcome;
    if (rc) return false;
    if (run.x.outcome == LC_WAITS) note_wait(k, &run);
    if (run.x.outcome == LC_DONE) done(k, &run, state);
    return run.x.outcome == LC_DONE;
}

static void care_for(struct qd_lifecycle *l, const qd_index_meta *was, ism_record *r,
                     qd_arena *arena)
{
    qd_err err;
    bool gone = false;
    looking k = {.l = l, .arena = arena, .r = r};
    qd_str began = r->state; /* states that lead to each other without conditions go round once */
    for (uint32_t i = 0; i < STEPS_MAX; i++) {
        lc_outcome outcome = LC_WAITS;
        qd_state *s = qd_cluster_state(l->a->cluster);
        const qd_index_meta *m = qd_state_index_uuid(s, qd_str_c(r->uuid));
        qd_str id = m ? qdi_ism_policy_of(m) : (qd_str){NULL, 0};
        k.now = qd_env_wall_ms(l->a->env);
        bool more = id.n > 0;
        if (more && (!r->policy || (!r->change.n && !qd_str_eq(r->policy_id, id)))) {
            bool failed = r->policy_failed && qd_str_eq(r->policy_id, id);
            more = !failed && begin(&k, s, qd_arena_str(arena, id));
        }
        if (more) more = step(&k, s, m, &outcome);
        qd_state_unref(s);
        gone = !m || outcome == LC_GONE;
        if (!began.n) began = r->state;
        if (!more || (r->transition_to.n && qd_str_eq(r->transition_to, began))) break;
    }
    if (gone) qdi_ism_record_delete(l->a, arena, r->uuid);
    if (gone || !r->changed) return;
    qd_err_init(&err);
    int rc = qdi_ism_record_put(l->a, arena, r, was, &err);
    /* another one has written it, or it is written the next time */
    if (rc && rc != QD_E_VERSION_CONFLICT)
        qd_log_warn("action", "the policy of [%.*s]: %s", QD_STR_ARG(was->name),
                    qd_err_reason(&err));
    qd_err_fini(&err);
}

/* --- all indices --- */

/* Gives new indices the policies whose templates name them. */
static void attach(struct qd_lifecycle *l, const qd_state *s, qd_arena *arena)
{
    qd_err err;
    ism_templates all;
    qd_err_init(&err);
    int rc = qdi_ism_templates_read(s, arena, &all, &err);
    for (uint32_t i = 0; !rc && all.n && i < s->n && qdi_lc_goes_on(l); i++) {
        const qd_index_meta *m = s->indices[i];
        bool own = m->name.n && m->name.p[0] == '.' && !m->place.stream.n;
        if (own || m->closed || qdi_ism_policy_of(m).n ||
            !qd_values_bool(m->values, QD_IX_ISM_AUTO))
            continue;
        qd_str id = qdi_ism_template_for(&all, m);
        if (!id.n) continue;
        rc = qdi_ism_set(l->a, m->uuid, "index.plugins.index_state_management.policy_id", id, &err);
        if (rc == QD_E_INDEX_NOT_FOUND) rc = 0;
    }
    if (rc) qd_log_warn("action", "templates of policies: %s", qd_err_reason(&err));
    qd_err_fini(&err);
}

void qdi_ism_look(struct qd_lifecycle *l, const qd_state *known)
{
    qd_arena arena;
    qd_err err;
    uint32_t n = 0;
    if (known->features < QD_FEATURES_SEARCH_0_3) return;
    qd_arena_init(&arena, l->a->account, 0);
    qd_err_init(&err);
    attach(l, known, &arena);
    qd_state *s = qd_cluster_state(l->a->cluster);
    for (uint32_t i = 0; i < s->n; i++) n += qdi_ism_policy_of(s->indices[i]).n > 0;
    ism_record *at = n ? qd_arena_calloc(&arena, n * sizeof *at) : NULL;
    n = 0;
    for (uint32_t i = 0; at && i < s->n; i++)
        if (qdi_ism_policy_of(s->indices[i]).n) at[n++].uuid = s->indices[i]->uuid;
    int rc = at ? qdi_ism_records_get(l->a, &arena, at, n, &err) : 0;
    if (rc)
        qd_log_warn("action", "policies of index state management wait: %s", qd_err_reason(&err));
    for (uint32_t i = 0; !rc && at && i < n && qdi_lc_goes_on(l); i++) {
        qd_arena own;
        const qd_index_meta *m = qd_state_index_uuid(s, qd_str_c(at[i].uuid));
        bool rests = at[i].policy && !at[i].change.n &&
                     (at[i].completed || qdi_ism_failed(&at[i])) &&
                     qd_str_eq(at[i].policy_id, qdi_ism_policy_of(m));
        if (rests) continue;
        qd_arena_init(&own, l->a->account, 0);
        care_for(l, m, &at[i], &own);
        qd_arena_fini(&own);
    }
    qd_state_unref(s);
    qd_err_fini(&err);
    qd_arena_fini(&arena);
}
