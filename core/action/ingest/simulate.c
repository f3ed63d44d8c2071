/* simulate.c: _ingest/pipeline/_simulate: documents through a pipeline, for the eye alone. */
#include "action/api/admin_int.h"
#include "action/ingest/pipelines.h"
#include "base/str.h"

typedef struct simulation {
    qd_request *q;
    qd_response *r;
    qd_state *s;
    qd_ingest_pipeline *p;
    qd_ingest_run *run;
    bool verbose;
} simulation;

static int missing(const char *key, qd_err *err)
{
    int rc = qd_err_set(err, QD_E_ES_PARSE, "[%s] required property is missing", key);
    qd_err_detail_str(err, "property_name", qd_str_c(key));
    return rc;
}

static qd_ingest_pipeline *find(void *arg, qd_str id)
{
    const simulation *x = arg;
    qd_ingest_pipeline *p;
    return qdi_pipelines_get(x->q->a, x->s, id, &p, NULL) ? NULL : p;
}

static void write_error(const qd_err *err, qd_json_writer *w)
{
    qd_json_key_c(w, "error");
    qd_error_write_root(w, err);
}

/* One processor of a verbose answer. */
static void told(void *arg, const qd_ingest_run *run, const qd_ingest_trace *t)
{
    simulation *x = arg;
    qd_json_writer *w = &x->r->w;
    bool ignored = t->err && strcmp(t->status, "error_ignored") == 0;
    bool document = strcmp(t->status, "dropped") != 0 && strcmp(t->status, "skipped") != 0 &&
                    (!t->err || ignored);
    qd_json_object(w);
    qd_json_field_c(w, "processor_type", t->type);
    qd_json_field_c(w, "status", t->status);
    if (t->description.p) qd_json_field_str(w, "description", t->description);
    if (t->tag.p) qd_json_field_str(w, "tag", t->tag);
    if (ignored) {
        qd_json_key_c(w, "ignored_error");
        qd_json_object(w);
        write_error(t->err, w);
        qd_json_object_end(w);
    } else if (t->err) {
        write_error(t->err, w);
    }
    if (document) {
        qd_json_key_c(w, "doc");
        qd_ingest_doc_write(run, w);
    }
    qd_json_object_end(w);
}

static qd_str text_or(const qd_json_node *doc, const char *key, qd_str standard)
{
    const qd_json_node *n = qd_json_get(doc, key);
    qd_str text = n ? qd_json_text(n) : (qd_str){NULL, 0};
    return text.p ? text : standard;
}

static int number_of(const qd_json_node *doc, const char *key, bool *has, int64_t *out, qd_err *err)
{
    const qd_json_node *n = qd_json_get(doc, key);
    *has = n != NULL;
    if (!n || qd_str_i64(qd_json_text(n), out)) return 0;
    return qd_err_set(err, QD_E_ES_PARSE, "[%s] property isn't a long, but of type [%s]", key,
                      qd_json_type_token(n->type));
}

static int document_of(simulation *x, const qd_json_node *n, qd_ingest_doc *out, qd_err *err)
{
    const qd_json_node *source = qd_json_get(n, "_source");
    const qd_str none = {NULL, 0};
    qdi_identity who;
    bool term;
    qdi_identity_get(x->q->a, &who);
    if (n->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_ARG,
                          "malformed [docs] section, should include an inner object");
    if (!source) return missing("_source", err);
    if (source->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_ES_PARSE, "[_source] property isn't a map, but of type [%s]",
                          qd_json_type_token(source->type));
    *out = (qd_ingest_doc){.index = text_or(n, "_index", QD_STR("_index")),
                           .id = text_or(n, "_id", QD_STR("_id")),
                           .routing = text_or(n, "_routing", none),
                           .version_type = text_or(n, "_version_type", none),
                           .source = source->raw};
    bool types = who.product == QDI_ES7 || who.product == QDI_ES7102;
    if (types) out->type = text_or(n, "_type", QD_STR("_doc"));
    if (who.product == QDI_ES8 || who.product == QDI_ES9) {
        out->has_version = true;
        out->version = -3;
    }
    bool has = false;
    int64_t version = 0;
    int rc = number_of(n, "_version", &has, &version, err);
    if (!rc && has) {
        out->has_version = true;
        out->version = version;
    }
    if (!rc) rc = number_of(n, "_if_seq_no", &out->has_seq_no, &out->if_seq_no, err);
    return rc ? rc : number_of(n, "_if_primary_term", &term, &out->if_primary_term, err);
}

