/* paths.c: folders relative to the running program. See paths.h. */
#include "main/paths.h"
#include "base/str.h"
#include "runtime/file.h"
#include "runtime/proc.h"
#include <stdio.h>

/* printf into a path; false when it does not fit. */
static bool put(char out[QD_PATH_MAX], const char *dir, const char *below)
{
    return snprintf(out, QD_PATH_MAX, "%s%s", dir, below) < QD_PATH_MAX;
}

static bool installed(qd_paths *p, const char *home)
{
    bool usr = strcmp(home, "/usr") == 0;
    return put(p->plugins, home, "/lib/quidditch/plugins") &&
           put(p->conf, usr ? "" : home, "/etc/quidditch") &&
           put(p->var, usr ? "" : home, usr ? "/var/lib/quidditch" : "/var/quidditch") &&
           put(p->share, home, "/share/quidditch") && put(p->sdk, home, "/share/quidditch/sdk");
}

/* home is build or build/<variant>; top is the checkout. */
static bool in_build_tree(qd_paths *p, const char *home, const char *top)
{
    p->build_tree = true;
    return put(p->plugins, home, "/lib/quidditch/plugins") && put(p->conf, top, "/conf") &&
           put(p->var, home, "/var/quidditch") && put(p->share, top, "/conf") &&
           put(p->sdk, top, "/sdk");
}

/* The folder above the last part of path, in place; false at the root. */
static bool go_up(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash || slash == path) return false;
    *slash = 0;
    return true;
}

int qd_paths_find(qd_paths *p, qd_err *err)
{
    char home[QD_PATH_MAX], top[QD_PATH_MAX], mark[QD_PATH_MAX];
    memset(p, 0, sizeof *p);
    qd_buf b;
    qd_buf_init(&b, NULL, QD_PATH_MAX - 1);
    const char *given = qd_proc_env("QUIDDITCH_HOME");
    int rc = given && *given ? (qd_buf_c(&b, given), qd_buf_c(&b, "/bin"), qd_buf_status(&b))
                             : qd_proc_exe_dir(&b, err);
    bool ok = rc == 0 && put(p->bin, b.p, "") && put(home, b.p, "");
    qd_buf_fini(&b);
    if (rc != 0) return rc;
    if (!ok || !go_up(home)) return qd_err_set(err, QD_E_CONFIG, "the program's path is too long");
    put(top, home, "");
    for (int up = 0; up < 2 && go_up(top); up++) {
        if (!put(mark, top, "/core/LAYERS") || !qd_file_exists(mark)) continue;
        ok = in_build_tree(p, home, top);
        return ok ? 0 : qd_err_set(err, QD_E_CONFIG, "the program's path is too long");
    }
    return installed(p, home) ? 0 : qd_err_set(err, QD_E_CONFIG, "the program's path is too long");
}

int qd_paths_setting(const qd_paths *paths, const qd_config *config, qd_set id,
                     char out[QD_PATH_MAX], qd_err *err)
{
    qd_str text = qd_config_text(config, id);
    bool given = qd_values_is_set(qd_config_values(config), id);
    int n;
    if (text.n == 0) {
        out[0] = 0;
        return 0;
    }
    if (text.p[0] == '/') {
        n = snprintf(out, QD_PATH_MAX, "%s", text.p);
    } else if (!given) {
        n = snprintf(out, QD_PATH_MAX, "%s/%s", paths->var, text.p);
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
