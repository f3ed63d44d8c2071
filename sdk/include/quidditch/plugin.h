/*
 * plugin.h: what a plugin's source includes once: the entry macros and small inline helpers. For
 * plugins only; a built-in part of the host uses the host's own functions.
 *
 *   static const qd_plugin_conf conf[] = {...};
 *   static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "my-plugin", "1.0.0", "Apache-2.0",
 *                                    QD_PLUGIN_TAIL(conf, init, start, stop)};
 *   QD_PLUGIN_ENTRY(plugin)
 *   QD_PLUGIN_NOTE("my-plugin", "1.0.0", 0, 1, QD_NOTE_FOR(TOKEN_FILTER))
 */
#ifndef QUIDDITCH_PLUGIN_H
#define QUIDDITCH_PLUGIN_H

#include <quidditch/abi.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The first members of a qd_plugin. flags: QD_PLUGIN_* */
#define QD_PLUGIN_HEAD(flags)                                                                      \
    QD_PLUGIN_MAGIC, QD_ABI_MAJOR, QD_ABI_TARGET, sizeof(qd_plugin), (flags),                      \
        sizeof(qd_plugin_conf), sizeof(qd_plugin_dep)

/* The last members of one without dependencies; conf, start and stop may be NULL. */
#define QD_PLUGIN_TAIL(conf, init, start, stop) QD_BUILD_ID, NULL, (conf), (init), (start), (stop)

/* The one exported symbol. */
#ifdef __cplusplus
#define QD_PLUGIN_EXTERN extern "C"
#else
#define QD_PLUGIN_EXTERN extern
#endif
#define QD_PLUGIN_ENTRY(plugin)                                                                    \
    QD_PLUGIN_EXTERN __attribute__((visibility("default"))) const qd_plugin *qd_plugin_entry(      \
        void);                                                                                     \
    const qd_plugin *qd_plugin_entry(void)                                                         \
    {                                                                                              \
        return &(plugin);                                                                          \
    }

/* One entry of the note's list of kinds. */
#define QD_NOTE_FOR(KIND)                                                                          \
    {                                                                                              \
        QD_KIND_##KIND, QD_##KIND##_MAJOR, QD_##KIND##_MINOR, 0                                    \
    }
/* The ELF note, read by the host before the file is loaded: equal to the descriptor. */
#define QD_PLUGIN_NOTE(name, version, flags, nkinds, ...)                                          \
    QD_PLUGIN_EXTERN __attribute__((visibility("hidden"))) const qd_note qd_plugin_note_;          \
    __attribute__((section(".note.quidditch"), used, aligned(4)))                                  \
    const qd_note qd_plugin_note_ = {10,                                                           \
                                     sizeof(qd_note) - offsetof(qd_note, magic),                   \
                                     QD_NOTE_TYPE,                                                 \
                                     "Quidditch",                                                  \
                                     QD_PLUGIN_MAGIC,                                              \
                                     QD_ABI_MAJOR,                                                 \
                                     QD_ABI_TARGET,                                                \
                                     (flags),                                                      \
                                     (nkinds),                                                     \
                                     {__VA_ARGS__},                                                \
                                     name,                                                         \
                                     version,                                                      \
                                     QD_BUILD_ID};

/* A view of a literal. */
#ifndef QD_STR
#ifdef __cplusplus
#define QD_STR(lit) (qd_str{(lit), sizeof(lit) - 1})
#else
#define QD_STR(lit) ((qd_str){(lit), sizeof(lit) - 1})
#endif
#endif

#if QD_ABI_TARGET >= 6
/* lookup for the version of the kind that this source is compiled against; UNSUPPORTED on a host
 * older than 1.6. Arguments: STORAGE, "nvme", &vtable, &owner. */
#define QD_LOOKUP(host, self, KIND, name, vtable, owner, err)                                      \
    (QD_HAS(host, lookup) ? (host)->lookup((self), QD_KIND_##KIND, (name), QD_##KIND##_MAJOR,      \
                                           QD_##KIND##_MINOR, (vtable), (owner), (err))            \
                          : QD_E_UNSUPPORTED)
#endif

/* View of a NUL-terminated text. */
static inline qd_str qd_plug_str(const char *s)
{
    qd_str v;
    v.p = s;
    v.n = s ? strlen(s) : 0;
    return v;
}
/* Equal to a NUL-terminated text. */
static inline int qd_plug_is(qd_str s, const char *c)
{
    size_t n = strlen(c);
    return s.n == n && (n == 0 || memcmp(s.p, c, n) == 0);
}

/* Sets an error with a printf text of at most 511 bytes; returns code. */
__attribute__((format(printf, 4, 5))) static inline int32_t qd_plug_fail(const qd_svc_err *svc,
                                                                         qd_err *err, int32_t code,
                                                                         const char *format, ...)
{
    char text[512];
    va_list ap;
    qd_str v;
    int n;
    if (!err) return code;
    va_start(ap, format);
    n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    v.p = text;
    v.n = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    return svc->set(err, code, v);
}

/* What init returns where a service that it takes is NULL. */
static inline int32_t qd_plug_no_service(const qd_host *host, qd_self *self, qd_err *err)
{
    const qd_svc_err *svc = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    return svc ? qd_plug_fail(svc, err, QD_E_ABI, "the host lacks a service that the plugin needs")
               : QD_E_ABI;
}

/* Logs a printf line of at most 1023 bytes. */
__attribute__((format(printf, 4, 5))) static inline void qd_plug_log(const qd_svc_log *svc,
                                                                     qd_self *self, int32_t level,
                                                                     const char *format, ...)
{
    char text[1024];
    va_list ap;
    qd_str v;
    int n;
    if (!svc->on(self, level)) return;
    va_start(ap, format);
    n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    v.p = text;
    v.n = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    svc->write(self, level, v);
}

/* The value of an option, or a default when absent. */
static inline qd_str qd_plug_option(const qd_pair *options, uint32_t n, const char *key,
                                    qd_str dflt)
{
    uint32_t i;
    for (i = 0; i < n; i++)
        if (qd_plug_is(options[i].key, key)) return options[i].value;
    return dflt;
}

#ifdef __cplusplus
}
#endif
#endif
