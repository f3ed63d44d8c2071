/*
 * plugin_collect.c: buckets of plugins in a shard. A plugin's keys depend on the value alone: a
 * value gets a small number (its ordinal, its distance from the least of a narrow column, a number
 * of its own, or its place in the batch), and a table leads from there to its keys. The plugin is
 * called for numbers that the table does not know yet, so a call, which costs as much as thousands
 * of values, is rare. Where too many numbers differ, values are gathered and mapped without a
 * table, over several batches unless children wait for the pairs of each (plugin_gather.c).
 */
#include "aggs/bucket/plugin_collect.h"
#include "aggs/bucket/terms_int.h"
#include "aggs/counts_int.h"
#include "aggs/kernels/kern_int.h"
#include "mapping/field.h"

typedef qdi_keys_table table;
typedef qdi_keys_state state;

#define UNSEEN UINT32_MAX
#define NONE (UINT32_MAX - 1)
#define ASKED (UINT32_MAX - 2)
#define SEVERAL 0x80000000u /* and the place of the list: their number, then they */
#define NARROW_MAX 65536u   /* numbers between a column's bounds that have a table */
#define MET_MAX                                                                                    \
    262144u /* numbers that are remembered, and of so many values at least half                    \
               must have been; else the plugin sees all values */
#define ASK_BYTES_MAX ((size_t)8 << 20) /* of texts in a call */

static int no_memory(qdi_aggr *a, qd_err *err)
{
    return qdi_plugin_no_memory(a->shard->account, err);
}

static int buckets_open(qdi_aggr *a, qd_err *err)
{
    state *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    qdi_plugin_scope *s = qdi_plugin_scope_of(a->def);
    if (!t) return no_memory(a, err);
    qdi_aggs_strings_init(&t->strings, a->shard->account);
    t->keys.account = a->shard->account;
    t->kind = qdi_plugin_keys_kind(a->def, a->bound->values);
    if (!a->src) return 0;
    if (a->bound->values == QDI_ORD) a->src->want_dict = true;
    int rc = qdi_plugin_open(s, a->shard->account, a->shard->o.task, &t->x, err);
    if (rc) return rc;
    static const uint32_t types[] = {0, QD_AGGREGATION_I64, QD_AGGREGATION_F64,
                                     QD_AGGREGATION_TEXT};
    t->x->type = types[a->bound->values];
    t->x->key_type = types[t->kind];
    return 0;
}

/* --- what a value is -------------------------------------------------------------------------- */

static int table_reset(qdi_aggr *a, table *b, uint32_t n, qd_err *err)
{
    int rc = qdi_aggs_grow(a->shard->account, &b->of, &b->cap, n, sizeof *b->of, err);
    b->n = rc ? 0 : n;
    b->nlists = 0;
    for (uint32_t i = 0; i < b->n; i++) b->of[i] = UNSEEN;
    return rc;
}

/* The table of a leaf, and counters where documents may be only counted. */
static int leaf_table(qdi_aggr *a, uint32_t n, qd_err *err)
{
    state *t = a->state;
    int rc = table_reset(a, &t->leaf, n, err);
    t->counts = rc == 0 && a->single && !a->nsubs;
    return t->counts ? qdi_counts_reset(&t->count, a->shard->account, n, err) : rc;
}

static int buckets_leaf(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    const qdi_source *s = a->src;
    t->batch = 0;
    t->counts = false;
    if (!s) return 0;
    t->table = &t->leaf;
    if (a->bound->values == QDI_ORD) return leaf_table(a, s->ordinals + 1, err);
    const qd_column_stats *st = s->column ? s->stats : NULL;
    t->narrow = st && st->min <= st->max && !s->has_missing && !s->converted &&
                (uint64_t)st->max - (uint64_t)st->min < NARROW_MAX;
    if (t->narrow) {
        t->base = st->min;
        return leaf_table(a, (uint32_t)((uint64_t)st->max - (uint64_t)st->min) + 1, err);
    }
    t->table = &t->always;
    return 0;
}

