/* parse.c: what the three requests ask for: parameters and bodies, in Elasticsearch's words. */
#include "action/api/admin_int.h"
#include "action/api/date_name.h"
#include "action/byquery/remote_int.h"
#include "base/str.h"
#include "config/value.h"
#include "json/tree.h"

#define BATCH 1000
#define BATCH_MAX 10000
#define TIMEOUT_MS 60000

int qdi_bq_rate(qd_str text, double *out, qd_err *err)
{
    *out = 0;
    if (qd_str_is(text, "-1")) return 0;
    if (!qd_value_double(text, out) || !(*out > 0))
        return qd_err_set(err, QD_E_ARG,
                          "[requests_per_second] must be a float greater than 0. Use -1 to disable "
                          "throttling.");
    return 0;
}

static int slices_of(qd_str text, uint32_t *out, qd_err *err)
{
    int64_t n = 0;
    if (!text.n || qd_str_is(text, "auto")) {
        *out = text.n ? 0 : 1;
        return 0;
    }
    if (!qd_str_i64(text, &n) || n < 1)
        return qd_err_set(err, QD_E_ARG,
                          "[slices] must be a positive integer or the string \"auto\", but was "
                          "[%.*s]",
                          QD_STR_ARG(text));
    if (n > BQ_SLICES_MAX)
        return qd_err_set(err, QD_E_ARG,
                          "[slices] must be less than or equal to [%u] but was [%lld]",
                          BQ_SLICES_MAX, (long long)n);
    *out = (uint32_t)n;
    return 0;
}

static int conflicts_of(qd_str text, bool *proceed, qd_err *err)
{
    *proceed = qd_str_is(text, "proceed");
    if (*proceed || qd_str_is(text, "abort")) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "conflicts may only be \"proceed\" or \"abort\" but was [%.*s]",
                      QD_STR_ARG(text));
}

static int max_docs_of(bq_spec *s, int64_t n, bool given, qd_err *err)
{
    if (n < 0)
        return qd_err_set(err, QD_E_ARG, "[max_docs] parameter cannot be negative, found [%lld]",
                          (long long)n);
    if (given && s->max_docs >= 0 && s->max_docs != n)
        return qd_err_set(err, QD_E_ARG, "[max_docs] set to two different values [%lld] and [%lld]",
                          (long long)s->max_docs, (long long)n);
    s->max_docs = n;
    return 0;
}

/* --- parameters --- */

static int max_docs_params(const qd_request *q, bq_spec *s, qd_err *err)
{
    static const char *const keys[] = {"size", "max_docs"};
    int rc = 0;
    for (size_t i = 0; i < QD_COUNT_OF(keys) && !rc; i++) {
        int64_t n = -1;
        if (!qd_param_has(q, keys[i]) || (!i && qd_str_is(qd_param(q, keys[i]), "-1"))) continue;
        rc = qd_param_i64(q, keys[i], -1, &n, err);
        if (!rc) rc = max_docs_of(s, n, true, err);
    }
    return rc;
}

static int params(const qd_request *q, bq_spec *s, qd_err *err)
{
    qd_str conflicts = qd_param(q, "conflicts");
    int rc = slices_of(qd_param(q, "slices"), &s->slices, err);
    if (!rc && qd_param_has(q, "requests_per_second"))
        rc = qdi_bq_rate(qd_param(q, "requests_per_second"), &s->rate, err);
    if (!rc && conflicts.n) rc = conflicts_of(conflicts, &s->proceed, err);
    if (!rc) rc = qd_param_ms(q, "timeout", TIMEOUT_MS, &s->timeout_ms, err);
    if (!rc) rc = qdi_active_param(q, &s->active, err);
    if (!rc && qd_param_has(q, "scroll_size"))
        rc = qd_param_i64(q, "scroll_size", 0, &s->batch, err);
    if (!rc) rc = qd_param_bool(q, "refresh", false, &s->refresh, err);
    if (!rc) rc = qd_param_bool(q, "wait_for_completion", true, &s->wait, err);
    s->scroll = qd_param(q, "scroll").n ? qd_param(q, "scroll") : QD_STR("5m");
    return rc;
}

/* ignore_unavailable and its like, for the point in time. */
static int index_options(bq_job *job, const qd_request *q, qd_err *err)
{
    static const char *const keys[] = {"ignore_unavailable", "allow_no_indices", "expand_wildcards",
                                       "ignore_throttled"};
    uint32_t options;
    int rc = qd_param_indices_options(q, QD_INDICES_SEARCH, &options, err);
    qd_pair *at = qd_arena_alloc(&job->arena, sizeof *at * QD_COUNT_OF(keys));
    if (!rc && !at) rc = qd_err_nomem(err, "a job");
    for (size_t i = 0; !rc && i < QD_COUNT_OF(keys) - 1; i++)
        if (qd_param_has(q, keys[i]))
            at[job->spec.noptions++] = (qd_pair){qd_str_c(keys[i]), qd_param(q, keys[i])};
    job->spec.options = at;
    return rc;
}

