/* compile_int.h: what the files of the compiler share. */
#ifndef QD_SCRIPT_PAINLESS_COMPILE_INT_H
#define QD_SCRIPT_PAINLESS_COMPILE_INT_H

#include "script/painless/vm_int.h"

typedef struct qdi_local {
    qd_str name;
    int16_t type;
    uint16_t reg;
    bool captured; /* cannot be assigned */
} qdi_local;

typedef struct qdi_loop {
    struct qdi_loop *outer;
    QD_VEC(uint32_t) breaks;
    QD_VEC(uint32_t) continues;
} qdi_loop;

/* The function that is being compiled. */
typedef struct qdi_fn {
    struct qdi_fn *outer; /* of a lambda */
    qdi_code *code;
    QD_VEC(qdi_ins) ins;
    QD_VEC(uint32_t) pos;
    QD_VEC(qdi_handler) handlers;
    QD_VEC(qdi_local) locals;
    qdi_loop *loop;
    uint32_t top, max;
    int result;
    bool lambda;
} qdi_fn;

typedef struct qdi_compiler {
    qdi_program *p;
    qdi_fn *f;
    qdi_node *functions;
    uint32_t nfunctions;
    uint32_t at; /* place of the error */
    uint32_t depth;
    qd_err *err;
} qdi_compiler;

/* The error at a place: returns -1. */
int qdi_fail(qdi_compiler *c, uint32_t pos, const char *type, const char *fmt, ...) QD_PRINTF(4, 5);
/* A new register, or -1. */
int qdi_reg(qdi_compiler *c);
/* Appends an instruction: its number, or -1. */
int qdi_ins_add(qdi_compiler *c, uint32_t pos, int op, int a, int b, int c3);
/* Appends a jump to be aimed later. */
int qdi_jump(qdi_compiler *c, uint32_t pos, int op, int a);
/* Aims a jump at the next instruction, or at a given one. */
void qdi_aim(qdi_compiler *c, int jump);
void qdi_aim_at(qdi_compiler *c, int jump, uint32_t target);
/* The number of a constant, or -1. */
int qdi_const(qdi_compiler *c, qd_sv v);
/* Code that puts the value of n into dst (-1: where it likes): the register, or -1. n->type is set.
 */
int qdi_expr(qdi_compiler *c, qdi_node *n, int dst);
/* The same, turned to a type. */
int qdi_expr_to(qdi_compiler *c, qdi_node *n, int type, int dst);
/* Turns register r from a type to another: the register that has it, or -1. */
int qdi_convert(qdi_compiler *c, uint32_t pos, int r, int from, int to, bool explicit_, int dst);
/* A local of a name; NULL when there is none. */
qdi_local *qdi_local_find(qdi_fn *f, qd_str name);
int qdi_local_add(qdi_compiler *c, uint32_t pos, qd_str name, int type);
/* The variable of the context, or -1. */
int qdi_var_find(qdi_compiler *c, qd_str name);
int qdi_site_add(qdi_compiler *c, qdi_node *n, uint32_t nargs, bool field, bool setter);
int qdi_field_slot(qdi_compiler *c, qd_str name);
int qdi_compile_call(qdi_compiler *c, qdi_node *n, int dst);
int qdi_compile_new(qdi_compiler *c, qdi_node *n, int dst);
int qdi_compile_lambda(qdi_compiler *c, qdi_node *n, int dst);
int qdi_compile_ref(qdi_compiler *c, qdi_node *n, int dst);
int qdi_compile_binary(qdi_compiler *c, qdi_node *n, int dst);
int qdi_compile_assign(qdi_compiler *c, qdi_node *n, int dst);
int qdi_statement(qdi_compiler *c, qdi_node *n);
int qdi_function(qdi_compiler *c, qdi_fn *f, qdi_node *body, qdi_code *code);
/* Emits a op b of types; the register; *type gets the result's. */
int qdi_operate(qdi_compiler *c, uint32_t pos, int op, int a, int ta, int b, int tb, int dst,
                int *type);

#endif
