/*
 * allocation_t.c: random clusters through random events: what must hold of every decision and of
 * every state that comes to rest. The checks are made from the cluster alone, not by the deciders.
 */
#include "lib/alloc_model.h"
#include "unit/unit.h"

typedef struct drill {
    alloc_model m;
    uint64_t seed;
    bool plain; /* no filters, limits, full disks: balance is reached wherever it can be */
} drill;

/* Prints the cluster of a failing seed (ALLOC_SEED=n). */
static void dump(const alloc_model *m)
{
    const qd_alloc_settings *st = &m->view.settings;
    fprintf(stderr, "# allow %d same_host %d forced %u\n", st->allow, st->same_host, st->nforced);
    for (uint32_t n = 0; n < m->view.nnodes; n++)
        fprintf(stderr, "# node %u up %d leave %d zone %.*s\n", n, m->nodes[n].up,
                m->nodes[n].leave, m->nodes[n].nattrs ? 2 : 0,
                m->nodes[n].nattrs ? m->nodes[n].attrs->value.p : "");
    for (uint32_t k = 0; k < m->view.nshards; k++) {
        const qd_alloc_shard *s = &m->shards[k];
        const qd_alloc_index *x = &m->indices[s->index];
        fprintf(stderr, "# shard %u index %u fresh %d per_node %d include %.*s exclude %.*s:", k,
                s->index, s->fresh, x->per_node, x->filters.ninclude ? 20 : 0,
                x->filters.ninclude ? x->filters.include->value.p : "",
                x->filters.nexclude ? 20 : 0,
                x->filters.nexclude ? x->filters.exclude->value.p : "");
        for (uint32_t i = 0; i < s->ncopies; i++)
            fprintf(stderr, " %c%d@%d", s->copies[i].primary ? 'p' : 'r', s->copies[i].state,
                    (int)s->copies[i].node);
        for (uint32_t i = 0; i < s->nholders; i++)
            fprintf(stderr, " h%d@%d", s->holders[i].in_sync, (int)s->holders[i].node);
        fprintf(stderr, "\n");
    }
}

static void fail_drill(const drill *d, const char *what)
{
    if (getenv("ALLOC_SEED")) dump(&d->m);
    fprintf(stderr, "# seed %llu: %s\n", (unsigned long long)d->seed, what);
    fail_msg("seed %llu: %s", (unsigned long long)d->seed, what);
}

static qd_alloc_pair *pair(alloc_model *m, const char *name, qd_str value)
{
    qd_alloc_pair *p = qd_arena_alloc(&m->arena, sizeof *p);
    if (!p) abort();
    *p = (qd_alloc_pair){qd_str_c(name), value};
    return p;
}

static void settings_draw(drill *d)
{
    alloc_model *m = &d->m;
    qd_alloc_settings *s = &m->view.settings;
    static const qd_alloc_allow allows[] = {QD_ALLOC_ALLOW_ALWAYS, QD_ALLOC_ALLOW_PRIMARIES_ACTIVE,
                                            QD_ALLOC_ALLOW_ALL_ACTIVE};
    s->allow = allows[alloc_model_draw(m, 3)];
    s->concurrent_rebalance = 1 + (int32_t)alloc_model_draw(m, 4);
    s->node_in = s->node_out = 1 + (int32_t)alloc_model_draw(m, 3);
    if (s->nawareness && !alloc_model_draw(m, 3)) {
        s->forced = pair(m, "zone", QD_STR("z0,z1,z2,z3,z4"));
        s->nforced = 1;
    }
    if (d->plain) return;
    if (!alloc_model_draw(m, 4)) s->same_host = true;
    for (uint32_t i = 0; i < m->view.nindices; i++) {
        qd_alloc_index *x = &m->indices[i];
        if (!alloc_model_draw(m, 6)) x->per_node = 1 + (int32_t)alloc_model_draw(m, 4);
        if (alloc_model_draw(m, 5)) continue;
        qd_str name = m->nodes[alloc_model_draw(m, m->view.nnodes)].name;
        if (alloc_model_draw(m, 2)) {
            x->filters.exclude = pair(m, "_name", name);
            x->filters.nexclude = 1;
        } else {
            x->filters.include =
                pair(m, "_name", qd_arena_printf(&m->arena, "%.*s,node-1*", QD_STR_ARG(name)));
            x->filters.ninclude = 1;
        }
    }
}

