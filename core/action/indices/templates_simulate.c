/*
 * templates_simulate.c: what an index would begin with: of a name, or by a template that is stored
 * or given with the request; and which other templates have a word there.
 */
#include "action/indices/indices_int.h"
#include "action/indices/templates_int.h"
#include "base/str.h"

#define PATTERN_MAX 256u

/* Is there a name that both patterns (with `*`) match? O(n.m) */
static bool overlap(qd_str a, qd_str b)
{
    bool row[PATTERN_MAX + 1] = {true};
    if (a.n > PATTERN_MAX || b.n > PATTERN_MAX) return true; /* rather told than not */
    for (size_t j = 1; j <= b.n; j++) row[j] = row[j - 1] && b.p[j - 1] == '*';
    for (size_t i = 1; i <= a.n; i++) {
        bool diagonal = row[0];
        row[0] = row[0] && a.p[i - 1] == '*';
        for (size_t j = 1; j <= b.n; j++) {
            bool above = row[j], left = row[j - 1];
            char x = a.p[i - 1], y = b.p[j - 1];
            row[j] = x == '*' || y == '*' ? above || left || diagonal : diagonal && x == y;
            diagonal = above;
        }
    }
    return row[b.n];
}

static bool patterns_overlap(const qd_json_node *t, const qd_json_node *other)
{
    const qd_json_node *a = qd_json_get(t, "index_patterns"),
                       *b = qd_json_get(other, "index_patterns");
    for (const qd_json_node *x = a ? a->first : NULL; x; x = x->next)
        for (const qd_json_node *y = b ? b->first : NULL; y; y = y->next)
            if (overlap(qd_json_text(x), qd_json_text(y))) return true;
    return false;
}

/* The others: those that match the name, or have patterns in common with the template. */
static int write_others(qd_request *q, const qd_state *s, const qd_json_node *winner, qd_str own,
                        qd_str index, qd_json_writer *w, qd_err *err)
{
    static const template_kind kinds[] = {TEMPLATE_LEGACY, TEMPLATE_COMPOSABLE};
    int rc = 0;
    qd_json_key_c(w, "overlapping");
    qd_json_array(w);
    for (size_t k = 0; k < QD_COUNT_OF(kinds); k++)
        for (uint32_t i = 0; i < s->ndocuments && !rc; i++) {
            qd_json_node *t;
            qd_str name;
            if (!qdi_template_is(kinds[k], s->documents[i].key, &name)) continue;
            if (kinds[k] == TEMPLATE_COMPOSABLE && qd_str_eq(name, own)) continue;
            rc = qdi_template_parse(q->arena, &s->documents[i], &t, err);
            bool in =
                !rc && (index.n ? qdi_template_matches(t, index) : patterns_overlap(winner, t));
            const qd_json_node *patterns = in ? qd_json_get(t, "index_patterns") : NULL;
            if (!patterns) continue;
            qd_json_object(w);
            qd_json_field_str(w, "name", name);
            qd_json_key_c(w, "index_patterns");
            qd_json_raw_value(w, patterns->raw);
            qd_json_object_end(w);
        }
    qd_json_array_end(w);
    return rc;
}

static void write_aliases(const qd_alias *aliases, uint32_t n, qd_json_writer *w)
{
    qd_json_key_c(w, "aliases");
    qd_json_object(w);
    for (uint32_t i = 0; i < n; i++) qdi_alias_write(&aliases[i], w);
    qd_json_object_end(w);
}

/* "template": what the layers say together. */
static int write_together(qd_request *q, const template_layers *l, qd_json_writer *w, qd_err *err)
{
    qd_settings *settings = NULL;
    qd_alias *aliases = NULL;
    uint32_t naliases = 0;
    bool flat = false;
    qd_str mapping = {NULL, 0};
    int rc = qd_settings_new(NULL, &settings, err);
    if (!rc) rc = qd_settings_seal(settings, err);
    if (!rc) rc = qdi_template_merge(l, q->arena, &settings, &mapping, &aliases, &naliases, err);
    if (!rc) rc = qd_param_bool(q, "flat_settings", false, &flat, err);
    if (!rc) {
        qd_json_key_c(w, "template");
        qd_json_object(w);
        qd_json_key_c(w, "settings");
        qd_settings_write(settings, w, flat, NULL, NULL);
        qd_json_key_c(w, "mappings");
        if (mapping.n)
            qd_json_raw_value(w, mapping);
        else
            qd_json_raw_value(w, QD_STR("{}"));
        write_aliases(aliases, naliases, w);
        qd_json_object_end(w);
    }
    qd_settings_unref(settings);
    return rc;
}

