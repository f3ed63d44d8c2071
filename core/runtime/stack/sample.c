/*
 * sample.c: see sample.h.
 *
 * A question is a slot: thread, ticket and phase in one word. The handler takes the slot with its
 * thread's id from ASKED to WRITING, fills it and leaves it DONE; who asked takes it back from
 * ASKED to FREE when time is up. So a signal that comes late finds no slot, or a newer question to
 * the same thread, which it may answer as well. Slots are static: a handler never writes to memory
 * that was given back.
 *
 * The handler reads only between the stack pointer and the outermost frame of the stack that the
 * pointer is in. Code without frame pointers (the C library, libuv) uses the register for something
 * else: where it does, the walk goes on with the innermost frame that own functions alone lead to
 * from the outermost one. Own functions that a library called back are then left out.
 */
#include "runtime/stack/sample.h"
#include "base/mem.h"
#include "runtime/env.h"
#include "runtime/fiber_int.h"
#include "runtime/proc.h"
#include "runtime/stack/image.h"
#include "runtime/sync.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define LATE_SIGNALS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LATE_SIGNALS 1
#endif
#endif
#ifndef LATE_SIGNALS
#define LATE_SIGNALS 0
#endif

/* The walk reads red zones and words that other code writes. */
#define UNCHECKED __attribute__((no_sanitize("address", "thread", "undefined")))

#define SLOTS 64u
#define WORDS_MAX 32768u     /* looked at in one walk, where frames have to be searched for */
#define FUNCTION_BYTES 8192u /* most functions are shorter */
#define PATIENCE_NS 20000000u
#define LOOK_NS 100000u

enum { FREE, ASKED, WRITING, DONE };

typedef struct slot {
    _Atomic uint64_t state; /* thread << 32 | ticket << 2 | phase */
    bool idle;
    uint32_t frames;
    uintptr_t at[QD_SAMPLE_FRAMES];
} slot;

static slot slots[SLOTS];
static uint32_t ticket;
static bool installed;
static qd_mutex turn = QD_MUTEX_INIT; /* of who asks */
static _Thread_local uintptr_t stack_low, stack_end;
static _Thread_local volatile uintptr_t calling; /* frame of a call of a library, 0: none */
static _Thread_local volatile bool idle_now;

int qd_sample_signal(void)
{
    return SIGRTMIN + 7;
}

void qd_sample_thread_begin(const void *outermost, size_t bytes)
{
    uintptr_t at = (uintptr_t)outermost;
    stack_low = at > bytes ? at - bytes : 0;
    stack_end = at + 2 * sizeof(uintptr_t);
}

void qd_sample_calling(const void *frame)
{
    calling = (uintptr_t)frame;
}

void qd_sample_idle(bool idle)
{
    idle_now = idle;
}

/* --- the walk, in the handler --- */

typedef struct walk {
    uintptr_t pc, at, fp, end; /* what is live on the stack lies in [at, end) */
    uint32_t words;
} walk;

UNCHECKED static uintptr_t word(uintptr_t at)
{
    return *(const volatile uintptr_t *)at;
}

UNCHECKED static uintptr_t code_address(uintptr_t v)
{
#if defined(__aarch64__)
    return v & 0xFFFFFFFFFFFFu; /* without the signature of a return address */
#else
    return v;
#endif
}

UNCHECKED static const qdi_image *code_of(uintptr_t pc)
{
    const qdi_image *m = qdi_image_of(pc);
    return m && pc >= m->code_from && pc < m->code_to ? m : NULL;
}

/* Code of the program and of plugins, which keeps frame pointers. */
UNCHECKED static bool is_own(uintptr_t pc)
{
    const qdi_image *m = code_of(pc);
    return m && (m->program || *m->label);
}

UNCHECKED static bool is_frame(const walk *w, uintptr_t fp)
{
    if (fp % 16 || fp < w->at || fp >= w->end || w->end - fp < 2 * sizeof fp) return false;
    uintptr_t next = word(fp);
    bool last = fp + 2 * sizeof fp == w->end;
    return (last || next == 0 || next > fp) && code_of(code_address(word(fp + sizeof fp)));
}

