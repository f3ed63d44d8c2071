/*
 * remote.c: the documents of another cluster, by a scroll: the first page with the request that
 * opens it, the next ones by its id, until a page is empty. The scroll is one and sequential, so a
 * job has one slice, and no other node can go on with it.
 */
#include "action/byquery/remote_int.h"
#include "base/log.h"
#include "config/value.h"
#include <string.h>

#define BODY_MAX ((size_t)32 << 20)
#define ID_MAX ((size_t)4 << 20)

/* --- requests --- */

/* Percent-encodes what a part of a path cannot have; commas part indices and stay. */
static int add_encoded(qd_buf *b, qd_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c && strchr("-_.~*,", c));
        if (plain)
            (void)qd_buf_char(b, (char)c);
        else
            (void)qd_buf_printf(b, "%%%02X", c);
    }
    return qd_buf_status(b);
}

/* How long the other side keeps the scroll between two pages: as asked for, and for the pause that
 * the rate makes. */
static int64_t keep_ms(bq_slice *s)
{
    int64_t ns = 0;
    bq_job *job = s->job;
    if (qd_value_time(job->spec.scroll, "scroll", &ns, NULL)) ns = 0;
    if (ns <= 0) ns = INT64_C(300000000000);
    qd_mutex_lock(&job->lock);
    double pause = job->rate > 0 ? (double)job->spec.batch / job->rate * 1e3 : 0;
    qd_mutex_unlock(&job->lock);
    return ns / 1000000 + (pause < 3.6e6 ? (int64_t)pause : 3600000);
}

static int write_search(const bq_job *job, qd_buf *b)
{
    const bq_spec *s = &job->spec;
    qd_json_writer w;
    qd_json_writer_init(&w, b, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "query");
    qd_json_raw_value(&w, s->query.p ? s->query : QD_STR("{\"match_all\":{}}"));
    if (s->external) qd_json_field_bool(&w, "version", true);
    qd_json_key_c(&w, "_source");
    qd_json_raw_value(&w, s->source_filter.p ? s->source_filter : QD_STR("true"));
    qd_json_key_c(&w, "sort");
    qd_json_raw_value(&w, s->sort.p ? s->sort : QD_STR("[\"_doc\"]"));
    qd_json_object_end(&w);
    return qd_buf_status(b);
}

static int first_page(bq_slice *s, const qd_json_node **out, qd_err *err)
{
    bq_job *job = s->job;
    uint64_t n = (uint64_t)job->spec.batch < s->left ? (uint64_t)job->spec.batch : s->left;
    qd_buf target, body;
    qd_buf_init(&target, NULL, BODY_MAX);
    qd_buf_init(&body, NULL, BODY_MAX);
    (void)qd_buf_char(&target, '/');
    (void)add_encoded(&target, job->spec.index);
    (void)qd_buf_printf(&target,
                        "/_search?scroll=%lldms&size=%llu&allow_partial_search_results=false",
                        (long long)keep_ms(s), (unsigned long long)n);
    int rc = write_search(job, &body) || qd_buf_status(&target) ? qd_err_nomem(err, "a search") : 0;
    if (!rc) rc = qdi_bq_remote_call(s, "POST", qd_buf_view(&target), qd_buf_view(&body), out, err);
    qd_buf_fini(&target);
    qd_buf_fini(&body);
    return rc;
}

static int next_page(bq_slice *s, const qd_json_node **out, qd_err *err)
{
    bq_remote *r = s->job->spec.remote;
    qd_json_writer w;
    qd_buf body;
    qd_buf_init(&body, NULL, 2 * ID_MAX);
    qd_json_writer_init(&w, &body, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "scroll");
    qd_json_printf(&w, "%lldms", (long long)keep_ms(s));
    qd_json_field_str(&w, "scroll_id", qd_buf_view(&r->scroll));
    qd_json_object_end(&w);
    int rc = qd_buf_status(&body) ? qd_err_nomem(err, "a search") : 0;
    if (!rc)
        rc = qdi_bq_remote_call(s, "POST", QD_STR("/_search/scroll"), qd_buf_view(&body), out, err);
    qd_buf_fini(&body);
    return rc;
}

