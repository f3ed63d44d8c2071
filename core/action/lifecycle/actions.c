/*
 * actions.c: what policies do to an index. Each looks first whether it is done, so that whoever is
 * elected next may begin it again; each goes through the API that people would use.
 */
#include "action/indices/copy_stats.h"
#include "action/lifecycle/ilm_int.h"
#include "action/lifecycle/shrink_int.h"
#include "action/streams/rollover_int.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/fiber.h"
#include <stdio.h>
#include <string.h>

#define BODY_MAX ((size_t)1 << 20)

static int unknown(const qd_json_node *m, const char *action, qd_err *err)
{
    return qd_err_set(err, QD_E_XCONTENT, "[%s] unknown field [%.*s]", action, QD_STR_ARG(m->key));
}

static int no_options(const qd_json_node *o, qd_err *err)
{
    return o->first ? unknown(o->first, "action", err) : 0;
}

/* {"message": …} */
static qd_str waiting(const lc_run *x, const char *text)
{
    return qd_arena_printf(x->arena, "{\"message\":\"%s\"}", text);
}

/* The data stream of the index while the index is written to, NULL. */
static const qd_alias_group *written_stream(const lc_run *x)
{
    const qd_alias_group *g = qd_state_stream_of(x->state, x->m);
    return g && g->write_index == x->m ? g : NULL;
}

/* Changes settings of the index, if it is still the one. */
static int put_settings(lc_run *x, const char *body, qd_err *err)
{
    const qd_json_node *root;
    qd_pair params[] = {{QD_STR("index"), x->m->name}, {QD_STR("if_uuid"), qd_str_c(x->m->uuid)}};
    return qdi_bq_call(x->l->a, "indices.put_settings", params, 2, qd_str_c(body), x->arena, &root,
                       err);
}

/* --- set_priority --- */

static int check_priority(const qd_json_node *o, qd_err *err)
{
    int64_t v;
    const qd_json_node *n = qd_json_get(o, "priority");
    for (const qd_json_node *m = o->first; m; m = m->next)
        if (m != n) return unknown(m, "set_priority", err);
    if (n && (n->type == QD_JSON_T_NULL || (qd_str_i64(qd_json_text(n), &v) && v >= 0))) return 0;
    return qd_err_set(err, QD_E_ARG, "[priority] must be 0 or greater");
}

static int run_priority(lc_run *x, qd_err *err)
{
    char body[64];
    int64_t wanted = 1;
    const qd_json_node *n = qd_json_get(x->options, "priority");
    bool set = n && n->type != QD_JSON_T_NULL && qd_str_i64(qd_json_text(n), &wanted);
    x->outcome = LC_DONE;
    if (qd_values_i64(x->m->values, QD_IX_PRIORITY) == wanted) return 0;
    if (set)
        snprintf(body, sizeof body, "{\"index.priority\":%lld}", (long long)wanted);
    else
        snprintf(body, sizeof body, "{\"index.priority\":null}");
    return put_settings(x, body, err);
}

/* --- readonly --- */

static int run_readonly(lc_run *x, qd_err *err)
{
    if (written_stream(x)) {
        x->step = "check-not-write-index";
        x->info = waiting(x, "the index is the write index of its data stream, which is to be "
                             "rolled over first");
        x->outcome = LC_WAITS;
        return 0;
    }
    x->outcome = LC_DONE;
    if (qd_values_bool(x->m->values, QD_IX_BLOCK_WRITE)) return 0;
    return put_settings(x, "{\"index.blocks.write\":true}", err);
}

/* --- rollover --- */

static int check_rollover(const qd_json_node *o, qd_err *err)
{
    qd_arena a;
    rollover_conditions c = {0};
    int rc = 0;
    bool max = false;
    qd_arena_init(&a, NULL, BODY_MAX);
    for (const qd_json_node *m = o->first; m && !rc; m = m->next) {
        rc = qdi_rollover_condition(&a, m->key, m, &c, err);
        max |= qd_str_starts(m->key, QD_STR("max_"));
    }
    if (!rc && !max)
        rc = qd_err_set(err, QD_E_ARG, "At least one max_* rollover condition must be set.");
    qd_arena_fini(&a);
    return rc;
}

/* What is rolled over: the index's stream, or the alias that its settings name. QD_E_ARG */
static int rollover_target(const lc_run *x, qd_str *out, qd_err *err)
{
    const qd_index_meta *m = x->m;
    *out = m->place.stream;
    if (out->n) return 0;
    *out = qd_values_text(m->values, QD_IX_LIFECYCLE_ALIAS);
    if (!out->n) {
        return qd_err_set(err, QD_E_ARG,
                          "setting [index.lifecycle.rollover_alias] for index [%.*s] is empty or "
                          "not defined",
                          QD_STR_ARG(m->name));
    }
    const qd_alias_group *g = qd_state_alias(x->state, *out);
    if (!g || g->is_stream || !qd_index_meta_alias(m, *out)) {
        return qd_err_set(err, QD_E_ARG,
                          "index.lifecycle.rollover_alias [%.*s] does not point to index [%.*s]",
                          QD_STR_ARG(*out), QD_STR_ARG(m->name));
    }
    if (g->write_index == m) return 0;
    return qd_err_set(err, QD_E_ARG, "index [%.*s] is not the write index for alias [%.*s]",
                      QD_STR_ARG(m->name), QD_STR_ARG(*out));
}