/* Does an entry of the procedure linkage table begin there? Calls of libraries go through one. */
UNCHECKED static bool is_stub(uintptr_t at)
{
#if defined(__x86_64__)
    static const uint8_t endbr64[] = {0xF3, 0x0F, 0x1E, 0xFA};
    const volatile uint8_t *p = (const volatile uint8_t *)at;
    uint32_t n = 0;
    while (n < sizeof endbr64 && p[n] == endbr64[n]) n++;
    p += n == sizeof endbr64 ? n : 0;
    p += *p == 0xF2; /* bnd */
    return p[0] == 0xFF && p[1] == 0x25;
#elif defined(__aarch64__)
    const volatile uint32_t *p = (const volatile uint32_t *)at;
    if (*p == 0xD503245Fu) p++;               /* bti c */
    return (*p & 0x9F00001Fu) == 0x90000010u; /* adrp x16 */
#else
    (void)at;
    return false;
#endif
}

#if defined(__x86_64__)
/* The length of FF with this second byte, when it is a call; else 0. */
UNCHECKED static int call_bytes(uint8_t second)
{
    uint8_t mod = second >> 6, rm = second & 7;
    if ((second & 0x38) != 0x10) return 0;
    int sib = mod != 3 && rm == 4;
    return 2 + sib + (mod == 1 ? 1 : mod == 2 || (mod == 0 && rm == 5) ? 4 : 0);
}
#endif

/* Does a call stand before the address? Its target, 0 when the code does not tell it. Asked of own
 * code only, which stays mapped. */
UNCHECKED static bool is_behind_call(uintptr_t pc, uintptr_t *target)
{
    const qdi_image *m = code_of(pc);
    intptr_t by = 0;
    *target = 0;
    if (!m || pc - m->code_from < 8) return false;
#if defined(__x86_64__)
    const volatile uint8_t *p = (const volatile uint8_t *)pc;
    for (int n = 2; n <= 7; n++) /* call through a register or memory: FF /2 of that length */
        if (p[-n] == 0xFF && call_bytes(p[1 - n]) == n) return true;
    if (p[-5] != 0xE8) return false;
    by = (int32_t)((uint32_t)p[-4] | (uint32_t)p[-3] << 8 | (uint32_t)p[-2] << 16 |
                   (uint32_t)p[-1] << 24);
#elif defined(__aarch64__)
    uint32_t op = *(const volatile uint32_t *)(pc - 4);
    if ((op & 0xFFFFFC1Fu) == 0xD63F0000u) return true; /* blr */
    if ((op & 0xFC000000u) != 0x94000000u) return false;
    by = (intptr_t)(int32_t)(op << 6) / 16 - 4;
#else
    return false;
#endif
    *target = pc + (uintptr_t)by;
    return *target >= m->code_from && *target < m->code_to && m->code_to - *target >= 8;
}

/* Is the address in the function that begins at `start`? A guess: where it ends is not known here.
 */
UNCHECKED static bool is_in(uintptr_t pc, uintptr_t start)
{
    return start && pc > start && pc - start <= FUNCTION_BYTES;
}

/* Where the function of that frame begins, if its caller names it; 0: not known. */
UNCHECKED static uintptr_t start_of(uintptr_t frame)
{
    uintptr_t start;
    return is_behind_call(code_address(word(frame + sizeof frame)), &start) ? start : 0;
}

/* The frame of the function that the one with the frame f has called, if it is an own one. What is
 * left on the stack of calls that have returned names f as its caller's, too; but a function makes
 * its calls at one place, so the first below f with an address in its function is alive. */
UNCHECKED static uintptr_t search_callee(walk *w, uintptr_t f)
{
    uintptr_t start = start_of(f), first = 0, target;
    for (uintptr_t at = f; at - w->at >= 16 && w->words < WORDS_MAX; w->words++) {
        at -= 16;
        uintptr_t pc = word(at) == f ? code_address(word(at + sizeof at)) : 0;
        if (!pc || !is_own(pc) || !is_behind_call(pc, &target)) continue;
        if (!start || is_in(pc, start)) return at;
        if (!first) first = at; /* f's function may have been jumped to */
    }
    return first;
}

