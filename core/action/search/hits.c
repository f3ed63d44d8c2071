/* hits.c: the fetch phase: hits of one shard fetched together and written one by one. */
#include "action/api/admin_int.h"
#include "action/search/search_int.h"
#include "base/str.h"
#include "base/vec.h"
#include "engine/document.h"
#include "mapping/doc_stored.h"
#include "mapping/geo_read.h"
#include "mapping/synthetic.h"
#include "search/runtime/runtime.h"
#include <stdio.h>
#include <stdlib.h>

#define ANALYSIS_MAX ((size_t)64 << 20)
#define KEPT_MAX ((size_t)1 << 31)

static void free_analysis(void *arg)
{
    qd_analysis_free(arg);
}

qd_analysis *qdi_hits_analysis(search_hits *h)
{
    if (h->analysis) return h->analysis;
    qd_analysis *made = qd_analysis_make(h->x->a->account, ANALYSIS_MAX);
    if (!made || qd_arena_on_reset(h->arena, free_analysis, made)) return NULL;
    return h->analysis = made;
}

/* --- what to fetch --- */

typedef struct expand {
    search_hits *h;
    const search_field *spec;
    qd_arena *arena;
    uint32_t room;
    int rc;
    qd_err *err;
} expand;

static int add_column(search_hits *h, const qd_field *f, qd_str name, const search_field *spec,
                      uint32_t *room, qd_err *err)
{
    if (h->ncolumns == *room) {
        uint32_t more = *room ? *room * 2 : 8;
        qd_str *names = qd_arena_alloc(h->arena, more * sizeof *names);
        const qd_field **fields = qd_arena_alloc(h->arena, more * sizeof(const qd_field *));
        search_field *specs = qd_arena_alloc(h->arena, more * sizeof *specs);
        if (!names || !fields || !specs) return qd_err_nomem(err, "docvalue_fields");
        for (uint32_t i = 0; i < h->ncolumns; i++) {
            names[i] = h->columns[i];
            fields[i] = h->column_fields[i];
            specs[i] = h->column_specs[i];
        }
        h->columns = names;
        h->column_fields = fields;
        h->column_specs = specs;
        *room = more;
    }
    h->columns[h->ncolumns] = name;
    h->column_fields[h->ncolumns] = f;
    h->column_specs[h->ncolumns++] = *spec;
    return 0;
}

static int expand_field(void *arg, const qd_field *f)
{
    expand *e = arg;
    bool pattern = qd_str_find(e->spec->field, '*') >= 0;
    if (!qd_field_has_values(f)) {
        if (pattern) return 0;
        e->rc = qdi_search_no_values(f, f->name, e->h->index->meta->name, e->err);
        return 1;
    }
    e->rc = add_column(e->h, f, f->name, e->spec, &e->room, e->err);
    return e->rc != 0;
}

int qdi_field_format_check(const search_field *spec, const qd_field *f, bool decimal, qd_err *err)
{
    qd_geo_format geo;
    if (f->value_class == QD_VALUE_GEO)
        return qd_geo_format_of(spec->format, QD_GEO_TEXT, &geo, err);
    bool fixed =
        decimal && f->value_class == QD_VALUE_RANGE; /* intervals of a column have theirs */
    if (!spec->format.n || qd_str_is(spec->format, "use_field_mapping")) return 0;
    if ((f->dates && !fixed) || (decimal && qd_field_is_numeric(f))) return 0;
    return qd_err_set(err, QD_E_ARG, "Field [%.*s] of type [%s] doesn't support formats.",
                      QD_STR_ARG(f->slice.n ? f->leaf : f->name), qd_field_type_name(f));
}

/* "fields" of runtime fields come out of columns, as Elasticsearch shows them. */
static int expand_runtime(void *arg, const qd_field *f)
{
    expand *e = arg;
    search_field spec = *e->spec;
    if (!f->runtime) return 0;
    for (uint32_t i = 0; i < e->h->ncolumns; i++)
        if (e->h->column_fields[i] == f) return 0;
    if (f->value_class == QD_VALUE_GEO && !spec.format.n) spec.format = QD_STR("geojson");
    e->rc = add_column(e->h, f, f->name, &spec, &e->room, e->err);
    return e->rc != 0;
}

