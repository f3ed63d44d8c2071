/*
 * dangling.c: indices whose files lie on nodes though the cluster does not know them: every
 * node tells its own, and what is done with one is done by the nodes that have it.
 */
#include "action/api/forward_int.h"
#include "action/api/node_part.h"
#include "action/indices/indices_int.h"
#include "base/str.h"

/* --- what this node has --- */

static int write_one(void *arg, qd_str uuid, const qd_index_meta *m)
{
    qd_json_writer *w = arg;
    qd_json_object(w);
    qd_json_field_str(w, "index_name", m ? m->name : QD_STR("_na_"));
    qd_json_field_str(w, "index_uuid", uuid);
    qd_json_field_int(w, "creation_date_millis", m ? m->created_ms : 0);
    qd_json_object_end(w);
    return 0;
}

int qdi_part_dangling(qd_request *q, qd_json_writer *w, qd_err *err)
{
    qd_json_array(w);
    int rc = qd_shards_dangling(q->a->shards, write_one, w, err);
    qd_json_array_end(w);
    return rc;
}

/* --- what all nodes have --- */

typedef struct dangling {
    struct dangling *next;
    qd_str name, uuid;
    int64_t created_ms;
    qd_str *nodes; /* that have files of it */
    uint32_t nnodes;
} dangling;

typedef struct finding {
    qd_request *q;
    const qd_state *state;
    dangling *first, **end;
    node_counts counts;
    int rc;
    qd_err *err;
} finding;

static dangling *dangling_of(finding *f, qd_str uuid)
{
    dangling *d = f->first;
    while (d && !qd_str_eq(d->uuid, uuid)) d = d->next;
    return d;
}

static dangling *dangling_make(finding *f, qd_str uuid, const qd_json_node *n)
{
    qd_arena *arena = f->q->arena;
    const qd_json_node *created = qd_json_get(n, "creation_date_millis");
    dangling *d = qd_arena_calloc(arena, sizeof *d);
    qd_str *nodes = qd_arena_alloc(arena, (f->state->nnodes + 1) * sizeof *nodes);
    if (!d || !nodes) return NULL;
    d->uuid = uuid;
    d->name = qd_json_text(qd_json_get(n, "index_name"));
    d->nodes = nodes;
    if (created) (void)qd_str_i64(qd_json_text(created), &d->created_ms);
    *f->end = d;
    f->end = &d->next;
    return d;
}

/* One node's own. */
static void add(void *arg, const qd_node_meta *node, qd_str json)
{
    finding *f = arg;
    qd_json_node *root;
    qd_str text = qd_arena_str(f->q->arena, json);
    if (f->rc) return;
    if (!text.p) {
        f->rc = qd_err_nomem(f->err, "dangling indices");
        return;
    }
    f->rc = qd_json_parse(f->q->arena, text, 0, &root, f->err);
    for (const qd_json_node *n = f->rc ? NULL : root->first; n && !f->rc; n = n->next) {
        const qd_json_node *id = qd_json_get(n, "index_uuid");
        if (!id || !qd_json_get(n, "index_name")) continue;
        dangling *d = dangling_of(f, qd_json_text(id));
        if (!d) d = dangling_make(f, qd_json_text(id), n);
        if (d && (!d->nnodes || !qd_str_eq(d->nodes[d->nnodes - 1], node->id)))
            d->nodes[d->nnodes++] = node->id;
        else if (!d)
            f->rc = qd_err_nomem(f->err, "dangling indices");
    }
}

/* All of the cluster; while `state` is held. */
static int find(finding *f, qd_request *q, const qd_state *state, qd_err *err)
{
    *f = (finding){.q = q, .state = state, .err = err};
    f->end = &f->first;
    int rc = qdi_node_parts(q, state, QD_STR(""), NODE_PART_DANGLING, add, f, &f->counts, err);
    return rc ? rc : f->rc;
}

static void write_dangling(const dangling *d, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_field_str(w, "index_name", d->name);
    qd_json_field_str(w, "index_uuid", d->uuid);
    qd_json_field_int(w, "creation_date_millis", d->created_ms);
    qd_json_key_c(w, "node_ids");
    qd_json_array(w);
    for (uint32_t i = 0; i < d->nnodes; i++) qd_json_str(w, d->nodes[i]);
    qd_json_array_end(w);
    qd_json_object_end(w);
}

