/*
 * foreign_int.h: parts of plugins in our chains, and our parts as the SDK's vtables.
 */
#ifndef QD_ANALYSIS_FOREIGN_INT_H
#define QD_ANALYSIS_FOREIGN_INT_H

#include "analysis/analysis_int.h"

struct qd_plugin_host;

/* Makes a part of kind (qd_stage_kind) and type from what plugins provide. QD_E_NOTFOUND without a
 * text when none does. A built-in one that registered by the same vtable is made natively. */
QD_MUST_CHECK
int qd_foreign_make(const struct qd_plugin_host *plugins, qd_stage_kind kind, qd_str type,
                    const qd_part_conf *c, qd_part **out, qd_err *err);

/* Appends to why the refused plugin that may provide a part of that kind and type, if there is one.
 */
void qd_foreign_hint(const struct qd_plugin_host *plugins, qd_stage_kind kind, qd_str type,
                     qd_buf *why);
/* A part that only fails, with QD_E_PLUGIN and `why`: in the place of one that this node cannot
 * make. One reference. */
QD_MUST_CHECK
int qd_standin_make(const qd_part_conf *c, qd_stage_kind kind, const char *why, qd_part **out,
                    qd_err *err);

/* Tokens of the scratch as the SDK's batch (appended), and back (the scratch's batch b is
 * replaced).
 */
QD_MUST_CHECK
int qd_batch_to_sdk(const qd_analysis *s, const qd_batch *b, qd_token_batch *to);
QD_MUST_CHECK
int qd_batch_from_sdk(qd_analysis *s, qd_batch *b, const qd_token_batch *from);

#endif
