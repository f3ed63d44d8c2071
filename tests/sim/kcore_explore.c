/*
 * kcore_explore.c: all orders of a few steps: two nodes that both lead in their own eyes (one was
 * told, wrongly, that the other is dead), each with an entry in the same object, which a collector
 * has found to be garbage. A step: a request arrives and is answered; it arrives and its answer is
 * lost; its sender is told nothing while it is under way still; it lands then; a node proposes; a
 * watch shows the root. States that were seen are not gone into again.
 *
 * A process is a state: each step is taken by a child, who has the memory of the states before it.
 */
#include "kcore_int.h"
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS 1000000ull

enum { REQUESTS = 64, SEEN_BITS = 22, FAULTS = 2 };
enum { DO_SERVE, DO_LOSE, DO_FORGET, DO_LAND, DO_HOLD, DO_ANSWER, DO_PROPOSE, DO_GONE, DO_WATCH };

typedef struct step {
    int what, who; /* who: the request, or the node */
} step;

/* What all processes share. */
typedef struct shared {
    kcore_explored out;
    uint64_t states_max;
    uint64_t seen[1u << SEEN_BITS];
} shared;

typedef struct world {
    sim s;
    kcore_report report;
    request *requests[REQUESTS];
    uint32_t n;
    int held[REQUESTS]; /* it arrived, its answer is under way */
    int proposed[2], gone, faults;
} world;

static void add(world *w, request *r)
{
    if (w->n == REQUESTS) abort();
    w->held[w->n] = 0;
    w->requests[w->n++] = r;
}

static void take_out(world *w, uint32_t i)
{
    w->n--;
    memmove(w->requests + i, w->requests + i + 1, (w->n - i) * sizeof(request *));
    memmove(w->held + i, w->held + i + 1, (w->n - i) * sizeof(int));
}

/* The lease is no part of it, and that objects are read late neither: answered at once. */
static int aside(const request *r)
{
    return r->type >= CK_LEASE_GET || r->type == CK_BLOB_GET;
}

static void turns(world *w)
{
    for (int again = 1, rounds = 0; again && rounds < 100; rounds++) {
        again = 0;
        for (int i = 0; i < 2; i++) {
            node *n = &w->s.nodes[i];
            uint64_t now = node_time(&w->s, n);
            if (!n->core) continue;
            ck_core_turn(n->core, now);
            for (ck_ask *a; (a = ck_core_ask(n->core, now)); again = 1) {
                if (a->type == CK_FREEZE) {
                    ck_answer f = {.outcome = CK_OK, .checkpoint = node_freeze(&w->s, n, a->root)};
                    ck_core_answer(n->core, a, &f, now);
                    continue;
                }
                request *r = request_of(&w->s, n, a);
                if (!aside(r)) {
                    add(w, r);
                    continue;
                }
                store_take(&w->s, r);
                request_answer(&w->s, r);
                request_drop(r);
            }
        }
    }
}

static void watch(world *w, int i)
{
    node *n = &w->s.nodes[i];
    ck_core_root_seen(n->core, root_read(w->s.root), node_time(&w->s, n));
}

/* All that is under way ends well. */
static void settle(world *w)
{
    do {
        turns(w);
        while (w->n) {
            request *r = w->requests[0];
            take_out(w, 0);
            store_take(&w->s, r);
            request_answer(&w->s, r);
            request_drop(r);
            turns(w);
        }
        for (int i = 0; i < 2; i++)
            if (w->s.root && w->s.nodes[i].core && w->s.nodes[i].core->root) watch(w, i);
        turns(w);
    } while (w->n);
}

static const record common = {.key = 3, .length = 700, .seed = 1, .padding = 5000};

