/*
 * lease.c: the Lease as an object of the API, as other programs write theirs: who leads, since
 * when, for how long. holderIdentity is the node's name, '_' and its id; nobody decides by what
 * else stands there.
 */
#include "k8s.h"

/* Days since 1970 of a date of the Gregorian calendar. */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = y / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

int64_t ck_time_read(const char *text)
{
    int y, mo, d, h, mi, s;
    if (!text || sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &y, &mo, &d, &h, &mi, &s) != 6) return 0;
    if (y < 1970 || mo < 1 || mo > 12 || d < 1 || d > 31) return 0;
    return ((days_of(y, mo, d) * 24 + h) * 60 + mi) * 60 + s;
}

void ck_time_write(int64_t wall_ns, char out[40])
{
    int64_t micros = wall_ns / 1000 % 1000000, seconds = wall_ns / 1000000000;
    int64_t days = seconds / 86400, of_day = seconds % 86400;
    int64_t z = days + 719468, era = z / 146097, of_era = z - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t m = (5 * of_year + 2) / 153, d = of_year - (153 * m + 2) / 5 + 1;
    m = m < 10 ? m + 3 : m - 9;
    snprintf(out, 40, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
             (int)((uint64_t)(year + era * 400 + (m <= 2)) % 10000), (int)((uint64_t)m % 100),
             (int)((uint64_t)d % 100), (int)((uint64_t)of_day / 3600 % 100),
             (int)((uint64_t)of_day / 60 % 60), (int)((uint64_t)of_day % 60),
             (int)((uint64_t)micros % 1000000));
}

void ck_lease_keep(cr_consensus *c, json_t *object)
{
    json_decref(c->lease);
    c->lease = json_incref(object);
}

void ck_lease_read(const json_t *object, ck_lease *out)
{
    const json_t *spec = json_object_get(object, "spec");
    const char *who = json_string_value(json_object_get(spec, "holderIdentity"));
    json_int_t term = json_integer_value(json_object_get(spec, "leaseTransitions"));
    json_int_t seconds = json_integer_value(json_object_get(spec, "leaseDurationSeconds"));
    *out = (ck_lease){.term = term > 0 ? (uint64_t)term : 0};
    if (seconds > 0 && seconds < 1000000) out->duration_ns = (uint64_t)seconds * 1000000000;
    snprintf(out->uid, sizeof out->uid, "%s", kube_object_uid(object));
    snprintf(out->version, sizeof out->version, "%s", kube_object_version(object));
    if (!who || !*who) return;
    const char *id = strrchr(who, '_');
    unsigned long long v = 0;
    int at = 0;
    if (id && strlen(id) == 17 && sscanf(id + 1, "%16llx%n", &v, &at) == 1 && at == 16 && v)
        out->holder = v;
    else /* somebody else's words: a holder that nobody knows */
        out->holder = cr_sum64(who, strlen(who), 0) | 1;
}

static json_t *metadata(cr_consensus *c, const ck_lease *l, const json_t *before)
{
    json_t *old = json_object_get(before, "metadata");
    json_t *meta = l->version[0] && old ? json_copy(old) : json_object();
    (void)json_object_del(meta, "managedFields");
    (void)json_object_set_new(meta, "name", json_string(c->store->home.lease));
    (void)json_object_set_new(meta, "namespace", json_string(c->store->home.space));
    if (!l->version[0]) return meta;
    (void)json_object_set_new(meta, "uid", json_string(l->uid));
    (void)json_object_set_new(meta, "resourceVersion", json_string(l->version));
    return meta;
}

json_t *ck_lease_object(cr_consensus *c, const ck_lease *l, const json_t *before)
{
    const cr_plugin *p = c->store->plugin;
    char now[40], who[CR_WIRE_NAME_MAX + 20] = "";
    int64_t wall = p->clock->wall_ns(p->self),
            seconds = (c->store->home.lease_ns + 999999999) / 1000000000;
    ck_lease had = {.holder = 0};
    json_t *spec = json_object_get(before, "spec");
    if (before) ck_lease_read(before, &had);
    ck_time_write(wall, now);
    if (l->holder)
        snprintf(who, sizeof who, "%.*s_%016llx", (int)c->store->node_name.n, c->store->node_name.p,
                 (unsigned long long)l->holder);
    const char *since = json_string_value(json_object_get(spec, "acquireTime"));
    if (!since || had.holder != l->holder || had.term != l->term) since = now;
    return json_pack("{s:s,s:s,s:o,s:{s:s,s:I,s:s,s:s,s:I}}", "apiVersion", CK_LEASE_GROUP "/v1",
                     "kind", "Lease", "metadata", metadata(c, l, before), "spec", "holderIdentity",
                     who, "leaseDurationSeconds",
                     (json_int_t)(l->holder && seconds > 0 ? seconds : 1), "acquireTime", since,
                     "renewTime", now, "leaseTransitions", (json_int_t)(l->term & 0x7fffffff));
}
