/* sample_t.c: stacks of threads and fibers, and the names of the functions in them. */
#include "base/str.h"
#include "runtime/env.h"
#include "runtime/fiber.h"
#include "runtime/file.h"
#include "runtime/proc.h"
#include "runtime/stack/image.h"
#include "runtime/stack/sample.h"
#include "runtime/stack/symbols.h"
#include "unit/unit.h"
#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
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

#define WAIT_NS 60000000000u
#define NOINLINE __attribute__((noinline))

static _Atomic bool go_on;
static _Atomic int64_t there; /* the thread that spins now */
static _Atomic uint64_t turns;

/* --- what is looked at --- */

NOINLINE static int spins(int depth)
{
    atomic_store(&there, (int64_t)syscall(SYS_gettid));
    while (atomic_load(&go_on)) atomic_fetch_add(&turns, 1);
    return depth + (int)atomic_load(&turns) % 2;
}

NOINLINE static int goes_down(int depth)
{
    return depth ? goes_down(depth - 1) + (int)atomic_load(&turns) % 2 : spins(depth);
}

NOINLINE static int compares(const void *a, const void *b)
{
    return spins(*(const int *)a - *(const int *)b) % 2;
}

/* The C library, whose code has no frame pointers, stands between this one and the spinning. */
NOINLINE static int sorts(void)
{
    int numbers[] = {2, 1};
    qsort(numbers, 2, sizeof *numbers, compares);
    return numbers[0];
}

static void run_spins(void *arg)
{
    *(int *)arg = spins(0);
}
static void run_deep(void *arg)
{
    *(int *)arg = goes_down(200);
}
static void run_sorts(void *arg)
{
    *(int *)arg = sorts();
}

/* --- looking --- */

static bool wait_until(bool (*fn)(void))
{
    uint64_t until = qd_env_mono_ns(qd_env_system()) + WAIT_NS;
    while (!fn()) {
        if (qd_env_mono_ns(qd_env_system()) > until) return false;
        qd_env_sleep_ns(qd_env_system(), 1000000);
    }
    return true;
}

static bool is_there(void)
{
    return atomic_load(&there) != 0;
}

/* Asks until it is answered: a machine may be too busy for that to be soon. */
static void look(int64_t thread, qd_sample *s)
{
    uint64_t until = qd_env_mono_ns(qd_env_system()) + WAIT_NS;
    *s = (qd_sample){.thread = thread};
    while (!s->frames && qd_env_mono_ns(qd_env_system()) < until) qd_samples_take(s, 1);
    assert_int_equal(s->thread, thread);
    assert_true(s->frames > 0);
}

/* The place of a function in the stack, from `from` on; -1: it is not there. */
static int frame_of(qd_symbols *names, const qd_sample *s, const char *function, int from)
{
    char text[QD_PLACE_MAX], want[64];
    snprintf(want, sizeof want, "%s (", function);
    for (int i = from; i < (int)s->frames; i++) {
        (void)qd_symbols_place(names, s->at[i], i > 0, text);
        if (strncmp(text, want, strlen(want)) == 0) return i;
    }
    return -1;
}

static void show(qd_symbols *names, const qd_sample *s)
{
    char text[QD_PLACE_MAX];
    for (uint32_t i = 0; i < s->frames; i++) {
        (void)qd_symbols_place(names, s->at[i], i > 0, text);
        print_message("# %s\n", text);
    }
}

/* Looks, some times, at a thread that is in `inner`, called by `outer`, until both are seen. The
 * thread sanitizer runs the handler out of its own code, which may hide the innermost one. */
static void sees(int64_t thread, const char *inner, const char *outer, const char *outermost)
{
    qd_symbols *names = qd_symbols_open();
    qd_sample s;
    bool seen = false;
    assert_non_null(names);
    for (int i = 0; i < 200 && !seen; i++) {
        look(thread, &s);
        int in = LATE_SIGNALS ? 0 : frame_of(names, &s, inner, 0);
        int out = in < 0 ? -1 : frame_of(names, &s, outer, in + 1);
        seen = out > 0 && (!outermost || frame_of(names, &s, outermost, out + 1) > 0);
    }
    if (!seen) show(names, &s);
    qd_symbols_close(names);
    assert_true(seen);
}

