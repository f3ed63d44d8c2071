/*
 * engine.c: the thread that carries policies out, on the elected node. It looks at the indices that
 * have one every indices.lifecycle.poll_interval, and does at each what can be done now. What it
 * has begun and not noted is begun again by who is elected next: the actions bear that.
 */
#include "action/api/admin_int.h"
#include "action/lifecycle/ism_int.h"
#include "base/log.h"
#include "base/str.h"
#include "mapping/date_format.h"
#include <stdio.h>
#include <string.h>

#define TICK_NS UINT64_C(1000000000)
#define STEPS_MAX 16u /* of an index at a time */
#define SOON_NS UINT64_C(5000000000)

/* The date "-yyyy.MM.dd" in an index's name, which another "-…" may follow. */
static bool date_in_name(qd_str name, int64_t *out)
{
    for (size_t i = name.n; i-- > 0;) {
        qd_str d = qd_str_sub(name, i + 1, 10), rest = qd_str_sub(name, i + 11, name.n);
        if (name.p[i] != '-' || d.n != 10 || d.p[4] != '.' || d.p[7] != '.') continue;
        if (rest.n && rest.p[0] != '-') continue;
        char iso[] = "yyyy-MM-dd";
        memcpy(iso, d.p, 10);
        iso[4] = iso[7] = '-';
        if (qd_date_try(qd_date_format_default(), qd_str_c(iso), NULL, false, out)) return true;
    }
    return false;
}

int64_t qdi_lc_date(const qd_index_meta *m)
{
    int64_t in_name;
    if (qd_values_is_set(m->values, QD_IX_LIFECYCLE_ORIGINATION))
        return qd_values_i64(m->values, QD_IX_LIFECYCLE_ORIGINATION);
    if (qd_values_bool(m->values, QD_IX_LIFECYCLE_PARSE) && date_in_name(m->name, &in_name))
        return in_name;
    return m->place.rolled_ms ? m->place.rolled_ms : m->created_ms;
}

static void fail(lc_run *x, lc_record *r, const qd_err *why, int64_t now)
{
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, 65536);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_field_c(&w, "type", qd_err_es_type(why));
    qd_json_field_c(&w, "reason", qd_err_reason(why));
    qd_json_object_end(&w);
    qd_str info = qd_arena_str(x->arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    if (strcmp(r->step, "ERROR") == 0 && qd_str_eq(info, r->info)) return; /* as it was */
    if (strcmp(r->step, "ERROR") != 0) {
        memcpy(r->failed, r->step, sizeof r->failed);
        r->step_ms = now;
    }
    snprintf(r->step, LC_NAME_MAX, "ERROR");
    r->info = info;
    r->changed = true;
}

/* Enters the next phase that is due; false: none is. */
static bool enter_phase(const lc_policy *p, const qd_index_meta *m, lc_record *r, int64_t now)
{
    for (lc_phase k = r->phase + 1; k < LC_PHASES; k++) {
        const qd_json_node *phase = qdi_lc_phase_node(p, k);
        if (!phase) continue;
        if (now - qdi_lc_date(m) < qdi_lc_min_age(phase)) return false;
        qd_str action = qdi_lc_next_action(phase, k, (qd_str){NULL, 0});
        const lc_action *a = action.n ? qdi_lc_action(action) : NULL;
        qdi_lc_record_move(r, k, a ? action : QD_STR("complete"), a ? a->first_step : "complete",
                           now);
        return true;
    }
    return false;
}

static void next_action(const lc_policy *p, lc_record *r, int64_t now)
{
    const qd_json_node *phase = qdi_lc_phase_node(p, r->phase);
    qd_str action =
        phase ? qdi_lc_next_action(phase, r->phase, qd_str_c(r->action)) : (qd_str){NULL, 0};
    const lc_action *a = action.n ? qdi_lc_action(action) : NULL;
    qdi_lc_record_move(r, r->phase, a ? action : QD_STR("complete"), a ? a->first_step : "complete",
                       now);
}

