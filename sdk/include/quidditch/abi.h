/*
 * abi.h: the base of the plugin ABI: what a plugin is (qd_plugin, its ELF note, its settings) and
 * what the host gives it (qd_host, small service tables). Each kind of plugin has its own header
 * with its own version: storage.h, coordination.h, operator.h, analyzer.h, frontend.h. plugin.h has
 * the entry macros and inline helpers. docs/plugins.md tells it in prose.
 *
 * Rules for everything in these headers: fixed-width integers; enums travel as int32_t/uint32_t; no
 * holes; text is UTF-8 in a qd_str unless it is a `const char *` (NUL-terminated, static); times
 * are int64_t nanoseconds (_ns). A struct with struct_size grows at its end only; a reader never
 * looks behind it. No exception, signal or longjmp crosses the line, nor does errno.
 *
 * Words of ownership: borrow = valid during the call; keep = valid until the named event; give =
 * the callee frees; make = the caller frees with the named function. Whoever allocated frees. Tags
 * of threads: [loop] a loop's thread, must not block; [worker] a pool's thread, may block, in
 * parallel on different objects; [any] every thread, never blocks.
 *
 * Versions. The host loads a plugin whose abi_major is its own and whose abi_minor is at most its
 * own. The kinds have versions of their own; a kind of major 0 must match in the minor, and needs
 * plugins.allow_unstable or the host's own build id. Changes (sdk/CHANGES.md has the words):
 *   1.0  first: descriptor, note, services mem log err conf metric clock rand loop work json task
 *        action fault uv; coordination, storage, operator, analyzer, frontend 0.1
 *   1.1  service peers; slot stale_ms of the service action
 *   1.2  kind coordination 1.0; 1.3  slot boot_ns of the service clock
 *   1.4  kind storage 0.2; 1.5  kind aggregation 0.1
 *   1.6  lookup; slot prepare of the service loop; services jobs, documents; kinds aggregation 0.2,
 * route 0.1
 */
#ifndef QUIDDITCH_ABI_H
#define QUIDDITCH_ABI_H

#include <quidditch/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QD_ABI_MAJOR 1
#define QD_ABI_MINOR 6
/* Define it lower before the first include to build for older hosts: newer members stay hidden. */
#ifndef QD_ABI_TARGET
#define QD_ABI_TARGET QD_ABI_MINOR
#endif
/* Identity of the very headers built against; only the product's own build defines it. */
#ifndef QD_BUILD_ID
#define QD_BUILD_ID ""
#endif

/* Does table *t reach up to member m, and is m there? For members newer than the minor wanted:
 * QD_HAS for a qd_host, QD_HAS_SLOT for what begins with a qd_vtable. */
#define QD_HAS(t, m) QD_HAS_BY(t, m, struct_size)
#define QD_HAS_SLOT(t, m) QD_HAS_BY(t, m, head.struct_size)
#define QD_HAS_BY(t, m, size)                                                                      \
    ((t) != NULL && (t)->size >= offsetof(__typeof__(*(t)), m) + sizeof((t)->m) && (t)->m != NULL)

/* Owned by the host; a plugin sees pointers only. */
typedef struct qd_self qd_self;   /* one loaded plugin in one node */
typedef struct qd_arena qd_arena; /* memory with one common end */
typedef struct qd_task qd_task;   /* the request on whose behalf something runs; may be NULL */
typedef struct qd_plugin_timer qd_plugin_timer;
typedef struct qd_plugin_metric qd_plugin_metric;
typedef struct qd_json_in qd_json_in;   /* a JSON text being read */
typedef struct qd_json_out qd_json_out; /* a JSON text being written */

