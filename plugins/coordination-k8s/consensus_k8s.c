/*
 * consensus_k8s.c: consensus.h on Kubernetes: entries go to the core, which keeps them in the root
 * object; turns of the core when something came in; leadership as the shell sees it.
 */
#include "k8s.h"

#define CLOSE_NS 2000000000ll  /* for giving leadership up */
#define OUTAGE_NS 5000000000ll /* without the API, when it is not sure that none other leads */

int64_t ck_now(const cr_consensus *c)
{
    return cr_now(c->store);
}

/* --- turns --- */

static void on_timer(uv_timer_t *t);
static void on_idle(uv_idle_t *i);
static void tear_down(cr_consensus *c);

static void arm(cr_consensus *c)
{
    uint64_t at = ck_core_deadline(c->core), now = (uint64_t)ck_now(c);
    uint64_t next = c->closing ? UINT64_MAX : (uint64_t)ck_others_next(c);
    if (next < at) at = next;
    if (!c->closing && (uint64_t)ck_marked_next(c) < at) at = (uint64_t)ck_marked_next(c);
    if (!c->closing && (uint64_t)ck_sure_next(c) < at) at = (uint64_t)ck_sure_next(c);
    next = c->closing ? UINT64_MAX : (uint64_t)ck_speakers_next(c);
    if (next < at) at = next;
    uint64_t free_at = c->store->batch ? ck_core_crowded(c->core, now) : UINT64_MAX;
    if (free_at < at) at = free_at;
    /* a store that closes waits for no object: nobody asks for it any more */
    for (const ck_io *io = c->closing ? NULL : c->out; io; io = io->next) {
        if (io->relayed && (uint64_t)io->until_ns < at) at = (uint64_t)io->until_ns;
        if ((uint64_t)ck_peers_next(io) < at) at = (uint64_t)ck_peers_next(io);
    }
    if (!c->closing && c->lease_again_ns && (uint64_t)c->lease_again_ns < at)
        at = (uint64_t)c->lease_again_ns;
    if (c->closing && (uint64_t)(c->close_ns + CLOSE_NS) < at)
        at = (uint64_t)(c->close_ns + CLOSE_NS);
    uv_update_time(&c->store->loop);
    uv_timer_start(&c->timer, on_timer, at > now ? (at - now) / 1000000 + 1 : 0, 0);
}

/* The leader of before cannot reach the API, and may be followed by another, or the API has an
 * older state than what was acted on: it is none until that ends; then its lead begins anew, and
 * sessions' time with it. */
static void outage_turn(cr_consensus *c)
{
    ck_core_view v;
    ck_core_look(c->core, &v);
    int64_t now = ck_now(c);
    if (v.role != CK_LEADS) {
        c->outage = 0;
        return;
    }
    int out = v.older || (!ck_core_sure(c->core, (uint64_t)now) && now - c->well_ns > OUTAGE_NS);
    if (out == c->outage) return;
    c->outage = out;
    if (c->closing) return;
    c->k.lead(c->k.arg, out ? 0 : v.term);
    c->k.changed(c->k.arg);
}

static void turn(cr_consensus *c)
{
    if (c->in_turn || !c->core) return;
    c->in_turn = 1;
    c->asked = 0;
    uv_idle_stop(&c->idle);
    ck_core_turn(c->core, (uint64_t)ck_now(c));
    if (!c->closing) {
        ck_speakers_turn(c);
        ck_peers_turn(c);
        ck_sure_turn(c);
    }
    for (ck_ask *a; (a = ck_core_ask(c->core, (uint64_t)ck_now(c)));) ck_ask_start(c, a);
    if (!c->closing) {
        ck_watches_turn(c);
        outage_turn(c);
        ck_others_turn(c);
        ck_marked_turn(c);
    }
    c->in_turn = 0;
    if (c->closing && (ck_core_resigned(c->core) || ck_now(c) - c->close_ns >= CLOSE_NS)) {
        tear_down(c);
        return;
    }
    if (c->store->batch && !cr_consensus_crowded(c)) c->store->dirty = 1; /* it is proposed now */
    if (c->asked) uv_idle_start(&c->idle, on_idle);
    arm(c);
}

