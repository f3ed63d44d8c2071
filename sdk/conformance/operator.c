/*
 * operator.c: the contract of the operator kind as tests. An operator's syntax is its own, so a
 * sample has to be given: option `query`, the JSON behind the operator's name. Iterating operators
 * run over a made-up segment of 10,000 documents.
 */
#include "suite.h"
#include <stdlib.h>

#define MAX_DOC 10000u

typedef struct probe {
    qd_conform *c;
    const qd_operator_vtable *vt;
    qd_query_ctx ctx;
    qd_str json;
    const void *query;
} probe;

static qd_str field_type(const qd_query_ctx *ctx, qd_str field)
{
    (void)ctx;
    return field.n && field.p[0] == 'n' ? S("long") : S("text");
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
    if (n->type < QD_NODE_ALL || n->type > QD_NODE_SELF) return -1;
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

/* --- a segment --- */

static int32_t segment_i64(const qd_segment_view *v, qd_str field, const uint32_t *docs, uint32_t n,
                           int64_t *out, uint8_t *has, qd_err *err)
{
    (void)v;
    (void)field;
    (void)err;
    for (uint32_t i = 0; i < n; i++) {
        has[i] = docs[i] % 11 != 0;
        out[i] = docs[i] * 7919u % 1000u;
    }
    return 0;
}

struct qd_segment_postings {
    uint32_t step;
};

/* Every term is in each third document. */
static int32_t segment_postings(const qd_segment_view *v, qd_str field, qd_str term,
                                qd_segment_postings **out, uint32_t *doc_freq, qd_err *err)
{
    static qd_segment_postings cursor = {3};
    (void)v;
    (void)field;
    (void)term;
    (void)err;
    *out = &cursor;
    *doc_freq = (MAX_DOC + 2) / 3;
    return 0;
}

static int32_t segment_next(qd_segment_postings *at, uint32_t from, uint32_t cap, uint32_t *docs,
                            uint32_t *freqs, uint32_t *n, qd_err *err)
{
    (void)err;
    uint32_t doc = (from + at->step - 1) / at->step * at->step;
    for (*n = 0; *n < cap && doc < MAX_DOC; doc += at->step, (*n)++) {
        docs[*n] = doc;
        if (freqs) freqs[*n] = doc % 5 + 1;
    }
    return 0;
}

/* All matches from `from` on into docs and scores; their number, or -1 on a breach. */
static int32_t collect(probe *p, uint32_t from, uint32_t *docs, float *scores)
{
    qd_segment_view view = {sizeof view, MAX_DOC,          NULL,        p->c->arena,
                            segment_i64, segment_postings, segment_next};
    qd_operator_iter *it;
    static qd_doc_block block;
    uint32_t n = 0, at = from;
    if (p->vt->open_iter(&p->ctx, p->query, &view, 1, &it, p->c->err)) return -1;
    for (;;) {
        memset(&block, 0, sizeof block);
        block.struct_size = sizeof block;
        int32_t rc = p->vt->next_block(it, at, 0, &block, p->c->err);
        if (rc || block.n > QD_OPERATOR_BLOCK) goto breach;
        if (block.n == 0) break;
        for (uint32_t i = 0; i < block.n; i++, n++) {
            if (block.docs[i] < at || block.docs[i] >= MAX_DOC || n == MAX_DOC) goto breach;
            docs[n] = block.docs[i];
            scores[n] = block.scores[i];
            at = block.docs[i] + 1;
        }
        if (p->vt->head.flags & QD_OPERATOR_MAX_SCORE) {
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
    CHECK_EQ(p->c, parse(p, p->json, &p->query), 0); /* memory of the test before is gone */
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

void qd_conform_operator(qd_conform *c, const char *name, const qd_operator_vtable *vt)
{
    probe p = {.c = c, .vt = vt};
    (void)name;
    p.ctx = (qd_query_ctx){.struct_size = sizeof p.ctx,
                           .self = c->self,
                           .arena = c->arena,
                           .index = S("conformance"),
                           .now_ms = 1700000000000,
                           .field_type = field_type};
    for (uint32_t i = 0; i < c->noptions; i++)
        if (c->options[i].key.n == 5 && memcmp(c->options[i].key.p, "query", 5) == 0)
            p.json = c->options[i].value;
    RUN(c, "broken requests are errors", broken_requests_are_errors(&p));
    if (!p.json.n) {
        SKIP(c, "the sample is parsed", "give one: --option query='{...}'");
        return;
    }
    RUN(c, "the sample is parsed", sample_is_parsed(&p));
    if (c->outcome) return;
    if (vt->head.flags & QD_OPERATOR_REWRITES)
        RUN(c, "rewrite gives a tree of native nodes", rewrite_gives_a_tree(&p));
    if (vt->head.flags & QD_OPERATOR_ITERATES)
        RUN(c, "iterators agree from every start", iterators_agree(&p));
}
