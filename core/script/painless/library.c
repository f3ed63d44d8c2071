/* library.c: names to functions of the library, members of values, exceptions. */
#include "analysis/regex/regex.h"
#include "script/painless/lib_int.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

const qdp_method *const qdp_library[] = {
    qdp_lib_object, qdp_lib_string, qdp_lib_builder, qdp_lib_list, qdp_lib_map, qdp_lib_stream,
    qdp_lib_math,   qdp_lib_time,   qdp_lib_regex,   qdp_lib_doc,  qdp_lib_geo, qdp_lib_moving,
    qdp_lib_score,  qdp_lib_vector, qdp_lib_more,    NULL};

int qdp_throw(qdp_vm *vm, int type, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    qdp_exception *e = qd_arena_calloc(&vm->x->arena, sizeof *e);
    if (!e) return qdp_nomem(vm);
    e->type = (int16_t)type;
    e->message = qd_arena_str(&vm->x->arena, qd_str_c(text));
    vm->exc = (qd_sv){.tag = QD_SV_EXCEPTION, .object = e};
    return -1;
}

int qdp_nomem(qdp_vm *vm)
{
    static qdp_exception e = {.type = QDI_T_OBJECT,
                              .message = {"the script used more memory than it may", 39}};
    vm->exc = (qd_sv){.tag = QD_SV_EXCEPTION, .object = &e};
    vm->fatal = true;
    return -1;
}

int qdp_steps(qdp_vm *vm, uint64_t n)
{
    static qdp_exception e = {
        .type = QDI_T_VOID,
        .message = {
            "The maximum number of statements that can be executed in a loop has been reached.",
            81}};
    vm->steps -= n > INT32_MAX ? INT32_MAX : (int64_t)n;
    if (vm->steps >= 0) return 0;
    vm->exc = (qd_sv){.tag = QD_SV_EXCEPTION, .object = &e};
    vm->fatal = true;
    return -1;
}

bool qdp_exception_is(int type, int of)
{
    if (of == QDI_T_EXCEPTION || type == of) return true;
    if (of == QDI_T_RUNTIME) return type != QDI_T_EXCEPTION;
    if (of == QDI_T_ILLEGAL_ARGUMENT) return type == QDI_T_NUMBER_FORMAT;
    if (of == QDI_T_INDEX_BOUNDS) return type == QDI_T_ARRAY_BOUNDS || type == QDI_T_STRING_BOUNDS;
    return of == QDI_T_DATE_TIME && type == QDI_T_DATE_PARSE;
}

const char *qdp_exception_type(int type)
{
    static const struct {
        int16_t type;
        const char *name;
    } names[] = {{QDI_T_VOID, "painless_error"},
                 {QDI_T_OBJECT, "circuit_breaking_exception"},
                 {QDI_T_EXCEPTION, "exception"},
                 {QDI_T_RUNTIME, "runtime_exception"},
                 {QDI_T_ILLEGAL_ARGUMENT, "illegal_argument_exception"},
                 {QDI_T_NUMBER_FORMAT, "number_format_exception"},
                 {QDI_T_ILLEGAL_STATE, "illegal_state_exception"},
                 {QDI_T_NULL_POINTER, "null_pointer_exception"},
                 {QDI_T_ARITHMETIC, "arithmetic_exception"},
                 {QDI_T_CLASS_CAST, "class_cast_exception"},
                 {QDI_T_INDEX_BOUNDS, "index_out_of_bounds_exception"},
                 {QDI_T_ARRAY_BOUNDS, "array_index_out_of_bounds_exception"},
                 {QDI_T_STRING_BOUNDS, "string_index_out_of_bounds_exception"},
                 {QDI_T_NEGATIVE_SIZE, "negative_array_size_exception"},
                 {QDI_T_UNSUPPORTED, "unsupported_operation_exception"},
                 {QDI_T_NO_SUCH_ELEMENT, "no_such_element_exception"},
                 {QDI_T_DATE_TIME, "date_time_exception"},
                 {QDI_T_DATE_PARSE, "date_time_parse_exception"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].type == type) return names[i].name;
    return "exception";
}

const char *qdp_class(const qd_sv *v)
{
    if (v->tag == QD_SV_EXCEPTION) return qdp_type_full(((const qdp_exception *)v->object)->type);
    return qd_sv_class(v);
}

