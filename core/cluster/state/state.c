/* state.c: what is asked of snapshots of the cluster state, and their end. See state.h. */
#include "base/str.h"
#include "cluster/state/state_int.h"
#include <stdlib.h>
#include <string.h>

void qdi_state_group_unref(qd_state_group *g)
{
    if (!g || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1) return;
    qd_arena_fini(&g->arena);
    qd_free(g);
}

void qdi_state_entry_free(void *entry)
{
    qd_state_entry *e = entry;
    if (!e) return;
    qd_index_meta_unref(e->meta);
    qdi_state_group_unref(e->group);
    qd_free(e);
}

void qdi_state_part_unref(qd_state_part *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < QD_COUNT_OF(p->settings); i++) qd_settings_unref(p->settings[i]);
    for (size_t i = 0; i < QD_COUNT_OF(p->map); i++) qd_pmap_fini(&p->map[i]);
    qd_arena_fini(&p->arena);
    qd_free(p);
}

qd_state *qd_state_ref(const qd_state *s)
{
    qd_state *x = (qd_state *)(uintptr_t)s;
    atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
    return x;
}

void qd_state_unref(const qd_state *s)
{
    qd_state *x = (qd_state *)(uintptr_t)s;
    if (!x || atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1) return;
    for (int i = 0; i < QD_STATE_PARTS; i++) qdi_state_part_unref(x->part[i]);
    qd_free(x);
}

const qd_index_meta *qd_state_index(const qd_state *s, qd_str name)
{
    return qd_pmap_get(&s->names, name);
}

const qd_index_meta *qd_state_index_uuid(const qd_state *s, qd_str uuid)
{
    const qd_state_entry *e = qd_pmap_get(&s->uuids, uuid);
    return e ? e->meta : NULL;
}

const qd_shard_meta *qd_state_shards(const qd_state *s, const qd_index_meta *m)
{
    const qd_state_entry *e = qd_pmap_get(&s->uuids, qd_str_c(m->uuid));
    return e ? e->group->at : NULL;
}

const qd_shard_meta *qd_state_shard(const qd_state *s, const qd_index_meta *m, uint32_t number)
{
    const qd_state_entry *e = qd_pmap_get(&s->uuids, qd_str_c(m->uuid));
    return e && number < e->group->n ? &e->group->at[number] : NULL;
}

typedef struct differing {
    int (*fn)(void *arg, const qd_state_difference *d);
    void *arg;
} differing;

static int differs(void *arg, const qd_pmap_entry *was, const qd_pmap_entry *is)
{
    const differing *d = arg;
    const qd_state_entry *x = was ? was->value : NULL, *y = is ? is->value : NULL;
    qd_state_difference one = {x ? x->meta : NULL, y ? y->meta : NULL, x ? x->group->at : NULL,
                               y ? y->group->at : NULL};
    return d->fn(d->arg, &one);
}

int qd_state_diff(const qd_state *old, const qd_state *now,
                  int (*fn)(void *arg, const qd_state_difference *d), void *arg)
{
    static const qd_pmap none;
    differing d = {fn, arg};
    return qd_pmap_diff(old ? &old->uuids : &none, &now->uuids, differs, &d);
}

int qdi_node_by_id(const void *a, const void *b)
{
    const qd_node_meta *x = a, *y = b;
    return qd_str_cmp(x->id, y->id);
}

const qd_node_meta *qd_state_node(const qd_state *s, qd_str id)
{
    qd_node_meta wanted = {.id = id};
    return s->nnodes ? bsearch(&wanted, s->nodes, s->nnodes, sizeof wanted, qdi_node_by_id) : NULL;
}

bool qd_state_copy_lives(const qd_state *s, const qd_copy *c)
{
    const qd_node_meta *n = qd_copy_is_assigned(c) ? qd_state_node(s, c->node) : NULL;
    return n && qd_str_eq(n->ephemeral, c->ephemeral);
}

bool qd_node_is_data(const qd_node_meta *n)
{
    for (size_t i = 0; i < n->roles.n; i++) {
        if (qd_str_find(QD_STR(QD_NODE_DATA_ROLES), n->roles.p[i]) >= 0) return true;
    }
    return false;
}

