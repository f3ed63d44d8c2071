/* batch_int.h: the program over columns, between a language and batch.c. */
#ifndef QD_SCRIPT_BATCH_INT_H
#define QD_SCRIPT_BATCH_INT_H

#include "script/batch.h"

typedef enum qdi_batch_opcode {
    QDI_BATCH_COLUMN, /* a = column b */
    QDI_BATCH_SCORE,
    QDI_BATCH_CONST_F,
    QDI_BATCH_CONST_L,
    QDI_BATCH_TO_F, /* long to double */
    QDI_BATCH_ADD_L,
    QDI_BATCH_SUB_L,
    QDI_BATCH_MUL_L,
    QDI_BATCH_DIV_L,
    QDI_BATCH_REM_L,
    QDI_BATCH_NEG_L,
    QDI_BATCH_ADD,
    QDI_BATCH_SUB,
    QDI_BATCH_MUL,
    QDI_BATCH_DIV,
    QDI_BATCH_REM,
    QDI_BATCH_NEG,
    QDI_BATCH_SQRT,
    QDI_BATCH_CALL1,
    QDI_BATCH_CALL2,
} qdi_batch_opcode;

typedef struct qdi_batch_op {
    uint16_t op, a, b, c;
    union {
        double f;
        int64_t i;
        double (*fn1)(double);
        double (*fn2)(double, double);
    };
} qdi_batch_op;

#define QDI_BATCH_OPS 64u
#define QDI_BATCH_REGS 16u

struct qd_script_batch {
    uint32_t n, nregs;
    uint16_t result;
    qdi_batch_op ops[QDI_BATCH_OPS];
};

#endif
