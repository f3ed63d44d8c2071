/* alloc_view.c: from the cluster state to the arrays of the allocation. See alloc_view.h. */
#include "cluster/allocation/alloc_view.h"
#include "base/map.h"
#include "base/str.h"
#include "cluster/mutants.h"
#include "cluster/permits.h"
#include "config/config.h"
#include "config/value.h"
#include <stdio.h>
#include <string.h>

#define NODE_INITIAL 256

typedef struct making {
    const qd_state *s;
    const qd_alloc_facts *facts;
    qd_arena *arena;
    qd_map sizes; /* "<uuid>/<n>" -> bytes + 1, as nodes told */
    qd_map gone;  /* id of a node that is not in the state -> its place + 1 */
    qd_alloc_node *nodes;
    uint32_t nnodes, room;
    qd_alloc_pair_failed pairs[QD_ALLOC_PAIRS_MAX];
    uint32_t npairs;
} making;

/* --- settings -------------------------------------------------------------------------------- */

/* The values below a prefix, as pairs named by what follows it; sorted, as the settings are. */
static int pairs_below(const qd_settings *s, qd_str prefix, qd_str but, qd_arena *a,
                       const qd_alloc_pair **out, uint32_t *nout)
{
    size_t n = 0, at = qd_settings_group(s, prefix, &n);
    *out = NULL;
    *nout = 0;
    if (!n) return 0;
    qd_alloc_pair *pairs = qd_arena_alloc(a, n * sizeof *pairs);
    if (!pairs) return QD_E_NOMEM;
    for (size_t i = at; i < at + n; i++) {
        const qd_setting_value *v = qd_settings_at(s, i);
        qd_str name = qd_str_sub(v->key, prefix.n, v->key.n), text = v->text; /* lists: joined */
        if (v->kind == QD_SETTING_NULL || qd_str_eq(name, but)) continue;
        if (text.n) pairs[(*nout)++] = (qd_alloc_pair){name, text};
    }
    *out = pairs;
    return 0;
}

static int filters_below(const qd_settings *s, const char *base, qd_arena *a, qd_alloc_filters *out)
{
    qd_str tier = QD_STR("_tier_preference"), none = {NULL, 0};
    qd_str include = qd_arena_printf(a, "%sinclude.", base),
           exclude = qd_arena_printf(a, "%sexclude.", base),
           require = qd_arena_printf(a, "%srequire.", base);
    if (!include.p || !exclude.p || !require.p) return QD_E_NOMEM;
    int rc = pairs_below(s, include, tier, a, &out->include, &out->ninclude);
    if (!rc) rc = pairs_below(s, exclude, none, a, &out->exclude, &out->nexclude);
    if (!rc) rc = pairs_below(s, require, none, a, &out->require, &out->nrequire);
    return rc;
}

/* "85%", "0.85" keep a part of the disk free, "10gb" so many bytes. */
static qd_alloc_watermark watermark(const qd_values *v, qd_set mark, qd_set headroom)
{
    qd_alloc_watermark w = {.text = qd_values_text(v, mark),
                            .headroom = -1,
                            .headroom_text = qd_values_text(v, headroom)};
    qd_err why;
    qd_err_init(&why);
    w.is_bytes = qd_value_ratio(w.text, "watermark", &w.used_ratio, &why) != 0;
    qd_err_fini(&why);
    if (w.is_bytes) {
        w.free_bytes = qd_values_space_free(v, mark, 0);
        return w;
    }
    int64_t most = qd_values_i64(v, headroom);
    bool capped = most >= 0 && (!qd_values_is_set(v, mark) || qd_values_is_set(v, headroom));
    if (capped) w.headroom = most;
    return w;
}

