/* program_int.h: a compiled template: its tags in order, sections with the place behind them. */
#ifndef QD_SCRIPT_MUSTACHE_PROGRAM_INT_H
#define QD_SCRIPT_MUSTACHE_PROGRAM_INT_H

#include "script/mustache/mustache.h"

typedef enum qdi_mustache_tag {
    QDI_MUSTACHE_TEXT,
    QDI_MUSTACHE_VALUE,
    QDI_MUSTACHE_RAW,      /* {{{x}}} and {{&x}} */
    QDI_MUSTACHE_SECTION,  /* {{#x}} */
    QDI_MUSTACHE_INVERTED, /* {{^x}} */
    QDI_MUSTACHE_TO_JSON,
    QDI_MUSTACHE_JOIN,
    QDI_MUSTACHE_URL,
} qdi_mustache_tag;

typedef struct qdi_mustache_node {
    uint8_t tag;    /* qdi_mustache_tag */
    uint32_t nname; /* 0: "." */
    uint32_t end;   /* the node behind the section; of others, behind this one */
    qd_str text;    /* TEXT: it; JOIN: what is shown when there is no list */
    qd_str between; /* JOIN */
    qd_str *name;   /* by its dots */
} qdi_mustache_node;

struct qd_mustache {
    qd_mustache_escape escape;
    uint32_t n, cap;
    qdi_mustache_node *at;
};

#endif
