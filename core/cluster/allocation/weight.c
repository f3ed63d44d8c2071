/*
 * weight.c: what imbalance is, and which node is the best place for a copy.
 *
 * Imbalance is half the sum over nodes of a·shards² + c·bytes² + d·load², and over indices and
 * nodes of b·copies². A move of a copy of z bytes and load l from m to n lessens it by a (S_m - S_n
 * - 1) + c z (B_m - B_n - z) + d l (L_m - L_n - l) + b (s_m - s_n - 1), so a node is the better the
 * smaller a S + c z B + d l L + b s is on it. Each dimension is balanced for itself: nodes with
 * many small shards are not set off against nodes with few large ones.
 *
 * a and b are Elasticsearch's settings; c is such that a shard of mean size weighs as many bytes as
 * balance.disk_usage says, d likewise with a shard of mean load and balance.write_load. On clusters
 * with less than 4 TB for a node the bytes count up to fifty times more, so that they are balanced
 * too (down to a GB).
 *
 * Copies of about the same size and load form a class; per group of nodes (one zone, one set of
 * roles) and class a tournament tree knows the best node: O(log nodes) for each change.
 */
#include "cluster/allocation/allocation_int.h"
#include <math.h>

#define SIZES 15
#define LOADS 4

static uint32_t raw_class(const alloc_work *w, double bytes, double load)
{
    int z = 0;
    uint32_t l = 0;
    if (bytes > 0 && w->mean_bytes > 0) {
        for (double at = w->mean_bytes / 256; at < bytes && z < SIZES - 1; at *= 2) z++;
    }
    if (load > 0) l = load < w->mean_load / 2 ? 1 : load < w->mean_load * 2 ? 2 : 3;
    return l * SIZES + (uint32_t)z;
}

static uint32_t class_of(const alloc_work *w, uint32_t g)
{
    const qd_alloc_shard *s = alloc_shard_of(w, g);
    return w->class_of[raw_class(w, (double)s->size, w->view->indices[s->index].write_load)];
}

/* Mean size and load of the copies that have any, the classes in use, the factors. */
static void factors_make(alloc_work *w)
{
    const qd_alloc_view *v = w->view;
    const qd_alloc_settings *st = &v->settings;
    double bytes = 0, load = 0, sized = 0, loaded = 0;
    for (uint32_t g = 0; g < w->ncopies; g++) {
        if (w->state[g] >= ALLOC_TARGET) continue;
        const qd_alloc_shard *s = alloc_shard_of(w, g);
        double l = v->indices[s->index].write_load;
        if (s->size > 0) bytes += (double)s->size, sized++;
        if (l > 0) load += l, loaded++;
    }
    w->mean_bytes = sized > 0 ? bytes / sized : 0;
    w->mean_load = loaded > 0 ? load / loaded : 0;
    w->a = st->balance_shard;
    w->b = st->balance_index;
    w->threshold = st->threshold;
    if (w->mean_bytes > 0 && w->ndata) {
        double each = bytes / w->ndata, more = 4e12 / each;
        more = more < 1 ? 1 : more > 50 ? 50 : more;
        w->c = st->balance_disk * more / w->mean_bytes;
    }
    if (w->mean_load > 0) w->d = st->balance_load / w->mean_load;
    memset(w->class_of, 0xff, sizeof w->class_of);
    for (uint32_t g = 0; g < w->ncopies; g++) {
        if (w->state[g] >= ALLOC_TARGET) continue;
        const qd_alloc_shard *s = alloc_shard_of(w, g);
        double l = v->indices[s->index].write_load;
        uint32_t raw = raw_class(w, (double)s->size, l);
        if (w->class_of[raw] != 255) continue;
        w->class_of[raw] = (uint8_t)w->nclasses;
        double middle = w->mean_bytes / 256 * 0.7; /* of size class 0, and so on by doubling */
        for (uint32_t z = raw % SIZES; z; z--) middle *= 2;
        w->classes[w->nclasses++] = (alloc_class){s->size > 0 ? middle : 0, l};
    }
}

/* --- groups ------------------------------------------------------------------------------------*/

