/*
 * ingest.c: the pipelines of a request's operations. They run once, before anything is placed: the
 * pipeline that the operation names or the index's default one, then the index's final one. An
 * operation that was dropped, or that a processor failed, goes no further.
 */
#include "action/documents/ingest_int.h"
#include "action/indices/templates_int.h"
#include "action/ingest/pipelines.h"
#include "base/map.h"
#include "base/str.h"

/* Those that an index names; in the state, or in the arena. */
typedef struct of_index {
    qd_str standard, final;
} of_index;

typedef struct looking {
    qd_actions *a;
    qd_arena *arena;
    qd_state *s;
    qd_map unknown; /* names of indices that are not there: of_index by templates */
    qd_str name;    /* whose pipelines `at` is */
    of_index at;
} looking;

static qd_str none_is_empty(qd_str id)
{
    return qd_str_is(id, "_none") ? (qd_str){NULL, 0} : id;
}

/* The same of a setting, which may be empty. */
static qd_str of_setting(qd_str id)
{
    return id.n ? none_is_empty(id) : (qd_str){NULL, 0};
}

/* An index that is yet to be made: what its templates say. */
static int by_templates(looking *x, qd_str name, of_index *out, qd_err *err)
{
    qd_settings *settings = NULL;
    qd_alias *aliases = NULL;
    uint32_t naliases = 0;
    qd_str mapping = {NULL, 0};
    of_index *known = qd_map_get(&x->unknown, name);
    if (known) {
        *out = *known;
        return 0;
    }
    int rc = qd_settings_new(NULL, &settings, err);
    if (!rc) rc = qd_settings_seal(settings, err);
    if (!rc)
        rc = qdi_templates_apply(x->a, x->arena, name, &settings, &mapping, &aliases, &naliases,
                                 err);
    if (!rc) {
        known = qd_arena_alloc(x->arena, sizeof *known);
        if (!known || qd_map_put(&x->unknown, name, known, NULL)) {
            rc = qd_err_nomem(err, "pipelines of an index");
        } else {
            qd_str a = qd_settings_text(settings, "index.default_pipeline"),
                   b = qd_settings_text(settings, "index.final_pipeline");
            known->standard = of_setting(qd_arena_str(x->arena, a));
            known->final = of_setting(qd_arena_str(x->arena, b));
            *out = *known;
        }
    }
    qd_settings_unref(settings);
    return rc;
}

static int pipelines_of(looking *x, qd_str name, of_index *out, qd_err *err)
{
    const qd_index_meta *m;
    qd_str routing;
    if (x->name.p && qd_str_eq(x->name, name)) {
        *out = x->at;
        return 0;
    }
    *out = (of_index){{NULL, 0}, {NULL, 0}};
    int rc = 0;
    if (!qd_state_write_index(x->s, name, &m, &routing, NULL)) {
        out->standard = of_setting(qd_values_text(m->values, QD_IX_DEFAULT_PIPELINE));
        out->final = of_setting(qd_values_text(m->values, QD_IX_FINAL_PIPELINE));
    } else if (name.n && !qd_state_alias(x->s, name)) {
        rc = by_templates(x, name, out, NULL);
        if (rc == QD_E_NOMEM || rc == QD_E_BREAKER)
            return qd_err_nomem(err, "pipelines of an index");
        rc = 0; /* what is wrong with the templates is told when the index is made */
    }
    x->name = name;
    x->at = *out;
    return rc;
}

/* What of an update is a document to be made: doc with doc_as_upsert, else upsert. */
static void part_of_update(looking *x, const doc_item *i, doc_ingest *w)
{
    qd_json_node *root;
    bool as_upsert = false;
    if (!i->source.n || qd_json_parse(x->arena, i->source, 0, &root, NULL)) return;
    const qd_json_node *flag = qd_json_get(root, "doc_as_upsert");
    if (flag && qd_json_truth(flag, &as_upsert)) as_upsert = false;
    const qd_json_node *n = qd_json_get(root, as_upsert ? "doc" : "upsert");
    if (!n || n->type != QD_JSON_T_OBJECT) return;
    w->doc = n;
    w->source = n->raw;
}

/* Which pipelines work on an operation; w->pipeline and w->final empty: none does. */
static int choose(looking *x, const doc_item *i, doc_ingest *w, qd_err *err)
{
    of_index at;
    w->pipeline = w->final = (qd_str){NULL, 0};
    if (i->ingested || i->placed || i->op == DOC_DELETE) return 0;
    int rc = pipelines_of(x, i->index, &at, err);
    if (rc) return rc;
    w->pipeline = i->pipeline.p ? none_is_empty(i->pipeline) : at.standard;
    w->final = at.final;
    if (!w->pipeline.p && !w->final.n) return 0;
    if (i->op != DOC_UPDATE) {
        w->source = i->source;
    } else {
        part_of_update(x, i, w);
        if (!w->doc) w->pipeline = w->final = (qd_str){NULL, 0};
    }
    return 0;
}

