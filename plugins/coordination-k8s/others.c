/*
 * others.c: what control nodes say to each other beside requests: a hello now and then, so that
 * each knows who is there and that the leader lives, and from the leader the root that it has just
 * written, so that others need not wait for their watch. A root that came so is looked at as one
 * of a watch is.
 *
 *   bytes  u8 kind; HELLO: u8 whether the sender leads, u64 its id; ROOT: the object's text
 */
#include "k8s.h"

#define HELLO_NS 1000000000ll
#define FORGET_NS 30000000000ll /* a silent node is no member any more */

enum { HELLO = 1, ROOT = 2 };

int64_t ck_others_next(const cr_consensus *c)
{
    return c->k.send ? c->spoke_ns + HELLO_NS : INT64_MAX;
}

static void hello(cr_consensus *c, uint64_t to, const char *address, int leads)
{
    uint8_t p[10] = {HELLO, (uint8_t)leads};
    cr_store64(p + 2, c->k.id);
    c->k.send(c->k.arg, to, (qd_str){address, strlen(address)}, p, sizeof p);
}

/* Forgets who is silent for long. */
static void forget(cr_consensus *c)
{
    cr_home *h = &c->store->home;
    int64_t now = ck_now(c);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < h->nothers; i++)
        if (now - h->others[i].heard_ns < FORGET_NS) h->others[kept++] = h->others[i];
    if (kept == h->nothers) return;
    h->nothers = kept;
    c->members_old = 1;
    c->store->dirty = 1;
}

void ck_others_turn(cr_consensus *c)
{
    const cr_home *h = &c->store->home;
    ck_core_view v;
    int64_t now = ck_now(c);
    if (!c->k.send || now < ck_others_next(c)) return;
    c->spoke_ns = now;
    forget(c);
    ck_core_look(c->core, &v);
    if (v.role == CK_LEADS) {
        for (uint32_t i = 0; i < h->nothers; i++)
            hello(c, h->others[i].id, h->others[i].address, !c->outage);
        return;
    }
    char address[CK_TEXT];
    size_t n = v.leader_address.n < sizeof address ? v.leader_address.n : 0;
    if (!v.leader || v.leader == c->k.id || n == 0) return;
    memcpy(address, v.leader_address.p, n);
    address[n] = 0;
    hello(c, v.leader, address, 0);
}

void ck_others_push(cr_consensus *c, const json_t *root)
{
    const cr_home *h = &c->store->home;
    int64_t now = ck_now(c);
    char *text = NULL;
    size_t n = 0;
    for (uint32_t i = 0; c->k.send && i < h->nothers; i++) {
        const ck_other *o = &h->others[i];
        if (now - o->heard_ns > CK_HEARD_NS) continue;
        if (!text) {
            n = json_dumpb(root, NULL, 0, JSON_COMPACT);
            if (n == 0 || n >= CR_MESSAGE_MAX) return;
            text = cr_must(c->heap, n + 1);
            text[0] = ROOT;
            if (json_dumpb(root, text + 1, n, JSON_COMPACT) != n) break;
        }
        c->k.send(c->k.arg, o->id, (qd_str){o->address, strlen(o->address)}, (const uint8_t *)text,
                  n + 1);
    }
    cr_free(c->heap, text);
}

void ck_others_receive(cr_consensus *c, const uint8_t *p, size_t n)
{
    ck_root *root = NULL;
    char why[CK_WHY];
    if (n == 10 && p[0] == HELLO) {
        int was = c->leader_silent;
        if (c->leader && cr_load64(p + 2) == c->leader) c->leader_silent = p[1] == 0;
        if (was != c->leader_silent) c->store->dirty = 1;
        return;
    }
    if (n < 2 || p[0] != ROOT) return;
    json_t *object =
        json_loadb((const char *)p + 1, n - 1, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    if (object && ck_root_take(c, object, &root, why) == 0) {
        ck_core_root_seen(c->core, root, (uint64_t)ck_now(c));
        ck_soon(c);
    }
    json_decref(object);
}

void ck_others_list(cr_consensus *c, const ck_core_view *v)
{
    const cr_home *h = &c->store->home;
    cr_member list[CR_WIRE_MEMBERS_MAX + 2];
    uint32_t n = 0;
    uint64_t sum = v->leader;
    for (uint32_t i = 0; i < h->nothers; i++) sum = sum * 31 + h->others[i].id;
    if (c->members && !c->members_old && sum == c->members_sum) return;
    c->members_old = 0;
    c->members_sum = sum;
    list[n++] = (cr_member){c->k.id, QD_COORD_VOTER, c->store->node_name, c->store->address};
    if (v->leader && v->leader != c->k.id)
        list[n++] = (cr_member){v->leader, QD_COORD_VOTER, v->leader_name, v->leader_address};
    for (uint32_t i = 0; i < h->nothers && n < CR_MEMBERS_MAX; i++) {
        const ck_other *o = &h->others[i];
        cr_member m = {
            o->id, QD_COORD_VOTER, {o->name, strlen(o->name)}, {o->address, strlen(o->address)}};
        int there = 0; /* by id, or a former life of the same node */
        for (uint32_t k = 0; k < n; k++)
            there |= list[k].id == m.id || cr_compare(list[k].name, m.name) == 0;
        if (!there) list[n++] = m;
    }
    cr_members *made = cr_members_make(c->heap, list, n);
    if (!made) return;
    cr_members_drop(c->members);
    c->members = made;
}
