/* ism_transition.c: the way from a state to the next one. See ism_int.h. */
#include "action/lifecycle/ism_int.h"
#include "action/streams/rollover_int.h"
#include "base/str.h"
#include "config/value.h"

/* Documents or bytes of the primaries. */
static int measured(ism_run *x, rollover_measure what, int64_t least, bool *met, qd_err *err)
{
    rollover_conditions c = {.n = 1, .at = {{.of = what, .value = least}}};
    qd_request q = {.a = x->x.l->a, .arena = x->x.arena};
    qd_task_begin(q.a->tasks, &q.task, "ism", (qd_str){NULL, 0}, false);
    int rc = qdi_rollover_measure(&q, x->x.state, x->x.m, &c, met, err);
    qd_task_end(&q.task);
    return rc;
}

static int is_met(ism_run *x, const qd_json_node *c, bool *met, qd_err *err)
{
    int64_t v, now = qd_env_wall_ms(x->x.l->a->env);
    int rc;
    if (qd_str_is(c->key, "cron")) {
        const qd_json_node *cron = qd_json_get(c, "cron");
        rc = qdi_ism_cron_next(x->x.arena, qdi_ism_text(cron, "expression"),
                               qdi_ism_text(cron, "timezone"), x->record->step_ms, &v, err);
        *met = !rc && v <= now;
        return rc;
    }
    if (qd_str_is(c->key, "min_doc_count")) {
        return qd_str_i64(qd_json_text(c), &v) ? measured(x, ROLLOVER_DOCS, v, met, err) : QD_E_ARG;
    }
    if (qd_str_is(c->key, "min_size")) {
        rc = qd_value_bytes(qd_json_text(c), "min_size", &v, err);
        return rc ? rc : measured(x, ROLLOVER_SIZE, v, met, err);
    }
    rc = qd_value_time(qd_json_text(c), "min_index_age", &v, err);
    if (rc) return rc;
    if (qd_str_is(c->key, "min_index_age")) {
        *met = now - x->x.m->created_ms >= v / 1000000;
        return 0;
    }
    if (!x->x.m->place.rolled_ms) {
        return qd_err_set(err, QD_E_STATE,
                          "Failed to transition index as min_rollover_age condition was used, but "
                          "the index has never been rolled over [index=%.*s]",
                          QD_STR_ARG(x->x.m->name));
    }
    *met = now - x->x.m->place.rolled_ms >= v / 1000000;
    return 0;
}

int qdi_ism_transition(ism_run *x, qd_err *err)
{
    const qd_json_node *list = qd_json_get(x->state, "transitions");
    x->completed = !list || !list->n;
    x->x.outcome = LC_DONE;
    if (x->completed) return 0;
    for (const qd_json_node *t = list->first; t; t = t->next) {
        const qd_json_node *c = qd_json_get(t, "conditions");
        bool met = !c || !c->first;
        int rc = met ? 0 : is_met(x, c->first, &met, err);
        if (rc) return rc;
        if (!met) continue;
        x->transition_to = qdi_ism_text(t, "state_name");
        x->message = qd_arena_printf(x->x.arena, "Transitioning to %.*s [index=%.*s]",
                                     QD_STR_ARG(x->transition_to), QD_STR_ARG(x->x.m->name));
        return 0;
    }
    x->x.outcome = LC_WAITS;
    x->message = qd_arena_printf(x->x.arena, "Evaluating transition conditions [index=%.*s]",
                                 QD_STR_ARG(x->x.m->name));
    return 0;
}
