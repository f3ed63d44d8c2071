/*
 * found.c: how this node comes to its store: alone, formed with the first members, or let in by a
 * leader (discover.h decides); and what is said while one is missing. A line of it is of the
 * component "discovery".
 */
#include "policy.h"
#include "store.h"

#define SAY_NS 10000000000ll
#define PROBE_NS 200000000
#define PROBE_LATER_NS 1000000000ll
#define JOIN_NS 1000000000ll
#define PATIENT_NS 2000000000ll /* without a leader, before others are asked */

static void copy(char *to, size_t cap, qd_str s)
{
    size_t n = s.n < cap ? s.n : cap - 1;
    if (n) memcpy(to, s.p, n);
    to[n] = 0;
}

static qd_str text(const char *s)
{
    return (qd_str){s, strlen(s)};
}

/* --- config --- */

/* "a.b.c:9300" with a name for a: is it this node's? Numbers are no names. */
static int label_is(qd_str address, qd_str name)
{
    size_t n = 0;
    while (n < address.n && address.p[n] != '.' && address.p[n] != ':') n++;
    return n && n == name.n && memcmp(address.p, name.p, n) == 0;
}

static int32_t add_first(qd_coord *c, qd_str item, int named, qd_err *err)
{
    cr_search *s = &c->home.search;
    qd_str name = {item.p, 0}, address = item;
    if (s->nfirst == CR_WIRE_MEMBERS_MAX || item.n == 0 || item.n > CR_WIRE_ADDRESS_MAX)
        return qd_plug_fail(c->plugin->err, err, QD_E_CONFIG,
                            "more than %d first masters, or one with an empty or too long name",
                            CR_WIRE_MEMBERS_MAX);
    for (size_t i = 0; !named && i < item.n; i++)
        if (item.p[i] == '@') {
            name.n = i;
            address = (qd_str){item.p + i + 1, item.n - i - 1};
        }
    if (named && (!memchr(item.p, ':', item.n) || cr_compare(item, c->node_name) == 0)) {
        name = item;
        address = (qd_str){item.p, 0};
    }
    cr_first *f = &s->first[s->nfirst++];
    *f = (cr_first){.incarnation = 0};
    copy(f->name, sizeof f->name, name);
    copy(f->address, sizeof f->address, address);
    int me = name.n ? cr_compare(name, c->node_name) == 0
                    : label_is(address, c->node_name) || cr_compare(address, c->address) == 0;
    if (!me) return 0;
    f->incarnation = c->incarnation;
    if (address.n) copy(s->address, sizeof s->address, address);
    return 0;
}

static void add_seed(cr_search *s, qd_str address)
{
    for (uint32_t i = 0; i < s->nseeds; i++)
        if (qd_plug_is(address, s->seeds[i])) return;
    if (s->nseeds == CR_WIRE_MEMBERS_MAX || address.n == 0 || address.n > CR_WIRE_ADDRESS_MAX)
        return;
    copy(s->seeds[s->nseeds++], sizeof s->seeds[0], address);
}

int32_t cr_found_config(qd_coord *c, const qd_coord_config *k, qd_err *err)
{
    cr_search *s = &c->home.search;
    int32_t rc = 0;
    int newer = k->struct_size >= offsetof(qd_coord_config, nfirst) + sizeof k->nfirst;
    s->id = c->raft_id;
    s->incarnation = c->incarnation;
    copy(s->name, sizeof s->name, c->node_name);
    copy(s->address, sizeof s->address, c->address);
    for (uint32_t i = 0; i < k->npeers && rc == 0; i++) rc = add_first(c, k->peers[i], 0, err);
    for (uint32_t i = 0; newer && i < k->nfirst && rc == 0; i++)
        if (k->npeers == 0) rc = add_first(c, k->first[i], 1, err);
    for (uint32_t i = 0; i < s->nfirst; i++) add_seed(s, text(s->first[i].address));
    for (uint32_t i = 0; newer && i < k->nseeds; i++) add_seed(s, k->seeds[i]);
    if (rc == 0 && s->nfirst == 1 && s->first[0].incarnation == c->incarnation &&
        (s->nseeds == 0 || (s->nseeds == 1 && strcmp(s->seeds[0], s->address) == 0)))
        s->nfirst = s->nseeds = 0; /* alone, as it says */
    c->address = text(s->address);
    return rc;
}

