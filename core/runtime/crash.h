/*
 * crash.h: the last line of a process that dies by a fault of its own (SIGSEGV, SIGBUS, SIGFPE,
 * SIGILL, SIGABRT): what it was, where, on which thread, in which plugin's call. Then the signal
 * takes its usual course: core dump and exit status are as without it.
 *
 *   [2026-01-31T12:00:00,123][ERROR][crash          ] [node-1] SIGSEGV at address 0x10, in
 *   my-plugin.so+0x1234 (plugin [my-plugin] 1.0.0, build id 3f…), thread [search], while next_block
 *   of [my_op] of plugin [my-plugin] ran; quidditch 0.1.0-…
 *
 * Everything that the handler reads is prepared before: modules when they are loaded, where to
 * write when the log is opened. A sanitizer that is built in has handlers of its own; then this
 * one stays out.
 */
#ifndef QD_RUNTIME_CRASH_H
#define QD_RUNTIME_CRASH_H

#include <quidditch/types.h>
#include <stdbool.h>

/* A call of code that is not ours, on the calling thread. Texts live as long as it is set. */
typedef struct qd_crash_call {
    const char *plugin, *what, *name; /* "my-plugin", "next_block", "my_op" */
} qd_crash_call;

/* Installs the handlers and notes the modules that are loaded. build: version and build id of the
 * program, static. Once, before threads are started. */
void qd_crash_install(const char *build);
/* Where the line goes: descriptors, -1: none; as JSON or text; node and cluster are copied. Without
 * it: standard error. [any, one at a time] */
void qd_crash_output(int file, int err, bool json, qd_str node, qd_str cluster);
/* A module has been loaded from `file` (as the linker knows it); label ("plugin [x] 1.0.0") is
 * copied. [any, one at a time] */
void qd_crash_module(const char *file, const char *label);
/* The calling thread gets a stack for the handler, so that a stack's overflow can be told. */
void qd_crash_thread_begin(void);
/* The thread ends. */
void qd_crash_thread_end(void);
/* Sets the call that the thread is in (NULL: none); returns the one before. [any] */
const qd_crash_call *qd_crash_call_set(const qd_crash_call *call);

#endif
