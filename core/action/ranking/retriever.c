/* retriever.c: retrievers whose hits come from one search, and what all retrievers share. */
#include "action/ranking/read_int.h"
#include "json/number.h"
#include <math.h>
#include <string.h>

#define TEXT_MAX ((size_t)64 << 20)

/* --- parts ------------------------------------------------------------------------------------ */

int qdi_rank_int(const qd_json_node *n, int64_t *out, qd_err *err)
{
    bool exact;
    qd_str text = qd_json_text(n);
    bool number = n->type == QD_JSON_T_NUMBER || n->type == QD_JSON_T_STRING;
    if (!number || qd_i64_parse_decimal(text, out, &exact) == QD_E_ARG)
        return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                          QD_STR_ARG(number ? text : n->raw));
    if (*out > INT32_MAX || *out < INT32_MIN)
        return qd_err_set(err, QD_E_ARG, "Numeric value (%.*s) out of range of int",
                          QD_STR_ARG(text));
    return 0;
}

int qdi_rank_float(const qd_json_node *n, float *out, qd_err *err)
{
    double d;
    qd_str text = qd_json_text(n);
    bool number = n->type == QD_JSON_T_NUMBER || n->type == QD_JSON_T_STRING;
    if (!number || qd_f64_parse(text, &d))
        return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                          QD_STR_ARG(number ? text : n->raw));
    *out = (float)d;
    return isfinite(*out) ? 0
                          : qd_err_set(err, QD_E_ARG, "[%.*s] must be a finite number, got [%.*s]",
                                       QD_STR_ARG(n->key), QD_STR_ARG(text));
}

int qdi_rank_unknown(const char *what, qd_str key, qd_err *err)
{
    return qd_err_set(err, QD_E_XCONTENT, "[%s] unknown field [%.*s]", what, QD_STR_ARG(key));
}

rank_node *qdi_rank_node(rank_reading *rd, rank_kind kind, const char *name)
{
    rank_node *n = qd_arena_calloc(rd->arena, sizeof *n);
    if (!n) {
        (void)qd_err_nomem(rd->err, "retriever");
        return NULL;
    }
    n->kind = kind;
    n->name = name;
    n->window = RANK_WINDOW_STANDARD;
    n->constant = RANK_CONSTANT_STANDARD;
    return n;
}

rank_leaf *qdi_rank_leaf(rank_reading *rd, rank_node **node)
{
    rank_plan *p = rd->plan;
    if (p->nleaves == RANK_LEAVES_MAX) {
        (void)qd_err_set(rd->err, QD_E_ARG, "a search combines at most [%u] lists of hits",
                         RANK_LEAVES_MAX);
        return NULL;
    }
    *node = qdi_rank_node(rd, RANK_LEAF, "standard");
    if (!*node) return NULL;
    (*node)->leaf = p->nleaves;
    return &p->leaves[p->nleaves++];
}

static int check_filter(const qd_json_node *n, qd_err *err)
{
    bool good = n->type == QD_JSON_T_OBJECT || n->type == QD_JSON_T_ARRAY;
    for (const qd_json_node *x = n->first; x && good && n->type == QD_JSON_T_ARRAY; x = x->next)
        good = x->type == QD_JSON_T_OBJECT;
    return good ? 0
                : qd_err_set(err, QD_E_XCONTENT,
                             "[filter] of a retriever is a query or an array of queries");
}

int qdi_rank_common(rank_common *c, const qd_json_node *m, qd_err *err)
{
    if (qd_str_is(m->key, "filter")) {
        c->filters.node = m;
        return check_filter(m, err);
    }
    if (qd_str_is(m->key, "min_score")) {
        c->has_min_score = true;
        return qdi_rank_float(m, &c->min_score, err);
    }
    if (!qd_str_is(m->key, "_name")) return 1;
    c->name = qd_json_text(m);
    return c->name.n ? 0 : qd_err_set(err, QD_E_XCONTENT, "[_name] of a retriever is a string");
}

