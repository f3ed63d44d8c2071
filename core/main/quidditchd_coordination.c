/*
 * quidditchd_coordination.c: the store of cluster state: the plugin of coordination.plugin, else of
 * coordination.mode, over path.data/coordination.
 */
#include "base/log.h"
#include "cluster/coord.h"
#include "main/node.h"
#include "plugin/host.h"
#include <stdio.h>

#define DEFAULT_MASTER "coordination-raft"
#define DEFAULT_KUBERNETES "coordination-k8s"

/* Settings of the host's that the store is told: coordination.<key>, times in milliseconds. */
static uint32_t take_options(const qd_node *node, char text[3][32], qd_pair options[3])
{
    const qd_values *v = qd_config_values(node->config);
    snprintf(text[0], 32, "%lldms",
             (long long)qd_values_ms(v, QD_SET_COORDINATION_ELECTION_TIMEOUT));
    snprintf(text[1], 32, "%lldms", (long long)qd_values_ms(v, QD_SET_COORDINATION_HEARTBEAT));
    snprintf(text[2], 32, "%lld", (long long)qd_values_i64(v, QD_SET_COORDINATION_SNAPSHOT_OPS));
    options[0] = (qd_pair){QD_STR("election_timeout"), qd_str_c(text[0])};
    options[1] = (qd_pair){QD_STR("heartbeat_interval"), qd_str_c(text[1])};
    options[2] = (qd_pair){QD_STR("snapshot_threshold"), qd_str_c(text[2])};
    return 3;
}

static qd_str plugin_of(const qd_node *node)
{
    qd_str name = qd_config_text(node->config, QD_SET_COORDINATION_PLUGIN);
    if (name.n) return name;
    bool kubernetes =
        qd_str_is(qd_config_text(node->config, QD_SET_COORDINATION_MODE), "k8s-native");
    return kubernetes ? QD_STR(DEFAULT_KUBERNETES) : QD_STR(DEFAULT_MASTER);
}

int qd_node_need_coordination(qd_node *node, const qd_plugin_host *host, qd_err *err)
{
    const void *vt;
    qd_self *self;
    return qd_plugin_need(host, QD_KIND_COORDINATION, plugin_of(node), "coordination.mode", &vt,
                          &self, err);
}

static int coordination_start(qd_node *node, qd_err *err)
{
    char path[QD_PATH_MAX + 32], text[3][32];
    qd_pair options[3];
    const void *vt;
    qd_self *self;
    uint32_t npeers;
    snprintf(path, sizeof path, "%s/coordination", node->data);
    int rc = qd_plugin_need(node->plugins, QD_KIND_COORDINATION, plugin_of(node),
                            "coordination.mode", &vt, &self, err);
    if (rc == 0) rc = qd_dir_make(path, 0700, err);
    if (rc) return rc;
    const qd_str *peers =
        qd_values_list(qd_config_values(node->config), QD_SET_COORDINATION_PEERS, &npeers);
    qd_str name = qd_str_c(node->name), id = node->id[0] ? qd_str_c(node->id) : name;
    qd_coord_config config = {
        .struct_size = sizeof config,
        .flags = QD_COORD_OPEN_BOOTSTRAP,
        .cluster = qd_config_text(node->config, QD_SET_CLUSTER_NAME),
        .node_id = id,
        .node_name = name,
        .path = qd_str_c(path),
        .peers = peers,
        .npeers = npeers,
        .options = options,
        .noptions = take_options(node, text, options),
    };
    return qd_coord_open(node->env, vt, self, &config, &node->coordination, err);
}

static void coordination_stop(qd_node *node)
{
    qd_coord_close(node->coordination);
    node->coordination = NULL;
}

const qd_step qd_step_coordination = {"coordination", NULL, coordination_start, coordination_stop,
                                      NULL};
