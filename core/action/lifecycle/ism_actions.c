/* ism_actions.c: what policies of index state management do to an index. See ism_int.h. */
#include "action/api/admin_int.h"
#include "action/lifecycle/ism_int.h"
#include "action/lifecycle/shrink_int.h"
#include "base/str.h"
#include "json/writer.h"
#include <stdio.h>

static qd_str say(ism_run *x, const char *text)
{
    return qd_arena_printf(x->x.arena, "%s [index=%.*s]", text, QD_STR_ARG(x->x.m->name));
}

/* Calls an API about the index. */
static int call(ism_run *x, const char *api, qd_str body, qd_err *err)
{
    const qd_json_node *root;
    qd_pair params[] = {{QD_STR("index"), x->x.m->name}};
    return qdi_bq_call(x->x.l->a, api, params, 1, body, x->x.arena, &root, err);
}

/* Changes settings of the index, if it is still the one. */
static int put_settings(ism_run *x, qd_str body, qd_err *err)
{
    const qd_json_node *root;
    qd_pair params[] = {{QD_STR("index"), x->x.m->name},
                        {QD_STR("if_uuid"), qd_str_c(x->x.m->uuid)}};
    return qdi_bq_call(x->x.l->a, "indices.put_settings", params, 2, body, x->x.arena, &root, err);
}

/* --- rollover --- */

int qdi_ism_rollover_target(const qd_state *s, const qd_index_meta *m, qd_str *out, qd_err *err)
{
    *out = m->place.stream;
    if (out->n) return 0;
    *out = qd_values_text(m->values, QD_IX_ISM_ALIAS);
    if (!out->n) *out = qd_values_text(m->values, QD_IX_ISM_OLD_ALIAS);
    const qd_alias_group *g = out->n ? qd_state_alias(s, *out) : NULL;
    if (!out->n) {
        return qd_err_set(err, QD_E_ARG, "Missing rollover_alias index setting [index=%.*s]",
                          QD_STR_ARG(m->name));
    }
    if (m->place.rolled_ms && qd_str_eq(m->place.rolled_alias, *out)) return 0;
    if (!g || g->is_stream || !qd_index_meta_alias(m, *out)) {
        return qd_err_set(err, QD_E_ARG,
                          "Missing alias or not the write index when rollover "
                          "[index=%.*s, alias=%.*s]",
                          QD_STR_ARG(m->name), QD_STR_ARG(*out));
    }
    if (g->write_index == m) return 0;
    return qd_err_set(err, QD_E_ARG, "Not the write index when rollover [index=%.*s, alias=%.*s]",
                      QD_STR_ARG(m->name), QD_STR_ARG(*out));
}

static int rollover_body(ism_run *x, qd_str *out, qd_err *err)
{
    static const struct {
        const char *is, *as;
    } names[] = {{"min_size", "max_size"},
                 {"min_doc_count", "max_docs"},
                 {"min_index_age", "max_age"},
                 {"min_primary_shard_size", "max_primary_shard_size"}};
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, ISM_BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "conditions");
    qd_json_object(&w);
    for (size_t i = 0; i < QD_COUNT_OF(names); i++) {
        const qd_json_node *n = qd_json_get(x->x.options, names[i].is);
        if (!n) continue;
        qd_json_key_c(&w, names[i].as);
        qd_json_raw_value(&w, n->raw);
    }
    qd_json_object_end(&w);
    qd_json_object_end(&w);
    *out = qd_arena_str(x->x.arena, qd_buf_view(&b));
    int rc = qd_buf_status(&b) || !out->p ? qd_err_nomem(err, "rollover") : 0;
    qd_buf_fini(&b);
    return rc;
}