static bool same_group(const alloc_work *w, uint32_t a, uint32_t b)
{
    for (uint32_t t = 0; t < w->nawareness; t++)
        if (w->value[t][a] != w->value[t][b]) return false;
    return qd_str_eq(w->view->nodes[a].roles, w->view->nodes[b].roles);
}

static int groups_make(alloc_work *w)
{
    const qd_alloc_view *v = w->view;
    size_t m = (size_t)v->nnodes + 1;
    w->group_of = qd_arena_alloc(w->arena, m * sizeof *w->group_of);
    w->leaf_of = qd_arena_alloc(w->arena, m * sizeof *w->leaf_of);
    if (!w->group_of || !w->leaf_of) return QD_E_NOMEM;
    uint32_t first[ALLOC_GROUPS_MAX];
    bool many = false;
    for (uint32_t n = 0; n < v->nnodes; n++) {
        w->group_of[n] = QD_ALLOC_NONE;
        if (!w->data[n]) continue;
        uint32_t k = 0;
        while (k < w->ngroups && !same_group(w, n, first[k])) k++;
        if (k == ALLOC_GROUPS_MAX) {
            many = true;
            break;
        }
        if (k == w->ngroups) first[w->ngroups++] = n;
        w->group_of[n] = k;
    }
    if (many) { /* as many values as nodes: one group, and the deciders sort it out */
        w->ngroups = 1;
        for (uint32_t n = 0; n < v->nnodes; n++) w->group_of[n] = w->data[n] ? 0 : QD_ALLOC_NONE;
    }
    for (uint32_t k = 0; k < w->ngroups; k++) {
        uint32_t *list = qd_arena_alloc(w->arena, m * sizeof *list), n = 0;
        if (!list) return QD_E_NOMEM;
        for (uint32_t i = 0; i < v->nnodes; i++)
            if (w->group_of[i] == k) w->leaf_of[i] = n, list[n++] = i;
        w->groups[k] = (alloc_group){list, n};
    }
    for (size_t i = 0; i < w->sigs.n; i++)
        for (uint32_t n = 0; n < v->nnodes; n++)
            if (alloc_sig_has(&w->sigs.at[i], n) && w->group_of[n] != QD_ALLOC_NONE)
                w->sigs.at[i].groups |= 1ull << w->group_of[n];
    return 0;
}

/* --- trees -------------------------------------------------------------------------------------*/

static uint32_t winner(const alloc_tree *t, uint32_t at)
{
    return at >= t->leaves ? at - t->leaves : t->win[at];
}

static void tree_set(alloc_tree *t, uint32_t leaf, double key)
{
    t->key[leaf] = key;
    for (uint32_t at = (t->leaves + leaf) / 2; at; at /= 2) {
        uint32_t l = winner(t, at * 2), r = winner(t, at * 2 + 1);
        t->win[at] = t->key[r] < t->key[l] ? r : l;
    }
}

static uint32_t tree_best(const alloc_tree *t)
{
    return t->leaves > 1 ? t->win[1] : 0;
}

static int trees_make(alloc_work *w)
{
    size_t n = (size_t)w->ngroups * w->nclasses + 1;
    w->trees = qd_arena_calloc(w->arena, n * sizeof *w->trees);
    w->front = qd_arena_alloc(w->arena, ((size_t)w->view->nnodes * 4 + 64) * sizeof *w->front);
    if (!w->trees || !w->front) return QD_E_NOMEM;
    for (uint32_t k = 0; k < w->ngroups; k++)
        for (uint32_t c = 0; c < w->nclasses; c++) {
            alloc_tree *t = &w->trees[k * w->nclasses + c];
            for (t->leaves = 1; t->leaves < w->groups[k].n;) t->leaves *= 2;
            t->key = qd_arena_alloc(w->arena, t->leaves * sizeof *t->key);
            t->win = qd_arena_calloc(w->arena, t->leaves * sizeof *t->win);
            if (!t->key || !t->win) return QD_E_NOMEM;
            for (uint32_t i = 0; i < t->leaves; i++)
                t->key[i] = i < w->groups[k].n ? alloc_key(w, &w->plan, w->groups[k].nodes[i],
                                                           w->classes[c].bytes, w->classes[c].load)
                                               : INFINITY;
            for (uint32_t at = t->leaves - 1; at; at--) {
                uint32_t l = winner(t, at * 2), r = winner(t, at * 2 + 1);
                t->win[at] = t->key[r] < t->key[l] ? r : l;
            }
        }
    return 0;
}

