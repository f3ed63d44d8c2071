/*
 * terms_collect.c: terms of byte strings, by ordinals within a segment and by bytes across
 * segments, and of numbers.
 *
 * An ordinal is resolved to a number of its bytes (qdi_strings) when it is first seen in a segment;
 * with one owner, and no children but metrics that fold by ordinal too, ordinals are only counted
 * and resolved once a segment, in ascending order, which the dictionary decodes cheapest; in the
 * only segment of a shard, ordered by counts, just the best ones. With one owner an ordinal, or a
 * number of a narrow column, leads to its bucket by a table of the segment.
 */
#include "aggs/bucket/terms_int.h"
#include "aggs/counts_int.h"
#include "aggs/kernels/kern_int.h"
#include "aggs/sketch/hll_int.h"
#include "automaton/automaton.h"
#include "base/hash.h"
#include "mapping/field.h"
#include "search/ordinals.h"
#include "segment/segment.h"
#include "store/reads.h"

#define UNSEEN UINT32_MAX
#define SKIPPED (UINT32_MAX - 1)
#define TABLE_MAX 65536u /* numbers between a column's bounds that are found by a table */

typedef struct state {
    void *extra; /* of another type that collects so */
    qdi_strings strings;
    qd_automaton *include, *exclude;
    qdi_strings list, not_list;       /* of byte strings */
    int64_t *num_list, *num_not_list; /* of numbers, encoded */
    uint32_t nnum_list, nnum_not_list;
    /* of the leaf */
    uint32_t *term;   /* by ordinal: number of the string, UNSEEN, SKIPPED */
    uint32_t nterm;   /* of a script: ordinals in it, of the whole shard */
    uint32_t *bucket; /* by ordinal, or number - base: the bucket of owner 0, UNSEEN, SKIPPED */
    uint32_t cap_term, cap_bucket, nbucket;
    int64_t base;
    /* Of the whole shard, over several segments: numbers of strings; NULL: they are put into
     * strings */
    const qd_ordinals *shard;
    const uint32_t *number; /* of the leaf's ordinals */
    uint32_t *shard_count;  /* counting without children: documents by number */
    bool counting; /* by ordinal, or number - base; children, if any, fold by these slots */
    qdi_counts count;
    uint32_t *numbers; /* of a batch: number - base */
    uint32_t cap_numbers;
    uint64_t left_out;    /* documents of buckets that cannot be among the best */
    qdi_buckets universe; /* min_doc_count 0: numbers that exist */
} state;

static int no_memory(qdi_aggr *a, qd_err *err)
{
    return qdi_aggs_no_memory(a->shard->account, 64, "terms", err);
}

/* --- include, exclude ------------------------------------------------------------------------- */

static int fill_list(qdi_aggr *a, qdi_strings *to, const qd_str *at, uint32_t n, qd_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t unused;
        uint8_t ip[16];
        qd_str v = at[i];
        if (a->bound->field->value_class == QD_VALUE_IP) {
            if (!qd_ip_parse(v, ip))
                return qd_err_set(err, QD_E_ARG, "'%.*s' is not an IP string literal.",
                                  QD_STR_ARG(v));
            v = (qd_str){(const char *)ip, 16};
        }
        v = qd_field_column_bytes(a->bound->field, v, &a->shard->arena);
        if (!v.p) return no_memory(a, err);
        if (qdi_aggs_strings_put(to, v, &unused)) return no_memory(a, err);
    }
    return 0;
}

static int number_list(qdi_aggr *a, const qd_str *at, uint32_t n, int64_t **out, qd_err *err)
{
    const qd_field *f = a->bound->field;
    *out = qd_arena_alloc(&a->shard->arena, (n + 1) * sizeof **out);
    if (!*out) return no_memory(a, err);
    for (uint32_t i = 0; i < n; i++) {
        double d;
        if (a->bound->values == QDI_I64 && qd_field_whole(f, at[i], &(*out)[i])) continue;
        if (f->dates) {
            int rc = qd_date_math(a->bound->fmt.date, at[i], 0, false, NULL, &(*out)[i], err);
            if (rc) return rc;
        } else if (f->value_class == QD_VALUE_BOOL) {
            (*out)[i] = qd_str_is(at[i], "true");
        } else if (qd_f64_parse_java(at[i], &d)) {
            return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                              QD_STR_ARG(at[i]));
        } else {
            (*out)[i] = qd_field_from_f64(f, d);
        }
    }
    return 0;
}