/* The other side would keep it until its time is over. */
static void give_back(bq_slice *s)
{
    bq_remote *r = s->job->spec.remote;
    const qd_json_node *root;
    qd_json_writer w;
    qd_buf body;
    qd_err why;
    if (!r->scroll.n) return;
    qd_err_init(&why);
    qd_buf_init(&body, NULL, 2 * ID_MAX);
    qd_json_writer_init(&w, &body, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "scroll_id");
    qd_json_array(&w);
    qd_json_str(&w, qd_buf_view(&r->scroll));
    qd_json_array_end(&w);
    qd_json_object_end(&w);
    if (!qd_buf_status(&body) &&
        qdi_bq_remote_call(s, "DELETE", QD_STR("/_search/scroll"), qd_buf_view(&body), &root,
                           &why) &&
        qd_err_status(&why) != 404)
        qd_log_warn("action", "the scroll of a reindex stays open on [%s:%d] for its time: %s",
                    r->host, r->port, qd_err_reason(&why));
    qd_err_fini(&why);
    qd_buf_fini(&body);
}

/* --- answers --- */

static const qd_json_node *member(const qd_json_node *n, const char *key, qd_json_type type)
{
    const qd_json_node *m = n ? qd_json_get(n, key) : NULL;
    return m && m->type == type ? m : NULL;
}

static int no_search(qd_err *err)
{
    int rc = qd_err_set(err, QD_E_INTERNAL,
                        "Error parsing the response, remote is likely not an Elasticsearch "
                        "instance");
    qd_err_type(err, "exception", 500);
    return rc;
}

/* Shards of the other side that failed: what they have would be missing without a word. */
static int check_shards(bq_job *job, const qd_json_node *root, qd_err *err)
{
    bq_remote *r = job->spec.remote;
    const qd_json_node *shards = member(root, "_shards", QD_JSON_T_OBJECT);
    const qd_json_node *list = member(shards, "failures", QD_JSON_T_ARRAY);
    const qd_json_node *late = member(root, "timed_out", QD_JSON_T_BOOL);
    if (late && late->truth)
        return qd_err_set(err, QD_E_TIMEOUT, "the search on [%s:%d] timed out", r->host, r->port);
    if (!list || !list->n) return 0;
    const qd_json_node *why =
        member(member(list->first, "reason", QD_JSON_T_OBJECT), "reason", QD_JSON_T_STRING);
    qd_str text = qdi_bq_remote_clean(job, why ? why->text : QD_STR("unknown"), &r->page);
    return qd_err_set(err, QD_E_INTERNAL, "[%u] shards of [%s:%d] failed: %.*s", list->n, r->host,
                      r->port, QD_STR_ARG(text));
}

/* Each hit must have what a document needs: the answer is another's. */
static bool well_formed(const qd_json_node *hits)
{
    for (const qd_json_node *h = hits->first; h; h = h->next)
        if (h->type != QD_JSON_T_OBJECT || !member(h, "_id", QD_JSON_T_STRING) ||
            !member(h, "_index", QD_JSON_T_STRING) ||
            (qd_json_get(h, "_source") && !member(h, "_source", QD_JSON_T_OBJECT)))
            return false;
    return true;
}

/* The hits of a page become those that are written next. */
static int take_page(bq_slice *s, const qd_json_node *root, uint64_t *total, qd_err *err)
{
    bq_job *job = s->job;
    bq_remote *r = job->spec.remote;
    const qd_json_node *outer = member(root, "hits", QD_JSON_T_OBJECT);
    const qd_json_node *hits = member(outer, "hits", QD_JSON_T_ARRAY);
    const qd_json_node *id = member(root, "_scroll_id", QD_JSON_T_STRING);
    if (!hits || !id || id->text.n > ID_MAX || !well_formed(hits)) return no_search(err);
    qd_buf_reset(&r->scroll);
    if (qd_buf_str(&r->scroll, id->text)) return qd_err_nomem(err, "a scroll");
    r->hits = hits;
    const qd_json_node *all = qd_json_get(outer, "total");
    if (all && all->type == QD_JSON_T_OBJECT) all = qd_json_get(all, "value");
    if (!all || !qd_str_u64(qd_json_text(all), total)) *total = hits->n;
    return check_shards(job, root, err);
}

