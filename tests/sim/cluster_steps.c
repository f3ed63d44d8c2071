/* cluster_steps.c: see cluster_steps.h. */
#include "cluster_steps.h"

static bool goes_on(void *arg)
{
    return cluster_goes_on(arg);
}

void pass(cluster *x, uint64_t milliseconds)
{
    (void)qd_sim_run_while(x->sim, goes_on, x, ms(milliseconds));
    (void)cluster_enter();
}

typedef struct wanted {
    cluster *x;
    bool (*done)(cluster *x);
} wanted;

static bool not_yet(void *arg)
{
    const wanted *a = arg;
    return cluster_goes_on(a->x) && !a->done(a->x);
}

/* Waits for something, which must come. */
void until(cluster *x, bool (*done)(cluster *x), uint64_t milliseconds, const char *what)
{
    wanted a = {x, done};
    (void)qd_sim_run_while(x->sim, not_yet, &a, ms(milliseconds * CLUSTER_PATIENCE));
    (void)cluster_enter();
    if (!x->w->failed && !done(x)) {
        fail(x->w, "%s after %llu ms", what, (unsigned long long)milliseconds);
    }
}

void expect(cluster *x, bool holds, const char *what)
{
    if (!holds && !x->w->failed) fail(cluster_enter(), "%s", what);
}

bool leads(cluster *x)
{
    return cluster_leader(x) >= 0;
}

bool serves(cluster *x)
{
    int id = cluster_primary(x);
    const node *n = id < 0 ? NULL : &x->w->n[id];
    return n && n->up && n->leading && n->pm.phase == REPL_ACTIVE &&
           strcmp(n->aid, x->w->record.primary) == 0 && n->pm.term == x->w->record.term;
}

bool is_green(cluster *x)
{
    x->w->quiet = true; /* as cluster_green wants it */
    bool is = cluster_green(x);
    x->w->quiet = false;
    return is;
}

bool all_down(cluster *x)
{
    for (int i = 0; i < NODES; i++) {
        if (x->m[i].now || x->m[i].before) return false;
    }
    return true;
}

void back(cluster *x, int id, uint64_t milliseconds)
{
    x->m[id].stays_down = false;
    x->m[id].start_at = x->w->now + ms(milliseconds) + 1;
}

void down(cluster *x, int id, bool power)
{
    x->m[id].stays_down = true;
    x->m[id].start_at = 0;
    if (!x->m[id].now) return;
    x->w->r->crashes++;
    proc_kill(x, id, power);
}

int some_other(cluster *x, int than)
{
    int id = (int)rnd(x->w, NODES - 1);
    return id >= than ? id + 1 : id;
}

/* A node without a copy. */
int free_node(cluster *x)
{
    int id = (int)rnd(x->w, NODES);
    while (rec_copy_of(&x->w->record, id)) id = (id + 1) % NODES;
    return id;
}

uint64_t acked(const cluster *x)
{
    return x->w->r->acked;
}

int primary(cluster *x)
{
    int id = cluster_primary(x);
    return id < 0 ? 0 : id;
}

/* The model of a log ends there. */
bool log_full(cluster *x)
{
    return x->w->n[primary(x)].d.max + 64 >= SEQS || x->w->nops + 1 >= OPS_MAX;
}
