/*
 * sort_nested.c: "nested" of a sort: a document is sorted by the values of its nested ones, of all
 * or of those that a filter lets through.
 */
#include "action/api/admin_int.h"
#include "action/search/search_int.h"
#include "base/str.h"
#include "query/dsl.h"

#define DEPTH_MAX 20u

/* --- reading ---------------------------------------------------------------------------------- */

static int parse(search_request *r, const qd_json_node *n, uint32_t depth, search_sort_nested **out,
                 qd_err *err)
{
    search_sort_nested *s = *out = qd_arena_calloc(r->arena, sizeof *s);
    int rc = s ? 0 : qd_err_nomem(err, "sort");
    if (!rc && n->type != QD_JSON_T_OBJECT)
        rc = qdi_search_err_at(r, n->raw.p, err, QD_E_XCONTENT,
                               "[field_sort] nested doesn't support values of this type");
    if (!rc && depth > DEPTH_MAX)
        rc = qd_err_set(err, QD_E_ARG, "[nested] of a sort is at most [%u] deep", DEPTH_MAX);
    for (const qd_json_node *m = rc ? NULL : n->first; m && !rc; m = m->next) {
        qd_query_reading how = qdi_search_reading(r);
        if (qd_str_is(m->key, "path") && m->type == QD_JSON_T_STRING) {
            s->path = m->text;
        } else if (qd_str_is(m->key, "filter") && m->type == QD_JSON_T_OBJECT) {
            rc = qd_query_read_text(&how, m->raw, &s->filter, err);
        } else if (qd_str_is(m->key, "max_children")) {
            if (!qd_str_i64(qd_json_text(m), &s->max_children) || s->max_children < 1 ||
                s->max_children > INT32_MAX)
                rc = qd_err_set(err, QD_E_ARG, "[max_children] must be a number above 0");
        } else if (qd_str_is(m->key, "nested")) {
            rc = parse(r, m, depth + 1, &s->below, err);
        } else {
            rc = qdi_search_err_at(r, m->raw.p, err, QD_E_ARG,
                                   "malformed nested sort format, unknown or wrong field [%.*s]",
                                   QD_STR_ARG(m->key));
        }
    }
    if (!rc && !s->path.n)
        rc = qd_err_set(err, QD_E_ARG, "malformed nested sort format, [path] is missing");
    return rc;
}

int qdi_sort_nested_parse(search_request *r, const qd_json_node *n, search_sort_nested **out,
                          qd_err *err)
{
    return parse(r, n, 1, out, err);
}

bool qdi_sort_nested_old(const search_request *r, qd_str key)
{
    qdi_identity id;
    qdi_identity_get(r->q->a, &id);
    bool gone = id.product == QDI_ES8 || id.product == QDI_ES9;
    return !gone && (qd_str_is(key, "nested_path") || qd_str_is(key, "nested_filter"));
}

int qdi_sort_nested_old_parse(search_request *r, const qd_json_node *m, search_sort_nested **out,
                              qd_err *err)
{
    qd_query_reading how = qdi_search_reading(r);
    bool path = qd_str_is(m->key, "nested_path");
    if (m->type != (path ? QD_JSON_T_STRING : QD_JSON_T_OBJECT))
        return qdi_search_err_at(r, m->raw.p, err, QD_E_XCONTENT,
                                 "[field_sort] %.*s doesn't support values of type: %s",
                                 QD_STR_ARG(m->key), qd_json_type_token(m->type));
    qd_request_warn(r->q,
                    path ? "[nested_path] has been deprecated in favour of the [nested] parameter"
                         : "[nested_filter] has been deprecated in favour for the [nested] "
                           "parameter");
    if (!*out) *out = qd_arena_calloc(r->arena, sizeof **out);
    if (!*out) return qd_err_nomem(err, "sort");
    if (!path) return qd_query_read_text(&how, m->raw, &(*out)->filter, err);
    (*out)->path = m->text;
    return 0;
}

int qdi_sort_nested_old_take(search_sort_field *f, qd_err *err)
{
    if (!f->nested_old) return 0;
    if (f->nested)
        return qd_err_set(err, QD_E_ARG,
                          "Setting both nested_path/nested_filter and nested not allowed");
    if (!f->nested_old->path.n)
        return qd_err_set(err, QD_E_ARG, "[nested_filter] of a sort needs [nested_path]");
    f->nested = f->nested_old;
    return 0;
}

/* --- binding ---------------------------------------------------------------------------------- */

/* The paths of the level, from where the query stands. */
static int levels(const qd_query_context *q, qd_str path, qd_arena *arena, search_nested_bound *b,
                  qd_err *err)
{
    if (!qd_mapping_is_nested(q->mapping, path, NULL))
        return qd_err_set(err, QD_E_QUERY_SHARD,
                          "[nested] failed to find nested object under path [%.*s]",
                          QD_STR_ARG(path));
    int rc = qd_mapping_nested_paths(q->mapping, q->nested, path, arena, &b->paths, &b->n, err);
    if (rc || b->n) return rc;
    return qd_err_set(err, QD_E_QUERY_SHARD, "[nested] path [%.*s] does not lie below [%.*s]",
                      QD_STR_ARG(path), QD_STR_ARG(q->nested));
}

int qdi_sort_nested_bind(const search_sort_nested *s, const qd_query_context *q, qd_arena *arena,
                         const search_nested_bound **out, qd_err *err)
{
    qd_query_context own = *q;
    search_nested_bound *first = NULL, **to = &first;
    int rc = 0;
    for (; s && !rc; s = s->below) {
        search_nested_bound *b = *to = qd_arena_calloc(arena, sizeof *b);
        if (!b) return qd_err_nomem(err, "sort");
        to = &b->below;
        b->most = (uint32_t)s->max_children;
        rc = levels(&own, s->path, arena, b, err);
        own.nested = s->path;
        if (rc || !s->filter) continue;
        qd_query_built built;
        rc = qd_query_build(&own, s->filter, &built, err);
        b->filter = built.root;
    }
    *out = first;
    return rc;
}