static int met_grow(qdi_keys_met *m, qd_account *account, qd_err *err)
{
    uint32_t size = m->slots ? (m->mask + 1) * 2 : 256;
    int rc = qdi_aggs_grow(account, &m->v, &m->cap, size / 2, sizeof *m->v, err);
    if (!rc) rc = qdi_aggs_grow(account, &m->docs, &m->cap_docs, size / 2, sizeof *m->docs, err);
    struct qdi_keys_slot *slots = rc ? NULL : qd_calloc(account, size * sizeof *slots);
    if (!rc && !slots) rc = qdi_plugin_no_memory(account, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < m->n; i++) {
        uint32_t h = qdi_keys_met_hash(m->v[i], size - 1);
        while (slots[h].at) h = (h + 1) & (size - 1);
        slots[h] = (struct qdi_keys_slot){.v = m->v[i], .at = i + 1};
    }
    qd_free(m->slots);
    m->slots = slots;
    m->mask = size - 1;
    return 0;
}

int qdi_keys_met_put(qdi_keys_met *m, qd_account *account, int64_t v, uint32_t *at, qd_err *err)
{
    if (!m->slots || m->n >= (m->mask + 1) / 2) {
        int rc = met_grow(m, account, err);
        if (rc) return rc;
    }
    uint32_t h = qdi_keys_met_hash(v, m->mask);
    for (; m->slots[h].at; h = (h + 1) & m->mask)
        if (m->slots[h].v == v) {
            *at = m->slots[h].at - 1;
            return 0;
        }
    m->slots[h] = (struct qdi_keys_slot){.v = v, .at = m->n + 1};
    m->v[m->n] = v;
    *at = m->n++;
    return 0;
}

/* The table of those met, after n more; are they worth it? */
static int met_table(qdi_aggr *a, uint32_t n, qd_err *err)
{
    state *t = a->state;
    table *b = &t->always;
    t->tried += n;
    t->direct = t->met.n > MET_MAX || (t->tried >= MET_MAX && t->met.n > t->tried / 2);
    int rc = qdi_aggs_grow(a->shard->account, &b->of, &b->cap, t->met.n, sizeof *b->of, err);
    for (; rc == 0 && b->n < t->met.n; b->n++) b->of[b->n] = UNSEEN;
    return rc;
}

static int meet(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    const qdi_source *s = a->src;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < s->n; i++) {
        if (i + QDI_KEYS_AHEAD < s->n) qdi_keys_met_ahead(&t->met, s->v[i + QDI_KEYS_AHEAD]);
        rc = qdi_keys_met_find(&t->met, a->shard->account, s->v[i], &t->numbers[i], err);
    }
    return rc ? rc : met_table(a, s->n, err);
}

/* The same where documents are only counted: by the numbers of their values. */
static int meet_and_count(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    const qdi_source *s = a->src;
    int rc = 0;
    for (uint32_t i = 0, at; rc == 0 && i < s->n; i++) {
        if (i + QDI_KEYS_AHEAD < s->n) qdi_keys_met_ahead(&t->met, s->v[i + QDI_KEYS_AHEAD]);
        rc = qdi_keys_met_find(&t->met, a->shard->account, s->v[i], &at, err);
        if (rc == 0) t->met.docs[at]++;
    }
    return rc ? rc : met_table(a, s->n, err);
}

/* What the values of the present batch are: t->at. */
static int number_batch(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    const qdi_source *s = a->src;
    if (t->batch == a->shard->batch.number) return 0;
    t->batch = a->shard->batch.number;
    t->at = s->o;
    if (a->bound->values == QDI_ORD) return 0;
    int rc = qdi_aggs_grow(a->shard->account, &t->numbers, &t->cap_numbers, s->n,
                           sizeof *t->numbers, err);
    if (rc) return rc;
    t->at = t->numbers;
    if (t->narrow) {
        uint32_t most = qdi_aggs_kernels_get()->offsets(s->v, s->n, t->base, t->numbers);
        return most < t->leaf.n || !s->n
                   ? 0
                   : qd_err_set(err, QD_E_CORRUPT, "a value outside its column's bounds");
    }
    return meet(a, err);
}

/* --- asking the plugin ------------------------------------------------------------------------ */

static int ask_texts(qdi_aggr *a, const uint32_t *at, uint32_t n, uint32_t *used, qd_err *err)
{
    state *t = a->state;
    qdi_plugin_call *x = t->x;
    uint32_t k = 0;
    int rc = qdi_aggs_grow(x->account, &x->parts, &t->room_parts, n, sizeof(qd_str), err);
    x->in.n = 0;
    for (; rc == 0 && k < n && x->in.n < ASK_BYTES_MAX; k++) {
        rc = qdi_aggs_source_bytes(a->src, at[k], &x->parts[k], err);
        if (rc == 0 && x->parts[k].n && qd_buf_str(&x->in, x->parts[k])) rc = no_memory(a, err);
    }
    const char *from = x->in.p;
    for (uint32_t i = 0; rc == 0 && i < k; i++) { /* the buffer may have moved since */
        x->parts[i].p = from;
        from += x->parts[i].n;
    }
    *used = k;
    return rc;
}

