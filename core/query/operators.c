/*
 * operators.c: queries by name: the rows of types.def, operators of plugins beside them, and the
 * two public ways to read a query.
 *
 * A row builds native nodes, which every operator reaches by rewrite; no vtable of the SDK stands
 * before it, so nothing has to tell a row from a plugin's operator.
 */
#include "query/operators.h"
#include "query/build_int.h"

#define QDI_QUERY_TYPE(type) &qdi_query_##type,
static const qd_query_type *const types[] = {
#include "query/types/types.def"
};
#undef QDI_QUERY_TYPE

const qd_query_type *qdi_query_type_find(qd_str name)
{
    for (size_t i = 0; i < QD_COUNT_OF(types); i++)
        if (qd_str_is(name, types[i]->name)) return types[i];
    return NULL;
}

const qd_operator_vtable *qdi_operator_find(const qd_plugin_host *host, qd_str name, qd_self **self)
{
    *self = NULL;
    return host ? qd_plugin_find(host, QD_KIND_OPERATOR, name, self) : NULL;
}

size_t qdi_query_names(const qd_plugin_host *host, qd_str *out, size_t max)
{
    size_t n = 0, pos = 0;
    qd_str name;
    qd_self *self;
    for (; n < QD_COUNT_OF(types) && n < max; n++) out[n] = qd_str_c(types[n]->name);
    while (host && n < max && qd_plugin_next(host, QD_KIND_OPERATOR, &pos, &name, &self))
        out[n++] = name;
    return n;
}

bool qd_query_type_known(qd_str name)
{
    return qdi_query_type_find(name) != NULL;
}

int qd_query_plugins_check(const qd_plugin_host *host, qd_err *err)
{
    size_t pos = 0;
    qd_str name;
    qd_self *self;
    while (qd_plugin_next(host, QD_KIND_OPERATOR, &pos, &name, &self)) {
        if (!qdi_query_type_find(name)) continue;
        return qd_err_set(err, QD_E_EXISTS,
                          "plugin [%s] provides the operator [%.*s], which is a built-in one",
                          qd_plugin_self_name(self), QD_STR_ARG(name));
    }
    return 0;
}

/* --- reading --------------------------------------------------------------------------------- */

/* A query, or what stands behind the name of one. */
static int read_one(const qd_query_reading *how, const qd_query_type *type, qd_json_reader *r,
                    const qd_query **out, qd_err *err)
{
    qdi_reading rd = {.how = how,
                      .arena = how->arena,
                      .limits = how->limits ? *how->limits : QD_QUERY_LIMITS_DEFAULT};
    rd.sdk = (qd_query_ctx){.struct_size = sizeof rd.sdk, .arena = how->arena};
    const char *begin = r->begin;
    if (how->origin) r->begin = how->origin;
    int rc = type ? qdi_read_row(&rd, r, type, out, err) : qdi_read_inner(&rd, r, out, err);
    r->begin = begin;
    return rc;
}

int qd_query_read(const qd_query_reading *how, qd_json_reader *r, const qd_query **out, qd_err *err)
{
    return read_one(how, NULL, r, out, err);
}

int qd_query_read_as(const qd_query_reading *how, const char *name, qd_json_reader *r,
                     const qd_query **out, qd_err *err)
{
    const qd_query_type *type = qdi_query_type_find(qd_str_c(name));
    qd_assert(type);
    return read_one(how, type, r, out, err);
}

int qd_query_read_text(const qd_query_reading *how, qd_str json, const qd_query **out, qd_err *err)
{
    qd_json_reader r = QD_JSON_READER(how->arena->account);
    qd_json_reader_init(&r, json, QD_JSON_REQUEST, 0);
    int rc = qd_query_read(how, &r, out, err);
    if (rc == 0 && qd_json_next(&r) != QD_JSON_EOF) rc = qd_json_fail(&r, err);
    qd_json_reader_fini(&r);
    return rc;
}

const qd_query *qd_query_match_all(void)
{
    static const qd_query all = {.type = &qdi_query_match_all, .boost = 1};
    return &all;
}
