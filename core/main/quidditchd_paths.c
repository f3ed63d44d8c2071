/* quidditchd_paths.c: path.data and path.logs as absolute paths. See node.h. */
#include "main/node.h"
#include <stdio.h>

/* A relative path given by a person counts from the working folder, a default one from var. */
static int absolute(const qd_node *node, qd_set id, char out[QD_PATH_MAX], qd_err *err)
{
    qd_str text = qd_config_text(node->config, id);
    bool given = qd_values_is_set(qd_config_values(node->config), id);
    int n;
    if (text.n == 0) {
        out[0] = 0;
        return 0;
    }
    if (text.p[0] == '/') {
        n = snprintf(out, QD_PATH_MAX, "%s", text.p);
    } else if (!given) {
        n = snprintf(out, QD_PATH_MAX, "%s/%s", node->paths.var, text.p);
    } else {
        qd_buf cwd;
        qd_buf_init(&cwd, NULL, QD_PATH_MAX);
        int rc = qd_path_real(".", &cwd, err);
        n = rc == 0 ? snprintf(out, QD_PATH_MAX, "%s/%s", cwd.p, text.p) : 0;
        qd_buf_fini(&cwd);
        if (rc != 0) return rc;
    }
    if (n < QD_PATH_MAX - 256) return 0;
    return qd_err_set(err, QD_E_CONFIG, "[%s] is too long a path", qd_schema_node.defs[id].key);
}

int qd_node_paths_set(qd_node *node, qd_err *err)
{
    int rc = absolute(node, QD_SET_PATH_DATA, node->data, err);
    if (rc == 0 && !node->data[0]) rc = qd_err_set(err, QD_E_CONFIG, "path.data is empty");
    return rc ? rc : absolute(node, QD_SET_PATH_LOGS, node->logs, err);
}
