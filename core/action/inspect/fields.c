/* fields.c: _field_caps and _validate/query. */
#include "action/api/admin_int.h"
#include "action/search/part_int.h"
#include "base/map.h"
#include "base/str.h"
#include "mapping/runtime/runtime.h"
#include "search/tree.h"

/* --- what fields can do --- */

/* A value that `meta` has in some index. */
typedef struct caps_meta {
    struct caps_meta *next; /* by key, then value */
    qd_str key, value;
} caps_meta;

/* A field of one type: in which indices, and with which abilities. */
typedef struct caps {
    struct caps *next; /* another type of the same name */
    const char *type;
    bool searchable, aggregatable, metadata;
    caps_meta *meta;
    uint32_t n; /* indices */
    qd_str *indices;
} caps;

typedef struct capping {
    qd_arena *arena;
    qd_map *names; /* name -> caps */
    uint32_t nindices;
    qd_str index;
    int rc;
    qd_err *err;
} capping;

static int add_caps(capping *c, qd_str name, const char *type, bool searchable, bool aggregatable,
                    bool metadata)
{
    caps *first = qd_map_get(c->names, name), *x = first;
    while (x && strcmp(x->type, type) != 0) x = x->next;
    if (!x) {
        x = qd_arena_calloc(c->arena, sizeof *x);
        qd_str *at = x ? qd_arena_alloc(c->arena, c->nindices * sizeof *at) : NULL;
        if (!at) return qd_err_nomem(c->err, "field capabilities");
        *x = (caps){.next = first,
                    .type = type,
                    .searchable = searchable,
                    .aggregatable = aggregatable,
                    .metadata = metadata,
                    .indices = at};
        if (qd_map_put(c->names, name, x, NULL)) return qd_err_nomem(c->err, "field capabilities");
    }
    x->searchable &= searchable;
    x->aggregatable &= aggregatable;
    if (!x->n || !qd_str_eq(x->indices[x->n - 1], c->index)) x->indices[x->n++] = c->index;
    return 0;
}

static int add_value(capping *c, caps_meta **list, qd_str key, qd_str value)
{
    int order = 1;
    for (; *list; list = &(*list)->next) {
        order = qd_str_cmp((*list)->key, key);
        if (!order) order = qd_str_cmp((*list)->value, value);
        if (order >= 0) break;
    }
    if (*list && !order) return 0;
    caps_meta *x = qd_arena_alloc(c->arena, sizeof *x);
    if (!x) return qd_err_nomem(c->err, "field capabilities");
    *x = (caps_meta){*list, key, value};
    *list = x;
    return 0;
}

/* Values of all indices stand side by side. */
static int add_meta(capping *c, const qd_field *f)
{
    qd_json_node *root;
    qd_str json = qd_field_meta(f), type = qd_str_c(qd_field_family(f));
    caps *x = json.n ? qd_map_get(c->names, f->shown) : NULL;
    while (x && !qd_str_is(type, x->type)) x = x->next;
    int rc = x ? qd_json_parse(c->arena, json, 0, &root, c->err) : 0;
    for (const qd_json_node *n = x && !rc ? root->first : NULL; n && !rc; n = n->next)
        rc = add_value(c, &x->meta, n->key, qd_json_text(n));
    return rc;
}

/* Objects above a field are fields of the type object. */
static int add_objects(capping *c, const qd_field *f)
{
    int rc = 0;
    bool alias = !qd_str_eq(f->name, f->shown);
    if (f->slice.n) return 0; /* a key within a field */
    qd_str name = alias ? f->shown : qd_field_source(f);
    for (size_t i = 0; i < name.n && !rc; i++) {
        if (name.p[i] == '.') {
            rc = add_caps(c, qd_str_sub(name, 0, i), "object", false, false, false);
        }
    }
    return rc;
}

static int on_field(void *arg, const qd_field *f)
{
    capping *c = arg;
    c->rc = add_caps(c, f->shown, qd_field_family(f), f->indexed || f->runtime,
                     qd_field_has_values(f), false);
    if (!c->rc) c->rc = add_meta(c, f);
    if (!c->rc) c->rc = add_objects(c, f);
    return c->rc;
}

static int metadata(capping *c, qd_str pattern)
{
    static const struct {
        const char *name, *type;
        bool searchable, aggregatable;
    } fields[] = {
        {"_id", "_id", true, false},           {"_index", "_index", true, true},
        {"_routing", "_routing", true, false}, {"_source", "_source", false, false},
        {"_seq_no", "_seq_no", true, true},    {"_version", "_version", false, true},
        {"_ignored", "_ignored", true, true},  {"_field_names", "_field_names", true, false},
    };
    int rc = 0;
    for (size_t i = 0; i < QD_COUNT_OF(fields) && !rc; i++) {
        if (!qd_pattern_match(pattern, qd_str_c(fields[i].name))) continue;
        rc = add_caps(c, qd_str_c(fields[i].name), fields[i].type, fields[i].searchable,
                      fields[i].aggregatable, true);
    }
    return rc;
}

