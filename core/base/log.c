/* log.c: levels by component, one sink. See log.h. */
#include "base/log.h"
#include "base/str.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#define COMPONENTS_MAX 64
#define LINE_MAX_BYTES 8192
#define LEVEL_OF_ALL (-1) /* of a component whose own level was taken away */

static _Atomic(qd_log_sink) sink_fn; /* set last, read first: signals come at any time */
static void *sink_arg;
static int64_t (*clock_fn)(void);
static _Atomic int root_level = QD_LOG_INFO;
/* Own levels: filled from the front, names are set once, levels may change at any time. */
static struct {
    _Atomic(const char *) name;
    _Atomic int level;
} own[COMPONENTS_MAX];

static const char *const names[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "OFF"};

void qd_log_init(qd_log_sink sink, void *arg, int64_t (*wall_ms)(void))
{
    sink_arg = arg;
    clock_fn = wall_ms;
    atomic_store(&sink_fn, sink);
}

void qd_log_level_set(const char *component, qd_log_level level)
{
    if (!component) {
        atomic_store(&root_level, level);
        return;
    }
    for (size_t i = 0; i < COMPONENTS_MAX; i++) {
        const char *at = atomic_load(&own[i].name);
        if (!at) {
            atomic_store(&own[i].level, level);
            if (atomic_compare_exchange_strong(&own[i].name, &at, component)) return;
        }
        if (strcmp(at, component) == 0) {
            atomic_store(&own[i].level, level);
            return;
        }
    }
}

void qd_log_levels_reset(void)
{
    for (size_t i = 0; i < COMPONENTS_MAX && atomic_load(&own[i].name); i++)
        atomic_store(&own[i].level, LEVEL_OF_ALL);
}

bool qd_log_on(const char *component, qd_log_level level)
{
    for (size_t i = 0; i < COMPONENTS_MAX; i++) {
        const char *at = atomic_load_explicit(&own[i].name, memory_order_acquire);
        if (!at) break;
        if (strcmp(at, component) != 0) continue;
        int mine = atomic_load(&own[i].level);
        if (mine == LEVEL_OF_ALL) break;
        return (int)level >= mine;
    }
    return (int)level >= atomic_load_explicit(&root_level, memory_order_relaxed);
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
