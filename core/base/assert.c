/* assert.c: the end of a broken invariant. See assert.h. */
#include "base/assert.h"
#include <check/invariant.h>
#include <stdio.h>
#include <stdlib.h>

void qd_assert_fail(const char *cond, const char *file, int line)
{
    fprintf(stderr, "quidditch: assertion failed: %s (%s:%d)\n", cond, file, line);
    abort();
}

void qd_invariant_fail(const char *cond, const char *file, int line)
{
    fprintf(stderr, "quidditch: invariant broken: %s (%s:%d)\n", cond, file, line);
    abort();
}
