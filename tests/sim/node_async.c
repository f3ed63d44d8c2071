/*
 * node_async.c: durability: async. What was acknowledged under it may be lost, but only with a
 * crash, and only what was acknowledged within a sync's interval before one; once all nodes have
 * heard of a change to `request` nothing more may. What counts is the setting of the moment at
 * which an operation was acknowledged, or first seen.
 */
#include "base/str.h"
#include "node_int.h"

/* until a sync that is due has begun, on a node that has other things to do */
#define LOOK_MS 600

void async_begin(world *w)
{
    w->async = chance(w, 0.27);
    w->interval_ms = 100 + rnd(w, 900);
    if (!w->async) return;
    w->r->async++;
    w->span[w->nspans++] = (async_span){0, UINT64_MAX};
}

void async_settings(const world *w, char *out, size_t n)
{
    snprintf(out, n,
             "\"index.translog.durability\":\"%s\",\"index.translog.sync_interval\":\"%llums\"",
             w->async ? "async" : "request", (unsigned long long)w->interval_ms);
}

/* --- what may have been lost ------------------------------------------------------------------ */

void async_stands(world *w, int id, uint64_t until_ns)
{
    machine *m = &w->m[id];
    if (now_ns(w) > m->stood_until) m->stood_ns = 0;
    /* what it puts off waits for the end that was set first, whatever is set on top */
    if (until_ns > m->stood_until) {
        m->stood_ns += until_ns - now_ns(w);
        m->stood_until = until_ns;
    }
}

/* From when on what a machine acknowledged may not be on its disk. */
static uint64_t unsynced_since(const world *w, const machine *m)
{
    uint64_t now = now_ns(w), since = ms(w->interval_ms + LOOK_MS);
    /* one that began while they were slow ends later */
    if (m->slow_until + since + 3 * ms(m->slow_ms) > now) since += 3 * ms(m->slow_ms);
    if (m->stood_until + since > now) since += m->stood_ns;
    return now > since ? now - since : 0;
}

static void crash(world *w, int id, uint64_t until_ns)
{
    if (w->ncrashes == CRASHES_MAX) abort();
    w->crash[w->ncrashes++] = (crash_of){unsynced_since(w, &w->m[id]), now_ns(w), until_ns};
}

void async_crashed(world *w, int id)
{
    if (w->async && w->m[id].data) crash(w, id, now_ns(w));
}

/* Its shards fail, like by a crash, with one of the next syncs. */
void async_sync_fails(world *w, int id)
{
    if (w->async && w->m[id].data) crash(w, id, now_ns(w) + ms(4 * w->interval_ms + 2000));
}

static bool promised_less(const world *w, const hop *h)
{
    for (uint32_t i = 0; i < w->nspans; i++)
        if (h->begin <= w->span[i].to && h->end >= w->span[i].from) return true;
    return false;
}

bool async_may_be_lost(const world *w, const hop *h, uint64_t by_ns)
{
    const hop *first = h;
    for (uint32_t k = 1; k <= w->nops && w->async; k++) { /* who knew of it first? */
        const hop *x = &w->op[k];
        bool known = x->state == S_OK || x->state == S_CONFLICT;
        bool term = x->term < 0 || h->term < 0 || x->term == h->term;
        if (known && x->doc == h->doc && x->seq == h->seq && term && x->end < first->end &&
            (x->kind == O_AUTO) == (h->kind == O_AUTO))
            first = x;
    }
    if (!w->async || !promised_less(w, first)) return false;
    for (uint32_t i = 0; i < w->ncrashes; i++) {
        const crash_of *c = &w->crash[i];
        if (first->end >= c->from && first->begin <= c->until && c->at <= by_ns) return true;
    }
    return false;
}

/* --- an operator ------------------------------------------------------------------------------ */

static bool set(world *w, bool async)
{
    answer a;
    char body[100];
    int node = (int)rnd(w, NODES);
    for (int i = 0; i < NODES && !proc_serves(w->m[node].now); i++) node = (node + 1) % NODES;
    snprintf(body, sizeof body, "{\"index.translog.durability\":\"%s\"}",
             async ? "async" : "request");
    ask(w, node, "PUT", "/" INDEX "/_settings", body, 4000, &a);
    trace(w, "%s: %d %.100s", body, a.status, a.body.p ? a.body.p : "");
    bool done = a.status == 200 && strstr(a.body.p, "\"acknowledged\":true");
    answer_fini(&a);
    return done;
}

/* Every node with data that is there obeys the setting: an answer does not wait for one that is cut
 * off, and keeps its promise as soon as that one hears of it. */
static bool all_sync(const world *w)
{
    for (int i = 0; i < NODES; i++) {
        const proc *p = w->m[i].now;
        if (!p) continue;
        if (!proc_takes_part(p)) return false;
        qd_state *s = qd_cluster_state(p->a.cluster);
        const qd_index_meta *m = qd_state_index(s, QD_STR(INDEX));
        bool syncs = m && qd_values_i64(m->values, QD_IX_TRANSLOG_DURABILITY) == 0;
        qd_state_unref(s);
        if (!syncs) return false;
    }
    return true;
}

void async_run(void *arg)
{
    world *w = arg;
    bool changes = chance(w, 0.6), back = chance(w, 0.5);
    uint64_t wait = 500 + rnd(w, 5000);
    qd_env_sleep_ns(w->env, ms(wait));
    for (int turn = 0; changes && turn < (back ? 3 : 1); turn++) {
        bool async = turn == 1, done = false;
        if (async) w->span[w->nspans++] = (async_span){now_ns(w), UINT64_MAX};
        for (int i = 0; i < 10 && !done && !w->quiet && !w->failed; i++) {
            done = set(w, async);
            if (!done) qd_env_sleep_ns(w->env, ms(300));
        }
        if (!done) break;
        while (!async && !all_sync(w) && !w->quiet && !w->failed) qd_env_sleep_ns(w->env, ms(5));
        if (!async && w->quiet) break;
        if (!async) w->span[w->nspans - 1].to = now_ns(w);
        w->r->durability_changes += !async;
        qd_env_sleep_ns(w->env, ms(500 + rnd(w, 2500)));
    }
    w->clients--;
}
