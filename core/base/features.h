/*
 * features.h: the levels of formats. Formats of state, shards and messages are numbered as one
 * level: a node writes those of the cluster's level (key "features" of the state), and knows those
 * up to its own. POST /_cluster/upgrade/finalize raises the cluster's level once every node knows
 * the higher one. A table of docs/upgrade.md says what each level allows.
 */
#ifndef QD_BASE_FEATURES_H
#define QD_BASE_FEATURES_H

#define QD_FEATURES_LEVEL 5u
#define QD_FEATURES_FIELD_TYPES 2u   /* fields of plugins' types: segments with index parts */
#define QD_FEATURES_STORAGE_TIERS 3u /* index.storage.tier: shards on another tier of the node */
#define QD_FEATURES_TYPES_0_2                                                                      \
    4u /* field types, parameters and analysis parts beside those of 0.1 */
#define QD_FEATURES_SEARCH_0_3 5u /* what 0.2 did not have: docs/upgrade.md lists it */

#endif
