/* index_meta.c: making, storing and routing. See index_meta.h. */
#include "cluster/state/index_meta.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "cluster/state/index_sort.h"
#include "json/tree.h"
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#define META_ARENA_MAX ((size_t)64 << 20)

void qd_sha256_hex(qd_str bytes, char out[65])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)(bytes.p ? bytes.p : ""), bytes.n, digest);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

void qd_uuid_text(const uint8_t id[16], char out[QD_UUID_TEXT])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0, have = 0;
    size_t n = 0;
    for (int i = 0; i < 16; i++) {
        bits = bits << 8 | id[i];
        for (have += 8; have >= 6; have -= 6) out[n++] = digits[bits >> (have - 6) & 63];
    }
    out[n++] = digits[bits << (6 - have) & 63];
    out[n] = 0;
}

qd_index_meta *qd_index_meta_ref(const qd_index_meta *m)
{
    qd_index_meta *x = (qd_index_meta *)(uintptr_t)m;
    atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
    return x;
}

void qd_index_meta_unref(const qd_index_meta *m)
{
    qd_index_meta *x = (qd_index_meta *)(uintptr_t)m;
    if (!x || atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1) return;
    qd_mapping_unref(x->mapping);
    qd_analyzers_unref(x->analyzers);
    qd_values_unref(x->values);
    qd_settings_unref(x->settings);
    qd_arena_fini(&x->arena);
    qd_free(x);
}

const qd_alias *qd_index_meta_alias(const qd_index_meta *m, qd_str name)
{
    for (uint32_t i = 0; i < m->naliases; i++) {
        if (qd_str_eq(m->aliases[i].name, name)) return &m->aliases[i];
    }
    return NULL;
}

uint32_t qd_routing_shards_default(uint32_t shards)
{
    uint32_t log2 = 0;
    while ((1u << log2) < shards) log2++;
    uint32_t splits = log2 < 9 ? 10 - log2 : 1;
    return shards << splits;
}

uint32_t qd_index_meta_route(const qd_index_meta *m, qd_str id, qd_str routing)
{
    int32_t hash = qd_routing_hash(routing.n ? routing : id), n = (int32_t)m->routing_shards;
    int32_t mod = hash % n;
    if (mod < 0) mod += n;
    return (uint32_t)mod / (m->routing_shards / m->shards);
}

bool qd_index_analysis_same(const qd_settings *a, const qd_settings *b)
{
    static const qd_str groups[] = {{"index.analysis.", 15},
                                    {"index.similarity.", 17},
                                    {"index.max_ngram_diff", 20},
                                    {"index.max_shingle_diff", 22}};
    for (size_t g = 0; g < QD_COUNT_OF(groups); g++) {
        size_t n, m;
        size_t i = qd_settings_group(a, groups[g], &n), k = qd_settings_group(b, groups[g], &m);
        if (n != m) return false;
        for (size_t x = 0; x < n; x++) {
            const qd_setting_value *v = qd_settings_at(a, i + x), *w = qd_settings_at(b, k + x);
            if (v->kind != w->kind || v->n != w->n || !qd_str_eq(v->key, w->key) ||
                !qd_str_eq(v->text, w->text))
                return false;
            for (uint32_t y = 0; v->kind == QD_SETTING_LIST && y < v->n; y++)
                if (!qd_str_eq(v->items[y], w->items[y])) return false;
        }
    }
    return true;
}

/* --- making --------------------------------------------------------------------------------- */

