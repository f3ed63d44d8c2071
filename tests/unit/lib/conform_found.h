/*
 * conform_found.h: what a conformance suite printed of a broken variant.
 */
#ifndef QD_TESTS_CONFORM_FOUND_H
#define QD_TESTS_CONFORM_FOUND_H

#include "base/str.h"
#include <stdbool.h>
#include <string.h>

/* Is the test named among the failed ones? out ends with a NUL. */
static inline bool conform_found(const qd_buf *out, const char *test)
{
    for (const char *at = out->p; (at = strstr(at, "not ok ")) != NULL; at++) {
        const char *end = strchr(at, '\n'), *found = strstr(at, test);
        if (found && (!end || found < end)) return true;
    }
    return false;
}

#endif
