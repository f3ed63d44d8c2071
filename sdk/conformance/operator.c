/*
 * operator.c: the contract of the operator kind as tests. An operator's syntax is its own, so a
 * sample has to be given: option `query`, the JSON behind the operator's name. Iterating operators
 * run over a made-up segment of 10,000 documents (operator_segment.h).
 */
#include "operator_segment.h"
#include <math.h>
#include <stdlib.h>

typedef struct probe {
    qd_query_ctx ctx; /* first */
    qd_conform *c;
    const qd_operator_vtable *vt;
    qd_str json;
    const void *query;  /* of parse, then of the node SELF */
    uint32_t nchildren; /* of SELF */
} probe;

/* Of fields that do not begin with n; the option "type" names another one. */
static qd_str type_of_fields;

static qd_str field_type(const qd_query_ctx *ctx, qd_str field)
{
    (void)ctx;
    return field.n && field.p[0] == 'n' ? S("long") : type_of_fields;
}

/* A query within: any object. */
static int32_t subquery(const qd_query_ctx *ctx, qd_json_in *in, const qd_subquery **out,
                        qd_err *err)
{
    static int32_t handle;
    qd_conform *c = ((const probe *)(const void *)ctx)->c;
    qd_str raw;
    int32_t rc = c->json_text(c, in, &raw, err);
    if (rc) return rc;
    *out = (const qd_subquery *)(const void *)&handle;
    return raw.n && raw.p[0] == '{' ? 0 : QD_E_PARSE;
}

/* Parses a text; the code, and whether the reader was left behind the value. */
static int32_t parse(probe *p, qd_str json, const void **out)
{
    qd_json_in *in = p->c->json_open(p->c, json);
    if (!in) return QD_E_NOMEM;
    int32_t rc = p->vt->parse(&p->ctx, in, out, p->c->err);
    p->c->json_close(p->c, in);
    return rc;
}

static void sample_is_parsed(probe *p)
{
    CHECK_EQ(p->c, parse(p, p->json, &p->query), 0);
    const void *again;
    CHECK_EQ(p->c, parse(p, p->json, &again), 0);
}

static void broken_requests_are_errors(probe *p)
{
    static const char *const bad[] = {"",    "{",        "{\"no_such_parameter_at_all\": 1}",
                                      "[1,", "{\"a\":}", "nul"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        const void *q;
        int32_t rc = parse(p, str_c(bad[i]), &q);
        CHECK(p->c, rc < 0);
        CHECK(p->c, *p->c->reason(p->c) != 0); /* with a text */
        p->c->err_clear(p->c);
    }
    /* Every cut of the sample: an error, never a crash. */
    for (size_t n = 0; n < p->json.n; n++) {
        const void *q;
        (void)parse(p, (qd_str){p->json.p, n}, &q);
        p->c->err_clear(p->c);
    }
}

static int32_t count_nodes(qd_conform *c, const probe *p, const qd_query_node *n, uint32_t depth)
{
    if (!n || depth > 64 || n->struct_size < offsetof(qd_query_node, self)) return -1;
    if (n->type < QD_NODE_ALL || n->type > QD_NODE_SUBQUERY) return -1;
    if (n->type == QD_NODE_SELF && !(p->vt->head.flags & QD_OPERATOR_ITERATES)) return -1;
    if (!(n->boost >= 0)) return -1;
    int32_t total = 1;
    for (uint32_t i = 0; i < n->nchildren; i++) {
        int32_t k = count_nodes(c, p, n->children[i], depth + 1);
        if (k < 0) return -1;
        total += k;
    }
    return total;
}

static void rewrite_gives_a_tree(probe *p)
{
    qd_query_node *node = NULL;
    CHECK_EQ(p->c, parse(p, p->json, &p->query), 0);
    CHECK_EQ(p->c, p->vt->rewrite(&p->ctx, p->query, &node, p->c->err), 0);
    int32_t n = count_nodes(p->c, p, node, 0);
    CHECK(p->c, n >= 1 && n <= 1024);
}

