/*
 * rank_eval.c: _rank_eval: searches whose hits are compared with ratings of documents. Each search
 * runs as one of _msearch does; metrics are those of Manning, Raghavan and Schütze 2008, chapter 8,
 * and expected reciprocal rank of Chapelle, Metzler, Zhang and Grinspan 2009.
 */
#include "action/api/words.h"
#include "action/searches/searches_int.h"
#include "base/str.h"
#include <math.h>
#include <stdlib.h>

#define REQUESTS_MAX 10000u
#define ANSWER_MAX ((uint64_t)256 << 20)

typedef enum metric_kind { PRECISION, RECALL, RECIPROCAL_RANK, DCG, EXPECTED_RANK } metric_kind;

static const char *const metric_names[] = {"precision", "recall", "mean_reciprocal_rank", "dcg",
                                           "expected_reciprocal_rank"};

typedef struct metric {
    metric_kind kind;
    int64_t k, threshold, unknown, maximum;
    bool ignore_unlabeled, normalize, has_unknown, has_maximum;
} metric;

typedef struct rated {
    qd_str index, id;
    int64_t rating;
} rated;

typedef struct evaluation {
    qd_str id, body; /* body: of its search; p NULL: it did not become one */
    search_template template;
    bool templated;
    const qd_json_node *fields; /* summary_fields; NULL: none */
    rated *ratings;
    uint32_t n;
    qd_arena arena;
    qd_buf answer;
    const qd_json_node *hits; /* of the answer */
    double score;
    int rc;
    qd_err err;
} evaluation;

typedef struct rank_eval {
    qd_request *q;
    uint32_t options;
    metric metric;
    const qd_json_node *templates;
    evaluation *at;
    uint32_t n;
    int64_t at_once;
} rank_eval;

/* --- the request ------------------------------------------------------------------------------ */

static int whole(const qd_json_node *n, int64_t least, const char *why, int64_t *out, qd_err *err)
{
    if (n->type == QD_JSON_T_NUMBER && n->integer && qd_i64_parse(n->text, out) == 0 &&
        *out >= least && *out <= INT32_MAX)
        return 0;
    return qd_err_set(err, QD_E_ARG, "%s", why);
}

static int truth(const qd_json_node *n, bool *out, qd_err *err)
{
    if (!qd_json_truth(n, out)) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                      QD_STR_ARG(n->raw));
}

static int metric_member(const qd_json_node *n, metric *m, qd_err *err)
{
    bool threshold = m->kind <= RECIPROCAL_RANK;
    if (qd_str_is(n->key, "k")) return whole(n, 1, "Window size k must be positive.", &m->k, err);
    if (threshold && qd_str_is(n->key, "relevant_rating_threshold"))
        return whole(n, 0, "Relevant rating threshold for precision must be positive integer.",
                     &m->threshold, err);
    if (m->kind == PRECISION && qd_str_is(n->key, "ignore_unlabeled"))
        return truth(n, &m->ignore_unlabeled, err);
    if (m->kind == DCG && qd_str_is(n->key, "normalize")) return truth(n, &m->normalize, err);
    if (!threshold && qd_str_is(n->key, "unknown_doc_rating")) {
        m->has_unknown = true;
        return whole(n, 0, "unknown_doc_rating must not be negative", &m->unknown, err);
    }
    if (m->kind == EXPECTED_RANK && qd_str_is(n->key, "maximum_relevance")) {
        m->has_maximum = true;
        return whole(n, 0, "maximum_relevance must not be negative", &m->maximum, err);
    }
    return qd_err_set(err, QD_E_ARG, "[%s] unknown field [%.*s]", metric_names[m->kind],
                      QD_STR_ARG(n->key));
}

static int read_metric(const qd_json_node *n, metric *m, qd_err *err)
{
    const qd_json_node *of = n->type == QD_JSON_T_OBJECT ? n->first : NULL;
    size_t k = 0;
    int rc = 0;
    if (!of || of->next || of->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_PARSE, "[metric] names one metric");
    while (k < QD_COUNT_OF(metric_names) && !qd_str_is(of->key, metric_names[k])) k++;
    if (k == QD_COUNT_OF(metric_names))
        return qd_err_set(err, QD_E_PARSE, "unknown metric [%.*s]", QD_STR_ARG(of->key));
    *m = (metric){.kind = (metric_kind)k, .k = 10, .threshold = 1};
    for (const qd_json_node *v = of->first; v && !rc; v = v->next) rc = metric_member(v, m, err);
    if (!rc && m->kind == EXPECTED_RANK && !m->has_maximum)
        return qd_err_set(err, QD_E_ARG, "Required [maximum_relevance]");
    return rc;
}

