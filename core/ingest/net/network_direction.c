/* network_direction.c: the processor network_direction: from where to where a connection goes. */
#include "ingest/ingest_int.h"
#include "mapping/field.h"

typedef struct direction {
    qdi_path source, destination, target, list;
    bool has_list, ignore_missing;
    qd_mustache **networks;
    uint32_t n;
} direction;

static int make(qdi_build *b, void *config, qd_err *err)
{
    direction *c = config;
    qd_str *texts, list;
    int rc = qdi_arg_path(b, "source_ip", QD_STR("source.ip"), &c->source, err);
    if (!rc) rc = qdi_arg_path(b, "destination_ip", QD_STR("destination.ip"), &c->destination, err);
    if (!rc) rc = qdi_arg_path(b, "target_field", QD_STR("network.direction"), &c->target, err);
    if (!rc) rc = qdi_arg_bool(b, "ignore_missing", true, &c->ignore_missing, err);
    if (!rc) rc = qdi_arg_strs(b, "internal_networks", false, false, &texts, &c->n, err);
    if (!rc) rc = qdi_arg_str_opt(b, "internal_networks_field", &list, err);
    if (rc) return rc;
    c->has_list = list.p != NULL;
    if (!c->n && !c->has_list)
        return qdi_arg_fail(b, "internal_networks", err,
                            "and [internal_networks_field] cannot both be missing");
    if (c->n && c->has_list)
        return qdi_arg_fail(b, "internal_networks", err,
                            "and [internal_networks_field] cannot both be set");
    if (c->has_list) return qdi_path_make(b->a, list, &c->list, err);
    c->networks = qd_arena_calloc(b->a, c->n * sizeof *c->networks);
    if (!c->networks) return qd_err_nomem(err, "processor");
    for (uint32_t k = 0; k < c->n && !rc; k++)
        rc = qd_mustache_compile(b->a, texts[k], QD_MUSTACHE_PLAIN, &c->networks[k], err);
    return rc ? qdi_arg_wrap(b, "internal_networks", err) : 0;
}

static bool within(const uint8_t ip[16], const char *cidr)
{
    uint8_t lo[16], hi[16];
    if (qd_ip_cidr(qd_str_c(cidr), lo, hi, NULL)) return false;
    return memcmp(ip, lo, 16) >= 0 && memcmp(ip, hi, 16) <= 0;
}

static const struct named {
    const char *name, *at[5];
} networks[] = {
    {"loopback", {"127.0.0.0/8", "::1/128"}},
    {"multicast", {"224.0.0.0/4", "ff00::/8"}},
    {"interface_local_multicast", {"ff01::/16"}},
    {"link_local_unicast", {"169.254.0.0/16", "fe80::/10"}},
    {"link_local_multicast", {"224.0.0.0/24", "ff02::/16"}},
    {"private", {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}},
    {"unspecified", {"0.0.0.0/32", "::/128"}},
};

static bool is_in(const uint8_t ip[16], const char *name)
{
    for (size_t k = 0; k < QD_COUNT_OF(networks); k++) {
        if (strcmp(networks[k].name, name) != 0) continue;
        for (size_t i = 0; i < QD_COUNT_OF(networks[k].at) && networks[k].at[i]; i++) {
            if (within(ip, networks[k].at[i])) return true;
        }
    }
    return false;
}

static int member(const uint8_t ip[16], qd_str network, bool *out, qd_err *err)
{
    uint8_t lo[16], hi[16];
    *out = true;
    bool local = is_in(ip, "private") || is_in(ip, "loopback") || is_in(ip, "unspecified") ||
                 is_in(ip, "link_local_unicast") || is_in(ip, "link_local_multicast") ||
                 is_in(ip, "interface_local_multicast");
    if (qd_str_is(network, "public")) {
        *out = !local;
        return 0;
    }
    if (qd_str_is(network, "unicast") || qd_str_is(network, "global_unicast")) {
        *out = !is_in(ip, "multicast") && !is_in(ip, "unspecified") && !is_in(ip, "loopback") &&
               !is_in(ip, "link_local_unicast") && !within(ip, "255.255.255.255/32");
        return 0;
    }
    for (size_t k = 0; k < QD_COUNT_OF(networks); k++) {
        if (!qd_str_is(network, networks[k].name)) continue;
        *out = is_in(ip, networks[k].name);
        return 0;
    }
    if (qd_ip_cidr(network, lo, hi, NULL))
        return qd_err_set(err, QD_E_ARG, "'%.*s' is not an IP string literal.",
                          QD_STR_ARG(network));
    *out = memcmp(ip, lo, 16) >= 0 && memcmp(ip, hi, 16) <= 0;
    return 0;
}

static int is_internal(const direction *c, qd_ingest_run *r, qd_str text, bool *out, qd_err *err)
{
    uint8_t ip[16];
    qd_iv *list = NULL;
    *out = false;
    if (!qd_ip_parse(text, ip))
        return qd_err_set(err, QD_E_ARG, "'%.*s' is not an IP string literal.", QD_STR_ARG(text));
    int rc = c->has_list ? qdi_path_get(r, &c->list, &list, err) : 0;
    if (!rc && list && list->kind != QD_IV_LIST)
        rc = qdi_cannot_cast(&c->list, list, "java.util.List", err);
    uint32_t n = list ? list->n : c->n;
    for (uint32_t k = 0; k < n && !rc && !*out; k++) {
        qd_str network;
        if (list)
            network = qd_iv_text(&r->arena, &list->items[k]);
        else
            rc = qdi_template_text(r, c->networks[k], &network, err);
        if (!rc) rc = member(ip, network, out, err);
    }
    return rc;
}

static int address(const direction *c, qd_ingest_run *r, const qdi_path *p, const char *what,
                   qd_str *out, bool *missing, qd_err *err)
{
    int rc = qdi_path_text(r, p, true, out, missing, err);
    if (rc || !*missing || c->ignore_missing) return rc;
    return qd_err_set(err, QD_E_ARG,
                      "unable to calculate network direction from document: %s is missing", what);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const direction *c = config;
    qd_str source, destination;
    bool missing, from, to;
    int rc = address(c, r, &c->source, "source IP", &source, &missing, err);
    if (rc || missing) return rc;
    rc = address(c, r, &c->destination, "destination IP", &destination, &missing, err);
    if (rc || missing) return rc;
    rc = is_internal(c, r, source, &from, err);
    if (!rc) rc = is_internal(c, r, destination, &to, err);
    if (rc) return rc;
    qd_str way = from ? (to ? QD_STR("internal") : QD_STR("outbound"))
                      : (to ? QD_STR("inbound") : QD_STR("external"));
    return qdi_path_set(r, &c->target, QD_IV_STRING(way), err);
}

const qdi_processor_type qdi_processor_network_direction = {"network_direction", sizeof(direction),
                                                            .make = make, .run = run};
