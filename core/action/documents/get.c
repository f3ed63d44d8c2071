/* get.c: get, get_source, mget. */
#include "action/api/date_name.h"
#include "action/api/lookup_int.h"
#include "action/api/words.h"
#include "action/documents/documents_int.h"
#include "action/transport/ask_int.h"
#include "base/str.h"
#include "json/tree.h"
#include <stdio.h>
#include <string.h>

#define GATE_MS 30000
#define FILTERED_MAX ((size_t)1 << 31)

/* --- one document --- */

static int concrete_index(qd_actions *a, const qd_state *s, doc_get *g, const qd_index_meta **out,
                          qd_arena *arena, qd_err *err)
{
    qd_resolved r;
    (void)a;
    int rc = qd_state_resolve(s, g->index, QD_FORBID_CLOSED | QD_ONE_NAME, arena, &r, err);
    if (rc) return rc;
    if (r.n != 1) {
        qd_buf names;
        qd_buf_init(&names, NULL, 65536);
        for (uint32_t i = 0; i < r.n; i++) {
            (void)qd_buf_printf(&names, "%s%.*s", i ? ", " : "", QD_STR_ARG(r.at[i]->name));
        }
        rc = qd_err_set(err, QD_E_ARG,
                        "alias [%.*s] has more than one index associated with it [%.*s], can't "
                        "execute a single index op",
                        QD_STR_ARG(g->index), QD_STR_ARG(qd_buf_view(&names)));
        qd_buf_fini(&names);
        return rc;
    }
    const qd_alias *alias = qd_index_meta_alias(r.at[0], g->index);
    if (alias && alias->index_routing.n && !g->routing.n) g->routing = alias->index_routing;
    *out = r.at[0];
    return 0;
}

static int check_version(const doc_get *g, const qd_engine_doc *d, const qd_index_meta *m,
                         uint32_t number, qd_err *err)
{
    if (!g->has_version || !d->found) return 0;
    uint64_t v = (uint64_t)g->version;
    if (d->version == v) return 0; /* for reads all version types mean this */
    char shard[12];
    int n = snprintf(shard, sizeof shard, "%u", number);
    int rc = qd_err_set(err, QD_E_VERSION_CONFLICT,
                        "[%.*s]: version conflict, current version [%llu] is different than the "
                        "one provided [%llu]",
                        QD_STR_ARG(g->id), (unsigned long long)d->version, (unsigned long long)v);
    qd_err_detail_str(err, "index_uuid", qd_str_c(m->uuid));
    qd_err_detail_str(err, "shard", (qd_str){shard, (size_t)n});
    qd_err_detail_str(err, "index", m->name);
    return rc;
}

int qdi_doc_locate(qd_actions *a, const qd_state *s, doc_get *g, qd_arena *arena,
                   const qd_index_meta **out, uint32_t *number, qd_err *err)
{
    const qd_index_meta *m = NULL;
    int rc = concrete_index(a, s, g, &m, arena, err);
    if (rc) return rc;
    if ((rc = qdi_block_check(a, m, QDI_BLOCK_READ, err))) return rc;
    if (!g->routing.n && qd_mapping_routing_required(m->mapping)) {
        rc = qd_err_set(err, QD_E_ROUTING_MISSING, "routing is required for [%.*s]/[%.*s]",
                        QD_STR_ARG(m->name), QD_STR_ARG(g->id));
        qd_err_detail_str(err, "index_uuid", QD_STR("_na_"));
        qd_err_detail_str(err, "index", m->name);
        return rc;
    }
    *number = qd_index_meta_route(m, g->id, g->routing);
    *out = m;
    return 0;
}

static void read_args(const doc_get *g, const qd_index_meta *m, uint32_t number, doc_read *out)
{
    *out = (doc_read){.shard = number,
                      .id = g->id,
                      .realtime = g->realtime,
                      .refresh = g->refresh,
                      .want_source = g->source.want};
    memcpy(out->uuid, m->uuid, sizeof out->uuid);
    qd_err_init(&out->err);
}

/* Was the copy here at first, and is it another node's by now? */
static bool moved_away(qd_actions *a, int rc)
{
    return qdi_many_nodes(a) &&
           (rc == QD_E_NOT_PRIMARY || rc == QD_E_NO_SHARD || rc == QD_E_CLOSED);
}