static int read_ratings(rank_eval *x, const qd_json_node *n, evaluation *e, qd_err *err)
{
    if (n->type != QD_JSON_T_ARRAY)
        return qd_err_set(err, QD_E_PARSE, "[ratings] is a list of rated documents");
    e->ratings = qd_arena_calloc(x->q->arena, (n->n + 1ul) * sizeof *e->ratings);
    if (!e->ratings) return qd_err_nomem(err, "ratings");
    for (const qd_json_node *r = n->first; r; r = r->next) {
        rated *to = &e->ratings[e->n++];
        for (const qd_json_node *m = r->first; m; m = m->next) {
            int rc = 0;
            if (qd_str_is(m->key, "_index"))
                to->index = qd_json_text(m);
            else if (qd_str_is(m->key, "_id"))
                to->id = qd_json_text(m);
            else if (qd_str_is(m->key, "rating"))
                rc =
                    whole(m, 0, "Rating must not be negative and a whole number", &to->rating, err);
            else
                rc = qd_err_set(err, QD_E_PARSE, "[rated_document] unknown field [%.*s]",
                                QD_STR_ARG(m->key));
            if (rc) return rc;
        }
        if (!to->index.n || !to->id.n)
            return qd_err_set(err, QD_E_ARG, "Index and id must be set for each rated document");
        for (const rated *o = e->ratings; o < to; o++)
            if (qd_str_eq(o->id, to->id) && qd_str_eq(o->index, to->index))
                return qd_err_set(err, QD_E_ARG,
                                  "Found duplicate rated document key [{\"_index\":\"%.*s\","
                                  "\"_id\":\"%.*s\"}] in evaluation request [%.*s]",
                                  QD_STR_ARG(to->index), QD_STR_ARG(to->id), QD_STR_ARG(e->id));
    }
    return 0;
}

/* The template of that id. */
static int use_template(const rank_eval *x, qd_str id, evaluation *e, qd_err *err)
{
    const qd_json_node *t = x->templates ? x->templates->first : NULL;
    while (t && !qd_str_eq(qd_json_text(qd_json_get(t, "id")), id)) t = t->next;
    const qd_json_node *script = t ? qd_json_get(t, "template") : NULL;
    if (!script || script->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_ARG, "template_id [%.*s] is missing among the templates",
                          QD_STR_ARG(id));
    const qd_json_node *source = qd_json_get(script, "source"), *stored = qd_json_get(script, "id");
    e->templated = true;
    e->template.given = true;
    e->template.ref.lang = QD_STR("mustache");
    if (source && source->type == QD_JSON_T_OBJECT)
        return qdi_script_of_object(x->q->arena, source, &e->template.ref.source, err);
    if (source) e->template.ref.source = qd_json_text(source);
    if (stored) e->template.ref.id = qd_json_text(stored);
    if (source || stored) return 0;
    return qd_err_set(err, QD_E_ARG, "a template has [source] or [id]");
}

static int read_request(rank_eval *x, const qd_json_node *n, evaluation *e, qd_err *err)
{
    const qd_json_node *id = qd_json_get(n, "id"), *template = NULL;
    int rc = 0;
    if (n->type != QD_JSON_T_OBJECT || !id)
        return qd_err_set(err, QD_E_ARG, "Required [id] of an evaluation request");
    e->id = qd_json_text(id);
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "request") && m->type == QD_JSON_T_OBJECT)
            e->body = m->raw;
        else if (qd_str_is(m->key, "ratings"))
            rc = read_ratings(x, m, e, err);
        else if (qd_str_is(m->key, "template_id"))
            template = m;
        else if (qd_str_is(m->key, "params") && m->type == QD_JSON_T_OBJECT)
            e->template.ref.params = m;
        else if (qd_str_is(m->key, "summary_fields") && m->type == QD_JSON_T_ARRAY)
            e->fields = m;
        else if (!qd_str_is(m->key, "id"))
            rc = qd_err_set(err, QD_E_PARSE, "[request] unknown field [%.*s]", QD_STR_ARG(m->key));
    }
    if (!rc && template) rc = use_template(x, qd_json_text(template), e, err);
    if (!rc && !template == !e->body.p)
        rc = qd_err_set(err, QD_E_ARG,
                        "Either a request or a template must be set in evaluation request [%.*s]",
                        QD_STR_ARG(e->id));
    return rc;
}