/* The innermost frame that own functions alone lead to from the outermost one, or the one that is
 * known for that; 0: none. */
UNCHECKED static uintptr_t search_frame(walk *w)
{
    uintptr_t f = w->end - 2 * sizeof f;
    if (w->end - w->at < 2 * sizeof f || f % 16) return 0;
    if (calling >= w->at && calling < w->end && is_frame(w, calling)) return calling;
    for (uintptr_t next = f; next; next = search_callee(w, f)) f = next;
    return is_frame(w, f) ? f : 0;
}

/* Where the function with that frame goes on when the code above it on the stack returns: its call
 * leads out of the image or through a pointer, when `away`; the last such address before the frame
 * is taken, and one in the function that the frame's caller calls before any other. *at: behind it
 * on the stack. 0: not found. */
UNCHECKED static uintptr_t search_return(walk *w, uintptr_t frame, bool away, uintptr_t *at)
{
    uintptr_t start = start_of(frame), target, near = 0, last = 0, near_at = 0, last_at = 0;
    for (uintptr_t k = w->at; k < frame && w->words < WORDS_MAX; k += sizeof k, w->words++) {
        uintptr_t pc = code_address(word(k));
        if (!is_own(pc) || !is_behind_call(pc, &target) || (away && target && !is_stub(target)))
            continue;
        last = pc;
        last_at = k + sizeof k;
        if (!is_in(pc, start)) continue;
        near = pc; /* in the function that its caller called */
        near_at = k + sizeof k;
    }
    *at = near ? near_at : last_at;
    return near ? near : last;
}

/* Goes to the caller; false: it is not known. */
UNCHECKED static bool step(walk *w)
{
    bool away = !is_own(w->pc);
    uintptr_t fp = w->fp, at = 0;
    if (!is_frame(w, fp) || (away && !is_own(code_address(word(fp + sizeof fp)))))
        fp = away && is_frame(w, fp) && fp + 2 * sizeof fp == w->end ? fp : search_frame(w);
    if (!fp) return false;
    uintptr_t pc = away || fp != w->fp ? search_return(w, fp, away, &at) : 0;
    w->fp = pc ? fp : word(fp);
    w->at = pc ? at : fp + 2 * sizeof fp;
    w->pc = pc ? pc : code_address(word(fp + sizeof fp));
    return true;
}

