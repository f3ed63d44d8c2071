/* cache.c: what is cached of indices is dropped, on every node: whichever was asked keeps
 * the answers that it gave. */
#include "action/indices/indices_int.h"
#include "action/indices/request_cache.h"
#include "action/transport/scatter.h"
#include "action/transport/served_int.h"
#include "base/features.h"
#include "base/str.h"

#define CLEAR_MS 15000 /* for a node to answer; one that does not keeps what it has */
#define INDICES_MAX 1000000u
#define FIELDS_BYTES ((size_t)1 << 20)

typedef struct clearing {
    const qd_resolved *found;
    bool requests, fielddata;
    qd_str fields; /* of which fielddata goes, by names; empty: of all */
    bool told;     /* other nodes know of fielddata */
} clearing;

static void clear_fielddata(qd_shard *s, const clearing *x)
{
    if (!x->fields.n) qd_shard_fielddata_clear(s, x->fields);
    for (qd_str rest = x->fields; rest.n;)
        qd_shard_fielddata_clear(s, qd_str_trim(qd_str_split(&rest, ',')));
}

/* Drops what is here of an index; the number of its shards that serve here. */
static uint32_t clear_here(qd_actions *a, const qd_index_meta *m, const clearing *x)
{
    uint32_t open = 0;
    if (x->requests) qd_request_cache_clear(a->request_cache, qd_str_c(m->uuid));
    for (uint32_t k = 0; k < m->shards; k++) {
        qd_shard *s = qd_shards_get(a->shards, m->uuid, k);
        open += s && qd_shard_ready(s, NULL);
        if (s && x->fielddata) clear_fielddata(s, x);
        qd_shard_unref(s);
    }
    return open;
}

static void encode(void *arg, const scatter_part *p, qd_writer *w)
{
    const clearing *x = arg;
    (void)p;
    qd_write_bool(w, x->requests);
    qd_write_array(w, x->found->n);
    for (uint32_t i = 0; i < x->found->n; i++) qd_write_c(w, x->found->at[i]->uuid);
    if (!x->told) return;
    qd_write_bool(w, x->fielddata);
    qd_write_str(w, x->fields);
}

/* Copies on a node that serve, by the state. */
static uint32_t copies_on(const qd_state *s, const qd_resolved *found, qd_str node)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < found->n; i++) {
        for (uint32_t k = 0; k < found->at[i]->shards; k++) {
            const qd_shard_meta *r = qd_state_shard(s, found->at[i], k);
            for (uint32_t c = 0; r && c < r->ncopies; c++)
                n += qd_copy_is_active(&r->copies[c]) && qd_str_eq(r->copies[c].node, node);
        }
    }
    return n;
}

static void take_answer(const qd_state *s, const qd_resolved *found, const scatter_part *p,
                        shard_counts *out)
{
    qd_body_reader r;
    qd_body_reader_init(&r, p->answer, "answer of a cleared cache", p->version);
    uint32_t open = p->err.code ? 0 : (uint32_t)qd_read_varint_max(&r, "shards", UINT32_MAX);
    if (p->err.code || qd_body_reader_bad(&r))
        out->failed += copies_on(s, found, p->node);
    else
        out->successful += open;
}

static int clear(qd_request *q, const qd_state *s, const clearing *x, shard_counts *n, qd_err *err)
{
    scatter nodes;
    int rc = 0;
    qdi_scatter_init(&nodes, q->a, &q->task, q->arena, s->nnodes);
    for (uint32_t i = 0; i < s->nnodes && q->a->rpc && !rc; i++) {
        if (qd_str_eq(s->nodes[i].id, q->a->node_id)) continue;
        rc = qdi_scatter_add(&nodes, &s->nodes[i], i, err);
    }
    if (!rc) qdi_scatter_send(&nodes, QD_ACTION_CACHE_CLEAR, CLEAR_MS, encode, (void *)x);
    for (uint32_t i = 0; i < x->found->n && !rc; i++) {
        n->total += x->found->at[i]->shards * (x->found->at[i]->replicas + 1);
        n->successful += clear_here(q->a, x->found->at[i], x);
    }
    qdi_scatter_wait(&nodes);
    for (const scatter_part *p = nodes.parts; p && !rc; p = p->next) take_answer(s, x->found, p, n);
    qdi_scatter_fini(&nodes);
    return rc;
}

int qdi_api_indices_clear_cache(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    shard_counts n = {0};
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_param_indices(q, s, QD_INDICES_SEARCH, &found, err);
    /* a cache is spared by false, and by naming another one */
    static const char *const kinds[] = {"request", "fielddata", "query"};
    bool named = false, set[QD_COUNT_OF(kinds)];
    for (size_t i = 0; i < QD_COUNT_OF(kinds) && !rc; i++) {
        rc = qd_param_bool(q, kinds[i], false, &set[i], err);
        named |= set[i];
    }
    clearing x = {.found = &found,
                  .fields = qd_param(q, "fields"),
                  .told = s->features >= QD_FEATURES_TYPES_0_2};
    x.requests = named ? set[0] : !qd_param(q, "request").n;
    x.fielddata = named ? set[1] : !qd_param(q, "fielddata").n;
    if (!rc) rc = clear(q, s, &x, &n, err);
    qd_state_unref(s);
    if (!rc) qdi_answer_shards(r, &n);
    return rc;
}

void qdi_cache_clear_handle(void *arg, qd_rpc_request *request)
{
    qdi_served s;
    uint32_t open = 0;
    qdi_served_begin(&s, arg, request, QD_ACTION_CACHE_CLEAR, "caches to clear", 64);
    qd_state *state = qd_cluster_state(s.a->cluster);
    clearing x = {.requests = qd_read_bool(&s.in, "request")};
    size_t n = qd_read_array(&s.in, "indices", INDICES_MAX, 1);
    const qd_index_meta **found = qd_arena_alloc(&s.arena, (n + 1) * sizeof(qd_index_meta *));
    if (!found) qd_body_reader_nomem(&s.in, "indices");
    for (size_t i = 0; i < n && !qd_body_reader_bad(&s.in); i++)
        found[i] = qd_state_index_uuid(state, qd_read_str(&s.in, "uuid of an index", QD_UUID_TEXT));
    if (qd_body_reader_left(&s.in)) { /* a node of a former level has none */
        x.fielddata = qd_read_bool(&s.in, "fielddata");
        x.fields = qd_read_str(&s.in, "fields", FIELDS_BYTES);
    }
    for (size_t i = 0; i < n && !qd_body_reader_bad(&s.in); i++)
        if (found[i]) open += clear_here(s.a, found[i], &x);
    qd_state_unref(state);
    qd_write_varint(&s.out, open);
    qdi_served_end(&s, qd_body_reader_end(&s.in, &s.err), "answer of a cleared cache");
}
