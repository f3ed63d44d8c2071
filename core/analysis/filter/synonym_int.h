/*
 * synonym_int.h: rules of synonyms as a trie over words.
 */
#ifndef QD_ANALYSIS_SYNONYM_INT_H
#define QD_ANALYSIS_SYNONYM_INT_H

#include "analysis/analysis_int.h"
#include "analysis/filter/wordset_int.h"

/* What a match is replaced by: phrases, and whether the matched tokens stay. */
typedef struct qd_syn_node {
    QD_VEC(uint32_t) outputs; /* phrases, in the order of the rules, each once */
    bool keep, final;
} qd_syn_node;

typedef struct qd_syn_edge {
    uint64_t
        key; /* node << 32 | word, 0 = empty (node 0 has no edge by word 0: words begin at 1) */
    uint32_t to;
} qd_syn_edge;

typedef struct qd_syn_map {
    qd_wordset words;          /* of the left sides; number + 1 is the word */
    qd_wordset phrases;        /* of the right sides: words parted by NUL */
    QD_VEC(qd_syn_node) nodes; /* 0 is the root */
    qd_syn_edge *edges;        /* open addressing */
    size_t nedges, mask;
    uint64_t *many; /* node << 32 | phrase + 1 of nodes with many outputs; open addressing */
    size_t nmany, many_mask;
} qd_syn_map;

/* Turns the text of a phrase into words parted by NUL, in s's memory; QD_E_ARG when it gives none.
 */
typedef int qd_syn_analyze(void *arg, qd_str text, qd_buf *out, qd_err *err);

/* Adds the rules of one line of Solr's format; expand as the setting. QD_E_ARG with Lucene's
 * sentence, or that the rules give too many outputs. With lenient rules that cannot be analyzed are
 * left out. */
QD_MUST_CHECK
int qd_syn_line(qd_syn_map *m, qd_str line, bool expand, bool lenient, qd_syn_analyze *analyze,
                void *arg, qd_err *err);
/* The node behind `node` by a word, or 0. */
uint32_t qd_syn_step(const qd_syn_map *m, uint32_t node, const char *p, size_t n);
/* Makes the root. */
QD_MUST_CHECK
int qd_syn_init(qd_syn_map *m);
/* Frees everything. */
void qd_syn_fini(qd_syn_map *m);

#endif