static int resolve_columns(search_hits *h, qd_err *err)
{
    expand e = {.h = h, .arena = h->arena, .err = err};
    for (uint32_t i = h->show->nfields; i-- > 0 && !e.rc && qdi_search_has_runtime(h->index);) {
        e.spec = &h->show->fields[i]; /* the last that asks for a name says its format */
        (void)qd_mapping_match(h->index->context.mapping, e.spec->field, expand_runtime, &e);
    }
    for (uint32_t i = 0; i < h->show->ndocvalues && !e.rc; i++) {
        e.spec = &h->show->docvalues[i];
        qd_str name = e.spec->field;
        if (qd_str_is(name, QD_FIELD_NAME_SEQ_NO) || qd_str_is(name, QD_FIELD_NAME_VERSION) ||
            qd_str_is(name, QD_FIELD_NAME_IGNORED)) {
            e.rc = add_column(h, NULL, name, e.spec, &e.room, err);
        } else {
            const qd_field *key = NULL;
            if (qd_str_find(name, '*') < 0)
                e.rc = qd_mapping_find(h->index->context.mapping, name, h->arena, &key, err);
            if (!e.rc && key) e.rc = qdi_field_format_check(e.spec, key, true, err);
            if (!e.rc && key)
                (void)expand_field(&e, key);
            else if (!e.rc)
                (void)qd_mapping_match(h->index->context.mapping, name, expand_field, &e);
        }
    }
    if (!e.rc && !h->show->none) { /* shown beside _routing, not among the fields */
        search_field own = {.field = QD_STR(QD_FIELD_NAME_IGNORED)};
        e.rc = add_column(h, NULL, own.field, &own, &e.room, err);
        h->ncolumns -= !e.rc;
        h->nown = !e.rc;
    }
    if (!e.rc && h->show->nstored && h->nown &&
        qd_mapping_stores_apart(h->index->context.mapping)) {
        h->ncolumns += h->nown; /* behind it */
        search_field own = {.field = QD_STR(QD_FIELD_NAME_STORED)};
        e.rc = add_column(h, NULL, own.field, &own, &e.room, err);
        h->ncolumns -= h->nown + !e.rc;
        h->stored_column = h->ncolumns + h->nown;
        h->nown += !e.rc;
    }
    return e.rc;
}

typedef struct checking {
    const search_field *spec;
    bool columns;
    qd_str index;
    int rc;
    qd_err *err;
} checking;

static int check_field(void *arg, const qd_field *f)
{
    checking *c = arg;
    bool pattern = qd_str_find(c->spec->field, '*') >= 0;
    if (c->columns && !qd_field_has_values(f) && !pattern) {
        c->rc = qdi_search_no_values(f, f->name, c->index, c->err);
    } else if (!pattern) {
        c->rc = qdi_field_format_check(c->spec, f, c->columns, c->err);
    }
    return c->rc != 0;
}

int qdi_hits_check(const search_show *s, const search_index *ix, qd_err *err)
{
    const qd_mapping *m = ix->context.mapping;
    checking c = {.index = ix->meta->name, .err = err};
    for (uint32_t i = 0; i < s->ndocvalues + s->nfields && !c.rc; i++) {
        c.columns = i < s->ndocvalues;
        c.spec = c.columns ? &s->docvalues[i] : &s->fields[i - s->ndocvalues];
        (void)qd_mapping_match(m, c.spec->field, check_field, &c);
    }
    return c.rc;
}

/* Also where the columns of a text field may have to be built. */
static int shown_field(void *arg, const qd_field *f)
{
    const checking *c = arg;
    if (c->columns && f->fielddata) return 1;
    return c->columns ? qd_field_shows_column(f) : qd_field_shows_source(f);
}

bool qdi_hits_call_plugins(const search_show *s, const qd_mapping *m)
{
    bool any = false;
    for (uint32_t i = 0; i < s->ndocvalues + s->nfields && !any; i++) {
        checking c = {.columns = i < s->ndocvalues};
        c.spec = c.columns ? &s->docvalues[i] : &s->fields[i - s->ndocvalues];
        any = qd_mapping_match(m, c.spec->field, shown_field, &c) != 0;
    }
    return any;
}