/* Settings below "index.analysis." in the form the analyzers read. */
static int make_analyzers(const qd_settings *s, const qd_index_source *src, qd_analyzers **out,
                          qd_err *err)
{
    static const qd_str prefix = {"index.", 6};
    size_t all = qd_settings_count(s), n = 0;
    qd_analysis_setting *list = qd_alloc(NULL, (all + 1) * sizeof *list);
    if (!list) return qd_err_nomem(err, "analysis settings");
    for (size_t i = 0; i < all; i++) {
        const qd_setting_value *v = qd_settings_at(s, i);
        if (v->kind == QD_SETTING_NULL || !qd_str_starts(v->key, prefix)) continue;
        qd_analysis_setting *a = &list[n++];
        *a = (qd_analysis_setting){
            .key = qd_str_sub(v->key, prefix.n, v->key.n), .values = &v->text, .nvalues = 1};
        if (v->kind == QD_SETTING_LIST) {
            a->values = v->items;
            a->nvalues = v->n;
            a->list = true;
        }
    }
    qd_analysis_files files = {.plugins = src->plugins, .stored = src->stored};
    int rc = qd_analyzers_make(list, n, &files, out, err);
    qd_free(list);
    return rc;
}

static qd_mapping_settings mapping_settings(const qd_values *v)
{
    qd_mapping_settings s = QD_MAPPING_SETTINGS_DEFAULT;
    s.total_fields_limit = qd_values_i64(v, QD_IX_MAPPING_TOTAL_FIELDS);
    s.depth_limit = qd_values_i64(v, QD_IX_MAPPING_DEPTH);
    s.nested_fields_limit = qd_values_i64(v, QD_IX_MAPPING_NESTED_FIELDS);
    s.nested_objects_limit = qd_values_i64(v, QD_IX_MAPPING_NESTED_OBJECTS);
    s.field_name_length_limit = qd_values_i64(v, QD_IX_MAPPING_NAME_LENGTH);
    bool logs = qd_index_mode_of(v) == QD_MODE_LOGSDB;
    s.ignore_malformed = qd_values_is_set(v, QD_IX_MAPPING_IGNORE_MALFORMED) || !logs
                             ? qd_values_bool(v, QD_IX_MAPPING_IGNORE_MALFORMED)
                             : logs;
    s.coerce = qd_values_bool(v, QD_IX_MAPPING_COERCE);
    s.graph_threshold = (uint32_t)qd_values_i64(v, QD_IX_KNN_THRESHOLD); /* -1: never */
    s.ef_search = (uint32_t)qd_values_i64(v, QD_IX_KNN_EF_SEARCH);
    s.source_mode = qd_index_source_mode(v);
    s.source_keep = qd_index_source_keep(v);
    return s;
}

static int make_settings(qd_index_meta *m, const qd_index_source *src, qd_err *err)
{
    uint32_t moved = 0;
    int rc;
    if (src->stored) {
        rc = qd_schema_archive(&qd_schema_index, src->settings, &m->settings, &moved, err);
        if (!rc && moved) {
            qd_log_warn("cluster", "index [%.*s]: %u settings are unknown or invalid, archived",
                        QD_STR_ARG(src->name), moved);
        }
    } else {
        m->settings = qd_settings_ref(src->settings);
        rc = qd_schema_check(&qd_schema_index, m->settings, true, err);
    }
    if (!rc) rc = qd_values_new(&qd_schema_index, m->settings, 0, &m->values, err);
    if (rc) return rc;
    m->shards = (uint32_t)qd_values_i64(m->values, QD_IX_NUMBER_OF_SHARDS);
    m->replicas = (uint32_t)qd_values_i64(m->values, QD_IX_NUMBER_OF_REPLICAS);
    m->routing_shards = qd_values_is_set(m->values, QD_IX_NUMBER_OF_ROUTING_SHARDS)
                            ? (uint32_t)qd_values_i64(m->values, QD_IX_NUMBER_OF_ROUTING_SHARDS)
                            : qd_routing_shards_default(m->shards);
    if (m->routing_shards % m->shards != 0) {
        return qd_err_set(err, QD_E_ARG,
                          "the number of source shards [%u] must be a factor of [%u]", m->shards,
                          m->routing_shards);
    }
    if (!src->analyzers) return make_analyzers(m->settings, src, &m->analyzers, err);
    m->analyzers = qd_analyzers_ref(src->analyzers);
    return 0;
}