void qdi_alloc_weight_touch(alloc_work *w, uint32_t node)
{
    if (!w->trees || w->group_of[node] == QD_ALLOC_NONE) return;
    alloc_tree *t = &w->trees[w->group_of[node] * w->nclasses];
    for (uint32_t c = 0; c < w->nclasses; c++)
        tree_set(&t[c], w->leaf_of[node],
                 alloc_key(w, &w->plan, node, w->classes[c].bytes, w->classes[c].load));
}

int qdi_alloc_weights_make(alloc_work *w, qd_err *err)
{
    factors_make(w);
    if (groups_make(w) || trees_make(w)) return qd_err_nomem(err, "weights of nodes");
    return 0;
}

/* --- gains and places --------------------------------------------------------------------------*/

double qdi_alloc_gain(const alloc_work *w, const alloc_world *o, uint32_t g, uint32_t node,
                      double *gap)
{
    const qd_alloc_shard *s = alloc_shard_of(w, g);
    double z = (double)s->size, l = w->view->indices[s->index].write_load;
    uint32_t at = o->node[g];
    double d = alloc_key(w, o, at, z, l) - alloc_key(w, o, node, z, l) +
               w->b * ((double)qdi_alloc_count(o, s->index, at) -
                       (double)qdi_alloc_count(o, s->index, node));
    if (gap) *gap = d;
    return d - (w->a + w->b + w->c * z * z + w->d * l * l);
}

double qdi_alloc_gain_bound(const alloc_work *w, uint32_t g)
{
    const qd_alloc_shard *s = alloc_shard_of(w, g);
    if (w->sigs.at[w->sig_of[s->index]].list) return INFINITY; /* few nodes: looked at exactly */
    double z = (double)s->size, l = w->view->indices[s->index].write_load;
    uint32_t at = w->plan.node[g], c = class_of(w, g);
    const alloc_class *k = &w->classes[c];
    uint64_t groups = w->sigs.at[w->sig_of[s->index]].groups;
    double best = INFINITY;
    for (uint32_t i = 0; i < w->ngroups; i++) {
        if (!(groups >> i & 1)) continue;
        const alloc_tree *t = &w->trees[i * w->nclasses + c];
        double key = t->key[tree_best(t)];
        if (key < best) best = key;
    }
    if (best == INFINITY) return -INFINITY;
    /* in the measure of the class, whose size may be off by a factor of 1.5 */
    double d = alloc_key(w, &w->plan, at, k->bytes, k->load) - best;
    double index = w->b * ((double)qdi_alloc_count(&w->plan, s->index, at) - 1);
    double least = w->a + w->c * z * z + w->d * l * l;
    return 1.5 * d + index - least;
}

typedef struct best_place {
    uint32_t node;
    double key;
} best_place;

static void consider(alloc_work *w, uint32_t g, uint32_t n, best_place *b)
{
    const qd_alloc_shard *s = alloc_shard_of(w, g);
    double key = alloc_key(w, &w->plan, n, (double)s->size, w->view->indices[s->index].write_load) +
                 w->b * qdi_alloc_count(&w->plan, s->index, n);
    if (b->node == QD_ALLOC_NONE || key < b->key) *b = (best_place){n, key};
}

void qdi_alloc_hint(alloc_work *w, uint32_t g, uint32_t *node, double *score)
{
    const alloc_sig *sig = &w->sigs.at[w->sig_of[alloc_shard_of(w, g)->index]];
    uint32_t c = class_of(w, g);
    if (sig->list) { /* few nodes: no guess is needed */
        uint32_t n = qdi_alloc_find(w, g);
        if (n != QD_ALLOC_NONE && qdi_alloc_worth(w, g, n, score)) *node = n;
        return;
    }
    for (uint32_t k = 0; k < w->ngroups; k++) {
        if (!(sig->groups >> k & 1)) continue;
        uint32_t n = w->groups[k].nodes[tree_best(&w->trees[k * w->nclasses + c])];
        double worth;
        if (n == w->plan.node[g] || !qdi_alloc_worth(w, g, n, &worth)) continue;
        if (*node != QD_ALLOC_NONE && worth <= *score) continue;
        if (w->ngroups > 1 && qdi_alloc_zone_full(w, g, n)) continue;
        *node = n;
        *score = worth;
    }
}

