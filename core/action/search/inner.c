/*
 * inner.c: hits within hits: the nested documents that a query matches below each hit, and the
 * children or the parent that it matches (inner_hits), and nested documents among the hits of
 * buckets (top_hits). Their columns are of their own; id,
 * versions and source are of the document at the top, of which they show their part.
 */
#include "action/api/admin_int.h"
#include "action/search/search_int.h"
#include "base/str.h"
#include "query/dsl.h"
#include "search/join.h"
#include <math.h>
#include <stdlib.h>

#define PATH_MAX_BYTES ((size_t)1 << 16)
#define SOURCE_MAX ((size_t)2 << 30)

/* --- what is shown ---------------------------------------------------------------------------- */

int qdi_inner_member(search_request *r, const qd_json_node *m, search_show *s, search_sort *sort,
                     qd_err *err)
{
    qd_arena *a = r->arena;
    bool truth = m->type == QD_JSON_T_BOOL && m->truth;
    if (qd_str_is(m->key, "from") || qd_str_is(m->key, "size")) return 0; /* the aggregation's */
    if (qd_str_is(m->key, "sort")) return qdi_search_sort_parse(r, m, sort, err);
    if (qd_str_is(m->key, "_source")) {
        s->source_given = true;
        return qdi_search_source_parse(a, m, &s->source, err);
    }
    if (qd_str_is(m->key, "stored_fields")) return qdi_search_stored_parse(a, m, s, err);
    if (qd_str_is(m->key, "docvalue_fields")) {
        return qdi_search_fields_parse(a, m, "docvalue_fields", &s->docvalues, &s->ndocvalues, err);
    }
    if (qd_str_is(m->key, "fields")) {
        return qdi_search_fields_parse(a, m, "fields", &s->fields, &s->nfields, err);
    }
    if (qd_str_is(m->key, "highlight")) return qdi_search_highlight_parse(r, m, s, err);
    if (qd_str_is(m->key, "version")) {
        s->version = truth;
    } else if (qd_str_is(m->key, "seq_no_primary_term")) {
        s->seq_no = truth;
    } else if (qd_str_is(m->key, "explain")) {
        s->explain = truth;
    } else if (qd_str_is(m->key, "track_scores")) {
        r->track_scores |= truth;
    } else {
        return qdi_search_err_at(r, m->raw.p, err, QD_E_PARSE, "Unknown key for a %s in [%.*s].",
                                 qd_json_type_token(m->type), QD_STR_ARG(m->key));
    }
    return 0;
}

static int inner_error(const char *what, qd_str name, int64_t most, int64_t was, qd_err *err)
{
    return qd_err_set(
        err, QD_E_ARG,
        "Inner result window is too large, the inner hit definition's [%.*s]'s %s must "
        "be less than or equal to: [%lld] but was [%lld]. This limit can be set by "
        "changing the [index.max_inner_result_window] index level setting.",
        QD_STR_ARG(name), what, (long long)most, (long long)was);
}

int qdi_inner_own_member(search_inner *in, const qd_json_node *m, bool *taken, qd_err *err)
{
    uint64_t v = 0;
    *taken = qd_str_is(m->key, "name") || qd_str_is(m->key, "from") || qd_str_is(m->key, "size") ||
             qd_str_is(m->key, "ignore_unmapped");
    if (qd_str_is(m->key, "name")) {
        in->name = qd_json_text(m);
        if (in->name.n) return 0;
        return qd_err_set(err, QD_E_ARG, "[inner_hits] [name] must be a string");
    }
    if (!*taken || qd_str_is(m->key, "ignore_unmapped")) return 0;
    bool from = qd_str_is(m->key, "from");
    if (!qd_str_u64(qd_json_text(m), &v) || v > INT32_MAX)
        return qd_err_set(err, QD_E_ARG, "illegal %s value, at least 0 required",
                          from ? "from" : "size");
    *(from ? &in->from : &in->size) = (uint32_t)v;
    return 0;
}

