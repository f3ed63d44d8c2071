/*
 * collapse.c: field collapsing: of the hits that have one value of a field only the best one is
 * shown. Each shard keeps the best hits of its groups (search/collect/sort.h), as many groups as
 * the request shows of all; the coordinating part takes the first hit of each group. That is
 * enough: a group's best hit is its best on some shard, and fewer groups are before it there than
 * in all.
 */
#include "action/api/admin_int.h"
#include "action/search/search_int.h"
#include "base/features.h"
#include "base/hash.h"
#include "base/str.h"

/* --- the request --- */

static int collapse_object(search_request *r, const qd_json_node *n, bool within,
                           search_collapse *out, qd_err *err);

static int check_name(const search_collapse *c, qd_str name, qd_err *err)
{
    if (!name.n) return qd_err_set(err, QD_E_ARG, "[inner_hits] of [collapse] needs a [name]");
    for (uint32_t i = 0; i < c->ninner; i++) {
        if (!qd_str_eq(c->inner[i].name, name)) continue;
        return qd_err_set(err, QD_E_ARG, "[inner_hits] already contains an entry for key [%.*s]",
                          QD_STR_ARG(name));
    }
    return 0;
}

/* Everything of one inner_hits is read as its searches will read it, so that they fail here. */
static int inner_object(search_request *r, const qd_json_node *n, search_collapse *c, qd_err *err)
{
    search_request scratch = *r;
    search_inner in = {0};
    search_collapse below;
    search_sort sort;
    int rc = 0;
    if (n->type != QD_JSON_T_OBJECT)
        return qdi_search_err_at(r, n->raw.p, err, QD_E_XCONTENT,
                                 "[inner_hits] Expected START_OBJECT but was: %s",
                                 qd_json_type_token(n->type));
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        bool taken;
        rc = qdi_inner_own_member(&in, m, &taken, err);
        if (rc || taken) continue;
        if (qd_str_is(m->key, "collapse"))
            rc = collapse_object(r, m, true, &below, err);
        else if (qd_str_is(m->key, "script_fields"))
            rc = qdi_search_script_fields_parse(&scratch, m, &in.show, err);
        else
            rc = qdi_inner_member(&scratch, m, &in.show, &sort, err);
    }
    if (!rc) rc = check_name(c, in.name, err);
    if (!rc) c->inner[c->ninner++] = (search_collapse_inner){in.name, n};
    return rc;
}

static int inner_list(search_request *r, const qd_json_node *n, search_collapse *c, qd_err *err)
{
    bool list = n->type == QD_JSON_T_ARRAY;
    uint32_t count = list ? n->n : 1;
    int rc = 0;
    if (count > QD_INNER_MAX)
        return qd_err_set(err, QD_E_ARG, "[collapse] may have at most %u inner_hits, but has %u",
                          QD_INNER_MAX, count);
    c->ninner = 0;
    c->inner = qd_arena_calloc(r->arena, (count + 1ul) * sizeof *c->inner);
    if (!c->inner) return qd_err_nomem(err, "collapse");
    for (const qd_json_node *x = list ? n->first : n; x && !rc; x = list ? x->next : NULL)
        rc = inner_object(r, x, c, err);
    return rc;
}

static int at_once(const qd_json_node *m, search_collapse *c, qd_err *err)
{
    if (!qd_str_i64(qd_json_text(m), &c->at_once))
        return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                          QD_STR_ARG(m->raw));
    return c->at_once > 0 && c->at_once <= INT32_MAX
               ? 0
               : qd_err_set(err, QD_E_ARG, "[max_concurrent_group_searches] must be positive");
}

