/* proc.c: the process and its machine, read from /proc, /sys and the C library. See proc.h. */
#include "runtime/proc.h"
#include "runtime/cgroup_int.h"
#include "runtime/cpu.h"
#include <dirent.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

int64_t qd_proc_pid(void)
{
    return getpid();
}
/* Is it one process, and not the first one? Other ids mean groups of processes, or all of them,
 * also those that become so when they are cut to 32 bits. */
static bool one_process(int64_t pid)
{
    return pid > 1 && pid <= INT32_MAX;
}

bool qd_proc_runs(int64_t pid)
{
    return one_process(pid) && kill((pid_t)pid, 0) == 0;
}

bool qd_proc_stop(int64_t pid)
{
    return one_process(pid) && kill((pid_t)pid, SIGTERM) == 0;
}

bool qd_proc_is_root(void)
{
    return geteuid() == 0;
}
uint32_t qd_proc_uid(void)
{
    return geteuid();
}
bool qd_proc_in_group(uint32_t gid)
{
    gid_t list[256];
    int n = getgroups((int)QD_COUNT_OF(list), list);
    if (getegid() == gid) return true;
    for (int i = 0; i < n; i++)
        if (list[i] == gid) return true;
    return false;
}
size_t qd_proc_page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}
void qd_proc_private_files(void)
{
    umask(0077);
}
const char *qd_proc_env(const char *name)
{
    return getenv(name);
}
const char *qd_proc_env_at(size_t i)
{
    for (size_t k = 0; environ && environ[k]; k++) {
        if (k == i) return environ[k];
    }
    return NULL;
}

static uint64_t cpu_clock(clockid_t clock)
{
    struct timespec ts;
    if (clock_gettime(clock, &ts) != 0) return 0;
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t qd_proc_cpu_ns(void)
{
    return cpu_clock(CLOCK_PROCESS_CPUTIME_ID);
}
uint64_t qd_thread_cpu_ns(void)
{
    return cpu_clock(CLOCK_THREAD_CPUTIME_ID);
}

size_t qdi_slurp(const char *path, char *out, size_t room)
{
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(out, 1, room - 1, f) : 0;
    if (f) fclose(f);
    out[n] = 0;
    return n;
}

/* The number behind "Key:" at the start of a line, times 1024 (these files count kB). */
static uint64_t kb_of(const char *text, const char *key)
{
    size_t n = strlen(key);
    for (const char *at = text; at; at = strchr(at, '\n')) {
        if (*at == '\n') at++;
        if (strncmp(at, key, n) == 0) return strtoull(at + n, NULL, 10) * 1024;
    }
    return 0;
}

void qd_proc_memory_get(qd_proc_memory *out)
{
    char text[4096];
    qdi_slurp("/proc/self/status", text, sizeof text);
    out->rss = kb_of(text, "VmRSS:");
    out->rss_anon = kb_of(text, "RssAnon:");
    out->rss_file = kb_of(text, "RssFile:");
    out->rss_shmem = kb_of(text, "RssShmem:");
    out->virtual_size = kb_of(text, "VmSize:");
}

void qd_machine_memory_get(qd_machine_memory *out)
{
    char text[2048];
    qdi_slurp("/proc/meminfo", text, sizeof text);
    out->total = kb_of(text, "MemTotal:");
    out->available = kb_of(text, "MemAvailable:");
    uint64_t limit = qdi_cgroup_memory();
    out->limit = limit && limit < out->total ? limit : out->total;
}

bool qd_machine_load(double out[3])
{
    return getloadavg(out, 3) == 3;
}

int qd_machine_cpu_percent(void)
{
    static _Atomic uint64_t last_busy, last_total;
    char text[512];
    unsigned long long v[8] = {0};
    qdi_slurp("/proc/stat", text, sizeof text);
    if (sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
               &v[4], &v[5], &v[6], &v[7]) < 5)
        return -1;
    uint64_t total = 0;
    for (int i = 0; i < 8; i++) total += v[i];
    uint64_t busy = total - v[3] - v[4];
    uint64_t busy_before = atomic_exchange(&last_busy, busy);
    uint64_t total_before = atomic_exchange(&last_total, total);
    if (total_before == 0 || total <= total_before || busy < busy_before) return -1;
    return (int)((busy - busy_before) * 100 / (total - total_before));
}

int qd_machine_hostname(qd_buf *out)
{
    char name[256];
    if (gethostname(name, sizeof name) != 0) return qd_buf_c(out, "localhost");
    name[sizeof name - 1] = 0;
    return qd_buf_c(out, name);
}

void qd_machine_os_get(qd_machine_os *out)
{
    struct utsname u;
    char text[4096];
    memset(out, 0, sizeof *out);
    if (uname(&u) == 0) {
        snprintf(out->name, sizeof out->name, "%.31s", u.sysname);
        snprintf(out->release, sizeof out->release, "%.63s", u.release);
        snprintf(out->arch, sizeof out->arch, "%.31s",
                 strcmp(u.machine, "x86_64") == 0 ? "amd64" : u.machine);
    }
    qdi_slurp("/etc/os-release", text, sizeof text);
    const char *at = strstr(text, "PRETTY_NAME=\"");
    if (at)
        snprintf(out->pretty, sizeof out->pretty, "%.*s", (int)strcspn(at + 13, "\""), at + 13);
    else
        snprintf(out->pretty, sizeof out->pretty, "%s", out->name);
}

/* The value of "key" in the text of a status file; NULL: it has none. */
static const char *status_value(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at ? at + strlen(key) : NULL;
}

static bool read_status(int64_t id, char text[4096])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%lld/status", (long long)id);
    return qdi_slurp(path, text, 4096);
}