/* Gives the new index the aliases of the old one; those that it has stay as they are. */
static int copy_aliases(ism_run *x, qd_str target, qd_err *err)
{
    qd_buf b;
    qd_json_writer w;
    uint32_t n = 0;
    qd_state *s = qd_cluster_state(x->x.l->a->cluster);
    const qd_alias_group *g = qd_state_alias(s, target);
    const qd_index_meta *to = g ? g->write_index : NULL;
    qd_buf_init(&b, NULL, ISM_BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "actions");
    qd_json_array(&w);
    for (uint32_t i = 0; to && to != x->x.m && i < x->x.m->naliases; i++) {
        const qd_alias *a = &x->x.m->aliases[i];
        if (qd_str_eq(a->name, target) || qd_index_meta_alias(to, a->name)) continue;
        qdi_lc_alias_add(&w, to->name, a, false);
        n++;
    }
    qd_json_array_end(&w);
    qd_json_object_end(&w);
    qd_state_unref(s);
    const qd_json_node *root;
    int rc = qd_buf_status(&b) ? qd_err_nomem(err, "aliases") : 0;
    if (!rc && n)
        rc = qdi_bq_call(x->x.l->a, "indices.update_aliases", NULL, 0, qd_buf_view(&b), x->x.arena,
                         &root, err);
    qd_buf_fini(&b);
    if (rc) x->message = say(x, "Failed to copy aliases to the new index");
    return rc;
}

static int run_rollover(ism_run *x, qd_err *err)
{
    qd_str target, body;
    const qd_json_node *root;
    const qd_index_meta *m = x->x.m;
    bool copies = qdi_ism_truth(x->x.options, "copy_alias");
    if (qd_values_bool(m->values, QD_IX_ISM_SKIP)) {
        x->message = say(x, "Skipped rollover action for");
        return 0;
    }
    int rc = qdi_ism_rollover_target(x->x.state, m, &target, err);
    if (rc) return rc;
    const qd_alias_group *g = qd_state_stream_of(x->x.state, m);
    if (copies && m->place.stream.n)
        return qd_err_set(err, QD_E_ARG, "copy_alias is not allowed for a data stream [index=%.*s]",
                          QD_STR_ARG(m->name));
    bool rolled =
        g ? g->write_index != m : m->place.rolled_ms && qd_str_eq(m->place.rolled_alias, target);
    if (rolled) {
        x->message = qd_arena_printf(
            x->x.arena,
            "This index has already been rolled over using this alias, treating as a "
            "success [index=%.*s, alias=%.*s]",
            QD_STR_ARG(m->name), QD_STR_ARG(target));
        return copies ? copy_aliases(x, target, err) : 0;
    }
    rc = rollover_body(x, &body, err);
    qd_pair params[] = {{QD_STR("index"), target}, {QD_STR("timeout"), QD_STR("5s")}};
    if (!rc)
        rc = qdi_bq_call(x->x.l->a, "indices.rollover", params, 2, body, x->x.arena, &root, err);
    if (rc) {
        x->message = say(x, "Failed to rollover index");
        return rc;
    }
    if (!qdi_ism_truth(root, "rolled_over")) {
        x->x.outcome = LC_WAITS;
        x->message = say(x, "Rollover conditions not met");
        return 0;
    }
    x->message = say(x, "Successfully rolled over index");
    return copies ? copy_aliases(x, target, err) : 0;
}

/* --- settings --- */

static int set_writes(ism_run *x, bool blocked, const char *ok, const char *failed, qd_err *err)
{
    x->message = say(x, failed);
    int rc = qd_values_bool(x->x.m->values, QD_IX_BLOCK_WRITE) == blocked
                 ? 0
                 : put_settings(x,
                                blocked ? QD_STR("{\"index.blocks.write\":true}")
                                        : QD_STR("{\"index.blocks.write\":null}"),
                                err);
    if (!rc) x->message = say(x, ok);
    return rc;
}

static int run_read_only(ism_run *x, qd_err *err)
{
    return set_writes(x, true, "Successfully set index to read-only",
                      "Failed to set index to read-only", err);
}

static int run_read_write(ism_run *x, qd_err *err)
{
    return set_writes(x, false, "Successfully set index to read-write",
                      "Failed to set index to read-write", err);
}

static int put_number(ism_run *x, const char *key, int64_t is, int64_t wanted, const char *what,
                      qd_err *err)
{
    char text[96];
    qd_str body = qd_arena_printf(x->x.arena, "{\"%s\":%lld}", key, (long long)wanted);
    snprintf(text, sizeof text, "Failed to set %s to %lld", what, (long long)wanted);
    x->message = say(x, text);
    int rc = is == wanted ? 0 : put_settings(x, body, err);
    snprintf(text, sizeof text, "Successfully set %s to %lld", what, (long long)wanted);
    if (!rc) x->message = say(x, text);
    return rc;
}

