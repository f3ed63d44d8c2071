/*
 * engine_install.c: a replica takes over what its primary published. See replica.h.
 *
 * Files that are here already are held, the others received beside them. The order of the end is
 * that of a flush: sync, commit point, then the reader; only then do old files and covered
 * operations go. A crash before the commit point leaves the publication before, with everything it
 * names.
 */
#include "base/log.h"
#include "base/str.h"
#include "engine/engine_int.h"
#include "store/copy.h"
#include <stdio.h>
#include <string.h>

#define ROLL_BYTES ((uint64_t)16 << 20) /* a generation from here on makes way for a new one */

struct qd_install {
    qd_engine *e;
    qd_publication *p;
    uint32_t files;
    qd_file_receiver **receiver; /* by file */
    _Atomic bool *there;         /* by file */
    uint32_t *missing, nmissing; /* as found at the beginning */
    engine_pair *have;           /* by segment: of the present list, counted */
};

static qd_str path_of(const qd_engine *e, const char *file, char *buf, size_t n)
{
    int len = snprintf(buf, n, "%s/%s", e->folder, file);
    qd_assert(len > 0 && (size_t)len < n);
    return (qd_str){buf, (size_t)len};
}

/* --- orphans: finished files that nothing names yet ---------------------------------------------
 */

static void orphan_note(qd_engine *e, const uint8_t segment[16], uint64_t live_generation)
{
    engine_orphan o = {.live_generation = live_generation};
    memcpy(o.segment, segment, 16);
    qd_mutex_lock(&e->orphans_lock);
    /* one that is not noted stays until the shard is opened again */
    int rc = qd_vec_push(&e->orphans, e->account, o);
    (void)rc;
    qd_mutex_unlock(&e->orphans_lock);
}

static bool names(const qd_publication *p, const engine_orphan *o)
{
    for (uint32_t i = 0; p && i < p->n; i++) {
        const qd_publication_segment *s = &p->segments[i];
        if (memcmp(s->id, o->segment, 16) != 0) continue;
        if (o->live_generation == 0 || o->live_generation == s->live_generation) return true;
    }
    return false;
}

/* Removes orphans that p does not name; forgets all. */
void qdi_engine_orphans_clear(qd_engine *e, const qd_publication *p)
{
    char name[ENGINE_NAME_MAX + QD_LIVE_NAME_BYTES];
    qd_mutex_lock(&e->orphans_lock);
    for (size_t i = 0; i < e->orphans.n; i++) {
        const engine_orphan *o = &e->orphans.at[i];
        if (names(p, o)) continue;
        qdi_store_forget(e->segment_store,
                         o->live_generation
                             ? qdi_engine_live_name(e, o->segment, o->live_generation, name)
                             : qdi_engine_segment_name(e, o->segment, name));
    }
    e->orphans.n = 0;
    qd_mutex_unlock(&e->orphans_lock);
}

/* --- begin ------------------------------------------------------------------------------------ */

static void install_free(qd_install *i)
{
    if (!i) return;
    for (uint32_t k = 0; i->receiver && k < i->files; k++) qd_file_receive_abort(i->receiver[k]);
    for (uint32_t k = 0; i->have && k < i->p->n; k++) {
        if (i->have[k].segment) qdi_engine_pair_drop(i->e, i->have[k]);
    }
    qd_free(i->receiver);
    qd_free((void *)i->there);
    qd_free(i->missing);
    qd_free(i->have);
    qd_publication_unref(i->p);
    qd_free(i);
}

static int copy_publication(qd_engine *e, const qd_publication *p, qd_publication **out,
                            qd_err *err)
{
    qd_buf b;
    qd_buf_init(&b, e->account, SIZE_MAX / 2);
    int rc = qd_publication_encode(p, &b, err);
    if (!rc) rc = qd_publication_decode(qd_buf_view(&b), e->account, out, err);
    qd_buf_fini(&b);
    return rc;
}