static int bind_one(search_run *x, const search_index *ix, search_inner *in, qd_err *err)
{
    search_request r = *x->r;
    search_sort sort = {0};
    qd_json_node *body;
    qd_query_context context = ix->context;
    int64_t most = qd_values_i64(ix->meta->values, QD_IX_MAX_INNER_RESULT_WINDOW);
    in->name = in->query.path;
    if (!in->query.join) context.nested = in->query.path;
    in->size = 3;
    in->show.source.want = true;
    r.track_scores = false;
    int rc = qd_json_parse(x->arena, in->query.json, 0, &body, err);
    for (const qd_json_node *m = rc ? NULL : body->first; m && !rc; m = m->next) {
        bool taken;
        rc = qdi_inner_own_member(in, m, &taken, err);
        if (!rc && !taken) rc = qdi_inner_member(&r, m, &in->show, &sort, err);
    }
    if (rc) return rc;
    if ((int64_t)in->from + in->size > most)
        return inner_error("from + size", in->name, most, (int64_t)in->from + in->size, err);
    rc = qdi_hits_check(&in->show, ix, err);
    if (!rc) rc = qdi_search_sort_bind(&sort, &context, x->arena, &in->keys, err);
    in->scores = !in->keys.n || r.track_scores;
    return rc;
}

/* Two of one level may not have one name. */
static int check_name(const search_index *ix, const search_inner *in, qd_err *err)
{
    for (const search_inner *o = ix->inner; o < in; o++)
        if (o->query.in == in->query.in && qd_str_eq(o->name, in->name))
            return qd_err_set(err, QD_E_ARG,
                              "[inner_hits] already contains an entry for key [%.*s]",
                              QD_STR_ARG(in->name));
    return 0;
}

int qdi_inner_bind(search_run *x, search_index *ix, const qd_query_built *post, qd_err *err)
{
    uint32_t first = ix->query.ninner, n = first + (post ? post->ninner : 0);
    ix->inner_of = QD_INNER_TOP;
    if (!n) return 0;
    ix->inner = qd_arena_calloc(x->arena, n * sizeof *ix->inner);
    if (!ix->inner) return qd_err_nomem(err, "inner hits");
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        search_inner *in = &ix->inner[i];
        in->query = i < first ? ix->query.inner[i] : post->inner[i - first];
        if (i >= first && in->query.in != QD_INNER_TOP) in->query.in += first;
        rc = bind_one(x, ix, in, err);
        if (!rc) rc = check_name(ix, in, err);
    }
    ix->ninner = n;
    return rc;
}

/* --- nested documents ------------------------------------------------------------------------- */

/* The path of a level below the one above it. */
static qd_str relative(const qd_nested_level *l, uint32_t i)
{
    qd_str path = l->views[i]->path;
    return i ? qd_str_sub(path, l->views[i - 1]->path.n + 1, path.n) : path;
}

typedef struct picking {
    uint32_t left;
    const qd_json_node *found;
} picking;

static void pick(void *arg, const qd_json_node *n)
{
    picking *p = arg;
    if (n->type != QD_JSON_T_OBJECT || p->found) return;
    if (p->left == 0) p->found = n;
    p->left--;
}

/* The object of a source that a nested document is; NULL: the source does not show it. */
static const qd_json_node *part_of(const qd_nested_level *l, const uint32_t *places,
                                   const qd_json_node *root)
{
    for (uint32_t i = 0; i < l->n && root; i++) {
        picking p = {.left = places[i]};
        qdi_source_walk(root, relative(l, i), false, pick, &p);
        root = p.found;
    }
    return root;
}

static void write_identity(const qd_nested_level *l, const uint32_t *places, qd_json_writer *w)
{
    for (uint32_t i = 0; i < l->n; i++) {
        if (i) qd_json_key_c(w, "_nested");
        qd_json_object(w);
        qd_json_field_str(w, "field", relative(l, i));
        qd_json_field_int(w, "offset", places[i]);
    }
    for (uint32_t i = 0; i < l->n; i++) qd_json_object_end(w);
}

static int identity_of(search_hits *h, const uint32_t *places, qd_str *out, qd_err *err)
{
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, h->arena->account, PATH_MAX_BYTES);
    qd_json_writer_init(&w, &b, false);
    write_identity(h->level, places, &w);
    *out = qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(h->arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    return out->p ? 0 : qd_err_nomem(err, "nested hits");
}

