/*
 * membership.c: who belongs to the store and who votes, on the leader: joiners come in, moved ones
 * get their address, the policy's steps are taken, and what somebody asked for is done; one change
 * after the other.
 */
#include "store.h"

#define POLICY_NS 200000000
#define WISH_NS 30000000000ll
#define CHANGE_MS 10000
#define AGAIN_NS 1000000000ll
#define REPLACE_MS 30000
#define EVEN_MS 10000
#define FULL_NS 2000000000ll  /* so long a refusal for want of room is remembered */
#define LENT_NS 30000000000ll /* between two tries to let another one lead instead */

static qd_str excluded_key(char *p, size_t cap, qd_str name)
{
    int n = snprintf(p, cap, CR_EXCLUDED_PREFIX "%.*s", (int)name.n, name.p);
    return (qd_str){p, n < 0 ? 0 : (size_t)n < cap ? (size_t)n : cap - 1};
}

static int is_excluded(const qd_coord *c, qd_str name)
{
    char p[CR_WIRE_NAME_MAX + sizeof CR_EXCLUDED_PREFIX];
    return cr_keys_find(&c->machine->keys, excluded_key(p, sizeof p, name)) != NULL;
}

static uint64_t alive_ms(const qd_coord *c)
{
    return 2ull * c->election_ms > 1000 ? 2ull * c->election_ms : 1000;
}

uint32_t cr_members_seen(qd_coord *c, cr_who *out)
{
    const cr_members *list = c->view.members;
    int64_t now = cr_now(c);
    uint32_t n = 0;
    for (uint32_t i = 0; list && i < list->n && n < CR_WIRE_MEMBERS_MAX; i++) {
        const cr_member *m = &list->at[i];
        cr_consensus_peer p;
        cr_who *w = &out[n++];
        *w = (cr_who){.id = m->id,
                      .role = m->role,
                      .leader = m->id == c->view.leader,
                      .excluded = (uint32_t)is_excluded(c, m->name),
                      .name = m->name,
                      .address = m->address};
        w->alive = w->leader || m->id == c->raft_id;
        if (c->view.leads && m->id != c->raft_id)
            w->alive =
                cr_consensus_peer_look(c->consensus, m->id, &p) == 0 && p.heard_ms < alive_ms(c);
        for (uint32_t k = 0; !c->view.leads && k < c->home.search.nfound; k++)
            w->alive |= c->home.search.found[k].id == m->id &&
                        now - c->home.search.found[k].heard_ns < CR_FOUND_NS;
    }
    return n;
}

/* --- one change at a time --- */

static void on_changed(cr_proposal *p, int32_t rc)
{
    qd_coord *c = (qd_coord *)((char *)p - offsetof(qd_coord, home.change));
    c->home.changing = 0;
    c->dirty = 1;
    /* what was refused, for want of room maybe, is not asked for again at once, and again */
    c->home.policy_ns = rc ? cr_now(c) : 0;
    if (rc && rc != QD_E_NOT_LEADER && rc != QD_E_EXISTS && !c->ending)
        cr_say(c, QD_LEVEL_WARN, "a change of the masters was not made (%d); it is tried again",
               rc);
}

static int change(qd_coord *c, const cr_member *m, int remove)
{
    if (c->home.changing) return 0;
    c->home.change.done = on_changed;
    c->home.changing = 1;
    if (cr_consensus_change(c->consensus, &c->home.change, m, remove, CHANGE_MS) == 0) return 1;
    c->home.changing = 0;
    return 0;
}

static const cr_member *by_name(const qd_coord *c, qd_str name)
{
    for (uint32_t i = 0; c->view.members && i < c->view.members->n; i++)
        if (cr_compare(c->view.members->at[i].name, name) == 0) return &c->view.members->at[i];
    return NULL;
}

