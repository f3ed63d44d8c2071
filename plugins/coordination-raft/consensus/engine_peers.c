/* engine_peers.c: messages and lives. See engine.h. */
#include "engine_int.h"

static uint64_t life_of(const cr_wal_peer *at, uint32_t n, uint64_t id)
{
    for (uint32_t i = 0; i < n; i++)
        if (at[i].id == id) return at[i].life;
    return 0;
}

uint64_t cr_engine_peer_life(const cr_engine *e, uint64_t id, int durable)
{
    return durable ? life_of(e->lives_durable, e->nlives_durable, id)
                   : life_of(e->lives, e->nlives, id);
}

static void life_note(cr_engine *e, cr_wal_peer p)
{
    uint32_t i = 0;
    while (i < e->nlives && e->lives[i].id != p.id) i++;
    if (i == CR_WAL_PEERS_MAX) {
        memmove(e->lives, e->lives + 1, (CR_WAL_PEERS_MAX - 1) * sizeof p);
        i--;
    } else if (i == e->nlives) {
        e->nlives++;
    }
    e->lives[i] = p;
    cr_lives_write(e, p);
}

void cr_engine_send(cr_engine *e, const cr_message *m)
{
    cr_core_view v;
    if (!e->config.send) return;
    cr_core_look(e->core, &v);
    cr_envelope envelope = {.group = e->group,
                            .life = e->life,
                            .durable = v.durable,
                            .your_life = cr_engine_peer_life(e, m->to, 0)};
    const cr_member *to = cr_members_find(v.members, m->to);
    e->message.n = 0;
    cr_message_write(m, &envelope, &e->message);
    e->config.send(e->config.arg, m->to, to ? to->address : (qd_str){NULL, 0}, e->message.p,
                   e->message.n);
}

/* Tells a peer how its life is known here. */
static void tell_life(cr_engine *e, uint64_t to, uint64_t term)
{
    cr_message m = {.type = CR_NOTHING, .from = e->config.id, .to = to, .term = term};
    cr_engine_send(e, &m);
}

static void burnt(cr_engine *e, const cr_envelope *v)
{
    char why[400];
    if (v->your_life == CR_LIFE_BURNT)
        snprintf(why, sizeof why,
                 "the other members know of entries that had been durable here and are gone: this "
                 "folder is an old copy, or its disk lost what it had acknowledged; remove this "
                 "member, empty the folder, and add it again");
    else
        snprintf(why, sizeof why,
                 "this folder is an old copy: it is opened for the %lluth time, but the other "
                 "members have seen it opened %llu times; put the newer one back, or remove this "
                 "member, empty the folder, and add it again",
                 (unsigned long long)e->life, (unsigned long long)v->your_life);
    cr_engine_fail(e, why);
}

/* 1 when the sender is let in. */
static int let_in(cr_engine *e, const cr_message *m, const cr_envelope *v)
{
    if (CR_BROKEN(CR_BAD_LIFE_IGNORED)) return 1;
    if (v->your_life > e->life) {
        burnt(e, v);
        return 0;
    }
    uint64_t known = cr_engine_peer_life(e, m->from, 0), match, heard;
    if (v->life < known) {
        if (m->type != CR_NOTHING) tell_life(e, m->from, m->term);
        return 0;
    }
    if (v->life == known) return 1;
    /* a new life of a peer whose log this leader knows: it must be there */
    int lost = known && cr_core_peer(e->core, m->from, &match, &heard) == 0 && match > v->durable;
    life_note(e, (cr_wal_peer){m->from, lost ? CR_LIFE_BURNT : v->life});
    if (lost && m->type != CR_NOTHING) tell_life(e, m->from, m->term);
    return !lost;
}

void cr_engine_receive(cr_engine *e, const uint8_t *p, size_t n, uint64_t now)
{
    cr_message m;
    cr_envelope v;
    if (now > e->now) e->now = now;
    if (e->failed || e->stopped) return;
    if (cr_message_read(e->heap, p, n, &m, &v)) {
        e->dropped++;
        return;
    }
    if (v.group != e->group || m.to != e->config.id || m.from == e->config.id || v.life == 0 ||
        v.life == CR_LIFE_BURNT) {
        e->dropped++;
        cr_message_clear(e->heap, &m);
        return;
    }
    if (let_in(e, &m, &v) && m.type != CR_NOTHING)
        cr_core_receive(e->core, &m, e->now);
    else
        cr_message_clear(e->heap, &m);
}
