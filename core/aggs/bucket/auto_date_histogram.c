/*
 * auto_date_histogram.c: auto_date_histogram: at most `buckets` intervals of time, of a length that
 * the values decide. The rules by which a length is chosen are Elasticsearch's.
 *
 * A shard rounds by the finest unit that does and goes on to the next one when an owner has too
 * many buckets, or they are too far apart; buckets of before keep their keys, since each lies
 * within one interval of the coarser unit. The reduce brings all to one unit, and in the end joins
 * neighbours.
 */
#include "aggs/bucket/histogram_int.h"

#define UNITS 6u
#define STEPS_MAX 6u
#define YEARS_MAX 65536u /* of an answer, without search.max_buckets */

/* A unit, and how many of it may make an interval. */
static const struct {
    const char *name;
    char letter;
    qd_date_unit unit;
    int64_t ms, fixed; /* about; of units of one length */
    uint8_t steps[STEPS_MAX];
} units[UNITS] = {{"second", 's', QD_UNIT_SECOND, 1000, 1000, {1, 5, 10, 30}},
                  {"minute", 'm', QD_UNIT_MINUTE, 60000, 60000, {1, 5, 10, 30}},
                  {"hour", 'h', QD_UNIT_HOUR, 3600000, 3600000, {1, 3, 12}},
                  {"day", 'd', QD_UNIT_DAY, 86400000, 0, {1, 7}},
                  {"month", 'M', QD_UNIT_MONTH, 2592000000, 0, {1, 3}},
                  {"year", 'y', QD_UNIT_YEAR, 31536000000, 0, {1, 5, 10, 20, 50, 100}}};

typedef struct autos {
    qdi_rounding by[UNITS];
    int64_t most;   /* buckets */
    uint8_t finest; /* unit */
} autos;

static autos *autos_of(const qdi_agg *a)
{
    return a->params;
}

typedef struct value {
    uint8_t unit, step;
} value;

static value *value_of(const qdi_out *o)
{
    return o->value;
}

/* The most units of an interval. */
static int64_t widest(uint32_t unit)
{
    int64_t most = 1;
    for (uint32_t i = 0; i < STEPS_MAX; i++)
        if (units[unit].steps[i] > most) most = units[unit].steps[i];
    return most;
}

/* --- parsing ---------------------------------------------------------------------------------- */

static int read_finest(qdi_parse *p, qdi_agg *a)
{
    const qd_json_node *m = qd_json_get(a->json, "minimum_interval");
    if (!m || m->type == QD_JSON_T_NULL) return 0;
    if (m->type != QD_JSON_T_STRING) return qdi_aggs_wrong_type(p, a->type->name, m);
    for (uint8_t i = 0; i < UNITS; i++) {
        if (!qd_str_is(m->text, units[i].name)) continue;
        autos_of(a)->finest = i;
        return 0;
    }
    return qdi_aggs_setter_arg(
        p, a, m, "minimum_interval must be one of [[year, month, day, hour, minute, second]]");
}

static int read_most(qdi_parse *p, qdi_agg *a)
{
    autos *t = autos_of(a);
    const qd_json_node *m = qd_json_get(a->json, "buckets");
    int64_t ceiling = INT32_MAX, wide = 1;
    t->most = 10;
    int rc = qdi_aggs_get_i64(p, a, "buckets", &t->most);
    if (rc) return rc;
    if (m && t->most <= 0)
        return qdi_aggs_setter_arg(p, a, m, "buckets must be greater than 0 for [%.*s]",
                                   QD_STR_ARG(a->name));
    for (uint32_t i = t->finest; i + 1 < UNITS; i++)
        if (widest(i) > wide) wide = widest(i);
    if (p->tree->max_buckets > 0) ceiling = p->tree->max_buckets / wide;
    if (t->most <= ceiling) return 0;
    return qd_err_set(p->err, QD_E_ARG, "buckets must be less than %lld", (long long)ceiling);
}

static int auto_parse(qdi_parse *p, qdi_agg *a)
{
    autos *t = autos_of(a);
    int rc = qdi_aggs_common(p, a, true);
    if (!rc) rc = read_finest(p, a);
    if (!rc) rc = read_most(p, a);
    for (uint32_t i = 0; i < UNITS; i++)
        t->by[i] = (qdi_rounding){.calendar = true,
                                  .unit = units[i].unit,
                                  .interval_ms = units[i].fixed,
                                  .zone = a->zone};
    return rc;
}

