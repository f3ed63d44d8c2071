/*
 * listen.c: addresses and ports that the settings give to REST, metrics and the transport, looked
 * at before anything listens.
 */
#include "main/daemon/node.h"
#include "runtime/resolve.h"
#include <string.h>

int qd_node_addresses(const qd_node *node, uint32_t set, qd_addr *out, uint32_t *n, qd_err *err)
{
    const qd_values *v = qd_config_values(node->config);
    uint32_t nwords;
    const qd_str *words = qd_values_list(v, set, &nwords);
    if (!nwords || !words[0].n) words = qd_values_list(v, set = QD_SET_NETWORK_HOST, &nwords);
    const char *name = qd_schema_node.defs[set].key;
    *n = 0;
    for (uint32_t i = 0; i < nwords; i++) {
        qd_addr found[QD_NODE_ADDRESSES_MAX];
        uint32_t nfound = 0;
        int rc = qd_resolve_listen(words[i], found, QD_NODE_ADDRESSES_MAX, &nfound, err);
        if (rc) return rc;
        for (uint32_t k = 0; k < nfound; k++) {
            uint32_t at = 0;
            while (at < *n && memcmp(&out[at], &found[k], sizeof *out) != 0) at++;
            if (at == QD_NODE_ADDRESSES_MAX)
                return qd_err_set(err, QD_E_CONFIG, "%s: more than %d addresses", name,
                                  QD_NODE_ADDRESSES_MAX);
            if (at == *n) out[(*n)++] = found[k];
        }
    }
    return *n ? 0 : qd_err_set(err, QD_E_CONFIG, "%s: no address", name);
}

/* A port that the node cannot do without. */
typedef struct port {
    const char *setting;
    int64_t port; /* 0 and less: any, or none */
    const qd_addr *at;
    uint32_t n;
} port;

/* Do both listen on one address? The unspecified one is all of them. */
static bool meet(const port *a, const port *b)
{
    for (uint32_t i = 0; i < a->n; i++) {
        if (qd_addr_is_any(&a->at[i])) return true;
        for (uint32_t k = 0; k < b->n; k++)
            if (qd_addr_is_any(&b->at[k]) || memcmp(&a->at[i], &b->at[k], sizeof a->at[i]) == 0)
                return true;
    }
    return false;
}

int qd_node_listen_check(qd_node *node, qd_err *err)
{
    const qd_config *c = node->config;
    qd_addr http[QD_NODE_ADDRESSES_MAX], transport[QD_NODE_ADDRESSES_MAX];
    uint32_t nhttp = 0, ntransport = 0;
    uint16_t first = 0, last = 0;
    int rc = qd_node_addresses(node, QD_SET_HTTP_HOST, http, &nhttp, err);
    if (!rc) rc = qd_node_addresses(node, QD_SET_TRANSPORT_HOST, transport, &ntransport, err);
    if (!rc) rc = qd_node_transport_ports(node, &first, &last, err);
    if (rc) return rc;
    /* the node goes on without a port that its role alone has given, and looks for a free one in a
     * range */
    bool observes = !qd_config_by_role(c, QD_STR("metrics.port"));
    bool second = !qd_config_by_role(c, QD_STR("transport.rpc_port"));
    const port all[] = {
        {"http.port", qd_config_i64(c, QD_SET_HTTP_PORT), http, nhttp},
        {"metrics.port", observes ? qd_config_i64(c, QD_SET_METRICS_PORT) : 0, http, nhttp},
        {"transport.port", first == last ? first : 0, transport, ntransport},
        {"transport.rpc_port", second ? qd_config_i64(c, QD_SET_TRANSPORT_RPC_PORT) : 0, transport,
         ntransport},
    };
    for (size_t i = 1; i < QD_COUNT_OF(all); i++)
        for (size_t k = 0; k < i; k++)
            if (all[i].port > 0 && all[i].port == all[k].port && meet(&all[k], &all[i]))
                return qd_err_set(err, QD_E_CONFIG,
                                  "%s and %s are both %u, on the same address: give each its own "
                                  "port",
                                  all[k].setting, all[i].setting, (unsigned)all[i].port);
    return 0;
}