/* The template of the request's body; NULL: it has none. What it would be refused for is told. */
static int body_template(qd_request *q, qd_str name, const qd_json_node **out, qd_err *err)
{
    qd_json_node *root = NULL;
    *out = NULL;
    if (!qd_str_trim(q->body).n) return 0;
    int rc = qdi_template_of_body(q, TEMPLATE_COMPOSABLE, name, &root, err);
    if (!rc) *out = root;
    return rc;
}

static int stored_template(qd_request *q, const qd_state *s, qd_str name, const qd_json_node **out,
                           qd_err *err)
{
    qd_json_node *root = NULL;
    const qd_state_document_record *d =
        qd_state_document(s, qdi_template_key(q->arena, TEMPLATE_COMPOSABLE, name));
    if (!d)
        return qd_err_set(err, QD_E_ARG, "unable to simulate template [%.*s] that does not exist",
                          QD_STR_ARG(name));
    int rc = qdi_template_parse(q->arena, d, &root, err);
    *out = root;
    return rc;
}

static int64_t priority(const qd_json_node *t)
{
    int64_t v = 0;
    const qd_json_node *n = qd_json_get(t, "priority");
    return n && qd_str_i64(qd_json_text(n), &v) ? v : 0;
}

/* The name under which t is stored; empty: it came with the request. */
static qd_str stored_name(qd_request *q, const qd_state *s, const qd_json_node *t)
{
    qd_str name = {NULL, 0};
    for (uint32_t i = 0; i < s->ndocuments; i++) {
        qd_json_node *root;
        if (!qdi_template_is(TEMPLATE_COMPOSABLE, s->documents[i].key, &name)) continue;
        if (!qdi_template_parse(q->arena, &s->documents[i], &root, NULL) &&
            qd_str_eq(root->raw, t->raw))
            return name;
    }
    return (qd_str){NULL, 0};
}

static int answer(qd_request *q, qd_response *r, const qd_state *s, const qd_json_node *t,
                  qd_str name, qd_str index, qd_err *err)
{
    template_layers *l = qd_arena_calloc(q->arena, sizeof *l);
    int rc = l ? qdi_template_layers(s, q->arena, t, l, err) : qd_err_nomem(err, "template");
    if (rc) return rc;
    qd_json_object(&r->w);
    rc = write_together(q, l, &r->w, err);
    if (!rc) rc = write_others(q, s, t, name, index, &r->w, err);
    qd_json_object_end(&r->w);
    return rc;
}

int qdi_api_simulate_template(qd_request *q, qd_response *r, qd_err *err)
{
    const qd_json_node *t;
    qd_str name = qd_param(q, "name");
    int rc = body_template(q, name, &t, err);
    qd_state *s = qd_cluster_state(q->a->cluster);
    if (!rc && !t && !name.n)
        rc = qd_err_set(err, QD_E_VALIDATION,
                        "Validation Failed: 1: either index name or index template body must be "
                        "specified for simulation;");
    if (!rc && !t) rc = stored_template(q, s, name, &t, err);
    if (!rc) rc = answer(q, r, s, t, name, (qd_str){NULL, 0}, err);
    qd_state_unref(s);
    return rc;
}

int qdi_api_simulate_index(qd_request *q, qd_response *r, qd_err *err)
{
    const qd_json_node *t, *best = NULL;
    qd_str index = qd_param(q, "name");
    int rc = body_template(q, index, &t, err);
    qd_state *s = qd_cluster_state(q->a->cluster);
    if (!rc) rc = qdi_template_best(s, q->arena, index, NULL, &best, err);
    bool own =
        !rc && t && qdi_template_matches(t, index) && (!best || priority(t) >= priority(best));
    if (!rc && !own && !best) {
        qd_json_object(&r->w);
        qd_json_object_end(&r->w);
    } else if (!rc) {
        qd_str name = own ? (qd_str){NULL, 0} : stored_name(q, s, best);
        rc = answer(q, r, s, own ? t : best, name, index, err);
    }
    qd_state_unref(s);
    return rc;
}
