/* batch.c: the programs over columns run here, whatever language made them. */
#include "script/batch_int.h"
#include <math.h>

uint32_t qd_script_batch_regs(const struct qd_script_batch *b)
{
    return b->nregs;
}

bool qd_script_batch_reads(const struct qd_script_batch *b, uint32_t field)
{
    for (uint32_t i = 0; i < b->n; i++)
        if (b->ops[i].op == QDI_BATCH_COLUMN && b->ops[i].b == field) return true;
    return false;
}

#define EACH(expr)                                                                                 \
    for (uint32_t k = 0; k < n; k++) expr;                                                         \
    break
#define A r[o->a]
#define B r[o->b]
#define C r[o->c]

/* The whole-number operations; false: a division by zero. */
static bool run_long(const qdi_batch_op *o, qd_script_lane *r, uint32_t n)
{
    switch (o->op) {
    case QDI_BATCH_ADD_L:
        EACH(A.i[k] = (int64_t)((uint64_t)B.i[k] + (uint64_t)C.i[k]));
    case QDI_BATCH_SUB_L:
        EACH(A.i[k] = (int64_t)((uint64_t)B.i[k] - (uint64_t)C.i[k]));
    case QDI_BATCH_MUL_L:
        EACH(A.i[k] = (int64_t)((uint64_t)B.i[k] * (uint64_t)C.i[k]));
    case QDI_BATCH_NEG_L:
        EACH(A.i[k] = (int64_t)(0 - (uint64_t)B.i[k]));
    default: /* DIV_L, REM_L */
        for (uint32_t k = 0; k < n; k++) {
            int64_t x = B.i[k], y = C.i[k];
            if (y == 0) return false;
            if (y == -1)
                A.i[k] = o->op == QDI_BATCH_DIV_L ? (int64_t)(0 - (uint64_t)x) : 0;
            else
                A.i[k] = o->op == QDI_BATCH_DIV_L ? x / y : x % y;
        }
    }
    return true;
}

static void run_double(const qdi_batch_op *o, qd_script_lane *r, uint32_t n)
{
    switch (o->op) {
    case QDI_BATCH_TO_F:
        EACH(A.f[k] = (double)B.i[k]);
    case QDI_BATCH_ADD:
        EACH(A.f[k] = B.f[k] + C.f[k]);
    case QDI_BATCH_SUB:
        EACH(A.f[k] = B.f[k] - C.f[k]);
    case QDI_BATCH_MUL:
        EACH(A.f[k] = B.f[k] * C.f[k]);
    case QDI_BATCH_DIV:
        EACH(A.f[k] = B.f[k] / C.f[k]);
    case QDI_BATCH_REM:
        EACH(A.f[k] = fmod(B.f[k], C.f[k]));
    case QDI_BATCH_NEG:
        EACH(A.f[k] = -B.f[k]);
    case QDI_BATCH_SQRT:
        EACH(A.f[k] = sqrt(B.f[k]));
    case QDI_BATCH_CALL1:
        EACH(A.f[k] = o->fn1(B.f[k]));
    case QDI_BATCH_CALL2:
        EACH(A.f[k] = o->fn2(B.f[k], C.f[k]));
    default:
        break;
    }
}

bool qd_script_batch_run(const struct qd_script_batch *b, const qd_script_block *in, double *out)
{
    qd_script_lane *r = in->regs;
    uint32_t n = in->n;
    for (uint32_t i = 0; i < b->n; i++) {
        const qdi_batch_op *o = &b->ops[i];
        switch (o->op) {
        case QDI_BATCH_COLUMN:
            memcpy(&A, in->columns[o->b], n * sizeof(double));
            break;
        case QDI_BATCH_SCORE:
            memcpy(&A, in->score, n * sizeof(double));
            break;
        case QDI_BATCH_CONST_F:
            EACH(A.f[k] = o->f);
        case QDI_BATCH_CONST_L:
            EACH(A.i[k] = o->i);
        case QDI_BATCH_ADD_L:
        case QDI_BATCH_SUB_L:
        case QDI_BATCH_MUL_L:
        case QDI_BATCH_NEG_L:
        case QDI_BATCH_DIV_L:
        case QDI_BATCH_REM_L:
            if (!run_long(o, r, n)) return false;
            break;
        default:
            run_double(o, r, n);
        }
    }
    memcpy(out, &r[b->result], n * sizeof(double));
    return true;
}