void ck_soon(cr_consensus *c)
{
    if (c->asked || !c->core) return;
    c->asked = 1;
    if (!c->in_turn) uv_idle_start(&c->idle, on_idle);
}

static void on_timer(uv_timer_t *t)
{
    turn(t->data);
}

static void on_idle(uv_idle_t *i)
{
    turn(i->data);
}

/* --- callbacks of the core --- */

/* Whose store this is, as soon as the root tells; pages that need not be loaded. */
static void note_root(cr_consensus *c)
{
    static const uint8_t none[16];
    ck_core_view v;
    ck_core_look(c->core, &v);
    if (!v.root || memcmp(v.root->store_id, none, 16) == 0) return;
    memcpy(c->store->cluster, v.root->store_id, 16);
    memcpy(c->store->home.site.store_id, v.root->store_id, 16);
    ck_state_seen(c->state, v.root);
    if (v.leader != c->leader) {
        c->leader = v.leader;
        c->leader_ns = ck_now(c);
        c->leader_silent = 0;
        c->members_old = 1;
        c->spoke_ns = 0; /* it is greeted at once */
        /* a former life of this very node is certainly gone */
        if (v.leader && v.leader != c->k.id &&
            cr_compare(v.leader_address, c->store->address) == 0 &&
            cr_compare(v.leader_name, c->store->node_name) == 0) {
            ck_core_gone(c->core, v.leader, (uint64_t)ck_now(c));
            ck_soon(c);
        }
    }
}

static int32_t on_apply(void *arg, uint64_t index, const uint8_t *entry, size_t n)
{
    cr_consensus *c = arg;
    ck_core_view v;
    ck_core_look(c->core, &v);
    note_root(c);
    if (v.root && index > c->store->home.record.index) {
        uint64_t to = v.committed > index ? v.committed : index;
        int32_t rc = ck_record_put(c->store, v.root->store_id, v.root->epoch, to);
        if (rc) return rc;
    }
    return c->k.apply(c->k.arg, index, entry, n);
}

static void on_lead(void *arg, uint64_t term)
{
    cr_consensus *c = arg;
    note_root(c);
    c->outage = 0;
    c->well_ns = c->led_ns = ck_now(c);
    if (term) {
        cr_say(c->store, QD_LEVEL_INFO, "this node leads the store in Kubernetes, term %llu",
               (unsigned long long)term);
        ck_trouble(c->store, NULL);
    }
    if (!c->closing) c->k.lead(c->k.arg, term);
}

static void on_changed(void *arg)
{
    cr_consensus *c = arg;
    note_root(c);
    c->k.changed(c->k.arg);
}

static void on_done(void *arg, void *proposal, uint64_t index, int32_t rc)
{
    cr_consensus *c = arg;
    cr_proposal *p = proposal, **link = &c->proposals;
    while (*link && *link != p) link = &(*link)->next;
    if (*link) *link = p->next;
    p->index = index;
    p->done(p, rc);
}

void ck_read_done(cr_consensus *c, cr_read_wait *r, int32_t rc)
{
    cr_read_wait **link = &c->reads;
    while (*link && *link != r) link = &(*link)->next;
    if (*link) *link = r->next;
    ck_core_view v;
    ck_core_look(c->core, &v);
    if (rc == 0 && (v.role != CK_LEADS || c->outage)) rc = QD_E_NOT_LEADER;
    r->done(r, rc ? QD_E_NOT_LEADER : 0);
}

static void on_read_done(void *arg, void *wait, int32_t rc)
{
    ck_read_done(arg, wait, rc);
}

static void on_warn(void *arg, const char *text)
{
    cr_consensus *c = arg;
    c->k.warn(c->k.arg, text);
}

static void on_no_root(void *arg)
{
    cr_consensus *c = arg;
    if (c->store->home.looks && !c->store->failed)
        cr_give_up(c->store, QD_E_NOTFOUND, "there is no root object");
}

