/*
 * geoip.c: the processor geoip: where an address is, by a database that the administrator puts
 * below ingest-geoip in the data folder. While it is not there documents get Elasticsearch's tag.
 */
#include "ingest/ingest_int.h"
#include "mapping/field.h"
#include "runtime/sync.h"
#include <maxminddb.h>
#include <stdio.h>

#define AGAIN_NS                                                                                   \
    UINT64_C(10000000000) /* before a database that is not there is looked for again               \
                           */

typedef struct located {
    qd_mutex lock;
    MMDB_s db;
    bool open;
    uint64_t looked_ns;
} located;

typedef struct geoip {
    qdi_path field, target, tags;
    qd_str file, path;
    qd_str *properties; /* n 0: those of the kind of database */
    uint32_t nproperties;
    bool ignore_missing, first_only;
    located *at;
} geoip;

static const char *const known[] = {
    "ip",
    "country_iso_code",
    "country_name",
    "continent_code",
    "continent_name",
    "region_iso_code",
    "region_name",
    "city_name",
    "postal_code",
    "timezone",
    "location",
    "asn",
    "organization_name",
    "network",
};

static void close_database(void *arg)
{
    located *at = arg;
    if (at->open) MMDB_close(&at->db);
    qd_mutex_fini(&at->lock);
}

static int properties_of(qdi_build *b, const geoip *c, qd_err *err)
{
    for (uint32_t k = 0; k < c->nproperties; k++) {
        uint32_t i = 0;
        while (i < QD_COUNT_OF(known) && !qd_str_ieq(c->properties[k], qd_str_c(known[i]))) i++;
        if (i == QD_COUNT_OF(known))
            return qdi_arg_fail(b, "properties", err,
                                "illegal property value [%.*s]. valid values are [IP, "
                                "COUNTRY_ISO_CODE, COUNTRY_NAME, CONTINENT_CODE, CONTINENT_NAME, "
                                "REGION_ISO_CODE, REGION_NAME, CITY_NAME, POSTAL_CODE, TIMEZONE, "
                                "LOCATION, ASN, ORGANIZATION_NAME, NETWORK]",
                                QD_STR_ARG(c->properties[k]));
    }
    return 0;
}

static int make(qdi_build *b, void *config, qd_err *err)
{
    geoip *c = config;
    bool download;
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_path(b, "target_field", QD_STR("geoip"), &c->target, err);
    if (!rc) rc = qdi_arg_str(b, "database_file", "GeoLite2-City.mmdb", &c->file, err);
    if (!rc) rc = qdi_arg_strs(b, "properties", false, false, &c->properties, &c->nproperties, err);
    if (!rc) rc = qdi_arg_bool(b, "ignore_missing", false, &c->ignore_missing, err);
    if (!rc) rc = qdi_arg_bool(b, "first_only", true, &c->first_only, err);
    if (!rc) rc = qdi_arg_bool(b, "download_database_on_pipeline_creation", false, &download, err);
    if (!rc) rc = properties_of(b, c, err);
    if (rc) return rc;
    if (download)
        return qdi_arg_fail(b, "download_database_on_pipeline_creation", err,
                            "[true] is not supported, databases are not downloaded");
    if (qd_str_find(c->file, '/') >= 0 || !qd_str_ends(c->file, QD_STR(".mmdb")))
        return qdi_arg_fail(b, "database_file", err,
                            "database file [%.*s] must be the name of a .mmdb file",
                            QD_STR_ARG(c->file));
    rc = qdi_path_make(b->a, QD_STR("tags"), &c->tags, err);
    if (rc) return rc;
    c->path = qd_arena_printf(b->a, "%.*s/ingest-geoip/%.*s", QD_STR_ARG(b->s->data_path),
                              QD_STR_ARG(c->file));
    c->at = qd_arena_calloc(b->a, sizeof *c->at);
    if (!c->path.p || !c->at) return qd_err_nomem(err, "processor");
    qd_mutex_init(&c->at->lock);
    return qd_arena_on_reset(b->a, close_database, c->at) ? qd_err_nomem(err, "processor") : 0;
}

/* Opens the database if it is there; looked for once in a while. */
static bool database(const geoip *c, qd_ingest_run *r)
{
    located *at = c->at;
    uint64_t now = qd_env_mono_ns(r->s->env);
    qd_mutex_lock(&at->lock);
    if (!at->open && (!at->looked_ns || now - at->looked_ns > AGAIN_NS)) {
        at->looked_ns = now + 1;
        at->open = MMDB_open(c->path.p, MMDB_MODE_MMAP, &at->db) == MMDB_SUCCESS;
    }
    bool open = at->open;
    qd_mutex_unlock(&at->lock);
    return open;
}