/* A source in which the nested document stands alone below its full path: what filters, fields and
 * highlighting look at. */
static int wrap(search_hits *h, const qd_json_node *part, qd_str *out, qd_err *err)
{
    qd_str path = h->level->views[h->level->n - 1]->path;
    qd_buf b;
    qd_json_writer w;
    uint32_t deep = 0;
    qd_buf_init(&b, h->arena->account, SOURCE_MAX);
    qd_json_writer_init(&w, &b, false);
    for (qd_str rest = path; rest.p; deep++) {
        qd_json_object(&w);
        qd_json_key(&w, qd_str_split(&rest, '.'));
    }
    qd_json_raw_value(&w, part ? part->raw : QD_STR("{}"));
    while (deep--) qd_json_object_end(&w);
    *out = qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(h->arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    return out->p ? 0 : qd_err_nomem(err, "nested hits");
}

int qdi_nested_source(const search_hits *h, uint32_t i, qd_json_writer *w, qd_err *err)
{
    qd_str path = h->level->views[h->level->n - 1]->path;
    picking p = {.left = 0};
    qd_json_node *root;
    qd_buf kept;
    qd_json_writer k;
    qd_arena scratch;
    qd_arena_init(&scratch, h->arena->account, 0);
    qd_buf_init(&kept, h->arena->account, SOURCE_MAX);
    qd_json_writer_init(&k, &kept, false);
    int rc = qdi_source_write(&h->show->source, h->got[i].source, &k, err);
    if (!rc && qd_buf_status(&kept)) rc = qd_err_nomem(err, "nested hits");
    if (!rc) rc = qd_json_parse(&scratch, qd_buf_view(&kept), 0, &root, err);
    if (!rc) qdi_source_walk(root, path, false, pick, &p);
    if (!rc) qd_json_raw_value(w, p.found ? p.found->raw : QD_STR("{}"));
    qd_buf_fini(&kept);
    qd_arena_fini(&scratch);
    return rc;
}

/* What of nested document i is the document's at the top, whose source root is; NULL: it has none.
 */
static int from_top(search_hits *h, uint32_t i, const qd_fetched *top, const qd_json_node *root,
                    const uint32_t *places, qd_err *err)
{
    qd_fetched *g = &h->got[i];
    qd_fetch_values *columns = g->columns;
    *g = *top;
    g->columns = columns;
    int rc = identity_of(h, places, &h->identities[i], err);
    return rc || !root ? rc : wrap(h, part_of(h->level, places, root), &g->source, err);
}

/* got: by document at the top, of which those of neighbours are mostly the same; of[i] is that of
 * nested document i. Each source is parsed once and forgotten. */
static int from_tops(search_hits *h, const qd_fetched *got, const uint32_t *of,
                     const uint32_t *places, qd_err *err)
{
    qd_arena scratch;
    qd_json_node *root = NULL;
    int rc = 0;
    qd_arena_init(&scratch, h->arena->account, 0);
    for (uint32_t i = 0; i < h->n && !rc; i++) {
        const qd_fetched *top = &got[of[i]];
        if (i == 0 || of[i] != of[i - 1]) {
            qd_arena_reset(&scratch);
            root = NULL;
            if (top->source_stored && top->source.n)
                rc = qd_json_parse(&scratch, top->source, 0, &root, err);
        }
        if (!rc) rc = from_top(h, i, top, root, places + (size_t)i * h->level->n, err);
    }
    qd_arena_fini(&scratch);
    return rc;
}

int qdi_nested_fetch(search_hits *h, const qd_fetch_options *o, qd_err *err)
{
    uint32_t n = h->n, k = h->level->n, ntops = 0;
    qd_fetch_options own = {.columns = o->columns, .ncolumns = o->ncolumns}, above = *o;
    above.columns = NULL;
    above.ncolumns = 0;
    uint32_t *docs = qd_arena_alloc(h->arena, (n + 1) * sizeof *docs);
    uint32_t *tops = qd_arena_alloc(h->arena, (n + 1) * sizeof *tops);
    uint32_t *of = qd_arena_alloc(h->arena, (n + 1) * sizeof *of);
    uint32_t *places = qd_arena_alloc(h->arena, ((size_t)n * k + 1) * sizeof *places);
    qd_fetched *got = qd_arena_calloc(h->arena, (n + 1) * sizeof *got);
    h->identities = qd_arena_calloc(h->arena, (n + 1) * sizeof *h->identities);
    if (!docs || !tops || !of || !places || !got || !h->identities)
        return qd_err_nomem(err, "nested hits");
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        docs[i] = h->hits[i].doc;
        rc = qd_nested_level_origin(h->level, h->top, docs[i], h->arena, h->x->a->account,
                                    &tops[ntops], places + (size_t)i * k, err);
        if (!ntops || tops[ntops] != tops[ntops - 1]) ntops++;
        of[i] = ntops - 1;
    }
    if (!rc) rc = qd_fetch(h->searcher, docs, n, &own, h->arena, h->got, err);
    if (!rc) rc = qd_fetch(h->top, tops, ntops, &above, h->arena, got, err);
    return rc ? rc : from_tops(h, got, of, places, err);
}

