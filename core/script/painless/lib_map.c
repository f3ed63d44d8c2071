/* lib_map.c: Map and its views. A view is a list that knows the map it came from. */
#include "script/painless/lib_int.h"

typedef struct view {
    qd_sv_list list; /* first: a list is used as its view */
    qd_sv_map *map;
    char of; /* 'k' keys, 'v' values, 'e' entries */
} view;

typedef struct entry {
    qd_sv_entry e;
    qd_sv_map *map;
} entry;

bool qdp_view_drop(qdp_vm *vm, qd_sv_list *l, const qd_sv *v)
{
    view *w = (view *)(void *)l;
    if (w->of == 'k') return qd_sv_map_remove_in(w->map, v, &vm->steps);
    if (w->of == 'e') return qd_sv_map_remove_in(w->map, &((entry *)v->object)->e.key, &vm->steps);
    for (uint32_t i = 0; i < w->map->n; i++) {
        qd_sv_entry *e = &w->map->e[i];
        if (i % 4 == 0) vm->steps--;
        if (e->key.tag == QD_SV_GONE || !qd_sv_equal_in(&e->value, v, &vm->steps)) continue;
        qd_sv key = e->key;
        return qd_sv_map_remove_in(w->map, &key, &vm->steps);
    }
    return false;
}

static int make_view(qdp_vm *vm, const qd_sv *of, char what, qd_sv *out)
{
    const qd_sv_map *m = of->map;
    view *w = qd_arena_calloc(&vm->x->arena, sizeof *w);
    qd_sv *v = qd_arena_alloc(&vm->x->arena, m->live * sizeof *v + 1);
    entry *es = what == 'e' ? qd_arena_alloc(&vm->x->arena, m->live * sizeof *es + 1) : NULL;
    if (!w || !v || (what == 'e' && !es)) return qdp_nomem(vm);
    *w = (view){.list = {.v = v, .cap = m->live, .fixed = 4}, .map = of->map, .of = what};
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->e[i].key.tag == QD_SV_GONE) continue;
        if (what == 'e') {
            es[w->list.n] = (entry){m->e[i], of->map};
            v[w->list.n] = (qd_sv){.tag = QD_SV_ENTRY, .object = &es[w->list.n]};
        } else
            v[w->list.n] = what == 'k' ? m->e[i].key : m->e[i].value;
        w->list.n++;
    }
    *out = (qd_sv){.tag = QD_SV_LIST, .list = &w->list};
    return qdp_steps(vm, m->n);
}

QDI_FN(key_set)
{
    (void)n;
    return make_view(vm, &a[0], 'k', out);
}

QDI_FN(values)
{
    (void)n;
    return make_view(vm, &a[0], 'v', out);
}

QDI_FN(entry_set)
{
    (void)n;
    return make_view(vm, &a[0], 'e', out);
}

QDI_FN(map_new)
{
    if (n && !qdp_number(&a[0])) {
        if (a[0].tag != QD_SV_MAP)
            return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [java.util.Map].",
                             qdp_class(&a[0]));
        if (qd_sv_map_make(&vm->x->arena, out)) return qdp_nomem(vm);
        for (uint32_t i = 0; i < a[0].map->n; i++)
            if (a[0].map->e[i].key.tag != QD_SV_GONE &&
                qdp_map_put(vm, out->map, a[0].map->e[i].key, a[0].map->e[i].value))
                return -1;
        return qdp_steps(vm, a[0].map->n);
    }
    return qd_sv_map_make(&vm->x->arena, out) ? qdp_nomem(vm) : 0;
}

QDI_FN(map_of)
{
    if (n % 2)
        return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "Map.of takes keys and values in pairs");
    if (qd_sv_map_make(&vm->x->arena, out)) return qdp_nomem(vm);
    for (uint32_t i = 0; i + 1 < n; i += 2)
        if (qdp_map_put(vm, out->map, a[i], a[i + 1])) return -1;
    return 0;
}

QDI_FN(get)
{
    QDI_UNUSED;
    const qd_sv *v = qd_sv_map_at_in(a[0].map, &a[1], &vm->steps);
    *out = v ? *v : qd_sv_null();
    return 0;
}