/* index_filter: is the index among those of which some shard may have a document for it? */
static bool index_kept(const search_run *x, const qd_index_meta *m)
{
    for (uint32_t i = 0; i < x->nshards; i++) {
        const search_shard *s = &x->shards[i];
        if (!s->skipped && qd_str_eq(s->index->meta->name, m->name)) return true;
    }
    return false;
}

/* Leaves the indices out where nothing can match. */
static int filter_indices(qd_request *q, qd_str filter, qd_resolved *found, qd_err *err)
{
    search_request s;
    search_run x = {0};
    uint32_t options, n = 0;
    qd_str body = qd_arena_printf(q->arena, "{\"query\":%.*s}", QD_STR_ARG(filter));
    if (!body.p) return qd_err_nomem(err, "index_filter");
    qdi_search_request_init(&s, q, q->arena);
    int rc = qd_param_indices_options(q, QD_INDICES_SEARCH, &options, err);
    if (!rc) rc = qdi_search_query_body(&s, body, true, err);
    if (rc) return rc;
    s.size = 0;
    rc = qdi_search_begin(&x, &s, &q->task, qd_param(q, "index"), options, (qd_str){NULL, 0}, err);
    if (!rc) rc = qdi_search_can_match(&x, err);
    for (uint32_t i = 0; i < found->n && !rc; i++)
        if (index_kept(&x, found->at[i])) found->at[n++] = found->at[i];
    if (!rc) found->n = n;
    qdi_search_end(&x);
    return rc;
}

static int body_fields(qd_request *q, qd_str *fields, qd_str *filter, const qd_json_node **runtime,
                       qd_err *err)
{
    qd_json_node *root;
    if (!qd_str_trim(q->body).n) return 0;
    int rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    for (const qd_json_node *m = rc ? NULL : root->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "fields")) {
            qd_buf b;
            qd_buf_init(&b, q->arena->account, 1 << 20);
            for (const qd_json_node *x = m->first; x; x = x->next) {
                if (b.n) (void)qd_buf_char(&b, ',');
                (void)qd_buf_str(&b, qd_json_text(x));
            }
            if (!m->first) (void)qd_buf_str(&b, qd_json_text(m));
            *fields = qd_arena_str(q->arena, qd_buf_view(&b));
            qd_buf_fini(&b);
        } else if (qd_str_is(m->key, "index_filter")) {
            *filter = m->raw;
        } else if (qd_str_is(m->key, "runtime_mappings") && m->type == QD_JSON_T_OBJECT) {
            *runtime = m->n ? m : NULL;
        } else {
            rc = qd_err_set(err, QD_E_XCONTENT, "[field_caps_request] unknown field [%.*s]",
                            QD_STR_ARG(m->key));
        }
    }
    return rc;
}

static void write_meta(const caps_meta *x, qd_json_writer *w)
{
    qd_json_key_c(w, "meta");
    qd_json_object(w);
    while (x) {
        qd_str key = x->key;
        qd_json_key(w, key);
        qd_json_array(w);
        for (; x && qd_str_eq(x->key, key); x = x->next) qd_json_str(w, x->value);
        qd_json_array_end(w);
    }
    qd_json_object_end(w);
}

static void write_caps(const caps *x, bool several, bool elastic, qd_json_writer *w)
{
    qd_json_key_c(w, x->type);
    qd_json_object(w);
    qd_json_field_c(w, "type", x->type);
    if (elastic) qd_json_field_bool(w, "metadata_field", x->metadata);
    qd_json_field_bool(w, "searchable", x->searchable);
    qd_json_field_bool(w, "aggregatable", x->aggregatable);
    if (several) {
        qd_json_key_c(w, "indices");
        qd_json_array(w);
        for (uint32_t i = 0; i < x->n; i++) qd_json_str(w, x->indices[i]);
        qd_json_array_end(w);
    }
    if (x->meta) write_meta(x->meta, w);
    qd_json_object_end(w);
}

/* The fields of an index that a pattern names; a plain name may be a key within one. */
static int match_fields(capping *c, const qd_mapping *m, qd_str pattern)
{
    const qd_field *key = NULL;
    if (qd_str_find(pattern, '*') < 0) c->rc = qd_mapping_find(m, pattern, c->arena, &key, c->err);
    if (!c->rc && key)
        (void)on_field(c, key);
    else if (!c->rc)
        (void)qd_mapping_match(m, pattern, on_field, c);
    return c->rc ? c->rc : metadata(c, pattern);
}

static void drop_mapping(void *arg)
{
    qd_mapping_unref(arg);
}

/* Those of all patterns, with the request's runtime fields. */
static int index_fields(capping *c, const qd_mapping *m, qd_str fields, const qd_json_node *runtime)
{
    qd_mapping *more = NULL;
    int rc = runtime ? qd_mapping_with_runtime(m, runtime, &more, c->err) : 0;
    for (qd_str rest = fields; rest.p && !rc;)
        rc = match_fields(c, more ? more : m, qd_str_trim(qd_str_split(&rest, ',')));
    if (more && qd_arena_on_reset(c->arena, drop_mapping, more)) { /* names are views into it */
        qd_mapping_unref(more);
        return qd_err_nomem(c->err, "field capabilities");
    }
    return rc;
}

