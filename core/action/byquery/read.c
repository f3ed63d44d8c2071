/*
 * read.c: the documents that match, in batches.
 *
 * A unit is the shards of one number of all indices of the source, open at a point in time. It is
 * read in the order of sequence numbers, a window of them at a time, so that no batch sorts the
 * whole shard: a window is as wide as brings about one batch. How far a unit is, is one number
 * then, which stays good when the point in time is lost with a node.
 */
#include "action/byquery/remote_int.h"
#include "base/str.h"
#include <math.h>

#define BODY_MAX ((size_t)32 << 20)
#define WINDOW_MAX (INT64_C(1) << 40)
#define TRIES 10 /* of a search that a full queue refuses */
#define FIRST_PAUSE_NS UINT64_C(100000000)

/* --- what to read --- */

static int resolve(bq_job *job, qd_arena *arena, qd_resolved *out, qd_state **state, qd_err *err)
{
    qd_request q = {.a = job->a, .params = job->spec.options, .nparams = job->spec.noptions};
    uint32_t options;
    *state = qd_cluster_state(job->a->cluster);
    int rc = qd_param_indices_options(&q, QD_INDICES_SEARCH, &options, err);
    if (!rc) rc = qd_state_resolve(*state, job->spec.index, options, arena, out, err);
    if (!rc && out->n > BQ_INDICES_MAX)
        rc = qd_err_set(err, QD_E_ARG, "the source has [%u] indices, at most [%u] are allowed",
                        out->n, BQ_INDICES_MAX);
    return rc;
}

/* A copy into an index that is read would never end, or read what it has written. */
static int check_dest(const bq_job *job, const qd_state *s, const qd_resolved *from, qd_err *err)
{
    const qd_index_meta *to = NULL;
    qd_str routing;
    if (job->spec.kind != BQ_REINDEX) return 0;
    if (qd_state_write_index(s, job->spec.dest, &to, &routing, NULL) || !to) {
        bool alias = qd_state_alias(s, job->spec.dest) != NULL; /* the write tells what it lacks */
        return alias ? 0 : qdi_auto_create_check(job->a, job->spec.dest, err);
    }
    for (uint32_t i = 0; i < from->n; i++) {
        if (strcmp(from->at[i]->uuid, to->uuid) != 0) continue;
        return qd_err_set(err, QD_E_VALIDATION,
                          "Validation Failed: 1: reindex cannot write into an index its reading "
                          "from [%.*s];",
                          QD_STR_ARG(job->spec.dest));
    }
    return 0;
}

/* --- points in time --- */

static int open_point(bq_job *job, bq_unit *u, qd_err *err)
{
    qd_pair params[12];
    const qd_json_node *root;
    uint32_t n = 0;
    qd_str preference = job->spec.preference;
    if (!job->spec.sort.p) /* else all shards are read together */
        preference = qd_arena_printf(&job->arena, "_shards:%u%s%.*s", u->number,
                                     preference.n ? "|" : "", QD_STR_ARG(preference));
    if (!job->spec.sort.p && !preference.p) return qd_err_nomem(err, "a job");
    params[n++] = (qd_pair){QD_STR("index"), job->spec.index.n ? job->spec.index : QD_STR("_all")};
    params[n++] = (qd_pair){QD_STR("keep_alive"), job->spec.scroll};
    if (preference.n) params[n++] = (qd_pair){QD_STR("preference"), preference};
    params[n++] = (qd_pair){QD_STR("allow_partial_search_results"), QD_STR("false")};
    if (job->spec.routing.n) params[n++] = (qd_pair){QD_STR("routing"), job->spec.routing};
    for (uint32_t i = 0; i < job->spec.noptions && n < QD_COUNT_OF(params); i++)
        params[n++] = job->spec.options[i];
    int rc = qdi_bq_call(job->a, "open_point_in_time", params, n, (qd_str){NULL, 0}, &job->arena,
                         &root, err);
    const qd_json_node *id = rc ? NULL : qd_json_get(root, "id");
    if (!rc && !id) rc = qd_err_set(err, QD_E_INTERNAL, "no point in time was opened");
    if (!rc) {
        u->pit = id->text;
        u->opened = true;
    }
    return rc;
}

