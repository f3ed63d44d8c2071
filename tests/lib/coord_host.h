/*
 * coord_host.h: a host that tests make for a plugin of the coordination kind, without a loader.
 * Whoever includes it has defined before
 *   of(self)     the node, with the members data (the plugin's) and vt (what it provides),
 *   svc_mem, svc_log, svc_clock, svc_rand, svc_loop, svc_peers, and
 *   HOST_FLAGS   of the host.
 */
#ifndef TESTS_LIB_COORD_HOST_H
#define TESTS_LIB_COORD_HOST_H

#include "base/err.h"
#include "base/str.h"
#include <quidditch/plugin.h>

static int32_t err_set(qd_err *err, int32_t code, qd_str reason)
{
    return qd_err_set(err, code, "%.*s", QD_STR_ARG(reason));
}
static const qd_svc_err svc_err = {.set = err_set};

static int32_t conf_i64(qd_self *self, const char *key, int64_t *out)
{
    (void)self;
    (void)key;
    (void)out;
    return QD_E_NOTFOUND;
}
static const qd_svc_conf svc_conf = {.i64 = conf_i64};

/* The action service, for tests that have one; NULL: the host has none. */
static const void *svc_action;

static const void *service(qd_self *self, uint32_t id, uint16_t min_minor)
{
    static const void *const services[QD_SERVICE_COUNT] = {
        [QD_SERVICE_MEM] = &svc_mem,     [QD_SERVICE_LOG] = &svc_log,
        [QD_SERVICE_ERR] = &svc_err,     [QD_SERVICE_CONF] = &svc_conf,
        [QD_SERVICE_CLOCK] = &svc_clock, [QD_SERVICE_RAND] = &svc_rand,
        [QD_SERVICE_LOOP] = &svc_loop,   [QD_SERVICE_PEERS] = &svc_peers};
    (void)self;
    (void)min_minor;
    if (id == QD_SERVICE_ACTION) return svc_action;
    return id < QD_SERVICE_COUNT ? services[id] : NULL;
}

static int32_t provide(qd_self *self, uint32_t kind, const char *name, const void *vtable,
                       qd_err *err)
{
    (void)kind;
    (void)name;
    (void)err;
    of(self)->vt = vtable;
    return 0;
}
static void data_set(qd_self *self, void *data)
{
    of(self)->data = data;
}
static void *data_get(qd_self *self)
{
    return of(self)->data;
}
static const qd_host host = {.struct_size = sizeof host,
                             .abi_major = QD_ABI_MAJOR,
                             .abi_minor = QD_ABI_MINOR,
                             .flags = HOST_FLAGS,
                             .service = service,
                             .provide = provide,
                             .data_set = data_set,
                             .data = data_get};

#endif