/* Definitions that stood in the state before they had a meaning do not keep the index from opening.
 */
static int make_similarities(const qd_index_meta *m, const qd_index_source *src,
                             qd_similarities **out, qd_err *err)
{
    int rc = qd_similarities_make(m->settings, out, err);
    if (rc != QD_E_ARG || !src->stored) return rc;
    qd_log_warn("cluster", "index [%.*s]: its similarities are ignored: %s", QD_STR_ARG(src->name),
                qd_err_reason(err));
    qd_err_fini(err);
    return 0;
}

static int make_mapping(qd_index_meta *m, const qd_index_source *src, qd_err *err)
{
    qd_mapping_settings s = mapping_settings(m->values);
    qd_similarities *similarities;
    int rc = make_similarities(m, src, &similarities, err);
    if (rc) return rc;
    s.similarities = similarities;
    qd_mapping_reason reason = src->stored ? QD_MAPPING_RECOVERY : QD_MAPPING_UPDATE;
    if (src->ready) {
        m->mapping = qd_mapping_ref(src->ready);
    } else if (src->mapping.n) {
        rc = qd_mapping_parse(src->mapping, m->analyzers, &s, reason, &m->mapping, err);
    } else {
        rc = qd_mapping_empty(m->analyzers, &s, &m->mapping, err);
    }
    qd_similarities_unref(similarities); /* the mapping has its own reference */
    if (!rc) qd_sha256_hex(qd_mapping_json(m->mapping), m->mapping_hash);
    return rc;
}

static int copy_aliases(qd_index_meta *m, const qd_index_source *src, qd_err *err)
{
    qd_alias *a = qd_arena_alloc(&m->arena, (src->naliases + 1) * sizeof *a);
    if (!a) return qd_err_nomem(err, "aliases");
    for (uint32_t i = 0; i < src->naliases; i++) {
        a[i] = src->aliases[i];
        a[i].name = qd_arena_str(&m->arena, a[i].name);
        a[i].filter = qd_arena_str(&m->arena, a[i].filter);
        a[i].index_routing = qd_arena_str(&m->arena, a[i].index_routing);
        a[i].search_routing = qd_arena_str(&m->arena, a[i].search_routing);
        if (!a[i].search_routing.p) return qd_err_nomem(err, "aliases");
        for (uint32_t k = i; k > 0 && qd_str_cmp(a[k - 1].name, a[k].name) > 0; k--) {
            qd_alias swap = a[k];
            a[k] = a[k - 1];
            a[k - 1] = swap;
        }
    }
    m->aliases = a;
    m->naliases = src->naliases;
    return 0;
}

int qd_index_meta_make(const qd_index_source *src, qd_index_meta **out, qd_err *err)
{
    qd_index_meta *m = qd_calloc(NULL, sizeof *m);
    if (!m) return qd_err_nomem(err, "index metadata");
    qd_arena_init_small(&m->arena, NULL, META_ARENA_MAX);
    atomic_store(&m->refs, 1);
    snprintf(m->uuid, sizeof m->uuid, "%s", src->uuid);
    m->name = qd_arena_str(&m->arena, src->name);
    m->created_ms = src->created_ms;
    m->closed = src->closed;
    m->version = src->version;
    m->mapping_version = src->mapping_version;
    m->settings_version = src->settings_version;
    m->aliases_version = src->aliases_version;
    m->place = src->place;
    m->place.stream = qd_arena_str(&m->arena, src->place.stream);
    m->place.rolled_alias = qd_arena_str(&m->arena, src->place.rolled_alias);
    bool whole = m->name.p && m->place.stream.p && m->place.rolled_alias.p;
    int rc = whole ? make_settings(m, src, err) : qd_err_nomem(err, "index metadata");
    if (!rc) rc = make_mapping(m, src, err);
    if (!rc) rc = copy_aliases(m, src, err);
    if (rc) {
        qd_index_meta_unref(m);
        return rc;
    }
    *out = m;
    return 0;
}

