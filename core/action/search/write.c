/* write.c: failures and answers of a search. */
#include "action/api/words.h"
#include "action/search/part_int.h"
#include "action/suggest/suggest_int.h"
#include "base/str.h"
#include "runtime/fiber.h"
#include "search/tree.h"
#include <math.h>
#include <stdio.h>

#define FAILURES_MAX ((size_t)16 << 20)
#define MISSING_MAX ((size_t)1 << 20)
#define HIT_MAX ((size_t)1 << 30)
#define MISSING_NAMED_MAX 100u /* shards that are nowhere */
#define FETCH_FAILED 1         /* a shard has failed only now; its rc and err tell why */

/* --- failures --- */

/* Same index, same error: shown once, as Elasticsearch groups them. */
static bool same_failure(const search_shard *a, const search_shard *b)
{
    return a->index == b->index && a->rc == b->rc &&
           strcmp(qd_err_reason(&a->err), qd_err_reason(&b->err)) == 0;
}

/* A shard that is nowhere is missing from the answer, not a failure with a cause, unless the search
 * fails because of it. */
static bool has_cause(const search_shard *s)
{
    return s->rc && (s->rc != QD_E_NO_SHARD || s->missing);
}

static bool first_of_group(const search_run *x, uint32_t i)
{
    if (!has_cause(&x->shards[i])) return false;
    for (uint32_t k = 0; k < i; k++) {
        if (has_cause(&x->shards[k]) && same_failure(&x->shards[k], &x->shards[i])) return false;
    }
    return true;
}

static void write_failure(const search_run *x, const search_shard *s, qd_json_writer *w)
{
    qd_json_object(w);
    if (s->index && s->index->meta) {
        qd_json_field_int(w, "shard", s->number);
        qd_json_field_str(w, "index", s->index->meta->name);
    } else { /* of a scroll whose node did not answer: it alone knows them */
        qd_json_field_int(w, "shard", -1);
        qd_json_key_c(w, "index");
        qd_json_null(w);
    }
    if (s->missing) {
        qd_json_key_c(w, "node");
        qd_json_null(w);
    } else {
        qd_json_field_str(w, "node", s->target ? s->target->node : x->a->node_id);
    }
    qd_json_key_c(w, "reason");
    qd_error_write(w, &s->err);
    qd_json_object_end(w);
}

static void write_failures(const search_run *x, qd_json_writer *w)
{
    qd_json_array(w);
    for (uint32_t i = 0; i < x->nshards; i++) {
        if (first_of_group(x, i)) write_failure(x, &x->shards[i], w);
    }
    qd_json_array_end(w);
}

void qdi_search_shards_write(const search_run *x, qd_json_writer *w)
{
    bool causes = false;
    uint32_t skipped = 0;
    for (uint32_t i = 0; i < x->nshards; i++) {
        causes |= has_cause(&x->shards[i]);
        skipped += x->shards[i].skipped && !x->shards[i].rc;
    }
    qd_json_key_c(w, "_shards");
    qd_json_object(w);
    qd_json_field_int(w, "total", x->nshards);
    qd_json_field_int(w, "successful", x->nshards - x->failed);
    qd_json_field_int(w, "skipped", skipped);
    qd_json_field_int(w, "failed", x->failed);
    if (causes) {
        qd_json_key_c(w, "failures");
        write_failures(x, w);
    }
    qd_json_object_end(w);
}

/* Errors of Java's own classes come wrapped once more. */
static bool is_plain_java(const qd_err *e)
{
    static const char *const types[] = {
        "illegal_argument_exception", "number_format_exception", "illegal_state_exception",
        "unsupported_operation_exception", "null_pointer_exception"};
    for (size_t i = 0; i < QD_COUNT_OF(types); i++) {
        if (strcmp(qd_err_es_type(e), types[i]) == 0) return true;
    }
    return false;
}

