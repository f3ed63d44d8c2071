/* tier.c: opening tiers through the plugin host. See tier.h. */
#include "store/tier.h"
#include "base/str.h"
#include "store/store_int.h"
#include <stdio.h>

#define DEFAULT_PLUGIN "storage-nvme"

static int find(const qd_plugin_host *host, const qd_store_tier *tier, const void **vt,
                qd_self **self, qd_err *err)
{
    char wanted_by[128];
    qd_str plugin = tier->plugin.n ? tier->plugin : QD_STR(DEFAULT_PLUGIN);
    snprintf(wanted_by, sizeof wanted_by, "storage.tiers.%.*s", QD_STR_ARG(tier->name));
    return qd_plugin_need(host, QD_KIND_STORAGE, plugin, wanted_by, vt, self, err);
}

int qd_store_tier_check(const qd_plugin_host *host, const qd_store_tier *tier, uint32_t *caps,
                        qd_err *err)
{
    const void *vt;
    qd_self *self;
    int rc = find(host, tier, &vt, &self, err);
    if (!rc && caps) *caps = qdi_store_caps(((const qd_storage_vtable *)vt)->head.flags);
    return rc;
}

int qd_store_tier_writable(const qd_store_tier *tier, uint32_t caps, qd_err *err)
{
    qd_str plugin = tier->plugin.n ? tier->plugin : QD_STR(DEFAULT_PLUGIN);
    if (!(caps & QD_STORE_APPEND))
        return qd_err_set(
            err, QD_E_CONFIG,
            "storage.tiers.%.*s.plugin: [%.*s] has no logs (flag APPEND), so no shard "
            "could be written there: choose another plugin for the tier, or take the "
            "data roles from node.roles",
            QD_STR_ARG(tier->name), QD_STR_ARG(plugin));
    if (caps & QD_STORE_DURABLE || tier->unsafe) return 0;
    return qd_err_set(err, QD_E_CONFIG,
                      "storage.tiers.%.*s.plugin: [%.*s] does not keep what it is given (it lacks "
                      "the flag DURABLE): all shards of this node would be lost with its process; "
                      "choose another plugin, or accept the loss by "
                      "storage.tiers.%.*s.unsafe_not_durable: true",
                      QD_STR_ARG(tier->name), QD_STR_ARG(plugin), QD_STR_ARG(tier->name));
}

int qd_store_open(const qd_plugin_host *host, const qd_store_tier *tier, qd_store **out,
                  qd_err *err)
{
    const void *found = NULL;
    qd_self *self = NULL;
    int rc = find(host, tier, &found, &self, err);
    if (rc) return rc;
    const qd_storage_vtable *vt = found;
    qd_storage_config config = {.struct_size = sizeof config,
                                .noptions = tier->noptions,
                                .tier = tier->name,
                                .path = tier->path,
                                .options = tier->options,
                                .reserve = tier->reserve};
    qd_storage *handle = NULL;
    rc = qdi_tier_error(err, vt->open(self, &config, &handle, err), "opening tier", tier->name);
    if (rc) return rc;
    rc = qd_store_wrap(vt, handle, out, err);
    if (rc) vt->close(handle, NULL);
    if (!rc) (*out)->env = qd_plugin_host_env(host);
    if (!rc && tier->unmapped) (*out)->caps &= ~(uint32_t)QD_STORE_MMAP;
    return rc;
}

int qd_store_open_dir(const qd_plugin_host *host, qd_str path, bool read_only, qd_store **out,
                      qd_err *err)
{
    qd_pair option = {QD_STR("read_only"), QD_STR("true")};
    qd_store_tier tier = {
        .name = QD_STR("local"), .path = path, .options = &option, .noptions = read_only ? 1 : 0};
    return qd_store_open(host, &tier, out, err);
}
