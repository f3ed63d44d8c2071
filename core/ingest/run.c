/* run.c: documents through pipelines. See ingest.h. */
#include "ingest/percent.h"
#include "ingest/pipeline_int.h"
#include "mapping/date_format.h"
#include <stdio.h>

#define DOCUMENT_MAX ((size_t)64 << 20) /* bytes of one document's tree */
#define OUT_MAX ((size_t)128 << 20)

static void let_go(qd_ingest_run *r)
{
    for (size_t k = 0; k < r->held.n; k++) qd_ingest_unref(r->held.at[k]);
    r->held.n = 0;
}

int qd_ingest_run_open(const qd_ingest_settings *s, const qd_ingest_calls *calls,
                       qd_ingest_run **out, qd_err *err)
{
    qd_ingest_run *r = qd_calloc(s->account, sizeof *r);
    if (!r) return qd_err_nomem(err, "run of a pipeline");
    r->s = s;
    r->calls = *calls;
    qd_arena_init(&r->arena, s->account, DOCUMENT_MAX);
    r->reader = QD_JSON_READER(s->account);
    qd_buf_init(&r->out, s->account, OUT_MAX);
    *out = r;
    return 0;
}

void qd_ingest_run_close(qd_ingest_run *r)
{
    if (!r) return;
    let_go(r);
    qd_vec_fini(&r->held);
    qd_json_reader_fini(&r->reader);
    qd_buf_fini(&r->out);
    qdi_regex_room_free(&r->regex);
    qdi_scripting_free(r->scripting);
    qd_arena_fini(&r->arena);
    qd_free(r);
}

int qdi_run_nomem(qd_err *err)
{
    return qd_err_nomem(err, "document of a pipeline");
}

char *qdi_run_bytes(qd_ingest_run *r, size_t n, qd_err *err)
{
    char *p = qd_arena_bytes(&r->arena, n + 1);
    if (!p) (void)qdi_run_nomem(err);
    return p;
}

/* --- a document --- */

static bool put(qd_ingest_run *r, qd_iv *map, const char *key, qd_iv v)
{
    qd_iv *at = qd_iv_put(&r->arena, map, qd_str_c(key));
    if (at) *at = v;
    return at != NULL;
}

static bool put_str(qd_ingest_run *r, qd_iv *map, const char *key, qd_str s)
{
    return put(r, map, key, s.p ? QD_IV_STRING(s) : (qd_iv){.kind = QD_IV_NULL});
}

static bool put_meta(qd_ingest_run *r, const qd_ingest_doc *d)
{
    bool ok = put_str(r, &r->meta, "_index", d->index) && put_str(r, &r->meta, "_id", d->id);
    if (ok && d->routing.p) ok = put_str(r, &r->meta, "_routing", d->routing);
    if (ok && d->has_version) ok = put(r, &r->meta, "_version", QD_IV_INTEGER(d->version));
    if (ok && d->version_type.p) ok = put_str(r, &r->meta, "_version_type", d->version_type);
    if (ok && d->has_seq_no) {
        ok = put(r, &r->meta, "_if_seq_no", QD_IV_INTEGER(d->if_seq_no)) &&
             put(r, &r->meta, "_if_primary_term", QD_IV_INTEGER(d->if_primary_term));
    }
    return ok;
}

static bool put_timestamp(qd_ingest_run *r)
{
    char text[128];
    r->now_ms = qd_env_wall_ms(r->s->env);
    size_t n = qd_date_print(qd_date_format_default(), r->now_ms, NULL, text);
    qd_str s = qd_arena_str(&r->arena, (qd_str){text, n});
    return s.p && put_str(r, &r->ingest, "timestamp", s);
}

int qd_ingest_begin(qd_ingest_run *r, const qd_ingest_doc *doc, qd_err *err)
{
    qd_arena_reset(&r->arena);
    let_go(r);
    r->source = r->meta = r->ingest = (qd_iv){.kind = QD_IV_MAP};
    r->steps = 0;
    r->depth = 0;
    r->npipelines = 0;
    r->failed_type = NULL;
    r->regex.too_long = 0;
    r->type = doc->type;
    qd_json_reader_init(&r->reader, doc->source, QD_JSON_REQUEST, 0);
    int rc = qd_iv_read(&r->arena, &r->reader, &r->source, err);
    if (!rc && qd_json_next(&r->reader) < 0) rc = qd_json_fail(&r->reader, err);
    if (rc) return rc;
    if (r->source.kind != QD_IV_MAP)
        return qd_err_set(err, QD_E_ES_PARSE, "the document of a pipeline must be an object");
    return put_meta(r, doc) && put_timestamp(r) ? 0 : qdi_run_nomem(err);
}