/* --- named queries --- */

typedef struct place {
    uint32_t doc, at;
} place;

static int by_doc(const void *a, const void *b)
{
    const place *x = a, *y = b;
    return x->doc < y->doc ? -1 : x->doc > y->doc;
}

/* Which hits match a tree; scores may be NULL. */
int qdi_hits_test(search_hits *h, const qd_node *node, uint64_t *matches, float *scores,
                  qd_err *err)
{
    qd_plan *p;
    uint32_t n = h->n;
    qd_plan_options o = qdi_search_plan_options(h->x, h->index, h->budget);
    o.no_scores = !scores;
    place *at = qd_arena_alloc(h->arena, (n + 1) * sizeof *at);
    uint32_t *docs = qd_arena_alloc(h->arena, (n + 1) * sizeof *docs);
    uint64_t *bits = qd_arena_calloc(h->arena, ((size_t)n + 63) / 64 * 8 + 8);
    float *found = scores ? qd_arena_calloc(h->arena, (n + 1) * sizeof *found) : NULL;
    if (!at || !docs || !bits || (scores && !found)) return qd_err_nomem(err, "named queries");
    for (uint32_t i = 0; i < n; i++) at[i] = (place){h->hits[i].doc, i};
    qsort(at, n, sizeof *at, by_doc);
    for (uint32_t i = 0; i < n; i++) docs[i] = at[i].doc;
    int rc = qd_plan_make(h->searcher, node, &o, h->arena, &p, err);
    if (!rc) rc = qd_plan_test(p, docs, n, bits, found, err);
    for (uint32_t i = 0; i < n && !rc; i++) {
        if (!(bits[i >> 6] >> (i & 63) & 1)) continue;
        matches[at[i].at >> 6] |= 1ull << (at[i].at & 63);
        if (scores) scores[at[i].at] = found[i];
    }
    return rc;
}

static int fetch_matched(search_hits *h, qd_err *err)
{
    uint32_t named = h->index->query.nnamed;
    size_t words = ((size_t)h->n + 63) / 64;
    if (!named) return 0;
    h->matched = qd_arena_calloc(h->arena, named * words * 8 + 8);
    h->matched_scores = qd_arena_calloc(h->arena, ((size_t)named * h->n + 1) * sizeof(float));
    if (!h->matched || !h->matched_scores) return qd_err_nomem(err, "named queries");
    int rc = 0;
    for (uint32_t k = 0; k < named && !rc; k++) {
        if (qd_task_cancelled(h->task)) return qd_task_check(h->task, err);
        float *scores = h->show->named_scores ? h->matched_scores + (size_t)k * h->n : NULL;
        const qd_node *node = qdi_search_knn_shown(h, h->index->query.named[k].node);
        rc = node ? qdi_hits_test(h, node, h->matched + k * words, scores, err)
                  : qd_err_nomem(err, "named queries");
    }
    return rc;
}

static bool source_wanted(const search_show *s)
{
    if (s->none || !s->source.want) return false;
    if (s->nscripts && !s->source_given && !s->stored) return false;
    if (!s->stored || s->source_given) return true;
    for (uint32_t i = 0; i < s->nstored; i++) {
        if (qd_str_is(s->stored_fields[i], "_source")) return true;
    }
    return false;
}

/* For _stats; h->x is NULL where no request stands behind the hits. */
static void count_fetch(const search_hits *h, uint64_t begun)
{
    if (!h->x) return;
    qd_shard *shard = qd_shards_get(h->x->a->shards, h->index->meta->uuid, h->shard);
    if (!shard) return;
    qd_shard_counts *c = qd_shard_counts_of(shard);
    atomic_fetch_add(&c->fetch_total, 1);
    uint64_t took = qd_env_mono_ns(h->x->a->env) - begun;
    atomic_fetch_add(&c->fetch_ns, took);
    qdi_slow_fetch(h->x, h->index->meta, h->shard, h->n, took);
    qd_shard_unref(shard);
}