/* The conditions; an index without documents is not rolled over. */
static int rollover_body(const lc_run *x, qd_str *out, qd_err *err)
{
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "conditions");
    qd_json_object(&w);
    for (const qd_json_node *m = x->options->first; m; m = m->next) {
        qd_json_key(&w, m->key);
        qd_json_raw_value(&w, m->raw);
    }
    if (!qd_json_get(x->options, "min_docs")) qd_json_field_int(&w, "min_docs", 1);
    qd_json_object_end(&w);
    qd_json_object_end(&w);
    *out = qd_arena_str(x->arena, qd_buf_view(&b));
    int rc = qd_buf_status(&b) || !out->p ? qd_err_nomem(err, "rollover") : 0;
    qd_buf_fini(&b);
    return rc;
}

static int run_rollover(lc_run *x, qd_err *err)
{
    qd_str target, body;
    const qd_json_node *root, *rolled;
    x->outcome = LC_DONE;
    if (x->m->place.rolled_ms || qd_values_bool(x->m->values, QD_IX_LIFECYCLE_COMPLETE)) return 0;
    if (x->m->place.stream.n && !written_stream(x)) return 0;
    int rc = rollover_target(x, &target, err);
    if (!rc) rc = rollover_body(x, &body, err);
    if (rc) return rc;
    /* shards that cannot start hold no other index up */
    qd_pair params[] = {{QD_STR("index"), target}, {QD_STR("timeout"), QD_STR("5s")}};
    rc = qdi_bq_call(x->l->a, "indices.rollover", params, 2, body, x->arena, &root, err);
    rolled = rc ? NULL : qd_json_get(root, "rolled_over");
    if (!rc && !(rolled && rolled->truth)) x->outcome = LC_WAITS;
    return rc;
}

/* --- forcemerge --- */

static int check_merge(const qd_json_node *o, qd_err *err)
{
    int64_t v;
    const qd_json_node *n = qd_json_get(o, "max_num_segments");
    for (const qd_json_node *m = o->first; m; m = m->next)
        if (m != n) return unknown(m, "forcemerge", err);
    if (n && qd_str_i64(qd_json_text(n), &v) && v >= 1 && v <= INT32_MAX) return 0;
    return qd_err_set(err, QD_E_ARG, "[max_num_segments] must be a positive integer");
}

static void merge_fiber(void *arg)
{
    lc_merge *g = arg;
    const qd_json_node *root;
    char segments[16];
    snprintf(segments, sizeof segments, "%u", g->segments);
    qd_pair params[] = {{QD_STR("index"), g->index},
                        {QD_STR("max_num_segments"), qd_str_c(segments)}};
    int rc = qdi_bq_call(g->l->a, "indices.forcemerge", params, 2, (qd_str){NULL, 0}, &g->arena,
                         &root, &g->err);
    struct qd_lifecycle *l = g->l;
    qd_mutex_lock(&l->lock);
    g->rc = rc;
    g->done = true;
    qd_cond_broadcast(&l->wake);
    qd_mutex_unlock(&l->lock);
}

static void merge_work(qd_work *w)
{
    lc_merge *g = w->user;
    qd_fiber_run(qd_pools_get(g->l->a->pools, "generic"), merge_fiber, g);
}

static void merge_free(lc_merge *g)
{
    qd_err_fini(&g->err);
    qd_arena_fini(&g->arena);
    qd_free(g);
}

void qdi_lc_merges_free(struct qd_lifecycle *l)
{
    while (l->merges) {
        lc_merge *g = l->merges;
        l->merges = g->next;
        merge_free(g);
    }
}

static int merge_begin(lc_run *x, uint32_t segments, qd_err *err)
{
    struct qd_lifecycle *l = x->l;
    lc_merge *g = qd_calloc(NULL, sizeof *g);
    if (!g) return qd_err_nomem(err, "forced merge");
    g->l = l;
    g->segments = segments;
    qd_err_init(&g->err);
    qd_arena_init(&g->arena, NULL, BODY_MAX);
    memcpy(g->uuid, x->m->uuid, sizeof g->uuid);
    g->index = qd_arena_str(&g->arena, x->m->name);
    g->work = (qd_work){.run = merge_work, .user = g};
    qd_mutex_lock(&l->lock);
    g->next = l->merges;
    l->merges = g;
    qd_mutex_unlock(&l->lock);
    int rc = qd_pool_submit(qd_pools_get(l->a->pools, "generic"), &g->work, err);
    if (!rc) return 0;
    qd_mutex_lock(&l->lock);
    lc_merge **at = &l->merges;
    while (*at != g) at = &(*at)->next;
    *at = g->next;
    qd_mutex_unlock(&l->lock);
    merge_free(g);
    return rc;
}