static int read_requests(rank_eval *x, const qd_json_node *list, qd_err *err)
{
    if (list->type != QD_JSON_T_ARRAY || !list->n || list->n > REQUESTS_MAX)
        return qd_err_set(err, QD_E_ARG, "[requests] is a list of 1 to %u evaluation requests",
                          REQUESTS_MAX);
    x->at = qd_arena_calloc(x->q->arena, list->n * sizeof *x->at);
    if (!x->at) return qd_err_nomem(err, "evaluation requests");
    for (const qd_json_node *n = list->first; n; n = n->next) {
        evaluation *e = &x->at[x->n++];
        qd_arena_init(&e->arena, x->q->a->account, 0);
        qd_buf_init(&e->answer, x->q->a->account, ANSWER_MAX);
        qd_err_init(&e->err);
        int rc = read_request(x, n, e, err);
        if (rc) return rc;
    }
    return 0;
}

static int read_body(rank_eval *x, qd_err *err)
{
    qd_json_node *root;
    const qd_json_node *requests = NULL, *of = NULL;
    int rc = qd_json_parse(x->q->arena, x->q->body, 0, &root, err);
    for (const qd_json_node *m = rc ? NULL : root->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "requests"))
            requests = m;
        else if (qd_str_is(m->key, "metric"))
            of = m;
        else if (qd_str_is(m->key, "templates") && m->type == QD_JSON_T_ARRAY)
            x->templates = m;
        else if (qd_str_is(m->key, "max_concurrent_searches"))
            rc = whole(m, 1, "maxConcurrentSearches must be positive", &x->at_once, err);
        else
            rc =
                qd_err_set(err, QD_E_PARSE, "[rank_eval] unknown field [%.*s]", QD_STR_ARG(m->key));
    }
    if (!rc && (!requests || !of)) rc = qd_err_set(err, QD_E_ARG, "Required [requests, metric]");
    if (!rc) rc = read_metric(of, &x->metric, err);
    return rc ? rc : read_requests(x, requests, err);
}

/* --- the searches ----------------------------------------------------------------------------- */

static const char *const parts[][2] = {{"aggs", "aggregations"},
                                       {"aggregations", "aggregations"},
                                       {"suggest", "a suggest section"},
                                       {"highlight", "a highlighter section"}};

/* What a rated search may not ask for. */
static int check_search(const qd_json_node *body, qd_err *err)
{
    for (const qd_json_node *m = body->first; m; m = m->next) {
        bool on = false;
        for (size_t i = 0; i < QD_COUNT_OF(parts); i++)
            if (qd_str_is(m->key, parts[i][0]))
                return qd_err_set(err, QD_E_ARG, "Query in rated requests should not contain %s.",
                                  parts[i][1]);
        bool profile = qd_str_is(m->key, "profile");
        if ((profile || qd_str_is(m->key, "explain")) && !qd_json_truth(m, &on) && on)
            return qd_err_set(err, QD_E_ARG, "Query in rated requests should not use %s.",
                              profile ? "profile" : "explain");
    }
    return 0;
}

/* The body as it runs: with the metric's size, and of the source what is shown. */
static int rewrite(const rank_eval *x, evaluation *e, const qd_json_node *body, qd_err *err)
{
    qd_json_writer w;
    qd_buf_reset(&e->answer);
    qd_json_writer_init(&w, &e->answer, false);
    qd_json_object(&w);
    for (const qd_json_node *m = body->first; m; m = m->next) {
        if (qd_str_is(m->key, "size") || qd_str_is(m->key, "_source")) continue;
        qd_json_key(&w, m->key);
        qd_json_raw_value(&w, m->raw);
    }
    qd_json_field_int(&w, "size", x->metric.k);
    qd_json_key_c(&w, "_source");
    if (e->fields)
        qd_json_raw_value(&w, e->fields->raw);
    else
        qd_json_bool(&w, false);
    qd_json_object_end(&w);
    if (qd_buf_status(&e->answer)) return qd_err_nomem(err, "a search");
    e->body = qd_arena_str(&e->arena, qd_buf_view(&e->answer));
    qd_buf_reset(&e->answer);
    return e->body.p ? 0 : qd_err_nomem(err, "a search");
}

/* Templates are rendered and bodies checked before any search runs: these errors are the whole's.
 */