static bool put(qd_ingest_run *r, qd_iv *map, const char *key, qd_iv v)
{
    qd_iv *at = qd_iv_put(&r->arena, map, qd_str_c(key));
    if (at) *at = v;
    return at != NULL;
}

static bool text_at(qd_ingest_run *r, MMDB_entry_s *e, const char *const *path, qd_str *out)
{
    MMDB_entry_data_s d;
    if (MMDB_aget_value(e, &d, path) != MMDB_SUCCESS || !d.has_data ||
        d.type != MMDB_DATA_TYPE_UTF8_STRING)
        return false;
    *out = qd_arena_str(&r->arena, (qd_str){d.utf8_string, d.data_size});
    return out->p != NULL;
}

static bool number_at(MMDB_entry_s *e, const char *const *path, double *out)
{
    MMDB_entry_data_s d;
    if (MMDB_aget_value(e, &d, path) != MMDB_SUCCESS || !d.has_data) return false;
    if (d.type == MMDB_DATA_TYPE_DOUBLE)
        *out = d.double_value;
    else if (d.type == MMDB_DATA_TYPE_UINT32)
        *out = d.uint32;
    else
        return false;
    return true;
}

static bool location(qd_ingest_run *r, MMDB_entry_s *e, qd_iv *out)
{
    static const char *const lat[] = {"location", "latitude", NULL}, *const lon[] = {"location",
                                                                                     "longitude",
                                                                                     NULL};
    double x, y;
    qd_iv at = {.kind = QD_IV_MAP};
    if (!number_at(e, lat, &y) || !number_at(e, lon, &x)) return true;
    return put(r, &at, "lon", qd_iv_double(&r->arena, x)) &&
           put(r, &at, "lat", qd_iv_double(&r->arena, y)) && put(r, out, "location", at);
}

/* The network that the address was found in: its first bits. */
static bool network(qd_ingest_run *r, const uint8_t ip[16], bool four, uint32_t bits, qd_iv *out)
{
    char text[46];
    uint8_t net[16];
    memcpy(net, ip, 16);
    uint32_t kept = four ? bits + 96 : bits;
    for (uint32_t k = kept; k < 128; k++) net[k / 8] &= (uint8_t) ~(0x80u >> (k % 8));
    size_t n = qd_ip_print(text, net);
    qd_str s = qd_arena_printf(&r->arena, "%.*s/%u", (int)n, text, bits);
    return s.p && put(r, out, "network", QD_IV_STRING(s));
}

static bool property(qd_ingest_run *r, const char *name, MMDB_entry_s *e, qd_iv *out)
{
    static const struct {
        const char *name, *path[5];
    } texts[] = {
        {"country_iso_code", {"country", "iso_code"}},
        {"country_name", {"country", "names", "en"}},
        {"continent_code", {"continent", "code"}},
        {"continent_name", {"continent", "names", "en"}},
        {"region_name", {"subdivisions", "0", "names", "en"}},
        {"city_name", {"city", "names", "en"}},
        {"postal_code", {"postal", "code"}},
        {"timezone", {"location", "time_zone"}},
        {"organization_name", {"autonomous_system_organization"}},
    };
    static const char *const country[] = {"country", "iso_code", NULL},
                             *const region[] = {"subdivisions", "0", "iso_code", NULL},
                             *const asn[] = {"autonomous_system_number", NULL};
    qd_str a, b;
    double number;
    for (size_t k = 0; k < QD_COUNT_OF(texts); k++) {
        if (strcmp(texts[k].name, name) != 0) continue;
        return !text_at(r, e, texts[k].path, &a) || put(r, out, name, QD_IV_STRING(a));
    }
    if (strcmp(name, "location") == 0) return location(r, e, out);
    if (strcmp(name, "asn") == 0)
        return !number_at(e, asn, &number) || put(r, out, name, QD_IV_INTEGER((int64_t)number));
    if (strcmp(name, "region_iso_code") == 0) {
        if (!text_at(r, e, country, &a) || !text_at(r, e, region, &b)) return true;
        a = qd_arena_printf(&r->arena, "%.*s-%.*s", QD_STR_ARG(a), QD_STR_ARG(b));
        return a.p && put(r, out, name, QD_IV_STRING(a));
    }
    return true;
}