int32_t cr_members_admit(qd_coord *c, const cr_who *who, char *why, size_t size)
{
    const cr_member *old = by_name(c, who->name);
    cr_consensus_peer p = {0};
    cr_member m = {who->id, QD_COORD_STANDBY, who->name, who->address};
    if (who->id == 0 || who->name.n == 0 || who->address.n == 0) return QD_E_ARG;
    if (cr_members_find(c->view.members, who->id)) return 0;
    if (old && old->id != c->raft_id && cr_consensus_peer_look(c->consensus, old->id, &p))
        p.heard_ms = UINT64_MAX;
    if (old && p.heard_ms < alive_ms(c)) {
        snprintf(why, size,
                 "a master named [%.*s] lives at %.*s: give this one a node.name of its own, or "
                 "stop that one",
                 (int)old->name.n, old->name.p, (int)old->address.n, old->address.p);
        return QD_E_EXISTS;
    }
    if (old) {
        if (change(c, old, 1))
            cr_say(c, QD_LEVEL_INFO,
                   "master [%.*s] came back empty: its old id %llu goes, the new one is %llu",
                   (int)old->name.n, old->name.p, (unsigned long long)old->id,
                   (unsigned long long)who->id);
        snprintf(why, size, "its old id is being removed");
        return QD_E_NOT_LEADER; /* ask again soon */
    }
    if (c->view.members && c->view.members->n >= CR_MEMBERS_MAX) {
        snprintf(why, size, "there are %d masters already", CR_MEMBERS_MAX);
        return QD_E_LIMIT;
    }
    if (change(c, &m, 0))
        cr_say(c, QD_LEVEL_INFO, "master [%.*s] at %.*s joins", (int)who->name.n, who->name.p,
               (int)who->address.n, who->address.p);
    return 0;
}

void cr_members_moved(qd_coord *c, uint64_t id, qd_str name, qd_str address)
{
    if (!cr_leads(c) || c->home.changing || address.n == 0 || name.n == 0) return;
    const cr_member *m = cr_members_find(c->view.members, id);
    if (!m || (cr_compare(m->address, address) == 0 && cr_compare(m->name, name) == 0)) return;
    const cr_member *other = by_name(c, name);
    if (other && other->id != id) { /* two of one name: the list keeps the old one */
        int64_t now = cr_now(c);
        if (now - c->strange_ns > WISH_NS)
            cr_say(
                c, QD_LEVEL_ERROR,
                "the masters at %.*s and at %.*s are both named [%.*s]: give each a node.name of "
                "its own",
                (int)address.n, address.p, (int)other->address.n, other->address.p, (int)name.n,
                name.p);
        if (now - c->strange_ns > WISH_NS) c->strange_ns = now;
        name = m->name;
        if (cr_compare(m->address, address) == 0) return;
    }
    cr_member moved = {id, m->role, name, address};
    if (change(c, &moved, 0))
        cr_say(c, QD_LEVEL_INFO, "master [%.*s] lives at %.*s now", (int)name.n, name.p,
               (int)address.n, address.p);
}

/* --- wishes --- */

/* Commits the exclusion of a name, or takes it back; of all with an empty name. */
static void write_exclusion(qd_coord *c, qd_str name, int on)
{
    qd_coord_change list[CR_WIRE_MEMBERS_MAX];
    char p[CR_WIRE_NAME_MAX + sizeof CR_EXCLUDED_PREFIX];
    qd_coord_txn t = {.changes = list};
    c->plugin->rand->bytes(c->plugin->self, t.id, 16);
    if (name.n) {
        list[t.nchanges++] = (qd_coord_change){on ? QD_COORD_PUT : QD_COORD_DELETE, 0,
                                               excluded_key(p, sizeof p, name), QD_STR(""), 0};
    } else {
        const cr_key *k = cr_keys_seek(&c->machine->keys, QD_STR(CR_EXCLUDED_PREFIX));
        for (; k && cr_starts(cr_item_key(k->item), QD_STR(CR_EXCLUDED_PREFIX)) &&
               t.nchanges < CR_WIRE_MEMBERS_MAX;
             k = k->next[0])
            list[t.nchanges++] =
                (qd_coord_change){QD_COORD_DELETE, 0, cr_item_key(k->item), QD_STR(""), 0};
    }
    if (t.nchanges == 0) return;
    cr_writer w;
    cr_writer_begin(&w, c->heap);
    cr_write_txn(&w, &t);
    cr_bytes b = cr_command_take(&w);
    cr_propose(c, (cr_name){0, 0}, b.p, b.n);
    cr_flush(c);
    cr_bytes_free(&b);
    cr_bytes_free(&w.bytes);
}

static void wish_write(qd_coord *c, cr_wish *w)
{
    w->wrote_ns = cr_now(c);
    write_exclusion(c, (qd_str){w->member, strlen(w->member)},
                    w->action == QD_COORD_MEMBERS_EXCLUDE);
}

static int any_excluded(const qd_coord *c)
{
    const cr_key *k = cr_keys_seek(&c->machine->keys, QD_STR(CR_EXCLUDED_PREFIX));
    return k && cr_starts(cr_item_key(k->item), QD_STR(CR_EXCLUDED_PREFIX));
}

