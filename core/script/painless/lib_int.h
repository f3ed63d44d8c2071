/* lib_int.h: the tables of the library, and what its files share. */
#ifndef QD_SCRIPT_PAINLESS_LIB_INT_H
#define QD_SCRIPT_PAINLESS_LIB_INT_H

#include "script/painless/vm_int.h"

extern const qdi_method qdi_lib_object[], qdi_lib_string[], qdi_lib_builder[], qdi_lib_list[],
    qdi_lib_map[], qdi_lib_stream[], qdi_lib_math[], qdi_lib_time[], qdi_lib_regex[], qdi_lib_doc[],
    qdi_lib_moving[], qdi_lib_score[];

#define QDI_TAG(x) (1ull << QD_SV_##x)
#define QDI_ANY (~0ull & ~QDI_TAG(NULL))
/* The head of a library function. */
#define QDI_FN(name) static int name(qdi_vm *vm, qd_sv *a, uint32_t n, qd_sv *out)
#define QDI_UNUSED (void)vm, (void)n, (void)a

/* Iterates over what is a list, set, array or values: a copy in order. */
int qdi_items(qdi_vm *vm, const qd_sv *of, const qd_sv **v, uint32_t *n);
int qdi_map_put(qdi_vm *vm, qd_sv_map *m, qd_sv key, qd_sv v);
int qdi_list_push(qdi_vm *vm, qd_sv_list *l, qd_sv v);
int qdi_doc_at(qdi_vm *vm, const qd_sv *of, int64_t i, qd_sv *out);
/* Sorts n values in place by fn (NULL: their order). */
int qdi_sort(qdi_vm *vm, qd_sv *v, uint32_t n, const qd_sv *fn);
/* A number that an argument must be; -1 after a throw. */
int qdi_arg_int(qdi_vm *vm, const qd_sv *v, int64_t *out);
int qdi_arg_f64(qdi_vm *vm, const qd_sv *v, double *out);
int qdi_arg_str(qdi_vm *vm, const qd_sv *v, qd_str *out);
/* A new time value of a class. */
int qdi_time_make(qdi_vm *vm, uint8_t tag, int64_t ms, int32_t rest, const qd_zone *zone,
                  qd_sv *out);
/* A view of a map loses v: its entry, key or value leaves the map. Was it there? */
bool qdi_view_drop(qd_sv_list *l, const qd_sv *v);
/* An Optional of a value; NULL: empty. */
int qdi_optional(qdi_vm *vm, const qd_sv *v, qd_sv *out);

#endif