/* ---- kinds ---- */
/* What may be registered by qd_host.provide. Names are unique within one kind. */
enum {
    QD_KIND_COORDINATION = 1, /* qd_coord_vtable       coordination.h */
    QD_KIND_STORAGE = 2,      /* qd_storage_vtable     storage.h */
    QD_KIND_OPERATOR = 3,     /* qd_operator_vtable    operator.h */
    QD_KIND_CHAR_FILTER = 4,  /* qd_char_filter_vtable analyzer.h, as the next two */
    QD_KIND_TOKENIZER = 5,    /* qd_tokenizer_vtable */
    QD_KIND_TOKEN_FILTER = 6, /* qd_token_filter_vtable */
    QD_KIND_FRONTEND = 7,     /* qd_frontend_vtable    frontend.h */
    QD_KIND_AGGREGATION = 8,  /* qd_aggregation_vtable aggregation.h; since 1.5 */
    QD_KIND_FIELD = 9,        /* qd_field_vtable       field.h; since 1.5 */
    QD_KIND_ROUTE = 10,       /* qd_route_vtable       route.h; since 1.6 */
    QD_KIND_PROCESSOR = 11,   /* qd_processor_vtable   processor.h; since 1.6 */
    QD_KIND_COUNT = 12
};
#define QD_COORDINATION_MAJOR 1
#define QD_COORDINATION_MINOR 0
#define QD_STORAGE_MAJOR 0
#define QD_STORAGE_MINOR 2
#define QD_OPERATOR_MAJOR 0
#define QD_OPERATOR_MINOR 2
#define QD_CHAR_FILTER_MAJOR 0
#define QD_CHAR_FILTER_MINOR 1
#define QD_TOKENIZER_MAJOR 0
#define QD_TOKENIZER_MINOR 1
#define QD_TOKEN_FILTER_MAJOR 0
#define QD_TOKEN_FILTER_MINOR 1
#define QD_FRONTEND_MAJOR 0
#define QD_FRONTEND_MINOR 1
#define QD_AGGREGATION_MAJOR 0
#define QD_AGGREGATION_MINOR 2
#define QD_FIELD_MAJOR 0
#define QD_FIELD_MINOR 1
#define QD_ROUTE_MAJOR 0
#define QD_ROUTE_MINOR 1
#define QD_PROCESSOR_MAJOR 0
#define QD_PROCESSOR_MINOR 1

/* Head of every vtable and every service table. Unknown flag bits are refused, but for the upper 16
 * (hints). QD_VTABLE fills it. */
typedef struct qd_vtable {
    uint32_t struct_size;
    uint16_t major, minor;
    uint64_t flags;
} qd_vtable;
#define QD_VTABLE(type, KIND, flags)                                                               \
    {                                                                                              \
        sizeof(type), QD_##KIND##_MAJOR, QD_##KIND##_MINOR, (flags)                                \
    }
#define QD_FLAG_HINTS 0xffff000000000000ull

/* ---- settings ---- */

enum {
    QD_PCONF_END = 0,
    QD_PCONF_BOOL,  /* true | false */
    QD_PCONF_INT,   /* decimal; min, max */
    QD_PCONF_FLOAT, /* decimal fraction */
    QD_PCONF_BYTES, /* 512b, 4kb, 1mb, 2gb; min, max in bytes */
    QD_PCONF_TIME,  /* 10ms, 5s, 1m, 1h, 1d; min, max in nanoseconds */
    QD_PCONF_STRING,
    QD_PCONF_ENUM,  /* one of `values`, parted by '|' */
    QD_PCONF_LIST,  /* of strings */
    QD_PCONF_SECRET /* a string never shown */
};
enum {
    QD_PCONF_REQUIRED = 1,
    QD_PCONF_DYNAMIC = 2,   /* may change while running (conf.watch) */
    QD_PCONF_DEPRECATED = 4 /* warned about; replaced_by names the new key */
};
/* One setting of a plugin, "plugin.<plugin name>.<key>" in quidditch.yml. A schema ends with key
 * NULL. All text is static. min = max = 0: no bounds. */
typedef struct qd_plugin_conf {
    const char *key;
    uint32_t type, flags;
    const char *value;  /* default as written in the file; NULL: none */
    const char *values; /* of an enum */
    int64_t min, max;
    const char *help; /* one line: unit and meaning */
    const char *replaced_by;
} qd_plugin_conf;

/* A setting handed over as text: an object's own options (a tier, an analyzer, a listener). */
typedef struct qd_pair {
    qd_str key, value;
} qd_pair;

/* ---- host services ---- */