bool qd_node_has_role(const qd_node_meta *n, char letter)
{
    return qd_str_find(n->roles, letter) >= 0;
}

uint32_t qd_node_attributes(const qd_settings *s, qd_pair out[QD_NODE_ATTRIBUTES_MAX])
{
    static const qd_str prefix = {"node.attr.", 10};
    size_t n, first = qd_settings_group(s, prefix, &n);
    uint32_t k = 0;
    for (size_t i = first; i < first + n && k < QD_NODE_ATTRIBUTES_MAX; i++) {
        const qd_setting_value *v = qd_settings_at(s, i);
        out[k++] = (qd_pair){qd_str_sub(v->key, prefix.n, v->key.n), v->text};
    }
    return k;
}

qd_str qd_node_attribute(const qd_node_meta *n, qd_str key)
{
    for (uint32_t i = 0; i < n->nattributes; i++) {
        if (qd_str_eq(n->attributes[i].key, key)) return n->attributes[i].value;
    }
    return (qd_str){NULL, 0};
}

const qd_alias_group *qd_state_alias(const qd_state *s, qd_str name)
{
    return qd_pmap_get(&s->aliases, name);
}

const qd_alias_group *qd_state_stream(const qd_state *s, qd_str name)
{
    const qd_alias_group *g = qd_state_alias(s, name);
    return g && g->is_stream ? g : NULL;
}

typedef struct alias_walk {
    int (*fn)(void *arg, const qd_alias_group *g);
    void *arg;
} alias_walk;

static int walk_alias(void *arg, const qd_pmap_entry *e)
{
    const alias_walk *w = arg;
    return w->fn(w->arg, e->value);
}

int qd_state_aliases_each(const qd_state *s, int (*fn)(void *arg, const qd_alias_group *g),
                          void *arg)
{
    alias_walk w = {fn, arg};
    return qd_pmap_each(&s->aliases, walk_alias, &w);
}

uint64_t qd_state_mapping_revision(const qd_state *s, const char *hash)
{
    return (uint64_t)(uintptr_t)qd_pmap_get(&s->mappings, qd_str_c(hash));
}

bool qd_state_mapping_used(const qd_state *s, const char *hash, const qd_index_meta *but)
{
    uintptr_t n = (uintptr_t)qd_pmap_get(&s->uses, qd_str_c(hash));
    const qd_index_meta *own = but ? qd_state_index_uuid(s, qd_str_c(but->uuid)) : NULL;
    return n > (own && strcmp(own->mapping_hash, hash) == 0);
}

uint32_t qd_state_held(const qd_state *s, qd_str node)
{
    return (uint32_t)(uintptr_t)qd_pmap_get(&s->held, node);
}

bool qd_state_buried(const qd_state *s, qd_str uuid)
{
    return qd_pmap_get(&s->buried, uuid) != NULL;
}

int qdi_document_by_key(const void *a, const void *b)
{
    const qd_state_document_record *x = a, *y = b;
    return qd_str_cmp(x->key, y->key);
}

const qd_state_document_record *qd_state_document(const qd_state *s, qd_str key)
{
    qd_state_document_record wanted = {.key = key};
    return s->ndocuments
               ? bsearch(&wanted, s->documents, s->ndocuments, sizeof wanted, qdi_document_by_key)
               : NULL;
}

bool qd_tier_space_in(qd_str spaces, qd_str tier, uint64_t *total, uint64_t *available)
{
    while (spaces.n) {
        qd_str one = qd_str_split(&spaces, ' '), name = qd_str_split(&one, '=');
        if (!qd_str_eq(name, tier)) continue;
        qd_str first = qd_str_split(&one, '/');
        return qd_str_u64(first, total) && qd_str_u64(one, available) && *total <= INT64_MAX &&
               *available <= *total;
    }
    return false;
}

bool qd_node_disk(const qd_node_meta *n, qd_str tier, uint64_t *total, uint64_t *available)
{
    qd_str rest = n->tiers;
    bool own = !tier.n || !rest.n || qd_str_eq(qd_str_split(&rest, ','), tier);
    if (!own) return qd_tier_space_in(n->tier_spaces, tier, total, available);
    *total = n->disk_total;
    *available = n->disk_free;
    return *total != 0;
}
