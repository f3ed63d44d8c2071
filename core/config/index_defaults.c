/* index_defaults.c: cluster.default.index.*: what new indices have below their templates. */
#include "config/schema.h"

#define GROUP "cluster.default.index."

qd_str qd_index_default_key(qd_str key)
{
    return qd_str_sub(key, sizeof "cluster.default." - 1, SIZE_MAX);
}

static int check_one(const qd_setting_value *v, qd_err *err)
{
    qd_settings *one = NULL;
    int rc = qd_settings_new(NULL, &one, err);
    if (!rc) rc = qd_settings_put_value(one, qd_index_default_key(v->key), v, err);
    if (!rc) rc = qd_settings_seal(one, err);
    if (!rc) rc = qd_schema_check(&qd_schema_index, one, false, err);
    qd_settings_unref(one);
    return rc;
}

int qd_index_defaults_check(const qd_settings *s, qd_err *err)
{
    size_t n, first = qd_settings_group(s, QD_STR(GROUP), &n);
    int rc = 0;
    for (size_t i = first; i < first + n && !rc; i++) {
        const qd_setting_value *v = qd_settings_at(s, i);
        if (v->kind != QD_SETTING_NULL) rc = check_one(v, err);
    }
    return rc;
}
