/*
 * host.h: the plugin host of one node: loads plugins, starts and stops them, answers who provides
 * what. A process may hold several (simulated nodes, tools).
 *
 * Life: open, builtin (any number), load, start ... stop, close, all on one thread. Look-ups [any]
 * between load and close. A refused plugin is no error of load: it stays in the list with its
 * reason, and qd_plugin_need tells it when something in the configuration needs that plugin.
 */
#ifndef QD_PLUGIN_HOST_H
#define QD_PLUGIN_HOST_H

#include "base/err.h"
#include "base/mem.h"
#include "config/settings.h"
#include "runtime/loop.h"
#include "runtime/pool.h"
#include <quidditch/abi.h>

typedef struct qd_plugin_host qd_plugin_host;
struct qd_json_reader;
struct qd_tasks;
struct qd_json_writer;

/* Bytes that a plugin may hold. */
typedef struct qd_plugin_limit {
    qd_str plugin;
    int64_t bytes;
} qd_plugin_limit;

/* How to open a host. Everything is borrowed for the call, but env, loop and pool, which are kept.
 */
typedef struct qd_plugin_host_config {
    qd_env *env;
    qd_loop *loop;       /* where plugins' posts and timers run; NULL: there is none (tools) */
    qd_pool *pool;       /* `generic`, for the work service; NULL: there is none */
    uint64_t flags;      /* QD_HOST_* */
    uint32_t uv_version; /* uv_version() of this process; 0: no uv service */
    const qd_str *paths; /* folders, searched in this order */
    size_t npaths;
    bool build_tree;     /* the first folder is the build tree's: loose permissions are a warning */
    const qd_str *allow; /* plugins.allow, in order: the only names that are loaded */
    size_t nallow;
    bool allow_unstable;   /* plugins.allow_unstable */
    const qd_pair *sha256; /* plugins.sha256.<name>: 64 hex digits; names given must match */
    size_t nsha256;
    bool require_signature;   /* plugins.require_signature: NAME.so.sig by a key of trust_dir */
    qd_str trust_dir;         /* plugins.trust.d: Ed25519 public keys, *.pem */
    uint64_t call_timeout_ns; /* plugins.call_timeout (guest.h); 0: 5 s */
    int64_t memory_limit;     /* plugins.memory.limit: bytes of each plugin; 0: none */
    const qd_plugin_limit *limits; /* plugins.memory.limits.<name>, in its place */
    size_t nlimits;
    const qd_pair *settings; /* "plugin.<name>.<key>": text; of a list one pair an element */
    size_t nsettings;
} qd_plugin_host_config;

/* Its clock. [any] */
qd_env *qd_plugin_host_env(const qd_plugin_host *host);
/* Opens an empty host. 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qd_plugin_host_open(const qd_plugin_host_config *config, qd_plugin_host **out, qd_err *err);
/* Stops what runs and frees the host; code of plugins stays mapped. NULL is fine. [worker] */
void qd_plugin_host_close(qd_plugin_host *h);
/* Offers a service table of a higher module (QD_SERVICE_ACTION); before load. table is kept. */
void qd_plugin_host_service(qd_plugin_host *h, uint32_t id, const qd_vtable *table);
/* Where the jobs of plugins are listed and cancelled; before load. NULL: nowhere. tasks is kept. */
void qd_plugin_host_tasks(qd_plugin_host *h, struct qd_tasks *tasks);
/* What the functions of a service get by qd_plugin_service_arg; may be set later than the table.
 * [any] */
void qd_plugin_host_service_arg(qd_plugin_host *h, uint32_t id, void *arg);
/* The same, from the plugin that calls a service. NULL when none was set. [any] */
void *qd_plugin_service_arg(const qd_self *self, uint32_t id);
/* Name of a plugin. [any] */
const char *qd_plugin_self_name(const qd_self *self);
/* The host that loaded it; NULL for NULL. [any] */
const qd_plugin_host *qd_plugin_self_host(const qd_self *self);
/* What the plugin's memory is charged to; NULL: it is built in. [any] */
qd_account *qd_plugin_self_account(qd_self *self);
/* Registers a built-in part through its descriptor (kept) and runs its init. An error is a defect
 * of the program or of the configuration (bad settings) and is returned. */
