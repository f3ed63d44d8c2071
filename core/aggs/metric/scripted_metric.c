/*
 * scripted_metric.c: scripted_metric: what four scripts make of documents. init_script prepares the
 * state of a bucket, map_script changes it for each document, combine_script makes a value of it,
 * which goes to the coordinating node as JSON, and reduce_script makes the answer of all of these.
 *
 * A state outlives the runs that build it. What runs make piles up behind the script of a segment;
 * when there is much of it, and when the segment ends, the states are copied to an arena of their
 * own, and the rest is freed.
 */
#include "aggs/bind/bind_int.h"
#include "aggs/parse/parse_int.h"
#include "aggs/reduce/reduce_int.h"
#include "runtime/task.h"
#include "script/object.h"
#include "search/script_doc.h"
#include <math.h>

#define TICK 16u              /* runs between two looks at the task */
#define PILE_MAX (8u << 20)   /* bytes that runs have made before states are copied */
#define STATES_MAX (1u << 24) /* of a shard, or of a result */

enum { INIT, MAP, COMBINE, REDUCE, SCRIPTS };

static const struct {
    const char *member, *name;
    qd_script_context context;
} scripts[SCRIPTS] = {[INIT] = {"init_script", "initScript", QD_SCRIPT_AGGS_INIT},
                      [MAP] = {"map_script", "mapScript", QD_SCRIPT_AGGS_MAP},
                      [COMBINE] = {"combine_script", "combineScript", QD_SCRIPT_AGGS_COMBINE},
                      [REDUCE] = {"reduce_script", "reduceScript", QD_SCRIPT_AGGS_REDUCE}};

typedef struct params {
    const qd_script_given *given[SCRIPTS]; /* INIT may be NULL */
} params;

static const params *params_of(const qdi_agg *a)
{
    return a->params;
}

/* Of an index. */
typedef struct bound {
    const qd_script_bind *bind[SCRIPTS];
} bound;

static const bound *bound_of(const qdi_bound *b)
{
    return b->state;
}

/* What shards gave, or the answer. */
typedef struct value {
    qd_str *states; /* JSON, by shard */
    uint32_t n;
    qd_str answer; /* JSON; p NULL: none */
    double number; /* the answer, if it is one; NAN: none */
} value;

