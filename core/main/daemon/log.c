/*
 * log.c: log lines to a standard stream and path.logs, as Elasticsearch's text or as
 * JSON.
 *
 * [2026-01-31T12:00:00,123][INFO ][engine         ] [node-1] message
 *
 * A line is one write to a file opened for appending, so that lines of several threads do not mix
 * without a lock. SIGHUP opens the file anew (rotation) and reads the levels again.
 */
#include "base/log.h"
#include "main/daemon/node.h"
#include "runtime/crash.h"
#include "runtime/proc.h"
#include "json/writer.h"
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define LINE_BYTES_MAX (32u << 10)
#define COMPONENT_MAX 256
#define LEVEL_GROUP QD_STR("logger.")

static struct {
    qd_node *node;
    qd_file_out *file, *stream; /* file NULL: not written */
    atomic_bool to_stream;      /* logger.stderr, which may change */
    bool json;
} out;

static int64_t now_ms(void)
{
    return qd_env_wall_ms(qd_env_system());
}

/* ISO 8601 with milliseconds in UTC; mark stands before them. */
static size_t put_time(char *to, size_t room, int64_t wall_ms, char mark, const char *zone)
{
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;
    if (!gmtime_r(&s, &tm)) return 0;
    size_t n = strftime(to, room, "%Y-%m-%dT%H:%M:%S", &tm);
    int k = snprintf(to + n, room - n, "%c%03d%s", mark, (int)(wall_ms % 1000), zone);
    return n + (size_t)k;
}

static void put_text(qd_buf *b, int64_t wall_ms, qd_log_level level, const char *component,
                     qd_str message)
{
    char when[64];
    put_time(when, sizeof when, wall_ms, ',', "");
    qd_buf_printf(b, "[%s][%-5s][%-15s] [%s] ", when, qd_log_level_name(level), component,
                  out.node->name);
    qd_buf_str(b, message);
}

static void put_json(qd_buf *b, int64_t wall_ms, qd_log_level level, const char *component,
                     qd_str message)
{
    char when[64];
    put_time(when, sizeof when, wall_ms, '.', "Z");
    qd_json_writer w;
    qd_json_writer_init(&w, b, false);
    qd_json_object(&w);
    qd_json_field_c(&w, "@timestamp", when);
    qd_json_field_c(&w, "log.level", qd_log_level_name(level));
    qd_json_field_str(&w, "message", message);
    qd_json_field_c(&w, "ecs.version", "1.2.0");
    qd_json_field_c(&w, "service.name", "quidditch");
    qd_json_field_c(&w, "event.dataset", "quidditch.server");
    qd_json_field_c(&w, "log.logger", component);
    qd_json_field_str(&w, "elasticsearch.cluster.name",
                      qd_config_text(out.node->config, QD_SET_CLUSTER_NAME));
    qd_json_field_c(&w, "elasticsearch.node.name", out.node->name);
    qd_json_object_end(&w);
}

static void sink(void *arg, int64_t wall_ms, qd_log_level level, const char *component,
                 qd_str message)
{
    (void)arg;
    qd_buf b;
    qd_buf_init(&b, NULL, LINE_BYTES_MAX);
    if (out.json)
        put_json(&b, wall_ms, level, component, message);
    else
        put_text(&b, wall_ms, level, component, message);
    qd_buf_char(&b, '\n');
    /* A full disk or closed terminal must not stop the node: there is nobody left to tell. */
    if (qd_buf_status(&b) == 0) {
        if (out.file) (void)!qd_file_out_write(out.file, b.p, b.n, NULL);
        if (atomic_load_explicit(&out.to_stream, memory_order_relaxed))
            (void)!qd_file_out_write(out.stream, b.p, b.n, NULL);
    }
    qd_buf_fini(&b);
}

/* Elasticsearch calls what is of no component _root. */
static void set_component(qd_str name, qd_str level_name)
{
    qd_log_level level;
    char component[COMPONENT_MAX];
    if (!qd_log_level_parse(level_name, &level)) return;
    int n = snprintf(component, sizeof component, "%.*s", QD_STR_ARG(name));
    if (qd_str_is(name, "_root")) {
        qd_log_level_set(NULL, level);
    } else if (n < 0 || (size_t)n >= sizeof component || !qd_log_level_set(component, level)) {
        qd_log_warn("settings",
                    "logger.%.*s has no effect: the name is too long, or too many have "
                    "levels of their own",
                    QD_STR_ARG(name));
    }
}