QD_MUST_CHECK
int qd_plugin_builtin(qd_plugin_host *h, const qd_plugin *plugin, qd_err *err);
/* Reads the folder, checks, sorts, loads and initialises every allowed plugin. Refusals are logged
 * and kept. Errors: QD_E_NOMEM; QD_E_CONFIG when a settings block or a limit names a plugin that is
 * not there or was refused (the configuration needs it). [worker] */
QD_MUST_CHECK
int qd_plugin_host_load(qd_plugin_host *h, qd_err *err);
/* Starts all in order of dependencies. The first failure stops those started and is returned.
 * [worker] */
QD_MUST_CHECK
int qd_plugin_host_start(qd_plugin_host *h, qd_err *err);
/* Stops all in reverse order; waits for each. Needs the loop, if any, to run on another thread.
 * [worker] */
void qd_plugin_host_stop(qd_plugin_host *h);

/* Who provides `name` of a kind: the host's copy of the vtable, and the plugin's self for calls of
 * open. NULL when nobody does. [any] */
const void *qd_plugin_find(const qd_plugin_host *h, uint32_t kind, qd_str name, qd_self **self);
/* The same for what the configuration needs: QD_E_PLUGIN says what was wanted by whom (`wanted_by`,
 * a setting's name) and, if a plugin that would provide it was refused, why. [any] */
QD_MUST_CHECK
int qd_plugin_need(const qd_plugin_host *h, uint32_t kind, qd_str name, const char *wanted_by,
                   const void **vtable, qd_self **self, qd_err *err);
/* Name of the refused plugin that most likely would provide it, and in *reason why it was refused;
 * NULL when there is none. As long as h. [any] */
const char *qd_plugin_refused(const qd_plugin_host *h, uint32_t kind, qd_str name,
                              const char **reason);
/* Steps through what is provided of a kind, in order of registration: start with *pos = 0; NULL at
 * the end. [any] */
const void *qd_plugin_next(const qd_plugin_host *h, uint32_t kind, size_t *pos, qd_str *name,
                           qd_self **self);
/* Name of a kind ("storage"), NULL when unknown. */
const char *qd_plugin_kind_name(uint32_t kind);
/* Kind by name, 0 when unknown. */
uint32_t qd_plugin_kind_of(qd_str name);

typedef enum qd_plugin_state {
    QD_PLUGIN_REFUSED, /* see reason */
    QD_PLUGIN_LOADED,
    QD_PLUGIN_STARTED,
    QD_PLUGIN_STOPPED,
} qd_plugin_state;

/* What _cat/plugins, _nodes/plugins, the log and `qd plugin list` show. */
typedef struct qd_plugin_info {
    qd_plugin_state state;
    bool builtin;
    bool absent;                          /* refused, as it is allowed but not installed */
    const char *name, *version, *license; /* never NULL */
    const char *file;                     /* empty: built-in */
    const char *sha256;                   /* hex; empty: built-in or unread */
    const char *reason;                   /* of a refusal */
    const qd_plugin_conf *conf;           /* the host's copy; NULL: no settings */
    uint32_t kinds;                       /* bits 1 << QD_KIND_* of what it provides or announces */
    int64_t memory;                       /* bytes in use through the mem service */
    qd_self *self;
} qd_plugin_info;

/* Plugins known: built-in, loaded, refused. [any] */
size_t qd_plugin_count(const qd_plugin_host *h);
/* The i-th, in order of loading, refused ones last. Views live as long as the host. [any] */
void qd_plugin_info_get(const qd_plugin_host *h, size_t i, qd_plugin_info *out);