/* The document as the engine has it. */
static int get_doc(qd_actions *a, const doc_get *g, const qd_index_meta *m, uint32_t number,
                   qd_arena *arena, qd_engine_doc *out, qd_err *err)
{
    doc_read one, *d = g->fetched;
    int rc;
    if (!d) {
        read_args(g, m, number, &one);
        d = &one;
        if (qdi_many_nodes(a))
            qdi_docs_read(a, d, 1, arena);
        else
            d->rc = QDI_READ_HERE;
    }
    if (d->rc == QDI_READ_HERE) {
        d->rc = qdi_read_here(a, m->uuid, number, d, arena, &d->doc, &d->err);
        if (moved_away(a, d->rc)) {
            qd_err_fini(&d->err);
            read_args(g, m, number, &one);
            d = &one;
            qdi_docs_read(a, d, 1, arena);
        }
    }
    rc = d->rc;
    if (rc) {
        qd_err_move(err, &d->err);
    } else {
        *out = d->doc;
    }
    if (rc == QD_E_NO_SHARD) {
        rc = qd_err_set(err, QD_E_NO_SHARD, "No shard available for [get [%.*s][%.*s]]",
                        QD_STR_ARG(m->name), QD_STR_ARG(g->id));
    }
    qd_err_fini(&d->err);
    return rc;
}

int qdi_doc_get(qd_actions *a, const qd_state *s, doc_get *g, qd_arena *arena, doc_got *out,
                qd_err *err)
{
    const qd_index_meta *m = NULL;
    uint32_t number;
    int rc = qdi_doc_locate(a, s, g, arena, &m, &number, err);
    if (rc) return rc;
    out->index = qd_arena_str(arena, m->name);
    rc = get_doc(a, g, m, number, arena, &out->doc, err);
    if (!rc && g->nstored) rc = qdi_doc_stored_check(g, m->mapping, err);
    if (!rc && g->nstored) rc = qdi_doc_stored_got(m->mapping, &out->doc, arena, err);
    out->doc.source_stored &= qd_mapping_source_enabled(m->mapping);
    const qd_json_filter *f = qd_mapping_source_filter(m->mapping);
    if (!rc && f && out->doc.source.n) { /* the log has what the client sent */
        qd_buf b;
        qd_buf_init(&b, a->account, FILTERED_MAX);
        rc = qd_json_filter_apply(f, out->doc.source, false, &b, err);
        if (!rc) out->doc.source = qd_arena_str(arena, qd_buf_view(&b));
        if (!rc && !out->doc.source.p) rc = qd_err_nomem(err, "source of a document");
        qd_buf_fini(&b);
    }
    return rc ? rc : check_version(g, &out->doc, m, number, err);
}

doc_read *qdi_docs_fetch(qd_actions *a, const qd_state *s, doc_get *gets, uint32_t n,
                         qd_arena *arena)
{
    doc_read *reads = qd_arena_alloc(arena, n * sizeof *reads);
    for (uint32_t k = 0; k < n && reads; k++) {
        const qd_index_meta *m;
        uint32_t number;
        reads[k] = (doc_read){.done = true, .rc = QDI_READ_HERE};
        qd_err_init(&reads[k].err);
        if (qdi_doc_locate(a, s, &gets[k], arena, &m, &number, NULL)) continue;
        read_args(&gets[k], m, number, &reads[k]);
        reads[k].lazy = true;
    }
    if (reads) qdi_docs_read(a, reads, n, arena);
    return reads;
}

/* Scalars at the path of a source, for a terms query. */
typedef struct looked_up {
    qd_arena *arena;
    qd_query_value *at;
    uint32_t n, room;
    bool failed;
} looked_up;

static void add_value(void *arg, const qd_json_node *n)
{
    looked_up *l = arg;
    if (n->type == QD_JSON_T_OBJECT || n->type == QD_JSON_T_ARRAY || n->type == QD_JSON_T_NULL)
        return;
    if (l->n == l->room) {
        uint32_t room = l->room ? l->room * 2 : 16;
        qd_query_value *at = qd_arena_alloc(l->arena, room * sizeof *at);
        l->failed |= !at;
        if (!at) return;
        if (l->n) memcpy(at, l->at, l->n * sizeof *at);
        l->at = at;
        l->room = room;
    }
    l->at[l->n++] = (qd_query_value){qd_json_text(n), n->type == QD_JSON_T_STRING};
}

