/*
 * ast_int.h: tokens, types and the tree of a Painless source, from lex.c through parse*.c to
 * compile*.c.
 */
#ifndef QD_SCRIPT_PAINLESS_AST_INT_H
#define QD_SCRIPT_PAINLESS_AST_INT_H

#include "script/script.h"

typedef enum qdi_tok {
    T_EOF,
    T_ID,
    T_INT, /* text as written */
    T_FLOAT,
    T_STRING,
    T_REGEX,
    T_OP, /* op: qdi_op */
} qdi_tok;

/* Operators and punctuation, longest first where one begins another (lex.c relies on it). */
#define QDI_OPS(X)                                                                                 \
    X(USHR_SET, ">>>=")                                                                            \
    X(REF_EQ, "===") X(REF_NE, "!==") X(SHL_SET, "<<=") X(SHR_SET, ">>=") X(USHR, ">>>")           \
        X(MATCH, "==~") X(EQ, "==") X(NE, "!=") X(LE, "<=") X(GE, ">=") X(SHL, "<<") X(SHR, ">>")  \
            X(AND, "&&") X(OR, "||") X(INC, "++") X(DEC, "--") X(FIND, "=~") X(ELVIS, "?:")        \
                X(NULLDOT, "?.") X(ADD_SET, "+=") X(SUB_SET, "-=") X(MUL_SET, "*=")                \
                    X(DIV_SET, "/=") X(REM_SET, "%=") X(AND_SET, "&=") X(XOR_SET, "^=")            \
                        X(OR_SET, "|=") X(ARROW, "->") X(REF, "::") X(LBRACE, "{") X(RBRACE, "}")  \
                            X(LBRACK, "[") X(RBRACK, "]") X(LPAREN, "(") X(RPAREN, ")")            \
                                X(DOT, ".") X(COMMA, ",") X(SEMI, ";") X(COLON, ":") X(COND, "?")  \
                                    X(SET, "=") X(LT, "<") X(GT, ">") X(NOT, "!") X(BITNOT, "~")   \
                                        X(ADD, "+") X(SUB, "-") X(MUL, "*") X(DIV, "/")            \
                                            X(REM, "%") X(BITAND, "&") X(XOR, "^") X(BITOR, "|")
typedef enum qdi_op {
    O_NONE,
#define X(id, text) O_##id,
    QDI_OPS(X)
#undef X
} qdi_op;

typedef struct qdi_token {
    uint8_t tok, op;
    uint8_t flags; /* REGEX: QD_RE_… */
    bool line;     /* the first of its line */
    uint32_t pos, end;
    qd_str text; /* decoded */
} qdi_token;

/* Static types: a class of values, or an array of one (QDI_T_ARRAY added for each dimension). */
typedef enum qdi_type {
    QDI_T_VOID,
    QDI_T_DEF,
    QDI_T_OBJECT,
#define QD_TYPE(id, name, full, tags) QDI_T_##id,
#include "script/painless/types.def"
    QDI_T_COUNT,
    QDI_T_ARRAY = 0x100,
} qdi_type;
#define QDI_T_FIRST (QDI_T_OBJECT + 1)

/* The tags of values that a type can hold (bits). */
uint64_t qdi_type_tags(int type);
/* Its name, "String" or "def[]", in a ring of static rooms. */
const char *qdi_type_name(int type);
/* Its name in Java. */
const char *qdi_type_full(int type);
/* The type of a name, simple or whole; -1 when there is none. */
int qdi_type_find(qd_str name);
/* boolean, byte … double, char? */
static inline bool qdi_type_primitive(int t)
{
    return t >= QDI_T_BOOLEAN && t <= QDI_T_CHAR;
}
/* byte … double, char? */
static inline bool qdi_type_number(int t)
{
    return t > QDI_T_BOOLEAN && t <= QDI_T_CHAR;
}
/* The primitive of Integer, Long …; t itself for others. */
int qdi_type_unboxed(int t);
/* Tag of values of a primitive. */
uint8_t qdi_type_tag(int t);

typedef enum qdi_kind {
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
} qdi_kind;
enum { QDI_NULLSAFE = 1, QDI_INIT = 2, QDI_PRE = 4, QDI_PAREN = 8, QDI_INFER = 16 };

typedef struct qdi_node {
    uint8_t kind, op, flags;
    uint8_t re; /* flags of a regex */
    int16_t type;
    uint16_t slot;
    uint32_t pos, nargs;
    struct qdi_node *a, *b, *c, *d;
    struct qdi_node *args, *next; /* args: linked by next */
    qd_str text;
    qd_sv value;
} qdi_node;

/* Levels that a source may nest. */
#define QDI_DEPTH 80

typedef struct qdi_parser {
    qd_arena *a;
    qd_str source;
    qdi_token *t; /* ended by EOF */
    uint32_t n, at, depth;
    qd_err *err;
    uint32_t failed_at; /* place of the error */
} qdi_parser;

/* All tokens of p->source. */
QD_MUST_CHECK
int qdi_lex(qdi_parser *p);
/* The tree: functions and statements, linked by next. NULL after an error. */
qdi_node *qdi_parse(qdi_parser *p);

/* private to the parser */
qdi_node *qdi_node_make(qdi_parser *p, qdi_kind kind, uint32_t pos);
qdi_node *qdi_parse_expr(qdi_parser *p);
qdi_node *qdi_parse_block(qdi_parser *p);
int qdi_parse_type(qdi_parser *p, uint32_t *at);
qdi_node *qdi_parse_fail(qdi_parser *p, const char *fmt, ...) QD_PRINTF(2, 3);
qdi_node *qdi_parse_unexpected(qdi_parser *p);
static inline const qdi_token *qdi_now(const qdi_parser *p)
{
    return &p->t[p->at];
}
static inline bool qdi_at(const qdi_parser *p, qdi_op op)
{
    return p->t[p->at].tok == T_OP && p->t[p->at].op == op;
}
static inline bool qdi_take(qdi_parser *p, qdi_op op)
{
    if (!qdi_at(p, op)) return false;
    p->at++;
    return true;
}
bool qdi_word(const qdi_parser *p, uint32_t at, const char *word);
bool qdi_reserved(qd_str word);

#endif
