/* identity.c: the product that clients see. See admin_int.h and docs/compatibility.md. */
#include "action/api/admin_int.h"
#include "base/str.h"
#include "config/value.h"
#include "runtime/sync.h"
#include <stdio.h>
#include <string.h>

#define ELASTIC_TAGLINE "You Know, for Search"
#define OPENSEARCH_TAGLINE "The OpenSearch Project: https://opensearch.org/"

static const qdi_identity identities[] = {
    [QDI_ES7] = {.product = QDI_ES7,
                 .name = "es7",
                 .number = {"7.17.29", 7},
                 .lucene = "8.11.3",
                 .wire = "6.8.0",
                 .index = "6.0.0-beta1",
                 .build_date = "2025-06-19T01:37:57.847711500Z",
                 .tagline = ELASTIC_TAGLINE},
    [QDI_ES8] = {.product = QDI_ES8,
                 .name = "es8",
                 .number = {"8.19.0", 6},
                 .lucene = "9.12.2",
                 .wire = "7.17.0",
                 .index = "7.0.0",
                 .build_date = "2025-07-23T22:10:18.138215839Z",
                 .tagline = ELASTIC_TAGLINE},
    [QDI_ES9] = {.product = QDI_ES9,
                 .name = "es9",
                 .number = {"9.2.0", 5},
                 .lucene = "10.3.1",
                 .wire = "8.19.0",
                 .index = "8.0.0",
                 .build_date = "2025-10-21T16:06:21.288851013Z",
                 .tagline = ELASTIC_TAGLINE},
    [QDI_OS2] = {.product = QDI_OS2,
                 .opensearch = true,
                 .name = "os2",
                 .number = {"2.19.3", 6},
                 .lucene = "9.12.2",
                 .wire = "7.10.0",
                 .index = "7.0.0",
                 .build_date = "2025-07-21T18:43:57.612873000Z",
                 .tagline = OPENSEARCH_TAGLINE},
    [QDI_OS3] = {.product = QDI_OS3,
                 .opensearch = true,
                 .name = "os3",
                 .number = {"3.3.0", 5},
                 .lucene = "10.3.1",
                 .wire = "2.19.0",
                 .index = "2.0.0",
                 .build_date = "2025-10-13T20:05:41.273418000Z",
                 .tagline = OPENSEARCH_TAGLINE},
    [QDI_ES7102] = {.product = QDI_ES7102,
                    .name = "es7.10.2",
                    .number = {"7.10.2", 6},
                    .lucene = "8.7.0",
                    .wire = "6.8.0",
                    .index = "6.0.0-beta1",
                    .build_date = "2021-01-13T00:42:12.435326Z",
                    .tagline = ELASTIC_TAGLINE},
};

/* Stands for the commit that a client would look for: of the build, and alike for its whole life.
 */
static const char *build_hash(void)
{
    static char hash[65];
    static _Atomic bool known;
    static qd_mutex lock = QD_MUTEX_INIT;
    if (atomic_load_explicit(&known, memory_order_acquire)) return hash;
    qd_mutex_lock(&lock);
    if (!atomic_load(&known)) {
        qd_sha256_hex(qd_str_c(qd_plugin_build_id()), hash);
        hash[40] = 0;
        atomic_store_explicit(&known, true, memory_order_release);
    }
    qd_mutex_unlock(&lock);
    return hash;
}

void qdi_identity_get(const qd_actions *a, qdi_identity *out)
{
    int64_t i = qd_config_i64(a->config, QD_SET_COMPAT_IDENTITY);
    *out = identities[i >= 0 && i < (int64_t)QD_COUNT_OF(identities) ? i : QDI_ES8];
    qd_str version = qd_config_text(a->config, QD_SET_COMPAT_VERSION);
    if (version.n) {
        out->number = version;
    } else if (out->opensearch && qd_config_bool(a->config, QD_SET_COMPAT_OVERRIDE)) {
        out->number = QD_STR("7.10.2");
    }
    out->build_hash = build_hash();
}