/* --- the job --- */

static int make_slice(bq_job *job, qd_err *err)
{
    bq_slice *s = qd_arena_calloc(&job->arena, sizeof *s);
    if (!s) return qd_err_nomem(err, "a job");
    *s = (bq_slice){.job = job,
                    .left = job->spec.max_docs < 0 ? UINT64_MAX : (uint64_t)job->spec.max_docs};
    s->marks.refresh = job->spec.refresh ? DOC_REFRESH_NOW : DOC_REFRESH_NO;
    qd_err_init(&s->err);
    qd_mutex_lock(&job->lock); /* lists of tasks look at them from here on */
    job->nslices = 1;
    job->slices = s;
    qd_mutex_unlock(&job->lock);
    return 0;
}

int qdi_bq_remote_open(bq_job *job, qd_err *err)
{
    bq_remote *r = job->spec.remote;
    const qd_json_node *root = NULL;
    uint64_t total = 0;
    qd_buf_init(&r->text, job->a->account, BQ_REMOTE_ANSWER_MAX);
    qd_buf_init(&r->scroll, job->a->account, ID_MAX + 1);
    qd_arena_init(&r->page, job->a->account, 0);
    r->opened = true;
    int rc = qdi_bq_remote_tls(job, err);
    if (!rc) rc = make_slice(job, err);
    if (rc) return rc;
    bq_slice *s = &job->slices[0];
    rc = first_page(s, &root, err);
    if (!rc) rc = take_page(s, root, &total, err);
    qd_mutex_lock(&job->lock);
    s->status.total = total > s->left ? s->left : total;
    qd_mutex_unlock(&job->lock);
    return rc;
}

/* The hits that max_docs leaves: the list ends behind them. */
static const qd_json_node *cut(bq_slice *s, qd_json_node *copy)
{
    const qd_json_node *hits = s->job->spec.remote->hits;
    if (hits->n <= s->left) return hits;
    *copy = *hits;
    copy->n = (uint32_t)s->left;
    qd_json_node *last = copy->first;
    for (uint32_t i = 1; i < copy->n; i++) last = last->next;
    last->next = NULL;
    return copy;
}

int qdi_bq_remote_read(bq_slice *s, qd_err *err)
{
    bq_job *job = s->job;
    bq_remote *r = job->spec.remote;
    int rc = 0;
    while (!rc && r->hits && r->hits->n && s->left && !job->stopped) {
        const qd_json_node *root = NULL;
        qd_json_node copy;
        uint64_t total;
        rc = qdi_bq_check(s, err);
        const qd_json_node *hits = cut(s, &copy);
        if (!rc) rc = qdi_bq_write(s, hits, err);
        if (!rc) s->left -= hits->n;
        r->hits = NULL;
        if (rc || !s->left || job->stopped) break;
        rc = qdi_bq_record(job, false, err);
        if (!rc) rc = qdi_bq_pause(s, err);
        if (!rc) rc = qdi_bq_check(s, err);
        if (!rc) rc = next_page(s, &root, err);
        if (!rc) rc = take_page(s, root, &total, err);
    }
    return rc;
}

void qdi_bq_remote_close(bq_job *job)
{
    bq_remote *r = job->spec.remote;
    if (!r->opened) return;
    if (job->slices) give_back(&job->slices[0]);
    qd_buf_fini(&r->text);
    qd_buf_fini(&r->scroll);
    qd_arena_fini(&r->page);
    r->opened = false;
}