static int open_include(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    const qdi_include *in = &qdi_terms_of(a->def)->include;
    int rc = 0;
    if (!in->any || !a->bound->field) return 0;
    bool numbers = a->bound->values != QDI_ORD;
    if ((numbers || a->bound->field->value_class == QD_VALUE_IP) &&
        (in->include.p || in->exclude.p))
        return qdi_aggs_execution_error(
            a->shard->bound->tree, err,
            "Aggregation [%.*s] cannot support regular expression style include/exclude settings "
            "as they can only be applied to string fields. Use an array of %s",
            QD_STR_ARG(a->def->name),
            numbers ? "numeric values for include/exclude clauses used to filter numeric fields"
                    : "values for include/exclude clauses");
    if (in->include.p)
        rc = qd_automaton_regexp(in->include, QD_REGEXP_ALL, false, 0, a->shard->account,
                                 &t->include, err);
    if (!rc && in->exclude.p)
        rc = qd_automaton_regexp(in->exclude, QD_REGEXP_ALL, false, 0, a->shard->account,
                                 &t->exclude, err);
    if (rc) return rc;
    if (numbers) {
        t->nnum_list = in->nlist;
        t->nnum_not_list = in->nnot_list;
        rc = number_list(a, in->list, in->nlist, &t->num_list, err);
        return rc ? rc : number_list(a, in->not_list, in->nnot_list, &t->num_not_list, err);
    }
    rc = fill_list(a, &t->list, in->list, in->nlist, err);
    return rc ? rc : fill_list(a, &t->not_list, in->not_list, in->nnot_list, err);
}

static bool string_wanted(const qdi_aggr *a, qd_str v)
{
    const state *t = a->state;
    const qdi_include *in = &qdi_terms_of(a->def)->include;
    uint32_t unused;
    if (!in->any) return true;
    qd_str text = qd_field_column_term(a->bound->field, v);
    if (in->partitions) { /* Elasticsearch: murmur3 with seed 31, Math.floorMod */
        int64_t h = (int32_t)qd_murmur3_32(text.p, text.n, 31), m = in->partitions;
        return ((h % m) + m) % m == in->partition;
    }
    if (t->include && !qd_automaton_match(t->include, text)) return false;
    if (in->has_list && !qdi_aggs_strings_find(&t->list, v, &unused)) return false;
    if (t->exclude && qd_automaton_match(t->exclude, text)) return false;
    return !in->has_not_list || !qdi_aggs_strings_find(&t->not_list, v, &unused);
}

static bool number_wanted(const qdi_aggr *a, int64_t v)
{
    const state *t = a->state;
    const qdi_include *in = &qdi_terms_of(a->def)->include;
    if (!in->any) return true;
    if (in->partitions) {
        int64_t h = (int64_t)qdi_hash_i64((uint64_t)v), m = in->partitions;
        return ((h % m) + m) % m == in->partition;
    }
    bool yes = !in->has_list;
    for (uint32_t i = 0; !yes && i < t->nnum_list; i++) yes = t->num_list[i] == v;
    for (uint32_t i = 0; yes && i < t->nnum_not_list; i++) yes = t->num_not_list[i] != v;
    return yes;
}

/* --- collecting ------------------------------------------------------------------------------- */

