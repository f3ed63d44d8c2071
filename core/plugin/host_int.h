/*
 * host_int.h: what the files of this module share: the host, a plugin in it (qd_self), the
 * registry.
 */
#ifndef QD_PLUGIN_HOST_INT_H
#define QD_PLUGIN_HOST_INT_H

#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "plugin/elf.h"
#include "plugin/host.h"
#include "runtime/sync.h"
#include "runtime/task.h"
#include <sys/types.h>

#define QD_PLUGIN_HOST_MAGIC 0x51504854u /* TPHQ */
#define QD_SELF_MAGIC 0x464c4553u        /* SELF */
#define QD_PLUGIN_DEPS_MAX 16
#define QD_PLUGIN_CONF_MAX 256
#define QD_PLUGIN_FILE_MAX (256u << 20)
#define QD_PLUGIN_ITEMS_MAX 64u /* of a list in the configuration */
#define QD_PLUGINS_MAX 256
#define QD_PLUGIN_VALUES_MAX (4u << 20) /* bytes of values of one plugin's dynamic settings */

/* A setting of a plugin with its value. */
typedef struct qd_plugin_value {
    qd_plugin_conf conf; /* the host's copy */
    bool set;            /* given or defaulted */
    qd_str text;         /* NUL-terminated; of a list, elements one after the other by NULs */
    int64_t i64;         /* bool, int, bytes, time, index of an enum */
    double f64;
    uint32_t nitems; /* of a list */
    /* Of a dynamic setting, under host->values: its present value (NULL: this one), and with it all
     * whose texts the plugin has read: it may keep them until it stops. */
    struct qd_plugin_value *now, *past;
    bool lent;           /* its text has been read */
    qd_arena arena;      /* of its texts, when it is one of past */
    _Atomic bool untold; /* it has changed, and the plugin has not been told yet */
} qd_plugin_value;

/* One plugin in one node. All texts are in the host's arena. */
struct qd_self {
    uint32_t magic;
    qd_plugin_host *host;
    _Atomic(qd_plugin_state) state;
    bool builtin;
    bool absent;      /* allowed, and no file of that name */
    bool init_called; /* its code may hold pointers into the process for ever */
    const char *name, *version, *license, *file, *sha256;
    const char *component; /* "plugin.<name>", of the log */
    const char *reason;
    bool build_tree;  /* its folder is the build tree's */
    qd_plugin plugin; /* the host's copy */
    qd_plugin_dep *deps;
    uint32_t ndeps;
    qd_plugin_value *values;
    uint32_t nvalues;
    qd_plugin_conf *schema; /* copy ending with key NULL, for info */
    uint32_t kinds;
    qd_account account, values_account; /* the latter: of the host's, for dynamic settings */
    void *data;
    void *handle; /* of dlopen */
    int32_t (*conf_check)(void *arg, const char *key, qd_str value, qd_err *err);
    void (*conf_apply)(void *arg, const char *key, qd_str value);
    void *conf_arg;
    uint32_t mark;      /* of the sort and of init */
    uint32_t announced; /* kinds of its note, while init runs */
    qd_self *under;     /* whose init is waiting for this one's; NULL: none */
    int start_rc;       /* start has failed */
    bool jobs_closed;   /* under the lock of the jobs */
    uint32_t search;    /* of lookup.c */
    const qd_self *via;
    qd_elf *elf; /* while loading */
    dev_t dev;
    ino_t ino;
};

/* What somebody provides. */
typedef struct qd_provided {
    qd_str name;
    qd_self *self;
    const void *vtable; /* the host's copy */
} qd_provided;

typedef QD_VEC(qd_self *) qd_self_list;

/* `from` has looked up something of `to`. */
typedef struct qd_plugin_edge {
    qd_self *from, *to;
} qd_plugin_edge;

/* A worker tells plugins of new values: they take their time, and what sets them does not wait. */
typedef struct qd_plugin_telling {
    qd_work work;
    qd_cond idle;
    bool active; /* submitted, or running */
    bool again;  /* values have changed since it looked at them */
    bool end;
    qd_task task; /* cancelled by the end */
} qd_plugin_telling;

