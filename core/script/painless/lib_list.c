/* lib_list.c: List, Set, arrays, Iterator, Collections, Arrays. */
#include "script/painless/lib_int.h"

int qdp_list_push(qdp_vm *vm, qd_sv_list *l, qd_sv v)
{
    return qd_sv_list_add(&vm->x->arena, l, v) ? qdp_nomem(vm) : 0;
}

int qdp_items(qdp_vm *vm, const qd_sv *of, const qd_sv **v, uint32_t *n)
{
    if (of->tag == QD_SV_LIST || of->tag == QD_SV_ARRAY || of->tag == QD_SV_STREAM) {
        *v = of->list->v;
        *n = of->list->n;
        return qdp_steps(vm, *n);
    }
    if (of->tag == QD_SV_VALUES) {
        const qd_script_values *s = of->object;
        *v = s->v;
        *n = s->n;
        return 0;
    }
    if (of->tag != QD_SV_SET) {
        if (of->tag == QD_SV_NULL)
            return qdp_throw(vm, QDI_T_NULL_POINTER, "the collection is null");
        return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [java.util.Collection].",
                         qdp_class(of));
    }
    qd_sv *to = qd_arena_alloc(&vm->x->arena, of->map->live * sizeof *to + 1);
    if (!to) return qdp_nomem(vm);
    *n = 0;
    for (uint32_t i = 0; i < of->map->n; i++)
        if (of->map->e[i].key.tag != QD_SV_GONE) to[(*n)++] = of->map->e[i].key;
    *v = to;
    return qdp_steps(vm, *n);
}

static int changeable(qdp_vm *vm, const qd_sv *l)
{
    if (l->tag == QD_SV_SET ? l->map->fixed : l->list->fixed)
        return qdp_throw(vm, QDI_T_UNSUPPORTED, "the collection cannot be changed");
    return 0;
}

QDI_FN(list_new)
{
    const qd_sv *v;
    uint32_t k = 0;
    qd_sv l;
    if (n && !qdp_number(&a[0]) && qdp_items(vm, &a[0], &v, &k)) return -1;
    if (qd_sv_list_make(&vm->x->arena, k, &l)) return qdp_nomem(vm);
    if (k) memcpy(l.list->v, v, k * sizeof *v);
    l.list->n = k;
    *out = l;
    return 0;
}

QDI_FN(size)
{
    QDI_UNUSED;
    *out = qd_sv_int((int32_t)(a[0].tag == QD_SV_SET ? a[0].map->live : a[0].list->n));
    return 0;
}

QDI_FN(is_empty)
{
    QDI_UNUSED;
    *out = qd_sv_bool((a[0].tag == QD_SV_SET ? a[0].map->live : a[0].list->n) == 0);
    return 0;
}

QDI_FN(get)
{
    (void)n;
    int64_t i;
    if (qdp_arg_int(vm, &a[1], &i)) return -1;
    if (i < 0 || i >= a[0].list->n)
        return qdp_throw(vm, QDI_T_INDEX_BOUNDS, "Index %lld out of bounds for length %u",
                         (long long)i, a[0].list->n);
    *out = a[0].list->v[i];
    return 0;
}

QDI_FN(set)
{
    (void)n;
    int64_t i;
    if (a[0].list->fixed & 1) return changeable(vm, &a[0]);
    if (qdp_arg_int(vm, &a[1], &i)) return -1;
    if (i < 0 || i >= a[0].list->n)
        return qdp_throw(vm, QDI_T_INDEX_BOUNDS, "Index %lld out of bounds for length %u",
                         (long long)i, a[0].list->n);
    *out = a[0].list->v[i];
    a[0].list->v[i] = a[2];
    return 0;
}

static int set_add(qdp_vm *vm, qd_sv_map *m, qd_sv v)
{
    return qd_sv_map_set_in(&vm->x->arena, m, v, qd_sv_null(), &vm->steps) ? qdp_nomem(vm) : 0;
}