static int one(simulation *x, const qd_json_node *n, qd_err *err)
{
    qd_json_writer *w = &x->r->w;
    qd_ingest_doc doc;
    int rc = document_of(x, n, &doc, err);
    if (!rc) rc = qd_task_check(&x->q->task, err);
    if (!rc) rc = qd_ingest_begin(x->run, &doc, err);
    if (rc) return rc;
    qd_err why;
    qd_err_init(&why);
    if (x->verbose) {
        qd_json_object(w);
        qd_json_key_c(w, "processor_results");
        qd_json_array(w);
    }
    rc = qd_ingest_apply(x->run, x->p, &why);
    if (x->verbose) {
        qd_json_array_end(w);
        qd_json_object_end(w);
    } else if (rc == QD_INGEST_DROPPED) {
        qd_json_null(w);
    } else {
        qd_json_object(w);
        if (rc < 0) {
            write_error(&why, w);
        } else {
            qd_json_key_c(w, "doc");
            qd_ingest_doc_write(x->run, w);
        }
        qd_json_object_end(w);
    }
    qd_err_fini(&why);
    return 0;
}

static int pipeline_of(simulation *x, const qd_json_node *root, qd_err *err)
{
    qd_str id = qd_param(x->q, "id");
    const qd_json_node *n = qd_json_get(root, "pipeline");
    if (!id.p && !n) return missing("pipeline", err);
    if (!id.p)
        return qd_ingest_compile(qdi_pipelines_settings(x->q->a), QD_STR("_simulate_pipeline"),
                                 n->raw, &x->p, err);
    int rc = qdi_pipelines_get(x->q->a, x->s, id, &x->p, err);
    if (!rc && !x->p)
        rc = qd_err_set(err, QD_E_ARG, "pipeline [%.*s] does not exist", QD_STR_ARG(id));
    return rc;
}

static int simulate(simulation *x, qd_err *err)
{
    qd_json_node *root;
    qd_ingest_calls calls = {.find = find, .arg = x, .task = &x->q->task};
    int rc = qd_json_parse(x->q->arena, x->q->body, 0, &root, err);
    if (!rc) rc = qd_param_bool(x->q, "verbose", false, &x->verbose, err);
    if (!rc) rc = pipeline_of(x, root, err);
    if (rc) return rc;
    const qd_json_node *docs = qd_json_get(root, "docs");
    if (!docs) return missing("docs", err);
    if (docs->type != QD_JSON_T_ARRAY)
        return qd_err_set(err, QD_E_ES_PARSE, "[docs] property isn't a list, but of type [%s]",
                          qd_json_type_token(docs->type));
    if (!docs->n) return qd_err_set(err, QD_E_ARG, "must specify at least one document in [docs]");
    rc = qd_ingest_run_open(qdi_pipelines_settings(x->q->a), &calls, &x->run, err);
    if (rc) return rc;
    if (x->verbose) qd_ingest_trace_set(x->run, told, x);
    qd_json_object(&x->r->w);
    qd_json_key_c(&x->r->w, "docs");
    qd_json_array(&x->r->w);
    for (const qd_json_node *n = docs->first; n && !rc; n = n->next) rc = one(x, n, err);
    if (rc) return rc;
    qd_json_array_end(&x->r->w);
    qd_json_object_end(&x->r->w);
    return 0;
}

int qdi_api_ingest_simulate(qd_request *q, qd_response *r, qd_err *err)
{
    simulation x = {.q = q, .r = r, .s = qd_cluster_state(q->a->cluster)};
    int rc = simulate(&x, err);
    qd_ingest_run_close(x.run);
    qd_ingest_unref(x.p);
    qd_state_unref(x.s);
    return rc;
}