int qdi_api_field_caps(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found = {0};
    qd_map names;
    qd_str fields = qd_param(q, "fields");
    qd_str filter = {NULL, 0};
    const qd_json_node *runtime = NULL;
    qdi_identity who;
    qdi_identity_get(q->a, &who);
    bool elastic = !who.opensearch && who.product != QDI_ES7102; /* since 7.13 */
    int rc = body_fields(q, &fields, &filter, &runtime, err);
    if (!rc && !fields.n) {
        rc = qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: no fields specified;");
    }
    if (rc) return rc;
    qd_state *s = qd_cluster_state(q->a->cluster);
    rc = qd_param_indices(q, s, QD_INDICES_SEARCH, &found, err);
    if (!rc && filter.n) rc = filter_indices(q, filter, &found, err);
    qd_map_init(&names, q->a->account);
    capping c = {.arena = q->arena, .names = &names, .nindices = found.n + 1, .err = err};
    for (uint32_t i = 0; i < found.n && !rc; i++) {
        c.index = found.at[i]->name;
        rc = index_fields(&c, found.at[i]->mapping, fields, runtime);
    }
    if (!rc) {
        qd_json_object(&r->w);
        qd_json_key_c(&r->w, "indices");
        qd_json_array(&r->w);
        for (uint32_t i = 0; i < found.n; i++) qd_json_str(&r->w, found.at[i]->name);
        qd_json_array_end(&r->w);
        qd_json_key_c(&r->w, "fields");
        qd_json_object(&r->w);
        size_t pos = 0;
        for (const qd_map_entry *e; (e = qd_map_next(&names, &pos));) {
            const caps *x = e->value;
            qd_json_key(&r->w, e->key);
            qd_json_object(&r->w);
            for (bool several = x->next != NULL; x; x = x->next)
                write_caps(x, several, elastic, &r->w);
            qd_json_object_end(&r->w);
        }
        qd_json_object_end(&r->w);
        qd_json_object_end(&r->w);
    }
    qd_map_fini(&names);
    qd_state_unref(s);
    return rc;
}

/* --- is a query valid? --- */

static void write_explanations(const search_run *x, const qd_err *parse, qd_json_writer *w)
{
    qd_json_key_c(w, "explanations");
    qd_json_array(w);
    for (uint32_t i = 0; i < x->nindices; i++) {
        const search_index *ix = &x->indices[i];
        qd_buf b;
        qd_buf_init(&b, x->a->account, 1 << 20);
        qd_json_object(w);
        qd_json_field_str(w, "index", ix->meta->name);
        qd_json_field_bool(w, "valid", !ix->rc && !parse->code);
        if (ix->rc) {
            qd_json_key_c(w, "error");
            qd_json_printf(w, "%s: %s", qd_err_es_type(&ix->err), qd_err_reason(&ix->err));
        } else {
            (void)!qd_node_describe(ix->query.root, &b);
            qd_json_field_str(w, "explanation", qd_buf_view(&b));
        }
        qd_json_object_end(w);
        qd_buf_fini(&b);
    }
    qd_json_array_end(w);
}

int qdi_api_validate_query(qd_request *q, qd_response *r, qd_err *err)
{
    search_request s;
    search_run x = {0};
    uint32_t options;
    bool explain;
    qd_err why;
    qd_err_init(&why);
    qdi_search_request_init(&s, q, q->arena);
    int rc = qd_param_indices_options(q, QD_INDICES_SEARCH, &options, err);
    if (!rc) rc = qd_param_bool(q, "explain", false, &explain, err);
    if (!rc && qd_param_has(q, "rewrite") && qd_str_is(qd_param(q, "rewrite"), "true")) {
        explain = true;
    }
    if (rc) return rc;
    int bad = qdi_search_query_body(&s, q->body, false, &why);
    if (!bad) bad = qdi_search_param_query(&s, &why);
    s.size = 0;
    if (!bad) {
        rc = qdi_search_begin(&x, &s, &q->task, qd_param(q, "index"), options, (qd_str){NULL, 0},
                              err);
    }
    bool valid = !bad;
    for (uint32_t i = 0; i < x.nindices; i++) valid &= x.indices[i].rc == 0;
    if (!rc) {
        qd_json_object(&r->w);
        qd_shards_write(&r->w, 1, 1, 0);
        qd_json_field_bool(&r->w, "valid", valid);
        if (bad && explain) {
            qd_json_key_c(&r->w, "error");
            qd_json_printf(&r->w, "%s: %s", qd_err_es_type(&why), qd_err_reason(&why));
        } else if (explain) {
            write_explanations(&x, &why, &r->w);
        }
        qd_json_object_end(&r->w);
    }
    if (!bad) qdi_search_end(&x);
    qd_err_fini(&why);
    return rc;
}