/* One metric of a plugin, for the exposition. */
typedef struct qd_plugin_metric_view {
    const char *plugin, *name, *help;
    int32_t type;           /* QD_METRIC_* */
    int64_t value;          /* counter, gauge; histogram: count */
    double sum;             /* histogram */
    const double *bounds;   /* histogram: upper bounds of buckets */
    const uint64_t *counts; /* of each bucket, not cumulated; nbounds + 1 */
    uint32_t nbounds;
} qd_plugin_metric_view;
/* Calls each() for every metric. [any] */
void qd_plugin_metrics_each(const qd_plugin_host *h,
                            void (*each)(void *arg, const qd_plugin_metric_view *m), void *arg);

/* What a plugin uses of the node, for people. */
typedef struct qd_plugin_usage {
    const char *plugin;
    int64_t memory;           /* bytes that it keeps by the mem service */
    int64_t memory_limit;     /* 0: none */
    uint64_t memory_refused;  /* allocations over the limit */
    uint32_t calls_left;      /* its calls that searches have left, and that have not returned; */
    uint32_t calls_over_time; /* those of them over plugins.call_timeout (guest.h) */
} qd_plugin_usage;
/* Calls each() for every loaded plugin that is not built in. [any] */
void qd_plugin_usage_each(const qd_plugin_host *h,
                          void (*each)(void *arg, const qd_plugin_usage *u), void *arg);

/* May a request set a dynamic setting "plugin.<name>.<key>"? 0, or why not: QD_E_ARG in
 * Elasticsearch's words for one that is unknown or not dynamic (what: "persistent" or "transient"),
 * the refusal of the schema, or the plugin's own. The plugin's call is one of guest.h. [worker] */
QD_MUST_CHECK
int qd_plugin_setting_check(qd_plugin_host *h, const qd_setting_value *v, const char *what,
                            qd_err *err);
/* Gives every dynamic setting of the plugins its value: the transient one, else the persistent one,
 * else what it had at the start; NULL: there are none. All have it when this returns; plugins whose
 * value has changed are told on the pool. What cannot be applied stays as it was, with a line in
 * the log. On one thread at a time. [worker] */
void qd_plugin_settings_apply(qd_plugin_host *h, const qd_settings *persistent,
                              const qd_settings *transient);

/* Puts what the settings of plugins have without the cluster's: of the configuration, or their
 * defaults; no secrets. QD_E_NOMEM, QD_E_LIMIT. [any] */
QD_MUST_CHECK
int qd_plugin_settings_defaults(const qd_plugin_host *h, qd_settings *to, qd_err *err);
/* Is "plugin.<name>.<key>" a setting that is never shown? h NULL: no. [any] */
bool qd_plugin_setting_secret(const qd_plugin_host *h, qd_str key);

/* A reader or writer of ours as plugins see it: the same object under an opaque name. */
static inline qd_json_in *qd_plugin_json_in(struct qd_json_reader *r)
{
    return (qd_json_in *)r;
}
/* The same for a writer. */
static inline qd_json_out *qd_plugin_json_out(struct qd_json_writer *w)
{
    return (qd_json_out *)w;
}

/* Injected failures of the fault service, for tests: fn(arg, plugin, point) returns 0 or an error.
 */
void qd_plugin_host_fault(qd_plugin_host *h,
                          int32_t (*fn)(void *arg, const char *plugin, const char *point),
                          void *arg);

/* Everything that can be said of a file without running its code: what the loader refuses goes to
 * err (QD_E_PLUGIN, QD_E_ABI, QD_E_PERMISSION, QD_E_IO) with file, wanted, found, remedy. elf and
 * sha256 (65 bytes) may be NULL. For `qd plugin check`. [worker] */
struct qd_elf;
QD_MUST_CHECK
int qd_plugin_file_check(const qd_plugin_host_config *config, const char *file, struct qd_elf *elf,
                         char *sha256, qd_err *err);

/* The product's build id: the plugins of one build carry it. */
const char *qd_plugin_build_id(void);

#endif