/* Ids for qd_host.service. Fetch each table once, in init. */
enum {
    QD_SERVICE_MEM = 1,
    QD_SERVICE_LOG = 2,
    QD_SERVICE_ERR = 3,
    QD_SERVICE_CONF = 4,
    QD_SERVICE_METRIC = 5,
    QD_SERVICE_CLOCK = 6,
    QD_SERVICE_RAND = 7,
    QD_SERVICE_LOOP = 8,
    QD_SERVICE_WORK = 9,
    QD_SERVICE_JSON = 10,
    QD_SERVICE_TASK = 11,
    QD_SERVICE_ACTION = 12, /* qd_svc_action of frontend.h */
    QD_SERVICE_FAULT = 13,
    QD_SERVICE_UV = 14,        /* only with QD_PLUGIN_NEEDS_UV */
    QD_SERVICE_PEERS = 15,     /* qd_svc_peers of peers.h; since 1.1 */
    QD_SERVICE_JOBS = 16,      /* qd_svc_jobs of jobs.h; since 1.6 */
    QD_SERVICE_DOCUMENTS = 17, /* qd_svc_documents of documents.h; since 1.6 */
    QD_SERVICE_COUNT = 18
};

/* Memory, accounted per plugin. Refused over a limit: NULL. [any] */
typedef struct qd_svc_mem {
    qd_vtable head;
    void *(*alloc)(qd_self *, size_t n);                 /* 16-byte aligned; make: free */
    void *(*calloc)(qd_self *, size_t n);                /* zeroed */
    void *(*realloc)(qd_self *, void *p, size_t n);      /* on NULL p lives on */
    void *(*aligned)(qd_self *, size_t align, size_t n); /* power of two, 16 to 4096 */
    void (*free)(void *p);                               /* of all four; NULL is fine */
    int32_t (*charge)(qd_self *, int64_t bytes);         /* libraries, mmap; negative gives back */
    void *(*arena)(qd_arena *, size_t n); /* lives as long as the arena; 16-byte aligned */
} qd_svc_mem;

enum { QD_LEVEL_TRACE, QD_LEVEL_DEBUG, QD_LEVEL_INFO, QD_LEVEL_WARN, QD_LEVEL_ERROR };
/* Log lines under "plugin.<name>"; one that begins with "discovery: " under that component. [any]
 */
typedef struct qd_svc_log {
    qd_vtable head;
    int32_t (*on)(qd_self *, int32_t level);              /* 1 when a line would be written */
    void (*write)(qd_self *, int32_t level, qd_str line); /* borrow; without newline */
} qd_svc_log;

/* The one error object of a call. err may be NULL everywhere; the first error set is kept. [any],
 * but one thread at a time for one object. */
typedef struct qd_svc_err {
    qd_vtable head;
    int32_t (*set)(qd_err *, int32_t code, qd_str reason);  /* returns code; reason is copied */
    int32_t (*wrap)(qd_err *, int32_t code, qd_str reason); /* around the present one */
    void (*detail)(qd_err *, const char *key,
                   qd_str value);     /* shown beside type and reason; key static */
    int32_t (*code)(const qd_err *);  /* 0: none */
    qd_str (*reason)(const qd_err *); /* borrow */
    qd_err *(*make)(qd_self *);       /* for threads of the plugin's own; NULL: no memory */
    void (*free)(qd_err *);           /* of make only */
} qd_svc_err;

/* The plugin's own settings, parsed and checked by its schema before init. [any] */
typedef struct qd_svc_conf {
    qd_vtable head;
    int32_t (*i64)(qd_self *, const char *key,
                   int64_t *out); /* bool 0/1, int, bytes, time in ns, enum index */
    int32_t (*f64)(qd_self *, const char *key, double *out);
    int32_t (*str)(qd_self *, const char *key, qd_str *out); /* keep until stop; text of any type */
    int32_t (*list)(qd_self *, const char *key, uint32_t i,
                    qd_str *out); /* QD_E_NOTFOUND behind the last */
    /* Dynamic settings. check, on the node that takes the request, may refuse a text. apply, on
     * every node, says that the four above give a new value now; value.p NULL: it is not set any
     * more; a list's items end with a NUL each. Also after a start, where the cluster has one. Both
     * are left after plugins.call_timeout. [worker]. At most one watch a plugin. */
    int32_t (*watch)(qd_self *,
                     int32_t (*check)(void *arg, const char *key, qd_str value, qd_err *),
                     void (*apply)(void *arg, const char *key, qd_str value), void *arg);
} qd_svc_conf;

