/*
 * watch.c: see watch.h.
 *
 * states: REST -> OPEN (an exchange runs) -> WAIT (back-off) -> OPEN ... ; GONE_WAIT is the
 * back-off before relist is told again. Callbacks may stop the watch: after each of them the state
 * is asked.
 */
#include "watch.h"
#include "lenient.h"
#include <stdio.h>
#include <string.h>

enum { REST, OPEN, WAIT, GONE_WAIT };
enum { SERVER_SECONDS_MIN = 300, SERVER_SECONDS_SPREAD = 300, GRACE_SECONDS = 15 };
#define FIRST_WAIT_NS (KUBE_SECOND_NS / 4)
#define MAX_WAIT_NS (10 * KUBE_SECOND_NS)
#define IDLE_NS (120 * KUBE_SECOND_NS)
#define LIVED_NS (30 * KUBE_SECOND_NS)
/* What line() returns to end a connection. */
enum { ENDED = 1 };

static const kube_env *env_of(const kube_watch *w)
{
    return kube_client_env(w->client);
}

static void set_timer(kube_watch *w, int64_t delay_ns)
{
    const kube_env *env = env_of(w);
    env->timer_set(env->arg, &w->timer, env->mono_ns(env->arg) + delay_ns);
}

static int64_t wait_ns(const kube_watch *w)
{
    int64_t wait = kube_backoff_ns(env_of(w), w->failures,
                                   w->first_wait_ns > 0 ? w->first_wait_ns : FIRST_WAIT_NS,
                                   w->max_wait_ns > 0 ? w->max_wait_ns : MAX_WAIT_NS);
    int64_t asked = w->result.retry_after_ns;
    if (asked > 600 * KUBE_SECOND_NS) asked = 600 * KUBE_SECOND_NS;
    return asked > 0 ? wait + asked : wait;
}

static int32_t set_version(kube_watch *w, const char *version)
{
    size_t n = strlen(version);
    if (n == 0 || n >= sizeof w->resource_version) return QD_E_ARG;
    memmove(w->resource_version, version, n + 1);
    return 0;
}

/* Tells that the connection is there or gone, once each. */
static void tell(kube_watch *w, int32_t yes)
{
    if (w->open_told == yes) return;
    w->open_told = yes;
    if (w->connected) w->connected(w, yes);
}

/* The connection is over: what now? Runs outside the exchange's callbacks' own work. */
static void after(kube_watch *w)
{
    const kube_env *env = env_of(w);
    /* one that was accepted and lived was none */
    if (w->open_told && env->mono_ns(env->arg) - w->opened_ns >= LIVED_NS) w->failures = 0;
    int64_t wait = wait_ns(w);
    int32_t was = w->failures++ > 0;
    if (!was && !w->open_told && !w->gone)
        kube_log(env, QD_LEVEL_WARN, "watch of %s%s%s: %s; trying again", w->plural,
                 w->name ? " " : "", w->name ? w->name : "", w->result.message);
    kube_lines_clear(&w->lines);
    w->state = w->gone ? GONE_WAIT : WAIT;
    set_timer(w, w->gone && !was ? 0 : wait);
    tell(w, 0);
}

/* --- lines --- */

static int32_t broken(kube_watch *w, const char *what)
{
    memset(&w->result, 0, sizeof w->result);
    w->result.outcome = KUBE_UNKNOWN;
    w->result.retry_after_ns = -1;
    (void)snprintf(w->result.message, sizeof w->result.message, "%s", what);
    return ENDED;
}

/* An event of type ERROR: a Status. */
static int32_t on_error(kube_watch *w, const json_t *status)
{
    const char *message = json_string_value(json_object_get(status, "message"));
    const char *reason = json_string_value(json_object_get(status, "reason"));
    (void)broken(w, message ? message : "the watch failed");
    w->result.code = (int32_t)json_integer_value(json_object_get(status, "code"));
    (void)snprintf(w->result.reason, sizeof w->result.reason, "%.63s", reason ? reason : "");
    w->gone = w->result.code == 410;
    return ENDED;
}

static int32_t type_of(const char *type)
{
    static const char *const names[] = {"", "ADDED", "MODIFIED", "DELETED", "BOOKMARK"};
    for (int32_t i = 1; type && i < 5; i++)
        if (strcmp(type, names[i]) == 0) return i;
    return 0;
}

static int32_t on_line(void *arg, qd_str line)
{
    kube_watch *w = arg;
    json_error_t error;
    json_t *event = kube_json(line.p, line.n, &error);
    const char *type = json_string_value(json_object_get(event, "type"));
    json_t *object = json_object_get(event, "object");
    int32_t rc = 0, kind = type_of(type);
    if (type && strcmp(type, "ERROR") == 0) {
        rc = on_error(w, object);
    } else if (!json_is_object(object)) {
        rc = broken(w, "an event of the watch cannot be read");
    } else if (kind && set_version(w, kube_object_version(object))) {
        rc = broken(w, "an event of the watch has no resourceVersion");
    } else if (kind) {
        w->failures = 0;
        w->event(w, kind, object);
        if (w->state != OPEN) rc = ENDED;
    }
    json_decref(event);
    return rc;
}

/* --- the exchange --- */

