/* invariant.c: the end of a broken invariant in this plugin; a test that holds the host too has the
 * host's. */
#include <check/invariant.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((weak)) void qd_invariant_fail(const char *cond, const char *file, int line)
{
    fprintf(stderr, "quidditch: invariant broken: %s (%s:%d)\n", cond, file, line);
    abort();
}
