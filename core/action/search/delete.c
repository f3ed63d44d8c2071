/*
 * delete.c: _delete_by_query: the documents that match at the start are deleted in batches,
 * each under the condition that it has not changed since.
 */
#include "action/api/forward_int.h"
#include "action/search/part_int.h"
#include "base/str.h"
#include "config/value.h"
#include "runtime/waitq.h"

#define BATCH 1000u
#define TIMEOUT_MS 60000

typedef struct found_docs {
    qd_collector c;
    qd_account *account;
    QD_VEC(uint32_t) docs; /* global in their shard */
    uint64_t left;         /* how many more are wanted */
} found_docs;

static int gather(qd_collector *c, const qd_hits *hits, qd_err *err)
{
    found_docs *f = (found_docs *)c;
    for (uint32_t i = 0; i < hits->n && f->left; i++, f->left--) {
        if (qd_vec_push(&f->docs, f->account, hits->leaf->base + hits->docs[i])) {
            return qd_err_nomem(err, "documents to delete");
        }
    }
    return f->left ? 0 : QD_COLLECT_ALL_DONE;
}

static const qd_collector_vt gather_vt = {.collect = gather};

typedef struct deletion {
    qd_request *q;
    search_run *x;
    doc_marks marks;
    int64_t timeout_ms, batch, active;
    double rate;       /* documents a second; 0: as fast as it goes */
    uint64_t before_n; /* documents of the batch before, which began at before_ns */
    uint64_t before_ns, throttled_ns;
    bool proceed, stopped, cancelled;
    qd_str cancelled_there; /* why another node's part was cancelled before this request */
    int status;             /* the worst of what stopped it */
    uint64_t total, deleted, handled, conflicts;
    qd_json_writer *failures;
} deletion;

static void worse(deletion *d, int status)
{
    d->stopped = true;
    if (status > d->status) d->status = status;
}

static void write_failure(deletion *d, const doc_item *i, const search_shard *s)
{
    qd_json_writer *w = d->failures;
    qd_json_object(w);
    qd_json_field_str(w, "index", s->index->meta->name);
    qdi_type_write(d->q->a, w);
    qd_json_field_str(w, "id", i->id);
    qd_json_key_c(w, "cause");
    qdi_item_error_write(i, w);
    qd_json_field_int(w, "status", i->status);
    qd_json_object_end(w);
}

static void settle(deletion *d, doc_item *items, uint32_t n, const search_shard *s)
{
    for (uint32_t i = 0; i < n; i++) {
        doc_item *it = &items[i];
        if (!it->rc) {
            d->deleted += it->status == 200;
            continue;
        }
        d->conflicts += it->rc == QD_E_VERSION_CONFLICT;
        if (it->rc == QD_E_VERSION_CONFLICT && d->proceed) continue;
        worse(d, it->status);
        write_failure(d, it, s);
    }
}

/* What stopped it on a node, other than a document; err is emptied. */
static void write_node_failure(deletion *d, qd_str node, qd_err *err)
{
    qd_json_writer *w = d->failures;
    int status = qd_err_status(err);
    qd_json_object(w);
    qd_json_field_str(w, "node", node);
    qd_json_field_int(w, "status", status);
    qd_json_key_c(w, "reason");
    qd_error_write(w, err);
    qd_json_object_end(w);
    worse(d, status);
    qd_err_fini(err);
}

/* Waits until the batch before has had the time that the rate gives it; the request's end ends it.
 */
static void pause(deletion *d)
{
    qd_mutex lock;
    qd_waitq nothing;
    qd_env *env = d->q->a->env;
    uint64_t now = qd_env_mono_ns(env), from = now;
    double ns = d->rate > 0 ? (double)d->before_n / d->rate * 1e9 : 0;
    uint64_t until = d->before_ns + (uint64_t)(ns < 0x1p62 ? ns : 0x1p62);
    if (until <= now) return;
    qd_mutex_init(&lock);
    qd_waitq_init(&nothing, &lock);
    qd_mutex_lock(&lock);
    while (now < until && !qd_task_poll(&d->q->task)) {
        (void)qd_waitq_wait_task(&nothing, until);
        now = qd_env_mono_ns(env);
    }
    qd_mutex_unlock(&lock);
    qd_mutex_fini(&lock);
    d->throttled_ns += now - from;
}

