/*
 * vm_int.h: register bytecode, the program that holds it, and the machine that runs it.
 *
 * A function has a window of registers; arguments of a call stand at the end of the caller's window
 * and become the beginning of the callee's. Values carry their class, so that each instruction
 * without a class in its name works on what it finds; those with one (ADD_I …) rely on the
 * compiler's types.
 */
#ifndef QD_SCRIPT_PAINLESS_VM_INT_H
#define QD_SCRIPT_PAINLESS_VM_INT_H

#include "base/vec.h"
#include "script/object.h"
#include "script/painless/ast_int.h"

typedef enum qdp_opcode {
#define QDI_CODE(id) C_##id,
#include "script/painless/codes.def"
} qdp_opcode;
#define QDI_EXPLICIT 0x8000u

typedef struct qdp_ins {
    uint16_t op, a, b, c;
} qdp_ins;

typedef struct qdp_handler {
    uint32_t from, to, target; /* instructions guarded, and where the catch begins */
    uint16_t reg;              /* that gets the exception */
    int16_t type;
} qdp_handler;

typedef struct qdp_code {
    qd_str name;
    qdp_ins *ins;
    uint32_t *pos; /* place in the source, by instruction */
    uint32_t n, nhandlers;
    qdp_handler *handlers;
    uint16_t nregs, nparams, ncaptured;
    int16_t result;
    int16_t *params; /* types */
} qdp_code;

typedef struct qdp_vm qdp_vm;
typedef int (*qdp_native)(qdp_vm *vm, qd_sv *args, uint32_t n, qd_sv *out);

/* A function of the library. */
typedef struct qdp_method {
    const char *name; /* NULL ends a table; "new" is a constructor */
    int8_t nargs;     /* without the receiver; -1: any */
    int16_t owner;    /* static: its type, VOID for one without a type; else VOID */
    int16_t result;
    uint64_t tags; /* classes of receivers; 0: static */
    qdp_native fn;
} qdp_method;

/* A place that calls a name: the methods that may be meant. */
typedef struct qdp_site {
    qd_str name;
    uint32_t nargs, n;
    const qdp_method **m;
    const qdp_method **getters; /* of a field, or setters */
    uint32_t ngetters;
    int32_t index; /* a field that is a number; else -1 */
} qdp_site;

/* A member of ctx or params by constant names: ctx.a?.b, ctx['a'].b. */
typedef struct qdp_step {
    uint32_t site, pos;
    bool element, safe; /* ['name']; ?.name */
} qdp_step;
typedef struct qdp_path {
    qd_script_var var;
    uint32_t n;
    const qd_str *names;
    const qdp_step *steps;
} qdp_path;
#define QDP_PATH_MAX 16u /* names; what is longer goes on from there */

/* What N_LAMBDA and N_REF become: captured values before the arguments. */
typedef struct qdp_closure {
    const qdp_code *code; /* or: */
    const qdp_site *site;
    const qdp_method *method; /* one of site's, static */
    uint32_t n;               /* captured */
    qd_sv *captured;
} qdp_closure;

#define QDP_ANCHORED "\\A(?:%.*s)\\z" /* a pattern that is to match the whole text */
typedef struct qdp_pattern {
    struct qd_regex *regex;
    struct qd_regex *anchored; /* to the whole text, of a constant; NULL: made when it is needed */
    qd_str text;
    uint32_t flags;
    struct qdp_pattern *next;
} qdp_pattern;

typedef struct qdp_program {
    qd_arena arena;
    qd_str source;
    qd_script_context context;
    QD_VEC(qdp_code *) codes; /* 0 is the script itself */
    QD_VEC(qd_sv) consts;
    QD_VEC(qdp_site) sites;
    QD_VEC(qdp_closure) closures; /* n: how many are captured */
    QD_VEC(qdp_path) paths;
    QD_VEC(qd_str) fields;
    uint32_t uses;         /* QD_SCRIPT_BIT */
    const qdp_node *pure;  /* the only expression, if there is no other statement */
    qdp_pattern *patterns; /* to free */
} qdp_program;

typedef struct qdp_exception {
    int16_t type;
    qd_str message; /* {NULL,0}: none */
} qdp_exception;

typedef struct qdp_frame {
    const qdp_code *code;
    qd_sv *base;
    uint32_t at;
    uint16_t dst;
} qdp_frame;

enum { QDI_STACK = 4096, QDI_FRAMES = 192, QDI_NESTED = 24 };

struct qdp_vm {
    qd_script_exec *x;
    const qdp_program *p;
    qd_sv stack[QDI_STACK];
    qdp_frame frames[QDI_FRAMES];
    uint32_t nframes, nested;
    qd_sv *top; /* the end of the running window */
    int64_t steps;
    qd_sv exc; /* EXCEPTION in flight */
    uint32_t exc_pos;
    bool exc_placed;
    bool fatal; /* it cannot be caught */
    qd_err *err;
    uint64_t random[2];
    qdp_pattern *patterns; /* made at run time */
};

