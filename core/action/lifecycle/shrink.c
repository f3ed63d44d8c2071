/* shrink.c: an index with fewer shards in the place of another. See shrink_int.h. */
#include "action/api/admin_int.h"
#include "action/lifecycle/shrink_int.h"
#include "base/str.h"
#include <stdio.h>

#define BODY_MAX ((size_t)1 << 20)

qd_str qdi_lc_shrink_name(qd_arena *a, const qd_index_meta *m)
{
    char part[5] = "0000";
    uint32_t n = 0;
    for (const char *p = m->uuid; *p && n < 4; p++) {
        char c = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) part[n++] = c;
    }
    return qd_arena_printf(a, "shrink-%s-%.*s", part, QD_STR_ARG(m->name));
}

void qdi_lc_alias_add(qd_json_writer *w, qd_str index, const qd_alias *a, bool write)
{
    qd_json_object(w);
    qd_json_key_c(w, "add");
    qd_json_object(w);
    qd_json_field_str(w, "index", index);
    qd_json_field_str(w, "alias", a->name);
    if (a->filter.n) {
        qd_json_key_c(w, "filter");
        qd_json_raw_value(w, a->filter);
    }
    if (a->index_routing.n) qd_json_field_str(w, "index_routing", a->index_routing);
    if (a->search_routing.n) qd_json_field_str(w, "search_routing", a->search_routing);
    if (write && a->is_write_index >= 0)
        qd_json_field_bool(w, "is_write_index", a->is_write_index > 0);
    if (a->is_hidden) qd_json_field_bool(w, "is_hidden", true);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static int call(lc_run *x, const char *api, const qd_pair *params, uint32_t n, qd_str body,
                qd_err *err)
{
    const qd_json_node *root;
    return qdi_bq_call(x->l->a, api, params, n, body, x->arena, &root, err);
}

static int wait_for(lc_run *x, const char *step, const char *text)
{
    x->step = step;
    x->info = qd_arena_printf(x->arena, "{\"message\":\"%s\"}", text);
    x->outcome = LC_WAITS;
    x->l->soon = true;
    return 0;
}

/* --- the target --- */

/* The target begins without a policy: it gets it when its record says how far it is. */
static int make_target(lc_shrink *x, qd_err *err)
{
    lc_run *run = x->run;
    qd_buf b;
    qd_json_writer w;
    qd_pair params[] = {{QD_STR("index"), run->m->name},
                        {QD_STR("target"), x->name},
                        {QD_STR("timeout"), QD_STR("5s")}};
    qd_buf_init(&b, NULL, BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    if (x->max_shard_size.n) qd_json_field_str(&w, "max_primary_shard_size", x->max_shard_size);
    qd_json_key_c(&w, "settings");
    qd_json_object(&w);
    if (x->number_of_shards) qd_json_field_int(&w, "index.number_of_shards", x->number_of_shards);
    static const char *const not_copied[] = {"index.routing.allocation.require._id",
                                             "index.lifecycle.name",
                                             "index.plugins.index_state_management.policy_id"};
    for (size_t i = 0; i < QD_COUNT_OF(not_copied); i++) {
        qd_json_key_c(&w, not_copied[i]);
        qd_json_null(&w);
    }
    if (x->allow_writes) {
        qd_json_key_c(&w, "index.blocks.write");
        qd_json_null(&w);
    }
    if (x->replaces) qd_json_field_int(&w, "index.lifecycle.origination_date", qdi_lc_date(run->m));
    qd_json_object_end(&w);
    qd_json_object_end(&w);
    run->step = "shrink";
    int rc = qd_buf_status(&b) ? qd_err_nomem(err, "shrink") : 0;
    if (!rc) rc = call(run, "indices.shrink", params, 3, qd_buf_view(&b), err);
    qd_buf_fini(&b);
    return rc;
}

/* Is it made of the source? */
static bool is_ours(const qd_index_meta *to, const qd_index_meta *from)
{
    const qd_setting_value *v = qd_settings_get(to->settings, QD_STR("index.resize.source.uuid"));
    return v && qd_str_is(v->text, from->uuid);
}

static bool is_whole(const lc_run *x, const qd_index_meta *to)
{
    qdi_health h;
    qdi_health_of_index(x->state, to, &h);
    return h.status == QD_HEALTH_GREEN;
}

/* --- its place --- */

/* How far the target is in the policy: where the source is, behind its shrink. */
static int copy_record(lc_run *x, const qd_index_meta *to, qd_err *err)
{
    lc_record r = {.uuid = to->uuid};
    int64_t now = qd_env_wall_ms(x->l->a->env);
    x->step = "copy-execution-state";
    int rc = qdi_lc_records_get(x->l->a, x->arena, &r, 1, err);
    if (!rc && r.seq_no < 0) {
        qdi_lc_record_move(&r, x->record->phase, QD_STR("shrink"), "is-shrunk-index", now);
        r.phase_ms = x->record->phase_ms;
        r.action_ms = x->record->action_ms;
        rc = qdi_lc_record_put(x->l->a, x->arena, &r, to, err);
    }
    return rc;
}

static int set_policy(lc_run *x, const qd_index_meta *to, qd_err *err)
{
    qd_buf b;
    qd_json_writer w;
    qd_pair params[] = {{QD_STR("index"), to->name}, {QD_STR("if_uuid"), qd_str_c(to->uuid)}};
    if (qdi_lc_policy_of(to).n) return 0;
    qd_buf_init(&b, NULL, BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_field_str(&w, "index.lifecycle.name", qdi_lc_policy_of(x->m));
    qd_json_object_end(&w);
    int rc = qd_buf_status(&b) ? qd_err_nomem(err, "policy") : 0;
    if (!rc) rc = call(x, "indices.put_settings", params, 2, qd_buf_view(&b), err);
    qd_buf_fini(&b);
    return rc;
}

/* One change of the state: the source goes, its name and its aliases are the target's. */
static int swap_aliases(lc_shrink *x, const qd_index_meta *to, qd_err *err)
{
    const qd_index_meta *from = x->run->m;
    qd_alias name = {.name = from->name, .is_write_index = -1};
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "actions");
    qd_json_array(&w);
    if (x->replaces) {
        qd_json_object(&w);
        qd_json_key_c(&w, "remove_index");
        qd_json_object(&w);
        qd_json_field_str(&w, "index", from->name);
        qd_json_object_end(&w);
        qd_json_object_end(&w);
        qdi_lc_alias_add(&w, to->name, &name, true);
    }
    for (uint32_t i = 0; i < from->naliases; i++) {
        if (!x->replaces) {
            qd_json_object(&w);
            qd_json_key_c(&w, "remove");
            qd_json_object(&w);
            qd_json_field_str(&w, "index", from->name);
            qd_json_field_str(&w, "alias", from->aliases[i].name);
            qd_json_object_end(&w);
            qd_json_object_end(&w);
        }
        qdi_lc_alias_add(&w, to->name, &from->aliases[i], true);
    }
    qd_json_array_end(&w);
    qd_json_object_end(&w);
    x->run->step = "aliases";
    int rc = qd_buf_status(&b) ? qd_err_nomem(err, "aliases") : 0;
    if (!rc) rc = call(x->run, "indices.update_aliases", NULL, 0, qd_buf_view(&b), err);
    qd_buf_fini(&b);
    return rc;
}

/* In a data stream the target takes the source's place first, and then the source goes. */
static int swap_backing(lc_run *x, const qd_index_meta *to, qd_err *err)
{
    int rc = 0;
    qd_pair params[] = {{QD_STR("index"), x->m->name}, {QD_STR("if_uuid"), qd_str_c(x->m->uuid)}};
    x->step = "replace-data-stream-index";
    if (x->m->place.stream.n) {
        qd_str body = qd_arena_printf(
            x->arena,
            "{\"actions\":[{\"remove_backing_index\":{\"data_stream\":\"%.*s\",\"index\":\"%.*s\"}}"
            ","
            "{\"add_backing_index\":{\"data_stream\":\"%.*s\",\"index\":\"%.*s\"}}]}",
            QD_STR_ARG(x->m->place.stream), QD_STR_ARG(x->m->name), QD_STR_ARG(x->m->place.stream),
            QD_STR_ARG(to->name));
        rc = call(x, "indices.modify_data_stream", NULL, 0, body, err);
    }
    return rc ? rc : call(x, "indices.delete", params, 2, (qd_str){NULL, 0}, err);
}

static int finish(lc_shrink *x, const qd_index_meta *to, qd_err *err)
{
    lc_run *run = x->run;
    run->outcome = x->replaces ? LC_GONE : LC_DONE;
    if (!x->replaces) {
        qd_pair params[] = {{QD_STR("index"), run->m->name},
                            {QD_STR("if_uuid"), qd_str_c(run->m->uuid)}};
        int rc = call(run, "indices.put_settings", params, 2,
                      QD_STR("{\"index.routing.allocation.require._id\":null}"), err);
        return rc || !x->takes_aliases || !run->m->naliases ? rc : swap_aliases(x, to, err);
    }
    int rc = copy_record(run, to, err);
    if (!rc) rc = set_policy(run, to, err);
    if (rc) return rc;
    return run->m->place.stream.n || to->place.stream.n ? swap_backing(run, to, err)
                                                        : swap_aliases(x, to, err);
}

static int check_count(const lc_shrink *x, qd_err *err)
{
    const qd_index_meta *m = x->run->m;
    int64_t n = x->number_of_shards;
    if (!n || (n <= m->shards && m->shards % n == 0)) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "the number of target shards [%lld] must be a factor of the number of source "
                      "shards [%u] of index [%.*s]",
                      (long long)n, m->shards, QD_STR_ARG(m->name));
}

int qdi_lc_shrink(lc_shrink *x, qd_err *err)
{
    lc_run *run = x->run;
    bool ready;
    int rc;
    const qd_index_meta *to = qd_state_index(run->state, x->name);
    run->step = "check-target-shards-count";
    if ((rc = check_count(x, err))) return rc;
    if (to && !is_ours(to, run->m)) {
        run->step = "shrink";
        return qd_err_set(err, QD_E_INDEX_EXISTS, "index [%.*s] exists and is not made of [%.*s]",
                          QD_STR_ARG(x->name), QD_STR_ARG(run->m->name));
    }
    if (to) {
        if (is_whole(run, to)) return finish(x, to, err);
        return wait_for(run, "shrunk-shards-allocated",
                        "the copies of the shrunken index are not all started");
    }
    rc = qdi_lc_gather(run, &ready, err);
    if (rc) return rc;
    if (!ready) {
        return wait_for(run, run->step,
                        "the primaries of the index are not all on one node, or a "
                        "copy is under way");
    }
    rc = make_target(x, err);
    return rc ? rc
              : wait_for(run, "shrunk-shards-allocated",
                         "the copies of the shrunken index are not all started");
}