/* --- hits within a hit ------------------------------------------------------------------------ */

/* One definition below one hit. */
typedef struct below {
    search_hits *h; /* the hits above */
    const search_inner *in;
    qd_nested_level level; /* from the top down */
    qd_searcher *searcher; /* of the level; NULL: it has no document */
    uint32_t *docs;        /* that belong to the hit, global; then those that match */
    float *scores;
    uint32_t n;
} below;

/* The level of the definition, from the top searcher on. */
static int open_level(below *b, qd_err *err)
{
    search_hits *h = b->h;
    uint32_t above = h->level ? h->level->n : 0, n = b->in->query.n;
    qd_nested_level own;
    bool found;
    int rc = qd_nested_level_open(h->searcher, b->in->query.paths, n, h->arena, &own, &found, err);
    if (rc || !found) return rc;
    const qd_nested_view **views = qd_arena_alloc(h->arena, (above + n) * sizeof *views);
    if (!views) return qd_err_nomem(err, "inner hits");
    for (uint32_t i = 0; i < above + n; i++)
        views[i] = i < above ? h->level->views[i] : own.views[i - above];
    b->level = (qd_nested_level){.views = views, .n = above + n};
    b->searcher = own.views[n - 1]->searcher;
    return 0;
}

/* The nested documents of a hit. */
static int list_docs(below *b, uint32_t doc, qd_err *err)
{
    search_hits *h = b->h;
    const qd_leaf *leaf = qd_searcher_leaf_of(h->searcher, doc);
    const qd_nested_level own = {b->level.views + (b->level.n - b->in->query.n), b->in->query.n};
    const qd_leaf *at = qd_nested_level_leaf(&own, leaf);
    if (!at) return 0;
    qd_nested_counts c;
    uint32_t first = 0, end = 0;
    qd_reads *reads = qd_reads_make(h->arena, h->x->a->account);
    if (!reads) return qd_err_nomem(err, "inner hits");
    int rc = qd_nested_counts_make(&c, own.n, h->arena, err);
    if (!rc) rc = qd_nested_counts_read(&c, &own, leaf, reads, err);
    if (!rc) first = qd_nested_first(&c, 0, doc - leaf->base);
    if (!rc) end = qd_nested_first(&c, 0, doc - leaf->base + 1);
    qd_reads_release(reads);
    if (rc || first >= end) return rc;
    leaf = at;
    b->docs = qd_arena_alloc(h->arena, (end - first) * sizeof *b->docs);
    b->scores = qd_arena_calloc(h->arena, (end - first) * sizeof *b->scores);
    if (!b->docs || !b->scores) return qd_err_nomem(err, "inner hits");
    for (uint32_t d = first; d < end; d++) b->docs[b->n++] = leaf->base + d;
    return 0;
}