/* within: of inner hits, which have no more of their own. */
static int collapse_object(search_request *r, const qd_json_node *n, bool within,
                           search_collapse *out, qd_err *err)
{
    int rc = 0;
    *out = (search_collapse){0};
    if (n->type != QD_JSON_T_OBJECT)
        return qdi_search_err_at(r, n->raw.p, err, QD_E_XCONTENT,
                                 "[collapse] Expected START_OBJECT but was: %s",
                                 qd_json_type_token(n->type));
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "field") && m->type == QD_JSON_T_STRING) {
            out->field = m->text;
        } else if (qd_str_is(m->key, "max_concurrent_group_searches")) {
            rc = at_once(m, out, err);
        } else if (qd_str_is(m->key, "inner_hits") && within) {
            rc = qd_err_set(err, QD_E_ARG,
                            "[inner_hits] is not supported in a [collapse] within [inner_hits]");
        } else if (qd_str_is(m->key, "inner_hits")) {
            rc = inner_list(r, m, out, err);
        } else {
            rc = qdi_search_err_at(r, m->raw.p, err, QD_E_XCONTENT,
                                   qd_str_is(m->key, "field") ? "[collapse] [%.*s] must be a string"
                                                              : "[collapse] unknown field [%.*s]",
                                   QD_STR_ARG(m->key));
        }
    }
    if (!rc && !out->field.n) rc = qd_err_set(err, QD_E_ARG, "[collapse] needs a [field]");
    return rc;
}

int qdi_collapse_parse(search_request *r, const qd_json_node *n, qd_err *err)
{
    search_collapse *c = qd_arena_alloc(r->arena, sizeof *c);
    if (!c) return qd_err_nomem(err, "collapse");
    int rc = collapse_object(r, n, false, c, err);
    r->collapse = rc ? NULL : c;
    return rc;
}

int qdi_collapse_show(search_request *r, qd_err *err)
{
    search_show *s = &r->show;
    search_collapse *c = r->collapse;
    if (!c) return 0;
    for (uint32_t i = 0; i < s->ndocvalues; i++)
        if (qd_str_eq(s->docvalues[i].field, c->field)) return 0;
    search_field *more = qd_arena_calloc(r->arena, (s->ndocvalues + 1ul) * sizeof *more);
    if (!more) return qd_err_nomem(err, "collapse");
    for (uint32_t i = 0; i < s->ndocvalues; i++) more[i] = s->docvalues[i];
    more[s->ndocvalues++].field = c->field;
    s->docvalues = more;
    c->added = true;
    return 0;
}

/* --- an index --- */

static int check_field(const search_collapse *c, const qd_field *f, qd_err *err)
{
    if (!f)
        return qd_err_set(err, QD_E_ARG, "no mapping found for `%.*s` in order to collapse on",
                          QD_STR_ARG(c->field));
    if (!qd_field_collapses(f))
        return qd_err_set(err, QD_E_ARG,
                          "collapse is not supported for the field [%.*s] of the type [%s]",
                          QD_STR_ARG(f->shown), qd_field_type_name(f));
    if (!f->doc_values)
        return qd_err_set(err, QD_E_ARG, "cannot collapse on field `%.*s` without `doc_values`",
                          QD_STR_ARG(c->field));
    if (f->nested.n)
        return qd_err_set(err, QD_E_UNSUPPORTED,
                          "collapse is not supported for the field [%.*s] of nested documents",
                          QD_STR_ARG(c->field));
    if (c->ninner && !f->indexed)
        return qd_err_set(err, QD_E_ARG,
                          "cannot expand `inner_hits` for collapse field `%.*s`, only indexed "
                          "field can retrieve `inner_hits`",
                          QD_STR_ARG(c->field));
    return 0;
}

/* The values that search_after gives have to name one group: the last one shown. */
static int check_after(const search_run *x, const search_index *ix, qd_err *err)
{
    if (!x->r->after) return 0;
    if (ix->sort.n == 1 && qd_str_eq(ix->sort.keys[0].field, ix->group.field)) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "Cannot use [collapse] in conjunction with [search_after] unless the search "
                      "is sorted on the same field. Multiple sort fields are not allowed.");
}

/* Names of inner hits that the query has, too. */
static int check_names(const search_collapse *c, const search_index *ix, qd_err *err)
{
    for (uint32_t i = 0; i < ix->ninner; i++) {
        if (ix->inner[i].query.in != QD_INNER_TOP) continue;
        int rc = check_name(c, ix->inner[i].name, err);
        if (rc) return rc;
    }
    return 0;
}

