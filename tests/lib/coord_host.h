/*
 * coord_host.h: a host that tests make for a plugin of the coordination kind, without a loader.
 * Whoever includes it has defined before
 *   of(self)     the node, with the members data (the plugin's) and vt (what it provides),
 *   services[]   what it is given, by QD_SERVICE_*, and
 *   HOST_FLAGS   of the host.
 */
#ifndef TESTS_LIB_COORD_HOST_H
#define TESTS_LIB_COORD_HOST_H

#include <quidditch/plugin.h>

static const void *service(qd_self *self, uint32_t id, uint16_t min_minor)
{
    (void)self;
    (void)min_minor;
    return id < sizeof services / sizeof services[0] ? services[id] : NULL;
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