/* Time on a CPU and time runnable without one; newer kernels may be built without. */
static void read_schedule(int64_t id, qd_proc_thread *out)
{
    char path[64], text[4096];
    unsigned long long run, queue;
    snprintf(path, sizeof path, "/proc/self/task/%lld/schedstat", (long long)id);
    out->has_schedule =
        qdi_slurp(path, text, sizeof text) && sscanf(text, "%llu %llu", &run, &queue) == 2;
    out->queue_ns = out->has_schedule ? queue : 0;
    if (out->has_schedule) out->cpu_ns = run;
    const char *at =
        read_status(id, text) ? status_value(text, "\nvoluntary_ctxt_switches:") : NULL;
    out->has_waits = at != NULL;
    out->waits = at ? strtoull(at, NULL, 10) : 0;
}

bool qd_proc_takes_signal(int64_t thread, int signo)
{
    static const char *const keys[] = {"\nSigBlk:", "\nSigPnd:"};
    char text[4096];
    if (!read_status(thread, text)) return false;
    for (size_t i = 0; i < QD_COUNT_OF(keys); i++) {
        const char *at = status_value(text, keys[i]);
        if (!at || strtoull(at, NULL, 16) >> (signo - 1) & 1) return false;
    }
    return true;
}

bool qd_proc_thread_polls(int64_t thread)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/self/task/%lld/syscall", (long long)thread);
    if (!qdi_slurp(path, text, sizeof text) || text[0] < '0' || text[0] > '9') return false;
    long long call = strtoll(text, NULL, 10);
#ifdef SYS_epoll_wait
    if (call == SYS_epoll_wait) return true;
#endif
    return call == SYS_epoll_pwait;
}

/* "pid (comm) S ppid …": the 14th and 15th field are ticks in user and kernel mode. */
static bool read_thread(int64_t id, qd_proc_thread *out)
{
    char path[64], text[512];
    unsigned long long user, kernel;
    snprintf(path, sizeof path, "/proc/self/task/%lld/stat", (long long)id);
    if (!qdi_slurp(path, text, sizeof text)) return false;
    char *open = strchr(text, '('), *close = strrchr(text, ')');
    if (!open || !close || close < open) return false;
    if (sscanf(close + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &out->state,
               &user, &kernel) != 3)
        return false;
    long hz = sysconf(_SC_CLK_TCK);
    out->id = id;
    out->cpu_ns = (user + kernel) * (1000000000ull / (uint64_t)(hz > 0 ? hz : 100));
    snprintf(out->name, sizeof out->name, "%.*s", (int)(close - open - 1), open + 1);
    read_schedule(id, out);
    return true;
}

static int by_id(const void *a, const void *b)
{
    int64_t x = ((const qd_proc_thread *)a)->id, y = ((const qd_proc_thread *)b)->id;
    return (x > y) - (x < y);
}

uint32_t qd_proc_threads(qd_proc_thread *out, uint32_t n)
{
    uint32_t k = 0;
    DIR *dir = opendir("/proc/self/task");
    if (!dir) return 0;
    for (struct dirent *e; k < n && (e = readdir(dir));) {
        int64_t id = strtoll(e->d_name, NULL, 10);
        k += id > 0 && read_thread(id, &out[k]);
    }
    closedir(dir);
    qsort(out, k, sizeof *out, by_id);
    return k;
}

uint64_t qd_proc_open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir) return 0;
    uint64_t n = 0;
    for (struct dirent *e; (e = readdir(dir));) n += e->d_name[0] != '.';
    closedir(dir);
    return n ? n - 1 : 0; /* not the folder's own */
}

uint64_t qd_proc_max_files(void)
{
    struct rlimit r;
    return getrlimit(RLIMIT_NOFILE, &r) == 0 ? r.rlim_cur : 0;
}

uint64_t qd_proc_max_maps(void)
{
    char text[64];
    return qdi_slurp("/proc/sys/vm/max_map_count", text, sizeof text) ? strtoull(text, NULL, 10)
                                                                      : 0;
}

uint64_t qd_proc_raise_files(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0) return 0;
    rlim_t before = r.rlim_cur;
    r.rlim_cur = r.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &r) == 0 ? r.rlim_cur : before;
}

void qd_proc_tune_heap(void)
{
    /* glibc makes up to 8 arenas a CPU; freed memory in them is lost to the others. Two a CPU keep
     * contention low. Blocks from 1 MiB are mapped alone: within the arenas the buffers of
     * indexing left holes of 20 MiB and more (a bulk of 200 MB: 60 MiB instead of 45 above idle),
     * and mapping them costs 3 % of its time. */
    mallopt(M_ARENA_MAX, (int)(qd_cpu_count() * 2 < 16 ? qd_cpu_count() * 2 : 16));
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

void qd_proc_trim_heap(void)
{
    malloc_trim(0);
}

int qd_proc_exe_dir(qd_buf *out, qd_err *err)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0) return qd_err_set(err, QD_E_IO, "cannot read /proc/self/exe");
    while (n > 1 && path[n - 1] != '/') n--;
    if (n > 1) n--;
    return qd_buf_add(out, path, (size_t)n) ? qd_err_nomem(err, "a path") : 0;
}

static bool tty(int fd, unsigned *columns)
{
    struct winsize w;
    if (columns) *columns = 80;
    if (!isatty(fd)) return false;
    if (columns && ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) *columns = w.ws_col;
    return true;
}

bool qd_proc_colors(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return (!no || !*no) && (!term || strcmp(term, "dumb") != 0);
}

bool qd_proc_tty(unsigned *columns)
{
    return tty(STDOUT_FILENO, columns);
}
bool qd_proc_tty_err(unsigned *columns)
{
    return tty(STDERR_FILENO, columns);
}
