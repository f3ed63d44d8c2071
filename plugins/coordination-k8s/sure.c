/*
 * sure.c: does this leader lead still? Its lease says so by its own clock, and the clocks of a
 * machine that its host paused stand still. So for renewals of sessions and the like, which no
 * write or reading of the root stands behind, everyone known who might lead in its place is asked,
 * after they came: all of them know this one as the leader, and do not lead. Where one does not
 * answer, or there is none, the root is read.
 *
 *   bytes  u8 kind
 *          SURE: u64 the sender's id, u64 number
 *          SURE_ANSWER: u64 the sender's id, u64 number, u8 1: yes
 *
 * Who knows an earlier version only does not answer.
 */
#include "k8s.h"
#include "mutants.h"

#define ANSWER_NS 300000000ll  /* then the root is read */
#define SILENT_NS 3000000000ll /* who was not heard for so long is not waited for */
enum { ASK_BYTES = 17, ANSWER_BYTES = 18 };

static int is_gone(const cr_consensus *c, uint64_t id)
{
    for (uint32_t i = 0; i < c->ngone; i++)
        if (c->gone[i] == id) return 1;
    return 0;
}

static int add(ck_poll *p, uint64_t id)
{
    for (uint32_t i = 0; i < p->n; i++)
        if (p->ids[i] == id) return 1;
    if (p->n == CK_POLL_MAX) return 0;
    p->ids[p->n++] = id;
    return 1;
}

/* Who might lead. 0: not all of them can be asked, or there are none. */
static int whom(cr_consensus *c, ck_poll *p)
{
    const cr_home *h = &c->store->home;
    ck_core_view v;
    int64_t now = ck_now(c);
    ck_core_look(c->core, &v);
    for (uint32_t i = 0; i < h->nothers; i++) {
        const ck_other *o = &h->others[i];
        if (o->id == c->k.id || is_gone(c, o->id)) continue;
        if (now - o->heard_ns > SILENT_NS || !add(p, o->id)) return 0;
    }
    uint32_t heard = p->n;
    for (uint32_t i = 0; v.root && i < v.root->nspeakers; i++) {
        uint64_t id = v.root->speakers[i].id;
        if (id == c->k.id || is_gone(c, id)) continue;
        if (!add(p, id) || p->n > heard) return 0;
    }
    return p->n > 0;
}

int ck_sure_ask(cr_consensus *c, cr_read_wait *r)
{
    uint8_t text[ASK_BYTES] = {CK_SAY_SURE};
    ck_poll *p = NULL, made = {.wait = r};
    if (!c->k.send || !ck_core_sure(c->core, (uint64_t)ck_now(c))) return 0;
    for (size_t i = 0; i < CK_POLLS; i++)
        if (!c->polls[i].wait) p = &c->polls[i];
    if (!p) return 0;
    if (!whom(c, &made) && !QD_MUTANT(coord, SURE_BY_CLOCK)) return 0;
    if (QD_MUTANT(coord, SURE_BY_CLOCK)) made.n = 0;
    made.number = ++c->polled;
    made.until_ns = ck_now(c) + ANSWER_NS;
    *p = made;
    cr_store64(text + 1, c->k.id);
    cr_store64(text + 9, p->number);
    for (uint32_t i = 0; i < made.n; i++) ck_others_say(c, made.ids[i], text, sizeof text);
    return 1;
}

int64_t ck_sure_next(const cr_consensus *c)
{
    int64_t at = INT64_MAX;
    for (size_t i = 0; i < CK_POLLS; i++) {
        const ck_poll *p = &c->polls[i];
        if (p->wait && (p->n ? p->until_ns : 0) < at) at = p->n ? p->until_ns : 0;
    }
    return at;
}

void ck_sure_turn(cr_consensus *c)
{
    int64_t now = ck_now(c);
    for (size_t i = 0; i < CK_POLLS; i++) {
        ck_poll *p = &c->polls[i];
        cr_read_wait *r = p->wait;
        if (!r || (p->n && now < p->until_ns)) continue;
        int sure = !p->n && ck_core_sure(c->core, (uint64_t)now);
        p->wait = NULL;
        int32_t rc = sure ? 0 : ck_core_read(c->core, r);
        if (sure || rc) ck_read_done(c, r, rc);
    }
}

static void answer(cr_consensus *c, uint64_t to, const uint8_t *number)
{
    uint8_t text[ANSWER_BYTES] = {CK_SAY_SURE_ANSWER};
    ck_core_view v;
    ck_core_look(c->core, &v);
    cr_store64(text + 1, c->k.id);
    memcpy(text + 9, number, 8);
    text[17] = v.role != CK_LEADS && v.leader == to;
    ck_others_say(c, to, text, sizeof text);
}

void ck_sure_receive(cr_consensus *c, const uint8_t *p, size_t n)
{
    if (n == ASK_BYTES && p[0] == CK_SAY_SURE) answer(c, cr_load64(p + 1), p + 9);
    if (n != ANSWER_BYTES || p[0] != CK_SAY_SURE_ANSWER) return;
    for (size_t i = 0; i < CK_POLLS; i++) {
        ck_poll *x = &c->polls[i];
        if (!x->wait || x->number != cr_load64(p + 9)) continue;
        if (!p[17]) x->until_ns = 0;
        for (uint32_t k = 0; k < x->n && p[17]; k++)
            if (x->ids[k] == cr_load64(p + 1)) x->ids[k--] = x->ids[--x->n];
        ck_soon(c);
    }
}

void ck_sure_stop(cr_consensus *c)
{
    for (size_t i = 0; i < CK_POLLS; i++) c->polls[i].wait = NULL;
}
