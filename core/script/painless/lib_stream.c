/*
 * lib_stream.c: streams, as lists that each step copies; Collectors and Optional. `more` of a
 * STREAM is the class of its numbers: 0, INT, LONG or DOUBLE.
 */
#include "script/painless/lib_int.h"

static int stream_make(qdp_vm *vm, const qd_sv *v, uint32_t n, uint8_t of, qd_sv *out)
{
    qd_sv l;
    if (qd_sv_list_make(&vm->x->arena, n, &l)) return qdp_nomem(vm);
    if (n) memcpy(l.list->v, v, n * sizeof *v);
    l.list->n = n;
    l.tag = QD_SV_STREAM;
    l.more = of;
    *out = l;
    return qdp_steps(vm, n);
}

QDI_FN(stream)
{
    const qd_sv *v;
    uint32_t k;
    (void)n;
    if (qdp_items(vm, &a[0], &v, &k)) return -1;
    return stream_make(vm, v, k, 0, out);
}

static int mapped(qdp_vm *vm, qd_sv *a, uint8_t of, int type, qd_sv *out)
{
    if (stream_make(vm, a[0].list->v, a[0].list->n, of, out)) return -1;
    qd_sv s = *out;
    for (uint32_t i = 0; i < s.list->n; i++) {
        qd_sv v;
        if (qdp_call(vm, &a[1], &a[0].list->v[i], 1, &v)) return -1;
        if (type && qdp_cast(vm, &v, type, true, &v)) return -1;
        s.list->v[i] = v;
    }
    return 0;
}

QDI_FN(map)
{
    (void)n;
    return mapped(vm, a, a[0].more, 0, out);
}
QDI_FN(map_int)
{
    (void)n;
    return mapped(vm, a, QD_SV_INT, QDI_T_INT, out);
}
QDI_FN(map_long)
{
    (void)n;
    return mapped(vm, a, QD_SV_LONG, QDI_T_LONG, out);
}
QDI_FN(map_double)
{
    (void)n;
    return mapped(vm, a, QD_SV_DOUBLE, QDI_T_DOUBLE, out);
}
QDI_FN(map_object)
{
    (void)n;
    return mapped(vm, a, 0, 0, out);
}

static int test(qdp_vm *vm, const qd_sv *fn, const qd_sv *v, bool *out)
{
    qd_sv r;
    if (qdp_call(vm, fn, v, 1, &r) || qdp_cast(vm, &r, QDI_T_BOOLEAN, false, &r)) return -1;
    *out = r.i != 0;
    return 0;
}

QDI_FN(filter)
{
    (void)n;
    if (stream_make(vm, NULL, 0, a[0].more, out)) return -1;
    qd_sv s = *out;
    for (uint32_t i = 0; i < a[0].list->n; i++) {
        bool hit;
        if (test(vm, &a[1], &a[0].list->v[i], &hit)) return -1;
        if (hit && qdp_list_push(vm, s.list, a[0].list->v[i])) return -1;
    }
    return 0;
}

/* How many pass: for anyMatch, allMatch, noneMatch. */
static int passing(qdp_vm *vm, qd_sv *a, uint32_t *count)
{
    const qd_sv *v;
    uint32_t k;
    *count = 0;
    if (qdp_items(vm, &a[0], &v, &k)) return -1;
    for (uint32_t i = 0; i < k; i++) {
        bool hit;
        if (test(vm, &a[1], &v[i], &hit)) return -1;
        *count += hit;
    }
    return 0;
}

QDI_FN(any_match)
{
    uint32_t k;
    (void)n;
    if (passing(vm, a, &k)) return -1;
    *out = qd_sv_bool(k > 0);
    return 0;
}
QDI_FN(all_match)
{
    uint32_t k, total = a[0].tag == QD_SV_SET ? a[0].map->live : a[0].list->n;
    (void)n;
    if (passing(vm, a, &k)) return -1;
    *out = qd_sv_bool(k == total);
    return 0;
}
QDI_FN(none_match)
{
    uint32_t k;
    (void)n;
    if (passing(vm, a, &k)) return -1;
    *out = qd_sv_bool(k == 0);
    return 0;
}

QDI_FN(count)
{
    QDI_UNUSED;
    *out = qd_sv_long(a[0].list->n);
    return 0;
}

