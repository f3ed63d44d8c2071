/* get.c: what an index is: get, mapping, settings, aliases. */
#include "action/api/admin_int.h"
#include "action/indices/indices_int.h"
#include "base/str.h"
#include "mapping/date_format.h"
#include <stdio.h>
#include <string.h>

#define READ_OPTIONS (QD_EXPAND_OPEN | QD_EXPAND_CLOSED | QD_ALLOW_NO_INDICES)

void qdi_alias_write(const qd_alias *a, qd_json_writer *w)
{
    qd_json_key(w, a->name);
    qd_json_object(w);
    if (a->filter.n) {
        qd_json_key_c(w, "filter");
        qd_json_raw_value(w, a->filter);
    }
    if (a->index_routing.n) qd_json_field_str(w, "index_routing", a->index_routing);
    if (a->search_routing.n) qd_json_field_str(w, "search_routing", a->search_routing);
    if (a->is_write_index >= 0) qd_json_field_bool(w, "is_write_index", a->is_write_index);
    if (a->is_hidden) qd_json_field_bool(w, "is_hidden", true);
    qd_json_object_end(w);
}

void qdi_write_aliases(const qd_index_meta *m, const char *pattern, qd_json_writer *w)
{
    qd_json_object(w);
    for (uint32_t i = 0; i < m->naliases; i++) {
        const qd_alias *a = &m->aliases[i];
        if (!pattern || qdi_alias_wanted(qd_str_c(pattern), a->name)) qdi_alias_write(a, w);
    }
    qd_json_object_end(w);
}

/* Is key asked for by the {name} parameter (patterns, comma-separated)? */
static bool wanted_setting(void *arg, qd_str key)
{
    qd_str names = *(qd_str *)arg;
    if (!names.n || qd_str_is(names, "_all")) return true;
    for (qd_str rest = names; rest.p;) {
        if (qd_pattern_match(qd_str_split(&rest, ','), key)) return true;
    }
    return false;
}

/* The settings as stored, with those that the node adds; for a human some as text, too. */
static int shown_settings(const qd_index_meta *m, const qd_request *human, qd_settings **out)
{
    char text[128];
    int rc = qd_settings_new(NULL, out, NULL);
    if (!rc) rc = qd_settings_merge(*out, m->settings, NULL);
    snprintf(text, sizeof text, "%lld", (long long)m->created_ms);
    if (!rc) rc = qd_settings_put(*out, QD_STR("index.creation_date"), qd_str_c(text), NULL);
    if (!rc && human) {
        size_t n = qd_date_print(qd_date_format_default(), m->created_ms, NULL, text);
        rc = qd_settings_put(*out, QD_STR("index.creation_date_string"), (qd_str){text, n}, NULL);
        qdi_identity id;
        qdi_identity_get(human->a, &id);
        if (!rc)
            rc = qd_settings_put(*out, QD_STR("index.version.created_string"), id.number, NULL);
    }
    if (!rc) rc = qd_settings_put(*out, QD_STR("index.uuid"), qd_str_c(m->uuid), NULL);
    if (!rc && !qd_settings_get(m->settings, QD_STR("index.provided_name")))
        rc = qd_settings_put(*out, QD_STR("index.provided_name"), m->name, NULL);
    if (!rc) {
        rc = qd_settings_put(*out, QD_STR("index.version.created"), QD_STR("8536000"), NULL);
    }
    snprintf(text, sizeof text, "%u", m->shards);
    if (!rc) rc = qd_settings_put(*out, QD_STR("index.number_of_shards"), qd_str_c(text), NULL);
    snprintf(text, sizeof text, "%u", m->replicas);
    if (!rc) rc = qd_settings_put(*out, QD_STR("index.number_of_replicas"), qd_str_c(text), NULL);
    return rc ? rc : qd_settings_seal(*out, NULL);
}

static void write_defaults(bool flat, qd_json_writer *w, qd_str *names, const qd_index_meta *m)
{
    qd_settings *d = NULL;
    int rc = qd_settings_new(NULL, &d, NULL);
    for (uint32_t i = 0; i < qd_schema_index.n && !rc; i++) {
        const qd_setting_def *def = &qd_schema_index.defs[i];
        if (!def->value || def->type == QD_ST_GROUP || (def->flags & QD_SF_PRIVATE)) continue;
        if (qd_settings_get(m->settings, qd_str_c(def->key))) continue;
        qd_str key = qd_str_c(def->key);
        rc = def->type == QD_ST_LIST && !*def->value
                 ? qd_settings_put_list(d, key, NULL, 0, NULL)
                 : qd_settings_put(d, key, qd_str_c(def->value), NULL);
    }
    if (!rc) rc = qd_settings_seal(d, NULL);
    qd_json_key_c(w, "defaults");
    if (rc) {
        qd_json_object(w);
        qd_json_object_end(w);
    } else {
        qd_settings_write(d, w, flat, wanted_setting, names);
    }
    qd_settings_unref(d);
}

void qdi_write_settings(const qd_request *q, const qd_index_meta *m, bool defaults,
                        qd_json_writer *w)
{
    qd_settings *s = NULL;
    bool flat =
        qd_param_has(q, "flat_settings") && !qd_str_is(qd_param(q, "flat_settings"), "false");
    qd_str names = qd_param(q, "name");
    qd_json_key_c(w, "settings");
    if (shown_settings(m, q->human ? q : NULL, &s)) {
        qd_json_object(w);
        qd_json_object_end(w);
    } else {
        qd_settings_write(s, w, flat, wanted_setting, &names);
    }
    qd_settings_unref(s);
    if (defaults) write_defaults(flat, w, &names, m);
}

