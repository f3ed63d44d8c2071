/*
 * mode.c: coordination.mode: which store holds the cluster's state (the decision itself:
 * cluster/authority/mode.h), before anything is opened. Says so in the log, in words that people
 * and scripts look for.
 */
#include "base/log.h"
#include "cluster/authority/authority.h"
#include "cluster/authority/stores.h"
#include "cluster/remote/remote.h"
#include "main/daemon/node.h"
#include "main/store_options.h"
#include "runtime/proc.h"
#include <stdio.h>
#include <string.h>

#define LOG "discovery"
#define WHY_MS 300 /* a store that does not answer is asked why */
#define DEFAULT_MASTER "coordination-raft"
#define DEFAULT_KUBERNETES "coordination-k8s"
#define SAY_NS UINT64_C(10000000000)
#define PAUSE_NS UINT64_C(200000000)

/* --- what there is to decide from --- */

static bool has_role(const qd_node *node, const char *role)
{
    uint32_t n;
    const qd_str *roles = qd_values_list(qd_config_values(node->config), QD_SET_NODE_ROLES, &n);
    for (uint32_t i = 0; i < n; i++)
        if (qd_str_is(roles[i], role)) return true;
    return false;
}

/* A setting's text; nothing of a master with discovery.type single-node. */
static qd_str named(const qd_node *node, uint32_t id)
{
    qd_str type = qd_config_text(node->config, QD_SET_DISCOVERY_TYPE);
    bool alone = qd_str_is(type, "single-node") && has_role(node, "master");
    return alone ? QD_STR("") : qd_config_text(node->config, id);
}

static qd_str others(const qd_node *node)
{
    static const uint32_t ids[] = {QD_SET_COORDINATION_PEERS, QD_SET_DISCOVERY_SEED_HOSTS,
                                   QD_SET_CLUSTER_INITIAL_MASTERS};
    for (size_t i = 0; i < QD_COUNT_OF(ids); i++) {
        qd_str text = named(node, ids[i]);
        if (text.n) return text;
    }
    return QD_STR("");
}

