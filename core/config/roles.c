/*
 * roles.c: what a role of its own is by default, below every other source: ports, path.data, no
 * REST where nothing is coordinated. A node with several roles has the defaults of the table.
 * coordination-k8s is coordination in a cluster whose state is in Kubernetes. In a container, of
 * whatever role, the runtime collects what stands on standard output.
 */
#include "config/roles_int.h"

static const struct {
    const char *name, *data, *rpc_port, *metrics_port;
} roles[] = {
    {"master", "/var/lib/quidditch/master", "9301", "9400"},
    {"coordination", "/var/lib/quidditch/coordination", "9302", "9401"},
    {"data", "/var/lib/quidditch/data", "9303", "9402"},
};

/* Index of the one role of a list of which the others are none of the table's; -1: none, several.
 */
static int only_role(const qd_setting_value *v)
{
    int found = -1;
    qd_str rest = v->text, one;
    while (rest.p) {
        one = qd_str_trim(qd_str_split(&rest, ','));
        for (size_t i = 0; i < QD_COUNT_OF(roles); i++) {
            bool tier =
                qd_str_starts(one, QD_STR("data_")) && qd_str_is(QD_STR("data"), roles[i].name);
            if (!qd_str_is(one, roles[i].name) && !tier) continue;
            if (found >= 0 && found != (int)i) return -1;
            found = (int)i;
        }
    }
    return found;
}

static bool coordinates(const qd_setting_value *v)
{
    for (qd_str rest = v->text; rest.p;) {
        if (qd_str_is(qd_str_trim(qd_str_split(&rest, ',')), "coordination")) return true;
    }
    return false;
}

static int put(qd_settings *s, const char *key, const char *text, qd_err *err)
{
    int rc = qd_settings_put(s, qd_str_c(key), qd_str_c(text), err);
    if (rc == 0) qd_settings_origin(s, qd_str_c(key), QDI_ROLE_ORIGIN, 0);
    return rc;
}

#define K8S_ROLE "coordination-k8s"

int qdi_roles_known(qd_str role, qd_err *err)
{
    if (qd_str_is(role, K8S_ROLE)) return 0;
    for (size_t i = 0; i < QD_COUNT_OF(roles); i++) {
        if (qd_str_is(role, roles[i].name)) return 0;
    }
    return qd_err_set(err, QD_E_CONFIG,
                      "role [%.*s] is none of master, coordination, data, " K8S_ROLE,
                      QD_STR_ARG(role));
}

/* A data node that is told its storage tier has the roles of the tier, as index.routing.allocation
 * .include._tier_preference names them; new indices without a preference go to any data node. */
static const char *roles_of_tier(qd_str tier)
{
    return qd_str_is(tier, "hot")    ? "data_hot,data_content"
           : qd_str_is(tier, "warm") ? "data_warm"
           : qd_str_is(tier, "cold") ? "data_cold"
                                     : NULL;
}

int qdi_roles_defaults(qd_str role, const qd_setting_value *set, const qd_setting_value *tier,
                       qd_settings *out, qd_err *err)
{
    int rc = 0, at;
    if (qd_str_is(role, K8S_ROLE)) {
        rc = put(out, "coordination.mode", "k8s-native", err);
        role = QD_STR("coordination");
    }
    if (rc == 0 && role.n) {
        const char *of_tier =
            tier && qd_str_is(role, "data") ? roles_of_tier(qd_str_trim(tier->text)) : NULL;
        rc = qd_settings_put(out, QD_STR("node.roles"), of_tier ? qd_str_c(of_tier) : role, err);
        if (rc) return rc;
        qd_settings_origin(out, QD_STR("node.roles"), QDI_ROLE_ORIGIN, 0);
        for (size_t i = 0; i < QD_COUNT_OF(roles) && !rc; i++) {
            if (qd_str_is(role, roles[i].name)) rc = put(out, "path.data", roles[i].data, err);
        }
    }
    if (!set) set = role.n ? qd_settings_get(out, QD_STR("node.roles")) : NULL;
    if (!set || rc) return rc;
    if (!coordinates(set)) rc = put(out, "http.port", "-1", err);
    if ((at = only_role(set)) < 0) return rc;
    if (!rc) rc = put(out, "transport.rpc_port", roles[at].rpc_port, err);
    if (!rc) rc = put(out, "metrics.port", roles[at].metrics_port, err);
    return rc;
}

int qdi_container_defaults(qd_settings *out, qd_err *err)
{
    int rc = put(out, "logger.format", "json", err);
    return rc ? rc : put(out, "logger.stream", "stdout", err);
}