QDI_FN(sum)
{
    (void)n;
    if (qdp_steps(vm, a[0].list->n)) return -1;
    *out = a[0].more == QD_SV_DOUBLE ? qd_sv_double(0)
           : a[0].more == QD_SV_LONG ? qd_sv_long(0)
                                     : qd_sv_int(0);
    for (uint32_t i = 0; i < a[0].list->n; i++)
        if (qdp_arith(vm, C_ADD, out, &a[0].list->v[i], out)) return -1;
    return 0;
}

int qdp_optional(qdp_vm *vm, const qd_sv *v, qd_sv *out)
{
    qd_sv *room = NULL;
    if (v) {
        room = qd_arena_alloc(&vm->x->arena, sizeof *room);
        if (!room) return qdp_nomem(vm);
        *room = *v;
    }
    *out = (qd_sv){.tag = QD_SV_OPTIONAL, .object = room};
    return 0;
}

QDI_FN(average)
{
    qd_sv total = qd_sv_double(0), v;
    (void)n;
    if (qdp_steps(vm, a[0].list->n)) return -1;
    for (uint32_t i = 0; i < a[0].list->n; i++)
        if (qdp_arith(vm, C_ADD, &total, &a[0].list->v[i], &total)) return -1;
    v = qd_sv_double(a[0].list->n ? total.f / a[0].list->n : 0);
    return qdp_optional(vm, a[0].list->n ? &v : NULL, out);
}

static int best(qdp_vm *vm, qd_sv *a, uint32_t n, bool max, qd_sv *out)
{
    qd_sv s;
    if (stream_make(vm, a[0].list->v, a[0].list->n, 0, &s)) return -1;
    if (qdp_sort(vm, s.list->v, s.list->n, n ? &a[1] : NULL)) return -1;
    return qdp_optional(vm,
                        !s.list->n ? NULL
                        : max      ? &s.list->v[s.list->n - 1]
                                   : &s.list->v[0],
                        out);
}
QDI_FN(max)
{
    return best(vm, a, n, true, out);
}
QDI_FN(min)
{
    return best(vm, a, n, false, out);
}

QDI_FN(sorted)
{
    if (stream_make(vm, a[0].list->v, a[0].list->n, a[0].more, out)) return -1;
    return qdp_sort(vm, out->list->v, out->list->n, n ? &a[1] : NULL);
}

QDI_FN(distinct)
{
    qd_sv seen, s;
    (void)n;
    if (qd_sv_map_make(&vm->x->arena, &seen)) return qdp_nomem(vm);
    if (stream_make(vm, NULL, 0, a[0].more, &s)) return -1;
    for (uint32_t i = 0; i < a[0].list->n; i++) {
        const qd_sv *v = &a[0].list->v[i];
        if (qd_sv_map_at_in(seen.map, v, &vm->steps)) continue;
        if (qdp_map_put(vm, seen.map, *v, qd_sv_null()) || qdp_list_push(vm, s.list, *v)) return -1;
    }
    *out = s;
    return 0;
}

static int part(qdp_vm *vm, qd_sv *a, bool skip, qd_sv *out)
{
    int64_t k;
    if (qdp_arg_int(vm, &a[1], &k)) return -1;
    if (k < 0) return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "%lld", (long long)k);
    uint32_t m = k > a[0].list->n ? a[0].list->n : (uint32_t)k;
    return skip ? stream_make(vm, a[0].list->v + m, a[0].list->n - m, a[0].more, out)
                : stream_make(vm, a[0].list->v, m, a[0].more, out);
}
QDI_FN(limit)
{
    (void)n;
    return part(vm, a, false, out);
}
QDI_FN(skip)
{
    (void)n;
    return part(vm, a, true, out);
}

QDI_FN(boxed)
{
    QDI_UNUSED;
    *out = a[0];
    return 0;
}

QDI_FN(find_first)
{
    (void)n;
    return qdp_optional(vm, a[0].list->n ? &a[0].list->v[0] : NULL, out);
}

QDI_FN(for_each)
{
    (void)n;
    (void)out;
    for (uint32_t i = 0; i < a[0].list->n; i++) {
        qd_sv none;
        if (qdp_call(vm, &a[1], &a[0].list->v[i], 1, &none)) return -1;
    }
    return 0;
}

QDI_FN(reduce)
{
    uint32_t i = 0;
    if (n == 1 && !a[0].list->n) return qdp_optional(vm, NULL, out);
    qd_sv acc = n == 1 ? a[0].list->v[i++] : a[1];
    for (; i < a[0].list->n; i++) {
        qd_sv args[2] = {acc, a[0].list->v[i]};
        if (qdp_call(vm, &a[n], args, 2, &acc)) return -1;
    }
    if (n == 1) return qdp_optional(vm, &acc, out);
    *out = acc;
    return 0;
}