static bool in_data(const qd_node *node, const char *name)
{
    char path[QD_PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", node->data, name);
    return qd_file_exists(path);
}

/* coordination.mode, or the plugin that was named in its place. QD_E_CONFIG: both, and differently.
 */
static int take_mode(const qd_node *node, char by[200], qd_mode_input *in, qd_err *err)
{
    qd_str plugin = qd_config_text(node->config, QD_SET_COORDINATION_PLUGIN);
    qd_str text = qd_config_text(node->config, QD_SET_COORDINATION_MODE);
    qd_buf b;
    in->asked = qd_mode_parse(text);
    in->asked_set = qd_values_is_set(qd_config_values(node->config), QD_SET_COORDINATION_MODE);
    qd_buf_init(&b, NULL, 4096);
    if (!qd_config_origin(node->config, QD_STR("coordination.mode"), &b))
        snprintf(by, 200, "%.*s", QD_STR_ARG(qd_buf_view(&b)));
    qd_buf_fini(&b);
    bool kubernetes = qd_str_is(plugin, DEFAULT_KUBERNETES);
    if (kubernetes || qd_str_is(plugin, DEFAULT_MASTER)) {
        qd_mode of_plugin = kubernetes ? QD_MODE_KUBERNETES : QD_MODE_MASTER;
        if (in->asked != QD_MODE_AUTO && in->asked != of_plugin)
            return qd_err_set(err, QD_E_CONFIG,
                              "coordination.mode is [%.*s] (%s), but coordination.plugin is "
                              "[%.*s], which serves [%s]: unset one of them",
                              QD_STR_ARG(text), by, QD_STR_ARG(plugin), qd_mode_name(of_plugin));
        in->asked = of_plugin;
        in->asked_set = true;
        snprintf(by, 200, "coordination.plugin: %.*s", QD_STR_ARG(plugin));
    }
    in->asked_by = qd_str_c(by);
    return 0;
}

/* What the node belongs to. A damaged record is found when the node starts. */
static void take_record(const qd_node *node, qd_mode_input *in)
{
    char path[QD_PATH_MAX + 32];
    qd_authority *a = node->authority;
    qd_authority_record r = {0};
    snprintf(path, sizeof path, "%s/authority.json", node->data);
    if (!a && (!qd_file_exists(path) || qd_authority_open_file(path, &a, NULL))) return;
    qd_authority_get(a, &r);
    if (a != node->authority) qd_authority_close(a);
    if (!r.uuid[0]) return;
    in->record = r.store ? r.store : QD_STORE_MASTERS; /* there was no other before it was named */
    in->epoch = r.epoch;
}

/* Times of the Lease have to fit, where this node may come to use one. */
static int check_lease(const qd_node *node, const qd_mode_input *in, qd_err *err)
{
    int64_t lease = qd_config_ms(node->config, QD_SET_K8S_LEASE);
    int64_t renew = qd_config_ms(node->config, QD_SET_K8S_RENEW);
    int64_t retry = qd_config_ms(node->config, QD_SET_K8S_RETRY);
    bool reaches = in->account.n || in->kubeconfig.n;
    bool used = in->asked == QD_MODE_KUBERNETES || in->record == QD_STORE_KUBERNETES ||
                (reaches && (in->asked != QD_MODE_MASTER || in->fallback));
    if (!used || (renew + retry < lease && retry < renew)) return 0;
    return qd_err_set(err, QD_E_CONFIG,
                      "coordination.k8s.lease_duration [%lldms] has to be more than "
                      "coordination.k8s.renew_interval [%lldms] and "
                      "coordination.k8s.retry_interval [%lldms] together, and the second more "
                      "than the third",
                      (long long)lease, (long long)renew, (long long)retry);
}

static int take_all(const qd_node *node, char by[200], qd_mode_input *in, qd_err *err)
{
    *in = (qd_mode_input){
        .fallback = qd_config_bool(node->config, QD_SET_COORDINATION_K8S_FALLBACK),
        .master = has_role(node, "master"),
        .coordination = has_role(node, "coordination"),
        .masters = named(node, QD_SET_COORDINATION_MASTERS),
        .others = others(node),
        .learned = in_data(node, "masters.json"),
        .account = qd_store_account(node->config),
        .kubeconfig = qd_config_text(node->config, QD_SET_K8S_KUBECONFIG),
        .folder = in_data(node, "coordination/node"),
    };
    take_record(node, in);
    if (!in->record && node->found) {
        in->record = QD_STORE_KUBERNETES;
        in->epoch = node->found;
    }
    int rc = take_mode(node, by, in, err);
    return rc ? rc : check_lease(node, in, err);
}

/* Somebody else's plugin, and no mode that says whose its store is: every node opens it itself. */
static bool is_foreign(const qd_node *node)
{
    qd_str plugin = qd_config_text(node->config, QD_SET_COORDINATION_PLUGIN);
    qd_str mode = qd_config_text(node->config, QD_SET_COORDINATION_MODE);
    return plugin.n && !qd_str_is(plugin, DEFAULT_MASTER) &&
           !qd_str_is(plugin, DEFAULT_KUBERNETES) && qd_mode_parse(mode) == QD_MODE_AUTO;
}

static void decide_foreign(const qd_node *node, const qd_mode_input *in, qd_mode_decision *d)
{
    *d = (qd_mode_decision){.asked = in->asked, .own = true, .n = 1};
    snprintf(d->why[0], sizeof d->why[0], "coordination.plugin is [%.*s]",
             QD_STR_ARG(qd_config_text(node->config, QD_SET_COORDINATION_PLUGIN)));
    snprintf(d->tried, sizeof d->tried, "%s", d->why[0]);
}

void qd_node_waits(qd_node *node, const char *text, bool over)
{
    qd_mutex_lock(&node->deciding);
    qd_mode_decision *d = &node->mode;
    if (!d->waits && text && d->n < QD_MODE_REASONS) d->waits = ++d->n;
    if (d->waits && text) snprintf(d->why[d->waits - 1], sizeof d->why[0], "%s", text);
    if (d->waits && !text) d->n = d->waits - 1;
    if (over) d->waits = 0;
    qd_mutex_unlock(&node->deciding);
    if (text && !over) qd_node_service_waits(text);
}

/* What is waited for, for those who ask this node. */
static void show_waiting(qd_node *node, const qd_err *why)
{
    char text[320];
    snprintf(text, sizeof text, "waiting for the claim: Kubernetes cannot be asked: %s",
             qd_err_reason(why));
    qd_node_waits(node, text, false);
}

static bool waiting(void *arg, const qd_err *why)
{
    qd_node *node = arg;
    show_waiting(node, why);
    static uint64_t said; /* of the one thread that starts the node */
    uint64_t now = qd_env_mono_ns(node->env);
    if (!said || now - said > SAY_NS) {
        said = now;
        qd_log_warn(LOG,
                    "no coordination backend available yet: masters and Kubernetes are both "
                    "configured, and which one a new cluster has is written down in Kubernetes, "
                    "which cannot be asked: %s. Waiting for it",
                    qd_err_reason(why));
    }
    if (!atomic_load(&node->stopping)) qd_env_sleep_ns(node->env, PAUSE_NS);
    return !atomic_load(&node->stopping);
}

static int decide(qd_node *node, const qd_mode_claims *claims, qd_err *err)
{
    char by[200] = "";
    qd_mode_input in;
    qd_mode_decision d = {0};
    bool foreign = is_foreign(node);
    int rc = take_all(node, by, &in, err);
    if (!rc && foreign)
        decide_foreign(node, &in, &d);
    else if (!rc)
        rc = qd_mode_settle(&in, claims, waiting, node, &d, err);
    qd_mutex_lock(&node->deciding);
    node->mode = d;
    node->control = foreign ? in.master : d.own;
    node->master = in.master;
    qd_mutex_unlock(&node->deciding);
    return rc;
}

int qd_node_mode(qd_node *node, qd_err *err)
{
    return decide(node, NULL, err);
}

/* --- what others ask --- */

/* Of a node with both stores: the one in charge. Control nodes that are asked from afar have both,
 * too, and tell. */
static qd_store_kind kind_of_both(const qd_node *node)
{
    bool masters = node->mode.store == QD_STORE_MASTERS;
    int current = qd_stores_current(node->stores);
    qd_store_kind told = qd_remote_kind(node->both[current]);
    if (told) return told;
    if (current == 0) return node->mode.store;
    return masters ? QD_STORE_KUBERNETES : QD_STORE_MASTERS;
}

qd_store_kind qd_node_store_kind(const qd_node *node)
{
    if (node->mode.claim && !node->mode.settled) return QD_STORE_UNKNOWN;
    if (node->stores) return kind_of_both(node);
    if (node->mode.own || !node->coordination) return node->mode.store;
    qd_store_kind told = qd_remote_kind(node->coordination);
    return told ? told : node->mode.store;
}

qd_str qd_node_plugin_of(const qd_node *node, qd_store_kind kind)
{
    qd_str name = qd_config_text(node->config, QD_SET_COORDINATION_PLUGIN);
    bool ours = qd_str_is(name, DEFAULT_MASTER) || qd_str_is(name, DEFAULT_KUBERNETES);
    /* somebody else's serves the mode that is asked for, while another one is kept */
    bool kept = node->mode.kept && kind != qd_store_of(node->mode.asked);
    if (name.n && !ours && !kept) return name;
    return kind == QD_STORE_KUBERNETES ? QD_STR(DEFAULT_KUBERNETES) : QD_STR(DEFAULT_MASTER);
}

bool qd_node_plugin_is_ours(const qd_node *node, qd_store_kind kind)
{
    const char *ours = kind == QD_STORE_KUBERNETES ? DEFAULT_KUBERNETES : DEFAULT_MASTER;
    return qd_str_is(qd_node_plugin_of(node, kind), ours);
}

qd_str qd_node_store_plugin(const qd_node *node)
{
    return node->mode.own ? qd_node_plugin_of(node, qd_node_store_kind(node)) : QD_STR("");
}

qd_store_kind qd_node_second_store(const qd_node *node)
{
    const qd_mode_decision *d = &node->mode;
    bool masters = d->store == QD_STORE_MASTERS, master = has_role(node, "master");
    bool control = d->own || (has_role(node, "coordination") && masters);
    if (!control || d->store == QD_STORE_UNKNOWN) return QD_STORE_UNKNOWN;
    bool access = qd_store_reaches_kubernetes(node->config);
    bool both = qd_config_bool(node->config, QD_SET_COORDINATION_K8S_FALLBACK) && access;
    if (d->kept && (d->own || access)) return masters ? QD_STORE_KUBERNETES : QD_STORE_MASTERS;
    if (masters) return both ? QD_STORE_KUBERNETES : QD_STORE_UNKNOWN;
    /* a master that came later, by its own settings */
    bool named =
        master ? others(node).n : qd_config_text(node->config, QD_SET_COORDINATION_MASTERS).n;
    return both && named ? QD_STORE_MASTERS : QD_STORE_UNKNOWN;
}

const char *qd_node_wants(const qd_node *node)
{
    const qd_mode_decision *d = &node->mode;
    bool by_name = d->asked != QD_MODE_AUTO &&
                   qd_values_is_set(qd_config_values(node->config), QD_SET_COORDINATION_MODE);
    return d->kept || by_name ? qd_mode_name(d->asked) : "";
}

/* The settings ask for another store than the one in charge, which only a migration changes. */
static bool waits(const qd_node *node, qd_store_kind kind)
{
    return kind && kind != qd_store_of(node->mode.asked) && *qd_node_wants(node);
}

/* What a request to the store is told; the store is there until asking is over. true: it answers.
 */
static bool ask_why(qd_coord_store *s, int64_t ms, char out[QD_REASON_MAX])
{
    qd_arena a;
    qd_coord_list none;
    qd_err why;
    qd_err_init(&why);
    qd_arena_init(&a, NULL, 1 << 20);
    int rc = qd_coord_read(s, QD_STR("cluster/uuid"), false, ms, &a, &none, &why);
    if (rc == QD_E_TIMEOUT)
        snprintf(out, QD_REASON_MAX, "it has not answered for %lldms", (long long)ms);
    else if (rc)
        snprintf(out, QD_REASON_MAX, "%s", qd_err_reason(&why));
    qd_arena_fini(&a);
    qd_err_fini(&why);
    return !rc;
}

/* What is told of a mirror is of now, or told to be old: what this node knows of a store that went
 * silent looks well for as long as a lease lasts. */
static void ask_mirror(qd_coord_store *other, int64_t ms, qd_action_coordination *out)
{
    bool answers = ask_why(other, ms, out->other_reason);
    if (answers) qd_coord_identity_get(other, &out->other);
    out->other.connected = answers;
}

/* Under the lock, which is let go meanwhile. */
static void take_reasons(qd_node *node, bool stale, int64_t ask_ms, qd_action_coordination *out)
{
    int64_t ms = ask_ms < WHY_MS ? ask_ms : WHY_MS;
    int i = node->stores ? qd_stores_current(node->stores) : 0;
    qd_coord_store *s = node->stores ? node->both[i] : node->coordination;
    qd_coord_store *other = node->stores ? node->both[!i] : NULL;
    bool away = stale || !out->identity.connected || out->identity.failed;
    bool other_away = other && (!out->other.connected || out->other.failed);
    bool mirror = other && !other_away && out->other.state == QD_COORD_MIRROR;
    if (ms <= 0 || (!away && !other_away && !mirror)) return;
    node->asking++;
    qd_mutex_unlock(&node->deciding);
    if (away) (void)ask_why(s, ms, out->reason);
    if (other_away) (void)ask_why(other, ms, out->other_reason);
    if (mirror) ask_mirror(other, ask_ms / 2, out);
    qd_mutex_lock(&node->deciding);
    node->asking--;
    qd_cond_broadcast(&node->asked);
}

void qd_node_coordination(void *arg, bool stale, int64_t ask_ms, qd_action_coordination *out)
{
    qd_node *node = arg;
    qd_authority_record r = {0};
    qd_mutex_lock(&node->deciding);
    const qd_mode_decision *d = &node->mode;
    qd_store_kind kind = qd_node_store_kind(node);
    *out = (qd_action_coordination){.asked = qd_mode_name(d->asked),
                                    .mode = kind ? qd_mode_name(qd_mode_of(kind)) : "unknown",
                                    .kind = qd_store_kind_name(kind),
                                    .plugin = qd_node_store_plugin(node),
                                    .own = d->own,
                                    .kept = waits(node, kind)};
    out->nwhy = d->n;
    out->waits = d->waits;
    memcpy(out->why, d->why, sizeof out->why);
    if (kind && d->store && kind != d->store && out->nwhy < QD_MODE_REASONS)
        snprintf(out->why[out->nwhy++], sizeof out->why[0],
                 d->own ? "the cluster's state has been moved to [%s], and this node has followed"
                        : "the control nodes that it asks have [%s]",
                 out->mode);
    if (node->authority) qd_authority_get(node->authority, &r);
    out->since_ms = r.since_ms;
    out->open = node->coordination != NULL;
    if (out->open) qd_coord_identity_get(node->coordination, &out->identity);
    if (out->open && node->stores) {
        int other = !qd_stores_current(node->stores);
        bool masters = kind == QD_STORE_KUBERNETES;
        qd_coord_identity_get(node->both[other], &out->other);
        out->other_mode = qd_mode_name(masters ? QD_MODE_MASTER : QD_MODE_KUBERNETES);
        out->away_ms = qd_stores_away_ms(node->stores, !other);
        out->other_away_ms = qd_stores_away_ms(node->stores, other);
    }
    if (out->open) take_reasons(node, stale, ask_ms, out);
    qd_mutex_unlock(&node->deciding);
}

/* --- the step --- */

/* Both spellings are looked for. */
static void tell_kubernetes(const qd_node *node, qd_str why)
{
    const qd_mode_decision *d = &node->mode;
    if (node->unanswered)
        qd_log_warn(LOG, "Master nodes unavailable, using K8S-native mode");
    else if (d->asked == QD_MODE_AUTO && !d->formed && !d->claim)
        qd_log_info(LOG, "no master nodes are configured, using K8S-native mode");
    else
        qd_log_info(LOG, "using K8S-native mode");
    qd_log_info(LOG, "using k8s-native: %.*s", QD_STR_ARG(why));
}

static void tell(const qd_node *node)
{
    const qd_mode_decision *d = &node->mode;
    qd_buf b;
    qd_buf_init(&b, NULL, 4096);
    for (uint32_t i = 0; i < d->n; i++) (void)qd_buf_printf(&b, "%s%s", i ? "; " : "", d->why[i]);
    qd_str why = qd_buf_view(&b);
    if (d->claim && !d->settled)
        qd_log_info(LOG, "coordination: %.*s", QD_STR_ARG(why));
    else if (d->store == QD_STORE_KUBERNETES && d->own)
        tell_kubernetes(node, why);
    else if (d->store == QD_STORE_MASTERS)
        qd_log_info(LOG, "using master mode: %.*s", QD_STR_ARG(why));
    else
        qd_log_info(LOG, "coordination: %.*s", QD_STR_ARG(why));
    if (d->kept) qd_log_warn(LOG, "%.*s", QD_STR_ARG(why));
    qd_buf_fini(&b);
}

static void set_authority(qd_node *node, qd_authority *a)
{
    qd_mutex_lock(&node->deciding);
    qd_authority *was = node->authority;
    node->authority = a;
    qd_mutex_unlock(&node->deciding);
    qd_authority_close(was);
}

int qd_node_settle(qd_node *node, const qd_mode_claims *claims, qd_err *err)
{
    int rc = decide(node, claims, err);
    if (!rc) tell(node);
    return rc;
}

static int mode_start(qd_node *node, qd_err *err)
{
    char path[QD_PATH_MAX + 32];
    qd_authority *a;
    snprintf(path, sizeof path, "%s/authority.json", node->data);
    int rc = qd_authority_open_file(path, &a, err);
    if (rc) return rc;
    set_authority(node, a);
    rc = decide(node, NULL, err);
    if (rc)
        set_authority(node, NULL);
    else
        tell(node);
    return rc;
}

static void mode_stop(qd_node *node)
{
    set_authority(node, NULL);
}

const qd_step qd_step_mode = {"mode", qd_node_mode, mode_start, mode_stop, NULL};
