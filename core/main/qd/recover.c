/*
 * recover.c: `qd recover --accept-older-state`: lets a node that is stopped take the next state
 * of the store in charge although it has acted on a newer one, and says what that may cost.
 */
#include "cluster/authority/authority.h"
#include "main/args.h"
#include "main/paths.h"
#include "runtime/file.h"
#include <stdio.h>
#include <string.h>

typedef struct shards_listing {
    char path[QD_PATH_MAX];
    size_t n;
    uint32_t shards;
} shards_listing;

static bool is_number(const char *name)
{
    uint64_t v;
    return qd_str_u64(qd_str_c(name), &v);
}

static int each_shard(void *arg, const char *name)
{
    shards_listing *l = arg;
    if (!is_number(name)) return 0;
    printf("  %s/%s\n", l->path, name);
    l->shards++;
    return 0;
}

static int each_index(void *arg, const char *name)
{
    shards_listing *l = arg;
    size_t n = strlen(l->path);
    snprintf(l->path + n, sizeof l->path - n, "/%s", name);
    int rc = qd_dir_list(l->path, each_shard, l, NULL);
    l->path[n] = 0;
    return rc == QD_E_NOMEM ? rc : 0;
}

static int each_tier(void *arg, const char *name)
{
    shards_listing *l = arg;
    size_t n = strlen(l->path);
    snprintf(l->path + n, sizeof l->path - n, "/%s/indices", name);
    int rc = qd_dir_list(l->path, each_index, l, NULL);
    l->path[n] = 0;
    return rc == QD_E_NOMEM ? rc : 0;
}

/* A control node's folder for a store whose state is elsewhere holds no more than what the node has
 * acted on of it. */
static int forget_copy(const char *data, qd_err *err)
{
    char path[QD_PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/coordination-copy", data);
    if (!qd_file_exists(path)) return 0;
    int rc = qd_dir_remove(path, err);
    if (!rc)
        printf("What it remembered of a state that is kept elsewhere (%s) is removed: as a control "
               "node it follows whatever state is found there, and forms one if there is none.\n",
               path);
    return rc;
}

static int accept_older(const char *data, qd_err *err)
{
    char path[QD_PATH_MAX + 32];
    qd_file_lock *lock;
    qd_authority *a;
    qd_authority_record r;
    snprintf(path, sizeof path, "%s/node.lock", data);
    int rc = qd_file_lock_take(path, &lock, err);
    if (rc) return rc; /* names the pid of the node that runs */
    snprintf(path, sizeof path, "%s/authority.json", data);
    rc = qd_authority_open_file(path, &a, err);
    if (!rc) {
        qd_authority_get(a, &r);
        printf(
            "This node has acted on the state of cluster [%s], epoch %llu, revision %llu.\n"
            "At its next start it takes the state of the store in charge whatever it is. What the "
            "older state does not know of these shards may be lost or come back:\n",
            r.uuid, (unsigned long long)r.epoch, (unsigned long long)r.revision);
        shards_listing l = {0};
        snprintf(l.path, sizeof l.path, "%s", data);
        rc = qd_dir_list(data, each_tier, &l, err);
        if (!l.shards) printf("  none\n");
        if (!rc) rc = qd_authority_accept_older(a, err);
        if (!rc) rc = forget_copy(data, err);
        qd_authority_close(a);
    }
    qd_file_lock_release(lock);
    return rc;
}

int qd_command_recover(int argc, char **argv);

int qd_command_recover(int argc, char **argv)
{
    static const qd_option options[] = {{"accept-older-state", false, 1},
                                        {"data", true, 2},
                                        {"help", false, 3},
                                        {"h", false, 3},
                                        {0}};
    const char *data = NULL;
    bool older = false;
    int id, rc = 0;
    qd_err err;
    qd_args a;
    qd_err_init(&err);
    qd_args_init(&a, argc, argv, 1, options);
    while (!rc && (id = qd_args_next(&a, &err)) != QD_ARGS_END) {
        if (id == 1) older = true;
        if (id == 2) data = a.value;
        if (id == 3) {
            printf(
                "usage: qd recover --accept-older-state --data PATH\n\n"
                "PATH is the node's path.data; the node is stopped. It has acted on a state newer "
                "than that of the masters, or of Kubernetes (restored from a backup, or lost), "
                "refuses to start, and shall take theirs.\n");
            return 0;
        }
        if (id == QD_ARGS_BAD) rc = QD_E_ARG;
        if (id == QD_ARGS_WORD)
            rc = qd_err_set(&err, QD_E_ARG, "unexpected argument (qd recover --help)");
    }
    if (!rc && (!older || !data)) {
        rc = qd_err_set(&err, QD_E_ARG,
                        "say --accept-older-state and --data PATH (qd recover --help)");
    }
    if (!rc) rc = accept_older(data, &err);
    if (rc) fprintf(stderr, "qd recover: %s\n", qd_err_reason(&err));
    qd_err_fini(&err);
    return qd_exit_status(rc);
}
