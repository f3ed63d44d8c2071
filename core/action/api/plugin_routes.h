/*
 * plugin_routes.h: routes that plugins answer (quidditch/route.h) as rows of the table of APIs.
 * They are read once, after the plugins are loaded; what does not fit the built-in table stops the
 * start.
 */
#ifndef QD_ACTION_API_PLUGIN_ROUTES_H
#define QD_ACTION_API_PLUGIN_ROUTES_H

#include "action/action.h"

typedef struct qd_plugin_routes qd_plugin_routes;

/* Makes rows of the routes of all plugins of host, which is kept. QD_E_ABI: a table that breaks the
 * rules of quidditch/route.h; QD_E_EXISTS: a path that overlaps with another one, naming both;
 * QD_E_NOMEM. */
QD_MUST_CHECK
int qd_plugin_routes_open(const qd_plugin_host *host, qd_plugin_routes **out, qd_err *err);
/* NULL is fine. No request of them is under way. */
void qd_plugin_routes_close(qd_plugin_routes *routes);
/* The rows, *n of them; as long as routes. NULL routes: none. [any] */
const qd_api *qd_plugin_routes_rows(const qd_plugin_routes *routes, uint32_t *n);
/* One by its name; NULL. [any] */
const qd_api *qd_plugin_routes_find(const qd_plugin_routes *routes, qd_str name);

#endif