/* Where lines go, of the node's own and of one that crashes. */
static void apply_stream(const qd_values *next)
{
    bool on = !out.file || qd_values_bool(next, QD_SET_LOGGER_STDERR);
    atomic_store(&out.to_stream, on);
    qd_crash_output(qd_file_out_descriptor(out.file), on ? qd_file_out_descriptor(out.stream) : -1,
                    out.json, qd_str_c(out.node->name), qd_values_text(next, QD_SET_CLUSTER_NAME));
}

static void apply(void *arg, const qd_values *next)
{
    (void)arg;
    apply_stream(next);
    qd_log_level level;
    if (qd_log_level_parse(qd_values_text(next, QD_SET_LOGGER_LEVEL), &level))
        qd_log_level_set(NULL, level);
    qd_log_levels_reset();
    const qd_settings *s = qd_values_settings(next);
    size_t n, first = qd_settings_group(s, LEVEL_GROUP, &n);
    for (size_t i = first; i < first + n; i++) {
        const qd_setting_value *v = qd_settings_at(s, i);
        if (qd_schema_find(&qd_schema_node, v->key, NULL)->type == QD_ST_GROUP)
            set_component(qd_str_sub(v->key, LEVEL_GROUP.n, SIZE_MAX), v->text);
    }
}

static int open_file(qd_node *node, qd_err *err)
{
    char path[QD_PATH_MAX + 300];
    int rc = qd_dir_make(node->logs, 0700, err);
    if (rc != 0) return rc;
    snprintf(path, sizeof path, "%s/%.200s%s", node->logs,
             qd_config_text(node->config, QD_SET_CLUSTER_NAME).p,
             out.json ? "_server.json" : ".log");
    return qd_file_out_open(path, false, 0600, &out.file, err);
}

static void tell_none(void *arg, const qd_setting_value *v, const char *text)
{
    (void)arg;
    if (v->origin && v->line)
        qd_log_warn("settings", "%s (%s, line %u)", text, v->origin, v->line);
    else
        qd_log_warn("settings", "%s (%s)", text, v->origin ? v->origin : "default of the role");
}

static int log_start(qd_node *node, qd_err *err)
{
    out.node = node;
    out.json = qd_str_is(qd_config_text(node->config, QD_SET_LOGGER_FORMAT), "json");
    int rc = node->logs[0] ? open_file(node, err) : 0;
    bool is_stdout = qd_str_is(qd_config_text(node->config, QD_SET_LOGGER_STREAM), "stdout");
    if (rc == 0) {
        rc = qd_file_out_open(is_stdout ? "-" : QD_FILE_STDERR, false, 0600, &out.stream, err);
    }
    if (rc == 0) rc = qd_config_listen(node->config, "logger.", NULL, apply, NULL, err);
    if (rc != 0) {
        qd_file_out_close(out.stream);
        qd_file_out_close(out.file);
        out.stream = out.file = NULL;
        return rc;
    }
    apply(NULL, qd_config_values(node->config));
    qd_log_init(sink, NULL, now_ms);
    qd_log_info("main", "quidditch %s, pid %lld, settings %s, data %s", QD_VERSION,
                (long long)qd_proc_pid(), node->conf_file[0] ? node->conf_file : "(defaults)",
                node->data);
    qd_schema_without_effect(&qd_schema_node, qd_config_settings(node->config), false, tell_none,
                             NULL);
    return 0;
}

static void log_reload(qd_node *node)
{
    qd_err err;
    (void)node;
    qd_err_init(&err);
    if (out.file && qd_file_out_reopen(out.file, &err) != 0)
        qd_log_error("main", "%s", qd_err_reason(&err));
    qd_err_fini(&err);
}

static void log_stop(qd_node *node)
{
    qd_log_info("main", "stopped");
    qd_log_init(NULL, NULL, NULL);
    qd_crash_output(-1, 2, false, qd_str_c(node->name), QD_STR(""));
    qd_file_out_close(out.file);
    qd_file_out_close(out.stream);
    out.file = out.stream = NULL;
}

const qd_step qd_step_log = {"log", NULL, log_start, log_stop, log_reload};