void qdi_rank_filters_write(const rank_filters *f, qd_json_writer *w)
{
    for (; f; f = f->above) {
        const qd_json_node *n = f->node;
        if (n && n->type == QD_JSON_T_OBJECT) qd_json_raw_value(w, n->raw);
        for (const qd_json_node *x = n && n->type == QD_JSON_T_ARRAY ? n->first : NULL; x;
             x = x->next)
            qd_json_raw_value(w, x->raw);
    }
}

static bool any_filter(const rank_filters *f)
{
    for (; f; f = f->above)
        if (f->node && f->node->n) return true;
    return false;
}

static qd_str keep(qd_arena *a, qd_buf *b)
{
    qd_str out = qd_buf_status(b) ? (qd_str){NULL, 0} : qd_arena_str(a, qd_buf_view(b));
    qd_buf_fini(b);
    return out;
}

qd_str qdi_rank_within(qd_arena *a, qd_str query, const rank_filters *filters, qd_str name)
{
    qd_json_writer w;
    qd_buf b;
    if (!any_filter(filters) && !name.n) return query.n ? query : QD_STR("{\"match_all\":{}}");
    qd_buf_init(&b, a->account, TEXT_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "bool");
    qd_json_object(&w);
    if (query.n) {
        qd_json_key_c(&w, "must");
        qd_json_raw_value(&w, query);
    }
    if (any_filter(filters)) {
        qd_json_key_c(&w, "filter");
        qd_json_array(&w);
        qdi_rank_filters_write(filters, &w);
        qd_json_array_end(&w);
    }
    if (name.n) qd_json_field_str(&w, "_name", name);
    qd_json_object_end(&w);
    qd_json_object_end(&w);
    return keep(a, &b);
}

int qdi_rank_union(qd_arena *a, const rank_plan *p, qd_str *out, qd_err *err)
{
    qd_json_writer w;
    qd_buf b;
    uint32_t n = 0, last = 0;
    for (uint32_t i = 0; i < p->nleaves; i++)
        if (!p->leaves[i].knn) n++, last = i;
    *out = n == 1 ? p->leaves[last].query : (qd_str){NULL, 0};
    if (n < 2) return 0;
    qd_buf_init(&b, a->account, TEXT_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "bool");
    qd_json_object(&w);
    qd_json_key_c(&w, "should");
    qd_json_array(&w);
    for (uint32_t i = 0; i < p->nleaves; i++)
        if (!p->leaves[i].knn) qd_json_raw_value(&w, p->leaves[i].query);
    qd_json_array_end(&w);
    qd_json_object_end(&w);
    qd_json_object_end(&w);
    *out = keep(a, &b);
    return out->p ? 0 : qd_err_nomem(err, "ranked lists");
}

/* --- standard --------------------------------------------------------------------------------- */

static int standard_member(const qd_json_node *m, rank_leaf *l, rank_common *c, qd_err *err)
{
    bool object = m->type == QD_JSON_T_OBJECT, array = m->type == QD_JSON_T_ARRAY;
    int rc = qdi_rank_common(c, m, err);
    if (rc != 1) return rc;
    if (qd_str_is(m->key, "query") && object) {
        l->query = m->raw;
    } else if (qd_str_is(m->key, "sort") && (object || array || m->type == QD_JSON_T_STRING)) {
        l->sort = m;
    } else if (qd_str_is(m->key, "search_after") && array) {
        l->after = m;
    } else if (qd_str_is(m->key, "collapse") && object) {
        l->collapse = m;
    } else if (qd_str_is(m->key, "terminate_after")) {
        rc = qdi_rank_int(m, &l->terminate_after, err);
        return !rc && l->terminate_after < 0
                   ? qd_err_set(err, QD_E_ARG, "terminateAfter must be > 0")
                   : rc;
    } else {
        return qdi_rank_unknown("standard", m->key, err);
    }
    return 0;
}

