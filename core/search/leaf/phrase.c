/*
 * phrase.c: how often a phrase occurs in one document.
 *
 * Exact: starts at which every slot has its position. Sloppy: Lucene 8's SloppyPhraseMatcher, step
 * by step, since its frequencies (a sum of 1 / (1 + distance) over the matches that it happens to
 * find) are part of Elasticsearch's scores: slots move along their positions, the least first;
 * slots that share words ("repeaters") may not stand on one word.
 */
#include "search/leaf/window_int.h"

float qdi_phrase_exact(const qdi_positions *pos, const uint32_t *offset, uint32_t n)
{
    uint32_t lead = 0, count = 0;
    uint32_t small[16] = {0}, *at = small;
    for (uint32_t s = 1; s < n; s++)
        if (pos[s].n < pos[lead].n) lead = s;
    if (n >
        QD_COUNT_OF(small)) { /* long phrases restart their searches instead of keeping places */
        for (uint32_t i = 0; i < pos[lead].n; i++) {
            bool all = true;
            for (uint32_t s = 0; s < n && all; s++) {
                int64_t want = (int64_t)pos[lead].at[i] - offset[lead] + offset[s];
                uint32_t lo = 0, hi = pos[s].n;
                while (lo < hi) {
                    uint32_t m = (lo + hi) / 2;
                    if ((int64_t)pos[s].at[m] < want)
                        lo = m + 1;
                    else
                        hi = m;
                }
                all = lo < pos[s].n && (int64_t)pos[s].at[lo] == want;
            }
            count += all;
        }
        return (float)count;
    }
    for (uint32_t i = 0; i < pos[lead].n; i++) {
        bool all = true;
        for (uint32_t s = 0; s < n && all; s++) {
            if (s == lead) continue;
            int64_t want = (int64_t)pos[lead].at[i] - offset[lead] + offset[s];
            while (at[s] < pos[s].n && (int64_t)pos[s].at[at[s]] < want) at[s]++;
            if (at[s] == pos[s].n) return (float)count;
            all = (int64_t)pos[s].at[at[s]] == want;
        }
        count += all;
    }
    return (float)count;
}

/* --- sloppy ------------------------------------------------------------------------------------
 */

typedef struct slot {
    const uint32_t *pos;
    uint32_t n, next; /* positions; next one to take */
    int64_t position; /* current one minus offset */
    int64_t offset;
    int32_t group;     /* of repeaters; -1: none */
    uint32_t in_group; /* its place there */
} slot;

struct qdi_sloppy {
    slot *slots;
    uint32_t n;
    uint32_t *queue; /* slots that wait, in no order: phrases are short */
    uint32_t queued;
    uint32_t **groups, *group_n, ngroups;
    bool multi;  /* a repeater has alternatives */
    int64_t end; /* greatest position of all slots */
};

static bool share_term(const qdi_phrase_slot *a, const qdi_phrase_slot *b)
{
    for (uint32_t i = 0; i < a->n; i++)
        for (uint32_t k = 0; k < b->n; k++)
            if (a->terms[i] == b->terms[k]) return true;
    return false;
}

struct qdi_sloppy *qdi_sloppy_make(const qdi_node *x, qd_arena *arena)
{
    uint32_t n = x->u.phrase.n;
    struct qdi_sloppy *s = qd_arena_calloc(arena, sizeof *s);
    if (!s) return NULL;
    s->n = n;
    s->slots = qd_arena_calloc(arena, n * sizeof *s->slots);
    s->queue = qd_arena_calloc(arena, n * sizeof *s->queue);
    s->groups = qd_arena_calloc(arena, n * sizeof *s->groups);
    s->group_n = qd_arena_calloc(arena, n * sizeof *s->group_n);
    if (!s->slots || !s->queue || !s->groups || !s->group_n) return NULL;
    const qdi_phrase_slot *ps = x->u.phrase.slots;
    for (uint32_t i = 0; i < n; i++) {
        s->slots[i].offset = ps[i].position;
        s->slots[i].group = -1;
    }
    /* Slots ascend by offset, so groups come out sorted by it. A later slot may join two groups
     * into one (alternatives); the higher group's members move over. */
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = i + 1; k < n; k++) {
            if (!share_term(&ps[i], &ps[k])) continue;
            s->multi |= ps[i].n > 1 || ps[k].n > 1;
            int32_t a = s->slots[i].group, b = s->slots[k].group;
            if (a < 0 && b < 0) {
                s->slots[i].group = s->slots[k].group = (int32_t)s->ngroups++;
            } else if (a < 0 || b < 0) {
                s->slots[i].group = s->slots[k].group = a < 0 ? b : a;
            } else if (a != b) {
                for (uint32_t m = 0; m < n; m++)
                    if (s->slots[m].group == b) s->slots[m].group = a;
            }
        }
    for (uint32_t g = 0; g < s->ngroups; g++) {
        s->groups[g] = qd_arena_calloc(arena, n * sizeof **s->groups);
        if (!s->groups[g]) return NULL;
        for (uint32_t i = 0; i < n; i++)
            if (s->slots[i].group == (int32_t)g) {
                s->slots[i].in_group = s->group_n[g];
                s->groups[g][s->group_n[g]++] = i;
            }
    }
    return s;
}