void qdi_bq_close(bq_job *job)
{
    if (job->spec.remote) qdi_bq_remote_close(job);
    for (uint32_t i = 0; i < job->nunits; i++) {
        qd_arena arena;
        qd_buf b;
        qd_json_writer w;
        const qd_json_node *root;
        if (!job->units[i].opened) continue;
        qd_arena_init(&arena, job->a->account, 0);
        qd_buf_init(&b, NULL, BODY_MAX);
        qd_json_writer_init(&w, &b, false);
        qd_json_object(&w);
        qd_json_field_str(&w, "id", job->units[i].pit);
        qd_json_object_end(&w);
        /* one that is gone has ended by itself */
        (void)!qdi_bq_call(job->a, "close_point_in_time", NULL, 0, qd_buf_view(&b), &arena, &root,
                           NULL);
        qd_buf_fini(&b);
        qd_arena_fini(&arena);
        job->units[i].opened = false;
    }
}

/* --- searches --- */

static void write_point(const bq_job *job, const bq_unit *u, qd_json_writer *w)
{
    qd_json_key_c(w, "pit");
    qd_json_object(w);
    qd_json_field_str(w, "id", u->pit);
    qd_json_field_str(w, "keep_alive", job->spec.scroll);
    qd_json_object_end(w);
}