static int run_replicas(ism_run *x, qd_err *err)
{
    return put_number(x, "index.number_of_replicas", x->x.m->replicas,
                      qdi_ism_number(x->x.options, "number_of_replicas", 0), "number_of_replicas",
                      err);
}

static int run_priority(ism_run *x, qd_err *err)
{
    return put_number(x, "index.priority", qd_values_i64(x->x.m->values, QD_IX_PRIORITY),
                      qdi_ism_number(x->x.options, "priority", 0), "index priority", err);
}

/* Has the index all settings of the action? */
static bool is_allocated_so(const ism_run *x)
{
    static const char *const kinds[] = {"require", "include", "exclude"};
    for (size_t k = 0; k < QD_COUNT_OF(kinds); k++) {
        const qd_json_node *o = qd_json_get(x->x.options, kinds[k]);
        for (const qd_json_node *n = o ? o->first : NULL; n; n = n->next) {
            qd_str key = qd_arena_printf(x->x.arena, "index.routing.allocation.%s.%.*s", kinds[k],
                                         QD_STR_ARG(n->key));
            const qd_setting_value *v = qd_settings_get(x->x.m->settings, key);
            if (!v || !qd_str_eq(v->text, qd_json_text(n))) return false;
        }
    }
    return true;
}

static qd_str allocation_body(ism_run *x)
{
    static const char *const kinds[] = {"require", "include", "exclude"};
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, ISM_BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    for (size_t k = 0; k < QD_COUNT_OF(kinds); k++) {
        const qd_json_node *o = qd_json_get(x->x.options, kinds[k]);
        for (const qd_json_node *n = o ? o->first : NULL; n; n = n->next) {
            qd_json_key(&w, qd_arena_printf(x->x.arena, "index.routing.allocation.%s.%.*s",
                                            kinds[k], QD_STR_ARG(n->key)));
            qd_json_str(&w, qd_json_text(n));
        }
    }
    qd_json_object_end(&w);
    qd_str body = qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(x->x.arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    return body;
}

static int run_allocation(ism_run *x, qd_err *err)
{
    qdi_health h;
    x->message = say(x, "Failed to update allocation setting");
    if (!is_allocated_so(x)) {
        int rc = put_settings(x, allocation_body(x), err);
        if (rc) return rc;
        x->x.outcome = qdi_ism_truth(x->x.options, "wait_for") ? LC_WAITS : LC_DONE;
    } else if (qdi_ism_truth(x->x.options, "wait_for")) {
        qdi_health_of_index(x->x.state, x->x.m, &h);
        if (h.relocating || h.initializing) x->x.outcome = LC_WAITS;
    }
    x->message = x->x.outcome == LC_WAITS ? say(x, "Waiting for the copies to be allocated")
                                          : say(x, "Successfully updated allocation setting");
    return 0;
}

/* --- the index itself --- */

static int run_close(ism_run *x, qd_err *err)
{
    x->message = say(x, "Failed to close index");
    int rc = x->x.m->closed ? 0 : call(x, "indices.close", (qd_str){NULL, 0}, err);
    if (!rc) x->message = say(x, "Successfully closed index");
    return rc;
}

static int run_open(ism_run *x, qd_err *err)
{
    x->message = say(x, "Failed to open index");
    int rc = x->x.m->closed ? call(x, "indices.open", (qd_str){NULL, 0}, err) : 0;
    if (!rc) x->message = say(x, "Successfully opened index");
    return rc;
}

static int run_delete(ism_run *x, qd_err *err)
{
    const qd_json_node *root;
    qd_pair params[] = {{QD_STR("index"), x->x.m->name},
                        {QD_STR("if_uuid"), qd_str_c(x->x.m->uuid)}};
    x->message = say(x, "Failed to delete index");
    x->x.outcome = LC_GONE;
    return qdi_bq_call(x->x.l->a, "indices.delete", params, 2, (qd_str){NULL, 0}, x->x.arena, &root,
                       err);
}

static int run_merge(ism_run *x, qd_err *err)
{
    x->step = QD_STR("wait_for_force_merge");
    x->message = say(x, "Failed to start force merge");
    int rc = qdi_lc_action(QD_STR("forcemerge"))->run(&x->x, err);
    if (rc) return rc;
    if (x->x.outcome == LC_WAITS && !qd_values_bool(x->x.m->values, QD_IX_BLOCK_WRITE))
        x->step = QD_STR("attempt_call_force_merge");
    x->message = x->x.outcome == LC_WAITS ? say(x, "Waiting for force merge to complete")
                                          : say(x, "Force merge completed");
    return 0;
}

/* {"actions": [{"add": {"index": …, …}}, …]} */
static qd_str alias_body(ism_run *x)
{
    qd_buf b;
    qd_json_writer w;
    const qd_json_node *list = qd_json_get(x->x.options, "actions");
    qd_buf_init(&b, NULL, ISM_BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "actions");
    qd_json_array(&w);
    for (const qd_json_node *n = list->first; n; n = n->next) {
        qd_json_object(&w);
        qd_json_key(&w, n->first->key);
        qd_json_object(&w);
        qd_json_field_str(&w, "index", x->x.m->name);
        for (const qd_json_node *m = n->first->first; m; m = m->next) {
            qd_json_key(&w, m->key);
            qd_json_raw_value(&w, m->raw);
        }
        qd_json_object_end(&w);
        qd_json_object_end(&w);
    }
    qd_json_array_end(&w);
    qd_json_object_end(&w);
    qd_str body = qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(x->x.arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    return body;
}

static int run_alias(ism_run *x, qd_err *err)
{
    const qd_json_node *root;
    x->message = say(x, "Failed to update alias");
    int rc = qdi_bq_call(x->x.l->a, "indices.update_aliases", NULL, 0, alias_body(x), x->x.arena,
                         &root, err);
    if (!rc) x->message = say(x, "Successfully updated alias");
    return rc;
}

/* --- shrink: the index stays beside what is made of it --- */

static int run_shrink(ism_run *x, qd_err *err)
{
    lc_shrink s = {.run = &x->x,
                   .number_of_shards = qdi_ism_number(x->x.options, "num_new_shards", 0),
                   .max_shard_size = qdi_ism_text(x->x.options, "max_shard_size"),
                   .name = qd_arena_printf(x->x.arena, "%.*s_shrunken", QD_STR_ARG(x->x.m->name)),
                   .takes_aliases = qdi_ism_truth(x->x.options, "switch_aliases")};
    int rc = 0;
    if (!qd_values_bool(x->x.m->values, QD_IX_BLOCK_WRITE)) {
        rc = put_settings(x, QD_STR("{\"index.blocks.write\":true}"), err);
        x->x.step = "readonly";
        x->x.outcome = LC_WAITS;
    } else if (x->x.m->shards > 1 && s.number_of_shards != x->x.m->shards) {
        rc = qdi_lc_shrink(&s, err);
    }
    static const struct {
        const char *is, *as;
    } steps[] = {{"readonly", "attempt_move_shards_step"},
                 {"set-single-node-allocation", "attempt_move_shards_step"},
                 {"check-shrink-allocation", "wait_for_move_shards_step"},
                 {"shrink", "attempt_shrink_step"}};
    x->step = QD_STR("wait_for_shrink_step");
    for (size_t i = 0; i < QD_COUNT_OF(steps); i++)
        if (qd_str_is(qd_str_c(x->x.step), steps[i].is)) x->step = qd_str_c(steps[i].as);
    if (rc) {
        x->message = say(x, "Shrink failed");
        return rc;
    }
    x->message =
        x->x.outcome == LC_WAITS ? say(x, "Shrink is under way") : say(x, "Shrink finished");
    return 0;
}

static const ism_action actions[] = {
    {"rollover", "attempt_rollover", run_rollover},
    {"force_merge", "attempt_set_read_only", run_merge},
    {"read_only", "set_read_only", run_read_only},
    {"read_write", "set_read_write", run_read_write},
    {"replica_count", "attempt_set_replica_count", run_replicas},
    {"index_priority", "attempt_set_index_priority", run_priority},
    {"close", "attempt_close", run_close},
    {"open", "attempt_open", run_open},
    {"delete", "attempt_delete", run_delete},
    {"allocation", "attempt_allocation", run_allocation},
    {"alias", "attempt_alias_actions", run_alias},
    {"shrink", "attempt_move_shards_step", run_shrink},
};

const ism_action *qdi_ism_action(qd_str name)
{
    for (size_t i = 0; i < QD_COUNT_OF(actions); i++)
        if (qd_str_is(name, actions[i].name)) return &actions[i];
    return NULL;
}