static int to_list(qdp_vm *vm, const qd_sv *s, uint8_t tag, qd_sv *out)
{
    if (stream_make(vm, s->list->v, s->list->n, 0, out)) return -1;
    out->tag = tag;
    out->list->fixed = tag == QD_SV_ARRAY ? 2 : 0;
    return 0;
}

QDI_FN(list)
{
    (void)n;
    return to_list(vm, &a[0], QD_SV_LIST, out);
}
QDI_FN(array)
{
    (void)n;
    return to_list(vm, &a[0], QD_SV_ARRAY, out);
}

/* Collectors are lists [kind, arguments …] in the guise of an ENTRY's neighbour: TAGS. */
static int collector(qdp_vm *vm, char kind, const qd_sv *args, uint32_t n, qd_sv *out)
{
    qd_sv *c = qd_arena_calloc(&vm->x->arena, 5 * sizeof *c);
    if (!c) return qdp_nomem(vm);
    c[0] = qd_sv_int(kind);
    for (uint32_t i = 0; i < n && i < 3; i++) c[i + 1] = args[i];
    c[4] = qd_sv_int((int32_t)n);
    *out = (qd_sv){.tag = QD_SV_TAGS, .object = c};
    return 0;
}
QDI_FN(c_list)
{
    return collector(vm, 'l', a, n, out);
}
QDI_FN(c_set)
{
    return collector(vm, 's', a, n, out);
}
QDI_FN(c_joining)
{
    return collector(vm, 'j', a, n, out);
}
QDI_FN(c_map)
{
    return collector(vm, 'm', a, n, out);
}
QDI_FN(c_group)
{
    return collector(vm, 'g', a, n, out);
}
QDI_FN(c_count)
{
    return collector(vm, 'c', a, n, out);
}

static int joined(qdp_vm *vm, const qd_sv *s, const qd_sv *c, qd_sv *out)
{
    qd_buf b;
    qd_buf_init(&b, vm->x->arena.account, 16u << 20);
    int k = (int)c[4].i;
    if (k == 3) qd_sv_append(&c[2], &b);
    for (uint32_t i = 0; i < s->list->n; i++) {
        if (i && k) qd_sv_append(&c[1], &b);
        qd_sv_append(&s->list->v[i], &b);
    }
    if (k == 3) qd_sv_append(&c[3], &b);
    int rc = qd_buf_status(&b) ? qdp_nomem(vm) : qdp_string(vm, qd_buf_view(&b), out);
    qd_buf_fini(&b);
    return rc;
}

static int collect_map(qdp_vm *vm, const qd_sv *s, const qd_sv *c, qd_sv *out)
{
    qd_sv m;
    if (qd_sv_map_make(&vm->x->arena, &m)) return qdp_nomem(vm);
    for (uint32_t i = 0; i < s->list->n; i++) {
        qd_sv k, v;
        if (qdp_call(vm, &c[1], &s->list->v[i], 1, &k)) return -1;
        qd_sv *at = qd_sv_map_at_in(m.map, &k, &vm->steps);
        if (c[0].i == 'g') {
            if (!at) {
                if (qd_sv_list_make(&vm->x->arena, 4, &v)) return qdp_nomem(vm);
                if (qdp_map_put(vm, m.map, k, v)) return -1;
                at = &v;
            }
            if (qdp_list_push(vm, at->list, s->list->v[i])) return -1;
            continue;
        }
        if (qdp_call(vm, &c[2], &s->list->v[i], 1, &v)) return -1;
        if (at && c[4].i < 3) return qdp_throw(vm, QDI_T_ILLEGAL_STATE, "Duplicate key");
        if (at) {
            qd_sv args[2] = {*at, v};
            if (qdp_call(vm, &c[3], args, 2, &v)) return -1;
        }
        if (qdp_map_put(vm, m.map, k, v)) return -1;
    }
    *out = m;
    return 0;
}

static int collect_by(qdp_vm *vm, const qd_sv *s, const qd_sv *c, qd_sv *out)
{
    switch (c[0].i) {
    case 'l':
        return to_list(vm, s, QD_SV_LIST, out);
    case 'j':
        return joined(vm, s, c, out);
    case 'c':
        *out = qd_sv_long(s->list->n);
        return 0;
    case 's':
        if (qd_sv_map_make(&vm->x->arena, out)) return qdp_nomem(vm);
        out->tag = QD_SV_SET;
        for (uint32_t i = 0; i < s->list->n; i++)
            if (qdp_map_put(vm, out->map, s->list->v[i], qd_sv_null())) return -1;
        return 0;
    default:
        return collect_map(vm, s, c, out);
    }
}

