/*
 * speakers.c: which control nodes talk to the API: at most five, named in the root by the leader,
 * who is one of them. The others listen: they hear roots from speakers, and what is to be read is
 * read for them (relay.c); they watch nothing and do not try to lead. A node that is none of the
 * five and hears none of them that reaches the API is alone: it reads the root now and then, and
 * leads if nobody does, as any control node may.
 */
#include "k8s.h"

#define ALONE_NS 5000000000ll   /* without a speaker; up to two more, differently for each node */
#define SILENT_NS 10000000000ll /* a speaker that was silent for so long is one no more */
#define LOOK_NS 1000000000ll    /* alone: between reads of the root, doubling to */
#define LOOK_MOST_NS 8000000000ll
#define KEEP_NS 1000000000ll /* a leader looks so often whether the right ones speak */

/* Without a transport nobody could tell it anything. */
static int speaks(const cr_consensus *c, const ck_root *r)
{
    return !c->store->peers || ck_root_speaks(r, c->k.id);
}

int ck_speaks(const cr_consensus *c)
{
    ck_core_view v;
    ck_core_look(c->core, &v);
    return v.root && speaks(c, v.root);
}

static int is_gone(const cr_consensus *c, uint64_t id)
{
    for (size_t i = 0; i < sizeof c->gone / sizeof *c->gone; i++)
        if (c->gone[i] == id) return 1;
    return 0;
}

void ck_speakers_gone(cr_consensus *c, uint64_t id)
{
    cr_home *h = &c->store->home;
    if (id == 0 || id == c->k.id || is_gone(c, id)) return;
    c->gone[c->ngone++ % (sizeof c->gone / sizeof *c->gone)] = id;
    for (uint32_t i = 0; i < h->nothers; i++)
        if (h->others[i].id == id) h->others[i].heard_ns -= SILENT_NS;
}

void ck_speakers_heard(cr_consensus *c, uint64_t id)
{
    ck_core_view v;
    ck_core_look(c->core, &v);
    if (v.root && v.root->nspeakers && ck_root_speaks(v.root, id)) c->heard_ns = ck_now(c);
}

uint64_t ck_speakers_one(cr_consensus *c)
{
    const cr_home *h = &c->store->home;
    ck_core_view v;
    int64_t last = ck_now(c) - CK_HEARD_NS;
    uint64_t id = 0;
    ck_core_look(c->core, &v);
    if (!v.root || v.root->nspeakers == 0) return 0;
    for (uint32_t i = 0; i < h->nothers; i++) {
        const ck_other *o = &h->others[i];
        if (o->heard_ns <= last || !ck_root_speaks(v.root, o->id)) continue;
        id = o->id;
        last = o->heard_ns;
    }
    return id;
}

/* --- who they are --- */

/* How long ago one that speaks was heard; INT64_MAX: it is certainly gone. */
static int64_t silence(const cr_consensus *c, const ck_speaker *s)
{
    const cr_home *h = &c->store->home;
    int64_t now = ck_now(c);
    if (s->id == c->k.id) return 0;
    if (is_gone(c, s->id)) return INT64_MAX;
    for (uint32_t i = 0; i < h->nothers; i++) {
        const ck_other *o = &h->others[i];
        if (o->id == s->id) return now - o->heard_ns;
        if (strcmp(o->address, s->address) == 0) return INT64_MAX; /* another life is there */
    }
    return now - c->led_ns;
}

/* The first node that was heard and does not speak. */
static const ck_other *waiting(const cr_consensus *c, const ck_root *r)
{
    const cr_home *h = &c->store->home;
    int64_t now = ck_now(c);
    for (uint32_t i = 0; i < h->nothers; i++) {
        const ck_other *o = &h->others[i];
        int fits = strlen(o->name) < CK_TEXT && strlen(o->address) < CK_TEXT;
        if (fits && now - o->heard_ns < CK_HEARD_NS && !is_gone(c, o->id) &&
            !(r->nspeakers && ck_root_speaks(r, o->id)))
            return o;
    }
    return NULL;
}

/* The one that was silent for longest, if that is long. */
static uint64_t silent_one(const cr_consensus *c, const ck_root *r)
{
    int64_t most = SILENT_NS;
    uint64_t id = 0;
    for (uint32_t i = 0; i < r->nspeakers; i++) {
        int64_t ns = silence(c, &r->speakers[i]);
        if (ns < most) continue;
        most = ns;
        id = r->speakers[i].id;
    }
    return id;
}

