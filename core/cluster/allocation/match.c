/*
 * match.c: filters by name, address and attribute, tiers by role; which nodes they leave to an
 * index. Indices that say the same share one set of bits (a signature).
 */
#include "cluster/allocation/decide_int.h"
#include "cluster/state/state.h"

qd_str qdi_alloc_attr(const qd_alloc_node *n, qd_str name)
{
    for (uint32_t i = 0; i < n->nattrs; i++)
        if (qd_str_eq(n->attrs[i].name, name)) return n->attrs[i].value;
    return (qd_str){NULL, 0};
}

/* What a filter of this name looks at: up to two texts. */
static uint32_t subjects(const qd_alloc_node *n, qd_str name, qd_str out[2])
{
    if (qd_str_is(name, "_name")) return out[0] = n->name, 1;
    if (qd_str_is(name, "_id")) return out[0] = n->id, 1;
    if (qd_str_is(name, "_host_ip")) return out[0] = n->ip, 1;
    if (qd_str_is(name, "_publish_ip")) return out[0] = n->publish_ip, 1;
    if (qd_str_is(name, "_ip")) return out[0] = n->ip, out[1] = n->publish_ip, 2;
    if (qd_str_is(name, "_host")) return out[0] = n->host, out[1] = n->ip, 2;
    out[0] = qdi_alloc_attr(n, name);
    return out[0].p ? 1 : 0;
}

static bool value_matches(const qd_alloc_node *n, qd_str name, qd_str pattern)
{
    qd_str s[2];
    uint32_t k = subjects(n, name, s);
    for (uint32_t i = 0; i < k; i++)
        if (qd_pattern_match(pattern, s[i])) return true;
    return false;
}

/* Does one filter match: any of its values, or with all every one? */
static bool filter_matches(const qd_alloc_node *n, const qd_alloc_pair *f, bool all)
{
    qd_str rest = f->value;
    bool some = false;
    while (rest.p) {
        qd_str v = qd_str_trim(qd_str_split(&rest, ','));
        if (!v.n) continue;
        bool hit = value_matches(n, f->name, v);
        if (hit && !all) return true;
        if (!hit && all) return false;
        some = true;
    }
    return all && some;
}

static bool filter_empty(const qd_alloc_pair *f)
{
    qd_str rest = f->value;
    while (rest.p)
        if (qd_str_trim(qd_str_split(&rest, ',')).n) return false;
    return true;
}

bool qdi_alloc_match(const qd_alloc_node *n, const qd_alloc_pair *f, uint32_t nf, bool all)
{
    for (uint32_t i = 0; i < nf; i++) {
        if (filter_empty(&f[i])) continue;
        bool hit = filter_matches(n, &f[i], all);
        if (hit && !all) return true;
        if (!hit && all) return false;
    }
    return all;
}

static bool filters_given(const qd_alloc_pair *f, uint32_t nf)
{
    for (uint32_t i = 0; i < nf; i++)
        if (!filter_empty(&f[i])) return true;
    return false;
}