QDI_FN(add)
{
    if (changeable(vm, &a[0])) return -1;
    *out = qd_sv_bool(true);
    if (a[0].tag == QD_SV_SET) {
        out->i = qd_sv_map_at_in(a[0].map, &a[1], &vm->steps) == NULL;
        return set_add(vm, a[0].map, a[1]);
    }
    if (n == 1) return qdp_list_push(vm, a[0].list, a[1]);
    qd_sv_list *l = a[0].list;
    int64_t i;
    if (qdp_arg_int(vm, &a[1], &i)) return -1;
    if (i < 0 || i > l->n)
        return qdp_throw(vm, QDI_T_INDEX_BOUNDS, "Index: %lld, Size: %u", (long long)i, l->n);
    if (qdp_list_push(vm, l, qd_sv_null())) return -1;
    memmove(&l->v[i + 1], &l->v[i], (l->n - 1 - (size_t)i) * sizeof *l->v);
    l->v[i] = a[2];
    return qdp_steps(vm, l->n / 16);
}

QDI_FN(add_all)
{
    const qd_sv *v;
    uint32_t k;
    (void)n;
    if (changeable(vm, &a[0]) || qdp_items(vm, &a[1], &v, &k)) return -1;
    if (a[0].tag == QD_SV_LIST && v == a[0].list->v) { /* a list to itself */
        qd_sv copy;
        if (list_new(vm, &a[1], 1, &copy)) return -1;
        v = copy.list->v;
    }
    for (uint32_t i = 0; i < k; i++)
        if (a[0].tag == QD_SV_SET ? set_add(vm, a[0].map, v[i])
                                  : qdp_list_push(vm, a[0].list, v[i]))
            return -1;
    *out = qd_sv_bool(k > 0);
    return 0;
}

static int64_t find(qdp_vm *vm, const qd_sv_list *l, const qd_sv *v, bool last)
{
    for (uint32_t i = 0; i < l->n; i++) {
        uint32_t at = last ? l->n - 1 - i : i;
        if (qd_sv_equal_in(&l->v[at], v, &vm->steps)) return at;
    }
    return -1;
}

QDI_FN(contains)
{
    (void)n;
    if (a[0].tag == QD_SV_SET) {
        *out = qd_sv_bool(qd_sv_map_at_in(a[0].map, &a[1], &vm->steps) != NULL);
        return 0;
    }
    *out = qd_sv_bool(find(vm, a[0].list, &a[1], false) >= 0);
    return qdp_steps(vm, a[0].list->n / 4);
}

QDI_FN(contains_all)
{
    const qd_sv *v;
    uint32_t k;
    if (qdp_items(vm, &a[1], &v, &k)) return -1;
    *out = qd_sv_bool(true);
    for (uint32_t i = 0; i < k && out->i; i++) {
        qd_sv args[2] = {a[0], v[i]};
        if (contains(vm, args, n, out)) return -1;
    }
    return 0;
}

QDI_FN(index_of)
{
    (void)n;
    *out = qd_sv_int((int32_t)find(vm, a[0].list, &a[1], false));
    return qdp_steps(vm, a[0].list->n / 4);
}

QDI_FN(last_index_of)
{
    (void)n;
    *out = qd_sv_int((int32_t)find(vm, a[0].list, &a[1], true));
    return qdp_steps(vm, a[0].list->n / 4);
}

static void cut(qd_sv_list *l, int64_t i)
{
    memmove(&l->v[i], &l->v[i + 1], (l->n - 1 - (size_t)i) * sizeof *l->v);
    l->n--;
}

/* remove(int) takes a place, remove(Object) what is there: decided by the argument's class. */
QDI_FN(remove_)
{
    (void)n;
    if (changeable(vm, &a[0])) return -1;
    if (a[0].tag == QD_SV_SET) {
        *out = qd_sv_bool(qd_sv_map_remove_in(a[0].map, &a[1], &vm->steps));
        return 0;
    }
    qd_sv_list *l = a[0].list;
    if (a[1].tag == QD_SV_INT || a[1].tag == QD_SV_SHORT || a[1].tag == QD_SV_BYTE) {
        int64_t i = a[1].i;
        if (i < 0 || i >= l->n)
            return qdp_throw(vm, QDI_T_INDEX_BOUNDS, "Index %lld out of bounds for length %u",
                             (long long)i, l->n);
        *out = l->v[i];
        cut(l, i);
    } else {
        int64_t i = find(vm, l, &a[1], false);
        *out = qd_sv_bool(i >= 0);
        if (i >= 0) cut(l, i);
    }
    return qdp_steps(vm, l->n / 16);
}

