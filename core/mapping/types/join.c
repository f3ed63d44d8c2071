/*
 * join.c: parents and children among the documents of an index. The field holds the name of a
 * document's relation as a keyword; the ids stand in a field beside it for each parent (join.h), so
 * that queries and aggregations join documents by terms and columns that any keyword has.
 */
#include "mapping/join.h"
#include "base/features.h"
#include "mapping/types/term_int.h"

#define NAMES_MAX 1024u /* of a field's relations: they are looked for one by one */

static const param_row params[] = {
    {"eager_global_ordinals", PARAM_EAGER, KIND_BOOL, UPDATE_FREE_SHOWN, "true"},
    {"relations", PARAM_RELATIONS, KIND_ANY, UPDATE_CHECKED, "{}"},
};

const qd_join *qd_mapping_join(const qd_mapping *m)
{
    return m->join ? m->join->join : NULL;
}

const qd_join_relation *qd_join_of_parent(const qd_join *j, qd_str name)
{
    for (uint32_t i = 0; i < j->n; i++)
        if (qd_str_eq(j->relations[i].parent, name)) return &j->relations[i];
    return NULL;
}

const qd_join_relation *qd_join_of_child(const qd_join *j, qd_str name)
{
    for (uint32_t i = 0; i < j->n; i++)
        for (uint32_t k = 0; k < j->relations[i].n; k++)
            if (qd_str_eq(j->relations[i].children[k], name)) return &j->relations[i];
    return NULL;
}

/* --- the definition --------------------------------------------------------------------------- */

static const struct qd_field_type ids_row;

static int count_names(const qd_json_node *root, qd_err *err)
{
    uint64_t n = root->n;
    for (const qd_json_node *m = root->first; m; m = m->next)
        n += m->type == QD_JSON_T_ARRAY ? m->n : 1;
    return n <= NAMES_MAX
               ? 0
               : qd_err_set(err, QD_E_ARG, "[relations] of a join field hold at most [%u] names",
                            NAMES_MAX);
}

static int bad_name(const qd_json_node *n, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "[relations] must hold names of children, got [%.*s]",
                      QD_STR_ARG(n->raw));
}

/* The names of one relation: one, or a list, of which a name that comes again is left out. */
static int read_children(const qd_join *j, qd_join_relation *to, const qd_json_node *n,
                         qd_arena *arena, qd_err *err)
{
    bool list = n->type == QD_JSON_T_ARRAY;
    qd_str *names = qd_arena_alloc(arena, (list ? n->n + 1ul : 1) * sizeof *names);
    if (!names) return qd_err_nomem(err, "mapping");
    to->children = names;
    for (const qd_json_node *c = list ? n->first : n; c; c = list ? c->next : NULL) {
        qd_str name = qd_json_text(c);
        if (!name.p) return bad_name(c, err);
        const qd_join_relation *had = qd_join_of_child(j, name);
        if (had == to) continue;
        if (had)
            return qd_err_set(err, QD_E_ARG, "[%.*s] cannot have multiple parents",
                              QD_STR_ARG(name));
        if (qd_str_eq(name, to->parent))
            return qd_err_set(err, QD_E_ARG, "[%.*s] cannot be its own parent", QD_STR_ARG(name));
        names[to->n++] = name;
    }
    return 0;
}

/* The relations that a definition holds, without their fields. */
static int read_relations(const qd_field_def *def, qd_arena *arena, qd_join *j, qd_err *err)
{
    const param_value *v = qdi_param(def, PARAM_RELATIONS);
    qd_json_node *root = NULL;
    *j = (qd_join){0};
    if (!v) return 0;
    int rc = qd_json_parse(arena, v->json, 0, &root, err);
    if (rc) return rc;
    if (root->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_ES_PARSE, "relations should be a hash but was: [%.*s]",
                          QD_STR_ARG(root->raw));
    rc = count_names(root, err);
    if (rc) return rc;
    qd_join_relation *list = qd_arena_calloc(arena, (root->n + 1ul) * sizeof *list);
    if (!list) return qd_err_nomem(err, "mapping");
    j->relations = list;
    for (const qd_json_node *m = root->first; m && !rc; m = m->next) {
        if (qd_join_of_parent(j, m->key))
            return qd_err_set(err, QD_E_ARG, "[relations] has the parent [%.*s] twice",
                              QD_STR_ARG(m->key));
        qd_join_relation *to = &list[j->n++];
        to->parent = m->key;
        rc = read_children(j, to, m, arena, err);
    }
    return rc;
}