void ck_speakers_stamp(cr_consensus *c, ck_root *next)
{
    const ck_other *o;
    for (uint32_t i = next->nspeakers; i-- > 0;)
        if (silence(c, &next->speakers[i]) == INT64_MAX)
            ck_root_speaker_drop(next, next->speakers[i].id);
    ck_root_speaker_add(next, c->k.id, next->leader.name, next->leader.address, 0);
    while ((o = waiting(c, next))) {
        uint64_t instead = silent_one(c, next);
        if (next->nspeakers == CK_SPEAKERS && !instead) return;
        ck_root_speaker_add(next, o->id, o->name, o->address, instead);
    }
}

/* A leader whose root names others than should be writes it. */
static void keep(cr_consensus *c, const ck_root *r)
{
    ck_root *next = ck_root_clone(r);
    ck_speakers_stamp(c, next);
    int same = next->nspeakers == r->nspeakers;
    for (uint32_t i = 0; same && i < r->nspeakers; i++)
        same = next->speakers[i].id == r->speakers[i].id;
    if (!same) ck_core_stamp_soon(c->core);
    ck_root_free(next);
}

/* --- whether this node is one --- */

static int all_gone(const cr_consensus *c, const ck_root *r)
{
    for (uint32_t i = 0; i < r->nspeakers; i++)
        if (r->speakers[i].id != c->k.id && !is_gone(c, r->speakers[i].id)) return 0;
    return 1;
}

static int64_t alone_at(const cr_consensus *c)
{
    return c->heard_ns + ALONE_NS + (int64_t)(c->k.id % 2000) * 1000000;
}

static int is_alone(const cr_consensus *c, const ck_root *r)
{
    return !c->heard_ns || all_gone(c, r) || ck_now(c) >= alone_at(c);
}

/* Nobody tells this node: it looks itself, less and less often. */
static void look(cr_consensus *c)
{
    int64_t now = ck_now(c);
    if (now < c->look_ns) return;
    if (c->look_ns) ck_core_root_look(c->core);
    c->look_wait = !c->look_wait ? LOOK_NS : c->look_wait * 2;
    if (c->look_wait > LOOK_MOST_NS) c->look_wait = LOOK_MOST_NS;
    const cr_plugin *p = c->store->plugin;
    uint64_t more = p->rand->u64(p->self) % (uint64_t)c->look_wait;
    c->look_ns = now + c->look_wait / 2 + (int64_t)more;
}

void ck_speakers_turn(cr_consensus *c)
{
    ck_core_view v;
    ck_core_look(c->core, &v);
    int speaker = !v.root || speaks(c, v.root);
    int listened = c->listens;
    if (v.role == CK_STOPPED) {
        ck_relay_turn(c, 0); /* what is out ends */
        return;
    }
    c->alone = !speaker && is_alone(c, v.root);
    /* one that a free place waits for need not burden others with what it reads meanwhile */
    c->listens = !speaker && !c->alone && v.root->nspeakers == CK_SPEAKERS;
    if (c->listens != listened)
        cr_say(c->store, QD_LEVEL_INFO,
               c->listens ? "Kubernetes API: %u control nodes talk to it, this one is told by them"
                          : "Kubernetes API: this control node talks to it (of at most %u)",
               c->listens ? v.root->nspeakers : (unsigned)CK_SPEAKERS);
    ck_core_candidate(c->core, !c->listens);
    if (!speaker) ck_watches_rest(c);
    if (c->alone)
        look(c);
    else
        c->look_ns = c->look_wait = 0;
    ck_relay_turn(c, listened && !c->listens);
    if (v.role != CK_LEADS || ck_now(c) - c->kept_ns < KEEP_NS) return;
    c->kept_ns = ck_now(c);
    keep(c, v.root);
}

int64_t ck_speakers_next(const cr_consensus *c)
{
    ck_core_view v;
    ck_core_look(c->core, &v);
    if (v.role == CK_STOPPED) return INT64_MAX; /* nothing follows from any moment */
    if (c->alone) return c->look_ns;
    return c->listens ? alone_at(c) : INT64_MAX;
}