/* --- what this node is --- */

static void fill_info(qd_coord *c, cr_info *i, qd_str asked)
{
    static const uint8_t none[16];
    *i = (cr_info){.cluster = c->cluster_name,
                   .asked = asked,
                   .incarnation = c->incarnation,
                   .pristine = c->home.node_state == CR_NODE_NEW && !c->consensus,
                   .leads = (uint32_t)cr_leads(c),
                   .epoch = c->machine->epoch,
                   .leader = c->view.leader};
    if (c->view.leader) i->leader_address = text(c->leader_address);
    if (cr_leads(c)) i->leader_address = c->address;
    memcpy(i->promised, c->home.search.promised, 16);
    if (memcmp(c->cluster, none, 16) != 0 && c->consensus)
        i->nmembers = cr_members_seen(c, i->members);
    for (uint32_t k = 0; i->pristine && k < c->home.search.nfirst; k++)
        i->first[i->nfirst++] =
            text(c->home.search.first[k].name[0] ? c->home.search.first[k].name
                                                 : c->home.search.first[k].address);
}

static void say_info(qd_coord *c, uint8_t type, uint64_t to, qd_str address, qd_str asked)
{
    cr_info *i = cr_must(c->heap, sizeof *i);
    cr_bytes b = {.heap = c->heap};
    fill_info(c, i, asked);
    cr_wire_info(&b, i);
    cr_net_say(c, type, to, address, b.p, b.n);
    cr_bytes_free(&b);
    cr_free(c->heap, i);
}

void cr_found_tell(qd_coord *c, const cr_envelope *e)
{
    say_info(c, CR_SAY_INFO, e->from, e->address, QD_STR(""));
}

static void probe_all(qd_coord *c)
{
    const cr_search *s = &c->home.search;
    for (uint32_t i = 0; i < s->nseeds; i++)
        say_info(c, CR_SAY_PROBE, 0, text(s->seeds[i]), text(s->seeds[i]));
    for (uint32_t i = 0; i < s->nfound; i++) {
        int seed = 0;
        for (uint32_t k = 0; k < s->nseeds; k++)
            seed |= strcmp(s->seeds[k], s->found[i].address) == 0;
        if (!seed)
            say_info(c, CR_SAY_PROBE, 0, text(s->found[i].address), text(s->found[i].address));
    }
    for (uint32_t i = 0; c->view.members && i < c->view.members->n; i++) {
        const cr_member *m = &c->view.members->at[i];
        if (m->id != c->raft_id) say_info(c, CR_SAY_PROBE, 0, m->address, m->address);
    }
}

void cr_on_info(qd_coord *c, const cr_envelope *e, const cr_info *i)
{
    cr_search *s = &c->home.search;
    int own = i->incarnation == c->incarnation;
    if (cr_compare(i->cluster, c->cluster_name) != 0) {
        int64_t now = cr_now(c);
        if (e->type == CR_SAY_PROBE) say_info(c, CR_SAY_INFO, e->from, e->address, i->asked);
        if (now - c->strange_ns < SAY_NS) return;
        c->strange_ns = now;
        cr_say(c, QD_LEVEL_WARN,
               "discovery: the master at %.*s is of cluster [%.*s], this node of [%.*s]: mend "
               "cluster.name or discovery.seed_hosts",
               (int)e->address.n, e->address.p, (int)i->cluster.n, i->cluster.p,
               (int)c->cluster_name.n, c->cluster_name.p);
        return;
    }
    cr_search_take(s, e, i, own || e->type == CR_SAY_INFO ? i->asked : QD_STR(""), cr_now(c));
    if (own) {
        for (uint32_t k = 0; k < s->nfirst && !c->consensus; k++)
            if (s->first[k].incarnation == c->incarnation && s->first[k].address[0]) {
                copy(s->address, sizeof s->address, text(s->first[k].address));
                c->address = text(s->address);
            }
        return;
    }
    if (e->type == CR_SAY_PROBE) say_info(c, CR_SAY_INFO, e->from, e->address, i->asked);
}

