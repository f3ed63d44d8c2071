/* community_id.c: the processor community_id: one hash for both directions of a connection. */
#include "base/base64.h"
#include "ingest/ingest_int.h"
#include "mapping/field.h"
#include <openssl/evp.h>

typedef struct community {
    qdi_path source_ip, source_port, destination_ip, destination_port, number, type, code,
        transport, target;
    int64_t seed;
    bool ignore_missing;
} community;

enum { ICMP = 1, TCP = 6, UDP = 17, ICMP6 = 58, SCTP = 132 };

static int make(qdi_build *b, void *config, qd_err *err)
{
    community *c = config;
    int rc = qdi_arg_path(b, "source_ip", QD_STR("source.ip"), &c->source_ip, err);
    if (!rc) rc = qdi_arg_path(b, "source_port", QD_STR("source.port"), &c->source_port, err);
    if (!rc)
        rc = qdi_arg_path(b, "destination_ip", QD_STR("destination.ip"), &c->destination_ip, err);
    if (!rc)
        rc = qdi_arg_path(b, "destination_port", QD_STR("destination.port"), &c->destination_port,
                          err);
    if (!rc) rc = qdi_arg_path(b, "iana_number", QD_STR("network.iana_number"), &c->number, err);
    if (!rc) rc = qdi_arg_path(b, "transport", QD_STR("network.transport"), &c->transport, err);
    if (!rc) rc = qdi_arg_path(b, "icmp_type", QD_STR("icmp.type"), &c->type, err);
    if (!rc) rc = qdi_arg_path(b, "icmp_code", QD_STR("icmp.code"), &c->code, err);
    if (!rc) rc = qdi_arg_path(b, "target_field", QD_STR("network.community_id"), &c->target, err);
    if (!rc) rc = qdi_arg_int(b, "seed", 0, &c->seed, err);
    if (!rc && (c->seed < 0 || c->seed > 65535))
        rc = qdi_arg_fail(b, "seed", err, "must be a value between 0 and 65535");
    return rc ? rc : qdi_arg_bool(b, "ignore_missing", true, &c->ignore_missing, err);
}

/* An integer there, also as text; false: none. */
static bool integer(qd_ingest_run *r, const qdi_path *p, int64_t *out)
{
    const qd_iv *v = qdi_path_look(r, p);
    if (v && v->kind == QD_IV_LONG) {
        *out = v->i;
        return true;
    }
    return v && v->kind == QD_IV_STR && qd_str_i64(v->s, out);
}

static bool address(qd_ingest_run *r, const qdi_path *p, uint8_t ip[16])
{
    const qd_iv *v = qdi_path_look(r, p);
    return v && v->kind == QD_IV_STR && qd_ip_parse(v->s, ip);
}

static bool protocol_of(const community *c, qd_ingest_run *r, int64_t *out)
{
    static const struct {
        const char *name;
        int64_t number;
    } known[] = {{"icmp", ICMP},       {"igmp", 2},      {"tcp", TCP},  {"udp", UDP},
                 {"gre", 47},          {"esp", 50},      {"ah", 51},    {"icmp_ipv6", ICMP6},
                 {"ipv6-icmp", ICMP6}, {"icmp6", ICMP6}, {"eigrp", 88}, {"ospf", 89},
                 {"pim", 103},         {"sctp", SCTP}};
    if (integer(r, &c->number, out)) return true;
    const qd_iv *v = qdi_path_look(r, &c->transport);
    if (!v) return false;
    if (integer(r, &c->transport, out)) return true;
    for (size_t k = 0; k < QD_COUNT_OF(known) && v->kind == QD_IV_STR; k++) {
        if (!qd_str_ieq(v->s, qd_str_c(known[k].name))) continue;
        *out = known[k].number;
        return true;
    }
    return false;
}