static value *value_of(const qdi_out *o)
{
    return o->value;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* The parameters of the aggregation and of one of its scripts. */
static int merge_params(qdi_parse *p, const qd_json_node *agg, const qd_json_node *own, qd_str *out)
{
    qd_buf b;
    qd_json_writer w;
    if (!agg || !own) {
        *out = agg ? agg->raw : own ? own->raw : (qd_str){NULL, 0};
        return 0;
    }
    for (const qd_json_node *m = own->first; m; m = m->next)
        for (const qd_json_node *x = agg->first; x; x = x->next)
            if (qd_str_eq(m->key, x->key))
                return qd_err_set(p->err, QD_E_ARG,
                                  "Parameter name \"%.*s\" used in both aggregation and script "
                                  "parameters",
                                  QD_STR_ARG(m->key));
    qd_buf_init(&b, p->arena->account, QD_SCRIPT_MEMORY);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    for (const qd_json_node *m = agg->first; m; m = m->next) {
        qd_json_key(&w, m->key);
        qd_json_raw_value(&w, m->raw);
    }
    for (const qd_json_node *m = own->first; m; m = m->next) {
        qd_json_key(&w, m->key);
        qd_json_raw_value(&w, m->raw);
    }
    qd_json_object_end(&w);
    *out = qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(p->arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    return out->p ? 0 : qd_err_nomem(p->err, "params of a script");
}

static int read_script(qdi_parse *p, const qd_json_node *m, const qd_json_node *shared,
                       const qd_script_given **out)
{
    const qd_json_node *own = m->type == QD_JSON_T_OBJECT ? qd_json_get(m, "params") : NULL;
    qd_script_given *g = qd_arena_alloc(p->arena, sizeof *g);
    const qd_script_given *read;
    if (!g) return qd_err_nomem(p->err, "a script");
    int rc = qdi_aggs_script(p, m, &read);
    if (rc) return rc;
    *g = *read;
    *out = g;
    return merge_params(p, shared, own && own->type == QD_JSON_T_OBJECT ? own : NULL, &g->params);
}

static int metric_parse(qdi_parse *p, qdi_agg *a)
{
    const qd_json_node *shared = qd_json_get(a->json, "params");
    params *to = a->params;
    if (shared && shared->type != QD_JSON_T_OBJECT)
        return qdi_aggs_wrong_type(p, a->type->name, shared);
    for (uint32_t i = 0; i < SCRIPTS; i++) {
        const qd_json_node *m = qd_json_get(a->json, scripts[i].member);
        int rc = m ? read_script(p, m, shared, &to->given[i]) : 0;
        if (rc) return rc;
        if (!m && i != INIT)
            return qd_err_set(p->err, QD_E_ARG, "[%s] must not be null: [%.*s]", scripts[i].name,
                              QD_STR_ARG(a->name));
    }
    return 0;
}

static int metric_bind(qdi_binder *x, qdi_bound *b)
{
    bound *to = b->state;
    int rc = 0;
    for (uint32_t i = 0; i < SCRIPTS && !rc; i++)
        if (params_of(b->def)->given[i])
            rc = qdi_aggs_bind_script(x, params_of(b->def)->given[i], scripts[i].context,
                                      &to->bind[i]);
    return rc;
}

/* --- collecting ------------------------------------------------------------------------------- */

typedef struct state {
    qd_sv *states; /* by owner; null: not begun */
    uint32_t cap;
    qd_script_exec init, combine;
    qd_arena live[2]; /* the states but what runs have made since, in live[at] */
    uint32_t at;
    qd_script_doc *docs; /* map_script on the leaf; NULL: between leaves */
} state;

static int no_memory(qdi_aggr *a, qd_err *err)
{
    return qdi_aggs_no_memory(a->shard->account, 64, "scripted_metric", err);
}

static int open_exec(qdi_aggr *a, const qd_script_bind *b, qd_script_exec *x, qd_err *err)
{
    qd_script_exec_open(x, b->script, a->shard->account);
    x->now_ms = b->now_ms;
    int rc = qd_script_params_make(&a->shard->arena, b->params, &x->vars[QD_SCRIPT_V_PARAMS], err);
    if (!rc) qd_script_params_fix(&x->vars[QD_SCRIPT_V_PARAMS]);
    return rc;
}

static int metric_open(qdi_aggr *a, qd_err *err)
{
    state *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    const bound *b = bound_of(a->bound);
    if (!t) return no_memory(a, err);
    for (uint32_t i = 0; i < 2; i++)
        qd_arena_init(&t->live[i], a->shard->account, QD_SCRIPT_MEMORY);
    int rc = open_exec(a, b->bind[COMBINE], &t->combine, err);
    return rc || !b->bind[INIT] ? rc : open_exec(a, b->bind[INIT], &t->init, err);
}

static int metric_grow(qdi_aggr *a, uint32_t n, qd_err *err)
{
    state *t = a->state;
    return qdi_aggs_grow(a->shard->account, &t->states, &t->cap, n, sizeof *t->states, err);
}

static int metric_leaf(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    return qd_script_doc_open(bound_of(a->bound)->bind[MAP], a->shard->batch.leaf->segment,
                              &a->shard->leaf_arena, a->shard->account, &t->docs, err);
}

/* Copies the states to where nothing else is, and frees what runs have made. */
static int settle(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    int rc = qd_sv_keep(&t->live[t->at ^ 1], t->states, t->cap, err);
    if (rc == QD_E_NOMEM)
        return qd_err_set(err, QD_E_BREAKER,
                          "[request] Data too large: the states of [scripted_metric] take more "
                          "than [%u] bytes of a shard",
                          QD_SCRIPT_MEMORY);
    if (rc) return rc;
    qd_arena_reset(&t->live[t->at]);
    t->at ^= 1;
    if (t->init.script) qd_arena_reset(&t->init.arena);
    qd_script_doc_forget(t->docs);
    return 0;
}

/* The state of an owner, begun if it is not. */
static int state_of(qdi_aggr *a, uint32_t owner, qd_sv *out, qd_err *err)
{
    state *t = a->state;
    qd_sv *at = &t->states[owner], unused;
    int rc = 0;
    if (at->tag == QD_SV_NULL) {
        if (qd_sv_map_make(&t->live[t->at], at)) return no_memory(a, err);
        if (t->init.script) {
            t->init.vars[QD_SCRIPT_V_STATE] = *at;
            rc = qd_script_run(&t->init, &unused, err);
        }
    }
    *out = *at;
    return rc;
}

static int metric_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                          qd_err *err)
{
    state *t = a->state;
    const qdi_batch *b = &a->shard->batch;
    int rc = qdi_aggs_batch_docs(a->shard, err);
    for (uint32_t i = 0; i < n && !rc; i++) {
        uint32_t at = idx ? idx[i] : i;
        qd_sv unused;
        if (i % TICK == 0) rc = qd_task_poll(a->shard->o.task);
        if (!rc)
            rc = state_of(a, owner ? owner[i] : 0,
                          &qd_script_doc_exec(t->docs)->vars[QD_SCRIPT_V_STATE], err);
        if (!rc)
            rc = qd_script_doc_run_on(t->docs, b->docs[at], b->scores ? (double)b->scores[at] : 0,
                                      &unused, err);
        if (!rc && qd_script_doc_held(t->docs) + t->init.arena.total > PILE_MAX)
            rc = settle(a, err);
    }
    return rc;
}

static int metric_leaf_end(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    int rc = t->docs ? settle(a, err) : 0;
    t->docs = NULL;
    return rc;
}

/* A value as JSON, in arena. */
static int to_json(const qd_sv *v, qd_arena *arena, qd_str *out, qd_err *err)
{
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, arena->account, QD_SCRIPT_MEMORY);
    qd_json_writer_init(&w, &b, false);
    int rc = qd_sv_write(v, &w, err);
    *out = rc || qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    return rc || out->p ? rc : qd_err_nomem(err, "the value of a script");
}

