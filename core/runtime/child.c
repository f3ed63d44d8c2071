/* child.c: signals of this process and children made by fork. See proc.h. */
#include "base/mem.h"
#include "runtime/file_int.h"
#include "runtime/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#define INPUT_MAX 65536

static const int signal_numbers[] = {SIGTERM, SIGINT, SIGHUP};

struct qd_signals {
    uv_signal_t handles[QD_COUNT_OF(signal_numbers)];
    void (*fn)(void *user, qd_signal what, int signo);
    void *user;
    unsigned open;
};

static void on_signal(uv_signal_t *h, int signo)
{
    qd_signals *s = h->data;
    s->fn(s->user, signo == SIGHUP ? QD_SIGNAL_RELOAD : QD_SIGNAL_STOP, signo);
}

int qd_signals_start(qd_loop *loop, void (*fn)(void *user, qd_signal what, int signo), void *user,
                     qd_signals **out, qd_err *err)
{
    qd_signals *s = qd_calloc(NULL, sizeof *s);
    if (!s) return qd_err_nomem(err, "signals");
    s->fn = fn;
    s->user = user;
    signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < QD_COUNT_OF(signal_numbers); i++) {
        int rc = uv_signal_init(qd_loop_uv(loop), &s->handles[i]);
        if (rc == 0) {
            s->open++;
            s->handles[i].data = s;
            rc = uv_signal_start(&s->handles[i], on_signal, signal_numbers[i]);
        }
        if (rc != 0) {
            qd_signals_stop(s);
            return qd_err_set(err, QD_E_IO, "cannot handle signal %d: %s", signal_numbers[i],
                              uv_strerror(rc));
        }
    }
    *out = s;
    return 0;
}

static void on_closed(uv_handle_t *h)
{
    qd_signals *s = h->data;
    if (--s->open == 0) qd_free(s);
}

void qd_signals_stop(qd_signals *s)
{
    if (!s) return;
    unsigned open = s->open;
    /* One that comes late, as a second SIGTERM at the very end, is not to end the process by
     * itself. */
    sigset_t late;
    sigemptyset(&late);
    for (unsigned i = 0; i < QD_COUNT_OF(signal_numbers); i++) sigaddset(&late, signal_numbers[i]);
    (void)pthread_sigmask(SIG_BLOCK, &late, NULL);
    if (open == 0) qd_free(s);
    for (unsigned i = 0; i < open; i++) {
        s->handles[i].data = s;
        uv_close((uv_handle_t *)&s->handles[i], on_closed);
    }
}

/* --- children -------------------------------------------------------------------------------- */

/* Copies what the child writes until it closes its end or time is up; true when time was up. */
static bool drain(int fd, uint64_t end_ns, qd_buf *output)
{
    qd_env *env = qd_env_system();
    for (;;) {
        int wait = -1;
        if (end_ns) {
            uint64_t now = qd_env_mono_ns(env);
            if (now >= end_ns) return true;
            wait = (int)((end_ns - now) / 1000000) + 1;
        }
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n = poll(&p, 1, wait);
        if (n == 0) return true;
        if (n < 0) continue;
        char buf[4096];
        ssize_t k = read(fd, buf, sizeof buf);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        qd_buf_add(output, buf, (size_t)k); /* over its maximum: the rest is dropped */
    }
}

/* Waits for pid, polling every 2 ms when there is an end. */
static void reap(pid_t pid, uint64_t end_ns, qd_proc_exit *out)
{
    qd_env *env = qd_env_system();
    int status = 0;
    for (;;) {
        pid_t got = waitpid(pid, &status, end_ns && !out->timed_out ? WNOHANG : 0);
        if (got == pid) break;
        if (got < 0 && errno != EINTR) break;
        if (got == 0) {
            if (qd_env_mono_ns(env) >= end_ns) {
                out->timed_out = true;
                kill(pid, SIGKILL);
            } else {
                qd_env_sleep_ns(env, 2000000);
            }
        }
    }
    out->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    out->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

typedef struct child {
    int (*fn)(void *arg);
    void *arg;
    char *const *argv;
    int in, out; /* -1: inherited */
} child;

static void child_main(const child *c)
{
    if (c->in >= 0) dup2(c->in, STDIN_FILENO);
    if (c->out >= 0) {
        dup2(c->out, STDOUT_FILENO);
        dup2(c->out, STDERR_FILENO);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (c->argv) {
        execvp(c->argv[0], c->argv);
        fprintf(stderr, "cannot run %s: %s\n", c->argv[0], strerror(errno));
        _exit(127);
    }
    int rc = c->fn(c->arg);
    fflush(NULL);
    _exit(rc);
}

static int run_child(child *c, uint32_t timeout_ms, qd_buf *output, qd_proc_exit *out, qd_err *err)
{
    int fds[2] = {-1, -1};
    if (output && pipe2(fds, O_CLOEXEC) != 0) return qdi_file_error(err, errno, "open", "a pipe");
    c->out = fds[1];
    fflush(NULL); /* else the child writes our buffers too */
    pid_t pid = fork();
    if (pid < 0) {
        int rc = qdi_file_error(err, errno, "fork", "a child");
        if (output) {
            close(fds[0]);
            close(fds[1]);
        }
        return rc;
    }
    if (pid == 0) child_main(c);
    uint64_t end_ns =
        timeout_ms ? qd_env_mono_ns(qd_env_system()) + (uint64_t)timeout_ms * 1000000u : 0;
    *out = (qd_proc_exit){0};
    if (output) {
        close(fds[1]);
        if (drain(fds[0], end_ns, output)) {
            out->timed_out = true;
            kill(pid, SIGKILL);
        }
        close(fds[0]);
    }
    reap(pid, end_ns, out);
    return 0;
}

int qd_proc_child(int (*fn)(void *arg), void *arg, uint32_t timeout_ms, qd_buf *output,
                  qd_proc_exit *out, qd_err *err)
{
    child c = {.fn = fn, .arg = arg, .in = -1, .out = -1};
    return run_child(&c, timeout_ms, output, out, err);
}

int qd_proc_run(char *const argv[], qd_str input, uint32_t timeout_ms, qd_buf *output,
                qd_proc_exit *out, qd_err *err)
{
    child c = {.argv = argv, .in = -1, .out = -1};
    int fds[2] = {-1, -1};
    if (input.n > INPUT_MAX)
        return qd_err_set(err, QD_E_LIMIT, "more than %d bytes for a child", INPUT_MAX);
    if (pipe2(fds, O_CLOEXEC) != 0) return qdi_file_error(err, errno, "open", "a pipe");
    c.in = fds[0]; /* a pipe holds 64 KiB: the write below does not wait */
    int rc = 0;
    if (input.n && write(fds[1], input.p, input.n) != (ssize_t)input.n)
        rc = qdi_file_error(err, errno, "write to", argv[0]);
    close(fds[1]);
    if (rc == 0) rc = run_child(&c, timeout_ms, output, out, err);
    close(fds[0]);
    return rc;
}
