/* search_weak_int.h: aggregations are linked when their module is there; without it they are refused. */
#ifndef QD_ACTION_SEARCH_WEAK_INT_H
#define QD_ACTION_SEARCH_WEAK_INT_H

#pragma weak qd_aggs_parse
#pragma weak qd_aggs_bind
#pragma weak qd_aggs_shard_make
#pragma weak qd_aggs_shard_collector
#pragma weak qd_aggs_has_global
#pragma weak qd_aggs_shard_run_global
#pragma weak qd_aggs_shard_finish
#pragma weak qd_aggs_shard_free
#pragma weak qd_aggs_partial_free
#pragma weak qd_aggs_reducer_make
#pragma weak qd_aggs_reducer_add
#pragma weak qd_aggs_reducer_finish
#pragma weak qd_aggs_reducer_free
#pragma weak qd_aggs_write

#endif