static void write_cause(const qd_err *e, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_field_c(w, "type", qd_err_es_type(e));
    qd_json_field_c(w, "reason", qd_err_reason(e));
    qd_json_key_c(w, "caused_by");
    qd_error_write(w, e);
    qd_json_object_end(w);
}

static void write_root_causes(const search_run *x, qd_json_writer *w)
{
    qd_json_array(w);
    for (uint32_t i = 0; i < x->nshards; i++) {
        if (!first_of_group(x, i)) continue;
        qd_err root; /* root causes are shown without causes of their own */
        qd_err_init(&root);
        qd_err_copy(&root, qdi_error_root(&x->shards[i].err));
        if (root.cause) qd_err_fini(root.cause);
        qd_free(root.cause);
        root.cause = NULL;
        qd_error_write(w, &root);
        qd_err_fini(&root);
    }
    qd_json_array_end(w);
}

static void add_detail(qd_err *err, const char *key, qd_buf *b)
{
    if (!qd_buf_status(b)) qd_err_detail_raw(err, key, qd_buf_view(b));
    qd_buf_reset(b);
}

/* Shards without a copy, where the client wants all or nothing; false: there is none. */
static bool name_missing(const search_run *x, qd_buf *b)
{
    for (uint32_t i = 0; i < x->nshards && !x->r->allow_partial; i++) {
        const search_shard *s = &x->shards[i];
        if (!s->rc || has_cause(s) || !s->index) continue; /* of a scroll: not known here */
        (void)qd_buf_printf(b, "%s[%.*s][%u]", b->n ? ", " : "", QD_STR_ARG(s->index->meta->name),
                            s->number);
    }
    return b->n && !qd_buf_status(b);
}

static int reason(const search_run *x, qd_err *err)
{
    qd_buf b;
    qd_buf_init(&b, x->a->account, MISSING_MAX);
    bool missing = name_missing(x, &b);
    int rc = missing
                 ? qd_err_set(err, QD_E_SEARCH_PHASE,
                              "Search rejected due to missing shards [%s]. Consider using "
                              "`allow_partial_search_results` setting to bypass this error.",
                              b.p)
                 : qd_err_set(err, QD_E_SEARCH_PHASE,
                              x->failed == x->nshards || x->nrefs == 0 ? "all shards failed"
                                                                       : "Partial shards failure");
    qd_buf_fini(&b);
    return rc;
}

/* Why it has no copy that serves: what is known of the primary's place. */
static void tell_missing(const search_run *x, search_shard *s)
{
    char number[16];
    const qd_index_meta *m = s->index->meta;
    const qd_shard_meta *now = x->state ? qd_state_shard(x->state, m, s->number) : NULL;
    const qd_copy *primary = now ? qd_shard_meta_primary(now) : NULL;
    const char *why = primary ? qd_unassigned_reason_name(primary->reason) : "INDEX_CREATED";
    if (primary && qd_copy_is_active(primary)) {
        qd_err_wrap(&s->err, QD_E_NO_SHARD, "[%.*s][%u] no copy of the shard answers",
                    QD_STR_ARG(m->name), s->number);
    } else {
        qd_err_fini(&s->err);
        qd_err_init(&s->err);
        qd_str text = primary ? primary->failure : (qd_str){NULL, 0};
        qd_err_set(&s->err, QD_E_NO_SHARD, "[%.*s][%u] shard not allocated: %s, %s%s%.*s",
                   QD_STR_ARG(m->name), s->number,
                   primary && qd_copy_is_assigned(primary) ? "its primary is being opened"
                                                           : "its primary is unassigned",
                   why ? why : "", text.n ? ": " : "", QD_STR_ARG(text));
    }
    int n = snprintf(number, sizeof number, "%u", s->number);
    qd_err_detail_str(&s->err, "index_uuid", qd_str_c(m->uuid));
    qd_err_detail_str(&s->err, "shard", (qd_str){number, (size_t)n});
    qd_err_detail_str(&s->err, "index", m->name);
    s->missing = true;
}

