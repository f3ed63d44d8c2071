/* known.c: see known.h. */
#include "action/api/known.h"
#include "action/action.h"

static const qd_known_api apis[] = {
#define QD_KNOWN_API(name, products, methods, paths) {name, products, methods, paths},
#include "action/api/known.def"
#undef QD_KNOWN_API
};

const qd_known_api *qd_known_api_at(size_t i)
{
    return i < QD_COUNT_OF(apis) ? &apis[i] : NULL;
}

static bool is_part(qd_str segment)
{
    return segment.n && segment.p[0] == '{';
}

/* Does a path, of a request or of a table, have the segments of a table's path? A part in braces
 * stands for another one, and in a request for any segment that names no API. */
static bool same_path(qd_str table, qd_str path)
{
    while (table.p && path.p) {
        qd_str want = qd_str_split(&table, '/'), got = qd_str_split(&path, '/');
        if (is_part(want) != is_part(got)) {
            bool name = is_part(want) && got.n && (got.p[0] != '_' || qd_str_is(got, "_all"));
            if (!name) return false;
        } else if (!is_part(want) && !qd_str_eq(want, got)) {
            return false;
        }
    }
    return !table.p && !path.p;
}

static bool among(const char *list, char sep, qd_str one, bool (*same)(qd_str, qd_str))
{
    for (qd_str rest = qd_str_c(list); rest.p;)
        if (same(qd_str_split(&rest, sep), one)) return true;
    return false;
}

static bool same_method(qd_str a, qd_str b)
{
    return qd_str_eq(a, b);
}

const char *qd_known_api_of(qd_str method, qd_str path)
{
    for (size_t i = 0; i < QD_COUNT_OF(apis); i++)
        if (among(apis[i].methods, '|', method, same_method) &&
            among(apis[i].paths, ';', path, same_path))
            return apis[i].name;
    return NULL;
}

bool qd_known_api_works(qd_str method, qd_str path)
{
    bool head = qd_str_is(method, "HEAD");
    for (uint32_t i = 0; i < qd_apis_n; i++) {
        const qd_api *a = &qd_apis[i];
        bool has = among(a->methods, '|', method, same_method) || (head && a->flags & QD_API_HEAD);
        if (has && among(a->paths, ';', path, same_path)) return true;
    }
    return false;
}
