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

/* a: register written; b, c: read, unless said otherwise. J: the target is b | c << 16. */
#define QDI_CODES(X)                                                                                 \
    X(NOP)                                                                                           \
    X(CONST) /* a = const b|c<<16 */ X(MOVE) X(VAR) /* a = variable b */                             \
        X(JUMP) /* J */ X(JT) /* if a: J */ X(JF) X(JNULL) X(JSOME) X(ADD) X(SUB) X(MUL) X(DIV)      \
            X(REM) X(BITAND) X(XOR) X(BITOR) X(SHL) X(SHR) X(USHR) X(EQ) X(NE) X(LT) X(LE) X(GT)     \
                X(GE) X(REF_EQ) X(REF_NE) X(FIND) X(MATCH) X(NEG) X(PLUS) X(NOT) X(BITNOT)           \
                    X(ADD_I) X(SUB_I) X(MUL_I) X(LT_I) X(LE_I) X(GT_I) X(GE_I) X(EQ_I)               \
                        X(NE_I)                                                    /* int */         \
        X(ADD_L) X(SUB_L) X(MUL_L) X(LT_L) X(LE_L) X(GT_L) X(GE_L) X(EQ_L) X(NE_L) /* long */        \
        X(ADD_D) X(SUB_D) X(MUL_D) X(DIV_D) X(LT_D) X(LE_D) X(GT_D) X(GE_D) X(EQ_D) X(NE_D)          \
            X(CAST) /* a = (type c) b; QDI_EXPLICIT */ X(INSTANCE) /* a = b instanceof c */          \
        X(CONCAT) /* a = b + c as texts */ X(LIST) /* a = [b … b + c) */ X(MAP)                      \
            X(ARRAY) /* a = array of type c, length b */ X(                                          \
                FILL) /* a = array of a's type of [b …) c */                                       \
        X(GETI) X(SETI) /* a[b] = c */ X(GETF) /* a = b.site c */ X(SETF) /* a.site c = b */         \
        X(CALL)   /* a = method of site c, receiver and arguments from b */                          \
        X(STATIC) /* a = function of site c, arguments from b */                                     \
        X(USER) /* a = own function c, arguments from b */ X(CLOSURE) /* a = closure c over b … */ \
        X(DOC) /* a = doc[field b] */ X(DOCVALUE)                     /* a = doc[field b].value */   \
        X(EACH) /* a, a+1 = a way through b */ X(NEXT)                /* a+2 = next of a, or J */    \
        X(EMIT) /* b … , c of them */ X(THROW) X(RETURN) /* a */ X(REGEX) /* a = regex const b */
typedef enum qdi_opcode {
#define X(id) C_##id,
    QDI_CODES(X)
#undef X
} qdi_opcode;
#define QDI_EXPLICIT 0x8000u

typedef struct qdi_ins {
    uint16_t op, a, b, c;
} qdi_ins;

typedef struct qdi_handler {
    uint32_t from, to, target; /* instructions guarded, and where the catch begins */
    uint16_t reg;              /* that gets the exception */
    int16_t type;
} qdi_handler;

typedef struct qdi_code {
    qd_str name;
    qdi_ins *ins;
    uint32_t *pos; /* place in the source, by instruction */
    uint32_t n, nhandlers;
    qdi_handler *handlers;
    uint16_t nregs, nparams, ncaptured;
    int16_t result;
    int16_t *params; /* types */
} qdi_code;

typedef struct qdi_vm qdi_vm;
typedef int (*qdi_native)(qdi_vm *vm, qd_sv *args, uint32_t n, qd_sv *out);

/* A function of the library. */
typedef struct qdi_method {
    const char *name; /* NULL ends a table; "new" is a constructor */
    int8_t nargs;     /* without the receiver; -1: any */
    int16_t owner;    /* static: its type, VOID for one without a type; else VOID */
    int16_t result;
    uint64_t tags; /* classes of receivers; 0: static */
    qdi_native fn;
} qdi_method;

/* A place that calls a name: the methods that may be meant. */
typedef struct qdi_site {
    qd_str name;
    uint32_t nargs, n;
    const qdi_method **m;
    const qdi_method **getters; /* of a field, or setters */
    uint32_t ngetters;
    int32_t index; /* a field that is a number; else -1 */
} qdi_site;

/* What N_LAMBDA and N_REF become: captured values before the arguments. */
typedef struct qdi_closure {
    const qdi_code *code; /* or: */
    const qdi_site *site;
    const qdi_method *method; /* one of site's, static */
    uint32_t n;               /* captured */
    qd_sv *captured;
} qdi_closure;

typedef struct qdi_pattern {
    struct qd_regex *regex;
    qd_str text;
    uint32_t flags;
    struct qdi_pattern *next;
} qdi_pattern;

typedef struct qdi_program {
    qd_arena arena;
    qd_str source;
    qd_script_context context;
    QD_VEC(qdi_code *) codes; /* 0 is the script itself */
    QD_VEC(qd_sv) consts;
    QD_VEC(qdi_site) sites;
    QD_VEC(qdi_closure) closures; /* n: how many are captured */
    QD_VEC(qd_str) fields;
    uint32_t uses;         /* QD_SCRIPT_BIT */
    const qdi_node *pure;  /* the only expression, if there is no other statement */
    qdi_pattern *patterns; /* to free */
    struct qd_script_batch *batch;
} qdi_program;