/* The shard's ordinals, where names are not needed for anything but the answer. */
static int open_ordinals(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    const qdi_source *s = a->src;
    qd_searcher *searcher = a->shard->o.searcher;
    if (s->has_missing || s->ids || s->script || s->field->slice.n || a->def->min_doc_count == 0 ||
        qdi_terms_of(a->def)->include.any)
        return 0;
    int rc = qd_searcher_ordinals(searcher, s->field->name, a->shard->o.task, &t->shard, err);
    if (rc || !t->shard || !a->single || a->def->nplain) return rc;
    t->shard_count = qd_calloc(a->shard->account, t->shard->n * sizeof *t->shard_count);
    return t->shard_count ? 0 : no_memory(a, err);
}

static int terms_open(qdi_aggr *a, qd_err *err)
{
    state *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    if (!t) return no_memory(a, err);
    qdi_aggs_strings_init(&t->strings, a->shard->account);
    qdi_aggs_strings_init(&t->list, a->shard->account);
    qdi_aggs_strings_init(&t->not_list, a->shard->account);
    t->universe.account = a->shard->account;
    int rc = open_include(a, err);
    if (rc || !a->src || a->bound->values != QDI_ORD) return rc;
    rc = open_ordinals(a, err);
    if (!t->shard) a->src->want_dict = true;
    return rc;
}

/* A table from what a value is in this leaf to its bucket, for one owner. */
static int table_of(qdi_aggr *a, uint32_t n, int64_t base, qd_err *err)
{
    state *t = a->state;
    t->base = base;
    int rc = a->nsubs ? qdi_aggs_slots_begin(a, n, err) : 1;
    if (rc < 0) return rc;
    t->counting = rc;
    if (t->counting) return qdi_counts_reset(&t->count, a->shard->account, n, err);
    rc = qdi_aggs_grow(a->shard->account, &t->bucket, &t->cap_bucket, n, sizeof *t->bucket, err);
    t->nbucket = rc ? 0 : n;
    for (uint32_t i = 0; i < t->nbucket; i++) t->bucket[i] = UNSEEN;
    return rc;
}

static int terms_leaf(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    t->nbucket = 0;
    t->counting = false;
    if (!a->src) return 0;
    t->number = t->shard ? t->shard->of[a->shard->batch.leaf->index] : NULL;
    if (a->bound->values != QDI_ORD) {
        const qd_column_stats *st = a->src->column ? a->src->stats : NULL;
        bool narrow = st && st->min <= st->max && (uint64_t)st->max - (uint64_t)st->min < TABLE_MAX;
        if (!a->single || !narrow || a->src->has_missing || a->src->converted) return 0;
        return table_of(a, (uint32_t)((uint64_t)st->max - (uint64_t)st->min) + 1, st->min, err);
    }
    if (a->src->script) return 0;      /* see terms_of_script */
    uint32_t n = a->src->ordinals + 1; /* and the missing value */
    if (a->single) return table_of(a, n, 0, err);
    int rc = qdi_aggs_grow(a->shard->account, &t->term, &t->cap_term, n, sizeof *t->term, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < n; i++) t->term[i] = UNSEEN;
    return 0;
}

/* The number of an ordinal's string, or SKIPPED. */
static int resolve(qdi_aggr *a, uint32_t ord, uint32_t *out, qd_err *err)
{
    state *t = a->state;
    qd_str v;
    if (t->shard) { /* without a leaf ord is of the shard */
        *out = t->number ? t->number[ord] : ord;
        return 0;
    }
    *out = SKIPPED;
    if (ord < a->src->ordinals && (ord < a->src->lo || ord >= a->src->hi)) return 0;
    int rc = qdi_aggs_source_bytes(a->src, ord, &v, err);
    if (rc) return rc;
    if (!string_wanted(a, v)) return 0;
    return qdi_aggs_strings_put(&t->strings, v, out) ? no_memory(a, err) : 0;
}

/* The bucket of what a value is in this leaf, for owner 0; SKIPPED: it is not wanted. */
static int bucket_of(qdi_aggr *a, uint32_t at, uint32_t *out, qd_err *err)
{
    state *t = a->state;
    int64_t key = t->base + at;
    uint32_t term = 0;
    int rc = 0;
    if (a->bound->values == QDI_ORD) {
        rc = resolve(a, at, &term, err);
        key = term;
    } else if (!number_wanted(a, key)) {
        term = SKIPPED;
    }
    *out = SKIPPED;
    return rc || term == SKIPPED ? rc : qdi_aggs_bucket(a, 0, key, out, err);
}

