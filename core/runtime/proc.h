/*
 * proc.h: the process and its machine: signals, limits, memory, CPU time, terminal, children.
 */
#ifndef QD_RUNTIME_PROC_H
#define QD_RUNTIME_PROC_H

#include "base/err.h"
#include "base/str.h"
#include "runtime/loop.h"
#include <quidditch/types.h>

typedef enum qd_signal {
    QD_SIGNAL_STOP,   /* SIGTERM, SIGINT */
    QD_SIGNAL_RELOAD, /* SIGHUP */
} qd_signal;

typedef struct qd_signals qd_signals;
/* Delivers SIGTERM, SIGINT and SIGHUP as calls of fn on the loop; ignores SIGPIPE. Once a process,
 * before the loop runs. 0, QD_E_NOMEM, QD_E_IO. */
QD_MUST_CHECK
int qd_signals_start(qd_loop *loop, void (*fn)(void *user, qd_signal what, int signo), void *user,
                     qd_signals **out, qd_err *err);
/* Restores the default handling; before qd_loop_close. [loop or after it ran] */
void qd_signals_stop(qd_signals *s);

/* Process id. [any] */
int64_t qd_proc_pid(void);
/* Does a process of this id run, and may it be sent signals? [any] */
bool qd_proc_runs(int64_t pid);
/* Asks it to stop (SIGTERM). false as above. [any] */
bool qd_proc_stop(int64_t pid);
/* Is the effective user root? [any] */
bool qd_proc_is_root(void);
/* Effective user id. [any] */
uint32_t qd_proc_uid(void);
/* Is the process in the group, effectively or by a supplementary one? [any] */
bool qd_proc_in_group(uint32_t gid);
/* Bytes of a page. [any] */
size_t qd_proc_page_size(void);
/* Sets the mask of new files' permissions to 0077; once, at start. */
void qd_proc_private_files(void);
/* Value of an environment variable, NULL when unset. [any] */
const char *qd_proc_env(const char *name);
/* The i-th environment variable, "NAME=value", NULL behind the last. [any] */
const char *qd_proc_env_at(size_t i);
/* Nanoseconds of CPU time used by the process. [any] */
uint64_t qd_proc_cpu_ns(void);
/* Nanoseconds of CPU time used by the calling thread. [any] */
uint64_t qd_thread_cpu_ns(void);

typedef struct qd_proc_memory {
    uint64_t rss, rss_anon, rss_file, rss_shmem, virtual_size; /* bytes, of this process */
} qd_proc_memory;
/* Memory of this process by /proc/self/status; zeros where the kernel tells nothing. [worker] */
void qd_proc_memory_get(qd_proc_memory *out);

typedef struct qd_machine_memory {
    uint64_t total, available; /* bytes, of the machine */
    uint64_t limit;            /* what this process may use: total, or the cgroup's limit */
} qd_machine_memory;
/* Memory of the machine and the cgroup's limit. [worker] */
void qd_machine_memory_get(qd_machine_memory *out);
/* Load averages of 1, 5 and 15 minutes; false when unknown. [any] */
bool qd_machine_load(double out[3]);
/* Percent of CPU in use on the machine since the last call (0 to 100), -1 on the first. [worker] */
int qd_machine_cpu_percent(void);
/* Host name, appended to out. [any] */
QD_MUST_CHECK
int qd_machine_hostname(qd_buf *out);

typedef struct qd_machine_os {
    char name[32], release[64], arch[32], pretty[96]; /* Linux, 6.1.0, amd64, Debian GNU/Linux 12 */
} qd_machine_os;
/* Operating system, in the words of Elasticsearch's _nodes/info. [worker] */
void qd_machine_os_get(qd_machine_os *out);

/* A thread of this process. */
typedef struct qd_proc_thread {
    int64_t id;
    char name[24];
    char state;        /* as /proc shows it: R running, S waiting, D in a system call */
    bool has_schedule; /* the kernel tells queue_ns; else cpu_ns is in its ticks, mostly 10 ms */
    bool has_waits;    /* and waits */
    uint64_t cpu_ns;
    uint64_t queue_ns; /* it could have run, and had no CPU */
    uint64_t waits;    /* times that it gave up its CPU to wait for something */
} qd_proc_thread;
/* Fills in up to n threads in order of their ids; returns how many, 0 when unknown. [worker] */
uint32_t qd_proc_threads(qd_proc_thread *out, uint32_t n);
/* Would the thread take the signal now: it runs, does not block it, and has none of it pending?
 * [worker] */
bool qd_proc_takes_signal(int64_t thread, int signo);
/* Does the thread wait in epoll_wait, as a loop without events does? false also where the kernel
 * does not tell. [worker] */
bool qd_proc_thread_polls(int64_t thread);
/* Open files of this process now; 0 = unknown. [worker] */
uint64_t qd_proc_open_files(void);
/* The soft limit of open files; 0 = unknown. [worker] */
uint64_t qd_proc_max_files(void);
/* vm.max_map_count of the machine; 0 = unknown. [worker] */
uint64_t qd_proc_max_maps(void);
/* Raises the soft limit of open files to the hard one; returns the new soft limit. At start. */
uint64_t qd_proc_raise_files(void);
/* Keeps freed memory from spreading over per-thread arenas; at start, before the first thread. */
void qd_proc_tune_heap(void);
/* Gives free heap pages back to the system. [worker] */
void qd_proc_trim_heap(void);

/* Tells the service manager that started the process (systemd's Type=notify, $NOTIFY_SOCKET) these
 * lines, "READY=1\nSTATUS=..."; see sd_notify(3). Never waits. false: there is none, or it was not
 * told. [any] */
bool qd_proc_notify(const char *lines);
/* The time within which that manager wants to hear WATCHDOG=1, in nanoseconds; 0: it does not.
 * [any]
 */
uint64_t qd_proc_watchdog_ns(void);

/* Folder of the running program, without links, appended to out. 0, QD_E_IO, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_proc_exe_dir(qd_buf *out, qd_err *err);
/* May a terminal be sent colours? Not with NO_COLOR (no-color.org), nor to one that is dumb. [any]
 */
bool qd_proc_colors(void);
/* Is standard output a terminal, and how wide is it (80 when unknown)? [any] */
bool qd_proc_tty(unsigned *columns);
/* The same for standard error. [any] */
bool qd_proc_tty_err(unsigned *columns);

typedef struct qd_proc_exit {
    int status;     /* exit status, -1 when ended by a signal */
    int signal;     /* the signal, 0 when it exited */
    bool timed_out; /* killed because it took too long */
} qd_proc_exit;
/* Runs fn(arg) in a child made by fork and waits for its end, at most timeout_ms (0: no limit);
 * then it is killed. What the child writes to standard output and error is appended to output
 * (NULL: inherited). Only while the process has one thread. 0, QD_E_IO, QD_E_LIMIT. */
QD_MUST_CHECK
int qd_proc_child(int (*fn)(void *arg), void *arg, uint32_t timeout_ms, qd_buf *output,
                  qd_proc_exit *out, qd_err *err);
/* The same for a program with arguments (argv ends with NULL), found by PATH. input (may be empty)
 * is its standard input, at most 64 KiB. */
QD_MUST_CHECK
int qd_proc_run(char *const argv[], qd_str input, uint32_t timeout_ms, qd_buf *output,
                qd_proc_exit *out, qd_err *err);

#endif
