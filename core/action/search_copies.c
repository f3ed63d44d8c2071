/* search_copies.c: which copy of a shard is searched. */
#include "action/search_part_int.h"

int qdi_copies_choose(search_run *x, search_shard *s, qd_err *err)
{
    (void)err;
    s->shard = qd_shards_get(x->a->shards, s->index->meta->uuid, s->number);
    return 0;
}
