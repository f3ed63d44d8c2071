/*
 * aside.c: a copy whose history the cluster's one contradicts, and one whose files are damaged, is
 * kept whole, as files of lost+found, and an empty one begins in its place. See
 * qd_shard_set_aside.
 *
 * The note "aside" is published first and moved last: whoever finds it goes on where a crash ended
 * the moving.
 */
#include "base/log.h"
#include "base/str.h"
#include "shard/shards_int.h"
#include <stdio.h>
#include <string.h>

#define NOTE "aside"
#define NOTE_VERSION 1u
/* the primary takes a copy that is away out of the set as soon as it hears of it */
#define UNCOUNTED_MS 5000

typedef struct names {
    qd_arena arena;
    QD_VEC(qd_str) at;
    qd_str note; /* its whole name */
    bool noted;
} names;

static int collect(void *arg, qd_str name, uint64_t bytes)
{
    names *x = arg;
    (void)bytes;
    if (qd_str_eq(name, x->note)) {
        x->noted = true;
        return 0;
    }
    qd_str copy = qd_arena_str(&x->arena, name);
    return !copy.p || qd_vec_push(&x->at, NULL, copy) ? QD_E_NOMEM : 0;
}

static int write_note(qd_shard *s, qd_str text, qd_err *err)
{
    char note[96];
    int n = snprintf(note, sizeof note, "%s/" NOTE, s->folder);
    return qd_store_publish(s->log_tier->store, (qd_str){note, (size_t)n}, QD_STR("aside"),
                            NOTE_VERSION, text, err);
}

void qd_shard_set_aside(qd_shard *s, qd_str text)
{
    qd_err err;
    qd_err_init(&err);
    qd_log_error(SHARD_LOG, "%s %.*s", s->name, QD_STR_ARG(text));
    /* at once: who opens this folder next is another copy, or another process */
    if (write_note(s, text, &err)) {
        qd_log_error(SHARD_LOG, "%s it could not be noted to keep these files: %s", s->name,
                     qd_err_reason(&err));
    }
    qd_err_fini(&err);
    qd_shard_fail(s, text, QD_E_IO);
}

/* The segments, where they are on another tier than the note. */
static int move_segments(qd_shard *s, qd_str prefix, names *x, qd_err *err)
{
    size_t from = x->at.n;
    if (s->tier == s->log_tier) return 0;
    int rc = qd_store_list(s->tier->store, prefix, collect, x, err);
    for (size_t i = from; i < x->at.n && !rc; i++)
        rc = qd_store_set_aside(s->tier->store, x->at.at[i], err);
    return rc;
}

int qdi_shard_aside(qd_shard *s, bool *moved, qd_err *err)
{
    char prefix[96], note[96];
    qd_store *store = s->log_tier->store;
    int len = snprintf(prefix, sizeof prefix, "%s/", s->folder);
    int n = snprintf(note, sizeof note, "%s/" NOTE, s->folder);
    names x = {.note = {note, (size_t)n}};
    qd_str all = {prefix, (size_t)len};
    *moved = false;
    qd_arena_init(&x.arena, &s->account, (size_t)64 << 20);
    int rc = qd_store_list(store, all, collect, &x, err);
    if (!rc && x.noted) {
        for (size_t i = 0; i < x.at.n && !rc; i++) rc = qd_store_set_aside(store, x.at.at[i], err);
        if (!rc) rc = move_segments(s, all, &x, err);
        if (!rc) rc = qd_store_set_aside(store, x.note, err);
        *moved = !rc;
        if (!rc) {
            qd_log_error(SHARD_LOG,
                         "%s the copy that was here is kept whole in lost+found, %zu files; an "
                         "empty one begins in its place",
                         s->name, x.at.n);
        }
    }
    qd_vec_fini(&x.at);
    qd_arena_fini(&x.arena);
    return rc;
}

void qdi_shard_aside_void(qd_shard *s)
{
    char note[96];
    qd_err err;
    int n = snprintf(note, sizeof note, "%s/" NOTE, s->folder);
    names x = {.note = {note, (size_t)n}};
    qd_err_init(&err);
    qd_arena_init(&x.arena, &s->account, (size_t)64 << 20);
    /* no other name begins so */
    int rc = qd_store_list(s->log_tier->store, x.note, collect, &x, &err);
    if (!rc && x.noted) rc = qd_store_delete(s->log_tier->store, x.note, &err);
    if (rc)
        qd_log_warn(SHARD_LOG, "%s the note of files to keep is still there: %s", s->name,
                    qd_err_reason(&err));
    else if (x.noted)
        qd_log_warn(
            SHARD_LOG,
            "%s the note to keep these files is taken back: by force they are the primary's",
            s->name);
    qd_vec_fini(&x.at);
    qd_arena_fini(&x.arena);
    qd_err_fini(&err);
}

/* Does nothing of this node count in the record any more? Who was in sync here may be made the
 * primary, and is to miss its files then. Under an older id it never comes back into that set. */
static bool none_counts(void *arg, const qd_state *now)
{
    const qd_shard *s = arg;
    const qd_index_meta *m = qd_state_index_uuid(now, qd_str_c(s->uuid));
    const qd_shard_meta *r = m ? qd_state_shard(now, m, s->number) : NULL;
    qd_str self = qd_cluster_self(s->shards->cluster)->id;
    for (uint32_t i = 0; r && i < r->nin_sync; i++) {
        if (qd_str_eq(r->in_sync[i].node, self)) return false;
    }
    return true;
}

int qdi_shard_damaged_aside(qd_shard *s, qd_err *err)
{
    char text[512];
    bool moved;
    int n = snprintf(text, sizeof text, "the files of this copy are damaged: %.400s",
                     qd_err_reason(err));
    if (s->shards->cluster &&
        qd_cluster_wait_for(s->shards->cluster, none_counts, s, UNCOUNTED_MS)) {
        qd_err_fini(err);
        return qd_err_set(err, QD_E_TIMEOUT,
                          "%s; what was in sync on this node still counts, so nothing is moved "
                          "before the primary has taken it out",
                          text);
    }
    qd_err_fini(err);
    qd_log_error(SHARD_LOG, "%s %s; the primary has what was acknowledged, and fills a new copy",
                 s->name, text);
    int rc = write_note(s, (qd_str){text, (size_t)n}, err);
    return rc ? rc : qdi_shard_aside(s, &moved, err);
}