/* "getX", "isX" for a field that is read, "setX" for one that is written. */
static bool accessor(const char *name, qd_str field, bool setter)
{
    size_t skip = setter                         ? strncmp(name, "set", 3) == 0 ? 3 : 0
                  : strncmp(name, "get", 3) == 0 ? 3
                  : strncmp(name, "is", 2) == 0  ? 2
                                                 : 0;
    if (!skip || !field.n || strlen(name) != skip + field.n) return false;
    return name[skip] == toupper((unsigned char)field.p[0]) &&
           memcmp(name + skip + 1, field.p + 1, field.n - 1) == 0;
}

static bool fits(const qdp_method *m, const qdp_site *s, bool field, bool setter)
{
    if (!m->tags) return false;
    if (field) return m->nargs == (setter ? 1 : 0) && accessor(m->name, s->name, setter);
    return qd_str_is(s->name, m->name) &&
           (s->nargs == UINT32_MAX || m->nargs < 0 || m->nargs == (int)s->nargs);
}

int qdp_site_bind(qdp_program *p, qdp_site *s, bool field, bool setter)
{
    uint32_t n = 0;
    const qdp_method **found = NULL;
    for (int pass = 0; pass < 2; pass++) {
        n = 0;
        for (size_t t = 0; qdp_library[t]; t++)
            for (const qdp_method *m = qdp_library[t]; m->name; m++)
                if (fits(m, s, field, setter)) {
                    if (pass) found[n] = m;
                    n++;
                }
        if (!n) return 0;
        if (!pass && !(found = qd_arena_alloc(&p->arena, n * sizeof *found))) return QD_E_NOMEM;
    }
    if (field) {
        s->getters = found;
        s->ngetters = n;
    } else {
        s->m = found;
        s->n = n;
    }
    return 0;
}

const qdp_method *qdp_static_find(int owner, qd_str name, uint32_t nargs)
{
    for (size_t t = 0; qdp_library[t]; t++)
        for (const qdp_method *m = qdp_library[t]; m->name; m++)
            if (!m->tags && (m->owner == owner) && qd_str_is(name, m->name) &&
                (m->nargs < 0 || m->nargs == (int)nargs))
                return m;
    /* a box knows the functions of its primitive's row, and StrictMath those of Math */
    int other = owner == QDI_T_STRICT_MATH ? QDI_T_MATH : qdp_type_unboxed(owner);
    if (owner == QDI_T_ARRAYLIST || owner == QDI_T_LINKEDLIST) other = QDI_T_LIST;
    if (owner == QDI_T_LINKEDHASHMAP) other = QDI_T_HASHMAP;
    if (owner == QDI_T_LINKEDHASHSET) other = QDI_T_HASHSET;
    if (owner == QDI_T_BUFFER) other = QDI_T_BUILDER;
    if (qd_str_is(name, "new") && qdp_type_tags(owner) == 1ull << QD_SV_EXCEPTION)
        other = QDI_T_EXCEPTION;
    if (owner == QDI_T_ZONE_OFFSET) other = QDI_T_ZONE;
    return other == owner ? NULL : qdp_static_find(other, name, nargs);
}

int qdp_invoke(qdp_vm *vm, const qdp_site *s, qd_sv *args, qd_sv *out)
{
    uint64_t bit = 1ull << args[0].tag;
    for (uint32_t i = 0; i < s->n; i++) {
        if (!(s->m[i]->tags & bit)) continue;
        qd_sv v = qd_sv_null();
        if (qdp_receiver(vm, args, s->nargs) || s->m[i]->fn(vm, args, s->nargs, &v)) return -1;
        *out = v;
        return 0;
    }
    if (args[0].tag == QD_SV_NULL)
        return qdp_throw(vm, QDI_T_NULL_POINTER,
                         "Cannot invoke \"%.*s()\" because the value is null", QD_STR_ARG(s->name));
    /* a map may hold functions */
    return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "dynamic method [%s, %.*s/%u] not found",
                     qdp_class(&args[0]), QD_STR_ARG(s->name), s->nargs);
}

static int list_index(qdp_vm *vm, const qd_sv *of, int64_t i, int64_t *out)
{
    if (i < 0) i += of->list->n; /* from the end, as Painless has it */
    if (i < 0 || i >= of->list->n)
        return qdp_throw(vm, of->tag == QD_SV_ARRAY ? QDI_T_ARRAY_BOUNDS : QDI_T_INDEX_BOUNDS,
                         "Index %lld out of bounds for length %u", (long long)i, of->list->n);
    *out = i;
    return 0;
}

