/* log.c: levels by component, one sink. See log.h. */
#include "base/log.h"
#include "base/hash.h"
#include "base/str.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#define COMPONENTS_MAX 64
#define LINE_MAX_BYTES 8192

static _Atomic(qd_log_sink) sink_fn; /* set last, read first: signals come at any time */
static void *sink_arg;
static int64_t (*clock_fn)(void);
static _Atomic int root_level = QD_LOG_INFO;
/* Own levels, filled from the front, of components by the hash of their names: nothing is to be
 * freed, and those that are not used any more are taken by others. Readers take no lock: while
 * levels change a line may go by the old one. */
static struct {
    _Atomic uint64_t hash;
    _Atomic int level;
} own[COMPONENTS_MAX];
static _Atomic uint32_t owned;
static atomic_flag changing = ATOMIC_FLAG_INIT;

static const char *const names[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "OFF"};

void qd_log_init(qd_log_sink sink, void *arg, int64_t (*wall_ms)(void))
{
    sink_arg = arg;
    clock_fn = wall_ms;
    atomic_store(&sink_fn, sink);
}

static uint64_t hash_of(const char *component)
{
    return qd_xxh3(component, strlen(component));
}

bool qd_log_level_set(const char *component, qd_log_level level)
{
    if (!component) {
        atomic_store(&root_level, level);
        return true;
    }
    uint64_t hash = hash_of(component);
    while (atomic_flag_test_and_set(&changing)) continue;
    uint32_t n = atomic_load(&owned), i = 0;
    while (i < n && atomic_load(&own[i].hash) != hash) i++;
    bool room = i < COMPONENTS_MAX;
    if (room) {
        atomic_store(&own[i].level, level);
        atomic_store(&own[i].hash, hash);
        if (i == n) atomic_store(&owned, n + 1);
    }
    atomic_flag_clear(&changing);
    return room;
}

void qd_log_levels_reset(void)
{
    while (atomic_flag_test_and_set(&changing)) continue;
    atomic_store(&owned, 0);
    atomic_flag_clear(&changing);
}

bool qd_log_on(const char *component, qd_log_level level)
{
    uint32_t n = atomic_load_explicit(&owned, memory_order_acquire);
    uint64_t hash = n ? hash_of(component) : 0;
    for (uint32_t i = 0; i < n; i++) {
        if (atomic_load(&own[i].hash) == hash) return (int)level >= atomic_load(&own[i].level);
    }
    return (int)level >= atomic_load_explicit(&root_level, memory_order_relaxed);
}

const char *qd_log_component_at(size_t i)
{
    static const char *const all[] = {
#define QD_LOG_COMPONENT(name) name,
#include "base/log_components.def"
#undef QD_LOG_COMPONENT
    };
    return i < QD_COUNT_OF(all) ? all[i] : NULL;
}

bool qd_log_level_parse(qd_str name, qd_log_level *out)
{
    for (size_t i = 0; i < QD_COUNT_OF(names); i++) {
        if (qd_str_ieq(name, qd_str_c(names[i]))) {
            *out = (qd_log_level)i;
            return true;
        }
    }
    return false;
}

const char *qd_log_level_name(qd_log_level level)
{
    return names[level];
}

void qd_log_write(const char *component, qd_log_level level, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n < 0) return;
    size_t len = (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    for (size_t i = 0; i < len; i++) { /* one event stays one line */
        if (line[i] == '\n' || line[i] == '\r') line[i] = ' ';
    }
    qd_log_sink sink = atomic_load_explicit(&sink_fn, memory_order_acquire);
    if (sink) {
        sink(sink_arg, clock_fn ? clock_fn() : 0, level, component, (qd_str){line, len});
    } else {
        fprintf(stderr, "[%s][%s] %s\n", names[level], component, line);
    }
}
