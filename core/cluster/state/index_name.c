/* index_name.c: names of indices and aliases, once checked at the edge. Folders are uuids, so that
 * no name ever becomes a path. */
#include "base/str.h"
#include "base/utf8.h"
#include "cluster/state/state.h"
#include <unicode/uchar.h>

#define NAME_BYTES_MAX 255u

static const char *fault_of(qd_str name, bool alias)
{
    static const char bad[] = " \"*\\<|,>/?";
    if (name.n == 0) return "must not be empty";
    if (!qd_utf8_valid(name, NULL)) return "must be valid UTF-8";
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c < 0x20 || c == 0x7f) return "must not contain control characters";
        if (strchr(bad, (char)c)) {
            return "must not contain the following characters [' "
                   "','\"','*','\\\\','<','|',',','>','/','?']";
        }
        if (c == '#') return "must not contain '#'";
        if (c == ':' && !alias) return "must not contain ':'";
    }
    if (name.p[0] == '_' || name.p[0] == '-' || name.p[0] == '+') {
        return "must not start with '_', '-', or '+'";
    }
    if (name.n > NAME_BYTES_MAX) return "index name is too long, (limit 255 bytes)";
    if (qd_str_is(name, ".") || qd_str_is(name, "..")) return "must not be '.' or '..'";
    return NULL;
}

static bool has_upper(qd_str name)
{
    const char *p = name.p, *end = p + name.n;
    while (p < end) {
        uint32_t cp;
        p += qd_utf8_next(p, end, &cp);
        if (u_tolower((UChar32)cp) != (UChar32)cp) return true;
    }
    return false;
}

int qd_index_name_check(qd_str name, qd_err *err)
{
    const char *why = fault_of(name, false);
    if (!why && has_upper(name)) why = "must be lowercase";
    if (!why) return 0;
    int rc = name.n > NAME_BYTES_MAX
                 ? qd_err_set(err, QD_E_INVALID_INDEX_NAME,
                              "Invalid index name [%.*s], index name is too long, (%zu > 255)",
                              QD_STR_ARG(name), name.n)
                 : qd_err_set(err, QD_E_INVALID_INDEX_NAME, "Invalid index name [%.*s], %s",
                              QD_STR_ARG(name), why);
    qd_err_detail_str(err, "index_uuid", QD_STR("_na_"));
    qd_err_detail_str(err, "index", name);
    return rc;
}

int qd_alias_name_check(qd_str name, qd_err *err)
{
    const char *why = fault_of(name, true);
    if (!why) return 0;
    return qd_err_set(err, QD_E_INVALID_ALIAS, "Invalid alias name [%.*s]: %s", QD_STR_ARG(name),
                      why);
}
