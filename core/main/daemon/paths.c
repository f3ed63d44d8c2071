/* paths.c: path.data and path.logs as absolute paths. See node.h. */
#include "main/daemon/node.h"

int qd_node_paths_set(qd_node *node, qd_err *err)
{
    int rc = qd_paths_setting(&node->paths, node->config, QD_SET_PATH_DATA, node->data, err);
    if (rc == 0 && !node->data[0]) rc = qd_err_set(err, QD_E_CONFIG, "path.data is empty");
    return rc ? rc
              : qd_paths_setting(&node->paths, node->config, QD_SET_PATH_LOGS, node->logs, err);
}