/* --- what must hold at rest --------------------------------------------------------------------*/

static bool lists(qd_str list, qd_str name)
{
    while (list.p) {
        qd_str v = qd_str_split(&list, ',');
        if (qd_str_eq(v, name)) return true;
        if (qd_str_ends(v, QD_STR("*")) && qd_str_starts(name, qd_str_sub(v, 0, v.n - 1)))
            return true;
    }
    return false;
}

static bool rule_filters(const alloc_model *m, const qd_alloc_index *x, uint32_t node)
{
    qd_str name = m->nodes[node].name;
    if (m->nodes[node].leave == QD_ALLOC_REMOVED) return false;
    if (x->filters.nexclude && lists(x->filters.exclude->value, name)) return false;
    return !x->filters.ninclude || lists(x->filters.include->value, name);
}

static uint32_t zone_values(const alloc_model *m, bool seen[8])
{
    uint32_t n = 0;
    if (m->view.settings.nforced)
        for (int i = 0; i < 5; i++) seen[i] = true;
    for (uint32_t i = 0; i < m->view.nnodes; i++)
        if (m->nodes[i].up) seen[m->nodes[i].attrs->value.p[1] - '0'] = true;
    for (int i = 0; i < 8; i++) n += seen[i];
    return n;
}

/* Would zone awareness allow a copy of s on node, besides those on other nodes than `but`? */
static bool rule_zone(const alloc_model *m, const qd_alloc_shard *s, uint32_t node, uint32_t but)
{
    if (!m->view.settings.nawareness) return true;
    bool seen[8] = {false};
    uint32_t values = zone_values(m, seen), copies = m->indices[s->index].replicas + 1, there = 1;
    for (uint32_t i = 0; i < s->ncopies; i++) {
        uint32_t at = s->copies[i].node;
        there += at != QD_ALLOC_NONE && at != but && m->nodes[at].up &&
                 qd_str_eq(m->nodes[at].attrs->value, m->nodes[node].attrs->value);
    }
    return there <= (copies + values - 1) / values;
}

static uint32_t index_on(const alloc_model *m, const qd_alloc_index *x, uint32_t node)
{
    uint32_t n = 0;
    for (uint32_t k = x->first; k < x->first + x->nshards; k++)
        for (uint32_t i = 0; i < m->shards[k].ncopies; i++)
            n += m->shards[k].copies[i].node == node;
    return n;
}

/* May a copy of s go to node, if it left `but`? */
static bool rule_all(const alloc_model *m, const qd_alloc_shard *s, uint32_t node, uint32_t but)
{
    const qd_alloc_index *x = &m->indices[s->index];
    if (!m->nodes[node].up || !rule_filters(m, x, node) || !rule_zone(m, s, node, but))
        return false;
    for (uint32_t i = 0; i < s->ncopies; i++) {
        uint32_t at = s->copies[i].node;
        if (at == node) return false;
        if (m->view.settings.same_host && at != QD_ALLOC_NONE && at != but &&
            qd_str_eq(m->nodes[at].host, m->nodes[node].host))
            return false;
    }
    if (x->per_node > 0 && index_on(m, x, node) >= (uint32_t)x->per_node) return false;
    return true;
}

