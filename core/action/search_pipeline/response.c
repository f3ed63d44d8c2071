/* response.c: the processors of responses: an answer is read, its hits changed, and written anew.
 */
#include "action/search_pipeline/search_pipeline.h"
#include "base/str.h"
#include "json/number.h"
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX ((size_t)1 << 30)

/* A member of an object that is changed. */
typedef struct pair {
    qd_str key, raw;
} pair;

typedef struct object {
    pair *at;
    uint32_t n, cap;
} object;

typedef struct hit {
    const qd_json_node *node;
    object source, fields; /* at NULL: the hit has none */
} hit;

typedef struct answer {
    qd_arena *arena;
    const search_pipeline *pipeline;
    hit *hits;
    uint32_t n;
} answer;

/* --- objects ---------------------------------------------------------------------------------- */

static int read_object(qd_arena *a, const qd_json_node *n, object *out, qd_err *err)
{
    if (!n || n->type != QD_JSON_T_OBJECT) return 0;
    out->cap = n->n + QDI_SEARCH_PROCESSORS_MAX; /* each processor adds one at most */
    out->at = qd_arena_alloc(a, out->cap * sizeof *out->at);
    if (!out->at) return qd_err_nomem(err, "search pipeline");
    for (const qd_json_node *m = n->first; m; m = m->next)
        out->at[out->n++] = (pair){m->key, m->raw};
    return 0;
}

static pair *find(object *o, qd_str key)
{
    for (uint32_t i = 0; i < o->n; i++)
        if (qd_str_eq(o->at[i].key, key)) return &o->at[i];
    return NULL;
}

static void put(object *o, qd_str key, qd_str raw)
{
    pair *p = find(o, key);
    if (p)
        p->raw = raw;
    else if (o->n < o->cap)
        o->at[o->n++] = (pair){key, raw};
}

static void drop(object *o, pair *p)
{
    size_t at = (size_t)(p - o->at);
    memmove(p, p + 1, (o->n - at - 1) * sizeof *p);
    o->n--;
}

/* --- what becomes of a value ------------------------------------------------------------------ */

static int compare(const qd_json_node *a, const qd_json_node *b)
{
    double x, y;
    if (a->type == QD_JSON_T_NUMBER && !qd_f64_parse(a->text, &x) && !qd_f64_parse(b->text, &y))
        return x < y ? -1 : x > y;
    return qd_str_cmp(a->text, b->text);
}

static int ascending(const void *a, const void *b)
{
    return compare(*(const qd_json_node *const *)a, *(const qd_json_node *const *)b);
}

static int descending(const void *a, const void *b)
{
    return ascending(b, a);
}

static int sorted(const answer *x, const search_processor *p, const qd_json_node *list,
                  qd_json_writer *w, qd_err *err)
{
    const qd_json_node **at = qd_arena_alloc(x->arena, (list->n + 1ul) * sizeof *at);
    uint32_t n = 0;
    if (!at) return qd_err_nomem(err, "search pipeline");
    for (const qd_json_node *m = list->first; m; m = m->next) {
        bool good = (m->type == QD_JSON_T_NUMBER || m->type == QD_JSON_T_STRING) &&
                    m->type == list->first->type;
        if (!good)
            return qd_err_set(err, QD_E_ARG,
                              "field [%.*s] holds values that cannot be sorted: [%.*s]",
                              QD_STR_ARG(p->field), QD_STR_ARG(m->raw));
        at[n++] = m;
    }
    if (n) qsort(at, n, sizeof *at, p->descending ? descending : ascending);
    qd_json_array(w);
    for (uint32_t i = 0; i < n; i++) qd_json_raw_value(w, at[i]->raw);
    qd_json_array_end(w);
    return 0;
}

