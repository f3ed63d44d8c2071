/* alloc_model.c: see alloc_model.h. */
#include "lib/alloc_model.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t alloc_model_draw(alloc_model *m, uint64_t n)
{
    uint64_t z = (m->random += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (z ^ (z >> 31)) % n;
}

static void *zeroed(alloc_model *m, size_t n)
{
    void *p = qd_arena_calloc(&m->arena, n ? n : 1);
    if (!p) abort();
    return p;
}

/* A skewed size: most are small, a few a hundred times the mean. */
static int64_t skewed(alloc_model *m, int64_t mean)
{
    if (!mean) return 0;
    double u = (double)(alloc_model_draw(m, 1000000) + 1) / 1000001.0;
    double v = pow(u, -0.62) - 1.0; /* Pareto */
    if (v > 60) v = 60;
    return (int64_t)(v * (double)mean * 0.7) + 1;
}

static void nodes_make(alloc_model *m, const alloc_model_shape *s)
{
    m->nodes = zeroed(m, s->nodes * sizeof *m->nodes);
    for (uint32_t n = 0; n < s->nodes; n++) {
        qd_alloc_node *x = &m->nodes[n];
        x->id = x->name = qd_arena_printf(&m->arena, "node-%u", n);
        x->host = qd_arena_printf(&m->arena, "host-%u", n / 2);
        x->ip = qd_arena_printf(&m->arena, "10.0.%u.%u", n / 512, n / 2 % 256);
        x->publish_ip = x->ip;
        x->roles = QD_STR("di");
        x->version = QD_STR("1.0.0");
        x->version_number = 1 << 16;
        x->up = true;
        x->disk_total = x->disk_free = s->disk;
        if (!s->zones) continue;
        qd_alloc_pair *p = zeroed(m, sizeof *p);
        *p = (qd_alloc_pair){QD_STR("zone"), qd_arena_printf(&m->arena, "z%u", n % s->zones)};
        x->attrs = p;
        x->nattrs = 1;
    }
}

static void index_make(alloc_model *m, const alloc_model_shape *s, uint32_t i, uint32_t nshards,
                       uint32_t *at)
{
    qd_alloc_index *x = &m->indices[i];
    x->name = x->uuid = qd_arena_printf(&m->arena, "index-%u", i);
    x->first = *at;
    x->nshards = nshards;
    x->replicas =
        s->replicas_fixed ? s->replicas : (uint32_t)alloc_model_draw(m, (uint64_t)s->replicas + 1);
    x->created_ms = 1000 + i;
    x->priority = 1;
    x->per_node = -1;
    x->max_retries = 5;
    x->delay_ms = 60000;
    int64_t size = skewed(m, s->size_mean);
    if (s->loads && !alloc_model_draw(m, 10))
        x->write_load = 0.01 + (double)alloc_model_draw(m, 100) / 100;
    for (uint32_t k = 0; k < nshards; k++) {
        qd_alloc_shard *sh = &m->shards[(*at)++];
        qd_alloc_copy *c = zeroed(m, ALLOC_MODEL_COPIES * sizeof *c);
        sh->index = i;
        sh->number = k;
        /* shards of an index are alike, though never the same */
        sh->size =
            size ? size - size / 8 + (int64_t)alloc_model_draw(m, (uint64_t)size / 4 + 1) : 0;
        sh->fresh = true;
        sh->copies = c;
        sh->ncopies = x->replicas + 1;
        for (uint32_t j = 0; j < sh->ncopies; j++)
            c[j] = (qd_alloc_copy){
                .node = QD_ALLOC_NONE,
                .partner = QD_ALLOC_NONE,
                .primary = !j,
                .info = {.why = QD_ALLOC_WHY_INDEX_CREATED, .last_node = QD_ALLOC_NONE}};
        sh->holders = zeroed(m, ALLOC_MODEL_COPIES * sizeof *sh->holders);
    }
}

void alloc_model_init(alloc_model *m, const alloc_model_shape *s)
{
    *m = (alloc_model){.random = s->seed};
    qd_arena_init(&m->arena, &qd_account_general, 0);
    nodes_make(m, s);
    uint32_t *sizes = zeroed(m, s->indices * sizeof *sizes), total = 0;
    for (uint32_t i = 0; i < s->indices; i++)
        total += sizes[i] = s->total ? 1 : 1 + (uint32_t)alloc_model_draw(m, s->shards_max);
    while (total < s->total) { /* skewed as well: some indices get many */
        uint64_t i = alloc_model_draw(m, s->indices);
        if (alloc_model_draw(m, 4)) i /= 4;
        sizes[i]++;
        total++;
    }
    m->indices = zeroed(m, s->indices * sizeof *m->indices);
    m->shards = zeroed(m, total * sizeof *m->shards);
    m->sum_shards = zeroed(m, s->nodes * sizeof *m->sum_shards);
    m->sum_bytes = zeroed(m, s->nodes * sizeof *m->sum_bytes);
    m->sum_load = zeroed(m, s->nodes * sizeof *m->sum_load);
    uint32_t at = 0;
    for (uint32_t i = 0; i < s->indices; i++) index_make(m, s, i, sizes[i], &at);
    m->view = (qd_alloc_view){.now_ms = 1000000,
                              .nodes = m->nodes,
                              .nnodes = s->nodes,
                              .indices = m->indices,
                              .nindices = s->indices,
                              .shards = m->shards,
                              .nshards = total};
    qd_alloc_settings_default(&m->view.settings);
    if (s->zones) {
        qd_str *a = zeroed(m, sizeof *a);
        *a = QD_STR("zone");
        m->view.settings.awareness = a;
        m->view.settings.nawareness = 1;
    }
}

void alloc_model_fini(alloc_model *m)
{
    qd_arena_fini(&m->arena);
}

/* --- carrying out ------------------------------------------------------------------------------*/

#define BREAK(...)                                                                                 \
    do {                                                                                           \
        if (!m->broken) {                                                                          \
            snprintf(m->text, sizeof m->text, __VA_ARGS__);                                        \
            m->broken = m->text;                                                                   \
        }                                                                                          \
        return;                                                                                    \
    } while (0)

static qd_alloc_copy *copies(qd_alloc_shard *s)
{
    return (qd_alloc_copy *)s->copies;
}
static qd_alloc_holder *holders(qd_alloc_shard *s)
{
    return (qd_alloc_holder *)s->holders;
}

static qd_str new_id(alloc_model *m)
{
    return qd_arena_printf(&m->arena, "a%u", m->ids++);
}

static void holder_add(alloc_model *m, qd_alloc_shard *s, uint32_t node, bool in_sync, qd_str id)
{
    uint32_t k = 0;
    while (k < s->nholders && s->holders[k].node != node) k++;
    if (k == ALLOC_MODEL_COPIES) {
        for (k = 0; k < s->nholders && s->holders[k].in_sync;) k++;
        if (k == s->nholders) BREAK("too many holders");
    }
    if (k == s->nholders) s->nholders++;
    holders(s)[k] = (qd_alloc_holder){node, id, in_sync};
}

static void holder_drop(qd_alloc_shard *s, uint32_t node)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < s->nholders; k++)
        if (s->holders[k].node != node) holders(s)[n++] = s->holders[k];
    s->nholders = n;
}

