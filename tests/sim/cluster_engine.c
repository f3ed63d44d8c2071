/* cluster_engine.c: what the world wants to know of a master's consensus. */
#include <coordination-raft/consensus/core_int.h>
#include <coordination-raft/consensus/engine_int.h>

#include "cluster_disk.h"

uint64_t cluster_engine_life(const cr_engine *e, uint32_t *voters)
{
    const cr_core *core = cr_engine_core(e);
    for (uint32_t i = 0; i < core->nlists; i++) {
        uint32_t n = core->lists[i].members->voters;
        if (i == 0 || n < *voters) *voters = n;
    }
    return cr_engine_life(e);
}

uint64_t cluster_engine_knows(const cr_engine *e, uint64_t raft_id)
{
    return cr_engine_peer_life(e, raft_id, 1);
}