static int make(qd_engine *e, const qd_publication *p, qd_install **out, qd_err *err)
{
    qd_install *i = qd_calloc(e->account, sizeof *i);
    if (!i) return qd_err_nomem(err, "installation");
    i->e = e;
    int rc = copy_publication(e, p, &i->p, err);
    if (!rc) {
        i->files = qd_publication_files(i->p);
        qd_assert(i->p->n == p->n && qd_publication_compare(i->p, p) == 0);
        qd_assert(i->files >= i->p->n && i->files - i->p->n <= i->p->n);
        size_t n = (size_t)i->files + 1;
        i->receiver = qd_calloc(e->account, n * sizeof(qd_file_receiver *));
        i->there = qd_calloc(e->account, n * sizeof *i->there);
        i->missing = qd_calloc(e->account, n * sizeof *i->missing);
        i->have = qd_calloc(e->account, n * sizeof *i->have);
        if (!i->receiver || !i->there || !i->missing || !i->have) {
            rc = qd_err_nomem(err, "installation");
        }
    }
    if (rc) {
        install_free(i);
        return rc;
    }
    *out = i;
    return 0;
}

/* May p be installed, as things stand? Under flush_lock. */
static int check(qd_engine *e, const qd_publication *p, qd_err *err)
{
    uint64_t term = atomic_load(&e->primary_term);
    int rc = qdi_engine_alive(e, err);
    if (rc) return rc;
    if (p->primary_term < term) {
        return qd_err_set(err, QD_E_TERM_OLD,
                          "%s publication of primary term [%llu] is too old (current [%llu])",
                          e->name, (unsigned long long)p->primary_term, (unsigned long long)term);
    }
    if (p->primary_term > term || atomic_load(&e->mode) != QD_ENGINE_REPLICA ||
        !qdi_engine_history_is(e, p->history)) {
        return qd_err_set(
            err, QD_E_STATE, "%s publication [%llu, %llu] cannot be installed: %s", e->name,
            (unsigned long long)p->primary_term, (unsigned long long)p->generation,
            p->primary_term > term                       ? "its term was not adopted yet"
            : atomic_load(&e->mode) != QD_ENGINE_REPLICA ? "this copy is a primary"
                                                         : "it is of another history");
    }
    qd_mutex_lock(&e->publish_lock);
    bool newer = p->primary_term > e->published_term ||
                 (p->primary_term == e->published_term && p->generation > e->published_generation);
    /* a primary that was promoted may show less for a while than its predecessor did: nobody who
     * saw more sees it vanish */
    bool less = p->max_seq_no < e->shown_seq_no;
    qd_mutex_unlock(&e->publish_lock);
    if (!atomic_load(&e->reset_generation) && (!newer || less)) {
        return qd_err_set(err, QD_E_EXISTS,
                          "%s what is shown is as new as publication [%llu, %llu]", e->name,
                          (unsigned long long)p->primary_term, (unsigned long long)p->generation);
    }
    return 0;
}

/* Holds what is here of segment k, listed or named by a commit point or publication only. A file
 * may have one struct that counts who needs it, and no second one. */
static bool hold_one(qd_install *i, uint32_t k)
{
    qd_engine *e = i->e;
    const qd_publication_segment *s = &i->p->segments[k];
    for (size_t j = 0; j < e->all.n; j++) {
        engine_segment *x = e->all.at[j];
        if (memcmp(qd_segment_id(x->segment), s->id, 16) != 0) continue;
        if (x->refs == 0) return false;
        x->refs++;
        i->have[k].segment = x;
        for (engine_live *f = x->files; f && s->live_generation; f = f->next) {
            qd_assert(f->owner == x);
            if (f->generation != s->live_generation) continue;
            if (f->refs == 0) return false;
            f->refs++;
            i->have[k].file = f;
            break;
        }
        break;
    }
    return true;
}

static int hold_present(qd_install *i, qd_err *err)
{
    qd_engine *e = i->e;
    bool ok = true;
    qd_mutex_lock(&e->publish_lock);
    qd_mutex_lock(&e->all_lock);
    for (uint32_t k = 0; k < i->p->n && ok; k++) ok = hold_one(i, k);
    qd_mutex_unlock(&e->all_lock);
    qd_mutex_unlock(&e->publish_lock);
    for (uint32_t k = 0; k < i->p->n && ok; k++) {
        const qd_publication_segment *s = &i->p->segments[k];
        engine_pair h = i->have[k];
        if ((h.segment && qd_file_hash(qd_segment_file(h.segment->segment)) != s->hash) ||
            (h.file && h.file->hash != s->live_hash)) {
            return qd_err_set(err, QD_E_CORRUPT,
                              "%s a file of the publication has the name of another one here",
                              e->name);
        }
    }
    return ok ? 0
              : qd_err_set(err, QD_E_STATE, "%s a file of the publication is just being removed",
                           e->name);
}

