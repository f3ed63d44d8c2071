/*
 * digest.c: t-digest; see digest_int.h.
 */
#include "aggs/sketch/digest_int.h"
#include <math.h>
#include <string.h>

void qdi_aggs_digest_init(qdi_digest *d, double compression, qd_aggs_flavour between)
{
    *d = (qdi_digest){.between = (uint8_t)between,
                      .compression = compression,
                      .min = INFINITY,
                      .max = -INFINITY,
                      .exact = true};
}

/* Centroids that may wait before they are merged; values kept exactly. */
static uint32_t room(const qdi_digest *d)
{
    return (uint32_t)(25 * d->compression) + 64;
}

/* The bits of a mean in an order-preserving form. */
static uint64_t bits_of(double v)
{
    uint64_t b;
    memcpy(&b, &v, 8);
    return b ^ ((uint64_t) - (int64_t)(b >> 63) | (uint64_t)1 << 63);
}

/* Sorts n centroids by mean, by bytes from the lowest; bytes that are equal everywhere cost only
 * their count. Stable. */
static void radix(qdi_centroid *at, qdi_centroid *tmp, uint32_t n)
{
    uint32_t count[8][256] = {{0}};
    qdi_centroid *from = at, *to = tmp;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t b = bits_of(at[i].mean);
        for (unsigned k = 0; k < 8; k++) count[k][b >> (8 * k) & 255]++;
    }
    for (unsigned k = 0; k < 8; k++) {
        uint32_t *c = count[k], sum = 0;
        if (n == 0 || c[bits_of(from[0].mean) >> (8 * k) & 255] == n) continue;
        for (unsigned v = 0; v < 256; v++) {
            uint32_t x = c[v];
            c[v] = sum;
            sum += x;
        }
        for (uint32_t i = 0; i < n; i++) to[c[bits_of(from[i].mean) >> (8 * k) & 255]++] = from[i];
        qdi_centroid *x = from;
        from = to;
        to = x;
    }
    if (from != at) memcpy(at, from, n * sizeof *at);
}

/* Sorts [0, n), of which the front [0, merged) is sorted already. */
static int sort(qdi_digest *d, qd_account *account)
{
    uint32_t n = d->n, runs = d->merged;
    if (runs == n) return 0;
    qdi_centroid *tmp = qd_alloc(account, n * sizeof *tmp);
    if (!tmp) return QD_E_NOMEM;
    radix(d->at + runs, tmp, n - runs);
    uint32_t i = 0, j = runs, k = 0;
    while (i < runs && j < n) tmp[k++] = d->at[i].mean <= d->at[j].mean ? d->at[i++] : d->at[j++];
    while (i < runs) tmp[k++] = d->at[i++];
    while (j < n) tmp[k++] = d->at[j++];
    memcpy(d->at, tmp, n * sizeof *tmp);
    qd_free(tmp);
    return 0;
}

/* Neighbours become one centroid while their weight is below 4 N q (1 - q) / compression: a
 * hundredth of all values in the middle, single values at the ends, as Elasticsearch's and
 * OpenSearch's AVLTreeDigest. */
static void compress(qdi_digest *d)
{
    double total = 0, before = 0;
    uint32_t out = 0;
    for (uint32_t i = 0; i < d->n; i++) total += d->at[i].weight;
    for (uint32_t i = 1; i < d->n; i++) {
        qdi_centroid *c = &d->at[out], *x = &d->at[i];
        double w = c->weight + x->weight;
        double q0 = before / total, q2 = (before + w) / total;
        double limit = total * 4 * fmin(q0 * (1 - q0), q2 * (1 - q2)) / d->compression;
        if (w <= limit) {
            c->mean += (x->mean - c->mean) * x->weight / w;
            c->weight = w;
        } else {
            before += c->weight;
            d->at[++out] = *x;
        }
    }
    if (d->n) d->n = out + 1;
    d->exact = false;
}

int qdi_aggs_digest_settle(qdi_digest *d, qd_account *account)
{
    bool news = d->merged < d->n;
    int rc = sort(d, account);
    if (rc) return rc;
    /* also where there is room for all: single values between large centroids shift their ranks */
    if (news && d->n > (uint32_t)((d->exact ? 20 : 3) * d->compression)) compress(d);
    d->merged = d->n;
    return 0;
}

static int push(qdi_digest *d, double mean, double weight, qd_account *account)
{
    if (d->n == d->cap) {
        uint32_t cap = d->cap ? d->cap * 2 : 16;
        if (cap > room(d)) cap = room(d);
        if (d->n >= cap) {
            int rc = qdi_aggs_digest_settle(d, account);
            if (rc) return rc;
            if (d->n >= cap) cap = d->n + 64;
        }
        if (cap > d->cap) {
            qdi_centroid *p = qd_realloc(account, d->at, cap * sizeof *p);
            if (!p) return QD_E_NOMEM;
            d->at = p;
            d->cap = cap;
        }
    }
    d->at[d->n++] = (qdi_centroid){mean, weight};
    d->total += weight;
    if (weight != 1) d->exact = false;
    return 0;
}

int qdi_aggs_digest_add(qdi_digest *d, const double *v, uint32_t n, qd_account *account)
{
    for (uint32_t i = 0; i < n; i++) {
        if (isnan(v[i])) continue;
        if (v[i] < d->min) d->min = v[i];
        if (v[i] > d->max) d->max = v[i];
        int rc = push(d, v[i], 1, account);
        if (rc) return rc;
    }
    return 0;
}

