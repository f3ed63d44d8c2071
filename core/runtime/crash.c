/*
 * crash.c: see crash.h. The handler calls what is safe in one: system calls, and code of this file.
 */
#include "runtime/crash.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/stack/image.h"
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define LINE_MAX 2048u
#define STACK_BYTES (64u << 10)
#define OTHERS_WAIT_S 5 /* a second thread that faults lets the first one write */

static const char *build = "";
static struct {
    int file, err;
    bool json;
    char node[128], cluster[128];
} to = {-1, STDERR_FILENO, false, "", ""};
static atomic_flag crashed = ATOMIC_FLAG_INIT;
static _Thread_local const qd_crash_call *doing;
static _Thread_local void *stack;

static const struct {
    int signo;
    const char *name;
} signals[] = {{SIGSEGV, "SIGSEGV"},
               {SIGBUS, "SIGBUS"},
               {SIGFPE, "SIGFPE"},
               {SIGILL, "SIGILL"},
               {SIGABRT, "SIGABRT"}};

const qd_crash_call *qd_crash_call_set(const qd_crash_call *call)
{
    const qd_crash_call *before = doing;
    doing = call;
    return before;
}

void qd_crash_module(const char *file, const char *label)
{
    qdi_images_note(file, label);
}

/* --- the line -------------------------------------------------------------------------------- */

typedef struct line {
    char text[LINE_MAX];
    size_t n;
    bool json; /* what must not stand in a JSON string is left out */
} line;

static void put(line *l, const char *text)
{
    for (; *text && l->n < LINE_MAX - 2; text++) {
        bool odd = (unsigned char)*text < 32 || *text == '"' || *text == '\\';
        if (!(odd && l->json)) l->text[l->n++] = *text;
    }
}

/* As it is: the form of a line. */
static void form(line *l, const char *text)
{
    bool json = l->json;
    l->json = false;
    put(l, text);
    l->json = json;
}

static void put_number(line *l, uint64_t v, uint32_t base, uint32_t digits)
{
    char text[24];
    uint32_t n = sizeof text - 1;
    text[n] = 0;
    do {
        text[--n] = "0123456789abcdef"[v % base];
        v /= base;
    } while ((v || sizeof text - 1 - n < digits) && n);
    put(l, text + n);
}

static void put_hex(line *l, uintptr_t v)
{
    put(l, "0x");
    put_number(l, v, 16, 1);
}

/* UTC, by Hinnant's days_from_civil turned round: gmtime is not safe here. */
static void put_time(line *l)
{
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t days = now.tv_sec / 86400, rest = now.tv_sec % 86400;
    int64_t z = days + 719468, era = z / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int64_t day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
    put_number(l, (uint64_t)(yoe + era * 400 + (month <= 2)), 10, 4);
    put(l, "-");
    put_number(l, (uint64_t)month, 10, 2);
    put(l, "-");
    put_number(l, (uint64_t)day, 10, 2);
    put(l, "T");
    put_number(l, (uint64_t)(rest / 3600), 10, 2);
    put(l, ":");
    put_number(l, (uint64_t)(rest / 60 % 60), 10, 2);
    put(l, ":");
    put_number(l, (uint64_t)(rest % 60), 10, 2);
    put(l, l->json ? "." : ",");
    put_number(l, (uint64_t)now.tv_nsec / 1000000, 10, 3);
}

static uintptr_t pc_of(const void *context)
{
    const ucontext_t *u = context;
#if defined(__x86_64__)
    return (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)u->uc_mcontext.pc;
#else
    (void)u;
    return 0;
#endif
}

static void put_place(line *l, uintptr_t pc)
{
    char text[QDI_PLACE_BYTES];
    qdi_place_text(pc, text);
    put(l, text);
}