/* --- its end --- */

static int meta_text(const qd_ingest_run *r, const char *key, qd_arena *a, qd_str *out, qd_err *err)
{
    const qd_iv *v = qd_iv_get(&r->meta, qd_str_c(key));
    *out = (qd_str){NULL, 0};
    if (!v || v->kind == QD_IV_NULL) return 0;
    if (v->kind == QD_IV_LIST || v->kind == QD_IV_MAP)
        return qd_err_set(err, QD_E_ARG, "field [%s] of type [%s] cannot be cast to [%s]", key,
                          qd_iv_class(v), "java.lang.String");
    qd_str text = qd_iv_text(a, v);
    if (text.p) *out = qd_arena_str(a, text);
    return out->p ? 0 : qdi_run_nomem(err);
}

static int meta_number(const qd_ingest_run *r, const char *key, bool *has, int64_t *out,
                       qd_err *err)
{
    const qd_iv *v = qd_iv_get(&r->meta, qd_str_c(key));
    *has = v && v->kind != QD_IV_NULL;
    if (!*has) return 0;
    if (v->kind == QD_IV_LONG) {
        *out = v->i;
        return 0;
    }
    if (v->kind == QD_IV_STR && qd_str_i64(v->s, out)) return 0;
    return qd_err_set(err, QD_E_ARG, "field [%s] of type [%s] cannot be cast to [%s]", key,
                      qd_iv_class(v), "java.lang.Number");
}

int qd_ingest_end(qd_ingest_run *r, qd_arena *a, qd_ingest_doc *out, qd_err *err)
{
    qd_json_writer w;
    bool term;
    *out = (qd_ingest_doc){.type = r->type};
    int rc = meta_text(r, "_index", a, &out->index, err);
    if (!rc) rc = meta_text(r, "_id", a, &out->id, err);
    if (!rc) rc = meta_text(r, "_routing", a, &out->routing, err);
    if (!rc) rc = meta_text(r, "_version_type", a, &out->version_type, err);
    if (!rc) rc = meta_number(r, "_version", &out->has_version, &out->version, err);
    if (!rc) rc = meta_number(r, "_if_seq_no", &out->has_seq_no, &out->if_seq_no, err);
    if (!rc) rc = meta_number(r, "_if_primary_term", &term, &out->if_primary_term, err);
    if (!rc) rc = qd_iv_check(&r->source, err);
    if (rc) return rc;
    qd_buf_reset(&r->out);
    qd_json_writer_init(&w, &r->out, false);
    qd_iv_write(&r->source, &w);
    if (qd_buf_status(&r->out)) return qdi_run_nomem(err);
    out->source = qd_arena_str(a, qd_buf_view(&r->out));
    return out->source.p ? 0 : qdi_run_nomem(err);
}

qd_str qd_ingest_index(const qd_ingest_run *r)
{
    const qd_iv *v = qd_iv_get(&r->meta, QD_STR("_index"));
    return v && v->kind == QD_IV_STR ? v->s : (qd_str){NULL, 0};
}

void qd_ingest_doc_write(const qd_ingest_run *r, qd_json_writer *w)
{
    static const char *const keys[] = {"_index",     "_type",           "_id",
                                       "_routing",   "_version",        "_version_type",
                                       "_if_seq_no", "_if_primary_term"};
    qd_json_object(w);
    for (uint32_t k = 0; k < QD_COUNT_OF(keys); k++) {
        const qd_iv *v = qd_iv_get(&r->meta, qd_str_c(keys[k]));
        if (k == 1 && !v && r->type.p) qd_json_field_str(w, "_type", r->type);
        if (!v || v->kind == QD_IV_NULL) continue;
        qd_json_key_c(w, keys[k]);
        if (v->kind == QD_IV_LONG)
            qd_json_printf(w, "%lld", (long long)v->i);
        else
            qd_iv_write(v, w);
    }
    qd_json_key_c(w, "_source");
    if (qd_iv_check(&r->source, NULL))
        qd_json_null(w);
    else
        qd_iv_write(&r->source, w);
    qd_json_key_c(w, "_ingest");
    if (qd_iv_check(&r->ingest, NULL))
        qd_json_null(w);
    else
        qd_iv_write(&r->ingest, w);
    qd_json_object_end(w);
}

