/* ids.c: documents by _id, all with the score boost. */
#include "segment/ids.h"
#include "search/leaf/leaf_int.h"
#include "search/nodes/nodes_int.h"

/* The plan of it. */
typedef struct ids_plan {
    const qd_str *ids;
    uint64_t *hashes;
    uint32_t n;
} ids_plan;

static ids_plan *plan_of(const qdi_node *x)
{
    return x->u.own;
}

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    qdi_put_words(to, "_id:(", (qd_str){"", 0}, n->u.ids.ids, n->u.ids.n);
}

static bool cost(const qd_node *n, uint32_t *passes)
{
    *passes += n->u.ids.n;
    return true;
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    qdi_node *x = qdi_plan_node(p, n->u.ids.n ? &qdi_node_ids : &qdi_node_match_none, n, a.boost,
                                a.scores, err);
    if (!x) return QD_E_NOMEM;
    *out = x;
    x->u.own = qd_arena_calloc(p->arena, sizeof(ids_plan));
    if (!x->u.own) return qd_err_nomem(err, "query plan");
    plan_of(x)->ids = n->u.ids.ids;
    plan_of(x)->n = n->u.ids.n;
    plan_of(x)->hashes = qd_arena_alloc(p->arena, ((size_t)n->u.ids.n + 1) * sizeof(uint64_t));
    if (!plan_of(x)->hashes) return qd_err_nomem(err, "query plan");
    for (uint32_t i = 0; i < n->u.ids.n; i++) plan_of(x)->hashes[i] = qd_ids_hash(n->u.ids.ids[i]);
    return 0;
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    const qd_ids *ids = qd_segment_ids(r->leaf->segment);
    if (!ids) return 0;
    uint32_t n = plan_of(x)->n, found = 0;
    uint32_t *docs = qd_arena_alloc(r->arena, n * sizeof *docs);
    uint64_t *bits = qdi_make_bits(r);
    if (!docs || !bits) return qd_err_nomem(err, "search");
    memset(docs, 0xff, n * sizeof *docs);
    int rc = qd_ids_lookup(ids, plan_of(x)->ids, plan_of(x)->hashes, n, docs, r->arena, err);
    for (uint32_t i = 0; i < n && !rc; i++) {
        if (docs[i] >= r->ndocs) continue;
        bits[docs[i] >> 6] |= 1ull << (docs[i] & 63);
        found++;
    }
    if (rc || !found) return rc;
    l->type = &qdi_node_doc_set;
    l->u.bits = bits;
    l->cost = found;
    return 0;
}

const qd_node_type qdi_node_ids = {
    .name = "ids", .describe = describe, .cost = cost, .compile = compile, .plan = plan};