/* Keeps what keep says: by a function, or by being in another collection. */
static int filter(qdp_vm *vm, qd_sv *a, const qd_sv *with, bool by_fn, bool drop, qd_sv *out)
{
    const qd_sv *v;
    uint32_t k, gone = 0;
    if (a->tag == QD_SV_LIST && a->list->fixed & 4 && by_fn)
        ;
    else if (changeable(vm, a))
        return -1;
    if (!by_fn && with->tag != QD_SV_SET && with->tag != QD_SV_ARRAY && with->tag != QD_SV_LIST)
        return qdp_throw(vm, with->tag == QD_SV_NULL ? QDI_T_NULL_POINTER : QDI_T_CLASS_CAST,
                         "Cannot cast from [%s] to [java.util.Collection].", qdp_class(with));
    if (qdp_items(vm, a, &v, &k)) return -1;
    qd_sv copy;
    qd_sv self = *a;
    if (a->tag == QD_SV_LIST) { /* the function may look at the list */
        if (list_new(vm, &self, 1, &copy)) return -1;
        v = copy.list->v;
    }
    qd_sv *left = qd_arena_alloc(&vm->x->arena, k * sizeof *left + 1);
    if (!left) return qdp_nomem(vm);
    uint32_t n = 0;
    for (uint32_t i = 0; i < k; i++) {
        qd_sv hit, args[2] = {*with, v[i]};
        if (by_fn ? qdp_call(vm, with, &v[i], 1, &hit) : contains(vm, args, 1, &hit)) return -1;
        if ((hit.tag == QD_SV_BOOL && hit.i != 0) == drop) {
            gone++;
            if (a->tag == QD_SV_SET)
                qd_sv_map_remove_in(a->map, &v[i], &vm->steps);
            else if (a->list->fixed & 4 && !qdp_view_drop(vm, a->list, &v[i]))
                gone--;
        } else
            left[n++] = v[i];
    }
    if (a->tag == QD_SV_LIST) {
        if (n) memcpy(a->list->v, left, n * sizeof *left);
        a->list->n = n;
    }
    *out = qd_sv_bool(gone > 0);
    return 0;
}

QDI_FN(remove_if)
{
    (void)n;
    return filter(vm, &a[0], &a[1], true, true, out);
}

QDI_FN(remove_all)
{
    (void)n;
    return filter(vm, &a[0], &a[1], false, true, out);
}

QDI_FN(retain_all)
{
    (void)n;
    return filter(vm, &a[0], &a[1], false, false, out);
}

QDI_FN(clear)
{
    (void)n;
    (void)out;
    if (changeable(vm, &a[0])) return -1;
    if (a[0].tag == QD_SV_SET)
        qd_sv_map_clear(a[0].map);
    else
        a[0].list->n = 0;
    return 0;
}

QDI_FN(for_each)
{
    const qd_sv *v;
    uint32_t k;
    (void)n;
    qd_sv none, copy;
    if (a[0].tag == QD_SV_LIST && list_new(vm, &a[0], 1, &copy) == 0) a[0] = copy;
    if (qdp_items(vm, &a[0], &v, &k)) return -1;
    for (uint32_t i = 0; i < k; i++)
        if (qdp_call(vm, &a[1], &v[i], 1, &none)) return -1;
    *out = qd_sv_null();
    return 0;
}

QDI_FN(replace_all)
{
    (void)n;
    (void)out;
    if (changeable(vm, &a[0])) return -1;
    for (uint32_t i = 0; i < a[0].list->n; i++) {
        qd_sv v = a[0].list->v[i], r;
        if (qdp_call(vm, &a[1], &v, 1, &r)) return -1;
        if (i < a[0].list->n) a[0].list->v[i] = r;
    }
    return 0;
}

static int before(qdp_vm *vm, const qd_sv *x, const qd_sv *y, const qd_sv *fn, bool *out)
{
    int c;
    if (fn) {
        qd_sv args[2] = {*x, *y}, r;
        if (qdp_call(vm, fn, args, 2, &r)) return -1;
        if (!qdp_number(&r))
            return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [int].",
                             qdp_class(&r));
        *out = qdp_to_i64(&r) <= 0;
        return 0;
    }
    if (qdp_compare(vm, x, y, &c)) return -1;
    *out = c <= 0;
    return 0;
}

