/*
 * copies.c: which copy of a shard is searched, and which are tried when that one fails.
 *
 * Adaptive selection (Suresh et al., C3, NSDI 2015, with Elasticsearch's constants): a node's rank
 * is what a request would take there: moving averages of the time until its answer comes and of the
 * work itself, and its queue, to the third power. Statistics come with each answer and stand in a
 * small table; ranks are read without locks. Nodes that are not asked drift towards the best one,
 * so that they are tried again.
 */
#include "action/api/admin_int.h"
#include "action/search/wire_int.h"
#include "base/hash.h"
#include "base/str.h"
#include "runtime/sync.h"
#include <stdio.h>

#define SLOTS 1024u /* nodes that are remembered */
#define ALPHA 0.3
#define NS_OF_MS 1e6
#define UNKNOWN_RANK -1.0 /* nobody has asked it yet: it comes first */
#define FAILED_NS 5000000000u
#define SHARDS_N (sizeof "_shards:" - 1)
#define MOVED_NS UINT64_C(1000000000)
#define MOVED_SLICE_MS 100

typedef struct node_stats {
    _Atomic bool used;
    char id[64];
    _Atomic uint64_t response_ns, service_ns; /* bits of a double; 0: none yet */
    _Atomic uint64_t queue;
    _Atomic uint32_t outstanding; /* questions of this node without an answer */
} node_stats;

struct qd_search_nodes {
    qd_mutex lock; /* of making an entry */
    _Atomic uint32_t turn;
    node_stats at[SLOTS];
};

int qdi_search_nodes_open(qd_actions *a, qd_err *err)
{
    struct qd_search_nodes *t = qd_calloc(NULL, sizeof *t);
    if (!t) return qd_err_nomem(err, "statistics of nodes");
    qd_mutex_init(&t->lock);
    a->search_nodes = t;
    return 0;
}

void qdi_search_nodes_close(qd_actions *a)
{
    if (!a->search_nodes) return;
    qd_mutex_fini(&a->search_nodes->lock);
    qd_free(a->search_nodes);
    a->search_nodes = NULL;
}

/* --- statistics --- */

static node_stats *find(struct qd_search_nodes *t, qd_str node, bool make)
{
    uint32_t from = (uint32_t)qd_xxh3(node.p, node.n);
    for (uint32_t i = 0; t && i < SLOTS; i++) {
        node_stats *f = &t->at[(from + i) % SLOTS];
        if (atomic_load_explicit(&f->used, memory_order_acquire)) {
            if (qd_str_is(node, f->id)) return f;
            continue;
        }
        if (!make || node.n >= sizeof f->id) return NULL;
        qd_mutex_lock(&t->lock);
        bool taken = atomic_load(&f->used);
        if (!taken) {
            memcpy(f->id, node.p, node.n);
            atomic_store_explicit(&f->used, true, memory_order_release);
        }
        qd_mutex_unlock(&t->lock);
        if (!taken || qd_str_is(node, f->id)) return f;
    }
    return NULL;
}

