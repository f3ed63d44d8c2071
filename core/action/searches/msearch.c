/*
 * msearch.c: _msearch: lines of headers and bodies. All are read before the first runs, so a
 * malformed one refuses the request; a search that fails is an answer of its own. Some run at one
 * time, each with its memory for itself; answers stand in the order of the searches. The bodies of
 * _msearch/template are templates; what they become is read when their search runs, so that only
 * that one fails.
 */
#include "action/api/date_name.h"
#include "action/api/words.h"
#include "action/searches/searches_int.h"
#include "base/str.h"

#define ANSWERS_MAX ((uint64_t)1 << 31)

#define SEARCHES_MAX 10000u

typedef struct one_search {
    search_request r;
    qd_arena arena; /* of the request and its run */
    qd_buf answer;
    qd_str index, routing;
    qd_str type; /* search_type of the header; n 0: the request's */
    bool dfs;
    uint32_t options;
    qd_str preference; /* p NULL: the request's */
    const qd_json_node *partial;
    search_template *template; /* NULL: its body was read */
} one_search;

/* --- headers --- */

/* A string, or a list of strings joined by commas. */
static int names_of(qd_arena *a, const qd_json_node *n, qd_str *out, qd_err *err)
{
    qd_buf b;
    if (n->type != QD_JSON_T_ARRAY) {
        *out = qd_json_text(n);
        return 0;
    }
    qd_buf_init(&b, a->account, 1 << 20);
    for (const qd_json_node *x = n->first; x; x = x->next) {
        if (b.n) (void)qd_buf_char(&b, ',');
        (void)qd_buf_str(&b, qd_json_text(x));
    }
    *out = qd_arena_str(a, qd_buf_view(&b));
    int rc = qd_buf_status(&b) || !out->p ? qd_err_nomem(err, "names of indices") : 0;
    qd_buf_fini(&b);
    return rc;
}