/* No shard has a cause of its own: the answer names those that are nowhere, the first of many. */
static void tell_all_missing(search_run *x)
{
    uint32_t named = 0;
    for (uint32_t i = 0; i < x->nshards; i++) {
        if (has_cause(&x->shards[i])) return;
    }
    for (uint32_t i = 0; i < x->nshards && named < MISSING_NAMED_MAX; i++) {
        search_shard *s = &x->shards[i];
        if (!s->rc || !s->index || !s->index->meta) continue;
        tell_missing(x, s);
        named++;
    }
}

int qdi_search_failed(search_run *x, qd_err *err)
{
    const qd_err *first = NULL;
    int status = 503;
    qd_json_writer w;
    qd_buf b;
    for (uint32_t i = 0; i < x->nshards; i++) {
        const search_shard *s = &x->shards[i];
        if (!has_cause(s)) continue;
        int own = qd_err_status(&s->err);
        if (!first || own >= 500) status = own;
        if (!first) first = &s->err;
    }
    int rc = reason(x, err);
    tell_all_missing(x);
    qd_err_type(err, "search_phase_execution_exception", status);
    qd_buf_init(&b, x->a->account, FAILURES_MAX);
    qd_json_writer_init(&w, &b, false);
    write_root_causes(x, &w);
    add_detail(err, QD_ERR_ROOT_CAUSE, &b);
    qd_err_detail_str(err, "phase", QD_STR("query"));
    qd_err_detail_raw(err, "grouped", QD_STR("true"));
    qd_json_writer_init(&w, &b, false);
    write_failures(x, &w);
    add_detail(err, "failed_shards", &b);
    const qd_err *root = first ? qdi_error_root(first) : NULL;
    if (first &&
        (root != first || is_plain_java(first))) { /* said once more, as Elasticsearch does */
        qd_json_writer_init(&w, &b, false);
        if (root != first)
            qd_error_write(&w, root);
        else
            write_cause(first, &w);
        add_detail(err, "caused_by", &b);
    }
    qd_buf_fini(&b);
    return rc;
}

/* --- the answer --- */

/* The hits of one shard among those shown, in a row. */
typedef struct group {
    search_hits hits;
    search_hit *copy;
    uint32_t room;
} group;

typedef struct group_fan {
    search_run *x;
    group *groups;
} group_fan;

static void fetch_group(void *arg, uint32_t i)
{
    group_fan *f = arg;
    search_shard *s = &f->x->shards[i];
    if (f->groups[i].room && !s->target) s->rc = qdi_hits_fetch(&f->groups[i].hits, &s->err);
}

/* Fetches the documents of all shards: at once where the tier waits. */
static int fetch_shards(search_run *x, group *groups, qd_err *err)
{
    group_fan f = {x, groups};
    int rc = qdi_targets_fetch(x, err);
    if (rc) return rc;
    if (qdi_search_waits(x->a)) {
        qdi_search_fan(x->a, x->nshards, fetch_group, &f);
    } else {
        for (uint32_t i = 0; i < x->nshards; i++) {
            fetch_group(&f, i);
            if (groups[i].room && x->shards[i].rc) break;
        }
    }
    for (uint32_t i = 0; i < x->nshards; i++) {
        if (groups[i].room && x->shards[i].rc) return FETCH_FAILED;
    }
    return 0;
}

