/* lib_doc.c: doc and the values of its fields. */
#include "script/painless/lib_int.h"

/* A VALUES: what the host gave, first, and the field it is of. */
typedef struct doc_values {
    qd_script_values v;
    qd_str name;
} doc_values;

int qdp_doc(qdp_vm *vm, int slot, qd_str name, qd_sv *out)
{
    doc_values *d = qd_arena_calloc(&vm->x->arena, sizeof *d);
    const qd_script_host *h = &vm->x->host;
    if (!d) return qdp_nomem(vm);
    d->name = name;
    if (!h->values)
        return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "No field found for [%.*s] in mapping",
                         QD_STR_ARG(name));
    qd_err why;
    qd_err_init(&why);
    int rc = h->values(h->self, slot, name, &d->v, &why);
    if (rc) rc = qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "%s", qd_err_reason(&why));
    qd_err_fini(&why);
    if (rc) return -1;
    *out = (qd_sv){.tag = QD_SV_VALUES, .object = d};
    return 0;
}

int qdp_doc_at(qdp_vm *vm, const qd_sv *of, int64_t i, qd_sv *out)
{
    const doc_values *d = of->object;
    if (d->v.n == 0)
        return qdp_throw(vm, QDI_T_ILLEGAL_STATE,
                         "A document doesn't have a value for a field! Use doc[<field>].size()==0 "
                         "to check if a document is missing a field!");
    if (d->v.vector)
        return qdp_throw(vm, QDI_T_UNSUPPORTED,
                         "accessing a vector field's value through 'get' or 'value' is not "
                         "supported, use 'vectorValue' or 'magnitude' instead.");
    if (i < 0 || i >= d->v.n)
        return qdp_throw(vm, QDI_T_INDEX_BOUNDS, "Index %lld out of bounds for length %u",
                         (long long)i, d->v.n);
    *out = d->v.v[i];
    return 0;
}

qd_str qdp_doc_name(const qd_sv *of)
{
    return ((const doc_values *)of->object)->name;
}

/* The hot way of doc['f'].value: no object is made. */
int qdp_doc_value(qdp_vm *vm, int slot, qd_str name, qd_sv *out)
{
    const qd_script_host *h = &vm->x->host;
    qd_script_values v;
    qd_sv d;
    if (h->values && h->values(h->self, slot, name, &v, NULL) == 0 && v.n && !v.vector) {
        *out = v.v[0];
        return 0;
    }
    return qdp_doc(vm, slot, name, &d) ? -1 : qdp_doc_at(vm, &d, 0, out); /* what is wrong */
}

QDI_FN(get_value)
{
    (void)n;
    return qdp_doc_at(vm, &a[0], 0, out);
}

QDI_FN(get)
{
    (void)n;
    int64_t i;
    if (qdp_arg_int(vm, &a[1], &i)) return -1;
    return qdp_doc_at(vm, &a[0], i, out);
}

QDI_FN(size)
{
    QDI_UNUSED;
    *out = qd_sv_int((int32_t)((const doc_values *)a[0].object)->v.n);
    return 0;
}

QDI_FN(is_empty)
{
    QDI_UNUSED;
    *out = qd_sv_bool(((const doc_values *)a[0].object)->v.n == 0);
    return 0;
}

QDI_FN(values)
{
    (void)n;
    const doc_values *d = a[0].object;
    if (qd_sv_list_make(&vm->x->arena, d->v.n, out)) return qdp_nomem(vm);
    if (d->v.n) memcpy(out->list->v, d->v.v, d->v.n * sizeof(qd_sv));
    out->list->n = d->v.n;
    out->list->fixed = 1;
    return 0;
}

QDI_FN(contains)
{
    (void)n;
    const doc_values *d = a[0].object;
    bool hit = false;
    for (uint32_t i = 0; i < d->v.n; i++) hit |= qdp_equal(vm, &d->v.v[i], &a[1]);
    *out = qd_sv_bool(hit);
    return qdp_steps(vm, d->v.n / 4);
}

QDI_FN(doc_get)
{
    (void)n;
    qd_str name;
    if (qdp_arg_str(vm, &a[1], &name)) return -1;
    return qdp_doc(vm, -1, name, out);
}

QDI_FN(doc_contains)
{
    (void)n;
    qd_str name;
    if (qdp_arg_str(vm, &a[1], &name)) return -1;
    *out = qd_sv_bool(vm->x->host.has && vm->x->host.has(vm->x->host.self, name));
    return 0;
}

#define V QDI_TAG(VALUES)
const qdp_method qdp_lib_doc[] = {
    {"getValue", 0, 0, QDI_T_DEF, V, get_value},
    {"getValues", 0, 0, QDI_T_LIST, V, values},
    {"get", 1, 0, QDI_T_DEF, V, get},
    {"size", 0, 0, QDI_T_INT, V, size},
    {"getLength", 0, 0, QDI_T_INT, V, size},
    {"isEmpty", 0, 0, QDI_T_BOOLEAN, V, is_empty},
    {"contains", 1, 0, QDI_T_BOOLEAN, V, contains},
    {"get", 1, 0, QDI_T_DEF, QDI_TAG(DOC), doc_get},
    {"containsKey", 1, 0, QDI_T_BOOLEAN, QDI_TAG(DOC), doc_contains},
    {0},
};
