/*
 * rollover.c: POST /{alias or data stream}/_rollover: another index is written to from now on. The
 * new index and what becomes of the alias are one change of the state (qd_cluster_create).
 */
#include "action/api/admin_int.h"
#include "action/api/date_name.h"
#include "action/indices/indices_int.h"
#include "action/streams/rollover_int.h"
#include "action/streams/streams_int.h"
#include "base/str.h"

#define ATTEMPTS 8 /* while others roll the same thing over */

typedef struct rollover {
    qd_request *q;
    qd_str target;
    const qd_state *state;
    const qd_alias_group *group;
    const qd_json_node *settings, *mappings, *aliases;
    rollover_conditions conditions;
    bool due, dry;
    qd_str old_name;
    qd_index_creation made; /* with a reference to settings */
} rollover;

/* --- the request --- */

static int read_conditions(rollover *x, const qd_json_node *n, qd_err *err)
{
    bool max = false;
    int rc = 0;
    if (n->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_XCONTENT, "[conditions] must be an object");
    for (const qd_json_node *c = n->first; c && !rc; c = c->next) {
        rc = qdi_rollover_condition(x->q->arena, c->key, c, &x->conditions, err);
        max |= qd_str_starts(c->key, QD_STR("max_"));
    }
    if (rc || max || !n->n) return rc;
    return qd_err_set(err, QD_E_VALIDATION,
                      "Validation Failed: 1: at least one max_* rollover condition must be set "
                      "when using min_* conditions;");
}

static int read_body(rollover *x, qd_err *err)
{
    qd_json_node *root = NULL;
    int rc = x->q->body.n ? qdi_body_map(x->q, &root, err) : 0;
    if (!rc && root && root->type != QD_JSON_T_OBJECT)
        rc = qd_err_set(err, QD_E_ES_PARSE, "request body must be an object");
    for (const qd_json_node *n = root && !rc ? root->first : NULL; n && !rc; n = n->next) {
        if (qd_str_is(n->key, "conditions"))
            rc = read_conditions(x, n, err);
        else if (qd_str_is(n->key, "settings"))
            x->settings = n;
        else if (qd_str_is(n->key, "mappings"))
            x->mappings = n;
        else if (qd_str_is(n->key, "aliases"))
            x->aliases = n;
        else
            rc = qd_err_set(err, QD_E_XCONTENT, "[rollover] unknown field [%.*s]",
                            QD_STR_ARG(n->key));
    }
    return rc;
}

/* --- the target --- */

static int find_target(rollover *x, qd_err *err)
{
    x->group = qd_state_alias(x->state, x->target);
    if (!x->group && qd_state_index(x->state, x->target)) {
        return qd_err_set(err, QD_E_ARG,
                          "rollover target is a [concrete index] but one of [alias,data_stream] "
                          "was expected");
    }
    if (!x->group) {
        return qd_err_set(err, QD_E_ARG, "rollover target [%.*s] does not exist",
                          QD_STR_ARG(x->target));
    }
    if (!x->group->write_index) {
        return qd_err_set(err, QD_E_ARG, "rollover target [%.*s] does not point to a write index",
                          QD_STR_ARG(x->target));
    }
    if (!x->group->is_stream && x->group->write_index->place.stream.n) {
        return qd_err_set(err, QD_E_ARG,
                          "rollover target [%.*s] is an alias of data stream [%.*s], which is to "
                          "be rolled over by its own name",
                          QD_STR_ARG(x->target), QD_STR_ARG(x->group->write_index->place.stream));
    }
    return 0;
}