static bool has_role(const qd_node_meta *n)
{
    return n && qd_str_find(n->roles, 'i') >= 0;
}

static int look(looking *x, const doc_item *items, size_t n, doc_ingest **work, size_t *nwork,
                qd_err *err)
{
    *work = NULL;
    *nwork = 0;
    for (size_t k = 0; k < n; k++) {
        doc_ingest w = {.item = (uint32_t)k};
        int rc = choose(x, &items[k], &w, err);
        if (rc) return rc;
        if (!w.pipeline.p && !w.final.n) continue;
        if (!*work) *work = qd_arena_alloc(x->arena, (n - k) * sizeof **work);
        if (!*work) return qd_err_nomem(err, "pipelines of operations");
        (*work)[(*nwork)++] = w;
    }
    return 0;
}

int qdi_ingest_items(qd_actions *a, qd_task *task, int64_t timeout_ms, doc_item *items, size_t n,
                     qd_arena *arena, bool *ran, qd_err *err)
{
    looking x = {.a = a, .arena = arena};
    doc_ingest *work;
    size_t nwork;
    *ran = false;
    if (!a->pipelines) return 0;
    x.s = qd_cluster_state(a->cluster);
    qd_map_init(&x.unknown, a->account);
    int rc = look(&x, items, n, &work, &nwork, err);
    if (!rc && nwork) {
        *ran = true;
        rc = has_role(qd_state_node(x.s, a->node_id))
                 ? qdi_ingest_here(a, task, items, work, nwork, arena, err)
                 : qdi_ingest_there(a, x.s, task, timeout_ms, items, work, nwork, arena, err);
    }
    qd_map_fini(&x.unknown);
    qd_state_unref(x.s);
    return rc;
}

int qdi_version_of_pipeline(doc_batch *b, const doc_item *i, qd_engine *engine, qd_engine_op *op,
                            qd_err *err)
{
    qd_engine_doc now;
    if (!i->has_version || i->version_type != QD_VERSION_INTERNAL || i->op == DOC_DELETE) return 0;
    int rc = qd_engine_get(engine, i->id, true, false, b->arena, &now, err);
    if (rc) return rc;
    int64_t version = now.found ? (int64_t)now.version : -1;
    if (version != i->version)
        return qd_err_set(err, QD_E_VERSION_CONFLICT,
                          "[%.*s]: version conflict, current version [%lld] is different than the "
                          "one provided [%lld]",
                          QD_STR_ARG(i->id), (long long)version, (long long)i->version);
    op->version = -1;
    op->if_seq_no = now.seq_no;
    op->if_primary_term = now.primary_term;
    return 0;
}

/* --- running --- */

#define KEPT 16u
#define REROUTES_MAX 100u
typedef struct running {
    looking x;
    qd_task *task;
    qd_ingest_calls calls;
    qd_ingest_run *run;                   /* of the document at hand */
    qd_ingest_run *runs[QD_INGEST_BATCH]; /* the others: of batches */
    qd_ingest_pipeline *kept[KEPT];       /* of this batch, found by their ids */
    uint32_t nkept;
} running;

static int found(running *r, qd_str id, qd_ingest_pipeline **out, qd_err *err)
{
    for (uint32_t k = 0; k < r->nkept; k++) {
        if (!qd_str_eq(qd_ingest_id(r->kept[k]), id)) continue;
        *out = qd_ingest_ref(r->kept[k]);
        return 0;
    }
    int rc = qdi_pipelines_get(r->x.a, r->x.s, id, out, err);
    if (!rc && *out && r->nkept < KEPT) r->kept[r->nkept++] = qd_ingest_ref(*out);
    return rc;
}

static qd_ingest_pipeline *find(void *arg, qd_str id)
{
    qd_ingest_pipeline *p;
    return found(arg, id, &p, NULL) ? NULL : p;
}

static int apply(running *r, qd_str id, qd_err *err)
{
    qd_ingest_pipeline *p;
    int rc = found(r, id, &p, err);
    if (rc) return rc;
    if (!p)
        return qd_err_set(err, QD_E_ARG, "pipeline with id [%.*s] does not exist", QD_STR_ARG(id));
    rc = qd_ingest_apply(r->run, p, err);
    qd_ingest_unref(p);
    return rc;
}

static int final_moved(qd_str id, qd_err *err)
{
    int rc = qd_err_set(err, QD_E_STATE, "final pipeline [%.*s] can't change the target index",
                        QD_STR_ARG(id));
    qd_err_type(err, "illegal_state_exception", 500);
    return rc;
}