int qdi_docs_lookup(void *arg, const qd_query_lookup *l, qd_arena *arena,
                    const qd_query_value **out, uint32_t *n, qd_err *err)
{
    qd_actions *a = arg;
    doc_get g = {.index = l->index,
                 .id = l->id,
                 .routing = l->routing,
                 .realtime = true,
                 .source = {.want = true}};
    doc_got d = {0};
    qd_json_node *root;
    looked_up found = {.arena = arena};
    qd_state *s = qd_cluster_state(a->cluster);
    int rc = qdi_doc_get(a, s, &g, arena, &d, err);
    if (!rc && d.doc.found && d.doc.source_stored) {
        if (!l->path.n) { /* the document itself */
            found.at = qd_arena_alloc(arena, sizeof *found.at);
            found.failed = !found.at;
            if (found.at) found.at[found.n++] = (qd_query_value){d.doc.source, true};
        } else {
            rc = qd_json_parse(arena, d.doc.source, 0, &root, err);
            if (!rc) qdi_source_walk(root, l->path, false, add_value, &found);
        }
        if (!rc && found.failed) rc = qd_err_nomem(err, "terms look-up");
    }
    qd_state_unref(s);
    *out = found.at;
    *n = found.n;
    return rc;
}

int qdi_version_type(qd_str v, qd_version_type *out, qd_err *err);

/* "Any" is none; others must be a version that there can be. */
static int version_given(doc_get *g, uint32_t number, qd_err *err)
{
    if (g->version == QD_VERSION_ANY) g->has_version = false;
    bool internal = g->version_type == QD_VERSION_INTERNAL;
    if (!g->has_version || g->version >= internal) return 0;
    return qd_err_set(err, QD_E_VALIDATION,
                      "Validation Failed: %u: illegal version value [%lld] for version type [%s];",
                      number + 1, (long long)g->version, qdi_version_type_name(g->version_type));
}

static int args_of(const qd_request *q, doc_get *g, qd_err *err)
{
    *g = (doc_get){.index = qd_param(q, "index"),
                   .id = qd_param(q, "id"),
                   .routing = qd_param(q, "routing"),
                   .has_version = qd_param_has(q, "version")};
    int rc = qd_param_bool(q, "realtime", true, &g->realtime, err);
    if (!rc) rc = qd_param_bool(q, "refresh", false, &g->refresh, err);
    if (!rc) rc = qd_param_long(q, "version", QD_VERSION_ANY, &g->version, err);
    if (!rc) rc = qdi_version_type(qd_param(q, "version_type"), &g->version_type, err);
    if (!rc) rc = version_given(g, 0, err);
    g->source_given = qdi_source_asked(q);
    g->nstored = qdi_list_split(q->arena, qd_param(q, "stored_fields"), &g->stored);
    return rc ? rc : qdi_source_param(q, &g->source, err);
}

/* Members of a get answer. */
static int write_got(qd_request *q, const doc_get *g, const doc_got *d, const qd_state *s,
                     qd_json_writer *w, qd_err *err)
{
    int rc = 0;
    qd_json_field_str(w, "_index", d->index);
    qdi_type_write(q->a, w);
    qd_json_field_str(w, "_id", g->id);
    if (!d->doc.found) {
        qd_json_field_bool(w, "found", false);
        return 0;
    }
    qd_json_field_int(w, "_version", (int64_t)d->doc.version);
    qd_json_field_int(w, "_seq_no", d->doc.seq_no);
    qd_json_field_int(w, "_primary_term", (int64_t)d->doc.primary_term);
    if (d->doc.routing.n) qd_json_field_str(w, "_routing", d->doc.routing);
    qd_json_field_bool(w, "found", true);
    if (qdi_doc_stored_source(g) && d->doc.source_stored) {
        qd_json_key_c(w, "_source");
        rc = qdi_source_write(&g->source, d->doc.source, w, err);
    }
    const qd_index_meta *m = qd_state_index(s, d->index);
    if (!rc && g->nstored && m)
        rc = qdi_doc_stored_write(g, m->mapping, d->doc.stored, q->arena, w, err);
    return rc;
}

