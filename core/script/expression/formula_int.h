/*
 * formula_int.h: a formula as operations on registers of doubles. An operation writes the register
 * in which its first operand stands, so that registers are a stack.
 */
#ifndef QD_SCRIPT_EXPRESSION_FORMULA_INT_H
#define QD_SCRIPT_EXPRESSION_FORMULA_INT_H

#include "base/vec.h"
#include "script/script.h"

#define QDX_DEPTH 100u /* of brackets, conditions and signs */
#define QDX_REGS 512u

typedef enum qdx_opcode {
    X_CONST,
    X_VAR, /* variable b */
    X_ADD,
    X_SUB,
    X_MUL,
    X_DIV,
    X_REM,
    X_NEG,
    X_NOT,
    X_BITNOT,
    X_BITAND,
    X_BITOR,
    X_XOR,
    X_SHL,
    X_SHR,
    X_USHR,
    X_LT,
    X_LE,
    X_GT,
    X_GE,
    X_EQ,
    X_NE,
    X_AND,
    X_OR,
    X_SELECT, /* a = a ? b : c */
    X_CALL1,
    X_CALL2,
    X_HAVERSIN, /* a = of a, a + 1, a + 2, a + 3 */
} qdx_opcode;

typedef struct qdx_op {
    uint16_t op, a, b, c;
    union {
        double f;
        double (*fn1)(double);
        double (*fn2)(double, double);
    };
} qdx_op;

typedef enum qdx_kind { V_SCORE, V_VALUE, V_PARAM, V_FIELD } qdx_kind;
/* What is asked of a field. */
typedef enum qdx_ask {
    ASK_VALUE,
    ASK_EMPTY,
    ASK_LENGTH,
    ASK_MIN,
    ASK_MAX,
    ASK_SUM,
    ASK_AVG,
    ASK_MEDIAN,
    ASK_LAT,
    ASK_LON,
    ASK_DATE /* a part of it: unit */
} qdx_ask;

typedef struct qdx_var {
    qdx_kind kind;
    qdx_ask ask;
    uint8_t unit;      /* of dates */
    uint16_t field;    /* number of the field */
    qd_str name, text; /* of the param; as written */
} qdx_var;

typedef struct qdx_formula {
    qd_arena arena;
    qd_str source;
    qd_script_context context;
    QD_VEC(qdx_op) ops;
    QD_VEC(qdx_var) vars;
    QD_VEC(qd_str) fields;
    uint32_t nregs;
} qdx_formula;

/* Reads f->source. QD_E_ARG with the place in *at, QD_E_NOMEM. */
QD_MUST_CHECK
int qdx_parse(qdx_formula *f, uint32_t *at, qd_err *err);

/* Parts of a date by their names, "year" and "getYear": the unit, or -1. */
int qdx_date_unit(qd_str name, bool method);
/* A part of an instant in UTC. */
double qdx_date_part(int unit, int64_t ms);

#endif