/* Nodes of before that level refuse the request, each for its shards. */
static int check_level(const search_run *x, qd_err *err)
{
    if (x->part || x->state->features >= QD_FEATURES_TYPES_0_2) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "[collapse] needs level %u of the cluster's formats; they are of level %u: "
                      "POST _cluster/upgrade/finalize when all nodes run this version",
                      QD_FEATURES_TYPES_0_2, x->state->features);
}

int qdi_collapse_bind(const search_run *x, search_index *ix, qd_err *err)
{
    const search_collapse *c = x->r->collapse;
    const qd_field *f;
    search_keys k;
    int rc = check_level(x, err);
    if (!rc && x->scroll)
        rc = qd_err_set(err, QD_E_ARG, "cannot use `collapse` in a scroll context");
    if (!rc) rc = qd_mapping_find(ix->context.mapping, c->field, x->arena, &f, err);
    if (!rc) rc = check_field(c, f, err);
    if (rc) return rc;
    search_sort_field by = {.field = c->field};
    search_sort one = {.at = &by, .n = 1};
    rc = qdi_search_sort_bind(&one, &ix->context, x->arena, &k, err);
    ix->group = k.keys[0];
    ix->grouped = k.bound[0];
    return rc;
}

int qdi_collapse_check(const search_run *x, const search_index *ix, qd_err *err)
{
    int rc = check_after(x, ix, err);
    return rc ? rc : check_names(x->r->collapse, ix, err);
}

/* --- the groups of all shards --- */

/* A number of any kind as others see it. */
static double number_of(const search_shard *s, const qd_sort_value *v)
{
    qd_sort_value d = *v;
    qdi_search_value_to_double(s->index->grouped.kind, &d);
    return qd_f64_decode(d.i64);
}

static bool same_group(const search_ref *a, const search_ref *b)
{
    const qd_sort_value *v = a->shard->hits[a->at].group, *u = b->shard->hits[b->at].group;
    if (v->missing || u->missing) return v->missing == u->missing;
    if (v->kind != u->kind) return false; /* a number and a word */
    if (v->kind == QD_SORT_ORD) return qd_str_eq(v->bytes, u->bytes);
    if (a->shard->index->grouped.kind == b->shard->index->grouped.kind) return v->i64 == u->i64;
    return number_of(a->shard, v) == number_of(b->shard, u);
}

static uint64_t hash_of(const search_ref *a, uint64_t seed)
{
    const qd_sort_value *v = a->shard->hits[a->at].group;
    if (v->missing) return 0;
    if (v->kind == QD_SORT_ORD) return qd_xxh3_seed(v->bytes.p, v->bytes.n, seed);
    double d = number_of(a->shard, v) + 0.0; /* both zeros are one number */
    return qd_xxh3_seed(&d, sizeof d, seed);
}

int qdi_collapse_refs(const search_run *x, search_ref *all, uint64_t *n, qd_err *err)
{
    uint64_t most = (uint64_t)x->r->from + (uint64_t)x->r->size, kept = 0;
    if (most > *n) most = *n;
    uint64_t mask = 15, seed = qd_env_random_u64(x->a->env);
    while (mask < 2 * most) mask = 2 * mask + 1;
    uint32_t *slot = qd_arena_calloc(x->arena, (mask + 1) * sizeof *slot); /* number + 1 in all */
    if (!slot) return qd_err_nomem(err, "collapse");
    for (uint64_t i = 0; i < *n && kept < most; i++) {
        uint64_t h = hash_of(&all[i], seed) & mask;
        while (slot[h] && !same_group(&all[slot[h] - 1], &all[i])) h = (h + 1) & mask;
        if (slot[h]) continue;
        all[kept++] = all[i];
        slot[h] = (uint32_t)kept;
    }
    *n = kept;
    return 0;
}
