/* request.c: the processors of requests: a search's body is written anew. */
#include "action/api/lookup_int.h"
#include "action/search_pipeline/search_pipeline.h"
#include "base/str.h"
#include "json/number.h"
#include <math.h>

#define BODY_MAX ((size_t)256 << 20)
#define SIZE_STANDARD 10

/* What the body becomes. */
typedef struct rewriting {
    qd_arena *arena;
    qd_str query; /* p NULL: none */
    int64_t size;
    bool sized;
} rewriting;

static qd_str keep(qd_arena *a, qd_buf *b, qd_err *err)
{
    qd_str out = qd_buf_status(b) ? (qd_str){NULL, 0} : qd_arena_str(a, qd_buf_view(b));
    if (!out.p) (void)qd_err_nomem(err, "search pipeline");
    qd_buf_fini(b);
    return out;
}

/* {"bool": {"must": [query], "filter": [filter, …]}} */
static void write_within(qd_json_writer *w, qd_str query, qd_str filter, qd_str more)
{
    qd_json_object(w);
    qd_json_key_c(w, "bool");
    qd_json_object(w);
    if (query.p) {
        qd_json_key_c(w, "must");
        qd_json_raw_value(w, query);
    }
    qd_json_key_c(w, "filter");
    qd_json_array(w);
    qd_json_raw_value(w, filter);
    if (more.p) qd_json_raw_value(w, more);
    qd_json_array_end(w);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

/* A hybrid query has the filter for all its queries. */
static void write_hybrid(qd_json_writer *w, const qd_json_node *hybrid, qd_str filter)
{
    const qd_json_node *own = qd_json_get(hybrid, "filter");
    qd_json_object(w);
    qd_json_key_c(w, "hybrid");
    qd_json_object(w);
    for (const qd_json_node *m = hybrid->first; m; m = m->next) {
        if (m == own) continue;
        qd_json_key(w, m->key);
        qd_json_raw_value(w, m->raw);
    }
    qd_json_key_c(w, "filter");
    if (own)
        write_within(w, (qd_str){NULL, 0}, filter, own->raw);
    else
        qd_json_raw_value(w, filter);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static int filter_query(rewriting *x, const search_processor *p, qd_err *err)
{
    qd_json_node *n = NULL;
    qd_json_writer w;
    qd_buf b;
    int rc = x->query.p ? qd_json_parse(x->arena, x->query, 0, &n, err) : 0;
    if (rc) return rc;
    const qd_json_node *hybrid = n ? qd_json_get(n, "hybrid") : NULL;
    qd_buf_init(&b, x->arena->account, BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    if (hybrid)
        write_hybrid(&w, hybrid, p->query->raw);
    else
        write_within(&w, x->query, p->query->raw, (qd_str){NULL, 0});
    x->query = keep(x->arena, &b, err);
    return x->query.p ? 0 : QD_E_NOMEM;
}

static int oversample(search_pipeline *s, rewriting *x, const search_processor *p, qd_err *err)
{
    double size = ceil((double)x->size * p->factor);
    if (!s->originals)
        s->originals = qd_arena_calloc(x->arena, QDI_SEARCH_PROCESSORS_MAX * sizeof *s->originals);
    if (!s->originals) return qd_err_nomem(err, "search pipeline");
    s->originals[s->noriginals++] = (search_original){p->prefix, x->size};
    x->size = size > INT32_MAX ? INT32_MAX : (int64_t)size;
    x->sized = true;
    return 0;
}

static int size_of(const qd_request *q, const qd_json_node *root, int64_t *out, qd_err *err)
{
    bool exact;
    const qd_json_node *n = root ? qd_json_get(root, "size") : NULL;
    *out = SIZE_STANDARD;
    if (qd_param_has(q, "size")) return qd_param_i64(q, "size", SIZE_STANDARD, out, err);
    if (n && qd_i64_parse_decimal(qd_json_text(n), out, &exact))
        return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                          QD_STR_ARG(qd_json_text(n)));
    return 0;
}

static qd_str write_body(const rewriting *x, const qd_json_node *root, qd_err *err)
{
    qd_json_writer w;
    qd_buf b;
    qd_buf_init(&b, x->arena->account, BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    for (const qd_json_node *m = root ? root->first : NULL; m; m = m->next) {
        if (qd_str_is(m->key, "query") || qd_str_is(m->key, "search_pipeline")) continue;
        if (x->sized && qd_str_is(m->key, "size")) continue;
        qd_json_key(&w, m->key);
        qd_json_raw_value(&w, m->raw);
    }
    if (x->query.p) {
        qd_json_key_c(&w, "query");
        qd_json_raw_value(&w, x->query);
    }
    if (x->sized) qd_json_field_int(&w, "size", x->size);
    qd_json_object_end(&w);
    return keep(x->arena, &b, err);
}

int qdi_search_pipeline_request(search_pipeline *p, const qd_request *q, qd_arena *a, qd_str body,
                                qd_str *out, int64_t *size, qd_err *err)
{
    rewriting x = {.arena = a};
    qd_json_node *root = NULL;
    *out = body;
    *size = -1;
    if (!p->nrequest) return 0;
    int rc = qd_str_trim(body).n ? qd_json_parse(a, body, 0, &root, err) : 0;
    if (!rc && root && root->type != QD_JSON_T_OBJECT) return 0; /* the search tells it */
    if (!rc) rc = size_of(q, root, &x.size, err);
    const qd_json_node *query = rc || !root ? NULL : qd_json_get(root, "query");
    if (query) x.query = query->raw;
    for (uint32_t i = 0; i < p->nrequest && !rc; i++) {
        const search_processor *s = &p->request[i];
        if (s->kind == SEARCH_PROCESSOR_OVERSAMPLE)
            rc = oversample(p, &x, s, err);
        else if (qd_param_has(q, "q"))
            rc = qd_err_set(err, QD_E_UNSUPPORTED,
                            "[filter_query] of a search pipeline beside the parameter [q] is not "
                            "supported by this version");
        else
            rc = filter_query(&x, s, err);
    }
    if (rc) return rc;
    *out = write_body(&x, root, err);
    if (x.sized) *size = x.size;
    return out->p ? 0 : QD_E_NOMEM;
}