/* Merges runs, from short ones upwards: stable, and whatever the function answers it ends. */
int qdp_sort(qdp_vm *vm, qd_sv *v, uint32_t n, const qd_sv *fn)
{
    qd_sv *from = v, *to = qd_arena_alloc(&vm->x->arena, n * sizeof *to + 1);
    if (!to) return qdp_nomem(vm);
    for (uint32_t width = 1; width < n; width *= 2) {
        for (uint32_t lo = 0; lo < n; lo += 2 * width) {
            uint32_t mid = lo + width < n ? lo + width : n,
                     hi = lo + 2 * width < n ? lo + 2 * width : n;
            uint32_t i = lo, j = mid;
            for (uint32_t k = lo; k < hi; k++) {
                bool left = i < mid;
                if (left && j < hi && before(vm, &from[i], &from[j], fn, &left)) return -1;
                to[k] = left ? from[i++] : from[j++];
            }
        }
        if (qdp_steps(vm, n)) return -1;
        qd_sv *swap = from;
        from = to;
        to = swap;
    }
    if (from != v) memcpy(v, from, n * sizeof *v);
    return 0;
}

QDI_FN(sort)
{
    (void)out;
    const qd_sv *fn = n && a[1].tag == QD_SV_FUNCTION ? &a[1] : NULL;
    if (a[0].list->fixed & 1) return changeable(vm, &a[0]);
    qd_sv copy;
    if (list_new(vm, &a[0], 1, &copy) || qdp_sort(vm, copy.list->v, copy.list->n, fn)) return -1;
    if (copy.list->n && copy.list->n <= a[0].list->n)
        memcpy(a[0].list->v, copy.list->v, copy.list->n * sizeof(qd_sv));
    return 0;
}

QDI_FN(sub_list)
{
    (void)n;
    int64_t from, to;
    if (qdp_arg_int(vm, &a[1], &from) || qdp_arg_int(vm, &a[2], &to)) return -1;
    if (from < 0 || to > a[0].list->n || from > to)
        return qdp_throw(vm, QDI_T_INDEX_BOUNDS, "fromIndex: %lld, toIndex: %lld, size: %u",
                         (long long)from, (long long)to, a[0].list->n);
    qd_sv l;
    if (qd_sv_list_make(&vm->x->arena, (uint32_t)(to - from), &l)) return qdp_nomem(vm);
    if (to > from) memcpy(l.list->v, &a[0].list->v[from], (size_t)(to - from) * sizeof(qd_sv));
    l.list->n = (uint32_t)(to - from);
    *out = l;
    return 0;
}

typedef struct iterator {
    qd_sv of;
    const qd_sv *v;
    uint32_t n, at;
} iterator;

QDI_FN(iterate)
{
    (void)n;
    iterator *it = qd_arena_calloc(&vm->x->arena, sizeof *it);
    qd_sv copy = a[0];
    if (!it) return qdp_nomem(vm);
    it->of = a[0];
    if (copy.tag == QD_SV_LIST && list_new(vm, &a[0], 1, &copy)) return -1;
    if (qdp_items(vm, &copy, &it->v, &it->n)) return -1;
    *out = (qd_sv){.tag = QD_SV_ITERATOR, .object = it};
    return 0;
}

QDI_FN(has_next)
{
    QDI_UNUSED;
    const iterator *it = a[0].object;
    *out = qd_sv_bool(it->at < it->n);
    return 0;
}

QDI_FN(next)
{
    (void)n;
    iterator *it = a[0].object;
    if (it->at >= it->n) return qdp_throw(vm, QDI_T_NO_SUCH_ELEMENT, "the iterator is at its end");
    *out = it->v[it->at++];
    return 0;
}

QDI_FN(iterator_remove)
{
    (void)n;
    (void)out;
    iterator *it = a[0].object;
    if (!it->at) return qdp_throw(vm, QDI_T_ILLEGAL_STATE, "remove before next");
    const qd_sv *v = &it->v[it->at - 1];
    if (it->of.tag == QD_SV_SET)
        qd_sv_map_remove_in(it->of.map, v, &vm->steps);
    else if (it->of.tag == QD_SV_LIST) {
        if (it->of.list->fixed & 4)
            qdp_view_drop(vm, it->of.list, v);
        else if (changeable(vm, &it->of))
            return -1;
        /* what went before has gone: it stands at n less what is left */
        int64_t i = (int64_t)it->of.list->n - (it->n - it->at) - 1;
        if (i >= 0 && i < it->of.list->n) cut(it->of.list, i);
    } else
        return qdp_throw(vm, QDI_T_UNSUPPORTED, "the collection cannot be changed");
    return 0;
}