/* Is the file here, held or whole from an earlier attempt? One that is here and bad is removed. */
static int look(qd_install *i, uint32_t file, bool *there, qd_err *err)
{
    char path[ENGINE_NAME_MAX + QD_LIVE_NAME_BYTES];
    qd_publication_file f;
    qd_publication_file_at(i->p, file, &f);
    qd_str name = path_of(i->e, f.name, path, sizeof path);
    qd_err bad;
    qd_err_init(&bad);
    int rc = qd_file_matches(i->e->segment_store, name, f.bytes, f.hash, i->e->account, &bad);
    *there = rc == 0;
    if (rc == QD_E_CORRUPT || rc == QD_E_FORMAT_NEW || rc == QD_E_FORMAT_OLD) {
        qd_log_warn(ENGINE_LOG, "%s %s: fetched again", i->e->name, qd_err_reason(&bad));
        rc = qd_store_delete(i->e->segment_store, name, err);
    } else if (rc == QD_E_NOTFOUND) {
        rc = 0;
    } else if (rc && err) {
        qd_err_copy(err, &bad);
    }
    qd_err_fini(&bad);
    return rc;
}

static int find_missing(qd_install *i, qd_err *err)
{
    uint32_t live = i->p->n;
    for (uint32_t k = 0; k < i->p->n; k++) {
        const qd_publication_segment *s = &i->p->segments[k];
        bool there = i->have[k].segment != NULL;
        int rc = there ? 0 : look(i, k, &there, err);
        if (rc) return rc;
        i->there[k] = there;
        if (!there) i->missing[i->nmissing++] = k;
        if (s->live_generation == 0) continue;
        there = i->have[k].file != NULL;
        if (!there && (rc = look(i, live, &there, err))) return rc;
        i->there[live] = there;
        if (!there) i->missing[i->nmissing++] = live;
        live++;
    }
    qd_assert(live == i->files && i->nmissing <= i->files);
    return 0;
}

int qd_install_begin(qd_engine *e, const qd_publication *p, qd_install **out, qd_err *err)
{
    QD_CHECK(e, ENGINE_MAGIC);
    qd_install *i = NULL;
    qd_mutex_lock(&e->flush_lock);
    int rc = check(e, p, err);
    if (!rc && e->install) {
        rc = qd_err_set(err, QD_E_STATE, "%s another publication is being installed", e->name);
    }
    if (!rc) rc = make(e, p, &i, err);
    if (!rc) {
        rc = hold_present(i, err);
        if (!rc) rc = find_missing(i, err);
    }
    if (rc) {
        install_free(i);
    } else {
        *out = e->install = i;
    }
    qd_mutex_unlock(&e->flush_lock);
    return rc;
}

uint32_t qd_install_missing(const qd_install *i, const uint32_t **files)
{
    *files = i->missing;
    return i->nmissing;
}

/* --- receiving -------------------------------------------------------------------------------- */

int qd_install_file_begin(qd_install *i, uint32_t file, qd_err *err)
{
    char path[ENGINE_NAME_MAX + QD_LIVE_NAME_BYTES];
    qd_publication_file f;
    qd_assert(file < i->files && !i->there[file]);
    qd_publication_file_at(i->p, file, &f);
    qd_file_receive_abort(i->receiver[file]);
    i->receiver[file] = NULL;
    return qd_file_receive_begin(i->e->segment_store, path_of(i->e, f.name, path, sizeof path),
                                 f.bytes, i->e->account, &i->receiver[file], err);
}

int qd_install_file_append(qd_install *i, uint32_t file, const void *p, size_t n, qd_err *err)
{
    qd_assert(file < i->files && i->receiver[file]);
    return qd_file_receive_append(i->receiver[file], p, n, err);
}

