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
/* Gives fields of vectors that are new since `before` (NULL: all) and name no index that of new
 * fields, where the level has it; *m may be replaced. v: the index's settings. */
QD_MUST_CHECK
int qdi_graphs_by_default(const qd_state *s, const qd_mapping *before, const qd_values *v,
                          qd_mapping **m, qd_err *err);
/* The storage tier. */
QD_MUST_CHECK
int qdi_check_tier(const qd_state *s, const qd_index_meta *m, qd_err *err);
/* Settings that older nodes do not know. */
QD_MUST_CHECK
int qdi_check_settings(const qd_state *s, const qd_index_meta *m, qd_err *err);
/* index_mode.c: index.mode, index.sort, against the mapping too, and how the source is kept. */
QD_MUST_CHECK
int qdi_check_mode(const qd_state *s, const qd_index_meta *m, qd_err *err);
/* A new index of a mode gets the settings and fields that it brings: *m, made of src, is replaced.
 */
QD_MUST_CHECK
int qdi_index_mode_apply(const qd_state *s, const qd_index_source *src, qd_index_meta **m,
                         qd_err *err);

#endif
