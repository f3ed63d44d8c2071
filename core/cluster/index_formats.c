/*
 * index_formats.c: what of an index needs a level of the cluster's formats: an older node could not
 * read it. The error names the thing, the level and the way out.
 */
#include "base/features.h"
#include "cluster/index_formats_int.h"

/* Older nodes know neither newer field types nor the segments of plugins' ones. They took
 * similarities without effect: an index that had some (before, or NULL) may still get fields. */
int qdi_check_formats(const qd_state *s, const qd_mapping *before, const qd_mapping *m, qd_err *err)
{
    bool scored =
        m && qd_mapping_has_similarities(m) && !(before && qd_mapping_has_similarities(before));
    if (scored && s->features < QD_FEATURES_TYPES_0_2)
        return qd_err_set(err, QD_E_ARG,
                          "the index's similarities need level %u of the cluster's formats; they "
                          "are of level %u: POST _cluster/upgrade/finalize when all nodes run this "
                          "version",
                          QD_FEATURES_TYPES_0_2, s->features);
    const qd_field *f = NULL;
    qd_str what = {"", 0};
    const char *type = "";
    uint32_t level = m ? qd_mapping_level(m, &what, &type, &f) : 0;
    if (level <= s->features) return 0;
    const qd_analyzer *used[3] = {NULL};
    if (f) used[0] = f->index_analyzer, used[1] = f->search_analyzer;
    if (f) used[2] = f->search_quote_analyzer;
    for (size_t i = 0; i < QD_COUNT_OF(used) && f; i++)
        if (qd_analyzer_level(used[i]) > s->features)
            return qd_err_set(err, QD_E_ARG,
                              "analyzer [%.*s] of field [%.*s] needs level %u of the cluster's "
                              "formats; they are of level %u: POST _cluster/upgrade/finalize when "
                              "all nodes run this version",
                              QD_STR_ARG(qd_analyzer_name(used[i])), QD_STR_ARG(f->name), level,
                              s->features);
    return qd_err_set(err, QD_E_ARG,
                      "field [%.*s] of type [%s], as the mapping defines it, needs level %u of the "
                      "cluster's formats; they are of level %u: POST _cluster/upgrade/finalize "
                      "when all nodes run this version",
                      QD_STR_ARG(what), type, level, s->features);
}

/* Older nodes have no such part, and a shard analyzes on each of its nodes. */
int qdi_check_analysis(const qd_state *s, const qd_mapping *m, qd_err *err)
{
    qd_str what = {NULL, 0};
    const char *kind = "";
    uint32_t level = m ? qd_analyzers_level(qd_mapping_analyzers(m), &what, &kind) : 0;
    if (level <= s->features) return 0;
    return qd_err_set(
        err, QD_E_ARG,
        "%s [%.*s], as the settings define it, needs level %u of the cluster's "
        "formats; they are of level %u: POST _cluster/upgrade/finalize when all nodes "
        "run this version",
        kind, QD_STR_ARG(what), level, s->features);
}

/* An older node looks for the index's shards on its own tier alone. */
int qdi_check_tier(const qd_state *s, const qd_index_meta *m, qd_err *err)
{
    qd_str tier = qd_values_text(m->values, QD_IX_STORAGE_TIER);
    for (size_t i = 0; i < tier.n; i++) {
        char x = tier.p[i];
        bool good = (x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') || (x >= '0' && x <= '9') ||
                    x == '-' || x == '_';
        if (!good || tier.n >= 64)
            return qd_err_set(err, QD_E_ARG,
                              "index.storage.tier: [%.*s] is no name of a tier: up to 63 letters, "
                              "digits, - and _",
                              QD_STR_ARG(tier));
    }
    if (!tier.n || s->features >= QD_FEATURES_STORAGE_TIERS) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "index.storage.tier is [%.*s], for which the cluster's formats must be of "
                      "level %u; they are of level %u: POST _cluster/upgrade/finalize when all "
                      "nodes run this version",
                      QD_STR_ARG(tier), QD_FEATURES_STORAGE_TIERS, s->features);
}