QDI_FN(get_or)
{
    QDI_UNUSED;
    const qd_sv *v = qd_sv_map_at_in(a[0].map, &a[1], &vm->steps);
    *out = v ? *v : a[2];
    return 0;
}

/* getByPath("a.0.b"[, default]) */
QDI_FN(by_path)
{
    qd_str path;
    if (qdp_arg_str(vm, &a[1], &path)) return -1;
    qd_sv at = a[0];
    while (path.p) {
        qd_str part = qd_str_split(&path, '.');
        int64_t i;
        const qd_sv *v = NULL;
        if (at.tag == QD_SV_MAP)
            v = qd_sv_map_get(at.map, part);
        else if (at.tag == QD_SV_LIST && qd_str_i64(part, &i) && i >= 0 && i < at.list->n)
            v = &at.list->v[i];
        if (!v) {
            *out = n > 1 ? a[2] : qd_sv_null();
            if (n > 1) return 0;
            return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "Could not find value at path [%.*s]",
                             QD_STR_ARG(qd_sv_text(&a[1])));
        }
        at = *v;
    }
    *out = at;
    return 0;
}

QDI_FN(put)
{
    const qd_sv *v = qd_sv_map_at_in(a[0].map, &a[1], &vm->steps);
    *out = v ? *v : qd_sv_null();
    (void)n;
    return qdp_map_put(vm, a[0].map, a[1], a[2]);
}

QDI_FN(put_if_absent)
{
    const qd_sv *v = qd_sv_map_at_in(a[0].map, &a[1], &vm->steps);
    *out = v ? *v : qd_sv_null();
    (void)n;
    return v && v->tag != QD_SV_NULL ? 0 : qdp_map_put(vm, a[0].map, a[1], a[2]);
}

QDI_FN(put_all)
{
    (void)n;
    (void)out;
    if (a[1].tag != QD_SV_MAP)
        return qdp_throw(vm, a[1].tag ? QDI_T_CLASS_CAST : QDI_T_NULL_POINTER,
                         "Cannot cast from [%s] to [java.util.Map].", qdp_class(&a[1]));
    uint32_t k = a[1].map->n;
    for (uint32_t i = 0; i < k && i < a[1].map->n; i++) {
        qd_sv_entry e = a[1].map->e[i];
        if (e.key.tag != QD_SV_GONE && qdp_map_put(vm, a[0].map, e.key, e.value)) return -1;
    }
    return qdp_steps(vm, k);
}

QDI_FN(remove_)
{
    (void)n;
    if (a[0].map->fixed) return qdp_throw(vm, QDI_T_UNSUPPORTED, "the map cannot be changed");
    const qd_sv *v = qd_sv_map_at_in(a[0].map, &a[1], &vm->steps);
    *out = v ? *v : qd_sv_null();
    qd_sv_map_remove_in(a[0].map, &a[1], &vm->steps);
    return 0;
}

QDI_FN(contains_key)
{
    QDI_UNUSED;
    *out = qd_sv_bool(qd_sv_map_at_in(a[0].map, &a[1], &vm->steps) != NULL);
    return 0;
}

QDI_FN(contains_value)
{
    (void)n;
    *out = qd_sv_bool(false);
    for (uint32_t i = 0; i < a[0].map->n && !out->i; i++)
        out->i = a[0].map->e[i].key.tag != QD_SV_GONE &&
                 qd_sv_equal_in(&a[0].map->e[i].value, &a[1], &vm->steps);
    return qdp_steps(vm, a[0].map->n / 4);
}

QDI_FN(size)
{
    QDI_UNUSED;
    *out = qd_sv_int((int32_t)a[0].map->live);
    return 0;
}

QDI_FN(is_empty)
{
    QDI_UNUSED;
    *out = qd_sv_bool(a[0].map->live == 0);
    return 0;
}

QDI_FN(clear)
{
    (void)n;
    (void)out;
    if (a[0].map->fixed) return qdp_throw(vm, QDI_T_UNSUPPORTED, "the map cannot be changed");
    qd_sv_map_clear(a[0].map);
    return 0;
}