/* When it is met first. */
static int first_met(qdi_aggr *a, uint32_t at, uint32_t *out, qd_err *err)
{
    int rc = bucket_of(a, at, out, err);
    ((state *)a->state)->bucket[at] = *out;
    return rc;
}

static int numbers_of_batch(qdi_aggr *a, uint32_t below, qd_err *err)
{
    state *t = a->state;
    const qdi_source *s = a->src;
    int rc = qdi_aggs_grow(a->shard->account, &t->numbers, &t->cap_numbers, s->n,
                           sizeof *t->numbers, err);
    if (rc) return rc;
    uint32_t most = qdi_aggs_kernels_get()->offsets(s->v, s->n, t->base, t->numbers);
    return most < below ? 0 : qd_err_set(err, QD_E_CORRUPT, "a value outside its column's bounds");
}

/* Pairs of documents and slots that could not be handed on as they were. */
static int flush_slots(qdi_aggr *a, qd_err *err)
{
    uint32_t n = a->en;
    a->en = 0;
    qdi_counts_add(&((state *)a->state)->count, a->ebucket, n);
    return n ? qdi_aggs_slots_collect(a, a->eidx, a->ebucket, n, err) : 0;
}

/* Children fold by slots: ordinals, or numbers - base. */
static int count_slots(qdi_aggr *a, const uint32_t *idx, const uint32_t *v, uint32_t n, qd_err *err)
{
    state *t = a->state;
    const qdi_source *s = a->src;
    if (!idx && s->one) {
        qdi_counts_add(&t->count, v, n);
        return qdi_aggs_slots_collect(a, NULL, v, n, err);
    }
    int rc = qdi_aggs_source_index(a->shard, a->src, err);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        uint32_t from, to, at = idx ? idx[i] : i;
        qdi_source_doc(s, at, &from, &to);
        for (uint32_t k = from; rc == 0 && k < to; k++) {
            if (k > from && v[k] == v[k - 1]) continue;
            a->eidx[a->en] = at;
            a->ebucket[a->en++] = v[k];
            if (a->en == QDI_EMIT) rc = flush_slots(a, err);
        }
    }
    return rc ? rc : flush_slots(a, err);
}

/* Documents are only counted: by ordinal, or by number - base, of which a document may hold one
 * twice. */
static int count(qdi_aggr *a, const uint32_t *idx, uint32_t n, qd_err *err)
{
    state *t = a->state;
    const qdi_source *s = a->src;
    bool ordinals = a->bound->values == QDI_ORD;
    int rc = ordinals && !idx ? qdi_aggs_source_load(a->shard, a->src, err)
                              : qdi_aggs_source_index(a->shard, a->src, err);
    if (!rc && !ordinals) rc = numbers_of_batch(a, t->count.n, err);
    if (rc) return rc;
    const uint32_t *v = ordinals ? s->o : t->numbers;
    if (a->nsubs) return count_slots(a, idx, v, n, err);
    if (!idx && (ordinals || s->one)) { /* a document's ordinals are a set */
        qdi_counts_add(&t->count, v, s->n);
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from, to;
        qdi_source_doc(s, idx ? idx[i] : i, &from, &to);
        for (uint32_t k = from; k < to; k++)
            if (ordinals || k == from || v[k] != v[k - 1]) t->count.at[v[k]]++;
    }
    return 0;
}