static bool active(const qd_alloc_copy *c)
{
    return c->state == QD_ALLOC_STARTED || c->state == QD_ALLOC_RELOCATING;
}

static void slot_remove(qd_alloc_shard *s, uint32_t i)
{
    for (uint32_t k = i; k + 1 < s->ncopies; k++) copies(s)[k] = s->copies[k + 1];
    s->ncopies--;
    for (uint32_t k = 0; k < s->ncopies; k++) {
        uint32_t *p = &copies(s)[k].partner;
        if (*p == QD_ALLOC_NONE) continue;
        if (*p == i)
            *p = QD_ALLOC_NONE;
        else if (*p > i)
            --*p;
    }
}

static bool occupied(const qd_alloc_shard *s, uint32_t node)
{
    for (uint32_t i = 0; i < s->ncopies; i++)
        if (s->copies[i].node == node) return true;
    return false;
}

/* What holds of any place a copy is put to, whatever else the settings say. */
static void check_place(alloc_model *m, const qd_alloc_decision *d)
{
    const qd_alloc_shard *s = &m->shards[d->shard];
    const qd_alloc_node *n = &m->nodes[d->node];
    if (occupied(s, d->node)) BREAK("shard %u: a second copy on node %u", d->shard, d->node);
    if (!n->up) BREAK("shard %u: put on node %u, which is down", d->shard, d->node);
    if (n->leave == QD_ALLOC_REMOVED && d->source != QD_ALLOC_FROM_DISK)
        BREAK("shard %u: put on node %u, which is emptied", d->shard, d->node);
}