void qdi_roles_write(const qdi_identity *id, qd_str letters, qd_json_writer *w)
{
    static const struct {
        char letter;
        const char *elastic, *opensearch;
    } roles[] = {{'m', NULL, "cluster_manager"},
                 {'d', "data", "data"},
                 {'c', "data_cold", "data_cold"},
                 {'s', "data_content", "data_content"},
                 {'f', "data_frozen", "data_frozen"},
                 {'h', "data_hot", "data_hot"},
                 {'w', "data_warm", "data_warm"},
                 {'i', "ingest", "ingest"},
                 {'m', "master", NULL},
                 {'r', "remote_cluster_client", "remote_cluster_client"}};
    for (size_t i = 0; i < QD_COUNT_OF(roles); i++) {
        const char *name = id->opensearch ? roles[i].opensearch : roles[i].elastic;
        if (name && qd_str_find(letters, roles[i].letter) >= 0) qd_json_c(w, name);
    }
}

void qdi_roles_member(const qdi_identity *id, qd_str letters, qd_json_writer *w)
{
    qd_json_key_c(w, "roles");
    qd_json_array(w);
    qdi_roles_write(id, letters, w);
    qd_json_array_end(w);
}

void qdi_attributes_member(const qd_node_meta *n, qd_json_writer *w)
{
    qd_json_key_c(w, "attributes");
    qd_json_object(w);
    for (uint32_t i = 0; i < n->nattributes; i++) {
        qd_json_key(w, n->attributes[i].key);
        qd_json_str(w, n->attributes[i].value);
    }
    qd_json_object_end(w);
}

void qdi_node_member(const qdi_identity *id, const qd_node_meta *n, qd_json_writer *w)
{
    qd_json_key(w, n->id);
    qd_json_object(w);
    qd_json_field_str(w, "name", n->name);
    qd_json_field_str(w, "ephemeral_id", n->ephemeral.n ? n->ephemeral : n->id);
    qd_json_field_str(w, "transport_address", n->transport_address);
    qdi_attributes_member(n, w);
    qdi_roles_member(id, n->roles, w);
    qd_json_object_end(w);
}

static ptrdiff_t colon_of(qd_str address)
{
    for (size_t i = address.n; i > 0; i--) {
        if (address.p[i - 1] == ':') return (ptrdiff_t)i - 1;
    }
    return -1;
}

qd_str qdi_host_of(qd_str address)
{
    ptrdiff_t colon = colon_of(address);
    return colon < 0 ? address : qd_str_sub(address, 0, (size_t)colon);
}

int64_t qdi_port_of(qd_str address)
{
    int64_t port = 0;
    ptrdiff_t colon = colon_of(address);
    if (colon < 0 || !qd_str_i64(qd_str_sub(address, (size_t)colon + 1, address.n), &port)) {
        return 0;
    }
    return port;
}

/* Days since 1970 to a date (Howard Hinnant's civil_from_days). */
static void civil(int64_t days, int64_t *y, unsigned *m, unsigned *d)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned doe = (unsigned)(days - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp < 10 ? mp + 3 : mp - 9;
    *y = (int64_t)yoe + era * 400 + (*m <= 2);
}

const char *qdi_time_text(int64_t wall_ms, char out[48])
{
    int64_t days = wall_ms / 86400000, ms = wall_ms % 86400000, y;
    unsigned m, d;
    if (ms < 0) {
        ms += 86400000;
        days--;
    }
    civil(days, &y, &m, &d);
    snprintf(out, 48, "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", (int)y, m, d, (unsigned)(ms / 3600000),
             (unsigned)(ms / 60000 % 60), (unsigned)(ms / 1000 % 60), (unsigned)(ms % 1000));
    return out;
}

bool qdi_listed(qd_str list, qd_str name)
{
    if (!list.n) return true;
    for (qd_str rest = list; rest.p;) {
        qd_str one = qd_str_trim(qd_str_split(&rest, ','));
        if (qd_str_is(one, "_all") || qd_pattern_match(one, name)) return true;
    }
    return false;
}

void qdi_nodes_header(qd_json_writer *w, uint32_t total, uint32_t failed)
{
    qd_json_key_c(w, "_nodes");
    qd_json_object(w);
    qd_json_field_int(w, "total", total);
    qd_json_field_int(w, "successful", total - failed);
    qd_json_field_int(w, "failed", failed);
    qd_json_object_end(w);
}

