/* templates_int.h: templates at the creation of an index. */
#ifndef QD_ACTION_TEMPLATES_INT_H
#define QD_ACTION_TEMPLATES_INT_H

#include "action/action_int.h"

/* Puts what templates say about an index of this name below settings (one reference, replaced),
 * mapping and aliases of its creation. Strings live in the arena. Nothing changes without
 * templates. */
int qdi_templates_apply(qd_actions *a, qd_arena *arena, qd_str index, qd_settings **settings,
                        qd_str *mapping, qd_alias **aliases, uint32_t *naliases, qd_err *err);

#endif