/* Which of the columns are in memory; *out NULL: none. */
static int columns_in_memory(search_hits *h, const qd_field *const **out, qd_err *err)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < h->ncolumns; i++)
        n += h->column_fields[i] && h->column_fields[i]->fielddata;
    if (!n) return 0;
    const qd_field **at = qd_arena_calloc(h->arena, (h->ncolumns + h->nown) * sizeof(qd_field *));
    if (!at) return qd_err_nomem(err, "docvalue_fields");
    for (uint32_t i = 0; i < h->ncolumns; i++)
        if (h->column_fields[i] && h->column_fields[i]->fielddata) at[i] = h->column_fields[i];
    *out = at;
    return 0;
}

/* Sources are made by a mapping that has the fields of all documents that are searched: not by that
 * of the request's beginning. *state (may be NULL) keeps it. */
static const qd_mapping *newest_mapping(const search_hits *h, qd_state **state)
{
    const qd_index_meta *m = h->index->meta;
    *state = h->x && qd_mapping_synthetic(m->mapping) ? qd_cluster_state(h->x->a->cluster) : NULL;
    const qd_index_meta *now = *state ? qd_state_index_uuid(*state, qd_str_c(m->uuid)) : NULL;
    return now ? now->mapping : m->mapping;
}

int qdi_hits_fetch(search_hits *h, qd_err *err)
{
    const search_show *s = h->show;
    uint32_t *docs = qd_arena_alloc(h->arena, (h->n + 1) * sizeof *docs);
    h->got = qd_arena_alloc(h->arena, (h->n + 1) * sizeof *h->got);
    if (!docs || !h->got) return qd_err_nomem(err, "hits");
    for (uint32_t i = 0; i < h->n; i++) docs[i] = h->hits[i].doc;
    uint64_t begun = h->x ? qd_env_mono_ns(h->x->a->env) : 0;
    int rc = qdi_hits_narrow(h, docs, err);
    qd_runtime_task(h->searcher, h->task);
    if (!rc) rc = resolve_columns(h, err);
    qd_state *state;
    qd_fetch_options o = {
        .source = source_wanted(s) || s->nfields || s->highlight || s->nstored ||
                  qdi_script_fields_read_source(s),
        .version = s->version,
        .seq_no = s->seq_no,
        .id = !s->none,
        .routing = !s->none,
        .columns = h->columns,
        .ncolumns = h->ncolumns + h->nown,
        .mapping = newest_mapping(h, &state),
    };
    if (!rc) rc = columns_in_memory(h, &o.fielddata, err);
    if (!rc && h->level)
        rc = qdi_nested_fetch(h, &o, err);
    else if (!rc)
        rc = qd_fetch(h->searcher, docs, h->n, &o, h->arena, h->got, err);
    qd_state_unref(state);
    if (!rc) count_fetch(h, begun);
    if (!rc) rc = fetch_matched(h, err);
    if (!rc) rc = qd_runtime_status(h->searcher, err);
    qd_runtime_task(h->searcher, NULL);
    return rc;
}

/* --- sources without the values of fields of vectors (exclude_vectors) --- */

typedef struct vector_names {
    QD_VEC(qd_str) list;
    qd_account *account;
} vector_names;

static int add_vector(void *arg, const qd_field *f)
{
    vector_names *n = arg;
    if (!f->vectors || f->parent) return 0;
    return qd_vec_push(&n->list, n->account, f->name);
}

/* Made once for the hits of a shard; *out NULL: the index has no vectors. */
static int without_vectors(search_hits *h, qd_json_filter **out, qd_err *err)
{
    vector_names n = {.account = h->x->a->account};
    *out = h->no_vectors;
    if (h->vectors_known) return 0;
    int rc = qd_mapping_match(h->index->context.mapping, QD_STR("*"), add_vector, &n);
    if (rc) rc = qd_err_nomem(err, "source filter");
    if (!rc && n.list.n)
        rc = qd_json_filter_make(h->arena, NULL, 0, n.list.at, n.list.n, QD_JSON_FILTER_SOURCE,
                                 &h->no_vectors, err);
    qd_vec_fini(&n.list);
    h->vectors_known = !rc;
    *out = h->no_vectors;
    return rc;
}