qd_str qdi_alloc_filter_text(qd_arena *arena, const qd_alloc_pair *f, uint32_t nf, bool all)
{
    const char *op = all ? " AND " : " OR ";
    qd_buf b;
    qd_buf_init(&b, arena->account, 4096);
    for (uint32_t i = 0; i < nf; i++) {
        if (filter_empty(&f[i])) continue;
        if (b.n) qd_buf_c(&b, op);
        qd_buf_str(&b, f[i].name);
        qd_buf_c(&b, ":\"");
        qd_str rest = f[i].value;
        for (bool first = true; rest.p;) {
            qd_str v = qd_str_trim(qd_str_split(&rest, ','));
            if (!v.n) continue;
            if (!first) qd_buf_c(&b, op);
            qd_buf_str(&b, v);
            first = false;
        }
        qd_buf_char(&b, '"');
    }
    qd_str out = qd_arena_str(arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    return out;
}

char qdi_alloc_tier_letter(qd_str tier)
{
    static const struct {
        const char *name;
        char letter;
    } tiers[] = {{"data_hot", 'h'},
                 {"data_warm", 'w'},
                 {"data_cold", 'c'},
                 {"data_content", 's'},
                 {"data_frozen", 'f'}};
    for (size_t i = 0; i < sizeof tiers / sizeof *tiers; i++)
        if (qd_str_is(tier, tiers[i].name)) return tiers[i].letter;
    return 0;
}

static bool has_tier(const qd_alloc_node *n, char letter)
{
    return letter && n->roles.n &&
           (memchr(n->roles.p, letter, n->roles.n) || memchr(n->roles.p, 'd', n->roles.n));
}

/* May the node hold shards on the storage tier (empty: its own)? */
static bool stores_on(const qd_alloc_node *n, qd_str tier)
{
    bool has = !tier.n;
    for (qd_str rest = n->tiers; !has && rest.n;) has = qd_str_eq(qd_str_split(&rest, ','), tier);
    return has;
}

qd_str qdi_alloc_tier_pick(const alloc_work *w, qd_str tiers)
{
    while (tiers.p) {
        qd_str t = qd_str_trim(qd_str_split(&tiers, ','));
        char letter = qdi_alloc_tier_letter(t);
        for (uint32_t n = 0; letter && n < w->view->nnodes; n++)
            if (w->data[n] && has_tier(&w->view->nodes[n], letter)) return t;
    }
    return (qd_str){NULL, 0};
}

/* May nodes of these filters hold a copy? */
static bool filters_allow(const qd_alloc_node *n, const qd_alloc_filters *f)
{
    if (filters_given(f->require, f->nrequire) &&
        !qdi_alloc_match(n, f->require, f->nrequire, true))
        return false;
    if (filters_given(f->include, f->ninclude) &&
        !qdi_alloc_match(n, f->include, f->ninclude, false))
        return false;
    return !(filters_given(f->exclude, f->nexclude) &&
             qdi_alloc_match(n, f->exclude, f->nexclude, false));
}

uint32_t qd_alloc_nodes_for(const qd_alloc_view *v, uint32_t index)
{
    const qd_alloc_index *x = &v->indices[index];
    bool tiered = qd_str_trim(x->tiers).n > 0;
    char letter = 0;
    uint32_t count = 0;
    for (qd_str rest = x->tiers; tiered && rest.p && !letter;) {
        char one = qdi_alloc_tier_letter(qd_str_trim(qd_str_split(&rest, ',')));
        for (uint32_t n = 0; one && n < v->nnodes && !letter; n++)
            if (v->nodes[n].up && has_tier(&v->nodes[n], one)) letter = one;
    }
    for (uint32_t n = 0; n < v->nnodes; n++) {
        const qd_alloc_node *y = &v->nodes[n];
        if (!y->up || !qdi_alloc_holds_data(y) || y->leave == QD_ALLOC_REMOVED) continue;
        if ((tiered && !has_tier(y, letter)) || !stores_on(y, x->storage_tier)) continue;
        count += filters_allow(y, &v->settings.filters) && filters_allow(y, &x->filters);
    }
    return count;
}

static void key_add(qd_buf *b, char kind, const qd_alloc_pair *f, uint32_t nf)
{
    for (uint32_t i = 0; i < nf; i++) {
        qd_buf_char(b, kind);
        qd_buf_str(b, f[i].name);
        qd_buf_char(b, '\0');
        qd_buf_str(b, f[i].value);
        qd_buf_char(b, '\0');
    }
}

static int sig_make(alloc_work *w, const qd_alloc_index *x)
{
    const qd_alloc_view *v = w->view;
    alloc_sig s = {qd_arena_calloc(w->arena, (v->nnodes / 64 + 1) * sizeof *s.nodes), NULL, 0, 0};
    if (!s.nodes) return QD_E_NOMEM;
    qd_str tier = qdi_alloc_tier_pick(w, x->tiers);
    char letter = qdi_alloc_tier_letter(tier);
    bool tiered = qd_str_trim(x->tiers).n > 0;
    for (uint32_t n = 0; n < v->nnodes; n++) {
        const qd_alloc_node *y = &v->nodes[n];
        if (!w->data[n] || y->leave == QD_ALLOC_REMOVED) continue;
        if ((tiered && !has_tier(y, letter)) || !stores_on(y, x->storage_tier)) continue;
        if (!filters_allow(y, &v->settings.filters) || !filters_allow(y, &x->filters)) continue;
        s.nodes[n >> 6] |= 1ull << (n & 63);
        s.n++;
    }
    if (s.n && s.n <= ALLOC_FEW) {
        s.list = qd_arena_alloc(w->arena, s.n * sizeof *s.list);
        if (!s.list) return QD_E_NOMEM;
        for (uint32_t n = 0, k = 0; n < v->nnodes; n++)
            if (alloc_sig_has(&s, n)) s.list[k++] = n;
    }
    return qd_vec_push(&w->sigs, w->arena->account, s);
}

int qdi_alloc_sigs_make(alloc_work *w, qd_err *err)
{
    const qd_alloc_view *v = w->view;
    w->sig_of = qd_arena_alloc(w->arena, ((size_t)v->nindices + 1) * sizeof *w->sig_of);
    if (!w->sig_of) return qd_err_nomem(err, "allocation filters");
    qd_map seen;
    qd_map_init(&seen, w->arena->account);
    qd_buf key;
    qd_buf_init(&key, w->arena->account, 16 << 20);
    int rc = 0;
    for (uint32_t i = 0; i < v->nindices && !rc; i++) {
        const qd_alloc_index *x = &v->indices[i];
        qd_buf_reset(&key);
        key_add(&key, 'i', x->filters.include, x->filters.ninclude);
        key_add(&key, 'e', x->filters.exclude, x->filters.nexclude);
        key_add(&key, 'r', x->filters.require, x->filters.nrequire);
        qd_buf_char(&key, 't');
        qd_buf_str(&key, x->tiers);
        qd_buf_char(&key, '\0');
        qd_buf_str(&key, x->storage_tier);
        rc = qd_buf_status(&key);
        if (rc) break;
        void *at = qd_map_get(&seen, qd_buf_view(&key));
        if (!at) {
            rc = sig_make(w, x);
            at = (void *)(uintptr_t)w->sigs.n;
            if (!rc) rc = qd_map_put(&seen, qd_buf_view(&key), at, NULL);
        }
        w->sig_of[i] = (uint32_t)(uintptr_t)at - 1;
    }
    qd_buf_fini(&key);
    qd_map_fini(&seen);
    return rc ? qd_err_nomem(err, "allocation filters") : 0;
}

/* --- the deciders ------------------------------------------------------------------------------*/

/* Elasticsearch's text for filters that do not let a node through; NULL text: they do. */
static qd_alloc_verdict refuse(const alloc_ask *a, const qd_alloc_filters *f, const char *scope,
                               const char *prefix)
{
    const qd_alloc_node *n = &a->w->view->nodes[a->node];
    if (filters_given(f->require, f->nrequire) &&
        !qdi_alloc_match(n, f->require, f->nrequire, true)) {
        qd_str t = a->why ? qdi_alloc_filter_text(a->w->arena, f->require, f->nrequire, true)
                          : (qd_str){NULL, 0};
        return qdi_alloc_say(a, QD_ALLOC_NO,
                             "node does not match %s setting [%s.require] filters [%.*s]", scope,
                             prefix, QD_STR_ARG(t));
    }
    if (filters_given(f->include, f->ninclude) &&
        !qdi_alloc_match(n, f->include, f->ninclude, false)) {
        qd_str t = a->why ? qdi_alloc_filter_text(a->w->arena, f->include, f->ninclude, false)
                          : (qd_str){NULL, 0};
        return qdi_alloc_say(a, QD_ALLOC_NO,
                             "node does not match %s setting [%s.include] filters [%.*s]", scope,
                             prefix, QD_STR_ARG(t));
    }
    if (filters_given(f->exclude, f->nexclude) &&
        qdi_alloc_match(n, f->exclude, f->nexclude, false)) {
        qd_str t = a->why ? qdi_alloc_filter_text(a->w->arena, f->exclude, f->nexclude, false)
                          : (qd_str){NULL, 0};
        return qdi_alloc_say(a, QD_ALLOC_NO, "node matches %s setting [%s.exclude] filters [%.*s]",
                             scope, prefix, QD_STR_ARG(t));
    }
    return QD_ALLOC_YES;
}

qd_alloc_verdict qdi_alloc_filter_remain(const alloc_ask *a)
{
    const qd_alloc_index *x = alloc_index_of(a->w, a->g);
    qd_alloc_verdict v =
        refuse(a, &a->w->view->settings.filters, "cluster", "cluster.routing.allocation");
    if (v == QD_ALLOC_YES) v = refuse(a, &x->filters, "index", "index.routing.allocation");
    if (v != QD_ALLOC_YES) return v;
    return qdi_alloc_say(a, v, "node passes include/exclude/require filters");
}

qd_alloc_verdict qdi_alloc_filter_allocate(const alloc_ask *a)
{
    const qd_alloc_index *x = alloc_index_of(a->w, a->g);
    const qd_alloc_node *n = &a->w->view->nodes[a->node];
    if (x->ninitial && alloc_shard_of(a->w, a->g)->fresh && a->w->primary[a->g] &&
        filters_given(x->initial, x->ninitial) &&
        !qdi_alloc_match(n, x->initial, x->ninitial, false)) {
        qd_str t = a->why ? qdi_alloc_filter_text(a->w->arena, x->initial, x->ninitial, false)
                          : (qd_str){NULL, 0};
        return qdi_alloc_say(a, QD_ALLOC_NO,
                             "initial allocation of the shrunken index is only allowed on nodes "
                             "[%.*s] that hold a copy of every shard in the index",
                             QD_STR_ARG(t));
    }
    return qdi_alloc_filter_remain(a);
}

qd_alloc_verdict qdi_alloc_tier(const alloc_ask *a)
{
    qd_str tiers = qd_str_trim(alloc_index_of(a->w, a->g)->tiers);
    if (!tiers.n) return qdi_alloc_say(a, QD_ALLOC_YES, "node passes tier preference filters");
    qd_str tier = qdi_alloc_tier_pick(a->w, tiers);
    if (!tier.n)
        return qdi_alloc_say(a, QD_ALLOC_NO,
                             "index has a preference for tiers [%.*s], but no nodes for any of "
                             "those tiers are available in the cluster",
                             QD_STR_ARG(tiers));
    if (has_tier(&a->w->view->nodes[a->node], qdi_alloc_tier_letter(tier)))
        return qdi_alloc_say(a, QD_ALLOC_YES,
                             "index has a preference for tiers [%.*s] and node has tier [%.*s]",
                             QD_STR_ARG(tiers), QD_STR_ARG(tier));
    return qdi_alloc_say(a, QD_ALLOC_NO,
                         "index has a preference for tiers [%.*s] and node does not meet the "
                         "required [%.*s] tier",
                         QD_STR_ARG(tiers), QD_STR_ARG(tier));
}

qd_alloc_verdict qdi_alloc_storage_tier(const alloc_ask *a)
{
    qd_str tier = alloc_index_of(a->w, a->g)->storage_tier;
    const qd_alloc_node *n = &a->w->view->nodes[a->node];
    if (!tier.n)
        return qdi_alloc_say(a, QD_ALLOC_YES, "index has no storage tier [index.storage.tier]");
    if (stores_on(n, tier))
        return qdi_alloc_say(a, QD_ALLOC_YES, "node has the storage tier [%.*s] of the index",
                             QD_STR_ARG(tier));
    return qdi_alloc_say(a, QD_ALLOC_NO,
                         "index has the storage tier [%.*s] [index.storage.tier] and node has "
                         "[%.*s] [storage.tiers]",
                         QD_STR_ARG(tier), QD_STR_ARG(n->tiers));
}
