/* compile_int.h: what the files of the compiler share. */
#ifndef QD_SCRIPT_PAINLESS_COMPILE_INT_H
#define QD_SCRIPT_PAINLESS_COMPILE_INT_H

#include "script/painless/vm_int.h"

typedef struct qdp_local {
    qd_str name;
    int16_t type;
    uint16_t reg;
    bool captured; /* cannot be assigned */
} qdp_local;

typedef struct qdp_loop {
    struct qdp_loop *outer;
    QD_VEC(uint32_t) breaks;
    QD_VEC(uint32_t) continues;
} qdp_loop;

/* The function that is being compiled. */
typedef struct qdp_fn {
    struct qdp_fn *outer; /* of a lambda */
    qdp_code *code;
    QD_VEC(qdp_ins) ins;
    QD_VEC(uint32_t) pos;
    QD_VEC(qdp_handler) handlers;
    QD_VEC(qdp_local) locals;
    qdp_loop *loop;
    uint32_t top, max;
    int result;
    bool lambda;
} qdp_fn;

typedef struct qdp_compiler {
    qdp_program *p;
    qdp_fn *f;
    qdp_node *functions;
    uint32_t nfunctions;
    uint32_t at; /* place of the error */
    uint32_t depth;
    qd_err *err;
} qdp_compiler;

/* The error at a place: returns -1. */
int qdp_fail(qdp_compiler *c, uint32_t pos, const char *type, const char *fmt, ...) QD_PRINTF(4, 5);
/* A new register, or -1. */
int qdp_reg(qdp_compiler *c);
/* Appends an instruction: its number, or -1. */
int qdp_ins_add(qdp_compiler *c, uint32_t pos, int op, int a, int b, int c3);
/* Appends a jump to be aimed later. */
int qdp_jump(qdp_compiler *c, uint32_t pos, int op, int a);
/* Aims a jump at the next instruction, or at a given one. */
void qdp_aim(qdp_compiler *c, int jump);
void qdp_aim_at(qdp_compiler *c, int jump, uint32_t target);
/* The number of a constant, or -1. */
int qdp_const(qdp_compiler *c, qd_sv v);
/* Code that puts the value of n into dst (-1: where it likes): the register, or -1. n->type is set.
 */
int qdp_expr(qdp_compiler *c, qdp_node *n, int dst);
/* The same, turned to a type. */
int qdp_expr_to(qdp_compiler *c, qdp_node *n, int type, int dst);
/* Turns register r from a type to another: the register that has it, or -1. */
int qdp_convert(qdp_compiler *c, uint32_t pos, int r, int from, int to, bool explicit_, int dst);
/* A local of a name; NULL when there is none. */
qdp_local *qdp_local_find(qdp_fn *f, qd_str name);
int qdp_local_add(qdp_compiler *c, uint32_t pos, qd_str name, int type);
/* The variable of the context, or -1. */
int qdp_var_find(qdp_compiler *c, qd_str name);
int qdp_site_add(qdp_compiler *c, qdp_node *n, uint32_t nargs, bool field, bool setter);
/* The path that n is, of ctx or params by constant names: its number; -1: n is none; -2: an error.
 */
int qdp_path_add(qdp_compiler *c, qdp_node *n);
/* The code of ctx.containsKey('name'), or of params: its register, -1 an error; -2: n is none. */
int qdp_there(qdp_compiler *c, qdp_node *n, int dst);
int qdp_field_slot(qdp_compiler *c, qd_str name);
int qdp_compile_call(qdp_compiler *c, qdp_node *n, int dst);
int qdp_compile_new(qdp_compiler *c, qdp_node *n, int dst);
int qdp_compile_lambda(qdp_compiler *c, qdp_node *n, int dst);
int qdp_compile_ref(qdp_compiler *c, qdp_node *n, int dst);
int qdp_compile_binary(qdp_compiler *c, qdp_node *n, int dst);
int qdp_compile_assign(qdp_compiler *c, qdp_node *n, int dst);
int qdp_statement(qdp_compiler *c, qdp_node *n);
int qdp_function(qdp_compiler *c, qdp_fn *f, qdp_node *body, qdp_code *code);
/* Emits a op b of types; the register; *type gets the result's. */
int qdp_operate(qdp_compiler *c, uint32_t pos, int op, int a, int ta, int b, int tb, int dst,
                int *type);

#endif