/* The query of the parameter q, which stands before that of the body. */
static int param_query(bq_job *job, const qd_request *q, qd_err *err)
{
    static const char *const texts[][2] = {{"df", "default_field"},
                                           {"default_operator", "default_operator"},
                                           {"analyzer", "analyzer"}};
    static const char *const truths[] = {"analyze_wildcard", "lenient"};
    qd_json_writer w;
    qd_buf b;
    if (!qd_param(q, "q").n) return 0;
    qd_buf_init(&b, NULL, (size_t)1 << 20);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "query_string");
    qd_json_object(&w);
    qd_json_field_str(&w, "query", qd_param(q, "q"));
    for (size_t i = 0; i < QD_COUNT_OF(texts); i++)
        if (qd_param(q, texts[i][0]).n)
            qd_json_field_str(&w, texts[i][1], qd_param(q, texts[i][0]));
    int rc = 0;
    for (size_t i = 0; i < QD_COUNT_OF(truths) && !rc; i++) {
        bool on = false;
        rc = qd_param_bool(q, truths[i], false, &on, err);
        if (!rc && qd_param_has(q, truths[i])) qd_json_field_bool(&w, truths[i], on);
    }
    qd_json_object_end(&w);
    qd_json_object_end(&w);
    job->spec.query = qd_arena_str(&job->arena, qd_buf_view(&b));
    if (!rc && (qd_buf_status(&b) || !job->spec.query.p)) rc = qd_err_nomem(err, "a query");
    qd_buf_fini(&b);
    return rc;
}

/* --- bodies --- */

static int wrong(const char *where, const qd_json_node *m, qd_err *err)
{
    return qd_err_set(err, QD_E_XCONTENT, "[%s] unknown field [%.*s]", where, QD_STR_ARG(m->key));
}

/* It is compiled when the job begins, so that a wrong one is told at once. */
static int script_of(bq_job *job, const qd_json_node *m, qd_err *err)
{
    bq_script b;
    if (job->spec.kind == BQ_DELETE)
        return qd_err_set(err, QD_E_PARSE, "request does not support [script]");
    job->spec.script = m->raw;
    int rc = qdi_bq_script_open(&b, job, &job->arena, err);
    qdi_bq_script_close(&b);
    return rc;
}

static int whole_number(const qd_json_node *m, int64_t *out, qd_err *err)
{
    if (qd_str_i64(qd_json_text(m), out)) return 0;
    return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                      QD_STR_ARG(m->type == QD_JSON_T_STRING ? m->text : m->raw));
}

/* A member that all three have; 1: it is none of these. */
static int common(bq_job *job, const qd_json_node *m, qd_err *err)
{
    bq_spec *s = &job->spec;
    int64_t n = 0;
    if (qd_str_is(m->key, "conflicts")) return conflicts_of(qd_json_text(m), &s->proceed, err);
    if (qd_str_is(m->key, "max_docs") || qd_str_is(m->key, "size")) {
        int rc = whole_number(m, &n, err);
        if (!rc && n == -1 && qd_str_is(m->key, "size")) return 0;
        return rc ? rc : max_docs_of(s, n, true, err);
    }
    if (qd_str_is(m->key, "script")) return script_of(job, m, err);
    return 1;
}

/* What a search knows and a job cannot do. */
static int unsupported_there(const qd_json_node *m, qd_err *err)
{
    bool source = qd_str_is(m->key, "_source");
    return qd_err_set(err, QD_E_VALIDATION,
                      "Validation Failed: 1: %.*s%s is not supported in this context;",
                      QD_STR_ARG(m->key), source ? ":false" : "");
}

static int query_body(bq_job *job, const qd_json_node *root, qd_err *err)
{
    bq_spec *s = &job->spec;
    int rc = 0;
    for (const qd_json_node *m = root ? root->first : NULL; m && !rc; m = m->next) {
        rc = common(job, m, err);
        if (rc != 1) continue;
        rc = 0;
        if (qd_str_is(m->key, "stored_fields") || qd_str_is(m->key, "from")) {
            rc = unsupported_there(m, err);
        } else if (qd_str_is(m->key, "query") && m->type == QD_JSON_T_OBJECT) {
            if (!s->query.p) s->query = m->raw;
        } else if (qd_str_is(m->key, "slice") && m->type == QD_JSON_T_OBJECT) {
            s->slice = m->raw;
        } else if (qd_str_is(m->key, "sort")) {
            s->sort = m->raw;
        } else if (!qd_str_is(m->key, "_source")) { /* of clients that send searches: no effect */
            rc = qd_err_set(err, QD_E_PARSE, "request does not support [%.*s]", QD_STR_ARG(m->key));
        }
    }
    return rc;
}

