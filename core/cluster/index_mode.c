/*
 * index_mode.c: index.mode at the creation of an index: what a mode refuses, and the settings and
 * fields that it adds.
 */
#include "base/features.h"
#include "base/str.h"
#include "cluster/index_formats_int.h"
#include "cluster/index_rules.h"
#include "cluster/state/index_sort.h"
#include "mapping/synthetic.h"
#include <string.h>

static int needs_level(const qd_state *s, const char *what, qd_err *err)
{
    if (s->features >= QD_FEATURES_SEARCH_0_3) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "%s needs level %u of the cluster's formats; they are of level %u: POST "
                      "_cluster/upgrade/finalize when all nodes run this version",
                      what, QD_FEATURES_SEARCH_0_3, s->features);
}

int qdi_check_mode(const qd_state *s, const qd_index_meta *m, qd_err *err)
{
    const qd_values *v = m->values;
    qd_merge_sort keys[QD_MERGE_SORT_MAX];
    uint32_t n;
    int rc = qd_index_sort(v, keys, &n, err);
    if (!rc && n) rc = needs_level(s, "index.sort.field", err); /* older merges would not keep it */
    if (!rc && qd_index_mode_of(v) != QD_MODE_STANDARD) rc = needs_level(s, "index.mode", err);
    if (!rc && (qd_mapping_synthetic(m->mapping) || qd_values_i64(v, QD_IX_MAPPING_SOURCE_MODE)))
        rc = needs_level(s, "index.mapping.source.mode", err);
    return rc ? rc : qd_index_sort_check(v, m->mapping, err);
}

/* --- what a mode adds ------------------------------------------------------------------------- */

static int put(qd_settings *s, const qd_values *v, uint32_t id, const char *key, const char *value,
               qd_err *err)
{
    return qd_values_is_set(v, id) ? 0 : qd_settings_put(s, qd_str_c(key), qd_str_c(value), err);
}

/* Can the mapping get host.name as a keyword, or has it a field there that sorts? *has: it has. */
static bool host_sorts(const qd_index_meta *m, bool *has)
{
    const qd_field *f = qd_mapping_field(m->mapping, QD_STR("host.name"));
    qd_err why;
    *has = f != NULL;
    if (!f)
        return !qd_mapping_field(m->mapping, QD_STR("host")) &&
               !qd_mapping_is_object(m->mapping, QD_STR("host.name")) &&
               !qd_mapping_is_nested(m->mapping, QD_STR("host"), NULL);
    qd_err_init(&why);
    bool sorts = qd_index_sort_field_check(m->mapping, QD_STR("host.name"), &why) == 0;
    qd_err_fini(&why);
    return sorts;
}

static int add_logsdb(const qd_index_meta *m, qd_settings *s, qd_buf *mapping, qd_err *err)
{
    const qd_values *v = m->values;
    bool has = false, host = host_sorts(m, &has) && !qd_values_is_set(v, QD_IX_SORT_FIELD);
    if (qd_values_is_set(v, QD_IX_LOGSDB_SORT_ON_HOST))
        host = qd_values_bool(v, QD_IX_LOGSDB_SORT_ON_HOST);
    bool add = host && !has;
    if (qd_values_is_set(v, QD_IX_LOGSDB_ADD_HOST))
        add = !has && qd_values_bool(v, QD_IX_LOGSDB_ADD_HOST);
    int rc = 0;
    if (host)
        rc = put(s, v, QD_IX_LOGSDB_SORT_ON_HOST, "index.logsdb.sort_on_host_name", "true", err);
    if (!rc && add)
        rc = put(s, v, QD_IX_LOGSDB_ADD_HOST, "index.logsdb.add_host_name_field", "true", err);
    if (rc) return rc;
    bool stamp = qd_mapping_field(m->mapping, QD_STR("@timestamp")) != NULL;
    (void)qd_buf_c(mapping, "{\"_data_stream_timestamp\":{\"enabled\":true},\"properties\":{");
    if (!stamp) (void)qd_buf_c(mapping, "\"@timestamp\":{\"type\":\"date\"}");
    if (add)
        (void)qd_buf_printf(mapping,
                            "%s\"host\":{\"properties\":{\"name\":{\"type\":\"keyword\","
                            "\"ignore_above\":1024}}}",
                            stamp ? "" : ",");
    (void)qd_buf_c(mapping, "}}");
    return qd_buf_status(mapping) ? qd_err_nomem(err, "mapping") : 0;
}

static int add_lookup(const qd_index_meta *m, qd_settings *s, qd_err *err)
{
    if (m->shards != 1)
        return qd_err_set(err, QD_E_ARG,
                          "index with [lookup] mode must have [index.number_of_shards] set to 1 or "
                          "unset; provided %u",
                          m->shards);
    if (qd_values_is_set(m->values, QD_IX_NUMBER_OF_REPLICAS)) return 0;
    return put(s, m->values, QD_IX_AUTO_EXPAND_REPLICAS, "index.auto_expand_replicas", "0-all",
               err);
}

/* Makes the index anew with more settings and fields. */
static int remake(const qd_state *s, const qd_index_source *src, qd_settings *settings,
                  qd_str mapping, qd_index_meta **m, qd_err *err)
{
    qd_index_source with = *src;
    qd_mapping *merged = NULL;
    qd_settings *expanded = NULL;
    qd_index_meta *now;
    int rc =
        mapping.n ? qd_mapping_merge((*m)->mapping, mapping, QD_MAPPING_UPDATE, &merged, err) : 0;
    if (!rc) rc = qd_index_expand(s, settings, &expanded, err);
    if (!rc) {
        with.settings = expanded;
        with.ready = merged ? merged : (*m)->mapping;
        with.analyzers = (*m)->analyzers;
        rc = qd_index_meta_make(&with, &now, err);
    }
    qd_mapping_unref(merged);
    qd_settings_unref(expanded);
    if (rc) return rc;
    qd_index_meta_unref(*m);
    *m = now;
    return 0;
}

int qdi_index_mode_apply(const qd_state *s, const qd_index_source *src, qd_index_meta **m,
                         qd_err *err)
{
    qd_index_mode mode = qd_index_mode_of((*m)->values);
    qd_settings *settings = NULL;
    qd_buf mapping;
    if (mode == QD_MODE_STANDARD) return 0;
    if (mode == QD_MODE_TIME_SERIES)
        return qd_err_set(err, QD_E_ARG,
                          "[index.mode: time_series] is not supported by this version, see "
                          "docs/synthetic-source.md");
    int rc = needs_level(s, "index.mode", err);
    if (rc) return rc;
    qd_buf_init(&mapping, NULL, 1u << 20);
    rc = qd_settings_new(NULL, &settings, err);
    if (!rc) rc = qd_settings_merge(settings, src->settings, err);
    if (!rc && mode == QD_MODE_LOOKUP) rc = add_lookup(*m, settings, err);
    if (!rc && mode == QD_MODE_LOGSDB) rc = add_logsdb(*m, settings, &mapping, err);
    if (!rc) rc = qd_settings_seal(settings, err);
    if (!rc) rc = remake(s, src, settings, qd_buf_view(&mapping), m, err);
    qd_buf_fini(&mapping);
    qd_settings_unref(settings);
    return rc;
}