QDI_FN(set_new)
{
    const qd_sv *v;
    uint32_t k = 0;
    if (n && !qdp_number(&a[0]) && qdp_items(vm, &a[0], &v, &k)) return -1;
    if (qd_sv_map_make(&vm->x->arena, out)) return qdp_nomem(vm);
    out->tag = QD_SV_SET;
    for (uint32_t i = 0; i < k; i++)
        if (set_add(vm, out->map, v[i])) return -1;
    return 0;
}

QDI_FN(list_of)
{
    qd_sv l;
    if (n == 1 && a[0].tag == QD_SV_ARRAY) return list_new(vm, a, 1, out);
    if (qd_sv_list_make(&vm->x->arena, n, &l)) return qdp_nomem(vm);
    if (n) memcpy(l.list->v, a, n * sizeof *a);
    l.list->n = n;
    *out = l;
    return 0;
}

QDI_FN(set_of)
{
    qd_sv l;
    if (list_of(vm, a, n, &l)) return -1;
    return set_new(vm, &l, 1, out);
}

/* Collections.* */
QDI_FN(fixed_copy)
{
    (void)n;
    if (a[0].tag == QD_SV_MAP) {
        if (qd_sv_copy(&vm->x->arena, &a[0], out)) return qdp_nomem(vm);
        out->map->fixed = true;
        return 0;
    }
    if (list_new(vm, a, 1, out)) return -1;
    out->list->fixed = 1;
    return 0;
}

QDI_FN(empty_list)
{
    QDI_UNUSED;
    if (qd_sv_list_make(&vm->x->arena, 0, out)) return qdp_nomem(vm);
    out->list->fixed = 1;
    return 0;
}

QDI_FN(empty_map)
{
    QDI_UNUSED;
    if (qd_sv_map_make(&vm->x->arena, out)) return qdp_nomem(vm);
    out->map->fixed = true;
    return 0;
}

QDI_FN(collections_sort)
{
    if (a[0].tag != QD_SV_LIST && a[0].tag != QD_SV_ARRAY)
        return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [java.util.List].",
                         qdp_class(&a[0]));
    return sort(vm, a, n - 1, out);
}

QDI_FN(collections_reverse)
{
    (void)n;
    (void)out;
    if (a[0].tag != QD_SV_LIST)
        return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [java.util.List].",
                         qdp_class(&a[0]));
    qd_sv_list *l = a[0].list;
    for (uint32_t i = 0; i < l->n / 2; i++) {
        qd_sv t = l->v[i];
        l->v[i] = l->v[l->n - 1 - i];
        l->v[l->n - 1 - i] = t;
    }
    return 0;
}

static int extreme(qdp_vm *vm, const qd_sv *of, const qd_sv *fn, bool max, qd_sv *out)
{
    const qd_sv *v;
    uint32_t k;
    if (qdp_items(vm, of, &v, &k)) return -1;
    if (!k) return qdp_throw(vm, QDI_T_NO_SUCH_ELEMENT, "the collection is empty");
    *out = v[0];
    for (uint32_t i = 1; i < k; i++) {
        bool le;
        if (before(vm, max ? &v[i] : out, max ? out : &v[i], fn, &le)) return -1;
        if (!le) *out = v[i];
    }
    return 0;
}

QDI_FN(collections_max)
{
    return extreme(vm, &a[0], n > 1 ? &a[1] : NULL, true, out);
}

QDI_FN(collections_min)
{
    return extreme(vm, &a[0], n > 1 ? &a[1] : NULL, false, out);
}