QDI_FN(for_each)
{
    (void)n;
    (void)out;
    for (uint32_t i = 0; i < a[0].map->n; i++) {
        if (a[0].map->e[i].key.tag == QD_SV_GONE) continue;
        qd_sv args[2] = {a[0].map->e[i].key, a[0].map->e[i].value}, none;
        if (qdp_call(vm, &a[1], args, 2, &none)) return -1;
    }
    return 0;
}

QDI_FN(compute_if_absent)
{
    (void)n;
    const qd_sv *v = qd_sv_map_at_in(a[0].map, &a[1], &vm->steps);
    if (v && v->tag != QD_SV_NULL) {
        *out = *v;
        return 0;
    }
    if (qdp_call(vm, &a[2], &a[1], 1, out)) return -1;
    return out->tag == QD_SV_NULL ? 0 : qdp_map_put(vm, a[0].map, a[1], *out);
}

static int put_or_drop(qdp_vm *vm, qd_sv_map *m, const qd_sv *key, const qd_sv *v)
{
    if (v->tag != QD_SV_NULL) return qdp_map_put(vm, m, *key, *v);
    qd_sv_map_remove_in(m, key, &vm->steps);
    return 0;
}

QDI_FN(compute_if_present)
{
    (void)n;
    const qd_sv *v = qd_sv_map_at_in(a[0].map, &a[1], &vm->steps);
    if (!v || v->tag == QD_SV_NULL) return 0;
    qd_sv args[2] = {a[1], *v};
    if (qdp_call(vm, &a[2], args, 2, out)) return -1;
    return put_or_drop(vm, a[0].map, &a[1], out);
}

QDI_FN(compute)
{
    (void)n;
    const qd_sv *v = qd_sv_map_at_in(a[0].map, &a[1], &vm->steps);
    qd_sv args[2] = {a[1], v ? *v : qd_sv_null()};
    if (qdp_call(vm, &a[2], args, 2, out)) return -1;
    return put_or_drop(vm, a[0].map, &a[1], out);
}

QDI_FN(merge)
{
    (void)n;
    const qd_sv *v = qd_sv_map_at_in(a[0].map, &a[1], &vm->steps);
    *out = a[2];
    qd_sv args[2] = {v ? *v : qd_sv_null(), a[2]};
    if (v && v->tag != QD_SV_NULL && qdp_call(vm, &a[3], args, 2, out)) return -1;
    return put_or_drop(vm, a[0].map, &a[1], out);
}

QDI_FN(replace_all)
{
    (void)n;
    (void)out;
    for (uint32_t i = 0; i < a[0].map->n; i++) {
        if (a[0].map->e[i].key.tag == QD_SV_GONE) continue;
        qd_sv args[2] = {a[0].map->e[i].key, a[0].map->e[i].value}, v;
        if (qdp_call(vm, &a[1], args, 2, &v)) return -1;
        if (i < a[0].map->n) a[0].map->e[i].value = v;
    }
    return 0;
}

QDI_FN(entry_key)
{
    QDI_UNUSED;
    *out = ((const entry *)a[0].object)->e.key;
    return 0;
}

QDI_FN(entry_value)
{
    QDI_UNUSED;
    *out = ((const entry *)a[0].object)->e.value;
    return 0;
}

QDI_FN(entry_set_value)
{
    (void)n;
    entry *e = a[0].object;
    *out = e->e.value;
    e->e.value = a[1];
    return qdp_map_put(vm, e->map, e->e.key, a[1]);
}

/* Map.any(fn), every, findAll, collect … of the language's own additions: find, count. */
static int hits(qdp_vm *vm, qd_sv *a, qd_sv_map *to, uint32_t *count)
{
    *count = 0;
    for (uint32_t i = 0; i < a[0].map->n; i++) {
        if (a[0].map->e[i].key.tag == QD_SV_GONE) continue;
        qd_sv args[2] = {a[0].map->e[i].key, a[0].map->e[i].value}, v;
        if (qdp_call(vm, &a[1], args, 2, &v)) return -1;
        if (v.tag != QD_SV_BOOL || !v.i) continue;
        ++*count;
        if (to && qdp_map_put(vm, to, args[0], args[1])) return -1;
    }
    return 0;
}

