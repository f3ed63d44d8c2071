/*
 * string_lex_int.h: tokens of Lucene's classic query syntax.
 */
#ifndef QD_QUERY_STRING_LEX_INT_H
#define QD_QUERY_STRING_LEX_INT_H

#include "base/err.h"
#include "base/str.h"

typedef enum qdi_lex_kind {
    QDI_T_EOF,
    QDI_T_AND,
    QDI_T_OR,
    QDI_T_NOT,
    QDI_T_PLUS,
    QDI_T_MINUS,
    QDI_T_BAREOPER, /* an operator with white space behind it */
    QDI_T_LPAREN,
    QDI_T_RPAREN,
    QDI_T_COLON,
    QDI_T_STAR,
    QDI_T_CARAT,
    QDI_T_QUOTED,
    QDI_T_TERM,
    QDI_T_FUZZY_SLOP,
    QDI_T_PREFIXTERM,
    QDI_T_WILDTERM,
    QDI_T_REGEXPTERM,
    QDI_T_RANGEIN_START,
    QDI_T_RANGEEX_START,
    QDI_T_NUMBER, /* of a boost */
    QDI_T_RANGE_TO,
    QDI_T_RANGEIN_END,
    QDI_T_RANGEEX_END,
    QDI_T_RANGE_QUOTED,
    QDI_T_RANGE_GOOP,
} qdi_lex_kind;

typedef struct qdi_lex_token {
    qdi_lex_kind kind;
    qd_str image; /* as written, views the text */
} qdi_lex_token;

typedef struct qdi_lexer {
    qd_str text;
    size_t at;
    enum { QDI_LEX_DEFAULT, QDI_LEX_BOOST, QDI_LEX_RANGE } state;
} qdi_lexer;

/* The next token; QD_E_QUERY_SYNTAX "Lexical error at line 1, column N. …". */
QD_MUST_CHECK
int qdi_lex_next(qdi_lexer *l, qdi_lex_token *out, qd_err *err);

/* A token, or what was read of a broken one, as JavaCC's addEscapes writes it; long ones are cut.
 */
void qdi_lex_shown(qd_str s, char out[256]);

#endif
