/* analyzer_int.h: the chain itself, for the registry that builds it. */
#ifndef QD_ANALYSIS_ANALYZER_INT_H
#define QD_ANALYSIS_ANALYZER_INT_H

#include "analysis/analysis_int.h"

#define QD_ANALYZER_MAGIC 0x595A4C41u
#define QD_CHAIN_MAX 256 /* parts of one chain */

struct qd_analyzer {
    uint32_t magic;
    _Atomic uint32_t refs;
    qd_str name; /* owned */
    uint32_t gap;
    uint8_t level;  /* of the cluster's formats that its parts need */
    uint8_t want;   /* QD_ANALYZE_ bits that its parts need */
    bool custom;    /* shown by stages in _analyze */
    bool for_index; /* no part is for searching only */
    bool fused;     /* standard tokenizer with lowercase behind it: one kernel */
    uint32_t nchar; /* char filters: parts[0 .. nchar) */
    uint32_t nparts;
    qd_part *parts[]; /* char filters, tokenizer, filters; one reference each */
};

/* Makes a chain. parts: nchar char filters, one tokenizer, filters; the references are taken from
 * the caller only on success. */
QD_MUST_CHECK
int qd_analyzer_make(qd_str name, qd_part *const *parts, size_t nparts, size_t nchar, uint32_t gap,
                     bool custom, qd_analyzer **out, qd_err *err);

#endif
