/* source.c: _source of a request: which part of a document is shown. */
#include "action/api/source_int.h"
#include "base/str.h"

#define FILTERED_MAX ((size_t)1 << 31)

uint32_t qdi_list_split(qd_arena *a, qd_str list, qd_str **out)
{
    uint32_t n = 1, k = 0;
    for (size_t i = 0; i < list.n; i++) n += list.p[i] == ',';
    *out = list.n ? qd_arena_alloc(a, n * sizeof **out) : NULL;
    if (!*out) return 0;
    for (qd_str rest = list; rest.p;) {
        qd_str part = qd_str_trim(qd_str_split(&rest, ','));
        if (part.n) (*out)[k++] = part;
    }
    return k;
}

static int make_filter(qd_arena *a, const qd_str *in, uint32_t nin, const qd_str *ex, uint32_t nex,
                       doc_source *out, qd_err *err)
{
    if (!nin && !nex) return 0;
    return qd_json_filter_make(a, in, nin, ex, nex, QD_JSON_FILTER_SOURCE, &out->filter, err);
}

bool qdi_source_asked(const qd_request *q)
{
    return qd_param_has(q, "_source") || qd_param_has(q, "_source_includes") ||
           qd_param_has(q, "_source_excludes");
}

int qdi_source_param(const qd_request *q, doc_source *out, qd_err *err)
{
    qd_str v = qd_param(q, "_source"), in = qd_param(q, "_source_includes"),
           ex = qd_param(q, "_source_excludes"), *list, *drop;
    *out = (doc_source){.want = true};
    if (qd_str_is(v, "false")) {
        out->want = false;
        return 0;
    }
    if (v.n && !qd_str_is(v, "true") && !in.n) in = v;
    uint32_t n = qdi_list_split(q->arena, in, &list), m = qdi_list_split(q->arena, ex, &drop);
    return make_filter(q->arena, list, n, drop, m, out, err);
}

int qdi_source_write(const doc_source *s, qd_str source, qd_json_writer *w, qd_err *err)
{
    if (!s->filter || qd_json_filter_all(s->filter)) {
        qd_json_raw_value(w, source);
        return 0;
    }
    qd_buf kept;
    qd_buf_init(&kept, NULL, FILTERED_MAX);
    int rc = qd_json_filter_apply(s->filter, source, false, &kept, err);
    if (!rc) qd_json_raw_value(w, qd_buf_view(&kept));
    qd_buf_fini(&kept);
    return rc;
}

static int string_list(const qd_json_node *n, qd_arena *a, qd_str **out, uint32_t *count,
                       qd_err *err)
{
    uint32_t room = n->type == QD_JSON_T_ARRAY ? n->n : 1;
    *out = qd_arena_alloc(a, (room + 1) * sizeof **out);
    *count = 0;
    if (!*out) return qd_err_nomem(err, "source filter");
    if (n->type != QD_JSON_T_ARRAY) {
        (*out)[(*count)++] = qd_json_text(n);
        return 0;
    }
    for (const qd_json_node *x = n->first; x; x = x->next) (*out)[(*count)++] = qd_json_text(x);
    return 0;
}

int qdi_source_json(const qd_json_node *n, qd_arena *a, doc_source *out, qd_err *err)
{
    qd_str *in = NULL, *ex = NULL;
    uint32_t nin = 0, nex = 0;
    int rc = 0;
    *out = (doc_source){.want = true};
    if (n->type == QD_JSON_T_BOOL) {
        out->want = n->truth;
        return 0;
    }
    if (n->type == QD_JSON_T_NUMBER || n->type == QD_JSON_T_NULL) {
        return qd_err_set(err, QD_E_ES_PARSE, "illegal type for _source: [%s]",
                          n->type == QD_JSON_T_NULL ? "VALUE_NULL" : "VALUE_NUMBER");
    }
    if (n->type == QD_JSON_T_OBJECT) {
        const qd_json_node *i = qd_json_get(n, "includes"), *e = qd_json_get(n, "excludes");
        if (!i) i = qd_json_get(n, "include");
        if (!e) e = qd_json_get(n, "exclude");
        if (i) rc = string_list(i, a, &in, &nin, err);
        if (!rc && e) rc = string_list(e, a, &ex, &nex, err);
    } else {
        rc = string_list(n, a, &in, &nin, err);
    }
    return rc ? rc : make_filter(a, in, nin, ex, nex, out, err);
}

void qdi_source_walk(const qd_json_node *n, qd_str path, bool whole,
                     void (*fn)(void *arg, const qd_json_node *n), void *arg)
{
    if (n->type == QD_JSON_T_ARRAY && (path.n || !whole)) {
        for (const qd_json_node *x = n->first; x; x = x->next)
            qdi_source_walk(x, path, whole, fn, arg);
        return;
    }
    if (!path.n) {
        fn(arg, n);
        return;
    }
    if (n->type != QD_JSON_T_OBJECT) return;
    for (const qd_json_node *x = n->first; x; x = x->next) {
        if (qd_str_eq(x->key, path)) {
            qdi_source_walk(x, (qd_str){"", 0}, whole, fn, arg);
        } else if (path.n > x->key.n && path.p[x->key.n] == '.' && qd_str_starts(path, x->key)) {
            qdi_source_walk(x, qd_str_sub(path, x->key.n + 1, path.n), whole, fn, arg);
        }
    }
}
