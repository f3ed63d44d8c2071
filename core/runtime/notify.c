/*
 * notify.c: what a service manager is told: datagrams to the socket that $NOTIFY_SOCKET names, as
 * sd_notify(3) describes them. See proc.h.
 */
#include "runtime/proc.h"
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool qd_proc_notify(const char *lines)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t n = path ? strlen(path) : 0;
    if (n < 2 || n >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@')) return false;
    memcpy(to.sun_path, path, n);
    if (path[0] == '@') to.sun_path[0] = 0; /* a name of the kernel's, not a file */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    ssize_t sent;
    do { /* a manager that does not read must not hold the caller up */
        sent = sendto(fd, lines, strlen(lines), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&to,
                      len);
    } while (sent < 0 && errno == EINTR);
    close(fd);
    return sent >= 0;
}

uint64_t qd_proc_watchdog_ns(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!usec || (pid && strtoll(pid, NULL, 10) != (long long)getpid())) return 0;
    uint64_t us = strtoull(usec, NULL, 10);
    return us < UINT64_MAX / 1000 ? us * 1000 : 0;
}
