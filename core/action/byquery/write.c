/* write.c: a batch of hits as operations of a bulk request, and what becomes of them. */
#include "action/byquery/byquery_int.h"
#include "base/str.h"

#define TRIES 10 /* of operations that a full node refuses */
#define FIRST_PAUSE_NS UINT64_C(50000000)
#define FAILURES_MAX ((size_t)16 << 20)

static bool text_of(const qd_json_node *hit, const char *key, qd_str *out)
{
    const qd_json_node *n = qd_json_get(hit, key);
    if (n) *out = qd_json_text(n);
    return n != NULL;
}

static int64_t number_of(const qd_json_node *hit, const char *key)
{
    qd_str text;
    int64_t v;
    return text_of(hit, key, &text) && qd_str_i64(text, &v) ? v : 0;
}

/* Where the copy goes, and under which conditions. */
static void copy_to(const bq_spec *s, const qd_json_node *hit, doc_item *i)
{
    i->op = s->op;
    i->index = s->dest;
    if (qd_str_is(s->dest_routing, "discard")) i->routing = (qd_str){NULL, 0};
    if (qd_str_starts(s->dest_routing, QD_STR("=")))
        i->routing = qd_str_sub(s->dest_routing, 1, s->dest_routing.n);
    if (s->external) {
        i->has_version = true;
        i->version = number_of(hit, "_version");
        i->version_type = s->version_type;
    }
}

static int make_item(const bq_spec *s, const qd_json_node *hit, doc_item *i, qd_err *err)
{
    const qd_json_node *source = qd_json_get(hit, "_source");
    qdi_item_init(i);
    (void)text_of(hit, "_id", &i->id);
    (void)text_of(hit, "_routing", &i->routing);
    (void)text_of(hit, "_index", &i->index);
    if (s->kind != BQ_DELETE && !source)
        return qd_err_set(err, QD_E_ARG, "[%.*s][_doc][%.*s] didn't store _source",
                          QD_STR_ARG(i->index), QD_STR_ARG(i->id));
    if (source) i->source = source->raw;
    if (s->pipeline.n) i->pipeline = s->pipeline;
    if (s->kind == BQ_REINDEX) {
        copy_to(s, hit, i);
        return 0;
    }
    i->op = s->kind == BQ_DELETE ? DOC_DELETE : DOC_INDEX;
    i->if_seq_no = number_of(hit, "_seq_no");
    i->if_primary_term = number_of(hit, "_primary_term");
    return 0;
}

static int by_script(bq_script *b, const qd_json_node *hit, doc_item *i, qd_arena *arena,
                     bool *skip, qd_err *err)
{
    if (!b->script) return 0;
    doc_ctx c = {.source = i->source, .version = number_of(hit, "_version")};
    (void)text_of(hit, "_index", &c.index);
    (void)text_of(hit, "_id", &c.id);
    (void)text_of(hit, "_routing", &c.routing);
    return qdi_bq_script_run(b, &c, i, arena, skip, err);
}

static void worse(bq_job *job, int status)
{
    job->stopped = true;
    if (status > job->status) job->status = status;
}

/* Under the job's lock. */
static void item_failed(bq_job *job, const doc_item *i)
{
    qd_json_writer w;
    worse(job, i->status);
    if (job->failures.n > FAILURES_MAX) return; /* the first ones tell enough */
    if (job->nfailures++) (void)qd_buf_char(&job->failures, ',');
    qd_json_writer_init(&w, &job->failures, false);
    qd_json_object(&w);
    qd_json_field_str(&w, "index", i->concrete.n ? i->concrete : i->index);
    qdi_type_write(job->a, &w);
    qd_json_field_str(&w, "id", i->id);
    qd_json_key_c(&w, "cause");
    qdi_item_error_write(i, &w);
    qd_json_field_int(&w, "status", i->status);
    qd_json_object_end(&w);
}

void qdi_bq_failed(bq_job *job, qd_err *err)
{
    qd_json_writer w;
    qd_mutex_lock(&job->lock);
    worse(job, qd_err_status(err));
    if (job->nfailures++) (void)qd_buf_char(&job->failures, ',');
    qd_json_writer_init(&w, &job->failures, false);
    qd_json_object(&w);
    qd_json_field_int(&w, "shard", -1);
    qd_json_field_int(&w, "status", qd_err_status(err));
    qd_json_key_c(&w, "reason");
    qd_error_write(&w, err);
    qd_json_object_end(&w);
    qd_waitq_wake(&job->changed);
    qd_mutex_unlock(&job->lock);
    qd_err_fini(err);
}