struct qd_plugin_host {
    uint32_t magic;
    qd_plugin_host_config config; /* texts copied into the arena */
    qd_account account;
    qd_arena arena;
    qd_host table;        /* what plugins see */
    qd_self_list plugins; /* in order of loading */
    qd_self_list refused;
    QD_VEC(qd_provided) provided[QD_KIND_COUNT];
    qd_self *initialising;          /* provide is legal for it alone */
    const qd_self_list *sorted;     /* while they are initialised */
    _Atomic bool starting, started; /* started: all of them, for ever */
    const void *loader;             /* of lookup.c: the thread that has loaded them */
    QD_VEC(qd_plugin_edge) edges;   /* under lock */
    uint32_t search;                /* under lock */
    const qd_vtable *services[QD_SERVICE_COUNT];
    _Atomic(void *) service_args[QD_SERVICE_COUNT];
    qd_mutex lock;        /* metrics, pieces, edges, telling */
    struct piece *pieces; /* of the work service */
    qd_mutex values;      /* of dynamic settings; only qd_plugin_settings_apply changes them */
    qd_plugin_telling telling;
    qd_svc_uv uv;
    struct qd_plugin_metric *metrics, **metrics_end;
    struct qd_guests *guests;
    struct qd_jobs *jobs;
    struct qd_tasks *tasks; /* lists what jobs run; NULL: nobody does */
    int32_t (*fault)(void *arg, const char *plugin, const char *point);
    void *fault_arg;
};

/* A file opened for a check: its bytes, identity and hash. */
typedef struct qd_plugin_bytes {
    char path[4096];
    const uint8_t *p; /* mapped */
    size_t n;
    dev_t dev;
    ino_t ino;
    char sha256[65];
} qd_plugin_bytes;

/* A file in one of the folders. */
typedef struct qd_plugin_found {
    qd_str name; /* without ".so" */
    const char *file;
    bool build_tree;
} qd_plugin_found;
typedef QD_VEC(qd_plugin_found) qd_plugin_found_list;

/* file.c */
/* Opens and maps a plugin's file and hashes it, after looking at owner and mode of file and folder.
 */
QD_MUST_CHECK
int qdi_plugin_file_open(const char *path, bool build_tree, qd_plugin_bytes *out, qd_err *err);
/* Has one of the trusted keys signed the bytes (Ed25519, PATH.sig, 64 bytes)? QD_E_PERMISSION. */
QD_MUST_CHECK
int qdi_plugin_signature_check(const qd_plugin_bytes *b, qd_str trust_dir, bool build_tree,
                               qd_err *err);
/* Unmaps it. */
void qdi_plugin_file_close(qd_plugin_bytes *b);
/* Is the file at path still the one looked at? */
bool qdi_plugin_file_same(const char *path, dev_t dev, ino_t ino);
/* Appends the NAME.so of a folder, sorted by name; texts in the arena. */
QD_MUST_CHECK
int qdi_plugin_folder_list(qd_plugin_host *h, qd_str folder, bool build_tree,
                           qd_plugin_found_list *out, qd_err *err);

/* check.c */
/* [a-z0-9-]+, 1 to 63 bytes. */
bool qdi_plugin_name_ok(qd_str name);
/* All refusals that need only the bytes; name: the file's without ".so". */
QD_MUST_CHECK
int qdi_plugin_check_elf(const qd_plugin_host_config *config, const char *file, qd_str name,
                         const qd_elf *elf, const char *sha256, qd_err *err);
/* The descriptor against the note and the host; copies it, its deps and its schema into self. */
QD_MUST_CHECK
int qdi_plugin_adopt(qd_self *self, const qd_plugin *plugin, const qd_note *note, qd_err *err);
/* Compares "a.b.c" numbers part by part. */
int qdi_version_cmp(const char *a, const char *b);

/* registry.c */
int32_t qdi_provide(qd_self *self, uint32_t kind, const char *name, const void *vtable,
                    qd_err *err);