/* --- collecting ------------------------------------------------------------------------------- */

typedef struct owner {
    int64_t min, max; /* keys so far */
    uint32_t n;       /* buckets made by the present unit */
    uint8_t unit;     /* + 1; 0: no value yet */
} owner;

typedef struct state {
    owner *owners;
    uint32_t cap;
    struct {
        int64_t lo, hi; /* the interval of the unit found last */
    } last[UNITS];
} state;

static int auto_open(qdi_aggr *a, qd_err *err)
{
    a->state = qd_arena_calloc(&a->shard->arena, sizeof(state));
    if (a->state) return 0;
    return qdi_aggs_no_memory(a->shard->account, sizeof(state), "aggregations", err);
}

static int auto_grow(qdi_aggr *a, uint32_t n, qd_err *err)
{
    state *t = a->state;
    return qdi_aggs_grow(a->shard->account, &t->owners, &t->cap, n, sizeof *t->owners, err);
}

static int64_t key_of(const autos *d, state *t, uint32_t unit, int64_t v)
{
    if (v >= t->last[unit].lo && v < t->last[unit].hi) return t->last[unit].lo;
    int64_t key = qdi_aggs_round_date(&d->by[unit], v);
    t->last[unit].lo = key;
    t->last[unit].hi = qdi_aggs_round_next(&d->by[unit], key);
    if (v < key || v >= t->last[unit].hi) t->last[unit].lo = t->last[unit].hi = 0;
    return key;
}

/* Is span longer than n of a unit, about? */
static bool longer(uint64_t span, uint32_t unit, uint64_t n)
{
    uint64_t ms = (uint64_t)units[unit].ms;
    return span / ms > n || (span / ms == n && span % ms);
}

/* Are n buckets, the last of which begins span behind the first, too many of a unit? */
static bool too_many(const autos *d, uint32_t unit, uint64_t n, uint64_t span)
{
    uint64_t most = (uint64_t)(d->most * widest(unit));
    return n > most || longer(span, unit, most);
}

static int put(qdi_aggr *a, uint32_t number, uint32_t at, int64_t key, qd_err *err)
{
    state *t = a->state;
    const autos *d = autos_of(a->def);
    owner *o = &t->owners[number];
    uint32_t bucket, before = a->buckets.n;
    int rc = qdi_aggs_bucket(a, number, key, &bucket, err);
    if (!rc) rc = qdi_emit(a, at, bucket, err);
    if (rc || a->buckets.n == before) return rc;
    o->n++;
    if (key < o->min) o->min = key;
    if (key > o->max) o->max = key;
    while (o->unit < UNITS &&
           too_many(d, o->unit - 1u, o->n, (uint64_t)o->max - (uint64_t)o->min)) {
        o->unit++;
        o->n = 0;
    }
    return 0;
}

static int64_t instant(const qdi_source *s, uint32_t i)
{
    if (s->kind == QDI_I64) return s->v[i];
    double v = s->f64[i];
    return v >= 9e18 ? INT64_MAX : v <= -9e18 ? INT64_MIN : v == v ? (int64_t)v : 0;
}

static int auto_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owners, uint32_t n,
                        qd_err *err)
{
    state *t = a->state;
    const autos *d = autos_of(a->def);
    qdi_source *s = a->src;
    if (!s) return 0;
    int rc = qdi_aggs_source_index(a->shard, s, err);
    if (!rc && s->kind == QDI_F64) rc = qdi_aggs_source_f64(a->shard, s, err);
    for (uint32_t i = 0; !rc && i < n; i++) {
        uint32_t from, to, at = idx ? idx[i] : i, number = owners ? owners[i] : 0;
        owner *o = &t->owners[number];
        int64_t before = 0;
        qdi_source_doc(s, at, &from, &to);
        for (uint32_t k = from; !rc && k < to; k++) {
            if (!o->unit) *o = (owner){INT64_MAX, INT64_MIN, 0, (uint8_t)(d->finest + 1)};
            int64_t key = key_of(d, t, o->unit - 1u, instant(s, k));
            if (k > from && key == before) continue;
            before = key;
            rc = put(a, number, at, key, err);
        }
    }
    return rc ? rc : qdi_aggs_emit_flush(a, err);
}

