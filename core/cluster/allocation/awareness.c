/*
 * awareness.c: copies are spread over the values of each awareness attribute: with c copies and v
 * values at most ceil(c / v) for one value. Forced values count though no node has them.
 */
#include "cluster/allocation/decide_int.h"

static uint32_t copies_wanted(const alloc_work *w, uint32_t g)
{
    return alloc_index_of(w, g)->replicas + 1;
}

static qd_alloc_verdict say_crowded(const alloc_ask *a, uint32_t t, uint32_t most, uint32_t there)
{
    const alloc_work *w = a->w;
    if (!a->why) return QD_ALLOC_NO;
    qd_buf b;
    qd_buf_init(&b, w->arena->account, 4096);
    qd_buf_char(&b, '[');
    for (uint32_t i = 0; i < w->nvalues[t]; i++) {
        if (i) qd_buf_c(&b, ", ");
        qd_buf_str(&b, w->values[t][i]);
    }
    qd_buf_char(&b, ']');
    qd_str list = qd_buf_view(&b), name = w->view->settings.awareness[t];
    qd_str value = qdi_alloc_attr(&w->view->nodes[a->node], name);
    qdi_alloc_say(a, QD_ALLOC_NO,
                  "there are [%u] copies of this shard and [%u] values for attribute [%.*s] (%.*s "
                  "from nodes in the cluster and %s) so there may be at most [%u] copies of this "
                  "shard allocated to nodes with each value, but (including this copy) there "
                  "would be [%u] copies allocated to nodes with [node.attr.%.*s: %.*s]",
                  copies_wanted(w, a->g), w->nvalues[t], QD_STR_ARG(name), QD_STR_ARG(list),
                  w->forced[t] ? "forced awareness" : "no forced awareness", most, there,
                  QD_STR_ARG(name), QD_STR_ARG(value));
    qd_buf_fini(&b);
    return QD_ALLOC_NO;
}

static qd_alloc_verdict aware(const alloc_ask *a)
{
    const alloc_work *w = a->w;
    if (!w->nawareness)
        return qdi_alloc_say(a, QD_ALLOC_YES,
                             "allocation awareness is not enabled, set cluster setting "
                             "[cluster.routing.allocation.awareness.attributes] to enable it");
    uint32_t s = w->shard_of[a->g], copies = copies_wanted(w, a->g);
    for (uint32_t t = 0; t < w->nawareness; t++) {
        uint32_t v = w->value[t][a->node];
        if (v == QD_ALLOC_NONE)
            return qdi_alloc_say(a, QD_ALLOC_NO,
                                 "node does not contain the awareness attribute [%.*s]; required "
                                 "attributes cluster setting "
                                 "[cluster.routing.allocation.awareness.attributes=%.*s]",
                                 QD_STR_ARG(w->view->settings.awareness[t]),
                                 QD_STR_ARG(w->view->settings.awareness[t]));
        uint32_t there = 1, most = (copies + w->nvalues[t] - 1) / w->nvalues[t];
        for (uint32_t g = w->first[s]; g < w->first[s + 1]; g++)
            there += g != a->g && a->o->node[g] != QD_ALLOC_NONE && w->value[t][a->o->node[g]] == v;
        if (there > most) return say_crowded(a, t, most, there);
    }
    return qdi_alloc_say(a, QD_ALLOC_YES, "node meets all awareness attribute requirements");
}

qd_alloc_verdict qdi_alloc_aware_allocate(const alloc_ask *a)
{
    return aware(a);
}
qd_alloc_verdict qdi_alloc_aware_remain(const alloc_ask *a)
{
    return aware(a);
}

/* --- values of the attributes ------------------------------------------------------------------*/

static uint32_t value_id(alloc_work *w, uint32_t t, qd_str value, uint32_t room)
{
    for (uint32_t i = 0; i < w->nvalues[t]; i++)
        if (qd_str_eq(w->values[t][i], value)) return i;
    if (w->nvalues[t] >= room) return QD_ALLOC_NONE;
    w->values[t][w->nvalues[t]] = value;
    return w->nvalues[t]++;
}

#define FORCED_MAX 256

static int attribute_make(alloc_work *w, uint32_t t)
{
    const qd_alloc_view *v = w->view;
    uint32_t room = v->nnodes + FORCED_MAX;
    w->value[t] = qd_arena_alloc(w->arena, ((size_t)v->nnodes + 1) * sizeof **w->value);
    w->values[t] = qd_arena_alloc(w->arena, (size_t)room * sizeof **w->values);
    if (!w->value[t] || !w->values[t]) return QD_E_NOMEM;
    for (uint32_t n = 0; n < v->nnodes; n++) {
        qd_str x = qdi_alloc_attr(&v->nodes[n], v->settings.awareness[t]);
        /* a node that is emptied is no place to count with */
        w->value[t][n] = x.p && w->data[n] ? value_id(w, t, x, room) : QD_ALLOC_NONE;
    }
    for (uint32_t i = 0; i < v->settings.nforced; i++) {
        if (!qd_str_eq(v->settings.forced[i].name, v->settings.awareness[t])) continue;
        qd_str rest = v->settings.forced[i].value;
        for (uint32_t k = 0; rest.p && k < FORCED_MAX; k++) {
            qd_str x = qd_str_trim(qd_str_split(&rest, ','));
            if (x.n) value_id(w, t, x, room), w->forced[t] = true;
        }
    }
    return 0;
}

int qdi_alloc_awareness_make(alloc_work *w, qd_err *err)
{
    w->nawareness = w->view->settings.nawareness;
    size_t n = w->nawareness + 1;
    w->value = qd_arena_calloc(w->arena, n * sizeof *w->value);
    w->values = qd_arena_calloc(w->arena, n * sizeof *w->values);
    w->nvalues = qd_arena_calloc(w->arena, n * sizeof *w->nvalues);
    w->forced = qd_arena_calloc(w->arena, n * sizeof *w->forced);
    if (!w->value || !w->values || !w->nvalues || !w->forced)
        return qd_err_nomem(err, "awareness attributes");
    for (uint32_t t = 0; t < w->nawareness; t++)
        if (attribute_make(w, t)) return qd_err_nomem(err, "awareness attributes");
    return 0;
}

bool qdi_alloc_zone_full(alloc_work *w, uint32_t g, uint32_t node)
{
    alloc_ask a = {w, &w->plan, g, node, NULL};
    return aware(&a) == QD_ALLOC_NO;
}