/* --- imbalance ---------------------------------------------------------------------------------*/

static void sum_add(alloc_model *m, const qd_alloc_shard *s, uint32_t node, int d)
{
    m->sum_shards[node] += d;
    m->sum_bytes[node] += (double)s->size * d;
    m->sum_load[node] += m->indices[s->index].write_load * d;
}

alloc_model_weights alloc_model_weigh(const alloc_model *m)
{
    double bytes = 0, load = 0, sized = 0, loaded = 0;
    uint32_t data = 0;
    for (uint32_t n = 0; n < m->view.nnodes; n++) data += m->nodes[n].up;
    for (uint32_t k = 0; k < m->view.nshards; k++) {
        const qd_alloc_shard *s = &m->shards[k];
        double slots = m->indices[s->index].replicas + 1, l = m->indices[s->index].write_load;
        if (s->size) bytes += (double)s->size * slots, sized += slots;
        if (l > 0) load += l * slots, loaded += slots;
    }
    const qd_alloc_settings *st = &m->view.settings;
    alloc_model_weights w = {st->balance_shard, st->balance_index, 0, 0};
    if (sized > 0) {
        double more = 4e12 * data / bytes;
        more = more < 1 ? 1 : more > 50 ? 50 : more;
        w.byte = st->balance_disk * more * sized / bytes;
    }
    if (loaded > 0) w.load = st->balance_load * loaded / load;
    return w;
}

static double index_copies(const alloc_model *m, uint32_t index, uint32_t node)
{
    const qd_alloc_index *x = &m->indices[index];
    double n = 0;
    for (uint32_t k = x->first; k < x->first + x->nshards; k++)
        for (uint32_t i = 0; i < m->shards[k].ncopies; i++)
            n += m->shards[k].copies[i].node == node &&
                 m->shards[k].copies[i].state != QD_ALLOC_RELOCATING;
    return n;
}

double alloc_model_gain(const alloc_model *m, const alloc_model_weights *w, uint32_t shard,
                        uint32_t from, uint32_t to, double *gap)
{
    const qd_alloc_shard *s = &m->shards[shard];
    double z = (double)s->size, l = m->indices[s->index].write_load;
    *gap = w->shard * (m->sum_shards[from] - m->sum_shards[to]) +
           w->byte * z * (m->sum_bytes[from] - m->sum_bytes[to]) +
           w->load * l * (m->sum_load[from] - m->sum_load[to]) +
           w->index * (index_copies(m, s->index, from) - index_copies(m, s->index, to));
    return *gap - w->shard - w->index - w->byte * z * z - w->load * l * l;
}

static void check_helps(alloc_model *m, const qd_alloc_decision *d)
{
    uint32_t from = m->shards[d->shard].copies[d->copy].node;
    if (!m->check_gain || !qd_str_starts(d->reason, QD_STR("moves from"))) return;
    alloc_model_weights w = alloc_model_weigh(m);
    double gap;
    if (alloc_model_gain(m, &w, d->shard, from, d->node, &gap) <= 0)
        BREAK("shard %u: a move from %u to %u that does not help (%.3f): %.*s", d->shard, from,
              d->node, alloc_model_gain(m, &w, d->shard, from, d->node, &gap),
              QD_STR_ARG(d->reason));
}

