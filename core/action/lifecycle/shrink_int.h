/*
 * shrink_int.h: an index with fewer shards in the place of another, for _ilm and index state
 * management. Nothing is kept of how far it is: the primaries' places, the target and its shards
 * tell. The target's name follows from the source, so whoever is elected next finds it.
 */
#ifndef QD_ACTION_SHRINK_INT_H
#define QD_ACTION_SHRINK_INT_H

#include "action/lifecycle/lifecycle_int.h"
#include "json/writer.h"

typedef struct lc_shrink {
    lc_run *run;
    int64_t number_of_shards; /* 0: by size */
    qd_str max_shard_size;    /* as written; empty: by number */
    qd_str name;              /* of the target */
    bool replaces;            /* the source is deleted, and the target takes its place */
    bool takes_aliases;       /* the source stays, and its aliases go over */
    bool allow_writes;        /* the target gets no block of writes */
} lc_shrink;

/* Does what can be done now, again and again without harm: outcome LC_WAITS with step and info;
 * LC_DONE: the target is there and whole; LC_GONE: it has taken the source's place. */
QD_MUST_CHECK
int qdi_lc_shrink(lc_shrink *x, qd_err *err);
/* Name of what an index becomes: shrink-<4 characters of its uuid>-<name>. */
qd_str qdi_lc_shrink_name(qd_arena *a, const qd_index_meta *m);
/* Brings the primaries of an index to one node without giving a replica up: *ready when they are
 * there and will stay. QD_E_… of the calls. */
QD_MUST_CHECK
int qdi_lc_gather(lc_run *x, bool *ready, qd_err *err);
/* Writes {"add": …} of an alias for an index, as element of the open array. write: with
 * is_write_index. */
void qdi_lc_alias_add(qd_json_writer *w, qd_str index, const qd_alias *a, bool write);

/* --- of _ilm (ilm_shrink.c) --- */

/* Checks and runs as rows of actions need it. */
int qdi_lc_check_shrink(const qd_json_node *options, qd_err *err);
int qdi_lc_run_shrink(lc_run *x, qd_err *err);

#endif
