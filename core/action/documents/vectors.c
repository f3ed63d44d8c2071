/*
 * vectors.c: _termvectors and _mtermvectors: each document on the node that has its shard's
 * primary, where the source and the statistics are.
 */
#include "action/api/forward_int.h"
#include "action/api/words.h"
#include "action/documents/vectors_int.h"
#include "action/transport/ask_int.h"
#include "base/str.h"

#define FORWARD_MS 30000
#define BODY_MAX ((size_t)256 << 20)

/* What is asked of one document: the request's own, what all items share, what the item says. */
typedef struct vector_item {
    qd_str index, id;
    const qd_json_node *common, *own; /* or NULL */
} vector_item;

static int read_item(const qd_request *q, const vector_item *item, vector_request *v, qd_err *err)
{
    int rc = qdi_vectors_params(q, v, err);
    if (item->index.n) v->get.index = item->index;
    if (item->id.n) v->get.id = item->id;
    if (!rc && item->common) rc = qdi_vectors_body(q, item->common, v, err);
    if (!rc && item->own) rc = qdi_vectors_body(q, item->own, v, err);
    return rc;
}

static int validate(const vector_request *v, qd_err *err)
{
    if (!v->get.index.n)
        return qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: index is missing;");
    if (!v->get.id.n && !v->doc)
        return qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: id or doc is missing;");
    return 0;
}

/* --- here --- */

static int write_here(qd_request *q, const qd_state *s, vector_request *v, const qd_index_meta *m,
                      uint32_t number, qd_json_writer *w, qd_err *err)
{
    doc_got d = {0};
    uint64_t begun = qd_env_mono_ns(q->a->env);
    qd_str source = v->doc ? v->doc->raw : (qd_str){NULL, 0};
    int rc = v->doc ? 0 : qdi_doc_get(q->a, s, &v->get, q->arena, &d, err);
    if (rc) return rc;
    if (!v->doc && d.doc.source_stored) source = d.doc.source;
    bool found = v->doc || d.doc.found;
    qd_shard *shard = found ? qd_shards_get(q->a->shards, m->uuid, number) : NULL;
    if (found && !shard)
        return qd_err_set(err, QD_E_NO_SHARD, "No shard available for [get [%.*s][%.*s]]",
                          QD_STR_ARG(m->name), QD_STR_ARG(v->get.id));
    qd_json_field_str(w, "_index", m->name);
    qdi_type_write(q->a, w);
    if (!v->doc) qd_json_field_str(w, "_id", v->get.id);
    qd_json_field_int(w, "_version", (int64_t)d.doc.version);
    qd_json_field_bool(w, "found", found);
    qd_json_field_int(w, "took", (int64_t)((qd_env_mono_ns(q->a->env) - begun) / 1000000u));
    if (found) rc = qdi_vectors_write(q, v, m, shard, source, w, err);
    qd_shard_unref(shard);
    return rc;
}

/* --- elsewhere --- */

static void copy_json(const char *key, const qd_json_node *n, qd_json_writer *w)
{
    if (!n) return;
    qd_json_key_c(w, key);
    qd_json_raw_value(w, n->raw);
}

/* Another node runs it as _termvectors of one document. */
static int forward(qd_request *q, const qd_state *s, const vector_item *item,
                   const vector_request *v, qd_str node, qdi_forwarded *f, qd_err *err)
{
    qd_request sub = *q;
    qd_buf body;
    qd_json_writer w;
    uint32_t n = 0;
    qd_pair *params = qd_arena_alloc(q->arena, (q->nparams + 2) * sizeof *params);
    if (!params) return qd_err_nomem(err, "term vectors");
    for (uint32_t i = 0; i < q->nparams; i++) {
        qd_str key = q->params[i].key;
        if (!qd_str_is(key, "index") && !qd_str_is(key, "id") && !qd_str_is(key, "ids"))
            params[n++] = q->params[i];
    }
    params[n++] = (qd_pair){QD_STR("index"), v->get.index};
    if (v->get.id.n) params[n++] = (qd_pair){QD_STR("id"), v->get.id};
    qd_buf_init(&body, q->a->account, BODY_MAX);
    qd_json_writer_init(&w, &body, false);
    qd_json_object(&w);
    copy_json("common", item->common, &w);
    copy_json("own", item->own, &w);
    qd_json_object_end(&w);
    sub.api = qd_api_find(QD_STR("termvectors"));
    sub.body = qd_buf_view(&body);
    sub.body_format = QD_FORMAT_JSON;
    *f = (qdi_forwarded){.node = node,
                         .params = params,
                         .nparams = n,
                         .read = q->api != sub.api,
                         .timeout_ms = FORWARD_MS};
    int rc =
        qd_buf_status(&body) ? qd_err_nomem(err, "term vectors") : qdi_forward(&sub, s, f, 1, err);
    qd_buf_fini(&body);
    return rc;
}