#define L QDI_TAG(LIST)
#define LA (L | QDI_TAG(ARRAY))
#define LS (L | QDI_TAG(SET))
const qdp_method qdp_lib_list[] = {
    {"new", 0, QDI_T_LIST, QDI_T_LIST, 0, list_new},
    {"new", 1, QDI_T_LIST, QDI_T_LIST, 0, list_new},
    {"new", 0, QDI_T_HASHSET, QDI_T_HASHSET, 0, set_new},
    {"new", 1, QDI_T_HASHSET, QDI_T_HASHSET, 0, set_new},
    {"of", -1, QDI_T_LIST, QDI_T_LIST, 0, list_of},
    {"copyOf", 1, QDI_T_LIST, QDI_T_LIST, 0, list_new},
    {"of", -1, QDI_T_SET, QDI_T_SET, 0, set_of},
    {"copyOf", 1, QDI_T_SET, QDI_T_SET, 0, set_new},
    {"size", 0, 0, QDI_T_INT, LS, size},
    {"getLength", 0, 0, QDI_T_INT, LS, size},
    {"isEmpty", 0, 0, QDI_T_BOOLEAN, LS, is_empty},
    {"get", 1, 0, QDI_T_DEF, L, get},
    {"set", 2, 0, QDI_T_DEF, L, set},
    {"add", 1, 0, QDI_T_BOOLEAN, LS, add},
    {"add", 2, 0, QDI_T_VOID, L, add},
    {"addAll", 1, 0, QDI_T_BOOLEAN, LS, add_all},
    {"contains", 1, 0, QDI_T_BOOLEAN, LS, contains},
    {"containsAll", 1, 0, QDI_T_BOOLEAN, LS, contains_all},
    {"indexOf", 1, 0, QDI_T_INT, L, index_of},
    {"lastIndexOf", 1, 0, QDI_T_INT, L, last_index_of},
    {"remove", 1, 0, QDI_T_DEF, LS, remove_},
    {"removeIf", 1, 0, QDI_T_BOOLEAN, LS, remove_if},
    {"removeAll", 1, 0, QDI_T_BOOLEAN, LS, remove_all},
    {"retainAll", 1, 0, QDI_T_BOOLEAN, LS, retain_all},
    {"clear", 0, 0, QDI_T_VOID, LS, clear},
    {"forEach", 1, 0, QDI_T_VOID, LS, for_each},
    {"each", 1, 0, QDI_T_VOID, LS, for_each},
    {"replaceAll", 1, 0, QDI_T_VOID, L, replace_all},
    {"sort", 1, 0, QDI_T_VOID, L, sort},
    {"subList", 2, 0, QDI_T_LIST, L, sub_list},
    {"iterator", 0, 0, QDI_T_ITERATOR, LS, iterate},
    {"hasNext", 0, 0, QDI_T_BOOLEAN, QDI_TAG(ITERATOR), has_next},
    {"next", 0, 0, QDI_T_DEF, QDI_TAG(ITERATOR), next},
    {"remove", 0, 0, QDI_T_VOID, QDI_TAG(ITERATOR), iterator_remove},
    {"sort", 1, QDI_T_COLLECTIONS, QDI_T_VOID, 0, collections_sort},
    {"sort", 2, QDI_T_COLLECTIONS, QDI_T_VOID, 0, collections_sort},
    {"reverse", 1, QDI_T_COLLECTIONS, QDI_T_VOID, 0, collections_reverse},
    {"max", -1, QDI_T_COLLECTIONS, QDI_T_DEF, 0, collections_max},
    {"min", -1, QDI_T_COLLECTIONS, QDI_T_DEF, 0, collections_min},
    {"unmodifiableList", 1, QDI_T_COLLECTIONS, QDI_T_LIST, 0, fixed_copy},
    {"unmodifiableMap", 1, QDI_T_COLLECTIONS, QDI_T_MAP, 0, fixed_copy},
    {"singletonList", 1, QDI_T_COLLECTIONS, QDI_T_LIST, 0, list_of},
    {"singleton", 1, QDI_T_COLLECTIONS, QDI_T_SET, 0, set_of},
    {"emptyList", 0, QDI_T_COLLECTIONS, QDI_T_LIST, 0, empty_list},
    {"emptyMap", 0, QDI_T_COLLECTIONS, QDI_T_MAP, 0, empty_map},
    {"asList", -1, QDI_T_ARRAYS, QDI_T_LIST, 0, list_of},
    {"sort", 1, QDI_T_ARRAYS, QDI_T_VOID, 0, collections_sort},
    {0},
};