static void batch_begins(deletion *d, uint64_t n)
{
    d->before_n = n;
    d->before_ns = qd_env_mono_ns(d->q->a->env);
}

/* Deletes n documents of a shard and makes that durable. */
static int delete_batch(deletion *d, search_shard *s, const uint32_t *docs, uint32_t n, qd_err *err)
{
    qd_arena arena;
    doc_batch b;
    qd_fetch_options o = {.id = true, .routing = true, .seq_no = true};
    qd_arena_init(&arena, d->q->a->account, 0);
    qd_fetched *got = qd_arena_alloc(&arena, n * sizeof *got);
    doc_item *items = qd_arena_alloc(&arena, n * sizeof *items);
    int rc = got && items ? qd_fetch(s->searcher, docs, n, &o, &arena, got, err)
                          : qd_err_nomem(err, "documents to delete");
    if (!rc) {
        /* a shard whose copies do not come in time refuses its documents, with the reason */
        if (qdi_active_waits(d->q->a, d->active))
            (void)qdi_wait_active(d->q->a, s->index->meta->uuid, s->number, d->active,
                                  d->timeout_ms);
        qdi_batch_begin(&b, d->q->a, &arena, &d->q->task, d->timeout_ms);
        b.active = d->active;
        for (uint32_t i = 0; i < n; i++) {
            qdi_item_init(&items[i]);
            items[i].op = DOC_DELETE;
            items[i].index = s->index->meta->name;
            items[i].id = got[i].id;
            items[i].routing = got[i].routing;
            items[i].if_seq_no = got[i].seq_no;
            items[i].if_primary_term = got[i].primary_term;
            qdi_batch_apply(&b, &items[i]);
        }
        qdi_batch_sync(&b, items, n);
        qdi_batch_mark(&b, &d->marks, items, n);
        qdi_batch_end(&b);
        settle(d, items, n, s);
        for (uint32_t i = 0; i < n; i++) qdi_item_fini(&items[i]);
        d->handled += n;
    }
    qd_arena_fini(&arena);
    return rc;
}

static int delete_in(deletion *d, search_shard *s, uint64_t *left, qd_err *err)
{
    found_docs f = {.c = {.vt = &gather_vt}, .account = d->q->a->account, .left = *left};
    int rc = qdi_search_shard_collect(d->x, s, &f.c, err);
    *left = f.left;
    d->total += f.docs.n;
    for (size_t at = 0; at < f.docs.n && !rc && !d->stopped;) {
        size_t n = f.docs.n - at < (size_t)d->batch ? f.docs.n - at : (size_t)d->batch;
        pause(d);
        rc = qd_task_check(&d->q->task, err);
        batch_begins(d, n);
        if (!rc) rc = delete_batch(d, s, f.docs.at + at, (uint32_t)n, err);
        at += n;
    }
    qd_vec_fini(&f.docs);
    return rc;
}

/* Why it was cancelled: what the task's error says between brackets, as others may cancel it now.
 */
static void write_cancelled(const deletion *d, qd_json_writer *w)
{
    qd_err why;
    qd_err_init(&why);
    bool here = qd_task_check(&d->q->task, &why) != 0;
    qd_str text = qd_str_c(qd_err_reason(&why)), rest = text;
    (void)qd_str_split(&rest, '[');
    if (rest.n) text = qd_str_sub(rest, 0, rest.n - 1);
    qd_json_field_str(w, "canceled", here ? text : d->cancelled_there);
    qd_err_fini(&why);
}

