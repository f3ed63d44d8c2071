/* addresses_int.h: checks of the lists of other nodes. */
#ifndef QD_CONFIG_ADDRESSES_INT_H
#define QD_CONFIG_ADDRESSES_INT_H

#include "config/config.h"

/* What is wrong with "host", "host:port", "v6", "[v6]" or "[v6]:port"; NULL: nothing. */
const char *qdi_address_fault(qd_str address);
/* discovery.seed_hosts, coordination.master_addresses, coordination.raft_peers,
 * cluster.initial_master_nodes of v, which is to be c's. 0, QD_E_CONFIG naming setting, value and
 * what is wanted. */
int qdi_addresses_check(const qd_config *c, const qd_values *v, qd_err *err);

#endif