#define CONSIDERED 3 /* allowed nodes of a group that are weighed exactly */

/* Subtrees still to be looked into, the one with the best node first. */
typedef struct frontier {
    const alloc_tree *t;
    uint32_t *at, n;
} frontier;

static double front_key(const frontier *f, uint32_t i)
{
    return f->t->key[winner(f->t, f->at[i])];
}

static void front_push(frontier *f, uint32_t node)
{
    uint32_t i = f->n++;
    double key = f->t->key[winner(f->t, node)];
    for (; i && front_key(f, (i - 1) / 2) > key; i = (i - 1) / 2) f->at[i] = f->at[(i - 1) / 2];
    f->at[i] = node;
}

static uint32_t front_pop(frontier *f)
{
    uint32_t top = f->at[0], last = f->at[--f->n], i = 0;
    double key = f->t->key[winner(f->t, last)];
    for (uint32_t k; (k = 2 * i + 1) < f->n; i = k) {
        if (k + 1 < f->n && front_key(f, k + 1) < front_key(f, k)) k++;
        if (front_key(f, k) >= key) break;
        f->at[i] = f->at[k];
    }
    f->at[i] = last;
    return top;
}

/* The best of a group: its nodes in order of weight until some were allowed. */
static void search_group(alloc_work *w, uint32_t g, uint32_t k, uint32_t c, best_place *b)
{
    const alloc_tree *t = &w->trees[k * w->nclasses + c];
    frontier f = {t, w->front, 0};
    uint32_t good = 0;
    /* one node speaks for its zone */
    if (w->ngroups > 1 && qdi_alloc_zone_full(w, g, w->groups[k].nodes[tree_best(t)])) return;
    front_push(&f, 1);
    while (f.n && good < CONSIDERED) {
        uint32_t at = front_pop(&f), leaf = winner(t, at);
        if (t->key[leaf] == INFINITY) break;
        while (at < t->leaves) { /* what stands beside the way down to the leaf */
            uint32_t l = at * 2, r = l + 1;
            bool left = winner(t, l) == leaf;
            front_push(&f, left ? r : l);
            at = left ? l : r;
        }
        uint32_t node = w->groups[k].nodes[leaf];
        if (node == w->plan.node[g] || qdi_alloc_allowed(w, &w->plan, g, node) != QD_ALLOC_YES)
            continue;
        consider(w, g, node, b);
        good++;
    }
}

uint32_t qdi_alloc_find_but(alloc_work *w, uint32_t g, uint32_t avoid)
{
    best_place b = {QD_ALLOC_NONE, 0};
    for (uint32_t n = 0; n < w->view->nnodes; n++)
        if (n != avoid && w->data[n] && n != w->plan.node[g] &&
            qdi_alloc_allowed(w, &w->plan, g, n) == QD_ALLOC_YES)
            consider(w, g, n, &b);
    return b.node;
}

uint32_t qdi_alloc_find(alloc_work *w, uint32_t g)
{
    const alloc_sig *sig = &w->sigs.at[w->sig_of[alloc_shard_of(w, g)->index]];
    best_place b = {QD_ALLOC_NONE, 0};
    if (sig->list) {
        for (uint32_t i = 0; i < sig->n; i++)
            if (sig->list[i] != w->plan.node[g] &&
                qdi_alloc_allowed(w, &w->plan, g, sig->list[i]) == QD_ALLOC_YES)
                consider(w, g, sig->list[i], &b);
        return b.node;
    }
    uint32_t c = class_of(w, g);
    for (uint32_t k = 0; k < w->ngroups; k++)
        if (sig->groups >> k & 1) search_group(w, g, k, c, &b);
    return b.node;
}