void qd_ingest_trace_set(qd_ingest_run *r,
                         void (*told)(void *arg, const qd_ingest_run *r, const qd_ingest_trace *t),
                         void *arg)
{
    r->told = told;
    r->told_arg = arg;
}

/* --- processors --- */

static void tell(const qd_ingest_run *r, const qdi_step *s, const char *status, const qd_err *err)
{
    qd_ingest_trace t = {.type = s->type->name,
                         .tag = s->tag,
                         .description = s->description,
                         .status = status,
                         .err = err};
    if (r->told) r->told(r->told_arg, r, &t);
}

static const qd_err *root_of(const qd_err *err)
{
    while (err->cause) err = err->cause;
    return err;
}

/* What on_failure may look at. */
static bool put_failure(qd_ingest_run *r, const qd_err *err)
{
    qd_str why = qd_arena_str(&r->arena, qd_str_c(qd_err_reason(root_of(err))));
    if (why.p) why = qdi_utf8_sane(r, why); /* it may be cut */
    bool ok = why.p && put_str(r, &r->ingest, "on_failure_message", why) &&
              put_str(r, &r->ingest, "on_failure_processor_type", qd_str_c(r->failed_type)) &&
              put_str(r, &r->ingest, "on_failure_processor_tag", r->failed_tag);
    if (ok && r->failed_pipeline.p)
        ok = put_str(r, &r->ingest, "on_failure_pipeline", r->failed_pipeline);
    return ok;
}

static void remove_failure(qd_ingest_run *r)
{
    (void)qd_iv_remove(&r->ingest, QD_STR("on_failure_message"));
    (void)qd_iv_remove(&r->ingest, QD_STR("on_failure_processor_type"));
    (void)qd_iv_remove(&r->ingest, QD_STR("on_failure_processor_tag"));
    (void)qd_iv_remove(&r->ingest, QD_STR("on_failure_pipeline"));
    r->failed_type = NULL;
}

/* The document as a whole cannot go on: no processor is asked what to do then. */
static bool ended(const qd_ingest_run *r, int rc)
{
    return rc == QD_E_NOMEM || rc == QD_E_BREAKER || rc == QD_E_CANCELLED ||
           r->steps > QDI_STEPS_MAX || r->regex.too_long > QDI_REGEX_TOO_LONG_MAX;
}

/* Runs what is to run after a failure, whose error is taken. */
static int recover(qd_ingest_run *r, const qdi_steps *s, qd_err *err)
{
    qd_err was;
    qd_err_init(&was);
    qd_err_move(&was, err);
    int rc = put_failure(r, &was) ? 0 : qdi_run_nomem(err);
    r->failed_type = NULL; /* one that fails now is told itself */
    if (!rc) rc = qdi_steps_run(r, s, err);
    qd_err_fini(&was);
    if (rc >= 0) remove_failure(r);
    return rc;
}

static void note_failed(qd_ingest_run *r, const qdi_step *s)
{
    if (r->failed_type) return;
    r->failed_type = s->type->name;
    r->failed_tag = s->tag;
    r->failed_pipeline = (qd_str){NULL, 0};
    if (r->npipelines > 1) r->failed_pipeline = r->pipelines[r->npipelines - 1]->id;
}

/* One processor more runs on the document. */
static int count_step(qd_ingest_run *r, qd_err *err)
{
    if (++r->steps <= QDI_STEPS_MAX) return 0;
    return qd_err_set(err, QD_E_ARG, "more than [%u] processors ran for one document",
                      QDI_STEPS_MAX);
}

static void count(qd_ingest_counts *c, uint64_t n, uint64_t failed, uint64_t ns)
{
    atomic_fetch_add_explicit(&c->count, n, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->ns, ns, memory_order_relaxed);
    if (failed) atomic_fetch_add_explicit(&c->failed, failed, memory_order_relaxed);
}