/* The other node that has the primary; empty: it is done here. */
static qd_str node_of(const qd_request *q, const qd_state *s, const qd_index_meta *m,
                      uint32_t number)
{
    const qd_shard_meta *r = qd_state_shard(s, m, number);
    const qd_copy *p = r ? qd_shard_meta_primary(r) : NULL;
    bool here = q->forwarded || !qdi_many_nodes(q->a) || !p || qd_str_eq(p->node, q->a->node_id);
    return here ? (qd_str){"", 0} : p->node;
}

/* --- one document --- */

/* In a list the answer stands in an object of its own, and other nodes' is written into it. */
static int run_item(qd_request *q, const qd_state *s, const vector_item *item, qd_response *r,
                    bool listed, qd_err *err)
{
    vector_request v;
    const qd_index_meta *m = NULL;
    uint32_t number = 0;
    int rc = read_item(q, item, &v, err);
    if (!rc) rc = validate(&v, err);
    if (!rc) rc = qdi_doc_locate(q->a, s, &v.get, q->arena, &m, &number, err);
    if (rc) return rc;
    if (v.doc && !v.get.routing.n) number = 0; /* any shard has statistics for it */
    qd_str node = node_of(q, s, m, number);
    if (!node.n) {
        qd_json_object(&r->w);
        rc = write_here(q, s, &v, m, number, &r->w, err);
        if (!rc) qd_json_object_end(&r->w);
        return rc;
    }
    qdi_forwarded f;
    rc = forward(q, s, item, &v, node, &f, err);
    if (rc) return rc;
    if (!listed) {
        rc = qdi_forward_answer(&f, r, err);
    } else if (!f.status) {
        rc = f.rc;
        qd_err_move(err, &f.err);
    } else {
        qd_json_node *root, *error;
        rc = qd_json_parse(q->arena, f.body, 0, &root, err);
        error = rc ? NULL : (qd_json_node *)(uintptr_t)qd_json_get(root, "error");
        if (!rc && error) {
            qd_json_object(&r->w);
            qd_json_field_str(&r->w, "_index", v.get.index);
            qdi_type_write(q->a, &r->w);
            qd_json_field_str(&r->w, "_id", v.get.id);
            copy_json("error", error, &r->w);
            qd_json_object_end(&r->w);
        } else if (!rc) {
            qd_json_raw_value(&r->w, f.body);
        }
    }
    qd_err_fini(&f.err);
    return rc;
}

int qdi_api_termvectors(qd_request *q, qd_response *r, qd_err *err)
{
    qd_json_node *root = NULL;
    vector_item item = {0};
    bool body = qd_str_trim(q->body).n != 0;
    int rc = body ? qd_json_parse(q->arena, q->body, 0, &root, err) : 0;
    if (rc) return rc;
    item.own = root;
    if (q->forwarded) {
        item.common = root ? qd_json_get(root, "common") : NULL;
        item.own = root ? qd_json_get(root, "own") : NULL;
    }
    qd_state *s = qd_cluster_state(q->a->cluster);
    rc = run_item(q, s, &item, r, false, err);
    qd_state_unref(s);
    return rc;
}

/* --- many --- */