typedef struct spinner {
    qd_thread *thread;
    int result;
} spinner;

static void begin(spinner *p, void (*fn)(void *arg))
{
    atomic_store(&go_on, true);
    atomic_store(&there, 0);
    assert_int_equal(qd_thread_start(qd_env_system(), "spinner", fn, &p->result, &p->thread, NULL),
                     0);
    assert_true(wait_until(is_there));
}

static void end(spinner *p)
{
    atomic_store(&go_on, false);
    qd_thread_join(qd_env_system(), p->thread);
}

/* --- tests --- */

static void a_thread_shows_its_functions(void **state)
{
    (void)state;
    spinner p;
    begin(&p, run_spins);
    sees(atomic_load(&there), "spins", "run_spins", "thread_main");
    end(&p);
}

static void code_without_frame_pointers_is_stepped_over(void **state)
{
    (void)state;
    spinner p;
    begin(&p, run_sorts);
    sees(atomic_load(&there), "compares", "sorts", "thread_main");
    end(&p);
}

static void a_deep_stack_is_cut(void **state)
{
    (void)state;
    spinner p;
    qd_sample s;
    qd_symbols *names = qd_symbols_open();
    begin(&p, run_deep);
    uint32_t most = 0;
    for (int i = 0; i < 200 && most < QD_SAMPLE_FRAMES; i++) {
        look(atomic_load(&there), &s);
        if (s.frames > most) most = s.frames;
    }
    assert_int_equal(most, QD_SAMPLE_FRAMES);
    assert_true(frame_of(names, &s, "goes_down", 0) > 0);
    assert_int_equal(frame_of(names, &s, "thread_main", 0), -1);
    end(&p);
    qd_symbols_close(names);
}

typedef struct fiber_job {
    qd_work work;
    qd_pool *pool;
    int result;
    qd_latch *ended;
} fiber_job;

NOINLINE static void spins_on_fiber(void *arg)
{
    fiber_job *j = arg;
    j->result = spins(0);
    qd_latch_done(j->ended, 0);
}

static void on_fiber(qd_work *w)
{
    fiber_job *j = w->user;
    qd_fiber_run(j->pool, spins_on_fiber, j);
}

static void a_fiber_shows_its_own_stack(void **state)
{
    (void)state;
    qd_pool *pool;
    qd_latch ended;
    fiber_job j = {.work = {.run = on_fiber, .user = &j}, .ended = &ended};
    atomic_store(&go_on, true);
    atomic_store(&there, 0);
    qd_latch_init(&ended, 1);
    assert_int_equal(qd_pool_open(qd_env_system(), "search", 1, 4, &pool, NULL), 0);
    j.pool = pool;
    assert_int_equal(qd_pool_submit(pool, &j.work, NULL), 0);
    assert_true(wait_until(is_there));
    sees(atomic_load(&there), "spins", "spins_on_fiber", "fiber_main");
    atomic_store(&go_on, false);
    assert_int_equal(qd_latch_wait(&ended), 0);
    /* the worker waits for work now */
    qd_sample s;
    uint64_t until = qd_env_mono_ns(qd_env_system()) + WAIT_NS;
    do look(atomic_load(&there), &s);
    while (!s.idle && qd_env_mono_ns(qd_env_system()) < until);
    assert_true(s.idle);
    qd_pool_close(pool);
}

static void *blocks_all(void *arg)
{
    *(int *)arg = spins(0);
    return NULL;
}