static int add_ids(field_builder *b, qd_field *f, qd_join_relation *r, qd_err *err)
{
    qd_field *ids = qdi_field_beside(
        b, f, &ids_row,
        qd_arena_printf(b->arena, "%.*s#%.*s", QD_STR_ARG(f->name), QD_STR_ARG(r->parent)));
    if (!ids) return qd_err_nomem(err, "mapping");
    ids->indexed = ids->doc_values = true;
    ids->index_options = QD_INDEX_OPT_DOCS;
    ids->eager_global_ordinals = f->eager_global_ordinals;
    ids->exists_by = QD_EXISTS_COLUMN;
    r->ids = ids;
    return 0;
}

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    qd_join *j = qd_arena_calloc(b->arena, sizeof *j);
    if (!j) return qd_err_nomem(err, "mapping");
    if (f->name.n != f->leaf.n)
        return qd_err_set(err, QD_E_ARG,
                          "join field [%.*s] cannot be added inside an object or in a multi-field",
                          QD_STR_ARG(f->name));
    int rc = read_relations(f->def, b->arena, j, err);
    for (uint32_t i = 0; i < j->n && !rc; i++)
        rc = add_ids(b, f, (qd_join_relation *)&j->relations[i], err); /* not shared yet */
    j->field = f;
    f->join = j;
    f->indexed = f->doc_values = true;
    f->index_options = QD_INDEX_OPT_DOCS;
    f->ignore_malformed = false; /* the index's setting is not for relations */
    return rc;
}

/* --- changes of it ---------------------------------------------------------------------------- */

static void conflict(qd_buf *to, const char *what, qd_str name, const char *why)
{
    (void)qd_buf_c(to, "\n\tConflict in parameter [relations]: ");
    (void)qd_buf_c(to, what);
    (void)qd_buf_c(to, " [");
    (void)qd_buf_str(to, name);
    (void)qd_buf_c(to, "]");
    (void)qd_buf_c(to, why);
}

/* What is there stays, as documents refer to it; nor does a name become another's parent or child
 * whose documents lack the ids. */
static void compare(const qd_join *old, const qd_join *now, qd_buf *to)
{
    for (uint32_t i = 0; i < old->n; i++) {
        const qd_join_relation *o = &old->relations[i], *n = qd_join_of_parent(now, o->parent);
        if (!n) conflict(to, "Cannot remove parent", o->parent, "");
        for (uint32_t k = 0; k < o->n; k++)
            if (!n || qd_join_of_child(now, o->children[k]) != n)
                conflict(to, "Cannot remove child", o->children[k], "");
    }
    for (uint32_t i = 0; i < now->n; i++) {
        const qd_join_relation *n = &now->relations[i];
        if (!qd_join_of_parent(old, n->parent) && qd_join_of_child(old, n->parent))
            conflict(to, "Cannot create parent", n->parent, " from an existing child");
        for (uint32_t k = 0; k < n->n; k++)
            if (!qd_join_of_child(old, n->children[k]) && qd_join_of_parent(old, n->children[k]))
                conflict(to, "Cannot create child", n->children[k], " from an existing parent");
    }
}

static qd_str against(qd_arena *a, const qd_field_def *old, const qd_field_def *now)
{
    qd_join before, after;
    qd_buf b;
    qd_str out = {NULL, 0};
    qd_buf_init(&b, a->account, 1 << 20);
    /* what cannot be read is told where the merged mapping is made */
    if (!read_relations(old, a, &before, NULL) && !read_relations(now, a, &after, NULL))
        compare(&before, &after, &b);
    if (!qd_buf_status(&b)) out = qd_arena_str(a, qd_buf_view(&b));
    qd_buf_fini(&b);
    return out;
}

/* --- documents -------------------------------------------------------------------------------- */

typedef struct place {
    qd_str name, parent; /* p NULL: not given */
} place;

static int unknown_member(const qd_field *f, qd_str key, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "unknown field name [%.*s] in join field [%.*s]",
                      QD_STR_ARG(key), QD_STR_ARG(f->name));
}

static int keep(doc *d, qd_str text, qd_str *out, qd_err *err)
{
    *out = qd_arena_str(&d->arena, text);
    return out->p ? 0 : qd_err_nomem(err, "values of a document");
}

