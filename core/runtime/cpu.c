/* cpu.c: the instruction sets of this machine, capped by QD_CPU. See cpu.h. */
#include "runtime/cpu.h"
#include "runtime/cgroup_int.h"
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic int chosen; /* 0 = not looked yet */
static _Atomic int cap = QD_CPU_V4;

static qd_cpu machine_level(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") ||
        !__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("fma"))
        return QD_CPU_V2;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512vbmi"))
        return QD_CPU_V3;
    return QD_CPU_V4;
#else
    return QD_CPU_V2;
#endif
}

static qd_cpu environment_cap(void)
{
    const char *v = getenv("QD_CPU");
    if (!v || !*v) return QD_CPU_V4;
    if (v[0] == 'v' && v[1] >= '2' && v[1] <= '4' && v[2] == 0) return (qd_cpu)(v[1] - '0');
    fprintf(stderr, "QD_CPU=%s is unknown (v2, v3, v4): using v2\n", v);
    return QD_CPU_V2;
}

qd_cpu qd_cpu_level(void)
{
    int level = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (QD_UNLIKELY(level == 0)) {
        int machine = (int)machine_level(), environment = (int)environment_cap();
        level = machine < environment ? machine : environment;
        atomic_store_explicit(&chosen, level, memory_order_relaxed);
    }
    int max = atomic_load_explicit(&cap, memory_order_relaxed);
    return (qd_cpu)(level < max ? level : max);
}

qd_cpu qd_cpu_level_set(qd_cpu max)
{
    qd_cpu before = qd_cpu_level();
    atomic_store(&cap, (int)max);
    return before;
}

const char *qd_cpu_name(qd_cpu level)
{
    return level == QD_CPU_V4 ? "v4" : level == QD_CPU_V3 ? "v3" : "v2";
}

unsigned qd_cpu_count(void)
{
    static _Atomic unsigned count;
    unsigned n = atomic_load_explicit(&count, memory_order_relaxed);
    if (n) return n;
    cpu_set_t set;
    CPU_ZERO(&set);
    n = sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    unsigned quota = qdi_cgroup_cpus();
    if (quota && quota < n) n = quota;
    if (n == 0) n = 1;
    atomic_store_explicit(&count, n, memory_order_relaxed);
    return n;
}