/* "a", or ["a", "b"], as an expression. */
static int expression(bq_job *job, const qd_json_node *m, qd_str *out, qd_err *err)
{
    qd_buf b;
    bool list = m->type == QD_JSON_T_ARRAY;
    qd_buf_init(&b, NULL, (size_t)1 << 20);
    for (const qd_json_node *n = list ? m->first : m; n; n = list ? n->next : NULL) {
        if (b.n) (void)qd_buf_char(&b, ',');
        (void)qd_buf_str(&b, qd_json_text(n));
    }
    *out = qd_arena_str(&job->arena, qd_buf_view(&b));
    bool failed = qd_buf_status(&b) || !out->p;
    qd_buf_fini(&b);
    return failed ? qd_err_nomem(err, "indices of the source") : 0;
}

static int64_t now_ms(const bq_job *job)
{
    return qd_env_wall_ms(job->a->env);
}

static int read_source(bq_job *job, const qd_json_node *source, qd_err *err)
{
    bq_spec *s = &job->spec;
    qd_str text;
    int rc = 0;
    for (const qd_json_node *m = source->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "index")) {
            bool far = qd_json_get(source, "remote") != NULL; /* its names are the other side's */
            rc = expression(job, m, &text, err);
            if (!rc && far) s->index = text;
            if (!rc && !far) rc = qdi_date_names(&job->arena, text, now_ms(job), &s->index, err);
        } else if (qd_str_is(m->key, "query")) {
            s->query = m->raw;
        } else if (qd_str_is(m->key, "from") || qd_str_is(m->key, "stored_fields") ||
                   (qd_str_is(m->key, "_source") && m->type == QD_JSON_T_BOOL && !m->truth)) {
            rc = unsupported_there(m, err);
        } else if (qd_str_is(m->key, "_source")) {
            s->source_filter = m->raw;
        } else if (qd_str_is(m->key, "size")) {
            rc = whole_number(m, &s->batch, err);
        } else if (qd_str_is(m->key, "slice")) {
            s->slice = m->raw;
        } else if (qd_str_is(m->key, "type")) {
            continue; /* there is one type */
        } else if (qd_str_is(m->key, "sort")) {
            s->sort = m->raw;
        } else if (qd_str_is(m->key, "remote")) {
            rc = qdi_bq_remote_parse(job, m, err);
        } else if (qd_str_is(m->key, "runtime_mappings")) {
            rc = qd_err_set(err, QD_E_UNSUPPORTED,
                            "[source.%.*s] of a reindex is not supported by this version",
                            QD_STR_ARG(m->key));
        } else {
            rc = qd_err_set(err, QD_E_PARSE, "Unknown key for a %s in [%.*s].",
                            qd_json_type_token(m->type), QD_STR_ARG(m->key));
        }
    }
    return rc;
}

static int read_dest(bq_job *job, const qd_json_node *dest, qd_err *err)
{
    bq_spec *s = &job->spec;
    int rc = 0;
    for (const qd_json_node *m = dest->first; m && !rc; m = m->next) {
        qd_str text = qd_json_text(m);
        if (qd_str_is(m->key, "index")) {
            rc = qdi_date_name(&job->arena, text, now_ms(job), &s->dest, err);
        } else if (qd_str_is(m->key, "routing")) {
            s->dest_routing = text;
            if (!qd_str_is(text, "keep") && !qd_str_is(text, "discard") &&
                !qd_str_starts(text, QD_STR("=")))
                rc = qd_err_set(err, QD_E_ARG, "Unsupported routing command: %.*s",
                                QD_STR_ARG(text));
        } else if (qd_str_is(m->key, "op_type")) {
            s->op = qd_str_is(text, "create") ? DOC_CREATE : DOC_INDEX;
            if (s->op == DOC_INDEX && !qd_str_is(text, "index"))
                rc = qd_err_set(err, QD_E_ARG, "opType must be 'create' or 'index', found: [%.*s]",
                                QD_STR_ARG(text));
        } else if (qd_str_is(m->key, "pipeline")) {
            s->pipeline = text;
        } else if (qd_str_is(m->key, "version_type")) {
            s->external = !qd_str_is(text, "internal");
            rc = qdi_version_type(text, &s->version_type, err);
        } else if (!qd_str_is(m->key, "type")) {
            rc = wrong("dest", m, err);
        }
    }
    return rc;
}