/* The segment that a file belongs to, and its live generation (0: the segment itself). */
static const qd_publication_segment *owner(const qd_publication *p, uint32_t file, uint64_t *live)
{
    uint32_t k = p->n;
    *live = 0;
    if (file < p->n) return &p->segments[file];
    for (uint32_t i = 0; i < p->n; i++) {
        if (p->segments[i].live_generation == 0 || k++ != file) continue;
        *live = p->segments[i].live_generation;
        return &p->segments[i];
    }
    qd_assert(!"a file of the publication");
    return NULL;
}

int qd_install_file_finish(qd_install *i, uint32_t file, qd_err *err)
{
    qd_publication_file f;
    uint64_t live;
    qd_assert(file < i->files && i->receiver[file]);
    qd_publication_file_at(i->p, file, &f);
    qd_file_receiver *r = i->receiver[file];
    i->receiver[file] = NULL;
    int rc = qd_file_receive_finish(r, f.hash, err);
    if (rc) return rc;
    const qd_publication_segment *s = owner(i->p, file, &live);
    orphan_note(i->e, s->id, live);
    atomic_store(&i->there[file], true);
    return 0;
}

int qd_install_file_sync(qd_install *i, uint32_t file, qd_err *err)
{
    char path[ENGINE_NAME_MAX + QD_LIVE_NAME_BYTES];
    qd_publication_file f;
    qd_assert(file < i->files && atomic_load(&i->there[file]));
    qd_publication_file_at(i->p, file, &f);
    qd_str name = path_of(i->e, f.name, path, sizeof path);
    int rc = qd_store_sync(i->e->segment_store, &name, 1, err);
    /* the commit's own sync of it would prove nothing any more */
    return rc ? qdi_engine_fail(i->e, err) : 0;
}

void qd_install_abort(qd_install *i)
{
    if (!i) return;
    qd_engine *e = i->e;
    qd_mutex_lock(&e->flush_lock);
    qd_assert(e->install == i); /* one at a time */
    e->install = NULL;
    qd_mutex_unlock(&e->flush_lock);
    install_free(i);
}

/* --- the end ---------------------------------------------------------------------------------- */

/* What will be listed: pairs for the commit point, and beside each what now lives. */
typedef struct arrival {
    engine_snapshot s;
    qd_live **lives;
    bool *fresh; /* the engine_segment is new */
} arrival;

static int open_fresh(qd_engine *e, const qd_publication_segment *s, engine_segment **out,
                      qd_err *err)
{
    char name[ENGINE_NAME_MAX];
    qd_segment *segment;
    int rc = qd_segment_open(e->segment_store, qdi_engine_segment_name(e, s->id, name), e->account,
                             &segment, err);
    if (rc) return rc;
    if (qd_segment_docs(segment) != s->docs) {
        qd_segment_unref(segment);
        return qd_err_set(err, QD_E_CORRUPT, "%s [%s] does not hold the %u documents announced",
                          e->name, name, s->docs);
    }
    *out = qdi_engine_segment_make(e, segment, atomic_fetch_add(&e->next_unit, 1), err);
    if (*out) return 0;
    qd_segment_unref(segment);
    return QD_E_NOMEM;
}

/* Opens one segment with its live documents into the arrival; one reference, the commit point's. */
static int open_one(qd_install *i, arrival *a, uint32_t k, qd_err *err)
{
    qd_engine *e = i->e;
    const qd_publication_segment *s = &i->p->segments[k];
    char prefix[ENGINE_NAME_MAX];
    engine_pair p = i->have[k];
    int rc = 0;
    if (p.segment) {
        qd_mutex_lock(&e->publish_lock);
        p.segment->refs++;
        if (p.file) p.file->refs++;
        qd_mutex_unlock(&e->publish_lock);
    } else {
        rc = open_fresh(e, s, &p.segment, err);
        a->fresh[k] = !rc;
    }
    if (rc) return rc;
    if (s->live_generation) {
        int len = snprintf(prefix, sizeof prefix, "%s/", e->folder);
        rc = qd_live_open(e->segment_store, (qd_str){prefix, (size_t)len}, s->id,
                          s->live_generation, s->docs, e->account, &a->lives[k], err);
        if (!rc && qd_live_count(a->lives[k]) != s->live) {
            rc = qd_err_set(err, QD_E_CORRUPT, "%s live documents: %u, not the %u announced",
                            e->name, qd_live_count(a->lives[k]), s->live);
        }
        if (!rc && !p.file) {
            p.file = qdi_engine_live_make(e, p.segment, s->live_generation, s->live, err);
            if (!p.file) rc = err && err->code ? err->code : QD_E_NOMEM;
        }
    }
    a->s.pairs.at[a->s.pairs.n++] = p;
    return rc;
}

