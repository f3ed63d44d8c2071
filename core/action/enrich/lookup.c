/*
 * lookup.c: values of documents in the index of an enrich policy: what the cache has, and for the
 * others one search, whose filters are the values and which shows the best documents of each.
 */
#include "action/enrich/enrich_int.h"
#include <stdio.h>
#include <string.h>

#define BODY_MAX ((size_t)64 << 20)

static int no_index(qd_str policy, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "no enrich index exists for policy with name [%.*s]",
                      QD_STR_ARG(policy));
}

int qdi_enrich_has(void *arg, qd_str policy, qd_err *err)
{
    const qd_enrich *e = arg;
    if (!e->a->cluster) return 0;
    qd_state *s = qd_cluster_state(e->a->cluster);
    bool there = qdi_enrich_index(s, policy) != NULL;
    qd_state_unref(s);
    return there ? 0 : no_index(policy, err);
}

/* The batch of one call. */
typedef struct batch {
    qd_enrich *e;
    qd_arena arena; /* of the call */
    qd_str index, field;
    uint32_t max, n;
    qd_ingest_lookup *looks;
    qd_str keys[QD_INGEST_BATCH];
    uint32_t same[QD_INGEST_BATCH]; /* the first with the same value */
    bool found[QD_INGEST_BATCH];
} batch;