UNCHECKED static void begin(walk *w, const ucontext_t *u, uintptr_t handler)
{
#if defined(__x86_64__)
    w->pc = (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
    w->at = (uintptr_t)u->uc_mcontext.gregs[REG_RSP];
    w->fp = (uintptr_t)u->uc_mcontext.gregs[REG_RBP];
#elif defined(__aarch64__)
    w->pc = (uintptr_t)u->uc_mcontext.pc;
    w->at = (uintptr_t)u->uc_mcontext.sp;
    w->fp = (uintptr_t)u->uc_mcontext.regs[29];
#else
    (void)u;
#endif
    if (LATE_SIGNALS) {
        w->pc = code_address(word(handler + sizeof handler));
        w->at = handler + 2 * sizeof handler;
        w->fp = word(handler);
    }
    uintptr_t low = stack_low, end = stack_end;
    qdi_fiber_stack(w->at, &low, &end);
    w->end = w->at >= low && w->at < end ? end : w->at;
    w->at &= ~(uintptr_t)7;
}

UNCHECKED static void fill(slot *s, const ucontext_t *u, uintptr_t handler)
{
    walk w = {.words = 0};
    begin(&w, u, handler);
    s->idle = idle_now;
    s->frames = 0;
    do s->at[s->frames++] = w.pc;
    while (s->frames < QD_SAMPLE_FRAMES && step(&w));
}

static void on_sample(int signo, siginfo_t *info, void *context)
{
    int saved = errno;
    uint64_t me = (uint64_t)syscall(SYS_gettid);
    (void)signo, (void)info;
    for (uint32_t i = 0; i < SLOTS; i++) {
        uint64_t s = atomic_load_explicit(&slots[i].state, memory_order_acquire);
        if (s >> 32 != me || (s & 3) != ASKED) continue;
        if (!atomic_compare_exchange_strong(&slots[i].state, &s, s - ASKED + WRITING)) continue;
        fill(&slots[i], context, (uintptr_t)__builtin_frame_address(0));
        atomic_store_explicit(&slots[i].state, s - ASKED + DONE, memory_order_release);
        break;
    }
    errno = saved;
}

/* --- who asks --- */

static bool install(void)
{
    struct sigaction act;
    if (installed) return true;
    qdi_images_note(NULL, "");
    memset(&act, 0, sizeof act);
    act.sa_sigaction = on_sample;
    act.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigfillset(&act.sa_mask);
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    for (size_t i = 0; i < QD_COUNT_OF(faults); i++) sigdelset(&act.sa_mask, faults[i]);
    installed = sigaction(qd_sample_signal(), &act, NULL) == 0;
    return installed;
}

static bool ask(slot *s, int64_t thread)
{
    if ((atomic_load(&s->state) & 3) == WRITING) return false; /* of a question given up */
    uint64_t word = (uint64_t)thread << 32 | (uint64_t)(ticket++ & 0x3FFFFFFFu) << 2;
    atomic_store(&s->state, word | ASKED);
    if (syscall(SYS_tgkill, getpid(), (pid_t)thread, qd_sample_signal()) == 0) return true;
    atomic_store(&s->state, FREE);
    return false;
}

/* True when the thread has answered, or never will. */
static bool answered(slot *s, qd_sample *out)
{
    uint64_t now = atomic_load_explicit(&s->state, memory_order_acquire);
    if ((now & 3) == ASKED || (now & 3) == WRITING) return false;
    if ((now & 3) == DONE && now >> 32 == (uint64_t)out->thread) {
        out->idle = s->idle;
        out->frames = s->frames;
        memcpy(out->at, s->at, s->frames * sizeof *out->at);
    }
    atomic_store(&s->state, FREE);
    return true;
}

static void take_some(qd_sample *s, uint32_t n)
{
    qd_env *env = qd_env_system();
    bool open[SLOTS] = {false};
    int64_t me = (int64_t)syscall(SYS_gettid);
    uint32_t left = 0;
    for (uint32_t i = 0; i < n; i++) {
        s[i].frames = 0;
        s[i].idle = false;
        s[i].asks = s[i].thread == me;
        open[i] = !s[i].asks && qd_proc_takes_signal(s[i].thread, qd_sample_signal()) &&
                  ask(&slots[i], s[i].thread);
        left += open[i];
    }
    uint64_t until = qd_env_mono_ns(env) + PATIENCE_NS;
    while (left) {
        for (uint32_t i = 0; i < n; i++) {
            if (!open[i] || !answered(&slots[i], &s[i])) continue;
            open[i] = false;
            left--;
        }
        if (!left || qd_env_mono_ns(env) >= until) break;
        qd_env_sleep_ns(env, LOOK_NS);
    }
    for (uint32_t i = 0; left && i < n; i++) {
        uint64_t now = atomic_load(&slots[i].state);
        if (!open[i]) continue;
        if ((now & 3) == ASKED && atomic_compare_exchange_strong(&slots[i].state, &now, FREE))
            continue;
        (void)answered(&slots[i], &s[i]); /* it came just now; WRITING: its slot rests */
    }
}

void qd_samples_take(qd_sample *s, uint32_t n)
{
    qd_mutex_lock(&turn);
    bool can = install();
    for (uint32_t i = 0; i < n; i += SLOTS) {
        if (can) take_some(s + i, n - i < SLOTS ? n - i : SLOTS);
        for (uint32_t k = i; !can && k < n && k < i + SLOTS; k++)
            s[k].frames = 0, s[k].asks = false;
    }
    qd_mutex_unlock(&turn);
}