/* A leader whose first entry's object is garbage, at the moment when it lists it. */
static void prepare(world *w)
{
    sim *s = &w->s;
    w->report = (kcore_report){0};
    s->report = &w->report;
    s->healing = 1;
    s->random = 1;
    s->now = 1000 * MS;
    s->date = 1700000000;
    for (int i = 0; i < 2; i++) {
        s->nodes[i] = (node){.s = s, .number = i, .rate = 1};
        node_start(s, &s->nodes[i], 0);
        settle(w);
    }
    node *n = &s->nodes[0];
    (void)node_propose_this(s, n, &common);
    settle(w);
    for (uint64_t i = 1; i <= 14; i++) {
        record r = {.op = i, .key = (uint32_t)i, .length = 40, .padding = 2500};
        (void)node_propose_this(s, n, &r);
        settle(w);
    }
    for (int i = 0; i < 122; i++) { /* the collector's time, with a lease that is renewed */
        s->now += 5000 * MS;
        turns(w);
        for (int k = 0; k < 2; k++)
            ck_core_lease_seen(s->nodes[k].core, &s->lease, node_time(s, &s->nodes[k]));
        int lists = 0;
        for (uint32_t k = 0; k < w->n; k++) lists |= w->requests[k]->type == CK_BLOB_LIST;
        if (lists) break;
        settle(w);
    }
    s->date += 7200;
    if (ck_core_counted(n->core)->checkpoints == 0 || w->n == 0)
        violation(s, "the exploration does not begin");
}

/* Requests end well, but for those of one type. */
static void settle_but(world *w, uint32_t type)
{
    turns(w);
    for (uint32_t i = 0; i < w->n;) {
        request *r = w->requests[i];
        if (r->type == type) {
            i++;
            continue;
        }
        take_out(w, i);
        store_take(&w->s, r);
        request_answer(&w->s, r);
        request_drop(r);
        turns(w);
        i = 0;
    }
}

/* And where the other one leads, and has used the object again while the list was under way (1), or
 * has not while the deletes are (2). */
static void prepare_later(world *w, int start)
{
    sim *s = &w->s;
    uint32_t but = start == 1 ? CK_BLOB_LIST : CK_BLOB_DELETE;
    settle_but(w, but);
    w->gone = 1;
    ck_core_gone(s->nodes[1].core, s->nodes[0].id, node_time(s, &s->nodes[1]));
    settle_but(w, but);
    if (start == 1) {
        w->proposed[1] = 1;
        (void)node_propose_this(s, &s->nodes[1], &common);
        settle_but(w, but);
        s->date += 7200;
    }
    if (s->root->leader.id != s->nodes[1].id || w->n == 0)
        violation(s, "the exploration does not begin");
}

/* --- steps --- */

static int is_read(uint32_t type)
{
    return type == CK_GET_ROOT || type == CK_BLOB_GET || type == CK_BLOB_LIST;
}

static uint32_t steps_of(world *w, step *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        const request *r = w->requests[i];
        int who = (int)i;
        if (w->held[i])
            out[n++] = (step){DO_ANSWER, who};
        else if (r->answered)
            out[n++] = (step){DO_LAND, who};
        else {
            out[n++] = (step){DO_SERVE, who};
            if (w->faults == FAULTS) continue;
            if (r->type == CK_GET_ROOT || r->type == CK_BLOB_LIST || r->type == CK_PUT_ROOT)
                out[n++] = (step){DO_HOLD, who};
            if (!is_read(r->type)) out[n++] = (step){DO_FORGET, who};
            if (r->type == CK_PUT_ROOT) out[n++] = (step){DO_LOSE, who};
        }
    }
    for (int i = 0; i < 2; i++) {
        ck_core *c = w->s.nodes[i].core;
        if (!w->proposed[i] && ck_leads(c)) out[n++] = (step){DO_PROPOSE, i};
        if (strcmp(c->root->version, w->s.root->version) != 0) out[n++] = (step){DO_WATCH, i};
    }
    if (!w->gone) out[n++] = (step){DO_GONE, 1};
    return n;
}

static void end_request(world *w, uint32_t i, uint32_t outcome, int drop)
{
    request *r = w->requests[i];
    if (outcome) r->outcome = outcome;
    request_answer(&w->s, r);
    if (!drop) return;
    take_out(w, i);
    request_drop(r);
}

