/*
 * place.c: which index an operation goes to, and which shard. See documents_int.h. An index or a
 * data stream that is not there is made here, once a batch.
 */
#include "action/documents/documents_int.h"
#include "action/indices/indices_int.h"
#include "action/indices/templates_int.h"
#include "action/streams/streams_int.h"
#include "base/str.h"
#include <stdio.h>
#include <string.h>

/* --- the index --- */

/* action.auto_create_index: true, false, or patterns with + and -. */
static bool auto_create_allowed(qd_str setting, qd_str name, qd_str *forbids)
{
    *forbids = (qd_str){NULL, 0};
    if (!setting.n || qd_str_is(setting, "true")) return true;
    if (qd_str_is(setting, "false")) return false;
    for (qd_str rest = setting; rest.p;) {
        qd_str p = qd_str_trim(qd_str_split(&rest, ',')), whole = p;
        bool yes = !(p.n && p.p[0] == '-');
        if (p.n && (p.p[0] == '-' || p.p[0] == '+')) p = qd_str_sub(p, 1, p.n);
        if (!qd_pattern_match(p, name)) continue;
        if (!yes) *forbids = whole;
        return yes;
    }
    return false;
}

int qdi_auto_create_check(qd_actions *a, qd_str name, qd_err *err)
{
    qd_str forbids, setting = qd_config_text(a->config, QD_SET_ACTION_AUTO_CREATE);
    char why[512];
    if (auto_create_allowed(setting, name, &forbids)) return 0;
    if (forbids.n)
        snprintf(why, sizeof why, "contains [%.*s] which forbids automatic creation of the index",
                 QD_STR_ARG(forbids));
    else if (qd_str_is(setting, "false"))
        snprintf(why, sizeof why, "is [false]");
    else
        snprintf(why, sizeof why, "([%.*s]) doesn't match", QD_STR_ARG(setting));
    int rc =
        qd_err_set(err, QD_E_INDEX_NOT_FOUND,
                   "no such index [%.*s] and [action.auto_create_index] %s", QD_STR_ARG(name), why);
    qd_err_detail_str(err, "index_uuid", QD_STR("_na_"));
    qd_err_detail_str(err, "index", name);
    return rc;
}

static int create_plain(doc_batch *b, qd_str name, qd_str given, qd_state **now, qd_err *err)
{
    qd_settings *settings = NULL;
    qd_alias *aliases = NULL;
    uint32_t naliases = 0;
    qd_str mapping = {NULL, 0};
    int rc = qd_settings_new(NULL, &settings, err);
    if (!rc) rc = qd_settings_seal(settings, err);
    if (!rc) {
        rc = qdi_templates_apply(b->a, b->arena, name, &settings, &mapping, &aliases, &naliases,
                                 err);
    }
    if (!rc && given.n) rc = qdi_name_given(&settings, given, err);
    if (!rc) {
        rc = qd_cluster_create_index(b->a->cluster, name, settings, mapping, aliases, naliases, now,
                                     err);
    }
    qd_settings_unref(settings);
    return rc;
}

/* No index, no alias, or (stream) no data stream has the name, and the request wants one. */
int qdi_index_not_there(qd_str name, const char *flag, const char *what, qd_err *err)
{
    int rc = qd_err_set(err, QD_E_INDEX_NOT_FOUND,
                        "no such index [%.*s] and [%s] request flag is [true] and [%.*s] is not %s",
                        QD_STR_ARG(name), flag, QD_STR_ARG(name), what);
    qd_err_detail_str(err, "index_uuid", QD_STR("_na_"));
    qd_err_detail_str(err, "index", name);
    return rc;
}

static int auto_create(doc_batch *b, const doc_item *i, qd_err *err)
{
    qd_str name = i->index;
    qd_state *now = NULL;
    bool stream = false;
    int rc = qdi_auto_create_check(b->a, name, err);
    if (!rc) rc = qdi_cluster_block_check(b->a, QDI_BLOCK_METADATA_WRITE, err);
    if (!rc) rc = qdi_stream_wanted(b->state, b->arena, name, &stream, err);
    if (!rc && i->require_stream && !stream)
        rc = qdi_index_not_there(name, "require_data_stream", "a data stream", err);
    if (!rc)
        rc = stream ? qdi_stream_create(b->a, b->arena, name, &now, err)
                    : create_plain(b, name, i->given, &now, err);
    if (rc == QD_E_INDEX_EXISTS || rc == QD_E_EXISTS) { /* somebody else was faster */
        if (err) qd_err_fini(err);
        rc = 0;
    }
    if (!rc) qdi_batch_changed(b, now);
    return rc;
}