int qdi_api_dangling_list(qd_request *q, qd_response *r, qd_err *err)
{
    finding f;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = find(&f, q, s, err);
    if (!rc) {
        qd_json_object(&r->w);
        qdi_nodes_header(&r->w, f.counts.total, f.counts.failed);
        qd_json_field_str(&r->w, "cluster_name", qd_cluster_name(q->a->cluster));
        qd_json_key_c(&r->w, "dangling_indices");
        qd_json_array(&r->w);
        for (const dangling *d = f.first; d; d = d->next) write_dangling(d, &r->w);
        qd_json_array_end(&r->w);
        qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    return rc;
}

/* --- what is done with one --- */

static int check_accepted(const qd_request *q, qd_err *err)
{
    bool accepted;
    int rc = qd_param_bool(q, "accept_data_loss", false, &accepted, err);
    if (rc || accepted) return rc;
    return qd_err_set(err, QD_E_ARG, "accept_data_loss must be set to true");
}

static int import_here(qd_request *q, qd_response *r, qd_err *err)
{
    qd_str name;
    int64_t timeout;
    int rc = qdi_admin_timeout(q, &timeout, err);
    if (!rc) {
        rc = qd_shards_import(q->a->shards, qd_param(q, "index_uuid"), &name, q->arena, err);
    }
    if (rc) return rc;
    r->status = 202;
    qdi_answer_acknowledged(q, r);
    return 0;
}

static int delete_here(qd_request *q, qd_response *r, qd_err *err)
{
    int rc = qd_shards_delete_dangling(q->a->shards, qd_param(q, "index_uuid"), err);
    if (rc) return rc;
    r->status = 202;
    qdi_answer_acknowledged(q, r);
    return 0;
}

/* Lets nodes with the index's files run this very request; the first that fails is the answer. */
static int run_there(qd_request *q, const qd_state *s, const dangling *d, uint32_t n,
                     qd_response *r, qd_err *err)
{
    qdi_forwarded *at = qd_arena_calloc(q->arena, n * sizeof *at);
    if (!at) return qd_err_nomem(err, "dangling index");
    for (uint32_t i = 0; i < n; i++) at[i].node = d->nodes[i];
    int rc = qdi_forward(q, s, at, n, err);
    if (rc) return rc;
    uint32_t told = 0;
    for (uint32_t i = n; i-- > 0;) {
        if (at[i].status != 202) told = i;
    }
    rc = qdi_forward_answer(&at[told], r, err);
    for (uint32_t i = 0; i < n; i++) qd_err_fini(&at[i].err);
    return rc;
}

/* What nodes have that did not tell could be missed: nothing is done before all have told. */
static int check_all_told(const node_counts *counts, qd_err *err)
{
    if (!counts->failed) return 0;
    int rc = qd_err_set(err, QD_E_CLOSED,
                        "%u of %u nodes did not tell which dangling indices they have; try again "
                        "when all nodes answer, and run the same version",
                        counts->failed, counts->total);
    qd_err_type(err, "failed_node_exception", 503);
    return rc;
}

/* On all nodes that have the index, or on one of them. */
static int run(qd_request *q, bool all, int (*here)(qd_request *, qd_response *, qd_err *),
               qd_response *r, qd_err *err)
{
    finding f;
    int rc = check_accepted(q, err);
    if (rc || q->forwarded) return rc ? rc : here(q, r, err);
    qd_state *s = qd_cluster_state(q->a->cluster);
    rc = find(&f, q, s, err);
    if (!rc) rc = check_all_told(&f.counts, err);
    const dangling *d = rc ? NULL : dangling_of(&f, qd_param(q, "index_uuid"));
    bool own = !d; /* with what it does not know: it says so */
    for (uint32_t i = 0; d && i < d->nnodes; i++) {
        own |= qd_str_eq(d->nodes[i], q->a->node_id) && (!all || d->nnodes == 1);
    }
    if (!rc) rc = own ? here(q, r, err) : run_there(q, s, d, all ? d->nnodes : 1, r, err);
    qd_state_unref(s);
    return rc;
}

int qdi_api_dangling_import(qd_request *q, qd_response *r, qd_err *err)
{
    return run(q, false, import_here, r, err);
}

int qdi_api_dangling_delete(qd_request *q, qd_response *r, qd_err *err)
{
    return run(q, true, delete_here, r, err);
}