/* 1 when what was asked for is so. */
static int fulfilled(const qd_coord *c, const cr_wish *w)
{
    qd_str name = {w->member, strlen(w->member)};
    if (w->action == QD_COORD_MEMBERS_INCLUDE)
        return name.n ? !is_excluded(c, name) : !any_excluded(c);
    const cr_member *m = by_name(c, name);
    return is_excluded(c, name) && (!m || m->role != QD_COORD_VOTER);
}

static void wish_end(qd_coord *c, cr_wish *w, int32_t rc, const char *why)
{
    cr_wish **link = &c->home.wishes;
    while (*link != w) link = &(*link)->next;
    *link = w->next;
    cr_answering a = {.rc = rc, .text = {why, why ? strlen(why) : 0}};
    cr_told(c, w->name, &a);
    cr_free(c->heap, w);
}

static void on_wish_done(cr_proposal *p, int32_t rc)
{
    cr_wish *w = (cr_wish *)((char *)p - offsetof(cr_wish, proposal));
    const char *why = rc == QD_E_NOTFOUND  ? "there is no such master"
                      : rc == QD_E_EXISTS  ? "it is so already"
                      : rc == QD_E_ARG     ? "the last voter stays, and who joins cannot vote yet"
                      : rc == QD_E_TIMEOUT ? "it could not be done in time"
                                           : NULL;
    w->under_way = 0;
    w->store->dirty = 1;
    wish_end(w->store, w, rc, why);
}

static int32_t begin_change(qd_coord *c, cr_wish *w, uint64_t id, uint32_t role, qd_str name,
                            qd_str address)
{
    const cr_member *old = id ? cr_members_find(c->view.members, id) : by_name(c, name);
    int add = w->action == QD_COORD_MEMBERS_ADD;
    cr_member m = {id, role, name, address};
    if (!add && !old) return QD_E_NOTFOUND;
    if (add && (id == 0 || name.n == 0 || address.n == 0)) return QD_E_ARG;
    if (!add) {
        m = *old;
        if (w->action == QD_COORD_MEMBERS_ROLE) m.role = role;
    }
    w->proposal.done = on_wish_done;
    w->under_way = 1;
    int32_t rc = cr_consensus_change(c->consensus, &w->proposal, &m,
                                     w->action == QD_COORD_MEMBERS_REMOVE, WISH_NS / 1000000);
    if (rc) w->under_way = 0;
    return rc;
}

void cr_members_ask(qd_coord *c, cr_name name, const uint8_t *command, size_t n)
{
    cr_reader r = {.p = command + 1, .n = n - 1};
    uint32_t action = cr_get32(&r);
    uint64_t id = cr_get64(&r);
    uint32_t role = cr_get32(&r);
    qd_str who = cr_get_str(&r), address = cr_get_str(&r);
    if (r.bad || r.n || who.n > CR_WIRE_NAME_MAX || address.n > CR_WIRE_ADDRESS_MAX ||
        action < QD_COORD_MEMBERS_LIST || action > QD_COORD_MEMBERS_INCLUDE ||
        (action == QD_COORD_MEMBERS_EXCLUDE && who.n == 0)) {
        cr_answering a = {.rc = QD_E_ARG, .text = QD_STR("members: an action that cannot be")};
        cr_told(c, name, &a);
        return;
    }
    if (action == QD_COORD_MEMBERS_LIST) {
        cr_answering *a = cr_must(c->heap, sizeof *a);
        *a = (cr_answering){.rc = 0};
        a->nmembers = cr_members_seen(c, a->members);
        cr_told(c, name, a);
        cr_free(c->heap, a);
        return;
    }
    for (const cr_wish *w = c->home.wishes; w; w = w->next) /* sent again */
        if (w->name.owner == name.owner && w->name.number == name.number) return;
    cr_wish *w = cr_must(c->heap, sizeof *w);
    *w = (cr_wish){.next = c->home.wishes,
                   .store = c,
                   .name = name,
                   .action = action,
                   .until_ns = cr_now(c) + WISH_NS};
    if (who.n) memcpy(w->member, who.p, who.n);
    w->member[who.n] = 0;
    c->home.wishes = w;
    c->home.policy_ns = 0;
    c->dirty = 1;
    if (action == QD_COORD_MEMBERS_EXCLUDE || action == QD_COORD_MEMBERS_INCLUDE) {
        wish_write(c, w);
        return;
    }
    int32_t rc = begin_change(c, w, id, role, who, address);
    if (rc) wish_end(c, w, rc, rc == QD_E_NOTFOUND ? "there is no such master" : NULL);
}