/* "logs-000001" to "logs-000002": the number at the end, of 6 digits at least. */
static int next_name(qd_arena *a, qd_str name, qd_str *out, qd_err *err)
{
    bool math = qdi_is_date_name(name);
    qd_str text = math ? qd_str_sub(name, 1, name.n - 2) : name;
    size_t at = text.n;
    uint64_t number = 0;
    while (at && text.p[at - 1] >= '0' && text.p[at - 1] <= '9') at--;
    bool good = at && at < text.n && text.n - at < 19 && text.p[at - 1] == '-' &&
                qd_str_u64(qd_str_sub(text, at, text.n), &number);
    if (!good) {
        return qd_err_set(err, QD_E_ARG, "index name [%.*s] does not match pattern '^.*-\\d+$'",
                          QD_STR_ARG(name));
    }
    *out =
        qd_arena_printf(a, "%s%.*s%06llu%s", math ? "<" : "", QD_STR_ARG(qd_str_sub(text, 0, at)),
                        (unsigned long long)number + 1, math ? ">" : "");
    return out->p ? 0 : qd_err_nomem(err, "name of an index");
}

/* The name as it was given, with its date math. */
static qd_str given_name(const qd_index_meta *m)
{
    const qd_setting_value *v = qd_settings_get(m->settings, QD_STR("index.provided_name"));
    return v && v->kind == QD_SETTING_TEXT ? v->text : m->name;
}

/* An alias that comes with each index of a template would point to two write indices. */
static int check_aliases(const rollover *x, const qd_index_creation *made, qd_err *err)
{
    for (uint32_t i = 0; i < made->naliases; i++) {
        if (!qd_str_eq(made->aliases[i].name, x->target)) continue;
        return qd_err_set(err, QD_E_ARG,
                          "Rollover alias [%.*s] can point to multiple indices, found duplicated "
                          "alias [[%.*s]] in index template or request",
                          QD_STR_ARG(x->target), QD_STR_ARG(x->target));
    }
    return 0;
}

static int alias_next(rollover *x, qd_err *err)
{
    qd_request *q = x->q;
    qd_index_creation *made = &x->made;
    qd_str given = qd_param(q, "new_index"), name;
    qd_alias *aliases;
    int rc = qdi_creation_of(q, x->settings, x->mappings, x->aliases, made, err);
    if (!rc && !given.n) rc = next_name(q->arena, given_name(x->group->write_index), &given, err);
    if (!rc) rc = qdi_date_name(q->arena, given, qd_env_wall_ms(q->a->env), &name, err);
    if (rc) return rc;
    aliases = (qd_alias *)(uintptr_t)made->aliases;
    made->name = name;
    rc = qdi_templates_apply(q->a, q->arena, name, &made->settings, &made->mapping, &aliases,
                             &made->naliases, err);
    made->aliases = aliases;
    if (!rc) rc = check_aliases(x, made, err);
    return rc || !qdi_is_date_name(given) ? rc : qdi_name_given(&made->settings, given, err);
}

static int stream_next(rollover *x, qd_err *err)
{
    data_stream now;
    if (qd_param(x->q, "new_index").n) {
        return qd_err_set(err, QD_E_ARG,
                          "new index name may not be specified when rolling over a data stream");
    }
    if (x->settings || x->mappings || x->aliases) {
        return qd_err_set(err, QD_E_ARG,
                          "aliases, mappings, and index settings may not be specified when "
                          "rolling over a data stream");
    }
    int rc = qdi_stream_read(x->state, x->q->arena, x->target, &now, err);
    if (rc == QD_E_NOTFOUND)
        rc = qd_err_set(err, QD_E_STATE, "data stream [%.*s] has no document in the state",
                        QD_STR_ARG(x->target));
    return rc ? rc : qdi_stream_next(x->q->a, x->state, x->q->arena, &now, &x->made, err);
}

/* --- running --- */