static void on_failed(void *arg, const char *why)
{
    cr_consensus *c = arg;
    char text[600];
    snprintf(text, sizeof text, "%.400s; no changes until this node is started again", why);
    ck_trouble(c->store, why);
    cr_give_up(c->store, QD_E_NO_COORDINATION, text); /* not the disk: what is there is served */
}

static void stamp(void *arg, ck_root *next)
{
    cr_consensus *c = arg;
    static const uint8_t none[16];
    const cr_machine *m = c->store->machine;
    ck_speakers_stamp(c, next);
    if (memcmp(m->store_id, none, 16) == 0) return; /* the first entry is yet to come */
    memcpy(next->history_id, m->history_id, 16);
    next->recoveries = m->recoveries;
    next->state = m->state;
    next->epoch = m->epoch;
    next->revision = m->revision;
    next->shown = c->store->applied;
}

/* --- life --- */

/* Which of two stores is to form the cluster, and under which uuid: the store's id as uuids are
 * written, so that whoever reads the one knows the other. */
static json_t *claim_of(const ck_root *r, const char *in_charge)
{
    char uuid[32];
    ck_base64_write(r->store_id, 16, uuid);
    uuid[22] = 0; /* without padding */
    for (char *p = uuid; *p; p++) *p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
    return json_pack("{s:s, s:s, s:s}", "epoch", "1", "inCharge", in_charge, "clusterUuid", uuid);
}

/* What is created when there is no root. Creating it is the claim: of all who try one does. */
static ck_root *first_root(cr_consensus *c)
{
    ck_root *r = ck_root_make(c->heap);
    const cr_plugin *p = c->store->plugin;
    p->rand->bytes(p->self, r->store_id, 16);
    memcpy(r->history_id, r->store_id, 16);
    r->state = c->store->bootstrap ? QD_COORD_ACTIVE : QD_COORD_EMPTY;
    r->epoch = c->store->bootstrap ? 1 : 0;
    if (c->store->home.claims) r->claim = claim_of(r, c->store->bootstrap ? "k8s" : "raft");
    return r;
}

int ck_root_forms(const qd_coord *s)
{
    ck_core_view v;
    if (!s->consensus || !s->consensus->core) return 0;
    ck_core_look(s->consensus->core, &v);
    return v.root && v.root->state == QD_COORD_ACTIVE;
}

static void make_core(cr_consensus *c)
{
    static const uint8_t none[16];
    const cr_home *h = &c->store->home;
    int known = memcmp(h->record.store_id, none, 16) != 0;
    ck_core_config k = {.heap = c->heap,
                        .id = c->k.id,
                        .name = c->store->node_name,
                        .address = c->store->address,
                        .seed = c->k.seed,
                        .form = known || h->looks     ? CK_FORM_NO
                                : c->store->bootstrap ? CK_FORM_ACTIVE
                                                      : CK_FORM_EMPTY,
                        .first = c->first,
                        .site = &h->site,
                        .epoch = h->record.epoch,
                        .applied = c->k.applied,
                        .candidate = !h->looks,
                        .lease_ns = (uint64_t)h->lease_ns,
                        .renew_ns = (uint64_t)h->renew_ns,
                        .retry_ns = (uint64_t)h->retry_ns,
                        .arg = c,
                        .apply = on_apply,
                        .lead = on_lead,
                        .changed = on_changed,
                        .done = on_done,
                        .read_done = on_read_done,
                        .warn = on_warn,
                        .no_root = on_no_root,
                        .failed = on_failed,
                        .stamp = stamp,
                        .load_begin = ck_state_load_begin,
                        .load_want = ck_state_load_want,
                        .load_blob = ck_state_load_blob,
                        .load_end = ck_state_load_end,
                        .reaches = ck_state_reaches,
                        .thaw = ck_state_thaw};
    memcpy(k.store, h->record.store_id, 16);
    c->core = ck_core_make(&k);
}

