/* index_formats_int.h: checks of an index against the level of the cluster's formats. */
#ifndef QD_CLUSTER_INDEX_FORMATS_INT_H
#define QD_CLUSTER_INDEX_FORMATS_INT_H

#include "cluster/cluster_int.h"

/* Fields: their types, parameters and the built-in analyzers that they name, and similarities that
 * the mapping before (NULL: none) had not. m may be NULL. */
QD_MUST_CHECK
int qdi_check_formats(const qd_state *s, const qd_mapping *before, const qd_mapping *m,
                      qd_err *err);
/* Analyzers and parts that the settings define. m may be NULL. */
QD_MUST_CHECK
int qdi_check_analysis(const qd_state *s, const qd_mapping *m, qd_err *err);
/* The storage tier. */
QD_MUST_CHECK
int qdi_check_tier(const qd_state *s, const qd_index_meta *m, qd_err *err);
/* index.sort, against the mapping too. */
QD_MUST_CHECK
int qdi_check_sort(const qd_state *s, const qd_index_meta *m, qd_err *err);

#endif
