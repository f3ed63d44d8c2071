/*
 * lib_vector.c: vectors of fields: doc['v'].vectorValue and magnitude, and the functions of scores
 * that measure a field's vector against one of the script. Sums are in double, in order.
 */
#include "script/painless/lib_int.h"
#include <math.h>

/* The vector of a field in the present document, which has one. */
static int vector_of(qdp_vm *vm, qd_str name, qd_script_vector *v)
{
    const qd_script_host *h = &vm->x->host;
    qd_err why;
    *v = (qd_script_vector){0};
    qd_err_init(&why);
    int rc = h->vector ? h->vector(h->self, name, v, &why)
                       : qd_err_set(&why, QD_E_ARG, "No field found for [%.*s] in mapping",
                                    QD_STR_ARG(name));
    if (rc) rc = qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "%s", qd_err_reason(&why));
    qd_err_fini(&why);
    if (rc || v->row) return rc;
    return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT,
                     "A document doesn't have a value for a vector field!");
}

static uint32_t numbers_of(const qd_script_vector *v)
{
    return v->kind == QD_SCRIPT_VECTOR_BITS ? v->dims / 8 : v->dims;
}

static double number_at(const qd_script_vector *v, uint32_t i)
{
    float x;
    if (v->kind != QD_SCRIPT_VECTOR_FLOATS) return ((const int8_t *)v->row)[i];
    memcpy(&x, (const char *)v->row + i * sizeof x, sizeof x);
    return (double)x;
}

/* Both vectors of function(query, 'field') or function(query, doc['field']): as many numbers of
 * each. */
static int both(qdp_vm *vm, const qd_sv *a, qd_script_vector *v, double **query, uint32_t *count)
{
    const qd_sv *items = NULL;
    qd_str name;
    if (a[1].tag == QD_SV_VALUES)
        name = qdp_doc_name(&a[1]); /* as OpenSearch's functions take it: doc['v'] */
    else if (qdp_arg_str(vm, &a[1], &name))
        return -1;
    if (vector_of(vm, name, v)) return -1;
    if (qdp_items(vm, &a[0], &items, count) || qdp_steps(vm, *count / 16)) return -1;
    if (*count != numbers_of(v)) {
        uint32_t bits = v->kind == QD_SCRIPT_VECTOR_BITS ? 8 : 1;
        return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT,
                         "The query vector has a different number of dimensions [%u] than the "
                         "document vectors [%u].",
                         *count * bits, v->dims);
    }
    double *to = qd_arena_alloc(&vm->x->arena, (*count + (size_t)1) * sizeof *to);
    if (!to) return qdp_nomem(vm);
    for (uint32_t i = 0; i < *count; i++)
        if (qdp_arg_f64(vm, &items[i], &to[i])) return -1;
    *query = to;
    return 0;
}

/* The same of vectors whose numbers are dimensions. */
static int numbers(qdp_vm *vm, const qd_sv *a, const char *function, qd_script_vector *v,
                   double **query, uint32_t *count)
{
    if (both(vm, a, v, query, count)) return -1;
    if (v->kind != QD_SCRIPT_VECTOR_BITS) return 0;
    return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "%s is not supported for bit vectors", function);
}

static double dot(const qd_script_vector *v, const double *q, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += q[i] * number_at(v, i);
    return sum;
}

QDI_FN(cosine)
{
    qd_script_vector v;
    double *q, length = 0;
    uint32_t k;
    (void)n;
    if (numbers(vm, a, "cosineSimilarity", &v, &q, &k)) return -1;
    for (uint32_t i = 0; i < k; i++) length += q[i] * q[i];
    *out = qd_sv_double(dot(&v, q, k) / (sqrt(length) * (double)v.length));
    return 0;
}

QDI_FN(dot_product)
{
    qd_script_vector v;
    double *q;
    uint32_t k;
    (void)n;
    if (numbers(vm, a, "dotProduct", &v, &q, &k)) return -1;
    *out = qd_sv_double(dot(&v, q, k));
    return 0;
}

QDI_FN(l1norm)
{
    qd_script_vector v;
    double *q, sum = 0;
    uint32_t k;
    (void)n;
    if (numbers(vm, a, "l1norm", &v, &q, &k)) return -1;
    for (uint32_t i = 0; i < k; i++) sum += fabs(q[i] - number_at(&v, i));
    *out = qd_sv_double(sum);
    return 0;
}