static int one(qd_ingest_run *r, const qdi_step *s, qd_err *err)
{
    uint64_t from = qd_env_mono_ns(r->s->env);
    int rc = count_step(r, err);
    if (rc) return rc;
    rc = s->type->run(s->config, r, err);
    count(s->counts, 1, rc < 0, qd_env_mono_ns(r->s->env) - from);
    return rc;
}

/* Does the processor run on the document? 1, 0 or an error. */
static int wanted(qd_ingest_run *r, const qdi_step *s, qd_err *err)
{
    int yes = s->condition ? qdi_script_test(s->condition, r, err) : 1;
    if (!yes) tell(r, s, "skipped", NULL);
    return yes;
}

/* After a processor: 0, the document goes on, or what the steps as a whole come to. */
static int after(qd_ingest_run *r, const qdi_step *s, int rc, qd_err *err)
{
    if (rc >= 0) {
        tell(r, s, rc == QD_INGEST_DROPPED ? "dropped" : "success", NULL);
        return rc;
    }
    if (ended(r, rc)) return rc;
    note_failed(r, s);
    tell(r, s, s->ignore_failure ? "error_ignored" : "error", err);
    if (s->ignore_failure) {
        qd_err_fini(err);
        r->failed_type = NULL;
        return 0;
    }
    return s->on_failure ? recover(r, s->on_failure, err) : rc;
}

static int step(qd_ingest_run *r, const qdi_step *s, qd_err *err)
{
    int yes = wanted(r, s, err);
    return yes ? after(r, s, yes < 0 ? yes : one(r, s, err), err) : 0;
}

int qdi_steps_run(qd_ingest_run *r, const qdi_steps *steps, qd_err *err)
{
    int rc = 0;
    for (uint32_t k = 0; k < steps->n && !rc; k++) rc = step(r, &steps->at[k], err);
    return rc;
}

/* --- pipelines --- */

/* The document's steps have come to rc: the pipeline's own on_failure. */
static int finish(qd_ingest_run *r, qd_ingest_pipeline *p, int rc, qd_err *err)
{
    return rc < 0 && !ended(r, rc) && p->on_failure.n ? recover(r, &p->on_failure, err) : rc;
}

/* Constants of a pipeline become values of the document without a copy. */
static int hold(qd_ingest_run *r, qd_ingest_pipeline *p, qd_err *err)
{
    for (size_t k = 0; k < r->held.n; k++) {
        if (r->held.at[k] == p) return 0;
    }
    if (qd_vec_push(&r->held, r->s->account, p)) return qdi_run_nomem(err);
    (void)qd_ingest_ref(p);
    return 0;
}

/* A document in a pipeline. */
typedef struct visit {
    qd_iv was; /* _ingest.pipeline before */
    uint64_t from;
} visit;

static int enter(qd_ingest_run *r, qd_ingest_pipeline *p, visit *v, qd_err *err)
{
    const qd_iv *now = qd_iv_get(&r->ingest, QD_STR("pipeline"));
    int rc = hold(r, p, err);
    if (rc) return rc;
    *v = (visit){.from = qd_env_mono_ns(r->s->env)};
    for (uint32_t k = 0; k < r->npipelines; k++) {
        if (!qd_str_eq(r->pipelines[k]->id, p->id)) continue;
        rc = qd_err_set(err, QD_E_STATE, "Cycle detected for pipeline: %.*s", QD_STR_ARG(p->id));
        qd_err_type(err, "illegal_state_exception", 500);
        return rc;
    }
    if (r->npipelines == QDI_NESTING_MAX)
        return qd_err_set(err, QD_E_ARG, "pipelines may run within one another [%u] deep",
                          QDI_NESTING_MAX);
    if (now) v->was = *now;
    if (!put_str(r, &r->ingest, "pipeline", p->id)) return qdi_run_nomem(err);
    atomic_fetch_add_explicit(&p->counts.current, 1, memory_order_relaxed);
    r->pipelines[r->npipelines++] = p;
    return 0;
}

static int leave(qd_ingest_run *r, qd_ingest_pipeline *p, const visit *v, int rc, qd_err *err)
{
    rc = finish(r, p, rc, err);
    r->npipelines--;
    atomic_fetch_sub_explicit(&p->counts.current, 1, memory_order_relaxed);
    count(&p->counts, 1, rc < 0, qd_env_mono_ns(r->s->env) - v->from);
    if (v->was.kind == QD_IV_STR)
        (void)put(r, &r->ingest, "pipeline", v->was);
    else
        (void)qd_iv_remove(&r->ingest, QD_STR("pipeline"));
    return rc;
}