static void write_term(qd_json_writer *w, const char *kind, const char *field, qd_str value)
{
    qd_json_object(w);
    qd_json_key_c(w, kind);
    qd_json_object(w);
    qd_json_field_str(w, field, value);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static void write_range(qd_json_writer *w, int64_t from, int64_t to)
{
    qd_json_object(w);
    qd_json_key_c(w, "range");
    qd_json_object(w);
    qd_json_key_c(w, "_seq_no");
    qd_json_object(w);
    qd_json_field_int(w, "gt", from);
    qd_json_field_int(w, "lte", to);
    qd_json_object_end(w);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

/* Documents that the job may have written itself before it came here lie above the bounds. */
static void write_bounds(const bq_unit *u, int64_t from, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_key_c(w, "bool");
    qd_json_object(w);
    qd_json_key_c(w, "should");
    qd_json_array(w);
    for (uint32_t i = 0; i < u->nbounds; i++) {
        qd_json_object(w);
        qd_json_key_c(w, "bool");
        qd_json_object(w);
        qd_json_key_c(w, "filter");
        qd_json_array(w);
        write_term(w, "term", "_index", u->bounds[i].index);
        write_range(w, from, u->bounds[i].max_seq_no);
        qd_json_array_end(w);
        qd_json_object_end(w);
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static void write_slice(const bq_job *job, qd_json_writer *w)
{
    if (!job->spec.slice.p) return;
    qd_json_key_c(w, "slice");
    qd_json_raw_value(w, job->spec.slice);
}

/* "query" of the documents of a unit in (from, to]. */
static void write_query(const bq_job *job, const bq_unit *u, int64_t from, int64_t to,
                        qd_json_writer *w)
{
    qd_json_key_c(w, "query");
    qd_json_object(w);
    qd_json_key_c(w, "bool");
    qd_json_object(w);
    qd_json_key_c(w, "filter");
    qd_json_array(w);
    write_range(w, from, to);
    /* what a copy writes lies elsewhere: documents changed meanwhile are copied as they are now */
    if (u->resumed && job->spec.kind != BQ_REINDEX) write_bounds(u, from, w);
    if (job->spec.query.p) qd_json_raw_value(w, job->spec.query);
    qd_json_array_end(w);
    qd_json_object_end(w);
    qd_json_object_end(w);
    write_slice(job, w);
}

static void write_source(const bq_job *job, qd_json_writer *w)
{
    if (job->spec.kind == BQ_DELETE) {
        qd_json_field_bool(w, "_source", false);
    } else if (job->spec.source_filter.p) {
        qd_json_key_c(w, "_source");
        qd_json_raw_value(w, job->spec.source_filter);
    }
}

/* Runs a search, again while queues are full. */
static int search(bq_job *job, bq_status *status, qd_str body, qd_arena *arena,
                  const qd_json_node **out, qd_err *err)
{
    uint64_t pause = FIRST_PAUSE_NS;
    qd_pair params[] = {{QD_STR("allow_partial_search_results"), QD_STR("false")}};
    for (int i = 0;; i++, pause *= 2) {
        int rc = qdi_bq_call(job->a, "search", params, 1, body, arena, out, err);
        if (rc != QD_E_REJECTED || i == TRIES || qd_task_poll(job->task)) return rc;
        if (err) qd_err_fini(err);
        qd_mutex_lock(&job->lock);
        status->search_retries++;
        uint64_t until = qd_env_mono_ns(job->a->env) + pause;
        if (!job->stopped) (void)qd_waitq_wait_task(&job->changed, until);
        qd_mutex_unlock(&job->lock);
    }
}

static const qd_json_node *path(const qd_json_node *n, const char *const *keys)
{
    for (; n && *keys; keys++) n = qd_json_get(n, *keys);
    return n;
}

static int64_t whole(const qd_json_node *n)
{
    double v;
    int64_t i;
    qd_str text = n ? qd_json_text(n) : (qd_str){NULL, 0};
    if (qd_str_i64(text, &i)) return i;
    return !qd_f64_parse(text, &v) && isfinite(v) && fabs(v) < 0x1p53 ? (int64_t)v : -1;
}

/* --- opening --- */

/* How many documents of the unit's shards match, and how high their sequence numbers go, by index.
 * The query is searched for alone, so that what is wrong with it is told as a search tells it. */
static int measure(bq_job *job, bq_unit *u, uint64_t *total, qd_err *err)
{
    static const char *const hits[] = {"hits", "total", "value", NULL};
    static const char *const buckets[] = {"aggregations", "i", "buckets", NULL};
    static const char *const value[] = {"m", "value", NULL};
    const qd_json_node *root = NULL;
    qd_json_writer w;
    qd_buf b;
    qd_buf_init(&b, NULL, BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    if (job->spec.query.p) {
        qd_json_key_c(&w, "query");
        qd_json_raw_value(&w, job->spec.query);
    }
    write_slice(job, &w);
    write_point(job, u, &w);
    qd_json_field_int(&w, "size", 0);
    qd_json_field_bool(&w, "track_total_hits", true);
    qd_json_key_c(&w, "aggs");
    qd_json_raw_value(&w, QD_STR("{\"i\":{\"terms\":{\"field\":\"_index\",\"size\":1000},"
                                 "\"aggs\":{\"m\":{\"max\":{\"field\":\"_seq_no\"}}}}}"));
    qd_json_object_end(&w);
    int rc = qd_buf_status(&b) ? qd_err_nomem(err, "a search") : 0;
    if (!rc) rc = search(job, &job->before, qd_buf_view(&b), &job->arena, &root, err);
    qd_buf_fini(&b);
    const qd_json_node *list = rc ? NULL : path(root, buckets);
    bq_bound *at = qd_arena_alloc(&job->arena, ((list ? list->n : 0) + 1ul) * sizeof *at);
    if (!rc && !at) rc = qd_err_nomem(err, "a job");
    if (rc) return rc;
    *total = (uint64_t)whole(path(root, hits));
    u->bounds = at;
    for (const qd_json_node *k = list ? list->first : NULL; k; k = k->next) {
        int64_t max = whole(path(k, value));
        at[u->nbounds++] = (bq_bound){qd_json_text(qd_json_get(k, "key")), max};
        if (max > u->top) u->top = max;
    }
    return 0;
}

/* The documents of the unit that match, up to its top. */
static int count(bq_job *job, bq_unit *u, uint64_t *total, qd_err *err)
{
    static const char *const hits[] = {"hits", "total", "value", NULL};
    const qd_json_node *root;
    qd_json_writer w;
    qd_buf b;
    qd_buf_init(&b, NULL, BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    write_point(job, u, &w);
    qd_json_field_int(&w, "size", 0);
    qd_json_field_bool(&w, "track_total_hits", true);
    write_query(job, u, u->from, u->top, &w);
    qd_json_object_end(&w);
    int rc = qd_buf_status(&b) ? qd_err_nomem(err, "a search") : 0;
    if (!rc) rc = search(job, &job->before, qd_buf_view(&b), &job->arena, &root, err);
    qd_buf_fini(&b);
    if (!rc) *total = (uint64_t)whole(path(root, hits));
    return rc;
}

static bool same_part(const bq_unit *u, const qd_json_node *p)
{
    return whole(qd_json_get(p, "shard")) == u->number &&
           whole(qd_json_get(p, "part")) == u->part && whole(qd_json_get(p, "parts")) == u->parts;
}

/* Where the node before has come to, and the bounds of the job's beginning. */
static int resume(bq_job *job, bq_unit *u, qd_err *err)
{
    const qd_json_node *p = job->resumed->first;
    while (p && !same_part(u, p)) p = p->next;
    if (!p) return 0; /* it had not begun with it */
    const qd_json_node *bounds = qd_json_get(p, "bounds");
    bq_bound *at = qd_arena_alloc(&job->arena, ((bounds ? bounds->n : 0) + 1ul) * sizeof *at);
    if (!at) return qd_err_nomem(err, "a job");
    u->resumed = true;
    u->from = whole(qd_json_get(p, "from"));
    u->had = whole(qd_json_get(p, "tried"));
    u->bounds = at;
    u->nbounds = 0;
    for (const qd_json_node *k = bounds ? bounds->first : NULL; k; k = k->next)
        at[u->nbounds++] = (bq_bound){k->key, whole(k)};
    return 0;
}

static int64_t highest(const bq_unit *u)
{
    int64_t top = -1;
    for (uint32_t i = 0; i < u->nbounds; i++)
        if (u->bounds[i].max_seq_no > top) top = u->bounds[i].max_seq_no;
    return top;
}

/* The unit's share of the sequence numbers up to the highest bound. What a copy finds above that
 * after a resume was changed meanwhile, and belongs to the last part. */
static void take_part(const bq_job *job, bq_unit *u)
{
    int64_t top = highest(u), each = (top + 1) / (int64_t)u->parts;
    int64_t from = each * u->part - 1;
    bool last = u->part + 1 == u->parts;
    if (u->from < from) u->from = from;
    if (!last)
        u->top = from + each;
    else if (job->spec.kind != BQ_REINDEX || !u->resumed)
        u->top = top;
}

static int open_unit(bq_job *job, bq_unit *u, uint64_t *total, qd_err *err)
{
    *total = 0;
    int rc = open_point(job, u, err);
    if (!rc) rc = measure(job, u, total, err);
    if (!rc && job->resumed && !job->spec.sort.p) rc = resume(job, u, err);
    if (rc) return rc;
    take_part(job, u);
    if (u->parts == 1 && !u->resumed) return 0;
    *total = 0;
    return u->top > u->from ? count(job, u, total, err) : 0;
}

/* Units: one for each shard number, or several when there are more slices. */
static int make_units(bq_job *job, uint32_t shards, qd_err *err)
{
    uint32_t parts = shards ? (job->nslices + shards - 1) / shards : 1;
    job->units = qd_arena_calloc(&job->arena, (shards * parts + 1ul) * sizeof *job->units);
    if (!job->units) return qd_err_nomem(err, "a job");
    for (uint32_t i = 0; i < shards; i++)
        for (uint32_t k = 0; k < parts; k++)
            job->units[job->nunits++] = (bq_unit){.number = i,
                                                  .part = k,
                                                  .parts = parts,
                                                  .from = -1,
                                                  .top = -1,
                                                  .tried = -1,
                                                  .had = -1};
    return 0;
}

/* Deals units and max_docs to the slices. */
static int make_slices(bq_job *job, qd_err *err)
{
    const bq_spec *s = &job->spec;
    uint64_t done = job->before.created + job->before.updated + job->before.deleted +
                    job->before.conflicts + job->before.noops;
    uint64_t most = s->max_docs < 0                ? UINT64_MAX
                    : (uint64_t)s->max_docs > done ? (uint64_t)s->max_docs - done
                                                   : 0;
    bq_slice *slices = qd_arena_calloc(&job->arena, (job->nslices + 1ul) * sizeof *slices);
    bq_unit *dealt = qd_arena_alloc(&job->arena, (job->nunits + 1ul) * sizeof *dealt);
    if (!slices || !dealt) return qd_err_nomem(err, "a job");
    uint32_t n = 0;
    for (uint32_t i = 0; i < job->nslices; i++) {
        bq_slice *x = &slices[i];
        *x = (bq_slice){.job = job, .id = i, .units = &dealt[n], .left = most};
        x->marks.refresh = s->refresh ? DOC_REFRESH_NOW : DOC_REFRESH_NO;
        qd_err_init(&x->err);
        if (s->max_docs >= 0) x->left = most / job->nslices + (i < most % job->nslices);
        for (uint32_t k = i; k < job->nunits; k += job->nslices) {
            dealt[n++] = job->units[k];
            x->nunits++;
        }
    }
    job->units = dealt;
    qd_mutex_lock(&job->lock); /* lists of tasks look at them from here on */
    job->slices = slices;
    qd_mutex_unlock(&job->lock);
    return 0;
}

static uint32_t auto_slices(const qd_resolved *r)
{
    uint32_t n = BQ_SLICES_AUTO_MAX;
    for (uint32_t i = 0; i < r->n; i++)
        if (r->at[i]->shards < n) n = r->at[i]->shards;
    return n ? n : 1;
}

/* What the node before has written is to be seen as it is now. */
static int refresh(bq_job *job, qd_err *err)
{
    const qd_json_node *root;
    qd_pair params[8];
    uint32_t n = 0;
    params[n++] = (qd_pair){QD_STR("index"), job->spec.index.n ? job->spec.index : QD_STR("_all")};
    for (uint32_t i = 0; i < job->spec.noptions && n < QD_COUNT_OF(params); i++)
        params[n++] = job->spec.options[i];
    return qdi_bq_call(job->a, "indices.refresh", params, n, (qd_str){NULL, 0}, &job->arena, &root,
                       err);
}

/* Opens the units of a slice and adds what they hold to its total. */
static int open_slice(bq_job *job, bq_slice *s, qd_err *err)
{
    uint64_t sum = 0;
    int rc = 0;
    for (uint32_t i = 0; i < s->nunits && !rc; i++) {
        uint64_t total;
        rc = open_unit(job, &s->units[i], &total, err);
        if (rc) break;
        sum += total;
    }
    qd_mutex_lock(&job->lock);
    s->status.total = sum > s->left ? s->left : sum;
    qd_mutex_unlock(&job->lock);
    return rc;
}

/* From another cluster: only where to is of this one. */
static int open_remote(bq_job *job, qd_err *err)
{
    qd_resolved none = {0};
    qd_state *state = qd_cluster_state(job->a->cluster);
    int rc = check_dest(job, state, &none, err);
    qd_state_unref(state);
    return rc ? rc : qdi_bq_remote_open(job, err);
}

/* A query that one shard cannot run may suit others: a search over all of them says so. */
static void judge_failure(bq_job *job, qd_err *err)
{
    bool some = false;
    if (!err || job->nunits < 2 || !qd_str_is(qd_str_c(qd_err_reason(err)), "all shards failed"))
        return;
    for (uint32_t i = 0; i < job->nslices && !some; i++)
        for (uint32_t k = 0; k < job->slices[i].nunits && !some; k++) {
            uint64_t total;
            bq_unit *u = &job->slices[i].units[k];
            some = !u->opened && !open_unit(job, u, &total, NULL);
        }
    if (some) qd_err_reword(err, "Partial shards failure");
}

int qdi_bq_open(bq_job *job, qd_err *err)
{
    if (job->spec.remote) return open_remote(job, err);
    qd_state *state;
    qd_resolved found = {0};
    uint32_t shards = 0;
    int rc = resolve(job, &job->arena, &found, &state, err);
    if (!rc && job->resumed) rc = refresh(job, err);
    if (!rc) rc = check_dest(job, state, &found, err);
    for (uint32_t i = 0; i < found.n && !rc; i++)
        if (found.at[i]->shards > shards) shards = found.at[i]->shards;
    job->nslices = job->spec.slices ? job->spec.slices : auto_slices(&found);
    qd_state_unref(state);
    if (!rc) rc = make_units(job, job->spec.sort.p && shards ? 1 : shards, err);
    if (!rc) rc = make_slices(job, err);
    for (uint32_t i = 0; i < job->nslices && !rc; i++) rc = open_slice(job, &job->slices[i], err);
    if (rc == QD_E_ARG && job->slices) judge_failure(job, err);
    return rc;
}

/* --- reading --- */

static int write_search(const bq_slice *s, const bq_unit *u, int64_t from, int64_t to,
                        const qd_json_node *after, uint64_t n, qd_buf *b)
{
    qd_json_writer w;
    qd_json_writer_init(&w, b, false);
    qd_json_object(&w);
    write_point(s->job, u, &w);
    qd_json_field_int(&w, "size", (int64_t)n);
    qd_json_field_bool(&w, "track_total_hits", false);
    qd_json_field_bool(&w, "seq_no_primary_term", true);
    qd_json_field_bool(&w, "version", true);
    qd_json_key_c(&w, "sort");
    qd_json_raw_value(&w,
                      s->job->spec.sort.p ? s->job->spec.sort : QD_STR("[{\"_seq_no\":\"asc\"}]"));
    write_source(s->job, &w);
    write_query(s->job, u, from, to, &w);
    if (after) {
        qd_json_key_c(&w, "search_after");
        qd_json_raw_value(&w, after->raw);
    }
    qd_json_object_end(&w);
    return qd_buf_status(b);
}

/* Before documents are made that must not be there: a node that takes over knows then which may be
 * there by this job. */
static int note_tried(bq_slice *s, bq_unit *u, int64_t last, qd_err *err)
{
    bq_job *job = s->job;
    if (!job->background || job->spec.op != DOC_CREATE || last <= u->tried) return 0;
    __atomic_store_n(&u->tried, last, __ATOMIC_RELAXED);
    return qdi_bq_record(job, true, err);
}

/* Writes a page's hits and notes how far the unit is. */
static int write_page(bq_slice *s, bq_unit *u, const qd_json_node *list, const qd_json_node *last,
                      qd_err *err)
{
    bool ordered = !s->job->spec.sort.p;
    int64_t at = whole(qd_json_get(last, "_seq_no"));
    s->again = ordered && whole(qd_json_get(list->first, "_seq_no")) <= u->had;
    s->newer = ordered && u->resumed && at > highest(u);
    int rc = ordered ? note_tried(s, u, at, err) : 0;
    if (!rc) rc = qdi_bq_write(s, list, err);
    /* those of other indices with this number may be behind it still */
    if (!rc && ordered && at - 1 > u->from) __atomic_store_n(&u->from, at - 1, __ATOMIC_RELAXED);
    return rc;
}

/* A page of a window; *n hits. What it ends with goes to *after, which is in arena. */
static int page(bq_slice *s, bq_unit *u, int64_t from, int64_t to, const qd_json_node **after,
                qd_arena *arena, uint64_t *n, qd_err *err)
{
    static const char *const hits[] = {"hits", "hits", NULL};
    const qd_json_node *root;
    qd_buf b;
    uint64_t most = (uint64_t)s->job->spec.batch < s->left ? (uint64_t)s->job->spec.batch : s->left;
    *n = 0;
    int rc = qdi_bq_pause(s, err);
    if (!rc) rc = qdi_bq_check(s, err);
    if (rc) return rc;
    qd_buf_init(&b, NULL, BODY_MAX);
    rc = write_search(s, u, from, to, *after, most, &b) ? qd_err_nomem(err, "a search") : 0;
    if (!rc) rc = search(s->job, &s->status, qd_buf_view(&b), arena, &root, err);
    qd_buf_fini(&b);
    const qd_json_node *list = rc ? NULL : path(root, hits), *last = NULL;
    *n = list ? list->n : 0;
    if (rc || !*n) return rc;
    for (const qd_json_node *h = list->first; h; h = h->next) last = h;
    rc = write_page(s, u, list, last, err);
    s->left -= *n;
    *after = qd_json_get(last, "sort");
    return rc;
}

/* All of a window, page by page; *found counts. Two arenas take turns, as each page says where the
 * next one begins. */
static int window(bq_slice *s, bq_unit *u, int64_t to, uint64_t *found, qd_err *err)
{
    qd_arena arenas[2];
    const qd_json_node *after = NULL;
    int64_t from = u->from; /* pages go on by search_after, under one query */
    int rc = 0;
    for (int i = 0; i < 2; i++) qd_arena_init(&arenas[i], s->job->a->account, 0);
    *found = 0;
    for (uint32_t turn = 0; !rc && s->left && !s->job->stopped; turn ^= 1) {
        uint64_t n;
        qd_arena_reset(&arenas[turn]);
        rc = page(s, u, from, to, &after, &arenas[turn], &n, err);
        if (!rc) rc = qdi_bq_record(s->job, false, err);
        *found += n;
        if (n < (uint64_t)s->job->spec.batch) break;
    }
    for (int i = 0; i < 2; i++) qd_arena_fini(&arenas[i]);
    return rc;
}

static int unit(bq_slice *s, bq_unit *u, qd_err *err)
{
    int64_t batch = s->job->spec.batch, width = s->job->spec.sort.p ? INT64_MAX : batch;
    int rc = 0;
    while (!rc && u->from < u->top && s->left && !s->job->stopped) {
        uint64_t found;
        int64_t to = u->top - u->from > width ? u->from + width : u->top;
        rc = window(s, u, to, &found, err);
        if (!rc && s->left && !s->job->stopped) __atomic_store_n(&u->from, to, __ATOMIC_RELAXED);
        if (found < (uint64_t)batch / 2 && width < WINDOW_MAX) width *= 2;
        if (found > (uint64_t)batch * 2 && width > batch) width /= 2;
    }
    return rc;
}

int qdi_bq_read(bq_slice *s, qd_err *err)
{
    if (s->job->spec.remote) return qdi_bq_remote_read(s, err);
    int rc = 0;
    for (uint32_t i = 0; i < s->nunits && !rc; i++) rc = unit(s, &s->units[i], err);
    return rc;
}
