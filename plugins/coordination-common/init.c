/* init.c: what a plugin of this kind fetches when it is loaded; times as options have them. */
#include "store.h"

/* The host's function, which outlives a node's table: a process may hold several nodes. */
static void *(*data_of)(qd_self *self);

cr_plugin *cr_plugin_of(qd_self *self)
{
    return data_of(self);
}

static void discard(cr_plugin *p)
{
    pthread_mutex_destroy(&p->lock);
    p->heap.mem->free(p);
}

int32_t cr_init(qd_self *self, const qd_host *host, qd_err *err)
{
    const qd_svc_mem *mem = host->service(self, QD_SERVICE_MEM, QD_ABI_MINOR);
    const qd_svc_err *e = host->service(self, QD_SERVICE_ERR, QD_ABI_MINOR);
    if (!mem || !e) return QD_E_ABI;
    cr_plugin *p = mem->calloc(self, sizeof *p);
    if (!p) return e->set(err, QD_E_NOMEM, QD_STR("out of memory: plugin " CR_HOME_NAME));
    *p = (cr_plugin){.self = self,
                     .host = host,
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
                      QD_STR("the host lacks a service that " CR_HOME_NAME " needs"));
    }
    data_of = host->data;
    host->data_set(self, p);
    cr_metrics_make(&p->metrics, self, host->service(self, QD_SERVICE_METRIC, QD_ABI_MINOR));
    int32_t rc = host->provide(self, QD_KIND_COORDINATION, CR_HOME_NAME, &cr_vtable, err);
    if (rc) {
        host->data_set(self, NULL);
        discard(p);
    }
    return rc;
}

void cr_stop(qd_self *self, void (*done)(void *arg), void *arg)
{
    cr_plugin *p = data_of(self);
    p->host->data_set(self, NULL);
    if (p->any_ended) pthread_join(p->ended, NULL);
    discard(p);
    done(arg);
}

int64_t cr_option_ms(qd_str s)
{
    const int64_t day = 86400000;
    int64_t v = 0;
    size_t i = 0;
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && v <= day; i++) v = v * 10 + (s.p[i] - '0');
    qd_str unit = {s.p + i, s.n - i};
    int64_t ms = qd_plug_is(unit, "s") ? 1000 : qd_plug_is(unit, "m") ? 60000 : 1;
    if (i == 0 || (ms == 1 && unit.n && !qd_plug_is(unit, "ms"))) return 0;
    return v <= day / ms ? v * ms : 0;
}
