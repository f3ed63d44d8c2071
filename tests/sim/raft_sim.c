/* raft_sim.c: see raft_sim.h. */
#include "raft_sim.h"
#include "../unit/coordination/heap.h"
#include <coordination-raft/consensus/core.h>
#include <coordination-raft/consensus/variant.h>
#include <stdio.h>
#include <string.h>

enum { NODES = 12, FIRST = 5, MS = 1000000, ELECTION = 300, HEARTBEAT = 60, INDEX_MAX = 20000 };
enum { TERMS = 8192, SEEN = 12 };
#define FAULTS_NS (12000ll * MS)
#define HEAL_NS (30000ll * MS)

typedef struct write {
    struct write *next;
    cr_action a; /* entries with references, bytes owned */
    uint64_t due;
} write;

typedef struct node {
    uint64_t id;
    cr_core *core; /* NULL: down, or never was */
    int there, removed, full, seen_role;
    uint64_t life; /* events of an earlier life are void */
    uint64_t seen_commit, seen_term;
    double rate;
    /* the disk */
    uint64_t term, vote, base, base_term, nlog;
    cr_log_entry *log[INDEX_MAX];
    uint64_t snapshot, snapshot_term, snapshot_state;
    cr_members *snapshot_members;
    uint8_t coming[8192];
    uint64_t coming_index;
    write *writes, *writes_last;
    uint64_t disk_slow;
    /* the machine */
    uint64_t applied, state;
} node;

typedef struct event {
    uint64_t at, order;
    uint32_t kind, node;
    uint64_t life;
    cr_message *message;
} event;
enum {
    E_MESSAGE = 1,
    E_WRITTEN,
    E_TICK,
    E_STRIKE,
    E_CLIENT,
    E_FAULT,
    E_RESTART,
    E_HEAL,
    E_MEMBERS
};

typedef struct seen {
    uint64_t term, hash, before;
} seen;
typedef struct waiting_read {
    uint64_t token, floor;
} waiting_read;

typedef struct sim {
    raft_sim_report *r;
    int verbose, faults, bad;
    uint64_t client_at, fault_ms, client_ms, disk_ns; /* of this schedule: how often, how slow */
    uint32_t hunt;                                    /* per 1000: a fault meets the leader */
    int turns;   /* leaders are struck soon after they were elected, and come back soon */
    int reforms; /* members change as often as they can */
    uint64_t rng, now, order, trace;
    node *nodes[NODES];
    uint32_t nnodes;
    event *heap;
    uint32_t nheap, heap_cap;
    int cut[NODES][NODES]; /* [from][to] */
    uint64_t lag[NODES];   /* of what goes to a node, ns */
    uint32_t loss, dup;    /* per 1000 */
    uint64_t late;         /* the longest a message takes, ns */
    seen entries[INDEX_MAX][SEEN];
    struct {
        uint64_t term, hash, state, by; /* by: the term whose leader committed it */
    } committed[INDEX_MAX];
    uint64_t ncommitted, max_applied;
    uint64_t leader_of[TERMS];
    waiting_read reads[4096];
    uint64_t nreads;
} sim;