/* Forgets everything of self. */
void qdi_provided_drop(qd_self *self);
/* The host's version of a known kind. */
void qdi_kind_version(uint32_t kind, uint16_t *major, uint16_t *minor);

/* lookup.c */
int32_t qdi_lookup(qd_self *self, uint32_t kind, const char *name, uint16_t major, uint16_t minor,
                   const void **vtable, qd_self **owner, qd_err *err);
/* This thread loads or starts the plugins of h from now on (NULL: of none); what it did before. */
const qd_plugin_host *qdi_lookup_busy(const qd_plugin_host *h);
/* The calling thread loads the plugins of h. */
void qdi_lookup_loads(qd_plugin_host *h);
/* Forgets what self has looked up. */
void qdi_edges_drop(qd_self *self);
/* Marks as stopped the last one that runs and that no other running one has looked up: nobody looks
 * it up from now on. NULL: all are stopped. */
qd_self *qdi_stop_begin(qd_plugin_host *h);

/* loader.c: initialises those waiting that announce the kind, one after another, until one provides
 * the name. 0 also when none does; QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_init_announcing(qd_plugin_host *h, uint32_t kind, qd_str name, qd_err *err);
/* host.c: starts a plugin that is loaded, once. */
QD_MUST_CHECK
int qdi_start_one(qd_self *self, qd_err *err);

/* settings.c */
/* Parses self's values from the host's configuration by its schema. */
QD_MUST_CHECK
int qdi_settings_load(qd_self *self, qd_err *err);
/* Parses one text by a schema entry into v (texts into arena). */
QD_MUST_CHECK
int qdi_setting_parse(qd_arena *arena, const char *plugin, qd_plugin_value *v, const qd_str *texts,
                      size_t n, qd_err *err);
qd_plugin_value *qdi_setting_find(qd_self *self, const char *key);
/* The value that a setting has now: v, or a later one. Under host->values where it is dynamic. */
qd_plugin_value *qdi_setting_now(qd_plugin_value *v);
/* The part of "plugin.<name>.<key>" behind the plugin's name; {NULL,0}: it is not this one's. */
qd_str qdi_setting_key(const qd_self *self, qd_str key);
/* QD_E_CONFIG that names the setting most like it. */
int qdi_setting_unknown(qd_self *self, qd_str key, qd_err *err);

/* dynamic.c */
/* Frees all values that its settings have had since the start. */
void qdi_values_free(qd_self *self);
void qdi_telling_open(qd_plugin_host *h);
/* Plugins are told of no more values; a call under way is left. [worker] */
void qdi_telling_end(qd_plugin_host *h);

/* guest.c */
/* Opens the guests of a host: a call may take limit_ns. 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_guests_open(qd_env *env, uint64_t limit_ns, struct qd_guests **out);
/* Ends them; NULL is fine. Calls that were left are waited for, half a second at most. false: some
 * have not returned, and they, their guests and all that their plugins use stay behind. */
QD_MUST_CHECK
bool qdi_guests_close(struct qd_guests *all);

/* jobs.c */
/* 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_jobs_open(qd_plugin_host *h, struct qd_jobs **out);
/* Cancels the plugin's jobs and waits until none is left; it starts no more. [worker] */
void qdi_jobs_stop(qd_self *self);
/* NULL is fine; every plugin has stopped. */
void qdi_jobs_close(struct qd_jobs *all);

/* services.c, services_json.c, metrics.c, settings.c */
extern const qd_svc_json qdi_svc_json;
extern const qd_svc_metric qdi_svc_metric;
extern const qd_svc_conf qdi_svc_conf;
extern const struct qd_svc_jobs qdi_svc_jobs;
const void *qdi_service(qd_self *self, uint32_t id, uint16_t min_minor);
void qdi_metrics_free(qd_plugin_host *h);

/* A new plugin in the host's arena, named but in no list yet. NULL when out of memory. */
qd_self *qdi_self_make(qd_plugin_host *h, qd_str name);
/* printf into the host's arena; "" when out of memory. */
const char *qdi_text(qd_plugin_host *h, const char *fmt, ...) QD_PRINTF(2, 3);

#endif