static int64_t loop_mono(void *arg)
{
    return cr_now(((cr_consensus *)arg)->store);
}
static uint64_t loop_random(void *arg)
{
    const cr_plugin *p = ((cr_consensus *)arg)->store->plugin;
    return p->rand->u64(p->self);
}
static void loop_log(void *arg, int32_t level, qd_str line)
{
    cr_say(((cr_consensus *)arg)->store, level, "Kubernetes API: %.*s", (int)line.n, line.p);
}

int32_t cr_consensus_open(const cr_consensus_config *config, cr_consensus **out, char *why)
{
    cr_consensus *c = cr_must(config->heap, sizeof *c);
    kube_error error = {{0}};
    memset(c, 0, sizeof *c);
    c->store = config->arg;
    c->heap = config->heap;
    c->k = *config;
    c->env = (kube_loop){.env = {.mem = c->heap->mem, .self = c->heap->self},
                         .uv = config->loop,
                         .arg = c,
                         .mono_ns = loop_mono,
                         .random = loop_random,
                         .log = loop_log};
    kube_loop_init(&c->env);
    c->transport = ck_api_connect(c->store, config->loop, &c->env.env, &error);
    /* objects being read and written leave room for the root */
    const kube_client_options room = {.open_max = CK_CONNECTIONS};
    if (c->transport) c->client = kube_client_make(&c->env.env, c->transport, &room);
    if (!c->client) {
        /* the loop's handle is closed with the loop */
        snprintf(why, CR_WHY, "%s", *error.text ? error.text : "out of memory");
        if (c->transport) c->transport->free(c->transport, NULL, NULL);
        kube_loop_close(&c->env, NULL, NULL);
        uv_run(config->loop, UV_RUN_NOWAIT);
        cr_free(config->heap, c);
        return QD_E_CONFIG;
    }
    uv_timer_init(config->loop, &c->timer);
    uv_idle_init(config->loop, &c->idle);
    c->timer.data = c->idle.data = c;
    c->well_ns = ck_now(c);
    c->first = first_root(c);
    c->state = ck_state_make(c);
    make_core(c);
    ck_rules_look(c);
    ck_soon(c);
    *out = c;
    return 0;
}

static void end(cr_consensus *c)
{
    void (*closed)(void *arg) = c->closed;
    void *arg = c->closed_arg;
    ck_state_free(c->state);
    ck_root_free(c->first);
    cr_members_drop(c->members);
    json_decref(c->lease);
    cr_free(c->heap, c);
    if (closed) closed(arg);
}

static void part_closed(void *arg)
{
    cr_consensus *c = arg;
    if (--c->handles == 0) end(c);
}

static void handle_closed(uv_handle_t *h)
{
    part_closed(h->data);
}

static void transport_closed(void *arg)
{
    cr_consensus *c = arg;
    kube_loop_close(&c->env, part_closed, c);
}

static void tear_down(cr_consensus *c)
{
    if (c->closing == 2) return;
    c->closing = 2;
    ck_asks_cancel(c);
    ck_sets_cancel(c);
    ck_relay_stop(c);
    ck_peers_stop(c);
    ck_sure_stop(c);
    ck_watches_stop(c);
    ck_marked_stop(c);
    while (c->proposals) on_done(c, c->proposals, 0, QD_E_UNKNOWN_OUTCOME);
    while (c->reads) {
        cr_read_wait *r = c->reads;
        c->reads = r->next;
        r->done(r, QD_E_NOT_LEADER);
    }
    ck_core_free(c->core);
    c->core = NULL;
    uv_timer_stop(&c->timer);
    uv_idle_stop(&c->idle);
    kube_client_free(c->client);
    c->handles = 3;
    uv_close((uv_handle_t *)&c->timer, handle_closed);
    uv_close((uv_handle_t *)&c->idle, handle_closed);
    c->transport->free(c->transport, transport_closed, c);
}

void cr_consensus_close(cr_consensus *c, void (*done)(void *arg), void *arg)
{
    c->closed = done;
    c->closed_arg = arg;
    c->closing = 1;
    c->close_ns = ck_now(c);
    ck_core_resign(c->core);
    ck_soon(c);
}

/* --- to the core --- */

