/*
 * operators.h: our queries as a plugin like any other, for the place where plugins are registered.
 */
#ifndef QD_QUERY_OPERATORS_H
#define QD_QUERY_OPERATORS_H

#include <quidditch/abi.h>

/* Our operators as a built-in plugin, for qd_plugin_builtin: they register by the vtable of
 * quidditch/operator.h like anybody's. Static. [any] */
const qd_plugin *qd_query_plugin(void);

#endif