static int item_failed(qd_request *q, const vector_item *item, qd_err *why, qd_json_writer *w)
{
    qd_str index = item->index.n ? item->index : qd_param(q, "index"), id = item->id;
    const qd_json_node *n = item->own ? qd_json_get(item->own, "_index") : NULL;
    if (n) index = qd_json_text(n);
    n = item->own ? qd_json_get(item->own, "_id") : NULL;
    if (n) id = qd_json_text(n);
    qd_json_object(w);
    qd_json_field_str(w, "_index", index);
    qdi_type_write(q->a, w);
    if (id.n) qd_json_field_str(w, "_id", id);
    qd_json_key_c(w, "error");
    qdi_words_error(q->a, QDI_WORDS_DOCUMENT, why);
    qd_error_write_root(w, why);
    qd_json_object_end(w);
    return 0;
}

/* An item that fails says so in its place; one that cannot be read ends the request. */
static int add_item(qd_request *q, const qd_state *s, const vector_item *item, qd_response *r,
                    qd_err *err)
{
    vector_request v;
    qd_err why;
    size_t before = r->w.out->n;
    qd_json_writer as = r->w;
    int rc = read_item(q, item, &v, err);
    if (!rc) rc = qd_task_check(&q->task, err);
    if (rc) return rc;
    qd_err_init(&why);
    rc = run_item(q, s, item, r, true, &why);
    if (rc == QD_E_CANCELLED || rc == QD_E_NOMEM) {
        qd_err_move(err, &why);
        return rc;
    }
    if (rc) { /* what was written of it is taken back */
        r->w.out->n = before;
        r->w = as;
        rc = item_failed(q, item, &why, &r->w);
    }
    qd_err_fini(&why);
    return rc;
}

static int add_ids(qd_request *q, const qd_state *s, const qd_json_node *ids,
                   const qd_json_node *common, qd_response *r, qd_err *err)
{
    int rc = 0;
    for (const qd_json_node *n = ids->first; n && !rc; n = n->next) {
        vector_item item = {.id = qd_json_text(n), .common = common};
        if (!item.id.p) return qd_err_set(err, QD_E_ES_PARSE, "ids array should only contain ids");
        rc = add_item(q, s, &item, r, err);
    }
    return rc;
}

typedef struct many {
    const qd_json_node *docs, *ids, *common;
} many;

static int read_many(const qd_request *q, many *x, qd_err *err)
{
    qd_json_node *root;
    if (!qd_str_trim(q->body).n) return 0;
    int rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    for (const qd_json_node *n = rc ? NULL : root->first; n; n = n->next) {
        bool array = n->type == QD_JSON_T_ARRAY, object = n->type == QD_JSON_T_OBJECT;
        if (array && qd_str_is(n->key, "docs"))
            x->docs = n;
        else if (array && qd_str_is(n->key, "ids"))
            x->ids = n;
        else if (object && qd_str_is(n->key, "parameters"))
            x->common = n;
        else
            return qd_err_set(err, QD_E_ES_PARSE, "no parameter named [%.*s] and type %s",
                              QD_STR_ARG(n->key), array ? "ARRAY" : "OBJECT");
    }
    return rc;
}

int qdi_api_mtermvectors(qd_request *q, qd_response *r, qd_err *err)
{
    many x = {0};
    qd_str *ids;
    uint32_t nids = qdi_list_split(q->arena, qd_param(q, "ids"), &ids);
    int rc = read_many(q, &x, err);
    bool any = nids || (x.docs && x.docs->n) || (x.ids && x.ids->n);
    if (!rc && !any)
        rc = qd_err_set(err, QD_E_VALIDATION,
                        "Validation Failed: 1: multi term vectors: no documents requested;");
    if (rc) return rc;
    qd_state *s = qd_cluster_state(q->a->cluster);
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "docs");
    qd_json_array(&r->w);
    for (const qd_json_node *n = x.docs ? x.docs->first : NULL; n && !rc; n = n->next) {
        vector_item item = {.common = x.common, .own = n};
        rc = add_item(q, s, &item, r, err);
    }
    if (!rc && x.ids) rc = add_ids(q, s, x.ids, x.common, r, err);
    for (uint32_t i = 0; i < nids && !rc; i++) {
        vector_item item = {.id = ids[i], .common = x.common};
        rc = add_item(q, s, &item, r, err);
    }
    if (!rc) {
        qd_json_array_end(&r->w);
        qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    return rc;
}