const qd_node_meta *qdi_master(const qd_state *s)
{
    bool alone = !s->master.n && s->nnodes == 1 && qd_node_has_role(&s->nodes[0], 'm');
    return alone ? &s->nodes[0] : s->master.n ? qd_state_node(s, s->master) : NULL;
}

bool qdi_is_master(const qd_actions *a, qd_str node)
{
    qd_state *s = qd_cluster_state(a->cluster);
    const qd_node_meta *master = qdi_master(s);
    bool is = master && qd_str_eq(master->id, node);
    qd_state_unref(s);
    return is;
}

/* "data:true", "master:false": a role and whether it is wanted. */
static bool by_role(qd_str filter, const qd_node_meta *node, bool *wanted)
{
    static const struct {
        const char *role;
        char letter;
    } roles[] = {{"ingest", 'i'},      {"master", 'm'},      {"cluster_manager", 'm'},
                 {"data_hot", 'h'},    {"data_warm", 'w'},   {"data_cold", 'c'},
                 {"data_frozen", 'f'}, {"data_content", 's'}};
    qd_str rest = filter, role = qd_str_split(&rest, ':');
    if (!rest.p || !(qd_str_is(rest, "true") || qd_str_is(rest, "false"))) return false;
    bool only = qd_str_is(role, "coordinating_only");
    if (only || qd_str_is(role, "data")) {
        bool has = only ? !qd_node_is_data(node) && qd_str_find(node->roles, 'm') < 0 &&
                              qd_str_find(node->roles, 'i') < 0
                        : qd_node_is_data(node);
        *wanted = has == qd_str_is(rest, "true");
        return true;
    }
    for (size_t i = 0; i < QD_COUNT_OF(roles); i++) {
        if (!qd_str_is(role, roles[i].role)) continue;
        bool has = qd_str_find(node->roles, roles[i].letter) >= 0;
        *wanted = has == qd_str_is(rest, "true");
        return true;
    }
    return false;
}

/* "zone:a*": an attribute whose value fits; both may be patterns. */
static bool by_attribute(qd_str filter, const qd_node_meta *node)
{
    ptrdiff_t colon = qd_str_find(filter, ':');
    if (colon < 0) return false;
    qd_str key = qd_str_sub(filter, 0, (size_t)colon);
    qd_str value = qd_str_sub(filter, (size_t)colon + 1, filter.n);
    for (uint32_t i = 0; i < node->nattributes; i++) {
        if (qd_pattern_match(key, node->attributes[i].key) &&
            qd_pattern_match(value, node->attributes[i].value))
            return true;
    }
    return false;
}

bool qdi_node_wanted(const qd_actions *a, qd_str filter, const qd_node_meta *node)
{
    if (!filter.n) return true;
    for (qd_str rest = filter; rest.p;) {
        qd_str one = qd_str_trim(qd_str_split(&rest, ','));
        bool wanted = false;
        bool master = qd_str_is(one, "_master") || qd_str_is(one, "_cluster_manager");
        if (qd_str_is(one, "_all") || (qd_str_is(one, "_local") && qd_str_eq(node->id, a->node_id)))
            return true;
        if (master && qdi_is_master(a, node->id)) return true;
        if (by_role(one, node, &wanted)) {
            if (wanted) return true;
            continue;
        }
        if (by_attribute(one, node) || qd_pattern_match(one, node->transport_address)) return true;
        if (qd_pattern_match(one, node->id) || qd_pattern_match(one, node->name) ||
            qd_pattern_match(one, node->host)) {
            return true;
        }
    }
    return false;
}

void qdi_write_ms(qd_json_writer *w, bool human, const char *name, const char *key, uint64_t ns)
{
    char text[32];
    if (human) qd_json_field_c(w, name, qd_time_text((int64_t)(ns / 1000000 * 1000000), text));
    qd_json_field_int(w, key, (int64_t)(ns / 1000000));
}

void qdi_write_bytes(qd_json_writer *w, bool human, const char *name, const char *key,
                     int64_t bytes)
{
    char text[32];
    if (human) qd_json_field_c(w, name, qd_bytes_text(bytes, text));
    qd_json_field_int(w, key, bytes);
}
