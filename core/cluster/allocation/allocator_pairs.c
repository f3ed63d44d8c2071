/* allocator_pairs.c: nodes between which recoveries failed lately. See allocator_int.h. */
#include "base/str.h"
#include "cluster/allocation/allocator_int.h"
#include <stdio.h>
#include <string.h>

static void keep(qd_allocator *a, qd_str target, qd_str source, int64_t until_ms)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < a->npairs; i++) {
        qd_alloc_pair_fact *p = &a->pairs[i];
        if (qd_str_is(target, p->target) && qd_str_is(source, p->source)) {
            if (until_ms > p->until_ms) p->until_ms = until_ms;
            return;
        }
        if (p->until_ms < a->pairs[at].until_ms) at = i;
    }
    if (a->npairs < QD_ALLOC_PAIRS_MAX) at = a->npairs++;
    qd_alloc_pair_fact *p = &a->pairs[at];
    p->until_ms = until_ms;
    snprintf(p->target, sizeof p->target, "%.*s", QD_STR_ARG(target));
    snprintf(p->source, sizeof p->source, "%.*s", QD_STR_ARG(source));
}

void qdi_allocator_pairs_keep(qd_allocator *a, const qd_alloc_view *view)
{
    a->npairs = 0; /* the view has those that were kept and still count */
    for (uint32_t i = 0; i < view->nfailed_pairs; i++) {
        const qd_alloc_pair_failed *p = &view->failed_pairs[i];
        keep(a, view->nodes[p->target].id, view->nodes[p->source].id, p->until_ms);
    }
}

static void moves_of(qd_allocator *a, const qd_state *s, const qd_shard_meta *was,
                     const qd_shard_meta *is, int64_t until_ms)
{
    const qd_copy *primary = qd_shard_meta_primary(is);
    if (!primary || !qd_str_eq(was->primary, is->primary) || was->primary_term != is->primary_term)
        return;
    for (uint32_t i = 0; i < was->ncopies; i++) {
        const qd_copy *target = &was->copies[i];
        if (!qd_copy_is_target(target) || qd_shard_meta_copy(is, target->allocation_id)) continue;
        const qd_copy *from = qd_shard_meta_copy(is, target->partner);
        if (!from || from->state != QD_SHARD_STARTED || !qd_state_copy_lives(s, target)) continue;
        keep(a, target->node, primary->node, until_ms);
    }
}

typedef struct looking {
    qd_allocator *a;
    const qd_state *s;
    int64_t until_ms;
} looking;

static int moves_of_index(void *arg, const qd_state_difference *d)
{
    const looking *l = arg;
    if (!d->was || !d->is || d->was->closed != d->is->closed) return 0; /* closing ends moves */
    for (uint32_t k = 0; k < d->is->shards && k < d->was->shards; k++) {
        const qd_shard_meta *was = &d->was_shards[k], *is = &d->is_shards[k];
        if (was->mod_revision != is->mod_revision) moves_of(l->a, l->s, was, is, l->until_ms);
    }
    return 0;
}

void qdi_allocator_pairs_moves(qd_allocator *a, const qd_state *before, const qd_state *s)
{
    looking l = {a, s, qd_env_wall_ms(a->c->env) + QD_ALLOC_PAIR_MS};
    if (before) (void)qd_state_diff(before, s, moves_of_index, &l);
}