static int ask_numbers(qdi_aggr *a, const uint32_t *at, uint32_t n, qd_err *err)
{
    state *t = a->state;
    qdi_plugin_call *x = t->x;
    bool reals = x->type == QD_AGGREGATION_F64;
    int rc = reals ? qdi_aggs_grow(x->account, &x->values, &t->room_values, n, 8, err)
                   : qdi_aggs_grow(x->account, &x->numbers, &t->room_numbers, n, 8, err);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        int64_t v = t->narrow ? t->base + at[i] : t->met.v[at[i]];
        if (reals)
            x->values[i] = qd_field_f64(a->src->field, v);
        else
            x->numbers[i] = v;
    }
    return rc;
}

/* What a table keeps of a key: a bucket of the only owner, or a number. */
static int entry_of(qdi_aggr *a, uint32_t i, uint32_t *out, qd_err *err)
{
    state *t = a->state;
    int64_t key;
    int rc = qdi_keys_number(t, i, &key, err);
    if (rc) return rc;
    if (a->single) return qdi_aggs_bucket(a, 0, key, out, err);
    *out = (uint32_t)key;
    if (t->kind == QDI_ORD) return 0;
    return qdi_aggs_buckets_put(&t->keys, 0, key, out) ? no_memory(a, err) : 0;
}

/* The keys from i to j of one value go to its place in the table. */
static int learn_one(qdi_aggr *a, uint32_t at, uint32_t i, uint32_t j, qd_err *err)
{
    const state *t = a->state;
    table *b = t->table;
    if (j - i == 1) return entry_of(a, i, &b->of[at], err);
    uint64_t want = (uint64_t)b->nlists + 1 + (j - i);
    if (want >= NONE - SEVERAL) return no_memory(a, err);
    int rc = qdi_aggs_grow(a->shard->account, &b->lists, &b->cap_lists, (uint32_t)want, 4, err);
    if (rc) return rc;
    b->of[at] = SEVERAL | b->nlists;
    b->lists[b->nlists++] = j - i;
    for (; rc == 0 && i < j; i++) rc = entry_of(a, i, &b->lists[b->nlists++], err);
    return rc;
}

/* Asks for n of the values that are to be asked for, at most; *used of them were. */
static int ask_some(qdi_aggr *a, const uint32_t *at, uint32_t n, uint32_t *used, qd_err *err)
{
    state *t = a->state;
    if (!t->x) return qdi_plugin_gone(err);
    *used = n;
    int rc =
        a->bound->values == QDI_ORD ? ask_texts(a, at, n, used, err) : ask_numbers(a, at, n, err);
    if (rc) return rc;
    t->x->n = *used;
    rc = qdi_plugin_keys_ask(&t->x, a->shard->o.task, err);
    if (rc) return rc;
    for (uint32_t k = 0; k < *used; k++) t->table->of[at[k]] = NONE;
    for (uint32_t i = 0, j; rc == 0 && i < t->x->nkeys; i = j) {
        uint32_t of = t->x->key_of[i];
        for (j = i + 1; j < t->x->nkeys && t->x->key_of[j] == of; j++) {}
        rc = learn_one(a, at[of], i, j, err);
    }
    return rc;
}

static int ask_all(qdi_aggr *a, qd_err *err)
{
    const state *t = a->state;
    int rc = qdi_keys_flush(a, err); /* its values stand where those asked for will */
    for (uint32_t i = 0, used = 0; rc == 0 && i < t->nask; i += used) {
        uint32_t most = t->nask - i;
        if (most > QDI_PLUGIN_VALUES_MAX) most = QDI_PLUGIN_VALUES_MAX;
        rc = ask_some(a, t->ask + i, most, &used, err);
    }
    return rc;
}

/* Learns the keys of all values of pairs from number `from` on. */
static int learn(qdi_aggr *a, const uint32_t *idx, uint32_t from, uint32_t n, qd_err *err)
{
    state *t = a->state;
    const qdi_source *s = a->src;
    uint32_t *of = t->table->of;
    int rc = qdi_aggs_grow(a->shard->account, &t->ask, &t->cap_ask, s->n, sizeof *t->ask, err);
    t->nask = 0;
    for (uint32_t i = from; rc == 0 && i < n; i++) {
        uint32_t k, to;
        for (qdi_source_doc(s, idx ? idx[i] : i, &k, &to); k < to; k++) {
            uint32_t at = t->at[k];
            if (of[at] != UNSEEN) continue;
            of[at] = ASKED;
            t->ask[t->nask++] = at;
        }
    }
    return rc ? rc : ask_all(a, err);
}