static void put_message(line *l, int signo, const siginfo_t *info, const void *context)
{
    char thread[17] = "";
    for (size_t i = 0; i < QD_COUNT_OF(signals); i++)
        if (signals[i].signo == signo) put(l, signals[i].name);
    if (info->si_code > 0) {
        put(l, " at address ");
        put_hex(l, (uintptr_t)info->si_addr);
    } else {
        put(l, " sent by process ");
        put_number(l, (uint64_t)info->si_pid, 10, 1);
    }
    put(l, ", in ");
    put_place(l, pc_of(context));
    (void)prctl(PR_GET_NAME, thread, 0, 0, 0);
    put(l, ", thread [");
    put(l, thread);
    put(l, "]");
    if (doing) {
        put(l, ", while ");
        put(l, doing->what);
        put(l, " of [");
        put(l, doing->name);
        put(l, "] of plugin [");
        put(l, doing->plugin);
        put(l, "] ran");
    }
    put(l, "; quidditch ");
    put(l, build);
}

static void put_line(line *l, int signo, const siginfo_t *info, const void *context)
{
    if (!to.json) {
        put(l, "[");
        put_time(l);
        put(l, "][ERROR][crash          ] [");
        put(l, to.node);
        put(l, "] ");
        put_message(l, signo, info, context);
    } else {
        l->json = true;
        form(l, "{\"@timestamp\":\"");
        put_time(l);
        form(l, "Z\",\"log.level\":\"ERROR\",\"message\":\"");
        put_message(l, signo, info, context);
        form(l, "\",\"ecs.version\":\"1.2.0\",\"service.name\":\"quidditch\",\"event.dataset\":"
                "\"quidditch.server\",\"log.logger\":\"crash\",\"elasticsearch.cluster.name\":\"");
        put(l, to.cluster);
        form(l, "\",\"elasticsearch.node.name\":\"");
        put(l, to.node);
        form(l, "\"}");
    }
    l->text[l->n++] = '\n';
}

static void on_crash(int signo, siginfo_t *info, void *context)
{
    int saved = errno;
    if (!atomic_flag_test_and_set(&crashed)) {
        line l = {.n = 0};
        put_line(&l, signo, info, context);
        if (to.file >= 0) (void)!write(to.file, l.text, l.n);
        if (to.err >= 0) (void)!write(to.err, l.text, l.n);
    } else {
        struct timespec wait = {OTHERS_WAIT_S, 0};
        (void)nanosleep(&wait, NULL);
    }
    struct sigaction usual;
    memset(&usual, 0, sizeof usual);
    usual.sa_handler = SIG_DFL;
    (void)sigaction(signo, &usual, NULL);
    errno = saved;
    if (info->si_code <= 0) (void)raise(signo); /* sent: nothing would run into it again */
}

/* --- setting up ------------------------------------------------------------------------------ */

void qd_crash_output(int file, int err, bool json, qd_str node, qd_str cluster)
{
    size_t n = node.n < sizeof to.node - 1 ? node.n : sizeof to.node - 1;
    size_t k = cluster.n < sizeof to.cluster - 1 ? cluster.n : sizeof to.cluster - 1;
    if (n) memcpy(to.node, node.p, n);
    if (k) memcpy(to.cluster, cluster.p, k);
    to.node[n] = to.cluster[k] = 0;
    to.json = json;
    to.file = file;
    to.err = err;
}

void qd_crash_install(const char *text)
{
    build = text;
    qd_crash_module(NULL, "");
    if (SANITIZED) return;
    qd_crash_thread_begin();
    for (size_t i = 0; i < QD_COUNT_OF(signals); i++) {
        struct sigaction act;
        memset(&act, 0, sizeof act);
        act.sa_sigaction = on_crash;
        act.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigemptyset(&act.sa_mask);
        (void)sigaction(signals[i].signo, &act, NULL);
    }
}

void qd_crash_thread_begin(void)
{
    if (SANITIZED || !*build || stack) return;
    void *p = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return;
    stack_t s = {.ss_sp = p, .ss_size = STACK_BYTES};
    if (sigaltstack(&s, NULL)) {
        (void)munmap(p, STACK_BYTES);
        return;
    }
    stack = p;
}

void qd_crash_thread_end(void)
{
    if (!stack) return;
    stack_t none = {.ss_flags = SS_DISABLE};
    (void)sigaltstack(&none, NULL);
    (void)munmap(stack, STACK_BYTES);
    stack = NULL;
}
