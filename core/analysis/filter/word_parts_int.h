/*
 * word_parts_int.h: a term cut where its characters change kind, as word_delimiter and
 * word_delimiter_graph do.
 */
#ifndef QD_ANALYSIS_WORD_PARTS_INT_H
#define QD_ANALYSIS_WORD_PARTS_INT_H

#include "analysis/filter/emit_int.h"
#include "analysis/filter/wordset_int.h"

enum {
    QD_WORD_LOWER = 1,
    QD_WORD_UPPER = 2,
    QD_WORD_DIGIT = 4,
    QD_WORD_DELIMITER = 8,
    QD_WORD_ALPHA = 3,
};

/* The options of the filters, by name. */
enum {
    QD_WORD_GENERATE_WORDS = 1,
    QD_WORD_GENERATE_NUMBERS = 2,
    QD_WORD_CATENATE_WORDS = 4,
    QD_WORD_CATENATE_NUMBERS = 8,
    QD_WORD_CATENATE_ALL = 16,
    QD_WORD_PRESERVE = 32,
    QD_WORD_SPLIT_CASE = 64,
    QD_WORD_SPLIT_NUMERICS = 128,
    QD_WORD_POSSESSIVE = 256,
    QD_WORD_IGNORE_KEYWORDS = 512,
    QD_WORD_ADJUST_OFFSETS = 1024,
};

typedef struct qd_word_options {
    qd_part head;
    uint32_t flags; /* QD_WORD_ */
    uint8_t ascii[128];
    QD_VEC(uint64_t) other; /* code point << 8 | kind, of type_table beyond ASCII */
    qd_wordset protected;
} qd_word_options;

/* One part of a term. */
typedef struct qd_word_part {
    uint32_t from, to; /* its bytes */
    uint32_t kind;     /* of its first character; ALPHA for a letter of either case */
} qd_word_part;

/* Reads the settings that both filters have. */
QD_MUST_CHECK
int qd_word_options_make(const qd_part_conf *c, const qd_part_ops *ops, bool graph, qd_part **out,
                         qd_err *err);
/* Frees them. */
void qd_word_options_free(qd_part *p);
/* The first part of p[0 .. n) from *at on, which moves behind it and behind its possessive; false:
 * there is none. */
bool qd_word_part_next(const qd_word_options *o, const char *p, uint32_t n, uint32_t *at,
                       qd_word_part *out);
/* Are parts of that kind put out; joined? */
bool qd_word_generates(const qd_word_options *o, uint32_t kind);
bool qd_word_joins(const qd_word_options *o, uint32_t kind);

#endif