static int standard(rank_reading *rd, const qd_json_node *n, const rank_filters *above,
                    bool compound, rank_leaf *l)
{
    rank_common c = {.filters = {above, NULL}};
    int rc = 0;
    for (const qd_json_node *m = n->first; m && !rc; m = m->next)
        rc = standard_member(m, l, &c, rd->err);
    if (rc) return rc;
    const char *alone = l->after ? "search_after" : l->terminate_after ? "terminate_after" : NULL;
    if (compound && alone)
        return qd_err_set(rd->err, QD_E_ARG,
                          "[%s] cannot be used in children of compound retrievers", alone);
    l->has_min_score = c.has_min_score;
    l->min_score = c.min_score;
    l->query = qdi_rank_within(rd->arena, l->query, &c.filters, c.name);
    return l->query.p ? 0 : qd_err_nomem(rd->err, "retriever");
}

/* --- knn -------------------------------------------------------------------------------------- */

/* Its object as the section "knn" takes it: with all filters, without what is the search's. */
static int knn(rank_reading *rd, const qd_json_node *n, const rank_filters *above, rank_leaf *l)
{
    rank_common c = {.filters = {above, NULL}};
    qd_json_writer w;
    qd_buf b;
    bool changed = any_filter(above);
    int rc = 0;
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        rc = qdi_rank_common(&c, m, rd->err);
        if (rc == 1) rc = 0;
        changed |= qd_str_is(m->key, "min_score");
    }
    if (!rc && (!qd_json_get(n, "k") || !qd_json_get(n, "num_candidates")))
        rc = qd_err_set(rd->err, QD_E_ARG, "Required [%s]",
                        qd_json_get(n, "k") ? "num_candidates" : "k");
    if (rc) return rc;
    l->knn = true;
    l->has_min_score = c.has_min_score;
    l->min_score = c.min_score;
    l->query = n->raw;
    if (!changed) return 0;
    qd_buf_init(&b, rd->arena->account, TEXT_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    for (const qd_json_node *m = n->first; m; m = m->next) {
        if (qd_str_is(m->key, "min_score") || qd_str_is(m->key, "filter")) continue;
        qd_json_key(&w, m->key);
        qd_json_raw_value(&w, m->raw);
    }
    if (any_filter(&c.filters)) {
        qd_json_key_c(&w, "filter");
        qd_json_array(&w);
        qdi_rank_filters_write(&c.filters, &w);
        qd_json_array_end(&w);
    }
    qd_json_object_end(&w);
    l->query = keep(rd->arena, &b);
    return l->query.p ? 0 : qd_err_nomem(rd->err, "retriever");
}

/* --- any -------------------------------------------------------------------------------------- */

static int other(qd_str name, qd_err *err)
{
    static const char *const known[] = {"text_similarity_reranker", "rule", "pinned", "diversify",
                                        "random_reranker"};
    for (size_t i = 0; i < QD_COUNT_OF(known); i++)
        if (qd_str_is(name, known[i]))
            return qd_err_set(err, QD_E_UNSUPPORTED,
                              "retriever [%s] is not supported by this version", known[i]);
    return qd_err_set(err, QD_E_NAMED_OBJECT, "unknown field [%.*s]", QD_STR_ARG(name));
}

int qdi_rank_child(rank_reading *rd, const qd_json_node *n, const rank_filters *above,
                   int64_t window, bool scores, const rank_node **out)
{
    const qd_json_node *m = n->type == QD_JSON_T_OBJECT ? n->first : NULL;
    if (!m || m->next || m->type != QD_JSON_T_OBJECT)
        return qd_err_set(rd->err, QD_E_XCONTENT,
                          "[retriever] is an object with one member, the name of a retriever");
    if (rd->depth == RANK_DEPTH_MAX)
        return qd_err_set(rd->err, QD_E_ARG, "retrievers stand in one another at most [%u] deep",
                          RANK_DEPTH_MAX);
    bool plain = qd_str_is(m->key, "standard"), near = qd_str_is(m->key, "knn");
    int rc = 0;
    if (plain || near) {
        rank_node *node;
        rank_leaf *l = qdi_rank_leaf(rd, &node);
        if (!l) return rd->err->code;
        l->window = window;
        l->scores = scores;
        if (near) node->name = "knn";
        rc = near ? knn(rd, m, above, l) : standard(rd, m, above, rd->depth > 0, l);
        *out = node;
        return rc;
    }
    rd->depth++;
    if (qd_str_is(m->key, "rrf"))
        rc = qdi_rank_rrf(rd, m, above, out);
    else if (qd_str_is(m->key, "linear"))
        rc = qdi_rank_linear(rd, m, above, out);
    else if (qd_str_is(m->key, "rescorer"))
        rc = qdi_rank_rescorer(rd, m, above, out);
    else
        rc = other(m->key, rd->err);
    rd->depth--;
    return rc;
}

