/*
 * read.c: documents by id from the nodes that have them: realtime reads from the primary,
 * others from a copy here or the primary. One request for each node; what meets a copy that has
 * moved is asked again by a newer state as long as the shard can come back by itself.
 */
#include "action/documents/wire.h"
#include "action/transport/scatter.h"
#include "action/transport/served_int.h"
#include "replication/replication.h"
#include "runtime/fiber.h"

#define GATE_MS 30000
#define NEWER_MS 250
#define ENTER_MS 2000

typedef struct reading {
    qd_actions *a;
    doc_read *reads;
    uint32_t n;
    qd_arena *arena;
    const qd_state *state;
    uint64_t records; /* newest revision of those by which it was placed */
    doc_asked primaries;
    scatter nodes;
} reading;

/* From the primary: what all copies have, told while no other primary can have written. */
static int realtime(qd_actions *a, const char *uuid, uint32_t number, const doc_read *what,
                    qd_arena *arena, qd_engine_doc *out, qd_err *err)
{
    qd_permit p;
    qd_write_target to = {.uuid = uuid, .shard = number};
    int rc = 0;
    if (what->refresh) {
        rc = qd_replication_refresh(a->replication, &to, QD_SEQ_NO_NONE, false, NULL, NULL, err);
    }
    /* where others may have the primary by now, it is asked for again by a newer state */
    int64_t wait = qdi_many_nodes(a) ? ENTER_MS : GATE_MS;
    if (!rc) rc = qd_replication_enter_read(a->replication, &to, wait, &p, err);
    if (rc) return rc;
    rc = qd_engine_get(p.engine, what->id, what->realtime, what->want_source, arena, out, err);
    if (!rc && what->realtime) {
        rc = qd_replication_confirm(&p, out->found ? out->seq_no : QD_SEQ_NO_NONE, GATE_MS, err);
    }
    qd_replication_leave(&p);
    return rc;
}

int qdi_read_here(qd_actions *a, const char *uuid, uint32_t number, const doc_read *what,
                  qd_arena *arena, qd_engine_doc *out, qd_err *err)
{
    qd_engine *e;
    if (a->replication && (what->realtime || what->refresh)) {
        return realtime(a, uuid, number, what, arena, out, err);
    }
    qd_shard *shard = qd_shards_get(a->shards, uuid, number);
    if (!shard) {
        return qd_err_set(err, QD_E_NO_SHARD, "No shard available for [get [%s][%.*s]]", uuid,
                          QD_STR_ARG(what->id));
    }
    int rc = 0;
    if (!what->realtime && qd_shard_behind(shard)) rc = qd_shard_searchable(shard, GATE_MS, err);
    if (!rc) rc = qd_shard_enter(shard, GATE_MS, &e, err);
    if (!rc) {
        if (what->refresh) rc = qd_engine_refresh(e, err);
        if (!rc) {
            rc = qd_engine_get(e, what->id, what->realtime, what->want_source, arena, out, err);
        }
        qd_shard_leave(shard);
    }
    qd_shard_unref(shard);
    return rc;
}

/* --- where to ask --- */

/* Can the shard get a primary without anybody's help? */
static bool comes_back(const qd_state *s, const qd_shard_meta *r)
{
    for (uint32_t k = 0; r && k < r->nin_sync; k++) {
        if (qd_state_node(s, r->in_sync[k].node)) return true;
    }
    return r && r->fresh;
}

static const qd_node_meta *node_for(reading *x, const doc_read *d, bool *comes)
{
    const qd_index_meta *m = qd_state_index_uuid(x->state, qd_str_c(d->uuid));
    const qd_shard_meta *r = m ? qd_state_shard(x->state, m, d->shard) : NULL;
    const qd_copy *primary = r ? qd_shard_meta_primary(r) : NULL;
    uint64_t revision = m ? qdi_docs_placed_by(x->state, m, r) : 0;
    if (revision > x->records) x->records = revision;
    *comes = comes_back(x->state, r);
    if (r && !d->realtime) {
        const qd_copy *own = qd_shard_meta_copy_of(r, x->a->node_id);
        if (own && qd_copy_is_active(own)) primary = own;
    } else if (r && *comes) { /* who is asked for what is of now knows whether it is primary */
        bool sure;
        return qdi_asked_node(&x->primaries, x->state, r, x->a->node_id, &sure);
    }
    return primary && qd_copy_is_active(primary) ? qd_state_node(x->state, primary->node) : NULL;
}

static void no_shard(doc_read *d)
{
    d->rc = qd_err_set(&d->err, QD_E_NO_SHARD, "No shard available for [get [%s][%.*s]]", d->uuid,
                       QD_STR_ARG(d->id));
}

static void place(reading *x)
{
    for (uint32_t k = 0; k < x->n; k++) {
        doc_read *d = &x->reads[k];
        if (d->done) continue;
        const qd_node_meta *node = node_for(x, d, &d->comes_back);
        qd_err_fini(&d->err);
        qd_err_init(&d->err);
        if (!node) {
            no_shard(d);
            continue;
        }
        d->comes_back = true;
        d->rc = qdi_scatter_add(&x->nodes, node, k, &d->err);
    }
}

/* --- asking --- */

static void encode(void *arg, const scatter_part *p, qd_writer *w)
{
    const reading *x = arg;
    qdi_wire_gets(w, x->records, x->reads, p->pick, p->n);
}