static void check_copy(drill *d, const qd_alloc_shard *s, uint32_t i)
{
    const alloc_model *m = &d->m;
    const qd_alloc_copy *c = &s->copies[i];
    const qd_alloc_index *x = &m->indices[s->index];
    if (c->state == QD_ALLOC_UNASSIGNED) {
        bool place = false, in_sync_up = s->fresh;
        for (uint32_t n = 0; n < m->view.nnodes; n++) place |= rule_all(m, s, n, QD_ALLOC_NONE);
        for (uint32_t h = 0; h < s->nholders; h++)
            in_sync_up |= s->holders[h].in_sync && m->nodes[s->holders[h].node].up;
        if (c->primary ? (s->fresh ? place : in_sync_up)
                       : place && s->copies[0].state == QD_ALLOC_STARTED && !c->info.delayed) {
            fprintf(stderr, "# shard %u copy %u place %d\n", (unsigned)(s - m->shards), i, place);
            fail_drill(d, "a copy that has a place stays unassigned");
        }
        return;
    }
    if (c->state != QD_ALLOC_STARTED) fail_drill(d, "at rest, and not started");
    if (!m->nodes[c->node].up) fail_drill(d, "a copy on a node that is gone");
    bool may_stay = rule_filters(m, x, c->node) && rule_zone(m, s, c->node, c->node) &&
                    (x->per_node <= 0 || index_on(m, x, c->node) <= (uint32_t)x->per_node);
    if (may_stay) return;
    for (uint32_t n = 0; n < m->view.nnodes; n++)
        if (rule_all(m, s, n, c->node))
            fprintf(stderr, "# shard %u copy %u to %u\n", (unsigned)(s - m->shards), i, n),
                fail_drill(d, "a copy that may not stay could move, and stays");
}

static void check_rest(drill *d)
{
    const alloc_model *m = &d->m;
    if (m->broken) fail_drill(d, m->broken);
    bool whole = true;
    for (uint32_t k = 0; k < m->view.nshards; k++)
        for (uint32_t i = 0; i < m->shards[k].ncopies; i++) {
            check_copy(d, &m->shards[k], i);
            whole &= m->shards[k].copies[i].state == QD_ALLOC_STARTED;
        }
    if (!whole) return; /* rebalancing may be off */
    alloc_model_weights w = alloc_model_weigh(m);
    for (uint32_t k = 0; k < m->view.nshards; k++)
        for (uint32_t i = 0; i < m->shards[k].ncopies; i++)
            for (uint32_t n = 0; n < m->view.nnodes; n++) {
                double gap, gain;
                uint32_t at = m->shards[k].copies[i].node;
                if (n == at || !rule_all(m, &m->shards[k], n, at)) continue;
                gain = alloc_model_gain(m, &w, k, at, n, &gap);
                if (gain <= 0.06 || gap <= m->view.settings.threshold + 0.01) continue;
                fprintf(stderr, "# shard %u copy %u from %u to %u gains %.3f, gap %.3f\n", k, i, at,
                        n, gain, gap);
                fail_drill(d, "a move that would help is not made");
            }
}

/* --- events ------------------------------------------------------------------------------------*/

static void event(drill *d)
{
    alloc_model *m = &d->m;
    uint32_t n = (uint32_t)alloc_model_draw(m, m->view.nnodes);
    switch (alloc_model_draw(m, 6)) {
    case 0:
    case 1:
        if (m->nodes[n].up) alloc_model_kill(m, n);
        break;
    case 2:
        if (!m->nodes[n].up) alloc_model_return(m, n);
        break;
    case 3:
        m->nodes[n].leave = QD_ALLOC_REMOVED;
        break;
    case 4:
        m->nodes[n].leave = QD_ALLOC_STAYS;
        break;
    default: { /* replicas less or more */
        qd_alloc_index *x = &m->indices[alloc_model_draw(m, m->view.nindices)];
        if (x->replicas && alloc_model_draw(m, 2)) {
            x->replicas--;
        } else if (x->replicas < 4) {
            x->replicas++;
            for (uint32_t k = x->first; k < x->first + x->nshards; k++)
                ((qd_alloc_copy *)m->shards[k].copies)[m->shards[k].ncopies++] = (qd_alloc_copy){
                    .node = QD_ALLOC_NONE,
                    .partner = QD_ALLOC_NONE,
                    .info = {.why = QD_ALLOC_WHY_REPLICA_ADDED, .last_node = QD_ALLOC_NONE}};
        }
    }
    }
}

static void settle(drill *d)
{
    qd_alloc_result r;
    uint32_t limit = 60 + 4 * d->m.view.nshards * 5;
    uint32_t rounds = alloc_model_settle(&d->m, limit, &r);
    if (d->m.broken) fail_drill(d, d->m.broken);
    if (rounds >= limit) fail_drill(d, "comes to no rest");
}

