/*
 * similarity.h: the similarities of an index: what its settings index.similarity.NAME say, by name.
 *
 * A qd_similarity is plain data; core/search/similarity scores with it. Fields without one of their
 * own have the one called "default", else BM25.
 */
#ifndef QD_MAPPING_SIMILARITY_H
#define QD_MAPPING_SIMILARITY_H

#include "base/err.h"
#include "config/settings.h"

typedef enum qd_similarity_kind {
    QD_SIM_BM25, /* the kernels' own: all others score behind a call for each block */
    QD_SIM_BOOLEAN,
    QD_SIM_DFR,
    QD_SIM_DFI,
    QD_SIM_IB,
    QD_SIM_LM_DIRICHLET,
    QD_SIM_LM_JELINEK_MERCER,
    QD_SIM_KINDS
} qd_similarity_kind;

typedef enum qd_sim_model {
    QD_SIM_MODEL_G,
    QD_SIM_MODEL_IF,
    QD_SIM_MODEL_IN,
    QD_SIM_MODEL_INE
} qd_sim_model;
typedef enum qd_sim_effect { QD_SIM_EFFECT_B, QD_SIM_EFFECT_L } qd_sim_effect;
typedef enum qd_sim_norm {
    QD_SIM_NORM_NO,
    QD_SIM_NORM_H1,
    QD_SIM_NORM_H2,
    QD_SIM_NORM_H3,
    QD_SIM_NORM_Z
} qd_sim_norm;
typedef enum qd_sim_measure {
    QD_SIM_STANDARDIZED,
    QD_SIM_SATURATED,
    QD_SIM_CHI_SQUARED
} qd_sim_measure;
typedef enum qd_sim_distribution { QD_SIM_LL, QD_SIM_SPL } qd_sim_distribution;
typedef enum qd_sim_lambda { QD_SIM_LAMBDA_DF, QD_SIM_LAMBDA_TTF } qd_sim_lambda;

typedef struct qd_similarity {
    float k1, b;
    float factor;          /* BM25: all weights times this: k1 + 1 in Elasticsearch, 1 in Lucene */
    uint8_t kind;          /* qd_similarity_kind */
    uint8_t model, effect; /* DFR */
    uint8_t normalization; /* DFR, IB: qd_sim_norm */
    uint8_t measure;       /* DFI */
    uint8_t distribution, lambda; /* IB */
    bool overlaps;                /* words at the position of the one before count for the length */
    float c;                      /* parameter of the normalization */
    float p;                      /* mu or lambda of the language models */
} qd_similarity;

typedef struct qd_similarities qd_similarities;

/* Reads the settings below index.similarity. *out is NULL where there are none. [any]
 * QD_E_ARG in Elasticsearch's words, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_similarities_make(const qd_settings *settings, qd_similarities **out, qd_err *err);
/* One more reference; s may be NULL. [any] */
const qd_similarities *qd_similarities_ref(const qd_similarities *s);
/* Drops one; NULL is fine. [any] */
void qd_similarities_unref(const qd_similarities *s);
/* The similarity that a mapping names; s may be NULL: then the built-in ones alone are known.
 * NULL: there is none of that name. Lives as long as s. [any] */
const qd_similarity *qd_similarity_named(const qd_similarities *s, qd_str name);
/* Of fields that name none; NULL: BM25 with the product's parameters. [any] */
const qd_similarity *qd_similarity_default(const qd_similarities *s);

#endif
