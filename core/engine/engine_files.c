/*
 * engine_files.c: what the engine owns: buffers, segments, files of live documents, and who counts
 * them. Each file has one struct with one counter; who drops the last reference removes the file.
 */
#include "base/log.h"
#include "base/str.h"
#include "engine/engine_int.h"
#include <stdio.h>
#include <string.h>

/* --- buffers and segments --------------------------------------------------------------------- */

int qdi_engine_buffer_get(qd_engine *e, engine_buffer **out, qd_err *err)
{
    engine_buffer *b = e->spare.n ? e->spare.at[--e->spare.n] : NULL;
    if (!b) {
        b = qd_calloc(e->account, sizeof *b);
        if (!b) return qd_err_nomem(err, "indexing buffer");
        int rc = qd_buffer_create(e->account, &b->b, err);
        if (rc) {
            qd_free(b);
            return rc;
        }
    }
    qd_assert(qd_buffer_docs(b->b) == 0 && b->deletes.n == 0); /* nothing of its last life */
    qd_buffer_stored_codec(b->b, qdi_engine_settings(e).stored_codec);
    b->unit = atomic_fetch_add(&e->next_unit, 1);
    b->min_seq_no = b->max_seq_no = -1;
    b->segment = NULL;
    b->entry = NULL;
    b->map = NULL;
    b->entered = false;
    *out = b;
    return 0;
}

void qdi_engine_buffer_free(engine_buffer *b)
{
    qd_segment_unref(b->segment);
    qd_free(b->map);
    qd_buffer_destroy(b->b);
    qd_vec_fini(&b->deletes);
    qd_free(b);
}

void qdi_engine_buffer_put(qd_engine *e, engine_buffer *b)
{
    qd_assert(!b->segment && !b->entry); /* both have gone to the list, or with their file */
    qd_buffer_reset(b->b);
    qd_buffer_trim(b->b);
    qd_vec_fini(&b->deletes);
    if (e->spare.n >= e->nslots || qd_vec_push(&e->spare, e->account, b)) qdi_engine_buffer_free(b);
}

engine_segment *qdi_engine_segment_make(qd_engine *e, qd_segment *s, uint64_t unit, qd_err *err)
{
    engine_segment *x = qd_calloc(e->account, sizeof *x);
    bool listed = false;
    if (x) {
        x->segment = s;
        x->unit = x->oldest = unit;
        x->refs = 1;
        qd_mutex_lock(&e->all_lock);
        listed = !qd_vec_push(&e->all, e->account, x);
        qd_mutex_unlock(&e->all_lock);
    }
    if (!listed) {
        qd_free(x);
        (void)qd_err_nomem(err, "segment");
        return NULL;
    }
    return x;
}

void qdi_engine_segment_free(qd_engine *e, engine_segment *s)
{
    qd_mutex_lock(&e->all_lock);
    qd_assert(!s->files); /* they point back here */
    size_t n = e->all.n;
    for (size_t i = 0; i < e->all.n; i++) {
        if (e->all.at[i] == s) e->all.at[i] = e->all.at[--e->all.n];
    }
    qd_assert(e->all.n + 1 == n); /* it was there once */
    qd_mutex_unlock(&e->all_lock);
    qd_segment_unref(s->segment);
    qd_live_unref(s->live);
    qd_free(s);
}

qd_str qdi_engine_live_name(const qd_engine *e, const uint8_t segment[16], uint64_t generation,
                            char buf[ENGINE_NAME_MAX + QD_LIVE_NAME_BYTES])
{
    char live[QD_LIVE_NAME_BYTES];
    qd_str object = qd_live_name(segment, generation, live);
    int n = snprintf(buf, ENGINE_NAME_MAX + QD_LIVE_NAME_BYTES, "%s/%.*s", e->folder,
                     QD_STR_ARG(object));
    qd_assert(n > 0 && (size_t)n < ENGINE_NAME_MAX + QD_LIVE_NAME_BYTES);
    return (qd_str){buf, (size_t)n};
}

engine_live *qdi_engine_live_make(qd_engine *e, engine_segment *s, uint64_t generation,
                                  uint32_t count, qd_err *err)
{
    const uint8_t *segment = qd_segment_id(s->segment);
    char name[ENGINE_NAME_MAX + QD_LIVE_NAME_BYTES];
    qd_file *f;
    engine_live *x = qd_calloc(e->account, sizeof *x);
    if (!x) {
        (void)qd_err_nomem(err, "live documents");
        return NULL;
    }
    if (qd_file_open(e->segment_store, qdi_engine_live_name(e, segment, generation, name), NULL,
                     e->account, &f, err)) {
        qd_free(x);
        return NULL;
    }
    *x = (engine_live){
        .generation = generation,
        .bytes = qd_file_bytes(f),
        .hash = qd_file_hash(f),
        .count = count,
        .refs = 1,
        .owner = s,
    };
    memcpy(x->segment, segment, 16);
    qd_file_unref(f);
    qd_mutex_lock(&e->all_lock);
    x->next = s->files;
    s->files = x;
    qd_mutex_unlock(&e->all_lock);
    return x;
}

void qdi_engine_live_free(qd_engine *e, engine_live *x)
{
    qd_mutex_lock(&e->all_lock);
    engine_live **at = &x->owner->files;
    while (*at && *at != x) at = &(*at)->next;
    qd_assert(*at == x);
    *at = x->next;
    qd_mutex_unlock(&e->all_lock);
    qd_free(x);
}

static void remove_object(qd_engine *e, qd_str name)
{
    qd_err err;
    qd_err_init(&err);
    if (qd_store_delete(e->segment_store, name, &err)) {
        qd_log_warn(ENGINE_LOG, "%s [%.*s] is not needed any more but could not be removed: %s",
                    e->name, QD_STR_ARG(name), qd_err_reason(&err));
    }
    qd_err_fini(&err);
}

static void live_remove(qd_engine *e, engine_live *x)
{
    char name[ENGINE_NAME_MAX + QD_LIVE_NAME_BYTES];
    qd_mutex_lock(&e->publish_lock);
    qd_pair("file.goes", x->refs == 0); /* no commit point, publication or reader names it */
    qd_mutex_unlock(&e->publish_lock);
    remove_object(e, qdi_engine_live_name(e, x->segment, x->generation, name));
}

void qdi_engine_live_drop(qd_engine *e, engine_live *x)
{
    if (!x) return;
    qd_mutex_lock(&e->publish_lock);
    qd_assert(x->refs > 0);
    bool last = --x->refs == 0;
    qd_mutex_unlock(&e->publish_lock);
    if (last || QD_MUTANT(engine, HELD_REMOVED)) live_remove(e, x);
    if (last) qdi_engine_live_free(e, x);
}

void qdi_engine_segment_drop(qd_engine *e, engine_segment *s)
{
    qd_mutex_lock(&e->publish_lock);
    qd_assert(s->refs > 0);
    bool last = --s->refs == 0;
    qd_assert(!last || !s->merging); /* a merge counts what it reads */
    qd_mutex_unlock(&e->publish_lock);
    if (!last) return;
    remove_object(e, qd_segment_name(s->segment));
    qdi_engine_live_drop(e, s->file);
    qdi_engine_segment_free(e, s);
}

void qdi_engine_pair_drop(qd_engine *e, engine_pair p)
{
    qdi_engine_live_drop(e, p.file);
    qdi_engine_segment_drop(e, p.segment);
}