/* One attempt, from the newest state. */
static int attempt(rollover *x, int64_t active, qd_state **now, qd_err *err)
{
    qd_settings_unref(x->made.settings);
    x->made = (qd_index_creation){0};
    int rc = find_target(x, err);
    if (rc) return rc;
    const qd_index_meta *m = x->group->write_index;
    x->old_name = m->name;
    const qd_index_meta *one[] = {m};
    qd_resolved only = {one, 1};
    rc = qdi_blocks_check(x->q->a, &only, QDI_BLOCK_METADATA_WRITE, err);
    if (!rc) rc = x->group->is_stream ? stream_next(x, err) : alias_next(x, err);
    if (!rc) rc = qd_index_name_check(x->made.name, err);
    if (!rc) rc = qdi_enough_copies(x->made.settings, active, err);
    if (!rc) rc = qdi_rollover_measure(x->q, x->state, m, &x->conditions, &x->due, err);
    if (!rc && qd_state_index(x->state, x->made.name)) {
        rc = qd_err_set(err, QD_E_INDEX_EXISTS, "index [%.*s/%s] already exists",
                        QD_STR_ARG(x->made.name), qd_state_index(x->state, x->made.name)->uuid);
        qd_err_detail_str(err, "index_uuid",
                          qd_str_c(qd_state_index(x->state, x->made.name)->uuid));
        qd_err_detail_str(err, "index", x->made.name);
    }
    if (rc || x->dry || !x->due) return rc;
    x->made.follows = m->uuid;
    x->made.rolled = x->target;
    return qd_cluster_create(x->q->a->cluster, &x->made, now, err);
}

static void answer(const rollover *x, bool done, bool started, qd_response *r)
{
    qd_json_writer *w = &r->w;
    qdi_identity id;
    qdi_identity_get(x->q->a, &id);
    qd_json_object(w);
    qd_json_field_bool(w, "acknowledged", done && qdi_all_applied(x->q));
    qd_json_field_bool(w, "shards_acknowledged", started);
    qd_json_field_str(w, "old_index", x->old_name);
    qd_json_field_str(w, "new_index", x->made.name);
    qd_json_field_bool(w, "rolled_over", done);
    qd_json_field_bool(w, "dry_run", x->dry);
    if (id.product == QDI_ES8 || id.product == QDI_ES9) qd_json_field_bool(w, "lazy", false);
    qd_json_key_c(w, "conditions");
    qd_json_object(w);
    for (uint32_t i = 0; i < x->conditions.n; i++) {
        const rollover_condition *c = &x->conditions.at[i];
        qd_str key = qd_arena_printf(x->q->arena, "[%.*s]", QD_STR_ARG(c->text));
        qd_json_key(w, key);
        qd_json_bool(w, c->met);
    }
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static int check_lazy(const qd_request *q, qd_err *err)
{
    bool lazy;
    int rc = qd_param_bool(q, "lazy", false, &lazy, err);
    if (rc || !lazy) return rc;
    return qd_err_set(err, QD_E_ARG,
                      "[lazy] is not supported by this version: a rollover is done "
                      "when it is asked for");
}

int qdi_api_indices_rollover(qd_request *q, qd_response *r, qd_err *err)
{
    rollover x = {.q = q, .target = qd_param(q, "index")};
    qd_state *now = NULL, *s = NULL;
    int64_t timeout, active;
    int rc = qdi_admin_timeout(q, &timeout, err);
    if (!rc) rc = qdi_active_param(q, &active, err);
    if (!rc) rc = qd_param_bool(q, "dry_run", false, &x.dry, err);
    if (!rc) rc = check_lazy(q, err);
    if (!rc) rc = qdi_cluster_block_check(q->a, QDI_BLOCK_METADATA_WRITE, err);
    if (!rc) rc = read_body(&x, err);
    for (int k = 0; !rc && k < ATTEMPTS; k++) {
        qd_state_unref(s);
        x.state = s = qd_cluster_state(q->a->cluster);
        rc = attempt(&x, active, &now, err);
        if (rc != QD_E_CONFLICT || k + 1 == ATTEMPTS) break;
        if (err) qd_err_fini(err); /* somebody else has rolled it over: once more from there */
        rc = qd_task_check(&q->task, err);
    }
    if (!rc) {
        bool done = now != NULL, started = false;
        const qd_index_meta *m = done ? qd_state_index(now, x.made.name) : NULL;
        if (m) started = qdi_wait_active(q->a, m->uuid, QDI_ALL_SHARDS, active, timeout);
        answer(&x, done, started, r);
    }
    qd_settings_unref(x.made.settings);
    qd_state_unref(now);
    qd_state_unref(s);
    return rc;
}