static void take(reading *x, const scatter_part *p)
{
    qd_body_reader r;
    qd_body_reader_init(&r, p->answer, "documents", p->version);
    for (uint32_t t = 0; t < p->n; t++) {
        doc_read *d = &x->reads[p->pick[t]];
        if (p->err.code) {
            d->rc = p->err.code;
            qd_err_copy(&d->err, &p->err);
        } else {
            d->rc = qdi_wire_got_read(&r, x->arena, &d->doc, &d->err);
        }
    }
    for (uint32_t t = 0; t < p->n && !p->err.code && qd_body_reader_left(&r); t++)
        x->reads[p->pick[t]].doc.stored =
            qd_read_str_copy(&r, "stored fields", QDI_SCATTER_BODY_MAX, x->arena);
}

static void read_own(reading *x, const scatter_part *p)
{
    for (uint32_t t = 0; t < p->n; t++) {
        doc_read *d = &x->reads[p->pick[t]];
        if (d->lazy)
            d->rc = QDI_READ_HERE;
        else
            d->rc = qdi_read_here(x->a, d->uuid, d->shard, d, x->arena, &d->doc, &d->err);
    }
}

static bool again(const doc_read *d)
{
    return d->comes_back &&
           (d->rc == QD_E_NOT_PRIMARY || d->rc == QD_E_NO_SHARD || d->rc == QD_E_CLOSED);
}

/* One look at everything that is not done; returns how many have to be asked again. */
static uint32_t run_round(reading *x, int64_t left_ms)
{
    uint32_t more = 0;
    x->records = 0;
    qdi_scatter_init(&x->nodes, x->a, NULL, x->arena, x->n);
    place(x);
    qdi_scatter_send(&x->nodes, QD_ACTION_DOCS_GET, left_ms, encode, x);
    const scatter_part *here = qdi_scatter_here(&x->nodes);
    if (here) read_own(x, here);
    qdi_scatter_wait(&x->nodes);
    for (const scatter_part *p = x->nodes.parts; p; p = p->next) {
        if (p->node.n) take(x, p);
    }
    qdi_scatter_fini(&x->nodes);
    for (uint32_t k = 0; k < x->n; k++) {
        doc_read *d = &x->reads[k];
        if (d->done) continue;
        d->done = !again(d);
        more += !d->done;
    }
    return more;
}

static bool is_newer(void *arg, const qd_state *s)
{
    return s && s->revision > *(const uint64_t *)arg;
}

void qdi_docs_read(qd_actions *a, doc_read *reads, uint32_t n, qd_arena *arena)
{
    reading x = {.a = a, .reads = reads, .n = n, .arena = arena};
    uint64_t until = qd_env_mono_ns(a->env) + (uint64_t)GATE_MS * 1000000u;
    for (;;) {
        qd_state *s = qd_cluster_state(a->cluster);
        uint64_t now = qd_env_mono_ns(a->env), revision = s->revision;
        int64_t left = now >= until ? 1 : (int64_t)((until - now) / 1000000u) + 1;
        x.state = s;
        uint32_t more = run_round(&x, left);
        qd_state_unref(s);
        if (!more || now >= until || qd_task_poll(qd_fiber_task())) return;
        (void)qdi_asked_next(&x.primaries, a->env, revision);
        (void)qd_cluster_wait_for(a->cluster, is_newer, &revision,
                                  left < NEWER_MS ? left : NEWER_MS);
    }
}

/* --- what a node does for another --- */

/* What a document has of stored fields beside its source goes behind all documents: nodes that do
 * not know it leave it there. */
static bool keep_stored(qdi_served *s, doc_read *d, qd_str *out)
{
    bool some = false;
    qd_state *state = qd_cluster_state(s->a->cluster);
    const qd_index_meta *m = qd_state_index_uuid(state, qd_str_c(d->uuid));
    if (m && qd_mapping_stores_apart(m->mapping) && d->want_source &&
        !qdi_doc_stored_got(m->mapping, &d->doc, &s->arena, NULL) && d->doc.stored.n) {
        *out = qd_arena_str(&s->arena, d->doc.stored);
        some = true;
    }
    qd_state_unref(state);
    return some;
}

void qdi_docs_get_handle(void *arg, qd_rpc_request *request)
{
    qdi_served s;
    doc_read *gets = NULL;
    uint64_t revision = 0;
    uint32_t n = 0;
    qdi_served_begin(&s, arg, request, QD_ACTION_DOCS_GET, "documents wanted",
                     QDI_SCATTER_BODY_MAX);
    int rc = qdi_wire_gets_read(s.body, s.version, &s.arena, &revision, &gets, &n, &s.err);
    if (!rc) qdi_docs_follow(s.a, revision, GATE_MS);
    qd_str *stored = rc ? NULL : qd_arena_calloc(&s.arena, (n + 1) * sizeof *stored);
    bool any = false;
    for (uint32_t k = 0; k < n && !rc; k++) {
        qd_arena one;
        qd_err why;
        qd_err_init(&why);
        qd_arena_init(&one, s.a->account, 0);
        doc_read *d = &gets[k];
        int got = qdi_read_here(s.a, d->uuid, d->shard, d, &one, &d->doc, &why);
        qdi_wire_got(&s.out, got, &d->doc, &why);
        if (!got && stored) any |= keep_stored(&s, d, &stored[k]);
        qd_arena_fini(&one);
        qd_err_fini(&why);
    }
    for (uint32_t k = 0; k < n && !rc && any; k++) qd_write_str(&s.out, stored[k]);
    qdi_served_end(&s, rc, "documents");
}