int32_t cr_consensus_propose(cr_consensus *c, cr_proposal *p, const uint8_t *entry, size_t n)
{
    ck_core_view v;
    ck_core_look(c->core, &v);
    if (v.role != CK_LEADS || c->closing) return QD_E_NOT_LEADER;
    int32_t rc = ck_core_propose(c->core, p, entry, n);
    if (rc) return rc;
    p->term = v.term;
    p->index = 0;
    p->next = c->proposals;
    c->proposals = p;
    ck_soon(c);
    return 0;
}

int cr_consensus_crowded(const cr_consensus *c)
{
    return c->core && !c->closing && ck_core_crowded(c->core, (uint64_t)ck_now(c)) != 0;
}

int32_t cr_consensus_read(cr_consensus *c, cr_read_wait *r)
{
    ck_core_view v;
    ck_core_look(c->core, &v);
    if (v.role != CK_LEADS || c->closing) return QD_E_NOT_LEADER;
    int32_t rc = r->soft && ck_sure_ask(c, r) ? 0 : ck_core_read(c->core, r);
    if (rc) return rc;
    r->next = c->reads;
    c->reads = r;
    ck_soon(c);
    return 0;
}

int cr_consensus_sole(const cr_consensus *c)
{
    (void)c;
    return 0; /* another one may always come */
}

void cr_consensus_receive(cr_consensus *c, const uint8_t *p, size_t n)
{
    if (!c->closing) ck_others_receive(c, p, n);
}

void cr_consensus_gone(cr_consensus *c, uint64_t id)
{
    if (c->closing) return;
    if (id == c->leader) c->leader_silent = 1;
    ck_speakers_gone(c, id);
    ck_core_gone(c->core, id, (uint64_t)ck_now(c));
    ck_soon(c);
}

void cr_consensus_look(const cr_consensus *known, cr_consensus_view *out)
{
    cr_consensus *c = (cr_consensus *)(uintptr_t)known; /* its list of members is made here */
    ck_core_view v;
    ck_core_look(c->core, &v);
    ck_others_list(c, &v);
    int leads = v.role == CK_LEADS && !c->outage && !c->closing;
    int follows = v.leader && v.leader != c->k.id && !ck_others_silent(c, &v);
    *out = (cr_consensus_view){.id = c->k.id,
                               .term = v.term,
                               .leader = leads     ? c->k.id
                                         : follows ? v.leader
                                                   : 0,
                               .leads = leads,
                               .role = QD_COORD_VOTER, /* each may lead */
                               .applied = v.applied,
                               .committed = v.committed,
                               .last = v.committed,
                               .durable = v.committed,
                               .snapshot = v.checkpoint,
                               .recoveries = c->store->recoveries,
                               .members = c->members,
                               .space = 1,
                               .failed = v.role == CK_STOPPED};
    if (follows) out->leader_address = v.leader_address;
}

int32_t cr_consensus_peer_look(const cr_consensus *c, uint64_t id, cr_consensus_peer *out)
{
    (void)c;
    (void)id;
    (void)out;
    return QD_E_NOTFOUND;
}

int32_t cr_consensus_change(cr_consensus *c, cr_proposal *p, const cr_member *m, int remove,
                            uint32_t wait_ms)
{
    (void)c;
    (void)p;
    (void)m;
    (void)remove;
    (void)wait_ms;
    return QD_E_UNSUPPORTED;
}

/* Closing gives leadership up, and whoever is there takes it. */
int32_t cr_consensus_hand_over(cr_consensus *c, uint64_t to, void (*done)(void *arg, int32_t rc),
                               void *arg)
{
    (void)c;
    (void)to;
    (void)done;
    (void)arg;
    return QD_E_NOTFOUND;
}

void cr_consensus_space(cr_consensus *c, int there)
{
    (void)c;
    (void)there;
}

void cr_consensus_snapshot_soon(cr_consensus *c)
{
    (void)c;
}

uint64_t cr_consensus_last(const cr_consensus *c)
{
    ck_core_view v;
    ck_core_look(c->core, &v);
    return v.committed;
}

uint64_t cr_consensus_durable(const cr_consensus *c)
{
    return cr_consensus_last(c);
}
