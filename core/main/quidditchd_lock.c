/* quidditchd_lock.c: path.data, private to its owner and held by one process. */
#include "base/log.h"
#include "main/node.h"
#include "runtime/proc.h"
#include <stdio.h>

static int check_owner(const char *path, qd_err *err)
{
    qd_file_info info;
    int rc = qd_file_stat(path, &info, err);
    if (rc != 0) return rc;
    if (info.uid != qd_proc_uid() && !qd_proc_is_root())
        return qd_err_set(err, QD_E_PERMISSION, "[%s] belongs to another user (uid %u)", path,
                          info.uid);
    if (info.mode & 0022)
        return qd_err_set(err, QD_E_PERMISSION, "[%s] is writable by others (mode %04o)", path,
                          info.mode);
    if (info.mode & 0055)
        qd_log_warn("main", "[%s] is readable by others (mode %04o)", path, info.mode);
    return 0;
}

/* From now on path.data is the folder itself: links on the way to it are the administrator's, and are
 * followed once. */
static int follow_links(qd_node *node, qd_err *err)
{
    qd_buf real;
    qd_buf_init(&real, NULL, sizeof node->data - 1);
    int rc = qd_path_real(node->data, &real, err);
    if (rc == 0) snprintf(node->data, sizeof node->data, "%s", real.p);
    qd_buf_fini(&real);
    return rc;
}

static int lock_start(qd_node *node, qd_err *err)
{
    char path[QD_PATH_MAX + 16];
    int rc = qd_dir_make(node->data, 0700, err);
    if (rc == 0) rc = follow_links(node, err);
    if (rc == 0) rc = check_owner(node->data, err);
    if (rc != 0) return rc;
    snprintf(path, sizeof path, "%s/node.lock", node->data);
    rc = qd_file_lock_take(path, &node->lock, err);
    return rc == QD_E_LOCKED ? qd_err_wrap(err, rc, "another node uses the data folder") : rc;
}

static void lock_stop(qd_node *node)
{
    qd_file_lock_release(node->lock);
    node->lock = NULL;
}

const qd_step qd_step_lock = {"lock", NULL, lock_start, lock_stop, NULL};