int qdi_aggs_digest_merge(qdi_digest *to, const qdi_digest *from, qd_account *account)
{
    if (from->min < to->min) to->min = from->min;
    if (from->max > to->max) to->max = from->max;
    if (!from->exact) to->exact = false;
    for (uint32_t i = 0; i < from->n; i++) {
        int rc = push(to, from->at[i].mean, from->at[i].weight, account);
        if (rc) return rc;
    }
    return 0;
}

qdi_digest *qdi_aggs_digest_copy(const qdi_digest *d, qd_arena *arena)
{
    qdi_digest *o = qd_arena_alloc(arena, sizeof *o);
    if (!o) return NULL;
    *o = *d;
    o->at = qd_arena_alloc(arena, (d->n + 1ul) * sizeof *o->at);
    if (!o->at) return NULL;
    if (d->n) memcpy(o->at, d->at, d->n * sizeof *o->at);
    o->cap = o->n;
    return o;
}

/* (x1 w1 + x2 w2) / (w1 + w2), never outside of x1 and x2. */
static double weighted(double x1, double w1, double x2, double w2)
{
    double x = (x1 * w1 + x2 * w2) / (w1 + w2);
    return fmax(fmin(x1, x2), fmin(x, fmax(x1, x2)));
}

/* As t-digest 3.2: straight lines between the middles of neighbours. */
static double by_middles(const qdi_digest *d, double want)
{
    const qdi_centroid *c = d->at;
    double rank = c->weight / 2;
    if (d->n == 1) return c->mean;
    if (want < rank) return (d->min * want + c->mean * (rank - want)) / rank;
    for (; c + 1 < d->at + d->n; c++) {
        double step = (c[0].weight + c[1].weight) / 2;
        if (rank + step > want)
            return weighted(c[0].mean, rank + step - want, c[1].mean, want - rank);
        rank += step;
    }
    return weighted(c->mean, c->weight / 2 - (want - rank), d->max, want - rank);
}

/* As t-digest 3.3: a centroid of one value is that value over the whole of its weight. */
static double by_steps(const qdi_digest *d, double want)
{
    const qdi_centroid *c = d->at, *last = d->at + d->n - 1;
    double rank = c->weight / 2;
    if (d->n == 1) return c->mean;
    if (want < 1) return d->min;
    if (c->weight > 1 && want < rank) return d->min + (want - 1) / (rank - 1) * (c->mean - d->min);
    if (want > d->total - 1) return d->max;
    if (last->weight > 1 && d->total - want <= last->weight / 2)
        return d->max - (d->total - want - 1) / (last->weight / 2 - 1) * (d->max - last->mean);
    for (; c < last; c++) {
        double step = (c[0].weight + c[1].weight) / 2, left = 0, right = 0;
        if (rank + step > want) {
            if (c[0].weight == 1) {
                if (want - rank < 0.5) return c[0].mean;
                left = 0.5;
            }
            if (c[1].weight == 1) {
                if (rank + step - want <= 0.5) return c[1].mean;
                right = 0.5;
            }
            return weighted(c[0].mean, rank + step - want - right, c[1].mean, want - rank - left);
        }
        rank += step;
    }
    return d->max;
}

double qdi_aggs_digest_quantile(const qdi_digest *d, double q)
{
    if (d->n == 0) return NAN;
    if (d->between == QD_AGGS_OS3) return by_steps(d, q * d->total);
    if (!d->exact || d->between == QD_AGGS_OLD) return by_middles(d, q * d->total);
    double at = q * (d->n - 1);
    uint32_t i = (uint32_t)at;
    double f = at - i;
    if (i + 1 >= d->n) return d->at[d->n - 1].mean;
    return d->at[i].mean * (1 - f) + d->at[i + 1].mean * f;
}

double qdi_aggs_digest_cdf(const qdi_digest *d, double v)
{
    if (d->n == 0) return NAN;
    if (v < d->min) return 0;
    if (v >= d->max) return 1;
    if (d->exact) {
        uint32_t below = 0;
        while (below < d->n && d->at[below].mean <= v) below++;
        return (double)below / d->n;
    }
    double left = 0, mean = d->min, rank = 0;
    for (uint32_t i = 0; i <= d->n; i++) {
        bool end = i == d->n;
        double next = end ? d->max : d->at[i].mean;
        double at = end ? d->total : left + d->at[i].weight / 2;
        if (v < next) {
            if (next <= mean) return rank / d->total;
            return (rank + (at - rank) * (v - mean) / (next - mean)) / d->total;
        }
        mean = next;
        rank = at;
        if (!end) left += d->at[i].weight;
    }
    return 1;
}

int qdi_aggs_digest_deviation(const qdi_digest *d, qd_account *account, double *out)
{
    double median = qdi_aggs_digest_quantile(d, 0.5);
    qdi_digest far;
    int rc = 0;
    qdi_aggs_digest_init(&far, d->compression, d->between);
    for (uint32_t i = 0; rc == 0 && i < d->n; i++) {
        double v = fabs(d->at[i].mean - median);
        if (isnan(v)) continue; /* infinite values */
        if (v < far.min) far.min = v;
        if (v > far.max) far.max = v;
        rc = push(&far, v, d->at[i].weight, account);
    }
    if (rc == 0) rc = qdi_aggs_digest_settle(&far, account);
    if (rc == 0) *out = qdi_aggs_digest_quantile(&far, 0.5);
    qdi_aggs_digest_fini(&far);
    return rc;
}

void qdi_aggs_digest_fini(qdi_digest *d)
{
    qd_free(d->at);
}
