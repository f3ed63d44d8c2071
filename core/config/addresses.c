/* addresses.c: what the lists of other nodes must look like, so that a typing error ends the start
 * instead of a node that looks for nobody. */
#include "config/addresses_int.h"
#include <stdio.h>

#define LIST_MAX 64u /* of one list */
#define HOST_MAX 253u
#define NAME_MAX 255u

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Groups of an IPv6 address, a zone behind %; the rest is the resolver's. */
static bool looks_like_v6(qd_str s)
{
    ptrdiff_t zone = qd_str_find(s, '%');
    if (zone >= 0) {
        if ((size_t)zone + 1 == s.n) return false;
        s = qd_str_sub(s, 0, (size_t)zone);
    }
    uint32_t colons = 0, digits = 0, doubles = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == ':') {
            doubles += i > 0 && s.p[i - 1] == ':';
            colons++;
            digits = 0;
        } else if (s.p[i] != '.' && (!is_hex(s.p[i]) || ++digits > 4)) {
            return false;
        }
    }
    return colons >= 2 && colons <= 8 && doubles <= 1;
}

static const char *host_fault(qd_str host)
{
    if (!host.n) return "it has no host";
    if (host.n > HOST_MAX) return "its host is too long";
    for (size_t i = 0; i < host.n; i++) {
        unsigned char c = (unsigned char)host.p[i];
        bool ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '_' || c == '.' || c >= 0x80;
        if (!ok)
            return c == ' ' || c == '\t' ? "there is a blank in it"
                                         : "there is a character in it that no host has";
    }
    return NULL;
}

static const char *port_fault(qd_str text)
{
    uint64_t port;
    if (!text.n) return "there is no port behind its colon";
    return qd_str_u64(text, &port) && port > 0 && port < 65536
               ? NULL
               : "its port is no number from 1 to 65535";
}

const char *qdi_address_fault(qd_str a)
{
    if (qd_str_find_str(a, QD_STR("://")) >= 0) return "it is a URL";
    if (a.n && a.p[0] == '[') {
        ptrdiff_t end = qd_str_find(a, ']');
        if (end < 0) return "its [ is not closed";
        qd_str behind = qd_str_sub(a, (size_t)end + 1, SIZE_MAX);
        if (!looks_like_v6(qd_str_sub(a, 1, (size_t)end - 1)))
            return "between its [ ] stands no IPv6 address";
        if (!behind.n) return NULL;
        return behind.p[0] == ':' ? port_fault(qd_str_sub(behind, 1, SIZE_MAX))
                                  : "behind its ] stands something else than a port";
    }
    ptrdiff_t colon = qd_str_find(a, ':');
    if (colon < 0) return host_fault(a);
    qd_str behind = qd_str_sub(a, (size_t)colon + 1, SIZE_MAX);
    if (qd_str_find(behind, ':') >= 0)
        return looks_like_v6(a) ? NULL : "it has more than one colon and is no IPv6 address";
    const char *fault = host_fault(qd_str_sub(a, 0, (size_t)colon));
    return fault ? fault : port_fault(behind);
}

/* "discovery.seed_hosts (file x.yml, line 3)" */
static const char *place(const qd_config *c, uint32_t id, char out[400])
{
    qd_buf b;
    const char *key = qd_schema_node.defs[id].key;
    qd_buf_init(&b, NULL, 300);
    bool known = qd_config_origin(c, qd_str_c(key), &b) == 0;
    snprintf(out, 400, "%s%s%.*s%s", key, known ? " (" : "", known ? (int)b.n : 0, b.p ? b.p : "",
             known ? ")" : "");
    qd_buf_fini(&b);
    return out;
}

/* A list of addresses; named: "name@address" too. */
static int check_list(const qd_config *c, const qd_values *v, uint32_t id, bool named, qd_err *err)
{
    uint32_t n;
    const qd_str *list = qd_values_list(v, id, &n);
    char key[400];
    if (!n && qd_str_trim(qd_values_text(v, id)).n)
        return qd_err_set(err, QD_E_CONFIG, "%s: there is no address in [%.*s]", place(c, id, key),
                          QD_STR_ARG(qd_values_text(v, id)));
    if (n > LIST_MAX)
        return qd_err_set(err, QD_E_CONFIG, "%s: %u addresses, at most %u are wanted",
                          place(c, id, key), n, LIST_MAX);
    for (uint32_t i = 0; i < n; i++) {
        qd_str address = list[i];
        ptrdiff_t at = named ? qd_str_find(address, '@') : -1;
        const char *fault = at == 0 ? "there is no name before its @" : NULL;
        if (at >= 0) address = qd_str_sub(address, (size_t)at + 1, SIZE_MAX);
        if (!address.n && at < 0) fault = "it is empty";
        if (!fault) fault = qdi_address_fault(address);
        for (uint32_t k = 0; named && !fault && k < i; k++)
            if (qd_str_eq(list[k], list[i])) fault = "it is there twice";
        if (fault)
            return qd_err_set(err, QD_E_CONFIG,
                              "%s: [%.*s], the %u. of %u, is no address: %s; wanted host, "
                              "host:port, or [IPv6]:port, with commas between",
                              place(c, id, key), (int)(list[i].n < 300 ? list[i].n : 300),
                              list[i].p ? list[i].p : "", i + 1, n, fault);
    }
    return 0;
}

/* Names of the first masters; Elasticsearch's words where it has some. */
static int check_first(const qd_config *c, const qd_values *v, qd_err *err)
{
    uint32_t n;
    const qd_str *list = qd_values_list(v, QD_SET_CLUSTER_INITIAL_MASTERS, &n);
    const char *key = qd_schema_node.defs[QD_SET_CLUSTER_INITIAL_MASTERS].key;
    char where[400];
    (void)place(c, QD_SET_CLUSTER_INITIAL_MASTERS, where);
    if (n == 0 || (n == 1 && !list[0].n)) return 0;
    if (qd_str_is(qd_values_text(v, QD_SET_DISCOVERY_TYPE), "single-node"))
        return qd_err_set(err, QD_E_CONFIG,
                          "setting [%s] is not allowed when [discovery.type] is set to "
                          "[single-node]",
                          key);
    if (n > LIST_MAX)
        return qd_err_set(err, QD_E_CONFIG, "%s: %u names, at most %u are wanted", where, n,
                          LIST_MAX);
    for (uint32_t i = 0; i < n; i++) {
        if (!list[i].n || list[i].n > NAME_MAX)
            return qd_err_set(err, QD_E_CONFIG, "%s: the %u. of its %u names is %s", where, i + 1,
                              n, list[i].n ? "too long" : "empty");
        for (uint32_t k = 0; k < i; k++)
            if (qd_str_eq(list[k], list[i]))
                return qd_err_set(err, QD_E_CONFIG,
                                  "setting [%s] contains duplicates: [%.*s]; every first master is "
                                  "named once, by its node.name",
                                  key, QD_STR_ARG(list[i]));
    }
    return 0;
}

int qdi_addresses_check(const qd_config *c, const qd_values *v, qd_err *err)
{
    int rc = check_list(c, v, QD_SET_DISCOVERY_SEED_HOSTS, false, err);
    if (!rc) rc = check_list(c, v, QD_SET_COORDINATION_MASTERS, false, err);
    if (!rc) rc = check_list(c, v, QD_SET_COORDINATION_PEERS, true, err);
    return rc ? rc : check_first(c, v, err);
}
