/* decide_int.h: the deciders; each returns its verdict and, when asked, its sentence. */
#ifndef QD_CLUSTER_ALLOCATION_DECIDE_INT_H
#define QD_CLUSTER_ALLOCATION_DECIDE_INT_H

#include "cluster/allocation/allocation_int.h"

/* same_shard.c */
qd_alloc_verdict qdi_alloc_same_shard(const alloc_ask *a);
/* awareness.c */
qd_alloc_verdict qdi_alloc_aware_allocate(const alloc_ask *a);
qd_alloc_verdict qdi_alloc_aware_remain(const alloc_ask *a);
/* match.c */
qd_alloc_verdict qdi_alloc_filter_allocate(const alloc_ask *a);
qd_alloc_verdict qdi_alloc_filter_remain(const alloc_ask *a);
qd_alloc_verdict qdi_alloc_tier(const alloc_ask *a);
qd_alloc_verdict qdi_alloc_storage_tier(const alloc_ask *a);
/* disk.c */
qd_alloc_verdict qdi_alloc_disk_allocate(const alloc_ask *a);
qd_alloc_verdict qdi_alloc_disk_remain(const alloc_ask *a);
/* limit.c */
qd_alloc_verdict qdi_alloc_limit_allocate(const alloc_ask *a);
qd_alloc_verdict qdi_alloc_limit_remain(const alloc_ask *a);
/* enable.c */
qd_alloc_verdict qdi_alloc_enabled(const alloc_ask *a);
qd_alloc_verdict qdi_alloc_rebalance_enabled(const alloc_ask *a);
qd_alloc_verdict qdi_alloc_cluster_rebalance(const alloc_ask *a);
qd_alloc_verdict qdi_alloc_concurrent_rebalance(const alloc_ask *a);
qd_alloc_verdict qdi_alloc_only_when_active(const alloc_ask *a);
/* throttle.c */
qd_alloc_verdict qdi_alloc_throttle(const alloc_ask *a);
/* pair.c */
qd_alloc_verdict qdi_alloc_pair(const alloc_ask *a);
/* resize.c */
qd_alloc_verdict qdi_alloc_resize(const alloc_ask *a);
/* single.c */
qd_alloc_verdict qdi_alloc_retry(const alloc_ask *a);
qd_alloc_verdict qdi_alloc_open(const alloc_ask *a);
qd_alloc_verdict qdi_alloc_after_primary(const alloc_ask *a);
qd_alloc_verdict qdi_alloc_version(const alloc_ask *a);
qd_alloc_verdict qdi_alloc_shutdown(const alloc_ask *a);

#endif