static void wishes_turn(qd_coord *c)
{
    int64_t now = cr_now(c);
    for (cr_wish *w = c->home.wishes, *next; w; w = next) {
        next = w->next;
        if (w->under_way) continue;
        if (!cr_leads(c))
            wish_end(c, w, QD_E_NOT_LEADER, NULL);
        else if (fulfilled(c, w))
            wish_end(c, w, 0, NULL);
        else if (now <= w->until_ns && now - w->wrote_ns > AGAIN_NS)
            wish_write(c, w);
        else if (now > w->until_ns)
            wish_end(c, w, QD_E_TIMEOUT, "it could not be done in time; it may be done later");
    }
}

/* --- the policy --- */

static void on_handed_over(void *arg, int32_t rc)
{
    qd_coord *c = arg;
    (void)rc;
    c->handing_over = 0;
    c->dirty = 1;
}

/* A disk that is nearly full takes no changes, but the log has room ahead: consensus itself would
 * go on leading. Not again soon: where all disks are full it is of no use. */
static void lead_elsewhere(qd_coord *c)
{
    int64_t now = cr_now(c);
    const cr_members *list = c->view.members;
    if (now - c->home.full_ns > FULL_NS) c->home.full_ns = 0;
    if (!c->home.full_ns || !cr_leads(c) || c->handing_over || c->ending ||
        (c->home.lent_ns && now - c->home.lent_ns < LENT_NS))
        return;
    for (uint32_t i = 0; list && i < list->n; i++) {
        const cr_member *m = &list->at[i];
        cr_consensus_peer p;
        if (m->id == c->raft_id || m->role != QD_COORD_VOTER || is_excluded(c, m->name) ||
            cr_consensus_peer_look(c->consensus, m->id, &p) || p.full || p.heard_ms >= alive_ms(c))
            continue;
        c->handing_over = 1;
        if (cr_consensus_hand_over(c->consensus, m->id, on_handed_over, c)) {
            c->handing_over = 0;
            continue;
        }
        c->home.lent_ns = now;
        cr_say(c, QD_LEVEL_WARN,
               "there is hardly room below %.400s: master [%.*s] shall lead, which has some",
               c->path, (int)m->name.n, m->name.p);
        return;
    }
}

static void take_step(qd_coord *c, const cr_step *step)
{
    const cr_member *m = cr_members_find(c->view.members, step->id);
    if (step->type == CR_STEP_HAND_OVER && !c->handing_over) {
        c->handing_over = 1;
        if (cr_consensus_hand_over(c->consensus, 0, on_handed_over, c)) c->handing_over = 0;
    } else if (step->type == CR_STEP_ROLE && m) {
        cr_member to = *m;
        to.role = step->role;
        if (change(c, &to, 0))
            cr_say(c, QD_LEVEL_INFO, "master [%.*s] %s", (int)m->name.n, m->name.p,
                   step->role == QD_COORD_VOTER ? "votes from now on"
                                                : "votes no more: it is a stand-by");
    }
}

void cr_members_turn(qd_coord *c)
{
    int64_t now = cr_now(c);
    wishes_turn(c);
    if (c->home.full_ns) lead_elsewhere(c);
    if (!cr_leads(c) || c->home.changing || c->ending || now - c->home.policy_ns < POLICY_NS)
        return;
    c->home.policy_ns = now;
    const cr_members *list = c->view.members;
    cr_fact facts[CR_MEMBERS_MAX];
    uint32_t n = 0, voters = 0;
    for (uint32_t i = 0; list && i < list->n; i++) {
        const cr_member *m = &list->at[i];
        cr_consensus_peer p = {0};
        if (m->id != c->raft_id && cr_consensus_peer_look(c->consensus, m->id, &p))
            p.heard_ms = UINT64_MAX;
        facts[n++] = (cr_fact){.id = m->id,
                               .role = m->role,
                               .heard_ms = m->id == c->raft_id ? 0 : p.heard_ms,
                               .caught_up = p.caught_up,
                               .excluded = is_excluded(c, m->name)};
        voters += m->role == QD_COORD_VOTER;
    }
    if (voters % 2) c->home.even_ns = now;
    cr_members_moved(c, c->raft_id, c->node_name, c->address);
    cr_policy p = {.alive_ms = alive_ms(c), .replace_ms = REPLACE_MS, .even_ms = EVEN_MS};
    cr_step step =
        cr_policy_step(&p, facts, n, c->raft_id, (uint64_t)((now - c->home.even_ns) / 1000000));
    if (step.type != CR_STEP_NONE && !c->home.changing) take_step(c, &step);
}

void cr_members_free(qd_coord *c)
{
    while (c->home.wishes) {
        cr_wish *next = c->home.wishes->next;
        cr_free(c->heap, c->home.wishes);
        c->home.wishes = next;
    }
}