static void take(world *w, step p)
{
    sim *s = &w->s;
    request *r = p.what <= DO_ANSWER ? w->requests[p.who] : NULL;
    s->now += 150 * MS;
    w->faults += p.what == DO_LOSE || p.what == DO_FORGET || p.what == DO_HOLD;
    switch (p.what) {
    case DO_SERVE:
        store_take(s, r);
        end_request(w, (uint32_t)p.who, 0, 1);
        break;
    case DO_LOSE:
        store_take(s, r);
        end_request(w, (uint32_t)p.who, CK_UNKNOWN, 1);
        break;
    case DO_FORGET:
        end_request(w, (uint32_t)p.who, CK_UNKNOWN, 0);
        break;
    case DO_LAND:
        store_take(s, r);
        take_out(w, (uint32_t)p.who);
        request_drop(r);
        break;
    case DO_HOLD:
        store_take(s, r);
        w->held[p.who] = 1;
        break;
    case DO_ANSWER:
        end_request(w, (uint32_t)p.who, 0, 1);
        break;
    case DO_PROPOSE:
        w->proposed[p.who] = 1;
        (void)node_propose_this(s, &s->nodes[p.who], &common);
        break;
    case DO_GONE:
        w->gone = 1;
        ck_core_gone(s->nodes[1].core, s->nodes[0].id, node_time(s, &s->nodes[1]));
        break;
    default:
        watch(w, p.who);
        break;
    }
    turns(w);
}

/* --- states --- */

static void mix(uint64_t *h, const void *p, size_t n)
{
    *h = cr_sum64(p, n, *h);
}

static void number(uint64_t *h, uint64_t v)
{
    mix(h, &v, sizeof v);
}

/* Versions count by whether they are those of now: so steps that touch different objects make the
 * same state in either order. */
static int current(const sim *s, const ck_blob *b, const char *version)
{
    for (uint32_t i = 0; i < s->nobjects; i++) {
        const object *o = &s->objects[i];
        if (o->there && o->blob.kind == b->kind && memcmp(o->blob.hash.b, b->hash.b, 20) == 0)
            return strtoull(version, NULL, 10) == o->version ? 2 : 1;
    }
    return 0;
}

static uint64_t digest_request(const sim *s, const request *r, int held)
{
    uint64_t h = r->type;
    number(&h, (uint64_t)r->node << 8 | (uint64_t)r->answered << 1 | (uint64_t)held);
    mix(&h, r->blob.hash.b, 20);
    if (r->type == CK_BLOB_TOUCH || r->type == CK_BLOB_DELETE)
        number(&h, (uint64_t)current(s, &r->blob, r->version));
    if (held) number(&h, r->outcome);
    if (held && r->answer_root) number(&h, r->answer_root->writes);
    for (uint32_t i = 0; held && i < r->nlisted; i++)
        number(&h, (uint64_t)current(s, &r->listed[i].blob, r->listed[i].version));
    if (!r->root) return h;
    number(&h, r->root->writes);
    number(&h, r->root->index);
    number(&h, r->root->leader.term);
    number(&h, r->root->ids[r->root->index % CK_IDS]);
    return h;
}

static void digest_core(const sim *s, uint64_t *h, const ck_core *c)
{
    uint64_t of[] = {c->applied,
                     c->term,
                     (uint64_t)c->told,
                     c->w.kind,
                     c->w.state,
                     (uint64_t)c->w.doubt,
                     c->cp,
                     c->gc.state,
                     c->gc.at,
                     c->gc.n,
                     c->gc.out,
                     (uint64_t)c->want_get,
                     c->get != NULL,
                     c->get_at > c->now,
                     c->w.at > c->now,
                     c->root->writes};
    mix(h, of, sizeof of);
    for (uint32_t i = c->gc.at; i < c->gc.n; i++)
        number(h, (uint64_t)current(s, &c->gc.listed[i].blob, c->gc.listed[i].version));
    for (const ck_flight *f = c->first; f; f = f->next) {
        number(h, f->state);
        number(h, f->index);
        number(h, f->left);
    }
    for (const ck_upload *u = c->uploads; u; u = u->next) {
        ck_blob b = {u->of.kind, u->of.hash, u->slice};
        number(h, u->step * 4 + (uint64_t)u->dead * 2 + (u->at > c->now));
        number(h, (uint64_t)current(s, &b, u->version));
    }
}