int qd_alloc_settings_make(const qd_values *v, qd_arena *a, qd_alloc_settings *out, qd_err *err)
{
    qd_alloc_settings_default(out);
    if (!v) return 0;
    const qd_settings *s = qd_values_settings(v);
    int32_t both = (int32_t)qd_values_i64(v, QD_SET_ALLOC_NODE_RECOVERIES);
    bool in = qd_values_is_set(v, QD_SET_ALLOC_NODE_IN);
    bool to = qd_values_is_set(v, QD_SET_ALLOC_NODE_OUT);
    out->enable = (qd_alloc_enable)qd_values_i64(v, QD_SET_ALLOC_ENABLE);
    out->rebalance = (qd_alloc_rebalance)qd_values_i64(v, QD_SET_REBALANCE_ENABLE);
    out->allow = (qd_alloc_allow)qd_values_i64(v, QD_SET_ALLOC_REBALANCE);
    out->concurrent_rebalance = (int32_t)qd_values_i64(v, QD_SET_ALLOC_CONCURRENT_REBALANCE);
    out->node_in = in ? (int32_t)qd_values_i64(v, QD_SET_ALLOC_NODE_IN) : both;
    out->node_out = to ? (int32_t)qd_values_i64(v, QD_SET_ALLOC_NODE_OUT) : both;
    /* opening files that are there costs little: only who asks for it is throttled */
    out->node_initial = qd_values_is_set(v, QD_SET_ALLOC_NODE_INITIAL)
                            ? (int32_t)qd_values_i64(v, QD_SET_ALLOC_NODE_INITIAL)
                            : NODE_INITIAL;
    out->same_host = qd_values_bool(v, QD_SET_ALLOC_SAME_HOST);
    out->per_node = (int32_t)qd_values_i64(v, QD_SET_ALLOC_SHARDS_PER_NODE);
    out->awareness = qd_values_list(v, QD_SET_ALLOC_AWARENESS, &out->nawareness);
    out->balance_shard = qd_values_f64(v, QD_SET_ALLOC_BALANCE_SHARD);
    out->balance_index = qd_values_f64(v, QD_SET_ALLOC_BALANCE_INDEX);
    out->balance_disk = qd_values_f64(v, QD_SET_ALLOC_BALANCE_DISK);
    out->balance_load = qd_values_f64(v, QD_SET_ALLOC_BALANCE_LOAD);
    out->threshold = qd_values_f64(v, QD_SET_ALLOC_BALANCE_THRESHOLD);
    out->disk_enabled = qd_values_bool(v, QD_SET_DISK_THRESHOLD);
    out->low = watermark(v, QD_SET_DISK_LOW, QD_SET_DISK_LOW_HEADROOM);
    out->high = watermark(v, QD_SET_DISK_HIGH, QD_SET_DISK_HIGH_HEADROOM);
    out->flood = watermark(v, QD_SET_DISK_FLOOD, QD_SET_DISK_FLOOD_HEADROOM);
    int rc = filters_below(s, "cluster.routing.allocation.", a, &out->filters);
    if (!rc) {
        rc = pairs_below(s, QD_STR("cluster.routing.allocation.awareness.force."),
                         (qd_str){NULL, 0}, a, &out->forced, &out->nforced);
    }
    /* force.zone.values: the attribute's name is in the middle */
    for (uint32_t i = 0; !rc && i < out->nforced; i++) {
        qd_alloc_pair *p = (qd_alloc_pair *)(uintptr_t)&out->forced[i];
        if (qd_str_ends(p->name, QD_STR(".values"))) p->name.n -= 7;
    }
    return rc ? qd_err_nomem(err, "settings of the allocation") : 0;
}

/* --- nodes ----------------------------------------------------------------------------------- */

/* "1.2.3-x" as major << 16 | minor << 8 | patch; 0: not of that form. */
static uint32_t version_number(qd_str text)
{
    uint32_t v = 0, part = 0, parts = 0;
    for (size_t i = 0; i <= text.n && parts < 3; i++) {
        char c = i < text.n ? text.p[i] : '.';
        if (c >= '0' && c <= '9') {
            part = part * 10 + (uint32_t)(c - '0');
            if (part > 255) return 0;
        } else {
            v = v << 8 | part;
            part = 0;
            parts++;
            if (c != '.') break;
        }
    }
    return parts ? v << (8 * (3 - parts)) : 0;
}

static qd_str host_of(qd_str address)
{
    size_t n = address.n;
    while (n && address.p[n - 1] != ':') n--;
    qd_str host = {address.p, n ? n - 1 : address.n};
    if (host.n > 1 && host.p[0] == '[') host = qd_str_sub(host, 1, host.n - 2);
    return host;
}