static uint64_t run(uint64_t seed)
{
    drill d = {.seed = seed};
    alloc_model_shape s = {.seed = seed};
    alloc_model draw = {.random = seed ^ 0x5bd1e995};
    d.plain = alloc_model_draw(&draw, 2);
    s.nodes = 1 + (uint32_t)alloc_model_draw(&draw, 12);
    s.indices = 1 + (uint32_t)alloc_model_draw(&draw, 12);
    s.shards_max = 1 + (uint32_t)alloc_model_draw(&draw, 6);
    s.replicas = (uint32_t)alloc_model_draw(&draw, 4);
    s.zones = alloc_model_draw(&draw, 2) ? 1 + (uint32_t)alloc_model_draw(&draw, 4) : 0;
    s.size_mean = alloc_model_draw(&draw, 2) ? 3ll << 30 : 0;
    s.loads = !alloc_model_draw(&draw, 3);
    alloc_model_init(&d.m, &s);
    d.m.check_gain = true;
    settings_draw(&d);
    settle(&d);
    check_rest(&d);
    uint64_t events = 1 + alloc_model_draw(&d.m, 4);
    for (uint64_t i = 0; i < events; i++) {
        for (uint64_t k = 1 + alloc_model_draw(&d.m, 2); k--;) event(&d);
        if (alloc_model_draw(&d.m, 2)) { /* in the middle of it */
            qd_alloc_result r;
            alloc_model_round(&d.m, &r);
            alloc_model_finish(&d.m, 30);
            event(&d);
        }
        settle(&d);
        d.m.view.now_ms += 3600000; /* delays are over */
        settle(&d);
        for (uint32_t k = 0; k < d.m.view.nshards; k++) /* looked at below as not delayed */
            for (uint32_t c = 0; c < d.m.shards[k].ncopies; c++)
                ((qd_alloc_copy *)d.m.shards[k].copies)[c].info.delayed = false;
        check_rest(&d);
    }
    uint64_t trace = d.m.trace;
    alloc_model_fini(&d.m);
    return trace;
}

static void test_random(void **state)
{
    (void)state;
    const char *only = getenv("ALLOC_SEED");
    if (only) {
        run(strtoull(only, NULL, 10));
        return;
    }
    const char *many = getenv("ALLOC_SEEDS");
    uint64_t n = many ? strtoull(many, NULL, 10) : 2000;
    for (uint64_t seed = 1; seed <= n; seed++) run(seed);
}

static void test_deterministic(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) assert_true(run(seed) == run(seed));
}

/* --- pairs of nodes between which recoveries failed
 * ---------------------------------------------*/

static bool pair_failed(const alloc_model *m, uint32_t target, uint32_t source)
{
    for (uint32_t i = 0; i < m->view.nfailed_pairs; i++) {
        const qd_alloc_pair_failed *p = &m->view.failed_pairs[i];
        if (p->target == target && p->source == source) return p->until_ms > m->view.now_ms;
    }
    return false;
}

/* A replica that failed on its node is without one. */
static void fail_replica(alloc_model *m, uint32_t shard, uint32_t copy)
{
    qd_alloc_copy *c = (qd_alloc_copy *)&m->shards[shard].copies[copy];
    *c = (qd_alloc_copy){.node = QD_ALLOC_NONE,
                         .partner = QD_ALLOC_NONE,
                         .info = {.why = QD_ALLOC_WHY_ALLOCATION_FAILED,
                                  .failures = 1,
                                  .at_ms = m->view.now_ms,
                                  .last_node = c->node}};
}

static uint32_t copy_on(const alloc_model *m, uint32_t shard, uint32_t node)
{
    for (uint32_t i = 0; i < m->shards[shard].ncopies; i++) {
        if (m->shards[shard].copies[i].node == node) return i;
    }
    return QD_ALLOC_NONE;
}

/* The replica goes where the primary is heard; where there is no other node, or after a while, it
 * goes to the old one. */