static uint64_t digest(const world *w, uint32_t depth)
{
    const sim *s = &w->s;
    uint64_t h = depth, all = 0;
    for (uint32_t i = 0; i < w->n; i++) all += digest_request(s, w->requests[i], w->held[i]);
    number(&h, all);
    number(&h, s->root->writes);
    number(&h, s->root->leader.term << 32 | s->root->index);
    number(&h, s->root->ids[s->root->index % CK_IDS]);
    all = 0;
    for (uint32_t i = 0; i < s->nobjects; i++)
        if (s->objects[i].there) all += cr_sum64(s->objects[i].blob.hash.b, 32, 1);
    number(&h, all);
    for (int i = 0; i < 2; i++) digest_core(s, &h, s->nodes[i].core);
    number(&h, (uint64_t)w->proposed[0] | (uint64_t)w->proposed[1] << 1 | (uint64_t)w->gone << 2 |
                   (uint64_t)w->faults << 3);
    for (uint32_t i = 0; i < s->nops; i++) number(&h, (uint64_t)s->ops[i].state);
    return h ? h : 1;
}

/* 1 when a state was not seen before. */
static int is_new(shared *m, uint64_t h)
{
    uint64_t at = h & ((1u << SEEN_BITS) - 1);
    while (m->seen[at]) {
        if (m->seen[at] == h) return 0;
        at = (at + 1) & ((1u << SEEN_BITS) - 1);
    }
    m->seen[at] = h;
    m->out.states++;
    return 1;
}

static void go(world *w, shared *m, uint32_t depth, uint32_t left);

static void go_one(world *w, shared *m, step p, uint32_t depth, uint32_t left)
{
    pid_t child = fork();
    if (child < 0) abort();
    if (child > 0) {
        int status = 0;
        (void)waitpid(child, &status, 0);
        if (status && !m->out.violation[0])
            snprintf(m->out.violation, sizeof m->out.violation, "a step ended with status %d",
                     status);
        return;
    }
    take(w, p);
    m->out.steps++;
    if (w->report.violation[0])
        snprintf(m->out.violation, sizeof m->out.violation, "%s", w->report.violation);
    else
        go(w, m, depth + 1, left - 1);
    _exit(0);
}

static void go(world *w, shared *m, uint32_t depth, uint32_t left)
{
    step steps[4 * REQUESTS];
    if (left == 0 || !is_new(m, digest(w, depth))) return;
    if (depth > m->out.depth) m->out.depth = depth;
    uint32_t n = steps_of(w, steps);
    for (uint32_t i = 0; i < n && !m->out.violation[0] && m->out.states < m->states_max; i++)
        go_one(w, m, steps[i], depth, left);
}

int kcore_explore(int start, uint32_t depth, uint64_t states_max, kcore_explored *out)
{
    shared *m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    world *w = calloc(1, sizeof *w);
    if (m == MAP_FAILED || !w) abort();
    m->states_max = states_max;
    fflush(stdout);
    pid_t child = fork(); /* what it allocates goes with it */
    if (child < 0) abort();
    if (child == 0) {
        prepare(w);
        if (start) prepare_later(w, start);
        if (w->report.violation[0])
            snprintf(m->out.violation, sizeof m->out.violation, "%s", w->report.violation);
        else
            go(w, m, 0, depth);
        _exit(0);
    }
    int status = 0;
    (void)waitpid(child, &status, 0);
    *out = m->out;
    if (status && !out->violation[0])
        snprintf(out->violation, sizeof out->violation, "ended with status %d", status);
    free(w);
    (void)munmap(m, sizeof *m);
    return out->violation[0] != 0;
}