/* --- collecting ------------------------------------------------------------------------------- */

static inline int bucket_of(qdi_aggr *a, uint32_t owner, uint32_t entry, uint32_t *out, qd_err *err)
{
    const state *t = a->state;
    *out = entry;
    if (a->single) return 0;
    return qdi_aggs_bucket(a, owner, t->kind == QDI_ORD ? (int64_t)entry : t->keys.key[entry], out,
                           err);
}

int qdi_keys_emit_once(qdi_aggr *a, uint32_t doc, uint32_t bucket, qd_err *err)
{
    state *t = a->state;
    int rc = qdi_aggs_grow(a->shard->account, &t->seen, &t->cap_seen, a->buckets.n, sizeof *t->seen,
                           err);
    if (rc || t->seen[bucket] == t->pair) return rc;
    t->seen[bucket] = t->pair;
    return qdi_emit(a, doc, bucket, err);
}

static int emit_entry(qdi_aggr *a, uint32_t doc, uint32_t owner, uint32_t entry, qd_err *err)
{
    uint32_t bucket;
    int rc = bucket_of(a, owner, entry, &bucket, err);
    return rc ? rc : qdi_keys_emit_once(a, doc, bucket, err);
}

/* A document of several values or keys. */
static int collect_several(qdi_aggr *a, uint32_t doc, uint32_t owner, uint32_t from, uint32_t to,
                           qd_err *err)
{
    state *t = a->state;
    int rc = 0;
    t->pair++;
    for (uint32_t k = from; rc == 0 && k < to; k++) {
        uint32_t e = t->table->of[t->at[k]];
        if (e == NONE) continue;
        if (e < SEVERAL) {
            rc = emit_entry(a, doc, owner, e, err);
            continue;
        }
        uint32_t first = (e & ~SEVERAL) + 1, m = t->table->lists[first - 1];
        for (uint32_t i = 0; rc == 0 && i < m; i++)
            rc = emit_entry(a, doc, owner, t->table->lists[first + i], err);
    }
    return rc;
}

/* Documents counted by a value go to the buckets of its keys. */
static int give(qdi_aggr *a, uint32_t at, uint64_t docs, qd_err *err)
{
    state *t = a->state;
    uint32_t e = t->table->of[at], first = 0, m = 1;
    if (e == NONE) return 0;
    if (e < SEVERAL) {
        a->buckets.docs[e] += docs;
        return 0;
    }
    first = (e & ~SEVERAL) + 1;
    m = t->table->lists[first - 1];
    int rc = qdi_aggs_grow(a->shard->account, &t->seen, &t->cap_seen, a->buckets.n, sizeof *t->seen,
                           err);
    t->pair++;
    for (uint32_t i = 0; rc == 0 && i < m; i++) {
        uint32_t bucket = t->table->lists[first + i];
        if (t->seen[bucket] != t->pair) a->buckets.docs[bucket] += docs;
        t->seen[bucket] = t->pair;
    }
    return rc;
}

/* Documents counted by values' numbers below n, in one array or the other, go to buckets. */
static int give_all(qdi_aggr *a, uint32_t n, const uint32_t *few, const uint64_t *many, qd_err *err)
{
    state *t = a->state;
    int rc = qdi_aggs_grow(a->shard->account, &t->ask, &t->cap_ask, n, sizeof *t->ask, err);
    t->nask = 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++)
        if ((few ? few[i] : many[i]) && t->table->of[i] == UNSEEN) t->ask[t->nask++] = i;
    if (rc == 0) rc = ask_all(a, err);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        uint64_t docs = few ? few[i] : many[i];
        if (docs) rc = give(a, i, docs, err);
    }
    return rc;
}

static int buckets_leaf_end(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    if (!t->counts) return 0;
    qdi_counts_sum(&t->count);
    return give_all(a, t->leaf.n, t->count.at, NULL, err);
}

static int buckets_finish(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    if (!a->src) return 0;
    t->narrow = false;
    t->table = &t->always;
    int rc = t->met_counts ? give_all(a, t->met.n, NULL, t->met.docs, err) : 0;
    return rc ? rc : qdi_keys_flush(a, err);
}

/* With children, a value and a key a document: pairs wait for their children until there is no more
 * room. */