/* Throws: returns -1. type is an exception's. */
int qdp_throw(qdp_vm *vm, int type, const char *fmt, ...) QD_PRINTF(3, 4);
/* Out of memory or steps: cannot be caught. Returns -1. */
int qdp_nomem(qdp_vm *vm);
/* n more steps; -1 when they are used up. */
int qdp_steps(qdp_vm *vm, uint64_t n);
/* The steps of a method that may read all of its receiver, and of its first argument. */
static inline int qdp_receiver(qdp_vm *vm, const qd_sv *args, uint32_t n)
{
    uint32_t long_ = args[0].tag == QD_SV_STRING ? args[0].n / 256 : 0;
    if (n && args[1].tag == QD_SV_STRING) long_ += args[1].n / 256;
    return long_ ? qdp_steps(vm, long_) : 0;
}
/* Calls a FUNCTION. 0 or -1. */
int qdp_call(qdp_vm *vm, const qd_sv *fn, const qd_sv *args, uint32_t n, qd_sv *out);
/* Runs code 0. 0 or -1. */
int qdp_vm_run(qdp_vm *vm, qd_sv *out);
/* a op b for C_ADD … C_GE of any classes; -1 after a throw. */
int qdp_arith(qdp_vm *vm, int op, const qd_sv *a, const qd_sv *b, qd_sv *out);
int qdp_unary(qdp_vm *vm, int op, const qd_sv *a, qd_sv *out);
/* Painless's ==; costs steps: when they are used up, false, and qdp_steps fails. */
bool qdp_equal(qdp_vm *vm, const qd_sv *a, const qd_sv *b);
/* Is one of a number's classes. */
static inline bool qdp_number(const qd_sv *v)
{
    return v->tag >= QD_SV_BYTE && v->tag <= QD_SV_DOUBLE;
}
/* The value as a double, of a number or CHAR. */
static inline double qdp_f64(const qd_sv *v)
{
    return v->tag >= QD_SV_FLOAT ? v->f : (double)v->i;
}
/* As Java casts a double to long. */
int64_t qdp_to_i64(const qd_sv *v);
/* Turns v to a type; explicit: narrowing is allowed. -1 after a throw. */
int qdp_cast(qdp_vm *vm, const qd_sv *v, int type, bool explicit_, qd_sv *out);
/* Does a type hold the value? */
bool qdp_instance(const qd_sv *v, int type);
/* The type of a value, for messages. */
const char *qdp_class(const qd_sv *v);
/* a before b: -1, 0, 1 in out's place; numbers, strings, dates. 0 or -1 after a throw. */
int qdp_compare(qdp_vm *vm, const qd_sv *a, const qd_sv *b, int *out);
/* The text of any value as a STRING of the arena. */
int qdp_text(qdp_vm *vm, const qd_sv *v, qd_sv *out);
/* A new STRING of bytes. */
int qdp_string(qdp_vm *vm, qd_str s, qd_sv *out);
/* A compiled regex: kept until the run ends. */
int qdp_regex(qdp_vm *vm, qd_str text, uint32_t flags, qd_sv *out);
/* =~ and ==~. */
int qdp_regex_test(qdp_vm *vm, const qd_sv *text, const qd_sv *pattern, bool whole, qd_sv *out);
int qdp_index_get(qdp_vm *vm, const qd_sv *of, const qd_sv *at, qd_sv *out);
int qdp_index_set(qdp_vm *vm, const qd_sv *of, const qd_sv *at, const qd_sv *v);
int qdp_field_get(qdp_vm *vm, const qd_sv *of, const qdp_site *s, qd_sv *out);
int qdp_field_set(qdp_vm *vm, const qd_sv *of, const qdp_site *s, const qd_sv *v);
/* What a path leads to, and the variable as a whole. */
int qdp_member(qdp_vm *vm, const qdp_path *p, qd_sv *out);
int qdp_whole(qdp_vm *vm, qd_script_var v, qd_sv *out);
/* Is the one member there that the path names? */
bool qdp_member_there(const qdp_vm *vm, const qdp_path *p);
/* Sets the one member that the path names. */
int qdp_member_put(qdp_vm *vm, const qdp_path *p, const qd_sv *v);
int qdp_invoke(qdp_vm *vm, const qdp_site *s, qd_sv *args, qd_sv *out);
/* doc['field']. */
int qdp_doc(qdp_vm *vm, int slot, qd_str name, qd_sv *out);
int qdp_doc_value(qdp_vm *vm, int slot, qd_str name, qd_sv *out);
bool qdp_exception_is(int type, int of);
const char *qdp_exception_type(int type);

/* The library: tables ended by a row without a name. */
extern const qdp_method *const qdp_library[];
/* How a site is bound: the methods of a name and number of arguments. */
int qdp_site_bind(qdp_program *p, qdp_site *s, bool field, bool setter);
/* A static function; NULL when there is none. */
const qdp_method *qdp_static_find(int owner, qd_str name, uint32_t nargs);
/* A constant of a type (Integer.MAX_VALUE): false when there is none. */
bool qdp_constant_find(int owner, qd_str name, qd_sv *out, int *type);

/* The program of a pure expression over columns (batch.c). */
QD_MUST_CHECK
int qdp_batch(const void *compiled, const uint8_t *kinds, const qd_sv *params, qd_arena *arena,
              struct qd_script_batch **out);
/* Compiles the tree. 0, or the error with its place in *at. */
QD_MUST_CHECK
int qdp_compile(qdp_program *p, qdp_node *root, uint32_t *at, qd_err *err);
/* The error of a source or of a run, in Elasticsearch's shape, around what err has. */
int qdp_script_error(qd_err *err, qd_str source, uint32_t at, bool compile);

#endif
