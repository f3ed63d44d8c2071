/*
 * sigbus.c: the handler behind mapped files. See sigbus_int.h.
 *
 * The table is an array of chunks that only grows; a slot's words are atomics, so the handler reads
 * it without a lock. The faulting thread is itself inside the mapping, which keeps that one slot
 * stable; slots of others may change under the scan, which then passes over them.
 */
#include "base/mem.h"
#include "runtime/sync.h"
#include "store/sigbus_int.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHUNK 1024u
#define CHUNKS_MAX 1024u /* a million mappings: beyond vm.max_map_count of any sane machine */

typedef struct slot {
    _Atomic uintptr_t base; /* 0: free */
    _Atomic uintptr_t end;
    _Atomic(_Atomic uint32_t *) damaged;
    uint32_t next_free; /* index + 1, under the lock */
} slot;

static slot *_Atomic chunks[CHUNKS_MAX];
static _Atomic uint32_t used; /* slots ever handed out */
static uint32_t first_free;   /* index + 1 */
static uintptr_t page_mask;
static struct sigaction previous;
static qd_mutex lock = QD_MUTEX_INIT;

static slot *slot_at(uint32_t i)
{
    slot *c = atomic_load_explicit(&chunks[i / CHUNK], memory_order_acquire);
    return c ? &c[i % CHUNK] : NULL;
}

/* Not ours: as if we had never been here, so that a debugger and the core dump see the fault. */
static void pass_on(int sig, siginfo_t *info, void *context)
{
    if ((previous.sa_flags & SA_SIGINFO) && previous.sa_sigaction) {
        previous.sa_sigaction(sig, info, context);
        return;
    }
    if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(sig);
        return;
    }
    struct sigaction dfl;
    memset(&dfl, 0, sizeof dfl);
    dfl.sa_handler = SIG_DFL;
    sigaction(SIGBUS, &dfl, NULL);
    if (info->si_code <= 0) raise(sig); /* sent, not met: nothing would run into it again */
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
    int saved = errno;
    uintptr_t addr = (uintptr_t)info->si_addr;
    uint32_t n = atomic_load_explicit(&used, memory_order_acquire);
    for (uint32_t i = 0; i < n; i++) {
        slot *s = slot_at(i);
        if (!s) continue;
        uintptr_t base = atomic_load_explicit(&s->base, memory_order_acquire);
        if (!base || addr < base || addr >= atomic_load(&s->end)) continue;
        void *page = (void *)(addr & ~page_mask);
        _Atomic uint32_t *damaged = atomic_load(&s->damaged);
        if (damaged) atomic_store(damaged, 1);
        void *got =
            mmap(page, page_mask + 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (got == page) {
            errno = saved;
            return;
        }
        break;
    }
    errno = saved;
    pass_on(sig, info, context);
}

/* Looks each time: a library or a test frame may have put its own handler in our place. */
static int install(qd_err *err)
{
    struct sigaction now, act;
    if (sigaction(SIGBUS, NULL, &now) != 0) {
        return qd_err_errno(err, errno, "looking at the SIGBUS handler");
    }
    if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_sigbus) return 0;
    page_mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
    memset(&act, 0, sizeof act);
    act.sa_sigaction = on_sigbus;
    act.sa_flags = SA_SIGINFO;
    sigemptyset(&act.sa_mask);
    previous = now;
    if (sigaction(SIGBUS, &act, NULL) != 0) {
        return qd_err_errno(err, errno, "installing the SIGBUS handler");
    }
    return 0;
}

static int take_slot(uint32_t *out, qd_err *err)
{
    if (first_free) {
        *out = first_free - 1;
        first_free = slot_at(*out)->next_free;
        return 0;
    }
    uint32_t i = atomic_load(&used);
    if (i == CHUNK * CHUNKS_MAX) return qd_err_set(err, QD_E_LIMIT, "too many mapped files");
    if (!slot_at(i)) {
        slot *c = qd_calloc(NULL, CHUNK * sizeof *c); /* kept for the life of the process */
        if (!c) return qd_err_nomem(err, "table of mappings");
        atomic_store_explicit(&chunks[i / CHUNK], c, memory_order_release);
    }
    atomic_store_explicit(&used, i + 1, memory_order_release);
    *out = i;
    return 0;
}

int qdi_sigbus_add(const void *base, size_t bytes, _Atomic uint32_t *damaged, uint32_t *slot_out,
                   qd_err *err)
{
    uint32_t i = 0;
    qd_assert(base && bytes);
    qd_mutex_lock(&lock);
    int rc = install(err);
    if (!rc) rc = take_slot(&i, err);
    if (!rc) {
        slot *s = slot_at(i);
        qd_assert(atomic_load(&s->base) == 0 && i < atomic_load(&used));
        atomic_store(&s->damaged, damaged);
        atomic_store(&s->end, (uintptr_t)base + bytes);
        atomic_store_explicit(&s->base, (uintptr_t)base, memory_order_release);
        *slot_out = i;
    }
    qd_mutex_unlock(&lock);
    return rc;
}

void qdi_sigbus_remove(uint32_t i)
{
    qd_mutex_lock(&lock);
    slot *s = slot_at(i);
    qd_assert(s && atomic_load(&s->base));
    atomic_store(&s->base, 0);
    atomic_store(&s->damaged, NULL);
    s->next_free = first_free;
    first_free = i + 1;
    qd_mutex_unlock(&lock);
}