static void write_answer(const deletion *d, uint64_t start, qd_str failures, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_field_int(w, "took", (int64_t)((qd_env_mono_ns(d->q->a->env) - start) / 1000000));
    qd_json_field_bool(w, "timed_out", false);
    qd_json_field_int(w, "total", (int64_t)d->total);
    qd_json_field_int(w, "deleted", (int64_t)d->deleted);
    uint64_t batch = (uint64_t)d->batch;
    qd_json_field_int(w, "batches", (int64_t)((d->handled + batch - 1) / batch));
    qd_json_field_int(w, "version_conflicts", (int64_t)d->conflicts);
    qd_json_field_int(w, "noops", 0);
    qd_json_key_c(w, "retries");
    qd_json_object(w);
    qd_json_field_int(w, "bulk", 0);
    qd_json_field_int(w, "search", 0);
    qd_json_object_end(w);
    qd_json_field_int(w, "throttled_millis", (int64_t)(d->throttled_ns / 1000000));
    qd_json_key_c(w, "requests_per_second");
    qd_json_float(w, d->rate > 0 ? (float)d->rate : -1.0f);
    if (d->cancelled) write_cancelled(d, w);
    qd_json_field_int(w, "throttled_until_millis", 0);
    qd_json_key_c(w, "failures");
    qd_json_raw_value(w, failures);
    qd_json_object_end(w);
}

/* slices change nothing here, but they must make sense. */
static int pace(const qd_request *q, deletion *d, qd_err *err)
{
    qd_str slices = qd_param(q, "slices"), rate = qd_param(q, "requests_per_second");
    int64_t n;
    if (slices.n && !qd_str_is(slices, "auto") && (!qd_str_i64(slices, &n) || n < 1)) {
        return qd_err_set(err, QD_E_ARG,
                          "[slices] must be a positive integer or the string \"auto\", but was "
                          "[%.*s]",
                          QD_STR_ARG(slices));
    }
    if (qd_param_has(q, "requests_per_second") && !rate.n)
        return qd_err_set(err, QD_E_ARG,
                          "[requests_per_second] must be a float greater than 0. Use -1 to disable "
                          "throttling.");
    if (!rate.n || qd_str_is(rate, "-1")) return 0;
    if (!qd_value_double(rate, &d->rate) || !(d->rate > 0)) {
        return qd_err_set(err, QD_E_ARG,
                          "[requests_per_second] must be a float greater than 0. Use -1 to disable "
                          "throttling.");
    }
    return 0;
}

/* max_docs of the body, of the URL and its old name: one number, -1 where it is not given. */
static int one_size(int64_t body, int64_t url, int64_t old, qd_err *err)
{
    int64_t one = body >= 0 ? body : url >= 0 ? url : old;
    if ((url < 0 || url == one) && (old < 0 || old == one)) return 0;
    return qd_err_set(err, QD_E_ARG, "[max_docs] set to two different values [%lld] and [%lld]",
                      (long long)one, (long long)(url >= 0 && url != one ? url : old));
}

static int params(const qd_request *q, search_request *s, deletion *d, bool *refresh, qd_err *err)
{
    bool wait;
    qd_str conflicts = qd_param(q, "conflicts");
    int64_t most = -1, size = -1, slices = 1;
    int rc = qd_param_i64(q, "max_docs", -1, &most, err);
    if (!rc && qd_param_has(q, "max_docs") && most < 0) {
        rc = qd_err_set(err, QD_E_ARG, "[max_docs] parameter cannot be negative, found [%lld]",
                        (long long)most);
    }
    if (!rc) rc = pace(q, d, err);
    if (!rc) rc = qd_param_i64(q, "size", -1, &size, err);
    if (!rc) rc = one_size(s->size_given ? s->size : -1, most, size, err);
    if (most < 0) most = size;
    if (!rc && (qd_param_has(q, "max_docs") || qd_param_has(q, "size"))) {
        s->size = most;
        s->size_given = true;
    }
    if (!rc && s->size_given && s->size <= 0) {
        rc = s->size < 0 ? qd_err_set(err, QD_E_ARG,
                                      "[max_docs] parameter cannot be negative, found [%lld]",
                                      (long long)s->size)
                         : qd_err_set(err, QD_E_ARG, "[max_docs] should be >= [slices]");
    }
    if (qd_str_i64(qd_param(q, "slices"), &slices) && !rc && s->size_given && s->size < slices)
        rc = qd_err_set(err, QD_E_ARG, "[max_docs] should be >= [slices]");
    if (!rc) rc = qd_param_ms(q, "timeout", TIMEOUT_MS, &d->timeout_ms, err);
    if (!rc) rc = qdi_active_param(q, &d->active, err);
    if (!rc) rc = qd_param_i64(q, "scroll_size", BATCH, &d->batch, err);
    if (!rc && (d->batch < 1 || d->batch > 10000)) {
        rc = qd_err_set(err, QD_E_ARG, "[scroll_size] must be between 1 and 10000");
    }
    if (!rc) rc = qd_param_bool(q, "refresh", false, refresh, err);
    if (!rc) rc = qd_param_bool(q, "wait_for_completion", true, &wait, err);
    if (!rc && !wait) {
        rc = qd_err_set(err, QD_E_UNSUPPORTED, "[wait_for_completion=false] is not supported");
    }
    if (!rc && conflicts.n && !qd_str_is(conflicts, "proceed") && !qd_str_is(conflicts, "abort")) {
        rc = qd_err_set(err, QD_E_ARG,
                        "conflicts may only be \"proceed\" or \"abort\" but was "
                        "[%.*s]",
                        QD_STR_ARG(conflicts));
    }
    d->proceed = s->proceed || qd_str_is(conflicts, "proceed");
    return rc;
}