static int fetch_groups(search_run *x, group *groups, uint32_t *place, qd_err *err)
{
    for (uint32_t i = 0; i < x->nrefs; i++) groups[x->refs[i].shard - x->shards].room++;
    for (uint32_t i = 0; i < x->nshards; i++) {
        group *g = &groups[i];
        search_shard *s = &x->shards[i];
        if (!g->room || s->target) continue;
        g->copy = qd_arena_alloc(x->arena, g->room * sizeof *g->copy);
        if (!g->copy) return qd_err_nomem(err, "hits");
        g->hits = (search_hits){
            .x = x,
            .index = s->index,
            .shard = s->number,
            .of = s,
            .searcher = s->searcher,
            .show = &x->r->show,
            .keys = s->index->sort.n ? &s->index->sort : NULL,
            .hits = g->copy,
            .scores = !s->index->sort.n || s->index->sort.scores || x->r->track_scores,
            .arena = &s->arena,
            .task = x->task,
            .budget = qdi_search_budget(x, s),
        };
    }
    for (uint32_t i = 0; i < x->nrefs; i++) {
        group *g = &groups[x->refs[i].shard - x->shards];
        if (x->refs[i].shard->target) continue;
        place[i] = g->hits.n;
        g->copy[g->hits.n++] = x->refs[i].shard->hits[x->refs[i].at];
    }
    return fetch_shards(x, groups, err);
}

static void write_total(const search_run *x, qd_json_writer *w)
{
    const search_request *r = x->r;
    if (r->total_as_int) {
        qd_json_field_int(w, "total", r->total ? (int64_t)x->total : -1);
    } else if (r->total || r->total_zero) {
        qd_json_key_c(w, "total");
        qd_json_object(w);
        qd_json_field_int(w, "value", r->total ? (int64_t)x->total : 0);
        qd_json_field_c(w, "relation", x->total_lower_bound || !r->total ? "gte" : "eq");
        qd_json_object_end(w);
    }
}

/* Hit i of those shown; members: of its group's inner hits, n 0: none. */
static int write_hit(search_run *x, uint32_t i, search_hits *h, uint32_t place, qd_str members,
                     qd_json_writer *w, qd_err *err)
{
    search_shard *s = x->refs[i].shard;
    qd_json_writer own;
    qd_buf b;
    if (!s->target && !members.n) {
        s->rc = qdi_hit_write(h, place, w, &s->err);
        return s->rc ? FETCH_FAILED : 0;
    }
    if (!members.n) {
        qd_json_raw_value(w, s->json[x->refs[i].at]);
        return 0;
    }
    if (s->target) return qdi_expand_write(x, s->index, s->json[x->refs[i].at], members, w, err);
    qd_buf_init(&b, x->a->account, HIT_MAX);
    qd_json_writer_init(&own, &b, false);
    s->rc = qdi_hit_write(h, place, &own, &s->err);
    if (!s->rc && qd_buf_status(&b)) s->rc = qd_err_nomem(&s->err, "hits");
    int rc = s->rc ? FETCH_FAILED : qdi_expand_write(x, s->index, qd_buf_view(&b), members, w, err);
    qd_buf_fini(&b);
    return rc;
}

static int write_hits(search_run *x, qd_json_writer *w, qd_err *err)
{
    group *groups = qd_arena_calloc(x->arena, (x->nshards + 1) * sizeof *groups);
    uint32_t *place = qd_arena_alloc(x->arena, (x->nrefs + 1) * sizeof *place);
    if (!groups || !place) return qd_err_nomem(err, "hits");
    const qd_str *inner = NULL;
    int rc = fetch_groups(x, groups, place, err);
    if (!rc) rc = qdi_expand(x, &inner, err);
    if (rc) return rc;
    qd_json_key_c(w, "hits");
    qd_json_object(w);
    write_total(x, w);
    qd_json_key_c(w, "max_score");
    if (!x->nshards) {
        qd_json_double(w, 0);
    } else if (isnan(x->max_score) || (!x->scroll && !x->r->size)) {
        qd_json_null(w);
    } else {
        qd_json_float(w, x->max_score);
    }
    qd_json_key_c(w, "hits");
    qd_json_array(w);
    for (uint32_t i = 0; i < x->nrefs; i++) {
        search_hits *h = &groups[x->refs[i].shard - x->shards].hits;
        rc = write_hit(x, i, h, place[i], inner ? inner[i] : (qd_str){NULL, 0}, w, err);
        if (rc) return rc;
    }
    qd_json_array_end(w);
    qd_json_object_end(w);
    return rc;
}