enum { QD_METRIC_COUNTER, QD_METRIC_GAUGE, QD_METRIC_HISTOGRAM };
/* Metrics "quidditch_plugin_<name>_<metric>" at /metrics. make registers (same name: same metric);
 * nothing is ever freed. [any] */
typedef struct qd_svc_metric {
    qd_vtable head;
    qd_plugin_metric *(*make)(qd_self *, int32_t type, const char *name, const char *help);
    void (*add)(qd_plugin_metric *, int64_t n);    /* counter, gauge */
    void (*set)(qd_plugin_metric *, int64_t v);    /* gauge */
    void (*observe)(qd_plugin_metric *, double v); /* histogram, seconds or bytes */
} qd_svc_metric;

/* Time. A simulated node has a time of its own, so ask here and nowhere else. [any] */
typedef struct qd_svc_clock {
    qd_vtable head;
    int64_t (*mono_ns)(qd_self *);
    int64_t (*wall_ns)(qd_self *); /* since 1970-01-01 UTC */
#if QD_ABI_TARGET >= 3
    int64_t (*boot_ns)(qd_self *); /* as mono_ns, and goes on while the machine is suspended */
#endif
} qd_svc_clock;

/* Random bytes: from the kernel, or from the seed of a simulation. [any] */
typedef struct qd_svc_rand {
    qd_vtable head;
    void (*bytes)(qd_self *, void *dst, size_t n);
    uint64_t (*u64)(qd_self *);
} qd_svc_rand;

/* The node's loop. complete ends an asynchronous operation: call it exactly once for each submit
 * that returned 0, from any thread; the host runs op->done on the loop that submitted (or, if
 * the host waits elsewhere, hands over at once without calling the plugin). */
typedef struct qd_svc_loop {
    qd_vtable head;
    void (*complete)(qd_op *, int32_t rc);                        /* [any] */
    int32_t (*post)(qd_self *, void (*fn)(void *arg), void *arg); /* [any]; fn runs [loop] */
    int32_t (*timer)(qd_self *, int64_t delay_ns, void (*fn)(void *arg), void *arg,
                     qd_plugin_timer **out); /* [any]; once; fn runs [loop] */
    void (*timer_stop)(qd_plugin_timer *);   /* [loop]; always, also after fn */
#if QD_ABI_TARGET >= 6
    /* Readies an operation of the plugin's own for a vtable that lookup gave. done runs on the
     * thread that completes it, perhaps within the submit: it may only hand over. [any] */
    void (*prepare)(qd_op *, void (*done)(qd_op *, int32_t rc), void *user);
#endif
} qd_svc_loop;

/* Work for the pool `generic`: run on a worker, then op.done as for every operation. */
typedef struct qd_plugin_work {
    qd_op op;
    int32_t (*run)(struct qd_plugin_work *); /* [worker]; its result goes to op.done */
} qd_plugin_work;
typedef struct qd_svc_work {
    qd_vtable head;
    int32_t (*submit)(qd_self *, qd_plugin_work *); /* [any]; QD_E_REJECTED: queue full */
    int32_t (*cancel)(qd_self *,
                      qd_plugin_work *); /* [any]; a request only: op.done still follows */
} qd_svc_work;

/* The request behind a call; every function takes NULL. [any] */
typedef struct qd_svc_task {
    qd_vtable head;
    int32_t (*cancelled)(const qd_task *);   /* 1: give up with QD_E_CANCELLED soon; cheap */
    int64_t (*deadline_ns)(const qd_task *); /* monotonic; INT64_MAX: none */
} qd_svc_task;

/* Named places where tests inject failures; 0 in production. [any] */
typedef struct qd_svc_fault {
    qd_vtable head;
    int32_t (*point)(qd_self *, const char *name); /* 0 or the error to behave as if met */
} qd_svc_fault;

/* libuv of this process. Run a loop of your own on a thread of your own. */
typedef struct qd_svc_uv {
    qd_vtable head;
    uint32_t version; /* uv_version() of the one copy loaded */
    uint32_t reserved;
} qd_svc_uv;