/* --- forming --- */

/* Keeps the list: its texts are another's. */
static void keep_forming(qd_coord *c, const cr_forming *f)
{
    size_t n = 0;
    for (uint32_t i = 0; i < f->nmembers; i++) n += f->members[i].name.n + f->members[i].address.n;
    char *p = cr_must(c->heap, n);
    cr_forming kept = *f;
    char *at = p;
    for (uint32_t i = 0; i < kept.nmembers; i++) {
        qd_str *parts[2] = {&kept.members[i].name, &kept.members[i].address};
        for (int k = 0; k < 2; k++) {
            if (parts[k]->n) memcpy(at, parts[k]->p, parts[k]->n);
            parts[k]->p = at;
            at += parts[k]->n;
        }
    }
    cr_free(c->heap, c->home.forming_text);
    c->home.forming_text = p;
    c->home.forming = kept;
}

void cr_on_forming(qd_coord *c, const cr_envelope *e, const cr_forming *f)
{
    if (c->consensus || c->home.node_state != CR_NODE_NEW) return;
    if (cr_search_promise(&c->home.search, e, f)) keep_forming(c, f);
    say_info(c, CR_SAY_INFO, e->from, e->address, QD_STR(""));
}

static void ask_promises(qd_coord *c, const cr_decision *d)
{
    cr_bytes b = {.heap = c->heap};
    uint8_t mine[16];
    memcpy(mine, c->cluster, 16);
    cr_wire_forming(&b, &d->forming);
    memcpy(c->cluster, d->store_id, 16); /* of the envelope; not this node's yet */
    for (uint32_t i = 0; i < d->forming.nmembers; i++)
        if (d->forming.members[i].id != c->raft_id)
            cr_net_say(c, CR_SAY_FORM, d->forming.members[i].id, d->forming.members[i].address, b.p,
                       b.n);
    memcpy(c->cluster, mine, 16);
    cr_bytes_free(&b);
}

static void enter(qd_coord *c, const cr_decision *d, int state, uint32_t how)
{
    memcpy(c->cluster, d->store_id, 16);
    c->recoveries = d->recoveries;
    if (cr_folder_write(c, state)) {
        memset(c->cluster, 0, 16);
        cr_give_up(c, QD_E_IO, "its file node could not be written");
        return;
    }
    c->no_leader_ns = cr_now(c);
    cr_store_engine(c, how);
}

static void alone(qd_coord *c)
{
    static const cr_forming none;
    c->home.forming = none;
    c->home.forming.nmembers = 1;
    c->home.forming.members[0] = (cr_who){
        .id = c->raft_id, .role = QD_COORD_VOTER, .name = c->node_name, .address = c->address};
    c->plugin->rand->bytes(c->plugin->self, c->cluster, 16);
    cr_store_engine(c, CR_OPEN_FORM); /* the file node is written behind it */
}

void cr_found_begin(qd_coord *c)
{
    cr_search *s = &c->home.search;
    s->id = c->raft_id;
    if (c->recover && c->home.node_state == CR_NODE_NEW) {
        cr_give_up(c, QD_E_NOTFOUND, "there is no store to recover");
    } else if (c->home.node_state != CR_NODE_NEW) {
        cr_store_engine(c, c->recover                              ? CR_OPEN_RECOVER
                           : c->home.node_state == CR_NODE_FORMED  ? CR_OPEN_THERE
                           : c->home.node_state == CR_NODE_FORMING ? CR_OPEN_FORM
                                                                   : CR_OPEN_JOIN);
    } else if (s->nfirst == 0 && s->nseeds == 0) {
        alone(c);
    } else if (!c->peers) {
        cr_give_up(c, QD_E_CONFIG, "other masters are configured, but this node has no transport");
    }
}