static int arrive(qd_install *i, arrival *a, qd_err *err)
{
    qd_engine *e = i->e;
    uint32_t n = i->p->n;
    *a = (arrival){0};
    a->lives = qd_calloc(e->account, ((size_t)n + 1) * sizeof(qd_live *));
    a->fresh = qd_calloc(e->account, (size_t)n + 1);
    if (!a->lives || !a->fresh || qd_vec_reserve(&a->s.pairs, e->account, n + 1)) {
        return qd_err_nomem(err, "installation");
    }
    a->s.shown = i->p->max_seq_no;
    a->s.published_term = i->p->primary_term;
    a->s.published_generation = i->p->generation;
    int rc = 0;
    for (uint32_t k = 0; k < n && !rc; k++) rc = open_one(i, a, k, err);
    qd_assert(rc || a->s.pairs.n == n); /* `have`, `lives` and `fresh` are by the same number */
    return rc;
}

static void arrival_free(qd_install *i, arrival *a)
{
    /* nothing became of it: the files stay for the next attempt */
    for (size_t k = 0; k < a->s.pairs.n; k++) {
        engine_pair p = a->s.pairs.at[k];
        if (p.file && !i->have[k].file) {
            qdi_engine_live_free(i->e, p.file);
            p.file = NULL;
        }
        if (a->fresh[k]) {
            qdi_engine_segment_free(i->e, p.segment);
        } else {
            qdi_engine_pair_drop(i->e, p);
        }
    }
    qd_vec_fini(&a->s.pairs);
    for (uint32_t k = 0; a->lives && k < i->p->n; k++) qd_live_unref(a->lives[k]);
    qd_free(a->lives);
    qd_free(a->fresh);
}

/* The commit point stands: the list becomes what it names. Under publish_lock. */
static int show(qd_install *i, arrival *a, const engine_pairs *now, engine_segments *list,
                engine_segments *gone, engine_live **old_files, qd_err *err)
{
    qd_engine *e = i->e;
    qd_assert(now->n == i->p->n); /* the commit point names what the publication does */
    qd_assert(atomic_load(&e->mode) == QD_ENGINE_REPLICA); /* a primary shows its own */
    qd_invariant(i->p->primary_term > e->published_term ||
                 i->p->generation > e->published_generation || atomic_load(&e->reset_generation));
    qd_invariant(i->p->max_seq_no >= e->shown_seq_no || atomic_load(&e->reset_generation));
    for (size_t k = 0; k < now->n; k++) {
        engine_segment *s = now->at[k].segment;
        engine_live *file = now->at[k].file;
        qd_assert(s->refs > 0 && (!file || (file->refs > 0 && file->owner == s)));
        s->refs++; /* the list's */
        if (file) file->refs++;
        old_files[k] = s->file;
        s->file = file;
        qd_live_unref(s->live);
        s->live = a->lives[k];
        a->lives[k] = NULL;
        s->live_mutable = s->live_unsaved = false;
        list->at[list->n++] = s;
    }
    *gone = e->segments;
    memset(&e->segments, 0, sizeof e->segments);
    e->segments.at = list->at;
    e->segments.n = list->n;
    e->segments.cap = list->cap;
    *list = (engine_segments){0};
    int rc = qdi_engine_publish(e, i->p->max_seq_no, err);
    e->published_term = i->p->primary_term;
    e->published_generation = i->p->generation;
    qd_cond_broadcast(&e->shown);
    return rc;
}