/* One step; false: there is nothing more to do now. */
static bool step(lc_run *x, const lc_policy *p, lc_record *r, int64_t now)
{
    qd_err err;
    if (strcmp(r->action, "complete") == 0) return enter_phase(p, x->m, r, now);
    const qd_json_node *phase = qdi_lc_phase_node(p, r->phase);
    const qd_json_node *list = phase ? qd_json_get(phase, "actions") : NULL;
    const lc_action *a = qdi_lc_action(qd_str_c(r->action));
    x->options = list && a ? qd_json_get(list, r->action) : NULL;
    if (!x->options) { /* the policy has lost it */
        next_action(p, r, now);
        return true;
    }
    x->step = a->first_step;
    x->info = (qd_str){NULL, 0};
    qd_err_init(&err);
    int rc = a->run(x, &err);
    if (rc) {
        fail(x, r, &err, now);
        qd_err_fini(&err);
        return false;
    }
    qd_err_fini(&err);
    if (x->outcome == LC_DONE) next_action(p, r, now);
    if (x->outcome == LC_WAITS && (strcmp(r->step, x->step) != 0 || !qd_str_eq(r->info, x->info))) {
        qdi_lc_record_move(r, r->phase, qd_str_c(r->action), x->step, now);
        r->info = x->info;
    }
    return x->outcome == LC_DONE;
}

static void care_for(struct qd_lifecycle *l, const qd_state *s, const qd_index_meta *m,
                     lc_record *r, qd_arena *arena)
{
    lc_policy p;
    qd_err err;
    qd_err_init(&err);
    int rc = qdi_lc_policy_get(s, arena, qdi_lc_policy_of(m), &p, &err);
    qd_state *now = qd_state_ref(s);
    for (uint32_t i = 0; !rc && i < STEPS_MAX; i++) {
        lc_run x = {.l = l, .arena = arena, .state = now, .record = r, .outcome = LC_WAITS};
        x.m = qd_state_index_uuid(now, qd_str_c(r->uuid));
        bool more = x.m && step(&x, &p, r, qd_env_wall_ms(l->a->env));
        if (x.m && x.outcome == LC_GONE) {
            qdi_lc_record_delete(l->a, arena, r->uuid);
            r->changed = false;
        }
        qd_state_unref(now);
        now = qd_cluster_state(l->a->cluster);
        if (!more) break;
    }
    qd_state_unref(now);
    if (!rc && r->changed) rc = qdi_lc_record_put(l->a, arena, r, m, &err);
    /* another one has written it, or it is written the next time */
    if (rc && rc != QD_E_NOTFOUND && rc != QD_E_VERSION_CONFLICT)
        qd_log_warn("action", "the lifecycle of [%.*s]: %s", QD_STR_ARG(m->name),
                    qd_err_reason(&err));
    qd_err_fini(&err);
}

bool qdi_lc_goes_on(struct qd_lifecycle *l)
{
    qd_mutex_lock(&l->lock);
    bool on = !l->stop;
    qd_mutex_unlock(&l->lock);
    return on && atomic_load(&l->a->serving) && !atomic_load(&l->a->stopping) &&
           qdi_is_master(l->a, l->a->node_id);
}

