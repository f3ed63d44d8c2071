/*
 * flatten.c: flatten_graph: a graph of tokens without side paths, for an index, which keeps no
 * lengths of positions. A position's new place is the length of the longest path to it, so that on
 * no path two tokens share a position; a token on a shorter path spans what it skips.
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/emit_int.h"
#include <stdlib.h>

typedef struct arc {
    uint32_t from, to; /* new places */
    uint32_t token;
} arc;

static int by_place(const void *a, const void *b)
{
    const arc *x = a, *y = b;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    return x->token < y->token ? -1 : x->token > y->token;
}

/* The last position of the graph. */
static uint64_t last_position(const qd_tokens *t)
{
    uint64_t at = 0, last = 0;
    for (size_t i = 0; i < t->n; i++) {
        at += t->inc[i];
        if (at + t->length[i] > last) last = at + t->length[i];
    }
    return last;
}

/*
 * place[p]: of position p, 0: none yet. Tokens come by ascending start, so a start's place is final
 * when it is read; a start that no token ends at lies behind a hole, one place for each position.
 */
static void places(const qd_tokens *t, uint32_t *place, arc *arcs)
{
    uint64_t at = 0, known = 0;
    for (size_t i = 0; i < t->n; i++) {
        at += t->inc[i];
        for (; known < at; known++)
            if (!place[known + 1]) place[known + 1] = place[known] + 1;
        uint32_t *end = &place[at + t->length[i]];
        if (*end < place[at] + 1) *end = place[at] + 1;
        arcs[i] = (arc){place[at], (uint32_t)(at + t->length[i]), (uint32_t)i};
    }
    for (size_t i = 0; i < t->n; i++) arcs[i].to = place[arcs[i].to];
}

static int flatten_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)p;
    const qd_tokens *t = &s->b->t;
    if (!qd_tokens_is_graph(t)) return 0;
    qd_emit e;
    int rc = qd_emit_begin(&e, s, QD_TOKENS_INC | QD_TOKENS_LENGTH);
    uint64_t last = rc ? 0 : last_position(t);
    if (last > QD_VALUE_MAX)
        return qd_err_set(err, QD_E_ARG, "flatten_graph: the graph has too many positions");
    size_t room = (size_t)(last + 2) * sizeof(uint32_t);
    room = (room + 7) & ~(size_t)7;
    if (!rc) rc = qd_work_reserve(s, room + t->n * sizeof(arc));
    if (rc) return rc;
    uint32_t *place = s->work, at = 0;
    arc *arcs = (arc *)(void *)((char *)s->work + room);
    memset(place, 0, room);
    places(t, place, arcs);
    qsort(arcs, t->n, sizeof *arcs, by_place);
    for (size_t i = 0; !rc && i < t->n; i++) {
        qd_emit_token x = qd_emit_get(&e, arcs[i].token);
        x.inc = arcs[i].from - at;
        x.length = arcs[i].to - arcs[i].from;
        at = arcs[i].from;
        rc = qd_emit_put(&e, &x);
    }
    return rc ? rc : qd_emit_end(&e);
}

static const qd_part_ops flatten_ops = {flatten_run, qd_part_release, NULL};

int qd_make_flatten_graph(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    int rc = qd_part_alloc(c, sizeof(qd_part), QD_STAGE_FILTER, &flatten_ops, out, err);
    if (!rc) (*out)->no_synonyms = true;
    return rc;
}