enum {
    QD_HOST_SIMULATED = 1, /* time, random numbers and threads are not the machine's */
    QD_HOST_CHECKING = 2,  /* inside `qd plugin check` */
    QD_HOST_DEBUG = 4      /* the host asserts the rules of operations and threads */
};
/* What init gets; keep until the process ends. */
typedef struct qd_host {
    uint32_t struct_size;
    uint16_t abi_major, abi_minor;
    uint64_t flags;
    const char *version, *build_id; /* of the product */
    /* A service table of at least this minor, NULL when the host has none. [any] */
    const void *(*service)(qd_self *, uint32_t id, uint16_t min_minor);
    /* Registers a vtable (keep for ever) under kind and name ([a-z0-9_.-]+). Only in init. Refused:
     * another version of the kind, a mandatory slot NULL, a flag without its slot, a name taken. */
    int32_t (*provide)(qd_self *, uint32_t kind, const char *name, const void *vtable, qd_err *);
    /* One pointer of the plugin's own in this node: a process may run several nodes. [any] */
    void (*data_set)(qd_self *, void *data);
    void *(*data)(qd_self *);
#if QD_ABI_TARGET >= 6
    /* What another plugin provides: the host's copy of the vtable and the self that its open takes,
     * both until this plugin has stopped. major, minor: of the kind that the caller was built for;
     * newer slots may be missing (QD_HAS_SLOT). In init and start the host initialises and starts
     * the provider first. Refused: PLUGIN nobody provides it; ABI another version of the kind;
     * STATE a circle, or a thread of the plugin's own before all are started. [any] */
    int32_t (*lookup)(qd_self *, uint32_t kind, const char *name, uint16_t major, uint16_t minor,
                      const void **vtable, qd_self **owner, qd_err *);
#endif
} qd_host;

/* ---- the plugin ---- */

#define QD_PLUGIN_MAGIC 0x31504451u /* "QDP1" */
enum {
    QD_PLUGIN_NEEDS_UV = 1,       /* links libuv.so.1, never a copy of its own */
    QD_PLUGIN_SPAWNS_THREADS = 2, /* cannot run inside a simulation */
    QD_PLUGIN_FLAGS = 3           /* all that are known */
};
/* Another plugin that has to be there first. The array ends with name NULL. */
typedef struct qd_plugin_dep {
    const char *name;
    const char *min_version; /* "1.2.3" or NULL */
} qd_plugin_dep;

/* Returned by qd_plugin_entry, the only symbol a plugin exports. The first 16 bytes never change.
 */
typedef struct qd_plugin {
    uint32_t magic;
    uint16_t abi_major, abi_minor; /* minor: the lowest host minor this build needs */
    uint32_t struct_size;
    uint32_t flags;
    uint32_t conf_size, dep_size; /* sizeof(qd_plugin_conf), sizeof(qd_plugin_dep) as built */
    const char *name;             /* [a-z0-9-]+, the file's name without .so */
    const char *version, *license, *build_id;
    const qd_plugin_dep *deps;  /* NULL: none */
    const qd_plugin_conf *conf; /* NULL: no settings */
    /* Fetches services, registers vtables. All settings are there, no dependency is started. On an
     * error everything registered is forgotten. [worker], one plugin after the other. */
    int32_t (*init)(qd_self *, const qd_host *, qd_err *);
    int32_t (*start)(qd_self *, qd_err *); /* may be NULL; all plugins are registered. [worker] */
    /* May be NULL. done(arg) exactly once, from any thread, also from inside. Not called when init
     * failed. The code stays mapped for ever. [worker] */
    void (*stop)(qd_self *, void (*done)(void *arg), void *arg);
} qd_plugin;

typedef const qd_plugin *(*qd_plugin_entry_fn)(void);

/* ---- the note, read from the ELF file before it is loaded ---- */

#define QD_NOTE_TYPE 1u
#define QD_NOTE_KINDS 12
typedef struct qd_note_kind {
    uint16_t kind, major, minor, reserved;
} qd_note_kind;
/* Section .note.quidditch: ELF note header, owner "Quidditch" padded to 12, descriptor. */
typedef struct qd_note {
    uint32_t namesz, descsz, type;
    char owner[12];
    uint32_t magic; /* the descriptor begins here */
    uint16_t abi_major, abi_minor;
    uint32_t flags, nkinds;
    qd_note_kind kinds[QD_NOTE_KINDS];
    char name[64], version[32], build_id[64]; /* NUL-terminated */
} qd_note;

#ifdef __cplusplus
}
#endif
#include <quidditch/json.h>
#endif