/* An index with none of the settings asked for by name is left out. */
static bool has_settings(const qd_request *q, const qd_index_meta *m)
{
    qd_settings *s = NULL;
    qd_str names = qd_param(q, "name");
    bool any = !names.n || shown_settings(m, NULL, &s) != 0;
    for (size_t i = 0; !any && i < qd_settings_count(s); i++) {
        any = wanted_setting(&names, qd_settings_at(s, i)->key);
    }
    qd_settings_unref(s);
    return any;
}

/* Runs fn for each resolved index inside {"name":{…}}. */
static int each_index(qd_request *q, qd_response *r, uint32_t options,
                      void (*fn)(qd_request *q, const qd_index_meta *m, qd_json_writer *w),
                      qd_err *err)
{
    qd_resolved found;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_param_indices(q, s, options, &found, err);
    if (!rc) rc = qdi_blocks_check(q->a, &found, QDI_BLOCK_METADATA_READ, err);
    if (!rc) {
        qd_json_object(&r->w);
        for (uint32_t i = 0; i < found.n; i++) {
            if (!has_settings(q, found.at[i])) continue;
            qd_json_key(&r->w, found.at[i]->name);
            qd_json_object(&r->w);
            fn(q, found.at[i], &r->w);
            qd_json_object_end(&r->w);
        }
        qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    return rc;
}

static void write_mapping(qd_request *q, const qd_index_meta *m, qd_json_writer *w)
{
    bool typed = qd_param_has(q, "include_type_name") &&
                 !qd_str_is(qd_param(q, "include_type_name"), "false");
    qd_json_key_c(w, "mappings");
    if (typed) {
        qd_json_object(w);
        qd_json_key_c(w, "_doc");
    }
    qd_json_raw_value(w, qd_mapping_json(m->mapping));
    if (typed) qd_json_object_end(w);
}

static bool asked(const qd_request *q, const char *feature)
{
    qd_str f = qd_param(q, "features");
    if (!f.n) return true;
    for (qd_str rest = f; rest.p;) {
        qd_str one = qd_str_split(&rest, ',');
        if (one.n && one.p[0] == '_') one = qd_str_sub(one, 1, one.n);
        if (qd_str_is(one, feature)) return true;
    }
    return false;
}

static void write_index(qd_request *q, const qd_index_meta *m, qd_json_writer *w)
{
    bool defaults =
        qd_param_has(q, "include_defaults") && !qd_str_is(qd_param(q, "include_defaults"), "false");
    if (asked(q, "aliases")) {
        qd_json_key_c(w, "aliases");
        qdi_write_aliases(m, NULL, w);
    }
    if (asked(q, "mappings")) write_mapping(q, m, w);
    if (asked(q, "settings")) qdi_write_settings(q, m, defaults, w);
    if (m->place.stream.n) qd_json_field_str(w, "data_stream", m->place.stream);
}

int qdi_api_indices_get(qd_request *q, qd_response *r, qd_err *err)
{
    return each_index(q, r, READ_OPTIONS & ~QD_EXPAND_CLOSED, write_index, err);
}

int qdi_api_indices_get_mapping(qd_request *q, qd_response *r, qd_err *err)
{
    return each_index(q, r, READ_OPTIONS & ~QD_EXPAND_CLOSED, write_mapping, err);
}

static void write_settings(qd_request *q, const qd_index_meta *m, qd_json_writer *w)
{
    bool defaults =
        qd_param_has(q, "include_defaults") && !qd_str_is(qd_param(q, "include_defaults"), "false");
    qdi_write_settings(q, m, defaults, w);
}

int qdi_api_indices_get_settings(qd_request *q, qd_response *r, qd_err *err)
{
    return each_index(q, r, READ_OPTIONS, write_settings, err);
}

/* --- mapping of single fields --- */

typedef struct field_args {
    qd_json_writer *w;
    bool defaults;
} field_args;

static int write_field(void *arg, const qd_field *f)
{
    field_args *a = arg;
    if (f->implied) return 0;
    qd_json_key(a->w, f->shown);
    qd_json_object(a->w);
    qd_json_field_str(a->w, "full_name", f->shown);
    qd_json_key_c(a->w, "mapping");
    qd_json_object(a->w);
    qd_json_key(a->w, f->leaf);
    qd_field_write_definition(f, a->defaults, a->w);
    qd_json_object_end(a->w);
    qd_json_object_end(a->w);
    return 0;
}

static void write_fields(qd_request *q, const qd_index_meta *m, qd_json_writer *w)
{
    field_args a = {w, qd_param_has(q, "include_defaults") &&
                           !qd_str_is(qd_param(q, "include_defaults"), "false")};
    qd_json_key_c(w, "mappings");
    qd_json_object(w);
    for (qd_str rest = qd_param(q, "fields"); rest.p;) {
        int rc = qd_mapping_match(m->mapping, qd_str_split(&rest, ','), write_field, &a);
        (void)rc; /* write_field never stops it */
    }
    qd_json_object_end(w);
}

int qdi_api_indices_get_field_mapping(qd_request *q, qd_response *r, qd_err *err)
{
    return each_index(q, r, READ_OPTIONS, write_fields, err);
}