/* As Java's split: what is empty at the end is left out unless it is to stay. */
static void parts(const search_processor *p, qd_str text, qd_json_writer *w)
{
    size_t end = text.n, from = 0;
    while (!p->trailing && end >= p->separator.n && end > 0 &&
           memcmp(text.p + end - p->separator.n, p->separator.p, p->separator.n) == 0)
        end -= p->separator.n;
    qd_json_array(w);
    if (!(text.n && !end)) {
        for (qd_str rest = {text.p, end};;) {
            ptrdiff_t at = qd_str_find_str(qd_str_sub(rest, from, rest.n), p->separator);
            if (at < 0) {
                qd_json_str(w, qd_str_sub(rest, from, rest.n));
                break;
            }
            qd_json_str(w, qd_str_sub(rest, from, (size_t)at));
            from += (size_t)at + p->separator.n;
        }
    }
    qd_json_array_end(w);
}

/* The value as sort or split leaves it; in: of _source. */
static int changed(const answer *x, const search_processor *p, qd_str raw, bool in, qd_str *out,
                   qd_err *err)
{
    qd_json_node *n;
    qd_json_writer w;
    qd_buf b;
    int rc = qd_json_parse(x->arena, raw, 0, &n, err);
    if (rc) return rc;
    bool sorts = p->kind == SEARCH_PROCESSOR_SORT, list = n->type == QD_JSON_T_ARRAY;
    if (!in && !sorts && list && n->n == 1) n = n->first; /* "fields" holds lists */
    if (sorts ? !list : n->type != QD_JSON_T_STRING)
        return qd_err_set(err, QD_E_ARG, "field [%.*s] of value [%.*s] cannot be cast to [%s]",
                          QD_STR_ARG(p->field), QD_STR_ARG(raw),
                          sorts ? "java.util.List" : "java.lang.String");
    qd_buf_init(&b, x->arena->account, TEXT_MAX);
    qd_json_writer_init(&w, &b, false);
    if (sorts)
        rc = sorted(x, p, n, &w, err);
    else
        parts(p, n->text, &w);
    *out = rc || qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(x->arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    return rc || out->p ? rc : qd_err_nomem(err, "search pipeline");
}

/* --- processors ------------------------------------------------------------------------------- */

static int change_field(answer *x, const search_processor *p, qd_err *err)
{
    for (uint32_t i = 0; i < x->n; i++) {
        object *in[] = {&x->hits[i].source, &x->hits[i].fields};
        bool any = false;
        for (uint32_t k = 0; k < 2; k++) {
            pair *v = find(in[k], p->field);
            qd_str now = {NULL, 0};
            if (!v) continue;
            any = true;
            if (p->kind == SEARCH_PROCESSOR_RENAME_FIELD) {
                now = v->raw;
                drop(in[k], v);
            } else {
                int rc = changed(x, p, v->raw, k == 0, &now, err);
                if (rc) return rc;
            }
            put(in[k], p->target, now);
        }
        if (any || p->ignore_missing) continue;
        const qd_json_node *id = qd_json_get(x->hits[i].node, "_id");
        if (p->kind == SEARCH_PROCESSOR_RENAME_FIELD)
            return qd_err_set(err, QD_E_ARG, "Document with id %.*s is missing field %.*s",
                              QD_STR_ARG(id ? id->text : QD_STR("")), QD_STR_ARG(p->field));
        return qd_err_set(err, QD_E_ARG, "field [%.*s] doesn't exist in document [%.*s]",
                          QD_STR_ARG(p->field), QD_STR_ARG(id ? id->text : QD_STR("")));
    }
    return 0;
}

static int truncate_hits(answer *x, const search_processor *p, qd_err *err)
{
    int64_t size = p->size;
    for (uint32_t i = x->pipeline->noriginals; i-- && size < 0;)
        if (qd_str_eq(x->pipeline->originals[i].prefix, p->prefix))
            size = x->pipeline->originals[i].size;
    if (size < 0)
        return qd_err_set(err, QD_E_STATE,
                          "Must specify target_size unless an earlier processor set original_size");
    if (x->n > size) x->n = (uint32_t)size;
    return 0;
}

/* Of the hits with one value of a field the first stays. */
static int collapse(answer *x, const search_processor *p, qd_err *err)
{
    uint32_t n = 0;
    qd_str *seen = qd_arena_alloc(x->arena, (x->n + 1ul) * sizeof *seen);
    if (!seen) return qd_err_nomem(err, "search pipeline");
    for (uint32_t i = 0; i < x->n; i++) {
        pair *v = find(&x->hits[i].fields, p->field);
        if (!v) v = find(&x->hits[i].source, p->field);
        if (!v)
            return qd_err_set(err, QD_E_STATE,
                              "Failed to collapse on field %.*s: a document has no value of it",
                              QD_STR_ARG(p->field));
        uint32_t k = 0;
        while (k < n && !qd_str_eq(seen[k], v->raw)) k++;
        if (k < n) continue;
        seen[n] = v->raw;
        x->hits[n++] = x->hits[i];
    }
    x->n = n;
    return 0;
}

static int run(answer *x, const search_processor *p, qd_err *err)
{
    switch (p->kind) {
    case SEARCH_PROCESSOR_TRUNCATE_HITS:
        return truncate_hits(x, p, err);
    case SEARCH_PROCESSOR_COLLAPSE:
        return collapse(x, p, err);
    default:
        return change_field(x, p, err);
    }
}

/* --- the whole -------------------------------------------------------------------------------- */

static void write_object(const object *o, qd_json_writer *w)
{
    qd_json_object(w);
    for (uint32_t i = 0; i < o->n; i++) {
        qd_json_key(w, o->at[i].key);
        qd_json_raw_value(w, o->at[i].raw);
    }
    qd_json_object_end(w);
}

static void write_hit(const hit *h, qd_json_writer *w)
{
    qd_json_object(w);
    for (const qd_json_node *m = h->node->first; m; m = m->next) {
        qd_json_key(w, m->key);
        if (h->source.at && qd_str_is(m->key, "_source"))
            write_object(&h->source, w);
        else if (h->fields.at && qd_str_is(m->key, "fields"))
            write_object(&h->fields, w);
        else
            qd_json_raw_value(w, m->raw);
    }
    qd_json_object_end(w);
}

static void write_hits(const answer *x, const qd_json_node *hits, qd_json_writer *w)
{
    qd_json_object(w);
    for (const qd_json_node *m = hits->first; m; m = m->next) {
        qd_json_key(w, m->key);
        if (qd_str_is(m->key, "hits")) {
            qd_json_array(w);
            for (uint32_t i = 0; i < x->n; i++) write_hit(&x->hits[i], w);
            qd_json_array_end(w);
        } else {
            qd_json_raw_value(w, m->raw);
        }
    }
    qd_json_object_end(w);
}

int qdi_search_pipeline_response(const search_pipeline *p, qd_arena *a, qd_str text,
                                 qd_json_writer *w, qd_err *err)
{
    answer x = {.arena = a, .pipeline = p};
    qd_json_node *root;
    int rc = qd_json_parse(a, text, 0, &root, err);
    if (rc) return rc;
    const qd_json_node *hits = qd_json_get(root, "hits");
    const qd_json_node *list = hits ? qd_json_get(hits, "hits") : NULL;
    x.hits = qd_arena_calloc(a, ((list ? list->n : 0) + 1ul) * sizeof *x.hits);
    if (!x.hits) return qd_err_nomem(err, "search pipeline");
    for (const qd_json_node *m = list ? list->first : NULL; m && !rc; m = m->next) {
        hit *h = &x.hits[x.n++];
        h->node = m;
        rc = read_object(a, qd_json_get(m, "_source"), &h->source, err);
        if (!rc) rc = read_object(a, qd_json_get(m, "fields"), &h->fields, err);
    }
    for (uint32_t i = 0; i < p->nresponse && !rc; i++) {
        rc = run(&x, &p->response[i], err);
        if (!rc || rc == QD_E_NOMEM || !p->response[i].ignore_failure) continue;
        qd_err_fini(err);
        qd_err_init(err);
        rc = 0;
    }
    for (const qd_json_node *m = rc ? NULL : root->first; m; m = m->next) {
        qd_json_key(w, m->key);
        if (m == hits)
            write_hits(&x, hits, w);
        else
            qd_json_raw_value(w, m->raw);
    }
    return rc;
}