typedef struct qdi_exception {
    int16_t type;
    qd_str message; /* {NULL,0}: none */
} qdi_exception;

typedef struct qdi_frame {
    const qdi_code *code;
    qd_sv *base;
    uint32_t at;
    uint16_t dst;
} qdi_frame;

enum { QDI_STACK = 4096, QDI_FRAMES = 192, QDI_NESTED = 24 };

struct qdi_vm {
    qd_script_exec *x;
    const qdi_program *p;
    qd_sv stack[QDI_STACK];
    qdi_frame frames[QDI_FRAMES];
    uint32_t nframes, nested;
    qd_sv *top; /* the end of the running window */
    int64_t steps;
    qd_sv exc; /* EXCEPTION in flight */
    uint32_t exc_pos;
    bool exc_placed;
    bool fatal; /* it cannot be caught */
    qd_err *err;
    uint64_t random[2];
    qdi_pattern *patterns; /* made at run time */
};

/* Throws: returns -1. type is an exception's. */
int qdi_throw(qdi_vm *vm, int type, const char *fmt, ...) QD_PRINTF(3, 4);
/* Out of memory or steps: cannot be caught. Returns -1. */
int qdi_nomem(qdi_vm *vm);
/* n more steps; -1 when they are used up. */
int qdi_steps(qdi_vm *vm, uint64_t n);
/* Calls a FUNCTION. 0 or -1. */
int qdi_call(qdi_vm *vm, const qd_sv *fn, const qd_sv *args, uint32_t n, qd_sv *out);
/* Runs code 0. 0 or -1. */
int qdi_vm_run(qdi_vm *vm, qd_sv *out);
/* a op b for C_ADD … C_GE of any classes; -1 after a throw. */
int qdi_arith(qdi_vm *vm, int op, const qd_sv *a, const qd_sv *b, qd_sv *out);
int qdi_unary(qdi_vm *vm, int op, const qd_sv *a, qd_sv *out);
/* Painless's ==. */
bool qdi_equal(const qd_sv *a, const qd_sv *b);
/* Is one of a number's classes. */
static inline bool qdi_number(const qd_sv *v)
{
    return v->tag >= QD_SV_BYTE && v->tag <= QD_SV_DOUBLE;
}
/* The value as a double, of a number or CHAR. */
static inline double qdi_f64(const qd_sv *v)
{
    return v->tag >= QD_SV_FLOAT ? v->f : (double)v->i;
}
/* As Java casts a double to long. */
int64_t qdi_to_i64(const qd_sv *v);
/* Turns v to a type; explicit: narrowing is allowed. -1 after a throw. */
int qdi_cast(qdi_vm *vm, const qd_sv *v, int type, bool explicit_, qd_sv *out);
/* Does a type hold the value? */
bool qdi_instance(const qd_sv *v, int type);
/* The type of a value, for messages. */
const char *qdi_class(const qd_sv *v);
/* a before b: -1, 0, 1 in out's place; numbers, strings, dates. 0 or -1 after a throw. */
int qdi_compare(qdi_vm *vm, const qd_sv *a, const qd_sv *b, int *out);
/* The text of any value as a STRING of the arena. */
int qdi_text(qdi_vm *vm, const qd_sv *v, qd_sv *out);
/* A new STRING of bytes. */
int qdi_string(qdi_vm *vm, qd_str s, qd_sv *out);
/* A compiled regex: kept until the run ends. */
int qdi_regex(qdi_vm *vm, qd_str text, uint32_t flags, qd_sv *out);
/* =~ and ==~. */
int qdi_regex_test(qdi_vm *vm, const qd_sv *text, const qd_sv *pattern, bool whole, qd_sv *out);
int qdi_index_get(qdi_vm *vm, const qd_sv *of, const qd_sv *at, qd_sv *out);
int qdi_index_set(qdi_vm *vm, const qd_sv *of, const qd_sv *at, const qd_sv *v);
int qdi_field_get(qdi_vm *vm, const qd_sv *of, const qdi_site *s, qd_sv *out);
int qdi_field_set(qdi_vm *vm, const qd_sv *of, const qdi_site *s, const qd_sv *v);
int qdi_invoke(qdi_vm *vm, const qdi_site *s, qd_sv *args, qd_sv *out);
/* doc['field']. */
int qdi_doc(qdi_vm *vm, int slot, qd_str name, qd_sv *out);
int qdi_doc_value(qdi_vm *vm, int slot, qd_str name, qd_sv *out);
bool qdi_exception_is(int type, int of);
const char *qdi_exception_type(int type);

/* The library: tables ended by a row without a name. */
extern const qdi_method *const qdi_library[];
/* How a site is bound: the methods of a name and number of arguments. */
int qdi_site_bind(qdi_program *p, qdi_site *s, bool field, bool setter);
/* A static function; NULL when there is none. */
const qdi_method *qdi_static_find(int owner, qd_str name, uint32_t nargs);
/* A constant of a type (Integer.MAX_VALUE): false when there is none. */
bool qdi_constant_find(int owner, qd_str name, qd_sv *out, int *type);

/* Compiles the tree. 0, or the error with its place in *at. */
QD_MUST_CHECK
int qdi_compile(qdi_program *p, qdi_node *root, uint32_t *at, qd_err *err);
/* The error of a source or of a run, in Elasticsearch's shape, around what err has. */
int qdi_script_error(qd_err *err, qd_str source, uint32_t at, bool compile);

#endif