static uint64_t rnd(sim *s)
{
    uint64_t z = (s->rng += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}
static uint64_t below(sim *s, uint64_t n)
{
    return rnd(s) % n;
}
static uint64_t mix(uint64_t a, uint64_t b)
{
    a ^= b + 0x9e3779b97f4a7c15ull + (a << 6) + (a >> 2);
    return a * 0xff51afd7ed558ccdull ^ (a >> 33);
}

#define SAY(s, ...)                                                                                \
    do {                                                                                           \
        if ((s)->verbose) {                                                                        \
            fprintf(stderr, "%9.3f ms  ", (double)(s)->now / MS);                                  \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
        }                                                                                          \
    } while (0)
#define BAD(s, ...)                                                                                \
    do {                                                                                           \
        if (!(s)->bad) {                                                                           \
            (s)->bad = 1;                                                                          \
            (s)->r->at_ns = (s)->now;                                                              \
            snprintf((s)->r->violation, sizeof(s)->r->violation, __VA_ARGS__);                     \
            SAY(s, "VIOLATION: %s", (s)->r->violation);                                            \
        }                                                                                          \
    } while (0)

/* --- events --- */

static int earlier(const event *a, const event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void post(sim *s, uint64_t at, uint32_t kind, node *n, cr_message *m)
{
    if (s->nheap == s->heap_cap) {
        s->heap_cap = s->heap_cap ? s->heap_cap * 2 : 256;
        s->heap = realloc(s->heap, s->heap_cap * sizeof *s->heap);
        if (!s->heap) abort();
    }
    event e = {.at = at,
               .order = ++s->order,
               .kind = kind,
               .node = n ? (uint32_t)(n->id - 1) : 0,
               .life = n ? n->life : 0,
               .message = m};
    uint32_t i = s->nheap++;
    for (; i && earlier(&e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = e;
}

static event take_first(sim *s)
{
    event first = s->heap[0], last = s->heap[--s->nheap];
    uint32_t i = 0;
    for (;;) {
        uint32_t k = 2 * i + 1;
        if (k >= s->nheap) break;
        if (k + 1 < s->nheap && earlier(&s->heap[k + 1], &s->heap[k])) k++;
        if (!earlier(&s->heap[k], &last)) break;
        s->heap[i] = s->heap[k];
        i = k;
    }
    s->heap[i] = last;
    return first;
}

/* --- what must hold --- */

static uint64_t entry_hash(const cr_log_entry *e)
{
    uint64_t h = mix(e->type + 1, e->n);
    for (uint32_t i = 0; i < e->n; i++) h = mix(h, e->bytes[i]);
    return h;
}

/* Log matching: one (index, term) is one entry with one entry before it. */
static void check_entry(sim *s, const cr_log_entry *e, uint64_t before)
{
    if (e->index >= INDEX_MAX) return;
    uint64_t hash = entry_hash(e);
    for (uint32_t i = 0; i < SEEN; i++) {
        seen *k = &s->entries[e->index][i];
        if (k->term == 0) {
            *k = (seen){e->term, hash, before};
            return;
        }
        if (k->term != e->term) continue;
        if (k->hash != hash || k->before != before)
            BAD(s, "log matching: index %llu term %llu is two entries",
                (unsigned long long)e->index, (unsigned long long)e->term);
        return;
    }
}

static void note_committed(sim *s, uint64_t index, uint64_t term, const char *who)
{
    if (index >= INDEX_MAX || index == 0) return;
    if (s->committed[index].term && s->committed[index].term != term)
        BAD(s, "committed entry %llu of term %llu is of term %llu at %s", (unsigned long long)index,
            (unsigned long long)s->committed[index].term, (unsigned long long)term, who);
    s->committed[index].term = term;
    if (index > s->ncommitted) s->ncommitted = index;
}

static int on_disk(const node *n, uint64_t index, uint64_t term)
{
    if (index <= n->snapshot || index <= n->base) return 1;
    if (index > n->base + n->nlog) return 0;
    return n->log[index - n->base - 1]->term == term;
}

/* What a leader commits is durable on a majority of the voters. */
static void check_commit(sim *s, node *n, const cr_core_view *v)
{
    for (uint64_t i = n->seen_commit + 1; i <= v->commit; i++) {
        uint64_t term = cr_core_term_at(n->core, i);
        if (term == 0) continue;
        if (i > s->ncommitted) s->r->commits++;
        note_committed(s, i, term, "a leader");
        if (i < INDEX_MAX && !s->committed[i].by) s->committed[i].by = v->term;
        uint32_t have = 0;
        for (uint32_t k = 0; k < v->members->n; k++) {
            const node *o = s->nodes[v->members->at[k].id - 1];
            have += v->members->at[k].role == QD_COORD_VOTER && on_disk(o, i, term);
        }
        if (have < v->members->voters / 2 + 1 && i > v->members_index)
            BAD(s, "entry %llu is committed by %llu and durable on %u of %u voters",
                (unsigned long long)i, (unsigned long long)n->id, have, v->members->voters);
    }
}

/* Looks at a node after each step. */
static void check_node(sim *s, node *n)
{
    cr_core_view v;
    cr_core_look(n->core, &v);
    if (v.failed == CR_FAILED_CONTRADICTION)
        BAD(s, "a leader denies what node %llu has committed", (unsigned long long)n->id);
    if (v.term < n->seen_term) BAD(s, "the term of node %llu fell", (unsigned long long)n->id);
    if (v.role == CR_LEADER && (n->seen_role != CR_LEADER || v.term != n->seen_term)) {
        s->r->leaders++;
        if (s->turns && s->faults && below(s, 4))
            post(s, s->now + 50000 + below(s, 60 * MS), E_STRIKE, n, NULL);
        if (s->turns) post(s, s->now + below(s, 5 * MS), E_CLIENT, NULL, NULL);
        if (s->reforms) post(s, s->now + below(s, 20 * MS), E_MEMBERS, NULL, NULL);
        SAY(s, "node %llu leads term %llu", (unsigned long long)n->id, (unsigned long long)v.term);
        uint64_t *who = &s->leader_of[v.term % TERMS];
        if (*who && *who != n->id)
            BAD(s, "election safety: nodes %llu and %llu lead term %llu", (unsigned long long)*who,
                (unsigned long long)n->id, (unsigned long long)v.term);
        *who = n->id;
        for (uint64_t i = v.base + 1; i <= s->ncommitted; i++) {
            uint64_t term = cr_core_term_at(n->core, i);
            if (s->committed[i].by && s->committed[i].by < v.term && term != s->committed[i].term)
                BAD(s, "leader completeness: node %llu leads term %llu without entry %llu",
                    (unsigned long long)n->id, (unsigned long long)v.term, (unsigned long long)i);
        }
    }
    if (v.role == CR_LEADER) check_commit(s, n, &v);
    n->seen_role = (int)v.role;
    n->seen_term = v.term;
    n->seen_commit = v.commit;
    s->trace = mix(s->trace, mix(v.term * 8 + v.role, mix(v.commit, v.last)));
}

/* --- disks --- */

static void write_free(write *w)
{
    for (uint32_t i = 0; i < w->a.nentries; i++) cr_log_entry_drop(w->a.entries[i]);
    free(w->a.entries);
    free((void *)w->a.bytes);
    cr_members_drop((cr_members *)w->a.members);
    free(w);
}

static void disk_cut(node *n, uint64_t index)
{
    while (n->nlog && n->base + n->nlog > index) cr_log_entry_drop(n->log[--n->nlog]);
}

static void disk_do(sim *s, node *n, write *w)
{
    cr_action *a = &w->a;
    if (a->type == CR_DO_CHUNK_WRITE) {
        memcpy(n->coming + a->offset, a->bytes, a->nbytes);
        n->coming_index = a->index;
        return;
    }
    if (a->hard) {
        if (a->term < n->term) BAD(s, "the term on a disk fell");
        n->term = a->term;
        n->vote = a->vote;
    }
    if (a->reset) {
        disk_cut(n, n->base);
        n->base = a->index;
        n->base_term = a->log_term;
    }
    if (a->cuts) {
        s->r->cuts++;
        disk_cut(n, a->cut);
    }
    for (uint32_t i = 0; i < a->nentries; i++) {
        cr_log_entry *e = a->entries[i];
        if (e->index != n->base + n->nlog + 1) {
            BAD(s, "node %llu writes entry %llu behind %llu", (unsigned long long)n->id,
                (unsigned long long)e->index, (unsigned long long)(n->base + n->nlog));
            return;
        }
        uint64_t before = n->nlog ? n->log[n->nlog - 1]->term : n->base_term;
        check_entry(s, e, before);
        n->log[n->nlog++] = cr_log_entry_ref(e);
    }
    if (a->drops && a->drop > n->base) {
        uint64_t k = a->drop - n->base;
        n->base_term = n->log[k - 1]->term;
        for (uint64_t i = 0; i < k; i++) cr_log_entry_drop(n->log[i]);
        memmove(n->log, n->log + k, (n->nlog - k) * sizeof n->log[0]);
        n->nlog -= k;
        n->base = a->drop;
    }
}

static void disk_queue(sim *s, node *n, const cr_action *a)
{
    write *w = calloc(1, sizeof *w);
    if (!w) abort();
    w->a = *a;
    w->a.entries = NULL;
    w->a.bytes = NULL;
    w->a.message = NULL;
    if (a->nentries) {
        w->a.entries = calloc(a->nentries, sizeof(cr_log_entry *));
        for (uint32_t i = 0; i < a->nentries; i++)
            w->a.entries[i] = cr_log_entry_ref(a->entries[i]);
    }
    if (a->bytes) {
        uint8_t *copy = malloc(a->nbytes);
        memcpy(copy, a->bytes, a->nbytes);
        w->a.bytes = copy;
    }
    cr_members_ref((cr_members *)a->members);
    /* what comes while a write is under way goes to the disk together behind it */
    uint64_t takes = 100000 + below(s, s->disk_ns) + (n->disk_slow ? below(s, n->disk_slow) : 0);
    if (!n->writes)
        w->due = s->now + takes;
    else
        w->due = n->writes_last->due + (n->writes_last->due == n->writes->due ? takes : 0);
    if (n->writes_last)
        n->writes_last->next = w;
    else
        n->writes = w;
    n->writes_last = w;
    post(s, w->due, E_WRITTEN, n, NULL);
}

static write *disk_next(node *n)
{
    write *w = n->writes;
    n->writes = w->next;
    if (!n->writes) n->writes_last = NULL;
    return w;
}

/* --- snapshots: index, state, and a pattern made of both --- */

static uint64_t snapshot_size(uint64_t index, uint64_t state)
{
    return 64 + (index * 7 + state % 13) % 3000;
}
static void snapshot_bytes(uint64_t index, uint64_t state, uint8_t *out)
{
    uint64_t n = snapshot_size(index, state);
    memcpy(out, &index, 8);
    memcpy(out + 8, &state, 8);
    for (uint64_t i = 16; i < n; i++) out[i] = (uint8_t)(mix(index, i) ^ state);
}

static void install(sim *s, node *n, const cr_action *a)
{
    uint8_t want[8192];
    uint64_t index, state;
    memcpy(&index, n->coming, 8);
    memcpy(&state, n->coming + 8, 8);
    int32_t rc = 0;
    if (index != a->index || snapshot_size(index, state) != a->total) {
        rc = QD_E_CORRUPT;
    } else {
        snapshot_bytes(index, state, want);
        if (memcmp(want, n->coming, a->total) != 0) rc = QD_E_CORRUPT;
    }
    if (rc) BAD(s, "a snapshot arrived damaged");
    if (index < INDEX_MAX && s->committed[index].state && s->committed[index].state != state)
        BAD(s, "a snapshot at %llu is of another state", (unsigned long long)index);
    n->applied = index;
    n->state = state;
    n->snapshot = index;
    n->snapshot_term = a->log_term;
    n->snapshot_state = state;
    cr_members_drop(n->snapshot_members);
    n->snapshot_members = cr_members_ref((cr_members *)a->members);
    s->r->installs++;
    SAY(s, "node %llu installs a snapshot at %llu", (unsigned long long)n->id,
        (unsigned long long)index);
    cr_core_installed(n->core, rc, (uint64_t)((double)s->now * n->rate));
}

static void take_snapshot(sim *s, node *n)
{
    cr_core_view v;
    cr_core_look(n->core, &v);
    if (n->applied <= n->snapshot || v.failed) return;
    const cr_members *m = NULL;
    n->snapshot_term = cr_core_term_at(n->core, n->applied);
    cr_core_snapshotted(n->core, n->applied);
    m = cr_core_snapshot_members(n->core);
    n->snapshot = n->applied;
    n->snapshot_state = n->state;
    cr_members_drop(n->snapshot_members);
    n->snapshot_members = cr_members_ref((cr_members *)m);
    s->r->snapshots++;
}

/* --- doing what a core wants --- */

static cr_message *message_copy(const cr_message *m)
{
    cr_message *k = malloc(sizeof *k);
    *k = *m;
    if (m->nentries) {
        k->entries = cr_must(unit_heap(), m->nentries * sizeof(cr_log_entry *));
        for (uint32_t i = 0; i < m->nentries; i++) k->entries[i] = cr_log_entry_ref(m->entries[i]);
    }
    if (m->bytes) {
        k->bytes = cr_must(unit_heap(), m->nbytes);
        memcpy(k->bytes, m->bytes, m->nbytes);
    }
    cr_members_ref(k->members);
    return k;
}

static void send(sim *s, node *n, const cr_message *m)
{
    uint32_t to = (uint32_t)m->to - 1;
    if (to >= s->nnodes) return;
    if (s->cut[n->id - 1][to] || below(s, 1000) < s->loss) {
        s->r->dropped++;
        return;
    }
    int copies = below(s, 1000) < s->dup ? 2 : 1;
    s->r->doubled += copies == 2;
    while (copies--)
        post(s, s->now + 50000 + s->lag[to] + below(s, s->late), E_MESSAGE, s->nodes[to],
             message_copy(m));
}

static void apply(sim *s, node *n, const cr_log_entry *e)
{
    if (e->index != n->applied + 1)
        BAD(s, "node %llu applies %llu behind %llu", (unsigned long long)n->id,
            (unsigned long long)e->index, (unsigned long long)n->applied);
    if (!on_disk(n, e->index, e->term))
        BAD(s, "node %llu applies %llu, which is not on its disk", (unsigned long long)n->id,
            (unsigned long long)e->index);
    note_committed(s, e->index, e->term, "a node that applies it");
    n->applied = e->index;
    n->state = mix(mix(n->state, e->index), entry_hash(e));
    if (e->index >= INDEX_MAX) return;
    uint64_t hash = entry_hash(e);
    if (s->committed[e->index].hash && s->committed[e->index].hash != hash)
        BAD(s, "state machine safety: entry %llu differs", (unsigned long long)e->index);
    if (s->committed[e->index].state && s->committed[e->index].state != n->state)
        BAD(s, "state machine safety: states differ at %llu", (unsigned long long)e->index);
    s->committed[e->index].hash = hash;
    s->committed[e->index].state = n->state;
    if (e->index > s->max_applied) s->max_applied = e->index;
}

static void read_done(sim *s, const cr_action *a)
{
    for (uint64_t i = 0; i < s->nreads; i++) {
        if (s->reads[i].token != a->token) continue;
        if (a->rc == 0) s->r->reads++;
        if (a->rc == 0 && a->index < s->reads[i].floor)
            BAD(s, "a read sees %llu when %llu was applied before it began",
                (unsigned long long)a->index, (unsigned long long)s->reads[i].floor);
        s->reads[i] = s->reads[--s->nreads];
        return;
    }
}

static void drain(sim *s, node *n)
{
    const cr_action *a;
    while (!s->bad && (a = cr_core_next(n->core))) {
        check_node(s, n);
        if (s->bad) return;
        switch (a->type) {
        case CR_DO_WRITE:
        case CR_DO_CHUNK_WRITE:
            disk_queue(s, n, a);
            break;
        case CR_DO_SEND:
            send(s, n, a->message);
            break;
        case CR_DO_APPLY:
            apply(s, n, a->entries[0]);
            break;
        case CR_DO_READ:
            read_done(s, a);
            break;
        case CR_DO_CHUNK_READ: {
            uint8_t all[8192];
            uint64_t peer = a->peer, index = a->index, offset = a->offset, k = a->nbytes, total = 0;
            if (index == n->snapshot) {
                total = snapshot_size(index, n->snapshot_state);
                snapshot_bytes(index, n->snapshot_state, all);
                if (k > total - offset) k = total - offset;
            } else {
                k = 0;
            }
            cr_core_chunk(n->core, peer, index, offset, total, all + offset, (uint32_t)k);
            break;
        }
        case CR_DO_INSTALL:
            install(s, n, a);
            break;
        case CR_DO_HAND_OVER:
            s->r->hand_overs += a->rc == 0;
            break;
        default:
            break;
        }
    }
    if (s->bad) return;
    check_node(s, n);
    uint64_t at = cr_core_deadline(n->core);
    if (at != UINT64_MAX) {
        uint64_t real = (uint64_t)((double)at / n->rate) + 1;
        post(s, real > s->now ? real : s->now + 1, E_TICK, n, NULL);
    }
}

/* --- nodes come and go --- */

static uint64_t local(const sim *s, const node *n)
{
    return (uint64_t)((double)s->now * n->rate);
}

static void start(sim *s, node *n, cr_members *form)
{
    cr_core_config k = {.heap = unit_heap(),
                        .id = n->id,
                        .seed = rnd(s),
                        .election_ns = ELECTION * MS,
                        .heartbeat_ns = HEARTBEAT * MS,
                        .trailing = (uint32_t)below(s, 20),
                        .message_bytes = 700,
                        .window_messages = 4,
                        .window_bytes = 2000};
    n->core = cr_core_make(&k);
    n->rate = 0.95 + (double)below(s, 100) / 1000;
    if (n->snapshot)
        cr_core_load_snapshot(n->core, n->snapshot, n->snapshot_term,
                              cr_members_ref(n->snapshot_members));
    cr_core_load_hard(n->core, n->term, n->vote);
    cr_core_load_base(n->core, n->base, n->base_term);
    for (uint64_t i = 0; i < n->nlog; i++)
        if (cr_core_load_entry(n->core, cr_log_entry_ref(n->log[i])))
            BAD(s, "node %llu cannot read its log", (unsigned long long)n->id);
    if (form && cr_core_form(n->core, form)) BAD(s, "a pristine node does not form");
    n->applied = n->snapshot;
    n->state = n->snapshot_state;
    n->seen_role = CR_FOLLOWER;
    n->seen_term = 0;
    n->seen_commit = n->snapshot;
    if (s->bad) return;
    if (cr_core_start(n->core, n->applied, local(s, n)))
        BAD(s, "node %llu does not start on its disk", (unsigned long long)n->id);
    if (n->full) cr_core_space(n->core, 0, local(s, n));
    drain(s, n);
}

static node *make_node(sim *s)
{
    node *n = calloc(1, sizeof *n);
    if (!n || s->nnodes == NODES) abort();
    n->id = s->nnodes + 1;
    n->there = 1;
    s->nodes[s->nnodes++] = n;
    return n;
}

static void crash(sim *s, node *n)
{
    /* writes go to the disk in order: some of those under way did */
    uint64_t count = 0, keep;
    for (write *w = n->writes; w; w = w->next) count++;
    keep = below(s, count + 1);
    s->r->crashes++;
    s->r->lost_writes += count - keep;
    SAY(s, "node %llu crashes, %llu of %llu writes are lost", (unsigned long long)n->id,
        (unsigned long long)(count - keep), (unsigned long long)count);
    while (n->writes) {
        write *w = disk_next(n);
        if (keep) {
            disk_do(s, n, w);
            keep--;
        }
        write_free(w);
    }
    cr_core_free(n->core);
    n->core = NULL;
    n->life++;
    if (s->turns) post(s, s->now + 50000 + below(s, 400 * MS), E_RESTART, n, NULL);
}

/* --- clients and faults --- */

static void propose(sim *s)
{
    for (uint32_t i = 0; i < s->nnodes; i++) {
        node *n = s->nodes[i];
        cr_core_view v;
        uint64_t index, term;
        uint8_t bytes[64];
        if (!n->core) continue;
        cr_core_look(n->core, &v);
        if (v.role != CR_LEADER || v.last - v.commit > 300) continue;
        uint64_t count = 1 + below(s, 4);
        while (count--) {
            uint64_t k = 8 + below(s, 56), x = rnd(s);
            for (uint64_t b = 0; b < k; b++) bytes[b] = (uint8_t)(x >> (b % 8 * 8));
            (void)cr_core_propose(n->core, bytes, (uint32_t)k, &index, &term);
        }
        for (uint64_t k = below(s, 4); k && s->nreads < 4000; k--) {
            uint64_t token = rnd(s);
            if (cr_core_read(n->core, token) == 0)
                s->reads[s->nreads++] = (waiting_read){token, s->max_applied};
        }
        drain(s, n);
        if (s->bad) return;
    }
}

static node *some(sim *s, int up)
{
    for (int tries = 0; tries < 20; tries++) {
        node *n = s->nodes[below(s, s->nnodes)];
        if ((n->core != NULL) == up && !n->removed) return n;
    }
    return NULL;
}

static node *leading(sim *s)
{
    node *found = NULL;
    for (uint32_t i = 0; i < s->nnodes; i++) {
        cr_core_view v;
        if (!s->nodes[i]->core) continue;
        cr_core_look(s->nodes[i]->core, &v);
        if (v.role == CR_LEADER && (!found || below(s, 2))) found = s->nodes[i];
    }
    return found;
}

static void change_members(sim *s)
{
    node *n = leading(s);
    cr_core_view v;
    uint64_t index, term;
    if (!n) return;
    if (s->reforms) post(s, s->now + 50000 + below(s, 50 * MS), E_MEMBERS, NULL, NULL);
    cr_core_look(n->core, &v);
    uint64_t what = below(s, 4);
    cr_member m = v.members->at[below(s, v.members->n)];
    int remove = 0;
    if (what == 0 && s->nnodes < NODES && v.members->n < 7) {
        node *fresh = make_node(s);
        start(s, fresh, NULL);
        m = (cr_member){.id = fresh->id, .role = QD_COORD_STANDBY};
    } else if (what == 1 && v.members->voters > 2) {
        remove = 1;
    } else if (what == 2) {
        m.role = QD_COORD_VOTER;
    } else {
        m.role = v.members->voters > 2 ? QD_COORD_STANDBY : QD_COORD_VOTER;
    }
    m.name = m.address = (qd_str){NULL, 0};
    int32_t rc = cr_core_change(n->core, &m, remove, local(s, n), &index, &term);
    if (rc == 0) s->r->changes++;
    if (rc == 0 && s->turns && below(s, 2)) post(s, s->now + below(s, 4 * MS), E_STRIKE, n, NULL);
    SAY(s, "node %llu: %s %llu role %u: %d", (unsigned long long)n->id,
        remove ? "remove" : "member", (unsigned long long)m.id, m.role, rc);
    if (!s->bad) drain(s, n);
}

static void partition(sim *s)
{
    s->r->partitions++;
    uint64_t side = rnd(s), way = below(s, 3);
    node *l = leading(s);
    if (l && below(s, 1000) < s->hunt) side = 1ull << (l->id - 1);
    SAY(s, "partition %llx way %llu", (unsigned long long)(side & 0xfff), (unsigned long long)way);
    for (uint32_t a = 0; a < NODES; a++)
        for (uint32_t b = 0; b < NODES; b++) {
            int apart = (side >> a & 1) != (side >> b & 1);
            s->cut[a][b] = apart && (way < 2 || (side >> a & 1));
        }
}

/* The leader is killed, or cut off from some: soon it is as it was. */
static void strike(sim *s, node *n)
{
    if (n->seen_role != CR_LEADER) return;
    uint64_t how = below(s, 5);
    if (how < 2) {
        crash(s, n);
        return;
    }
    if (how == 2) { /* it hears everything late, and is cut off a little later */
        s->lag[n->id - 1] = (200 + below(s, 240)) * MS;
        post(s, s->now + below(s, 400 * MS), E_STRIKE, n, NULL);
        return;
    }
    s->r->partitions++;
    uint64_t apart = rnd(s), way = below(s, 3);
    for (uint32_t b = 0; b < NODES; b++) {
        if (!(apart >> b & 1)) continue;
        if (way != 1) s->cut[n->id - 1][b] = 1;
        if (way != 0) s->cut[b][n->id - 1] = 1;
    }
    post(s, s->now + 50000 + below(s, 900 * MS), E_HEAL, NULL, NULL);
}

static void fault(sim *s)
{
    node *n;
    switch (below(s, 14)) {
    case 0:
    case 1:
        n = below(s, 1000) < s->hunt ? leading(s) : NULL;
        if (n || (n = some(s, 1))) crash(s, n);
        break;
    case 2:
    case 3:
    case 4:
        if ((n = some(s, 0))) {
            s->r->restarts++;
            start(s, n, NULL);
        }
        break;
    case 5:
        partition(s);
        break;
    case 6:
        memset(s->cut, 0, sizeof s->cut);
        break;
    case 7:
        s->loss = below(s, 2) ? (uint32_t)below(s, 300) : 0;
        s->dup = (uint32_t)below(s, 200);
        s->late = (uint64_t)MS * (1 + below(s, below(s, 4) ? 10 : 400));
        break;
    case 8:
    case 9:
        change_members(s);
        break;
    case 10:
        if ((n = leading(s))) {
            (void)cr_core_hand_over(n->core, 0, local(s, n));
            drain(s, n);
        }
        break;
    case 11:
        if ((n = some(s, 1))) {
            take_snapshot(s, n);
            drain(s, n);
        }
        break;
    case 12:
        if ((n = some(s, 1))) {
            n->full = !n->full;
            s->r->full += (uint64_t)n->full;
            cr_core_space(n->core, !n->full, local(s, n));
            drain(s, n);
        }
        break;
    default:
        if ((n = some(s, 1))) n->disk_slow = below(s, 2) ? below(s, 200) * MS : 0;
        break;
    }
}

static void step(sim *s)
{
    event e = take_first(s);
    node *n = s->nodes[e.node];
    if (e.at > s->now) s->now = e.at;
    s->trace = mix(s->trace, mix(e.at, e.kind * 64 + e.node));
    int void_ = e.kind <= E_STRIKE && (!n->core || (e.kind != E_MESSAGE && e.life != n->life));
    if (e.kind == E_MESSAGE) {
        if (void_)
            cr_message_clear(unit_heap(), e.message);
        else
            cr_core_receive(n->core, e.message, local(s, n));
        free(e.message);
    } else if (e.kind == E_WRITTEN && !void_) {
        while (n->writes && n->writes->due <= s->now && !s->bad) {
            write *w = disk_next(n);
            disk_do(s, n, w);
            cr_core_written(n->core, w->a.seq, 0, local(s, n));
            write_free(w);
        }
    } else if (e.kind == E_TICK && !void_) {
        cr_core_tick(n->core, local(s, n));
    } else if (e.kind == E_STRIKE && !void_ && s->faults) {
        strike(s, n);
    } else if (e.kind == E_RESTART && !n->core && s->faults) {
        s->r->restarts++;
        start(s, n, NULL);
    } else if (e.kind == E_HEAL) {
        memset(s->cut, 0, sizeof s->cut);
        memset(s->lag, 0, sizeof s->lag);
    } else if (e.kind == E_MEMBERS && s->faults) {
        change_members(s);
    } else if (e.kind == E_CLIENT) {
        propose(s);
        if (s->client_at <= s->now) {
            s->client_at = s->now + 50000 + below(s, s->client_ms * MS);
            post(s, s->client_at, E_CLIENT, NULL, NULL);
        }
    } else if (e.kind == E_FAULT && s->faults) {
        fault(s);
        post(s, s->now + 50000 + below(s, s->fault_ms * MS), E_FAULT, NULL, NULL);
    }
    if (e.kind <= E_STRIKE && n && n->core && !void_ && !s->bad) drain(s, n);
}

/* All members that get the log have applied the same, and more than before. */
static int healthy(sim *s, uint64_t more_than)
{
    node *l = NULL;
    cr_core_view v, o;
    for (uint32_t i = 0; i < s->nnodes; i++) {
        if (!s->nodes[i]->core) continue;
        cr_core_look(s->nodes[i]->core, &o);
        if (o.role == CR_LEADER && (!l || o.term > v.term)) {
            l = s->nodes[i];
            v = o;
        }
    }
    if (!l || v.commit < more_than || !v.ready) return 0;
    for (uint32_t i = 0; i < v.members->n; i++) {
        const node *n = s->nodes[v.members->at[i].id - 1];
        if (v.members->at[i].role == QD_COORD_SPARE) continue;
        if (!n->core || n->applied < more_than) return 0;
    }
    return 1;
}

static void heal(sim *s)
{
    s->disk_ns = 2 * MS;
    s->client_ms = 40;
    SAY(s, "faults end");
    s->faults = 0;
    s->loss = s->dup = 0;
    s->late = 2 * MS;
    memset(s->cut, 0, sizeof s->cut);
    memset(s->lag, 0, sizeof s->lag);
    for (uint32_t i = 0; i < s->nnodes && !s->bad; i++) {
        node *n = s->nodes[i];
        n->disk_slow = 0;
        n->full = 0;
        if (!n->core)
            start(s, n, NULL);
        else
            cr_core_space(n->core, 1, local(s, n));
        if (!s->bad) drain(s, n);
    }
}

static void sim_free(sim *s)
{
    for (uint32_t i = 0; i < s->nheap; i++) {
        if (!s->heap[i].message) continue;
        cr_message_clear(unit_heap(), s->heap[i].message);
        free(s->heap[i].message);
    }
    for (uint32_t i = 0; i < s->nnodes; i++) {
        node *n = s->nodes[i];
        cr_core_free(n->core);
        while (n->writes) write_free(disk_next(n));
        disk_cut(n, n->base);
        cr_members_drop(n->snapshot_members);
        free(n);
    }
    free(s->heap);
    free(s);
}

int raft_sim_run(uint64_t seed, int verbose, raft_sim_report *out)
{
    sim *s = calloc(1, sizeof *s);
    if (!s) abort();
    memset(out, 0, sizeof *out);
    out->seed = seed;
    s->r = out;
    s->rng = seed * 0x9e3779b97f4a7c15ull + 1;
    s->verbose = verbose;
    s->faults = 1;
    s->late = 2 * MS;
    static const uint32_t sizes[] = {1, 3, 3, 3, 3, 5, 5, 5};
    static const uint64_t faults[] = {20, 60, 120, 250, 250}, clients[] = {4, 40, 40, 300},
                          disks[] = {2 * MS, 2 * MS, 20 * MS, 120 * MS};
    uint32_t first = sizes[below(s, 8)];
    s->fault_ms = faults[below(s, 5)];
    s->client_ms = clients[below(s, 4)];
    s->disk_ns = disks[below(s, 4)];
    s->hunt = (uint32_t)below(s, 2) * 700;
    s->turns = below(s, 2) == 0;
    if (s->turns) s->fault_ms = 600;
    s->reforms = below(s, 3) == 0;
    cr_member m[FIRST];
    for (uint32_t i = 0; i < first; i++) {
        make_node(s);
        m[i] = (cr_member){.id = i + 1, .role = QD_COORD_VOTER};
    }
    for (uint32_t i = 0; i < first; i++)
        start(s, s->nodes[i], cr_members_make(unit_heap(), m, first));
    post(s, 100 * MS, E_CLIENT, NULL, NULL);
    post(s, 500 * MS, E_FAULT, NULL, NULL);
    while (!s->bad && s->now < FAULTS_NS) step(s);
    if (!s->bad) heal(s);
    uint64_t more = s->ncommitted + 20;
    while (!s->bad && s->now < FAULTS_NS + HEAL_NS && !healthy(s, more)) step(s);
    if (!s->bad && !healthy(s, more))
        BAD(s, "liveness: no progress on all members in %lld s after the last fault",
            HEAL_NS / MS / 1000);
    for (uint32_t i = 0; verbose && i < s->nnodes; i++) {
        const node *n = s->nodes[i];
        cr_core_view v;
        if (!n->core) continue;
        cr_core_look(n->core, &v);
        SAY(s,
            "node %llu: role %u term %llu leader %llu commit %llu applied %llu last %llu durable "
            "%llu base %llu snapshot %llu members@%llu",
            (unsigned long long)n->id, v.role, (unsigned long long)v.term,
            (unsigned long long)v.leader, (unsigned long long)v.commit,
            (unsigned long long)n->applied, (unsigned long long)v.last,
            (unsigned long long)v.durable, (unsigned long long)v.base,
            (unsigned long long)v.snapshot, (unsigned long long)v.members_index);
        for (uint32_t k = 0; v.members && k < v.members->n; k++)
            SAY(s, "    member %llu role %u", (unsigned long long)v.members->at[k].id,
                v.members->at[k].role);
    }
    out->trace = s->trace;
    int bad = s->bad;
    sim_free(s);
    return bad;
}
