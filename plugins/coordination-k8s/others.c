/*
 * others.c: what control nodes say to each other beside requests: a hello now and then, so that
 * each knows who is there and that the leader lives, and from the leader the root that it has just
 * written, so that others need not wait for their watch. A root that came so is looked at as one
 * of a watch is. A hello says which root its sender knows: who knew a newer one for a while gives
 * it, for the API may have told one node and gone away before it told the others; who knows an
 * older one says so, and gets it.
 *
 *   bytes  u8 kind
 *          HELLO: u8 flags (1: the sender leads; 2: it talks to the API, and reaches it; 4: it is
 *          told by others), u64 its id, u64 writes of the root that it knows
 *          ROOT: the object's text
 */
#include "k8s.h"

#define HELLO_NS 1000000000ll
#define SILENT_NS 3000000000ll  /* of the leader, before it is not sent to any more */
#define SEEK_NS 5000000000ll    /* between looks for another one */
#define FORGET_NS 30000000000ll /* a silent node is no member any more */

enum { LEADS = 1, SPEAKS = 2, LISTENS = 4 };
enum { HELLO_BYTES = 18 };

int64_t ck_others_next(const cr_consensus *c)
{
    return c->k.send ? c->spoke_ns + HELLO_NS : INT64_MAX;
}

void ck_others_say(cr_consensus *c, uint64_t to, const void *p, size_t n)
{
    if (c->k.send) c->k.send(c->k.arg, to, (qd_str){"", 0}, p, n);
}

static void hello(cr_consensus *c, uint64_t to, const char *address)
{
    uint8_t p[HELLO_BYTES] = {CK_SAY_HELLO};
    ck_core_view v;
    ck_core_look(c->core, &v);
    int speaks = ck_speaks(c);
    if (v.role == CK_LEADS && !c->outage) p[1] |= LEADS;
    if (speaks && !*c->store->home.trouble) p[1] |= SPEAKS;
    if (!speaks) p[1] |= LISTENS;
    cr_store64(p + 2, c->k.id);
    cr_store64(p + 10, v.root ? v.root->writes : 0);
    c->k.send(c->k.arg, to, (qd_str){address, strlen(address)}, p, sizeof p);
}