/* By the table, a value a document: the pairs of the whole batch go to the children at once. */
static int pairs_by_table(qdi_aggr *a, const uint32_t *idx, uint32_t n, qd_err *err)
{
    state *t = a->state;
    const qdi_source *s = a->src;
    bool ordinals = a->bound->values == QDI_ORD;
    uint32_t pairs = 0;
    int rc = ordinals ? 0 : numbers_of_batch(a, t->nbucket, err);
    if (rc) return rc;
    const uint32_t *v = ordinals ? s->o : t->numbers;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t doc = idx ? idx[i] : i, at = v[doc], b = t->bucket[at];
        if (QD_UNLIKELY(b == UNSEEN)) {
            rc = first_met(a, at, &b, err);
            if (rc) return rc;
        }
        a->eidx[pairs] = doc;
        a->ebucket[pairs] = b;
        pairs += b != SKIPPED;
    }
    for (uint32_t i = 0; i < pairs; i++) a->buckets.docs[a->ebucket[i]]++;
    a->en = pairs;
    return qdi_aggs_emit_flush(a, err);
}

static int collect_strings(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                           qd_err *err)
{
    state *t = a->state;
    qdi_source *s = a->src;
    int rc;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from, to, bucket, at = idx ? idx[i] : i;
        qdi_source_doc(s, at, &from, &to);
        for (uint32_t k = from; k < to; k++) {
            uint32_t ord = s->o[k], *known = t->nbucket ? &t->bucket[ord] : &t->term[ord];
            uint32_t term = *known;
            if (QD_UNLIKELY(term == UNSEEN)) {
                rc = t->nbucket ? first_met(a, ord, &term, err) : resolve(a, ord, &term, err);
                if (rc) return rc;
                *known = term;
            }
            if (term == SKIPPED) continue;
            bucket = term;
            rc = t->nbucket ? 0 : qdi_aggs_bucket(a, owner ? owner[i] : 0, term, &bucket, err);
            if (rc == 0) rc = qdi_emit(a, at, bucket, err);
            if (rc) return rc;
        }
    }
    return 0;
}

static int collect_numbers(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                           qd_err *err)
{
    qdi_source *s = a->src;
    bool any = qdi_terms_of(a->def)->include.any;
    int rc;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from, to, bucket, at = idx ? idx[i] : i;
        qdi_source_doc(s, at, &from, &to);
        for (uint32_t k = from; k < to; k++) {
            if (k > from && s->v[k] == s->v[k - 1]) continue;
            if (any && !number_wanted(a, s->v[k])) continue;
            rc = qdi_aggs_bucket(a, owner ? owner[i] : 0, s->v[k], &bucket, err);
            if (rc == 0) rc = qdi_emit(a, at, bucket, err);
            if (rc) return rc;
        }
    }
    return 0;
}

/* A script's ordinals are the shard's; each batch may bring new ones. */
static int terms_of_script(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    uint32_t n = a->src->ordinals;
    int rc = qdi_aggs_grow(a->shard->account, &t->term, &t->cap_term, n, sizeof *t->term, err);
    for (; !rc && t->nterm < n; t->nterm++) t->term[t->nterm] = UNSEEN;
    return rc;
}

static int terms_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                         qd_err *err)
{
    state *t = a->state;
    qdi_source *s = a->src;
    if (!s) return 0;
    int rc;
    if (t->counting) return count(a, idx, n, err);
    rc = qdi_aggs_source_index(a->shard, s, err);
    if (!rc && s->script && a->bound->values == QDI_ORD) rc = terms_of_script(a, err);
    if (rc) return rc;
    if (t->nbucket && s->one && n <= QDI_EMIT) return pairs_by_table(a, idx, n, err);
    rc = a->bound->values == QDI_ORD ? collect_strings(a, idx, owner, n, err)
                                     : collect_numbers(a, idx, owner, n, err);
    return rc ? rc : qdi_aggs_emit_flush(a, err);
}

/* Does the order want the greatest counts, and equal ones by key? Then a bucket that many others
 * precede is never seen, and needs no name. */
static bool best_by_count(const qdi_aggr *a)
{
    const qdi_agg *d = a->def;
    const qdi_order *o = d->order;
    return d->norder == 2 && o[0].by == QDI_BY_COUNT && !o[0].ascending && o[1].by == QDI_BY_KEY &&
           o[1].ascending && d->min_doc_count > 0 && qdi_terms_of(d)->shard_min_doc_count <= 1 &&
           !qdi_terms_of(d)->include.any;
}

