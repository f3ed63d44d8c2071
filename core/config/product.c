/*
 * product.c: defaults that differ with the product that clients see (compatibility.identity), below
 * every other source, beside those of the roles.
 */
#include "base/str.h"
#include "config/roles_int.h"

static const struct {
    const char *identities; /* a list */
    const char *key, *value;
} products[] = {
    {"es7,es7.10.2,os2,os3", "action.destructive_requires_name", "false"},
    {"es7,es7.10.2,os2,os3", "indices.query.bool.max_clause_count", "1024"},
    {"os2,os3", "cluster.no_master_block", "metadata_write"},
};

int qdi_product_defaults(const qd_setting_value *identity, qd_settings *out, qd_err *err)
{
    int rc = 0;
    if (!identity || identity->kind == QD_SETTING_NULL) return 0;
    for (size_t i = 0; i < QD_COUNT_OF(products) && !rc; i++) {
        bool of = false;
        for (qd_str rest = qd_str_c(products[i].identities); rest.p && !of;)
            of = qd_str_eq(qd_str_split(&rest, ','), qd_str_trim(identity->text));
        if (!of) continue;
        qd_str key = qd_str_c(products[i].key);
        rc = qd_settings_put(out, key, qd_str_c(products[i].value), err);
        if (!rc) qd_settings_origin(out, key, QDI_PRODUCT_ORIGIN, 0);
    }
    return rc;
}
