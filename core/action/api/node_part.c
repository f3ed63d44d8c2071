/* node_part.c: see node_part.h. */
#include "action/api/node_part.h"
#include "action/transport/scatter.h"
#include "action/transport/served_int.h"
#include <string.h>

#define TIMEOUT_MS 15000 /* a node that does not answer in time is left out */
#define PARAMS_MAX 128u
#define TEXT_MAX ((size_t)64 << 20)
#define CELLS_MAX 10000000u

static const struct {
    int (*json)(qd_request *q, qd_json_writer *w, qd_err *err);
    void (*rows)(cat_table *t);
} parts[NODE_PARTS] = {
    [NODE_PART_STATS] = {.json = qdi_part_nodes_stats},
    [NODE_PART_INFO] = {.json = qdi_part_nodes_info},
    [NODE_PART_HOT] = {.json = qdi_part_nodes_hot},
    [NODE_PART_CLUSTER] = {.json = qdi_part_cluster_stats},
    [NODE_PART_DANGLING] = {.json = qdi_part_dangling},
    [NODE_PART_ENRICH] = {.json = qdi_part_enrich},
    [NODE_PART_CAT_NODES] = {.rows = qdi_part_cat_nodes},
    [NODE_PART_CAT_POOLS] = {.rows = qdi_part_cat_pools},
    [NODE_PART_CAT_PLUGINS] = {.rows = qdi_part_cat_plugins},
    [NODE_PART_CAT_ALLOCATION] = {.rows = qdi_part_cat_allocation},
};

/* --- asking --- */

typedef struct asking {
    qd_request *q;
    node_part part;
    scatter nodes;
} asking;

static void encode(void *arg, const scatter_part *p, qd_writer *w)
{
    const asking *x = arg;
    (void)p;
    qd_write_varint(w, x->part);
    qd_write_bool(w, x->q->human);
    qd_write_array(w, x->q->nparams);
    for (uint32_t i = 0; i < x->q->nparams; i++) {
        qd_write_str(w, x->q->params[i].key);
        qd_write_bool(w, x->q->params[i].value.p != NULL);
        qd_write_str(w, x->q->params[i].value);
    }
}

static int ask(asking *x, const qd_state *s, qd_str filter, node_counts *counts, qd_err *err)
{
    int rc = 0;
    *counts = (node_counts){0};
    qdi_scatter_init(&x->nodes, x->q->a, &x->q->task, x->q->arena, s->nnodes);
    for (uint32_t i = 0; i < s->nnodes && !rc; i++) {
        if (!qdi_node_wanted(x->q->a, filter, &s->nodes[i])) continue;
        counts->total++;
        rc = qdi_scatter_add(&x->nodes, &s->nodes[i], i, err);
    }
    qdi_scatter_send(&x->nodes, QD_ACTION_NODE_PART, TIMEOUT_MS, encode, x);
    return rc;
}

/* This node's JSON, in the arena; empty when it could not be made. */
static qd_str own_json(qd_request *q, node_part part, qd_err *err)
{
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, q->a->account, TEXT_MAX);
    qd_json_writer_init(&w, &b, false);
    int rc = parts[part].json(q, &w, err);
    qd_str text = {NULL, 0};
    if (!rc && !qd_buf_status(&b)) text = qd_arena_str(q->arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    if (!rc && !text.p) (void)qd_err_nomem(err, "statistics of this node");
    return text;
}

static const scatter_part *part_of(const scatter *s, const qd_node_meta *n, qd_str own)
{
    qd_str id = qd_str_eq(n->id, own) ? QD_STR("") : n->id;
    const scatter_part *p = s->parts;
    while (p && !qd_str_eq(p->node, id)) p = p->next;
    return p;
}

int qdi_node_parts(qd_request *q, const qd_state *s, qd_str filter, node_part part,
                   void (*each)(void *arg, const qd_node_meta *node, qd_str json), void *arg,
                   node_counts *counts, qd_err *err)
{
    asking x = {.q = q, .part = part};
    qd_str own = {NULL, 0};
    int rc = ask(&x, s, filter, counts, err);
    if (!rc && qdi_scatter_here(&x.nodes)) {
        own = own_json(q, part, err);
        if (!own.p) rc = err ? err->code : QD_E_NOMEM;
    }
    qdi_scatter_wait(&x.nodes);
    for (uint32_t i = 0; i < s->nnodes && !rc; i++) {
        const qd_node_meta *n = &s->nodes[i];
        const scatter_part *p = part_of(&x.nodes, n, q->a->node_id);
        if (!p) continue;
        if (p->node.n && p->err.code) {
            counts->failed++;
            continue;
        }
        counts->successful++;
        each(arg, n, p->node.n ? p->answer : own);
    }
    qdi_scatter_fini(&x.nodes);
    return rc;
}

typedef struct answer {
    qd_str id, json;
} answer;
typedef struct answers {
    qd_arena *arena;
    answer *at;
    uint32_t n;
} answers;

/* The answers of other nodes go with their calls: they are copied. */
static void keep(void *arg, const qd_node_meta *node, qd_str json)
{
    answers *x = arg;
    answer a = {node->id, qd_arena_str(x->arena, json)};
    if (a.json.p) x->at[x->n++] = a;
}