/* --- iterating --- */

static const qd_query_node *find_self(const qd_query_node *n)
{
    if (n->type == QD_NODE_SELF) return n;
    for (uint32_t i = 0; i < n->nchildren; i++) {
        const qd_query_node *x = find_self(n->children[i]);
        if (x) return x;
    }
    return NULL;
}

/* Parses, and rewrites where the operator does: what its iterator is opened with. 0, an error, or
 * 1: the sample needs no iterator. Memory of the test before is gone. */
static int32_t begin(probe *p)
{
    qd_query_node *tree = NULL;
    int32_t rc = parse(p, p->json, &p->query);
    p->nchildren = 0;
    if (rc || !(p->vt->head.flags & QD_OPERATOR_REWRITES)) return rc;
    rc = p->vt->rewrite(&p->ctx, p->query, &tree, p->c->err);
    if (rc) return rc;
    const qd_query_node *self = find_self(tree);
    if (!self) return 1;
    p->query = self->self;
    p->nchildren = self->nchildren;
    return 0;
}

/* The candidates of a block become matches: some of them, in order. */
static int32_t second_phase(probe *p, qd_operator_iter *it, qd_doc_block *b)
{
    qd_doc_block before = *b;
    uint32_t at = 0;
    int32_t rc = p->vt->match_block(it, 0, b, p->c->err);
    if (rc || b->n > before.n) return -1;
    for (uint32_t i = 0; i < b->n; i++, at++) {
        while (at < before.n && before.docs[at] != b->docs[i]) at++;
        if (at == before.n) return -1;
    }
    return 0;
}

/* All matches from `from` on into docs and scores; their number, or -1 on a breach. */
static int32_t collect(probe *p, uint32_t from, uint32_t *docs, float *scores)
{
    qd_segment_view view = segment_view(p->c->arena, p->nchildren);
    qd_operator_iter *it = NULL;
    static qd_doc_block block;
    uint32_t n = 0, at = from;
    if (p->vt->open_iter(&p->ctx, p->query, &view, 1, &it, p->c->err)) return -1;
    if (!it) return 0;
    for (;;) {
        memset(&block, 0, sizeof block);
        block.struct_size = sizeof block;
        int32_t rc = p->vt->next_block(it, at, 0, &block, p->c->err);
        if (rc || block.n > QD_OPERATOR_BLOCK) goto breach;
        if (block.n == 0) break;
        for (uint32_t i = 0; i < block.n; i++) {
            if (block.docs[i] < at || block.docs[i] >= MAX_DOC) goto breach;
            at = block.docs[i] + 1;
        }
        if ((p->vt->head.flags & QD_OPERATOR_TWO_PHASE) && second_phase(p, it, &block)) goto breach;
        for (uint32_t i = 0; i < block.n; i++, n++) {
            if (n == MAX_DOC || !isfinite(block.scores[i])) goto breach;
            docs[n] = block.docs[i];
            scores[n] = block.scores[i];
        }
        if ((p->vt->head.flags & QD_OPERATOR_MAX_SCORE) && block.n) {
            float bound = p->vt->max_score(it, block.docs[0], at);
            for (uint32_t i = 0; i < block.n; i++)
                if (!(block.scores[i] <= bound)) goto breach;
        }
    }
    p->vt->close_iter(it);
    return (int32_t)n;
breach:
    p->vt->close_iter(it);
    return -1;
}

static void iterators_agree(probe *p)
{
    static uint32_t docs[MAX_DOC + 1], later[MAX_DOC + 1];
    static float scores[MAX_DOC + 1], again[MAX_DOC + 1];
    CHECK_EQ(p->c, begin(p), 0);
    int32_t n = collect(p, 0, docs, scores);
    CHECK(p->c, n >= 0);
    for (uint32_t from = 1; from < MAX_DOC; from = from * 3 + 1) {
        int32_t m = collect(p, from, later, again), skip = 0;
        while (skip < n && docs[skip] < from) skip++;
        CHECK_EQ(p->c, m, n - skip);
        CHECK(p->c, m <= 0 || memcmp(later, docs + skip, (size_t)m * sizeof *docs) == 0);
        CHECK(p->c, m <= 0 || memcmp(again, scores + skip, (size_t)m * sizeof *scores) == 0);
    }
}