/* Counts what became of the items that are not to be tried again. */
static void settle(bq_slice *s, const doc_item *items, size_t n)
{
    bq_job *job = s->job;
    bq_kind kind = job->spec.kind;
    qd_mutex_lock(&job->lock);
    for (size_t k = 0; k < n; k++) {
        const doc_item *i = &items[k];
        if (i->dropped) {
            s->status.noops++;
            continue;
        }
        if (!i->rc) {
            bool gone = i->op == DOC_DELETE, made = kind == BQ_REINDEX && i->status == 201;
            s->status.deleted += gone;
            s->status.created += made && !gone;
            s->status.updated += !made && !gone;
            continue;
        }
        bool conflict = i->rc == QD_E_VERSION_CONFLICT;
        if (conflict && (s->again || s->newer) && job->spec.op == DOC_CREATE) {
            s->status.created += s->again; /* by the node that ran the job before */
            s->status.noops += !s->again;
            continue;
        }
        s->status.conflicts += conflict;
        if (!conflict || !job->spec.proceed) item_failed(job, i);
    }
    if (job->stopped) qd_waitq_wake(&job->changed);
    qd_mutex_unlock(&job->lock);
}

/* Puts those that a full node refused in front; how many these are. */
static size_t refused(doc_item *items, size_t n)
{
    size_t m = 0;
    for (size_t k = 0; k < n; k++) {
        if (items[k].rc != QD_E_REJECTED) continue;
        doc_item x = items[m];
        items[m++] = items[k];
        items[k] = x;
    }
    return m;
}

static void wait_a_while(bq_slice *s, uint64_t ns)
{
    bq_job *job = s->job;
    qd_mutex_lock(&job->lock);
    s->status.bulk_retries++;
    uint64_t until = qd_env_mono_ns(job->a->env) + ns;
    if (!job->stopped) (void)qd_waitq_wait_task(&job->changed, until);
    qd_mutex_unlock(&job->lock);
}

/* What an operation was before it was refused. */
static void again(doc_item *i)
{
    doc_item was = *i;
    qdi_item_fini(i);
    qdi_item_init(i);
    i->op = was.op;
    i->index = was.index;
    i->id = was.id;
    i->routing = was.routing;
    i->source = was.source;
    i->pipeline = was.pipeline;
    i->ingested = was.ingested;
    i->has_version = was.has_version;
    i->version = was.version;
    i->version_type = was.version_type;
    i->if_seq_no = was.if_seq_no;
    i->if_primary_term = was.if_primary_term;
}

static int apply(bq_slice *s, doc_item *items, size_t n, size_t bytes, qd_arena *arena, qd_err *err)
{
    bq_job *job = s->job;
    uint64_t pause = FIRST_PAUSE_NS;
    for (int i = 0;; i++, pause *= 2) {
        doc_run *run = NULL;
        doc_request r = {.a = job->a,
                         .task = job->task,
                         .timeout_ms = job->spec.timeout_ms,
                         .active = job->spec.active,
                         .hint = s->id,
                         .marks = &s->marks};
        int rc = qdi_docs_run(&r, items, n, bytes, arena, &run, err);
        if (rc) return rc;
        bool last = i == TRIES || qd_task_poll(job->task);
        size_t m = last ? 0 : refused(items, n);
        settle(s, items + m, n - m);
        for (size_t k = 0; k < m; k++) again(&items[k]); /* before the run's memory goes */
        qdi_docs_free(run);
        for (size_t k = m; k < n; k++) qdi_item_fini(&items[k]);
        if (!m) return 0;
        n = m;
        wait_a_while(s, pause);
    }
}

int qdi_bq_write(bq_slice *s, const qd_json_node *hits, qd_err *err)
{
    qd_arena arena;
    size_t n = 0, bytes = 0;
    int rc = 0;
    qd_arena_init(&arena, s->job->a->account, 0);
    doc_item *items = qd_arena_alloc(&arena, hits->n * sizeof *items);
    if (!items) rc = qd_err_nomem(err, "a batch of documents");
    bq_script script;
    uint64_t noops = 0;
    if (!rc) rc = qdi_bq_script_open(&script, s->job, &arena, err);
    bool opened = !rc;
    for (const qd_json_node *h = hits->first; h && !rc; h = h->next) {
        bool skip = false;
        rc = make_item(&s->job->spec, h, &items[n], err);
        if (!rc) rc = by_script(&script, h, &items[n], &arena, &skip, err);
        if (rc) break;
        noops += skip;
        if (!skip) bytes += items[n++].source.n;
    }
    if (opened) qdi_bq_script_close(&script);
    if (!rc) {
        s->before_n = n;
        s->before_ns = qd_env_mono_ns(s->job->a->env);
        if (n) rc = apply(s, items, n, bytes, &arena, err);
        qd_mutex_lock(&s->job->lock);
        s->status.noops += noops;
        s->status.batches++;
        qd_mutex_unlock(&s->job->lock);
    }
    qd_arena_fini(&arena);
    return rc;
}