static int metric_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    state *t = a->state;
    value *v = value_of(out);
    qd_sv got;
    v->number = NAN;
    v->states = qd_arena_alloc(&a->shard->partial->arena, sizeof *v->states);
    if (!v->states) return no_memory(a, err);
    int rc = state_of(a, owner, &t->combine.vars[QD_SCRIPT_V_STATE], err);
    if (!rc) rc = qd_script_run(&t->combine, &got, err);
    if (!rc) rc = to_json(&got, &a->shard->partial->arena, v->states, err);
    v->n = !rc;
    qd_arena_reset(&t->combine.arena);
    return rc;
}

static void metric_close(qdi_aggr *a)
{
    state *t = a->state;
    if (!t) return;
    if (t->init.script) qd_script_exec_close(&t->init);
    if (t->combine.script) qd_script_exec_close(&t->combine);
    for (uint32_t i = 0; i < 2; i++) qd_arena_fini(&t->live[i]);
    qd_free(t->states);
}

static const qdi_ops ops = {.open = metric_open,
                            .grow = metric_grow,
                            .leaf = metric_leaf,
                            .collect = metric_collect,
                            .leaf_end = metric_leaf_end,
                            .build = metric_build,
                            .close = metric_close};

/* --- results ---------------------------------------------------------------------------------- */