int qdi_api_get(qd_request *q, qd_response *r, qd_err *err)
{
    doc_get g;
    doc_got d = {0};
    int rc = args_of(q, &g, err);
    if (rc) return rc;
    bool want = g.source.want;
    if (g.nstored) g.source.want = true;
    qd_state *s = qd_cluster_state(q->a->cluster);
    rc = qdi_doc_get(q->a, s, &g, q->arena, &d, err);
    g.source.want = want;
    if (!rc) {
        r->status = d.doc.found ? 200 : 404;
        qd_json_object(&r->w);
        rc = write_got(q, &g, &d, s, &r->w, err);
        if (!rc) qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    return rc;
}

int qdi_api_get_source(qd_request *q, qd_response *r, qd_err *err)
{
    doc_get g;
    doc_got d = {0};
    int rc = args_of(q, &g, err);
    if (rc) return rc;
    if (!g.source.want) {
        return qd_err_set(err, QD_E_VALIDATION,
                          "Validation Failed: 1: fetching source can not be disabled;");
    }
    qd_state *s = qd_cluster_state(q->a->cluster);
    rc = qdi_doc_get(q->a, s, &g, q->arena, &d, err);
    qd_state_unref(s);
    if (rc) return rc;
    if (!d.doc.found) {
        return qd_err_set(err, QD_E_NOTFOUND, "Document not found [%.*s]/[%.*s]",
                          QD_STR_ARG(g.index), QD_STR_ARG(g.id));
    }
    if (!d.doc.source_stored) {
        return qd_err_set(err, QD_E_NOTFOUND, "Source not found [%.*s]/[%.*s]", QD_STR_ARG(g.index),
                          QD_STR_ARG(g.id));
    }
    return qdi_source_write(&g.source, d.doc.source, &r->w, err);
}

/* --- mget --- */

/* "stored_fields" of an item: a name or a list. */
static int item_stored(const qd_request *q, const qd_json_node *m, doc_get *g, qd_err *err)
{
    g->nstored = 0;
    g->stored = qd_arena_alloc(q->arena, (m->n + 1) * sizeof *g->stored);
    if (!g->stored) return qd_err_nomem(err, "stored_fields");
    if (m->type != QD_JSON_T_ARRAY) g->stored[g->nstored++] = qd_json_text(m);
    for (const qd_json_node *x = m->type == QD_JSON_T_ARRAY ? m->first : NULL; x; x = x->next)
        g->stored[g->nstored++] = qd_json_text(x);
    return 0;
}

static int item_args(const qd_request *q, const qd_json_node *n, const doc_get *standard,
                     doc_get *g, qd_err *err)
{
    int rc = 0;
    *g = *standard;
    if (standard->list_of_ids) {
        g->id = qd_json_text(n);
        if (n->type != QD_JSON_T_OBJECT && n->type != QD_JSON_T_ARRAY) return 0;
        return qd_err_set(err, QD_E_ARG, "ids array element should only contain ids");
    }
    if (n->type != QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_ARG, "docs array element should include an object");
    }
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "_index")) {
            rc =
                qdi_date_name(q->arena, qd_json_text(m), qd_env_wall_ms(q->a->env), &g->index, err);
        } else if (qd_str_is(m->key, "_id")) {
            g->id = qd_json_text(m);
        } else if (qd_str_is(m->key, "routing")) {
            g->routing = qd_json_text(m);
        } else if (qd_str_is(m->key, "_source")) {
            if (m->type == QD_JSON_T_NULL) continue; /* as the request says */
            rc = qdi_source_json(m, q->arena, &g->source, err);
            g->source_given = true;
        } else if (qd_str_is(m->key, "stored_fields")) {
            rc = item_stored(q, m, g, err);
        } else if (qd_str_is(m->key, "version")) {
            g->has_version = true;
            if (!qd_str_i64(m->text, &g->version)) {
                rc = qd_err_set(err, QD_E_ARG, "[version] is not an integer");
            }
        } else if (qd_str_is(m->key, "version_type")) {
            rc = qdi_version_type(qd_json_text(m), &g->version_type, err);
        } else if (!qd_str_is(m->key, "_type") || !qdi_has_types(q->a)) {
            rc = qd_err_set(err, QD_E_ES_PARSE,
                            "failed to parse multi get request. unknown field "
                            "[%.*s]",
                            QD_STR_ARG(m->key));
        }
    }
    return rc;
}

/* Reads what other nodes have of an mget; the rest is read when it is written. */
static doc_read *mget_fetch(qd_request *q, const qd_state *s, const qd_json_node *list,
                            const doc_get *standard)
{
    uint32_t k = 0;
    doc_get *gets = qd_arena_alloc(q->arena, list->n * sizeof *gets);
    for (const qd_json_node *n = list->first; n && gets; n = n->next, k++) {
        (void)item_args(q, n, standard, &gets[k], NULL); /* checked before */
        gets[k].source.want |= gets[k].nstored != 0;
    }
    return gets ? qdi_docs_fetch(q->a, s, gets, list->n, q->arena) : NULL;
}