static void apply_primary(alloc_model *m, const qd_alloc_decision *d)
{
    qd_alloc_shard *s = &m->shards[d->shard];
    qd_alloc_copy *c = &copies(s)[d->copy];
    check_place(m, d);
    if (!c->primary || c->state != QD_ALLOC_UNASSIGNED)
        BREAK("shard %u: primary assigned in state %d", d->shard, c->state);
    c->allocation_id = new_id(m);
    if (s->fresh != (d->source == QD_ALLOC_FROM_NOTHING))
        BREAK("shard %u: fresh %d, made from %d", d->shard, s->fresh, d->source);
    if (d->source == QD_ALLOC_FROM_DISK) {
        if (d->holder >= s->nholders || s->holders[d->holder].node != d->node ||
            !s->holders[d->holder].in_sync)
            BREAK("shard %u: a primary from files that are not in sync", d->shard);
        c->allocation_id = s->holders[d->holder].allocation_id;
        holder_drop(s, d->node);
        c->in_sync = true;
    }
    c->node = d->node;
    c->state = QD_ALLOC_INITIALIZING;
    sum_add(m, s, d->node, 1);
}

static bool primary_active(const qd_alloc_shard *s)
{
    for (uint32_t i = 0; i < s->ncopies; i++)
        if (s->copies[i].primary && active(&s->copies[i])) return true;
    return false;
}

static void apply_replica(alloc_model *m, const qd_alloc_decision *d)
{
    qd_alloc_shard *s = &m->shards[d->shard];
    qd_alloc_copy *c = &copies(s)[d->copy];
    check_place(m, d);
    if (c->primary || c->state != QD_ALLOC_UNASSIGNED)
        BREAK("shard %u: replica assigned in state %d", d->shard, c->state);
    if (!primary_active(s)) BREAK("shard %u: replica without a primary", d->shard);
    if (c->info.delayed && c->info.at_ms + m->indices[s->index].delay_ms > m->view.now_ms &&
        !m->nodes[c->info.last_node].up && m->nodes[c->info.last_node].leave != QD_ALLOC_REMOVED)
        BREAK("shard %u: replica made before its delay is over", d->shard);
    holder_drop(s, d->node);
    c->allocation_id = new_id(m);
    c->node = d->node;
    c->state = QD_ALLOC_INITIALIZING;
    sum_add(m, s, d->node, 1);
}

static void apply_promote(alloc_model *m, const qd_alloc_decision *d)
{
    qd_alloc_shard *s = &m->shards[d->shard];
    qd_alloc_copy *c = &copies(s)[d->copy];
    if (!active(c) || !c->in_sync || !m->nodes[c->node].up || c->lost)
        BREAK("shard %u: promoted a copy that is not active and in sync", d->shard);
    for (uint32_t i = 0; i < s->ncopies; i++) copies(s)[i].primary = false;
    c->primary = true;
    if (c->partner != QD_ALLOC_NONE) copies(s)[c->partner].primary = true;
}

static void apply_relocate(alloc_model *m, const qd_alloc_decision *d)
{
    qd_alloc_shard *s = &m->shards[d->shard];
    qd_alloc_copy *c = &copies(s)[d->copy];
    check_place(m, d);
    if (c->state != QD_ALLOC_STARTED) BREAK("shard %u: moves in state %d", d->shard, c->state);
    if (s->ncopies == ALLOC_MODEL_COPIES) BREAK("too many copies");
    check_helps(m, d);
    sum_add(m, s, c->node, -1);
    sum_add(m, s, d->node, 1);
    holder_drop(s, d->node);
    c->state = QD_ALLOC_RELOCATING;
    c->partner = s->ncopies;
    copies(s)[s->ncopies++] = (qd_alloc_copy){.node = d->node,
                                              .partner = d->copy,
                                              .state = QD_ALLOC_INITIALIZING,
                                              .primary = c->primary,
                                              .allocation_id = new_id(m),
                                              .info = {.last_node = QD_ALLOC_NONE}};
}

