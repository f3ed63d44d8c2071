/*
 * limits.c: is the machine fit, and may the node listen where it is told to?
 */
#include "base/log.h"
#include "main/daemon/node.h"
#include "runtime/proc.h"
#include "runtime/resolve.h"

#define FILES_LEAST 256
#define FILES_WANTED 65535
#define MAPS_WANTED 262144

/* Words of network.host that mean an address, and literal ones. */
static bool is_local(qd_str host)
{
    qd_addr a;
    if (qd_str_is(host, "_local_") || qd_str_is(host, "localhost")) return true;
    return qd_addr_parse(host, 0, &a) && qd_addr_is_loopback(&a);
}

/* The first address beyond loopback of HTTP or transport; {NULL,0} when there is none. */
static qd_str open_address(const qd_values *v)
{
    static const qd_set ids[] = {QD_SET_NETWORK_HOST, QD_SET_HTTP_HOST, QD_SET_TRANSPORT_HOST};
    for (size_t i = 0; i < QD_COUNT_OF(ids); i++) {
        uint32_t n;
        const qd_str *hosts = qd_values_list(v, ids[i], &n);
        for (uint32_t k = 0; k < n; k++) {
            if (!is_local(hosts[k])) return hosts[k];
        }
    }
    return (qd_str){NULL, 0};
}

static int limits_check(qd_node *node, qd_err *err)
{
    const qd_values *v = qd_config_values(node->config);
    bool set = qd_values_is_set(v, QD_SET_SECURITY_ENABLED);
    if (set && qd_values_bool(v, QD_SET_SECURITY_ENABLED))
        return qd_err_set(err, QD_E_CONFIG,
                          "security.enabled: true is not supported by version %s; listen on "
                          "loopback, or write security.enabled: false",
                          QD_VERSION);
    qd_str open = open_address(v);
    if (open.p && !set)
        return qd_err_set(err, QD_E_CONFIG,
                          "[%.*s] is reachable from other machines, and there is neither TLS nor "
                          "authentication: write security.enabled: false if that is meant",
                          QD_STR_ARG(open));
    return 0;
}

static int limits_start(qd_node *node, qd_err *err)
{
    uint64_t files = qd_proc_raise_files(), maps = qd_proc_max_maps();
    if (files && files < FILES_LEAST)
        return qd_err_set(err, QD_E_LIMIT, "only %llu open files are allowed, %d are needed",
                          (unsigned long long)files, FILES_LEAST);
    if (files && files < FILES_WANTED)
        qd_log_warn("main", "only %llu open files are allowed, %d are advised (ulimit -n)",
                    (unsigned long long)files, FILES_WANTED);
    if (maps && maps < MAPS_WANTED)
        qd_log_warn("main", "vm.max_map_count is %llu, %d is advised (sysctl vm.max_map_count)",
                    (unsigned long long)maps, MAPS_WANTED);
    qd_str open = open_address(qd_config_values(node->config));
    if (open.p)
        qd_log_warn("main", "[%.*s] is reachable from other machines without authentication",
                    QD_STR_ARG(open));
    return 0;
}

const qd_step qd_step_limits = {"limits", limits_check, limits_start, NULL, NULL};