/* The least count with which an ordinal may be among the best k; *ties: so many of that count are,
 * those of the least ordinals. */
static int least_count(qdi_aggr *a, const uint32_t *counts, uint32_t n, uint32_t k, uint32_t *least,
                       uint32_t *ties, qd_err *err)
{
    uint32_t *heap = qd_alloc(a->shard->account, k * sizeof *heap), used = 0;
    if (!heap) return no_memory(a, err);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t c = counts[i], at;
        if (!c || (used == k && c <= heap[0])) continue;
        if (used < k) { /* up from the end */
            for (at = used++; at && heap[(at - 1) / 2] > c; at = (at - 1) / 2)
                heap[at] = heap[(at - 1) / 2];
        } else { /* down from the top */
            for (at = 0;;) {
                uint32_t child = 2 * at + 1;
                if (child + 1 < k && heap[child + 1] < heap[child]) child++;
                if (child >= k || heap[child] >= c) break;
                heap[at] = heap[child];
                at = child;
            }
        }
        heap[at] = c;
    }
    *least = used == k ? heap[0] : 1;
    *ties = 0;
    for (uint32_t i = 0; i < used; i++) *ties += heap[i] == *least;
    qd_free(heap);
    return 0;
}

/* Documents counted by what values are in the leaf, or in the shard, go to buckets: all of them, or
 * those that can be among the best where this is all there is. */
static int take_counts(qdi_aggr *a, const uint32_t *counts, uint32_t n, bool all, qd_err *err)
{
    state *t = a->state;
    uint32_t k = qdi_terms_of(a->def)->shard_size, least = 1, ties = UINT32_MAX, bucket;
    if (all && best_by_count(a) && !a->src->has_missing && n > k) {
        int rc = least_count(a, counts, n, k, &least, &ties, err);
        if (rc) return rc;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!counts[i]) continue;
        if (counts[i] < least || (counts[i] == least && !ties)) {
            t->left_out += counts[i];
            continue;
        }
        ties -= counts[i] == least;
        int rc = bucket_of(a, i, &bucket, err);
        if (!rc && bucket != SKIPPED) rc = qdi_aggs_slot_take(a, i, counts[i], bucket, err);
        if (rc) return rc;
    }
    return 0;
}

static int terms_leaf_end(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    if (!a->src || !t->counting) return 0;
    if (!a->src->column && !a->src->has_missing) return 0;
    qdi_counts_sum(&t->count);
    if (!t->shard_count)
        return take_counts(a, t->count.at, t->count.n,
                           qd_searcher_leaves(a->shard->o.searcher) == 1, err);
    for (uint32_t i = 0; t->number && i < a->src->ordinals; i++)
        t->shard_count[t->number[i]] += t->count.at[i];
    return 0;
}

/* --- min_doc_count 0 -------------------------------------------------------------------------- */

/* Numbers that exist in a segment. */
static int all_numbers(qdi_aggr *a, const qd_leaf *leaf, qd_err *err)
{
    state *t = a->state;
    qd_column_cursor c;
    qd_column_batch b;
    qd_column_over_range(&c, 0, leaf->docs);
    int rc;
    while ((rc = qd_column_next(a->src->reader, &c, &b, err)) == 1)
        for (uint32_t i = 0; i < b.n; i++) {
            uint32_t unused;
            if (!number_wanted(a, b.values[i])) continue;
            if (qdi_aggs_buckets_put(&t->universe, 0, b.values[i], &unused))
                return no_memory(a, err);
        }
    return rc;
}

