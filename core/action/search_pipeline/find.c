/* find.c: the pipeline of a search. */
#include "action/api/lookup_int.h"
#include "action/search_pipeline/search_pipeline.h"
#include "base/str.h"
#include "cluster/cluster.h"

static const qd_str none = QD_STR("_none");

/* Is there any? A search of many indices looks at their settings only then. */
static bool any_pipeline(const qd_state *s)
{
    uint32_t lo = 0, hi = s->ndocuments;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (qd_str_cmp(s->documents[mid].key, QD_STR(QDI_SEARCH_PIPELINE_KEY)) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->ndocuments &&
           qd_str_starts(s->documents[lo].key, QD_STR(QDI_SEARCH_PIPELINE_KEY));
}

/* The pipeline that all indices have as their own; "_none": they have several, or none; p NULL: out
 * of memory. */
static qd_str of_indices(const qd_state *s, qd_arena *a, qd_str expression, uint32_t options)
{
    qd_resolved found;
    qd_str id = none;
    qd_err ignored; /* the search itself tells it */
    const qd_index_meta *one = qd_state_index(s, expression);
    if (one) {
        qd_str own = qd_values_text(one->values, QD_IX_SEARCH_PIPELINE);
        return qd_str_eq(own, none) ? none : qd_arena_str(a, own);
    }
    if (!expression.n || !any_pipeline(s)) return none;
    qd_err_init(&ignored);
    int rc = qd_state_resolve(s, expression, options, a, &found, &ignored);
    qd_err_fini(&ignored);
    for (uint32_t i = 0; i < (rc ? 0 : found.n); i++) {
        qd_str own = qd_values_text(found.at[i]->values, QD_IX_SEARCH_PIPELINE);
        if (qd_str_eq(own, none)) continue;
        if (!qd_str_eq(id, none) && !qd_str_eq(id, own)) return none;
        if (!(id = qd_arena_str(a, own)).p) return id;
    }
    return id;
}

static int stored(const qd_state *s, qd_arena *a, qd_str id, search_pipeline **out, qd_err *err)
{
    qd_json_node *root;
    qd_str key = qd_arena_printf(a, QDI_SEARCH_PIPELINE_KEY "%.*s", QD_STR_ARG(id));
    if (!key.p) return qd_err_nomem(err, "search pipeline");
    const qd_state_document_record *d = qd_state_document(s, key);
    if (!d) return qd_err_set(err, QD_E_ARG, "Pipeline %.*s is not defined", QD_STR_ARG(id));
    qd_str text = qd_arena_str(a, d->value);
    int rc = text.p ? qd_json_parse(a, text, 0, &root, err) : qd_err_nomem(err, "search pipeline");
    return rc ? rc : qdi_search_pipeline_compile(a, id, root, out, err);
}

/* "search_pipeline" of the body, NULL. */
static int given(qd_arena *a, qd_str body, const qd_json_node **out, qd_err *err)
{
    qd_json_node *root;
    if (qd_str_find_str(body, QD_STR("\"search_pipeline\"")) < 0) return 0;
    int rc = qd_json_parse(a, body, 0, &root, err);
    if (!rc) *out = qd_json_get(root, "search_pipeline");
    return rc;
}

int qdi_search_pipeline_find(const qd_request *q, qd_arena *a, qd_str expression, uint32_t options,
                             qd_str body, search_pipeline **out, qd_err *err)
{
    const qd_json_node *own = NULL;
    qd_str id = qd_param(q, "search_pipeline");
    *out = NULL;
    int rc = given(a, body, &own, err);
    if (rc) return rc;
    if (own && own->type == QD_JSON_T_OBJECT) {
        if (id.n)
            return qd_err_set(err, QD_E_ARG,
                              "Both named and inline search pipeline were specified. Please only "
                              "specify one.");
        return qdi_search_pipeline_compile(a, QD_STR("_ad_hoc_pipeline"), own, out, err);
    }
    if (own && own->type != QD_JSON_T_STRING)
        return qd_err_set(err, QD_E_PARSE, "[search_pipeline] is the id of a pipeline, or one");
    if (!id.n && own) id = own->text;
    qd_state *s = qd_cluster_state(q->a->cluster);
    if (!id.n) id = of_indices(s, a, expression, options);
    if (!id.p)
        rc = qd_err_nomem(err, "search pipeline");
    else if (!qd_str_eq(id, none))
        rc = stored(s, a, id, out, err);
    qd_state_unref(s);
    return rc;
}