/* How often Elasticsearch would have reduced: in between when a batch is full, and at the end. */
static uint32_t reduce_phases(const search_run *x)
{
    uint32_t phases = 1, waiting = 0;
    bool partial = false;
    if (!x->r->aggs && !x->had_aggs && !x->r->size) return 1;
    for (uint32_t i = 0; i < x->nshards; i++) {
        if (waiting + partial >= (uint64_t)x->r->batched_reduce_size) {
            phases++;
            waiting = 0;
            partial = true;
        }
        waiting++;
    }
    return phases;
}

static int write_suggest(search_run *x, qd_json_writer *w, qd_err *err)
{
    qd_str *shards = qd_arena_calloc(x->arena, (x->nshards + 1ul) * sizeof *shards);
    if (!shards) return qd_err_nomem(err, "suggestions");
    for (uint32_t i = 0; i < x->nshards; i++)
        if (!x->shards[i].rc) shards[i] = x->shards[i].suggest;
    qd_json_key_c(w, "suggest");
    return qdi_suggest_write(x->r->suggest, shards, x->nshards, x->r->typed_keys, x->arena, w, err);
}

static int write_answer(search_run *x, qd_str scroll_id, qd_json_writer *w, qd_err *err)
{
    uint64_t ns = qd_env_mono_ns(x->a->env) - x->start_ns;
    uint32_t phases = reduce_phases(x);
    if (scroll_id.n) qd_json_field_str(w, "_scroll_id", scroll_id);
    qd_json_field_int(w, "took", (int64_t)(ns / 1000000));
    x->answer_from = w->out->n;
    qd_json_field_bool(w, "timed_out", x->timed_out);
    if (x->r->terminate_after) qd_json_field_bool(w, "terminated_early", x->terminated_early);
    if (phases > 1) qd_json_field_int(w, "num_reduce_phases", phases);
    qdi_search_shards_write(x, w);
    int rc = write_hits(x, w, err);
    if (!rc && x->aggs) {
        qd_json_key_c(w, "aggregations");
        qd_aggs_write(x->aggs, x->r->typed_keys, w);
    }
    if (!rc && x->r->suggest && !x->later) rc = write_suggest(x, w, err);
    if (!rc && x->r->profile) qdi_search_profile_write(x, w);
    return rc;
}

/* Leaves out the hits of shards that have failed. */
static void drop_failed(search_run *x)
{
    uint32_t n = 0;
    x->failed = 0;
    for (uint32_t i = 0; i < x->nshards; i++) {
        x->failed += x->shards[i].rc != 0;
        if (x->shards[i].rc) qdi_words_error(x->a, QDI_WORDS_ANY, &x->shards[i].err);
    }
    for (uint32_t i = 0; i < x->nrefs; i++) {
        if (!x->refs[i].shard->rc) x->refs[n++] = x->refs[i];
    }
    x->nrefs = n;
}

int qdi_search_write(search_run *x, qd_str scroll_id, qd_json_writer *w, qd_err *err)
{
    qd_json_writer before = *w;
    size_t bytes = w->out->n;
    for (;;) {
        int rc = write_answer(x, scroll_id, w, err);
        if (rc != FETCH_FAILED) return rc;
        for (uint32_t i = 0; i < x->nshards; i++) {
            if (x->shards[i].rc != QD_E_CANCELLED) continue;
            qd_err_copy(err, &x->shards[i].err);
            return QD_E_CANCELLED;
        }
        /* what is written is taken back and written again without the shard */
        *w = before;
        w->out->n = bytes;
        uint32_t shown = x->nrefs;
        drop_failed(x);
        if (!x->nrefs || !x->r->allow_partial || x->nrefs == shown) {
            return qdi_search_failed(x, err);
        }
    }
}
