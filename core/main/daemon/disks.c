/*
 * disks.c: the disks below the folders of this node: path.data, its store of cluster
 * state, the tiers of its shards. Folders of one file system are one disk.
 */
#include "cluster/cluster.h"
#include "main/daemon/node.h"
#include <stdio.h>

static int probe(void *arg, uint32_t disk, qd_err *err)
{
    const qd_node *node = arg;
    return qd_dir_probe(node->disks[disk], err);
}

static const char *name(void *arg, uint32_t disk)
{
    const qd_node *node = arg;
    return node->disks[disk];
}

qd_cluster_disks qd_node_disks(qd_node *node)
{
    const char *folders[2 + QD_TIERS_MAX] = {node->data, node->coordination_path};
    for (uint32_t i = 0; i <= node->nothers; i++) folders[2 + i] = node->tier_path[i];
    uint64_t seen[QD_COUNT_OF(folders)];
    qd_cluster_disks out = {0, probe, name, node};
    for (size_t i = 0; i < 3 + node->nothers; i++) {
        qd_file_info info;
        qd_err err;
        uint32_t k = 0;
        char inside[QD_PATH_MAX + 80]; /* of a folder that is a link, what it leads to */
        snprintf(inside, sizeof inside, "%s/.", folders[i]);
        qd_err_init(&err);
        if (folders[i][0] && qd_file_stat(inside, &info, &err) == 0) {
            while (k < out.n && seen[k] != info.device) k++;
            if (k == out.n) {
                seen[out.n] = info.device;
                node->disks[out.n++] = folders[i];
            }
        }
        qd_err_fini(&err);
    }
    return out;
}