static int mget_item(qd_request *q, const qd_state *s, doc_get *g, qd_json_writer *w, qd_err *err)
{
    doc_got d = {0};
    qd_err why;
    qd_err_init(&why);
    bool want = g->source.want;
    if (g->nstored) g->source.want = true;
    int rc = qdi_doc_get(q->a, s, g, q->arena, &d, &why);
    g->source.want = want;
    qd_json_object(w);
    if (rc) {
        qd_json_field_str(w, "_index", g->index);
        qdi_type_write(q->a, w);
        qd_json_field_str(w, "_id", g->id);
        qd_json_key_c(w, "error");
        qdi_words_error(q->a, QDI_WORDS_DOCUMENT, &why);
        qd_error_write_root(w, &why);
        rc = 0;
    } else {
        rc = write_got(q, g, &d, s, w, err);
    }
    if (!rc) qd_json_object_end(w);
    qd_err_fini(&why);
    return rc;
}

/* parsing_exception with the place of a value. */
static int unexpected(const qd_request *q, const qd_json_node *n, qd_err *err, const char *text)
{
    qd_json_reader r = QD_JSON_READER(NULL);
    qd_json_reader_init(&r, q->body, 0, 0);
    r.token = n->raw.p;
    int rc = qd_json_err_at(&r, err, QD_E_PARSE, "%s", text);
    qd_json_reader_fini(&r);
    return rc;
}

/* The list of documents or ids; an empty request has none. */
static int mget_list(const qd_request *q, const qd_json_node *root, const qd_json_node **out,
                     bool *of_ids, qd_err *err)
{
    char text[256];
    if (root->type != QD_JSON_T_OBJECT) {
        snprintf(text, sizeof text, "unexpected token [%s], expected [START_OBJECT]",
                 qd_json_type_token(root->type));
        return unexpected(q, root, err, text);
    }
    for (const qd_json_node *n = root->first; n; n = n->next) {
        bool ids = qd_str_is(n->key, "ids");
        if (n->type != QD_JSON_T_ARRAY) {
            snprintf(text, sizeof text,
                     "unexpected token [%s], expected [FIELD_NAME] or [START_ARRAY]",
                     qd_json_type_token(n->type));
            return unexpected(q, n, err, text);
        }
        if (!ids && !qd_str_is(n->key, "docs")) {
            snprintf(text, sizeof text,
                     "unknown key [%.*s] for a START_ARRAY, expected [docs] or [ids]",
                     QD_STR_ARG(n->key));
            return unexpected(q, n, err, text);
        }
        *out = n;
        *of_ids = ids;
    }
    return 0;
}

int qdi_api_mget(qd_request *q, qd_response *r, qd_err *err)
{
    doc_get standard, g;
    qd_json_node *root;
    int rc = args_of(q, &standard, err);
    if (!rc) rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    if (rc) return rc;
    const qd_json_node *list = NULL;
    if ((rc = mget_list(q, root, &list, &standard.list_of_ids, err))) return rc;
    if (!list || list->n == 0) {
        return qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: no documents to get;");
    }
    qd_state *s = qd_cluster_state(q->a->cluster);
    uint32_t number = 0;
    for (const qd_json_node *n = list->first; n && !rc; n = n->next, number++) {
        rc = item_args(q, n, &standard, &g, err);
        if (!rc && !g.index.n) {
            rc = qd_err_set(err, QD_E_VALIDATION,
                            "Validation Failed: 1: index is missing for doc %u;", number);
        }
        if (!rc && !g.id.n) {
            rc = qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: id is missing for doc %u;",
                            number);
        }
    }
    doc_read *fetched = !rc && qdi_many_nodes(q->a) ? mget_fetch(q, s, list, &standard) : NULL;
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "docs");
    qd_json_array(&r->w);
    number = 0;
    for (const qd_json_node *n = list->first; n && !rc; n = n->next, number++) {
        rc = item_args(q, n, &standard, &g, err);
        g.fetched = fetched ? &fetched[number] : NULL;
        if (!rc) rc = qd_task_check(&q->task, err);
        if (!rc) rc = mget_item(q, s, &g, &r->w, err);
    }
    if (!rc) {
        qd_json_array_end(&r->w);
        qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    return rc;
}