static int pairs(qdi_aggr *a, const uint32_t *idx, uint32_t from, uint32_t n, uint32_t *done,
                 qd_err *err)
{
    const state *t = a->state;
    const uint32_t *of = t->table->of, *at = t->at;
    uint32_t first = a->en, k = first;
    for (; from < n && k < QDI_EMIT; from++) {
        uint32_t doc = idx ? idx[from] : from, e = of[at[doc]];
        if (QD_UNLIKELY(e >= SEVERAL) && e != NONE) break;
        a->eidx[k] = doc;
        a->ebucket[k] = e;
        k += e != NONE;
    }
    for (uint32_t i = first; i < k; i++) a->buckets.docs[a->ebucket[i]]++;
    *done = from;
    a->en = k;
    return k < QDI_EMIT ? 0 : qdi_aggs_emit_flush(a, err);
}

static int collect_pairs(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                         qd_err *err)
{
    const state *t = a->state;
    const qdi_source *s = a->src;
    bool at_once = a->single && s->one && a->nsubs && n <= QDI_EMIT;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        uint32_t k, from, to, bucket;
        if (at_once) rc = pairs(a, idx, i, n, &i, err);
        if (rc || i == n) return rc;
        uint32_t own = owner ? owner[i] : 0, doc = idx ? idx[i] : i;
        qdi_source_doc(s, doc, &from, &to);
        for (k = from; k < to && t->table->of[t->at[k]] != UNSEEN; k++) {}
        if (QD_UNLIKELY(k < to)) rc = learn(a, idx, i, n, err);
        if (rc || from == to) continue;
        uint32_t e = t->table->of[t->at[from]];
        if (QD_UNLIKELY(to - from > 1 || (e >= SEVERAL && e != NONE))) {
            rc = collect_several(a, doc, own, from, to, err);
        } else if (e != NONE) {
            rc = bucket_of(a, own, e, &bucket, err);
            if (rc == 0) rc = qdi_emit(a, doc, bucket, err);
        }
    }
    return rc;
}

static int buckets_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                           qd_err *err)
{
    state *t = a->state;
    const qdi_source *s = a->src;
    if (!s) return 0;
    if (!t->x) return qdi_plugin_gone(err);
    int rc = qdi_aggs_source_index(a->shard, a->src, err);
    if (rc) return rc;
    bool remembered = a->bound->values == QDI_ORD || t->narrow || !t->direct ||
                      t->batch == a->shard->batch.number;
    bool counts = a->single && !a->nsubs && !idx && s->one;
    if (!remembered) {
        rc = qdi_keys_gather(a, idx, owner, n, err);
    } else if (counts && !t->counts) {
        t->met_counts = true;
        return meet_and_count(a, err);
    } else {
        rc = number_batch(a, err);
        if (rc == 0 && counts) {
            qdi_counts_add(&t->count, t->at, s->n);
            return 0;
        }
        if (rc == 0) rc = collect_pairs(a, idx, owner, n, err);
    }
    return rc ? rc : qdi_aggs_emit_flush(a, err);
}

static int buckets_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    const state *t = a->state;
    qdi_plugin_keys_mark(out);
    if (a->src) out->kind = (uint8_t)t->kind;
    return qdi_terms_build(
        a, owner,
        &(qdi_terms_found){.strings = t->kind == QDI_ORD ? &t->strings : NULL, .sortable = true},
        out, err);
}

static void buckets_close(qdi_aggr *a)
{
    state *t = a->state;
    if (!t) return;
    qdi_plugin_close(t->x);
    qdi_aggs_strings_fini(&t->strings);
    qdi_aggs_buckets_fini(&t->keys);
    qd_free(t->met.slots);
    qd_free(t->met.v);
    qd_free(t->met.docs);
    qd_free(t->leaf.of);
    qd_free(t->leaf.lists);
    qd_free(t->always.of);
    qd_free(t->always.lists);
    qd_free(t->numbers);
    qd_free(t->ask);
    qd_free(t->seen);
    qd_free(t->count.at);
    qd_free(t->pair_end);
    qd_free(t->pair_doc);
    qd_free(t->pair_owner);
}

const qdi_ops qdi_aggs_plugin_buckets_ops = {.reads = QDI_READS_TABLE,
                                             .open = buckets_open,
                                             .leaf = buckets_leaf,
                                             .collect = buckets_collect,
                                             .leaf_end = buckets_leaf_end,
                                             .finish = buckets_finish,
                                             .build = buckets_build,
                                             .close = buckets_close};
