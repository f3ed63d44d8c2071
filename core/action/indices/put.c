/* put.c: changing mappings and settings. */
#include "action/api/admin_int.h"
#include "action/indices/indices_int.h"
#include "base/str.h"
#include "config/schema.h"

#define WRITE_OPTIONS (QD_EXPAND_OPEN | QD_EXPAND_CLOSED)

/* write_index_only: of an alias or a data stream its write index alone. */
static int only_write_indices(const qd_request *q, const qd_state *s, qd_resolved *found,
                              qd_err *err)
{
    bool only;
    uint32_t n = 0;
    int rc = qd_param_bool(q, "write_index_only", false, &only, err);
    if (rc || !only) return rc;
    for (qd_str rest = qd_param(q, "index"); rest.p;) {
        qd_str routing, one = qd_str_split(&rest, ',');
        const qd_index_meta *m;
        rc = qd_state_write_index(s, one, &m, &routing, err);
        if (rc) return rc;
        uint32_t at = 0; /* they were all found before: there is room */
        while (at < n && found->at[at] != m) at++;
        if (at == n && n < found->n) found->at[n++] = m;
    }
    found->n = n;
    return 0;
}

int qdi_api_indices_put_mapping(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    qd_json_node *root;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qdi_body_map(q, &root, err);
    if (!rc && root->type != QD_JSON_T_OBJECT) {
        rc = qd_err_set(err, QD_E_ES_PARSE, "the mapping must be an object");
    }
    if (!rc && qdi_mapping_typed(q, root)) {
        rc = qd_err_set(err, QD_E_ARG, "Types cannot be provided in put mapping requests");
    }
    if (!rc) rc = qd_param_indices(q, s, WRITE_OPTIONS, &found, err);
    if (!rc) rc = only_write_indices(q, s, &found, err);
    if (!rc) rc = qdi_check_uuid(q, &found, err);
    if (!rc) rc = qdi_blocks_check(q->a, &found, QDI_BLOCK_METADATA_WRITE, err);
    for (uint32_t i = 0; !rc && i < found.n; i++) {
        rc = qd_cluster_put_mapping(q->a->cluster, qd_str_c(found.at[i]->uuid),
                                    qdi_mapping_of(q, root), NULL, err);
    }
    qd_state_unref(s);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

/* Blocks of metadata may always be changed, alone or with other blocks: else nobody could take them
 * away. */
static bool only_blocks(const qd_settings *update)
{
    static const char *const keys[] = {"index.blocks.read_only", "index.blocks.metadata",
                                       "index.blocks.read_only_allow_delete"};
    bool any = false;
    for (size_t i = 0; i < qd_settings_count(update); i++) {
        qd_str key = qd_settings_at(update, i)->key;
        if (!qd_str_starts(key, QD_STR("index.blocks."))) return false;
        for (size_t k = 0; k < QD_COUNT_OF(keys); k++) any |= qd_str_is(key, keys[k]);
    }
    return any;
}

/* An open index takes dynamic settings only; nothing is changed when one index refuses. */
static int only_dynamic(const qd_settings *update, const qd_resolved *found, qd_err *err)
{
    qd_buf keys, open;
    int rc = 0;
    qd_buf_init(&keys, NULL, 1 << 20);
    qd_buf_init(&open, NULL, 1 << 20);
    for (size_t i = 0; i < qd_settings_count(update); i++) {
        qd_str key = qd_settings_at(update, i)->key;
        const qd_setting_def *d = qd_schema_find(&qd_schema_index, key, NULL);
        if (!d || (d->flags & QD_SF_DYNAMIC)) continue;
        (void)qd_buf_printf(&keys, "%s%.*s", keys.n ? ", " : "", QD_STR_ARG(key));
    }
    for (uint32_t i = 0; i < found->n && keys.n; i++) {
        const qd_index_meta *m = found->at[i];
        if (m->closed) continue;
        (void)qd_buf_printf(&open, "%s[%.*s/%s]", open.n ? ", " : "", QD_STR_ARG(m->name), m->uuid);
    }
    if (keys.n && open.n) {
        rc = qd_err_set(err, QD_E_ARG,
                        "Can't update non dynamic settings [[%.*s]] for open indices [%.*s]",
                        QD_STR_ARG(qd_buf_view(&keys)), QD_STR_ARG(qd_buf_view(&open)));
    }
    qd_buf_fini(&keys);
    qd_buf_fini(&open);
    return rc;
}

int qdi_api_indices_put_settings(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    qd_json_node *root;
    qd_settings *update = NULL;
    bool preserve;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_param_bool(q, "preserve_existing", false, &preserve, err);
    if (!rc) rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    if (!rc) {
        const qd_json_node *inner = qd_json_get(root, "settings");
        rc = qdi_settings_of(inner && root->n == 1 ? inner : root, &update, err);
    }
    if (!rc && qd_settings_count(update) == 0) {
        rc = qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: no settings to update;");
    }
    if (!rc) rc = qd_schema_check(&qd_schema_index, update, false, err);
    if (!rc) qdi_warn_settings(q, &qd_schema_index, update);
    if (!rc) rc = qd_param_indices(q, s, WRITE_OPTIONS, &found, err);
    if (!rc && !found.n && !qd_str_is(qd_param(q, "allow_no_indices"), "true"))
        rc = qd_state_no_index(qd_param(q, "index"), err);
    if (!rc) rc = qdi_check_uuid(q, &found, err);
    if (!rc && !only_blocks(update))
        rc = qdi_blocks_check(q->a, &found, QDI_BLOCK_METADATA_WRITE, err);
    if (!rc) rc = only_dynamic(update, &found, err);
    for (uint32_t i = 0; !rc && i < found.n; i++) {
        rc = qd_cluster_put_settings(q->a->cluster, qd_str_c(found.at[i]->uuid), update, preserve,
                                     NULL, err);
    }
    qd_settings_unref(update);
    qd_state_unref(s);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

/* --- blocks --- */

/* The setting of a block; NULL: there is none of that name that may be asked for. */
static const char *block_setting(qd_str name)
{
    static const char *const blocks[][2] = {{"metadata", "index.blocks.metadata"},
                                            {"read", "index.blocks.read"},
                                            {"read_only", "index.blocks.read_only"},
                                            {"write", "index.blocks.write"}};
    for (size_t i = 0; i < QD_COUNT_OF(blocks); i++)
        if (qd_str_is(name, blocks[i][0])) return blocks[i][1];
    return NULL;
}

static int block_all(qd_request *q, const qd_resolved *found, const char *setting, qd_err *err)
{
    qd_settings *update = NULL;
    int rc = qd_settings_new(NULL, &update, err);
    if (!rc) rc = qd_settings_put(update, qd_str_c(setting), QD_STR("true"), err);
    if (!rc) rc = qd_settings_seal(update, err);
    for (uint32_t i = 0; !rc && i < found->n; i++)
        rc = qd_cluster_put_settings(q->a->cluster, qd_str_c(found->at[i]->uuid), update, false,
                                     NULL, err);
    qd_settings_unref(update);
    return rc;
}

int qdi_api_indices_add_block(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    qd_str name = qd_param(q, "block");
    const char *setting = block_setting(name);
    if (!setting)
        return qd_err_set(err, QD_E_ARG, "No block found with name %.*s", QD_STR_ARG(name));
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_param_indices(q, s, WRITE_OPTIONS, &found, err);
    if (!rc) rc = block_all(q, &found, setting, err);
    if (!rc) {
        qd_json_object(&r->w);
        qd_json_field_bool(&r->w, "acknowledged", true);
        qd_json_field_bool(&r->w, "shards_acknowledged", true);
        qd_json_key_c(&r->w, "indices");
        qd_json_array(&r->w);
        for (uint32_t i = 0; i < found.n; i++) {
            qd_json_object(&r->w);
            qd_json_field_str(&r->w, "name", found.at[i]->name);
            qd_json_field_bool(&r->w, "blocked", true);
            qd_json_object_end(&r->w);
        }
        qd_json_array_end(&r->w);
        qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    return rc;
}