/* --- joining --- */

static void ask_join(qd_coord *c, const cr_found *who)
{
    int64_t now = cr_now(c);
    if (now - c->home.joined_ns < JOIN_NS) return;
    c->home.joined_ns = now;
    cr_net_say(c, CR_SAY_JOIN, 0,
               text(who->leads || !who->leader_address[0] ? who->address : who->leader_address),
               NULL, 0);
}

void cr_on_join(qd_coord *c, const cr_envelope *e)
{
    char why[600] = "";
    int32_t rc = QD_E_NOT_LEADER;
    cr_who who = {.id = e->from, .role = QD_COORD_STANDBY, .name = e->name, .address = e->address};
    if (cr_leads(c)) rc = cr_members_admit(c, &who, why, sizeof why);
    cr_bytes b = {.heap = c->heap};
    cr_wire_numbers(&b, 0, rc, 0, text(why));
    cr_net_say(c, CR_SAY_JOINED, e->from, e->address, b.p, b.n);
    cr_bytes_free(&b);
}

void cr_on_joined(qd_coord *c, const cr_envelope *e, int32_t rc, qd_str why)
{
    static const uint8_t none[16];
    int64_t now = cr_now(c);
    if (rc && rc != QD_E_NOT_LEADER && now - c->home.said_ns > SAY_NS) {
        c->home.said_ns = now;
        cr_say(c, QD_LEVEL_ERROR, "discovery: the leader does not let this node in: %.*s",
               (int)why.n, why.p);
    }
    if (rc || c->consensus || c->home.node_state != CR_NODE_NEW || c->failed) return;
    if (!c->home.joined_ns || memcmp(e->store_id, none, 16) == 0) return; /* nobody was asked */
    cr_decision *d = cr_must(c->heap, sizeof *d);
    memcpy(d->store_id, e->store_id, 16);
    d->recoveries = e->recoveries;
    cr_say(c, QD_LEVEL_INFO, "discovery: joining the cluster of %.*s at %.*s", (int)e->name.n,
           e->name.p, (int)e->address.n, e->address.p);
    enter(c, d, CR_NODE_JOINING, CR_OPEN_JOIN);
    cr_free(c->heap, d);
}

/* --- turns --- */

static void say_status(qd_coord *c, int trouble)
{
    int64_t now = cr_now(c);
    if (now - c->home.said_ns < SAY_NS || !*c->status) return;
    c->home.said_ns = now;
    cr_say(c, trouble ? QD_LEVEL_WARN : QD_LEVEL_INFO, "discovery: %.980s", c->status);
}

static void act(qd_coord *c, cr_decision *d)
{
    switch (d->type) {
    case CR_GO_PROPOSE:
        ask_promises(c, d);
        break;
    case CR_GO_FORM:
        keep_forming(c, &d->forming);
        if (d->forming.nmembers > 1 &&
            (d->forming.nmembers % 2 == 0 || d->forming.nmembers > CR_VOTERS_MAX))
            cr_say(c, QD_LEVEL_WARN,
                   "discovery: forming a cluster of %u masters, of which %u will vote: give three "
                   "or five",
                   d->forming.nmembers,
                   d->forming.nmembers > CR_VOTERS_MAX ? CR_VOTERS_MAX : d->forming.nmembers - 1);
        else
            cr_say(c, QD_LEVEL_INFO, "discovery: forming a cluster of %u masters",
                   d->forming.nmembers);
        enter(c, d, CR_NODE_FORMING, CR_OPEN_FORM);
        break;
    case CR_GO_PROMISED:
        enter(c, d, CR_NODE_FORMING, CR_OPEN_FORM);
        break;
    case CR_GO_RESUME:
        enter(c, d, CR_NODE_JOINING, CR_OPEN_JOIN);
        break;
    case CR_GO_JOIN:
        ask_join(c, d->who);
        break;
    default:
        break;
    }
}