/* --- records ------------------------------------------------------------------------------------
 */

static void encode_alias(const qd_alias *a, qd_json_writer *w)
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

static void encode_place(const qd_index_place *p, qd_json_writer *w)
{
    if (p->stream.n) {
        qd_json_key_c(w, "data_stream");
        qd_json_object(w);
        qd_json_field_str(w, "name", p->stream);
        qd_json_field_int(w, "order", p->order);
        if (p->stream_hidden) qd_json_field_bool(w, "hidden", true);
        qd_json_object_end(w);
    }
    if (!p->rolled_ms) return;
    qd_json_key_c(w, "rolled_over");
    qd_json_object(w);
    qd_json_field_str(w, "alias", p->rolled_alias);
    qd_json_field_int(w, "at_ms", p->rolled_ms);
    qd_json_object_end(w);
}

void qd_index_meta_encode(const qd_index_meta *m, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_field_str(w, "name", m->name);
    qd_json_field_c(w, "uuid", m->uuid);
    qd_json_field_int(w, "created_ms", m->created_ms);
    qd_json_field_bool(w, "closed", m->closed);
    qd_json_field_int(w, "version", (int64_t)m->version);
    qd_json_field_int(w, "mapping_version", (int64_t)m->mapping_version);
    qd_json_field_int(w, "settings_version", (int64_t)m->settings_version);
    qd_json_field_int(w, "aliases_version", (int64_t)m->aliases_version);
    qd_json_field_c(w, "mapping", m->mapping_hash);
    qd_json_key_c(w, "settings");
    qd_settings_write(m->settings, w, true, NULL, NULL);
    qd_json_key_c(w, "aliases");
    qd_json_object(w);
    for (uint32_t i = 0; i < m->naliases; i++) encode_alias(&m->aliases[i], w);
    qd_json_object_end(w);
    encode_place(&m->place, w);
    qd_json_object_end(w);
}

static int bad(qd_err *err, const char *what)
{
    return qd_err_set(err, QD_E_CORRUPT, "record of an index: [%s] is missing or wrong", what);
}

static bool number(const qd_json_node *root, const char *key, uint64_t *out)
{
    const qd_json_node *n = qd_json_get(root, key);
    return n && n->type == QD_JSON_T_NUMBER && qd_str_u64(n->text, out);
}

static qd_str text(const qd_json_node *root, const char *key)
{
    const qd_json_node *n = qd_json_get(root, key);
    return n && n->type == QD_JSON_T_STRING ? n->text : (qd_str){NULL, 0};
}

static int decode_aliases(const qd_json_node *list, qd_arena *a, qd_index_source *src, qd_err *err)
{
    if (!list || list->type != QD_JSON_T_OBJECT) return bad(err, "aliases");
    qd_alias *out = qd_arena_calloc(a, (list->n + 1) * sizeof *out);
    if (!out) return qd_err_nomem(err, "aliases");
    src->aliases = out;
    for (const qd_json_node *n = list->first; n; n = n->next) {
        const qd_json_node *filter = qd_json_get(n, "filter"),
                           *wr = qd_json_get(n, "is_write_index");
        const qd_json_node *hidden = qd_json_get(n, "is_hidden");
        out[src->naliases++] = (qd_alias){
            .name = n->key,
            .filter = filter ? filter->raw : (qd_str){NULL, 0},
            .index_routing = text(n, "index_routing"),
            .search_routing = text(n, "search_routing"),
            .is_write_index = wr ? wr->truth : -1,
            .is_hidden = hidden && hidden->truth,
        };
    }
    return 0;
}

