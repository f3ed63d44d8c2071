/* library.c: names to functions of the library, members of values, exceptions. */
#include "analysis/regex/regex.h"
#include "script/painless/lib_int.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

const qdi_method *const qdi_library[] = {qdi_lib_object,
                                         qdi_lib_string,
                                         qdi_lib_builder,
                                         qdi_lib_list,
                                         qdi_lib_map,
                                         qdi_lib_stream,
                                         qdi_lib_math,
                                         qdi_lib_time,
                                         qdi_lib_regex,
                                         qdi_lib_doc,
                                         qdi_lib_moving,
                                         qdi_lib_score,
                                         NULL};

int qdi_throw(qdi_vm *vm, int type, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    qdi_exception *e = qd_arena_calloc(&vm->x->arena, sizeof *e);
    if (!e) return qdi_nomem(vm);
    e->type = (int16_t)type;
    e->message = qd_arena_str(&vm->x->arena, qd_str_c(text));
    vm->exc = (qd_sv){.tag = QD_SV_EXCEPTION, .object = e};
    return -1;
}

int qdi_nomem(qdi_vm *vm)
{
    static qdi_exception e = {.type = QDI_T_OBJECT,
                              .message = {"the script used more memory than it may", 39}};
    vm->exc = (qd_sv){.tag = QD_SV_EXCEPTION, .object = &e};
    vm->fatal = true;
    return -1;
}

