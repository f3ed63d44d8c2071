/* plugin_alone.h: the services of a node, where a plugin is checked without one. */
#ifndef QD_MAIN_PLUGIN_ALONE_H
#define QD_MAIN_PLUGIN_ALONE_H

#include "plugin/host.h"

/* Offers tables whose every call is refused: no node is running. Before load. */
void qd_plugin_alone(qd_plugin_host *host);

#endif
