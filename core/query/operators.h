/*
 * operators.h: operators of plugins beside the host's queries, for the place where plugins are
 * loaded.
 */
#ifndef QD_QUERY_OPERATORS_H
#define QD_QUERY_OPERATORS_H

#include "plugin/host.h"

/* Is there a built-in query of that name? [any] */
bool qd_query_type_known(qd_str name);
/* Refuses operators of plugins that have the name of a query of the host's, after they are loaded:
 * QD_E_EXISTS. [any] */
QD_MUST_CHECK
int qd_query_plugins_check(const qd_plugin_host *host, qd_err *err);

#endif
