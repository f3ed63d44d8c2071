/* repl_util.c: what a world of repl machines needs whoever turns it. See repl_sim.h. */
#include "repl_sim.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t rnd(world *w, uint64_t n)
{
    return n ? qd_prng_below(&w->prng, n) : 0;
}
bool chance(world *w, double p)
{
    return qd_prng_double(&w->prng) < p;
}
uint64_t us(uint64_t n)
{
    return n * 1000;
}
uint64_t ms(uint64_t n)
{
    return n * 1000000;
}

void fail(world *w, const char *fmt, ...)
{
    if (w->failed) return;
    w->failed = true;
    va_list a;
    va_start(a, fmt);
    int n = snprintf(w->r->violation, sizeof w->r->violation, "%.3f s: ", (double)w->now / 1e9);
    vsnprintf(w->r->violation + n, sizeof w->r->violation - (size_t)n, fmt, a);
    va_end(a);
    if (getenv("STOP_THERE")) abort(); /* to be looked at with a debugger */
}

void trace(world *w, const char *fmt, ...)
{
    if (!w->trace) return;
    va_list a;
    va_start(a, fmt);
    printf("# %10.4f ", (double)w->now / 1e9);
    vprintf(fmt, a);
    printf("\n");
    va_end(a);
}

uint64_t local_ns(const world *w, const node *n)
{
    uint64_t now = w->now < n->halt_until ? n->halt_at : w->now - (n->halt_until - n->halt_at);
    return n->base + (uint64_t)((double)(now - n->lost) * n->rate);
}

uint64_t fsync_delay(world *w)
{
    if (!w->quiet && chance(w, 0.01)) return ms(rnd(w, 400));
    return us(100 + rnd(w, 2000));
}

/* --- the record ------------------------------------------------------------------------------- */

const scopy *rec_copy(const srec *r, const char *aid)
{
    for (uint32_t i = 0; i < r->n && aid[0]; i++) {
        if (r->copies[i].state != QD_SHARD_UNASSIGNED && strcmp(r->copies[i].aid, aid) == 0) {
            return &r->copies[i];
        }
    }
    return NULL;
}
bool rec_in_sync(const srec *r, const char *aid)
{
    for (uint32_t i = 0; i < r->nsync; i++) {
        if (strcmp(r->sync[i].aid, aid) == 0) return true;
    }
    return false;
}
int node_of(const char *name)
{
    return name[0] == 'n' ? name[1] - '0' : -1;
}
const scopy *rec_copy_of(const srec *r, int id)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (r->copies[i].state != QD_SHARD_UNASSIGNED && node_of(r->copies[i].node) == id) {
            return &r->copies[i];
        }
    }
    return NULL;
}
