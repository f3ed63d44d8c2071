/* templates_streams.c: templates that make data streams, and the streams that need them. */
#include "action/indices/templates_int.h"
#include "base/str.h"
#include "config/value.h"

/* The stream that a document of the state is; false: it is none. */
static bool stream_of(const qd_state_document_record *d, qd_str *name)
{
    if (!qd_str_starts(d->key, QD_STR(QD_STREAM_KEY))) return false;
    *name = qd_str_sub(d->key, sizeof QD_STREAM_KEY - 1, d->key.n);
    return true;
}

static int add_name(qd_arena *a, qd_str name, qd_str *names, qd_err *err)
{
    *names = qd_arena_printf(a, "%.*s%s%.*s", QD_STR_ARG(*names), names->n ? ", " : "",
                             QD_STR_ARG(name));
    return names->p ? 0 : qd_err_nomem(err, "data streams");
}

int qdi_template_streams(const qd_state *s, qd_arena *a, qd_str name, qd_str *streams, qd_err *err)
{
    int rc = 0;
    *streams = (qd_str){NULL, 0};
    for (uint32_t i = 0; i < s->ndocuments && !rc; i++) {
        const qd_json_node *t;
        qd_str stream, best = {NULL, 0};
        if (!stream_of(&s->documents[i], &stream)) continue;
        rc = qdi_template_best(s, a, stream, &best, &t, err);
        if (!rc && t && qd_str_eq(best, name)) rc = add_name(a, stream, streams, err);
    }
    return rc;
}

/* "data_stream": {"hidden": …}; OpenSearch's has the name of the timestamp's field. */
static int check_options(const qd_json_node *o, qd_err *err)
{
    if (o->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_XCONTENT, "[data_stream_template] must be an object");
    for (const qd_json_node *m = o->first; m; m = m->next) {
        bool flag = m->type == QD_JSON_T_BOOL;
        if (qd_str_is(m->key, "hidden") && flag) continue;
        if (qd_str_is(m->key, "allow_custom_routing") && flag && !m->truth) continue;
        if (qd_str_is(m->key, "failure_store") && flag && !m->truth) continue;
        if (qd_str_is(m->key, "timestamp_field")) {
            const qd_json_node *name = qd_json_get(m, "name");
            if (name && qd_str_is(qd_json_text(name), "@timestamp")) continue;
            return qd_err_set(err, QD_E_ARG,
                              "[data_stream] [timestamp_field] can only be [@timestamp]");
        }
        return qd_err_set(err, QD_E_ARG,
                          "[data_stream] [%.*s: %.*s] is not supported by this "
                          "version",
                          QD_STR_ARG(m->key), QD_STR_ARG(m->raw));
    }
    return 0;
}

static int64_t priority_of(const qd_json_node *t)
{
    int64_t v = 0;
    const qd_json_node *n = qd_json_get(t, "priority");
    return n && qd_str_i64(qd_json_text(n), &v) ? v : 0;
}

/* Would the stream have no template for data streams any more, with this one in place of what has
 * its name? */
static int is_orphaned(qd_request *q, const qd_state *s, qd_str stream, qd_str name,
                       const qd_json_node *now, bool *out, qd_err *err)
{
    int64_t best = -1;
    bool streams = false;
    *out = false;
    for (uint32_t i = 0; i <= s->ndocuments; i++) {
        qd_json_node *root = NULL;
        const qd_json_node *t = now;
        qd_str other;
        if (i < s->ndocuments) {
            if (!qdi_template_is(TEMPLATE_COMPOSABLE, s->documents[i].key, &other)) continue;
            if (qd_str_eq(other, name)) continue;
            int rc = qdi_template_parse(q->arena, &s->documents[i], &root, err);
            if (rc) return rc;
            t = root;
        }
        if (!qdi_template_matches(t, stream) || priority_of(t) <= best) continue;
        best = priority_of(t);
        streams = qd_json_get(t, "data_stream") != NULL;
    }
    *out = !streams;
    return 0;
}

static int check_streams(qd_request *q, const qd_state *s, qd_str name, const qd_json_node *now,
                         qd_err *err)
{
    qd_str lost = {NULL, 0};
    int rc = 0;
    for (uint32_t i = 0; i < s->ndocuments && !rc; i++) {
        qd_str stream;
        bool orphaned = false;
        const qd_json_node *had;
        if (!stream_of(&s->documents[i], &stream)) continue;
        rc = qdi_template_best(s, q->arena, stream, NULL, &had, err);
        if (!rc && had && qd_json_get(had, "data_stream"))
            rc = is_orphaned(q, s, stream, name, now, &orphaned, err);
        if (!rc && orphaned) rc = add_name(q->arena, stream, &lost, err);
    }
    if (rc || !lost.n) return rc;
    return qd_err_set(err, QD_E_ARG,
                      "composable template [%.*s] would cause data streams [%.*s] to no longer "
                      "match a data stream template",
                      QD_STR_ARG(name), QD_STR_ARG(lost));
}

int qdi_template_stream_check(qd_request *q, qd_str name, const qd_json_node *t, qd_err *err)
{
    const qd_json_node *options = qd_json_get(t, "data_stream");
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = options ? check_options(options, err) : 0;
    if (!rc && options && s->features < QD_FEATURES_TYPES_0_2) {
        rc = qd_err_set(err, QD_E_ARG,
                        "data streams need level %u of the cluster's formats; they are of level "
                        "%u: POST _cluster/upgrade/finalize when all nodes run this version",
                        QD_FEATURES_TYPES_0_2, s->features);
    }
    if (!rc) rc = check_streams(q, s, name, t, err);
    qd_state_unref(s);
    return rc;
}

int qdi_stream_lifecycle_check(const qd_json_node *n, qd_err *err)
{
    int64_t ns;
    if (n->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_XCONTENT, "[lifecycle] must be an object");
    for (const qd_json_node *m = n->first; m; m = m->next) {
        int rc = 0;
        if (qd_str_is(m->key, "data_retention") && m->type == QD_JSON_T_STRING)
            rc = qd_value_time(m->text, "data_retention", &ns, err);
        else if (!(qd_str_is(m->key, "enabled") && m->type == QD_JSON_T_BOOL) &&
                 !(qd_str_is(m->key, "data_retention") && m->type == QD_JSON_T_NULL))
            rc = qd_err_set(err, QD_E_ARG, "[lifecycle] [%.*s] is not supported by this version",
                            QD_STR_ARG(m->key));
        if (rc) return rc;
    }
    return 0;
}