static int read_member(doc *d, const qd_field *f, place *p, qd_err *err)
{
    qd_str key;
    int rc = keep(d, d->r.text, &key, err);
    if (rc) return rc;
    qd_json_event ev = qd_json_next(&d->r);
    if (ev < 0) return qd_json_fail(&d->r, err);
    if (qd_str_is(key, "parent") && (ev == QD_JSON_STRING || ev == QD_JSON_NUMBER))
        return keep(d, qdi_doc_text(d), &p->parent, err);
    if (qd_str_is(key, "name") && ev == QD_JSON_STRING)
        return keep(d, qdi_doc_text(d), &p->name, err);
    return unknown_member(f, key, err);
}

static int read_place(doc *d, const qd_field *f, place *p, qd_err *err)
{
    if (d->r.event == QD_JSON_STRING) return keep(d, qdi_doc_text(d), &p->name, err);
    if (d->r.event != QD_JSON_OBJECT)
        return qd_err_set(err, QD_E_STATE,
                          "[%.*s] expected START_OBJECT or VALUE_STRING but was: %s",
                          QD_STR_ARG(f->name), qd_json_event_name(d->r.event));
    for (;;) {
        qd_json_event ev = qd_json_next(&d->r);
        if (ev < 0) return qd_json_fail(&d->r, err);
        if (ev == QD_JSON_OBJECT_END) return 0;
        int rc = read_member(d, f, p, err);
        if (rc) return rc;
    }
}

static int add_id(doc *d, const qd_join_relation *r, qd_str id, qd_err *err)
{
    return id.n > QDI_TERM_MAX ? qdi_term_immense(r->ids, id, err)
                               : qdi_doc_str(d, r->ids, id, err);
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    const qd_join *j = f->join;
    place p = {{NULL, 0}, {NULL, 0}};
    int rc = read_place(d, f, &p, err);
    if (rc) return rc;
    if (!p.name.p)
        return qd_err_set(err, QD_E_ARG, "null join name in field [%.*s]", QD_STR_ARG(f->name));
    const qd_join_relation *above = qd_join_of_child(j, p.name),
                           *below = qd_join_of_parent(j, p.name);
    if (!above && !below)
        return qd_err_set(err, QD_E_ARG, "unknown join name [%.*s] for field [%.*s]",
                          QD_STR_ARG(p.name), QD_STR_ARG(f->name));
    if (above && !p.parent.p)
        return qd_err_set(err, QD_E_ARG, "[parent] is missing for join field [%.*s]",
                          QD_STR_ARG(f->name));
    if (above && !d->has_routing)
        return qd_err_set(err, QD_E_ARG, "[routing] is missing for join field [%.*s]",
                          QD_STR_ARG(f->name));
    const doc_field *had = &d->fields.at[f->id];
    if (had->gen == d->gen && had->n)
        return qd_err_set(err, QD_E_ARG, "join field [%.*s] has more than one value",
                          QD_STR_ARG(f->name));
    rc = qdi_doc_str(d, f, p.name, err);
    if (!rc && below) rc = add_id(d, below, d->id, err);
    if (!rc && above) rc = add_id(d, above, p.parent, err);
    return rc;
}

/* The ids come from the join field alone. */
static int ids_value(doc *d, const qd_field *f, qd_err *err)
{
    (void)d;
    return qd_err_set(err, QD_E_ARG, "Field [%.*s] is defined by a join field and takes no values",
                      QD_STR_ARG(f->name));
}

/* --- requests --------------------------------------------------------------------------------- */

/* {"name": …, "parent": …} as its name. */
static int show(const qd_field *f, const qd_json_node *n, const qd_date_format *format,
                qd_json_writer *w)
{
    (void)f;
    (void)format;
    qd_str name = qd_json_text(qd_json_get(n, "name"));
    if (!name.p) return 1;
    qd_json_str(w, name);
    return 0;
}

#define REQUESTS .term = qdi_term_term, .range = qdi_term_range, .shown = qdi_term_shown

const struct qd_field_type qdi_type_join = {
    .value_class = QD_VALUE_TERM,
    .name = "join",
    .level = QD_FEATURES_TYPES_0_2,
    .plain = true,
    .whole = true,
    .takes_null = true,
    .params = params,
    .nparams = QD_COUNT_OF(params),
    .finish = finish,
    .against = against,
    .value = value,
    .show = show,
    REQUESTS,
};

static const struct qd_field_type ids_row = {
    .value_class = QD_VALUE_TERM,
    .name = "parent",
    .level = QD_FEATURES_TYPES_0_2,
    .value = ids_value,
    REQUESTS,
};