QDI_FN(collect)
{
    (void)n;
    if (a[1].tag != QD_SV_TAGS)
        return qdp_throw(vm, QDI_T_CLASS_CAST,
                         "Cannot cast from [%s] to [java.util.stream.Collector].",
                         qdp_class(&a[1]));
    const qd_sv *c = a[1].object;
    if (collect_by(vm, &a[0], c, out)) return -1;
    if (c[0].i != 'g' || c[4].i < 2 || c[2].tag != QD_SV_TAGS) return 0;
    qd_sv m = *out; /* groupingBy with a collector for each group */
    for (uint32_t i = 0; i < m.map->n; i++) {
        qd_sv v;
        if (collect_by(vm, &m.map->e[i].value, c[2].object, &v)) return -1;
        m.map->e[i].value = v;
    }
    return 0;
}

QDI_FN(is_present)
{
    QDI_UNUSED;
    *out = qd_sv_bool(a[0].object != NULL);
    return 0;
}
QDI_FN(optional_get)
{
    (void)n;
    if (!a[0].object) return qdp_throw(vm, QDI_T_NO_SUCH_ELEMENT, "No value present");
    *out = *(const qd_sv *)a[0].object;
    return 0;
}
QDI_FN(or_else)
{
    QDI_UNUSED;
    *out = a[0].object ? *(const qd_sv *)a[0].object : a[1];
    return 0;
}
QDI_FN(if_present)
{
    (void)n;
    qd_sv none;
    (void)out;
    return a[0].object ? qdp_call(vm, &a[1], a[0].object, 1, &none) : 0;
}

/* The language's own additions to collections. */
QDI_FN(own_collect)
{
    qd_sv s, args[2];
    if (stream(vm, a, 0, &s)) return -1;
    args[0] = s;
    args[1] = a[1];
    if (map(vm, args, n, out)) return -1;
    out->tag = QD_SV_LIST;
    out->list->fixed = 0;
    return 0;
}
QDI_FN(own_find_all)
{
    qd_sv s, args[2];
    if (stream(vm, a, 0, &s)) return -1;
    args[0] = s;
    args[1] = a[1];
    if (filter(vm, args, n, out)) return -1;
    out->tag = QD_SV_LIST;
    return 0;
}
QDI_FN(own_find)
{
    const qd_sv *v;
    uint32_t k;
    (void)n;
    if (qdp_items(vm, &a[0], &v, &k)) return -1;
    for (uint32_t i = 0; i < k; i++) {
        bool hit;
        qd_sv one = v[i];
        if (test(vm, &a[1], &one, &hit)) return -1;
        if (!hit) continue;
        *out = one;
        return 0;
    }
    return 0;
}
QDI_FN(own_sum)
{
    const qd_sv *v;
    uint32_t k;
    qd_sv total = qd_sv_double(0);
    if (qdp_items(vm, &a[0], &v, &k)) return -1;
    for (uint32_t i = 0; i < k; i++) {
        qd_sv one = v[i];
        if (n && qdp_call(vm, &a[1], &v[i], 1, &one)) return -1;
        if (qdp_arith(vm, C_ADD, &total, &one, &total)) return -1;
    }
    *out = total;
    return 0;
}
QDI_FN(own_count)
{
    uint32_t k;
    (void)n;
    if (passing(vm, a, &k)) return -1;
    *out = qd_sv_int((int32_t)k);
    return 0;
}
QDI_FN(own_join)
{
    qd_sv s, c[5] = {qd_sv_int('j'), a[1], qd_sv_null(), qd_sv_null(), qd_sv_int(1)};
    (void)n;
    if (stream(vm, a, 0, &s)) return -1;
    return joined(vm, &s, c, out);
}