static int all_of_leaf(qdi_aggr *a, const qd_leaf *leaf, qd_err *err)
{
    qd_aggs_shard *s = a->shard;
    qd_reads *reads = qd_reads_make(&s->leaf_arena, s->account);
    if (!reads) return no_memory(a, err);
    int rc = qdi_aggs_source_plan(s, a->src, leaf, reads, err);
    if (rc == 0 && a->src->column) {
        rc = qd_reads_fetch(reads, err);
        if (rc == 0) rc = qdi_aggs_source_begin(a->src, err);
        if (rc == 0 && a->bound->values != QDI_ORD) rc = all_numbers(a, leaf, err);
        uint32_t unused, n = a->bound->values == QDI_ORD ? a->src->ordinals : 0;
        for (uint32_t i = 0; rc == 0 && i < n; i++) rc = resolve(a, i, &unused, err);
        if (rc == 0) rc = qd_reads_check(reads, err);
    }
    qd_reads_release(reads);
    return rc;
}

/* All terms of the shard, of segments too that held no hit and so were never begun. */
static int terms_finish(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    const qd_searcher *searcher = a->shard->o.searcher;
    uint32_t unused;
    int rc = 0;
    if (t->shard_count) {
        t->number = NULL;
        return take_counts(a, t->shard_count, t->shard->n, true, err);
    }
    if (a->def->min_doc_count != 0 || !a->src) return 0;
    for (uint32_t i = 0; rc == 0 && i < qd_searcher_leaves(searcher); i++) {
        qd_arena_reset(&a->shard->leaf_arena);
        rc = all_of_leaf(a, qd_searcher_leaf(searcher, i), err);
        if (rc == 0 && a->bound->same_for_all) rc = resolve(a, a->src->ordinals, &unused, err);
        if (rc == 0 && qd_task_stopped(a->shard->o.task)) rc = qd_task_poll(a->shard->o.task);
    }
    return rc;
}

static int terms_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    const state *t = a->state;
    bool strings = a->bound->values == QDI_ORD && !t->shard;
    return qdi_terms_build(a, owner,
                           &(qdi_terms_found){.strings = strings ? &t->strings : NULL,
                                              .shard = t->shard,
                                              .universe = &t->universe,
                                              .left_out = t->left_out},
                           out, err);
}

static void terms_close(qdi_aggr *a)
{
    state *t = a->state;
    if (!t) return;
    qdi_aggs_strings_fini(&t->strings);
    qdi_aggs_strings_fini(&t->list);
    qdi_aggs_strings_fini(&t->not_list);
    qdi_aggs_buckets_fini(&t->universe);
    qd_automaton_free(t->include);
    qd_automaton_free(t->exclude);
    qd_free(t->term);
    qd_free(t->bucket);
    qd_free(t->count.at);
    qd_free(t->numbers);
    qd_free(t->shard_count);
}

void **qdi_terms_extra(qdi_aggr *a)
{
    return &((state *)a->state)->extra;
}

void qdi_terms_found_of(const qdi_aggr *a, qdi_terms_found *out)
{
    const state *t = a->state;
    bool strings = a->bound->values == QDI_ORD && !t->shard;
    *out = (qdi_terms_found){.strings = strings ? &t->strings : NULL, .shard = t->shard};
}

int qdi_terms_key_of(qdi_aggr *a, uint32_t leaf, uint32_t ord, bool *has, int64_t *key, qd_err *err)
{
    const state *t = a->state;
    qd_str v;
    uint32_t number = 0;
    *has = ord >= a->src->lo && ord < a->src->hi;
    if (!*has) return 0;
    if (t->shard) {
        *key = t->shard->of[leaf] ? t->shard->of[leaf][ord] : ord;
        return 0;
    }
    int rc = qdi_aggs_source_bytes(a->src, ord, &v, err);
    *has = !rc && qdi_aggs_strings_find(&t->strings, v, &number);
    *key = number;
    return rc;
}

const qdi_ops qdi_aggs_terms_ops = {.reads = QDI_READS_TABLE,
                                    .open = terms_open,
                                    .leaf = terms_leaf,
                                    .collect = terms_collect,
                                    .leaf_end = terms_leaf_end,
                                    .finish = terms_finish,
                                    .build = terms_build,
                                    .close = terms_close};