/* The plan of the definition's query, one for all hits: a join in it is gathered once. */
static int plan_of(below *b, qd_plan **out, qd_err *err)
{
    search_hits *h = b->h;
    size_t at = (size_t)(b->in - h->index->inner);
    if (!h->inner_plans)
        h->inner_plans = qd_arena_calloc(h->arena, h->index->ninner * sizeof *h->inner_plans);
    if (!h->inner_plans) return qd_err_nomem(err, "inner hits");
    *out = h->inner_plans[at];
    if (*out) return 0;
    qd_plan_options o = qdi_search_plan_options(h->x, h->index, h->budget);
    int rc = qd_plan_make(b->searcher, b->in->query.node, &o, h->arena, out, err);
    if (!rc) h->inner_plans[at] = *out;
    return rc;
}

/* Leaves those that match, with their scores. */
static int match(below *b, qd_err *err)
{
    qd_plan *p;
    uint64_t *bits = qd_arena_calloc(b->h->arena, ((size_t)b->n + 63) / 64 * 8 + 8);
    if (!bits) return qd_err_nomem(err, "inner hits");
    int rc = plan_of(b, &p, err);
    if (!rc) rc = qd_plan_test(p, b->docs, b->n, bits, b->scores, err);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->n && !rc; i++) {
        if (!(bits[i >> 6] >> (i & 63) & 1)) continue;
        b->docs[kept] = b->docs[i];
        b->scores[kept++] = b->scores[i];
    }
    b->n = rc ? 0 : kept;
    return rc;
}

/* --- children, and parents: documents of the same searcher */

/* Is the hit one of the join's side, and which id does it have? p NULL: it is not. */
static int joined_id(below *b, uint32_t doc, qd_str *id, qd_err *err)
{
    search_hits *h = b->h;
    const qd_node_join *j = b->in->query.join;
    qd_plan_options o = qdi_search_plan_options(h->x, h->index, h->budget);
    uint64_t bit = 0;
    qd_plan *p;
    o.no_scores = true;
    *id = (qd_str){NULL, 0};
    int rc = qd_plan_make(h->searcher, j->to, &o, h->arena, &p, err);
    if (!rc) rc = qd_plan_test(p, &doc, 1, &bit, NULL, err);
    if (rc || !(bit & 1)) return rc;
    return qd_join_id(h->searcher, j->ids, doc, h->arena, h->x->a->account, id, err);
}

typedef struct joined {
    qd_collector c;
    below *b;
    uint64_t room; /* the count may have been cut by the deadline */
} joined;

static int joined_collect(qd_collector *c, const qd_hits *hits, qd_err *err)
{
    below *b = ((joined *)c)->b;
    (void)err;
    for (uint32_t i = 0; i < hits->n; i++) {
        if (b->n == ((joined *)c)->room) return QD_COLLECT_ALL_DONE;
        b->docs[b->n++] = hits->leaf->base + hits->docs[i];
    }
    return 0;
}

/* The documents with the hit's id. */
static int list_joined(below *b, uint32_t doc, qd_err *err)
{
    static const qd_collector_vt vt = {.collect = joined_collect};
    search_hits *h = b->h;
    qd_plan_options o = qdi_search_plan_options(h->x, h->index, h->budget);
    joined c = {.c = {.vt = &vt}, .b = b};
    qd_str id;
    qd_plan *p;
    uint64_t n;
    int rc = joined_id(b, doc, &id, err);
    if (rc || !id.p) return rc;
    const qd_node *same = qd_node_term_make(h->arena, b->in->query.join->ids, id);
    if (!same) return qd_err_nomem(err, "inner hits");
    b->searcher = h->searcher;
    o.no_scores = true;
    rc = qd_plan_make(b->searcher, same, &o, h->arena, &p, err);
    if (!rc) rc = qd_plan_count(p, 0, &n, err);
    if (rc) return rc;
    b->docs = qd_arena_alloc(h->arena, (n + 1) * sizeof *b->docs);
    b->scores = qd_arena_calloc(h->arena, (n + 1) * sizeof *b->scores);
    if (!b->docs || !b->scores) return qd_err_nomem(err, "inner hits");
    c.room = n;
    return qd_plan_collect(p, NULL, &c.c, NULL, err);
}

