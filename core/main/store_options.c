/* store_options.c: see store_options.h. Times in milliseconds; what is empty is left to the plugin.
 */
#include "main/store_options.h"
#include "main/paths.h"
#include "runtime/file.h"
#include "runtime/proc.h"
#include <stdio.h>

void qd_store_options_add(qd_store_options *o, const char *key, qd_str value)
{
    if (value.n) o->at[o->n++] = (qd_pair){qd_str_c(key), value};
}

static void add_number(qd_store_options *o, const char *key, int64_t value, const char *unit)
{
    char *text = o->text[o->n];
    snprintf(text, QD_STORE_OPTION_TEXT, "%lld%s", (long long)value, unit);
    o->at[o->n++] = (qd_pair){qd_str_c(key), qd_str_c(text)};
}

void qd_store_options_take(const qd_config *config, qd_store_kind kind, qd_store_options *o)
{
    const qd_values *v = qd_config_values(config);
    o->n = 0;
    if (kind != QD_STORE_KUBERNETES) {
        add_number(o, "election_timeout", qd_values_ms(v, QD_SET_COORDINATION_ELECTION_TIMEOUT),
                   "ms");
        add_number(o, "heartbeat_interval", qd_values_ms(v, QD_SET_COORDINATION_HEARTBEAT), "ms");
        add_number(o, "snapshot_threshold", qd_values_i64(v, QD_SET_COORDINATION_SNAPSHOT_OPS), "");
        return;
    }
    if (qd_values_is_set(v, QD_SET_K8S_API_SERVER))
        qd_store_options_add(o, "k8s.api_server", qd_values_text(v, QD_SET_K8S_API_SERVER));
    qd_store_options_add(o, "k8s.namespace", qd_values_text(v, QD_SET_K8S_NAMESPACE));
    qd_store_options_add(o, "k8s.kubeconfig", qd_values_text(v, QD_SET_K8S_KUBECONFIG));
    qd_store_options_add(o, "k8s.context", qd_values_text(v, QD_SET_K8S_CONTEXT));
    if (qd_values_is_set(v, QD_SET_K8S_TOKEN_FILE))
        qd_store_options_add(o, "k8s.token_file", qd_values_text(v, QD_SET_K8S_TOKEN_FILE));
    if (qd_values_is_set(v, QD_SET_K8S_CA_FILE))
        qd_store_options_add(o, "k8s.ca_file", qd_values_text(v, QD_SET_K8S_CA_FILE));
    qd_store_options_add(o, "k8s.projections",
                         qd_str_c(qd_values_bool(v, QD_SET_K8S_PROJECTIONS) ? "true" : "false"));
    add_number(o, "k8s.lease_duration", qd_values_ms(v, QD_SET_K8S_LEASE), "ms");
    add_number(o, "k8s.renew_interval", qd_values_ms(v, QD_SET_K8S_RENEW), "ms");
    add_number(o, "k8s.retry_interval", qd_values_ms(v, QD_SET_K8S_RETRY), "ms");
}

qd_str qd_store_account(const qd_config *config)
{
    char path[QD_PATH_MAX];
    const char *host = qd_proc_env("KUBERNETES_SERVICE_HOST");
    qd_str file = qd_config_text(config, QD_SET_K8S_TOKEN_FILE);
    bool address = (host && *host) || qd_config_text(config, QD_SET_K8S_API_SERVER).n;
    snprintf(path, sizeof path, "%.*s", QD_STR_ARG(file));
    return address && file.n && qd_file_exists(path) ? file : QD_STR("");
}

bool qd_store_reaches_kubernetes(const qd_config *config)
{
    return qd_store_account(config).n || qd_config_text(config, QD_SET_K8S_KUBECONFIG).n;
}