static int make_nodes(making *m)
{
    const qd_state *s = m->s;
    m->room = s->nnodes + 16;
    m->nodes = qd_arena_calloc(m->arena, m->room * sizeof *m->nodes);
    if (!m->nodes) return QD_E_NOMEM;
    for (uint32_t i = 0; i < s->nnodes; i++) {
        const qd_node_meta *n = &s->nodes[i];
        qd_alloc_pair *attrs = qd_arena_alloc(m->arena, (n->nattributes + 1) * sizeof *attrs);
        if (!attrs) return QD_E_NOMEM;
        for (uint32_t k = 0; k < n->nattributes; k++) {
            attrs[k] = (qd_alloc_pair){n->attributes[k].key, n->attributes[k].value};
        }
        m->nodes[m->nnodes++] = (qd_alloc_node){
            .id = n->id,
            .name = n->name,
            .host = n->host,
            .ip = host_of(n->transport_address),
            .publish_ip = host_of(n->transport_address),
            .transport_address = n->transport_address,
            .roles = n->roles,
            .attrs = attrs,
            .nattrs = n->nattributes,
            .version = n->version,
            .version_number = version_number(n->version),
            .up = true,
            .disk_total = (int64_t)n->disk_total,
            .disk_free = (int64_t)n->disk_free,
            .tiers = n->tiers,
            .tier_spaces = n->tier_spaces,
        };
    }
    return 0;
}

/* Place of a node by id; one that is not in the state is added. NONE for no id. */
static int place_of(making *m, qd_str id, uint32_t *out)
{
    *out = QD_ALLOC_NONE;
    if (!id.n) return 0;
    const qd_node_meta *n = qd_state_node(m->s, id);
    if (n) {
        *out = (uint32_t)(n - m->s->nodes);
        return 0;
    }
    uintptr_t known = (uintptr_t)qd_map_get(&m->gone, id);
    if (known) {
        *out = (uint32_t)known - 1;
        return 0;
    }
    if (m->nnodes == m->room) {
        qd_alloc_node *more = qd_arena_calloc(m->arena, m->room * 2 * sizeof *more);
        if (!more) return QD_E_NOMEM;
        memcpy(more, m->nodes, m->nnodes * sizeof *more);
        m->nodes = more;
        m->room *= 2;
    }
    m->nodes[m->nnodes] =
        (qd_alloc_node){.id = id, .name = id, .up = QD_MUTANT(cluster, NODES_STAY)};
    if (qd_map_put(&m->gone, id, (void *)(uintptr_t)(m->nnodes + 1), NULL)) return QD_E_NOMEM;
    *out = m->nnodes++;
    return 0;
}

/* --- shards ---------------------------------------------------------------------------------- */

static qd_alloc_why why_of(qd_unassigned_reason r)
{
    const char *name = qd_unassigned_reason_name(r);
    qd_alloc_why why = name ? qd_alloc_why_parse(qd_str_c(name)) : QD_ALLOC_WHY_COUNT;
    return why == QD_ALLOC_WHY_COUNT ? QD_ALLOC_WHY_ALLOCATION_FAILED : why;
}

static int make_copy(making *m, const qd_shard_meta *s, uint32_t i, qd_alloc_copy *out)
{
    const qd_copy *c = &s->copies[i];
    const qd_copy *partner = c->partner.n ? qd_shard_meta_copy(s, c->partner) : NULL;
    *out = (qd_alloc_copy){
        .state = (qd_alloc_copy_state)c->state,
        .partner = partner ? (uint32_t)(partner - s->copies) : QD_ALLOC_NONE,
        .primary = i == 0 || (partner == &s->copies[0] && qd_copy_is_target(c)),
        .in_sync = c->allocation_id.n && qd_shard_meta_in_sync(s, c->allocation_id),
        .allocation_id = c->allocation_id,
        .info = {.why = why_of(c->reason),
                 .at_ms = c->since_ms,
                 .failures = c->failures,
                 .delayed = c->reason == QD_UNASSIGNED_NODE_LEFT ||
                            c->reason == QD_UNASSIGNED_NODE_RESTARTING,
                 .details = c->failure},
    };
    int rc = place_of(m, c->node, &out->node);
    return rc ? rc : place_of(m, c->last_node, &out->info.last_node);
}

