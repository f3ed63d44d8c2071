/* lock.c: path.data, private to its owner and held by one process. */
#include "base/log.h"
#include "main/daemon/node.h"
#include "runtime/proc.h"
#include <stdio.h>
#include <string.h>

/* A volume that the system made for this process' group (fsGroup of a pod) is root's and open to
 * the group; nothing else is taken that somebody else could write to. */
static int check_owner(const char *path, qd_err *err)
{
    qd_file_info info;
    int rc = qd_file_stat(path, &info, err);
    if (rc != 0) return rc;
    bool ours = info.uid == qd_proc_uid() || qd_proc_is_root();
    bool volume = info.uid == 0 && (info.mode & 0020) && qd_proc_in_group(info.gid);
    if (!ours && !volume)
        return qd_err_set(err, QD_E_PERMISSION,
                          "path.data: [%s] belongs to another user (uid %u, this process runs as "
                          "%u): change its owner; in Kubernetes set fsGroup in the pod's "
                          "securityContext",
                          path, info.uid, qd_proc_uid());
    if ((info.mode & 0002) || ((info.mode & 0020) && info.uid != 0))
        return qd_err_set(err, QD_E_PERMISSION,
                          "path.data: [%s] is writable by others (mode %04o): chmod go-w; in "
                          "Kubernetes, where an emptyDir is, mount it at the folder above",
                          path, info.mode);
    if (info.mode & 0005)
        qd_log_warn("main", "[%s] is readable by others (mode %04o)", path, info.mode);
    return 0;
}

/* Why it cannot be written, with what helps. */
static int not_writable(const qd_node *node, int rc, qd_err *err)
{
    char why[400];
    snprintf(why, sizeof why, "%s", qd_err_reason(err));
    qd_err_fini(err);
    return qd_err_set(err, rc,
                      "path.data: [%s] cannot be written by this process (uid %u): %s; in "
                      "Kubernetes set fsGroup in the pod's securityContext",
                      node->data, qd_proc_uid(), why);
}

#define STRANGE_MAX 5u

typedef struct strange_list {
    uint32_t n;
    qd_buf text;
} strange_list;

/* What a volume or this node has there by itself is not told. */
static int note_strange(void *arg, const char *name)
{
    static const char *const usual[] = {
        "node.lock",         "node.json",  "authority.json", "masters.json", "coordination",
        "coordination-copy", "lost+found", "logs",           "tiers",        "tiers.json"};
    strange_list *l = arg;
    if (name[0] == '.') return 0;
    for (size_t i = 0; i < QD_COUNT_OF(usual); i++)
        if (strcmp(name, usual[i]) == 0) return 0;
    if (l->n++ < STRANGE_MAX)
        (void)qd_buf_printf(&l->text, "%s[%.60s]", l->n > 1 ? ", " : "", name);
    return 0;
}

/* The first start on a folder that is somebody else's: Elasticsearch's, say. */
static void look_around(const qd_node *node)
{
    char path[QD_PATH_MAX + 16];
    strange_list l = {0};
    snprintf(path, sizeof path, "%s/node.json", node->data);
    if (qd_file_exists(path)) return;
    qd_buf_init(&l.text, NULL, 1024);
    if (qd_dir_list(node->data, note_strange, &l, NULL) == 0 && l.n)
        qd_log_warn("main",
                    "path.data: [%s] is new to this node, but holds %u things of others, which "
                    "stay as they are: %.*s%s; is it the right folder?",
                    node->data, l.n, QD_STR_ARG(qd_buf_view(&l.text)),
                    l.n > STRANGE_MAX ? " ..." : "");
    qd_buf_fini(&l.text);
}

/* From now on path.data is the folder itself: links on the way to it are the administrator's, and
 * are followed once. */
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
    if (rc == QD_E_PERMISSION || rc == QD_E_IO) return not_writable(node, rc, err);
    if (rc == 0) rc = follow_links(node, err);
    if (rc == 0) rc = check_owner(node->data, err);
    if (rc != 0) return rc;
    snprintf(path, sizeof path, "%s/node.lock", node->data);
    rc = qd_file_lock_take(path, &node->lock, err);
    if (rc == 0) look_around(node);
    if (rc == QD_E_PERMISSION || rc == QD_E_IO) return not_writable(node, rc, err);
    return rc == QD_E_LOCKED ? qd_err_wrap(err, rc, "another node uses the data folder") : rc;
}

static void lock_stop(qd_node *node)
{
    qd_file_lock_release(node->lock);
    node->lock = NULL;
}

const qd_step qd_step_lock = {"lock", NULL, lock_start, lock_stop, NULL};