int qdi_nodes_answer(qd_request *q, qd_str filter, node_part part, qd_response *r, qd_err *err)
{
    answers x = {.arena = q->arena};
    node_counts n;
    qd_state *s = qd_cluster_state(q->a->cluster);
    x.at = qd_arena_alloc(q->arena, (s->nnodes + 1) * sizeof *x.at);
    int rc = x.at ? qdi_node_parts(q, s, filter, part, keep, &x, &n, err)
                  : qd_err_nomem(err, "statistics of nodes");
    if (!rc) {
        qd_json_object(&r->w);
        qdi_nodes_header(&r->w, n.total, n.failed);
        qd_json_field_str(&r->w, "cluster_name", qd_cluster_name(q->a->cluster));
        qd_json_key_c(&r->w, "nodes");
        qd_json_object(&r->w);
        for (uint32_t i = 0; i < x.n; i++) {
            qd_json_key(&r->w, x.at[i].id);
            qd_json_raw_value(&r->w, x.at[i].json);
        }
        qd_json_object_end(&r->w);
        qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    return rc;
}

/* --- tables --- */

static void write_rows(const cat_table *t, qd_writer *w)
{
    qd_write_varint(w, t->columns.n);
    qd_write_array(w, t->cells.n);
    for (size_t i = 0; i < t->cells.n; i++) {
        const cat_cell *c = &t->cells.at[i];
        qd_write_u8(w, (uint8_t)c->kind);
        qd_write_zigzag(w, c->number);
        qd_write_double(w, c->value);
        qd_write_str(w, c->text);
    }
}

/* Rows of another node; those that do not fit the table are left out. */
static void take_rows(cat_table *t, const scatter_part *p)
{
    qd_body_reader r;
    size_t had = t->cells.n;
    qd_body_reader_init(&r, p->answer, "rows of a table", p->version);
    if (qd_read_varint(&r, "columns") != t->columns.n) return;
    size_t n = qd_read_array(&r, "cells", CELLS_MAX, 4);
    for (size_t i = 0; i < n && !qd_body_reader_bad(&r); i++) {
        cat_cell c = {.kind = (cat_kind)qd_read_u8(&r, "kind of a cell")};
        if (c.kind > CAT_TIME) qd_body_reader_fail(&r, "kind of a cell", "is not known");
        c.number = qd_read_zigzag(&r, "number");
        c.value = qd_read_double(&r, "value");
        c.text = qd_read_str_copy(&r, "text", TEXT_MAX, t->q->arena);
        if (qd_vec_push(&t->cells, NULL, c)) t->failed = QD_E_NOMEM;
    }
    if (qd_body_reader_bad(&r) || n % t->columns.n) t->cells.n = had;
}

int qdi_node_rows(cat_table *t, const qd_state *s, qd_str filter, node_part part, qd_err *err)
{
    asking x = {.q = t->q, .part = part};
    node_counts counts;
    int rc = ask(&x, s, filter, &counts, err);
    for (uint32_t i = 0; i < s->nnodes && !rc; i++) {
        const scatter_part *p = part_of(&x.nodes, &s->nodes[i], t->q->a->node_id);
        if (p && !p->node.n) parts[part].rows(t);
    }
    qdi_scatter_wait(&x.nodes);
    for (uint32_t i = 0; i < s->nnodes && !rc; i++) {
        const scatter_part *p = part_of(&x.nodes, &s->nodes[i], t->q->a->node_id);
        if (p && p->node.n && !p->err.code) take_rows(t, p);
    }
    qdi_scatter_fini(&x.nodes);
    return rc;
}

/* --- what a node does for another --- */

static int read_request(qd_body_reader *r, qd_request *q, node_part *part, qd_err *err)
{
    uint64_t number = qd_read_varint(r, "part");
    q->human = qd_read_bool(r, "human");
    q->nparams = (uint32_t)qd_read_array(r, "parameters", PARAMS_MAX, 3);
    qd_pair *params = qd_arena_calloc(q->arena, (q->nparams + 1) * sizeof *params);
    if (!params) return qd_err_nomem(err, "parameters");
    for (uint32_t i = 0; i < q->nparams; i++) {
        params[i].key = qd_read_str(r, "parameter", TEXT_MAX);
        bool value = qd_read_bool(r, "has a value");
        params[i].value = qd_read_str(r, "value", TEXT_MAX);
        if (!value) params[i].value = (qd_str){NULL, 0};
    }
    q->params = params;
    if (number == 0 || number >= NODE_PARTS) {
        return qd_err_set(err, QD_E_UNSUPPORTED, "part [%llu] of a node is not known here",
                          (unsigned long long)number);
    }
    *part = (node_part)number;
    return qd_body_reader_check(r, err);
}

/* The table's columns are made by the part's function when there are none. */
static int make(qd_request *q, node_part part, qd_writer *w, qd_err *err)
{
    if (parts[part].json) {
        qd_str text = own_json(q, part, err);
        qd_write_raw(w, text.p, text.n);
        return text.p ? 0 : err->code;
    }
    cat_table t;
    qdi_cat_init(&t, q);
    parts[part].rows(&t);
    write_rows(&t, w);
    int rc = t.failed ? qd_err_nomem(err, "rows of a table") : 0;
    qdi_cat_fini(&t);
    return rc;
}

void qdi_node_part_handle(void *arg, qd_rpc_request *request)
{
    qdi_served s;
    node_part part = NODE_PARTS;
    qdi_served_begin(&s, arg, request, QD_ACTION_NODE_PART, "part of a node", TEXT_MAX * 2);
    qd_request q = {.a = s.a, .arena = &s.arena};
    int rc = read_request(&s.in, &q, &part, &s.err);
    if (!rc) rc = make(&q, part, &s.out, &s.err);
    qdi_served_end(&s, rc, "part of a node");
}
