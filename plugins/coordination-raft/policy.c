/* policy.c: see policy.h. */
#include "policy.h"

static int alive(const cr_policy *p, const cr_fact *f)
{
    return f->heard_ms < p->alive_ms;
}

/* A stand-by that may vote at once; NULL: none. */
static const cr_fact *candidate(const cr_policy *p, const cr_fact *f, uint32_t n, uint32_t *count)
{
    const cr_fact *best = NULL;
    *count = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (f[i].role != QD_COORD_STANDBY || f[i].excluded || !f[i].caught_up || !alive(p, &f[i]))
            continue;
        ++*count;
        if (!best) best = &f[i];
    }
    return best;
}

/* The voter to do without: an excluded one, else the one that is silent longest, else the last. */
static const cr_fact *spare(const cr_policy *p, const cr_fact *f, uint32_t n, uint64_t self)
{
    const cr_fact *worst = NULL;
    for (uint32_t i = 0; i < n; i++) {
        if (f[i].role != QD_COORD_VOTER || f[i].id == self) continue;
        if (!worst) {
            worst = &f[i];
        } else if (f[i].excluded != worst->excluded) {
            if (f[i].excluded) worst = &f[i];
        } else if (alive(p, &f[i]) != alive(p, worst)) {
            if (!alive(p, &f[i])) worst = &f[i];
        } else {
            worst = &f[i];
        }
    }
    return worst;
}

static cr_step role(const cr_fact *f, uint32_t to)
{
    return (cr_step){CR_STEP_ROLE, f->id, to};
}

cr_step cr_policy_step(const cr_policy *p, const cr_fact *f, uint32_t n, uint64_t self,
                       uint64_t even_since_ms)
{
    const cr_step none = {CR_STEP_NONE, 0, 0};
    uint32_t voters = 0, others = 0, candidates;
    const cr_fact *out = NULL, *dead = NULL, *joining = NULL;
    for (uint32_t i = 0; i < n; i++) {
        if (f[i].role == QD_COORD_STANDBY && alive(p, &f[i]) && !f[i].excluded) joining = &f[i];
        if (f[i].role != QD_COORD_VOTER) continue;
        voters++;
        others += f[i].id != self && alive(p, &f[i]) && !f[i].excluded;
        if (f[i].excluded) out = &f[i];
        if (f[i].heard_ms > p->replace_ms) dead = &f[i];
    }
    const cr_fact *more = candidate(p, f, n, &candidates);
    /* who shall not vote goes first, but never the last who can */
    if (out && more && voters < CR_VOTERS_MAX) return role(more, QD_COORD_VOTER);
    if (out && voters > 1) {
        if (out->id != self) return role(out, QD_COORD_STANDBY);
        return others ? (cr_step){CR_STEP_HAND_OVER, 0, 0} : none;
    }
    if (voters > CR_VOTERS_MAX) /* formed by a longer list */
        return role(dead ? dead : spare(p, f, n, self), QD_COORD_STANDBY);
    if (voters % 2 == 0) {
        const cr_fact *s = spare(p, f, n, self);
        if (dead && voters > 2) return role(dead, QD_COORD_STANDBY);
        if (more && voters < CR_VOTERS_MAX) return role(more, QD_COORD_VOTER);
        if (voters > 2 && s && !joining) return role(s, QD_COORD_STANDBY);
        if (voters == 2 && s && !joining && even_since_ms > p->even_ms)
            return role(s, QD_COORD_STANDBY);
        return none;
    }
    if (dead && more && voters > 1) return role(more, QD_COORD_VOTER); /* the dead one goes next */
    if (candidates >= 2 && voters + 2 <= CR_VOTERS_MAX) return role(more, QD_COORD_VOTER);
    return none;
}