/* --- other nodes --- */

static uint64_t number_of(const qd_json_node *root, const char *key)
{
    const qd_json_node *n = qd_json_get(root, key);
    uint64_t v;
    return n && qd_str_u64(qd_json_text(n), &v) ? v : 0;
}

/* Adds up what another node answered, also with failures, of any status. */
static void add_answer(deletion *d, const qdi_forwarded *f, const qd_json_node *root,
                       uint64_t *left)
{
    uint64_t total = number_of(root, "total");
    d->total += total;
    d->deleted += number_of(root, "deleted");
    d->handled += number_of(root, "batches") * (uint64_t)d->batch;
    d->conflicts += number_of(root, "version_conflicts");
    d->throttled_ns += number_of(root, "throttled_millis") * 1000000;
    batch_begins(d, total < (uint64_t)d->batch ? total : (uint64_t)d->batch);
    *left -= total < *left ? total : *left;
    const qd_json_node *failures = qd_json_get(root, "failures");
    for (const qd_json_node *n = failures ? failures->first : NULL; n; n = n->next) {
        qd_json_raw_value(d->failures, n->raw);
        d->stopped = true;
    }
    const qd_json_node *cancelled = qd_json_get(root, "canceled");
    if (cancelled) d->cancelled_there = qd_json_text(cancelled);
    if (f->status != 200) worse(d, f->status);
}

/* A node's answer that has no counts: an error, or what came in its place. */
static int no_counts(deletion *d, const qdi_forwarded *f, qd_err *err)
{
    if (!f->status) {
        (void)qd_err_set(err, QD_E_CLOSED,
                         "it is not known how many documents node [%.*s] has deleted: %s",
                         QD_STR_ARG(f->node), qd_err_reason(&f->err));
        write_node_failure(d, f->node, err);
        return 0;
    }
    return qd_err_set(err, QD_E_INTERNAL, "node [%.*s] answered %d: %.*s", QD_STR_ARG(f->node),
                      f->status, (int)(f->body.n < 512 ? f->body.n : 512), f->body.p);
}

/* The parameters with what is left of max_docs. */
static const qd_pair *params_there(const qd_request *q, uint64_t left, uint32_t *n, qd_err *err)
{
    qd_pair *at = qd_arena_alloc(q->arena, (q->nparams + 2ul) * sizeof *at);
    qd_str most = qd_arena_printf(q->arena, "%llu", (unsigned long long)left);
    if (!at || !most.p) {
        (void)qd_err_nomem(err, "delete by query");
        return NULL;
    }
    *n = 0;
    for (uint32_t i = 0; i < q->nparams; i++) {
        bool ours = qd_str_is(q->params[i].key, "max_docs") || qd_str_is(q->params[i].key, "size");
        if (!ours) at[(*n)++] = q->params[i];
    }
    if (left <= INT64_MAX) at[(*n)++] = (qd_pair){QD_STR("max_docs"), most};
    return at;
}