int qdp_index_get(qdp_vm *vm, const qd_sv *of, const qd_sv *at, qd_sv *out)
{
    int64_t i;
    switch (of->tag) {
    case QD_SV_MAP: {
        const qd_sv *v = qd_sv_map_at_in(of->map, at, &vm->steps);
        *out = v ? *v : qd_sv_null();
        return 0;
    }
    case QD_SV_LIST:
    case QD_SV_ARRAY:
        if (!qdp_number(at))
            return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [int].",
                             qdp_class(at));
        if (list_index(vm, of, qdp_to_i64(at), &i)) return -1;
        *out = of->list->v[i];
        return 0;
    case QD_SV_DOC:
        if (at->tag != QD_SV_STRING)
            return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [java.lang.String].",
                             qdp_class(at));
        return qdp_doc(vm, -1, qd_sv_text(at), out);
    case QD_SV_VALUES:
        return qdp_doc_at(vm, of, qdp_number(at) ? qdp_to_i64(at) : -1, out);
    case QD_SV_NULL:
        return qdp_throw(vm, QDI_T_NULL_POINTER, "Cannot read an element of null");
    default:
        return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT,
                         "Attempting to address a non-array type [%s] as an array.", qdp_class(of));
    }
}

int qdp_index_set(qdp_vm *vm, const qd_sv *of, const qd_sv *at, const qd_sv *v)
{
    int64_t i;
    switch (of->tag) {
    case QD_SV_MAP:
        return qdp_map_put(vm, of->map, *at, *v);
    case QD_SV_LIST:
    case QD_SV_ARRAY:
        if (of->list->fixed & 1)
            return qdp_throw(vm, QDI_T_UNSUPPORTED, "the list cannot be changed");
        if (!qdp_number(at))
            return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [int].",
                             qdp_class(at));
        if (list_index(vm, of, qdp_to_i64(at), &i)) return -1;
        of->list->v[i] = *v;
        return 0;
    case QD_SV_NULL:
        return qdp_throw(vm, QDI_T_NULL_POINTER, "Cannot store an element of null");
    default:
        return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT,
                         "Attempting to address a non-array type [%s] as an array.", qdp_class(of));
    }
}

int qdp_field_get(qdp_vm *vm, const qd_sv *of, const qdp_site *s, qd_sv *out)
{
    if (of->tag == QD_SV_MAP) {
        const qd_sv *v = qd_sv_map_get(of->map, s->name);
        *out = v ? *v : qd_sv_null();
        return 0;
    }
    if (of->tag == QD_SV_DOC) return qdp_doc(vm, -1, s->name, out);
    if (s->index >= 0 && (of->tag == QD_SV_LIST || of->tag == QD_SV_ARRAY)) {
        qd_sv at = qd_sv_int(s->index);
        return qdp_index_get(vm, of, &at, out);
    }
    if (qd_str_is(s->name, "length") && (of->tag == QD_SV_ARRAY || of->tag == QD_SV_LIST)) {
        *out = qd_sv_int((int32_t)of->list->n);
        return 0;
    }
    for (uint32_t i = 0; i < s->ngetters; i++) {
        if (!(s->getters[i]->tags & 1ull << of->tag)) continue;
        qd_sv self = *of, v = qd_sv_null();
        if (s->getters[i]->fn(vm, &self, 0, &v)) return -1;
        *out = v;
        return 0;
    }
    if (of->tag == QD_SV_NULL)
        return qdp_throw(vm, QDI_T_NULL_POINTER,
                         "Cannot read field \"%.*s\" because the value is null",
                         QD_STR_ARG(s->name));
    return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "dynamic getter [%s, %.*s] not found",
                     qdp_class(of), QD_STR_ARG(s->name));
}

int qdp_whole(qdp_vm *vm, qd_script_var v, qd_sv *out)
{
    const qd_script_host *h = &vm->x->host;
    if (h->lazy & 1u << v && h->whole(h->self, v)) return qdp_nomem(vm);
    *out = vm->x->vars[v];
    return 0;
}

int qdp_member(qdp_vm *vm, const qdp_path *p, qd_sv *out)
{
    const qd_script_host *h = &vm->x->host;
    uint32_t k = 0;
    qd_sv v = vm->x->vars[p->var];
    if (h->lazy & 1u << p->var && h->member(h->self, p->var, p->names, p->n, &v, &k))
        return qdp_nomem(vm);
    for (; k < p->n; k++) {
        const qdp_step *s = &p->steps[k];
        qd_sv of = v, name = qd_sv_str(p->names[k]);
        if (s->safe && of.tag == QD_SV_NULL) continue;
        if (s->element ? qdp_index_get(vm, &of, &name, &v)
                       : qdp_field_get(vm, &of, &vm->p->sites.at[s->site], &v)) {
            vm->exc_pos = s->pos;
            vm->exc_placed = true;
            return -1;
        }
    }
    *out = v;
    return 0;
}

