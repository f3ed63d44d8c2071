/* engine_peers.c: messages and lives. See engine.h. */
#include "engine_int.h"

static const cr_wal_peer *find(const cr_wal_peer *at, uint32_t n, uint64_t id)
{
    for (uint32_t i = 0; i < n; i++)
        if (at[i].id == id) return &at[i];
    return NULL;
}

uint64_t cr_engine_peer_life(const cr_engine *e, uint64_t id, int durable)
{
    const cr_wal_peer *p =
        durable ? find(e->lives_durable, e->nlives_durable, id) : find(e->lives, e->nlives, id);
    return p ? p->life : 0;
}

static void life_note(cr_engine *e, cr_wal_peer p)
{
    cr_wal_peer_note(e->lives, &e->nlives, p);
    cr_lives_write(e, p);
}

/* The nonce of a life of this folder; 0: too long ago. */
static uint32_t nonce_of(const cr_engine *e, uint64_t life)
{
    return life && life <= e->life && life + CR_WAL_LIVES > e->life ? e->nonces[life % CR_WAL_LIVES]
                                                                    : 0;
}

void cr_engine_send(cr_engine *e, const cr_message *m)
{
    cr_core_view v;
    if (!e->config.send) return;
    cr_core_look(e->core, &v);
    const cr_wal_peer *known = find(e->lives, e->nlives, m->to);
    const cr_wal_peer *asked = find(e->asked, e->nasked, m->to);
    cr_envelope envelope = {.group = e->group,
                            .life = e->life,
                            .nonce = nonce_of(e, e->life),
                            .durable = v.durable,
                            .proof_life = asked ? asked->life : 0,
                            .proof = asked ? nonce_of(e, asked->life) : 0,
                            .your_life = known ? known->life : 0,
                            .your_nonce = known ? known->nonce : 0};
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

/* 0 when this folder is not what the others know of it. */
static int am_known(cr_engine *e, const cr_message *m, const cr_envelope *v)
{
    char why[400];
    uint32_t mine = nonce_of(e, v->your_life);
    if (v->your_life == 0) return 1;
    if (v->your_life <= e->life &&
        (mine == v->your_nonce || v->your_life + CR_WAL_LIVES <= e->life)) {
        cr_wal_peer_note(e->asked, &e->nasked, (cr_wal_peer){m->from, v->your_life, 0});
        return 1;
    }
    if (v->your_life == CR_LIFE_BURNT)
        snprintf(why, sizeof why,
                 "the other members know of entries that had been durable here and are gone: this "
                 "folder is an old copy, or its disk lost what it had acknowledged; remove this "
                 "member, empty the folder, and add it again");
    else
        snprintf(why, sizeof why,
                 "this folder is an old copy: the other members know it from its opening number "
                 "%llu, which it does not remember (it is now opened for the %lluth time); put the "
                 "newer one back, or remove this member, empty the folder, and add it again",
                 (unsigned long long)v->your_life, (unsigned long long)e->life);
    cr_engine_fail(e, why);
    return 0;
}

/* 1 when a new life of a peer is heir to the one known; -1: that cannot be told yet. */
static int is_heir(const cr_wal_peer *known, const cr_envelope *v)
{
    if (v->life < known->life) return 0;
    if (v->life == known->life) return v->nonce == known->nonce;
    if (v->proof_life != known->life) return -1;
    return v->proof == known->nonce || (v->proof == 0 && v->life >= known->life + CR_WAL_LIVES);
}

/* 1 when the sender is let in. */
static int let_in(cr_engine *e, const cr_message *m, const cr_envelope *v)
{
    const cr_wal_peer *known = find(e->lives, e->nlives, m->from);
    if (QD_MUTANT(raft, LIFE_IGNORED)) {
        if (!known || v->life > known->life)
            life_note(e, (cr_wal_peer){m->from, v->life, v->nonce});
        return 1;
    }
    if (!am_known(e, m, v)) return 0;
    if (known && is_heir(known, v) != 1) {
        if (m->type != CR_NOTHING || v->life > known->life) tell_life(e, m->from, m->term);
        return 0;
    }
    if (known && v->life == known->life) return 1;
    /* a new life of a peer whose log this leader knows: it must be there, if no other leader can
     * have cut it */
    cr_core_view core;
    uint64_t match, heard;
    cr_core_look(e->core, &core);
    int lost = known && m->term == core.term + (m->type == CR_PREVOTE) &&
               cr_core_peer(e->core, m->from, &match, &heard) == 0 && match > v->durable;
    life_note(e, (cr_wal_peer){m->from, lost ? CR_LIFE_BURNT : v->life, v->nonce});
    if (lost) tell_life(e, m->from, m->term);
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