static rank_plan *plan_make(qd_arena *a, qd_err *err)
{
    rank_plan *p = qd_arena_calloc(a, sizeof *p);
    if (p) p->leaves = qd_arena_calloc(a, RANK_LEAVES_MAX * sizeof *p->leaves);
    if (!p || !p->leaves) (void)qd_err_nomem(err, "retriever");
    return p && p->leaves ? p : NULL;
}

int qdi_rank_retriever(qd_arena *a, const qd_json_node *n, rank_plan **out, qd_err *err)
{
    rank_plan *p = plan_make(a, err);
    if (!p) return QD_E_NOMEM;
    rank_reading rd = {.arena = a, .plan = p, .err = err};
    int rc = qdi_rank_child(&rd, n, NULL, 0, false, &p->root);
    *out = p;
    return rc;
}

/* --- the older section "rank" ----------------------------------------------------------------- */

static int section_rrf(const qd_json_node *n, rank_node *root, qd_err *err)
{
    int rc = 0;
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        bool window = qd_str_is(m->key, "rank_window_size") || qd_str_is(m->key, "window_size");
        if (window)
            rc = qdi_rank_int(m, &root->window, err);
        else if (qd_str_is(m->key, "rank_constant"))
            rc = qdi_rank_int(m, &root->constant, err);
        else
            rc = qdi_rank_unknown("rrf", m->key, err);
        if (!rc && (window ? root->window : root->constant) < 1)
            rc = qd_err_set(err, QD_E_ARG, "[%.*s] must be greater or equal to [1] for [rrf]",
                            QD_STR_ARG(m->key));
    }
    return rc;
}

int qdi_rank_section(qd_arena *a, const qd_json_node *n, qd_str query, const qd_str *knn_sections,
                     uint32_t nknn, rank_plan **out, qd_err *err)
{
    const qd_json_node *m = n->type == QD_JSON_T_OBJECT ? n->first : NULL;
    if (!m || m->next || m->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_XCONTENT, "[rank] is an object with one member");
    if (!qd_str_is(m->key, "rrf"))
        return qd_err_set(err, QD_E_NAMED_OBJECT, "unknown field [%.*s]", QD_STR_ARG(m->key));
    if (nknn + (query.n > 0) < 2)
        return qd_err_set(err, QD_E_VALIDATION,
                          "Validation Failed: 1: [rank] requires a minimum of [2] result sets "
                          "using a combination of sub searches and/or knn searches;");
    rank_plan *p = plan_make(a, err);
    if (!p) return QD_E_NOMEM;
    rank_reading rd = {.arena = a, .plan = p, .err = err};
    rank_node *root = qdi_rank_node(&rd, RANK_RRF, "rank");
    if (!root) return QD_E_NOMEM;
    root->below = qd_arena_calloc(a, (nknn + 1ul) * sizeof(const rank_node *));
    if (!root->below) return qd_err_nomem(err, "rank");
    int rc = section_rrf(m, root, err);
    for (uint32_t i = 0; i < nknn + (query.n > 0) && !rc; i++) {
        rank_node *node;
        rank_leaf *l = qdi_rank_leaf(&rd, &node);
        if (!l) return err->code;
        uint32_t k = i - (query.n > 0);
        l->knn = !query.n || i;
        l->query = l->knn ? knn_sections[k] : query;
        l->window = root->window;
        root->below[root->n++] = node;
    }
    p->root = root;
    *out = p;
    return rc;
}