static int flag(const qd_json_node *n, uint32_t bit, uint32_t *options, qd_err *err)
{
    bool on;
    if (qd_json_truth(n, &on)) {
        return qd_err_set(err, QD_E_ARG,
                          "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                          QD_STR_ARG(n->text));
    }
    *options = on ? *options | bit : *options & ~bit;
    return 0;
}

static bool is_accepted(qd_str key)
{
    static const char *const keys[] = {"request_cache",
                                       "ignore_throttled",
                                       "ccs_minimize_roundtrips",
                                       "max_concurrent_shard_requests",
                                       "type",
                                       "types",
                                       "project_routing",
                                       "cancel_after_time_interval"};
    for (size_t i = 0; i < QD_COUNT_OF(keys); i++) {
        if (qd_str_is(key, keys[i])) return true;
    }
    return false;
}

static int header_member(qd_request *q, const qd_json_node *m, one_search *s, qd_err *err)
{
    qd_str text;
    if (qd_str_is(m->key, "index") || qd_str_is(m->key, "indices")) {
        int rc = names_of(q->arena, m, &text, err);
        return rc ? rc : qdi_date_names(q->arena, text, qd_env_wall_ms(q->a->env), &s->index, err);
    }
    if (qd_str_is(m->key, "routing")) return names_of(q->arena, m, &s->routing, err);
    if (qd_str_is(m->key, "ignore_unavailable")) {
        return flag(m, QD_IGNORE_UNAVAILABLE, &s->options, err);
    }
    if (qd_str_is(m->key, "allow_no_indices")) {
        return flag(m, QD_ALLOW_NO_INDICES, &s->options, err);
    }
    if (qd_str_is(m->key, "expand_wildcards")) {
        int rc = names_of(q->arena, m, &text, err);
        return rc ? rc : qd_state_expand_parse(text, &s->options, err);
    }
    if (qd_str_is(m->key, "search_type")) {
        s->type = qd_json_text(m);
        return qdi_search_type(s->type, &s->dfs, err);
    }
    if (qd_str_is(m->key, "preference")) {
        s->preference = qd_json_text(m);
        return 0;
    }
    if (qd_str_is(m->key, "allow_partial_search_results")) {
        s->partial = m;
        return 0;
    }
    if (is_accepted(m->key)) return 0;
    return qd_err_set(err, QD_E_ARG, "key [%.*s] is not supported in the metadata section",
                      QD_STR_ARG(m->key));
}

static int header(qd_request *q, qd_str line, one_search *s, qd_err *err)
{
    qd_json_node *root;
    s->index = qd_param(q, "index");
    s->routing = qd_param(q, "routing");
    s->options = QD_INDICES_SEARCH;
    int rc = qd_param_indices_options(q, QD_INDICES_SEARCH, &s->options, err);
    if (rc || !qd_str_trim(line).n) return rc;
    rc = qd_json_parse(q->arena, line, 0, &root, err);
    if (!rc && root->type != QD_JSON_T_OBJECT) {
        rc = qd_err_set(err, QD_E_ARG, "Malformed content, must start with an object");
    }
    for (const qd_json_node *m = rc ? NULL : root->first; m && !rc; m = m->next) {
        rc = header_member(q, m, s, err);
    }
    return rc;
}

/* The search's body, and what parameters and header say besides. */
static int read_search(one_search *s, qd_str body, qd_err *err)
{
    s->r.coordinates = true;
    s->r.expression = s->index;
    s->r.options = s->options;
    int rc = s->template ? qdi_search_template_body(&s->r, s->template, err)
                         : qdi_search_body(&s->r, body, err);
    if (!rc) rc = qdi_search_params(&s->r, err);
    if (!rc && s->type.n) s->r.dfs = s->dfs;
    if (!rc && s->preference.p) {
        s->r.preference = s->preference;
        rc = qdi_search_preference(&s->r, err);
    }
    if (!rc && s->partial && qd_json_truth(s->partial, &s->r.allow_partial)) {
        rc = qd_err_set(err, QD_E_ARG,
                        "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                        QD_STR_ARG(s->partial->text));
    }
    return rc ? rc : qdi_search_validate(&s->r, err);
}

/* A template, for later; *missing counts those that are empty. */
static int read_template(one_search *s, qd_str body, uint32_t *missing, qd_err *err)
{
    s->template = qd_arena_alloc(&s->arena, sizeof *s->template);
    if (!s->template) return qd_err_nomem(err, "a template");
    int rc = qdi_search_template_read(&s->r, body, s->template, err);
    if (!rc && !s->template->given) rc = qd_err_set(err, QD_E_ARG, "Malformed search template");
    if (!rc) *missing += !s->template->ref.source.n && !s->template->ref.id.n;
    return rc;
}

static int missing_templates(uint32_t n, qd_err *err)
{
    qd_buf b;
    qd_buf_init(&b, NULL, 1024);
    for (uint32_t i = 1; i <= n && i <= 20; i++)
        (void)qd_buf_printf(&b, "%s%u: template is missing;", i > 1 ? "" : " ", i);
    int rc = qd_err_set(err, QD_E_VALIDATION, "Validation Failed:%s", qd_buf_view(&b).p);
    qd_buf_fini(&b);
    return rc;
}

static int read_all(qd_request *q, bool templates, one_search **out, uint32_t *n, int64_t *at_once,
                    qd_err *err)
{
    uint32_t lines = 0, missing = 0;
    int rc = 0;
    if (!q->body.n || q->body.p[q->body.n - 1] != '\n') {
        return qd_err_set(err, QD_E_ARG,
                          "The msearch request must be terminated by a newline [\\n]");
    }
    for (size_t i = 0; i < q->body.n; i++) lines += q->body.p[i] == '\n';
    *at_once = qdi_search_at_once(q->a);
    if ((rc = qd_param_i64(q, "max_concurrent_searches", *at_once, at_once, err))) return rc;
    if (*at_once < 1) {
        return qd_err_set(err, QD_E_ARG, "maxConcurrentSearchRequests must be positive");
    }
    if (lines / 2 > SEARCHES_MAX) {
        return qd_err_set(err, QD_E_ARG, "a request may hold at most [%u] searches", SEARCHES_MAX);
    }
    *out = qd_arena_calloc(q->arena, (lines / 2 + 1) * sizeof **out);
    if (!*out) return qd_err_nomem(err, "searches");
    for (qd_str rest = qd_str_sub(q->body, 0, q->body.n - 1); rest.p && !rc;) {
        qd_str head = qd_str_split(&rest, '\n');
        if (!rest.p) {
            break; /* a header without a body asks for nothing */
        }
        qd_str body = qd_str_split(&rest, '\n');
        one_search *s = &(*out)[(*n)++];
        qd_arena_init(&s->arena, q->a->account, 0);
        qd_buf_init(&s->answer, q->a->account, ANSWERS_MAX);
        qdi_search_request_init(&s->r, q, &s->arena);
        rc = header(q, head, s, err);
        if (!rc) rc = templates ? read_template(s, body, &missing, err) : read_search(s, body, err);
    }
    if (!rc && !*n) {
        rc = qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: no requests added;");
    }
    return !rc && missing ? missing_templates(missing, err) : rc;
}

/* --- answers --- */

static void write_one(one_search *s, qd_json_writer *w)
{
    qd_json_writer before = *w;
    size_t bytes = w->out->n;
    qd_err err;
    qd_err_init(&err);
    qd_json_object(w);
    int rc = s->template ? read_search(s, (qd_str){NULL, 0}, &err) : 0;
    if (!rc) rc = qdi_search_execute(&s->r, s->index, s->options, s->routing, w, &err);
    if (rc) { /* what the search has written is taken back */
        *w = before;
        w->out->n = bytes;
        qd_json_object(w);
        qd_json_key_c(w, "error");
        qdi_words_error(s->r.q->a, QDI_WORDS_REQUEST, &err);
        qd_error_write_root(w, &err);
    }
    qd_json_field_int(w, "status", rc ? qd_err_status(&err) : 200);
    qd_json_object_end(w);
    qd_err_fini(&err);
}

/* All of a request, while they run. */
typedef struct msearch {
    qd_request *q;
    one_search *all;
    _Atomic int32_t rc;
    _Atomic uint64_t bytes;
} msearch;

static void run_one(void *arg, uint32_t i)
{
    msearch *m = arg;
    one_search *s = &m->all[i];
    qd_json_writer w;
    int rc = qd_task_poll(&m->q->task), none = 0;
    if (!rc && !atomic_load(&m->rc)) {
        qd_json_writer_init(&w, &s->answer, false);
        write_one(s, &w);
        uint64_t bytes = atomic_fetch_add(&m->bytes, s->answer.n) + s->answer.n;
        if (qd_buf_status(&s->answer) || bytes > ANSWERS_MAX) rc = QD_E_BREAKER;
    }
    qd_arena_fini(&s->arena);
    qd_arena_init(&s->arena, m->q->a->account, 0); /* what it took goes before the next begins */
    if (rc) (void)atomic_compare_exchange_strong(&m->rc, &none, rc);
}

static void write_answers(const msearch *m, uint32_t n, uint64_t ns, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_field_int(w, "took", (int64_t)(ns / 1000000));
    qd_json_key_c(w, "responses");
    qd_json_array(w);
    for (uint32_t i = 0; i < n; i++) {
        qd_json_raw_value(w, qd_buf_view(&m->all[i].answer));
        qd_buf_fini(&m->all[i].answer);
        qd_buf_init(&m->all[i].answer, m->q->a->account, 0);
    }
    qd_json_array_end(w);
    qd_json_object_end(w);
}

static int msearch_of(qd_request *q, bool templates, qd_response *r, qd_err *err)
{
    uint64_t start = qd_env_mono_ns(q->a->env);
    msearch m = {.q = q};
    uint32_t n = 0;
    int64_t at_once;
    int rc = read_all(q, templates, &m.all, &n, &at_once, err);
    if (!rc) {
        qdi_search_fan_requests(q->a, n, at_once, run_one, &m);
        rc = qd_task_check(&q->task, err);
        if (!rc && m.rc) {
            rc = qd_err_set(err, QD_E_BREAKER,
                            "[request] answer is too large for the memory allowed");
        }
    }
    if (!rc) write_answers(&m, n, qd_env_mono_ns(q->a->env) - start, &r->w);
    for (uint32_t i = 0; i < n; i++) {
        qd_arena_fini(&m.all[i].arena);
        qd_buf_fini(&m.all[i].answer);
    }
    return rc;
}

int qdi_api_msearch(qd_request *q, qd_response *r, qd_err *err)
{
    return msearch_of(q, false, r, err);
}

int qdi_api_msearch_template(qd_request *q, qd_response *r, qd_err *err)
{
    return msearch_of(q, true, r, err);
}