static double get(const _Atomic uint64_t *v)
{
    uint64_t bits = atomic_load_explicit(v, memory_order_relaxed);
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static void put(_Atomic uint64_t *v, double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    atomic_store_explicit(v, bits, memory_order_relaxed);
}

static void average(_Atomic uint64_t *v, double now)
{
    double before = get(v);
    put(v, before > 0 ? ALPHA * now + (1 - ALPHA) * before : now);
}

void qdi_copies_told(qd_actions *a, qd_str node, uint64_t ns, const search_load *load)
{
    node_stats *f = find(a->search_nodes, node, true);
    if (!f) return;
    if (!load) { /* it failed: as if it had been slow, so that others come first for a while */
        average(&f->response_ns, (double)(ns > FAILED_NS ? ns : FAILED_NS));
        return;
    }
    average(&f->response_ns, (double)(ns ? ns : 1));
    average(&f->service_ns, (double)(load->service_ns ? load->service_ns : 1));
    uint64_t queue = atomic_load_explicit(&f->queue, memory_order_relaxed);
    queue = (uint64_t)(ALPHA * (double)load->queue + (1 - ALPHA) * (double)queue);
    atomic_store_explicit(&f->queue, queue, memory_order_relaxed);
}

void qdi_copies_asked(qd_actions *a, qd_str node, int by)
{
    node_stats *f = find(a->search_nodes, node, true);
    if (f) atomic_fetch_add(&f->outstanding, (uint32_t)by);
}

static double rank_of(struct qd_search_nodes *t, const qd_state *s, qd_str node)
{
    const node_stats *f = find(t, node, false);
    if (!f || get(&f->response_ns) <= 0) return UNKNOWN_RANK;
    double clients = s->nnodes ? s->nnodes : 1;
    double waiting = (double)atomic_load(&f->outstanding) * clients +
                     (double)atomic_load_explicit(&f->queue, memory_order_relaxed);
    double response = get(&f->response_ns) / NS_OF_MS, service = get(&f->service_ns) / NS_OF_MS;
    double queue = 1 + waiting;
    return response - service + queue * queue * queue * service;
}

void qdi_copies_write(qd_actions *a, qd_json_writer *w)
{
    struct qd_search_nodes *t = a->search_nodes;
    qd_state *s = qd_cluster_state(a->cluster);
    for (uint32_t i = 0; t && i < s->nnodes; i++) {
        char text[32];
        const node_stats *f = find(t, s->nodes[i].id, false);
        if (!f || get(&f->response_ns) <= 0) continue;
        qd_json_key(w, s->nodes[i].id);
        qd_json_object(w);
        qd_json_field_int(w, "outgoing_searches", atomic_load(&f->outstanding));
        qd_json_field_int(w, "avg_queue_size", (int64_t)atomic_load(&f->queue));
        qd_json_field_int(w, "avg_service_time_ns", (int64_t)get(&f->service_ns));
        qd_json_field_int(w, "avg_response_time_ns", (int64_t)get(&f->response_ns));
        snprintf(text, sizeof text, "%.1f", rank_of(t, s, s->nodes[i].id));
        qd_json_field_c(w, "rank", text);
        qd_json_object_end(w);
    }
    qd_state_unref(s);
}

/* Those that were not chosen come half the way to the one that was. */
static void adjust(struct qd_search_nodes *t, const qd_str *nodes, uint32_t n)
{
    const node_stats *best = n > 1 ? find(t, nodes[0], false) : NULL;
    for (uint32_t i = 1; best && i < n; i++) {
        node_stats *f = find(t, nodes[i], false);
        if (!f || get(&f->response_ns) <= 0) continue;
        put(&f->response_ns, (get(&f->response_ns) + get(&best->response_ns)) / 2);
        put(&f->service_ns, (get(&f->service_ns) + get(&best->service_ns)) / 2);
        uint64_t queue = (atomic_load(&f->queue) + atomic_load(&best->queue)) / 2;
        atomic_store_explicit(&f->queue, queue, memory_order_relaxed);
    }
}

/* --- candidates --- */

static const qd_node_meta *node_of(const qd_state *s, qd_str id)
{
    for (uint32_t lo = 0, hi = s->nnodes; lo < hi;) {
        uint32_t mid = (lo + hi) / 2;
        int c = qd_str_cmp(s->nodes[mid].id, id);
        if (c == 0) return &s->nodes[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

typedef struct candidate {
    qd_str node;
    double rank;
    bool there;
} candidate;

static int by_rank(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->there != y->there) return x->there ? -1 : 1;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* What stands before the colon of a preference, and behind it. */
static qd_str split(qd_str preference, qd_str *rest)
{
    ptrdiff_t colon = qd_str_find(preference, ':');
    *rest = colon < 0 ? (qd_str){NULL, 0} : qd_str_sub(preference, (size_t)colon + 1, preference.n);
    return colon < 0 ? preference : qd_str_sub(preference, 0, (size_t)colon);
}

/* The preference without "_shards:1,2|" in front of it. */
static qd_str without_shards(qd_str p, qd_str *shards)
{
    *shards = (qd_str){NULL, 0};
    if (!qd_str_starts(p, QD_STR("_shards:"))) return p;
    ptrdiff_t bar = qd_str_find(p, '|');
    size_t end = bar < 0 ? p.n : (size_t)bar;
    *shards = qd_str_sub(p, SHARDS_N, end - SHARDS_N);
    return bar < 0 ? (qd_str){NULL, 0} : qd_str_sub(p, end + 1, p.n);
}

bool qdi_copies_shard_wanted(const search_run *x, uint32_t number)
{
    qd_str shards, one;
    int64_t n;
    (void)without_shards(x->r->preference, &shards);
    if (!shards.p) return true;
    while (shards.p) {
        one = qd_str_trim(qd_str_split(&shards, ','));
        if (qd_str_i64(one, &n) && n == (int64_t)number) return true;
    }
    return false;
}

/* Those of the wanted ones to the front, in their order; others are left out with `only`. */
static uint32_t prefer(candidate *at, uint32_t n, bool (*wanted)(void *arg, qd_str node), void *arg,
                       bool only)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!wanted(arg, at[i].node)) continue;
        candidate c = at[i];
        for (uint32_t j = i; j > k; j--) at[j] = at[j - 1];
        at[k++] = c;
    }
    return only ? k : n;
}

typedef struct named {
    const search_run *x;
    qd_str names;
} named;

static bool is_self(void *arg, qd_str node)
{
    return qd_str_eq(node, ((named *)arg)->x->a->node_id);
}

static bool is_named(void *arg, qd_str node)
{
    const named *d = arg;
    const qd_node_meta *m = node_of(d->x->state, node);
    return m && qdi_node_wanted(d->x->a, d->names, m);
}

/* Brings the candidates into the order of the preference; returns how many are left. */
static uint32_t order(const search_run *x, const search_shard *s, candidate *at, uint32_t n)
{
    qd_str shards, names, p = without_shards(x->r->preference, &shards);
    qd_str kind = split(p, &names);
    named d = {x, names};
    struct qd_search_nodes *t = x->a->search_nodes;
    bool custom = p.n && p.p[0] != '_';
    uint32_t turn = custom ? (uint32_t)qd_xxh3_seed(p.p, p.n, s->number)
                    : t    ? atomic_fetch_add_explicit(&t->turn, 1, memory_order_relaxed)
                           : 0;
    for (uint32_t i = 0; n > 1 && i < turn % n; i++) { /* equal ones take turns */
        candidate first = at[0];
        memmove(at, at + 1, (n - 1) * sizeof *at);
        at[n - 1] = first;
    }
    bool adaptive = !custom && qd_config_bool(x->a->config, QD_SET_ADAPTIVE_SELECTION);
    for (uint32_t i = 0; i < n; i++) {
        at[i].rank = adaptive ? rank_of(t, x->state, at[i].node) : 0;
    }
    for (uint32_t i = 1; i < n; i++) { /* few, and the order of equal ones stays */
        for (uint32_t k = i; k && by_rank(&at[k], &at[k - 1]) < 0; k--) {
            candidate c = at[k];
            at[k] = at[k - 1];
            at[k - 1] = c;
        }
    }
    if (qd_str_is(kind, "_local")) return prefer(at, n, is_self, &d, false);
    if (qd_str_is(kind, "_only_local")) return prefer(at, n, is_self, &d, true);
    if (qd_str_is(kind, "_prefer_nodes")) return prefer(at, n, is_named, &d, false);
    if (qd_str_is(kind, "_only_nodes")) return prefer(at, n, is_named, &d, true);
    return n;
}

/* --- choosing --- */

static int take_own(search_run *x, search_shard *s)
{
    s->shard = qd_shards_get(x->a->shards, s->index->meta->uuid, s->number);
    return 0;
}

static const qd_shard_meta *record_of(const search_run *x, const search_shard *s)
{
    const qd_shard_meta *shards = qd_state_shards(x->state, s->index->meta);
    return shards ? &shards[s->number] : NULL;
}

/* Started copies; one that this node is just opening when there is none. */
static int list(search_run *x, const qd_shard_meta *record, candidate **out, uint32_t *n,
                qd_err *err)
{
    candidate *at = qd_arena_alloc(x->arena, (record->ncopies + 1ul) * sizeof *at);
    if (!at) return qd_err_nomem(err, "copies of a shard");
    *n = 0;
    for (uint32_t i = 0; i < record->ncopies; i++) {
        const qd_copy *c = &record->copies[i];
        if (!qd_copy_is_active(c)) continue;
        at[(*n)++] = (candidate){c->node, 0, node_of(x->state, c->node) != NULL};
    }
    *out = at;
    return 0;
}

/* "_only_nodes:…", and what it names. */
static bool only_named(const search_run *x, qd_str *names)
{
    qd_str shards, p = without_shards(x->r->preference, &shards);
    return qd_str_is(split(p, names), "_only_nodes");
}

int qdi_copies_choose(search_run *x, search_shard *s, qd_err *err)
{
    const qd_shard_meta *record = record_of(x, s);
    candidate *at = NULL;
    qd_str names;
    uint32_t n = 0;
    bool only = only_named(x, &names);
    bool here = x->state->nnodes <= 1 || (record && record->ncopies == 1 &&
                                          qd_str_eq(record->copies[0].node, x->a->node_id));
    bool simple =
        x->r->q->forwarded || !record || !x->a->rpc || !record->ncopies || (here && !only);
    if (simple) return take_own(x, s);
    int rc = list(x, record, &at, &n, err);
    if (rc) return rc;
    if (!n) return take_own(x, s); /* being opened here, or nowhere */
    n = order(x, s, at, n);
    search_copies *c = qd_arena_alloc(x->arena, sizeof *c);
    qd_str *nodes = qd_arena_alloc(x->arena, (n + 1ul) * sizeof *nodes);
    if (!c || !nodes) return qd_err_nomem(err, "copies of a shard");
    for (uint32_t i = 0; i < n; i++) nodes[i] = at[i].node;
    *c = (search_copies){nodes, n, 0};
    if (!n && only) {
        return qd_err_set(err, QD_E_ARG, "no data nodes with %s [%.*s] found for shard: [%.*s][%u]",
                          qd_str_find(names, ',') < 0 ? "criteria" : "criterion", QD_STR_ARG(names),
                          QD_STR_ARG(s->index->meta->name), s->number);
    }
    if (!n) { /* none that the preference allows */
        s->rc =
            qd_err_set(&s->err, QD_E_NO_SHARD, "no copy of [%.*s][%u] is on the nodes asked for",
                       QD_STR_ARG(s->index->meta->name), s->number);
        s->skipped = true;
        return 0;
    }
    adjust(x->a->search_nodes, nodes, n);
    s->copies = c;
    return qd_str_eq(nodes[0], x->a->node_id) ? take_own(x, s) : 0;
}

/* --- copies that have moved --- */

static bool is_newer(void *arg, const qd_state *s)
{
    return s->revision > *(const uint64_t *)arg;
}

static bool was_tried(const search_shard *s, qd_str allocation_id)
{
    for (uint32_t i = 0; i < s->ntried; i++) {
        if (qd_str_eq(s->tried[i], allocation_id)) return true;
    }
    return false;
}

/* Remembers the active copies of a record as tried. */
static int note_tried(search_run *x, search_shard *s, const qd_shard_meta *r)
{
    uint32_t n = r ? r->ncopies : 0;
    qd_str *all = qd_arena_alloc(x->arena, (s->ntried + n + 1ul) * sizeof *all);
    if (!all) return QD_E_NOMEM;
    if (s->ntried) memcpy(all, s->tried, s->ntried * sizeof *all);
    s->tried = all;
    for (uint32_t i = 0; i < n; i++) {
        const qd_copy *c = &r->copies[i];
        if (!qd_copy_is_active(c) || was_tried(s, c->allocation_id)) continue;
        all[s->ntried] = qd_arena_str(x->arena, c->allocation_id);
        if (!all[s->ntried++].p) return QD_E_NOMEM;
    }
    return 0;
}

/* Takes the copies of a newer state that were not tried yet. */
static bool take_new(search_run *x, search_shard *s, const qd_state *now)
{
    const qd_index_meta *m = qd_state_index_uuid(now, qd_str_c(s->index->meta->uuid));
    const qd_shard_meta *r = m ? qd_state_shard(now, m, s->number) : NULL;
    uint32_t n = 0;
    candidate *at = r ? qd_arena_alloc(x->arena, (r->ncopies + 1ul) * sizeof *at) : NULL;
    for (uint32_t i = 0; at && i < r->ncopies; i++) {
        const qd_copy *c = &r->copies[i];
        if (!qd_copy_is_active(c) || was_tried(s, c->allocation_id)) continue;
        at[n++] = (candidate){qd_arena_str(x->arena, c->node), 0, true};
        if (!at[n - 1].node.p) return false;
    }
    if (!n || note_tried(x, s, r)) return false;
    n = order(x, s, at, n);
    search_copies *c = qd_arena_alloc(x->arena, sizeof *c);
    qd_str *nodes = qd_arena_alloc(x->arena, (n + 1ul) * sizeof *nodes);
    if (!n || !c || !nodes) return false;
    for (uint32_t i = 0; i < n; i++) nodes[i] = at[i].node;
    *c = (search_copies){nodes, n, 0};
    s->copies = c;
    return true;
}

bool qdi_copies_again(search_run *x, search_shard *s)
{
    if (x->part || x->pit || x->r->q->forwarded || !x->a->rpc || x->state->nnodes <= 1)
        return false;
    if (!s->tried && note_tried(x, s, record_of(x, s))) return false;
    /* a node that lives and has not the copy any more knows a newer state, which will come here; so
     * does one that stops and serves no shards any more */
    bool answered = !s->target || !s->target->rc || s->target->rc == QD_E_NO_SHARD;
    bool moved = s->rc == QD_E_NO_SHARD && s->ntried && answered;
    uint64_t now = qd_env_mono_ns(x->a->env);
    if (!x->moved_until_ns) x->moved_until_ns = now + MOVED_NS;
    for (;;) {
        qd_state *newest = qd_cluster_state(x->a->cluster);
        uint64_t seen = newest->revision;
        bool found = seen > x->state->revision && take_new(x, s, newest);
        qd_state_unref(newest);
        if (found) return true;
        now = qd_env_mono_ns(x->a->env);
        if (!moved || now >= x->moved_until_ns || qd_task_stopped(x->task)) return false;
        (void)qd_cluster_wait_for(x->a->cluster, is_newer, &seen, MOVED_SLICE_MS);
        s->ntried = 0; /* a copy that was just being taken over may answer by now */
    }
}

bool qdi_search_moved(search_run *x)
{
    for (uint32_t i = 0; i < x->nshards; i++) {
        search_shard *s = &x->shards[i];
        if (s->rc == QD_E_NO_SHARD && !s->skipped && qdi_copies_again(x, s)) return true;
    }
    return false;
}
