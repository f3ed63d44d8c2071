/* regex_prog_int.h: a compiled pattern, between regex_parse.c and regex.c. */
#ifndef QD_ANALYSIS_REGEX_PROG_INT_H
#define QD_ANALYSIS_REGEX_PROG_INT_H

#include "analysis/regex/charset_int.h"
#include "analysis/regex/regex.h"

enum {
    QD_RE_CHAR, /* x: code point */
    QD_RE_SET,  /* x: set */
    QD_RE_MATCH,
    QD_RE_SPLIT, /* x before y */
    QD_RE_JUMP,  /* x */
    QD_RE_SAVE,  /* x: slot */
    QD_RE_BEGIN, /* assertions from here on */
    QD_RE_END,
    QD_RE_LAST,
    QD_RE_LINE_BEGIN,
    QD_RE_LINE_END,
    QD_RE_WORD_EDGE,
    QD_RE_NO_WORD_EDGE,
};

typedef struct qd_re_inst {
    uint32_t op, x, y;
} qd_re_inst;

struct qd_regex {
    qd_re_inst *code;
    uint32_t ncode;
    qd_charset *sets;
    uint32_t nsets;
    uint32_t ngroups, flags;
    bool run, run_plus; /* the whole pattern is sets[0], or sets[0]+ */
    bool has_first;     /* every match begins with a member of first */
    qd_charset first;   /* a copy of one of sets: shares its ranges */
    struct {
        char name[64];
        size_t n;
        uint32_t group;
    } names[QD_RE_GROUPS_MAX];
    uint32_t nnames;
};

#endif