/* --- explaining --- */

typedef struct lines {
    uint32_t n, depth; /* depth of the last */
    double first;
    int broken;
} lines;

static int32_t take_line(const qd_explain_sink *sink, uint32_t depth, double value, int32_t count,
                         qd_str text, qd_err *err)
{
    lines *l = (lines *)sink->host;
    (void)count;
    (void)err;
    if (!isfinite(value) || !text.n || (l->n ? depth == 0 || depth > l->depth + 1 : depth != 0))
        l->broken = 1;
    if (l->n++ == 0) l->first = value;
    l->depth = depth;
    return 0;
}

static void explanations_tell_the_score(probe *p)
{
    static uint32_t docs[MAX_DOC + 1];
    static float scores[MAX_DOC + 1];
    CHECK_EQ(p->c, begin(p), 0);
    int32_t n = collect(p, 0, docs, scores);
    CHECK(p->c, n >= 0);
    for (int32_t i = 0; i < n; i = i * 3 + 1) {
        qd_segment_view view = segment_view(p->c->arena, p->nchildren);
        lines l = {0, 0, 0, 0};
        qd_explain_sink sink = {sizeof sink, 0, &l, take_line};
        qd_operator_iter *it = NULL;
        CHECK_EQ(p->c, p->vt->open_iter(&p->ctx, p->query, &view, 1, &it, p->c->err), 0);
        int32_t rc = p->vt->explain(it, docs[i], &sink, p->c->err);
        p->vt->close_iter(it);
        CHECK_EQ(p->c, rc, 0);
        CHECK(p->c, l.n >= 1 && !l.broken);
        CHECK(p->c, fabs(l.first - (double)scores[i]) <= 1e-5 * (1 + fabs((double)scores[i])));
    }
}

static void run_iterators(probe *p)
{
    if (begin(p) == 1) {
        SKIP(p->c, "iterators agree from every start", "the sample needs none");
        return;
    }
    RUN(p->c, "iterators agree from every start", iterators_agree(p));
    if (p->vt->head.flags & QD_OPERATOR_EXPLAINS)
        RUN(p->c, "explanations tell the score", explanations_tell_the_score(p));
}

void qd_conform_operator(qd_conform *c, const char *name, const qd_operator_vtable *vt)
{
    probe p = {.c = c, .vt = vt};
    (void)name;
    p.ctx = (qd_query_ctx){.struct_size = sizeof p.ctx,
                           .self = c->self,
                           .arena = c->arena,
                           .index = S("conformance"),
                           .now_ms = 1700000000000,
                           .field_type = field_type,
                           .subquery = subquery,
                           .analyze = segment_analyze};

    for (uint32_t i = 0; i < c->noptions; i++)
        if (c->options[i].key.n == 5 && memcmp(c->options[i].key.p, "query", 5) == 0)
            p.json = c->options[i].value;
    type_of_fields = S("text");
    for (uint32_t i = 0; i < c->noptions; i++)
        if (c->options[i].key.n == 4 && memcmp(c->options[i].key.p, "type", 4) == 0)
            type_of_fields = c->options[i].value;
    RUN(c, "broken requests are errors", broken_requests_are_errors(&p));
    if (!p.json.n) {
        SKIP(c, "the sample is parsed", "give one: --option query='{...}'");
        return;
    }
    RUN(c, "the sample is parsed", sample_is_parsed(&p));
    if (c->outcome) return;
    if (vt->head.flags & QD_OPERATOR_REWRITES)
        RUN(c, "rewrite gives a tree of native nodes", rewrite_gives_a_tree(&p));
    if (vt->head.flags & QD_OPERATOR_ITERATES) run_iterators(&p);
}
