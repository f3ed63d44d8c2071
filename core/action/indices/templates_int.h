/* templates_int.h: templates at the creation of an index. */
#ifndef QD_ACTION_TEMPLATES_INT_H
#define QD_ACTION_TEMPLATES_INT_H

#include "action/action_int.h"

/* Puts what templates say about an index of this name below settings (one reference, replaced),
 * mapping and aliases of its creation, and the cluster's defaults below that. Strings live in the
 * arena. */
int qdi_templates_apply(qd_actions *a, qd_arena *arena, qd_str index, qd_settings **settings,
                        qd_str *mapping, qd_alias **aliases, uint32_t *naliases, qd_err *err);

/* Puts `below`, which it takes over, below settings (one reference, replaced when all went well).
 * rc other than 0 is handed through: what made `below` failed. */
int qdi_settings_below(int rc, qd_settings *below, qd_settings **settings, qd_err *err);

/* Puts them below settings (one reference, replaced). */
int qdi_index_defaults_apply(const qd_actions *a, const qd_state *s, qd_str index,
                             qd_settings **settings, qd_err *err);

/* A stored template with its settings flat; inner: they stand below "template". */
void qdi_template_flat(qd_arena *arena, qd_str stored, bool inner, qd_json_writer *w);

#endif