/* The type that answers an ICMP type; -1: it has none, then the code counts. */
static int64_t answer_of(int64_t protocol, int64_t type)
{
    static const uint8_t four[][2] = {{0, 8}, {13, 14}, {15, 16}, {17, 18}, {9, 10}},
                         six[][2] = {{128, 129}, {133, 134}, {135, 136}, {130, 131},
                                     {144, 145}, {139, 140}, {146, 147}};
    size_t n = protocol == ICMP ? QD_COUNT_OF(four) : QD_COUNT_OF(six);
    for (size_t k = 0; k < n; k++) {
        const uint8_t *pair = protocol == ICMP ? four[k] : six[k];
        if (pair[0] == type) return pair[1];
        if (pair[1] == type) return pair[0];
    }
    return -1;
}

typedef struct flow {
    uint8_t source[16], destination[16];
    int64_t protocol, source_port, destination_port;
    bool ports, one_way;
} flow;

static int missing(const community *c, const char *what, qd_err *err)
{
    if (c->ignore_missing) return 1;
    return qd_err_set(err, QD_E_ARG, "unable to construct flow from document: %s", what);
}

static int flow_of(const community *c, qd_ingest_run *r, flow *f, qd_err *err)
{
    int64_t type, code = 0;
    if (!address(r, &c->source_ip, f->source) || !address(r, &c->destination_ip, f->destination))
        return missing(c, "an address is missing", err);
    if (!protocol_of(c, r, &f->protocol) || f->protocol < 0 || f->protocol > 255)
        return missing(c, "the transport protocol is missing or unknown", err);
    if (f->protocol == TCP || f->protocol == UDP || f->protocol == SCTP) {
        f->ports = true;
        if (!integer(r, &c->source_port, &f->source_port) || f->source_port < 1 ||
            f->source_port > 65535)
            return missing(c, "invalid source port", err);
        if (!integer(r, &c->destination_port, &f->destination_port) || f->destination_port < 1 ||
            f->destination_port > 65535)
            return missing(c, "invalid destination port", err);
    } else if (f->protocol == ICMP || f->protocol == ICMP6) {
        f->ports = true;
        if (!integer(r, &c->type, &type)) return missing(c, "the ICMP type is missing", err);
        (void)integer(r, &c->code, &code);
        f->source_port = type;
        f->destination_port = answer_of(f->protocol, type);
        f->one_way = f->destination_port < 0;
        if (f->one_way) f->destination_port = code;
    }
    return 0;
}

static size_t put_ip(uint8_t *out, const uint8_t ip[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    bool four = memcmp(ip, mapped, 12) == 0;
    memcpy(out, four ? ip + 12 : ip, four ? 4 : 16);
    return four ? 4 : 16;
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const community *c = config;
    flow f = {0};
    uint8_t in[64], digest[EVP_MAX_MD_SIZE];
    size_t n = 0, nd = 0;
    int rc = flow_of(c, r, &f, err);
    if (rc) return rc < 0 ? rc : 0;
    int order = memcmp(f.source, f.destination, 16);
    bool swap = !f.one_way && (order > 0 || (order == 0 && f.source_port > f.destination_port));
    const uint8_t *first = swap ? f.destination : f.source,
                  *second = swap ? f.source : f.destination;
    int64_t a = swap ? f.destination_port : f.source_port,
            b = swap ? f.source_port : f.destination_port;
    in[n++] = (uint8_t)(c->seed >> 8);
    in[n++] = (uint8_t)c->seed;
    n += put_ip(in + n, first);
    n += put_ip(in + n, second);
    in[n++] = (uint8_t)f.protocol;
    in[n++] = 0;
    if (f.ports) {
        in[n++] = (uint8_t)(a >> 8);
        in[n++] = (uint8_t)a;
        in[n++] = (uint8_t)(b >> 8);
        in[n++] = (uint8_t)b;
    }
    if (EVP_Q_digest(NULL, "SHA1", NULL, in, n, digest, &nd) != 1) return qdi_run_nomem(err);
    char *p = qdi_run_bytes(r, 2 + (nd + 2) / 3 * 4, err);
    if (!p) return QD_E_NOMEM;
    memcpy(p, "1:", 2);
    size_t text = qd_base64_encode(p + 2, digest, nd);
    return qdi_path_set(r, &c->target, QD_IV_STRING(((qd_str){p, text + 2})), err);
}

const qdi_processor_type qdi_processor_community_id = {"community_id", sizeof(community),
                                                       .make = make, .run = run};
