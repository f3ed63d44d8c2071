/* value_keep.c: values that outlive the runs which made them. */
#include "script/object.h"
#include "script/script.h"

#define SHORT 64u /* texts below are copied each time they are met */

typedef struct keeper {
    qd_arena *to, scratch;
    qd_sv_map
        *seen; /* by address, what has been copied: what is shared stays so, and ends cycles */
    qd_err *err;
} keeper;

static int keep(keeper *k, qd_sv *v, int depth);

static int note(keeper *k, const qd_sv *old, const qd_sv *v)
{
    return qd_sv_map_set(&k->scratch, k->seen, qd_sv_long((int64_t)(intptr_t)old->object), *v);
}

static bool find(const keeper *k, qd_sv *v)
{
    qd_sv key = qd_sv_long((int64_t)(intptr_t)v->object);
    const qd_sv *at = qd_sv_map_at(k->seen, &key);
    if (!at || at->tag != v->tag || at->n != v->n) return false;
    v->object = at->object;
    return true;
}

static int keep_text(keeper *k, qd_sv *v)
{
    qd_sv old = *v;
    int rc = qd_sv_str_copy(k->to, qd_sv_text(&old), v);
    v->tag = old.tag;
    return rc || old.n < SHORT ? rc : note(k, &old, v);
}

static int keep_list(keeper *k, qd_sv *v, int depth)
{
    qd_sv old = *v;
    int rc = qd_sv_list_make(k->to, old.list->n, v);
    v->tag = old.tag;
    v->more = old.more;
    if (!rc) rc = note(k, &old, v);
    for (uint32_t i = 0; i < old.list->n && !rc; i++) {
        qd_sv one = old.list->v[i];
        rc = keep(k, &one, depth + 1);
        v->list->v[v->list->n++] = one;
    }
    if (!rc) v->list->fixed = old.list->fixed & 3;
    return rc;
}

static int keep_map(keeper *k, qd_sv *v, int depth)
{
    qd_sv old = *v;
    int rc = qd_sv_map_make(k->to, v);
    v->tag = old.tag;
    v->more = old.more;
    if (!rc) rc = note(k, &old, v);
    for (uint32_t i = 0; i < old.map->n && !rc; i++) {
        qd_sv key = old.map->e[i].key, one = old.map->e[i].value;
        if (key.tag == QD_SV_GONE) continue;
        rc = keep(k, &key, depth + 1);
        if (!rc) rc = keep(k, &one, depth + 1);
        if (!rc) rc = qd_sv_map_set(k->to, v->map, key, one);
    }
    if (!rc) v->map->fixed = old.map->fixed;
    return rc;
}

static int keep_time(keeper *k, qd_sv *v)
{
    const qd_sv_time *old = v->object;
    qd_sv_time *t = qd_arena_alloc(k->to, sizeof *t);
    qd_zone *zone;
    if (!t) return QD_E_NOMEM;
    *t = *old;
    v->object = t;
    int rc = old->zone ? qd_zone_make(k->to, qd_zone_id(old->zone), &zone, k->err) : 0;
    if (!rc && old->zone) t->zone = zone;
    return rc;
}

static int keep(keeper *k, qd_sv *v, int depth)
{
    bool big = v->tag == QD_SV_LIST || v->tag == QD_SV_ARRAY || v->tag == QD_SV_MAP ||
               v->tag == QD_SV_SET || v->tag == QD_SV_STRING || v->tag == QD_SV_BIG;
    if (v->tag < QD_SV_STRING || v->tag == QD_SV_UNIT || v->tag == QD_SV_WEEKDAY) return 0;
    if (big && find(k, v)) return 0;
    if (depth > QD_SV_DEPTH) return qd_err_set(k->err, QD_E_ARG, "the value nests too deep");
    switch (v->tag) {
    case QD_SV_STRING:
    case QD_SV_BIG:
        return keep_text(k, v);
    case QD_SV_LIST:
    case QD_SV_ARRAY:
        return keep_list(k, v, depth);
    case QD_SV_MAP:
    case QD_SV_SET:
        return keep_map(k, v, depth);
    case QD_SV_DATE:
    case QD_SV_INSTANT:
    case QD_SV_DURATION:
        return keep_time(k, v);
    default:
        return qd_err_set(k->err, QD_E_ARG, "a value of class [%s] cannot be kept", qd_sv_class(v));
    }
}

int qd_sv_keep(qd_arena *to, qd_sv *v, uint32_t n, qd_err *err)
{
    keeper k = {.to = to, .err = err};
    qd_sv seen;
    qd_arena_init(&k.scratch, to->account, 4ul * QD_SCRIPT_MEMORY);
    int rc = qd_sv_map_make(&k.scratch, &seen);
    k.seen = seen.map;
    for (uint32_t i = 0; i < n && !rc; i++) rc = keep(&k, &v[i], 0);
    qd_arena_fini(&k.scratch);
    return rc;
}