static void test_failed_pair(void **state)
{
    (void)state;
    alloc_model m;
    qd_alloc_result r;
    alloc_model_init(&m, &(alloc_model_shape){.seed = 7,
                                              .nodes = 3,
                                              .indices = 1,
                                              .total = 1,
                                              .shards_max = 1,
                                              .replicas = 1,
                                              .replicas_fixed = true});
    alloc_model_settle(&m, 100, &r);
    uint32_t source = m.shards[0].copies[0].node, target = m.shards[0].copies[1].node;
    qd_alloc_pair_failed pair = {target, source, m.view.now_ms + 1000};
    m.view.failed_pairs = &pair;
    m.view.nfailed_pairs = 1;

    fail_replica(&m, 0, 1);
    alloc_model_settle(&m, 100, &r);
    assert_true(copy_on(&m, 0, 3 - source - target) != QD_ALLOC_NONE);

    fail_replica(&m, 0, copy_on(&m, 0, 3 - source - target));
    alloc_model_kill(&m, 3 - source - target);
    alloc_model_settle(&m, 100, &r);
    assert_int_equal(r.unassigned, 0);
    assert_true(copy_on(&m, 0, target) != QD_ALLOC_NONE);
    assert_null(m.broken);
    alloc_model_fini(&m);
}

/* Decisions of random clusters with failed pairs: a copy goes to a failed pair only when it has no
 * node and no other one may hold it. */
static void check_pairs(drill *d, const qd_alloc_result *r)
{
    alloc_model *m = &d->m;
    for (uint32_t i = 0; i < r->n; i++) {
        const qd_alloc_decision *x = &r->decisions[i];
        if (x->action != QD_ALLOC_ASSIGN_REPLICA && x->action != QD_ALLOC_RELOCATE) continue;
        const qd_alloc_shard *s = &m->shards[x->shard];
        uint32_t source = s->copies[0].node;
        if (!pair_failed(m, x->node, source)) continue;
        if (x->action == QD_ALLOC_RELOCATE) fail_drill(d, "a copy moves to a failed pair");
        for (uint32_t n = 0; n < m->view.nnodes; n++) {
            bool taken = false; /* in this round, by another copy */
            for (uint32_t k = 0; k < r->n; k++)
                taken |= r->decisions[k].shard == x->shard && r->decisions[k].node == n;
            if (!taken && rule_all(m, s, n, QD_ALLOC_NONE) && !pair_failed(m, n, source))
                fail_drill(d, "a failed pair is chosen before another node");
        }
    }
}

static void test_failed_pairs_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        drill d = {.seed = seed, .plain = true};
        qd_alloc_pair_failed pairs[6];
        qd_alloc_result r;
        alloc_model_init(&d.m, &(alloc_model_shape){.seed = seed,
                                                    .nodes = 3 + (uint32_t)(seed % 5),
                                                    .indices = 4,
                                                    .shards_max = 3,
                                                    .replicas = 2});
        alloc_model *m = &d.m;
        settle(&d);
        for (uint32_t i = 0; i < 6; i++) {
            pairs[i] =
                (qd_alloc_pair_failed){(uint32_t)alloc_model_draw(m, m->view.nnodes),
                                       (uint32_t)alloc_model_draw(m, m->view.nnodes), INT64_MAX};
        }
        m->view.failed_pairs = pairs;
        m->view.nfailed_pairs = 6;
        for (uint32_t k = 0; k < m->view.nshards; k++) {
            for (uint32_t c = 1; c < m->shards[k].ncopies; c++) {
                if (alloc_model_draw(m, 2)) fail_replica(m, k, c);
            }
        }
        if (alloc_model_draw(m, 2)) event(&d);
        for (uint32_t i = 0; i < 60; i++) {
            assert_int_equal(qd_allocation_round(&m->view, &m->arena, &r, NULL), 0);
            check_pairs(&d, &r);
            alloc_model_apply(m, &r);
            if (m->broken) fail_drill(&d, m->broken);
            alloc_model_finish(m, 50);
        }
        alloc_model_fini(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failed_pair),
        cmocka_unit_test(test_failed_pairs_random),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_deterministic),
    };
    return unit_run(tests);
}
