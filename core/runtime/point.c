/* point.c: the actions of injection points; empty in release builds. See point.h. */
#include "runtime/point.h"
#include "runtime/sync.h"
#include <stdatomic.h>
#include <string.h>

#if QD_POINTS_ON
#define POINTS_MAX 32

static qd_mutex lock = QD_MUTEX_INIT;
static struct {
    const char *name;
    qd_point_fn fn;
    void *arg;
    unsigned long hits;
} points[POINTS_MAX];
static _Atomic unsigned used;

int qd_point_hit(const char *name)
{
    if (atomic_load_explicit(&used, memory_order_acquire) == 0) return 0;
    qd_point_fn fn = NULL;
    void *arg = NULL;
    qd_mutex_lock(&lock);
    for (unsigned i = 0; i < used; i++) {
        if (strcmp(points[i].name, name) == 0) {
            points[i].hits++;
            fn = points[i].fn;
            arg = points[i].arg;
            break;
        }
    }
    qd_mutex_unlock(&lock);
    return fn ? fn(arg, name) : 0;
}

void qd_point_set(const char *name, qd_point_fn fn, void *arg)
{
    qd_mutex_lock(&lock);
    unsigned i = 0;
    while (i < used && strcmp(points[i].name, name) != 0) i++;
    qd_assert(i < POINTS_MAX);
    points[i].name = name;
    points[i].fn = fn;
    points[i].arg = arg;
    if (i == used) atomic_store_explicit(&used, i + 1, memory_order_release);
    qd_mutex_unlock(&lock);
}

unsigned long qd_point_count(const char *name)
{
    unsigned long hits = 0;
    qd_mutex_lock(&lock);
    for (unsigned i = 0; i < used; i++) {
        if (strcmp(points[i].name, name) == 0) hits = points[i].hits;
    }
    qd_mutex_unlock(&lock);
    return hits;
}
#endif