int qdi_steps(qdi_vm *vm, uint64_t n)
{
    static qdi_exception e = {
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

bool qdi_exception_is(int type, int of)
{
    if (of == QDI_T_EXCEPTION || type == of) return true;
    if (of == QDI_T_RUNTIME) return type != QDI_T_EXCEPTION;
    if (of == QDI_T_ILLEGAL_ARGUMENT) return type == QDI_T_NUMBER_FORMAT;
    if (of == QDI_T_INDEX_BOUNDS) return type == QDI_T_ARRAY_BOUNDS || type == QDI_T_STRING_BOUNDS;
    return of == QDI_T_DATE_TIME && type == QDI_T_DATE_PARSE;
}

const char *qdi_exception_type(int type)
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

const char *qdi_class(const qd_sv *v)
{
    if (v->tag == QD_SV_EXCEPTION) return qdi_type_full(((const qdi_exception *)v->object)->type);
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

static bool fits(const qdi_method *m, const qdi_site *s, bool field, bool setter)
{
    if (!m->tags) return false;
    if (field) return m->nargs == (setter ? 1 : 0) && accessor(m->name, s->name, setter);
    return qd_str_is(s->name, m->name) &&
           (s->nargs == UINT32_MAX || m->nargs < 0 || m->nargs == (int)s->nargs);
}

int qdi_site_bind(qdi_program *p, qdi_site *s, bool field, bool setter)
{
    uint32_t n = 0;
    const qdi_method **found = NULL;
    for (int pass = 0; pass < 2; pass++) {
        n = 0;
        for (size_t t = 0; qdi_library[t]; t++)
            for (const qdi_method *m = qdi_library[t]; m->name; m++)
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

const qdi_method *qdi_static_find(int owner, qd_str name, uint32_t nargs)
{
    for (size_t t = 0; qdi_library[t]; t++)
        for (const qdi_method *m = qdi_library[t]; m->name; m++)
            if (!m->tags && (m->owner == owner) && qd_str_is(name, m->name) &&
                (m->nargs < 0 || m->nargs == (int)nargs))
                return m;
    /* a box knows the functions of its primitive's row, and StrictMath those of Math */
    int other = owner == QDI_T_STRICT_MATH ? QDI_T_MATH : qdi_type_unboxed(owner);
    if (owner == QDI_T_ARRAYLIST || owner == QDI_T_LINKEDLIST) other = QDI_T_LIST;
    if (owner == QDI_T_LINKEDHASHMAP) other = QDI_T_HASHMAP;
    if (owner == QDI_T_LINKEDHASHSET) other = QDI_T_HASHSET;
    if (owner == QDI_T_BUFFER) other = QDI_T_BUILDER;
    if (qd_str_is(name, "new") && qdi_type_tags(owner) == 1ull << QD_SV_EXCEPTION)
        other = QDI_T_EXCEPTION;
    if (owner == QDI_T_ZONE_OFFSET) other = QDI_T_ZONE;
    return other == owner ? NULL : qdi_static_find(other, name, nargs);
}

int qdi_invoke(qdi_vm *vm, const qdi_site *s, qd_sv *args, qd_sv *out)
{
    uint64_t bit = 1ull << args[0].tag;
    for (uint32_t i = 0; i < s->n; i++) {
        if (!(s->m[i]->tags & bit)) continue;
        qd_sv v = qd_sv_null();
        if (s->m[i]->fn(vm, args, s->nargs, &v)) return -1;
        *out = v;
        return 0;
    }
    if (args[0].tag == QD_SV_NULL)
        return qdi_throw(vm, QDI_T_NULL_POINTER,
                         "Cannot invoke \"%.*s()\" because the value is null", QD_STR_ARG(s->name));
    /* a map may hold functions */
    return qdi_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "dynamic method [%s, %.*s/%u] not found",
                     qdi_class(&args[0]), QD_STR_ARG(s->name), s->nargs);
}

static int list_index(qdi_vm *vm, const qd_sv *of, int64_t i, int64_t *out)
{
    if (i < 0) i += of->list->n; /* from the end, as Painless has it */
    if (i < 0 || i >= of->list->n)
        return qdi_throw(vm, of->tag == QD_SV_ARRAY ? QDI_T_ARRAY_BOUNDS : QDI_T_INDEX_BOUNDS,
                         "Index %lld out of bounds for length %u", (long long)i, of->list->n);
    *out = i;
    return 0;
}

int qdi_index_get(qdi_vm *vm, const qd_sv *of, const qd_sv *at, qd_sv *out)
{
    int64_t i;
    switch (of->tag) {
    case QD_SV_MAP: {
        const qd_sv *v = qd_sv_map_at(of->map, at);
        *out = v ? *v : qd_sv_null();
        return 0;
    }
    case QD_SV_LIST:
    case QD_SV_ARRAY:
        if (!qdi_number(at))
            return qdi_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [int].",
                             qdi_class(at));
        if (list_index(vm, of, qdi_to_i64(at), &i)) return -1;
        *out = of->list->v[i];
        return 0;
    case QD_SV_DOC:
        if (at->tag != QD_SV_STRING)
            return qdi_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [java.lang.String].",
                             qdi_class(at));
        return qdi_doc(vm, -1, qd_sv_text(at), out);
    case QD_SV_VALUES:
        return qdi_doc_at(vm, of, qdi_number(at) ? qdi_to_i64(at) : -1, out);
    case QD_SV_NULL:
        return qdi_throw(vm, QDI_T_NULL_POINTER, "Cannot read an element of null");
    default:
        return qdi_throw(vm, QDI_T_ILLEGAL_ARGUMENT,
                         "Attempting to address a non-array type [%s] as an array.", qdi_class(of));
    }
}

int qdi_index_set(qdi_vm *vm, const qd_sv *of, const qd_sv *at, const qd_sv *v)
{
    int64_t i;
    switch (of->tag) {
    case QD_SV_MAP:
        return qdi_map_put(vm, of->map, *at, *v);
    case QD_SV_LIST:
    case QD_SV_ARRAY:
        if (of->list->fixed & 1)
            return qdi_throw(vm, QDI_T_UNSUPPORTED, "the list cannot be changed");
        if (!qdi_number(at))
            return qdi_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [int].",
                             qdi_class(at));
        if (list_index(vm, of, qdi_to_i64(at), &i)) return -1;
        of->list->v[i] = *v;
        return 0;
    case QD_SV_NULL:
        return qdi_throw(vm, QDI_T_NULL_POINTER, "Cannot store an element of null");
    default:
        return qdi_throw(vm, QDI_T_ILLEGAL_ARGUMENT,
                         "Attempting to address a non-array type [%s] as an array.", qdi_class(of));
    }
}

int qdi_field_get(qdi_vm *vm, const qd_sv *of, const qdi_site *s, qd_sv *out)
{
    if (of->tag == QD_SV_MAP) {
        const qd_sv *v = qd_sv_map_get(of->map, s->name);
        *out = v ? *v : qd_sv_null();
        return 0;
    }
    if (of->tag == QD_SV_DOC) return qdi_doc(vm, -1, s->name, out);
    if (s->index >= 0 && (of->tag == QD_SV_LIST || of->tag == QD_SV_ARRAY)) {
        qd_sv at = qd_sv_int(s->index);
        return qdi_index_get(vm, of, &at, out);
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
        return qdi_throw(vm, QDI_T_NULL_POINTER,
                         "Cannot read field \"%.*s\" because the value is null",
                         QD_STR_ARG(s->name));
    return qdi_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "dynamic getter [%s, %.*s] not found",
                     qdi_class(of), QD_STR_ARG(s->name));
}

int qdi_field_set(qdi_vm *vm, const qd_sv *of, const qdi_site *s, const qd_sv *v)
{
    if (of->tag == QD_SV_MAP) return qdi_map_put(vm, of->map, qd_sv_str(s->name), *v);
    if (s->index >= 0 && (of->tag == QD_SV_LIST || of->tag == QD_SV_ARRAY)) {
        qd_sv at = qd_sv_int(s->index);
        return qdi_index_set(vm, of, &at, v);
    }
    for (uint32_t i = 0; i < s->ngetters; i++) {
        if (!(s->getters[i]->tags & 1ull << of->tag)) continue;
        qd_sv args[2] = {*of, *v}, none;
        return s->getters[i]->fn(vm, args, 1, &none);
    }
    if (of->tag == QD_SV_NULL)
        return qdi_throw(vm, QDI_T_NULL_POINTER,
                         "Cannot store to field \"%.*s\" because the value is null",
                         QD_STR_ARG(s->name));
    return qdi_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "dynamic setter [%s, %.*s] not found",
                     qdi_class(of), QD_STR_ARG(s->name));
}

