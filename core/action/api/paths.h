/*
 * paths.h: the paths and methods of APIs, as rows of their table have them: parts between '/',
 * fixed or "{parameter}"; methods parted by '|'.
 */
#ifndef QD_ACTION_API_PATHS_H
#define QD_ACTION_API_PATHS_H

#include "base/str.h"

#define QD_API_PARTS_MAX 12u

/* Is a part of a row's path a parameter? */
static inline bool qd_api_part_param(qd_str part)
{
    return part.n > 2 && part.p[0] == '{' && part.p[part.n - 1] == '}';
}

/* Cuts a path, which begins with '/', into its parts. Their number, or QD_API_PARTS_MAX + 1 when
 * there are too many. */
static inline uint32_t qd_api_path_split(qd_str path, qd_str part[QD_API_PARTS_MAX])
{
    uint32_t n = 0;
    for (qd_str rest = qd_str_sub(path, 1, path.n); rest.n;) {
        if (n == QD_API_PARTS_MAX) return QD_API_PARTS_MAX + 1;
        part[n++] = qd_str_split(&rest, '/');
    }
    return n;
}

/* Is one among the methods? */
static inline bool qd_api_method_in(const char *methods, qd_str one)
{
    for (qd_str rest = qd_str_c(methods); rest.p;)
        if (qd_str_eq(qd_str_split(&rest, '|'), one)) return true;
    return false;
}

#endif