/* Removals are collected: places among the copies hold until all decisions are applied. */
static void apply_remove(alloc_model *m, const qd_alloc_decision *d)
{
    qd_alloc_shard *s = &m->shards[d->shard];
    qd_alloc_copy *c = &copies(s)[d->copy];
    if (c->node != QD_ALLOC_NONE && (active(c) || c->in_sync)) {
        if (!c->in_sync) BREAK("shard %u: active and not in sync", d->shard);
        holder_add(m, s, c->node, d->in_sync, c->allocation_id);
    }
    if (c->node != QD_ALLOC_NONE && c->state != QD_ALLOC_RELOCATING) sum_add(m, s, c->node, -1);
    if (c->partner != QD_ALLOC_NONE) { /* half a relocation is none */
        qd_alloc_copy *other = &copies(s)[c->partner];
        if (other->state == QD_ALLOC_RELOCATING) {
            other->state = QD_ALLOC_STARTED;
            sum_add(m, s, other->node, 1);
        }
        other->partner = c->partner = QD_ALLOC_NONE;
    }
    c->info = (qd_alloc_unassigned){
        .why = d->why, .at_ms = m->view.now_ms, .last_node = c->node, .delayed = d->delayed};
    c->node = QD_ALLOC_NONE;
    c->state = QD_ALLOC_UNASSIGNED;
    c->in_sync = c->lost = false;
    if (d->shrink) c->info.why = QD_ALLOC_WHY_COUNT; /* marked */
}

static void tidy(alloc_model *m, uint32_t shard)
{
    qd_alloc_shard *s = &m->shards[shard];
    for (uint32_t i = s->ncopies; i-- > 0;)
        if (s->copies[i].state == QD_ALLOC_UNASSIGNED &&
            s->copies[i].info.why == QD_ALLOC_WHY_COUNT)
            slot_remove(s, i);
    bool any = false;
    for (uint32_t i = 0; i < s->ncopies; i++) {
        qd_alloc_copy *c = &copies(s)[i];
        any |= c->primary;
        if (c->state == QD_ALLOC_UNASSIGNED) c->partner = QD_ALLOC_NONE;
    }
    if (!any) BREAK("shard %u: no primary's place is left", shard);
    if (s->fresh) return;
    bool data = false;
    for (uint32_t i = 0; i < s->ncopies; i++) data |= s->copies[i].in_sync;
    for (uint32_t i = 0; i < s->nholders; i++) data |= s->holders[i].in_sync;
    if (!data) BREAK("shard %u: the last copy in sync is gone", shard);
}

static void trace(alloc_model *m, const qd_alloc_decision *d)
{
    uint64_t x[5] = {d->action, d->shard, d->copy, d->node, d->source};
    for (int i = 0; i < 5; i++) m->trace = (m->trace ^ x[i]) * 0x100000001b3ull + 0x9e37;
}

void alloc_model_apply(alloc_model *m, const qd_alloc_result *r)
{
    for (uint32_t i = 0; i < r->n && !m->broken; i++) {
        const qd_alloc_decision *d = &r->decisions[i];
        trace(m, d);
        m->counts[d->action]++;
        switch (d->action) {
        case QD_ALLOC_ASSIGN_PRIMARY:
            apply_primary(m, d);
            break;
        case QD_ALLOC_ASSIGN_REPLICA:
            apply_replica(m, d);
            break;
        case QD_ALLOC_PROMOTE:
            apply_promote(m, d);
            break;
        case QD_ALLOC_RELOCATE:
            apply_relocate(m, d);
            break;
        case QD_ALLOC_REMOVE:
            apply_remove(m, d);
            break;
        case QD_ALLOC_BLOCK:
            m->indices[d->index].flood_block = true;
            break;
        case QD_ALLOC_UNBLOCK:
            m->indices[d->index].flood_block = false;
            break;
        case QD_ALLOC_CANCEL:
        case QD_ALLOC_RESET:
            break;
        }
    }
    for (uint32_t i = 0; i < r->n && !m->broken; i++)
        if (r->decisions[i].action == QD_ALLOC_REMOVE || r->decisions[i].action == QD_ALLOC_PROMOTE)
            tidy(m, r->decisions[i].shard);
}

/* --- time --------------------------------------------------------------------------------------*/

static void disk_use(alloc_model *m, uint32_t node, int64_t bytes)
{
    if (m->nodes[node].disk_total) m->nodes[node].disk_free -= bytes;
}

