/*
 * log.h: one line for each event: time, level, component, message.
 *
 * Components are static names ("engine", "discovery"); each has a level that may change at run
 * time. The sink and the clock are set once by main, before other threads start; without them lines
 * go to stderr without a time. [any]
 */
#ifndef QD_BASE_LOG_H
#define QD_BASE_LOG_H

#include "base/assert.h"
#include <quidditch/types.h>

typedef enum qd_log_level {
    QD_LOG_TRACE,
    QD_LOG_DEBUG,
    QD_LOG_INFO,
    QD_LOG_WARN,
    QD_LOG_ERROR,
    QD_LOG_FATAL,
    QD_LOG_OFF,
} qd_log_level;

/* Receives a formatted line without time or newline. Must not log. */
typedef void (*qd_log_sink)(void *arg, int64_t wall_ms, qd_log_level level, const char *component,
                            qd_str message);

/* Installs sink and clock (wall time in ms); NULL sink: stderr. Not thread-safe: at start only. */
void qd_log_init(qd_log_sink sink, void *arg, int64_t (*wall_ms)(void));
/* Sets the level of one component (NULL: of all without their own); the name is not kept. false: 64
 * others have one already, this one has that of all. [any] */
bool qd_log_level_set(const char *component, qd_log_level level);
/* Every component has the level of all again, as if none had its own. */
void qd_log_levels_reset(void);
/* Would a line of this level be written? */
bool qd_log_on(const char *component, qd_log_level level);
/* The i-th component by name (log_components.def); NULL behind the last. */
const char *qd_log_component_at(size_t i);
/* Level by name ("info", any case); false when unknown. */
bool qd_log_level_parse(qd_str name, qd_log_level *out);
/* Name of a level in upper case. */
const char *qd_log_level_name(qd_log_level level);
/* Writes one line; use the macros below. */
void qd_log_write(const char *component, qd_log_level level, const char *fmt, ...) QD_PRINTF(3, 4);

#define qd_log(component, level, ...)                                                              \
    do {                                                                                           \
        if (qd_log_on((component), (level))) qd_log_write((component), (level), __VA_ARGS__);      \
    } while (0)
#define qd_log_debug(component, ...) qd_log((component), QD_LOG_DEBUG, __VA_ARGS__)
#define qd_log_info(component, ...) qd_log((component), QD_LOG_INFO, __VA_ARGS__)
#define qd_log_warn(component, ...) qd_log((component), QD_LOG_WARN, __VA_ARGS__)
#define qd_log_error(component, ...) qd_log((component), QD_LOG_ERROR, __VA_ARGS__)

#endif