/* Lets the node delete in all primaries that it has. */
static int delete_there(deletion *d, qd_str node, uint64_t *left, qd_err *err)
{
    qdi_forwarded f = {.node = node, .read = true};
    qd_json_node *root = NULL;
    f.params = params_there(d->q, *left, &f.nparams, err);
    if (!f.params) return QD_E_NOMEM;
    pause(d);
    int rc = qd_task_check(&d->q->task, err);
    if (!rc) rc = qdi_forward(d->q, d->x->state, &f, 1, err);
    if (rc) return rc;
    if (f.status && qd_json_parse(d->q->arena, f.body, 0, &root, NULL)) root = NULL;
    if (root && qd_json_get(root, "deleted")) {
        add_answer(d, &f, root, left);
    } else {
        rc = no_counts(d, &f, err);
    }
    qd_err_fini(&f.err);
    return rc;
}

/* Each node once, when its first shard comes. */
static bool came_before(const search_run *x, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++) {
        const search_copies *c = x->shards[k].copies;
        if (c && qd_str_eq(c->nodes[0], x->shards[i].copies->nodes[0])) return true;
    }
    return false;
}

static int delete_all(deletion *d, uint64_t left, qd_err *err)
{
    search_run *x = d->x;
    int rc = 0;
    for (uint32_t i = 0; i < x->nshards && !rc && !d->stopped && !d->cancelled_there.n && left;
         i++) {
        search_shard *s = &x->shards[i];
        bool there = s->copies && !s->shard;
        if (there && (d->q->forwarded || came_before(x, i))) continue;
        rc = there ? delete_there(d, s->copies->nodes[0], &left, err) : delete_in(d, s, &left, err);
    }
    d->cancelled = d->cancelled_there.n || qd_task_poll(&d->q->task) == QD_E_CANCELLED;
    if (d->cancelled && rc == QD_E_CANCELLED) {
        qd_err_fini(err);
        rc = 0;
    }
    if (rc && d->handled) { /* what was done is told */
        write_node_failure(d, d->q->a->node_id, err);
        rc = 0;
    }
    return rc;
}

int qdi_api_delete_by_query(qd_request *q, qd_response *r, qd_err *err)
{
    search_request s;
    search_run x;
    uint32_t options;
    uint64_t start = qd_env_mono_ns(q->a->env);
    deletion d = {.q = q, .x = &x};
    bool refresh = false;
    qdi_search_request_init(&s, q, q->arena);
    int rc = qd_param_indices_options(q, QD_INDICES_SEARCH, &options, err);
    if (!rc) rc = qdi_search_query_body(&s, q->body, true, err);
    if (!rc) rc = qdi_search_param_query(&s, err);
    if (!rc) rc = params(q, &s, &d, &refresh, err);
    if (!rc && !s.query) {
        rc = qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: query is missing;");
    }
    if (rc) return rc;
    uint64_t left = s.size_given ? (uint64_t)s.size : UINT64_MAX;
    s.size = 0;
    s.primaries = true;
    qd_json_writer failures;
    qd_buf b;
    qd_buf_init(&b, q->a->account, (size_t)64 << 20);
    qd_json_writer_init(&failures, &b, false);
    qd_json_array(&failures);
    d.failures = &failures;
    d.marks.refresh = refresh ? DOC_REFRESH_NOW : DOC_REFRESH_NO;
    rc = qdi_search_begin(&x, &s, &q->task, qd_param(q, "index"), options, qd_param(q, "routing"),
                          err);
    if (!rc) rc = delete_all(&d, left, err);
    qdi_search_end(&x);
    qdi_marks_refresh(&d.marks, q->a, &d.q->task);
    qdi_marks_fini(&d.marks);
    qd_json_array_end(&failures);
    if (!rc) {
        if (d.stopped) r->status = d.status ? d.status : 500;
        write_answer(&d, start, qd_buf_view(&b), &r->w);
    }
    qd_buf_fini(&b);
    return rc;
}