QDI_FN(map_any)
{
    uint32_t k;
    (void)n;
    if (hits(vm, a, NULL, &k)) return -1;
    *out = qd_sv_bool(k > 0);
    return 0;
}

QDI_FN(map_every)
{
    uint32_t k;
    (void)n;
    if (hits(vm, a, NULL, &k)) return -1;
    *out = qd_sv_bool(k == a[0].map->live);
    return 0;
}

QDI_FN(map_count)
{
    uint32_t k;
    (void)n;
    if (hits(vm, a, NULL, &k)) return -1;
    *out = qd_sv_int((int32_t)k);
    return 0;
}

QDI_FN(map_find_all)
{
    uint32_t k;
    qd_sv m;
    (void)n;
    if (qd_sv_map_make(&vm->x->arena, &m)) return qdp_nomem(vm);
    if (hits(vm, a, m.map, &k)) return -1;
    *out = m;
    return 0;
}

#define M QDI_TAG(MAP)
const qdp_method qdp_lib_map[] = {
    {"new", 0, QDI_T_HASHMAP, QDI_T_HASHMAP, 0, map_new},
    {"new", 1, QDI_T_HASHMAP, QDI_T_HASHMAP, 0, map_new},
    {"of", -1, QDI_T_MAP, QDI_T_MAP, 0, map_of},
    {"get", 1, 0, QDI_T_DEF, M, get},
    {"getOrDefault", 2, 0, QDI_T_DEF, M, get_or},
    {"getByPath", 1, 0, QDI_T_DEF, M, by_path},
    {"getByPath", 2, 0, QDI_T_DEF, M, by_path},
    {"put", 2, 0, QDI_T_DEF, M, put},
    {"putIfAbsent", 2, 0, QDI_T_DEF, M, put_if_absent},
    {"putAll", 1, 0, QDI_T_VOID, M, put_all},
    {"remove", 1, 0, QDI_T_DEF, M, remove_},
    {"containsKey", 1, 0, QDI_T_BOOLEAN, M, contains_key},
    {"containsValue", 1, 0, QDI_T_BOOLEAN, M, contains_value},
    {"size", 0, 0, QDI_T_INT, M, size},
    {"isEmpty", 0, 0, QDI_T_BOOLEAN, M, is_empty},
    {"clear", 0, 0, QDI_T_VOID, M, clear},
    {"keySet", 0, 0, QDI_T_SET, M, key_set},
    {"values", 0, 0, QDI_T_COLLECTION, M, values},
    {"entrySet", 0, 0, QDI_T_SET, M, entry_set},
    {"forEach", 1, 0, QDI_T_VOID, M, for_each},
    {"each", 1, 0, QDI_T_VOID, M, for_each},
    {"computeIfAbsent", 2, 0, QDI_T_DEF, M, compute_if_absent},
    {"computeIfPresent", 2, 0, QDI_T_DEF, M, compute_if_present},
    {"compute", 2, 0, QDI_T_DEF, M, compute},
    {"merge", 3, 0, QDI_T_DEF, M, merge},
    {"replaceAll", 1, 0, QDI_T_VOID, M, replace_all},
    {"any", 1, 0, QDI_T_BOOLEAN, M, map_any},
    {"every", 1, 0, QDI_T_BOOLEAN, M, map_every},
    {"count", 1, 0, QDI_T_INT, M, map_count},
    {"findAll", 1, 0, QDI_T_MAP, M, map_find_all},
    {"getKey", 0, 0, QDI_T_DEF, QDI_TAG(ENTRY), entry_key},
    {"getValue", 0, 0, QDI_T_DEF, QDI_TAG(ENTRY), entry_value},
    {"setValue", 1, 0, QDI_T_DEF, QDI_TAG(ENTRY), entry_set_value},
    {0},
};