/* Those that Elasticsearch gives where none are named. */
static const char *const *standard(const char *kind)
{
    static const char *const city[] = {"continent_name",   "country_name",
                                       "country_iso_code", "region_iso_code",
                                       "region_name",      "city_name",
                                       "location",         NULL},
                             *const land[] = {"continent_name", "country_name", "country_iso_code",
                                              NULL},
                             *const asn[] = {"ip", "asn", "organization_name", "network", NULL};
    size_t n = strlen(kind);
    if (n >= 3 && strcmp(kind + n - 3, "ASN") == 0) return asn;
    return n >= 7 && strcmp(kind + n - 7, "Country") == 0 ? land : city;
}

static int look_up(const geoip *c, qd_ingest_run *r, qd_str text, qd_iv *out, qd_err *err)
{
    uint8_t ip[16];
    int gai = 0, mmdb = 0;
    char name[64];
    *out = (qd_iv){.kind = QD_IV_NULL};
    if (!qd_ip_parse(text, ip) || text.n >= sizeof name)
        return qd_err_set(err, QD_E_ARG, "'%.*s' is not an IP string literal.", QD_STR_ARG(text));
    memcpy(name, text.p, text.n);
    name[text.n] = 0;
    MMDB_lookup_result_s found = MMDB_lookup_string(&c->at->db, name, &gai, &mmdb);
    if (gai || mmdb != MMDB_SUCCESS || !found.found_entry) return 0;
    *out = (qd_iv){.kind = QD_IV_MAP};
    const char *const *list = standard(c->at->db.metadata.database_type);
    bool four = qd_str_find(text, ':') < 0, ok = true;
    uint32_t bits = found.netmask;
    if (four && c->at->db.metadata.ip_version == 6 && bits >= 96) bits -= 96;
    for (uint32_t k = 0; ok && (c->nproperties ? k < c->nproperties : list[k] != NULL); k++) {
        uint32_t i = 0;
        while (c->nproperties && !qd_str_ieq(c->properties[k], qd_str_c(known[i]))) i++;
        const char *what = c->nproperties ? known[i] : list[k];
        if (strcmp(what, "ip") == 0)
            ok = put(r, out, "ip", QD_IV_STRING(text));
        else if (strcmp(what, "network") == 0)
            ok = network(r, ip, four, bits, out);
        else
            ok = property(r, what, &found.entry, out);
    }
    return ok ? 0 : qdi_run_nomem(err);
}

static int not_there(const geoip *c, qd_ingest_run *r, qd_err *err)
{
    qd_str tag =
        qd_arena_printf(&r->arena, "_geoip_database_unavailable_%.*s", QD_STR_ARG(c->file));
    qd_iv v = QD_IV_STRING(tag);
    return tag.p ? qdi_path_append(r, &c->tags, &v, true, err) : qdi_run_nomem(err);
}

static int of_list(const geoip *c, qd_ingest_run *r, const qd_iv *in, qd_err *err)
{
    qd_iv list = {.kind = QD_IV_LIST};
    for (uint32_t k = 0; k < in->n; k++) {
        qd_iv one;
        if (in->items[k].kind != QD_IV_STR)
            return qd_err_set(err, QD_E_ARG, "array in field [%.*s] should only contain strings",
                              QD_STR_ARG(c->field.full));
        int rc = look_up(c, r, in->items[k].s, &one, err);
        if (rc) return rc;
        if (one.kind == QD_IV_MAP && c->first_only) return qdi_path_set(r, &c->target, one, err);
        qd_iv *at = qd_iv_push(&r->arena, &list);
        if (!at) return qdi_run_nomem(err);
        *at = one;
    }
    return c->first_only ? 0 : qdi_path_set(r, &c->target, list, err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const geoip *c = config;
    qd_iv *v = qdi_path_look(r, &c->field), out;
    int rc = 0;
    if (!database(c, r)) return not_there(c, r, err);
    if (c->ignore_missing && (!v || v->kind == QD_IV_NULL)) return 0;
    if (!v && (rc = qdi_path_get(r, &c->field, &v, err))) return rc;
    if (v->kind == QD_IV_NULL)
        return qd_err_set(err, QD_E_ARG, "field [%.*s] is null, cannot extract geoip information.",
                          QD_STR_ARG(c->field.full));
    if (v->kind == QD_IV_LIST) return of_list(c, r, v, err);
    if (v->kind != QD_IV_STR)
        return qd_err_set(err, QD_E_ARG,
                          "field [%.*s] should contain only string or array of strings",
                          QD_STR_ARG(c->field.full));
    rc = look_up(c, r, v->s, &out, err);
    return rc || out.kind != QD_IV_MAP ? rc : qdi_path_set(r, &c->target, out, err);
}

const qdi_processor_type qdi_processor_geoip = {"geoip", sizeof(geoip), .make = make, .run = run};