static int auto_build(qdi_aggr *a, uint32_t number, qdi_out *out, qd_err *err)
{
    state *t = a->state;
    uint8_t unit = number < t->cap ? t->owners[number].unit : 0;
    *value_of(out) = (value){unit ? (uint8_t)(unit - 1) : autos_of(a->def)->finest, 1};
    return qdi_aggs_histogram_build(a, number, out, err);
}

static void auto_close(qdi_aggr *a)
{
    state *t = a->state;
    if (t) qd_free(t->owners);
}

static const qdi_ops ops = {.open = auto_open,
                            .grow = auto_grow,
                            .collect = auto_collect,
                            .build = auto_build,
                            .close = auto_close};

/* --- merging ---------------------------------------------------------------------------------- */

/* Rounds the keys of ascending parts; the number of different ones. */
static uint32_t round_parts(const autos *d, uint32_t unit, qdi_part *p, uint32_t n)
{
    uint32_t different = 0;
    for (uint32_t i = 0; i < n; i++) {
        p[i].key = qdi_aggs_round_date(&d->by[unit], p[i].key);
        different += !i || p[i].key != p[i - 1].key;
    }
    return different;
}

/* Intervals from that of key on that begin before last, but no more than `most` and one. */
static uint64_t intervals(const qdi_rounding *r, int64_t key, int64_t last, uint64_t most)
{
    uint64_t n = 0;
    while (key < last && n <= most) {
        int64_t next = qdi_aggs_round_next(r, key);
        n++;
        if (next <= key) return most + 1; /* beyond all calendars */
        key = next;
    }
    return n;
}

/* The unit that shows all from first to last, gaps too. */
static uint32_t unit_for(const autos *d, uint32_t unit, int64_t first, int64_t last)
{
    uint64_t span = (uint64_t)last - (uint64_t)first, most = (uint64_t)d->most;
    uint32_t rough = unit;
    for (uint32_t i = unit + 1; i < UNITS; i++)
        if (longer(span, i, most)) rough = i;
    while (rough + 1 < UNITS) {
        uint64_t limit = most * (uint64_t)widest(rough);
        int64_t key = qdi_aggs_round_date(&d->by[rough], first);
        if (intervals(&d->by[rough], key, last, limit) <= limit) break;
        rough++;
    }
    return rough;
}

/* So many units make an interval where there are n of them. */
static uint8_t step_for(const autos *d, uint32_t unit, uint64_t n)
{
    if (n <= (uint64_t)d->most) return 1;
    for (uint32_t i = 0; i < STEPS_MAX && units[unit].steps[i]; i++) {
        uint8_t step = units[unit].steps[i];
        if ((n + step - 1) / step <= (uint64_t)d->most) return step;
    }
    return 1;
}

/* One bucket of n parts that begins at key. */
static int join(qdi_reduce *r, qdi_out *out, int64_t key, const qdi_part *p, uint32_t n,
                qd_err *err)
{
    qdi_bucket_out *o = &out->b[out->n++];
    int rc = n ? qdi_aggs_merge_bucket(r, out->def, p, n, o, err) : 0;
    o->key = key;
    if (rc) return rc;
    if (!n) return qdi_aggs_reduce_subs(r, out->def, NULL, 0, &o->subs, err);
    return qdi_aggs_merge_subs(r, out->def, p, n, &o->subs, err);
}

/* In between: the buckets that there are. */
static int join_present(qdi_reduce *r, qdi_out *out, const qdi_part *p, uint32_t n, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0, j; !rc && i < n; i = j) {
        for (j = i + 1; j < n && p[j].key == p[i].key; j++) {}
        rc = join(r, out, p[i].key, p + i, j - i, err);
    }
    return rc;
}

/* In the end: all intervals between the first and the last, of `step` units each. */
static int join_all(qdi_reduce *r, qdi_out *out, const qdi_part *p, uint32_t n, int64_t last,
                    qd_err *err)
{
    const qdi_rounding *by = &autos_of(out->def)->by[value_of(out)->unit];
    int64_t start = p->key;
    int rc = 0;
    for (uint32_t i = 0, j; !rc && start <= last; i = j) {
        int64_t end = start;
        for (uint32_t k = 0; k < value_of(out)->step; k++) {
            int64_t next = qdi_aggs_round_next(by, end);
            end = next > end ? next : INT64_MAX;
        }
        for (j = i; j < n && (p[j].key < end || end == INT64_MAX); j++) {}
        rc = join(r, out, start, p + i, j - i, err);
        if (end == INT64_MAX) break;
        start = end;
    }
    return rc;
}