/* The pair lasts until the later of both times; of too many the oldest goes. */
static void add_pair(making *m, uint32_t target, uint32_t source, int64_t until_ms)
{
    uint32_t at = 0;
    int64_t now = m->facts->now_ms;
    if (target == QD_ALLOC_NONE || source == QD_ALLOC_NONE || target == source) return;
    if (until_ms <= now || until_ms > now + QD_ALLOC_PAIR_MS) return;
    for (uint32_t i = 0; i < m->npairs; i++) {
        qd_alloc_pair_failed *p = &m->pairs[i];
        if (p->target == target && p->source == source) {
            if (until_ms > p->until_ms) p->until_ms = until_ms;
            return;
        }
        if (p->until_ms < m->pairs[at].until_ms) at = i;
    }
    if (m->npairs < QD_ALLOC_PAIRS_MAX) at = m->npairs++;
    m->pairs[at] = (qd_alloc_pair_failed){target, source, until_ms};
}

/* The first failure in a row may be that of a copy which was used: its node is tried once more. */
static void note_failure(making *m, const qd_alloc_copy *primary, const qd_alloc_copy *c)
{
    const qd_alloc_unassigned *u = &c->info;
    bool active = primary->state == QD_ALLOC_STARTED || primary->state == QD_ALLOC_RELOCATING;
    if (!active || u->why != QD_ALLOC_WHY_ALLOCATION_FAILED || u->failures < 2) return;
    if (u->last_node != QD_ALLOC_NONE && m->nodes[u->last_node].up)
        add_pair(m, u->last_node, primary->node, u->at_ms + QD_ALLOC_PAIR_MS);
}

static int make_shard(making *m, uint32_t index, uint32_t number, qd_alloc_shard *out)
{
    const qd_index_meta *meta = m->s->indices[index];
    const qd_shard_meta *s = &m->s->shards[index][number];
    qd_alloc_copy *copies = qd_arena_alloc(m->arena, (s->ncopies + 1) * sizeof *copies);
    qd_alloc_holder *holders = qd_arena_alloc(m->arena, (s->nin_sync + 1) * sizeof *holders);
    if (!copies || !holders) return QD_E_NOMEM;
    *out = (qd_alloc_shard){.index = index,
                            .number = number,
                            .copies = copies,
                            .ncopies = s->ncopies,
                            .holders = holders,
                            .fresh = s->fresh};
    if (m->facts->shard_size) {
        out->size = m->facts->shard_size(m->facts->arg, meta->uuid, number);
    }
    if (!out->size && m->sizes.n) {
        char key[QD_UUID_TEXT + 16];
        int n = snprintf(key, sizeof key, "%s/%u", meta->uuid, number);
        uintptr_t told = (uintptr_t)qd_map_get(&m->sizes, (qd_str){key, (size_t)n});
        if (told) out->size = (int64_t)told - 1;
    }
    int rc = 0;
    for (uint32_t i = 0; i < s->ncopies && !rc; i++) {
        rc = make_copy(m, s, i, &copies[i]);
        if (!rc && i) note_failure(m, &copies[0], &copies[i]);
    }
    for (uint32_t i = 0; i < s->nin_sync && !rc; i++) {
        const qd_in_sync *a = &s->in_sync[i];
        if (qd_shard_meta_copy(s, a->allocation_id)) continue;
        qd_alloc_holder *h = &holders[out->nholders++];
        *h = (qd_alloc_holder){.allocation_id = a->allocation_id, .in_sync = true};
        rc = place_of(m, a->node, &h->node);
    }
    return rc;
}

/* Where the index stands that an index is made of, counted from 1. */
static uint32_t source_of(const qd_state *s, const qd_index_meta *meta)
{
    const qd_setting_value *v = qd_settings_get(meta->settings, QD_STR("index.resize.source.uuid"));
    const qd_index_meta *from = v ? qd_state_index_uuid(s, v->text) : NULL;
    for (uint32_t i = 0; from && i < s->n; i++)
        if (s->indices[i] == from) return i + 1;
    return 0;
}

