/* kcore_world.c: events, clients, faults. */
#include "../unit/coordination/heap.h"
#include "kcore_int.h"
#include "watch.h"

#define MS 1000000ull
#define S 1000000000ull

const ck_site sim_site = {"default", "quidditch", {"quidditch", 9}, {7}};

const cr_heap *sim_heap(void)
{
    return unit_heap();
}

uint64_t dice(sim *s, uint64_t below)
{
    s->random += 0x9e3779b97f4a7c15ull;
    uint64_t z = s->random;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    return below ? z % below : 0;
}

void say(sim *s, const char *format, ...)
{
    if (!s->verbose) return;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%12.3f ", (double)s->now / 1e6);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

void trace(sim *s, uint64_t a, uint64_t b)
{
    uint64_t v[4] = {s->trace, s->now, a, b};
    s->trace = cr_sum64(v, sizeof v, 0);
}

/* --- events --- */

static int earlier(const event *a, const event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static event *event_add(sim *s, int type, uint64_t at)
{
    if (s->nevents == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 256;
        s->events = realloc(s->events, s->cap * sizeof *s->events);
        if (!s->events) abort();
    }
    event e = {.type = type, .at = at, .order = ++s->order}, *h = s->events;
    uint32_t i = s->nevents++;
    for (; i && earlier(&e, &h[(i - 1) / 2]); i = (i - 1) / 2) h[i] = h[(i - 1) / 2];
    h[i] = e;
    return &h[i];
}

static event event_take(sim *s)
{
    event *h = s->events, first = h[0], last = h[--s->nevents];
    uint32_t i = 0;
    for (;;) {
        uint32_t k = 2 * i + 1;
        if (k >= s->nevents) break;
        if (k + 1 < s->nevents && earlier(&h[k + 1], &h[k])) k++;
        if (!earlier(&h[k], &last)) break;
        h[i] = h[k];
        i = k;
    }
    h[i] = last;
    return first;
}

/* --- requests --- */

void request_drop(request *r)
{
    if (--r->refs) return;
    ck_root_free(r->root);
    ck_root_free(r->answer_root);
    json_decref(r->object);
    free(r);
}

request *request_of(sim *s, node *n, ck_ask *a)
{
    request *r = calloc(1, sizeof *r);
    if (!r) abort();
    *r = (request){.type = a->type,
                   .node = n->number,
                   .refs = 1,
                   .life = n->life,
                   .ask = a,
                   .blob = a->blob,
                   .lease = a->lease,
                   .sent = s->now};
    memcpy(r->uid, a->uid, sizeof r->uid);
    memcpy(r->version, a->version, sizeof r->version);
    snprintf(r->next_page, sizeof r->next_page, "%.*s", (int)a->next_page.n,
             a->next_page.p ? a->next_page.p : "");
    r->fetch = a->type == CK_BLOB_GET && !a->index;
    if (a->root) r->root = ck_root_clone(a->root);
    if (a->type == CK_BLOB_CREATE) (void)library_add(s, a->blob.kind, a->bytes, a->nbytes);
    return r;
}

static int reads_only(uint32_t type)
{
    return type == CK_GET_ROOT || type == CK_BLOB_GET || type == CK_BLOB_LIST ||
           type == CK_LEASE_GET;
}

void request_answer(sim *s, request *r)
{
    node *n = &s->nodes[r->node];
    if (r->answered) return;
    r->answered = 1;
    if (!n->core || n->life != r->life) return;
    ck_answer a = {.outcome = r->outcome,
                   .rc = r->rc,
                   .root = r->answer_root,
                   .uid = r->uid,
                   .version = r->version,
                   .object = r->object,
                   .by_peer = r->by_peer,
                   .lease = &r->answer_lease,
                   .listed = r->listed,
                   .nlisted = r->nlisted,
                   .date = r->date,
                   .next_page = {r->next_page, strlen(r->next_page)}};
    r->answer_root = NULL;
    if (a.outcome != CK_OK) {
        ck_root_free(a.root);
        a.root = NULL;
    }
    ck_core_answer(n->core, r->ask, &a, node_time(s, n));
    n->turn_at = s->now;
}

/* How long a message is under way. */
static uint64_t delay(sim *s)
{
    return s->healing ? MS + dice(s, 4 * MS) : MS + dice(s, chance(s, s->slow) ? 3 * S : 15 * MS);
}

static void fails(sim *s, request *r, uint64_t at)
{
    r->outcome = reads_only(r->type) ? CK_FAILED : CK_UNKNOWN;
    event *e = event_add(s, EV_ANSWER, at);
    e->r = r;
    r->refs++;
}

/* What becomes of a request. */
static void request_send(sim *s, request *r)
{
    uint64_t there = s->now + delay(s), limit = s->now + 500 * MS + dice(s, 2 * S);
    event *e;
    if (!s->healing && chance(s, s->lost)) {
        s->report->lost_requests++;
        fails(s, r, chance(s, 500) ? s->now + MS : limit); /* a 429, perhaps */
        request_drop(r);
        return;
    }
    if (!s->healing && !reads_only(r->type) && chance(s, s->refused)) {
        s->report->refusals++;
        r->outcome = CK_REFUSED;
        r->rc = QD_E_NOSPACE;
        e = event_add(s, EV_ANSWER, there);
        e->r = r;
        return;
    }
    if (!s->healing && chance(s, s->late)) {
        s->report->late++;
        fails(s, r, limit);
        there = limit + dice(s, chance(s, 300) ? 60 * S : 2 * S);
    }
    if (r->type == CK_PUT_ROOT && s->nodes[r->node].core->gc.state != CK_GC_IDLE && !s->healing)
        there += chance(s, 300) ? dice(s, 3 * S) : 0;
    if (r->type == CK_BLOB_LIST || r->type == CK_BLOB_DELETE)
        there += s->healing || !chance(s, 300) ? 0 : dice(s, 40 * S);
    e = event_add(s, EV_ARRIVE, there);
    e->r = r;
}

/* What had no answer another node gives, or bytes that are not those. */
static void by_peer(sim *s, request *r)
{
    const content *c = library_find(s, r->blob.kind, &r->blob.hash);
    uint8_t *p = c ? malloc(c->n) : NULL;
    if (!p) return;
    memcpy(p, c->p, c->n);
    if (chance(s, 300)) {
        p[dice(s, c->n)] ^= 1;
        s->report->wrong_by_peers++;
    }
    json_decref(r->object);
    r->object = ck_blob_write(sim_heap(), &sim_site, c->kind, &c->hash, p, c->n, r->blob.slice);
    r->outcome = CK_OK;
    r->by_peer = 1;
    s->report->by_peers++;
    free(p);
}

static void arrive(sim *s, request *r)
{
    int late = r->answered || r->refs > 1;
    int lost = !late && !s->healing && chance(s, s->lost);
    uint32_t outcome = r->outcome;
    node *n = &s->nodes[r->node];
    if (late && reads_only(r->type)) {
        request_drop(r);
        return;
    }
    if (r->answered && n->life == r->life) r->ask = NULL;
    store_take(s, r);
    if (late) {
        s->report->late_landed += r->landed;
        r->outcome = outcome;
        request_drop(r);
        return;
    }
    if (lost) {
        s->report->lost_answers++;
        r->outcome = reads_only(r->type) ? CK_FAILED : CK_UNKNOWN;
    }
    if (r->fetch && (r->outcome == CK_FAILED || (!s->healing && chance(s, 20)))) by_peer(s, r);
    event *e = event_add(s, EV_ANSWER, s->now + delay(s) + (lost ? S : 0));
    e->r = r;
}

/* --- nodes --- */

/* What a collector may meet: entries whose objects it has just listed, a new leader, another date.
 */
static void while_collecting(sim *s, node *n)
{
    static const record common = {.key = 3, .length = 700, .seed = 1, .padding = 5000};
    if (s->healing || s->nops > OPS / 2) return;
    if (!chance(s, n->core->gc.state == CK_GC_LIST ? 300 : 60)) return;
    if (n->core->gc.state == CK_GC_LIST && n->paused <= s->now && chance(s, 100)) {
        n->paused = s->now + dice(s, 60 * S);
        say(s, "node %d stands still until %.3f, collecting", n->number, (double)n->paused / 1e6);
    }
    for (int i = 0; i < NODES; i++) {
        node *m = &s->nodes[i];
        if (!m->core || m->paused > s->now || (m != n && !chance(s, 300))) continue;
        for (int k = 0; k < 4; k++) (void)node_propose(s, m);
        (void)node_propose_this(s, m, &common);
        m->turn_at = s->now;
    }
    if (chance(s, 20)) s->date += 2400;
}

static void node_turn(sim *s, node *n)
{
    uint64_t now = node_time(s, n);
    ck_core_turn(n->core, now);
    for (int i = 0; i < NODES; i++) { /* of this node, or of one that stands still */
        node *m = &s->nodes[i];
        if (m->core && (m == n || m->paused > s->now) && m->core->gc.state != CK_GC_IDLE)
            while_collecting(s, m);
    }
    for (ck_ask *a; (a = ck_core_ask(n->core, now));) {
        if (a->type != CK_FREEZE) {
            request_send(s, request_of(s, n, a));
            continue;
        }
        ck_answer frozen = {.outcome = CK_OK, .checkpoint = node_freeze(s, n, a->root)};
        ck_core_answer(n->core, a, &frozen, now);
    }
    uint64_t next = ck_core_deadline(n->core);
    n->turn_at = UINT64_MAX;
    if (next != UINT64_MAX) {
        double at = (double)(next - n->offset) / n->rate;
        n->turn_at = at <= (double)s->now ? s->now + 1000 : (uint64_t)at + 1;
    }
    check_sure(s);
}

/* Each node hears of a change, or not, or of an older one. */
static void watches(sim *s)
{
    for (int i = 0; i < NODES; i++) {
        if (s->nodes[i].core && s->root && (s->healing || !chance(s, s->watchless))) {
            event *e = event_add(s, EV_ROOT, s->now + delay(s));
            int old = !s->healing && s->nold > 1 && chance(s, s->old_watch);
            uint32_t back = 1 + (uint32_t)dice(s, s->nold < OLD ? s->nold : OLD);
            const ck_root *r = old ? s->old[(s->nold - back) % OLD] : s->root;
            s->report->old_watches += old;
            e->node = i;
            e->root = r ? root_read(r) : NULL;
        }
        if (s->nodes[i].core && s->lease.version[0] && (s->healing || !chance(s, s->watchless))) {
            event *e = event_add(s, EV_LEASE, s->now + delay(s));
            e->node = i;
            e->lease = !s->healing && s->old_lease.version[0] && chance(s, s->old_watch)
                           ? s->old_lease
                           : s->lease;
        }
    }
}

static void ended(sim *s, int i)
{
    node *n = &s->nodes[i];
    s->last_gone[i] = n->id;
    node_kill(s, n);
    event *e = event_add(s, EV_START, s->now + S + dice(s, 40 * S));
    e->node = i;
    for (int k = 0; k < NODES; k++)
        if (k != i && chance(s, 500)) {
            e = event_add(s, EV_GONE, s->now + dice(s, 2 * S));
            e->node = k;
            e->id = n->id;
        }
}

static void happens(sim *s, event *e)
{
    node *n = &s->nodes[e->node];
    uint64_t version = s->version;
    if ((e->type == EV_ROOT || e->type == EV_LEASE || e->type == EV_ANSWER) &&
        (e->type == EV_ANSWER ? s->nodes[e->r->node].paused : n->paused) > s->now) {
        if (e->type != EV_ANSWER && chance(s, 700)) { /* its watch was closed meanwhile */
            ck_root_free(e->root);
            return;
        }
        uint64_t until = e->type == EV_ANSWER ? s->nodes[e->r->node].paused : n->paused;
        event *again = event_add(s, e->type, until);
        uint64_t order = again->order;
        *again = *e;
        again->at = until;
        again->order = order;
        return;
    }
    switch (e->type) {
    case EV_ARRIVE:
        arrive(s, e->r);
        break;
    case EV_ANSWER:
        request_answer(s, e->r);
        request_drop(e->r);
        break;
    case EV_ROOT:
        if (n->core && e->root)
            ck_core_root_seen(n->core, e->root, node_time(s, n));
        else
            ck_root_free(e->root);
        n->turn_at = s->now;
        break;
    case EV_LEASE:
        if (n->core) ck_core_lease_seen(n->core, &e->lease, node_time(s, n));
        n->turn_at = s->now;
        break;
    case EV_GONE:
        if (n->core) ck_core_gone(n->core, e->id, node_time(s, n));
        n->turn_at = s->now;
        break;
    default:
        if (n->core) break;
        s->report->restarts++;
        node_start(s, n, chance(s, 600));
        break;
    }
    if (s->version != version) watches(s);
}

/* The counts of a core that ends. */
static void count(sim *s, const node *n)
{
    const ck_core_counts *k = ck_core_counted(n->core);
    s->report->restores += k->restores;
    s->report->checkpoints += k->checkpoints;
    s->report->touched += k->touched;
    s->report->recreated += k->recreated;
}

/* Until a time; every event is looked at. */
static void run_until(sim *s, uint64_t until)
{
    uint64_t steps = 0;
    while (!s->report->violation[0]) {
        uint64_t at = s->nevents ? s->events[0].at : UINT64_MAX;
        int who = -1;
        for (int i = 0; i < NODES; i++) {
            node *n = &s->nodes[i];
            if (!n->core) continue;
            uint64_t turn = n->turn_at < n->paused ? n->paused : n->turn_at;
            if (turn < at || (turn == at && who < 0 && turn <= s->now)) {
                at = turn;
                who = i;
            }
        }
        if (at > until) break;
        if (at > s->now) {
            s->date += (int64_t)(at / S) - (int64_t)(s->now / S);
            s->now = at;
            steps = 0;
        }
        if (++steps > 20000) violation(s, "virtual time stands still");
        if (who >= 0)
            node_turn(s, &s->nodes[who]);
        else {
            event e = event_take(s);
            happens(s, &e);
        }
        check_sure(s);
    }
    if (s->now < until) {
        s->date += (int64_t)(until / S) - (int64_t)(s->now / S);
        s->now = until;
    }
}

/* --- schedules --- */

static void clients(sim *s)
{
    uint32_t n = 1 + (uint32_t)dice(s, 20);
    for (uint32_t i = 0; i < n && !s->report->violation[0]; i++) {
        node *at = &s->nodes[dice(s, NODES)];
        uint32_t burst = chance(s, 200) ? 12 : 1;
        if (at->core && at->paused <= s->now) {
            while (burst--) (void)node_propose(s, at);
            if (chance(s, 500)) node_read(s, at);
            at->turn_at = s->now;
        }
        run_until(s, s->now + dice(s, chance(s, 300) ? 3 * S : 60 * MS));
    }
}

static void faults(sim *s)
{
    node *n = &s->nodes[dice(s, NODES)];
    if (chance(s, 60)) {
        s->date += 2400;
        say(s, "the server's date jumps");
    }
    if (!n->core) return;
    if (n->resign_at && (ck_core_resigned(n->core) || n->resign_at < s->now)) {
        s->report->resigned += (uint64_t)ck_core_resigned(n->core);
        count(s, n);
        ended(s, n->number);
    } else if (chance(s, s->kill)) {
        s->report->kills++;
        count(s, n);
        ended(s, n->number);
    } else if (chance(s, s->pause)) {
        s->report->pauses++;
        n->paused = s->now + dice(s, chance(s, 500) ? 40 * S : 2 * S);
        say(s, "node %d stands still until %.3f", n->number, (double)n->paused / 1e6);
    } else if (chance(s, s->kill)) {
        say(s, "node %d resigns", n->number);
        ck_core_resign(n->core);
        n->resign_at = s->now + 20 * S;
        n->turn_at = s->now;
    }
}

static void heal(sim *s)
{
    say(s, "all heals");
    s->healing = 1;
    for (int i = 0; i < NODES; i++) {
        node *n = &s->nodes[i];
        if (n->core && n->core->resigning) {
            count(s, n);
            node_kill(s, n);
        }
        if (!n->core) node_start(s, n, 1);
        n->paused = 0;
    }
    run_until(s, s->now + 100 * S);
    uint64_t before = s->report->acknowledged;
    for (int i = 0; i < NODES; i++)
        if (s->nodes[i].core) {
            (void)node_propose(s, &s->nodes[i]);
            s->nodes[i].turn_at = s->now;
        }
    run_until(s, s->now + 20 * S);
    if (s->report->violation[0]) return;
    if (s->report->acknowledged == before) violation(s, "all is well again, but nothing commits");
    for (int i = 0; i < NODES; i++)
        if (s->nodes[i].now.index != s->root->index)
            violation(s, "node %d has applied %llu of %llu", i,
                      (unsigned long long)s->nodes[i].now.index,
                      (unsigned long long)s->root->index);
    for (uint32_t i = 0; i < s->nops; i++)
        if (s->ops[i].state == OP_OPEN) violation(s, "a proposal has no end");
}

static void profile(sim *s)
{
    static const uint32_t some[] = {0, 10, 50, 150};
    s->lost = some[dice(s, 4)];
    s->late = some[dice(s, 4)];
    s->refused = chance(s, 300) ? 30 : 0;
    s->slow = some[dice(s, 3)];
    s->old_watch = some[dice(s, 4)];
    s->watchless = chance(s, 300) ? 900 : some[dice(s, 4)];
    s->kill = some[dice(s, 4)];
    s->pause = some[dice(s, 4)];
}

int kcore_run(uint64_t seed, int verbose, kcore_report *out)
{
    sim *s = calloc(1, sizeof *s);
    if (!s) abort();
    memset(out, 0, sizeof *out);
    out->seed = seed;
    watch_schedule(seed, NULL);
    *s = (sim){.seed = seed, .random = seed * 7919, .report = out, .verbose = verbose};
    s->date = 1700000000;
    s->now = S;
    profile(s);
    for (int i = 0; i < NODES; i++) {
        node *n = &s->nodes[i];
        *n = (node){.s = s,
                    .number = i,
                    .rate = 0.91 + (double)dice(s, 190) / 1000,
                    .offset = dice(s, 1000 * S)};
        if (i < 2 || chance(s, 700)) node_start(s, n, 0);
    }
    for (int i = 0; i < 60 && !out->violation[0]; i++) {
        clients(s);
        faults(s);
        run_until(s, s->now + dice(s, chance(s, 150) ? 200 * S : chance(s, 300) ? 30 * S : S));
        if (chance(s, 100)) profile(s);
    }
    if (!out->violation[0]) heal(s);
    for (int i = 0; i < NODES; i++)
        if (s->nodes[i].core) {
            count(s, &s->nodes[i]);
            node_kill(s, &s->nodes[i]);
        }
    while (s->nevents) {
        event e = event_take(s);
        ck_root_free(e.root);
        if (e.r) request_drop(e.r);
    }
    store_free(s);
    free(s->events);
    out->trace = s->trace;
    free(s);
    if (!out->violation[0] && unit_blocks)
        snprintf(out->violation, sizeof out->violation, "%ld blocks of memory are left",
                 unit_blocks);
    unit_blocks = 0;
    return out->violation[0] != 0;
}