/* The pipelines of one document, in their order; done: the first has run, and came to that. */
static int pipelines(running *r, const doc_item *i, const doc_ingest *w, const int *done,
                     qd_err *err)
{
    qd_str next = w->pipeline, final = w->final, index = i->index;
    int rc = 0;
    for (uint32_t k = 0; next.p; k++) {
        if (k > REROUTES_MAX)
            return qd_err_set(err, QD_E_ARG,
                              "index cycle detected while processing pipeline [%.*s]: more than "
                              "[%u] indices",
                              QD_STR_ARG(next), REROUTES_MAX);
        of_index at;
        rc = done && !k ? *done : apply(r, next, err);
        next = (qd_str){NULL, 0};
        qd_str now = qd_ingest_index(r->run);
        if (rc < 0 || rc == QD_INGEST_DROPPED || qd_str_eq(now, index)) break;
        int no = pipelines_of(&r->x, now, &at, err);
        if (no) return no;
        final = at.final;
        if (rc == QD_INGEST_REROUTED && at.standard.n) next = at.standard;
        r->x.name = (qd_str){NULL, 0}; /* the name goes with the document */
        index = now;
    }
    if (rc < 0 || rc == QD_INGEST_DROPPED || !final.n) return rc < 0 ? rc : rc & QD_INGEST_DROPPED;
    qd_str before = qd_arena_str(r->x.arena, index);
    rc = apply(r, final, err);
    if (rc >= 0 && rc != QD_INGEST_DROPPED && !qd_str_eq(before, qd_ingest_index(r->run)))
        return final_moved(final, err);
    return rc < 0 ? rc : rc & QD_INGEST_DROPPED;
}

static void doc_of(const doc_item *i, const doc_ingest *w, qd_ingest_doc *d)
{
    *d = (qd_ingest_doc){.index = i->index,
                         .id = i->id,
                         .routing = i->routing.n ? i->routing : (qd_str){NULL, 0},
                         .has_version = i->has_version,
                         .version = i->version,
                         .has_seq_no = i->if_seq_no != QD_SEQ_NO_UNASSIGNED,
                         .if_seq_no = i->if_seq_no,
                         .if_primary_term = i->if_primary_term,
                         .source = w->source};
    if (i->version_type == QD_VERSION_EXTERNAL) d->version_type = QD_STR("external");
    if (i->version_type == QD_VERSION_EXTERNAL_GTE) d->version_type = QD_STR("external_gte");
}

/* An update's body with another document in it. */
static int rebuild(const doc_item *i, const doc_ingest *w, qd_str now, qd_arena *arena, qd_str *out,
                   qd_err *err)
{
    size_t before = (size_t)(w->doc->raw.p - i->source.p), behind = before + w->doc->raw.n;
    char *p = qd_arena_bytes(arena, i->source.n - w->doc->raw.n + now.n + 1);
    if (!p) return qd_err_nomem(err, "body of an update");
    memcpy(p, i->source.p, before);
    memcpy(p + before, now.p, now.n);
    memcpy(p + before + now.n, i->source.p + behind, i->source.n - behind);
    *out = (qd_str){p, i->source.n - w->doc->raw.n + now.n};
    return 0;
}

int qdi_ingest_take(doc_item *i, const doc_ingest *w, const qd_ingest_doc *d, qd_arena *arena,
                    qd_err *err)
{
    i->ingested = true;
    if (i->op == DOC_UPDATE) return rebuild(i, w, d->source, arena, &i->source, err);
    i->index = d->index;
    i->id = d->id;
    i->routing = d->routing;
    i->source = d->source;
    i->has_version = d->has_version;
    if (d->has_version) i->version = d->version;
    i->if_seq_no = d->has_seq_no ? d->if_seq_no : QD_SEQ_NO_UNASSIGNED;
    i->if_primary_term = d->has_seq_no ? d->if_primary_term : 0;
    return qdi_version_type(d->version_type, &i->version_type, err);
}

void qdi_ingest_drop(doc_item *i)
{
    i->ingested = i->dropped = true;
    i->concrete = i->index;
    i->result = "noop";
    i->status = 200;
    i->done = (qd_engine_result){.seq_no = QD_SEQ_NO_UNASSIGNED};
}

static int begin(running *r, const doc_item *i, const doc_ingest *w, qd_err *err)
{
    qd_ingest_doc d;
    doc_of(i, w, &d);
    return qd_ingest_begin(r->run, &d, err);
}

/* The document after its first pipeline (done, NULL: not yet run) is the operation's. */
static int end(running *r, doc_item *i, const doc_ingest *w, const int *done, qd_err *err)
{
    qd_ingest_doc d;
    int rc = pipelines(r, i, w, done, err);
    if (rc == QD_INGEST_DROPPED) {
        qdi_ingest_drop(i);
        return 0;
    }
    if (!rc) rc = qd_ingest_end(r->run, r->x.arena, &d, err);
    return rc ? rc : qdi_ingest_take(i, w, &d, r->x.arena, err);
}

