/*
 * point.h: named places in the code where a test can stop a thread, make a step fail or run code.
 *
 * QD_POINT("recovery.before_finalize") is nothing in release builds; QD_POINT_RC gives the injected
 * error code or 0. In builds with QD_DEBUG or QD_POINTS a test registers an action by name. Names
 * are module.place and stand once in the tree.
 */
#ifndef QD_RUNTIME_POINT_H
#define QD_RUNTIME_POINT_H

#include "base/assert.h"

typedef int (*qd_point_fn)(void *arg, const char *name);

#if defined(QD_DEBUG) || defined(QD_POINTS)
#define QD_POINTS_ON 1
/* Runs the action registered for name; 0 without one. [any] */
int qd_point_hit(const char *name);
/* Registers fn for name (static; NULL fn removes it). At most 32 at a time. [any] */
void qd_point_set(const char *name, qd_point_fn fn, void *arg);
/* How often name was reached since the process began to count it by qd_point_set. [any] */
unsigned long qd_point_count(const char *name);
#define QD_POINT(name) ((void)qd_point_hit(name))
#define QD_POINT_RC(name) qd_point_hit(name)
#else
#define QD_POINTS_ON 0
#define QD_POINT(name) ((void)0)
#define QD_POINT_RC(name) 0
#endif

#endif