static void decode_place(const qd_json_node *root, qd_index_place *p)
{
    const qd_json_node *stream = qd_json_get(root, "data_stream"),
                       *rolled = qd_json_get(root, "rolled_over");
    const qd_json_node *order = stream ? qd_json_get(stream, "order") : NULL,
                       *hidden = stream ? qd_json_get(stream, "hidden") : NULL,
                       *at = rolled ? qd_json_get(rolled, "at_ms") : NULL;
    if (stream) p->stream = text(stream, "name");
    if (order && !qd_str_i64(qd_json_text(order), &p->order)) p->order = 0;
    p->stream_hidden = hidden && hidden->truth;
    if (rolled) p->rolled_alias = text(rolled, "alias");
    if (at && !qd_str_i64(qd_json_text(at), &p->rolled_ms)) p->rolled_ms = 0;
}

static int decode_settings(const qd_json_node *n, qd_settings **out, qd_err *err)
{
    if (!n || n->type != QD_JSON_T_OBJECT) return bad(err, "settings");
    qd_json_reader r = QD_JSON_READER(NULL);
    int rc = qd_settings_new(NULL, out, err);
    if (rc) return rc;
    qd_json_reader_init(&r, n->raw, QD_JSON_STRICT_KEYS, 0);
    int ev = qd_json_next(&r);
    rc = ev < 0                 ? qd_json_fail(&r, err)
         : ev == QD_JSON_OBJECT ? qd_settings_put_json(*out, &r, (qd_str){NULL, 0}, err)
                                : bad(err, "settings");
    if (!rc) rc = qd_settings_seal(*out, err);
    qd_json_reader_fini(&r);
    if (rc) {
        qd_settings_unref(*out);
        *out = NULL;
    }
    return rc;
}

int qd_index_meta_decode(qd_str record, qd_str mapping, const struct qd_plugin_host *plugins,
                         qd_index_meta **out, qd_err *err)
{
    qd_arena a;
    qd_json_node *root;
    qd_index_source src = {.mapping = mapping, .plugins = plugins, .stored = true};
    uint64_t created;
    qd_arena_init(&a, NULL, META_ARENA_MAX);
    int rc = qd_json_parse(&a, record, 64, &root, err);
    if (!rc) {
        qd_str uuid = text(root, "uuid");
        qd_str copy = qd_arena_str(&a, uuid);
        const qd_json_node *closed = qd_json_get(root, "closed");
        src.name = text(root, "name");
        src.uuid = copy.p;
        src.closed = closed && closed->truth;
        if (!copy.p) rc = qd_err_nomem(err, "record of an index");
        if (!rc && uuid.n != QD_UUID_TEXT - 1) rc = bad(err, "uuid");
        if (!rc && !src.name.n) rc = bad(err, "name");
        if (!rc && !number(root, "created_ms", &created)) rc = bad(err, "created_ms");
        if (!rc && (!number(root, "version", &src.version) ||
                    !number(root, "mapping_version", &src.mapping_version) ||
                    !number(root, "settings_version", &src.settings_version) ||
                    !number(root, "aliases_version", &src.aliases_version))) {
            rc = bad(err, "version");
        }
    }
    if (!rc) {
        src.created_ms = (int64_t)created;
        decode_place(root, &src.place);
        rc = decode_aliases(qd_json_get(root, "aliases"), &a, &src, err);
    }
    if (!rc) rc = decode_settings(qd_json_get(root, "settings"), &src.settings, err);
    if (!rc) rc = qd_index_meta_make(&src, out, err);
    qd_settings_unref(src.settings);
    qd_arena_fini(&a);
    return rc;
}

int qd_index_meta_peek(qd_str record, char mapping_hash[65], qd_err *err)
{
    qd_arena a;
    qd_json_node *root;
    qd_arena_init(&a, NULL, META_ARENA_MAX);
    int rc = qd_json_parse(&a, record, 64, &root, err);
    if (!rc) {
        qd_str hash = text(root, "mapping");
        if (hash.n != 64) {
            rc = bad(err, "mapping");
        } else {
            memcpy(mapping_hash, hash.p, 64);
            mapping_hash[64] = 0;
        }
    }
    qd_arena_fini(&a);
    return rc;
}
