/*
 * conform.h: runs the suites of sdk/conformance over a vtable and tells the results as TAP lines.
 * For `qd plugin check` and for the unit tests of built-in implementations.
 */
#ifndef QD_PLUGIN_CONFORM_H
#define QD_PLUGIN_CONFORM_H

#include "base/arena.h"
#include "plugin/host.h"
#include "runtime/task.h"
#include "json/writer.h"
#include <quidditch/conformance.h>

/* State of a run; the suite sees `c`. */
typedef struct qd_conform_run {
    qd_conform c;
    qd_env *env;
    qd_err err;
    qd_task cancelled;
    qd_arena arena; /* emptied after each test */
    qd_json_writer writer;
    qd_buf thrown; /* what goes nowhere */
    qd_mutex lock;
    qd_cond ended;
    struct pending *pending; /* one for each operation prepared */
    uint32_t tests, twice;   /* results told; operations completed twice */
    /* Gets each line of TAP, without newline, the plan at the end. */
    void (*line)(void *arg, const char *text);
    void *arg;
} qd_conform_run;

/* Readies a run: folder is an empty one (NUL-terminated), self the plugin's (NULL for a vtable that
 * needs none), options what open is to be given; all kept until fini. [worker] */
void qd_conform_begin(qd_conform_run *r, qd_env *env, qd_self *self, qd_str folder,
                      const qd_pair *options, uint32_t noptions,
                      void (*line)(void *arg, const char *text), void *arg);
/* Runs the suite of one kind over what `name` provides; vtable as qd_plugin_find gives it. [worker]
 */
void qd_conform_kind(qd_conform_run *r, uint32_t kind, const char *name, const void *vtable);
/* A result of the caller's own: qd_plugin_check's static checks. */
void qd_conform_told(qd_conform_run *r, bool ok, const char *test, const char *why);
/* Prints the plan, frees the state; returns the number of failures. */
uint32_t qd_conform_end(qd_conform_run *r);

#endif