static int run_pipeline(qd_ingest_run *r, qd_ingest_pipeline *p, qd_err *err)
{
    visit v;
    int rc = enter(r, p, &v, err);
    return rc ? rc : leave(r, p, &v, qdi_steps_run(r, &p->steps, err), err);
}

int qd_ingest_apply(qd_ingest_run *r, qd_ingest_pipeline *p, qd_err *err)
{
    return run_pipeline(r, p, err);
}

/* --- several documents ---------------------------------------------------------------------- */

/* One processor on the documents that go on, those that it is to run on in one call. */
static void step_all(qd_ingest_run *const *runs, uint32_t n, const qdi_step *s, int *rc,
                     qd_err *const *err)
{
    qd_ingest_run *some[QD_INGEST_BATCH];
    qd_err *errs[QD_INGEST_BATCH];
    uint32_t of[QD_INGEST_BATCH], nsome = 0, nfailed = 0;
    int rcs[QD_INGEST_BATCH];
    uint64_t from = qd_env_mono_ns(runs[0]->s->env);
    for (uint32_t i = 0; i < n; i++) {
        if (rc[i]) continue;
        int yes = wanted(runs[i], s, err[i]);
        if (yes > 0) yes = count_step(runs[i], err[i]) ? QD_E_ARG : 1;
        if (yes < 0) rc[i] = after(runs[i], s, yes, err[i]);
        if (yes <= 0) continue;
        some[nsome] = runs[i];
        errs[nsome] = err[i];
        of[nsome++] = i;
    }
    if (!nsome) return;
    s->type->run_all(s->config, some, nsome, rcs, errs);
    for (uint32_t k = 0; k < nsome; k++) nfailed += rcs[k] < 0;
    count(s->counts, nsome, nfailed, qd_env_mono_ns(runs[0]->s->env) - from);
    for (uint32_t k = 0; k < nsome; k++) rc[of[k]] = after(some[k], s, rcs[k], errs[k]);
}

void qd_ingest_apply_all(qd_ingest_run *const *runs, uint32_t n, qd_ingest_pipeline *p, int *rc,
                         qd_err *const *err)
{
    visit visits[QD_INGEST_BATCH];
    bool in[QD_INGEST_BATCH];
    qd_assert(n <= QD_INGEST_BATCH);
    for (uint32_t i = 0; i < n; i++) {
        rc[i] = enter(runs[i], p, &visits[i], err[i]);
        in[i] = !rc[i];
    }
    for (uint32_t k = 0; n && k < p->steps.n; k++) {
        const qdi_step *s = &p->steps.at[k];
        if (s->type->run_all) {
            step_all(runs, n, s, rc, err);
            continue;
        }
        for (uint32_t i = 0; i < n; i++)
            if (!rc[i]) rc[i] = step(runs[i], s, err[i]);
    }
    uint64_t now = n ? qd_env_mono_ns(runs[0]->s->env) : 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!in[i]) continue;
        visits[i].from = now - (now - visits[i].from) / n; /* its share of the time */
        rc[i] = leave(runs[i], p, &visits[i], rc[i], err[i]);
    }
}

bool qd_ingest_batched(const qd_ingest_pipeline *p)
{
    for (uint32_t k = 0; k < p->steps.n; k++)
        if (p->steps.at[k].type->run_all) return true;
    return false;
}

int qdi_run_pipeline(qd_ingest_run *r, qd_str id, bool ignore_missing, qd_err *err)
{
    qd_ingest_pipeline *p = r->calls.find(r->calls.arg, id);
    if (!p && ignore_missing) return 0;
    if (!p) {
        int rc = qd_err_set(err, QD_E_STATE,
                            "Pipeline processor configured for non-existent pipeline [%.*s]",
                            QD_STR_ARG(id));
        qd_err_type(err, "illegal_state_exception", 500);
        return rc;
    }
    int rc = run_pipeline(r, p, err);
    qd_ingest_unref(p);
    return rc == QD_INGEST_REROUTED ? 0 : rc;
}