/* To a data stream documents are added. Its indices take changes by their own names, of documents
 * as they were read. */
static int check_stream(const doc_item *i, const qd_index_meta *m, qd_err *err)
{
    bool backing = qd_str_eq(i->index, m->name);
    if (!backing && i->op == DOC_CREATE) return 0;
    if (!backing) {
        return qd_err_set(err, QD_E_ARG,
                          "only write ops with an op_type of create are allowed in data streams");
    }
    if (i->op == DOC_CREATE) {
        return qd_err_set(err, QD_E_ARG,
                          "index request with op_type=create targeting backing indices is "
                          "disallowed");
    }
    if (i->op != DOC_INDEX || i->if_seq_no != QD_SEQ_NO_UNASSIGNED) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "index request with op_type=index and no if_primary_term and if_seq_no set "
                      "targeting backing indices is disallowed");
}

static int find_index(doc_batch *b, doc_item *i, const qd_index_meta **out, qd_str *alias_routing,
                      qd_err *err)
{
    if (i->require_alias && !qd_state_alias(b->state, i->index))
        return qdi_index_not_there(i->index, "require_alias", "an alias", err);
    bool known = qd_state_index(b->state, i->index) || qd_state_alias(b->state, i->index);
    /* a deletion makes no index but under external versioning */
    if (!known && !i->placed && (i->op != DOC_DELETE || i->version_type != QD_VERSION_INTERNAL)) {
        int rc = auto_create(b, i, err);
        if (rc) return rc;
    }
    int rc = qd_state_write_index(b->state, i->index, out, alias_routing, err);
    if (!rc && QD_UNLIKELY((*out)->place.stream.n) && !i->placed) rc = check_stream(i, *out, err);
    if (!rc && QD_UNLIKELY(i->require_stream) && !i->placed && !qd_state_stream_of(b->state, *out))
        rc = qdi_index_not_there(i->index, "require_data_stream", "a data stream", err);
    if (rc || !i->placed || strcmp((*out)->uuid, i->index_uuid) == 0) return rc;
    /* deleted meanwhile, and another one has its name */
    rc = qd_err_set(err, QD_E_INDEX_NOT_FOUND, "no such index [%.*s]", QD_STR_ARG(i->index));
    qd_err_detail_str(err, "index_uuid", qd_str_c(i->index_uuid));
    qd_err_detail_str(err, "index", i->index);
    return rc;
}

/* --- the shard --- */

int qdi_batch_place(doc_batch *b, doc_item *i, const qd_index_meta **out, qd_err *err)
{
    const qd_index_meta *m;
    qd_str alias_routing;
    int rc = qdi_item_validate(i, err);
    if (!rc && i->empty_id) {
        rc = qd_err_set(err, QD_E_ARG, "if _id is specified it must not be empty");
    }
    if (!rc) rc = find_index(b, i, &m, &alias_routing, err);
    if (rc) return rc;
    if (alias_routing.n) {
        if (i->routing.n && !qd_str_eq(i->routing, alias_routing)) {
            return qd_err_set(err, QD_E_ARG,
                              "Alias [%.*s] has index routing associated with it [%.*s], and was "
                              "provided with routing value [%.*s], rejecting operation",
                              QD_STR_ARG(i->index), QD_STR_ARG(alias_routing),
                              QD_STR_ARG(i->routing));
        }
        i->routing = qd_arena_str(b->arena, alias_routing); /* the state may go before the item */
        if (!i->routing.p) return qd_err_nomem(err, "routing");
    }
    i->concrete = qd_arena_str(b->arena, m->name);
    memcpy(i->index_uuid, m->uuid, sizeof i->index_uuid);
    i->copies = m->replicas + 1;
    i->copies_good = 1;
    if ((rc = qdi_block_check(b->a, m, QDI_BLOCK_WRITE, err))) return rc;
    if (!i->routing.n && qd_mapping_routing_required(m->mapping)) {
        rc = qd_err_set(err, QD_E_ROUTING_MISSING, "routing is required for [%.*s]/[%.*s]",
                        QD_STR_ARG(m->name), QD_STR_ARG(i->id));
        qd_err_detail_str(err, "index_uuid", QD_STR("_na_"));
        qd_err_detail_str(err, "index", m->name);
        return rc;
    }
    if (i->id.n == 0 && i->op != DOC_DELETE) {
        i->auto_id = true;
        i->id = qdi_doc_new_id(b->a, b->arena);
        if (!i->id.p) return qd_err_nomem(err, "document id");
    }
    i->shard = qd_index_meta_route(m, i->id, i->routing);
    *out = m;
    return 0;
}
