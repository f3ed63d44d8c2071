/*
 * node_removal.c: how far the removal of a copy from the in-sync set has come: whether its primary
 * has asked for it, and whether it is committed. Looked at between fibers, so without locks.
 */
#include "base/map.h"
#include "base/str.h"
#include "node_int.h"
#include "replication/repl_int.h"

/* The shard as the newest state has it, which the caller gives back; NULL: none. */
static const qd_shard_meta *record_of(qd_state *s, uint32_t shard, const char **uuid)
{
    const qd_index_meta *m = s ? qd_state_index(s, QD_STR(INDEX)) : NULL;
    *uuid = m ? m->uuid : "";
    return m ? qd_state_shard(s, m, shard) : NULL;
}

bool removal_asked(world *w, int primary, uint32_t shard)
{
    char key[QD_UUID_TEXT + 16];
    const char *uuid;
    const proc *p = w->m[primary].now;
    if (!proc_serves(p) || !p->a.replication) return false;
    qd_state *s = state_now(w);
    (void)record_of(s, shard, &uuid);
    snprintf(key, sizeof key, "%s/%u", uuid, shard);
    qd_state_unref(s);
    const repl_shard *g = qd_map_get(&p->a.replication->map, qd_str_c(key));
    for (size_t i = 0; g && g->leading && g->cas_runs && i < g->cas.n; i++)
        if (g->cas.at[i].change == REPL_CHANGE_FAIL) return true;
    return false;
}

uint32_t removal_in_sync(world *w, uint32_t shard)
{
    const char *uuid;
    qd_state *s = state_now(w);
    const qd_shard_meta *r = record_of(s, shard, &uuid);
    uint32_t n = r ? r->nin_sync : 0;
    qd_state_unref(s);
    return n;
}