bool qdp_member_there(const qdp_vm *vm, const qdp_path *p)
{
    const qd_script_host *h = &vm->x->host;
    const qd_sv *of = &vm->x->vars[p->var];
    if (h->lazy & 1u << p->var) return h->there(h->self, p->var, p->names[0]);
    return of->tag == QD_SV_MAP && qd_sv_map_get(of->map, p->names[0]);
}

int qdp_member_put(qdp_vm *vm, const qdp_path *p, const qd_sv *v)
{
    const qd_script_host *h = &vm->x->host;
    if (h->lazy & 1u << p->var) return h->put(h->self, p->var, p->names[0], v) ? qdp_nomem(vm) : 0;
    const qd_sv *of = &vm->x->vars[p->var];
    if (of->tag == QD_SV_MAP) return qdp_map_put(vm, of->map, qd_sv_str(p->names[0]), *v);
    return qdp_field_set(vm, of, &vm->p->sites.at[p->steps[0].site], v);
}

int qdp_field_set(qdp_vm *vm, const qd_sv *of, const qdp_site *s, const qd_sv *v)
{
    if (of->tag == QD_SV_MAP) return qdp_map_put(vm, of->map, qd_sv_str(s->name), *v);
    if (s->index >= 0 && (of->tag == QD_SV_LIST || of->tag == QD_SV_ARRAY)) {
        qd_sv at = qd_sv_int(s->index);
        return qdp_index_set(vm, of, &at, v);
    }
    for (uint32_t i = 0; i < s->ngetters; i++) {
        if (!(s->getters[i]->tags & 1ull << of->tag)) continue;
        qd_sv args[2] = {*of, *v}, none;
        return s->getters[i]->fn(vm, args, 1, &none);
    }
    if (of->tag == QD_SV_NULL)
        return qdp_throw(vm, QDI_T_NULL_POINTER,
                         "Cannot store to field \"%.*s\" because the value is null",
                         QD_STR_ARG(s->name));
    return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "dynamic setter [%s, %.*s] not found",
                     qdp_class(of), QD_STR_ARG(s->name));
}

int qdp_map_put(qdp_vm *vm, qd_sv_map *m, qd_sv key, qd_sv v)
{
    if (m->fixed) return qdp_throw(vm, QDI_T_UNSUPPORTED, "the map cannot be changed");
    return qd_sv_map_set_in(&vm->x->arena, m, key, v, &vm->steps) ? qdp_nomem(vm) : 0;
}

int qdp_string(qdp_vm *vm, qd_str s, qd_sv *out)
{
    return qd_sv_str_copy(&vm->x->arena, s, out) ? qdp_nomem(vm) : 0;
}

int qdp_text(qdp_vm *vm, const qd_sv *v, qd_sv *out)
{
    char room[QD_SV_PRINT];
    if (v->tag == QD_SV_STRING) {
        *out = *v;
        return 0;
    }
    if (v->tag == QD_SV_EXCEPTION) {
        const qdp_exception *e = v->object;
        qd_str s = qd_arena_printf(&vm->x->arena, "%s%s%.*s", qdp_type_full(e->type),
                                   e->message.p ? ": " : "", QD_STR_ARG(e->message));
        *out = qd_sv_str(s);
        return s.p ? 0 : qdp_nomem(vm);
    }
    if (v->tag != QD_SV_LIST && v->tag != QD_SV_MAP && v->tag != QD_SV_SET &&
        v->tag != QD_SV_ARRAY && v->tag != QD_SV_BUILDER && v->tag != QD_SV_ENTRY)
        return qdp_string(vm, qd_sv_print(v, room), out);
    qd_buf b;
    qd_buf_init(&b, vm->x->arena.account, 4u << 20);
    qd_sv_append(v, &b);
    int rc = qd_buf_status(&b) ? qdp_nomem(vm) : qdp_string(vm, qd_buf_view(&b), out);
    if (rc == 0) rc = qdp_steps(vm, b.n / 16);
    qd_buf_fini(&b);
    return rc;
}
