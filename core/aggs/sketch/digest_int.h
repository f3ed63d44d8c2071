/*
 * digest_int.h: quantiles: t-digest (Dunning, Ertl 2019), merged from sorted values, with the sizes
 * of AVLTreeDigest: at rank q a centroid holds at most 4 q (1 - q) / compression of all values
 * (compression 100 by default). Up to 20 times the compression values are kept exactly; how
 * quantiles lie between few values differs between the products and their versions.
 */
#ifndef QD_AGGS_DIGEST_INT_H
#define QD_AGGS_DIGEST_INT_H

#include "aggs/aggs.h"
#include "base/arena.h"
#include "base/mem.h"

typedef struct qdi_centroid {
    double mean, weight;
} qdi_centroid;

typedef struct qdi_digest {
    uint8_t between; /* qd_aggs_flavour */
    double compression;
    double min, max;
    double total;     /* weight of all */
    qdi_centroid *at; /* sorted [0, merged), then unsorted */
    uint32_t n, merged, cap;
    bool exact; /* every weight is 1 */
} qdi_digest;

/* An empty digest; allocates nothing yet. */
void qdi_aggs_digest_init(qdi_digest *d, double compression, qd_aggs_flavour between);
/* Adds n values (NaN is left out); 0 or QD_E_NOMEM. */
int qdi_aggs_digest_add(qdi_digest *d, const double *v, uint32_t n, qd_account *account);
/* Adds another digest. */
int qdi_aggs_digest_merge(qdi_digest *to, const qdi_digest *from, qd_account *account);
/* Sorts and merges what is unsorted. */
int qdi_aggs_digest_settle(qdi_digest *d, qd_account *account);
/* A settled copy in the arena; NULL when out of memory. */
qdi_digest *qdi_aggs_digest_copy(const qdi_digest *d, qd_arena *arena);
/* The value below which q (0 to 1) of the weight lies; NAN when empty. Settled. */
double qdi_aggs_digest_quantile(const qdi_digest *d, double q);
/* The share of the weight at or below v; NAN when empty. Settled. */
double qdi_aggs_digest_cdf(const qdi_digest *d, double v);
/* The median of the distances of all values from their median into *out; NAN when empty. Settled; 0
 * or QD_E_NOMEM. */
int qdi_aggs_digest_deviation(const qdi_digest *d, qd_account *account, double *out);
void qdi_aggs_digest_fini(qdi_digest *d);

#endif