#define ST QDI_TAG(STREAM)
#define LS (QDI_TAG(LIST) | QDI_TAG(SET))
#define OP QDI_TAG(OPTIONAL)
const qdp_method qdp_lib_stream[] = {
    {"stream", 0, 0, QDI_T_STREAM, LS | QDI_TAG(VALUES), stream},
    {"stream", 1, QDI_T_ARRAYS, QDI_T_STREAM, 0, stream},
    {"map", 1, 0, QDI_T_STREAM, ST, map},
    {"mapToInt", 1, 0, QDI_T_STREAM, ST, map_int},
    {"mapToLong", 1, 0, QDI_T_STREAM, ST, map_long},
    {"mapToDouble", 1, 0, QDI_T_STREAM, ST, map_double},
    {"mapToObj", 1, 0, QDI_T_STREAM, ST, map_object},
    {"filter", 1, 0, QDI_T_STREAM, ST, filter},
    {"anyMatch", 1, 0, QDI_T_BOOLEAN, ST, any_match},
    {"allMatch", 1, 0, QDI_T_BOOLEAN, ST, all_match},
    {"noneMatch", 1, 0, QDI_T_BOOLEAN, ST, none_match},
    {"count", 0, 0, QDI_T_LONG, ST, count},
    {"sum", 0, 0, QDI_T_DEF, ST, sum},
    {"average", 0, 0, QDI_T_OPTIONAL, ST, average},
    {"max", -1, 0, QDI_T_OPTIONAL, ST, max},
    {"min", -1, 0, QDI_T_OPTIONAL, ST, min},
    {"sorted", 0, 0, QDI_T_STREAM, ST, sorted},
    {"sorted", 1, 0, QDI_T_STREAM, ST, sorted},
    {"distinct", 0, 0, QDI_T_STREAM, ST, distinct},
    {"limit", 1, 0, QDI_T_STREAM, ST, limit},
    {"skip", 1, 0, QDI_T_STREAM, ST, skip},
    {"boxed", 0, 0, QDI_T_STREAM, ST, boxed},
    {"findFirst", 0, 0, QDI_T_OPTIONAL, ST, find_first},
    {"findAny", 0, 0, QDI_T_OPTIONAL, ST, find_first},
    {"forEach", 1, 0, QDI_T_VOID, ST, for_each},
    {"reduce", 1, 0, QDI_T_DEF, ST, reduce},
    {"reduce", 2, 0, QDI_T_DEF, ST, reduce},
    {"collect", 1, 0, QDI_T_DEF, ST, collect},
    {"toList", 0, 0, QDI_T_LIST, ST, list},
    {"toArray", -1, 0, QDI_T_DEF, ST, array},
    {"toList", 0, QDI_T_COLLECTORS, QDI_T_DEF, 0, c_list},
    {"toSet", 0, QDI_T_COLLECTORS, QDI_T_DEF, 0, c_set},
    {"joining", -1, QDI_T_COLLECTORS, QDI_T_DEF, 0, c_joining},
    {"toMap", 2, QDI_T_COLLECTORS, QDI_T_DEF, 0, c_map},
    {"toMap", 3, QDI_T_COLLECTORS, QDI_T_DEF, 0, c_map},
    {"groupingBy", 1, QDI_T_COLLECTORS, QDI_T_DEF, 0, c_group},
    {"groupingBy", 2, QDI_T_COLLECTORS, QDI_T_DEF, 0, c_group},
    {"counting", 0, QDI_T_COLLECTORS, QDI_T_DEF, 0, c_count},
    {"isPresent", 0, 0, QDI_T_BOOLEAN, OP, is_present},
    {"get", 0, 0, QDI_T_DEF, OP, optional_get},
    {"getAsInt", 0, 0, QDI_T_DEF, OP, optional_get},
    {"getAsLong", 0, 0, QDI_T_DEF, OP, optional_get},
    {"getAsDouble", 0, 0, QDI_T_DEF, OP, optional_get},
    {"orElse", 1, 0, QDI_T_DEF, OP, or_else},
    {"ifPresent", 1, 0, QDI_T_VOID, OP, if_present},
    {"collect", 1, 0, QDI_T_LIST, LS, own_collect},
    {"findAll", 1, 0, QDI_T_LIST, LS, own_find_all},
    {"find", 1, 0, QDI_T_DEF, LS, own_find},
    {"any", 1, 0, QDI_T_BOOLEAN, LS, any_match},
    {"every", 1, 0, QDI_T_BOOLEAN, LS, all_match},
    {"count", 1, 0, QDI_T_INT, LS, own_count},
    {"sum", 0, 0, QDI_T_DOUBLE, LS, own_sum},
    {"sum", 1, 0, QDI_T_DOUBLE, LS, own_sum},
    {"join", 1, 0, QDI_T_STRING, LS, own_join},
    {0},
};