static int l2_squared_of(qdp_vm *vm, const qd_sv *a, const char *function, double *sum)
{
    qd_script_vector v;
    double *q;
    uint32_t k;
    if (numbers(vm, a, function, &v, &q, &k)) return -1;
    *sum = 0;
    for (uint32_t i = 0; i < k; i++) {
        double d = q[i] - number_at(&v, i);
        *sum += d * d;
    }
    return 0;
}

QDI_FN(l2norm)
{
    double sum;
    (void)n;
    if (l2_squared_of(vm, a, "l2norm", &sum)) return -1;
    *out = qd_sv_double(sqrt(sum));
    return 0;
}

QDI_FN(l2_squared)
{
    double sum;
    (void)n;
    if (l2_squared_of(vm, a, "l2Squared", &sum)) return -1;
    *out = qd_sv_double(sum);
    return 0;
}

QDI_FN(linf_norm)
{
    qd_script_vector v;
    double *q, most = 0;
    uint32_t k;
    (void)n;
    if (numbers(vm, a, "lInfNorm", &v, &q, &k)) return -1;
    for (uint32_t i = 0; i < k; i++) most = fmax(most, fabs(q[i] - number_at(&v, i)));
    *out = qd_sv_double(most);
    return 0;
}

QDI_FN(hamming)
{
    qd_script_vector v;
    double *q;
    uint32_t k;
    int32_t differ = 0;
    (void)n;
    if (both(vm, a, &v, &q, &k)) return -1;
    if (v.kind == QD_SCRIPT_VECTOR_FLOATS)
        return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT,
                         "hamming distance is only supported for byte or bit vectors");
    for (uint32_t i = 0; i < k; i++) {
        if (!(q[i] >= -128 && q[i] <= 127 && q[i] == trunc(q[i])))
            return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT,
                             "hamming wants whole numbers from -128 to 127, but dim [%u] is none",
                             i);
        int x = (int)q[i], y = (int)number_at(&v, i);
        differ += __builtin_popcount((unsigned)(uint8_t)(x ^ y));
    }
    *out = qd_sv_int(differ);
    return 0;
}

QDI_FN(vector_value)
{
    qd_script_vector v;
    (void)n;
    if (vector_of(vm, qdp_doc_name(&a[0]), &v)) return -1;
    uint32_t k = numbers_of(&v);
    if (qd_sv_list_make(&vm->x->arena, k, out)) return qdp_nomem(vm);
    for (uint32_t i = 0; i < k; i++)
        out->list->v[i] = v.kind == QD_SCRIPT_VECTOR_FLOATS ? qd_sv_double(number_at(&v, i))
                                                            : qd_sv_int((int32_t)number_at(&v, i));
    out->list->n = k;
    out->list->fixed = 1;
    return 0;
}

QDI_FN(magnitude)
{
    qd_script_vector v;
    uint32_t bits = 0;
    (void)n;
    if (vector_of(vm, qdp_doc_name(&a[0]), &v)) return -1;
    for (uint32_t i = 0; v.kind == QD_SCRIPT_VECTOR_BITS && i < v.dims / 8; i++)
        bits += (uint32_t)__builtin_popcount(((const uint8_t *)v.row)[i]);
    *out = qd_sv_double(v.kind == QD_SCRIPT_VECTOR_BITS ? sqrt(bits) : (double)v.length);
    return 0;
}

#define V QDI_TAG(VALUES)
const qdp_method qdp_lib_vector[] = {
    {"cosineSimilarity", 2, 0, QDI_T_DOUBLE, 0, cosine},
    {"dotProduct", 2, 0, QDI_T_DOUBLE, 0, dot_product},
    {"l1norm", 2, 0, QDI_T_DOUBLE, 0, l1norm},
    {"l2norm", 2, 0, QDI_T_DOUBLE, 0, l2norm},
    {"hamming", 2, 0, QDI_T_INT, 0, hamming},
    /* OpenSearch's names */
    {"innerProduct", 2, 0, QDI_T_DOUBLE, 0, dot_product},
    {"l1Norm", 2, 0, QDI_T_DOUBLE, 0, l1norm},
    {"l2Squared", 2, 0, QDI_T_DOUBLE, 0, l2_squared},
    {"lInfNorm", 2, 0, QDI_T_DOUBLE, 0, linf_norm},
    {"getVectorValue", 0, 0, QDI_T_LIST, V, vector_value},
    {"getMagnitude", 0, 0, QDI_T_DOUBLE, V, magnitude},
    {0},
};