static int prepare(rank_eval *x, evaluation *e, qd_err *err)
{
    search_request r;
    qd_json_node *body;
    int rc = 0;
    if (e->templated) {
        qdi_search_request_init(&r, x->q, &e->arena);
        rc = qdi_search_template_text(&r, &e->template, &e->body, err);
    }
    if (!rc) rc = qd_json_parse(&e->arena, e->body, 0, &body, err);
    if (!rc && body->type != QD_JSON_T_OBJECT)
        rc = qd_err_set(err, QD_E_PARSE, "Expected [START_OBJECT] but found [%s]",
                        qd_json_type_token(body->type));
    if (!rc) rc = check_search(body, err);
    return rc ? rc : rewrite(x, e, body, err);
}

static void run_one(void *arg, uint32_t i)
{
    rank_eval *x = arg;
    evaluation *e = &x->at[i];
    search_request r;
    qd_json_writer w;
    qd_json_node *root;
    qdi_search_request_init(&r, x->q, &e->arena);
    qd_json_writer_init(&w, &e->answer, false);
    qd_json_object(&w);
    int rc = qd_task_poll(&x->q->task);
    if (!rc) rc = qdi_search_body(&r, e->body, &e->err);
    if (!rc) rc = qdi_search_validate(&r, &e->err);
    if (!rc)
        rc = qdi_search_execute(&r, qd_param(x->q, "index"), x->options, (qd_str){NULL, 0}, &w,
                                &e->err);
    qd_json_object_end(&w);
    if (!rc && qd_buf_status(&e->answer)) rc = qd_err_nomem(&e->err, "answer of a search");
    if (!rc) rc = qd_json_parse(&e->arena, qd_buf_view(&e->answer), 0, &root, &e->err);
    if (!rc) e->hits = qd_json_get(qd_json_get(root, "hits"), "hits");
    e->rc = rc;
}

/* --- metrics ---------------------------------------------------------------------------------- */

static const rated *rating_of(const evaluation *e, const qd_json_node *hit)
{
    qd_str index = qd_json_text(qd_json_get(hit, "_index"));
    qd_str id = qd_json_text(qd_json_get(hit, "_id"));
    for (uint32_t i = 0; i < e->n; i++)
        if (qd_str_eq(e->ratings[i].id, id) && qd_str_eq(e->ratings[i].index, index))
            return &e->ratings[i];
    return NULL;
}

static double gain(int64_t rating, uint32_t rank)
{
    return (pow(2, (double)rating) - 1) / (log((double)rank + 1) / log(2));
}

static int descending(const void *a, const void *b)
{
    const rated *x = a, *y = b;
    return x->rating < y->rating ? 1 : x->rating > y->rating ? -1 : 0;
}

/* What a metric counts in the hits of one request. */
typedef struct counted {
    uint32_t hits, retrieved, relevant, all_relevant, unrated, first;
    double dcg, ideal, expected;
} counted;

static counted count(const metric *m, evaluation *e)
{
    counted c = {0};
    double left = 1;
    uint32_t rank = 0;
    for (const qd_json_node *h = e->hits ? e->hits->first : NULL; h; h = h->next) {
        const rated *r = rating_of(e, h);
        rank++;
        c.hits++;
        c.unrated += !r;
        c.retrieved += r || !m->ignore_unlabeled;
        if (r && r->rating >= m->threshold) {
            c.relevant++;
            if (!c.first) c.first = rank;
        }
        if (!r && !m->has_unknown) continue;
        int64_t rating = r ? r->rating : m->unknown;
        c.dcg += gain(rating, rank);
        double stops = (pow(2, (double)rating) - 1) / pow(2, (double)m->maximum);
        c.expected += left * stops / rank;
        left *= 1 - stops;
    }
    for (uint32_t i = 0; i < e->n; i++) c.all_relevant += e->ratings[i].rating >= m->threshold;
    if (!m->normalize) return c;
    qsort(e->ratings, e->n, sizeof *e->ratings, descending);
    for (uint32_t i = 0; i < e->n && i < c.hits; i++) c.ideal += gain(e->ratings[i].rating, i + 1);
    return c;
}

static double share(uint32_t of, uint32_t all)
{
    return all ? (double)of / (double)all : 0;
}

static double score(const metric *m, const counted *c)
{
    switch (m->kind) {
    case PRECISION:
        return share(c->relevant, c->retrieved);
    case RECALL:
        return share(c->relevant, c->all_relevant);
    case RECIPROCAL_RANK:
        return c->first ? 1.0 / c->first : 0;
    case DCG:
        return !m->normalize ? c->dcg : c->ideal > 0 ? c->dcg / c->ideal : 0;
    default:
        return c->expected;
    }
}

