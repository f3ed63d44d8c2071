/* collect.c: counters, fan-out and the score filter. */
#include "search/collect/collect.h"
#include <math.h>

static int count_collect(qd_collector *c, const qd_hits *hits, qd_err *err)
{
    (void)err;
    qd_count_collector *x = (qd_count_collector *)c;
    x->n += hits->n;
    return x->stop_at && x->n >= x->stop_at ? QD_COLLECT_ALL_DONE : 0;
}

static const qd_collector_vt count_vt = {.collect = count_collect};

void qd_count_collector_init(qd_count_collector *c, uint64_t stop_at)
{
    *c = (qd_count_collector){.c = {.vt = &count_vt, .flags = QD_COLLECT_BITS}, .stop_at = stop_at};
}

static int multi_plan(qd_collector *c, const qd_leaf *leaf, qd_reads *reads, qd_err *err)
{
    qd_multi_collector *m = (qd_multi_collector *)c;
    for (uint32_t i = 0; i < m->n; i++) {
        int rc = m->at[i]->vt->plan && m->state[i] != QD_COLLECT_ALL_DONE
                     ? m->at[i]->vt->plan(m->at[i], leaf, reads, err)
                     : 0;
        if (rc < 0) return rc;
    }
    return 0;
}

/* The state all members have reached: the least of theirs. */
static int multi_state(const qd_multi_collector *m)
{
    int least = QD_COLLECT_ALL_DONE;
    for (uint32_t i = 0; i < m->n; i++) least = m->state[i] < least ? m->state[i] : least;
    return least;
}

static int multi_begin(qd_collector *c, const qd_leaf *leaf, qd_reads *reads, qd_err *err)
{
    qd_multi_collector *m = (qd_multi_collector *)c;
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->state[i] == QD_COLLECT_ALL_DONE) continue;
        int rc = m->at[i]->vt->begin ? m->at[i]->vt->begin(m->at[i], leaf, reads, err) : 0;
        if (rc < 0) return rc;
        m->state[i] = (uint8_t)rc;
    }
    return multi_state(m);
}

static int multi_collect(qd_collector *c, const qd_hits *hits, qd_err *err)
{
    qd_multi_collector *m = (qd_multi_collector *)c;
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->state[i] != 0) continue;
        int rc = m->at[i]->vt->collect(m->at[i], hits, err);
        if (rc < 0) return rc;
        m->state[i] = (uint8_t)rc;
    }
    return multi_state(m);
}

static int multi_end(qd_collector *c, const qd_leaf *leaf, qd_err *err)
{
    qd_multi_collector *m = (qd_multi_collector *)c;
    for (uint32_t i = 0; i < m->n; i++) {
        int rc = m->at[i]->vt->end ? m->at[i]->vt->end(m->at[i], leaf, err) : 0;
        if (rc < 0) return rc;
        if (m->state[i] == QD_COLLECT_LEAF_DONE) m->state[i] = 0;
    }
    return 0;
}

static float multi_threshold(qd_collector *c)
{
    qd_multi_collector *m = (qd_multi_collector *)c;
    float least = INFINITY;
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->state[i] != 0) continue;
        float t = m->at[i]->vt->threshold ? m->at[i]->vt->threshold(m->at[i]) : 0;
        least = t < least ? t : least;
    }
    return least;
}

static const qd_collector_vt multi_vt = {
    .plan = multi_plan,
    .begin = multi_begin,
    .collect = multi_collect,
    .end = multi_end,
    .threshold = multi_threshold,
};

void qd_multi_collector_init(qd_multi_collector *c, qd_collector *const *at, uint32_t n)
{
    qd_assert(n <= QD_MULTI_COLLECTOR_MAX);
    uint32_t bits = QD_COLLECT_BITS;
    *c = (qd_multi_collector){.c = {.vt = &multi_vt}, .n = n};
    for (uint32_t i = 0; i < n; i++) {
        c->at[i] = at[i];
        c->c.flags |= at[i]->flags;
        bits &= at[i]->flags;
    }
    if (!bits) c->c.flags &= ~QD_COLLECT_BITS; /* all of them or none */
}

static int min_score_plan(qd_collector *c, const qd_leaf *leaf, qd_reads *reads, qd_err *err)
{
    qd_collector *in = ((qd_min_score_collector *)c)->inner;
    return in->vt->plan ? in->vt->plan(in, leaf, reads, err) : 0;
}

static int min_score_begin(qd_collector *c, const qd_leaf *leaf, qd_reads *reads, qd_err *err)
{
    qd_collector *in = ((qd_min_score_collector *)c)->inner;
    return in->vt->begin ? in->vt->begin(in, leaf, reads, err) : 0;
}

static int min_score_end(qd_collector *c, const qd_leaf *leaf, qd_err *err)
{
    qd_collector *in = ((qd_min_score_collector *)c)->inner;
    return in->vt->end ? in->vt->end(in, leaf, err) : 0;
}

static int min_score_collect(qd_collector *c, const qd_hits *hits, qd_err *err)
{
    qd_min_score_collector *m = (qd_min_score_collector *)c;
    uint32_t n = 0;
    for (uint32_t i = 0; i < hits->n; i++) {
        m->docs[n] = hits->docs[i];
        m->scores[n] = hits->scores[i];
        n += hits->scores[i] >= m->min_score;
    }
    if (!n) return 0;
    qd_hits kept = {.leaf = hits->leaf, .docs = m->docs, .scores = m->scores, .n = n};
    return m->inner->vt->collect(m->inner, &kept, err);
}

static float min_score_threshold(qd_collector *c)
{
    qd_min_score_collector *m = (qd_min_score_collector *)c;
    float t = m->inner->vt->threshold ? m->inner->vt->threshold(m->inner) : 0;
    return t > m->min_score ? t : m->min_score;
}

static const qd_collector_vt min_score_vt = {
    .plan = min_score_plan,
    .begin = min_score_begin,
    .collect = min_score_collect,
    .end = min_score_end,
    .threshold = min_score_threshold,
};

void qd_min_score_collector_init(qd_min_score_collector *c, qd_collector *inner, float min_score)
{
    c->c = (qd_collector){.vt = &min_score_vt, .flags = QD_COLLECT_SCORES};
    c->inner = inner;
    c->min_score = min_score;
}