/* --- a searcher ------------------------------------------------------------------------------- */

typedef struct marker {
    qd_collector c;
    uint64_t *bits;
} marker;

static int mark(qd_collector *c, const qd_hits *h, qd_err *err)
{
    (void)err;
    for (uint32_t i = 0; i < h->n; i++) {
        uint32_t d = h->leaf->base + h->docs[i];
        ((marker *)c)->bits[d >> 6] |= 1ull << (d & 63);
    }
    return 0;
}

static int run_filter(qd_searcher *s, const qd_node *filter, const qd_plan_options *o,
                      qd_arena *arena, uint64_t *bits, qd_err *err)
{
    static const qd_collector_vt vt = {.collect = mark};
    marker m = {.c = {.vt = &vt}, .bits = bits};
    qd_plan *p;
    int rc = qd_plan_make(s, filter, o, arena, &p, err);
    return rc ? rc : qd_plan_collect(p, NULL, &m.c, NULL, err);
}

/* The documents of one level whose document above is one of `above`; leaf by leaf. */
static int step_down(const qd_nested_view *v, const qd_searcher *top, const uint64_t *above,
                     qd_arena *arena, uint64_t **out, qd_err *err)
{
    size_t words = ((size_t)qd_searcher_docs(v->searcher) + 63) / 64 + 1;
    uint64_t *bits = *out = qd_arena_calloc(arena, words * 8);
    qd_reads *reads = qd_reads_make(arena, arena->account);
    if (!bits || !reads) return qd_err_nomem(err, "sort");
    int rc = 0;
    for (uint32_t k = 0; k < qd_searcher_leaves(v->searcher) && !rc; k++) {
        const qd_leaf *leaf = qd_searcher_leaf(top, v->above[k]);
        uint32_t base = qd_searcher_leaf(v->searcher, k)->base;
        qd_children c;
        rc = qd_nested_children(v, leaf, reads, &c, err);
        for (uint32_t d = 0; d < leaf->docs && !rc; d++) {
            uint32_t pair[2], up = leaf->base + d;
            if (!(above[up >> 6] >> (up & 63) & 1)) continue;
            qd_children_firsts(&c, d, 1, pair);
            for (uint32_t x = base + pair[0]; x < base + pair[1]; x++)
                bits[x >> 6] |= 1ull << (x & 63);
        }
    }
    qd_reads_release(reads);
    return rc;
}

/* Keeps those below documents of `above`, views [from, n) further up. */
static int keep_below(const qd_nested_view *const *views, uint32_t from, uint32_t n,
                      const uint64_t *above, uint64_t *bits, qd_arena *arena, qd_err *err)
{
    uint64_t *at = NULL;
    int rc = 0;
    for (uint32_t i = from; i < n && !rc; i++) {
        rc = step_down(views[i], views[i - 1]->searcher, above, arena, &at, err);
        above = at;
    }
    size_t words = ((size_t)qd_searcher_docs(views[n - 1]->searcher) + 63) / 64;
    for (size_t w = 0; w < words && !rc; w++) bits[w] &= at[w];
    return rc;
}

/* All levels as one; its documents by the filters of all. */
static int open_all(const search_nested_bound *b, qd_searcher *s, const qd_plan_options *o,
                    qd_arena *arena, qd_sort_nested *out, qd_err *err)
{
    const qd_nested_view *views[DEPTH_MAX * 4];
    uint32_t n = 0, before = 0;
    const uint64_t *above = NULL;
    int rc = 0;
    for (; b && !rc; b = b->below) {
        bool found;
        qd_nested_level l;
        rc = qd_nested_level_open(s, b->paths, b->n, arena, &l, &found, err);
        out->none |= !rc && !found;
        if (rc || out->none || n + l.n > QD_COUNT_OF(views)) return rc;
        memcpy(views + n, l.views, l.n * sizeof *views);
        n += l.n;
        s = views[n - 1]->searcher;
        out->most = b->most;
        size_t words = ((size_t)qd_searcher_docs(s) + 63) / 64 + 1;
        uint64_t *bits = b->filter || above ? qd_arena_calloc(arena, words * 8) : NULL;
        if ((b->filter || above) && !bits) return qd_err_nomem(err, "sort");
        if (b->filter)
            rc = run_filter(s, b->filter, o, arena, bits, err);
        else if (bits)
            memset(bits, 0xff, words * 8);
        if (!rc && above) rc = keep_below(views, before, n, above, bits, arena, err);
        above = out->bits = bits;
        before = n;
    }
    const qd_nested_view **kept = qd_arena_alloc(arena, n * sizeof *kept);
    if (!kept) return qd_err_nomem(err, "sort");
    memcpy(kept, views, n * sizeof *kept);
    out->level = (qd_nested_level){.views = kept, .n = n};
    return rc;
}

int qdi_sort_nested_keys(const search_keys *k, qd_searcher *s, const qd_plan_options *o,
                         qd_arena *arena, qd_sort_key *out, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < k->n && !rc; i++) {
        out[i] = k->keys[i];
        if (!k->bound[i].nested || (out[i].kind != QD_SORT_I64 && out[i].kind != QD_SORT_ORD))
            continue;
        qd_sort_nested *n = qd_arena_calloc(arena, sizeof *n);
        if (!n) return qd_err_nomem(err, "sort");
        out[i].nested = n;
        rc = open_all(k->bound[i].nested, s, o, arena, n, err);
    }
    return rc;
}
