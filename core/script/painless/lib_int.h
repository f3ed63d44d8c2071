/* lib_int.h: the tables of the library, and what its files share. */
#ifndef QD_SCRIPT_PAINLESS_LIB_INT_H
#define QD_SCRIPT_PAINLESS_LIB_INT_H

#include "script/painless/vm_int.h"

extern const qdp_method qdp_lib_object[], qdp_lib_string[], qdp_lib_builder[], qdp_lib_list[],
    qdp_lib_map[], qdp_lib_stream[], qdp_lib_math[], qdp_lib_time[], qdp_lib_regex[], qdp_lib_doc[],
    qdp_lib_moving[], qdp_lib_score[], qdp_lib_vector[], qdp_lib_geo[], qdp_lib_more[];

#define QDI_TAG(x) (1ull << QD_SV_##x)
#define QDI_ANY (~0ull & ~QDI_TAG(NULL))
/* The head of a library function. */
#define QDI_FN(name) static int name(qdp_vm *vm, qd_sv *a, uint32_t n, qd_sv *out)
#define QDI_UNUSED (void)vm, (void)n, (void)a

/* Iterates over what is a list, set, array or values: a copy in order. */
int qdp_items(qdp_vm *vm, const qd_sv *of, const qd_sv **v, uint32_t *n);
int qdp_map_put(qdp_vm *vm, qd_sv_map *m, qd_sv key, qd_sv v);
int qdp_list_push(qdp_vm *vm, qd_sv_list *l, qd_sv v);
int qdp_doc_at(qdp_vm *vm, const qd_sv *of, int64_t i, qd_sv *out);
/* The field whose VALUES they are. */
qd_str qdp_doc_name(const qd_sv *of);
/* Sorts n values in place by fn (NULL: their order). */
int qdp_sort(qdp_vm *vm, qd_sv *v, uint32_t n, const qd_sv *fn);
/* A number that an argument must be; -1 after a throw. */
int qdp_arg_int(qdp_vm *vm, const qd_sv *v, int64_t *out);
int qdp_arg_f64(qdp_vm *vm, const qd_sv *v, double *out);
int qdp_arg_str(qdp_vm *vm, const qd_sv *v, qd_str *out);
/* A new time value of a class. */
int qdp_time_make(qdp_vm *vm, uint8_t tag, int64_t ms, int32_t rest, const qd_zone *zone,
                  qd_sv *out);
/* A view of a map loses v: its entry, key or value leaves the map. Was it there? */
bool qdp_view_drop(qdp_vm *vm, qd_sv_list *l, const qd_sv *v);
/* An Optional of a value; NULL: empty. */
int qdp_optional(qdp_vm *vm, const qd_sv *v, qd_sv *out);

#endif