static int swap(qd_install *i, arrival *a, engine_segments *list, engine_live **old_files,
                qd_err *err)
{
    qd_engine *e = i->e;
    engine_segments gone = {0};
    qd_mutex_lock(&e->publish_lock);
    int rc = show(i, a, &e->committed, list, &gone, old_files, err);
    qd_mutex_unlock(&e->publish_lock);
    for (uint32_t k = 0; k < i->p->n; k++) qdi_engine_live_drop(e, old_files[k]);
    for (size_t k = 0; k < gone.n; k++) qdi_engine_segment_drop(e, gone.at[k]);
    qd_vec_fini(&gone);
    return rc;
}

/* What the segments cover counts as received, and need not be in the log. */
static void cover(qd_install *i)
{
    qd_engine *e = i->e;
    qd_mutex_lock(&e->replica_lock);
    qd_seq_no_cover(&e->seq_no, i->p->max_seq_no);
    qd_assert(qd_seq_no_has(&e->seq_no, i->p->max_seq_no)); /* what is shown counts as received */
    qd_mutex_unlock(&e->replica_lock);
    /* it was below the true one when it was published */
    qd_engine_global_checkpoint_set(e, i->p->global_checkpoint);
}

static int commit(qd_install *i, arrival *a, qd_err *err)
{
    qd_engine *e = i->e;
    engine_segments list = {0};
    qd_translog_stats log;
    int64_t done, durable;
    engine_live **old_files = qd_calloc(e->account, ((size_t)i->p->n + 1) * sizeof(engine_live *));
    int rc = old_files && !qd_vec_reserve(&list, e->account, i->p->n + 1)
                 ? 0
                 : qd_err_nomem(err, "installation");
    if (!rc) rc = qdi_engine_sync_files(e, &a->s, err);
    qd_translog_stats_get(e->translog, &log);
    if (!rc && log.current_bytes >= ROLL_BYTES) rc = qd_translog_roll(e->translog, NULL, err);
    qd_seq_no_get(&e->seq_no, NULL, &done, &durable);
    /* a power loss takes no operation from below the commit point: the log would have a hole */
    if (!rc && durable < i->p->max_seq_no) rc = qd_translog_sync_all(e->translog, err);
    if (!rc && done < i->p->max_seq_no) atomic_store(&e->complete_from, i->p->max_seq_no + 1);
    if (!rc && QD_MUTANT(engine, TRIM_UNCOVERED)) {
        rc = qdi_engine_log_trim(e, qd_translog_generation_above(e->translog, INT64_MAX - 1),
                                 INT64_MAX, atomic_load(&e->committed_checkpoint), err);
    }
    if (!rc) rc = qdi_engine_commit(e, &a->s, atomic_load(&e->reset_generation), err);
    if (!rc) {
        rc = swap(i, a, &list, old_files, err);
        atomic_store(&e->reset_generation, 0);
    }
    qd_vec_fini(&list);
    qd_free(old_files);
    return rc;
}

int qd_install_commit(qd_install *i, qd_err *err)
{
    qd_engine *e = i->e;
    arrival a = {0};
    qd_err failure;
    qd_err_init(&failure);
    qd_mutex_lock(&e->flush_lock);
    qd_assert(e->install == i);
    int rc = check(e, i->p, &failure);
    for (uint32_t k = 0; k < i->files && !rc; k++) {
        if (!i->there[k]) {
            rc = qd_err_set(&failure, QD_E_STATE, "%s file %u of the publication is missing",
                            e->name, k);
        }
    }
    if (!rc) rc = arrive(i, &a, &failure);
    bool begun = !rc;
    if (!rc) rc = commit(i, &a, &failure);
    /* from the sync on: what is durable is not known, or not what is shown */
    if (begun && rc && rc != QD_E_NOSPACE) rc = qdi_engine_fail(e, &failure);
    if (!rc) {
        cover(i);
        qdi_engine_orphans_clear(e, i->p);
    }
    arrival_free(i, &a);
    e->install = NULL;
    qd_mutex_unlock(&e->flush_lock);
    int64_t shown = i->p->max_seq_no;
    install_free(i);
    if (!rc) {
        qdi_engine_waits_end(e, shown, 0);
        qdi_engine_tell(e);
    }
    if (rc && err) qd_err_copy(err, &failure);
    qd_err_fini(&failure);
    return rc;
}
