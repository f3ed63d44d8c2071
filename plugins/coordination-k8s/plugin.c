/* plugin.c: descriptor, settings, services. */
#include "store.h"
#include <quidditch/frontend.h>

static const qd_host *the_host; /* one table for every node of the process */

cr_plugin *cr_plugin_of(qd_self *self)
{
    return the_host->data(self);
}

const qd_svc_action *ck_actions_of(const cr_plugin *p)
{
    return the_host->service(p->self, QD_SERVICE_ACTION, 0);
}

static void discard(cr_plugin *p)
{
    pthread_mutex_destroy(&p->lock);
    p->heap.mem->free(p);
}

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    const qd_svc_mem *mem = host->service(self, QD_SERVICE_MEM, QD_ABI_MINOR);
    const qd_svc_err *e = host->service(self, QD_SERVICE_ERR, QD_ABI_MINOR);
    if (!mem || !e) return QD_E_ABI;
    cr_plugin *p = mem->calloc(self, sizeof *p);
    if (!p) return e->set(err, QD_E_NOMEM, QD_STR("out of memory: plugin coordination-k8s"));
    *p = (cr_plugin){.self = self,
                     .heap = {mem, self},
                     .log = host->service(self, QD_SERVICE_LOG, QD_ABI_MINOR),
                     .err = e,
                     .conf = host->service(self, QD_SERVICE_CONF, QD_ABI_MINOR),
                     .clock = host->service(self, QD_SERVICE_CLOCK, QD_ABI_MINOR),
                     .rand = host->service(self, QD_SERVICE_RAND, QD_ABI_MINOR),
                     .loop = host->service(self, QD_SERVICE_LOOP, QD_ABI_MINOR),
                     .peers = host->service(self, QD_SERVICE_PEERS, QD_ABI_MINOR)};
    pthread_mutex_init(&p->lock, NULL);
    if (!p->log || !p->conf || !p->clock || !p->rand || !p->loop) {
        discard(p);
        return e->set(err, QD_E_ABI,
                      QD_STR("the host lacks a service that coordination-k8s needs"));
    }
    the_host = host;
    host->data_set(self, p);
    int32_t rc = host->provide(self, QD_KIND_COORDINATION, "coordination-k8s", &cr_vtable, err);
    if (rc) {
        host->data_set(self, NULL);
        discard(p);
    }
    return rc;
}

static void stop(qd_self *self, void (*done)(void *arg), void *arg)
{
    cr_plugin *p = the_host->data(self);
    the_host->data_set(self, NULL);
    if (p->any_ended) pthread_join(p->ended, NULL);
    discard(p);
    done(arg);
}

static const qd_plugin_conf conf[] = {
    {"history", QD_PCONF_BYTES, 0, "16mb", NULL, 1 << 20, 1ll << 36,
     "Most memory of past changes that watches may read, beside the newest.", NULL},
    {NULL, 0, 0, NULL, NULL, 0, 0, NULL, NULL}};

#define FLAGS (QD_PLUGIN_NEEDS_UV | QD_PLUGIN_SPAWNS_THREADS)
static const qd_plugin plugin = {QD_PLUGIN_HEAD(FLAGS),
                                 "coordination-k8s",
                                 "0.1.0",
                                 "Apache-2.0",
                                 QD_BUILD_ID,
                                 NULL,
                                 conf,
                                 init,
                                 NULL,
                                 stop};
QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("coordination-k8s", "0.1.0", FLAGS, 1, QD_NOTE_FOR(COORDINATION))