static void start(alloc_model *m, qd_alloc_shard *s, uint32_t i)
{
    qd_alloc_copy *c = &copies(s)[i];
    m->started++;
    c->state = QD_ALLOC_STARTED;
    c->in_sync = true;
    c->info = (qd_alloc_unassigned){.last_node = QD_ALLOC_NONE};
    disk_use(m, c->node, s->size);
    if (c->primary && s->fresh) s->fresh = false;
    if (c->partner == QD_ALLOC_NONE) return;
    uint32_t from = c->partner;
    c->partner = QD_ALLOC_NONE;
    disk_use(m, s->copies[from].node, -s->size);
    slot_remove(s, from);
}

uint32_t alloc_model_finish(alloc_model *m, uint32_t percent)
{
    uint32_t left = 0;
    for (uint32_t k = 0; k < m->view.nshards; k++) {
        qd_alloc_shard *s = &m->shards[k];
        for (uint32_t i = s->ncopies; i-- > 0;) {
            const qd_alloc_copy *c = &s->copies[i];
            if (c->state != QD_ALLOC_INITIALIZING) continue;
            if (c->lost || !m->nodes[c->node].up || alloc_model_draw(m, 100) >= percent)
                left++;
            else
                start(m, s, i);
        }
    }
    return left;
}

uint32_t alloc_model_round(alloc_model *m, qd_alloc_result *out)
{
    qd_arena a;
    qd_arena_init(&a, &qd_account_general, 0);
    qd_err err;
    qd_err_init(&err);
    if (qd_allocation_round(&m->view, &a, out, &err) && !m->broken) {
        snprintf(m->text, sizeof m->text, "%s", qd_err_reason(&err));
        m->broken = m->text;
    }
    qd_err_fini(&err);
    if (!m->broken) alloc_model_apply(m, out);
    out->decisions = NULL;
    qd_arena_fini(&a);
    return out->n;
}

uint32_t alloc_model_settle(alloc_model *m, uint32_t limit, qd_alloc_result *last)
{
    uint32_t rounds = 0;
    while (rounds < limit && !m->broken) {
        uint32_t n = alloc_model_round(m, last);
        uint64_t before = m->started;
        uint32_t left = alloc_model_finish(m, 70);
        rounds++;
        if (!n && !left && m->started == before) break;
    }
    return rounds;
}

void alloc_model_kill(alloc_model *m, uint32_t node)
{
    m->nodes[node].up = false;
    for (uint32_t k = 0; k < m->view.nshards; k++)
        for (uint32_t i = 0; i < m->shards[k].ncopies; i++)
            if (m->shards[k].copies[i].node == node) copies(&m->shards[k])[i].lost = true;
}

void alloc_model_return(alloc_model *m, uint32_t node)
{
    m->nodes[node].up = true;
    m->nodes[node].disk_free = m->nodes[node].disk_total; /* its old files are reckoned as none */
}

/* --- measuring ---------------------------------------------------------------------------------*/

alloc_model_spread alloc_model_measure(const alloc_model *m)
{
    uint32_t n = m->view.nnodes, up = 0;
    double *v = calloc((size_t)n * 3 + 1, sizeof *v), sum[3] = {0}, off[3] = {0};
    if (!v) abort();
    for (uint32_t k = 0; k < m->view.nshards; k++)
        for (uint32_t i = 0; i < m->shards[k].ncopies; i++) {
            const qd_alloc_copy *c = &m->shards[k].copies[i];
            if (c->node == QD_ALLOC_NONE || c->state == QD_ALLOC_RELOCATING) continue;
            double x[3] = {1, (double)m->shards[k].size, m->indices[m->shards[k].index].write_load};
            for (int d = 0; d < 3; d++) v[c->node * 3 + (unsigned)d] += x[d], sum[d] += x[d];
        }
    for (uint32_t i = 0; i < n; i++) up += m->nodes[i].up && m->nodes[i].leave != QD_ALLOC_REMOVED;
    for (uint32_t i = 0; i < n; i++)
        for (int d = 0; d < 3 && m->nodes[i].up && m->nodes[i].leave != QD_ALLOC_REMOVED; d++) {
            double mean = sum[d] / up,
                   o = mean > 0 ? fabs(v[i * 3 + (unsigned)d] - mean) / mean : 0;
            if (o * 100 > off[d]) off[d] = o * 100;
        }
    free(v);
    return (alloc_model_spread){off[0], off[1], off[2], sum[0] / up, sum[1] / up};
}