/* Has every primary so few segments? */
static int is_merged(lc_run *x, uint32_t segments, bool *out, qd_err *err)
{
    copy_stats_list f;
    const qd_index_meta *one[] = {x->m};
    qd_resolved only = {one, 1};
    uint32_t first, primaries = 0;
    qd_request q = {.a = x->l->a, .arena = x->arena};
    qd_task_begin(q.a->tasks, &q.task, "indices.forcemerge", (qd_str){NULL, 0}, false);
    int rc = qdi_copy_stats_collect(&q, x->state, &only, QDI_COPY_STATS_SEGMENTS, &f, err);
    qd_task_end(&q.task);
    if (rc) return rc;
    uint32_t n = qdi_copy_stats_of(&f, x->m->uuid, &first);
    *out = true;
    for (uint32_t i = first; i < first + n; i++) {
        if (!f.at[i].open || !qdi_copy_stats_primary(x->state, x->m, &f.at[i])) continue;
        primaries++;
        *out &= f.at[i].nsegments <= segments;
    }
    *out &= primaries == x->m->shards;
    return 0;
}

static int run_merge(lc_run *x, qd_err *err)
{
    int64_t segments = 1;
    bool merged = false;
    int rc = run_readonly(x, err); /* what is written to would have more segments at once */
    if (rc || x->outcome == LC_WAITS) return rc;
    (void)qd_str_i64(qd_json_text(qd_json_get(x->options, "max_num_segments")), &segments);
    qd_mutex_lock(&x->l->lock);
    lc_merge **at = &x->l->merges;
    while (*at && strcmp((*at)->uuid, x->m->uuid) != 0) at = &(*at)->next;
    lc_merge *g = *at;
    bool done = g && g->done;
    if (done) *at = g->next;
    qd_mutex_unlock(&x->l->lock);
    x->outcome = done ? LC_DONE : LC_WAITS;
    if (done) {
        if ((rc = g->rc)) qd_err_copy(err, &g->err);
        merge_free(g);
        return rc;
    }
    if (g) return 0;
    rc = is_merged(x, (uint32_t)segments, &merged, err);
    if (!rc && merged) x->outcome = LC_DONE;
    return rc || merged ? rc : merge_begin(x, (uint32_t)segments, err);
}

/* --- delete --- */

static int check_delete(const qd_json_node *o, qd_err *err)
{
    for (const qd_json_node *m = o->first; m; m = m->next) {
        if (!qd_str_is(m->key, "delete_searchable_snapshot") || m->type != QD_JSON_T_BOOL)
            return unknown(m, "delete", err);
    }
    return 0;
}

static int run_delete(lc_run *x, qd_err *err)
{
    const qd_json_node *root;
    const qd_alias_group *g = written_stream(x);
    int rc;
    x->outcome = LC_GONE;
    if (g && g->n > 1) {
        x->outcome = LC_WAITS;
        x->info = waiting(x, "the index is the write index of its data stream");
        return 0;
    }
    if (g) {
        qd_pair stream[] = {{QD_STR("name"), g->name}};
        rc = qdi_bq_call(x->l->a, "indices.delete_data_stream", stream, 1, (qd_str){NULL, 0},
                         x->arena, &root, err);
    } else {
        qd_pair params[] = {{QD_STR("index"), x->m->name},
                            {QD_STR("if_uuid"), qd_str_c(x->m->uuid)}};
        rc = qdi_bq_call(x->l->a, "indices.delete", params, 2, (qd_str){NULL, 0}, x->arena, &root,
                         err);
    }
    if (!rc) qd_log_info("action", "[%.*s] is deleted by its policy", QD_STR_ARG(x->m->name));
    return rc;
}

static const lc_action actions[] = {
    {"set_priority", 1u << LC_HOT | 1u << LC_WARM | 1u << LC_COLD, "set_priority", check_priority,
     run_priority},
    {"rollover", 1u << LC_HOT, "check-rollover-ready", check_rollover, run_rollover},
    {"readonly", 1u << LC_HOT | 1u << LC_WARM | 1u << LC_COLD, "readonly", no_options,
     run_readonly},
    {"forcemerge", 1u << LC_HOT | 1u << LC_WARM, "forcemerge", check_merge, run_merge},
    {"shrink", 1u << LC_HOT | 1u << LC_WARM, "check-not-write-index", qdi_lc_check_shrink,
     qdi_lc_run_shrink},
    {"allocate", 1u << LC_WARM | 1u << LC_COLD, "allocate", qdi_lc_check_allocate,
     qdi_lc_run_allocate},
    {"migrate", 1u << LC_WARM | 1u << LC_COLD, "migrate", qdi_lc_check_migrate, qdi_lc_run_nothing},
    {"unfollow", 1u << LC_HOT | 1u << LC_WARM | 1u << LC_COLD, "wait-for-indexing-complete",
     no_options, qdi_lc_run_nothing},
    {"delete", 1u << LC_DELETE, "delete", check_delete, run_delete},
};

const lc_action *qdi_lc_action(qd_str name)
{
    for (size_t i = 0; i < QD_COUNT_OF(actions); i++)
        if (qd_str_is(name, actions[i].name)) return &actions[i];
    return NULL;
}