int qdi_hits_source_write(search_hits *h, qd_str source, qd_json_writer *w, qd_err *err)
{
    const doc_source *s = &h->show->source;
    qd_json_filter *filter = NULL;
    qd_buf kept;
    int rc = s->no_vectors ? without_vectors(h, &filter, err) : 0;
    if (rc || !filter) return rc ? rc : qdi_source_write(s, source, w, err);
    qd_buf_init(&kept, h->x->a->account, KEPT_MAX);
    rc = qd_json_filter_apply(filter, source, false, &kept, err);
    if (!rc) rc = qdi_source_write(s, qd_buf_view(&kept), w, err);
    qd_buf_fini(&kept);
    return rc;
}

/* --- one hit --- */

static void write_matched(const search_hits *h, uint32_t i, qd_json_writer *w)
{
    size_t words = ((size_t)h->n + 63) / 64;
    bool open = false;
    for (uint32_t k = 0; k < h->index->query.nnamed; k++) {
        if (!(h->matched[k * words + (i >> 6)] >> (i & 63) & 1)) continue;
        if (!open) {
            open = true;
            qd_json_key_c(w, "matched_queries");
            if (h->show->named_scores) {
                qd_json_object(w);
            } else {
                qd_json_array(w);
            }
        }
        qd_str name = h->index->query.named[k].name;
        if (h->show->named_scores) {
            qd_json_key(w, name);
            qd_json_float(w, h->matched_scores[(size_t)k * h->n + i]);
        } else {
            qd_json_str(w, name);
        }
    }
    if (!open) return;
    if (h->show->named_scores) {
        qd_json_object_end(w);
    } else {
        qd_json_array_end(w);
    }
}

static void write_ignored(const search_hits *h, uint32_t i, qd_json_writer *w)
{
    if (!h->nown) return;
    const qd_fetch_values *v = &h->got[i].columns[h->ncolumns];
    if (!v->n || !v->bytes) return;
    qd_json_key_c(w, QD_FIELD_NAME_IGNORED);
    qd_json_array(w);
    for (uint32_t k = 0; k < v->n; k++) qd_json_str(w, v->bytes[k]);
    qd_json_array_end(w);
}

int qdi_hit_write(search_hits *h, uint32_t i, qd_json_writer *w, qd_err *err)
{
    const search_show *s = h->show;
    const qd_fetched *g = &h->got[i];
    qd_actions *a = h->x->a;
    int rc = 0;
    qd_json_object(w);
    if (s->explain) {
        qd_json_key_c(w, "_shard");
        qd_json_printf(w, "[%.*s][%u]", QD_STR_ARG(h->index->meta->name), h->shard);
        qd_json_field_str(w, "_node", a->node_id);
    }
    qd_json_field_str(w, "_index", h->index->meta->name);
    qdi_type_write(a, w);
    if (!s->none) qd_json_field_str(w, "_id", g->id);
    if (h->level) qd_json_key_c(w, "_nested"), qd_json_raw_value(w, h->identities[i]);
    if (s->version) qd_json_field_int(w, "_version", g->version);
    if (s->seq_no) {
        qd_json_field_int(w, "_seq_no", g->seq_no);
        qd_json_field_int(w, "_primary_term", g->primary_term);
    }
    qd_json_key_c(w, "_score");
    if (h->scores) {
        qd_json_float(w, h->hits[i].score);
    } else {
        qd_json_null(w);
    }
    if (g->routing.n) qd_json_field_str(w, "_routing", g->routing);
    write_ignored(h, i, w);
    if (source_wanted(s) && g->source_stored) {
        qd_json_key_c(w, "_source");
        rc = h->level ? qdi_nested_source(h, i, w, err)
                      : qdi_hits_source_write(h, g->source, w, err);
    }
    if (!rc) rc = qdi_hit_fields_write(h, i, w, err);
    if (!rc && s->highlight) rc = qdi_highlight_write(h, i, w, err);
    if (!rc && h->keys) qdi_search_sort_write(h->keys, h->hits[i].values, w);
    if (!rc && h->index->query.nnamed) write_matched(h, i, w);
    if (!rc && s->explain) {
        qd_json_key_c(w, "_explanation");
        rc = qdi_explain_write(h, i, w, err);
    }
    if (!rc && h->index->ninner) rc = qdi_inner_write(h, i, w, err);
    if (!rc) qd_json_object_end(w);
    return rc;
}
