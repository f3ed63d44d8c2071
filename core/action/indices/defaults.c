/* defaults.c: cluster.default.index.*: settings that new indices have below their templates.
 */
#include "action/indices/templates_int.h"
#include "base/str.h"
#include "config/schema.h"

#define GROUP "cluster.default.index."

/* Adds the defaults among a cluster's settings; one that is null is none. */
static int add(const qd_settings *from, qd_settings *to, qd_err *err)
{
    size_t n, first = from ? qd_settings_group(from, QD_STR(GROUP), &n) : 0;
    int rc = 0;
    for (size_t i = first; from && i < first + n && !rc; i++) {
        const qd_setting_value *v = qd_settings_at(from, i);
        if (v->kind != QD_SETTING_NULL)
            rc = qd_settings_put_value(to, qd_index_default_key(v->key), v, err);
    }
    return rc;
}

int qdi_index_defaults_apply(const qd_actions *a, const qd_state *s, qd_str index,
                             qd_settings **settings, qd_err *err)
{
    qd_settings *all = NULL;
    if (qd_str_starts(index, QD_STR("."))) return 0; /* systems' own */
    int rc = qd_settings_new(NULL, &all, err);
    if (!rc) rc = add(qd_config_settings(a->config), all, err); /* this node's file */
    if (!rc) rc = add(s->persistent, all, err);
    if (!rc) rc = add(s->transient, all, err);
    return qdi_settings_below(rc, all, settings, err);
}