/* The matches of the definition below a hit. */
static int list_matches(below *b, uint32_t doc, qd_err *err)
{
    bool join = b->in->query.join != NULL;
    int rc = join ? list_joined(b, doc, err) : open_level(b, err);
    if (!rc && !join && b->searcher) rc = list_docs(b, doc, err);
    return rc || !b->n ? rc : match(b, err);
}

static int by_score(const void *pa, const void *pb)
{
    const search_hit *a = pa, *b = pb;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return a->doc < b->doc ? -1 : a->doc > b->doc;
}

/* The matches as documents of a leaf, for a sorter. */
typedef struct chosen {
    const below *b;
    qd_arena *arena;
} chosen;

static const uint64_t *chosen_bits(void *arg, uint32_t leaf, uint32_t docs)
{
    const chosen *c = arg;
    const qd_leaf *l = qd_searcher_leaf(c->b->searcher, leaf);
    uint64_t *bits = NULL;
    for (uint32_t i = 0; i < c->b->n; i++) {
        uint32_t d = c->b->docs[i] - l->base;
        if (c->b->docs[i] < l->base || d >= docs) continue;
        if (!bits) bits = qd_arena_calloc(c->arena, ((size_t)docs + 63) / 64 * 8 + 64);
        if (!bits) return NULL;
        bits[d >> 6] |= 1ull << (d & 63);
    }
    return bits;
}

static bool by_scores(const search_keys *k)
{
    for (uint32_t q = 0; q < k->n; q++)
        if (qd_sort_key_scores(&k->keys[q])) return true;
    return false;
}

/* The matches, by the query itself where their scores are to be sorted by. */
static qd_node *matches(const below *b, chosen *c, bool scores, qd_err *err)
{
    qd_arena *arena = b->h->arena;
    qd_node *set = qd_node_make(arena, QD_NATIVE_DOC_SET);
    qd_node *both = scores ? qd_node_make(arena, QD_NATIVE_BOOL) : set;
    const qd_node **clauses = qd_arena_alloc(arena, 2 * sizeof *clauses);
    if (!set || !both || !clauses) {
        (void)qd_err_nomem(err, "inner hits");
        return NULL;
    }
    set->u.doc_set = (qd_node_doc_set){chosen_bits, c};
    if (!scores) return set;
    clauses[0] = b->in->query.node;
    clauses[1] = set;
    both->u.boolean =
        (qd_node_bool){.must = &clauses[0], .nmust = 1, .filter = &clauses[1], .nfilter = 1};
    return both;
}

/* The first of the matches by columns and scores. */
static int sort_matches(below *b, search_hit *out, uint32_t *n, qd_err *err)
{
    qd_arena *arena = b->h->arena;
    const search_keys *k = &b->in->keys;
    chosen c = {b, arena};
    qd_plan_options o = qdi_search_plan_options(b->h->x, b->h->index, b->h->budget);
    qd_sort_key keys[QD_SORT_KEYS_MAX];
    qd_sort_options so = {
        .keys = keys, .nkeys = k->n, .k = b->in->from + b->in->size, .task = b->h->task};
    bool scores = by_scores(k);
    qd_node *node = matches(b, &c, scores, err);
    qd_sorter *sorter;
    qd_sort_hit *hits;
    qd_plan *p;
    uint64_t total;
    bool more;
    if (!node) return QD_E_NOMEM;
    o.no_scores = !scores;
    int rc = qdi_sort_nested_keys(k, b->searcher, &o, arena, keys, err);
    if (!rc) rc = qd_sorter_make(&so, arena, &sorter, err);
    if (!rc) rc = qd_plan_make(b->searcher, node, &o, arena, &p, err);
    if (!rc) rc = qd_plan_collect(p, NULL, qd_sorter_collector(sorter), NULL, err);
    if (!rc) rc = qd_sorter_finish(sorter, &hits, n, &total, &more, err);
    for (uint32_t i = 0; i < (rc ? 0 : *n); i++) {
        out[i] = (search_hit){.doc = hits[i].doc, .values = hits[i].values};
        for (uint32_t m = 0; m < b->n; m++)
            if (b->docs[m] == hits[i].doc) out[i].score = b->scores[m];
    }
    return rc;
}