static void on_chunk(kube_exchange *x, qd_str bytes)
{
    kube_watch *w = x->user;
    int64_t idle = w->idle_ns > 0 ? w->idle_ns : IDLE_NS;
    w->inside++;
    set_timer(w, idle);
    tell(w, 1);
    int32_t rc = 0;
    if (w->state == OPEN) rc = kube_lines_feed(&w->lines, bytes);
    w->inside--;
    if (w->state != OPEN) {
        kube_lines_clear(&w->lines); /* stopped from inside */
        return;
    }
    if (rc == 0) return;
    if (rc == QD_E_TOO_LARGE) {
        /* it would come again and again: the owner reads the object by itself */
        (void)broken(w, "an event of the watch is too large");
        w->gone = 1;
    } else if (rc == QD_E_NOMEM) {
        (void)broken(w, "there is no memory for an event of the watch");
    }
    kube_transport *t = kube_client_transport(w->client);
    (void)t->cancel(t, x);
    after(w);
}

static void on_done(kube_exchange *x)
{
    kube_watch *w = x->user;
    if (x->outcome == KUBE_ANSWERED && x->status >= 200 && x->status < 300) {
        (void)broken(w, "the server ended the watch");
        w->result.code = x->status;
    } else {
        kube_result_read(&w->result, x);
        kube_result_clear(&w->result);
        w->gone = w->result.code == 410;
    }
    after(w);
}

static void go_on(kube_watch *w)
{
    kube_transport *t = kube_client_transport(w->client);
    const kube_env *env = env_of(w);
    uint32_t seconds =
        SERVER_SECONDS_MIN + (uint32_t)(env->random(env->arg) % SERVER_SECONDS_SPREAD);
    char version[3 * KUBE_VERSION_MAX];
    (void)kube_encode(version, sizeof version, w->resource_version);
    (void)snprintf(w->target, sizeof w->target, "%s&timeoutSeconds=%u&resourceVersion=%s", w->path,
                   (unsigned)seconds, version);
    w->exchange = (kube_exchange){.method = "GET",
                                  .target = w->target,
                                  .timeout_ns = (seconds + GRACE_SECONDS) * KUBE_SECOND_NS,
                                  .answer_max = 1 << 20,
                                  .chunk = on_chunk,
                                  .done = on_done,
                                  .user = w};
    w->gone = 0;
    w->state = OPEN;
    w->opened_ns = env->mono_ns(env->arg);
    if (t->start(t, &w->exchange) == 0) {
        set_timer(w, w->idle_ns > 0 ? w->idle_ns : IDLE_NS);
        return;
    }
    (void)broken(w, "the watch could not be started");
    after(w);
}

static void on_timer(kube_timer *timer)
{
    kube_watch *w = timer->user;
    kube_transport *t = kube_client_transport(w->client);
    switch (w->state) {
    case OPEN:
        (void)t->cancel(t, &w->exchange);
        (void)broken(w, "the watch was silent for too long");
        after(w);
        return;
    case WAIT:
        go_on(w);
        return;
    case GONE_WAIT:
        w->state = REST;
        w->relist(w);
        return;
    default:
        return;
    }
}

/* "&key=value" behind the path, encoded. */
static int32_t put_query(kube_watch *w, const char *key, const char *value)
{
    size_t n = strlen(w->path);
    int k = snprintf(w->path + n, sizeof w->path - n, "&%s=", key);
    if (k < 0 || (size_t)k >= sizeof w->path - n) return QD_E_ARG;
    return kube_encode(w->path + n + k, sizeof w->path - n - (size_t)k, value);
}

int32_t kube_watch_start(kube_client *c, kube_watch *w, const char *resource_version)
{
    char one[512];
    int32_t rc;
    if (w->state != REST || w->inside) return QD_E_STATE;
    if (!w->event || !w->relist || !w->group || !w->version || !w->plural) return QD_E_ARG;
    w->client = c;
    w->failures = 0;
    w->gone = w->open_told = 0;
    w->lines =
        (kube_lines){.env = env_of(w), .max = KUBE_WATCH_LINE_MAX, .line = on_line, .arg = w};
    w->timer = (kube_timer){.fired = on_timer, .user = w};
    rc = kube_path(w->path, w->group, w->version, w->ns, w->plural, NULL, NULL,
                   "watch=1&allowWatchBookmarks=true");
    if (rc) return rc;
    if (w->name) {
        int n = snprintf(one, sizeof one, "metadata.name=%s", w->name);
        if (n < 0 || (size_t)n >= sizeof one) return QD_E_ARG;
        if ((rc = put_query(w, "fieldSelector", one))) return rc;
    }
    if (w->labels && (rc = put_query(w, "labelSelector", w->labels))) return rc;
    return kube_watch_resume(w, resource_version);
}

int32_t kube_watch_resume(kube_watch *w, const char *resource_version)
{
    if (w->state != REST || !w->client) return QD_E_STATE;
    if (set_version(w, resource_version)) return QD_E_ARG;
    /* by the timer: the first connection too begins outside the caller's own work */
    w->state = WAIT;
    set_timer(w, 0);
    return 0;
}

void kube_watch_stop(kube_watch *w)
{
    const kube_env *env;
    if (!w->client) return;
    env = env_of(w);
    env->timer_clear(env->arg, &w->timer);
    if (w->state == OPEN) {
        kube_transport *t = kube_client_transport(w->client);
        (void)t->cancel(t, &w->exchange);
    }
    w->state = REST;
    if (!w->inside) kube_lines_clear(&w->lines);
}