int ck_others_silent(cr_consensus *c, const ck_core_view *v)
{
    const cr_home *h = &c->store->home;
    int64_t heard = c->leader_ns;
    if (c->leader_silent) return 1;
    for (uint32_t i = 0; i < h->nothers; i++)
        if (h->others[i].id == v->leader && h->others[i].heard_ns > heard)
            heard = h->others[i].heard_ns;
    return ck_now(c) - heard > SILENT_NS;
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

/* The leader that is known says nothing, and watches may be silent as well: whether another one
 * leads tells the root. */
static void seek(cr_consensus *c, int64_t now)
{
    if (now - c->sought_ns < SEEK_NS) return;
    c->sought_ns = now;
    ck_core_root_look(c->core);
    ck_soon(c);
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
    c->no_news = c->at_turn;
    c->at_turn = v.root ? v.root->writes : 0;
    if (v.role == CK_LEADS) {
        for (uint32_t i = 0; i < h->nothers; i++) hello(c, h->others[i].id, h->others[i].address);
        return;
    }
    if (!v.root) return;
    if (v.leader && v.leader != c->k.id) hello(c, v.leader, v.root->leader.address);
    if (v.leader && !ck_others_silent(c, &v)) return;
    if (ck_speaks(c)) seek(c, now);
    /* whoever leads next is one of those, or known to them; and while the API is away they have
     * from each other what it told one of them */
    for (uint32_t i = 0; i < v.root->nspeakers; i++)
        if (v.root->speakers[i].id != v.leader && v.root->speakers[i].id != c->k.id)
            hello(c, v.root->speakers[i].id, v.root->speakers[i].address);
}

/* A root as bytes for another node; NULL: it is none. */
static uint8_t *text_of(cr_consensus *c, const json_t *root, size_t *n)
{
    size_t size = json_dumpb(root, NULL, 0, JSON_COMPACT);
    if (size == 0 || size >= CR_MESSAGE_MAX) return NULL;
    char *text = cr_must(c->heap, size + 1);
    text[0] = CK_SAY_ROOT;
    *n = 1 + json_dumpb(root, text + 1, size, JSON_COMPACT);
    return (uint8_t *)text;
}

void ck_others_push(cr_consensus *c, const json_t *root)
{
    const cr_home *h = &c->store->home;
    int64_t now = ck_now(c);
    uint8_t *text = NULL;
    size_t n = 0;
    for (uint32_t i = 0; c->k.send && i < h->nothers; i++) {
        const ck_other *o = &h->others[i];
        if (now - o->heard_ns > CK_HEARD_NS) continue;
        if (!text && !(text = text_of(c, root, &n))) return;
        c->k.send(c->k.arg, o->id, (qd_str){o->address, strlen(o->address)}, text, n);
    }
    cr_free(c->heap, text);
}

/* Step by step: what a checkpoint has taken in is in the root before it, and need not be loaded as
 * pages by who has all that is before its tail. */
static void give_root(cr_consensus *c, uint64_t to, const ck_core_view *v, uint64_t writes)
{
    int early = v->before && writes < v->before->writes && writes + 1 >= v->before_from;
    json_t *object = ck_root_object(early ? v->before : v->root, &c->store->home.site);
    size_t n = 0;
    uint8_t *text = object ? text_of(c, object, &n) : NULL;
    if (text) ck_others_say(c, to, text, n);
    cr_free(c->heap, text);
    json_decref(object);
}

/* What becomes of the root that the sender of a hello knows. One that talks to the API is about to
 * hear of a new one by itself: only what is no news any more is given to it. */
static void compare(cr_consensus *c, uint64_t to, uint64_t writes, int listens)
{
    ck_core_view v;
    ck_core_look(c->core, &v);
    uint64_t own = v.root ? v.root->writes : 0;
    if (listens ? ck_speaks(c) : writes > own) hello(c, to, "");
    if (writes < (listens ? own : c->no_news) && (!listens || ck_speaks(c)))
        give_root(c, to, &v, writes);
}

static void on_hello(cr_consensus *c, const uint8_t *p)
{
    int was = c->leader_silent;
    uint64_t id = cr_load64(p + 2);
    if (c->leader && id == c->leader) c->leader_silent = !(p[1] & LEADS);
    if (was != c->leader_silent) c->store->dirty = 1;
    if (p[1] & SPEAKS) ck_speakers_heard(c, id);
    compare(c, id, cr_load64(p + 10), p[1] & LISTENS);
}

static void on_root(cr_consensus *c, const uint8_t *p, size_t n)
{
    ck_root *root = NULL;
    char why[CK_WHY];
    json_t *object =
        json_loadb((const char *)p + 1, n - 1, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    if (object && ck_root_take(c, object, &root, why) == 0) {
        ck_core_root_seen(c->core, root, (uint64_t)ck_now(c));
        ck_soon(c);
    }
    json_decref(object);
}

void ck_others_receive(cr_consensus *c, const uint8_t *p, size_t n)
{
    if (n == HELLO_BYTES && p[0] == CK_SAY_HELLO)
        on_hello(c, p);
    else if (n > 1 && p[0] == CK_SAY_ROOT)
        on_root(c, p, n);
    else if (n && p[0] == CK_SAY_WANT)
        ck_peers_want(c, p, n);
    else if (n && p[0] >= CK_SAY_SURE)
        ck_sure_receive(c, p, n);
    else if (n)
        ck_relay_receive(c, p, n);
}

/* One more, unless it is there: by id, or a former life of the same node. */
static uint32_t add_member(cr_member *list, uint32_t n, uint64_t id, const char *name,
                           const char *address)
{
    cr_member m = {id, QD_COORD_VOTER, {name, strlen(name)}, {address, strlen(address)}};
    for (uint32_t k = 0; k < n; k++)
        if (list[k].id == id || cr_compare(list[k].name, m.name) == 0) return n;
    if (n == CR_MEMBERS_MAX) return n;
    list[n] = m;
    return n + 1;
}

void ck_others_list(cr_consensus *c, const ck_core_view *v)
{
    const cr_home *h = &c->store->home;
    cr_member list[CR_WIRE_MEMBERS_MAX + 2];
    uint32_t n = 0;
    uint64_t sum = v->leader;
    for (uint32_t i = 0; i < h->nothers; i++) sum = sum * 31 + h->others[i].id;
    for (uint32_t i = 0; v->root && i < v->root->nspeakers; i++)
        sum = sum * 31 + v->root->speakers[i].id;
    if (c->members && !c->members_old && sum == c->members_sum) return;
    c->members_old = 0;
    c->members_sum = sum;
    list[n++] = (cr_member){c->k.id, QD_COORD_VOTER, c->store->node_name, c->store->address};
    if (v->leader && v->leader != c->k.id)
        list[n++] = (cr_member){v->leader, QD_COORD_VOTER, v->leader_name, v->leader_address};
    for (uint32_t i = 0; i < h->nothers; i++)
        n = add_member(list, n, h->others[i].id, h->others[i].name, h->others[i].address);
    for (uint32_t i = 0; v->root && i < v->root->nspeakers; i++) {
        const ck_speaker *s = &v->root->speakers[i];
        n = add_member(list, n, s->id, s->name, s->address);
    }
    cr_members *made = cr_members_make(c->heap, list, n);
    if (!made) return;
    cr_members_drop(c->members);
    c->members = made;
}