bool qdi_sloppy_repeats(const struct qdi_sloppy *s)
{
    return s->ngroups > 0;
}

static bool slot_next(slot *p)
{
    if (p->next == p->n) return false;
    p->position = (int64_t)p->pos[p->next++] - p->offset;
    return true;
}

static bool advance(struct qdi_sloppy *s, slot *p)
{
    if (!slot_next(p)) return false;
    if (p->position > s->end) s->end = p->position;
    return true;
}

static bool less(const slot *a, const slot *b)
{
    if (a->position != b->position) return a->position < b->position;
    return a->offset < b->offset;
}

/* Index in queue[] of the least slot. */
static uint32_t queue_least(const struct qdi_sloppy *s)
{
    uint32_t m = 0;
    for (uint32_t i = 1; i < s->queued; i++)
        if (less(&s->slots[s->queue[i]], &s->slots[s->queue[m]])) m = i;
    return m;
}
static uint32_t queue_pop(struct qdi_sloppy *s)
{
    uint32_t m = queue_least(s), i = s->queue[m];
    s->queue[m] = s->queue[--s->queued];
    return i;
}
static int64_t queue_top(const struct qdi_sloppy *s)
{
    return s->queued ? s->slots[s->queue[queue_least(s)]].position : INT64_MAX;
}

/* Place in the group of another slot on the same word as p, -1 when there is none. */
static int32_t collide(const struct qdi_sloppy *s, const slot *p)
{
    for (uint32_t i = 0; i < s->group_n[p->group]; i++) {
        const slot *q = &s->slots[s->groups[p->group][i]];
        if (q != p && q->position + q->offset == p->position + p->offset) return (int32_t)i;
    }
    return -1;
}

/* p has moved: while two repeaters stand on one word the lesser moves on; queued ones that moved
 * are queued anew (our queue has no order to mend). */
static bool advance_repeaters(struct qdi_sloppy *s, slot *p)
{
    if (p->group < 0) return true;
    int32_t k;
    while ((k = collide(s, p)) >= 0) {
        slot *q = &s->slots[s->groups[p->group][k]];
        p = less(p, q) ? p : q;
        if (!advance(s, p)) return false;
    }
    return true;
}

/* Starting places without collisions. */
static bool place_groups(struct qdi_sloppy *s)
{
    for (uint32_t g = 0; g < s->ngroups; g++) {
        if (!s->multi) { /* the j-th of a group begins at the word's j-th place */
            for (uint32_t j = 1; j < s->group_n[g]; j++)
                for (uint32_t k = 0; k < j; k++)
                    if (!slot_next(&s->slots[s->groups[g][j]])) return false;
            continue;
        }
        for (uint32_t i = 0, step; i < s->group_n[g]; i += step) {
            step = 1;
            slot *p = &s->slots[s->groups[g][i]];
            int32_t k;
            while ((k = collide(s, p)) >= 0) {
                slot *q = &s->slots[s->groups[g][k]];
                q = less(p, q) ? p : q;
                if (!advance(s, q)) return false;
                if (q->in_group < i) {
                    step = 0;
                    break;
                }
            }
        }
    }
    return true;
}

static bool place(struct qdi_sloppy *s, const qdi_positions *pos)
{
    s->end = INT64_MIN;
    for (uint32_t i = 0; i < s->n; i++) {
        s->slots[i].pos = pos[i].at;
        s->slots[i].n = pos[i].n;
        s->slots[i].next = 0;
        if (!slot_next(&s->slots[i])) return false;
    }
    if (s->ngroups && !place_groups(s)) return false;
    s->queued = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->slots[i].position > s->end) s->end = s->slots[i].position;
        s->queue[s->queued++] = i;
    }
    return true;
}

/* The next match: true with its length; *more false when it was the last. */
static bool next_match(struct qdi_sloppy *s, uint32_t slop, int64_t *length, bool *more)
{
    uint32_t i = queue_pop(s);
    slot *p = &s->slots[i];
    int64_t len = s->end - p->position, next = queue_top(s);
    while (advance(s, p)) {
        if (s->ngroups && !advance_repeaters(s, p)) break;
        if (p->position > next) { /* the current match is as short as it gets */
            s->queue[s->queued++] = i;
            if (len <= (int64_t)slop) {
                *length = len;
                return true;
            }
            i = queue_pop(s);
            p = &s->slots[i];
            next = queue_top(s);
            len = s->end - p->position;
        } else if (s->end - p->position < len) {
            len = s->end - p->position;
        }
    }
    *more = false;
    *length = len;
    return len <= (int64_t)slop;
}

float qdi_phrase_sloppy(struct qdi_sloppy *s, const qdi_positions *pos, const uint32_t *offset,
                        uint32_t n, uint32_t slop)
{
    (void)offset;
    qd_dassert(n == s->n);
    (void)n;
    if (!place(s, pos)) return 0;
    float freq = 0;
    bool more = true;
    int64_t length;
    while (more && next_match(s, slop, &length, &more)) freq += 1.0f / (1.0f + (float)length);
    return freq;
}