int qdi_map_put(qdi_vm *vm, qd_sv_map *m, qd_sv key, qd_sv v)
{
    if (m->fixed) return qdi_throw(vm, QDI_T_UNSUPPORTED, "the map cannot be changed");
    return qd_sv_map_set(&vm->x->arena, m, key, v) ? qdi_nomem(vm) : 0;
}

int qdi_string(qdi_vm *vm, qd_str s, qd_sv *out)
{
    return qd_sv_str_copy(&vm->x->arena, s, out) ? qdi_nomem(vm) : 0;
}

int qdi_text(qdi_vm *vm, const qd_sv *v, qd_sv *out)
{
    char room[QD_SV_PRINT];
    if (v->tag == QD_SV_STRING) {
        *out = *v;
        return 0;
    }
    if (v->tag == QD_SV_EXCEPTION) {
        const qdi_exception *e = v->object;
        qd_str s = qd_arena_printf(&vm->x->arena, "%s%s%.*s", qdi_type_full(e->type),
                                   e->message.p ? ": " : "", QD_STR_ARG(e->message));
        *out = qd_sv_str(s);
        return s.p ? 0 : qdi_nomem(vm);
    }
    if (v->tag != QD_SV_LIST && v->tag != QD_SV_MAP && v->tag != QD_SV_SET &&
        v->tag != QD_SV_ARRAY && v->tag != QD_SV_BUILDER && v->tag != QD_SV_ENTRY)
        return qdi_string(vm, qd_sv_print(v, room), out);
    qd_buf b;
    qd_buf_init(&b, vm->x->arena.account, 4u << 20);
    qd_sv_append(v, &b);
    int rc = qd_buf_status(&b) ? qdi_nomem(vm) : qdi_string(vm, qd_buf_view(&b), out);
    if (rc == 0) rc = qdi_steps(vm, b.n / 16);
    qd_buf_fini(&b);
    return rc;
}
