/* cgroup_int.h: limits of the control groups that this process is in, version 2 or 1. */
#ifndef QD_RUNTIME_CGROUP_INT_H
#define QD_RUNTIME_CGROUP_INT_H

#include <stddef.h>
#include <stdint.h>

/* The start of a small file of /proc or /sys as text; how many bytes, 0 when it cannot be read. */
size_t qdi_slurp(const char *path, char *out, size_t n);
/* The least limit of memory on the way from this process' group to the root, in bytes; 0: none.
 * [any] */
uint64_t qdi_cgroup_memory(void);
/* The least quota of CPUs on that way, rounded up; 0: none. [any] */
unsigned qdi_cgroup_cpus(void);

#endif