static void write_details(const metric *m, const counted *c, qd_json_writer *w)
{
    qd_json_key_c(w, "metric_details");
    qd_json_object(w);
    qd_json_key_c(w, metric_names[m->kind]);
    qd_json_object(w);
    if (m->kind <= RECALL) {
        qd_json_field_int(w, "relevant_docs_retrieved", c->relevant);
        qd_json_field_int(w, m->kind == RECALL ? "relevant_docs" : "docs_retrieved",
                          m->kind == RECALL ? c->all_relevant : c->retrieved);
    } else if (m->kind == RECIPROCAL_RANK) {
        qd_json_field_int(w, "first_relevant", c->first ? (int64_t)c->first : -1);
    } else {
        if (m->kind == DCG) qd_json_field_double(w, "dcg", c->dcg);
        if (m->kind == DCG && c->ideal > 0) {
            qd_json_field_double(w, "ideal_dcg", c->ideal);
            qd_json_field_double(w, "normalized_dcg", c->dcg / c->ideal);
        }
        qd_json_field_int(w, "unrated_docs", c->unrated);
    }
    qd_json_object_end(w);
    qd_json_object_end(w);
}

/* --- the answer ------------------------------------------------------------------------------- */

static void write_hits(const evaluation *e, qd_json_writer *w)
{
    const qd_json_node *first = e->hits ? e->hits->first : NULL;
    qd_json_key_c(w, "unrated_docs");
    qd_json_array(w);
    for (const qd_json_node *h = first; h; h = h->next) {
        if (rating_of(e, h)) continue;
        qd_json_object(w);
        qd_json_field_str(w, "_index", qd_json_text(qd_json_get(h, "_index")));
        qd_json_field_str(w, "_id", qd_json_text(qd_json_get(h, "_id")));
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
    qd_json_key_c(w, "hits");
    qd_json_array(w);
    for (const qd_json_node *h = first; h; h = h->next) {
        const rated *r = rating_of(e, h);
        qd_json_object(w);
        qd_json_key_c(w, "hit");
        qd_json_raw_value(w, h->raw);
        qd_json_key_c(w, "rating");
        if (r)
            qd_json_int(w, r->rating);
        else
            qd_json_null(w);
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
}

static void write_answer(rank_eval *x, qd_json_writer *w)
{
    double sum = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        if (x->at[i].rc) continue;
        counted c = count(&x->metric, &x->at[i]);
        x->at[i].score = score(&x->metric, &c);
        sum += x->at[i].score;
        n++;
    }
    qd_json_object(w);
    qd_json_field_double(w, "metric_score", n ? sum / n : 0);
    qd_json_key_c(w, "details");
    qd_json_object(w);
    for (uint32_t i = 0; i < x->n; i++) {
        if (x->at[i].rc) continue;
        counted c = count(&x->metric, &x->at[i]);
        qd_json_key(w, x->at[i].id);
        qd_json_object(w);
        qd_json_field_double(w, "metric_score", x->at[i].score);
        write_hits(&x->at[i], w);
        write_details(&x->metric, &c, w);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
    qd_json_key_c(w, "failures");
    qd_json_object(w);
    for (uint32_t i = 0; i < x->n; i++) {
        if (!x->at[i].rc) continue;
        qd_json_key(w, x->at[i].id);
        qd_json_object(w);
        qd_json_key_c(w, "error");
        qdi_words_error(x->q->a, QDI_WORDS_REQUEST, &x->at[i].err);
        qd_error_write_root(w, &x->at[i].err);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
    qd_json_object_end(w);
}

int qdi_api_rank_eval(qd_request *q, qd_response *r, qd_err *err)
{
    rank_eval x = {.q = q, .at_once = qdi_search_at_once(q->a)};
    int rc = qd_param_indices_options(q, QD_INDICES_SEARCH, &x.options, err);
    if (!rc) rc = read_body(&x, err);
    for (uint32_t i = 0; i < x.n && !rc; i++) rc = prepare(&x, &x.at[i], err);
    if (!rc) {
        qdi_search_fan_requests(q->a, x.n, x.at_once, run_one, &x);
        rc = qd_task_check(&q->task, err);
    }
    if (!rc) write_answer(&x, &r->w);
    for (uint32_t i = 0; i < x.n; i++) {
        qd_buf_fini(&x.at[i].answer);
        qd_arena_fini(&x.at[i].arena);
        qd_err_fini(&x.at[i].err);
    }
    return rc;
}
