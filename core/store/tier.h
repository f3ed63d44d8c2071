/*
 * tier.h: opening tiers through the plugin host. Which plugin serves a tier is said by its
 * configuration and asked by nobody above.
 */
#ifndef QD_STORE_TIER_H
#define QD_STORE_TIER_H

#include "plugin/host.h"
#include "store/store.h"

/* A configured tier, storage.tiers.<name>.*; everything is borrowed for the call. */
typedef struct qd_store_tier {
    qd_str name;            /* for messages */
    qd_str plugin;          /* empty: "storage-nvme" */
    qd_str path;            /* folder (there already, mode 0700) or address */
    const qd_pair *options; /* what the plugin knows and the host does not */
    uint32_t noptions;
    uint64_t reserve; /* bytes kept back for a full disk; 0: none */
    bool unsafe;      /* unsafe_not_durable: shards may be lost with the process */
    bool unmapped;    /* files are read even where they could be mapped (network file systems) */
} qd_store_tier;

/* Opens a tier. QD_E_PLUGIN when no plugin provides it, with the reason of its refusal; else the
 * plugin's own error. [worker] */
QD_MUST_CHECK
int qd_store_open(const qd_plugin_host *host, const qd_store_tier *tier, qd_store **out,
                  qd_err *err);
/* Is there a plugin for the tier? QD_E_PLUGIN when not, with the reason of its refusal. *caps
 * (QD_STORE_*; may be NULL) is what it says of itself. [any] */
QD_MUST_CHECK
int qd_store_tier_check(const qd_plugin_host *host, const qd_store_tier *tier, uint32_t *caps,
                        qd_err *err);
/* May shards of a node be written on a tier of these capabilities? QD_E_CONFIG says what it lacks,
 * and which setting takes it as it is: one without logs none, one that is not durable
 * storage.tiers.<name>.unsafe_not_durable. [any] */
QD_MUST_CHECK
int qd_store_tier_writable(const qd_store_tier *tier, uint32_t caps, qd_err *err);
/* For tools: the folder `path` as a tier of storage-nvme, without a reserve. With read_only nothing
 * in it is touched, so that it may belong to a running node. [worker] */
QD_MUST_CHECK
int qd_store_open_dir(const qd_plugin_host *host, qd_str path, bool read_only, qd_store **out,
                      qd_err *err);

#endif