static void look(struct qd_lifecycle *l, const qd_state *s)
{
    qd_arena arena;
    qd_err err;
    uint32_t n = 0;
    qd_arena_init(&arena, l->a->account, 0);
    qd_err_init(&err);
    for (uint32_t i = 0; i < s->n; i++) n += qdi_lc_policy_of(s->indices[i]).n > 0;
    lc_record *at = n ? qd_arena_calloc(&arena, n * sizeof *at) : NULL;
    n = 0;
    for (uint32_t i = 0; at && i < s->n; i++)
        if (qdi_lc_policy_of(s->indices[i]).n) at[n++].uuid = s->indices[i]->uuid;
    int rc = at ? qdi_lc_records_get(l->a, &arena, at, n, &err) : 0;
    if (rc) qd_log_warn("action", "lifecycle policies wait: %s", qd_err_reason(&err));
    for (uint32_t i = 0; !rc && at && i < n && qdi_lc_goes_on(l); i++) {
        qd_arena own;
        qd_arena_init(&own, l->a->account, 0);
        care_for(l, s, qd_state_index_uuid(s, qd_str_c(at[i].uuid)), &at[i], &own);
        qd_arena_fini(&own);
    }
    qd_err_fini(&err);
    qd_arena_fini(&arena);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How often policies of index state management are looked at. */
static uint64_t ism_every(const qd_config *c, uint64_t poll_ns)
{
    return least(poll_ns,
                 (uint64_t)qd_config_i64(c, QD_SET_ISM_INTERVAL) * 60 * UINT64_C(1000000000));
}

/* One look at everything that is due. */
static void turn(struct qd_lifecycle *l, uint64_t now, uint64_t *last, uint64_t *last_ism)
{
    uint64_t every = (uint64_t)qd_config_ms(l->a->config, QD_SET_INDICES_LIFECYCLE_POLL) * 1000000u;
    uint64_t latest = *last > *last_ism ? *last : *last_ism;
    bool soon = l->soon && now - latest + TICK_NS / 2 >= SOON_NS;
    bool ilm = soon || !*last || now - *last + TICK_NS / 2 >= every;
    bool ism =
        soon || !*last_ism || now - *last_ism + TICK_NS / 2 >= ism_every(l->a->config, every);
    if ((!ilm && !ism) || !qdi_lc_goes_on(l)) return;
    if (ilm && ism) l->soon = false; /* a look that has begun something says so again */
    qd_state *s = qd_cluster_state(l->a->cluster);
    if (ilm) {
        *last = now;
        if (qdi_lc_is_running(s)) look(l, s);
        qdi_lc_streams(l, s);
    }
    if (ism && qdi_lc_goes_on(l)) {
        *last_ism = now;
        if (qd_config_bool(l->a->config, QD_SET_ISM_ENABLED)) qdi_ism_look(l, s);
    }
    qd_state_unref(s);
}

static void keep(void *arg)
{
    struct qd_lifecycle *l = arg;
    uint64_t last = 0, last_ism = 0;
    qd_mutex_lock(&l->lock);
    while (!l->stop) {
        (void)qd_cond_wait_until(&l->wake, &l->lock, qd_env_mono_ns(l->a->env) + TICK_NS);
        if (l->stop) break;
        qd_mutex_unlock(&l->lock);
        turn(l, qd_env_mono_ns(l->a->env), &last, &last_ism);
        qd_mutex_lock(&l->lock);
    }
    qd_mutex_unlock(&l->lock);
}

int qd_lifecycle_open(qd_actions *a, qd_err *err)
{
    struct qd_lifecycle *l = qd_calloc(NULL, sizeof *l);
    if (!l) return qd_err_nomem(err, "lifecycle policies");
    l->a = a;
    qd_mutex_init(&l->lock);
    qd_cond_init(&l->wake);
    int rc = qd_thread_start(a->env, "lifecycle", keep, l, &l->thread, err);
    if (rc) {
        qd_cond_fini(&l->wake);
        qd_mutex_fini(&l->lock);
        qd_free(l);
        return rc;
    }
    a->lifecycle = l;
    return 0;
}

void qd_lifecycle_stop(qd_actions *a)
{
    struct qd_lifecycle *l = a->lifecycle;
    if (!l || !l->thread) return;
    qd_mutex_lock(&l->lock);
    l->stop = true;
    qd_cond_broadcast(&l->wake);
    qd_mutex_unlock(&l->lock);
    qd_thread_join(a->env, l->thread);
    l->thread = NULL;
}

/* Is a forced merge still under way? Under the lock. */
static bool merges(const struct qd_lifecycle *l)
{
    for (const lc_merge *g = l->merges; g; g = g->next)
        if (!g->done) return true;
    return false;
}

void qd_lifecycle_close(qd_actions *a)
{
    struct qd_lifecycle *l = a->lifecycle;
    if (!l) return;
    qd_lifecycle_stop(a);
    qd_mutex_lock(&l->lock);
    while (merges(l)) qd_cond_wait(&l->wake, &l->lock);
    qd_mutex_unlock(&l->lock);
    qdi_lc_merges_free(l);
    a->lifecycle = NULL;
    qd_cond_fini(&l->wake);
    qd_mutex_fini(&l->lock);
    qd_free(l);
}