static void look_around(qd_coord *c)
{
    int64_t now = cr_now(c);
    cr_decision *d = cr_must(c->heap, sizeof *d);
    int64_t every = now - c->no_leader_ns < CR_PATIENCE_NS ? PROBE_NS : PROBE_LATER_NS;
    if (now - c->probed_ns >= every) {
        c->probed_ns = now;
        probe_all(c);
    }
    cr_search_decide(&c->home.search, now, d);
    snprintf(c->status, sizeof c->status, "%s", d->why);
    if (now - c->no_leader_ns > CR_PATIENCE_NS || d->trouble) say_status(c, d->trouble);
    act(c, d);
    cr_free(c->heap, d);
}

/* A member, or one to be, that hears of no leader. */
static void look_for_leader(qd_coord *c)
{
    int64_t now = cr_now(c);
    char refused[sizeof c->refused];
    pthread_mutex_lock(&c->lock);
    memcpy(refused, c->refused, sizeof refused);
    pthread_mutex_unlock(&c->lock);
    int stranger = c->view.role == 0;
    if (!stranger || !c->home.stranger_ns) c->home.stranger_ns = now;
    if (!stranger && (!c->no_leader_ns || now - c->no_leader_ns < PATIENT_NS)) return;
    if (now - c->probed_ns >= PROBE_LATER_NS) {
        c->probed_ns = now;
        probe_all(c);
    }
    size_t n = (size_t)snprintf(c->status, sizeof c->status, "no leader: waiting for");
    uint32_t silent = 0;
    for (uint32_t i = 0; c->view.members && i < c->view.members->n; i++) {
        const cr_member *m = &c->view.members->at[i];
        int heard = m->id == c->raft_id || m->role != QD_COORD_VOTER;
        for (uint32_t k = 0; k < c->home.search.nfound; k++)
            heard |= c->home.search.found[k].id == m->id &&
                     now - c->home.search.found[k].heard_ns < CR_FOUND_NS;
        if (heard || n > sizeof c->status - 300) continue;
        n += (size_t)snprintf(c->status + n, sizeof c->status - n, "%s [%.*s] at %.*s",
                              silent++ ? "," : "", (int)m->name.n, m->name.p, (int)m->address.n,
                              m->address.p);
    }
    if (!silent)
        snprintf(c->status, sizeof c->status, "%s",
                 stranger ? "waiting for the leader to let this node in"
                          : "the masters are electing a leader");
    else if (refused[0] && n < sizeof c->status - 120)
        snprintf(c->status + n, sizeof c->status - n, "; they run: %s", refused);
    else if (n < sizeof c->status - 120)
        snprintf(c->status + n, sizeof c->status - n,
                 "; if their data is lost for good: qd master recover --unsafe");
    if (now - (stranger ? c->home.stranger_ns : c->no_leader_ns) > CR_PATIENCE_NS)
        say_status(c, silent > 0);
    for (uint32_t k = 0; stranger && k < c->home.search.nfound; k++)
        if (c->home.search.found[k].leads && now - c->home.search.found[k].heard_ns < CR_FOUND_NS &&
            memcmp(c->home.search.found[k].store_id, c->cluster, 16) == 0)
            ask_join(c, &c->home.search.found[k]);
}

void cr_found_turn(qd_coord *c)
{
    if (c->failed || c->ending || !c->peers) return;
    if (!c->consensus)
        look_around(c);
    else
        look_for_leader(c);
    if (c->consensus && !c->no_leader_ns && c->view.role) c->status[0] = 0;
}

void cr_found_free(qd_coord *c)
{
    cr_free(c->heap, c->home.forming_text);
    c->home.forming_text = NULL;
}