static int make_index(making *m, const qd_index_meta *meta, qd_alloc_index *out)
{
    const qd_values *v = meta->values;
    *out = (qd_alloc_index){
        .name = meta->name,
        .uuid = qd_str_c(meta->uuid),
        .nshards = meta->shards,
        .replicas = meta->replicas < QD_COPIES_MAX / 2 ? meta->replicas : QD_COPIES_MAX / 2 - 1,
        .created_ms = meta->created_ms,
        .priority = (int32_t)qd_values_i64(v, QD_IX_PRIORITY),
        .closed = meta->closed,
        .flood_block = qd_values_bool(v, QD_IX_BLOCK_READ_ONLY_DELETE),
        .tiers = qd_values_text(v, QD_IX_TIER_PREFERENCE),
        .storage_tier = qd_values_text(v, QD_IX_STORAGE_TIER),
        .enable = (qd_alloc_enable)qd_values_i64(v, QD_IX_ALLOC_ENABLE),
        .enable_set = qd_values_is_set(v, QD_IX_ALLOC_ENABLE),
        .rebalance = (qd_alloc_rebalance)qd_values_i64(v, QD_IX_REBALANCE_ENABLE),
        .rebalance_set = qd_values_is_set(v, QD_IX_REBALANCE_ENABLE),
        .per_node = (int32_t)qd_values_i64(v, QD_IX_SHARDS_PER_NODE),
        .max_retries = (uint32_t)qd_values_i64(v, QD_IX_ALLOC_RETRIES),
        .delay_ms = qd_values_ms(v, QD_IX_NODE_LEFT_DELAY),
    };
    int rc = filters_below(meta->settings, "index.routing.allocation.", m->arena, &out->filters);
    if (rc) return rc;
    return pairs_below(meta->settings, QD_STR("index.routing.allocation.initial_recovery."),
                       (qd_str){NULL, 0}, m->arena, &out->initial, &out->ninitial);
}

/* What nodes told of their shards; of several copies the largest counts. */
static int read_sizes(making *m)
{
    for (uint32_t i = 0; i < m->s->nnodes; i++) {
        for (qd_str rest = m->s->nodes[i].shard_sizes; rest.n;) {
            uint64_t bytes;
            qd_str one = qd_str_split(&rest, ' ');
            ptrdiff_t at = qd_str_find(one, '=');
            if (at > 0 && qd_str_u64(qd_str_sub(one, (size_t)at + 1, one.n), &bytes) &&
                bytes < (uint64_t)1 << 50) {
                qd_str key = qd_str_sub(one, 0, (size_t)at);
                uintptr_t known = (uintptr_t)qd_map_get(&m->sizes, key);
                if (known < bytes + 1 &&
                    qd_map_put(&m->sizes, key, (void *)(uintptr_t)(bytes + 1), NULL)) {
                    return QD_E_NOMEM;
                }
            }
            if (!rest.p) break;
        }
    }
    return 0;
}

/* Leave to stop nodes. */
static int read_permits(making *m)
{
    const qd_permit *list;
    uint32_t n;
    /* a damaged document grants nothing */
    int rc = qd_permits_read(m->s, m->facts->now_ms, m->arena, &list, &n, NULL);
    if (rc) return rc == QD_E_NOMEM || rc == QD_E_BREAKER ? rc : 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        uint32_t at;
        rc = place_of(m, list[i].node, &at);
        if (rc || at == QD_ALLOC_NONE) continue;
        m->nodes[at].leave = list[i].remove ? QD_ALLOC_REMOVED : QD_ALLOC_RESTARTS;
        m->nodes[at].permit_until_ms = list[i].expires_ms;
    }
    return rc;
}

/* What was found out before, of nodes that are there still. */
static void known_pairs(making *m)
{
    for (uint32_t i = 0; i < m->facts->npairs; i++) {
        const qd_alloc_pair_fact *p = &m->facts->pairs[i];
        const qd_node_meta *target = qd_state_node(m->s, qd_str_c(p->target));
        const qd_node_meta *source = qd_state_node(m->s, qd_str_c(p->source));
        if (target && source)
            add_pair(m, (uint32_t)(target - m->s->nodes), (uint32_t)(source - m->s->nodes),
                     p->until_ms);
    }
}

static int make_pairs(making *m, qd_alloc_view *out)
{
    if (!m->npairs) return 0;
    qd_alloc_pair_failed *pairs = qd_arena_alloc(m->arena, m->npairs * sizeof *pairs);
    if (!pairs) return QD_E_NOMEM;
    memcpy(pairs, m->pairs, m->npairs * sizeof *pairs);
    out->failed_pairs = pairs;
    out->nfailed_pairs = m->npairs;
    return 0;
}