/* All intervals, gaps too; before search.max_buckets says no, no memory is asked for. */
static int count_all(qdi_reduce *r, qdi_out *out, int64_t first, int64_t last, uint64_t *n,
                     qd_err *err)
{
    value *v = value_of(out);
    int64_t limit = r->tree->max_buckets;
    uint64_t most = limit >= 0 ? (uint64_t)limit : YEARS_MAX;
    *n = intervals(&autos_of(out->def)->by[v->unit], first, last, most) + 1;
    if (*n > most && limit >= 0) return qdi_aggs_reduce_count(r, limit + 1, err);
    if (*n > most)
        return qd_err_set(err, QD_E_ARG, "[%.*s] spans more than [%u] years",
                          QD_STR_ARG(out->def->name), YEARS_MAX);
    v->step = step_for(autos_of(out->def), v->unit, *n);
    *n = (*n + v->step - 1) / v->step;
    return 0;
}

static int auto_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    const autos *d = autos_of(out->def);
    value *v = value_of(out);
    qdi_part *p;
    uint32_t n;
    out->kind = QDI_I64;
    *v = (value){d->finest, 1};
    for (uint32_t i = 0; i < k; i++)
        if (value_of(in[i])->unit > v->unit) v->unit = value_of(in[i])->unit;
    int rc = qdi_aggs_gather(r, in, k, false, NULL, out, &p, &n, err);
    if (rc) return rc;
    uint64_t m = round_parts(d, v->unit, p, n);
    while (m > (uint64_t)(d->most * widest(v->unit)) && v->unit + 1u < UNITS)
        m = round_parts(d, ++v->unit, p, n);
    int64_t last = n ? p[n - 1].key : 0;
    if (r->final && n) {
        v->unit = (uint8_t)unit_for(d, v->unit, p->key, last);
        (void)round_parts(d, v->unit, p, n);
        last = p->key;
        for (uint32_t i = 1; i < n; i++)
            if (p[i].key > last) last = p[i].key;
        rc = count_all(r, out, p->key, last, &m, err);
    }
    if (!rc) out->b = qd_arena_calloc(r->arena, (m + 1) * sizeof *out->b);
    if (!rc && !out->b) rc = qdi_aggs_reduce_no_memory(r, m * sizeof *out->b, err);
    if (!rc && n)
        rc = r->final ? join_all(r, out, p, n, last, err) : join_present(r, out, p, n, err);
    qd_free(p);
    return rc;
}

static void auto_send(const qdi_out *o, qd_writer *w)
{
    qd_write_u8(w, value_of(o)->unit);
}

static void auto_receive(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena)
{
    uint8_t unit = qd_read_u8(r, "auto_date_histogram.unit");
    (void)tree, (void)arena;
    if (unit >= UNITS) qd_body_reader_fail(r, "auto_date_histogram.unit", "is no known unit");
    *value_of(o) = (value){unit < UNITS ? unit : 0, 1};
}

static void auto_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    const value *v = value_of(o);
    qdi_aggs_histogram_write(o, typed, w);
    qd_json_key_c(w, "interval");
    qd_json_printf(w, "%u%c", v->step, units[v->unit].letter);
}

const qd_agg_type qdi_aggs_auto_date_histogram = {
    .name = "auto_date_histogram",
    .key = "auto_date_histogram",
    .flags = QDI_MULTI | QDI_VALUES | QDI_SEQUENCE | QDI_EMPTY_KNOWN | QDI_DATES | QDI_INTEGERS,
    .params_size = sizeof(autos),
    .value_size = sizeof(value),
    .members = "field,script,missing,format,value_type,time_zone,buckets,minimum_interval",
    .parse = auto_parse,
    .unmapped = "date",
    .factory = "AutoDateHistogramAggregatorFactory",
    .ops = &ops,
    .reduce = auto_reduce,
    .send = auto_send,
    .receive = auto_receive,
    .write = auto_write,
};