/* The answer of all states. */
static int reduce_states(qdi_reduce *r, const qdi_out *out, const qd_script *script, qd_err *err)
{
    const qd_script_given *g = params_of(out->def)->given[REDUCE];
    value *v = value_of(out);
    qd_script_exec x;
    qd_arena given;
    qd_sv got = qd_sv_null(), *states = &x.vars[QD_SCRIPT_V_STATES];
    qd_arena_init(&given, r->arena->account, 4ul * QD_SCRIPT_MEMORY);
    qd_script_exec_open(&x, script, r->arena->account);
    x.now_ms = r->nbounds ? bound_of(&r->bounds[0]->at[out->def->id])->bind[REDUCE]->now_ms : 0;
    int rc = qd_script_params_make(&given, g->params, &x.vars[QD_SCRIPT_V_PARAMS], err);
    if (!rc && qd_sv_list_make(&given, v->n, states)) rc = qd_err_nomem(err, "states of scripts");
    for (uint32_t i = 0; i < v->n && !rc; i++) {
        rc = qd_sv_parse(&given, v->states[i], &states->list->v[i], err);
        states->list->n += !rc;
    }
    if (!rc) rc = qd_script_run(&x, &got, err);
    if (!rc) rc = to_json(&got, r->arena, &v->answer, err);
    bool real = got.tag == QD_SV_FLOAT || got.tag == QD_SV_DOUBLE;
    if (!rc && got.tag >= QD_SV_BYTE && got.tag <= QD_SV_DOUBLE && got.tag != QD_SV_CHAR)
        v->number = real ? got.f : (double)got.i;
    qd_script_exec_close(&x);
    qd_arena_fini(&given);
    return rc;
}

static int metric_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    const qd_script_given *g = params_of(out->def)->given[REDUCE];
    value *v = value_of(out);
    uint64_t n = 0;
    qd_script *script;
    v->number = NAN;
    for (uint32_t i = 0; i < k; i++) n += value_of(in[i])->n;
    if (n > STATES_MAX) return qdi_aggs_reduce_no_memory(r, n * sizeof *v->states, err);
    v->states = qd_arena_alloc(r->arena, (n + 1) * sizeof *v->states);
    if (!v->states) return qdi_aggs_reduce_no_memory(r, n * sizeof *v->states, err);
    for (uint32_t i = 0; i < k; i++)
        for (uint32_t j = 0; j < value_of(in[i])->n; j++) {
            v->states[v->n] = qd_arena_str(r->arena, value_of(in[i])->states[j]);
            if (!v->states[v->n++].p) return qdi_aggs_reduce_no_memory(r, 64, err);
        }
    if (!r->final || !v->n) return 0; /* a bucket that no shard made has no value */
    int rc = qd_script_compile(g->lang, g->source, QD_SCRIPT_AGGS_REDUCE, &script, err);
    if (!rc) {
        rc = reduce_states(r, out, script, err);
        qd_script_put(script);
    }
    return rc;
}

static double metric_value(const qdi_out *o, qd_str member)
{
    (void)member;
    return value_of(o)->number;
}

static void metric_send(const qdi_out *o, qd_writer *w)
{
    qd_write_array(w, value_of(o)->n);
    for (uint32_t i = 0; i < value_of(o)->n; i++) qd_write_str(w, value_of(o)->states[i]);
}

static void metric_receive(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena)
{
    value *v = value_of(o);
    (void)tree;
    uint32_t n = (uint32_t)qd_read_array(r, "scripted_metric.states", STATES_MAX, 1);
    v->number = NAN;
    v->states = qd_arena_alloc(arena, (n + 1ul) * sizeof *v->states);
    if (!v->states) qd_body_reader_nomem(r, "scripted_metric");
    while (v->n < n && !qd_body_reader_bad(r))
        v->states[v->n++] = qd_read_str_copy(r, "scripted_metric.state", QD_SCRIPT_MEMORY, arena);
}

static void metric_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    (void)typed;
    qd_json_key_c(w, "value");
    if (value_of(o)->answer.p)
        qd_json_raw_value(w, value_of(o)->answer);
    else
        qd_json_null(w);
}

const qd_agg_type qdi_aggs_scripted_metric = {
    .name = "scripted_metric",
    .key = "scripted_metric",
    .flags = QDI_METRIC | QDI_NO_ORDER,
    .params_size = sizeof(params),
    .bound_size = sizeof(bound),
    .value_size = sizeof(value),
    .members = "init_script,map_script,combine_script,reduce_script,params",
    .parse = metric_parse,
    .bind = metric_bind,
    .ops = &ops,
    .reduce = metric_reduce,
    .value = metric_value,
    .send = metric_send,
    .receive = metric_receive,
    .write = metric_write,
};
