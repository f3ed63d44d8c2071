/*
 * keeper.c: jobs whose node has gone. Each node looks at the records when nodes have come or gone;
 * which one goes on is decided by the condition under which a record is written.
 */
#include "action/byquery/byquery_int.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"

#define TICK_NS UINT64_C(1000000000)
#define AT_ONCE 100u /* records a look */

/* A number for the processes that the state names. */
static uint64_t members(const qd_state *s)
{
    qd_xxh3_stream h;
    qd_xxh3_begin(&h);
    for (uint32_t i = 0; i < s->nnodes; i++)
        qd_xxh3_update(&h, s->nodes[i].ephemeral.p, s->nodes[i].ephemeral.n);
    return qd_xxh3_digest(&h);
}

static bool is_there(const qd_state *s, qd_str owner)
{
    for (uint32_t i = 0; i < s->nnodes; i++)
        if (qd_str_eq(s->nodes[i].ephemeral, owner)) return true;
    return false;
}

/* Takes one over, by its record as it is now: what a search finds may be older. The texts are
 * copied into the job. */
static int take(qd_actions *a, const qd_state *s, qd_str id, qd_arena *arena, qd_err *err)
{
    qd_pair params[] = {{QD_STR("index"), QD_STR(BQ_TASKS)}, {QD_STR("id"), id}};
    const qd_json_node *doc;
    qd_json_node *record;
    int rc = qdi_bq_call(a, "get", params, 2, (qd_str){NULL, 0}, arena, &doc, err);
    if (rc) return rc;
    const qd_json_node *source = qd_json_get(doc, "_source");
    const qd_json_node *run = source ? qd_json_get(source, "run") : NULL;
    const qd_json_node *owner = run ? qd_json_get(run, "owner") : NULL;
    if (!owner || is_there(s, owner->text)) return 0; /* it has ended, or goes on already */
    bq_job *job = qd_calloc(NULL, sizeof *job);
    if (!job) return qd_err_nomem(err, "a task");
    qdi_bq_init(job, a);
    qd_str text = qd_arena_str(&job->arena, source->raw);
    rc = text.p ? qd_json_parse(&job->arena, text, 0, &record, err) : qd_err_nomem(err, "a task");
    if (!rc) rc = qdi_bq_record_read(job, id, record, err);
    if (!rc) {
        (void)qd_str_i64(qd_json_text(qd_json_get(doc, "_seq_no")), &job->seq_no);
        (void)qd_str_i64(qd_json_text(qd_json_get(doc, "_primary_term")), &job->term);
        rc = qdi_bq_take_over(job, err);
    }
    if (!rc) return 0;
    qdi_bq_fini(job);
    qd_free(job);
    return rc;
}

/* true: all was looked at. */
static bool look(qd_actions *a, const qd_state *s)
{
    qd_arena arena;
    qd_err err;
    const qd_json_node *root = NULL;
    qd_pair params[] = {{QD_STR("index"), QD_STR(BQ_TASKS)}};
    qd_err_init(&err);
    qd_arena_init(&arena, a->account, 0);
    int rc = qdi_bq_call(a, "search", params, 1,
                         QD_STR("{\"size\":100,\"query\":{\"term\":{"
                                "\"completed\":false}}}"),
                         &arena, &root, &err);
    const qd_json_node *hits = rc ? NULL : qd_json_get(qd_json_get(root, "hits"), "hits");
    bool all = hits && hits->n < AT_ONCE;
    for (const qd_json_node *h = hits ? hits->first : NULL; h; h = h->next) {
        const qd_json_node *run = qd_json_get(qd_json_get(h, "_source"), "run");
        const qd_json_node *owner = run ? qd_json_get(run, "owner") : NULL;
        if (!owner || is_there(s, owner->text)) continue;
        if (!take(a, s, qd_json_text(qd_json_get(h, "_id")), &arena, &err)) continue;
        qd_log_warn("action", "a task of a node that has gone does not go on here yet: %s",
                    qd_err_reason(&err));
        qd_err_fini(&err);
        all = false;
    }
    qd_err_fini(&err);
    qd_arena_fini(&arena);
    return all;
}

void qdi_bq_keeper(void *arg)
{
    struct qd_by_query *t = arg;
    qd_actions *a = t->a;
    uint64_t seen = 0;
    qd_mutex_lock(&t->lock);
    while (!t->stop) {
        (void)qd_cond_wait_until(&t->wake, &t->lock, qd_env_mono_ns(a->env) + TICK_NS);
        if (t->stop) break;
        qd_mutex_unlock(&t->lock);
        if (atomic_load(&a->serving) && !atomic_load(&a->stopping)) {
            qd_state *s = qd_cluster_state(a->cluster);
            uint64_t now = members(s);
            bool any = qd_state_index(s, QD_STR(BQ_TASKS)) != NULL;
            bool again = atomic_exchange(&t->again, false);
            if (now != seen || again) seen = !any || look(a, s) ? now : 0;
            qd_state_unref(s);
        }
        qd_mutex_lock(&t->lock);
    }
    qd_mutex_unlock(&t->lock);
}