static int make_all(making *m, qd_alloc_view *out)
{
    const qd_state *s = m->s;
    uint32_t total = 0, at = 0;
    for (uint32_t i = 0; i < s->n; i++) total += s->indices[i]->shards;
    qd_alloc_index *indices = qd_arena_alloc(m->arena, (s->n + 1) * sizeof *indices);
    qd_alloc_shard *shards = qd_arena_alloc(m->arena, (total + 1) * sizeof *shards);
    if (!indices || !shards) return QD_E_NOMEM;
    int rc = make_nodes(m);
    if (!rc) rc = read_sizes(m);
    if (!rc) rc = read_permits(m);
    if (!rc) known_pairs(m);
    for (uint32_t i = 0; i < s->n && !rc; i++) {
        rc = make_index(m, s->indices[i], &indices[i]);
        indices[i].first = at;
        indices[i].source = source_of(s, s->indices[i]);
        for (uint32_t k = 0; k < s->indices[i]->shards && !rc; k++) {
            rc = make_shard(m, i, k, &shards[at++]);
        }
    }
    out->nodes = m->nodes;
    out->nnodes = m->nnodes;
    out->indices = indices;
    out->nindices = s->n;
    out->shards = shards;
    out->nshards = at;
    return rc ? rc : make_pairs(m, out);
}

int qd_alloc_view_make(const qd_state *s, const qd_alloc_facts *facts, qd_arena *arena,
                       qd_alloc_view *out, qd_err *err)
{
    making m = {.s = s, .facts = facts, .arena = arena};
    *out = (qd_alloc_view){.now_ms = facts->now_ms};
    int rc = qd_alloc_settings_make(facts->values, arena, &out->settings, err);
    if (rc) return rc;
    qd_map_init(&m.gone, NULL);
    qd_map_init(&m.sizes, NULL);
    rc = make_all(&m, out);
    qd_map_fini(&m.sizes);
    qd_map_fini(&m.gone);
    return rc ? qd_err_nomem(err, "view of the allocation") : 0;
}

/* --- an index to be made --------------------------------------------------------------------- */

static int make_fresh(making *m, const qd_index_meta *meta, qd_alloc_view *out)
{
    uint32_t n = meta->shards;
    qd_alloc_index *index = qd_arena_alloc(m->arena, sizeof *index);
    qd_alloc_shard *shards = qd_arena_calloc(m->arena, (n + 1) * sizeof *shards);
    qd_alloc_copy *copies = qd_arena_alloc(m->arena, (n + 1) * sizeof *copies);
    qd_alloc_held *held = qd_arena_calloc(m->arena, (m->s->nnodes + 1) * sizeof *held);
    int rc = !index || !shards || !copies || !held ? QD_E_NOMEM : make_nodes(m);
    if (!rc) rc = read_permits(m);
    if (!rc) rc = make_index(m, meta, index);
    if (rc) return rc;
    index->first = 0;
    for (uint32_t k = 0; k < n; k++) {
        copies[k] = (qd_alloc_copy){
            .node = QD_ALLOC_NONE,
            .partner = QD_ALLOC_NONE,
            .primary = true,
            .info = {.why = QD_ALLOC_WHY_INDEX_CREATED, .last_node = QD_ALLOC_NONE}};
        shards[k] =
            (qd_alloc_shard){.number = k, .copies = &copies[k], .ncopies = 1, .fresh = true};
    }
    for (uint32_t i = 0; i < m->s->nnodes; i++)
        held[i].shards = qd_state_held(m->s, m->s->nodes[i].id);
    out->nodes = m->nodes;
    out->nnodes = m->nnodes;
    out->indices = index;
    out->nindices = 1;
    out->shards = shards;
    out->nshards = n;
    out->held = held;
    return 0;
}

int qd_alloc_view_new(const qd_state *s, const qd_alloc_facts *facts, const qd_index_meta *meta,
                      qd_arena *arena, qd_alloc_view *out, qd_err *err)
{
    making m = {.s = s, .facts = facts, .arena = arena};
    *out = (qd_alloc_view){.now_ms = facts->now_ms};
    int rc = qd_alloc_settings_make(facts->values, arena, &out->settings, err);
    if (rc) return rc;
    qd_map_init(&m.gone, NULL);
    rc = make_fresh(&m, meta, out);
    qd_map_fini(&m.gone);
    return rc ? qd_err_nomem(err, "view of the allocation") : 0;
}
