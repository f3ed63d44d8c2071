/*
 * ast_int.h: tokens, types and the tree of a Painless source, from lex.c through parse*.c to
 * compile*.c.
 */
#ifndef QD_SCRIPT_PAINLESS_AST_INT_H
#define QD_SCRIPT_PAINLESS_AST_INT_H

#include "script/script.h"

typedef enum qdp_tok {
    T_EOF,
    T_ID,
    T_INT, /* text as written */
    T_FLOAT,
    T_STRING,
    T_REGEX,
    T_OP, /* op: qdp_op */
} qdp_tok;

/* Operators and punctuation. */
typedef enum qdp_op {
    O_NONE,
#define QDI_OP(id, text) O_##id,
#include "script/painless/ops.def"
} qdp_op;

typedef struct qdp_token {
    uint8_t tok, op;
    uint8_t flags; /* REGEX: QD_RE_… */
    bool line;     /* the first of its line */
    uint32_t pos, end;
    qd_str text; /* decoded */
} qdp_token;

/* Static types: a class of values, or an array of one (QDI_T_ARRAY added for each dimension). */
typedef enum qdp_type {
    QDI_T_VOID,
    QDI_T_DEF,
    QDI_T_OBJECT,
#define QD_TYPE(id, name, full, tags) QDI_T_##id,
#include "script/painless/types.def"
    QDI_T_COUNT,
    QDI_T_ARRAY = 0x100,
} qdp_type;
#define QDI_T_FIRST (QDI_T_OBJECT + 1)

/* The tags of values that a type can hold (bits). */
uint64_t qdp_type_tags(int type);
/* Its name, "String" or "def[]", in a ring of static rooms. */
const char *qdp_type_name(int type);
/* Its name in Java. */
const char *qdp_type_full(int type);
/* The type of a name, simple or whole; -1 when there is none. */
int qdp_type_find(qd_str name);
/* boolean, byte … double, char? */
static inline bool qdp_type_primitive(int t)
{
    return t >= QDI_T_BOOLEAN && t <= QDI_T_CHAR;
}
/* byte … double, char? */
static inline bool qdp_type_number(int t)
{
    return t > QDI_T_BOOLEAN && t <= QDI_T_CHAR;
}
/* The primitive of Integer, Long …; t itself for others. */
int qdp_type_unboxed(int t);
/* Tag of values of a primitive. */
uint8_t qdp_type_tag(int t);

typedef enum qdp_kind {
    /* expressions */
    N_CONST, /* value */
    N_NAME,
    N_FIELD,  /* a.text */
    N_INDEX,  /* a[b] */
    N_CALL,   /* a.text(args); a NULL: text(args) */
    N_NEW,    /* new type(args) */
    N_ARRAY,  /* new type[args]; flag INIT: {args} */
    N_LIST,   /* [args] */
    N_MAP,    /* [k : v]: args alternate */
    N_LAMBDA, /* params args, body b (block or expression) */
    N_REF,    /* type or name a :: text */
    N_REGEX,
    N_UNARY,
    N_BINARY,
    N_LOGIC, /* && || */
    N_COND,
    N_ELVIS,
    N_ASSIGN, /* a op= b */
    N_STEP,   /* ++ --; flag PRE */
    N_CAST,
    N_INSTANCEOF,
    N_TYPE, /* the name of a type, before . or :: */
    /* statements */
    N_EXPR,
    N_DECL, /* type text = a; next ones by args */
    N_BLOCK,
    N_IF,
    N_WHILE,
    N_DO,
    N_FOR,  /* a; b; c d */
    N_EACH, /* type text : a b */
    N_RETURN,
    N_BREAK,
    N_CONTINUE,
    N_TRY,   /* a, catches args */
    N_CATCH, /* type text a */
    N_THROW,
    N_FUNCTION, /* type text(args) b */
    N_PARAM,
} qdp_kind;
enum { QDI_NULLSAFE = 1, QDI_INIT = 2, QDI_PRE = 4, QDI_PAREN = 8, QDI_INFER = 16 };

typedef struct qdp_node {
    uint8_t kind, op, flags;
    uint8_t re; /* flags of a regex */
    int16_t type;
    uint16_t slot;
    uint32_t pos, nargs;
    struct qdp_node *a, *b, *c, *d;
    struct qdp_node *args, *next; /* args: linked by next */
    qd_str text;
    qd_sv value;
} qdp_node;

/* Levels that a source may nest. */
#define QDI_DEPTH 150

typedef struct qdp_parser {
    qd_arena *a;
    qd_str source;
    qdp_token *t; /* ended by EOF */
    uint32_t n, at, depth;
    qd_err *err;
    uint32_t failed_at; /* place of the error */
} qdp_parser;

/* All tokens of p->source. */
QD_MUST_CHECK
int qdp_lex(qdp_parser *p);
/* The tree: functions and statements, linked by next. NULL after an error. */
qdp_node *qdp_parse(qdp_parser *p);

/* private to the parser */
qdp_node *qdp_node_make(qdp_parser *p, qdp_kind kind, uint32_t pos);
qdp_node *qdp_parse_expr(qdp_parser *p);
qdp_node *qdp_parse_block(qdp_parser *p);
int qdp_parse_type(qdp_parser *p, uint32_t *at);
qdp_node *qdp_parse_fail(qdp_parser *p, const char *fmt, ...) QD_PRINTF(2, 3);
qdp_node *qdp_parse_unexpected(qdp_parser *p);
static inline const qdp_token *qdp_now(const qdp_parser *p)
{
    return &p->t[p->at];
}
static inline bool qdp_at(const qdp_parser *p, qdp_op op)
{
    return p->t[p->at].tok == T_OP && p->t[p->at].op == op;
}
static inline bool qdp_take(qdp_parser *p, qdp_op op)
{
    if (!qdp_at(p, op)) return false;
    p->at++;
    return true;
}
bool qdp_word(const qdp_parser *p, uint32_t at, const char *word);
bool qdp_reserved(qd_str word);

#endif