static void write_filter(const batch *b, const qd_ingest_lookup *k, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_key_c(w, k->list ? "terms" : "term");
    qd_json_object(w);
    qd_json_key(w, b->field);
    qd_json_raw_value(w, k->value);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static bool asks(const batch *b, uint32_t i)
{
    return !b->found[i] && b->same[i] == i;
}

static int write_search(const batch *b, qd_buf *out)
{
    qd_json_writer w;
    qd_json_writer_init(&w, out, false);
    qd_json_object(&w);
    qd_json_field_int(&w, "size", 0);
    qd_json_field_bool(&w, "track_total_hits", false);
    qd_json_key_c(&w, "query"); /* the aggregation sees what matches a value, not the whole index */
    qd_json_object(&w);
    qd_json_key_c(&w, "bool");
    qd_json_object(&w);
    qd_json_key_c(&w, "should");
    qd_json_array(&w);
    for (uint32_t i = 0; i < b->n; i++)
        if (asks(b, i)) write_filter(b, &b->looks[i], &w);
    qd_json_array_end(&w);
    qd_json_object_end(&w);
    qd_json_object_end(&w);
    qd_json_key_c(&w, "aggs");
    qd_json_raw_bytes(&w, QD_STR("{\"v\":{\"filters\":{\"filters\":{"));
    bool any = false;
    for (uint32_t i = 0; i < b->n; i++) {
        qd_json_writer one;
        if (!asks(b, i)) continue;
        (void)qd_buf_printf(out, "%s\"%u\":", any ? "," : "", i);
        qd_json_writer_init(&one, out, false);
        write_filter(b, &b->looks[i], &one);
        any = true;
    }
    (void)qd_buf_printf(
        out, "}},\"aggs\":{\"h\":{\"top_hits\":{\"size\":%u,\"sort\":[\"_doc\"]}}}}}}", b->max);
    return qd_buf_status(out);
}

/* The sources of the hits of a bucket, as a list. */
static qd_str sources_of(batch *b, const qd_json_node *bucket)
{
    const qd_json_node *hits = qd_json_get(
        qd_json_get(qd_json_get(bucket, "h") ? qd_json_get(bucket, "h") : bucket, "hits"), "hits");
    qd_buf out;
    qd_buf_init(&out, b->e->a->account, BODY_MAX);
    (void)qd_buf_char(&out, '[');
    for (const qd_json_node *h = hits ? hits->first : NULL; h; h = h->next) {
        const qd_json_node *source = qd_json_get(h, "_source");
        if (!source) continue;
        if (out.n > 1) (void)qd_buf_char(&out, ',');
        (void)qd_buf_str(&out, source->raw);
    }
    (void)qd_buf_char(&out, ']');
    qd_str text =
        qd_buf_status(&out) ? (qd_str){NULL, 0} : qd_arena_str(&b->arena, qd_buf_view(&out));
    qd_buf_fini(&out);
    return text;
}

static int take(batch *b, uint32_t i, qd_str found, qd_err *err)
{
    b->looks[i].found = qd_arena_str(b->looks[i].arena, found);
    b->found[i] = true;
    return b->looks[i].found.p ? 0 : qd_err_nomem(err, "a look-up");
}

/* What a search that failed says of its cause, rather than that all shards failed. */
static int tell_cause(batch *b, int rc, qd_err *err)
{
    qd_str raw = {NULL, 0};
    qd_json_node *list;
    for (uint32_t i = 0; err && i < err->ndetails; i++)
        if (strcmp(err->details[i].key, QD_ERR_ROOT_CAUSE) == 0)
            raw = qd_arena_str(&b->arena, qd_str_c(err->details[i].value));
    if (!raw.p || qd_json_parse(&b->arena, raw, 0, &list, NULL) || !list->first) return rc;
    const qd_json_node *why = qd_json_get(list->first, "reason");
    if (why) qd_err_reword(err, "%.*s", QD_STR_ARG(why->text));
    return rc;
}

static int search(batch *b, qd_err *err)
{
    qd_enrich *e = b->e;
    const qd_json_node *root = NULL;
    qd_pair params[] = {{QD_STR("index"), b->index},
                        {QD_STR("preference"), QD_STR("_local")},
                        {QD_STR("allow_partial_search_results"), QD_STR("false")}};
    qd_buf body;
    qd_buf_init(&body, e->a->account, BODY_MAX);
    int rc = write_search(b, &body) ? qd_err_nomem(err, "a look-up") : 0;
    atomic_fetch_add(&e->active, 1);
    if (!rc) rc = qdi_bq_call(e->a, "search", params, 3, qd_buf_view(&body), &b->arena, &root, err);
    atomic_fetch_sub(&e->active, 1);
    atomic_fetch_add(&e->searches, 1);
    qd_buf_fini(&body);
    const qd_json_node *buckets =
        rc ? NULL : qd_json_get(qd_json_get(qd_json_get(root, "aggregations"), "v"), "buckets");
    if (rc) return tell_cause(b, rc, err);
    if (!buckets) return qd_err_set(err, QD_E_INTERNAL, "a look-up has no answer");
    for (const qd_json_node *k = buckets ? buckets->first : NULL; k && !rc; k = k->next) {
        int64_t i;
        if (!qd_str_i64(k->key, &i) || i < 0 || i >= b->n) continue;
        qd_str found = sources_of(b, k);
        if (!found.p) return qd_err_nomem(err, "a look-up");
        qdi_enrich_cache_put(e->cache, b->keys[i], found);
        for (uint32_t j = (uint32_t)i; j < b->n && !rc; j++)
            if (!b->found[j] && b->same[j] == i) rc = take(b, j, found, err);
    }
    return rc;
}

/* What the cache has, and which of the others are the same. true: a search is needed. */
static int ask_cache(batch *b, const char *uuid, bool *needed, qd_err *err)
{
    *needed = false;
    for (uint32_t i = 0; i < b->n; i++) {
        qd_ingest_lookup *k = &b->looks[i];
        b->keys[i] = qd_arena_printf(&b->arena, "%s %u %.*s", uuid, b->max, QD_STR_ARG(k->value));
        if (!b->keys[i].p) return qd_err_nomem(err, "a look-up");
        b->same[i] = i;
        for (uint32_t j = 0; j < i && b->same[i] == i; j++)
            if (!b->found[j] && qd_str_eq(b->keys[j], b->keys[i])) b->same[i] = j;
        b->found[i] =
            b->same[i] == i && qdi_enrich_cache_get(b->e->cache, b->keys[i], k->arena, &k->found);
        *needed |= !b->found[i];
    }
    return 0;
}

/* Once with the state of now. *gone: the index went while it was asked, as a new one took over. */
static int look_up(batch *b, qd_str policy, bool *gone, qd_err *err)
{
    enrich_policy p;
    bool needed;
    *gone = false;
    qd_state *s = qd_cluster_state(b->e->a->cluster);
    const qd_index_meta *m = qdi_enrich_index(s, policy);
    int rc = m ? qdi_enrich_policy_get(s, policy, &b->arena, &p, err) : no_index(policy, err);
    if (!rc) {
        b->index = qd_arena_str(&b->arena, m->name);
        b->field = p.match_field;
        rc = ask_cache(b, m->uuid, &needed, err);
    }
    qd_state_unref(s);
    if (rc || !needed) return rc;
    rc = search(b, err);
    if (rc) {
        s = qd_cluster_state(b->e->a->cluster);
        m = qdi_enrich_index(s, policy);
        *gone = m && !qd_str_eq(m->name, b->index);
        qd_state_unref(s);
    }
    return rc;
}

/* Twice at most: an execution may have put another index in the place of the first. */
static int look_up_now(batch *b, qd_str policy, qd_err *err)
{
    qd_err why;
    bool gone;
    qd_err_init(&why);
    int rc = look_up(b, policy, &gone, &why);
    if (rc && gone) {
        qd_err_fini(&why);
        memset(b->found, 0, sizeof b->found);
        rc = look_up(b, policy, &gone, &why);
    }
    if (rc && err) qd_err_copy(err, &why);
    qd_err_fini(&why);
    return rc;
}

/* Each value for itself: one that the field cannot have fails its own document alone. */
static void look_up_each(const batch *all, qd_str policy)
{
    for (uint32_t i = 0; i < all->n; i++) {
        batch one = {.e = all->e, .max = all->max, .n = 1, .looks = &all->looks[i]};
        if (all->found[i]) continue;
        qd_arena_init(&one.arena, one.e->a->account, 0);
        all->looks[i].rc = look_up_now(&one, policy, all->looks[i].err);
        qd_arena_fini(&one.arena);
    }
}

int qdi_enrich_lookup(void *arg, qd_task *task, qd_str policy, uint32_t max,
                      qd_ingest_lookup *looks, uint32_t n, qd_err *err)
{
    batch b = {.e = arg, .max = max, .n = n, .looks = looks};
    qd_err why;
    qd_assert(n <= QD_INGEST_BATCH);
    int rc = qd_task_poll(task) ? qd_task_check(task, err) : 0;
    if (rc) return rc;
    qd_arena_init(&b.arena, b.e->a->account, 0);
    qd_err_init(&why);
    rc = look_up_now(&b, policy, &why);
    if (rc && n > 1 && qd_err_status(&why) == 400) {
        look_up_each(&b, policy);
        rc = 0;
    } else if (rc && err) {
        qd_err_copy(err, &why);
    }
    qd_err_fini(&why);
    qd_arena_fini(&b.arena);
    return rc;
}