static void who_is_not_asked(void **state)
{
    (void)state;
    pthread_t t;
    sigset_t all, before;
    int result;
    qd_sample s[3] = {{.thread = (int64_t)syscall(SYS_gettid)}, {.thread = INT32_MAX - 1}};
    atomic_store(&go_on, true);
    atomic_store(&there, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    assert_int_equal(pthread_create(&t, NULL, blocks_all, &result), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_true(wait_until(is_there));
    s[2].thread = atomic_load(&there);
    assert_false(qd_proc_takes_signal(s[2].thread, qd_sample_signal()));
    qd_samples_take(s, 3);
    assert_true(s[0].asks);
    for (int i = 0; i < 3; i++) assert_int_equal(s[i].frames, 0);
    atomic_store(&go_on, false);
    pthread_join(t, NULL);
}

/* --- a crowd: threads and fibers come and go while two ask --- */

enum { JOBS = 2000, ASKERS = 2 };
static _Atomic uint32_t jobs_left;
static fiber_job jobs[JOBS];
static qd_latch handed[JOBS];

NOINLINE static void works_and_waits(void *arg)
{
    fiber_job *j = arg;
    size_t i = (size_t)(j - jobs);
    char *p = malloc(4096);
    for (int k = 0; k < 50; k++) j->result += snprintf(p, 4096, "%d %zu", k, i) > 0;
    free(p);
    if (i % 2) qd_latch_done(&handed[i - 1], 0);
    if (i % 2 == 0) j->result += qd_latch_wait(&handed[i]) == 0;
    atomic_fetch_sub(&jobs_left, 1);
}

static void on_crowded_fiber(qd_work *w)
{
    fiber_job *j = w->user;
    qd_fiber_run(j->pool, works_and_waits, j);
}

static void asks(void *arg)
{
    static _Thread_local qd_proc_thread threads[256];
    static _Thread_local qd_sample s[256];
    uint64_t *seen = arg;
    do {
        uint32_t n = qd_proc_threads(threads, 256);
        for (uint32_t i = 0; i < n; i++) s[i].thread = threads[i].id;
        qd_samples_take(s, n);
        for (uint32_t i = 0; i < n; i++) *seen += s[i].frames;
    } while (atomic_load(&jobs_left) > 0);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void a_crowd_is_asked(void **state)
{
    (void)state;
    qd_pool *pool;
    qd_thread *askers[ASKERS], *brief;
    uint64_t seen[ASKERS] = {0};
    atomic_store(&jobs_left, JOBS);
    assert_int_equal(qd_pool_open(qd_env_system(), "search", 4, JOBS, &pool, NULL), 0);
    for (int i = 0; i < ASKERS; i++)
        assert_int_equal(
            qd_thread_start(qd_env_system(), "asker", asks, &seen[i], &askers[i], NULL), 0);
    for (int i = 0; i < JOBS; i++) {
        qd_latch_init(&handed[i], 1);
        jobs[i] = (fiber_job){.work = {.run = on_crowded_fiber, .user = &jobs[i]}, .pool = pool};
    }
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(qd_pool_submit(pool, &jobs[i].work, NULL), 0);
        if (i % 20) continue;
        assert_int_equal(qd_thread_start(qd_env_system(), "brief", nothing, NULL, &brief, NULL), 0);
        qd_thread_join(qd_env_system(), brief);
    }
    qd_pool_close(pool);
    for (int i = 0; i < ASKERS; i++) qd_thread_join(qd_env_system(), askers[i]);
    for (int i = 0; i < JOBS; i++) assert_int_equal(jobs[i].result, i % 2 ? 50 : 51);
    assert_true(seen[0] + seen[1] > 0);
}

/* --- files --- */

typedef struct elf_file {
    Elf64_Ehdr head;
    Elf64_Nhdr note;
    char owner[4];
    uint8_t id[4];
    Elf64_Sym symbols[4];
    char names[32];
    Elf64_Shdr sections[4];
} elf_file;

static elf_file make_file(void)
{
    elf_file f = {.head = {.e_shoff = offsetof(elf_file, sections),
                           .e_shentsize = sizeof(Elf64_Shdr),
                           .e_shnum = 4},
                  .note = {4, 4, NT_GNU_BUILD_ID},
                  .owner = "GNU",
                  .id = {0xAB, 0xCD, 0x01, 0x02},
                  .names = "\0first\0second\0data"};
    memcpy(f.head.e_ident, ELFMAG, SELFMAG);
    f.head.e_ident[EI_CLASS] = ELFCLASS64;
    f.symbols[1] = (Elf64_Sym){7, ELF64_ST_INFO(STB_LOCAL, STT_FUNC), 0, 1, 0x2000, 0x10};
    f.symbols[2] = (Elf64_Sym){1, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1, 0x1000, 0x20};
    f.symbols[3] = (Elf64_Sym){14, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), 0, 1, 0x3000, 8};
    f.sections[1] = (Elf64_Shdr){
        .sh_type = SHT_NOTE, .sh_offset = offsetof(elf_file, note), .sh_size = sizeof f.note + 8};
    f.sections[2] = (Elf64_Shdr){.sh_type = SHT_SYMTAB,
                                 .sh_offset = offsetof(elf_file, symbols),
                                 .sh_size = sizeof f.symbols,
                                 .sh_link = 3};
    f.sections[3] = (Elf64_Shdr){
        .sh_type = SHT_STRTAB, .sh_offset = offsetof(elf_file, names), .sh_size = sizeof f.names};
    return f;
}

static qdi_functions *read_bytes(const void *p, size_t n, const char *id)
{
    char path[] = "/tmp/qd-sample-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), (ssize_t)n);
    close(fd);
    qdi_functions *f = qdi_functions_read(path, id);
    unlink(path);
    return f;
}

static void a_table_of_symbols(void **state)
{
    (void)state;
    elf_file file = make_file();
    uint64_t first = 0;
    qdi_functions *f = read_bytes(&file, sizeof file, "abcd0102");
    assert_non_null(f);
    assert_string_equal(qdi_functions_find(f, 0x1000, &first), "first");
    assert_string_equal(qdi_functions_find(f, 0x101F, &first), "first");
    assert_int_equal(first, 0x1000);
    assert_null(qdi_functions_find(f, 0xFFF, &first));
    assert_null(qdi_functions_find(f, 0x1020, &first));
    assert_string_equal(qdi_functions_find(f, 0x2008, &first), "second");
    assert_null(qdi_functions_find(f, 0x3000, &first));
    assert_null(qdi_functions_find(f, UINT64_MAX, &first));
    qdi_functions_free(f);
    assert_null(read_bytes(&file, sizeof file, "abcd0103")); /* another build */
    assert_null(qdi_functions_read("/nowhere", "abcd0102"));
    assert_null(qdi_functions_read("/tmp", "abcd0102"));
}

static void broken_files(void **state)
{
    (void)state;
    elf_file file = make_file();
    uint64_t first;
    for (size_t n = 0; n < sizeof file; n++) assert_null(read_bytes(&file, n, "abcd0102"));
    for (size_t i = 0; i < sizeof file; i++) {
        static const uint8_t flips[] = {0x01, 0x80, 0xFF};
        for (size_t k = 0; k < sizeof flips; k++) {
            elf_file bad = file;
            ((uint8_t *)&bad)[i] ^= flips[k];
            qdi_functions *f = read_bytes(&bad, sizeof bad, "abcd0102");
            if (f) (void)qdi_functions_find(f, 0x1000, &first);
            qdi_functions_free(f);
        }
    }
}

int main(void)
{
    qd_sample_thread_begin(__builtin_frame_address(0), 1u << 20);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_shows_its_functions),
        cmocka_unit_test(code_without_frame_pointers_is_stepped_over),
        cmocka_unit_test(a_deep_stack_is_cut),
        cmocka_unit_test(a_fiber_shows_its_own_stack),
        cmocka_unit_test(who_is_not_asked),
        cmocka_unit_test(a_crowd_is_asked),
        cmocka_unit_test(a_table_of_symbols),
        cmocka_unit_test(broken_files),
    };
    return unit_run(tests);
}
