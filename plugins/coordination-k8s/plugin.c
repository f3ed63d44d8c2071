/* plugin.c: descriptor and settings. */
#include "store.h"
#include <quidditch/frontend.h>

const qd_svc_action *ck_actions_of(const cr_plugin *p)
{
    return p->host->service(p->self, QD_SERVICE_ACTION, 0);
}

static const qd_plugin_conf conf[] = {CR_CONF_HISTORY, {NULL, 0, 0, NULL, NULL, 0, 0, NULL, NULL}};

#define FLAGS (QD_PLUGIN_NEEDS_UV | QD_PLUGIN_SPAWNS_THREADS)
static const qd_plugin plugin = {QD_PLUGIN_HEAD(FLAGS), CR_HOME_NAME, "0.1.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(conf, cr_init, NULL, cr_stop)};
QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE(CR_HOME_NAME, "0.1.0", FLAGS, 1, QD_NOTE_FOR(COORDINATION))