static int choose(below *b, search_hit **out, uint32_t *n, qd_err *err)
{
    search_hit *hits = qd_arena_calloc(b->h->arena, (b->n + 1) * sizeof *hits);
    if (!hits) return qd_err_nomem(err, "inner hits");
    *out = hits;
    *n = 0;
    if (b->in->keys.n) {
        int rc = sort_matches(b, hits, n, err);
        if (rc) return rc;
    } else {
        for (uint32_t i = 0; i < b->n; i++)
            hits[i] = (search_hit){.doc = b->docs[i], .score = b->scores[i]};
        qsort(hits, b->n, sizeof *hits, by_score);
        *n = b->n;
    }
    uint32_t most = b->in->from + b->in->size, from = b->in->from;
    if (*n > most) *n = most;
    *out += *n < from ? *n : from;
    *n -= *n < from ? *n : from;
    return 0;
}

static void write_total(const below *b, qd_json_writer *w)
{
    bool plain = b->h->x->r->total_as_int;
    qd_json_key_c(w, "total");
    if (plain) {
        qd_json_uint(w, b->n);
        return;
    }
    qd_json_object(w);
    qd_json_field_int(w, "value", b->n);
    qd_json_field_c(w, "relation", "eq");
    qd_json_object_end(w);
}

static int write_hits(below *b, search_hits *hits, qd_json_writer *w, qd_err *err)
{
    float best = NAN;
    for (uint32_t i = 0; i < b->n; i++)
        if (!(best >= b->scores[i])) best = b->scores[i];
    qd_json_object(w);
    qd_json_key_c(w, "hits");
    qd_json_object(w);
    write_total(b, w);
    qd_json_key_c(w, "max_score");
    if (b->in->scores && b->n && hits->n)
        qd_json_float(w, best);
    else
        qd_json_null(w);
    qd_json_key_c(w, "hits");
    qd_json_array(w);
    int rc = 0;
    for (uint32_t i = 0; i < hits->n && !rc; i++) rc = qdi_hit_write(hits, i, w, err);
    if (rc) return rc;
    qd_json_array_end(w);
    qd_json_object_end(w);
    qd_json_object_end(w);
    return 0;
}

static int write_below(search_hits *h, const search_inner *in, uint32_t doc, qd_json_writer *w,
                       qd_err *err)
{
    below b = {.h = h, .in = in};
    search_index *ix = qd_arena_alloc(h->arena, sizeof *ix);
    search_hit *first = NULL;
    uint32_t n = 0;
    if (!ix) return qd_err_nomem(err, "inner hits");
    int rc = list_matches(&b, doc, err);
    if (!rc && b.n) rc = choose(&b, &first, &n, err);
    if (rc) return rc;
    *ix = *h->index;
    ix->query.root = in->query.node;
    ix->query.nnamed = 0;
    ix->inner_of = (uint32_t)(in - h->index->inner);
    search_hits hits = {.x = h->x,
                        .index = ix,
                        .shard = h->shard,
                        .searcher = b.searcher,
                        .level = b.level.n ? &b.level : NULL,
                        .top = h->level ? h->top : h->searcher,
                        .show = &in->show,
                        .keys = in->keys.n ? &in->keys : NULL,
                        .hits = first,
                        .n = n,
                        .scores = in->scores,
                        .arena = h->arena,
                        .task = h->task,
                        .budget = h->budget};
    if (n) rc = qdi_hits_fetch(&hits, err);
    return rc ? rc : write_hits(&b, &hits, w, err);
}

int qdi_inner_write(search_hits *h, uint32_t i, qd_json_writer *w, qd_err *err)
{
    const search_index *ix = h->index;
    bool open = false;
    int rc = 0;
    for (uint32_t k = 0; k < ix->ninner && !rc; k++) {
        if (ix->inner[k].query.in != ix->inner_of) continue;
        if (qd_task_cancelled(h->task)) return qd_task_check(h->task, err);
        if (!open) {
            qd_json_key_c(w, "inner_hits");
            qd_json_object(w);
        }
        open = true;
        qd_json_key(w, ix->inner[k].name);
        rc = write_below(h, &ix->inner[k], h->hits[i].doc, w, err);
    }
    if (open && !rc) qd_json_object_end(w);
    return rc;
}
