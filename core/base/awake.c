#include "base/awake.h"

static qd_awake *of(const qd_awake_set *s, void *thing)
{
    return (qd_awake *)(void *)((char *)thing + s->offset);
}

void qd_awake_wake(qd_awake_set *s, void *thing)
{
    qd_awake *x = of(s, thing);
    if (atomic_load(&x->is) || qd_vec_push(&s->at, NULL, thing)) return;
    x->at = s->at.n - 1;
    atomic_store(&x->is, true);
    s->ref(thing);
}

void qd_awake_sleep(qd_awake_set *s, void *thing)
{
    qd_awake *x = of(s, thing);
    if (!atomic_load(&x->is)) return;
    void *last = s->at.at[--s->at.n];
    s->at.at[x->at] = last;
    of(s, last)->at = x->at;
    atomic_store(&x->is, false);
    s->unref(thing);
}

void qd_awake_gather(qd_awake_set *s, const qd_map *all, size_t calls, qd_awake_list *out)
{
    size_t sweep = calls ? all->n / calls + 1 : SIZE_MAX;
    const qd_map_entry *e;
    if (!calls) s->swept = 0;
    for (size_t i = 0; i < s->at.n; i++) {
        if (!qd_vec_push(out, NULL, s->at.at[i])) s->ref(s->at.at[i]);
    }
    for (; sweep && (e = qd_map_next(all, &s->swept)); sweep--) {
        if (!atomic_load(&of(s, e->value)->is) && !qd_vec_push(out, NULL, e->value))
            s->ref(e->value);
    }
    if (sweep) s->swept = 0;
}

void qd_awake_fini(qd_awake_set *s)
{
    for (size_t i = 0; i < s->at.n; i++) s->unref(s->at.at[i]);
    qd_vec_fini(&s->at);
}