static int reindex_body(bq_job *job, const qd_json_node *root, qd_err *err)
{
    bq_spec *s = &job->spec;
    bool source = false, dest = false;
    int rc = 0;
    for (const qd_json_node *m = root ? root->first : NULL; m && !rc; m = m->next) {
        bool object = m->type == QD_JSON_T_OBJECT;
        rc = common(job, m, err);
        if (rc != 1) continue;
        rc = 0;
        if (qd_str_is(m->key, "source") && object) {
            source = true;
            rc = read_source(job, m, err);
        } else if (qd_str_is(m->key, "dest") && object) {
            dest = true;
            rc = read_dest(job, m, err);
        } else {
            rc = wrong("reindex", m, err);
        }
    }
    if (rc) return rc;
    bool no_source = !source || !s->index.n, no_dest = !dest || !s->dest.n;
    if (no_source || no_dest)
        return qd_err_set(
            err, QD_E_VALIDATION, "Validation Failed: %s%s",
            no_source ? "1: use _all if you really want to copy from all existing indexes;" : "",
            no_dest ? no_source ? "2: index must be specified;" : "1: index must be specified;"
                    : "");
    if (s->op == DOC_CREATE && s->external)
        return qd_err_set(err, QD_E_VALIDATION,
                          "Validation Failed: 1: create operations only support internal "
                          "versioning. use index instead;");
    return 0;
}

/* --- the whole --- */

static int check(const bq_job *job, qd_err *err)
{
    const bq_spec *s = &job->spec;
    if (s->batch < 1 || s->batch > BATCH_MAX)
        return qd_err_set(err, QD_E_ARG, "[%s] must be between 1 and %d but was [%lld]",
                          s->kind == BQ_REINDEX ? "source.size" : "scroll_size", BATCH_MAX,
                          (long long)s->batch);
    if (s->slice.p && s->slices != 1)
        return qd_err_set(
            err, QD_E_VALIDATION,
            "Validation Failed: 1: can't specify both manual and automatic slicing at "
            "the same time;");
    if (s->max_docs >= 0 && s->max_docs < (int64_t)s->slices)
        return qd_err_set(err, QD_E_ARG, "[max_docs] should be >= [slices]");
    if (s->max_docs == 0) return qd_err_set(err, QD_E_ARG, "[max_docs] should be >= [slices]");
    if (s->kind == BQ_DELETE && !s->query.p)
        return qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: query is missing;");
    return 0;
}

/* require_alias=true: the destination is there, as an alias, before the job begins. */
static int check_alias(const qd_request *q, const bq_spec *s, qd_err *err)
{
    bool required;
    int rc = qd_param_bool(q, "require_alias", false, &required, err);
    if (rc || !required) return rc;
    qd_state *now = qd_cluster_state(q->a->cluster);
    bool there = qd_state_alias(now, s->dest) != NULL;
    qd_state_unref(now);
    return there ? 0 : qdi_index_not_there(s->dest, "require_alias", "an alias", err);
}

int qdi_bq_parse(bq_job *job, const qd_request *q, bq_kind kind, qd_err *err)
{
    bq_spec *s = &job->spec;
    qd_json_node *root = NULL;
    *s = (bq_spec){.kind = kind,
                   .batch = BATCH,
                   .max_docs = -1,
                   .op = DOC_INDEX,
                   .index = qd_param(q, "index"),
                   .routing = qd_param(q, "routing"),
                   .preference = qd_param(q, "preference"),
                   .pipeline = qd_param(q, "pipeline")};
    qd_str body = qd_str_trim(q->body);
    int rc = params(q, s, err);
    if (!rc) rc = index_options(job, q, err);
    if (!rc) rc = param_query(job, q, err);
    if (!rc && body.n) rc = qd_json_parse(&job->arena, body, 0, &root, err);
    if (!rc && root && root->type != QD_JSON_T_OBJECT)
        rc = qd_err_set(err, QD_E_PARSE, "Expected [START_OBJECT] but found [%s]",
                        qd_json_type_token(root->type));
    if (!rc) rc = kind == BQ_REINDEX ? reindex_body(job, root, err) : query_body(job, root, err);
    if (!rc) rc = max_docs_params(q, s, err); /* behind the body, as errors name them */
    if (!rc && s->remote) rc = qdi_bq_remote_check(job, err);
    if (!rc && s->remote) rc = qdi_bq_remote_redact(job, root, err);
    if (!rc && kind == BQ_REINDEX) rc = check_alias(q, s, err);
    return rc ? rc : check(job, err);
}
