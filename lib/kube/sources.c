/* sources.c: the machine's environment and files: see kube_sources. */
#include "config.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static const char *variable(void *arg, const char *name)
{
    (void)arg;
    return getenv(name);
}

static int32_t code_of(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return QD_E_NOTFOUND;
    case EACCES:
    case EPERM:
        return QD_E_PERMISSION;
    case EISDIR:
        return QD_E_STATE;
    default:
        return QD_E_IO;
    }
}

/* Reads to the end; n is at most max. */
static int32_t read_all(const kube_env *env, int fd, size_t max, char **out, size_t *n)
{
    char *p = NULL;
    size_t len = 0, cap = 0;
    for (;;) {
        if (cap - len < 2) {
            char *grown = kube_grow(env, p, cap = cap ? cap * 2 : 8192);
            if (!grown) {
                kube_free(env, p);
                return QD_E_NOMEM;
            }
            p = grown;
        }
        ssize_t k = read(fd, p + len, cap - len - 1);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0 || (len += (size_t)k) > max) {
            kube_free(env, p);
            return k < 0 ? code_of(errno) : QD_E_TOO_LARGE;
        }
        if (k == 0) break;
    }
    p[len] = 0;
    *out = p;
    *n = len;
    return 0;
}

static int32_t read_file(void *arg, const kube_env *env, const char *path, size_t max, char **out,
                         size_t *n)
{
    (void)arg;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return code_of(errno);
    int32_t rc = read_all(env, fd, max, out, n);
    (void)close(fd);
    return rc;
}

const kube_sources kube_sources_system = {.variable = variable, .read = read_file};