static void ended(running *r, doc_item *i, int rc, qd_err *err, uint64_t ns)
{
    if (rc) {
        i->concrete = i->index;
        i->rc = rc;
        qdi_item_fail(i, r->x.arena, err);
    }
    qdi_pipelines_count(r->x.a, ns, rc != 0);
}

static void run_one(running *r, doc_item *i, const doc_ingest *w)
{
    uint64_t from = qd_env_mono_ns(r->x.a->env);
    qd_err err;
    qd_err_init(&err);
    int rc = qd_task_check(r->task, &err);
    if (!rc) rc = begin(r, i, w, &err);
    if (!rc) rc = end(r, i, w, NULL, &err);
    ended(r, i, rc, &err, qd_env_mono_ns(r->x.a->env) - from);
    qd_err_fini(&err);
}

/* --- batches, for pipelines with processors of plugins --- */

/* How many operations from the first on go through one such pipeline together; 1: none. *out gets
 * a reference. */
static uint32_t batch_of(running *r, const doc_ingest *w, size_t n, qd_ingest_pipeline **out)
{
    uint32_t k = 1;
    *out = NULL;
    if (n < 2 || !w->pipeline.n || !qd_str_eq(w[0].pipeline, w[1].pipeline) ||
        found(r, w->pipeline, out, NULL) || !*out)
        return 1;
    if (!qd_ingest_batched(*out)) return 1;
    while (k < n && k < QD_INGEST_BATCH && qd_str_eq(w[k].pipeline, w->pipeline)) k++;
    for (uint32_t i = 0; i < k; i++)
        if (!r->runs[i] &&
            qd_ingest_run_open(qdi_pipelines_settings(r->x.a), &r->calls, &r->runs[i], NULL))
            return i > 1 ? i : 1;
    return k;
}

static void run_batch(running *r, doc_item *items, const doc_ingest *w, uint32_t n,
                      qd_ingest_pipeline *p)
{
    uint64_t from = qd_env_mono_ns(r->x.a->env);
    qd_ingest_run *runs[QD_INGEST_BATCH], *own = r->run;
    qd_err errs[QD_INGEST_BATCH], *of[QD_INGEST_BATCH];
    uint32_t at[QD_INGEST_BATCH], live = 0;
    int rc[QD_INGEST_BATCH];
    for (uint32_t k = 0; k < n; k++) {
        qd_err *err = &errs[live];
        qd_err_init(err);
        r->run = r->runs[k];
        int no = qd_task_check(r->task, err);
        if (!no) no = begin(r, &items[w[k].item], &w[k], err);
        if (no) {
            ended(r, &items[w[k].item], no, err, 0);
            qd_err_fini(err);
            continue;
        }
        runs[live] = r->run;
        of[live] = err;
        at[live++] = k;
    }
    qd_ingest_apply_all(runs, live, p, rc, of);
    for (uint32_t k = 0; k < live; k++) {
        doc_item *i = &items[w[at[k]].item];
        r->run = runs[k];
        int came = end(r, i, &w[at[k]], &rc[k], &errs[k]);
        ended(r, i, came, &errs[k], (qd_env_mono_ns(r->x.a->env) - from) / n);
        qd_err_fini(&errs[k]);
    }
    r->run = own;
}

static void run_all(running *r, doc_item *items, const doc_ingest *work, size_t n)
{
    uint32_t step;
    for (size_t k = 0; k < n; k += step) {
        qd_ingest_pipeline *p;
        step = batch_of(r, &work[k], n - k, &p);
        if (step > 1)
            run_batch(r, items, &work[k], step, p);
        else
            run_one(r, &items[work[k].item], &work[k]);
        qd_ingest_unref(p);
    }
}

int qdi_ingest_here(qd_actions *a, qd_task *task, doc_item *items, const doc_ingest *work, size_t n,
                    qd_arena *arena, qd_err *err)
{
    running r = {.x = {.a = a, .arena = arena}, .task = task};
    r.calls = (qd_ingest_calls){.find = find, .arg = &r, .task = task};
    int rc = qd_task_check(task, err);
    if (!rc) rc = qd_ingest_run_open(qdi_pipelines_settings(a), &r.calls, &r.run, err);
    if (rc) return rc;
    r.x.s = qd_cluster_state(a->cluster);
    qd_map_init(&r.x.unknown, a->account);
    run_all(&r, items, work, n);
    for (uint32_t k = 0; k < r.nkept; k++) qd_ingest_unref(r.kept[k]);
    qd_map_fini(&r.x.unknown);
    qd_ingest_run_close(r.run);
    for (uint32_t k = 0; k < QD_INGEST_BATCH; k++) qd_ingest_run_close(r.runs[k]);
    qd_state_unref(r.x.s);
    return 0;
}
